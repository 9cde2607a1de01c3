//! The entries of the scrollback: messages, events and notes, and how each reads.

use super::clock::Clock;
use super::find::find;
use super::lookalikes::Lookalikes;
use super::style::{Role, Span, name_spans};
use super::url::{Url, urls};
use crate::session::Transport;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::rc::Rc;

/// The most names that folded joins, or folded leaves, list.
const NAMES_MAX: usize = 8;

/// One entry of the scrollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The time in milliseconds since the Unix epoch; notes of the client have none.
    pub(super) at: Option<u64>,
    pub(super) what: What,
}

/// The content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A message to everybody.
    Said {
        who: Who,
        text: Text<'static>,
        kind: Kind,
    },
    /// A private message.
    Private {
        /// The other user.
        peer: Who,
        text: Text<'static>,
        transport: Transport,
        state: State,
        /// Messages before it are missing.
        after_gap: bool,
    },
    Joined(Who),
    Left(Who),
    /// A leave on an original server, which does not say who left.
    SomeoneLeft,
    /// The user before and after.
    Renamed(Who, Who),
    /// Several joins and leaves.
    Folded(Folded),
    /// A line of an original server whose sender is unknown.
    Unattributed(Text<'static>),
    /// A notice of the server.
    Server(Text<'static>),
    /// A note of the client.
    Note(Text<'static>),
    Error(Text<'static>),
}

/// A kind of message to everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Other,
    /// Another user's message that names this user.
    Mention,
    /// This user's own message.
    Own,
}

/// The state of a private message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Received,
    /// Being sent, under this number.
    Sending(u64),
    /// Sent under this number to a user whose client confirms nothing. It may still fail.
    Sent(u64),
    Delivered,
    /// Not delivered, for this reason.
    Failed(Text<'static>),
}

/// Joins and leaves in one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folded {
    joined: Names,
    left: Names,
}

/// The first names, and the number of all.
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
    pub(super) fn add(&mut self, what: &What, names: &Lookalikes) {
        match what {
            What::Joined(who) => self.joined.add(names.name(who)),
            What::Left(who) => self.left.add(names.name(who)),
            What::SomeoneLeft => self.left.add("somebody".to_owned()),
            _ => {}
        }
    }
}

impl Entry {
    pub(super) fn note(text: impl Into<String>) -> Self {
        let what = What::Note(Text::from(text.into()));
        Self { at: None, what }
    }

    pub(super) fn error(text: impl Into<String>) -> Self {
        let what = What::Error(Text::from(text.into()));
        Self { at: None, what }
    }

    /// The approximate memory, in bytes.
    pub(super) fn cost(&self) -> usize {
        let texts = match &self.what {
            What::Said { text, .. }
            | What::Unattributed(text)
            | What::Server(text)
            | What::Note(text)
            | What::Error(text) => text.as_str().len(),
            What::Private {
                text,
                state: State::Failed(reason),
                ..
            } => text.as_str().len() + reason.as_str().len(),
            What::Private { text, .. } => text.as_str().len(),
            What::Folded(folded) => {
                let names = folded.joined.first.iter().chain(&folded.left.first);
                names.map(|name| name.len() + size_of::<String>()).sum()
            }
            What::Joined(_) | What::Left(_) | What::SomeoneLeft | What::Renamed(..) => 0,
        };
        size_of::<Self>() + texts
    }

    /// A hash that recognises the event when the server sends it again as history; `None` if it never does.
    pub(super) fn fingerprint(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.at?.hash(&mut hasher);
        match &self.what {
            What::Said { who, text, .. } => (0, who.id, text.as_str()).hash(&mut hasher),
            What::Joined(who) => (1, who.id).hash(&mut hasher),
            What::Left(who) => (2, who.id).hash(&mut hasher),
            What::Renamed(before, after) => (3, before.id, after).hash(&mut hasher),
            _ => return None,
        }
        Some(hasher.finish())
    }

    /// The line. It begins with its time, or with a mark that no name can begin with; the rows after the first begin with
    /// blanks. So no text can imitate a line of its own. URLs are links, which open as a whole although blanks are between
    /// their rows.
    pub(super) fn line(
        &self,
        serial: u64,
        clock: &Clock,
        names: &Lookalikes,
        with_time: bool,
        search: Option<&str>,
    ) -> Vec<Span> {
        let mut line = Vec::new();
        if let Some(at) = self.at.filter(|_| with_time) {
            line.push(Span::new(Role::Faint, clock.time(at)));
        }
        self.what.write(&mut line, names);
        let line = link(line, serial);
        match search {
            Some(needle) => line.iter().flat_map(|span| mark(span, needle)).collect(),
            None => line,
        }
    }

    /// The text that `/search` looks at; `None` for events and notes.
    pub(super) fn said(&self, names: &Lookalikes) -> Option<String> {
        let is_said = matches!(
            self.what,
            What::Said { .. } | What::Private { .. } | What::Unattributed(_) | What::Server(_)
        );
        is_said.then(|| {
            let mut line = Vec::new();
            self.what.write(&mut line, names);
            line.iter().map(Span::as_str).collect()
        })
    }
}

impl What {
    fn write(&self, line: &mut Vec<Span>, names: &Lookalikes) {
        let mut add = |role, text: &str| line.extend(name_spans(role, text));
        match self {
            Self::Said { who, text, kind } => write_said(line, who, &names.name(who), text, *kind),
            Self::Private {
                peer,
                text,
                transport,
                state,
                after_gap,
            } => {
                write_private(line, &names.name(peer), text.as_str(), *transport, state);
                if *after_gap {
                    line.push(Span::new(Role::Error, " (messages before this one are missing)"));
                }
            }
            Self::Joined(who) => add(Role::Faint, &format!("+ {who} joined")),
            Self::Left(who) => add(Role::Faint, &format!("- {who} left")),
            Self::SomeoneLeft => line.push(Span::new(Role::Faint, "- somebody left")),
            Self::Renamed(before, after) => {
                add(
                    Role::Faint,
                    &format!("= {} is now {}", names.name(before), names.name(after)),
                );
            }
            Self::Folded(folded) => {
                let parts = [folded.joined.write("joined"), folded.left.write("left")];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                add(Role::Faint, &format!("± {}", parts.join("; ")));
            }
            Self::Unattributed(text) => line.push(Span::new(Role::Text, format!("? {text}"))),
            Self::Server(text) => line.push(Span::new(Role::Note, format!("-- server: {text}"))),
            Self::Note(text) => add(Role::Note, &format!("-- {text}")),
            Self::Error(text) => add(Role::Error, &format!("!! {text}")),
        }
    }
}

fn write_said(line: &mut Vec<Span>, who: &Who, name: &str, text: &Text<'_>, kind: Kind) {
    let name_role = if kind == Kind::Own {
        Role::Own
    } else {
        Role::user(who)
    };
    let text_role = if kind == Kind::Mention {
        Role::Mention
    } else {
        Role::Text
    };
    if let Some(action) = text.action() {
        line.push(Span::new(Role::Faint, "* "));
        line.extend(name_spans(name_role, name));
        line.push(Span::new(text_role, format!(" {action}")));
    } else {
        line.extend(name_spans(name_role, name));
        line.push(Span::new(Role::Faint, ": "));
        line.push(Span::new(text_role, text.as_str()));
    }
}

fn write_private(line: &mut Vec<Span>, peer: &str, text: &str, transport: Transport, state: &State) {
    let direction = match state {
        State::Received => format!("[{peer} -> you] "),
        _ => format!("[you -> {peer}] "),
    };
    line.extend(name_spans(Role::Private, &direction));
    line.push(Span::new(Role::Private, text));
    let transport = transport.to_string();
    let marks = match state {
        State::Received => [transport, String::new()],
        State::Sending(_) => ["sending".into(), transport],
        State::Sent(_) => [transport, "unconfirmed".into()],
        State::Delivered => ["delivered".into(), transport],
        State::Failed(reason) => [format!("not delivered: {reason}"), String::new()],
    };
    let role = if matches!(state, State::Failed(_)) {
        Role::Error
    } else {
        Role::Faint
    };
    let marks: Vec<String> = marks.into_iter().filter(|mark| !mark.is_empty()).collect();
    let state = format!(" ({})", marks.join(", "));
    line.push(Span::new(role, state));
}

/// Gives each URL in the line of an entry a span of its own, which links to it.
fn link(line: Vec<Span>, entry: u64) -> Vec<Span> {
    let mut linked = Vec::new();
    for span in line {
        let text = span.as_str();
        let piece = |range: Range<usize>| span.with_text(text.get(range).unwrap_or_default());
        let mut done = 0;
        for found in urls(text) {
            linked.push(piece(done..found.start));
            done = found.end;
            let mut shown = piece(found);
            shown.url = Url::new(entry, linked.len(), shown.as_str()).map(Rc::new);
            linked.push(shown);
        }
        linked.push(if done == 0 { span } else { piece(done..text.len()) });
    }
    linked
}

/// Highlights the matches of a search.
fn mark(span: &Span, needle: &str) -> Vec<Span> {
    let mut pieces = Vec::new();
    let mut rest = span.as_str();
    while let Some(found) = find(rest, needle) {
        let (before, after) = rest.split_at(found.end);
        let (before, matched) = before.split_at(found.start);
        pieces.push(span.with_text(before));
        let mut hit = span.with_text(matched);
        hit.role = Role::Match;
        pieces.push(hit);
        rest = after;
    }
    pieces.push(span.with_text(rest));
    pieces
}
