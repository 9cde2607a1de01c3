//! The log on standard error, which nobody has to read.

use crate::event::Event;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;
use std::fmt::{Display, Write};
use std::fs::File;
use std::io::{IsTerminal, Stderr, stderr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

/// Bytes that wait for a reader at most. When they are too many, whole lines are left out and
/// counted: the log must neither stop the room nor grow with it.
const WAITING_MAX: usize = 256 * 1024;

/// A pipe that is ready takes this many bytes at once without blocking (`PIPE_BUF`, pipe(7)).
const PIECE: usize = 4096;

/// Lines on their way to standard error.
///
/// Standard error may be shared with a shell, so it is not made non-blocking: it is asked before each
/// write whether it is ready. That is not enough for a terminal, which is ready as soon as it takes anything at all,
/// so a terminal is opened anew.
#[derive(Debug)]
pub struct Log {
    stderr: Stderr,
    /// Standard error again, if it is a terminal: writing here never waits.
    terminal: Option<File>,
    waiting: Vec<u8>,
    left_out: usize,
    /// Standard error is closed: nobody will ever read this.
    dead: bool,
}

impl Default for Log {
    fn default() -> Self {
        let stderr = stderr();
        Self {
            terminal: terminal(&stderr),
            stderr,
            waiting: Vec::new(),
            left_out: 0,
            dead: false,
        }
    }
}

impl Log {
    /// Adds a line for each event.
    pub fn events(&mut self, events: &[Event]) {
        for event in events {
            self.line(event);
        }
    }

    /// Adds a line, with the time in front.
    pub fn line(&mut self, what: impl Display) {
        if self.dead {
            return;
        }
        let before = self.waiting.len();
        if before > WAITING_MAX {
            self.left_out += 1;
            return;
        }
        let mut line = String::new();
        let now = jiff::Timestamp::now();
        if self.left_out > 0 {
            let _ = writeln!(
                line,
                "{now:.0} log left-out={}",
                std::mem::take(&mut self.left_out)
            );
        }
        let _ = writeln!(line, "{now:.0} {what}");
        self.waiting.extend_from_slice(line.as_bytes());
    }

    /// Where to wait for a reader, if anything waits.
    #[must_use]
    pub fn wants(&self) -> Option<BorrowedFd<'_>> {
        (!self.waiting.is_empty()).then(|| self.out())
    }

    /// Writes as much as is taken without waiting.
    pub fn flush(&mut self) {
        while !self.waiting.is_empty() && self.is_ready() {
            let piece = self.waiting.get(..PIECE).unwrap_or(&self.waiting);
            match write(self.out(), piece) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(Errno::EINTR) => {}
                // Another program was faster, and the terminal is full again.
                Err(Errno::EAGAIN) => return,
                // A terminal that hung up, too: nobody will see this on it.
                Err(_) => self.give_up(),
            }
        }
    }

    fn out(&self) -> BorrowedFd<'_> {
        self.terminal.as_ref().map_or(self.stderr.as_fd(), File::as_fd)
    }

    fn give_up(&mut self) {
        self.dead = true;
        self.waiting = Vec::new();
    }

    fn is_ready(&mut self) -> bool {
        let mut fds = [PollFd::new(self.out(), PollFlags::POLLOUT)];
        let ready = poll(&mut fds, PollTimeout::ZERO).unwrap_or_default() > 0;
        let [fd] = fds;
        let events = fd.revents().unwrap_or(PollFlags::empty());
        if events.intersects(PollFlags::POLLERR | PollFlags::POLLNVAL) {
            self.give_up();
            return false;
        }
        ready
    }
}

/// The terminal that this stream is, opened anew so that writing to it never waits, not even for one that is
/// stopped. If that can't be, as for a terminal that belongs to another user, there is none.
pub(crate) fn terminal(stream: &(impl IsTerminal + AsRawFd)) -> Option<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    // By the descriptor: a terminal of another namespace has no name here.
    let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
    let mut options = File::options();
    options.write(true).custom_flags(flags.bits());
    stream.is_terminal().then(|| options.open(path).ok()).flatten()
}
