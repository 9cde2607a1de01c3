//! The small UDP exchange by which a client learns its outside address.
//!
//! A client behind a router can't know the source address of its datagrams. It sends a request to the server's UDP port
//! (the same number as the TCP port). The server replies to the address it saw, with a nonce of its own. Only the host at
//! that address can read the nonce, and the client sends it back over its TCP connection (`CONFIRM`). Only then does the
//! server publish the address. A request with a forged source leads to nothing: the nonce goes to a host that never
//! asked.
//!
//! A request may be padded, and then its reply has the same length. The reply shows that datagrams of that length pass
//! both ways. The server answers padded requests only of probes ([`crate::rich::FromClient::Probe`]).
//!
//! A request without a valid token gets no reply, and a reply is never longer than its request, so the exchange is no use
//! for amplification.

use crate::id::canonical;
use crate::opaque::{Opaque, Token};
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

/// Bytes in a request: mark, kind, token, nonce, and 30 zeros, so that no reply is longer.
pub const REQUEST_LEN: usize = 64;

/// Bytes in the longest padded request: a packet of 1,500 bytes, the largest on common networks, less the headers of IPv4
/// and UDP.
pub const REQUEST_MAX: usize = 1500 - 20 - 8;

/// Bytes in a reply: mark, kind, two nonces, and an address of 16 + 2 bytes. The reply to a padded request is as long as
/// that.
pub const REPLY_LEN: usize = 2 + 16 + 16 + 18;

const _: () = assert!(REPLY_LEN <= REQUEST_LEN);

/// A number used once.
pub type Nonce = Opaque<16>;

/// A request of a client over UDP.
///
/// ```text
/// 0       0xC1
/// 1       2
/// 2..18   the rendezvous token of WELCOME
/// 18..34  the client's nonce
/// 34..    zeros, at least 30
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The token that the client received over TCP.
    pub token: Token,
    /// Fresh for each request, so that the client recognises forged and late replies.
    pub nonce: Nonce,
}

/// The reply of the server, to the source of the request.
///
/// ```text
/// 0       0xC1
/// 1       3
/// 2..18   the client's nonce, as it came
/// 18..34  the server's nonce, to be brought back by CONFIRM
/// 34..50  the address the server saw: IPv6, or IPv4 mapped into it
/// 50..52  the port the server saw, big-endian
/// 52..    zeros, up to the length of the request, if that has more than 64 bytes
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The nonce of the request.
    pub echo: Nonce,
    /// The nonce for `CONFIRM`, which the server makes at random for this reply alone.
    pub nonce: Nonce,
    /// Where the request came from.
    pub observed: SocketAddr,
}

/// The reply to send to `source`, if the datagram is a request. The caller checks its token.
///
/// `nonce` is fresh from the system's source of randomness; the caller stores it with `source` until the client confirms
/// it.
#[must_use]
pub fn answer(datagram: &[u8], source: SocketAddr, nonce: Nonce) -> Option<Vec<u8>> {
    let reply = Reply {
        echo: Request::parse(datagram)?.nonce,
        nonce,
        observed: source,
    };
    let mut bytes = reply.to_bytes().to_vec();
    if is_padded(datagram) {
        bytes.resize(datagram.len(), 0);
    }
    Some(bytes)
}

/// Whether a request or reply is padded.
#[must_use]
pub fn is_padded(datagram: &[u8]) -> bool {
    datagram.len() > REQUEST_LEN
}

impl Request {
    /// Reads a datagram; `None` if it is no request.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        if !(REQUEST_LEN..=REQUEST_MAX).contains(&datagram.len()) {
            return None;
        }
        let rest = datagram.strip_prefix(&[MARK, REQUEST])?;
        let (token, rest) = rest.split_first_chunk()?;
        let (nonce, _) = rest.split_first_chunk()?;
        Some(Self {
            token: Opaque(*token),
            nonce: Opaque(*nonce),
        })
    }

    /// The datagram.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; REQUEST_LEN] {
        concat(&[&[MARK, REQUEST], &self.token.0, &self.nonce.0])
    }
}

impl Reply {
    /// Reads a datagram; `None` if it is no reply.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        if datagram.len() != REPLY_LEN && !(REQUEST_LEN + 1..=REQUEST_MAX).contains(&datagram.len()) {
            return None;
        }
        let rest = datagram.strip_prefix(&[MARK, REPLY])?;
        let (echo, rest) = rest.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (observed, _) = rest.split_first_chunk()?;
        Some(Self {
            echo: Opaque(*echo),
            nonce: Opaque(*nonce),
            observed: decode_address(observed),
        })
    }

    /// The datagram.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; REPLY_LEN] {
        let address = encode_address(self.observed);
        concat(&[&[MARK, REPLY], &self.echo.0, &self.nonce.0, &address])
    }
}

/// Bytes in an address: IPv6, or IPv4 mapped into it, and the port.
pub const ADDRESS_LEN: usize = 18;

/// An address as datagrams carry it.
#[must_use]
pub fn encode_address(address: SocketAddr) -> [u8; ADDRESS_LEN] {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    concat(&[&ip.octets(), &address.port().to_be_bytes()])
}

/// The address, in its canonical form.
#[must_use]
pub fn decode_address(bytes: &[u8; ADDRESS_LEN]) -> SocketAddr {
    let [ip @ .., high, low] = *bytes;
    let ip = IpAddr::V6(Ipv6Addr::from(ip));
    canonical(SocketAddr::new(ip, u16::from_be_bytes([high, low])))
}

/// The parts, padded with zeros.
fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    let all = parts.iter().copied().flatten();
    bytes.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REQUEST_OF_ALICE: Request = Request {
        token: Opaque([7; 16]),
        nonce: Opaque([1; 16]),
    };

    fn source() -> SocketAddr {
        "192.0.2.7:40001".parse().unwrap()
    }

    #[test]
    fn a_reply_has_both_nonces_and_the_address_seen() {
        let reply = answer(&REQUEST_OF_ALICE.to_bytes(), source(), Opaque([2; 16]));
        let reply = Reply::parse(&reply.unwrap()).unwrap();
        assert_eq!(reply.echo, Opaque([1; 16]));
        assert_eq!(reply.nonce, Opaque([2; 16]));
        assert_eq!(reply.observed, source());
    }

    #[test]
    fn other_datagrams_get_no_reply() {
        let request = REQUEST_OF_ALICE.to_bytes();
        let mut long = request.to_vec();
        long.resize(REQUEST_MAX + 1, 0);
        let mut other = request;
        other[1] = SEALED;
        for bytes in [&request[..63], &long, &other, b"hello", b""] {
            let reply = answer(bytes, source(), Opaque([2; 16]));
            assert_eq!(reply, None);
        }
    }

    #[test]
    fn the_reply_to_a_padded_request_has_its_length() {
        for (length, replied) in [(64, 52), (65, 65), (1200, 1200), (REQUEST_MAX, REQUEST_MAX)] {
            let mut request = REQUEST_OF_ALICE.to_bytes().to_vec();
            request.resize(length, 0);
            let reply = answer(&request, source(), Opaque([2; 16])).unwrap();
            assert_eq!(reply.len(), replied);
            assert_eq!(Reply::parse(&reply).unwrap().observed, source());
            assert_eq!(Request::parse(&reply), None);
        }
    }

    #[test]
    fn the_bytes_of_a_reply_are_stable() {
        let reply = Reply {
            echo: Opaque([1; 16]),
            nonce: Opaque([2; 16]),
            observed: source(),
        };
        let mut expected = vec![0xC1, 3];
        expected.extend([1; 16]);
        expected.extend([2; 16]);
        expected.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 7, 0x9C, 0x41]);
        assert_eq!(reply.to_bytes().to_vec(), expected);
    }

    proptest! {
        #[test]
        fn requests_and_replies_round_trip(token in any::<[u8; 16]>(), nonce in any::<[u8; 16]>(),
                                          ip in any::<IpAddr>(), port in any::<u16>()) {
            let request = Request { token: Opaque(token), nonce: Opaque(nonce) };
            prop_assert_eq!(Request::parse(&request.to_bytes()), Some(request));
            let observed = canonical(SocketAddr::new(ip, port));
            let reply = Reply { echo: Opaque(nonce), nonce: Opaque(token), observed };
            prop_assert_eq!(Reply::parse(&reply.to_bytes()), Some(reply));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..1500)) {
            let _ = Request::parse(&bytes);
            let _ = Reply::parse(&bytes);
        }
    }
}
