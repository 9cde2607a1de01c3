//! Links that lose, double, delay, reorder and garble datagrams, and routers that translate addresses.

use crate::rng::Rng;
use chat_proto::id::canonical;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How the links of one run behave; chances are in a thousand.
#[derive(Debug)]
pub(crate) struct Weather {
    pub(crate) loss: usize,
    pub(crate) double: usize,
    pub(crate) garble: usize,
    /// Of a datagram's way, in milliseconds. A wide range reorders.
    pub(crate) delay: (usize, usize),
}

pub(crate) struct Network {
    pub(crate) weather: Weather,
    /// Pairs of hosts between which nothing gets through, in both orders.
    pub(crate) blocked: BTreeSet<(IpAddr, IpAddr)>,
    pub(crate) routers: Vec<Router>,
}

/// A router that translates addresses: its hosts are 192.168.n.x, the world sees 198.51.100.n.
pub(crate) struct Router {
    outside: IpAddr,
    inside: [u8; 3],
    /// Another port for each destination, so that nobody can be told the address beforehand.
    symmetric: bool,
    mappings: BTreeMap<u16, Mapping>,
    next_port: u16,
}

struct Mapping {
    host: SocketAddr,
    destination: Option<SocketAddr>,
    /// Who may send to it, and until when: whom it sent to in the last 33 seconds.
    open: BTreeMap<SocketAddr, Duration>,
}

/// A datagram that will be at the door of a host or router.
pub(crate) struct Arrival {
    pub(crate) at: Duration,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

const MAPPING_LIFE: Duration = Duration::from_secs(33);

impl Network {
    /// What becomes of a datagram that a host sends.
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
        // The routers are two hops from each other at least; a primer dies between them.
        let is_local = source == from && same_net(from, to);
        if ttl.is_some_and(|ttl| ttl < 3) && !is_local || self.is_blocked(source.ip(), to.ip()) {
            return Vec::new();
        }
        let Weather {
            loss,
            double,
            garble,
            delay,
        } = self.weather;
        let copies = 1 + usize::from(rng.chance(double));
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            if rng.chance(loss) {
                continue;
            }
            let mut bytes = bytes.to_vec();
            if rng.chance(garble) {
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

    /// The host that gets a datagram, if the router before it lets it in.
    pub(crate) fn enter(&mut self, now: Duration, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let Some(router) = self.routers.iter_mut().find(|router| router.outside == to.ip()) else {
            return Some(to);
        };
        let mapping = router.mappings.get(&to.port())?;
        let open_until = mapping.open.get(&from)?;
        (now < *open_until).then_some(mapping.host)
    }

    /// The router of a host forgets what it knew, and gives out other ports from now on.
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

    /// The address under which a connection of this host is seen outside.
    pub(crate) fn seen_as(&self, host: SocketAddr) -> SocketAddr {
        let router = self.routers.iter().find(|router| router.has(host));
        router.map_or(host, |router| SocketAddr::new(router.outside, host.port()))
    }

    fn is_blocked(&self, from: IpAddr, to: IpAddr) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// The source address of a datagram outside; none if it gets lost.
    fn leave(&mut self, now: Duration, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let is_private =
            |ip: IpAddr| matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 192 && ip.octets()[1] == 168);
        match self.routers.iter_mut().find(|router| router.has(from)) {
            Some(router) if router.has(to) => Some(from),
            // A router does not send back in what came from inside.
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
