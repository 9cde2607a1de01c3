//! Private messages, between what the user types and their delivery.

use super::event::{
    AwayNote, Delivery, DeliveryFailure, Direction, Event, Leave, Listed, PrivateMessage, RefusedMessage,
    Transport,
};
use super::outbox::{Draft, Pending};
use super::recipients::Peer;
use super::stage::Stage;
use super::state::{Session, Transmit};
use crate::private::{Event as Told, MessageId, Output, Path, Received, Refusal, State};
use crate::roster::{KeyWarning, Unresolved};
use chat_proto::TEXT_MAX;
use chat_proto::id::UserId;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::rich::{Key, Profile};
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a user may take to return after this client did. It covers the longest pause between two tries.
const PEER_WAIT: Duration = Duration::from_secs(30);

/// Why a text is not kept for a user of whom no whole key is known.
pub(super) const LOST: &str = "the connection was lost before the server told that user's key";

impl Session {
    /// `/msg`: sends a private message to the user that was typed. Answers with that user.
    pub(super) fn send_private(&mut self, typed: &str, text: &Text<'_>, now: Now) -> Option<Peer> {
        match self.resolve(typed) {
            Ok(peer) => self.send_to(peer, text, now),
            Err(reason) => {
                self.not_sent(typed, reason);
                None
            }
        }
    }

    /// Sends a message to a user, at once or when that is possible. Answers with the user as it is now.
    pub(super) fn send_to(&mut self, peer: Peer, text: &Text<'_>, now: Now) -> Option<Peer> {
        if self.is_away() {
            if !self.send_without_server(&peer, text, now) {
                self.keep(peer.clone(), text);
            }
            return Some(peer);
        }
        let Some(to) = self.locate(&peer) else {
            if peer.key().is_some_and(|key| self.absent.contains_key(&key)) {
                self.keep(peer.clone(), text);
                return Some(peer);
            }
            let reason = match peer.is_lost() {
                true => LOST,
                false => "that user is not here any more",
            };
            self.not_sent(peer.who, reason);
            return None;
        };
        let peer = self.peer(to);
        // What was typed before comes first.
        if self.outbox.has_room() && self.hand_over(to, text, now) {
            return Some(peer);
        }
        self.add_draft(peer.clone(), text, false);
        Some(peer)
    }

    /// Sends a message while the server is away, if the user lately answered on a direct path and no
    /// earlier message waits for it. Answers whether it did.
    fn send_without_server(&mut self, peer: &Peer, text: &Text<'_>, now: Now) -> bool {
        let Some(profile) = peer.find(self.roster()) else {
            return false;
        };
        let to = profile.who.id;
        let is_direct = self.private.has_direct_path(now, to);
        is_direct && !self.outbox.has_draft_for(peer) && self.hand_over(to, text, now)
    }

    /// Gives a message to the delivery; `false`, if that has no room now, or the server is to tell the user's key first.
    fn hand_over(&mut self, to: UserId, text: &Text<'_>, now: Now) -> bool {
        if self.private.is_unasked(to) {
            self.private.ask_about(now, to);
            return false;
        }
        if let Err(doubt) = self.may_send_to(to) {
            self.refuse_to_send(&self.who(to), &doubt);
            return true;
        }
        match self.private.send(now, to, text) {
            Ok(id) => self.private_is_sent(to, id, text, now),
            Err(Refusal::Busy) => return false,
            Err(refusal) => self.not_sent(self.who(to), refusal),
        }
        true
    }

    /// A message is not sent, because its recipient may be somebody else.
    fn refuse_to_send(&mut self, who: &Who, doubt: &str) {
        self.failures.privates += 1;
        self.note_failed_message();
        self.tell_doubt(who, format!("not sent to {who}: {doubt}"));
    }

    /// Keeps a message until there is a connection, unless it could never be sent. The user may come back under another name,
    /// so a doubt about the present one counts now.
    fn keep(&mut self, peer: Peer, text: &Text<'_>) {
        if let Some(doubt) = self.doubt(&peer.profile()) {
            return self.refuse_to_send(&peer.who, &doubt);
        }
        if peer.is_unasked() {
            return self.not_sent(&peer.who, LOST);
        }
        let refusal = if text.as_str().len() > TEXT_MAX || text.has_too_many_rows() {
            Refusal::TooLong
        } else if self.me.as_ref().is_some_and(|me| me.id == peer.who.id) {
            Refusal::Yourself
        } else {
            return self.add_draft(peer, text, true);
        };
        self.not_sent(&peer.who, refusal);
    }

    fn add_draft(&mut self, peer: Peer, text: &Text<'_>, awaits_peer: bool) {
        let draft = Draft {
            seq: self.next_seq(),
            peer,
            text: text.clone().into_owned(),
            awaits_peer,
        };
        self.outbox.add_draft(draft);
    }

    /// Sends the drafts for whose users there is room now. Gives up those whose users do not return.
    pub(super) fn send_drafts(&mut self, now: Now) {
        if !self.is_ready() {
            return;
        }
        if self
            .clocks
            .ready
            .is_some_and(|since| now.monotonic >= since + PEER_WAIT)
        {
            self.absent.clear();
            self.private.roster_settles(now);
        }
        let is_late = self
            .drafts_deadline()
            .is_some_and(|deadline| now.monotonic >= deadline);
        for mut draft in self.outbox.take_drafts() {
            match self.locate(&draft.peer) {
                Some(to) if self.private.answer_is_late(to) => {
                    let reason = format!("the server does not tell the key of {}", draft.peer.who);
                    self.give_up_draft(draft, reason);
                }
                Some(to) if self.hand_over(to, &draft.text, now) => {}
                Some(_) => {
                    draft.awaits_peer = false;
                    self.outbox.add_draft(draft);
                }
                None if draft.awaits_peer && !is_late => self.outbox.add_draft(draft),
                None if draft.peer.is_lost() => self.give_up_draft(draft, LOST.to_owned()),
                None => {
                    let reason = format!("{} is not here any more", draft.peer.who);
                    self.give_up_draft(draft, reason);
                }
            }
        }
    }

    fn give_up_draft(&mut self, draft: Draft, reason: String) {
        self.failures.privates += 1;
        self.note_failed_message();
        self.events.push_back(Event::Refused(RefusedMessage {
            text: draft.text,
            reason: Text::from(reason),
        }));
    }

    /// When the users of kept messages count as gone.
    pub(super) fn drafts_deadline(&self) -> Option<Duration> {
        let since = self.clocks.ready.filter(|_| self.is_ready())?;
        self.outbox.awaits_peers().then(|| since + PEER_WAIT)
    }

    /// Where a user is now. An original server does not announce users that joined before this client.
    fn locate(&self, peer: &Peer) -> Option<UserId> {
        let found = peer.find(self.roster()).map(|profile| profile.who.id);
        found.or_else(|| (self.is_legacy() && !peer.is_gone()).then_some(peer.who.id))
    }

    /// All users, and how each is sent private messages.
    pub(super) fn list_users(&self, now: Now) -> Vec<Listed> {
        let listed = |profile: &Profile| Listed {
            who: profile.who.clone(),
            transport: self.transport(profile, now),
            clear: self.reads_in_the_clear(profile),
            verified: self.verified(profile),
            is_operator: self.operators.has(profile.who.id),
            away: self.away_text(&profile.who),
        };
        let mut users: Vec<Listed> = self.roster().users().map(listed).collect();
        // The order by id stays among users without a nick.
        users.sort_by_cached_key(|user| {
            let nick = user.who.nick.as_ref().map(Nick::key);
            (nick.is_none(), nick)
        });
        users
    }

    /// What a user says about being away.
    fn away_text(&self, who: &Who) -> Option<Text<'static>> {
        match self.me.as_ref().is_some_and(|me| me.id == who.id) {
            true => self.away.own.clone(),
            false => self.away.of(who.id).filter(|_| !self.is_ignored(who)).cloned(),
        }
    }

    fn transport(&self, to: &Profile, now: Now) -> Option<Transport> {
        let id = to.who.id;
        if self.me.as_ref().is_some_and(|me| me.id == id) {
            return None;
        }
        let sealed = to.key.is_some();
        let path = match sealed {
            true => self.private.has_direct_path(now, id).then_some(Path::Direct),
            false if self.private.unencrypted_address(id).is_some() => Some(Path::Direct),
            false => Some(Path::Relayed),
        };
        Some(Transport { path, sealed })
    }

    fn private_is_sent(&mut self, to: UserId, id: MessageId, text: &Text<'_>, now: Now) {
        let message = PrivateMessage {
            at: self.server_time(now),
            direction: Direction::Sent(id.0),
            peer: self.who(to),
            text: text.clone().into_owned(),
            transport: Transport {
                path: None,
                sealed: self.roster().get(to).is_some_and(|profile| profile.key.is_some()),
            },
            after_gap: false,
        };
        let pending = Pending {
            peer: message.peer.clone(),
            text: message.text.clone(),
        };
        self.outbox.privates.insert(id.0, pending);
        self.events.push_back(Event::Private(message));
        let who = self.who(to);
        if !self.is_ignored(&who)
            && let Some(text) = self.away.news_of(to)
        {
            let own = false;
            self.events.push_back(Event::Away(AwayNote { who, text, own }));
        }
    }

    fn not_sent(&mut self, to: impl Display, reason: impl Display) {
        self.failures.privates += 1;
        self.note_failed_message();
        self.error(format!("not sent to {to}: {reason}"));
    }

    /// The user that was typed. An original server does not announce users that joined before, so any id may be one.
    pub(super) fn resolve(&self, typed: &str) -> Result<Peer, String> {
        // After a loss, messages are kept for users of the lost connection.
        if !self.is_ready() && !self.is_away() {
            return Err("not connected yet".into());
        }
        // Who was here before the connection was lost may be on its way back. Another user with its nick is a stranger.
        let absent = || self.absent.values().filter(|peer| peer.is_called(typed));
        let first = absent().next();
        // A stranger may have had that nick until the connection was lost once more.
        let second = first.and_then(|first| absent().find(|other| !other.is_same(first)));
        let is_other =
            |absent: &&Peer, profile: &Profile| !profile.key.is_some_and(|key| absent.may_have(key));
        match (self.roster().resolve(typed), first) {
            (Ok(profile), _) => match absent().find(|absent| is_other(absent, profile)) {
                // Whether it is the absent one, the server is asked.
                None => {
                    let is_short = matches!(profile.key, Some(Key::Short(_)));
                    Ok(first
                        .filter(|_| is_short)
                        .cloned()
                        .unwrap_or_else(|| Peer::of(profile)))
                }
                Some(absent) if absent.who.id == profile.who.id => {
                    Err("that user is not back yet, and another one has the address now".into())
                }
                Some(absent) => {
                    let (absent, present) = (absent.who.clone(), profile.who.clone());
                    Err(Unresolved::Several(absent, present).to_string())
                }
            },
            (Err(Unresolved::Nobody | Unresolved::NotHere(_)), Some(first)) => match second {
                None => Ok(first.clone()),
                Some(second) => Err(Unresolved::Several(first.who.clone(), second.who.clone()).to_string()),
            },
            (Err(Unresolved::NotHere(id)), None) if self.is_legacy() => Ok(Peer::unknown(id)),
            (Err(unresolved), _) => Err(unresolved.to_string()),
        }
    }

    fn peer(&self, id: UserId) -> Peer {
        self.roster().get(id).map_or_else(|| Peer::unknown(id), Peer::of)
    }

    /// A user left. What was meant for it never goes to the next user of its address.
    pub(super) fn user_left(&mut self, leave: Leave) {
        let who = leave.who.clone();
        if !self.is_ignored(&who) {
            self.events.push_back(Event::Left(leave));
        }
        self.ignored.left(&who);
        // Its nick and address may mean it or somebody who was lost before, so they mean nobody.
        let nick = who.nick.as_ref().map(Nick::key);
        self.absent.retain(|_, absent| {
            let other = absent.who.nick.as_ref().map(Nick::key);
            absent.who.id != who.id && (nick.is_none() || other != nick)
        });
        let drafts = self.outbox.drafts_mut().filter(|draft| !draft.awaits_peer);
        drafts.for_each(|draft| draft.peer.left(&who));
        if self.recipients.left(&who, self.private.roster()) && self.config.to.is_none() {
            self.warn(format!(
                "{who} left: what you type is not sent; /query alone writes to everybody"
            ));
        }
    }

    /// Bytes of datagrams that the UDP socket holds until they are read.
    pub fn set_receive_room(&mut self, bytes: usize) {
        self.private
            .set_receive_room(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Tells the delivery once that the connection is lost.
    pub(super) fn note_loss(&mut self, now: Now) {
        if self.is_lost() && std::mem::take(&mut self.private_has_server) {
            self.private.connection_lost(now);
        }
    }

    /// Passes on the outputs of the delivery.
    pub(super) fn drain_private(&mut self, now: Now) {
        self.drain_private_of(None, now);
    }

    /// Passes on the outputs of the delivery. `former` left just now; its last messages still have its name.
    pub(super) fn drain_private_of(&mut self, former: Option<&Profile>, now: Now) {
        loop {
            while let Some(output) = self.private.poll_output() {
                self.pass_on(output, former, now);
            }
            if !self.drain_files(now) {
                break;
            }
        }
    }

    fn pass_on(&mut self, output: Output, former: Option<&Profile>, now: Now) {
        match output {
            Output::Datagram { to, ttl, bytes } if self.sends_to(to) => {
                self.datagrams.push_back(Transmit { to, ttl, bytes });
            }
            Output::Datagram { to, .. } => self.private.port_unreachable(now, to),
            Output::Line(line) if matches!(self.stage, Stage::Rich(_)) => self.send_line(&line),
            // For a connection that is lost.
            Output::Line(_) => {}
            Output::Event(Told::Received(received)) => self.received(received, former, now),
            Output::Event(Told::State(id, state)) => {
                let is_delivered = matches!(state, State::Delivered { .. });
                if !self.file_message_settled(id, is_delivered, now) {
                    self.state_changed(id, state);
                }
            }
            Output::Event(Told::Warning(warning)) => self.warn_of(warning),
            Output::Event(Told::Gone(key)) => self.file_peer_left(key),
            Output::Event(Told::File { from, message, .. }) => {
                if let Some(key) = self.file_key(from, former) {
                    let former = former.filter(|former| former.who.id == from);
                    let who = former.map_or_else(|| self.who(from), |former| former.who.clone());
                    self.file_message(key, who, message, now);
                }
            }
            Output::Event(Told::Bulk {
                from,
                id,
                offset,
                bytes,
            }) => match self.file_key(from, former) {
                Some(key) => self.file_piece(key, id, offset, &bytes),
                None => self.private.consumed(now, from, bytes.len()),
            },
            Output::Event(Told::BulkAcked { piece, .. }) => self.file_piece_settled(&piece, true),
            Output::Event(Told::BulkLost { piece, .. }) => self.file_piece_settled(&piece, false),
        }
    }

    /// Whether this client's UDP socket, if it has one, can send there.
    fn sends_to(&self, to: SocketAddr) -> bool {
        self.config.endpoints.udp_port.is_some() && to.is_ipv4() == self.config.endpoints.local.is_ipv4()
    }

    fn received(&mut self, received: Received, former: Option<&Profile>, now: Now) {
        let from = received.from;
        let sender = former.filter(|former| former.who.id == from);
        let sender = sender.map_or_else(|| self.peer(from), Peer::of);
        if self.is_ignored(&sender.who) {
            return;
        }
        let message = PrivateMessage {
            at: self.server_time(now),
            direction: Direction::Received,
            peer: sender.who.clone(),
            text: received.text,
            transport: Transport {
                path: Some(received.path),
                sealed: received.sealed,
            },
            after_gap: received.after_gap,
        };
        self.recipients.writer = Some(sender);
        self.events.push_back(Event::Private(message));
    }

    /// The delivery has the result of a message.
    fn state_changed(&mut self, id: MessageId, state: State) {
        let seq = id.0;
        let Some(Pending { peer, text }) = self.outbox.privates.remove(&seq) else {
            return;
        };
        let (path, after) = match state {
            State::Delivered { path, after } => (path, Some(after)),
            State::SentUnencrypted { path } => (path, None),
            State::NotDelivered(why) => {
                self.failures.privates += 1;
                self.note_failed_message();
                let failure = DeliveryFailure {
                    seq,
                    peer,
                    text,
                    reason: Text::from(why.to_string()),
                };
                return self.events.push_back(Event::NotDelivered(failure));
            }
        };
        let transport = Transport {
            path: Some(path),
            sealed: after.is_some(),
        };
        let delivery = Delivery {
            seq,
            peer,
            text,
            transport,
            after,
        };
        // Scripts must not take it for delivered.
        self.failures.privates += usize::from(!delivery.is_confirmed());
        self.events.push_back(Event::Delivered(delivery));
    }

    fn warn_of(&mut self, warning: KeyWarning) {
        self.warn(match warning {
            KeyWarning::KeyChanged(id) => format!(
                "the key of {} changed while connected: private messages to and from that user are blocked",
                self.who(id)
            ),
            KeyWarning::UnusableKey(id) => format!(
                "{} announced a key that is unsafe: private messages to that user are blocked",
                self.who(id)
            ),
            KeyWarning::KeyTaken(id, holder) => format!(
                "{} announced the key of {}: private messages to the former are blocked",
                self.who(id),
                self.who(holder)
            ),
        });
    }
}
