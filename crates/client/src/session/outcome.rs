//! How a session ends.

use chat_proto::text::Text;
use std::fmt;

/// Why the session is over. Shown as the line that tells the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user left.
    Left,
    /// The input ended, and this many messages were not acknowledged in time.
    Unacknowledged(usize),
    /// The room is full.
    Full,
    /// The nick that the user insists on can't be had; why.
    NickRefused(Text<'static>),
    /// The server closed the connection; why, if it said so.
    Closed(Option<Text<'static>>),
    /// The server does not answer any more.
    Silent,
    /// The server goes on telling who is here, and has had long enough.
    NoRoster,
    /// In place of a server of ours there is something now that does not greet as one does.
    Stranger,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("you left"),
            Self::Unacknowledged(1) => f.write_str("1 message is unacknowledged: it may not have arrived"),
            Self::Unacknowledged(n) => {
                write!(f, "{n} messages are unacknowledged: they may not have arrived")
            }
            Self::Full => f.write_str("the room is full: too many users"),
            Self::NickRefused(reason) => write!(f, "the nick can't be had: {reason}"),
            Self::Closed(None) => f.write_str("the server closed the connection"),
            Self::Closed(Some(reason)) => write!(f, "the server closed the connection: {reason}"),
            Self::NoRoster => f.write_str("the server does not come to an end of saying who is here"),
            Self::Stranger => f.write_str("what answers there does not greet as the server did"),
            Self::Silent => f.write_str("the server does not answer any more"),
        }
    }
}

/// What went wrong on the way, though the session went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Messages to everybody that were refused or lost, and requests that could not be carried out.
    pub requests: usize,
    /// Private messages that were not delivered.
    pub privates: usize,
    /// Nicks that could not be had.
    pub nicks: usize,
}
