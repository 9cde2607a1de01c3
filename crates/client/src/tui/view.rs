//! Draws the screen as rows of text.

use super::entry::Look;
use super::layout::{Head, Layout, NO_MARK};
use super::screen::{Mode, Screen};
use super::scroll::{Height, Place, ScrollAction};
use super::style::{Frame, Role, Row, Span, clip, clip_row, name_spans, rows_shown};
use super::wrap::{wrap, wrap_rows};
use crate::session::{Session, Unsent};
use chat_proto::now::Now;
use unicode_width::UnicodeWidthStr;

/// The narrowest screen with a prompt, in columns.
const PROMPT_FROM: usize = 8;
/// The narrowest screen with the time of the first unseen message, in columns.
const NEW_SINCE_FROM: usize = 30;
/// The most waiting messages that are shown.
const WAITING_MAX: usize = 5;
/// The mark after each of them.
const WAITING: &str = "  waiting";
/// How far back to look for the time of the line before. Behind so many lines of the client, a time is shown again.
const TIME_BEFORE_MAX: usize = 64;

/// The rows of the input, and the cursor: its column and row.
struct Bottom {
    rows: Vec<Row>,
    cursor: (usize, usize),
}

impl Screen {
    pub(super) fn frame(&mut self, session: &Session, now: Now) -> Frame {
        self.tick(session, now);
        self.stale = false;
        if !matches!(self.mode, Mode::Reading(_)) {
            self.scroll.shown(&self.lines);
        }
        if self.is_looking() {
            self.unread.clear();
        }
        self.longest_name = self.longest_name_in_view();
        let (columns, height) = (self.size.columns, self.size.rows);
        if columns == 0 || height == 0 {
            return Frame::default();
        }
        let bottom = self.bottom(columns).window(height.div_ceil(2));
        let status = usize::from(height > bottom.rows.len());
        let mut rows: Vec<Row> = self.topic_row(columns).into_iter().collect();
        let messages = height.saturating_sub(rows.len() + bottom.rows.len() + status);
        rows.append(&mut match &self.mode {
            Mode::Reading(page) => page.rows(columns, messages),
            _ => self.messages(session, columns, messages),
        });
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

    /// How lines look now.
    pub(super) fn look(&self) -> Look<'_> {
        Look {
            clock: &self.clock,
            names: &self.lookalikes,
            layout: Layout::new(self.size.columns.max(1), self.clock.width(), self.longest_name),
            search: self.search.as_ref().map(|found| found.needle.as_str()),
        }
    }

    /// The rows of an entry. Whether it shows its time makes no difference to their number.
    fn rows_of(&self, serial: u64, shows_time: bool) -> Vec<Row> {
        let Some(entry) = self.lines.get(serial) else {
            return vec![Row::default()];
        };
        let look = self.look();
        let line = entry.line(serial, &look, shows_time);
        let (width, indent) = (look.layout.width, look.layout.indent());
        let mut rows = wrap_rows(&line.head, &line.text, width, indent, line.rows_max);
        if let Some(at) = self.unread.begins_at(serial) {
            rows.insert(0, self.new_since(at, look.layout));
        }
        rows
    }

    /// The row above the first unseen message.
    fn new_since(&self, at: u64, layout: Layout) -> Row {
        let time = self.clock.time(at);
        let text = match time.trim_end() {
            time if time.is_empty() || layout.width < NEW_SINCE_FROM => "new ----".into(),
            time => format!("new since {time} ----"),
        };
        let mut row = layout.head("", &Head::Note(Role::New, "---- "));
        row.push(Span::new(Role::New, text));
        clip_row(Row(row), layout.width)
    }

    /// Whether the time of an entry is another one than that of the entry before.
    fn is_new_time(&self, serial: u64) -> bool {
        let time = |serial| self.lines.get(serial)?.at;
        let mut before = (self.lines.begin()..serial).rev().take(TIME_BEFORE_MAX);
        match (before.find_map(time), time(serial)) {
            (Some(before), Some(at)) => self.clock.differ(before, at),
            _ => true,
        }
    }

    /// The width of the longest name among the entries that may be in view: each has a row at least.
    fn longest_name_in_view(&self) -> usize {
        let Some((Place { serial, .. }, first)) = self.scroll.edge(&self.lines) else {
            return 0;
        };
        let entries = (first..=serial).rev().take(self.size.rows);
        let names = entries.filter_map(|serial| self.lines.get(serial)?.name_width(&self.lookalikes));
        names.max().unwrap_or_default()
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
        // The uppermost entry that has a time and begins in view.
        let mut top = None;
        while rows.len() < height && serial >= first {
            let mut entry = self.rows_of(serial, self.is_new_time(serial));
            entry.truncate(entry.len().saturating_sub(hidden).max(usize::from(hidden > 0)));
            hidden = 0;
            rows.extend(entry.into_iter().rev());
            if rows.len() <= height && self.lines.get(serial).is_some_and(|entry| entry.at.is_some()) {
                top = Some((serial, rows.len() - 1));
            }
            let Some(before) = serial.checked_sub(1) else {
                break;
            };
            serial = before;
        }
        if let Some((serial, place)) = top
            && let Some(row) = rows.get_mut(place)
        {
            *row = self.rows_of(serial, true).into_iter().next().unwrap_or_default();
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
        let layout = self.look().layout;
        let mut rows = Vec::new();
        for Unsent { to, text } in session.unsent().into_iter().take(shown) {
            // One row each: they appear in full once they are acknowledged.
            let name = to.map_or_else(
                || self.me.as_ref().map(|me| self.name(me)),
                |to| Some(self.name(to)),
            );
            let (mark, role) = match to {
                None => (NO_MARK, Role::Faint),
                Some(_) => ((Role::Private, '>'), Role::Private),
            };
            let name = &name.unwrap_or_default();
            let mut line = layout.head("", &Head::Name { mark, role, name });
            line.push(Span::new(role, text.as_str()));
            let mut row = clip_row(Row(line), columns.saturating_sub(WAITING.len()));
            row.0.push(Span::new(Role::Faint, WAITING));
            rows.push(clip_row(row, columns));
        }
        if count > shown && height > 0 {
            let mut more = layout.head("", &Head::Note(Role::Faint, "-- "));
            more.push(Span::new(Role::Faint, format!("{} more{WAITING}", count - shown)));
            rows.push(clip_row(Row(more), columns));
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
            Mode::Reading(page) => question(&page.prompt(self.lines.end()), columns),
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
    let rows = wrap(&[], &[Span::new(Role::Prompt, text)], columns, 0);
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
        self.scroll_once(action);
        // Longer or shorter names in view change the rows of the entries.
        self.longest_name = self.longest_name_in_view();
        self.scroll_once(ScrollAction::Fill);
        self.stale = true;
    }

    fn scroll_once(&mut self, action: ScrollAction) {
        let mut scroll = std::mem::take(&mut self.scroll);
        let page = self.page();
        let entry = |serial| self.rows_of(serial, false).len();
        let height = Height {
            view: page,
            entry: &entry,
        };
        match action {
            ScrollAction::Up(rows) => scroll.up(rows, &self.lines, &height),
            ScrollAction::Down(rows) => scroll.down(rows, &self.lines, &height),
            ScrollAction::PageUp => scroll.up(page.saturating_sub(1).max(1), &self.lines, &height),
            ScrollAction::PageDown => scroll.down(page.saturating_sub(1).max(1), &self.lines, &height),
            ScrollAction::Top => scroll.top(&self.lines, &height),
            ScrollAction::Bottom => scroll.follow(),
            ScrollAction::Show(serial) => scroll.show(serial, &self.lines, &height),
            ScrollAction::Fill => scroll.fill(&self.lines, &height),
        }
        self.scroll = scroll;
    }
}
