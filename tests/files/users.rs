//! Who can be sent files, and what several offers do to each other.

use super::{Directory, Room};
use crate::harness::{Client, LegacyServer, Server};
use std::fs;

#[test]
fn a_user_without_files_is_offered_nothing() {
    let mut room = Room::new("without");
    fs::write(room.directory.path("a.txt"), "a").unwrap();
    let path = room.directory.path("a.txt");
    let path = path.display();
    let mut plain = room.server.plain_named("carol");
    room.alice.shows().expect("carol@");
    let no_key = "that user has no key, so files can't be sealed";
    for (who, reason) in [
        ("carol", no_key),
        ("alice", "that is you"),
        ("dave", "nobody here has that name"),
    ] {
        room.alice.line(&format!("/send {who} {path}"));
        room.alice
            .complains()
            .expect(&format!("not sent to {who}: {reason}"));
    }
    room.alice.line("hello");
    // Carol has had nothing else.
    plain.expect(": hello");
    room.expect_usable(&[]);
}

#[test]
fn an_original_server_has_no_files() {
    let server = LegacyServer::start();
    let mut alice = Client::start("alice", server.address, &["--clear"], &server.journal);
    alice.shows().expect(" is online");
    alice.line("/send 127.0.0.1:1 /etc/hostname");
    alice
        .complains()
        .expect("not sent to 127.0.0.1:1: an original server has no keys, so files can't be sealed");
}

#[test]
fn users_who_want_no_files_are_not_told_of_them() {
    for setting in ["off", "verified"] {
        let mut room = Room::with(setting, &[], &["--files", setting]);
        fs::write(room.directory.path("a.txt"), "a").unwrap();
        room.send("a.txt");
        room.alice.complains().expect(", a.txt, to bob@");
        room.alice
            .complains()
            .expect("failed: files are not accepted there");
        room.bob.line("/accept");
        room.bob.complains().expect("not accepted: there is no such file");
        assert_eq!(room.bob.complains().with("a.txt"), [""; 0]);
    }
}

#[test]
fn the_ignored_offer_nothing_and_are_sent_files() {
    let mut room = Room::new("ignored");
    room.bob.line("/ignore alice");
    room.bob.complains().expect("is hidden until");
    fs::write(room.directory.path("a.txt"), "a").unwrap();
    room.send("a.txt");
    room.alice.complains().expect("is offered to bob@");
    room.bob
        .line(&format!("/send alice {}", room.directory.path("a.txt").display()));
    room.alice.complains().expect("offers you a file: a.txt");
    room.alice.line("/accept as b.txt");
    room.bob.complains().expect(" has a.txt");
    assert_eq!(room.directory.names(), ["b.txt"]);
    assert_eq!(room.bob.complains().with("offers you"), [""; 0]);
    room.alice.line("/cancel");
    room.alice
        .complains()
        .expect_all(&["a.txt, to bob@", ": cancelled"]);
}

#[test]
fn both_sides_send_one_name_at_once() {
    let mut room = Room::new("both");
    fs::create_dir(room.directory.path("of-bob")).unwrap();
    fs::write(room.directory.path("of-bob/a.txt"), "from bob").unwrap();
    let path = room.directory.path("of-bob/a.txt");
    room.bob.line(&format!("/send alice {}", path.display()));
    room.offer("a.txt", b"from alice");
    room.alice
        .complains()
        .expect("offers you a file: a.txt (8 bytes)");
    room.alice.line("/accept");
    room.bob.line("/accept");
    room.alice.complains().expect("(8 bytes) from bob@");
    room.bob.complains().expect("(10 bytes) from alice@");
    // Both receive into one directory here.
    assert_eq!(room.directory.names(), ["a (2).txt", "a.txt"]);
    let mut kept = ["a.txt", "a (2).txt"].map(|name| fs::read(room.directory.kept(name)).unwrap());
    kept.sort();
    assert_eq!(kept, [&b"from alice"[..], b"from bob"]);
}

#[test]
fn offers_of_one_name_are_several_files_and_of_one_file_are_one() {
    let mut room = Room::new("several");
    fs::create_dir(room.directory.path("other")).unwrap();
    room.offer("report.pdf", b"first");
    room.send("report.pdf");
    room.alice
        .complains()
        .expect_all(&["file 1, report.pdf, to bob@", ": failed: it was offered again"]);
    fs::write(room.directory.path("other/report.pdf"), "second").unwrap();
    room.send("other/report.pdf");
    room.bob.complains().expect("report.pdf (6 bytes); /accept 2");
    assert_eq!(room.bob.complains().with("offers you").len(), 2);
    room.bob.line("/accept 1");
    room.bob.line("/accept 2");
    room.bob.line("/accept 2");
    room.bob.complains().expect("not accepted: ");
    room.bob.complains().expect("(5 bytes) from alice@");
    room.bob.complains().expect("(6 bytes) from alice@");
    room.expect_usable(&["report (2).pdf", "report.pdf"]);
}

#[test]
fn files_go_directly_where_nothing_else_is_allowed() {
    for (of_alice, of_bob) in [(&["--direct-only"][..], &[][..]), (&[], &["--direct-only"])] {
        let directory = Directory::new(&format!("direct-{}", of_alice.len()));
        let server = Server::start(&[]);
        let alice = directory.client(&server, "alice", of_alice);
        let bob = directory.client(&server, "bob", of_bob);
        let mut room = Room::of(directory, server, alice, bob);
        room.expect_usable(&[]);
    }
}
