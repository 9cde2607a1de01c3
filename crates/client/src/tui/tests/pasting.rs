//! Pastes of one line and of several.

use super::*;

#[test]
fn one_line_is_inserted_at_the_cursor() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("ac\x02");
    sim.keys("\x1b[200~b\n\x1b[201~");
    assert_eq!(sim.line(), "abc");
    assert_eq!(sim.sent(), "");
}

#[test]
fn several_lines_are_shown_and_confirmed() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.say("bob@10.0.0.2:6000", "hello");
    sim.keys("see: ");
    sim.paste("one\r\ntwo 你好\r\n/quit\r\n");
    let asked = "|
         |
         |22:14      bob  hello
         || see: one
         || two 你好
         || /quit
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
         |send 3 lines as one message? y: yes  n: no  e: edit █";
    sim.shows(asked);
    // Neither Enter nor another paste is an answer.
    sim.keys("\rx");
    sim.paste("more");
    sim.shows(asked);
    sim.keys("y");
    assert_eq!(sim.sent(), "SAY 1 see: one␊two 你好␊/quit\n");
    assert_eq!(sim.line(), "");
}

#[test]
fn the_rest_of_a_stalled_paste_is_no_answer() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.burst("\x1b[200~password1\npassword2\n");
    sim.pause(2_300);
    sim.burst("your turn\nbye\n\x1b[201~");
    assert_eq!(sim.sent(), "");
    assert!(
        sim.drawn()
            .contains(&"send 4 lines as one message? y: yes  n: no  e: edit █".to_owned())
    );
}

#[test]
fn a_paste_without_marks_is_confirmed() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.burst("one\rtwo\r/quiet\rthree\r");
    assert_eq!(sim.sent(), "");
    // The terminal sends its tail later.
    sim.burst("yes\ryes\r");
    sim.burst("yes\r");
    assert_eq!(sim.sent(), "");
    sim.keys("y");
    assert_eq!(sim.sent(), "SAY 1 one␊two␊/quiet␊three\n");
}

#[test]
fn what_came_with_a_question_does_not_answer_it() {
    for bytes in [
        "\x1b[200~one\ntwo\x1b[201~y",
        "\x1b[200~one\ntwo\x1b[201~e",
        "\x1b[200~one\ntwo\x1b[201~ny\r",
        "\x1b[200~one\ntwo\x1b[201~\x03y\r",
        "\x04y",
        "\x04\x04",
    ] {
        let mut sim = Sim::in_a_room(60, 8);
        sim.burst(bytes);
        assert_eq!((sim.sent().as_str(), sim.line()), ("", ""), "{bytes:?}");
        assert_eq!(sim.session.outcome(), None, "{bytes:?}");
        let asked = sim.drawn().pop().unwrap_or_default();
        assert!(asked.contains("? y: yes"), "{bytes:?}: {asked}");
    }
}

#[test]
fn answering_no_changes_nothing() {
    for no in ["n", "\x03", "\x1b"] {
        let mut sim = Sim::in_a_room(60, 8);
        sim.keys("draft");
        sim.paste("one\ntwo");
        sim.keys(no);
        assert_eq!(sim.sent(), "");
        assert_eq!(sim.line(), "draft");
    }
}

#[test]
fn lines_can_be_edited_first() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.paste("one\ntwo\n");
    sim.keys("e");
    assert_eq!(sim.line(), "one␊two");
    assert_eq!(sim.sent(), "");
}

#[test]
fn in_a_private_conversation_all_lines_are_private() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("/q bob\r");
    sim.paste("one\ntwo");
    sim.keys("y");
    assert_eq!(sim.datagrams(), ["10.0.0.2:6001 one␊two"]);
    sim.keys("/msg carol ");
    sim.paste("three\nfour");
    sim.keys("y");
    assert_eq!(sim.datagrams(), ["10.0.0.3:7001 three␊four"]);
    assert_eq!(sim.sent(), "");
}

#[test]
fn a_line_that_fails_is_brought_back_by_up_and_the_sent_ones_are_counted() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("/msg nobody ");
    sim.paste("one\ntwo");
    sim.keys("y");
    assert_eq!(sim.sent(), "");
    assert_eq!(
        sim.last_message(),
        "!! not sent to nobody: nobody here has that name"
    );
    assert_eq!(sim.line(), "");
    sim.keys("\x1b[A");
    assert_eq!(sim.line(), "/msg nobody one␊two");
    sim.keys("\x15");
    sim.paste(&format!("one\n{}\nthree", "x".repeat(5000)));
    sim.keys("y");
    assert_eq!(sim.sent(), "SAY 1 one\n");
    assert!(
        sim.messages()
            .contains(&"!! only 1 of 3 lines were sent".to_owned())
    );
    assert_eq!(sim.line(), "");
    sim.keys("\x1b[A");
    assert!(sim.line().starts_with("xxx"));
}

#[test]
fn more_lines_than_fit_are_counted() {
    let mut sim = Sim::in_a_room(30, 6);
    sim.paste(
        &(1..=20)
            .map(|number| format!("line {number}\n"))
            .collect::<String>(),
    );
    sim.shows(
        "|
         || line 1
         || and 19 more
         | alice · 2 in the clear
         |send 20 lines as one message?
         |y: yes  n: no  e: edit █",
    );
}
