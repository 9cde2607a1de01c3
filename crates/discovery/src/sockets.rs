//! The sockets of multicast DNS: one for each family, on all interfaces that reach a LAN.

use crate::interfaces::Interface;
use crate::message::{PACKET_MAX, PORT};
use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg,
    sendmsg, setsockopt,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use std::collections::BTreeSet;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The groups of multicast DNS.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// TTL and hop limit of everything that is sent.
const HOPS: u32 = 255;

/// One family on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The interface.
    pub index: u32,
    /// IPv6, or IPv4.
    pub is_v6: bool,
}

/// A packet from a host on the link.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Where it came in.
    pub link: Link,
    /// Who sent it. Link-local addresses have their scope.
    pub source: SocketAddr,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// What [`Sockets::receive`] found.
#[derive(Debug)]
pub enum Receipt<'a> {
    /// Nothing more now.
    Nothing,
    /// A packet that is too long, or not from the link.
    Dropped,
    /// A packet.
    Packet(Received<'a>),
}

/// The sockets, and the links on which they joined the group.
#[derive(Debug)]
pub struct Sockets {
    v4: Option<Socket>,
    v6: Option<Socket>,
    interfaces: Vec<Interface>,
    joined: BTreeSet<Link>,
    /// The family that is read first, so that a flood of the other one does not starve it.
    reads_v6_first: bool,
}

impl Sockets {
    /// Opens the sockets of these families on this port: [`PORT`], beside other programs that share it, or 0 for a free one.
    ///
    /// # Errors
    /// If none of the families works.
    pub fn open(v4: bool, v6: bool, port: u16) -> io::Result<Self> {
        let open = |wanted: bool, is_v6| wanted.then(|| socket(is_v6, port)).transpose();
        let (v4, v6) = match (open(v4, false), open(v6, true)) {
            (Err(error), Ok(None) | Err(_)) | (Ok(None), Err(error)) => return Err(error),
            (v4, v6) => (v4.unwrap_or_default(), v6.unwrap_or_default()),
        };
        Ok(Self {
            v4,
            v6,
            interfaces: Vec::new(),
            joined: BTreeSet::new(),
            reads_v6_first: false,
        })
    }

    /// Joins the group on new links, and leaves it on old ones. Returns where it could not be joined.
    pub fn update(&mut self, interfaces: Vec<Interface>) -> Vec<(Link, io::Error)> {
        let mut wanted = BTreeSet::new();
        for interface in &interfaces {
            let is_wanted = |is_v6: bool| self.socket(is_v6).is_some() && interface.has(is_v6);
            let links = [false, true].into_iter().filter(|&is_v6| is_wanted(is_v6));
            wanted.extend(links.map(|is_v6| Link {
                index: interface.index,
                is_v6,
            }));
        }
        for &link in self.joined.difference(&wanted) {
            // Fails if the interface is gone.
            let _ = self.leave(link);
        }
        let mut failed = Vec::new();
        wanted.retain(|&link| match self.join(link) {
            Ok(()) => true,
            // Joined already: the interface was down, or has a new address.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => true,
            Err(error) => {
                failed.push((link, error));
                false
            }
        });
        self.joined = wanted;
        self.interfaces = interfaces;
        failed
    }

    /// The links on which the group is joined.
    pub fn links(&self) -> impl Iterator<Item = Link> {
        self.joined.iter().copied()
    }

    /// The interface of a link.
    #[must_use]
    pub fn interface(&self, link: Link) -> Option<&Interface> {
        self.interfaces
            .iter()
            .find(|interface| interface.index == link.index)
    }

    /// What to poll for reading.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.v4, &self.v6].into_iter().flatten().map(AsFd::as_fd)
    }

    /// One packet of those that are there, into a buffer of [`PACKET_MAX`] bytes.
    pub fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> Receipt<'a> {
        let first = self.reads_v6_first;
        for is_v6 in [first, !first] {
            let Some(socket) = self.socket(is_v6) else {
                continue;
            };
            let read = receive(socket, is_v6, buffer);
            self.reads_v6_first = !is_v6;
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An ICMP error about something that was sent.
                Err(_) | Ok(None) => return Receipt::Dropped,
                Ok(Some((link, source, count))) => {
                    let interface = self.interface(link).filter(|_| self.joined.contains(&link));
                    let is_near = interface.is_some_and(|interface| interface.is_on_link(source.ip()));
                    let bytes = buffer.get(..count).filter(|_| is_near);
                    return bytes.map_or(Receipt::Dropped, |bytes| {
                        Receipt::Packet(Received { link, source, bytes })
                    });
                }
            }
        }
        Receipt::Nothing
    }

    /// Sends a packet to one host of a link, or to the group.
    ///
    /// # Errors
    /// If the system does not take it.
    pub fn send(&self, link: Link, to: Option<SocketAddr>, packet: &[u8]) -> io::Result<()> {
        let socket = self.socket(link.is_v6).ok_or(io::ErrorKind::NotConnected)?;
        let (fd, pieces, flags) = (socket.as_raw_fd(), [IoSlice::new(packet)], MsgFlags::MSG_DONTWAIT);
        // The interface is named for each packet: without a default route, the system would find none.
        let any = in_addr { s_addr: 0 };
        if link.is_v6 {
            let group = SocketAddrV6::new(GROUP_V6, PORT, 0, link.index);
            let Some(SocketAddr::V6(to)) = to.or(Some(group.into())) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let info = in6_pktinfo {
                ipi6_addr: in6_addr { s6_addr: [0; 16] },
                ipi6_ifindex: link.index,
            };
            let info = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmsg(fd, &pieces, &info, flags, Some(&SockaddrIn6::from(to)))?;
        } else {
            let Some(SocketAddr::V4(to)) = to.or(Some(SocketAddrV4::new(GROUP_V4, PORT).into())) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let ipi_ifindex = i32::try_from(link.index).map_err(io::Error::other)?;
            let info = in_pktinfo {
                ipi_ifindex,
                ipi_spec_dst: any,
                ipi_addr: any,
            };
            let info = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(fd, &pieces, &info, flags, Some(&SockaddrIn::from(to)))?;
        }
        Ok(())
    }

    fn socket(&self, is_v6: bool) -> Option<&Socket> {
        if is_v6 { self.v6.as_ref() } else { self.v4.as_ref() }
    }

    fn join(&self, link: Link) -> io::Result<()> {
        let socket = self.socket(link.is_v6).ok_or(io::ErrorKind::NotConnected)?;
        if link.is_v6 {
            socket.join_multicast_v6(&GROUP_V6, link.index)
        } else {
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(link.index))
        }
    }

    fn leave(&self, link: Link) -> io::Result<()> {
        let socket = self.socket(link.is_v6).ok_or(io::ErrorKind::NotConnected)?;
        if link.is_v6 {
            socket.leave_multicast_v6(&GROUP_V6, link.index)
        } else {
            socket.leave_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(link.index))
        }
    }
}

/// A socket that reports where each packet came in. Other programs share the port with one option or the other, so it
/// needs both.
fn socket(is_v6: bool, port: u16) -> io::Result<Socket> {
    let domain = if is_v6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    if port != 0 {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
    }
    // Without these, packets would come in from groups that other programs joined.
    if is_v6 {
        socket.set_only_v6(true)?;
        socket.set_multicast_all_v6(false)?;
        socket.set_multicast_hops_v6(HOPS)?;
        socket.set_unicast_hops_v6(HOPS)?;
        setsockopt(&socket, Ipv6RecvPacketInfo, &true)?;
    } else {
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_ttl_v4(HOPS)?;
        socket.set_ttl_v4(HOPS)?;
        setsockopt(&socket, Ipv4PacketInfo, &true)?;
    }
    let any = if is_v6 {
        IpAddr::from(Ipv6Addr::UNSPECIFIED)
    } else {
        Ipv4Addr::UNSPECIFIED.into()
    };
    socket.bind(&SockAddr::from(SocketAddr::new(any, port)))?;
    Ok(socket)
}

/// Where a packet came in, who sent it, and how long it is; `None` if it does not fit.
fn receive(socket: &Socket, is_v6: bool, buffer: &mut [u8]) -> io::Result<Option<(Link, SocketAddr, usize)>> {
    let mut space = nix::cmsg_space!(in6_pktinfo);
    let mut pieces = [IoSliceMut::new(buffer.get_mut(..PACKET_MAX).unwrap_or_default())];
    let flags = MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut pieces, Some(&mut space), flags)?;
    let index = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => u32::try_from(info.ipi_ifindex).ok(),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(info.ipi6_ifindex),
        _ => None,
    });
    let source = message.address.and_then(|address| {
        let v4 = address
            .as_sockaddr_in()
            .map(|&address| SocketAddr::V4(address.into()));
        v4.or_else(|| {
            address
                .as_sockaddr_in6()
                .map(|&address| SocketAddr::V6(address.into()))
        })
    });
    let is_whole = !message.flags.contains(MsgFlags::MSG_TRUNC);
    let link = index.map(|index| Link { index, is_v6 });
    Ok(link
        .zip(source)
        .filter(|_| is_whole)
        .map(|(link, source)| (link, source, message.bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::net::if_::if_nametoindex;
    use std::net::UdpSocket;

    #[test]
    fn a_flood_of_one_family_does_not_delay_the_other() {
        let mut sockets = Sockets::open(true, true, 0).unwrap();
        let index = if_nametoindex("lo").unwrap();
        let hosts: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        let Some(senders) = hosts
            .map(|host| UdpSocket::bind((host, 0)).ok())
            .into_iter()
            .collect::<Option<Vec<_>>>()
        else {
            return eprintln!("skipped: this system has no IPv6");
        };
        sockets.interfaces = vec![Interface {
            index,
            name: "lo".into(),
            addresses: hosts.map(|host| (host, 8)).to_vec(),
        }];
        sockets.joined = [false, true].map(|is_v6| Link { index, is_v6 }).into();
        let ports = [&sockets.v4, &sockets.v6].map(|socket| {
            let address = socket.as_ref().unwrap().local_addr().unwrap();
            address.as_socket().unwrap().port()
        });
        let send = |family: usize| {
            let to = (hosts[family], ports[family]);
            senders[family].send_to(b"packet", to).unwrap();
        };
        for (flooded, other) in [(0, 1), (1, 0)] {
            (0..10).for_each(|_| send(flooded));
            send(other);
            let mut buffer = [0; PACKET_MAX];
            let families: Vec<usize> = std::iter::from_fn(|| match sockets.receive(&mut buffer) {
                Receipt::Packet(packet) => Some(packet.link.is_v6.into()),
                _ => None,
            })
            .collect();
            assert_eq!(families.len(), 11);
            assert!(families[..2].contains(&other), "{families:?}");
        }
    }
}
