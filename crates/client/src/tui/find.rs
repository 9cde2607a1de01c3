//! Case-insensitive search.

use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// The first match of `needle`, in bytes. An empty needle matches nothing.
pub(super) fn find(text: &str, needle: &str) -> Option<Range<usize>> {
    if needle.is_empty() {
        return None;
    }
    text.char_indices().find_map(|(start, _)| {
        let length = prefix(text.get(start..)?, needle)?;
        Some(start..start + length)
    })
}

/// The places of `name` in `text` as a whole word, in bytes.
pub(super) fn names(text: &str, name: &str) -> Vec<Range<usize>> {
    let is_one_word = |before: Option<char>, after: Option<char>| {
        let both = before.zip(after);
        both.is_some_and(|(before, after)| is_of_word(before) && is_of_word(after))
    };
    let whole_word = |(start, _)| {
        let (before, rest) = text.split_at(start);
        let length = prefix(rest, name)?;
        let after = rest.get(length..).unwrap_or_default();
        let is_whole = !is_one_word(before.chars().next_back(), name.chars().next())
            && !is_one_word(name.chars().next_back(), after.chars().next());
        is_whole.then_some(start..start + length)
    };
    text.char_indices().filter_map(whole_word).collect()
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
            assert_eq!(names(text, "bob").len(), 1, "{text}");
        }
        for text in ["bobby", "kebob", "b ob", "bob_", "bob2", ""] {
            assert_eq!(names(text, "bob"), [], "{text}");
        }
        assert_eq!(names("你好李雷吗", "李雷").first(), Some(&(6..12)));
    }
}
