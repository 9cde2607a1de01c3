//! A program on a pseudo-terminal, behind a terminal emulator.

use anyhow::{Context, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A screen that does not show the expected text after this time never will.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The size of a terminal, in cells.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
}

/// A running program and its screen. Dropping it kills the program.
pub struct Terminal {
    program: Child,
    master: File,
    emulator: vt100::Parser,
    drawn: u64,
}

impl Terminal {
    /// Starts a program on a terminal of this size.
    ///
    /// # Errors
    /// If the system has no pseudo-terminal left, or the program can't be started.
    pub fn start(command: &mut Command, size: Size) -> anyhow::Result<Self> {
        let window = Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&window), None).context("can't open a pseudo-terminal")?;
        let stdio = || -> io::Result<Stdio> { Ok(Stdio::from(pty.slave.try_clone()?)) };
        let program = command
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(stdio()?)
            .stdout(stdio()?)
            .stderr(stdio()?)
            .spawn()
            .with_context(|| format!("can't start {}", command.get_program().display()))?;
        Ok(Self {
            program,
            master: File::from(pty.master),
            emulator: vt100::Parser::new(cells(size.rows)?, cells(size.columns)?, 0),
            drawn: 0,
        })
    }

    /// Gives the terminal another size.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn resize(&mut self, size: Size) -> anyhow::Result<()> {
        self.emulator.set_size(cells(size.rows)?, cells(size.columns)?);
        let window = rustix::termios::Winsize {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.master, window).context("can't set a size")?;
        // This is not the program's controlling terminal, so the system does not send the signal.
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        kill(pid, Signal::SIGWINCH).context("the program has ended")
    }

    /// The process id of the program.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.program.id()
    }

    /// How many bytes the program has drawn.
    #[must_use]
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    #[must_use]
    pub fn screen(&self) -> &vt100::Screen {
        self.emulator.screen()
    }

    #[must_use]
    pub fn shows(&self, text: &str) -> bool {
        self.screen().contents().contains(text)
    }

    /// Presses keys.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        self.master
            .write_all(keys.as_bytes())
            .context("the terminal is closed")
    }

    /// Reads what the program has drawn, and blocks until it draws something.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn read(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let length = self
            .master
            .read(&mut buffer)
            .with_context(|| format!("the program ended: {}", self.screen().contents()))?;
        self.emulator.process(buffer.get(..length).unwrap_or_default());
        self.drawn += u64::try_from(length)?;
        Ok(())
    }

    /// Reads until the program has drawn nothing for a while.
    ///
    /// # Errors
    /// If the program has ended.
    pub fn settle(&mut self) -> anyhow::Result<()> {
        const SILENCE_MS: u16 = 300;
        while poll(
            &mut [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)],
            PollTimeout::from(SILENCE_MS),
        )? > 0
        {
            self.read()?;
        }
        Ok(())
    }

    /// Waits until the screen shows a text.
    ///
    /// # Errors
    /// If it does not within [`PATIENCE`], or the program has ended.
    pub fn wait_for(&mut self, text: &str) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.shows(text) {
            let left = until.saturating_duration_since(Instant::now());
            ensure!(
                !left.is_zero(),
                "the screen does not show {text:?}:\n{}",
                self.screen().contents()
            );
            let mut ready = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            if poll(
                &mut ready,
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX),
            )? > 0
            {
                self.read()?;
            }
        }
        Ok(())
    }
}

fn cells(number: u16) -> anyhow::Result<NonZeroU16> {
    NonZeroU16::new(number).context("a terminal needs rows and columns")
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The program may have ended already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
