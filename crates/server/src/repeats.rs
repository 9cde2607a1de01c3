//! Rejected connections that repeat: the log has some lines of them, and the number of the others.

use crate::event::{Event, Refusal};
use crate::network::Network;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Lines for each network and reason, in each [`SPAN`]. The other lines of the log need no such limit: the quotas of
/// [`crate::quota`] bound them.
const LINES: usize = 10;

/// How long is counted together. The log names it.
const SPAN: Duration = Duration::from_secs(10);

/// Networks and reasons counted apart; those beyond this share one count for each reason.
const COUNTS_MAX: usize = 1024;

type Key = (Option<Network>, Refusal);

/// What was rejected lately.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    counts: HashMap<Key, Count>,
}

#[derive(Debug)]
struct Count {
    until: Duration,
    /// Refusals in all.
    seen: usize,
}

impl Repeats {
    /// A connection is rejected. Whether the log has a line for it.
    pub(crate) fn admit(&mut self, now: Duration, peer: SocketAddr, why: Refusal) -> bool {
        let own = (Some(Network::of(peer.ip())), why);
        let has_place = self.counts.len() < COUNTS_MAX || self.counts.contains_key(&own);
        let key = if has_place { own } else { (None, why) };
        let count = self.counts.entry(key).or_insert(Count {
            until: now + SPAN,
            seen: 0,
        });
        count.seen += 1;
        count.seen <= LINES
    }

    /// The lines for what was not admitted, of the spans that are over.
    pub(crate) fn expire(&mut self, now: Duration) -> Vec<Event> {
        let mut events = Vec::new();
        self.counts.retain(|&(network, why), count| {
            let goes_on = count.until > now;
            if !goes_on && count.seen > LINES {
                let count = count.seen - LINES;
                events.push(Event::RefuseMore { network, why, count });
            }
            goes_on
        });
        events
    }

    /// When [`Repeats::expire`] has a line.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let over = self.counts.values().filter(|count| count.seen > LINES);
        over.map(|count| count.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn peer(host: u32) -> SocketAddr {
        (IpAddr::V4((0x0A00_0000 + host).into()), 1).into()
    }

    fn shown(events: &[Event]) -> Vec<String> {
        events.iter().map(Event::to_string).collect()
    }

    #[test]
    fn repeated_refusals_of_a_network_become_one_line() {
        let mut repeats = Repeats::default();
        let now = Duration::from_secs(5);
        let mut admitted = |peer, why| repeats.admit(now, peer, why);
        assert_eq!(
            (0..322).filter(|_| admitted(peer(1), Refusal::Often)).count(),
            LINES
        );
        assert!(admitted(peer(1), Refusal::Full(2)) && admitted(peer(2), Refusal::Often));
        for host in 0..99 {
            let peer = format!("[2001:db8::{host}]:1").parse().unwrap();
            assert_eq!(admitted(peer, Refusal::Address(5)), host < 10);
        }
        assert_eq!(repeats.deadline(), Some(now + SPAN));
        assert_eq!(repeats.expire(now + SPAN / 2), []);
        let mut lines = shown(&repeats.expire(now + SPAN));
        lines.sort();
        assert_eq!(
            lines,
            [
                "refuse 10.0.0.1 reason=often more=312 within=10s",
                "refuse 2001:db8::/64 reason=address limit=5 more=89 within=10s",
            ]
        );
        assert_eq!((repeats.deadline(), repeats.counts.len()), (None, 0));
    }

    #[test]
    fn the_number_of_networks_counted_apart_is_limited() {
        let mut repeats = Repeats::default();
        for host in 0..5000 {
            repeats.admit(Duration::ZERO, peer(host), Refusal::Often);
        }
        assert_eq!(repeats.counts.len(), COUNTS_MAX + 1);
        assert_eq!(
            shown(&repeats.expire(SPAN)),
            ["refuse others reason=often more=3966 within=10s"]
        );
    }
}
