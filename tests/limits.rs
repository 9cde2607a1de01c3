//! Limits on users, lines and rates, and the errors beyond them.

use crate::harness::{DEADLINE, End, Rich, Server};
use chat_proto::{LINE_MAX, TEXT_MAX};
use std::time::{Duration, Instant};

#[test]
fn a_full_room_says_so_until_somebody_leaves() {
    let server = Server::start(&["--max-users", "2"]);
    let mut alice = server.plain("alice");
    let bob = server.rich("bob");

    let mut refused = server.connect("refused");
    let heard = refused.until_end();
    // The greeting comes first, because the connection could be bob resuming.
    assert_eq!(heard, ["* chat version 1: no place is free", "too many users"]);
    assert_eq!(refused.end(), Some(End::Closed));
    let mut client = server.start_client("refused2", &[]);
    assert_eq!(client.exit_code(), 3);

    let gone = format!("{} is offline", bob.who);
    bob.close();
    alice.expect(&gone);
    let carol = server.plain("carol");
    let heard = alice.sync("marker");
    assert_eq!(
        heard,
        [format!("{} is online", carol.id())],
        "a rejected connection was announced"
    );
    let refusals = server.log_so_far(" refuse ");
    assert_eq!(
        refusals
            .iter()
            .filter(|line| line.contains("reason=full"))
            .count(),
        2,
        "{refusals:?}"
    );
}

#[test]
fn a_room_full_of_plain_users_rejects_at_once() {
    let server = Server::start(&["--max-users", "1"]);
    let _alice = server.plain("alice");
    let mut refused = server.connect("refused");
    assert_eq!(refused.until_end(), ["too many users"]);
    assert_eq!(refused.end(), Some(End::Closed));
}

#[test]
fn a_resuming_client_takes_over_its_place_in_a_full_room() {
    let server = Server::start(&["--max-users", "2"]);
    let mut bob = server.plain("bob");
    let ghost = server.rich("alice");
    bob.expect("alice@");
    let mut stranger = server.connect("stranger");
    let greeting = stranger.expect("* chat version 1: ");
    stranger.seal(&greeting, [3; 32], "HELLO 1 alice - -");
    assert_eq!(
        stranger.until_end().last().map(String::as_str),
        Some("too many users")
    );
    let hello = format!("HELLO 1 alice - {}", ghost.resume);
    let alice = Rich::with_key(server.connect("alice again"), ghost.secret, &hello);
    assert!(
        alice.who.starts_with("alice@") && alice.who != ghost.who,
        "{}",
        alice.who
    );
    let gone = format!("{} is offline", ghost.who);
    assert_eq!(
        bob.until(" is online"),
        [gone, format!("{} is online", alice.who)]
    );
}

#[test]
fn an_unannounced_connection_holds_a_place_until_it_ends() {
    let server = Server::start(&["--max-users", "1"]);
    for _ in 0..5 {
        // The server may accept the next connection before it notices the end of the last one. The place must be free soon.
        let until = Instant::now() + DEADLINE;
        let mut user = server.connect("probe");
        while user.next_line().unwrap() == "too many users" {
            assert!(Instant::now() < until, "{}", server.journal);
            user = server.connect("probe");
        }
        user.reset();
    }
}

#[test]
fn loopback_users_are_exempt_from_the_address_limit() {
    let server = Server::start(&["--max-per-address", "1"]);
    let _users: Vec<_> = (0..5).map(|n| server.plain(&format!("user{n}"))).collect();
}

#[test]
fn the_longest_text_passes_and_a_longer_one_is_rejected() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.plain("user");
    let longest = "x".repeat(TEXT_MAX);
    user.line(&longest);
    user.expect(&longest);
    user.line(&format!("{longest}x"));
    let answer = user.next_line().unwrap();
    assert!(answer.starts_with("* "), "{answer:?}");
    // These bytes are longer once they are made safe to show.
    user.send([vec![0xFE; TEXT_MAX / 2], b"\n".to_vec()].concat());
    let answer = user.next_line().unwrap();
    assert!(answer.starts_with("* "), "{answer:?}");
    assert_eq!(user.sync("in step"), [""; 0]);
    let heard = watcher.until("in step");
    assert_eq!(heard.len(), 3, "{heard:?}");
}

#[test]
fn an_overlong_line_gets_one_error_and_the_next_is_whole() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.plain("user");
    for length in [LINE_MAX, LINE_MAX + 1, 3 * LINE_MAX, 100_000] {
        user.line(&"x".repeat(length));
        let answers = user.sync(&format!("after {length}"));
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(answers[0].starts_with("* "), "{answers:?}");
    }
    let heard = watcher.until("after 100000");
    assert_eq!(heard.len(), 5, "{heard:?}");
}

#[test]
fn a_pause_in_an_overlong_line_makes_no_message() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    // This user has not sent a line feed yet, so silence ends its messages.
    let mut user = server.connect("user");
    user.send("x".repeat(5000));
    let heard = user.until("not sent: a line");
    assert_eq!(
        heard
            .iter()
            .filter(|line| line.contains("not sent: a line"))
            .count(),
        1
    );
    // Wait twice as long as the pause that ends a message. Answers of the server show the time.
    let mut clock = server.connect("clock");
    for beat in ["tick", "tock"] {
        clock.send(beat);
        clock.expect(beat);
    }
    user.send("the rest\nwhole\n");
    let whole = format!("from {}: whole", user.id());
    assert_eq!(
        user.until(&whole)
            .iter()
            .filter(|line| line.starts_with("* "))
            .count(),
        0
    );
    let heard = watcher.until(&whole);
    assert!(!heard.iter().any(|line| line.contains("the rest")), "{heard:?}");
}

#[test]
fn an_overlong_rich_text_is_an_error_with_its_number() {
    let server = Server::start(&[]);
    let mut alice = server.rich("alice");
    alice.line(&format!("SAY 1 {}", "x".repeat(TEXT_MAX + 1)));
    let error = alice.expect("ERROR ");
    assert!(error.starts_with("ERROR too-long 1 "), "{error:?}");
    alice.line(&format!("SAY 2 {}", "x".repeat(TEXT_MAX)));
    alice.expect(&"x".repeat(TEXT_MAX));
    alice.line(&"x".repeat(2 * LINE_MAX));
    let error = alice.expect("ERROR ");
    assert!(error.starts_with("ERROR too-long - "), "{error:?}");
    alice.line("SAY 3 in step");
    assert_eq!(alice.until("in step").len(), 1);
}

#[test]
fn a_flood_is_throttled_and_delivered_in_full() {
    let server = Server::start(&["--rate", "400", "--burst", "200"]);
    let mut flooder = server.plain("flooder");
    let mut other = server.plain("other");
    let flood: String = (0..1000).map(|n| format!("flood {n}\n")).collect();
    let start = Instant::now();
    flooder.send(&flood);
    other.expect("flood 0");
    other.line("may I?");

    let heard = other.until("flood 999");
    // 200 pass at once, the other 800 at 400 a second, by the clock of the server.
    assert!(
        start.elapsed() >= Duration::from_millis(1900),
        "the rate is not kept: {:?}",
        start.elapsed()
    );
    assert!(
        heard.iter().any(|line| line.ends_with(": may I?")),
        "the other user does not get through"
    );
    let flood: Vec<_> = heard.iter().filter(|line| line.contains(": flood ")).collect();
    assert_eq!(flood.len(), 999);
    let number = |line: &&String| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(flood.iter().map(number).eq(1..1000), "out of order");
    flooder.expect("flood 999");
}

#[test]
fn commands_are_throttled_too() {
    let server = Server::start(&["--rate", "400", "--burst", "10"]);
    let mut flooder = server.rich("flooder");
    let start = Instant::now();
    let pings: String = (0..400).map(|n| format!("NICK -{n}\n")).collect();
    flooder.send(pings);
    flooder.sync("done");
    assert!(
        start.elapsed() >= Duration::from_millis(900),
        "the rate is not kept: {:?}",
        start.elapsed()
    );
}

#[test]
fn a_flooder_that_resets_is_removed_at_once() {
    let server = Server::start(&["--rate", "1", "--burst", "5"]);
    let mut watcher = server.plain("watcher");
    let mut user = server.connect("user");
    let id = user.id().to_owned();
    // Blank lines are not broadcast, so no failing write reveals that the user is gone.
    let flood: String = (0..4).map(|n| format!("flood {n}\n")).collect();
    user.send(flood + "/help\n" + &"\n".repeat(1000));
    user.expect("/quit");
    watcher.expect("flood 3");
    user.reset();
    assert_eq!(watcher.until(" is offline"), [format!("{id} is offline")]);
    assert_eq!(watcher.sync("marker"), [""; 0]);
    let leaves = server.log_so_far(&format!(" leave {id} "));
    assert!(
        leaves.len() == 1 && leaves[0].contains("reason=reset"),
        "{leaves:?}"
    );
}

#[test]
fn a_flooder_that_closes_is_delivered_in_full() {
    let server = Server::start(&["--rate", "400", "--burst", "100"]);
    let mut watcher = server.plain("watcher");
    let mut user = Rich::join(server.connect("user"), "user");
    let flood: String = (1..=300).map(|n| format!("SAY {n} flood {n}\n")).collect();
    user.send(flood);
    let who = user.who.clone();
    user.half_close();
    let heard = watcher.until(" is offline");
    assert_eq!(heard.iter().filter(|line| line.contains(": flood ")).count(), 300);
    assert!(heard.ends_with(&[format!("from {who}: flood 300"), format!("{who} is offline")]));
}
