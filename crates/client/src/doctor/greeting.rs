//! What the first bytes say of whoever listens there.

use super::findings::{Place, Server};
use crate::session::greeting::{self, Greeting};
use chat_proto::id::UserId;
use chat_proto::text::Text;
use std::time::Duration;

/// Silence that ends what has no line feed.
pub(super) const QUIET: Duration = Duration::from_millis(200);

/// Characters that are shown of what a stranger says.
const SHOWN_MAX: usize = 60;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Not enough yet.
    More,
    /// Not enough yet; but if nothing follows soon, it is all.
    Quiet,
    Ours {
        version: u32,
        /// It answers `PROBE`.
        offers_probe: bool,
    },
    /// Nothing more is to be asked of it.
    Stranger(Server),
    NoPlace(Place),
}

/// Judges all that came since the connection was made.
pub(super) fn judge(heard: &[u8]) -> Judgement {
    match greeting::read(heard) {
        Greeting::More => Judgement::More,
        Greeting::Ours(end) => ours(heard.get(..end).unwrap_or_default()),
        Greeting::Full => Judgement::NoPlace(Place::Full),
        Greeting::TurnedAway(why) => {
            let why = shown(heard.get(why).unwrap_or_default());
            Judgement::NoPlace(Place::TurnedAway(why))
        }
        Greeting::Original if is_original(heard) => Judgement::Stranger(Server::Original),
        Greeting::Original if heard.contains(&b'\n') => Judgement::Stranger(Server::Foreign(shown(heard))),
        Greeting::Original => Judgement::Quiet,
    }
}

/// The same, when nothing more comes.
pub(super) fn at_the_end(heard: &[u8]) -> Judgement {
    match judge(heard) {
        Judgement::More | Judgement::Quiet if heard == greeting::FULL => Judgement::NoPlace(Place::Full),
        Judgement::More if heard.starts_with(greeting::OURS) => Judgement::Stranger(Server::Unfinished),
        Judgement::More | Judgement::Quiet if !heard.is_empty() => {
            Judgement::Stranger(Server::Foreign(shown(heard)))
        }
        judgement => judgement,
    }
}

fn ours(line: &[u8]) -> Judgement {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    let version = words.nth(1).and_then(|word| word.strip_prefix("chat/"));
    let offers = line
        .trim_end()
        .strip_suffix(']')
        .and_then(|line| line.rsplit_once('['));
    Judgement::Ours {
        version: version.and_then(|version| version.parse().ok()).unwrap_or(1),
        offers_probe: offers.is_some_and(|(_, verbs)| verbs.split(' ').any(|verb| verb == "PROBE")),
    }
}

/// An original server tells everybody, and the newcomer too, that somebody is online.
fn is_original(heard: &[u8]) -> bool {
    let heard = String::from_utf8_lossy(heard);
    let id = heard.split_once(" is online").map(|(id, _)| id.parse::<UserId>());
    id.is_some_and(|id| id.is_ok())
}

/// The first line, as much as fits into a line of the report.
fn shown(heard: &[u8]) -> Text<'static> {
    let heard = String::from_utf8_lossy(heard);
    let line = heard.lines().next().unwrap_or_default();
    let text = Text::new(line);
    match text.as_str().char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", text.as_str().get(..end).unwrap_or_default()).into(),
        None => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_server_says_whether_it_can_be_probed() {
        for (greeting, version, offers_probe) in [
            (
                "* chat/1 you are 10.0.0.5:50312; /help says what you can do [PROBE]\n",
                1,
                true,
            ),
            ("* chat/2 you are 10.0.0.5:50312 [LATER PROBE MORE]\r\n", 2, true),
            (
                "* chat/1 you are 10.0.0.5:50312; /help says what you can do\n",
                1,
                false,
            ),
            ("* chat/1 [PROBES]\n", 1, false),
            ("* chat/1 PROBE\n", 1, false),
        ] {
            assert_eq!(
                judge(greeting.as_bytes()),
                Judgement::Ours {
                    version,
                    offers_probe
                },
                "{greeting}"
            );
        }
    }

    #[test]
    fn an_original_server_is_known_by_its_first_words() {
        assert_eq!(judge(b"127.0.0.1:4"), Judgement::Quiet);
        assert_eq!(
            judge(b"127.0.0.1:40000 is online"),
            Judgement::Stranger(Server::Original)
        );
        assert_eq!(judge(b"too many users"), Judgement::More);
        assert_eq!(at_the_end(b"too many users"), Judgement::NoPlace(Place::Full));
    }

    #[test]
    fn what_a_stranger_says_is_shown_safely_and_not_at_length() {
        let said = [b"SSH-2.0-\x1b[31m\xFF".as_slice(), &[b'x'; 500], b"\r\nmore"].concat();
        let Judgement::Stranger(Server::Foreign(text)) = judge(&said) else {
            panic!("{:?}", judge(&said));
        };
        assert_eq!(
            text.as_str(),
            format!("SSH-2.0-␛[31m\u{FFFD}{}...", "x".repeat(46))
        );
    }
}
