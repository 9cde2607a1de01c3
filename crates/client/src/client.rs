//! The loop: one `poll(2)` over the server, the datagrams, the signals, and whatever the front end
//! reads and writes.

use crate::address::Address;
use crate::args::Args;
use crate::exit::Exit;
use crate::net::connect::Connection;
use crate::net::reconnect::{Change, Reconnect};
use crate::net::transport::Sockets;
use crate::paths::LastServer;
use crate::private::{KeyPair, Options, Private};
use crate::session::{Config, Event, Failures, Join, Session};
use anyhow::{Context, Result};
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_sys::clock::Clock;
use chat_sys::signals::Signals;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// How long a reader who pauses may hold up the program after a signal, in milliseconds.
const LAST_OUTPUT_MS: u16 = 1000;

/// Signals that end the program.
const ENDING: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Signals from the terminal and the shell to a full-screen program.
const TERMINAL: [Signal; 3] = [Signal::SIGWINCH, Signal::SIGTSTP, Signal::SIGCONT];

/// How the user sees the session and speaks to it.
pub trait FrontEnd {
    /// What to poll for input, if anything is to be read. `taken` says whether the session takes
    /// messages now: while it does not, what only feeds it is best left unread.
    fn input(&self, taken: bool) -> Option<BorrowedFd<'_>>;

    /// Reads what is there and passes it to the session.
    ///
    /// # Errors
    /// If the input fails, which is not its end.
    fn read(&mut self, session: &mut Session, now: Now) -> io::Result<()>;

    /// Shows an event, in memory.
    fn show(&mut self, event: &Event);

    /// Puts out what was shown, as much as goes without waiting.
    ///
    /// # Errors
    /// If the output is closed or fails; the program ends then.
    fn flush(&mut self, session: &Session, now: Now) -> io::Result<()>;

    /// What to poll for output, and for what; where nothing waits, with no flags, to learn that it
    /// was closed.
    fn outputs(&self) -> Vec<PollFd<'_>>;

    /// Whether more may be shown. While not, the server is not read.
    fn has_room(&self) -> bool;

    /// Whether nothing waits to be put out.
    fn is_flushed(&self) -> bool;

    /// Whether it is a screen that somebody sits before: who goes on after a typing error has mended it, and a
    /// connection that is lost is to be made again.
    fn is_interactive(&self) -> bool {
        false
    }

    /// When to call [`FrontEnd::tick`], at the latest, by the monotonic clock.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// Time went by.
    fn tick(&mut self, _session: &mut Session, _now: Now) {}

    /// A signal came. Whether it was for the front end; if not, it ends the program.
    fn signal(&mut self, _signal: Signal) -> bool {
        false
    }

    /// Whether the user asked, since the last call, that a lost connection be tried again at once.
    fn take_retry(&mut self) -> bool {
        false
    }

    /// The connection to the server changed.
    fn connection_changed(&mut self, _change: Change) {}
}

/// Watches the signals that end the program; for a full screen those of the terminal too.
///
/// # Errors
/// If the system refuses.
pub fn signals(is_full_screen: bool) -> io::Result<Signals> {
    if is_full_screen {
        Signals::watch(&[&ENDING[..], &TERMINAL].concat())
    } else {
        Signals::watch(&ENDING)
    }
}

/// What a session starts from, by the command line, the settings and the connection.
///
/// # Errors
/// If the connection is gone already.
pub fn config(args: &Args, connection: &Connection, interactive: bool) -> io::Result<Config> {
    Ok(Config {
        nick: args.settings.nick.clone(),
        insist_on_nick: args.settings.insists_on_nick(),
        endpoints: connection.endpoints()?,
        interactive,
        to: args.to.clone(),
    })
}

/// The delivery of private messages, by the command line, with a key pair for this run.
///
/// # Errors
/// If the system has no randomness.
pub fn private(args: &Args) -> Result<Private> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("the system has no randomness")?;
    let options = Options {
        direct_only: args.settings.direct_only,
        no_unencrypted: args.settings.no_unencrypted,
        punch_ttl: args.punch_ttl,
    };
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).expect("the system had randomness before");
    Ok(Private::new(
        KeyPair::from_random(secret),
        options,
        Box::new(random),
    ))
}

/// A session, the sockets it runs over, and the front end that shows it.
pub struct Client<F> {
    clock: Clock,
    session: Session,
    connection: Reconnect,
    signals: Signals,
    /// The signal that ends the program.
    signal: Option<Signal>,
    front_end: F,
    /// The server is to be kept there once it turned out to be one.
    keep: Option<(LastServer, Address)>,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Signals,
    Tcp,
    Udp,
    /// An attempt to replace a lost connection.
    Attempt,
    Input,
    Output,
}

impl<F: FrontEnd> Client<F> {
    /// A client over a connection that was just made.
    pub fn new(
        clock: Clock,
        signals: Signals,
        connection: Reconnect,
        config: Config,
        private: Private,
        front_end: F,
    ) -> Self {
        Self {
            session: Session::new(config, private, clock.now()),
            connection,
            signals,
            signal: None,
            front_end,
            clock,
            keep: None,
        }
    }

    /// Keeps the server there, for the next run, as soon as the user is in its room.
    pub fn keeping_server(mut self, place: LastServer, server: Address) -> Self {
        self.keep = Some((place, server));
        self
    }

    /// Runs until the session ends.
    ///
    /// # Errors
    /// If the input fails, or the system does. An output that was closed is no error but a reason to end.
    pub fn run(mut self) -> Result<Exit> {
        loop {
            self.tick();
            if self.carry_out().is_err() {
                return Ok(self.exit_without_output());
            }
            if self.session.outcome().is_some() {
                return self.finish();
            }
            let ready = self.wait()?;
            if ready.contains(&Source::Output) {
                return Ok(self.exit_without_output());
            }
            self.handle(&ready)?;
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        self.session.tick(now);
        self.front_end.tick(&mut self.session, now);
        if let Some(change) = self.connection.tick(&self.session, now) {
            self.show_events();
            self.front_end.connection_changed(change);
        }
    }

    /// Carries out what the session wants done.
    fn carry_out(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        if let Some(sockets) = self.connection.sockets_mut() {
            sockets.send(&mut self.session, now);
        }
        self.show_events();
        self.front_end.flush(&self.session, now)
    }

    fn show_events(&mut self) {
        while let Some(event) = self.session.next_event() {
            self.front_end.show(&event);
            if matches!(event, Event::Welcome(_) | Event::Joined(Join { own: true, .. })) {
                self.keep_server();
            }
        }
    }

    fn keep_server(&mut self) {
        let Some((place, server)) = self.keep.take() else {
            return;
        };
        if let Err(error) = place.write(&server) {
            let warning = format!("the server will not be known as the last one: {error:#}");
            self.front_end.show(&Event::Warning(Text::from(warning)));
        }
    }

    fn handle(&mut self, ready: &[Source]) -> Result<()> {
        let now = self.clock.now();
        if ready.contains(&Source::Signals) {
            self.take_signal(now)?;
        }
        // Before the server: what it says may tell what became of a message, which must have been
        // shown as sent.
        if ready.contains(&Source::Input) {
            let read = self.front_end.read(&mut self.session, now);
            read.context("can't read the input")?;
            if self.front_end.take_retry()
                && let Some(change) = self.connection.retry_now(now)
            {
                self.front_end.connection_changed(change);
            }
        }
        if let Some(sockets) = self.connection.sockets_mut() {
            if ready.contains(&Source::Tcp) {
                sockets.read(&mut self.session, now);
            } else if ready.contains(&Source::Udp) {
                sockets.read_datagrams(&mut self.session, now);
            }
        }
        if ready.contains(&Source::Attempt)
            && let Some(change) = self.connection.on_attempt_done(&mut self.session, now)
        {
            self.front_end.connection_changed(change);
        }
        Ok(())
    }

    /// The first signal leaves the room properly; another one does not wait for that.
    fn take_signal(&mut self, now: Now) -> io::Result<()> {
        let Some(signal) = self
            .signals
            .take()?
            .filter(|&signal| !self.front_end.signal(signal))
        else {
            return Ok(());
        };
        if self.signal.replace(signal).is_some() {
            self.session.closed(now);
        }
        self.session.leave(now);
        Ok(())
    }

    /// Waits until there is something to do, or it is time for something. What to wait for is found
    /// out anew each turn.
    fn wait(&self) -> Result<Vec<Source>> {
        let mut sources = vec![Source::Signals];
        let mut descriptors = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let mut add = |source, descriptor| {
            sources.push(source);
            descriptors.push(descriptor);
        };
        let has_room = self.front_end.has_room();
        if let Some(sockets) = self.connection.sockets() {
            let mut tcp = sockets.tcp_interest();
            tcp.set(PollFlags::POLLIN, tcp.contains(PollFlags::POLLIN) && has_room);
            // Without any interest poll would still report that the server hung up, again and again.
            if !tcp.is_empty() {
                add(Source::Tcp, PollFd::new(sockets.tcp().as_fd(), tcp));
            }
            if let Some(udp) = sockets.udp().filter(|_| has_room) {
                add(
                    Source::Udp,
                    PollFd::new(udp.as_fd(), Sockets::udp_interest(&self.session)),
                );
            }
        }
        if let Some(attempt) = self.connection.attempt() {
            add(Source::Attempt, PollFd::new(attempt, PollFlags::POLLOUT));
        }
        let sockets_have_room = self
            .connection
            .sockets()
            .is_some_and(|sockets| sockets.has_room(&self.session));
        let taken = has_room && sockets_have_room && self.session.takes_input();
        if let Some(input) = self.front_end.input(taken) {
            add(Source::Input, PollFd::new(input, PollFlags::POLLIN));
        }
        for output in self.front_end.outputs() {
            add(Source::Output, output);
        }
        match poll(&mut descriptors, self.timeout()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("can't poll"),
        }
        let ready = sources.into_iter().zip(&descriptors);
        Ok(ready
            .filter(|(source, descriptor)| is_ready(*source, descriptor))
            .map(|(source, _)| source)
            .collect())
    }

    /// Until the first deadline.
    fn timeout(&self) -> PollTimeout {
        let deadlines = [
            self.session.deadline(),
            self.connection.deadline(),
            self.front_end.deadline(),
        ];
        self.clock.timeout(deadlines.into_iter().flatten().min())
    }

    /// Puts out what is left. A reader may pause as long as it likes, but not after a signal, nor
    /// through one.
    fn finish(mut self) -> Result<Exit> {
        let patience = match self.signal {
            Some(_) => PollTimeout::from(LAST_OUTPUT_MS),
            None => PollTimeout::NONE,
        };
        while !self.front_end.is_flushed() && self.signals.take()?.is_none() {
            let mut descriptors = self.front_end.outputs();
            descriptors.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
            match poll(&mut descriptors, patience) {
                Ok(0) => break,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("can't poll"),
            }
            if self.front_end.flush(&self.session, self.clock.now()).is_err() {
                return Ok(self.exit_without_output());
            }
        }
        Ok(self.exit())
    }

    /// Nobody reads any more what this program is there to print.
    fn exit_without_output(&mut self) -> Exit {
        self.session.leave(self.clock.now());
        if let Some(sockets) = self.connection.sockets_mut() {
            sockets.send(&mut self.session, self.clock.now());
        }
        self.signal.map_or(Exit::Error, Exit::of_signal)
    }

    fn exit(&self) -> Exit {
        // What went wrong before a person's eyes is no secret that the status would have to tell.
        let failures = if self.front_end.is_interactive() {
            Failures::default()
        } else {
            self.session.failures()
        };
        let outcome = self.session.outcome();
        let by_outcome = outcome.map(|outcome| Exit::of(outcome, failures));
        let signalled = self.signal.map(Exit::of_signal);
        signalled.or(by_outcome).unwrap_or(Exit::Error)
    }
}

/// Whether there is something to do. Of an output only errors are: what goes is written without
/// being asked for.
fn is_ready(source: Source, descriptor: &PollFd<'_>) -> bool {
    let happened = descriptor.revents().unwrap_or(PollFlags::empty());
    match source {
        Source::Output => happened.contains(PollFlags::POLLERR),
        Source::Tcp | Source::Udp => happened.intersects(!PollFlags::POLLOUT),
        Source::Signals | Source::Input | Source::Attempt => !happened.is_empty(),
    }
}
