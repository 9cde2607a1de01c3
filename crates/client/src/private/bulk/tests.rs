//! Credit, and which packets are acknowledged.

use super::*;
use crate::files::message::FileId;
use crate::files::request::Handle;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::SocketAddr;

const WINDOW: u64 = 1 << 20;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn direct() -> Source {
    Source::Address(SocketAddr::from(([10, 0, 0, 6], 5000)))
}

fn piece(offset: u64) -> Piece {
    Piece {
        id: FileId(1),
        offset,
        length: 1000,
        handle: Handle(1),
    }
}

fn outgoing() -> Outgoing {
    let mut outgoing = Outgoing::default();
    outgoing.take_way(Some(direct()), &mut Vec::new());
    outgoing
}

/// Sends as much as there is room for. Returns how many pieces.
fn fill(outgoing: &mut Outgoing, now: Duration) -> u64 {
    let mut count = 0;
    while outgoing.room(now, Duration::ZERO) > 0 {
        outgoing.sent(now, piece(count), 1200);
        count += 1;
    }
    count
}

fn ack(number: u64, credit: u32, ranges: &[(u64, u64)]) -> BulkAck {
    BulkAck {
        number,
        credit,
        delay: 0,
        ranges: ranges.to_vec(),
    }
}

fn ranges_of(incoming: &Incoming) -> Vec<(u64, u64)> {
    incoming.ranges.clone()
}

#[test]
fn a_sender_that_used_its_room_is_woken_for_more() {
    let mut outgoing = outgoing();
    fill(&mut outgoing, ms(0));
    outgoing.acknowledged(ms(40), &ack(0, 1 << 20, &[(0, 9)]), &mut Vec::new());
    let room = outgoing.room(ms(40), Duration::ZERO);
    for number in 0..room {
        outgoing.sent(ms(40), piece(length(number)), 1200);
    }
    // A round trip of 40 ms and a window of 20 packets: one every 1.6 ms, long before an ack can arrive. Two went at once,
    // which caught up 2 ms.
    assert_eq!(room, 2);
    assert_eq!(outgoing.deadline(), Some(ms(40) + Duration::from_micros(1200)));
    outgoing.lose(ms(42), &mut Vec::new());
    assert_eq!(outgoing.room(ms(42), Duration::ZERO), 1);
}

#[test]
fn without_a_way_there_is_no_room() {
    let mut outgoing = Outgoing::default();
    assert_eq!(outgoing.room(ms(0), Duration::ZERO), 0);
    assert_eq!(outgoing.deadline(), None);
    outgoing.take_way(Some(direct()), &mut Vec::new());
    assert!(outgoing.room(ms(0), Duration::ZERO) > 0);
}

#[test]
fn the_caller_is_woken_for_the_pace_and_only_if_it_asks() {
    let mut outgoing = outgoing();
    assert_eq!(fill(&mut outgoing, ms(0)), 10, "the first window goes at once");
    assert_eq!(
        outgoing.deadline(),
        outgoing.flow.deadline(),
        "the window is full"
    );
    let mut now = ms(10);
    outgoing.acknowledged(now, &ack(0, 1 << 20, &[(0, 9)]), &mut Vec::new());
    // That leaves 0.4 ms for each packet.
    let window = 20 * DATAGRAM;
    fill(&mut outgoing, now);
    let wake = outgoing.wake.unwrap();
    assert!(wake >= now + WAKE_MIN);
    assert_eq!(outgoing.deadline(), Some(wake));
    outgoing.lose(wake, &mut Vec::new());
    assert!(
        outgoing.deadline() > Some(wake),
        "woken once, though nothing is sent"
    );
    while outgoing.room(now, Duration::ZERO) > 0 || outgoing.wake.is_some() {
        fill(&mut outgoing, now);
        now += WAKE_MIN;
    }
    assert!((ms(14)..ms(20)).contains(&now), "{now:?}");
    assert_eq!(outgoing.flow.in_flight(), window, "the window is full");
}

#[test]
fn credit_limits_what_is_in_flight() {
    let mut outgoing = outgoing();
    outgoing.sent(ms(0), piece(0), 1200);
    let mut done = Vec::new();
    assert!(outgoing.acknowledged(ms(10), &ack(0, 3 * 1200, &[(0, 0)]), &mut done));
    assert_eq!(done, [piece(0)]);
    let mut now = ms(100);
    let mut count = 0;
    for _ in 0..100 {
        count += fill(&mut outgoing, now);
        now += ms(1);
    }
    assert_eq!(count, 3);
    // An earlier ack tells less.
    assert!(!outgoing.acknowledged(now, &ack(0, 9000, &[(0, 0)]), &mut done));
    outgoing.credit = 0;
    assert!(outgoing.acknowledged(now, &ack(2, 6000, &[(0, 1)]), &mut done));
    outgoing.acknowledged(now, &ack(1, 0, &[(0, 0)]), &mut done);
    assert_eq!(outgoing.credit, 6000, "the newest ack counts");
    outgoing.acknowledged(now, &ack(3, u32::MAX, &[(0, 1)]), &mut done);
    assert_eq!(outgoing.credit, CREDIT_MAX);
}

/// An ack that gave credit may be lost.
#[test]
fn a_sender_without_credit_asks_for_it_more_and_more_rarely() {
    let mut outgoing = outgoing();
    outgoing.sent(ms(0), piece(0), 1200);
    outgoing.lose(ms(1), &mut Vec::new());
    outgoing.acknowledged(ms(10), &ack(0, 0, &[(0, 0)]), &mut Vec::new());
    assert_eq!(outgoing.deadline(), None, "the caller has nothing to send");
    let mut times = Vec::new();
    for number in 1..8 {
        assert_eq!(outgoing.room(outgoing.asked, Duration::ZERO), 0);
        let at = outgoing.deadline().unwrap();
        assert!(outgoing.should_ask(at));
        assert!(!outgoing.should_ask(at));
        times.push(at.as_millis());
        outgoing.sent(at, Piece::NONE, 51);
        let mut done = Vec::new();
        assert!(outgoing.acknowledged(at, &ack(number, 0, &[(0, number)]), &mut done));
        assert_eq!(done, [], "asking is none of the caller's");
    }
    assert_eq!(times, [210, 610, 1410, 3010, 6210, 11_210, 16_210]);
    outgoing.acknowledged(ms(17_000), &ack(8, 9000, &[(0, 7)]), &mut Vec::new());
    assert!(outgoing.room(ms(17_000), Duration::ZERO) > 0);
}

#[test]
fn another_way_loses_what_is_in_flight() {
    let mut outgoing = outgoing();
    let count = fill(&mut outgoing, ms(0));
    let mut lost = Vec::new();
    outgoing.take_way(Some(direct()), &mut lost);
    assert_eq!(lost, []);
    outgoing.take_way(Some(Source::Relay), &mut lost);
    assert_eq!(lost, (0..count).map(piece).collect::<Vec<_>>());
    assert!(!outgoing.is_busy());
    let mut done = Vec::new();
    assert!(!outgoing.acknowledged(ms(5), &ack(0, 90_000, &[(0, 0)]), &mut done));
    assert_eq!(done, [], "they are not acknowledged after all");
    assert_eq!(outgoing.sent(ms(5), piece(9), 1200), count, "the numbers go on");
}

/// Half of what a server accepts.
#[test]
fn pieces_are_relayed_slowly() {
    let mut outgoing = Outgoing::default();
    outgoing.take_way(Some(Source::Relay), &mut Vec::new());
    let mut now = ms(0);
    let mut sent = 0;
    while now < ms(10_000) {
        sent += fill(&mut outgoing, now);
        let numbers = ack(sent, 1 << 20, &[(0, sent - 1)]);
        outgoing.acknowledged(now, &numbers, &mut Vec::new());
        now += ms(1);
    }
    assert!((245..=250).contains(&sent), "{sent} in 10 s");
}

#[test]
fn every_eighth_packet_is_acknowledged_or_after_5_ms() {
    let mut incoming = Incoming::default();
    for number in 0..7 {
        assert!(incoming.receive(ms(0), direct(), number, 1000, WINDOW));
    }
    assert_eq!(incoming.ack(ms(4), 0, WINDOW), None);
    assert!(incoming.receive(ms(4), direct(), 7, 1000, WINDOW));
    let (to, ack) = incoming.ack(ms(4), 3, WINDOW).unwrap();
    assert_eq!(to, direct());
    assert_eq!(ack.ranges, [(0, 7)]);
    assert_eq!((ack.number, ack.delay), (3, 0));
    assert_eq!(u64::from(ack.credit), WINDOW - 8000);
    assert!(incoming.receive(ms(5), direct(), 9, 1000, WINDOW));
    assert_eq!(incoming.ack_at, Some(ms(10)));
    let (_, ack) = incoming.ack(ms(11), 4, WINDOW).unwrap();
    assert_eq!(ack.ranges, [(9, 9), (0, 7)]);
    assert_eq!(ack.delay, 6000);
    assert_eq!(incoming.ack(ms(100), 5, WINDOW), None, "nothing new");
}

#[test]
fn bytes_without_room_are_dropped_and_not_acknowledged() {
    let mut incoming = Incoming::default();
    let window = 3000;
    for number in 0..3 {
        assert!(incoming.receive(ms(0), direct(), number, 1000, window));
    }
    assert!(!incoming.receive(ms(0), direct(), 3, 1000, window));
    assert!(
        !incoming.receive(ms(0), direct(), 4, 0, window),
        "a question has no bytes"
    );
    let (_, ack) = incoming.ack(ms(0), 0, window).unwrap();
    assert_eq!(ack.credit, 0);
    assert_eq!(ack.ranges, [(4, 4), (0, 2)]);
    incoming.consumed(ms(1), 500, window);
    assert_eq!(incoming.ack(ms(1), 0, window), None, "too little to tell");
    incoming.consumed(ms(1), 500, window);
    let (_, ack) = incoming.ack(ms(1), 0, window).unwrap();
    assert_eq!(ack.credit, 1000);
    assert!(
        incoming.receive(ms(2), direct(), 3, 1000, window),
        "it may be sent again as it was"
    );
}

#[test]
fn a_packet_is_for_the_caller_once() {
    let mut incoming = Incoming::default();
    assert!(incoming.receive(ms(0), direct(), 5, 1000, WINDOW));
    assert!(!incoming.receive(ms(1), direct(), 5, 1000, WINDOW));
    assert_eq!(incoming.held, 1000);
}

#[test]
fn what_is_remembered_of_hostile_numbers_is_bounded() {
    let mut incoming = Incoming::default();
    let many = u64::try_from(RANGES_KEPT).unwrap() + 100;
    for number in 0..many {
        assert!(incoming.receive(ms(0), direct(), 2 * number, 1, WINDOW));
    }
    assert_eq!(incoming.ranges.len(), RANGES_KEPT);
    assert!(
        !incoming.receive(ms(0), direct(), 1, 1, WINDOW),
        "it may have arrived"
    );
    assert!(incoming.receive(ms(0), direct(), 2 * many - 3, 1, WINDOW));
    let (_, ack) = incoming.ack(ms(0), 0, WINDOW).unwrap();
    assert_eq!(ack.ranges.len(), RANGES_MAX);
}

proptest! {
    /// Against the simplest model: the set of numbers.
    #[test]
    fn the_ranges_are_the_numbers_that_arrived(numbers in prop::collection::vec(0u64..100, 0..150)) {
        let mut incoming = Incoming::default();
        let mut model = BTreeSet::new();
        for number in numbers {
            let is_new = incoming.receive(ms(0), direct(), number, 1, WINDOW);
            prop_assert_eq!(is_new, model.insert(number));
        }
        let ranges = ranges_of(&incoming);
        let flat: BTreeSet<u64> = ranges.iter().flat_map(|&(first, last)| first..=last).collect();
        prop_assert_eq!(flat, model);
        prop_assert!(ranges.windows(2).all(|pair| pair[1].1 + 1 < pair[0].0));
    }
}

/// Each ack through the server is a line of this client, which has few.
#[test]
fn relayed_acks_are_few_whatever_the_peer_asks() {
    let mut incoming = Incoming::default();
    let mut acks = 0;
    for millisecond in 0..1000 {
        let now = ms(millisecond);
        incoming.receive(now, Source::Relay, millisecond, 0, WINDOW);
        acks += u64::from(incoming.ack(now, acks, WINDOW).is_some());
        incoming.receive(now, Source::Relay, 10_000 + millisecond, 1000, WINDOW);
        incoming.consumed(now, 1000, WINDOW);
        acks += u64::from(incoming.ack(now, acks, WINDOW).is_some());
    }
    assert_eq!(acks, 4);
    // What was held back is said in the end.
    assert_eq!(incoming.ack_at, Some(ms(1000)));
    assert!(incoming.ack(ms(1000), acks, WINDOW).is_some());
}

#[test]
fn a_peer_that_left_takes_little_memory() {
    let mut incoming = Incoming::default();
    for number in 0..1000 {
        incoming.receive(ms(1), direct(), 2 * number, 0, WINDOW);
    }
    assert_eq!(incoming.ranges.len(), RANGES_KEPT);
    incoming.leave();
    assert_eq!(incoming.ranges, [(1998, 1998)]);
    for number in 0..=1998 {
        assert!(
            !incoming.receive(ms(2), direct(), number, 10, WINDOW),
            "a copy, or too late"
        );
    }
    assert!(incoming.receive(ms(2), direct(), 1999, 10, WINDOW));
}

#[test]
fn the_relay_is_shared_by_all_peers() {
    let mut outgoing = Outgoing::default();
    outgoing.take_way(Some(Source::Relay), &mut Vec::new());
    assert_eq!(outgoing.room(ms(0), ms(40)), 0, "another peer was sent a piece");
    assert_eq!(outgoing.wake, Some(ms(40)));
    assert_eq!(outgoing.room(ms(40), ms(40)), 1);
    let mut outgoing = self::outgoing();
    assert!(outgoing.room(ms(0), ms(40)) > 0, "it needs no relay");
}
