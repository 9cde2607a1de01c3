//! Files between two sessions, with real disks.

use super::private_messages::{alice, alice_with, bob, bob_with, carry, key_of};
use super::*;
use crate::files::disk::Disk;
use crate::files::request::{Answer, Handle, Request};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Alice sends to bob, who receives into a directory.
struct Pair {
    sims: [Sim; 2],
    disks: [Disk; 2],
    directory: PathBuf,
    shown: [Vec<String>; 2],
    /// Requests that each disk has not answered.
    unanswered: [BTreeMap<Handle, usize>; 2],
    /// No datagram arrives: the server relays.
    is_relayed: bool,
}

const ALICE: usize = 0;
const BOB: usize = 1;

impl Pair {
    fn new(test: &str) -> Self {
        Self::with(test, FilesFrom::Ask)
    }

    /// Alice has offered a file of one byte, `a.txt`.
    fn offering(test: &str) -> Self {
        let mut pair = Self::new(test);
        let path = pair.source("a.txt", b"a");
        pair.send(&path);
        pair.wait(BOB, "offers you");
        pair
    }

    fn with(test: &str, from: FilesFrom) -> Self {
        Self::of(test, from, [alice(), bob()])
    }

    fn of(test: &str, from: FilesFrom, mut sims: [Sim; 2]) -> Self {
        let directory = std::env::temp_dir().join(format!("chat-session-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("in")).unwrap();
        for sim in &mut sims {
            sim.session.set_receive_room(1 << 20);
            sim.session.set_files(FileOptions {
                directory: Some(directory.join("in")),
                from,
                home: None,
                first_id: 7,
            });
        }
        Self {
            sims,
            disks: [Disk::start(None).unwrap(), Disk::start(None).unwrap()],
            directory,
            shown: [Vec::new(), Vec::new()],
            unanswered: [BTreeMap::new(), BTreeMap::new()],
            is_relayed: false,
        }
    }

    fn source(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.directory.join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn kept(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.join("in").join(name)).unwrap()
    }

    /// One turn of both clients; a millisecond passes.
    fn turn(&mut self) {
        let [alice, bob] = &mut self.sims;
        if self.is_relayed {
            while alice.session.next_datagram().is_some() || bob.session.next_datagram().is_some() {}
        } else {
            carry(alice, bob);
        }
        relay(alice, ME, bob);
        relay(bob, BOB_IS, alice);
        let sides = self.sims.iter_mut().zip(&self.disks);
        for ((sim, disk), unanswered) in sides.zip(&mut self.unanswered) {
            sim.ms += 1;
            let now = sim.now();
            sim.session.tick(now);
            while let Some((handle, answer)) = disk.next_answer() {
                match (&answer, unanswered.get_mut(&handle)) {
                    (Answer::Progress(_), _) | (_, None) => {}
                    (Answer::Failed(..), _) | (_, Some(1)) => _ = unanswered.remove(&handle),
                    (_, Some(count)) => *count -= 1,
                }
                sim.session.file_answer(handle, answer, now);
            }
            if sim.session.datagrams_waiting() == 0 {
                sim.session.send_pieces(now);
            }
            while let Some((handle, request)) = sim.session.next_file_request() {
                if !matches!(
                    request,
                    Request::Restart | Request::Close | Request::Discard | Request::RemovePart(_)
                ) {
                    *unanswered.entry(handle).or_default() += 1;
                }
                disk.ask(handle, request);
            }
        }
        // The clock of the sessions stands still while a disk works, and not for long if it does not answer.
        if self.unanswered.iter().any(|requests| !requests.is_empty()) {
            let mut fds = self
                .disks
                .each_ref()
                .map(|disk| PollFd::new(disk.as_fd(), PollFlags::POLLIN));
            poll(&mut fds, PollTimeout::from(100_u8)).unwrap();
        }
        for (sim, shown) in self.sims.iter_mut().zip(&mut self.shown) {
            for event in sim.shown() {
                match event {
                    Event::File(news) => shown.push(about_file(&news, crate::format::name).to_string()),
                    Event::Error(_, text) | Event::Notice(text) | Event::Answer(text) => {
                        shown.push(text.to_string())
                    }
                    _ => {}
                }
            }
        }
    }

    /// Waits until this is shown to one of them.
    #[track_caller]
    fn wait(&mut self, who: usize, text: &str) -> String {
        for _ in 0..200_000 {
            if let Some(line) = self.shown[who].iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            self.turn();
        }
        panic!("no {text:?}: {:?}", self.shown);
    }

    fn type_line(&mut self, who: usize, line: &str) {
        self.sims[who].type_line(line);
    }

    /// Alice types it.
    fn send(&mut self, path: &str) {
        self.type_line(ALICE, &format!("/send bob {path}"));
    }
}

const BOB_IS: &str = "bob@10.0.0.2:6000";

/// The server passes on what a client wants relayed, and answers.
fn relay(from: &mut Sim, who: &str, to: &mut Sim) {
    for line in from.sent().lines() {
        if let Some((_, bytes)) = line.strip_prefix("RELAY ").and_then(|rest| rest.split_once(' ')) {
            to.hear(&format!("RELAY {who} {bytes}\n"));
        }
        if let Some(number) = line.strip_prefix("PING ") {
            from.hear(&format!("PONG {number}\n"));
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn a_file_arrives_byte_for_byte() {
    let mut pair = Pair::new("arrives");
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .map(|place| place.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let path = pair.source("report.pdf", &bytes);
    pair.send(&path);
    let offer = pair.wait(BOB, "offers you a file");
    assert_eq!(
        offer,
        "alice offers you a file: report.pdf (5.0 MB); /accept 1 receives it, /decline 1 does not"
    );
    pair.type_line(BOB, "/accept");
    assert_eq!(
        pair.wait(BOB, "is complete"),
        format!(
            "report.pdf (5.0 MB) from alice is complete: {}/in/report.pdf",
            pair.directory.display()
        )
    );
    assert_eq!(pair.wait(ALICE, "bob has"), "bob has report.pdf (5.0 MB)");
    assert!(pair.kept("report.pdf") == bytes);
    assert_eq!(pair.sims[BOB].session.files_under_way(), []);
}

#[test]
fn progress_has_a_rate_and_the_time_left() {
    let mut pair = Pair::new("progress");
    let path = pair.source("big.bin", &vec![7; 60_000_000]);
    pair.send(&path);
    pair.wait(BOB, "offers you");
    pair.type_line(BOB, "/accept");
    let mut words = Vec::new();
    for _ in 0..100_000 {
        pair.turn();
        for who in [ALICE, BOB] {
            let files = pair.sims[who].session.files_under_way();
            words.extend(files.into_iter().map(|file| {
                format!(
                    "{}: {} {}",
                    crate::format::name(&file.who),
                    file.name,
                    file.progress
                )
            }));
        }
        if words.iter().any(|words| words.ends_with(" s")) {
            break;
        }
    }
    let last = words.last().unwrap();
    assert!(
        last.contains("big.bin ") && last.contains(" % ") && last.contains("B/s "),
        "{last}"
    );
    pair.type_line(BOB, "/cancel");
    pair.wait(ALICE, "bob declined file 1, big.bin");
    assert_eq!(pair.sims[ALICE].session.files_under_way(), []);
}

#[test]
fn a_peer_that_leaves_and_returns_goes_on() {
    let mut pair = Pair::new("returns");
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|place| place.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let path = pair.source("a.bin", &bytes);
    pair.send(&path);
    pair.wait(BOB, "offers you");
    pair.type_line(BOB, "/accept");
    pair.wait(ALICE, "accepted");
    for _ in 0..20 {
        pair.turn();
    }
    // Bob lost its connection: the server tells alice only.
    pair.sims[ALICE].hear("LEAVE - bob@10.0.0.2:6000\n");
    pair.wait(ALICE, "paused");
    pair.sims[ALICE].hear(&format!("JOIN - bob@10.0.0.2:6000 10.0.0.2:6001 {}\n", key_of(2)));
    pair.wait(ALICE, "bob has a.bin");
    assert!(pair.kept("a.bin") == bytes);
}

#[test]
fn a_taken_name_gets_a_number_and_another_name_may_be_given() {
    let mut pair = Pair::new("taken");
    fs::write(pair.directory.join("in/a.txt"), "mine").unwrap();
    let path = pair.source("a.txt", b"yours");
    pair.send(&path);
    pair.wait(BOB, "offers you");
    pair.type_line(BOB, "/accept 1");
    pair.wait(BOB, "a (2).txt (5 bytes) from alice is complete");
    pair.send(&path);
    pair.wait(BOB, "/accept 2 receives it");
    pair.type_line(BOB, "/accept 2 as b.txt");
    pair.wait(BOB, "b.txt (5 bytes) from alice is complete");
    assert_eq!(pair.kept("a.txt"), b"mine");
    assert_eq!(pair.kept("a (2).txt"), b"yours");
    assert_eq!(pair.kept("b.txt"), b"yours");
}

#[test]
fn a_declined_file_is_not_written() {
    let mut pair = Pair::offering("declined");
    pair.type_line(BOB, "/files");
    pair.wait(BOB, "1. from alice: a.txt (1 byte): offered to you");
    pair.type_line(BOB, "/decline");
    pair.wait(ALICE, "bob declined file 1, a.txt");
    assert_eq!(fs::read_dir(pair.directory.join("in")).unwrap().count(), 0);
}

#[test]
fn what_is_no_file_is_not_offered() {
    let mut pair = Pair::new("bad");
    fs::create_dir(pair.directory.join("dir")).unwrap();
    mkfifo(&pair.directory.join("fifo"), Mode::S_IRWXU).unwrap();
    for (name, reason) in [("dir", "directory"), ("fifo", "fifo"), ("missing", "missing")] {
        let path = pair.directory.join(name);
        pair.send(path.to_str().unwrap());
        pair.wait(ALICE, reason);
    }
    assert!(pair.shown[BOB].is_empty(), "{:?}", pair.shown);
}

#[test]
fn files_are_offered_to_users_with_keys_alone() {
    let mut pair = Pair::new("keys");
    let path = pair.source("a.txt", b"a");
    pair.type_line(ALICE, &format!("/send carol {path}"));
    pair.wait(ALICE, "not sent to carol: that user has no key");
    pair.type_line(ALICE, &format!("/send dave {path}"));
    pair.wait(ALICE, "not sent to dave: ");
    pair.type_line(ALICE, &format!("/send alice {path}"));
    pair.wait(ALICE, "not sent to alice: that is you");
}

#[test]
fn an_older_client_is_offered_nothing() {
    let mut alice = alice();
    alice.type_line("/send bob /etc/hostname");
    assert!(alice.session.next_file_request().is_none());
    for _ in 0..110 {
        alice.wait(100);
    }
    let failed = |event: &Event| matches!(event, Event::Error(_, text) if text.as_str().contains("can't receive files"));
    assert!(alice.shown().iter().any(failed));
}

#[test]
fn unwanted_files_are_refused_and_not_told_of() {
    for from in [FilesFrom::Off, FilesFrom::Verified] {
        let mut pair = Pair::with("unwanted", from);
        let path = pair.source("a.txt", b"a");
        pair.send(&path);
        pair.wait(ALICE, "files are not accepted there");
        assert!(pair.shown[BOB].is_empty());
        if from == FilesFrom::Verified {
            pair.type_line(BOB, "/verify alice yes");
            pair.send(&path);
            pair.wait(BOB, "offers you");
        }
    }
}

/// On another connection, another user may have the id. What the earlier one still had under way is not said by that one.
#[test]
fn what_a_former_user_said_is_not_of_the_next_one() {
    let mut alice = alice();
    let bob: chat_proto::id::UserId = "10.0.0.2:6000".parse().unwrap();
    let former = alice.session.roster().get(bob).cloned().unwrap();
    alice.hear("LEAVE - bob@10.0.0.2:6000\n");
    let key = |sim: &Sim, former| sim.session.file_key(bob, former).map(|key| key.to_string());
    assert_eq!(key(&alice, Some(&former)), Some(key_of(2)));
    alice.hear(&format!("JOIN - bob@10.0.0.2:6000 10.0.0.2:6001 {}\n", key_of(3)));
    assert_eq!(key(&alice, None), Some(key_of(3)));
    assert_eq!(key(&alice, Some(&former)), Some(key_of(2)));
}

#[test]
fn ignored_users_offer_nothing() {
    let mut pair = Pair::new("ignored");
    let path = pair.source("a.txt", b"a");
    pair.type_line(BOB, "/ignore alice");
    pair.send(&path);
    pair.wait(ALICE, "is offered to bob");
    for _ in 0..2000 {
        pair.turn();
    }
    assert!(pair.shown[BOB].is_empty(), "{:?}", pair.shown);
}

/// Such a server asks for it in its `WELCOME`; the user may ask for it too.
#[test]
fn a_server_that_carries_no_files_is_given_none() {
    for is_asked in [true, false] {
        let mut pair = Pair::new("no-files");
        pair.is_relayed = true;
        if is_asked {
            let mut sim = Sim::new(config());
            sim.hear(&format!(
                "* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0 no-files\n"
            ));
            pair.sims[ALICE].session.carries_files = sim.session.carries_files;
        }
        let path = pair.source("small.bin", &[1; 60_000]);
        pair.send(&path);
        pair.wait(BOB, "offers you");
        pair.type_line(BOB, "/accept 1");
        let line = pair.wait(ALICE, if is_asked { "failed" } else { "bob has small.bin" });
        if is_asked {
            let reason = "there is no direct path, and no files go through this server";
            assert_eq!(line, format!("file 1, small.bin, to bob: failed: {reason}"));
            pair.wait(BOB, reason);
            assert!((75_000..85_000).contains(&pair.sims[ALICE].ms));
        }
    }
}

#[test]
fn the_server_carries_small_files_slowly_and_no_large_ones() {
    let mut pair = Pair::new("relayed");
    pair.is_relayed = true;
    let small = pair.source("small.bin", &[1; 60_000]);
    let large = pair.source("large.bin", &[2; 9_000_000]);
    pair.type_line(ALICE, &format!("/send bob {large}"));
    pair.wait(BOB, "offers you");
    pair.type_line(BOB, "/accept 1");
    pair.type_line(ALICE, &format!("/send bob {small}"));
    pair.wait(BOB, "/accept 2 receives");
    pair.type_line(BOB, "/accept 2");
    let before = pair.sims[ALICE].ms;
    pair.wait(ALICE, "bob has small.bin");
    // 60,000 bytes are 53 pieces, of which 25 may go in a second.
    let took = pair.sims[ALICE].ms - before;
    assert!((1_000..10_000).contains(&took), "{took} ms");
    pair.wait(BOB, "large.bin, from alice: failed: there is no direct path");
    pair.wait(ALICE, "large.bin, to bob: failed: there is no direct path");
    assert!(pair.sims[ALICE].ms < 120_000);
    assert!(pair.kept("small.bin") == [1; 60_000]);
}

#[test]
fn an_offer_is_accepted_once_and_under_a_name_that_is_kept() {
    let mut pair = Pair::offering("accepts");
    for (typed, possible) in [
        ("../b.txt", "b.txt"),
        ("/etc/passwd", "passwd"),
        (".bashrc", "bashrc"),
        ("..", "file"),
        ("a:b", "a_b"),
        (&"x".repeat(255), &"x".repeat(200)),
    ] {
        pair.type_line(BOB, &format!("/accept 1 as {typed}"));
        pair.wait(BOB, &format!("; {possible} is possible"));
        pair.shown[BOB].clear();
    }
    pair.type_line(BOB, "/accept 2");
    pair.wait(BOB, "not accepted: no file has the number 2; /files lists all");
    pair.type_line(ALICE, "/accept 1");
    pair.wait(ALICE, "not accepted: file 1 is one that you send");
    pair.type_line(BOB, "/accept 1 as e\u{301}.txt");
    pair.type_line(BOB, "/accept 1 as b.txt");
    pair.wait(BOB, "not accepted: file 1 is accepted already");
    pair.wait(BOB, "\u{e9}.txt (1 byte) from alice is complete");
    pair.type_line(BOB, "/decline 1");
    pair.wait(BOB, "not declined: no file has the number 1");
    assert_eq!(fs::read_dir(pair.directory.join("in")).unwrap().count(), 1);
}

#[test]
fn an_offer_that_is_over_is_not_accepted() {
    let mut pair = Pair::new("over");
    let path = pair.source("a.txt", b"a");
    for (number, is_cancelled) in [(1, true), (2, false)] {
        pair.send(&path);
        pair.wait(BOB, &format!("/accept {number} receives it"));
        if is_cancelled {
            pair.type_line(ALICE, "/cancel");
            pair.wait(BOB, "alice cancelled file 1, a.txt");
        } else {
            for sim in &mut pair.sims {
                sim.ms += 600_000;
            }
            pair.wait(ALICE, "failed: no answer within 10 minutes");
            pair.wait(BOB, "failed: no answer within 10 minutes");
        }
        pair.type_line(BOB, &format!("/accept {number}"));
        pair.wait(BOB, &format!("not accepted: no file has the number {number}"));
    }
    assert_eq!(fs::read_dir(pair.directory.join("in")).unwrap().count(), 0);
}

#[test]
fn an_offer_is_accepted_while_its_sender_is_away() {
    let mut pair = Pair::offering("away");
    pair.sims[BOB].hear("LEAVE - alice@10.0.0.1:5000\n");
    pair.type_line(BOB, "/accept");
    pair.wait(BOB, "file 1, a.txt, from alice: paused until that user is back");
    pair.sims[BOB].hear(&format!(
        "JOIN - alice@10.0.0.1:5000 10.0.0.1:5001 {}\n",
        key_of(1)
    ));
    pair.wait(BOB, "a.txt (1 byte) from alice is complete");
    pair.wait(ALICE, "bob has a.txt");
}

/// The end of a session, its failed files, and the number of messages that were lost.
fn ended(pair: &mut Pair, who: usize) -> Outcome {
    for _ in 0..100_000 {
        if let Some(outcome) = pair.sims[who].session.outcome() {
            return outcome.clone();
        }
        pair.turn();
    }
    panic!("it does not end: {:?}", pair.shown);
}

impl Pair {
    fn end_input(&mut self, who: usize) {
        let now = self.sims[who].now();
        self.sims[who].session.end_input(now);
    }

    fn failed_files(&self, who: usize) -> usize {
        self.sims[who].session.failures().files
    }

    /// Alice sends 3 MB, which bob has accepted and of which some have arrived.
    fn moving(test: &str) -> Self {
        let mut pair = Self::new(test);
        let path = pair.source("a.bin", &vec![7; 3_000_000]);
        pair.send(&path);
        pair.wait(BOB, "offers you");
        pair.type_line(BOB, "/accept");
        pair.wait(ALICE, "accepted");
        for _ in 0..20 {
            pair.turn();
        }
        pair
    }
}

#[test]
fn the_end_of_the_input_waits_for_the_answer_and_the_file() {
    let mut pair = Pair::new("end");
    let path = pair.source("a.txt", b"a");
    pair.send(&path);
    pair.end_input(ALICE);
    pair.wait(BOB, "offers you");
    // Somebody thinks it over.
    for _ in 0..90_000 {
        pair.turn();
    }
    assert_eq!(pair.sims[ALICE].session.outcome(), None);
    pair.type_line(BOB, "/accept");
    assert_eq!(ended(&mut pair, ALICE), Outcome::Left);
    pair.wait(BOB, "is complete");
    assert_eq!(pair.failed_files(ALICE), 0);
}

#[test]
fn the_end_of_the_input_waits_for_a_file_that_is_received() {
    let mut pair = Pair::moving("end-received");
    pair.end_input(BOB);
    assert_eq!(ended(&mut pair, BOB), Outcome::Left);
    assert!(pair.kept("a.bin") == vec![7; 3_000_000]);
    // An offer that bob has not answered keeps nobody here.
    let mut pair = Pair::offering("end-offered");
    pair.end_input(BOB);
    let before = pair.sims[BOB].ms;
    assert_eq!(ended(&mut pair, BOB), Outcome::Left);
    assert!(pair.sims[BOB].ms < before + 2000);
}

#[test]
fn a_file_that_is_not_kept_is_a_failure() {
    let mut pair = Pair::new("failures");
    let path = pair.source("a.txt", b"a");
    for (line, told) in [
        ("/send carol PATH", "no key"),
        ("/send dave PATH", "not sent to dave"),
        ("/send bob PATHS", "no such file"),
    ] {
        pair.type_line(ALICE, &line.replace("PATH", &path));
        pair.wait(ALICE, told);
    }
    assert_eq!(pair.failed_files(ALICE), 3);
    for (offer, who, answer, told) in [
        ("/accept 1", BOB, "/decline", "bob declined file 2, a.txt"),
        ("/accept 2", ALICE, "/cancel", "file 3, a.txt, to bob: cancelled"),
    ] {
        pair.send(&path);
        pair.wait(BOB, offer);
        pair.type_line(who, answer);
        pair.wait(ALICE, told);
    }
    assert_eq!(pair.failed_files(ALICE), 5);
    pair.wait(BOB, "alice cancelled file 2, a.txt");
    pair.end_input(ALICE);
    assert_eq!(ended(&mut pair, ALICE), Outcome::Left);
}

#[test]
fn a_file_that_fails_while_its_receiver_is_away_is_told_of() {
    let mut pair = Pair::new("failed-away");
    let path = pair.source("a.txt", b"a");
    pair.send(&path);
    pair.wait(BOB, "offers you");
    // Bob's client is asked again whether it takes files; meanwhile its last file is over.
    pair.sims[ALICE].hear(&format!(
        "LEAVE - {BOB_IS}\nJOIN - {BOB_IS} 10.0.0.2:6001 {}\n",
        key_of(2)
    ));
    pair.send(&path);
    pair.type_line(ALICE, "/cancel 1");
    assert_eq!(pair.sims[ALICE].session.files.asking.len(), 1);
    while !pair.sims[ALICE].session.files.asking.is_empty() {
        pair.turn();
    }
    pair.sims[ALICE].hear(&format!("LEAVE - {BOB_IS}\n"));
    pair.type_line(ALICE, "/cancel 2");
    pair.wait(ALICE, "file 2, a.txt, to bob: cancelled");
    assert_eq!(pair.failed_files(ALICE), 2);
}

#[test]
fn at_the_end_a_peer_that_does_not_return_is_not_awaited_for_ever() {
    let mut pair = Pair::moving("end-gone");
    pair.end_input(ALICE);
    pair.sims[ALICE].hear("LEAVE - bob@10.0.0.2:6000\n");
    pair.wait(ALICE, "paused");
    let before = pair.sims[ALICE].ms;
    assert_eq!(ended(&mut pair, ALICE), Outcome::Left);
    let took = pair.sims[ALICE].ms - before;
    assert!((60_000..63_000).contains(&took), "{took} ms");
    pair.wait(ALICE, "not sent to bob@10.0.0.2:6000: a.bin is unfinished");
    assert_eq!(pair.failed_files(ALICE), 1);
}

#[test]
fn at_the_end_a_file_goes_on_without_the_server() {
    let mut pair = Pair::moving("end-server");
    pair.end_input(ALICE);
    let now = pair.sims[ALICE].now();
    pair.sims[ALICE].session.closed(now);
    assert!(pair.sims[ALICE].session.is_lost());
    assert_eq!(ended(&mut pair, ALICE), Outcome::Left);
    pair.wait(ALICE, "bob has a.bin");
    assert_eq!(pair.failed_files(ALICE), 0);
    // Without a file at the end, a lost connection is the end.
    let mut pair = Pair::moving("lost-server");
    let now = pair.sims[ALICE].now();
    pair.sims[ALICE].session.closed(now);
    assert_eq!(ended(&mut pair, ALICE), Outcome::Closed(None));
    assert_eq!(pair.failed_files(ALICE), 1);
}

#[test]
fn nothing_goes_through_the_server_if_one_side_forbids_it() {
    for side in [ALICE, BOB] {
        let direct = Options {
            direct_only: true,
            ..Options::default()
        };
        let sims = match side {
            ALICE => [alice_with(direct), bob()],
            _ => [alice(), bob_with(direct)],
        };
        let mut pair = Pair::of("direct", FilesFrom::Ask, sims);
        pair.is_relayed = true;
        let path = pair.source("a.txt", b"a");
        pair.send(&path);
        pair.wait(
            ALICE,
            "not sent to bob@10.0.0.2:6000: no answer: its client can't receive files, or can't be reached",
        );
        assert!(pair.shown[BOB].is_empty(), "{:?}", pair.shown);
    }
}
