//! Messages and events on screens of many sizes.

use super::super::url::Url;
use super::*;
use crate::files::name::FileName;
use crate::files::transfers::What;
use crate::private::Path;
use crate::session::{
    Delivery, DeliveryFailure, Direction, Event, FileNews, PrivateMessage, Transport, UnderWay,
};
use chat_proto::text::Text;
use std::rc::Rc;

#[test]
fn the_first_minute() {
    let mut sim = Sim::new(72, 14);
    sim.shows(
        "|
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         |
         | 10.0.0.9:9000                                           joining  /help
         |> █",
    );
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!("WELCOME {ME} {TOKEN} {TOKEN} 0\n"));
    sim.hear("USER bob@10.0.0.2:6000 - -\nUSER 10.0.0.3:7000 - -\nHISTORY -\n");
    sim.hear("SAID 1699900000000 bob@10.0.0.2:6000 is anybody there?\n");
    sim.hear("JOIN 1699999990000 carol@10.0.0.4:7000 - -\nLEAVE 1699999999000 carol@10.0.0.4:7000\n");
    sim.hear(&format!("LIVE\nJOIN {TIME} {ME} - -\n"));
    sim.shows(
        "|
         |
         |
         |
         |
         |
         |      -- you are alice@10.0.0.1:5000; with you are bob, 10.0.0.3:7000
         |      -- 2 users here read in the clear: bob, 10.0.0.3:7000
         |      -- Monday 13 November
         |18:26      bob  is anybody there?
         |      -- type to talk to all; /msg NICK TEXT for one user; /help lists
         |                more
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear                 /help
         |> █",
    );
}

#[test]
fn users_whose_nicks_look_alike_have_their_ids_beside_them() {
    let mut sim = Sim::in_a_room(70, 10);
    sim.say("bob@10.0.0.2:6000", "hello");
    sim.hear("JOIN - BOB@10.0.0.2:6001 - -\n");
    sim.say("BOB@10.0.0.2:6001", "the same name");
    sim.hear(&format!("JOIN {TIME} b\u{43E}b@10.0.0.4:1 - -\n"));
    sim.hear("LEAVE - BOB@10.0.0.2:6001\n");
    sim.say("b\u{43E}b@10.0.0.4:1", "the exam is moved");
    sim.keys("/query b\u{43E}\t\r");
    sim.shows(
        "|
         |
         |22:14   bob@10.0.0.2:6000  hello
         |                    + BOB@10.0.0.2:6001
         |22:15   BOB@10.0.0.2:6001  the same name
         |22:13               + bоb@10.0.0.4:1; - BOB@10.0.0.2:6001
         |22:16   bоb@10.0.0.4:1  the exam is moved
         |      -- what you type goes to bоb@10.0.0.4:1 alone, until /query
         | alice · 4 here · 3 in the clear              to bоb@10.0.0.4:1 alone
         |[bоb@10.0.0.4:1] █",
    );
}

#[test]
fn messages_actions_joins_and_renames() {
    let mut sim = Sim::in_a_room(60, 9);
    sim.say("bob@10.0.0.2:6000", "hello");
    sim.say("bob@10.0.0.2:6000", "/me waves");
    sim.hear(&format!(
        "JOIN {TIME} dave@10.0.0.4:1 - -\nNICK {TIME} dave@10.0.0.4:1 david\nLEAVE {TIME} david@10.0.0.4:1\n"
    ));
    sim.hear("NOTICE down for lunch\n");
    sim.say(ME, "bye");
    sim.shows(
        "|22:14      bob  hello
         |22:15         * bob waves
         |22:13         + dave
         |              = dave is now david
         |              - david
         |      -- server: down for lunch
         |22:16    alice  bye
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear     /help
         |> █",
    );
}

#[test]
fn long_lines_wrap_between_words_with_an_indent() {
    let mut sim = Sim::in_a_room(40, 8);
    sim.say(
        "bob@10.0.0.2:6000",
        "the quick brown fox jumps over the lazy dog, 你好世界你好世界 and on",
    );
    sim.shows(
        "|
         |
         |
         |22:14 bob: the quick brown fox jumps
         |  over the lazy dog, 你好世界你好世界
         |  and on
         | alice · 3 here · 2 in the clear
         |> █",
    );
}

#[test]
fn wide_characters_marks_and_emoji_have_their_width() {
    let mut sim = Sim::in_a_room(20, 8);
    sim.say("bob@10.0.0.2:6000", "你好世界你好世界");
    sim.say(
        "bob@10.0.0.2:6000",
        "e\u{301}e\u{301}e\u{301} 👩\u{200D}💻👨\u{200D}👩\u{200D}👧 🇩🇪 ok ok",
    );
    sim.keys("ab你好e\u{301}👩\u{200D}💻");
    sim.shows(
        "|
         |
         |bob: 你好世界你好世
         |  界
         |bob: e\u{301}e\u{301}e\u{301} 👩\u{200D}💻👨\u{200D}👩\u{200D}👧 🇩🇪 ok
         |  ok
         | alice 3, 2 clear
         |> ab你好e\u{301}👩\u{200D}💻█",
    );
    assert_eq!(sim.frame().cursor, Some((2 + 2 + 4 + 1 + 2, 7)));
}

#[test]
fn a_narrow_and_low_screen() {
    let mut sim = Sim::in_a_room(20, 5);
    sim.say("bob@10.0.0.2:6000", "hello there, how are you today?");
    sim.keys("a line that is longer than the screen");
    sim.shows(
        "|bob: hello there,
         |  how are you today?
         | alice 3, 2 clear
         |> a line that is lon
         |ger than the screen█",
    );
}

#[test]
fn a_screen_of_any_size_is_drawn() {
    for columns in 0..40 {
        for rows in 0..9 {
            let mut sim = Sim::in_a_room(columns, rows);
            sim.say("bob@10.0.0.2:6000", "hello 你好 there, how are you?");
            sim.frame();
            for keys in [
                "ab你好",
                "\x1b[5~",
                "\x1b[6~",
                "\x1b[1;5H",
                "\x0c",
                "\x15",
                "/q bob\r",
                "\x12he",
                "\x03",
                "\x04",
            ] {
                sim.keys(keys);
                sim.frame();
            }
            sim.paste("one\ntwo\nthree");
            sim.frame();
            sim.screen.resize(Size {
                columns: rows,
                rows: columns,
            });
            sim.frame();
        }
    }
}

#[test]
fn a_message_that_names_the_user_stands_out() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.say("bob@10.0.0.2:6000", "malice is not meant");
    assert_eq!(sim.effects, []);
    sim.say("bob@10.0.0.2:6000", "Alice: look");
    assert_eq!(sim.drawn_as(Role::Mention), ["Alice"]);
    assert_eq!(sim.effects, [Effect::Ring]);
}

#[test]
fn a_user_keeps_a_colour_and_own_messages_are_marked() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.say("bob@10.0.0.2:6000", "one");
    sim.say("carol@10.0.0.3:7000", "two");
    sim.say("bob@10.0.0.2:6000", "three");
    sim.say(ME, "four");
    let bob = Role::user(&"bob@10.0.0.2:6000".parse().unwrap());
    assert_eq!(sim.drawn_as(bob), ["bob", "bob"]);
    assert!(sim.drawn_as(Role::Own).contains(&"alice".to_owned()));
}

#[test]
fn a_private_message_is_updated_in_place() {
    let mut sim = Sim::in_a_room(76, 8);
    let path = |path| Transport { path, sealed: true };
    let bob: Who = "bob@10.0.0.2:6000".parse().unwrap();
    for (seq, text) in [(1, "psst"), (2, "hi")] {
        sim.screen.show(&Event::Private(PrivateMessage {
            at: TIME,
            direction: Direction::Sent(seq),
            peer: bob.clone(),
            text: Text::new(text),
            transport: path(None),
            after_gap: false,
        }));
    }
    sim.say("bob@10.0.0.2:6000", "in between");
    sim.screen.show(&Event::Private(PrivateMessage {
        at: TIME,
        direction: Direction::Received,
        peer: bob.clone(),
        text: Text::new("and you?"),
        transport: path(Some(Path::Relayed)),
        after_gap: true,
    }));
    sim.shows(
        "|
         |
         |22:13 >    bob  psst  sending
         |      >    bob  hi  sending
         |22:14      bob  in between
         |22:13 <    bob  and you?  messages before this one are missing
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear       bob: via the server
         |> █",
    );
    sim.screen.show(&Event::Delivered(Delivery {
        seq: 1,
        peer: bob.clone(),
        text: Text::new("psst"),
        transport: path(Some(Path::Direct)),
        after: Some(Duration::from_millis(3)),
    }));
    sim.screen.show(&Event::NotDelivered(DeliveryFailure {
        seq: 2,
        peer: bob,
        text: Text::new("hi"),
        reason: Text::new("the user left"),
    }));
    sim.shows(
        "|
         |
         |22:13 >    bob  psst  ok
         |      >    bob  hi  not delivered: the user left
         |22:14      bob  in between
         |22:13 <    bob  and you?  messages before this one are missing
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear        bob: direct  /help
         |> █",
    );
    sim.hear("LEAVE 1 carol@10.0.0.3:7000\n");
    assert!(sim.drawn()[6].contains("  bob: direct  "));
    sim.hear("LEAVE 1 bob@10.0.0.2:6000\n");
    assert_eq!(sim.status(), "alice in 10.0.0.9:9000 · 1 here · sealed /help");
    sim.session.set_channel(None, true);
    assert_eq!(
        sim.status(),
        "alice in 10.0.0.9:9000 · 1 here · sealed, passphrase /help"
    );
}

#[test]
fn an_unencrypted_message_is_marked_as_unconfirmed() {
    let mut sim = Sim::in_a_room(76, 4);
    sim.keys("/msg bob hello\r");
    assert_eq!(sim.last_message(), "22:13 > bob hello sending, unencrypted");
    // The client waits this long for a report that the datagram was rejected.
    sim.wait(500);
    assert_eq!(sim.last_message(), "22:13 > bob hello unconfirmed, unencrypted");
    let now = sim.now();
    sim.session
        .datagram("10.0.0.2:6001".parse().unwrap(), b"hello you", now);
    sim.pass_on();
    assert_eq!(sim.last_message(), "< bob hello you unencrypted");
}

#[test]
fn a_silent_server_may_be_none_and_the_user_is_asked() {
    const QUESTION: &str = "perhaps this is no chat server. go on? y: yes  n: leave █";
    let doubting = || {
        let mut sim = Sim::new(100, 6);
        // Neither waits this for the server alone, nor does another question replace that about it.
        sim.keys("early\r");
        sim.keys("\x12");
        sim.wait(2000);
        let messages = sim.messages().concat();
        assert!(
            messages.starts_with("-- the server says nothing: it may be no chat server (is the port right?)"),
            "{messages:?}"
        );
        sim.keys("hello\r");
        assert_eq!(sim.drawn()[5], QUESTION);
        assert_eq!(sim.sent(), "");
        sim
    };
    let mut sim = doubting();
    sim.keys("y");
    assert_eq!(sim.sent(), "early");
    sim.keys("hi\r");
    sim.wait(1000);
    assert_eq!(sim.sent(), "hi");
    let mut sim = doubting();
    sim.keys("n");
    assert_eq!(sim.session.outcome(), Some(&Outcome::Unacknowledged(1)));
    assert_eq!(sim.sent(), "");
    for greeting in ["10.0.0.1:5000 is online", "* chat version 1: you are here\n"] {
        let mut sim = doubting();
        sim.hear(greeting);
        if greeting.starts_with('*') {
            sim.hear(&format!("WELCOME {ME} {TOKEN} {TOKEN} 0\nHISTORY -\nLIVE\n"));
        }
        assert_ne!(sim.drawn()[5], QUESTION);
    }
}

#[test]
fn an_original_server_is_explained() {
    let mut sim = Sim::new(60, 20);
    sim.hear("10.0.0.1:5000 is online");
    sim.hear("10.0.0.2:6000 is online");
    sim.hear("from 10.0.0.2:6000: hi");
    sim.wait(50);
    sim.hear("a user left");
    let messages = sim.messages();
    assert!(
        messages[0].starts_with("-- this is an original server"),
        "{messages:?}"
    );
    assert_eq!(
        messages[4..],
        [
            "-- you are 10.0.0.1:5000",
            "22:13 + 10.0.0.2:6000",
            "10.0.0.2:6000 hi",
            "- somebody"
        ]
    );
}

#[test]
fn a_burst_is_bounded_and_leaves_one_frame() {
    let mut sim = Sim::in_a_room(80, 24);
    let lines: String = (0..100_000)
        .map(|number| format!("SAID {TIME} bob@10.0.0.2:6000 line {number}\n"))
        .collect();
    sim.hear(&lines);
    assert!(sim.screen.is_stale());
    assert_eq!(sim.last_message(), "bob line 99999");
    assert!(!sim.screen.is_stale());
    assert!(sim.screen.lines.iter().count() <= 1000);
}

#[test]
fn times_follow_the_setting_and_indent_the_rows() {
    let picture = |option: &str| {
        let mut sim = Sim::with(&[option], 44, 4);
        sim.join(ME, 0);
        sim.keys("/clear\r");
        sim.say(
            "bob@10.0.0.2:6000",
            "a line that is longer than the screen is wide",
        );
        sim.drawn()[..2].to_vec()
    };
    assert_eq!(
        picture("--timestamps=seconds"),
        ["22:14:20 bob: a line that is longer than the", "  screen is wide"]
    );
    assert_eq!(
        picture("--timestamps=off"),
        ["bob: a line that is longer than the screen", "  is wide"]
    );
}

#[test]
fn the_setting_decides_how_joins_are_shown() {
    let mut sim = Sim::with(&["--joins=all"], 60, 6);
    sim.join(ME, 0);
    sim.keys("/clear\r");
    sim.hear(&format!(
        "JOIN {TIME} dave@10.0.0.4:1 - -\nLEAVE {TIME} dave@10.0.0.4:1\n"
    ));
    assert_eq!(sim.messages(), ["22:13 + dave", "- dave"]);
}

#[test]
fn the_setting_decides_when_to_ring() {
    for (option, rings) in [("--bell=off", 0), ("--bell=mention", 0), ("--bell=all", 1)] {
        let mut sim = Sim::with(&[option], 60, 5);
        sim.join(ME, 0);
        sim.say("bob@10.0.0.2:6000", "hello");
        assert_eq!(
            sim.effects
                .iter()
                .filter(|&effect| *effect == Effect::Ring)
                .count(),
            rings,
            "{option}"
        );
    }
}

#[test]
fn a_wrapped_url_is_one_link() {
    const URL: &str = "https://example.com/a/path?that=is&longer=than+a+row";
    let mut sim = Sim::in_a_room(34, 10);
    sim.say("bob@10.0.0.2:6000", &format!("see {URL}. {URL}"));
    sim.shows(
        "|
         |
         |
         |22:14 bob: see
         |  https://example.com/a/path?that=
         |  is&longer=than+a+row.
         |  https://example.com/a/path?that=
         |  is&longer=than+a+row
         | alice · 3 here · 2 in the clear
         |> █",
    );
    // A match in it is a part of the link.
    sim.keys("/search path?\r");
    let frame = sim.frame();
    let mut links: Vec<(Rc<Url>, String)> = Vec::new();
    for span in frame.rows.iter().flat_map(|row| &row.0) {
        let Some(url) = &span.url else { continue };
        match links.last_mut().filter(|(last, _)| last == url) {
            Some((_, shown)) => shown.push_str(span.as_str()),
            None => links.push((Rc::clone(url), span.as_str().to_owned())),
        }
    }
    let [(first, shown), (second, again)] = links.as_slice() else {
        panic!("{links:?}");
    };
    assert_eq!([shown.as_str(), again.as_str()], [URL; 2]);
    assert!(first.opening().ends_with(&format!(";{URL}\x1b\\")), "{first:?}");
    assert_ne!(first, second);
    assert_eq!(sim.drawn_as(Role::Match), ["path?"; 2]);
    let blanks = frame.rows.iter().flat_map(|row| row.0.first());
    assert!(blanks.into_iter().all(|span| span.url.is_none()));
}

#[test]
fn days_only_go_forward() {
    const DAY: u64 = 86_400_000;
    let mut sim = Sim::in_a_room(60, 9);
    for (days, text) in [
        (1, "tomorrow"),
        (0, "set back"),
        (1, "still tomorrow"),
        (2, "forward"),
    ] {
        let at = TIME + days * DAY;
        sim.hear(&format!("SAID {at} bob@10.0.0.2:6000 {text}\n"));
    }
    for number in [1, 2] {
        let at = TIME + (number + 1) * DAY;
        sim.hear(&format!("JOIN {at} user{number}@10.0.0.7:{number} - -\n"));
    }
    sim.screen.resize(Size {
        columns: 60,
        rows: 12,
    });
    sim.shows(
        "|
         |      -- Wednesday 15 November
         |22:13      bob  tomorrow
         |22:13      bob  set back
         |22:13      bob  still tomorrow
         |      -- Thursday 16 November
         |22:13      bob  forward
         |              + user1
         |      -- Friday 17 November
         |22:13         + user2
         | alice in 10.0.0.9:9000 · 5 here · 4 in the clear     /help
         |> █",
    );
}

#[test]
fn the_status_line_says_who_reads_in_the_clear() {
    let mut sim = Sim::new(60, 4);
    let key = data_encoding::BASE64URL_NOPAD.encode(&[5; 32]);
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!("WELCOME {ME} {TOKEN} {TOKEN} 0\nUSER {ME} - -\n"));
    sim.hear(&format!("USER bob@10.0.0.2:6000 - {key}\nHISTORY -\nLIVE\n"));
    assert_eq!(sim.status(), "alice in 10.0.0.9:9000 · 2 here · sealed /help");
    assert!(!sim.messages().concat().contains("in the clear"));
    sim.hear("JOIN - 10.0.0.3:7000 - -\n");
    assert_eq!(
        sim.status(),
        "alice in 10.0.0.9:9000 · 3 here · 1 in the clear /help"
    );
    sim.hear("LEAVE - 10.0.0.3:7000\n");
    assert_eq!(sim.status(), "alice in 10.0.0.9:9000 · 2 here · sealed /help");
    // What can be read by others counts more than the number of users.
    sim.screen.resize(Size { columns: 40, rows: 4 });
    sim.hear("JOIN - 10.0.0.3:7000 - -\n");
    assert_eq!(sim.status(), "alice · 3 here · 1 in the clear");
    sim.screen.resize(Size { columns: 24, rows: 4 });
    assert_eq!(sim.status(), "alice 3, 1 clear");
}

#[test]
fn a_server_without_encryption_is_in_the_clear() {
    let mut sim = Sim::new(60, 4);
    sim.hear("10.0.0.3:7000 is online\n");
    assert_eq!(
        sim.status(),
        "10.0.0.3:7000 in 10.0.0.9:9000 · 1 here · in the clear"
    );
}

fn file(number: u32, what: What, rings: bool) -> Event {
    Event::File(FileNews {
        at: TIME,
        rings,
        who: "bob@10.0.0.2:6000".parse().unwrap(),
        number,
        is_sent: false,
        name: FileName::new(b"report.pdf"),
        size: 5_000_000,
        path: None,
        what,
    })
}

#[test]
fn a_file_is_shown_when_offered_and_when_over() {
    let mut sim = Sim::in_a_room(60, 7);
    sim.screen.show(&file(1, What::Offered, true));
    assert!(sim.screen.take_effects().contains(&Effect::Ring));
    sim.screen.show(&file(1, What::Kept, false));
    assert!(!sim.screen.take_effects().contains(&Effect::Ring));
    let shown = sim.messages().join(" ");
    assert!(
        shown.contains(
            "bob offers you a file: report.pdf (5.0 MB); /accept 1 receives it, /decline 1 does not"
        ),
        "{shown}"
    );
    assert!(
        shown.contains("report.pdf (5.0 MB) from bob is complete"),
        "{shown}"
    );
}

fn under_way(name: &str, progress: &str) -> UnderWay {
    UnderWay {
        who: "bob@10.0.0.2:6000".parse().unwrap(),
        name: FileName::new(name.as_bytes()),
        progress: progress.into(),
    }
}

#[test]
fn a_long_name_leaves_room_for_the_progress() {
    for (columns, status) in [
        (24, " alice 3, 2 clear 42%   "),
        (40, " bob: 年度报告 ~ 42 % 11 MB/s 8 s "),
        (80, "  bob: 年度报告 最终版 fin~ 42 % 11 MB/s 8 s "),
    ] {
        let mut sim = Sim::in_a_room(columns, 4);
        sim.screen.files = vec![under_way("年度报告 最终版 final.pdf", "42 % 11 MB/s 8 s")];
        let shown = text_of(&sim.screen.status_row(&sim.session, columns));
        assert!(shown.ends_with(status), "{shown:?}");
    }
}

#[test]
fn the_status_line_tells_the_progress_of_a_file() {
    let mut sim = Sim::in_a_room(80, 4);
    let status = |sim: &Sim| text_of(&sim.screen.status_row(&sim.session, 80));
    sim.screen.files = vec![under_way("report.pdf", "42 % 11 MB/s 8 s")];
    assert!(
        status(&sim).ends_with("  bob: report.pdf 42 % 11 MB/s 8 s "),
        "{}",
        status(&sim)
    );
    sim.screen.files.push(under_way("b.txt", "1 %"));
    assert!(status(&sim).ends_with(" 8 s (+1) "), "{}", status(&sim));
    // The session has no file, so the screen is drawn again.
    sim.frame();
    sim.screen.files.push(under_way("b.txt", "1 %"));
    sim.wait(0);
    assert!(sim.screen.is_stale());
}
