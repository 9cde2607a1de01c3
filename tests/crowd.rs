//! Many users at once.

use crate::harness::{Crowd, Server, can_open};
use std::time::Duration;

#[test]
fn five_hundred_users_all_hear_a_message() {
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
    assert_eq!(server.log_so_far(" join ").len(), 500);
}

#[test]
fn a_thousand_users_lose_nothing_of_a_lively_talk() {
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
    for heard in crowd.heard(41) {
        // Each talker's own messages are in order; those of different talkers are 50 ms apart.
        let mut numbers: Vec<u32> = heard
            .iter()
            .map(|text| text["message ".len()..].parse().unwrap())
            .collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..=40), "{heard:?}");
    }
}
