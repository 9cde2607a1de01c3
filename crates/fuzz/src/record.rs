//! Records: what one side sealed, after the network had it, at the other side.
//!
//! Required:
//! - what was sealed comes out, however it is cut, and whether or not the key was renewed on the way;
//! - what comes out is a beginning of what was sealed, up to the first record that was changed;
//! - a record that is whole and not as it was sealed is an error, and so is everything after it;
//! - the memory in use is that of one record, and of the bytes that arrived.

use crate::bytes::Bytes;
use crate::memory;
use chat_noise::handshake::{Client, Offer, Server};
use chat_noise::key::KeyPair;
use chat_noise::record::{Altered, Opener, RECORD_MAX, Sealer};
use chat_proto::LINE_MAX;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const HEADER_LEN: usize = 2;
const TAG_LEN: usize = 16;

/// The highest bit of a header, which says that the key was renewed.
const RENEWED: u8 = 0x80;

/// The most records of a script.
const RECORDS_MAX: usize = 8;

/// How often the bytes of the script are repeated in one record.
const REPEATED: [usize; 6] = [1, 1, 2, 20, 100, 300];

const SECONDS: [u64; 4] = [0, 1, 3599, 3600];

/// Bytes that arrive at once.
const CHUNKS: [usize; 8] = [1, 2, 3, 17, 18, 1000, 20_000, usize::MAX];

/// Memory that has no part in the record: the box of its vector, and what the rest of the program does meanwhile.
const SLACK: usize = 4096;

pub(crate) fn target(input: &[u8]) {
    let mut script = Bytes(input);
    let (mut sealer, mut opener) = ends(input);
    let max = script.one_of(&[RECORD_MAX, LINE_MAX]);
    let sealed = Sealed::new(&mut sealer, &mut script);
    let arrived = sealed.altered(&mut script);
    let expected = sealed.expected(&arrived, max);
    let chunk = script.one_of(&CHUNKS);
    let mut out = Vec::with_capacity(sealed.said.len() + RECORD_MAX + TAG_LEN);
    let end = open(&mut opener, &arrived, chunk, max, &mut out);
    assert_eq!((end, out.len()), expected, "in pieces of {chunk}");
    assert!(sealed.said.starts_with(&out), "something else was said");
    if end.is_err() {
        // Not even what would have been right.
        for record in &sealed.records {
            let record = sealed.wire.get(record.clone()).unwrap_or_default();
            assert_eq!(opener.open(record, max, &mut out), Err(Altered));
        }
        assert_eq!(out.len(), expected.1);
    }
}

/// One direction of a channel. Its key is another one for each input: a search that saw what a record became can't put it into
/// the next input.
fn ends(input: &[u8]) -> (Sealer, Opener) {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let seed = hasher.finish().to_le_bytes();
    let key = KeyPair::from_secret([1; 32]);
    let offer = Offer {
        greeting: b"",
        key: &key,
        is_kept: true,
        phrase: None,
    };
    let mut random = |bytes: &mut [u8]| {
        for (byte, seed) in bytes.iter_mut().zip(seed.iter().cycle()) {
            *byte = *seed;
        }
    };
    let (client, line) = Client::begin(b"", &key, None, &mut random);
    let begun = Server::begin(&offer, line.as_bytes(), &mut random);
    let (server, line) = begun.expect("the client's line");
    let met = client.read(line.as_bytes()).expect("the server's line");
    let (line, client) = met.finish("", Duration::ZERO);
    let (_, server) = server
        .finish(line.as_bytes(), Duration::ZERO)
        .expect("the client's second line");
    (client.channel.sealer, server.channel.opener)
}

/// What was said, and how it was sealed.
struct Sealed {
    said: Vec<u8>,
    wire: Vec<u8>,
    /// Where the records are.
    records: Vec<std::ops::Range<usize>>,
}

impl Sealed {
    fn new(sealer: &mut Sealer, script: &mut Bytes<'_>) -> Self {
        let mut sealed = Self {
            said: Vec::new(),
            wire: Vec::new(),
            records: Vec::new(),
        };
        let mut now = Duration::ZERO;
        let mut since = Duration::ZERO;
        for _ in 0..1 + script.below(RECORDS_MAX) {
            now += Duration::from_secs(script.one_of(&SECONDS));
            let piece = script.bytes();
            let pieces = std::iter::repeat_n(piece, script.one_of(&REPEATED));
            let text = pieces.clone().collect::<Vec<_>>().concat();
            let begin = sealed.wire.len();
            let count = sealer.seal(now, pieces, &mut sealed.wire);
            assert_eq!(count, text.len().min(RECORD_MAX));
            sealed.said.extend(text.iter().take(count));
            if count == 0 {
                assert_eq!(sealed.wire.len(), begin);
                continue;
            }
            let is_renewed = sealed.wire.get(begin).is_some_and(|byte| byte & RENEWED != 0);
            assert_eq!(is_renewed, now - since >= Duration::from_secs(3600));
            if is_renewed {
                since = now;
            }
            assert_eq!(sealed.wire.len(), begin + HEADER_LEN + count + TAG_LEN);
            sealed.records.push(begin..sealed.wire.len());
        }
        sealed
    }

    /// The bytes that arrive.
    fn altered(&self, script: &mut Bytes<'_>) -> Vec<u8> {
        let mut bytes = self.wire.clone();
        let place = |script: &mut Bytes<'_>| {
            let place = usize::from(script.byte()) << 8 | usize::from(script.byte());
            place % (self.wire.len() + 1)
        };
        match script.below(6) {
            0 => {}
            1 => {
                let (place, bit) = (place(script), script.below(8));
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << bit;
                }
            }
            2 => {
                let (from, to) = (place(script), place(script));
                bytes.drain(from.min(to)..from.max(to));
            }
            3 => {
                let (place, more) = (place(script), script.bytes());
                bytes.splice(place..place, more.iter().copied());
            }
            4 => bytes.truncate(place(script)),
            _ => bytes = self.shuffled(script),
        }
        bytes
    }

    /// Records in an order, and as often, as the script says.
    fn shuffled(&self, script: &mut Bytes<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..script.below(RECORDS_MAX) {
            let record = self.records.get(script.below(RECORDS_MAX)).cloned();
            let record = record.and_then(|record| self.wire.get(record));
            bytes.extend_from_slice(record.unwrap_or_default());
        }
        bytes
    }

    /// How opening these bytes ends, and how many bytes were said by then.
    fn expected(&self, arrived: &[u8], max: usize) -> (Result<(), Altered>, usize) {
        let mut said = 0;
        let mut place = 0;
        for record in &self.records {
            let is_intact = arrived.get(record.clone()) == self.wire.get(record.clone());
            let length = record.len() - HEADER_LEN - TAG_LEN;
            if !is_intact || length > max {
                break;
            }
            (said, place) = (said + length, record.end);
        }
        let rest = arrived.get(place..).unwrap_or_default();
        let Some((&[high, low], body)) = rest.split_first_chunk::<HEADER_LEN>() else {
            return (Ok(()), said);
        };
        let length = usize::from(u16::from_be_bytes([high & !RENEWED, low]));
        let is_valid = (TAG_LEN + 1..=TAG_LEN + max).contains(&length);
        let waits = is_valid && body.len() < length;
        (if waits { Ok(()) } else { Err(Altered) }, said)
    }
}

fn open(
    opener: &mut Opener,
    mut bytes: &[u8],
    chunk: usize,
    max: usize,
    out: &mut Vec<u8>,
) -> Result<(), Altered> {
    let before = memory::in_use();
    let mut arrived = 0;
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(chunk.min(bytes.len()));
        opener.open(piece, max, out)?;
        (bytes, arrived) = (rest, arrived + piece.len());
        let grown = memory::in_use() - before.min(memory::in_use());
        let record = arrived.min(HEADER_LEN + max + TAG_LEN);
        assert!(grown <= 2 * record + SLACK, "{grown} bytes for {record}");
    }
    Ok(())
}
