//! One address at which a peer may be reached, and what is known about it.

use super::packet::ADDRESSES_MAX;
use super::probe::{PingKind, Probe, Purpose};
use std::net::SocketAddr;
use std::time::Duration;

/// How long an answer validates an address.
const VALIDATION_LIFETIME: Duration = Duration::from_secs(30);

/// Consecutive segments without an answer before an address counts as dead.
const FAILURES_MAX: u32 = 4;

/// For how long acks alone keep an address valid. A peer that no longer receives there can forge acks, but no pong.
const PROVEN_FOR: Duration = Duration::from_secs(60);

/// How often a dead address is probed again.
const REPROBE: Duration = Duration::from_secs(60);

/// How long the address in use may be silent. (A mapping was seen alive at 25 s and dead at 33 s.)
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Bytes that may be sent to an unvalidated address for each byte received from it.
const AMPLIFICATION_MAX: u64 = 3;

#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    pub(super) origin: Origin,
    /// When it was last validated.
    pub(super) validated: Option<Duration>,
    /// When a ping was last answered there; before that, when the first ack came.
    proven: Option<Duration>,
    /// When a genuine datagram last came from it.
    pub(super) last_received: Option<Duration>,
    /// Since when it is known not to work.
    pub(super) dead: Option<Duration>,
    pub(super) probe: Option<Probe>,
    /// The token of the last probe's pings.
    pub(super) token: Option<u64>,
    received: u64,
    sent: u64,
    failures: u32,
}

/// Where an address was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// From the server, in the roster.
    Announced,
    /// From the server, for punching.
    Punched,
    /// From the peer: an address in its own network.
    Local,
    /// From the source of the peer's datagrams.
    Observed,
}

/// A ping to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ping {
    pub(super) to: SocketAddr,
    pub(super) token: u64,
    pub(super) kind: PingKind,
}

impl Origin {
    /// Candidates of this origin at most; eight of all origins together.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Announced | Self::Punched => 1,
            Self::Local => ADDRESSES_MAX,
            Self::Observed => 2,
        }
    }
}

impl Candidate {
    pub(super) fn new(address: SocketAddr, origin: Origin) -> Self {
        Self {
            address,
            origin,
            validated: None,
            proven: None,
            last_received: None,
            dead: None,
            probe: None,
            token: None,
            received: 0,
            sent: 0,
            failures: 0,
        }
    }

    /// The server vouches for it: the peer has confirmed that it receives datagrams there.
    pub(super) fn is_trusted(&self) -> bool {
        matches!(self.origin, Origin::Announced | Origin::Punched)
    }

    pub(super) fn is_validated(&self, now: Duration) -> bool {
        self.validated.is_some_and(|at| now < at + VALIDATION_LIFETIME)
    }

    /// Segments go to trusted addresses and to those that have answered a ping. So only these can
    /// owe an ack, and only these are exempt from the amplification limit.
    pub(super) fn may_carry_segments(&self) -> bool {
        self.is_trusted() || self.validated.is_some()
    }

    pub(super) fn is_punching(&self) -> bool {
        self.probe.is_some_and(|probe| probe.purpose == Purpose::Punch)
    }

    pub(super) fn start(&mut self, now: Duration, purpose: Purpose) {
        self.probe = Some(Probe::new(purpose, now));
        self.token = None;
    }

    pub(super) fn count_received(&mut self, now: Duration, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(bytes);
        self.last_received = Some(now);
    }

    /// The peer has answered there; `by_pong`: so certainly that it was the peer. Returns whether that counts.
    pub(super) fn validate(&mut self, now: Duration, by_pong: bool) -> bool {
        self.failures = 0;
        if by_pong {
            self.proven = Some(now);
        } else if now >= *self.proven.get_or_insert(now) + PROVEN_FOR {
            return false;
        }
        self.validated = Some(now);
        self.dead = None;
        self.probe = None;
        true
    }

    /// A segment that was sent at `sent` was not answered.
    pub(super) fn count_failure(&mut self, now: Duration, sent: Duration) {
        if self.validated.is_none_or(|at| at < sent) {
            self.failures += 1;
            if self.failures >= FAILURES_MAX {
                self.mark_dead(now);
            }
        }
    }

    /// It does not work, as far as is known. It is probed at once.
    pub(super) fn mark_dead(&mut self, now: Duration) {
        self.dead = Some(now);
        self.failures = 0;
        self.start(now, Purpose::Challenge);
    }

    /// Counts bytes to be sent, if the amplification limit allows them.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        let sent = self.sent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let is_allowed = self.may_carry_segments() || sent <= self.received.saturating_mul(AMPLIFICATION_MAX);
        if is_allowed {
            self.sent = sent;
        }
        is_allowed
    }

    /// The next ping, if one is due. Until `keep_until`, the address in use is kept open and dead
    /// ones are probed again. A ping takes a datagram of `ping_len` bytes.
    pub(super) fn poll(
        &mut self,
        now: Duration,
        is_active: bool,
        keep_until: Option<Duration>,
        ping_len: usize,
        token: impl FnOnce() -> u64,
    ) -> Option<Ping> {
        if let Some((at, purpose)) = self.upkeep(is_active, keep_until)
            && at <= now
        {
            self.start(now, purpose);
        }
        let kind = self.probe.as_mut()?.fire(now)?;
        // An address that the peer offered gets these few pings before anything comes from it.
        if self.origin == Origin::Observed && !self.spend(ping_len) {
            return None;
        }
        Some(Ping {
            to: self.address,
            token: *self.token.get_or_insert_with(token),
            kind,
        })
    }

    /// When [`Self::poll`] next has something to do.
    pub(super) fn deadline(&self, is_active: bool, keep_until: Option<Duration>) -> Option<Duration> {
        let upkeep = self.upkeep(is_active, keep_until).map(|(at, _)| at);
        self.probe.map(|probe| probe.due()).or(upkeep)
    }

    /// When the next probe starts, and why. None while one is running.
    fn upkeep(&self, is_active: bool, keep_until: Option<Duration>) -> Option<(Duration, Purpose)> {
        let (at, purpose) = match (self.probe, self.dead, self.validated) {
            (None, Some(dead), _) => (dead + REPROBE, Purpose::Challenge),
            (None, None, Some(validated)) if is_active => (validated + KEEPALIVE, Purpose::Keepalive),
            _ => return None,
        };
        (at < keep_until?).then_some((at, purpose))
    }
}
