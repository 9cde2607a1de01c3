//! The results of a run in one line.

use std::fmt::{self, Display};

/// Names and values in order.
#[derive(Debug, Default)]
pub struct Report(Vec<(&'static str, String)>);

impl Report {
    /// Adds a value.
    pub fn add(&mut self, name: &'static str, value: impl Display) {
        self.0.push((name, value.to_string()));
    }

    /// Adds nanoseconds as milliseconds.
    pub fn add_ms(&mut self, name: &'static str, nanoseconds: u64) {
        self.add(name, format_args!("{:.3}", ratio(nanoseconds, 1_000_000)));
    }

    /// Adds the quotient of two numbers.
    pub fn add_ratio(&mut self, name: &'static str, number: u64, by: u64) {
        self.add(name, format_args!("{:.4}", ratio(number, by)));
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, value)) in self.0.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures are printed to four digits")]
fn ratio(number: u64, by: u64) -> f64 {
    if by == 0 { 0.0 } else { number as f64 / by as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line_of_names_and_values() {
        let mut report = Report::default();
        report.add("scenario", "flat");
        report.add_ms("p50_ms", 1_234_567);
        report.add_ratio("cpu_us", 1, 3);
        report.add_ratio("nothing", 1, 0);
        assert_eq!(
            report.to_string(),
            "scenario=flat p50_ms=1.235 cpu_us=0.3333 nothing=0.0000"
        );
    }
}
