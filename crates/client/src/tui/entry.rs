//! The entries of the scrollback: messages, events and notes, and how each reads.

use super::clock::Clock;
use super::find::find;
use super::layout::{Head, Layout, NO_MARK};
use super::lookalikes::Lookalikes;
use super::style::{Role, Span, name_spans};
use super::url::{Url, urls};
use crate::format;
use crate::private::Path;
use crate::session::Transport;
use chat_proto::text::{ROWS_MAX, Text};
use chat_proto::who::Who;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::rc::Rc;
use unicode_width::UnicodeWidthStr;

/// The most names that folded joins, or folded leaves, remember.
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
    /// One or more joins and leaves.
    Presence(Presence),
    /// The user before and after.
    Renamed(Who, Who),
    /// The date of the lines after it.
    Day(Text<'static>),
    /// A line of an original server whose sender is unknown.
    Unattributed(Text<'static>),
    /// A notice of the server.
    Server(Text<'static>),
    /// A note of the client.
    Note(Text<'static>),
    Error(Text<'static>),
}

/// A kind of message to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Other,
    /// Another user's message that names this user, at these places of the text, in bytes.
    Mention(Vec<Range<usize>>),
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
pub(super) struct Presence {
    joined: Names,
    left: Names,
}

/// The first names, and the number of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Names {
    /// `None` for a user that the server does not name.
    first: Vec<Option<Who>>,
    count: usize,
}

impl Names {
    fn add(&mut self, who: Option<Who>) {
        self.count += 1;
        if self.first.len() < NAMES_MAX {
            self.first.push(who);
        }
    }

    /// At most `max` names, and the number of the others.
    fn write(&self, max: usize, names: &Lookalikes) -> String {
        let shown = self.first.get(..max).unwrap_or(&self.first);
        let name = |who: &Option<Who>| who.as_ref().map_or("somebody".into(), |who| names.name(who));
        let names = shown.iter().map(name).collect::<Vec<_>>().join(", ");
        match self.count - shown.len() {
            0 => names,
            more => format!("{names} and {more} more"),
        }
    }
}

impl Presence {
    pub(super) fn joined(&mut self, who: Who) {
        self.joined.add(Some(who));
    }

    pub(super) fn left(&mut self, who: Option<Who>) {
        self.left.add(who);
    }

    fn sign(&self) -> char {
        if self.joined.count > 0 { '+' } else { '-' }
    }

    /// With as many names as fit so many columns, and at least one of each.
    fn write(&self, columns: usize, names: &Lookalikes) -> String {
        let written = |max| {
            let [joined, left] = [&self.joined, &self.left].map(|some| some.write(max, names));
            match (self.joined.count, self.left.count) {
                (_, 0) => joined,
                (0, _) => left,
                _ => format!("{joined}; - {left}"),
            }
        };
        let mut fewer = (1..=NAMES_MAX).rev().map(written);
        let fitting = fewer.find(|text| text.width() <= columns);
        fitting.unwrap_or_else(|| written(1))
    }
}

/// How entries look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look<'a> {
    pub(super) clock: &'a Clock,
    pub(super) names: &'a Lookalikes,
    pub(super) layout: Layout,
    /// The text that `/search` marks.
    pub(super) search: Option<&'a str>,
}

/// A line before it is wrapped.
#[derive(Debug)]
pub(super) struct Line {
    /// What stands before the text.
    pub(super) head: Vec<Span>,
    pub(super) text: Vec<Span>,
    /// The most rows that the text itself may begin, whoever sent it.
    pub(super) rows_max: usize,
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
            | What::Day(text)
            | What::Note(text)
            | What::Error(text) => text.as_str().len(),
            What::Private {
                text,
                state: State::Failed(reason),
                ..
            } => text.as_str().len() + reason.as_str().len(),
            What::Private { text, .. } => text.as_str().len(),
            What::Presence(presence) => {
                let users = presence.joined.first.iter().chain(&presence.left.first);
                let nicks = users.map(|who| who.as_ref().and_then(|who| who.nick.as_ref()));
                nicks
                    .map(|nick| size_of::<Option<Who>>() + nick.map_or(0, |nick| nick.as_str().len()))
                    .sum()
            }
            What::Renamed(..) => 0,
        };
        size_of::<Self>() + texts
    }

    /// A hash that recognises the event when the server sends it again as history; `None` if it never does.
    pub(super) fn fingerprint(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        self.at?.hash(&mut hasher);
        match &self.what {
            What::Said { who, text, .. } => (0, who.id, text.as_str()).hash(&mut hasher),
            What::Renamed(before, after) => (1, before.id, after).hash(&mut hasher),
            _ => return None,
        }
        Some(hasher.finish())
    }

    /// The width of the name before the text, if there is one.
    pub(super) fn name_width(&self, names: &Lookalikes) -> Option<usize> {
        match &self.what {
            What::Said { who, text, .. } if text.action().is_none() => Some(names.name(who).width()),
            What::Private { peer, .. } => Some(names.name(peer).width()),
            _ => None,
        }
    }

    /// The line. What stands before its text is left of all later rows, or they begin with blanks and it does not. So no
    /// text can imitate a line of its own. URLs are links, which open as a whole although blanks are between their rows.
    pub(super) fn line(&self, serial: u64, look: &Look<'_>, shows_time: bool) -> Line {
        let time = self.at.filter(|_| shows_time || look.layout.repeats_times());
        let time = time.map_or(String::new(), |at| look.clock.time(at));
        let (head, text) = self.what.write(&time, look);
        let text = link(text, serial);
        let is_message = matches!(self.what, What::Said { .. } | What::Private { .. });
        let rows_max = if is_message { ROWS_MAX } else { 1 };
        let Some(needle) = look.search else {
            return Line { head, text, rows_max };
        };
        let [head, text] =
            [head, text].map(|spans| spans.iter().flat_map(|span| mark(span, needle)).collect());
        Line { head, text, rows_max }
    }

    /// The text that `/search` looks at; `None` for events and notes.
    pub(super) fn said(&self, look: &Look<'_>) -> Option<String> {
        let is_said = matches!(
            self.what,
            What::Said { .. } | What::Private { .. } | What::Unattributed(_) | What::Server(_)
        );
        is_said.then(|| {
            let (head, text) = self.what.write("", look);
            head.iter().chain(&text).map(Span::as_str).collect()
        })
    }
}

impl What {
    /// What stands before the text, and the text.
    fn write(&self, time: &str, look: &Look<'_>) -> (Vec<Span>, Vec<Span>) {
        let Look { layout, names, .. } = look;
        let happened = |sign, text: &str| {
            let head = layout.head(time, &Head::Sign { mark: NO_MARK, sign });
            (head, name_spans(Role::Faint, text))
        };
        let noted =
            |role, sign, text: &str| (layout.head(time, &Head::Note(role, sign)), name_spans(role, text));
        match self {
            Self::Said { who, text, kind } => write_said(time, who, text, kind, look),
            Self::Private { .. } => self.write_private(time, look),
            Self::Presence(presence) => {
                let (head, _) = happened(presence.sign(), "");
                let before: usize = head.iter().map(|span| span.as_str().width()).sum();
                let text = presence.write(layout.width.saturating_sub(before), names);
                (head, name_spans(Role::Faint, &text))
            }
            Self::Renamed(before, after) => happened(
                '=',
                &format!("{} is now {}", names.name(before), names.name(after)),
            ),
            Self::Unattributed(text) => {
                let (head, _) = happened('?', "");
                (head, vec![Span::new(Role::Text, text.as_str())])
            }
            Self::Server(text) => {
                let (head, _) = noted(Role::Note, "-- ", "");
                (head, vec![Span::new(Role::Note, format!("server: {text}"))])
            }
            Self::Day(text) => noted(Role::Faint, "-- ", text.as_str()),
            Self::Note(text) => noted(Role::Note, "-- ", text.as_str()),
            Self::Error(text) => noted(Role::Error, "!! ", text.as_str()),
        }
    }

    fn write_private(&self, time: &str, look: &Look<'_>) -> (Vec<Span>, Vec<Span>) {
        let Self::Private {
            peer,
            text,
            transport,
            state,
            after_gap,
        } = self
        else {
            return Default::default();
        };
        let is_failed = matches!(state, State::Failed(_));
        let role = if is_failed { Role::Error } else { Role::Private };
        let mark = if *state == State::Received { '<' } else { '>' };
        let head = Head::Name {
            mark: (role, mark),
            role,
            name: &look.names.name(peer),
        };
        let mut body = vec![Span::new(role, format::private(text).as_str())];
        let fate = fate(state, *transport);
        if !fate.is_empty() {
            let role = if is_failed { role } else { Role::Faint };
            body.push(Span::new(role, format!("  {fate}")));
        }
        if *after_gap {
            body.push(Span::new(Role::Error, "  messages before this one are missing"));
        }
        (look.layout.head(time, &head), body)
    }
}

fn write_said(
    time: &str,
    who: &Who,
    text: &Text<'_>,
    kind: &Kind,
    look: &Look<'_>,
) -> (Vec<Span>, Vec<Span>) {
    let name = &look.names.name(who);
    let (mark, role) = match kind {
        Kind::Other => (NO_MARK, Role::user(who)),
        Kind::Mention(_) => ((Role::Mark, '!'), Role::mentioner(who)),
        Kind::Own => (NO_MARK, Role::Own),
    };
    let places = match kind {
        Kind::Mention(places) => places.as_slice(),
        Kind::Other | Kind::Own => &[],
    };
    let Some(action) = text.action() else {
        let head = look.layout.head(time, &Head::Name { mark, role, name });
        return (head, mentions(text.as_str(), 0, places));
    };
    let head = look.layout.head(time, &Head::Sign { mark, sign: '*' });
    let mut line = name_spans(role, name);
    line.push(Span::new(Role::Text, " "));
    line.extend(mentions(
        action.as_str(),
        text.as_str().len() - action.as_str().len(),
        places,
    ));
    (head, line)
}

/// A text with the user's own name in bold. The places count from so many bytes before it.
fn mentions(text: &str, before: usize, places: &[Range<usize>]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut done = 0;
    for place in places {
        let [start, end] = [place.start, place.end].map(|at| at.saturating_sub(before));
        if let (Some(plain), Some(name)) = (text.get(done..start), text.get(start..end)) {
            spans.push(Span::new(Role::Text, plain));
            spans.push(Span::new(Role::Mention, name));
            done = end;
        }
    }
    spans.push(Span::new(Role::Text, text.get(done..).unwrap_or_default()));
    spans.retain(|span| !span.as_str().is_empty());
    spans
}

/// What became of a private message, as far as it is worth a word.
fn fate(state: &State, transport: Transport) -> String {
    let seal = if transport.sealed {
        None
    } else {
        Some("unencrypted")
    };
    let relayed = (transport.path == Some(Path::Relayed)).then_some("via the server");
    let fate = match state {
        State::Failed(reason) => return format!("not delivered: {reason}"),
        State::Received => [None, None, seal],
        State::Sending(_) => [Some("sending"), None, seal],
        State::Sent(_) => [Some("unconfirmed"), relayed, seal],
        State::Delivered => [Some("ok"), relayed, seal],
    };
    fate.into_iter().flatten().collect::<Vec<_>>().join(", ")
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
            if shown.role == Role::Text {
                shown.role = Role::Link;
            }
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
