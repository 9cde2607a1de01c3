//! The network interfaces of this machine, and when they change.

use nix::errno::Errno;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, recv,
    socket,
};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Interfaces that are used; those with higher numbers are not.
pub const INTERFACES_MAX: usize = 32;

/// Addresses of one interface that are used.
pub const ADDRESSES_MAX: usize = 8;

/// An interface that reaches a LAN: up, with multicast, no loopback and no tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The system's number for it.
    pub index: u32,
    /// Its name, such as `eth0`.
    pub name: String,
    /// Its addresses, each with the length of its prefix.
    pub addresses: Vec<(IpAddr, u32)>,
}

impl Interface {
    /// Whether a packet from this address can come from the link itself.
    #[must_use]
    pub fn is_on_link(&self, source: IpAddr) -> bool {
        let is_near = |&(own, prefix): &(IpAddr, u32)| match (own, source) {
            (IpAddr::V4(own), IpAddr::V4(source)) => {
                let differing = own.to_bits() ^ source.to_bits();
                differing.leading_zeros() >= prefix
            }
            (IpAddr::V6(own), IpAddr::V6(source)) => {
                (own.to_bits() ^ source.to_bits()).leading_zeros() >= prefix
            }
            _ => false,
        };
        self.addresses.iter().any(is_near)
    }

    /// Whether it has an address of IPv4, or of IPv6.
    #[must_use]
    pub fn has(&self, is_v6: bool) -> bool {
        self.addresses.iter().any(|(ip, _)| ip.is_ipv6() == is_v6)
    }
}

/// The interfaces that reach a LAN, by index.
///
/// # Errors
/// If the system does not list them.
pub fn list() -> io::Result<Vec<Interface>> {
    let tentative = tentative_addresses();
    let mut found = BTreeMap::new();
    for entry in getifaddrs()? {
        let Some(address) = usable(&entry).filter(|(ip, _)| !tentative.contains(ip)) else {
            continue;
        };
        let Ok(index) = if_nametoindex(entry.interface_name.as_str()) else {
            continue;
        };
        let interface = found.entry(index).or_insert_with(|| Interface {
            index,
            name: entry.interface_name.clone(),
            addresses: Vec::new(),
        });
        if interface.addresses.len() < ADDRESSES_MAX {
            interface.addresses.push(address);
        }
    }
    Ok(found.into_values().take(INTERFACES_MAX).collect())
}

/// The address of an entry, and the length of its prefix, if the interface reaches a LAN.
fn usable(entry: &InterfaceAddress) -> Option<(IpAddr, u32)> {
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING | InterfaceFlags::IFF_MULTICAST;
    let unwanted = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT;
    if !entry.flags.contains(wanted) || entry.flags.intersects(unwanted) {
        return None;
    }
    let prefix = match ip(entry.netmask.as_ref()?)? {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    Some((ip(entry.address.as_ref()?)?, prefix))
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

/// Addresses of IPv6 from which nothing can be sent yet, because the system still looks for duplicates. The system
/// reports a change when it has looked.
fn tentative_addresses() -> Vec<IpAddr> {
    /// `IFA_F_TENTATIVE`, `IFA_F_DADFAILED`.
    const TENTATIVE: u8 = 0x40 | 0x08;
    let table = fs::read_to_string("/proc/self/net/if_inet6").unwrap_or_default();
    let tentative = |line: &str| {
        let mut fields = line.split_whitespace();
        let ip = u128::from_str_radix(fields.next()?, 16).ok()?;
        let flags = u8::from_str_radix(fields.nth(3)?, 16).ok()?;
        (flags & TENTATIVE != 0).then_some(IpAddr::V6(Ipv6Addr::from_bits(ip)))
    };
    table.lines().filter_map(tentative).collect()
}

/// Becomes readable when an interface or an address changes.
#[derive(Debug)]
pub struct Changes(OwnedFd);

impl Changes {
    /// Begins to watch.
    ///
    /// # Errors
    /// If the system has no route socket.
    pub fn watch() -> io::Result<Self> {
        /// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR` and `RTMGRP_IPV6_IFADDR`.
        const GROUPS: u32 = 0x1 | 0x10 | 0x100;
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let route = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            flags,
            SockProtocol::NetlinkRoute,
        )?;
        bind(route.as_raw_fd(), &NetlinkAddr::new(0, GROUPS))?;
        Ok(Self(route))
    }

    /// Whether something changed since the last call. What did is asked of [`list`], because the system drops reports when
    /// there are many.
    pub fn take(&self) -> bool {
        let mut buffer = [0; 4096];
        let mut has_changed = false;
        loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::ENOBUFS) => has_changed = true,
                Err(Errno::EINTR) => {}
                Err(_) => return has_changed,
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_with_a_common_prefix_are_on_the_link() {
        let interface = Interface {
            index: 2,
            name: "eth0".to_owned(),
            addresses: vec![
                ([192, 168, 1, 7].into(), 24),
                ("fe80::7".parse().unwrap(), 64),
                ("2001:db8::7".parse().unwrap(), 128),
            ],
        };
        for (source, is_near) in [
            ("192.168.1.255", true),
            ("192.168.2.7", false),
            ("fe80::1:2:3:4", true),
            ("fe80:0:0:1::7", false),
            ("2001:db8::7", true),
            ("2001:db8::8", false),
        ] {
            assert_eq!(interface.is_on_link(source.parse().unwrap()), is_near, "{source}");
        }
        assert!(interface.has(true) && interface.has(false));
    }

    #[test]
    fn loopback_reaches_no_lan() {
        let found = list().unwrap();
        assert!(found.iter().all(|interface| interface.name != "lo"), "{found:?}");
        Changes::watch().unwrap().take();
    }
}
