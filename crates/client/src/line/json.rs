//! Events as JSON, for programs: one object a line. `crates/client/JSON.md` is its reference, and its examples are tests.

use crate::command;
use crate::private::Path;
use crate::session::{Direction, Event, Way, about_query};
use chat_proto::who::Who;
use jiff::Timestamp;
use serde::Serialize;
use std::borrow::Cow;

/// Grows when a program that reads the objects would have to be changed: when a key or a kind goes or changes its
/// meaning, not when one is added.
const VERSION: u32 = 1;

/// One object. What does not apply to a kind is left out.
#[derive(Debug, Default, Serialize)]
struct Object<'a> {
    v: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    own: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    history: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    after_gap: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    silent: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<String>>,
}

/// Turns events into objects.
#[derive(Debug)]
pub(super) struct Json {
    /// Print the conversation at all.
    conversation: bool,
    /// Print what happened before the client came.
    history: bool,
    /// The client itself, once it knows.
    me: Option<Who>,
}

impl Json {
    pub(super) fn new(conversation: bool, history: bool) -> Self {
        Self {
            conversation,
            history,
            me: None,
        }
    }

    /// Adds an event's object, if it is wanted. Where the server tells no time that anybody could mean it is `now`, in
    /// milliseconds since the Unix epoch.
    pub(super) fn print(&mut self, event: &Event, now: u64, out: &mut Vec<u8>) {
        self.learn(event);
        if let Event::Help = event {
            for line in command::help(false) {
                write(object("help").text(line), now, out);
            }
        } else if self.is_wanted(event) {
            let me = self.me.as_ref().map(Who::to_string);
            write(describe(event, me), now, out);
        }
    }

    fn learn(&mut self, event: &Event) {
        match event {
            Event::Welcome { me: who, .. }
            | Event::Joined { who, own: true, .. }
            | Event::Renamed {
                after: who,
                own: true,
                ..
            } => self.me = Some(who.clone()),
            _ => {}
        }
    }

    fn is_wanted(&self, event: &Event) -> bool {
        match event {
            Event::Said { history, .. }
            | Event::Joined { history, .. }
            | Event::Left { history, .. }
            | Event::Renamed { history, .. } => self.conversation && (self.history || !history),
            Event::SomeoneLeft { .. }
            | Event::Unattributed { .. }
            | Event::Private {
                direction: Direction::Received,
                ..
            } => self.conversation,
            _ => true,
        }
    }
}

fn object<'a>(kind: &'static str) -> Object<'a> {
    Object {
        v: VERSION,
        kind,
        ..Object::default()
    }
}

/// A private message of the client's own, which comes and changes its state under this number.
fn sent<'a>(state: &'static str, number: u64, me: Option<String>, peer: &Who) -> Object<'a> {
    Object {
        from: me,
        state: Some(state),
        number: Some(number),
        ..object("private").to(peer)
    }
}

impl<'a> Object<'a> {
    fn at(mut self, unix_ms: u64) -> Self {
        self.time = time(unix_ms);
        self
    }

    fn from(mut self, who: &Who) -> Self {
        self.from = Some(who.to_string());
        self
    }

    fn to(mut self, who: &Who) -> Self {
        self.to = Some(who.to_string());
        self
    }

    fn text(mut self, text: impl Into<Cow<'a, str>>) -> Self {
        self.text = Some(text.into());
        self
    }

    fn reason(mut self, reason: impl Into<Cow<'a, str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    fn way(mut self, way: Way) -> Self {
        self.path = way.path.map(|path| match path {
            Path::Direct => "direct",
            Path::Relayed => "relayed",
        });
        self.sealed = Some(way.sealed);
        self
    }

    fn users(mut self, users: &[Who]) -> Self {
        self.users = Some(users.iter().map(Who::to_string).collect());
        self
    }

    fn marked(mut self, history: bool, own: bool) -> Self {
        self.history = history;
        self.own = own;
        self
    }
}

/// What happened. `me` is the client itself.
fn describe(event: &Event, me: Option<String>) -> Object<'_> {
    match event {
        Event::Welcome { me, users } => object("welcome").to(me).users(users),
        Event::Original { silent } => Object {
            silent: *silent,
            ..object("original")
        },
        Event::Live => object("live"),
        Event::Said {
            at,
            who,
            text,
            history,
            own,
        } => {
            let said = object("said").at(*at).from(who).text(text.as_str());
            said.marked(*history, *own)
        }
        Event::Joined {
            at,
            who,
            history,
            own,
        } => object("joined").at(*at).from(who).marked(*history, *own),
        Event::Left { at, who, history } => object("left").at(*at).from(who).marked(*history, false),
        Event::SomeoneLeft { at } => object("left").at(*at),
        Event::Renamed {
            at,
            before,
            after,
            history,
            own,
        } => {
            let renamed = object("renamed").at(*at).from(before).to(after);
            renamed.marked(*history, *own)
        }
        Event::Private { .. } | Event::Delivered { .. } | Event::NotDelivered { .. } => private(event, me),
        Event::Refused { text, reason } => object("refused").text(text.as_str()).reason(reason.as_str()),
        Event::Users(users) => object("users").users(users),
        Event::Query(to) => object("warning").text(about_query(to.as_ref()).to_string()),
        Event::Code { who, code } => object("code").from(who).text(code.as_str()),
        Event::Help => object("help"),
        Event::Notice(text) => object("notice").text(text.as_str()),
        Event::Error(_, text) => object("error").text(text.as_str()),
        Event::Warning(text) => object("warning").text(text.as_str()),
        Event::Unattributed { at, text } => object("unattributed").at(*at).text(text.as_str()),
        Event::Lost(outcome) => object("lost").reason(outcome.to_string()),
        Event::Ended(ending) => object("ended").reason(ending.to_string()),
    }
}

/// A private message, or what became of one.
fn private(event: &Event, me: Option<String>) -> Object<'_> {
    match event {
        Event::Private {
            at,
            direction: Direction::Received,
            peer,
            text,
            way,
            after_gap,
        } => Object {
            to: me,
            state: Some("received"),
            after_gap: *after_gap,
            ..object("private").at(*at).from(peer).text(text.as_str()).way(*way)
        },
        Event::Private {
            at,
            direction: Direction::Sent(seq),
            peer,
            text,
            way,
            ..
        } => {
            let sent = sent("sending", *seq, me, peer).at(*at);
            sent.text(text.as_str()).way(*way)
        }
        Event::Delivered {
            seq,
            peer,
            text,
            way,
            after,
        } => {
            let state = if after.is_some() { "delivered" } else { "sent" };
            Object {
                after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
                ..sent(state, *seq, me, peer).text(text.as_str()).way(*way)
            }
        }
        Event::NotDelivered {
            seq,
            peer,
            text,
            reason,
        } => {
            let sent = sent("not delivered", *seq, me, peer);
            sent.text(text.as_str()).reason(reason.as_str())
        }
        _ => object("private"),
    }
}

/// As RFC 3339 writes it; none, if the number is no time at all that anybody could mean.
fn time(unix_ms: u64) -> Option<String> {
    let millis = i64::try_from(unix_ms).ok()?;
    let timestamp = Timestamp::from_millisecond(millis).ok()?;
    Some(format!("{timestamp:.3}"))
}

fn write(mut object: Object<'_>, now: u64, out: &mut Vec<u8>) {
    object.time = object.time.or_else(|| time(now));
    // Texts and numbers can always be written, and memory always takes them.
    if serde_json::to_writer(&mut *out, &object).is_ok() {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
