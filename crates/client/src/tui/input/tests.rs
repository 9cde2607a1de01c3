use super::*;
use proptest::prelude::*;

/// A line drawn with its cursor as `|`.
fn line(drawn: &str) -> Input {
    let (head, tail) = drawn.split_once('|').unwrap();
    let mut input = Input::new(4096);
    input.put(head, tail);
    input
}

fn drawn(input: &Input) -> String {
    format!("{}|{}", input.head(), input.tail())
}

/// The line after some edits.
fn becomes(before: &str, edits: &[Edit]) -> String {
    let mut input = line(before);
    for &edit in edits {
        input.edit(edit);
    }
    drawn(&input)
}

#[test]
fn the_cursor_moves_by_grapheme_clusters() {
    let family = "a👨\u{200D}👩\u{200D}👧e\u{301}|";
    assert_eq!(becomes(family, &[Edit::Left]), "a👨\u{200D}👩\u{200D}👧|e\u{301}");
    assert_eq!(
        becomes(family, &[Edit::Left, Edit::Left]),
        "a|👨\u{200D}👩\u{200D}👧e\u{301}"
    );
    assert_eq!(
        becomes(family, &[Edit::LineStart, Edit::Left]),
        "|a👨\u{200D}👩\u{200D}👧e\u{301}"
    );
    assert_eq!(becomes("|李雷", &[Edit::Right]), "李|雷");
    assert_eq!(becomes("李|", &[Edit::Right]), "李|");
    assert_eq!(becomes("a|b", &[Edit::LineEnd]), "ab|");
}

#[test]
fn words_are_letters_and_digits() {
    assert_eq!(becomes("one, two|", &[Edit::WordLeft]), "one, |two");
    assert_eq!(
        becomes("one, two|", &[Edit::WordLeft, Edit::WordLeft]),
        "|one, two"
    );
    assert_eq!(becomes("|one, two", &[Edit::WordRight]), "one|, two");
    assert_eq!(becomes("one|, two", &[Edit::WordRight]), "one, two|");
    assert_eq!(becomes("it's|", &[Edit::WordLeft]), "|it's");
}

#[test]
fn deletions_take_grapheme_clusters() {
    assert_eq!(becomes("ae\u{301}|b", &[Edit::DeleteBack]), "a|b");
    assert_eq!(becomes("a|👩\u{200D}💻b", &[Edit::Delete]), "a|b");
    assert_eq!(becomes("|a", &[Edit::DeleteBack]), "|a");
    assert_eq!(becomes("a|", &[Edit::Delete]), "a|");
}

#[test]
fn cuts_reach_as_far_as_their_names_say() {
    assert_eq!(becomes("one t|wo", &[Edit::CutToEnd]), "one t|");
    assert_eq!(becomes("one t|wo", &[Edit::CutToStart]), "|wo");
    assert_eq!(becomes("one /a-b |c", &[Edit::CutBlankBack]), "one |c");
    assert_eq!(becomes("one\u{3000}李雷|", &[Edit::CutBlankBack]), "one\u{3000}|");
    assert_eq!(becomes("one|", &[Edit::CutBlankBack]), "|");
    assert_eq!(becomes("one /a-b |c", &[Edit::CutWordBack]), "one /a-|c");
    assert_eq!(becomes("one |two three", &[Edit::CutWord]), "one | three");
}

#[test]
fn successive_cuts_are_pasted_as_one() {
    assert_eq!(
        becomes(
            "one two three|",
            &[Edit::CutWordBack, Edit::CutWordBack, Edit::LineStart, Edit::Yank]
        ),
        "two three|one "
    );
    assert_eq!(
        becomes(
            "|one two",
            &[Edit::CutWord, Edit::CutWord, Edit::Yank, Edit::Yank]
        ),
        "one twoone two|"
    );
    assert_eq!(
        becomes("one|two", &[Edit::CutToEnd, Edit::CutToStart, Edit::Yank]),
        "onetwo|"
    );
}

#[test]
fn an_older_cut_replaces_the_pasted_one() {
    let older: &[Edit] = &[
        Edit::CutWordBack,
        Edit::Left,
        Edit::CutWordBack,
        Edit::Yank,
        Edit::YankOlder,
    ];
    assert_eq!(becomes("one two|", older), "two| ");
    assert_eq!(becomes("one|", &[Edit::YankOlder, Edit::Yank]), "one|");
}

#[test]
fn transpose_swaps_two_characters() {
    assert_eq!(becomes("ab|", &[Edit::Transpose]), "ba|");
    assert_eq!(becomes("a|bc", &[Edit::Transpose]), "ba|c");
    assert_eq!(becomes("李|é", &[Edit::Transpose]), "é李|");
    assert_eq!(becomes("|ab", &[Edit::Transpose]), "a|b");
    assert_eq!(becomes("|", &[Edit::Transpose]), "|");
}

#[test]
fn control_characters_are_replaced() {
    let mut input = line("a|b");
    assert!(input.insert("\x1b[2J\u{202E}\n"));
    assert_eq!(drawn(&input), "a␛[2J␊|b");
}

#[test]
fn an_emoji_can_be_typed_piece_by_piece() {
    let mut input = Input::new(100);
    for piece in ["👩", "\u{200D}", "💻"] {
        input.insert(piece);
    }
    assert_eq!(drawn(&input), "👩\u{200D}💻|");
}

#[test]
fn a_line_has_a_limit() {
    let mut input = Input::new(5);
    assert!(input.insert("12345"));
    assert!(!input.insert("6"));
    assert_eq!(input.text(), "12345");
}

fn laid_out(drawn: &str, indent: usize, width: usize) -> (Vec<String>, (usize, usize)) {
    let layout = line(drawn).layout(indent, width);
    (layout.rows, layout.cursor)
}

#[test]
fn a_long_line_takes_several_rows() {
    assert_eq!(laid_out("abc|", 2, 10), (vec!["abc".into()], (0, 5)));
    assert_eq!(
        laid_out("abcdefgh|", 2, 10),
        (vec!["abcdefgh".into(), String::new()], (1, 0))
    );
    assert_eq!(
        laid_out("abcdefghi|j", 2, 10),
        (vec!["abcdefgh".into(), "ij".into()], (1, 1))
    );
    assert_eq!(laid_out("|abc", 2, 10), (vec!["abc".into()], (0, 2)));
    assert_eq!(
        laid_out("abcdefg|李", 2, 10),
        (vec!["abcdefg".into(), "李".into()], (1, 0))
    );
    assert_eq!(
        laid_out("李雷|", 2, 6),
        (vec!["李雷".into(), String::new()], (1, 0))
    );
    assert_eq!(laid_out("李|", 2, 1), (vec!["?".into(), String::new()], (1, 0)));
}

const EDITS: &[Edit] = &[
    Edit::LineStart,
    Edit::LineEnd,
    Edit::Left,
    Edit::Right,
    Edit::WordLeft,
    Edit::WordRight,
    Edit::DeleteBack,
    Edit::Delete,
    Edit::CutToEnd,
    Edit::CutToStart,
    Edit::CutBlankBack,
    Edit::CutWordBack,
    Edit::CutWord,
    Edit::Yank,
    Edit::YankOlder,
    Edit::Transpose,
];

#[test]
fn a_letter_typed_before_a_joiner_leaves_a_safe_line() {
    let mut input = line("李|\u{200D}");
    assert!(input.insert("e"));
    // A joiner after an ASCII letter is invisible.
    assert_eq!(drawn(&input), "李e|");
}

proptest! {
    #[test]
    fn after_any_edits_the_line_is_safe_and_has_the_cursor(
        steps in prop::collection::vec((0..EDITS.len() + 3, prop::sample::select(vec![
            "a", " ", "李", "👩", "\u{200D}", "\u{FE0F}", "e\u{301}", "\u{301}", "\x1b[", "\u{202E}", "🇩", "가"])), 0..40),
        width in 1usize..12)
    {
        let mut input = Input::new(200);
        for (edit, text) in steps {
            match EDITS.get(edit) {
                Some(&edit) => input.edit(edit),
                None => { input.insert(text); }
            }
            prop_assert!(input.text().is_char_boundary(input.cursor));
            let safe = Text::new(input.text());
            prop_assert_eq!(safe.as_str(), input.text());
            let layout = input.layout(2, width);
            prop_assert!(layout.cursor.0 < layout.rows.len() && layout.cursor.1 < width);
            for row in &layout.rows {
                prop_assert!(row.width() <= width);
            }
        }
    }
}
