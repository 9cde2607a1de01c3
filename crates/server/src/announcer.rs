//! Announces the room on the LAN, so that clients list it: I/O around the pure responder.

use crate::args::Args;
use crate::door::Door;
use crate::identity::Identity;
use anyhow::{Context, Result};
use chat_discovery::interfaces::{self, Changes, Interface};
use chat_discovery::message::{About, Label, PACKET_MAX, PORT};
use chat_discovery::responder::{Outgoing, Responder, Room};
use chat_discovery::sockets::{Link, Receipt, Sockets};
use chat_noise::key::fingerprint;
use nix::unistd::gethostname;
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Packets that are read in one turn, and the time after which no further one is: the room goes on.
const PACKETS_MAX: usize = 32;
const READING_MAX: Duration = Duration::from_millis(2);

/// Another name is shown after this time at the earliest: a hostile host can make the server change it each second.
const NAME_EVERY: Duration = Duration::from_secs(60);

/// After packets the sockets rest for at least this long, and for [`REST_FACTOR`] times as long as reading took, up to
/// [`REST_MAX`]: a flood takes about 2 % of a processor, and a turn of the loop for each of these times.
const REST: Duration = Duration::from_millis(20);
const REST_MAX: Duration = Duration::from_secs(1);
const REST_FACTOR: u32 = 49;

/// Without a better name.
const NAMELESS: &str = "chat";

/// Announces one room until it is dropped, which withdraws it.
#[derive(Debug)]
pub struct Announcer {
    listens_at: SocketAddr,
    sockets: Sockets,
    changes: Changes,
    responder: Responder,
    buffer: Box<[u8]>,
    /// The sockets are not polled before this time.
    rests_until: Duration,
    shown: Shown,
    /// The interfaces whose first failure the log has shown, or will.
    failed: BTreeSet<String>,
    problems: Vec<String>,
}

/// What is said about a room: its name, chosen or that of the machine, and what else it needs.
#[must_use]
pub fn room(args: &Args, door: &Door, identity: &Identity, port: u16) -> Room {
    let machine = || {
        let name = gethostname().ok()?.into_string().ok()?;
        Label::new(name.split('.').next()?)
    };
    let named = |name: &str| Label::new(name).expect("a plain name");
    let fingerprint = fingerprint(&identity.public());
    let number = fingerprint.0.iter().take(4).map(|byte| format!("{byte:02x}"));
    Room {
        name: args
            .name
            .clone()
            .or_else(machine)
            .unwrap_or_else(|| named(NAMELESS)),
        host: named(&format!("chat-{}", number.collect::<String>())),
        port,
        about: About {
            version: chat_proto::VERSION,
            fingerprint: Some(fingerprint),
            has_passphrase: door.phrase.is_some(),
            is_sealed: door.is_sealed(),
        },
    }
}

impl Announcer {
    /// Announces a room that listens at this address.
    ///
    /// # Errors
    /// If the system refuses the port, for example because another program does not share it.
    pub fn open(room: Room, listens_at: SocketAddr) -> Result<Self> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)?;
        let is_v6 = listens_at.is_ipv6();
        // A listener at all addresses of IPv6 takes IPv4 too.
        let is_v4 = !is_v6 || listens_at.ip().is_unspecified();
        let sockets = Sockets::open(is_v4, is_v6, PORT).with_context(|| format!("UDP port {PORT}"))?;
        let mut announcer = Self {
            listens_at,
            sockets,
            changes: Changes::watch().context("changes of interfaces")?,
            responder: Responder::new(room, u64::from_ne_bytes(seed)),
            buffer: vec![0; PACKET_MAX].into(),
            rests_until: Duration::ZERO,
            shown: Shown::default(),
            failed: BTreeSet::new(),
            problems: Vec::new(),
        };
        announcer.find_links(Duration::ZERO);
        Ok(announcer)
    }

    /// What to poll for reading.
    pub fn fds(&self, now: Duration) -> impl Iterator<Item = BorrowedFd<'_>> {
        let is_awake = self.rests_until <= now;
        let sockets = self.sockets.fds().filter(move |_| is_awake);
        sockets.chain([self.changes.as_fd()])
    }

    /// When [`Self::turn`] has something to do although nothing is ready.
    #[must_use]
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        let rest = Some(self.rests_until).filter(|&until| until > now);
        self.responder.deadline().into_iter().chain(rest).min()
    }

    /// Reads what is ready, and sends what is due. Returns whether there was anything.
    pub fn turn(&mut self, now: Duration, is_ready: bool) -> bool {
        if is_ready {
            if self.changes.take() {
                self.find_links(now);
            }
            self.read(now);
        }
        let is_due = self.responder.deadline().is_some_and(|at| at <= now);
        if is_due {
            let outgoing = self.responder.turn(now);
            self.send(&outgoing);
        }
        is_ready || is_due
    }

    /// The name by which the room was announced, once it is or when it had to change.
    pub fn take_name(&mut self, now: Duration) -> Option<Label> {
        self.responder.announced().next()?;
        self.shown.take(now, self.responder.name())
    }

    /// What failed since the last call; of each interface, only the first failure.
    pub fn take_problems(&mut self) -> Vec<String> {
        std::mem::take(&mut self.problems)
    }

    /// Looks at which interfaces the room can be reached.
    fn find_links(&mut self, now: Duration) {
        let found = match interfaces::list() {
            Ok(found) => found,
            Err(error) => return self.fail("all interfaces", &error),
        };
        let reachable = found
            .into_iter()
            .map(|interface| reachable(interface, self.listens_at));
        let reachable = reachable.filter(|interface| !interface.addresses.is_empty());
        for (link, error) in self.sockets.update(reachable.collect()) {
            self.fail_at(link, &error);
        }
        let links = self.sockets.links().map(|link| {
            let interface = self.sockets.interface(link);
            let addresses = interface.map_or(&[][..], |interface| &interface.addresses);
            (link, addresses.iter().map(|&(ip, _)| ip).collect())
        });
        self.responder.set_links(now, links.collect::<Vec<_>>());
    }

    fn read(&mut self, now: Duration) {
        let begun = Instant::now();
        for count in 0..PACKETS_MAX {
            match self.sockets.receive(&mut self.buffer) {
                Receipt::Nothing if count == 0 => return,
                Receipt::Nothing => break,
                Receipt::Dropped => {}
                Receipt::Packet(packet) => self.responder.receive(now, &packet),
            }
            if begun.elapsed() > READING_MAX {
                break;
            }
        }
        self.rests_until = now + (begun.elapsed() * REST_FACTOR).clamp(REST, REST_MAX);
    }

    fn send(&mut self, outgoing: &[Outgoing]) {
        for Outgoing { link, to, packet } in outgoing {
            match self.sockets.send(*link, *to, packet) {
                // What is lost is asked for again.
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.fail_at(*link, &error),
                _ => {}
            }
        }
    }

    fn fail_at(&mut self, link: Link, error: &io::Error) {
        let name = self
            .sockets
            .interface(link)
            .map(|interface| interface.name.clone());
        self.fail(&name.unwrap_or_default(), error);
    }

    fn fail(&mut self, where_to: &str, error: &io::Error) {
        if self.failed.insert(where_to.to_owned()) {
            self.problems.push(format!("on {where_to}: {error}"));
        }
    }
}

/// The name that the log has shown, and when.
#[derive(Debug, Default)]
struct Shown(Option<(Label, Duration)>);

impl Shown {
    /// The name, if the log is to show it now.
    fn take(&mut self, now: Duration, name: Label) -> Option<Label> {
        let is_due = |(shown, at): &(Label, Duration)| *shown != name && now >= *at + NAME_EVERY;
        let is_due = self.0.as_ref().is_none_or(is_due);
        is_due.then(|| self.0.insert((name, now)).0.clone())
    }
}

/// The interface with those of its addresses at which a listener is reached.
fn reachable(mut interface: Interface, listener: SocketAddr) -> Interface {
    let is_reachable = |ip: IpAddr| match listener.ip() {
        own if own.is_unspecified() => own.is_ipv6() || ip.is_ipv4(),
        own => own == ip,
    };
    interface.addresses.retain(|&(ip, _)| is_reachable(ip));
    interface
}

impl Drop for Announcer {
    fn drop(&mut self) {
        let goodbye = self.responder.goodbye();
        self.send(&goodbye);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_changes_often_is_shown_once_a_minute() {
        let name = |text: &str| Label::new(text).unwrap();
        let mut shown = Shown::default();
        let mut take = |seconds, text| shown.take(Duration::from_secs(seconds), name(text));
        assert_eq!(take(5, "Lab"), Some(name("Lab")));
        assert_eq!(take(6, "Lab (2)"), None);
        assert_eq!(take(64, "Lab (17)"), None);
        assert_eq!(take(65, "Lab (18)"), Some(name("Lab (18)")));
        assert_eq!(take(300, "Lab (18)"), None);
    }

    #[test]
    fn only_addresses_at_which_the_server_listens_are_announced() {
        let addresses: [IpAddr; 3] = [
            [192, 168, 1, 7].into(),
            [10, 0, 0, 7].into(),
            "fe80::7".parse().unwrap(),
        ];
        let interface = || Interface {
            index: 2,
            name: "eth0".to_owned(),
            addresses: addresses.map(|ip| (ip, 24)).to_vec(),
        };
        for (listener, expected) in [
            ("0.0.0.0:9000", &addresses[..2]),
            ("[::]:9000", &addresses),
            ("10.0.0.7:9000", &addresses[1..2]),
            ("10.0.0.8:9000", &[]),
        ] {
            let kept = reachable(interface(), listener.parse().unwrap()).addresses;
            let kept: Vec<_> = kept.into_iter().map(|(ip, _)| ip).collect();
            assert_eq!(kept, expected, "{listener}");
        }
    }
}
