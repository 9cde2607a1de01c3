//! The loop: one `poll(2)` over the sockets, the signals, and the input and output of the front end.

use crate::address::Address;
use crate::args::Args;
use crate::client_key::ClientKey;
use crate::exit::Exit;
use crate::files::disk::Disk;
use crate::known_servers::{Known, KnownServers};
use crate::log::Log;
use crate::net::connect::Attempt;
use crate::net::reconnect::{Change, Reconnect};
use crate::net::secure::{Secure, Trust};
use crate::paths::{LastServer, downloads, home, named_directory};
use crate::private::random;
use crate::private::{KeyPair, Options, Private};
use crate::session::{Config, Endpoints, Event, Failures, FileOptions, Join, Outcome, Session, Verification};
use crate::settings::Settings;
use crate::verified_users::VerifiedUsers;
use crate::zone;
use anyhow::{Context, Result};
use chat_noise::cpace::Phrase;
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

/// How long a slow reader may delay the exit after a signal, in milliseconds.
const LAST_OUTPUT_MS: u16 = 1000;

/// Signals that end the program.
const ENDING: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM];

/// Signals from the terminal and the shell to a full-screen program.
const TERMINAL: [Signal; 3] = [Signal::SIGWINCH, Signal::SIGTSTP, Signal::SIGCONT];

/// What shows the session to the user, and reads the user's input.
pub trait FrontEnd {
    /// What to poll for input, if anything. `taken` says whether the session takes messages now.
    fn input(&self, taken: bool) -> Option<BorrowedFd<'_>>;

    /// Reads input and passes it to the session.
    ///
    /// # Errors
    /// If reading fails. The end of the input is no error.
    fn read(&mut self, session: &mut Session, now: Now) -> io::Result<()>;

    /// Adds an event to the output.
    fn show(&mut self, event: &Event);

    /// Writes output, without waiting.
    ///
    /// # Errors
    /// If the output is closed or fails, which ends the program.
    fn flush(&mut self, session: &Session, now: Now) -> io::Result<()>;

    /// What to poll for output. Without flags, poll still reports a closed one.
    fn outputs(&self) -> Vec<PollFd<'_>>;

    /// Whether the output takes more events. If not, the server is not read.
    fn has_room(&self) -> bool;

    /// Whether all output is written.
    fn is_flushed(&self) -> bool;

    /// Whether a person sees each error before the next line. Then errors do not change the exit status, and a lost
    /// connection is made again.
    fn is_interactive(&self) -> bool {
        false
    }

    /// When [`FrontEnd::tick`] is due, on the monotonic clock.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// Does what is due.
    fn tick(&mut self, _session: &mut Session, _now: Now) {}

    /// Handles a signal. If it returns `false`, the signal ends the program.
    fn signal(&mut self, _signal: Signal) -> bool {
        false
    }

    /// Whether the user asked, since the last call, to reconnect at once.
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

/// What is known of the passphrase of the room.
#[derive(Clone, Debug)]
pub enum Passphrase {
    /// This is it.
    Given(Phrase),
    /// If the room has one, the client ends with [`Exit::Passphrase`] and shows nothing: the caller asks the user.
    Asked,
    /// There is nobody to ask.
    Unknown,
}

/// A session, its sockets and its front end.
pub struct Client<F> {
    clock: Clock,
    session: Session,
    connection: Reconnect,
    signals: Signals,
    /// The signal that ends the program.
    signal: Option<Signal>,
    front_end: F,
    /// Where to remember the key of the server, if it is not known yet.
    known: Option<KnownServers>,
    /// What is remembered of this one.
    remembered: Option<Known>,
    server: Address,
    /// The caller asks for the passphrase if the room has one.
    asks: bool,
    /// Where to write the server once the client has joined it.
    keep: Option<(LastServer, Address)>,
    /// Where to remember the keys that the user verifies.
    verified: Option<VerifiedUsers>,
    /// Other runs can't use it meanwhile.
    own_key: ClientKey,
    log: Option<Log>,
    /// From the first file on.
    disk: Option<Disk>,
}

/// What is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Signals,
    Tcp,
    Udp,
    /// An attempt to replace a lost connection.
    Attempt,
    /// The thread that owns the files.
    Disk,
    Input,
    Output,
}

impl<F: FrontEnd> Client<F> {
    /// A client over a new connection, or one to this machine that is begun.
    ///
    /// # Errors
    /// If the connection is closed already, or the system has no randomness.
    pub fn new(
        args: &Args,
        begun: Option<Attempt>,
        passphrase: &Passphrase,
        clock: Clock,
        signals: Signals,
        mut front_end: F,
    ) -> Result<Self> {
        let settings = &args.settings;
        let login = settings.login_nick().filter(|_| front_end.is_interactive());
        let config = Config {
            nick: login.clone().or_else(|| settings.nick()),
            insist_on_nick: settings.insists_on_nick(),
            endpoints: Endpoints::none(),
            interactive: front_end.is_interactive(),
            to: args.to.clone(),
            clear: args.clear,
        };
        let (known, remembered) = KnownServers::look_up(&settings.server)?;
        let own = ClientKey::load()?;
        let trust = Trust {
            key: args.server_key.or(remembered.map(|known| known.key)),
            announced: args.announced,
            clear: args.clear,
            phrase: match passphrase {
                Passphrase::Given(phrase) => Some(phrase.clone()),
                Passphrase::Asked | Passphrase::Unknown => None,
            },
            had_phrase: remembered.is_some_and(|known| known.has_phrase),
            key_only: false,
        };
        let secure = Secure::new(KeyPair::from_secret(own.secret), trust, Box::new(random::system));
        let last_server = LastServer::find().filter(|_| settings.last_server);
        let mut session = Session::unconnected(config, private(args, &own), clock.now());
        session.number_nick(login);
        session.set_files(file_options(settings, &mut front_end));
        let verified = VerifiedUsers::find();
        if let Some(verified) = &verified {
            session.remember_verified(verified.read().context("can't read the verified users")?);
        }
        if let Some(warning) = &own.warning {
            front_end.show(&Event::Warning(Text::new(warning).into_owned()));
        }
        Ok(Self {
            session,
            connection: Reconnect::begin(
                settings.server.clone(),
                begun,
                secure,
                args.connect_timeout,
                clock.now(),
            )
            .context("can't connect")?,
            signals,
            signal: None,
            front_end,
            clock,
            known: known.filter(|_| args.server_key.is_none()),
            remembered,
            server: settings.server.clone(),
            asks: matches!(passphrase, Passphrase::Asked),
            keep: last_server.map(|file| (file, settings.server.clone())),
            verified,
            own_key: own,
            log: settings.log.as_ref().map(|path| Log::new(path, zone::local().0)),
            disk: None,
        })
    }

    /// Runs until the session ends.
    ///
    /// # Errors
    /// If the input, the output or the system fails. A closed output is no error, but ends the program.
    pub fn run(mut self) -> Result<Exit> {
        loop {
            self.tick();
            if let Some(failure) = self.connection.take_failure() {
                return Err(failure);
            }
            if let Err(error) = self.carry_out() {
                return self.exit_without_output(error);
            }
            if self.session.outcome().is_some() {
                return self.finish();
            }
            let ready = self.wait()?;
            if ready.contains(&Source::Output) {
                return self.exit_without_output(io::ErrorKind::BrokenPipe.into());
            }
            self.handle(&ready)?;
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        self.session.tick(now);
        self.front_end.tick(&mut self.session, now);
        if let Some(change) = self.connection.tick(&mut self.session, now) {
            self.show_events();
            self.connection_changed(change);
        }
    }

    fn connection_changed(&mut self, change: Change) {
        self.front_end.connection_changed(change);
        if let Some(warning) = self.connection.take_warning() {
            self.front_end.show(&Event::Warning(Text::new(warning)));
        }
    }

    /// Sends and shows what the session has ready.
    fn carry_out(&mut self) -> io::Result<()> {
        let now = self.clock.now();
        self.keep_handshake_time();
        self.connection.sockets_mut().send(&mut self.session, now);
        // Files come after all that waits.
        if self.session.datagrams_waiting() == 0 && self.session.send_pieces(now) {
            self.connection.sockets_mut().send(&mut self.session, now);
        }
        self.ask_disk();
        self.show_events();
        if let Some(Err(error)) = self.log.as_mut().map(|log| log.flush(now)) {
            self.front_end.show(&Event::Error(None, Text::from(error)));
        }
        self.front_end.flush(&self.session, now)
    }

    fn ask_disk(&mut self) {
        while let Some((handle, request)) = self.session.next_file_request() {
            if self.disk.is_none() {
                match Disk::start(downloads()) {
                    Ok(disk) => self.disk = Some(disk),
                    Err(error) => {
                        let warning = format!("can't start the thread for files: {error}");
                        self.front_end.show(&Event::Warning(Text::from(warning)));
                        return;
                    }
                }
            }
            if let Some(disk) = &self.disk {
                disk.ask(handle, request);
            }
        }
    }

    /// Lets the disk write the bytes that have arrived, so that a later run goes on from there.
    fn close_files(&mut self) {
        self.session.close_files(self.clock.now());
        if self.disk.is_some() {
            self.ask_disk();
        }
        self.disk = None;
    }

    fn show_events(&mut self) {
        while let Some(event) = self.session.next_event() {
            if let Event::Ended(ending) = &event
                && ending.outcome == Outcome::PassphraseNeeded
                && self.asks
            {
                continue;
            }
            self.front_end.show(&event);
            if let Some(log) = &mut self.log {
                log.add(&event, self.clock.now().unix_ms);
            }
            if matches!(event, Event::Welcome(_) | Event::Joined(Join { own: true, .. })) {
                self.keep_server();
            }
            if let Event::Verified(verification) = &event {
                self.keep_verification(verification);
            }
        }
    }

    /// The server has proven its key. Unless it is known, it is shown and remembered. A server of this machine has nobody in
    /// between, and one that does not keep its key has another one next time.
    fn note_key(&mut self) {
        let Some(proven) = self.connection.sockets_mut().take_proven() else {
            return;
        };
        let is_local = self.connection.sockets().is_loopback();
        let Some(known) = self.known.take().filter(|_| !is_local) else {
            return;
        };
        let text = match self.remembered {
            Some(before) => known.meet_again(&self.server, before, proven),
            None => Some(known.meet(&self.server, proven)),
        };
        if let Some(text) = text {
            self.front_end.show(&Event::Warning(Text::from(text)));
        }
    }

    /// Keeps the time of a handshake before it is sent, so that no later run sends an earlier one.
    fn keep_handshake_time(&mut self) {
        if let Err(error) = self.own_key.keep_time(self.session.handshake_time()) {
            let warning = format!("if your clock is set back, peers may ignore your next run: {error:#}");
            self.front_end.show(&Event::Warning(Text::from(warning)));
        }
    }

    /// Remembers for the next run what the user said of a key.
    fn keep_verification(&mut self, verification: &Verification) {
        let kept = match (&self.verified, &verification.added) {
            (None, _) => Err(anyhow::anyhow!("neither XDG_STATE_HOME nor HOME is set")),
            (Some(file), Some(verified)) => file.add(verified),
            (Some(file), None) => file.remove(&verification.removed),
        };
        if let Err(error) = kept {
            let warning = format!("this holds for this run only: {error:#}");
            self.front_end.show(&Event::Warning(Text::from(warning)));
        }
    }

    fn keep_server(&mut self) {
        let Some((place, server)) = self.keep.take() else {
            return;
        };
        if let Err(error) = place.write(&server) {
            let warning = format!("can't remember the server for the next run: {error:#}");
            self.front_end.show(&Event::Warning(Text::from(warning)));
        }
    }

    fn handle(&mut self, ready: &[Source]) -> Result<()> {
        let now = self.clock.now();
        if ready.contains(&Source::Signals) {
            self.take_signal(now)?;
        }
        // Before the server: a message is shown as sent before its result.
        if ready.contains(&Source::Input) {
            let read = self.front_end.read(&mut self.session, now);
            read.context("can't read the input")?;
            if self.front_end.take_retry()
                && let Some(change) = self.connection.retry_now(now)
            {
                self.connection_changed(change);
            }
        }
        if ready.contains(&Source::Disk) {
            while let Some((handle, answer)) = self.disk.as_ref().and_then(Disk::next_answer) {
                self.session.file_answer(handle, answer, now);
            }
        }
        let sockets = self.connection.sockets_mut();
        if ready.contains(&Source::Tcp) {
            sockets.read(&mut self.session, now);
            self.note_key();
        } else if ready.contains(&Source::Udp) {
            sockets.read_datagrams(&mut self.session, now);
        }
        if ready.contains(&Source::Attempt)
            && let Some(change) = self.connection.advance(&mut self.session, now)
        {
            self.connection_changed(change);
        }
        Ok(())
    }

    /// The first signal leaves the room properly, the second at once.
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

    /// Waits until something is ready or due. Each turn computes anew what to poll for.
    fn wait(&self) -> Result<Vec<Source>> {
        let mut sources = vec![Source::Signals];
        let mut descriptors = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let mut add = |source, descriptor| {
            sources.push(source);
            descriptors.push(descriptor);
        };
        let has_room = self.front_end.has_room();
        let sockets = self.connection.sockets();
        if let Some(tcp) = sockets.poll_tcp(has_room) {
            add(Source::Tcp, tcp);
        }
        if let Some(udp) = sockets.poll_udp(&self.session).filter(|_| has_room) {
            add(Source::Udp, udp);
        }
        if let Some(disk) = &self.disk {
            add(Source::Disk, PollFd::new(disk.as_fd(), PollFlags::POLLIN));
        }
        for attempt in self.connection.attempts() {
            add(Source::Attempt, attempt);
        }
        let taken = has_room && sockets.has_room(&self.session) && self.session.takes_input();
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

    /// Writes the rest of the output. A reader may pause, but not after or through a signal.
    fn finish(mut self) -> Result<Exit> {
        self.close_files();
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
            if let Err(error) = self.front_end.flush(&self.session, self.clock.now()) {
                return self.exit_without_output(error);
            }
        }
        Ok(self.exit())
    }

    /// The output is closed or fails: there is nothing left to do. A pipe that its reader closed is no error.
    fn exit_without_output(&mut self, error: io::Error) -> Result<Exit> {
        self.session.leave(self.clock.now());
        let now = self.clock.now();
        self.keep_handshake_time();
        self.connection.sockets_mut().send(&mut self.session, now);
        match self.signal {
            Some(signal) => Ok(Exit::of_signal(signal)),
            None if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Error),
            None => Err(error).context("can't write the output"),
        }
    }

    fn exit(&self) -> Exit {
        // A person has seen each error.
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

/// Private messages, with this key.
fn private(args: &Args, own: &ClientKey) -> Private {
    let options = Options {
        direct_only: args.settings.direct_only,
        no_unencrypted: args.settings.no_unencrypted,
        punch_ttl: args.punch_ttl,
    };
    let keys = KeyPair::from_secret(own.secret);
    let mut private = Private::new(keys, options, Box::new(random::system));
    private.begin_after(own.last_time());
    private
}

/// The user's options for files. Warns if the directory that was named does not exist.
fn file_options(settings: &Settings, front_end: &mut impl FrontEnd) -> FileOptions {
    let mut first_id = [0; 4];
    random::system(&mut first_id);
    let named = settings.files_dir.as_deref().map(named_directory);
    if let Some(directory) = named.as_ref().filter(|directory| !directory.is_dir()) {
        let text = format!(
            "files can't be received: {} is not a directory",
            directory.display()
        );
        front_end.show(&Event::Warning(Text::from(text)));
    }
    FileOptions {
        directory: named.or_else(downloads),
        home: home(),
        from: settings.files,
        first_id: u32::from_be_bytes(first_id),
    }
}

/// Whether a descriptor is ready. Of an output only errors count: it is written without being polled for.
fn is_ready(source: Source, descriptor: &PollFd<'_>) -> bool {
    let happened = descriptor.revents().unwrap_or(PollFlags::empty());
    match source {
        Source::Output => happened.contains(PollFlags::POLLERR),
        Source::Tcp | Source::Udp => happened.intersects(!PollFlags::POLLOUT),
        Source::Signals | Source::Input | Source::Attempt | Source::Disk => !happened.is_empty(),
    }
}
