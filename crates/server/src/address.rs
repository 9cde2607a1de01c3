//! An address and its port, small enough to keep for each user and to look users up by.

use chat_proto::rendezvous::{ADDRESS_LEN, decode_address, encode_address};
use std::net::SocketAddr;

/// A canonical address in 18 bytes, as datagrams carry it, where a [`SocketAddr`] takes 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address([u8; ADDRESS_LEN]);

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self(encode_address(address))
    }
}

impl From<Address> for SocketAddr {
    fn from(Address(bytes): Address) -> Self {
        decode_address(&bytes)
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
