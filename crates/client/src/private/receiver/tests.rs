//! What is shown, in what order, and how long missing segments delay it.

use super::*;
use crate::private::packet::Part;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn part(begins: bool, ends: bool, text: &[u8]) -> Vec<u8> {
    let is_file = false;
    Part {
        begins,
        ends,
        is_file,
        text,
    }
    .to_bytes()
}

fn arrival(number: u64, floor: u64, parts: &[u8]) -> Arrival {
    Arrival {
        number,
        floor,
        parts: parts.to_vec(),
        path: Path::Direct,
    }
}

/// A segment arrives that carries its number as a message. Returns the numbers shown, and whether
/// each is after a gap.
fn arrive(receiver: &mut Receiver, now: Duration, number: u8, floor: u64) -> Vec<(u8, bool)> {
    let parts = part(true, true, &[number]);
    let (_, shown) = receiver.receive(now, arrival(number.into(), floor, &parts), true);
    numbers(&shown)
}

fn numbers(shown: &[Shown]) -> Vec<(u8, bool)> {
    shown
        .iter()
        .map(|shown| (shown.text[0], shown.after_gap))
        .collect()
}

#[test]
fn held_segments_are_shown_when_missing_ones_are_given_up() {
    let mut receiver = Receiver::default();
    for number in [1, 3, 6] {
        assert_eq!(arrive(&mut receiver, ms(0), number, 0), []);
    }
    let shown = arrive(&mut receiver, ms(0), 4, 3);
    assert_eq!(shown, [(1, true), (3, true), (4, false)]);
    assert_eq!(arrive(&mut receiver, ms(0), 5, 3), [(5, false), (6, false)]);
    assert_eq!(receiver.acks(), (7, 0));
}

#[test]
fn a_gap_delays_later_messages_for_two_seconds() {
    let mut receiver = Receiver::default();
    assert_eq!(arrive(&mut receiver, ms(0), 1, 0), []);
    assert_eq!(arrive(&mut receiver, ms(1900), 2, 0), []);
    assert_eq!(receiver.deadline(), Some(ms(2000)));
    assert_eq!(numbers(&receiver.pass_gap(ms(1999))), []);
    assert_eq!(numbers(&receiver.pass_gap(ms(2000))), [(1, true), (2, false)]);
    assert_eq!(receiver.deadline(), None);
}

#[test]
fn each_gap_has_its_own_two_seconds() {
    let mut receiver = Receiver::default();
    assert_eq!(arrive(&mut receiver, ms(0), 3, 0), []);
    assert_eq!(arrive(&mut receiver, ms(0), 1, 0), []);
    assert_eq!(arrive(&mut receiver, ms(1000), 0, 0), [(0, false), (1, false)]);
    assert_eq!(receiver.deadline(), Some(ms(3000)));
}

#[test]
fn a_text_in_pieces_is_limited_to_text_max() {
    for (last, is_shown) in [(TEXT_MAX - 3000, true), (TEXT_MAX - 3000 + 1, false)] {
        let mut receiver = Receiver::default();
        let sizes = [1000, 1000, 1000, last];
        let mut shown = Vec::new();
        for (number, size) in (0..).zip(sizes) {
            let parts = part(number == 0, number == 3, &vec![b'x'; size]);
            shown.extend(receiver.receive(ms(0), arrival(number, 0, &parts), true).1);
        }
        assert_eq!(shown.len(), usize::from(is_shown), "{last}");
        assert_eq!(numbers(&receiver.flush()), []);
    }
}

#[test]
fn held_segments_are_limited() {
    let mut receiver = Receiver::default();
    let parts = part(true, true, &[b'x'; 1000]);
    let mut take = |number| receiver.receive(ms(0), arrival(number, 0, &parts), true).0;
    for number in 1..=64 {
        assert!(take(number));
    }
    assert!(!take(65), "no room, so no ack");
    assert!(!take(5000), "outside the window");
    assert_eq!(receiver.held_bytes(), 64 * parts.len(), "the first 64 are held");
}

#[test]
fn segments_that_were_given_up_cause_no_wait() {
    let mut receiver = Receiver::default();
    let parts = part(true, true, b"x");
    let (is_acknowledged, shown) = receiver.receive(ms(0), arrival(9, 9, &parts), true);
    assert!(is_acknowledged);
    assert!(shown[0].after_gap, "earlier ones are missing");
    let (is_acknowledged, shown) = receiver.receive(ms(0), arrival(10, 11, &parts), true);
    assert_eq!((is_acknowledged, shown.len()), (false, 0), "it gives itself up");
    // After a long absence a peer continues far beyond the window.
    let (is_acknowledged, shown) = receiver.receive(ms(0), arrival(1_000_000, 1_000_000, &parts), true);
    assert_eq!((is_acknowledged, shown.len()), (true, 1));
    assert_eq!(receiver.acks(), (1_000_001, 0));
}

/// A message about a file has no place for the mark of a gap, so the next text gets it.
#[test]
fn a_file_message_comes_in_order_and_keeps_the_mark_of_a_gap() {
    let mut receiver = Receiver::default();
    let file = Part {
        begins: true,
        ends: true,
        is_file: true,
        text: &[1],
    };
    let both = [file.to_bytes(), part(true, true, &[2])].concat();
    let (_, shown) = receiver.receive(ms(0), arrival(1, 1, &both), true);
    assert_eq!(numbers(&shown), [(1, false), (2, true)]);
    assert_eq!([shown[0].is_file, shown[1].is_file], [true, false]);
}
