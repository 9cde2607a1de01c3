//! Rate limits: the sustained rate, and the burst above it.

use crate::compact::Timestamp;
use std::num::NonZeroU32;
use std::time::Duration;

/// A rate limit: of lines for each connection, and of what [`crate::quota`] counts for each network.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// The time between two lines, or whatever is counted, at this rate.
    interval: Duration,
    /// The burst, as time.
    tolerance: Duration,
}

impl Rate {
    /// Allows this many a second, and this many at once. A burst of 0 counts as 1, or nothing could be sent.
    #[must_use]
    pub fn new(per_second: NonZeroU32, burst: u32) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        Self {
            interval,
            tolerance: interval * burst.saturating_sub(1),
        }
    }
}

/// What has been used of a [`Rate`], by the generic cell rate algorithm (ITU-T I.371).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Usage {
    /// The theoretical arrival time of the next line.
    theoretical: Timestamp,
}

impl Usage {
    /// When the next line may be processed.
    #[must_use]
    pub fn next_at(self, rate: Rate) -> Duration {
        self.theoretical.get().saturating_sub(rate.tolerance)
    }

    /// Counts one line.
    pub fn count(&mut self, rate: Rate, now: Duration) {
        self.count_many(rate, now, 1);
    }

    /// Counts so many. They may exceed what the rate allows: the next one waits the longer.
    pub fn count_many(&mut self, rate: Rate, now: Duration, count: u32) {
        self.theoretical = (self.theoretical.get().max(now) + rate.interval * count).into();
    }

    /// Whether nothing of it is used any more.
    #[must_use]
    pub fn is_unused(self, now: Duration) -> bool {
        self.theoretical.get() <= now
    }

    /// Counts one line if the rate allows it now. Whether it does.
    pub fn try_count(&mut self, rate: Rate, now: Duration) -> bool {
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

    /// How many lines of a flood pass between two times.
    fn taken(usage: &mut Usage, rate: Rate, from: u64, to: u64) -> usize {
        let mut lines = 0;
        for now in (from..to).map(Duration::from_millis) {
            while usage.try_count(rate, now) {
                lines += 1;
            }
        }
        lines
    }

    #[test]
    fn a_burst_passes_then_the_rate() {
        let rate = Rate::new(NonZeroU32::new(50).unwrap(), 200);
        let mut usage = Usage::default();
        assert_eq!(taken(&mut usage, rate, 10_000, 10_001), 200);
        assert_eq!(taken(&mut usage, rate, 10_001, 11_001), 50);
    }

    #[test]
    fn silence_earns_at_most_the_burst() {
        let rate = Rate::new(NonZeroU32::new(10).unwrap(), 5);
        let mut usage = Usage::default();
        taken(&mut usage, rate, 0, 5_000);
        assert_eq!(taken(&mut usage, rate, 3_600_000, 3_600_001), 5);
    }

    #[test]
    fn a_burst_of_zero_lets_one_line_pass() {
        let rate = Rate::new(NonZeroU32::new(1).unwrap(), 0);
        assert_eq!(taken(&mut Usage::default(), rate, 5_000, 6_000), 1);
    }
}
