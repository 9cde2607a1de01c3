//! When segments are sent, and how messages are settled.

use super::*;

const DIRECT: Routes = Routes {
    direct: true,
    relay_after: None,
};

const RELAY: Routes = Routes {
    direct: false,
    relay_after: Some(Duration::ZERO),
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ack(cumulative: u64, selective: u64, passed: u64, of: Option<u64>) -> Ack {
    let path = Path::Direct;
    Ack {
        cumulative,
        selective,
        passed,
        of,
        path,
    }
}

/// Messages that fill a segment each, numbered from 0.
fn with_messages(count: u64) -> Sender {
    let mut sender = Sender::default();
    for id in 0..count {
        sender.push(ms(0), MessageId(id), &[b'x'; PARTS_MAX - PART_HEAD_LEN]);
    }
    sender
}

/// The numbers of all segments that are due.
fn sent(sender: &mut Sender, now: Duration, routes: Routes) -> Vec<u64> {
    std::iter::from_fn(|| sender.transmit(now, routes, || 127))
        .map(|copy| copy.number)
        .collect()
}

/// The final state of each message.
fn states(settled: &[Settled]) -> Vec<(u64, Result<Path, Why>)> {
    let result = |state| match state {
        State::Delivered { path, .. } | State::SentUnencrypted { path } => Ok(path),
        State::NotDelivered(why) => Err(why),
    };
    settled.iter().map(|&(id, state)| (id.0, result(state))).collect()
}

#[test]
fn a_message_over_the_segment_size_takes_two_segments() {
    let mut sender = with_messages(1);
    let copy = sender.transmit(ms(0), DIRECT, || 0).unwrap();
    assert_eq!(copy.parts.len(), PARTS_MAX);
    assert!(sender.transmit(ms(0), DIRECT, || 0).is_none());
    let mut sender = Sender::default();
    sender.push(ms(0), MessageId(0), &[b'x'; PARTS_MAX - PART_HEAD_LEN + 1]);
    assert_eq!(sent(&mut sender, ms(0), DIRECT), [0, 1]);
}

#[test]
fn queued_messages_fill_segments() {
    let mut sender = Sender::default();
    let (mut segments, mut next) = (Vec::new(), 0);
    // Four segments are in flight. The rest is queued.
    for id in 0..200 {
        sender.push(ms(0), MessageId(id), b"0123456789");
        segments.extend(sent(&mut sender, ms(0), DIRECT));
    }
    assert_eq!(segments.len(), IN_FLIGHT_MAX);
    while !sender.is_idle() {
        next += 1;
        sender.acknowledge(ms(1), ack(next, 0, next, Some(next - 1)));
        segments.extend(sent(&mut sender, ms(1), DIRECT));
    }
    // 85 messages of 13 bytes, lengths and flags included, to a segment.
    assert_eq!(segments, (0..7).collect::<Vec<_>>());
}

#[test]
fn at_most_64_segments_after_the_first_unacknowledged() {
    let mut sender = with_messages(200);
    let mut segments = sent(&mut sender, ms(0), DIRECT);
    let mut received = 0;
    for number in 1..64 {
        received |= 1 << (number - 1);
        sender.acknowledge(ms(1), ack(0, received, 0, Some(number)));
        segments.extend(sent(&mut sender, ms(1), DIRECT));
    }
    assert_eq!(segments, (0..64).collect::<Vec<_>>());
    sender.acknowledge(ms(1), ack(64, 0, 64, Some(0)));
    assert_eq!(sent(&mut sender, ms(1), DIRECT), [64, 65, 66, 67]);
}

#[test]
fn after_a_timeout_earlier_segments_follow_with_acks() {
    let mut sender = with_messages(3);
    assert_eq!(sender.transmit(ms(0), DIRECT, || 0).unwrap().number, 0);
    assert_eq!(sender.transmit(ms(0), DIRECT, || 255).unwrap().number, 1);
    sender.transmit(ms(100), DIRECT, || 255).unwrap();
    // After 450 ms, and not 550 like the second.
    let again = sender.transmit(ms(450), DIRECT, || 255).unwrap();
    assert_eq!((again.number, again.timed_out), (0, Some(ms(0))));
    assert_eq!(sent(&mut sender, ms(450), DIRECT), [0_u64; 0]);
    sender.acknowledge(ms(460), ack(1, 0, 1, Some(0)));
    let next = sender.transmit(ms(460), DIRECT, || 255).unwrap();
    assert_eq!((next.number, next.timed_out), (1, None));
    assert_eq!(
        sent(&mut sender, ms(460), DIRECT),
        [0_u64; 0],
        "the third was sent later"
    );
}

#[test]
fn relayed_copies_are_sent_at_growing_intervals() {
    let mut sender = with_messages(1);
    let copies = (0..30_000).step_by(500);
    let copies: Vec<u64> = copies
        .filter(|&now| !sent(&mut sender, ms(now), RELAY).is_empty())
        .collect();
    assert_eq!(copies, [0, 1000, 3000, 7000, 15_000, 23_000]);
}

#[test]
fn an_ack_of_unsent_segments_is_ignored() {
    let mut sender = with_messages(1);
    sent(&mut sender, ms(0), DIRECT);
    for lie in [ack(2, 0, 0, None), ack(0, 0, 2, None), ack(2, 0, 2, Some(1))] {
        assert_eq!(sender.acknowledge(ms(1), lie).0, []);
    }
    assert!(!sender.is_idle());
    let (settled, _) = sender.acknowledge(ms(1), ack(1, 0, 1, Some(0)));
    assert_eq!(states(&settled), [(0, Ok(Path::Direct))]);
}

#[test]
fn selective_acks_settle_each_segment_by_itself() {
    let mut sender = with_messages(4);
    sent(&mut sender, ms(0), DIRECT);
    let (settled, _) = sender.acknowledge(ms(1), ack(0, 0b110, 0, Some(2)));
    assert_eq!(settled, [], "nothing is shown yet");
    let (settled, _) = sender.acknowledge(ms(2), ack(1, 0b110, 4, None));
    let direct = Ok(Path::Direct);
    assert_eq!(
        states(&settled),
        [(0, direct), (1, Err(Why::Overtaken)), (2, direct), (3, direct)]
    );
}

#[test]
fn an_answer_by_relay_alone_means_the_direct_path_failed() {
    let relayed = |of| Ack {
        path: Path::Relayed,
        ..ack(1, 0, 1, of)
    };
    let overtaken = |routes: &[Routes], ack| {
        let mut sender = with_messages(1);
        for &routes in routes {
            sent(&mut sender, ms(7), routes);
        }
        sender.acknowledge(ms(20), ack).1
    };
    assert_eq!(overtaken(&[DIRECT, RELAY], relayed(Some(0))), Some(ms(7)));
    assert_eq!(
        overtaken(&[DIRECT, RELAY], relayed(None)),
        None,
        "it answers another segment"
    );
    assert_eq!(
        overtaken(&[RELAY], relayed(Some(0))),
        None,
        "it was not sent directly"
    );
    assert_eq!(overtaken(&[DIRECT, RELAY], ack(1, 0, 1, Some(0))), None);
}

#[test]
fn the_rest_of_a_failed_message_is_not_sent() {
    let mut sender = Sender::default();
    sender.push(ms(0), MessageId(0), &[b'x'; 6 * PARTS_MAX]);
    sender.push(ms(0), MessageId(1), b"behind");
    assert_eq!(sent(&mut sender, ms(0), DIRECT), [0, 1, 2, 3]);
    let (settled, _) = sender.acknowledge(ms(1), ack(0, 0b111, 4, Some(1)));
    assert_eq!(states(&settled), [(0, Err(Why::Overtaken))]);
    let next = sender.transmit(ms(1), DIRECT, || 0).unwrap();
    assert_eq!(next.number, 4);
    assert!(next.parts.ends_with(b"behind"));
    let (settled, _) = sender.acknowledge(ms(2), ack(5, 0, 5, Some(4)));
    assert_eq!(states(&settled), [(1, Ok(Path::Direct))]);
    assert!(sender.is_idle());
}

fn part(length: usize, since_ms: u64, is_piece: bool) -> QueuedPart {
    QueuedPart {
        owner: Owner {
            id: MessageId(0),
            since: Duration::from_millis(since_ms),
        },
        is_piece,
        bytes: vec![b'x'; length],
    }
}

fn share(first: &QueuedPart, second: &QueuedPart) -> bool {
    let mut segment = Segment::new(0, Duration::ZERO);
    assert!(segment.has_room_for(first), "the first always fits");
    segment.add(first);
    segment.has_room_for(second)
}

#[test]
fn messages_share_a_segment_up_to_the_last_byte() {
    let rest = PARTS_MAX - 300;
    assert!(share(&part(300, 0, false), &part(rest, 0, false)));
    assert!(!share(&part(300, 0, false), &part(rest + 1, 0, false)));
}

#[test]
fn messages_share_a_segment_if_sent_within_100_ms() {
    assert!(share(&part(1, 5000, false), &part(1, 5100, false)));
    assert!(!share(&part(1, 5000, false), &part(1, 5101, false)));
}

#[test]
fn a_piece_of_a_long_message_has_its_own_segment() {
    for (first, second) in [(true, false), (false, true), (true, true)] {
        assert!(!share(&part(1, 0, first), &part(1, 0, second)));
    }
}

#[test]
fn after_a_relayed_copy_only_a_direct_answer_counts_as_direct() {
    let received_by = |direct, relay, path, answered| {
        let mut segment = Segment::new(0, Duration::ZERO);
        (segment.direct.sent, segment.relay.sent) = (direct, relay);
        segment.received_by(path, answered)
    };
    assert_eq!(received_by(1, 1, Path::Direct, true), Path::Direct);
    assert_eq!(received_by(1, 1, Path::Direct, false), Path::Relayed);
    assert_eq!(received_by(1, 1, Path::Relayed, true), Path::Relayed);
    assert_eq!(received_by(0, 1, Path::Direct, true), Path::Relayed);
    assert_eq!(received_by(1, 0, Path::Relayed, false), Path::Direct);
}
