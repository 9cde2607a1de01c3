//! The exit status.

use crate::session::{Failures, Outcome};
use nix::sys::signal::Signal;
use std::process::ExitCode;

/// The exit statuses, as `--help` lists them.
pub const HELP: &str = "\
Exit status:
  0    everything was delivered; --doctor: everything that messages need works; --rooms:
       a room answered
  1    error: no connection, connection lost, a line not sent as it was, or not
       acknowledged; --doctor: something that messages need fails, or could not be
       checked; --rooms: no room answered
  2    invalid command line or settings file
  3    the room is full
  4    the nick was refused
  5    a private message was not delivered, or nobody confirmed it; a file was not kept
  6    the server's key is not the known one or not the one that its room announces, it
       asks for no passphrase although the room has one, or what arrived was changed on
       the way
  7    the server does not encrypt, and --clear was not given
  8    the room has a passphrase, and none was given or it is wrong
  9    an operator has shown you out, or banned you
  10   the room is locked: nobody new comes in
  129, 130, 131, 143  ended by SIGHUP, SIGINT, SIGQUIT or SIGTERM, after leaving the room";

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was delivered; with `--doctor`, everything that messages need works.
    Delivered,
    /// An error without a status of its own.
    Error,
    /// The command line or the settings file is invalid.
    Usage,
    /// The room is full.
    Full,
    /// The server refused the nick.
    Nick,
    /// A private message was not delivered, or a file not kept.
    Private,
    /// The server is not the known one.
    Server,
    /// The server does not encrypt.
    Clear,
    /// The room has a passphrase, which is missing or wrong.
    Passphrase,
    /// An operator showed the user out.
    ShownOut,
    /// The room is locked.
    Locked,
    /// The signal of this number ended the program.
    Signal(u8),
}

impl Exit {
    /// Judges a session: first by its end, then by the gravest failure before.
    pub fn of(outcome: &Outcome, failures: Failures) -> Self {
        match outcome {
            Outcome::Full => Self::Full,
            Outcome::NickRefused(_) => Self::Nick,
            Outcome::OtherKey(_) | Outcome::OtherRoom(_) | Outcome::NoPassphrase | Outcome::Altered => {
                Self::Server
            }
            Outcome::Kicked(_) | Outcome::Banned(_) => Self::ShownOut,
            Outcome::Locked(_) => Self::Locked,
            Outcome::Clear => Self::Clear,
            Outcome::Left if failures.requests > 0 => Self::Error,
            Outcome::Left
            | Outcome::Closed(_)
            | Outcome::Silent
            | Outcome::NoRoster
            | Outcome::Stranger
            | Outcome::Unfinished
            | Outcome::Rejected(_)
                if failures.files > 0 =>
            {
                Self::Private
            }
            Outcome::PassphraseNeeded | Outcome::WrongPassphrase => Self::Passphrase,
            Outcome::Unacknowledged(_)
            | Outcome::Closed(_)
            | Outcome::Silent
            | Outcome::NoRoster
            | Outcome::Stranger
            | Outcome::Unfinished
            | Outcome::Rejected(_) => Self::Error,
            Outcome::Left if failures.privates > 0 => Self::Private,
            Outcome::Left if failures.nicks > 0 => Self::Nick,
            Outcome::Left => Self::Delivered,
        }
    }

    /// The signal ended the program.
    pub fn of_signal(signal: Signal) -> Self {
        u8::try_from(signal as i32).map_or(Self::Error, Self::Signal)
    }

    /// The number that the shell sees.
    pub fn status(self) -> u8 {
        match self {
            Self::Delivered => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Full => 3,
            Self::Nick => 4,
            Self::Private => 5,
            Self::Server => 6,
            Self::Clear => 7,
            Self::Passphrase => 8,
            Self::ShownOut => 9,
            Self::Locked => 10,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_kept_has_the_status_of_a_private_message() {
        let failures = Failures {
            files: 1,
            ..Failures::default()
        };
        for (outcome, status) in [
            (Outcome::Left, 5),
            (Outcome::Closed(None), 5),
            (Outcome::Silent, 5),
            (Outcome::Full, 3),
        ] {
            assert_eq!(Exit::of(&outcome, failures).status(), status, "{outcome}");
        }
        assert_eq!(Exit::of(&Outcome::Closed(None), Failures::default()).status(), 1);
    }
}
