//! Clients that are silent are pinged.

use crate::sim::{Reading, Sim, limits, ms};
use chat_server::event::Departure;
use chat_server::room::Limits;
use std::time::Duration;

fn impatient() -> Limits {
    Limits {
        ping_interval: Duration::from_secs(15),
        ..limits()
    }
}

#[test]
fn a_silent_client_is_pinged_and_then_disconnected() {
    let mut sim = Sim::new(impatient());
    let witness = sim.plain("10.0.0.2:1001");
    let client = sim.rich("10.0.0.1:1001", "alice");
    sim.news(witness);
    sim.run(ms(14_999));
    assert_eq!(sim.news(client), [""; 0]);
    sim.run(ms(1));
    assert_eq!(sim.news(client), ["PING 1700001015250"]);
    sim.run(ms(29_999));
    assert_eq!(sim.news(witness), [""; 0]);
    sim.run(ms(1));
    assert_eq!(
        sim.news(client),
        ["GOODBYE silent disconnected: nothing received from you for too long"]
    );
    assert_eq!(sim.news(witness), ["alice@10.0.0.1:1001 is offline"]);
    assert_eq!(sim.departure("alice@10.0.0.1:1001"), Some(Departure::Silent));
    assert!(sim.is_closed(client));
}

#[test]
fn any_line_answers_a_ping() {
    let mut sim = Sim::new(impatient());
    let client = sim.rich("10.0.0.1:1001", "alice");
    for line in ["PONG 1\n", "PING 2\n", "\n", "half of ", "a line\n"] {
        sim.run(ms(44_999));
        assert_eq!(sim.departure("alice@10.0.0.1:1001"), None);
        sim.send(client, line);
    }
    sim.run(ms(44_999));
    assert_eq!(sim.departure("alice@10.0.0.1:1001"), None);
    sim.run(ms(1));
    assert_eq!(sim.departure("alice@10.0.0.1:1001"), Some(Departure::Silent));
}

/// Nothing is read from a client that does not read its own lines.
#[test]
fn a_client_whose_lines_are_unread_is_not_silent() {
    let mut sim = Sim::new(impatient());
    let (client, other) = (sim.rich("10.0.0.1:1001", "alice"), sim.plain("10.0.0.2:1001"));
    sim.peers[client].reading = Reading::Stopped;
    sim.peers[client].capacity = 1000;
    sim.send(client, &"SAY\n".repeat(3000));
    sim.run(ms(100));
    sim.send(client, "SAY 1 here I am\n");
    sim.run(Duration::from_secs(100));
    assert_eq!(sim.departure("alice@10.0.0.1:1001"), None);
    sim.news(other);
    sim.peers[client].reading = Reading::Freely;
    sim.run(ms(0));
    assert_eq!(sim.news(other), ["from alice@10.0.0.1:1001: here I am"]);
}

#[test]
fn plain_users_are_not_pinged() {
    let mut sim = Sim::new(impatient());
    let person = sim.plain("10.0.0.1:1001");
    let turns = sim.turns;
    sim.run(Duration::from_secs(1_000_000));
    assert_eq!(sim.turns, turns);
    sim.send(person, "still here\n");
    sim.run(ms(0));
    assert_eq!(sim.news(person), ["from 10.0.0.1:1001: still here"]);
}

#[test]
fn a_ping_is_answered() {
    let mut sim = Sim::new(impatient());
    let client = sim.rich("10.0.0.1:1001", "alice");
    sim.send(client, "PING 18446744073709551615\n");
    sim.run(ms(0));
    assert_eq!(sim.news(client), ["PONG 18446744073709551615"]);
}
