//! The time, which pure code receives as an argument.

use std::time::Duration;

/// One reading of both clocks, passed to pure code with every input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since a fixed start, for timers and deadlines. Setting the wall clock does not change it.
    pub monotonic: Duration,
    /// Milliseconds since the Unix epoch by the wall clock, only shown to people.
    pub unix_ms: u64,
}
