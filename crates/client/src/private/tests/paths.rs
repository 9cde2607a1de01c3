//! Which path a message takes, and how paths are validated.

use super::*;

/// Bytes in a ping or pong.
const PING: usize = 63;

fn pings(sent: &[Sent]) -> Vec<SocketAddr> {
    let pings = sent.iter().filter_map(|sent| match sent {
        // Without keys, the beginning of a handshake stands for a ping.
        Sent::Datagram(to, None, bytes) if bytes.len() == PING || bytes[1] == BEGIN => Some(*to),
        _ => None,
    });
    pings.collect()
}

fn is_relayed(sent: &[Sent]) -> bool {
    sent.iter().any(|sent| matches!(sent, Sent::Relay(_)))
}

fn elsewhere() -> SocketAddr {
    "10.0.0.77:7777".parse().unwrap()
}

impl Pair {
    /// Both have received an answer from the other.
    fn validated() -> Self {
        let mut pair = Self::new();
        for who in [ALICE, BOB] {
            pair.say(who, "hello");
            pair.settle();
        }
        pair.events = [Vec::new(), Vec::new()];
        pair
    }

    /// Relayed bytes arrive, but datagrams don't.
    fn live_without_udp(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            for who in [ALICE, BOB] {
                for bytes in self.take_relayed(who) {
                    self.arrive_relayed(1 - who, &bytes);
                }
            }
            self.pass(ms(5));
        }
    }
}

#[test]
fn an_unvalidated_path_gets_400_ms_before_the_relay() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    let sent = pair.take(ALICE);
    assert!(
        matches!(&sent[..], [Sent::Datagram(to, None, _), Sent::Punch] if *to == udp(BOB)),
        "{sent:?}"
    );
    pair.pass(ms(399));
    assert!(!is_relayed(&pair.take(ALICE)));
    pair.pass(ms(1));
    let relayed = pair.take_relayed(ALICE);
    assert_eq!(relayed.len(), 1);
    pair.arrive_relayed(BOB, &relayed[0]);
    pair.settle();
    assert_eq!(pair.shown(BOB), ["hello"]);
    let states = pair.states(ALICE);
    assert!(
        matches!(
            states[..],
            [(
                _,
                State::Delivered {
                    path: Path::Relayed,
                    ..
                }
            )]
        ),
        "{states:?}"
    );
}

#[test]
fn the_relay_waits_as_long_as_answers_take() {
    let mut pair = Pair::validated();
    pair.say(ALICE, "hello");
    let sent = pair.take(ALICE);
    assert!(matches!(&sent[..], [Sent::Datagram(..)]), "no punching: {sent:?}");
    pair.pass(ms(99));
    assert!(!is_relayed(&pair.take(ALICE)));
    pair.pass(ms(1));
    assert!(is_relayed(&pair.take(ALICE)));
    // Answers after 120 ms, more or less: 1.5 * (120 + 4 * 40).
    let mut pair = Pair::validated();
    for _ in 0..40 {
        pair.say(ALICE, "hello");
        pair.pass(ms(60));
        for bytes in pair.take_datagrams(ALICE) {
            pair.arrive(BOB, &bytes);
        }
        pair.pass(ms(60));
        pair.settle();
    }
    pair.say(ALICE, "hello");
    pair.take(ALICE);
    pair.pass(ms(170));
    assert!(!is_relayed(&pair.take(ALICE)));
    pair.pass(ms(20));
    assert!(is_relayed(&pair.take(ALICE)));
}

#[test]
fn after_one_failure_messages_are_relayed_at_once() {
    for mut pair in [Pair::new(), Pair::validated()] {
        pair.say(ALICE, "first");
        pair.take(ALICE);
        pair.pass(ms(200));
        pair.say(ALICE, "waits with the first");
        assert!(
            pair.clients[ALICE]
                .deadline()
                .is_some_and(|at| at <= pair.now + ms(200))
        );
        pair.live_without_udp(ms(300));
        assert_eq!(pair.shown(BOB), ["first", "waits with the first"]);
        for n in 0..20 {
            pair.say(ALICE, &format!("{n}"));
            let sent = pair.take(ALICE);
            assert!(is_relayed(&sent), "{sent:?}");
            for sent in sent {
                if let Sent::Relay(bytes) = sent {
                    pair.arrive_relayed(BOB, &bytes);
                }
            }
            pair.live_without_udp(ms(300));
        }
        // One direct answer, to a ping or a message, restores the direct path.
        pair.live(ms(61_000));
        pair.say(ALICE, "directly");
        let sent = pair.take(ALICE);
        assert!(matches!(sent[..], [Sent::Datagram(..)]), "{sent:?}");
    }
}

#[test]
fn a_dead_path_is_used_again_once_datagrams_come_from_it() {
    let mut pair = Pair::validated();
    for n in 0..6 {
        pair.say(ALICE, &format!("{n}"));
        pair.live_without_udp(ms(2500));
    }
    pair.say(ALICE, "relayed at once");
    assert!(pair.take_datagrams(ALICE).is_empty(), "the path is dead");
    // Bob's datagrams reach Alice again: she needs no minute to find out that hers reach him.
    pair.say(BOB, "from Bob");
    pair.live(ms(500));
    pair.states(ALICE);
    pair.say(ALICE, "directly");
    let sent = pair.take(ALICE);
    assert!(matches!(sent[..], [Sent::Datagram(..)]), "{sent:?}");
}

#[test]
fn the_90th_percentile_at_a_third_lost_is_below_300_ms() {
    let mut pair = Pair::validated();
    let mut lost = random_bytes(7);
    let mut is_lost = || {
        let mut byte = [0];
        lost(&mut byte);
        byte[0] < 77
    };
    // Datagrams take 20 ms, relayed lines 30 ms.
    let mut under_way: Vec<(Duration, usize, Sent)> = Vec::new();
    let mut after = Vec::new();
    for step in 0..200_000u32 {
        if step % 1000 == 0 {
            pair.say(ALICE, "hello");
        }
        for who in [ALICE, BOB] {
            for sent in pair.take(who) {
                let delay = if is_relayed(std::slice::from_ref(&sent)) {
                    30
                } else {
                    20
                };
                if delay == 30 || !is_lost() {
                    under_way.push((pair.now + ms(delay), 1 - who, sent));
                }
            }
        }
        let now = pair.now;
        for (_, who, sent) in under_way
            .extract_if(.., |(at, ..)| *at <= now)
            .collect::<Vec<_>>()
        {
            match sent {
                Sent::Datagram(_, _, bytes) => pair.arrive(who, &bytes),
                Sent::Relay(bytes) => pair.arrive_relayed(who, &bytes),
                _ => {}
            }
        }
        for (_, state) in pair.states(ALICE) {
            match state {
                State::Delivered { after: time, .. } => after.push(time),
                state => panic!("{state:?}"),
            }
        }
        pair.pass(ms(1));
    }
    after.sort();
    assert!(after.len() >= 199);
    let percentile = after[after.len() * 9 / 10];
    assert!(percentile < ms(300), "{percentile:?}");
}

#[test]
fn a_slow_path_gets_no_longer_than_the_peer_waits() {
    let mut sender = sender::Sender::default();
    let routes = sender::Routes {
        direct: true,
        relay_after: None,
    };
    sender.push(ms(0), MessageId(1), b"hi");
    sender.transmit(ms(0), routes, || 255).unwrap();
    let ack = sender::Ack {
        cumulative: 1,
        selective: 0,
        passed: 1,
        of: Some(0),
        path: Path::Direct,
    };
    sender.acknowledge(ms(540), ack);
    assert_eq!(sender.relay_delay(true), ms(1000), "and not 3 * (540 + 4 * 270)");
}

#[test]
fn a_validation_expires_after_30_seconds() {
    let mut pair = Pair::validated();
    pair.pass(ms(30_001));
    pair.take(ALICE);
    pair.say(ALICE, "hello");
    pair.pass(ms(400));
    assert!(is_relayed(&pair.take(ALICE)));
}

#[test]
fn a_dead_path_is_skipped_and_probed_each_minute() {
    let mut pair = Pair::new();
    for n in 0..6 {
        pair.say(ALICE, &format!("{n}"));
        pair.live_without_udp(ms(2500));
    }
    pair.say(ALICE, "at once");
    let sent = pair.take(ALICE);
    assert!(is_relayed(&sent) && pings(&sent).is_empty(), "{sent:?}");
    for sent in sent {
        if let Sent::Relay(bytes) = sent {
            pair.arrive_relayed(BOB, &bytes);
        }
    }
    pair.live_without_udp(ms(100));
    assert_eq!(pair.shown(BOB).last().unwrap(), "at once");
    let mut asked = 0;
    for _ in 0..60 {
        pair.pass(ms(1000));
        asked += pings(&pair.take(ALICE)).len();
    }
    assert_eq!(asked, 3);
    // The path works again. The next probe finds out.
    pair.live(ms(61_000));
    pair.say(ALICE, "directly");
    pair.live(ms(100));
    let states = pair.states(ALICE);
    assert!(matches!(
        states.last(),
        Some((
            _,
            State::Delivered {
                path: Path::Direct,
                ..
            }
        ))
    ));
}

#[test]
fn a_closed_port_is_skipped_until_it_answers() {
    let mut pair = Pair::validated();
    let now = pair.now();
    pair.clients[ALICE].port_unreachable(now, udp(BOB));
    assert_eq!(pings(&pair.take(ALICE)), [udp(BOB)]);
    pair.say(ALICE, "hello");
    assert!(is_relayed(&pair.take(ALICE)));
    // The report may be forged. A pong disproves it.
    let mut pair = Pair::validated();
    let now = pair.now();
    pair.clients[ALICE].port_unreachable(now, udp(BOB));
    pair.settle();
    pair.say(ALICE, "hello");
    let sent = pair.take(ALICE);
    assert!(matches!(&sent[..], [Sent::Datagram(..)]), "{sent:?}");
}

#[test]
fn direct_only_never_uses_the_relay() {
    let mut pair = Pair::with_options(Options {
        direct_only: true,
        ..Options::default()
    });
    let message = pair.say(ALICE, "hello");
    pair.pass(ms(31_000));
    let sent = pair.take(ALICE);
    assert!(!is_relayed(&sent) && !pings(&sent).is_empty());
    assert_eq!(
        pair.states(ALICE),
        [(message, State::NotDelivered(Why::NoAnswer))]
    );
    // Nor are relayed messages accepted.
    let mut other = Pair::new();
    other.say(ALICE, "hello");
    other.take(ALICE);
    other.pass(ms(400));
    let relayed = other.take_relayed(ALICE);
    other.clients[BOB].options.direct_only = true;
    other.arrive_relayed(BOB, &relayed[0]);
    assert_eq!(other.events(BOB), []);
}

#[test]
fn a_peer_that_moved_is_found_by_its_datagrams() {
    let mut pair = Pair::validated();
    pair.pass(ms(1000));
    pair.say(ALICE, "from elsewhere");
    let datagram = pair.take_datagrams(ALICE).remove(0);
    pair.arrive_from(BOB, elsewhere(), &datagram);
    let sent = pair.take(BOB);
    assert_eq!(
        pings(&sent),
        [udp(ALICE), elsewhere()],
        "both addresses are probed"
    );
    pair.say(BOB, "not yet");
    assert!(
        pair.take(BOB)
            .iter()
            .all(|sent| !matches!(sent, Sent::Datagram(to, ..) if *to == elsewhere()))
    );
    let ping = sent.iter().find_map(|sent| match sent {
        Sent::Datagram(to, _, bytes) if *to == elsewhere() && bytes.len() == PING => Some(bytes.clone()),
        _ => None,
    });
    pair.arrive(ALICE, &ping.unwrap());
    let pong = pair.take_datagrams(ALICE).pop().unwrap();
    pair.arrive_from(BOB, elsewhere(), &pong);
    let sent = pair.take(BOB);
    assert!(
        matches!(&sent[..], [Sent::Datagram(to, ..)] if *to == elsewhere()),
        "queued messages go at once: {sent:?}"
    );
}

#[test]
fn a_peer_that_answers_at_its_address_did_not_move() {
    let mut pair = Pair::validated();
    pair.pass(ms(1000));
    pair.say(ALICE, "copied by an attacker");
    let datagram = pair.take_datagrams(ALICE).remove(0);
    pair.arrive_from(BOB, elsewhere(), &datagram);
    pair.arrive(BOB, &datagram);
    // Both addresses answer, because the attacker forwards the probe.
    for sent in pair.take(BOB) {
        if let Sent::Datagram(to, _, bytes) = sent {
            pair.arrive(ALICE, &bytes);
            for answer in pair.take_datagrams(ALICE) {
                pair.arrive_from(BOB, to, &answer);
            }
        }
    }
    pair.take(BOB);
    pair.say(BOB, "to Alice");
    let sent = pair.take(BOB);
    assert!(
        matches!(&sent[..], [Sent::Datagram(to, ..)] if *to == udp(ALICE)),
        "{sent:?}"
    );
}

#[test]
fn a_path_is_kept_open_for_ten_minutes_after_a_message() {
    let mut pair = Pair::validated();
    let mut kept = Vec::new();
    for second in 0..1200 {
        pair.pass(ms(1000));
        for who in [ALICE, BOB] {
            for sent in pair.take(who) {
                if let Sent::Datagram(_, _, bytes) = sent {
                    kept.push(second);
                    pair.arrive(1 - who, &bytes);
                }
            }
        }
        pair.settle();
    }
    assert!((18..=21).contains(&kept[0]), "{kept:?}");
    assert!(kept.windows(2).all(|pair| pair[1] - pair[0] <= 21));
    assert!((570..=601).contains(kept.last().unwrap()), "{kept:?}");
}

/// Whether a client probes a newly announced address, as it does during a conversation.
fn is_talking(pair: &mut Pair, who: usize, port: u16) -> bool {
    pair.take(who);
    let now = pair.now();
    let address = SocketAddr::new(elsewhere().ip(), port);
    pair.clients[who].peer_address(now, id(1 - who), address);
    let is_probed = pings(&pair.take(who)).contains(&address);
    pair.clients[who].peer_address(now, id(1 - who), udp(1 - who));
    is_probed
}

#[test]
fn a_conversation_ends_ten_minutes_after_its_last_message() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    let datagram = pair.take_datagrams(ALICE).remove(0);
    assert!(!is_talking(&mut pair, BOB, 1), "nothing was shown yet");
    pair.arrive(BOB, &datagram);
    for who in [ALICE, BOB] {
        assert!(is_talking(&mut pair, who, 2));
    }
    pair.pass(ms(599_999));
    for who in [ALICE, BOB] {
        assert!(is_talking(&mut pair, who, 3));
    }
    // A duplicate does not prolong it.
    pair.arrive(BOB, &datagram);
    pair.pass(ms(1));
    for who in [ALICE, BOB] {
        assert!(!is_talking(&mut pair, who, 4));
    }
}

#[test]
fn punching_is_requested_each_minute_without_a_path() {
    let mut pair = Pair::new();
    let mut asked = Vec::new();
    for second in 0..150 {
        if second % 20 == 0 {
            pair.say(ALICE, "hello?");
        }
        let punches = pair.take(ALICE).into_iter().filter(|sent| *sent == Sent::Punch);
        asked.extend(punches.map(|_| second));
        pair.pass(ms(1000));
    }
    assert_eq!(asked, [0, 60, 120]);
    let mut pair = Pair::validated();
    pair.pass(ms(61_000));
    pair.live(ms(3000));
    pair.say(ALICE, "no need to punch");
    assert!(!pair.take(ALICE).contains(&Sent::Punch));
}

#[test]
fn a_late_ping_adds_no_address() {
    let mut pair = Pair::validated();
    let ping = |pair: &mut Pair, number| {
        let packet = Packet {
            number,
            cumulative: 0,
            selective: 0,
            body: packet::Body::Ping(7),
        };
        pair.seal_packet_as_alice(&packet)
    };
    let [late, newest, newer] = [10, 11, 12].map(|number| ping(&mut pair, number));
    pair.arrive(BOB, &newest);
    assert_eq!(pair.take(BOB).len(), 1);
    pair.arrive_from(BOB, elsewhere(), &late);
    assert_eq!(pair.take(BOB), []);
    pair.arrive_from(BOB, elsewhere(), &newer);
    assert!(pings(&pair.take(BOB)).contains(&elsewhere()));
}

#[test]
fn the_ack_of_a_gap_is_relayed_unless_a_path_is_validated() {
    let skip_one = |pair: &mut Pair| {
        pair.say(ALICE, "lost");
        pair.take(ALICE);
        pair.say(ALICE, "held back");
        let datagram = pair.take_datagrams(ALICE).remove(0);
        pair.arrive(BOB, &datagram);
        pair.take(BOB);
        pair.pass(ms(2000));
        pair.take(BOB)
    };
    let mut pair = Pair::validated();
    let sent = skip_one(&mut pair);
    assert!(
        matches!(&sent[..], [Sent::Datagram(to, None, _)] if *to == udp(ALICE)),
        "{sent:?}"
    );
    let sent = skip_one(&mut Pair::new());
    assert!(matches!(&sent[..], [Sent::Relay(_)]), "{sent:?}");
    let sent = skip_one(&mut Pair::with_options(Options {
        direct_only: true,
        ..Options::default()
    }));
    assert_eq!(sent, []);
}

#[test]
fn a_dead_path_carries_messages_only_without_a_relay() {
    let say_to_a_closed_port = |mut pair: Pair| {
        let now = pair.now();
        pair.say(ALICE, "hello");
        pair.clients[ALICE].port_unreachable(now, udp(BOB));
        pair.take(ALICE);
        pair.say(ALICE, "once more");
        pair.take(ALICE)
    };
    let sent = say_to_a_closed_port(Pair::new());
    assert!(matches!(&sent[..], [Sent::Relay(_)]), "{sent:?}");
    let sent = say_to_a_closed_port(Pair::with_options(Options {
        direct_only: true,
        ..Options::default()
    }));
    assert!(
        matches!(&sent[..], [Sent::Datagram(to, None, _)] if *to == udp(BOB)),
        "{sent:?}"
    );
}

#[test]
fn a_newly_announced_address_is_used() {
    let mut pair = Pair::new();
    let now = pair.now();
    pair.clients[ALICE].peer_address(now, id(BOB), elsewhere());
    pair.say(ALICE, "hello");
    assert!(matches!(&pair.take(ALICE)[0], Sent::Datagram(to, ..) if *to == elsewhere()));
}

#[test]
fn behind_a_router_pings_come_before_messages() {
    let mut pair = Pair::new();
    let now = pair.now();
    let mut behind = connection(ALICE);
    behind.local = "192.168.1.5:50000".parse().unwrap();
    behind.addresses = vec!["192.168.1.5:50001".parse().unwrap()];
    pair.clients[ALICE].connected(now, behind);
    let bob = profile(BOB, &pair.clients[BOB]);
    pair.clients[ALICE].peer_here(now, &bob);
    pair.take(ALICE);
    pair.say(ALICE, "hello");
    let sent = pair.take(ALICE);
    assert!(
        matches!(&sent[..], [Sent::Punch, Sent::Datagram(to, Some(2), _)] if *to == udp(BOB)),
        "{sent:?}"
    );
    pair.pass(ms(199));
    assert!(pair.take(ALICE).is_empty());
    pair.pass(ms(1));
    let ping = pair.take_datagrams(ALICE).remove(0);
    assert_eq!(ping.len(), PING);
    pair.arrive(BOB, &ping);
    let pong = pair.take_datagrams(BOB).remove(0);
    pair.arrive(ALICE, &pong);
    pair.settle();
    assert_eq!(pair.shown(BOB), ["hello"]);
    let states = pair.states(ALICE);
    assert!(matches!(
        states[..],
        [(
            _,
            State::Delivered {
                path: Path::Direct,
                ..
            }
        )]
    ));
}

#[test]
fn the_server_starts_punching_for_known_peers_only() {
    let mut pair = Pair::new();
    let now = pair.now();
    let nobody: UserId = "10.0.0.9:9".parse().unwrap();
    pair.clients[BOB].punch(now, nobody, elsewhere());
    assert!(pair.take(BOB).is_empty());
    for _ in 0..3 {
        pair.clients[BOB].punch(now, id(ALICE), udp(ALICE));
    }
    let sent = pair.take(BOB);
    assert!(
        matches!(&sent[..], [Sent::Datagram(to, Some(2), _)] if *to == udp(ALICE)),
        "once: {sent:?}"
    );
    pair.pass(ms(5000));
    assert_eq!(pings(&pair.take(BOB)).len(), 8);
    pair.pass(ms(600_000));
    assert!(pair.take(BOB).is_empty(), "there is no conversation");
}

fn inside(who: usize) -> SocketAddr {
    SocketAddr::from(([192, 168, 1, [5, 6][who]], 50_001))
}

/// As others see a user behind that router.
fn outside(who: usize) -> UserId {
    UserId::from(SocketAddr::from(([198, 51, 100, 1], [1000, 1001][who])))
}

impl Pair {
    /// Alice and Bob are behind one router, and the server asks both to punch. No datagram passes the router.
    fn punch_behind_one_router(&mut self) {
        let (now, nowhere) = (self.now(), SocketAddr::from(([198, 51, 100, 1], 2000)));
        for who in [ALICE, BOB] {
            let behind = Connection {
                own: Some(outside(who)),
                local: SocketAddr::new(inside(who).ip(), 50_000),
                addresses: vec![inside(who)],
                is_rich: true,
            };
            self.clients[who].connected(now, behind);
            let mut other = profile(1 - who, &self.clients[1 - who]);
            (other.who, other.udp) = (outside(1 - who).into(), Some(nowhere));
            self.clients[who].peer_here(now, &other);
            self.clients[who].roster_complete(now);
        }
        for who in [ALICE, BOB] {
            self.clients[who].punch(now, outside(1 - who), nowhere);
        }
    }

    /// The relay carries what one of them has sent. Returns how much that was, and whether the other was pinged inside.
    fn relay_behind_one_router(&mut self, who: usize) -> (usize, bool) {
        let (mut relayed, mut is_pinged) = (0, false);
        let now = self.now();
        while let Some(output) = self.clients[who].poll_output() {
            match output {
                Output::Line(FromClient::Relay(_, bytes)) => {
                    relayed += 1;
                    self.clients[1 - who].relayed(now, &outside(who).into(), &bytes);
                }
                Output::Datagram { to, .. } => is_pinged |= to == inside(1 - who),
                _ => {}
            }
        }
        (relayed, is_pinged)
    }
}

#[test]
fn local_addresses_are_offered_once_there_are_keys() {
    let mut pair = Pair::strangers(Options::default());
    pair.punch_behind_one_router();
    let mut pinged = [false; 2];
    for _ in 0..20 {
        for who in [ALICE, BOB] {
            pinged[who] |= pair.relay_behind_one_router(who).1;
        }
        pair.pass(ms(50));
    }
    assert_eq!(pinged, [true, true]);
}

#[test]
fn only_peers_behind_the_same_router_get_local_addresses() {
    let mut pair = Pair::new();
    pair.punch_behind_one_router();
    assert_eq!(pair.relay_behind_one_router(ALICE), (1, false), "the offer");
    assert_eq!(pair.relay_behind_one_router(BOB), (1, true), "an offer too");
    assert!(pair.relay_behind_one_router(ALICE).1);
    // A peer behind another router gets none.
    let mut pair = Pair::new();
    let now = pair.now();
    pair.clients[ALICE].connected(
        now,
        Connection {
            local: inside(ALICE),
            addresses: vec![inside(ALICE)],
            ..connection(ALICE)
        },
    );
    let bob = profile(BOB, &pair.clients[BOB]);
    pair.clients[ALICE].peer_here(now, &bob);
    pair.clients[ALICE].punch(now, id(BOB), udp(BOB));
    assert!(!is_relayed(&pair.take(ALICE)));
}

const RENDEZVOUS: chat_proto::opaque::Token = Opaque([7; 16]);

/// Alice may ask this server for her address.
fn pair_with_rendezvous() -> (Pair, SocketAddr) {
    let mut pair = Pair::new();
    let server = "10.0.0.1:9000".parse().unwrap();
    let now = pair.now();
    pair.clients[ALICE].rendezvous(now, server, RENDEZVOUS);
    (pair, server)
}

fn rendezvous_reply(request: &[u8]) -> Vec<u8> {
    let request = chat_noise::rendezvous::Request::parse(request).unwrap();
    assert!(request.is_of(&RENDEZVOUS));
    request.reply(&RENDEZVOUS, elsewhere(), Opaque([9; 16]))
}

#[test]
fn the_rendezvous_confirms_this_clients_outside_address() {
    let (mut pair, server) = pair_with_rendezvous();
    let asked = pair.take(ALICE);
    let [Sent::Datagram(to, None, request)] = &asked[..] else {
        panic!("{asked:?}");
    };
    assert_eq!(*to, server);
    pair.pass(ms(500));
    assert_eq!(pair.take_datagrams(ALICE).len(), 1, "there was no reply");
    pair.arrive_from(ALICE, server, &rendezvous_reply(request));
    assert_eq!(pair.take(ALICE), [], "it replies to an earlier request");
    pair.pass(ms(1000));
    let request = pair.take_datagrams(ALICE).remove(0);
    pair.arrive_from(ALICE, server, &rendezvous_reply(&request));
    let confirm = FromClient::Confirm(Opaque([9; 16]));
    assert_eq!(pair.take(ALICE), [Sent::Other(confirm)]);
    pair.pass(ms(20_000));
    assert_eq!(pair.take_datagrams(ALICE).len(), 1);
}

#[test]
fn a_path_that_fails_makes_the_client_ask_for_its_address() {
    let (mut pair, server) = pair_with_rendezvous();
    let request = pair.take_datagrams(ALICE).remove(0);
    pair.arrive_from(ALICE, server, &rendezvous_reply(&request));
    pair.take(ALICE);
    // Bob never answers. Without that, the next question is due after 20 s.
    pair.say(ALICE, "hello");
    let mut asked = 0;
    for _ in 0..50 {
        pair.pass(ms(100));
        let sent = pair.take(ALICE);
        asked += sent
            .iter()
            .filter(|sent| matches!(sent, Sent::Datagram(to, ..) if *to == server))
            .count();
    }
    assert!((1..=3).contains(&asked), "{asked}");
}
