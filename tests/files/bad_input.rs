//! What can't be read, or can't be written.

use super::{Directory, LONG, Room, length, noise};
use crate::harness::{Server, chat_client, client_command, with_environment};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// The beginning of a name, and what is done to the file or the part with this path.
type Change = (&'static str, fn(&Path));

#[test]
fn what_is_no_file_is_not_offered() {
    let mut room = Room::new("bad");
    let directory = &room.directory;
    fs::create_dir(directory.path("dir")).unwrap();
    mkfifo(&directory.path("fifo"), Mode::S_IRWXU).unwrap();
    let _listener = UnixListener::bind(directory.path("socket")).unwrap();
    symlink("circle", directory.path("circle")).unwrap();
    let long = "x".repeat(256);
    for (name, reason) in [
        (
            "dir",
            "it is a directory: make one file of it with tar, and send that",
        ),
        ("fifo", "it is not a regular file"),
        ("socket", "it is not a regular file"),
        ("/dev/null", "it is not a regular file"),
        ("/proc/version", "it is not a regular file"),
        ("missing", "no such file or directory"),
        ("circle", "too many levels of symbolic links"),
        (&long, "file name too long"),
    ] {
        room.send(name);
        let base = name.rsplit('/').next().unwrap().to_owned();
        let base = &base[..base.len().min(200)];
        let failed = format!(": failed: {reason}");
        room.alice
            .complains()
            .expect_all(&[&format!(", {base}, to bob@"), &failed]);
    }
    room.alice.line("/send bob");
    room.alice.complains().expect("usage: /send WHO PATH");
    // An offer would have come before.
    symlink("target", room.directory.path("link.txt")).unwrap();
    fs::write(room.directory.path("target"), "a").unwrap();
    room.send("link.txt");
    room.bob.complains().expect("a file: link.txt (1 byte)");
    let offers = room.bob.complains().with("offers you a file");
    assert_eq!(offers.len(), 1, "{offers:?}");
}

#[test]
fn a_file_that_changes_while_it_is_sent_is_not_kept() {
    let mut room = Room::new("changes");
    let bytes = noise(LONG);
    let changes: [Change; 5] = [
        ("grown", |path| {
            OpenOptions::new()
                .append(true)
                .open(path)
                .unwrap()
                .write_all(b"x")
                .unwrap();
        }),
        ("shrunk", |path| {
            OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(70_000)
                .unwrap();
        }),
        ("rewritten", |path| {
            OpenOptions::new()
                .write(true)
                .open(path)
                .unwrap()
                .write_all_at(b"x", 7)
                .unwrap();
        }),
        ("replaced", |path| {
            fs::write(path.with_extension("new"), noise(LONG)).unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        }),
        ("removed", |path| fs::remove_file(path).unwrap()),
    ];
    for (stem, change) in changes {
        let caught = room.catch(stem, &bytes);
        change(&room.directory.path(&caught.name));
        room.alice.signal(Signal::SIGCONT);
        let reason = "it was changed while it was sent";
        room.expect_failed(&caught.name, reason, reason);
    }
    room.expect_usable(&[]);
}

#[test]
fn what_another_program_does_to_a_part_is_noticed() {
    let mut room = Room::new("part");
    let bytes = noise(LONG);
    fs::write(room.directory.path("victim"), "victim").unwrap();
    let changes: [Change; 5] = [
        ("removed", |part| fs::remove_file(part).unwrap()),
        ("cut", |part| {
            OpenOptions::new()
                .write(true)
                .open(part)
                .unwrap()
                .set_len(0)
                .unwrap();
        }),
        ("longer", |part| {
            OpenOptions::new()
                .append(true)
                .open(part)
                .unwrap()
                .write_all(b"x")
                .unwrap();
        }),
        ("written", |part| {
            let file = File::options().write(true).open(part).unwrap();
            file.write_all_at(b"wrong", 7).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }),
        ("linked", |part| {
            fs::remove_file(part).unwrap();
            symlink("../victim", part).unwrap();
        }),
    ];
    for (stem, change) in changes {
        let caught = room.catch(stem, &bytes);
        change(&caught.part);
        room.alice.signal(Signal::SIGCONT);
        room.expect_failed(
            &caught.name,
            "the receiver can't write it",
            "another program changed or removed it before it was complete",
        );
        // The link is not the client's.
        if stem == "linked" {
            fs::remove_file(caught.part).unwrap();
        }
    }
    assert_eq!(fs::read(room.directory.path("victim")).unwrap(), b"victim");
    room.expect_usable(&[]);
}

#[test]
fn a_directory_that_changes_meanwhile_is_not_followed() {
    let mut room = Room::new("directory");
    let bytes = noise(LONG);
    let (within, moved) = (room.directory.path("in"), room.directory.path("moved"));
    // A link under the name of the file.
    let caught = room.catch("linked", &bytes);
    symlink("nowhere", within.join(&caught.name)).unwrap();
    room.alice.signal(Signal::SIGCONT);
    room.bob
        .complains()
        .expect("linked-1 (2).bin (20 MB) from alice@");
    fs::remove_dir_all(&within).unwrap();
    fs::create_dir(&within).unwrap();
    // A link in place of the directory.
    let caught = room.catch("moved", &bytes);
    fs::rename(&within, &moved).unwrap();
    fs::create_dir(room.directory.path("elsewhere")).unwrap();
    symlink("elsewhere", &within).unwrap();
    room.alice.signal(Signal::SIGCONT);
    room.bob.complains().expect_all(&[&caught.name, " is complete"]);
    assert!(fs::read(moved.join(&caught.name)).unwrap() == bytes);
    assert_eq!(room.directory.names(), [""; 0]);
    fs::remove_file(&within).unwrap();
    fs::rename(&moved, &within).unwrap();
    // No directory any more.
    let caught = room.catch("removed", &bytes);
    fs::remove_dir_all(&within).unwrap();
    room.alice.signal(Signal::SIGCONT);
    room.expect_failed(
        &caught.name,
        "the receiver can't write it",
        "another program changed or removed it before it was complete",
    );
    room.begin("late.txt", b"late");
    let reason = format!("{}: no such file or directory", within.display());
    room.expect_failed("late.txt", "the receiver can't write it", &reason);
    fs::create_dir(&within).unwrap();
    room.expect_usable(&[]);
}

/// Whether this machine lets a user do that.
fn can(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stderr(Stdio::null()).status();
    let can = status.is_ok_and(|status| status.success());
    if !can {
        eprintln!("skipped: {program} {arguments:?} does not work here");
    }
    can
}

#[test]
fn a_full_disk_is_told_to_both_before_anything_is_sent() {
    if !can("unshare", &["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]) {
        return;
    }
    let directory = Directory::new("full");
    let server = Server::start(&[]);
    let alice = directory.client(&server, "alice", &[]);
    let mut command = with_environment("unshare", &client_command());
    let script = "mount -t tmpfs -o size=1m tmpfs \"$0\" && exec \"$@\"";
    command
        .args(["-rm", "sh", "-c", script])
        .arg(directory.path("in"))
        .arg(chat_client());
    let bob = directory.start(&mut command, &server, "bob", &[]);
    let mut room = Room::of(directory, server, alice, bob);
    room.begin("a.txt", b"abc");
    let free = "no space left: 1 MiB are free";
    room.expect_failed("a.txt", "the receiver's disk is full", free);
    room.bob.line("still here");
    room.alice.shows().expect(": still here");
}

/// The system call that waits for the disk does not return.
#[test]
fn a_disk_that_stops_does_not_stop_the_talk() {
    let stopped = [
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        "inject=fdatasync:delay_enter=60s",
    ];
    if !can("strace", &[&stopped[..], &["true"]].concat()) {
        return;
    }
    let directory = Directory::new("stopped");
    let server = Server::start(&[]);
    let alice = directory.client(&server, "alice", &[]);
    let mut command = Command::new("strace");
    command
        .env("XDG_CONFIG_HOME", "/dev/null")
        .args(stopped)
        .arg(chat_client());
    let bob = directory.start(&mut command, &server, "bob", &[]);
    let mut room = Room::of(directory, server, alice, bob);
    room.begin("a.txt", b"abc");
    super::until("part", || {
        room.directory.part_of("a.txt").filter(|part| length(part) == 3)
    });
    room.alice.line("are you there?");
    room.bob.shows().expect(": are you there?");
    room.bob.line("/files");
    room.bob.complains().expect("1. from alice: ");
    room.bob.line("yes");
    room.alice.shows().expect(": yes");
    room.bob.line("/quit");
    // The first one waits for the file.
    room.bob.line("/quit");
    room.alice
        .shows()
        .expect(&format!("bob@{} is offline", room.bob.id()));
    assert_eq!(room.alice.complains().with(" has a.txt"), [""; 0]);
    assert!(!room.directory.kept("a.txt").exists());
}
