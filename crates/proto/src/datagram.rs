//! What all datagrams have in common: how they begin, and how they carry an address.

use crate::id::canonical;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The first byte of every datagram. Valid UTF-8 never has it, so no datagram of the lab's original programs, which is
/// text, begins with it.
pub const MARK: u8 = 0xC1;

/// The second byte of a sealed datagram between two clients.
pub const SEALED: u8 = 1;

/// The second byte of a rendezvous request.
pub const REQUEST: u8 = 2;

/// The second byte of a rendezvous reply.
pub const REPLY: u8 = 3;

/// The second byte of the datagram by which a client begins a handshake with another.
pub const BEGIN: u8 = 4;

/// The second byte of the answer to it.
pub const ANSWER: u8 = 5;

/// The second byte of a question for the status of a server.
pub const STATUS: u8 = 6;

/// The second byte of the answer to it.
pub const STATUS_ANSWER: u8 = 7;

/// Bytes in an address: IPv6, or IPv4 mapped into it, and the port.
pub const ADDRESS_LEN: usize = 18;

/// An address as datagrams carry it.
#[must_use]
pub fn encode_address(address: SocketAddr) -> [u8; ADDRESS_LEN] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    let mut bytes = [0; ADDRESS_LEN];
    let all = ip.octets().into_iter().chain(address.port().to_be_bytes());
    bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    bytes
}

/// The address, in its canonical form.
#[must_use]
pub fn decode_address(bytes: &[u8; ADDRESS_LEN]) -> SocketAddr {
    let [ip @ .., high, low] = *bytes;
    let ip = IpAddr::V6(Ipv6Addr::from(ip));
    canonical(SocketAddr::new(ip, u16::from_be_bytes([high, low])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_is_read_in_its_canonical_form(ip in any::<IpAddr>(), port in any::<u16>()) {
            let address = SocketAddr::new(ip, port);
            prop_assert_eq!(decode_address(&encode_address(address)), canonical(address));
        }
    }
}
