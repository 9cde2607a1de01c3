//! Limits on guessing a secret: a network has some free guesses, and then waits longer and longer.

use crate::network::Network;
use chat_proto::opaque::PublicKey;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Wrong guesses of a network that cost it nothing: people mistype.
const FREE: u32 = 5;

/// As many are free for a /48 of IPv6, which may be that of one customer and has 65,536 networks.
const FREE_WIDE: u32 = 8 * FREE;

/// The wait after the last free one. It doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// The longest wait. A network then guesses 1,440 times a day.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A network without a wrong guess for this long begins anew.
const MEMORY: Duration = Duration::from_secs(3600);

/// For how long the wrong guesses of others in a network don't keep out a key that came with the secret.
const TRUST: Duration = Duration::from_secs(24 * 3600);

/// Networks counted apart; those beyond this share one count. As many keys are remembered that came with the secret.
///
/// No network is forgotten for another one before its time, or whoever has many networks would begin anew at will. The /48
/// that they are in is counted too, and what comes from it is then not tried: so it takes some hundred of them to fill
/// the table.
const NETWORKS_MAX: usize = 4096;

/// What is known of the networks that guessed one secret.
///
/// Loopback addresses are exempt. Otherwise anybody with an account on this machine could keep all others of it out.
///
/// Memory: about 60 bytes for each of at most 2 x [`NETWORKS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Guesses {
    /// By what is counted together; those that found no place share `None`.
    wrong: HashMap<Option<Network>, Wrong>,
    /// Keys that came with the secret, and until when that counts. Not their networks: the neighbours behind a router could
    /// guess as fast as they like.
    trusted: HashMap<PublicKey, Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Wrong {
    count: u32,
    last: Duration,
    /// No guess is tried before this time.
    until: Duration,
}

impl Guesses {
    /// How long it takes until a guess from this address is tried, if it is not tried now. [`Guesses::trusts`] says who need not
    /// wait.
    pub(crate) fn wait(&self, now: Duration, address: IpAddr) -> Option<Duration> {
        if address.is_loopback() {
            return None;
        }
        let wrong = self
            .places(address)
            .into_iter()
            .filter_map(|(place, _)| self.wrong.get(&place));
        let until = wrong.map(|wrong| wrong.until).max()?;
        until.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// A wrong guess came from this address.
    pub(crate) fn count(&mut self, now: Duration, address: IpAddr) {
        if address.is_loopback() {
            return;
        }
        if self.wrong.len() >= NETWORKS_MAX {
            self.wrong.retain(|_, wrong| wrong.last + MEMORY > now);
        }
        for (place, free) in self.places(address) {
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
            if let Some(further) = wrong.count.checked_sub(free) {
                let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(further));
                wrong.until = now + doubled.min(LONGEST_WAIT);
            }
        }
    }

    /// Whether this key has come with the secret.
    pub(crate) fn trusts(&self, now: Duration, key: &PublicKey) -> bool {
        self.trusted.get(key).is_some_and(|&until| until > now)
    }

    /// The secret came from this address with this key. Its network begins anew, but not each time that a client reconnects.
    pub(crate) fn trust(&mut self, now: Duration, address: IpAddr, key: PublicKey) {
        if !self.trusts(now, &key) {
            self.wrong.remove(&Some(Network::of(address)));
        }
        if self.trusted.len() >= NETWORKS_MAX && !self.trusted.contains_key(&key) {
            let oldest = self.trusted.iter().min_by_key(|&(_, &until)| until);
            if let Some((&oldest, _)) = oldest {
                self.trusted.remove(&oldest);
            }
        }
        self.trusted.insert(key, now + TRUST);
    }

    /// There is another secret: nobody has known it yet.
    pub(crate) fn distrust(&mut self) {
        self.trusted.clear();
    }

    /// Where an address is counted, and how many guesses are free there.
    fn places(&self, address: IpAddr) -> Vec<(Option<Network>, u32)> {
        let own = Some((Network::of(address), FREE));
        let site = Network::site_of(address).map(|site| (site, FREE_WIDE));
        let place = |(network, free)| {
            let has_place = self.wrong.len() < NETWORKS_MAX || self.wrong.contains_key(&Some(network));
            if has_place {
                (Some(network), free)
            } else {
                (None, FREE)
            }
        };
        let mut places: Vec<_> = own.into_iter().chain(site).map(place).collect();
        // One guess is counted once among the others.
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;
    use std::net::Ipv6Addr;

    const START: Duration = Duration::from_secs(1000);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Tries wrong guesses from these addresses in turn as soon as one is tried, and returns the waits before each.
    fn waits(guesses: &mut Guesses, addresses: &[&str], tries: usize) -> Vec<u64> {
        let (mut now, mut waits) = (START, Vec::new());
        for address in addresses.iter().cycle().take(tries) {
            let address = address.parse().unwrap();
            let begun = now;
            while guesses.wait(now, address).is_some() {
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
        assert_eq!(waits(&mut Guesses::default(), &["10.0.0.1"], 12), expected);
        let network = ["2001:db8::1", "2001:db8::2"];
        assert_eq!(waits(&mut Guesses::default(), &network, 12), expected);
        assert_eq!(waits(&mut Guesses::default(), &["127.0.0.1"], 12), [0; 12]);
    }

    #[test]
    fn networks_of_a_site_wait_after_eight_times_as_many() {
        let sites: Vec<String> = (0..50).map(|n| format!("2001:db8:1:{n:x}::1")).collect();
        let sites: Vec<&str> = sites.iter().map(String::as_str).collect();
        let waits = waits(&mut Guesses::default(), &sites, 44);
        assert_eq!(waits[..40], [0; 40]);
        assert_eq!(waits[40..], [2, 4, 8, 16]);
    }

    #[test]
    fn other_networks_and_keys_that_got_in_wait_for_nobody() {
        let (mut guesses, key) = (Guesses::default(), Opaque([1; 32]));
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        guesses.trust(START, address("2001:db8::7"), key);
        waits(&mut guesses, &["2001:db8::1"], 6);
        // A neighbour of whoever got in guesses no faster than others.
        assert!(guesses.wait(START, address("2001:db8::8")).is_some());
        assert_eq!(guesses.wait(START, address("2001:db8:0:1::1")), None);
        assert!(guesses.trusts(START + TRUST - secs(1), &key));
        assert!(!guesses.trusts(START + TRUST, &key));
        assert!(!guesses.trusts(START, &Opaque([2; 32])));
        // Nor does a client that reconnects give it more of them, but a newcomer does.
        for (newcomer, waits) in [(1, true), (2, false)] {
            guesses.trust(START, address("2001:db8::7"), Opaque([newcomer; 32]));
            assert_eq!(guesses.wait(START, address("2001:db8::8")).is_some(), waits);
        }
    }

    #[test]
    fn a_network_begins_anew_after_an_hour() {
        let (mut guesses, address) = (Guesses::default(), "10.0.0.1".parse().unwrap());
        for _ in 0..5 {
            guesses.count(START, address);
        }
        let later = START + MEMORY;
        guesses.count(later, address);
        assert_eq!(guesses.wait(later, address), None);
    }

    #[test]
    fn memory_is_bounded_and_the_others_share_a_count() {
        let mut guesses = Guesses::default();
        for n in 0..20_000_u128 {
            let address = Ipv6Addr::from_bits(0x2001 << 112 | n << 80).into();
            guesses.count(START, address);
            let mut key = Opaque([0; 32]);
            key.0[..16].copy_from_slice(&n.to_be_bytes());
            guesses.trust(START + secs(1), Ipv6Addr::from_bits(n << 64).into(), key);
        }
        assert_eq!(guesses.wrong.len(), NETWORKS_MAX + 1);
        assert_eq!(guesses.trusted.len(), NETWORKS_MAX);
        assert!(guesses.wait(START, "10.9.9.9".parse().unwrap()).is_some());
        // Later there is room again.
        guesses.count(START + MEMORY, "10.9.9.9".parse().unwrap());
        assert_eq!(guesses.wrong.len(), 1);
    }
}
