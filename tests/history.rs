//! The history that newcomers receive.

use crate::harness::{Rich, Server};
use chat_proto::rich::FromServer;
use chat_proto::times::Times;
use std::time::{SystemTime, UNIX_EPOCH};

fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis()
        .try_into()
        .unwrap()
}

/// Joins, and returns the times and texts of the history.
#[track_caller]
fn past(server: &Server, name: &str) -> Vec<(u64, String)> {
    let user = Rich::hello(server.connect(name), &format!("HELLO 1 {name} - -"));
    let mut times = Times::default();
    let said = |line: &String| {
        let mut line = FromServer::parse(line).ok()?;
        let at = times.restore(&mut line)?;
        match line {
            FromServer::Said(_, _, text) => Some((at, text.to_string())),
            _ => None,
        }
    };
    user.past.iter().filter_map(said).collect()
}

#[test]
fn a_rich_newcomer_gets_the_last_lines_with_their_times() {
    let before = unix_ms();
    let server = Server::start(&[]);
    let mut talker = server.plain("talker");
    for n in 0..150 {
        talker.line(&format!("line {n}"));
    }
    talker.expect("line 149");
    let heard = past(&server, "late");
    let texts: Vec<_> = heard.iter().map(|(_, text)| text.clone()).collect();
    let expected: Vec<_> = (50..150).map(|n| format!("line {n}")).collect();
    assert_eq!(texts, expected);
    assert!(heard.is_sorted_by_key(|(at, _)| *at), "{heard:?}");
    assert!(
        heard.iter().all(|(at, _)| (before..=unix_ms()).contains(at)),
        "{heard:?}"
    );
}

#[test]
fn the_option_limits_the_history() {
    for (option, kept) in [("3", 3), ("0", 0)] {
        let server = Server::start(&["--history", option]);
        let mut talker = server.plain("talker");
        talker.send("one\ntwo\nthree\nfour\nfive\n");
        talker.expect("five");
        let texts: Vec<_> = past(&server, "late").into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["one", "two", "three", "four", "five"][5 - kept..]);
    }
}

#[test]
fn people_who_come_and_go_push_nothing_out_of_the_history() {
    let server = Server::start(&["--history", "3"]);
    let mut teacher = server.plain("teacher");
    teacher.line("the exam is moved");
    teacher.expect("the exam is moved");
    for _ in 0..55 {
        let student = server.plain("student");
        let id = student.id().to_owned();
        drop(student);
        teacher.expect(&format!("{id} is offline"));
    }
    let texts: Vec<_> = past(&server, "late").into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["the exam is moved"]);
}

#[test]
fn a_resumed_client_gets_every_message_from_where_it_stopped() {
    let server = Server::start(&["--history", "100", "--rate", "100000", "--burst", "100000"]);
    let mut talker = server.plain("talker");
    let carol = server.rich("carol");
    let (token, secret) = (carol.resume.clone(), carol.secret);
    drop(carol);
    talker.expect(" is offline");
    let lines: String = (0..130).map(|number| format!("line {number}\n")).collect();
    talker.send(lines);
    talker.expect("line 129");
    let resumed = |secret, hello: String| Rich::with_key(server.connect("carol"), secret, &hello);
    let back = resumed(secret, format!("HELLO 1 carol - {token} next=0"));
    let said = |user: &Rich| user.past.iter().filter(|line| line.starts_with("SAID ")).count();
    assert_eq!(said(&back), 130);
    // A stranger has no claim to more than the history.
    let stranger = resumed([3; 32], "HELLO 1 eve - AAECAwQFBgcICQoLDA0ODw next=0".into());
    assert_eq!(said(&stranger), 100);
}

#[test]
fn a_plain_newcomer_gets_no_history() {
    let server = Server::start(&[]);
    let mut talker = server.plain("talker");
    talker.line("before");
    talker.expect("before");
    let mut late = server.connect("late");
    late.send("\n");
    late.expect("* chat version 1: ");
    late.expect_next(&format!("{} is online", late.id().to_owned()));
    talker.line("after");
    late.expect_next(&format!("from {}: after", talker.id()));
}

#[test]
fn history_and_live_messages_join_without_gap_or_overlap() {
    let server = Server::start(&["--rate", "100000", "--burst", "100000", "--history", "5000"]);
    let mut talker = server.plain("talker");
    let flood: String = (0..2000).map(|n| format!("line {n}\n")).collect();
    talker.send(&flood[..flood.len() / 2]);
    let mut late = Rich::hello(server.connect("late"), "HELLO 1 late - -");
    talker.send(&flood[flood.len() / 2..]);
    let live = late.until("line 1999");
    let said: Vec<_> = late
        .past
        .iter()
        .chain(&live)
        .filter(|line| line.starts_with("SAID "))
        .collect();
    let number = |line: &&String| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap();
    let numbers: Vec<_> = said.iter().map(number).collect();
    assert!(numbers.iter().copied().eq(0..2000), "{numbers:?}");
}

#[test]
fn private_messages_are_not_in_the_history() {
    let server = Server::start(&[]);
    let mut alice = server.plain_named("alice");
    let mut bob = server.plain_named("bob");
    alice.line("/msg bob secret");
    bob.expect("secret");
    alice.line("aloud");
    alice.expect("aloud");
    let late = server.rich("late");
    assert!(late.past.iter().any(|line| line.contains("aloud")));
    assert!(
        !late.past.iter().any(|line| line.contains("secret")),
        "{:?}",
        late.past
    );
}
