//! The crowd: many users in one thread, and one `epoll(7)` loop.

use crate::audit::Audit;
use crate::dialect::Dialect;
use crate::message::Message;
use crate::sealed::Sealed;
use crate::tally::Tally;
use crate::user::User;
use anyhow::{Context, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The most bytes read from one user at once.
const READ_MAX: usize = 256 * 1024;

/// The most bytes that a sender prepares at once.
const BURST: usize = 16 * 1024;

/// The most messages of one sender in transit. The server's input is never empty, and the socket buffers do not grow
/// until draining them takes longer than the run.
const UNDER_WAY: u32 = 4096;

/// Newcomers between two reads of all users.
const CONNECTS: usize = 16;

/// After this much silence with everybody in the room, all have received all joins.
const SETTLED: Duration = Duration::from_secs(1);

/// Descriptors in addition to one for each user.
const DESCRIPTORS: u64 = 32;

/// The epoll key of the timer.
const TIMER: u64 = u64::MAX;

/// All users.
pub struct Crowd {
    users: Vec<User>,
    /// Their results.
    pub audit: Audit,
    epoll: Epoll,
    timer: Option<TimerFd>,
    started: Instant,
    buffer: Box<[u8]>,
    events: Box<[EpollEvent]>,
    /// When bytes last arrived.
    pub heard_at: u64,
    /// The joins that all users received, summed.
    pub joins: u64,
    /// A user that reads nothing.
    deaf: Option<usize>,
    /// The user that opens records, which the server serves before all others.
    opener: usize,
    /// The server does not encrypt.
    clear: bool,
}

impl Crowd {
    /// An empty crowd, with enough descriptors for this many users.
    ///
    /// # Errors
    /// If the system allows too few descriptors.
    pub fn new(users: usize, audit: Audit) -> anyhow::Result<Self> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        let needed = users as u64 + DESCRIPTORS;
        setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard)?;
        ensure!(
            needed <= hard,
            "{users} users need {needed} descriptors, and the system allows {hard}"
        );
        Ok(Self {
            users: Vec::with_capacity(users),
            audit,
            epoll: Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?,
            timer: None,
            started: Instant::now(),
            buffer: vec![0; READ_MAX].into(),
            events: vec![EpollEvent::empty(); 1024].into(),
            heard_at: 0,
            joins: 0,
            deaf: None,
            opener: 0,
            clear: false,
        })
    }

    /// Of a server that does not encrypt: its rich dialect is spoken in the clear.
    #[must_use]
    pub fn in_the_clear(mut self, clear: bool) -> Self {
        self.clear = clear;
        self
    }

    /// Nanoseconds since the crowd began.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Connects this many users as fast as the server accepts them, and waits until all have received all joins. Only
    /// `at_once` of them are connecting at a time.
    ///
    /// # Errors
    /// If that has not happened in this time.
    pub fn gather(
        &mut self,
        users: usize,
        at_once: usize,
        server: SocketAddr,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + patience;
        while self.users.len() < users {
            for _ in 0..at_once.min(users - self.users.len()) {
                self.connect(server)?;
                if self.users.len().is_multiple_of(CONNECTS) {
                    self.turn(Duration::ZERO)?;
                }
            }
            let here = self.users.len() as u64;
            // Each user receives its own join and all later ones.
            let due = here * (here + 1) / 2;
            while self.joins < due && !self.is_settled() {
                self.turn(Duration::from_millis(50))?;
                ensure!(
                    Instant::now() < until,
                    "after {patience:?} {} of {due} joins were heard, and {} connections closed",
                    self.joins,
                    self.closed()
                );
            }
        }
        Ok(())
    }

    fn connect(&mut self, server: SocketAddr) -> anyhow::Result<()> {
        let place = self.users.len();
        let is_rich = self.audit.dialect == Dialect::Rich;
        let sealed = is_rich.then(|| Sealed::new(place, self.clear));
        let mut user =
            User::connect(server, sealed).with_context(|| format!("user {place} can't connect"))?;
        self.audit.dialect.begin(place, user.out());
        let fd = user.fd().context("a new connection has ended")?;
        self.epoll
            .add(fd, EpollEvent::new(EpollFlags::EPOLLIN, place as u64))?;
        self.users.push(user);
        self.send(place)
    }

    /// Whether everybody is in the room and nothing arrives any more. A user that is late to state its dialect is announced
    /// differently, and not all receive that as a join.
    fn is_settled(&self) -> bool {
        u128::from(self.now() - self.heard_at) > SETTLED.as_nanos()
            && self
                .users
                .iter()
                .all(|user| user.reader.is_here(self.audit.dialect))
    }

    /// Begins the phase of messages. One of the users may stop reading.
    ///
    /// # Errors
    /// If a system call fails.
    pub fn start(&mut self, deaf: Option<usize>) -> anyhow::Result<()> {
        self.deaf = deaf;
        self.opener = usize::from(deaf == Some(0));
        for (place, user) in self.users.iter_mut().enumerate() {
            user.start(self.audit.dialect, place == self.opener);
        }
        if let Some(fd) = deaf.and_then(|deaf| self.users.get(deaf)?.fd()) {
            self.epoll.delete(fd)?;
        }
        Ok(())
    }

    /// Makes [`Crowd::turn`] count this many ticks a second.
    ///
    /// # Errors
    /// If the system has no timer.
    pub fn tick(&mut self, per_second: u32) -> anyhow::Result<()> {
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let interval = TimeSpec::from_duration(Duration::from_secs(1) / per_second);
        timer.set(Expiration::Interval(interval), TimerSetTimeFlags::empty())?;
        self.epoll
            .add(timer.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        self.timer = Some(timer);
        Ok(())
    }

    /// Waits until sockets are ready, and reads and sends. Returns the number of ticks since the last turn.
    ///
    /// # Errors
    /// If waiting fails.
    pub fn turn(&mut self, wait: Duration) -> anyhow::Result<u64> {
        let mut events = std::mem::take(&mut self.events);
        let timeout = EpollTimeout::try_from(wait).unwrap_or(EpollTimeout::MAX);
        let count = match self.epoll.wait(&mut events, timeout) {
            Ok(count) => count,
            Err(nix::errno::Errno::EINTR) => 0,
            Err(error) => return Err(error).context("epoll_wait failed"),
        };
        let mut ticks = 0;
        for event in events.iter().take(count) {
            if event.data() == TIMER {
                let mut expired = [0; 8];
                if let Some(timer) = &self.timer
                    && nix::unistd::read(timer, &mut expired).is_ok()
                {
                    ticks += u64::from_ne_bytes(expired);
                }
            } else if let Ok(user) = usize::try_from(event.data()) {
                self.serve(user, event.events())?;
            }
        }
        self.events = events;
        Ok(ticks)
    }

    fn serve(&mut self, place: usize, events: EpollFlags) -> anyhow::Result<()> {
        let now = self.now();
        if let Some(user) = self.users.get_mut(place)
            && events != EpollFlags::EPOLLOUT
        {
            let bytes = user.receive(&mut self.buffer);
            if !bytes.is_empty() {
                self.heard_at = now;
            }
            let joins = user.reader.joins;
            user.take(now, bytes, &mut self.audit);
            self.joins += user.reader.joins - joins;
            if user.reader.is_ahead() && place != self.opener {
                self.serve(self.opener, EpollFlags::EPOLLIN)?;
                if let Some(user) = self.users.get_mut(place) {
                    user.reader.skip(now, 0, &mut self.audit);
                }
            }
        }
        self.send(place)
    }

    /// Sends the queued bytes of a user, and polls for the rest.
    fn send(&mut self, place: usize) -> anyhow::Result<()> {
        let Some(user) = self.users.get_mut(place) else {
            return Ok(());
        };
        user.send();
        let waits = user.is_sending();
        let Some(fd) = user.fd() else { return Ok(()) };
        if waits != user.waits_to_write {
            let mut flags = EpollFlags::EPOLLIN;
            flags.set(EpollFlags::EPOLLOUT, waits);
            self.epoll.modify(fd, &mut EpollEvent::new(flags, place as u64))?;
            user.waits_to_write = waits;
        }
        Ok(())
    }

    /// Lets a user send one message now.
    ///
    /// # Errors
    /// If a system call fails.
    pub fn say(&mut self, place: usize) -> anyhow::Result<()> {
        let at = self.now();
        let from = self.users.get_mut(place).map_or(0, |user| user.out().len());
        self.put_message(place, at);
        self.seal(place, from);
        self.send(place)
    }

    /// Lets a user send a batch, unless enough messages are in transit.
    ///
    /// # Errors
    /// If a system call fails.
    pub fn say_much(&mut self, place: usize) -> anyhow::Result<()> {
        let at = self.now();
        let heard = self.heard_from(place);
        let from = self.users.get_mut(place).map_or(0, |user| user.out().len());
        while let Some(user) = self.users.get_mut(place)
            && user.said < heard.saturating_add(UNDER_WAY)
            && user.out().len() < BURST
        {
            self.put_message(place, at);
        }
        self.seal(place, from);
        self.send(place)
    }

    /// Encrypts what was queued for a user from here on.
    fn seal(&mut self, place: usize, from: usize) {
        if let Some(user) = self.users.get_mut(place) {
            user.seal(from);
        }
    }

    fn put_message(&mut self, place: usize, at: u64) {
        let Some(user) = self.users.get_mut(place) else {
            return;
        };
        let message = Message {
            sender: u16::try_from(place).unwrap_or(u16::MAX),
            number: user.said,
            at,
        };
        user.said += 1;
        let (dialect, length) = (self.audit.dialect, self.audit.length);
        dialect.say(message, length, user.out());
    }

    /// How many messages of a user have arrived, according to one of the readers.
    fn heard_from(&self, place: usize) -> u32 {
        let others = self.users.iter().enumerate().rev();
        let mut others = others.filter(|&(other, _)| other != place && Some(other) != self.deaf);
        others
            .next()
            .map_or(u32::MAX, |(_, other)| other.reader.next(place, &self.audit))
    }

    /// How many connections the server has closed.
    #[must_use]
    pub fn closed(&self) -> usize {
        self.users.iter().filter(|user| user.fd().is_none()).count()
    }

    /// The number of users that read.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.users.len() - usize::from(self.deaf.is_some())
    }

    /// Waits until everybody has received all messages, or nothing has arrived for a while.
    ///
    /// # Errors
    /// If waiting fails.
    pub fn drain(&mut self, quiet: Duration, patience: Duration) -> anyhow::Result<()> {
        let (quiet, patience) = (quiet.as_nanos(), patience.as_nanos());
        let began = self.now();
        loop {
            self.turn(Duration::from_millis(20))?;
            let now = self.now();
            let silent = u128::from(now - self.heard_at.max(began));
            if silent > quiet || u128::from(now - began) > patience || self.is_level() {
                return Ok(());
            }
        }
    }

    fn is_level(&self) -> bool {
        let sent = self.sent();
        self.listeners().all(|(place, user)| {
            let missing = |tally: &Tally| tally.missing(&self.due(&sent, place));
            user.reader.is_level(&self.audit, missing)
        })
    }

    /// The outcome of all messages, over all readers.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let sent = self.sent();
        let mut outcome = Outcome::default();
        for (place, user) in self.listeners() {
            let tally = user.reader.tally(&self.audit);
            outcome.missing += tally.missing(&self.due(&sent, place));
            outcome.heard += tally.heard;
            outcome.duplicated += tally.duplicated;
            outcome.reordered += tally.reordered;
            outcome.damaged += tally.damaged;
        }
        outcome
    }

    fn listeners(&self) -> impl Iterator<Item = (usize, &User)> {
        self.users
            .iter()
            .enumerate()
            .filter(|&(place, _)| Some(place) != self.deaf)
    }

    fn sent(&self) -> Vec<u32> {
        let timed = &self.audit.timed;
        let counts = self.users.iter().enumerate();
        let last = self.users.iter().rposition(|user| user.said > 0);
        counts
            .take(last.map_or(0, |last| last + 1))
            // Of other senders, such as a flooder, only messages before the last one received count as lost.
            .map(|(place, user)| {
                let counts = u16::try_from(place).is_ok_and(|place| timed.contains(&place));
                if counts { user.said } else { 0 }
            })
            .collect()
    }

    /// The number of messages that one user should receive.
    fn due(&self, sent: &[u32], place: usize) -> Vec<u32> {
        let mut due = sent.to_vec();
        if !self.audit.dialect.echoes()
            && let Some(own) = due.get_mut(place)
        {
            *own = 0;
        }
        due
    }
}

/// The outcome of the messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Messages received, summed over all users.
    pub heard: u64,
    /// Messages that did not arrive.
    pub missing: u64,
    /// Messages that arrived again.
    pub duplicated: u64,
    /// Messages that arrived after a later one of the same sender.
    pub reordered: u64,
    /// Lines that no user sent.
    pub damaged: u64,
}
