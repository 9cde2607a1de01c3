//! The status line. The most important parts come first; the others are left out if there is no room.

use super::link::Link;
use super::screen::{Found, Mode, Screen};
use super::style::{Role, Row, Span, clip, clip_row, name_spans};
use crate::session::Session;
use unicode_width::UnicodeWidthStr;

/// A part of the line. The part with the highest rank is left out first.
struct Part {
    rank: usize,
    role: Role,
    text: String,
}

/// Seconds that an answer may take without being remarked on.
const UNANSWERED_MIN: u64 = 3;

/// The lowest screen with the topic, in rows.
const TOPIC_FROM: usize = 6;

const SEPARATOR: &str = " | ";

impl Screen {
    /// The status line, `columns` wide.
    pub(super) fn status_row(&self, session: &Session, columns: usize) -> Row {
        let mut parts = self.parts(session);
        while parts.len() > 1 && width(&parts) + 2 > columns {
            let least = parts.iter().enumerate().max_by_key(|(_, part)| part.rank);
            let least = least.map_or(0, |(place, _)| place);
            parts.remove(least);
        }
        let mut spans = vec![Span::new(Role::Status, " ")];
        let mut left = columns.saturating_sub(1);
        for (place, part) in parts.into_iter().enumerate() {
            if place > 0 {
                spans.push(Span::new(Role::Status, SEPARATOR));
                left = left.saturating_sub(SEPARATOR.len());
            }
            let text = clip(&part.text, left);
            left -= text.width().min(left);
            spans.extend(name_spans(part.role, &text));
        }
        spans.push(Span::new(Role::Status, " ".repeat(left)));
        if columns == 0 { Row::default() } else { Row(spans) }
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

    fn parts(&self, session: &Session) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut add = |rank, role, text: String| parts.push(Part { rank, role, text });
        match self.link {
            Link::Joined => {
                if let Some((_, seconds @ UNANSWERED_MIN..)) = self.unanswered {
                    add(0, Role::Alert, format!("no answer for {seconds} s"));
                }
            }
            Link::Joining => {
                let doing = self.connecting.as_deref().unwrap_or("joining");
                add(0, Role::Alert, doing.into());
            }
            Link::Lost { retry_at: None } => add(0, Role::Alert, "offline, retrying now".into()),
            Link::Lost { retry_at: Some(_) } => {
                let seconds = self.countdown.unwrap_or(0);
                add(
                    0,
                    Role::Alert,
                    format!("offline, retrying in {seconds} s (Enter: now)"),
                );
            }
        }
        if let Some(Found {
            place: (place, count),
            ..
        }) = &self.search
        {
            add(1, Role::Alert, format!("match {place} of {count}"));
        }
        let unseen = self.scroll.unseen(&self.lines);
        if unseen > 0 {
            add(1, Role::Alert, format!("{unseen} new below"));
        } else if !self.scroll.at_end() {
            add(4, Role::Status, "scrolled".into());
        }
        let waiting = self.waiting.visible();
        if waiting > 0 {
            add(2, Role::Alert, format!("{waiting} waiting"));
        }
        if let Some(query) = &self.query {
            add(3, Role::Alert, format!("to {} alone", self.name(query)));
        }
        if let Some(me) = &self.me {
            add(5, Role::Status, self.name(me));
        }
        if self.link == Link::Joined {
            let here = session.roster().users().count();
            add(7, Role::Status, format!("{here} here"));
            if let Some(protection) = session.protection() {
                add(6, Role::Status, protection);
            }
        }
        add(8, Role::Status, self.room.clone());
        if let Some((peer, path)) = &self.path {
            add(9, Role::Status, format!("{}: {path}", self.name(peer)));
        }
        if self.quiet {
            add(10, Role::Status, "quiet".into());
        }
        if matches!(self.mode, Mode::Typing) && self.input.is_empty() {
            add(11, Role::Status, "/help".into());
        }
        parts
    }
}

fn width(parts: &[Part]) -> usize {
    let texts: usize = parts.iter().map(|part| part.text.width()).sum();
    texts + SEPARATOR.len() * parts.len().saturating_sub(1)
}
