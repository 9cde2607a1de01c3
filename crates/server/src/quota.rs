//! Quotas that all connections from one network share. Limits on connections alone don't bind whoever opens many.

use crate::network::Network;
use crate::rate::{Rate, Usage};
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// Bytes a second: a reader at 1 Mbit/s, which is 125,000, follows two networks that use all of this.
const BYTES: NonZeroU32 = NonZeroU32::MIN.saturating_add(49_999);

/// Bytes at once. The ring of a reader that does not read meanwhile holds more than three of these.
const BYTES_BURST: u32 = 256 * 1024;

/// A line counts as this many bytes at least: a short line to everybody is sent with a name before it.
pub(crate) const LINE_MIN: usize = 128;

/// A user in a list counts as this many bytes.
pub(crate) const USER_BYTES: usize = 32;

/// Networks counted apart. A quota that is not in use takes no place, and those beyond this share one.
const NETWORKS_MAX: usize = 4096;

/// What one network may use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quota {
    /// Bytes of lines. Beyond it, lines wait.
    pub bytes: Option<Rate>,
    /// Connections accepted. Beyond it, they are rejected.
    pub connections: Option<Rate>,
    /// Changes of nicks. Beyond it, they are refused.
    pub nicks: Option<Rate>,
}

impl Quota {
    /// For networks with at most this many users: each of them may connect and take a nick twice at once, and one a
    /// second after that.
    #[must_use]
    pub fn for_users(max_per_address: usize) -> Self {
        let burst = u32::try_from(max_per_address)
            .unwrap_or(u32::MAX)
            .saturating_mul(2);
        let each = Some(Rate::new(NonZeroU32::MIN, burst));
        Self {
            bytes: Some(Rate::new(BYTES, BYTES_BURST)),
            connections: each,
            nicks: each,
        }
    }
}

/// What each network has used of one quota. Loopback addresses are exempt.
///
/// Memory: about 50 bytes for each of at most [`NETWORKS_MAX`].
#[derive(Debug)]
pub(crate) struct Shared {
    rate: Option<Rate>,
    /// By network; those that found no place share `None`.
    used: HashMap<Option<Network>, Usage>,
}

impl Shared {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self {
            rate,
            used: HashMap::new(),
        }
    }

    /// When the network of this address may use more.
    pub(crate) fn next_at(&self, address: IpAddr) -> Duration {
        let Some(rate) = self.rate.filter(|_| !address.is_loopback()) else {
            return Duration::ZERO;
        };
        let network = self.place(Network::of(address));
        self.used
            .get(&network)
            .map_or(Duration::ZERO, |usage| usage.next_at(rate))
    }

    /// Counts what the network of this address has used.
    pub(crate) fn count(&mut self, now: Duration, address: IpAddr, count: usize) {
        let Some(rate) = self.rate.filter(|_| !address.is_loopback()) else {
            return;
        };
        if self.used.len() >= NETWORKS_MAX {
            self.used.retain(|_, usage| !usage.is_unused(now));
        }
        let network = self.place(Network::of(address));
        let usage = self.used.entry(network).or_default();
        usage.count_many(rate, now, u32::try_from(count).unwrap_or(u32::MAX));
    }

    /// Counts one if the quota allows it now. Whether it does.
    pub(crate) fn try_count(&mut self, now: Duration, address: IpAddr) -> bool {
        let may = self.next_at(address) <= now;
        if may {
            self.count(now, address, 1);
        }
        may
    }

    /// The key of a network.
    fn place(&self, network: Network) -> Option<Network> {
        let has_place = self.used.len() < NETWORKS_MAX || self.used.contains_key(&Some(network));
        has_place.then_some(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const NOW: Duration = Duration::from_secs(1000);

    fn shared(burst: u32) -> Shared {
        Shared::new(Some(Rate::new(NonZeroU32::MIN, burst)))
    }

    fn passed(shared: &mut Shared, address: &str, tries: usize) -> usize {
        let address = address.parse().unwrap();
        (0..tries).filter(|_| shared.try_count(NOW, address)).count()
    }

    #[test]
    fn addresses_of_one_network_share_and_loopback_is_exempt() {
        let mut shared = shared(3);
        assert_eq!(passed(&mut shared, "2001:db8::1", 2), 2);
        assert_eq!(passed(&mut shared, "2001:db8::2", 9), 1);
        assert_eq!(passed(&mut shared, "2001:db8:0:1::1", 9), 3);
        assert_eq!(passed(&mut shared, "10.0.0.1", 9), 3);
        assert_eq!(passed(&mut shared, "10.0.0.2", 9), 3);
        assert_eq!(passed(&mut shared, "127.0.0.1", 9), 9);
    }

    #[test]
    fn more_networks_than_are_counted_apart_share_a_quota() {
        let mut shared = shared(2);
        let address = |n: u32| IpAddr::from(Ipv4Addr::from_bits(0x0A00_0000 + n));
        let count = u32::try_from(NETWORKS_MAX).unwrap();
        assert!((0..count).all(|n| shared.try_count(NOW, address(n))));
        let beyond = (count..2 * count).filter(|&n| shared.try_count(NOW, address(n)));
        assert_eq!(beyond.count(), 2);
        assert_eq!(shared.used.len(), NETWORKS_MAX + 1);
        assert!(shared.try_count(NOW, address(0)), "it is counted apart");
        // Later there is room again.
        assert!(shared.try_count(NOW + Duration::from_secs(9), address(count)));
        assert_eq!(shared.used.len(), 1);
    }
}
