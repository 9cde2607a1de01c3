//! A client that comes back, while the server may not know that it was gone.

use crate::sim::{PeerNo, Sim, limits, ms};
use chat_server::event::Departure;
use std::time::Duration;

/// The token that the last WELCOME gave this peer.
fn token(sim: &Sim, peer: PeerNo) -> String {
    let welcome = sim
        .lines(peer)
        .0
        .into_iter()
        .rfind(|line| line.starts_with("WELCOME "))
        .unwrap();
    welcome.split(' ').nth(2).unwrap().to_owned()
}

fn come_back(sim: &mut Sim, address: &str, token: &str) -> PeerNo {
    let peer = sim.connect(address);
    sim.send(peer, &format!("HELLO 1 alice - - {token}\n"));
    sim.run(ms(0));
    peer
}

/// The last number in this peer's WELCOME.
fn seq(sim: &Sim, peer: PeerNo) -> String {
    let welcome = sim
        .lines(peer)
        .0
        .into_iter()
        .find(|line| line.starts_with("WELCOME "))
        .unwrap();
    welcome.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_client_replaces_its_ghost() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.9:1");
    let ghost = sim.rich("10.0.0.1:1001", "alice");
    sim.send(ghost, "SAY 41 before\nSAY 42 last\n");
    sim.run(ms(0));
    sim.news(witness);
    sim.news(ghost);
    let resume = token(&sim, ghost);
    let alice = come_back(&mut sim, "10.0.0.1:1002", &resume);
    assert_eq!(
        sim.news(witness),
        ["alice@10.0.0.1:1001 is offline", "alice@10.0.0.1:1002 is online"]
    );
    assert_eq!(
        sim.news(ghost),
        ["GOODBYE replaced you are here again over a newer connection"]
    );
    assert_eq!(sim.departure("alice@10.0.0.1:1001"), Some(Departure::Replaced));
    assert_eq!(seq(&sim, alice), "42");
    sim.send(alice, "SAY 41 again\nSAY 42 again\nSAY 43 new\nSAY 43 twice\n");
    sim.run(ms(0));
    assert_eq!(sim.news(witness), ["from alice@10.0.0.1:1002: new"]);
    assert_ne!(token(&sim, alice), resume, "a token serves once");
}

#[test]
fn a_client_that_left_without_a_word_goes_on_counting() {
    let mut sim = Sim::new(limits());
    let gone = sim.rich("10.0.0.1:1001", "alice");
    sim.send(gone, "SAY 7 last\n");
    sim.run(ms(0));
    let resume = token(&sim, gone);
    sim.reset(gone);
    sim.run(Duration::from_secs(3600));
    let alice = come_back(&mut sim, "10.0.0.1:1002", &resume);
    assert_eq!(seq(&sim, alice), "7");
    let stranger = come_back(&mut sim, "10.0.0.3:1002", &resume);
    assert_eq!(seq(&sim, stranger), "0", "a token serves once");
}

#[test]
fn a_token_nobody_gave_is_no_token() {
    let mut sim = Sim::new(limits());
    let alice = come_back(&mut sim, "10.0.0.1:1001", "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(seq(&sim, alice), "0");
    assert_eq!(sim.room.roster().staying(), 1);
}

#[test]
fn of_many_departed_clients_the_latest_are_remembered() {
    let mut sim = Sim::new(limits());
    let mut tokens = Vec::new();
    for number in 1..=1100 {
        let peer = sim.rich(&format!("10.0.0.1:{number}"), "-");
        sim.send(peer, &format!("SAY {number} hi\n"));
        sim.run(ms(0));
        tokens.push(token(&sim, peer));
        sim.reset(peer);
        sim.run(ms(0));
    }
    for (number, expected) in [(77, "77"), (76, "0"), (1, "0"), (1100, "1100")] {
        let peer = come_back(&mut sim, &format!("10.0.0.2:{number}"), &tokens[number - 1]);
        assert_eq!(seq(&sim, peer), expected);
        sim.reset(peer);
        // Each departure makes the room forget the oldest of the others.
        sim.run(ms(0));
    }
}
