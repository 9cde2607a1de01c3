//! The primitives of this one Noise suite, for `snow`. Its own resolvers would bring a second copy of each.

use crate::{Random, random};
use ring::aead::{AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, Tag, UnboundKey};
use ring::digest;
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types;
use x25519_dalek::{PublicKey, StaticSecret};

/// Bytes of an authentication tag.
pub(crate) const TAG_LEN: usize = 16;

/// What `snow` asks for primitives.
pub(crate) struct Primitives {
    ephemeral: [u8; 32],
}

impl Primitives {
    /// For one handshake, which makes one ephemeral key.
    pub(crate) fn new(source: Random<'_>) -> Self {
        Self {
            ephemeral: random(source),
        }
    }
}

impl CryptoResolver for Primitives {
    fn resolve_rng(&self) -> Option<Box<dyn types::Random>> {
        Some(Box::new(Ephemeral(Some(self.ephemeral))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn types::Dh>> {
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(X25519::default()) as Box<dyn types::Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn types::Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Sha256::default()) as Box<dyn types::Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn types::Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly)
            .then(|| Box::new(ChaChaPoly::default()) as Box<dyn types::Cipher>)
    }
}

/// Gives the secret of the one ephemeral key of a handshake, once.
struct Ephemeral(Option<[u8; 32]>);

impl types::Random for Ephemeral {
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        let secret = self.0.take().ok_or(Error::Rng)?;
        if dest.len() != secret.len() {
            return Err(Error::Rng);
        }
        dest.copy_from_slice(&secret);
        Ok(())
    }
}

/// X25519 (RFC 7748).
struct X25519 {
    secret: StaticSecret,
    public: PublicKey,
}

/// Has no key yet. Computing a public key costs as much as half of a key exchange, and nobody asks for this one's.
impl Default for X25519 {
    fn default() -> Self {
        Self {
            secret: StaticSecret::from([0; 32]),
            public: PublicKey::from([0; 32]),
        }
    }
}

impl From<[u8; 32]> for X25519 {
    fn from(bytes: [u8; 32]) -> Self {
        let secret = StaticSecret::from(bytes);
        let public = PublicKey::from(&secret);
        Self { secret, public }
    }
}

impl types::Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, privkey: &[u8]) {
        // Callers pass 32 bytes, which is what `priv_len` says.
        *self = Self::from(privkey.first_chunk().copied().unwrap_or_default());
    }

    fn generate(&mut self, rng: &mut dyn types::Random) -> Result<(), Error> {
        let mut secret = [0; 32];
        rng.try_fill_bytes(&mut secret)?;
        *self = Self::from(secret);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.public.as_bytes()
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// Rejects public keys that give every secret the same result (RFC 7748, section 6.1: the all-zero check).
    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public: &[u8; 32] = pubkey.first_chunk().ok_or(Error::Dh)?;
        let shared = self.secret.diffie_hellman(&PublicKey::from(*public));
        if !shared.was_contributory() {
            return Err(Error::Dh);
        }
        out.get_mut(..32)
            .ok_or(Error::Dh)?
            .copy_from_slice(shared.as_bytes());
        Ok(())
    }
}

/// SHA-256 (FIPS 180-4).
struct Sha256(digest::Context);

impl Default for Sha256 {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl types::Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let hash = self.0.clone().finish();
        if let Some(out) = out.first_chunk_mut::<32>() {
            out.copy_from_slice(hash.as_ref());
        }
    }
}

/// ChaCha20-Poly1305 with the nonces of Noise (section 12.3).
#[derive(Default)]
struct ChaChaPoly([u8; 32]);

impl types::Cipher for ChaChaPoly {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = *key;
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let length = plaintext.len();
        let (body, rest) = out.split_at_mut(length);
        body.copy_from_slice(plaintext);
        let tag = seal(Cipher::ChaChaPoly, &self.0, nonce, authtext, body);
        rest.split_at_mut(TAG_LEN).0.copy_from_slice(tag.as_ref());
        length + TAG_LEN
    }

    fn decrypt(
        &self,
        nonce: u64,
        authtext: &[u8],
        ciphertext: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let mut opened = ciphertext.to_vec();
        let opened = open(Cipher::ChaChaPoly, &self.0, nonce, authtext, &mut opened).ok_or(Error::Decrypt)?;
        out.get_mut(..opened.len())
            .ok_or(Error::Decrypt)?
            .copy_from_slice(opened);
        Ok(opened.len())
    }
}

/// SHA-256 of the pieces, one after another.
#[must_use]
pub fn sha256(pieces: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    pieces.iter().for_each(|piece| context.update(piece));
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// A cipher of Noise (section 12) for records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    /// ChaCha20-Poly1305, which is fast everywhere.
    ChaChaPoly,
    /// AES-256-GCM, which takes a third of the time where the processor has instructions for it, and else much more.
    AesGcm,
}

impl Cipher {
    /// The faster one on this machine.
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        let has_aes = std::arch::is_x86_feature_detected!("aes")
            && std::arch::is_x86_feature_detected!("pclmulqdq")
            && std::arch::is_x86_feature_detected!("avx");
        #[cfg(target_arch = "aarch64")]
        let has_aes = std::arch::is_aarch64_feature_detected!("aes")
            && std::arch::is_aarch64_feature_detected!("pmull");
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let has_aes = false;
        if has_aes { Self::AesGcm } else { Self::ChaChaPoly }
    }

    /// Making one for each call costs ChaCha20-Poly1305 nothing, and AES-256-GCM less than to keep its round keys would take in
    /// memory: 500 bytes for each user.
    fn with(self, key: &[u8; 32]) -> LessSafeKey {
        let algorithm = match self {
            Self::ChaChaPoly => &CHACHA20_POLY1305,
            Self::AesGcm => &AES_256_GCM,
        };
        LessSafeKey::new(UnboundKey::new(algorithm, key).expect("a key has 32 bytes"))
    }

    /// 32 zero bits, then the number: little-endian for ChaCha20 (Noise, section 12.3), big-endian for AES (12.4).
    fn nonce(self, number: u64) -> Nonce {
        let mut nonce = [0; 12];
        if let Some(counter) = nonce.last_chunk_mut::<8>() {
            *counter = match self {
                Self::ChaChaPoly => number.to_le_bytes(),
                Self::AesGcm => number.to_be_bytes(),
            };
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Encrypts in place. The caller never repeats a number under one key.
pub(crate) fn seal(cipher: Cipher, key: &[u8; 32], number: u64, associated: &[u8], body: &mut [u8]) -> Tag {
    cipher
        .with(key)
        .seal_in_place_separate_tag(cipher.nonce(number), Aad::from(associated), body)
        .expect("only a body of over 64 GiB fails")
}

/// Decrypts in place a body with its tag.
pub(crate) fn open<'a>(
    cipher: Cipher,
    key: &[u8; 32],
    number: u64,
    associated: &[u8],
    sealed: &'a mut [u8],
) -> Option<&'a [u8]> {
    let opened = cipher
        .with(key)
        .open_in_place(cipher.nonce(number), Aad::from(associated), sealed);
    opened.ok().map(|opened| &*opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER as HEX;
    use snow::types::{Cipher as _, Dh, Hash};

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEX.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    /// RFC 7748, section 6.1.
    #[test]
    fn x25519_matches_rfc_7748() {
        let mut alice = X25519::default();
        alice.set(&hex::<32>(
            "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        ));
        let public: [u8; 32] = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(alice.pubkey(), public);
        let bob: [u8; 32] = hex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let mut shared = [0; 32];
        alice.dh(&bob, &mut shared).unwrap();
        assert_eq!(
            HEX.encode(&shared),
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
        );
    }

    /// The points of small order on the curve and its twist: X25519 gives zero for them, whatever the secret.
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
        let here = X25519::from([1; 32]);
        for point in points {
            let mut bytes: [u8; 32] = hex(point);
            assert!(here.dh(&bytes, &mut [0; 32]).is_err(), "{point}");
            bytes[31] |= 0x80;
            assert!(
                here.dh(&bytes, &mut [0; 32]).is_err(),
                "{point} with the high bit"
            );
        }
    }

    /// FIPS 180-4's example in NIST's "SHA-256 examples": `abc`.
    #[test]
    fn sha256_matches_fips_180() {
        let mut hash = Sha256::default();
        hash.input(b"forgotten");
        hash.reset();
        hash.input(b"a");
        hash.input(b"bc");
        let mut out = [0; 64];
        hash.result(&mut out);
        assert_eq!(
            HEX.encode(&out[..32]),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    /// RFC 4231, section 4.3: as Noise computes it, and as the proof of an operator's code is.
    #[test]
    fn hmac_matches_rfc_4231() {
        let (key, data) = (b"Jefe", b"what do ya want for nothing?");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        let mut out = [0; 32];
        Sha256::default().hmac(key, data, &mut out);
        assert_eq!(HEX.encode(&out), expected);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
        assert_eq!(HEX.encode(ring::hmac::sign(&key, data).as_ref()), expected);
    }

    /// RFC 5869, appendix A.3. Noise's HKDF is this one without `info`, and the chaining key is the salt.
    #[test]
    fn hkdf_matches_rfc_5869() {
        let mut out = [[0; 32]; 2];
        let [first, second] = &mut out;
        Sha256::default().hkdf(b"", &[0x0B; 22], 2, first, second, &mut []);
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(HEX.encode(&out.concat()[..42]), expected);
    }

    /// Plays a handshake in the way of the Noise vectors: all keys are fixed, and each message has a payload.
    fn assert_handshake(pattern: &str, psk: Option<&str>, hash: &str, messages: [(&str, &str); 3]) {
        let ends = [
            (
                true,
                "e61ef9919cde45dd5f82166404bd08e38bceb5dfdfded0a34c8df7ed542214d1",
                "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a",
            ),
            (
                false,
                "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893",
                "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b",
            ),
        ];
        let mut ends = ends.map(|(initiates, own, ephemeral)| {
            let primitives = Primitives::new(&mut |bytes| bytes.copy_from_slice(&hex::<32>(ephemeral)));
            let builder = snow::Builder::with_resolver(pattern.parse().unwrap(), Box::new(primitives));
            let own = hex::<32>(own);
            let builder = builder.local_private_key(&own).unwrap();
            let builder = builder.prologue(b"John Galt").unwrap();
            let psk = psk.map(hex::<32>);
            let builder = match &psk {
                Some(psk) => builder.psk(3, psk).unwrap(),
                None => builder,
            };
            match initiates {
                true => builder.build_initiator(),
                false => builder.build_responder(),
            }
            .unwrap()
        });
        for (number, (payload, expected)) in messages.into_iter().enumerate() {
            let [writer, reader] = &mut ends;
            let (mut message, mut read) = ([0; 200], [0; 200]);
            let length = writer.write_message(payload.as_bytes(), &mut message).unwrap();
            assert_eq!(HEX.encode(&message[..length]), expected, "message {number}");
            let length = reader.read_message(&message[..length], &mut read).unwrap();
            assert_eq!(&read[..length], payload.as_bytes());
            ends.reverse();
        }
        for end in &ends {
            assert_eq!(HEX.encode(end.get_handshake_hash()), hash);
        }
    }

    /// The vectors of `cacophony`, the implementation of Noise in Haskell, which `snow` tests itself with too.
    #[test]
    fn the_handshakes_match_another_implementation() {
        assert_handshake(
            "Noise_XX_25519_ChaChaPoly_SHA256",
            None,
            "c8e5f64e846193be2a834104c2a009868d6c9f3bd3c186299888b488b2f1f58e",
            [
                (
                    "Ludwig von Mises",
                    "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c79444c756477696720766f6e204d69736573",
                ),
                (
                    "Murray Rothbard",
                    "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f14480884381cbad1f276e038c48378ffce2b65285e08d\
                     6b68aaa3629a5a8639392490e5b9bd5269c2f1e4f488ed8831161f19b7815528f8982ffe09be9b5c412f8a0db50f8814c719\
                     4e83f23dbd8d162c9326ad",
                ),
                (
                    "F. A. Hayek",
                    "c7195ffacac1307ff99046f219750fc47693e23c3cb08b89c2af808b444850a80ae475b9df0f169ae80a89be0865b57f58c9\
                     fea0d4ec82a286427402f113e4b6ae769a1d95941d49b25030",
                ),
            ],
        );
        assert_handshake(
            "Noise_XXpsk3_25519_ChaChaPoly_SHA256",
            Some("54686973206973206d7920417573747269616e20706572737065637469766521"),
            "a477edf6a131bbdb54707f6ea30eab6cd935d9b560f0e5fd1f053a95a99669fb",
            [
                (
                    "Ludwig von Mises",
                    "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c7944c9f5ff0e8079630cb7e270c20bbf480821b7\
                     7a384a645c71a2fd9b3db1c16a5f",
                ),
                (
                    "Murray Rothbard",
                    "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843b123def17f71e6ae8e57e0e1dec5949c5f74\
                     15c6f33517398747d821a06dc23ad430aa1fd7381d46195c378a819fd574425462cbb2d4ca339e738a0b7001dc91423fbf55\
                     a99af0c6f1df21012ceb2f",
                ),
                (
                    "F. A. Hayek",
                    "52187316111b118d4c060364f7b975dc0809b2590779aff2d63113c564f11744493384db7bf32d5ae6686df6ab06d508d2e0\
                     7caaf1d6afc010b978735fc78900e71ae1d314130d042e729a",
                ),
            ],
        );
    }

    /// RFC 7539, appendix A.5. Its nonce begins with four zero bytes, as those of Noise do.
    #[test]
    fn chacha20_poly1305_matches_rfc_7539() {
        let key = hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
        let number = u64::from_le_bytes(hex("0102030405060708"));
        let associated = hex::<12>("f33388860000000000004e91");
        let plain = "496e7465726e65742d4472616674732061726520647261667420646f63756d656e74732076616c696420666f722061206d6178\
                     696d756d206f6620736978206d6f6e74687320616e64206d617920626520757064617465642c207265706c616365642c206f\
                     72206f62736f6c65746564206279206f7468657220646f63756d656e747320617420616e792074696d652e20497420697320\
                     696e617070726f70726961746520746f2075736520496e7465726e65742d447261667473206173207265666572656e636520\
                     6d6174657269616c206f7220746f2063697465207468656d206f74686572207468616e206173202fe2809c776f726b20696e\
                     2070726f67726573732e2fe2809d";
        let sealed = "64a0861575861af460f062c79be643bd5e805cfd345cf389f108670ac76c8cb24c6cfc18755d43eea09ee94e382d26b0bdb7b7\
                      3c321b0100d4f03b7f355894cf332f830e710b97ce98c8a84abd0b948114ad176e008d33bd60f982b1ff37c8559797a06ef4\
                      f0ef61c186324e2b3506383606907b6a7c02b0f9f6157b53c867e4b9166c767b804d46a59b5216cde7a4e99040c5a40433225e\
                      e282a1b0a06c523eaf4534d7f83fa1155b0047718cbc546a0d072b04b3564eea1b422273f548271a0bb2316053fa76991955e\
                      bd63159434ecebb4e466dae5a1073a6727627097a1049e617d91d361094fa68f0ff77987130305beaba2eda04df997b714d6c6\
                      f2c29a6ad5cb4022b02709b";
        let tag = "eead9d67890cbb22392336fea1851f38";
        let cipher = ChaChaPoly(key);
        let plain = HEX.decode(plain.as_bytes()).unwrap();
        let mut out = vec![0; plain.len() + TAG_LEN];
        assert_eq!(cipher.encrypt(number, &associated, &plain, &mut out), out.len());
        assert_eq!(HEX.encode(&out), [sealed, tag].concat());
        let mut opened = vec![0; plain.len()];
        assert_eq!(
            cipher.decrypt(number, &associated, &out, &mut opened),
            Ok(plain.len())
        );
        assert_eq!(opened, plain);
    }

    /// NIST's "The Galois/Counter Mode of Operation" (McGrew and Viega), test cases 14 and 16 of appendix B: the key of 256 bits.
    /// Their nonces are not of the form that Noise prescribes, but that of the first one is, with the number 0.
    #[test]
    fn aes_256_gcm_matches_its_specification() {
        let mut body = [0; 16];
        let tag = seal(Cipher::AesGcm, &[0; 32], 0, &[], &mut body);
        assert_eq!(HEX.encode(&body), "cea7403d4d606b6e074ec5d3baf39d18");
        assert_eq!(HEX.encode(tag.as_ref()), "d0d1c8a799996bf0265b98b5d48ab919");
        let mut sealed = [body.as_slice(), tag.as_ref()].concat();
        assert_eq!(
            open(Cipher::AesGcm, &[0; 32], 0, &[], &mut sealed),
            Some([0; 16].as_slice())
        );
        let (one, two) = (Cipher::AesGcm.nonce(1), Cipher::ChaChaPoly.nonce(1));
        assert_eq!(HEX.encode(one.as_ref()), "000000000000000000000001");
        assert_eq!(HEX.encode(two.as_ref()), "000000000100000000000000");
    }
}
