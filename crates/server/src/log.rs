//! The log on standard error.

use crate::event::Event;
use crate::repeats::Repeats;
use chat_sys::writer::Writer;
use nix::poll::{PollFd, PollFlags};
use std::fmt::Display;
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
}

impl Default for Log {
    fn default() -> Self {
        Self {
            writer: Writer::new(stderr().as_fd()).ok(),
            stalled: false,
            left_out: 0,
            repeats: Repeats::default(),
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

    /// Adds a line, with the time in front.
    pub fn line(&mut self, what: impl Display) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        if !writer.has_room() {
            self.left_out += 1;
            return;
        }
        let now = jiff::Timestamp::now();
        let pending = writer.pending();
        // Writing to memory can't fail.
        if self.left_out > 0 {
            let _ = writeln!(pending, "{now:.0} log left-out={}", self.left_out);
            self.left_out = 0;
        }
        let _ = writeln!(pending, "{now:.0} {what}");
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

fn lacks_space(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
