//! The settings file of the client.

use crate::harness::{Client, FakeServer, Journal, Process, Server, client_command};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A new home directory with this settings file.
fn home(test: &str, settings: &str) -> PathBuf {
    let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
    let directory = home.join(".config/chat");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.toml"), settings).unwrap();
    home
}

/// A client with this home directory.
fn command(home: &PathBuf) -> Command {
    let mut command = client_command();
    command.env_remove("XDG_CONFIG_HOME").env_remove("XDG_STATE_HOME");
    command.env("HOME", home);
    command
}

#[test]
fn the_file_names_the_server_and_the_nick() {
    let server = Server::start(&[]);
    let home = home(
        "server-and-nick",
        &format!("nick = 'alice'\nserver = '{}'\n", server.address),
    );
    let mut alice = Client::start_command("alice", &mut command(&home), &server.journal);
    alice.wait_until_online("alice");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
}

#[test]
fn a_taken_nick_from_the_file_does_not_prevent_joining() {
    let server = Server::start(&[]);
    let mut other = server.plain_named("alice");
    let home = home(
        "taken",
        &format!("nick = 'alice'\nserver = '{}'\n", server.address),
    );
    let mut alice = Client::start_command("alice", &mut command(&home), &server.journal);
    alice.complains().expect("alice");
    alice.complains().expect("you are 127.0.0.1:");
    alice.line("hello");
    other.expect("hello");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0, "all that was said was heard");
}

#[test]
fn a_taken_nick_from_the_file_is_taken_once_it_is_free() {
    let server = Server::start(&[]);
    let mut other = server.plain_named("alice");
    let home = home(
        "freed",
        &format!("nick = 'alice'\nserver = '{}'\n", server.address),
    );
    let mut alice = Client::start_command("alice", &mut command(&home), &server.journal);
    alice.complains().expect("the nick alice is taken by alice@");
    other.line("/nick bob");
    other.expect(" is now alice@");
    alice.complains().expect("the nick alice is free, and yours now");
    alice.line("hello");
    other.expect("from alice@");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
}

#[test]
fn the_log_can_be_below_the_home_directory() {
    let server = Server::start(&[]);
    let settings = format!("log = '~/room.log'\nserver = '{}'\n", server.address);
    let home = home("log", &settings);
    let mut alice = Client::start_command("alice", &mut command(&home), &server.journal);
    alice.complains().expect("you are");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    let log = fs::read_to_string(home.join("room.log")).unwrap();
    assert!(log.contains(" * you are 127.0.0.1:"), "{log}");
}

#[test]
fn errors_in_the_file_are_reported_with_their_line() {
    let home = home("wrong", "nick = 'alice'\n\ncolour = 'none'\n");
    let mut client = Process::start("alice", &Journal::new(), &mut command(&home));
    assert_eq!(client.exit_code(), 2);
    let path = home.join(".config/chat/config.toml");
    client
        .stderr
        .expect_all(&[&path.display().to_string(), "line 3", "`colour`", "`colours`"]);

    fs::write(&path, b"# fine\nnick = 'al\xFFce'\n").unwrap();
    let mut client = Process::start("alice", &Journal::new(), &mut command(&home));
    assert_eq!(client.exit_code(), 2);
    client.stderr.expect("line 2: this is not UTF-8");

    let mut named = command(&home);
    named.args(["--config", "/dev/null/no"]);
    let mut client = Process::start("alice", &Journal::new(), &mut named);
    assert_eq!(client.exit_code(), 2);
    client.stderr.expect("/dev/null/no");
}

#[test]
fn the_settings_in_force_can_be_printed() {
    let home = home("print", "bell = 'all'\n");
    let mut print = command(&home);
    print.args(["--print-config", "--nick", "alice", "example"]);
    let mut client = Process::start("alice", &Journal::new(), &mut print);
    assert_eq!(client.exit_code(), 0);
    client
        .stdout
        .expect_all(&["server = \"example 9000\"", "command line"]);
    client.stdout.expect_all(&["nick = \"alice\"", "--nick"]);
    client
        .stdout
        .expect_all(&["bell = \"all\"", "settings file, line 1"]);
    client.stdout.expect_all(&["scrollback = 10000", "default"]);
}

#[test]
fn the_doctor_accepts_a_taken_nick_from_the_file() {
    let server = Server::start(&[]);
    let _alice = server.client("alice");
    let home = home("doctor", "nick = 'alice'\n");
    let mut command = command(&home);
    command.args(["--doctor", &server.address.to_string()]);
    let mut doctor = Process::start("doctor", &server.journal, &mut command);
    assert_eq!(doctor.exit_code(), 0, "who joins gets in without a nick");
    doctor.stdout.expect("ok room     you can join");
}

#[test]
fn last_server_joins_the_server_of_the_last_session() {
    let server = Server::start(&[]);
    let home = home("last", "nick = 'alice'\nlast-server = true\n");
    let leave = |mut client: Client| {
        client.wait_until_online("alice");
        client.end_input();
        assert_eq!(client.exit_code(), 0);
    };
    let mut first = command(&home);
    first.arg(server.address.to_string());
    leave(Client::start_command("first", &mut first, &server.journal));
    leave(Client::start_command(
        "second",
        &mut command(&home),
        &server.journal,
    ));

    // With the option off, no file is written.
    let kept = home.join(".local/state/chat/last-server");
    fs::remove_file(&kept).unwrap();
    let mut third = command(&home);
    third.args([&server.address.to_string(), "--last-server=false"]);
    leave(Client::start_command("third", &mut third, &server.journal));
    assert!(!kept.exists());
}

#[test]
fn a_failed_connection_is_not_kept_as_last_server() {
    let home = home("strangers", "last-server = true\n");
    let kept = home.join(".local/state/chat/last-server");
    for says in ["", "SSH-2.0-OpenSSH_9.9\r\n", "* OK ready\r\n"] {
        let fake_server = FakeServer::start();
        let mut client = command(&home);
        client.arg(fake_server.address.to_string());
        let mut client = Client::start_command("client", &mut client, &fake_server.journal);
        let mut stranger = fake_server.accept();
        stranger.send(says);
        client.end_input();
        client.exit_code();
        assert!(!kept.exists(), "{says:?}");
    }
}

#[test]
fn an_unwritable_state_directory_is_only_a_warning() {
    let server = Server::start(&[]);
    let mut command = client_command();
    command.args([&server.address.to_string(), "--nick", "alice", "--last-server"]);
    let mut alice = Client::start_command("alice", &mut command, &server.journal);
    alice.wait_until_online("alice");
    alice
        .complains()
        .expect_all(&["can't remember the server", "/dev/null/chat"]);
}

#[test]
fn a_failed_write_of_the_last_server_leaves_no_file() {
    let server = Server::start(&[]);
    let home = home("in-the-way", "nick = 'alice'\nlast-server = true\n");
    let directory = home.join(".local/state/chat");
    fs::create_dir_all(directory.join("last-server")).unwrap();
    let mut command = command(&home);
    command.arg(server.address.to_string());
    let mut alice = Client::start_command("alice", &mut command, &server.journal);
    alice.wait_until_online("alice");
    alice
        .complains()
        .expect_all(&["can't remember the server", ".local/state/chat/last-server"]);
    let names = fs::read_dir(&directory).unwrap();
    let mut left: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    left.retain(|name| !name.to_string_lossy().starts_with("client-key"));
    assert_eq!(left, ["last-server"]);
}
