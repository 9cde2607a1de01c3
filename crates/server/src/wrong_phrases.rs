//! Wrong passphrases, by network: from where none is taken for a while.

use crate::roster::network_of;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Wrong passphrases of a network that cost it nothing: people mistype.
const FREE: u32 = 5;

/// As many of these as for a /64 are free for a /48 of IPv6, which may be that of one customer and has 65,536 networks.
const FREE_WIDE: u32 = 8 * FREE;

/// The wait after the last free one. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The longest wait. A network then guesses 1,440 times a day.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A network without a wrong passphrase for this long begins anew.
const MEMORY: Duration = Duration::from_secs(3600);

/// For how long the guesses of others in a network don't keep its members out.
const TRUST: Duration = Duration::from_secs(24 * 3600);

/// Networks counted apart; those beyond this share one count. As many are remembered for having got in.
const NETWORKS_MAX: usize = 4096;

/// What is known of the networks that tried passphrases. Loopback addresses are exempt.
///
/// Memory: about 60 bytes for each of at most 2 x [`NETWORKS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct WrongPhrases {
    wrong: HashMap<Place, Wrong>,
    /// Networks from which the passphrase came, and until when that counts.
    trusted: HashMap<IpAddr, Duration>,
}

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// An IPv4 address or a /64 of IPv6.
    Network(IpAddr),
    /// A /48 of IPv6.
    Site(Ipv6Addr),
    /// All that found no place.
    Others,
}

#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    last: Duration,
    /// Nothing is taken from there before this time.
    until: Duration,
}

impl WrongPhrases {
    /// Whether a passphrase is taken from this address now.
    pub(crate) fn may_try(&self, now: Duration, address: IpAddr) -> bool {
        let is_open = |place| self.wrong.get(&place).is_none_or(|wrong| wrong.until <= now);
        self.is_exempt(now, address) || self.places(address).into_iter().flatten().all(is_open)
    }

    /// A wrong passphrase came from this address.
    pub(crate) fn count(&mut self, now: Duration, address: IpAddr) {
        if self.is_exempt(now, address) {
            return;
        }
        if self.wrong.len() >= NETWORKS_MAX {
            self.wrong.retain(|_, wrong| wrong.last + MEMORY > now);
        }
        for place in self.places(address).into_iter().flatten() {
            let fresh = Wrong {
                count: 0,
                last: now,
                until: now,
            };
            let wrong = self.wrong.entry(place).or_insert(fresh);
            if wrong.last + MEMORY <= now {
                *wrong = fresh;
            }
            wrong.count = wrong.count.saturating_add(1);
            wrong.last = now;
            let free = match place {
                Place::Network(_) | Place::Others => FREE,
                Place::Site(_) => FREE_WIDE,
            };
            if let Some(further) = wrong.count.checked_sub(free) {
                let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(further));
                wrong.until = now + doubled.min(LONGEST_WAIT);
            }
        }
    }

    /// The passphrase came from this address.
    pub(crate) fn trust(&mut self, now: Duration, address: IpAddr) {
        let network = network_of(address);
        if self.trusted.len() >= NETWORKS_MAX && !self.trusted.contains_key(&network) {
            let oldest = self.trusted.iter().min_by_key(|&(_, &until)| until);
            if let Some((&oldest, _)) = oldest {
                self.trusted.remove(&oldest);
            }
        }
        self.trusted.insert(network, now + TRUST);
        self.wrong.remove(&Place::Network(network));
    }

    fn is_exempt(&self, now: Duration, address: IpAddr) -> bool {
        let trusted = self.trusted.get(&network_of(address));
        address.is_loopback() || trusted.is_some_and(|&until| until > now)
    }

    /// Where an address is counted.
    fn places(&self, address: IpAddr) -> [Option<Place>; 2] {
        let site = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => Some(Place::Site(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80))),
        };
        let has_place = |place| self.wrong.len() < NETWORKS_MAX || self.wrong.contains_key(&place);
        let network = Some(Place::Network(network_of(address)));
        [network, site].map(|place| place.map(|place| if has_place(place) { place } else { Place::Others }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Tries wrong passphrases from these addresses in turn as soon as one is taken, and returns the waits before each.
    fn waits(guesses: &mut WrongPhrases, addresses: &[&str], tries: usize) -> Vec<u64> {
        let (mut now, mut waits) = (START, Vec::new());
        for address in addresses.iter().cycle().take(tries) {
            let address = address.parse().unwrap();
            let begun = now;
            while !guesses.may_try(now, address) {
                now += secs(1);
            }
            waits.push((now - begun).as_secs());
            guesses.count(now, address);
        }
        waits
    }

    #[test]
    fn five_are_free_and_then_the_wait_doubles_to_a_minute() {
        let expected = [0, 0, 0, 0, 0, 2, 4, 8, 16, 32, 60, 60];
        assert_eq!(waits(&mut WrongPhrases::default(), &["10.0.0.1"], 12), expected);
        let network = ["2001:db8::1", "2001:db8::2"];
        assert_eq!(waits(&mut WrongPhrases::default(), &network, 12), expected);
        assert_eq!(waits(&mut WrongPhrases::default(), &["127.0.0.1"], 12), [0; 12]);
    }

    #[test]
    fn networks_of_a_site_wait_after_eight_times_as_many() {
        let sites: Vec<String> = (0..50).map(|n| format!("2001:db8:1:{n:x}::1")).collect();
        let sites: Vec<&str> = sites.iter().map(String::as_str).collect();
        let waits = waits(&mut WrongPhrases::default(), &sites, 44);
        assert_eq!(waits[..40], [0; 40]);
        assert_eq!(waits[40..], [2, 4, 8, 16]);
    }

    #[test]
    fn other_networks_and_those_that_got_in_wait_for_nobody() {
        let mut guesses = WrongPhrases::default();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        guesses.trust(START, address("2001:db8::7"));
        waits(&mut guesses, &["2001:db8::1"], 100);
        assert!(guesses.may_try(START, address("2001:db8::8")));
        waits(&mut guesses, &["2001:db8:0:1::1"], 6);
        assert!(!guesses.may_try(START, address("2001:db8:0:1::2")));
        assert!(guesses.may_try(START, address("2001:db8:0:2::1")));
        guesses.trust(START, address("2001:db8:0:1::2"));
        assert!(guesses.may_try(START, address("2001:db8:0:1::1")));
    }

    #[test]
    fn a_network_begins_anew_after_an_hour() {
        let (mut guesses, address) = (WrongPhrases::default(), "10.0.0.1".parse().unwrap());
        for _ in 0..5 {
            guesses.count(START, address);
        }
        let later = START + MEMORY;
        guesses.count(later, address);
        assert!(guesses.may_try(later, address));
    }

    #[test]
    fn memory_is_bounded_and_the_others_share_a_count() {
        let mut guesses = WrongPhrases::default();
        for n in 0..20_000_u128 {
            let address = Ipv6Addr::from_bits(0x2001 << 112 | n << 80).into();
            guesses.count(START, address);
            guesses.trust(START + secs(1), Ipv6Addr::from_bits(n << 64).into());
        }
        assert_eq!(guesses.wrong.len(), NETWORKS_MAX + 1);
        assert_eq!(guesses.trusted.len(), NETWORKS_MAX);
        assert!(!guesses.may_try(START, "10.9.9.9".parse().unwrap()));
        // Later there is room again.
        guesses.count(START + MEMORY, "10.9.9.9".parse().unwrap());
        assert_eq!(guesses.wrong.len(), 1);
    }
}
