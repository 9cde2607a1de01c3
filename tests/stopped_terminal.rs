//! Terminals that accept no output: a stalled connection, Ctrl-S, a closed window.

use crate::harness::{
    FakeServer, Feed, Journal, Process, Rich, Server, Stage, Wire, client_command, pseudo_terminal,
    server_command,
};
use nix::sys::signal::Signal;
use nix::sys::termios::{FlowArg, tcflow};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Far more lines than an unread terminal holds, and fewer than a program buffers for it.
const LINES: usize = 2000;

/// Waits for two pings, a second apart, and checks that the server was idle between them.
#[track_caller]
fn expect_idle(server: &Server, user: &mut Rich) {
    let mut answer_ping = || {
        let ping = Wire::expect(user, "PING ");
        user.line(&ping.replace("PING", "PONG"));
    };
    answer_ping();
    let (began, before) = (Instant::now(), server.process.processor_time());
    answer_ping();
    let used = server.process.processor_time() - before;
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert!(
        used <= Duration::from_millis(100),
        "{used:?} of processor time while idle"
    );
}

#[test]
fn a_log_on_a_stopped_or_closed_terminal_blocks_nothing() {
    let (window, terminal) = pseudo_terminal();
    let options = ["--rate", "0", "--ping-interval", "1"];
    let mut server = Server::start_logging_to(Stdio::from(terminal), &options);
    let mut alice = server.rich("alice");
    for _ in 0..LINES / 2 {
        // Each connection adds a join and a leave to the log.
        server.plain("bob").reset();
    }
    alice.sync("all is well");
    expect_idle(&server, &mut alice);
    drop(window);
    server.plain("bob").close();
    alice.sync("all is still well");
    expect_idle(&server, &mut alice);
    drop(alice);
    server.stop();
}

#[test]
fn a_server_on_a_stopped_terminal_starts_and_shuts_down() {
    let (_window, terminal) = pseudo_terminal();
    tcflow(&terminal, FlowArg::TCOOFF).unwrap();
    let journal = Journal::new();
    let mut command = server_command();
    command.args(["127.0.0.1", "0"]).stdin(Stdio::null());
    command.stdout(terminal).stderr(Stdio::piped());
    let mut server = Process::start_as_set_up("server", &journal, &mut command);
    // The address is printed on the terminal and in the log.
    let logged = server.stderr.expect(" listen ");
    let address = logged
        .split_whitespace()
        .find_map(|word| word.parse::<SocketAddr>().ok())
        .unwrap();
    Wire::connect("alice", address, &journal).expect("* chat version 1: ");
    server.signal(Signal::SIGTERM);
    assert_eq!(server.exit_code(), 0);
}

/// The command of a client with its output on this terminal.
fn command_on(terminal: &File, fake_server: &FakeServer) -> Command {
    let mut command = client_command();
    command
        .arg(fake_server.address.ip().to_string())
        .arg(fake_server.address.port().to_string())
        .args(["--nick", "alice"])
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal.try_clone().unwrap());
    command
}

/// A client in line mode with its output on this terminal. Its input stays open.
fn client_on(terminal: &File, fake_server: &FakeServer) -> Process {
    let mut command = command_on(terminal, fake_server);
    command.arg("--line-mode").stdin(Stdio::piped());
    Process::start_as_set_up("alice", &fake_server.journal, &mut command)
}

/// Sends lines for both outputs of the client in turn, and waits until the client has tried to write them.
#[track_caller]
fn send_many(server: &mut Wire) {
    let lines = (0..LINES).map(|n| match n % 2 {
        0 => format!("SAID 1 10.0.0.1:1 {n}\n"),
        _ => format!("NOTICE {n}\n"),
    });
    server.send(lines.collect::<String>());
    // The client answers a ping before it writes the lines that arrived with it. The second answer shows that it has.
    for ping in ["7", "8"] {
        server.line(&format!("PING {ping}"));
        server.expect(&format!("PONG {ping}"));
    }
}

#[test]
fn a_client_on_a_stopped_terminal_answers_and_leaves() {
    let fake_server = FakeServer::start();
    let (window, terminal) = pseudo_terminal();
    let mut alice = client_on(&terminal, &fake_server);
    let mut server = fake_server.accept_at(Stage::Live);
    send_many(&mut server);
    alice.signal(Signal::SIGTERM);
    server.expect("QUIT");
    drop(server);
    assert_eq!(alice.exit_code(), 143);
    drop(window);
}

#[test]
fn a_stopped_full_screen_with_pending_output_can_be_ended() {
    let fake_server = FakeServer::start();
    let (mut window, terminal) = pseudo_terminal();
    let mut command = command_on(&terminal, &fake_server);
    command.env("TERM", "xterm-256color").process_group(0);
    command.stdin(terminal.try_clone().unwrap());
    let mut alice = Process::start_as_set_up("alice", &fake_server.journal, &mut command);
    let mut server = fake_server.accept_at(Stage::Live);
    window.write_all(b"unconfirmed\r").unwrap();
    server.expect("SAY 1 unconfirmed");
    tcflow(&terminal, FlowArg::TCOOFF).unwrap();
    alice.signal(Signal::SIGTERM);
    server.expect("QUIT");
    drop(server);
    assert_eq!(alice.exit_code(), 143);
}

#[test]
fn a_client_whose_terminal_closes_leaves() {
    let fake_server = FakeServer::start();
    let (window, terminal) = pseudo_terminal();
    let mut alice = client_on(&terminal, &fake_server);
    let mut server = fake_server.accept_at(Stage::Live);
    send_many(&mut server);
    drop(window);
    server.expect("QUIT");
    drop(server);
    assert_eq!(alice.exit_code(), 1);
}

#[test]
fn a_continued_terminal_shows_whole_lines_in_order() {
    let fake_server = FakeServer::start();
    let (window, terminal) = pseudo_terminal();
    let _alice = client_on(&terminal, &fake_server);
    let mut server = fake_server.accept_at(Stage::Live);
    send_many(&mut server);
    let screen = Feed::new("alice", "|", &fake_server.journal);
    screen.fill_from(window);
    screen.expect(&format!("* {}", LINES - 1));
    let shown = screen.lines();
    let shown: Vec<_> = shown.iter().map(|line| line.trim_end()).collect();
    let expected = (0..LINES).map(|n| match n % 2 {
        0 => format!("from 10.0.0.1:1: {n}"),
        _ => format!("* {n}"),
    });
    let before = shown.iter().position(|line| line.starts_with("from ")).unwrap();
    let wrong = shown[before..]
        .iter()
        .zip(expected)
        .find(|(line, expected)| *line != expected);
    assert_eq!(wrong, None);
}
