//! The full screen on a real terminal.

use super::device::{self, Device, variable};
use super::link::Link;
use super::notifier::{self, Notifier};
use super::screen::{Effect, Screen};
use super::unread::Unread;
use crate::args::Args;
use crate::client::FrontEnd;
use crate::net::reconnect::Change;
use crate::session::{Event, Session};
use crate::settings::Settings;
use chat_proto::now::Now;
use chat_sys::writer::Writer;
use jiff::tz::TimeZone;
use nix::poll::PollFd;
use nix::sys::signal::Signal;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// The least time between two frames. The first change after a pause is drawn at once, and so is every key.
const FRAME: Duration = Duration::from_millis(20);
/// The least time between two rings.
const RING: Duration = Duration::from_secs(1);
/// The full screen, as the front end of a client.
#[derive(Debug)]
pub struct FullScreen {
    screen: Screen,
    device: Device,
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
        let program = variable("TERM_PROGRAM");
        let notifies = notifier::is_known(variable("TERM").as_deref(), program.as_deref());
        Ok(Self {
            screen: Screen::new(settings, zone, device::size()),
            device: Device::new(settings)?,
            drawn: None,
            typed: false,
            rang: None,
            notifier: Notifier::new(&settings.notify, notifies),
            has_title: device::has_strings(),
            titled: None,
            retry: false,
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
            self.device.output.pending().push(b'\x07');
        }
    }

    fn notify(&mut self, from: &str, text: &str, now: Now) {
        let out = self.device.output.pending();
        if let Err(error) = self.notifier.notify(from, text, now, out) {
            self.screen.error(format!("no notifications: {error}"));
        }
    }

    fn redraw(&mut self) {
        self.device.forget();
        self.titled = None;
        self.screen.resize(device::size());
    }

    fn suspend(&mut self) {
        self.device.suspend();
        self.resumed();
    }

    fn resumed(&mut self) {
        // The shell in front of the client has the focus.
        self.screen.set_focused(true);
        self.redraw();
    }

    fn draw(&mut self, session: &Session, now: Now) {
        let due = self.typed || self.drawn.is_none_or(|drawn| now.monotonic >= drawn + FRAME);
        // Until the terminal has taken the last frame, another one would be drawn over.
        if self.screen.is_stale() && due && self.device.output.is_empty() {
            let frame = self.screen.frame(session, now);
            self.device.paint(frame);
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
            let out = self.device.output.pending();
            out.extend_from_slice(format!("\x1b]2;{title}\x1b\\").as_bytes());
        }
    }
}

impl FrontEnd for FullScreen {
    /// Input is always read: lines that can't be sent wait in the session.
    fn input(&self, _: bool) -> Option<BorrowedFd<'_>> {
        self.device.input()
    }

    fn read(&mut self, session: &mut Session, now: Now) -> io::Result<()> {
        let typed = self.device.read(now);
        self.typed = true;
        if typed.has_hung_up {
            session.leave(now);
        }
        if let Some(focused) = self.device.decoder.take_focus() {
            self.screen.set_focused(focused);
        }
        if typed.has_new_colours {
            self.screen.resize(self.screen.size);
        }
        self.screen.handle(typed.inputs, session, now);
        self.carry_out_effects(now);
        Ok(())
    }

    fn tick(&mut self, session: &mut Session, now: Now) {
        let typed = self.device.decoder.time_out(now);
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
        self.device.output.flush()
    }

    fn deadline(&self) -> Option<Duration> {
        let frame = self
            .drawn
            .filter(|_| self.screen.is_stale() && self.device.output.is_empty());
        [
            frame.map(|drawn| drawn + FRAME),
            self.device.decoder.deadline(),
            self.screen.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn outputs(&self) -> Vec<PollFd<'_>> {
        vec![PollFd::new(
            self.device.output.as_fd(),
            self.device.output.interest(),
        )]
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
            Signal::SIGCONT => {
                self.device.resume();
                self.resumed();
            }
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
        self.device.restore();
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
