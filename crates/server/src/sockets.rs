//! The socket that newcomers knock at.

use anyhow::Context;
use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Newcomers that the system lets wait; it caps this at its own limit (4,096 on Linux). A short
/// queue turns a class that starts at once into refused connections.
const BACKLOG: i32 = 4096;

/// After this long without a word, the system asks whether a peer is still there, this often, and so many times.
/// It answers for its machine, not its program: that is what a plain user can be held to.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Bytes that no machine acknowledges for this long go to nobody.
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// Listens at an address.
///
/// Whoever is accepted has no delay on small writes, keepalive, and a limit on unacknowledged bytes: on Linux a
/// connection inherits all of these from its listener, which saves as many system calls for each.
///
/// # Errors
/// If the address can't be listened at, for example because somebody does already.
pub fn listen(address: SocketAddr) -> anyhow::Result<Socket> {
    open(address).with_context(|| {
        let hint = match address.ip() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => ", which is link-local (:: takes in those too)",
            _ => "",
        };
        format!("can't listen at {address}{hint}")
    })
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    // Connections of a server that has ended may linger in TIME-WAIT for a minute.
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&KEEPALIVE)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// The address a socket is bound to.
///
/// # Errors
/// If the system can't say.
pub fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| io::Error::other("not an IP socket"))
}
