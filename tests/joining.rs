//! How users join the room.

use crate::harness::{Rich, Server};
use chat_noise::key::KeyPair;
use chat_proto::plain::ServerLine;
use std::time::{Duration, Instant};

#[test]
fn the_greeting_is_the_first_line_and_names_the_version() {
    let server = Server::start(&[]);
    let greeting = server.connect("x").next_line().unwrap();
    assert!(greeting.starts_with("* chat version 1: "), "{greeting:?}");
}

#[test]
fn a_silent_connection_is_announced_after_a_moment() {
    let server = Server::start(&[]);
    let mut alice = server.plain("alice");
    let asked = Instant::now();
    let mut silent = server.connect("silent");
    let online = format!("{} is online", silent.id());
    silent.expect("* chat version 1: ");
    silent.expect_next(&online);
    assert!(
        asked.elapsed() >= Duration::from_millis(240),
        "a rich client needs time to say HELLO"
    );
    assert_eq!(alice.until(" is online"), [online]);
}

#[test]
fn a_line_announces_its_sender_before_it_is_delivered() {
    let server = Server::start(&[]);
    let mut alice = server.plain("alice");
    let mut quick = server.connect("quick");
    quick.line("hello");
    let id = quick.id().to_owned();
    quick.expect("* chat version 1: ");
    quick.expect_next(&format!("{id} is online"));
    quick.expect_next(&format!("from {id}: hello"));
    assert_eq!(
        alice.until("hello"),
        [format!("{id} is online"), format!("from {id}: hello")]
    );
}

#[test]
fn a_connection_closed_at_once_is_never_announced() {
    let server = Server::start(&[]);
    let mut alice = server.plain("alice");
    let mut probed = 0;
    // On a slow machine, the connection may be announced before it closes. That attempt does not count.
    while probed < 5 {
        let start = Instant::now();
        let probe = server.connect("probe");
        if probed % 2 == 0 {
            probe.close();
        } else {
            probe.reset();
        }
        if start.elapsed() < Duration::from_millis(100) {
            probed += 1;
        } else {
            alice.until(" is offline");
        }
    }
    let bob = server.plain("bob");
    assert_eq!(alice.until(" is online"), [format!("{} is online", bob.id())]);
}

#[test]
fn a_rich_client_gets_users_history_and_its_own_join() {
    let server = Server::start(&[]);
    let mut bob = server.plain_named("bob");
    bob.sync("is anybody here?");
    let mut alice = Rich::hello(server.connect("alice"), "HELLO 1 alice - -");
    let id = alice.id().to_owned();
    assert_eq!(alice.who, format!("alice@{id}"));
    assert_eq!(alice.taken, 0);
    // The list is made when it is sent, so it may contain alice herself.
    let bob_is = format!(" bob@{} -", bob.id());
    let roster = alice.roster.concat();
    assert!(roster.starts_with("USERS "), "{roster:?}");
    assert_eq!(roster.matches(&bob_is).count(), 1, "{roster:?}");
    let said = format!(" bob@{} is anybody here?", bob.id());
    assert!(
        alice
            .past
            .iter()
            .any(|line| line.starts_with("SAID ") && line.ends_with(&said))
    );
    let joined = alice.next_line().unwrap();
    assert!(joined.starts_with("JOIN "), "{joined:?}");
    assert!(joined.contains(&format!(" alice@{id} - ")), "{joined:?}");
    assert_eq!(bob.until(" is online"), [format!("alice@{id} is online")]);
}

#[test]
fn each_user_receives_all_messages_in_its_own_dialect() {
    let server = Server::start(&[]);
    let mut bob = server.plain_named("bob");
    let mut alice = server.rich("alice");
    alice.say("hello bob");
    alice.expect("hello bob");
    bob.line("hello alice");
    let heard = bob.sync("marker");
    assert!(
        heard.contains(&format!("from {}: hello bob", alice.who)),
        "{heard:?}"
    );
    for line in &heard {
        assert!(ServerLine::parse(line).is_some(), "a plain user hears {line:?}");
    }
    let heard = alice.until("marker");
    let from_bob = format!(" bob@{} hello alice", bob.id());
    let said = heard.iter().find(|line| line.ends_with(&from_bob)).unwrap();
    assert!(said.starts_with("SAID "), "{said:?}");
}

#[test]
fn keys_are_announced_in_short_and_told_to_rich_users_only() {
    let secret = [9; 32];
    let key = KeyPair::from_secret(secret).public();
    let server = Server::start(&[]);
    let mut early = server.rich("early");
    let mut plain = server.plain("plain");
    let alice = Rich::with_key(server.connect("alice"), secret, "HELLO 1 alice 40101 -");
    let mut late = server.rich("late");
    let short = &key.to_string()[..4];
    let joined = early.expect(&alice.who);
    assert!(
        joined.starts_with("JOIN ") && joined.ends_with(&format!(" {} - {short}", alice.who)),
        "{joined:?}"
    );
    let listed = format!(" {} {short}", alice.who);
    assert!(late.roster.concat().contains(&listed), "{:?}", late.roster);
    late.line(&format!("WHOIS {}", alice.id()));
    assert_eq!(
        late.expect("USER "),
        format!("USER {} 127.0.0.1:40101 {key}", alice.who)
    );
    assert_eq!(plain.expect("alice"), format!("{} is online", alice.who));
}

#[test]
fn unknown_verbs_of_later_versions_are_ignored() {
    let server = Server::start(&[]);
    let mut alice = Rich::hello(server.connect("alice"), "HELLO 2 alice - - and more fields");
    alice.line("SPARKLE 1 2 3");
    alice.line("");
    alice.line("PING 7 and more fields");
    alice
        .until("PONG 7")
        .iter()
        .for_each(|line| assert!(!line.starts_with("ERROR"), "{line:?}"));
}

#[test]
fn a_malformed_line_costs_one_error_and_no_more() {
    let server = Server::start(&[]);
    let mut alice = server.rich("alice");
    for line in ["SAY", "SAY hello", "WHISPER nobody 1 hello", "PING x"] {
        alice.line(line);
        let error = alice.expect("ERROR ");
        assert!(error.starts_with("ERROR malformed "), "{error:?} for {line:?}");
    }
    alice.sync("still here");
}

#[test]
fn a_malformed_hello_makes_a_plain_user() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    for (number, line) in ["HELLO everyone", "hello 1 x - - -", "HELLOOO", "HELLO"]
        .into_iter()
        .enumerate()
    {
        let mut user = server.connect(&format!("greeter{number}"));
        user.line(line);
        watcher.expect(&format!("from {}: {line}", user.id()));
    }
}

#[test]
fn a_late_hello_is_still_a_hello() {
    let server = Server::start(&[]);
    let mut plain = server.plain("plain");
    let mut rich = server.rich("rich");
    let mut wire = server.connect("alice");
    let id = wire.id().to_owned();
    let greeting = wire.expect("* chat version 1: ");
    wire.expect(&format!("{id} is online"));
    let mut alice = Rich::hello_to(wire, &greeting, "HELLO 1 alice - -");
    assert_eq!(alice.who, format!("alice@{id}"));
    let key = KeyPair::from_secret(alice.secret).public();
    alice.sync("here I am");

    let heard = plain.until("here I am");
    let expected = [
        format!("{id} is online"),
        format!("{id} is now alice@{id}"),
        format!("from alice@{id}: here I am"),
    ];
    assert!(heard.ends_with(&expected), "{heard:?}");
    let heard = rich.until("here I am");
    let place = |start: &str, end: &str| {
        let fits = |line: &String| line.starts_with(start) && line.ends_with(end);
        heard
            .iter()
            .position(fits)
            .unwrap_or_else(|| panic!("no {start} ... {end} in {heard:#?}"))
    };
    let order = [
        place("JOIN ", &format!(" {id} - -")),
        place("USER ", &format!("alice@{id} - {key}")),
        place("NICK ", &format!(" {id} alice")),
    ];
    assert!(order.is_sorted(), "{heard:#?}");
}

#[test]
fn a_second_hello_changes_nothing() {
    let server = Server::start(&[]);
    let mut alice = server.rich("alice");
    alice.line("HELLO 1 bob - -");
    assert_eq!(alice.sync("still alice"), [""; 0]);
}
