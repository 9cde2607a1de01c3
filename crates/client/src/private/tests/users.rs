//! A conversation belongs to a key; ids come and go.

use super::*;

impl Pair {
    fn leaves(&mut self, at: usize) {
        let now = self.now();
        self.clients[at].peer_left(now, id(1 - at));
    }

    fn comes(&mut self, at: usize, profile: &Profile) {
        let now = self.now();
        self.clients[at].peer_here(now, profile);
    }

    fn refusal(&mut self, from: usize, to: UserId) -> Refusal {
        let now = self.now();
        self.clients[from].send(now, to, &Text::new("hi")).unwrap_err()
    }
}

#[test]
fn what_waits_for_somebody_who_left_never_reaches_who_comes_next() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, "for Bob alone");
    let on_its_way = pair.take(ALICE);
    pair.leaves(ALICE);
    pair.take(ALICE);
    assert_eq!(pair.states(ALICE), [(message, State::NotDelivered(Why::Left))]);
    // Somebody else, on the same address and port.
    pair.clients[BOB] = client(3, Options::default());
    let (now, alice) = (pair.now(), profile(ALICE, &pair.clients[ALICE]));
    pair.clients[BOB].connected(now, connection(BOB));
    pair.comes(BOB, &alice);
    let newcomer = profile(BOB, &pair.clients[BOB]);
    pair.comes(ALICE, &newcomer);
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
fn who_comes_back_with_the_same_key_goes_on_where_it_was() {
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
    pair.comes(ALICE, &bob);
    let alice = profile(ALICE, &pair.clients[ALICE]);
    pair.comes(BOB, &alice);
    assert_eq!(pair.refusal(ALICE, id(BOB)), Refusal::NotHere);
    let now = pair.now();
    pair.clients[ALICE].send(now, other, &Text::new("two")).unwrap();
    while let Some(output) = pair.clients[ALICE].poll_output() {
        if let Output::Datagram { bytes, .. } = output {
            pair.arrive(BOB, &bytes);
        }
    }
    pair.arrive(BOB, &first[0]);
    pair.take(BOB);
    assert_eq!(
        pair.shown(BOB),
        ["one", "two"],
        "no number is used again, and nothing shown again"
    );
}

#[test]
fn what_was_held_back_is_shown_when_its_sender_leaves() {
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
fn a_text_whose_beginning_was_dropped_when_its_sender_seemed_to_leave_is_not_delivered() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, &"x".repeat(3000));
    let pieces = pair.take_datagrams(ALICE);
    pair.arrive(BOB, &pieces[0]);
    pair.leaves(BOB);
    let alice = profile(ALICE, &pair.clients[ALICE]);
    pair.comes(BOB, &alice);
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
fn a_key_that_changes_while_its_user_is_here_is_refused_with_a_warning() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, "hello");
    pair.take(ALICE);
    let other = profile(BOB, &client(3, Options::default()));
    pair.comes(ALICE, &other);
    let expected = [
        Event::Warning(Warning::KeyChanged(id(BOB))),
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
fn who_announces_the_key_of_another_gets_nothing() {
    let mut pair = Pair::new();
    let mut mallory = profile(BOB, &pair.clients[BOB]);
    mallory.who = "10.0.0.66:666".parse::<UserId>().unwrap().into();
    pair.comes(ALICE, &mallory);
    let warning = Event::Warning(Warning::KeyTaken(mallory.who.id, id(BOB)));
    assert_eq!(pair.events(ALICE), [warning]);
    assert_eq!(pair.refusal(ALICE, mallory.who.id), Refusal::KeyTaken);
    pair.say(BOB, "hello");
    pair.settle();
    assert!(matches!(&pair.events[ALICE][..], [Event::Received(Received { from, .. })] if *from == id(BOB)));
}

#[test]
fn without_the_server_a_conversation_goes_on() {
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
fn what_waits_goes_through_the_server_as_soon_as_there_is_one_again() {
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
fn after_a_reconnection_those_who_are_not_named_have_left() {
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
fn what_cannot_be_sent_is_refused_at_once() {
    let mut pair = Pair::new();
    let now = pair.now();
    let mut refusal = |to, text: &str| pair.clients[ALICE].send(now, to, &Text::new(text)).unwrap_err();
    assert_eq!(refusal(id(ALICE), "hi"), Refusal::Yourself);
    assert_eq!(refusal("10.0.0.7:1".parse().unwrap(), "hi"), Refusal::NotHere);
    assert_eq!(refusal(id(BOB), "  "), Refusal::Blank);
    assert_eq!(refusal(id(BOB), &"x".repeat(TEXT_MAX + 1)), Refusal::TooLong);
    assert_eq!(pair.events(ALICE), []);
}

#[test]
fn every_message_has_a_number_of_its_own_however_it_goes() {
    let mut pair = Pair::new();
    let nc = Profile {
        who: "10.0.0.7:50000".parse::<UserId>().unwrap().into(),
        udp: None,
        key: None,
    };
    pair.comes(ALICE, &nc);
    let now = pair.now();
    let to = [id(BOB), nc.who.id, nc.who.id, id(BOB)];
    let numbers = to.map(|to| pair.clients[ALICE].send(now, to, &Text::new("hi")).unwrap().0);
    let first = MessageId::FIRST.0;
    assert_eq!(numbers, [first, first + 1, first + 2, first + 3]);
    assert_eq!(first, 1 << 52, "beyond all that a client counts its SAYs by");
    #[expect(
        clippy::cast_precision_loss,
        reason = "that none is lost is what this is about"
    )]
    let told_apart = numbers.map(|number| number as f64);
    assert!(
        told_apart.is_sorted_by(|a, b| a < b),
        "by programs that know no other numbers too"
    );
}

#[test]
fn conversations_are_counted_and_there_are_so_many_at_most() {
    let mut pair = Pair::new();
    pair.clients[ALICE].peers = PEERS_MAX;
    assert_eq!(pair.refusal(ALICE, id(BOB)), Refusal::Full);
    pair.clients[ALICE].peers = PEERS_MAX - 1;
    pair.say(ALICE, "the last");
    pair.say(ALICE, "who is written to already");
    assert_eq!(pair.clients[ALICE].peers, PEERS_MAX);
}

/// What the limits on peers and users are reckoned with.
#[test]
fn somebody_who_is_away_takes_little_memory() {
    assert!(size_of::<Peer>() + size_of::<Contact>() < 1200);
}

#[test]
fn both_see_the_same_code() {
    let pair = Pair::new();
    let code = pair.clients[ALICE].verify_code(id(BOB)).unwrap();
    assert_eq!(pair.clients[BOB].verify_code(id(ALICE)), Some(code));
    assert_eq!(pair.clients[ALICE].verify_code(id(ALICE)), None);
}
