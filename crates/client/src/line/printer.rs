//! Events as lines.

use crate::command;
use crate::format;
use crate::session::{
    Delivery, DeliveryFailure, Direction, Event, Outcome, PrivateMessage, RefusedMessage, Unattributed,
    VerifyCode, Welcome, about_legacy, about_query,
};
use chat_proto::plain::ServerLine;
use chat_proto::text::Text;
use chat_proto::who::Who;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Display;
use std::io::Write;

/// Turns events into lines: those of the conversation as the plain dialect has them, and all else after `* `.
#[derive(Debug)]
pub(super) struct Printer {
    /// Print the conversation at all.
    conversation: bool,
    /// Print what happened before the client came.
    history: bool,
    /// Somebody is typing, who may want to know how to stop.
    typed: bool,
    zone: TimeZone,
}

impl Printer {
    pub(super) fn new(conversation: bool, history: bool, typed: bool) -> Self {
        Self {
            conversation,
            history,
            typed,
            zone: TimeZone::system(),
        }
    }

    /// Adds an event's lines, if it has any, to `out` if they belong to the conversation, else to
    /// `diagnostics`.
    pub(super) fn print(&self, event: &Event, out: &mut Vec<u8>, diagnostics: &mut Vec<u8>) {
        if let Some((line, at, history)) = conversation(event) {
            if self.conversation && (self.history || !history) {
                let time = if history { self.clock(at) } else { String::new() };
                write_line(out, format_args!("{time}{line}"));
            }
        } else {
            self.print_diagnostic(event, diagnostics);
        }
    }

    fn print_diagnostic(&self, event: &Event, to: &mut Vec<u8>) {
        match event {
            Event::Welcome(welcome) => self.print_welcome(welcome, to),
            Event::Legacy { silent } => note(to, about_legacy(*silent)),
            Event::Users(users) => print_users(users, to),
            Event::Help => command::help(false).for_each(|line| note(to, line)),
            Event::Notice(text) | Event::Error(_, text) | Event::Warning(text) => note(to, text),
            Event::Refused(RefusedMessage { text, reason }) => {
                note(to, format_args!("not sent: {reason}: {text}"));
            }
            Event::Private(PrivateMessage { peer, text, .. }) => {
                note(to, format_args!("private to {peer}: {text}"));
            }
            Event::Delivered(delivery) => print_delivery(delivery, to),
            Event::NotDelivered(DeliveryFailure {
                peer, text, reason, ..
            }) => {
                note(to, format_args!("not delivered to {peer}: {reason}: {text}"));
            }
            Event::Query(recipient) => note(to, about_query(recipient.as_ref())),
            Event::Code(code) => print_code(code, to),
            // What failed has been told of already.
            Event::Ended(ending) if ending.outcome == Outcome::Left => {}
            Event::Ended(ending) => note(to, ending),
            _ => {}
        }
    }

    fn print_welcome(&self, Welcome { me, users }: &Welcome, to: &mut Vec<u8>) {
        note(to, format::welcome(me, users, Who::to_string));
        if self.typed {
            note(to, "/help lists the commands; Ctrl-D leaves");
        }
    }

    /// `[HH:MM:SS] `, local time.
    fn clock(&self, unix_ms: u64) -> String {
        let timestamp = i64::try_from(unix_ms)
            .ok()
            .and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let Some(timestamp) = timestamp else {
            // No time at all that anybody could mean.
            return "[--:--:--] ".to_owned();
        };
        timestamp
            .to_zoned(self.zone.clone())
            .strftime("[%H:%M:%S] ")
            .to_string()
    }
}

/// The line of an event that belongs to the conversation, when that was, and whether the client was
/// not there yet.
fn conversation(event: &Event) -> Option<(String, u64, bool)> {
    let line = |line: ServerLine<'_, &Who>, at: u64, history: bool| Some((line.to_string(), at, history));
    match event {
        Event::Said(said) => line(
            ServerLine::From(&said.who, said.text.borrow()),
            said.at,
            said.history,
        ),
        Event::Joined(join) => line(ServerLine::Online(&join.who), join.at, join.history),
        Event::Left(leave) => line(ServerLine::Offline(&leave.who), leave.at, leave.history),
        Event::Renamed(rename) => {
            let renamed = ServerLine::IsNow(&rename.before, &rename.after);
            line(renamed, rename.at, rename.history)
        }
        Event::Private(message) if message.direction == Direction::Received => {
            let from = ServerLine::PrivateFrom(&message.peer, message.text.borrow());
            line(from, message.at, false)
        }
        Event::SomeoneLeft { at } => Some(("a user left".into(), *at, false)),
        // It might look like any other line, and must not be taken for one.
        Event::Unattributed(Unattributed { at, text }) => Some((format!("? {text}"), *at, false)),
        _ => None,
    }
}

fn print_delivery(delivery: &Delivery, to: &mut Vec<u8>) {
    let Delivery {
        peer,
        text,
        transport,
        ..
    } = delivery;
    match delivery.after {
        Some(after) => {
            let ms = after.as_millis();
            note(
                to,
                format_args!("delivered to {peer} ({transport}, {ms} ms): {text}"),
            );
        }
        None => note(
            to,
            format_args!("sent to {peer} ({transport}, unconfirmed): {text}"),
        ),
    }
}

/// What `/verify` is for is said with it, because few know.
fn print_code(VerifyCode { who, code }: &VerifyCode, to: &mut Vec<u8>) {
    note(to, format_args!("you and {who} share the code {code}"));
    note(
        to,
        "compare it aloud, or in person: if it differs, somebody is between you",
    );
}

fn print_users(users: &[Who], to: &mut Vec<u8>) {
    note(to, format::heading(users.len()));
    for who in users {
        note(to, who);
    }
}

fn note(to: &mut Vec<u8>, what: impl Display) {
    let text = Text::from(what.to_string());
    write_line(to, ServerLine::<Who>::Notice(text));
}

fn write_line(to: &mut Vec<u8>, line: impl Display) {
    // Writing to memory does not fail.
    let _ = writeln!(to, "{line}");
}

#[cfg(test)]
mod tests;
