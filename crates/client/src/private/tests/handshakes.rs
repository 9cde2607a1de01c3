//! Keys are fresh: they come of handshakes, are renewed, and are erased.

use super::*;
use chat_noise::private::ANSWER_LEN;

fn strangers() -> Pair {
    Pair::strangers(Options::default())
}

fn is_beginning(bytes: &[u8]) -> bool {
    bytes.starts_with(&[MARK, BEGIN])
}

impl Pair {
    /// The first beginning among what a client sends.
    fn take_beginning(&mut self, who: usize) -> Vec<u8> {
        let mut sent = self.take_datagrams(who).into_iter();
        sent.rfind(|bytes| is_beginning(bytes)).unwrap()
    }

    /// A client starts anew, with the same key and at the same address, unnoticed by the other one.
    fn restart(&mut self, who: usize) {
        self.now += ms(1);
        let now = self.now();
        let seed = u8::try_from(who).unwrap() + 1;
        self.clients[who] = Private::new(
            KeyPair::from_secret([seed; 32]),
            Options::default(),
            random_bytes(seed + 100),
        );
        self.clients[who].connected(now, connection(who));
        let other = profile(1 - who, &self.clients[1 - who]);
        self.clients[who].peer_here(now, &other);
        self.clients[who].roster_complete(now);
    }

    /// Everything arrives. Returns who began a handshake.
    fn settle_and_watch(&mut self) -> [bool; 2] {
        let mut began = [false, false];
        for who in [ALICE, BOB, ALICE, BOB, ALICE, BOB] {
            for bytes in self.take_datagrams(who) {
                began[who] |= is_beginning(&bytes);
                self.arrive(1 - who, &bytes);
            }
        }
        began
    }

    fn can_seal(&mut self, who: usize) -> bool {
        let now = self.now;
        self.sessions(who).can_seal(now)
    }
}

#[test]
fn a_text_is_sent_only_after_the_answer() {
    let mut pair = strangers();
    pair.say(ALICE, &"secret ".repeat(100));
    let sent = pair.take(ALICE);
    assert!(
        matches!(&sent[..], [Sent::Datagram(to, None, bytes), Sent::Punch]
            if *to == udp(BOB) && bytes.len() == BEGIN_LEN && is_beginning(bytes)),
        "{sent:?}"
    );
    pair.pass(ms(5000));
    for sent in pair.take(ALICE) {
        match sent {
            Sent::Datagram(_, _, bytes) | Sent::Relay(bytes) => assert_eq!(bytes.len(), BEGIN_LEN),
            other => panic!("{other:?}"),
        }
    }
    let mut pair = strangers();
    pair.say(ALICE, "hello");
    pair.settle();
    assert_eq!(pair.shown(BOB), ["hello"]);
    pair.say(BOB, "hi");
    assert!(!is_beginning(&pair.take_datagrams(BOB)[0]), "Bob has keys too");
}

#[test]
fn a_beginning_is_repeated_after_250_ms_and_more() {
    let mut pair = strangers();
    let now = pair.now();
    pair.clients[ALICE].turn_to(now, id(BOB));
    let first = pair.take_beginning(ALICE);
    let mut times = Vec::new();
    for step in 1..700 {
        pair.pass(ms(10));
        for bytes in pair.take_datagrams(ALICE) {
            assert_eq!(bytes, first);
            times.push(step * 10);
        }
    }
    assert_eq!(times, [250, 750, 1750, 3750]);
    // With a text that waits, another one follows.
    pair.say(ALICE, "hello");
    let second = pair.take_beginning(ALICE);
    assert_ne!(second, first);
    pair.pass(ms(6000));
    assert_ne!(pair.take_beginning(ALICE), second);
}

#[test]
fn a_lost_answer_is_repeated() {
    let mut pair = strangers();
    pair.say(ALICE, "hello");
    let beginning = pair.take_beginning(ALICE);
    pair.arrive(BOB, &beginning);
    let answer = pair.take_datagrams(BOB).remove(0);
    assert_eq!(answer.len(), ANSWER_LEN);
    pair.arrive(BOB, &beginning);
    assert_eq!(pair.take_datagrams(BOB), std::slice::from_ref(&answer));
    pair.arrive(ALICE, &answer);
    pair.settle();
    assert_eq!(pair.shown(BOB), ["hello"]);
}

#[test]
fn a_user_that_is_turned_to_gets_the_first_text_at_once() {
    let mut pair = strangers();
    let now = pair.now();
    pair.clients[ALICE].turn_to(now, id(BOB));
    pair.settle();
    pair.say(ALICE, "hello");
    let datagram = pair.take_datagrams(ALICE).remove(0);
    pair.arrive(BOB, &datagram);
    pair.take(BOB);
    assert_eq!(pair.shown(BOB), ["hello"]);
}

#[test]
fn a_replayed_beginning_has_no_effect() {
    let mut pair = strangers();
    pair.say(ALICE, "hello");
    let beginning = pair.take_beginning(ALICE);
    pair.arrive(BOB, &beginning);
    pair.settle();
    assert_eq!(pair.shown(BOB), ["hello"]);
    pair.arrive(BOB, &beginning);
    assert_eq!(pair.take(BOB), []);
    pair.arrive_relayed(BOB, &beginning);
    assert_eq!(pair.take(BOB), []);
    pair.say(BOB, "hi");
    pair.settle();
    assert_eq!(pair.shown(ALICE), ["hi"]);
}

#[test]
fn after_a_restart_a_replayed_beginning_is_not_believed() {
    let mut pair = strangers();
    pair.say(ALICE, "hello");
    let beginning = pair.take_beginning(ALICE);
    pair.arrive(BOB, &beginning);
    pair.settle();
    pair.restart(BOB);
    // Bob can't know that it is old. He answers, and sends nothing under these keys.
    pair.arrive(BOB, &beginning);
    assert_eq!(pair.take_datagrams(BOB)[0].len(), ANSWER_LEN);
    assert!(!pair.can_seal(BOB));
    pair.say(BOB, "hi");
    assert!(pair.take_datagrams(BOB).iter().all(|bytes| is_beginning(bytes)));
    pair.live(ms(3000));
    assert_eq!(pair.shown(ALICE), ["hi"]);
}

#[test]
fn another_run_counts_once_a_datagram_has_opened() {
    let mut pair = Pair::new();
    let waiting = pair.say(BOB, "in flight");
    pair.take(BOB);
    pair.restart(ALICE);
    pair.say(ALICE, "from the new run");
    let beginning = pair.take_beginning(ALICE);
    pair.arrive(BOB, &beginning);
    let answer = pair.take_datagrams(BOB).remove(0);
    assert_eq!(pair.states(BOB), [], "the beginning alone may be a replay");
    pair.arrive(ALICE, &answer);
    pair.settle();
    assert_eq!(pair.shown(BOB), ["from the new run"], "its numbers begin anew");
    assert_eq!(pair.states(BOB), [(waiting, State::NotDelivered(Why::Left))]);
    pair.say(BOB, "to the new run");
    pair.settle();
    assert_eq!(pair.shown(ALICE), ["to the new run"]);
}

#[test]
fn a_run_after_the_clock_was_set_back_is_not_ignored() {
    let mut pair = Pair::new();
    pair.pass(ms(200_000));
    let began = pair.clients[ALICE].handshake_time();
    pair.restart(ALICE);
    pair.clients[ALICE].begin_after(began);
    let clock = Now {
        unix_ms: 5,
        ..pair.now()
    };
    pair.clients[ALICE]
        .send(clock, id(BOB), &Text::new("from the new run"))
        .unwrap();
    assert!(
        pair.clients[ALICE].handshake_time() > began,
        "so the next run can know"
    );
    pair.settle();
    assert_eq!(pair.shown(BOB), ["from the new run"]);
}

#[test]
fn of_two_beginnings_that_of_the_smaller_key_stands() {
    let mut pair = strangers();
    let is_smaller =
        |pair: &Pair, who: usize| pair.clients[who].public_key() < pair.clients[1 - who].public_key();
    let small = usize::from(!is_smaller(&pair, ALICE));
    for who in [ALICE, BOB] {
        pair.say(who, "hello");
    }
    let beginnings = [ALICE, BOB].map(|who| pair.take_beginning(who));
    for who in [ALICE, BOB] {
        pair.arrive(who, &beginnings[1 - who]);
    }
    let again = pair.take_datagrams(small);
    assert_eq!(
        again,
        [beginnings[small].clone()],
        "its side answers with its own"
    );
    let answer = pair.take_datagrams(1 - small);
    assert_eq!(answer[0].len(), ANSWER_LEN);
    pair.arrive(small, &answer[0]);
    pair.settle();
    for who in [ALICE, BOB] {
        assert_eq!(pair.shown(who), ["hello"]);
    }
}

#[test]
fn who_began_renews_after_two_minutes_of_use() {
    for from in [ALICE, BOB] {
        let mut pair = Pair::new();
        pair.pass(ms(119_999));
        pair.say(from, "not yet");
        assert_eq!(pair.settle_and_watch(), [false, false]);
        pair.pass(ms(1));
        pair.say(from, "now");
        assert_eq!(pair.settle_and_watch(), [true, false], "Alice began");
        pair.pass(ms(100_000));
        assert!(pair.can_seal(ALICE) && pair.can_seal(BOB), "with new keys");
    }
    // Without use there is no renewal.
    let mut pair = Pair::new();
    pair.pass(ms(200_000));
    assert_eq!(pair.settle_and_watch(), [false, false]);
}

#[test]
fn keys_are_erased_after_three_minutes() {
    let mut pair = Pair::new();
    pair.pass(ms(179_999));
    let late = pair.seal_packet_as_alice(&Packet {
        number: 0,
        cumulative: 0,
        selective: 0,
        body: packet::Body::Ping(7),
    });
    assert!(pair.can_seal(ALICE) && pair.can_seal(BOB));
    pair.pass(ms(1));
    assert!(!pair.can_seal(ALICE) && !pair.can_seal(BOB));
    pair.arrive(BOB, &late);
    assert_eq!(pair.take(BOB), [], "it does not open any more");
    for who in [ALICE, BOB] {
        assert!(pair.sessions(who).is_empty(), "nothing is left");
    }
    // So are those of a user that left.
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    pair.settle();
    let now = pair.now();
    pair.clients[BOB].peer_left(now, id(ALICE));
    pair.pass(ms(180_000));
    assert!(pair.sessions(BOB).is_empty());
}

/// A computer that was suspended has not erased them in time.
#[test]
fn keys_of_three_minutes_are_not_used_though_they_are_there() {
    let mut pair = Pair::new();
    let now = pair.now;
    let late = pair.sessions(ALICE).seal(now, b"", false).unwrap();
    let index = index_of(&late).unwrap();
    let now = now + ms(180_000);
    assert!(pair.sessions(ALICE).seal(now, b"", false).is_none());
    assert!(pair.sessions(BOB).open(now, index, &late).is_none());
    assert!(!pair.sessions(ALICE).is_empty());
}

#[test]
fn numbers_go_on_after_a_renewal() {
    let mut pair = Pair::new();
    let mut said = Vec::new();
    for n in 0..40 {
        let text = format!("message {n}");
        pair.say(ALICE, &text);
        said.push(text);
        pair.live(ms(1000));
        pair.pass(ms(19_000));
    }
    assert_eq!(pair.shown(BOB), said);
    let states = pair.states(ALICE);
    assert!(
        states
            .iter()
            .all(|(_, state)| matches!(state, State::Delivered { .. }))
    );
    assert_eq!(states.len(), said.len());
}

#[test]
fn each_session_has_its_own_window() {
    let mut pair = Pair::new();
    let seal = |pair: &mut Pair, token| {
        pair.seal_packet_as_alice(&Packet {
            number: token,
            cumulative: 0,
            selective: 0,
            body: packet::Body::Ping(token),
        })
    };
    let early = seal(&mut pair, 1);
    for token in 2..50 {
        let ping = seal(&mut pair, token);
        pair.arrive(BOB, &ping);
        pair.take(BOB);
    }
    pair.now += ms(1);
    pair.acquaint();
    // The counters begin again, and datagrams of the earlier session still arrive.
    let fresh = seal(&mut pair, 50);
    assert_eq!(fresh[6..14], 1u64.to_be_bytes());
    for ping in [&fresh, &early] {
        pair.arrive(BOB, ping);
        assert_eq!(pair.take_datagrams(BOB).len(), 1);
        pair.ignores(BOB, udp(ALICE), ping);
    }
}

#[test]
fn a_relayed_beginning_counts_under_its_own_name_only() {
    let mut pair = strangers();
    pair.say(ALICE, "hello");
    let beginning = pair.take_beginning(ALICE);
    let now = pair.now();
    let mallory = Profile {
        who: "10.0.0.66:666".parse::<UserId>().unwrap().into(),
        udp: None,
        key: Some(client(3, Options::default()).public_key().into()),
    };
    pair.clients[BOB].peer_here(now, &mallory);
    pair.clients[BOB].relayed(now, &mallory.who, &beginning);
    assert_eq!(pair.take(BOB), []);
    pair.arrive_relayed(BOB, &beginning);
    assert!(matches!(&pair.take(BOB)[..], [Sent::Relay(answer)] if answer.len() == ANSWER_LEN));
}

#[test]
fn a_relayed_text_has_the_name_of_its_key() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    let datagram = pair.take_datagrams(ALICE).remove(0);
    let now = pair.now();
    let mallory: UserId = "10.0.0.66:666".parse().unwrap();
    pair.clients[BOB].relayed(now, &mallory.into(), &datagram);
    pair.take(BOB);
    assert!(matches!(&pair.events[BOB][..], [Event::Received(Received { from, .. })] if *from == id(ALICE)));
}

#[test]
fn a_beginning_of_a_key_outside_the_roster_is_ignored() {
    let mut pair = strangers();
    let mut mallory = client(3, Options::default());
    let now = pair.now();
    mallory.connected(now, connection(ALICE));
    mallory.peer_here(now, &profile(BOB, &pair.clients[BOB]));
    mallory.send(now, id(BOB), &Text::new("I am nobody")).unwrap();
    while let Some(output) = mallory.poll_output() {
        if let Output::Datagram { bytes, .. } = output {
            pair.ignores(BOB, udp(ALICE), &bytes);
            pair.arrive_relayed(BOB, &bytes);
            assert_eq!(pair.take(BOB), []);
        }
    }
}

#[test]
fn a_flood_of_beginnings_by_one_way_leaves_the_other_open() {
    let mut pair = strangers();
    pair.say(ALICE, "hello");
    let beginning = pair.take_beginning(ALICE);
    let mut forged = beginning.clone();
    forged[60] ^= 1;
    for _ in 0..20 {
        pair.arrive(BOB, &forged);
    }
    pair.arrive(BOB, &beginning);
    assert_eq!(pair.take(BOB), []);
    pair.arrive_relayed(BOB, &beginning);
    assert_eq!(pair.take(BOB).len(), 1);
    pair.pass(ms(1000));
    pair.take(ALICE);
    pair.arrive(BOB, &beginning);
    assert_eq!(pair.take(BOB).len(), 1);
    let mut relayed = 0;
    for _ in 0..30 {
        pair.arrive_relayed(BOB, &beginning);
        relayed += pair.take(BOB).len();
    }
    assert_eq!(relayed, 20);
}

#[test]
fn a_peer_that_lost_its_keys_gets_new_ones() {
    let mut pair = Pair::new();
    pair.restart(BOB);
    pair.say(ALICE, "lost with the run of before");
    pair.live(ms(8000));
    assert!(pair.can_seal(BOB));
    pair.shown(BOB);
    pair.say(ALICE, "hello");
    pair.settle();
    assert_eq!(pair.shown(BOB), ["hello"]);
}

#[test]
fn a_peer_that_came_back_gets_no_text_under_its_former_keys() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    pair.settle();
    let now = pair.now();
    pair.clients[ALICE].peer_left(now, id(BOB));
    let bob = profile(BOB, &pair.clients[BOB]);
    pair.clients[ALICE].peer_here(now, &bob);
    pair.say(ALICE, "are you still the same run?");
    assert!(pair.take_datagrams(ALICE).iter().all(|bytes| is_beginning(bytes)));
    // A datagram shows that it has them.
    pair.say(BOB, "yes");
    pair.settle();
    assert_eq!(pair.shown(BOB).last().unwrap(), "are you still the same run?");
}
