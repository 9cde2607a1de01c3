//! What a plain user can ask for.

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
fn help_names_every_command_and_only_the_asker_hears_it() {
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
fn a_wrong_command_is_answered_and_never_said_aloud() {
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
fn blank_lines_say_nothing() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    user.send("\n\r\n   \n\t\n");
    assert_eq!(user.sync("marker"), [""; 0]);
}

#[test]
fn a_second_slash_says_the_first_and_an_action_is_said_as_it_is() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    user.send("//quit\n/me waves\n spaces are  kept \n");
    user.expect_next(&format!("from {id}: /quit"));
    user.expect_next(&format!("from {id}: /me waves"));
    user.expect_next(&format!("from {id}:  spaces are  kept "));
}

#[test]
fn rich_users_say_what_they_say_slash_or_not() {
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
