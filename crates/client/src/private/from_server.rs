//! From the server: the connection, the user list, and relayed messages.
//!
//! Messages held back for order are shown when their sender leaves, or when its id turns out to be
//! another user's. They name the id as it was until then.

use super::event::{Event, MessageId, Output, Path, Why};
use super::path::Source;
use super::rendezvous::Rendezvous;
use super::{Connection, Private};
use crate::roster::{Change, KeyTrust};
use chat_proto::id::{UserId, canonical};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::{Opaque, PublicKey, Token};
use chat_proto::rich::{Profile, ShortKey};
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::net::SocketAddr;

impl Private {
    /// A connection to a server is set up. [`Self::peer_here`] announces each user next,
    /// [`Self::roster_complete`] ends the list.
    pub fn connected(&mut self, now: Now, connection: Connection) {
        self.own = connection.own;
        self.connection = Some(connection);
        self.roster.mark_stale();
        self.questions.clear();
        self.flush_all(now);
    }

    /// The server's address for datagrams, and the token with which it is asked for this client's
    /// outside address.
    pub fn rendezvous(&mut self, now: Now, server: SocketAddr, token: Token) {
        self.rendezvous = Some(Rendezvous::new(now.monotonic, canonical(server), token));
        self.ask_rendezvous(now.monotonic);
    }

    /// The connection is lost. Conversations go on directly; the roster does not change.
    pub fn connection_lost(&mut self, now: Now) {
        self.connection = None;
        self.rendezvous = None;
        self.outputs.extend(self.plaintext.connection_lost());
        self.flush_all(now);
    }

    /// The server has announced all users. Users of an earlier connection that it did not announce
    /// have left, unless one of those whom the server was asked about has the same key.
    pub fn roster_complete(&mut self, now: Now) {
        let (gone, others) = self.roster.stale();
        self.awaits_users = !others.is_empty();
        gone.into_iter().for_each(|id| self.peer_left(now, id));
    }

    /// The same after an answer, if that may matter.
    pub fn roster_changes(&mut self, now: Now) {
        if self.awaits_users {
            self.roster_complete(now);
        }
    }

    /// The answers had their time: users of an earlier connection who are not found have left.
    pub fn roster_settles(&mut self, now: Now) {
        if std::mem::take(&mut self.awaits_users) {
            let (gone, others) = self.roster.stale();
            gone.into_iter()
                .chain(others)
                .for_each(|id| self.peer_left(now, id));
        }
    }

    /// The server announced a user, or something new about one.
    pub fn peer_here(&mut self, now: Now, profile: &Profile) {
        let id = profile.who.id;
        let profile = Profile {
            udp: profile.udp.map(canonical),
            ..profile.clone()
        };
        let change = if self.own == Some(id) {
            self.roster.announce_self(profile)
        } else {
            self.roster.announce(profile, &self.identity.keys.public())
        };
        self.roster_changed(&change);
        if let Some(KeyTrust::Trusted(key)) = self.roster.trust(id) {
            self.contacts.entry(key).or_default();
            self.announce(now, &key, id);
        }
        match self.roster.unconfirmed(id) {
            Some(_) => self.ask_if_met(now, id),
            None => self.answered(now, id),
        }
    }

    /// A user took another nick.
    pub fn peer_renamed(&mut self, id: UserId, nick: Nick) {
        self.roster.rename(id, nick);
    }

    /// A user has another UDP address.
    pub fn peer_address(&mut self, now: Now, id: UserId, udp: SocketAddr) {
        self.roster.readdress(id, udp);
        if let Some(KeyTrust::Trusted(key)) = self.roster.trust(id) {
            self.announce(now, &key, id);
        }
    }

    /// A user left. Messages for it fail, and never go to the next user with the same id.
    pub fn peer_left(&mut self, now: Now, id: UserId) {
        self.questions.take(id);
        let trust = self.roster.trust(id);
        let change = self.roster.remove(id);
        self.roster_changed(&change);
        // Another user may have inherited the key.
        if let Some(KeyTrust::Trusted(key)) = trust
            && let Some(heir) = self.roster.holder(&key)
        {
            self.announce(now, &key, heir);
        }
    }

    /// The server relayed a sealed datagram.
    pub fn relayed(&mut self, now: Now, from: &Who, bytes: &[u8]) {
        if !self.options.direct_only {
            self.receive(now, Source::Relay, Some(from.id), bytes);
        }
    }

    /// The server asks both sides to open their routers: the user is to be reached at this address.
    pub fn punch(&mut self, now: Now, id: UserId, address: SocketAddr) {
        if self.is_unasked(id) {
            self.ask(now, id).punch = Some(address);
        }
        let Some(KeyTrust::Trusted(key)) = self.roster.trust(id) else {
            return;
        };
        // The other side may know an address that this client does not have any more.
        if let Some(rendezvous) = &mut self.rendezvous {
            rendezvous.hurry();
        }
        if self.ensure_peer(&key, now).is_ok() {
            self.with_peer(now, &key, |peer, context| peer.punch(context, canonical(address)));
        }
    }

    /// The server relayed an unencrypted message.
    pub fn whisper(&mut self, _now: Now, from: &Who, text: &Text<'_>) {
        self.show_unencrypted(from.id, text.borrow().into_owned(), Path::Relayed);
    }

    /// The server has relayed an unencrypted message, or says that it can't.
    pub fn whisper_answered(&mut self, message: MessageId, passed_on: bool) {
        self.outputs.extend(self.plaintext.answered(message, passed_on));
    }

    /// Asks about a user whose key may be one that this client has met.
    fn ask_if_met(&mut self, now: Now, id: UserId) {
        let key = self.roster.unconfirmed(id);
        if key.is_some_and(|key| self.has_met(key)) {
            self.ask_early(now, id);
        }
    }

    /// Whether a key that begins so is in the roster, or has a conversation.
    fn has_met(&self, Opaque([a, b, c]): ShortKey) -> bool {
        let [first, last] = [u8::MIN, u8::MAX].map(|rest| {
            let mut key = [rest; 32];
            [key[0], key[1], key[2]] = [a, b, c];
            Opaque(key)
        });
        self.contacts.range(first..=last).next().is_some()
    }

    /// The server has answered: what waited goes on.
    fn answered(&mut self, now: Now, id: UserId) {
        let Some(question) = self.questions.take(id) else {
            return;
        };
        if let Some(address) = question.punch {
            self.punch(now, id, address);
        }
        if let Some((source, bytes)) = question.beginning {
            let says = matches!(source, Source::Relay).then_some(id);
            self.begin(now, source, says, &bytes);
        }
        if question.turns {
            self.turn_to(now, id);
        }
    }

    fn roster_changed(&mut self, change: &Change) {
        let warning = change.warning.map(Event::Warning);
        self.outputs.extend(warning.map(Output::Event));
        let Some((key, label, key_changed)) = change.gone else {
            return;
        };
        self.set_timer(&key, None);
        let contact = self.contacts.get_mut(&key);
        let peer = contact.and_then(|contact| contact.peer.as_mut());
        let Some(peer) = peer.filter(|peer| !peer.is_silent()) else {
            return self.drop_peer(&key);
        };
        self.held_bytes -= peer.receiver.held_bytes();
        let why = if key_changed { Why::KeyChanged } else { Why::Left };
        peer.leave(&mut self.outputs, label, why);
        self.outputs.push_back(Output::Event(Event::Gone(key)));
        let erased = peer.sessions.deadline(false);
        self.set_timer(&key, erased);
    }

    /// Gives a conversation, if there is one, its peer's address.
    fn announce(&mut self, now: Now, key: &PublicKey, id: UserId) {
        let Some(address) = self.roster.address(id) else {
            return;
        };
        self.with_peer(now, key, |peer, context| peer.announce(context.now, address));
    }

    fn flush_all(&mut self, now: Now) {
        for key in self.contacts.keys().copied().collect::<Vec<_>>() {
            self.flush(now, &key);
        }
    }
}
