//! The messages of the crowd.

use std::sync::LazyLock;

/// The shortest text: `~`, the sender, the number and the time in hexadecimal digits, and `.`.
pub const TEXT_MIN: usize = 1 + 4 + 8 + 12 + 1;

/// The longest text: every measured server accepts it as one line.
pub const TEXT_MAX: usize = 4000;

/// The sender of a message, its number and its time. The rest of the text is computed from these, so any changed byte is
/// detected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The index of the sender in the crowd.
    pub sender: u16,
    /// How many messages of the sender came before this one.
    pub number: u32,
    /// When it was sent, in nanoseconds on the crowd's clock.
    pub at: u64,
}

impl Message {
    /// Writes a text of this length.
    pub fn write(self, length: usize, out: &mut Vec<u8>) {
        out.push(b'~');
        write_hex(self.sender.into(), 4, out);
        write_hex(self.number.into(), 8, out);
        write_hex(self.at, 12, out);
        out.push(b'.');
        out.extend_from_slice(self.padding(length));
    }

    /// Parses a text of this length; `None` if it is damaged.
    #[must_use]
    pub fn read(text: &[u8], length: usize) -> Option<Self> {
        if text.len() != length {
            return None;
        }
        let (sender, rest) = text.strip_prefix(b"~")?.split_at_checked(4)?;
        let (number, rest) = rest.split_at_checked(8)?;
        let (at, rest) = rest.split_at_checked(12)?;
        let message = Self {
            sender: u16::try_from(read_hex(sender)?).ok()?,
            number: u32::try_from(read_hex(number)?).ok()?,
            at: read_hex(at)?,
        };
        (rest.strip_prefix(b".")? == message.padding(length)).then_some(message)
    }

    fn padding(self, length: usize) -> &'static [u8] {
        static LETTERS: LazyLock<Vec<u8>> =
            LazyLock::new(|| (b'a'..=b'z').cycle().take(26 + TEXT_MAX).collect());
        let length = length.saturating_sub(TEXT_MIN).min(TEXT_MAX);
        let start = usize::try_from((self.number.wrapping_mul(7)).wrapping_add(self.sender.into()) % 26);
        let start = start.unwrap_or_default();
        LETTERS.get(start..start + length).unwrap_or_default()
    }
}

fn write_hex(value: u64, digits: u32, out: &mut Vec<u8>) {
    out.extend((0..digits).rev().map(|place| {
        let digit = (value >> (4 * place)) & 15;
        b"0123456789abcdef"
            .get(usize::try_from(digit).unwrap_or_default())
            .copied()
            .unwrap_or_default()
    }));
}

fn read_hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(length: usize) -> Vec<u8> {
        let message = Message {
            sender: 0xBEE,
            number: 123_456,
            at: 98_765_432_100,
        };
        let mut text = Vec::new();
        message.write(length, &mut text);
        assert_eq!(text.len(), length);
        assert_eq!(Message::read(&text, length), Some(message));
        text
    }

    #[test]
    fn a_message_of_any_length_is_parsed_as_written() {
        text(TEXT_MIN);
        text(TEXT_MAX);
        assert_eq!(text(40), b"~0bee0001e2400016fee0e524.qrstuvwxyzabcd");
    }

    #[test]
    fn a_message_changed_anywhere_is_damaged() {
        let whole = text(63);
        let was = Message::read(&whole, 63);
        for place in 0..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            assert_ne!(Message::read(&changed, 63), was, "at {place}");
            changed.remove(place);
            assert_eq!(Message::read(&changed, 63), None, "without {place}");
        }
    }
}
