//! What a server tells about itself: figures, without names, addresses and texts.
//!
//! Anybody may ask, with one datagram to the server's UDP port, and joins nothing by that. A question is as long as the
//! longest answer, so the exchange is no use for amplification. It has a nonce, which the answer returns: only a host
//! that reads the question can forge the answer.

use crate::datagram::{MARK, STATUS, STATUS_ANSWER};
use crate::opaque::{Opaque, Token};
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Bytes in a question. No answer is longer.
pub const QUESTION_LEN: usize = 512;

const VERSION_MAX: usize = 32;

/// The figures of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Of the program. Letters, digits and `.-+`, so it is safe to show.
    pub version: String,
    /// Seconds since the start.
    pub uptime: u64,
    /// Users in the room. Other machines are not told of a room that is closed to them.
    pub users: Option<u64>,
    /// Users at most.
    pub max_users: u64,
    /// The server shuts down.
    pub closing: bool,
    /// Nobody new comes in.
    pub locked: bool,
    /// The room has a passphrase.
    pub passphrase: bool,
    /// The room takes encrypted connections only.
    pub sealed: bool,
    /// What only the log and its own machine are told.
    pub traffic: Option<Traffic>,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received over all connections.
    pub received: u64,
    /// Bytes sent over all connections.
    pub sent: u64,
    /// Connections and requests that were refused.
    pub refused: u64,
    /// Users who were disconnected because they read too slowly.
    pub slow: u64,
    /// Questions for this status that were answered.
    pub asked: u64,
}

impl Status {
    /// Every figure with its name.
    fn words(&self) -> Vec<(&'static str, String)> {
        let flag = |set: bool| if set { "yes" } else { "no" }.to_owned();
        let mut words = vec![
            ("version", self.version.clone()),
            ("uptime", self.uptime.to_string()),
            ("max-users", self.max_users.to_string()),
            ("closing", flag(self.closing)),
            ("locked", flag(self.locked)),
            ("passphrase", flag(self.passphrase)),
            ("sealed", flag(self.sealed)),
        ];
        if let Some(users) = self.users {
            words.push(("users", users.to_string()));
        }
        if let Some(traffic) = self.traffic {
            words.extend([
                ("received", traffic.received.to_string()),
                ("sent", traffic.sent.to_string()),
                ("refused", traffic.refused.to_string()),
                ("slow", traffic.slow.to_string()),
                ("asked", traffic.asked.to_string()),
            ]);
        }
        words
    }
}

/// Words such as `users=3`, with blanks between them.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words().into_iter();
        let words: Vec<_> = words.map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&words.join(" "))
    }
}

/// A word that a later version adds is skipped.
impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: HashMap<&str, &str> = text.split(' ').filter_map(|word| word.split_once('=')).collect();
        let word = |name: &str| words.get(name).copied().ok_or(());
        let number = |name: &str| word(name)?.parse().map_err(drop);
        let flag = |name: &str| match word(name)? {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(()),
        };
        let traffic = || {
            Ok(Traffic {
                received: number("received")?,
                sent: number("sent")?,
                refused: number("refused")?,
                slow: number("slow")?,
                asked: number("asked")?,
            })
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-+".contains(&byte);
        let version = word("version")?;
        if version.is_empty() || version.len() > VERSION_MAX || !version.bytes().all(is_plain) {
            return Err(());
        }
        Ok(Self {
            version: version.to_owned(),
            uptime: number("uptime")?,
            users: words.contains_key("users").then(|| number("users")).transpose()?,
            max_users: number("max-users")?,
            closing: flag("closing")?,
            locked: flag("locked")?,
            passphrase: flag("passphrase")?,
            sealed: flag("sealed")?,
            traffic: words.contains_key("received").then(traffic).transpose()?,
        })
    }
}

/// The datagram that asks for the status.
#[must_use]
pub fn question(nonce: &Token) -> Vec<u8> {
    let mut bytes = vec![MARK, STATUS];
    bytes.extend(nonce.0);
    bytes.resize(QUESTION_LEN, 0);
    bytes
}

/// The nonce of a question; `None` if the datagram is none.
#[must_use]
pub fn parse_question(datagram: &[u8]) -> Option<Token> {
    let rest = datagram.strip_prefix(&[MARK, STATUS])?;
    let nonce = rest.first_chunk()?;
    let nonce = Opaque(*nonce);
    (datagram == question(&nonce)).then_some(nonce)
}

/// The answer to a question with this nonce; `None` if it would be longer than that.
#[must_use]
pub fn answer(nonce: &Token, status: &Status) -> Option<Vec<u8>> {
    let mut bytes = vec![MARK, STATUS_ANSWER];
    bytes.extend(nonce.0);
    bytes.extend(status.to_string().into_bytes());
    (bytes.len() <= QUESTION_LEN).then_some(bytes)
}

/// Reads the answer to the question with this nonce.
#[must_use]
pub fn parse_answer(nonce: &Token, datagram: &[u8]) -> Option<Status> {
    (datagram.len() <= QUESTION_LEN).then_some(())?;
    let rest = datagram.strip_prefix(&[MARK, STATUS_ANSWER])?;
    let text = rest.strip_prefix(&nonce.0)?;
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: Token = Opaque([7; 16]);

    fn largest() -> Status {
        Status {
            version: "9".repeat(VERSION_MAX),
            uptime: u64::MAX,
            users: Some(u64::MAX),
            max_users: u64::MAX,
            closing: true,
            locked: true,
            passphrase: true,
            sealed: true,
            traffic: Some(Traffic {
                received: u64::MAX,
                sent: u64::MAX,
                refused: u64::MAX,
                slow: u64::MAX,
                asked: u64::MAX,
            }),
        }
    }

    #[test]
    fn the_longest_answer_is_no_longer_than_the_question() {
        let answer = answer(&NONCE, &largest()).unwrap();
        assert!(answer.len() <= question(&NONCE).len());
        assert_eq!(parse_answer(&NONCE, &answer), Some(largest()));
        assert_eq!(parse_answer(&Opaque([8; 16]), &answer), None);
    }

    #[test]
    fn an_answer_without_users_and_traffic_is_one_too() {
        let status = Status {
            users: None,
            traffic: None,
            ..largest()
        };
        let datagram = answer(&NONCE, &status).unwrap();
        assert_eq!(parse_answer(&NONCE, &datagram), Some(status));
    }

    #[test]
    fn only_whole_questions_are_questions() {
        let asked = question(&NONCE);
        assert_eq!(parse_question(&asked), Some(NONCE));
        let mut other = asked.clone();
        other[100] = 1;
        for datagram in [
            &asked[..QUESTION_LEN - 1],
            &[&asked[..], &[0]].concat(),
            &other,
            &[],
        ] {
            assert_eq!(parse_question(datagram), None);
        }
    }

    #[test]
    fn a_version_with_other_characters_is_no_status() {
        let text = largest().to_string();
        for version in ["", "\u{1b}[2J", "1.0\n", &"9".repeat(VERSION_MAX + 1), "ä"] {
            let text = text.replace(&largest().version, version);
            assert_eq!(text.parse::<Status>(), Err(()), "{text:?}");
        }
        let later = format!("{text} colour=\u{1b}[2J users-tomorrow=9");
        assert_eq!(later.parse(), Ok(largest()));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(bytes in any::<Vec<u8>>(), text in "([a-z-]{1,9}=[0-9a-z]{0,21} ?){0,20}") {
            let prefix = [&[MARK, STATUS_ANSWER][..], &NONCE.0].concat();
            for rest in [&bytes[..], text.as_bytes()] {
                if let Some(status) = parse_answer(&NONCE, &[&prefix, rest].concat()) {
                    prop_assert!(status.to_string().chars().all(|c| (' '..='~').contains(&c)));
                }
            }
            prop_assert_eq!(parse_question(&bytes), None);
        }
    }
}
