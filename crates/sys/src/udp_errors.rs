//! What the system reports about datagrams that did not arrive (ip(7), `IP_RECVERR`).
//!
//! The report of an earlier datagram fails the next call on the socket, whatever that call is about. The functions here
//! read past such reports.

use crate::is_transient;
use chat_proto::id::canonical;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc::sock_extended_err;
use nix::sys::socket::sockopt::{Ipv4RecvErr, Ipv6RecvErr};
use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Reports that are read in one turn; more wait for the next.
const ERRORS_MAX: usize = 32;

/// Asks the system for reports. Without them a datagram to a closed port looks like one that arrived.
///
/// # Errors
/// If the system has no such reports; the socket works without them.
pub fn enable(udp: &UdpSocket) -> nix::Result<()> {
    if udp.local_addr().is_ok_and(|address| address.is_ipv6()) {
        setsockopt(udp, Ipv6RecvErr, &true)
    } else {
        setsockopt(udp, Ipv4RecvErr, &true)
    }
}

/// Receives a datagram by calling `receive`. `None` if there is none.
///
/// A pending report is returned before datagrams that arrived earlier, perhaps the last one of a peer that has closed its
/// port since; so it must not end the reading.
pub fn receive_past<T>(mut receive: impl FnMut() -> io::Result<T>) -> Option<T> {
    for _ in 0..ERRORS_MAX {
        match receive() {
            Ok(received) => return Some(received),
            Err(error) if is_transient(&error) => return None,
            Err(_) => {}
        }
    }
    None
}

/// Sends a datagram by calling `send`, again if the first error may be the report of an earlier datagram.
///
/// # Errors
/// If the datagram can't be sent.
pub fn send_past(mut send: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    match send() {
        Err(error) if !is_transient(&error) => send(),
        sent => sent,
    }
}

/// Whether a datagram was dropped on this host, because a queue of it is full. That says nothing about its destination. Without
/// reports, Linux drops such a datagram silently.
#[must_use]
pub fn is_drop(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(number, Some(Errno::ENOBUFS | Errno::ENOMEM))
}

/// The destinations of datagrams that were reported as undeliverable.
#[must_use]
pub fn take(udp: &UdpSocket) -> Vec<SocketAddr> {
    std::iter::from_fn(|| take_one(udp))
        .take(ERRORS_MAX)
        .flatten()
        .collect()
}

/// The next report; the inner value is the destination, if the report names one.
fn take_one(udp: &UdpSocket) -> Option<Option<SocketAddr>> {
    let mut buffer = [0; 1];
    let mut slices = [IoSliceMut::new(&mut buffer)];
    let mut space = cmsg_space!(sock_extended_err, SockaddrStorage);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(udp.as_raw_fd(), &mut slices, Some(&mut space), flags).ok()?;
    Some(message.address.as_ref().and_then(address))
}

pub(crate) fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage
        .as_sockaddr_in()
        .map(|to| SocketAddr::new(IpAddr::V4(to.ip()), to.port()));
    let v6 = storage
        .as_sockaddr_in6()
        .map(|to| SocketAddr::new(IpAddr::V6(to.ip()), to.port()));
    v4.or(v6).map(canonical)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    use std::time::Duration;

    /// Sends to a closed port, that of the returned socket, and waits for the report.
    fn send_in_vain(udp: &UdpSocket) -> UdpSocket {
        // Connected to itself, it receives from nobody else: to others its port is closed, and stays reserved.
        let gone = UdpSocket::bind((udp.local_addr().unwrap().ip(), 0)).unwrap();
        gone.connect(gone.local_addr().unwrap()).unwrap();
        udp.send_to(b"anybody?", gone.local_addr().unwrap()).unwrap();
        let mut fds = [PollFd::new(udp.as_fd(), PollFlags::empty())];
        assert_eq!(poll(&mut fds, PollTimeout::from(5000_u16)), Ok(1), "no report");
        gone
    }

    #[test]
    fn a_datagram_to_a_closed_port_is_reported() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(udp) = UdpSocket::bind(host) else {
                // There are machines without IPv6.
                assert!(host.starts_with('['));
                println!("skipped {host}: no IPv6 here");
                continue;
            };
            udp.set_nonblocking(true).unwrap();
            enable(&udp).unwrap();
            assert_eq!(take(&udp), []);
            let gone = send_in_vain(&udp);
            assert_eq!(take(&udp), [gone.local_addr().unwrap()]);
            assert_eq!(take(&udp), []);
        }
    }

    #[test]
    fn datagrams_are_received_past_a_report() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        enable(&udp).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        other
            .send_to(b"the last word", udp.local_addr().unwrap())
            .unwrap();
        let _gone = send_in_vain(&udp);
        let mut buffer = [0; 100];
        assert_eq!(
            receive_past(|| udp.recv_from(&mut buffer)),
            Some((13, other.local_addr().unwrap()))
        );
        assert_eq!(receive_past(|| udp.recv_from(&mut buffer)), None);
    }

    #[test]
    fn a_datagram_is_sent_past_a_report() {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.set_nonblocking(true).unwrap();
        enable(&udp).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let _gone = send_in_vain(&udp);
        let to = other.local_addr().unwrap();
        assert_eq!(send_past(|| udp.send_to(b"hi", to)).unwrap(), 2);
        other.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(other.recv(&mut [0; 100]).unwrap(), 2);
    }
}
