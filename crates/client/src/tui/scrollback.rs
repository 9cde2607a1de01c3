//! The latest entries, in bounded memory.

use super::entry::Entry;
use std::collections::VecDeque;

/// The average memory for an entry, in bytes: far more than people write. The largest entries evict several older ones
/// each.
const ENTRY_BYTES: usize = 1024;

/// The latest entries. Each keeps its serial number while others are evicted.
#[derive(Debug)]
pub(super) struct Scrollback {
    entries: VecDeque<Entry>,
    /// The serial of the first entry.
    begin: u64,
    /// `entries.len() <= max`
    max: usize,
    /// The memory of all entries. `bytes <= max * ENTRY_BYTES`.
    bytes: usize,
}

impl Scrollback {
    /// An empty scrollback for `max` entries, at least one.
    pub(super) fn new(max: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            begin: 0,
            max: max.max(1),
            bytes: 0,
        }
    }

    /// Appends an entry, and evicts the oldest ones beyond the limits.
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += entry.cost();
        self.entries.push_back(entry);
        while self.entries.len() > self.max
            || self.bytes > self.max.saturating_mul(ENTRY_BYTES) && self.entries.len() > 1
        {
            let evicted = self.entries.pop_front();
            self.bytes -= evicted.map_or(0, |entry| entry.cost());
            self.begin += 1;
        }
    }

    /// The entry with this serial, unless it was evicted.
    pub(super) fn get(&self, serial: u64) -> Option<&Entry> {
        self.entries.get(self.place(serial)?)
    }

    /// Changes an entry in place, unless it was evicted.
    pub(super) fn change<R>(&mut self, serial: u64, change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        let place = self.place(serial)?;
        let entry = self.entries.get_mut(place)?;
        self.bytes -= entry.cost();
        let result = change(entry);
        self.bytes += entry.cost();
        Some(result)
    }

    /// The serial of the last match among the latest thousand entries.
    pub(super) fn latest(&self, matches: impl Fn(&Entry) -> bool) -> Option<u64> {
        const LATEST: usize = 1000;
        let latest = self.entries.iter().rev().take(LATEST).zip(1..);
        let mut found = latest.filter(|(entry, _)| matches(entry));
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

    /// All entries, the oldest first.
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
    fn the_oldest_are_evicted_and_the_others_keep_their_serials() {
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
    fn long_entries_evict_more_older_ones() {
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
    fn a_changed_entry_is_accounted_for() {
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
