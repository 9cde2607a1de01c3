//! The long-lived key pair of a client or a server, and the code by which two people compare theirs.

use crate::primitives::sha256;
use chat_proto::opaque::{Opaque, PublicKey};
use x25519_dalek::StaticSecret;

/// An X25519 key pair (RFC 7748). Dropping it overwrites the secret.
#[derive(Clone)]
pub struct KeyPair {
    secret: StaticSecret,
    public: PublicKey,
}

impl KeyPair {
    /// A key pair from 32 unpredictable bytes (RFC 7748, section 6.1).
    #[must_use]
    pub fn from_secret(bytes: [u8; 32]) -> Self {
        let secret = StaticSecret::from(bytes);
        let public = Opaque(x25519_dalek::PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The secret, to be stored where only its owner can read it.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        self.secret.as_bytes()
    }

    /// Whether the two can agree on a secret. A few keys give every secret the same result (RFC 7748, section 6.1: the
    /// all-zero check).
    #[must_use]
    pub fn can_agree(&self, peer: &PublicKey) -> bool {
        let shared = self.secret.diffie_hellman(&x25519_dalek::PublicKey::from(peer.0));
        shared.was_contributory()
    }
}

/// Shows the public key only.
impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public).finish()
    }
}

/// What a server announces of its key on the LAN: half of a hash. A hint only, because anybody may announce anything.
#[must_use]
pub fn fingerprint(key: &PublicKey) -> Opaque<16> {
    let hash = sha256(&[b"chat-room-1\0", &key.0]);
    let mut half = [0; 16];
    half.copy_from_slice(&hash[..16]);
    Opaque(half)
}

/// Rounds of hashing behind a [`verify_code`].
const STRETCH: u32 = 1 << 14;

/// A short code over two public keys, the same on both sides, for two people to compare aloud: six groups of five digits,
/// which is 99 bits.
///
/// An attacker between the two needs two keys, one for each side, that give both sides the same code. Any such pair will
/// do, so 99 bits cost about 2^50 keys for each side. Each key takes 2^14 hashes, which makes 2^64.
/// Clients keep their keys over runs, so an attacker may prepare for as long as it likes: only this cost protects.
#[must_use]
pub fn verify_code(one: &PublicKey, other: &PublicKey) -> String {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    let mut hash = sha256(&[b"chat-verify-1\0", &first.0, &second.0]);
    for _ in 0..STRETCH {
        hash = sha256(&[&hash]);
    }
    // 40 bits give each group of five digits almost the same probability: 2^40 is 11 million times 100,000.
    let groups = hash.chunks_exact(5).map(|bytes| {
        let number = bytes
            .iter()
            .fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    });
    groups.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(byte: u8) -> PublicKey {
        KeyPair::from_secret([byte; 32]).public()
    }

    #[test]
    fn a_key_of_small_order_can_not_agree() {
        let pair = KeyPair::from_secret([1; 32]);
        assert!(pair.can_agree(&public(2)));
        assert!(!pair.can_agree(&Opaque([0; 32])));
    }

    #[test]
    fn both_sides_compute_the_same_verify_code() {
        let (alice, bob, eve) = (public(1), public(2), public(3));
        let code = verify_code(&alice, &bob);
        assert_eq!(code, verify_code(&bob, &alice));
        assert_ne!(code, verify_code(&alice, &eve));
        assert_eq!(code.len(), 6 * 5 + 5);
        // Two versions of the client must agree on this code.
        assert_eq!(code, "15225 70455 34543 18155 48623 54897");
        assert!(
            code.split(' ')
                .all(|group| group.len() == 5 && group.parse::<u32>().is_ok())
        );
    }

    #[test]
    fn the_fingerprint_is_the_same_in_all_versions() {
        let fingerprint = fingerprint(&Opaque([7; 32]));
        assert_eq!(fingerprint.to_string(), "y0mGSnjdg0-duHpmgpdU2A");
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let pair = KeyPair::from_secret([0xAB; 32]);
        assert_eq!(format!("{pair:?}"), format!("KeyPair({:?})", pair.public()));
    }
}
