//! What the delivery of private messages tells the loop and the front end.

use chat_proto::id::UserId;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Something to be done or shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes from the UDP socket.
    Datagram {
        /// Where to.
        to: SocketAddr,
        /// The hop limit (TTL), if it is not to be the system's.
        ttl: Option<u8>,
        /// What.
        bytes: Vec<u8>,
    },
    /// Say this to the server.
    Line(FromClient<'static>),
    /// Tell the user.
    Event(Event),
}

/// What a user is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A private message came.
    Received(Received),
    /// What became of a message that was sent.
    State(MessageId, State),
    /// Something is not as it should be.
    Warning(Warning),
}

/// A private message that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who wrote it.
    pub from: UserId,
    /// What.
    pub text: Text<'static>,
    /// How it came.
    pub path: Path,
    /// It was sealed: nobody else could read it, and nobody else wrote it. Where this is not so, it is to be marked.
    pub sealed: bool,
    /// One or more messages before it are missing, and their sender is told so.
    pub after_gap: bool,
}

/// A message, for as long as the program runs. The numbers begin above all that `SAY` uses, so that an `ERROR` that
/// names one can't be about the other. They stay below 2^53, as `--json` tells them to programs, many of which read
/// all numbers as floating-point ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u64);

impl MessageId {
    /// The first there is.
    pub(super) const FIRST: Self = Self(1 << 52);
}

/// How a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Path {
    /// From peer to peer.
    Direct,
    /// Through the server.
    Relayed,
}

/// What became of a message. Until the first of these it is being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The peer has shown it.
    Delivered {
        /// How it went.
        path: Path,
        /// How long it took to send and be confirmed.
        after: Duration,
    },
    /// It was sent unencrypted, and nobody will confirm it.
    SentUnencrypted {
        /// How it went: through the server where no datagram reaches the peer.
        path: Path,
    },
    /// It is not known to have arrived, and is not sent again.
    NotDelivered(Why),
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The peer left.
    Left,
    /// Nothing came back within 30 seconds. It may have arrived nevertheless.
    NoAnswer,
    /// It was held up for so long that later messages were shown without it; it will not be shown.
    Overtaken,
    /// The peer's key changed while it was connected.
    KeyChanged,
    /// No datagram reaches the peer, and the server does not pass it on.
    Unreachable,
    /// The server was to pass it on, and the connection was lost before it said that it had.
    ConnectionLost,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Left => "the user left",
            Self::NoAnswer => "no answer in 30 seconds; it may have arrived",
            Self::Overtaken => "it came too late and was not shown",
            Self::KeyChanged => "the user's key changed",
            Self::Unreachable => "nothing reaches the user",
            Self::ConnectionLost => "the connection to the server was lost; it may have arrived",
        })
    }
}

/// Why a message is not even tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody with that id is here.
    NotHere,
    /// It is the user's own id.
    Yourself,
    /// There is nothing in it.
    Blank,
    /// It is longer than [`chat_proto::TEXT_MAX`].
    TooLong,
    /// As much as is held for this peer waits already: wait for some of it to be settled.
    Busy,
    /// The peer takes no encrypted messages, and none are sent in the clear.
    OnlyUnencrypted,
    /// The peer's key changed while it was connected, or is none that can be used.
    BadKey,
    /// Somebody else who is here has that key: one of the two is not who they say.
    KeyTaken,
    /// More users than are kept track of have been written to in this run.
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHere => "nobody with that id is here",
            Self::Yourself => "that is you",
            Self::Blank => "there is nothing to send",
            Self::TooLong => "the message is too long",
            Self::Busy => "too many messages to that user are waiting",
            Self::OnlyUnencrypted => "that user takes unencrypted messages only",
            Self::BadKey => "that user's key can't be trusted",
            Self::KeyTaken => "another user has the same key",
            Self::Full => "too many private conversations",
        })
    }
}

impl std::error::Error for Refusal {}

/// Something that the user should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// This user's key changed within one connection, which no honest client and server do. Nothing more is
    /// sent to it or taken from it until it leaves.
    KeyChanged(UserId),
    /// This user announced a key with which nothing can be kept secret. Nothing is sent to it.
    UnusableKey(UserId),
    /// The first user announced the key of the second. Nothing is sent to the first.
    KeyTaken(UserId, UserId),
}

/// What the user chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Never use the relay: a message goes directly or not at all.
    pub direct_only: bool,
    /// Neither send nor take private messages that are not sealed.
    pub no_unencrypted: bool,
    /// The hop limit of the datagram that opens this side's router. It has to reach that and no farther than
    /// half-way: 2 for one router at home, more behind several.
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
    fn every_failure_and_every_refusal_is_said_in_words_of_its_own() {
        let failures = [
            Why::Left,
            Why::NoAnswer,
            Why::Overtaken,
            Why::KeyChanged,
            Why::Unreachable,
        ];
        let refusals = [
            Refusal::NotHere,
            Refusal::Yourself,
            Refusal::Blank,
            Refusal::TooLong,
            Refusal::Busy,
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
        assert_eq!(words.len(), 5 + 9);
    }
}
