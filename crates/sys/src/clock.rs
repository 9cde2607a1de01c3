//! The two clocks that all times are read from.

use chat_proto::now::Now;
use nix::poll::PollTimeout;
use std::time::{Duration, Instant, SystemTime};

/// Reads the wall clock, and a monotonic clock that begins when this is made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both times. A wall clock before 1970 reads as 1970.
    #[must_use]
    pub fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = since_epoch.unwrap_or(Duration::ZERO).as_millis();
        Now {
            monotonic: self.start.elapsed(),
            unix_ms: u64::try_from(millis).unwrap_or(u64::MAX),
        }
    }

    /// The timeout of a `poll(2)` that ends at a deadline on the monotonic clock. Rounded up to a millisecond: rounded
    /// down, the last turns before the deadline would find nothing to do.
    #[must_use]
    pub fn timeout(&self, deadline: Option<Duration>) -> PollTimeout {
        let Some(deadline) = deadline else {
            return PollTimeout::NONE;
        };
        let wait = deadline.saturating_sub(self.start.elapsed());
        let millis = wait.as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    }
}
