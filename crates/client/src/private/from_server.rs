//! What the server says, and the connection to it.
//!
//! When somebody leaves, or an id is found to be somebody else's, what was held back for order is shown under the id as it
//! was until then: take the outputs first, and let the front end know of the change after.

use super::event::{Event, MessageId, Output, Path, Why};
use super::keys::key_id;
use super::peer::Source;
use super::rendezvous::Rendezvous;
use super::roster::{Change, Standing};
use super::{Connection, Private};
use chat_proto::id::{UserId, canonical};
use chat_proto::now::Now;
use chat_proto::opaque::{PublicKey, Token};
use chat_proto::rich::Profile;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::net::SocketAddr;
use std::time::Duration;

impl Private {
    /// There is a connection to a server, and this client is known there. Who is here is told next, by
    /// [`Self::peer_here`] for each and [`Self::roster_complete`].
    pub fn connected(&mut self, now: Now, connection: Connection) {
        self.own = connection.own;
        self.connection = Some(connection);
        self.roster.doubt_all();
        self.flush_all(now.monotonic);
    }

    /// Where the server of this connection listens for datagrams, and the token with which it is asked for this
    /// client's outside address.
    pub fn rendezvous(&mut self, now: Now, server: SocketAddr, token: Token) {
        self.rendezvous = Some(Rendezvous::new(now.monotonic, canonical(server), token));
        self.ask_rendezvous(now.monotonic);
    }

    /// The connection is gone. Conversations go on directly; nobody can come or leave.
    pub fn connection_lost(&mut self, now: Now) {
        self.connection = None;
        self.rendezvous = None;
        self.outputs.extend(self.plaintext.connection_lost());
        self.flush_all(now.monotonic);
    }

    /// The server has named everybody who is here. Who was here before and was not named has left.
    pub fn roster_complete(&mut self, now: Now) {
        for id in self.roster.stale() {
            self.peer_left(now, id);
        }
    }

    /// Somebody is here, or came, or is announced anew.
    pub fn peer_here(&mut self, now: Now, profile: &Profile) {
        let id = profile.who.id;
        if self.own == Some(id) {
            return;
        }
        let change = self.roster.here(profile, &self.keys.public());
        self.roster_changed(&change);
        let Some(Standing::Keyed(key)) = self.roster.get(id).map(|user| user.standing) else {
            return;
        };
        self.key_ids.insert(key_id(&key, &self.keys.public()), key);
        self.contacts.entry(key).or_default();
        self.announce(now.monotonic, &key, id);
    }

    /// Somebody's datagrams go elsewhere from now on.
    pub fn peer_address(&mut self, now: Now, id: UserId, udp: SocketAddr) {
        if let Some(user) = self.roster.moved(id, canonical(udp))
            && let Standing::Keyed(key) = user.standing
        {
            self.announce(now.monotonic, &key, id);
        }
    }

    /// Somebody left. What waits for them fails, and never goes to whoever has the same id next.
    pub fn peer_left(&mut self, now: Now, id: UserId) {
        let standing = self.roster.get(id).map(|user| user.standing);
        let change = self.roster.left(id);
        self.roster_changed(&change);
        // Another may have inherited the key.
        if let Some(Standing::Keyed(key)) = standing
            && let Some(heir) = self.roster.holder(&key)
        {
            self.announce(now.monotonic, &key, heir);
        }
    }

    /// A sealed datagram came through the relay.
    pub fn relayed(&mut self, now: Now, _from: &Who, bytes: &[u8]) {
        // Who wrote it is for the seal to say; who passed it on makes no difference.
        if !self.options.direct_only {
            self.receive_sealed(now.monotonic, Source::Relay, bytes);
        }
    }

    /// The server says that a private conversation with somebody begins, who is to be reached there.
    pub fn punch(&mut self, now: Now, who: &Who, address: SocketAddr) {
        let now = now.monotonic;
        let Some(Standing::Keyed(key)) = self.roster.get(who.id).map(|user| user.standing) else {
            return;
        };
        if self.ensure_peer(&key, now).is_ok() {
            self.with_peer(now, &key, |peer, context| peer.punch(context, canonical(address)));
            self.flush(now, &key);
        }
    }

    /// A private message came through the server in the clear.
    pub fn whisper(&mut self, _now: Now, from: &Who, text: &Text<'_>) {
        self.show_unencrypted(from.id, text.borrow().into_owned(), Path::Relayed);
    }

    /// The server has passed a message on in the clear, as it was asked to; or says that it can't.
    pub fn whisper_answered(&mut self, message: MessageId, passed_on: bool) {
        self.outputs.extend(self.plaintext.answered(message, passed_on));
    }

    fn roster_changed(&mut self, change: &Change) {
        self.outputs.extend(
            change
                .warning
                .map(|warning| Output::Event(Event::Warning(warning))),
        );
        let Some((key, label, key_changed)) = change.gone else {
            return;
        };
        self.key_ids.remove(&key_id(&key, &self.keys.public()));
        self.set_timer(&key, None);
        let Some(contact) = self.contacts.get_mut(&key) else {
            return;
        };
        let Some(peer) = &mut contact.peer else {
            self.contacts.remove(&key);
            return;
        };
        self.held_bytes -= peer.receiver.held_bytes();
        let why = if key_changed { Why::KeyChanged } else { Why::Left };
        peer.leave(&mut self.outputs, label, why);
    }

    /// Tells a peer where it is reached, if there is a conversation with it.
    fn announce(&mut self, now: Duration, key: &PublicKey, id: UserId) {
        let Some(address) = self.roster.address(id) else {
            return;
        };
        self.with_peer(now, key, |peer, context| peer.announce(context.now, address));
        self.flush(now, key);
    }

    fn flush_all(&mut self, now: Duration) {
        let keys: Vec<PublicKey> = self.contacts.keys().copied().collect();
        for key in keys {
            self.flush(now, &key);
        }
    }
}
