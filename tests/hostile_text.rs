//! Text that attacks whatever displays it, sent in every possible way.

use crate::harness::{
    Client, FakeServer, HOSTILE_TEXTS, LegacyClient, Plain, Rich, Server, Stage, Terminal,
    assert_lines_are_safe, assert_screen_is_safe, at_once,
};
use std::net::SocketAddr;

/// High enough that no line scrolls away: direct and relayed messages arrive in any order.
const SIZE: (u16, u16) = (100, 250);

const FAST: [&str; 4] = ["--rate", "1000000", "--burst", "1000000"];

fn on_screen(nick: &str, server: SocketAddr, journal: &crate::harness::Journal) -> Terminal {
    let terminal = Terminal::start(nick, server, &["--nick", nick], SIZE, journal);
    terminal.expect(&format!("you are {nick}@"));
    terminal
}

/// One receiver of each kind.
struct Audience {
    server: Server,
    plain: Plain,
    rich: Rich,
    lines: Client,
    screen: Terminal,
}

impl Audience {
    fn new() -> Self {
        let server = Server::start(&FAST);
        Self {
            plain: server.plain_named("plain"),
            rich: server.rich("rich"),
            lines: server.client("lines"),
            screen: on_screen("screen", server.address, &server.journal),
            server,
        }
    }

    /// Checks that every receiver shows this message on a line of its own, and that everything before it was safe.
    #[track_caller]
    fn assert_unharmed(&mut self, door: &str) {
        let mut good = self.server.plain_named("good");
        good.line(&format!("all is well after {door}"));
        let line = format!("from good@{}: all is well after {door}", good.id());
        let mut heard = self.plain.until(&line);
        assert_eq!(heard.pop(), Some(line.clone()));
        assert_lines_are_safe(&format!("{door}: nc"), heard.join("\n").as_bytes());
        let heard = self.rich.until(&format!("all is well after {door}"));
        assert_lines_are_safe(&format!("{door}: the protocol"), heard.join("\n").as_bytes());
        self.lines.shows().expect_line(&line);
        for (name, feed) in [
            ("output", self.lines.shows()),
            ("diagnostics", self.lines.complains()),
        ] {
            assert_lines_are_safe(&format!("{door}: line mode, {name}"), &feed.bytes());
        }
        let row = self.screen.expect(&format!("good  all is well after {door}"));
        assert!(begins(&row, "good"), "{door}: {row:?} begins with something else");
        self.screen.expect_line(">");
        let rows = self.screen.rows();
        assert!(
            rows[rows.len() - 2].starts_with(" screen in "),
            "{door}: no status line: {rows:#?}"
        );
        assert_screen_is_safe(&format!("{door}: full screen"), &self.screen.written());
        good.line("/quit");
        good.until_end();
        // The log is in order, so this waits for everything up to now.
        self.server.log_so_far("");
        assert_lines_are_safe(&format!("{door}: log"), &self.server.log().bytes());
    }
}

/// A line with this beginning.
fn line(before: &str, hostile: &[u8]) -> Vec<u8> {
    [before.as_bytes(), hostile, b"\n"].concat()
}

/// Hundreds of code points that form a single grapheme cluster.
fn endless_clusters() -> Vec<(&'static str, Vec<u8>)> {
    let hangul = format!("\u{1100}{}", "\u{1161}".repeat(1000));
    let flags = "\u{1F1E9}".repeat(801);
    let keycaps = "1\u{FE0F}\u{20E3}".repeat(400);
    let conjunct = format!("\u{915}{}", "\u{94D}\u{915}".repeat(600));
    let thai = format!("\u{E01}{}", "\u{E33}".repeat(1000));
    [
        ("an endless syllable", hangul),
        ("an odd number of half flags", flags),
        ("keycaps", keycaps),
        ("an endless conjunct", conjunct),
        ("vowels that are no marks", thai),
    ]
    .map(|(name, text)| (name, text.into_bytes()))
    .into()
}

#[test]
fn hostile_lines_of_plain_users_are_shown_safely() {
    let mut all = Audience::new();
    let mut rude = all.server.plain("rude");
    for (_, hostile) in HOSTILE_TEXTS {
        for door in [
            "",
            "/me ",
            "/nick ",
            "/nick x",
            "/",
            "/msg ",
            "/msg nobody ",
            "//",
        ] {
            rude.send(line(door, hostile));
        }
        for to in ["plain", "rich", "lines", "screen"] {
            rude.send(line(&format!("/msg {to} "), hostile));
        }
    }
    let heard = rude.sync("that was all");
    assert_lines_are_safe("the sender itself", heard.join("\n").as_bytes());
    all.assert_unharmed("messages at nc");
}

#[test]
fn hostile_messages_of_rich_clients_are_shown_safely() {
    let mut all = Audience::new();
    let mut rude = all.server.rich("rude");
    let ids = [all.plain.id(), all.rich.id(), all.lines.id()].map(str::to_owned);
    let seq = 1_u64 << 63;
    for (number, (_, hostile)) in HOSTILE_TEXTS.iter().enumerate() {
        rude.send(line(&format!("SAY {} ", number + 1), hostile));
        for verb in ["NICK ", "NICK x", "", "RELAY ", "PUNCH ", "CONFIRM ", "PING "] {
            rude.send(line(verb, hostile));
        }
        for id in &ids {
            rude.send(line(&format!("WHISPER {id} {seq} "), hostile));
            rude.send(line(&format!("RELAY {id} "), hostile));
        }
        rude.send(line(&format!("WHISPER 10.0.0.1:1 {seq} "), hostile));
    }
    for _ in 0..HOSTILE_TEXTS.len() {
        rude.say("next");
    }
    // Some texts were valid nicks, so the name may have changed.
    rude.say("that was all");
    let heard = rude.until("that was all");
    assert_lines_are_safe("the sender itself", heard.join("\n").as_bytes());
    all.assert_unharmed("messages of a client");
}

#[test]
fn hostile_names_in_hello_are_shown_safely() {
    let mut all = Audience::new();
    for (_, hostile) in HOSTILE_TEXTS {
        let mut rude = all.server.connect("rude");
        let greeting = rude.expect("* chat version 1: ");
        let hello = [b"HELLO 1 ".as_slice(), hostile, b" - -"].concat();
        rude.seal(&greeting, [3; 32], hello);
        rude.close();
    }
    all.assert_unharmed("names in HELLO");
}

#[test]
fn endless_characters_are_shown_safely() {
    let mut all = Audience::new();
    let mut rude = all.server.plain("rude");
    for (name, text) in endless_clusters() {
        rude.send(line("", &text));
        rude.send(line("/msg screen ", &text));
        rude.send(line("/nick ", &text));
        rude.line(&format!("after {name}"));
        rude.expect(&format!(": after {name}"));
        let row = all.screen.expect(&format!("  after {name}"));
        assert!(begins(&row, rude.id()), "{row:?}");
    }
    all.assert_unharmed("endless characters");
}

/// Whether the row of a message begins with this name, behind a time or blanks.
fn begins(row: &str, name: &str) -> bool {
    let (time, rest) = row.split_at(5);
    let is_time = time.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | ' '));
    is_time && rest.trim_start().starts_with(&format!("{name}  "))
}

/// On a terminal that reorders text, the mark keeps a name before what its user says. `nc` and pipes receive none.
#[test]
fn names_from_right_to_left_keep_their_place_on_a_terminal() {
    let mut all = Audience::new();
    let options = ["--line-mode", "--nick", "typing"];
    let typing = Terminal::start("typing", all.server.address, &options, SIZE, &all.server.journal);
    typing.expect("you are typing@");
    let mut rude = all.server.plain("rude");
    rude.send(line("/nick ", "\u{5D0}".as_bytes()));
    rude.line("\u{5D1}");
    rude.line("bob: \u{5D1}");
    let name = format!("\u{5D0}@{}", rude.id());
    all.plain.expect(&format!("from {name}: bob: \u{5D1}"));
    all.lines
        .shows()
        .expect_line(&format!("from {name}: bob: \u{5D1}"));
    typing.expect(": bob: \u{5D1}");
    let written = String::from_utf8(typing.written()).unwrap();
    let marked = name.replace('@', "\u{200E}@");
    for line in [
        format!("\u{200E}from {marked}: \u{5D1}\r"),
        format!("\u{200E}{} is now {marked}\r", rude.id()),
    ] {
        assert!(written.contains(&line), "{line:?} in {written:?}");
    }
    all.screen.expect("bob: \u{5D1}");
    let written = String::from_utf8(all.screen.written()).unwrap();
    let after_name = written.split("\u{5D0}\x1b[0m\u{200E}").nth(1);
    assert!(
        after_name.is_some_and(|after| after.contains("  ")),
        "{written:?}"
    );
    all.assert_unharmed("a name from right to left");
}

/// One character to the client, a thousand columns to a terminal that does not know it. It stays in its row because the
/// client turns wrapping off. The emulator does not implement that mode, so this test looks at the bytes.
#[test]
fn a_giant_emoji_is_drawn_in_place_and_does_not_wrap() {
    let all = Audience::new();
    let mut rude = all.server.plain("rude");
    rude.line(&format!("\u{1F469}{}", "\u{200D}\u{1F469}".repeat(500)));
    rude.line(&format!("\u{1F44D}{}", "\u{1F3FD}".repeat(800)));
    rude.sync("that was all");
    all.screen.expect("that was all");
    let written = all.screen.written();
    assert_screen_is_safe("full screen", &written);
    let written = String::from_utf8(written).unwrap();
    assert!(written.contains("\x1b[?7l") && !written.contains("\x1b[?7h"));
    let family = written
        .split("\x1b[")
        .find(|piece| piece.matches('\u{1F469}').count() == 501);
    assert!(family.is_some(), "it is cut");
}

#[test]
fn hostile_datagrams_without_a_key_are_shown_safely() {
    let mut all = Audience::new();
    let rude = LegacyClient::connect("rude", all.server.address, &all.server.journal);
    all.screen.expect(&format!("+ {}", rude.id()));
    all.lines.shows().expect(&format!("{} is online", rude.id()));
    let lines = all.lines.id().to_owned();
    for (_, hostile) in HOSTILE_TEXTS {
        rude.send_private_bytes(&lines, hostile);
        rude.send_private_bytes(&lines, &[hostile, b"\n".as_slice(), hostile, b"\r\n"].concat());
    }
    for (_, text) in endless_clusters() {
        rude.send_private_bytes(&lines, &text);
    }
    rude.send_private(&lines, "that was all");
    all.lines.shows().expect_line(&format!(
        "private from {} (direct, unencrypted): that was all",
        rude.id()
    ));
    all.assert_unharmed("bare datagrams");
}

#[test]
fn hostile_sealed_messages_are_shown_safely() {
    let mut all = Audience::new();
    let mut rude = all.server.start_client("rude", &["--nick", "rude"]);
    rude.wait_until_online("rude");
    all.screen.expect("+ rude");
    for (_, hostile) in HOSTILE_TEXTS {
        for door in [
            "/msg lines ",
            "/msg screen ",
            "/msg ",
            "/query ",
            "/verify ",
            "/",
            "/nick ",
            "//",
            "",
        ] {
            rude.write(line(door, hostile));
        }
    }
    rude.line("/msg lines that was all");
    rude.line("/msg screen that was all");
    all.lines
        .expect_private(&format!("rude@{}", rude.id()), "that was all");
    all.screen.expect("rude  that was all");
    rude.end_input();
    rude.exit_code();
    for (name, feed) in [("output", rude.shows()), ("diagnostics", rude.complains())] {
        assert_lines_are_safe(&format!("its own {name}"), &feed.bytes());
    }
    all.assert_unharmed("sealed messages");
}

#[test]
fn hostile_input_of_the_full_screen_is_drawn_safely() {
    at_once(["", "/msg lines ", "/verify "], |before| {
        let mut all = Audience::new();
        for (name, hostile) in HOSTILE_TEXTS {
            // A bracketed paste is text, whatever it contains. It is inserted line by line.
            all.screen.paste(&[before.as_bytes(), hostile].concat());
            all.screen.answer("n");
            all.screen.keys("\x15");
            all.screen.paste(&[before.as_bytes(), hostile].concat());
            all.screen.answer("y");
            all.screen.keys("\r\x15");
            all.screen.answer("n");
            all.screen.keys(&format!("after {name}\r"));
            all.screen.expect(&format!("screen  after {name}"));
        }
        all.screen.keys("the last\r");
        all.screen.expect("screen  the last");
        // The frame is complete then.
        all.screen.answer("n");
        all.assert_unharmed("pastes");
    });
}

#[test]
fn every_line_of_a_hostile_server_is_shown_safely() {
    let fake_server = FakeServer::start();
    let mut lines = Client::start("alice", fake_server.address, &["--history"], &fake_server.journal);
    let mut to_lines = fake_server.accept_at(Stage::Welcomed);
    let screen = Terminal::start("bob", fake_server.address, &[], (100, 30), &fake_server.journal);
    let mut to_screen = fake_server.accept_at(Stage::Welcomed);
    for wire in [&mut to_lines, &mut to_screen] {
        for stage in ["HISTORY -", "LIVE"] {
            for (_, hostile) in HOSTILE_TEXTS {
                for before in [
                    "NOTICE ",
                    "SAID 1 10.0.0.1:1 ",
                    "SAID 1 x@10.0.0.1:1 /me ",
                    "WHISPER 10.0.0.1:1 ",
                    "ERROR other - ",
                    "ERROR nick-taken - ",
                    "ERROR too-long 1 ",
                    "USER x",
                    "USER ",
                    "JOIN 1 ",
                    "LEAVE 1 ",
                    "NICK 1 10.0.0.1:1 ",
                    "NICK 1 10.0.0.1:1 x",
                    "RELAY 10.0.0.1:1 ",
                    "PUNCH 10.0.0.1:1 ",
                    "WELCOME ",
                    "",
                ] {
                    wire.send(line(before, hostile));
                }
                wire.send(line("USER ", &[hostile, b"@10.0.0.1:1 - -".as_slice()].concat()));
                wire.send(line(
                    "JOIN 1 ",
                    &[hostile, b"@10.0.0.1:1 - -".as_slice()].concat(),
                ));
                wire.send(line("SAID 1 ", &[hostile, b"@10.0.0.1:1 hi".as_slice()].concat()));
            }
            wire.line(stage);
        }
        wire.line("SAID 1 10.0.0.1:1 that was all");
        wire.send(line("GOODBYE other ", HOSTILE_TEXTS[5].1));
    }
    lines.shows().expect("from 10.0.0.1:1: that was all");
    let row = screen.expect("that was all");
    assert!(begins(&row, "10.0.0.1:1"), "{row:?}");
    drop((to_lines, to_screen));
    assert_eq!(lines.exit_code(), 1);
    screen.expect("offline, retrying");
    for (name, feed) in [("output", lines.shows()), ("diagnostics", lines.complains())] {
        assert_lines_are_safe(name, &feed.bytes());
    }
    assert_screen_is_safe("full screen", &screen.written());
}

#[test]
fn the_first_line_of_a_hostile_server_is_shown_safely() {
    for (name, hostile) in HOSTILE_TEXTS {
        for before in [
            "* chat version ",
            "* ",
            "",
            "10.0.0.1:1 is online",
            "from 10.0.0.1:1: ",
        ] {
            let fake_server = FakeServer::start();
            let mut client = Client::start("alice", fake_server.address, &["--clear"], &fake_server.journal);
            let mut wire = fake_server.accept();
            wire.send(line(before, hostile));
            wire.half_close();
            assert_eq!(client.exit_code(), 1, "{before}{name}");
            assert_ne!(client.complains().lines(), [""; 0], "{before}{name}");
            for feed in [client.shows(), client.complains()] {
                assert_lines_are_safe(name, &feed.bytes());
            }
        }
    }
}
