//! Files from one client to another.

use crate::harness::{Client, Server};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs;
use std::path::PathBuf;

/// Alice, who sends, and bob, who receives into a directory.
struct Room {
    _server: Server,
    alice: Client,
    bob: Client,
    directory: PathBuf,
}

impl Room {
    fn new(test: &str) -> Self {
        let name = format!("files-{test}-{}", std::process::id());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.join("in")).unwrap();
        let server = Server::start(&[]);
        let alice = server.client("alice");
        let into = directory.join("in").to_str().unwrap().to_owned();
        let mut bob = server.start_client("bob", &["--nick", "bob", "--files-dir", &into]);
        bob.wait_until_online("bob");
        alice.shows().expect("bob@");
        Self {
            _server: server,
            alice,
            bob,
            directory,
        }
    }

    /// Alice offers this file, which need not exist.
    fn send(&mut self, name: &str) {
        let path = self.directory.join(name);
        self.alice.line(&format!("/send bob {}", path.display()));
    }

    fn offer(&mut self, name: &str, bytes: &[u8]) {
        fs::write(self.directory.join(name), bytes).unwrap();
        self.send(name);
        self.bob.complains().expect("offers you a file");
    }

    /// What bob's directory holds.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.join("in")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn kept(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.join("in").join(name)).unwrap()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn a_file_of_5_mb_arrives_byte_for_byte() {
    let mut room = Room::new("arrives");
    let numbers = 0..5_000_000_u32;
    let bytes: Vec<u8> = numbers
        .map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    room.offer("report.pdf", &bytes);
    room.bob.line("/accept 1");
    room.bob.complains().expect("report.pdf (5.0 MB) from alice@");
    room.alice.complains().expect(" has report.pdf (5.0 MB)");
    assert!(room.kept("report.pdf") == bytes);
    assert_eq!(room.names(), ["report.pdf"]);
}

#[test]
fn a_declined_file_is_not_written() {
    let mut room = Room::new("declined");
    room.offer("a.txt", b"a");
    room.bob.line("/decline 1");
    room.alice.complains().expect("failed: cancelled");
    assert!(room.names().is_empty(), "{:?}", room.names());
}

#[test]
fn a_file_never_replaces_another_one() {
    let mut room = Room::new("taken");
    fs::write(room.directory.join("in/a.txt"), "mine").unwrap();
    room.offer("a.txt", b"yours");
    room.bob.line("/accept");
    room.bob.complains().expect("a (2).txt (5 bytes) from alice@");
    assert_eq!(room.kept("a.txt"), b"mine");
    assert_eq!(room.kept("a (2).txt"), b"yours");
}

#[test]
fn what_is_no_file_is_not_offered() {
    let mut room = Room::new("bad");
    fs::create_dir(room.directory.join("dir")).unwrap();
    mkfifo(&room.directory.join("fifo"), Mode::S_IRWXU).unwrap();
    for (name, reason) in [
        ("dir", "it is a directory: make one file of it with tar"),
        ("fifo", "it is not a regular file"),
        ("missing", "no such file"),
    ] {
        room.send(name);
        room.alice.complains().expect(reason);
    }
    // An offer would have come before.
    room.offer("a.txt", b"a");
    let offers = room.bob.complains().with("offers you a file");
    assert_eq!(offers.len(), 1, "{offers:?}");
}
