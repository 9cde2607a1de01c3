//! What somebody on the way between client and server sees and can do, and who the client talks to.

use crate::harness::{Client, Journal, LegacyServer, Server, Terminal, client_command, server_command};
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Somebody between clients and a server, who copies what passes, and may change it.
struct Way {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<u8>>>,
}

/// Changes the bytes of one read. Told the number of bytes of that direction before it.
type Change = fn(usize, &mut Vec<u8>);

impl Way {
    /// A way to this server, on which these change what the client and what the server sends.
    fn to(server: SocketAddr, [up, down]: [Change; 2]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let way = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let seen = way.seen.clone();
        // The thread lives as long as the test program.
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let Ok(server) = TcpStream::connect(server) else {
                    return;
                };
                let (client_too, server_too) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (seen_up, seen_down) = (seen.clone(), seen.clone());
                thread::spawn(move || copy(client, server, up, &seen_up));
                thread::spawn(move || copy(server_too, client_too, down, &seen_down));
            }
        });
        way
    }

    fn unchanged(server: SocketAddr) -> Self {
        Self::to(server, [leave; 2])
    }

    fn has_seen(&self, text: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }
}

fn leave(_: usize, _: &mut Vec<u8>) {}

fn copy(mut from: TcpStream, mut to: TcpStream, change: Change, seen: &Mutex<Vec<u8>>) {
    let (mut buffer, mut before) = ([0; 65536], 0);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let mut bytes = buffer[..count].to_vec();
        seen.lock().unwrap().extend_from_slice(&bytes);
        change(before, &mut bytes);
        before += count;
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// A directory of the test's own.
fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(path.join("chat")).unwrap();
    path
}

/// A client whose remembered servers are in this directory.
fn remembering(directory: &Path, server: SocketAddr, options: &[&str]) -> Command {
    let mut command = client_command();
    command
        .args([server.ip().to_string(), server.port().to_string()])
        .args(options)
        .env("XDG_STATE_HOME", directory);
    command
}

fn output(mut command: Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn key_of(server: &Server) -> String {
    let line = server.process.stdout.expect("--server-key ");
    line.rsplit(' ').next().unwrap().to_owned()
}

/// It begins like an option.
const OTHER_KEY: &str = "-Z-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk";

#[test]
fn nothing_that_is_said_can_be_read_on_the_way() {
    let server = Server::start(&[]);
    let way = Way::unchanged(server.address);
    let join = |nick: &str| {
        let mut client = Client::start(nick, way.address, &["--nick", nick, "--history"], &server.journal);
        client.wait_until_online(nick);
        client
    };
    let (mut alice, mut bob) = (join("alice"), join("barnaby"));
    alice.line("the exam is at noon");
    bob.shows().expect(": the exam is at noon");
    bob.line("/msg alice under the mat");
    alice.expect_private(&format!("barnaby@{}", bob.id()), "under the mat");
    bob.line("/nick robert");
    alice.shows().expect("robert");
    let mut carol = server.plain("carol");
    carol.line("in the clear");
    alice.shows().expect(": in the clear");
    // Long enough, or with a space, so that neither ciphertext nor the base64 of the handshake has one by chance.
    for text in [
        "the exam",
        "at noon",
        "alice",
        "barnaby",
        "robert",
        "the mat",
        "the clear",
        "HELLO",
        "WELCOME",
        "SAID ",
        "JOIN ",
        "USER ",
    ] {
        assert!(!way.has_seen(text), "{text}");
    }
    // The check can fail: the greeting and the handshake are seen.
    assert!(way.has_seen("* chat version 1: ") && way.has_seen("SEAL 1 "));
}

#[test]
fn a_changed_byte_is_never_shown_and_ends_the_connection() {
    let server = Server::start(&[]);
    // Whatever comes after the handshake and the user list of the server.
    let spoil: Change = |before, bytes| {
        if before > 1000
            && let Some(last) = bytes.last_mut()
        {
            *last ^= 1;
        }
    };
    let way = Way::to(server.address, [leave, spoil]);
    let mut alice = Client::start("alice", way.address, &["--nick", "alice"], &server.journal);
    alice.wait_until_online("alice");
    let mut talker = server.plain("talker");
    let mut said = 0;
    while alice.complains().with("what arrived is not what").is_empty() {
        said += 1;
        talker.line(&format!("number {said} {}", "x".repeat(100)));
        talker.expect(&format!("number {said} "));
    }
    assert_eq!(alice.exit_code(), 6);
    let shown = alice.shows().with(": number ").len();
    assert!(shown < said, "{shown} of {said}");

    let way = Way::to(
        server.address,
        [
            |_, bytes| {
                if !bytes.starts_with(b"SEAL ")
                    && let Some(last) = bytes.last_mut()
                {
                    *last ^= 1;
                }
            },
            leave,
        ],
    );
    let mut bob = Client::start("bob", way.address, &["--nick", "bob"], &server.journal);
    bob.wait_until_online("bob");
    for number in 0..20 {
        bob.line(&format!("line {number}"));
    }
    server.log().expect("leave bob@");
    assert_eq!(server.log().with("reason=altered").len(), 1);
}

#[test]
fn a_greeting_that_was_changed_on_the_way_is_noticed() {
    let server = Server::start(&[]);
    let way = Way::to(
        server.address,
        [leave, |before, bytes| {
            if before == 0 {
                let text = String::from_utf8_lossy(bytes).replace("/help", "/hulp");
                *bytes = text.into_bytes();
            }
        }],
    );
    let mut alice = Client::start("alice", way.address, &["--nick", "alice"], &server.journal);
    assert_eq!(alice.exit_code(), 6);
    alice
        .complains()
        .expect("what arrived is not what the server sent");
    assert_eq!(server.log_so_far("join alice"), [""; 0]);
}

#[test]
fn another_key_than_the_remembered_one_is_refused() {
    let server = Server::start(&[]);
    let directory = scratch("remembered");
    let port = server.address.port();
    let known = directory.join("chat/known-servers");
    fs::write(&known, format!("127.0.0.1 {port} {OTHER_KEY}\n")).unwrap();
    let (code, shown, told) = output(remembering(&directory, server.address, &["--recv-only"]));
    assert_eq!((code, shown.as_str()), (6, ""));
    assert!(told.contains(&key_of(&server)), "{told}");
    assert!(told.contains("--forget-server"), "{told}");
    assert_eq!(server.log_so_far("join"), [""; 0]);
    // In the clear neither.
    let legacy = LegacyServer::start();
    let port = legacy.address.port();
    fs::write(&known, format!("127.0.0.1 {port} {OTHER_KEY}\n")).unwrap();
    let (code, ..) = output(remembering(&directory, legacy.address, &["--clear"]));
    assert_eq!(code, 7);
    // Forgotten, it is joined.
    let (code, ..) = output(remembering(&directory, legacy.address, &["--forget-server"]));
    assert_eq!((code, fs::read_to_string(&known).unwrap().as_str()), (0, ""));
    let (code, _, told) = output(remembering(&directory, legacy.address, &["--forget-server"]));
    assert!(code == 1 && told.contains("no key of 127.0.0.1"), "{told}");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_server_is_joined_by_the_key_that_it_prints() {
    let directory = scratch("identity");
    let file = directory.join("key");
    let options = ["--key-file", file.to_str().unwrap()];
    let server = Server::start(&options);
    let key = key_of(&server);
    let mut printed = server_command();
    printed.args(["--fingerprint"]).args(options);
    assert_eq!(output(printed), (0, format!("{key}\n"), String::new()));
    let asked = remembering(&directory, server.address, &["--fingerprint"]);
    assert_eq!(output(asked), (0, format!("{key}\n"), String::new()));
    let mut alice = server.start_client("alice", &["--nick", "alice", "--server-key", &key]);
    alice.wait_until_online("alice");
    let mut bob = server.start_client("bob", &["--nick", "bob", "--server-key", OTHER_KEY]);
    assert_eq!(bob.exit_code(), 6);
    let (code, _, told) = output(remembering(
        &directory,
        server.address,
        &["--server-key", "short"],
    ));
    assert!(code == 2 && told.contains("a key has 43 letters"), "{told}");
    // The key of a server on this machine is not remembered.
    assert!(!directory.join("chat/known-servers").exists());
    fs::remove_dir_all(directory).unwrap();
}

/// A server that sends `first` to each connection, and then `more` again and again with this pause.
fn stubborn(first: &'static str, more: Vec<u8>, pause: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let more = more.clone();
            thread::spawn(move || {
                let mut sent = client.write_all(first.as_bytes());
                while sent.is_ok() {
                    thread::sleep(pause);
                    sent = client.write_all(&more);
                }
            });
        }
    });
    address
}

#[test]
fn asking_for_a_key_ends_whatever_the_server_sends() {
    let directory = scratch("stubborn");
    let flood = || vec![b'x'; 100_000];
    let (at_once, slowly) = (Duration::ZERO, Duration::from_millis(20));
    let greeting = "* chat version 1: you are 127.0.0.1:1\n";
    for (first, more, pause, expected) in [
        ("too many users\n", flood(), at_once, "the room is full"),
        ("* banned: for good\n", flood(), at_once, "banned: for good"),
        ("* ", b"x".to_vec(), slowly, "does not answer"),
        (greeting, b"* wait\n".to_vec(), slowly, "does not answer"),
    ] {
        let address = stubborn(first, more, pause);
        let asked = remembering(&directory, address, &["--fingerprint", "--connect-timeout", "1"]);
        let (code, key, told) = output(asked);
        assert_eq!((code, key.as_str()), (1, ""), "{first:?}");
        assert!(told.contains(expected), "{first:?}: {told}");
    }
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_key_file_that_is_no_good_is_an_error() {
    let directory = scratch("bad-key");
    let file = directory.join("key");
    fs::write(&file, "short\n").unwrap();
    let start = || {
        let mut command = server_command();
        command.args(["127.0.0.1", "0", "--key-file"]).arg(&file);
        output(command)
    };
    let (code, _, told) = start();
    assert!(code == 1 && told.contains("others may read it"), "{told}");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&file, mode).unwrap();
    let (code, _, told) = start();
    assert!(code == 1 && told.contains("does not hold a key"), "{told}");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_server_that_does_not_encrypt_is_told_nothing() {
    let server = LegacyServer::start();
    let mut client = Client::start("alice", server.address, &["--nick", "alice"], &server.journal);
    client.line("secret");
    assert_eq!(client.exit_code(), 7);
    client.complains().expect("--clear");
    assert_eq!(server.heard.lines(), [""; 0]);
}

#[test]
fn whoever_takes_over_the_port_gets_neither_token_nor_text() {
    let directory = scratch("takeover");
    let options = ["--key-file", directory.join("key").to_str().unwrap()].map(str::to_owned);
    let mut first = Server::start_on("127.0.2.1", &["--key-file", &options[1]]);
    let address = first.address;
    let journal = Journal::new();
    let mut alice = Terminal::start("alice", address, &["--nick", "alice"], (100, 30), &journal);
    alice.expect("you are alice@");
    first.process.signal(nix::sys::signal::Signal::SIGKILL);
    first.process.wait();
    alice.expect("the server closed the connection");
    alice.keys("for the room alone\r");
    let mut command = server_command();
    command
        .args([address.ip().to_string(), address.port().to_string()])
        .args(["--key-file", directory.join("other").to_str().unwrap()]);
    let mut impostor = Server::start_command(&mut command);
    alice.keys("\r");
    alice.expect("this is not the server that you know");
    assert_eq!(impostor.log_so_far("join alice"), [""; 0]);
    impostor.stop();
    // The right one is joined again, and gets what was typed.
    let mut command = server_command();
    command
        .args([address.ip().to_string(), address.port().to_string()])
        .args(&options);
    let _again = Server::start_command(&mut command);
    alice.keys("\r");
    alice.expect("back: you are alice@");
    alice.expect("alice  for the room alone");
    alice.keys("/quit\r");
    assert_eq!(alice.process.exit_code(), 0);
    fs::remove_dir_all(directory).unwrap();
}
