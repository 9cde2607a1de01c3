//! The addresses at which a peer may be reached: which one works, and how that is found out.
//!
//! An address is *validated* while the peer has lately answered a datagram that was sent to it: by
//! a pong, or by an ack that came directly (an ack takes the path of what it answers). An address
//! that the server announced may be used before that. An address that was only observed as the
//! source of a datagram may not: it is pinged, and until the pong it gets at most three times the
//! bytes that came from it. So nobody can be flooded by forging their address (RFC 9000, sections 8
//! and 9.3).

use super::candidate::{Candidate, Origin, Ping};
use super::event::Path;
use super::packet::ADDRESSES_MAX;
use super::probe::Purpose;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Paths {
    candidates: Vec<Candidate>,
    /// The address in use: one of the candidates, validated at some time.
    active: Option<SocketAddr>,
}

/// Where a segment is best sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// To this address, which has answered lately.
    Validated(SocketAddr),
    /// To this address, which may work.
    Unvalidated(SocketAddr),
    /// Nowhere until the routers are open: segments sent earlier may close them.
    Punching,
    /// Nowhere. This address, if any, has failed.
    Dead(Option<SocketAddr>),
}

/// The way by which a datagram came. Its answer takes the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Address(SocketAddr),
    Relay,
}

impl Source {
    pub(super) fn path(self) -> Path {
        match self {
            Self::Address(_) => Path::Direct,
            Self::Relay => Path::Relayed,
        }
    }
}

impl Paths {
    /// The server announces the peer's address. `is_talking`: validate it now.
    pub(super) fn announce(&mut self, now: Duration, address: SocketAddr, is_talking: bool) {
        self.demote_announced(now, address);
        let Some(candidate) = self.add(address, Origin::Announced) else {
            return;
        };
        candidate.origin = Origin::Announced;
        if is_talking && !candidate.is_validated(now) {
            candidate.start(now, Purpose::Challenge);
        }
    }

    /// The previously announced address is kept only while it is in use and validated, as an
    /// observed one.
    fn demote_announced(&mut self, now: Duration, address: SocketAddr) {
        let is_old = |old: &Candidate| old.origin == Origin::Announced && old.address != address;
        let Some(place) = self.candidates.iter().position(is_old) else {
            return;
        };
        let mut old = self.candidates.remove(place);
        if self.active != Some(old.address) {
            return;
        }
        if old.is_validated(now) {
            self.make_room(Origin::Observed);
            old.origin = Origin::Observed;
            self.candidates.push(old);
        } else {
            self.active = None;
        }
    }

    /// The server asks both sides to open their routers now.
    pub(super) fn punch(&mut self, now: Duration, address: SocketAddr) {
        if let Some(candidate) = self.add(address, Origin::Punched)
            && !candidate.is_punching()
            && !candidate.is_validated(now)
        {
            candidate.start(now, Purpose::Punch);
        }
    }

    /// Opens this side's router for an address that the server announced.
    pub(super) fn punch_trusted(&mut self, now: Duration) {
        if let Some(address) = self.trusted() {
            self.punch(now, address);
        }
    }

    /// The peer offers addresses in its own network. Others are ignored, so that a peer can't
    /// direct pings at third parties or at this host.
    pub(super) fn offer(&mut self, now: Duration, addresses: &[SocketAddr]) {
        let is_usable = |address: &&SocketAddr| is_local(address.ip()) && address.port() != 0;
        for &address in addresses.iter().filter(is_usable).take(ADDRESSES_MAX) {
            if let Some(candidate) = self.add(address, Origin::Local)
                && !candidate.is_validated(now)
                && candidate.probe.is_none()
            {
                candidate.start(now, Purpose::Challenge);
            }
        }
    }

    /// A genuine datagram came from an address. If it is the newest, not late or repeated, an
    /// address that can't be used yet, or not any more, is probed at once: datagrams pass one way, so
    /// probably both. If the address is new, the one in use is probed too.
    pub(super) fn received(&mut self, now: Duration, from: SocketAddr, bytes: usize, is_newest: bool) {
        let is_new = self.find(from).is_none();
        if is_new && !is_newest {
            return;
        }
        if let Some(candidate) = self.add(from, Origin::Observed) {
            candidate.count_received(now, bytes);
            let is_unused =
                candidate.dead.is_some() || !candidate.is_trusted() && !candidate.is_validated(now);
            if is_newest && is_unused && candidate.probe.is_none() {
                candidate.start(now, Purpose::Challenge);
            }
        }
        if let Some(active) = self.active_mut()
            && is_new
            && active.probe.is_none()
        {
            active.start(now, Purpose::Challenge);
        }
    }

    /// Whether an answer of so many bytes may be sent to an address. If so, they are counted.
    pub(super) fn may_answer(&mut self, to: SocketAddr, bytes: usize) -> bool {
        self.find_mut(to).is_some_and(|candidate| candidate.spend(bytes))
    }

    /// A pong arrived. Returns whether the address in use has changed.
    pub(super) fn pong(&mut self, now: Duration, token: u64) -> bool {
        let mut candidates = self.candidates.iter();
        let answered = candidates.find(|candidate| candidate.token == Some(token));
        answered
            .map(|candidate| candidate.address)
            .is_some_and(|address| self.validate(now, address, true))
    }

    /// An ack came directly from an address. Returns whether the address in use has changed.
    pub(super) fn acknowledged_from(&mut self, now: Duration, from: SocketAddr) -> bool {
        self.find(from).is_some_and(Candidate::may_carry_segments) && self.validate(now, from, false)
    }

    /// A segment that was sent directly at `sent` was not answered directly.
    pub(super) fn missed(&mut self, now: Duration, sent: Duration) {
        if let Choice::Validated(address) | Choice::Unvalidated(address) = self.choose(now, false)
            && let Some(candidate) = self.find_mut(address)
        {
            candidate.count_failure(now, sent);
        }
    }

    /// The peer's host reports a closed port. The report is easily forged, so the address is probed
    /// at once. Returns whether anything changed.
    pub(super) fn unreachable(&mut self, now: Duration, address: SocketAddr) -> bool {
        // While routers are being opened, the report means only that the other one is not open yet.
        let candidate = self
            .find_mut(address)
            .filter(|candidate| candidate.dead.is_none() && !candidate.is_punching());
        candidate.map(|candidate| candidate.mark_dead(now)).is_some()
    }

    /// Where a segment is best sent. `punch_first`: this side is behind a router, so an address
    /// that has never answered gets only pings.
    pub(super) fn choose(&self, now: Duration, punch_first: bool) -> Choice {
        let alive = || {
            self.candidates
                .iter()
                .filter(|candidate| candidate.dead.is_none())
        };
        if let Some(active) = alive().find(|candidate| self.active == Some(candidate.address)) {
            return if active.is_validated(now) {
                Choice::Validated(active.address)
            } else {
                Choice::Unvalidated(active.address)
            };
        }
        if let Some(other) = alive().find(|candidate| candidate.is_validated(now)) {
            return Choice::Validated(other.address);
        }
        match alive().find(|candidate| candidate.is_trusted()) {
            Some(trusted) if punch_first && trusted.validated.is_none() => Choice::Punching,
            Some(trusted) => Choice::Unvalidated(trusted.address),
            None => Choice::Dead(self.active.or_else(|| self.trusted())),
        }
    }

    /// When the peer last answered at any of its addresses.
    pub(super) fn last_validated(&self) -> Option<Duration> {
        let validated = self.candidates.iter().filter_map(|candidate| candidate.validated);
        validated.max()
    }

    pub(super) fn is_validated(&self, now: Duration) -> bool {
        matches!(self.choose(now, false), Choice::Validated(_))
    }

    /// The next ping to send, if one is due. Called until it returns `None`. `token` makes a random
    /// one. Until `keep_until`, the address in use is kept open and dead ones are probed again. It takes a
    /// datagram of `ping_len` bytes.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        keep_until: Option<Duration>,
        ping_len: usize,
        mut token: impl FnMut() -> u64,
    ) -> Option<Ping> {
        self.prune_failed(now);
        let active = self.active;
        self.candidates.iter_mut().find_map(|candidate| {
            let is_active = active == Some(candidate.address);
            candidate.poll(now, is_active, keep_until, ping_len, &mut token)
        })
    }

    pub(super) fn deadline(&self, keep_until: Option<Duration>) -> Option<Duration> {
        let due = self.candidates.iter().filter_map(|candidate| {
            let is_active = self.active == Some(candidate.address);
            candidate.deadline(is_active, keep_until)
        });
        due.min()
    }

    /// Marks addresses whose probe failed as dead, and removes those that nobody vouches for.
    fn prune_failed(&mut self, now: Duration) {
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

    /// An address is validated. Returns whether it replaces the one in use.
    fn validate(&mut self, now: Duration, address: SocketAddr, by_pong: bool) -> bool {
        let Some(candidate) = self.find_mut(address) else {
            return false;
        };
        let probed = candidate.probe.map(|probe| probe.started);
        if !candidate.validate(now, by_pong) || self.active == Some(address) {
            return false;
        }
        // A peer that moved is silent at its old address. If it is not, it did not move: an
        // attacker who forwards its datagrams faster must not become the path.
        let stays = self.active_mut().is_some_and(|active| {
            active.dead.is_none()
                && active.is_validated(now)
                && probed.is_none_or(|probed| active.last_received.is_some_and(|at| at >= probed))
        });
        if !stays {
            self.active = Some(address);
        }
        !stays
    }

    /// An address that the server vouches for.
    fn trusted(&self) -> Option<SocketAddr> {
        let trusted = self.candidates.iter().find(|candidate| candidate.is_trusted());
        trusted.map(|candidate| candidate.address)
    }

    fn find(&self, address: SocketAddr) -> Option<&Candidate> {
        let mut candidates = self.candidates.iter();
        candidates.find(|candidate| candidate.address == address)
    }

    fn find_mut(&mut self, address: SocketAddr) -> Option<&mut Candidate> {
        let mut candidates = self.candidates.iter_mut();
        candidates.find(|candidate| candidate.address == address)
    }

    fn active_mut(&mut self) -> Option<&mut Candidate> {
        self.active.and_then(|active| self.find_mut(active))
    }

    /// The candidate with this address. It is added if it is new and there is room for it.
    fn add(&mut self, address: SocketAddr, origin: Origin) -> Option<&mut Candidate> {
        if self.find(address).is_none() {
            if !self.make_room(origin) {
                return None;
            }
            self.candidates.push(Candidate::new(address, origin));
        }
        self.find_mut(address)
    }

    /// Makes room for a candidate of this origin, by removing one that is not in use. Returns
    /// whether there is room.
    fn make_room(&mut self, origin: Origin) -> bool {
        let same_origin = self.candidates.iter().filter(|old| old.origin == origin);
        if same_origin.count() < origin.limit() {
            return true;
        }
        let active = self.active;
        let is_removable = |old: &Candidate| old.origin == origin && active != Some(old.address);
        let place = self.candidates.iter().position(is_removable);
        place.map(|place| self.candidates.remove(place)).is_some()
    }
}

/// Whether an address belongs to a local network behind a router. Loopback addresses never lead to
/// the peer, and clients don't offer link-local ones.
fn is_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let is_shared = matches!(ip.octets(), [100, 64..=127, ..]);
            ip.is_private() || is_shared
        }
        IpAddr::V6(ip) => ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests;
