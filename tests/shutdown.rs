//! The shutdown of the server.

use crate::harness::{Journal, Process, Server, reached_by, server_command};
use nix::sys::signal::Signal;

#[test]
fn every_user_is_told_that_the_server_shuts_down() {
    for signal in reached_by(&[Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]) {
        let mut server = Server::start(&[]);
        let mut plain = server.plain("plain");
        let mut rich = server.rich("rich");
        let mut unannounced = server.connect("new");
        unannounced.expect("* chat version 1: ");
        plain.line("last words");
        plain.expect("last words");
        server.process.signal(signal);
        let heard = plain.until_end();
        assert!(
            heard.last().is_some_and(|line| line.starts_with("* ")),
            "{heard:?}"
        );
        let heard = rich.until_end_without_answering();
        assert!(heard.iter().any(|line| line.ends_with("last words")), "{heard:?}");
        assert!(
            heard
                .last()
                .is_some_and(|line| line.starts_with("GOODBYE shutdown ")),
            "{heard:?}"
        );
        unannounced.until_end();
        drop((plain, rich, unannounced));
        assert_eq!(server.process.exit_code(), 0, "after {signal}");
        let stop = server.log().with(" stop ");
        assert_eq!(stop.len(), 1, "{stop:?}");
        assert!(stop[0].contains(&format!("signal={signal}")), "{stop:?}");
    }
}

#[test]
fn another_server_can_bind_the_port_at_once() {
    // An address of its own, so that no connection of another test can occupy the port.
    let mut server = Server::start_on("127.0.0.77", &[]);
    let port = server.address.port().to_string();
    for round in 0..3 {
        let mut alice = server.plain("alice");
        alice.sync(&format!("round {round}"));
        server.process.signal(Signal::SIGTERM);
        alice.until_end();
        drop(alice);
        assert_eq!(server.process.exit_code(), 0);
        server = Server::start_command(server_command().args(["127.0.0.77", &port]));
    }
    assert_eq!(server.address.port().to_string(), port);
}

#[test]
fn a_second_server_on_the_same_port_says_why_it_fails() {
    let server = Server::start(&[]);
    let mut command = server_command();
    command.args(["127.0.0.1", &server.address.port().to_string()]);
    let mut second = Process::start("second", &Journal::new(), &mut command);
    assert_eq!(second.exit_code(), 1);
    let said = second.stderr.lines().join("\n");
    assert!(
        said.contains(&server.address.to_string()),
        "{said:?} does not say what is taken"
    );
    assert!(said.contains(" is taken, "), "{said:?} does not say why");
    assert_eq!(second.stdout.lines(), [""; 0]);
    server.plain("alice").sync("the first is as it was");
}

#[test]
fn a_slow_reader_does_not_block_the_shutdown() {
    let mut server = Server::start(&["--rate", "1000000", "--burst", "1000000"]);
    let _stuck = server.plain("stuck");
    let mut talker = server.plain("talker");
    for _ in 0..20 {
        talker.send(format!("{}\n", "x".repeat(2000)).repeat(100));
    }
    talker.sync("done");
    server.stop();
}

#[test]
fn a_second_signal_during_the_shutdown_is_harmless() {
    let mut server = Server::start(&[]);
    let _users: Vec<_> = (0..5).map(|n| server.rich(&format!("user{n}"))).collect();
    server.process.signal(Signal::SIGTERM);
    server.process.signal(Signal::SIGTERM);
    let status = server.process.wait();
    assert_eq!(status.code(), Some(0), "{status}");
}
