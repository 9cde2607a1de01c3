//! The receiving half of a conversation: segments that arrived, and the order in which messages are
//! shown.

use super::event::Path;
use super::packet::parts_of;
use super::window::{Place, Window};
use chat_proto::TEXT_MAX;
use std::collections::BTreeMap;
use std::time::Duration;

/// Segments held back for a missing one at most: 64 x 1.2 KB = 77 KB for each peer.
pub(super) const HELD_MAX: usize = 64;

/// After this time without a missing segment, the held ones are shown without it.
pub(super) const GAP_TIMEOUT: Duration = Duration::from_secs(2);

/// Invariant: `received.base() <= passed`; every segment in `held` is after `passed` and marked in
/// `received`.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// The segments that arrived. All before its base arrived, or their sender has given them up.
    received: Window,
    /// Segments before this one were shown, or never will be.
    passed: u64,
    held: BTreeMap<u64, Arrival>,
    /// Since when `passed` waits for a missing segment; set while segments are held.
    gap_since: Option<Duration>,
    /// The beginning of a message whose end is in later segments. At most `TEXT_MAX` bytes.
    begun: Option<Vec<u8>>,
    /// Messages before the next one are missing.
    gap: bool,
}

/// A segment that arrived.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) number: u64,
    pub(super) floor: u64,
    pub(super) parts: Vec<u8>,
    pub(super) path: Path,
}

/// A message to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: Vec<u8>,
    pub(super) path: Path,
    pub(super) after_gap: bool,
    /// It is about a file, and not for the user to read.
    pub(super) is_file: bool,
}

impl Receiver {
    /// The cumulative and the selective acks: all before this number; and bit i for the i-th after
    /// it.
    pub(super) fn acks(&self) -> (u64, u64) {
        (self.received.base(), self.received.after_base())
    }

    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// Bytes held back.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.values().map(|held| held.parts.len()).sum()
    }

    /// Processes a segment. Returns whether it is to be acknowledged, which it also is if it
    /// arrived before or comes too late; and the messages to show. `may_hold`: there is memory to
    /// hold it back.
    pub(super) fn receive(&mut self, now: Duration, arrival: Arrival, may_hold: bool) -> (bool, Vec<Shown>) {
        let mut shown = Vec::new();
        let number = arrival.number;
        if arrival.floor > number {
            return (false, shown);
        }
        self.give_up_before(arrival.floor, &mut shown);
        let is_acknowledged = match self.received.place(number) {
            Place::LongPast | Place::Beyond => false,
            Place::Seen => true,
            Place::New if number < self.passed => true,
            Place::New if number == self.passed && self.lacks_beginning(&arrival.parts) => {
                self.pass_to(number + 1);
                true
            }
            Place::New if number == self.passed => {
                self.received.mark(number);
                self.show(&arrival, &mut shown);
                true
            }
            Place::New if may_hold && self.held.len() < HELD_MAX => {
                self.received.mark(number);
                self.held.insert(number, arrival);
                true
            }
            Place::New => false,
        };
        self.show_in_order(now, &mut shown);
        (is_acknowledged, shown)
    }

    /// When [`Self::pass_gap`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.gap_since.map(|since| since + GAP_TIMEOUT)
    }

    /// Shows held segments, if the missing one did not arrive in time.
    pub(super) fn pass_gap(&mut self, now: Duration) -> Vec<Shown> {
        let mut shown = Vec::new();
        if self.deadline().is_some_and(|deadline| deadline <= now)
            && let Some(&next) = self.held.keys().next()
        {
            self.pass_to(next);
            self.show_in_order(now, &mut shown);
        }
        shown
    }

    /// Shows all held segments: the peer has left.
    pub(super) fn flush(&mut self) -> Vec<Shown> {
        let mut shown = Vec::new();
        while let Some(&next) = self.held.keys().next() {
            self.pass_to(next);
            self.show_in_order(Duration::ZERO, &mut shown);
        }
        self.begun = None;
        shown
    }

    /// Whether a segment continues a message whose beginning was dropped when its sender seemed to
    /// have left. It is treated as missing, so that its sender learns that the message is not
    /// shown.
    fn lacks_beginning(&self, parts: &[u8]) -> bool {
        self.begun.is_none() && parts_of(parts).next().is_some_and(|part| !part.begins)
    }

    /// The sender will not retransmit segments before `floor`.
    fn give_up_before(&mut self, floor: u64, shown: &mut Vec<Shown>) {
        while let Some(entry) = self.held.first_entry().filter(|held| *held.key() < floor) {
            let held = entry.remove();
            self.pass_to(held.number);
            self.show(&held, shown);
        }
        self.pass_to(floor);
        self.received.slide_to(floor);
    }

    /// Skips the missing segments before `next`.
    fn pass_to(&mut self, next: u64) {
        if self.passed < next {
            self.passed = next;
            self.begun = None;
            self.gap = true;
        }
    }

    /// Shows the held segments that are next in order.
    fn show_in_order(&mut self, now: Duration, shown: &mut Vec<Shown>) {
        let before = self.passed;
        while let Some(held) = self.held.remove(&self.passed) {
            self.show(&held, shown);
        }
        self.received.slide_over_marked();
        if self.held.is_empty() {
            self.gap_since = None;
        } else if self.gap_since.is_none() || before != self.passed {
            self.gap_since = Some(now);
        }
    }

    /// Shows the messages that end in the next segment.
    fn show(&mut self, arrival: &Arrival, shown: &mut Vec<Shown>) {
        self.passed += 1;
        for part in parts_of(&arrival.parts) {
            if part.is_file {
                shown.push(Shown {
                    text: part.text.to_vec(),
                    path: arrival.path,
                    after_gap: false,
                    is_file: true,
                });
                continue;
            }
            if part.begins {
                self.begun = Some(Vec::new());
            }
            // Without its beginning a message is not shown. Its sender knows.
            let Some(begun) = &mut self.begun else {
                continue;
            };
            if begun.len() + part.text.len() > TEXT_MAX {
                self.begun = None;
                continue;
            }
            begun.extend_from_slice(part.text);
            if part.ends
                && let Some(text) = self.begun.take()
            {
                shown.push(Shown {
                    text,
                    path: arrival.path,
                    after_gap: std::mem::take(&mut self.gap),
                    is_file: false,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
