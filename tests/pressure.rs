//! Readers who do not read, peers who vanish, a log that nobody reads.

use crate::harness::{Plain, Server, Wire};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::io::{PipeWriter, Write};
use std::os::fd::AsFd;
use std::process::Stdio;

/// More than the server keeps for anybody and the network holds on the way.
const FLOOD_LINES: usize = 12_000;
const FLOOD_LINE: usize = 2_000;
const FAST: [&str; 4] = ["--rate", "1000000", "--burst", "1000000"];

/// One user says a lot, and reads it all back; every piece of it is heard before the next is said.
#[track_caller]
fn flood(talker: &mut Plain, others: &mut [&mut Plain]) {
    let filler = "x".repeat(FLOOD_LINE);
    let mut said = 0;
    while said < FLOOD_LINES {
        let burst = 100;
        let lines: String = (said..said + burst).map(|n| format!("{n} {filler}\n")).collect();
        talker.send(lines);
        let id = talker.id().to_owned();
        expect_flood(talker, &id, said..said + burst, &filler);
        for other in others.iter_mut() {
            expect_flood(other, &id, said..said + burst, &filler);
        }
        said += burst;
    }
}

/// Exactly these messages come, among lines that are none.
#[track_caller]
fn expect_flood(user: &mut Plain, from: &str, numbers: std::ops::Range<usize>, filler: &str) {
    for number in numbers {
        let line = loop {
            let line = user
                .next_line()
                .unwrap_or_else(|| user.fail("a good reader was let go"));
            if line.starts_with("from ") {
                break line;
            }
        };
        assert!(
            line == format!("from {from}: {number} {filler}"),
            "not number {number}: {line:?}"
        );
    }
}

#[test]
fn a_reader_who_stops_is_let_go_and_nobody_else_loses_anything() {
    let server = Server::start(&FAST);
    let mut talker = server.plain("talker");
    let mut reader = server.plain("reader");
    let mut stuck = Plain::join(Wire::connect_narrow("stuck", server.address, &server.journal));
    let mut stuck_rich = server.rich("stuck");
    flood(&mut talker, &mut [&mut reader]);
    for who in [stuck.id().to_owned(), stuck_rich.who.clone()] {
        let line = server.log().expect(&format!(" leave {who} "));
        assert!(
            line.contains("reason=slow") && line.contains(" behind="),
            "{line:?}"
        );
    }
    talker.line("who is left?");
    let heard = reader.until("who is left?");
    talker.expect("who is left?");
    let gone = heard.iter().filter(|line| line.ends_with(" is offline")).count();
    assert!(gone <= 2, "{heard:?}");

    // Whoever reads on finds whole lines, in order, and why it was let go.
    let heard = stuck_rich.until_end_without_answering();
    let numbers = heard
        .iter()
        .filter_map(|line| line.split(' ').nth(3)?.parse::<usize>().ok());
    assert!(numbers.enumerate().all(|(place, number)| place == number));
    assert!(
        heard.last().is_some_and(|line| line.starts_with("GOODBYE slow ")),
        "{:?}",
        heard.last()
    );
    let heard = stuck.until_end();
    assert!(
        heard.last().is_some_and(|line| line.starts_with("* ")),
        "{:?}",
        heard.last()
    );
    assert_eq!(server.log_so_far("reason=slow").len(), 2);
}

#[test]
fn a_client_that_is_stopped_holds_up_nobody() {
    let server = Server::start(&FAST);
    let client = server.client("stopped");
    client.signal(Signal::SIGSTOP);
    let mut talker = server.plain("talker");
    let mut reader = server.plain("reader");
    flood(&mut talker, &mut [&mut reader]);
    server.log().expect_all(&[" leave stopped@", "reason=slow"]);
    client.signal(Signal::SIGCONT);
}

#[test]
fn one_who_asks_much_and_reads_nothing_of_the_answers_harms_nobody() {
    let server = Server::start(&FAST);
    let mut alice = server.plain("alice");
    let mut asker = Plain::join(Wire::connect_narrow("asker", server.address, &server.journal));
    let questions = "/help\n/who\n/nick -\n".repeat(1000);
    // The server may stop reading from one who does not read, or let go of such a user; both are fine.
    asker.lose_patience();
    while asker.try_send(questions.as_bytes()).is_ok() && server.log().with("reason=slow").is_empty() {}
    alice.sync("all is well");
    let mut bob = server.plain("bob");
    bob.sync("quite so");
}

#[test]
fn a_storm_of_users_who_vanish_leaves_the_room_as_it_was() {
    let server = Server::start(&FAST);
    let mut talker = server.plain("talker");
    for round in 0..5 {
        let storm: Vec<_> = (0..20).map(|n| server.plain(&format!("storm{n}"))).collect();
        talker.send("x\n".repeat(500));
        for (number, user) in storm.into_iter().enumerate() {
            if number % 2 == 0 {
                user.reset();
            } else {
                user.close();
            }
            talker.send("y\n".repeat(20));
        }
        talker.sync(&format!("round {round}"));
    }
    server.log().expect_count(100, " leave ");
    assert_eq!(server.log_so_far(" join ").len(), 101);
}

/// Fills a pipe, so that nobody can write to it until somebody reads.
fn fill(pipe: &mut PipeWriter) {
    let is_writable = |pipe: &PipeWriter| {
        let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
    };
    // A pipe is called writable while as much as this can be written without waiting (POSIX, PIPE_BUF).
    while is_writable(pipe) {
        pipe.write_all(&[b'.'; 4096]).unwrap();
    }
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fill(&mut writer);
    let mut server = Server::start_logging_to(Stdio::from(writer), &[]);
    let mut watcher = server.plain("watcher");
    for _ in 0..50 {
        let user = server.plain("user");
        user.close();
        watcher.expect(" is offline");
    }
    watcher.sync("all is well");
    drop(watcher);
    server.stop();
    drop(reader);
}

#[test]
fn a_log_that_is_closed_stops_nothing() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut server = Server::start_logging_to(Stdio::from(writer), &[]);
    drop(reader);
    let mut alice = server.plain("alice");
    server.plain("bob").close();
    alice.expect(" is offline");
    alice.sync("all is well");
    drop(alice);
    server.stop();
}
