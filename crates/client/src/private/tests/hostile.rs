//! Whoever is not the peer gets nothing shown, no answer, and no memory.

use super::*;
use proptest::prelude::*;

fn stranger() -> SocketAddr {
    "192.0.2.66:666".parse().unwrap()
}

impl Pair {
    /// Nothing comes of a datagram: no event, no answer, no memory, no timer.
    fn ignores(&mut self, who: usize, from: SocketAddr, bytes: &[u8]) {
        let before = (
            self.clients[who].footprint(),
            self.clients[who].deadline(),
            self.clients[who].peers,
        );
        self.arrive_from(who, from, bytes);
        assert!(self.take(who).is_empty(), "an answer to {bytes:02x?}");
        assert!(self.events[who].is_empty(), "{:?}", self.events[who]);
        let after = (
            self.clients[who].footprint(),
            self.clients[who].deadline(),
            self.clients[who].peers,
        );
        assert_eq!(before, after);
    }

    /// A packet, sealed as Alice's client would.
    fn seal_as_alice(&self, number: u64, body: packet::Body) -> Vec<u8> {
        self.seal_packet_as_alice(&Packet {
            number,
            cumulative: 0,
            selective: 0,
            body,
        })
    }

    pub(super) fn seal_packet_as_alice(&self, packet: &Packet) -> Vec<u8> {
        let alice = &self.clients[ALICE].keys;
        let keys = alice.agree(&self.clients[BOB].public_key()).unwrap();
        seal::seal(&keys, [3; 24], &packet.to_bytes())
    }

    /// A message of Alice's that has not arrived.
    fn datagram(&mut self) -> Vec<u8> {
        self.say(ALICE, "hello");
        self.take_datagrams(ALICE).remove(0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_come_to_nothing(bytes in prop::collection::vec(any::<u8>(), 0..1300), kind in 0u8..5) {
        let mut pair = Pair::new();
        let mut marked = vec![MARK, kind];
        marked.extend(&bytes);
        for from in [stranger(), udp(ALICE)] {
            pair.ignores(BOB, from, &bytes);
            pair.ignores(BOB, from, &marked);
        }
    }

    #[test]
    fn a_datagram_with_one_bit_changed_comes_to_nothing(bit in any::<prop::sample::Index>()) {
        let mut pair = Pair::new();
        let mut datagram = pair.datagram();
        let bit = bit.index(datagram.len() * 8);
        datagram[bit / 8] ^= 1 << (bit % 8);
        pair.ignores(BOB, udp(ALICE), &datagram);
        pair.ignores(BOB, stranger(), &datagram);
        pair.clients[BOB].relayed(Now::default(), &id(ALICE).into(), &datagram);
        prop_assert!(pair.take(BOB).is_empty());
    }

    #[test]
    fn a_cut_datagram_comes_to_nothing(cut in any::<prop::sample::Index>()) {
        let mut pair = Pair::new();
        let datagram = pair.datagram();
        let cut = &datagram[..cut.index(datagram.len())];
        pair.ignores(BOB, udp(ALICE), cut);
    }
}

#[test]
fn a_datagram_that_is_reflected_to_its_sender_comes_to_nothing() {
    let mut pair = Pair::new();
    let datagram = pair.datagram();
    pair.ignores(ALICE, udp(BOB), &datagram);
    // With the key id of the other direction, which takes no secret, it does not open either.
    let there = keys::key_id(&pair.clients[BOB].public_key(), &pair.clients[ALICE].public_key());
    let mut relabelled = datagram;
    relabelled[2..10].copy_from_slice(&there);
    pair.ignores(ALICE, udp(BOB), &relabelled);
}

#[test]
fn a_message_for_somebody_else_comes_to_nothing() {
    let mut pair = Pair::new();
    let datagram = pair.datagram();
    let mut eve = client(3, Options::default());
    let now = pair.now();
    eve.connected(now, connection(BOB));
    eve.peer_here(now, &profile(ALICE, &pair.clients[ALICE]));
    eve.datagram(now, udp(ALICE), &datagram);
    assert_eq!(eve.poll_output(), None);
}

#[test]
fn nobody_can_write_under_the_key_of_another() {
    let mut pair = Pair::new();
    let now = pair.now();
    // Eve announces Alice's key as her own, and says what she says under it.
    let mut eve = client(3, Options::default());
    eve.connected(now, connection(ALICE));
    eve.peer_here(now, &profile(BOB, &pair.clients[BOB]));
    eve.send(now, id(BOB), &Text::new("I am Alice")).unwrap();
    while let Some(output) = eve.poll_output() {
        if let Output::Datagram { mut bytes, .. } = output {
            pair.ignores(BOB, udp(ALICE), &bytes);
            let alices = keys::key_id(&pair.clients[ALICE].public_key(), &pair.clients[BOB].public_key());
            bytes[2..10].copy_from_slice(&alices);
            pair.ignores(BOB, udp(ALICE), &bytes);
        }
    }
}

#[test]
fn a_replay_is_not_shown_and_a_stranger_who_replays_is_not_answered() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    let sent = pair.take_datagrams(ALICE);
    pair.arrive(BOB, &sent[0]);
    let answers = pair.take_datagrams(BOB);
    assert_eq!(pair.shown(BOB), ["hello"]);
    pair.ignores(BOB, stranger(), &sent[0]);
    pair.arrive(ALICE, &answers[0]);
    pair.take(ALICE);
    pair.states(ALICE);
    pair.ignores(ALICE, stranger(), &answers[0]);
    pair.ignores(ALICE, udp(BOB), &answers[0]);
    pair.pass(ms(3_600_000));
    pair.take(BOB);
    pair.ignores(BOB, stranger(), &sent[0]);
}

#[test]
fn a_replay_from_long_ago_is_not_even_acknowledged() {
    let mut pair = Pair::new();
    let old = pair.datagram();
    pair.arrive(BOB, &old);
    pair.settle();
    for n in 0..1100 {
        pair.say(ALICE, &format!("message {n}"));
        pair.settle();
    }
    pair.shown(BOB);
    pair.ignores(BOB, udp(ALICE), &old);
}

#[test]
fn who_overtakes_a_datagram_with_a_copy_from_elsewhere_gets_three_times_its_bytes_at_most() {
    let mut pair = Pair::new();
    pair.live(ms(100));
    let datagram = pair.datagram();
    pair.arrive_from(BOB, stranger(), &datagram);
    let mut to_stranger = 0;
    for _ in 0..600 {
        for sent in pair.take(BOB) {
            if let Sent::Datagram(to, _, bytes) = sent
                && to == stranger()
            {
                to_stranger += bytes.len();
            }
        }
        pair.pass(ms(100));
    }
    assert!(
        to_stranger > 0 && to_stranger <= 3 * datagram.len(),
        "{to_stranger} bytes"
    );
    assert_eq!(pair.shown(BOB), ["hello"], "it is Alice's all the same");
    // And Bob's own messages go where Alice is.
    pair.say(BOB, "hi");
    let sent = pair.take(BOB);
    assert!(
        sent.iter()
            .all(|sent| !matches!(sent, Sent::Datagram(to, ..) if *to == stranger()))
    );
}

#[test]
fn a_flood_leaves_no_trace() {
    let mut pair = Pair::new();
    pair.live(ms(10));
    let there = keys::key_id(&pair.clients[ALICE].public_key(), &pair.clients[BOB].public_key());
    let mut random = random_bytes(9);
    for n in 0..2000u16 {
        let mut bytes = vec![0; 100];
        random(&mut bytes);
        bytes[..2].copy_from_slice(&[MARK, 1]);
        bytes[2..10].copy_from_slice(&there);
        pair.ignores(BOB, SocketAddr::from(([192, 0, 2, 1], n)), &bytes);
    }
}

#[test]
fn a_key_with_which_nothing_is_secret_is_not_written_to() {
    let mut alice = client(1, Options::default());
    let now = Now::default();
    alice.connected(now, connection(ALICE));
    let mut bob = profile(BOB, &client(2, Options::default()));
    bob.key = Some(Opaque([0; 32]));
    alice.peer_here(now, &bob);
    assert_eq!(
        alice.send(now, id(BOB), &Text::new("secret")),
        Err(Refusal::BadKey)
    );
    assert_eq!(alice.poll_output(), None);
}

#[test]
fn what_was_on_its_way_from_one_who_left_comes_to_nothing() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    pair.settle();
    pair.shown(BOB);
    let late = pair.datagram();
    let now = pair.now();
    pair.clients[BOB].peer_left(now, id(ALICE));
    assert!(pair.clients[BOB].key_ids.is_empty());
    pair.ignores(BOB, udp(ALICE), &late);
    pair.arrive_relayed(BOB, &late);
    assert_eq!(pair.events(BOB), []);
}

#[test]
fn a_ping_is_answered_once_and_a_replay_of_it_never() {
    let mut pair = Pair::new();
    let ping = pair.seal_as_alice(0, packet::Body::Ping(7));
    pair.arrive(BOB, &ping);
    assert_eq!(pair.take_datagrams(BOB).len(), 1);
    pair.ignores(BOB, udp(ALICE), &ping);
    // A later one makes no difference, nor does one so much later that the window slides past the first.
    for number in [1, 5000] {
        let later = pair.seal_as_alice(number, packet::Body::Ping(7));
        pair.arrive(BOB, &later);
        assert_eq!(pair.take_datagrams(BOB).len(), 1);
        pair.ignores(BOB, udp(ALICE), &later);
        pair.ignores(BOB, udp(ALICE), &ping);
    }
}

#[test]
fn a_peer_has_nobody_pinged_but_hosts_of_its_own_network() {
    let mut pair = Pair::new();
    let mut number = 0;
    let mut pinged = |address: &str| {
        let address = address.parse().unwrap();
        let offer = pair.seal_as_alice(number, packet::Body::Addresses(vec![address]));
        number += 1;
        pair.arrive(BOB, &offer);
        let sent = pair.take(BOB);
        assert!(
            sent.iter()
                .all(|sent| matches!(sent, Sent::Datagram(to, ..) if *to == address)),
            "{sent:?}"
        );
        sent.len()
    };
    for world in [
        "192.0.2.66:666",
        "9.255.255.255:666",
        "11.0.0.1:666",
        "100.63.255.255:666",
        "100.128.0.1:666",
        "172.32.0.1:666",
        "[2001:db8::66]:666",
        "[fec0::1]:666",
        "10.9.9.9:0",
    ] {
        assert_eq!(pinged(world), 0, "{world}");
    }
    for local in [
        "192.168.1.5:50001",
        "172.31.0.1:50001",
        "169.254.7.7:50001",
        "127.0.0.1:50001",
        "100.64.0.1:50001",
        "100.127.255.255:50001",
        "[fd00::5]:50001",
        "[fe80::5]:50001",
        "[::1]:50001",
    ] {
        assert_eq!(pinged(local), 1, "{local}");
    }
}

/// A client of a later version, or a broken one: numbers at the end of their range.
#[test]
fn what_a_genuine_peer_may_say_at_worst_does_no_harm() {
    let end = (1 << 62) - 1;
    let part = packet::Part {
        begins: false,
        ends: true,
        text: b"x",
    };
    let parts = part.to_bytes();
    let data = |floor| packet::Body::Data {
        floor,
        parts: parts.clone(),
    };
    let bodies: [&dyn Fn(u64) -> packet::Body; 6] = [
        &|number| data(number),
        &|_| data(0),
        &|number| packet::Body::Ack {
            of: number,
            passed: number,
        },
        &|number| packet::Body::Ping(number),
        &|number| packet::Body::Pong(number),
        &|_| packet::Body::Addresses(vec![stranger(), "10.9.9.9:0".parse().unwrap()]),
    ];
    for body in bodies {
        // A number counts once, so that each kind needs a Bob of its own.
        let mut pair = Pair::new();
        for number in [0, 1, 2000, end, end + 1, u64::MAX] {
            let datagram = pair.seal_packet_as_alice(&Packet {
                number,
                cumulative: number,
                selective: u64::MAX,
                body: body(number),
            });
            pair.arrive(BOB, &datagram);
            pair.pass(ms(1));
            for sent in pair.take(BOB) {
                assert!(matches!(sent, Sent::Datagram(to, ..) if to == udp(ALICE)));
            }
        }
        pair.pass(ms(60_000));
        assert!(pair.shown(BOB).is_empty());
        assert_eq!(pair.clients[BOB].footprint(), 0);
    }
}
