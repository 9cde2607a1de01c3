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
