//! Times as people read them, in their own zone.

use crate::settings::Timestamps;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Tells times.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    timestamps: Timestamps,
}

impl Clock {
    /// A clock for this zone that tells times so.
    pub(super) fn new(zone: TimeZone, timestamps: Timestamps) -> Self {
        Self { zone, timestamps }
    }

    /// What stands before a line of this time, with a blank after it. A number that is no time at all that anybody
    /// could mean is dashes.
    pub(super) fn time(&self, unix_ms: u64) -> String {
        let (format, nonsense) = match self.timestamps {
            Timestamps::Off => return String::new(),
            Timestamps::Minutes => ("%H:%M ", "--:-- "),
            Timestamps::Seconds => ("%H:%M:%S ", "--:--:-- "),
        };
        self.zoned(unix_ms)
            .map_or_else(|| nonsense.to_owned(), |zoned| zoned.strftime(format).to_string())
    }

    /// How many columns [`Self::time`] takes.
    pub(super) fn width(&self) -> usize {
        self.time(0).len()
    }

    /// The day.
    pub(super) fn date(&self, unix_ms: u64) -> Option<Date> {
        self.zoned(unix_ms).map(|zoned| zoned.date())
    }

    fn zoned(&self, unix_ms: u64) -> Option<Zoned> {
        let millis = i64::try_from(unix_ms).ok()?;
        let timestamp = Timestamp::from_millisecond(millis).ok()?;
        Some(timestamp.to_zoned(self.zone.clone()))
    }
}

/// A day in words.
pub(super) fn day(date: Date) -> String {
    date.strftime("%A, %-d %B %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_the_zone_and_nonsense_is_dashes() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (timestamps, time) in [
            (Timestamps::Off, ""),
            (Timestamps::Minutes, "00:13 "),
            (Timestamps::Seconds, "00:13:20 "),
        ] {
            let clock = Clock::new(zone.clone(), timestamps);
            assert_eq!(clock.time(1_700_000_000_000), time);
            assert_eq!(clock.time(u64::MAX).len(), time.len());
            assert_eq!(clock.width(), time.len());
        }
        let clock = Clock::new(zone, Timestamps::Minutes);
        assert_eq!(
            day(clock.date(1_700_000_000_000).unwrap()),
            "Wednesday, 15 November 2023"
        );
        for nonsense in [u64::MAX, 1 << 62] {
            assert_eq!(clock.time(nonsense), "--:-- ");
            assert_eq!(clock.date(nonsense), None);
        }
    }
}
