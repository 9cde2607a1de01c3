//! The commands of plain users.

use crate::harness::Server;

#[test]
fn who_lists_everybody() {
    let server = Server::start(&[]);
    let rich = server.rich("rich");
    let alice = server.plain_named("alice");
    let mut bob = server.plain("bob");
    bob.line("/who");
    let answer = bob.sync("marker");
    assert!(answer.iter().all(|line| line.starts_with("* ")), "{answer:?}");
    let answer = answer.join("\n");
    for who in [
        rich.who.clone(),
        format!("alice@{}", alice.id()),
        bob.id().to_owned(),
    ] {
        assert_eq!(answer.matches(&who).count(), 1, "{who} in {answer}");
    }
}

#[test]
fn help_names_every_command_to_its_sender_alone() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.plain("user");
    user.line("/help");
    let answer = user.sync("marker");
    assert!(answer.iter().all(|line| line.starts_with("* ")), "{answer:?}");
    let answer = answer.join("\n");
    for command in ["/nick", "/who", "/msg", "/quit", "/me", "//"] {
        assert!(answer.contains(command), "no {command} in {answer}");
    }
    let heard = watcher.until("marker");
    assert_eq!(heard.len(), 2, "{heard:?}");
}

#[test]
fn an_unknown_command_gets_an_answer_and_no_broadcast() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.plain("user");
    for wrong in [
        "/quti",
        "/",
        "/nick",
        "/msg",
        "/msg watcher",
        "/me",
        "/msg nobody secret",
    ] {
        user.line(wrong);
        let answer = user.next_line().unwrap();
        assert!(answer.starts_with("* "), "{answer:?} for {wrong:?}");
    }
    user.line("marker");
    let heard = watcher.until("marker");
    assert_eq!(heard.len(), 2, "{heard:?}");
}

#[test]
fn blank_lines_are_not_broadcast() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    user.send("\n\r\n   \n\t\n");
    assert_eq!(user.sync("marker"), [""; 0]);
}

#[test]
fn double_slash_sends_a_slash_and_me_an_action() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    user.send("//quit\n/me waves\n spaces are  kept \n");
    user.expect_next(&format!("from {id}: /quit"));
    user.expect_next(&format!("* {id} waves"));
    user.expect_next(&format!("from {id}:  spaces are  kept "));
}

#[test]
fn a_rich_say_is_text_even_with_a_slash() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut alice = server.rich("alice");
    alice.say("/quit");
    assert!(
        watcher
            .until("/quit")
            .ends_with(&[format!("from {}: /quit", alice.who)])
    );
}

#[test]
fn line_mode_hides_what_an_ignored_user_says() {
    let server = Server::start(&[]);
    let mut bob = server.client("bob");
    let mut lines = server.client("lines");
    let mut json = server.start_client("json", &["--nick", "json", "--json"]);
    json.shows().expect("\"kind\":\"live\"");
    lines.line("/ignore bob");
    lines.complains().expect("is hidden until /unignore bob");
    json.line("/ignore bob");
    json.shows().expect("\"kind\":\"ignored\",\"users\":[\"bob@");
    for text in [
        "out loud",
        "/me waves out loud",
        "/msg lines out loud",
        "/msg json out loud",
    ] {
        bob.line(text);
    }
    bob.complains().expect_count(2, "* delivered to ");
    bob.end_input();
    assert_eq!(bob.exit_code(), 0);
    let mut nc = server.plain("nc");
    nc.line("the end");
    lines.shows().expect(": the end");
    json.shows().expect("\"text\":\"the end\"");
    assert_eq!(lines.shows().with("out loud"), [""; 0]);
    assert_eq!(lines.shows().with("is offline"), [""; 0]);
    assert_eq!(json.shows().with("out loud"), [""; 0]);
}
