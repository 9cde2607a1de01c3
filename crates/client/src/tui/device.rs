//! The terminal itself: its input as keys, its output as frames, and its state before and after.

use super::decoder::{Decoder, Input};
use super::draw::Painter;
use super::guard::Guard;
use super::screen::Size;
use super::style::Frame;
use super::theme::{Depth, Theme};
use super::url;
use crate::settings::Settings;
use chat_proto::now::Now;
use chat_sys::is_transient;
use chat_sys::writer::Writer;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a terminal may take to say its background, also behind a slow link.
const ANSWER: Duration = Duration::from_millis(500);
/// The most bytes of one read.
const READ_MAX: usize = 4096;
/// The size of a terminal that does not report it.
const DEFAULT_SIZE: Size = Size {
    columns: 80,
    rows: 24,
};

/// A terminal that is taken over. A drop restores it.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) decoder: Decoder,
    painter: Painter,
    guard: Guard,
    /// `None` once the terminal is gone.
    input: Option<File>,
    pub(super) output: Writer,
    /// When the terminal was asked for its background, until it answers.
    asked: Option<Instant>,
}

/// What a read brought.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) inputs: Vec<Input>,
    /// The terminal has said its background: everything is to be drawn again.
    pub(super) has_new_colours: bool,
    /// The terminal is gone.
    pub(super) has_hung_up: bool,
}

impl Device {
    /// Takes over the terminal.
    ///
    /// # Errors
    /// If the terminal fails.
    pub(super) fn new(settings: &Settings) -> io::Result<Self> {
        let depth = Depth::choose(
            settings.colours,
            variable("NO_COLOR").as_deref(),
            variable("TERM").as_deref(),
            variable("COLORTERM").as_deref(),
        );
        let strings = has_strings();
        Ok(Self {
            decoder: Decoder::default(),
            painter: Painter::new(Theme::new(depth), strings),
            input: Some(File::from(io::stdin().as_fd().try_clone_to_owned()?)),
            output: Writer::new(io::stdout().as_fd())?,
            guard: Guard::new(strings, settings.mouse)?,
            asked: strings.then(Instant::now),
        })
    }

    /// What to poll for input, if the terminal is there.
    pub(super) fn input(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().map(File::as_fd)
    }

    /// Reads what was typed.
    pub(super) fn read(&mut self, now: Now) -> Typed {
        let mut typed = Typed {
            inputs: Vec::new(),
            has_new_colours: false,
            has_hung_up: false,
        };
        let Some(input) = &mut self.input else {
            return typed;
        };
        let mut buffer = [0; READ_MAX];
        let length = match input.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if is_transient(&error) => return typed,
            // The terminal is gone.
            Err(_) => 0,
        };
        if length == 0 {
            self.input = None;
            typed.has_hung_up = true;
        }
        typed.inputs = self.decoder.feed(buffer.get(..length).unwrap_or_default(), now);
        if let Some(background) = self.decoder.take_background() {
            self.asked = None;
            self.painter.adapt(background);
            typed.has_new_colours = true;
        }
        typed
    }

    /// Adds a frame to the output.
    pub(super) fn paint(&mut self, frame: Frame) {
        self.painter.paint(frame, self.output.pending());
    }

    /// The next frame is drawn whole.
    pub(super) fn forget(&mut self) {
        self.painter.forget();
        self.output.pending().clear();
    }

    /// Stops the process group, as the terminal would do it.
    pub(super) fn suspend(&mut self) {
        self.output.pending().clear();
        self.guard.suspend();
        let mut stop = SigSet::empty();
        stop.add(Signal::SIGTSTP);
        // The signal is blocked, so that it can be read from a descriptor. Unblocked, it stops the process, unless no
        // shell could continue it.
        let _ = kill(Pid::from_raw(0), Signal::SIGTSTP);
        let _ = stop.thread_unblock();
        let _ = stop.thread_block();
        self.resume();
    }

    /// Takes the terminal over again.
    pub(super) fn resume(&mut self) {
        if self.guard.resume().is_err() {
            self.input = None;
        }
        self.forget();
    }

    /// Restores the terminal.
    pub(super) fn restore(&mut self) {
        self.await_answer();
        self.guard.suspend();
    }

    /// Waits for the answer about the background if it may be on the way: the next program would take it for keys.
    fn await_answer(&mut self) {
        let mut buffer = [0; READ_MAX];
        while let Some(left) = self.asked.and_then(|asked| ANSWER.checked_sub(asked.elapsed()))
            && let Some(input) = &mut self.input
        {
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let ready = poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLIN)], timeout);
            let length = if ready.is_ok_and(|ready| ready > 0) {
                input.read(&mut buffer).unwrap_or_default()
            } else {
                0
            };
            self.decoder
                .feed(buffer.get(..length).unwrap_or_default(), Now::default());
            if length == 0 || self.decoder.take_background().is_some() {
                break;
            }
        }
        self.asked = None;
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Whether the terminal takes strings, such as links and titles.
pub(super) fn has_strings() -> bool {
    url::are_strings_known(variable("TERM").as_deref())
}

/// The size of the terminal.
pub(super) fn size() -> Size {
    let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) else {
        return DEFAULT_SIZE;
    };
    if size.ws_col == 0 || size.ws_row == 0 {
        return DEFAULT_SIZE;
    }
    Size {
        columns: size.ws_col.into(),
        rows: size.ws_row.into(),
    }
}

/// A variable of the environment.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
