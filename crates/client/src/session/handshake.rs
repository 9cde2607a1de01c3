//! The greeting, `HELLO` and `WELCOME`.

use super::greeting::{self, Greeting};
use super::outcome::Outcome;
use super::stage::{LAST_WORD_WAIT, Phase, Stage, is_about_nick};
use super::state::Session;
use chat_proto::VERSION;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::rich::{ErrorCode, FromClient, FromServer, Hello};
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::time::Duration;

/// How long a server may take to answer `HELLO`.
const WELCOME_WAIT: Duration = Duration::from_secs(10);

impl Session {
    /// Reads the first line. Returns the bytes after the greeting of a server of ours.
    pub(super) fn read_greeting(&mut self, now: Now) -> Vec<u8> {
        let Stage::Greeting { received, .. } = &mut self.stage else {
            return Vec::new();
        };
        match greeting::read(received) {
            Greeting::More => {}
            Greeting::Ours { length, .. } => {
                let rest = received.split_off(length);
                self.say_hello(now);
                return rest;
            }
            Greeting::Full => self.end(Outcome::Full),
            Greeting::Rejected(reason) => {
                let reason = received.get(reason).unwrap_or_default();
                let outcome = if reason.starts_with(greeting::FULL) {
                    Outcome::Full
                } else if reason.starts_with(greeting::BANNED) {
                    Outcome::Banned(Text::from_bytes(reason).into_owned())
                } else {
                    Outcome::Rejected(Text::from_bytes(reason).into_owned())
                };
                self.end(outcome);
            }
            Greeting::Legacy => self.become_legacy(now),
        }
        Vec::new()
    }

    /// The greeting did not arrive in time.
    pub(super) fn greeting_is_late(&mut self, now: Now) {
        match &self.stage {
            Stage::Greeting { received, .. } if greeting::is_begun(received) => self.end(Outcome::Unfinished),
            // An original server would have announced the client by now.
            _ if self.joined => self.end(Outcome::Stranger),
            _ => self.become_legacy(now),
        }
    }

    fn say_hello(&mut self, now: Now) {
        self.stage = Stage::Hello {
            until: now.monotonic + WELCOME_WAIT,
        };
        let nick = self.config.nick.clone();
        let next = self.next_said.filter(|&(token, _)| self.resume == Some(token));
        let hello = FromClient::Hello(Hello {
            version: VERSION,
            nick: nick.as_ref().map(Nick::as_str),
            udp_port: self.config.endpoints.udp_port,
            resume: self.resume,
            insists: self.insists_on_nick(),
            next: next.map(|(_, next)| next),
        });
        self.send_line(&hello);
    }

    /// Without room for the client, the server says so as to a plain user, and closes the connection.
    pub(super) fn on_plain_line(&mut self, line: &str) {
        if line == "too many users" {
            self.end(Outcome::Full);
        } else if let Some(notice) = line.strip_prefix("* ") {
            self.goodbye = Some(Text::new(notice).into_owned());
        }
    }

    pub(super) fn on_line_before_welcome(&mut self, said: FromServer<'_>, now: Now) {
        match said {
            FromServer::Welcome {
                who,
                resume,
                rendezvous,
                seq,
                carries_files,
            } => {
                self.carries_files = carries_files;
                self.on_welcome(who, resume, seq, now);
                self.begin_private(rendezvous, now);
            }
            FromServer::Error(code, seq, text) => self.on_error_before_welcome(code, seq, text),
            _ => {}
        }
    }

    fn on_welcome(&mut self, who: Who, resume: Token, seq: u64, now: Now) {
        let lacks_nick = who.nick.is_none() && self.insists_on_nick();
        self.resume = Some(resume);
        self.me = Some(who.clone());
        if lacks_nick {
            // A server without the flag sends the reason next. Another WELCOME gives it no more time.
            if let Stage::Hello { until } = &mut self.stage {
                *until = (*until).min(now.monotonic + LAST_WORD_WAIT);
            }
            return;
        }
        self.awaits_nick_reason = self.config.nick.is_some() && who.nick.is_none();
        self.stage = Stage::Rich(Phase::Roster);
        self.clocks.welcomed = now.monotonic;
        self.joined = true;
        self.outbox.resume(seq);
    }

    fn insists_on_nick(&self) -> bool {
        self.config.insist_on_nick && self.config.nick.is_some()
    }

    fn on_error_before_welcome(&mut self, code: ErrorCode, seq: Option<u64>, text: Text<'_>) {
        if is_about_nick(code) && self.insists_on_nick() {
            self.give_up(Outcome::NickRefused(text.into_owned()));
        } else {
            self.on_error(code, seq, text);
        }
    }

    /// No `WELCOME` arrived in time; or one without the nick, and no reason.
    pub(super) fn welcome_is_late(&mut self) {
        match self.me {
            Some(_) => self.give_up(Outcome::NickRefused(Text::new("the server gives no reason"))),
            None => self.end(Outcome::Silent),
        }
    }
}
