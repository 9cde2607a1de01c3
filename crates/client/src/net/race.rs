//! Looking a host up, and connecting to the first of its addresses that answers.
//!
//! The next address is tried when the one before has failed, and after 250 ms in any case (RFC 8305). So an address that
//! swallows everything costs a quarter of a second.

use super::connect::{Attempt, Connection, explain, resolve};
use anyhow::{Result, anyhow};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

/// How long an address is tried alone (RFC 8305, section 5: Connection Attempt Delay).
const HEAD_START: Duration = Duration::from_millis(250);

/// Attempts to connect to one host.
#[derive(Debug)]
pub(super) struct Race {
    name: String,
    /// How long the lookup, and then each address, may take.
    patience: Duration,
    lookup: Option<Lookup>,
    /// When the lookup times out.
    lookup_until: Duration,
    /// The address to try if the lookup fails: the one of the last connection.
    fallback: Option<SocketAddr>,
    waiting: VecDeque<SocketAddr>,
    /// Each with the time at which it times out.
    trying: Vec<(SocketAddr, Attempt, Duration)>,
    /// When the next address is tried.
    next: Duration,
    failures: Vec<String>,
}

/// A thread that looks a name up. `getaddrinfo` blocks, for up to half a minute; a thread that is not awaited any more ends
/// by itself.
#[derive(Debug)]
struct Lookup {
    /// Readable, because closed at the other end, when the thread is done.
    done: UnixStream,
    addresses: Receiver<Result<Vec<SocketAddr>>>,
}

impl Lookup {
    fn begin(host: String, port: u16) -> io::Result<Self> {
        let (done, open_until_done) = UnixStream::pair()?;
        let (sender, addresses) = channel();
        thread::Builder::new().spawn(move || {
            // Nobody may wait for it any more.
            let _ = sender.send(resolve(&host, port));
            drop(open_until_done);
        })?;
        Ok(Self { done, addresses })
    }
}

impl Race {
    /// Begins to look a host up. `fallback` is tried if that fails.
    pub(super) fn begin(
        host: &str,
        port: u16,
        fallback: Option<SocketAddr>,
        patience: Duration,
        now: Duration,
    ) -> io::Result<Self> {
        Ok(Self {
            name: host.to_owned(),
            patience,
            lookup: Some(Lookup::begin(host.to_owned(), port)?),
            lookup_until: now + patience,
            fallback,
            waiting: VecDeque::new(),
            trying: Vec::new(),
            next: now,
            failures: Vec::new(),
        })
    }

    /// Goes on with a connection that is being made already.
    pub(super) fn of(
        name: &str,
        address: SocketAddr,
        attempt: Attempt,
        patience: Duration,
        now: Duration,
    ) -> Self {
        Self {
            name: name.to_owned(),
            patience,
            lookup: None,
            lookup_until: now,
            fallback: None,
            waiting: VecDeque::new(),
            trying: vec![(address, attempt, now + patience)],
            next: now,
            failures: Vec::new(),
        }
    }

    /// What to poll for before the next [`Race::advance`].
    pub(super) fn descriptors(&self) -> Vec<PollFd<'_>> {
        let lookup = self.lookup.iter();
        let lookup = lookup.map(|lookup| PollFd::new(lookup.done.as_fd(), PollFlags::POLLIN));
        let attempts = self.trying.iter();
        let attempts = attempts.map(|(_, attempt, _)| PollFd::new(attempt.descriptor(), PollFlags::POLLOUT));
        lookup.chain(attempts).collect()
    }

    /// When to call [`Race::advance`] at the latest.
    pub(super) fn deadline(&self) -> Duration {
        let lookup = self.lookup.as_ref().map(|_| self.lookup_until);
        let next = (!self.waiting.is_empty()).then_some(self.next);
        let timeouts = self.trying.iter().map(|(_, _, until)| *until);
        timeouts.chain(lookup).chain(next).min().unwrap_or(Duration::ZERO)
    }

    /// What goes on now, for the user.
    pub(super) fn describe(&self) -> String {
        if self.lookup.is_some() {
            return format!("looking up {}", self.name);
        }
        let addresses: Vec<String> = self
            .trying
            .iter()
            .map(|(address, ..)| address.to_string())
            .collect();
        format!("trying {}", addresses.join(", "))
    }

    /// Does what is due. `None` while the race goes on.
    pub(super) fn advance(&mut self, now: Duration) -> Option<Result<Connection>> {
        if self.lookup.is_some() {
            match self.look_up(now)? {
                Ok(addresses) => self.waiting = alternate(addresses).into(),
                Err(error) => return Some(Err(error)),
            }
        }
        for (address, attempt, until) in std::mem::take(&mut self.trying) {
            let result = match (is_done(&attempt), now >= until) {
                (true, _) => attempt.finish(),
                (false, true) => Err(io::ErrorKind::TimedOut.into()),
                (false, false) => {
                    self.trying.push((address, attempt, until));
                    continue;
                }
            };
            match result {
                Ok(connection) => return Some(Ok(connection)),
                Err(error) => {
                    self.failures.push(explain(address, &error, self.patience));
                    self.next = now;
                }
            }
        }
        while (self.next <= now || self.trying.is_empty())
            && let Some(address) = self.waiting.pop_front()
        {
            match Attempt::begin(address) {
                Ok(attempt) => {
                    self.trying.push((address, attempt, now + self.patience));
                    self.next = now + HEAD_START;
                }
                Err(error) => self.failures.push(explain(address, &error, self.patience)),
            }
        }
        let is_over = self.trying.is_empty() && self.waiting.is_empty();
        is_over.then(|| Err(anyhow!("{}", self.failures.join("; "))))
    }

    /// The addresses, once they are known.
    fn look_up(&mut self, now: Duration) -> Option<Result<Vec<SocketAddr>>> {
        let lookup = self.lookup.as_ref()?;
        let found = match lookup.addresses.try_recv() {
            Ok(found) => found,
            Err(_) if now < self.lookup_until && !is_readable(&lookup.done) => return None,
            // Between the two looks, it may have been done.
            Err(_) => lookup.addresses.try_recv().unwrap_or_else(|_| {
                let (name, patience) = (&self.name, self.patience.as_secs_f64());
                Err(anyhow!("can't look {name} up: no answer within {patience} s"))
            }),
        };
        self.lookup = None;
        self.next = now;
        Some(found.or_else(|error| match self.fallback {
            Some(address) => Ok(vec![address]),
            None => Err(error),
        }))
    }
}

/// The addresses, with the two families in turns, so that a family that does not work costs little (RFC 8305, section 4).
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let (one, other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv4() == first);
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    loop {
        let before = turns.len();
        turns.extend(one.next());
        turns.extend(other.next());
        if turns.len() == before {
            return turns;
        }
    }
}

fn is_done(attempt: &Attempt) -> bool {
    is_ready(PollFd::new(attempt.descriptor(), PollFlags::POLLOUT))
}

fn is_readable(stream: &UnixStream) -> bool {
    is_ready(PollFd::new(stream.as_fd(), PollFlags::POLLIN))
}

fn is_ready(descriptor: PollFd<'_>) -> bool {
    poll(&mut [descriptor], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::super::connect::Ports;
    use super::*;
    use chat_sys::clock::Clock;
    use std::net::TcpListener;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn begin(host: &str, port: u16, fallback: Option<SocketAddr>) -> (Clock, Race) {
        let clock = Clock::start();
        let race = Race::begin(host, port, fallback, PATIENCE, clock.now().monotonic).unwrap();
        (clock, race)
    }

    fn run((clock, mut race): (Clock, Race)) -> Result<Connection> {
        loop {
            if let Some(result) = race.advance(clock.now().monotonic) {
                return result;
            }
            poll(&mut race.descriptors(), clock.timeout(Some(race.deadline()))).unwrap();
        }
    }

    /// A race among these addresses.
    fn among(addresses: &[SocketAddr]) -> (Clock, Race) {
        let (clock, mut race) = begin("127.0.0.1", 1, None);
        let (done, _) = UnixStream::pair().unwrap();
        let (sender, found) = channel();
        sender.send(Ok(addresses.to_vec())).unwrap();
        race.lookup = Some(Lookup {
            done,
            addresses: found,
        });
        (clock, race)
    }

    /// Listeners whose queue is full: connecting to them takes for ever.
    fn black_hole() -> (socket2::Socket, SocketAddr, Vec<Attempt>) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut filling = Vec::new();
        loop {
            let attempt = Attempt::begin(address).unwrap();
            let mut descriptors = [PollFd::new(attempt.descriptor(), PollFlags::POLLOUT)];
            let is_made = poll(&mut descriptors, PollTimeout::from(100_u16)).unwrap() > 0;
            filling.push(attempt);
            if !is_made {
                return (socket, address, filling);
            }
        }
    }

    fn assert_paired(listener: &TcpListener, host: &str) {
        let port = listener.local_addr().unwrap().port();
        let connection = run(begin(host, port, None)).unwrap();
        let (_, seen) = listener.accept().unwrap();
        assert_eq!(connection.ports, Ports::Paired);
        assert_eq!(seen, connection.tcp.local_addr().unwrap());
        let udp = connection.udp.unwrap().local_addr().unwrap();
        assert_eq!(udp.port(), seen.port() + 1);
        assert_eq!(udp.is_ipv4(), seen.is_ipv4());
    }

    #[test]
    fn the_udp_port_is_the_one_after_the_tcp_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        for host in ["127.0.0.1", "localhost", "::ffff:127.0.0.1"] {
            assert_paired(&listener, host);
        }
    }

    #[test]
    fn ipv6_gets_a_port_pair_too() {
        // There are machines without IPv6.
        if let Ok(listener) = TcpListener::bind("[::1]:0") {
            assert_paired(&listener, "::1");
        }
    }

    #[test]
    fn an_address_that_swallows_everything_costs_a_quarter_of_a_second() {
        let (_listener, hole, _filling) = black_hole();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (clock, mut race) = among(&[hole, address]);
        let now = clock.now().monotonic;
        assert!(race.advance(now).is_none());
        assert_eq!(race.deadline(), now + HEAD_START);
        let connection = run((clock, race)).unwrap();
        assert_eq!(connection.tcp.peer_addr().unwrap(), address);
        assert!(clock.now().monotonic >= HEAD_START);
    }

    #[test]
    fn the_next_address_follows_a_failure_at_once() {
        // Bound, so that no other process gets it, and not listening.
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (clock, mut race) = among(&[closed.local_addr().unwrap(), address]);
        let now = clock.now().monotonic;
        let mut connection = race.advance(now);
        while connection.is_none() {
            poll(&mut race.descriptors(), PollTimeout::from(5000_u16)).unwrap();
            // No time passes.
            connection = race.advance(now);
        }
        assert_eq!(connection.unwrap().unwrap().tcp.peer_addr().unwrap(), address);
    }

    #[test]
    fn an_unknown_host_is_an_error_and_the_last_address_replaces_it() {
        let error = run(begin("no.such.host.invalid", 9000, None)).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("unknown host no.such.host.invalid (check its spelling")
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connection = run(begin("no.such.host.invalid", 9000, Some(address))).unwrap();
        assert_eq!(connection.tcp.peer_addr().unwrap(), address);
    }

    #[test]
    fn a_lookup_without_an_answer_times_out() {
        let (_, mut race) = begin("localhost", 9000, None);
        let (_open, done) = UnixStream::pair().unwrap();
        let (_sender, addresses) = channel();
        race.lookup = Some(Lookup { done, addresses });
        assert!(race.advance(race.deadline() - Duration::from_millis(1)).is_none());
        let error = race.advance(race.deadline()).unwrap().unwrap_err();
        assert_eq!(error.to_string(), "can't look localhost up: no answer within 5 s");
    }

    #[test]
    fn the_families_take_turns() {
        let parse = |addresses: [&str; 5]| addresses.map(|address| address.parse().unwrap());
        let found = parse(["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"]);
        let turns = parse(["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(alternate(found.to_vec()), turns);
    }

    #[test]
    fn a_link_local_address_without_interface_is_explained() {
        // Without any IPv6, connecting fails earlier, with the same message.
        let error = run(begin("fe80::1", 9000, None)).unwrap_err().to_string();
        assert!(
            error.contains("needs its interface too, as in fe80::1%eth0"),
            "{error}"
        );
    }

    #[test]
    fn each_error_says_what_to_do_in_a_line() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let port = address.port();
        drop(listener);
        let error = run(begin("127.0.0.1", port, None)).unwrap_err();
        let expected = format!(
            "nobody listens at 127.0.0.1:{port}: start a server there with `chat-server 0.0.0.0 {port}`"
        );
        assert_eq!(format!("{error:#}"), expected);
    }
}
