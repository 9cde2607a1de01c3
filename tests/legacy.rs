//! Our server with the lab's original client, and our client with the lab's original server.

use crate::harness::{Client, LegacyClient, LegacyServer, Server};

fn join(server: &LegacyServer, name: &str, options: &[&str]) -> Client {
    let options = [options, &["--clear"]].concat();
    Client::start(name, server.address, &options, &server.journal)
}

#[test]
fn legacy_clients_meet_in_our_room() {
    let server = Server::start(&[]);
    let mut one = LegacyClient::connect("one", server.address, &server.journal);
    let mut two = LegacyClient::connect("two", server.address, &server.journal);
    let (first, second) = (one.id().to_owned(), two.id().to_owned());
    one.expect(&format!("{second} is online"));
    one.send("hello from one");
    two.expect(&format!("from {first}: hello from one"));
    one.expect(&format!("from {first}: hello from one"));
    two.send("hello from two");
    one.expect(&format!("from {second}: hello from two"));
    one.send_private(&second, "only for you");
    assert_eq!(two.receive_private(), (first, "only for you".to_owned()));
    drop(one);
    two.expect(" is offline");
    assert_eq!(server.log_so_far(" join ").len(), 2);
}

#[test]
fn a_legacy_client_and_ours_talk_in_our_room() {
    let server = Server::start(&[]);
    let mut theirs = LegacyClient::connect("theirs", server.address, &server.journal);
    theirs.expect(" is online");
    let mut ours = server.client("ours");
    let (their_id, our_id) = (theirs.id().to_owned(), ours.id().to_owned());
    theirs.expect(&format!("ours@{our_id} is online"));
    theirs.send("hello from the lab");
    ours.shows()
        .expect_line(&format!("from {their_id}: hello from the lab"));
    ours.line("welcome");
    theirs.expect(&format!("from ours@{our_id}: welcome"));
}

#[test]
fn private_messages_pass_between_a_legacy_client_and_ours() {
    let server = Server::start(&[]);
    let mut theirs = LegacyClient::connect("theirs", server.address, &server.journal);
    theirs.expect(" is online");
    let mut ours = server.client("ours");
    let (their_id, our_id) = (theirs.id().to_owned(), ours.id().to_owned());
    // Until it has sent a text, it could be nc.
    ours.line(&format!("/msg {their_id} who are you?"));
    theirs.expect(&format!("private from ours@{our_id}: who are you?"));
    theirs.send("hello from the lab");
    ours.shows().expect("hello from the lab");
    ours.line("/who");
    ours.complains()
        .expect_line(&format!("* {their_id} (in the clear; direct, unencrypted)"));
    ours.line(&format!("/msg {their_id} from ours to theirs"));
    assert_eq!(
        theirs.receive_private(),
        (our_id.clone(), "from ours to theirs".to_owned())
    );
    theirs.send_private(&our_id, "from theirs to ours");
    let shown = ours.shows().expect("from theirs to ours");
    assert!(
        shown.starts_with(&format!("private from {their_id}")),
        "{shown:?}"
    );
}

#[test]
fn our_client_talks_on_a_legacy_server() {
    let server = LegacyServer::start();
    let mut other = server.connect("other");
    other.expect_text(" is online");
    let mut ours = join(&server, "ours", &["--nick", "ours"]);
    let shown = ours.shows().expect(" is online");
    let our_id = shown.strip_suffix(" is online").unwrap().to_owned();
    other.expect_text(format!("{our_id} is online"));

    other.send("hello from the lab");
    ours.shows()
        .expect_line(&format!("from {}: hello from the lab", other.id()));
    ours.line("welcome");
    other.expect_text(format!("from {our_id}: welcome"));
    ours.shows().expect_line(&format!("from {our_id}: welcome"));

    let third = server.connect("third");
    ours.shows().expect_line(&format!("{} is online", third.id()));
    third.close();
    ours.shows().expect("a user left");

    ours.end_input();
    assert_eq!(ours.exit_code(), 0);
    let ours_said = server.heard.with(&our_id);
    assert_eq!(
        ours_said,
        [format!("{our_id}: welcome")],
        "everything that is sent is said aloud there"
    );
}

#[test]
fn lines_typed_at_once_reach_a_legacy_server_one_by_one() {
    let server = LegacyServer::start();
    let mut ours = join(&server, "ours", &[]);
    ours.shows().expect(" is online");
    ours.write("one\ntwo\nthree\n");
    ours.end_input();
    assert_eq!(ours.exit_code(), 0);
    let heard = server.heard.lines();
    let texts: Vec<_> = heard
        .iter()
        .map(|line| line.split_once(": ").unwrap().1.trim_end())
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[test]
fn a_line_too_long_for_a_legacy_server_gets_a_warning() {
    let server = LegacyServer::start();
    let mut ours = join(&server, "ours", &[]);
    ours.shows().expect(" is online");
    ours.line(&"x".repeat(60));
    ours.complains()
        .wait(|lines, _| (!lines.is_empty()).then_some(()))
        .unwrap();
    ours.line("short");
    server.heard.expect("short");
}

#[test]
fn private_messages_pass_on_a_legacy_server() {
    let server = LegacyServer::start();
    let mut theirs = LegacyClient::connect("theirs", server.address, &server.journal);
    theirs.expect_text(" is online");
    let mut ours = join(&server, "ours", &[]);
    let our_id = ours
        .shows()
        .expect(" is online")
        .strip_suffix(" is online")
        .unwrap()
        .to_owned();
    theirs.expect_text(&our_id);
    theirs.send("here I am");
    ours.shows().expect("here I am");
    ours.line(&format!("/msg {} psst", theirs.id()));
    assert_eq!(theirs.receive_private(), (our_id.clone(), "psst".to_owned()));
    theirs.send_private(&our_id, "what is it?");
    let shown = ours.shows().expect("what is it?");
    assert!(
        shown.starts_with(&format!("private from {}", theirs.id())),
        "{shown:?}"
    );
    assert_eq!(server.heard.with("psst"), [""; 0], "it was said aloud");
}

#[test]
fn a_full_legacy_server_has_its_own_exit_status() {
    let server = LegacyServer::start();
    let mut users: Vec<_> = (0..5).map(|n| server.connect(&format!("user{n}"))).collect();
    for user in &mut users {
        user.expect_text(" is online");
    }
    let mut ours = join(&server, "ours", &[]);
    assert_eq!(ours.exit_code(), 3);
}

#[test]
fn invalid_text_of_a_legacy_server_is_shown_safely() {
    let server = LegacyServer::start();
    let mut other = server.connect("other");
    other.expect_text(" is online");
    let ours = join(&server, "ours", &[]);
    ours.shows().expect(" is online");
    other.send(b"\xFF\x1b[2J done");
    let shown = ours.shows().expect("done");
    assert!(!shown.contains('\x1b'), "{shown:?}");
    assert!(shown.contains("\u{FFFD}␛[2J done"), "{shown:?}");
}
