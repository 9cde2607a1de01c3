//! The protocols of the measured servers, as far as the crowd needs them.

use crate::message::Message;
use clap::ValueEnum;
use std::io::Write;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    /// The plain dialect of chat-server, and chat-reference.
    Plain,
    /// The rich dialect of chat-server.
    Rich,
    /// `ncat --chat`.
    Ncat,
    /// An IRC server.
    Irc,
}

/// The meaning of a server's line to the crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A message and its text.
    Said(&'a [u8]),
    /// A message without a sender.
    Unnamed(&'a [u8]),
    /// A join.
    Joined,
    /// A leave.
    Left,
    /// Another line that everybody receives.
    Shared,
    /// The greeting of the server.
    Greeting,
    /// The end of the history.
    Live,
    /// A ping, with the text to answer.
    Ping(&'a [u8]),
    /// A line for this user alone.
    Own,
    /// Not a line of this protocol.
    Strange,
}

impl Dialect {
    /// Whether all users receive the same bytes, apart from lines for one user alone.
    #[must_use]
    pub fn is_common(self) -> bool {
        matches!(self, Self::Plain | Self::Rich)
    }

    /// Whether a sender receives its own messages.
    #[must_use]
    pub fn echoes(self) -> bool {
        matches!(self, Self::Plain | Self::Rich)
    }

    /// The first lines of a user, sent without waiting.
    pub fn begin(self, user: usize, out: &mut Vec<u8>) {
        if self == Self::Irc {
            put(
                out,
                format_args!("NICK u{user}\r\nUSER u{user} 0 * :u\r\nJOIN #b\r\n"),
            );
        }
    }

    /// The answer to a [`Line::Ping`].
    pub fn pong(self, ping: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"PONG ");
        out.extend_from_slice(ping);
        out.extend_from_slice(self.end());
    }

    /// Appends a message with a text of this length.
    pub fn say(self, message: Message, length: usize, out: &mut Vec<u8>) {
        match self {
            Self::Plain | Self::Ncat => {}
            Self::Rich => put(out, format_args!("SAY {} ", u64::from(message.number) + 1)),
            Self::Irc => out.extend_from_slice(b"PRIVMSG #b :"),
        }
        message.write(length, out);
        out.extend_from_slice(self.end());
    }

    fn end(self) -> &'static [u8] {
        if self == Self::Irc { b"\r\n" } else { b"\n" }
    }

    /// Parses a line of the server, without its line feed.
    #[must_use]
    pub fn read(self, line: &[u8]) -> Line<'_> {
        let read = match self {
            Self::Plain => plain(line),
            Self::Rich => rich(line),
            Self::Ncat => ncat(line),
            Self::Irc => irc(line),
        };
        read.unwrap_or(Line::Strange)
    }
}

fn plain(line: &[u8]) -> Option<Line<'_>> {
    if let Some(said) = line.strip_prefix(b"from ") {
        let (who, text) = word(said);
        return who.ends_with(b":").then_some(Line::Said(text));
    }
    if line.starts_with(b"* ") {
        return Some(Line::Own);
    }
    let (_, what) = word(line);
    match what {
        b"is online" => Some(Line::Joined),
        b"is offline" => Some(Line::Left),
        _ => None,
    }
}

fn rich(line: &[u8]) -> Option<Line<'_>> {
    let (verb, rest) = word(line);
    match verb {
        b"SAID" => {
            let (_, rest) = word(rest);
            Some(Line::Said(word(rest).1))
        }
        b"JOIN" => Some(Line::Joined),
        b"LEAVE" => Some(Line::Left),
        b"NICK" | b"ADDRESS" => Some(Line::Shared),
        b"*" if rest.starts_with(b"chat version ") => Some(Line::Greeting),
        b"LIVE" => Some(Line::Live),
        b"PING" => Some(Line::Ping(rest)),
        b"WELCOME" | b"USER" | b"USERS" | b"HISTORY" | b"NOTICE" | b"GOODBYE" => Some(Line::Own),
        _ => None,
    }
}

fn ncat(line: &[u8]) -> Option<Line<'_>> {
    let Some(line) = line.strip_prefix(b"<") else {
        // `ncat` names the sender once for each chunk, however many lines it contains.
        return Some(Line::Unnamed(line));
    };
    let (who, text) = word(line);
    if who != b"announce>" {
        return who.ends_with(b">").then_some(Line::Said(text));
    }
    let says = |words: &[u8]| text.windows(words.len()).any(|part| part == words);
    Some(if text.starts_with(b"already") {
        Line::Shared
    } else if says(b" is connected as ") {
        Line::Joined
    } else {
        Line::Left
    })
}

fn irc(line: &[u8]) -> Option<Line<'_>> {
    let line = line.strip_suffix(b"\r")?;
    if let Some(ping) = line.strip_prefix(b"PING ") {
        return Some(Line::Ping(ping));
    }
    let Some(line) = line.strip_prefix(b":") else {
        return Some(Line::Own);
    };
    let (_, what) = word(line);
    let (verb, rest) = word(what);
    Some(match verb {
        b"PRIVMSG" => Line::Said(word(rest).1.strip_prefix(b":")?),
        b"JOIN" => Line::Joined,
        b"QUIT" | b"PART" => Line::Left,
        _ => Line::Own,
    })
}

/// The first word, and the rest after its space.
fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|&byte| byte == b' ').unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, rest.get(1..).unwrap_or_default())
}

fn put(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_parses_the_lines_of_its_server() {
        let cases: [(Dialect, &str, Line<'_>); 19] = [
            (Dialect::Plain, "from 10.0.0.1:9: hi: you", Line::Said(b"hi: you")),
            (Dialect::Plain, "from 10.0.0.1:9 hi", Line::Strange),
            (Dialect::Plain, "10.0.0.1:9 is online", Line::Joined),
            (Dialect::Plain, "10.0.0.1:9 is offline", Line::Left),
            (Dialect::Plain, "* chat version 1: you are 10.0.0.1:9", Line::Own),
            (Dialect::Plain, "hello", Line::Strange),
            (
                Dialect::Rich,
                "* chat version 1: you are 10.0.0.1:9",
                Line::Greeting,
            ),
            (
                Dialect::Rich,
                "SAID 17 ann@10.0.0.1:9 hi you",
                Line::Said(b"hi you"),
            ),
            (
                Dialect::Rich,
                "SAID - ann@10.0.0.1:9 hi you",
                Line::Said(b"hi you"),
            ),
            (Dialect::Rich, "JOIN 17 10.0.0.1:9 - -", Line::Joined),
            (Dialect::Rich, "LIVE", Line::Live),
            (Dialect::Rich, "PING 17", Line::Ping(b"17")),
            (Dialect::Rich, "ERROR malformed - no", Line::Strange),
            (Dialect::Ncat, "<user4> hi you", Line::Said(b"hi you")),
            (Dialect::Ncat, "hi you", Line::Unnamed(b"hi you")),
            (
                Dialect::Ncat,
                "<announce> 127.0.0.1 is connected as <user5>.",
                Line::Joined,
            ),
            (
                Dialect::Ncat,
                "<announce> already connected: nobody.",
                Line::Shared,
            ),
            (
                Dialect::Irc,
                ":u1!~u@host PRIVMSG #b :hi you\r",
                Line::Said(b"hi you"),
            ),
            (Dialect::Irc, ":u1!~u@host JOIN :#b\r", Line::Joined),
        ];
        for (dialect, line, expected) in cases {
            assert_eq!(dialect.read(line.as_bytes()), expected, "{line}");
        }
    }
}
