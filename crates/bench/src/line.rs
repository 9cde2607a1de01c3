//! Where a line ends.

use std::io::BufRead;

/// The first line without its line feed, and the rest; `None` without a line feed.
#[must_use]
pub fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    // This is the fastest search for a byte in the standard library. Reading from memory cannot fail.
    let length = rest.skip_until(b'\n').unwrap_or_default();
    let line = bytes.get(..length)?.strip_suffix(b"\n")?;
    Some((line, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_line_feed() {
        assert_eq!(split_line(b"one\ntwo\n"), Some((&b"one"[..], &b"two\n"[..])));
        assert_eq!(split_line(b"\n"), Some((&b""[..], &b""[..])));
        assert_eq!(split_line(b"one"), None);
        assert_eq!(split_line(b""), None);
    }
}
