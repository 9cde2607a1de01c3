//! Scrolling and searching.

use super::*;

fn with_lines(count: usize) -> Sim {
    let mut sim = Sim::in_a_room(40, 6);
    for number in 1..=count {
        sim.hear(&format!("SAID {TIME} bob@10.0.0.2:6000 line {number}\n"));
    }
    sim.frame();
    sim
}

#[test]
fn a_scrolled_view_stays_and_new_lines_are_counted() {
    let mut sim = with_lines(20);
    sim.keys("\x1b[5~");
    let view = "|22:13 bob: line 14
         |22:13 bob: line 15
         |22:13 bob: line 16
         |22:13 bob: line 17";
    sim.shows(&format!("{view}\n| alice · 2 in the clear        scrolled\n|> █"));
    for text in ["new one", "new two that is longer than one row of the screen"] {
        sim.say("bob@10.0.0.2:6000", text);
    }
    sim.keys("typing");
    sim.shows(&format!(
        "{view}\n| alice · 2 in the clear         2 below\n|> typing█"
    ));
    sim.keys("\x1b[6~");
    sim.shows(
        "|22:13 bob: line 17
         |22:13 bob: line 18
         |22:13 bob: line 19
         |22:13 bob: line 20
         | alice · 2 in the clear         2 below
         |> typing█",
    );
    sim.keys("\x1b[6~");
    sim.shows(
        "|22:13 bob: line 20
         |---- new since 22:14 ----
         |22:14 bob: new one
         |22:15 bob: new two that is longer than
         | alice · 2 in the clear        scrolled
         |> typing█",
    );
    sim.keys("\x1b[6~");
    sim.shows(
        "|---- new since 22:14 ----
         |22:14 bob: new one
         |22:15 bob: new two that is longer than
         |  one row of the screen
         | alice · 3 here · 2 in the clear
         |> typing█",
    );
}

#[test]
fn the_first_lines_fill_the_view_whatever_the_names_below() {
    let mut sim = Sim::in_a_room(60, 16);
    let words = "some words for one row, or else for two".to_owned();
    for number in 0..40 {
        let who = if number < 20 { "al" } else { "administrator" };
        sim.hear(&format!("SAID {TIME} {who}@10.0.0.8:1 {number} {words}\n"));
    }
    sim.frame();
    sim.keys("\x1b[1;5H");
    let rows = sim.drawn();
    assert!(rows.iter().all(|row| !row.is_empty()), "{rows:#?}");
    assert!(rows[0].contains("-- you are alice"), "{rows:#?}");
}

#[test]
fn ctrl_home_and_ctrl_end_scroll_to_the_ends() {
    let mut sim = with_lines(20);
    sim.keys("\x1b[1;5H");
    assert_eq!(sim.messages()[0], "-- you are alice@10.0.0.1:5000; with you");
    sim.keys("\x1b[1;5F");
    assert_eq!(sim.messages()[3], "22:13 bob: line 20");
    sim.keys("\x1b[5~\x1b");
    assert_eq!(sim.messages()[3], "22:13 bob: line 20");
    sim.keys("\x1b[5~\x1b[5~hello\r");
    assert_eq!(sim.messages()[3], "22:13 bob: line 20");
}

#[test]
fn search_goes_back_from_match_to_match() {
    let mut sim = with_lines(20);
    sim.hear(&format!("SAID {TIME} carol@10.0.0.3:7000 LINE 1 again\n"));
    sim.keys("/search line 1\r");
    assert_eq!(sim.messages()[3], "22:13 carol: LINE 1 again");
    assert_eq!(sim.drawn_as(Role::Match), ["line 1", "line 1", "LINE 1"]);
    sim.keys("/search\r");
    assert_eq!(sim.messages()[3], "22:13 bob: line 19");
    for _ in 0..9 {
        sim.keys("/search\r");
    }
    assert_eq!(sim.messages()[3], "22:13 bob: line 10");
    sim.keys("/search\r");
    assert_eq!(sim.drawn_as(Role::Match), ["line 1"]);
    sim.keys("/search\r");
    assert_eq!(sim.last_message(), "!! 'line 1' was not found");
    sim.keys("\x15\x1b");
    sim.keys("/search nothing\r");
    assert_eq!(sim.last_message(), "!! 'nothing' was not found");
    assert_eq!(sim.failed_line(), "/search nothing");
}

#[test]
fn the_matches_of_a_search_are_counted_and_found_both_ways() {
    let mut sim = with_lines(20);
    sim.keys("/search line 1\r");
    sim.shows(
        "|22:13 bob: line 16
         |22:13 bob: line 17
         |22:13 bob: line 18
         |22:13 bob: line 19
         | alice          match 1 of 11  scrolled
         |> █",
    );
    for (keys, place, line) in [
        ("/search\r", 2, 18),
        ("\x12", 3, 17),
        ("\x12\x12", 5, 15),
        ("\x13", 4, 16),
        ("\x13\x13\x13", 1, 19),
    ] {
        sim.keys(keys);
        let status = format!("alice match {place} of 11 scrolled");
        assert_eq!(sim.status(), status, "{keys:?}");
        assert_eq!(sim.last_message(), format!("22:13 bob: line {line}"), "{keys:?}");
    }
    // There is none further on.
    sim.effects.clear();
    sim.keys("\x13");
    assert_eq!(sim.effects, [Effect::Ring]);
    // With a text, Ctrl-R searches the lines typed before. The next message ends the search.
    sim.keys("x\x12");
    assert_eq!(sim.drawn()[5], "(search '') █");
    sim.keys("\x1bhello\r");
    assert!(!sim.drawn()[4].contains("match"));
}

#[test]
fn a_cleared_screen_keeps_its_scrollback() {
    let mut sim = with_lines(5);
    sim.keys("/clear\r");
    assert_eq!(sim.messages(), [""; 0]);
    sim.say("bob@10.0.0.2:6000", "new");
    assert_eq!(sim.messages(), ["22:14 bob: new"]);
    sim.keys("\x1b[5~");
    assert_eq!(sim.last_message(), "22:13 bob: line 3");
}

#[test]
fn a_resize_keeps_the_place() {
    let mut sim = with_lines(20);
    sim.keys("\x1b[5~\x1b[5~");
    let before = sim.last_message();
    sim.screen.resize(Size { columns: 15, rows: 9 });
    sim.frame();
    sim.screen.resize(Size { columns: 40, rows: 6 });
    assert_eq!(sim.last_message(), before);
}
