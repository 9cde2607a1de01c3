//! What is measured once the server has agreed to it: round trips over TCP, and datagrams.

use super::findings::{Clock, Finding, Place, Sample};
use super::probes::Probes;
use super::{Effect, Ends, Random};
use chat_proto::nick::Nick;
use chat_proto::opaque::Token;
use chat_proto::rich::FromClient;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// `PING`s, one after the other.
pub(super) const PINGS: usize = 5;

/// How long all of it may take.
pub(super) const MEASURE: Duration = Duration::from_secs(2);

pub(super) struct Measurement {
    ends: Ends,
    /// Where the server sees the connection come from.
    seen: SocketAddr,
    pub(super) place: Place,
    clock: Clock,
    started: Duration,
    /// Where there is a UDP port.
    probes: Option<Probes>,
    asked: Duration,
    trips: Vec<Duration>,
}

impl Measurement {
    pub(super) fn new(now: Duration, ends: Ends, seen: SocketAddr, clock: Clock, nick: Option<Nick>) -> Self {
        Self {
            ends,
            seen,
            place: Place::Free(nick),
            clock,
            started: now,
            probes: None,
            asked: now,
            trips: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, token: Token, random: &mut Random, effects: &mut VecDeque<Effect>) {
        if self.ends.udp_port.is_some() {
            let probes = Probes::new(self.started, self.ends.server, token, random);
            self.probes = Some(probes);
        }
        self.ping(self.started, effects);
        self.tick(self.started, effects);
    }

    pub(super) fn deadline(&self) -> Duration {
        let end = self.started + MEASURE;
        let due = self.probes.as_ref().and_then(Probes::deadline);
        due.map_or(end, |due| due.min(end))
    }

    pub(super) fn tick(&mut self, now: Duration, effects: &mut VecDeque<Effect>) {
        if let Some(probes) = &mut self.probes {
            while let Some(datagram) = probes.next(now) {
                effects.push_back(Effect::Datagram(datagram));
            }
        }
    }

    pub(super) fn pong(&mut self, now: Duration, number: u64, effects: &mut VecDeque<Effect>) {
        if number == self.ping_number() && self.trips.len() < PINGS {
            self.trips.push(now.saturating_sub(self.asked));
            if self.trips.len() < PINGS {
                self.ping(now, effects);
            }
        }
    }

    pub(super) fn datagram(&mut self, now: Duration, from: SocketAddr, bytes: &[u8]) {
        if let Some(probes) = &mut self.probes {
            probes.receive(now, from, bytes);
        }
    }

    pub(super) fn datagram_refused(&mut self) {
        if let Some(probes) = &mut self.probes {
            probes.refused();
        }
    }

    /// Whether everything that was asked is answered.
    pub(super) fn is_complete(&self) -> bool {
        self.trips.len() == PINGS && self.probes.as_ref().is_none_or(Probes::is_complete)
    }

    /// What was found out by now.
    pub(super) fn conclude(&self) -> Vec<Finding> {
        let asked = PINGS.min(self.trips.len() + 1);
        let mut findings = vec![
            Finding::Room(self.place.clone()),
            Finding::RoundTrip(Sample::new(asked, self.trips.clone())),
            Finding::Ports {
                ports: self.ends.ports,
                tcp: self.ends.local.port(),
                udp: self.ends.udp_port,
            },
        ];
        if let (Some(probes), Some(port)) = (&self.probes, self.ends.udp_port) {
            let local = SocketAddr::new(self.ends.local.ip(), port);
            findings.extend(probes.conclude(local, self.seen.ip()));
        }
        findings.push(Finding::Clock(self.clock));
        findings
    }

    fn ping(&mut self, now: Duration, effects: &mut VecDeque<Effect>) {
        self.asked = now;
        let line: FromClient<'_> = FromClient::Ping(self.ping_number());
        effects.push_back(Effect::Say(format!("{line}\n")));
    }

    /// Each has its own number, so that no answer is taken for another's.
    fn ping_number(&self) -> u64 {
        self.trips.len() as u64 + 1
    }
}
