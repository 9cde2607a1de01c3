//! A histogram of durations.

/// The binary logarithm of the buckets for each doubling: each value is known to within 1/64.
const PRECISION: u32 = 6;

/// Counts of durations in nanoseconds. The memory does not depend on their number.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; (64 - PRECISION as usize + 1) << PRECISION].into(),
            count: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, nanoseconds: u64) {
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += 1;
        }
        self.count += 1;
        self.max = self.max.max(nanoseconds);
    }

    /// The number of durations.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest duration.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// The duration that this many of a thousand did not exceed.
    #[must_use]
    pub fn permille(&self, permille: u64) -> u64 {
        let due = (self.count * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= due {
                return upper(bucket).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(value: u64) -> usize {
    let doublings = (value >> PRECISION).checked_ilog2().map_or(0, |log| log + 1);
    let within = value >> doublings.saturating_sub(1);
    let first = if doublings == 0 {
        0
    } else {
        u64::from(doublings) << PRECISION
    };
    usize::try_from(first + (within & ((1 << PRECISION) - 1))).unwrap_or_default()
}

/// The largest value in a bucket.
fn upper(bucket: usize) -> u64 {
    let (doublings, within) = (bucket >> PRECISION, bucket & ((1 << PRECISION) - 1));
    let within = within as u64;
    match doublings.checked_sub(1) {
        None => within,
        Some(shift) => ((1 << PRECISION | within) << shift) + ((1 << shift) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_bounds_its_values_closely() {
        for shift in 0..40 {
            for value in [1_u64 << shift, (1 << shift) + 1, (3 << shift) - 1] {
                let end = upper(bucket(value));
                assert!(value <= end && end - value <= value / 64, "{value} {end}");
            }
        }
    }

    #[test]
    fn percentiles_follow_the_counts() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.permille(500), 0);
        for value in 1..=1000 {
            histogram.record(value * 1000);
        }
        assert!(histogram.permille(500).abs_diff(500_000) <= 500_000 / 64);
        assert!(histogram.permille(990).abs_diff(990_000) <= 990_000 / 64);
        assert_eq!((histogram.max(), histogram.count()), (1_000_000, 1000));
    }
}
