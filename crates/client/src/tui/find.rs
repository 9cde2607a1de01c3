//! Case-insensitive search.

use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// The first match of `needle`, in bytes. An empty needle matches nothing.
pub(super) fn find(text: &str, needle: &str) -> Option<Range<usize>> {
    if needle.is_empty() {
        return None;
    }
    let starts = text.char_indices().map(|(start, _)| start);
    starts.into_iter().find_map(|start| {
        let length = prefix(text.get(start..)?, needle)?;
        Some(start..start + length)
    })
}

/// Whether `text` contains `name` as a whole word.
pub(super) fn names(text: &str, name: &str) -> bool {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| find(rest, name)) {
        let (start, end) = (from + found.start, from + found.end);
        let before = text.get(..start).and_then(|head| head.chars().next_back());
        let after = text.get(end..).and_then(|tail| tail.chars().next());
        let joins = |outer: Option<char>, inner: Option<char>| {
            outer
                .zip(inner)
                .is_some_and(|(a, b)| is_of_word(a) && is_of_word(b))
        };
        if !joins(before, name.chars().next()) && !joins(after, name.chars().next_back()) {
            return true;
        }
        from = start
            + text
                .get(start..)
                .and_then(|rest| rest.chars().next())
                .map_or(1, char::len_utf8);
    }
    false
}

/// Wide characters belong to scripts without blanks between words: each may be a word.
fn is_of_word(character: char) -> bool {
    (character.is_alphanumeric() || character == '_') && character.width() != Some(2)
}

/// The length of `needle` in `text`, in bytes, if `text` begins with it.
fn prefix(text: &str, needle: &str) -> Option<usize> {
    let mut rest = text.char_indices();
    let mut left = needle.chars().flat_map(char::to_lowercase).peekable();
    while left.peek().is_some() {
        let (_, character) = rest.next()?;
        for lower in character.to_lowercase() {
            if left.next()? != lower {
                return None;
            }
        }
    }
    Some(rest.next().map_or(text.len(), |(end, _)| end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference() {
        assert_eq!(find("Hello World", "world"), Some(6..11));
        assert_eq!(find("ПРИВЕТ", "вет"), Some(6..12));
        assert_eq!(find("aab", "ab"), Some(1..3));
        assert_eq!(find("hello", "world"), None);
        assert_eq!(find("hello", "hello!"), None);
        assert_eq!(find("x", ""), None);
    }

    #[test]
    fn a_name_matches_as_a_whole_word() {
        for text in [
            "bob",
            "Bob: hi",
            "hi @bob!",
            "(bob)",
            "hey,bob",
            "bobby bob",
            "你bob好",
        ] {
            assert!(names(text, "bob"), "{text}");
        }
        for text in ["bobby", "kebob", "b ob", "bob_", "bob2", ""] {
            assert!(!names(text, "bob"), "{text}");
        }
        assert!(names("你好李雷吗", "李雷"));
    }
}
