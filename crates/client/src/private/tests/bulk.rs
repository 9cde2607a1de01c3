//! Pieces of files beside the conversation.

use super::*;
use crate::files::message::{FileId, FileMessage, Reason};
use crate::files::piece::Piece;
use crate::files::request::Handle;
use std::collections::VecDeque;

const FILE: FileId = FileId(7);

/// A pair with a validated path.
fn pair() -> Pair {
    let mut pair = Pair::new();
    pair.clients
        .iter_mut()
        .for_each(|client| client.set_receive_room(1 << 30));
    for who in [ALICE, BOB] {
        pair.say(who, "hello");
        pair.settle();
    }
    pair.events = [Vec::new(), Vec::new()];
    assert!(pair.clients[ALICE].has_direct_path(pair.now(), id(BOB)));
    pair
}

fn piece(offset: u64, length: usize) -> Piece {
    Piece {
        id: FILE,
        offset,
        length,
        handle: Handle(7),
    }
}

impl Pair {
    fn room(&mut self, who: usize) -> usize {
        let now = self.now();
        self.clients[who].bulk_room(now, id(1 - who))
    }

    fn piece(&mut self, who: usize, offset: u64) -> bool {
        let now = self.now();
        let bytes = [u8::try_from(offset % 251).unwrap(); 1000];
        self.clients[who].send_bulk(now, id(1 - who), piece(offset, bytes.len()), &bytes)
    }

    /// Sends what there is room for. Returns how many pieces.
    fn pieces(&mut self, who: usize) -> u64 {
        let room = self.room(who);
        let sent = (0..room).filter(|&offset| self.piece(who, offset.try_into().unwrap()));
        sent.count().try_into().unwrap()
    }

    fn consume(&mut self, who: usize, bytes: usize) {
        let now = self.now();
        self.clients[who].consumed(now, id(1 - who), bytes);
    }

    /// The offsets of the pieces that arrived, that are acknowledged, and that are lost.
    fn offsets(&mut self, who: usize) -> [Vec<u64>; 3] {
        let mut offsets = [Vec::new(), Vec::new(), Vec::new()];
        for event in std::mem::take(&mut self.events[who]) {
            match event {
                Event::Bulk { offset, .. } => offsets[0].push(offset),
                Event::BulkAcked { piece, .. } => offsets[1].push(piece.offset),
                Event::BulkLost { piece, .. } => offsets[2].push(piece.offset),
                _ => {}
            }
        }
        offsets
    }
}

#[test]
fn a_piece_arrives_and_is_acknowledged() {
    let mut pair = pair();
    assert!(pair.room(ALICE) > 0);
    assert!(pair.piece(ALICE, 5));
    let sent = pair.take(ALICE);
    let [Sent::Datagram(to, None, bytes)] = &sent[..] else {
        panic!("{sent:?}");
    };
    assert_eq!(*to, udp(BOB));
    assert!(!bytes.windows(8).any(|part| part == [5; 8]), "in the clear");
    pair.arrive(BOB, bytes);
    assert!(pair.take(BOB).is_empty(), "the ack is held back");
    let event = pair.events[BOB].pop();
    let (from, bytes) = (id(ALICE), vec![5; 1000]);
    assert_eq!(
        event,
        Some(Event::Bulk {
            from,
            id: FILE,
            offset: 5,
            bytes
        })
    );
    pair.pass(ms(5));
    pair.settle();
    let (to, piece) = (id(BOB), piece(5, 1000));
    assert_eq!(pair.events[ALICE], [Event::BulkAcked { to, piece }]);
}

#[test]
fn a_piece_without_bytes_or_with_too_many_is_refused() {
    let mut pair = pair();
    let now = pair.now();
    for length in [0, BULK_MAX + 1] {
        assert!(!pair.clients[ALICE].send_bulk(now, id(BOB), piece(0, length), &vec![0; length]));
    }
    assert!(pair.clients[ALICE].send_bulk(now, id(BOB), piece(0, BULK_MAX), &[0; BULK_MAX]));
    assert_eq!(pair.take_datagrams(ALICE)[0].len(), DATAGRAM_MAX);
}

#[test]
fn pieces_never_go_to_an_address_that_was_not_validated() {
    let mut pair = Pair::with_options(Options {
        direct_only: true,
        ..Options::default()
    });
    assert_eq!(pair.room(ALICE), 0);
    assert!(!pair.piece(ALICE, 0));
    let mut pair = Pair::new();
    let now = pair.now();
    assert_eq!(pair.clients[ALICE].bulk_path(now, id(BOB)), Some(Path::Relayed));
    assert!(pair.piece(ALICE, 0));
    let sent = pair.take(ALICE);
    assert!(sent.iter().any(|sent| matches!(sent, Sent::Relay(_))), "{sent:?}");
    assert!(
        !sent.iter().any(|sent| matches!(sent, Sent::Datagram(..))),
        "{sent:?}"
    );
    assert_eq!(pair.room(ALICE), 0, "the relay is slow");
}

#[test]
fn messages_and_acks_overtake_pieces_of_the_same_turn() {
    let mut pair = pair();
    let from_bob = {
        pair.say(BOB, "hi");
        pair.take_datagrams(BOB)
    };
    assert!(pair.pieces(ALICE) > 2);
    pair.say(ALICE, "text");
    pair.arrive(ALICE, &from_bob[0]);
    let lengths: Vec<usize> = pair.take_datagrams(ALICE).iter().map(Vec::len).collect();
    assert!(lengths[..2].iter().all(|&length| length < 200), "{lengths:?}");
    assert!(lengths[2..].iter().all(|&length| length > 1000), "{lengths:?}");
}

#[test]
fn messages_about_files_come_in_order_with_texts() {
    let mut pair = pair();
    let now = pair.now();
    let message = FileMessage::Decline(FILE, Reason::DiskFull);
    pair.say(ALICE, "one");
    let sent = pair.clients[ALICE].send_file_message(now, id(BOB), &message);
    pair.say(ALICE, "two");
    pair.settle();
    let told: Vec<String> = std::mem::take(&mut pair.events[BOB])
        .into_iter()
        .map(|event| match event {
            Event::Received(received) => received.text.as_str().to_owned(),
            Event::File { from, message, path } => format!("{from} {message:?} {path:?}"),
            other => panic!("{other:?}"),
        })
        .collect();
    let file = format!("{} {message:?} Direct", id(ALICE));
    assert_eq!(told, ["one", &file, "two"]);
    let states = pair.states(ALICE);
    let delivered = |(_, state): &(MessageId, State)| matches!(state, State::Delivered { .. });
    assert!(states.iter().all(delivered), "{states:?}");
    assert!(states.iter().any(|(id, _)| Ok(*id) == sent));
    let refused = pair.clients[ALICE].send_file_message(now, id(ALICE), &message);
    assert_eq!(refused, Err(Refusal::Yourself));
}

#[test]
fn a_receiver_that_does_not_consume_stops_its_sender() {
    let mut pair = pair();
    for client in &mut pair.clients {
        client.set_receive_room(0);
    }
    let mut sent = 0;
    let live = |pair: &mut Pair, sent: &mut u64| {
        for _ in 0..500 {
            *sent += pair.pieces(ALICE);
            pair.settle();
            pair.pass(ms(1));
        }
    };
    live(&mut pair, &mut sent);
    assert!((50..=65).contains(&sent), "{sent} pieces of 1000 bytes in 64 KiB");
    assert_eq!(pair.offsets(BOB)[0].len(), usize::try_from(sent).unwrap());
    pair.consume(BOB, 40_000);
    let before = sent;
    live(&mut pair, &mut sent);
    assert!((38..=42).contains(&(sent - before)), "{before}, then {sent}");
    // All acks that give credit are lost.
    pair.consume(BOB, 60_000);
    assert!(!pair.take(BOB).is_empty());
    let before = sent;
    for _ in 0..12 {
        live(&mut pair, &mut sent);
    }
    assert!(sent > before + 40, "the sender asks for credit");
}

#[test]
fn without_a_receiver_all_pieces_are_lost_and_nothing_spins() {
    let mut pair = pair();
    let sent = pair.pieces(ALICE);
    let mut turns = 0;
    while pair.clients[ALICE].contacts[&pair.clients[BOB].public_key()]
        .peer
        .as_ref()
        .unwrap()
        .has_bulk()
    {
        let next = pair.clients[ALICE].deadline().unwrap();
        assert!(next > pair.now, "due at once");
        pair.now = next;
        let now = pair.now();
        pair.clients[ALICE].timeout(now);
        pair.take(ALICE);
        turns += 1;
    }
    assert!(turns < 100);
    let [_, acked, lost] = pair.offsets(ALICE);
    assert_eq!((acked.len(), lost.len()), (0, usize::try_from(sent).unwrap()));
}

#[test]
fn the_pace_wakes_its_caller_a_thousand_times_a_second_at_most() {
    let mut pair = pair();
    let end = pair.now + ms(2000);
    let mut turns = 0;
    while pair.now < end {
        pair.pieces(ALICE);
        pair.settle();
        let [arrived, ..] = pair.offsets(BOB);
        pair.consume(BOB, arrived.len() * 1000);
        let next = pair.clients.iter().filter_map(Private::deadline).min().unwrap();
        assert!(next > pair.now, "due at once");
        pair.now = next;
        let now = pair.now();
        pair.clients.iter_mut().for_each(|client| client.timeout(now));
        turns += 1;
    }
    assert!(turns < 2500, "{turns} in 2 s");
}

#[test]
fn a_peer_that_leaves_or_runs_anew_loses_what_was_in_flight() {
    let mut pair = pair();
    let sent = usize::try_from(pair.pieces(ALICE)).unwrap();
    let now = pair.now();
    pair.clients[ALICE].peer_left(now, id(BOB));
    pair.take(ALICE);
    assert_eq!(pair.offsets(ALICE)[2].len(), sent);
    assert_eq!(pair.room(ALICE), 0);

    let mut pair = self::pair();
    let sent = usize::try_from(pair.pieces(ALICE)).unwrap();
    pair.take(ALICE);
    // Bob runs anew, with the same key and address.
    let now = pair.now();
    pair.clients[BOB] = Private::new(
        KeyPair::from_secret([2; 32]),
        Options::default(),
        random_bytes(99),
    );
    pair.clients[BOB].connected(now, connection(BOB));
    let alice = profile(ALICE, &pair.clients[ALICE]);
    pair.clients[BOB].peer_here(now, &alice);
    pair.clients[BOB].roster_complete(now);
    pair.say(BOB, "again");
    pair.live(ms(1000));
    assert_eq!(pair.shown(ALICE), ["again"]);
    let [_, acked, lost] = pair.offsets(ALICE);
    assert_eq!((acked.len(), lost.len()), (0, sent));
    pair.pieces(ALICE);
    pair.live(ms(1000));
    assert!(!pair.offsets(BOB)[0].is_empty(), "the channel begins anew");
    assert!(!pair.offsets(ALICE)[1].is_empty());
}

#[test]
fn a_peer_that_moves_loses_what_was_in_flight() {
    let mut pair = pair();
    let sent = usize::try_from(pair.pieces(ALICE)).unwrap();
    pair.take(ALICE);
    let other: SocketAddr = "10.0.0.6:40000".parse().unwrap();
    // Later, so that the old address is silent after the new one is probed.
    pair.now += ms(50);
    pair.say(BOB, "moved");
    for _ in 0..100 {
        for bytes in pair.take_datagrams(BOB) {
            pair.arrive_from(ALICE, other, &bytes);
        }
        for sent in pair.take(ALICE) {
            if let Sent::Datagram(to, None, bytes) = sent
                && to == other
            {
                pair.arrive(BOB, &bytes);
            }
        }
        pair.pass(ms(10));
    }
    let [_, acked, lost] = pair.offsets(ALICE);
    assert_eq!((acked.len(), lost.len()), (0, sent));
    assert!(pair.piece(ALICE, 0));
    let sent = pair.take(ALICE);
    assert!(
        sent.iter()
            .any(|sent| matches!(sent, Sent::Datagram(to, _, _) if *to == other)),
        "{sent:?}"
    );
}

/// Long before the path's validation ends by itself. A peer that is only busy for a second is not given up.
#[test]
fn pieces_are_relayed_when_the_direct_path_is_silent() {
    let mut pair = pair();
    let begun = pair.now;
    while pair.clients[ALICE].has_direct_path(pair.now(), id(BOB)) {
        pair.pieces(ALICE);
        pair.take(ALICE);
        pair.pass(ms(10));
    }
    let took = pair.now - begun;
    assert!((ms(1500)..ms(20_000)).contains(&took), "{took:?}");
    pair.pieces(ALICE);
    assert!(pair.take(ALICE).iter().any(|sent| matches!(sent, Sent::Relay(_))));
}

/// The caller has a file that is too large for the relay: nothing is in flight.
#[test]
fn a_direct_path_is_looked_for_while_the_caller_asks_for_one() {
    let mut pair = pair();
    let mut punched = Vec::new();
    // The conversation asked lately.
    pair.say(ALICE, "hello?");
    pair.take(ALICE);
    let begun = pair.now;
    while pair.now < begun + ms(180_000) {
        let now = pair.now();
        if pair.clients[ALICE].bulk_path(now, id(BOB)) == Some(Path::Direct) {
            pair.pieces(ALICE);
        }
        let punches = pair.take(ALICE).into_iter().filter(|sent| *sent == Sent::Punch);
        punched.extend(punches.map(|_| (pair.now - begun).as_secs()));
        pair.pass(ms(500));
    }
    let [first, second, ..] = punched[..] else {
        panic!("{punched:?}");
    };
    assert!(first < 20 && (60..66).contains(&(second - first)), "{punched:?}");
    // Nobody asks any more.
    pair.pass(ms(10_000));
    pair.take(ALICE);
    pair.pass(ms(120_000));
    assert!(!pair.take(ALICE).contains(&Sent::Punch));
}

/// Keys are renewed while pieces are under way in both directions.
#[test]
fn pieces_go_on_while_keys_are_renewed() {
    let mut pair = pair();
    let mut sent = [0; 2];
    let mut indices = BTreeSet::new();
    for turn in 0..200 * 300 {
        for who in [ALICE, BOB] {
            if turn % 5 == 0 {
                sent[who] += u64::from(pair.room(who) > 0 && pair.piece(who, turn));
            }
            for datagram in pair.take_datagrams(who) {
                indices.extend(index_of(&datagram));
                pair.arrive(1 - who, &datagram);
            }
            let arrived = pair.events[who]
                .iter()
                .filter(|event| matches!(event, Event::Bulk { .. }));
            let arrived = arrived.count();
            pair.consume(who, arrived * 1000);
            let [_, _, lost] = pair.offsets(who);
            assert!(lost.is_empty(), "at {:?}", pair.now);
        }
        pair.pass(ms(5));
    }
    assert!(indices.len() >= 6, "keys were renewed: {indices:?}");
    assert!(sent.iter().all(|&sent| sent > 10_000), "{sent:?}");
}

/// A link with one rate and one queue, from Alice to Bob. Bob's datagrams only take time.
struct Link {
    pair: Pair,
    free: Duration,
    forward: VecDeque<(Duration, Vec<u8>)>,
    back: VecDeque<(Duration, Vec<u8>)>,
}

impl Link {
    /// Bytes a second: 20 Mbit/s.
    const RATE: f64 = 2.5e6;
    const DELAY: Duration = Duration::from_millis(10);
    const QUEUE: Duration = Duration::from_millis(500);

    fn carry(&mut self) {
        for bytes in self.pair.take_datagrams(ALICE) {
            let now = self.pair.now;
            if self.free.saturating_sub(now) > Self::QUEUE {
                continue;
            }
            let size = u32::try_from(bytes.len()).unwrap();
            self.free = self.free.max(now) + Duration::from_secs_f64(f64::from(size) / Self::RATE);
            self.forward.push_back((self.free + Self::DELAY, bytes));
        }
        for bytes in self.pair.take_datagrams(BOB) {
            self.back.push_back((self.pair.now + Self::DELAY, bytes));
        }
    }

    fn arrive(&mut self) {
        let now = self.pair.now;
        while let Some((_, bytes)) = self.forward.pop_front_due(now) {
            self.pair.arrive(BOB, &bytes);
        }
        while let Some((_, bytes)) = self.back.pop_front_due(now) {
            self.pair.arrive(ALICE, &bytes);
        }
    }

    /// Sends a text every 50 ms. Returns how long each took to be shown, sorted, and the bytes of files that arrived.
    fn run(with_bulk: bool, time: Duration) -> (Vec<Duration>, usize) {
        let pair = pair();
        let end = pair.now + time;
        let mut next_text = pair.now;
        let mut link = Self {
            free: pair.now,
            pair,
            forward: VecDeque::new(),
            back: VecDeque::new(),
        };
        let (mut sent, mut took, mut bytes) = (VecDeque::new(), Vec::new(), 0);
        while link.pair.now < end {
            link.arrive();
            let now = link.pair.now();
            link.pair
                .clients
                .iter_mut()
                .for_each(|client| client.timeout(now));
            if next_text <= link.pair.now {
                link.pair.say(ALICE, "text");
                sent.push_back(link.pair.now);
                next_text += ms(50);
            }
            link.carry();
            let shown = link.pair.shown(BOB);
            took.extend(shown.iter().map(|_| link.pair.now - sent.pop_front().unwrap()));
            let [arrived, ..] = link.pair.offsets(BOB);
            bytes += arrived.len() * 1000;
            link.pair.consume(BOB, arrived.len() * 1000);
            if with_bulk {
                link.pair.pieces(ALICE);
            }
            link.pair.offsets(ALICE);
            link.carry();
            let deadlines = link.pair.clients.iter().filter_map(Private::deadline);
            let arrivals = [link.forward.front(), link.back.front()].into_iter().flatten();
            let next = deadlines.chain(arrivals.map(|(at, _)| *at)).min();
            link.pair.now = next.unwrap().min(next_text).max(link.pair.now);
        }
        took.sort();
        (took, bytes)
    }
}

/// The talk comes first: with the link full, a text takes hardly longer.
#[test]
fn texts_stay_fast_beside_a_file_on_a_slow_link_with_a_long_queue() {
    let time = Duration::from_secs(20);
    let (alone, _) = Link::run(false, time);
    let (beside, bytes) = Link::run(true, time);
    let p99 = |took: &[Duration]| took[took.len() * 99 / 100];
    let rate = bytes as f64 / time.as_secs_f64() / 1e6;
    let (alone, longest, beside) = (p99(&alone), beside[beside.len() - 1], p99(&beside));
    println!(
        "p99 of texts: {alone:?} alone, {beside:?} beside a file at {rate:.2} MB/s ({longest:?} at most)"
    );
    assert!(beside < alone + ms(50));
    assert!(rate > 2.0);
}

trait Due {
    fn pop_front_due(&mut self, now: Duration) -> Option<(Duration, Vec<u8>)>;
}

impl Due for VecDeque<(Duration, Vec<u8>)> {
    fn pop_front_due(&mut self, now: Duration) -> Option<(Duration, Vec<u8>)> {
        let is_due = self.front().is_some_and(|(at, _)| *at <= now);
        is_due.then(|| self.pop_front()).flatten()
    }
}

impl Pair {
    /// Whether bob's client takes files, as far as alice knows.
    fn takes_files(&mut self) -> bool {
        let now = self.now();
        self.clients[ALICE].takes_files(now, id(BOB))
    }
}

#[test]
fn a_peer_is_asked_whether_it_takes_files_until_it_leaves() {
    let mut pair = pair();
    assert!(!pair.takes_files());
    pair.settle();
    assert!(pair.takes_files());
    assert_eq!(pair.events, [[], []], "the question is no piece");
    let now = pair.now();
    pair.clients[ALICE].peer_left(now, id(BOB));
    assert!(!pair.takes_files());
}

#[test]
fn a_client_that_does_not_answer_is_asked_a_few_times() {
    let mut pair = pair();
    let mut asked = 0;
    for _ in 0..100 {
        assert!(!pair.takes_files());
        asked += pair.take_datagrams(ALICE).len();
        pair.pass(ms(100));
    }
    assert!((3..=20).contains(&asked), "{asked} datagrams in 10 seconds");
}
