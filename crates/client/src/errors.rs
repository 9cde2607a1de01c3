//! Errors that end nothing: those that mean only later, and what the network says of datagrams that did not arrive.

use chat_proto::id::canonical;
use nix::cmsg_space;
use nix::libc::sock_extended_err;
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Errors taken at once; more wait for the next turn.
const ERRORS_MAX: usize = 32;

/// Whether an error of reading or writing means only that it goes later, when poll(2) says so. All others mean that it
/// does not go any more, that of a terminal that hung up too.
pub(crate) fn is_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Asks the system to keep news of datagrams that did not arrive. Without it a port that nobody listens at looks like a
/// message that went well.
///
/// # Errors
/// If the system does not do that; then no news comes, and nothing else changes.
pub fn keep(udp: &UdpSocket) -> nix::Result<()> {
    if udp.local_addr().is_ok_and(|address| address.is_ipv6()) {
        setsockopt(udp, Ipv6RecvErr, &true)
    } else {
        setsockopt(udp, Ipv4RecvErr, &true)
    }
}

/// The next datagram that is there: its length, and where it came from.
///
/// An error is about one that was sent before, and [`take`] says which. It is told first, and what has come is behind it: the
/// last word, perhaps, of somebody who has closed the port meanwhile.
pub fn receive(udp: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    for _ in 0..ERRORS_MAX {
        match udp.recv_from(buffer) {
            Ok(received) => return Some(received),
            Err(error) if is_later(&error) => return None,
            Err(_) => {}
        }
    }
    None
}

/// Where datagrams went that nobody took (ip(7), `IP_RECVERR`).
#[must_use]
pub fn take(udp: &UdpSocket) -> Vec<SocketAddr> {
    std::iter::from_fn(|| take_one(udp))
        .take(ERRORS_MAX)
        .flatten()
        .collect()
}

/// The next error; the inner value is the address, if the error says one.
fn take_one(udp: &UdpSocket) -> Option<Option<SocketAddr>> {
    let mut buffer = [0; 1];
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let mut space = cmsg_space!(sock_extended_err, SockaddrStorage);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(udp.as_raw_fd(), &mut slices, Some(&mut space), flags).ok()?;
    Some(message.address.as_ref().and_then(address))
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|to| SocketAddr::new(IpAddr::V4(to.ip()), to.port()));
    let v6 = storage
        .as_sockaddr_in6()
        .map(|to| SocketAddr::new(IpAddr::V6(to.ip()), to.port()));
    v4.or(v6).map(canonical)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use nix::errno::Errno;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;

    /// Sends something to a port that nobody has, the returned socket's, and waits until the system says so.
    pub(crate) fn send_in_vain(udp: &UdpSocket) -> UdpSocket {
        // Only what it is connected to reaches it: for everybody else its port is closed, and stays its own.
        let gone = UdpSocket::bind((udp.local_addr().unwrap().ip(), 0)).unwrap();
        gone.connect(gone.local_addr().unwrap()).unwrap();
        udp.send_to(b"anybody?", gone.local_addr().unwrap()).unwrap();
        let mut fds = [PollFd::new(udp.as_fd(), PollFlags::empty())];
        assert_eq!(poll(&mut fds, PollTimeout::from(5000_u16)), Ok(1), "no news came");
        gone
    }

    #[test]
    fn a_terminal_that_hung_up_does_not_come_back_later() {
        let is_later = |error: Errno| is_later(&error.into());
        assert!(is_later(Errno::EAGAIN) && is_later(Errno::EINTR));
        assert!(!is_later(Errno::EIO) && !is_later(Errno::ECONNRESET));
    }

    #[test]
    fn a_datagram_to_a_port_that_nobody_has_is_heard_of() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(udp) = UdpSocket::bind(host) else {
                // There are machines without IPv6.
                assert!(host.starts_with('['));
                println!("skipped {host}: no IPv6 here");
                continue;
            };
            udp.set_nonblocking(true).unwrap();
            keep(&udp).unwrap();
            assert_eq!(take(&udp), []);
            let gone = send_in_vain(&udp);
            assert_eq!(take(&udp), [gone.local_addr().unwrap()]);
            assert_eq!(take(&udp), []);
        }
    }
    #[test]
    fn what_has_come_is_read_though_something_was_sent_in_vain() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        keep(&udp).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        other
            .send_to(b"the last word", udp.local_addr().unwrap())
            .unwrap();
        let _gone = send_in_vain(&udp);
        let mut buffer = [0; 100];
        assert_eq!(
            receive(&udp, &mut buffer),
            Some((13, other.local_addr().unwrap()))
        );
        assert_eq!(receive(&udp, &mut buffer), None);
    }
}
