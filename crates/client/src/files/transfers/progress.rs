//! Whether a transfer moves, whose turn it is, and which offers are over.

use super::event::Number;
use super::limits::{ACTIVE_MAX, OPEN_MAX};
use crate::files::request::BLOCK;
use std::collections::BTreeMap;
use std::time::Duration;

/// A transfer that moves less than a block in this time does not keep others waiting.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(30);

/// A transfer of either direction, as far as time matters for it.
pub(super) trait Transfer {
    /// Without an answer, its offer is over then.
    fn offered_until(&self) -> Option<Duration>;
    /// It waits for its turn.
    fn is_waiting(&self) -> bool;
    /// It has had its turn, and its file is open.
    fn is_open(&self) -> bool;
    /// Bytes that are acknowledged, written or hashed.
    fn bytes(&self) -> u64;
    /// Since it was opened.
    fn progress(&self) -> &Progress;
    fn progress_mut(&mut self) -> &mut Progress;
}

/// When to call [`expired`].
pub(super) fn deadline<T: Transfer>(table: &BTreeMap<Number, T>) -> Option<Duration> {
    let offers = table.values().filter_map(T::offered_until);
    let are_any_waiting = table.values().any(T::is_waiting);
    let open = table.values().filter(|file| are_any_waiting && file.is_open());
    let looks = open.filter_map(|file| file.progress().due(file.bytes()));
    offers.chain(looks).min()
}

/// The transfers whose offers are over. Looks at the progress of the open ones, if others wait for them.
pub(super) fn expired<T: Transfer>(table: &mut BTreeMap<Number, T>, now: Duration) -> Vec<Number> {
    if table.values().any(T::is_waiting) {
        for file in table.values_mut().filter(|file| file.is_open()) {
            let bytes = file.bytes();
            file.progress_mut().look(now, bytes);
        }
    }
    let is_over = |file: &T| file.offered_until().is_some_and(|until| until <= now);
    let over = table.iter().filter(|(_, file)| is_over(file));
    over.map(|(&number, _)| number).collect()
}

/// The open transfers of one direction, and those of them that move.
#[derive(Debug)]
pub(super) struct Turns {
    open: usize,
    active: usize,
}

impl Turns {
    pub(super) fn new<T: Transfer>(table: &BTreeMap<Number, T>) -> Self {
        let mut turns = Self { open: 0, active: 0 };
        for file in table.values().filter(|file| file.is_open()) {
            turns.open += 1;
            turns.active += usize::from(!file.progress().is_stalled(file.bytes()));
        }
        turns
    }

    /// Whether one more transfer may be opened; it counts from now on.
    pub(super) fn take(&mut self) -> bool {
        let is_free = self.active < ACTIVE_MAX && self.open < OPEN_MAX;
        if is_free {
            self.open += 1;
            self.active += 1;
        }
        is_free
    }
}

/// How far a transfer was when it was last seen to move. It is looked at only while others wait for it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bytes: u64,
    since: Option<Duration>,
    is_stalled: bool,
}

impl Progress {
    /// The transfer has come so far now.
    fn look(&mut self, now: Duration, bytes: u64) {
        match self.since {
            Some(since) if !self.moved(bytes) => self.is_stalled = now >= since + STALLED_AFTER,
            _ => {
                *self = Self {
                    bytes,
                    since: Some(now),
                    is_stalled: false,
                }
            }
        }
    }

    /// Whether it stood still, and still does.
    fn is_stalled(&self, bytes: u64) -> bool {
        self.is_stalled && !self.moved(bytes)
    }

    /// When to look again.
    fn due(&self, bytes: u64) -> Option<Duration> {
        let at = self.since.map_or(Duration::ZERO, |since| since + STALLED_AFTER);
        (!self.is_stalled(bytes)).then_some(at)
    }

    fn moved(&self, bytes: u64) -> bool {
        bytes < self.bytes || bytes - self.bytes >= BLOCK as u64
    }
}
