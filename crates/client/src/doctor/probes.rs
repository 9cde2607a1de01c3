//! Datagrams to the server's rendezvous: short ones for loss and time, longer ones to see what passes.

use super::Random;
use super::findings::{Datagrams, Finding, Length, Outside, Sample};
use crate::private::DATAGRAM_MAX;
use chat_proto::id::canonical;
use chat_proto::opaque::Token;
use chat_proto::rendezvous::{Nonce, REPLY_LEN, REQUEST_LEN, REQUEST_MAX, Reply, Request};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Short datagrams, and the time between two of them.
pub(super) const SHORT: usize = 10;
const SHORT_EVERY_MS: u64 = 50;

/// Packets as long as these are tried: Ethernet, Ethernet with PPPoE, usual tunnels, and what IPv6 requires of every line.
const PACKETS: [usize; 6] = [1500, 1492, 1450, 1420, 1400, 1280];

/// Shorter payloads, to tell what is left where private messages don't pass.
const PAYLOADS: [usize; 4] = [DATAGRAM_MAX, 1000, 548, 200];

/// When each of the lengths is tried again that did not come back: any datagram may be lost, whatever its length.
const ROUNDS_MS: [u64; 4] = [500, 800, 1100, 1400];

/// Between two long ones, so that a slow line does not lose them for coming together. On a fast one the answer to the longest
/// comes before the next is due, which then need not be sent.
const LONG_EVERY_MS: u64 = 10;

/// Different source addresses that are told of.
const SEEN_MAX: usize = 4;

/// Never more than the server answers at once.
const _: () = assert!(SHORT + (PACKETS.len() + PAYLOADS.len()) * ROUNDS_MS.len() <= 64);

pub(super) struct Probes {
    server: SocketAddr,
    token: Token,
    headers: usize,
    /// What is still to be sent, and when: in the order of time.
    plan: VecDeque<(Duration, usize, Nonce)>,
    sent: Vec<Probe>,
    seen: Vec<SocketAddr>,
    elsewhere: Option<SocketAddr>,
    refused: bool,
}

struct Probe {
    nonce: Nonce,
    length: usize,
    at: Duration,
    took: Option<Duration>,
}

impl Probes {
    pub(super) fn new(now: Duration, server: SocketAddr, token: Token, random: &mut Random) -> Self {
        let server = canonical(server);
        let headers = if server.is_ipv4() { 20 + 8 } else { 40 + 8 };
        let short = (0..SHORT as u64).map(|n| (n * SHORT_EVERY_MS, REQUEST_LEN));
        let long = ROUNDS_MS.iter().flat_map(|start| {
            let lengths = lengths(headers).into_iter().zip(0..);
            lengths.map(move |(length, n)| (start + n * LONG_EVERY_MS, length))
        });
        let plan = short
            .chain(long)
            .map(|(ms, length)| (now + Duration::from_millis(ms), length, random()));
        Self {
            server,
            token,
            headers,
            plan: plan.collect(),
            sent: Vec::new(),
            seen: Vec::new(),
            elsewhere: None,
            refused: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.plan.front().map(|(at, ..)| *at)
    }

    /// The next datagram to send, if it is time for one.
    pub(super) fn next(&mut self, now: Duration) -> Option<Vec<u8>> {
        let passed = self.passed();
        while let Some((at, length, nonce)) = self.plan.pop_front() {
            if at > now {
                self.plan.push_front((at, length, nonce));
                return None;
            }
            if length > REQUEST_LEN && passed.is_some_and(|passed| passed >= length) {
                continue;
            }
            self.sent.push(Probe {
                nonce,
                length,
                at: now,
                took: None,
            });
            let token = self.token;
            let mut request = Request { token, nonce }.to_bytes().to_vec();
            request.resize(length, 0);
            return Some(request);
        }
        None
    }

    pub(super) fn receive(&mut self, now: Duration, from: SocketAddr, datagram: &[u8]) {
        let Some(reply) = Reply::parse(datagram) else {
            return;
        };
        let is_its = |probe: &&mut Probe| probe.nonce == reply.echo && probe.took.is_none();
        let Some(probe) = self.sent.iter_mut().find(is_its) else {
            return;
        };
        if canonical(from) != self.server {
            self.elsewhere = Some(canonical(from));
            return;
        }
        // What was cut short on the way did not pass.
        if datagram.len() != reply_len(probe.length) {
            return;
        }
        probe.took = Some(now.saturating_sub(probe.at));
        if !self.seen.contains(&reply.observed) && self.seen.len() < SEEN_MAX {
            self.seen.push(reply.observed);
        }
    }

    pub(super) fn refused(&mut self) {
        self.refused = true;
    }

    /// Whether nothing is left to learn by waiting.
    pub(super) fn is_complete(&self) -> bool {
        let short = self.sent.iter().filter(|probe| probe.length == REQUEST_LEN);
        let answered = short.filter(|probe| probe.took.is_some()).count();
        answered == SHORT && self.passed() == self.longest()
    }

    pub(super) fn conclude(&self, local: SocketAddr, connection: IpAddr) -> Vec<Finding> {
        let short = self.sent.iter().filter(|probe| probe.length == REQUEST_LEN);
        let asked = short.clone().count();
        let datagrams = Datagrams {
            port: self.server.port(),
            sample: Sample::new(asked, short.filter_map(|probe| probe.took).collect()),
            refused: self.refused,
            elsewhere: self.elsewhere,
        };
        let passes = datagrams.pass();
        let mut findings = vec![Finding::Datagrams(datagrams)];
        if passes {
            findings.push(Finding::Outside(Outside {
                local: canonical(local),
                seen: self.seen.clone(),
                connection,
            }));
            findings.push(Finding::Length(self.length()));
        }
        findings
    }

    fn length(&self) -> Length {
        let passed = self.passed();
        let tried = self.sent.iter().map(|probe| probe.length);
        let longer = |length: &usize| *length > passed.unwrap_or(REQUEST_LEN);
        Length {
            passed,
            failed: tried.filter(longer).min(),
            headers: self.headers,
        }
    }

    /// The longest that came back, short ones left out.
    fn passed(&self) -> Option<usize> {
        let back = self.sent.iter().filter(|probe| probe.took.is_some());
        back.map(|probe| probe.length)
            .filter(|&length| length > REQUEST_LEN)
            .max()
    }

    fn longest(&self) -> Option<usize> {
        lengths(self.headers).first().copied()
    }
}

/// The payloads that are tried, the longest first.
fn lengths(headers: usize) -> Vec<usize> {
    let packets = PACKETS.map(|packet| packet - headers);
    packets
        .into_iter()
        .chain(PAYLOADS)
        .filter(|&length| length <= REQUEST_MAX)
        .collect()
}

fn reply_len(request: usize) -> usize {
    if request == REQUEST_LEN {
        REPLY_LEN
    } else {
        request
    }
}
