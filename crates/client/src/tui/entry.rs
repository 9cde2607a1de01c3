//! One thing that was said or that happened, and the line that tells of it.

use super::clock::Clock;
use super::find::find;
use super::style::{Role, Span};
use crate::format::name;
use crate::session::Transport;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Names that a line of folded joins and leaves holds.
const NAMES_MAX: usize = 8;

/// One thing that was said or that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When, in milliseconds since the Unix epoch; what the program says has no time.
    pub(super) at: Option<u64>,
    /// What.
    pub(super) what: What,
}

/// What was said or happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A message to everybody.
    Said {
        /// Whose.
        who: Who,
        /// What.
        text: Text<'static>,
        /// Which of the three.
        kind: Kind,
    },
    /// A private message.
    Private {
        /// The other side.
        peer: Who,
        /// What.
        text: Text<'static>,
        /// How it travels.
        transport: Transport,
        /// What became of it.
        fate: Fate,
        /// One or more messages before it are missing.
        after_gap: bool,
    },
    /// Someone came.
    Came(Who),
    /// Someone left.
    Went(Who),
    /// Someone left, nobody knows who.
    SomeoneWent,
    /// Someone took another nick.
    Renamed(Who, Who),
    /// Several came and left.
    Folded(Folded),
    /// Of an original server: said by nobody knows whom.
    Unattributed(Text<'static>),
    /// The server speaks.
    Server(Text<'static>),
    /// The program speaks.
    Note(Text<'static>),
    /// Something went wrong.
    Error(Text<'static>),
}

/// What kind of message to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Somebody's.
    Other,
    /// Somebody's in which this user is named.
    Mention,
    /// This user's own.
    Own,
}

/// What became of a private message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It came to this user.
    Received,
    /// It is on its way, under this number.
    Sending(u64),
    /// It was sent, and nothing will tell whether it arrived; only, perhaps, that it did not. Its number.
    Sent(u64),
    /// It arrived.
    Delivered,
    /// It did not; why.
    Failed(Text<'static>),
}

/// Joins and leaves in one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folded {
    came: Names,
    went: Names,
}

/// Some names, and how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    first: Vec<String>,
    count: usize,
}

impl Names {
    fn add(&mut self, name: String) {
        self.count += 1;
        if self.first.len() < NAMES_MAX {
            self.first.push(name);
        }
    }

    fn write(&self, verb: &str) -> Option<String> {
        let names = self.first.join(", ");
        match self.count - self.first.len() {
            _ if self.count == 0 => None,
            0 => Some(format!("{names} {verb}")),
            more => Some(format!("{names} and {more} more {verb}")),
        }
    }
}

impl Folded {
    /// Adds a join or a leave; other entries are ignored.
    pub(super) fn add(&mut self, what: &What) {
        match what {
            What::Came(who) => self.came.add(name(who)),
            What::Went(who) => self.went.add(name(who)),
            What::SomeoneWent => self.went.add("somebody".to_owned()),
            _ => {}
        }
    }
}

impl Entry {
    /// Something that the program says.
    pub(super) fn note(text: impl Into<String>) -> Self {
        let what = What::Note(Text::from(text.into()));
        Self { at: None, what }
    }

    /// Something that went wrong.
    pub(super) fn error(text: impl Into<String>) -> Self {
        let what = What::Error(Text::from(text.into()));
        Self { at: None, what }
    }

    /// What it takes in memory, about.
    pub(super) fn cost(&self) -> usize {
        let texts = match &self.what {
            What::Said { text, .. }
            | What::Unattributed(text)
            | What::Server(text)
            | What::Note(text)
            | What::Error(text) => text.as_str().len(),
            What::Private { text, fate, .. } => {
                let reason = if let Fate::Failed(reason) = fate {
                    reason.as_str().len()
                } else {
                    0
                };
                text.as_str().len() + reason
            }
            What::Folded(folded) => {
                let names = folded.came.first.iter().chain(&folded.went.first);
                names.map(|name| name.len() + size_of::<String>()).sum()
            }
            What::Came(_) | What::Went(_) | What::SomeoneWent | What::Renamed(..) => 0,
        };
        size_of::<Self>() + texts
    }

    /// A number by which the same event is known when the server tells of it again; only of what it
    /// does tell again.
    pub(super) fn fingerprint(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.at?.hash(&mut hasher);
        match &self.what {
            What::Said { who, text, .. } => (0, who.id, text.as_str()).hash(&mut hasher),
            What::Came(who) => (1, who.id).hash(&mut hasher),
            What::Went(who) => (2, who.id).hash(&mut hasher),
            What::Renamed(before, after) => (3, before.id, name(after)).hash(&mut hasher),
            _ => return None,
        }
        Some(hasher.finish())
    }

    /// The line that tells of it. Each begins with its time or with a mark that no name can begin with, and rows after
    /// the first with blanks, so that no text passes for a line of its own.
    pub(super) fn line(&self, clock: &Clock, with_time: bool, search: Option<&str>) -> Vec<Span> {
        let mut line = Vec::new();
        if let Some(at) = self.at.filter(|_| with_time) {
            line.push(Span::new(Role::Faint, clock.time(at)));
        }
        self.what.write(&mut line);
        match search {
            Some(needle) => line.iter().flat_map(|span| mark(span, needle)).collect(),
            None => line,
        }
    }

    /// What a search looks at: what people said.
    pub(super) fn said(&self) -> Option<String> {
        let is_said = matches!(
            self.what,
            What::Said { .. } | What::Private { .. } | What::Unattributed(_) | What::Server(_)
        );
        is_said.then(|| {
            let mut line = Vec::new();
            self.what.write(&mut line);
            line.iter().map(Span::as_str).collect()
        })
    }
}

impl What {
    fn write(&self, line: &mut Vec<Span>) {
        let mut add = |role, text: String| line.push(Span::new(role, text));
        match self {
            Self::Said { who, text, kind } => write_said(line, who, text.as_str(), *kind),
            Self::Private {
                peer,
                text,
                transport,
                fate,
                after_gap,
            } => {
                write_private(line, &name(peer), text.as_str(), *transport, fate);
                if *after_gap {
                    line.push(Span::new(Role::Error, " (messages before this one are missing)"));
                }
            }
            Self::Came(who) => add(Role::Faint, format!("+ {who} joined")),
            Self::Went(who) => add(Role::Faint, format!("- {who} left")),
            Self::SomeoneWent => add(Role::Faint, "- somebody left".into()),
            Self::Renamed(before, after) => {
                add(Role::Faint, format!("= {} is now {}", name(before), name(after)));
            }
            Self::Folded(folded) => {
                let parts = [folded.came.write("joined"), folded.went.write("left")];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                add(Role::Faint, format!("± {}", parts.join("; ")));
            }
            Self::Unattributed(text) => add(Role::Text, format!("? {text}")),
            Self::Server(text) => add(Role::Note, format!("-- server: {text}")),
            Self::Note(text) => add(Role::Note, format!("-- {text}")),
            Self::Error(text) => add(Role::Error, format!("!! {text}")),
        }
    }
}

fn write_said(line: &mut Vec<Span>, who: &Who, text: &str, kind: Kind) {
    let name_role = if kind == Kind::Own {
        Role::Own
    } else {
        Role::user(who.id)
    };
    let text_role = if kind == Kind::Mention {
        Role::Mention
    } else {
        Role::Text
    };
    if let Some(action) = text.strip_prefix("/me ") {
        line.push(Span::new(Role::Faint, "* "));
        line.push(Span::new(name_role, name(who)));
        line.push(Span::new(text_role, format!(" {action}")));
    } else {
        line.push(Span::new(name_role, name(who)));
        line.push(Span::new(Role::Faint, ": "));
        line.push(Span::new(text_role, text));
    }
}

fn write_private(line: &mut Vec<Span>, peer: &str, text: &str, transport: Transport, fate: &Fate) {
    let direction = match fate {
        Fate::Received => format!("[{peer} -> you] "),
        _ => format!("[you -> {peer}] "),
    };
    line.push(Span::new(Role::Private, direction + text));
    let transport = transport.to_string();
    let marks = match fate {
        Fate::Received => [transport, String::new()],
        Fate::Sending(_) => ["sending".into(), transport],
        Fate::Sent(_) => [transport, "unconfirmed".into()],
        Fate::Delivered => ["delivered".into(), transport],
        Fate::Failed(reason) => [format!("not delivered: {reason}"), String::new()],
    };
    let role = if matches!(fate, Fate::Failed(_)) {
        Role::Error
    } else {
        Role::Faint
    };
    let marks: Vec<String> = marks.into_iter().filter(|mark| !mark.is_empty()).collect();
    let state = format!(" ({})", marks.join(", "));
    line.push(Span::new(role, state));
}

/// Takes a piece apart, so that what is searched for stands out.
fn mark(span: &Span, needle: &str) -> Vec<Span> {
    let mut pieces = Vec::new();
    let mut rest = span.as_str();
    while let Some(found) = find(rest, needle) {
        let (before, after) = rest.split_at(found.end);
        let (before, matched) = before.split_at(found.start);
        pieces.push(Span::new(span.role, before));
        pieces.push(Span::new(Role::Match, matched));
        rest = after;
    }
    pieces.push(Span::new(span.role, rest));
    pieces
}
