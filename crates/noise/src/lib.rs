//! The encrypted channel between `chat-client` and `chat-server`, and between two clients.
//!
//! The construction is Noise (revision 34, noiseprotocol.org/noise.html), pattern XX, with X25519, ChaCha20-Poly1305 and
//! SHA-256; records by AES-256-GCM where both sides have instructions for it. Where the room has a passphrase, the
//! pattern is XXpsk3, and its key comes from CPace (draft-irtf-cfrg-cpace-21). `PROTOCOL.md` of `chat-proto` has the
//! lines and the records, with test vectors.
//!
//! Two clients that write to each other in private use the pattern IK, and datagrams instead of records: [`private`].
//!
//! Read the files in this order: [`handshake`], [`record`], [`private`], [`cpace`], `mac`, [`operator`], [`rendezvous`],
//! `primitives`. Nothing here does input or output, and
//! all randomness is the caller's.
#![warn(missing_docs)]

pub mod cpace;
pub mod handshake;
pub mod key;
mod mac;
pub mod operator;
mod primitives;
pub mod private;
pub mod record;
pub mod rendezvous;

pub use primitives::sha256;

/// Fills a buffer with unpredictable bytes: from the system's generator, except in tests.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// Unpredictable bytes.
fn random<const N: usize>(source: Random<'_>) -> [u8; N] {
    let mut bytes = [0; N];
    source(&mut bytes);
    bytes
}
