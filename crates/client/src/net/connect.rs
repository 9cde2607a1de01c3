//! Connecting to a server, from a port pair.
//!
//! The original's rule: private messages go to the UDP port after the TCP port. So the client first takes a UDP port
//! from the system, and connects from the TCP port before it. In the other order, the UDP port is taken more often.

use super::interfaces::addresses;
use crate::private::DATAGRAM_MAX;
use crate::session::Endpoints;
use anyhow::{Context, Result, bail};
use chat_sys::{udp_errors, udp_segments};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Attempts to get a port pair. Nearly every first one succeeds, so 16 failures are no accident.
const PAIR_TRIES: usize = 16;

/// When the system begins to check a silent connection, and how often. A lost original server, which is never pinged,
/// would otherwise go unnoticed.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The receive buffer that is asked for: files come fast. The system may give less.
const RECEIVE_BUFFER: usize = 2 << 20;

/// Bytes of a receive buffer that Linux takes for a datagram of [`DATAGRAM_MAX`] bytes (measured).
const TAKEN: usize = 2304;

/// How long a server of this machine may take to accept a connection, in milliseconds.
const LOCAL_MS: u16 = 200;

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    /// The connection to the server. Non-blocking.
    pub tcp: TcpStream,
    /// The socket for private messages. Non-blocking.
    pub udp: Option<UdpSocket>,
    /// How the two ports relate.
    pub ports: Ports,
}

impl Connection {
    /// Its addresses.
    ///
    /// # Errors
    /// If the connection is closed already.
    pub fn endpoints(&self) -> io::Result<Endpoints> {
        let local = self.tcp.local_addr()?;
        let udp_port = self
            .udp
            .as_ref()
            .map(UdpSocket::local_addr)
            .transpose()?
            .map(|address| address.port());
        Ok(Endpoints {
            local,
            server: self.tcp.peer_addr()?,
            udp_port,
            addresses: udp_port.map_or(Vec::new(), |port| addresses(port, local.ip())),
        })
    }

    /// Bytes of datagrams that the UDP socket holds until they are read.
    pub fn receive_room(&self) -> usize {
        let size = self.udp.as_ref().map(|udp| SockRef::from(udp).recv_buffer_size());
        size.and_then(Result::ok).unwrap_or(0) / TAKEN * DATAGRAM_MAX
    }
}

/// The UDP port, relative to the TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The next one.
    Paired,
    /// Another one, which original programs can't find.
    Apart,
    /// None.
    NoUdp,
}

impl Ports {
    /// What the user should know, in a line.
    pub fn warning(self) -> Option<&'static str> {
        match self {
            Self::Paired => None,
            Self::Apart => Some(
                "no pair of neighbouring ports is free: private messages work with chat servers, but users \
                 of the original programs can't reach you",
            ),
            Self::NoUdp => Some("can't open a UDP port: private messages go through the server only"),
        }
    }
}

/// The addresses of a host, without duplicates.
pub(crate) fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let found = (host, port).to_socket_addrs().with_context(|| {
        format!("unknown host {host} (check its spelling, or write its address, such as 192.0.2.7)")
    })?;
    let mut addresses = Vec::new();
    for address in found.map(unmapped) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        bail!("unknown host {host}: it has no address");
    }
    Ok(addresses)
}

/// An IPv4-mapped address is reached over IPv4. Unlike the canonical form of an id, this keeps the scope, which a
/// link-local address needs.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// Why an address can't be reached, and what to do.
pub(super) fn explain(address: SocketAddr, error: &io::Error, timeout: Duration) -> String {
    use io::ErrorKind::{ConnectionRefused, TimedOut};
    match error.kind() {
        ConnectionRefused => {
            let anywhere = unspecified(address);
            let port = address.port();
            format!("nobody listens at {address}: start a server there with `chat-server {anywhere} {port}`")
        }
        _ if lacks_interface(address) => format!(
            "can't reach {address}: a link-local address needs its interface too, as in {}%eth0",
            address.ip()
        ),
        TimedOut => format!("no answer from {address} within {} s", timeout.as_secs_f64()),
        _ => format!("can't reach {address}: {error}"),
    }
}

/// Every interface has its own link-local addresses.
fn lacks_interface(address: SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}

/// Two sockets, of which the first is connected or connecting.
#[derive(Debug)]
struct Dialled {
    tcp: Socket,
    udp: Option<Socket>,
    ports: Ports,
}

fn dial(address: SocketAddr, connect: impl Fn(&Socket) -> io::Result<()>) -> io::Result<Dialled> {
    for _ in 0..PAIR_TRIES {
        let Ok(udp) = bind_udp(address) else {
            break;
        };
        let Some(tcp) = bind_tcp_before(&udp, address) else {
            continue;
        };
        let udp = Some(udp);
        match connect(&tcp) {
            // The system still remembers an earlier connection between the same ports.
            Err(error) if is_taken(&error) => {}
            Err(error) => return Err(error),
            Ok(()) => {
                return Ok(Dialled {
                    tcp,
                    udp,
                    ports: Ports::Paired,
                });
            }
        }
    }
    let tcp = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    connect(&tcp)?;
    let udp = bind_udp(address).ok();
    let ports = if udp.is_some() { Ports::Apart } else { Ports::NoUdp };
    Ok(Dialled { tcp, udp, ports })
}

/// A connection that is being made without blocking.
#[derive(Debug)]
pub struct Attempt(Dialled);

impl Attempt {
    /// Begins to connect.
    ///
    /// # Errors
    /// If that is impossible already.
    pub fn begin(address: SocketAddr) -> io::Result<Self> {
        let begin = |tcp: &Socket| {
            tcp.set_nonblocking(true)?;
            match tcp.connect(&SockAddr::from(address)) {
                Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => Err(error),
                _ => Ok(()),
            }
        };
        dial(address, begin).map(Self)
    }

    /// A connection to a server of this machine, if one answers at once.
    #[must_use]
    pub fn local(port: u16) -> Option<Self> {
        let attempt = Self::begin((Ipv4Addr::LOCALHOST, port).into()).ok()?;
        let mut descriptors = [PollFd::new(attempt.descriptor(), PollFlags::POLLOUT)];
        poll(&mut descriptors, PollTimeout::from(LOCAL_MS)).ok()?;
        let [events] = descriptors.map(|descriptor| descriptor.revents().unwrap_or(PollFlags::empty()));
        (events.contains(PollFlags::POLLOUT) && !events.contains(PollFlags::POLLERR)).then_some(attempt)
    }

    /// Writable when the attempt is done.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.tcp.as_fd()
    }

    /// The connection.
    ///
    /// # Errors
    /// Why there is none.
    pub fn finish(self) -> io::Result<Connection> {
        let Self(dialled) = self;
        if let Some(error) = dialled.tcp.take_error()? {
            return Err(error);
        }
        dialled.ready()
    }
}

/// A UDP socket on any free port, for the family of `address`. Never with `SO_REUSEADDR`, with which another process
/// could take the port over.
fn bind_udp(address: SocketAddr) -> io::Result<Socket> {
    let udp = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    bind(&udp, address, 0)?;
    Ok(udp)
}

/// A TCP socket on the port before that of `udp`, if it is free.
fn bind_tcp_before(udp: &Socket, address: SocketAddr) -> Option<Socket> {
    let port = udp.local_addr().ok()?.as_socket()?.port();
    let tcp = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).ok()?;
    bind(&tcp, address, port.checked_sub(1).filter(|&port| port != 0)?).ok()?;
    Some(tcp)
}

fn bind(socket: &Socket, address: SocketAddr, port: u16) -> io::Result<()> {
    if address.is_ipv6() {
        // Another process may have the same port of IPv4.
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(SocketAddr::new(unspecified(address), port)))
}

fn unspecified(address: SocketAddr) -> IpAddr {
    match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable
    )
}

impl Dialled {
    fn ready(self) -> io::Result<Connection> {
        let Self { tcp, udp, ports } = self;
        // Without a listener, a socket whose port is the server's connects to itself.
        if tcp.local_addr()?.as_socket() == tcp.peer_addr()?.as_socket() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        // Send each line at once, not when TCP has acknowledged the last one.
        tcp.set_tcp_nodelay(true)?;
        tcp.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
        tcp.set_nonblocking(true)?;
        if let Some(udp) = &udp {
            udp.set_nonblocking(true)?;
            // What the system gives is read again when it counts.
            let _ = udp.set_recv_buffer_size(RECEIVE_BUFFER);
        }
        let udp = udp.map(UdpSocket::from);
        if let Some(udp) = &udp {
            // Without reports of closed ports, unencrypted messages are less reliable, as on the original.
            let _ = udp_errors::enable(udp);
            // Older systems hand over each datagram alone.
            let _ = udp_segments::enable(udp);
        }
        Ok(Connection {
            tcp: tcp.into(),
            udp,
            ports,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_connection_is_made_without_waiting_for_it() {
        let wait = |attempt: &Attempt| {
            let mut descriptors = [PollFd::new(attempt.descriptor(), PollFlags::POLLOUT)];
            poll(&mut descriptors, PollTimeout::from(5000_u16)).unwrap();
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let attempt = Attempt::begin(address).unwrap();
        wait(&attempt);
        let connection = attempt.finish().unwrap();
        assert_eq!(connection.tcp.peer_addr().unwrap(), address);
        assert_eq!(connection.ports, Ports::Paired);
        drop(listener);
        if let Ok(attempt) = Attempt::begin(address) {
            wait(&attempt);
            assert!(attempt.finish().is_err());
        }
    }

    #[test]
    fn a_udp_port_is_not_shared() {
        let address = "127.0.0.1:9".parse().unwrap();
        let udp = bind_udp(address).unwrap();
        let port = udp.local_addr().unwrap().as_socket().unwrap().port();
        assert!(UdpSocket::bind(("0.0.0.0", port)).is_err());
    }

    #[test]
    fn a_taken_tcp_port_is_not_used() {
        let address = "127.0.0.1:9".parse().unwrap();
        // Another process may have the first already.
        let had = std::iter::repeat_with(|| bind_udp(address).unwrap())
            .take(1000)
            .find_map(|udp| Some((bind_tcp_before(&udp, address)?, udp)));
        let (_first, udp) = had.unwrap();
        assert!(bind_tcp_before(&udp, address).is_none());
    }

    /// A peer gets no more credit than that.
    #[test]
    fn the_receive_buffer_holds_what_is_said() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let attempt = Attempt::begin(listener.local_addr().unwrap()).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let connection = attempt.finish().unwrap();
        let room = connection.receive_room();
        let udp = connection.udp.unwrap();
        let to = SocketAddr::from(([127, 0, 0, 1], udp.local_addr().unwrap().port()));
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..room / DATAGRAM_MAX {
            sender.send_to(&[0; DATAGRAM_MAX], to).unwrap();
        }
        let mut buffer = [0; DATAGRAM_MAX];
        let held = std::iter::from_fn(|| udp.recv(&mut buffer).ok()).count();
        assert!(room >= 90 * DATAGRAM_MAX, "{room}");
        assert_eq!(held, room / DATAGRAM_MAX);
    }

    #[test]
    fn a_connection_to_itself_is_refused() {
        let address = "127.0.0.1:9".parse().unwrap();
        let tcp = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        bind(&tcp, address, 0).unwrap();
        let port = tcp.local_addr().unwrap().as_socket().unwrap().port();
        tcp.connect(&SockAddr::from(SocketAddr::from(([127, 0, 0, 1], port))))
            .unwrap();
        let dialled = Dialled {
            tcp,
            udp: None,
            ports: Ports::NoUdp,
        };
        assert_eq!(
            dialled.ready().unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }
}
