//! The check of one server, apart from sockets and clock: what happens goes in, effects and a
//! report come out.
//!
//! The room does not notice: a server of ours is sent `PROBE`, and any other server nothing.

use super::greeting::{self, Judgement};
use super::measurement::{Measurement, Sockets};
use super::report::Report;
use crate::known_servers::Known;
use crate::net::secure::Proven;
use chat_proto::line::{Line, LineDecoder};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::rich::{FromClient, FromServer};
use chat_proto::text::Text;
use chat_proto::{PASSPHRASE, SERVER_LINE_MAX, VERSION};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the check may take, once the name is looked up.
pub(super) const BUDGET: Duration = Duration::from_secs(5);

/// How long one address may take to accept, the server to greet, and then to answer `PROBE`.
const WAIT: Duration = Duration::from_millis(1500);

/// Bytes of a greeting that are read: longer than ours, and enough to recognise others.
const GREETING_MAX: usize = 1024;

/// What the caller must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Begin to connect; abandon an earlier attempt.
    Connect(SocketAddr),
    /// Send this over the connection.
    Send(String),
    /// Send this to the server's UDP port, which has the number of the TCP port.
    SendDatagram(Vec<u8>),
}

/// A check of one server.
pub(super) struct Check {
    nick: Option<Nick>,
    /// Makes unpredictable numbers.
    /// When the check ends, finished or not.
    end: Duration,
    stage: Stage,
    /// When the stage began.
    since: Duration,
    /// When the stage ends, unless it is [`Stage::Measuring`].
    until: Duration,
    decoder: LineDecoder,
    report: Report,
    effects: VecDeque<Effect>,
}

enum Stage {
    Connecting {
        to: SocketAddr,
        /// Addresses to try after this one.
        rest: VecDeque<SocketAddr>,
    },
    Greeting {
        sockets: Sockets,
        received: Vec<u8>,
    },
    /// `PROBE` was sent. It is answered once the server has proven its key.
    Asking {
        sockets: Sockets,
        version: u32,
    },
    /// The room has a passphrase, so no more than the server's key can be seen.
    Locked {
        version: u32,
        server: SocketAddr,
    },
    Measuring(Box<Measurement>),
    Done,
}

impl Check {
    /// Begins with the first address of the host; ends at once if there is none.
    pub(super) fn new(
        now: Now,
        host: &str,
        addresses: Result<Vec<SocketAddr>, String>,
        nick: Option<Nick>,
    ) -> Self {
        let mut check = Self {
            nick,
            end: now.monotonic + BUDGET,
            stage: Stage::Done,
            since: now.monotonic,
            until: now.monotonic,
            decoder: LineDecoder::new(SERVER_LINE_MAX),
            report: Report::new(),
            effects: VecDeque::new(),
        };
        match addresses {
            Ok(addresses) => {
                check.report.resolved(host, &addresses);
                check.connect_to_next(now, addresses.into());
            }
            Err(error) => check.report.unresolved(host, &error),
        }
        check
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    pub(super) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// When to call [`Check::tick`] at the latest.
    pub(super) fn deadline(&self) -> Duration {
        let due = match &self.stage {
            Stage::Measuring(measurement) => measurement.deadline(),
            _ => self.until,
        };
        due.min(self.end)
    }

    /// Does what is due. To be called after everything else that happens, too.
    pub(super) fn tick(&mut self, now: Now) {
        if let Stage::Measuring(measurement) = &mut self.stage {
            while let Some(datagram) = measurement.probes().and_then(|probes| probes.next(now.monotonic)) {
                self.effects.push_back(Effect::SendDatagram(datagram));
            }
            if measurement.is_complete() {
                measurement.conclude(&mut self.report, self.nick.as_ref());
                self.stage = Stage::Done;
            }
        }
        if now.monotonic < self.deadline() {
            return;
        }
        match self.leave_stage() {
            Stage::Connecting { to, rest } => self.try_next(now, to, None, rest),
            Stage::Greeting { received, .. } => self.judge_complete(&received),
            Stage::Asking { version, .. } | Stage::Locked { version, .. } => self.report.unanswered(version),
            Stage::Measuring(measurement) => measurement.conclude(&mut self.report, self.nick.as_ref()),
            Stage::Done => {}
        }
    }

    /// The connection is established.
    pub(super) fn connected(&mut self, now: Now, sockets: Sockets) {
        if let Stage::Connecting { to, .. } = self.stage {
            self.report
                .connected(to, now.monotonic.saturating_sub(self.since));
            let received = Vec::new();
            self.enter(now, Stage::Greeting { sockets, received });
        }
    }

    /// The connection can't be established.
    pub(super) fn not_connected(&mut self, now: Now, error: &io::Error) {
        if let Stage::Connecting { to, rest } = &mut self.stage {
            let (to, rest) = (*to, std::mem::take(rest));
            self.try_next(now, to, Some(error), rest);
        }
    }

    /// Bytes came over the connection.
    pub(super) fn receive(&mut self, now: Now, bytes: &[u8]) {
        let after_greeting;
        let mut input = bytes;
        if let Stage::Greeting { .. } = self.stage {
            after_greeting = self.read_greeting(now, bytes);
            input = &after_greeting;
        }
        while let Some(line) = self.decoder.next(&mut input) {
            // Only servers of a later version send longer lines.
            if let Line::Whole(line) = line {
                let line = String::from_utf8_lossy(line).into_owned();
                self.handle_line(now, &line);
            }
        }
    }

    /// The server has proven its key, and this is remembered of it.
    pub(super) fn proven(&mut self, proven: Proven, known: Option<Known>) {
        let (server, locked) = match &self.stage {
            Stage::Asking { sockets, .. } => (sockets.server, None),
            Stage::Locked { version, server } => (*server, Some(*version)),
            _ => return,
        };
        if let Some(version) = locked {
            self.report.greeted(version);
        }
        let key = proven.key;
        match known {
            Some(known) if known.key != key => {
                // It is told nothing.
                self.stage = Stage::Done;
                return self.report.other_key(key);
            }
            Some(Known { has_phrase: true, .. }) if !proven.has_phrase => {
                self.stage = Stage::Done;
                return self.report.no_passphrase();
            }
            Some(_) => self.report.known_key(key),
            None if server.ip().to_canonical().is_loopback() => self.report.local_key(key),
            None => self.report.new_key(key),
        }
        if locked.is_some() {
            self.report.passphrase();
            self.stage = Stage::Done;
        }
    }

    /// The connection was closed, or broke.
    pub(super) fn closed(&mut self, why: Option<Text<'_>>) {
        match self.leave_stage() {
            Stage::Greeting { received, .. } if received.is_empty() => self.report.closed_without_greeting(),
            Stage::Greeting { received, .. } => self.judge_complete(&received),
            Stage::Asking { .. } | Stage::Locked { .. } => self.report.lost(why),
            Stage::Measuring(measurement) => {
                measurement.conclude(&mut self.report, self.nick.as_ref());
                self.report.lost(why);
            }
            stage @ (Stage::Connecting { .. } | Stage::Done) => self.stage = stage,
        }
    }

    /// A datagram came.
    pub(super) fn receive_datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        if let Stage::Measuring(measurement) = &mut self.stage
            && let Some(probes) = measurement.probes()
        {
            probes.receive(now.monotonic, from, bytes);
        }
    }

    /// The network reports that a datagram was rejected.
    pub(super) fn datagram_refused(&mut self) {
        if let Stage::Measuring(measurement) = &mut self.stage
            && let Some(probes) = measurement.probes()
        {
            probes.refuse();
        }
    }

    fn enter(&mut self, now: Now, stage: Stage) {
        self.stage = stage;
        self.since = now.monotonic;
        self.until = now.monotonic + WAIT;
    }

    fn leave_stage(&mut self) -> Stage {
        std::mem::replace(&mut self.stage, Stage::Done)
    }

    fn connect_to_next(&mut self, now: Now, mut rest: VecDeque<SocketAddr>) {
        if let Some(to) = rest.pop_front() {
            self.effects.push_back(Effect::Connect(to));
            self.enter(now, Stage::Connecting { to, rest });
        }
    }

    fn try_next(&mut self, now: Now, to: SocketAddr, error: Option<&io::Error>, rest: VecDeque<SocketAddr>) {
        self.stage = Stage::Done;
        let after = now.monotonic.saturating_sub(self.since);
        let goes_on = !rest.is_empty() && now.monotonic < self.end;
        self.report.not_connected(to, after, error, goes_on);
        if goes_on {
            self.connect_to_next(now, rest);
        }
    }

    /// Reads the greeting; returns the bytes after it.
    fn read_greeting(&mut self, now: Now, bytes: &[u8]) -> Vec<u8> {
        let Stage::Greeting { sockets, received } = &mut self.stage else {
            return Vec::new();
        };
        let space = GREETING_MAX.saturating_sub(received.len());
        received.extend(bytes.iter().take(space));
        match greeting::judge(received) {
            Judgement::More => {}
            Judgement::Quiet => self.until = self.until.min(now.monotonic + greeting::QUIET),
            Judgement::Ours { version, length } => {
                let (sockets, rest) = (*sockets, received.split_off(length));
                if received.trim_ascii_end().ends_with(PASSPHRASE.as_bytes()) {
                    let server = sockets.server;
                    self.enter(now, Stage::Locked { version, server });
                    return rest;
                }
                let nick = self.nick.as_ref().map(Nick::as_str);
                self.send(&FromClient::Probe(version.min(VERSION), nick).to_string());
                self.enter(now, Stage::Asking { sockets, version });
                return rest;
            }
            judgement => self.reject(&judgement),
        }
        Vec::new()
    }

    fn judge_complete(&mut self, received: &[u8]) {
        self.reject(&greeting::judge_complete(received));
    }

    fn reject(&mut self, judgement: &Judgement) {
        self.stage = Stage::Done;
        self.report.not_probed(judgement, WAIT);
    }

    fn handle_line(&mut self, now: Now, line: &str) {
        let Ok(message) = FromServer::parse(line) else {
            return self.handle_plain_line(line);
        };
        match (message, &mut self.stage) {
            (FromServer::Goodbye(_, text), _) => {
                self.closed(Some(text).filter(|text| !text.as_str().is_empty()));
            }
            (FromServer::Probed(at_ms, who, token), Stage::Asking { sockets, version }) => {
                let seen = who.id.address();
                self.report.answered(*version, seen);
                let trip = now.monotonic.saturating_sub(self.since);
                self.report.clock(at_ms, trip, now);
                let measurement = Measurement::new(now.monotonic, *sockets, seen, token);
                self.send_ping(measurement.ping());
                self.stage = Stage::Measuring(Box::new(measurement));
            }
            (FromServer::Pong(number), Stage::Measuring(measurement)) => {
                let next = measurement.pong(now.monotonic, number);
                self.send_ping(next);
            }
            (FromServer::Error(code, _, text), Stage::Measuring(measurement)) => {
                measurement.refuse(code, text.into_owned());
            }
            _ => {}
        }
    }

    /// A server that greets in case the client resumes may still reject it, in the plain dialect.
    fn handle_plain_line(&mut self, line: &str) {
        let judgement = greeting::judge(format!("{line}\n").as_bytes());
        let is_rejection = matches!(judgement, Judgement::Full | Judgement::Rejected(_));
        if is_rejection && matches!(self.stage, Stage::Asking { .. }) {
            self.reject(&judgement);
        }
    }

    fn send_ping(&mut self, number: Option<u64>) {
        if let Some(number) = number {
            let ping: FromClient<'_> = FromClient::Ping(number);
            self.send(&ping.to_string());
        }
    }

    fn send(&mut self, line: &str) {
        self.effects.push_back(Effect::Send(format!("{line}\n")));
    }
}
