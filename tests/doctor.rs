//! `chat-client --doctor`: its reports about servers of all kinds, and that the room does not notice it.

use crate::harness::{FakeServer, Journal, LegacyServer, Process, SECRET, Server, Wire, client_command};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::Stdio;
use std::time::Duration;

fn doctor(server: SocketAddr, options: &[&str], journal: &Journal) -> Process {
    let mut command = client_command();
    let (host, port) = (server.ip().to_string(), server.port().to_string());
    command.args(["--doctor", &host, &port]).args(options);
    Process::start("doctor", journal, &mut command)
}

/// The exit status and the report, which is all on the standard output.
#[track_caller]
fn report(mut doctor: Process) -> (i32, Vec<String>) {
    let code = doctor.exit_code();
    assert_eq!(doctor.stderr.lines(), [""; 0]);
    (code, doctor.stdout.lines())
}

/// Whether a line begins with this text, apart from figures.
#[track_caller]
fn assert_has(report: &[String], beginning: &str) {
    assert!(
        report.iter().any(|line| line.starts_with(beginning)),
        "no {beginning:?} in\n{}",
        report.join("\n")
    );
}

#[test]
fn a_working_setup_reports_ok_on_every_line() {
    let server = Server::start(&[]);
    let (code, report) = report(doctor(server.address, &["--nick", "alice"], &server.journal));
    let (conclusion, lines) = report.split_last().unwrap();
    assert!(lines.iter().all(|line| line.starts_with("ok ")), "{report:#?}");
    assert_eq!(conclusion, "Group messages work. Private messages go directly.");
    assert_has(&report, "ok room     you can join as alice");
    assert_has(&report, "ok UDP      10 of 10 datagrams answered");
    assert_has(&report, "ok NAT      127.0.0.1:");
    assert_has(&report, "ok path MTU 1500 bytes pass both ways");
    assert_eq!(code, 0);
}

#[test]
fn the_doctor_is_not_announced_to_the_room() {
    let server = Server::start(&[]);
    let (mut plain, mut rich) = (server.plain("plain"), server.rich("rich"));
    plain.expect("rich@");
    let (code, _) = report(doctor(server.address, &[], &server.journal));
    assert_eq!(code, 0);
    plain.line("/who");
    let heard = plain.sync("is anybody there?");
    assert_eq!(heard[0], "* 2 users are here, of at most 1000:", "{heard:?}");
    assert_eq!(heard.len(), 3, "{heard:?}");
    let heard = rich.sync("nobody");
    assert_eq!(heard.len(), 1, "what plain said: {heard:?}");
    let probes = server.log_so_far(" probe 127.0.0.1:");
    assert_eq!(probes.len(), 1, "the operator is");
    let id = probes[0].rsplit(' ').next().unwrap();
    assert_eq!(server.log_so_far(id).len(), 1, "and of nothing else");
}

#[test]
fn a_missing_server_is_reported() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (code, report) = report(doctor(free, &[], &Journal::new()));
    assert_has(&report, &format!("!! TCP      nobody listens at {free}"));
    assert_has(
        &report,
        "            -> start a server there with `chat-server 0.0.0.0 ",
    );
    assert_eq!(report.last().unwrap(), "Nothing works without a server.");
    assert_eq!(code, 1);
}

#[test]
fn a_full_room_is_reported() {
    let server = Server::start(&["--max-users", "1"]);
    let full = || {
        let (code, report) = report(doctor(server.address, &[], &server.journal));
        assert_has(&report, "!! room     is full");
        assert_eq!(code, 1);
    };
    let only = server.plain("only");
    full();
    drop(only);
    server.log().expect(" leave ");
    // A room that a client could resume in greets a newcomer before it rejects it.
    let _only = server.rich("only");
    full();
}

#[test]
fn a_taken_nick_is_reported() {
    let server = Server::start(&[]);
    let alice = server.rich("alice");
    let (code, report) = report(doctor(server.address, &["--nick", "Alice"], &server.journal));
    assert_has(
        &report,
        &format!("!! room     the nick Alice is taken by {}", alice.who),
    );
    assert_eq!(code, 1);
}

#[test]
fn the_doctor_sends_a_legacy_server_nothing() {
    let server = LegacyServer::start();
    let (code, report) = report(doctor(server.address, &[], &server.journal));
    assert_has(&report, "-- server   the lab's original");
    assert_eq!(server.heard.lines(), [""; 0]);
    assert_eq!(code, 1);
}

/// A server that answers probes over TCP only, and its UDP port, if that is free.
fn fake_server() -> (FakeServer, Option<UdpSocket>) {
    let server = FakeServer::start();
    let udp = UdpSocket::bind(server.address).ok();
    (server, udp)
}

fn examine(server: &FakeServer) -> Process {
    doctor(server.address, &[], &server.journal)
}

/// Accepts a client and answers its probe.
#[track_caller]
fn accept_probe(server: &FakeServer) -> Wire {
    let mut wire = server.accept();
    wire.greet("* chat version 1: you are somebody", SECRET);
    wire.expect_next("PROBE 1 -");
    wire.line("PROBED 1760000000000 10.0.0.7:40100 AAAAAAAAAAAAAAAAAAAAAA");
    wire
}

#[test]
fn unanswered_datagrams_are_reported() {
    let (server, udp) = fake_server();
    let Some(_silent) = udp else { return };
    let doctor = examine(&server);
    let mut wire = accept_probe(&server);
    while let Some(Some(line)) = wire.next_line_within(Duration::from_secs(10)) {
        wire.line(&line.replace("PING", "PONG"));
    }
    let (code, report) = report(doctor);
    assert_has(&report, "ok TCP RTT  5 of 5 pings");
    assert_has(&report, "!! UDP      none of 10 datagrams was answered");
    assert_has(&report, "!! clock    the server's is ");
    let conclusion = "Group messages work. Private messages go through the server only.";
    assert_eq!(report.last().unwrap(), conclusion);
    assert_eq!(code, 1);
}

#[test]
fn a_closed_udp_port_is_reported() {
    let (server, udp) = fake_server();
    drop(udp);
    let doctor = examine(&server);
    let _wire = accept_probe(&server);
    let (code, report) = report(doctor);
    assert_has(&report, "!! UDP      nobody receives datagrams at port ");
    assert_eq!(code, 1);
}

#[test]
fn a_server_that_dies_meanwhile_is_reported() {
    let (server, udp) = fake_server();
    let doctor = examine(&server);
    let wire = accept_probe(&server);
    wire.reset();
    let (code, report) = report(doctor);
    assert_has(&report, "!! lost     the connection broke during the checks");
    assert_eq!(report.last().unwrap(), "Nothing works without a server.");
    assert_eq!(code, 1);
    drop(udp);
}

#[test]
fn another_kind_of_server_is_reported() {
    let (server, _) = fake_server();
    let doctor = examine(&server);
    let mut wire = server.accept();
    wire.line("SSH-2.0-\x1b]0;owned\x07");
    let (code, report) = report(doctor);
    assert_has(&report, "!! server   an SSH server says \"SSH-2.0-␛]0;owned␇\"");
    assert_eq!(wire.next_line(), None, "it is told nothing");
    assert_eq!(code, 1);
}

#[test]
fn options_for_joining_are_rejected_with_doctor() {
    for option in [&["--line-mode"][..], &["--to", "bob"], &["--history"]] {
        let mut command = client_command();
        command.args(["--doctor"]).args(option);
        let mut doctor = Process::start("doctor", &Journal::new(), &mut command);
        assert_eq!(doctor.exit_code(), 2, "{option:?}");
    }
}

#[test]
fn a_closed_output_is_no_crash() {
    let server = Server::start(&[]);
    let (output, into) = std::io::pipe().unwrap();
    drop(output);
    let mut command = client_command();
    command
        .args(["--doctor", "127.0.0.1", &server.address.port().to_string()])
        .stdin(Stdio::null())
        .stdout(into)
        .stderr(Stdio::piped());
    let mut doctor = Process::start_as_set_up("doctor", &server.journal, &mut command);
    drop(command);
    assert_eq!(doctor.exit_code(), 1);
    assert_eq!(doctor.stderr.with("panicked"), [""; 0]);
}

#[test]
fn an_address_that_may_not_connect_is_told_so() {
    let server = Server::start(&["--deny", "127.0.0.0/8"]);
    let (code, report) = report(doctor(server.address, &[], &server.journal));
    assert_has(
        &report,
        "!! room     rejects you: not let in: your address may not connect here",
    );
    assert!(
        report
            .iter()
            .any(|line| line.contains("--allow and --deny say who may connect")),
        "{report:?}"
    );
    assert_eq!(code, 1);
    server.log().expect(" reason=denied");
    server.log().expect(" deny 127.0.0.0/8");
}
