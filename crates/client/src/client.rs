//! The loop: one `poll(2)` over the server, the datagrams, the signals, and whatever the front end
//! reads and writes.

use crate::args::Args;
use crate::connect::Connection;
use crate::exit::Exit;
use crate::link::Link;
use crate::session::{Config, Event, Session};
use crate::signals::Signals;
use anyhow::{Context, Result};
use chat_proto::now::Now;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant, SystemTime};

/// How long a reader who pauses may hold up the program after a signal, in milliseconds.
const LAST_OUTPUT_MS: u16 = 1000;

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
    fn flush(&mut self) -> io::Result<()>;

    /// What to poll for output, and for what; where nothing waits, with no flags, to learn that it
    /// was closed.
    fn outputs(&self) -> Vec<PollFd<'_>>;

    /// Whether more may be shown. While not, the server is not read.
    fn has_room(&self) -> bool;

    /// Whether nothing waits to be put out.
    fn is_flushed(&self) -> bool;
}

/// What a session starts from, by the command line and the connection.
///
/// # Errors
/// If the connection is gone already.
pub fn config(args: &Args, connection: &Connection) -> io::Result<Config> {
    let udp = connection.udp.as_ref().map(|udp| udp.local_addr()).transpose()?;
    Ok(Config {
        nick: args.nick.clone(),
        insist_on_nick: args.nick.is_some(),
        local: connection.tcp.local_addr()?,
        udp_port: udp.map(|address| address.port()),
    })
}

/// A session, the sockets it runs over, and the front end that shows it.
#[derive(Debug)]
pub struct Client<F> {
    clock: Clock,
    session: Session,
    link: Link,
    signals: Signals,
    /// The signal that ends the program.
    signal: Option<u8>,
    front_end: F,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Signals,
    Tcp,
    Udp,
    Input,
    Output,
}

impl<F: FrontEnd> Client<F> {
    /// A client over a connection that was just made.
    ///
    /// # Errors
    /// If the connection is gone already, or the system refuses to give up its signals.
    pub fn new(connection: Connection, config: Config, front_end: F) -> Result<Self> {
        let clock = Clock::new();
        Ok(Self {
            session: Session::new(config, clock.now()),
            link: Link::new(connection).context("the connection was closed at once")?,
            signals: Signals::new().context("can't take over the signals")?,
            signal: None,
            front_end,
            clock,
        })
    }

    /// Runs until the session ends.
    ///
    /// # Errors
    /// If the input fails, or the system does. An output that was closed is no error but a reason to end.
    pub fn run(mut self) -> Result<Exit> {
        loop {
            self.session.tick(self.clock.now());
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

    /// Carries out what the session wants done.
    fn carry_out(&mut self) -> io::Result<()> {
        self.link.send(&mut self.session);
        while let Some(event) = self.session.next_event() {
            self.front_end.show(&event);
        }
        self.front_end.flush()
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
        }
        if ready.contains(&Source::Tcp) {
            self.link.read(&mut self.session, now);
        }
        if ready.contains(&Source::Udp) {
            self.link.read_datagrams(&mut self.session, now);
        }
        Ok(())
    }

    /// The first signal leaves the room properly; another one does not wait for that.
    fn take_signal(&mut self, now: Now) -> io::Result<()> {
        if let Some(number) = self.signals.take()? {
            if self.signal.replace(number).is_some() {
                self.session.closed(now);
            }
            self.session.leave(now);
        }
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
        let mut tcp = self.link.tcp_interest();
        tcp.set(PollFlags::POLLIN, tcp.contains(PollFlags::POLLIN) && has_room);
        // Without any interest poll would still report that the server hung up, again and again.
        if !tcp.is_empty() {
            add(Source::Tcp, PollFd::new(self.link.tcp().as_fd(), tcp));
        }
        if let Some(udp) = self.link.udp().filter(|_| has_room) {
            add(Source::Udp, PollFd::new(udp.as_fd(), self.link.udp_interest()));
        }
        let taken = has_room && self.link.has_room() && self.session.takes_input();
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

    /// Until the session's deadline, rounded up: a little late is better than in vain.
    fn timeout(&self) -> PollTimeout {
        let Some(deadline) = self.session.deadline() else {
            return PollTimeout::NONE;
        };
        let wait = deadline.saturating_sub(self.clock.now().monotonic);
        let millis = wait.as_nanos().div_ceil(1_000_000);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
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
            if self.front_end.flush().is_err() {
                return Ok(self.exit_without_output());
            }
        }
        Ok(self.exit())
    }

    /// Nobody reads any more what this program is there to print.
    fn exit_without_output(&mut self) -> Exit {
        self.session.leave(self.clock.now());
        self.link.send(&mut self.session);
        self.signal.map_or(Exit::Error, Exit::Signal)
    }

    fn exit(&self) -> Exit {
        let by_outcome = self
            .session
            .outcome()
            .map(|outcome| Exit::of(outcome, self.session.failures()));
        let signalled = self.signal.map(Exit::Signal);
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
        Source::Signals | Source::Input => !happened.is_empty(),
    }
}

/// Reads the two clocks.
#[derive(Debug)]
struct Clock {
    start: Instant,
}

impl Clock {
    fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    fn now(&self) -> Now {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let millis = since_epoch.unwrap_or(Duration::ZERO).as_millis();
        Now {
            monotonic: self.start.elapsed(),
            unix_ms: u64::try_from(millis).unwrap_or(u64::MAX),
        }
    }
}
