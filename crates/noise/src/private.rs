//! Private conversations: the handshake between two clients, and the datagrams under the keys that it makes.
//!
//! ```text
//! 0xC1 4  index u32                          e es s ss: run u64, time u64 of who begins       118 bytes
//! 0xC1 5  its index u32, own index u32       e ee se: run u64 of who answers                  66 bytes
//! 0xC1 1  its index u32, counter u64         a packet, encrypted, and its tag of 16 bytes
//! ```
//!
//! The pattern is IK: the side that begins knows the other's static key beforehand. The first message carries no text. It
//! could be replayed, and whoever steals the receiver's key later can read it. Its receiver MUST NOT rely on it before a
//! datagram of the third kind has opened: only the holder of the sender's key can make one.
//!
//! Datagrams may be lost, repeated and reordered. So each carries its counter, and a window of counters discards copies.

use crate::Random;
use crate::key::KeyPair;
use crate::primitives::{self, Cipher, Primitives, TAG_LEN};
use chat_proto::datagram::{ANSWER, BEGIN, MARK, SEALED};
use chat_proto::opaque::{Opaque, PublicKey};
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

const PATTERN: &str = "Noise_IK_25519_ChaChaPoly_SHA256";

/// Separates this protocol from all others.
const PROLOGUE: &[u8] = b"chat-dm-2\0";

/// Bytes of the first datagram of a handshake: mark, kind, index; ephemeral key, static key, run and time.
pub const BEGIN_LEN: usize = 2 + 4 + 32 + (32 + TAG_LEN) + (8 + 8 + TAG_LEN);

/// Bytes of the second: mark, kind, two indices; ephemeral key, run.
pub const ANSWER_LEN: usize = 2 + 4 + 4 + 32 + (8 + TAG_LEN);

/// Bytes before an encrypted packet: mark, kind, index, counter. They are its associated data.
const HEADER_LEN: usize = 2 + 4 + 8;

/// What encryption adds to a packet.
pub const OVERHEAD: usize = HEADER_LEN + TAG_LEN;

/// A counter this far behind the highest one so far is discarded.
pub const WINDOW: u64 = 4096;

const WORDS: usize = 64;

/// Identifies one run of a client: random bytes.
pub type Run = [u8; 8];

/// Who begins, besides its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its run.
    pub run: Run,
    /// Greater in each handshake of a key than in the one before: milliseconds since 1970.
    pub time: u64,
}

/// The side that begins, its datagram sent.
pub struct Initiator {
    state: HandshakeState,
    index: u32,
}

impl Initiator {
    /// Begins a handshake. The answer will carry `index`. Returns the datagram to send; `None` if the peer's key is unusable.
    pub fn begin(
        key: &KeyPair,
        peer: &PublicKey,
        index: u32,
        introduction: Introduction,
        source: Random<'_>,
    ) -> Option<(Self, Vec<u8>)> {
        let mut state = builder(key, source)
            .remote_public_key(&peer.0)
            .and_then(Builder::build_initiator)
            .expect("everything that the pattern needs was given");
        let mut payload = introduction.run.to_vec();
        payload.extend_from_slice(&introduction.time.to_be_bytes());
        let mut datagram = vec![MARK, BEGIN];
        datagram.extend_from_slice(&index.to_be_bytes());
        write(&mut state, &payload, BEGIN_LEN, &mut datagram)?;
        Some((Self { state, index }, datagram))
    }

    /// What its answer begins with.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Reads an answer. After `None` another one may be valid; after a session none is.
    pub fn finish(&mut self, datagram: &[u8]) -> Option<(Run, Session)> {
        let (header, message) = datagram.split_first_chunk::<10>()?;
        let [MARK, ANSWER, own @ .., t0, t1, t2, t3] = *header else {
            return None;
        };
        if datagram.len() != ANSWER_LEN || u32::from_be_bytes(own) != self.index {
            return None;
        }
        let run = read(&mut self.state, message)?;
        let theirs = u32::from_be_bytes([t0, t1, t2, t3]);
        Some((run, Session::new(&mut self.state, self.index, theirs)))
    }
}

/// The side that answers, the first datagram read.
pub struct Responder {
    state: HandshakeState,
    theirs: u32,
    /// The key of who began.
    pub peer: PublicKey,
    /// What it says.
    pub introduction: Introduction,
}

impl Responder {
    /// Reads the datagram that begins a handshake. `None` unless the holder of a key wrote it for this one.
    pub fn read(key: &KeyPair, datagram: &[u8], source: Random<'_>) -> Option<Self> {
        let (header, message) = datagram.split_first_chunk::<6>()?;
        let [MARK, BEGIN, theirs @ ..] = *header else {
            return None;
        };
        if datagram.len() != BEGIN_LEN {
            return None;
        }
        let mut state = builder(key, source)
            .build_responder()
            .expect("everything that the pattern needs was given");
        let payload: [u8; 16] = read(&mut state, message)?;
        let (run, time) = payload.split_first_chunk()?;
        Some(Self {
            theirs: u32::from_be_bytes(theirs),
            peer: Opaque(state.get_remote_static()?.try_into().ok()?),
            introduction: Introduction {
                run: *run,
                time: u64::from_be_bytes(time.try_into().ok()?),
            },
            state,
        })
    }

    /// Answers. The peer's packets will carry `index`. Returns the datagram to send.
    pub fn finish(mut self, index: u32, run: Run) -> Option<(Vec<u8>, Session)> {
        let mut datagram = vec![MARK, ANSWER];
        datagram.extend_from_slice(&self.theirs.to_be_bytes());
        datagram.extend_from_slice(&index.to_be_bytes());
        write(&mut self.state, &run, ANSWER_LEN, &mut datagram)?;
        Some((datagram, Session::new(&mut self.state, index, self.theirs)))
    }
}

/// The keys of a handshake, one for each direction. Dropping it overwrites them.
pub struct Session {
    own: u32,
    theirs: u32,
    sealing: Zeroizing<[u8; 32]>,
    opening: Zeroizing<[u8; 32]>,
    /// The counter of the next datagram. None ever serves two.
    next: u64,
    window: Window,
}

impl Session {
    fn new(state: &mut HandshakeState, own: u32, theirs: u32) -> Self {
        let (first, second) = state.dangerously_get_raw_split();
        let (sealing, opening) = if state.is_initiator() {
            (first, second)
        } else {
            (second, first)
        };
        Self {
            own,
            theirs,
            sealing: Zeroizing::new(sealing),
            opening: Zeroizing::new(opening),
            next: 0,
            window: Window::default(),
        }
    }

    /// What the peer's datagrams under these keys begin with.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.own
    }

    /// Encrypts a packet. Returns the datagram to send.
    pub fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        self.seal_written(packet.len(), |datagram| datagram.extend_from_slice(packet))
    }

    /// Encrypts a packet of `length` bytes that `write` appends. So it is not copied.
    pub fn seal_written(&mut self, length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(OVERHEAD + length);
        datagram.extend_from_slice(&[MARK, SEALED]);
        datagram.extend_from_slice(&self.theirs.to_be_bytes());
        datagram.extend_from_slice(&self.next.to_be_bytes());
        write(&mut datagram);
        let (header, body) = datagram.split_at_mut(HEADER_LEN);
        let tag = primitives::seal(Cipher::ChaChaPoly, &self.sealing, self.next, header, body);
        datagram.extend_from_slice(tag.as_ref());
        self.next += 1;
        datagram
    }

    /// Decrypts a datagram. Returns its packet if it is the peer's, unchanged, and new.
    pub fn open(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let (header, sealed) = datagram.split_first_chunk::<HEADER_LEN>()?;
        let counter = u64::from_be_bytes(*header.last_chunk()?);
        let is_ours = header.starts_with(&[MARK, SEALED]) && index_of(header) == Some(self.own);
        if !is_ours || !self.window.is_new(counter) {
            return None;
        }
        let mut packet = sealed.to_vec();
        let length = primitives::open(Cipher::ChaChaPoly, &self.opening, counter, header, &mut packet)?.len();
        packet.truncate(length);
        self.window.mark(counter);
        Some(packet)
    }
}

/// The index that a datagram carries for its receiver: of a packet, or of an answer.
#[must_use]
pub fn index_of(datagram: &[u8]) -> Option<u32> {
    let [MARK, SEALED | ANSWER, index @ ..] = datagram.first_chunk::<6>()? else {
        return None;
    };
    Some(u32::from_be_bytes(*index))
}

/// Which of the last counters have arrived (RFC 6479). All bits of counters outside the window are clear.
struct Window {
    /// One past the highest counter so far.
    end: u64,
    /// A ring: bit `n % 4096` stands for counter `n`.
    bits: [u64; WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self {
            end: 0,
            bits: [0; WORDS],
        }
    }
}

impl Window {
    fn is_new(&self, counter: u64) -> bool {
        if counter >= self.end {
            // The last number is that of Noise's REKEY.
            return counter < u64::MAX;
        }
        let (word, bit) = place(counter);
        self.end - counter <= WINDOW && self.bits.get(word).is_some_and(|word| word & bit == 0)
    }

    /// Marks a new counter.
    fn mark(&mut self, counter: u64) {
        if counter >= self.end {
            if counter - self.end >= WINDOW {
                self.bits = [0; WORDS];
            } else {
                (self.end..counter).for_each(|skipped| self.set(skipped, false));
            }
            self.end = counter + 1;
        }
        self.set(counter, true);
    }

    fn set(&mut self, counter: u64, arrived: bool) {
        let (word, bit) = place(counter);
        if let Some(word) = self.bits.get_mut(word) {
            *word = if arrived { *word | bit } else { *word & !bit };
        }
    }
}

fn place(counter: u64) -> (usize, u64) {
    let place = usize::try_from(counter % WINDOW).unwrap_or_default();
    (place / 64, 1 << (place % 64))
}

fn builder<'a>(key: &'a KeyPair, source: Random<'_>) -> Builder<'a> {
    let pattern = PATTERN.parse().expect("the name of a pattern");
    Builder::with_resolver(pattern, Box::new(Primitives::new(source)))
        .local_private_key(key.secret())
        .and_then(|builder| builder.prologue(PROLOGUE))
        .expect("each is set once")
}

/// Appends the next message of the handshake to a datagram, which then has `length` bytes.
fn write(state: &mut HandshakeState, payload: &[u8], length: usize, datagram: &mut Vec<u8>) -> Option<()> {
    let begin = datagram.len();
    datagram.resize(length, 0);
    let (_, message) = datagram.split_at_mut(begin);
    // It fails only if the peer's key gives every secret the same result.
    let written = state.write_message(payload, message).ok()?;
    debug_assert_eq!(begin + written, length);
    Some(())
}

/// Reads the next message of the handshake, with a payload of N bytes.
fn read<const N: usize>(state: &mut HandshakeState, message: &[u8]) -> Option<[u8; N]> {
    let mut payload = [0; BEGIN_LEN];
    let length = state.read_message(message, &mut payload).ok()?;
    payload.get(..length)?.try_into().ok()
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("own", &self.own)
            .field("theirs", &self.theirs)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Initiator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Initiator")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
