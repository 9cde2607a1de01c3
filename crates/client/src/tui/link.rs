//! The state of the connection, as the screen shows it.

use chat_proto::now::Now;
use std::time::Duration;

/// The state of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// Connected, and not in the room yet.
    Joining,
    /// In the room.
    Joined,
    Lost {
        /// The time of the next attempt; `None` during one.
        retry_at: Option<Duration>,
    },
}

impl Link {
    /// The seconds to the next attempt, rounded up.
    pub(super) fn seconds_left(self, now: Now) -> Option<u64> {
        let Self::Lost {
            retry_at: Some(retry_at),
        } = self
        else {
            return None;
        };
        let left = retry_at.saturating_sub(now.monotonic);
        Some(left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }

    /// The time from which fewer seconds are left.
    pub(super) fn deadline(self, seconds_left: Option<u64>) -> Option<Duration> {
        let Self::Lost {
            retry_at: Some(retry_at),
        } = self
        else {
            return None;
        };
        let seconds = seconds_left?.checked_sub(1)?;
        Some(retry_at.saturating_sub(Duration::from_secs(seconds)))
    }
}
