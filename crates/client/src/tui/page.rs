//! A page of text that takes the place of the messages while it is read, and leaves nothing behind.

use super::style::{Role, Row, Span};
use super::wrap::wrap;

/// The blanks before the second and later rows of a line.
const INDENT: usize = 2;

/// The page, and what of it is in view.
#[derive(Debug)]
pub(super) struct Page {
    lines: Vec<String>,
    /// The first row in view; past the last page it counts as the beginning of that one.
    top: usize,
    /// The end of the scrollback when the page was opened: what came since is news.
    since: u64,
}

impl Page {
    pub(super) fn new(lines: impl Iterator<Item = String>, since: u64) -> Self {
        Self {
            lines: lines.collect(),
            top: 0,
            since,
        }
    }

    /// The rows in view.
    pub(super) fn rows(&self, columns: usize, height: usize) -> Vec<Row> {
        let mut rows = self.all_rows(columns);
        let top = self.top.min(rows.len().saturating_sub(height));
        rows.drain(..top);
        rows.resize(height, Row::default());
        rows
    }

    /// Moves the view down, or up by a negative number of rows.
    pub(super) fn move_by(&mut self, by: isize, columns: usize, height: usize) {
        let last = self.all_rows(columns).len().saturating_sub(height);
        self.top = self.top.min(last).saturating_add_signed(by).min(last);
    }

    /// What the keys do, and how many entries came since. `end` is the end of the scrollback.
    pub(super) fn prompt(&self, end: u64) -> String {
        let news = match end.saturating_sub(self.since) {
            0 => String::new(),
            count => format!("{count} new; "),
        };
        format!("{news}PgUp, PgDn: scroll  q: close ")
    }

    fn all_rows(&self, columns: usize) -> Vec<Row> {
        let lines = self.lines.iter();
        let rows = lines.flat_map(|line| wrap(&[], &[Span::new(Role::Text, line.as_str())], columns, INDENT));
        rows.collect()
    }
}
