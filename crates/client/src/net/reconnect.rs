//! The connection to the server, and the one that is made when it is lost.

use super::connect::{Attempt, Connection};
use super::transport::Link;
use crate::session::Session;
use chat_proto::now::Now;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A connection that may be lost. It is tried again where it was: a name is not looked up again, because that could take
/// seconds in which nothing typed would show.
#[derive(Debug)]
pub struct Wire {
    state: State,
    server: SocketAddr,
    /// How long one try may take.
    patience: Duration,
    backoff: Backoff,
    /// When the next try was due that the user did not wait for. One that fails changes nothing about it.
    planned: Option<Duration>,
}

#[derive(Debug)]
enum State {
    Up(Link),
    /// The next try is made then.
    Waiting(Duration),
    /// A try is under way, and given up then.
    Trying(Attempt, Duration),
}

/// What became of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is none; the next try is made then.
    Waiting(Duration),
    /// A try is under way.
    Trying,
    /// There is one again.
    Up,
}

impl Wire {
    /// Over a connection that was just made.
    ///
    /// # Errors
    /// If it is gone already.
    pub fn new(connection: Connection, patience: Duration) -> io::Result<Self> {
        Ok(Self {
            server: connection.tcp.peer_addr()?,
            state: State::Up(Link::new(connection)?),
            patience,
            backoff: Backoff::default(),
            planned: None,
        })
    }

    /// The link, if there is a connection.
    #[must_use]
    pub fn link(&self) -> Option<&Link> {
        match &self.state {
            State::Up(link) => Some(link),
            State::Waiting(_) | State::Trying(..) => None,
        }
    }

    /// The link, if there is a connection.
    pub fn link_mut(&mut self) -> Option<&mut Link> {
        match &mut self.state {
            State::Up(link) => Some(link),
            State::Waiting(_) | State::Trying(..) => None,
        }
    }

    /// What to poll for output to learn how a try went.
    #[must_use]
    pub fn trying(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Trying(attempt, _) => Some(attempt.descriptor()),
            State::Up(_) | State::Waiting(_) => None,
        }
    }

    /// When to call [`Wire::tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Up(_) => None,
            State::Waiting(until) | State::Trying(_, until) => Some(*until),
        }
    }

    /// Does what it is time for: lets a lost connection go, tries, gives a try up.
    pub fn tick(&mut self, session: &Session, now: Now) -> Option<Change> {
        match &self.state {
            State::Up(_) if session.is_lost() => {
                if session.me().is_some() {
                    // The last one came as far as the room.
                    self.backoff = Backoff::default();
                }
                Some(self.wait(now))
            }
            State::Waiting(until) if now.monotonic >= *until => Some(self.try_again(now)),
            State::Trying(_, until) if now.monotonic >= *until => Some(self.wait(now)),
            State::Up(_) | State::Waiting(_) | State::Trying(..) => None,
        }
    }

    /// The try that is under way has come to an end.
    pub fn tried(&mut self, session: &mut Session, now: Now) -> Option<Change> {
        let State::Trying(attempt, _) = std::mem::replace(&mut self.state, State::Waiting(now.monotonic))
        else {
            return None;
        };
        match attempt
            .finish()
            .and_then(|connection| connected(connection, session, now))
        {
            Ok(link) => {
                self.state = State::Up(link);
                self.planned = None;
                Some(Change::Up)
            }
            Err(_) => Some(self.wait(now)),
        }
    }

    /// Does not wait for the next try. `None`: it was not waited for.
    pub fn hurry(&mut self, now: Now) -> Option<Change> {
        let State::Waiting(until) = self.state else {
            return None;
        };
        self.planned = Some(until);
        Some(self.try_again(now))
    }

    fn try_again(&mut self, now: Now) -> Change {
        match Attempt::begin(self.server) {
            Ok(attempt) => {
                self.state = State::Trying(attempt, now.monotonic + self.patience);
                Change::Trying
            }
            Err(_) => self.wait(now),
        }
    }

    fn wait(&mut self, now: Now) -> Change {
        // Seeded anew for each value by the system: random enough to tell clients apart.
        let random = RandomState::new().build_hasher().finish();
        let until = match self.planned.take() {
            Some(planned) => planned.max(now.monotonic),
            None => now.monotonic + self.backoff.wait(random),
        };
        self.state = State::Waiting(until);
        Change::Waiting(until)
    }
}

fn connected(connection: Connection, session: &mut Session, now: Now) -> io::Result<Link> {
    let endpoints = connection.endpoints()?;
    let link = Link::new(connection)?;
    session.connected(endpoints, now);
    Ok(link)
}

/// The first wait, at least.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait, without what chance adds.
const LONGEST: Duration = Duration::from_secs(20);

/// Waits that double, each longer by up to a half, as chance has it: else all the clients of a server that comes back would
/// come back in the same moment. So the waits begin at 1 to 1.5 seconds and end at 20 to 30.
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
    /// How long to wait now; `random` is any number, each as likely as the others.
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
