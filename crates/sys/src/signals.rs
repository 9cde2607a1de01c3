//! Signals as a descriptor to poll.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Signals that would end a program without a chance to clean up, and that neither program has a use for.
const IGNORED: [Signal; 7] = [
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    // A file that reaches its limit is an error of the write.
    Signal::SIGXFSZ,
];

/// Signals that end and stop nothing, so that it does not matter whether they were ignored.
const TELLS_ONLY: [Signal; 2] = [Signal::SIGWINCH, Signal::SIGCONT];

/// Signals that a program reads from a descriptor; they have no other effect on it.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Watches these signals, and ignores others that would end the program.
    ///
    /// What the parent process ignores stays ignored: `nohup` ignores SIGHUP, and a script ignores SIGINT and SIGQUIT for
    /// what it starts with `&`. A blocked signal would reach the descriptor all the same.
    ///
    /// A full-screen program calls this before it changes the terminal: a signal in between would leave the terminal
    /// changed.
    ///
    /// # Errors
    /// If the system refuses, for example for want of a descriptor.
    pub fn watch(signals: &[Signal]) -> io::Result<Self> {
        let ignored = ignored();
        let watched: SigSet = signals
            .iter()
            .copied()
            .filter(|&signal| TELLS_ONLY.contains(&signal) || !is_in(ignored, signal))
            .collect();
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

/// Whether this process ignores a signal. Asked before [`Signals::watch`], whether its parent had it ignored.
#[must_use]
pub fn is_ignored(signal: Signal) -> bool {
    is_in(ignored(), signal)
}

/// The signals that this process ignores, one bit each. None where there is no `/proc`; sigaction(2) can't be called
/// safely.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

fn is_in(mask: u64, signal: Signal) -> bool {
    mask >> (signal as i32 - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_told_from_others() {
        // Rust's runtime ignores SIGPIPE, and nobody ignores SIGSEGV.
        assert!(is_ignored(Signal::SIGPIPE));
        assert!(!is_ignored(Signal::SIGSEGV));
    }
}
