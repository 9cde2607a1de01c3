//! What came while the user did not look.

use super::*;

const BOB: &str = "bob@10.0.0.2:6000";
const FOCUS: &str = "\x1b[I";
const NO_FOCUS: &str = "\x1b[O";

/// A private message of bob.
fn whisper(sim: &mut Sim, text: &str) {
    let now = sim.now();
    let address = "10.0.0.2:6001".parse().unwrap();
    sim.session.datagram(address, text.as_bytes(), now);
    sim.pass_on();
}

fn notifications(sim: &mut Sim) -> Vec<String> {
    let effects = std::mem::take(&mut sim.effects).into_iter();
    let shown = effects.filter_map(|effect| match effect {
        Effect::Notify { from, text } => Some(format!("{from}: {text}")),
        _ => None,
    });
    shown.collect()
}

#[test]
fn a_line_shows_where_unseen_messages_begin() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.say(BOB, "seen");
    sim.frame();
    sim.burst(NO_FOCUS);
    sim.say(BOB, "alice: are you there?");
    sim.say("carol@10.0.0.3:7000", "she is away");
    whisper(&mut sim, "psst");
    sim.shows(
        "|
         |22:14      bob  seen
         |      ---- new since 22:15 ----
         |22:15 !    bob  alice: are you there?
         |22:16    carol  she is away
         |      <    bob  psst  unencrypted
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear     @1 p1
         |> █",
    );
    // The line stays where it is, until a message comes while nobody looks again.
    sim.burst(FOCUS);
    sim.say(BOB, "welcome back");
    sim.shows(
        "|22:14      bob  seen
         |      ---- new since 22:15 ----
         |22:15 !    bob  alice: are you there?
         |22:16    carol  she is away
         |      <    bob  psst  unencrypted
         |22:17      bob  welcome back
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
         |> █",
    );
    sim.burst(NO_FOCUS);
    sim.say(BOB, "and again");
    assert_eq!(
        sim.messages()[4..],
        ["---- new since 22:18 ----", "22:18 bob and again"]
    );
}

#[test]
fn a_narrow_screen_shows_the_line_and_the_counts_too() {
    let mut sim = Sim::with(&["--timestamps=off"], 20, 5);
    sim.join(ME, 0);
    sim.burst(NO_FOCUS);
    sim.say(BOB, "alice: look");
    sim.shows(
        "|  /help lists more
         |---- new ----
         |bob! alice: look
         | alice, 2 clear @1
         |> █",
    );
    let mut sim = Sim::in_a_room(20, 4);
    sim.burst(NO_FOCUS);
    sim.say(BOB, "hello");
    assert_eq!(sim.messages(), ["---- new ----", "bob: hello"]);
}

#[test]
fn messages_below_a_scrolled_view_are_unseen() {
    let mut sim = Sim::in_a_room(40, 6);
    for number in 1..=20 {
        sim.say(BOB, &format!("line {number}"));
    }
    sim.frame();
    sim.keys("\x1b[5~");
    sim.say(BOB, "Alice!");
    sim.say(BOB, "no answer");
    assert_eq!(sim.drawn()[4], " alice · 2 in the clear     @1  2 below");
    sim.keys("\x1b[1;5F");
    sim.shows(
        "|22:33 bob: line 20
         |---- new since 22:34 ----
         |22:34!bob: Alice!
         |22:35 bob: no answer
         | alice · 3 here · 2 in the clear
         |> █",
    );
    // Typing shows that the user looks, also in a terminal that does not say so.
    sim.burst(NO_FOCUS);
    sim.keys("x");
    sim.say(BOB, "alice: hi");
    assert!(!sim.drawn()[4].contains('@'));
}

#[test]
fn focus_reports_are_neither_keys_nor_pasted() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("ab");
    sim.burst(&format!("c{NO_FOCUS}d{FOCUS}"));
    assert_eq!(sim.line(), "abcd");
    sim.keys("\x04");
    sim.burst("\x1b[200~pasted ");
    sim.burst(FOCUS);
    sim.burst("text\x1b[201~");
    assert_eq!(sim.line(), "abcdpasted text");
    // A report beside the answer to a question leaves it an answer.
    sim.keys("\x15\x04");
    sim.burst(&format!("n{NO_FOCUS}"));
    assert_eq!(sim.drawn()[7], "> █");
}

#[test]
fn mentions_and_private_messages_notify_while_the_terminal_has_no_focus() {
    let mut sim = Sim::with(&["--highlight", "rack3  exam me"], 60, 8);
    sim.join(ME, 0);
    for text in ["alice: a", "rack3 is down"] {
        sim.say(BOB, text);
    }
    assert_eq!(notifications(&mut sim), [""; 0]);
    sim.burst(NO_FOCUS);
    for (text, notified) in [
        ("alice: \u{202E}b\x1b]0;x\x07", &["bob: alice: b␛]0;x␇"][..]),
        ("Rack3 is up", &["bob: Rack3 is up"]),
        ("the exams", &[]),
        ("/me finds alice", &["bob: * finds alice"]),
        // The command is no word of the text.
        ("/me waves", &[]),
    ] {
        sim.say(BOB, text);
        assert_eq!(notifications(&mut sim), notified);
    }
    whisper(&mut sim, "psst");
    assert_eq!(notifications(&mut sim), ["bob: psst"]);
    assert_eq!(
        sim.drawn()[6],
        " alice in 10.0.0.9:9000 · 3 here · 2 in the clear     @3 p1"
    );
}

#[test]
fn the_wheel_scrolls_as_reports_and_as_many_arrows() {
    let mut sim = Sim::in_a_room(40, 6);
    for number in 1..=20 {
        sim.say(BOB, &format!("line {number}"));
    }
    sim.frame();
    for (bytes, last) in [
        ("\x1b[<64;10;5M", 17),
        // With Shift, and two notches at once.
        ("\x1b[<68;200;100M\x1b[<64;10;5M", 11),
        ("\x1b[<65;10;5M", 14),
        // Presses of buttons.
        ("\x1b[<0;10;5M\x1b[<0;10;5m\x1b[<2;10;5M", 14),
        ("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A", 9),
        ("\x1bOB\x1bOB\x1bOB", 12),
    ] {
        sim.burst(bytes);
        assert_eq!(
            sim.last_message(),
            format!("22:{} bob: line {last}", 13 + last),
            "{bytes:?}"
        );
        assert_eq!(sim.line(), "");
    }
    // Fewer arrows are keys, and so are arrows among others.
    sim.keys("one\rtwo\r");
    sim.burst("\x1b[A\x1b[A");
    assert_eq!(sim.line(), "one");
    sim.burst("\x1b[B\x1b[B\x1b[Bx");
    assert_eq!(sim.line(), "x");
}
