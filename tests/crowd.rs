//! Hundreds of users at once.

use crate::harness::{Crowd, Server, can_open};
use std::time::Duration;

#[test]
fn five_hundred_users_all_receive_a_message() {
    if !can_open(1200) {
        return;
    }
    let server = Server::start(&[]);
    let mut crowd = Crowd::join(&server, 500, "hear");
    crowd.say(250, "hear, hear");
    for heard in crowd.heard(1) {
        assert_eq!(heard, ["hear, hear"]);
    }
    drop(crowd);
    server.log().expect_count(500, " leave ");
    // The log has all joins before the first leave. A further connection could reuse the port of one of these users.
    server.log().expect_count(500, " join ");
}

#[test]
fn a_thousand_users_lose_no_message_of_a_busy_room() {
    if !can_open(1200) {
        return;
    }
    let server = Server::start(&["--max-users", "1000"]);
    let mut crowd = Crowd::join(&server, 1000, "message");
    crowd.say(0, "message 0");
    crowd.heard(1);
    for number in 1..=40 {
        crowd.read_for(Duration::from_millis(50));
        crowd.say(number % 10, &format!("message {number}"));
    }
    let heard = crowd.heard(41);
    for other in &heard {
        assert_eq!(other, &heard[0], "every user receives the same order");
    }
    // Ten users send, so the server decides the order. Each message arrives exactly once.
    let number = |text: &String| text["message ".len()..].parse::<u32>().unwrap();
    let mut numbers: Vec<_> = heard[0].iter().map(number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..=40), "{:?}", heard[0]);
}
