//! The rich dialect, from `WELCOME` on.

use super::event::{AwayNote, Event, GroupMessage, Join, Leave, Rename, Welcome};
use super::outbox::Message;
use super::recipients::Peer;
use super::stage::{Phase, Stage, is_about_nick};
use super::state::Session;
use super::wish::Wish;
use crate::private::{Connection, MessageId};
use chat_proto::AWAY_MAX;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::rich::{ErrorCode, FromClient, FromServer, Key, Position, Profile};
use chat_proto::text::Text;
use chat_proto::who::Who;

impl Session {
    pub(super) fn on_line(&mut self, mut line: FromServer<'_>, phase: Phase, now: Now) {
        let history = phase == Phase::History;
        // A server that tells no time tells what happens now.
        let told = self.times.restore(&mut line);
        if phase == Phase::Live
            && let Some(time) = told
        {
            let is_own_join = matches!(&line, FromServer::Join(_, profile) if self.is_me(&profile.who));
            self.learn_server_time(time, is_own_join, now);
        }
        let at = told.unwrap_or(now.unix_ms);
        match line {
            FromServer::User(profile) if !history => self.on_user(profile, now),
            FromServer::Users(users) if phase == Phase::Roster => {
                users.into_iter().for_each(|profile| self.on_user(profile, now));
            }
            FromServer::History(_, position) if phase == Phase::Roster => {
                self.on_roster_end(Phase::History, now);
                self.on_position(position);
            }
            FromServer::Live => self.on_live(phase, now),
            FromServer::Said(_, who, text) => self.on_said(at, who, text, history),
            // The history is what was said. It does not change the user list.
            FromServer::Join(..) | FromServer::Leave(..) | FromServer::Nick(..) if history => {}
            FromServer::Join(_, profile) => self.on_join(at, profile, now),
            FromServer::Leave(_, who) => self.on_leave(at, who, now),
            FromServer::Nick(_, before, nick) => self.on_rename(at, before, nick, now),
            FromServer::Address(_, who, udp) if !history => {
                self.private.peer_address(now, who.id, udp);
            }
            FromServer::Topic(who, text) if phase == Phase::Roster => self.topics.list(who, text),
            FromServer::Topic(who, text) if !history => {
                let topic = self.topics.set(who, text);
                self.events.push_back(Event::Topic(topic));
            }
            FromServer::Away(who, text) if !history => self.on_away(who, text),
            FromServer::Operator(who) if !history => self.operators.add(who.id),
            // Shown at once: in its place among messages to everybody, under the sender's name of this moment.
            FromServer::Whisper(who, text) => {
                self.private.whisper(now, &who, &text);
                self.drain_private(now);
            }
            FromServer::Whispered(seq) => self.private.whisper_answered(MessageId(seq), true),
            FromServer::Relay(who, bytes) => {
                self.private.relayed(now, &who, &bytes);
                self.drain_private(now);
            }
            FromServer::Punch(who, udp) => self.private.punch(now, who.id, udp),
            FromServer::Error(code, seq, text) => self.on_error(code, seq, text),
            _ => {}
        }
    }

    pub(super) fn begin_private(&mut self, rendezvous: Token, now: Now) {
        let endpoints = self.config.endpoints.clone();
        let connection = Connection {
            own: self.me.as_ref().map(|me| me.id),
            local: endpoints.local,
            addresses: endpoints.addresses,
            is_rich: true,
        };
        let known = self
            .private
            .roster()
            .users()
            .filter_map(|user| Some((user.key?.whole()?, Peer::of(user))));
        self.absent.extend(known);
        self.absent.remove(&self.private.public_key());
        self.private_has_server = true;
        self.fail_deferred(None, "the connection was lost");
        self.recipients.lost();
        for draft in self.outbox.drafts_mut() {
            draft.peer.lost();
            // The user may return under another address before the client learns the key.
            draft.awaits_peer |= draft.peer.key().is_some();
        }
        self.operators.forget_users();
        self.away.forget_users();
        self.private.connected(now, connection);
        if let Some(who) = self.me.clone() {
            // Its key and address follow in the user list.
            let (udp, key) = (None, None);
            self.private.peer_here(now, &Profile { who, udp, key });
        }
        if endpoints.udp_port.is_some() {
            self.private.rendezvous(now, endpoints.server, rendezvous);
        }
    }

    fn on_user(&mut self, profile: Profile, now: Now) {
        let id = profile.who.id;
        let former = self.roster().get(id).cloned();
        self.private.peer_here(now, &profile);
        // The roster still has the whole key if the client knew it.
        let profile = self.roster().get(id).cloned().unwrap_or(profile);
        self.ignored.met(&profile);
        self.recipients.met(&profile);
        let drafts = self.outbox.drafts_mut();
        drafts.for_each(|draft| draft.peer.learn(&profile));
        if let Some(key) = profile.key.and_then(Key::whole) {
            // Until the server tells the whole key, this may be a stranger with its name and address.
            if self.roster().unconfirmed(id).is_none() {
                self.absent.remove(&key);
            }
        } else if profile.key.is_some_and(|key| self.may_know(key)) && !self.is_me(&profile.who) {
            self.private.ask_early(now, id);
        }
        if self.is_ready() {
            self.private.roster_changes(now);
        }
        self.drain_private_of(former.as_ref(), now);
        self.note_key(id);
    }

    /// Whether a key that begins so may be one that matters before its user is written to.
    fn may_know(&self, key: Key) -> bool {
        self.trust
            .verified
            .iter()
            .any(|verified| key.may_be(verified.key.into()))
            || self.absent.keys().any(|absent| key.may_be((*absent).into()))
            || self.ignored.may_have(key)
            || self.recipients.may_have(key)
            || self.outbox.has_draft_with(key)
            || self.files.may_have(key)
    }

    /// The user list is complete. The history follows, or is left out.
    fn on_roster_end(&mut self, phase: Phase, now: Now) {
        self.stage = Stage::Rich(phase);
        self.clocks.ready = Some(now.monotonic);
        self.private.roster_complete(now);
        let Some(me) = self.me.clone() else {
            return;
        };
        let (users, clear) = (self.users(), self.clear_users().cloned().collect());
        self.events
            .push_back(Event::Welcome(Welcome { me, users, clear }));
        let topic = self.topics.settle().map(Event::Topic);
        self.events.extend(topic);
        self.warn_of_posers();
        // The server knows nothing of the connection before.
        if let Some(text) = self.away.own.clone() {
            self.send_line(&FromClient::Away(text));
        }
    }

    fn on_away(&mut self, who: Who, text: Text<'_>) {
        if text.as_str().chars().count() > AWAY_MAX {
            return;
        }
        let text = Some(text.into_owned()).filter(|text| !text.is_blank());
        if !self.is_me(&who) {
            // Only who is here: others would fill the memory.
            if self.roster().get(who.id).is_some() {
                self.away.set(who.id, text);
            }
        } else if self.away.own != text {
            self.away.own = text.clone();
            let (text, own) = (text.unwrap_or(Text::new("")), true);
            self.events.push_back(Event::Away(AwayNote { who, text, own }));
        }
    }

    fn on_live(&mut self, phase: Phase, now: Now) {
        if phase == Phase::Roster {
            self.outbox.take_processed();
            self.on_roster_end(Phase::Live, now);
        }
        for Message { text, .. } in self.outbox.take_processed() {
            self.refused(
                text,
                Text::new("the room was slow, or you were muted, when the connection was lost"),
            );
        }
        if phase < Phase::Live && self.outcome.is_none() {
            self.stage = Stage::Rich(Phase::Live);
            self.events.push_back(Event::Live);
        }
    }

    /// The history begins here.
    fn on_position(&mut self, position: Option<Position>) {
        let number = self.resume.zip(position.map(|position| position.next));
        let before = std::mem::replace(&mut self.next_said, number);
        let missed = position.and_then(|position| position.missed);
        if missed != Some(0) {
            // The history does not show what was said before it: most likely all of it.
            self.outbox.take_processed();
        }
        if before.is_some() && missed != Some(0) {
            self.events.push_back(Event::Missed(missed));
        }
    }

    fn on_said(&mut self, at: u64, who: Who, text: Text<'_>, history: bool) {
        if let Some((_, next)) = &mut self.next_said {
            *next = next.saturating_add(1);
        }
        let own = !history && self.is_me(&who);
        if own {
            // The server returns messages in the order in which they were sent.
            self.outbox.acknowledge();
        } else if history {
            self.outbox.was_said(who.id, &text);
        }
        if self.is_ignored(&who) {
            return;
        }
        let text = text.into_owned();
        self.events.push_back(Event::Said(GroupMessage {
            at,
            who,
            text,
            history,
            own,
        }));
    }

    fn on_join(&mut self, at: u64, profile: Profile, now: Now) {
        let who = profile.who.clone();
        let own = self.is_me(&who);
        self.on_user(profile, now);
        if own || !self.is_ignored(&who) {
            self.events.push_back(Event::Joined(Join { at, who, own }));
        }
    }

    fn on_leave(&mut self, at: u64, who: Who, now: Now) {
        let former = self.roster().get(who.id).cloned();
        self.private.peer_left(now, who.id);
        self.fail_deferred(Some(who.id), "that user left");
        self.operators.left(who.id);
        self.away.set(who.id, None);
        self.private.roster_changes(now);
        self.drain_private_of(former.as_ref(), now);
        if let Some(nick) = &who.nick {
            self.nick_freed(nick, now);
        }
        self.user_left(Leave { at, who });
    }

    fn on_rename(&mut self, at: u64, before: Who, nick: Nick, now: Now) {
        let own = self.is_me(&before);
        let after = Who {
            nick: Some(nick.clone()),
            id: before.id,
        };
        let roster = self.private.roster();
        self.recipients.renamed(&after, roster);
        self.ignored.renamed(&after, roster);
        let drafts = self.outbox.drafts_mut();
        drafts.for_each(|draft| draft.peer.renamed(&after, roster));
        self.private.peer_renamed(before.id, nick.clone());
        self.note_key(before.id);
        if own {
            self.me = Some(after.clone());
            self.nick_is_given(&nick);
            if !self.end_wish(&nick) {
                self.pending_nicks = self.pending_nicks.saturating_sub(1);
            }
        } else if let Some(nick) = &before.nick {
            self.nick_freed(nick, now);
        }
        if before == after {
            // An answer to the user, and no news to others.
            if own {
                self.notice_unchanged_nick();
            }
            return;
        }
        if self.is_ignored(&after) {
            return;
        }
        self.events.push_back(Event::Renamed(Rename {
            at,
            before,
            after,
            own,
        }));
    }

    pub(super) fn on_error(&mut self, code: ErrorCode, seq: Option<u64>, text: Text<'_>) {
        if let Some(seq) = seq {
            if let Some(Message { text: ours, .. }) = self.outbox.refuse(seq) {
                let reason = text.as_str().strip_prefix("not sent: ").unwrap_or(text.as_str());
                return self.refused(ours, Text::new(reason));
            }
            if self.outbox.privates.contains_key(&seq) {
                return self.private.whisper_answered(MessageId(seq), false);
            }
        }
        if is_about_nick(code) && std::mem::take(&mut self.awaits_nick_reason) {
            if code == ErrorCode::NickTaken && self.try_next_nick() {
                return;
            }
            // The nick of HELLO was a wish: nothing failed.
            let rejected = self.config.nick.clone().filter(|_| code == ErrorCode::NickTaken);
            self.wish = rejected.map(|nick| Wish::rejected(nick, self.clocks.last_received));
            self.events.push_back(Event::Error(Some(code), text.into_owned()));
            return;
        }
        if is_about_nick(code) && self.wish_rejected() {
            return;
        }
        if is_about_nick(code) {
            self.pending_nicks = self.pending_nicks.saturating_sub(1);
            self.failures.nicks += 1;
        } else {
            self.failures.requests += 1;
        }
        self.events.push_back(Event::Error(Some(code), text.into_owned()));
    }

    fn is_me(&self, who: &Who) -> bool {
        self.me.as_ref().is_some_and(|me| me.id == who.id)
    }
}
