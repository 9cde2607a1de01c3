//! Where a message ends if its sender sends no line feed.

use crate::harness::{Server, Wire};
use std::time::{Duration, Instant};

/// A user in the room that has sent nothing yet.
#[track_caller]
fn silent(server: &Server, name: &str) -> Wire {
    let mut user = server.connect(name);
    user.expect(" is online");
    user
}

#[test]
fn text_without_a_line_feed_is_a_message_after_a_pause() {
    let server = Server::start(&[]);
    let mut user = silent(&server, "user");
    let id = user.id().to_owned();
    for text in ["hello", "again", "for the third time"] {
        let sent = Instant::now();
        user.send(text);
        user.expect_next(&format!("from {id}: {text}"));
        assert!(
            sent.elapsed() >= Duration::from_millis(29),
            "after {:?}",
            sent.elapsed()
        );
    }
}

#[test]
fn the_first_message_may_lack_a_line_feed() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.connect("user");
    user.send("hello");
    watcher.expect(&format!("from {}: hello", user.id()));
}

#[test]
fn a_long_message_in_pieces_is_one_message() {
    let server = Server::start(&[]);
    let mut user = silent(&server, "user");
    let id = user.id().to_owned();
    let text = "0123456789".repeat(300);
    let mut whole = 0;
    // If the machine was slow to send the pieces, the attempt does not count.
    for attempt in 0..100 {
        let start = Instant::now();
        for piece in text.as_bytes().chunks(1000) {
            user.send(piece);
        }
        let together = start.elapsed() < Duration::from_millis(10);
        user.send(format!("end{attempt}"));
        let heard = user.until(&format!("end{attempt}"));
        if together && start.elapsed() >= Duration::from_millis(29) {
            whole += usize::from(heard[0].starts_with(&format!("from {id}: {text}")));
            assert!(heard.len() <= 2, "{} messages of one", heard.len());
        }
        if whole == 3 {
            return;
        }
    }
    panic!("only {whole} messages came whole");
}

#[test]
fn a_message_never_ends_inside_a_character() {
    let server = Server::start(&[]);
    let mut user = silent(&server, "user");
    let id = user.id().to_owned();
    user.send(b"caf\xC3");
    user.expect_next(&format!("from {id}: caf"));
    user.send(b"\xA9 au lait");
    user.expect_next(&format!("from {id}: é au lait"));
    let sign = "中".as_bytes();
    user.send(&sign[..1]);
    user.send(&sign[1..2]);
    user.send(&sign[2..]);
    user.expect_next(&format!("from {id}: 中"));
}

#[test]
fn text_pending_at_the_end_of_input_is_a_message() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = silent(&server, "user");
    let id = user.id().to_owned();
    user.send("my last words");
    user.close();
    assert_eq!(
        watcher.until(" is offline"),
        [
            format!("{id} is online"),
            format!("from {id}: my last words"),
            format!("{id} is offline")
        ]
    );
}

#[test]
fn after_a_line_feed_only_a_second_of_silence_ends_a_line() {
    let server = Server::start(&[]);
    let mut user = silent(&server, "user");
    let id = user.id().to_owned();
    user.send("a line\n");
    user.expect_next(&format!("from {id}: a line"));
    let sent = Instant::now();
    user.send("no line");
    user.expect_next(&format!("from {id}: no line"));
    assert!(
        sent.elapsed() >= Duration::from_millis(990),
        "after {:?}",
        sent.elapsed()
    );
    user.send("typed ");
    user.send("slowly\n");
    user.expect_next(&format!("from {id}: typed slowly"));
}

#[test]
fn the_rest_after_the_last_line_feed_is_a_message() {
    let server = Server::start(&[]);
    let mut user = silent(&server, "user");
    let id = user.id().to_owned();
    user.send("pasted\ntext");
    user.expect_next(&format!("from {id}: pasted"));
    user.expect_next(&format!("from {id}: text"));
    user.send("more");
    let sent = Instant::now();
    user.expect_next(&format!("from {id}: more"));
    // For a user known to send lines, this would take a second at least.
    if sent.elapsed() >= Duration::from_millis(900) {
        eprintln!("this machine is too slow to tell");
    }
}

#[test]
fn lines_may_end_in_crlf_and_come_in_any_pieces() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    user.send("one\r\ntwo\r\n\r\nthr");
    user.send("ee\r");
    user.send("\nfour\r\n");
    for text in ["one", "two", "three", "four"] {
        user.expect_next(&format!("from {id}: {text}"));
    }
}

#[test]
fn a_hundred_lines_in_one_write_are_a_hundred_messages() {
    let server = Server::start(&[]);
    let mut user = server.plain("user");
    let id = user.id().to_owned();
    let lines: String = (0..100).map(|n| format!("line {n}\n")).collect();
    user.send(lines);
    for n in 0..100 {
        user.expect_next(&format!("from {id}: line {n}"));
    }
}

/// What PuTTY sends at first, some commands and a window's size later, and how other telnet clients end a line.
#[test]
fn telnet_options_are_refused_and_never_said() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = server.connect("user");
    let id = user.id().to_owned();
    user.expect("* chat version 1");
    user.send(b"\xff\xfb\x1f\xff\xfd\x01\xff\xfb\x03");
    user.expect_text(b"\xff\xfe\x1f\xff\xfc\x01\xff\xfe\x03");
    watcher.expect_next(&format!("{id} is online"));
    user.send(b"hello\xff\xf1\r");
    user.send(b"\0\xff\xfa\x1f\0\x50");
    user.send(b"\0\n\xff\xf0again\r\n");
    watcher.expect_next(&format!("from {id}: hello"));
    watcher.expect_next(&format!("from {id}: again"));
    user.expect_next(&format!("{id} is online"));
    user.expect_next(&format!("from {id}: hello"));
}

#[test]
fn keys_that_telnet_sends_one_by_one_are_one_message() {
    let server = Server::start(&[]);
    let mut watcher = server.plain("watcher");
    let mut user = silent(&server, "user");
    let id = user.id().to_owned();
    watcher.expect_next(&format!("{id} is online"));
    for key in ["h", "\u{e9}", "y"] {
        user.send(key);
        let heard = watcher.next_line_within(Duration::from_millis(60));
        assert_eq!(heard, None, "{}", watcher.journal);
    }
    user.send("\r\n");
    watcher.expect_next(&format!("from {id}: h\u{e9}y"));
}
