//! The history for newcomers.

use crate::sim::{Sim, limits, ms};
use chat_server::room::Limits;

#[test]
fn a_client_receives_the_history_and_then_live() {
    let mut sim = Sim::new(Limits {
        history: 3,
        ..limits()
    });
    let talker = sim.plain("10.0.0.1:1");
    sim.send(talker, "one\ntwo\nthree\nfour\n");
    sim.run(ms(0));
    let client = sim.connect("10.0.0.2:1");
    sim.send(client, "HELLO 1 rick - -\n");
    sim.run(ms(0));
    let (news, key) = (sim.news(client), sim.short_key(client));
    assert!(news[1].starts_with("WELCOME rick@10.0.0.2:1 ") && news[1].ends_with(" 0"));
    assert_eq!(
        news[2..],
        [
            &format!("USERS 10.0.0.1:1 - rick@10.0.0.2:1 {key}"),
            "HISTORY 1700001000250 1 -",
            "SAID - 10.0.0.1:1 two",
            "SAID - 10.0.0.1:1 three",
            "SAID - 10.0.0.1:1 four",
            "LIVE",
            &format!("JOIN - rick@10.0.0.2:1 - {key}"),
        ]
    );
}

#[test]
fn a_plain_user_receives_no_history() {
    let mut sim = Sim::new(limits());
    let talker = sim.plain("10.0.0.1:1");
    sim.send(talker, "one\ntwo\n");
    sim.run(ms(0));
    let person = sim.plain("10.0.0.2:1");
    assert_eq!(sim.lines(person).0[1..], ["10.0.0.2:1 is online"]);
}

#[test]
fn history_is_at_most_a_quarter_of_the_ring() {
    let mut sim = Sim::new(Limits {
        history: 1000,
        ..limits()
    });
    let talker = sim.plain("10.0.0.1:1");
    sim.send(talker, &format!("{}\n", "x".repeat(4000)).repeat(600));
    sim.run(ms(0));
    let client = sim.rich("10.0.0.2:1", "rick");
    let lines = sim.lines(client).0;
    let history = lines
        .iter()
        .skip_while(|line| !line.starts_with("HISTORY "))
        .take_while(|line| **line != "LIVE");
    let bytes: usize = history.map(|line| line.len() + 1).sum();
    assert!(bytes > 250_000 && bytes <= (1 << 18) + 8, "{bytes}");
}

#[test]
fn without_history_a_client_is_live_at_once() {
    let mut sim = Sim::new(Limits {
        history: 0,
        ..limits()
    });
    let talker = sim.plain("10.0.0.1:1");
    sim.send(talker, "one\n");
    sim.run(ms(0));
    let client = sim.rich("10.0.0.2:1", "rick");
    assert_eq!(
        sim.lines(client).0[3..],
        [
            "HISTORY 1700001000250 1 -",
            "LIVE",
            &format!("JOIN - rick@10.0.0.2:1 - {}", sim.short_key(client))
        ]
    );
}

/// A newcomer starts behind the others. Messages in the very turn of its HELLO must not overrun it.
#[test]
fn a_newcomer_is_not_overrun_in_its_first_turn() {
    let mut sim = Sim::new(Limits {
        history: 1000,
        ..limits()
    });
    let client = sim.connect("10.0.0.2:1");
    let talkers: Vec<_> = (1..=100)
        .map(|port| sim.connect(&format!("10.0.0.1:{port}")))
        .collect();
    sim.send(talkers[0], &format!("{}\n", "x".repeat(4000)).repeat(300));
    sim.run(ms(0));
    sim.send(client, "HELLO 1 rick - -\n");
    while sim.peers[client].channel.is_none() {
        sim.turn();
    }
    for &talker in &talkers {
        sim.send(talker, &format!("{}\n", "y".repeat(4000)).repeat(4));
    }
    sim.run(ms(10_000));
    assert_eq!(sim.departure("rick@10.0.0.2:1"), None);
    let lines = sim.lines(client).0;
    assert_eq!(lines.iter().filter(|line| line.contains("yyyy")).count(), 400);
}
