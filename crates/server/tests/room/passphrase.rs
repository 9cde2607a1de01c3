//! Rooms that not everybody may join: those with a passphrase, and those for encrypted connections only.

use crate::secure::OUTDATED;
use crate::sim::{PeerNo, Sim, limits, ms};
use chat_noise::cpace::Phrase;
use chat_noise::key::KeyPair;
use chat_proto::{PASSPHRASE, SEALED_ONLY, TOO_MANY_GUESSES, WRONG_PASSPHRASE};
use chat_server::door::Door;
use chat_server::event::{Event, Refusal};
use chat_server::operators::Operators;
use std::collections::HashSet;

const TURNED_AWAY: &str = "* not joined: this room takes encrypted connections only; use chat-client";

const RIGHT: &str = "correct horse battery staple";

fn with_phrase() -> Sim {
    let door = Door {
        phrase: Phrase::new(RIGHT),
        ..Door::default()
    };
    Sim::behind(door, limits())
}

fn sealed_only() -> Sim {
    let door = Door {
        sealed_only: true,
        ..Door::default()
    };
    Sim::behind(door, limits())
}

fn refusals(sim: &Sim) -> Vec<Refusal> {
    let whys = sim.events.iter().filter_map(|event| match event {
        Event::Refuse { why, .. } => Some(*why),
        _ => None,
    });
    whys.collect()
}

/// Tries a passphrase from here. The lines of the server after the greeting.
fn guess(sim: &mut Sim, address: &str, phrase: &str) -> (PeerNo, Vec<String>) {
    guess_when(sim, address, phrase, phrase == RIGHT)
}

/// The same where this one opens the room, or does not.
fn guess_when(sim: &mut Sim, address: &str, phrase: &str, opens: bool) -> (PeerNo, Vec<String>) {
    let peer = sim.connect(address);
    sim.run(ms(0));
    sim.news(peer);
    if let Some((met, _)) = sim.meet(peer, Some(phrase)) {
        sim.prove(peer, met, "HELLO 1 - - -");
        if !opens {
            // What the server says of it is in the clear.
            sim.peers[peer].channel = None;
        }
    }
    sim.run(ms(0));
    let lines = sim.lines(peer).0;
    let lines = lines.iter().map(|&line| line.to_owned()).skip(1).collect();
    (peer, lines)
}

/// The server's last word to a guess from here.
fn verdict(sim: &mut Sim, address: &str, phrase: &str) -> String {
    verdict_when(sim, address, phrase, phrase == RIGHT)
}

fn verdict_when(sim: &mut Sim, address: &str, phrase: &str, opens: bool) -> String {
    let (_, lines) = guess_when(sim, address, phrase, opens);
    let last = lines.last().unwrap();
    last.split(' ')
        .next()
        .filter(|&word| word == "JOIN")
        .unwrap_or(last)
        .to_owned()
}

#[test]
fn the_passphrase_opens_the_room_and_another_does_not() {
    let mut sim = with_phrase();
    let (alice, lines) = guess(&mut sim, "10.0.0.7:5002", RIGHT);
    assert!(lines[1].starts_with("WELCOME "), "{lines:?}");
    let (_, greeting) = (alice, sim.lines(alice).0[0].to_owned());
    assert_eq!(
        greeting,
        format!("* chat version 1: you are 10.0.0.7:5002{PASSPHRASE}")
    );
    sim.news(alice);
    let (wrong, lines) = guess(&mut sim, "10.0.0.8:5003", "incorrect horse");
    assert_eq!(lines.last().unwrap(), WRONG_PASSPHRASE);
    assert!(sim.is_closed(wrong));
    assert_eq!(refusals(&sim), [Refusal::Passphrase]);
    assert_eq!(sim.news(alice), Vec::<String>::new(), "nobody is told");
}

#[test]
fn a_handshake_without_the_passphrase_fails() {
    let mut sim = with_phrase();
    let peer = sim.connect("10.0.0.7:5002");
    assert!(!sim.prove_with(peer, "HELLO 1 - - -", None));
    sim.run(ms(0));
    assert!(sim.is_closed(peer));
    assert_eq!(refusals(&sim), [Refusal::Handshake]);
}

#[test]
fn plain_users_are_turned_away_and_never_announced() {
    for (mut sim, clause) in [(with_phrase(), PASSPHRASE), (sealed_only(), SEALED_ONLY)] {
        let listener = sim.connect("10.0.0.9:5001");
        let phrase = (clause == PASSPHRASE).then_some(RIGHT);
        assert!(sim.prove_with(listener, "HELLO 1 - - -", phrase));
        sim.run(ms(0));
        sim.news(listener);
        let said = ["hello\n", "hel", "\n", "/who\n"].map(|said| (said, TURNED_AWAY));
        let outdated = ["HELLO 1 mallory - - -\n", "PROBE 1 -\n"].map(|said| (said, OUTDATED));
        for (said, answer) in said.into_iter().chain(outdated) {
            let peer = sim.connect("10.0.0.7:5002");
            sim.run(ms(0));
            sim.inject(peer, said.as_bytes());
            sim.run(ms(0));
            let greeting = format!("* chat version 1: you are 10.0.0.7:5002{clause}");
            assert_eq!(sim.news(peer), [&greeting, answer], "{said:?}");
            assert!(sim.is_closed(peer), "{said:?}");
        }
        let silent = sim.connect("10.0.0.7:5002");
        sim.run(ms(1_900));
        assert_eq!(sim.news(silent).len(), 1);
        sim.run(ms(200));
        assert_eq!(sim.news(silent), [TURNED_AWAY]);
        assert!(sim.is_closed(silent));
        // Its FIN ends it without a word to the others, too.
        let short = sim.connect("10.0.0.7:5002");
        sim.send(short, "hello");
        sim.half_close(short);
        sim.run(ms(100));
        assert!(sim.is_closed(short));
        assert_eq!(sim.news(listener), Vec::<String>::new());
        let (plain, outdated) = ([Refusal::Plain; 4], [Refusal::Outdated; 2]);
        assert_eq!(refusals(&sim), [&plain[..], &outdated, &plain[..2]].concat());
    }
}

#[test]
fn a_client_far_away_joins_a_sealed_room() {
    let mut sim = sealed_only();
    let peer = sim.connect("10.0.0.7:5002");
    sim.run(ms(1_500));
    assert!(sim.prove_with(peer, "HELLO 1 alice - -", None));
    sim.run(ms(0));
    assert!(sim.news(peer)[0].starts_with("WELCOME "));
}

#[test]
fn the_second_line_does_not_depend_on_the_passphrase() {
    let mut sim = with_phrase();
    let answer = |sim: &mut Sim, phrase| {
        let peer = sim.connect("10.0.0.7:5002");
        let met = sim.meet(peer, Some(phrase));
        sim.close(peer);
        sim.run(ms(0));
        met.is_some()
    };
    // Both prove the server's key, and neither is a try.
    for _ in 0..20 {
        assert!(answer(&mut sim, RIGHT));
        assert!(answer(&mut sim, "wrong"));
    }
    assert_eq!(verdict(&mut sim, "10.0.0.7:5002", "wrong"), WRONG_PASSPHRASE);
}

#[test]
fn wrong_passphrases_are_counted_for_a_network() {
    let mut sim = with_phrase();
    // The addresses of a /64 are one network.
    for host in 0..5 {
        let address = format!("[2001:db8::{host}]:5002");
        assert_eq!(verdict(&mut sim, &address, "wrong"), WRONG_PASSPHRASE);
    }
    // Not even the right one counts now; so nothing is learnt.
    let there = "[2001:db8::9]:5002";
    for phrase in ["wrong", RIGHT] {
        assert_eq!(verdict_when(&mut sim, there, phrase, false), TOO_MANY_GUESSES);
    }
    assert_eq!(
        verdict(&mut sim, "[2001:db8:0:1::9]:5002", "wrong"),
        WRONG_PASSPHRASE
    );
    assert_eq!(verdict(&mut sim, "10.0.0.1:5002", RIGHT), "JOIN");
    sim.run(ms(1_900));
    assert_eq!(verdict(&mut sim, there, "wrong"), TOO_MANY_GUESSES);
    sim.run(ms(200));
    assert_eq!(verdict(&mut sim, there, "wrong"), WRONG_PASSPHRASE);
    sim.run(ms(3_900));
    assert_eq!(verdict(&mut sim, there, "wrong"), TOO_MANY_GUESSES);
    sim.run(ms(200));
    assert_eq!(verdict(&mut sim, there, RIGHT), "JOIN");
    let refused = |why| {
        refusals(&sim)
            .into_iter()
            .filter(|&refusal| refusal == why)
            .count()
    };
    assert_eq!((refused(Refusal::Passphrase), refused(Refusal::Guesses)), (7, 4));
}

/// Behind one router, whoever has been in comes back although a neighbour guesses, and the neighbour guesses no faster for it.
#[test]
fn a_key_that_got_in_is_not_kept_out_by_the_guesses_of_neighbours() {
    let mut sim = with_phrase();
    let (alice, _) = guess(&mut sim, "10.0.0.7:5002", RIGHT);
    for port in 6000..6005 {
        assert_eq!(
            verdict(&mut sim, &format!("10.0.0.7:{port}"), "wrong"),
            WRONG_PASSPHRASE
        );
    }
    for (phrase, port) in [("wrong", 6010), (RIGHT, 6011)] {
        assert_eq!(
            verdict_when(&mut sim, &format!("10.0.0.7:{port}"), phrase, false),
            TOO_MANY_GUESSES
        );
    }
    sim.close(alice);
    sim.run(ms(0));
    for (port, address) in (7000..7003).zip(["10.0.0.7", "10.0.0.8", "10.0.0.7"]) {
        let back = sim.connect(&format!("{address}:{port}"));
        sim.take_key(back, alice);
        assert!(sim.prove_with(back, "HELLO 1 alice - -", Some(RIGHT)));
        sim.run(ms(0));
        assert!(sim.news(back)[0].starts_with("WELCOME "));
    }
    // Its key alone opens nothing.
    let stolen = sim.connect("10.0.0.7:7010");
    sim.take_key(stolen, alice);
    assert!(sim.prove_with(stolen, "HELLO 1 alice - -", Some("wrong")));
    sim.peers[stolen].channel = None;
    sim.run(ms(0));
    assert_eq!(sim.news(stolen), [TOO_MANY_GUESSES]);
    assert_eq!(verdict(&mut sim, "10.0.0.7:6012", "wrong"), TOO_MANY_GUESSES);
}

#[test]
fn handshakes_begun_at_once_are_no_more_guesses() {
    let mut sim = with_phrase();
    let begun: Vec<_> = (0..50)
        .map(|n| {
            let peer = sim.connect(&format!("10.0.0.7:{}", 5000 + n));
            let (met, _) = sim.meet(peer, Some("wrong")).unwrap();
            (peer, met)
        })
        .collect();
    for (peer, met) in begun {
        sim.prove(peer, met, "HELLO 1 - - -");
        sim.peers[peer].channel = None;
    }
    sim.run(ms(0));
    let refused = |why| {
        refusals(&sim)
            .into_iter()
            .filter(|&refusal| refusal == why)
            .count()
    };
    assert_eq!((refused(Refusal::Passphrase), refused(Refusal::Guesses)), (5, 45));
}

#[test]
fn networks_of_one_site_share_a_higher_limit() {
    let mut sim = with_phrase();
    for network in 0..40 {
        let address = format!("[2001:db8:7:{network:x}::1]:5002");
        assert_eq!(verdict(&mut sim, &address, "wrong"), WRONG_PASSPHRASE);
    }
    assert_eq!(
        verdict_when(&mut sim, "[2001:db8:7:ffff::1]:5002", RIGHT, false),
        TOO_MANY_GUESSES
    );
    assert_eq!(verdict(&mut sim, "[2001:db8:8:ffff::1]:5002", RIGHT), "JOIN");
}

/// A room with a passphrase, in which this one runs it.
fn with_operator() -> (Sim, PeerNo) {
    let mut sim = with_phrase();
    let alice = sim.connect("10.0.0.7:5002");
    let key = KeyPair::from_secret(sim.peers[alice].secret).public();
    sim.room.set_operators(Operators::new(None, HashSet::from([key])));
    assert!(sim.prove_with(alice, "HELLO 1 alice - -", Some(RIGHT)));
    sim.run(ms(0));
    sim.news(alice);
    (sim, alice)
}

fn acts(sim: &Sim) -> Vec<&str> {
    let acts = sim.events.iter().filter_map(|event| match event {
        Event::Act { what, .. } => Some(&**what),
        _ => None,
    });
    acts.collect()
}

#[test]
fn a_new_passphrase_is_told_to_its_operator_and_the_old_one_is_wrong() {
    let (mut sim, alice) = with_operator();
    let bob = sim.connect("10.0.0.8:5003");
    assert!(sim.prove_with(bob, "HELLO 1 bob - -", Some(RIGHT)));
    let begun = sim.connect("10.0.0.9:5004");
    let (met, _) = sim.meet(begun, Some(RIGHT)).unwrap();
    for peer in [alice, bob] {
        sim.news(peer);
    }
    sim.send(bob, "ROOM passphrase new\n");
    sim.run(ms(0));
    let refused = "ERROR not-operator - only operators may do that; /op CODE makes you one";
    assert_eq!(sim.news(bob), [refused]);
    sim.send(alice, "ROOM passphrase new\nROOM passphrase new\n");
    sim.run(ms(0));
    let said = "NOTICE operator alice@10.0.0.7:5002 has set a new passphrase: users who are in stay in, and need it to come back";
    assert_eq!(sim.news(bob), [said]);
    let news = sim.news(alice);
    let told: Vec<&str> = news
        .iter()
        .filter_map(|line| line.strip_prefix("NOTICE the new passphrase is: "))
        .collect();
    let [new] = told[..] else { panic!("{news:?}") };
    assert_eq!(new.split(' ').count(), 6);
    assert!(
        news.iter()
            .any(|line| line.starts_with("ERROR other - not changed: "))
    );
    assert_eq!(acts(&sim), ["passphrase new"]);
    assert!(!format!("{:?}", sim.events).contains(new));
    // What began with the old one is turned away, although it was right then.
    assert_eq!(sim.news(begun), [WRONG_PASSPHRASE]);
    sim.prove(begun, met, "HELLO 1 eve - -");
    sim.peers[begun].channel = None;
    sim.run(ms(0));
    assert!(sim.is_closed(begun));
    assert_eq!(verdict_when(&mut sim, "10.0.1.1:5005", new, true), "JOIN");
    // Who is in stays in.
    sim.news(alice);
    sim.send(bob, "SAY 1 hello\n");
    sim.run(ms(0));
    assert!(sim.news(alice).last().unwrap().ends_with(" hello"));
    // From where the old one opened the room, wrong ones are counted now.
    for _ in 0..5 {
        assert_eq!(
            verdict_when(&mut sim, "10.0.0.8:5006", RIGHT, false),
            WRONG_PASSPHRASE
        );
    }
    assert_eq!(
        verdict_when(&mut sim, "10.0.0.8:5006", RIGHT, false),
        TOO_MANY_GUESSES
    );
    assert!(sim.room.roster().get(sim.peers[bob].slot.unwrap()).is_some());
}

#[test]
fn a_passphrase_that_can_not_be_kept_changes_nothing() {
    let (mut sim, alice) = with_operator();
    let bob = sim.connect("10.0.0.9:5004");
    let (met, _) = sim.meet(bob, Some(RIGHT)).unwrap();
    sim.phrase_error = Some("passphrase file /srv/phrase: Read-only file system");
    sim.news(alice);
    sim.send(alice, "ROOM passphrase new\n");
    sim.run(ms(0));
    let why =
        "not changed, the passphrase is the one before: passphrase file /srv/phrase: Read-only file system";
    assert_eq!(sim.news(alice), [format!("ERROR other - {why}")]);
    assert_eq!(acts(&sim), Vec::<&str>::new());
    sim.prove(bob, met, "HELLO 1 bob - -");
    sim.run(ms(0));
    assert!(sim.news(bob)[0].starts_with("WELCOME bob@"));
    assert_eq!(verdict(&mut sim, "10.0.0.10:5005", RIGHT), "JOIN");
}

#[test]
fn an_operator_who_is_gone_by_then_sets_no_passphrase() {
    let (mut sim, alice) = with_operator();
    sim.send(alice, "ROOM passphrase new\nQUIT\n");
    sim.run(ms(0));
    assert_eq!(acts(&sim), Vec::<&str>::new());
    assert_eq!(verdict(&mut sim, "10.0.0.10:5005", RIGHT), "JOIN");
}

#[test]
fn a_room_without_a_passphrase_says_how_to_get_one() {
    let mut sim = Sim::new(limits());
    let alice = sim.connect("10.0.0.7:5002");
    let key = KeyPair::from_secret(sim.peers[alice].secret).public();
    sim.room.set_operators(Operators::new(None, HashSet::from([key])));
    sim.seal(alice, "HELLO 1 alice - -");
    sim.run(ms(0));
    sim.news(alice);
    sim.send(alice, "ROOM passphrase new\n");
    sim.run(ms(0));
    let news = sim.news(alice);
    assert_eq!(news.len(), 1);
    assert!(
        news[0].starts_with("ERROR other - this room has no passphrase: chat-server --new-passphrase "),
        "{news:?}"
    );
}
