//! The loop: one thread, one `poll(2)`.
//!
//! Each turn listens, then writes, then closes. What to wait for is asked of the room each turn, never
//! kept; a connection that nothing is wanted of is not polled at all, so that its end, which `poll(2)` reports
//! unasked, can't make the loop spin.

use crate::args::Args;
use crate::connection::End;
use crate::descriptors::{Spare, provide_for};
use crate::event::{Event, Refusal};
use crate::log::Log;
use crate::room::rendezvous::Desk;
use crate::room::{Effect, Room};
use crate::roster::Slot;
use crate::sockets::{listen, local_address};
use anyhow::Context;
use chat_proto::now::Now;
use chat_proto::opaque::{Opaque, Token};
use chat_sys::clock::Clock;
use chat_sys::is_transient;
use chat_sys::signals::Signals;
use chat_sys::writer::Writer;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, recv};
use socket2::Socket;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Bytes that are read from one connection in one turn. More makes fewer and larger writes when many talk: a crowd is told
/// 1.1 to 1.2 times as much with 32 KiB as with 16. And it makes people wait beside a flooder whom no limit holds back: 1.1 ms
/// at the 99th percentile with 32 KiB, 1.0 with 16, and 1.9 with 64.
pub const READ_MAX: usize = 32 * 1024;

/// Newcomers that are let in in one turn, so that a crowd at the door does not keep those inside waiting.
pub const ACCEPTS_MAX: usize = 256;

/// When no newcomer can be let in for want of descriptors or memory, and the reserve is gone too, the
/// door stays shut for this long.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What is waited for beside the connections: signals, newcomers, datagrams, a reader of the log.
const OTHER_FDS: usize = 4;

/// Ports that are tried for one that is free for TCP and UDP.
const PORT_TRIES: u32 = 16;

/// The signals that end the server. A terminal that goes away ends it too, unless it runs under nohup.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The server: the room, and the sockets of those in it.
pub struct Server {
    room: Room,
    listener: Socket,
    /// The rendezvous, unless its port was taken.
    desk: Option<Desk>,
    /// By slot.
    sockets: Vec<Option<Socket>>,
    signals: Signals,
    log: Log,
    spare: Spare,
    /// Nobody is let in before this time.
    shut_until: Option<Duration>,
    clock: Clock,
    buffer: Box<[u8]>,
}

impl Server {
    /// Opens everything the server needs, and says on standard output where it listens.
    ///
    /// # Errors
    /// If the address can't be listened at, or the system allows too few descriptors.
    pub fn open(args: &Args) -> anyhow::Result<Self> {
        let limits = args.limits();
        provide_for(limits.max_users)?;
        let signals = Signals::watch(&ENDING).context("can't wait for signals")?;
        token().context("the system has no randomness")?;
        let mut log = Log::default();
        let (listener, desk) = open_doors(SocketAddr::new(args.address, args.port), &mut log)?;
        let address = local_address(&listener)?;
        log.line(format_args!("listen {address} max-users={}", limits.max_users));
        tell_address(address);
        Ok(Self {
            room: Room::new(
                limits,
                Box::new(|| token().expect("the system had randomness when the server began")),
            ),
            listener,
            desk,
            sockets: Vec::new(),
            signals,
            log,
            spare: Spare::take(),
            shut_until: None,
            clock: Clock::start(),
            buffer: vec![0; READ_MAX].into(),
        })
    }

    /// Runs until a signal ends it and everybody has been told, or had time to be.
    ///
    /// # Errors
    /// If waiting itself fails.
    pub fn run(mut self) -> anyhow::Result<()> {
        while !self.room.is_over() {
            let ready = self.wait()?;
            let now = self.clock.now();
            if ready.signal {
                self.take_signals(now);
            }
            if ready.newcomers {
                self.accept(now);
            }
            if let Some(desk) = self.desk.as_ref().filter(|_| ready.datagrams) {
                desk.serve(now, &mut self.room);
            }
            for &(slot, events) in &ready.connections {
                self.serve(now, slot, events);
            }
            // After what came was read: a client whose answer lies in its socket is not silent.
            self.room.tick(now);
            self.room.settle(now);
            self.write(now, &ready.full);
            self.room.review(now);
            self.carry_out();
            self.log.events(&self.room.take_events());
            self.log.flush();
        }
        Ok(())
    }

    /// Waits until something can be done.
    fn wait(&mut self) -> anyhow::Result<Ready> {
        let now = self.clock.now();
        if self.shut_until.is_some_and(|until| until <= now.monotonic) {
            self.shut_until = None;
        }
        // As much as it can become: to grow while thousands are added leaves holes that nothing else fits in.
        let mut fds = Vec::with_capacity(self.sockets.len() + OTHER_FDS);
        let mut slots = Vec::with_capacity(self.sockets.len());
        fds.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        for (slot, socket) in self.sockets.iter().enumerate() {
            let Some(socket) = socket else { continue };
            let interest = self.room.interest(now, slot);
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, interest.read);
            flags.set(PollFlags::POLLOUT, interest.write);
            // Without flags it is told when the connection is broken off, and nothing else.
            if !flags.is_empty() || interest.end {
                fds.push(PollFd::new(socket.as_fd(), flags));
                slots.push(slot);
            }
        }
        let door = self.room.accepts() && self.shut_until.is_none();
        let listener = door.then(|| self.listener.as_fd());
        let others = [listener, self.desk.as_ref().map(AsFd::as_fd)];
        let places = others.map(|fd| fd.map(|fd| push(&mut fds, PollFd::new(fd, PollFlags::POLLIN))));
        fds.extend(self.log.interest());
        let deadline = [self.room.deadline(), self.shut_until]
            .into_iter()
            .flatten()
            .min();
        match poll(&mut fds, self.clock.timeout(deadline)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("poll failed"),
        }
        let events = |fd: &PollFd<'_>| fd.revents().unwrap_or(PollFlags::POLLERR);
        let is_ready = |place: Option<usize>| {
            place
                .and_then(|place| fds.get(place))
                .is_some_and(|fd| !events(fd).is_empty())
        };
        let [newcomers, datagrams] = places.map(is_ready);
        let mut ready = Ready {
            signal: is_ready(Some(0)),
            newcomers,
            datagrams,
            ..Ready::default()
        };
        for (fd, &slot) in fds.iter().skip(1).zip(&slots) {
            ready.note(slot, fd.events(), events(fd));
        }
        Ok(ready)
    }

    /// Lets newcomers in.
    fn accept(&mut self, now: Now) {
        for _ in 0..ACCEPTS_MAX {
            match self.listener.accept() {
                Ok((socket, peer)) => {
                    if let Some(peer) = peer.as_socket() {
                        self.admit(now, socket, peer);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if lacks_resources(&error) => return self.turn_one_away(now, &error),
                // The newcomer has gone, or the network has something to say about it (accept(2)): the next.
                Err(_) => {}
            }
        }
    }

    fn admit(&mut self, now: Now, socket: Socket, peer: SocketAddr) {
        let Some(slot) = self.room.accept(now, peer) else {
            return;
        };
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.sockets.get_mut(slot) {
            *place = Some(socket);
        }
    }

    /// There is no descriptor for a newcomer: uses the reserve to say so.
    fn turn_one_away(&mut self, now: Now, error: &io::Error) {
        if self.spare.release()
            && let Ok((socket, peer)) = self.listener.accept()
        {
            let _ = socket.send_with_flags(b"too many users\n", send_flags());
            if let Some(peer) = peer.as_socket() {
                self.log.line(Event::Refuse {
                    peer,
                    why: Refusal::Descriptors,
                });
            }
            drop(socket);
            self.spare = Spare::take();
            return;
        }
        self.spare = Spare::take();
        self.log.line(format_args!("pause accept: {error}"));
        self.shut_until = Some(now.monotonic + ACCEPT_PAUSE);
    }

    /// Reads from one connection what there is, up to [`READ_MAX`].
    fn serve(&mut self, now: Now, slot: Slot, events: PollFlags) {
        let interest = self.room.interest(now, slot);
        let Some(Some(socket)) = self.sockets.get(slot) else {
            return;
        };
        if interest.end && events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            return match socket.take_error() {
                Ok(Some(error)) => self.lose(now, slot, &error),
                _ => self.room.end_output(slot),
            };
        }
        if !interest.read || events == PollFlags::POLLOUT {
            return;
        }
        match recv(socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => self.room.end_input(now, slot, End::Closed),
            Ok(count) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                self.room.receive(now, slot, bytes);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => self.room.end_input(now, slot, end_by(error)),
        }
    }

    /// Nothing can be sent any more. A peer that had said before that no more comes (FIN), and then went, has said all
    /// that it had to say; else the connection is broken off.
    fn lose(&mut self, now: Now, slot: Slot, error: &io::Error) {
        match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::EPIPE => self.room.end_output(slot),
            error => self.room.break_off(now, slot, end_by(error)),
        }
    }

    /// Writes to everybody what is due, in one system call each, except to those whose sockets are full.
    fn write(&mut self, now: Now, full: &[Slot]) {
        let mut full = full.iter().peekable();
        for slot in 0..self.room.slots() {
            if full.next_if_eq(&&slot).is_some() || !self.room.interest(now, slot).write {
                continue;
            }
            let Some(Some(socket)) = self.sockets.get(slot) else {
                continue;
            };
            let output = self.room.output(slot);
            if output.is_empty() {
                continue;
            }
            let result = match output.as_io() {
                // The common case, for which the system has less to look at.
                [piece] => socket.send_with_flags(piece, send_flags()),
                pieces => socket.send_vectored_with_flags(pieces, send_flags()),
            };
            match result {
                Ok(count) => self.room.sent(slot, count),
                Err(error) if is_transient(&error) => {}
                Err(error) => self.lose(now, slot, &error),
            }
        }
    }

    /// Does with sockets what the room wants done.
    fn carry_out(&mut self) {
        for effect in self.room.take_effects() {
            match effect {
                Effect::Shut(slot) => {
                    if let Some(Some(socket)) = self.sockets.get(slot) {
                        // A peer that is gone can't be told that there is no more.
                        let _ = socket.shutdown(Shutdown::Write);
                    }
                }
                Effect::Close(slot) => drop(self.sockets.get_mut(slot).and_then(Option::take)),
            }
        }
    }

    /// The first signal ends the room; another one ends the waiting for people to be told.
    fn take_signals(&mut self, now: Now) {
        while let Ok(Some(signal)) = self.signals.take() {
            self.room.shut_down(now, signal.as_str());
        }
    }
}

/// Prints where the server listens. A stopped terminal or a closed output loses the line, and the room is open all the
/// same.
fn tell_address(address: SocketAddr) {
    if let Ok(mut stdout) = Writer::new(io::stdout().as_fd()) {
        let _ = writeln!(stdout.pending(), "listening on {address}");
        let _ = stdout.flush();
    }
}

/// Opens the listener and, on the same port number, the rendezvous. Where any port will do, one is
/// looked for that is free for both; else the room works without a rendezvous too.
fn open_doors(address: SocketAddr, log: &mut Log) -> anyhow::Result<(Socket, Option<Desk>)> {
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let listener = listen(address)?;
        match Desk::open(local_address(&listener)?) {
            Ok(desk) => return Ok((listener, Some(desk))),
            Err(_) if tries > 0 => {}
            Err(error) => {
                log.line(format_args!("no rendezvous: the UDP port can't be had: {error}"));
                return Ok((listener, None));
            }
        }
    }
}

/// What a turn begins with.
#[derive(Default)]
struct Ready {
    signal: bool,
    newcomers: bool,
    datagrams: bool,
    /// Connections with what happened on them.
    connections: Vec<(Slot, PollFlags)>,
    /// Connections that were to be written to and take nothing, in the order of their slots.
    full: Vec<Slot>,
}

impl Ready {
    fn note(&mut self, slot: Slot, wanted: PollFlags, events: PollFlags) {
        if !events.is_empty() {
            self.connections.push((slot, events));
        } else if wanted.contains(PollFlags::POLLOUT) {
            self.full.push(slot);
        }
    }
}

/// Adds one more, and says where it stands.
fn push<'fd>(fds: &mut Vec<PollFd<'fd>>, fd: PollFd<'fd>) -> usize {
    fds.push(fd);
    fds.len() - 1
}

/// Send without waiting, and without a signal if nobody is there. Accepted sockets need not be made
/// non-blocking then, which saves two system calls for each.
fn send_flags() -> i32 {
    (MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).bits()
}

/// What an error says of the end of a connection.
fn end_by(error: Errno) -> End {
    match error {
        Errno::ETIMEDOUT => End::TimedOut,
        _ => End::Reset,
    }
}

/// The system has no descriptor or no memory for one more connection.
fn lacks_resources(error: &io::Error) -> bool {
    let lacking = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    error
        .raw_os_error()
        .is_some_and(|code| lacking.contains(&Errno::from_raw(code)))
}

/// Sixteen bytes that nobody can guess.
fn token() -> Result<Token, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(Opaque(bytes))
}
