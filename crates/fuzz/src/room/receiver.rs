//! What one connection receives, and the requirements on it.

use crate::safe::assert_safe;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::opaque::Token;
use chat_proto::plain::ServerLine;
use chat_proto::rich::FromServer;
use chat_proto::times::Times;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The receiving end of one connection.
#[derive(Default)]
pub(super) struct Receiver {
    /// The first line.
    pub(super) greeting: Vec<u8>,
    /// The incomplete line. Shorter than [`SERVER_LINE_MAX`].
    rest: Vec<u8>,
    /// Bytes to come of an answer to a telnet client.
    telnet: usize,
    /// The last broadcast line.
    last: Vec<u8>,
    phase: Phase,
    times: Times,
    /// Digests of the broadcasts in order, with their times in the rich dialect.
    pub(super) plain: Vec<u64>,
    pub(super) rich: Vec<u64>,
    pub(super) resume: Option<Token>,
    pub(super) rendezvous: Option<Token>,
    /// Unanswered `PING`s.
    pub(super) pings: Vec<u64>,
}

/// The progress of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
enum Phase {
    #[default]
    Greeting,
    Plain,
    Probing,
    Roster,
    History,
    Live,
    Over,
}

impl Receiver {
    /// Receives a chunk of bytes. Answers to telnet clients, which begin with a byte that UTF-8 has not, stand between
    /// lines.
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        let mut lines = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if self.telnet > 0 {
                self.telnet -= 1;
            } else if byte == 0xFF {
                let before = lines.last().or(self.rest.last());
                assert!(before.is_none_or(|&byte| byte == b'\n'), "an answer in a line");
                self.telnet = 2;
            } else {
                lines.push(byte);
            }
        }
        self.lines(&lines);
    }

    fn lines(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.rest.extend_from_slice(piece);
            assert!(
                self.rest.len() <= SERVER_LINE_MAX,
                "{} bytes in a line: {}",
                self.rest.len(),
                String::from_utf8_lossy(&self.rest)
            );
            if self.rest.last() == Some(&b'\n') {
                self.whole_line();
            }
        }
    }

    /// Whether the input ends with a whole line.
    pub(super) fn is_between_lines(&self) -> bool {
        self.rest.is_empty() && self.telnet == 0
    }

    fn whole_line(&mut self) {
        let line = std::mem::take(&mut self.rest);
        if self.greeting.is_empty() {
            self.greeting.clone_from(&line);
        }
        let heard = if self.phase == Phase::Plain {
            &mut self.plain
        } else {
            &mut self.rich
        };
        if line == self.last
            && let Some(&digest) = heard.last()
        {
            return heard.push(digest);
        }
        let before = self.plain.len() + self.rich.len();
        self.line(
            std::str::from_utf8(&line)
                .expect("valid UTF-8")
                .trim_end_matches('\n'),
        );
        if self.plain.len() + self.rich.len() > before {
            self.last = line;
        } else {
            self.last.clear();
        }
    }

    fn line(&mut self, line: &str) {
        assert_safe(line);
        match self.phase {
            Phase::Greeting => self.greeting(line),
            // A client disconnected before it has read its welcome is told so in the dialect that it asked for.
            Phase::Plain
                if ["WELCOME ", "GOODBYE ", "PROBED "]
                    .iter()
                    .any(|verb| line.starts_with(verb)) =>
            {
                self.rich_line(line)
            }
            Phase::Plain => self.plain_line(line),
            _ => self.rich_line(line),
        }
    }

    fn greeting(&mut self, line: &str) {
        let turned_away = [
            "too many users",
            "* too many users from your address",
            "* a user with your address and port is here already",
        ];
        self.phase = if turned_away.contains(&line) {
            Phase::Over
        } else {
            Phase::Plain
        };
        assert!(
            self.phase == Phase::Over || line.starts_with("* chat version 1: "),
            "greeted with {line:?}"
        );
    }

    fn plain_line(&mut self, line: &str) {
        let said = ServerLine::parse(line)
            .unwrap_or_else(|| panic!("an invalid line of the plain dialect: {line:?}"));
        assert_eq!(said.to_string(), line);
        if !matches!(
            said,
            ServerLine::PrivateFrom(..) | ServerLine::Notice(_) | ServerLine::TooManyUsers
        ) {
            self.plain.push(digest(line));
        }
    }

    fn rich_line(&mut self, line: &str) {
        let mut said = FromServer::parse(line)
            .unwrap_or_else(|error| panic!("an invalid line of the rich dialect: {line:?} ({error:?})"));
        assert_eq!(said.to_string(), line);
        assert_ne!(self.phase, Phase::Over, "a line after the last one: {line:?}");
        let time = self.times.restore(&mut said);
        match &said {
            FromServer::Welcome {
                resume, rendezvous, ..
            } => {
                self.advance(Phase::Plain, Phase::Roster);
                (self.resume, self.rendezvous) = (Some(*resume), Some(*rendezvous));
            }
            FromServer::Probed(_, _, rendezvous) => {
                self.advance(Phase::Plain, Phase::Probing);
                self.rendezvous = Some(*rendezvous);
            }
            FromServer::History(..) => self.advance(Phase::Roster, Phase::History),
            FromServer::Live => self.advance(Phase::History, Phase::Live),
            // The answer to a request for a taken nick.
            FromServer::Nick(_, who, nick) if who.nick.as_ref() == Some(nick) => {}
            FromServer::Users(_) => assert_eq!(self.phase, Phase::Roster, "{line:?}"),
            FromServer::User(_) => assert!(self.phase >= Phase::Roster, "a line before WELCOME: {line:?}"),
            // The other clients received it long ago.
            FromServer::Said(..) if self.phase == Phase::History => assert!(time.is_some(), "{line:?}"),
            FromServer::Said(..)
            | FromServer::Join(..)
            | FromServer::Leave(..)
            | FromServer::Nick(..)
            | FromServer::Address(..) => {
                assert!(self.phase >= Phase::Live, "a line before LIVE: {line:?}");
                assert!(time.is_some(), "no time is known for {line:?}");
                self.rich.push(digest(&said.to_string()));
            }
            FromServer::Ping(number) => self.pings.push(*number),
            FromServer::Goodbye(..) => self.phase = Phase::Over,
            _ => {}
        }
    }

    fn advance(&mut self, from: Phase, to: Phase) {
        assert_eq!(self.phase, from, "before {to:?}");
        self.phase = to;
    }
}

fn digest(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}
