//! Users whose messages are not shown.

use super::private_messages::{alice, key_of};
use super::*;

/// What is shown of what a user says, does and is.
fn seen(sim: &mut Sim, who: &str) -> usize {
    sim.shown();
    sim.hear(&format!(
        "SAID 7 {who} hello\nSAID 7 {who} /me waves\nWHISPER {who} psst\n"
    ));
    let is_of = |event: &Event| matches!(event, Event::Said(_) | Event::Private(_));
    sim.shown().into_iter().filter(is_of).count()
}

#[test]
fn an_ignored_user_with_a_key_is_known_again_by_it() {
    let mut sim = alice();
    sim.type_line("/ignore bob");
    assert_eq!(seen(&mut sim, "bob@10.0.0.2:6000"), 0);
    sim.hear("NICK 7 bob@10.0.0.2:6000 rob\n");
    assert_eq!(seen(&mut sim, "rob@10.0.0.2:6000"), 0);
    sim.hear("LEAVE 7 rob@10.0.0.2:6000\n");
    sim.hear(&format!("JOIN 7 ann@10.0.0.9:1 - {}\n", key_of(2)));
    assert_eq!(sim.shown(), []);
    assert_eq!(seen(&mut sim, "ann@10.0.0.9:1"), 0);
    // Others may take the old id and nicks.
    sim.hear(&format!("JOIN 7 bob@10.0.0.2:6000 - {}\n", key_of(3)));
    assert_eq!(seen(&mut sim, "bob@10.0.0.2:6000"), 3);
    sim.hear("JOIN 7 rob@10.0.0.8:8 - -\n");
    assert_eq!(seen(&mut sim, "rob@10.0.0.8:8"), 3);
    sim.type_line("/unignore ann");
    assert_eq!(seen(&mut sim, "ann@10.0.0.9:1"), 3);
}

#[test]
fn an_address_tells_ignored_users_of_one_nick_apart() {
    let mut sim = alice();
    sim.type_line("/ignore bob");
    sim.hear("LEAVE 7 bob@10.0.0.2:6000\n");
    sim.hear(&format!("JOIN 7 bob@10.0.0.8:8 - {}\n", key_of(3)));
    sim.type_line("/ignore bob");
    sim.type_line("/unignore bob@10.0.0.8:8");
    assert_eq!(seen(&mut sim, "bob@10.0.0.8:8"), 3);
    sim.hear(&format!("JOIN 7 ann@10.0.0.9:1 - {}\n", key_of(2)));
    assert_eq!(seen(&mut sim, "ann@10.0.0.9:1"), 0);
}

#[test]
fn a_user_without_a_key_is_ignored_while_it_stays() {
    let mut sim = alice();
    sim.type_line("/ignore 10.0.0.3:7000");
    sim.hear("NICK 7 carol@10.0.0.3:7000 cat\n");
    assert_eq!(seen(&mut sim, "cat@10.0.0.3:7000"), 0);
    sim.hear("LEAVE 7 cat@10.0.0.3:7000\n");
    assert_eq!(sim.shown(), []);
    sim.hear("JOIN 7 cat@10.0.0.3:7000 - -\n");
    assert_eq!(seen(&mut sim, "cat@10.0.0.3:7000"), 3);
    sim.type_line("/unignore cat");
    assert!(sim.session.failures().requests > 0);
}

#[test]
fn an_ignored_user_stays_so_across_a_reconnection() {
    let mut sim = alice();
    sim.type_line("/ignore bob");
    sim.type_line("/ignore carol");
    sim.session.closed(sim.now());
    sim.session.connected(endpoints(2), sim.now());
    sim.hear(&format!(
        "* chat version 1: hi\nWELCOME alice@10.0.0.1:5002 {TOKEN} {TOKEN} 0\nUSER bob@10.0.0.2:6005 - {}\n\
         USER carol@10.0.0.3:7000 - -\nHISTORY -\nLIVE\n",
        key_of(2)
    ));
    assert_eq!(seen(&mut sim, "bob@10.0.0.2:6005"), 0);
    assert_eq!(seen(&mut sim, "carol@10.0.0.3:7000"), 0);
}

#[test]
fn a_user_of_an_original_server_is_ignored_by_id() {
    let mut sim = Sim::in_an_original_room();
    sim.hear("10.0.0.2:6000 is online");
    sim.wait(50);
    sim.type_line("/ignore 10.0.0.2:6000");
    sim.shown();
    for said in ["from 10.0.0.2:6000: hi", "from 10.0.0.3:6000: hello"] {
        sim.hear(said);
        sim.wait(50);
    }
    let said = sim
        .shown()
        .into_iter()
        .filter(|event| matches!(event, Event::Said(_)));
    assert_eq!(said.count(), 1);
}
