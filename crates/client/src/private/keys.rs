//! Keys: the pair that identifies a client, and the ciphers that it shares with a peer.

use blake2::digest::consts::U8;
use blake2::{Blake2s256, Digest};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305};
use chat_proto::opaque::{Opaque, PublicKey};
use x25519_dalek::StaticSecret;

/// The X25519 key pair that a client makes for one run. Dropping it overwrites the secret.
pub struct KeyPair {
    secret: StaticSecret,
    public: PublicKey,
}

/// Identifies the cipher of a datagram, whatever address the datagram comes from.
pub(super) type KeyId = [u8; 8];

/// Seals and opens one direction. Dropping it overwrites the key.
pub(super) type Cipher = XChaCha20Poly1305;

/// The ciphers between this client and one peer: one for each direction, so that a datagram can't
/// be reflected to its sender.
#[derive(Clone)]
pub(super) struct SessionKeys {
    pub(super) outgoing: Cipher,
    pub(super) incoming: Cipher,
    pub(super) outgoing_id: KeyId,
}

impl KeyPair {
    /// A key pair from 32 unpredictable bytes (RFC 7748, section 6.1).
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let secret = StaticSecret::from(bytes);
        let public = Opaque(x25519_dalek::PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The ciphers shared with `peer`. `None` if its public key is one of the few that give every
    /// secret the same result (RFC 7748, section 6.1: the all-zero check).
    pub(super) fn agree(&self, peer: &PublicKey) -> Option<SessionKeys> {
        let shared = self.secret.diffie_hellman(&x25519_dalek::PublicKey::from(peer.0));
        shared.was_contributory().then(|| SessionKeys {
            outgoing: Cipher::new(&direction_key(shared.as_bytes(), &self.public, peer)),
            incoming: Cipher::new(&direction_key(shared.as_bytes(), peer, &self.public)),
            outgoing_id: key_id(&self.public, peer),
        })
    }
}

/// The key of the direction from `sender` to `receiver`.
fn direction_key(shared: &[u8; 32], sender: &PublicKey, receiver: &PublicKey) -> Key {
    let hash = Blake2s256::new()
        .chain_update(b"chat-dm-1\0")
        .chain_update(shared)
        .chain_update(sender.0)
        .chain_update(receiver.0);
    hash.finalize()
}

/// The key id of datagrams from `sender` to `receiver`. It is computed from public keys alone.
pub(super) fn key_id(sender: &PublicKey, receiver: &PublicKey) -> KeyId {
    let hash = Blake2s256::new()
        .chain_update(b"kid")
        .chain_update(sender.0)
        .chain_update(receiver.0)
        .finalize();
    hash.split::<U8>().0.into()
}

/// Rounds of hashing behind a [`verify_code`].
const STRETCH: u32 = 1 << 14;

/// A short code over two public keys, the same on both sides, for two people to compare aloud: six
/// groups of five digits, which is 99 bits.
///
/// An attacker between the two needs two keys, one for each side, that give both sides the same
/// code. Any such pair will do, so 99 bits cost about 2^50 keys for each side. Each key takes 2^14
/// hashes, which makes 2^64 in the one run for which the victims' keys live.
pub fn verify_code(one: &PublicKey, other: &PublicKey) -> String {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    let mut hash: [u8; 32] = Blake2s256::new()
        .chain_update(b"chat-verify-1\0")
        .chain_update(first.0)
        .chain_update(second.0)
        .finalize()
        .into();
    for _ in 0..STRETCH {
        hash = Blake2s256::digest(hash).into();
    }
    // 40 bits give each group of five digits almost the same probability: 2^40 is 11 million times
    // 100,000.
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
    use data_encoding::HEXLOWER_PERMISSIVE as HEX;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEX.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    fn pair(byte: u8) -> KeyPair {
        KeyPair::from_random([byte; 32])
    }

    /// RFC 7748, section 6.1.
    #[test]
    fn key_agreement_matches_rfc_7748() {
        let alice = KeyPair::from_random(hex(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let bob = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let public = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(alice.public().0, public);
        let shared = alice.secret.diffie_hellman(&x25519_dalek::PublicKey::from(bob));
        let expected: [u8; 32] = hex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_eq!(shared.as_bytes(), &expected);
    }

    /// RFC 7693, appendix B.
    #[test]
    fn blake2s_matches_rfc_7693() {
        let expected: [u8; 32] = hex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
        assert_eq!(<[u8; 32]>::from(Blake2s256::digest(b"abc")), expected);
    }

    #[test]
    fn each_direction_has_its_own_key() {
        let (alice, bob) = (pair(1).public(), pair(2).public());
        assert_ne!(
            direction_key(&[9; 32], &alice, &bob),
            direction_key(&[9; 32], &bob, &alice)
        );
        assert_ne!(key_id(&alice, &bob), key_id(&bob, &alice));
    }

    /// The points of small order on the curve and its twist: X25519 gives zero for them, whatever
    /// the secret. Each is tested with the ignored high bit clear and set.
    #[test]
    fn public_keys_of_small_order_are_rejected() {
        let points = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
            "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        for point in points {
            let mut bytes: [u8; 32] = hex(point);
            assert!(pair(1).agree(&Opaque(bytes)).is_none(), "{point}");
            bytes[31] |= 0x80;
            assert!(
                pair(1).agree(&Opaque(bytes)).is_none(),
                "{point} with the high bit"
            );
        }
    }

    #[test]
    fn both_sides_compute_the_same_verify_code() {
        let (alice, bob, eve) = (pair(1).public(), pair(2).public(), pair(3).public());
        let code = verify_code(&alice, &bob);
        assert_eq!(code, verify_code(&bob, &alice));
        assert_ne!(code, verify_code(&alice, &eve));
        assert_eq!(code.len(), 6 * 5 + 5);
        // Changing this code takes a new version of the protocol: two versions of the client must
        // agree on it.
        assert_eq!(code, "51603 81789 00903 45999 46450 38119");
        assert!(
            code.split(' ')
                .all(|group| group.len() == 5 && group.parse::<u32>().is_ok())
        );
    }
}
