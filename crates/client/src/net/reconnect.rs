//! The connection to the server, and the attempts to replace it when it is lost.

use super::connect::{Attempt, Connection};
use super::transport::Sockets;
use crate::session::Session;
use chat_proto::now::Now;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A connection that is made again when it is lost, to the same address: looking a name up again could freeze the screen
/// for seconds.
#[derive(Debug)]
pub struct Reconnect {
    /// Of the last connection. When it is lost, peers are still reached from its UDP socket.
    sockets: Sockets,
    state: State,
    server: SocketAddr,
    /// How long one attempt may take.
    patience: Duration,
    backoff: Backoff,
    /// When the next attempt was due before the user's own, which leaves the backoff as it was.
    planned: Option<Duration>,
}

#[derive(Debug)]
enum State {
    Up,
    /// Until the next attempt.
    Waiting(Duration),
    /// Until this attempt times out.
    Trying(Attempt, Duration),
}

/// A change of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is none until the next attempt, at this time.
    Waiting(Duration),
    /// An attempt is under way.
    Trying,
    /// It is up again.
    Up,
}

impl Reconnect {
    /// Over a connection that was just made.
    ///
    /// # Errors
    /// If it is closed already.
    pub fn new(connection: Connection, patience: Duration) -> io::Result<Self> {
        Ok(Self {
            server: connection.tcp.peer_addr()?,
            sockets: Sockets::new(connection)?,
            state: State::Up,
            patience,
            backoff: Backoff::default(),
            planned: None,
        })
    }

    /// The sockets of the last connection.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// The sockets of the last connection.
    pub fn sockets_mut(&mut self) -> &mut Sockets {
        &mut self.sockets
    }

    /// Writable when the attempt is done.
    pub fn attempt(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Trying(attempt, _) => Some(attempt.descriptor()),
            State::Up | State::Waiting(_) => None,
        }
    }

    /// When to call [`Reconnect::tick`].
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Up => None,
            State::Waiting(until) | State::Trying(_, until) => Some(*until),
        }
    }

    /// Closes a lost connection, begins an attempt, or gives one up, as is due.
    pub fn tick(&mut self, session: &Session, now: Now) -> Option<Change> {
        match &self.state {
            State::Up if session.is_lost() => {
                if session.me().is_some() {
                    // The client was in the room: start the backoff again.
                    self.backoff = Backoff::default();
                }
                self.sockets.close_tcp();
                Some(self.wait(now))
            }
            State::Waiting(until) if now.monotonic >= *until => Some(self.begin_attempt(now)),
            State::Trying(_, until) if now.monotonic >= *until => Some(self.wait(now)),
            State::Up | State::Waiting(_) | State::Trying(..) => None,
        }
    }

    /// The attempt succeeded or failed.
    pub fn on_attempt_done(&mut self, session: &mut Session, now: Now) -> Option<Change> {
        let State::Trying(attempt, _) = std::mem::replace(&mut self.state, State::Waiting(now.monotonic))
        else {
            return None;
        };
        let made = attempt.finish().and_then(|connection| {
            let endpoints = connection.endpoints()?;
            Ok((endpoints, Sockets::new(connection)?))
        });
        match made {
            Ok((endpoints, sockets)) => {
                session.connected(endpoints, now);
                self.sockets = sockets;
                self.state = State::Up;
                self.planned = None;
                Some(Change::Up)
            }
            Err(_) => Some(self.wait(now)),
        }
    }

    /// Begins the next attempt at once, if one is waited for.
    pub fn retry_now(&mut self, now: Now) -> Option<Change> {
        let State::Waiting(until) = self.state else {
            return None;
        };
        self.planned = Some(until);
        Some(self.begin_attempt(now))
    }

    fn begin_attempt(&mut self, now: Now) -> Change {
        match Attempt::begin(self.server) {
            Ok(attempt) => {
                self.state = State::Trying(attempt, now.monotonic + self.patience);
                Change::Trying
            }
            Err(_) => self.wait(now),
        }
    }

    fn wait(&mut self, now: Now) -> Change {
        // Seeded by the system for each value: random enough to spread clients.
        let random = RandomState::new().build_hasher().finish();
        let until = match self.planned.take() {
            Some(planned) => planned.max(now.monotonic),
            None => now.monotonic + self.backoff.wait(random),
        };
        self.state = State::Waiting(until);
        Change::Waiting(until)
    }
}

/// The shortest wait, before jitter.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, before jitter.
const LONGEST: Duration = Duration::from_secs(20);

/// Exponential backoff: waits of 1 to 1.5 seconds at first, 20 to 30 in the end. The jitter of up to a half keeps the
/// clients of a restarted server from returning all at once.
#[derive(Debug)]
struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The next wait; `random` is uniform.
    fn wait(&mut self, random: u64) -> Duration {
        let least = self.next;
        self.next = (least * 2).min(LONGEST);
        let share = u32::try_from(random % 1000).unwrap_or(0);
        least + least / 2 * share / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_half_a_minute() {
        let waits = |random: u64| {
            let mut backoff = Backoff::default();
            std::iter::repeat_with(move || backoff.wait(random).as_millis())
                .take(7)
                .collect::<Vec<_>>()
        };
        assert_eq!(waits(0), [1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
        assert_eq!(waits(500), [1_250, 2_500, 5_000, 10_000, 20_000, 25_000, 25_000]);
        for random in [999, u64::MAX, 123_456_789] {
            assert!(waits(random).iter().all(|&wait| (1_000..30_000).contains(&wait)));
        }
    }
}
