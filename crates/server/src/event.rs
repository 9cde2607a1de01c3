//! What the log says: who came and went and why, never what was said.

use chat_proto::nick::Nick;
use std::fmt;
use std::net::SocketAddr;

/// One thing worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A user was announced.
    Join {
        /// As announced.
        who: Box<str>,
        /// Whether the user speaks the rich dialect.
        rich: bool,
        /// Users with this one.
        users: usize,
    },
    /// A user left.
    Leave {
        /// As announced.
        who: Box<str>,
        /// Why.
        why: Departure,
        /// Users without this one.
        users: usize,
    },
    /// A user took another nick.
    Nick {
        /// As before.
        who: Box<str>,
        /// The new one.
        nick: Nick,
    },
    /// Somebody looks whether everything works, and does not come in.
    Probe {
        /// From where.
        peer: SocketAddr,
    },
    /// Somebody could not come in.
    Refuse {
        /// From where.
        peer: SocketAddr,
        /// Why.
        why: Refusal,
    },
    /// A client did not come in, because the nick that it insists on can't be had.
    TurnDown {
        /// From where.
        peer: SocketAddr,
    },
    /// The server ends.
    Stop {
        /// The signal that asked for it.
        signal: &'static str,
        /// Users at the time.
        users: usize,
    },
}

/// Why a user left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The user said so.
    Quit,
    /// The connection was closed.
    Closed,
    /// The connection was broken off.
    Reset,
    /// The network carried nothing for too long.
    TimedOut,
    /// Nothing was heard for too long.
    Silent,
    /// The room would have had to wait for longer; so many bytes behind.
    Slow(u64),
    /// The same client came back over a newer connection.
    Replaced,
    /// The client said too late that it only examines the way.
    Probe,
    /// The client said too late that it would not be here without its nick.
    Nick,
}

/// Why somebody could not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The room holds this many users.
    Full(usize),
    /// This many users come from that address.
    Address(usize),
    /// A connection from that very address and port is here.
    Twice,
    /// The system has no descriptor left.
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
            Self::Probe { peer } => write!(f, "probe {peer}"),
            Self::Refuse { peer, why } => write!(f, "refuse {peer} reason={why}"),
            Self::TurnDown { peer } => write!(f, "refuse {peer} reason=nick"),
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
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(limit) => write!(f, "full limit={limit}"),
            Self::Address(limit) => write!(f, "address limit={limit}"),
            Self::Twice => f.write_str("twice"),
            Self::Descriptors => f.write_str("descriptors"),
        }
    }
}
