//! No text can forge or break what others read.

use crate::sim::{Sim, limits, ms};
use chat_proto::plain::ServerLine;
use chat_proto::rich::FromServer;
use chat_proto::{LINE_MAX, TEXT_MAX};

#[test]
fn no_text_forges_a_line() {
    let mut sim = Sim::new(limits());
    let (talker, plain) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.2:1"));
    let rich = sim.rich("10.0.0.3:1", "rick");
    let texts = [
        "10.0.0.2:1 is offline",
        "* the server is shutting down",
        "from 10.0.0.2:1: I owe you",
        "a\rfrom 10.0.0.2:1: I owe you",
        "a\u{2028}from 10.0.0.2:1: I owe you\u{85}x",
        "\x1b[2J\x1b]0;mine\x07",
        "\u{202E}txet\u{202C}",
        "GOODBYE shutdown x",
        ": ",
    ];
    for text in texts {
        sim.news(plain);
        sim.news(rich);
        sim.send(talker, &format!("{text}\n"));
        sim.run(ms(0));
        let (plain, rich) = (sim.news(plain), sim.news(rich));
        assert!(
            matches!(plain[..], [ref line] if matches!(ServerLine::parse(line), Some(ServerLine::From(..))))
        );
        assert!(
            matches!(rich[..], [ref line] if matches!(FromServer::parse(line), Ok(FromServer::Said(..))))
        );
        assert!(!plain[0].contains(char::is_control) && !rich[0].contains(char::is_control));
        assert!(plain[0].starts_with("from 10.0.0.1:1: "));
    }
}

/// The lab's Qt client takes text for HTML, but `nc` does not, and only what a user sends tells them apart.
#[test]
fn markup_is_text_for_everybody() {
    let mut sim = Sim::new(limits());
    let (framed, unframed, silent) = (
        sim.plain("10.0.0.1:1"),
        sim.plain("10.0.0.2:1"),
        sim.plain("10.0.0.3:1"),
    );
    let rich = sim.rich("10.0.0.4:1", "rick");
    sim.send(framed, "hello\n");
    sim.send(unframed, "hello");
    sim.run(ms(30));
    let plain = [framed, unframed, silent];
    for peer in [framed, unframed, silent, rich] {
        sim.news(peer);
    }
    for text in [
        "first<br>Server: from bob@10.0.0.1:1234: forged",
        "if a < b && c > d { &lt; }",
        "<!-- --> <p>\t<b>x</b>",
    ] {
        sim.send(framed, &format!("{text}\n/msg 10.0.0.2:1 {text}\n"));
        sim.run(ms(0));
        let said = format!("from 10.0.0.1:1: {text}");
        for peer in plain {
            let news = sim.news(peer);
            assert_eq!(news[0], said);
            assert_eq!(news.len(), if peer == silent { 1 } else { 2 });
            assert!(news.iter().all(|line| line.ends_with(text)), "{news:?}");
        }
        let news = sim.news(rich);
        assert!(
            matches!(&*news, [line] if line.ends_with(&format!(" 10.0.0.1:1 {text}"))),
            "{news:?}"
        );
    }
}

#[test]
fn invalid_utf8_is_replaced() {
    let mut sim = Sim::new(limits());
    let talker = sim.plain("10.0.0.1:1");
    sim.send_bytes(talker, b"caf\xE9 \xF0\x9F\n");
    sim.run(ms(0));
    assert_eq!(sim.news(talker), ["from 10.0.0.1:1: caf\u{FFFD} \u{FFFD}"]);
}

#[test]
fn an_overlong_line_is_an_error_and_the_next_is_processed() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.1:1"), sim.rich("10.0.0.2:1", "rick"));
    sim.news(plain);
    sim.send(plain, &format!("{}\nnext\n", "x".repeat(LINE_MAX)));
    sim.send(rich, &format!("SAY 1 {}\nSAY 1 next\n", "x".repeat(LINE_MAX)));
    sim.run(ms(0));
    assert_eq!(
        sim.news(plain),
        [
            "* not sent: a line has at most 4096 bytes",
            "from 10.0.0.1:1: next",
            "from rick@10.0.0.2:1: next"
        ]
    );
    assert_eq!(
        sim.news(rich),
        [
            "SAID - 10.0.0.1:1 next",
            "ERROR too-long - not sent: a line has at most 4096 bytes",
            "SAID - rick@10.0.0.2:1 next"
        ]
    );
}

#[test]
fn a_text_is_measured_after_cleaning() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.1:1"), sim.rich("10.0.0.2:1", "rick"));
    sim.news(plain);
    // With control characters in its first line it would be a program of another protocol.
    sim.send(plain, "hello\n");
    sim.run(ms(0));
    sim.news(plain);
    let fits = "\x01".repeat(TEXT_MAX / 3);
    sim.send(plain, &format!("{fits}\n{fits}\x01\n/msg rick {fits}\x01\n"));
    sim.run(ms(0));
    let refused = format!("* not sent: a message has at most {TEXT_MAX} bytes");
    let shown = format!("from 10.0.0.1:1: {}", "␁".repeat(TEXT_MAX / 3));
    assert_eq!(sim.news(plain), [shown, refused.clone(), refused]);
    sim.news(rich);
    sim.send(
        rich,
        &format!("SAY 5 {fits}\x01\nWHISPER 10.0.0.1:1 6 {fits}\x01\n"),
    );
    sim.run(ms(0));
    let refused = |seq| format!("ERROR too-long {seq} not sent: a message has at most {TEXT_MAX} bytes");
    assert_eq!(sim.news(rich), [refused(5), refused(6)]);
}

#[test]
fn the_longest_message_arrives_whole() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.1:1"), sim.rich("10.0.0.2:1", "rick"));
    sim.news(plain);
    let longest = "x".repeat(TEXT_MAX);
    sim.send(
        rich,
        &format!("SAY 1 {longest}\nWHISPER 10.0.0.1:1 2 {longest}\n"),
    );
    sim.run(ms(0));
    let heard = ["from", "private from"].map(|how| format!("{how} rick@10.0.0.2:1: {longest}"));
    assert_eq!(sim.news(plain), heard);
}

#[test]
fn a_message_is_read_and_delivered_in_one_turn() {
    let mut sim = Sim::new(limits());
    let (talker, other) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.2:1"));
    let turns = sim.turns;
    sim.send(talker, "hello\n");
    sim.run(ms(1000));
    assert_eq!(sim.news(other), ["from 10.0.0.1:1: hello"]);
    assert_eq!(sim.turns, turns + 1);
}

#[test]
fn no_line_of_the_server_exceeds_its_limit() {
    let mut sim = Sim::new(limits());
    let nick = "ё".repeat(32);
    let address = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535";
    let plain = sim.plain(address);
    let rich = sim.rich("[1111:2222:3333:4444:5555:6666:7777:8889]:65535", &"ж".repeat(32));
    sim.send(plain, &format!("/nick {nick}\n"));
    for filler in ["\x01", "\u{FFFD}", "x", "\u{85}"] {
        let long = filler.repeat(4000 / filler.len());
        for line in [
            long.clone(),
            format!("/{long}"),
            format!("/nick {long}"),
            format!("/msg {long} x"),
            format!("/msg {address} {long}"),
            format!("/me {long}"),
        ] {
            sim.send(plain, &format!("{line}\n"));
        }
        for line in [
            format!("SAY 18446744073709551615 {long}"),
            format!("WHISPER {address} 18446744073709551615 {long}"),
            format!("NICK {long}"),
            long.clone(),
        ] {
            sim.send(rich, &format!("{line}\n"));
        }
    }
    sim.send_bytes(plain, &[b"/".as_slice(), &[0xFF; 4000], b"\n"].concat());
    sim.run(ms(10));
    for peer in [plain, rich] {
        for line in sim.lines(peer).0 {
            assert!(
                line.len() < chat_proto::SERVER_LINE_MAX,
                "{} bytes: {line:.60}",
                line.len()
            );
        }
    }
}

#[test]
fn the_plain_dialect_carries_no_rich_line() {
    let mut sim = Sim::new(limits());
    let plain = sim.plain("10.0.0.1:1");
    let rich = sim.rich("10.0.0.2:1", "rick");
    sim.send(rich, "SAY 1 hi\nNICK rock\nWHISPER 10.0.0.1:1 2 psst\nRELAY 10.0.0.1:1 AAAA\nPUNCH 10.0.0.1:1\nSPARKLE\nQUIT\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(plain),
        [
            "rick@10.0.0.2:1 is online",
            "from rick@10.0.0.2:1: hi",
            "rick@10.0.0.2:1 is now rock@10.0.0.2:1",
            "private from rock@10.0.0.2:1: psst",
            "rock@10.0.0.2:1 is offline",
        ]
    );
}

#[test]
fn a_mistyped_command_is_not_broadcast() {
    let mut sim = Sim::new(limits());
    let (typist, witness) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.2:1"));
    sim.news(typist);
    sim.send(typist, "/nikc secret\n//nick\n\n  \n/me waves\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(typist),
        [
            "* not sent: no such command: /nikc; /help lists the commands",
            "from 10.0.0.1:1: /nick",
            "* 10.0.0.1:1 waves",
        ]
    );
    sim.news(witness);
}

#[test]
fn a_message_of_several_rows_is_one_line_of_limited_rows() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.1:1"), sim.rich("10.0.0.3:1", "rick"));
    let rows = |count: usize| vec!["x"; count].join("␊");
    sim.news(plain);
    sim.news(rich);
    let (fits, long) = (rows(50), rows(51));
    sim.send(
        rich,
        &format!("SAY 1 {long}\nSAY 2 {fits}\nWHISPER 10.0.0.1:1 3 {long}\nWHISPER 10.0.0.1:1 4 {fits}\n"),
    );
    sim.run(ms(0));
    assert_eq!(
        sim.news(plain),
        [
            format!("from rick@10.0.0.3:1: {fits}"),
            format!("private from rick@10.0.0.3:1: {fits}")
        ]
    );
    let refused = |seq| format!("ERROR too-long {seq} not sent: a message has at most 50 lines");
    let news = sim.news(rich);
    assert!(
        news.contains(&refused(1)) && news.contains(&refused(3)),
        "{news:?}"
    );
    sim.send(plain, &format!("{long}\n/nick a␊b\n"));
    sim.run(ms(0));
    let news = sim.news(plain);
    assert!(
        news[0].starts_with("* not sent: a message has at most 50 lines"),
        "{news:?}"
    );
    assert!(news.len() == 2 && news[1].starts_with("* "), "{news:?}");
}
