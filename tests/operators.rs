//! Who runs the room, with the real programs.

use crate::harness::{Client, SERVER_STATE, Server, pseudo_terminal, server_command};
use nix::sys::signal::Signal;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where a server whose output is no terminal leaves the code, and the code.
pub fn code_of(server: &Server) -> (PathBuf, String) {
    let line = server.log().expect(" code for operators in ");
    let (_, path) = line.split_once(" in ").unwrap();
    let path = PathBuf::from(path);
    assert!(path.starts_with(SERVER_STATE), "{path:?}");
    let code = fs::read_to_string(&path).unwrap();
    (path, code.trim_end().to_owned())
}

/// A client that runs the room.
pub fn operator(server: &Server, nick: &str) -> Client {
    let (_, code) = code_of(server);
    let mut client = Client::start(nick, server.address, &["--nick", nick], &server.journal);
    client.wait_until_online(nick);
    client.line(&format!("/op {code}"));
    client.complains().expect(" runs the room from now on");
    client
}

#[test]
fn the_code_is_in_a_file_of_its_owner_and_makes_an_operator() {
    let mut server = Server::start(&[]);
    let (path, code) = code_of(&server);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut alice = operator(&server, "alice");
    let who = format!("alice@{}", alice.id());
    alice.line("/who");
    alice.complains().expect(&format!("* {who} (operator)"));
    server.log().expect(&format!(" operator {who} op"));
    alice.line("/op aaaa-aaaa-aaaa-aaaa");
    alice.complains().expect("wrong code");
    server.log().expect(" reason=code");
    server.stop();
    assert!(!path.exists());
    let shown = [server.log().lines(), server.process.stdout.lines()].concat();
    assert!(shown.iter().all(|line| !line.contains(&code)), "{shown:?}");
}

#[test]
fn each_address_has_its_own_file_with_the_code() {
    let mut first = Server::start_on("127.0.0.1", &[]);
    let port = first.address.port().to_string();
    let start = || Server::start_command(server_command().args(["::1", &port]));
    let mut second = start();
    let codes = [code_of(&first), code_of(&second)];
    first.stop();
    assert!(!codes[0].0.exists());
    assert_eq!(code_of(&second), codes[1]);
    second.process.signal(Signal::SIGKILL);
    second.process.wait();
    let mut third = start();
    let (path, code) = code_of(&third);
    assert_eq!(path, codes[1].0);
    assert_ne!(code, codes[1].1);
    third.stop();
    assert!(!path.exists());
}

#[test]
fn the_next_server_removes_the_codes_of_killed_ones_only() {
    let (mut killed, living) = (Server::start(&[]), Server::start(&[]));
    let (left, kept) = (code_of(&killed).0, code_of(&living));
    killed.process.signal(Signal::SIGKILL);
    killed.process.wait();
    let next = Server::start(&[]);
    assert!(code_of(&next).0.exists() && !left.exists());
    assert_eq!(code_of(&living), kept);
}

#[test]
fn a_terminal_shows_the_code_and_no_file_has_it() {
    let (master, slave) = pseudo_terminal();
    let mut command = server_command();
    command.args(["127.0.0.1", "0"]).stdout(slave);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut lines = BufReader::new(master).lines().map(Result::unwrap);
    let address = lines.next().unwrap();
    let code = lines.find(|line| line.contains("/op ")).unwrap();
    let (_, address) = address.trim_end().rsplit_once(' ').unwrap();
    let file = PathBuf::from(SERVER_STATE).join(format!("chat/operator-code-{address}"));
    let exists = file.exists();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!exists, "{file:?}");
    let (_, code) = code.trim_end().rsplit_once(' ').unwrap();
    assert_eq!(code.len(), "aeba-gbaf-aydq-qcik".len(), "{code:?}");
}

#[test]
fn a_file_of_operators_with_a_bad_line_is_refused() {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("operators-bad");
    fs::write(
        &path,
        "# ours\n\nmZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk alice\nbob\n",
    )
    .unwrap();
    let output = server_command()
        .args(["127.0.0.1", "0", "--operators"])
        .arg(&path)
        .output()
        .unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("line 4: expected a key"), "{complaint}");
    fs::remove_file(path).unwrap();
}

#[test]
fn the_topic_is_read_by_all_who_join() {
    let server = Server::start(&[]);
    let mut alice = operator(&server, "alice");
    alice.line("/topic bring your keys");
    alice.complains().expect("has set the topic: bring your keys");
    server.log().expect(" topic");
    let mut bob = Client::start(
        "bob",
        server.address,
        &["--nick", "bob", "--json"],
        &server.journal,
    );
    bob.shows().expect("\"kind\":\"topic\"");
    bob.line("/topic mine");
    bob.shows().expect("only operators may do that");
    let mut plain = server.plain("carol");
    plain.expect("* the topic is: bring your keys (set by alice@");
    plain.line("/topic");
    plain.expect("* the topic is: bring your keys (set by alice@");
}

#[test]
fn a_locked_room_says_so_and_the_doctor_too() {
    let server = Server::start(&[]);
    let mut alice = operator(&server, "alice");
    alice.line("/lock");
    alice.complains().expect("has locked the room");
    server.log().expect(" lock");
    let mut bob = Client::start(
        "bob",
        server.address,
        &["--nick", "bob", "--json"],
        &server.journal,
    );
    bob.shows().expect("\"kind\":\"locked\"");
    assert_eq!(bob.exit_code(), 10);
    server.log().expect("reason=locked");
    let mut doctor = Client::start("doctor", server.address, &["--doctor"], &server.journal);
    doctor.shows().expect("the room is locked: nobody new comes in");
    doctor.shows().expect("ask an operator to unlock it");
    assert_eq!(doctor.exit_code(), 1);
    alice.line("/unlock");
    alice.complains().expect("has unlocked the room");
    let mut bob = Client::start("bob", server.address, &["--nick", "bob"], &server.journal);
    bob.wait_until_online("bob");
}

#[test]
fn a_muted_user_and_one_who_is_too_fast_are_told_for_each_line() {
    let server = Server::start(&[]);
    let mut alice = operator(&server, "alice");
    let mut bob = Client::start("bob", server.address, &["--nick", "bob"], &server.journal);
    bob.wait_until_online("bob");
    alice.shows().expect("bob@");
    alice.line("/mute bob 10");
    bob.complains().expect("has muted bob@");
    server.log().expect(" mute bob@");
    for line in ["hi", "/me waves"] {
        bob.line(line);
        let reason = "an operator has muted you for 10 minutes; private messages still work";
        bob.complains().expect(&format!("* not sent: {reason}: {line}"));
    }
    alice.line("/unmute bob");
    bob.complains().expect("has unmuted bob@");
    alice.line("/slow 60");
    bob.complains().expect("has made the room slow");
    bob.line("one");
    bob.line("two");
    alice.shows().expect(": one");
    bob.complains()
        .expect("* not sent: the room is slow, one line in 60 s; you may go on in ");
    server.log().expect(" slow 60");
    bob.line("/quit");
    assert_eq!(bob.exit_code(), 1);
    let lines = alice.shows().lines();
    assert!(
        lines
            .iter()
            .all(|line| !line.contains("waves") && !line.ends_with(": two"))
    );
}

#[test]
fn whoever_is_shown_out_is_told_and_ends_with_a_status_of_its_own() {
    let server = Server::start(&[]);
    let mut alice = operator(&server, "alice");
    for (nick, command, kind) in [("bob", "kick", "kicked"), ("carol", "ban", "banned")] {
        let options = ["--nick", nick, "--json"];
        let mut shown_out = Client::start(nick, server.address, &options, &server.journal);
        alice.shows().expect(&format!("{nick}@"));
        alice.line(&format!("/{command} {nick} too loud"));
        alice.complains().expect(": too loud");
        shown_out.shows().expect(&format!("\"kind\":\"{kind}\""));
        assert_eq!(shown_out.exit_code(), 9);
        server.log().expect(&format!("reason={kind}"));
    }
    let mut plain = server.plain("dave");
    plain.line("/ban alice");
    plain.expect("only operators may /ban");
}

/// A new directory for a file of bans.
fn scratch(name: &str) -> PathBuf {
    let directory =
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bans-{name}-{}", std::process::id()));
    fs::create_dir(&directory).unwrap();
    directory
}

#[test]
fn bans_survive_a_restart() {
    let directory = scratch("kept");
    let path = directory.join("bans");
    let options = ["--bans", path.to_str().unwrap()];
    let mut server = Server::start(&options);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut alice = operator(&server, "alice");
    let mut bob = Client::start("bob", server.address, &["--nick", "bob"], &server.journal);
    alice.shows().expect("bob@");
    alice.line("/ban bob too loud");
    alice.complains().expect(": too loud");
    assert_eq!(bob.exit_code(), 9);
    server.stop();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(": too loud, by alice@127.0.0.1:"), "{text}");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // A person writes into it; it is there after the next change.
    fs::write(&path, format!("# ours\n{text}")).unwrap();
    let mut server = Server::start(&options);
    let mut alice = operator(&server, "alice");
    alice.line("/bans");
    alice.complains().expect(": too loud, by alice@127.0.0.1:");
    alice.line("/unban bob");
    alice.complains().expect("has lifted the ban of bob@");
    server.stop();
    assert_eq!(fs::read_to_string(&path).unwrap(), "# ours\n");
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_ban_that_can_not_be_kept_holds_and_is_reported() {
    let directory = scratch("lost");
    let path = directory.join("bans");
    let server = Server::start(&["--bans", path.to_str().unwrap()]);
    let mut alice = operator(&server, "alice");
    let mut bob = Client::start("bob", server.address, &["--nick", "bob"], &server.journal);
    alice.shows().expect("bob@");
    // A file where the directory was.
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    alice.line("/ban bob");
    alice.complains().expect("can't be kept: bans file ");
    server.log().expect(" bans not kept: bans file ");
    assert_eq!(bob.exit_code(), 9);
    alice.line("/bans");
    alice.complains().expect("1 banned");
    fs::remove_file(directory).unwrap();
}

#[test]
fn a_file_of_bans_with_a_bad_line_is_refused_and_stays() {
    let directory = scratch("bad");
    let path = directory.join("bans");
    let text = "10.0.0.7 # ours\n10.0.0.300\n";
    fs::write(&path, text).unwrap();
    let output = server_command()
        .args(["127.0.0.1", "0", "--bans"])
        .arg(&path)
        .output()
        .unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("/bans: line 2: expected a key"), "{complaint}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    fs::remove_dir_all(directory).unwrap();
}

#[test]
fn files_that_others_may_write_decide_nothing() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rules-{}", std::process::id()));
    fs::write(&path, "").unwrap();
    let start = |option: &str, path: &Path| {
        let mut command = server_command();
        command.args(["127.0.0.1", "0", option]).arg(path);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for option in ["--operators", "--bans"] {
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let (code, told) = start(option, &path);
        assert!(
            code == Some(1) && told.contains("others may write it"),
            "{option}: {told}"
        );
        // What is no file might make the server wait for ever.
        let (code, told) = start(option, Path::new("/dev/zero"));
        assert!(
            code == Some(1) && told.contains("no regular file"),
            "{option}: {told}"
        );
    }
    fs::remove_file(path).unwrap();
}
