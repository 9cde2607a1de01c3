//! Rooms with a passphrase, and rooms for encrypted connections only.

use crate::harness::{Client, Journal, Process, Server, Terminal, at_once, client_command, server_command};
use crate::operators::code_of;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const RIGHT: &str = "correct horse battery staple";

/// A directory that is removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        Self(directory)
    }

    /// A file with this content, which only its owner may read.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn locked(files: &Files) -> Server {
    let file = files.file("server", RIGHT);
    Server::start(&["--passphrase-file", &file])
}

/// The exit status of a client with these options whose input is empty, and what it says on standard error.
#[track_caller]
fn join(server: &Server, options: &[&str]) -> (i32, String) {
    let mut client = Client::start("client", server.address, options, &server.journal);
    client.end_input();
    let code = client.exit_code();
    (code, client.complains().lines().join("\n"))
}

#[test]
fn who_knows_the_passphrase_joins_and_others_do_not() {
    let files = Files::new("phrase-join");
    let server = locked(&files);
    let right = files.file("right", "  correct  horse\nbattery staple\n");
    let wrong = files.file("wrong", "correct horse battery");
    let options = ["--nick", "alice", "--passphrase-file", &right];
    let mut alice = Client::start("alice", server.address, &options, &server.journal);
    alice.wait_until_online("alice");
    let (code, said) = join(&server, &["--passphrase-file", &wrong]);
    assert_eq!(code, 8, "{said}");
    assert!(
        said.contains("the server did not accept the passphrase"),
        "{said}"
    );
    let (code, said) = join(&server, &[]);
    assert_eq!(code, 8, "{said}");
    assert!(
        said.contains("--passphrase-file names a file that holds it"),
        "{said}"
    );
    let (code, _) = join(&server, &["--passphrase-file", &right]);
    assert_eq!(code, 0);
    server.log().expect(" reason=passphrase");
    alice.line("hello");
    alice.shows().expect(": hello");
    assert!(
        !server.log_so_far("horse").iter().any(|_| true),
        "no secret in the log"
    );
}

#[test]
fn a_file_without_a_secret_is_an_error_that_names_it() {
    let files = Files::new("phrase-files");
    let server = locked(&files);
    let open = files.file("open", RIGHT);
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    let directory = files.0.to_str().unwrap();
    for (file, why) in [
        (files.file("empty", " \n").as_str(), "is empty"),
        (&open, "others may read it"),
        (&format!("{directory}/none"), "No such file"),
        (directory, "no regular file"),
    ] {
        let (code, said) = join(&server, &["--passphrase-file", file]);
        assert!(
            code == 1 && said.contains(file) && said.contains(why),
            "{code} {said}"
        );
        let mut command = server_command();
        command.args(["127.0.0.1", "0", "--passphrase-file", file]);
        let mut process = Process::start("server", &Journal::new(), &mut command);
        assert_eq!(process.exit_code(), 1);
        let said = process.stderr.lines().join("\n");
        assert!(said.contains(file) && said.contains(why), "{said}");
    }
}

#[test]
fn users_of_nc_are_told_to_use_another_program() {
    let files = Files::new("phrase-nc");
    let rooms = [
        (locked(&files), "; this room has a passphrase: use chat-client"),
        (
            Server::start(&["--sealed-only"]),
            "; this room is encrypted: use chat-client",
        ),
    ];
    at_once(rooms, |(server, clause)| {
        at_once(["hello\n", ""], |said| {
            let mut nc = server.connect("nc");
            nc.send(said);
            let lines = nc.until_end();
            assert!(lines[0].ends_with(clause), "{lines:?}");
            assert_eq!(
                lines[1..],
                ["* not joined: this room takes encrypted connections only; use chat-client"]
            );
        });
        server.log().expect(" reason=plain");
        assert_eq!(server.log_so_far(" join ").len(), 0);
    });
}

#[test]
fn a_sealed_room_needs_no_passphrase() {
    let files = Files::new("phrase-sealed");
    let server = Server::start(&["--sealed-only"]);
    assert_eq!(join(&server, &[]).0, 0);
    // A greeting that lost the clause on its way looks like this.
    let file = files.file("phrase", RIGHT);
    let (code, said) = join(&server, &["--passphrase-file", &file]);
    assert_eq!(code, 6, "{said}");
    assert!(
        said.contains("asks for no passphrase, so nothing was sent"),
        "{said}"
    );
}

#[test]
fn a_terminal_asks_for_the_passphrase_and_does_not_show_it() {
    let files = Files::new("phrase-terminal");
    let server = locked(&files);
    let question = format!("passphrase of 127.0.0.1 {}:", server.address.port());
    for options in [["--nick", "alice"].as_slice(), &["--nick", "bob", "--line-mode"]] {
        let mut terminal = Terminal::start("person", server.address, options, (80, 24), &server.journal);
        terminal.expect(&question);
        terminal.keys("correct horse battery stable\x7f\x7f\x7fple\r");
        terminal.expect(if options.len() == 2 {
            "alice"
        } else {
            "you are bob@"
        });
        server.log().expect(&format!(" join {}@", options[1]));
        terminal.keys("/quit\r");
        assert_eq!(terminal.process.exit_code(), 0);
        let written = terminal.written();
        assert!(!String::from_utf8_lossy(&written).contains("horse"));
    }
    let wrong = [("wrong\r", 8), ("\r\r", 8), ("\x04", 8), ("wro\x03", 130)];
    at_once(wrong, |(keys, status)| {
        let mut terminal = Terminal::start("person", server.address, &[], (80, 24), &server.journal);
        terminal.expect(&question);
        terminal.keys(keys);
        assert_eq!(terminal.process.exit_code(), status, "{keys:?}");
        if status == 8 && !keys.starts_with("wrong") {
            terminal.expect("not joined: this room has a passphrase, and you gave none");
        }
    });
}

#[test]
fn a_new_passphrase_has_six_words_and_replaces_none() {
    let files = Files::new("phrase-new");
    let run = |options: &[&str]| {
        let mut command = server_command();
        let mut process = Process::start("server", &Journal::new(), command.args(options));
        let code = process.exit_code();
        let said = [process.stdout.lines(), process.stderr.lines()].concat();
        (code, said.join("\n"))
    };
    let (code, one) = run(&["--new-passphrase"]);
    assert_eq!((code, one.split(' ').count()), (0, 6), "{one}");
    let (_, other) = run(&["--new-passphrase"]);
    assert_ne!(one, other);
    let path = files.0.join("phrase");
    let file = path.to_str().unwrap();
    let (code, said) = run(&["--new-passphrase", "--passphrase-file", file]);
    assert_eq!(code, 0, "{said}");
    let phrase = fs::read_to_string(&path).unwrap();
    assert_eq!(phrase.trim_end().split(' ').count(), 6);
    assert!(
        !said.contains(phrase.trim_end()),
        "standard output may be a journal"
    );
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (code, said) = run(&["--new-passphrase", "--passphrase-file", file]);
    assert!(
        code == 1 && said.contains("it exists, and is not replaced"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), phrase);
    let server = Server::start(&["--passphrase-file", file]);
    assert_eq!(join(&server, &["--passphrase-file", file]).0, 0);
}

#[test]
fn the_key_and_the_passphrase_are_reported_without_a_try() {
    let files = Files::new("phrase-doctor");
    let server = locked(&files);
    let port = server.address.port().to_string();
    let ask = |option: &str| {
        let mut command = client_command();
        command.args([option, "127.0.0.1", &port]);
        let mut process = Process::start("client", &server.journal, &mut command);
        (process.exit_code(), process.stdout.lines().join("\n"))
    };
    let (code, key) = ask("--fingerprint");
    assert_eq!((code, key.len()), (0, 43), "{key}");
    let (code, report) = ask("--doctor");
    assert_eq!(code, 1, "{report}");
    assert!(
        report.contains("-- room     has a passphrase, which is not tried here"),
        "{report}"
    );
    assert!(report.contains(&format!("ok key      {key}")), "{report}");
    assert_eq!(server.log_so_far(" reason=passphrase").len(), 0);
}

/// A member who runs the room.
fn operator(server: &Server, passphrase_file: &str) -> Client {
    let (_, code) = code_of(server);
    let options = ["--nick", "alice", "--passphrase-file", passphrase_file];
    let mut alice = Client::start("alice", server.address, &options, &server.journal);
    alice.wait_until_online("alice");
    alice.line(&format!("/op {code}"));
    alice.complains().expect(" runs the room from now on");
    alice
}

#[test]
fn a_new_passphrase_replaces_the_old_one_also_after_a_restart() {
    let files = Files::new("phrase-renewed");
    let (kept, old) = (files.file("server", RIGHT), files.file("old", RIGHT));
    let mut server = Server::start(&["--passphrase-file", &kept]);
    let mut alice = operator(&server, &old);
    let options = ["--nick", "bob", "--passphrase-file", &old];
    let mut bob = Client::start("bob", server.address, &options, &server.journal);
    bob.wait_until_online("bob");
    alice.line("/passphrase new");
    let told = alice.complains().expect("* the new passphrase is: ");
    let said = format!("* operator alice@{} has set a new passphrase: ", alice.id());
    bob.complains().expect(&said);
    server
        .log()
        .expect(&format!(" operator alice@{} passphrase new", alice.id()));
    let text = fs::read_to_string(&kept).unwrap();
    let phrase = text.trim_end();
    assert_eq!(phrase.split(' ').count(), 6);
    assert!(told.ends_with(phrase), "{told}");
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let new = files.file("new", phrase);
    assert_eq!(join(&server, &["--passphrase-file", &old]).0, 8);
    assert_eq!(join(&server, &["--passphrase-file", &new]).0, 0);
    bob.line("still here");
    alice.shows().expect(": still here");
    bob.end_input();
    assert_eq!(bob.exit_code(), 0);
    server.stop();
    let logged = [server.log().lines(), server.process.stdout.lines()].concat();
    for shown in [logged, bob.shows().lines(), bob.complains().lines()] {
        assert!(shown.iter().all(|line| !line.contains(phrase)), "{shown:?}");
    }
    let server = Server::start(&["--passphrase-file", &kept]);
    assert_eq!(join(&server, &["--passphrase-file", &old]).0, 8);
    assert_eq!(join(&server, &["--passphrase-file", &new]).0, 0);
}

#[test]
fn a_passphrase_that_can_not_be_written_stays_the_old_one() {
    let files = Files::new("phrase-unwritten");
    let directory = files.0.join("room");
    fs::create_dir(&directory).unwrap();
    let (kept, old) = (files.file("room/server", RIGHT), files.file("old", RIGHT));
    let server = Server::start(&["--passphrase-file", &kept]);
    let mut alice = operator(&server, &old);
    // A file where the directory was.
    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    alice.line("/passphrase new");
    let why = "not changed, the passphrase is the one before: passphrase file ";
    alice.complains().expect(why);
    server.log().expect(" passphrase not changed: passphrase file ");
    assert_eq!(join(&server, &["--passphrase-file", &old]).0, 0);
}
