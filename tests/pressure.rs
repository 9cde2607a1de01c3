//! Slow readers, vanished clients, and a log that nobody reads.

use crate::harness::{Feed, Plain, Server, Wire, pseudo_terminal};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::io::{PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;

/// Far more lines than the buffers of the server and of the sockets hold.
const FLOOD_MAX: usize = 50_000;
const FLOOD_LINE: usize = 2_000;
const FAST: [&str; 4] = ["--rate", "1000000", "--burst", "1000000"];

/// Sends bursts of lines until a user is disconnected. All readers receive each burst before the next is sent.
#[track_caller]
fn flood_until_gone(server: &Server, talker: &mut Plain, others: &mut [&mut Plain], gone: &str) {
    let filler = "x".repeat(FLOOD_LINE);
    let about = format!(" leave {gone} ");
    let mut said = 0;
    while server.log().with(&about).is_empty() {
        let burst = said..said + 100;
        talker.send(
            burst
                .clone()
                .map(|n| format!("{n} {filler}\n"))
                .collect::<String>(),
        );
        let id = talker.id().to_owned();
        expect_flood(talker, &id, burst.clone(), &filler);
        for other in others.iter_mut() {
            expect_flood(other, &id, burst.clone(), &filler);
        }
        said = burst.end;
        assert!(said < FLOOD_MAX, "{gone} reads nothing and is not let go");
    }
    let line = server.log().expect(&about);
    assert!(
        line.contains("reason=slow") && line.contains(" behind="),
        "{line:?}"
    );
}

/// Checks that a disconnected user received the beginning of the flood in whole lines.
#[track_caller]
fn assert_beginning_of_flood(numbers: &[usize]) {
    assert!(numbers.iter().copied().eq(0..numbers.len()), "{numbers:?}");
    assert!(!numbers.is_empty());
}

/// Checks that exactly these messages arrive, among other lines.
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
fn a_stopped_reader_is_disconnected_and_others_lose_nothing() {
    let server = Server::start(&FAST);
    let mut talker = server.plain("talker");
    let mut reader = server.plain("reader");
    let mut stuck = Plain::join(Wire::connect_narrow("stuck", server.address, &server.journal));
    let stuck_id = stuck.id().to_owned();
    flood_until_gone(&server, &mut talker, &mut [&mut reader], &stuck_id);

    // A reader that continues soon finds whole lines in order, and the reason of the disconnect.
    let heard = stuck.until_end();
    let number = |line: &String| line.strip_prefix("from ")?.split(' ').nth(1)?.parse().ok();
    assert_beginning_of_flood(&heard.iter().filter_map(number).collect::<Vec<_>>());
    let farewell = heard.last().unwrap();
    assert!(
        farewell.starts_with("* ") && farewell.contains("slow"),
        "{farewell:?}"
    );

    talker.line("who is left?");
    talker.expect("who is left?");
    let heard = reader.until("who is left?");
    assert!(
        !heard[..heard.len() - 1]
            .iter()
            .any(|line| line.starts_with("from ")),
        "{heard:?}"
    );
    assert_eq!(server.log_so_far("reason=slow").len(), 1);
}

#[test]
fn a_stopped_rich_reader_is_told_why_it_was_disconnected() {
    let server = Server::start(&FAST);
    let mut talker = server.plain("talker");
    let mut stuck = server.rich("stuck");
    let who = stuck.who.clone();
    flood_until_gone(&server, &mut talker, &mut [], &who);
    let heard = stuck.until_end_without_answering();
    let number = |line: &String| line.strip_prefix("SAID ")?.split(' ').nth(2)?.parse().ok();
    assert_beginning_of_flood(&heard.iter().filter_map(number).collect::<Vec<_>>());
    let farewell = heard.last().unwrap();
    assert!(farewell.starts_with("GOODBYE slow "), "{farewell:?}");
    talker.sync("all is well");
}

#[test]
fn a_stopped_client_delays_nobody() {
    let server = Server::start(&FAST);
    let client = server.client("stopped");
    client.signal(Signal::SIGSTOP);
    let mut talker = server.plain("talker");
    let mut reader = server.plain("reader");
    let who = format!("stopped@{}", client.id());
    flood_until_gone(&server, &mut talker, &mut [&mut reader], &who);
    client.signal(Signal::SIGCONT);
}

#[test]
fn a_client_that_never_reads_its_answers_delays_nobody() {
    let server = Server::start(&FAST);
    let mut alice = server.plain("alice");
    let mut asker = Plain::join(Wire::connect_narrow("asker", server.address, &server.journal));
    let questions = "/help\n/who\n/nick -\n".repeat(1000);
    // The server may stop reading from this client, or disconnect it. Both are correct.
    asker.limit_send_time();
    while asker.try_send(questions.as_bytes()).is_ok() && server.log().with("reason=slow").is_empty() {}
    alice.sync("all is well");
    let mut bob = server.plain("bob");
    bob.sync("quite so");
}

#[test]
fn a_storm_of_resets_leaves_the_room_unchanged() {
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

/// Fills a pipe, so that writes to it block.
fn fill(pipe: &mut PipeWriter) {
    let is_writable = |pipe: &PipeWriter| {
        let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
    };
    // A pipe counts as writable while this many bytes fit (POSIX, PIPE_BUF).
    while is_writable(pipe) {
        pipe.write_all(&[b'.'; 4096]).unwrap();
    }
}

#[test]
fn a_log_that_nobody_reads_blocks_nothing() {
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

/// Causes far more log lines than are buffered, and only then reads the log.
#[track_caller]
fn expect_count_of_what_is_left_out(log: Stdio, reader: impl Read + Send + 'static) {
    const RENAMES: usize = 10_000;
    let server = Server::start_logging_to(log, &["--rate", "0"]);
    let mut alice = server.plain("alice");
    for from in (0..RENAMES).step_by(100) {
        let renames: String = (from..from + 100).map(|n| format!("/nick alice{n}\n")).collect();
        alice.send(renames);
        alice.expect(&format!(" is now alice{}@", from + 99));
    }
    let log = Feed::new("server", "log", &server.journal);
    log.fill_from(reader);
    // Once some buffered lines are read, there is room for the count of the others.
    assert!(log.wait(|lines, _| (lines.len() > 1000).then_some(())).is_some());
    let bob = server.plain("bob");
    log.expect(&format!(" join {} ", bob.id()));
    let said = log.with(" log left-out=");
    let [said] = said.as_slice() else {
        panic!("{said:?}")
    };
    let (_, count) = said.split_once('=').unwrap();
    // A terminal adds a carriage return.
    let left_out: usize = count.trim_end().parse().unwrap();
    let kept = log.with(" now alice").len();
    assert_eq!(kept + left_out, RENAMES, "{left_out} are counted as left out");
}

#[test]
fn lines_left_out_of_an_unread_log_are_counted() {
    let (reader, writer) = std::io::pipe().unwrap();
    expect_count_of_what_is_left_out(Stdio::from(writer), reader);
}

#[test]
fn lines_left_out_of_a_stopped_terminal_log_are_counted() {
    let (window, terminal) = pseudo_terminal();
    expect_count_of_what_is_left_out(Stdio::from(terminal), window);
}

#[test]
fn a_closed_log_blocks_nothing() {
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
