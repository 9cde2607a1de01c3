//! The sockets of a running session.

use super::connect::Connection;
use super::secure::{Proven, Secure};
use crate::session::{Session, Transmit};
use chat_proto::now::Now;
use chat_sys::udp_segments::{self, SEGMENTS_MAX, Segments};
use chat_sys::{is_transient, udp_errors};
use nix::poll::{PollFd, PollFlags};
use socket2::SockRef;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;

/// Unsent bytes at which the program stops reading input.
const UNSENT_MAX: usize = 256 * 1024;
/// Unsent datagrams at which it does so too.
const DATAGRAMS_MAX: usize = 64;
/// Bytes read from the server at once. More saves nothing, and delays the user's input.
const READ_MAX: usize = 64 * 1024;

/// Carries bytes and datagrams between the network and a [`Session`], without waiting.
#[derive(Debug)]
pub struct Sockets {
    /// `None` once the connection is lost. Datagrams are still carried.
    tcp: Option<TcpStream>,
    /// The server's address. A link-local peer is in the same scope.
    server: SocketAddr,
    udp: Option<UdpSocket>,
    secure: Secure,
    /// What the server has proven, until the program has taken note of it.
    proven: Option<Proven>,
    unsent: Vec<u8>,
    /// Nothing more can be written. Earlier bytes of the server can still be read.
    broken: bool,
    buffer: Box<[u8]>,
    /// What one call receives: a datagram, or several.
    datagrams: Box<[u8]>,
    /// The system sends several datagrams in one call.
    has_segments: bool,
}

impl Sockets {
    /// No sockets. Connections will be encrypted by `secure`.
    pub fn unconnected(secure: Secure) -> Self {
        Self {
            server: SocketAddr::from(([0; 4], 0)),
            tcp: None,
            udp: None,
            secure,
            proven: None,
            unsent: Vec::new(),
            broken: false,
            buffer: Box::default(),
            datagrams: Box::default(),
            has_segments: false,
        }
    }

    /// Takes the sockets of a new connection.
    ///
    /// # Errors
    /// If the connection is closed already.
    pub fn connect(&mut self, connection: Connection) -> io::Result<()> {
        self.server = connection.tcp.peer_addr()?;
        self.tcp = Some(connection.tcp);
        self.udp = connection.udp;
        self.has_segments = self.udp.as_ref().is_some_and(udp_segments::can_send);
        self.secure.connected();
        self.unsent.clear();
        self.broken = false;
        self.buffer = vec![0; READ_MAX].into();
        self.datagrams = vec![0; READ_MAX].into();
        Ok(())
    }

    /// What the server has proven. Once for each connection.
    pub fn take_proven(&mut self) -> Option<Proven> {
        self.proven.take()
    }

    /// Whether the server is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.server.ip().to_canonical().is_loopback()
    }

    /// Closes the connection to the server, and keeps the UDP socket.
    pub fn close_tcp(&mut self) {
        self.tcp = None;
        self.unsent = Vec::new();
    }

    /// Whether this host has lost the local address of the connection, so that no answer can arrive.
    pub fn is_address_gone(&self) -> bool {
        let local = self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok());
        local.is_some_and(is_gone)
    }

    /// The TCP socket to poll, if anything is awaited. A server that does not read is not read either.
    pub fn poll_tcp(&self, reads: bool) -> Option<PollFd<'_>> {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::POLLOUT, !self.unsent.is_empty());
        interest.set(PollFlags::POLLIN, reads && self.unsent.len() < UNSENT_MAX);
        // Without flags, poll would report a closed connection again and again.
        let tcp = self.tcp.as_ref().filter(|_| !interest.is_empty())?;
        Some(PollFd::new(tcp.as_fd(), interest))
    }

    /// The UDP socket to poll.
    pub fn poll_udp(&self, session: &Session) -> Option<PollFd<'_>> {
        let mut interest = PollFlags::POLLIN;
        interest.set(PollFlags::POLLOUT, session.datagrams_waiting() > 0);
        Some(PollFd::new(self.udp.as_ref()?.as_fd(), interest))
    }

    /// Whether the session may add more to send.
    pub fn has_room(&self, session: &Session) -> bool {
        self.unsent.len() < UNSENT_MAX && session.datagrams_waiting() < DATAGRAMS_MAX
    }

    /// Sends what the session has to send, as far as the sockets take it.
    pub fn send(&mut self, session: &mut Session, now: Now) {
        self.secure.send(now, &session.take_bytes());
        session.set_channel(self.secure.hash(), self.secure.has_phrase());
        let bytes = self.secure.take_out();
        if !self.broken && self.tcp.is_some() {
            self.unsent.extend_from_slice(&bytes);
        }
        self.write();
        self.send_datagrams(session, now);
    }

    fn write(&mut self) {
        let Some(tcp) = &mut self.tcp else {
            return;
        };
        let mut written = 0;
        while let Some(rest) = self.unsent.get(written..).filter(|rest| !rest.is_empty()) {
            match tcp.write(rest) {
                Ok(length) => written += length,
                Err(error) if is_transient(&error) => break,
                Err(_) => {
                    // The server may have sent the reason before: it is still to be read.
                    self.broken = true;
                    written = self.unsent.len();
                }
            }
        }
        self.unsent.drain(..written);
    }

    fn send_datagrams(&mut self, session: &mut Session, now: Now) {
        while let Some(to) = session.datagrams().front().map(|first| first.to) {
            match self.send_some(session) {
                Err(error) if is_transient(&error) => return,
                // It counts as lost, as on the network: a new attempt at once would fail too.
                Err(error) if udp_errors::is_drop(&error) => session.datagrams_sent(1),
                Err(_) => {
                    session.next_datagram();
                    session.datagram_failed(to, now);
                }
                Ok(count) => session.datagrams_sent(count),
            }
        }
    }

    /// Sends the first datagram, and those that can go with it in one call. Returns how many.
    fn send_some(&mut self, session: &Session) -> io::Result<usize> {
        let udp = self.udp.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        let first = session.datagrams().front().ok_or(io::ErrorKind::WouldBlock)?;
        let to = scoped(first.to, self.server);
        if self.has_segments {
            let batch = batch(session.datagrams().iter());
            let each = u16::try_from(first.bytes.len()).unwrap_or(u16::MAX);
            if batch.len() > 1 {
                match udp_errors::send_past(|| udp_segments::send(udp, &batch, each, to)) {
                    Ok(_) => return Ok(batch.len()),
                    Err(error) if is_transient(&error) => return Err(error),
                    Err(error) => self.has_segments = !udp_segments::is_refusal(&error),
                }
            }
        }
        udp_errors::send_past(|| send_datagram(udp, &first.bytes, to, first.ttl))?;
        Ok(1)
    }

    /// Reads from the server once, and then the datagrams, which the session gets first: a peer that confirms a message
    /// and leaves has confirmed it, though both arrive in one turn.
    pub fn read(&mut self, session: &mut Session, now: Now) {
        let read = self.tcp.as_mut().map(|tcp| tcp.read(&mut self.buffer));
        self.read_datagrams(session, now);
        let Some(read) = read else {
            return;
        };
        match read {
            Ok(0) => self.closed(session, now),
            Ok(length) => {
                let bytes = self.buffer.get(..length).unwrap_or_default();
                let received = self.secure.receive(now, bytes);
                self.proven = received.proven.or(self.proven);
                if !received.bytes.is_empty() {
                    session.receive(&received.bytes, now);
                }
                if let Some(refusal) = received.refusal {
                    session.refuse_server(refusal, now);
                }
            }
            Err(error) if is_transient(&error) => {}
            Err(_) => self.closed(session, now),
        }
    }

    fn closed(&mut self, session: &mut Session, now: Now) {
        match self.secure.closed() {
            Some(refusal) => session.refuse_server(refusal, now),
            None => session.closed(now),
        }
    }

    /// Reads the datagrams that have arrived, a few dozen at most.
    pub fn read_datagrams(&mut self, session: &mut Session, now: Now) {
        let Some(udp) = &self.udp else {
            return;
        };
        let mut count = 0;
        while count < DATAGRAMS_MAX
            && let Some(Segments { from, length, each }) =
                udp_errors::receive_past(|| udp_segments::receive(udp, &mut self.datagrams))
        {
            let datagrams = self.datagrams.get(..length).unwrap_or_default();
            for datagram in datagrams.chunks(each.max(1)) {
                session.datagram(from, datagram, now);
            }
            count += length.div_ceil(each.max(1)).max(1);
        }
        for to in udp_errors::take(udp) {
            session.datagram_failed(to, now);
        }
    }
}

/// Whether this host has no such address any more. Only the system knows all that it has; it lets sockets be bound to them.
fn is_gone(mut local: SocketAddr) -> bool {
    local.set_port(0);
    UdpSocket::bind(local).is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}

/// The datagrams that can go in one call: to one address, all as long as the first one, but for the last.
fn batch<'a>(mut datagrams: impl Iterator<Item = &'a Transmit>) -> Vec<IoSlice<'a>> {
    let Some(first) = datagrams.next() else {
        return Vec::new();
    };
    let mut batch = vec![IoSlice::new(&first.bytes)];
    for next in datagrams.take(SEGMENTS_MAX - 1) {
        let goes = next.to == first.to && next.ttl.or(first.ttl).is_none();
        if !goes || next.bytes.len() > first.bytes.len() {
            break;
        }
        batch.push(IoSlice::new(&next.bytes));
        if next.bytes.len() < first.bytes.len() {
            break;
        }
    }
    batch
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

/// Gives a link-local address the scope of the server's. An id has no scope, which is valid on one host only, and a
/// user with such an address is on the server's link.
fn scoped(to: SocketAddr, server: SocketAddr) -> SocketAddr {
    match (to, server) {
        (SocketAddr::V6(mut to), SocketAddr::V6(server)) if to.ip().is_unicast_link_local() => {
            to.set_scope_id(server.scope_id());
            to.into()
        }
        _ => to,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(port: u16, ttl: Option<u8>, length: usize) -> Transmit {
        Transmit {
            to: SocketAddr::from(([127, 0, 0, 1], port)),
            ttl,
            bytes: vec![0; length],
        }
    }

    #[test]
    fn datagrams_of_one_length_to_one_address_go_together() {
        let lengths_of = |datagrams: &[Transmit]| {
            let batch = batch(datagrams.iter());
            batch.iter().map(|slice| slice.len()).collect::<Vec<_>>()
        };
        let full = || datagram(1, None, 1200);
        assert_eq!(
            lengths_of(&[full(), full(), datagram(1, None, 9), full()]),
            [1200, 1200, 9]
        );
        assert_eq!(
            lengths_of(&[full(), datagram(1, None, 1201)]),
            [1200],
            "none is longer"
        );
        assert_eq!(
            lengths_of(&[full(), datagram(2, None, 1200)]),
            [1200],
            "another address"
        );
        assert_eq!(
            lengths_of(&[full(), datagram(1, Some(2), 1200)]),
            [1200],
            "a hop limit"
        );
        assert_eq!(
            lengths_of(&[datagram(1, Some(2), 1200), full()]),
            [1200],
            "a hop limit"
        );
        let many: Vec<Transmit> = (0..100).map(|_| full()).collect();
        assert_eq!(lengths_of(&many).len(), SEGMENTS_MAX);
    }

    #[test]
    fn an_address_of_another_host_is_gone() {
        assert!(is_gone("192.0.2.1:5000".parse().unwrap()));
        assert!(!is_gone("127.0.0.1:5000".parse().unwrap()));
        assert!(!is_gone("127.0.0.2:5000".parse().unwrap()));
    }
}
