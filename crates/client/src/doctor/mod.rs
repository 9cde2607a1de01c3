//! `--doctor`: what works between here and a server, and what to do about what doesn't.
//!
//! [`Doctor`] is pure: it is told the time, what came, and how connecting went; it says what to send and when to be called
//! again, and gathers [`Finding`]s. [`report`] words them; [`mod@run`] is the loop around it.
//!
//! Nobody in the room hears of it: where the greeting offers to examine the way, that is what is asked for; where it
//! does not, nothing is said at all.

mod findings;
mod greeting;
mod measurement;
mod probes;
mod report;
mod run;
#[cfg(test)]
mod tests;

pub use findings::{Finding, Verdict};
pub use run::run;

use crate::net::connect::Ports;
use chat_proto::line::{Line, LineDecoder};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::rendezvous::Nonce;
use chat_proto::rich::{FromClient, FromServer};
use chat_proto::{SERVER_LINE_MAX, VERSION};
use findings::{Failure, Place, Server};
use greeting::Judgement;
use measurement::Measurement;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// How long all of it may take, once the name has been looked up.
pub(crate) const BUDGET: Duration = Duration::from_secs(5);

/// How long one address may take to answer.
const CONNECT_WAIT: Duration = Duration::from_millis(1500);

/// How long the server may take to greet.
const GREETING_WAIT: Duration = Duration::from_millis(1500);

/// How long the server may take to answer `PROBE`.
const ANSWER_WAIT: Duration = Duration::from_millis(1500);

/// Bytes of a greeting that are looked at: those of our servers have fewer, and so has what tells others.
const GREETING_MAX: usize = 1024;

/// Where nonces come from: good ones, from the system.
pub(crate) type Random = Box<dyn FnMut() -> Nonce>;

/// What the loop is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Begin to connect, and let go of an attempt that was not told of as failed.
    Connect(SocketAddr),
    /// Send this over the connection.
    Say(String),
    /// Send this to the UDP port with the number of the server's TCP port.
    Datagram(Vec<u8>),
}

/// A connection that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) local: SocketAddr,
    pub(crate) server: SocketAddr,
    pub(crate) udp_port: Option<u16>,
    pub(crate) ports: Ports,
}

/// Examines the way to one server.
pub(crate) struct Doctor {
    nick: Option<Nick>,
    random: Random,
    /// When it ends, whatever is still open.
    end: Duration,
    stage: Stage,
    findings: Vec<Finding>,
    effects: VecDeque<Effect>,
}

enum Stage {
    Connecting {
        to: SocketAddr,
        since: Duration,
        /// To be tried after this one.
        left: VecDeque<SocketAddr>,
    },
    Greeting {
        ends: Ends,
        heard: Vec<u8>,
        until: Duration,
    },
    /// `PROBE` was said.
    Asking {
        ends: Ends,
        version: u32,
        since: Now,
        decoder: LineDecoder,
    },
    Measuring(Box<Measurement>, LineDecoder),
    Done,
}

impl Doctor {
    /// Begins with the first of these addresses of the server, or ends at once where there is none.
    pub(crate) fn new(
        now: Now,
        found: Result<Vec<SocketAddr>, String>,
        host: &str,
        nick: Option<Nick>,
        random: Random,
    ) -> Self {
        let mut doctor = Self {
            nick,
            random,
            end: now.monotonic + BUDGET,
            stage: Stage::Done,
            findings: Vec::new(),
            effects: VecDeque::new(),
        };
        let host = host.to_owned().into();
        match found {
            Ok(addresses) => {
                let left = addresses.iter().copied().collect();
                doctor.findings.push(Finding::Host { host, addresses });
                doctor.connect_to_next(now, left);
            }
            Err(error) => {
                let error = error.into();
                doctor.findings.push(Finding::HostUnknown { host, error });
            }
        }
        doctor
    }

    /// What was found so far, in the order of the report.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What is to be done next.
    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether there is no more to find out.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// When to call [`Doctor::tick`].
    pub(crate) fn deadline(&self) -> Duration {
        let due = match &self.stage {
            Stage::Connecting { since, .. } => *since + CONNECT_WAIT,
            Stage::Greeting { until, .. } => *until,
            Stage::Asking { since, .. } => since.monotonic + ANSWER_WAIT,
            Stage::Measuring(measurement, _) => measurement.deadline(),
            Stage::Done => self.end,
        };
        due.min(self.end)
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Now) {
        if let Stage::Measuring(measurement, _) = &mut self.stage {
            measurement.tick(now.monotonic, &mut self.effects);
            self.conclude_if_complete();
        }
        if now.monotonic < self.deadline() {
            return;
        }
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Connecting { to, since, left } => {
                let why = Failure::Silent(now.monotonic.saturating_sub(since));
                self.could_not_connect(now, to, why, left);
            }
            Stage::Greeting { heard, .. } => self.judge_stranger(greeting::at_the_end(&heard)),
            Stage::Asking { version, .. } => self.find(Finding::Server(Server::Stalled(version))),
            Stage::Measuring(measurement, _) => self.findings.extend(measurement.conclude()),
            Stage::Done => {}
        }
    }

    /// The connection that was asked for is there.
    pub(crate) fn connected(&mut self, now: Now, ends: Ends) {
        if let Stage::Connecting { to, since, .. } = self.stage {
            let after = now.monotonic.saturating_sub(since);
            self.find(Finding::Connected { to, after });
            self.stage = Stage::Greeting {
                ends,
                heard: Vec::new(),
                until: now.monotonic + GREETING_WAIT,
            };
        }
    }

    /// The connection that was asked for can't be had.
    pub(crate) fn not_connected(&mut self, now: Now, why: Failure) {
        if let Stage::Connecting { to, left, .. } = &mut self.stage {
            let (to, left) = (*to, std::mem::take(left));
            self.could_not_connect(now, to, why, left);
        }
    }

    /// Bytes came over the connection.
    pub(crate) fn receive(&mut self, now: Now, bytes: &[u8]) {
        if let Stage::Greeting { heard, .. } = &mut self.stage {
            let space = GREETING_MAX - heard.len().min(GREETING_MAX);
            heard.extend_from_slice(bytes.get(..space).unwrap_or(bytes));
            return self.read_greeting(now);
        }
        self.read_lines(now, bytes);
    }

    fn read_lines(&mut self, now: Now, mut input: &[u8]) {
        while let Some(line) = self.next_line(&mut input) {
            self.hear(now, &line);
        }
        self.conclude_if_complete();
    }

    /// The server has closed the connection, or it broke.
    pub(crate) fn closed(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Greeting { heard, .. } if heard.is_empty() => self.find(Finding::Server(Server::Closed)),
            Stage::Greeting { heard, .. } => self.judge_stranger(greeting::at_the_end(&heard)),
            Stage::Asking { .. } => self.find(Finding::Lost(None)),
            Stage::Measuring(measurement, _) => {
                self.findings.extend(measurement.conclude());
                self.find(Finding::Lost(None));
            }
            stage @ (Stage::Connecting { .. } | Stage::Done) => self.stage = stage,
        }
    }

    /// A datagram came.
    pub(crate) fn datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        if let Stage::Measuring(measurement, _) = &mut self.stage {
            measurement.datagram(now.monotonic, from, bytes);
            self.conclude_if_complete();
        }
    }

    /// The network says that a datagram was not taken.
    pub(crate) fn datagram_refused(&mut self) {
        if let Stage::Measuring(measurement, _) = &mut self.stage {
            measurement.datagram_refused();
        }
    }

    fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn connect_to_next(&mut self, now: Now, mut left: VecDeque<SocketAddr>) {
        if let Some(to) = left.pop_front() {
            self.effects.push_back(Effect::Connect(to));
            let since = now.monotonic;
            self.stage = Stage::Connecting { to, since, left };
        }
    }

    fn could_not_connect(&mut self, now: Now, to: SocketAddr, why: Failure, left: VecDeque<SocketAddr>) {
        self.stage = Stage::Done;
        let goes_on = !left.is_empty() && now.monotonic < self.end;
        self.find(Finding::NotConnected { to, why, goes_on });
        if goes_on {
            self.connect_to_next(now, left);
        }
    }

    fn read_greeting(&mut self, now: Now) {
        let Stage::Greeting { ends, heard, until } = &mut self.stage else {
            return;
        };
        match greeting::judge(heard) {
            Judgement::More => {}
            Judgement::Quiet => *until = (*until).min(now.monotonic + greeting::QUIET),
            Judgement::Ours {
                version,
                offers_probe,
            } => {
                let (ends, heard) = (*ends, std::mem::take(heard));
                if offers_probe {
                    self.ask(now, ends, version);
                    let greeting = heard.iter().position(|&byte| byte == b'\n');
                    let rest = greeting.and_then(|end| heard.get(end + 1..));
                    self.read_lines(now, rest.unwrap_or_default());
                } else {
                    self.stage = Stage::Done;
                    self.find(Finding::Server(Server::TooOld(version)));
                }
            }
            Judgement::Stranger(server) => self.judge_stranger(Judgement::Stranger(server)),
            Judgement::NoPlace(place) => self.judge_stranger(Judgement::NoPlace(place)),
        }
    }

    fn judge_stranger(&mut self, judgement: Judgement) {
        self.stage = Stage::Done;
        match judgement {
            Judgement::Stranger(server) => self.find(Finding::Server(server)),
            Judgement::NoPlace(place) => self.find(Finding::Room(place)),
            Judgement::More | Judgement::Quiet | Judgement::Ours { .. } => {
                self.find(Finding::Server(Server::Mute(GREETING_WAIT)));
            }
        }
    }

    fn ask(&mut self, now: Now, ends: Ends, version: u32) {
        let nick = self.nick.as_ref().map(Nick::as_str);
        let line = FromClient::Probe(version.min(VERSION), nick);
        self.effects.push_back(Effect::Say(format!("{line}\n")));
        self.stage = Stage::Asking {
            ends,
            version,
            since: now,
            decoder: LineDecoder::new(SERVER_LINE_MAX),
        };
    }

    /// The next whole line among the bytes that came, if anybody waits for one.
    fn next_line(&mut self, input: &mut &[u8]) -> Option<String> {
        loop {
            let (Stage::Asking { decoder, .. } | Stage::Measuring(_, decoder)) = &mut self.stage else {
                return None;
            };
            match decoder.next(input)? {
                Line::Whole(line) => return Some(String::from_utf8_lossy(line).into_owned()),
                // Of a later version, or of nobody.
                Line::TooLong => {}
            }
        }
    }

    fn hear(&mut self, now: Now, line: &str) {
        let Ok(said) = FromServer::parse(line) else {
            return self.hear_plainly(line);
        };
        match (&mut self.stage, said) {
            (_, FromServer::Goodbye(_, text)) => {
                let text = Some(text.into_owned()).filter(|text| !text.as_str().is_empty());
                self.closed();
                if let Some(Finding::Lost(why)) = self.findings.last_mut() {
                    *why = text;
                }
            }
            (Stage::Asking { .. }, FromServer::Probed(at, who, token)) => {
                let Stage::Asking {
                    ends,
                    version,
                    since,
                    decoder,
                } = std::mem::replace(&mut self.stage, Stage::Done)
                else {
                    return;
                };
                let seen = who.id.address();
                self.find(Finding::Server(Server::Ours { version, seen }));
                let clock = findings::Clock::between(since, at, now);
                let nick = self.nick.clone();
                let mut measurement = Measurement::new(now.monotonic, ends, seen, clock, nick);
                measurement.begin(token, &mut self.random, &mut self.effects);
                self.stage = Stage::Measuring(Box::new(measurement), decoder);
            }
            (Stage::Measuring(measurement, _), FromServer::Pong(number)) => {
                measurement.pong(now.monotonic, number, &mut self.effects);
            }
            (Stage::Measuring(measurement, _), FromServer::Error(_, _, text)) => {
                measurement.place = Place::NickRefused(text.into_owned());
            }
            _ => {}
        }
    }

    /// Who was greeted only because it might have come back is turned away in the words that every user knows.
    fn hear_plainly(&mut self, line: &str) {
        if matches!(self.stage, Stage::Asking { .. })
            && let place @ Judgement::NoPlace(_) = greeting::judge(format!("{line}\n").as_bytes())
        {
            self.judge_stranger(place);
        }
    }

    fn conclude_if_complete(&mut self) {
        if let Stage::Measuring(measurement, _) = &self.stage
            && measurement.is_complete()
        {
            let findings = measurement.conclude();
            self.findings.extend(findings);
            self.stage = Stage::Done;
        }
    }
}
