//! The log on standard error.

use crate::event::Event;
use crate::repeats::Repeats;
use chat_sys::writer::Writer;
use nix::poll::{PollFd, PollFlags};
use nix::sys::stat::fstat;
use std::env;
use std::fmt::{self, Display};
use std::io::{self, Write, stderr};
use std::os::fd::AsFd;
use std::time::Duration;

/// Lines on their way to standard error, whose reader may pause or be gone. The log neither blocks the room nor grows
/// without limit: when the writer is full, whole lines are left out and counted. So are they while the disk is full.
#[derive(Debug)]
pub struct Log {
    /// Where lines go, until standard error is closed.
    writer: Option<Writer>,
    /// The disk is full: lines stay in the writer, and each turn tries again.
    stalled: bool,
    left_out: usize,
    repeats: Repeats,
    is_journal: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            writer: Writer::new(stderr().as_fd()).ok(),
            stalled: false,
            left_out: 0,
            repeats: Repeats::default(),
            is_journal: is_journal(),
        }
    }
}

impl Log {
    /// Adds a line for each event, but counts rejected connections that repeat.
    pub fn events(&mut self, now: Duration, events: &[Event]) {
        for event in events {
            if let Event::Refuse { peer, why } = *event
                && !self.repeats.admit(now, peer, why)
            {
                continue;
            }
            self.line(event);
        }
        for event in self.repeats.expire(now) {
            self.line(event);
        }
    }

    /// When [`Log::events`] has a line without events.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.repeats.deadline()
    }

    /// Adds a line about what is as it should be.
    pub fn line(&mut self, what: impl Display) {
        self.add(Priority::Info, what);
    }

    /// Adds a line about what failed while the server runs on.
    pub fn problem(&mut self, what: impl Display) {
        self.add(Priority::Warning, what);
    }

    /// Adds a line, with the time in front; in the journal, which has the time, with the priority.
    fn add(&mut self, priority: Priority, what: impl Display) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        if !writer.has_room() {
            self.left_out += 1;
            return;
        }
        let prefix = |priority: Priority| {
            if self.is_journal {
                priority.to_string()
            } else {
                format!("{:.0} ", jiff::Timestamp::now())
            }
        };
        let pending = writer.pending();
        // Writing to memory can't fail.
        if self.left_out > 0 {
            let _ = writeln!(
                pending,
                "{}log left-out={}",
                prefix(Priority::Warning),
                self.left_out
            );
            self.left_out = 0;
        }
        let _ = writeln!(pending, "{}{what}", prefix(priority));
    }

    /// What to poll, while lines are pending. Not on a full disk, which would always be ready.
    #[must_use]
    pub fn interest(&self) -> Option<PollFd<'_>> {
        let writer = self.writer.as_ref()?;
        if writer.is_empty() || self.stalled {
            return None;
        }
        Some(PollFd::new(writer.as_fd(), PollFlags::POLLOUT))
    }

    /// Writes as much as goes without blocking. After an error nobody can read the log, and it ends; but a disk may be
    /// full only for a moment.
    pub fn flush(&mut self) {
        let Some(writer) = &mut self.writer else { return };
        let result = writer.flush();
        self.stalled = result.as_ref().is_err_and(lacks_space);
        if result.is_err() && !self.stalled {
            self.writer = None;
        }
    }
}

/// How urgent a line is, by the numbers of syslog. Shown as the prefix of sd-daemon(3).
#[derive(Clone, Copy, Debug)]
pub enum Priority {
    /// The server can't run.
    Error = 3,
    /// Something failed, and the server runs on.
    Warning = 4,
    /// All else.
    Info = 6,
}

impl Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", *self as u8)
    }
}

/// Whether standard error is the journal of systemd: `JOURNAL_STREAM` has its device and inode. The variable alone proves
/// nothing, because a child process whose output goes elsewhere inherits it.
#[must_use]
pub fn is_journal() -> bool {
    let stream = fstat(stderr()).map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    env::var("JOURNAL_STREAM").is_ok_and(|named| stream == Ok(named))
}

fn lacks_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
