//! Files from peer to peer: messages about them, in the conversation; and pieces of them, beside it.
//!
//! The caller asks for [`Private::bulk_room`] in each turn in which it has pieces to send, after all that it has to say.
//! Messages and acks go out before pieces.

use super::Private;
use super::bulk::CREDIT_FIRST;
use super::event::{MessageId, Path, Refusal};
use super::packet::BULK_MAX;
use super::path::Source;
use super::peer::{Context, Peer};
use crate::files::message::FileMessage;
use crate::files::piece::Piece;
use crate::roster::KeyTrust;
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;

/// Bytes of files that a peer may have under way to this client at most.
const WINDOW_MAX: u64 = 2 << 20;

impl Private {
    /// Sends a message about a file, in order with the texts. [`super::Event::State`] reports its final state.
    ///
    /// # Errors
    /// Why the message is rejected. After [`Refusal::Busy`] there is room again after an event or a timeout.
    pub fn send_file_message(
        &mut self,
        now: Now,
        to: UserId,
        message: &FileMessage,
    ) -> Result<MessageId, Refusal> {
        if self.own == Some(to) {
            return Err(Refusal::Yourself);
        }
        match self.roster.trust(to).ok_or(Refusal::NotHere)? {
            KeyTrust::Trusted(key) => self.send_encrypted(now, key, |peer, id| {
                peer.send_file(now.monotonic, id, &message.to_bytes());
            }),
            KeyTrust::NoKey => Err(Refusal::OnlyUnencrypted),
            KeyTrust::Unasked => Err(Refusal::Unasked),
            KeyTrust::Contested(_) => Err(Refusal::KeyTaken),
            KeyTrust::Rejected => Err(Refusal::BadKey),
        }
    }

    /// Whether a user's client takes files, as far as is known. If it is not known, that is asked, by a piece without
    /// bytes: an older client drops it. Ask again in a while.
    pub fn takes_files(&mut self, now: Now, to: UserId) -> bool {
        self.turn_to(now, to);
        let answer = self.with_channel(now, to, |peer, context| {
            if peer.channel().should_ask_able(context.now) {
                peer.send_piece(context, Piece::NONE, &[]);
            }
            peer.channel().is_able
        });
        answer == Some(true)
    }

    /// Bytes of datagrams that the socket's receive buffer holds. A peer may not have more under way to this client.
    pub fn set_receive_room(&mut self, bytes: u64) {
        self.bulk_window = bytes.clamp(CREDIT_FIRST, WINDOW_MAX);
    }

    /// Whether the user allows anything to go through the server.
    pub fn may_relay(&self) -> bool {
        !self.options.direct_only
    }

    /// How pieces go to a user now; `None` if there is no way. The caller limits what goes through the relay. While it
    /// asks, every few seconds, a direct path is looked for.
    pub fn bulk_path(&mut self, now: Now, to: UserId) -> Option<Path> {
        let way = self.with_channel(now, to, |peer, context| {
            peer.await_path(context.now);
            peer.channel().outgoing.way()
        });
        way.flatten().map(Source::path)
    }

    /// How many pieces may be sent to a user now, a few dozen at most. Ask again after each event and each
    /// [`Self::timeout`]; if time alone makes room, [`Self::deadline`] is then.
    pub fn bulk_room(&mut self, now: Now, to: UserId) -> usize {
        let room = self.with_channel(now, to, |peer, context| {
            peer.channel().outgoing.room(context.now, *context.relay_free)
        });
        room.unwrap_or(0)
    }

    /// Sends a piece of a file, of [`super::BULK_MAX`] bytes at most. [`super::Event::BulkAcked`] or [`super::Event::BulkLost`] tells
    /// the result, unless this run ends before. Returns `false` if there is no room for it.
    pub fn send_bulk(&mut self, now: Now, to: UserId, piece: Piece, bytes: &[u8]) -> bool {
        if bytes.is_empty() || bytes.len() > BULK_MAX || bytes.len() != piece.length {
            return false;
        }
        let sent = self.with_channel(now, to, |peer, context| {
            let room = peer.channel().outgoing.room(context.now, *context.relay_free);
            room > 0 && peer.send_piece(context, piece, bytes)
        });
        sent == Some(true)
    }

    /// The caller has done with so many bytes of [`super::Event::Bulk`] of a user: it has written or dropped them. After the
    /// user left, those from before do not count.
    pub fn consumed(&mut self, now: Now, from: UserId, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.with_channel(now, from, |peer, context| {
            let incoming = &mut peer.channel().incoming;
            incoming.consumed(context.now, bytes, context.bulk_window);
        });
    }

    /// Calls `act` for a user with a conversation.
    fn with_channel<T>(
        &mut self,
        now: Now,
        user: UserId,
        act: impl FnOnce(&mut Peer, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let key: PublicKey = match self.roster.trust(user)? {
            KeyTrust::Trusted(key) => key,
            _ => return None,
        };
        self.contacts.get(&key)?.peer.as_ref()?;
        let mut result = None;
        self.with_peer(now, &key, |peer, context| {
            peer.take_way(context);
            result = Some(act(peer, context));
        });
        result
    }
}
