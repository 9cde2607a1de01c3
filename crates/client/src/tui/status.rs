//! The status line: the room on the left, what needs attention on the right. What matters least is left out first.

use super::link::Link;
use super::screen::{Found, Mode, Screen};
use super::style::{Role, Row, Span, clip_row, name_spans};
use crate::session::Session;
use unicode_width::UnicodeWidthStr;

/// A part of the line. The part with the highest rank is left out first.
struct Part {
    rank: usize,
    side: Side,
    /// What stands between it and a part before it.
    joint: &'static str,
    role: Role,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

/// The narrowest screen with whole words in the status line, in columns.
const WORDS_FROM: usize = 30;

/// Seconds that an answer may take without being remarked on.
const UNANSWERED_MIN: u64 = 3;

/// The lowest screen with the topic, in rows.
const TOPIC_FROM: usize = 6;

impl Screen {
    /// The status line, `columns` wide.
    pub(super) fn status_row(&self, session: &Session, columns: usize) -> Row {
        let has_words = columns >= WORDS_FROM;
        let mut parts = if has_words {
            self.words(session)
        } else {
            self.signs(session)
        };
        while parts.len() > 1 && width(&parts) + 2 > columns {
            let least = parts.iter().enumerate().max_by_key(|(_, part)| part.rank);
            let least = least.map_or(0, |(place, _)| place);
            parts.remove(least);
        }
        let (left, right): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.side == Side::Left);
        let mut row = Row(vec![Span::new(Role::Status, " ")]);
        add(&mut row, left);
        let between = match columns.saturating_sub(row.width() + width(&right) + 1) {
            _ if right.is_empty() => 0,
            blanks if has_words => blanks,
            _ => usize::from(row.width() > 1),
        };
        row.0.push(Span::new(Role::Status, " ".repeat(between)));
        add(&mut row, right);
        let mut row = clip_row(row, columns);
        let rest = columns.saturating_sub(row.width());
        row.0.push(Span::new(Role::Status, " ".repeat(rest)));
        row.0.retain(|span| !span.as_str().is_empty());
        row
    }

    /// Whether the first row is the topic.
    pub(super) fn shows_topic(&self) -> bool {
        self.topic.is_some() && self.size.rows >= TOPIC_FROM
    }

    /// The row of the topic, `columns` wide.
    pub(super) fn topic_row(&self, columns: usize) -> Option<Row> {
        let topic = self.topic.as_ref().filter(|_| self.shows_topic())?;
        let spans = [" topic: ", &topic.shown()].map(|text| Span::new(Role::Status, text));
        let mut row = clip_row(Row(spans.into()), columns);
        let left = columns.saturating_sub(row.width());
        row.0.push(Span::new(Role::Status, " ".repeat(left)));
        Some(row)
    }

    /// The parts in words, as in ` alice in 192.0.2.7:9000 · 41 here · sealed      @1 p1  2 below  carol: direct`.
    fn words(&self, session: &Session) -> Vec<Part> {
        use Side::{Left, Right};
        let mut parts = Vec::new();
        let mut add = |rank, side, joint, role, text: String| {
            parts.push(Part {
                rank,
                side,
                joint,
                role,
                text,
            });
        };
        if let Some(me) = &self.me {
            add(5, Left, "", Role::StatusOwn, self.name(me));
        }
        add(8, Left, " in ", Role::Status, self.room.clone());
        if self.link == Link::Joined {
            let here = session.roster().users().count();
            add(7, Left, " · ", Role::Status, format!("{here} here"));
            if let Some(protection) = session.protection() {
                add(6, Left, " · ", Role::Status, protection);
            }
        }
        if let Some(link) = self.link_in_words() {
            add(0, Right, "  ", Role::Alert, link);
        }
        let [mentions, privates] = self.unread.marks();
        let joint = if mentions.is_empty() { "  " } else { " " };
        if !mentions.is_empty() {
            add(1, Right, "  ", Role::StatusMark, mentions);
        }
        if !privates.is_empty() {
            add(1, Right, joint, Role::StatusPrivate, privates);
        }
        if let Some(Found {
            place: (place, count),
            ..
        }) = &self.search
        {
            add(2, Right, "  ", Role::Alert, format!("match {place} of {count}"));
        }
        let unseen = self.scroll.unseen(&self.lines);
        if unseen > 0 {
            add(1, Right, "  ", Role::Alert, format!("{unseen} below"));
        } else if !self.scroll.at_end() {
            add(4, Right, "  ", Role::StatusFaint, "scrolled".into());
        }
        let waiting = self.waiting.visible();
        if waiting > 0 {
            add(2, Right, "  ", Role::Alert, format!("{waiting} waiting"));
        }
        if let Some(query) = &self.query {
            add(
                3,
                Right,
                "  ",
                Role::StatusPrivate,
                format!("to {} alone", self.name(query)),
            );
        }
        if let Some((peer, path)) = &self.path {
            add(
                9,
                Right,
                "  ",
                Role::StatusFaint,
                format!("{}: {path}", self.name(peer)),
            );
        }
        if matches!(self.mode, Mode::Typing) && self.input.is_empty() {
            add(10, Right, "  ", Role::StatusFaint, "/help".into());
        }
        parts
    }

    /// The parts for a narrow screen, as in ` alice 41 @1 p1 2v`.
    fn signs(&self, session: &Session) -> Vec<Part> {
        use Side::{Left, Right};
        let mut parts = Vec::new();
        let mut add = |rank, side, joint, role, text: String| {
            parts.push(Part {
                rank,
                side,
                joint,
                role,
                text,
            });
        };
        if let Some(me) = &self.me {
            add(4, Left, "", Role::StatusOwn, self.name(me));
        }
        if self.link == Link::Joined {
            let here = session.roster().users().count();
            add(6, Left, " ", Role::Status, here.to_string());
            let clear = session
                .protection()
                .filter(|protection| protection.ends_with("clear"));
            if let Some(clear) = clear {
                add(5, Left, ", ", Role::Status, clear.replace(" in the", ""));
            }
        }
        if let Some(link) = self.link_in_words() {
            add(0, Right, " ", Role::Alert, link);
        }
        let [mentions, privates] = self.unread.marks();
        if !mentions.is_empty() {
            add(1, Right, " ", Role::StatusMark, mentions);
        }
        if !privates.is_empty() {
            add(1, Right, " ", Role::StatusPrivate, privates);
        }
        let unseen = self.scroll.unseen(&self.lines);
        if unseen > 0 {
            add(1, Right, " ", Role::Alert, format!("{unseen}v"));
        } else if !self.scroll.at_end() {
            add(3, Right, " ", Role::StatusFaint, "^".into());
        }
        if let Some(query) = &self.query {
            add(
                1,
                Right,
                " ",
                Role::StatusPrivate,
                format!(">{}", self.name(query)),
            );
        }
        let waiting = self.waiting.visible();
        if waiting > 0 {
            add(2, Right, " ", Role::Alert, format!("{waiting} waiting"));
        }
        parts
    }

    /// What is wrong with the connection.
    fn link_in_words(&self) -> Option<String> {
        match self.link {
            Link::Joined => match self.unanswered {
                Some((_, seconds @ UNANSWERED_MIN..)) => Some(format!("no answer for {seconds} s")),
                _ => None,
            },
            Link::Joining => Some(self.connecting.clone().unwrap_or("joining".into())),
            Link::Lost { retry_at: None } => Some("offline, retrying now".into()),
            Link::Lost { retry_at: Some(_) } => {
                let seconds = self.countdown.unwrap_or(0);
                Some(format!("offline, retrying in {seconds} s (Enter: now)"))
            }
        }
    }
}

fn add(row: &mut Row, parts: Vec<Part>) {
    for (place, part) in parts.into_iter().enumerate() {
        let joint = if place > 0 { part.joint } else { "" };
        row.0.push(Span::new(Role::StatusFaint, joint));
        row.0.extend(name_spans(part.role, &part.text));
    }
}

fn width(parts: &[Part]) -> usize {
    let widths = parts.iter().map(|part| part.joint.width() + part.text.width());
    let unused = parts.first().map_or(0, |part| part.joint.width());
    widths.sum::<usize>() - unused
}
