//! Links that lose, duplicate, delay, reorder and corrupt datagrams, and routers that translate
//! addresses.

use crate::rng::Rng;
use chat_proto::id::canonical;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How the links of one run behave. Probabilities are per thousand.
#[derive(Debug)]
pub(crate) struct Conditions {
    pub(crate) loss: usize,
    pub(crate) duplicate: usize,
    pub(crate) corrupt: usize,
    /// The range in milliseconds. A wide range reorders datagrams.
    pub(crate) delay: (usize, usize),
}

pub(crate) struct Network {
    pub(crate) conditions: Conditions,
    /// Pairs of hosts that can't reach each other, in both orders.
    pub(crate) blocked: BTreeSet<(IpAddr, IpAddr)>,
    pub(crate) routers: Vec<Router>,
}

/// A router that translates its hosts' addresses, 192.168.n.x, to 198.51.100.n.
pub(crate) struct Router {
    outside: IpAddr,
    inside: [u8; 3],
    /// It uses another port for each destination, so the outside address can't be known beforehand.
    symmetric: bool,
    mappings: BTreeMap<u16, Mapping>,
    next_port: u16,
}

struct Mapping {
    host: SocketAddr,
    destination: Option<SocketAddr>,
    /// The addresses that may send to it, each for 33 seconds after the host last sent there.
    open: BTreeMap<SocketAddr, Duration>,
}

/// A datagram on its way to a host or router.
pub(crate) struct Arrival {
    pub(crate) at: Duration,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

const MAPPING_LIFE: Duration = Duration::from_secs(33);

impl Network {
    /// The copies of a datagram that arrive.
    pub(crate) fn send(
        &mut self,
        now: Duration,
        rng: &mut Rng,
        from: SocketAddr,
        to: SocketAddr,
        ttl: Option<u8>,
        bytes: &[u8],
    ) -> Vec<Arrival> {
        let Some(source) = self.leave(now, from, to) else {
            return Vec::new();
        };
        // The routers are at least two hops apart, so a punch probe expires between them.
        let is_local = source == from && same_net(from, to);
        if ttl.is_some_and(|ttl| ttl < 3) && !is_local || self.is_blocked(source.ip(), to.ip()) {
            return Vec::new();
        }
        let Conditions {
            loss,
            duplicate,
            corrupt,
            delay,
        } = self.conditions;
        let copies = 1 + usize::from(rng.chance(duplicate));
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            if rng.chance(loss) {
                continue;
            }
            let mut bytes = bytes.to_vec();
            if rng.chance(corrupt) {
                let place = rng.below(bytes.len());
                bytes[place] ^= 1 << rng.below(8);
            }
            let at = now + rng.ms(delay.0, delay.1);
            arrivals.push(Arrival {
                at,
                from: source,
                to,
                bytes,
            });
        }
        arrivals
    }

    /// The host that receives a datagram, if its router lets it in.
    pub(crate) fn enter(&mut self, now: Duration, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let Some(router) = self.routers.iter_mut().find(|router| router.outside == to.ip()) else {
            return Some(to);
        };
        let mapping = router.mappings.get(&to.port())?;
        let open_until = mapping.open.get(&from)?;
        (now < *open_until).then_some(mapping.host)
    }

    /// A host's router forgets its mappings and uses other ports from now on.
    pub(crate) fn forget(&mut self, host: SocketAddr) {
        for router in &mut self.routers {
            let had = router.mappings.len();
            router.mappings.retain(|_, mapping| mapping.host != host);
            if router.mappings.len() < had {
                router.next_port += 7;
            }
        }
    }

    pub(crate) fn block(&mut self, one: IpAddr, other: IpAddr, blocked: bool) {
        for pair in [(one, other), (other, one)] {
            if blocked {
                self.blocked.insert(pair);
            } else {
                self.blocked.remove(&pair);
            }
        }
    }

    /// The outside address of a connection from this host.
    pub(crate) fn seen_as(&self, host: SocketAddr) -> SocketAddr {
        let router = self.routers.iter().find(|router| router.has(host));
        router.map_or(host, |router| SocketAddr::new(router.outside, host.port()))
    }

    fn is_blocked(&self, from: IpAddr, to: IpAddr) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// A datagram's outside source address. `None` if it is lost.
    fn leave(&mut self, now: Duration, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let is_private =
            |ip: IpAddr| matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 192 && ip.octets()[1] == 168);
        match self.routers.iter_mut().find(|router| router.has(from)) {
            Some(router) if router.has(to) => Some(from),
            // The router does not send datagrams from inside back inside (no hairpinning).
            Some(router) if router.outside == to.ip() => None,
            Some(_) | None if is_private(to.ip()) => None,
            Some(router) => Some(router.translate(now, from, to)),
            None => Some(from),
        }
    }
}

impl Router {
    pub(crate) fn new(n: u8, symmetric: bool) -> Self {
        Self {
            outside: IpAddr::V4(Ipv4Addr::new(198, 51, 100, n)),
            inside: [192, 168, n],
            symmetric,
            mappings: BTreeMap::new(),
            next_port: 40_000,
        }
    }

    fn has(&self, host: SocketAddr) -> bool {
        matches!(host.ip(), IpAddr::V4(ip) if ip.octets()[..3] == self.inside)
    }

    fn translate(&mut self, now: Duration, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let destination = self.symmetric.then_some(to);
        let known = self
            .mappings
            .iter()
            .find(|(_, mapping)| mapping.host == from && mapping.destination == destination)
            .map(|(port, _)| *port);
        let port = known.unwrap_or_else(|| {
            self.next_port += 1;
            let wanted = Some(from.port()).filter(|_| !self.symmetric && self.next_port == 40_001);
            wanted.unwrap_or(self.next_port)
        });
        let mapping = self.mappings.entry(port).or_insert_with(|| Mapping {
            host: from,
            destination,
            open: BTreeMap::new(),
        });
        mapping.open.insert(to, now + MAPPING_LIFE);
        canonical(SocketAddr::new(self.outside, port))
    }
}

fn same_net(one: SocketAddr, other: SocketAddr) -> bool {
    match (one.ip(), other.ip()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        _ => false,
    }
}
