//! Signals as a descriptor to poll.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Signals that would end a program without a chance to clean up, and that neither program has a use for.
const IGNORED: [Signal; 6] = [
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
];

/// Signals that a program reads from a descriptor; they have no other effect on it.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Watches these signals, and ignores others that would end the program.
    ///
    /// A full-screen program calls this before it changes the terminal: a signal in between would leave the terminal
    /// changed.
    ///
    /// # Errors
    /// If the system refuses, for example for want of a descriptor.
    pub fn watch(signals: &[Signal]) -> io::Result<Self> {
        let watched: SigSet = signals.iter().copied().collect();
        watched.thread_block()?;
        // Blocked and never read.
        SigSet::from_iter(IGNORED).thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(&watched, flags)?))
    }

    /// The next signal that arrived, if any.
    ///
    /// # Errors
    /// If the descriptor can't be read.
    pub fn take(&self) -> io::Result<Option<Signal>> {
        let received = self.0.read_signal()?;
        let number = received.and_then(|signal| i32::try_from(signal.ssi_signo).ok());
        Ok(number.and_then(|number| Signal::try_from(number).ok()))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
