//! Nicks that are held for clients whose connections broke.

use crate::network::Network;
use chat_proto::nick::{Nick, Skeleton};
use chat_proto::opaque::PublicKey;
use std::collections::VecDeque;
use std::time::Duration;

/// For how long: a client tries to reconnect at least every 30 s.
const HELD: Duration = Duration::from_secs(45);

/// Nicks held for one network: a class behind one router. Whoever connects and breaks off again and again holds no more.
const PER_NETWORK_MAX: usize = 64;

/// The nicks that are held.
///
/// Memory: about 300 bytes for each of at most `--max-users`.
#[derive(Debug)]
pub(crate) struct Holds {
    /// The latest last.
    held: VecDeque<Hold>,
    max: usize,
}

#[derive(Debug)]
struct Hold {
    nick: Nick,
    looks: Vec<Skeleton>,
    /// The key of the broken connection.
    key: PublicKey,
    network: Network,
    until: Duration,
}

impl Holds {
    /// For a room of this size.
    pub(crate) fn new(max_users: usize) -> Self {
        Self {
            held: VecDeque::new(),
            max: max_users,
        }
    }

    /// Holds the nick of a client in this network whose connection broke.
    pub(crate) fn add(&mut self, now: Duration, network: Network, key: PublicKey, nick: Nick) {
        self.held.retain(|hold| hold.until > now);
        let mut of_network = self.held.iter().filter(|hold| hold.network == network);
        let excess = if of_network.clone().count() >= PER_NETWORK_MAX {
            of_network.next().map(|hold| hold.key)
        } else {
            let oldest = self.held.front().filter(|_| self.held.len() >= self.max);
            oldest.map(|hold| hold.key)
        };
        if let Some(key) = excess {
            self.release(key);
        }
        self.held.push_back(Hold {
            looks: nick.skeletons().collect(),
            nick,
            key,
            network,
            until: now + HELD,
        });
    }

    /// The keys of those clients.
    pub(crate) fn keys(&self, now: Duration) -> impl Iterator<Item = PublicKey> {
        self.nicks(now).map(|(key, ..)| key)
    }

    /// The nicks, each with the key and the network of its client.
    pub(crate) fn nicks(&self, now: Duration) -> impl Iterator<Item = (PublicKey, Network, &Nick)> {
        let held = self.held.iter().filter(move |hold| hold.until > now);
        held.map(|hold| (hold.key, hold.network, &hold.nick))
    }

    /// The client with this key is back.
    pub(crate) fn release(&mut self, key: PublicKey) {
        self.held.retain(|hold| hold.key != key);
    }

    /// The held nick that this one is or looks like, and for how long it is held yet.
    pub(crate) fn find(&self, now: Duration, nick: &Nick) -> Option<(&Nick, Duration)> {
        let looks: Vec<Skeleton> = nick.skeletons().collect();
        let mut held = self.held.iter().filter(|hold| hold.until > now);
        let hold = held.find(|hold| hold.looks.iter().any(|look| looks.contains(look)))?;
        Some((&hold.nick, hold.until - now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;
    use std::net::Ipv4Addr;

    fn add(holds: &mut Holds, second: u64, network: u8, number: usize) {
        let address = Network::of(Ipv4Addr::new(10, 0, 0, network).into());
        let mut key = Opaque([network; 32]);
        key.0[..8].copy_from_slice(&number.to_be_bytes());
        let nick = Nick::parse(&format!("user-{network}-{number}")).unwrap();
        holds.add(Duration::from_secs(second), address, key, nick);
    }

    fn is_held(holds: &Holds, second: u64, nick: &str) -> bool {
        let nick = Nick::parse(nick).unwrap();
        holds.find(Duration::from_secs(second), &nick).is_some()
    }

    #[test]
    fn a_network_holds_few_nicks_and_none_of_others() {
        let mut holds = Holds::new(1000);
        add(&mut holds, 0, 1, 0);
        for number in 0..5000 {
            add(&mut holds, 1, 2, number);
        }
        assert_eq!(holds.held.len(), 1 + PER_NETWORK_MAX);
        assert!(is_held(&holds, 1, "user-1-0") && is_held(&holds, 1, "user-2-4999"));
        assert!(!is_held(&holds, 1, "user-2-4935"));
        assert!(is_held(&holds, 44, "user-1-0") && !is_held(&holds, 45, "user-1-0"));
        add(&mut holds, 46, 3, 0);
        assert_eq!(holds.held.len(), 1);
    }

    #[test]
    fn a_nick_that_looks_like_a_held_one_is_held_too() {
        let mut holds = Holds::new(10);
        add(&mut holds, 0, 1, 0);
        // The letters s and e are those of Cyrillic.
        assert!(is_held(&holds, 1, "u\u{455}\u{435}r-1-0"));
        assert!(!is_held(&holds, 1, "user-1-1"));
    }

    #[test]
    fn all_networks_together_hold_as_many_as_there_are_places() {
        let mut holds = Holds::new(10);
        for network in 0..20 {
            add(&mut holds, 0, network, 0);
        }
        assert_eq!(holds.held.len(), 10);
        assert!(is_held(&holds, 0, "user-19-0") && !is_held(&holds, 0, "user-9-0"));
    }
}
