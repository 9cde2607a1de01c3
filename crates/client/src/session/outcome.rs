//! How a session ends.

use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use std::fmt;

/// Why the session ended. Displayed as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The user left.
    Left,
    /// The input ended, and this many messages were not acknowledged in time.
    Unacknowledged(usize),
    /// The room is full.
    Full,
    /// The server rejected the nick that the user insists on, for this reason.
    NickRefused(Text<'static>),
    /// An operator showed the user out.
    Kicked(Text<'static>),
    /// An operator banned the user.
    Banned(Text<'static>),
    /// The room is locked.
    Locked(Text<'static>),
    /// The server closed the connection, for this reason if it gave one.
    Closed(Option<Text<'static>>),
    /// The server no longer answers.
    Silent,
    /// The user list did not end in time.
    NoRoster,
    /// After a reconnection, another kind of server answers.
    Stranger,
    /// A greeting of a server of ours began, and did not end in time.
    Unfinished,
    /// The server's key, this one, is not the one that it must have.
    OtherKey(PublicKey),
    /// The server's key, this one, is not the one that the chosen room announces.
    OtherRoom(PublicKey),
    /// The server does not prove its key, or what was said was changed on the way.
    Altered,
    /// The server does not encrypt, and the user did not allow that.
    Clear,
    /// The room has a passphrase, and the user gave none.
    PassphraseNeeded,
    /// The server did not accept the passphrase.
    WrongPassphrase,
    /// The server asks for no passphrase, although the user gave one or the room had one.
    NoPassphrase,
    /// A server of ours rejected the connection, for this reason.
    Rejected(Text<'static>),
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
            Self::NickRefused(reason) => write!(f, "nick rejected: {reason}"),
            Self::Kicked(reason) | Self::Banned(reason) | Self::Locked(reason) => reason.fmt(f),
            Self::Closed(None) => f.write_str("the server closed the connection"),
            Self::Closed(Some(reason)) => write!(f, "the server closed the connection: {reason}"),
            Self::NoRoster => f.write_str("timed out waiting for the user list"),
            Self::Unfinished => f.write_str("timed out waiting for the server's greeting"),
            Self::Rejected(reason) => write!(f, "rejected by the server: {reason}"),
            Self::Stranger => f.write_str("another server answers at that address now"),
            Self::OtherKey(key) => write!(
                f,
                "this is not the server that you know: its key is {key}. Somebody may be between you and the server, or \
                 it was set up anew. If you know that it was, --forget-server drops the key that you know"
            ),
            Self::OtherRoom(key) => write!(
                f,
                "this is not the room that you chose: its server has the key {key}, and the room announces another one. \
                 Somebody on this network may want to be taken for that room. chat-client HOST PORT joins a server \
                 that you know"
            ),
            Self::Altered => f.write_str(
                "what arrived is not what the server sent: somebody or something between you and the server changes it",
            ),
            Self::Clear => f.write_str("this server does not encrypt, so nothing was sent; --clear joins it all the same"),
            Self::PassphraseNeeded => {
                f.write_str("this room has a passphrase: --passphrase-file names a file that holds it")
            }
            Self::WrongPassphrase => f.write_str("the server did not accept the passphrase"),
            Self::NoPassphrase => f.write_str(
                "this server asks for no passphrase, so nothing was sent: somebody may be between you and the server. If \
                 you know that the room has no passphrase now, give none; --forget-server drops what is known of the room",
            ),
            Self::Silent => f.write_str("the server no longer answers"),
        }
    }
}

/// The end of a session, and how many messages failed. Displayed as the user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why it ended.
    pub outcome: Outcome,
    /// Messages without a result.
    pub unknown: usize,
    /// Messages that were refused or not delivered after the end of the input.
    pub failed: usize,
}

impl Ending {
    /// Whether the user left and nothing failed.
    pub fn is_quiet(&self) -> bool {
        self.outcome == Outcome::Left && self.failed == 0
    }
}

impl From<Outcome> for Ending {
    /// Without messages under way.
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

/// What failed, though the session went on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Messages to everybody that were refused or lost, and failed requests.
    pub requests: usize,
    /// Private messages that were not delivered.
    pub privates: usize,
    /// Files that the other side has not kept.
    pub files: usize,
    /// Nicks that were rejected.
    pub nicks: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_counts_each_message_once() {
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
