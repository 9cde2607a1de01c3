//! Wraps long lines.

use super::input::fitting;
use super::style::{Role, Row, Span};
use chat_proto::text::ROW_END;
use unicode_segmentation::UnicodeSegmentation;

/// A grapheme cluster: one character to the reader.
#[derive(Clone, Copy)]
struct Cell<'a> {
    shown: &'a str,
    columns: usize,
    span: &'a Span,
    /// The row ends here, although it is not full.
    ends_row: bool,
}

impl Cell<'_> {
    fn is_blank(&self) -> bool {
        self.shown == " "
    }

    /// Whether a row may end between this cell and the next: at a blank, and beside a wide character, because scripts
    /// with wide characters put no blanks between words.
    fn may_end_a_row(&self, next: &Self) -> bool {
        self.is_blank() || next.is_blank() || self.columns > 1 || next.columns > 1
    }
}

/// Wraps a line into rows of `width` columns, at least one row. Rows after the first begin with `indent` blanks. The first
/// begins with `head`, which no row ends in or behind, unless it takes more than half of the width.
pub(super) fn wrap(head: &[Span], line: &[Span], width: usize, indent: usize) -> Vec<Row> {
    wrap_rows(head, line, width, indent, 1)
}

/// The same for a line that may begin so many rows itself.
pub(super) fn wrap_rows(
    head: &[Span],
    line: &[Span],
    width: usize,
    indent: usize,
    rows_max: usize,
) -> Vec<Row> {
    let width = width.max(1);
    // A wide character must fit beside the blanks.
    let indent = if indent + 2 <= width { indent } else { 0 };
    // So must a character of three columns.
    let mut all = cells(head, width - indent, 0);
    let head_width: usize = all.iter().map(|cell| cell.columns).sum();
    let mut whole = if head_width <= width / 2 { all.len() } else { 0 };
    all.append(&mut cells(line, width - indent, rows_max.saturating_sub(1)));
    let mut rows = Vec::new();
    let mut rest = all.as_slice();
    loop {
        let room = if rows.is_empty() { width } else { width - indent };
        let (row, after) = rest.split_at(row_length(rest, room, whole));
        rows.push(to_row(row, if rows.is_empty() { 0 } else { indent }));
        // A row that was filled goes on behind the blanks; one that was ended, behind the end.
        let is_ended = after.first().is_some_and(|cell| cell.ends_row);
        let blanks = after
            .iter()
            .take_while(|cell| !is_ended && cell.is_blank())
            .count();
        rest = after.get(blanks..).unwrap_or_default();
        if let [end, after @ ..] = rest
            && end.ends_row
        {
            rest = after;
        }
        whole = 0;
        if rest.is_empty() {
            return rows;
        }
    }
}

/// The cells of a line, of which the first `ends` that end a row do so; the others are shown.
fn cells(line: &[Span], width: usize, mut ends: usize) -> Vec<Cell<'_>> {
    let pieces = line.iter().flat_map(|span| {
        let graphemes = span.as_str().graphemes(true);
        graphemes.map(move |grapheme| (grapheme, span))
    });
    pieces
        .map(|(grapheme, span)| {
            let (shown, columns) = fitting(grapheme, width);
            let ends_row = ends > 0 && grapheme.starts_with(ROW_END);
            ends -= usize::from(ends_row);
            Cell {
                shown,
                columns,
                span,
                ends_row,
            }
        })
        .collect()
}

/// How many cells fit a row of `room` columns; at least one, unless the row ends at once. No row ends in or behind the first `whole`.
fn row_length(cells: &[Cell<'_>], room: usize, whole: usize) -> usize {
    let mut column = 0;
    let mut break_at = None;
    for (place, cell) in cells.iter().enumerate() {
        if cell.ends_row {
            return place;
        }
        let before = place.checked_sub(1).and_then(|before| cells.get(before));
        if place > whole && before.is_some_and(|before| before.may_end_a_row(cell)) {
            break_at = Some(place);
        }
        column += cell.columns;
        if column > room {
            return break_at.unwrap_or(place).max(1);
        }
    }
    cells.len()
}

fn to_row(cells: &[Cell<'_>], indent: usize) -> Row {
    let mut row = Vec::new();
    if indent > 0 {
        row.push(Span::new(Role::Faint, " ".repeat(indent)));
    }
    for run in cells.chunk_by(|one, other| std::ptr::eq(one.span, other.span)) {
        let text: String = run.iter().map(|cell| cell.shown).collect();
        if let Some(first) = run.first() {
            row.push(first.span.with_text(text));
        }
    }
    Row(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
        let rows = wrap(&[], &[Span::new(Role::Text, text)], width, indent);
        rows.iter()
            .map(|row| row.0.iter().map(Span::as_str).collect())
            .collect()
    }

    #[test]
    fn no_character_is_wider_than_an_indented_row() {
        // Two columns and a mark that takes one more.
        let rows = wrapped("ab\u{1b155}\u{11302}c", 3, 1);
        assert!(rows.iter().all(|row| row.width() <= 3), "{rows:?}");
    }

    #[test]
    fn rows_end_between_words() {
        assert_eq!(wrapped("one two three", 8, 0), ["one two ", "three"]);
        assert_eq!(wrapped("one two three", 7, 2), ["one two", "  three"]);
        assert_eq!(wrapped("one  two", 4, 0), ["one ", "two"]);
        assert_eq!(wrapped("", 4, 0), [""]);
        assert_eq!(wrapped("one   ", 3, 0), ["one"]);
    }

    #[test]
    fn the_text_itself_may_end_rows_and_blanks_after_that_stay() {
        let rows = |text: &str, width, indent| {
            let rows = wrap_rows(&[], &[Span::new(Role::Text, text)], width, indent, 4);
            let texts = rows.iter().map(|row| row.0.iter().map(Span::as_str).collect());
            texts.collect::<Vec<String>>()
        };
        assert_eq!(rows("a␊  b␊␊c", 8, 2), ["a", "    b", "  ", "  c"]);
        assert_eq!(rows("abcd  ␊ef", 4, 0), ["abcd", "ef"]);
        assert_eq!(rows("abcd␊ef␊", 4, 0), ["abcd", "ef"]);
        assert_eq!(rows("␊a", 4, 1), ["", " a"]);
        assert_eq!(rows("␊␊␊a␊b", 4, 1), ["", " ", " ", " a␊b"]);
        assert_eq!(wrapped("a␊b", 8, 1), ["a␊b"]);
    }

    #[test]
    fn a_word_longer_than_a_row_is_cut() {
        assert_eq!(wrapped("abcdefghij", 4, 1), ["abcd", " efg", " hij"]);
        assert_eq!(wrapped("a bcdefghi", 4, 0), ["a ", "bcde", "fghi"]);
    }

    #[test]
    fn no_row_ends_in_or_behind_a_short_head() {
        let wrapped = |head: &str, width| {
            let spans = [head, "abcdefghij k"].map(|text| Span::new(Role::Text, text));
            let rows = wrap(&spans[..1], &spans[1..], width, 2);
            let rows = rows.iter();
            rows.map(|row| row.0.iter().map(Span::as_str).collect())
                .collect::<Vec<String>>()
        };
        assert_eq!(wrapped("bob: ", 12), ["bob: abcdefg", "  hij k"]);
        assert_eq!(wrapped("10.0.0.1:1: ", 16), ["10.0.0.1:1: ", "  abcdefghij k"]);
    }

    #[test]
    fn wide_characters_are_never_split() {
        assert_eq!(wrapped("你好世界", 5, 0), ["你好", "世界"]);
        assert_eq!(wrapped("a你好", 4, 0), ["a你", "好"]);
        assert_eq!(wrapped("ab cd你好", 8, 0), ["ab cd你", "好"]);
    }

    #[test]
    fn marks_and_joined_emoji_stay_together() {
        assert_eq!(
            wrapped("e\u{301}e\u{301}e\u{301}", 2, 0),
            ["e\u{301}e\u{301}", "e\u{301}"]
        );
        let family = "👨\u{200D}👩\u{200D}👧";
        assert_eq!(
            wrapped(&format!("a{family}b"), 3, 0),
            [format!("a{family}"), "b".into()]
        );
        assert_eq!(wrapped("🇩🇪🇫🇷", 2, 0), ["🇩🇪", "🇫🇷"]);
    }

    #[test]
    fn a_character_wider_than_a_row_is_a_question_mark() {
        assert_eq!(wrapped("a你b", 1, 6), ["a", "?", "b"]);
    }

    #[test]
    fn spans_keep_their_roles() {
        let line = [Span::new(Role::Own, "ab"), Span::new(Role::Text, "cd ef")];
        let rows = wrap(&[], &line, 5, 0);
        assert_eq!(
            rows[0].0,
            [Span::new(Role::Own, "ab"), Span::new(Role::Text, "cd ")]
        );
        assert_eq!(rows[1].0, [Span::new(Role::Text, "ef")]);
    }

    proptest! {
        #[test]
        fn rows_fit_the_width_and_no_text_is_lost(
            words in prop::collection::vec(prop::sample::select(vec!["a", "bcd", " ", "你", "e\u{301}", "👩\u{200D}💻", "กำ", "한", "-"]), 0..60),
            width in 2usize..20, indent in 0usize..8)
        {
            let text = words.concat();
            let rows = wrap(&[], &[Span::new(Role::Text, text.clone())], width, indent);
            for row in &rows {
                prop_assert!(row.width() <= width, "{:?}", row);
            }
            let letters = |text: &str| text.chars().filter(|&c| c != ' ').collect::<String>();
            let shown: String = rows.iter().flat_map(|row| &row.0).map(|span| letters(span.as_str())).collect();
            prop_assert_eq!(shown, letters(Span::new(Role::Text, text).as_str()));
        }
    }
}
