//! Messages are shown exactly once and in order, or their sender is told.

use super::*;

#[test]
fn a_message_is_shown_and_its_delivery_reported() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, "hello");
    pair.settle();
    let received = Received {
        from: id(ALICE),
        text: Text::new("hello"),
        path: Path::Direct,
        sealed: true,
        after_gap: false,
    };
    assert_eq!(pair.events(BOB), [Event::Received(received)]);
    let state = State::Delivered {
        path: Path::Direct,
        after: Duration::ZERO,
    };
    assert_eq!(pair.events(ALICE), [Event::State(message, state)]);
}

#[test]
fn a_retransmission_is_acknowledged_again_and_shown_once() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    for _ in 0..3 {
        let datagram = pair.take_datagrams(ALICE).remove(0);
        pair.arrive(BOB, &datagram);
        assert_eq!(pair.take_datagrams(BOB).len(), 1);
        pair.arrive(BOB, &datagram);
        assert_eq!(pair.take_datagrams(BOB).len(), 0, "a copy");
        pair.pass(ms(1200));
    }
    assert_eq!(pair.shown(BOB), ["hello"]);
}

#[test]
fn a_lost_message_or_ack_causes_a_retransmission() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, "hello");
    pair.take(ALICE);
    pair.pass(ms(390));
    assert!(pair.take(ALICE).is_empty(), "too soon");
    pair.pass(ms(200));
    let again = pair.take_datagrams(ALICE);
    assert_eq!(again.len(), 1);
    pair.arrive(BOB, &again[0]);
    pair.take(BOB);
    assert_eq!(pair.shown(BOB), ["hello"]);
    pair.live(ms(2000));
    assert!(pair.shown(BOB).is_empty());
    assert!(matches!(pair.states(ALICE)[..], [(id, State::Delivered { .. })] if id == message));
}

#[test]
fn every_transmission_has_a_new_counter() {
    let mut pair = Pair::new();
    pair.say(ALICE, "hello");
    pair.pass(ms(29_000));
    let sent = pair.take(ALICE).into_iter().filter_map(|sent| match sent {
        Sent::Datagram(_, _, bytes) | Sent::Relay(bytes) if bytes[1] == SEALED => Some(bytes[2..14].to_vec()),
        _ => None,
    });
    let mut nonces: Vec<Vec<u8>> = sent.collect();
    let count = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert!(
        count > 10 && nonces.len() == count,
        "{} different of {count}",
        nonces.len()
    );
}

#[test]
fn without_an_ack_a_message_fails_after_30_seconds() {
    let mut pair = Pair::new();
    let message = pair.say(ALICE, "hello");
    pair.pass(ms(29_999));
    pair.take(ALICE);
    assert!(pair.states(ALICE).is_empty());
    pair.pass(ms(1));
    pair.take(ALICE);
    assert_eq!(
        pair.states(ALICE),
        [(message, State::NotDelivered(Why::NoAnswer))]
    );
    assert_eq!(pair.clients[ALICE].footprint(), 0);
    pair.pass(ms(20_000));
    let sent = pair.take(ALICE);
    assert!(
        sent.iter().all(|sent| matches!(sent, Sent::Punch)
            || matches!(sent, Sent::Relay(bytes) if bytes[1] == BEGIN)
            || matches!(sent, Sent::Datagram(_, _, bytes) if bytes.len() == 63)),
        "{sent:?}"
    );
}

#[test]
fn reordered_messages_are_shown_in_order() {
    let mut pair = Pair::new();
    let mut datagrams = Vec::new();
    for text in ["one", "two", "three"] {
        pair.say(ALICE, text);
        datagrams.extend(pair.take_datagrams(ALICE));
    }
    for datagram in datagrams.iter().rev() {
        pair.arrive(BOB, datagram);
        pair.take(BOB);
    }
    assert_eq!(pair.shown(BOB), ["one", "two", "three"]);
    assert_eq!(pair.clients[BOB].footprint(), 0);
}

#[test]
fn a_missing_message_is_skipped_after_two_seconds() {
    let mut pair = Pair::new();
    let missing = pair.say(ALICE, "one");
    let late = pair.take_datagrams(ALICE).remove(0);
    let second = pair.say(ALICE, "two");
    let datagram = pair.take_datagrams(ALICE).remove(0);
    pair.arrive(BOB, &datagram);
    let ack = pair.take_datagrams(BOB).remove(0);
    pair.arrive(ALICE, &ack);
    pair.take(ALICE);
    assert!(pair.states(ALICE).is_empty(), "received but not shown yet");
    pair.pass(ms(1999));
    pair.take(BOB);
    assert!(pair.shown(BOB).is_empty());
    pair.pass(ms(1));
    pair.take(ALICE);
    pair.take(BOB);
    assert!(matches!(
        &pair.events[BOB][..],
        [Event::Received(Received { after_gap: true, .. })]
    ));
    assert_eq!(pair.shown(BOB), ["two"]);
    pair.arrive(BOB, &late);
    assert!(pair.take_datagrams(BOB).len() == 1 && pair.shown(BOB).is_empty());
    pair.live(ms(4000));
    let states = pair.states(ALICE);
    assert!(
        states.contains(&(missing, State::NotDelivered(Why::Overtaken))),
        "{states:?}"
    );
    assert!(
        states
            .iter()
            .any(|(id, state)| *id == second && matches!(state, State::Delivered { .. }))
    );
    assert!(pair.shown(BOB).is_empty());
}

#[test]
fn a_long_text_arrives_whole_in_several_datagrams() {
    let mut pair = Pair::new();
    let text = "äöü€".repeat(TEXT_MAX / 9);
    pair.say(ALICE, &text);
    let sizes: Vec<usize> = pair.take_datagrams(ALICE).iter().map(Vec::len).collect();
    assert!(
        sizes.len() == 4 && sizes.iter().all(|size| *size <= 1200),
        "{sizes:?}"
    );
    pair.live(ms(3000));
    assert_eq!(pair.shown(BOB), [text]);
    assert_eq!(pair.states(ALICE).len(), 1);
}

#[test]
fn a_text_with_a_missing_piece_is_not_shown() {
    let mut pair = Pair::new();
    let long = pair.say(ALICE, &"x".repeat(3000));
    let pieces = pair.take_datagrams(ALICE);
    pair.arrive(BOB, &pieces[0]);
    pair.arrive(BOB, &pieces[2]);
    pair.take(BOB);
    pair.pass(ms(2100));
    assert!(!pair.take(BOB).is_empty() && pair.shown(BOB).is_empty());
    pair.arrive(BOB, &pieces[1]);
    pair.live(ms(3000));
    assert!(pair.shown(BOB).is_empty());
    assert_eq!(pair.states(ALICE), [(long, State::NotDelivered(Why::Overtaken))]);
}

#[test]
fn four_segments_are_in_flight_and_one_after_a_timeout() {
    let mut pair = Pair::new();
    for n in 0..8 {
        pair.say(ALICE, &format!("{n} {}", "x".repeat(1000)));
        pair.pass(ms(1));
    }
    assert_eq!(pair.take_datagrams(ALICE).len(), 4);
    pair.pass(ms(700));
    let again = pair.take_datagrams(ALICE);
    assert_eq!(again.len(), 1, "the first one");
    pair.arrive(BOB, &again[0]);
    for ack in pair.take_datagrams(BOB) {
        pair.arrive(ALICE, &ack);
    }
    assert_eq!(
        pair.take_datagrams(ALICE).len(),
        2,
        "each ack makes room for one more"
    );
}

#[test]
fn queued_short_messages_share_a_datagram() {
    let mut pair = Pair::new();
    for n in 0..200 {
        pair.say(ALICE, &format!("message {n}"));
    }
    assert_eq!(
        pair.take_datagrams(ALICE).len(),
        4,
        "the first four are sent at once"
    );
    pair.pass(ms(600));
    let first = pair.take_datagrams(ALICE).remove(0);
    pair.arrive(BOB, &first);
    for ack in pair.take_datagrams(BOB) {
        pair.arrive(ALICE, &ack);
    }
    pair.settle();
    pair.live(ms(100));
    let shown = pair.shown(BOB);
    assert_eq!(
        shown,
        (0..200).map(|n| format!("message {n}")).collect::<Vec<_>>()
    );
}

#[test]
fn a_full_queue_refuses_messages_until_it_drains() {
    let mut pair = Pair::new();
    let now = pair.now();
    let mut taken = 0;
    while pair.clients[ALICE].can_send(id(BOB)) {
        pair.say(ALICE, &"x".repeat(TEXT_MAX));
        taken += 1;
    }
    let refused = pair.clients[ALICE].send(now, id(BOB), &Text::new("more"));
    assert_eq!(refused, Err(Refusal::Busy));
    assert!((64..80).contains(&taken), "{taken} messages");
    assert!((taken * TEXT_MAX..300_000).contains(&pair.clients[ALICE].footprint()));
    pair.live(ms(3000));
    assert!(pair.clients[ALICE].can_send(id(BOB)));
    assert_eq!(pair.shown(BOB).len(), taken);
}

#[test]
fn a_stream_is_limited_only_by_acks() {
    let mut pair = Pair::new();
    let (mut sent, mut rounds) = (0, 0);
    while sent < 20_000 {
        while pair.clients[ALICE].can_send(id(BOB)) {
            pair.say(
                ALICE,
                &format!("line {sent} of a file that goes to somebody, as long as lines are"),
            );
            sent += 1;
        }
        pair.settle();
        pair.pass(ms(1));
        rounds += 1;
    }
    pair.live(ms(100));
    assert_eq!(pair.shown(BOB).len(), sent);
    assert!(rounds < 100, "{rounds} rounds of a millisecond");
}

#[test]
fn an_ack_of_an_unsent_segment_is_ignored() {
    let mut sender = sender::Sender::default();
    sender.push(ms(0), MessageId(1), b"hi");
    let routes = sender::Routes {
        direct: true,
        relay_after: None,
    };
    sender.transmit(ms(0), routes, || 0).unwrap();
    let ack = sender::Ack {
        cumulative: 2,
        selective: 0,
        passed: 2,
        of: Some(1),
        path: Path::Direct,
    };
    assert!(sender.acknowledge(ms(1), ack).0.is_empty());
    assert!(!sender.is_idle());
}

/// Karn's rule: the answer to a retransmitted segment does not tell the round-trip time.
#[test]
fn retransmitted_segments_are_not_measured() {
    let mut sender = sender::Sender::default();
    let routes = sender::Routes {
        direct: true,
        relay_after: None,
    };
    let ack = |number| sender::Ack {
        cumulative: number + 1,
        selective: 0,
        passed: number + 1,
        of: Some(number),
        path: Path::Direct,
    };
    let wait = |sender: &mut sender::Sender, now| {
        sender.push(ms(now), MessageId(now), b"hi");
        sender.transmit(ms(now), routes, || 127).unwrap();
        sender.deadline(routes).unwrap() - ms(now)
    };
    assert!(wait(&mut sender, 0) > ms(490));
    assert!(
        sender
            .transmit(ms(600), routes, || 127)
            .unwrap()
            .timed_out
            .is_some()
    );
    sender.acknowledge(ms(601), ack(0));
    assert!(wait(&mut sender, 1000) > ms(900), "still doubled");
    sender.acknowledge(ms(1001), ack(1));
    assert!(wait(&mut sender, 2000) < ms(300), "now it is measured");
    assert_eq!(sender.relay_delay(true), ms(100));
}

#[test]
fn an_answered_retransmission_keeps_the_doubled_timeout() {
    let mut pair = Pair::new();
    pair.say(ALICE, "lost and retransmitted");
    pair.take(ALICE);
    pair.pass(ms(600));
    pair.settle();
    assert_eq!(pair.shown(BOB), ["lost and retransmitted"]);
    // A measured round trip of 0 ms would make the timeout 250 ms. Unmeasured, it stays at twice
    // 500 ms.
    pair.say(ALICE, "lost as well");
    pair.take(ALICE);
    pair.pass(ms(890));
    assert_eq!(pair.take_datagrams(ALICE), [] as [Vec<u8>; 0]);
    pair.pass(ms(220));
    assert!(!pair.take_datagrams(ALICE).is_empty());
}

#[test]
fn unsettled_and_held_bytes_are_counted() {
    let mut pair = Pair::new();
    pair.say(ALICE, "one");
    let first = pair.take_datagrams(ALICE).remove(0);
    pair.say(ALICE, "three");
    let second = pair.take_datagrams(ALICE).remove(0);
    let head = packet::PART_HEAD_LEN;
    assert_eq!(pair.clients[ALICE].footprint(), 2 * head + 3 + 5);
    pair.arrive(BOB, &second);
    assert_eq!(pair.clients[BOB].footprint(), head + 5);
    pair.arrive(BOB, &first);
    pair.settle();
    assert_eq!(pair.clients.each_ref().map(Private::footprint), [0, 0]);
}

#[test]
fn without_memory_only_messages_in_order_are_accepted() {
    let mut pair = Pair::new();
    let datagrams: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .map(|text| {
            pair.say(ALICE, text);
            pair.take_datagrams(ALICE).remove(0)
        })
        .collect();
    // Pretend that other conversations leave only the memory that "three" takes.
    let three = packet::PART_HEAD_LEN + 5;
    pair.clients[BOB].held_bytes = HELD_BYTES_MAX - three;
    pair.arrive(BOB, &datagrams[2]);
    assert_eq!(pair.take_datagrams(BOB).len(), 1);
    pair.arrive(BOB, &datagrams[1]);
    assert_eq!(pair.take_datagrams(BOB).len(), 0, "no room, so no ack");
    pair.arrive(BOB, &datagrams[0]);
    assert_eq!(pair.take_datagrams(BOB).len(), 1);
    assert_eq!(pair.shown(BOB), ["one"]);
}

#[test]
fn the_pieces_of_a_text_may_arrive_in_any_order() {
    let mut pair = Pair::new();
    let text = "x".repeat(3000);
    pair.say(ALICE, &text);
    for piece in pair.take_datagrams(ALICE).iter().rev() {
        pair.arrive(BOB, piece);
    }
    assert_eq!(pair.take_datagrams(BOB).len(), 3);
    assert_eq!(pair.shown(BOB), [text]);
}
