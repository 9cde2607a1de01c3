//! How users take and change nicks.

use crate::harness::{Rich, Server};

#[test]
fn a_new_nick_is_announced_and_used_from_then_on() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut rich = server.rich("rich");
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    user.line("/nick alice");
    user.line("hello");
    user.line("/nick Алиса");
    let told = user.until("Алиса");
    assert_eq!(
        told,
        [
            format!("{id} is now alice@{id}"),
            format!("from alice@{id}: hello"),
            format!("alice@{id} is now Алиса@{id}")
        ]
    );
    assert!(watcher.until("Алиса").ends_with(&told));
    assert!(rich.expect("NICK ").ends_with(&format!(" {id} alice")));
    assert!(rich.expect("NICK ").ends_with(&format!(" alice@{id} Алиса")));
}

#[test]
fn a_rich_user_changes_its_nick() {
    let server = Server::start(&[]);
    let mut bob = server.plain("bob");
    let mut alice = server.rich("alice");
    alice.line("NICK alicia");
    let told = alice.expect("NICK ");
    assert!(told.ends_with(&format!(" {} alicia", alice.who)), "{told:?}");
    bob.expect(&format!("{} is now alicia@{}", alice.who, alice.id()));
}

#[test]
fn a_taken_nick_is_rejected_and_its_holder_named() {
    let server = Server::start(&[]);
    let alice = server.plain_named("alice");
    let mut other = server.plain("other");
    for same in ["alice", "ALICE", "ａｌｉｃｅ"] {
        other.line(&format!("/nick {same}"));
        let refused = other.expect("* ");
        assert!(refused.contains(&format!("alice@{}", alice.id())), "{refused:?}");
    }
    let heard = other.sync("marker");
    assert_eq!(heard, [""; 0], "somebody was renamed");
}

#[test]
fn a_nick_that_looks_like_another_is_rejected() {
    let server = Server::start(&[]);
    let prof = server.rich("prof");
    let mut other = server.plain("other");
    for lookalike in ["\u{440}rof", "pr\u{43E}f", "\u{1D18}rof", "pro\u{192}", "PR0F"] {
        other.line(&format!("/nick {lookalike}"));
        let refused = other.expect("* ");
        let expected = format!("* the nick {lookalike} looks too much like {}", prof.who);
        assert_eq!(refused, expected);
    }
    let joined = Rich::hello(server.connect("joining"), "HELLO 1 p\u{433}of - -");
    assert_eq!(joined.who, joined.id());
    let free = Rich::hello(server.connect("free"), "HELLO 1 profs - -");
    assert_eq!(free.who, format!("profs@{}", free.id()));
}

#[test]
fn a_user_can_respell_its_own_nick() {
    let server = Server::start(&[]);
    let mut alice = server.plain_named("alice");
    alice.line("/nick Alice");
    let id = alice.id().to_owned();
    alice.expect(&format!("alice@{id} is now Alice@{id}"));
}

#[test]
fn an_invalid_nick_is_rejected_with_the_reason() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    let names = [
        "a b",
        "server",
        "10.0.0.5",
        "x@y",
        "-x",
        &"x".repeat(33),
        "a\u{202E}b",
        "/nick",
        "",
    ];
    for name in names {
        user.line(&format!("/nick {name}"));
        let line = user.next_line().unwrap();
        assert!(line.starts_with("* "), "{line:?} for {name:?}");
    }
    assert_eq!(user.sync("marker"), [""; 0]);
}

#[test]
fn a_hello_with_an_unavailable_nick_still_joins() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let alice = server.rich("alice");
    for (nick, code) in [
        ("Alice", "nick-taken"),
        ("server", "bad-nick"),
        ("a/b", "bad-nick"),
    ] {
        let mut user = Rich::hello(server.connect(nick), &format!("HELLO 1 {nick} - -"));
        let id = user.id().to_owned();
        assert_eq!(user.who, id);
        let told = user.sync("here I am");
        let error = told.iter().find(|line| line.starts_with("ERROR ")).unwrap();
        assert!(error.starts_with(&format!("ERROR {code} - ")), "{error:?}");
        if code == "nick-taken" {
            assert!(error.contains(&alice.who), "{error:?} does not name the holder");
        }
        watcher.expect(&format!("{id} is online"));
        watcher.expect(&format!("from {id}: here I am"));
    }
}

#[test]
fn a_nick_is_free_once_its_user_has_left() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    for _ in 0..3 {
        let alice = server.plain_named("alice");
        let gone = format!("alice@{} is offline", alice.id());
        alice.close();
        watcher.expect(&gone);
    }
}

#[test]
fn a_resuming_client_takes_its_nick_back() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut ghost = server.rich("alice");
    ghost.say("one");
    ghost.say("two");
    ghost.expect("two");
    let mut alice = Rich::with_key(
        server.connect("again"),
        ghost.secret,
        &format!("HELLO 1 alice - {}", ghost.resume),
    );
    assert_eq!(alice.who, format!("alice@{}", alice.id()));
    assert_eq!(alice.taken, 2, "what was said before is known");
    assert_ne!(alice.resume, "-");

    let farewell = ghost.until_end().pop().unwrap();
    assert!(farewell.starts_with("GOODBYE replaced"), "{farewell:?}");
    alice.line("SAY 2 two");
    alice.line("SAY 3 three");
    let heard = watcher.until("three");
    assert_eq!(
        heard.iter().filter(|line| line.contains("two")).count(),
        1,
        "{heard:?}"
    );
    let (old, new) = (ghost.who.clone(), alice.who.clone());
    assert_eq!(
        heard
            .iter()
            .filter(|line| **line == format!("{old} is offline"))
            .count(),
        1,
        "{heard:?}"
    );
    assert_eq!(
        heard
            .iter()
            .filter(|line| **line == format!("{new} is online"))
            .count(),
        1,
        "{heard:?}"
    );
    let leaves = server.log_so_far(" leave alice@");
    assert!(
        leaves
            .iter()
            .any(|line| line.contains(&old) && line.contains("reason=replaced")),
        "{leaves:?}"
    );
}

#[test]
fn the_nick_of_a_broken_connection_is_held_for_its_client() {
    let server = Server::start(&[]);
    let mut other = server.plain("other");
    let alice = server.rich("alice");
    let (resume, secret, gone) = (alice.resume.clone(), alice.secret, alice.who.clone());
    drop(alice);
    other.expect(&format!("{gone} is offline"));
    other.line("/nick alice");
    let refused = other.expect("* ");
    assert!(
        refused.starts_with("* the nick alice is held for "),
        "{refused:?}"
    );
    let hello = format!("HELLO 1 alice - {resume}");
    let mut back = Rich::with_key(server.connect("again"), secret, &hello);
    assert_eq!(back.who, format!("alice@{}", back.id()));
    back.line("QUIT");
    other.expect(&format!("{} is offline", back.who));
    other.line("/nick alice");
    let own = other.id().to_owned();
    other.expect(&format!("{own} is now alice@{own}"));
}

#[test]
fn an_unknown_token_resumes_nothing() {
    let server = Server::start(&[]);
    let mut alice = server.rich("alice");
    let guess = "AAECAwQFBgcICQoLDA0ODw";
    let mut thief = Rich::hello(server.connect("thief"), &format!("HELLO 1 alice - {guess}"));
    assert_eq!(thief.who, thief.id());
    thief.expect("ERROR nick-taken");
    let heard = alice.sync("still alice");
    assert!(!heard.iter().any(|line| line.starts_with("GOODBYE")), "{heard:?}");
}

#[test]
fn a_retransmitted_message_is_broadcast_once() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut alice = server.rich("alice");
    for line in [
        "SAY 1 one",
        "SAY 1 one",
        "SAY 3 three",
        "SAY 2 two",
        "SAY 3 three",
        "SAY 4 four",
    ] {
        alice.line(line);
    }
    let heard = watcher.until("four");
    let said: Vec<_> = heard
        .iter()
        .filter_map(|line| line.strip_prefix("from ")?.split_once(": "))
        .collect();
    let texts: Vec<_> = said.iter().map(|(_, text)| *text).collect();
    assert_eq!(texts, ["one", "three", "four"]);
    alice.expect("four");
}
