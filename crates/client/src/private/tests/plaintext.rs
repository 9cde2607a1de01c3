//! Messages to and from users without a key.

use super::*;

const LAB: usize = BOB;

/// Alice, and a user with the lab's original client.
fn alice(options: Options) -> Pair {
    let mut pair = Pair::with_options(options);
    let now = pair.now();
    pair.clients[ALICE].peer_left(now, id(LAB));
    announce(&mut pair, Some(udp(LAB)));
    pair
}

/// The server says whether datagrams reach the user.
fn announce(pair: &mut Pair, udp: Option<SocketAddr>) {
    let (who, now) = (id(LAB).into(), pair.now());
    pair.clients[ALICE].peer_here(now, &Profile { who, udp, key: None });
}

/// A message that goes through the server, because the port is closed.
fn whisper(pair: &mut Pair) -> MessageId {
    let message = pair.say(ALICE, "hello");
    let now = pair.now();
    pair.clients[ALICE].port_unreachable(now, udp(LAB));
    pair.take(ALICE);
    message
}

fn unencrypted(text: &str, path: Path) -> Event {
    Event::Received(Received {
        from: id(LAB),
        text: Text::new(text).into_owned(),
        path,
        sealed: false,
        after_gap: false,
    })
}

#[test]
fn a_text_goes_unencrypted_to_the_announced_address() {
    let mut pair = alice(Options::default());
    let message = pair.say(ALICE, "hello");
    assert_eq!(
        pair.take(ALICE),
        [Sent::Datagram(udp(LAB), None, b"hello".to_vec())]
    );
    pair.pass(ms(499));
    assert_eq!(pair.events(ALICE), [], "its port may still be reported closed");
    pair.pass(ms(1));
    assert_eq!(
        pair.events(ALICE),
        [Event::State(
            message,
            State::SentUnencrypted { path: Path::Direct }
        )]
    );
    assert_eq!(pair.clients[ALICE].deadline(), None);
}

/// Another program may have the port after that of a user at `nc`.
#[test]
fn a_text_without_an_announced_address_goes_through_the_server() {
    let mut pair = alice(Options::default());
    for (announced, is_datagram) in [(None, false), (Some(udp(LAB)), true), (None, false)] {
        announce(&mut pair, announced);
        let message = pair.say(ALICE, "hello");
        let whisper = FromClient::Whisper(id(LAB), message.0, Text::new("hello"));
        let sent = if is_datagram {
            Sent::Datagram(udp(LAB), None, b"hello".to_vec())
        } else {
            Sent::Other(whisper)
        };
        assert_eq!(pair.take(ALICE), [sent]);
    }
    // Without the server, it goes nowhere.
    let now = pair.now();
    pair.clients[ALICE].connection_lost(now);
    pair.take(ALICE);
    pair.states(ALICE);
    let message = pair.say(ALICE, "hello");
    assert_eq!(pair.take(ALICE), []);
    assert_eq!(
        pair.states(ALICE),
        [(message, State::NotDelivered(Why::Unreachable))]
    );
}

#[test]
fn if_the_port_is_closed_the_server_relays_the_text() {
    let mut pair = alice(Options::default());
    let message = pair.say(ALICE, "hello");
    pair.take(ALICE);
    let now = pair.now();
    pair.clients[ALICE].port_unreachable(now, udp(LAB));
    let whisper =
        |message: MessageId, text| Sent::Other(FromClient::Whisper(id(LAB), message.0, Text::new(text)));
    assert_eq!(pair.take(ALICE), [whisper(message, "hello")]);
    // However late the server answers, the message went no other way.
    pair.pass(ms(2000));
    pair.clients[ALICE].whisper_answered(message, true);
    assert_eq!(
        pair.events(ALICE),
        [Event::State(
            message,
            State::SentUnencrypted { path: Path::Relayed }
        )]
    );
    // The next message is relayed at once. After a minute the port is tried again.
    let next = pair.say(ALICE, "and now?");
    assert_eq!(pair.take(ALICE), [whisper(next, "and now?")]);
    pair.clients[ALICE].whisper_answered(next, false);
    assert_eq!(
        pair.events(ALICE),
        [Event::State(next, State::NotDelivered(Why::Unreachable))]
    );
    pair.pass(ms(58_000));
    pair.say(ALICE, "later");
    assert!(matches!(pair.take(ALICE)[..], [Sent::Datagram(..)]));
}

#[test]
fn a_closed_port_affects_only_messages_to_it() {
    let mut pair = alice(Options::default());
    let mut other = profile(BOB, &pair.clients[BOB]);
    let who = "10.0.0.7:50000".parse::<UserId>().unwrap();
    (other.who, other.udp, other.key) = (who.into(), who.private_address(), None);
    let now = pair.now();
    pair.clients[ALICE].peer_here(now, &other);
    pair.clients[ALICE]
        .send(now, other.who.id, &Text::new("elsewhere"))
        .unwrap();
    let message = pair.say(ALICE, "hello");
    pair.take(ALICE);
    pair.clients[ALICE].port_unreachable(now, udp(LAB));
    let whisper = FromClient::Whisper(id(LAB), message.0, Text::new("hello"));
    assert_eq!(pair.take(ALICE), [Sent::Other(whisper)]);
}

#[test]
fn a_late_report_of_a_closed_port_sends_nothing_twice() {
    let mut pair = alice(Options::default());
    let message = pair.say(ALICE, "hello");
    pair.take(ALICE);
    let until = pair.now().monotonic + ms(500);
    let late = Now {
        monotonic: until,
        ..pair.now()
    };
    pair.clients[ALICE].port_unreachable(late, udp(LAB));
    assert!(pair.take(ALICE).is_empty());
    assert_eq!(
        pair.events(ALICE),
        [Event::State(
            message,
            State::SentUnencrypted { path: Path::Direct }
        )]
    );
}

#[test]
fn an_unanswered_whisper_is_not_delivered() {
    let mut pair = alice(Options::default());
    let [first, second] = [(); 2].map(|()| whisper(&mut pair));
    pair.clients[ALICE].whisper_answered(second, true);
    pair.take(ALICE);
    pair.states(ALICE);
    pair.pass(ms(29_999));
    assert_eq!(pair.states(ALICE), []);
    pair.pass(ms(1));
    pair.take(ALICE);
    assert_eq!(pair.states(ALICE), [(first, State::NotDelivered(Why::NoAnswer))]);
    // A late answer changes nothing.
    pair.clients[ALICE].whisper_answered(first, true);
    pair.take(ALICE);
    assert_eq!(pair.states(ALICE), []);
    assert_eq!(pair.clients[ALICE].deadline(), None);
}

#[test]
fn a_whisper_fails_with_the_connection_to_the_server() {
    let mut pair = alice(Options::default());
    let message = whisper(&mut pair);
    let now = pair.now();
    pair.clients[ALICE].connection_lost(now);
    pair.take(ALICE);
    assert_eq!(
        pair.states(ALICE),
        [(message, State::NotDelivered(Why::ConnectionLost))]
    );
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let mut pair = alice(Options::default());
    let text = "ä€".repeat(700);
    pair.say(ALICE, &text);
    let pieces = pair.take_datagrams(ALICE);
    assert_eq!(pieces.len(), 3);
    assert!(
        pieces
            .iter()
            .all(|piece| piece.len() <= 1200 && std::str::from_utf8(piece).is_ok())
    );
    assert_eq!(pieces.concat(), text.as_bytes());
}

#[test]
fn only_the_port_after_an_id_without_a_key_is_accepted() {
    let mut pair = alice(Options::default());
    pair.arrive_from(ALICE, udp(LAB), b"hi \xFF\r\n");
    assert_eq!(pair.events(ALICE), [unencrypted("hi \u{FFFD}", Path::Direct)]);
    let other_port = SocketAddr::new(udp(LAB).ip(), udp(LAB).port() + 1);
    for from in [
        other_port,
        id(LAB).address(),
        udp(ALICE),
        "10.9.9.9:50001".parse().unwrap(),
    ] {
        pair.arrive_from(ALICE, from, b"forged");
        assert_eq!(pair.events(ALICE), [], "{from}");
    }
    pair.arrive_from(ALICE, udp(LAB), b" \n");
    assert_eq!(pair.events(ALICE), [], "it is blank");
}

#[test]
fn unencrypted_text_from_a_user_with_a_key_is_ignored() {
    let mut pair = Pair::new();
    pair.arrive_from(ALICE, udp(BOB), b"I am Bob");
    assert_eq!(pair.events(ALICE), []);
}

#[test]
fn no_unencrypted_neither_sends_nor_accepts_them() {
    let mut pair = alice(Options {
        no_unencrypted: true,
        ..Options::default()
    });
    let now = pair.now();
    let refused = pair.clients[ALICE].send(now, id(LAB), &Text::new("hi"));
    assert_eq!(refused, Err(Refusal::OnlyUnencrypted));
    pair.arrive_from(ALICE, udp(LAB), b"hi");
    pair.clients[ALICE].whisper(now, &id(LAB).into(), &Text::new("hi"));
    assert_eq!(pair.events(ALICE), []);
}

#[test]
fn direct_only_does_not_whisper() {
    let mut pair = alice(Options {
        direct_only: true,
        ..Options::default()
    });
    let message = pair.say(ALICE, "hello");
    let now = pair.now();
    pair.clients[ALICE].port_unreachable(now, udp(LAB));
    pair.take_datagrams(ALICE);
    let states = pair.states(ALICE);
    assert_eq!(
        states.last(),
        Some(&(message, State::NotDelivered(Why::Unreachable)))
    );
}

#[test]
fn a_relayed_text_is_shown_as_relayed() {
    let mut pair = alice(Options::default());
    let now = pair.now();
    pair.clients[ALICE].whisper(now, &id(LAB).into(), &Text::new("hi"));
    assert_eq!(pair.events(ALICE), [unencrypted("hi", Path::Relayed)]);
}

#[test]
fn on_a_legacy_server_any_id_can_send_and_receive() {
    let mut alice = client(1, Options::default());
    let now = Now::default();
    let legacy = Connection {
        own: None,
        is_rich: false,
        ..connection(ALICE)
    };
    alice.connected(now, legacy);
    alice.roster_complete(now);
    let message = alice.send(now, id(LAB), &Text::new("hello")).unwrap();
    let bytes = b"hello".to_vec();
    assert_eq!(
        alice.poll_output(),
        Some(Output::Datagram {
            to: udp(LAB),
            ttl: None,
            bytes
        })
    );
    alice.datagram(now, udp(LAB), b"hi");
    alice.port_unreachable(now, udp(LAB));
    let outputs: Vec<Output> = std::iter::from_fn(|| alice.poll_output()).collect();
    let expected = [
        unencrypted("hi", Path::Direct),
        Event::State(message, State::NotDelivered(Why::Unreachable)),
    ];
    assert_eq!(outputs, expected.map(Output::Event));
}

#[test]
fn at_most_64_messages_are_pending() {
    let mut pair = alice(Options::default());
    for _ in 0..64 {
        pair.say(ALICE, "hello");
    }
    let now = pair.now();
    assert!(!pair.clients[ALICE].can_send(id(LAB)));
    let refused = pair.clients[ALICE].send(now, id(LAB), &Text::new("hi"));
    assert_eq!(refused, Err(Refusal::Busy));
    pair.clients[ALICE].port_unreachable(now, udp(LAB));
    let whispers = pair
        .take(ALICE)
        .into_iter()
        .filter(|sent| matches!(sent, Sent::Other(_)));
    assert_eq!(whispers.count(), 64, "none is lost");
    pair.pass(ms(500));
}

#[test]
fn pending_messages_count_as_sent_after_500_ms() {
    let mut pair = alice(Options::default());
    for _ in 0..64 {
        pair.say(ALICE, "hello");
    }
    pair.pass(ms(499));
    assert!(!pair.clients[ALICE].can_send(id(LAB)));
    pair.pass(ms(1));
    let now = pair.now();
    assert!(pair.clients[ALICE].can_send(id(LAB)));
    pair.say(ALICE, "hello");
    pair.take(ALICE);
    pair.clients[ALICE].port_unreachable(now, udp(LAB));
    assert_eq!(pair.take(ALICE).len(), 1, "only the last one");
}

#[test]
fn sixty_four_unanswered_whispers_delay_the_next_message() {
    let mut pair = alice(Options::default());
    let first = pair.say(ALICE, "hello");
    let now = pair.now();
    pair.clients[ALICE].port_unreachable(now, udp(LAB));
    for _ in 1..64 {
        assert!(pair.clients[ALICE].can_send(id(LAB)));
        pair.say(ALICE, "hello");
    }
    assert!(!pair.clients[ALICE].can_send(id(LAB)));
    pair.clients[ALICE].whisper_answered(first, true);
    assert!(pair.clients[ALICE].can_send(id(LAB)));
}

#[test]
fn at_most_256_closed_ports_are_remembered() {
    let mut pair = alice(Options::default());
    let now = pair.now();
    let user = |n: u16| UserId::from(SocketAddr::from(([10, 0, 1, 1], 1000 + 2 * n)));
    for n in 0..257 {
        let (who, udp) = (user(n).into(), user(n).private_address());
        pair.clients[ALICE].peer_here(now, &Profile { who, udp, key: None });
        let message = pair.clients[ALICE].send(now, user(n), &Text::new("hi")).unwrap();
        let address = user(n).private_address().unwrap();
        pair.clients[ALICE].port_unreachable(now, address);
        pair.clients[ALICE].whisper_answered(message, true);
    }
    pair.take(ALICE);
    let mut goes_directly = |n| {
        pair.clients[ALICE].send(now, user(n), &Text::new("hi")).unwrap();
        matches!(pair.take(ALICE)[..], [Sent::Datagram(..)])
    };
    assert!(!goes_directly(0) && !goes_directly(255));
    assert!(goes_directly(256));
}

#[test]
fn an_overlong_text_is_cut_between_characters() {
    let mut pair = alice(Options::default());
    for (sent, shown) in [
        ("x".repeat(TEXT_MAX), "x".repeat(TEXT_MAX)),
        ("x".repeat(TEXT_MAX + 1), "x".repeat(TEXT_MAX)),
        ("€".repeat(TEXT_MAX / 3 + 1), "€".repeat(TEXT_MAX / 3)),
    ] {
        pair.arrive_from(ALICE, udp(LAB), sent.as_bytes());
        assert_eq!(pair.events(ALICE), [unencrypted(&shown, Path::Direct)]);
    }
}
