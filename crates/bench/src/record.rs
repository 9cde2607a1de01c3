//! What everybody is sent alike, so that most of it need only be compared.
//!
//! Reading every line of every user would make the crowd slower than the server. Where all users get the same
//! bytes, whoever is ahead reads the lines and puts them on record; for the others, who has got the same bytes as
//! the record holds has got the same messages.

use crate::line::split_line;
use crate::tally::Tally;
use std::collections::VecDeque;

/// Bytes that are held for those behind: several times what a server and the system keep for one user.
const HELD: usize = 64 << 20;

/// Marks that are held for those behind.
const MARKS_HELD: usize = 1 << 18;

/// The lines that came first, in whole lines, and what they tell of the messages in them.
#[derive(Debug, Default)]
pub struct Record {
    bytes: Vec<u8>,
    /// The offset of the first byte that is held.
    base: u64,
    /// What the record holds of each sender's messages, as any reader of all of it has got it.
    pub tally: Tally,
    marks: VecDeque<Mark>,
    /// The number of the first mark that is held.
    first_mark: u64,
}

/// A message on record whose way to each user is timed.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The offset at which its line ends.
    pub end: u64,
    /// When it was sent.
    pub at: u64,
}

impl Record {
    /// The offset at which the next line will stand.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// What is held from an offset on; `None` if that offset is held no more.
    #[must_use]
    pub fn from(&self, offset: u64) -> Option<&[u8]> {
        self.bytes
            .get(usize::try_from(offset.checked_sub(self.base)?).ok()?..)
    }

    /// Where the line begins in which this offset stands, and what is held from there to the offset.
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

    /// Adds a line, given without its line feed.
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

    /// The mark of this number, or the first one after it that is held.
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
