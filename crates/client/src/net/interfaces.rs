//! The addresses of this host in its own networks.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;
use std::net::{IpAddr, SocketAddr};

/// Addresses that are offered at most; few hosts that people sit at have more.
const ADDRESSES_MAX: usize = 8;

/// Where a peer in the same network reaches this port: one address for each network, of the family
/// that `like` is of. None if the system does not say.
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

/// Such an address means something together with an interface only, and each host names its own.
fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}
