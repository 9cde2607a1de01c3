//! A user of the rich dialect.

use super::{DEADLINE, Wire};
use chat_proto::rich::FromServer;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

/// A rich user in the room. It answers pings while it waits for lines.
pub struct Rich {
    wire: Wire,
    /// The user's secret key.
    pub secret: [u8; 32],
    /// The user's name, as the server writes it.
    pub who: String,
    /// The token that resumes the session.
    pub resume: String,
    /// The token for the rendezvous.
    pub rendezvous: String,
    /// The last `seq` that the server had accepted from this client before the join.
    pub taken: u64,
    /// The `USER` lines of the join.
    pub roster: Vec<String>,
    /// `HISTORY` and the lines up to `LIVE`.
    pub past: Vec<String>,
    said: u64,
}

impl Rich {
    /// Joins under a nick that is free.
    #[track_caller]
    pub fn join(wire: Wire, nick: &str) -> Self {
        let mut user = Self::hello(wire, &format!("HELLO 1 {nick} - -"));
        let own = format!(" {} ", user.who);
        let joined = user.expect("JOIN ");
        if !joined.contains(&own) || !user.who.starts_with(&format!("{nick}@")) {
            user.fail(&format!("{nick} joins as {joined:?}"));
        }
        user
    }

    /// Sends this as the first line, and reads up to `LIVE`.
    #[track_caller]
    pub fn hello(wire: Wire, hello: &str) -> Self {
        let secret = secret_of(&wire);
        Self::with_key(wire, secret, hello)
    }

    /// The same, with this secret key.
    #[track_caller]
    pub fn with_key(mut wire: Wire, secret: [u8; 32], hello: &str) -> Self {
        let greeting = wire.expect("* chat version 1: ");
        wire.seal(&greeting, secret, hello);
        Self::welcomed(wire, secret)
    }

    /// Like [`Self::hello`], after this greeting was read.
    #[track_caller]
    pub fn hello_to(mut wire: Wire, greeting: &str, hello: &str) -> Self {
        let secret = secret_of(&wire);
        wire.seal(greeting, secret, hello);
        Self::welcomed(wire, secret)
    }

    /// Reads up to `LIVE`.
    #[track_caller]
    fn welcomed(mut wire: Wire, secret: [u8; 32]) -> Self {
        let welcome = wire.expect("WELCOME ");
        let Ok(FromServer::Welcome {
            who,
            resume,
            rendezvous,
            seq,
            ..
        }) = FromServer::parse(&welcome)
        else {
            wire.fail(&format!("{welcome:?} is no welcome"));
        };
        let mut user = Self {
            wire,
            secret,
            who: who.to_string(),
            resume: resume.to_string(),
            rendezvous: rendezvous.to_string(),
            taken: seq,
            roster: Vec::new(),
            past: Vec::new(),
            said: seq,
        };
        user.roster = user.until("HISTORY");
        user.past.extend(user.roster.pop());
        let past = user.until("LIVE");
        user.past.extend(past);
        user.past.pop();
        user
    }

    /// Sends a message to everybody, and returns its number.
    #[track_caller]
    pub fn say(&mut self, text: &str) -> u64 {
        self.said += 1;
        self.wire.line(&format!("SAY {} {text}", self.said));
        self.said
    }

    /// Sends a unique message and reads up to its echo. Returns the lines before it.
    #[track_caller]
    pub fn sync(&mut self, marker: &str) -> Vec<String> {
        self.say(marker);
        let mut lines = self.until(&format!(" {} {marker}", self.who.clone()));
        lines.pop();
        lines
    }

    /// Reads up to and including a line that contains this text. Returns the lines without pings.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        // One deadline for all lines, because pings never stop.
        let until = Instant::now() + DEADLINE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = match self.wire.next_line_within(left) {
                Some(Some(line)) => line,
                Some(None) => self.fail(&format!("{} hears the end and not {text:?}", self.name)),
                None => self.fail(&format!("{} does not hear {text:?}", self.name)),
            };
            if let Some(n) = line.strip_prefix("PING ") {
                self.wire.line(&format!("PONG {n}"));
                continue;
            }
            if FromServer::parse(&line).is_err() {
                self.fail(&format!("{} hears what is no line: {line:?}", self.name));
            }
            lines.push(line);
            if lines.last().is_some_and(|line| line.contains(text)) {
                return lines;
            }
        }
    }

    /// Reads up to a line that contains this text, and returns that line.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        self.until(text).pop().unwrap_or_default()
    }

    /// Reads to the end of the connection without ever answering a ping.
    #[track_caller]
    pub fn until_end_without_answering(&mut self) -> Vec<String> {
        self.wire.until_end()
    }

    pub fn close(self) {
        self.wire.close();
    }

    pub fn reset(self) {
        self.wire.reset();
    }
}

impl Deref for Rich {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Rich {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

/// A secret key that no other connection has.
fn secret_of(wire: &Wire) -> [u8; 32] {
    let mut secret = [0; 32];
    for (byte, digit) in secret.iter_mut().zip(wire.id().bytes()) {
        *byte = digit;
    }
    secret
}
