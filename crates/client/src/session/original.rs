//! Original servers: what they say, and what the client makes of it.

use super::ear::{Heard, SAFE_TEXT_MAX};
use super::event::Event;
use super::outbox::Message;
use super::outcome::Outcome;
use super::{PACE, Session, Stage};
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::time::Duration;

impl Session {
    pub(super) fn become_original(&mut self, now: Now) {
        let Stage::Greeting { heard, .. } = std::mem::replace(&mut self.stage, Stage::Original) else {
            return;
        };
        self.may_yet_greet = heard.is_empty();
        self.events.push_back(Event::Original);
        let heard = self.ear.hear(&heard, now);
        self.hear(heard, now);
    }

    pub(super) fn hear(&mut self, heard: Vec<Heard>, now: Now) {
        for said in heard {
            if self.outcome.is_some() {
                return;
            }
            self.hear_one(said, now);
        }
    }

    fn hear_one(&mut self, said: Heard, now: Now) {
        let (at, history) = (now.unix_ms, false);
        match said {
            Heard::Online(id) => {
                let who = Who::from(id);
                let own = self.is_own_arrival(&who);
                self.roster.insert_bare(id);
                self.events.push_back(Event::Joined {
                    at,
                    who,
                    history,
                    own,
                });
            }
            Heard::Offline(id) => {
                self.roster.remove(id);
                let who = Who::from(id);
                self.events.push_back(Event::Left { at, who, history });
            }
            Heard::SomeoneLeft => self.events.push_back(Event::SomeoneLeft { at }),
            Heard::Said(id, text) => {
                self.roster.insert_bare(id);
                let own = self.me.as_ref().is_some_and(|me| me.id == id);
                if own {
                    self.came_back(&text, now);
                }
                let who = Who::from(id);
                self.events.push_back(Event::Said {
                    at,
                    who,
                    text,
                    history,
                    own,
                });
            }
            Heard::Full if self.me.is_none() => self.end(Outcome::Full),
            Heard::Full => {}
            Heard::Other(text) => self.events.push_back(Event::Unattributed { at, text }),
        }
    }

    /// A newcomer is told of itself first; behind NAT under an id that it can't know beforehand.
    fn is_own_arrival(&mut self, who: &Who) -> bool {
        if self.me.is_none() || who.id == UserId::from(self.config.local) {
            self.me = Some(who.clone());
        }
        self.me.as_ref() == Some(who)
    }

    /// A message of the client's came back from an original server.
    fn came_back(&mut self, text: &Text<'_>, now: Now) {
        let Some(lost) = self.outbox.acknowledge_text(text.as_str(), SAFE_TEXT_MAX + 1) else {
            return;
        };
        self.progress(now);
        for Message { text, .. } in lost {
            let reason = Text::new("the server lost it");
            self.refused(text, reason);
        }
    }

    pub(super) fn pace_deadline(&self) -> Option<Duration> {
        let waits = self.is_original() && self.outbox.waiting() > 0;
        waits.then(|| self.clocks.paced.map_or(Duration::ZERO, |last| last + PACE))
    }
}
