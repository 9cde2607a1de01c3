//! Files of scripts and bots, and where files are kept.

use super::Room;
use crate::harness::{Client, client_command};
use std::fs;

impl Room {
    /// A script that sends a file to this user. Its input stays open.
    fn script(&self, to: &str, name: &str) -> Client {
        let path = self.directory.path(name);
        let options = ["--nick", "script", "--to", to, "--file", path.to_str().unwrap()];
        self.server.start_client("script", &options)
    }
}

#[test]
fn a_script_that_sends_a_file_ends_with_0_once_it_is_kept() {
    let mut room = Room::new("script");
    fs::write(room.directory.path("a b.txt"), "all of it").unwrap();
    let mut script = room.script("bob", "a b.txt");
    room.bob
        .complains()
        .expect_all(&["script@", "offers you a file: a b.txt (9 bytes)"]);
    room.bob.line("/accept");
    assert_eq!(script.exit_code(), 0);
    assert_eq!(fs::read(room.directory.kept("a b.txt")).unwrap(), b"all of it");
    script.complains().expect(" has a b.txt (9 bytes)");
    assert!(script.shows().lines().is_empty(), "no messages");
}

#[test]
fn a_script_that_sends_a_file_ends_with_5_unless_it_is_kept() {
    let mut room = Room::new("script-fails");
    fs::write(room.directory.path("a.txt"), "a").unwrap();
    for (to, name, reason) in [
        ("nobody", "a.txt", "not sent to nobody: "),
        ("script", "a.txt", "not sent to script: that is you"),
        ("bob", "missing", "no such file"),
        ("bob", "in", "it is a directory: make one file of it with tar"),
    ] {
        let mut script = room.script(to, name);
        assert_eq!(script.exit_code(), 5, "{to} {name}");
        script.complains().expect(reason);
    }
    let mut script = room.script("bob", "a.txt");
    room.bob.complains().expect("offers you a file: a.txt");
    room.bob.line("/decline");
    assert_eq!(script.exit_code(), 5);
    script.complains().expect("declined file 1, a.txt");
    room.expect_usable(&[]);
}

#[test]
fn the_end_of_the_input_waits_until_a_file_is_kept() {
    let mut room = Room::new("eof");
    room.offer("a.txt", b"a");
    room.alice.end_input();
    room.bob.line("/accept");
    assert_eq!(room.alice.exit_code(), 0);
    assert_eq!(fs::read(room.directory.kept("a.txt")).unwrap(), b"a");
}

#[test]
fn a_bot_accepts_every_offer_and_is_told_the_path() {
    let room = Room::new("bot");
    let into = room.directory.path("in");
    let options = ["--json", "--nick", "bot", "--files-dir", into.to_str().unwrap()];
    let mut bot = room.server.start_client("bot", &options);
    bot.shows().expect(r#""kind":"live""#);
    fs::write(room.directory.path("a.txt"), "a").unwrap();
    let mut script = room.script("bot", "a.txt");
    bot.shows().expect(r#""kind":"file-offer""#);
    bot.line("/accept 1");
    let path = into.join("a.txt");
    bot.shows().expect(&format!(r#""file":"{}""#, path.display()));
    assert_eq!(script.exit_code(), 0);
}

#[test]
fn a_directory_that_was_named_has_to_exist() {
    let room = Room::new("nowhere");
    let into = room.directory.path("nowhere");
    let options = ["--nick", "carol", "--files-dir", into.to_str().unwrap()];
    let mut carol = room.server.start_client("carol", &options);
    carol.complains().expect("nowhere is not a directory");
    carol.wait_until_online("carol");
    fs::write(room.directory.path("a.txt"), "a").unwrap();
    let mut script = room.script("carol", "a.txt");
    carol.complains().expect("offers you a file");
    carol.line("/accept");
    carol.complains().expect("nowhere: no such file or directory");
    assert_eq!(script.exit_code(), 5);
    script.complains().expect("the receiver can't write it");
}

#[test]
fn the_usual_directory_is_made_for_the_first_file() {
    let room = Room::new("usual");
    let server = room.server.address;
    let mut command = client_command();
    command
        .env("HOME", room.directory.path("in"))
        .args([server.ip().to_string(), server.port().to_string()])
        .args(["--nick", "carol"]);
    let mut carol = Client::start_command("carol", &mut command, &room.server.journal);
    carol.wait_until_online("carol");
    fs::write(room.directory.path("a.txt"), "a").unwrap();
    let mut script = room.script("carol", "a.txt");
    carol.complains().expect("offers you a file");
    assert_eq!(room.directory.names(), [""; 0], "nothing before it is accepted");
    carol.line("/accept");
    assert_eq!(script.exit_code(), 0);
    assert_eq!(fs::read(room.directory.kept("Downloads/a.txt")).unwrap(), b"a");
}
