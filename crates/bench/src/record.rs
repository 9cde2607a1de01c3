//! The bytes that all users receive, so that most of them need only be compared.
//!
//! To parse every line of every user would make the crowd slower than the server. If all users receive the same bytes, the
//! first reader parses each line and records it. Another reader with the same bytes has the same messages.

use crate::line::split_line;
use crate::tally::Tally;
use std::collections::VecDeque;

/// The bytes kept for readers behind: several times the buffers of server and system for one user.
const HELD: usize = 64 << 20;

/// The marks kept for readers behind.
const MARKS_HELD: usize = 1 << 18;

/// The recorded lines, and the tally of their messages.
#[derive(Debug, Default)]
pub struct Record {
    bytes: Vec<u8>,
    /// The offset of the first byte kept.
    base: u64,
    /// The tally of a reader that has received the whole record.
    pub tally: Tally,
    marks: VecDeque<Mark>,
    /// The number of the first mark kept.
    first_mark: u64,
}

/// A recorded message whose delivery to each user is timed.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The offset at which its line ends.
    pub end: u64,
    /// When it was sent.
    pub at: u64,
}

impl Record {
    /// The offset of the next line.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The bytes from an offset on; `None` if that offset is no longer kept.
    #[must_use]
    pub fn from(&self, offset: u64) -> Option<&[u8]> {
        self.bytes
            .get(usize::try_from(offset.checked_sub(self.base)?).ok()?..)
    }

    /// The beginning of the line at this offset, and the bytes from there to the offset.
    #[must_use]
    pub fn begun(&self, offset: u64) -> Option<&[u8]> {
        let length = usize::try_from(offset.checked_sub(self.base)?).ok()?;
        let before = self.bytes.get(..length)?;
        let start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        before.get(start..)
    }

    /// Appends a line, which is given without its line feed.
    pub fn append(&mut self, line: &[u8]) {
        if self.bytes.len() > 2 * HELD {
            let start = self.bytes.len() - HELD;
            self.bytes.drain(..start);
            self.base += start as u64;
        }
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
    }

    /// Marks the last line, sent at this time.
    pub fn mark(&mut self, at: u64) {
        if self.marks.len() == MARKS_HELD {
            self.marks.pop_front();
            self.first_mark += 1;
        }
        self.marks.push_back(Mark { end: self.head(), at });
    }

    /// The mark with this number, or the first one after it that is kept.
    #[must_use]
    pub fn mark_from(&self, number: u64) -> Option<(u64, Mark)> {
        let number = number.max(self.first_mark);
        let place = usize::try_from(number - self.first_mark).ok()?;
        Some((number, *self.marks.get(place)?))
    }

    /// The whole lines from an offset on.
    pub fn lines_from(&self, offset: u64) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.from(offset).unwrap_or_default();
        std::iter::from_fn(move || {
            let (line, after) = split_line(rest)?;
            rest = after;
            Some(line)
        })
    }
}
