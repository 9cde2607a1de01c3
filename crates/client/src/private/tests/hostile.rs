//! Datagrams that the peer did not send are not shown, not answered, and take no memory.

use super::*;
use proptest::prelude::*;

fn stranger() -> SocketAddr {
    "192.0.2.66:666".parse().unwrap()
}

impl Pair {
    /// A datagram is ignored: no event, no answer, no memory, no timer.
    pub(super) fn ignores(&mut self, who: usize, from: SocketAddr, bytes: &[u8]) {
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

    /// A packet, encrypted by Alice's keys.
    fn seal_as_alice(&mut self, number: u64, body: packet::Body) -> Vec<u8> {
        self.seal_packet_as_alice(&Packet {
            number,
            cumulative: 0,
            selective: 0,
            body,
        })
    }

    pub(super) fn seal_packet_as_alice(&mut self, packet: &Packet) -> Vec<u8> {
        let now = self.now;
        self.sessions(ALICE).seal(now, &packet.to_bytes(), false).unwrap()
    }

    /// A message from Alice that has not arrived.
    fn datagram(&mut self) -> Vec<u8> {
        self.say(ALICE, "hello");
        self.take_datagrams(ALICE).remove(0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_are_ignored(bytes in prop::collection::vec(any::<u8>(), 0..1300), kind in 0u8..7) {
        let mut pair = Pair::new();
        let mut marked = vec![MARK, kind];
        marked.extend(&bytes);
        for from in [stranger(), udp(ALICE)] {
            pair.ignores(BOB, from, &bytes);
            pair.ignores(BOB, from, &marked);
        }
    }

    #[test]
    fn a_datagram_with_a_changed_bit_is_ignored(bit in any::<prop::sample::Index>()) {
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
    fn a_truncated_datagram_is_ignored(cut in any::<prop::sample::Index>()) {
        let mut pair = Pair::new();
        let datagram = pair.datagram();
        let cut = &datagram[..cut.index(datagram.len())];
        pair.ignores(BOB, udp(ALICE), cut);
    }
}

#[test]
fn a_datagram_reflected_to_its_sender_is_ignored() {
    let mut pair = Pair::new();
    let datagram = pair.datagram();
    pair.ignores(ALICE, udp(BOB), &datagram);
    // The index of the other direction is public. With it, the datagram does not open either.
    let answer = pair.sessions(BOB).seal(ms(1000), b"", false).unwrap();
    let mut relabelled = datagram;
    relabelled[2..6].copy_from_slice(&answer[2..6]);
    pair.ignores(ALICE, udp(BOB), &relabelled);
}

#[test]
fn a_message_for_another_user_is_ignored() {
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
fn a_stolen_public_key_can_not_send() {
    let mut pair = Pair::new();
    let now = pair.now();
    // Eve announces Alice's key as her own, and sends under it.
    let mut eve = client(3, Options::default());
    eve.connected(now, connection(ALICE));
    eve.peer_here(now, &profile(BOB, &pair.clients[BOB]));
    eve.send(now, id(BOB), &Text::new("I am Alice")).unwrap();
    while let Some(output) = eve.poll_output() {
        if let Output::Datagram { bytes, .. } = output {
            pair.ignores(BOB, udp(ALICE), &bytes);
        }
    }
}

#[test]
fn a_replay_is_not_shown_and_not_answered_elsewhere() {
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
fn a_replay_from_before_the_window_is_ignored() {
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
fn a_faster_copy_from_elsewhere_gets_three_times_its_bytes() {
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
    assert_eq!(pair.shown(BOB), ["hello"], "the message is genuine");
    // Bob's own messages still go to Alice.
    pair.say(BOB, "hi");
    let sent = pair.take(BOB);
    assert!(
        sent.iter()
            .all(|sent| !matches!(sent, Sent::Datagram(to, ..) if *to == stranger()))
    );
}

#[test]
fn a_flood_is_ignored() {
    let mut pair = Pair::new();
    pair.live(ms(10));
    let there = pair.sessions(ALICE).seal(ms(1000), b"", false).unwrap();
    let mut random = random_bytes(9);
    for n in 0..2000u16 {
        let mut bytes = vec![0; 100];
        random(&mut bytes);
        bytes[..6].copy_from_slice(&there[..6]);
        pair.ignores(BOB, SocketAddr::from(([192, 0, 2, 1], n)), &bytes);
    }
}

#[test]
fn a_key_of_small_order_gets_no_messages() {
    let mut alice = client(1, Options::default());
    let now = Now::default();
    alice.connected(now, connection(ALICE));
    let mut bob = profile(BOB, &client(2, Options::default()));
    bob.key = Some(Key::Whole(Opaque([0; 32])));
    alice.peer_here(now, &bob);
    assert_eq!(
        alice.send(now, id(BOB), &Text::new("secret")),
        Err(Refusal::BadKey)
    );
    assert_eq!(alice.poll_output(), None);
}

#[test]
fn datagrams_from_a_user_that_left_are_ignored() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    pair.settle();
    pair.shown(BOB);
    let late = pair.datagram();
    let now = pair.now();
    pair.clients[BOB].peer_left(now, id(ALICE));
    pair.ignores(BOB, udp(ALICE), &late);
    pair.arrive_relayed(BOB, &late);
    assert_eq!(pair.events(BOB), []);
}

#[test]
fn a_ping_is_answered_once_and_its_replays_never() {
    let mut pair = Pair::new();
    let ping = pair.seal_as_alice(0, packet::Body::Ping(7));
    pair.arrive(BOB, &ping);
    assert_eq!(pair.take_datagrams(BOB).len(), 1);
    pair.ignores(BOB, udp(ALICE), &ping);
    // Nor is it after a later ping, even one so late that the window slides past the first.
    for number in [1, 5000] {
        let later = pair.seal_as_alice(number, packet::Body::Ping(7));
        pair.arrive(BOB, &later);
        assert_eq!(pair.take_datagrams(BOB).len(), 1);
        pair.ignores(BOB, udp(ALICE), &later);
        pair.ignores(BOB, udp(ALICE), &ping);
    }
}

/// Bob's connection, behind a router with this outside address.
fn behind_router(outside: [u8; 4]) -> Connection {
    Connection {
        own: Some(UserId::from(SocketAddr::from((outside, 40_000)))),
        local: "192.168.1.6:50000".parse().unwrap(),
        addresses: Vec::new(),
        is_rich: true,
    }
}

impl Pair {
    /// Alice offers Bob these addresses. Returns those that Bob pings.
    fn pinged_when_offered(&mut self, number: u64, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let offer = self.seal_as_alice(number, packet::Body::Addresses(addresses.to_vec()));
        self.arrive_relayed(BOB, &offer);
        let sent = self.take(BOB).into_iter();
        let to = sent.filter_map(|sent| match sent {
            Sent::Datagram(to, ..) => Some(to).filter(|to| *to != udp(ALICE)),
            _ => None,
        });
        to.collect()
    }

    fn punch_bob(&mut self) {
        let now = self.now();
        self.clients[BOB].punch(now, id(ALICE), udp(ALICE));
        self.take(BOB);
    }

    /// Bob is behind the same router as Alice.
    fn behind_one_router() -> Self {
        let mut pair = Self::new();
        let now = pair.now();
        pair.clients[BOB].connected(now, behind_router([10, 0, 0, 5]));
        let alice = profile(ALICE, &pair.clients[ALICE]);
        pair.clients[BOB].peer_here(now, &alice);
        pair
    }
}

#[test]
fn only_offered_addresses_in_local_networks_are_pinged() {
    let pinged = |address: &str| {
        let mut pair = Pair::behind_one_router();
        pair.punch_bob();
        pair.pinged_when_offered(0, &[address.parse().unwrap()]).len()
    };
    for other in [
        "192.0.2.66:666",
        "9.255.255.255:666",
        "11.0.0.1:666",
        "100.63.255.255:666",
        "100.128.0.1:666",
        "172.32.0.1:666",
        "[2001:db8::66]:666",
        "[fec0::1]:666",
        "10.9.9.9:0",
        "169.254.169.254:80",
        "127.0.0.1:50001",
        "[fe80::5]:50001",
        "[::1]:50001",
        "0.0.0.0:50001",
    ] {
        assert_eq!(pinged(other), 0, "{other}");
    }
    for local in [
        "192.168.1.5:50001",
        "172.31.0.1:50001",
        "100.64.0.1:50001",
        "100.127.255.255:50001",
        "[fd00::5]:50001",
    ] {
        assert_eq!(pinged(local), 1, "{local}");
    }
}

#[test]
fn only_peers_behind_the_same_router_may_offer_addresses() {
    let inside = ["192.168.1.5:50001".parse().unwrap()];
    let mut pair = Pair::new();
    let now = pair.now();
    pair.punch_bob();
    assert_eq!(
        pair.pinged_when_offered(0, &inside),
        [],
        "Bob is behind no router"
    );
    pair.clients[BOB].connected(now, behind_router([198, 51, 100, 1]));
    let alice = profile(ALICE, &pair.clients[ALICE]);
    pair.clients[BOB].peer_here(now, &alice);
    pair.punch_bob();
    assert_eq!(
        pair.pinged_when_offered(1, &inside),
        [],
        "Bob is behind another router"
    );
    let mut pair = Pair::behind_one_router();
    pair.punch_bob();
    assert_eq!(pair.pinged_when_offered(0, &inside), inside);
}

#[test]
fn a_peer_may_offer_addresses_once_for_each_punch() {
    let address = |n| [SocketAddr::from(([192, 168, 1, n], 50_001))];
    let mut pair = Pair::behind_one_router();
    assert_eq!(pair.pinged_when_offered(0, &address(10)), [], "nobody punched");
    pair.punch_bob();
    assert_eq!(pair.pinged_when_offered(1, &address(11)), address(11));
    assert_eq!(pair.pinged_when_offered(2, &address(12)), []);
    // Punches are not limited here, so offers are: four a minute.
    let mut pinged = 0;
    for n in 3..15 {
        pair.punch_bob();
        pinged += pair.pinged_when_offered(n.into(), &address(10 + n)).len();
    }
    assert_eq!(pinged, 3);
    pair.pass(ms(60_000));
    pair.take(BOB);
    pair.punch_bob();
    assert_eq!(pair.pinged_when_offered(20, &address(50)), address(50));
}

/// A later version of the client, or a broken one, sends numbers at the end of their range.
#[test]
fn extreme_values_from_a_genuine_peer_do_no_harm() {
    let end = (1 << 62) - 1;
    let part = packet::Part {
        begins: false,
        ends: true,
        is_file: false,
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
        // Each kind needs a new pair, because a number counts only once.
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
