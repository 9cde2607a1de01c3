//! The client in line mode: for pipes, scripts and screen readers.

use crate::harness::{Client, FakeServer, Journal, Process, Server, Stage, client_command};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

#[test]
fn a_piped_message_is_delivered_before_the_client_exits() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut client = server.start_client("pipe", &["--nick", "pipe"]);
    client.write("one\ntwo\nand the last without a line feed");
    client.end_input();
    assert_eq!(client.exit_code(), 0);
    let heard = watcher.until(" is offline");
    let texts: Vec<_> = heard
        .iter()
        .filter_map(|line| line.strip_prefix("from pipe@"))
        .collect();
    let texts: Vec<_> = texts
        .iter()
        .map(|line| line.split_once(": ").unwrap().1)
        .collect();
    assert_eq!(texts, ["one", "two", "and the last without a line feed"]);
    let shown = client.shows().with("from pipe@");
    assert_eq!(shown.len(), 3, "its own messages are shown: {shown:?}");
}

#[test]
fn many_lines_from_a_pipe_are_all_delivered() {
    let server = Server::start(&["--rate", "500", "--burst", "50"]);
    let mut watcher = server.plain("watcher");
    let mut client = server.start_client("pipe", &["--nick", "pipe"]);
    client.write((0..500).map(|n| format!("line {n}\n")).collect::<String>());
    client.end_input();
    assert_eq!(client.exit_code(), 0);
    let heard = watcher.until(" is offline");
    let numbers = heard.iter().filter(|line| line.starts_with("from pipe@"));
    let numbers = numbers.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
    assert!(numbers.eq(0..500));
}

#[test]
fn each_line_is_flushed_at_once() {
    let server = Server::start(&[]);
    let client = server.client("reader");
    let mut talker = server.plain("talker");
    for n in 0..5 {
        talker.line(&format!("line {n}"));
        client
            .shows()
            .expect_line(&format!("from {}: line {n}", talker.id()));
    }
    talker.close();
    client.shows().expect(" is offline");
}

#[test]
fn wrong_arguments_are_a_usage_error() {
    for arguments in [
        &["--no-such-option"][..],
        &["localhost", "port"],
        &["localhost", "0", "more"],
    ] {
        let mut command = client_command();
        let mut client = Process::start("client", &Journal::new(), command.args(arguments));
        assert_eq!(client.exit_code(), 2, "{arguments:?}");
        assert_eq!(client.stdout.lines(), [""; 0]);
    }
}

#[test]
fn an_invalid_nick_is_rejected_before_connecting() {
    let server = Server::start(&[]);
    let mut client = server.start_client("client", &["--nick", "a b"]);
    let code = client.exit_code();
    assert!(code == 2 || code == 4, "{code}");
    assert_ne!(client.complains().lines(), [""; 0]);
}

#[test]
fn help_names_the_options_and_the_exit_statuses() {
    let mut command = client_command();
    let mut client = Process::start("client", &Journal::new(), command.arg("--help"));
    assert_eq!(client.exit_code(), 0);
    let help = client.stdout.lines().join("\n");
    for option in [
        "--nick",
        "--line-mode",
        "--no-commands",
        "--recv-only",
        "--send-only",
        "--history",
    ] {
        assert!(help.contains(option), "no {option} in {help}");
    }
    assert!(help.to_lowercase().contains("exit status"), "{help}");
}

#[test]
fn a_refused_connection_is_an_error() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut client = Client::start("client", free, &[], &Journal::new());
    client.line("hello");
    client.end_input();
    assert_eq!(client.exit_code(), 1);
    let said = client.complains().lines().join("\n");
    assert!(
        said.contains(&free.port().to_string()),
        "{said:?} does not say where"
    );
    assert_eq!(client.shows().lines(), [""; 0]);
}

#[test]
fn a_taken_nick_has_its_own_exit_status() {
    let server = Server::start(&[]);
    let mut holder = server.rich("alice");
    let mut client = server.start_client("other", &["--nick", "Alice"]);
    client.end_input();
    assert_eq!(client.exit_code(), 4);
    let said = client.complains().lines().join("\n");
    assert!(said.contains(&holder.who), "{said:?} does not name the holder");
    let heard = holder.sync("is anybody here?");
    let came_or_went = |line: &&String| line.starts_with("JOIN") || line.starts_with("LEAVE");
    assert_eq!(
        heard.iter().find(came_or_went),
        None,
        "the rejected nick was announced"
    );
    server.log().expect("reason=nick");
}

#[test]
fn an_undelivered_private_message_has_its_own_exit_status() {
    let server = Server::start(&[]);
    let mut client = server.client("alice");
    client.line("/msg nobody are you there?");
    client.end_input();
    assert_eq!(client.exit_code(), 5);
    assert_ne!(client.complains().lines(), [""; 0]);
}

#[test]
fn a_delivered_private_message_exits_with_0() {
    let server = Server::start(&[]);
    let bob = server.client("bob");
    let mut alice = server.client("alice");
    alice.line("/msg bob are you there?");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    bob.expect_private(&format!("alice@{}", alice.id()), "are you there?");
    assert_eq!(bob.shows().with("are you there?").len(), 1);
}

#[test]
fn private_messages_arrive_once_and_in_order() {
    let server = Server::start(&[]);
    let bob = server.client("bob");
    let mut alice = server.client("alice");
    for n in 0..20 {
        alice.line(&format!("/msg bob number {n}"));
    }
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
    bob.shows().expect_count(20, "private from alice@");
    let shown = bob.shows().with("private from alice@");
    let shown: Vec<_> = shown
        .iter()
        .filter_map(|line| Some(line.split_once("): ")?.1))
        .collect();
    let expected: Vec<_> = (0..20).map(|n| format!("number {n}")).collect();
    assert_eq!(shown, expected);
}

#[test]
fn an_unknown_command_is_an_error_and_is_not_sent() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut client = server.client("alice");
    client.line("/quti");
    client.complains().expect("/quti");
    client.line("//quit is a message");
    client.line("marker");
    let heard = watcher.until("marker");
    let said: Vec<_> = heard.iter().filter(|line| line.starts_with("from ")).collect();
    assert_eq!(said.len(), 2, "{heard:?}");
    assert!(said[0].ends_with(": /quit is a message"), "{heard:?}");
}

#[test]
fn nothing_is_sent_after_quit() {
    for lines in ["/quit\nafter\n", "before\n/quit\nafter\n"] {
        let server = Server::start(&[]);
        let mut watcher = server.plain("watcher");
        let mut client = server.client("alice");
        client.write(lines);
        assert_eq!(client.exit_code(), 0);
        let heard = watcher.until("alice@");
        let heard = [heard, watcher.until(" is offline")].concat();
        let said: Vec<_> = heard.iter().filter(|line| line.starts_with("from ")).collect();
        assert_eq!(said.len(), lines.matches("before").count(), "{heard:?}");
        assert!(!heard.iter().any(|line| line.contains("after")), "{heard:?}");
        assert_eq!(client.complains().with("after"), [""; 0]);
    }
}

#[test]
fn quit_ends_the_client() {
    let server = Server::start(&[]);
    let mut client = server.client("alice");
    client.line("/quit");
    assert_eq!(client.exit_code(), 0);
    server.log().expect_all(&[" leave alice@", "reason=quit"]);
}

#[test]
fn no_commands_sends_slash_lines_as_text() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut client = server.start_client("pipe", &["--nick", "pipe", "--no-commands"]);
    client.write("/quit\n//etc\n/msg watcher hello\n");
    client.end_input();
    assert_eq!(client.exit_code(), 0);
    let heard = watcher.until(" is offline");
    for text in ["/quit", "//etc", "/msg watcher hello"] {
        assert!(
            heard.iter().any(|line| line.ends_with(&format!(": {text}"))),
            "no {text} in {heard:?}"
        );
    }
}

#[test]
fn recv_only_stays_after_the_end_of_input() {
    let server = Server::start(&[]);
    let mut client = server.start_client("ears", &["--nick", "ears", "--recv-only"]);
    client.wait_until_online("ears");
    client.write("not said\n");
    client.end_input();
    let mut talker = server.plain("talker");
    let heard = talker.sync("still there?");
    assert!(!heard.iter().any(|line| line.contains("not said")), "{heard:?}");
    client.shows().expect("still there?");
    drop(client);
    talker.expect(" is offline");
    assert_eq!(server.log_so_far(" leave ears@").len(), 1);
}

#[test]
fn send_only_prints_nothing() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut client = server.start_client("mouth", &["--nick", "mouth", "--send-only"]);
    client.line("hello");
    watcher.expect(": hello");
    watcher.sync("and to you");
    client.end_input();
    assert_eq!(client.exit_code(), 0);
    assert_eq!(client.shows().lines(), [""; 0]);
}

#[test]
fn history_is_printed_only_on_request() {
    let server = Server::start(&[]);
    let mut talker = server.plain("talker");
    talker.sync("long ago");
    let mut asking = server.start_client("asking", &["--nick", "asking", "--history"]);
    asking.wait_until_online("asking");
    asking.shows().expect("long ago");
    let mut other = server.start_client("other", &["--nick", "other"]);
    other.wait_until_online("other");
    talker.line("just now");
    other.shows().expect("just now");
    assert_eq!(other.shows().with("long ago"), [""; 0]);
}

/// A file of the time zone database: a zone that is always 5.5 hours ahead of UTC.
fn zone_file() -> Vec<u8> {
    let counts = [0, 0, 0, 0, 1, 4_u32].map(u32::to_be_bytes).concat();
    let header = [&b"TZif2"[..], &[0; 15], &counts].concat();
    let data = [&19_800_i32.to_be_bytes()[..], &[0, 0], b"IST\0"].concat();
    [&header[..], &data, &header, &data, b"\nIST-5:30\n"].concat()
}

#[test]
fn times_are_in_the_zone_that_tz_names() {
    let zones = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("zones-{}", std::process::id()));
    fs::create_dir_all(zones.join("Some")).unwrap();
    fs::write(zones.join("Some/Where"), zone_file()).unwrap();
    let fake_server = FakeServer::start();
    for (zone, time, warnings) in [
        ("Some/Where", "[2023-11-15 03:43:20]", 0),
        (":Some/Where", "[2023-11-15 03:43:20]", 0),
        ("XYZ-2", "[2023-11-15 00:13:20]", 0),
        ("", "[2023-11-14 22:13:20]", 0),
        ("No/Where", "[2023-11-14 22:13:20]", 1),
    ] {
        let mut command = client_command();
        command.env("TZDIR", &zones).env("TZ", zone);
        command.arg(fake_server.address.to_string()).arg("--history");
        let mut client = Client::start_command("client", &mut command, &fake_server.journal);
        let mut wire = fake_server.accept_at(Stage::History);
        wire.line("SAID 1700000000000 10.0.0.1:1 long ago\nLIVE");
        client
            .shows()
            .expect_line(&format!("{time} from 10.0.0.1:1: long ago"));
        client.end_input();
        wire.expect("QUIT");
        wire.close();
        client.wait();
        assert_eq!(
            client.complains().with("no time zone").len(),
            warnings,
            "{zone:?}"
        );
    }
}

#[test]
fn a_closed_output_pipe_is_no_crash() {
    let server = Server::start(&[]);
    let (output, into) = std::io::pipe().unwrap();
    let mut command = client_command();
    command
        .args(["127.0.0.1", &server.address.port().to_string(), "--nick", "alice"])
        .stdin(Stdio::piped())
        .stdout(into)
        .stderr(Stdio::piped());
    let mut client = Process::start_as_set_up("alice", &server.journal, &mut command);
    drop(command);
    server.log().expect(" join alice@");
    let mut talker = server.plain("talker");
    drop(output);
    talker.line("is anybody reading?");
    let status = client.wait();
    let said = client.stderr.lines().join("\n");
    assert!(!said.contains("chat-client:"), "{status}: {said}");
    talker.expect(" is offline");
}

#[test]
fn a_failing_output_is_reported() {
    let server = Server::start(&[]);
    let mut talker = server.plain("talker");
    for options in [&["--recv-only"][..], &["--json"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut command = client_command();
        command
            .arg(server.address.to_string())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(full)
            .stderr(Stdio::piped());
        let mut client = Process::start_as_set_up("client", &server.journal, &mut command);
        talker.line("is anybody reading?");
        assert_eq!(client.exit_code(), 1);
        let said = client.stderr.with("chat-client: ");
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("can't write the output: No space left"),
            "{said:?}"
        );
    }
}

#[test]
fn the_end_of_the_server_is_reported() {
    let mut server = Server::start(&[]);
    let client = server.client("alice");
    server.stop();
    client
        .complains()
        .wait(|lines, _| (!lines.is_empty()).then_some(()))
        .unwrap();
    assert_eq!(client.complains().with("panicked"), [""; 0]);
}

#[test]
fn nick_changes_are_shown() {
    let server = Server::start(&[]);
    let mut alice = server.client("alice");
    let bob = server.client("bob");
    alice.line("/nick alicia");
    let id = alice.id().to_owned();
    for client in [&alice, &bob] {
        client
            .shows()
            .expect_line(&format!("alice@{id} is now alicia@{id}"));
    }
}

#[test]
fn hostile_text_is_shown_safely() {
    let server = Server::start(&[]);
    let client = server.client("alice");
    let mut rude = server.plain("rude");
    rude.send(b"\x1b]0;owned\x07\xFE\r\n");
    let shown = client.shows().expect("owned");
    assert_eq!(shown, format!("from {}: ␛]0;owned␇\u{FFFD}", rude.id()));
}
