//! How long to wait for an answer before sending again (RFC 6298).

use std::time::Duration;

/// The wait before anything was measured.
const INITIAL: Duration = Duration::from_millis(500);

/// The shortest wait. RFC 6298 says a second; at the rate at which people write, a datagram too many is harmless.
const MIN: Duration = Duration::from_millis(250);

/// The longest wait, after doublings.
const MAX: Duration = Duration::from_secs(8);

/// Round-trip times of one way to a peer, and the retransmission timeout that follows from them.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimator {
    /// The smoothed round trip and its variation.
    measured: Option<(Duration, Duration)>,
    /// Timeouts since the last measurement: each doubles the wait.
    doublings: u32,
}

impl Estimator {
    /// Takes a measured round trip. Of something that was sent twice none can be measured, because
    /// nobody knows which of the two was answered (Karn's rule, RFC 6298, section 3); the caller sees to that.
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

    /// Nothing came in time: wait twice as long, until something can be measured again.
    pub(super) fn timed_out(&mut self) {
        self.doublings = (self.doublings + 1).min(8);
    }

    /// The wait before any doubling.
    pub(super) fn base(&self) -> Duration {
        self.measured
            .map_or(INITIAL, |(smoothed, variation)| smoothed + variation * 4)
            .clamp(MIN, MAX)
    }

    /// The wait as it is now. `jitter` is random and moves it by up to a tenth either way, so that two
    /// peers, or two messages, don't keep step.
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
    fn before_any_measurement_it_is_half_a_second_and_doubles_up_to_eight() {
        let mut estimator = Estimator::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            waits.push(wait(&estimator));
            estimator.timed_out();
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    }

    #[test]
    fn it_follows_the_formulas_of_the_rfc() {
        let mut estimator = Estimator::default();
        estimator.measure(ms(800));
        assert_eq!(estimator.base(), ms(800 + 4 * 400));
        estimator.measure(ms(400));
        // The variation takes the smoothed value from before: (3 * 400 + |800 - 400|) / 4 = 400.
        assert_eq!(estimator.base(), ms(750 + 4 * 400));
    }

    #[test]
    fn it_never_waits_less_than_a_quarter_of_a_second() {
        let mut estimator = Estimator::default();
        for _ in 0..100 {
            estimator.measure(ms(1));
        }
        assert_eq!(estimator.base(), ms(250));
    }

    #[test]
    fn a_measurement_ends_the_doubling_and_nothing_else_does() {
        let mut estimator = Estimator::default();
        estimator.measure(ms(10));
        estimator.timed_out();
        estimator.timed_out();
        assert_eq!(wait(&estimator), 1000);
        estimator.measure(ms(10));
        assert_eq!(wait(&estimator), 250);
    }

    #[test]
    fn jitter_moves_it_by_a_tenth_at_most() {
        let estimator = Estimator::default();
        assert_eq!(estimator.wait(0), ms(450));
        assert_eq!(estimator.wait(255), ms(550));
    }
}
