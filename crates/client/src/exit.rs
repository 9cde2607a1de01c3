//! The exit status, which tells scripts how it went.

use crate::session::{Failures, Outcome};
use nix::sys::signal::Signal;
use std::process::ExitCode;

/// What `--help` says of the exit status.
pub const HELP: &str = "\
Exit status:
  0    all that was sent was delivered; --doctor: all that messages need was seen to work
  1    an error: no connection, the server went away, a line was not sent or not acknowledged;
       --doctor: something that messages need does not work, or could not be checked
  2    the command line is wrong, or the settings file
  3    the room is full
  4    the nick can't be had
  5    a private message was not delivered
  129, 130, 131, 143  ended by SIGHUP, SIGINT, SIGQUIT or SIGTERM, after leaving the room";

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All that was sent was delivered; all that was examined works.
    Delivered,
    /// Anything that has no status of its own.
    Error,
    /// The command line is wrong, or the settings file.
    Usage,
    /// The room is full.
    Full,
    /// The nick can't be had.
    Nick,
    /// A private message was not delivered.
    Private,
    /// A signal ended the program; its number.
    Signal(u8),
}

impl Exit {
    /// What a session amounts to. What ended it counts first, then the gravest of what went wrong on the way.
    #[must_use]
    pub fn of(outcome: &Outcome, failures: Failures) -> Self {
        match outcome {
            Outcome::Full => Self::Full,
            Outcome::NickRefused(_) => Self::Nick,
            Outcome::Unacknowledged(_)
            | Outcome::Closed(_)
            | Outcome::Silent
            | Outcome::NoRoster
            | Outcome::Stranger
            | Outcome::Unfinished
            | Outcome::TurnedAway(_) => Self::Error,
            Outcome::Left if failures.requests > 0 => Self::Error,
            Outcome::Left if failures.privates > 0 => Self::Private,
            Outcome::Left if failures.nicks > 0 => Self::Nick,
            Outcome::Left => Self::Delivered,
        }
    }

    /// What `--doctor` amounts to.
    #[must_use]
    pub fn of_examination(is_good: bool) -> Self {
        if is_good { Self::Delivered } else { Self::Error }
    }

    /// The end by a signal.
    #[must_use]
    pub fn of_signal(signal: Signal) -> Self {
        u8::try_from(signal as i32).map_or(Self::Error, Self::Signal)
    }

    /// The number.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Delivered => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::Full => 3,
            Self::Nick => 4,
            Self::Private => 5,
            Self::Signal(number) => 128_u8.saturating_add(number),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}
