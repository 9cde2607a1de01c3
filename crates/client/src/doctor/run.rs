//! The loop: carries out the effects of a [`Check`] over real sockets, and prints its report as it
//! grows.

use super::check::{Check, Effect};
use super::lan;
use super::measurement::Sockets;
use crate::exit::Exit;
use crate::known_servers::{Known, KnownServers};
use crate::net::connect::{Attempt, Connection, resolve};
use crate::net::secure::{Secure, Trust};
use crate::private::random;
use crate::settings::Settings;
use anyhow::{Context, Result};
use chat_noise::key::KeyPair;
use chat_sys::clock::Clock;
use chat_sys::{is_transient, udp_errors};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// Bytes to read from the server at once.
const READ_MAX: usize = 16 * 1024;

/// Datagrams to read in one turn, so that a flood of them does not delay the deadlines.
const DATAGRAMS_MAX: usize = 64;

/// Checks the server and prints the report. If none is named and none of this machine answers, it is about the LAN.
///
/// # Errors
/// If the system has no randomness, can't wait, or the report can't be printed.
pub fn run(settings: &Settings) -> Result<Exit> {
    if settings.names_no_server() && Attempt::local(settings.server.port()).is_none() {
        return lan::run(settings.server.port());
    }
    let clock = Clock::start();
    let server = &settings.server;
    let secret = random::secret()?;
    // An original server is told of as such, and told nothing.
    let trust = Trust {
        clear: true,
        key_only: true,
        ..Trust::default()
    };
    let (_, known) = KnownServers::look_up(server)?;
    // This blocks; the system has no other way.
    let addresses = resolve(&server.host, server.port()).map_err(|error| error.root_cause().to_string());
    // If a nick from the settings file is taken, the client joins without it.
    let nick = settings.nick().filter(|_| settings.insists_on_nick());
    let runner = Runner {
        check: Check::new(clock.now(), &server.host, addresses, nick),
        known,
        clock,
        state: State::Idle,
        secure: Secure::new(KeyPair::from_secret(secret), trust, Box::new(random::system)),
        unsent: Vec::new(),
        buffer: vec![0; READ_MAX].into(),
        printed: 0,
    };
    runner.run()
}

struct Runner {
    check: Check,
    clock: Clock,
    /// What is remembered of the server.
    known: Option<Known>,
    state: State,
    secure: Secure,
    /// To the server; a few lines at most.
    unsent: Vec<u8>,
    buffer: Box<[u8]>,
    /// Entries of the report that are printed.
    printed: usize,
}

enum State {
    Idle,
    Connecting(Attempt),
    Connected(Connection),
}

impl Runner {
    fn run(mut self) -> Result<Exit> {
        loop {
            self.carry_out_effects();
            self.print().context("can't print the report")?;
            if self.check.is_done() {
                break;
            }
            let (tcp, udp) = self.wait()?;
            if tcp {
                self.serve_tcp();
            }
            if udp {
                self.read_datagrams();
            }
            self.check.tick(self.clock.now());
        }
        let report = self.check.report();
        writeln!(io::stdout(), "{}", report.conclusion()).context("can't print the report")?;
        Ok(if report.is_good() {
            Exit::Delivered
        } else {
            Exit::Error
        })
    }

    fn carry_out_effects(&mut self) {
        while let Some(effect) = self.check.next_effect() {
            match effect {
                Effect::Connect(to) => match Attempt::begin(to) {
                    Ok(attempt) => self.state = State::Connecting(attempt),
                    Err(error) => self.check.not_connected(self.clock.now(), &error),
                },
                Effect::Send(line) => self.secure.send(self.clock.now(), line.as_bytes()),
                Effect::SendDatagram(bytes) => self.send_datagram(&bytes),
            }
        }
        self.unsent.append(&mut self.secure.take_out());
        if let State::Connected(connection) = &mut self.state
            && !self.unsent.is_empty()
            // If this fails, reading does too.
            && let Ok(count) = connection.tcp.write(&self.unsent)
        {
            self.unsent.drain(..count);
        }
    }

    /// A datagram that can't be sent is one without an answer.
    fn send_datagram(&self, bytes: &[u8]) {
        if let State::Connected(connection) = &self.state
            && let Some(udp) = &connection.udp
            && let Ok(server) = connection.tcp.peer_addr()
        {
            let _ = udp.send_to(bytes, server);
        }
    }

    /// Prints new entries at once: the checks take seconds.
    fn print(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let entries = self.check.report().entries();
        for entry in entries.iter().skip(self.printed) {
            out.write_all(entry.as_bytes())?;
        }
        self.printed = entries.len();
        out.flush()
    }

    /// Waits until TCP or UDP is ready, or a deadline passes.
    fn wait(&self) -> Result<(bool, bool)> {
        let mut descriptors = Vec::new();
        match &self.state {
            State::Idle => {}
            State::Connecting(attempt) => {
                descriptors.push(PollFd::new(attempt.descriptor(), PollFlags::POLLOUT));
            }
            State::Connected(connection) => {
                let mut interest = PollFlags::POLLIN;
                interest.set(PollFlags::POLLOUT, !self.unsent.is_empty());
                descriptors.push(PollFd::new(connection.tcp.as_fd(), interest));
                let udp = connection.udp.as_ref();
                descriptors.extend(udp.map(|udp| PollFd::new(udp.as_fd(), PollFlags::POLLIN)));
            }
        }
        let timeout = self.clock.timeout(Some(self.check.deadline()));
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("can't poll"),
        }
        let is_ready = |place: usize| {
            let events = descriptors.get(place).and_then(PollFd::revents);
            events.is_some_and(|events| !events.is_empty())
        };
        Ok((is_ready(0), is_ready(1)))
    }

    fn serve_tcp(&mut self) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Connecting(attempt) => {
                let now = self.clock.now();
                match attempt.finish().and_then(prepare) {
                    Ok((connection, sockets)) => {
                        self.state = State::Connected(connection);
                        self.secure.connected();
                        self.check.connected(now, sockets);
                    }
                    Err(error) => self.check.not_connected(now, &error),
                }
            }
            State::Connected(mut connection) => {
                match connection.tcp.read(&mut self.buffer) {
                    Ok(0) => self.check.closed(None),
                    Ok(count) => {
                        let bytes = self.buffer.get(..count).unwrap_or_default();
                        let received = self.secure.receive(self.clock.now(), bytes);
                        self.check.receive(self.clock.now(), &received.bytes);
                        if let Some(proven) = received.proven {
                            self.check.proven(proven, self.known);
                        }
                        if received.refusal.is_some() {
                            self.check.closed(None);
                        }
                    }
                    Err(error) if is_transient(&error) => {}
                    Err(_) => self.check.closed(None),
                }
                self.state = State::Connected(connection);
            }
        }
    }

    fn read_datagrams(&mut self) {
        let State::Connected(Connection { udp: Some(udp), .. }) = &self.state else {
            return;
        };
        for _ in 0..DATAGRAMS_MAX {
            let Some((count, from)) = udp_errors::receive_past(|| udp.recv_from(&mut self.buffer)) else {
                break;
            };
            let datagram = self.buffer.get(..count).unwrap_or_default();
            self.check.receive_datagram(self.clock.now(), from, datagram);
        }
        if !udp_errors::take(udp).is_empty() {
            self.check.datagram_refused();
        }
    }
}

fn prepare(connection: Connection) -> io::Result<(Connection, Sockets)> {
    let server = connection.tcp.peer_addr()?;
    let mut udp_port = None;
    if let Some(udp) = &connection.udp {
        udp_port = Some(udp.local_addr()?.port());
        forbid_fragments(udp, server)?;
    }
    let sockets = Sockets {
        local: connection.tcp.local_addr()?,
        server,
        udp_port,
        ports: connection.ports,
    };
    Ok((connection, sockets))
}

/// Sends datagrams whole, marked "don't fragment", even if the system knows that the path MTU is
/// smaller. Otherwise it would fragment them, and their return would prove nothing.
fn forbid_fragments(udp: &UdpSocket, server: SocketAddr) -> io::Result<()> {
    match server {
        SocketAddr::V4(_) => set_ip_mtu_discover(udp, Ipv4PathMtuDiscovery::PROBE)?,
        SocketAddr::V6(_) => set_ipv6_mtu_discover(udp, Ipv6PathMtuDiscovery::PROBE)?,
    }
    Ok(())
}
