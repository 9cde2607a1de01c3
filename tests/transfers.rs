//! Files between two pairs of users at once, while clients are killed and paths change: in a network of their own.

mod figures;
mod network;
mod pair;
mod user;

use crate::harness::{Chance, Journal, Process, chat_client, chat_server, part_of};
use figures::Figures;
use pair::{Pair, ROUND};
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;
use user::{DIRECTORY, User};

const TEST: &str = "transfers::files_survive_kills_and_changed_paths";
/// Set in the network.
const INSIDE: &str = "CHAT_INSIDE";
/// At full size.
const FILES: usize = 1000;

#[test]
#[ignore = "it takes minutes: scripts/storm runs it"]
fn files_survive_kills_and_changed_paths() {
    if std::env::var_os(INSIDE).is_some() {
        return storm();
    }
    // They can't be built in there.
    let _ = (chat_client(), chat_server());
    let unshare = ["--user", "--map-root-user", "--net", "--mount", "sh", "-c"];
    let trial = "mount -t tmpfs none /run && ip netns add trial && nft add table ip trial";
    let works = Command::new("unshare").args(unshare).arg(trial).output();
    if !works.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this system makes no network namespaces, or ip or nft is missing");
        return;
    }
    let mut child = Command::new("unshare")
        .args(unshare)
        .arg("mount -t tmpfs none /run; exec \"$0\" \"$@\" 2>&1")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", TEST, "--nocapture", "--ignored"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        println!("{}", line.unwrap());
    }
    assert!(child.wait().unwrap().success());
}

fn storm() {
    fs::create_dir(DIRECTORY).unwrap();
    network::build();
    let mut chance = Chance::new();
    let journal = Journal::new();
    let mut server = Command::new(chat_server());
    server
        .args([network::SERVER, "9000", "--no-announce"])
        .env("XDG_STATE_HOME", DIRECTORY);
    let server = Process::start("server", &journal, &mut network::inside("srv", &server));
    server.stdout.expect("listening on ");
    let rounds = part_of(FILES).div_ceil(2 * ROUND);
    let began = Instant::now();
    let is_over = AtomicBool::new(false);
    let total = Mutex::new(Figures::default());
    thread::scope(|scope| {
        for (name, users) in [
            ("first", [("alice", "a"), ("bob", "b")]),
            ("second", [("carol", "c"), ("dave", "d")]),
        ] {
            let (journal, chance, is_over, total) = (&journal, chance.split(), &is_over, &total);
            scope.spawn(move || {
                let _guard = Guard(is_over);
                let users = users.map(|(name, host)| User::new(name, host, journal));
                let mut pair = Pair::new(name, users, journal, chance, is_over);
                for round in 1..=rounds {
                    pair.round();
                    println!(
                        "{} s, round {round} of {rounds}, {name} pair: {}",
                        began.elapsed().as_secs(),
                        pair.figures
                    );
                }
                total.lock().unwrap().add(pair.end());
            });
        }
    });
    println!(
        "{} s in all: {}",
        began.elapsed().as_secs(),
        total.lock().unwrap()
    );
    for sign in ["error", "panicked"] {
        assert_eq!(server.stderr.with(sign), [""; 0]);
    }
}

/// Ends the other pair too if one fails.
struct Guard<'a>(&'a AtomicBool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}
