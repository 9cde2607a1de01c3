//! The bytes of one file that is sent: read ahead, and kept until they are acknowledged.

use super::receiving::CREDIT;
use crate::files::message::Hash;
use crate::files::request::BLOCK;
use std::collections::{BTreeMap, VecDeque};

/// Bytes that are read ahead of what was sent.
const AHEAD: u64 = 1 << 20;
/// Bytes of a file in memory at most: those under way ([`CREDIT`]) and those read ahead.
const KEPT_MAX: u64 = CREDIT + AHEAD;

/// Invariant: `acked <= sent <= read <= asked <= size`, all counted from the file's first byte.
#[derive(Debug)]
pub(super) struct Sending {
    size: u64,
    /// All bytes before it are acknowledged.
    acked: u64,
    /// One past the last byte that was sent.
    sent: u64,
    /// One past the last byte that was read.
    read: u64,
    /// One past the last byte that the disk was asked for.
    asked: u64,
    is_end_asked: bool,
    /// The receiver was told the hash of all bytes.
    pub(super) is_end_told: bool,
    /// Blocks that were read and are not wholly acknowledged, by the offset of their first byte.
    blocks: BTreeMap<u64, Vec<u8>>,
    /// Acknowledged behind `acked`: first byte, one past the last. They neither touch nor overlap.
    islands: BTreeMap<u64, u64>,
    /// Ranges that are to be sent again: offset and length.
    lost: VecDeque<(u64, usize)>,
    /// Length and hash of the bytes that the receiver had.
    pub(super) prefix: Option<(u64, Hash)>,
}

/// What the disk is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Read,
    End,
}

impl Sending {
    pub(super) fn new(size: u64, offset: u64, prefix: Option<(u64, Hash)>) -> Self {
        Self {
            size,
            acked: offset,
            sent: offset,
            read: offset,
            asked: offset,
            is_end_asked: false,
            is_end_told: false,
            blocks: BTreeMap::new(),
            islands: BTreeMap::new(),
            lost: VecDeque::new(),
            prefix,
        }
    }

    /// The source is not needed any more.
    pub(super) fn is_over(&self) -> bool {
        self.is_end_told && self.acked == self.size
    }

    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// What to ask the disk for next; it counts as asked.
    pub(super) fn wanted(&mut self) -> Option<Wanted> {
        if self.asked == self.size {
            return (!std::mem::replace(&mut self.is_end_asked, true)).then_some(Wanted::End);
        }
        if self.asked >= (self.sent + AHEAD).min(self.acked + KEPT_MAX) {
            return None;
        }
        self.asked = self.size.min(self.asked + BLOCK as u64);
        Some(Wanted::Read)
    }

    /// The disk has read the next block.
    pub(super) fn add(&mut self, block: Vec<u8>) {
        let offset = self.read;
        self.read += block.len() as u64;
        self.blocks.insert(offset, block);
    }

    /// The next bytes to send, and where they are: at most `max`, and never across two blocks.
    pub(super) fn next(&mut self, max: usize) -> Option<(u64, &[u8])> {
        if max == 0 {
            return None;
        }
        while let Some((offset, length)) = self.lost.pop_front() {
            let end = offset + length as u64;
            if self.has_acked(offset, end) {
                continue;
            }
            // Blocks before `acked` are gone, and the receiver has their bytes.
            let offset = offset.max(self.acked);
            let length = self.slice(offset, end)?.len().min(max);
            let next = offset + length as u64;
            if next < end {
                self.lost.push_front((next, usize::try_from(end - next).ok()?));
            }
            return Some((offset, self.slice(offset, next)?));
        }
        let offset = self.sent;
        let length = self.slice(offset, self.read)?.len().min(max);
        self.sent += length as u64;
        Some((offset, self.slice(offset, self.sent)?))
    }

    /// Bytes of the block at an offset, up to `end`.
    fn slice(&self, offset: u64, end: u64) -> Option<&[u8]> {
        let (first, block) = self.blocks.range(..=offset).next_back()?;
        let from = usize::try_from(offset - first).ok()?;
        let to = block.len().min(usize::try_from(end - first).ok()?);
        block.get(from..to).filter(|bytes| !bytes.is_empty())
    }

    fn has_acked(&self, offset: u64, end: u64) -> bool {
        let island = self.islands.range(..=offset).next_back();
        end <= self.acked || island.is_some_and(|(_, &to)| end <= to)
    }

    /// The receiver has these bytes.
    pub(super) fn acknowledged(&mut self, offset: u64, length: usize) {
        let mut first = offset;
        let mut end = (offset + length as u64).min(self.sent);
        if let Some((&start, &to)) = self.islands.range(..=first).next_back()
            && to >= first
        {
            first = start;
            end = end.max(to);
        }
        while let Some((&start, &to)) = self.islands.range(first..=end).next() {
            self.islands.remove(&start);
            end = end.max(to);
        }
        if first > self.acked {
            self.islands.insert(first, end);
            return;
        }
        self.acked = self.acked.max(end);
        let acked = self.acked;
        while let Some(block) = self.blocks.first_entry()
            && block.key() + block.get().len() as u64 <= acked
        {
            block.remove();
        }
    }

    /// These bytes did not arrive.
    pub(super) fn lost(&mut self, offset: u64, length: usize) {
        let end = offset + length as u64;
        if end <= self.sent && !self.has_acked(offset, end) {
            self.lost.push_back((offset, length));
        }
    }
}
