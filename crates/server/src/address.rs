//! An address and its port, small enough to keep for each user and to look users up by.

use chat_proto::id::canonical;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A canonical address in 18 bytes, where a [`SocketAddr`] takes 32: IPv6, or IPv4 mapped into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    ip: [u8; 16],
    port: u16,
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Self {
            ip: ip.octets(),
            port: address.port(),
        }
    }
}

impl From<Address> for SocketAddr {
    fn from(address: Address) -> Self {
        canonical(Self::new(Ipv6Addr::from(address.ip).into(), address.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canonical_address_comes_back_as_it_was() {
        for text in ["10.0.0.1:5000", "[fe80::1]:1", "[::1]:65535", "127.0.0.1:0"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(SocketAddr::from(Address::from(address)), address);
        }
        assert_eq!(size_of::<Address>(), 18);
    }
}
