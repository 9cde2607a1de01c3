//! The log of the server, and that of a client.

use crate::harness::{
    Client, SERVER_STATE, Server, chat_client, chat_server, client_command, with_environment,
};
use nix::sys::signal::Signal;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Checks the time at the beginning of a line, and returns the rest.
#[track_caller]
fn after_time(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
    let pattern = "dddd-dd-ddTdd:dd:dd";
    let fits = |(pattern, c): (char, char)| {
        if pattern == 'd' {
            c.is_ascii_digit()
        } else {
            c == pattern
        }
    };
    assert!(
        time.len() > pattern.len() && pattern.chars().zip(time.chars()).all(fits),
        "{line:?}"
    );
    assert!(time.ends_with('Z'), "{line:?} is not in UTC");
    rest
}

#[test]
fn the_log_holds_every_join_and_leave_with_its_reason() {
    let mut server = Server::start(&["--max-users", "3"]);
    let mut bob = server.plain("bob");
    let id = bob.id().to_owned();
    let mut alice = server.rich("alice");
    let third = server.plain("third");
    server.connect("fourth").until_end();
    bob.line("/nick bob");
    bob.expect("is now");
    let third_id = third.id().to_owned();
    third.close();
    bob.expect(" is offline");
    bob.line("/quit");
    bob.until_end();
    server.log().expect("reason=quit");
    server.process.signal(Signal::SIGTERM);
    alice.until_end_without_answering();
    let alice_is = alice.who.clone();
    drop(alice);
    assert_eq!(server.process.exit_code(), 0);

    let log = server.log().lines();
    let log: Vec<_> = log.iter().map(|line| after_time(line)).collect();
    let index = |line: String| {
        let found: Vec<_> = (0..log.len()).filter(|&n| log[n] == line).collect();
        assert_eq!(found.len(), 1, "{line:?} in {log:#?}");
        found[0]
    };
    let order = [
        index(format!("join {id} dialect=plain users=1")),
        index(format!("join {alice_is} dialect=rich users=2")),
        index(format!("join {third_id} dialect=plain users=3")),
        index(format!("nick {id} now bob")),
        index(format!("leave {third_id} reason=closed users=2")),
        index(format!("leave bob@{id} reason=quit users=1")),
        index("stop signal=SIGTERM users=1".to_owned()),
    ];
    assert!(order.is_sorted(), "{log:#?}");
    let refusals: Vec<_> = log
        .iter()
        .filter(|line| line.starts_with("refuse 127.0.0.1"))
        .collect();
    assert_eq!(refusals.len(), 1, "{log:#?}");
    assert!(refusals[0].contains("reason=full"), "{refusals:?}");
}

#[test]
fn the_log_holds_no_message() {
    let server = Server::start(&[]);
    let mut alice = server.rich("alice");
    let mut bob = server.plain_named("bob");
    bob.send(b"said aloud\n/msg alice said privately\n/wrong said wrongly\n\x1b[31m\n");
    alice.expect("privately");
    bob.sync("said last");
    bob.close();
    alice.expect("LEAVE ");
    for word in ["said", "\x1b"] {
        assert_eq!(server.log_so_far(word), [""; 0]);
    }
}

#[test]
fn the_log_goes_on_when_a_full_disk_has_space_again() {
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("full-{}.log", std::process::id()));
    // The limit on the size of a file stands for the size of the disk.
    let mut shell = Command::new("sh");
    let script = "ulimit -S -f 1; exec \"$0\" 127.0.0.1 0 2>\"$1\"";
    shell
        .args(["-c", script])
        .arg(chat_server())
        .env("XDG_STATE_HOME", SERVER_STATE)
        .arg(&log);
    let mut server = Server::start_command(&mut shell);
    let user = |name: &str| {
        let mut user = server.plain(name);
        user.line("/quit");
        user.until_end();
    };
    for n in 0..20 {
        user(&format!("user{n}"));
    }
    let written = fs::read(&log).unwrap();
    assert!(
        written.len() < 1025 && !written.ends_with(b"\n"),
        "the disk is full"
    );
    let space = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(
        Pid::from_raw(server.process.id().as_raw()),
        Resource::Fsize,
        space,
    )
    .unwrap();
    user("last");
    server.stop();
    let log = fs::read_to_string(&log).unwrap();
    let events: Vec<_> = log
        .lines()
        .map(|line| after_time(line).split(' ').next().unwrap())
        .collect();
    let users = ["join", "leave"].repeat(21);
    assert_eq!(
        events,
        [&["listen", "code"], &users[..], &["stop"]].concat(),
        "{log}"
    );
}

/// Where a client of this test logs.
fn client_log(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

#[test]
fn a_client_logs_what_it_hears_and_says() {
    let server = Server::start(&[]);
    let path = client_log("client.log");
    let mut bob = server.client("bob");
    let mut alice = server.start_client("alice", &["--nick", "alice", "--log", path.to_str().unwrap()]);
    alice.wait_until_online("alice");
    alice.line("hello");
    bob.shows().expect(": hello");
    bob.line("/msg alice the key is under the mat");
    alice.expect_private(&format!("bob@{}", bob.id()), "the key is under the mat");
    alice.line("/msg bob got it");
    bob.expect_private(&format!("alice@{}", alice.id()), "got it");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    let log = fs::read_to_string(&path).unwrap();
    let (me, peer) = (alice.id(), bob.id());
    let private = |text: &str| log.lines().position(|line| line.ends_with(&format!("): {text}")));
    let said = log
        .lines()
        .position(|line| line.ends_with(&format!(" from alice@{me}: hello")));
    assert!(
        said.is_some() && said < private("the key is under the mat"),
        "{log}"
    );
    assert!(
        log.contains(&format!(" private from bob@{peer} (sealed, ")),
        "{log}"
    );
    assert!(
        log.contains(&format!(" * private to bob@{peer} (sealed")),
        "{log}"
    );
    assert!(private("the key is under the mat") < private("got it"), "{log}");
    assert!(
        log.lines()
            .all(|line| line.as_bytes()[..26].is_ascii() && line.as_bytes()[19] != b' ')
    );
}

#[test]
fn a_full_disk_is_told_once_and_leaves_whole_lines() {
    let server = Server::start(&[]);
    let path = client_log("full.log");
    let mut watcher = server.plain("watcher");
    // A file may have 1,024 bytes at most; without the trap, the system would end the client instead.
    let shell = format!(
        "trap '' XFSZ; ulimit -f 2; exec {} \"$@\"",
        chat_client().display()
    );
    let mut command = with_environment("sh", &client_command());
    command
        .args(["-c", &shell, "sh", "--log"])
        .arg(&path)
        .arg(server.address.to_string());
    let mut alice = Client::start_command("alice", &mut command, &server.journal);
    alice.complains().expect("you are");
    for n in 0..40 {
        alice.line(&format!("this is line {n}"));
        watcher.expect(&format!("this is line {n}"));
    }
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    let told = alice.complains().with("can't write the log ");
    assert_eq!(told.len(), 1, "{told:?}");
    let log = fs::read_to_string(&path).unwrap();
    assert!(
        log.len() <= 2048 && log.ends_with('\n') && log.contains("this is line 1"),
        "{log}"
    );
}
