//! Whatever the network sends, the screen shows only safe characters.

use super::super::draw::Painter;
use super::super::theme::{Depth, Theme};
use super::*;
use crate::direction::MARK;
use crate::direction::tests::reordered;
use proptest::prelude::*;

/// No control characters on the screen, and nothing invisible or that changes the direction of text.
#[track_caller]
fn assert_safe(sim: &mut Sim) {
    for row in sim.frame().rows {
        let text = text_of(&row);
        let bad = |c: char| {
            c.is_control()
                || matches!(c, '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
                    | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
        };
        assert!(!text.chars().any(bad), "{text:?}");
    }
}

const TRICKS: &str =
    "\x1b[2J\x1b]0;title\x07 a\u{202E}b\u{2066}c\u{200B}d\u{9B}31m\u{2028}e\r\x08\x7f\u{E0041}";

#[test]
fn every_field_that_is_drawn_is_safe() {
    let mut sim = Sim::in_a_room(60, 20);
    sim.hear(&format!("SAID {TIME} bob@10.0.0.2:6000 {TRICKS}\n"));
    sim.hear(&format!("SAID {TIME} bob@10.0.0.2:6000 /me {TRICKS}\n"));
    sim.hear(&format!(
        "WHISPER bob@10.0.0.2:6000 {TRICKS}\nNOTICE {TRICKS}\nERROR other - {TRICKS}\n"
    ));
    sim.keys("/msg bob x\r");
    sim.hear(&format!("ERROR unreachable 1 {TRICKS}\n"));
    sim.keys("said\r");
    sim.hear(&format!("ERROR other 2 {TRICKS}\n"));
    assert_safe(&mut sim);
    sim.paste(TRICKS);
    assert_safe(&mut sim);
    sim.keys("\r");
    sim.paste(&format!("{TRICKS}\n{TRICKS}"));
    assert_safe(&mut sim);
    sim.keys("n/search ");
    sim.paste(TRICKS);
    sim.keys("\r\x15/msg ");
    sim.paste(TRICKS);
    sim.keys("\r");
    assert_safe(&mut sim);
    sim.hear(&format!("GOODBYE shutdown {TRICKS}\n"));
    sim.lose_connection();
    assert_safe(&mut sim);
    assert!(sim.drawn().join("\n").contains("␛[2J"));
}

#[test]
fn no_nick_or_text_imitates_the_client() {
    let mut sim = Sim::in_a_room(40, 8);
    sim.say(
        "bob@10.0.0.2:6000",
        "x                                      -- server: give me your password",
    );
    let rows = sim.drawn();
    assert!(rows[5].starts_with("  -- server"), "{rows:?}");
}

/// The rows that are painted, without sequences.
fn painted_rows(sim: &mut Sim) -> Vec<String> {
    let mut out = Vec::new();
    Painter::new(Theme::new(Depth::None), false).paint(sim.frame(), &mut out);
    let out = String::from_utf8(out).unwrap();
    let text = |row: &str| {
        let mut pieces = row.split("\x1b[");
        let first = pieces.next().unwrap_or_default().to_owned();
        let rests = pieces.map(|piece| piece.split_once(|c: char| c.is_ascii_alphabetic()).unwrap().1);
        rests.fold(first, |text, rest| text + rest)
    };
    out.split("\x1b[K").skip(1).map(text).collect()
}

#[test]
fn names_keep_their_place_where_the_terminal_reorders_text() {
    for options in [["--timestamps=minutes"], ["--timestamps=off"]] {
        let mut sim = Sim::with(&options, 60, 24);
        sim.join("א@10.0.0.1:5000", 0);
        sim.hear(&format!(
            "JOIN {TIME} ג@10.0.0.4:1 - -\nNICK {TIME} ג@10.0.0.4:1 ד\n"
        ));
        sim.say("ד@10.0.0.4:1", "ה");
        sim.say("ד@10.0.0.4:1", "bob: ה");
        sim.say("ד@10.0.0.4:1", "22:15 bob: ה");
        sim.say("ד@10.0.0.4:1", "/me ה");
        sim.hear("WHISPER ד@10.0.0.4:1 ה\nNOTICE ה\n");
        sim.keys("/who\r");
        sim.hear(&format!(
            "LEAVE {TIME} ד@10.0.0.4:1\nJOIN {TIME} ד@10.0.0.4:1 - -\nJOIN {TIME} ו@10.0.0.5:1 - -\n"
        ));
        sim.keys("/query ו\rה\r");
        sim.lose_connection();
        sim.wait(1000);
        let mut count = 0;
        for row in painted_rows(&mut sim) {
            // With words of one letter, the right order is the order of the text.
            let text = row.replace(MARK, "");
            assert_eq!(reordered(&row), text);
            count += usize::from(reordered(&text) != text);
        }
        assert!(count >= 8, "{count} rows of {:#?}", sim.drawn());
    }
    let mut sim = Sim::in_a_room(60, 9);
    sim.say("bob@10.0.0.2:6000", "你好 é");
    assert!(painted_rows(&mut sim).iter().all(|row| !row.contains(MARK)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_bytes_of_a_server_leave_a_safe_screen(
        chunks in prop::collection::vec(prop_oneof![
            "SAID 1 bob@10\\.0\\.0\\.2:6000 \\PC{0,60}\n",
            "(SAID|JOIN|LEAVE|NICK|WHISPER|NOTICE|ERROR|USER|GOODBYE) .{0,60}\n",
            Just(format!("SAID 1 bob@10.0.0.2:6000 {TRICKS}\n")),
        ], 0..12),
        columns in 1usize..50, rows in 1usize..12)
    {
        let mut sim = Sim::in_a_room(columns, rows);
        for chunk in chunks {
            sim.hear(&chunk);
            assert_safe(&mut sim);
        }
    }

    #[test]
    fn no_row_of_a_text_looks_like_a_line_of_its_own(
        texts in prop::collection::vec("(/me )?x[a-z\u{2800}\u{a0}\u{3000}!<>*+: \t-]{1,300}", 1..4),
        (columns, head) in prop::sample::select(vec![(100, 15), (60, 15), (59, 1), (30, 1), (29, 1), (20, 1)]))
    {
        let mut sim = Sim::in_a_room(columns, 200);
        for (number, text) in texts.iter().enumerate() {
            sim.hear(&format!("SAID {} bob@10.0.0.2:6000 {text}\n", TIME + number as u64));
            sim.hear(&format!("JOIN {TIME} user{number}@10.0.0.9:{} - -\n", number + 1));
        }
        let mut rows = sim.drawn();
        rows.truncate(198);
        rows.retain(|row| !row.is_empty());
        let is_later = |row: &&String| row.chars().take(head).all(|c| c == ' ');
        let later = rows.iter().filter(is_later).count();
        prop_assert_eq!(rows.len() - later, 2 * texts.len(), "{:#?}", rows);
    }

    #[test]
    fn any_keys_leave_a_safe_screen(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "\x01", "\x03", "\x04", "\x05", "\x07", "\x0b", "\x12", "\x14", "\x15", "\x17", "\x19", "\x1b", "\x1by", "\t",
            "\x1b[Z", "\r", "\x7f", "\x1b[A", "\x1b[B", "\x1b[5~", "\x1b[6~", "\x1b[1;5H", "\x1b[1;5F", "a", "你", "👩\u{200D}💻",
            "/q bob\r", "/search a\r", "/clear\r", "/help\r", "/joins all\r", "\x1b[200~one\ntwo\x1b[201~", "y", "n", "j", " "]), 0..40),
        columns in 1usize..50, rows in 1usize..12)
    {
        let mut sim = Sim::in_a_room(columns, rows);
        for piece in pieces {
            sim.keys(piece);
            sim.say("bob@10.0.0.2:6000", "hello 你好 there");
            assert_safe(&mut sim);
        }
    }
}
