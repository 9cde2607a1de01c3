//! The id of a user on the network, and the rule that pairs its two ports.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::str::FromStr;

/// The longest text of a [`UserId`], in bytes: `[`, 39 characters of IPv6, `]:` and 5 digits.
pub const ID_MAX: usize = 1 + 39 + 2 + 5;

/// A user's id: the address and TCP port from which the server sees the user connected.
///
/// An id is canonical, so that equal ids are equal values and equal texts: an IPv4 peer of a dual-stack
/// socket is its IPv4 address, and the scope of a link-local address, which is valid on one host only, is not part of
/// it.
///
/// The text form is `ip:port` or `[ipv6]:port`. Port 0 is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(SocketAddr);

impl UserId {
    /// The address and TCP port that make up this id.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        self.0
    }

    /// The port-pair rule of the lab's original programs: private messages go to the UDP port after the TCP port. The last
    /// port has none after it.
    #[must_use]
    pub fn private_address(self) -> Option<SocketAddr> {
        let port = self.0.port().checked_add(1)?;
        Some(SocketAddr::new(self.0.ip(), port))
    }

    /// The reverse of the port-pair rule: the id of the sender, if a datagram from `source` keeps the rule.
    #[must_use]
    pub fn from_private_address(source: SocketAddr) -> Option<Self> {
        let port = source.port().checked_sub(1).filter(|&port| port != 0)?;
        Some(Self::from(SocketAddr::new(source.ip(), port)))
    }
}

/// Brings an address into its one canonical form, see [`UserId`].
#[must_use]
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip, address.port())),
        IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, address.port(), 0, 0)),
    }
}

impl From<SocketAddr> for UserId {
    fn from(address: SocketAddr) -> Self {
        Self(canonical(address))
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not an id: it is no `ip:port` or `[ipv6]:port`, or its port is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id: expected ip:port or [ipv6]:port")
    }
}

impl std::error::Error for NotAnId {}

impl FromStr for UserId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let address: SocketAddr = text.parse().map_err(|_| NotAnId)?;
        if address.port() == 0 {
            Err(NotAnId)
        } else {
            Ok(Self::from(address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(text: &str) -> UserId {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv4_peer_of_a_dual_stack_socket_is_its_ipv4_address() {
        assert_eq!(id("[::ffff:10.0.0.5]:50312"), id("10.0.0.5:50312"));
        assert_eq!(id("[::ffff:10.0.0.5]:50312").to_string(), "10.0.0.5:50312");
    }

    #[test]
    fn the_scope_of_a_link_local_address_is_not_part_of_the_id() {
        assert_eq!(id("[fe80::1%3]:9000").to_string(), "[fe80::1]:9000");
    }

    #[test]
    fn other_texts_are_no_id() {
        for text in [
            "",
            "10.0.0.5",
            "10.0.0.5:0",
            "10.0.0.5:65536",
            "fe80::1:9000",
            "alice",
            " 10.0.0.5:1",
        ] {
            assert_eq!(text.parse::<UserId>(), Err(NotAnId), "{text:?}");
        }
        assert_eq!(NotAnId.to_string(), "not an id: expected ip:port or [ipv6]:port");
    }

    #[test]
    fn the_port_pair_rule_ends_at_the_ends_of_the_port_range() {
        assert_eq!(id("10.0.0.5:65535").private_address(), None);
        let first = SocketAddr::from(([10, 0, 0, 5], 1));
        assert_eq!(UserId::from_private_address(first), None);
    }

    proptest! {
        #[test]
        fn an_id_round_trips(ip in any::<IpAddr>(), port in 1u16..) {
            let id = UserId::from(SocketAddr::new(ip, port));
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn the_port_pair_rule_round_trips(ip in any::<IpAddr>(), port in 1u16..u16::MAX) {
            let id = UserId::from(SocketAddr::new(ip, port));
            let udp = id.private_address().unwrap();
            prop_assert_eq!(udp.port(), port + 1);
            prop_assert_eq!(UserId::from_private_address(udp), Some(id));
        }
    }
}
