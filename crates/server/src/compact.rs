//! A time on the room's clock, small enough to remember several of for each connection.

use std::num::NonZeroU64;
use std::time::Duration;

/// A time or a span, in eight bytes where a [`Duration`] takes sixteen; so does an `Option` of it.
///
/// It holds nanoseconds and one more: 584 years, after which time stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(NonZeroU64);

impl Moment {
    /// The beginning, or no time at all.
    pub const ZERO: Self = Self(NonZeroU64::MIN);

    /// As a duration, which is what is reckoned with.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_nanos(self.0.get() - 1)
    }
}

impl From<Duration> for Moment {
    fn from(time: Duration) -> Self {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(NonZeroU64::MIN.saturating_add(nanos))
    }
}

impl Default for Moment {
    fn default() -> Self {
        Self::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_time_it_was_made_of_and_takes_eight_bytes() {
        for time in [0, 1, 999_999_999, 1 << 40, u64::MAX - 1].map(Duration::from_nanos) {
            assert_eq!(Moment::from(time).get(), time);
        }
        assert_eq!(
            Moment::from(Duration::MAX).get(),
            Duration::from_nanos(u64::MAX - 1)
        );
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
