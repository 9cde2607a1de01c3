//! Records: what is said over the channel, encrypted, each in one piece.
//!
//! ```text
//! 0..2    length of what follows, u16, big-endian; its highest bit: the key was renewed before this record
//! 2..     1 to 16,384 bytes of lines, encrypted, and the tag of 16 bytes; bytes 0..2 are associated data
//! ```
//!
//! Each direction has its own key, and counts its records from 0. So a record that was changed, left out, repeated or moved
//! does not open. Lines may begin and end anywhere in a record.

use crate::primitives::{self, Cipher, TAG_LEN};
use std::time::Duration;
use zeroize::Zeroizing;

/// Bytes that one record carries, at most.
pub const RECORD_MAX: usize = 16 * 1024;

/// Bytes before what is encrypted.
const HEADER_LEN: usize = 2;

/// In the length: the sender renewed its key (Noise, section 11.3) before this record.
const RENEWED: u16 = 1 << 15;

/// A key encrypts so many records at most, and for so long: what is stolen later does not open earlier ones.
const RECORDS_PER_KEY: u64 = 1 << 16;
const SECONDS_PER_KEY: u32 = 3600;

/// Both directions of a channel.
#[derive(Debug)]
pub struct Channel {
    /// What this side says.
    pub sealer: Sealer,
    /// What the other side says.
    pub opener: Opener,
}

/// The key of one direction, overwritten when it is dropped.
struct Key {
    bytes: Zeroizing<[u8; 32]>,
    /// The number of the next record. No number ever serves two plaintexts.
    next: u64,
    cipher: Cipher,
}

impl Key {
    fn new(cipher: Cipher, bytes: [u8; 32]) -> Self {
        Self {
            bytes: Zeroizing::new(bytes),
            next: 0,
            cipher,
        }
    }

    /// REKEY of Noise (section 11.3, with the default of section 4.2).
    fn renew(&mut self) {
        let mut next = Zeroizing::new([0; 32]);
        let _tag = primitives::seal(self.cipher, &self.bytes, u64::MAX, &[], next.as_mut_slice());
        self.bytes = next;
    }
}

/// Encrypts what this side says.
pub struct Sealer {
    key: Key,
    /// When it was made, in seconds.
    since: u32,
}

impl Sealer {
    pub(crate) fn new(cipher: Cipher, key: [u8; 32], now: Duration) -> Self {
        Self {
            key: Key::new(cipher, key),
            since: seconds(now),
        }
    }

    /// Appends a record of the next bytes of `pieces` to `out`, as many as one record takes. Returns how many these were.
    /// They MUST NOT be encrypted again. Without any bytes nothing is appended.
    pub fn seal<'a>(
        &mut self,
        now: Duration,
        pieces: impl IntoIterator<Item = &'a [u8]>,
        out: &mut Vec<u8>,
    ) -> usize {
        let begin = out.len();
        out.extend_from_slice(&[0; HEADER_LEN]);
        for piece in pieces {
            let room = begin + HEADER_LEN + RECORD_MAX - out.len();
            out.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
        let count = out.len() - begin - HEADER_LEN;
        if count == 0 {
            out.truncate(begin);
            return 0;
        }
        let renewed = if self.renews(now) { RENEWED } else { 0 };
        let length = u16::try_from(count + TAG_LEN).expect("a record is shorter than 2^15 bytes");
        let header = (length | renewed).to_be_bytes();
        let (_, record) = out.split_at_mut(begin);
        let (head, body) = record.split_at_mut(HEADER_LEN);
        head.copy_from_slice(&header);
        let tag = primitives::seal(self.key.cipher, &self.key.bytes, self.key.next, &header, body);
        out.extend_from_slice(tag.as_ref());
        self.key.next += 1;
        count
    }

    #[cfg(test)]
    pub(crate) fn cipher(&self) -> Cipher {
        self.key.cipher
    }

    /// Renews the key if it is time.
    fn renews(&mut self, now: Duration) -> bool {
        let is_old = seconds(now).saturating_sub(self.since) >= SECONDS_PER_KEY;
        let is_used = self.key.next > 0 && self.key.next.is_multiple_of(RECORDS_PER_KEY);
        if !is_old && !is_used {
            return false;
        }
        self.key.renew();
        self.since = seconds(now);
        true
    }
}

/// What the other side said does not open: something on the way has changed it. The connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Altered;

/// Decrypts what the other side says.
pub struct Opener {
    key: Key,
    /// The beginning of a record; boxed, because most of the time there is none.
    #[allow(clippy::box_collection, reason = "a server keeps one of these for each user")]
    partial: Option<Box<Vec<u8>>>,
}

impl Opener {
    pub(crate) fn new(cipher: Cipher, key: [u8; 32]) -> Self {
        Self {
            key: Key::new(cipher, key),
            partial: None,
        }
    }

    /// Takes bytes as they arrive, cut anywhere, and appends what was said to `out`. No record carries more than `max`
    /// bytes.
    ///
    /// # Errors
    /// [`Altered`], and then whatever `out` got before it is as it was said. Nothing opens after that.
    pub fn open(&mut self, bytes: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), Altered> {
        let opened = self.open_all(bytes, max, out);
        if opened.is_err() {
            self.key.next = u64::MAX;
        }
        opened
    }

    fn open_all(&mut self, mut bytes: &[u8], max: usize, out: &mut Vec<u8>) -> Result<(), Altered> {
        if let Some(mut partial) = self.partial.take() {
            // First what its header lacks, then the rest.
            for _ in 0..2 {
                let (next, rest) = bytes.split_at(missing(&partial, max)?.min(bytes.len()));
                partial.extend_from_slice(next);
                bytes = rest;
            }
            if missing(&partial, max)? > 0 {
                self.partial = Some(partial);
                return Ok(());
            }
            self.open_record(&partial, out)?;
        }
        while !bytes.is_empty() {
            let Some((record, rest)) = bytes.split_at_checked(record_len(bytes, max)?) else {
                self.partial = Some(Box::new(bytes.to_vec()));
                break;
            };
            self.open_record(record, out)?;
            bytes = rest;
        }
        Ok(())
    }

    fn open_record(&mut self, record: &[u8], out: &mut Vec<u8>) -> Result<(), Altered> {
        let (header, sealed) = record.split_first_chunk::<HEADER_LEN>().ok_or(Altered)?;
        // Noise has no record of this number (section 5.1). An opener that failed stays there.
        if self.key.next == u64::MAX {
            return Err(Altered);
        }
        if u16::from_be_bytes(*header) & RENEWED != 0 {
            self.key.renew();
        }
        let begin = out.len();
        out.extend_from_slice(sealed);
        let (_, body) = out.split_at_mut(begin);
        let key = &self.key;
        let opened = primitives::open(key.cipher, &key.bytes, key.next, header, body).map(<[u8]>::len);
        out.truncate(begin + opened.unwrap_or_default());
        opened.ok_or(Altered)?;
        self.key.next += 1;
        Ok(())
    }
}

/// Bytes of the record that begins here, header included. `HEADER_LEN` until the header is complete.
fn record_len(bytes: &[u8], max: usize) -> Result<usize, Altered> {
    let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
        return Ok(HEADER_LEN);
    };
    let length = usize::from(u16::from_be_bytes(*header) & !RENEWED);
    if !(TAG_LEN + 1..=TAG_LEN + max).contains(&length) {
        return Err(Altered);
    }
    Ok(HEADER_LEN + length)
}

/// How many bytes this record, or its header, still lacks.
fn missing(bytes: &[u8], max: usize) -> Result<usize, Altered> {
    Ok(record_len(bytes, max)?.saturating_sub(bytes.len()))
}

fn seconds(now: Duration) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("next", &self.key.next)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener")
            .field("next", &self.key.next)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(9);

    const CIPHERS: [Cipher; 2] = [Cipher::ChaChaPoly, Cipher::AesGcm];

    fn ends() -> (Sealer, Opener) {
        ends_of(Cipher::ChaChaPoly)
    }

    fn ends_of(cipher: Cipher) -> (Sealer, Opener) {
        (Sealer::new(cipher, [7; 32], NOW), Opener::new(cipher, [7; 32]))
    }

    fn record(sealer: &mut Sealer, said: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(sealer.seal(NOW, [said], &mut out), said.len());
        out
    }

    fn opened(opener: &mut Opener, bytes: &[u8]) -> Result<Vec<u8>, Altered> {
        let mut out = Vec::new();
        opener.open(bytes, RECORD_MAX, &mut out)?;
        Ok(out)
    }

    #[test]
    fn what_is_said_arrives_however_it_is_cut() {
        for cipher in CIPHERS {
            let (mut sealer, _) = ends_of(cipher);
            let wire = [
                record(&mut sealer, b"one\n"),
                record(&mut sealer, &[b'x'; 300]),
                record(&mut sealer, b"\n"),
            ]
            .concat();
            let said = [b"one\n".as_slice(), &[b'x'; 300], b"\n"].concat();
            for size in 1..wire.len() {
                let (_, mut opener) = ends_of(cipher);
                let mut out = Vec::new();
                for chunk in wire.chunks(size) {
                    opener.open(chunk, RECORD_MAX, &mut out).unwrap();
                }
                assert_eq!(out, said, "in pieces of {size}");
                assert!(opener.partial.is_none());
            }
        }
    }

    #[test]
    fn a_record_takes_what_fits() {
        let (mut sealer, mut opener) = ends();
        let said = vec![b'x'; RECORD_MAX + 5];
        let mut wire = Vec::new();
        assert_eq!(sealer.seal(NOW, [&said[..9], &said[9..]], &mut wire), RECORD_MAX);
        assert_eq!(sealer.seal(NOW, [&said[RECORD_MAX..]], &mut wire), 5);
        assert_eq!(sealer.seal(NOW, [b"".as_slice()], &mut wire), 0);
        assert_eq!(wire.len(), said.len() + 2 * (HEADER_LEN + TAG_LEN));
        assert_eq!(opened(&mut opener, &wire), Ok(said));
    }

    #[test]
    fn a_record_that_is_changed_left_out_repeated_or_moved_does_not_open() {
        for cipher in CIPHERS {
            let (mut sealer, _) = ends_of(cipher);
            let (one, two) = (record(&mut sealer, b"one"), record(&mut sealer, b"two"));
            for wire in [&[&two][..], &[&one, &one], &[&two, &one]] {
                let (_, mut opener) = ends_of(cipher);
                assert_eq!(
                    opened(
                        &mut opener,
                        &wire.iter().copied().flatten().copied().collect::<Vec<_>>()
                    ),
                    Err(Altered)
                );
            }
            for bit in 0..one.len() * 8 {
                let (_, mut opener) = ends_of(cipher);
                let mut changed = one.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                // A greater length waits for bytes that never come, and does not open with those that do.
                changed.resize(2 * RECORD_MAX + 100, 0);
                assert_eq!(opened(&mut opener, &changed), Err(Altered), "bit {bit}");
            }
        }
    }

    #[test]
    fn what_was_said_before_a_change_still_counts_and_nothing_after_it() {
        let (mut sealer, mut opener) = ends();
        let mut wire = record(&mut sealer, b"one");
        let two = record(&mut sealer, b"two");
        wire.extend(&two);
        *wire.last_mut().unwrap() ^= 1;
        let mut out = Vec::new();
        for wire in [wire, two] {
            assert_eq!(opener.open(&wire, RECORD_MAX, &mut out), Err(Altered));
            assert_eq!(out, b"one");
        }
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let (_, mut opener) = ends();
        assert_eq!(opened(&mut opener, &[0x40, 0x10]), Ok(Vec::new()));
        assert!(opener.partial.as_ref().unwrap().capacity() < 64);
        let mut out = Vec::new();
        let (_, mut short) = ends();
        assert_eq!(short.open(&[0x10, 0x11], 4096, &mut out), Err(Altered));
        for length in [0, 16, 0x4011, 0x7FFF] {
            let (_, mut opener) = ends();
            assert_eq!(
                opened(&mut opener, &u16::to_be_bytes(length)),
                Err(Altered),
                "{length}"
            );
        }
    }

    #[test]
    fn a_key_is_renewed_after_65536_records() {
        let (mut sealer, mut opener) = ends();
        for number in 0..RECORDS_PER_KEY {
            let wire = record(&mut sealer, b"x");
            assert_eq!(wire[0] & 0x80, 0, "{number}");
            opened(&mut opener, &wire).unwrap();
        }
        let before = sealer.key.bytes.clone();
        let wire = record(&mut sealer, b"after");
        assert_eq!(wire[0] & 0x80, 0x80);
        assert_ne!(before, sealer.key.bytes);
        assert_eq!(opened(&mut opener, &wire), Ok(b"after".to_vec()));
        assert_eq!(record(&mut sealer, b"x")[0] & 0x80, 0);
        // The numbers go on, as those of Noise do.
        assert_eq!(sealer.key.next, RECORDS_PER_KEY + 2);
        assert_eq!(opener.key.next, RECORDS_PER_KEY + 1);
    }

    #[test]
    fn a_key_is_renewed_after_an_hour() {
        for cipher in CIPHERS {
            let (mut sealer, mut opener) = ends_of(cipher);
            let mut wire = Vec::new();
            let hour = Duration::from_secs(3600);
            sealer.seal(NOW + hour - Duration::from_secs(1), [b"a".as_slice()], &mut wire);
            assert_eq!(wire[0] & 0x80, 0);
            let begin = wire.len();
            sealer.seal(NOW + hour, [b"b".as_slice()], &mut wire);
            assert_eq!(wire[begin] & 0x80, 0x80);
            assert_eq!(opened(&mut opener, &wire), Ok(b"ab".to_vec()));
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let (sealer, opener) = ends();
        assert_eq!(format!("{sealer:?}"), "Sealer { next: 0, .. }");
        assert_eq!(format!("{opener:?}"), "Opener { next: 0, .. }");
    }

    /// Noise, section 11.3: the key becomes what encrypting 32 zeros with the nonce 2^64 - 1 gives, without its tag.
    #[test]
    fn renewing_is_that_of_noise() {
        let mut key = Key::new(Cipher::ChaChaPoly, [7; 32]);
        key.renew();
        // Computed by another implementation.
        let expected = "6680fd904a4d469c95ec1d2ff2a2d784a7780280208935e7c15a07cdfdf8075d";
        assert_eq!(HEXLOWER.encode(key.bytes.as_slice()), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_wait(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let (_, mut opener) = ends();
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            let mut out = Vec::new();
            let _ = opener
                .open(one, RECORD_MAX, &mut out)
                .and_then(|()| opener.open(two, RECORD_MAX, &mut out));
            prop_assert!(out.is_empty());
        }
    }
}
