//! What the first bytes show about the server.

use crate::session::greeting::{self, Greeting};
use chat_proto::GREETING;
use chat_proto::id::UserId;
use chat_proto::text::Text;
use std::time::Duration;

/// Silence that ends a greeting without a line feed.
pub(super) const QUIET: Duration = Duration::from_millis(200);

/// Characters of a foreign greeting that the report shows.
const SHOWN_MAX: usize = 60;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Not enough bytes yet.
    More,
    /// Not enough bytes yet, but if no more follow soon, it is a foreign server.
    Quiet,
    /// A server of ours, and how many bytes its greeting takes.
    Ours {
        version: u32,
        length: usize,
    },
    Full,
    /// The server's reason.
    Rejected(Text<'static>),
    /// It began as our greeting does, and did not end.
    Unfinished,
    /// The lab's original server.
    Legacy,
    /// Something else, and how it begins.
    Foreign(Text<'static>),
}

/// Judges all bytes since the connection was made.
pub(super) fn judge(received: &[u8]) -> Judgement {
    match greeting::read(received) {
        Greeting::More => Judgement::More,
        Greeting::Ours { version, length } => Judgement::Ours { version, length },
        Greeting::Full => Judgement::Full,
        Greeting::Rejected(why) => Judgement::Rejected(shown(received.get(why).unwrap_or_default())),
        Greeting::Legacy if is_legacy(received) => Judgement::Legacy,
        Greeting::Legacy if received.contains(&b'\n') => Judgement::Foreign(shown(received)),
        Greeting::Legacy => Judgement::Quiet,
    }
}

/// Judges all bytes when no more follow.
pub(super) fn judge_complete(received: &[u8]) -> Judgement {
    match judge(received) {
        Judgement::More | Judgement::Quiet if received == greeting::FULL => Judgement::Full,
        Judgement::More if received.starts_with(GREETING.as_bytes()) => Judgement::Unfinished,
        Judgement::More | Judgement::Quiet if !received.is_empty() => Judgement::Foreign(shown(received)),
        judgement => judgement,
    }
}

/// The lab's original server tells everybody, the newcomer too, that a user is online.
fn is_legacy(received: &[u8]) -> bool {
    let received = String::from_utf8_lossy(received);
    let id = received
        .split_once(" is online")
        .map(|(id, _)| id.parse::<UserId>());
    id.is_some_and(|id| id.is_ok())
}

/// The first line, cut to the width of the report.
fn shown(received: &[u8]) -> Text<'static> {
    let received = String::from_utf8_lossy(received);
    let text = Text::new(received.lines().next().unwrap_or_default());
    match text.as_str().char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", text.as_str().get(..end).unwrap_or_default()).into(),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legacy_server_is_known_by_its_first_line() {
        assert_eq!(judge(b"127.0.0.1:4"), Judgement::Quiet);
        assert_eq!(judge(b"127.0.0.1:40000 is online"), Judgement::Legacy);
        assert_eq!(judge(b"too many users"), Judgement::More);
        assert_eq!(judge_complete(b"too many users"), Judgement::Full);
    }

    #[test]
    fn a_foreign_greeting_is_shown_safely_and_cut() {
        let said = [b"SSH-2.0-\x1b[31m\xFF".as_slice(), &[b'x'; 500], b"\r\nmore"].concat();
        let Judgement::Foreign(text) = judge(&said) else {
            panic!("{:?}", judge(&said));
        };
        assert_eq!(
            text.as_str(),
            format!("SSH-2.0-␛[31m\u{FFFD}{}...", "x".repeat(46))
        );
    }
}
