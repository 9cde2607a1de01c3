//! Clients that reconnect, while the server may not know that the old connection is dead.

use crate::sim::{PeerNo, Reading, Sim, limits, ms};
use chat_server::event::{Departure, Event, Refusal};
use chat_server::member::End;
use chat_server::room::{LEAVING_MAX, Limits, QUEUED_MAX};
use std::time::Duration;

/// The token in this peer's last WELCOME.
fn token(sim: &Sim, peer: PeerNo) -> String {
    let welcome = sim
        .lines(peer)
        .0
        .into_iter()
        .rfind(|line| line.starts_with("WELCOME "))
        .unwrap();
    welcome.split(' ').nth(2).unwrap().to_owned()
}

/// The client that was given this token connects again.
fn come_back(sim: &mut Sim, address: &str, token: &str) -> PeerNo {
    let peer = sim.connect(address);
    let of = |&peer: &PeerNo| {
        sim.peers[peer]
            .received
            .windows(22)
            .any(|part| part == token.as_bytes())
    };
    if let Some(owner) = (0..peer).find(of) {
        sim.take_key(peer, owner);
    }
    sim.send(peer, &format!("HELLO 1 alice - {token}\n"));
    sim.run(ms(0));
    peer
}

/// The last number in this peer's WELCOME.
fn seq(sim: &Sim, peer: PeerNo) -> String {
    let welcome = sim
        .lines(peer)
        .0
        .into_iter()
        .find(|line| line.starts_with("WELCOME "))
        .unwrap();
    welcome.rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_client_replaces_its_dead_connection() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.9:1");
    let ghost = sim.rich("10.0.0.1:1001", "alice");
    sim.send(ghost, "SAY 41 before\nSAY 42 last\n");
    sim.run(ms(0));
    sim.news(witness);
    sim.news(ghost);
    let resume = token(&sim, ghost);
    let alice = come_back(&mut sim, "10.0.0.1:1002", &resume);
    assert_eq!(
        sim.news(witness),
        ["alice@10.0.0.1:1001 is offline", "alice@10.0.0.1:1002 is online"]
    );
    assert_eq!(
        sim.news(ghost),
        ["GOODBYE replaced disconnected: you have reconnected"]
    );
    assert_eq!(sim.departure("alice@10.0.0.1:1001"), Some(Departure::Replaced));
    assert_eq!(seq(&sim, alice), "42");
    sim.send(alice, "SAY 41 again\nSAY 42 again\nSAY 43 new\nSAY 43 twice\n");
    sim.run(ms(0));
    assert_eq!(sim.news(witness), ["from alice@10.0.0.1:1002: new"]);
    assert_ne!(token(&sim, alice), resume, "each has a token of its own");
}

#[test]
fn a_lost_welcome_costs_neither_the_number_nor_the_nick() {
    for is_noticed in [true, false] {
        let mut sim = Sim::new(limits());
        let witness = sim.plain("10.0.0.9:1");
        let gone = sim.rich("10.0.0.1:1001", "alice");
        sim.send(gone, "SAY 1 once\n");
        sim.run(ms(0));
        let resume = token(&sim, gone);
        sim.reset(gone);
        sim.run(ms(0));
        // It never reads.
        let between = come_back(&mut sim, "10.0.0.1:1002", &resume);
        if is_noticed {
            sim.reset(between);
            sim.run(ms(0));
        }
        sim.news(witness);
        let alice = come_back(&mut sim, "10.0.0.1:1003", &resume);
        assert_eq!(seq(&sim, alice), "1");
        let came = sim.news(witness);
        assert_eq!(came.last().unwrap(), "alice@10.0.0.1:1003 is online");
        assert_eq!(came.len(), if is_noticed { 1 } else { 2 }, "{came:?}");
        sim.send(alice, "SAY 1 once\nSAY 2 twice\n");
        sim.run(ms(0));
        assert_eq!(sim.news(witness), ["from alice@10.0.0.1:1003: twice"]);
        // The token before is spent: the client has received a newer one.
        let late = come_back(&mut sim, "10.0.0.1:1004", &resume);
        assert_eq!(seq(&sim, late), "0");
    }
}

#[test]
fn a_client_resumes_its_numbers_after_a_lost_connection() {
    let mut sim = Sim::new(limits());
    let gone = sim.rich("10.0.0.1:1001", "alice");
    sim.send(gone, "SAY 7 last\n");
    sim.run(ms(0));
    let resume = token(&sim, gone);
    sim.reset(gone);
    sim.run(Duration::from_secs(3600));
    let alice = come_back(&mut sim, "10.0.0.1:1002", &resume);
    assert_eq!(seq(&sim, alice), "7");
    let next = token(&sim, alice);
    sim.reset(alice);
    let alice = come_back(&mut sim, "10.0.0.1:1003", &next);
    assert_eq!(seq(&sim, alice), "7");
    let stranger = come_back(&mut sim, "10.0.0.3:1002", &resume);
    assert_eq!(seq(&sim, stranger), "0", "a token serves until the next one has");
}

#[test]
fn the_nick_of_a_broken_connection_is_held_for_45_s() {
    for end in [End::Closed, End::Reset, End::TimedOut] {
        let mut sim = Sim::new(limits());
        let other = sim.plain("10.0.0.9:1");
        let gone = sim.rich("10.0.0.1:1001", "alice");
        let resume = token(&sim, gone);
        sim.end(gone, end);
        sim.run(ms(100));
        sim.news(other);
        sim.send(other, "/nick Alice\n/nick a1ice\n/nick bob\n");
        sim.run(ms(0));
        assert_eq!(
            sim.news(other),
            [
                "* the nick Alice is held for 45 s, for a user who lost the connection",
                "* the nick a1ice looks too much like alice, which is held for 45 s, for a user who lost the connection",
                "10.0.0.9:1 is now bob@10.0.0.9:1"
            ]
        );
        let thief = come_back(&mut sim, "10.0.0.3:1", "-");
        assert!(
            sim.news(thief)
                .iter()
                .any(|line| line.starts_with("ERROR nick-taken"))
        );
        sim.run(Duration::from_secs(44));
        let alice = come_back(&mut sim, "10.0.0.1:1002", &resume);
        assert!(sim.news(alice)[1].starts_with("WELCOME alice@10.0.0.1:1002 "));
        sim.end(alice, end);
        sim.run(Duration::from_secs(45));
        sim.news(other);
        sim.send(other, "/nick alice\n");
        sim.run(ms(0));
        assert_eq!(sim.news(other), ["bob@10.0.0.9:1 is now alice@10.0.0.9:1"]);
    }
}

#[test]
fn a_user_that_quits_frees_its_nick_at_once() {
    let mut sim = Sim::new(limits());
    let other = sim.plain("10.0.0.9:1");
    let alice = sim.rich("10.0.0.1:1001", "alice");
    let plain = sim.plain("10.0.0.1:1002");
    sim.send(plain, "/nick carol\n");
    sim.send(alice, "QUIT\n");
    sim.run(ms(0));
    sim.reset(plain);
    sim.run(ms(0));
    sim.news(other);
    sim.send(other, "/nick alice\n/nick carol\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(other),
        [
            "10.0.0.9:1 is now alice@10.0.0.9:1",
            "alice@10.0.0.9:1 is now carol@10.0.0.9:1"
        ]
    );
}

#[test]
fn a_lost_welcome_does_not_cost_the_held_nick() {
    let mut sim = Sim::new(limits());
    let gone = sim.rich("10.0.0.1:1001", "alice");
    let resume = token(&sim, gone);
    sim.reset(gone);
    let between = come_back(&mut sim, "10.0.0.1:1002", &resume);
    sim.reset(between);
    sim.run(ms(0));
    let alice = come_back(&mut sim, "10.0.0.1:1003", &resume);
    assert!(sim.news(alice)[1].starts_with("WELCOME alice@10.0.0.1:1003 "));
}

/// A full room of two: alice, who is about to reconnect, and a witness.
fn full_room(max_per_address: usize) -> (Sim, PeerNo, PeerNo) {
    let mut sim = Sim::new(Limits {
        max_users: 2,
        max_per_address,
        ..limits()
    });
    let witness = sim.plain("10.0.0.9:1");
    let ghost = sim.rich("10.0.0.1:1001", "alice");
    sim.news(witness);
    (sim, witness, ghost)
}

const NO_PLACE: [&str; 2] = ["* chat version 1: no place is free", "too many users"];

#[test]
fn in_a_full_room_a_client_takes_its_own_place() {
    for (address, max_per_address) in [
        ("10.0.0.1:1002", 1),
        ("10.0.0.2:1", 1),
        ("10.0.0.1:1002", usize::MAX),
    ] {
        let (mut sim, witness, ghost) = full_room(max_per_address);
        let resume = token(&sim, ghost);
        let alice = come_back(&mut sim, address, &resume);
        assert!(sim.news(alice)[1].starts_with(&format!("WELCOME alice@{address} ")));
        let came = format!("alice@{address} is online");
        assert_eq!(sim.news(witness), ["alice@10.0.0.1:1001 is offline", &came]);
        let roster = sim.room.roster();
        assert_eq!((roster.staying(), roster.queued()), (2, 0));
    }
}

#[test]
fn in_a_full_room_nobody_takes_another_s_place() {
    let (mut sim, witness, ghost) = full_room(2);
    for hello in [
        "HELLO 1 bob - -",
        "HELLO 1 bob - AAAAAAAAAAAAAAAAAAAAAA",
        "hello",
        "HELLO x",
    ] {
        let stranger = sim.connect("10.0.0.4:1");
        sim.send(stranger, &format!("{hello}\nSAY 1 hi\n/who\n"));
        sim.run(ms(0));
        assert_eq!(sim.news(stranger), NO_PLACE, "{hello}");
        assert!(sim.is_closed(stranger));
    }
    let silent = sim.connect("10.0.0.4:1");
    sim.run(ms(249));
    assert_eq!(sim.news(silent), NO_PLACE[..1]);
    sim.run(ms(1));
    assert_eq!(sim.news(silent), NO_PLACE[1..]);
    let full = Event::Refuse {
        peer: "10.0.0.4:1".parse().unwrap(),
        why: Refusal::Full(2),
    };
    assert_eq!(sim.events.iter().filter(|event| **event == full).count(), 5);
    assert_eq!(sim.news(witness), [""; 0]);
    assert!(!sim.is_closed(ghost));
}

#[test]
fn a_rejected_queued_peer_is_closed_after_2_s() {
    let (mut sim, _, _) = full_room(2);
    let stranger = sim.connect("10.0.0.4:1");
    sim.peers[stranger].reading = Reading::Stopped;
    sim.peers[stranger].capacity = 10;
    sim.run(ms(250 + 1999));
    assert!(!sim.is_closed(stranger));
    sim.run(ms(1));
    assert!(sim.is_closed(stranger));
}

/// A token does not lift the limit on the address that it comes from.
#[test]
fn a_rejected_resumption_keeps_the_old_connection() {
    let mut sim = Sim::new(Limits {
        max_per_address: 1,
        ..limits()
    });
    let witness = sim.plain("10.0.0.9:1");
    let ghost = sim.rich("10.0.0.1:1001", "alice");
    sim.news(witness);
    let resume = token(&sim, ghost);
    let elsewhere = come_back(&mut sim, "10.0.0.9:2", &resume);
    let expected = [
        "* chat version 1: no place is free",
        "* too many users from your address",
    ];
    assert_eq!(sim.news(elsewhere), expected);
    assert_eq!(sim.news(witness), [""; 0]);
    let alice = come_back(&mut sim, "10.0.0.1:1002", &resume);
    assert!(sim.news(alice)[1].starts_with("WELCOME alice@10.0.0.1:1002 "));
}

#[test]
fn a_freed_place_goes_to_a_queued_connection() {
    let (mut sim, witness, ghost) = full_room(2);
    let (plain, client) = (sim.connect("10.0.0.2:1"), sim.connect("10.0.0.2:2"));
    sim.run(ms(100));
    sim.reset(ghost);
    sim.run(ms(0));
    sim.send(client, "HELLO 1 bob - -\n");
    sim.run(ms(0));
    assert!(sim.news(client)[1].starts_with("WELCOME bob@"));
    sim.send(witness, "/quit\n");
    sim.run(ms(150));
    let came = "10.0.0.2:1 is online";
    assert_eq!(sim.news(plain), ["* chat version 1: no place is free", came]);
}

/// Queued connections are not counted with the rejected ones.
#[test]
fn newcomers_are_queued_then_rejected_then_closed() {
    let (mut sim, _, _) = full_room(1000);
    let crowd: Vec<_> = (1..=QUEUED_MAX + LEAVING_MAX + 1)
        .map(|port| sim.connect(&format!("10.0.0.2:{port}")))
        .collect();
    for &peer in &crowd {
        sim.peers[peer].polite = false;
    }
    sim.run(ms(0));
    let roster = sim.room.roster();
    assert_eq!((roster.queued(), roster.leaving()), (QUEUED_MAX, LEAVING_MAX));
    let closed: Vec<_> = crowd.iter().filter(|&&peer| sim.is_closed(peer)).collect();
    assert_eq!(closed, [crowd.last().unwrap()]);
    assert_eq!(sim.news(crowd[QUEUED_MAX + LEAVING_MAX - 1]), ["too many users"]);
}

/// A silent queued connection is queued for a quarter of a second, and takes nothing else.
#[test]
fn the_queue_for_places_is_short_and_brief() {
    let (mut sim, witness, ghost) = full_room(1000);
    let crowd: Vec<_> = (1..=300)
        .map(|port| sim.connect(&format!("10.0.0.2:{port}")))
        .collect();
    sim.run(ms(0));
    assert_eq!(sim.room.roster().queued(), QUEUED_MAX);
    let last = *crowd.last().unwrap();
    assert!(sim.is_closed(last), "one more is told at once, or closed");
    let resume = token(&sim, ghost);
    sim.run(ms(250));
    assert!(crowd.iter().all(|&peer| sim.is_closed(peer)));
    assert_eq!(sim.news(witness), [""; 0]);
    let alice = come_back(&mut sim, "10.0.0.1:1003", &resume);
    assert!(sim.news(alice)[1].starts_with("WELCOME alice@10.0.0.1:1003 "));
}

/// A handshake that does not end takes its place in the queue for 10 s.
#[test]
fn one_network_keeps_no_other_out_of_the_queue_for_places() {
    let (mut sim, _, ghost) = full_room(1000);
    let crowd: Vec<_> = (1..=QUEUED_MAX)
        .map(|port| sim.connect(&format!("10.0.0.2:{port}")))
        .collect();
    for &peer in &crowd {
        sim.meet(peer, None).unwrap();
    }
    sim.run(ms(1_000));
    assert_eq!(sim.room.roster().queued(), QUEUED_MAX);
    let more = sim.connect("10.0.0.2:100");
    sim.run(ms(0));
    assert_eq!(sim.news(more), ["too many users"]);
    let resume = token(&sim, ghost);
    let alice = come_back(&mut sim, "10.0.0.1:1003", &resume);
    assert!(sim.news(alice)[1].starts_with("WELCOME alice@10.0.0.1:1003 "));
    assert_eq!(sim.room.roster().queued(), QUEUED_MAX - 1);
    // Who waited longest made room.
    let gone: Vec<_> = crowd.iter().filter(|&&peer| sim.is_closed(peer)).collect();
    assert_eq!(gone, [&crowd[0]]);
    assert_eq!(sim.news(crowd[0]), ["too many users"]);
    // Networks that have one each keep theirs.
    let (mut sim, _, _) = full_room(1000);
    for n in 1..=QUEUED_MAX {
        sim.connect(&format!("10.0.3.{n}:1"));
    }
    let more = sim.connect("10.0.4.1:1");
    sim.run(ms(0));
    assert_eq!(sim.news(more), ["too many users"]);
}

#[test]
fn an_unknown_token_resumes_nothing() {
    let mut sim = Sim::new(limits());
    let alice = come_back(&mut sim, "10.0.0.1:1001", "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(seq(&sim, alice), "0");
    assert_eq!(sim.room.roster().staying(), 1);
}

/// A token names the slot of its client, which is not enough.
#[test]
fn a_token_that_differs_in_one_byte_resumes_nothing() {
    let mut sim = Sim::new(limits());
    let alice = sim.rich("10.0.0.1:1001", "alice");
    let token = token(&sim, alice);
    for place in 0..21 {
        let mut other = token.clone().into_bytes();
        other[place] = if other[place] == b'x' { b'y' } else { b'x' };
        let other = String::from_utf8(other).unwrap();
        let thief = come_back(&mut sim, &format!("10.0.0.3:{}", place + 1), &other);
        assert_eq!(seq(&sim, thief), "0");
        assert!(!sim.is_closed(alice), "resumed by {other} instead of {token}");
    }
}

#[test]
fn the_latest_resumable_clients_are_remembered() {
    let mut sim = Sim::new(Limits {
        max_users: 500,
        ..limits()
    });
    let mut tokens = Vec::new();
    for number in 1..=1100 {
        let peer = sim.rich(&format!("10.0.0.1:{number}"), "-");
        sim.send(peer, &format!("SAY {number} hi\n"));
        sim.run(ms(0));
        tokens.push(token(&sim, peer));
        sim.reset(peer);
        sim.run(ms(0));
    }
    for (number, expected) in [(77, "77"), (76, "0"), (1, "0"), (1100, "1100")] {
        let peer = come_back(&mut sim, &format!("10.0.0.2:{number}"), &tokens[number - 1]);
        assert_eq!(seq(&sim, peer), expected);
        sim.reset(peer);
        // Each departure makes the room forget the oldest one.
        sim.run(ms(0));
    }
}

/// The token and the number of the next message are those of an earlier run of the server. The WELCOME of this run is lost.
#[test]
fn numbers_of_an_earlier_run_are_never_taken_for_this_one() {
    let mut sim = Sim::new(limits());
    let talker = sim.plain("10.0.0.9:1");
    let hello = "HELLO 1 alice - AAECAwQFBgcICQoLDA0ODw next=3\n";
    let between = sim.connect("10.0.0.1:1001");
    sim.send(between, hello);
    sim.run(ms(0));
    sim.send(talker, "one\ntwo\nthree\nfour\n");
    sim.run(ms(0));
    sim.reset(between);
    let alice = sim.connect("10.0.0.1:1002");
    sim.send(alice, hello);
    sim.run(ms(0));
    let lines = sim.lines(alice).0;
    let begin = lines
        .iter()
        .position(|line| line.starts_with("HISTORY "))
        .unwrap();
    assert!(lines[begin].ends_with(" 0 -"), "{lines:?}");
    assert!(lines[begin + 1].ends_with(" one"), "{lines:?}");
}

#[test]
fn a_client_that_returns_without_its_token_begins_anew() {
    let mut sim = Sim::new(limits());
    let ghost = sim.rich("10.0.0.1:1001", "alice");
    sim.send(ghost, "SAY 42 last\n");
    sim.run(ms(0));
    let old = token(&sim, ghost);
    sim.reset(ghost);
    sim.run(ms(0));
    let restarted = sim.connect("10.0.0.1:1002");
    sim.take_key(restarted, ghost);
    sim.send(restarted, "HELLO 1 alice - -\n");
    sim.run(ms(0));
    sim.reset(restarted);
    sim.run(ms(0));
    let again = come_back(&mut sim, "10.0.0.1:1003", &old);
    assert_eq!(seq(&sim, again), "0");
}
