//! How many lines a connection may send: the sustained rate, and the burst above it.

use crate::compact::Moment;
use std::num::NonZeroU32;
use std::time::Duration;

/// The rate every connection is held to.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Time that each line takes of the allowance.
    interval: Duration,
    /// Lines that may come at once after a silence, as time.
    tolerance: Duration,
}

impl Rate {
    /// So many lines a second, and so many at once; a burst of 0 counts as 1, or nothing could be said.
    #[must_use]
    pub fn new(per_second: NonZeroU32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self {
            interval,
            tolerance: interval * burst.saturating_sub(1),
        }
    }
}

/// What one connection has used of its [`Rate`], as the generic cell rate algorithm counts it
/// (ITU-T I.371): one number.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// When a connection that had always kept to the rate would send its next line.
    theoretical: Moment,
}

impl Usage {
    /// When the next line may be taken.
    #[must_use]
    pub fn next_at(self, rate: Rate) -> Duration {
        self.theoretical.get().saturating_sub(rate.tolerance)
    }

    /// Counts one line that is taken.
    pub fn count(&mut self, rate: Rate, now: Duration) {
        self.theoretical = (self.theoretical.get().max(now) + rate.interval).into();
    }

    /// Whether one more may be taken now, which is counted then.
    pub fn may(&mut self, rate: Rate, now: Duration) -> bool {
        let may = self.next_at(rate) <= now;
        if may {
            self.count(rate, now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many lines a flooder gets through between two times.
    fn taken(usage: &mut Usage, rate: Rate, from: u64, to: u64) -> usize {
        let mut lines = 0;
        for now in (from..to).map(Duration::from_millis) {
            while usage.may(rate, now) {
                lines += 1;
            }
        }
        lines
    }

    #[test]
    fn a_burst_at_once_then_the_rate() {
        let rate = Rate::new(NonZeroU32::new(50).unwrap(), 200);
        let mut usage = Usage::default();
        assert_eq!(taken(&mut usage, rate, 10_000, 10_001), 200);
        assert_eq!(taken(&mut usage, rate, 10_001, 11_001), 50);
    }

    #[test]
    fn silence_earns_no_more_than_the_burst() {
        let rate = Rate::new(NonZeroU32::new(10).unwrap(), 5);
        let mut usage = Usage::default();
        taken(&mut usage, rate, 0, 5_000);
        assert_eq!(taken(&mut usage, rate, 3_600_000, 3_600_001), 5);
    }

    #[test]
    fn without_a_burst_one_line_still_passes() {
        let rate = Rate::new(NonZeroU32::new(1).unwrap(), 0);
        assert_eq!(taken(&mut Usage::default(), rate, 5_000, 6_000), 1);
    }
}
