//! The sockets of a running session.

use super::connect::Connection;
use crate::session::{Session, Transmit};
use chat_proto::now::Now;
use chat_sys::{is_transient, udp_errors};
use nix::poll::PollFlags;
use socket2::SockRef;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};

/// What may wait to be written to the server, in bytes, before the program stops reading what would
/// add to it.
const UNSENT_MAX: usize = 256 * 1024;
/// Datagrams that may wait, likewise.
const DATAGRAMS_MAX: usize = 64;
/// Read from the server at once, in bytes: more saves nothing, and would make what is typed wait.
const READ_MAX: usize = 64 * 1024;

/// Carries bytes and datagrams between the network and a [`Session`], as much as goes without waiting.
#[derive(Debug)]
pub struct Link {
    tcp: TcpStream,
    /// The server's address, whose scope a link-local address of a peer needs too.
    server: SocketAddr,
    udp: Option<UdpSocket>,
    unsent: Vec<u8>,
    datagrams: VecDeque<Transmit>,
    /// Nothing more can be written; what the server said before may still be read.
    broken: bool,
    buffer: Box<[u8]>,
    datagram: Box<[u8]>,
}

impl Link {
    /// A link over a connection.
    ///
    /// # Errors
    /// If the connection is gone already.
    pub fn new(connection: Connection) -> io::Result<Self> {
        Ok(Self {
            server: connection.tcp.peer_addr()?,
            tcp: connection.tcp,
            udp: connection.udp,
            unsent: Vec::new(),
            datagrams: VecDeque::new(),
            broken: false,
            buffer: vec![0; READ_MAX].into(),
            datagram: vec![0; READ_MAX].into(),
        })
    }

    /// The TCP socket.
    #[must_use]
    pub fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// The UDP socket.
    #[must_use]
    pub fn udp(&self) -> Option<&UdpSocket> {
        self.udp.as_ref()
    }

    /// What to poll the TCP socket for. A server that sends and does not read is not read either.
    #[must_use]
    pub fn tcp_interest(&self) -> PollFlags {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::POLLOUT, !self.unsent.is_empty());
        interest.set(PollFlags::POLLIN, self.unsent.len() < UNSENT_MAX);
        interest
    }

    /// What to poll the UDP socket for.
    #[must_use]
    pub fn udp_interest(&self) -> PollFlags {
        let mut interest = PollFlags::POLLIN;
        interest.set(PollFlags::POLLOUT, !self.datagrams.is_empty());
        interest
    }

    /// Whether more may be given to send.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.unsent.len() < UNSENT_MAX && self.datagrams.len() < DATAGRAMS_MAX
    }

    /// Takes what the session wants sent, and sends what goes.
    pub fn send(&mut self, session: &mut Session, now: Now) {
        let bytes = session.take_bytes();
        if !self.broken {
            self.unsent.extend_from_slice(&bytes);
        }
        while let Some(transmit) = session.next_datagram() {
            self.datagrams.push_back(transmit);
        }
        self.write();
        self.send_datagrams(session, now);
    }

    fn write(&mut self) {
        let mut written = 0;
        while let Some(rest) = self.unsent.get(written..).filter(|rest| !rest.is_empty()) {
            match self.tcp.write(rest) {
                Ok(length) => written += length,
                Err(error) if is_transient(&error) => break,
                Err(_) => {
                    // Why it broke the server may have said before; reading tells.
                    self.broken = true;
                    written = self.unsent.len();
                }
            }
        }
        self.unsent.drain(..written);
    }

    fn send_datagrams(&mut self, session: &mut Session, now: Now) {
        while let Some(Transmit { to, ttl, bytes }) = self.datagrams.front() {
            let to = *to;
            let sent = match &self.udp {
                Some(udp) => {
                    let to = scoped(to, self.server);
                    udp_errors::send_past(|| send_datagram(udp, bytes, to, *ttl))
                }
                None => Err(io::ErrorKind::Unsupported.into()),
            };
            match sent {
                Err(error) if is_transient(&error) => return,
                Err(_) => session.datagram_failed(to, now),
                Ok(_) => {}
            }
            self.datagrams.pop_front();
        }
    }

    /// Reads from the server, once.
    ///
    /// Datagrams that are there by then are passed on first: who confirms a message and leaves has confirmed
    /// it, though the news of both is read in one turn.
    pub fn read(&mut self, session: &mut Session, now: Now) {
        let read = self.tcp.read(&mut self.buffer);
        self.read_datagrams(session, now);
        match read {
            Ok(0) => session.closed(now),
            Ok(length) => session.receive(self.buffer.get(..length).unwrap_or_default(), now),
            Err(error) if is_transient(&error) => {}
            Err(_) => session.closed(now),
        }
    }

    /// Reads the datagrams that are there, a few dozen at most.
    pub fn read_datagrams(&mut self, session: &mut Session, now: Now) {
        let Some(udp) = &self.udp else {
            return;
        };
        for _ in 0..DATAGRAMS_MAX {
            let Some((length, source)) = udp_errors::receive(udp, &mut self.datagram) else {
                break;
            };
            session.datagram(source, self.datagram.get(..length).unwrap_or_default(), now);
        }
        for to in udp_errors::take(udp) {
            session.datagram_failed(to, now);
        }
    }
}

/// Sends a datagram with a hop limit of its own, if it is to have one.
///
/// Linux marks it "don't fragment" by itself: that is so for every UDP datagram that is no larger than the path is
/// known to carry (ip(7), `IP_PMTUDISC_WANT`), and these are small.
fn send_datagram(udp: &UdpSocket, bytes: &[u8], to: SocketAddr, ttl: Option<u8>) -> io::Result<usize> {
    let Some(ttl) = ttl else {
        return udp.send_to(bytes, to);
    };
    let socket = SockRef::from(udp);
    let usual = hop_limit(&socket, to)?;
    set_hop_limit(&socket, to, ttl.into())?;
    let sent = udp.send_to(bytes, to);
    set_hop_limit(&socket, to, usual)?;
    sent
}

fn hop_limit(socket: &SockRef<'_>, to: SocketAddr) -> io::Result<u32> {
    if to.is_ipv4() {
        socket.ttl_v4()
    } else {
        socket.unicast_hops_v6()
    }
}

fn set_hop_limit(socket: &SockRef<'_>, to: SocketAddr, hops: u32) -> io::Result<()> {
    if to.is_ipv4() {
        socket.set_ttl_v4(hops)
    } else {
        socket.set_unicast_hops_v6(hops)
    }
}

/// Gives a link-local address the scope of the server's: an id has none, because it means something
/// on one host only, and whoever is in the room by such an address is on the link of the server.
fn scoped(to: SocketAddr, server: SocketAddr) -> SocketAddr {
    match (to, server) {
        (SocketAddr::V6(mut to), SocketAddr::V6(server)) if to.ip().is_unicast_link_local() => {
            to.set_scope_id(server.scope_id());
            to.into()
        }
        _ => to,
    }
}
