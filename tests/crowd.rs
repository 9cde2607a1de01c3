//! Many users at once.

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
    // All of these are in the log before the first who left. A fence could get the port of one of them.
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
        assert_eq!(other, &heard[0], "everybody hears everything in the same order");
    }
    // Ten people talk, so that the order is the server's; of what was said nothing is missing or double.
    let number = |text: &String| text["message ".len()..].parse::<u32>().unwrap();
    let mut numbers: Vec<_> = heard[0].iter().map(number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..=40), "{:?}", heard[0]);
}
