//! Finds rooms: what to ask, and what the answers say. Pure: links, packets and the time come in, queries and rooms go out.
//!
//! A room is complete once its SRV and TXT records and an address are known (RFC 6763). What a packet leaves out is asked
//! for. Records are asked for again before they expire, and a goodbye removes them (RFC 6762, sections 5.2 and 10.1).

use crate::interfaces::{ADDRESSES_MAX, INTERFACES_MAX};
use crate::message::{About, Data, Kind, Label, Message, Name, PORT, Question, Record};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// Rooms that are kept, on all interfaces together.
pub const ROOMS_MAX: usize = 64;

/// The least delay before the first query (RFC 6762, section 5.2); the most is 100 ms longer.
const FIRST_DELAY: Duration = Duration::from_millis(20);
/// From the first query to the second. Each later interval is twice as long.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const LAST_INTERVAL: Duration = Duration::from_secs(3600);
/// How long the rest of a room may be on its way before it is asked for.
const REST_DELAY: Duration = Duration::from_millis(20);
/// What a goodbye leaves of a record's life, in case another host has it too.
const GOODBYE: Duration = Duration::from_secs(1);
/// Seconds; longer lives are cut to this.
const TTL_MAX: u32 = 4500;
/// The parts of a record's life, in percent, after which it is asked for again.
const REFRESHES: [u32; 4] = [80, 85, 90, 95];
/// Known answers, or questions, of one packet. It fits an Ethernet frame, with a tunnel around it.
const RECORDS_PER_PACKET: usize = 12;

/// A room that was found. All of it is a claim: the server's key decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// What it is called. Several may have the same name.
    pub name: Label,
    /// Where it listens, the best address first; at least one.
    pub addresses: Vec<SocketAddr>,
    /// What it says of itself.
    pub about: About,
}

impl Room {
    /// Whether both are the same room, perhaps at other addresses.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let port = |room: &Self| room.addresses.first().map(SocketAddr::port);
        self.name == other.name
            && self.about.fingerprint == other.about.fingerprint
            && port(self) == port(other)
    }
}

/// A packet for everybody on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The interface, by index.
    pub interface: u32,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// What is known of the rooms.
#[derive(Debug)]
pub struct Browser {
    /// Added to the least delay of a first query, so that not all clients ask at once.
    jitter: Duration,
    searched: Vec<Searched>,
    /// `found.len() <= ROOMS_MAX` after each packet.
    found: Vec<Found>,
    dropped: u64,
}

/// An interface, and when all rooms on it are asked for next.
#[derive(Debug)]
struct Searched {
    interface: u32,
    next: Duration,
    interval: Duration,
}

/// The records of a room on one interface.
#[derive(Debug)]
struct Found {
    interface: u32,
    name: Label,
    pointer: Lease,
    service: Option<(Lease, u16, Label)>,
    about: Option<(Lease, About)>,
    /// `addresses.len() <= ADDRESSES_MAX`.
    addresses: Vec<(Lease, IpAddr)>,
    /// When to ask for what is missing, and how long to wait then.
    next: Duration,
    interval: Duration,
}

/// How long a record holds.
#[derive(Clone, Copy, Debug)]
struct Lease {
    since: Duration,
    ttl: Duration,
    /// How many of the [`REFRESHES`] were asked for.
    refreshes: usize,
}

impl Browser {
    /// A browser without interfaces. `jitter` is random, from 0 to 100 ms.
    #[must_use]
    pub fn new(jitter: Duration) -> Self {
        Self {
            jitter,
            searched: Vec::new(),
            found: Vec::new(),
            dropped: 0,
        }
    }

    /// The interfaces to search, by index. New ones are asked; what was found on those that are gone is forgotten.
    pub fn set_interfaces(&mut self, interfaces: &[u32], now: Duration) {
        self.searched
            .retain(|searched| interfaces.contains(&searched.interface));
        self.found.retain(|found| interfaces.contains(&found.interface));
        for &interface in interfaces {
            if self.is_searched(interface) {
                continue;
            }
            if self.searched.len() == INTERFACES_MAX {
                self.dropped += 1;
                continue;
            }
            self.searched.push(Searched {
                interface,
                next: now + FIRST_DELAY + self.jitter,
                interval: FIRST_INTERVAL,
            });
        }
    }

    /// Takes a packet from a host of this interface's network.
    pub fn receive(&mut self, bytes: &[u8], source: SocketAddr, interface: u32, now: Duration) {
        // Any program of that host may send from another port.
        if source.port() != PORT || !self.is_searched(interface) {
            return;
        }
        let Some(message) = Message::parse(bytes) else {
            self.dropped += 1;
            return;
        };
        if !message.is_response {
            return;
        }
        // In this order, so that nothing is kept that belongs to no room.
        message
            .records()
            .for_each(|record| self.take_pointer(record, interface, now));
        message
            .records()
            .for_each(|record| self.take_description(record, interface, now));
        message
            .records()
            .for_each(|record| self.take_address(record, interface, now));
        self.drop_excess();
        self.expire(now);
    }

    /// The queries that are due.
    pub fn tick(&mut self, now: Duration) -> Vec<Query> {
        self.expire(now);
        let interfaces: Vec<_> = self.searched.iter().map(|searched| searched.interface).collect();
        let mut queries = Vec::new();
        for interface in interfaces {
            queries.extend(self.ask_for_all(interface, now));
            queries.extend(self.ask_for_rest(interface, now));
        }
        queries
    }

    /// When to call [`Browser::tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let searched = self.searched.iter().map(|searched| searched.next);
        let found = self.found.iter().flat_map(Found::deadlines);
        searched.chain(found).min()
    }

    /// The complete rooms, in the order of their first answers. A room that answers on several interfaces is there once.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let mut rooms: Vec<Room> = Vec::new();
        for room in self.found.iter().filter_map(Found::room) {
            match rooms.iter_mut().find(|known| known.is_same(&room)) {
                Some(known) => known.addresses.extend(room.addresses),
                None => rooms.push(room),
            }
        }
        for room in &mut rooms {
            room.addresses.sort_by_key(rank);
            room.addresses.dedup();
            room.addresses.truncate(ADDRESSES_MAX);
        }
        rooms
    }

    /// Whether no more rooms are kept, so that some may be missing.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.found.len() >= ROOMS_MAX
    }

    /// How many packets, rooms, addresses and interfaces were malformed or beyond a limit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn is_searched(&self, interface: u32) -> bool {
        self.searched
            .iter()
            .any(|searched| searched.interface == interface)
    }

    fn take_pointer(&mut self, record: &Record, interface: u32, now: Duration) {
        let (Name::Rooms, Data::Ptr(Name::Room(name))) = (&record.name, &record.data) else {
            return;
        };
        if let Some(known) = self.find(name, interface) {
            known.pointer = Lease::new(record.ttl, now);
        } else if record.ttl > 0 {
            self.found.push(Found {
                interface,
                name: name.clone(),
                pointer: Lease::new(record.ttl, now),
                service: None,
                about: None,
                addresses: Vec::new(),
                next: now + REST_DELAY,
                interval: FIRST_INTERVAL,
            });
        }
    }

    /// Drops the newest rooms that are too many; first those of which something is missing, because otherwise one packet of
    /// pointers would hide all rooms.
    fn drop_excess(&mut self) {
        while self.found.len() > ROOMS_MAX {
            let place = self.found.iter().rposition(Found::is_incomplete);
            self.found.remove(place.unwrap_or(self.found.len() - 1));
            self.dropped += 1;
        }
    }

    fn take_description(&mut self, record: &Record, interface: u32, now: Duration) {
        let Name::Room(name) = &record.name else {
            return;
        };
        let Some(found) = self.find(name, interface) else {
            return;
        };
        let lease = Lease::new(record.ttl, now);
        match &record.data {
            Data::Srv {
                port: port @ 1..,
                host,
            } => {
                if found.host() != Some(host) {
                    found.addresses.clear();
                }
                found.service = Some((lease, *port, host.clone()));
            }
            Data::Txt(text) => match text.about() {
                Some(about) => found.about = Some((lease, about)),
                None => self.dropped += 1,
            },
            _ => {}
        }
    }

    fn take_address(&mut self, record: &Record, interface: u32, now: Duration) {
        let (Name::Host(host), Some(ip)) = (&record.name, ip(&record.data)) else {
            return;
        };
        let mut dropped = 0;
        for found in &mut self.found {
            if found.interface != interface || found.host() != Some(host) {
                continue;
            }
            if record.is_unique {
                found.forget_addresses(ip.is_ipv6(), now);
            }
            let room = found.addresses.len() < ADDRESSES_MAX && is_of_a_host(ip);
            let known = found.addresses.iter_mut().find(|(_, known)| *known == ip);
            match known {
                Some((lease, _)) => *lease = Lease::new(record.ttl, now),
                None if record.ttl == 0 => {}
                None if room => found.addresses.push((Lease::new(record.ttl, now), ip)),
                None => dropped += 1,
            }
        }
        self.dropped += dropped;
    }

    fn find(&mut self, name: &Label, interface: u32) -> Option<&mut Found> {
        let is_it = |found: &&mut Found| found.interface == interface && found.name == *name;
        self.found.iter_mut().find(is_it)
    }

    fn expire(&mut self, now: Duration) {
        self.found.retain_mut(|found| {
            found.service.take_if(|(lease, ..)| lease.is_over(now));
            found.about.take_if(|(lease, _)| lease.is_over(now));
            // Without a host they are nobody's, and nothing asks for them again.
            let has_host = found.host().is_some();
            found
                .addresses
                .retain(|(lease, _)| has_host && !lease.is_over(now));
            !found.pointer.is_over(now)
        });
    }

    /// The query for all rooms of an interface, if it is due, with those that are known.
    fn ask_for_all(&mut self, interface: u32, now: Duration) -> Vec<Query> {
        let mut is_due = false;
        for searched in &mut self.searched {
            if searched.interface == interface && now >= searched.next {
                is_due = true;
                searched.next = now + searched.interval;
                searched.interval = (searched.interval * 2).min(LAST_INTERVAL);
            }
        }
        for found in &mut self.found {
            is_due |= found.interface == interface && found.pointer.take_refresh(now);
        }
        if !is_due {
            return Vec::new();
        }
        let known = self.found.iter().filter(|found| found.interface == interface);
        let known = known.filter_map(|found| found.known_answer(now)).collect();
        packets(interface, vec![question(Name::Rooms, Kind::PTR)], known)
    }

    /// The queries for what is missing of the rooms of an interface.
    fn ask_for_rest(&mut self, interface: u32, now: Duration) -> Vec<Query> {
        let found = self.found.iter_mut().filter(|found| found.interface == interface);
        let questions: Vec<_> = found.flat_map(|found| found.take_questions(now)).collect();
        questions
            .chunks(RECORDS_PER_PACKET)
            .flat_map(|questions| packets(interface, questions.to_vec(), Vec::new()))
            .collect()
    }
}

impl Found {
    fn host(&self) -> Option<&Label> {
        self.service.as_ref().map(|(_, _, host)| host)
    }

    fn deadlines(&self) -> impl Iterator<Item = Duration> {
        let service = self.service.as_ref().map(|(lease, ..)| lease);
        let about = self.about.as_ref().map(|(lease, _)| lease);
        let addresses = self.addresses.iter().map(|(lease, _)| lease);
        let leases = [&self.pointer]
            .into_iter()
            .chain(service)
            .chain(about)
            .chain(addresses);
        let missing = self.is_incomplete().then_some(self.next);
        leases.map(Lease::deadline).chain(missing)
    }

    fn is_incomplete(&self) -> bool {
        self.service.is_none() || self.about.is_none() || self.addresses.is_empty()
    }

    fn room(&self) -> Option<Room> {
        let ((_, port, _), (_, about)) = (self.service.as_ref()?, self.about.as_ref()?);
        let addresses: Vec<_> = self
            .addresses
            .iter()
            .map(|(_, ip)| socket_address(*ip, *port, self.interface))
            .collect();
        (!addresses.is_empty()).then(|| Room {
            name: self.name.clone(),
            addresses,
            about: *about,
        })
    }

    /// The host has other addresses now. Those of the same announcement stay (RFC 6762, section 10.2).
    fn forget_addresses(&mut self, is_v6: bool, now: Duration) {
        let is_older = |lease: &Lease| lease.since + GOODBYE < now;
        self.addresses
            .retain(|(lease, known)| known.is_ipv6() != is_v6 || !is_older(lease));
    }

    /// What a query need not ask for: half of its life is left (RFC 6762, section 7.1).
    fn known_answer(&self, now: Duration) -> Option<Record> {
        let left = (self.pointer.since + self.pointer.ttl).saturating_sub(now);
        (left * 2 > self.pointer.ttl).then_some(Record {
            name: Name::Rooms,
            ttl: u32::try_from(left.as_secs()).ok()?,
            is_unique: false,
            data: Data::Ptr(Name::Room(self.name.clone())),
        })
    }

    /// The questions that are due: for what is missing, and for what expires soon.
    fn take_questions(&mut self, now: Duration) -> Vec<Question> {
        let is_missing_due = self.is_incomplete() && now >= self.next;
        if is_missing_due {
            self.next = now + self.interval;
            self.interval = (self.interval * 2).min(LAST_INTERVAL);
        }
        let is_due =
            |lease: Option<&mut Lease>| lease.map_or(is_missing_due, |lease| lease.take_refresh(now));
        let mut questions = Vec::new();
        let name = Name::Room(self.name.clone());
        if is_due(self.service.as_mut().map(|(lease, ..)| lease)) {
            questions.push(question(name.clone(), Kind::SRV));
        }
        if is_due(self.about.as_mut().map(|(lease, _)| lease)) {
            questions.push(question(name, Kind::TXT));
        }
        if let Some((_, _, host)) = &self.service {
            let mut is_address_due = self.addresses.is_empty() && is_missing_due;
            for (lease, _) in &mut self.addresses {
                is_address_due |= lease.take_refresh(now);
            }
            if is_address_due {
                let host = Name::Host(host.clone());
                questions.extend([Kind::A, Kind::AAAA].map(|kind| question(host.clone(), kind)));
            }
        }
        questions
    }
}

impl Lease {
    fn new(ttl: u32, now: Duration) -> Self {
        Self {
            since: now,
            ttl: match ttl {
                0 => GOODBYE,
                ttl => Duration::from_secs(ttl.min(TTL_MAX).into()),
            },
            refreshes: if ttl == 0 { REFRESHES.len() } else { 0 },
        }
    }

    fn is_over(&self, now: Duration) -> bool {
        now >= self.since + self.ttl
    }

    /// When to ask for it again; at last, when it expires.
    fn deadline(&self) -> Duration {
        let percent = REFRESHES.get(self.refreshes).copied().unwrap_or(100);
        self.since + self.ttl * percent / 100
    }

    /// Whether it is to be asked for now. Says so once for each deadline.
    fn take_refresh(&mut self, now: Duration) -> bool {
        let before = self.refreshes;
        while self.refreshes < REFRESHES.len() && now >= self.deadline() {
            self.refreshes += 1;
        }
        self.refreshes > before
    }
}

fn ip(data: &Data) -> Option<IpAddr> {
    match data {
        Data::A(ip) => Some(IpAddr::V4(*ip)),
        Data::Aaaa(ip) => Some(IpAddr::V6(*ip)),
        _ => None,
    }
}

/// A link-local address is valid on its own interface only.
fn socket_address(ip: IpAddr, port: u16, interface: u32) -> SocketAddr {
    match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => SocketAddrV6::new(ip, port, 0, interface).into(),
        ip => SocketAddr::new(ip, port),
    }
}

/// The best address first: IPv4, then IPv6, then link-local ones.
fn rank(address: &SocketAddr) -> (bool, bool, SocketAddr) {
    let is_link_local = match address.ip() {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    (is_link_local, address.is_ipv6(), *address)
}

/// Whether another host can have this address. A room that claims to be on this machine would pass for a local server, whose
/// key nobody checks.
fn is_of_a_host(ip: IpAddr) -> bool {
    let is_mapped = matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || is_mapped || is_broadcast)
}

fn question(name: Name, kind: Kind) -> Question {
    Question {
        name,
        kind,
        wants_unicast: false,
    }
}

/// A query, in as many packets as its known answers need (RFC 6762, section 7.2).
fn packets(interface: u32, questions: Vec<Question>, known: Vec<Record>) -> Vec<Query> {
    let count = known.len().div_ceil(RECORDS_PER_PACKET).max(1);
    let mut known = known.into_iter();
    let mut questions = Some(questions);
    let packets = (1..=count).map(|number| {
        let message = Message {
            is_truncated: number < count,
            questions: questions.take().unwrap_or_default(),
            answers: known.by_ref().take(RECORDS_PER_PACKET).collect(),
            ..Message::default()
        };
        Query {
            interface,
            bytes: message.build(),
        }
    });
    packets.collect()
}

#[cfg(test)]
mod tests;
