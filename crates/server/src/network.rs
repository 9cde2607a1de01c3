//! Networks: what limits count as one, and what an operator names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// All addresses that begin with the same bits, such as `10.0.0.0/8`.
///
/// Invariant: the bits of `address` beyond `length` are 0. An address of IPv4 is never written as one of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    length: u8,
}

impl Network {
    /// What limits on addresses count as one: an address of IPv4, or the 64 bits that a provider gives one customer of
    /// IPv6 at least (RFC 6177), who can use all addresses in it.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let length = if address.is_ipv4() { 32 } else { 64 };
        Self::new(address, length)
    }

    /// The 48 bits of an IPv6 address that a provider gives one customer at most.
    #[must_use]
    pub fn site_of(address: IpAddr) -> Option<Self> {
        address.is_ipv6().then(|| Self::new(address, 48))
    }

    fn new(address: IpAddr, length: u8) -> Self {
        let unused = |bits: u8| u32::from(bits.saturating_sub(length));
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(unused(32)).unwrap_or(0);
                Ipv4Addr::from_bits(v4.to_bits() & mask).into()
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(unused(128)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
        };
        Self { address, length }
    }

    /// Whether all its addresses are of this machine alone.
    #[must_use]
    pub fn is_loopback(self) -> bool {
        let own = if self.address.is_ipv4() { 8 } else { 128 };
        self.address.is_loopback() && self.length >= own
    }

    /// Whether it has this address.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        Self::new(address, self.length).address == self.address
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = if self.address.is_ipv4() { 32 } else { 128 };
        if self.length == whole {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

/// What is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNetwork;

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "expected an address or a network, such as 192.168.1.7, 10.0.0.0/8, 2001:db8::1 or fd00::/8",
        )
    }
}

impl std::error::Error for NoNetwork {}

/// An address, or one with the length of the prefix behind it. As in nftables and ufw, bits beyond the length count for
/// nothing, and an IPv4 address may be written as one of IPv6.
impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let whole = if written.is_ipv4() { 32 } else { 128 };
        let is_number = |length: &&str| length.bytes().all(|byte| byte.is_ascii_digit());
        let length = match length {
            Some(length) => Some(length)
                .filter(is_number)
                .and_then(|length| length.parse().ok()),
            None => Some(whole),
        };
        let length = length.filter(|&length: &u8| length <= whole).ok_or(NoNetwork)?;
        match (written.to_canonical(), length.checked_sub(96)) {
            (address @ IpAddr::V4(_), Some(rest)) if written.is_ipv6() => Ok(Self::new(address, rest)),
            _ => Ok(Self::new(written, length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_written_as_people_write_them() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("10.1.2.3", "10.1.2.3"),
            ("1.2.3.4/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("2001:db8::7", "2001:db8::7"),
            ("2001:db8:0:1::7/64", "2001:db8:0:1::/64"),
            ("fe80::1/10", "fe80::/10"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), shown, "{text}");
        }
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0/8",
            "::/129",
            "::/256",
            "10.0.0.0/255.0.0.0",
            "example.org",
            "[::1]",
            "10.0.0.0 /8",
            "fe80::1%2",
            "any",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_with_its_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.128/25", "10.0.0.200", "10.0.0.127"),
            ("10.0.0.7", "10.0.0.7", "10.0.0.6"),
            ("0.0.0.0/0", "255.1.2.3", "::"),
            ("::/0", "2001:db8::1", "0.0.0.0"),
            ("2001:db8::/63", "2001:db8:0:1::1", "2001:db8:0:2::1"),
            ("2001:db8::/127", "2001:db8::1", "2001:db8::2"),
            ("::/96", "::1.2.3.4", "1.2.3.4"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
    }
}
