//! What [`super::Private`] returns: datagrams, lines for the server, and events for the user.

use crate::files::message::{FileId, FileMessage};
use crate::files::piece::Piece;
use crate::roster::KeyWarning;
use chat_proto::id::UserId;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Something to send or to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes from the UDP socket.
    Datagram {
        /// The peer's address.
        to: SocketAddr,
        /// The hop limit (TTL), if not the system's.
        ttl: Option<u8>,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Send this line to the server.
    Line(FromClient<'static>),
    /// Show this to the user.
    Event(Event),
}

/// An event for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A private message was received.
    Received(Received),
    /// A message's final state. Each message has exactly one.
    State(MessageId, State),
    /// A peer's key can't be trusted.
    Warning(KeyWarning),
    /// No user in the roster has this key any more.
    Gone(PublicKey),
    /// A peer says something about a file.
    File {
        /// The peer.
        from: UserId,
        /// What it says.
        message: FileMessage,
        /// The path that it took.
        path: Path,
    },
    /// Bytes of a file arrived, in any order. They count against the peer's credit until the caller has consumed them.
    Bulk {
        /// The peer.
        from: UserId,
        /// The file, by the peer's number.
        id: FileId,
        /// Where in the file.
        offset: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The peer has received a piece.
    BulkAcked {
        /// The peer.
        to: UserId,
        /// The piece.
        piece: Piece,
    },
    /// A piece was lost, as far as is known: it is to be sent again.
    BulkLost {
        /// The peer.
        to: UserId,
        /// The piece.
        piece: Piece,
    },
}

/// A private message that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The sender.
    pub from: UserId,
    /// The text.
    pub text: Text<'static>,
    /// The path that it took.
    pub path: Path,
    /// It was encrypted and authenticated. A front end marks messages that were not.
    pub sealed: bool,
    /// Messages before it are missing. Their sender is told so.
    pub after_gap: bool,
}

/// Identifies a message for one run of the program. The numbers start above those of `SAY`, so an
/// `ERROR` can't mix up the two. They stay below 2^53, because many programs read the numbers of
/// `--json` as floating-point ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u64);

impl MessageId {
    /// The first id.
    pub(super) const FIRST: Self = Self(1 << 52);
}

/// The path of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// From peer to peer.
    Direct,
    /// Through the server.
    Relayed,
}

/// The final state of a message. Until it is reported, the message is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The peer has confirmed that it showed the message.
    Delivered {
        /// The path that it took.
        path: Path,
        /// The time from sending to confirmation.
        after: Duration,
    },
    /// It was sent unencrypted. Nobody will confirm it.
    SentUnencrypted {
        /// The path that it took: through the server if the peer's port is closed.
        path: Path,
    },
    /// It was not confirmed, and is not sent again.
    NotDelivered(Why),
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The peer left the room.
    Left,
    /// The peer did not confirm it within 30 seconds. It may have arrived.
    NoAnswer,
    /// It arrived too late: the peer showed later messages without it, and will not show it.
    Overtaken,
    /// The peer's key changed while it was connected.
    KeyChanged,
    /// The peer's port is closed, and the server can't relay the message.
    Unreachable,
    /// The connection was lost before the server confirmed that it relayed the message.
    ConnectionLost,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "the user left",
            Self::NoAnswer => "not confirmed within 30 seconds; it may have arrived",
            Self::Overtaken => "it arrived too late to be shown in order",
            Self::KeyChanged => "the user's key changed",
            Self::Unreachable => "the user can't be reached",
            Self::ConnectionLost => "the connection to the server was lost; it may have arrived",
        })
    }
}

/// Why a message is rejected before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No user has that id.
    NotHere,
    /// The id is this client's own.
    Yourself,
    /// The text is longer than [`chat_proto::TEXT_MAX`].
    TooLong,
    /// The queue for this peer is full.
    Busy,
    /// The server has not told the peer's whole key yet.
    Unasked,
    /// The peer has no key, and [`Options::no_unencrypted`] is set.
    OnlyUnencrypted,
    /// The peer's key changed while it was connected, or is unusable.
    BadKey,
    /// Another user has the same key: one of the two is an impostor.
    KeyTaken,
    /// This run has reached its limit of private conversations.
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHere => "no user has that id",
            Self::Yourself => "you can't send private messages to yourself",
            Self::TooLong => "the message is too long",
            Self::Busy => "too many unconfirmed messages to that user; try again later",
            Self::Unasked => "the server has not told that user's key",
            Self::OnlyUnencrypted => "that user has no key, and unencrypted messages are disabled",
            Self::BadKey => "that user's key can't be trusted",
            Self::KeyTaken => "another user has the same key",
            Self::Full => "too many private conversations; restart the client",
        })
    }
}

impl std::error::Error for Refusal {}

/// The user's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Never relay messages through the server.
    pub direct_only: bool,
    /// Neither send nor accept unencrypted messages.
    pub no_unencrypted: bool,
    /// The hop limit of the punch probe, which opens this side's router. The probe must pass that
    /// router and not reach the other one: 2 for one router at home, more behind several.
    pub punch_ttl: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            direct_only: false,
            no_unencrypted: false,
            punch_ttl: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_and_refusal_has_its_own_message() {
        let failures = [
            Why::Left,
            Why::NoAnswer,
            Why::Overtaken,
            Why::KeyChanged,
            Why::Unreachable,
            Why::ConnectionLost,
        ];
        let refusals = [
            Refusal::NotHere,
            Refusal::Yourself,
            Refusal::TooLong,
            Refusal::Busy,
            Refusal::Unasked,
            Refusal::OnlyUnencrypted,
            Refusal::BadKey,
            Refusal::KeyTaken,
            Refusal::Full,
        ];
        let failures = failures.iter().map(Why::to_string);
        let mut words: Vec<String> = failures.chain(refusals.iter().map(Refusal::to_string)).collect();
        assert!(words.iter().all(|words| words.contains(' ')), "{words:?}");
        words.sort();
        words.dedup();
        assert_eq!(words.len(), 6 + 9);
    }
}
