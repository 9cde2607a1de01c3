//! Input from the network and the clock, and what follows from any input.

use super::deferred::{Deferred, Waiting};
use super::event::Event;
use super::greeting;
use super::outcome::Outcome;
use super::recipients::Peer;
use super::stage::{GREETING_WAIT, LAST_WORD_WAIT, Phase, Stage};
use super::state::Session;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::line::{Line, LineDecoder};
use chat_proto::now::Now;
use chat_proto::rich::{FromClient, FromServer, Reason};
use chat_proto::text::Text;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the user list may take: 1.5 times what the 10 MB of 100,000 users need at 1 Mbit/s.
const ROSTER_WAIT: Duration = Duration::from_secs(120);
/// After this much silence the server is pinged. After as much again, the connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// The same, while the server owes an answer, or when this host has lost the address of the connection.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// How long the end of the input waits while nothing is acknowledged.
const PROGRESS_WAIT: Duration = Duration::from_secs(10);

impl Session {
    /// Bytes of the server arrived, cut anywhere.
    pub fn receive(&mut self, bytes: &[u8], now: Now) {
        self.clocks.last_received = now.monotonic;
        self.clocks.pinged = None;
        self.clocks.awaited = None;
        self.clocks.address_gone = None;
        if self.greets_late(bytes) {
            self.stage = Stage::greeting(now);
        }
        match &mut self.stage {
            Stage::Greeting {
                received,
                until,
                latest,
            } => {
                received.extend_from_slice(bytes);
                *until = (*latest).min(now.monotonic + GREETING_WAIT);
                let rest = self.read_greeting(now);
                self.read_lines(&rest, now);
            }
            Stage::Hello { .. } | Stage::Rich(_) => self.read_lines(bytes, now),
            Stage::Legacy => self.receive_legacy(bytes, now),
            Stage::Lost => return,
        }
        self.settle(now);
    }

    /// This host no longer has the local address of the connection. It may get it back: the server is pinged.
    pub fn address_gone(&mut self, now: Now) {
        self.clocks.address_gone.get_or_insert(now.monotonic);
        self.settle(now);
    }

    /// Since when the server, which was pinged, has sent nothing, although it should have.
    pub fn unanswered_since(&self) -> Option<Duration> {
        let pinged = self.clocks.pinged?;
        Some(self.clocks.awaited.map_or(pinged, |awaited| awaited.min(pinged)))
    }

    /// A datagram arrived from this address.
    pub fn datagram(&mut self, source: SocketAddr, bytes: &[u8], now: Now) {
        if self.joined || matches!(self.stage, Stage::Rich(_) | Stage::Legacy) {
            self.private.datagram(now, source, bytes);
            self.settle(now);
        }
    }

    /// A datagram was not sent, or the system reports a closed port.
    pub fn datagram_failed(&mut self, to: SocketAddr, now: Now) {
        self.private.port_unreachable(now, to);
        self.settle(now);
    }

    /// The connection can't be used: the server is not the right one, or not one that encrypts.
    pub fn refuse_server(&mut self, why: Outcome, now: Now) {
        self.end(why);
        self.settle(now);
    }

    /// The user says that the silent server is one.
    pub fn trust_silent_server(&mut self, now: Now) {
        self.legacy.doubted = false;
        self.settle(now);
    }

    /// The connection was closed or reset.
    pub fn closed(&mut self, now: Now) {
        if let Stage::Greeting { received, .. } = &self.stage {
            if received == greeting::FULL {
                return self.end(Outcome::Full);
            }
            if greeting::is_begun(received) {
                return self.end(Outcome::Unfinished);
            }
            if !received.is_empty() {
                self.become_legacy(now);
            }
        }
        self.finish_legacy(now);
        if self.clocks.leaving.is_some() {
            self.end_left();
        } else {
            let reason = self.goodbye.take();
            self.end(Outcome::Closed(reason));
        }
        self.settle(now);
    }

    /// The input ended: leave once every message has a result.
    pub fn end_input(&mut self, now: Now) {
        self.clocks.ending.get_or_insert(now.monotonic);
        self.settle(now);
    }

    /// The user leaves at once.
    pub fn leave(&mut self, now: Now) {
        if self.outcome.is_some() || self.clocks.leaving.is_some() {
            return;
        }
        match self.stage {
            Stage::Hello { .. } | Stage::Rich(_) => {
                self.send_line(&FromClient::Quit);
                self.clocks.leaving = Some(now.monotonic + LAST_WORD_WAIT);
            }
            Stage::Greeting { .. } | Stage::Legacy | Stage::Lost => self.end_left(),
        }
    }

    /// When [`Session::tick`] is due, on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        if self.outcome.is_some() {
            return None;
        }
        if self.clocks.leaving.is_some() {
            return self.clocks.leaving;
        }
        let stage = match &self.stage {
            Stage::Greeting { until, .. } | Stage::Hello { until } => Some(*until),
            Stage::Rich(Phase::Roster) => Some(self.silence_deadline().min(self.roster_deadline())),
            Stage::Rich(_) => Some(self.silence_deadline()),
            Stage::Legacy => self.legacy_deadline(),
            Stage::Lost => None,
        };
        let progress = self.clocks.ending.map(|since| since + PROGRESS_WAIT);
        let is_awaited = self.is_ready() && self.owed() > 0 && !self.files.hold_the_end();
        let progress = progress.filter(|_| is_awaited);
        [
            stage,
            progress,
            self.wish_deadline(),
            self.drafts_deadline(),
            self.private.deadline(),
            self.files.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Now) {
        if self.outcome.is_some() {
            return;
        }
        if let Some(until) = self.clocks.leaving {
            if now.monotonic >= until {
                self.end_left();
            }
            return;
        }
        self.private.timeout(now);
        self.tick_files(now);
        match &self.stage {
            Stage::Greeting { until, .. } if now.monotonic >= *until => self.greeting_is_late(now),
            Stage::Hello { until } if now.monotonic >= *until => self.welcome_is_late(),
            Stage::Rich(Phase::Roster) if now.monotonic >= self.roster_deadline() => {
                self.end(Outcome::NoRoster);
            }
            Stage::Rich(_) if now.monotonic >= self.silence_deadline() => self.break_silence(now),
            Stage::Legacy => self.tick_legacy(now),
            _ => {}
        }
        self.settle(now);
    }

    /// Whether more input is taken now. If not, leave it unread.
    pub fn takes_input(&self) -> bool {
        let room = match self.stage {
            Stage::Legacy => self.outbox.waiting() == 0,
            _ => self.outbox.takes_input(),
        };
        let open = self.outcome.is_none() && self.clocks.leaving.is_none() && self.clocks.ending.is_none();
        room && open && self.is_ready()
    }
}

// What follows from all that came in.
impl Session {
    /// Does what follows from an input. The processing of every input ends with this.
    pub(super) fn settle(&mut self, now: Now) {
        if self.outcome.is_some() || self.clocks.leaving.is_some() {
            return;
        }
        self.note_loss(now);
        match self.stage {
            Stage::Legacy => self.send_legacy(now),
            _ if self.is_ready() => self.outbox.transmit(&mut self.bytes),
            _ => {}
        }
        self.ask_for_wish(now);
        self.run_deferred(now);
        self.send_drafts(now);
        self.private.forget_late_answers();
        self.drain_private(now);
        self.note_progress(now);
        if self.is_ready() && (self.owed() > 0 || self.private.awaits_answer()) {
            self.clocks.awaited.get_or_insert(now.monotonic);
        }
        let Some(since) = self.clocks.ending.filter(|_| !self.files.hold_the_end()) else {
            return;
        };
        if self.is_lost() && self.joined {
            // The files went on without the server.
            return self.end_left();
        }
        if !self.is_ready() {
            return;
        }
        // Every private message has a result in the end. The server may never answer.
        let owed = self.owed();
        if self.pending_nicks == 0 && self.under_way() == 0 && self.deferred.is_empty() {
            self.leave(now);
        } else if owed > 0 && now.monotonic >= since + PROGRESS_WAIT {
            self.give_up(Outcome::Unacknowledged(owed));
        }
    }

    /// Answers that the server has to give.
    fn owed(&self) -> usize {
        self.outbox.unacknowledged() + self.pending_nicks
    }

    fn read_lines(&mut self, bytes: &[u8], now: Now) {
        let mut input = bytes;
        let mut decoder = std::mem::replace(&mut self.decoder, LineDecoder::new(SERVER_LINE_MAX));
        while self.outcome.is_none() && !self.is_lost() {
            match decoder.next(&mut input) {
                Some(Line::Whole(line)) => self.read_line(line, now),
                Some(Line::TooLong) => self.warn("ignored a line of the server: it is too long".into()),
                None => break,
            }
        }
        if !self.is_lost() {
            self.decoder = decoder;
        }
    }

    fn read_line(&mut self, line: &[u8], now: Now) {
        let line = String::from_utf8_lossy(line);
        match (FromServer::parse(&line), &self.stage) {
            (Ok(FromServer::Ping(number)), _) => self.send_line(&FromClient::Pong(number)),
            (Ok(FromServer::Notice(text)), _) => self.events.push_back(Event::Notice(text.into_owned())),
            (Ok(FromServer::Goodbye(reason, text)), _) => self.on_goodbye(reason, text),
            (Ok(line), Stage::Rich(phase)) => self.on_line(line, *phase, now),
            (Ok(line), _) => self.on_line_before_welcome(line, now),
            (Err(_), Stage::Hello { .. }) => self.on_plain_line(&line),
            // Of a later version.
            (Err(_), _) => {}
        }
    }

    fn on_goodbye(&mut self, reason: Reason, text: Text<'_>) {
        if self.clocks.leaving.is_some() || reason == Reason::Quit {
            return self.end_left();
        }
        match reason {
            Reason::Kicked => return self.end(Outcome::Kicked(text.into_owned())),
            Reason::Locked => return self.end(Outcome::Locked(text.into_owned())),
            Reason::Banned => return self.end(Outcome::Banned(text.into_owned())),
            _ => {}
        }
        self.goodbye = Some(text.into_owned()).filter(|text| !text.as_str().is_empty());
    }

    /// At the end of the input, the wait starts again when something is finished. Other lines of the server don't count,
    /// or it could hold the client for ever.
    fn note_progress(&mut self, now: Now) {
        let files = self.files.awaited().count() + self.files.asking.len();
        let steps = self.owed() + self.outbox.waiting() + self.outbox.len() + files;
        let before = std::mem::replace(&mut self.unfinished, steps);
        if let Some(since) = self.clocks.ending.as_mut().filter(|_| steps < before) {
            *since = now.monotonic;
        }
    }

    fn roster_deadline(&self) -> Duration {
        self.clocks.welcomed + ROSTER_WAIT
    }

    fn silence_deadline(&self) -> Duration {
        // Something is wrong, probably. As much later again, the connection counts as lost.
        let overdue = self.clocks.awaited.map(|since| since + ANSWER_WAIT);
        let suspicion = self.clocks.address_gone.or(overdue);
        let (silence, suspicion) = match self.clocks.pinged {
            None => (self.clocks.last_received + SILENCE_MAX, suspicion),
            Some(pinged) => (pinged + SILENCE_MAX, suspicion.map(|since| since + ANSWER_WAIT)),
        };
        suspicion.map_or(silence, |suspicion| suspicion.min(silence))
    }

    fn break_silence(&mut self, now: Now) {
        if self.clocks.pinged.is_some() {
            return self.end(Outcome::Silent);
        }
        self.clocks.pinged = Some(now.monotonic);
        self.send_line(&FromClient::Ping(now.unix_ms));
    }

    /// Does what waited for an answer that is here, or will not come.
    fn run_deferred(&mut self, now: Now) {
        let is_due = |waiting: &mut Waiting| {
            !self.private.is_unasked(waiting.id) || self.private.answer_is_late(waiting.id)
        };
        let due: Vec<Waiting> = self.deferred.extract_if(.., is_due).collect();
        for waiting in due {
            let is_meant = |peer: Peer| peer.who.id == waiting.id;
            if !self.resolve(&waiting.typed).is_ok_and(is_meant) {
                self.fail_waiting(&waiting, "that name may mean somebody else now");
                continue;
            }
            let Waiting { what, typed, .. } = waiting;
            match what {
                Deferred::Verify => self.verify(&typed, now),
                Deferred::Confirm => self.confirm(&typed, now),
                Deferred::Whois => self.look_up(&typed, now),
                Deferred::Send(path) => self.send_file(&typed, path, now),
            }
        }
    }
}
