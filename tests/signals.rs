//! Signals of all kinds during a conversation.

use crate::harness::{
    Chance, Client, Process, SERVER_STATE, Server, Terminal, chat_client, chat_server, client_command,
    part_of, reached_by,
};
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;

/// Signals that neither end nor disturb the server and line mode. After SIGUSR1, the server logs its figures.
const IGNORED: [Signal; 11] = [
    Signal::SIGWINCH,
    Signal::SIGCONT,
    Signal::SIGPIPE,
    Signal::SIGCHLD,
    Signal::SIGURG,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
];

fn storm(chance: &mut Chance, processes: &[&Process]) {
    for process in processes {
        for _ in 0..5 {
            process.signal(*chance.pick(&IGNORED));
        }
    }
}

#[test]
fn other_signals_are_ignored() {
    let server = Server::start(&["--rate", "1000000", "--burst", "1000000"]);
    let mut chance = Chance::new();
    let mut watcher = server.plain("watcher");
    let mut alice = server.client("alice");
    let mut bob = server.client("bob");
    let carol = Terminal::start(
        "carol",
        server.address,
        &["--nick", "carol"],
        (100, 30),
        &server.journal,
    );
    carol.expect("you are carol@");
    let rounds = part_of(500);
    for round in 0..rounds {
        alice.line(&format!("to all {round}"));
        storm(&mut chance, &[&server.process, &alice, &carol.process, &bob]);
        bob.line(&format!("/msg alice to one {round}"));
        storm(&mut chance, &[&bob, &carol.process, &alice, &server.process]);
    }
    bob.shows().expect(&format!("to all {}", rounds - 1));
    carol.expect(&format!("alice  to all {}", rounds - 1));
    bob.end_input();
    assert_eq!(bob.exit_code(), 0, "all that bob said was confirmed");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    let texts = |lines: Vec<String>, start: &str| -> Vec<String> {
        let texts = lines.iter().filter_map(|line| line.split_once(start));
        texts.map(|(_, text)| text.to_owned()).collect()
    };
    let expected: Vec<_> = (0..rounds).map(|round| round.to_string()).collect();
    let heard = watcher.until(&format!("to all {}", rounds - 1));
    assert_eq!(texts(heard, ": to all "), expected);
    assert_eq!(texts(bob.shows().lines(), ": to all "), expected);
    assert_eq!(texts(alice.shows().lines(), ": to one "), expected);
}

#[test]
fn the_full_screen_survives_signals_of_its_terminal() {
    let server = Server::start(&[]);
    let mut chance = Chance::new();
    let mut bob = server.plain_named("bob");
    let mut alice = Terminal::start(
        "alice",
        server.address,
        &["--nick", "alice"],
        (80, 24),
        &server.journal,
    );
    alice.expect("you are alice@");
    alice.keys("a draft");
    for round in 0..part_of(500) {
        bob.line(&format!("number {round}"));
        alice.resize(
            u16::try_from(chance.in_range(1..120)).unwrap(),
            u16::try_from(chance.in_range(1..40)).unwrap(),
        );
        // Stop and continue in any order, some of it while the client draws.
        alice.process.signal(Signal::SIGCONT);
        alice
            .process
            .signal(*chance.pick(&[Signal::SIGWINCH, Signal::SIGSTOP, Signal::SIGTSTP]));
        alice.process.signal(Signal::SIGCONT);
    }
    bob.line("the last of all");
    alice.resize(80, 24);
    alice.process.signal(Signal::SIGCONT);
    alice.expect("bob  the last of all");
    alice.expect_line("> a draft");
    assert!(!alice.is_cooked());
    alice.process.signal(Signal::SIGTERM);
    assert_eq!(alice.process.exit_code(), 143);
    alice.expect_restored();
}

#[test]
fn line_mode_leaves_the_room_before_a_signal_ends_it() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    for signal in reached_by(&[Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM]) {
        let mut alice = server.client("alice");
        alice.line("last words");
        watcher.expect(": last words");
        alice.signal(signal);
        alice.signal(Signal::SIGUSR1);
        assert_eq!(alice.exit_code(), 128 + signal as i32);
        let about = format!(" leave alice@{} ", alice.id());
        server.log().expect_all(&[&about, "reason=quit"]);
    }
}

/// The program, started like `nohup PROGRAM &` in a script.
fn in_the_background(mut shell: Command, program: &Path) -> Command {
    shell
        .args(["-c", "trap '' HUP INT QUIT; exec \"$@\"", "sh"])
        .arg(program);
    shell
}

#[test]
fn signals_ignored_at_the_start_stay_ignored() {
    let mut server = in_the_background(Command::new("sh"), chat_server());
    server.env("XDG_STATE_HOME", SERVER_STATE);
    let mut server = Server::start_command(server.args(["127.0.0.1", "0"]));
    let mut shell = Command::new("sh");
    shell.envs(
        client_command()
            .get_envs()
            .filter_map(|(key, value)| Some((key, value?))),
    );
    let mut client = in_the_background(shell, chat_client());
    client.args([&server.address.to_string(), "--nick", "alice"]);
    let mut alice = Client::start_command("alice", &mut client, &server.journal);
    alice.wait_until_online("alice");
    let mut talker = server.plain("talker");
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        server.process.signal(signal);
        alice.signal(signal);
        talker.sync(&format!("after {signal}"));
        alice.shows().expect(&format!("after {signal}"));
        alice.line(&format!("seen {signal}"));
        talker.expect(&format!("seen {signal}"));
    }
    alice.signal(Signal::SIGTERM);
    assert_eq!(alice.exit_code(), 143);
    server.stop();
    assert_eq!(server.log().with(" stop ").len(), 1);
    server.log().expect(" stop signal=SIGTERM");
}
