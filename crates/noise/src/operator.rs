//! The code that makes a user an operator, proven without saying it.
//!
//! The client sends a MAC of the handshake hash, keyed with the code. The hash is different on every channel, so an
//! impostor of the server can't pass the MAC on.

use crate::mac::{is_same, mac};
use crate::{Random, random};
use chat_proto::opaque::{Opaque, Token};
use data_encoding::BASE32_NOPAD;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroize;

/// Separates this use of the hash from all others.
const LABEL: &[u8] = b"chat-op-1\0";

/// Characters between two hyphens.
const GROUP: usize = 4;

/// 80 random bits. Dropping it overwrites them.
#[derive(Clone, PartialEq, Eq)]
pub struct Code([u8; 10]);

impl Code {
    /// A new code.
    #[must_use]
    pub fn new(source: Random<'_>) -> Self {
        Self(random(source))
    }

    /// What proves the code on the channel whose handshake has this hash.
    #[must_use]
    pub fn tag(&self, hash: &[u8; 32]) -> Token {
        Opaque(mac(&self.0, &[LABEL, hash]))
    }

    /// The code as people type it. [`fmt::Debug`] does not show it.
    #[must_use]
    pub fn reveal(&self) -> String {
        let digits = BASE32_NOPAD.encode(&self.0).to_lowercase();
        let digits: Vec<char> = digits.chars().collect();
        let groups: Vec<String> = digits.chunks(GROUP).map(|group| group.iter().collect()).collect();
        groups.join("-")
    }
}

/// Whether a tag is the expected one.
#[must_use]
pub fn is_proven(expected: &Token, tag: &Token) -> bool {
    is_same(&expected.0, &tag.0)
}

/// Not a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCode;

/// In upper or lower case, with or without hyphens.
impl FromStr for Code {
    type Err = NoCode;

    fn from_str(typed: &str) -> Result<Self, NoCode> {
        let mut digits = typed.replace('-', "").to_uppercase();
        let bytes = BASE32_NOPAD.decode(digits.as_bytes());
        digits.zeroize();
        let bytes = bytes.map_err(|_| NoCode)?;
        bytes.try_into().map(Self).map_err(|_| NoCode)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code")
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    fn code() -> Code {
        let mut next = 0;
        Code::new(&mut |bytes: &mut [u8]| {
            bytes.iter_mut().for_each(|byte| {
                next += 1;
                *byte = next;
            });
        })
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let shown = code().reveal();
        assert_eq!(shown, "aeba-gbaf-aydq-qcik");
        for typed in [shown.as_str(), "AEBAGBAFAYDQQCIK", "aebagbaf-aydqqcik"] {
            assert_eq!(typed.parse(), Ok(code()), "{typed}");
        }
        for typed in ["", "aeba", "aeba-gbaf-aydq-qci1", "aeba-gbaf-aydq-qcik-aaaa"] {
            assert_eq!(typed.parse::<Code>(), Err(NoCode), "{typed}");
        }
        assert_eq!(format!("{:?}", code()), "Code");
    }

    #[test]
    fn a_tag_is_of_one_code_and_one_channel() {
        let tag = code().tag(&[7; 32]);
        assert!(is_proven(&tag, &code().tag(&[7; 32])));
        assert!(!is_proven(&tag, &code().tag(&[8; 32])));
        for bit in 0..128 {
            let mut other = tag;
            other.0[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_proven(&tag, &other), "bit {bit}");
        }
        let other = Code::new(&mut |bytes: &mut [u8]| bytes.fill(1));
        assert!(!is_proven(&tag, &other.tag(&[7; 32])));
        assert_eq!(HEXLOWER.encode(&tag.0), "f9507f97ef149cd1c54a3a59cf79da74");
    }
}
