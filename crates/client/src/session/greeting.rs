//! The first line of a server, which shows its kind.

use chat_proto::{GREETING, SERVER_LINE_MAX};
use std::ops::Range;

/// The kind of server, by its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Greeting {
    /// Not enough yet.
    More,
    /// It is ours and speaks this version; its greeting takes so many bytes.
    Ours { version: u32, length: usize },
    /// The room is full.
    Full,
    /// One of ours, which rejects the connection: the reason is in this range.
    Rejected(Range<usize>),
    /// Not one of ours.
    Legacy,
}

/// The start of a notice, which no original server sends.
const NOTICE: &[u8] = b"* ";

/// The line of a full room, on our server and on the original one.
pub(crate) const FULL: &[u8] = b"too many users";

/// The start of the reason for a user who is banned.
pub(crate) const BANNED: &[u8] = b"banned: ";

/// Reads all bytes since the connection was made.
pub(crate) fn read(received: &[u8]) -> Greeting {
    if let Some(end) = received.iter().position(|&byte| byte == b'\n') {
        let line = received.get(..end).unwrap_or_default();
        return read_line(line.strip_suffix(b"\r").unwrap_or(line), end + 1);
    }
    let notice = NOTICE.starts_with(received) || received.starts_with(NOTICE);
    if received.len() < SERVER_LINE_MAX && (notice || FULL.starts_with(received)) {
        Greeting::More
    } else {
        Greeting::Legacy
    }
}

/// Whether this is an incomplete first line of a server of ours.
pub(crate) fn is_begun(received: &[u8]) -> bool {
    !received.is_empty() && read(received) == Greeting::More
}

fn read_line(line: &[u8], length: usize) -> Greeting {
    if line == FULL {
        Greeting::Full
    } else if let Some(version) = version(line) {
        Greeting::Ours { version, length }
    } else if line.starts_with(NOTICE) {
        Greeting::Rejected(NOTICE.len()..line.len())
    } else {
        Greeting::Legacy
    }
}

/// The version of a greeting. Any will do: the lower one of client and server is spoken.
fn version(line: &[u8]) -> Option<u32> {
    let line = line.strip_prefix(GREETING.as_bytes())?;
    let version = line.get(..line.iter().position(|&byte| byte == b':')?)?;
    let version = std::str::from_utf8(version).ok()?.parse().ok()?;
    (version >= 1).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_greeting_is_recognised_at_its_end() {
        let greeting = b"* chat version 1: welcome\nWELCOME";
        for end in 0..26 {
            assert_eq!(read(&greeting[..end]), Greeting::More, "{end} bytes");
        }
        assert_eq!(
            read(greeting),
            Greeting::Ours {
                version: 1,
                length: 26
            }
        );
        assert_eq!(
            read(b"* chat version 12:\r\n"),
            Greeting::Ours {
                version: 12,
                length: 20
            }
        );
    }

    #[test]
    fn an_original_server_is_recognised_at_its_first_other_byte() {
        for received in [b"1".as_slice(), b"*chat", b"too many m", b"hello\n", b"\n"] {
            assert_eq!(read(received), Greeting::Legacy, "{received:?}");
        }
        assert_eq!(
            read(&[GREETING.as_bytes(), &[b'1'; SERVER_LINE_MAX]].concat()),
            Greeting::Legacy
        );
    }

    #[test]
    fn a_notice_instead_of_a_greeting_is_a_rejection() {
        assert_eq!(
            read(b"* too many users from your address\n"),
            Greeting::Rejected(2..34)
        );
        for version in ["x:", "0:", "1", "1 :", ":", "-1:"] {
            let received = format!("{GREETING}{version}\n").into_bytes();
            let reason = 2..received.len() - 1;
            assert_eq!(read(&received), Greeting::Rejected(reason), "{version:?}");
        }
        assert_eq!(read(b"* too many users from"), Greeting::More);
    }

    #[test]
    fn a_full_room_is_recognised() {
        assert_eq!(read(b"too many users\n"), Greeting::Full);
        assert_eq!(read(b"too many users"), Greeting::More);
    }
}
