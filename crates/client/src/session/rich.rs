//! What our server says, and what the client makes of it.

use super::event::{Event, GroupMessage, Join, Leave, Rename, Welcome};
use super::outbox::Message;
use super::stage::{Phase, Stage, is_about_nick};
use super::state::Session;
use crate::private::{Connection, MessageId};
use chat_proto::SERVER_LINE_MAX;
use chat_proto::line::{Line, LineDecoder};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::rich::{ErrorCode, FromClient, FromServer, Profile, Reason};
use chat_proto::text::Text;
use chat_proto::who::Who;

impl Session {
    pub(super) fn read_lines(&mut self, bytes: &[u8], now: Now) {
        let mut input = bytes;
        let mut decoder = std::mem::replace(&mut self.decoder, LineDecoder::new(SERVER_LINE_MAX));
        while self.outcome.is_none() && !self.is_lost() {
            match decoder.next(&mut input) {
                Some(Line::Whole(line)) => self.read_line(line, now),
                Some(Line::TooLong) => self.warn("the server sent a line that is too long to read".into()),
                None => break,
            }
        }
        if !self.is_lost() {
            self.decoder = decoder;
        }
    }

    fn read_line(&mut self, line: &[u8], now: Now) {
        let line = String::from_utf8_lossy(line);
        let Ok(said) = FromServer::parse(&line) else {
            // A later version's, or said to a plain user before the server had read HELLO.
            if matches!(self.stage, Stage::Hello { .. }) {
                self.heard_plain_before_welcome(&line);
            }
            return;
        };
        match self.stage {
            Stage::Rich(phase) => self.heard(said, phase, now),
            _ => self.heard_before_welcome(said, now),
        }
    }

    fn heard(&mut self, mut said: FromServer<'_>, phase: Phase, now: Now) {
        let history = phase == Phase::History;
        // A server that never said a time is taken to tell what happens now.
        let at = self.times.restore(&mut said).unwrap_or(now.unix_ms);
        match said {
            FromServer::User(profile) if !history => self.here(profile, now),
            FromServer::History(_) if phase == Phase::Roster => self.roster_is_complete(Phase::History, now),
            FromServer::Live => self.live(phase, now),
            FromServer::Said(_, who, text) => self.said(at, who, text, history),
            FromServer::Join(_, profile) => self.joined(at, profile, history, now),
            FromServer::Leave(_, who) => self.left(at, who, history, now),
            FromServer::Nick(_, before, nick) => self.renamed(at, before, nick, history),
            FromServer::Address(_, who, udp) if !history => {
                self.private.peer_address(now, who.id, udp);
            }
            // What came is shown where it came, among what was said to everybody, and by the name of that moment.
            FromServer::Whisper(who, text) => {
                self.private.whisper(now, &who, &text);
                self.drain_private(now);
            }
            FromServer::Whispered(seq) => self.private.whisper_answered(MessageId(seq), true),
            FromServer::Relay(who, bytes) => {
                self.private.relayed(now, &who, &bytes);
                self.drain_private(now);
            }
            FromServer::Punch(who, udp) => self.private.punch(now, &who, udp),
            FromServer::Error(code, seq, text) => {
                self.heard_error(code, seq, text);
            }
            FromServer::Notice(text) => self.events.push_back(Event::Notice(text.into_owned())),
            FromServer::Ping(n) => self.send_line(&FromClient::Pong(n)),
            FromServer::Goodbye(reason, text) => self.heard_goodbye(reason, text),
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
        self.private_has_server = true;
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

    /// Somebody is here.
    fn here(&mut self, profile: Profile, now: Now) {
        let before = self.roster().get(profile.who.id).cloned();
        self.private.peer_here(now, &profile);
        self.drain_private_of(before.as_ref(), now);
    }

    /// The roster is told before the history, which may be left out.
    fn roster_is_complete(&mut self, phase: Phase, now: Now) {
        self.stage = Stage::Rich(phase);
        self.clocks.ready = Some(now.monotonic);
        self.private.roster_complete(now);
        let Some(me) = self.me.clone() else {
            return;
        };
        let users = self.users();
        self.events.push_back(Event::Welcome(Welcome { me, users }));
    }

    fn live(&mut self, phase: Phase, now: Now) {
        if phase == Phase::Roster {
            self.roster_is_complete(Phase::Live, now);
        }
        if phase < Phase::Live && self.outcome.is_none() {
            self.stage = Stage::Rich(Phase::Live);
            self.events.push_back(Event::Live);
        }
    }

    fn said(&mut self, at: u64, who: Who, text: Text<'_>, history: bool) {
        let own = !history && self.is_me(&who);
        if own {
            // Messages come back in the order in which they were sent.
            self.outbox.acknowledge();
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

    fn joined(&mut self, at: u64, profile: Profile, history: bool, now: Now) {
        let who = profile.who.clone();
        let own = !history && self.is_me(&who);
        // History tells of the past, and the roster was told as of now.
        if !history {
            self.here(profile, now);
        }
        self.events.push_back(Event::Joined(Join {
            at,
            who,
            history,
            own,
        }));
    }

    fn left(&mut self, at: u64, who: Who, history: bool, now: Now) {
        if !history {
            let before = self.roster().get(who.id).cloned();
            self.private.peer_left(now, who.id);
            self.drain_private_of(before.as_ref(), now);
            // Told after the event of the user's leaving.
            self.events.push_back(Event::Left(Leave {
                at,
                who: who.clone(),
                history,
            }));
            return self.recipient_left(&who);
        }
        self.events.push_back(Event::Left(Leave { at, who, history }));
    }

    fn renamed(&mut self, at: u64, before: Who, nick: Nick, history: bool) {
        let own = !history && self.is_me(&before);
        let after = Who {
            nick: Some(nick.clone()),
            id: before.id,
        };
        if !history {
            self.recipient_renamed(&after);
            self.private.peer_renamed(before.id, nick);
        }
        if own {
            self.me = Some(after.clone());
            self.nicks_asked = self.nicks_asked.saturating_sub(1);
        }
        if before == after {
            // An answer, and no news.
            if own {
                self.tell_own_name();
            }
            return;
        }
        self.events.push_back(Event::Renamed(Rename {
            at,
            before,
            after,
            history,
            own,
        }));
    }

    pub(super) fn heard_error(&mut self, code: ErrorCode, seq: Option<u64>, text: Text<'_>) {
        if let Some(seq) = seq {
            if let Some(Message { text: ours, .. }) = self.outbox.refuse(seq) {
                return self.refused(ours, text);
            }
            if self.outbox.is_pending(seq) {
                return self.private.whisper_answered(MessageId(seq), false);
            }
        }
        if is_about_nick(code) && std::mem::take(&mut self.owes_nick_reason) {
            // Nothing that was asked for failed.
            self.events.push_back(Event::Error(Some(code), text.into_owned()));
            return;
        }
        if is_about_nick(code) {
            self.nicks_asked = self.nicks_asked.saturating_sub(1);
            self.failures.nicks += 1;
        } else {
            self.failures.requests += 1;
        }
        self.events.push_back(Event::Error(Some(code), text.into_owned()));
    }

    pub(super) fn heard_goodbye(&mut self, reason: Reason, text: Text<'_>) {
        if self.clocks.leaving.is_some() || reason == Reason::Quit {
            return self.end_left();
        }
        // Who gives no reason is told of without one.
        self.goodbye = Some(text.into_owned()).filter(|text| !text.as_str().is_empty());
    }

    fn is_me(&self, who: &Who) -> bool {
        self.me.as_ref().is_some_and(|me| me.id == who.id)
    }
}
