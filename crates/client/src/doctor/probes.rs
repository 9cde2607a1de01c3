//! Datagrams to the server's rendezvous port: short ones show loss and delay, long ones show which
//! lengths pass.

use super::report::Report;
use crate::private::DATAGRAM_MAX;
use chat_noise::rendezvous::{REPLY_LEN, REQUEST_LEN, REQUEST_MAX, Reply, request};
use chat_proto::id::canonical;
use chat_proto::opaque::Token;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Short datagrams, and the time between two of them.
const SHORT: usize = 10;
const SHORT_EVERY_MS: u64 = 50;

/// Lengths of packets to try: Ethernet, Ethernet with PPPoE, common tunnels, and the minimum of
/// IPv6.
const PACKETS: [usize; 6] = [1500, 1492, 1450, 1420, 1400, 1280];

/// Shorter payloads, to find out what still passes where private messages don't.
const PAYLOADS: [usize; 4] = [DATAGRAM_MAX, 1000, 548, 200];

/// When to retry the lengths without an answer: any datagram may be lost, whatever its length.
const ROUNDS_MS: [u64; 4] = [500, 800, 1100, 1400];

/// Time between two long datagrams, so that a slow link does not drop a burst of them. On a fast
/// link the longest is answered before the next one is due, which is then not sent.
const LONG_EVERY_MS: u64 = 10;

/// Outside addresses that are kept; the report names two.
const SEEN_MAX: usize = 4;

/// The server answers at most this many of a client.
const _: () = assert!(SHORT + (PACKETS.len() + PAYLOADS.len()) * ROUNDS_MS.len() <= 64);

pub(super) struct Probes {
    server: SocketAddr,
    token: Token,
    headers: usize,
    /// In the order of time.
    planned: VecDeque<Probe>,
    /// The count of a request is its index.
    sent: Vec<Probe>,
    /// The addresses from which the server saw datagrams come.
    seen: Vec<SocketAddr>,
    elsewhere: Option<SocketAddr>,
    refused: bool,
}

struct Probe {
    length: usize,
    /// When it is due; once it is sent, when that was.
    at: Duration,
    /// The round trip, once it is answered.
    took: Option<Duration>,
}

impl Probes {
    pub(super) fn new(now: Duration, server: SocketAddr, token: Token) -> Self {
        let server = canonical(server);
        let headers = if server.is_ipv4() { 20 + 8 } else { 40 + 8 };
        let short = (0..SHORT as u64).map(|n| (n * SHORT_EVERY_MS, REQUEST_LEN));
        let long = ROUNDS_MS.iter().flat_map(|start| {
            let lengths = lengths(headers).zip(0..);
            lengths.map(move |(length, n)| (start + n * LONG_EVERY_MS, length))
        });
        let planned = short.chain(long).map(|(ms, length)| Probe {
            length,
            at: now + Duration::from_millis(ms),
            took: None,
        });
        Self {
            server,
            token,
            headers,
            planned: planned.collect(),
            sent: Vec::new(),
            seen: Vec::new(),
            elsewhere: None,
            refused: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.planned.front().map(|probe| probe.at)
    }

    /// The next datagram, if one is due.
    pub(super) fn next(&mut self, now: Duration) -> Option<Vec<u8>> {
        let passed = self.passed().unwrap_or(REQUEST_LEN);
        loop {
            self.planned.front().filter(|probe| probe.at <= now)?;
            let mut probe = self.planned.pop_front()?;
            if probe.length > REQUEST_LEN && probe.length <= passed {
                continue;
            }
            probe.at = now;
            let count = self.sent.len() as u64;
            let request = request(&self.token, count, probe.length);
            self.sent.push(probe);
            return Some(request);
        }
    }

    pub(super) fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &[u8]) {
        let Some(reply) = Reply::parse(&self.token, datagram) else {
            return;
        };
        let which = usize::try_from(reply.count).unwrap_or(usize::MAX);
        let probe = self.sent.get_mut(which);
        let Some(probe) = probe.filter(|probe| probe.took.is_none()) else {
            return;
        };
        if canonical(from) != self.server {
            self.elsewhere = Some(canonical(from));
            return;
        }
        let whole = if probe.length == REQUEST_LEN {
            REPLY_LEN
        } else {
            probe.length
        };
        if datagram.len() != whole {
            // Something cut it on the way, so its length did not pass.
            return;
        }
        probe.took = Some(now.saturating_sub(probe.at));
        if !self.seen.contains(&reply.observed) && self.seen.len() < SEEN_MAX {
            self.seen.push(reply.observed);
        }
    }

    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether waiting would show nothing new.
    pub(super) fn is_complete(&self) -> bool {
        self.times().len() == SHORT && self.passed() == lengths(self.headers).next()
    }

    /// `local` is the client's UDP address, and `connection` is where the server sees its TCP
    /// connection come from.
    pub(super) fn conclude(&self, report: &mut Report, local: SocketAddr, connection: IpAddr) {
        let times = self.times();
        let sent = self
            .sent
            .iter()
            .filter(|probe| probe.length == REQUEST_LEN)
            .count();
        if times.is_empty() {
            return report.datagrams_fail(self.server.port(), sent, self.refused, self.elsewhere);
        }
        report.datagrams_pass(&times, sent);
        report.translation(canonical(local), &self.seen, connection);
        let passed = self.passed();
        let lengths = self.sent.iter().map(|probe| probe.length);
        let failed = lengths
            .filter(|&length| length > passed.unwrap_or(REQUEST_LEN))
            .min();
        report.path_mtu(passed, failed, self.headers);
    }

    /// The round trips of short datagrams.
    fn times(&self) -> Vec<Duration> {
        let short = self.sent.iter().filter(|probe| probe.length == REQUEST_LEN);
        short.filter_map(|probe| probe.took).collect()
    }

    /// The longest payload that came back, short datagrams aside.
    fn passed(&self) -> Option<usize> {
        let answered = self.sent.iter().filter(|probe| probe.took.is_some());
        let lengths = answered.map(|probe| probe.length);
        lengths.filter(|&length| length > REQUEST_LEN).max()
    }
}

/// The long payloads to try, longest first.
fn lengths(headers: usize) -> impl Iterator<Item = usize> {
    let packets = PACKETS.into_iter().map(move |packet| packet - headers);
    packets.chain(PAYLOADS).filter(|&length| length <= REQUEST_MAX)
}
