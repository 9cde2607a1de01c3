//! The connection to the server, and the attempts to replace it when it is lost.

use super::connect::Attempt;
use super::race::Race;
use super::secure::Secure;
use super::transport::Sockets;
use crate::address::Address;
use crate::session::Session;
use anyhow::{Context, Error};
use chat_proto::now::Now;
use nix::poll::PollFd;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// How often the client looks whether this host still has the local address of the connection.
const ADDRESS_CHECK: Duration = Duration::from_secs(5);

const CLOSED_AT_ONCE: &str = "the connection was closed at once";

/// A connection that is made again when it is lost. The server's name is looked up each time: it may have moved.
#[derive(Debug)]
pub struct Reconnect {
    /// Of the last connection. When it is lost, peers are still reached from its UDP socket.
    sockets: Sockets,
    state: State,
    server: Address,
    /// Where the last connection led. `None` before the first one.
    last: Option<SocketAddr>,
    /// Why there is no first connection.
    failure: Option<Error>,
    /// What the user should know about the first connection.
    warning: Option<&'static str>,
    /// What the user was told about attempts to make it.
    told: String,
    /// When to look next whether the local address is still there.
    address_check: Duration,
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
    Trying(Box<Race>),
}

/// A change of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first connection is being made: this is tried.
    Connecting(String),
    /// There is none until the next attempt, at this time.
    Waiting(Duration),
    /// An attempt is under way.
    Trying,
    /// It is up again.
    Up,
}

impl Reconnect {
    /// Begins to make the first connection, which `secure` encrypts, or goes on with `begun`, which leads to this machine.
    ///
    /// # Errors
    /// If the system has no more descriptors or threads.
    pub fn begin(
        server: Address,
        begun: Option<Attempt>,
        secure: Secure,
        patience: Duration,
        now: Now,
    ) -> io::Result<Self> {
        let (host, port) = (&server.host, server.port());
        let race = match begun {
            Some(attempt) => {
                let address = (Ipv4Addr::LOCALHOST, port).into();
                Race::of(host, address, attempt, patience, now.monotonic)
            }
            None => Race::begin(host, port, None, patience, now.monotonic)?,
        };
        Ok(Self {
            server,
            last: None,
            failure: None,
            warning: None,
            told: String::new(),
            address_check: Duration::ZERO,
            sockets: Sockets::unconnected(secure),
            state: State::Trying(Box::new(race)),
            patience,
            backoff: Backoff::default(),
            planned: None,
        })
    }

    /// Why there is no first connection. Then there will be none.
    pub fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    /// What the user should know about the first connection.
    pub fn take_warning(&mut self) -> Option<&'static str> {
        self.warning.take()
    }

    /// The sockets of the last connection.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// The sockets of the last connection.
    pub fn sockets_mut(&mut self) -> &mut Sockets {
        &mut self.sockets
    }

    /// What to poll for before [`Reconnect::advance`].
    pub fn attempts(&self) -> Vec<PollFd<'_>> {
        match &self.state {
            State::Trying(race) => race.descriptors(),
            State::Up | State::Waiting(_) => Vec::new(),
        }
    }

    /// When to call [`Reconnect::tick`].
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Up => Some(self.address_check),
            State::Waiting(until) => Some(*until),
            State::Trying(race) => Some(race.deadline()),
        }
    }

    /// Closes a lost connection, or begins or continues to make another, as is due.
    pub fn tick(&mut self, session: &mut Session, now: Now) -> Option<Change> {
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
            State::Trying(race) if now.monotonic >= race.deadline() => self.advance(session, now),
            State::Up if now.monotonic >= self.address_check => {
                self.address_check = now.monotonic + ADDRESS_CHECK;
                if self.sockets.is_address_gone() {
                    session.address_gone(now);
                }
                None
            }
            State::Trying(_) => self.news(),
            State::Up | State::Waiting(_) => None,
        }
    }

    /// An attempt may be done.
    pub fn advance(&mut self, session: &mut Session, now: Now) -> Option<Change> {
        let State::Trying(race) = &mut self.state else {
            return None;
        };
        let made = race.advance(now.monotonic)?.and_then(|connection| {
            let warning = connection.ports.warning();
            let endpoints = connection.endpoints().context(CLOSED_AT_ONCE)?;
            session.set_receive_room(connection.receive_room());
            self.sockets.connect(connection).context(CLOSED_AT_ONCE)?;
            Ok((warning, endpoints))
        });
        match made {
            Ok((warning, endpoints)) => {
                if self.last.replace(endpoints.server).is_none() {
                    self.warning = warning;
                }
                session.connected(endpoints, now);
                self.state = State::Up;
                self.planned = None;
                Some(Change::Up)
            }
            Err(error) => {
                if self.last.is_none() {
                    self.failure = Some(error);
                }
                Some(self.wait(now))
            }
        }
    }

    /// What is tried now to make the first connection, if that is news.
    fn news(&mut self) -> Option<Change> {
        let State::Trying(race) = &self.state else {
            return None;
        };
        let doing = race.describe();
        let is_news = self.last.is_none() && doing != self.told;
        self.told.clone_from(&doing);
        is_news.then_some(Change::Connecting(doing))
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
        let (host, port) = (&self.server.host, self.server.port());
        match Race::begin(host, port, self.last, self.patience, now.monotonic) {
            Ok(race) => {
                self.state = State::Trying(Box::new(race));
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
    use crate::net::secure::Trust;
    use crate::private::{KeyPair, Options, Private};
    use crate::session::{Config, Endpoints, Session};
    use chat_sys::clock::Clock;
    use nix::poll::poll;
    use std::net::TcpListener;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn session(now: Now) -> Session {
        let config = Config {
            clear: true,
            nick: None,
            insist_on_nick: false,
            endpoints: Endpoints::none(),
            to: None,
            interactive: true,
        };
        let random = Box::new(|bytes: &mut [u8]| bytes.fill(7));
        let private = Private::new(KeyPair::from_secret([1; 32]), Options::default(), random);
        Session::unconnected(config, private, now)
    }

    /// Waits until the connection is up.
    fn connect(reconnect: &mut Reconnect, session: &mut Session, clock: &Clock) {
        let deadline = clock.now().monotonic + 4 * PATIENCE;
        loop {
            let now = clock.now();
            assert!(now.monotonic < deadline);
            if reconnect.advance(session, now) == Some(Change::Up) {
                return;
            }
            reconnect.tick(session, now);
            poll(&mut reconnect.attempts(), clock.timeout(reconnect.deadline())).unwrap();
        }
    }

    fn secure() -> Secure {
        let key = KeyPair::from_secret([1; 32]);
        Secure::new(key, Trust::default(), Box::new(|bytes| bytes.fill(1)))
    }

    #[test]
    fn the_name_of_the_server_is_looked_up_again() {
        let clock = Clock::start();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = |host: &str| Address {
            host: host.into(),
            port: Some(port),
        };
        let mut session = session(clock.now());
        let mut reconnect =
            Reconnect::begin(server("127.0.0.1"), None, secure(), PATIENCE, clock.now()).unwrap();
        connect(&mut reconnect, &mut session, &clock);
        assert_eq!(reconnect.last, Some(listener.local_addr().unwrap()));
        drop(listener);
        // The name means another address now. Where there is no other server, the old one is kept.
        let elsewhere = TcpListener::bind(("127.0.0.2", port)).unwrap();
        reconnect.server = server("127.0.0.2");
        reconnect.state = State::Waiting(Duration::ZERO);
        connect(&mut reconnect, &mut session, &clock);
        assert_eq!(reconnect.last, Some(elsewhere.local_addr().unwrap()));
        reconnect.server = server("no.such.host.invalid");
        reconnect.state = State::Waiting(Duration::ZERO);
        connect(&mut reconnect, &mut session, &clock);
        assert_eq!(reconnect.last, Some(elsewhere.local_addr().unwrap()));
    }

    #[test]
    fn the_first_connection_is_told_step_by_step_and_fails_with_a_reason() {
        let clock = Clock::start();
        let server = Address {
            host: "no.such.host.invalid".into(),
            port: None,
        };
        let mut session = session(clock.now());
        let mut reconnect = Reconnect::begin(server, None, secure(), PATIENCE, clock.now()).unwrap();
        let told = reconnect.tick(&mut session, clock.now());
        let expected = Change::Connecting("looking up no.such.host.invalid".into());
        assert_eq!(told, Some(expected));
        assert_eq!(reconnect.tick(&mut session, clock.now()), None, "it is told once");
        while reconnect.advance(&mut session, clock.now()).is_none() {
            poll(&mut reconnect.attempts(), clock.timeout(reconnect.deadline())).unwrap();
        }
        let failure = reconnect.take_failure().unwrap().to_string();
        assert!(
            failure.starts_with("unknown host no.such.host.invalid"),
            "{failure}"
        );
    }

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
