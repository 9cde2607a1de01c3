//! Whether a transfer moves, and whose turn it is.

use super::limits::{ACTIVE_MAX, OPEN_MAX};
use crate::files::request::BLOCK;
use std::time::Duration;

/// A transfer that moves less than a block in this time does not keep others waiting.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(30);

/// The open transfers of one direction, and those of them that move.
#[derive(Debug)]
pub(super) struct Turns {
    open: usize,
    active: usize,
}

impl Turns {
    /// From the progress and the bytes of each open transfer.
    pub(super) fn new<'a>(open: impl Iterator<Item = (&'a Progress, u64)>) -> Self {
        let mut turns = Self { open: 0, active: 0 };
        for (progress, bytes) in open {
            turns.open += 1;
            turns.active += usize::from(!progress.is_stalled(bytes));
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
    pub(super) fn look(&mut self, now: Duration, bytes: u64) {
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
    pub(super) fn due(&self, bytes: u64) -> Option<Duration> {
        let at = self.since.map_or(Duration::ZERO, |since| since + STALLED_AFTER);
        (!self.is_stalled(bytes)).then_some(at)
    }

    fn moved(&self, bytes: u64) -> bool {
        bytes < self.bytes || bytes - self.bytes >= BLOCK as u64
    }
}
