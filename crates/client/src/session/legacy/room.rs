//! The room of an original server.

use super::connection::Legacy;
use super::decoder::{LegacyLine, SAFE_TEXT_MAX};
use crate::private::Connection;
use crate::session::event::{Event, GroupMessage, Join, Leave, Unattributed};
use crate::session::greeting::{self, Greeting};
use crate::session::outbox::Message;
use crate::session::outcome::Outcome;
use crate::session::stage::{GREETING_WAIT, Stage};
use crate::session::state::Session;
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::rich::Profile;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::time::Duration;

/// Time between two messages: the server loses messages that arrive together.
const PACE: Duration = Duration::from_millis(50);

impl Session {
    /// The server is an original one.
    pub(in crate::session) fn become_legacy(&mut self, now: Now) {
        if self.resume.is_some() {
            // Messages for the former room are not for the server that has its port now.
            return self.end(Outcome::Stranger);
        }
        if !self.config.clear {
            return self.end(Outcome::Clear);
        }
        let Stage::Greeting { received, .. } = std::mem::replace(&mut self.stage, Stage::Legacy) else {
            return;
        };
        let silent = received.is_empty();
        let proof = self.joined.then(|| now.monotonic + GREETING_WAIT);
        self.legacy = Legacy {
            may_yet_greet: silent,
            doubted: silent && self.config.interactive && proof.is_none(),
            proof,
            ..Legacy::default()
        };
        self.outbox.resume(0);
        self.private_has_server = true;
        self.private.connected(
            now,
            Connection {
                own: self.me.as_ref().map(|me| me.id),
                local: self.config.endpoints.local,
                addresses: Vec::new(),
                is_rich: false,
            },
        );
        self.private.roster_complete(now);
        if proof.is_none() {
            self.events.push_back(Event::Legacy { silent });
        }
        self.receive_legacy(&received, now);
    }

    /// Whether these bytes show that the silent server is not an original one.
    pub(in crate::session) fn greets_late(&mut self, bytes: &[u8]) -> bool {
        std::mem::take(&mut self.legacy.may_yet_greet) && greeting::read(bytes) != Greeting::Legacy
    }

    pub(in crate::session) fn receive_legacy(&mut self, bytes: &[u8], now: Now) {
        let lines = self.legacy.decoder.decode(bytes, now);
        self.on_legacy_lines(lines, now);
    }

    /// The connection is closed.
    pub(in crate::session) fn finish_legacy(&mut self, now: Now) {
        let lines = self.legacy.decoder.finish();
        self.on_legacy_lines(lines, now);
    }

    pub(in crate::session) fn tick_legacy(&mut self, now: Now) {
        let lines = self.legacy.decoder.tick(now);
        self.on_legacy_lines(lines, now);
        if self.legacy.proof.is_some_and(|until| now.monotonic >= until) {
            self.end(Outcome::Stranger);
        }
    }

    pub(in crate::session) fn legacy_deadline(&self) -> Option<Duration> {
        let deadlines = [
            self.legacy.decoder.deadline(),
            self.legacy.proof,
            self.pace_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    fn pace_deadline(&self) -> Option<Duration> {
        let takes = self.is_legacy() && self.legacy.proof.is_none() && !self.legacy.doubted;
        let waits = takes && self.outbox.waiting() > 0;
        waits.then(|| self.legacy.paced.map_or(Duration::ZERO, |last| last + PACE))
    }

    /// Sends the next message, if it is time.
    pub(in crate::session) fn send_legacy(&mut self, now: Now) {
        if self.pace_deadline().is_some_and(|due| now.monotonic >= due)
            && let Some(Message { text, .. }) = self.outbox.send_next()
        {
            // Without a line feed: one read of that server's is one message.
            self.bytes.extend_from_slice(text.as_str().as_bytes());
            self.legacy.paced = Some(now.monotonic);
            self.legacy.may_yet_greet = false;
        }
    }

    fn on_legacy_lines(&mut self, lines: Vec<LegacyLine>, now: Now) {
        for line in lines {
            if self.outcome.is_some() {
                return;
            }
            self.on_legacy_line(line, now);
        }
    }

    fn on_legacy_line(&mut self, line: LegacyLine, now: Now) {
        if self.legacy.proof.is_some() && !matches!(line, LegacyLine::Online(_) | LegacyLine::Full) {
            return;
        }
        self.legacy.doubted &= !matches!(line, LegacyLine::Online(_));
        let at = now.unix_ms;
        match line {
            LegacyLine::Online(id) => {
                let who = Who::from(id);
                let own = self.is_own_join(&who);
                self.announce(id, now);
                if !self.is_ignored(&who) {
                    self.events.push_back(Event::Joined(Join { at, who, own }));
                }
            }
            LegacyLine::Offline(id) => {
                self.private.peer_left(now, id);
                let who = Who::from(id);
                self.user_left(Leave { at, who });
            }
            LegacyLine::SomeoneLeft => self.events.push_back(Event::SomeoneLeft { at }),
            LegacyLine::Said(id, text) => {
                self.announce(id, now);
                let own = self.me.as_ref().is_some_and(|me| me.id == id);
                if own {
                    self.on_own_message(&text);
                }
                let who = Who::from(id);
                if self.is_ignored(&who) {
                    return;
                }
                let message = GroupMessage {
                    at,
                    who,
                    text,
                    history: false,
                    own,
                };
                self.events.push_back(Event::Said(message));
            }
            LegacyLine::Full if self.me.is_none() => self.end(Outcome::Full),
            LegacyLine::Full => {}
            LegacyLine::Other(text) => {
                let line = Unattributed { at, text };
                self.events.push_back(Event::Unattributed(line));
            }
        }
    }

    /// A user is known by its id alone.
    fn announce(&mut self, id: UserId, now: Now) {
        if self.roster().get(id).is_none() {
            let profile = Profile {
                who: Who::from(id),
                udp: None,
                key: None,
            };
            self.private.peer_here(now, &profile);
        }
    }

    /// The server announces a newcomer to itself first; behind NAT under an id that the newcomer can't know.
    fn is_own_join(&mut self, who: &Who) -> bool {
        if self.me.is_none() || who.id == UserId::from(self.config.endpoints.local) {
            self.me = Some(who.clone());
            self.joined = true;
            if self.legacy.proof.take().is_some() {
                self.events.push_back(Event::Legacy { silent: false });
            }
        }
        self.me.as_ref() == Some(who)
    }

    fn on_own_message(&mut self, text: &Text<'_>) {
        let lost = self.outbox.acknowledge_text(text.as_str(), SAFE_TEXT_MAX + 1);
        for Message { text, .. } in lost.into_iter().flatten() {
            self.refused(text, Text::new("the server lost it"));
        }
    }
}
