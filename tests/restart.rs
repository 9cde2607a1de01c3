//! A server with `--state` that ends, in order or by SIGKILL, and starts again.

use crate::harness::{
    Chance, Journal, Process, Rich, SERVER_STATE, Server, Terminal, chat_server, part_of, server_command,
};
use crate::operators::code_of;
use chat_proto::rich::FromServer;
use nix::sys::signal::Signal;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// An empty directory of this test.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("restart-{name}"));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    path
}

/// Starts a server that keeps its room in this file.
#[track_caller]
fn start_at(address: SocketAddr, state: &Path) -> Server {
    let mut command = server_command();
    command.args([address.ip().to_string(), address.port().to_string()]);
    Server::start_command(
        command
            .arg("--state")
            .arg(state)
            .args(["--rate", "0", "--history", "1000"]),
    )
}

/// Where no other server is. An address of its own, so that no connection of another test can occupy the port.
fn free(address: &str) -> SocketAddr {
    let mut server = Server::start_on(address, &[]);
    server.stop();
    server.address
}

/// The texts of these lines that are messages.
fn said(lines: &[String]) -> Vec<String> {
    let text = |line: &String| match FromServer::parse(line) {
        Ok(FromServer::Said(_, _, text)) => Some(text.to_string()),
        _ => None,
    };
    lines.iter().filter_map(text).collect()
}

fn kill(server: &mut Server) {
    server.process.signal(Signal::SIGKILL);
    server.process.wait();
}

/// Waits until the file has this text.
#[track_caller]
fn wait_until_kept(state: &Path, text: &str) {
    let until = Instant::now() + crate::harness::DEADLINE;
    while !fs::read_to_string(state).unwrap().contains(text) {
        assert!(Instant::now() < until, "{text:?} is not kept");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_orderly_restart_loses_neither_people_nor_words() {
    let state = directory("orderly").join("state");
    let address = free("127.0.1.40");
    let mut server = start_at(address, &state);
    let journal = Journal::new();
    let start = |nick| Terminal::start(nick, address, &["--nick", nick], (100, 30), &journal);
    let (mut alice, mut bob) = (start("alice"), start("bob"));
    alice.expect("you are alice@");
    bob.expect("you are bob@");
    alice.keys(&format!("/op {}\r", code_of(&server).1));
    alice.expect("runs the room from now on");
    alice.keys("/topic bring your keys\r");
    bob.expect("has set the topic: bring your keys");
    let eve = server.rich("eve");
    alice.expect("eve");
    alice.keys("/ban eve\r");
    alice.expect("has banned eve@");
    bob.keys("before\r");
    alice.expect("bob  before");
    server.stop();
    for user in [&alice, &bob] {
        user.expect("offline, retrying");
    }
    alice.keys("meanwhile one\r");
    alice.expect("meanwhile one  waiting");
    bob.keys("meanwhile two\r");
    bob.expect("meanwhile two  waiting");
    server = start_at(address, &state);
    server.log().expect(" state messages=1 clients=");
    alice.expect("back: you are alice@");
    bob.expect("back: you are bob@");
    for user in [&alice, &bob] {
        user.expect("alice  meanwhile one");
        user.expect("bob  meanwhile two");
    }
    alice.keys("/topic and your tea\r");
    bob.expect("has set the topic: and your tea");
    for user in [&alice, &bob] {
        let rows = user.rows();
        for text in ["bob  before", "alice  meanwhile one", "bob  meanwhile two"] {
            let count = rows.iter().filter(|row| row.contains(text)).count();
            assert_eq!(count, 1, "{text}: {rows:#?}");
        }
        let gaps: Vec<_> = rows
            .iter()
            .filter(|row| row.contains("missed") || row.contains("missing"))
            .collect();
        assert!(gaps.is_empty(), "{gaps:?}");
    }
    let carol = server.rich("carol");
    let mut past = said(&carol.past);
    past[1..].sort();
    assert_eq!(past, ["before", "meanwhile one", "meanwhile two"]);
    assert!(carol.roster.iter().any(|line| line.ends_with(" and your tea")));
    let mut wire = server.connect("eve");
    let greeting = wire.expect("* chat version 1: ");
    wire.seal(&greeting, eve.secret, "HELLO 1 eve - -");
    wire.expect("GOODBYE banned ");
    server.stop();
}

#[test]
fn lines_in_flight_at_an_orderly_end_arrive_once() {
    let state = directory("flight").join("state");
    let address = free("127.0.1.44");
    let mut chance = Chance::new();
    let (mut resume, mut received, mut told) = ("-".to_owned(), Vec::new(), 0);
    for _ in 0..part_of(100).max(3) {
        let mut server = start_at(address, &state);
        let hello = format!("HELLO 1 alice - {resume} next={}", received.len());
        let mut alice = Rich::with_key(server.connect("alice"), [7; 32], &hello);
        received.extend(said(&alice.past));
        resume = alice.resume.clone();
        assert_eq!(alice.taken, received.len() as u64, "{received:?}");
        let again = alice.taken + 1;
        told += 200;
        for number in again..=told {
            alice.line(&format!("SAY {number} {number}"));
        }
        thread::sleep(chance.up_to(Duration::from_millis(8)));
        server.process.signal(Signal::SIGTERM);
        // Some of what was broadcast is on its way to a client that loses its connection.
        for _ in 0..chance.in_range(0..400) {
            let Some(line) = alice.next_line() else { break };
            received.extend(said(&[line]));
        }
        drop(alice);
        server.process.wait();
    }
    let numbers: Vec<String> = (1..=received.len()).map(|number| number.to_string()).collect();
    assert_eq!(received, numbers);
    assert!(!received.is_empty());
}

#[test]
fn a_file_of_bans_holds_alone() {
    let directory = directory("bans");
    let (state, bans) = (directory.join("state"), directory.join("bans"));
    fs::write(&bans, "10.0.0.9 # from the file\n").unwrap();
    let address = free("127.0.1.43");
    let mut server = start_at(address, &state);
    let mut alice = crate::operators::operator(&server, "alice");
    let eve = server.rich("eve");
    alice.shows().expect("eve@");
    alice.line("/ban eve");
    alice.complains().expect("has banned eve@");
    drop(alice);
    server.stop();
    assert!(fs::read_to_string(&state).unwrap().contains("\nban "));
    let mut command = server_command();
    command.args([
        address.ip().to_string(),
        address.port().to_string(),
        "--state".into(),
    ]);
    let mut server = Server::start_command(command.arg(&state).arg("--bans").arg(&bans));
    server.log().expect("bans of the state left out");
    let back = server.connect("eve");
    Rich::with_key(back, eve.secret, "HELLO 1 eve - -");
    server.stop();
    assert!(!fs::read_to_string(&state).unwrap().contains("\nban "));
    assert_eq!(fs::read_to_string(&bans).unwrap(), "10.0.0.9 # from the file\n");
}

#[test]
fn a_killed_server_has_what_was_kept() {
    let state = directory("kept").join("state");
    let address = free("127.0.1.41");
    let mut server = start_at(address, &state);
    let mut alice = server.rich("alice");
    let numbers: Vec<String> = (0..200).map(|number| format!("number {number}")).collect();
    for text in &numbers {
        alice.say(text);
    }
    alice.expect("number 199");
    wait_until_kept(&state, "number 199");
    kill(&mut server);
    let mut server = start_at(address, &state);
    let hello = format!("HELLO 1 alice - {} next=150", alice.resume);
    let back = Rich::with_key(server.connect("alice"), alice.secret, &hello);
    assert_eq!((back.taken, said(&back.past)), (200, numbers[150..].to_vec()));
    assert!(back.past[0].ends_with(" 150 -"), "{:?}", back.past[0]);
    // Nothing is written while nothing changes; the file of the start is the last.
    drop(back);
    wait_until_kept(&state, " seq 200 ");
    server.stop();
}

#[test]
fn a_server_killed_at_any_moment_keeps_its_file() {
    let directory = directory("killed");
    let state = directory.join("state");
    let address = free("127.0.1.42");
    let mut chance = Chance::new();
    let mut resume = "-".to_owned();
    let (mut next, mut told, mut kept) = (0, 0, Vec::new());
    for round in 0..part_of(200) {
        let mut server = start_at(address, &state);
        let refused = server.log().with("state refused");
        assert!(refused.is_empty(), "{refused:?}");
        let hello = format!("HELLO 1 alice - {resume} next={next}");
        let mut alice = Rich::with_key(server.connect("alice"), [7; 32], &hello);
        let watcher = Rich::with_key(server.connect("watcher"), [8; 32], "HELLO 1 - - -");
        // What was kept is kept for good, and no message is there twice.
        let past = said(&watcher.past);
        let recent = kept.iter().rev().take(300);
        assert!(
            recent.clone().all(|text| past.contains(text)),
            "{past:?} after {kept:?}"
        );
        let mut sorted = past.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), past.len(), "{past:?}");
        for text in &said(&alice.past) {
            assert!(!kept.contains(text), "{text} is sent again");
        }
        resume = alice.resume.clone();
        let position = alice.past[0].split(' ').nth(2).unwrap();
        next = position.parse::<u64>().unwrap() + said(&alice.past).len() as u64;
        // Most kills are in the first write, and in the one after a second.
        let delay = match chance.in_range(0..8) {
            0 => Duration::from_millis(1000 + chance.in_range(0..60)),
            _ => chance.up_to(Duration::from_millis(40)),
        };
        if round == 0 {
            // There is something to lose from now on.
            told += 1;
            alice.line(&format!("SAY {told} {round}-{told}"));
            wait_until_kept(&state, &format!(" {round}-{told}\n"));
        }
        let until = Instant::now() + delay;
        kept = past;
        while let left = until.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            told += 1;
            alice.line(&format!("SAY {told} {round}-{told}"));
            while let Some(Some(line)) = alice.next_line_within(Duration::from_millis(5).min(left)) {
                let texts = said(&[line]);
                next += texts.len() as u64;
            }
        }
        kill(&mut server);
        while let Some(line) = alice.next_line() {
            next += said(&[line]).len() as u64;
        }
    }
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.retain(|name| name != "state.new");
    names.sort();
    assert_eq!(names, ["state", "state.lock"]);
    assert!(!kept.is_empty());
}

/// Why a server with this file does not start.
#[track_caller]
fn complaint(state: &Path) -> String {
    let mut command = server_command();
    command.args(["127.0.0.1", "0", "--state"]).arg(state);
    let mut process = Process::start("server", &Journal::new(), &mut command);
    assert_eq!(process.exit_code(), 1);
    process.stderr.lines().join("\n")
}

#[test]
fn a_file_that_cannot_be_used_ends_the_start_with_the_reason() {
    let directory = directory("unusable");
    let missing = directory.join("missing").join("state");
    for (path, why) in [
        (&missing, "No such file or directory"),
        (&directory, "it is no regular file"),
        (&PathBuf::from("/dev/null"), "it is no regular file"),
        (&PathBuf::from("/proc/state"), "/proc/state: "),
    ] {
        let complaint = complaint(path);
        assert!(
            complaint.contains("state file ") && complaint.contains(why),
            "{complaint}"
        );
    }
    assert!(!missing.parent().unwrap().exists());
    let state = directory.join("state");
    let mut server = start_at("127.0.0.1:0".parse().unwrap(), &state);
    let complaint = complaint(&state);
    assert!(
        complaint.contains("another server uses it; each needs a file of its own"),
        "{complaint}"
    );
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    server.stop();
}

#[test]
fn a_damaged_file_is_set_aside_and_the_room_is_empty() {
    let directory = directory("damaged");
    let (state, aside) = (directory.join("state"), directory.join("state.refused"));
    let mut server = start_at("127.0.0.1:0".parse().unwrap(), &state);
    server.rich("alice").sync("hello");
    server.stop();
    let whole = fs::read(&state).unwrap();
    for content in [&whole[..whole.len() - 1], b""] {
        fs::write(&state, content).unwrap();
        let mut server = start_at("127.0.0.1:0".parse().unwrap(), &state);
        let line = server.log().expect("state refused: ");
        let why = "it is damaged: its checksum is wrong";
        assert!(
            line.contains(&format!("{why}; it is now {}", aside.display())),
            "{line}"
        );
        assert_eq!(said(&server.rich("alice").past), [""; 0]);
        assert_eq!(fs::read(&aside).unwrap(), content);
        server.stop();
    }
}

#[test]
fn a_file_of_another_program_or_open_to_others_is_left_alone() {
    let state = directory("foreign").join("state");
    let mut server = start_at("127.0.0.1:0".parse().unwrap(), &state);
    server.stop();
    let whole = fs::read(&state).unwrap();
    for (content, mode, why) in [
        (&whole[..], 0o640, "others may use it; it needs mode 600"),
        (b"# our bans\n", 0o600, "it is no state of chat-server"),
    ] {
        fs::write(&state, content).unwrap();
        fs::set_permissions(&state, Permissions::from_mode(mode)).unwrap();
        let complaint = complaint(&state);
        assert!(complaint.contains(why), "{complaint}");
        assert_eq!(fs::read(&state).unwrap(), content);
    }
}

#[test]
fn a_state_that_cannot_be_written_is_logged_once_and_tried_again() {
    let directory = directory("unwritable");
    let elsewhere = directory.with_extension("elsewhere");
    let _ = fs::remove_dir_all(&elsewhere);
    let state = directory.join("state");
    let mut server = start_at("127.0.0.1:0".parse().unwrap(), &state);
    let mut alice = server.rich("alice");
    fs::rename(&directory, &elsewhere).unwrap();
    alice.sync("one");
    server.log().expect("state not kept: ");
    alice.sync("two");
    fs::rename(&elsewhere, &directory).unwrap();
    server.log().expect("state kept again");
    wait_until_kept(&state, " two\n");
    assert_eq!(server.log().with("state not kept").len(), 1);
    server.stop();
}

/// On a disk of its own, which the last server finds with space again.
#[test]
fn on_a_full_disk_a_state_does_not_pass_for_that_of_an_orderly_end() {
    let directory = directory("full");
    let script = "mount -t tmpfs -o size=64k none $directory || exit 77
        log=$directory.log
        run() {
            rm -f $log
            $server 127.0.0.1 0 --state $directory/state >/dev/null 2>$log & server_id=$!
            until grep -qs 'code for operators' $log; do sleep 0.05; done
            kill -$1 $server_id; wait $server_id
            echo status $?; grep -o 'state messages.*' $log
        }
        run TERM; cat /dev/zero >$directory/all 2>/dev/null; run TERM; run KILL; rm $directory/all; run TERM; run TERM";
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .env("directory", &directory)
        .env("server", chat_server())
        .env("XDG_STATE_HOME", SERVER_STATE);
    let Ok(output) = unshare.output() else {
        return eprintln!("skipped: this system has no unshare");
    };
    if output.stdout.is_empty() {
        return eprintln!("skipped: this system makes no mount namespaces");
    }
    let kept = |end| format!("state messages=0 clients=0 bans=0 {end}");
    let (ended, killed) = (kept("ended"), kept("killed"));
    let expected = [
        "status 0",
        "status 1",
        &ended,
        "status 137",
        &killed,
        "status 0",
        &killed,
        "status 0",
        &ended,
    ];
    assert_eq!(
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn an_idle_room_writes_nothing() {
    let state = directory("idle").join("state");
    let mut server = start_at("127.0.0.1:0".parse().unwrap(), &state);
    let mut alice = server.rich("alice");
    alice.sync("hello");
    wait_until_kept(&state, " hello\n");
    // Every write makes another file.
    let number = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&state).unwrap());
    let (before, since) = (number(), Instant::now());
    // More than the time between two writes.
    while since.elapsed() < Duration::from_millis(1500) {
        alice.next_line_within(Duration::from_millis(500));
    }
    assert_eq!(number(), before);
    server.stop();
}
