//! The signals that concern the program, as something to poll for.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Those that end the program.
const ENDING: &[Signal] = &[Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];
/// Those that a terminal and its shell send to a program that draws on the whole of it.
const TERMINAL: &[Signal] = &[Signal::SIGWINCH, Signal::SIGTSTP, Signal::SIGCONT];
/// Those that would end the program by themselves, in the middle of whatever it does, and that nobody means for it: they
/// do nothing.
const IGNORED: &[Signal] = &[
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
];

/// Signals that are read here from its making on, and do nothing by themselves.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// Takes the signals over from the system; with `full_screen` those of the terminal too. To be done before the terminal
    /// is taken, or a signal in between would leave it as it is.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn new(full_screen: bool) -> io::Result<Self> {
        let terminal = if full_screen { TERMINAL } else { &[] };
        let all: SigSet = ENDING.iter().chain(terminal).copied().collect();
        all.thread_block()?;
        // Blocked and never read, which keeps them from doing anything.
        IGNORED.iter().copied().collect::<SigSet>().thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(SignalFd::with_flags(&all, flags)?))
    }

    /// A signal that came, if one did.
    ///
    /// # Errors
    /// If the system fails to tell.
    pub fn take(&self) -> io::Result<Option<Signal>> {
        let came = self.0.read_signal()?;
        let number = came.and_then(|signal| i32::try_from(signal.ssi_signo).ok());
        Ok(number.and_then(|number| Signal::try_from(number).ok()))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
