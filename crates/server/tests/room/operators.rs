//! Who runs the room.

use crate::sim::{PeerNo, Sim, limits, ms};
use chat_noise::key::KeyPair;
use chat_noise::operator::Code;
use chat_server::event::Event;
use chat_server::operators::Operators;
use std::collections::HashSet;

fn code() -> Code {
    "aeba-gbaf-aydq-qcik".parse().unwrap()
}

/// A room in which this code makes operators.
pub(crate) fn run_room() -> Sim {
    let mut sim = Sim::new(limits());
    sim.room
        .set_operators(Operators::new(Some(code()), HashSet::new()));
    sim
}

/// It proves this code.
fn prove(sim: &mut Sim, peer: PeerNo, code: &Code) {
    let tag = code.tag(&sim.peers[peer].hash.unwrap());
    sim.send(peer, &format!("OP {tag}\n"));
    sim.run(ms(0));
}

/// A client that runs the room.
pub(crate) fn operator(sim: &mut Sim, address: &str, nick: &str) -> PeerNo {
    let peer = sim.secure(address, nick);
    prove(sim, peer, &code());
    let news = sim.news(peer);
    assert!(news[0].starts_with("OPERATOR "), "{news:?}");
    peer
}

#[test]
fn the_code_makes_an_operator_and_everybody_is_told() {
    let mut sim = run_room();
    let plain = sim.plain("10.0.0.5:5001");
    let bob = sim.secure("10.0.0.9:5003", "bob");
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let said = "operator alice@10.0.0.7:5002 runs the room from now on";
    assert_eq!(sim.news(plain).last().unwrap(), &format!("* {said}"));
    let news = sim.news(bob);
    assert_eq!(
        news[news.len() - 2..],
        [
            "OPERATOR alice@10.0.0.7:5002".to_owned(),
            format!("NOTICE {said}")
        ]
    );
    // Who joins later finds it in the list, and who asks at nc too.
    let carol = sim.connect("10.0.0.11:5004");
    sim.seal(carol, "HELLO 1 carol - - -");
    sim.run(ms(0));
    assert!(
        sim.news(carol)
            .contains(&"OPERATOR alice@10.0.0.7:5002".to_owned())
    );
    sim.news(plain);
    sim.send(plain, "/who\n");
    sim.run(ms(0));
    assert!(
        sim.news(plain)
            .contains(&"* operator alice@10.0.0.7:5002".to_owned())
    );
    let acts = sim
        .events
        .iter()
        .filter(|event| matches!(event, Event::Act { what, .. } if **what == *"op"));
    assert_eq!(acts.count(), 1);
    prove(&mut sim, alice, &code());
    assert_eq!(
        sim.news(alice).last().unwrap(),
        "NOTICE you are an operator already"
    );
}

#[test]
fn the_tag_of_another_channel_proves_nothing() {
    let mut sim = run_room();
    let alice = sim.secure("10.0.0.7:5002", "alice");
    let mallory = sim.secure("10.0.0.9:5003", "mallory");
    let tag = code().tag(&sim.peers[alice].hash.unwrap());
    sim.send(mallory, &format!("OP {tag}\n"));
    sim.run(ms(0));
    let news = sim.news(mallory);
    assert_eq!(
        news,
        ["ERROR not-operator - wrong code: the right one is where the server was started"]
    );
    let plain = sim.plain("10.0.0.5:5001");
    sim.send(plain, &format!("OP {tag}\n"));
    sim.run(ms(0));
    assert_eq!(sim.news(plain), [format!("from 10.0.0.5:5001: OP {tag}")]);
}

#[test]
fn wrong_codes_make_their_network_wait_and_nobody_else() {
    let mut sim = run_room();
    let alice = sim.secure("10.0.0.7:5002", "alice");
    let mallory = sim.secure("10.0.0.9:5003", "mallory");
    let wrong: Code = "aaaa-aaaa-aaaa-aaaa".parse().unwrap();
    for _ in 0..6 {
        prove(&mut sim, mallory, &wrong);
    }
    assert!(
        sim.news(mallory)
            .iter()
            .all(|line| line.starts_with("ERROR not-operator"))
    );
    // Not even the right one is tried, also not on another connection of the network.
    let again = sim.secure("10.0.0.9:5004", "again");
    for peer in [mallory, again] {
        prove(&mut sim, peer, &code());
        let news = sim.news(peer);
        assert!(news.last().unwrap().starts_with("ERROR too-often"), "{news:?}");
    }
    prove(&mut sim, alice, &code());
    assert!(sim.news(alice).iter().any(|line| line.starts_with("OPERATOR ")));
    sim.run(ms(2_000));
    prove(&mut sim, again, &code());
    assert!(sim.news(again).iter().any(|line| line.starts_with("OPERATOR ")));
}

#[test]
fn a_named_key_is_an_operators_and_stays_one_after_reconnecting() {
    let mut sim = Sim::new(limits());
    let bob = sim.secure("10.0.0.9:5003", "bob");
    let first = sim.connect("10.0.0.7:5001");
    let key = KeyPair::from_secret(sim.peers[first].secret).public();
    sim.room.set_operators(Operators::new(None, HashSet::from([key])));
    sim.close(first);
    for address in ["10.0.0.7:5002", "10.0.0.7:5003"] {
        let alice = sim.connect(address);
        sim.take_key(alice, first);
        sim.seal(alice, "HELLO 1 alice - - -");
        sim.run(ms(0));
        let news = sim.news(bob);
        assert!(news.contains(&format!("OPERATOR alice@{address}")), "{news:?}");
        sim.send(alice, "QUIT\n");
        sim.run(ms(0));
    }
    prove(&mut sim, bob, &code());
    assert_eq!(
        sim.news(bob).last().unwrap(),
        "ERROR not-operator - this server has no code for operators"
    );
}
