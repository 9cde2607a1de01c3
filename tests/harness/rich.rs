//! A user of the rich dialect, line by line.

use super::{DEADLINE, Wire};
use chat_proto::rich::FromServer;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

/// A rich user who is in the room. Answers the server's pings whenever it waits for something.
pub struct Rich {
    wire: Wire,
    /// Who the server says this is.
    pub who: String,
    /// The token to come back with.
    pub resume: String,
    /// The token for the rendezvous.
    pub rendezvous: String,
    /// The last `seq` that the server had taken of this client at joining.
    pub taken: u64,
    /// The `USER` lines at joining.
    pub roster: Vec<String>,
    /// `HISTORY` and what came up to `LIVE`.
    pub past: Vec<String>,
    said: u64,
}

impl Rich {
    /// Joins under a nick that is free.
    #[track_caller]
    pub fn join(wire: Wire, nick: &str) -> Self {
        let mut user = Self::hello(wire, &format!("HELLO 1 {nick} - - -"));
        let own = format!(" {} ", user.who);
        let joined = user.expect("JOIN ");
        if !joined.contains(&own) || !user.who.starts_with(&format!("{nick}@")) {
            user.fail(&format!("{nick} joins as {joined:?}"));
        }
        user
    }

    /// Says this as the first line, and reads all that is told of the room, with `LIVE`.
    #[track_caller]
    pub fn hello(mut wire: Wire, hello: &str) -> Self {
        wire.expect("* chat/1");
        Self::hello_to(wire, hello)
    }

    /// The same, once the greeting has been read.
    #[track_caller]
    pub fn hello_to(mut wire: Wire, hello: &str) -> Self {
        wire.send(hello);
        Self::hello_said(wire)
    }

    /// Ends the line in which `HELLO` was said, and reads all that is told of the room, with `LIVE`.
    #[track_caller]
    pub fn hello_said(mut wire: Wire) -> Self {
        wire.send("\n");
        let welcome = wire.expect("WELCOME ");
        let Ok(FromServer::Welcome {
            who,
            resume,
            rendezvous,
            seq,
        }) = FromServer::parse(&welcome)
        else {
            wire.fail(&format!("{welcome:?} is no welcome"));
        };
        let mut user = Self {
            wire,
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

    /// Says something to everybody, and answers its number.
    #[track_caller]
    pub fn say(&mut self, text: &str) -> u64 {
        self.said += 1;
        self.wire.line(&format!("SAY {} {text}", self.said));
        self.said
    }

    /// Says something that nobody said before, and reads until it comes back: all that was to be heard before it.
    #[track_caller]
    pub fn sync(&mut self, marker: &str) -> Vec<String> {
        self.say(marker);
        let mut lines = self.until(&format!(" {} {marker}", self.who.clone()));
        lines.pop();
        lines
    }

    /// Reads lines up to and with one that contains this, and answers them, pings apart.
    #[track_caller]
    pub fn until(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        // For all of it: the server's pings come for ever.
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

    /// Reads lines up to one that contains this, and answers it.
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
