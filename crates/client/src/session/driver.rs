//! What comes in, and what follows from it: bytes, commands and the time.

use super::event::Event;
use super::greeting::{self, Greeting};
use super::outbox::Message;
use super::outcome::Outcome;
use super::stage::{GREETING_WAIT, LAST_WORD_WAIT, Phase, Stage};
use super::state::Session;
use crate::command::Command;
use chat_proto::TEXT_MAX;
use chat_proto::now::Now;
use chat_proto::rich::FromClient;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// How long the user list may take: 1.5 times what the 10 MB of 65,536 users need at 1 Mbit/s.
const ROSTER_WAIT: Duration = Duration::from_secs(120);
/// Ping the server after this much silence; it is gone after as much again.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long the end of the input waits while nothing is acknowledged.
const PROGRESS_WAIT: Duration = Duration::from_secs(10);

impl Session {
    /// Bytes came from the server, cut anywhere.
    pub fn receive(&mut self, bytes: &[u8], now: Now) {
        self.clocks.heard = now.monotonic;
        self.clocks.pinged = None;
        if std::mem::take(&mut self.may_yet_greet) && greeting::read(bytes) != Greeting::Original {
            self.stage = Stage::greeting(now);
        }
        match &mut self.stage {
            Stage::Greeting { heard, until, latest } => {
                heard.extend_from_slice(bytes);
                *until = (*latest).min(now.monotonic + GREETING_WAIT);
                self.read_greeting(now);
            }
            Stage::Hello { .. } | Stage::Rich(_) => self.read_lines(bytes, now),
            Stage::Original => {
                let heard = self.ear.hear(bytes, now);
                self.hear(heard, now);
            }
            Stage::Lost => return,
        }
        self.settle(now);
    }

    /// A datagram came from this address.
    pub fn datagram(&mut self, source: SocketAddr, bytes: &[u8], now: Now) {
        if matches!(self.stage, Stage::Rich(_) | Stage::Original | Stage::Lost) {
            self.private.datagram(now, source, bytes);
            self.settle(now);
        }
    }

    /// A datagram did not arrive: the system could not send it, or was told that nobody takes it there.
    pub fn datagram_failed(&mut self, to: SocketAddr, now: Now) {
        self.private.port_unreachable(now, to);
        self.settle(now);
    }

    /// The server closed the connection, or it broke.
    pub fn closed(&mut self, now: Now) {
        if let Stage::Greeting { heard, .. } = &self.stage {
            if heard == greeting::FULL {
                return self.end(Outcome::Full);
            }
            if greeting::is_begun(heard) {
                return self.end(Outcome::Unfinished);
            }
            if !heard.is_empty() {
                self.become_original(now);
            }
        }
        let rest = self.ear.finish();
        self.hear(rest, now);
        if self.clocks.leaving.is_some() {
            self.end_left();
        } else {
            let reason = self.goodbye.take();
            self.end(Outcome::Closed(reason));
        }
        self.settle(now);
    }

    /// The user typed this.
    pub fn request(&mut self, command: &Command<'_>, now: Now) {
        match command {
            Command::Say(text) => self.say_where_it_goes(text, now),
            Command::Msg(who, text) => {
                self.send_private(who, text, now);
            }
            Command::Who => {
                let users = self.users();
                self.events.push_back(Event::Users(users));
            }
            Command::Nick(nick) => self.ask_nick(nick),
            Command::Help => self.events.push_back(Event::Help),
            Command::Quit => self.end_input(now),
            Command::Reply(text) => self.reply(text, now),
            Command::Query(who) => self.set_query(*who),
            Command::Verify(who) => self.verify(who),
            Command::OnScreen(_) => self.fail("that works on the full screen only".into()),
            Command::Nothing => {}
            Command::Incomplete(usage) => self.fail(format!("usage: {usage}")),
            Command::Unknown(name, nearest) => self.unknown(name, *nearest),
        }
        self.settle(now);
    }

    /// The user typed a line of more bytes than a message can have.
    pub fn line_too_long(&mut self) {
        self.fail(format!("not sent: too long, a message takes {TEXT_MAX} bytes"));
    }

    /// The user will type nothing more: leave when all that is under way was acknowledged.
    pub fn end_input(&mut self, now: Now) {
        self.clocks.ending.get_or_insert(now.monotonic);
        self.settle(now);
    }

    /// The user leaves, whatever is under way.
    pub fn leave(&mut self, now: Now) {
        if self.outcome.is_some() || self.clocks.leaving.is_some() {
            return;
        }
        match self.stage {
            Stage::Hello { .. } | Stage::Rich(_) => {
                self.send_line(&FromClient::Quit);
                self.clocks.leaving = Some(now.monotonic + LAST_WORD_WAIT);
            }
            Stage::Greeting { .. } | Stage::Original | Stage::Lost => self.end_left(),
        }
    }

    /// When to call [`Session::tick`], at the latest, by the monotonic clock.
    #[must_use]
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
            Stage::Original => self.clocks.proof,
            Stage::Lost => None,
        };
        let progress = self.clocks.ending.map(|since| since + PROGRESS_WAIT);
        let progress = progress.filter(|_| self.is_ready() && self.owed() > 0);
        [
            stage,
            progress,
            self.ear.deadline(),
            self.pace_deadline(),
            self.drafts_deadline(),
            self.private_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Time went by.
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
        let heard = self.ear.quiet(now);
        self.hear(heard, now);
        self.private.timeout(now);
        match &self.stage {
            Stage::Greeting { until, .. } if now.monotonic >= *until => self.greeting_is_late(now),
            Stage::Hello { until } if now.monotonic >= *until => self.welcome_is_late(),
            Stage::Rich(Phase::Roster) if now.monotonic >= self.roster_deadline() => {
                self.end(Outcome::NoRoster);
            }
            Stage::Rich(_) if now.monotonic >= self.silence_deadline() => self.break_silence(now),
            Stage::Original if self.clocks.proof.is_some_and(|until| now.monotonic >= until) => {
                self.end(Outcome::Stranger);
            }
            _ => {}
        }
        self.settle(now);
    }

    /// Whether more input is taken now. While it is not, leave what is typed where it is.
    #[must_use]
    pub fn takes_input(&self) -> bool {
        let room = match self.stage {
            Stage::Original => self.outbox.waiting() == 0,
            _ => self.outbox.takes_input(),
        };
        let open = self.outcome.is_none() && self.clocks.leaving.is_none() && self.clocks.ending.is_none();
        room && open && self.is_ready()
    }
}

// What follows from all that came in.
impl Session {
    /// Does what can be done by now. Every input ends here.
    fn settle(&mut self, now: Now) {
        if self.outcome.is_some() || self.clocks.leaving.is_some() {
            return;
        }
        self.note_loss(now);
        self.send_messages(now);
        self.send_drafts(now);
        self.drain_private(now);
        self.note_progress(now);
        let Some(since) = self.clocks.ending.filter(|_| self.is_ready()) else {
            return;
        };
        // What becomes of a private message is told in the end; what the server owes an answer to may not be.
        let owed = self.owed();
        if self.nicks_asked == 0 && self.under_way() == 0 {
            self.leave(now);
        } else if owed > 0 && now.monotonic >= since + PROGRESS_WAIT {
            self.give_up(Outcome::Unacknowledged(owed));
        }
    }

    /// Answers that the server owes.
    fn owed(&self) -> usize {
        self.outbox.unacknowledged() + self.nicks_asked
    }

    fn send_messages(&mut self, now: Now) {
        match self.stage {
            Stage::Rich(phase) if phase > Phase::Roster => {
                while let Some(Message { seq, text }) = self.outbox.send_next() {
                    let line = FromClient::Say(*seq, text.borrow());
                    // Writing to memory does not fail.
                    let _ = writeln!(self.bytes, "{line}");
                }
            }
            Stage::Original if self.pace_deadline().is_some_and(|due| now.monotonic >= due) => {
                // Without a line feed: one read of that server's is one message.
                if let Some(Message { text, .. }) = self.outbox.send_next() {
                    self.bytes.extend_from_slice(text.as_str().as_bytes());
                    self.clocks.paced = Some(now.monotonic);
                    self.may_yet_greet = false;
                }
            }
            _ => {}
        }
    }

    /// The end of the input waits for as long as less and less is under way. What the server says beside that counts for
    /// nothing, or it could hold the client for ever.
    fn note_progress(&mut self, now: Now) {
        let steps = self.owed() + self.outbox.waiting() + self.outbox.len();
        let before = std::mem::replace(&mut self.under_way, steps);
        if let Some(since) = self.clocks.ending.as_mut().filter(|_| steps < before) {
            *since = now.monotonic;
        }
    }

    fn roster_deadline(&self) -> Duration {
        self.clocks.welcomed + ROSTER_WAIT
    }

    fn silence_deadline(&self) -> Duration {
        self.clocks.pinged.unwrap_or(self.clocks.heard) + SILENCE_MAX
    }

    fn break_silence(&mut self, now: Now) {
        if self.clocks.pinged.is_some() {
            return self.end(Outcome::Silent);
        }
        self.clocks.pinged = Some(now.monotonic);
        self.send_line(&FromClient::Ping(now.unix_ms));
    }
}
