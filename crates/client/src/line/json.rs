//! Events as JSON objects, one a line, for programs. `crates/client/JSON.md` is the reference; a test checks its examples.

use crate::command;
use crate::format::timestamp;
use crate::private::Path;
use crate::session::{
    Delivery, Direction, Event, PrivateMessage, Transport, VerifyCode, Welcome, about_query,
};
use chat_proto::who::Who;
use serde::Serialize;
use std::borrow::Cow;

/// Grows when a key or a kind is removed or changes its meaning, not when one is added.
const VERSION: u32 = 1;

/// One object. Keys that do not apply to its kind are left out.
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
    /// Print messages, joins and leaves.
    conversation: bool,
    /// Print also those before the client joined.
    history: bool,
    /// The client itself, once it has joined.
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

    /// Prints an event. `now`, in milliseconds since the Unix epoch, replaces a time that the server did not send, or
    /// that no calendar has.
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
            Event::Welcome(welcome) => self.me = Some(welcome.me.clone()),
            Event::Joined(join) if join.own => self.me = Some(join.who.clone()),
            Event::Renamed(rename) if rename.own => self.me = Some(rename.after.clone()),
            _ => {}
        }
    }

    fn is_wanted(&self, event: &Event) -> bool {
        let history = match event {
            Event::Said(said) => said.history,
            Event::Joined(join) => join.history,
            Event::Left(leave) => leave.history,
            Event::Renamed(rename) => rename.history,
            Event::SomeoneLeft { .. } | Event::Unattributed(_) => false,
            Event::Private(message) if message.direction == Direction::Received => false,
            _ => return true,
        };
        self.conversation && (self.history || !history)
    }
}

fn object<'a>(kind: &'static str) -> Object<'a> {
    Object {
        v: VERSION,
        kind,
        ..Object::default()
    }
}

/// A private message of the client's own; `number` is the same in all its states.
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

    fn transport(mut self, transport: Transport) -> Self {
        self.path = transport.path.map(|path| match path {
            Path::Direct => "direct",
            Path::Relayed => "relayed",
        });
        self.sealed = Some(transport.sealed);
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

fn describe(event: &Event, me: Option<String>) -> Object<'_> {
    match event {
        Event::Welcome(Welcome { me, users }) => object("welcome").to(me).users(users),
        Event::Legacy { silent } => Object {
            silent: *silent,
            ..object("original")
        },
        Event::Live => object("live"),
        Event::Said(said) => {
            let object = object("said").at(said.at).from(&said.who);
            object.text(said.text.as_str()).marked(said.history, said.own)
        }
        Event::Joined(join) => {
            let object = object("joined").at(join.at).from(&join.who);
            object.marked(join.history, join.own)
        }
        Event::Left(leave) => {
            let object = object("left").at(leave.at).from(&leave.who);
            object.marked(leave.history, false)
        }
        Event::SomeoneLeft { at } => object("left").at(*at),
        Event::Renamed(rename) => {
            let object = object("renamed").at(rename.at);
            let object = object.from(&rename.before).to(&rename.after);
            object.marked(rename.history, rename.own)
        }
        Event::Private(message) => private(message, me),
        Event::Delivered(delivery) => delivered(delivery, me),
        Event::NotDelivered(failure) => {
            let sent = sent("not delivered", failure.seq, me, &failure.peer);
            sent.text(failure.text.as_str()).reason(failure.reason.as_str())
        }
        Event::Refused(refused) => {
            let object = object("refused").text(refused.text.as_str());
            object.reason(refused.reason.as_str())
        }
        Event::Users(users) => object("users").users(users),
        Event::Query(to) => object("warning").text(about_query(to.as_ref()).to_string()),
        Event::Code(VerifyCode { who, code }) => object("code").from(who).text(code.as_str()),
        Event::Help => object("help"),
        Event::Notice(text) => object("notice").text(text.as_str()),
        Event::Error(_, text) => object("error").text(text.as_str()),
        Event::Warning(text) => object("warning").text(text.as_str()),
        Event::Unattributed(line) => object("unattributed").at(line.at).text(line.text.as_str()),
        Event::Lost(outcome) => object("lost").reason(outcome.to_string()),
        Event::Ended(ending) => object("ended").reason(ending.to_string()),
    }
}

fn private(message: &PrivateMessage, me: Option<String>) -> Object<'_> {
    let object = match message.direction {
        Direction::Received => Object {
            to: me,
            state: Some("received"),
            after_gap: message.after_gap,
            ..object("private").from(&message.peer)
        },
        Direction::Sent(seq) => sent("sending", seq, me, &message.peer),
    };
    let object = object.at(message.at).text(message.text.as_str());
    object.transport(message.transport)
}

fn delivered(delivery: &Delivery, me: Option<String>) -> Object<'_> {
    let Delivery { seq, peer, after, .. } = delivery;
    let state = if after.is_some() { "delivered" } else { "sent" };
    let object = Object {
        after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
        ..sent(state, *seq, me, peer)
    };
    object.text(delivery.text.as_str()).transport(delivery.transport)
}

/// A time as in RFC 3339.
fn time(unix_ms: u64) -> Option<String> {
    timestamp(unix_ms).map(|timestamp| format!("{timestamp:.3}"))
}

fn write(mut object: Object<'_>, now: u64, out: &mut Vec<u8>) {
    object.time = object.time.or_else(|| time(now));
    // Strings and numbers always serialise, and writing to memory does not fail.
    if serde_json::to_writer(&mut *out, &object).is_ok() {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
