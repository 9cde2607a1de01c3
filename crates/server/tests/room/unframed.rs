//! Programs that send no line feeds, like the lab's original ones.

use crate::sim::{Reading, Sim, limits, ms};

fn said(texts: &[&str]) -> Vec<String> {
    texts
        .iter()
        .map(|text| format!("from 10.0.0.1:1001: {text}"))
        .collect()
}

#[test]
fn a_message_without_a_line_feed_is_one_after_30_ms() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    sim.send(person, "hello");
    sim.run(ms(29));
    assert_eq!(sim.news(person), said(&[]));
    sim.run(ms(1));
    assert_eq!(sim.news(person), said(&["hello"]));
    sim.send(person, "again");
    sim.run(ms(30));
    assert_eq!(sim.news(person), said(&["again"]));
}

/// The lab's original client receives datagrams. At `nc`, another program may have that port.
#[test]
fn only_a_program_without_line_feeds_has_an_address() {
    let mut sim = Sim::new(limits());
    let client = sim.rich("10.0.0.9:1", "rick");
    let users: Vec<_> = (1..=4).map(|n| sim.plain(&format!("10.0.0.{n}:1001"))).collect();
    sim.news(client);
    for (user, text) in users.iter().zip(["hello", "hello\n", "h", ""]) {
        sim.send(*user, text);
    }
    sim.run(ms(30));
    let announced = |sim: &mut Sim| {
        let mut lines = sim.news(client);
        lines.retain(|line| line.starts_with("USER "));
        lines
    };
    assert_eq!(announced(&mut sim), ["USER 10.0.0.1:1001 10.0.0.1:1002 -"]);
    let late = sim.connect("10.0.0.8:1");
    sim.send(late, "HELLO 1 - - -\n");
    sim.run(ms(0));
    let list = sim.news(late);
    let listed: Vec<&String> = list.iter().filter(|line| line.starts_with("USER")).collect();
    assert!(listed[0].starts_with("USERS ") && listed[0].contains(" 10.0.0.1:1001 - 10.0.0.2:1001 - "));
    assert_eq!(listed[1..], ["USER 10.0.0.1:1001 10.0.0.1:1002 -"]);

    sim.send(users[0], "again");
    sim.run(ms(30));
    assert_eq!(announced(&mut sim), [""; 0]);
    // It is no such program after all.
    sim.send(users[0], "with a line feed\nand more");
    sim.run(ms(1000));
    sim.send(users[0], "more");
    sim.run(ms(1000));
    assert_eq!(announced(&mut sim), ["USER 10.0.0.1:1001 - -"]);
}

#[test]
fn the_pieces_of_one_message_are_one_message() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    for piece in ["one", "long", "message"] {
        sim.send(person, piece);
        sim.run(ms(29));
    }
    sim.run(ms(1));
    assert_eq!(sim.news(person), said(&["onelongmessage"]));
}

#[test]
fn part_of_a_character_waits_1_s_and_is_never_cut() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    let text = "中文".as_bytes();
    sim.send_bytes(person, &text[..4]);
    sim.run(ms(900));
    assert_eq!(sim.news(person), said(&[]));
    sim.send_bytes(person, &text[4..]);
    sim.run(ms(30));
    assert_eq!(sim.news(person), said(&["中文"]));

    sim.send_bytes(person, &text[..4]);
    sim.run(ms(1000));
    assert_eq!(sim.news(person), said(&["中"]));
    let turns = sim.turns;
    sim.run(ms(60_000));
    assert_eq!(sim.turns, turns, "half a character alone wakes nobody");
    sim.send_bytes(person, &text[4..]);
    sim.run(ms(30));
    assert_eq!(sim.news(person), said(&["文"]));
}

#[test]
fn an_endless_line_with_pauses_is_one_error() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    let piece = "x".repeat(5000);
    for piece in [&*piece, "some more", &piece, "the rest"] {
        sim.send(person, piece);
        sim.run(ms(900));
    }
    let answer = "* not sent: a line has at most 4096 bytes";
    assert_eq!(sim.news(person), [answer]);
    sim.run(ms(100));
    sim.send(person, "again");
    sim.run(ms(30));
    assert_eq!(sim.news(person), said(&["again"]), "a second of silence ended it");
}

#[test]
fn after_a_whole_line_1_s_of_silence_ends_a_line() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    sim.send(person, "one\ntwo\n");
    sim.run(ms(0));
    sim.send(person, "thr");
    sim.run(ms(999));
    assert_eq!(sim.news(person), said(&["one", "two"]));
    sim.send(person, "ee\nfo");
    sim.run(ms(999));
    assert_eq!(sim.news(person), said(&["three"]));
    sim.run(ms(1));
    assert_eq!(sim.news(person), said(&["fo"]));
}

#[test]
fn a_paste_without_a_last_line_feed_changes_nothing() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    sim.send(person, "one\ntwo");
    sim.run(ms(30));
    assert_eq!(sim.news(person), said(&["one", "two"]));
}

/// A line that silence has ended waits like any other line until its sender reads.
#[test]
fn a_partial_line_waits_while_its_sender_does_not_read() {
    let mut sim = Sim::new(limits());
    let (person, other) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.peers[person].reading = Reading::Stopped;
    sim.peers[person].capacity = 1000;
    sim.send(person, &("/help\n".repeat(300) + "unended"));
    let is_heard = |sim: &Sim| sim.lines(other).0.contains(&"from 10.0.0.1:1001: unended");
    sim.run(ms(1000));
    assert!(!is_heard(&sim));
    sim.peers[person].reading = Reading::Freely;
    sim.run(ms(1000));
    assert!(is_heard(&sim));
}

#[test]
fn a_partial_line_at_the_end_is_a_message() {
    for (resets, framed) in [(false, ""), (false, "first\n"), (true, "")] {
        let mut sim = Sim::new(limits());
        let witness = sim.plain("10.0.0.2:1001");
        let person = sim.plain("10.0.0.1:1001");
        sim.send(person, framed);
        sim.run(ms(0));
        sim.news(witness);
        sim.send(person, "last words");
        sim.run(ms(1));
        if resets {
            sim.reset(person)
        } else {
            sim.half_close(person)
        }
        sim.run(ms(0));
        let mut expected = said(&["last words"]);
        expected.push("10.0.0.1:1001 is offline".into());
        assert_eq!(sim.news(witness), expected);
    }
}

/// A client always ends its lines, so a partial line is not what its user wrote.
#[test]
fn a_partial_line_of_a_reset_client_is_dropped() {
    for resets in [false, true] {
        let mut sim = Sim::new(limits());
        let witness = sim.plain("10.0.0.2:1001");
        let client = sim.rich("10.0.0.1:1001", "alice");
        sim.news(witness);
        sim.send(client, "SAY 1 whole\nSAY 2 do not pay the");
        sim.run(ms(2000));
        if resets {
            sim.reset(client)
        } else {
            sim.close(client)
        }
        sim.run(ms(0));
        assert_eq!(
            sim.news(witness),
            [
                "from alice@10.0.0.1:1001: whole",
                "alice@10.0.0.1:1001 is offline"
            ]
        );
    }
}
