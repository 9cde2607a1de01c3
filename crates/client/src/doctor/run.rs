//! The loop: carries out what the [`Doctor`] wants, over real sockets, and prints what it finds when it is found.

use super::findings::{Failure, Verdict};
use super::{Doctor, Effect, Ends, report};
use crate::exit::Exit;
use crate::net::connect::{Attempt, Connection, resolve};
use crate::settings::Settings;
use anyhow::{Context, Result};
use chat_proto::opaque::Opaque;
use chat_sys::clock::Clock;
use chat_sys::{is_transient, udp_errors};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;

/// Read at once from the server.
const READ_MAX: usize = 16 * 1024;

/// Datagrams taken in one turn, so that a flood of them does not keep it beyond its time.
const DATAGRAMS_MAX: usize = 64;

/// Examines the way to the server, and prints what works.
///
/// # Errors
/// If the system has no randomness, can't wait, or the report can't be printed.
pub fn run(settings: &Settings) -> Result<Exit> {
    let clock = Clock::start();
    let server = &settings.server;
    getrandom::fill(&mut [0; 16]).context("the system has no randomness")?;
    let random = || {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the system had randomness before");
        Opaque(bytes)
    };
    // The system takes its own time for this, and has no other way to be asked.
    let found = resolve(&server.host, server.port()).map_err(|error| error.root_cause().to_string());
    // One of the settings file that somebody has is no hindrance: its user gets in without.
    let nick = settings.nick.clone().filter(|_| settings.insists_on_nick());
    let doctor = Doctor::new(clock.now(), found, &server.host, nick, Box::new(random));
    let practice = Practice {
        clock,
        doctor,
        state: State::Idle,
        unsent: Vec::new(),
        buffer: vec![0; READ_MAX].into(),
        printed: 0,
    };
    practice.run()
}

/// The doctor and the sockets.
struct Practice {
    clock: Clock,
    doctor: Doctor,
    state: State,
    /// To the server; a few lines at most.
    unsent: Vec<u8>,
    buffer: Box<[u8]>,
    /// Findings that were printed.
    printed: usize,
}

enum State {
    Idle,
    Trying(Attempt),
    Up(Connection),
}

impl Practice {
    fn run(mut self) -> Result<Exit> {
        loop {
            self.carry_out();
            self.print().context("can't print")?;
            if self.doctor.is_done() {
                break;
            }
            let (tcp, udp) = self.wait()?;
            if tcp {
                self.serve_tcp();
            }
            if udp {
                self.read_datagrams();
            }
            self.doctor.tick(self.clock.now());
        }
        let verdict = Verdict::of(self.doctor.findings());
        writeln!(io::stdout(), "{}", report::conclusion(verdict)).context("can't print")?;
        Ok(if verdict.is_good() {
            Exit::Delivered
        } else {
            Exit::Error
        })
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.doctor.next_effect() {
            match effect {
                Effect::Connect(to) => self.connect(to),
                Effect::Say(line) => self.unsent.extend(line.bytes()),
                Effect::Datagram(bytes) => self.send_datagram(&bytes),
            }
        }
        self.write();
    }

    fn connect(&mut self, to: SocketAddr) {
        match Attempt::begin(to) {
            Ok(attempt) => self.state = State::Trying(attempt),
            Err(error) => self.doctor.not_connected(self.clock.now(), failure(&error)),
        }
    }

    fn write(&mut self) {
        let State::Up(connection) = &mut self.state else {
            return;
        };
        // What breaks here is found out by reading.
        if !self.unsent.is_empty()
            && let Ok(count) = connection.tcp.write(&self.unsent)
        {
            self.unsent.drain(..count);
        }
    }

    /// One that can't be sent is one that is not answered.
    fn send_datagram(&self, bytes: &[u8]) {
        if let State::Up(connection) = &self.state
            && let Some(udp) = &connection.udp
            && let Ok(server) = connection.tcp.peer_addr()
        {
            let _ = udp.send_to(bytes, server);
        }
    }

    /// Prints what was found since, each line as soon as it is known: some of it takes a second.
    fn print(&mut self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for finding in self.doctor.findings().iter().skip(self.printed) {
            write!(out, "{}", report::word(finding))?;
        }
        self.printed = self.doctor.findings().len();
        out.flush()
    }

    /// Waits for something to happen: over TCP, over UDP.
    fn wait(&self) -> Result<(bool, bool)> {
        let mut descriptors = Vec::new();
        match &self.state {
            State::Idle => {}
            State::Trying(attempt) => {
                descriptors.push(PollFd::new(attempt.descriptor(), PollFlags::POLLOUT));
            }
            State::Up(connection) => {
                let mut interest = PollFlags::POLLIN;
                interest.set(PollFlags::POLLOUT, !self.unsent.is_empty());
                descriptors.push(PollFd::new(connection.tcp.as_fd(), interest));
                let udp = connection.udp.as_ref();
                descriptors.extend(udp.map(|udp| PollFd::new(udp.as_fd(), PollFlags::POLLIN)));
            }
        }
        let deadline = Some(self.doctor.deadline());
        match poll(&mut descriptors, self.clock.timeout(deadline)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("can't poll"),
        }
        let happened = |place: usize| {
            let events = descriptors.get(place).and_then(PollFd::revents);
            events.is_some_and(|events| !events.is_empty())
        };
        Ok((happened(0), happened(1)))
    }

    fn serve_tcp(&mut self) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Trying(attempt) => {
                let now = self.clock.now();
                match attempt.finish().and_then(ends) {
                    Ok((connection, ends)) => {
                        self.state = State::Up(connection);
                        self.doctor.connected(now, ends);
                    }
                    Err(error) => self.doctor.not_connected(now, failure(&error)),
                }
            }
            State::Up(mut connection) => {
                let read = connection.tcp.read(&mut self.buffer);
                let now = self.clock.now();
                match read {
                    Ok(0) => self.doctor.closed(),
                    Ok(count) => self
                        .doctor
                        .receive(now, self.buffer.get(..count).unwrap_or_default()),
                    Err(error) if is_transient(&error) => {}
                    Err(_) => self.doctor.closed(),
                }
                self.state = State::Up(connection);
            }
        }
    }

    fn read_datagrams(&mut self) {
        let State::Up(connection) = &self.state else {
            return;
        };
        let Some(udp) = &connection.udp else {
            return;
        };
        for _ in 0..DATAGRAMS_MAX {
            let Some((count, from)) = udp_errors::receive(udp, &mut self.buffer) else {
                break;
            };
            let datagram = self.buffer.get(..count).unwrap_or_default();
            self.doctor.datagram(self.clock.now(), from, datagram);
        }
        if !udp_errors::take(udp).is_empty() {
            self.doctor.datagram_refused();
        }
    }
}

fn ends(connection: Connection) -> io::Result<(Connection, Ends)> {
    let ends = connection.endpoints()?;
    if let Some(udp) = &connection.udp {
        never_cut(udp, ends.server)?;
    }
    let ends = Ends {
        local: ends.local,
        server: ends.server,
        udp_port: ends.udp_port,
        ports: connection.ports,
    };
    Ok((connection, ends))
}

/// Has datagrams go out whole and marked "don't fragment", whatever the system has learned of the path: else it would
/// cut those that it knows to be too long, and that they come back would show nothing.
fn never_cut(udp: &UdpSocket, server: SocketAddr) -> io::Result<()> {
    match server {
        SocketAddr::V4(_) => set_ip_mtu_discover(udp, Ipv4PathMtuDiscovery::PROBE)?,
        SocketAddr::V6(_) => set_ipv6_mtu_discover(udp, Ipv6PathMtuDiscovery::PROBE)?,
    }
    Ok(())
}

fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        ErrorKind::ConnectionRefused => Failure::Refused,
        _ => Failure::Other(error.to_string().into()),
    }
}
