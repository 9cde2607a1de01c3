//! The packet: what a sealed datagram holds.
//!
//! ```text
//! 0       kind: 1 data, 2 ack, 3 ping, 4 pong, 5 addresses
//! 1..9    number: of a segment, for data; for every other kind, of a count of its own
//! 9..17   cumulative ack: the receiver is done with every segment before this one
//! 17..25  selective acks: bit i (1 << i) says that segment `cumulative + 1 + i` has come
//! 25..    body, as its kind says:
//!
//! data        floor u64: the sender has given up, or seen acknowledged, every segment before it; then parts:
//!                 flags u8 (1: begins a message, 2: ends it), length u16, that many bytes of text
//! ack         of u64: the segment that is being answered;
//!             passed u64: what comes before it is shown if it has come, and never will be if not
//! ping, pong  token u64: the pong says the ping's
//! addresses   one or more of 18 bytes each: IPv6 (or IPv4 mapped into it), port
//! ```
//!
//! Integers are big-endian; those that number or acknowledge are below 2^62, so that no sum of them overflows. A
//! packet that breaks this, or has bytes to spare, is dropped like one that does not open.
//!
//! A segment is the unit that is numbered, sent, acknowledged and sent again: one datagram's worth of parts. A
//! message that fits is one part, and several short ones may share a segment; a longer one is cut into parts, each alone
//! in its segment.

use super::seal::PACKET_MAX;
use chat_proto::rendezvous::{ADDRESS_LEN, decode_address, encode_address};
use std::net::SocketAddr;

/// Bytes before the body: kind, number, cumulative and selective acks.
const HEAD_LEN: usize = 1 + 8 + 8 + 8;

/// Bytes before the text of a part: flags and length.
pub(super) const PART_HEAD_LEN: usize = 1 + 2;

/// Bytes of parts in one segment at most, [`PART_HEAD_LEN`] each included.
pub(super) const PARTS_MAX: usize = PACKET_MAX - HEAD_LEN - 8;

/// Bytes in a ping or pong.
pub(super) const PING_LEN: usize = HEAD_LEN + 8;

/// Numbers stay below this; at a million segments a second that takes 146,000 years.
const NUMBER_END: u64 = 1 << 62;

/// Local addresses that one packet offers, or that are believed of one.
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
        let mut bytes = Vec::with_capacity(PACKET_MAX);
        bytes.push(self.body.kind());
        for field in [self.number, self.cumulative, self.selective] {
            bytes.extend_from_slice(&field.to_be_bytes());
        }
        match &self.body {
            Body::Data { floor, parts } => {
                bytes.extend_from_slice(&floor.to_be_bytes());
                bytes.extend_from_slice(parts);
            }
            Body::Ack { of, passed } => {
                bytes.extend_from_slice(&of.to_be_bytes());
                bytes.extend_from_slice(&passed.to_be_bytes());
            }
            Body::Ping(token) | Body::Pong(token) => bytes.extend_from_slice(&token.to_be_bytes()),
            Body::Addresses(addresses) => {
                let addresses = addresses.iter().take(ADDRESSES_MAX);
                bytes.extend(addresses.flat_map(|&address| encode_address(address)));
            }
        }
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

impl Body {
    fn kind(&self) -> u8 {
        match self {
            Self::Data { .. } => 1,
            Self::Ack { .. } => 2,
            Self::Ping(_) => 3,
            Self::Pong(_) => 4,
            Self::Addresses(_) => 5,
        }
    }
}

impl Part<'_> {
    /// Adds this part to those of a segment.
    pub(super) fn write(&self, parts: &mut Vec<u8>) {
        let length = u16::try_from(self.text.len()).unwrap_or(u16::MAX);
        parts.push(u8::from(self.begins) | u8::from(self.ends) << 1);
        parts.extend_from_slice(&length.to_be_bytes());
        parts.extend(self.text.iter().take(length.into()));
    }
}

/// The parts of a segment, in order; those of a packet that [`Packet::parse`] took are all well-formed.
pub(super) fn parts_of(parts: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut fields = Fields(parts);
    std::iter::from_fn(move || fields.part())
}

/// What is left of a packet while it is read.
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

    /// At least one part, and nothing that is none.
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
        let mut parts = Vec::new();
        let part = Part {
            begins: true,
            ends: true,
            text: b"hi",
        };
        part.write(&mut parts);
        parts
    }

    #[test]
    fn every_kind_reads_back() {
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
    fn the_bytes_of_a_packet_are_these() {
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
    fn a_packet_with_bytes_too_few_or_too_many_is_none() {
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
    fn a_number_at_the_end_of_its_range_is_the_last_that_is_read() {
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

    /// What may be sent to an address that never answered is reckoned with it.
    #[test]
    fn a_ping_is_as_long_as_it_is_said_to_be() {
        for body in [Body::Ping(7), Body::Pong(7)] {
            assert_eq!(packet(body).to_bytes().len(), PING_LEN);
        }
    }

    #[test]
    fn the_longest_segment_just_fits() {
        let mut parts = Vec::new();
        let text = vec![b'x'; PARTS_MAX - PART_HEAD_LEN];
        let part = Part {
            begins: true,
            ends: false,
            text: &text,
        };
        part.write(&mut parts);
        let bytes = packet(Body::Data { floor: 0, parts }).to_bytes();
        assert_eq!(bytes.len(), PACKET_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0u8..7) {
            let _ = Packet::parse(&bytes);
            let _ = Packet::parse(&[&[kind], &bytes[..]].concat());
        }

        #[test]
        fn the_parts_of_a_packet_are_those_that_were_written(
            written in prop::collection::vec((any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..50)), 1..10)) {
            let mut parts = Vec::new();
            let written: Vec<_> = written.iter().map(|(begins, ends, text)| Part { begins: *begins, ends: *ends, text }).collect();
            written.iter().for_each(|part| part.write(&mut parts));
            let read: Vec<_> = parts_of(&parts).collect();
            prop_assert_eq!(&read, &written);
            let packet = packet(Body::Data { floor: 0, parts: parts.clone() });
            prop_assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
        }
    }
}
