//! Limits on guessing a secret: each network has some free guesses, and then waits longer and longer.

use crate::roster::network_of;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Wrong guesses that cost nothing, for typing errors.
const FREE: u32 = 5;

/// The wait after the next one. It doubles with each further one, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Guesses that are this old count no more.
const MEMORY: Duration = Duration::from_secs(3600);

/// Networks counted apart. When there are more, those that guessed wrong beyond this share one count.
const NETWORKS_MAX: usize = 1024;

/// The wrong guesses of each network.
///
/// Memory: about 60 bytes for each of at most [`NETWORKS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    wrong: HashMap<Option<IpAddr>, Wrong>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wrong {
    count: u32,
    last: Duration,
}

impl Wrong {
    fn waits_until(self) -> Duration {
        let Some(beyond) = self.count.checked_sub(FREE + 1) else {
            return Duration::ZERO;
        };
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(beyond));
        self.last + wait.min(LONGEST_WAIT)
    }
}

impl Guesses {
    /// How long the network of this address has to wait before it may guess.
    pub(crate) fn wait(&self, now: Duration, address: IpAddr) -> Option<Duration> {
        let wrong = self.wrong.get(&self.place(address))?;
        let wait = wrong.waits_until().saturating_sub(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// The network of this address guessed wrong.
    pub(crate) fn count(&mut self, now: Duration, address: IpAddr) {
        self.wrong.retain(|_, wrong| wrong.last + MEMORY > now);
        let wrong = self.wrong.entry(self.place(address)).or_default();
        wrong.count = wrong.count.saturating_add(1);
        wrong.last = now;
    }

    /// The key of a network.
    fn place(&self, address: IpAddr) -> Option<IpAddr> {
        let network = Some(network_of(address));
        let has_place = self.wrong.len() < NETWORKS_MAX || self.wrong.contains_key(&network);
        network.filter(|_| has_place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_guesses_are_free_and_waits_double_to_a_minute() {
        let mut guesses = Guesses::default();
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let mut now = Duration::from_secs(100);
        let mut waits = Vec::new();
        for _ in 0..12 {
            guesses.count(now, address);
            let wait = guesses.wait(now, address).unwrap_or_default();
            waits.push(wait.as_secs());
            now += wait;
        }
        assert_eq!(waits, [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60]);
        guesses.count(now, address);
        let (same, other) = ("2001:db8::2", "2001:db8:0:1::1");
        assert!(guesses.wait(now, same.parse().unwrap()).is_some());
        assert_eq!(guesses.wait(now, other.parse().unwrap()), None);
        now += MEMORY;
        guesses.count(now, address);
        assert_eq!(guesses.wait(now, address), None);
    }

    #[test]
    fn networks_beyond_those_counted_apart_share_a_count() {
        let mut guesses = Guesses::default();
        let address = |n: u32| IpAddr::V4((0x0A00_0000 + n).into());
        for n in 0..2000 {
            guesses.count(Duration::ZERO, address(n));
        }
        assert_eq!(guesses.wrong.len(), NETWORKS_MAX + 1);
        assert_eq!(guesses.wait(Duration::ZERO, address(0)), None);
        assert!(guesses.wait(Duration::ZERO, address(1_000_000)).is_some());
    }
}
