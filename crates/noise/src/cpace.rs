//! A passphrase that both sides know becomes a key that nobody else can guess offline: CPace over ristretto255 with
//! SHA-512 (draft-irtf-cfrg-cpace-21). Function names are those of the draft.
//!
//! Each run of the protocol gives either side one guess of the other's passphrase.

use crate::{Random, random};
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use ring::digest::{SHA512, digest};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The domain separation of this group (section 8.3).
const DSI: &[u8] = b"CPaceRistretto255";

/// The same for the resulting key (section 7.2).
const DSI_ISK: &[u8] = b"CPaceRistretto255_ISK";

/// Bytes in an input block of SHA-512.
const BLOCK_LEN: usize = 128;

/// A public share, as it is sent.
pub type Share = [u8; 32];

/// The passphrase of a room. Two that differ only in their blanks or in compatibility forms are the same.
#[derive(Clone, PartialEq, Eq)]
pub struct Phrase(Zeroizing<String>);

impl Phrase {
    /// A passphrase as somebody typed it: in Unicode's normal form KC, blanks trimmed, and runs of blanks made one. `None`
    /// if nothing is left.
    #[must_use]
    pub fn new(typed: &str) -> Option<Self> {
        let normal = Zeroizing::new(typed.nfkc().collect::<String>());
        let mut phrase = Zeroizing::new(String::with_capacity(normal.len()));
        for word in normal.split_whitespace() {
            if !phrase.is_empty() {
                phrase.push(' ');
            }
            phrase.push_str(word);
        }
        (!phrase.is_empty()).then_some(Self(phrase))
    }
}

/// Shows nothing of it.
impl std::fmt::Debug for Phrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Phrase")
    }
}

/// Which side this is. The initiator's share comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The client.
    Initiator,
    /// The server.
    Responder,
}

/// One side of one run.
pub struct Exchange {
    role: Role,
    session: Vec<u8>,
    secret: Scalar,
    share: Share,
}

impl Exchange {
    /// Begins a run. `channel` says what the key is for, and `session` is different in each run.
    #[must_use]
    pub fn new(role: Role, phrase: &Phrase, channel: &[u8], session: &[u8], source: Random<'_>) -> Self {
        let secret = Scalar::from_bytes_mod_order_wide(&Zeroizing::new(random(source)));
        Self::with_secret(role, phrase.0.as_bytes(), channel, session, secret)
    }

    fn with_secret(role: Role, phrase: &[u8], channel: &[u8], session: &[u8], secret: Scalar) -> Self {
        let generator = calculate_generator(phrase, channel, session);
        Self {
            role,
            session: session.into(),
            share: (generator * secret).compress().0,
            secret,
        }
    }

    /// The share to send to the other side.
    #[must_use]
    pub fn share(&self) -> Share {
        self.share
    }

    /// The key, given the other side's share and what each side adds to its own ("associated data"). It is the same on both
    /// sides if the passphrases are. `None` if the share is no valid point, or the neutral one.
    #[must_use]
    pub fn finish(self, theirs: &Share, added: Added<'_>) -> Option<Zeroizing<[u8; 64]>> {
        let point = scalar_mult_vfy(&self.secret, theirs)?;
        let (first, second) = match self.role {
            Role::Initiator => (&self.share, theirs),
            Role::Responder => (theirs, &self.share),
        };
        let input = Zeroizing::new(lv_cat(&[
            DSI_ISK,
            &self.session,
            point.as_slice(),
            first,
            added.initiator,
            second,
            added.responder,
        ]));
        let mut key = Zeroizing::new([0; 64]);
        key.copy_from_slice(digest(&SHA512, &input).as_ref());
        Some(key)
    }
}

/// What each side adds to its share.
#[derive(Clone, Copy, Debug, Default)]
pub struct Added<'a> {
    /// The client.
    pub initiator: &'a [u8],
    /// The server.
    pub responder: &'a [u8],
}

/// The point that the passphrase stands for (sections 7.1 and 8.3).
fn calculate_generator(phrase: &[u8], channel: &[u8], session: &[u8]) -> RistrettoPoint {
    let padding = (BLOCK_LEN - 1)
        .saturating_sub(lv_cat(&[phrase]).len())
        .saturating_sub(lv_cat(&[DSI]).len());
    let zeros = [0; BLOCK_LEN];
    let zeros = zeros.get(..padding).unwrap_or_default();
    let string = Zeroizing::new(lv_cat(&[DSI, phrase, zeros, channel, session]));
    let mut hash = [0; 64];
    hash.copy_from_slice(digest(&SHA512, &string).as_ref());
    RistrettoPoint::from_uniform_bytes(&hash)
}

/// The product, or `None` where the draft demands to abort: for what is no encoding of a point, and for a neutral result.
fn scalar_mult_vfy(secret: &Scalar, theirs: &Share) -> Option<Zeroizing<Share>> {
    let point = CompressedRistretto(*theirs).decompress()? * secret;
    (!point.is_identity()).then(|| Zeroizing::new(point.compress().0))
}

/// The parts one after the other, each behind its length in LEB128 (section 6.3 and appendix A).
fn lv_cat(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        let mut length = part.len();
        while length >= 0x80 {
            joined.push(u8::try_from(length & 0x7F).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        joined.push(u8::try_from(length).unwrap_or_default());
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER as HEX;

    const INITIATOR: &str = "da3d23700a9e5699258aef94dc060dfda5ebb61f02a5ea77fad53f4ff0976d08";
    const RESPONDER: &str = "d2316b454718c35362d83d69df6320f38578ed5984651435e2949762d900b80d";

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEX.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    fn scalar(text: &str) -> Scalar {
        Scalar::from_canonical_bytes(hex(text)).unwrap()
    }

    /// One side of the draft's example.
    fn example(role: Role, secret: &str) -> Exchange {
        let session = hex::<16>("7e4b4791d6a8ef019b936c79fb7f2c57");
        Exchange::with_secret(
            role,
            b"Password",
            b"\x0bA_initiator\x0bB_responder",
            &session,
            scalar(secret),
        )
    }

    /// Appendices B.3.1 to B.3.5.
    #[test]
    fn both_sides_match_the_draft() {
        let (here, there) = (
            example(Role::Initiator, INITIATOR),
            example(Role::Responder, RESPONDER),
        );
        assert_eq!(
            HEX.encode(&here.share()),
            "d6bac480f2c386c394efc7c47adb9925dcd2630b64f240c50f8d0eec482b9157"
        );
        assert_eq!(
            HEX.encode(&there.share()),
            "3ea7e0b19560d7c0b0f5734f63b955286dfa8232b5ebe63324e2d9e7433f7258"
        );
        let added = Added {
            initiator: b"ADa",
            responder: b"ADb",
        };
        let expected = "b69effbf61b51d56401c0f65601abe428de8206feaaf0e32198896dcae7b35cd2b38950a39dfd5d4a79164614c2984f7daa4\
                        60b588c1e80c3fa2068af7900447";
        let (ours, theirs) = (here.share(), there.share());
        assert_eq!(HEX.encode(&*here.finish(&theirs, added).unwrap()), expected);
        assert_eq!(HEX.encode(&*there.finish(&ours, added).unwrap()), expected);
    }

    /// Appendices B.3.10 and B.3.11.
    #[test]
    fn invalid_shares_are_rejected() {
        let secret = scalar("7cd0e075fa7955ba52c02759a6c90dbbfc10e6d40aea8d283e407d88cf538a05");
        let valid = hex("2c3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c");
        assert_eq!(
            HEX.encode(&*scalar_mult_vfy(&secret, &valid).unwrap()),
            "7c13645fe790a468f62c39beb7388e541d8405d1ade69d1778c5fe3e7f6b600e"
        );
        let no_point = hex("2b3c6b8c4f3800e7aef6864025b4ed79bd599117e427c41bd47d93d654b4a51c");
        for share in [no_point, [0; 32]] {
            assert!(scalar_mult_vfy(&secret, &share).is_none());
            assert!(
                example(Role::Initiator, INITIATOR)
                    .finish(&share, Added::default())
                    .is_none()
            );
        }
    }

    #[test]
    fn another_passphrase_gives_another_key() {
        let exchange = |role, phrase| {
            let mut bytes = |bytes: &mut [u8]| bytes.fill(7);
            Exchange::new(
                role,
                &Phrase::new(phrase).unwrap(),
                b"test",
                b"session",
                &mut bytes,
            )
        };
        let key = |mine, yours| {
            let there = exchange(Role::Responder, yours);
            exchange(Role::Initiator, mine).finish(&there.share(), Added::default())
        };
        assert_eq!(key("six words", "six words"), key("six words", "six words"));
        assert_ne!(key("six words", "six wards"), key("six words", "six words"));
    }

    #[test]
    fn blanks_and_compatibility_forms_make_no_difference() {
        let phrase = Phrase::new("correct horse").unwrap();
        for same in [" correct  horse\n", "correct\u{3000}horse", "ｃorrect horse"] {
            assert_eq!(Phrase::new(same).as_ref(), Some(&phrase), "{same:?}");
        }
        assert_eq!(format!("{phrase:?}"), "Phrase");
        assert_ne!(Phrase::new("Correct horse"), Some(phrase));
        assert_eq!(Phrase::new(" \t"), None);
    }

    #[test]
    fn lengths_are_leb128() {
        assert_eq!(lv_cat(&[&[7; 127]])[..2], [127, 7]);
        assert_eq!(lv_cat(&[&[7; 128]])[..3], [0x80, 1, 7]);
        assert_eq!(lv_cat(&[b"", b"a"]), [0, 1, b'a']);
    }
}
