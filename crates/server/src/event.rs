//! What the log reports: joins, leaves and refusals, never messages.

use crate::network::Network;
use chat_proto::nick::Nick;
use std::fmt;
use std::net::SocketAddr;

/// One line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A user joined.
    Join {
        /// As announced.
        who: Box<str>,
        /// Whether the user speaks the rich dialect.
        rich: bool,
        /// Users, this one included.
        users: usize,
    },
    /// A user left.
    Leave {
        /// As announced.
        who: Box<str>,
        /// Why.
        why: Departure,
        /// Users that remain.
        users: usize,
    },
    /// A user changed its nick.
    Nick {
        /// As before.
        who: Box<str>,
        /// The new one.
        nick: Nick,
    },
    /// An operator did something, or became one.
    Act {
        /// The operator.
        who: Box<str>,
        /// What, in words.
        what: Box<str>,
    },
    /// A client probes the server, and does not join.
    Probe {
        /// From where.
        peer: SocketAddr,
    },
    /// A connection was rejected.
    Refuse {
        /// From where.
        peer: SocketAddr,
        /// Why.
        why: Refusal,
    },
    /// More connections of one network were rejected for the same reason than the log has lines for.
    RefuseMore {
        /// From where; `None` stands for networks that are not counted apart.
        network: Option<Network>,
        /// Why.
        why: Refusal,
        /// How many more.
        count: usize,
    },
    /// The server shuts down.
    Stop {
        /// The signal that it received.
        signal: &'static str,
        /// Users at the time.
        users: usize,
    },
}

/// Why a user left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The user quit.
    Quit,
    /// The peer closed the connection.
    Closed,
    /// The connection was reset.
    Reset,
    /// The network delivered nothing for too long.
    TimedOut,
    /// The client did not answer a ping.
    Silent,
    /// The user read too slowly, and was this many bytes behind.
    Slow(u64),
    /// The same client reconnected.
    Replaced,
    /// The client sent `PROBE` after it was announced, or probed for too long.
    Probe,
    /// The client insisted on a nick that is not available, after it was announced.
    Nick,
    /// The first line after it was announced was of another protocol.
    Foreign,
    /// The handshake for an encrypted channel failed, after it was announced.
    Handshake,
    /// The client said `HELLO` or `PROBE` in the clear, after it was announced.
    Outdated,
    /// What arrived on the encrypted channel was changed on the way.
    Altered,
    /// An operator showed the user out.
    Kicked,
    /// An operator banned the user.
    Banned,
    /// The room is locked.
    Locked,
    /// The room was full, and the connection had sent nothing or was a probe.
    Evicted,
}

/// Why a connection was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The room is full, with this many users.
    Full(usize),
    /// This many users are connected from that address.
    Address(usize),
    /// Too many connections from that network in a short time.
    Often,
    /// That very address and port is connected already.
    Twice,
    /// The client insists on a nick that is not available.
    Nick,
    /// An operator showed that user out, less than a minute ago.
    Kicked,
    /// An operator banned that user.
    Banned,
    /// That address may not connect.
    Denied,
    /// The room is locked.
    Locked,
    /// The first bytes are of another protocol.
    Foreign,
    /// The handshake for an encrypted channel failed.
    Handshake,
    /// The room takes encrypted connections only.
    Plain,
    /// The passphrase is wrong.
    Passphrase,
    /// The user has a wrong code for operators, and stays.
    Code,
    /// Too many wrong passphrases or codes came from that network, and none is tried for a while.
    Guesses,
    /// The client said `HELLO` or `PROBE` in the clear.
    Outdated,
    /// No file descriptor is left.
    Descriptors,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join { who, rich, users } => {
                let dialect = if *rich { "rich" } else { "plain" };
                write!(f, "join {who} dialect={dialect} users={users}")
            }
            Self::Leave { who, why, users } => write!(f, "leave {who} reason={why} users={users}"),
            Self::Nick { who, nick } => write!(f, "nick {who} now {nick}"),
            Self::Act { who, what } => write!(f, "operator {who} {what}"),
            Self::Probe { peer } => write!(f, "probe {peer}"),
            Self::Refuse { peer, why } => write!(f, "refuse {peer} reason={why}"),
            Self::RefuseMore { network, why, count } => {
                match network {
                    Some(network) => write!(f, "refuse {network}"),
                    None => f.write_str("refuse others"),
                }?;
                write!(f, " reason={why} more={count} within=10s")
            }
            Self::Stop { signal, users } => write!(f, "stop signal={signal} users={users}"),
        }
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quit => "quit",
            Self::Closed => "closed",
            Self::Reset => "reset",
            Self::TimedOut => "timeout",
            Self::Silent => "silent",
            Self::Slow(behind) => return write!(f, "slow behind={behind}"),
            Self::Replaced => "replaced",
            Self::Probe => "probe",
            Self::Nick => "nick",
            Self::Foreign => "foreign",
            Self::Handshake => "handshake",
            Self::Outdated => "outdated",
            Self::Altered => "altered",
            Self::Kicked => "kicked",
            Self::Banned => "banned",
            Self::Locked => "locked",
            Self::Evicted => "evicted",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(limit) => write!(f, "full limit={limit}"),
            Self::Address(limit) => write!(f, "address limit={limit}"),
            Self::Often => f.write_str("often"),
            Self::Kicked => f.write_str("kicked"),
            Self::Banned => f.write_str("banned"),
            Self::Denied => f.write_str("denied"),
            Self::Locked => f.write_str("locked"),
            Self::Twice => f.write_str("twice"),
            Self::Nick => f.write_str("nick"),
            Self::Foreign => f.write_str("foreign"),
            Self::Handshake => f.write_str("handshake"),
            Self::Plain => f.write_str("plain"),
            Self::Passphrase => f.write_str("passphrase"),
            Self::Code => f.write_str("code"),
            Self::Guesses => f.write_str("guesses"),
            Self::Outdated => f.write_str("outdated"),
            Self::Descriptors => f.write_str("descriptors"),
        }
    }
}
