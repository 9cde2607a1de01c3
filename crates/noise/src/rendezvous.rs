//! The small UDP exchange by which a client learns its outside address.
//!
//! A client behind a router can't know the source address of its datagrams. It sends a request to the server's UDP port
//! (the same number as the TCP port). The server replies to the address it saw, with a nonce of its own, and the client
//! sends the nonce back over its TCP connection (`CONFIRM`). Only then does the server publish the address. A request with
//! a forged source leads to nothing: the nonce goes to a host that never asked.
//!
//! Both datagrams carry the first half of an HMAC-SHA-256 (RFC 2104), whose key is the token that the client received over
//! TCP. Whoever reads them on the way learns nothing that makes another request, and the counts that a client sends only
//! rise, so an old request is of no use either.
//!
//! A request may be padded, and then its reply has the same length. The reply shows that datagrams of that length pass
//! both ways. The server answers padded requests only of probes ([`chat_proto::rich::FromClient::Probe`]). It answers
//! nothing without a valid MAC, and a reply is never longer than its request, so the exchange is no use for amplification.

use crate::mac::{MAC_LEN, is_same, mac};
use chat_proto::datagram::{ADDRESS_LEN, MARK, REPLY, REQUEST, decode_address, encode_address};
use chat_proto::opaque::{Opaque, Token};
use std::net::SocketAddr;

/// Bytes in a request that is not padded: no reply is longer.
pub const REQUEST_LEN: usize = 64;

/// Bytes in the longest padded request: a packet of 1,500 bytes, the largest on common networks, less the headers of IPv4
/// and UDP.
pub const REQUEST_MAX: usize = 1500 - 20 - 8;

/// Bytes in the reply to a request that is not padded.
pub const REPLY_LEN: usize = 2 + 8 + 16 + ADDRESS_LEN + MAC_LEN;

const _: () = assert!(REPLY_LEN <= REQUEST_LEN);

/// A number used once.
pub type Nonce = Opaque<16>;

/// A request of this length, from [`REQUEST_LEN`] to [`REQUEST_MAX`]. `count` is higher than in all requests before.
///
/// ```text
/// 0       0xC1
/// 1       2
/// 2..6    the first four bytes of the token: the server finds the rest by them
/// 6..14   the count
/// 14..    zeros
/// -16..   the MAC of all before it
/// ```
#[must_use]
pub fn request(token: &Token, count: u64, length: usize) -> Vec<u8> {
    let [a, b, c, d, ..] = token.0;
    let mut bytes = vec![MARK, REQUEST, a, b, c, d];
    bytes.extend(count.to_be_bytes());
    signed(token, bytes, length)
}

/// A request as it came: of whom is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The first four bytes of the token that it claims.
    pub id: [u8; 4],
    /// How often the client has asked.
    pub count: u64,
    datagram: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a datagram; `None` if it is no request.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        if !(REQUEST_LEN..=REQUEST_MAX).contains(&datagram.len()) {
            return None;
        }
        let rest = datagram.strip_prefix(&[MARK, REQUEST])?;
        let (id, rest) = rest.split_first_chunk()?;
        let (count, _) = rest.split_first_chunk()?;
        Some(Self {
            id: *id,
            count: u64::from_be_bytes(*count),
            datagram,
        })
    }

    /// Whether it was made with this token.
    #[must_use]
    pub fn is_of(&self, token: &Token) -> bool {
        verified(token, self.datagram).is_some()
    }

    /// Whether it is padded.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.datagram.len() > REQUEST_LEN
    }

    /// The reply to a request that came from `observed`.
    ///
    /// `nonce` is fresh from the system's source of randomness; the caller stores it with the address until the client
    /// confirms it.
    ///
    /// ```text
    /// 0       0xC1
    /// 1       3
    /// 2..10   the count of the request
    /// 10..26  the nonce, to be brought back by CONFIRM
    /// 26..42  the address the server saw: IPv6, or IPv4 mapped into it
    /// 42..44  the port the server saw, big-endian
    /// 44..    zeros, if the request has more than 64 bytes: then the reply is as long as that
    /// -16..   the MAC of all before it
    /// ```
    #[must_use]
    pub fn reply(&self, token: &Token, observed: SocketAddr, nonce: Nonce) -> Vec<u8> {
        let mut bytes = vec![MARK, REPLY];
        bytes.extend(self.count.to_be_bytes());
        bytes.extend(nonce.0);
        bytes.extend(encode_address(observed));
        let length = if self.is_padded() {
            self.datagram.len()
        } else {
            REPLY_LEN
        };
        signed(token, bytes, length)
    }
}

/// The reply of the server, to the source of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The count of the request.
    pub count: u64,
    /// The nonce for `CONFIRM`, which the server makes at random for this reply alone.
    pub nonce: Nonce,
    /// Where the request came from.
    pub observed: SocketAddr,
}

impl Reply {
    /// Reads a datagram; `None` if it is no reply made with this token.
    #[must_use]
    pub fn parse(token: &Token, datagram: &[u8]) -> Option<Self> {
        if datagram.len() != REPLY_LEN && !(REQUEST_LEN + 1..=REQUEST_MAX).contains(&datagram.len()) {
            return None;
        }
        let rest = verified(token, datagram)?.strip_prefix(&[MARK, REPLY])?;
        let (count, rest) = rest.split_first_chunk()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (observed, _) = rest.split_first_chunk()?;
        Some(Self {
            count: u64::from_be_bytes(*count),
            nonce: Opaque(*nonce),
            observed: decode_address(observed),
        })
    }
}

/// The bytes, padded to this length with zeros before their MAC.
fn signed(token: &Token, mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    bytes.resize(length.saturating_sub(MAC_LEN).max(bytes.len()), 0);
    let mac = mac(&token.0, &[&bytes]);
    bytes.extend(mac);
    bytes
}

/// The bytes before the MAC, if that is right.
fn verified<'a>(token: &Token, datagram: &'a [u8]) -> Option<&'a [u8]> {
    let (bytes, of_sender) = datagram.split_last_chunk()?;
    is_same(&mac(&token.0, &[bytes]), of_sender).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    const ALICE: Token = Opaque([7; 16]);
    const NONCE: Nonce = Opaque([2; 16]);

    fn source() -> SocketAddr {
        "192.0.2.7:40001".parse().unwrap()
    }

    /// `PROTOCOL.md` has these bytes.
    #[test]
    fn the_bytes_of_both_datagrams_are_stable() {
        let asked = request(&ALICE, 1, REQUEST_LEN);
        let reply = Request::parse(&asked).unwrap().reply(&ALICE, source(), NONCE);
        let document = include_str!("../../proto/PROTOCOL.md");
        for bytes in [asked, reply] {
            let bytes = HEXLOWER.encode(&bytes);
            assert!(document.contains(&bytes), "{bytes}");
        }
    }

    #[test]
    fn other_datagrams_are_no_requests() {
        let asked = request(&ALICE, 1, REQUEST_LEN);
        let mut other = asked.clone();
        other[1] = REPLY;
        for bytes in [&asked[..63], &[0; REQUEST_MAX + 1], &other, b"hello", b""] {
            assert_eq!(Request::parse(bytes), None);
        }
    }

    #[test]
    fn the_reply_to_a_padded_request_has_its_length() {
        for (length, replied) in [(64, 60), (65, 65), (1200, 1200), (REQUEST_MAX, REQUEST_MAX)] {
            let asked = request(&ALICE, 1, length);
            assert_eq!(asked.len(), length);
            let reply = Request::parse(&asked).unwrap().reply(&ALICE, source(), NONCE);
            assert_eq!(reply.len(), replied);
            assert_eq!(Reply::parse(&ALICE, &reply).unwrap().observed, source());
            assert_eq!(Request::parse(&reply), None);
        }
    }

    #[test]
    fn whoever_reads_a_request_can_make_no_other() {
        let asked = request(&ALICE, 1, REQUEST_LEN);
        let reply = Request::parse(&asked).unwrap().reply(&ALICE, source(), NONCE);
        assert_eq!(Reply::parse(&Opaque([8; 16]), &reply), None);
        for bit in 16..8 * REQUEST_LEN {
            let altered = |datagram: &[u8]| {
                let mut datagram = datagram.to_vec();
                if let Some(byte) = datagram.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
                datagram
            };
            assert!(!Request::parse(&altered(&asked)).unwrap().is_of(&ALICE));
            let reply = altered(&reply);
            assert_eq!(Reply::parse(&ALICE, &reply).is_some(), bit / 8 >= REPLY_LEN);
        }
        let shown = asked.windows(5).any(|bytes| bytes == [7; 5]);
        assert!(!shown, "no more than four bytes of the token are in it");
    }

    proptest! {
        #[test]
        fn requests_and_replies_round_trip(token in any::<[u8; 16]>(), count in any::<u64>(), nonce in any::<[u8; 16]>(),
                                          ip in any::<std::net::IpAddr>(), port in any::<u16>()) {
            let (token, nonce) = (Opaque(token), Opaque(nonce));
            let asked = request(&token, count, REQUEST_LEN);
            let asked = Request::parse(&asked).unwrap();
            prop_assert!(asked.is_of(&token));
            prop_assert_eq!(asked.count, count);
            let observed = chat_proto::id::canonical(SocketAddr::new(ip, port));
            let reply = asked.reply(&token, observed, nonce);
            prop_assert_eq!(Reply::parse(&token, &reply), Some(Reply { count, nonce, observed }));
        }
    }
}
