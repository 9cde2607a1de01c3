//! What is shown, in what order, and what is waited for.

use super::*;
use crate::private::packet::Part;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn part(begins: bool, ends: bool, text: &[u8]) -> Vec<u8> {
    let mut parts = Vec::new();
    Part { begins, ends, text }.write(&mut parts);
    parts
}

/// A segment comes that holds one message, its number. The numbers shown, each with whether some before it are missing.
fn comes(receiver: &mut Receiver, now: Duration, number: u8, floor: u64) -> Vec<(u8, bool)> {
    let parts = part(true, true, &[number]);
    let (_, shown) = receiver.segment(now, number.into(), floor, parts, Path::Direct, true);
    numbers(&shown)
}

fn numbers(shown: &[Shown]) -> Vec<(u8, bool)> {
    shown
        .iter()
        .map(|shown| (shown.text[0], shown.after_gap))
        .collect()
}

#[test]
fn what_was_held_back_is_shown_when_its_sender_gives_up_what_is_missing() {
    let mut receiver = Receiver::default();
    for number in [1, 3, 6] {
        assert_eq!(comes(&mut receiver, ms(0), number, 0), []);
    }
    let shown = comes(&mut receiver, ms(0), 4, 3);
    assert_eq!(shown, [(1, true), (3, true), (4, false)]);
    assert_eq!(comes(&mut receiver, ms(0), 5, 3), [(5, false), (6, false)]);
    assert_eq!(receiver.acks(), (7, 0));
}

#[test]
fn a_gap_is_waited_for_two_seconds_whatever_comes_meanwhile() {
    let mut receiver = Receiver::default();
    assert_eq!(comes(&mut receiver, ms(0), 1, 0), []);
    assert_eq!(comes(&mut receiver, ms(1900), 2, 0), []);
    assert_eq!(receiver.deadline(), Some(ms(2000)));
    assert_eq!(numbers(&receiver.pass_gap(ms(1999))), []);
    assert_eq!(numbers(&receiver.pass_gap(ms(2000))), [(1, true), (2, false)]);
    assert_eq!(receiver.deadline(), None);
}

#[test]
fn each_gap_is_waited_for_since_it_was_the_first() {
    let mut receiver = Receiver::default();
    assert_eq!(comes(&mut receiver, ms(0), 3, 0), []);
    assert_eq!(comes(&mut receiver, ms(0), 1, 0), []);
    assert_eq!(comes(&mut receiver, ms(1000), 0, 0), [(0, false), (1, false)]);
    assert_eq!(receiver.deadline(), Some(ms(3000)));
}

#[test]
fn a_text_in_pieces_may_be_as_long_as_any_and_no_longer() {
    for (last, is_shown) in [(TEXT_MAX - 3000, true), (TEXT_MAX - 3000 + 1, false)] {
        let mut receiver = Receiver::default();
        let sizes = [1000, 1000, 1000, last];
        let mut shown = Vec::new();
        for (number, size) in (0..).zip(sizes) {
            let parts = part(number == 0, number == 3, &vec![b'x'; size]);
            shown.extend(receiver.segment(ms(0), number, 0, parts, Path::Direct, true).1);
        }
        assert_eq!(shown.len(), usize::from(is_shown), "{last}");
        assert_eq!(numbers(&receiver.flush()), []);
    }
}
