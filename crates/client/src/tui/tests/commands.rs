//! What each command does.

use super::*;
use crate::command::COMMANDS;
use crate::private::verify_code;

#[test]
fn who_lists_everybody_by_nick_in_columns() {
    for command in ["/who", "/names"] {
        let mut sim = Sim::in_a_room(60, 10);
        sim.hear("USER Ann@10.0.0.4:7000 - -\nUSER 10.0.0.9:7000 - -\nUSER zoe@10.0.0.5:7000 - -\n");
        sim.hear("OPERATOR alice@10.0.0.1:5000\nAWAY zoe@10.0.0.5:7000 x)  mallory (operator\n");
        sim.keys(&format!("{command}\r"));
        assert_eq!(
            sim.drawn()[2..8],
            [
                "      -- 6 users are here:",
                "      --   alice (operator)      Ann (in the clear)",
                "      --   bob (in the clear)    carol (in the clear)",
                "      --   zoe (in the clear, away)",
                "      --   10.0.0.9:7000 (in the clear)",
                "      --   zoe is away: x)  mallory (operator",
            ]
        );
    }
}

#[test]
fn who_with_a_lists_addresses_and_paths() {
    let mut sim = Sim::in_a_room(80, 8);
    sim.keys("/who -a\r");
    assert_eq!(
        sim.messages(),
        [
            "-- 3 users are here:",
            "-- alice@10.0.0.1:5000",
            "-- bob@10.0.0.2:6000 (in the clear; direct, unencrypted)",
            "-- carol@10.0.0.3:7000 (in the clear; direct, unencrypted)"
        ]
    );
}

#[test]
fn a_reply_goes_to_the_last_writer() {
    let mut sim = Sim::in_a_room(60, 8);
    sim.keys("/r hi\r");
    assert_eq!(sim.last_message(), "!! nobody has written to you privately yet");
    assert_eq!(sim.failed_line(), "/r hi");
    sim.hear("WHISPER bob@10.0.0.2:6000 psst\nWHISPER carol@10.0.0.3:7000 psst\n");
    sim.keys("\r/reply ho\r");
    assert_eq!(sim.datagrams(), ["10.0.0.3:7001 hi", "10.0.0.3:7001 ho"]);
}

#[test]
fn the_prompt_names_the_recipient_of_a_query() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("/query bob\r");
    sim.keys("hello//\r/me waves\r//x\r");
    assert_eq!(
        sim.datagrams(),
        [
            "10.0.0.2:6001 hello//",
            "10.0.0.2:6001 /me waves",
            "10.0.0.2:6001 /x"
        ]
    );
    assert_eq!(sim.sent(), "");
    sim.keys("/clear\ryes");
    sim.shows(
        "|
         |
         | alice · 3 here · 2 in the clear               to bob alone
         |[bob] yes█",
    );
    sim.keys("\x15/q carol\r/q nobody\r");
    assert_eq!(
        sim.last_message(),
        "!! can't query nobody: nobody here has that name"
    );
    sim.keys("for nobody\r");
    assert_eq!((sim.sent(), sim.datagrams()), (String::new(), vec![]));
    sim.keys("/q\rto all\r");
    assert_eq!(sim.sent(), "SAY 1 to all\n");
    sim.keys("/q\r");
    assert_eq!(sim.sent(), "");
}

#[test]
fn after_the_recipient_left_a_query_sends_nothing() {
    let mut sim = Sim::in_a_room(70, 5);
    sim.keys("/query bob\r");
    sim.hear(&format!(
        "NICK {TIME} bob@10.0.0.2:6000 bert\nLEAVE {TIME} bert@10.0.0.2:6000\n"
    ));
    sim.keys("/clear\ra secret\r");
    assert_eq!(sim.sent(), "");
    assert_eq!(sim.datagrams(), [""; 0]);
    assert_eq!(sim.failed_line(), "a secret");
    sim.shows(
        "|
         |      !! not sent to bert@10.0.0.2:6000: that user is not here any
         |                more
         | alice in 10.0.0.9:9000 · 2 here · 1 in the clear       to bert alone
         |[bert] a secret█",
    );
}

#[test]
fn a_query_ignores_a_new_user_of_the_same_id_or_nick() {
    let newcomers = ["zoe@10.0.0.2:6000 - -", "bob@10.0.0.2:6001 - -"];
    for newcomer in newcomers {
        let mut sim = Sim::in_a_room(70, 8);
        sim.keys("/query bob\r");
        sim.hear("WHISPER bob@10.0.0.2:6000 hi\n");
        sim.hear(&format!(
            "LEAVE {TIME} bob@10.0.0.2:6000\nJOIN {TIME} {newcomer}\n"
        ));
        sim.keys("a secret\r");
        sim.keys("\x15/reply a secret\r");
        assert_eq!(sim.sent(), "", "{newcomer}");
        assert_eq!(sim.datagrams(), [""; 0], "{newcomer}");
    }
}

#[test]
fn a_query_follows_a_key_to_a_new_id() {
    let (key, other) = (keys(2).public(), keys(3).public());
    let mut sim = Sim::in_a_room(70, 6);
    sim.hear(&format!("JOIN {TIME} dave@10.0.0.4:1 - {key}\n"));
    sim.keys("/query dave\r");
    sim.hear(&format!(
        "LEAVE {TIME} dave@10.0.0.4:1\nJOIN {TIME} dave@10.0.0.4:1 - {other}\n"
    ));
    sim.keys("a secret\r");
    assert_eq!(sim.failed_line(), "a secret");
    sim.hear(&format!("JOIN {TIME} david@10.0.0.5:2 - {key}\n"));
    sim.keys("\r");
    assert_eq!(sim.last_message(), "> david a secret sending");
    assert_eq!(sim.drawn()[5], "[david] █");
}

#[test]
fn whois_shows_address_and_encryption() {
    let mut sim = Sim::in_a_room(100, 5);
    sim.hear("JOIN 1700000000000 dave@10.0.0.4:8000 10.0.0.4:8001 -\n");
    sim.keys("/whois dave\r");
    let known = "-- dave@10.0.0.4:8000: private messages are unencrypted (UDP 10.0.0.4:8001)";
    assert_eq!(sim.last_message(), known);
    sim.keys("/whois zoe\r");
    assert_eq!(sim.last_message(), "!! zoe: nobody here has that name");
}

#[test]
fn verify_shows_a_code_to_compare() {
    let mut sim = Sim::in_a_room(80, 9);
    let key = keys(2).public();
    sim.hear(&format!("JOIN {TIME} dave@10.0.0.4:8000 - {key}\n"));
    sim.keys("/verify dave\r");
    let code = verify_code(&keys(1).public(), &key);
    assert!(sim.messages().join(" ").contains(&code));
    sim.keys("/verify bob\r");
    assert_eq!(
        sim.last_message(),
        "!! nothing to compare with bob: that user has no key"
    );
    assert_eq!(sim.failed_line(), "/verify bob");
}

#[test]
fn nick_asks_the_server() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("/nick alicia\r");
    assert_eq!(sim.sent(), "NICK alicia\n");
    sim.hear(&format!("NICK {TIME} {ME} alicia\n"));
    sim.shows(
        "|
         |22:13         = alice is now alicia
         | alicia in 10.0.0.9:9000 · 3 here · 2 in the clear    /help
         |> █",
    );
    sim.keys("/nick a b\r");
    assert_eq!(sim.last_message(), "!! a nick has no spaces");
    assert_eq!(sim.failed_line(), "/nick a b");
}

#[test]
fn me_is_an_action() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("/me waves\r");
    assert_eq!(sim.sent(), "SAY 1 /me waves\n");
    sim.hear(&format!("SAID {TIME} {ME} /me waves\n"));
    assert_eq!(sim.last_message(), "22:13 * alice waves");
}

#[test]
fn two_slashes_send_one() {
    let mut sim = Sim::in_a_room(60, 4);
    sim.keys("//etc/passwd\r");
    assert_eq!(sim.sent(), "SAY 1 /etc/passwd\n");
}

#[test]
fn an_ignored_user_is_hidden() {
    let mut sim = Sim::in_a_room(70, 8);
    sim.keys("/ignore bob\r/clear\r");
    sim.say("bob@10.0.0.2:6000", "alice: hello");
    sim.hear("WHISPER bob@10.0.0.2:6000 psst\n");
    assert_eq!(sim.messages(), [""; 0]);
    assert_eq!(sim.effects, []);
    sim.keys("/ignore\r");
    assert_eq!(sim.last_message(), "-- ignored: bob@10.0.0.2:6000");
    sim.keys("/unignore bob\r");
    sim.say("bob@10.0.0.2:6000", "hello");
    assert_eq!(sim.last_message(), "22:15 bob hello");
    sim.keys("/ignore\r");
    assert_eq!(sim.last_message(), "-- nobody is ignored");
    sim.keys("/unignore zoe\r");
    assert_eq!(sim.last_message(), "!! zoe is not ignored");
    sim.keys("\x15/ignore alice\r");
    assert_eq!(
        sim.last_message(),
        "!! that is you: only other users can be ignored"
    );
}

#[test]
fn joins_and_leaves_are_folded_shown_or_hidden() {
    let mut sim = Sim::in_a_room(60, 5);
    let join = |name: &str, port: u16| format!("JOIN {TIME} {name}@10.0.0.4:{port} - -\n");
    sim.hear(
        &[
            join("dave", 1),
            join("erin", 2),
            format!("LEAVE {TIME} dave@10.0.0.4:1\n"),
        ]
        .concat(),
    );
    assert_eq!(sim.messages(), ["22:13 + dave, erin; - dave"]);
    sim.say("bob@10.0.0.2:6000", "hi");
    let many: String = (1..=10).map(|port| join(&format!("u{port}"), port)).collect();
    sim.hear(&many);
    assert_eq!(
        sim.messages(),
        [
            "22:13 + dave, erin; - dave",
            "22:14 bob hi",
            "22:13 + u1, u2, u3, u4, u5, u6, u7, u8 and 2 more"
        ]
    );
    // What the user cleared stays so.
    sim.keys("/clear\r");
    sim.hear(&join("yan", 90));
    sim.keys("/clear\r");
    sim.hear(&join("yin", 91));
    assert_eq!(sim.messages(), ["22:13 + yin"]);
    sim.keys("/joins all\r/clear\r");
    sim.hear(&(join("zoe", 98) + &join("zac", 99)));
    assert_eq!(sim.messages(), ["22:13 + zoe", "+ zac"]);
    sim.keys("/joins none\r/clear\r");
    sim.hear(&join("zeb", 97));
    assert_eq!(sim.messages(), [""; 0]);
    sim.keys("/joins\r/joins some\r");
    assert_eq!(
        sim.messages(),
        [
            "-- joins and leaves are not shown",
            "!! usage: /joins [WHICH]; WHICH is fold, all, none"
        ]
    );
}

#[test]
fn the_bell_follows_its_setting() {
    let rings = |setting: &str, said: &str| {
        let mut sim = Sim::in_a_room(60, 8);
        sim.keys(&format!("{setting}\r"));
        sim.hear(said);
        sim.effects.len()
    };
    let (said, named) = (
        "SAID 1 bob@10.0.0.2:6000 hi\n",
        "SAID 1 bob@10.0.0.2:6000 hi alice\n",
    );
    let private = "WHISPER bob@10.0.0.2:6000 hi\n";
    for (setting, expected) in [
        ("", [0, 1, 1]),
        ("/bell mention", [0, 1, 1]),
        ("/bell off", [0, 0, 0]),
        ("/bell private", [0, 0, 1]),
        ("/bell all", [1, 1, 1]),
    ] {
        assert_eq!(
            [said, named, private].map(|said| rings(setting, said)),
            expected,
            "{setting}"
        );
    }
    let mut sim = Sim::in_a_room(70, 8);
    sim.keys("/bell\r");
    assert_eq!(
        sim.last_message(),
        "-- the bell rings when a message names you or is private"
    );
}

#[test]
fn history_does_not_ring() {
    let mut sim = Sim::new(60, 8);
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!(
        "WELCOME {ME} {TOKEN} {TOKEN} 0\nHISTORY -\nSAID 1 bob@10.0.0.2:6000 hi alice\nLIVE\n"
    ));
    assert_eq!(sim.effects, []);
}

#[test]
fn up_brings_back_what_the_room_refused() {
    let mut sim = Sim::in_a_room(100, 10);
    sim.keys("one\r/me waves\r//x\r");
    let sent = sim.sent();
    assert_eq!(sent, "SAY 1 one\nSAY 2 /me waves\nSAY 3 /x\n");
    sim.hear(&format!("SAID 1 {ME} one\n"));
    sim.hear("ERROR muted 2 not sent: you are muted\nERROR muted 3 not sent: you are muted\n");
    assert!(sim.last_message().ends_with("not sent: you are muted: /x"));
    sim.keys("\x1b[A");
    assert_eq!(sim.line(), "//x");
    sim.keys("\x1b[A");
    assert_eq!(sim.line(), "/me waves");
}

#[test]
fn the_topic_is_the_first_row_of_a_screen_that_is_high_enough() {
    let mut sim = Sim::in_a_room(30, 7);
    sim.hear("TOPIC bob@10.0.0.2:6000 meeting\tat 3, bring your keys\n");
    sim.keys("/clear\r");
    sim.say("bob@10.0.0.2:6000", "hi");
    sim.shows(
        "| topic: meeting at 3, bring y~
         |
         |
         |
         |22:14 bob: hi
         | alice · 2 in the clear
         |> █",
    );
    sim.screen.resize(Size { columns: 30, rows: 5 });
    assert_eq!(sim.drawn()[0], "");
    sim.screen.resize(Size { columns: 30, rows: 7 });
    // A page is one row less.
    for number in 0..20 {
        sim.say("bob@10.0.0.2:6000", &format!("line {number}"));
    }
    sim.keys("\x1b[5~");
    assert_eq!(sim.drawn()[1..5].last().unwrap(), "22:31 bob: line 16");
    sim.hear("TOPIC bob@10.0.0.2:6000\n");
    assert!(!sim.drawn()[0].contains("topic"));
}

#[test]
fn help_lists_every_command_and_every_key_without_wrapping() {
    let mut sim = Sim::in_a_room(80, 40);
    sim.keys("/help\r");
    let help = sim.messages();
    assert_eq!(help.len(), COMMANDS.len() + 1);
    for (line, entry) in help.iter().zip(COMMANDS) {
        assert!(
            line.contains(entry.usage) && line.contains(entry.about),
            "{}",
            entry.name()
        );
    }
    sim.keys("q/help keys\r");
    let help = sim.messages();
    assert_eq!(help.len(), keys::BINDINGS.len());
    for (line, binding) in help.iter().zip(keys::BINDINGS) {
        assert!(line.contains(binding.keys) && line.contains(binding.about));
    }
}

#[test]
fn help_is_a_page_that_opens_at_its_top_and_leaves_nothing_behind() {
    let mut sim = Sim::in_a_room(60, 6);
    sim.say("bob@10.0.0.2:6000", "morning");
    let before = sim.drawn();
    sim.keys("/help op\r");
    sim.shows(
        "|/kick WHO [REASON] show WHO out; back in a minute at the
         |  earliest
         |/ban WHO [REASON]  show WHO out for good, by key and address
         |/unban WHICH       lift a ban, by its number or the name in
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
         |PgUp, PgDn: scroll  q: close █",
    );
    // Down by a row, to the end, and up again.
    sim.keys("\x1b[B");
    assert_eq!(sim.drawn()[0].trim_end(), "  earliest");
    sim.keys(" \x1b[6~\x1b[6~\x1b[6~\x1b[6~\x1b[6~");
    assert_eq!(
        sim.drawn()[3].trim_end(),
        "/unlock            let everybody in again"
    );
    sim.keys("\x1b[A\x1b[5~\x1b[5~\x1b[5~\x1b[5~\x1b[5~\x1b[5~");
    assert!(sim.drawn()[0].starts_with("/kick"));
    sim.keys("q");
    assert_eq!(sim.drawn(), before);
    for close in ["q", "\r", "\x1b", "\x03"] {
        sim.keys("/clear\r/help\r");
        sim.keys(close);
        assert_eq!(sim.drawn()[..4], [""; 4].map(str::to_owned), "{close:?}");
    }
    assert_eq!(sim.sent(), "");
}

#[test]
fn messages_that_arrive_while_help_is_read_are_counted_and_kept() {
    let mut sim = Sim::in_a_room(60, 6);
    sim.keys("/help\r");
    sim.say("bob@10.0.0.2:6000", "one");
    sim.say("bob@10.0.0.2:6000", "two");
    assert!(sim.drawn()[0].starts_with("/msg WHO TEXT"));
    assert_eq!(sim.drawn()[5], "2 new; PgUp, PgDn: scroll  q: close █");
    sim.say("bob@10.0.0.2:6000", "alice: three");
    assert!(sim.drawn()[4].contains("@1"), "{}", sim.drawn()[4]);
    sim.keys("hello");
    assert_eq!(sim.sent(), "");
    sim.keys("\r");
    assert_eq!(
        sim.messages(),
        [
            "---- new since 22:14 ----",
            "22:14 bob one",
            "22:15 bob two",
            "22:16 ! bob alice: three",
        ]
    );
    assert!(!sim.drawn()[4].contains("@1"));
}

#[test]
fn quit_leaves() {
    for command in ["/quit", "/exit"] {
        let mut sim = Sim::in_a_room(60, 4);
        sim.keys(&format!("bye\r{command}\r"));
        assert_eq!(sim.sent(), "SAY 1 bye\n");
        sim.hear(&format!("SAID {TIME} {ME} bye\n"));
        assert_eq!(sim.sent(), "QUIT\n");
    }
}

#[test]
fn quit_waits_for_messages_and_a_second_one_does_not() {
    for again in ["/quit\r", "\x04y"] {
        let mut sim = Sim::in_a_room(80, 4);
        sim.keys("bye\r/quit\r");
        assert_eq!(
            sim.last_message(),
            "-- leaving once all your messages have arrived; /quit again leaves at once"
        );
        assert_eq!(sim.sent(), "SAY 1 bye\n");
        sim.keys(again);
        assert_eq!(sim.sent(), "QUIT\n");
        sim.wait(1000);
        assert_eq!(
            sim.session.outcome(),
            Some(&Outcome::Unacknowledged(1)),
            "{again:?}"
        );
    }
}

#[test]
fn quit_without_messages_leaves_at_once() {
    for (said, sent) in [("", ""), ("* chat version 1: hi\n", "QUIT\n")] {
        for keys in ["/quit\r", "\x04y"] {
            let mut sim = Sim::new(60, 4);
            sim.hear(said);
            sim.sent();
            sim.keys(keys);
            assert_eq!(sim.sent(), sent);
            sim.wait(1000);
            assert_eq!(sim.session.outcome(), Some(&Outcome::Left), "{said:?} {keys:?}");
        }
    }
}

#[test]
fn a_mistyped_command_is_cleared_and_up_brings_it_back() {
    let mut sim = Sim::in_a_room(70, 4);
    sim.keys("/quti now\r");
    assert_eq!(sim.sent(), "");
    sim.shows(
        "|      !! no command /quti: the nearest is /quit; // begins a message
         |                with a slash
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear               /help
         |> █",
    );
    sim.keys("/msg\r");
    assert_eq!(sim.last_message(), "!! usage: /msg WHO TEXT");
    assert_eq!(sim.line(), "");
    sim.keys("\x1b[A");
    assert_eq!(sim.line(), "/msg");
    sim.keys("\x1b[A");
    assert_eq!(sim.line(), "/quti now");
}

#[test]
fn what_is_typed_after_a_refused_line_is_a_line_of_its_own() {
    let mut sim = Sim::in_a_room(70, 8);
    sim.keys("/msg nobody psst\r");
    sim.keys("hello all\r");
    assert_eq!(sim.sent(), "SAY 1 hello all\n");
    for refused in [
        "/bell loud",
        "/whois nobody",
        "/search",
        "/nick a b",
        "/query nobody",
    ] {
        sim.keys(&format!("{refused}\r"));
        assert_eq!(sim.line(), "", "{refused}");
        sim.keys("\x1b[A");
        assert_eq!(sim.line(), refused);
        sim.keys("\x15");
    }
}

#[test]
fn every_command_works_by_name_and_alias() {
    for entry in COMMANDS {
        for name in [Some(entry.name()), entry.alias].into_iter().flatten() {
            let mut sim = Sim::in_a_room(70, 20);
            sim.keys(&format!("/{name} bob hi\r"));
            let messages = sim.messages().join(" ");
            assert!(!messages.contains("no command"), "{name}: {messages}");
            assert!(!messages.contains("only the full screen"), "{name}: {messages}");
        }
    }
}

#[test]
fn leaving_waits_for_a_file_until_asked_again() {
    let mut sim = Sim::in_a_room(80, 5);
    let key = Private::new(
        keys(2),
        Options::default(),
        Box::new(|bytes: &mut [u8]| bytes.fill(7)),
    )
    .public_key();
    sim.hear(&format!("JOIN - dave@10.0.0.4:8000 10.0.0.4:8001 {key}\n"));
    sim.keys("/clear\r/send dave report.pdf\r/quit\r");
    sim.shows(
        "|
         |      -- leaving once your file to dave has arrived: report.pdf; /quit again
         |                leaves at once
         | alice in 10.0.0.9:9000 · 4 here · 2 in the clear                         /help
         |> █",
    );
    assert!(!sim.sent().contains("QUIT"));
    sim.keys("/quit\r");
    assert!(sim.sent().contains("QUIT"));
}

#[test]
fn tab_completes_the_path_of_a_file() {
    let mut sim = Sim::in_a_room(40, 4);
    sim.screen.list = |directory| match directory.to_str() {
        Some(".") => ["Docs/", "a b.txt"].map(str::to_owned).into(),
        Some("Docs/") => vec!["report 2.pdf".into()],
        _ => Vec::new(),
    };
    for (keys, line) in [
        ("/send bob a\t", "> /send bob a b.txt"),
        ("\x15/send bob d\t", "> /send bob Docs/"),
        // The only candidate: Tab goes on in it.
        ("\t", "> /send bob Docs/report 2.pdf"),
        ("\x15/send bob \t\t", "> /send bob a b.txt"),
    ] {
        sim.keys(keys);
        let frame = sim.frame();
        let last = text_of(frame.rows.last().unwrap());
        assert_eq!(last.trim_end(), line);
    }
}
