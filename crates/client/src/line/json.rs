//! Events as JSON objects, one a line, for programs. `crates/client/JSON.md` is the reference; a test checks its examples.

use crate::command;
use crate::files::transfers::What;
use crate::format::{break_rows, timestamp};
use crate::private::Path;
use crate::rooms::found::{Found, KeyState};
use crate::session::{
    Delivery, Direction, Event, FileNews, Outcome, PrivateMessage, Topic, Transport, VerifyCode, Welcome,
    about_query,
};
use chat_proto::text::Text;
use chat_proto::who::Who;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Grows when a key or a kind is removed or changes its meaning, not when one is added.
const VERSION: u32 = 1;

/// One object: its keys and values in order.
struct Object(Vec<(&'static str, Value)>);

/// Turns events into objects.
#[derive(Debug)]
pub(crate) struct Json {
    /// Print messages, joins and leaves.
    pub(crate) conversation: bool,
    /// Print also those before the client joined.
    pub(crate) history: bool,
    /// The client itself, once it has joined.
    pub(crate) me: Option<Who>,
}

impl Json {
    /// Prints an event. `now`, in milliseconds since the Unix epoch, replaces a time that the server did not send, or
    /// that no calendar has.
    pub(crate) fn print(&mut self, event: &Event, now: u64, out: &mut Vec<u8>) {
        self.learn(event);
        if let Event::Help = event {
            for line in command::help(false) {
                write(&Object::new("help", now, now).with("text", line), out);
            }
        } else if self.is_wanted(event) {
            if let Event::Ended(ending) = event
                && let Some(kind) = shown_out(&ending.outcome)
            {
                let reason = ending.outcome.to_string();
                write(&Object::new(kind, now, now).with("reason", reason), out);
            }
            let me = self.me.as_ref().map(Who::to_string);
            write(&describe(event, me, now), out);
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
            Event::Joined(_)
            | Event::Left(_)
            | Event::Renamed(_)
            | Event::SomeoneLeft { .. }
            | Event::Unattributed(_) => false,
            Event::Private(message) if message.direction == Direction::Received => false,
            _ => return true,
        };
        self.conversation && (self.history || !history)
    }
}

/// Prints a room of the LAN, which was found at this time.
pub(crate) fn room(found: &Found, now: u64, out: &mut Vec<u8>) {
    let about = found.room.about;
    let key = match found.key {
        KeyState::New => None,
        KeyState::Known => Some("known"),
        KeyState::Changed => Some("changed"),
    };
    let object = Object::new("room", now, now)
        .with("name", found.room.name.as_str())
        .with("host", found.address.host.as_str())
        .with("port", found.address.port())
        .mark("passphrase", about.has_passphrase)
        .with("sealed", about.is_sealed)
        .with("key", key);
    write(&object, out);
}

impl Object {
    fn new(kind: &'static str, unix_ms: u64, now: u64) -> Self {
        let time = rfc3339(unix_ms).or_else(|| rfc3339(now));
        Self(Vec::new())
            .with("v", VERSION)
            .with("time", time)
            .with("kind", kind)
    }

    /// Adds a key, unless there is no value.
    fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.0.push((key, value));
        }
        self
    }

    fn user(self, key: &'static str, who: &Who) -> Self {
        self.with(key, who.to_string())
    }

    fn users<'a>(self, users: impl IntoIterator<Item = &'a Who>) -> Self {
        self.with("users", users.into_iter().map(Who::to_string).collect::<Vec<_>>())
    }

    /// Adds a key with these users, unless there are none.
    fn some_users<'a>(self, key: &'static str, users: impl IntoIterator<Item = &'a Who>) -> Self {
        let users: Vec<String> = users.into_iter().map(Who::to_string).collect();
        self.with(key, (!users.is_empty()).then_some(users))
    }

    /// Adds a key with the value `true`, or nothing.
    fn mark(self, key: &'static str, is_set: bool) -> Self {
        self.with(key, is_set.then_some(true))
    }

    fn text(self, text: &Text<'_>) -> Self {
        self.with("text", text.as_str())
    }

    /// The text of a message, which may have several rows.
    fn message(self, text: &Text<'_>) -> Self {
        self.with("text", break_rows(text.as_str(), "\n"))
    }

    fn transport(self, transport: Transport) -> Self {
        let path = transport.path.map(|path| match path {
            Path::Direct => "direct",
            Path::Relayed => "relayed",
        });
        self.with("path", path).with("sealed", transport.sealed)
    }
}

/// The kind of the object that comes before `ended`, for a user who was shown out or not let in.
fn shown_out(outcome: &Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Kicked(_) => Some("kicked"),
        Outcome::Banned(_) => Some("banned"),
        Outcome::Locked(_) => Some("locked"),
        _ => None,
    }
}

/// The object of an event. `me` is the client itself.
fn describe(event: &Event, me: Option<String>, now: u64) -> Object {
    let at = |kind, unix_ms| Object::new(kind, unix_ms, now);
    let object = |kind| at(kind, now);
    match event {
        Event::Welcome(Welcome { me, users, clear }) => {
            let object = object("welcome").user("to", me).users(users);
            object.some_users("clear", clear)
        }
        Event::Legacy { silent } => object("original").mark("silent", *silent),
        Event::Missed(count) => object("missed").with("count", *count),
        Event::Live => object("live"),
        Event::Said(said) => {
            let action = said.text.action();
            let kind = if action.is_some() { "action" } else { "said" };
            let text = action.as_ref().unwrap_or(&said.text);
            let object = at(kind, said.at).user("from", &said.who).message(text);
            object.mark("own", said.own).mark("history", said.history)
        }
        Event::Joined(join) => {
            let object = at("joined", join.at).user("from", &join.who);
            object.mark("own", join.own)
        }
        Event::Left(leave) => at("left", leave.at).user("from", &leave.who),
        Event::SomeoneLeft { at: unix_ms } => at("left", *unix_ms),
        Event::Renamed(rename) => {
            let object = at("renamed", rename.at).user("from", &rename.before);
            let object = object.user("to", &rename.after);
            object.mark("own", rename.own)
        }
        Event::Private(message) => private(at("private", message.at), message, me),
        Event::Delivered(delivery) => delivered(object("private"), delivery, me),
        Event::NotDelivered(failure) => {
            let object = object("private").with("from", me).user("to", &failure.peer);
            let object = object.message(&failure.text).with("state", "not delivered");
            object
                .with("number", failure.seq)
                .with("reason", failure.reason.as_str())
        }
        Event::Refused(refused) => {
            let object = object("refused").message(&refused.text);
            object.with("reason", refused.reason.as_str())
        }
        Event::Users(users, _) => {
            let clear = users.iter().filter(|user| user.clear);
            let object = object("users").users(users.iter().map(|user| &user.who));
            let verified = users.iter().filter(|user| user.verified.is_some());
            let object = object.some_users("clear", clear.map(|user| &user.who));
            let operators = users.iter().filter(|user| user.is_operator);
            let object = object.some_users("operators", operators.map(|user| &user.who));
            let away = users.iter().filter(|user| user.away.is_some());
            let object = object.some_users("verified", verified.map(|user| &user.who));
            object.some_users("away", away.map(|user| &user.who))
        }
        Event::Query(to) => object("warning").text(&about_query(to.as_ref())),
        Event::Ignoring(ignoring) => object("ignored").users(&ignoring.users),
        Event::Code(VerifyCode { who, code }) => object("code").user("from", who).with("text", code.as_str()),
        Event::Verified(verification) => {
            let kind = if verification.added.is_some() {
                "verified"
            } else {
                "unverified"
            };
            let who = verification.who.as_ref().map(Who::to_string);
            object(kind).with("from", who).text(&verification.note)
        }
        Event::Doubt(doubt) => object("doubt").user("from", &doubt.who).text(&doubt.text),
        Event::File(news) => file(news, me, |kind| at(kind, news.at)),
        Event::Topic(Topic { who, text, .. }) => {
            let object = object("topic").with("from", who.as_ref().map(Who::to_string));
            object.with("text", (!text.is_blank()).then(|| text.as_str()))
        }
        Event::Away(away) => {
            let object = object("away").user("from", &away.who).mark("own", away.own);
            object.with("text", (!away.text.is_blank()).then(|| away.text.as_str()))
        }
        Event::Help => object("help"),
        Event::Answer(text) => object("answer").text(text),
        Event::Notice(text) => object("notice").text(text),
        Event::Error(_, text) => object("error").text(text),
        Event::Warning(text) => object("warning").text(text),
        Event::Unattributed(line) => at("unattributed", line.at).text(&line.text),
        Event::Lost(outcome) => object("lost").with("reason", outcome.to_string()),
        Event::Ended(ending) => object("ended").with("reason", ending.to_string()),
    }
}

fn file(news: &FileNews, me: Option<String>, object: impl Fn(&'static str) -> Object) -> Object {
    let (kind, bytes, reason) = match &news.what {
        What::Offered => ("file-offer", None, None),
        What::Begun(bytes) => ("file-progress", Some(*bytes), None),
        What::Paused | What::Forgotten => ("file-paused", None, None),
        What::Kept => ("file-kept", None, None),
        What::Failed(reason, text) => {
            let text = text.as_ref().map(|text| text.as_str().to_owned());
            (
                "file-failed",
                None,
                Some(text.unwrap_or_else(|| reason.to_string())),
            )
        }
    };
    let other = Some(news.who.to_string());
    let (from, to) = if news.is_sent { (me, other) } else { (other, me) };
    let object = object(kind).with("from", from).with("to", to);
    let object = object
        .with("number", news.number)
        .with("name", news.name.as_str());
    let file = news.path.as_ref().map(|path| path.display().to_string());
    object
        .with("size", news.size)
        .with("file", file)
        .with("bytes", bytes)
        .with("reason", reason)
}

fn private(object: Object, message: &PrivateMessage, me: Option<String>) -> Object {
    let (peer, text, transport) = (&message.peer, &message.text, message.transport);
    match message.direction {
        Direction::Received => {
            let object = object.user("from", peer).with("to", me).message(text);
            let object = object.transport(transport).with("state", "received");
            object.mark("after_gap", message.after_gap)
        }
        Direction::Sent(seq) => {
            let object = object.with("from", me).user("to", peer).message(text);
            let object = object.transport(transport).with("state", "sending");
            object.with("number", seq)
        }
    }
}

fn delivered(object: Object, delivery: &Delivery, me: Option<String>) -> Object {
    let after_ms = delivery
        .after
        .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    let state = if after_ms.is_some() { "delivered" } else { "sent" };
    let object = object.with("from", me).user("to", &delivery.peer);
    let object = object.message(&delivery.text).transport(delivery.transport);
    let object = object.with("state", state).with("number", delivery.seq);
    object.with("after_ms", after_ms)
}

/// A time as in RFC 3339; `None` if no calendar has it.
fn rfc3339(unix_ms: u64) -> Option<String> {
    timestamp(unix_ms).map(|timestamp| format!("{timestamp:.3}"))
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

fn write(object: &Object, out: &mut Vec<u8>) {
    // Strings and numbers always serialise, and writing to memory does not fail.
    if serde_json::to_writer(&mut *out, object).is_ok() {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
