//! Wraps lines for a terminal. Left to itself, it would begin a row with any part of a text, which could imitate a line.

use crate::format::expand_tabs;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The blanks before each row of a line but the first.
const INDENT: usize = 4;

/// The same lines, each in rows of at most `width` columns.
pub(super) fn wrap(lines: &str, width: usize) -> String {
    let mut rows = Rows {
        text: String::with_capacity(lines.len()),
        column: 0,
        indent: INDENT.min(width / 2),
        width,
    };
    for line in lines.lines() {
        let line = expand_tabs(line);
        line.split_inclusive(' ').for_each(|word| rows.add(word));
        rows.text.push('\n');
        rows.column = 0;
    }
    rows.text
}

/// Moves the cursor to the beginning of a row: of the next one, if a person has typed in this one. The terminal does not
/// tell. It wraps so many blanks only behind something, and a carriage return leads to the row where they end.
pub(super) fn to_row(width: usize) -> String {
    format!("{}\r", " ".repeat(width))
}

struct Rows {
    text: String,
    column: usize,
    indent: usize,
    width: usize,
}

impl Rows {
    /// Adds a word and the blank that may end it.
    fn add(&mut self, word: &str) {
        let (word, blank) = word.strip_suffix(' ').map_or((word, ""), |word| (word, " "));
        // A word longer than a row is cut anyway.
        let columns = columns(word);
        if self.column + columns > self.width && columns <= self.width - self.indent {
            self.begin_row();
        }
        word.graphemes(true).for_each(|cluster| self.add_cluster(cluster));
        // Blanks end a row, and do not begin one.
        if self.column < self.width {
            self.text.push_str(blank);
            self.column += blank.len();
        }
    }

    fn add_cluster(&mut self, cluster: &str) {
        let (cluster, columns) = match columns(cluster) {
            columns if columns <= self.width - self.indent => (cluster, columns),
            _ => ("?", 1),
        };
        if self.column + columns > self.width {
            self.begin_row();
        }
        self.text.push_str(cluster);
        self.column += columns;
    }

    fn begin_row(&mut self) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n(' ', self.indent));
        self.column = self.indent;
    }
}

/// The most columns that a terminal may take for a text. Those that know no joined emoji show each part.
fn columns(text: &str) -> usize {
    let clusters = text.graphemes(true).map(|cluster| {
        let parts = cluster.chars().map(|character| match character {
            '\u{FE0F}' => 1,
            '\u{1F1E6}'..='\u{1F1FF}' => 2,
            _ => character.width().unwrap_or_default(),
        });
        cluster.width().max(parts.sum())
    });
    clusters.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_end_between_words_and_begin_with_blanks() {
        assert_eq!(wrap("one two three\nfour\n", 9), "one two \n    three\nfour\n");
        assert_eq!(wrap("one two three\n", 7), "one two\n   thre\n   e\n");
        assert_eq!(wrap("  one\n\n \n", 7), "  one\n\n \n");
        assert_eq!(wrap("abcdefghijkl mn\n", 8), "abcdefgh\n    ijkl\n    mn\n");
        assert_eq!(wrap("a\tb\tc\n", 16), "a       b       \n    c\n");
        assert_eq!(wrap("你好世界你好\n", 8), "你好世界\n    你好\n");
    }

    #[test]
    fn no_text_reaches_the_first_column_of_a_row() {
        let forged = "from prof@127.0.0.1:51354: moved";
        for filler in [
            ".",
            " ",
            "\t",
            "你",
            "👍🏽",
            "❤\u{FE0F}",
            "🇩🇪",
            "👩\u{200D}💻",
            "e\u{301}",
        ] {
            for count in 0..90 {
                let line = format!("from bob@127.0.0.1:1: {}{forged}", filler.repeat(count));
                let rows = wrap(&line, 80);
                assert!(
                    !rows.lines().skip(1).any(|row| !row.starts_with("    ")),
                    "{rows}"
                );
            }
        }
    }

    #[test]
    fn a_cluster_takes_the_columns_of_its_parts() {
        for (cluster, most) in [
            ("a", 1),
            ("你", 2),
            ("e\u{301}", 1),
            ("👍🏽", 4),
            ("❤\u{FE0F}", 2),
            ("🇩🇪", 4),
        ] {
            assert_eq!(columns(cluster), most, "{cluster}");
        }
    }

    proptest! {
        #[test]
        fn rows_fit_and_no_text_is_lost(
            words in prop::collection::vec(prop::sample::select(vec!["a", "bcd", " ", "\t", "你", "e\u{301}", "👩\u{200D}💻", "-"]), 0..60),
            width in 12usize..40)
        {
            let line = words.concat();
            let rows = wrap(&line, width);
            prop_assert!(rows.lines().all(|row| columns(row) <= width), "{}", rows);
            prop_assert!(rows.lines().skip(1).all(|row| row.starts_with("    ")), "{}", rows);
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&rows), letters(&line));
        }

        #[test]
        fn no_width_panics(line in any::<String>(), width in 1usize..8) {
            wrap(&line, width);
        }
    }
}
