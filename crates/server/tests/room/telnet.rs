//! Telnet clients: their commands, their ends of lines, and keys that come one by one.

use crate::sim::{Sim, limits, ms};

fn said(texts: &[&str]) -> Vec<String> {
    texts
        .iter()
        .map(|text| format!("from 10.0.0.1:1001: {text}"))
        .collect()
}

/// A watcher, and a telnet client that nothing is said of yet.
fn watched(sim: &mut Sim) -> (usize, usize) {
    let watcher = sim.plain("10.0.0.2:1001");
    let client = sim.plain("10.0.0.1:1001");
    sim.news(watcher);
    (watcher, client)
}

/// What PuTTY begins with: window size, terminal speed and type, environment, echo, no go-ahead.
const NEGOTIATION: &[u8] =
    b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03";
const REFUSALS: &[u8] =
    b"\xff\xfe\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfc\x01\xff\xfe\x03\xff\xfc\x03";

/// The commands with an option among what a client has received.
fn commands(received: &[u8]) -> Vec<u8> {
    let begins = |&at: &usize| received[at] == 0xff;
    let commands = (0..received.len()).filter(begins);
    commands.flat_map(|at| &received[at..at + 3]).copied().collect()
}

#[test]
fn options_are_refused_and_only_text_is_said() {
    let stream = [
        NEGOTIATION,
        b"one\r\n",
        b"\xff\xfa\x1f\0\x50\0\n\xff\xf0",
        b"two\r\n",
    ]
    .concat();
    for cut in 0..=stream.len() {
        let mut sim = Sim::new(limits());
        let (watcher, client) = watched(&mut sim);
        let before = sim.peers[client].received.len();
        for piece in [&stream[..cut], &stream[cut..]] {
            sim.send_bytes(client, piece);
            sim.run(ms(10));
        }
        assert_eq!(sim.news(watcher), said(&["one", "two"]), "cut at {cut}");
        let received = &sim.peers[client].received[before..];
        assert_eq!(commands(received), REFUSALS, "cut at {cut}");
    }
}

#[test]
fn a_client_that_only_negotiates_joins_silently() {
    let mut sim = Sim::new(limits());
    let watcher = sim.plain("10.0.0.2:1001");
    let client = sim.connect("10.0.0.1:1001");
    sim.send_bytes(client, NEGOTIATION);
    sim.run(ms(249));
    assert_eq!(sim.news(watcher), [""; 0]);
    assert!(sim.peers[client].received.ends_with(REFUSALS));
    sim.run(ms(5000));
    assert_eq!(sim.news(watcher), ["10.0.0.1:1001 is online"]);
}

#[test]
fn an_endless_negotiation_is_answered_32_times() {
    let mut sim = Sim::new(limits());
    let (watcher, client) = watched(&mut sim);
    let before = sim.peers[client].received.len();
    for _ in 0..100 {
        sim.send_bytes(client, &b"\xff\xfd\x01".repeat(1000));
        sim.run(ms(1));
    }
    assert_eq!(sim.peers[client].received[before..], b"\xff\xfc\x01".repeat(32));
    sim.run(ms(5000));
    assert_eq!(sim.news(watcher), [""; 0]);
}

#[test]
fn cr_nul_ends_a_line_wherever_it_is_cut() {
    let stream = b"one\r\0two\r\0";
    let pauses = (0..=stream.len()).map(|cut| (cut, 0));
    let between_words = [3, 4, 5, 8, 9].map(|cut| (cut, 2000));
    for (cut, pause) in pauses.chain(between_words) {
        let mut sim = Sim::new(limits());
        let (watcher, client) = watched(&mut sim);
        for piece in [&stream[..cut], &stream[cut..]] {
            sim.send_bytes(client, piece);
            sim.run(ms(pause));
        }
        assert_eq!(
            sim.news(watcher),
            said(&["one", "two"]),
            "cut at {cut}, {pause} ms"
        );
    }
}

#[test]
fn a_client_of_the_rich_dialect_is_no_telnet_client() {
    let mut sim = Sim::new(limits());
    let watcher = sim.plain("10.0.0.2:1001");
    let client = sim.rich("10.0.0.1:1001", "alice");
    sim.news(watcher);
    let before = sim.peers[client].received.len();
    sim.send_bytes(client, b"SAY 1 a\xff\xfd\x01b\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(watcher),
        ["from alice@10.0.0.1:1001: a\u{fffd}\u{fffd}\u{2401}b"]
    );
    assert!(!sim.peers[client].received[before..].contains(&0xff));
}

#[test]
fn keys_that_come_one_by_one_are_one_message() {
    for end in ["\r\n", "\r\0"] {
        let mut sim = Sim::new(limits());
        let (watcher, client) = watched(&mut sim);
        for key in ["h", "e", "l", "l", "o", " ", "ж", "中", end] {
            sim.send(client, key);
            sim.run(ms(150));
        }
        assert_eq!(sim.news(watcher), said(&["hello ж中"]));
    }
}

/// A slow link puts keys together, and a paste may end within a line. No client that negotiates sends whole texts.
#[test]
fn what_a_telnet_client_sends_together_need_not_be_a_whole_text() {
    let mut sim = Sim::new(limits());
    let rick = sim.rich("10.0.0.9:1", "rick");
    let (watcher, client) = watched(&mut sim);
    sim.send_bytes(client, NEGOTIATION);
    for keys in ["hel", "lo", "\r\n", "wor", "ld"] {
        sim.send(client, keys);
        sim.run(ms(150));
    }
    sim.run(ms(1000));
    assert_eq!(sim.news(watcher), said(&["hello", "world"]));
    assert!(
        !sim.news(rick)
            .contains(&"USER 10.0.0.1:1001 10.0.0.1:1002 -".to_owned())
    );
}

#[test]
fn keys_without_an_end_of_line_are_a_message_after_1_s() {
    let mut sim = Sim::new(limits());
    let (watcher, client) = watched(&mut sim);
    for key in ["h", "i"] {
        sim.send(client, key);
        sim.run(ms(150));
    }
    sim.run(ms(849));
    assert_eq!(sim.news(watcher), said(&[]));
    sim.run(ms(1));
    assert_eq!(sim.news(watcher), said(&["hi"]));
}
