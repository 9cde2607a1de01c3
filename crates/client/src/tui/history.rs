//! The lines typed before.

use std::collections::VecDeque;

/// Lines that are remembered.
const LINES_MAX: usize = 1000;

/// The lines typed before, and which of them is looked at.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The last first.
    lines: VecDeque<String>,
    /// The one looked at, and what was being typed before the first look.
    looking: Option<(usize, String)>,
}

impl History {
    /// Remembers a line, unless it is the last one again.
    pub(super) fn add(&mut self, line: &str) {
        self.looking = None;
        if !line.trim().is_empty() && self.lines.front().is_none_or(|last| last != line) {
            self.lines.push_front(line.to_owned());
            self.lines.truncate(LINES_MAX);
        }
    }

    /// The line before the one looked at. `typed` is what stands there now, which is not lost.
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

    /// The line after the one looked at; after the last what was being typed.
    pub(super) fn newer(&mut self) -> Option<String> {
        let (place, draft) = self.looking.take()?;
        let Some(next) = place.checked_sub(1) else {
            return Some(draft);
        };
        self.looking = Some((next, draft));
        self.lines.get(next).cloned()
    }

    fn find(&self, needle: &str, from: usize) -> Option<usize> {
        let needle = needle.to_lowercase();
        let mut lines = self.lines.iter().enumerate().skip(from);
        lines
            .find(|(_, line)| line.to_lowercase().contains(&needle))
            .map(|(place, _)| place)
    }
}

/// A search in the lines typed before.
#[derive(Debug, Default)]
pub(super) struct Search {
    needle: String,
    found: Option<usize>,
}

impl Search {
    /// What is searched for.
    pub(super) fn needle(&self) -> &str {
        &self.needle
    }

    /// The line found.
    pub(super) fn found<'h>(&self, history: &'h History) -> Option<&'h str> {
        history.lines.get(self.found?).map(String::as_str)
    }

    /// Searches for one more character, from the line found so far on.
    pub(super) fn push(&mut self, character: char, history: &History) {
        self.needle.push(character);
        self.found = history.find(&self.needle, self.found.unwrap_or(0));
    }

    /// Searches for one character less, from the last line on.
    pub(super) fn pop(&mut self, history: &History) {
        self.needle.pop();
        self.found = if self.needle.is_empty() {
            None
        } else {
            history.find(&self.needle, 0)
        };
    }

    /// Searches further back; stays where it is if there is nothing.
    pub(super) fn older(&mut self, history: &History) {
        if let Some(found) = self.found {
            self.found = history.find(&self.needle, found + 1).or(Some(found));
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
    fn up_and_down_walk_and_come_back_to_what_was_typed() {
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
        search.older(&history);
        assert_eq!(search.found(&history), Some("/msg bob Hello"));
        search.older(&history);
        assert_eq!(search.found(&history), Some("/msg bob Hello"));
        search.push('x', &history);
        assert_eq!(search.found(&history), None);
        search.pop(&history);
        search.pop(&history);
        assert_eq!(search.found(&history), None);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for number in 0..2 * LINES_MAX {
            history.add(&number.to_string());
        }
        assert_eq!(history.lines.len(), LINES_MAX);
    }
}
