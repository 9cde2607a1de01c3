//! The crowd: many users in one thread, and one `epoll(7)` loop.

use crate::audit::Audit;
use crate::message::Message;
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

/// Bytes that are read from one user at once.
const READ_MAX: usize = 256 * 1024;

/// Bytes that a sender makes ready at once.
const BURST: usize = 16 * 1024;

/// Messages of one sender that may be under way. The server always finds its buffer full, and the system's
/// buffers don't grow to where emptying them takes longer than the run.
const UNDER_WAY: u32 = 4096;

/// Newcomers between two looks at what those before them are told.
const CONNECTS: usize = 16;

/// When everybody is here and nothing has come for so long, all have heard of all.
const SETTLED: Duration = Duration::from_secs(1);

/// Descriptors beyond one for each user.
const DESCRIPTORS: u64 = 32;

/// The key of the timer among those of the users.
const TIMER: u64 = u64::MAX;

/// All users.
pub struct Crowd {
    users: Vec<User>,
    /// What they found out.
    pub audit: Audit,
    epoll: Epoll,
    timer: Option<TimerFd>,
    started: Instant,
    buffer: Box<[u8]>,
    events: Box<[EpollEvent]>,
    /// When bytes last came.
    pub heard_at: u64,
    /// How many newcomers all users were told of, together.
    pub joins: u64,
    /// A user who reads nothing.
    deaf: Option<usize>,
}

impl Crowd {
    /// Nobody yet, and enough descriptors for so many.
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
        })
    }

    /// Nanoseconds since the crowd began.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Lets so many users connect, as fast as the server lets them, and waits until all have heard of all. Only so
    /// many of them are on their way in at once.
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
            // Everybody hears of everybody who comes later, and of themselves.
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
        let mut user = User::connect(server).with_context(|| format!("user {place} can't connect"))?;
        self.audit.dialect.begin(place, user.out());
        let fd = user.fd().context("a new connection has ended")?;
        self.epoll
            .add(fd, EpollEvent::new(EpollFlags::EPOLLIN, place as u64))?;
        self.users.push(user);
        self.send(place)
    }

    /// Whether everybody is here and nothing happens any more. Who is late to say what it is comes in another way,
    /// and not all hear of it as of a join.
    fn is_settled(&self) -> bool {
        u128::from(self.now() - self.heard_at) > SETTLED.as_nanos()
            && self
                .users
                .iter()
                .all(|user| user.reader.is_here(self.audit.dialect))
    }

    /// From here on messages are sent. One of the users may read nothing any more.
    ///
    /// # Errors
    /// If the system does not let it be.
    pub fn start(&mut self, deaf: Option<usize>) -> anyhow::Result<()> {
        self.deaf = deaf;
        for user in &mut self.users {
            user.reader.start(self.audit.dialect);
        }
        if let Some(fd) = deaf.and_then(|deaf| self.users.get(deaf)?.fd()) {
            self.epoll.delete(fd)?;
        }
        Ok(())
    }

    /// Lets [`Crowd::turn`] count so many ticks a second.
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

    /// Waits until something can be read or sent, and does so. Gives the number of ticks since the last turn.
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
            let (reader, replies) = user.sides();
            let joins = reader.joins;
            reader.receive(now, bytes, &mut self.audit, replies);
            self.joins += reader.joins - joins;
        }
        self.send(place)
    }

    /// Lets a user send what it has, and waits for the rest.
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

    /// Lets a user say one thing, now.
    ///
    /// # Errors
    /// If the system does not let it be.
    pub fn say(&mut self, place: usize) -> anyhow::Result<()> {
        let at = self.now();
        self.put_message(place, at);
        self.send(place)
    }

    /// Lets a user say as much as goes out at once, unless enough of that is under way.
    ///
    /// # Errors
    /// If the system does not let it be.
    pub fn say_much(&mut self, place: usize) -> anyhow::Result<()> {
        let at = self.now();
        let heard = self.heard_from(place);
        while let Some(user) = self.users.get_mut(place)
            && user.said < heard.saturating_add(UNDER_WAY)
            && user.out().len() < BURST
        {
            self.put_message(place, at);
        }
        self.send(place)
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

    /// How many of a user's messages came back, as far as one of the others knows.
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

    /// How many users there are who read.
    #[must_use]
    pub fn readers(&self) -> usize {
        self.users.len() - usize::from(self.deaf.is_some())
    }

    /// Waits until everybody has got all that was said, or nothing has come for a while.
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

    /// What became of the messages, over all who read.
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
            // Of others, such as a flooder, only what came before something that arrived has to arrive.
            .map(|(place, user)| {
                let counts = u16::try_from(place).is_ok_and(|place| timed.contains(&place));
                if counts { user.said } else { 0 }
            })
            .collect()
    }

    /// What one user is to get of what was sent.
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

/// What became of the messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// How often one message reached one user.
    pub heard: u64,
    /// How often one should have, and did not.
    pub missing: u64,
    /// How often one came again.
    pub duplicated: u64,
    /// How often one came after a later one.
    pub reordered: u64,
    /// Lines that nobody sent.
    pub damaged: u64,
}
