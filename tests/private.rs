//! Private messages through the server.

use crate::harness::{LegacyClient, Plain, Rich, Server, Wire};
use socket2::{Domain, Socket, Type};
use std::io::ErrorKind;
use std::net::SocketAddr;

#[test]
fn a_plain_user_addresses_another_by_nick_or_id() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let alice = server.plain_named("alice");
    let mut bob = server.plain_named("bob");
    let mut alice = alice;
    for target in [
        "bob",
        "BOB",
        bob.id().to_owned().as_str(),
        &format!("bob@{}", bob.id()),
    ] {
        alice.line(&format!("/msg {target} a secret for {target}"));
        let answer = alice.expect("* ");
        assert!(!answer.contains("nobody"), "{answer:?}");
        bob.expect(&format!(
            "private from alice@{}: a secret for {target}",
            alice.id()
        ));
    }
    let heard = watcher.sync("marker");
    assert!(!heard.iter().any(|line| line.contains("secret")), "{heard:?}");
    let heard = alice.until("marker");
    assert!(!heard.iter().any(|line| line.starts_with("private")), "{heard:?}");
}

#[test]
fn a_private_message_to_nobody_gets_an_error() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut alice = server.plain("alice");
    for target in ["bob", "10.0.0.5:50312", "x y"] {
        alice.line(&format!("/msg {target} secret"));
        let answer = alice.next_line().unwrap();
        assert!(answer.starts_with("* "), "{answer:?}");
    }
    alice.line("marker");
    let heard = watcher.until("marker");
    assert!(!heard.iter().any(|line| line.contains("secret")), "{heard:?}");
}

#[test]
fn private_messages_pass_between_the_dialects() {
    let server = Server::start(&[]);
    let mut alice = server.rich("alice");
    let mut carol = server.rich("carol");
    let mut bob = server.plain_named("bob");
    let bob_is = format!("bob@{}", bob.id());

    alice.line(&format!("WHISPER {} 1 from rich to plain", bob.id()));
    alice.expect("WHISPERED 1");
    bob.expect(&format!("private from {}: from rich to plain", alice.who));

    bob.line("/msg alice from plain to rich");
    let heard = alice.expect("WHISPER ");
    assert_eq!(heard, format!("WHISPER {bob_is} from plain to rich"));

    alice.line(&format!("WHISPER {} 2 from rich to rich", carol.id()));
    alice.expect("WHISPERED 2");
    assert_eq!(
        carol.expect("WHISPER "),
        format!("WHISPER {} from rich to rich", alice.who)
    );

    alice.line("WHISPER 10.0.0.5:50312 3 to nobody");
    let error = alice.expect("ERROR ");
    assert!(error.starts_with("ERROR no-such-user 3 "), "{error:?}");
    let heard = carol.sync("marker");
    assert!(!heard.iter().any(|line| line.contains("plain")), "{heard:?}");
}

#[test]
fn sealed_bytes_are_relayed_unchanged_to_one_user() {
    let server = Server::start(&[]);
    let hello = |nick: &str| Rich::hello(server.connect(nick), &format!("HELLO 1 {nick} 40101 -"));
    let (mut alice, mut bob, mut carol) = (hello("alice"), hello("bob"), hello("carol"));
    let mut plain = server.plain("plain");
    // 1,200 bytes are 1,600 characters.
    let sealed = "wQEA".repeat(400);
    alice.line(&format!("RELAY {} {sealed}", bob.id()));
    assert_eq!(bob.expect("RELAY "), format!("RELAY {} {sealed}", alice.who));
    alice.line(&format!("RELAY {} {sealed}", plain.id()));
    alice.line(&format!("RELAY 10.0.0.5:50312 {sealed}"));
    for heard in [
        alice.sync("marker1"),
        carol.sync("marker2"),
        plain.sync("marker3"),
    ] {
        assert!(!heard.iter().any(|line| line.contains("wQEA")), "{heard:?}");
    }
}

#[test]
fn tokens_are_sent_to_their_owner_alone() {
    let server = Server::start(&[]);
    let mut plain = server.plain("plain");
    let mut bob = server.rich("bob");
    let mut alice = server.rich("alice");
    alice.sync("marker");
    let secret = alice.resume.clone();
    for heard in [plain.until("marker"), bob.until("marker")] {
        assert!(!heard.iter().any(|line| line.contains(&secret)), "{heard:?}");
    }
    assert_eq!(server.log_so_far(&secret), [""; 0]);
}

/// Another program has the UDP port after that of a user at `nc`.
#[test]
fn no_text_for_a_user_at_nc_reaches_a_udp_port() {
    let server = Server::start(&[]);
    let (mut prof, stranger) = LegacyClient::connect("prof", server.address, &server.journal).into_parts();
    stranger.set_nonblocking(true).unwrap();
    prof.expect(" is online");
    let mut alice = server.client("alice");
    let to = prof.id().to_owned();
    // Before it has said anything, and after.
    for text in ["first secret", "second secret"] {
        alice.line(&format!("/msg {to} {text}"));
        prof.expect(&format!("private from alice@{}: {text}", alice.id()));
        let result = format!("sent to {to} (via the server, unencrypted): {text}");
        alice.complains().expect(&result);
        prof.line("hello");
        alice.shows().expect("hello");
    }
    alice.line("/who");
    let listed = format!("* {to} (in the clear; via the server, unencrypted)");
    alice.complains().expect_line(&listed);
    let mut to_prof = server.start_client("carol", &["--to", &to]);
    to_prof.line("third secret");
    prof.expect("third secret");
    to_prof.end_input();
    assert_eq!(to_prof.exit_code(), 0, "the server has confirmed it");
    let received = stranger.recv(&mut [0; 1500]);
    assert_eq!(received.unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_query_never_reaches_the_next_user_of_the_address() {
    let server = Server::start(&[]);
    let join_from = |name: &str, address: SocketAddr| {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&address.into()).unwrap();
        socket.connect(&server.address.into()).unwrap();
        let mut user = Plain::join(Wire::over(name, socket.into(), &server.journal));
        user.line("/nick bob");
        user
    };
    // A loopback address of its own: no other test takes the port once bob has left.
    let mut bob = join_from("bob", SocketAddr::from(([127, 0, 3, 1], 0)));
    bob.expect(" is now bob@");
    let address: SocketAddr = bob.id().parse().unwrap();
    let mut alice = server.client("alice");
    alice.line("/query bob");
    alice.complains().expect("what you type goes to bob@");
    bob.reset();
    alice.shows().expect("is offline");

    let mut impostor = join_from("impostor", address);
    alice.shows().expect(" is now bob@");
    alice.line("a secret");
    alice.complains().expect("not sent to bob@");
    alice.line("/query nobody");
    alice.line("another secret");
    alice.complains().expect("not sent: the last /query failed");
    let heard = impostor.sync("marker");
    assert!(!heard.iter().any(|line| line.contains("secret")), "{heard:?}");
    alice.end_input();
    assert_eq!(alice.exit_code(), 1);
}

#[test]
fn who_writes_to_a_user_who_is_away_is_told_once() {
    let server = Server::start(&[]);
    let mut alice = server.client("alice");
    let mut bob = server.client("bob");
    let who = format!("alice@{}", alice.id());
    alice.line("/away at lunch");
    alice.complains().expect("you are away, until /away: at lunch");
    let late = server.client("late");
    for n in 1..=2 {
        bob.line(&format!("/msg alice hello {n}"));
        alice.expect_private(&format!("bob@{}", bob.id()), &format!("hello {n}"));
    }
    let told = format!("* {who} is away: at lunch");
    assert_eq!(bob.complains().with(&told).len(), 1);
    drop(late);
    bob.line("/who");
    bob.complains().expect(", away: at lunch");
    alice.line("/away");
    alice.complains().expect("you are back");
}
