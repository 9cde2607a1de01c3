//! Times and days in the user's time zone.

use crate::format::timestamp;
use crate::settings::Timestamps;
use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The time zone and the format of times.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    timestamps: Timestamps,
}

impl Clock {
    pub(super) fn new(zone: TimeZone, timestamps: Timestamps) -> Self {
        Self { zone, timestamps }
    }

    /// The time before a line, with a space after it; dashes if no calendar has it.
    pub(super) fn time(&self, unix_ms: u64) -> String {
        let (format, impossible) = match self.timestamps {
            Timestamps::Off => return String::new(),
            Timestamps::Minutes => ("%H:%M ", "--:-- "),
            Timestamps::Seconds => ("%H:%M:%S ", "--:--:-- "),
        };
        self.zoned(unix_ms).map_or_else(
            || impossible.to_owned(),
            |zoned| zoned.strftime(format).to_string(),
        )
    }

    /// Whether two times differ as they are shown: zones differ by whole minutes.
    pub(super) fn differ(&self, one: u64, other: u64) -> bool {
        let precision = match self.timestamps {
            Timestamps::Off => return false,
            Timestamps::Minutes => 60_000,
            Timestamps::Seconds => 1000,
        };
        one / precision != other / precision
    }

    /// The width of [`Self::time`] in columns.
    pub(super) fn width(&self) -> usize {
        self.time(0).len()
    }

    pub(super) fn date(&self, unix_ms: u64) -> Option<Date> {
        self.zoned(unix_ms).map(|zoned| zoned.date())
    }

    fn zoned(&self, unix_ms: u64) -> Option<Zoned> {
        Some(timestamp(unix_ms)?.to_zoned(self.zone.clone()))
    }
}

/// A date in words.
pub(super) fn day(date: Date) -> String {
    date.strftime("%A %-d %B").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_impossible_ones_are_dashes() {
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
            assert!(!clock.differ(1_700_000_000_000, 1_700_000_000_999));
            assert_eq!(
                clock.differ(1_700_000_000_000, 1_700_000_040_000),
                !time.is_empty()
            );
        }
        let clock = Clock::new(zone, Timestamps::Minutes);
        assert_eq!(
            day(clock.date(1_700_000_000_000).unwrap()),
            "Wednesday 15 November"
        );
        for impossible in [u64::MAX, 1 << 62] {
            assert_eq!(clock.time(impossible), "--:-- ");
            assert_eq!(clock.date(impossible), None);
        }
    }
}
