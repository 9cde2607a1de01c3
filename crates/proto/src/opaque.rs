//! Opaque bytes in lines.

use data_encoding::BASE64URL_NOPAD;
use std::fmt;
use std::str::FromStr;

/// `N` bytes with a text form: base64url without padding (RFC 4648, section 5), which holds no space.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Opaque<const N: usize>(pub [u8; N]);

/// The X25519 public key (RFC 7748) of a client for one run. Private messages belong to it; the id is only a label.
pub type PublicKey = Opaque<32>;

/// A secret of the server and one client, to resume a connection or to use the rendezvous.
pub type Token = Opaque<16>;

impl<const N: usize> fmt::Display for Opaque<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        BASE64URL_NOPAD.encode_display(&self.0).fmt(f)
    }
}

/// Shows the first two bytes only: some of these are secrets, and others may read the output.
impl<const N: usize> fmt::Debug for Opaque<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, ..] = self.0.as_slice() else {
            return f.write_str("..");
        };
        write!(f, "{a:02x}{b:02x}..")
    }
}

/// The text is not base64url of the right length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOpaque;

impl<const N: usize> FromStr for Opaque<N> {
    type Err = NotOpaque;

    fn from_str(text: &str) -> Result<Self, NotOpaque> {
        decode(text)?.try_into().map(Self).map_err(|_| NotOpaque)
    }
}

/// The text form of bytes of any length.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(bytes)
}

/// The bytes of a text form.
///
/// # Errors
/// [`NotOpaque`] if the text is not base64url without padding.
pub fn decode(text: &str) -> Result<Vec<u8>, NotOpaque> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NotOpaque)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_round_trips_and_only_at_its_length() {
        let key = Opaque([0xFB; 32]);
        let text = key.to_string();
        assert_eq!(text.len(), 43);
        assert_eq!(text.parse(), Ok(key));
        assert_eq!(text.parse::<Token>(), Err(NotOpaque));
        assert_eq!("no spaces".parse::<Token>(), Err(NotOpaque));
    }

    #[test]
    fn debug_output_shows_two_bytes() {
        assert_eq!(format!("{:?}", Opaque([0xAB; 16])), "abab..");
    }
}
