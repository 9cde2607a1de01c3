//! Events as lines for people.

use crate::command;
use crate::format::{self, timestamp};
use crate::session::{
    Delivery, DeliveryFailure, Direction, Event, Listed, Outcome, PrivateMessage, RefusedMessage,
    Unattributed, Welcome, about_away, about_file, about_legacy, about_missed, about_query, about_topic,
};
use chat_proto::plain::ServerLine;
use chat_proto::text::Text;
use chat_proto::who::Who;
use jiff::tz::TimeZone;
use std::fmt::Display;
use std::io::Write;

/// What the later rows of a message begin with. No other line begins with a blank, so none of them can imitate one.
const ROW_BEGIN: &str = "\n    ";

/// Turns events into lines: the conversation in the form of the plain dialect, everything else after `* `.
#[derive(Debug)]
pub(crate) struct Printer {
    /// Print messages, joins and leaves.
    pub(crate) conversation: bool,
    /// Print also those before the client joined.
    pub(crate) history: bool,
    /// The input is a terminal: say how to leave.
    pub(crate) typed: bool,
    pub(crate) zone: TimeZone,
}

impl Printer {
    /// Prints an event of the conversation to `out`, any other to `diagnostics`. `now` is in milliseconds since the Unix
    /// epoch.
    pub(crate) fn print(&self, event: &Event, now: u64, out: &mut Vec<u8>, diagnostics: &mut Vec<u8>) {
        if let Some((line, at, history)) = conversation(event) {
            if self.conversation && (self.history || !history) {
                let time = if history {
                    self.clock(at, now)
                } else {
                    String::new()
                };
                write_line(
                    out,
                    format_args!("{time}{}", format::break_rows(&line, ROW_BEGIN)),
                );
            }
        } else {
            self.print_diagnostic(event, diagnostics);
        }
    }

    /// Prints an event for the log: each line with its time, which has the date and the zone.
    pub(crate) fn log(&self, event: &Event, now: u64, to: &mut Vec<u8>) {
        let mut lines = Vec::new();
        let at = match conversation(event) {
            Some((line, at, _)) => {
                write_line(&mut lines, format::break_rows(&line, ROW_BEGIN));
                at
            }
            None => {
                match event {
                    Event::Lost(outcome) => note(&mut lines, outcome),
                    event => self.print_diagnostic(event, &mut lines),
                }
                now
            }
        };
        let time = timestamp(at).or_else(|| timestamp(now)).unwrap_or_default();
        let time = time.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z");
        for line in String::from_utf8_lossy(&lines).lines() {
            match line.starts_with(' ') {
                // A later row of the same message.
                true => write_line(to, line),
                false => write_line(to, format_args!("{time} {line}")),
            }
        }
    }

    fn print_diagnostic(&self, event: &Event, to: &mut Vec<u8>) {
        match event {
            Event::Welcome(welcome) => self.print_welcome(welcome, to),
            Event::Legacy { silent } => note(to, about_legacy(*silent)),
            Event::Users(users, _) => print_users(users, to),
            Event::Answer(text) => note(to, text.to_string()),
            Event::Help => command::help(false).for_each(|line| note(to, line)),
            Event::Notice(text) | Event::Error(_, text) | Event::Warning(text) => note(to, text),
            Event::Refused(RefusedMessage { text, reason }) => {
                note(to, format_args!("not sent: {reason}: {text}"));
            }
            Event::Private(PrivateMessage {
                peer,
                text,
                transport,
                ..
            }) => {
                let (transport, text) = (transport.in_full(), format::private(text));
                note(to, format_args!("private to {peer} ({transport}): {text}"));
            }
            Event::Delivered(delivery) => print_delivery(delivery, to),
            Event::NotDelivered(DeliveryFailure {
                peer, text, reason, ..
            }) => {
                note(to, format_args!("not delivered to {peer}: {reason}: {text}"));
            }
            Event::Missed(count) => note(to, about_missed(*count)),
            Event::Topic(topic) => note(to, about_topic(topic)),
            Event::Away(away) => note(to, about_away(away, Who::to_string)),
            Event::Query(recipient) => note(to, about_query(recipient.as_ref())),
            Event::Ignoring(ignoring) => note(to, &ignoring.note),
            Event::Code(code) => format::code(code).into_iter().for_each(|line| note(to, line)),
            Event::Verified(verification) => note(to, &verification.note),
            Event::Doubt(doubt) => note(to, &doubt.text),
            Event::File(news) => note(to, about_file(news, Who::to_string)),
            // Only files go on without the server then.
            Event::Lost(outcome) => note(to, format_args!("{outcome}; reconnecting")),
            // Failures were printed when they happened.
            Event::Ended(ending) if ending.outcome == Outcome::Left => {}
            Event::Ended(ending) => note(to, ending),
            _ => {}
        }
    }

    fn print_welcome(&self, Welcome { me, users, clear }: &Welcome, to: &mut Vec<u8>) {
        note(to, format::welcome(me, users, Who::to_string));
        if let Some(clear) = format::in_the_clear(clear, Who::to_string) {
            note(to, clear);
        }
        if self.typed {
            note(to, "/help lists the commands; Ctrl-D leaves");
        }
    }

    /// `[HH:MM:SS] ` in local time, with the date if it is not today; dashes if no calendar has it.
    fn clock(&self, unix_ms: u64, now: u64) -> String {
        let local = |unix_ms| Some(timestamp(unix_ms)?.to_zoned(self.zone.clone()));
        let Some(time) = local(unix_ms) else {
            return "[--:--:--] ".to_owned();
        };
        let is_today = local(now).is_some_and(|now| now.date() == time.date());
        let format = if is_today {
            "[%H:%M:%S] "
        } else {
            "[%Y-%m-%d %H:%M:%S] "
        };
        time.strftime(format).to_string()
    }
}

/// The line of an event of the conversation, its time, and whether it happened before the client joined.
fn conversation(event: &Event) -> Option<(String, u64, bool)> {
    let line = |line: ServerLine<'_, &Who>, at: u64, history: bool| Some((line.to_string(), at, history));
    match event {
        Event::Said(said) => line(ServerLine::message(&said.who, &said.text), said.at, said.history),
        Event::Joined(join) => line(ServerLine::Online(&join.who), join.at, false),
        Event::Left(leave) => line(ServerLine::Offline(&leave.who), leave.at, false),
        Event::Renamed(rename) => {
            let renamed = ServerLine::IsNow(&rename.before, &rename.after);
            line(renamed, rename.at, false)
        }
        Event::Private(message) if message.direction == Direction::Received => {
            let (peer, transport) = (&message.peer, message.transport.in_full());
            let text = format::private(&message.text);
            let line = format!("private from {peer} ({transport}): {}", text.shown());
            Some((line, message.at, false))
        }
        Event::SomeoneLeft { at } => Some(("a user left".into(), *at, false)),
        // The mark tells it from the other lines, which it may imitate.
        Event::Unattributed(Unattributed { at, text }) => Some((format!("? {text}"), *at, false)),
        _ => None,
    }
}

fn print_delivery(delivery: &Delivery, to: &mut Vec<u8>) {
    let Delivery {
        peer,
        text,
        transport,
        after,
        ..
    } = delivery;
    let line = match after {
        Some(after) => format!(
            "delivered to {peer} ({transport}, {} ms): {text}",
            after.as_millis()
        ),
        None if delivery.is_confirmed() => format!("sent to {peer} ({transport}): {text}"),
        None => format!("sent to {peer} ({transport}, unconfirmed): {text}"),
    };
    note(to, line);
}

fn print_users(users: &[Listed], to: &mut Vec<u8>) {
    note(to, format::heading(users.len()));
    for user in users {
        note(to, user);
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
