//! `--status`, and the same figures in the log.

use crate::harness::{Journal, Process, Server, server_command};
use nix::sys::signal::Signal;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

/// Asks for a status. Returns the exit status, and both outputs.
fn ask(address: SocketAddr, options: &[&str]) -> (i32, String, String) {
    let mut command = server_command();
    command.arg("--status").args(options);
    command.args([address.ip().to_string(), address.port().to_string()]);
    let mut process = Process::start("asker", &Journal::new(), &mut command);
    let code = process.exit_code();
    let text = |lines: Vec<String>| lines.join("\n");
    (code, text(process.stdout.lines()), text(process.stderr.lines()))
}

#[test]
fn a_status_joins_nothing_and_is_counted() {
    let server = Server::start(&["--max-users", "2"]);
    let mut alice = server.plain_named("alice");
    let bob = server.plain_named("bob");
    alice.expect(" is now bob@");
    let log = server.log_so_far("");
    // A full room is well.
    let (code, said, _) = ask(server.address, &[]);
    assert_eq!(code, 0, "{said}");
    let version = format!("version:            {}", env!("CARGO_PKG_VERSION"));
    for line in ["users:              2 of 2", "room:               full", &version] {
        assert!(said.lines().any(|said| said == line), "{said}");
    }
    assert!(said.contains("\nasked for status:   1"), "{said}");
    let (code, said, _) = ask(server.address, &["--json"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("{\"ok\":true,") && said.ends_with('}'), "{said}");
    for part in ["\"users\":2,\"max_users\":2,", ",\"asked\":2}"] {
        assert!(said.contains(part), "{said}");
    }
    for secret in ["alice", bob.id()] {
        assert!(!said.contains(secret), "{said}");
    }
    let mut heard = alice.sync("nobody came");
    heard.retain(|line| !line.contains("nobody came"));
    assert_eq!(heard, [""; 0]);
    assert_eq!(server.log_so_far(" join "), with(&log, " join "));
    assert_eq!(server.log_so_far(" probe "), [""; 0]);
}

fn with(lines: &[String], text: &str) -> Vec<String> {
    lines.iter().filter(|line| line.contains(text)).cloned().collect()
}

#[test]
fn sigusr1_logs_the_figures_without_names() {
    let server = Server::start(&["--max-users", "2"]);
    let mut alice = server.plain_named("alice");
    let mut bob = server.plain_named("bob");
    alice.line("hello");
    bob.expect(": hello");
    assert_eq!(server.connect("carol").until_end(), ["too many users"]);
    server.process.signal(Signal::SIGUSR1);
    let line = server.log().expect(" status ");
    let number = |name: &str| {
        let (_, value) = line.split_once(&format!(" {name}=")).unwrap();
        value.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let counts = ["users", "max-users", "refused", "slow", "asked"].map(number);
    assert_eq!(counts, [2, 2, 1, 0, 0], "{line}");
    let said = "/nick alice\n/nick bob\nhello\n".len();
    assert!(number("received") >= said && number("sent") > said, "{line}");
    for secret in ["alice", "bob", "127.0.0.1"] {
        assert!(!line.contains(secret), "{line}");
    }
    bob.line("still here");
    alice.expect(": still here");
}

#[test]
fn a_server_that_shuts_down_is_not_well() {
    let server = Server::start(&[]);
    // It waits a moment for her.
    let _alice = server.plain("alice");
    server.process.signal(Signal::SIGTERM);
    server.log().expect(" stop signal=");
    let (code, said, error) = ask(server.address, &["--json"]);
    assert_eq!(code, 1, "{said}{error}");
    assert!(said.starts_with("{\"ok\":false,"), "{said}");
    assert!(error.ends_with("the server shuts down"), "{error}");
}

#[test]
fn no_answer_or_a_wrong_one_is_an_error_in_time() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let hostile = thread::spawn(move || {
        let mut buffer = [0; 600];
        let (count, source) = socket.recv_from(&mut buffer).unwrap();
        let nonce = &buffer[2..18];
        let words = "uptime=1 users=1 max-users=1 closing=no locked=no passphrase=no sealed=no";
        for text in [
            format!("version=\u{1b}[2J {words}"),
            format!("version={} {words}", "1".repeat(300)),
            format!("version=1.0 {words} received=\u{1b}[2J"),
            "\u{1b}]0;title\u{7}".repeat(1000),
            String::new(),
        ] {
            let answer = [&[0xC1, 7], nonce, text.as_bytes()].concat();
            socket.send_to(&answer, source).unwrap();
        }
        // An answer to another question, and the question itself.
        let other = [&[0xC1, 7], &[0; 16][..], b"version=1.0 ", words.as_bytes()].concat();
        socket.send_to(&other, source).unwrap();
        socket.send_to(&buffer[..count], source).unwrap();
        socket
    });
    let (code, said, error) = ask(address, &[]);
    assert_eq!((code, &*said), (1, ""), "{error}");
    assert!(error.contains("no answer"), "{error}");
    assert!(!error.contains('\u{1b}'), "{error:?}");
    drop(hostile.join().unwrap());
    let (code, _, error) = ask(address, &[]);
    assert_eq!(code, 1);
    assert!(error.contains("no server there"), "{error}");
}
