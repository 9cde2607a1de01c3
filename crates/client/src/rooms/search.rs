//! Looking for rooms, over real sockets.

use anyhow::{Context, Result};
use chat_discovery::browser::{Browser, Room};
use chat_discovery::interfaces::{self, Changes, Interface};
use chat_discovery::message::{Message, PACKET_MAX, PORT};
use chat_discovery::sockets::{Link, Receipt, Received, Sockets};
use chat_sys::clock::Clock;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;

/// Packets to read in one turn, so that a flood of them does not delay the deadlines.
const PACKETS_MAX: usize = 64;

/// A search that goes on until it is dropped.
#[derive(Debug)]
pub struct Search {
    /// `None` if there is no socket at all; [`Search::refusal`] says why.
    sockets: Option<Sockets>,
    changes: Option<Changes>,
    browser: Browser,
    links: BTreeMap<Link, Traffic>,
    refusal: Option<io::Error>,
    buffer: Box<[u8]>,
}

/// What happened on a link.
#[derive(Debug, Default)]
pub struct Traffic {
    /// The name of the interface.
    pub interface: String,
    /// Why the last query could not be sent, or the group not be joined.
    pub failure: Option<io::Error>,
    /// A query of this host came back.
    pub has_returned: bool,
    /// Something came from another host.
    pub has_neighbours: bool,
}

impl Search {
    /// Begins to look on all interfaces.
    #[must_use]
    pub fn begin(now: Duration) -> Self {
        let (sockets, refusal) = open();
        let mut jitter = [0];
        // Without randomness, all clients of a moment ask at once, which is harmless.
        let _ = getrandom::fill(&mut jitter);
        let [jitter] = jitter;
        let mut search = Self {
            sockets,
            // Without it, a new interface is not noticed.
            changes: Changes::watch().ok(),
            browser: Browser::new(Duration::from_millis(u64::from(jitter) * 100 / 255)),
            links: BTreeMap::new(),
            refusal,
            buffer: vec![0; PACKET_MAX].into(),
        };
        search.find_interfaces(now);
        search
    }

    /// What to poll for before the next [`Search::advance`].
    #[must_use]
    pub fn descriptors(&self) -> Vec<PollFd<'_>> {
        let sockets = self.sockets.iter().flat_map(Sockets::fds);
        let changes = self.changes.iter().map(Changes::as_fd);
        sockets
            .chain(changes)
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect()
    }

    /// When to call [`Search::advance`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.browser.deadline()
    }

    /// Reads what came, and sends what is due.
    pub fn advance(&mut self, now: Duration) {
        if self.changes.as_ref().is_some_and(Changes::take) {
            self.find_interfaces(now);
        }
        self.read(now);
        let Some(sockets) = &self.sockets else {
            return;
        };
        for query in self.browser.tick(now) {
            for (link, traffic) in &mut self.links {
                if link.index == query.interface {
                    traffic.failure = sockets.send(*link, None, &query.bytes).err();
                }
            }
        }
    }

    /// The rooms that answered.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        self.browser.rooms()
    }

    /// Whether the list is full, so that some rooms may be missing.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.browser.is_full()
    }

    /// What happened on each link.
    pub fn traffic(&self) -> impl Iterator<Item = &Traffic> {
        self.links.values()
    }

    /// Why the port of multicast DNS can't be used. Then rooms are asked from another one, unless that fails too.
    #[must_use]
    pub fn refusal(&self) -> Option<&io::Error> {
        self.refusal.as_ref()
    }

    /// Looks until this time, and no longer.
    ///
    /// # Errors
    /// If the system can't wait.
    pub fn run_until(&mut self, end: Duration, clock: &Clock) -> Result<()> {
        while clock.now().monotonic < end {
            let deadline = self.deadline().map_or(end, |deadline| deadline.min(end));
            match poll(&mut self.descriptors(), clock.timeout(Some(deadline))) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("can't poll"),
            }
            self.advance(clock.now().monotonic);
        }
        Ok(())
    }

    fn find_interfaces(&mut self, now: Duration) {
        let Some(sockets) = &mut self.sockets else {
            return;
        };
        // If the system lists none, there is nowhere to look.
        let interfaces = interfaces::list().unwrap_or_default();
        let failures = sockets.update(interfaces.clone());
        let mut before = std::mem::take(&mut self.links);
        let joined: Vec<Link> = sockets.links().collect();
        let failed = failures.into_iter().map(|(link, error)| (link, Some(error)));
        for (link, failure) in joined.into_iter().map(|link| (link, None)).chain(failed) {
            let mut traffic = before.remove(&link).unwrap_or_default();
            traffic.failure = failure.or(traffic.failure);
            if let Some(interface) = interfaces.iter().find(|interface| interface.index == link.index) {
                traffic.interface.clone_from(&interface.name);
            }
            self.links.insert(link, traffic);
        }
        let mut indices: Vec<u32> = self.links.keys().map(|link| link.index).collect();
        indices.dedup();
        self.browser.set_interfaces(&indices, now);
    }

    fn read(&mut self, now: Duration) {
        let Some(sockets) = &mut self.sockets else {
            return;
        };
        for _ in 0..PACKETS_MAX {
            let Received { link, source, bytes } = match sockets.receive(&mut self.buffer) {
                Receipt::Nothing => return,
                Receipt::Dropped => continue,
                Receipt::Packet(received) => received,
            };
            let is_own = sockets
                .interface(link)
                .is_some_and(|interface| has(interface, source.ip()));
            if let Some(traffic) = self.links.get_mut(&link) {
                traffic.has_neighbours |= !is_own;
                let is_query = || Message::parse(bytes).is_some_and(|message| !message.is_response);
                traffic.has_returned |= is_own && source.port() == PORT && is_query();
            }
            self.browser.receive(bytes, source, link.index, now);
        }
    }
}

fn has(interface: &Interface, ip: IpAddr) -> bool {
    interface.addresses.iter().any(|(own, _)| *own == ip)
}

/// The sockets on the port of multicast DNS. If that is refused, on a free one: hosts that answer it do so by unicast (RFC
/// 6762, section 5.1).
fn open() -> (Option<Sockets>, Option<io::Error>) {
    match Sockets::open(true, true, PORT) {
        Ok(sockets) => (Some(sockets), None),
        Err(refusal) => (Sockets::open(true, true, 0).ok(), Some(refusal)),
    }
}
