//! The JSON output of the client, and a bot that reads it.

use crate::harness::{Process, Server, client_command};
use std::process::Command;

#[test]
fn each_event_is_one_object() {
    let server = Server::start(&[]);
    let mut bob = server.client("bob");
    let mut alice = server.start_client("alice", &["--nick", "alice", "--json"]);
    let seen = alice.shows().clone();
    let welcome = seen.expect("\"kind\":\"welcome\"");
    assert!(welcome.starts_with("{\"v\":1,\"time\":\"20"), "{welcome}");
    assert!(welcome.contains("bob@"), "{welcome}");
    seen.expect("\"kind\":\"live\"");

    bob.line("hello \"alice\"");
    seen.expect_all(&[
        "\"kind\":\"said\"",
        "\"from\":\"bob@",
        "\"text\":\"hello \\\"alice\\\"\"",
    ]);
    alice.line("/msg bob psst");
    seen.expect_all(&[
        "\"kind\":\"private\"",
        "\"to\":\"bob@",
        "\"state\":\"sending\"",
        "\"number\":",
    ]);
    let delivered = seen.expect_all(&[
        "\"state\":\"delivered\"",
        "\"text\":\"psst\"",
        "\"from\":\"alice@",
    ]);
    assert!(delivered.contains("\"sealed\":true"), "{delivered}");
    alice.line("/quti");
    seen.expect_all(&["\"kind\":\"error\"", "/quit"]);
    alice.end_input();
    // An unknown command is an error.
    assert_eq!(alice.exit_code(), 1);
    assert_eq!(alice.complains().lines(), [""; 0]);
    let lines = seen.lines();
    assert!(
        lines
            .iter()
            .all(|line| line.starts_with('{') && line.ends_with('}')),
        "{lines:?}"
    );
}

#[test]
fn a_failed_join_is_an_object_too() {
    let server = Server::start(&["--max-users", "1"]);
    let _first = server.plain("first");
    let mut alice = server.start_client("alice", &["--json"]);
    assert_eq!(alice.exit_code(), 3);
    alice
        .shows()
        .expect_all(&["\"kind\":\"ended\"", "\"reason\":\"the room is full"]);
}

#[test]
fn the_example_bot_answers() {
    if Command::new("jq").arg("--version").output().is_err() {
        eprintln!("skipped: jq is not installed");
        return;
    }
    let server = Server::start(&[]);
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/bot"));
    let client = client_command();
    command.env("CHAT_CLIENT", client.get_program());
    command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args([server.address.ip().to_string(), server.address.port().to_string()]);
    let mut bot = Process::start("bot", &server.journal, &mut command);
    server.log().expect(" join timebot@");

    let mut alice = server.client("alice");
    alice.shows().expect("welcome, alice");
    alice.line("!time");
    alice.shows().expect("alice: it is ");
    alice.line("/msg timebot !time");
    alice.shows().expect_all(&["private from timebot@", ": it is "]);
    // Messages of other users are not commands of the bot.
    let mut carol = server.plain_named("carol");
    carol.line("/msg timebot /quit");
    carol.line("//quit");
    carol.line("!time");
    alice.shows().expect("carol: it is ");
    drop(server);
    assert_eq!(bot.exit_code(), 1);
    bot.stderr.expect("timebot: the server closed the connection");
}
