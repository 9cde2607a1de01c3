//! The retransmission timeout (RFC 6298).

use std::time::Duration;

/// The timeout before the first measurement.
const INITIAL: Duration = Duration::from_millis(500);

/// The shortest timeout. RFC 6298 says 1 s, but at the rate at which people write, a spurious
/// datagram is harmless.
const MIN: Duration = Duration::from_millis(250);

/// The longest timeout, after doublings.
const MAX: Duration = Duration::from_secs(8);

/// The round-trip times of one path, and the timeout that follows from them.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimator {
    /// The smoothed round trip and its variation.
    measured: Option<(Duration, Duration)>,
    /// Timeouts since the last measurement. Each doubles the next one.
    doublings: u32,
}

impl Estimator {
    /// Adds a round-trip time. The caller measures only segments that were sent once (Karn's rule,
    /// RFC 6298, section 3).
    pub(super) fn measure(&mut self, round_trip: Duration) {
        let (smoothed, variation) = match self.measured {
            None => (round_trip, round_trip / 2),
            Some((smoothed, variation)) => (
                (smoothed * 7 + round_trip) / 8,
                (variation * 3 + smoothed.abs_diff(round_trip)) / 4,
            ),
        };
        self.measured = Some((smoothed, variation));
        self.doublings = 0;
    }

    /// Doubles the timeout until the next measurement.
    pub(super) fn timed_out(&mut self) {
        self.doublings = (self.doublings + 1).min(8);
    }

    /// How long an answer can take, as far as is known: the timeout without bounds and doublings.
    /// `None` before the first measurement.
    pub(super) fn expected(&self) -> Option<Duration> {
        self.measured
            .map(|(smoothed, variation)| smoothed + variation * 4)
    }

    /// The timeout without doublings.
    pub(super) fn base(&self) -> Duration {
        self.expected().unwrap_or(INITIAL).clamp(MIN, MAX)
    }

    /// The current timeout. `jitter` is random and changes it by up to a tenth, so that peers don't
    /// synchronize.
    pub(super) fn wait(&self, jitter: u8) -> Duration {
        let wait = (self.base() * (1 << self.doublings)).min(MAX);
        wait * 9 / 10 + wait / 5 * u32::from(jitter) / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The middle of the range that jitter leaves, in ms.
    fn wait(estimator: &Estimator) -> u128 {
        (estimator.wait(0) + estimator.wait(255)).as_millis() / 2
    }

    #[test]
    fn unmeasured_it_starts_at_500_ms_and_doubles_up_to_8_s() {
        let mut estimator = Estimator::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            waits.push(wait(&estimator));
            estimator.timed_out();
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    }

    #[test]
    fn it_follows_the_formulas_of_rfc_6298() {
        let mut estimator = Estimator::default();
        estimator.measure(ms(800));
        assert_eq!(estimator.base(), ms(800 + 4 * 400));
        estimator.measure(ms(400));
        // The variation uses the previous smoothed value: (3 * 400 + |800 - 400|) / 4 = 400.
        assert_eq!(estimator.base(), ms(750 + 4 * 400));
    }

    #[test]
    fn it_is_never_shorter_than_250_ms() {
        let mut estimator = Estimator::default();
        for _ in 0..100 {
            estimator.measure(ms(1));
        }
        assert_eq!(estimator.base(), ms(250));
    }

    #[test]
    fn only_a_measurement_ends_the_doubling() {
        let mut estimator = Estimator::default();
        estimator.measure(ms(10));
        estimator.timed_out();
        estimator.timed_out();
        assert_eq!(wait(&estimator), 1000);
        estimator.measure(ms(10));
        assert_eq!(wait(&estimator), 250);
    }

    #[test]
    fn jitter_changes_it_by_a_tenth_at_most() {
        let estimator = Estimator::default();
        assert_eq!(estimator.wait(0), ms(450));
        assert_eq!(estimator.wait(255), ms(550));
    }
}
