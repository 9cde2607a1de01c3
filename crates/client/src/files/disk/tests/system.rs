//! What the system says no to. Each test runs itself again in a process of its own.

use super::{Bench, OTHER, PART, hash, kept, noise, reason};
use crate::files::disk::Disk;
use crate::files::message::Reason;
use crate::files::name::FileName;
use crate::files::request::{Answer, BLOCK, Part, Request};
use chat_proto::text::Text;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// Runs one test again in a process of its own, with a directory for it and as the shell says (`$1` is the directory).
fn again(test: &str, shell: &str) {
    let bench = Bench::new(test);
    let script = format!("{shell} \"$0\" --exact files::disk::tests::system::{test} --nocapture");
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command
        .arg(std::env::current_exe().unwrap())
        .arg(&bench.directory);
    let output = command
        .env("CHAT_FILES_AGAIN", &bench.directory)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr]
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .concat();
    if output.status.success() {
        assert!(text.contains("1 passed"), "{text}");
    } else {
        // No user namespaces, no mounts there, or no such program.
        let is_missing = ["unshare: ", "mount: ", "setpriv: ", "strace: "]
            .iter()
            .any(|program| text.contains(program));
        assert!(is_missing && !text.contains("panicked"), "{text}");
        eprintln!("skipped: {text}");
    }
}

fn directory_of_again() -> Option<PathBuf> {
    std::env::var_os("CHAT_FILES_AGAIN").map(PathBuf::from)
}

#[test]
fn a_full_disk_is_told() {
    let Some(directory) = directory_of_again() else {
        return again(
            "a_full_disk_is_told",
            "mount -t tmpfs -o size=1m tmpfs \"$1\" && exec",
        );
    };
    // The file is larger than the free space, or would leave too little of it.
    let bench = Bench::at(directory.clone(), 0);
    assert_eq!(
        reason(&bench.open_part(PART, "a", 2 << 20)),
        Some(Reason::DiskFull)
    );
    let careful = Disk::start(None).unwrap();
    let part = Part {
        directory,
        name: FileName::new(b"a"),
        size: 1,
        modified: 9,
    };
    careful.ask(PART, Request::OpenPart(part));
    let answer = std::iter::repeat_with(|| careful.next_answer())
        .flatten()
        .next()
        .unwrap();
    assert_eq!(reason(&answer.1), Some(Reason::DiskFull));
    assert_eq!(bench.names(), [""; 0]);
    // Another program takes what was reserved; what arrived before stays.
    let bytes = noise(BLOCK);
    bench.open_part(PART, "a", 10 * BLOCK as u64);
    bench.write_part(PART, &bytes);
    let part = bench.path(&format!(".a.{}.9.chat-part", 10 * BLOCK));
    fs::File::options()
        .write(true)
        .open(&part)
        .unwrap()
        .set_len(BLOCK as u64)
        .unwrap();
    let other = fs::write(bench.path("other"), vec![0; 2 << 20]);
    assert_eq!(other.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(reason(&bench.write_part(PART, &bytes)), Some(Reason::DiskFull));
    assert_eq!(fs::read(&part).unwrap(), bytes);
    fs::remove_file(bench.path("other")).unwrap();
    let answer = bench.open_part(OTHER, "a", 10 * BLOCK as u64);
    assert_eq!(answer, Answer::Part(BLOCK as u64, hash(&bytes)));
}

#[test]
fn a_read_only_directory_is_told() {
    let Some(directory) = directory_of_again() else {
        return again(
            "a_read_only_directory_is_told",
            "mount -t tmpfs -o ro tmpfs \"$1\" && exec",
        );
    };
    let bench = Bench::at(directory, 0);
    assert_eq!(reason(&bench.open_part(PART, "a", 1)), Some(Reason::CannotWrite));
}

#[test]
fn a_file_without_permission_is_told() {
    let Some(directory) = directory_of_again() else {
        // Root may do anything without this.
        return again(
            "a_file_without_permission_is_told",
            "exec setpriv --bounding-set=-dac_override,-dac_read_search",
        );
    };
    let bench = Bench::at(directory, 0);
    let secret = bench.write("secret", b"abc");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let denied = |reason| Answer::Failed(reason, Text::new("permission denied"));
    assert_eq!(bench.open(&secret), denied(Reason::CannotRead));
    fs::set_permissions(&bench.directory, fs::Permissions::from_mode(0o500)).unwrap();
    assert_eq!(bench.open_part(PART, "a", 1), denied(Reason::CannotWrite));
    assert_eq!(bench.names(), ["secret"]);
    fs::set_permissions(&bench.directory, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_limit_of_the_shell_does_not_kill_the_client() {
    let Some(directory) = directory_of_again() else {
        return again(
            "the_limit_of_the_shell_does_not_kill_the_client",
            "ulimit -f 8; exec",
        );
    };
    let bench = Bench::at(directory, 0);
    let answer = bench.open_part(PART, "a", 1 << 20);
    assert_eq!(reason(&answer), Some(Reason::CannotWrite), "{answer:?}");
    assert_eq!(bench.receive(PART, "a", b"abc"), kept("a"));
}

#[test]
fn bytes_are_on_the_disk_before_their_name_and_it_before_kept() {
    let Some(directory) = directory_of_again() else {
        let test = "bytes_are_on_the_disk_before_their_name_and_it_before_kept";
        return again(
            test,
            "strace -f -qq -o \"$1\"/calls -e fdatasync,renameat2,linkat,fsync",
        );
    };
    let bench = Bench::at(directory, 0);
    assert_eq!(bench.receive(PART, "a", b"abc"), kept("a"));
    let calls = fs::read_to_string(bench.path("calls")).unwrap();
    let calls = calls.lines().map(|line| {
        line.split(['(', ' '])
            .find(|word| word.parse::<u32>().is_err() && !word.is_empty())
    });
    assert_eq!(
        calls.flatten().collect::<Vec<_>>(),
        ["fdatasync", "renameat2", "fsync"]
    );
}
