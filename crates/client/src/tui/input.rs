//! The input line.

use chat_proto::text::{ROW_END, Text};
use std::collections::VecDeque;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The most cuts that are kept.
const CUTS_MAX: usize = 32;
/// The most edits that can be undone.
const UNDO_MAX: usize = 100;

/// A line, its cursor and its cuts. Moves and deletions work on grapheme clusters, which are characters to the reader.
///
/// The text is always safe to show: unsafe characters are replaced on the way in.
#[derive(Debug)]
pub(super) struct Input {
    text: String,
    /// In bytes, at a character boundary. `cursor <= text.len()`.
    cursor: usize,
    /// The longest text, in bytes.
    max: usize,
    /// The last cut first.
    cuts: VecDeque<String>,
    before: Before,
    /// The text and the cursor before each edit, the last one at the end.
    undo: VecDeque<(String, usize)>,
}

/// The last edit, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Other,
    /// A character was typed. The next one of the same word belongs to the same edit.
    Typed,
    /// The next cut is joined to this one.
    Cut,
    /// The `length` bytes before the cursor are a copy of a cut.
    Yank {
        length: usize,
        cut: usize,
    },
}

impl Input {
    /// An empty line of at most `max` bytes.
    pub(super) fn new(max: usize) -> Self {
        Self {
            text: String::new(),
            cursor: 0,
            max,
            cuts: VecDeque::new(),
            before: Before::Other,
            undo: VecDeque::new(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The part of the text before the cursor.
    pub(super) fn head(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    /// The part of the text after the cursor.
    pub(super) fn tail(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Replaces the text, and moves the cursor to its end.
    pub(super) fn set(&mut self, text: &str) {
        self.remember();
        self.put(text, "");
        self.before = Before::Other;
    }

    /// Empties the line, for good.
    pub(super) fn take(&mut self) -> String {
        self.undo.clear();
        self.cursor = 0;
        self.before = Before::Other;
        std::mem::take(&mut self.text)
    }

    /// Inserts at the cursor; `false` if the line would become too long.
    pub(super) fn insert(&mut self, what: &str) -> bool {
        let fits = self.text.len() + what.len() <= self.max;
        // Typing copies the text once for each word, and not for each key.
        let is_of_word = what.chars().nth(1).is_none() && what != " ";
        if self.before != Before::Typed || !is_of_word {
            self.remember();
        }
        self.before = Before::Typed;
        let is_ascii = |byte: u8| matches!(byte, b' '..=b'~');
        let next = self.tail().bytes().next();
        if fits && what.bytes().all(is_ascii) && next.is_none_or(is_ascii) {
            // The usual case: ASCII changes nothing about the text around it.
            self.text.insert_str(self.cursor, what);
            self.cursor += what.len();
        } else if fits {
            let head = [self.head(), what].concat();
            let tail = self.tail().to_owned();
            self.put(&head, &tail);
        }
        fits
    }

    /// Replaces the bytes from `from` to the cursor.
    pub(super) fn replace_before(&mut self, from: usize, with: &str) {
        self.remember();
        self.before = Before::Other;
        let head = [self.head().get(..from).unwrap_or_default(), with].concat();
        let tail = self.tail().to_owned();
        self.put(&head, &tail);
    }

    /// Sets the text. Whether a character is safe depends on those before it, so the whole text is made safe each time.
    fn put(&mut self, head: &str, tail: &str) {
        // A tab takes another number of columns with each edit before it.
        let head = head.replace('\t', " ");
        let head = Text::new(&head);
        let whole = Text::from([head.as_str(), tail].concat());
        self.cursor = head.as_str().len();
        self.text = whole.as_str().to_owned();
        while !self.text.is_char_boundary(self.cursor) {
            self.cursor -= 1;
        }
    }
}

/// A change of the line or of the cursor's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    LineStart,
    LineEnd,
    Left,
    Right,
    WordLeft,
    WordRight,
    DeleteBack,
    Delete,
    CutToEnd,
    CutToStart,
    /// Back to the last blank.
    CutBlankBack,
    CutWordBack,
    CutWord,
    /// Insert the last cut.
    Yank,
    /// After a yank: replace it with the cut before.
    YankOlder,
    /// Exchange the character before the cursor with the one at it; at the end the last two.
    Transpose,
    /// Take back the last edit.
    Undo,
}

impl Input {
    /// Edits the line.
    pub(super) fn edit(&mut self, edit: Edit) {
        match edit {
            Edit::LineStart => self.go_to(0),
            Edit::LineEnd => self.go_to(self.text.len()),
            Edit::Left => self.go_to(self.before_cursor()),
            Edit::Right => self.go_to(self.after_cursor()),
            Edit::WordLeft => self.go_to(self.word_before()),
            Edit::WordRight => self.go_to(self.word_after()),
            Edit::DeleteBack => self.delete(self.before_cursor(), self.cursor),
            Edit::Delete => self.delete(self.cursor, self.after_cursor()),
            Edit::CutToEnd => self.cut(self.cursor, self.text.len()),
            Edit::CutToStart => self.cut(0, self.cursor),
            Edit::CutBlankBack => self.cut(after_blank(self.head().trim_end()), self.cursor),
            Edit::CutWordBack => self.cut(self.word_before(), self.cursor),
            Edit::CutWord => self.cut(self.cursor, self.word_after()),
            Edit::Yank => self.yank(0),
            Edit::YankOlder => self.yank_older(),
            Edit::Transpose => self.transpose(),
            Edit::Undo => self.undo(),
        }
    }
}

// Moving.
impl Input {
    fn go_to(&mut self, place: usize) {
        self.cursor = place;
        self.before = Before::Other;
    }

    fn before_cursor(&self) -> usize {
        let last = self.head().grapheme_indices(true).next_back();
        last.map_or(0, |(place, _)| place)
    }

    fn after_cursor(&self) -> usize {
        let next = self.tail().graphemes(true).next();
        self.cursor + next.map_or(0, str::len)
    }

    fn word_before(&self) -> usize {
        let mut place = self.cursor;
        let mut in_word = false;
        for (start, character) in self.head().char_indices().rev() {
            if in_word && !is_of_word(character) {
                break;
            }
            in_word |= is_of_word(character);
            place = start;
        }
        place
    }

    fn word_after(&self) -> usize {
        let mut in_word = false;
        for (start, character) in self.tail().char_indices() {
            if in_word && !is_of_word(character) {
                return self.cursor + start;
            }
            in_word |= is_of_word(character);
        }
        self.text.len()
    }
}

// Deleting, cutting and pasting.
impl Input {
    fn delete(&mut self, from: usize, to: usize) {
        self.remove(from, to);
        self.before = Before::Other;
    }

    fn cut(&mut self, from: usize, to: usize) {
        let backwards = to == self.cursor;
        let removed = self.remove(from, to);
        if removed.is_empty() {
            return;
        }
        match self.cuts.front_mut().filter(|_| self.before == Before::Cut) {
            Some(last) if backwards => last.insert_str(0, &removed),
            Some(last) => last.push_str(&removed),
            None => self.cuts.push_front(removed),
        }
        self.cuts.truncate(CUTS_MAX);
        self.before = Before::Cut;
    }

    fn remove(&mut self, from: usize, to: usize) -> String {
        self.remember();
        let part = |from, to| self.text.get(from..to).unwrap_or_default().to_owned();
        let (head, removed, tail) = (part(0, from), part(from, to), part(to, self.text.len()));
        self.put(&head, &tail);
        removed
    }

    fn yank_older(&mut self) {
        if let Before::Yank { length, cut } = self.before {
            self.remove(self.cursor.saturating_sub(length), self.cursor);
            self.yank((cut + 1) % self.cuts.len().max(1));
        }
    }

    fn yank(&mut self, cut: usize) {
        let Some(text) = self.cuts.get(cut).cloned() else {
            return;
        };
        let before = self.cursor;
        if self.insert(&text) {
            let length = self.cursor.saturating_sub(before);
            self.before = Before::Yank { length, cut };
        }
    }

    fn transpose(&mut self) {
        self.remember();
        if self.tail().is_empty() {
            self.cursor = self.before_cursor();
        }
        let (first, last) = (self.before_cursor(), self.after_cursor());
        let part = |from, to| self.text.get(from..to).unwrap_or_default();
        let swapped = [part(0, first), part(self.cursor, last), part(first, self.cursor)].concat();
        let tail = part(last, self.text.len()).to_owned();
        self.put(&swapped, &tail);
        self.before = Before::Other;
    }
}

// Undoing.
impl Input {
    fn remember(&mut self) {
        if self.undo.len() == UNDO_MAX {
            self.undo.pop_front();
        }
        self.undo.push_back((self.text.clone(), self.cursor));
    }

    /// Edits that changed nothing are passed over.
    fn undo(&mut self) {
        self.before = Before::Other;
        while let Some((text, cursor)) = self.undo.pop_back() {
            if text != self.text {
                (self.text, self.cursor) = (text, cursor);
                return;
            }
        }
    }
}

/// The rows of the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The text of each row; the first one leaves room for the prompt.
    pub(super) rows: Vec<String>,
    /// The cursor's row, and its column.
    pub(super) cursor: (usize, usize),
}

impl Input {
    /// Lays the line out, the first row `indent` columns shorter. Rows break at characters, not at words, so that nothing
    /// moves while a word is typed.
    pub(super) fn layout(&self, indent: usize, width: usize) -> Layout {
        let width = width.max(1);
        let mut rows = vec![String::new()];
        let mut column = indent.min(width - 1);
        let mut cursor = (0, column);
        for (place, grapheme) in self.text.grapheme_indices(true) {
            let (shown, columns) = fitting(grapheme, width);
            if column + columns > width {
                rows.push(String::new());
                column = 0;
            }
            if place <= self.cursor {
                cursor = (rows.len() - 1, column);
            }
            if let Some(row) = rows.last_mut() {
                row.push_str(shown);
            }
            column += columns;
            if grapheme.starts_with(ROW_END) {
                rows.push(String::new());
                column = 0;
            }
        }
        if self.cursor == self.text.len() {
            // The cursor needs a cell after the text.
            if column == width {
                rows.push(String::new());
                column = 0;
            }
            cursor = (rows.len() - 1, column);
        }
        Layout { rows, cursor }
    }
}

/// A character and its width, or a question mark if it is wider than the row.
pub(super) fn fitting(grapheme: &str, width: usize) -> (&str, usize) {
    let columns = grapheme.width();
    if columns <= width {
        (grapheme, columns)
    } else {
        ("?", 1)
    }
}

/// The start of the text after the last blank or end of a row, in bytes.
pub(super) fn after_blank(text: &str) -> usize {
    text.trim_end_matches(|character: char| !character.is_whitespace() && character != ROW_END)
        .len()
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_' || character == '\''
}

#[cfg(test)]
mod tests;
