//! Keys of users over several runs of the client: its own, and those that the user verified.

use crate::harness::{Client, FakeServer, Server, Stage, client_command};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const BOB: &str = "bob@10.0.0.2:6000";
const KEY: &str = "_yLjNzk4ixfLNX_4-OzT-Awe-R7QD9mr9g__QYX6GD4";
const OTHER_KEY: &str = "mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk";

/// An empty directory of the test's own, for what clients remember.
fn state(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

fn join(nick: &str, server: SocketAddr, state: &Path, journal: &crate::harness::Journal) -> Client {
    let mut command = client_command();
    command
        .args([server.ip().to_string(), server.port().to_string()])
        .args(["--nick", nick])
        .env("XDG_STATE_HOME", state);
    Client::start_command(nick, &mut command, journal)
}

/// Alice at a server that lists bob so.
fn alice_with(bob: &str, server: &FakeServer, state: &Path) -> (Client, crate::harness::Wire) {
    let alice = join("alice", server.address, state, &server.journal);
    let mut wire = server.accept_at(Stage::Welcomed);
    wire.line(&format!("USER {BOB} - {bob}"));
    wire.line("HISTORY -");
    wire.line("LIVE");
    alice.complains().expect("with you is");
    (alice, wire)
}

fn leave(mut alice: Client, mut wire: crate::harness::Wire) -> i32 {
    alice.end_input();
    let sent = wire.until("QUIT").concat();
    assert!(!sent.contains("WHISPER") && !sent.contains("psst"), "{sent}");
    wire.close();
    alice.exit_code()
}

#[test]
fn a_verified_user_stays_verified_over_runs() {
    let state = state("verified");
    let server = FakeServer::start();
    let (mut alice, wire) = alice_with(KEY, &server, &state);
    alice.line("/verify bob yes");
    alice.complains().expect("* bob@10.0.0.2:6000 is verified: ");
    assert_eq!(leave(alice, wire), 0);
    let file = state.join("chat/verified");
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{KEY} bob\n"));
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);

    for key in [OTHER_KEY, "-"] {
        let (mut alice, wire) = alice_with(key, &server, &state);
        alice
            .complains()
            .expect("* this may be somebody else: you verified bob, and this user has ");
        alice.line("/msg bob psst");
        alice
            .complains()
            .expect("* not sent to bob@10.0.0.2:6000: this may be somebody else: ");
        assert_eq!(leave(alice, wire), 5, "{key}");
    }

    let (mut alice, wire) = alice_with(KEY, &server, &state);
    alice.line("/who");
    alice.complains().expect("* bob@10.0.0.2:6000 (verified)");
    alice.line("/verify bob no");
    alice
        .complains()
        .expect("* bob@10.0.0.2:6000 is not verified any more");
    assert_eq!(leave(alice, wire), 0);
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}

#[test]
fn a_client_keeps_its_key_over_runs() {
    let (state, nowhere) = (state("client-key"), Path::new("/dev/null"));
    let server = Server::start(&[]);
    // Bob stays, and verifies alice.
    let mut bob = join("bob", server.address, nowhere, &server.journal);
    bob.wait_until_online("bob");
    let mut codes = Vec::new();
    let time = state.join("chat/client-key-time");
    for run in 0..3 {
        if run == 1 {
            // The clock of the run before was far ahead.
            fs::write(&time, "9999999999999\n").unwrap();
        }
        let mut alice = join("alice", server.address, &state, &server.journal);
        alice.wait_until_online("alice");
        bob.shows().expect(&format!("alice@{} is online", alice.id()));
        bob.line("/verify alice");
        codes.push(
            bob.complains()
                .expect("your code with alice@")
                .split_once(": ")
                .unwrap()
                .1
                .to_owned(),
        );
        // A peer remembers the numbers of messages of the same key.
        for text in ["one", "two"] {
            alice.line(&format!("/msg bob {text} of run {run}"));
            bob.expect_private(&format!("alice@{}", alice.id()), &format!("{text} of run {run}"));
            alice.complains().expect(&format!("): {text} of run {run}"));
            bob.line(&format!("/msg alice {text} again, run {run}"));
            alice.expect_private(&format!("bob@{}", bob.id()), &format!("{text} again, run {run}"));
        }
        alice.end_input();
        assert_eq!(alice.exit_code(), 0);
        bob.shows().expect(&format!("alice@{} is offline", alice.id()));
    }
    let last: u64 = fs::read_to_string(&time).unwrap().trim().parse().unwrap();
    assert!(last > 10_000_000_000_000, "two runs began later: {last}");
    assert!(codes[0] == codes[1] && codes[1] == codes[2], "{codes:?}");
    let about = fs::metadata(state.join("chat/client-key")).unwrap();
    assert_eq!(about.mode() & 0o777, 0o600);
}

#[test]
fn a_second_run_meanwhile_has_a_key_of_its_own() {
    let state = state("two-runs");
    let server = Server::start(&[]);
    let mut first = join("first", server.address, &state, &server.journal);
    first.wait_until_online("first");
    let mut second = join("second", server.address, &state, &server.journal);
    second.wait_until_online("second");
    second
        .complains()
        .expect("* another chat-client of yours is running: ");
    first.shows().expect(&format!("second@{} is online", second.id()));
    // The server keeps both.
    second.line("/msg first hi");
    first.expect_private(&format!("second@{}", second.id()), "hi");
}

#[test]
fn a_key_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let state = state("open-key");
    fs::create_dir(state.join("chat")).unwrap();
    let file = state.join("chat/client-key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let server = Server::start(&[]);
    let mut alice = join("alice", server.address, &state, &server.journal);
    alice.wait_until_online("alice");
    alice
        .complains()
        .expect("others may read it; `chmod 600` makes it yours alone");
}
