//! The packet: the content of a sealed datagram.
//!
//! ```text
//! 0       kind: 1 data, 2 ack, 3 ping, 4 pong, 5 addresses
//! 1..9    number: of the segment, for data; the other kinds share a counter of their own
//! 9..17   cumulative ack: every segment before this one was received or given up
//! 17..25  selective acks: bit i (1 << i) acknowledges segment `cumulative + 1 + i`
//! 25..    body, by kind:
//!
//! data        floor u64: every segment before it was acknowledged, or given up by its sender; then parts:
//!                 flags u8 (1: begins a message, 2: ends it), length u16, that many bytes of text
//! ack         of u64: the segment that it answers;
//!             passed u64: segments before it were shown if received, and will never be shown if not
//! ping, pong  token u64: a pong repeats the token of its ping
//! addresses   one or more of 18 bytes each: IPv6 (or IPv4 mapped into it), port
//! ```
//!
//! Integers are big-endian. Segment numbers are below 2^62, so that no sum of them overflows. A
//! packet that is malformed or has trailing bytes is dropped, like one that can't be decrypted.
//!
//! A segment is one datagram's worth of parts: it is numbered, acknowledged and retransmitted as a
//! whole. A short message is one part, and several may share a segment. A longer message is cut
//! into parts with a segment each.

use chat_noise::private::OVERHEAD;
use chat_proto::datagram::{ADDRESS_LEN, decode_address, encode_address};
use std::net::SocketAddr;

/// Bytes in a datagram at most. They pass every path of IPv6's smallest MTU without fragmentation:
/// 1,280, less 40 for IPv6, 8 for UDP, and 32 to spare for a tunnel.
pub const DATAGRAM_MAX: usize = 1200;

/// Bytes in a packet at most.
const PACKET_MAX: usize = DATAGRAM_MAX - OVERHEAD;

/// Bytes before the body: kind, number, cumulative and selective acks.
const HEAD_LEN: usize = 1 + 8 + 8 + 8;

/// Bytes before the text of a part: flags and length.
pub(super) const PART_HEAD_LEN: usize = 1 + 2;

/// Bytes of parts in a segment at most, including [`PART_HEAD_LEN`] for each.
pub(super) const PARTS_MAX: usize = PACKET_MAX - HEAD_LEN - 8;

/// Bytes in a ping or pong.
pub(super) const PING_LEN: usize = HEAD_LEN + 8;

/// Numbers stay below this; at a million segments a second that takes 146,000 years.
const NUMBER_END: u64 = 1 << 62;

/// Local addresses in a packet at most. Further ones are ignored.
pub(super) const ADDRESSES_MAX: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) number: u64,
    pub(super) cumulative: u64,
    pub(super) selective: u64,
    pub(super) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Data { floor: u64, parts: Vec<u8> },
    Ack { of: u64, passed: u64 },
    Ping(u64),
    Pong(u64),
    Addresses(Vec<SocketAddr>),
}

/// A message, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) begins: bool,
    pub(super) ends: bool,
    pub(super) text: &'a [u8],
}

impl Packet {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        match &self.body {
            Body::Data { floor, parts } => self.encode(1, &[*floor], parts),
            Body::Ack { of, passed } => self.encode(2, &[*of, *passed], &[]),
            Body::Ping(token) => self.encode(3, &[*token], &[]),
            Body::Pong(token) => self.encode(4, &[*token], &[]),
            Body::Addresses(addresses) => {
                let addresses = addresses.iter().take(ADDRESSES_MAX);
                let bytes: Vec<u8> = addresses.flat_map(|&address| encode_address(address)).collect();
                self.encode(5, &[], &bytes)
            }
        }
    }

    fn encode(&self, kind: u8, integers: &[u64], rest: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PACKET_MAX);
        bytes.push(kind);
        for integer in [self.number, self.cumulative, self.selective]
            .iter()
            .chain(integers)
        {
            bytes.extend_from_slice(&integer.to_be_bytes());
        }
        bytes.extend_from_slice(rest);
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let [kind] = fields.take()?;
        let (number, cumulative, selective) = (fields.number()?, fields.number()?, fields.integer()?);
        let body = match kind {
            1 => Body::Data {
                floor: fields.number()?,
                parts: fields.parts()?,
            },
            2 => Body::Ack {
                of: fields.number()?,
                passed: fields.number()?,
            },
            3 => Body::Ping(fields.integer()?),
            4 => Body::Pong(fields.integer()?),
            5 => Body::Addresses(fields.addresses()?),
            _ => return None,
        };
        fields.0.is_empty().then_some(Self {
            number,
            cumulative,
            selective,
            body,
        })
    }
}

impl Part<'_> {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let length = u16::try_from(self.text.len()).unwrap_or(u16::MAX);
        let mut bytes = vec![u8::from(self.begins) | u8::from(self.ends) << 1];
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend(self.text.iter().take(length.into()));
        bytes
    }
}

/// The parts of a segment, in order. [`Packet::parse`] has checked that all are well-formed.
pub(super) fn parts_of(parts: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut fields = Fields(parts);
    std::iter::from_fn(move || fields.part())
}

/// The rest of a packet while it is parsed.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn integer(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.integer().filter(|&number| number < NUMBER_END)
    }

    fn part(&mut self) -> Option<Part<'a>> {
        let [flags @ 0..=3, high, low] = self.take()? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Part {
            begins: flags & 1 != 0,
            ends: flags & 2 != 0,
            text,
        })
    }

    /// One or more parts, to the end of the packet.
    fn parts(&mut self) -> Option<Vec<u8>> {
        let parts = self.0;
        self.part()?;
        while !self.0.is_empty() {
            self.part()?;
        }
        Some(parts.to_vec())
    }

    fn addresses(&mut self) -> Option<Vec<SocketAddr>> {
        let (chunks, []) = self.0.as_chunks::<ADDRESS_LEN>() else {
            return None;
        };
        self.0 = &[];
        Some(chunks.iter().take(ADDRESSES_MAX).map(decode_address).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(body: Body) -> Packet {
        Packet {
            number: 7,
            cumulative: 3,
            selective: 5,
            body,
        }
    }

    fn hello() -> Vec<u8> {
        let part = Part {
            begins: true,
            ends: true,
            text: b"hi",
        };
        part.to_bytes()
    }

    #[test]
    fn every_kind_is_parsed_as_it_was_encoded() {
        let addresses = vec![
            "10.0.0.5:50313".parse().unwrap(),
            "[fd00::5]:50313".parse().unwrap(),
        ];
        for body in [
            Body::Data {
                floor: 2,
                parts: hello(),
            },
            Body::Ack { of: 9, passed: 4 },
            Body::Ping(1 << 63),
            Body::Pong(0),
            Body::Addresses(addresses),
        ] {
            let packet = packet(body);
            assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
        }
    }

    #[test]
    fn a_data_packet_has_the_documented_bytes() {
        let bytes = packet(Body::Data {
            floor: 2,
            parts: hello(),
        })
        .to_bytes();
        let mut expected = vec![
            1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5,
        ];
        expected.extend([0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 2, b'h', b'i']);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn truncated_or_trailing_bytes_are_rejected() {
        let data = packet(Body::Data {
            floor: 2,
            parts: hello(),
        });
        let ack = packet(Body::Ack { of: 9, passed: 4 });
        for bytes in [data.to_bytes(), ack.to_bytes()] {
            for cut in 0..bytes.len() {
                assert_eq!(Packet::parse(&bytes[..cut]), None);
            }
            assert_eq!(Packet::parse(&[&bytes[..], &[1]].concat()), None);
        }
        let empty = packet(Body::Data {
            floor: 2,
            parts: Vec::new(),
        });
        assert_eq!(Packet::parse(&empty.to_bytes()), None, "data without a part");
    }

    #[test]
    fn numbers_above_the_limit_are_rejected() {
        let last = NUMBER_END - 1;
        let with = |number, cumulative, passed| {
            let body = Body::Ack { of: 0, passed };
            Packet {
                number,
                cumulative,
                selective: u64::MAX,
                body,
            }
        };
        let packet = with(last, last, last);
        assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
        for over in [with(last + 1, 0, 0), with(0, last + 1, 0), with(0, 0, last + 1)] {
            assert_eq!(Packet::parse(&over.to_bytes()), None, "{over:?}");
        }
    }

    /// The amplification limit of unvalidated addresses counts on it.
    #[test]
    fn a_ping_has_the_declared_length() {
        for body in [Body::Ping(7), Body::Pong(7)] {
            assert_eq!(packet(body).to_bytes().len(), PING_LEN);
        }
    }

    #[test]
    fn the_longest_segment_fits_a_packet() {
        let text = vec![b'x'; PARTS_MAX - PART_HEAD_LEN];
        let part = Part {
            begins: true,
            ends: false,
            text: &text,
        };
        let parts = part.to_bytes();
        let bytes = packet(Body::Data { floor: 0, parts }).to_bytes();
        assert_eq!(bytes.len(), PACKET_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..7) {
            let _ = Packet::parse(&bytes);
            let _ = Packet::parse(&[&[kind], &bytes[..]].concat());
        }

        #[test]
        fn parts_are_parsed_as_they_were_encoded(
            written in prop::collection::vec((any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..50)), 1..10)) {
            let written: Vec<_> = written.iter().map(|(begins, ends, text)| Part { begins: *begins, ends: *ends, text }).collect();
            let parts: Vec<u8> = written.iter().flat_map(|part| part.to_bytes()).collect();
            let read: Vec<_> = parts_of(&parts).collect();
            prop_assert_eq!(&read, &written);
            let packet = packet(Body::Data { floor: 0, parts: parts.clone() });
            prop_assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
        }
    }
}
