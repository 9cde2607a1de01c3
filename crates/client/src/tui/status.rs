//! The status line: the room on the left, what needs attention on the right. What matters least is left out first.

use super::link::Link;
use super::screen::{Found, Mode, Screen};
use super::style::{Role, Row, Span, clip, clip_row, name_spans};
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

/// The parts of the line, from left to right on each side.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn left(&mut self, rank: usize, joint: &'static str, role: Role, text: String) {
        self.add(rank, Side::Left, joint, role, text);
    }

    fn right(&mut self, rank: usize, joint: &'static str, role: Role, text: String) {
        self.add(rank, Side::Right, joint, role, text);
    }

    fn add(&mut self, rank: usize, side: Side, joint: &'static str, role: Role, text: String) {
        self.0.push(Part {
            rank,
            side,
            joint,
            role,
            text,
        });
    }
}

/// The narrowest screen with whole words in the status line, in columns.
const WORDS_FROM: usize = 30;

/// The least width of the name of a file, in columns.
const FILE_NAME_MIN: usize = 10;

/// Seconds that an answer may take without being remarked on.
const UNANSWERED_MIN: u64 = 3;

/// The lowest screen with the topic, in rows.
const TOPIC_FROM: usize = 6;

impl Screen {
    /// The status line, `columns` wide.
    pub(super) fn status_row(&self, session: &Session, columns: usize) -> Row {
        let has_words = columns >= WORDS_FROM;
        let mut parts = if has_words {
            self.words(session, columns)
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
    fn words(&self, session: &Session, columns: usize) -> Vec<Part> {
        let mut parts = Parts::default();
        if let Some(me) = &self.me {
            parts.left(5, "", Role::StatusOwn, self.name(me));
        }
        parts.left(8, " in ", Role::Status, self.room.clone());
        if self.link == Link::Joined {
            let here = session.roster().users().count();
            parts.left(7, " · ", Role::Status, format!("{here} here"));
            if let Some(protection) = session.protection() {
                parts.left(6, " · ", Role::Status, protection);
            }
        }
        if let Some(link) = self.link_in_words() {
            parts.right(0, "  ", Role::Alert, link);
        }
        let [mentions, privates] = self.unread.marks();
        let joint = if mentions.is_empty() { "  " } else { " " };
        if !mentions.is_empty() {
            parts.right(1, "  ", Role::StatusMark, mentions);
        }
        if !privates.is_empty() {
            parts.right(1, joint, Role::StatusPrivate, privates);
        }
        if let Some(Found {
            place: (place, count),
            ..
        }) = &self.search
        {
            parts.right(2, "  ", Role::Alert, format!("match {place} of {count}"));
        }
        let unseen = self.scroll.unseen(&self.lines);
        if unseen > 0 {
            parts.right(1, "  ", Role::Alert, format!("{unseen} below"));
        } else if !self.scroll.at_end() {
            parts.right(4, "  ", Role::StatusFaint, "scrolled".into());
        }
        let waiting = self.waiting.visible();
        if waiting > 0 {
            parts.right(2, "  ", Role::Alert, format!("{waiting} waiting"));
        }
        if let Some(query) = &self.query {
            parts.right(
                3,
                "  ",
                Role::StatusPrivate,
                format!("to {} alone", self.name(query)),
            );
        }
        if let Some(file) = self.file_in_words(columns) {
            parts.right(3, "  ", Role::StatusFaint, file);
        }
        if let Some((peer, path)) = &self.path {
            parts.right(9, "  ", Role::StatusFaint, format!("{}: {path}", self.name(peer)));
        }
        if matches!(self.mode, Mode::Typing) && self.input.is_empty() {
            parts.right(10, "  ", Role::StatusFaint, "/help".into());
        }
        parts.0
    }

    /// The first file that moves, and how many more do.
    fn file_in_words(&self, columns: usize) -> Option<String> {
        let (file, others) = self.files.split_first()?;
        let more = match others.len() {
            0 => String::new(),
            more => format!(" (+{more})"),
        };
        let name = clip(file.name.as_str(), (columns / 4).max(FILE_NAME_MIN));
        Some(format!(
            "{}: {name} {}{more}",
            self.name(&file.who),
            file.progress
        ))
    }

    /// The parts for a narrow screen, as in ` alice 41 @1 p1 2v`.
    fn signs(&self, session: &Session) -> Vec<Part> {
        let mut parts = Parts::default();
        if let Some(me) = &self.me {
            parts.left(4, "", Role::StatusOwn, self.name(me));
        }
        if self.link == Link::Joined {
            let here = session.roster().users().count();
            parts.left(6, " ", Role::Status, here.to_string());
            let clear = session
                .protection()
                .filter(|protection| protection.ends_with("clear"));
            if let Some(clear) = clear {
                parts.left(5, ", ", Role::Status, clear.replace(" in the", ""));
            }
        }
        if let Some(link) = self.link_in_words() {
            parts.right(0, " ", Role::Alert, link);
        }
        let [mentions, privates] = self.unread.marks();
        if !mentions.is_empty() {
            parts.right(1, " ", Role::StatusMark, mentions);
        }
        if !privates.is_empty() {
            parts.right(1, " ", Role::StatusPrivate, privates);
        }
        let unseen = self.scroll.unseen(&self.lines);
        if unseen > 0 {
            parts.right(1, " ", Role::Alert, format!("{unseen}v"));
        } else if !self.scroll.at_end() {
            parts.right(3, " ", Role::StatusFaint, "^".into());
        }
        if let Some(query) = &self.query {
            parts.right(1, " ", Role::StatusPrivate, format!(">{}", self.name(query)));
        }
        let waiting = self.waiting.visible();
        if waiting > 0 {
            parts.right(2, " ", Role::Alert, format!("{waiting} waiting"));
        }
        let percent = self
            .files
            .first()
            .and_then(|file| file.progress.split(' ').next());
        if let Some(percent) = percent {
            parts.right(3, " ", Role::StatusFaint, format!("{percent}%"));
        }
        parts.0
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
