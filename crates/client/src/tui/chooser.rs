//! Choosing a room of the LAN, on a real terminal.

use super::device::{self, Device};
use super::room_list::{Choice, RoomList};
use crate::exit::Exit;
use crate::known_servers::KnownServers;
use crate::rooms::PATIENCE;
use crate::rooms::found::Found;
use crate::rooms::search::Search;
use crate::settings::Settings;
use anyhow::{Context, Result};
use chat_discovery::browser::Room;
use chat_sys::clock::Clock;
use chat_sys::signals::Signals;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;
use std::os::fd::AsFd;
use std::time::Duration;

/// The least time between two frames, so that a flood of announcements costs little.
const FRAME: Duration = Duration::from_millis(50);

/// Shows the rooms of the LAN until the user chooses one, or leaves.
///
/// # Errors
/// If the terminal or the system fails.
pub fn choose(settings: &Settings, signals: &Signals) -> Result<Result<Found, Exit>> {
    let clock = Clock::start();
    let mut chooser = Chooser {
        clock,
        search: Search::begin(clock.now().monotonic),
        known: KnownServers::find(),
        heard: Vec::new(),
        list: RoomList::new(device::size()),
        device: Device::new(settings).context("can't draw on the terminal; try --line-mode")?,
        drawn: None,
        is_stale: true,
    };
    loop {
        if let Some(end) = chooser.turn(signals)? {
            return Ok(end);
        }
    }
}

struct Chooser {
    clock: Clock,
    search: Search,
    known: Option<KnownServers>,
    /// The rooms in the list.
    heard: Vec<Room>,
    list: RoomList,
    device: Device,
    drawn: Option<Duration>,
    is_stale: bool,
}

impl Chooser {
    fn turn(&mut self, signals: &Signals) -> Result<Option<Result<Found, Exit>>> {
        let now = self.clock.now();
        self.search.advance(now.monotonic);
        if now.monotonic >= PATIENCE {
            self.list.waited();
        }
        self.draw(now.monotonic);
        self.device
            .output
            .flush()
            .context("can't write to the terminal")?;
        let is_typed = self.wait(signals)?;
        if let Some(signal) = signals.take()?
            && let Some(exit) = self.signal(signal)
        {
            return Ok(Some(Err(exit)));
        }
        let now = self.clock.now();
        let mut inputs = self.device.decoder.time_out(now);
        if is_typed {
            let typed = self.device.read(now);
            if typed.has_hung_up {
                return Ok(Some(Err(Exit::Error)));
            }
            inputs.extend(typed.inputs);
            self.is_stale = true;
        }
        self.is_stale |= !inputs.is_empty();
        Ok(match self.list.handle(inputs) {
            Some(Choice::Join(found)) => Some(Ok(*found)),
            Some(Choice::Leave) => Some(Err(Exit::Delivered)),
            Some(Choice::Interrupt) => Some(Err(Exit::of_signal(Signal::SIGINT))),
            Some(Choice::Suspend) => {
                self.device.suspend();
                self.redraw();
                None
            }
            Some(Choice::Redraw) => {
                self.redraw();
                None
            }
            None => None,
        })
    }

    /// What comes with the answers of the network is shown with the next frame.
    fn draw(&mut self, now: Duration) {
        let is_due = self.drawn.is_none_or(|drawn| now >= drawn + FRAME);
        if !is_due && !self.is_stale || !self.device.output.is_empty() {
            return;
        }
        let rooms = self.search.rooms();
        if rooms != self.heard {
            let known = self.known.as_ref();
            let found = rooms.iter().map(|room| Found::new(room.clone(), known));
            self.list.update(found.collect());
            self.heard = rooms;
            self.list.is_full = self.search.is_full();
        }
        // Draws nothing if nothing changed.
        self.device.paint(self.list.frame());
        self.drawn = Some(now);
        self.is_stale = false;
    }

    /// Waits for input, packets, signals and deadlines. Whether something was typed.
    fn wait(&self, signals: &Signals) -> Result<bool> {
        let output = &self.device.output;
        let mut descriptors = vec![
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(output.as_fd(), output.interest()),
        ];
        descriptors.extend(self.search.descriptors());
        let input = self.device.input();
        descriptors.extend(input.map(|input| PollFd::new(input, PollFlags::POLLIN)));
        let is_late = self.clock.now().monotonic >= PATIENCE;
        let frame = self.drawn.filter(|_| self.search.rooms() != self.heard);
        let deadlines = [
            self.search.deadline(),
            self.device.decoder.deadline(),
            (!is_late).then_some(PATIENCE),
            frame.map(|drawn| drawn + FRAME),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        match poll(&mut descriptors, self.clock.timeout(deadline)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("can't poll"),
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(false);
        Ok(input.is_some() && descriptors.last().is_some_and(is_ready))
    }

    /// How the program ends, if the signal ends it.
    fn signal(&mut self, signal: Signal) -> Option<Exit> {
        match signal {
            Signal::SIGWINCH => self.redraw(),
            Signal::SIGCONT => {
                self.device.resume();
                self.redraw();
            }
            Signal::SIGTSTP => {
                self.device.suspend();
                self.redraw();
            }
            _ => return Some(Exit::of_signal(signal)),
        }
        None
    }

    fn redraw(&mut self) {
        self.device.forget();
        self.list.size = device::size();
        self.is_stale = true;
    }
}
