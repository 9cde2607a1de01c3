//! The receiving half of a conversation: what has come, and in what order it is shown.

use super::event::Path;
use super::packet::parts_of;
use super::window::{Place, Window};
use chat_proto::TEXT_MAX;
use std::collections::BTreeMap;
use std::time::Duration;

/// Segments held back for one that is missing, at most: 64 x 1.2 KB = 77 KB for each peer.
pub(super) const HELD_MAX: usize = 64;

/// A missing segment is waited for this long; then what was held back is shown without it.
pub(super) const GAP_PATIENCE: Duration = Duration::from_secs(2);

/// Invariant: `came.base() <= passed`; every segment in `held` is after `passed` and marked in `came`.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// The segments that have come. Before its base, all have, or their sender has given them up.
    came: Window,
    /// Segments before this are shown, or never will be.
    passed: u64,
    held: BTreeMap<u64, Held>,
    /// Since when `passed` waits for a missing segment; set while something is held.
    gap_since: Option<Duration>,
    /// The beginning of a message whose end is in segments to come. At most `TEXT_MAX` bytes.
    begun: Option<Vec<u8>>,
    /// Something before the next message is missing.
    gap: bool,
}

#[derive(Debug)]
struct Held {
    parts: Vec<u8>,
    path: Path,
}

/// A message to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: Vec<u8>,
    pub(super) path: Path,
    pub(super) after_gap: bool,
}

/// What to do about a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was taken. To be acknowledged.
    New,
    /// It came before, or was given up, or what follows it was shown already. To be acknowledged again.
    Known,
    /// As if it never came.
    Dropped,
}

impl Receiver {
    /// The acks: all before this number; and bit i for the i-th after it.
    pub(super) fn acks(&self) -> (u64, u64) {
        (self.came.base(), self.came.after_base())
    }

    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// Bytes held back.
    pub(super) fn held_bytes(&self) -> usize {
        self.held.values().map(|held| held.parts.len()).sum()
    }

    /// Whether a segment may be held back has to be known beforehand: `may_hold` says that there is memory.
    pub(super) fn segment(
        &mut self,
        now: Duration,
        number: u64,
        floor: u64,
        parts: Vec<u8>,
        path: Path,
        may_hold: bool,
    ) -> (Verdict, Vec<Shown>) {
        let mut shown = Vec::new();
        if floor > number {
            return (Verdict::Dropped, shown);
        }
        self.give_up_before(floor, &mut shown);
        let verdict = match self.came.place(number) {
            Place::LongPast | Place::Beyond => Verdict::Dropped,
            Place::Seen => Verdict::Known,
            Place::New if number < self.passed => Verdict::Known,
            Place::New if number == self.passed && self.lacks_beginning(&parts) => {
                self.pass_to(number + 1);
                Verdict::Known
            }
            Place::New if number == self.passed => {
                self.came.mark(number);
                self.show(&parts, path, &mut shown);
                Verdict::New
            }
            Place::New if may_hold && self.held.len() < HELD_MAX => {
                self.came.mark(number);
                self.held.insert(number, Held { parts, path });
                Verdict::New
            }
            Place::New => Verdict::Dropped,
        };
        self.show_what_follows(now, &mut shown);
        (verdict, shown)
    }

    /// When [`Self::pass_gap`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.gap_since.map(|since| since + GAP_PATIENCE)
    }

    /// Shows what was held back, if what is missing has been waited for long enough.
    pub(super) fn pass_gap(&mut self, now: Duration) -> Vec<Shown> {
        let mut shown = Vec::new();
        if self.deadline().is_some_and(|deadline| deadline <= now)
            && let Some(&next) = self.held.keys().next()
        {
            self.pass_to(next);
            self.show_what_follows(now, &mut shown);
        }
        shown
    }

    /// Shows all that was held back: nothing more will come for some time.
    pub(super) fn flush(&mut self) -> Vec<Shown> {
        let mut shown = Vec::new();
        while let Some(&next) = self.held.keys().next() {
            self.pass_to(next);
            self.show_what_follows(Duration::ZERO, &mut shown);
        }
        self.begun = None;
        shown
    }

    /// Whether a segment goes on with a message whose beginning was dropped, when its sender seemed to have left. It is
    /// passed over like one that is missing, so that its sender learns that the message is not shown.
    fn lacks_beginning(&self, parts: &[u8]) -> bool {
        self.begun.is_none() && parts_of(parts).next().is_some_and(|part| !part.begins)
    }

    /// The sender will not send what is before `floor` again.
    fn give_up_before(&mut self, floor: u64, shown: &mut Vec<Shown>) {
        while let Some(entry) = self.held.first_entry().filter(|held| *held.key() < floor) {
            let number = *entry.key();
            let held = entry.remove();
            self.pass_to(number);
            self.show(&held.parts, held.path, shown);
        }
        self.pass_to(floor);
        self.came.slide_to(floor);
    }

    /// Goes on to `next` over what is missing before it.
    fn pass_to(&mut self, next: u64) {
        if self.passed < next {
            self.passed = next;
            self.begun = None;
            self.gap = true;
        }
    }

    /// Shows what was held back and is next now.
    fn show_what_follows(&mut self, now: Duration, shown: &mut Vec<Shown>) {
        let before = self.passed;
        while let Some(held) = self.held.remove(&self.passed) {
            self.show(&held.parts, held.path, shown);
        }
        self.came.slide_over_marked();
        if self.held.is_empty() {
            self.gap_since = None;
        } else if self.gap_since.is_none() || before != self.passed {
            self.gap_since = Some(now);
        }
    }

    /// Shows the segment that is next: the messages that end in it.
    fn show(&mut self, parts: &[u8], path: Path, shown: &mut Vec<Shown>) {
        self.passed += 1;
        for part in parts_of(parts) {
            if part.begins {
                self.begun = Some(Vec::new());
            }
            // The end of a message whose beginning is missing: its sender knows.
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
                let after_gap = std::mem::take(&mut self.gap);
                shown.push(Shown {
                    text,
                    path,
                    after_gap,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
