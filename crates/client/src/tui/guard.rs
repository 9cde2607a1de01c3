//! The terminal as the screen needs it, and as it was before, whatever ends the program.

use crossterm::cursor::Show;
use crossterm::style::ResetColor;
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{Command, queue};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the terminal is to be brought back.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// How long a terminal that takes no output may hold up the end of the program, in milliseconds.
const PATIENCE: u16 = 500;

/// Bracketed paste: a paste comes between two marks, so that it is told from typing.
struct BracketedPaste(bool);

impl Command for BracketedPaste {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str(if self.0 { "\x1b[?2004h" } else { "\x1b[?2004l" })
    }
}

/// Where there is nothing to scroll, many terminals turn the mouse wheel into arrow keys, which here would put older lines
/// in the place of what is being typed. As it was is asked for last, because terminals that can't remember it
/// have it on.
struct WheelAsArrows(bool);

impl Command for WheelAsArrows {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str(if self.0 {
            "\x1b[?1007h\x1b[?1007r"
        } else {
            "\x1b[?1007s\x1b[?1007l"
        })
    }
}

/// Holds the terminal: raw, on its alternate screen. Dropping it brings the terminal back, and so does a panic, before
/// it is reported.
#[derive(Debug)]
pub(super) struct Guard(());

impl Guard {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If it is none, or is gone.
    pub(super) fn new() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        take()?;
        Ok(Self(()))
    }

    /// Brings the terminal back for a while.
    pub(super) fn suspend(&self) {
        restore();
    }

    /// Takes it again, however it was left meanwhile.
    ///
    /// # Errors
    /// If it is gone.
    pub(super) fn resume(&self) -> io::Result<()> {
        if TAKEN.load(Ordering::SeqCst) {
            // Only what was brought back is taken again.
            disable_raw_mode()?;
        }
        take()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut stdout = io::stdout();
    // A character whose width the terminal sees otherwise must not push the rest of the row into the next.
    queue!(
        stdout,
        EnterAlternateScreen,
        BracketedPaste(true),
        WheelAsArrows(false),
        DisableLineWrap
    )?;
    stdout.flush()
}

/// Nothing can be done here about a terminal that is gone.
fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let ready = poll(
        &mut [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)],
        PollTimeout::from(PATIENCE),
    );
    if ready.is_ok_and(|ready| ready > 0) {
        let _ = queue!(
            stdout,
            ResetColor,
            EnableLineWrap,
            WheelAsArrows(true),
            BracketedPaste(false),
            Show,
            LeaveAlternateScreen
        );
        let _ = stdout.flush();
    }
    let _ = disable_raw_mode();
}
