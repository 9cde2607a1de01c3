//! The user's time zone.

use jiff::tz::TimeZone;
use std::env;

/// The zone that `TZ` names, else that of the system. If `TZ` names none, UTC, and a warning for the user.
#[must_use]
pub fn local() -> (TimeZone, Option<String>) {
    let named = env::var_os("TZ");
    match (TimeZone::try_system(), named) {
        (Ok(zone), _) => (zone, None),
        (Err(_), None) => (TimeZone::UTC, None),
        (Err(_), Some(named)) => {
            let warning = format!(
                "TZ={} is no time zone of this system: times are in UTC; set TZ to a name such as Europe/Berlin",
                named.to_string_lossy()
            );
            (TimeZone::UTC, Some(warning))
        }
    }
}
