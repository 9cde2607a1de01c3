//! Draws the screen as rows of text.

use super::screen::{Mode, Screen};
use super::scroll::{Height, Place, ScrollAction};
use super::style::{Frame, Role, Row, Span, clip, clip_row, name_spans, rows_shown};
use super::wrap::wrap;
use crate::session::{Session, Unsent};
use chat_proto::now::Now;
use unicode_width::UnicodeWidthStr;

/// The narrowest screen with times, in columns.
const TIMES_FROM: usize = 32;
/// The narrowest screen with a prompt, in columns.
const PROMPT_FROM: usize = 8;
/// The most waiting messages that are shown.
const WAITING_MAX: usize = 5;
/// The mark after each of them.
const WAITING: &str = " (waiting)";

/// The rows of the input, and the cursor: its column and row.
struct Bottom {
    rows: Vec<Row>,
    cursor: (usize, usize),
}

impl Screen {
    pub(super) fn frame(&mut self, session: &Session, now: Now) -> Frame {
        self.tick(session, now);
        self.stale = false;
        self.scroll.shown(&self.lines);
        let (columns, height) = (self.size.columns, self.size.rows);
        if columns == 0 || height == 0 {
            return Frame::default();
        }
        let bottom = self.bottom(columns).window(height.div_ceil(2));
        let status = usize::from(height > bottom.rows.len());
        let mut rows: Vec<Row> = self.topic_row(columns).into_iter().collect();
        let messages = height.saturating_sub(rows.len() + bottom.rows.len() + status);
        rows.append(&mut self.messages(session, columns, messages));
        if status > 0 {
            rows.push(self.status_row(session, columns));
        }
        let (column, row) = bottom.cursor;
        let cursor = Some((column, rows.len() + row));
        rows.extend(bottom.rows);
        Frame { rows, cursor }
    }

    /// The approximate height of the messages, which is a page of scrolling.
    pub(super) fn page(&self) -> usize {
        let bottom = self.bottom(self.size.columns.max(1)).rows.len();
        self.size
            .rows
            .saturating_sub(bottom.min(self.size.rows.div_ceil(2)) + 1 + usize::from(self.shows_topic()))
            .max(1)
    }

    fn rows_of(&self, serial: u64) -> Vec<Row> {
        let width = self.size.columns.max(1);
        let Some(entry) = self.lines.get(serial) else {
            return vec![Row::default()];
        };
        let search = self.search.as_ref().map(|search| search.needle.as_str());
        let line = entry.line(serial, &self.clock, &self.lookalikes, width >= TIMES_FROM, search);
        wrap(&line, width, indent(width, self.clock.width()))
    }
}

/// The blanks before the second and later rows of an entry: as wide as the time, and at least one, so that no text can
/// imitate an entry.
fn indent(width: usize, time: usize) -> usize {
    match width {
        0..8 => 1,
        8..TIMES_FROM => 2,
        _ => time.max(2),
    }
}

// Messages.
impl Screen {
    fn messages(&self, session: &Session, columns: usize, height: usize) -> Vec<Row> {
        let mut below = self.below(session, columns, height);
        let above = height - below.len();
        let mut rows = self.entries(above);
        let missing = above - rows.len();
        rows.splice(0..0, std::iter::repeat_n(Row::default(), missing));
        rows.append(&mut below);
        rows
    }

    /// The rows of the entries in view.
    fn entries(&self, height: usize) -> Vec<Row> {
        let Some((Place { mut serial, below }, first)) = self.scroll.edge(&self.lines) else {
            return Vec::new();
        };
        // From the last row to the first.
        let mut rows: Vec<Row> = Vec::new();
        let mut hidden = below;
        while rows.len() < height && serial >= first {
            let mut entry = self.rows_of(serial);
            entry.truncate(entry.len().saturating_sub(hidden).max(usize::from(hidden > 0)));
            hidden = 0;
            rows.extend(entry.into_iter().rev());
            let Some(before) = serial.checked_sub(1) else {
                break;
            };
            serial = before;
        }
        rows.truncate(height);
        rows.reverse();
        rows
    }

    /// The rows below the last entry: waiting messages and pasted lines.
    fn below(&self, session: &Session, columns: usize, height: usize) -> Vec<Row> {
        let mut rows = Vec::new();
        if self.waiting.shown && self.scroll.at_end() {
            rows.extend(self.waiting_rows(session, columns, height.div_ceil(2)));
        }
        if let Mode::Confirming(paste) = &self.mode {
            let room = height.saturating_sub(1).max(1);
            rows.extend(paste.rows(room).into_iter().map(|row| clip_row(row, columns)));
        }
        let too_many = rows.len().saturating_sub(height);
        rows.drain(..too_many);
        rows
    }

    /// The client's own unacknowledged messages, and the number of those without a row.
    fn waiting_rows(&self, session: &Session, columns: usize, height: usize) -> Vec<Row> {
        let count = self.waiting.count;
        let shown = rows_shown(count, height).min(WAITING_MAX);
        let mut rows = Vec::new();
        for Unsent { to, text } in session.unsent().into_iter().take(shown) {
            // One row each: they appear in full once they are acknowledged.
            let line = match to {
                None => vec![
                    Span::new(Role::Faint, "... "),
                    Span::new(Role::Faint, text.as_str()),
                ],
                Some(to) => {
                    let to = format!("... [you -> {}] ", self.name(to));
                    let mut line = name_spans(Role::Private, &to);
                    line.push(Span::new(Role::Private, text.as_str()));
                    line
                }
            };
            let mut row = clip_row(Row(line), columns.saturating_sub(WAITING.len()));
            row.0.push(Span::new(Role::Faint, WAITING));
            rows.push(clip_row(row, columns));
        }
        if count > shown && height > 0 {
            let more = format!("... {} more{WAITING}", count - shown);
            rows.push(clip_row(Row::of(Role::Faint, more), columns));
        }
        rows
    }
}

// The input.
impl Screen {
    fn bottom(&self, columns: usize) -> Bottom {
        match &self.mode {
            Mode::Typing => self.typing(columns),
            Mode::Searching(search) => {
                let found = search.found(&self.history).unwrap_or_default();
                let prompt = match search.place(&self.history) {
                    Some((place, count)) => format!("{place} of {count}:"),
                    None if search.needle().is_empty() => "search".into(),
                    None => "not found".into(),
                };
                question(&format!("({prompt} '{}') {found}", search.needle()), columns)
            }
            Mode::Confirming(paste) => question(&paste.question(), columns),
            Mode::Leaving => question(&self.leaving_question(), columns),
            Mode::Doubting => question(
                "perhaps this is no chat server. go on? y: yes  n: leave ",
                columns,
            ),
        }
    }

    fn typing(&self, columns: usize) -> Bottom {
        let prompt = if columns < PROMPT_FROM {
            String::new()
        } else {
            self.prompt(columns / 2)
        };
        let layout = self.input.layout(prompt.width(), columns);
        let (row, column) = layout.cursor;
        let mut rows: Vec<Row> = layout
            .rows
            .into_iter()
            .map(|text| Row::of(Role::Text, text))
            .collect();
        if let Some(first) = rows.first_mut() {
            first.0.splice(0..0, name_spans(Role::Prompt, &prompt));
        }
        Bottom {
            rows,
            cursor: (column, row),
        }
    }

    /// The prompt names the recipient.
    fn prompt(&self, columns: usize) -> String {
        match &self.query {
            None => "> ".into(),
            Some(query) => format!("[{}] ", clip(&self.name(query), columns.saturating_sub(3))),
        }
    }

    fn leaving_question(&self) -> String {
        match self.waiting.count {
            0 => "leave the room? y: yes  n: no ".into(),
            1 => "leave the room? 1 message is still unsent. y: yes  n: no ".into(),
            count => format!("leave the room? {count} messages are still unsent. y: yes  n: no "),
        }
    }
}

fn question(text: &str, columns: usize) -> Bottom {
    let rows = wrap(&[Span::new(Role::Prompt, text)], columns, 0);
    let last = rows.last().map_or(0, Row::width).min(columns.saturating_sub(1));
    Bottom {
        cursor: (last, rows.len().saturating_sub(1)),
        rows,
    }
}

impl Bottom {
    /// Reduces the rows to this height around the cursor.
    fn window(mut self, height: usize) -> Self {
        let height = height.max(1);
        let (column, row) = self.cursor;
        let last = self.rows.len().min((row + 1).max(height));
        let first = last.saturating_sub(height);
        self.rows.truncate(last);
        self.rows.drain(..first);
        self.cursor = (column, row - first);
        self
    }
}

impl Screen {
    /// Moves the view.
    pub(super) fn scroll_by(&mut self, action: ScrollAction) {
        let mut scroll = std::mem::take(&mut self.scroll);
        let page = self.page();
        let entry = |serial| self.rows_of(serial).len();
        let height = Height {
            view: page,
            entry: &entry,
        };
        match action {
            ScrollAction::PageUp => scroll.up(page.saturating_sub(1).max(1), &self.lines, &height),
            ScrollAction::PageDown => scroll.down(page.saturating_sub(1).max(1), &self.lines, &height),
            ScrollAction::Top => scroll.top(&self.lines, &height),
            ScrollAction::Bottom => scroll.follow(),
            ScrollAction::Show(serial) => scroll.show(serial, &self.lines, &height),
        }
        self.scroll = scroll;
        self.stale = true;
    }
}
