//! Sets up the terminal for the full screen, and restores it however the program ends.

use super::sequence::ASK_BACKGROUND;
use super::url;
use crossterm::cursor::Show;
use crossterm::style::{Print, ResetColor};
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

/// Whether the terminal must be restored.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether it knows strings, such as those of links and titles, so that it may be in a link.
static STRINGS: AtomicBool = AtomicBool::new(false);
/// Whether it reports the mouse.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// How long a blocked terminal may delay the end of the program, in milliseconds.
const RESTORE_MS: u16 = 500;

/// Bracketed paste: the terminal marks the beginning and the end of a paste.
struct BracketedPaste(bool);

impl Command for BracketedPaste {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str(if self.0 { "\x1b[?2004h" } else { "\x1b[?2004l" })
    }
}

/// On the alternate screen, many terminals turn the mouse wheel into arrow keys, which here would replace the input by
/// older lines. Restoring switches this on before it asks for the saved state, because terminals that can't save it have
/// it on.
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

/// Focus reporting: the terminal says when it gets the focus and loses it.
struct FocusReports(bool);

impl Command for FocusReports {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str(if self.0 { "\x1b[?1004h" } else { "\x1b[?1004l" })
    }
}

/// Reports of the mouse: presses (1000), in the form that has no limit (1006).
struct MouseReports(bool);

impl Command for MouseReports {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str(if self.0 {
            "\x1b[?1000h\x1b[?1006h"
        } else {
            "\x1b[?1006l\x1b[?1000l"
        })
    }
}

/// Saves the title of the window. Restoring empties it first, for terminals that can't save it.
struct SavedTitle(bool);

impl Command for SavedTitle {
    fn write_ansi(&self, f: &mut impl std::fmt::Write) -> std::fmt::Result {
        f.write_str(if self.0 {
            "\x1b[22;2t"
        } else {
            "\x1b]2;\x1b\\\x1b[23;2t"
        })
    }
}

/// Holds the terminal in raw mode, on its alternate screen. A drop restores it, and so does a panic before its report.
#[derive(Debug)]
pub(super) struct Guard(());

impl Guard {
    /// Sets up the terminal, which may receive strings, and reports the mouse.
    ///
    /// # Errors
    /// If there is none, or it is gone.
    pub(super) fn new(strings: bool, mouse: bool) -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        STRINGS.store(strings, Ordering::SeqCst);
        MOUSE.store(mouse, Ordering::SeqCst);
        take()?;
        Ok(Self(()))
    }

    /// Restores the terminal until [`Guard::resume`].
    pub(super) fn suspend(&self) {
        restore();
    }

    /// Sets up the terminal again, whatever its state is now.
    ///
    /// # Errors
    /// If it is gone.
    pub(super) fn resume(&self) -> io::Result<()> {
        if TAKEN.load(Ordering::SeqCst) {
            // crossterm enables raw mode only after it was disabled.
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
    let was_taken = TAKEN.swap(true, Ordering::SeqCst);
    let mut stdout = io::stdout();
    // Saved twice, the title would be restored to that of the client.
    if STRINGS.load(Ordering::SeqCst) && !was_taken {
        queue!(stdout, SavedTitle(true))?;
    }
    if MOUSE.load(Ordering::SeqCst) {
        queue!(stdout, MouseReports(true))?;
    }
    // If the terminal disagrees about the width of a character, the row must not wrap.
    queue!(
        stdout,
        EnterAlternateScreen,
        BracketedPaste(true),
        FocusReports(true),
        WheelAsArrows(false),
        DisableLineWrap
    )?;
    if STRINGS.load(Ordering::SeqCst) {
        queue!(stdout, Print(ASK_BACKGROUND))?;
    }
    stdout.flush()
}

/// Restores the terminal. Errors are ignored: it may be gone.
fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut stdout = io::stdout();
    let ready = poll(
        &mut [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)],
        PollTimeout::from(RESTORE_MS),
    );
    if ready.is_ok_and(|ready| ready > 0) {
        if MOUSE.load(Ordering::SeqCst) {
            let _ = queue!(stdout, MouseReports(false));
        }
        if STRINGS.load(Ordering::SeqCst) {
            let _ = queue!(stdout, Print(url::CLOSING), SavedTitle(false));
        }
        let _ = queue!(
            stdout,
            ResetColor,
            EnableLineWrap,
            WheelAsArrows(true),
            FocusReports(false),
            BracketedPaste(false),
            Show,
            LeaveAlternateScreen
        );
        let _ = stdout.flush();
    }
    let _ = disable_raw_mode();
}
