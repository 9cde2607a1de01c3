//! The time, as pure code is told it.

use std::time::Duration;

/// One reading of the two clocks that matter, handed into pure code with every input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since some fixed start: what timers and deadlines are measured on. The wall
    /// clock being set does not move it.
    pub monotonic: Duration,
    /// Milliseconds since the Unix epoch by the wall clock: only ever shown to people.
    pub unix_ms: u64,
}
