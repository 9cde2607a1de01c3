//! The addresses of this host in its local networks.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use std::net::{IpAddr, SocketAddr};

/// Addresses that are offered at most. Few hosts have more.
const ADDRESSES_MAX: usize = 8;

/// Where peers in the same network reach this port: one address for each network, of the family of `like`.
pub(super) fn addresses(port: u16, like: IpAddr) -> Vec<SocketAddr> {
    let Ok(interfaces) = getifaddrs() else {
        return Vec::new();
    };
    interfaces
        .filter(|interface| interface.flags.contains(InterfaceFlags::IFF_UP))
        .filter(|interface| !interface.flags.contains(InterfaceFlags::IFF_LOOPBACK))
        .filter_map(|interface| ip(&interface.address?))
        .filter(|ip| ip.is_ipv4() == like.is_ipv4() && !is_link_local(*ip))
        .map(|ip| SocketAddr::new(ip, port))
        .take(ADDRESSES_MAX)
        .collect()
}

fn ip(storage: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or(storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

/// A link-local address is valid with an interface only, and other hosts name their interfaces differently.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
