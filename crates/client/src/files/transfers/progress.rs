//! Whether a transfer moves.

use crate::files::request::BLOCK;
use std::time::Duration;

/// A transfer that moves less than a block in this time does not keep others waiting.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(30);

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
    pub(super) fn is_stalled(&self, bytes: u64) -> bool {
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
