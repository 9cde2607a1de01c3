//! What was said and what happened, as far back as memory goes.

use super::entry::Entry;
use std::collections::VecDeque;

/// What entries take in memory on average, at most, in bytes: far more than people write. Entries of the largest size
/// drive out more than one older one each.
const ENTRY_BYTES: usize = 1024;

/// The latest entries. Each has a serial number, which stays its own while others are driven out.
#[derive(Debug)]
pub(super) struct Scrollback {
    entries: VecDeque<Entry>,
    /// The serial of the first entry.
    begin: u64,
    /// Entries at most. `entries.len() <= max`.
    max: usize,
    /// What the entries take in memory. `bytes <= max * ENTRY_BYTES`.
    bytes: usize,
}

impl Scrollback {
    /// An empty one that holds at most `max` entries, and at least one.
    pub(super) fn new(max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            begin: 0,
            max: max.max(1),
            bytes: 0,
        }
    }

    /// Adds an entry at the end.
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += entry.cost();
        self.entries.push_back(entry);
        while self.entries.len() > self.max
            || self.bytes > self.max.saturating_mul(ENTRY_BYTES) && self.entries.len() > 1
        {
            let driven_out = self.entries.pop_front();
            self.bytes -= driven_out.map_or(0, |entry| entry.cost());
            self.begin += 1;
        }
    }

    /// The entry with this serial, if it is still there.
    pub(super) fn get(&self, serial: u64) -> Option<&Entry> {
        self.entries.get(self.place(serial)?)
    }

    /// Changes an entry in its place, if it is still there.
    pub(super) fn change<R>(&mut self, serial: u64, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let place = self.place(serial)?;
        let entry = self.entries.get_mut(place)?;
        self.bytes -= entry.cost();
        let result = change(entry);
        self.bytes += entry.cost();
        Some(result)
    }

    /// The last entry that is the one, if it is among the latest thousand.
    pub(super) fn latest(&self, is_the_one: impl Fn(&Entry) -> bool) -> Option<u64> {
        const LATEST: usize = 1000;
        let latest = self.entries.iter().rev().take(LATEST).zip(1..);
        let mut found = latest.filter(|(entry, _)| is_the_one(entry));
        found.next().map(|(_, from_end)| self.end() - from_end)
    }

    /// The serial of the first entry.
    pub(super) fn begin(&self) -> u64 {
        self.begin
    }

    /// The serial that the next entry will have.
    pub(super) fn end(&self) -> u64 {
        self.begin + u64::try_from(self.entries.len()).unwrap_or(u64::MAX)
    }

    /// All entries, the first first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    fn place(&self, serial: u64) -> Option<usize> {
        usize::try_from(serial.checked_sub(self.begin)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_driven_out_and_the_others_keep_their_serials() {
        let mut scrollback = Scrollback::new(3);
        for number in 0..5 {
            scrollback.push(Entry::note(number.to_string()));
        }
        assert_eq!((scrollback.begin(), scrollback.end()), (2, 5));
        assert_eq!(scrollback.get(1), None);
        assert_eq!(scrollback.get(2), Some(&Entry::note("2")));
        assert_eq!(scrollback.get(4), Some(&Entry::note("4")));
        assert_eq!(scrollback.get(5), None);
    }

    #[test]
    fn long_entries_take_no_more_memory_than_short_ones() {
        let mut scrollback = Scrollback::new(1000);
        for _ in 0..3000 {
            scrollback.push(Entry::note("x".repeat(4000)));
        }
        let bytes: usize = scrollback.iter().map(Entry::cost).sum();
        assert_eq!(bytes, scrollback.bytes);
        assert!(bytes <= 1000 * ENTRY_BYTES);
        scrollback.push(Entry::note("y".repeat(10_000_000)));
        assert_eq!(scrollback.iter().count(), 1);
    }

    #[test]
    fn an_entry_that_is_changed_is_accounted_for() {
        let mut scrollback = Scrollback::new(10);
        for text in ["a", "b", "a"] {
            scrollback.push(Entry::note(text));
        }
        let found = scrollback.latest(|entry| *entry == Entry::note("a")).unwrap();
        scrollback.change(found, |entry| *entry = Entry::note("changed"));
        scrollback.change(found + 1, |_| panic!("there is none"));
        let expected = ["a", "b", "changed"].map(Entry::note);
        assert!(scrollback.iter().eq(&expected));
        assert_eq!(
            scrollback.bytes,
            scrollback.iter().map(Entry::cost).sum::<usize>()
        );
    }
}
