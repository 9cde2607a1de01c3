//! Nicks: which are valid, and who may take them.

use crate::sim::{Sim, limits, ms};
use chat_server::event::{Departure, Event, Refusal};
use chat_server::member::End;

#[test]
fn a_nick_is_taken_announced_and_freed() {
    let mut sim = Sim::new(limits());
    let (alice, bob) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.news(alice);
    sim.send(alice, "/nick Alice\n");
    sim.run(ms(0));
    assert_eq!(sim.news(bob), ["10.0.0.1:1001 is now Alice@10.0.0.1:1001"]);
    sim.send(bob, "/nick ａlice\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(bob),
        ["* the nick ａlice is taken by Alice@10.0.0.1:1001"]
    );
    sim.send(alice, "/nick alice\n/nick alice\n/nick al\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(alice)[1..],
        [
            "Alice@10.0.0.1:1001 is now alice@10.0.0.1:1001",
            "* you are alice@10.0.0.1:1001 already",
            "alice@10.0.0.1:1001 is now al@10.0.0.1:1001",
        ]
    );
    sim.news(bob);
    sim.send(bob, "/nick al\n/nick Alice\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(bob),
        [
            "* the nick al is taken by al@10.0.0.1:1001",
            "10.0.0.2:1001 is now Alice@10.0.0.2:1001"
        ]
    );
    sim.send(alice, "/quit\n");
    sim.run(ms(0));
    sim.news(bob);
    sim.send(bob, "/nick al\n");
    sim.run(ms(0));
    assert_eq!(sim.news(bob), ["Alice@10.0.0.2:1001 is now al@10.0.0.2:1001"]);
}

#[test]
fn a_nick_that_looks_like_another_is_taken() {
    let mut sim = Sim::new(limits());
    let prof = sim.plain("10.0.0.1:1001");
    let other = sim.plain("10.0.0.2:1001");
    sim.send(prof, "/nick prof\n");
    sim.run(ms(0));
    sim.news(other);
    for nick in [
        "\u{440}rof",
        "pr\u{43E}f",
        "\u{3C1}rof",
        "\u{1D18}rof",
        "pro\u{192}",
        "Pr0f",
    ] {
        sim.send(other, &format!("/nick {nick}\n"));
        sim.run(ms(0));
        let refusal = format!("* the nick {nick} looks too much like prof@10.0.0.1:1001");
        assert_eq!(sim.news(other), [refusal]);
    }
    // The server writes to the user whose nick was typed, and to nobody who looks like it.
    sim.news(prof);
    sim.send(other, "/msg pr\u{43E}f hi\n/msg PROF hi\n");
    sim.run(ms(0));
    assert_eq!(sim.news(prof), ["private from 10.0.0.2:1001: hi"]);
    // One's own nick may be spelled anew, and the look before is free then.
    sim.send(prof, "/nick Pr\u{43E}f\n/nick I\n/nick doc\n");
    sim.send(other, "/nick pr0f\n/nick l\n");
    sim.run(ms(0));
    assert_eq!(sim.news(prof).len(), 5);
}

#[test]
fn numbered_nicks_are_free_beside_each_other() {
    let mut sim = Sim::new(limits());
    for number in 1..=40 {
        let client = sim.rich(&format!("10.0.0.{number}:1"), &format!("lab{number}"));
        let welcome = format!("WELCOME lab{number}@10.0.0.{number}:1 ");
        let lines = sim.lines(client).0;
        assert!(lines.iter().any(|line| line.starts_with(&welcome)), "{lines:?}");
    }
}

#[test]
fn a_nick_that_looks_like_a_reserved_word_is_rejected() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    sim.send(person, "/nick s\u{443}stem\n/nick y0u\n/nick l0.0.0.5\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(person),
        [
            "* that nick is reserved",
            "* that nick is reserved",
            "* a nick needs a letter and must not look like an address",
        ]
    );
}

#[test]
fn taking_the_same_nick_again_is_not_announced() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.9:1");
    let client = sim.rich("10.0.0.1:1001", "alice");
    sim.news(witness);
    sim.news(client);
    sim.send(client, "NICK alice\n");
    sim.send(witness, "/nick wes\n/nick wes\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(client),
        ["NICK - 10.0.0.9:1 wes", "NICK - alice@10.0.0.1:1001 alice"]
    );
    assert_eq!(
        sim.news(witness),
        [
            "10.0.0.9:1 is now wes@10.0.0.9:1",
            "* you are wes@10.0.0.9:1 already"
        ]
    );
}

#[test]
fn an_invalid_nick_is_an_error_with_its_cause() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    sim.send(person, "/nick a b\n/nick server\n/nick\n/nick 10.0.0.5\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(person),
        [
            "* a nick has no spaces",
            "* that nick is reserved",
            "* usage: /nick NAME",
            "* a nick needs a letter and must not look like an address",
        ]
    );
}

#[test]
fn a_hello_with_an_unavailable_nick_costs_an_error() {
    let mut sim = Sim::new(limits());
    sim.rich("10.0.0.1:1001", "alice");
    let second = sim.rich("10.0.0.2:1001", "ALICE");
    let lines = sim.lines(second).0;
    assert!(lines.contains(&"ERROR nick-taken - the nick ALICE is taken by alice@10.0.0.1:1001"));
    assert!(
        lines.contains(&&*format!("JOIN - 10.0.0.2:1001 - {}", sim.short_key(second))),
        "{lines:?}"
    );
    sim.send(second, "NICK -\nNICK bob\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(second),
        [
            "ERROR bad-nick - a nick can't have - there: it consists of letters, digits, _ and, after the first, - . '",
            "NICK - 10.0.0.2:1001 bob"
        ]
    );
}

#[test]
fn an_insisting_hello_is_rejected_without_announcement() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let alice = sim.rich("10.0.0.1:1002", "alice");
    sim.news(witness);
    for (nick, refusal) in [
        (
            "ALICE",
            "ERROR nick-taken - the nick ALICE is taken by alice@10.0.0.1:1002",
        ),
        ("server", "ERROR bad-nick - that nick is reserved"),
    ] {
        let other = sim.connect("10.0.0.2:1001");
        sim.send(other, &format!("HELLO 1 {nick} 5000 - insist\nSAY 1 hi\n"));
        sim.run(ms(0));
        let lines = sim.lines(other).0;
        assert_eq!(
            lines[1..],
            [
                refusal,
                "GOODBYE nick disconnected: the nick that you require is not available"
            ]
        );
        assert!(sim.peers[other].shut || sim.is_closed(other));
        let event = Event::Refuse {
            peer: "10.0.0.2:1001".parse().unwrap(),
            why: Refusal::Nick,
        };
        assert!(sim.events.contains(&event), "{:?}", sim.events);
        sim.end(other, End::Closed);
        sim.run(ms(1000));
        assert_eq!(sim.news(witness), [""; 0]);
    }
    // The nick is free again, so a client that insists on it gets it.
    sim.send(alice, "QUIT\n");
    sim.run(ms(0));
    sim.news(witness);
    let other = sim.connect("10.0.0.2:1001");
    sim.send(other, "HELLO 1 alice - - insist\n");
    sim.run(ms(0));
    assert_eq!(sim.news(witness), ["alice@10.0.0.2:1001 is online"]);
}

#[test]
fn a_late_insisting_hello_leaves_under_the_bare_id() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    sim.rich("10.0.0.1:1002", "alice");
    sim.news(witness);
    let other = sim.connect("10.0.0.2:1001");
    sim.run(ms(300));
    sim.send(other, "HELLO 1 alice - - insist\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(witness),
        ["10.0.0.2:1001 is online", "10.0.0.2:1001 is offline"]
    );
    assert_eq!(sim.departure("10.0.0.2:1001"), Some(Departure::Nick));
    assert!(
        sim.news(other)
            .contains(&"ERROR nick-taken - the nick alice is taken by alice@10.0.0.1:1002".into())
    );
}
