//! The listener, the rendezvous socket, and the file descriptors that the server needs.

use crate::listen_fds;
use crate::room::{LEAVING_MAX, QUEUED_MAX};
use anyhow::{Context, anyhow, bail};
use chat_noise::rendezvous::REQUEST_MAX;
use chat_proto::now::Now;
use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// Connections that the system queues for the listener; Linux caps this at 4,096. With a short queue, a class that
/// starts at once would have connections refused.
const BACKLOG: i32 = 4096;

/// After this much silence the system probes the peer, this often, and this many times. The peer's system answers, not
/// its program: more can't be asked of a plain user.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// A connection whose bytes no peer acknowledges for this long has timed out.
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes that the system holds unsent for one connection; a reader that has stopped pins no more. Without this limit the
/// system's buffer grows to megabytes, and a slow reader looks stopped until a third of it is read.
const UNSENT_MAX: u32 = 64 * 1024;

/// Datagrams processed in one turn, so that a flood of them leaves time for the connections. The system's buffer holds
/// about as many.
const DATAGRAMS_MAX: usize = 256;

/// After datagrams that get no reply, the rendezvous socket rests for this long, and what comes meanwhile is processed
/// together. A turn costs about 0.4 ms with 1,000 users, so a flood takes at most 50 turns and 2 % of a processor; it
/// delays replies by 20 ms. Then 12,800 datagrams a second are processed, and the system drops the others.
const JUNK_REST: Duration = Duration::from_millis(20);

/// Ports tried for one that is free for TCP and UDP.
const PORT_TRIES: u32 = 16;

/// Addresses that are printed at most.
const REACHABLE_MAX: usize = 6;

/// Descriptors that are no connections: the standard streams, the log's terminal, the listener, the rendezvous, the
/// signals, the reserve, and some that the process inherited.
const OTHERS: usize = 24;

/// Descriptors beside those of the users.
const BESIDE: usize = LEAVING_MAX + QUEUED_MAX + OTHERS;

/// The sockets of a server.
#[derive(Debug)]
pub struct ServerSockets {
    /// For TCP.
    pub listener: Socket,
    /// For UDP on the same port number, if that port is free.
    pub rendezvous: io::Result<RendezvousSocket>,
    /// The address of both.
    pub address: SocketAddr,
}

/// The sockets that the service manager has opened, or new ones at this address. If the system chooses the port, the
/// server looks for one that is free for TCP and UDP.
///
/// # Errors
/// If the address can't be listened at.
pub fn open(address: SocketAddr) -> anyhow::Result<ServerSockets> {
    let passed = listen_fds::take().context("can't take the sockets of the service manager")?;
    if !passed.is_empty() {
        return adopt(passed.into_iter().map(Socket::from));
    }
    let mut tries = if address.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        let listener = listen(address)?;
        let address = local_address(&listener)?;
        let rendezvous = RendezvousSocket::open(address);
        if rendezvous.is_ok() || tries == 0 {
            return Ok(ServerSockets {
                listener,
                rendezvous,
                address,
            });
        }
    }
}

/// Uses sockets that were opened by another program: a listener, and perhaps one for the rendezvous.
fn adopt(sockets: impl Iterator<Item = Socket>) -> anyhow::Result<ServerSockets> {
    let (mut listener, mut rendezvous) = (None, None);
    for socket in sockets {
        let is_ip = socket
            .local_addr()
            .is_ok_and(|address| address.is_ipv4() || address.is_ipv6());
        let place = match socket.r#type() {
            Ok(Type::STREAM) if is_ip && socket.is_listener().is_ok_and(|listens| listens) => &mut listener,
            Ok(Type::DGRAM) if is_ip => &mut rendezvous,
            _ => bail!(
                "a socket of the service manager is neither a TCP listener nor one for UDP; a unit needs Accept=no"
            ),
        };
        if place.replace(socket).is_some() {
            bail!(
                "the service manager has more than one socket for TCP or for UDP; each room has one of each"
            );
        }
    }
    let listener = listener.context("the service manager has no socket for TCP")?;
    set_up(&listener)?;
    let address = local_address(&listener)?;
    let rendezvous = match rendezvous {
        Some(socket) => {
            let own = local_address(&socket)?;
            if own.port() != address.port() {
                bail!(
                    "the service manager has different ports for TCP and UDP: {} and {}",
                    address.port(),
                    own.port()
                );
            }
            socket.set_nonblocking(true)?;
            Ok(RendezvousSocket::new(socket))
        }
        None => RendezvousSocket::open(address),
    };
    Ok(ServerSockets {
        listener,
        rendezvous,
        address,
    })
}

fn listen(address: SocketAddr) -> anyhow::Result<Socket> {
    listener(address).map_err(|error| anyhow!("can't listen at {address}: {}", explain(address, &error)))
}

/// What is wrong, and what to do.
fn explain(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("port {port} is taken, perhaps by another chat-server; 0 takes a free one")
        }
        io::ErrorKind::PermissionDenied if port < 1024 => {
            "ports under 1024 are for the administrator; take a higher one, such as 9000".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address; it has {}", own_addresses())
        }
        _ if is_link_local(address.ip()) => {
            format!("{error}: a link-local address (use :: instead)")
        }
        _ => error.to_string(),
    }
}

/// The addresses of this machine, for who wrote another one.
fn own_addresses() -> String {
    let mut own: Vec<_> = interfaces().map(|(ip, _)| ip.to_string()).collect();
    own.dedup();
    own.push("0.0.0.0 for all".to_owned());
    own.join(", ")
}

/// Where other machines reach a listener at this address; loopback addresses only if it listens at one.
#[must_use]
pub fn reachable_at(listener: SocketAddr) -> Vec<IpAddr> {
    reachable(listener.ip(), interfaces())
}

/// IPv4 first, whose addresses are shorter to read out.
fn reachable(listener: IpAddr, interfaces: impl Iterator<Item = (IpAddr, InterfaceFlags)>) -> Vec<IpAddr> {
    if !listener.is_unspecified() {
        return [listener].into_iter().filter(|&ip| !is_link_local(ip)).collect();
    }
    let others = interfaces.filter(|(ip, flags)| {
        flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING)
            && !flags.contains(InterfaceFlags::IFF_LOOPBACK)
            && (ip.is_ipv4() || listener.is_ipv6())
    });
    let mut found: Vec<_> = others.map(|(ip, _)| ip).collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found.truncate(REACHABLE_MAX);
    found
}

/// The addresses of this machine's interfaces. Link-local ones need an interface too, and are left out.
fn interfaces() -> impl Iterator<Item = (IpAddr, InterfaceFlags)> {
    let interfaces = getifaddrs().into_iter().flatten();
    let own = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = || address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        Some((v4.or_else(v6)?, interface.flags))
    });
    own.filter(|&(ip, _)| !is_link_local(ip))
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn listener(address: SocketAddr) -> io::Result<Socket> {
    let socket = new_socket(address, Type::STREAM, Protocol::TCP)?;
    // Connections of an earlier server may be in TIME-WAIT for a minute.
    socket.set_reuse_address(true)?;
    set_up(&socket)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Sets the options of a listener. On Linux its connections inherit them, so they need no system calls of their own.
fn set_up(listener: &Socket) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    listener.set_tcp_nodelay(true)?;
    listener.set_tcp_keepalive(&KEEPALIVE)?;
    listener.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    listener.set_tcp_notsent_lowat(UNSENT_MAX)
}

/// A non-blocking socket for an address; for IPv4 too if that is the unspecified address of IPv6.
fn new_socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?.as_socket();
    address.ok_or_else(|| io::Error::other("not an IP socket"))
}

/// The UDP socket of the rendezvous.
#[derive(Debug)]
pub struct RendezvousSocket {
    socket: UdpSocket,
    /// After junk it is not polled before this time.
    rests_until: Duration,
}

impl RendezvousSocket {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = new_socket(address, Type::DGRAM, Protocol::UDP)?;
        socket.bind(&SockAddr::from(address))?;
        Ok(Self::new(socket))
    }

    fn new(socket: Socket) -> Self {
        Self {
            socket: socket.into(),
            rests_until: Duration::ZERO,
        }
    }

    /// When it is to be polled again, if it rests.
    #[must_use]
    pub fn rests_until(&self, now: Now) -> Option<Duration> {
        (now.monotonic < self.rests_until).then_some(self.rests_until)
    }

    /// Replies to datagrams, given the source and the bytes of each.
    pub fn serve(&mut self, now: Now, mut reply: impl FnMut(SocketAddr, &[u8]) -> Option<Vec<u8>>) {
        // With one byte more than the longest request, a longer datagram is not mistaken for one.
        let mut buffer = [0; REQUEST_MAX + 1];
        for _ in 0..DATAGRAMS_MAX {
            let reply = match self.socket.recv_from(&mut buffer) {
                Ok((count, source)) => {
                    let datagram = buffer.get(..count).unwrap_or_default();
                    reply(source, datagram).map(|reply| (source, reply))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error about an earlier reply.
                Err(_) => None,
            };
            match reply {
                // If the reply is lost, the client repeats its request.
                Some((source, reply)) => drop(self.socket.send_to(&reply, source)),
                None => self.rests_until = now.monotonic + JUNK_REST,
            }
        }
    }
}

impl AsFd for RendezvousSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Raises the limit on open descriptors to what this many users need.
///
/// # Errors
/// If the system's hard limit is lower and can't be raised; the message says how many users would fit.
pub fn reserve_descriptors(max_users: usize) -> anyhow::Result<()> {
    let needed = u64::try_from(max_users.saturating_add(BESIDE))?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("can't read the limit on descriptors")?;
    if soft >= needed || setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).is_ok() {
        return Ok(());
    }
    let advice = match hard.saturating_sub(u64::try_from(BESIDE)?) {
        0 => String::new(),
        fit => format!(": --max-users {fit} would fit"),
    };
    bail!(
        "{max_users} users need {needed} descriptors, and the system allows {hard} (see ulimit -Hn){advice}"
    );
}

/// One descriptor in reserve. When no other is left, it lets the server accept a connection and reject it; otherwise the
/// listener would stay ready, and the loop would spin.
#[derive(Debug, Default)]
pub struct Spare(Option<File>);

impl Spare {
    /// Takes a descriptor, if one is free.
    #[must_use]
    pub fn take() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Frees the descriptor. Returns whether there was one.
    pub fn release(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::quota::Quota;
    use crate::room::{Limits, Room, input, output};
    use crate::roster::{Slot, token_for};
    use chat_noise::handshake::Client;
    use chat_noise::key::KeyPair;
    use chat_noise::rendezvous::{Reply, request};
    use chat_proto::opaque::Opaque;
    use std::io::Write;

    #[test]
    fn other_machines_reach_what_the_listener_takes() {
        let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
        let interfaces = [
            ("127.0.0.1", up | InterfaceFlags::IFF_LOOPBACK),
            ("fd00::7", up),
            ("10.0.0.7", up),
            ("172.17.0.1", InterfaceFlags::IFF_UP),
            ("192.168.1.7", up),
        ];
        let reachable = |listener: &str| {
            let interfaces = interfaces.map(|(ip, flags)| (ip.parse().unwrap(), flags));
            let found = reachable(listener.parse().unwrap(), interfaces.into_iter());
            found.iter().map(IpAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(reachable("0.0.0.0"), ["10.0.0.7", "192.168.1.7"]);
        assert_eq!(reachable("::"), ["10.0.0.7", "192.168.1.7", "fd00::7"]);
        for alone in ["127.0.0.1", "::1", "192.168.1.7"] {
            assert_eq!(reachable(alone), [alone]);
        }
        assert!(reachable("fe80::1").is_empty());
        let many = (0..20).map(|n| (IpAddr::from([10, 0, 0, n]), up));
        assert_eq!(super::reachable([0; 4].into(), many).len(), REACHABLE_MAX);
    }

    #[test]
    fn errors_of_the_listener_say_what_to_do() {
        let explain = |address: &str, kind: io::ErrorKind| explain(address.parse().unwrap(), &kind.into());
        for (address, kind, advice) in [
            (
                "127.0.0.1:9000",
                io::ErrorKind::AddrInUse,
                "port 9000 is taken, perhaps by another chat-server; 0 takes a free one",
            ),
            (
                "0.0.0.0:80",
                io::ErrorKind::PermissionDenied,
                "ports under 1024 are for the administrator",
            ),
            ("[fe80::1]:9000", io::ErrorKind::InvalidInput, "use :: instead"),
            (
                "192.0.2.1:9000",
                io::ErrorKind::AddrNotAvailable,
                "it has 127.0.0.1, ",
            ),
        ] {
            let explanation = explain(address, kind);
            assert!(explanation.contains(advice), "{explanation}");
        }
        assert_eq!(
            explain("0.0.0.0:9000", io::ErrorKind::PermissionDenied),
            "permission denied"
        );
    }

    #[test]
    fn a_reader_that_has_stopped_pins_64_kib() {
        let sockets = open(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let reader = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        reader.set_recv_buffer_size(4096).unwrap();
        reader.connect(&sockets.address.into()).unwrap();
        sockets.listener.set_nonblocking(false).unwrap();
        let (connection, _) = sockets.listener.accept().unwrap();
        connection.set_nonblocking(true).unwrap();
        let text = vec![b'x'; 1 << 20];
        let mut held = 0;
        while let Ok(count) = (&connection).write(&text) {
            held += count;
        }
        // What is unsent, the piece with which it reaches the limit, and what the reader's system holds.
        let limit = 2 * usize::try_from(UNSENT_MAX).unwrap() + 3 * 4096;
        assert!(held <= limit, "{held} bytes");
    }

    /// The line that waits for a connection.
    fn sent(room: &mut Room, now: Now, slot: Slot) -> String {
        let mut line = Vec::new();
        output::deliver(room, now, slot, |pieces, _| {
            line.extend(pieces.iter().flat_map(|piece| piece.iter()));
            Ok::<_, ()>(line.len())
        })
        .unwrap();
        String::from_utf8(line).unwrap().trim_end().to_owned()
    }

    #[test]
    fn a_datagram_over_the_longest_request_gets_no_reply() {
        let now = Now {
            monotonic: Duration::from_secs(1),
            unix_ms: 1,
        };
        let limits = Limits {
            max_users: 1,
            max_per_address: 1,
            history: 0,
            rate: None,
            quota: Quota::default(),
            ping_interval: Duration::from_secs(15),
        };
        let mut room = Room::new(limits, Box::new(|| Opaque([7; 16])), Identity::ephemeral([7; 32]));
        let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
        let slot = room.accept(now, localhost).unwrap();
        let greeting = sent(&mut room, now, slot);
        let key = KeyPair::from_secret([8; 32]);
        let (client, line) = Client::begin(greeting.as_bytes(), &key, None, &mut |bytes| bytes.fill(9));
        input::receive(&mut room, now, slot, format!("{line}\n").as_bytes());
        let answer = sent(&mut room, now, slot);
        let met = client.read(answer.as_bytes()).unwrap();
        let (line, _) = met.finish("PROBE 1 -", now.monotonic);
        input::receive(&mut room, now, slot, format!("{line}\n").as_bytes());
        let token = token_for(slot, Opaque([7; 16]));

        let mut socket = RendezvousSocket::open(localhost).unwrap();
        let client = UdpSocket::bind(localhost).unwrap();
        for (number, length) in [(1, REQUEST_MAX + 1), (2, REQUEST_MAX)] {
            let request = request(&token, number, length);
            client
                .send_to(&request, socket.socket.local_addr().unwrap())
                .unwrap();
        }
        socket.serve(now, |source, datagram| room.rendezvous(now, source, datagram));
        let mut buffer = [0; 2 * REQUEST_MAX];
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let count = client.recv(&mut buffer).unwrap();
        assert_eq!(count, REQUEST_MAX);
        let reply = Reply::parse(&token, &buffer[..count]).unwrap();
        assert_eq!(reply.count, 2);
        assert_eq!(reply.observed, client.local_addr().unwrap());
    }

    #[test]
    fn after_junk_the_rendezvous_socket_rests() {
        let localhost = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut socket = RendezvousSocket::open(localhost).unwrap();
        let client = UdpSocket::bind(localhost).unwrap();
        let address = socket.socket.local_addr().unwrap();
        let now = Now {
            monotonic: Duration::from_secs(1),
            unix_ms: 1,
        };
        for (replies, rest) in [(true, None), (false, Some(now.monotonic + JUNK_REST))] {
            for _ in 0..100 {
                client.send_to(&[0], address).unwrap();
            }
            let mut count = 0;
            socket.serve(now, |_, _| {
                count += 1;
                replies.then(|| vec![0])
            });
            assert_eq!((count, socket.rests_until(now)), (100, rest), "all in one turn");
        }
    }
}
