//! Several datagrams in one call: the system cuts what is sent, and joins what arrives (udp(7), `UDP_SEGMENT` and
//! `UDP_GRO`).

use crate::udp_errors::address;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::{UdpGroSegment, UdpGsoSegment};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, getsockopt, recvmsg, sendmsg, setsockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Datagrams in one call at most.
pub const SEGMENTS_MAX: usize = 32;

/// What was received: datagrams of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Where they come from.
    pub from: SocketAddr,
    /// The length of all.
    pub length: usize,
    /// The length of each; the last one may be shorter.
    pub each: usize,
}

/// Whether the system cuts what is sent. Linux before 4.18 would send one long datagram.
#[must_use]
pub fn can_send(udp: &UdpSocket) -> bool {
    getsockopt(udp, UdpGsoSegment).is_ok()
}

/// Lets the system join datagrams that arrive. From now on they are read with [`receive`].
///
/// # Errors
/// If the system can't; the socket works without it.
pub fn enable(udp: &UdpSocket) -> nix::Result<()> {
    setsockopt(udp, UdpGroSegment, &true)
}

/// Sends datagrams that all have this length, but for the last one, which may be shorter.
///
/// # Errors
/// If none of them can be sent so. One by one they may go.
pub fn send(udp: &UdpSocket, datagrams: &[IoSlice<'_>], each: u16, to: SocketAddr) -> io::Result<usize> {
    let cut = [ControlMessage::UdpGsoSegments(&each)];
    let to = SockaddrStorage::from(to);
    Ok(sendmsg(
        udp.as_raw_fd(),
        datagrams,
        &cut,
        MsgFlags::empty(),
        Some(&to),
    )?)
}

/// Whether the system or the device can't send several in one call (udp(7)).
#[must_use]
pub fn is_refusal(error: &io::Error) -> bool {
    let number = error.raw_os_error().map(Errno::from_raw);
    matches!(number, Some(Errno::EINVAL | Errno::EIO | Errno::EMSGSIZE))
}

/// Receives a datagram, or several.
///
/// # Errors
/// Those of recvmsg(2); some are reports of earlier datagrams.
pub fn receive(udp: &UdpSocket, buffer: &mut [u8]) -> io::Result<Segments> {
    let mut slices = [IoSliceMut::new(buffer)];
    let mut space = cmsg_space!(i32);
    let message =
        recvmsg::<SockaddrStorage>(udp.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty())?;
    let length = message.bytes;
    let each = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::UdpGroSegments(each) => usize::try_from(each).ok(),
        _ => None,
    });
    let from = message.address.as_ref().and_then(address);
    Ok(Segments {
        from: from.ok_or(io::ErrorKind::InvalidData)?,
        length,
        each: each.filter(|each| *each > 0).unwrap_or(length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udp_errors::receive_past;

    /// Two sockets of this machine, the second of which joins what arrives. `None` if the system has no segments.
    fn pair(host: &str) -> Option<[UdpSocket; 2]> {
        let sockets = [UdpSocket::bind(host).ok()?, UdpSocket::bind(host).ok()?];
        let [from, to] = &sockets;
        to.set_nonblocking(true).unwrap();
        (can_send(from) && enable(to).is_ok()).then_some(sockets)
    }

    #[test]
    fn datagrams_sent_in_one_call_arrive_one_by_one_or_joined() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Some([from, to]) = pair(host) else {
                println!("skipped {host}: no IPv6 or no segments here");
                continue;
            };
            let datagrams = [[1; 1200], [2; 1200], [3; 1200]];
            let mut slices = datagrams.each_ref().map(|datagram| IoSlice::new(datagram));
            slices[2] = IoSlice::new(b"the last, a short one");
            let length = send(&from, &slices, 1200, to.local_addr().unwrap()).unwrap();
            assert_eq!(length, 2421);
            let mut buffer = [0; 65_536];
            let mut arrived = Vec::new();
            while let Some(segments) = receive_past(|| receive(&to, &mut buffer)) {
                assert_eq!(segments.from, from.local_addr().unwrap());
                let datagrams = buffer[..segments.length].chunks(segments.each);
                arrived.extend(datagrams.map(<[u8]>::to_vec));
            }
            let sent: Vec<&[u8]> = slices.iter().map(|slice| &**slice).collect();
            assert_eq!(arrived, sent, "{host}");
        }
    }

    #[test]
    fn a_single_datagram_and_an_empty_one_are_received_as_they_are() {
        let Some([from, to]) = pair("127.0.0.1:0") else {
            println!("skipped: no segments here");
            return;
        };
        let mut buffer = [0; 65_536];
        for datagram in [&b"alone"[..], b""] {
            from.send_to(datagram, to.local_addr().unwrap()).unwrap();
            let segments = receive(&to, &mut buffer).unwrap();
            assert_eq!((segments.length, segments.each), (datagram.len(), datagram.len()));
            assert_eq!(&buffer[..segments.length], datagram);
        }
    }
}
