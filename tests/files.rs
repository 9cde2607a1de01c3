//! Files from one client to another.

mod bad_input;
mod breaks;
mod script;
mod users;

use crate::harness::{Client, DEADLINE, Server, client_command};
use nix::sys::signal::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Alice, who sends, and bob, who receives into a directory. Both keep their keys.
struct Room {
    server: Server,
    alice: Client,
    bob: Client,
    directory: Directory,
}

/// A file of which bob has a part, while alice is stopped.
struct Caught {
    name: String,
    part: PathBuf,
}

impl Room {
    fn new(test: &str) -> Self {
        Self::with(test, &[], &[])
    }

    /// With these options of the server, and of bob.
    fn with(test: &str, options: &[&str], options_of_bob: &[&str]) -> Self {
        let directory = Directory::new(test);
        let server = Server::start(options);
        let alice = directory.client(&server, "alice", &[]);
        let bob = directory.client(&server, "bob", options_of_bob);
        Self::of(directory, server, alice, bob)
    }

    /// Once alice sees bob.
    fn of(directory: Directory, server: Server, alice: Client, bob: Client) -> Self {
        alice.shows().expect("bob@");
        Self {
            server,
            alice,
            bob,
            directory,
        }
    }

    /// Alice offers this file, which need not exist.
    fn send(&mut self, name: &str) {
        let path = self.directory.path(name);
        self.alice.line(&format!("/send bob {}", path.display()));
    }

    /// Alice offers a file with these bytes. Bob's number of it.
    #[track_caller]
    fn offer(&mut self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.directory.path(name), bytes).unwrap();
        self.send(name);
        let offer = self.bob.complains().expect(&format!("a file: {name} ("));
        let (_, number) = offer.split_once("/accept ").unwrap();
        number.split(' ').next().unwrap().to_owned()
    }

    /// Alice offers it, and bob accepts it.
    #[track_caller]
    fn begin(&mut self, name: &str, bytes: &[u8]) {
        let number = self.offer(name, bytes);
        self.bob.line(&format!("/accept {number}"));
    }

    /// Alice sends a file with these bytes, and is stopped in the middle.
    #[track_caller]
    fn catch(&mut self, stem: &str, bytes: &[u8]) -> Caught {
        for attempt in 1.. {
            let name = format!("{stem}-{attempt}.bin");
            self.begin(&name, bytes);
            let kept = self.directory.kept(&name);
            let part = until("a part", || {
                let part = self.directory.part_of(&name).filter(|part| length(part) > 0);
                part.or_else(|| kept.exists().then(|| kept.clone()))
            });
            self.alice.signal(Signal::SIGSTOP);
            if part != kept && !kept.exists() && length(&part) < bytes.len() as u64 / 2 {
                return Caught { name, part };
            }
            // It was too fast.
            self.alice.signal(Signal::SIGCONT);
            self.alice.complains().expect(&format!(" has {name}"));
            fs::remove_file(kept).unwrap();
        }
        unreachable!()
    }

    /// Both are told that this file failed, alice with the first words and bob with the others.
    #[track_caller]
    fn expect_failed(&self, name: &str, to_alice: &str, to_bob: &str) {
        for (client, way, reason) in [
            (&self.alice, "to bob@", to_alice),
            (&self.bob, "from alice@", to_bob),
        ] {
            let end = format!(": failed: {reason}");
            client
                .complains()
                .expect_all(&[&format!(", {name}, {way}"), &end]);
        }
    }

    /// Both are told that the file is complete, and it is.
    #[track_caller]
    fn expect_kept(&self, name: &str, bytes: &[u8]) {
        self.alice.complains().expect(&format!(" has {name} ("));
        self.bob.complains().expect_all(&[name, " is complete"]);
        assert!(fs::read(self.directory.kept(name)).unwrap() == bytes, "{name}");
    }

    /// The end of a test: both can still be used, and bob has these files and no part.
    #[track_caller]
    fn expect_usable(&mut self, names: &[&str]) {
        self.begin("last.txt", b"last");
        self.expect_kept("last.txt", b"last");
        let mut all = [names, &["last.txt"]].concat();
        all.sort_unstable();
        assert_eq!(self.directory.names(), all);
    }
}

/// What a test writes: files of alice, `in` for bob, and what both keep of their keys.
struct Directory(PathBuf);

impl Directory {
    fn new(test: &str) -> Self {
        let name = format!("files-{test}-{}", std::process::id());
        let directory = Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name));
        let _ = fs::remove_dir_all(&directory.0);
        fs::create_dir_all(directory.path("in")).unwrap();
        directory
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn kept(&self, name: &str) -> PathBuf {
        self.path("in").join(name)
    }

    /// What bob's directory holds.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("in")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn part_of(&self, name: &str) -> Option<PathBuf> {
        let is_it = |part: &String| part.starts_with(&format!(".{name}.")) && part.ends_with(".chat-part");
        self.names().into_iter().find(is_it).map(|part| self.kept(&part))
    }

    /// A client that keeps its key in a directory of its own.
    fn client(&self, server: &Server, nick: &str, options: &[&str]) -> Client {
        let mut command = client_command();
        self.start(&mut command, server, nick, options)
    }

    /// A command that ends in a client.
    fn start(&self, command: &mut Command, server: &Server, nick: &str, options: &[&str]) -> Client {
        let (ip, port) = (server.address.ip().to_string(), server.address.port().to_string());
        let keys = self.path(&format!("state-{nick}"));
        command
            .args([&ip, &port, "--nick", nick, "--files-dir"])
            .arg(self.path("in"));
        command.args(options).env("XDG_STATE_HOME", keys);
        let mut client = Client::start_command(nick, command, &server.journal);
        client.wait_until_online(nick);
        client
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Waits for something that a file system does not tell.
#[track_caller]
fn until<T>(what: &str, find: impl Fn() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < end, "no {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn noise(length: usize) -> Vec<u8> {
    let numbers = 0..65_521_u32;
    let bytes: Vec<u8> = numbers
        .map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let mut noise = bytes.repeat(length / bytes.len() + 1);
    noise.truncate(length);
    noise
}

/// Long enough to be caught in the middle.
const LONG: usize = 20_000_000;

#[test]
fn a_file_of_5_mb_arrives_byte_for_byte() {
    let mut room = Room::new("arrives");
    let bytes = noise(5_000_000);
    room.begin("report.pdf", &bytes);
    room.bob.complains().expect("report.pdf (5.0 MB) from alice@");
    room.alice.complains().expect(" has report.pdf (5.0 MB)");
    room.expect_kept("report.pdf", &bytes);
    room.begin("empty", b"");
    room.expect_kept("empty", b"");
    assert_eq!(room.directory.names(), ["empty", "report.pdf"]);
}

#[test]
fn a_declined_file_is_not_written() {
    let mut room = Room::new("declined");
    room.offer("a.txt", b"a");
    room.bob.line("/decline 1");
    room.alice.complains().expect("declined file 1, a.txt");
    assert_eq!(room.directory.names(), [""; 0]);
}

#[test]
fn a_file_never_replaces_another_one() {
    let mut room = Room::new("taken");
    fs::write(room.directory.kept("a.txt"), "mine").unwrap();
    room.begin("a.txt", b"yours");
    room.bob.complains().expect("a (2).txt (5 bytes) from alice@");
    assert_eq!(fs::read(room.directory.kept("a.txt")).unwrap(), b"mine");
    assert_eq!(fs::read(room.directory.kept("a (2).txt")).unwrap(), b"yours");
}

#[test]
fn names_are_made_harmless() {
    let mut room = Room::new("names");
    let long = format!("{}.txt", "x".repeat(251));
    for (number, (name, kept)) in [
        ("with two  spaces.txt", "with two spaces.txt"),
        ("esc\u{1b}[31m.txt", "esc\u{241B}[31m.txt"),
        ("bidi\u{202E}txt.exe", "biditxt.exe"),
        ("back\\slash.txt", "slash.txt"),
        (".hidden", "hidden"),
        ("CON", "_CON"),
        ("e\u{301}", "\u{e9}"),
        (&long, &format!("{}.txt", "x".repeat(196))),
    ]
    .into_iter()
    .enumerate()
    {
        fs::write(room.directory.path(name), name).unwrap();
        room.send(name);
        room.bob.complains().expect(&format!("a file: {kept} ("));
        room.bob.line(&format!("/accept {}", number + 1));
        room.expect_kept(kept, name.as_bytes());
    }
}
