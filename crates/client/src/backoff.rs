//! How long to wait before a lost connection is tried again.

use std::time::Duration;

/// The first wait, at least.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, without what chance adds.
const LONGEST: Duration = Duration::from_secs(20);

/// Waits that double, each longer by up to a half, as chance has it: else all the clients of a server that comes back would
/// come back in the same moment. So the waits begin at 1 to 1.5 seconds and end at 20 to 30.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// How long to wait now; `random` is any number, each as likely as the others.
    pub fn wait(&mut self, random: u64) -> Duration {
        let least = self.next;
        self.next = (least * 2).min(LONGEST);
        let share = u32::try_from(random % 1000).unwrap_or(0);
        least + least / 2 * share / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_half_a_minute() {
        let waits = |random: u64| {
            let mut backoff = Backoff::default();
            std::iter::repeat_with(move || backoff.wait(random).as_millis())
                .take(7)
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(0), [1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
        assert_eq!(waits(500), [1_250, 2_500, 5_000, 10_000, 20_000, 25_000, 25_000]);
        for random in [999, u64::MAX, 123_456_789] {
            assert!(waits(random).iter().all(|&wait| (1_000..30_000).contains(&wait)));
        }
    }
}
