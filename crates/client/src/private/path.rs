//! The addresses at which a peer may be reached, which of them works, and how that is found out.
//!
//! An address is *proven* while the peer has lately answered something that was sent to it: a pong, or an ack that came
//! directly (what comes directly is answered directly). An address that the server named may be written to before that.
//! One that merely turned up as the source of a datagram may not: it is asked by a ping, and until the pong is sent at
//! most three times the bytes that came from it, so that nobody is flooded by forging their address
//! (RFC 9000, sections 8 and 9.3).

use super::packet::{ADDRESSES_MAX, PING_LEN};
use super::probe::{Probe, Purpose, Shot};
use super::seal::sealed_len;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// For how long an answer proves a path.
const PROOF: Duration = Duration::from_secs(30);

/// Segments in a row that an address fails to carry before it counts as dead.
const STRIKES_MAX: u32 = 4;

/// How often a dead address is asked again.
const REPROBE: Duration = Duration::from_secs(60);

/// How long an address in use may be silent (a mapping was seen alive at 25 s and dead at 33 s).
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Bytes that may be sent to an unproven address for each that came from it.
const AMPLIFICATION_MAX: u64 = 3;

#[derive(Debug, Default)]
pub(super) struct Paths {
    candidates: Vec<Candidate>,
    /// The address in use: one of the candidates, and proven at some time.
    active: Option<SocketAddr>,
}

#[derive(Debug)]
struct Candidate {
    address: SocketAddr,
    origin: Origin,
    /// When it was last proven.
    proven: Option<Duration>,
    /// When something genuine last came from it.
    heard: Option<Duration>,
    received: u64,
    sent: u64,
    strikes: u32,
    /// Since when it is known not to work.
    dead: Option<Duration>,
    probe: Option<Probe>,
    /// What a pong to the last probe says.
    token: Option<u64>,
}

/// Who says that the peer is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The server, in the roster.
    Announced,
    /// The server, for punching.
    Punched,
    /// The peer, of its own network.
    Local,
    /// Nobody: datagrams of the peer's came from there.
    Observed,
}

/// Where a segment is best sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This address has answered lately.
    Proven(SocketAddr),
    /// This may work.
    Untried(SocketAddr),
    /// Nowhere yet: what is sent before the routers are open may close them.
    Opening,
    /// Nowhere; this one has been tried.
    Dead(Option<SocketAddr>),
}

/// A ping to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ping {
    pub(super) to: SocketAddr,
    pub(super) token: u64,
    pub(super) is_primer: bool,
}

impl Paths {
    /// The server says that the peer is to be reached there.
    pub(super) fn announce(&mut self, now: Duration, address: SocketAddr, is_talking: bool) {
        self.depose(now, address);
        let Some(candidate) = self.add(address, Origin::Announced) else {
            return;
        };
        candidate.origin = Origin::Announced;
        if is_talking && !candidate.is_proven(now) {
            candidate.start(now, Purpose::Challenge);
        }
    }

    /// The address that was announced before this one stays only while it is in use and works, as one that turned up.
    fn depose(&mut self, now: Duration, address: SocketAddr) {
        let is_old = |old: &Candidate| old.origin == Origin::Announced && old.address != address;
        let Some(place) = self.candidates.iter().position(is_old) else {
            return;
        };
        let mut old = self.candidates.remove(place);
        if self.active != Some(old.address) {
            return;
        }
        if old.is_proven(now) {
            self.make_room(Origin::Observed);
            old.origin = Origin::Observed;
            self.candidates.push(old);
        } else {
            self.active = None;
        }
    }

    /// Both sides are to open their routers now.
    pub(super) fn punch(&mut self, now: Duration, address: SocketAddr) {
        let Some(candidate) = self.add(address, Origin::Punched) else {
            return;
        };
        let is_running = candidate
            .probe
            .is_some_and(|probe| probe.purpose() == Purpose::Punch);
        if !is_running && !candidate.is_proven(now) {
            candidate.start(now, Purpose::Punch);
        }
    }

    /// This side's router is to be opened, as far as it is known for which address.
    pub(super) fn open(&mut self, now: Duration) {
        let trusted = self.candidates.iter().find(|candidate| candidate.is_trusted());
        if let Some(address) = trusted.map(|candidate| candidate.address) {
            self.punch(now, address);
        }
    }

    /// The peer offers addresses of its own network. Those that belong to the world at large are not asked,
    /// so that a peer can't have others pinged.
    pub(super) fn offered(&mut self, now: Duration, addresses: &[SocketAddr]) {
        let local = addresses
            .iter()
            .filter(|address| is_local(address.ip()) && address.port() != 0);
        for &address in local.take(ADDRESSES_MAX) {
            if let Some(candidate) = self.add(address, Origin::Local)
                && !candidate.is_proven(now)
                && candidate.probe.is_none()
            {
                candidate.start(now, Purpose::Challenge);
            }
        }
    }

    /// Something genuine came from an address. If it is `newest`, not a late or repeated datagram, a new address is asked
    /// whether the peer is there, and the one in use whether it still is.
    pub(super) fn heard(&mut self, now: Duration, from: SocketAddr, bytes: usize, newest: bool) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let is_new = self.find(from).is_none();
        if is_new && !newest {
            return;
        }
        if let Some(candidate) = self.add(from, Origin::Observed) {
            candidate.received = candidate.received.saturating_add(bytes);
            candidate.heard = Some(now);
            if is_new {
                candidate.start(now, Purpose::Challenge);
            }
        }
        if let Some(active) = self
            .active_mut()
            .filter(|active| is_new && active.probe.is_none())
        {
            active.start(now, Purpose::Challenge);
        }
    }

    /// Whether so many bytes may be sent to an address in answer to something; if so, they are counted.
    pub(super) fn may_answer(&mut self, to: SocketAddr, bytes: usize) -> bool {
        self.find_mut(to).is_some_and(|candidate| candidate.spend(bytes))
    }

    /// A pong came. Whether another address is in use now.
    pub(super) fn pong(&mut self, now: Duration, token: u64) -> bool {
        let answered = self
            .candidates
            .iter()
            .find(|candidate| candidate.token == Some(token));
        answered
            .map(|candidate| candidate.address)
            .is_some_and(|address| self.prove(now, address))
    }

    /// An ack came directly from an address, so what was sent to it arrives. Whether another address is in use now.
    pub(super) fn acknowledged_from(&mut self, now: Duration, from: SocketAddr) -> bool {
        self.find(from)
            .is_some_and(|candidate| candidate.may_be_proven_by_ack())
            && self.prove(now, from)
    }

    /// A segment that was sent directly at `sent` was not answered directly.
    pub(super) fn missed(&mut self, now: Duration, sent: Duration) {
        let (Choice::Proven(address) | Choice::Untried(address)) = self.choose(now, false) else {
            return;
        };
        if let Some(candidate) = self.find_mut(address)
            && candidate.proven.is_none_or(|proven| proven < sent)
        {
            candidate.strikes += 1;
            if candidate.strikes >= STRIKES_MAX {
                candidate.die(now);
            }
        }
    }

    /// The peer's host says that nobody listens there. That is easily forged, so it is asked at once. Whether this
    /// makes a difference.
    pub(super) fn unreachable(&mut self, now: Duration, address: SocketAddr) -> bool {
        let Some(candidate) = self
            .find_mut(address)
            .filter(|candidate| candidate.dead.is_none())
        else {
            return false;
        };
        // While routers are being opened this says only that the other is not open yet.
        let is_punching = candidate
            .probe
            .is_some_and(|probe| probe.purpose() == Purpose::Punch);
        if !is_punching {
            candidate.die(now);
        }
        !is_punching
    }

    /// Where a segment is best sent. `opens_first`: this side is behind a router, and sends nothing to an
    /// address that has never answered but the pings that open the way.
    pub(super) fn choose(&self, now: Duration, opens_first: bool) -> Choice {
        let alive = || {
            self.candidates
                .iter()
                .filter(|candidate| candidate.dead.is_none())
        };
        let active = self
            .active
            .and_then(|active| alive().find(|candidate| candidate.address == active));
        if let Some(active) = active {
            return if active.is_proven(now) {
                Choice::Proven(active.address)
            } else {
                Choice::Untried(active.address)
            };
        }
        if let Some(other) = alive().find(|candidate| candidate.is_proven(now)) {
            return Choice::Proven(other.address);
        }
        let trusted = alive().find(|candidate| candidate.is_trusted());
        match trusted {
            Some(trusted) if opens_first && trusted.proven.is_none() => Choice::Opening,
            Some(trusted) => Choice::Untried(trusted.address),
            None => Choice::Dead(self.active.or_else(|| {
                let tried = self.candidates.iter().find(|candidate| candidate.is_trusted());
                tried.map(|candidate| candidate.address)
            })),
        }
    }

    /// Whether some address has answered lately.
    pub(super) fn is_proven(&self, now: Duration) -> bool {
        matches!(self.choose(now, false), Choice::Proven(_))
    }

    /// The next ping to send, if any is due; to be asked until there is none. `token` makes a random one. Until
    /// `talk_until`, the address in use is kept open and dead ones are asked again.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        talk_until: Option<Duration>,
        mut token: impl FnMut() -> u64,
    ) -> Option<Ping> {
        self.bury_failed(now);
        self.start_what_is_due(now, talk_until);
        let candidates = self.candidates.iter_mut();
        candidates
            .filter_map(|candidate| candidate.ping(now, &mut token))
            .next()
    }

    pub(super) fn deadline(&self, talk_until: Option<Duration>) -> Option<Duration> {
        let candidates = self.candidates.iter();
        let due = candidates.filter_map(|candidate| match candidate.probe {
            Some(probe) => Some(probe.due()),
            None => self.upkeep(candidate, talk_until).map(|(at, _)| at),
        });
        due.min()
    }

    /// When a candidate that is not being probed is to be, and why.
    fn upkeep(&self, candidate: &Candidate, talk_until: Option<Duration>) -> Option<(Duration, Purpose)> {
        let (at, purpose) = match (candidate.dead, candidate.proven) {
            (Some(dead), _) => (dead + REPROBE, Purpose::Challenge),
            (None, Some(proven)) if self.active == Some(candidate.address) => {
                (proven + KEEPALIVE, Purpose::Keepalive)
            }
            _ => return None,
        };
        talk_until
            .is_some_and(|until| at < until)
            .then_some((at, purpose))
    }

    fn start_what_is_due(&mut self, now: Duration, talk_until: Option<Duration>) {
        for place in 0..self.candidates.len() {
            let due = self
                .candidates
                .get(place)
                .filter(|candidate| candidate.probe.is_none());
            let due = due.and_then(|candidate| self.upkeep(candidate, talk_until));
            if let Some((at, purpose)) = due
                && at <= now
                && let Some(candidate) = self.candidates.get_mut(place)
            {
                candidate.start(now, purpose);
            }
        }
    }

    /// An address whose probe failed is dead if somebody vouched for it or it worked once, and forgotten if not.
    fn bury_failed(&mut self, now: Duration) {
        let active = self.active;
        self.candidates.retain_mut(|candidate| {
            if !candidate.probe.is_some_and(|probe| probe.has_failed(now)) {
                return true;
            }
            candidate.probe = None;
            candidate.dead = Some(now);
            candidate.is_trusted() || active == Some(candidate.address)
        });
    }

    /// An address is proven. Whether it is in use only now.
    fn prove(&mut self, now: Duration, address: SocketAddr) -> bool {
        let Some(candidate) = self.find_mut(address) else {
            return false;
        };
        let asked = candidate.probe.map(|probe| probe.started());
        candidate.prove(now);
        if self.active == Some(address) {
            return false;
        }
        // A peer that moved is silent at the address it left. One that is still heard there did not move: somebody who
        // merely passes its datagrams on is faster, and is not to become the path.
        let stays = self.active_mut().is_some_and(|active| {
            active.dead.is_none()
                && active.is_proven(now)
                && asked.is_none_or(|asked| active.heard.is_some_and(|heard| heard >= asked))
        });
        if !stays {
            self.active = Some(address);
        }
        !stays
    }

    fn find(&self, address: SocketAddr) -> Option<&Candidate> {
        self.candidates
            .iter()
            .find(|candidate| candidate.address == address)
    }

    fn find_mut(&mut self, address: SocketAddr) -> Option<&mut Candidate> {
        self.candidates
            .iter_mut()
            .find(|candidate| candidate.address == address)
    }

    fn active_mut(&mut self) -> Option<&mut Candidate> {
        self.active.and_then(|active| self.find_mut(active))
    }

    /// The candidate with this address, which is added if need be and there is room, or something less worthy to drop.
    fn add(&mut self, address: SocketAddr, origin: Origin) -> Option<&mut Candidate> {
        if self.find(address).is_none() {
            if !self.make_room(origin) {
                return None;
            }
            self.candidates.push(Candidate::new(address, origin));
        }
        self.find_mut(address)
    }

    /// Drops one of a kind, if there are as many of it as are kept; not the one in use. Whether there is room now.
    fn make_room(&mut self, origin: Origin) -> bool {
        let of_its_kind = self
            .candidates
            .iter()
            .filter(|candidate| candidate.origin == origin);
        if of_its_kind.count() < origin.most() {
            return true;
        }
        let active = self.active;
        let droppable = |old: &Candidate| old.origin == origin && active != Some(old.address);
        let place = self.candidates.iter().position(droppable);
        place.map(|place| self.candidates.remove(place)).is_some()
    }
}

impl Origin {
    /// Candidates of this kind that are kept; eight of all kinds together.
    fn most(self) -> usize {
        match self {
            Self::Announced | Self::Punched => 1,
            Self::Local => ADDRESSES_MAX,
            Self::Observed => 2,
        }
    }
}

impl Candidate {
    fn new(address: SocketAddr, origin: Origin) -> Self {
        Self {
            address,
            origin,
            proven: None,
            heard: None,
            received: 0,
            sent: 0,
            strikes: 0,
            dead: None,
            probe: None,
            token: None,
        }
    }

    /// The server vouches for it: it let the peer confirm that it is there.
    fn is_trusted(&self) -> bool {
        matches!(self.origin, Origin::Announced | Origin::Punched)
    }

    fn is_proven(&self, now: Duration) -> bool {
        self.proven.is_some_and(|proven| now < proven + PROOF)
    }

    /// Data goes to trusted addresses and to those that answered a ping before, so only they can owe an ack.
    fn may_be_proven_by_ack(&self) -> bool {
        self.is_trusted() || self.proven.is_some()
    }

    fn start(&mut self, now: Duration, purpose: Purpose) {
        self.probe = Some(Probe::new(purpose, now));
        self.token = None;
    }

    fn prove(&mut self, now: Duration) {
        self.proven = Some(now);
        self.dead = None;
        self.strikes = 0;
        self.probe = None;
    }

    fn die(&mut self, now: Duration) {
        self.dead = Some(now);
        self.strikes = 0;
        self.start(now, Purpose::Challenge);
    }

    /// Counts bytes that are to be sent, if they may be.
    fn spend(&mut self, bytes: usize) -> bool {
        let sent = self.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let is_free = self.is_trusted() || self.proven.is_some();
        if is_free || sent <= self.received.saturating_mul(AMPLIFICATION_MAX) {
            self.sent = sent;
            return true;
        }
        false
    }

    fn ping(&mut self, now: Duration, token: impl FnOnce() -> u64) -> Option<Ping> {
        let shot = self.probe.as_mut()?.fire(now)?;
        // An address that the peer itself offers is asked by these few pings before anything comes from it.
        if self.origin == Origin::Observed && !self.spend(sealed_len(PING_LEN)) {
            return None;
        }
        Some(Ping {
            to: self.address,
            token: *self.token.get_or_insert_with(token),
            is_primer: shot == Shot::Primer,
        })
    }
}

/// Whether an address belongs to a network that is not the internet.
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || is_shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests;
