//! The sealed datagram: its bytes on the wire, encryption and decryption.
//!
//! ```text
//! 0       0xC1
//! 1       1
//! 2..10   key id: BLAKE2s("kid" || public key of the sender || of the receiver), the first 8 bytes
//! 10..34  nonce: 24 random bytes, new for each datagram, also for retransmissions
//! 34..    a packet under XChaCha20-Poly1305, and its tag of 16 bytes; bytes 0..34 are associated data
//! ```
//!
//! Each direction has its own key, `BLAKE2s("chat-dm-1\0" || X25519 || public key of the sender ||
//! of the receiver)`. Nonces are random: at 24 bytes, two are never the same
//! (draft-irtf-cfrg-xchacha-03, section 2). So a client that restarts needs no memory of earlier
//! ones.

use super::keys::{Cipher, KeyId, SessionKeys};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Tag, XNonce};
use chat_proto::rendezvous::{MARK, SEALED};

/// Bytes in a datagram at most. They pass every path of IPv6's smallest MTU without fragmentation:
/// 1,280, less 40 for IPv6, 8 for UDP, and 32 to spare for a tunnel.
pub const DATAGRAM_MAX: usize = 1200;

/// Bytes before the sealed part: mark, kind, key id, nonce.
const HEADER_LEN: usize = 2 + 8 + NONCE_LEN;

const NONCE_LEN: usize = 24;

const TAG_LEN: usize = 16;

/// Bytes in a packet at most.
pub(super) const PACKET_MAX: usize = DATAGRAM_MAX - HEADER_LEN - TAG_LEN;

/// Bytes in the datagram that carries a packet of `packet` bytes.
pub(super) const fn sealed_len(packet: usize) -> usize {
    HEADER_LEN + packet + TAG_LEN
}

/// Encrypts a packet. `nonce` is random and new.
pub(super) fn seal(keys: &SessionKeys, nonce: [u8; NONCE_LEN], packet: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(sealed_len(packet.len()));
    datagram.extend_from_slice(&[MARK, SEALED]);
    datagram.extend_from_slice(&keys.outgoing_id);
    datagram.extend_from_slice(&nonce);
    datagram.extend_from_slice(packet);
    let (header, body) = datagram.split_at_mut(HEADER_LEN);
    match keys
        .outgoing
        .encrypt_inout_detached(&XNonce::from(nonce), header, body.into())
    {
        Ok(tag) => datagram.extend_from_slice(&tag),
        // Only a packet of over 256 GiB fails. In any case nothing is sent unencrypted.
        Err(_) => datagram.clear(),
    }
    datagram
}

/// The key id of a datagram, if it has the form of a sealed datagram.
pub(super) fn key_id_of(datagram: &[u8]) -> Option<KeyId> {
    if datagram.len() > DATAGRAM_MAX || datagram.len() < HEADER_LEN + TAG_LEN {
        return None;
    }
    let rest = datagram.strip_prefix(&[MARK, SEALED])?;
    rest.first_chunk().copied()
}

/// Decrypts a datagram. Returns the packet if it was encrypted under the same key and nothing was
/// changed.
pub(super) fn open(cipher: &Cipher, datagram: &[u8]) -> Option<Vec<u8>> {
    let (header, sealed) = datagram.split_at_checked(HEADER_LEN)?;
    let (body, tag) = sealed.split_last_chunk::<TAG_LEN>()?;
    let nonce: &[u8; NONCE_LEN] = header.last_chunk()?;
    let mut packet = body.to_vec();
    cipher
        .decrypt_inout_detached(
            &XNonce::from(*nonce),
            header,
            packet.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .ok()?;
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::super::keys::KeyPair;
    use super::*;
    use chacha20poly1305::{Key, KeyInit};
    use data_encoding::HEXLOWER as HEX;
    use proptest::prelude::*;

    /// One key for both directions, and a key id of `[2; 8]`.
    fn keys(byte: u8) -> SessionKeys {
        let cipher = Cipher::new(&Key::from([byte; 32]));
        SessionKeys {
            outgoing: cipher.clone(),
            incoming: cipher,
            outgoing_id: [2; 8],
        }
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
    #[test]
    fn the_cipher_matches_the_draft() {
        let key: [u8; 32] = std::array::from_fn(|i| 0x80 + u8::try_from(i).unwrap());
        let nonce: [u8; 24] = std::array::from_fn(|i| 0x40 + u8::try_from(i).unwrap());
        let aad = [
            0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7,
        ];
        let mut text =
            *b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
              sunscreen would be it.";
        let tag = Cipher::new(&Key::from(key))
            .encrypt_inout_detached(&XNonce::from(nonce), &aad, text.as_mut_slice().into())
            .unwrap();
        let expected = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda\
                        7e39ae64c6708c54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b23835\
                        65d3fff921f9664c97637da9768812f615c68b13b52e";
        assert_eq!(HEX.encode(&text), expected);
        assert_eq!(HEX.encode(&tag), "c0875924c1c7987947deafd8780acf49");
    }

    /// Changing these bytes takes a new version of the protocol.
    #[test]
    fn a_datagram_has_the_pinned_bytes() {
        let (alice, bob) = (KeyPair::from_random([1; 32]), KeyPair::from_random([2; 32]));
        let here = alice.agree(&bob.public()).unwrap();
        let datagram = seal(&here, [3; 24], b"the packet");
        assert_eq!(HEX.encode(&datagram), PINNED);
        let there = bob.agree(&alice.public()).unwrap();
        assert_eq!(open(&there.incoming, &datagram).unwrap(), b"the packet");
    }

    const PINNED: &str = "c101c58d413f07033af803030303030303030303030303030303030303030303030334b47d60b85d\
                          f7f62a44fe9a654a6fdf8abf25323f1ba6a7ce96";

    #[test]
    fn only_the_key_of_its_direction_opens_a_datagram() {
        let (alice, bob, eve) = (
            KeyPair::from_random([1; 32]),
            KeyPair::from_random([2; 32]),
            KeyPair::from_random([3; 32]),
        );
        let here = alice.agree(&bob.public()).unwrap();
        let datagram = seal(&here, [3; 24], b"hi");
        assert_eq!(open(&here.incoming, &datagram), None, "reflected to its sender");
        let others = eve.agree(&bob.public()).unwrap();
        assert_eq!(open(&others.outgoing, &datagram), None);
        assert_eq!(open(&others.incoming, &datagram), None);
    }

    #[test]
    fn the_longest_packet_makes_the_longest_datagram() {
        let datagram = seal(&keys(1), [3; 24], &[0; PACKET_MAX]);
        assert_eq!(datagram.len(), DATAGRAM_MAX);
        assert_eq!(key_id_of(&datagram), Some([2; 8]));
        assert_eq!(sealed_len(PACKET_MAX), DATAGRAM_MAX);
    }

    #[test]
    fn datagrams_of_impossible_length_are_ignored() {
        let least = sealed_len(0);
        let mut datagram = [MARK, SEALED].to_vec();
        for (length, id) in [
            (0, None),
            (2, None),
            (least - 1, None),
            (least, Some([0; 8])),
            (least + 1, Some([0; 8])),
            (DATAGRAM_MAX, Some([0; 8])),
            (DATAGRAM_MAX + 1, None),
        ] {
            datagram.resize(length.max(2), 0);
            assert_eq!(key_id_of(&datagram), id, "{length}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_bit_anywhere_is_detected(bit in any::<prop::sample::Index>(), packet in prop::collection::vec(any::<u8>(), 0..80)) {
            let keys = keys(7);
            let datagram = seal(&keys, [3; 24], &packet);
            prop_assert_eq!(open(&keys.incoming, &datagram), Some(packet));
            let mut changed = datagram.clone();
            let bit = bit.index(datagram.len() * 8);
            changed[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&keys.incoming, &changed), None);
        }

        #[test]
        fn a_truncated_or_extended_datagram_does_not_open(cut in 0usize..60, more in 1usize..9) {
            let keys = keys(7);
            let mut datagram = seal(&keys, [3; 24], b"0123456789");
            prop_assert_eq!(open(&keys.incoming, &datagram[..cut.min(datagram.len() - 1)]), None);
            datagram.resize(datagram.len() + more, 0);
            prop_assert_eq!(open(&keys.incoming, &datagram), None);
        }
    }
}
