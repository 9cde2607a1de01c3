//! What each key does.

use super::*;

/// The line with its cursor after these keys.
fn typed(keys: &str) -> String {
    let mut sim = Sim::in_a_room(80, 10);
    sim.keys(keys);
    format!("{}|{}", sim.screen.input.head(), sim.screen.input.tail())
}

#[test]
fn the_keys_of_readline() {
    let cases = [
        ("one two\x01", "|one two"),
        ("one two\x1b[H", "|one two"),
        ("one two\x01\x05", "one two|"),
        ("one two\x01\x1b[F", "one two|"),
        ("ab\x02", "a|b"),
        ("ab\x1b[D", "a|b"),
        ("ab\x01\x06", "a|b"),
        ("ab\x01\x1b[C", "a|b"),
        ("one two\x1bb", "one |two"),
        ("one two\x1b[1;5D", "one |two"),
        ("one two\x1b[1;3D", "one |two"),
        ("one two\x01\x1bf", "one| two"),
        ("one two\x01\x1b[1;5C", "one| two"),
        ("one two\x01\x1b[1;3C", "one| two"),
        ("ab\x7f", "a|"),
        ("ab\x02\x1b[3~", "a|"),
        ("ab\x01\x04", "|b"),
        ("ab cd\x01\x06\x06\x0b", "ab|"),
        ("ab cd\x02\x15", "|d"),
        ("ab /c-d\x17", "ab |"),
        ("ab /c-d\x1b\x7f", "ab /c-|"),
        ("ab cd\x01\x1bd", "| cd"),
        ("ab cd\x17\x01\x19", "cd|ab "),
        ("ab\x17 cd\x17\x19\x1by", " ab|"),
        ("ab\x14", "ba|"),
    ];
    for (keys, line) in cases {
        assert_eq!(typed(keys), line, "{keys:?}");
    }
}

#[test]
fn enter_sends_the_line_and_empties_it() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("hello there\r");
    assert_eq!(sim.sent(), "SAY 1 hello there\n");
    assert_eq!(sim.line(), "");
    sim.keys("\r   \r");
    assert_eq!(sim.sent(), "");
}

#[test]
fn an_own_message_shows_as_waiting_only_after_a_while() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("hello\r");
    assert_eq!(sim.last_message(), "");
    sim.wait(399);
    assert_eq!(sim.last_message(), "");
    assert_eq!(sim.screen.deadline(), Some(Duration::from_millis(400)));
    sim.wait(1);
    assert!(sim.screen.is_stale());
    sim.shows(
        "|
         |         alice  hello  waiting
         | alice · 3 here · 2 in the clear                  1 waiting
         |> █",
    );
    sim.hear(&format!("SAID {TIME} {ME} hello\n"));
    assert_eq!(sim.last_message(), "22:13 alice hello");
    assert_eq!(sim.screen.deadline(), None);
}

#[test]
fn up_and_down_recall_lines() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("one\rtwo\rdraft\x1b[A");
    assert_eq!(sim.line(), "two");
    sim.keys("\x10");
    assert_eq!(sim.line(), "one");
    sim.keys("\x1b[A\x1b[B\x0e\x0e");
    assert_eq!(sim.line(), "draft");
}

#[test]
fn ctrl_underscore_takes_back_edits_word_by_word() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("one two\x17x");
    for expected in ["one ", "one two", "one", "", ""] {
        sim.keys("\x1f");
        assert_eq!(sim.line(), expected);
    }
    // Up and Tab are edits too. What was sent or cleared does not come back.
    sim.keys("old\rnew\x1b[A\x1f");
    assert_eq!(sim.line(), "new");
    sim.keys("\x15bo\t\x1f");
    assert_eq!(sim.line(), "bo");
    sim.keys("\x03\x1f");
    assert_eq!(sim.line(), "");
}

#[test]
fn ctrl_r_searches_the_lines_typed_before() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("first one\rsecond one\rdraft\x12");
    sim.keys("on");
    sim.shows(
        "|
         |
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
         |(1 of 2: 'on') second one█",
    );
    sim.keys("\x12");
    assert_eq!(sim.drawn()[3], "(2 of 2: 'on') first one█");
    sim.keys("\x13");
    assert_eq!(sim.drawn()[3], "(1 of 2: 'on') second one█");
    sim.keys("\x12");
    sim.keys("zz");
    assert_eq!(sim.drawn()[3], "(not found 'onzz') █");
    sim.keys("\x7f\x7f\x12\r");
    assert_eq!(sim.line(), "first one");
    assert_eq!(sim.sent(), "SAY 1 first one\nSAY 2 second one\n");
    sim.keys("\x12sec\x03");
    assert_eq!(sim.line(), "first one");
    sim.keys("\x12sec\x05!");
    assert_eq!(sim.line(), "second one!");
    sim.keys("\x12fir\x1b");
    assert_eq!(sim.line(), "second one!");
}

#[test]
fn tab_completes_the_last_speaker_first() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.hear("JOIN 1700000000000 carl@10.0.0.5:1 - -\n");
    sim.keys("c\t");
    assert_eq!(sim.line(), "carl: ");
    sim.keys("\x15");
    sim.say("carol@10.0.0.3:7000", "hi");
    sim.keys("c\t");
    assert_eq!(sim.line(), "carol: ");
    sim.keys("\t");
    assert_eq!(sim.line(), "carl: ");
    sim.keys("\t");
    assert_eq!(sim.line(), "c");
    sim.keys("\x1b[Z");
    assert_eq!(sim.line(), "carl: ");
    sim.keys("x \tz");
    assert_eq!(sim.line(), "carl: x carol z");
    sim.keys("\x15/mes\t");
    assert_eq!(sim.effects, [Effect::Ring]);
    sim.keys("\x15/ms\tb\thello\r");
    assert_eq!(sim.datagrams(), ["10.0.0.2:6001 hello"]);
}

#[test]
fn tab_never_completes_the_own_nick() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("al\t");
    assert_eq!(sim.line(), "al");
}

#[test]
fn ctrl_c_clears_and_never_leaves() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("some text\x03");
    assert_eq!(sim.line(), "");
    sim.keys("\x1b[A");
    assert_eq!(sim.line(), "some text");
    sim.keys("\x03\x03\x03\x03");
    assert_eq!(sim.messages(), ["-- /quit or Ctrl-D leaves the room"]);
    assert_eq!(sim.sent(), "");
    assert_eq!(sim.session.outcome(), None);
}

#[test]
fn ctrl_d_on_an_empty_line_asks_once() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("\x04");
    sim.shows(
        "|
         |
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
         |leave the room? y: yes  n: no █",
    );
    for stay in ["n", "\x03", "\x1b", "\r"] {
        sim.keys(stay);
        assert_eq!(sim.sent(), "");
        assert_eq!(sim.line(), "");
        sim.keys("\x04");
    }
    sim.keys("hello");
    assert_eq!(sim.line(), "hello");
    sim.keys("\x15\x04\x04");
    assert_eq!(sim.sent(), "QUIT\n");

    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("\x04y");
    assert_eq!(sim.sent(), "QUIT\n");
}

#[test]
fn ctrl_l_and_ctrl_z_work_in_every_mode() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("\x0c\x12\x1aab");
    assert_eq!(sim.effects, [Effect::Redraw, Effect::Suspend]);
    sim.shows(
        "|
         |
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
         |(not found 'ab') █",
    );
}

#[test]
fn a_refused_line_is_brought_back_by_up() {
    let mut sim = Sim::in_a_room(60, 8);
    let long = "x".repeat(chat_proto::TEXT_MAX + 1);
    sim.keys(&long);
    sim.keys("\r");
    assert_eq!(sim.sent(), "");
    assert_eq!(sim.line(), "");
    sim.keys("\x1b[A");
    assert_eq!(sim.line(), long);
    sim.keys("\x7f\r");
    assert!(sim.sent().starts_with("SAY 1 xxx"));
}

#[test]
fn a_long_line_keeps_the_cursor_in_view() {
    let mut sim = Sim::in_a_room(20, 6);
    sim.keys("one two three four five six seven eight nine ten eleven twelve");
    sim.shows(
        "|
         |
         | alice 3, 2 clear
         | five six seven eigh
         |t nine ten eleven tw
         |elve█",
    );
    sim.keys("\x01");
    sim.shows(
        "|
         |
         | alice 3, 2 clear
         |> █one two three four
         | five six seven eigh
         |t nine ten eleven tw",
    );
}

#[test]
fn alt_enter_begins_another_line_of_the_same_message() {
    for key in ["\x1b\r", "\x1b[13;2u"] {
        let mut sim = Sim::in_a_room(60, 8);
        sim.keys(&format!("two things:{key}  1. cake{key}from bob: 22:14 bob hi"));
        sim.shows(
            "|
             |
             |
             |
             | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
             |> two things:␊
             |  1. cake␊
             |from bob: 22:14 bob hi█",
        );
        sim.keys("\r");
        assert_eq!(sim.sent(), "SAY 1 two things:␊  1. cake␊from bob: 22:14 bob hi\n");
        sim.hear(&format!("SAID {TIME} {ME} two things:␊  1. cake␊22:14 bob hi\n"));
        sim.hear("WHISPER bob@10.0.0.2:6000 a␊b\n");
        sim.shows(
            "|
             |22:13    alice  two things:
             |                  1. cake
             |                22:14 bob hi
             |      <    bob  a
             |                b  unencrypted
             | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
             |> █",
        );
        sim.keys("\x1b[A");
        assert_eq!(sim.line(), "two things:␊  1. cake␊from bob: 22:14 bob hi");
    }
}

#[test]
fn nicks_complete_in_each_line_of_a_message() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("hi\x1b\rbo\t");
    assert_eq!(sim.line().trim_end(), "hi␊bob");
}

#[test]
fn a_message_has_at_most_50_lines_whoever_sends_it() {
    let mut sim = Sim::in_a_room(60, 80);
    sim.keys(&format!("x{}\r", "\x1b\rx".repeat(50)));
    assert_eq!(sim.sent(), "");
    assert!(
        sim.last_message()
            .contains("not sent: a message has at most 50 lines")
    );
    sim.keys("/clear\r");
    sim.hear(&format!("SAID {TIME} bob@10.0.0.2:6000 {}\n", "x␊".repeat(200)));
    let rows = sim.messages();
    assert!(rows.iter().all(|row| row.contains('x')), "{rows:?}");
    assert_eq!(
        rows.iter().filter(|row| row.trim() == "x").count(),
        48,
        "{rows:?}"
    );
    // A topic has no rows.
    sim.keys("/clear\r");
    sim.hear("TOPIC bob@10.0.0.2:6000 a␊b\n");
    assert!(sim.last_message().contains("a␊b"));
}
