//! The outcome of all messages for one reader.

use crate::message::Message;
use std::ops::Range;

/// Counts the messages of each sender that one reader receives. They are numbered from 0.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// For each sender, one more than the highest number received.
    next: Vec<u32>,
    /// The gaps so far: a sender, and missing numbers below its `next`.
    gaps: Vec<(u16, Range<u32>)>,
    /// Messages received, without duplicates.
    pub heard: u64,
    /// Messages received again.
    pub duplicated: u64,
    /// Messages received after a later one of the same sender.
    pub reordered: u64,
    /// Lines that no user sent.
    pub damaged: u64,
}

impl Tally {
    /// Counts a message, or a damaged line.
    pub fn hear(&mut self, message: Option<Message>) {
        let Some(Message { sender, number, .. }) = message else {
            self.damaged += 1;
            return;
        };
        let place = usize::from(sender);
        if self.next.len() <= place {
            self.next.resize(place + 1, 0);
        }
        let Some(next) = self.next.get_mut(place) else {
            return;
        };
        if number < *next {
            return self.hear_late(sender, number);
        }
        if number > *next {
            self.gaps.push((sender, *next..number));
        }
        *next = number.saturating_add(1);
        self.heard += 1;
    }

    fn hear_late(&mut self, sender: u16, number: u32) {
        let holds = |(whose, range): &(u16, Range<u32>)| *whose == sender && range.contains(&number);
        let Some(place) = self.gaps.iter().position(holds) else {
            self.duplicated += 1;
            return;
        };
        let (_, range) = self.gaps.swap_remove(place);
        for rest in [range.start..number, number + 1..range.end] {
            if !rest.is_empty() {
                self.gaps.push((sender, rest));
            }
        }
        self.reordered += 1;
        self.heard += 1;
    }

    /// One more than the highest number received from a sender.
    #[must_use]
    pub fn next(&self, sender: usize) -> u32 {
        self.next.get(sender).copied().unwrap_or_default()
    }

    /// How many messages are missing, given the number that each sender has sent.
    #[must_use]
    pub fn missing(&self, sent: &[u32]) -> u64 {
        let gaps: u64 = self.gaps.iter().map(|(_, range)| range.len() as u64).sum();
        let ends = sent.iter().enumerate();
        gaps + ends
            .map(|(sender, &sent)| u64::from(sent.saturating_sub(self.next(sender))))
            .sum::<u64>()
    }

    /// This tally without the last messages, which are given.
    #[must_use]
    pub fn without(mut self, last: impl Iterator<Item = Message>) -> Self {
        for Message { sender, number, .. } in last {
            if let Some(next) = self.next.get_mut(usize::from(sender)) {
                *next = number.min(*next);
            }
            self.heard = self.heard.saturating_sub(1);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: &[u32]) -> Tally {
        let mut tally = Tally::default();
        for &number in numbers {
            let message = Message {
                sender: 1,
                number,
                at: 0,
            };
            tally.hear(Some(message));
        }
        tally
    }

    fn counts(tally: &Tally, sent: u32) -> [u64; 4] {
        [
            tally.heard,
            tally.missing(&[0, sent]),
            tally.duplicated,
            tally.reordered,
        ]
    }

    #[test]
    fn messages_in_order_have_no_faults() {
        assert_eq!(counts(&after(&[0, 1, 2, 3]), 4), [4, 0, 0, 0]);
    }

    #[test]
    fn losses_at_beginning_middle_and_end_are_counted() {
        assert_eq!(counts(&after(&[1, 2, 5]), 8), [3, 5, 0, 0]);
    }

    #[test]
    fn duplicates_are_counted_at_once_and_later() {
        assert_eq!(counts(&after(&[0, 0, 1, 2, 1]), 3), [3, 0, 2, 0]);
    }

    #[test]
    fn a_reordered_message_is_not_lost() {
        assert_eq!(counts(&after(&[0, 3, 2, 1, 4]), 5), [5, 0, 0, 2]);
        assert_eq!(counts(&after(&[0, 4, 2, 2]), 5), [3, 2, 1, 1]);
    }

    #[test]
    fn all_messages_of_a_silent_sender_are_lost() {
        assert_eq!(after(&[]).missing(&[3, 4]), 7);
    }
}
