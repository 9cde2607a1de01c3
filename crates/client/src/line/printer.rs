//! Events as lines.

use crate::command;
use crate::format;
use crate::session::{Direction, Event, Outcome, about_original, about_query};
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
            Event::Welcome { me, users } => self.print_welcome(me, users, to),
            Event::Original { silent } => note(to, about_original(*silent)),
            Event::Users(users) => print_users(users, to),
            Event::Help => command::help(false).for_each(|line| note(to, line)),
            Event::Notice(text) | Event::Error(_, text) | Event::Warning(text) => note(to, text),
            Event::Refused { text, reason } => note(to, format_args!("not sent: {reason}: {text}")),
            Event::Private { peer, text, .. } => note(to, format_args!("private to {peer}: {text}")),
            Event::Delivered {
                peer,
                text,
                way,
                after: Some(after),
                ..
            } => {
                note(
                    to,
                    format_args!("delivered to {peer} ({way}, {} ms): {text}", after.as_millis()),
                );
            }
            Event::Delivered {
                peer,
                text,
                way,
                after: None,
                ..
            } => {
                note(to, format_args!("sent to {peer} ({way}, unconfirmed): {text}"));
            }
            Event::Query(recipient) => note(to, about_query(recipient.as_ref())),
            Event::Code { who, code } => print_code(who, code, to),
            Event::NotDelivered {
                peer, text, reason, ..
            } => {
                note(to, format_args!("not delivered to {peer}: {reason}: {text}"));
            }
            // What failed has been told of already.
            Event::Ended(ending) if ending.outcome == Outcome::Left => {}
            Event::Ended(ending) => note(to, ending),
            _ => {}
        }
    }

    fn print_welcome(&self, me: &Who, users: &[Who], to: &mut Vec<u8>) {
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
        Event::Said {
            at,
            who,
            text,
            history,
            ..
        } => line(ServerLine::From(who, text.borrow()), *at, *history),
        Event::Joined { at, who, history, .. } => line(ServerLine::Online(who), *at, *history),
        Event::Left { at, who, history } => line(ServerLine::Offline(who), *at, *history),
        Event::Renamed {
            at,
            before,
            after,
            history,
            ..
        } => line(ServerLine::IsNow(before, after), *at, *history),
        Event::Private {
            at,
            direction: Direction::Received,
            peer,
            text,
            ..
        } => line(ServerLine::PrivateFrom(peer, text.borrow()), *at, false),
        Event::SomeoneLeft { at } => Some(("a user left".into(), *at, false)),
        // It might look like any other line, and must not be taken for one.
        Event::Unattributed { at, text } => Some((format!("? {text}"), *at, false)),
        _ => None,
    }
}

/// What `/verify` is for is said with it, because few know.
fn print_code(who: &Who, code: &str, to: &mut Vec<u8>) {
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
