//! What is measured once the server agrees to it: round trips over TCP, and datagrams.

use super::probes::Probes;
use super::report::Report;
use crate::net::connect::Ports;
use chat_proto::nick::Nick;
use chat_proto::opaque::Token;
use chat_proto::rich::ErrorCode;
use chat_proto::text::Text;
use std::net::SocketAddr;
use std::time::Duration;

/// `PING`s, one after the other.
const PINGS: usize = 5;

/// How long the measurement may take.
const LIMIT: Duration = Duration::from_secs(2);

/// The addresses of a connection and of the UDP socket beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sockets {
    pub(super) local: SocketAddr,
    pub(super) server: SocketAddr,
    pub(super) udp_port: Option<u16>,
    pub(super) ports: Ports,
}

pub(super) struct Measurement {
    sockets: Sockets,
    /// Where the server sees the connection come from.
    seen: SocketAddr,
    refusal: Option<(ErrorCode, Text<'static>)>,
    end: Duration,
    /// None without a UDP port.
    probes: Option<Probes>,
    /// When the last `PING` was sent.
    pinged: Duration,
    trips: Vec<Duration>,
}

impl Measurement {
    /// Begins, and sends the first `PING`.
    pub(super) fn new(now: Duration, sockets: Sockets, seen: SocketAddr, token: Token) -> Self {
        let probes = || Probes::new(now, sockets.server, token);
        Self {
            sockets,
            seen,
            refusal: None,
            end: now + LIMIT,
            probes: sockets.udp_port.is_some().then(probes),
            pinged: now,
            trips: Vec::new(),
        }
    }

    pub(super) fn deadline(&self) -> Duration {
        let due = self.probes.as_ref().and_then(Probes::deadline);
        due.map_or(self.end, |due| due.min(self.end))
    }

    /// The number of the `PING` that is under way, or none after the last. Each has its own, so
    /// that no answer counts twice.
    pub(super) fn ping(&self) -> Option<u64> {
        (self.trips.len() < PINGS).then_some(self.trips.len() as u64 + 1)
    }

    /// Receives an answer; returns the number of the next `PING` to send.
    pub(super) fn pong(&mut self, now: Duration, number: u64) -> Option<u64> {
        if self.ping() != Some(number) {
            return None;
        }
        self.trips.push(now.saturating_sub(self.pinged));
        self.pinged = now;
        self.ping()
    }

    /// The server would not let the client in.
    pub(super) fn refuse(&mut self, code: ErrorCode, why: Text<'static>) {
        self.refusal = Some((code, why));
    }

    pub(super) fn probes(&mut self) -> Option<&mut Probes> {
        self.probes.as_mut()
    }

    /// Whether everything is answered.
    pub(super) fn is_complete(&self) -> bool {
        self.trips.len() == PINGS && self.probes.as_ref().is_none_or(Probes::is_complete)
    }

    /// Reports what is known by now.
    pub(super) fn conclude(&self, report: &mut Report, nick: Option<&Nick>) {
        match &self.refusal {
            Some((ErrorCode::Locked, why)) => report.locked(why),
            Some((_, why)) => report.nick_refused(why),
            None => report.accepted(nick),
        }
        let Sockets {
            local,
            udp_port,
            ports,
            ..
        } = self.sockets;
        report.pings(&self.trips, PINGS);
        report.ports(ports, local.port(), udp_port);
        if let (Some(probes), Some(port)) = (&self.probes, udp_port) {
            probes.conclude(report, SocketAddr::new(local.ip(), port), self.seen.ip());
        }
    }
}
