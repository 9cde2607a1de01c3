//! The signals that end the program, as something to poll for.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// SIGHUP, SIGINT and SIGTERM, which from its making on are read here and do nothing by themselves.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes the signals over from the system.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn new() -> io::Result<Self> {
        let mut ending = SigSet::empty();
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
            ending.add(signal);
        }
        ending.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(&ending, flags)?))
    }

    /// The number of a signal that came, if one did.
    ///
    /// # Errors
    /// If the system fails to tell.
    pub fn take(&self) -> io::Result<Option<u8>> {
        let came = self.0.read_signal()?;
        Ok(came.and_then(|signal| u8::try_from(signal.ssi_signo).ok()))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
