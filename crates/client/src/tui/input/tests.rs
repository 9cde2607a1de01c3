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

/// What a line becomes by some actions.
fn becomes(before: &str, actions: &[fn(&mut Input)]) -> String {
    let mut input = line(before);
    for action in actions {
        action(&mut input);
    }
    drawn(&input)
}

#[test]
fn the_cursor_moves_by_characters_as_people_see_them() {
    let family = "a👨\u{200D}👩\u{200D}👧e\u{301}|";
    assert_eq!(
        becomes(family, &[Input::left]),
        "a👨\u{200D}👩\u{200D}👧|e\u{301}"
    );
    assert_eq!(
        becomes(family, &[Input::left, Input::left]),
        "a|👨\u{200D}👩\u{200D}👧e\u{301}"
    );
    assert_eq!(
        becomes(family, &[Input::home, Input::left]),
        "|a👨\u{200D}👩\u{200D}👧e\u{301}"
    );
    assert_eq!(becomes("|李雷", &[Input::right]), "李|雷");
    assert_eq!(becomes("李|", &[Input::right]), "李|");
    assert_eq!(becomes("a|b", &[Input::end]), "ab|");
}

#[test]
fn words_are_letters_and_digits() {
    assert_eq!(becomes("one, two|", &[Input::word_left]), "one, |two");
    assert_eq!(
        becomes("one, two|", &[Input::word_left, Input::word_left]),
        "|one, two"
    );
    assert_eq!(becomes("|one, two", &[Input::word_right]), "one|, two");
    assert_eq!(becomes("one|, two", &[Input::word_right]), "one, two|");
    assert_eq!(becomes("it's|", &[Input::word_left]), "|it's");
}

#[test]
fn deleting_takes_whole_characters() {
    assert_eq!(becomes("ae\u{301}|b", &[Input::delete_back]), "a|b");
    assert_eq!(becomes("a|👩\u{200D}💻b", &[Input::delete]), "a|b");
    assert_eq!(becomes("|a", &[Input::delete_back]), "|a");
    assert_eq!(becomes("a|", &[Input::delete]), "a|");
}

#[test]
fn cuts_go_as_far_as_their_names_say() {
    assert_eq!(becomes("one t|wo", &[Input::cut_to_end]), "one t|");
    assert_eq!(becomes("one t|wo", &[Input::cut_to_start]), "|wo");
    assert_eq!(becomes("one /a-b |c", &[Input::cut_blank_back]), "one |c");
    assert_eq!(
        becomes("one\u{3000}李雷|", &[Input::cut_blank_back]),
        "one\u{3000}|"
    );
    assert_eq!(becomes("one|", &[Input::cut_blank_back]), "|");
    assert_eq!(becomes("one /a-b |c", &[Input::cut_word_back]), "one /a-|c");
    assert_eq!(becomes("one |two three", &[Input::cut_word]), "one | three");
}

#[test]
fn what_is_cut_in_one_go_comes_back_in_one_go() {
    assert_eq!(
        becomes(
            "one two three|",
            &[
                Input::cut_word_back,
                Input::cut_word_back,
                Input::home,
                Input::yank
            ]
        ),
        "two three|one "
    );
    assert_eq!(
        becomes(
            "|one two",
            &[Input::cut_word, Input::cut_word, Input::yank, Input::yank]
        ),
        "one twoone two|"
    );
    assert_eq!(
        becomes("one|two", &[Input::cut_to_end, Input::cut_to_start, Input::yank]),
        "onetwo|"
    );
}

#[test]
fn older_cuts_come_back_instead() {
    let older: &[fn(&mut Input)] = &[
        Input::cut_word_back,
        Input::left,
        Input::cut_word_back,
        Input::yank,
        Input::yank_older,
    ];
    assert_eq!(becomes("one two|", older), "two| ");
    assert_eq!(becomes("one|", &[Input::yank_older, Input::yank]), "one|");
}

#[test]
fn two_characters_change_places() {
    assert_eq!(becomes("ab|", &[Input::transpose]), "ba|");
    assert_eq!(becomes("a|bc", &[Input::transpose]), "ba|c");
    assert_eq!(becomes("李|é", &[Input::transpose]), "é李|");
    assert_eq!(becomes("|ab", &[Input::transpose]), "a|b");
    assert_eq!(becomes("|", &[Input::transpose]), "|");
}

#[test]
fn what_drives_a_terminal_does_not_get_in() {
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
fn a_line_takes_no_more_than_its_limit() {
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
fn a_long_line_grows_over_rows_and_the_cursor_keeps_its_place() {
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

type Action = fn(&mut Input);

const DEEDS: &[Action] = &[
    Input::home,
    Input::end,
    Input::left,
    Input::right,
    Input::word_left,
    Input::word_right,
    Input::delete_back,
    Input::delete,
    Input::cut_to_end,
    Input::cut_to_start,
    Input::cut_blank_back,
    Input::cut_word_back,
    Input::cut_word,
    Input::yank,
    Input::yank_older,
    Input::transpose,
];

proptest! {
    #[test]
    fn whatever_is_done_the_line_is_safe_and_the_cursor_in_it(
        steps in prop::collection::vec((0..DEEDS.len() + 3, prop::sample::select(vec![
            "a", " ", "李", "👩", "\u{200D}", "\u{FE0F}", "e\u{301}", "\u{301}", "\x1b[", "\u{202E}", "🇩", "가"])), 0..40),
        width in 1usize..12)
    {
        let mut input = Input::new(200);
        for (action, text) in steps {
            match DEEDS.get(action) {
                Some(action) => action(&mut input),
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
