//! Original servers: what they say, and what the client makes of it.

use super::decoder::{LegacyLine, SAFE_TEXT_MAX};
use crate::private::Connection;
use crate::session::event::{Event, GroupMessage, Join, Leave, Unattributed};
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
    pub(in crate::session) fn become_original(&mut self, now: Now) {
        if self.resume.is_some() {
            // What waits was meant for the room that was left, and is not for whoever has its port by now.
            return self.end(Outcome::Stranger);
        }
        let Stage::Greeting { heard, .. } = std::mem::replace(&mut self.stage, Stage::Original) else {
            return;
        };
        self.may_yet_greet = heard.is_empty();
        self.clocks.proof = self.joined.then(|| now.monotonic + GREETING_WAIT);
        self.outbox.resend();
        self.begin_private_originally(now);
        if self.clocks.proof.is_none() {
            let silent = self.may_yet_greet;
            self.events.push_back(Event::Legacy { silent });
        }
        let heard = self.ear.hear(&heard, now);
        self.hear(heard, now);
    }

    /// On an original server nobody has a key, and nothing is passed on.
    fn begin_private_originally(&mut self, now: Now) {
        let connection = Connection {
            own: self.me.as_ref().map(|me| me.id),
            local: self.config.endpoints.local,
            addresses: Vec::new(),
            is_rich: false,
        };
        self.private_has_server = true;
        self.private.connected(now, connection);
        self.private.roster_complete(now);
    }

    pub(in crate::session) fn hear(&mut self, heard: Vec<LegacyLine>, now: Now) {
        for said in heard {
            if self.outcome.is_some() {
                return;
            }
            self.hear_one(said, now);
        }
    }

    fn hear_one(&mut self, said: LegacyLine, now: Now) {
        if self.clocks.proof.is_some() && !matches!(said, LegacyLine::Online(_) | LegacyLine::Full) {
            return;
        }
        let (at, history) = (now.unix_ms, false);
        match said {
            LegacyLine::Online(id) => {
                let who = Who::from(id);
                let own = self.is_own_arrival(&who);
                self.announce_bare(id, now);
                self.events.push_back(Event::Joined(Join {
                    at,
                    who,
                    history,
                    own,
                }));
            }
            LegacyLine::Offline(id) => {
                self.private.peer_left(now, id);
                let who = Who::from(id);
                self.events.push_back(Event::Left(Leave {
                    at,
                    who: who.clone(),
                    history,
                }));
                self.recipient_left(&who);
            }
            LegacyLine::SomeoneLeft => self.events.push_back(Event::SomeoneLeft { at }),
            LegacyLine::Said(id, text) => {
                self.announce_bare(id, now);
                let own = self.me.as_ref().is_some_and(|me| me.id == id);
                if own {
                    self.came_back(&text);
                }
                let who = Who::from(id);
                self.events.push_back(Event::Said(GroupMessage {
                    at,
                    who,
                    text,
                    history,
                    own,
                }));
            }
            LegacyLine::Full if self.me.is_none() => self.end(Outcome::Full),
            LegacyLine::Full => {}
            LegacyLine::Other(text) => self
                .events
                .push_back(Event::Unattributed(Unattributed { at, text })),
        }
    }

    /// Only the id of a user is known.
    fn announce_bare(&mut self, id: UserId, now: Now) {
        if self.roster().get(id).is_none() {
            let who = Who::from(id);
            let profile = Profile {
                who,
                udp: None,
                key: None,
            };
            self.private.peer_here(now, &profile);
        }
    }

    /// A newcomer is told of itself first; behind NAT under an id that it can't know beforehand.
    fn is_own_arrival(&mut self, who: &Who) -> bool {
        if self.me.is_none() || who.id == UserId::from(self.config.endpoints.local) {
            self.me = Some(who.clone());
            self.joined = true;
            if self.clocks.proof.take().is_some() {
                self.events.push_back(Event::Legacy { silent: false });
            }
        }
        self.me.as_ref() == Some(who)
    }

    /// A message of the client's came back from an original server.
    fn came_back(&mut self, text: &Text<'_>) {
        let Some(lost) = self.outbox.acknowledge_text(text.as_str(), SAFE_TEXT_MAX + 1) else {
            return;
        };
        for Message { text, .. } in lost {
            let reason = Text::new("the server lost it");
            self.refused(text, reason);
        }
    }

    pub(in crate::session) fn pace_deadline(&self) -> Option<Duration> {
        let waits = self.is_original() && self.outbox.waiting() > 0 && self.clocks.proof.is_none();
        waits.then(|| self.clocks.paced.map_or(Duration::ZERO, |last| last + PACE))
    }
}
