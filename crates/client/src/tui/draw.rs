//! Turns frames into the bytes for the terminal.

use super::style::{Frame, Row};
use super::theme::Theme;
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::{Attribute, Print, SetAttribute, SetStyle};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use std::io;

/// Draws frames, only the rows that changed.
#[derive(Debug)]
pub(super) struct Painter {
    theme: Theme,
    /// The frame on the terminal, if known.
    drawn: Option<Frame>,
}

impl Painter {
    pub(super) fn new(theme: Theme) -> Self {
        Self { theme, drawn: None }
    }

    /// Draws everything next time: something else wrote to the terminal.
    pub(super) fn forget(&mut self) {
        self.drawn = None;
    }

    /// Appends the bytes that turn the last frame into this one.
    pub(super) fn paint(&mut self, frame: Frame, out: &mut Vec<u8>) {
        if self.drawn.as_ref() == Some(&frame) {
            return;
        }
        // Writing to memory does not fail.
        let _ = self.write(&frame, out);
        self.drawn = Some(frame);
    }

    fn write(&self, frame: &Frame, out: &mut Vec<u8>) -> io::Result<()> {
        queue!(out, BeginSynchronizedUpdate, Hide)?;
        let before = self
            .drawn
            .as_ref()
            .filter(|drawn| drawn.rows.len() == frame.rows.len());
        if before.is_none() {
            queue!(out, SetAttribute(Attribute::Reset), Clear(ClearType::All))?;
        }
        for (number, row) in frame.rows.iter().enumerate() {
            let old = before.and_then(|before| before.rows.get(number));
            if old.map_or(!row.0.is_empty(), |old| old != row) {
                self.write_row(number, row, out)?;
            }
        }
        if let Some((column, row)) = frame.cursor {
            queue!(out, MoveTo(cell(column), cell(row)), Show)?;
        }
        queue!(out, EndSynchronizedUpdate)
    }

    /// Clears the row before writing it: afterwards, clearing would erase the last column too.
    fn write_row(&self, number: usize, row: &Row, out: &mut Vec<u8>) -> io::Result<()> {
        queue!(out, MoveTo(0, cell(number)), Clear(ClearType::UntilNewLine))?;
        for span in &row.0 {
            queue!(
                out,
                SetStyle(self.theme.style(span.role)),
                Print(span.as_str()),
                SetAttribute(Attribute::Reset)
            )?;
        }
        Ok(())
    }
}

fn cell(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::style::Role;
    use super::*;

    fn painted(painter: &mut Painter, rows: &[&str]) -> String {
        let rows = rows.iter().map(|row| Row::of(Role::Text, *row)).collect();
        let mut out = Vec::new();
        painter.paint(
            Frame {
                rows,
                cursor: Some((0, 0)),
            },
            &mut out,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_changed_rows_are_drawn() {
        let mut painter = Painter::new(Theme::None);
        let all = painted(&mut painter, &["one", "two"]);
        assert!(all.contains("\x1b[2J") && all.contains("one") && all.contains("two"));
        assert_eq!(painted(&mut painter, &["one", "two"]), "");
        let changed = painted(&mut painter, &["one", "three"]);
        assert!(
            !changed.contains("one") && changed.contains("\x1b[2;1H\x1b[Kthree"),
            "{changed:?}"
        );
        painter.forget();
        assert!(painted(&mut painter, &["one", "three"]).contains("one"));
        assert!(painted(&mut painter, &["one"]).contains("\x1b[2J"));
    }
}
