//! The state of the connection, as the screen shows it.

use chat_proto::now::Now;
use std::time::Duration;

/// How the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It was made, and the room is about to be told of.
    Joining,
    /// The client is in the room.
    Here,
    /// It is lost.
    Lost {
        /// When it is tried to make it again; `None` while that is tried.
        again: Option<Duration>,
    },
}

impl Link {
    /// Whole seconds to the next try.
    pub(super) fn seconds_left(self, now: Now) -> Option<u64> {
        let Self::Lost { again: Some(again) } = self else {
            return None;
        };
        let left = again.saturating_sub(now.monotonic);
        Some(left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }

    /// When there are fewer than these.
    pub(super) fn deadline(self, seconds_left: Option<u64>) -> Option<Duration> {
        let Self::Lost { again: Some(again) } = self else {
            return None;
        };
        let seconds = seconds_left?.checked_sub(1)?;
        Some(again.saturating_sub(Duration::from_secs(seconds)))
    }
}
