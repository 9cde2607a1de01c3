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
//!                 flags u8 (1: begins a message, 2: ends it, 4: it is about a file), length u16, that many bytes
//! ack         of u64: the segment that it answers;
//!             passed u64: segments before it were shown if received, and will never be shown if not
//! ping, pong  token u64: a pong repeats the token of its ping
//! addresses   one or more of 18 bytes each: IPv6 (or IPv4 mapped into it), port
//! ```
//!
//! Two kinds carry no acks of the conversation:
//!
//! ```text
//! 6 bulk      number u64: has a counter of its own; id u32, offset u64: of the file; then bytes of it, or none
//! 7 bulk ack  number u64: of the counter that kinds 2 to 5 share;
//!             credit u32: bytes of files that may be sent beyond those acknowledged here;
//!             delay u32: microseconds since the bulk packet `largest` arrived;
//!             largest u64, run u32: it and that many numbers before it arrived;
//!             at most 31 times gap u32, run u32: as many numbers did not, or were forgotten; then one and `run` more did
//! ```
//!
//! Integers are big-endian. Segment numbers are below 2^62, so that no sum of them overflows. A
//! packet that is malformed or has trailing bytes is dropped, like one that can't be decrypted.
//!
//! A segment is one datagram's worth of parts: it is numbered, acknowledged and retransmitted as a
//! whole. A short message is one part, and several may share a segment. A longer message is cut
//! into parts with a segment each. What clients tell each other about a file is one part with all flags.

use crate::files::message::{FileId, SIZE_MAX};
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

/// The first byte of a bulk packet, and of the ack of such packets.
pub(super) const BULK: u8 = 6;
pub(super) const BULK_ACK: u8 = 7;

/// Bytes before those of the file: kind, number, id, offset.
pub(super) const BULK_HEAD_LEN: usize = 1 + 8 + 4 + 8;

/// Bytes of a file in a datagram at most.
pub const BULK_MAX: usize = PACKET_MAX - BULK_HEAD_LEN;

/// Ranges of numbers in an ack of bulk packets at most.
pub(super) const RANGES_MAX: usize = 32;

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
    /// It is about a file, and whole.
    pub(super) is_file: bool,
    pub(super) text: &'a [u8],
}

/// Bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bulk<'a> {
    pub(super) number: u64,
    pub(super) id: FileId,
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
}

/// Which bulk packets arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BulkAck {
    pub(super) number: u64,
    /// Bytes that may be sent beyond the acknowledged ones.
    pub(super) credit: u32,
    /// In microseconds.
    pub(super) delay: u32,
    /// The numbers that arrived, first and last, the highest first. One or more, with gaps between them.
    pub(super) ranges: Vec<(u64, u64)>,
}

impl<'a> Bulk<'a> {
    /// Appends the packet.
    pub(super) fn write(&self, packet: &mut Vec<u8>) {
        packet.push(BULK);
        packet.extend_from_slice(&self.number.to_be_bytes());
        packet.extend_from_slice(&self.id.0.to_be_bytes());
        packet.extend_from_slice(&self.offset.to_be_bytes());
        packet.extend_from_slice(self.bytes);
    }

    pub(super) fn parse(packet: &'a [u8]) -> Option<Self> {
        let mut fields = Fields(packet);
        let [BULK] = fields.take()? else {
            return None;
        };
        Some(Self {
            number: fields.number()?,
            id: FileId(fields.short()?),
            offset: fields.integer().filter(|&offset| offset <= SIZE_MAX)?,
            bytes: fields.0,
        })
    }
}

impl BulkAck {
    /// Ranges that are too far down for the fields are left out.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![BULK_ACK];
        bytes.extend_from_slice(&self.number.to_be_bytes());
        bytes.extend_from_slice(&self.credit.to_be_bytes());
        bytes.extend_from_slice(&self.delay.to_be_bytes());
        let mut end = None;
        for &(first, last) in self.ranges.iter().take(RANGES_MAX) {
            match end.map(|end: u64| u32::try_from(end - last - 1)) {
                None => bytes.extend_from_slice(&last.to_be_bytes()),
                Some(Ok(gap)) => bytes.extend_from_slice(&gap.to_be_bytes()),
                Some(Err(_)) => break,
            }
            let run = u32::try_from(last - first).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&run.to_be_bytes());
            end = Some(last - u64::from(run));
        }
        bytes
    }

    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let mut fields = Fields(packet);
        let [BULK_ACK] = fields.take()? else {
            return None;
        };
        let (number, credit, delay) = (fields.number()?, fields.short()?, fields.short()?);
        let last = fields.number()?;
        let mut ranges = vec![(last.checked_sub(fields.short()?.into())?, last)];
        while !fields.0.is_empty() {
            let (&(end, _), gap) = (ranges.last()?, fields.short()?);
            let last = end.checked_sub(u64::from(gap) + 1).filter(|_| gap > 0)?;
            ranges.push((last.checked_sub(fields.short()?.into())?, last));
        }
        (ranges.len() <= RANGES_MAX).then_some(Self {
            number,
            credit,
            delay,
            ranges,
        })
    }
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
        let flags = u8::from(self.begins) | u8::from(self.ends) << 1 | u8::from(self.is_file) << 2;
        let mut bytes = vec![flags];
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

    fn short(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.integer().filter(|&number| number < NUMBER_END)
    }

    fn part(&mut self) -> Option<Part<'a>> {
        let [flags @ (0..=3 | 7), high, low] = self.take()? else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Part {
            begins: flags & 1 != 0,
            ends: flags & 2 != 0,
            is_file: flags & 4 != 0,
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
            is_file: false,
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
            is_file: false,
            text: &text,
        };
        let parts = part.to_bytes();
        let bytes = packet(Body::Data { floor: 0, parts }).to_bytes();
        assert_eq!(bytes.len(), PACKET_MAX);
    }

    fn ack(ranges: &[(u64, u64)]) -> BulkAck {
        BulkAck {
            number: 7,
            credit: 3000,
            delay: 5,
            ranges: ranges.to_vec(),
        }
    }

    #[test]
    fn bulk_packets_have_the_documented_bytes() {
        let bulk = Bulk {
            number: 7,
            id: FileId(9),
            offset: 258,
            bytes: b"hi",
        };
        let mut bytes = Vec::new();
        bulk.write(&mut bytes);
        let expected = [
            6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1, 2, b'h', b'i',
        ];
        assert_eq!(bytes, expected);
        assert_eq!(Bulk::parse(&bytes), Some(bulk));
        let mut expected = vec![
            7, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 11, 184, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 4,
        ];
        assert_eq!(ack(&[(16, 20)]).to_bytes(), expected);
        expected.extend([0, 0, 0, 2, 0, 0, 0, 1]);
        assert_eq!(ack(&[(16, 20), (12, 13)]).to_bytes(), expected);
    }

    #[test]
    fn the_longest_bulk_packet_fits_a_datagram() {
        let mut bytes = Vec::new();
        Bulk {
            number: 0,
            id: FileId(0),
            offset: SIZE_MAX,
            bytes: &[0; BULK_MAX],
        }
        .write(&mut bytes);
        assert_eq!(bytes.len(), PACKET_MAX);
        assert!(Bulk::parse(&bytes).is_some());
        assert_eq!(Bulk::parse(&bytes[..BULK_HEAD_LEN - 1]), None);
        assert!(
            Bulk::parse(&bytes[..BULK_HEAD_LEN]).is_some(),
            "one without bytes"
        );
        *bytes.get_mut(BULK_HEAD_LEN - 8).unwrap() = 0x80;
        assert_eq!(Bulk::parse(&bytes), None, "an offset that no file has");
    }

    #[test]
    fn acks_of_bulk_packets_are_parsed_as_they_were_encoded() {
        let many: Vec<_> = (0..32).map(|i| (1000 - 10 * i - 3, 1000 - 10 * i)).collect();
        for ranges in [
            &[(0, 0)][..],
            &[(0, NUMBER_END - 1 - (1 << 61))],
            &[(5, 9), (0, 3)],
            &many,
        ] {
            let sent = ack(ranges);
            let parsed = BulkAck::parse(&sent.to_bytes()).unwrap();
            if ranges.len() > 1 {
                assert_eq!(parsed, sent);
            }
            assert_eq!(parsed.ranges[0].1, ranges[0].1);
            assert_eq!(BulkAck::parse(&[&sent.to_bytes()[..], &[0]].concat()), None);
        }
        let far = ack(&[(1 << 60, 1 << 60), (1, 2)]);
        assert_eq!(
            BulkAck::parse(&far.to_bytes()).unwrap().ranges,
            [(1 << 60, 1 << 60)]
        );
    }

    #[test]
    fn malformed_acks_of_bulk_packets_are_rejected() {
        let bytes = ack(&[(16, 20), (12, 13)]).to_bytes();
        let with = |place: usize, byte| {
            let mut bytes = bytes.clone();
            bytes[place] = byte;
            BulkAck::parse(&bytes)
        };
        assert!(with(0, BULK_ACK).is_some());
        assert_eq!(with(28, 21), None, "a run below 0");
        assert_eq!(with(32, 0), None, "no gap");
        assert_eq!(with(32, 16), None, "a gap below 0");
        assert_eq!(with(17, 0x40), None, "a number above the limit");
        let more: Vec<_> = (0..33).map(|i| (1000 - 10 * i, 1000 - 10 * i)).collect();
        let mut bytes = ack(&more).to_bytes();
        assert!(BulkAck::parse(&bytes).is_some());
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(BulkAck::parse(&bytes), None, "too many ranges");
    }

    #[test]
    fn a_part_about_a_file_is_whole() {
        let mut bytes = packet(Body::Data {
            floor: 2,
            parts: hello(),
        })
        .to_bytes();
        let flags = bytes.len() - 5;
        for (value, is_valid) in [
            (3, true),
            (7, true),
            (4, false),
            (5, false),
            (6, false),
            (8, false),
        ] {
            bytes[flags] = value;
            assert_eq!(Packet::parse(&bytes).is_some(), is_valid, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0u8..9) {
            let _ = Packet::parse(&bytes);
            let packet = [&[kind], &bytes[..]].concat();
            let _ = Packet::parse(&packet);
            let _ = Bulk::parse(&packet);
            if let Some(ack) = BulkAck::parse(&packet) {
                prop_assert!(ack.ranges.iter().all(|(first, last)| first <= last && *last < NUMBER_END));
                prop_assert!(ack.ranges.windows(2).all(|pair| pair[1].1 + 1 < pair[0].0));
                prop_assert_eq!(ack.to_bytes(), packet);
            }
        }

        #[test]
        fn parts_are_parsed_as_they_were_encoded(
            written in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..50)), 1..10)) {
            let part = |(begins, ends, is_file, text): &(bool, bool, bool, Vec<u8>)| (*begins || *is_file, *ends || *is_file, *is_file, text.clone());
            let written: Vec<_> = written.iter().map(part).collect();
            let written: Vec<_> = written.iter().map(|(begins, ends, is_file, text)| Part { begins: *begins, ends: *ends, is_file: *is_file, text }).collect();
            let parts: Vec<u8> = written.iter().flat_map(|part| part.to_bytes()).collect();
            let read: Vec<_> = parts_of(&parts).collect();
            prop_assert_eq!(&read, &written);
            let packet = packet(Body::Data { floor: 0, parts: parts.clone() });
            prop_assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
        }
    }
}
