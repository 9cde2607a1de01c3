//! Keys: whose a private message is, and what seals it.

use blake2::{Blake2s256, Digest};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305};
use chat_proto::opaque::{Opaque, PublicKey};
use x25519_dalek::StaticSecret;

/// The key pair that a client makes for one run. The secret is overwritten when it is dropped.
pub struct KeyPair {
    secret: StaticSecret,
    public: PublicKey,
}

/// What finds the keys for a datagram, whatever address it comes from.
pub(super) type KeyId = [u8; 8];

/// What seals and opens one direction. It overwrites its key when it is dropped.
pub(super) type Cipher = XChaCha20Poly1305;

/// The keys between this client and one peer, one for each direction, so that a datagram can't be
/// reflected to its sender.
#[derive(Clone)]
pub(super) struct SessionKeys {
    pub(super) outgoing: Cipher,
    pub(super) incoming: Cipher,
    pub(super) outgoing_id: KeyId,
}

impl KeyPair {
    /// A key pair from 32 bytes of good randomness (RFC 7748, section 6.1).
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let secret = StaticSecret::from(bytes);
        let public = Opaque(x25519_dalek::PublicKey::from(&secret).to_bytes());
        Self { secret, public }
    }

    /// The half that everybody may know.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The keys shared with `peer`, or nothing if its public key is one of the few with which everybody
    /// would share the same secret (RFC 7748, section 6.1: the all-zero check).
    pub(super) fn agree(&self, peer: &PublicKey) -> Option<SessionKeys> {
        let shared = self.secret.diffie_hellman(&x25519_dalek::PublicKey::from(peer.0));
        shared.was_contributory().then(|| SessionKeys {
            outgoing: Cipher::new(&direction_key(shared.as_bytes(), &self.public, peer)),
            incoming: Cipher::new(&direction_key(shared.as_bytes(), peer, &self.public)),
            outgoing_id: key_id(&self.public, peer),
        })
    }
}

/// The key under which `sender` writes to `receiver`.
fn direction_key(shared: &[u8; 32], sender: &PublicKey, receiver: &PublicKey) -> Key {
    let hash = Blake2s256::new()
        .chain_update(b"chat-dm-1\0")
        .chain_update(shared)
        .chain_update(sender.0)
        .chain_update(receiver.0);
    hash.finalize()
}

/// The key id of datagrams from `sender` to `receiver`. It takes no secret to compute, only to use.
pub(super) fn key_id(sender: &PublicKey, receiver: &PublicKey) -> KeyId {
    let hash: [u8; 32] = Blake2s256::new()
        .chain_update(b"kid")
        .chain_update(sender.0)
        .chain_update(receiver.0)
        .finalize()
        .into();
    let [
        id @ ..,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
        _,
    ] = hash;
    id
}

/// How often the hash behind a [`verify_code`] is taken.
const STRETCH: u32 = 1 << 14;

/// A short code over two public keys, the same on both sides, for two people to compare aloud: six groups of
/// five digits, which is 99 bits.
///
/// Somebody on the server's path who gives each side a key of their own must find two keys, one for
/// each side, with which both codes come out alike. Any such pair will do, so 99 bits cost them some 2^50 keys
/// for each side, not 2^99; each is hashed 2^14 times, which makes 2^64 hashes, in the one run for
/// which the keys live.
#[must_use]
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
    // 40 bits make a group of five digits as good as evenly: 2^40 is 11 million times 100,000.
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
    fn two_pairs_agree_as_the_rfc_says() {
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
    fn blake2s_is_the_one_of_the_rfc() {
        let expected: [u8; 32] = hex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
        assert_eq!(<[u8; 32]>::from(Blake2s256::digest(b"abc")), expected);
    }

    #[test]
    fn each_direction_has_a_key_of_its_own() {
        let (alice, bob) = (pair(1).public(), pair(2).public());
        assert_ne!(
            direction_key(&[9; 32], &alice, &bob),
            direction_key(&[9; 32], &bob, &alice)
        );
        assert_ne!(key_id(&alice, &bob), key_id(&bob, &alice));
    }

    /// The points of small order on the curve and its twist, with which X25519 gives zero whatever the
    /// secret; each in the two forms that differ in the bit that is not looked at.
    #[test]
    fn a_key_with_which_everybody_shares_the_same_secret_is_refused() {
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
    fn the_code_is_the_same_on_both_sides_and_no_other() {
        let (alice, bob, eve) = (pair(1).public(), pair(2).public(), pair(3).public());
        let code = verify_code(&alice, &bob);
        assert_eq!(code, verify_code(&bob, &alice));
        assert_ne!(code, verify_code(&alice, &eve));
        assert_eq!(code.len(), 6 * 5 + 5);
        // So that two versions of the client show the same, it changes only together with that of the protocol.
        assert_eq!(code, "51603 81789 00903 45999 46450 38119");
        assert!(
            code.split(' ')
                .all(|group| group.len() == 5 && group.parse::<u32>().is_ok())
        );
    }
}
