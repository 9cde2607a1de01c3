//! The lines typed before, and the search in them.

use super::find::find;
use std::collections::VecDeque;

/// The most lines that are kept.
const LINES_MAX: usize = 1000;

/// The lines typed before, and the one in the input.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The last line first.
    lines: VecDeque<String>,
    /// The place of the line in the input, and the draft that it replaced.
    looking: Option<(usize, String)>,
}

impl History {
    /// Adds a line, unless it repeats the last one.
    pub(super) fn add(&mut self, line: &str) {
        self.looking = None;
        if !line.trim().is_empty() && self.lines.front().is_none_or(|last| last != line) {
            self.lines.push_front(line.to_owned());
            self.lines.truncate(LINES_MAX);
        }
    }

    /// Adds a line that failed, unless it is there.
    pub(super) fn keep(&mut self, line: String) {
        if self.lines.contains(&line) {
            return;
        }
        self.lines.push_front(line);
        self.lines.truncate(LINES_MAX);
        if let Some((place, _)) = &mut self.looking {
            *place += 1;
        }
    }

    /// The line before the one in the input. `typed` is the draft to keep.
    pub(super) fn older(&mut self, typed: &str) -> Option<&str> {
        let next = self.looking.as_ref().map_or(0, |(place, _)| place + 1);
        let line = self.lines.get(next)?;
        let draft = self
            .looking
            .take()
            .map_or_else(|| typed.to_owned(), |(_, draft)| draft);
        self.looking = Some((next, draft));
        Some(line)
    }

    /// The line after the one in the input; after the last line the draft.
    pub(super) fn newer(&mut self) -> Option<String> {
        let (place, draft) = self.looking.take()?;
        let Some(next) = place.checked_sub(1) else {
            return Some(draft);
        };
        self.looking = Some((next, draft));
        self.lines.get(next).cloned()
    }

    /// The places of the lines with this text, the last line first.
    fn matches<'h>(&'h self, needle: &'h str) -> impl DoubleEndedIterator<Item = usize> + 'h {
        let lines = self.lines.iter().enumerate();
        lines
            .filter(|(_, line)| find(line, needle).is_some())
            .map(|(place, _)| place)
    }

    fn find(&self, needle: &str, from: usize) -> Option<usize> {
        self.matches(needle).find(|&place| place >= from)
    }
}

/// A search in the lines typed before.
#[derive(Debug, Default)]
pub(super) struct Search {
    needle: String,
    found: Option<usize>,
}

impl Search {
    /// The text that is searched for.
    pub(super) fn needle(&self) -> &str {
        &self.needle
    }

    /// The line found.
    pub(super) fn found<'h>(&self, history: &'h History) -> Option<&'h str> {
        history.lines.get(self.found?).map(String::as_str)
    }

    /// The number of the line found, the last one being 1, and the number of all matches.
    pub(super) fn place(&self, history: &History) -> Option<(usize, usize)> {
        let found = self.found?;
        let newer = history.matches(&self.needle).filter(|&place| place < found);
        Some((newer.count() + 1, history.matches(&self.needle).count()))
    }

    /// Adds a character to the needle, and searches on from the line found.
    pub(super) fn push(&mut self, character: char, history: &History) {
        self.needle.push(character);
        self.found = history.find(&self.needle, self.found.unwrap_or(0));
    }

    /// Removes a character from the needle, and searches from the last line.
    pub(super) fn pop(&mut self, history: &History) {
        self.needle.pop();
        self.found = history.find(&self.needle, 0);
    }

    /// Searches further back; without another match the line found stays.
    pub(super) fn older(&mut self, history: &History) {
        if let Some(found) = self.found {
            self.found = history.find(&self.needle, found + 1).or(Some(found));
        }
    }

    /// Searches forward; without another match the line found stays.
    pub(super) fn newer(&mut self, history: &History) {
        if let Some(found) = self.found {
            let mut back = history.matches(&self.needle).rev();
            self.found = back.find(|&place| place < found).or(Some(found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        let mut history = History::default();
        for line in ["first", "/msg bob Hello", "third", "third", " "] {
            history.add(line);
        }
        history
    }

    #[test]
    fn up_and_down_walk_the_lines_and_return_to_the_draft() {
        let mut history = history();
        assert_eq!(history.newer(), None);
        assert_eq!(history.older("draft"), Some("third"));
        assert_eq!(history.older("third"), Some("/msg bob Hello"));
        assert_eq!(history.older("x"), Some("first"));
        assert_eq!(history.older("x"), None);
        assert_eq!(history.newer().as_deref(), Some("/msg bob Hello"));
        assert_eq!(history.newer().as_deref(), Some("third"));
        assert_eq!(history.newer().as_deref(), Some("draft"));
        assert_eq!(history.newer(), None);
    }

    #[test]
    fn a_search_narrows_widens_and_goes_back() {
        let history = history();
        let mut search = Search::default();
        search.push('H', &history);
        assert_eq!(search.found(&history), Some("third"));
        search.push('e', &history);
        assert_eq!(search.found(&history), Some("/msg bob Hello"));
        search.pop(&history);
        assert_eq!(search.found(&history), Some("third"));
        assert_eq!(search.place(&history), Some((1, 2)));
        search.older(&history);
        assert_eq!(search.found(&history), Some("/msg bob Hello"));
        assert_eq!(search.place(&history), Some((2, 2)));
        search.newer(&history);
        assert_eq!(search.found(&history), Some("third"));
        search.newer(&history);
        assert_eq!(search.found(&history), Some("third"));
        search.older(&history);
        search.older(&history);
        assert_eq!(search.found(&history), Some("/msg bob Hello"));
        search.push('x', &history);
        assert_eq!(search.found(&history), None);
        search.pop(&history);
        search.pop(&history);
        assert_eq!(search.found(&history), None);
    }

    #[test]
    fn a_search_stops_at_each_match_both_ways() {
        let mut history = History::default();
        for line in ["a1", "b", "a2", "a3"] {
            history.add(line);
        }
        let mut search = Search::default();
        search.push('a', &history);
        search.older(&history);
        search.older(&history);
        assert_eq!(search.place(&history), Some((3, 3)));
        search.newer(&history);
        assert_eq!(search.found(&history), Some("a2"));
    }

    #[test]
    fn at_most_1000_lines_are_kept() {
        let mut history = History::default();
        for number in 0..2 * LINES_MAX {
            history.add(&number.to_string());
        }
        assert_eq!(history.lines.len(), LINES_MAX);
    }
}
