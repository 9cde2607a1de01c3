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
    /// In place of the server there is something now that does not greet as it did.
    Stranger,
    /// It began to greet as a server of ours does, and went no further.
    Unfinished,
    /// It greeted as a server of ours does that has no place for the client; why.
    TurnedAway(Text<'static>),
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
            Self::Unfinished => {
                f.write_str("what answers there does not get to the end of a chat server's greeting")
            }
            Self::TurnedAway(reason) => write!(f, "turned away: {reason}"),
            Self::Stranger => f.write_str("what answers there does not greet as the server did"),
            Self::Silent => f.write_str("the server does not answer any more"),
        }
    }
}

/// The end of a session, and what the user should know of the messages that were under way. Shown as the line that tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why it is over.
    pub outcome: Outcome,
    /// Messages whose fate is not known, and never will be.
    pub unknown: usize,
    /// Messages that were refused or not delivered since the user would type no more.
    pub failed: usize,
}

impl Ending {
    /// Whether all went as the user wished.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.outcome == Outcome::Left && self.failed == 0
    }
}

impl From<Outcome> for Ending {
    /// With no message under way.
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            unknown: 0,
            failed: 0,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.outcome)?;
        if self.unknown > 0 && !matches!(self.outcome, Outcome::Unacknowledged(_)) {
            write!(f, "; {}", Outcome::Unacknowledged(self.unknown))?;
        }
        match self.failed {
            0 => Ok(()),
            1 => f.write_str("; 1 message was not delivered"),
            count => write!(f, "; {count} messages were not delivered"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_tells_of_messages_once() {
        let ending = |outcome, unknown, failed| {
            let ending = Ending {
                outcome,
                unknown,
                failed,
            };
            (ending.is_quiet(), ending.to_string())
        };
        assert_eq!(ending(Outcome::Left, 0, 0), (true, "you left".into()));
        assert_eq!(
            ending(Outcome::Left, 0, 1),
            (false, "you left; 1 message was not delivered".into())
        );
        assert_eq!(
            ending(Outcome::Unacknowledged(2), 2, 0).1,
            "2 messages are unacknowledged: they may not have arrived"
        );
        assert_eq!(
            ending(Outcome::Closed(None), 1, 2).1,
            "the server closed the connection; 1 message is unacknowledged: it may not have arrived; 2 messages were \
             not delivered"
        );
    }
}
