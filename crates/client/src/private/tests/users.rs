//! A conversation belongs to a key, not to an id.

use super::*;
use crate::roster::KeyWarning;

impl Pair {
    /// The server tells one client that the other left.
    fn leaves(&mut self, at: usize) {
        let now = self.now();
        self.clients[at].peer_left(now, id(1 - at));
    }

    /// The server announces a user to one client.
    fn announced(&mut self, at: usize, profile: &Profile) {
        let now = self.now();
        self.clients[at].peer_here(now, profile);
    }

    fn refusal(&mut self, from: usize, to: UserId) -> Refusal {
        let now = self.now();
        self.clients[from].send(now, to, &Text::new("hi")).unwrap_err()
    }
}

#[test]
fn a_message_never_reaches_the_next_user_of_an_id() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, "for Bob alone");
    let on_its_way = pair.take(ALICE);
    pair.leaves(ALICE);
    pair.take(ALICE);
    assert_eq!(pair.states(ALICE), [(message, State::NotDelivered(Why::Left))]);
    // Another user gets the same address and port.
    pair.clients[BOB] = client(3, Options::default());
    let (now, alice) = (pair.now(), profile(ALICE, &pair.clients[ALICE]));
    pair.clients[BOB].connected(now, connection(BOB));
    pair.announced(BOB, &alice);
    let newcomer = profile(BOB, &pair.clients[BOB]);
    pair.announced(ALICE, &newcomer);
    for sent in on_its_way {
        if let Sent::Datagram(_, _, bytes) = sent {
            pair.arrive(BOB, &bytes);
        }
    }
    pair.live(ms(60_000));
    assert!(pair.shown(BOB).is_empty());
    pair.say(ALICE, "for the newcomer");
    pair.settle();
    assert_eq!(pair.shown(BOB), ["for the newcomer"]);
}

#[test]
fn a_conversation_continues_after_a_reconnection() {
    let mut pair = Pair::new();
    pair.say(ALICE, "one");
    let first = pair.take_datagrams(ALICE);
    pair.arrive(BOB, &first[0]);
    pair.settle();
    pair.leaves(ALICE);
    pair.leaves(BOB);
    let mut bob = profile(BOB, &pair.clients[BOB]);
    let other: UserId = "10.0.0.6:51000".parse().unwrap();
    bob.who = other.into();
    pair.announced(ALICE, &bob);
    let alice = profile(ALICE, &pair.clients[ALICE]);
    pair.announced(BOB, &alice);
    assert_eq!(pair.refusal(ALICE, id(BOB)), Refusal::NotHere);
    let now = pair.now();
    pair.clients[ALICE].send(now, other, &Text::new("two")).unwrap();
    for who in [ALICE, BOB, ALICE] {
        while let Some(output) = pair.clients[who].poll_output() {
            match output {
                Output::Datagram { bytes, .. } => pair.arrive(1 - who, &bytes),
                Output::Event(event) => pair.events[who].push(event),
                Output::Line(_) => {}
            }
        }
    }
    pair.arrive(BOB, &first[0]);
    pair.take(BOB);
    assert_eq!(
        pair.shown(BOB),
        ["one", "two"],
        "no number is reused, and nothing is shown again"
    );
}

#[test]
fn held_messages_are_shown_when_their_sender_leaves() {
    let mut pair = Pair::new();
    pair.say(ALICE, "lost");
    pair.take(ALICE);
    for text in ["one", "two"] {
        pair.say(ALICE, text);
        let datagram = pair.take_datagrams(ALICE).remove(0);
        pair.arrive(BOB, &datagram);
    }
    pair.take(BOB);
    assert_eq!(pair.shown(BOB), [] as [&str; 0]);
    pair.leaves(BOB);
    assert_eq!(pair.take(BOB), []);
    assert_eq!(pair.shown(BOB), ["one", "two"]);
    assert_eq!(pair.clients[BOB].footprint(), 0);
}

#[test]
fn a_text_that_lost_its_beginning_is_not_delivered() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, &"x".repeat(3000));
    let pieces = pair.take_datagrams(ALICE);
    pair.arrive(BOB, &pieces[0]);
    pair.leaves(BOB);
    let alice = profile(ALICE, &pair.clients[ALICE]);
    pair.announced(BOB, &alice);
    for piece in &pieces[1..] {
        pair.arrive(BOB, piece);
    }
    pair.settle();
    assert_eq!(pair.shown(BOB), [] as [&str; 0]);
    assert_eq!(
        pair.states(ALICE),
        [(message, State::NotDelivered(Why::Overtaken))]
    );
    pair.say(ALICE, "and on");
    pair.settle();
    assert_eq!(pair.shown(BOB), ["and on"]);
}

#[test]
fn a_key_that_changes_while_connected_is_refused() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, "hello");
    pair.take(ALICE);
    let other = profile(BOB, &client(3, Options::default()));
    pair.announced(ALICE, &other);
    let expected = [
        Event::Warning(KeyWarning::KeyChanged(id(BOB))),
        Event::State(message, State::NotDelivered(Why::KeyChanged)),
    ];
    assert_eq!(pair.events(ALICE), expected);
    assert_eq!(pair.refusal(ALICE, id(BOB)), Refusal::BadKey);
    pair.say(BOB, "it is me");
    for datagram in pair.take_datagrams(BOB) {
        pair.arrive(ALICE, &datagram);
    }
    assert_eq!(pair.events(ALICE), []);
}

#[test]
fn a_user_with_anothers_key_gets_no_messages() {
    let mut pair = Pair::new();
    let mut mallory = profile(BOB, &pair.clients[BOB]);
    mallory.who = "10.0.0.66:666".parse::<UserId>().unwrap().into();
    pair.announced(ALICE, &mallory);
    let warning = Event::Warning(KeyWarning::KeyTaken(mallory.who.id, id(BOB)));
    assert_eq!(pair.events(ALICE), [warning]);
    assert_eq!(pair.refusal(ALICE, mallory.who.id), Refusal::KeyTaken);
    pair.say(BOB, "hello");
    pair.settle();
    assert!(matches!(&pair.events[ALICE][..], [Event::Received(Received { from, .. })] if *from == id(BOB)));
}

#[test]
fn a_conversation_continues_without_the_server() {
    let mut pair = Pair::new();
    let now = pair.now();
    for client in &mut pair.clients {
        client.connection_lost(now);
    }
    pair.say(ALICE, "still here?");
    assert!(
        pair.take(ALICE)
            .iter()
            .all(|sent| matches!(sent, Sent::Datagram(..)))
    );
    pair.say(BOB, "still here");
    pair.settle();
    assert_eq!(pair.shown(ALICE), ["still here"]);
    pair.live(ms(1000));
    assert_eq!(pair.shown(BOB), ["still here?"]);
}

#[test]
fn unconfirmed_messages_are_relayed_after_a_reconnection() {
    let mut pair = Pair::new();
    let now = pair.now();
    pair.clients[ALICE].connection_lost(now);
    pair.say(ALICE, "hello");
    pair.pass(ms(5000));
    assert!(pair.take_relayed(ALICE).is_empty());
    let now = pair.now();
    pair.clients[ALICE].connected(now, connection(ALICE));
    let relayed = pair.take_relayed(ALICE);
    assert_eq!(relayed.len(), 1);
    pair.arrive_relayed(BOB, &relayed[0]);
    pair.take(BOB);
    assert_eq!(pair.shown(BOB), ["hello"]);
}

#[test]
fn users_not_announced_after_a_reconnection_have_left() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, "hello");
    pair.take(ALICE);
    let now = pair.now();
    pair.clients[ALICE].connection_lost(now);
    pair.clients[ALICE].connected(now, connection(ALICE));
    assert!(pair.states(ALICE).is_empty());
    pair.clients[ALICE].roster_complete(now);
    pair.take(ALICE);
    assert_eq!(pair.states(ALICE), [(message, State::NotDelivered(Why::Left))]);
}

#[test]
fn invalid_messages_are_refused_at_once() {
    let mut pair = Pair::new();
    let now = pair.now();
    let mut refusal = |to, text: &str| pair.clients[ALICE].send(now, to, &Text::new(text)).unwrap_err();
    assert_eq!(refusal(id(ALICE), "hi"), Refusal::Yourself);
    assert_eq!(refusal("10.0.0.7:1".parse().unwrap(), "hi"), Refusal::NotHere);
    assert_eq!(refusal(id(BOB), &"x".repeat(TEXT_MAX + 1)), Refusal::TooLong);
    assert_eq!(pair.events(ALICE), []);
}

#[test]
fn every_message_has_its_own_number() {
    let mut pair = Pair::new();
    let nc = Profile {
        who: "10.0.0.7:50000".parse::<UserId>().unwrap().into(),
        udp: None,
        key: None,
    };
    pair.announced(ALICE, &nc);
    let now = pair.now();
    let to = [id(BOB), nc.who.id, nc.who.id, id(BOB)];
    let numbers = to.map(|to| pair.clients[ALICE].send(now, to, &Text::new("hi")).unwrap().0);
    let first = MessageId::FIRST.0;
    assert_eq!(numbers, [first, first + 1, first + 2, first + 3]);
    assert_eq!(first, 1 << 52, "above the numbers of SAY");
    #[expect(clippy::cast_precision_loss, reason = "the test shows that nothing is lost")]
    let told_apart = numbers.map(|number| number as f64);
    assert!(
        told_apart.is_sorted_by(|a, b| a < b),
        "also as floating-point numbers"
    );
}

#[test]
fn the_number_of_conversations_is_limited() {
    let mut pair = Pair::strangers(Options::default());
    pair.clients[ALICE].peers = PEERS_MAX;
    assert_eq!(pair.refusal(ALICE, id(BOB)), Refusal::Full);
    pair.clients[ALICE].peers = PEERS_MAX - 1;
    pair.say(ALICE, "the last");
    pair.say(ALICE, "to the same user");
    assert_eq!(pair.clients[ALICE].peers, PEERS_MAX);
}

/// A user with a key that has joined at Alice.
fn stranger(pair: &mut Pair, n: u8) -> (Private, UserId) {
    let stranger = client(n, Options::default());
    let id = UserId::from(SocketAddr::from(([10, 0, 1, n], 50_000)));
    let key = Some(stranger.public_key().into());
    let who = id.into();
    pair.announced(ALICE, &Profile { who, udp: None, key });
    (stranger, id)
}

#[test]
fn a_stranger_that_only_punched_leaves_nothing_behind() {
    let mut pair = Pair::strangers(Options::default());
    let now = pair.now();
    for n in 10..20 {
        let (stranger, id) = stranger(&mut pair, n);
        pair.clients[ALICE].punch(now, id, SocketAddr::from(([10, 0, 1, n], 50_001)));
        assert!(
            pair.clients[ALICE].contacts[&stranger.public_key()]
                .peer
                .is_some()
        );
        pair.clients[ALICE].peer_left(now, id);
        assert_eq!(pair.clients[ALICE].slots.len(), 0);
        assert_eq!(
            (pair.clients[ALICE].peers, pair.clients[ALICE].contacts.len()),
            (0, 1)
        );
    }
    assert_eq!(pair.clients[ALICE].deadline(), None);
}

#[test]
fn strangers_can_not_use_up_the_conversations() {
    let mut pair = Pair::strangers(Options::default());
    let now = pair.now();
    // Two strangers are here and only punch. A third says something and leaves.
    let mut keys = Vec::new();
    for n in [10, 11] {
        let (stranger, id) = stranger(&mut pair, n);
        pair.now += ms(1);
        let now = pair.now();
        pair.clients[ALICE].punch(now, id, SocketAddr::from(([10, 0, 1, n], 50_001)));
        keys.push(stranger.public_key());
    }
    let (mut third, id) = stranger(&mut pair, 12);
    third.connected(now, connection(BOB));
    third.peer_here(now, &profile(ALICE, &pair.clients[ALICE]));
    third.send(now, super::id(ALICE), &Text::new("spam")).unwrap();
    for _ in 0..3 {
        while let Some(output) = third.poll_output() {
            if let Output::Datagram { bytes, .. } = output {
                pair.arrive(ALICE, &bytes);
            }
        }
        for answer in pair.take_datagrams(ALICE) {
            third.datagram(now, udp(ALICE), &answer);
        }
    }
    assert_eq!(pair.shown(ALICE), ["spam"]);
    pair.clients[ALICE].peer_left(now, id);
    keys.push(third.public_key());
    let has_peer = |pair: &Pair, key| {
        let contact = pair.clients[ALICE].contacts.get(key);
        contact.is_some_and(|contact| contact.peer.is_some())
    };
    for (n, text) in [(20, "one"), (21, "two"), (22, "three")] {
        pair.clients[ALICE].peers = PEERS_MAX;
        let (_, id) = stranger(&mut pair, n);
        let now = pair.now();
        assert!(pair.clients[ALICE].send(now, id, &Text::new(text)).is_ok());
        let left: Vec<bool> = keys.iter().map(|key| has_peer(&pair, key)).collect();
        let replaced = usize::from(n) - 19;
        assert_eq!(left, [replaced < 1, replaced < 2, replaced < 3]);
    }
    // Conversations in which this client wrote are kept.
    assert_eq!(pair.refusal(ALICE, super::id(BOB)), Refusal::Full);
}

/// The limits on peers and users count on it.
#[test]
fn an_absent_peer_takes_little_memory() {
    assert!(size_of::<Peer>() + size_of::<Contact>() < 1200);
}

#[test]
fn both_sides_show_the_same_verify_code() {
    let pair = Pair::new();
    let code = pair.clients[ALICE].verify_code(id(BOB)).unwrap();
    assert_eq!(pair.clients[BOB].verify_code(id(ALICE)), Some(code));
    assert_eq!(pair.clients[ALICE].verify_code(id(ALICE)), None);
}

#[test]
fn what_needs_a_key_waits_for_the_answer() {
    let mut pair = Pair::strangers(Options::default());
    let stranger = client(10, Options::default());
    let id = UserId::from(SocketAddr::from(([10, 0, 1, 10], 50_000)));
    let told = |key: Key| Profile {
        who: id.into(),
        udp: None,
        key: Some(key),
    };
    let key = Key::Whole(stranger.public_key());
    pair.announced(ALICE, &told(Key::Short(key.short())));
    assert_eq!(pair.take(ALICE), [], "nothing is asked without a reason");
    let now = pair.now();
    for _ in 0..2 {
        pair.clients[ALICE].punch(now, id, SocketAddr::from(([10, 0, 1, 10], 50_001)));
    }
    assert_eq!(pair.take(ALICE), [Sent::Other(FromClient::Whois(id))]);
    assert_eq!(pair.refusal(ALICE, id), Refusal::Unasked);
    pair.announced(ALICE, &told(key));
    let contact = &pair.clients[ALICE].contacts[&stranger.public_key()];
    assert!(contact.peer.is_some(), "the router is opened now");
}
