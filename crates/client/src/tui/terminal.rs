//! The full screen on a real terminal.

use super::decoder::Decoder;
use super::draw::Painter;
use super::guard::Guard;
use super::link::Link;
use super::notifier::{self, Notifier};
use super::screen::{Effect, Screen, Size};
use super::theme::{Depth, Theme};
use super::unread::Unread;
use super::url;
use crate::args::Args;
use crate::client::FrontEnd;
use crate::net::reconnect::Change;
use crate::session::{Event, Session};
use crate::settings::Settings;
use chat_proto::now::Now;
use chat_sys::is_transient;
use chat_sys::writer::Writer;
use jiff::tz::TimeZone;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// The least time between two frames. The first change after a pause is drawn at once, and so is every key.
const FRAME: Duration = Duration::from_millis(20);
/// The least time between two rings.
const RING: Duration = Duration::from_secs(1);
/// How long a terminal may take to say its background, also behind a slow link.
const ANSWER: Duration = Duration::from_millis(500);
/// The most bytes of one read.
const READ_MAX: usize = 4096;
/// The size of a terminal that does not report it.
const DEFAULT_SIZE: Size = Size {
    columns: 80,
    rows: 24,
};

/// The full screen, as the front end of a client.
#[derive(Debug)]
pub struct FullScreen {
    screen: Screen,
    decoder: Decoder,
    painter: Painter,
    guard: Guard,
    /// `None` once the terminal is gone.
    input: Option<File>,
    output: Writer,
    drawn: Option<Duration>,
    /// A key was pressed since the last frame.
    typed: bool,
    rang: Option<Duration>,
    notifier: Notifier,
    /// The terminal takes a title.
    has_title: bool,
    /// What the title of the window counts, if it was set.
    titled: Option<Unread>,
    /// A lost connection is to be tried again at once.
    retry: bool,
    /// When the terminal was asked for its background, until it answers.
    asked: Option<Instant>,
    /// The error to print after the screen is gone.
    last_words: Option<String>,
}

/// Whether the arguments and the standard streams ask for the full screen.
pub fn is_wanted(args: &Args) -> bool {
    let term = variable("TERM").unwrap_or_default();
    let lines = args.line_mode
        || args.json
        || args.no_commands
        || args.recv_only
        || args.send_only
        || args.to.is_some();
    !lines && !term.is_empty() && term != "dumb" && io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl FullScreen {
    /// Takes over the terminal.
    ///
    /// # Errors
    /// If the terminal fails.
    pub fn new(settings: &Settings, zone: TimeZone) -> io::Result<Self> {
        let depth = Depth::choose(
            settings.colours,
            variable("NO_COLOR").as_deref(),
            variable("TERM").as_deref(),
            variable("COLORTERM").as_deref(),
        );
        let strings = url::are_strings_known(variable("TERM").as_deref());
        let program = variable("TERM_PROGRAM");
        let notifies = notifier::is_known(variable("TERM").as_deref(), program.as_deref());
        Ok(Self {
            screen: Screen::new(settings, zone, size()),
            decoder: Decoder::default(),
            painter: Painter::new(Theme::new(depth), strings),
            input: Some(File::from(io::stdin().as_fd().try_clone_to_owned()?)),
            output: Writer::new(io::stdout().as_fd())?,
            guard: Guard::new(strings, settings.mouse)?,
            drawn: None,
            typed: false,
            rang: None,
            notifier: Notifier::new(&settings.notify, notifies),
            has_title: strings,
            titled: None,
            retry: false,
            asked: strings.then(Instant::now),
            last_words: None,
        })
    }

    fn carry_out_effects(&mut self, now: Now) {
        for effect in self.screen.take_effects() {
            match effect {
                Effect::Ring => self.ring(now),
                Effect::Notify { from, text } => self.notify(&from, &text, now),
                Effect::Redraw => self.redraw(),
                Effect::Suspend => self.suspend(),
                Effect::RetryNow => self.retry = true,
            }
        }
    }

    fn ring(&mut self, now: Now) {
        if self.rang.is_none_or(|rang| now.monotonic >= rang + RING) {
            self.rang = Some(now.monotonic);
            self.output.pending().push(b'\x07');
        }
    }

    fn notify(&mut self, from: &str, text: &str, now: Now) {
        let out = self.output.pending();
        if let Err(error) = self.notifier.notify(from, text, now, out) {
            self.screen.error(format!("no notifications: {error}"));
        }
    }

    fn redraw(&mut self) {
        self.painter.forget();
        self.titled = None;
        self.output.pending().clear();
        self.screen.resize(size());
    }

    /// Stops the process group, as the terminal would do it.
    fn suspend(&mut self) {
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

    fn resume(&mut self) {
        if self.guard.resume().is_err() {
            self.input = None;
        }
        // The shell in front of the client has the focus.
        self.screen.set_focused(true);
        self.redraw();
    }

    fn draw(&mut self, session: &Session, now: Now) {
        let due = self.typed || self.drawn.is_none_or(|drawn| now.monotonic >= drawn + FRAME);
        // Until the terminal has taken the last frame, another one would be drawn over.
        if self.screen.is_stale() && due && self.output.is_empty() {
            let frame = self.screen.frame(session, now);
            self.painter.paint(frame, self.output.pending());
            self.set_title();
            self.drawn = Some(now.monotonic);
            self.typed = false;
        }
    }

    fn set_title(&mut self) {
        let unread = self.screen.unread;
        if self.has_title && self.titled != Some(unread) {
            let title = unread.title(&self.screen.room);
            self.titled = Some(unread);
            let out = self.output.pending();
            out.extend_from_slice(format!("\x1b]2;{title}\x1b\\").as_bytes());
        }
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
                return;
            }
        }
    }

    fn hung_up(&mut self, session: &mut Session, now: Now) {
        self.input = None;
        session.leave(now);
    }
}

impl FrontEnd for FullScreen {
    /// Input is always read: lines that can't be sent wait in the session.
    fn input(&self, _: bool) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().map(File::as_fd)
    }

    fn read(&mut self, session: &mut Session, now: Now) -> io::Result<()> {
        let Some(input) = &mut self.input else {
            return Ok(());
        };
        let mut buffer = [0; READ_MAX];
        let length = match input.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if is_transient(&error) => return Ok(()),
            // The terminal is gone.
            Err(_) => 0,
        };
        if length == 0 {
            self.hung_up(session, now);
        }
        self.typed = true;
        let typed = self.decoder.feed(buffer.get(..length).unwrap_or_default(), now);
        if let Some(focused) = self.decoder.take_focus() {
            self.screen.set_focused(focused);
        }
        if let Some(background) = self.decoder.take_background() {
            self.asked = None;
            self.painter.adapt(background);
            self.screen.resize(self.screen.size);
        }
        self.screen.handle(typed, session, now);
        self.carry_out_effects(now);
        Ok(())
    }

    fn tick(&mut self, session: &mut Session, now: Now) {
        let typed = self.decoder.time_out(now);
        self.screen.handle(typed, session, now);
        self.screen.tick(session, now);
    }

    fn show(&mut self, event: &Event) {
        if let Event::Ended(ending) = event
            && !ending.is_quiet()
        {
            self.last_words = Some(ending.to_string());
        }
        self.screen.show(event);
    }

    fn flush(&mut self, session: &Session, now: Now) -> io::Result<()> {
        self.screen.tick(session, now);
        self.carry_out_effects(now);
        self.draw(session, now);
        self.output.flush()
    }

    fn deadline(&self) -> Option<Duration> {
        let frame = self
            .drawn
            .filter(|_| self.screen.is_stale() && self.output.is_empty());
        [
            frame.map(|drawn| drawn + FRAME),
            self.decoder.deadline(),
            self.screen.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn outputs(&self) -> Vec<PollFd<'_>> {
        vec![PollFd::new(self.output.as_fd(), self.output.interest())]
    }

    fn has_room(&self) -> bool {
        true
    }

    /// At the end, output that the terminal has not taken is useless.
    fn is_flushed(&self) -> bool {
        true
    }

    fn signal(&mut self, signal: Signal) -> bool {
        match signal {
            Signal::SIGWINCH => self.redraw(),
            Signal::SIGCONT => self.resume(),
            Signal::SIGTSTP => self.suspend(),
            _ => return false,
        }
        true
    }

    fn take_retry(&mut self) -> bool {
        std::mem::take(&mut self.retry)
    }

    fn connection_changed(&mut self, change: Change) {
        self.screen.set_link(match change {
            Change::Connecting(doing) => return self.screen.set_connecting(doing),
            Change::Waiting(until) => Link::Lost {
                retry_at: Some(until),
            },
            Change::Trying => Link::Lost { retry_at: None },
            Change::Up => Link::Joining,
        });
    }

    fn is_interactive(&self) -> bool {
        true
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        self.await_answer();
        self.guard.suspend();
        if let Some(words) = self.last_words.take() {
            // If the terminal is gone or stopped, the exit status still reports the failure.
            if let Ok(mut stderr) = Writer::new(io::stderr().as_fd()) {
                stderr
                    .pending()
                    .extend_from_slice(format!("chat-client: {words}\n").as_bytes());
                let _ = stderr.flush();
            }
        }
    }
}

fn size() -> Size {
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

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
