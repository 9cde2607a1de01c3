//! The loop: one thread, one `poll(2)`.
//!
//! Each turn reads, then writes, then closes. What to poll for is asked of the room each turn, never stored. A connection
//! of which nothing is wanted is not polled, so that its hang-up, which `poll(2)` reports unasked, can't make the loop
//! spin.

use crate::announcer::{self, Announcer};
use crate::args::Args;
use crate::ban_file::BanFile;
use crate::door::{self, Door};
use crate::handout::Handout;
use crate::identity::Identity;
use crate::log::Log;
use crate::member::End;
use crate::network::Network;
use crate::new_phrase::NewPhrase;
use crate::operators::{self, Operators};
use crate::room::output::{Effect, Interest};
use crate::room::{Room, input, output, passphrase, snapshot, status};
use crate::roster::Slot;
use crate::service_manager::ServiceManager;
use crate::sockets::{self, RendezvousSocket, Spare};
use crate::state::State;
use crate::state_file::{self, StateFile};
use anyhow::Context;
use chat_noise::operator::Code;
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
use std::io::{self, IoSlice, IsTerminal, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Bytes read from one connection in one turn. 32 KiB gives 1.1 to 1.2 times the broadcast throughput of 16 KiB. Beside
/// a flooder without a rate limit, it delays others by 1.1 ms at the 99th percentile; 16 KiB by 1.0, and 64 KiB by 1.9.
pub const READ_MAX: usize = 32 * 1024;

/// Connections accepted in one turn, so that a crowd of newcomers does not delay the users.
pub const ACCEPTS_MAX: usize = 256;

/// Without descriptors or memory for one more connection, and without the reserve, the server accepts none for this long.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What is polled beside the connections: the signals, the listener, the rendezvous, the announcer's three, the log.
const OTHER_FDS: usize = 7;

/// The signals that end the server. A hang-up of its terminal ends it too, unless it runs under nohup.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The signal after which the log has the figures of the room.
const REPORTING: Signal = Signal::SIGUSR1;

/// The room, and the sockets of its users.
pub struct Server {
    room: Room,
    /// The file with the passphrase, if there is one.
    phrase_file: Option<PathBuf>,
    /// What keeps the bans, if anything does.
    ban_file: Option<BanFile>,
    /// What keeps the room, if anything does.
    state_file: Option<StateFile>,
    /// Until the server ends. Removed before the listener is closed, so that the next server at this address keeps its file.
    _handout: Option<Handout>,
    listener: Socket,
    /// The rendezvous, unless its port was taken.
    rendezvous: Option<RendezvousSocket>,
    /// Announces the room on the LAN, unless it shuts down.
    announcer: Option<Announcer>,
    /// By slot.
    sockets: Vec<Option<Socket>>,
    signals: Signals,
    log: Log,
    manager: ServiceManager,
    spare: Spare,
    /// No connection is accepted before this time.
    paused_until: Option<Duration>,
    clock: Clock,
    buffer: Box<[u8]>,
}

impl Server {
    /// Opens everything the server needs, and prints where it listens.
    ///
    /// # Errors
    /// If the address can't be listened at, or the system allows too few descriptors.
    pub fn open(args: &Args) -> anyhow::Result<Self> {
        let limits = args.limits();
        let door = Door::load(args.passphrase_file.as_deref(), args.sealed_only)?;
        // A link stays one.
        let phrase_file = args
            .passphrase_file
            .as_deref()
            .map(Path::canonicalize)
            .transpose();
        let phrase_file = phrase_file.context("passphrase file")?;
        let door = door.with_networks(&args.allow, &args.deny);
        let kept = args.bans.as_deref().map(BanFile::open).transpose()?;
        let (ban_file, bans) = kept.map_or_else(Default::default, |(file, bans)| (Some(file), bans));
        let kept = args.state.as_deref().map(state_file::open).transpose()?;
        sockets::reserve_descriptors(limits.max_users)?;
        let signals =
            Signals::watch(&[&ENDING[..], &[REPORTING]].concat()).context("can't wait for signals")?;
        token().context("the system has no randomness")?;
        let mut log = Log::default();
        let doors = sockets::open(args.listen_at())?;
        if let Err(error) = &doors.rendezvous {
            log.problem(format_args!("no rendezvous: can't open the UDP port: {error}"));
        }
        log.line(format_args!(
            "listen {} max-users={}",
            doors.address, limits.max_users
        ));
        // As they are understood.
        for (what, networks) in [("allow", &args.allow), ("deny", &args.deny)] {
            if !networks.is_empty() {
                let networks: Vec<String> = networks.iter().map(Network::to_string).collect();
                log.line(format_args!("{what} {}", networks.join(",")));
            }
        }
        let (identity, not_kept) = Identity::load(args.key_file.as_deref())?;
        if let Some(error) = not_kept {
            log.problem(format_args!("key of this run only: {error:#}"));
        }
        let keys = args.operators.as_deref().map(operators::read_keys).transpose()?;
        let code = Code::new(&mut |bytes| getrandom::fill(bytes).expect("the system has randomness"));
        let reach_lan = !args.no_announce && !doors.address.ip().to_canonical().is_loopback();
        let room = announcer::room(args, &door, &identity, doors.address.port());
        let announcer = reach_lan
            .then(|| Announcer::open(room, doors.address))
            .transpose();
        if let Err(error) = &announcer {
            log.problem(format_args!("not announced: {error:#}"));
        }
        // A start that fails changes no file.
        let kept = kept.map(|kept| kept.begin(&mut log)).transpose()?;
        let (state_file, found) = kept.unzip();
        let is_terminal = io::stdout().is_terminal();
        let shown_code = Some(&code).filter(|_| is_terminal);
        print_address(doors.address, door.is_sealed(), &identity, shown_code);
        let handout = (!is_terminal).then(|| Handout::write(&code, doors.address));
        match &handout {
            Some(Ok(handout)) => {
                let path = handout.path.display();
                log.line(format_args!("code for operators in {path}"));
            }
            Some(Err(error)) => log.problem(format_args!("no code for operators: {error:#}")),
            None => {}
        }
        let mut room = Room::new(
            limits,
            Box::new(|| token().expect("the system had randomness when the server began")),
            identity,
        );
        let has_code = !matches!(handout, Some(Err(_)));
        room.set_operators(Operators::new(
            Some(code).filter(|_| has_code),
            keys.unwrap_or_default(),
        ));
        let room = room.with_door(door).with_files(!args.no_relayed_files);
        let mut room = room.with_bans(bans);
        let clock = Clock::start();
        if let Some(mut state) = found {
            if ban_file.is_some() && state.leave_bans_out() > 0 {
                log.problem("bans of the state left out: --bans has them now");
            }
            snapshot::restore(&mut room, clock.now(), state);
        }
        Ok(Self {
            room,
            phrase_file,
            ban_file,
            state_file,
            _handout: handout.and_then(Result::ok),
            listener: doors.listener,
            rendezvous: doors.rendezvous.ok(),
            announcer: announcer.unwrap_or_default(),
            sockets: Vec::new(),
            signals,
            log,
            manager: ServiceManager::from_environment(),
            spare: Spare::take(),
            paused_until: None,
            clock,
            buffer: vec![0; READ_MAX].into(),
        })
    }

    /// Runs until a signal ends it, and everybody has been told or had time to be. Returns the exit status: a state that is not kept
    /// is a failure.
    ///
    /// # Errors
    /// If `poll(2)` fails.
    pub fn run(mut self) -> anyhow::Result<ExitCode> {
        self.manager.is_ready();
        while !self.room.is_over() {
            let ready = self.wait()?;
            let now = self.clock.now();
            if ready.signal {
                self.take_signals(now);
            }
            if ready.newcomers {
                self.accept(now);
            }
            if let Some(rendezvous) = self.rendezvous.as_mut().filter(|_| ready.datagrams) {
                rendezvous.serve(now, |source, datagram| {
                    let answer = status::answer(&mut self.room, now, source, datagram);
                    answer.or_else(|| self.room.rendezvous(now, source, datagram))
                });
            }
            self.announce(now, ready.lan);
            for &(slot, interest, events) in &ready.connections {
                self.read(now, slot, interest, events);
            }
            // After the reads: a client whose answer is in its socket is not silent.
            input::tick(&mut self.room, now);
            output::begin_writes(&mut self.room, now);
            self.write(now, &ready.full);
            let turn = output::end_turn(&mut self.room, now);
            self.apply(turn.effects);
            self.log.events(now.monotonic, &turn.events);
            self.keep(turn.bans);
            self.renew(now, turn.phrase);
            self.save(now, turn.is_changed);
            self.report(now);
            self.log.flush();
        }
        let mut exit = ExitCode::SUCCESS;
        if let Some(file) = self.state_file.take()
            && let Err(error) = file.finish(kept(&self.room, self.clock.now(), self.ban_file.is_some()))
        {
            self.log.problem(format_args!("state not kept: {error}"));
            exit = ExitCode::FAILURE;
        }
        self.log.events(Duration::MAX, &[]);
        self.log.flush();
        Ok(exit)
    }

    /// Waits until something can be done.
    fn wait(&mut self) -> anyhow::Result<Ready> {
        let now = self.clock.now();
        self.paused_until = self.paused_until.filter(|&until| until > now.monotonic);
        // At their full size: growing while thousands join leaves holes in memory that nothing else fits in.
        let mut fds = Vec::with_capacity(self.sockets.len() + OTHER_FDS);
        let mut wanted = Vec::with_capacity(self.sockets.len());
        fds.push(PollFd::new(self.signals.as_fd(), PollFlags::POLLIN));
        for (slot, socket) in self.sockets.iter().enumerate() {
            let Some(socket) = socket else { continue };
            let interest = output::interest(&self.room, now, slot);
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, interest.read);
            flags.set(PollFlags::POLLOUT, interest.write);
            // Without flags, only a broken connection is reported.
            if !flags.is_empty() || interest.end {
                fds.push(PollFd::new(socket.as_fd(), flags));
                wanted.push((slot, interest));
            }
        }
        let accepts = self.room.accepts() && self.paused_until.is_none();
        let listener = accepts.then(|| self.listener.as_fd());
        let rendezvous = self.rendezvous.as_ref();
        let rest = rendezvous.and_then(|rendezvous| rendezvous.rests_until(now));
        let others = [listener, rendezvous.filter(|_| rest.is_none()).map(AsFd::as_fd)];
        let places = others.map(|fd| fd.map(|fd| push(&mut fds, PollFd::new(fd, PollFlags::POLLIN))));
        let announcer = self.announcer.as_ref();
        let lan = announcer.map(|announcer| announcer.fds(now.monotonic));
        let lan: Vec<_> = lan.into_iter().flatten().collect();
        let lan = lan
            .into_iter()
            .map(|fd| push(&mut fds, PollFd::new(fd, PollFlags::POLLIN)));
        let lan: Vec<_> = lan.collect();
        fds.extend(self.log.interest());
        let deadlines = [
            self.room.deadline(),
            self.paused_until,
            rest,
            self.log.deadline(),
            self.manager.deadline(self.room.users()),
            announcer.and_then(|announcer| announcer.deadline(now.monotonic)),
            self.state_file.as_ref().and_then(StateFile::deadline),
        ];
        let deadline = deadlines.into_iter().flatten().min();
        match poll(&mut fds, self.clock.timeout(deadline)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("poll failed"),
        }
        let events = |fd: &PollFd<'_>| fd.revents().unwrap_or(PollFlags::POLLERR);
        let is_ready = |place: Option<usize>| {
            let fd = place.and_then(|place| fds.get(place));
            fd.is_some_and(|fd| !events(fd).is_empty())
        };
        let [newcomers, datagrams] = places.map(is_ready);
        let mut ready = Ready {
            signal: is_ready(Some(0)),
            newcomers,
            datagrams,
            lan: lan.into_iter().any(|place| is_ready(Some(place))),
            ..Ready::default()
        };
        for (fd, &(slot, interest)) in fds.iter().skip(1).zip(&wanted) {
            let events = events(fd);
            if !events.is_empty() {
                ready.connections.push((slot, interest, events));
            } else if interest.write {
                ready.full.push(slot);
            }
        }
        Ok(ready)
    }

    fn accept(&mut self, now: Now) {
        for _ in 0..ACCEPTS_MAX {
            match self.listener.accept() {
                Ok((socket, peer)) => {
                    if let Some(peer) = peer.as_socket() {
                        self.admit(now, socket, peer);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if lacks_resources(&error) => return self.reject_without_descriptor(now, &error),
                // The peer is gone, or accept(2) passes an error of the network on.
                Err(_) => {}
            }
        }
    }

    fn admit(&mut self, now: Now, socket: Socket, peer: SocketAddr) {
        let slot = match self.room.accept(now, peer) {
            Ok(slot) => slot,
            Err(line) => {
                // A client that has sent nothing yet receives this although the connection is closed at once.
                let _ = socket.send_with_flags(&line, send_flags());
                return;
            }
        };
        if self.sockets.len() <= slot {
            self.sockets.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.sockets.get_mut(slot) {
            *place = Some(socket);
        }
    }

    /// Rejects a connection with the descriptor in reserve, because there is no other.
    fn reject_without_descriptor(&mut self, now: Now, error: &io::Error) {
        if self.spare.release()
            && let Ok((socket, peer)) = self.listener.accept()
        {
            let _ = socket.send_with_flags(b"too many users\n", send_flags());
            if let Some(peer) = peer.as_socket() {
                self.room.lacks_descriptor(peer);
            }
        } else {
            self.log.problem(format_args!("pause accept: {error}"));
            self.paused_until = Some(now.monotonic + ACCEPT_PAUSE);
        }
        self.spare = Spare::take();
    }

    /// Reads from one connection what is there, up to [`READ_MAX`].
    fn read(&mut self, now: Now, slot: Slot, interest: Interest, events: PollFlags) {
        let Some(Some(socket)) = self.sockets.get(slot) else {
            return;
        };
        if interest.end && events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            return match socket.take_error() {
                Ok(Some(error)) => self.lose(now, slot, &error),
                _ => output::discard(&mut self.room, slot),
            };
        }
        if !interest.read || events == PollFlags::POLLOUT {
            return;
        }
        match recv(socket.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => input::end(&mut self.room, now, slot, End::Closed),
            Ok(count) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                input::receive(&mut self.room, now, slot, bytes);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(error) => input::end(&mut self.room, now, slot, end_by(error)),
        }
    }

    /// Nothing can be sent any more. After its FIN, a peer may close without having read everything; any other error
    /// means that the connection broke.
    fn lose(&mut self, now: Now, slot: Slot, error: &io::Error) {
        match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
            Errno::EPIPE => output::discard(&mut self.room, slot),
            error => input::break_off(&mut self.room, now, slot, end_by(error)),
        }
    }

    /// Writes to every connection what it is owed, in one system call each, except to those whose sockets are full.
    fn write(&mut self, now: Now, full: &[Slot]) {
        let mut full = full.iter().peekable();
        for slot in 0..self.sockets.len() {
            if full.next_if_eq(&&slot).is_some() {
                continue;
            }
            let Some(Some(socket)) = self.sockets.get(slot) else {
                continue;
            };
            match output::deliver(&mut self.room, now, slot, |pieces, more| {
                send(socket, pieces, more)
            }) {
                Err(error) if !is_transient(&error) => self.lose(now, slot, &error),
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Keeps the bans that have changed.
    fn keep(&mut self, bans: Option<String>) {
        if let (Some(file), Some(bans)) = (&self.ban_file, bans)
            && let Err(error) = file.write(&bans)
        {
            self.log.problem(format_args!("bans not kept: {error:#}"));
            output::bans_not_kept(&mut self.room, &format!("{error:#}"));
        }
    }

    /// Keeps the room, at most once a second and if it has changed.
    fn save(&mut self, now: Now, is_changed: bool) {
        let Some(file) = &mut self.state_file else {
            return;
        };
        let take = || kept(&self.room, now, self.ban_file.is_some());
        match file.turn(now.monotonic, is_changed, take) {
            Some(Ok(())) => self.log.line("state kept again"),
            Some(Err(error)) => self.log.problem(format_args!("state not kept: {error}")),
            None => {}
        }
    }

    /// Keeps a new passphrase in place of the one in its file.
    fn renew(&mut self, now: Now, new: Option<NewPhrase>) {
        let Some((path, new)) = self.phrase_file.as_deref().zip(new) else {
            return;
        };
        let written = door::write(path, &new.words).map_err(|error| format!("{error:#}"));
        if let Err(why) = &written {
            self.log.problem(format_args!("passphrase not changed: {why}"));
        }
        let written = written.as_ref().map(|&()| ()).map_err(String::as_str);
        passphrase::renew(&mut self.room, now, &new, written);
    }

    /// Announces the room, and logs under which name.
    fn announce(&mut self, now: Now, is_ready: bool) {
        let Some(announcer) = &mut self.announcer else {
            return;
        };
        if announcer.turn(now.monotonic, is_ready)
            && let Some(name) = announcer.take_name(now.monotonic)
        {
            self.log.line(format_args!("announce name=\"{name}\""));
        }
        for problem in announcer.take_problems() {
            self.log.problem(format_args!("not announced {problem}"));
        }
    }

    /// Tells the service manager how the server is.
    fn report(&mut self, now: Now) {
        self.manager.turn(now.monotonic, self.room.users());
        if let Some(error) = self.manager.take_error() {
            self.log
                .problem(format_args!("service manager not told: {error}"));
        }
    }

    fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Shut(slot) => {
                    if let Some(Some(socket)) = self.sockets.get(slot) {
                        // Fails if the peer is gone, which reading will show.
                        let _ = socket.shutdown(Shutdown::Write);
                    }
                }
                Effect::Close(slot) => drop(self.sockets.get_mut(slot).and_then(Option::take)),
            }
        }
    }

    /// The first signal of [`ENDING`] shuts the room down; another one does not wait until everybody is told.
    fn take_signals(&mut self, now: Now) {
        while let Ok(Some(signal)) = self.signals.take() {
            if signal == REPORTING {
                self.log
                    .line(format_args!("status {}", status::of(&self.room, now)));
                continue;
            }
            self.manager.is_stopping();
            self.announcer = None;
            self.room.shut_down(now, signal.as_str());
            if let Some(file) = &mut self.state_file {
                file.hurry();
            }
        }
    }
}

/// What is kept of the room. A file of bans holds alone.
fn kept(room: &Room, now: Now, has_ban_file: bool) -> State {
    let mut state = snapshot::take(room, now);
    if has_ban_file {
        state.leave_bans_out();
    }
    state
}

/// Prints where the server listens, and how to join it. A stopped terminal or a closed output loses the line, and the
/// room is open all the same.
fn print_address(address: SocketAddr, is_sealed: bool, identity: &Identity, code: Option<&Code>) {
    if let Ok(mut stdout) = Writer::new(io::stdout().as_fd()) {
        let _ = writeln!(stdout.pending(), "listening on {address}");
        let (port, key) = (address.port(), identity.public());
        for host in sockets::reachable_at(address) {
            let nc = if is_sealed {
                String::new()
            } else {
                format!("   or: nc {host} {port}")
            };
            let _ = writeln!(stdout.pending(), "join: chat-client {host} {port}{nc}");
        }
        let _ = writeln!(
            stdout.pending(),
            "to check its key: chat-client HOST {port} --server-key {key}"
        );
        if let Some(code) = code {
            let _ = writeln!(stdout.pending(), "to run the room: /op {}", code.reveal());
        }
        let _ = stdout.flush();
    }
}

/// What `poll(2)` reported.
#[derive(Default)]
struct Ready {
    signal: bool,
    newcomers: bool,
    datagrams: bool,
    /// Packets from the LAN about rooms, or another interface.
    lan: bool,
    /// Connections, what they were polled for, and what was reported.
    connections: Vec<(Slot, Interest, PollFlags)>,
    /// Connections that are owed something and whose sockets are full, by slot.
    full: Vec<Slot>,
}

/// Adds a descriptor, and returns its index.
fn push<'fd>(fds: &mut Vec<PollFd<'fd>>, fd: PollFd<'fd>) -> usize {
    fds.push(fd);
    fds.len() - 1
}

/// If more follows at once, the system need not send the last bytes in a packet of their own, or wake the peer for them.
fn send(socket: &Socket, pieces: &[IoSlice<'_>], more: bool) -> io::Result<usize> {
    let mut flags = send_flags();
    if more {
        flags |= nix::libc::MSG_MORE;
    }
    match pieces {
        // The common case, which is cheaper for the system.
        [piece] => socket.send_with_flags(piece, flags),
        pieces => socket.send_vectored_with_flags(pieces, flags),
    }
}

/// Send without blocking, and without SIGPIPE. So accepted sockets need not be made non-blocking, which saves two system
/// calls for each.
fn send_flags() -> i32 {
    (MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL).bits()
}

/// How a connection ended, by the error of a system call.
fn end_by(error: Errno) -> End {
    match error {
        Errno::ETIMEDOUT => End::TimedOut,
        _ => End::Reset,
    }
}

/// Whether the system has no descriptor or no memory for one more connection.
fn lacks_resources(error: &io::Error) -> bool {
    let lacking = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    let code = error.raw_os_error();
    code.is_some_and(|code| lacking.contains(&Errno::from_raw(code)))
}

/// Sixteen unpredictable bytes.
fn token() -> Result<Token, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(Opaque(bytes))
}
