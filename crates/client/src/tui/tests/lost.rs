//! Disconnections and reconnections.

use super::*;

fn reconnect(sim: &mut Sim) {
    let now = sim.now();
    sim.session.connected(endpoints(5555), now);
    sim.screen.set_link(Link::Joining);
}

#[test]
fn lines_typed_offline_are_sent_once() {
    let mut sim = Sim::in_a_room(64, 8);
    sim.say("bob@10.0.0.2:6000", "hello");
    sim.lose_connection();
    let again = sim.now().monotonic + Duration::from_millis(3_500);
    sim.screen.set_link(Link::Lost {
        retry_at: Some(again),
    });
    sim.keys("one\rtwo\rdraft");
    sim.shows(
        "|
         |22:14      bob  hello
         |      !! the server closed the connection; what you type is sent
         |                after the reconnection
         |         alice  one  waiting
         |         alice  two  waiting
         | alice         offline, retrying in 4 s (Enter: now)  2 waiting
         |> draft█",
    );
    assert_eq!(sim.sent(), "");
    assert_eq!(sim.screen.deadline(), Some(again - Duration::from_secs(3)));
    sim.wait(500);
    assert!(sim.screen.is_stale());
    assert!(sim.drawn()[6].contains("  offline, retrying in 3 s (Enter: now)  "));
    sim.screen.set_link(Link::Lost { retry_at: None });
    assert!(sim.drawn()[6].contains("  offline, retrying now  "));

    reconnect(&mut sim);
    sim.join("alice@10.0.0.1:5555", 0);
    assert!(sim.sent().ends_with("SAY 1 one\nSAY 2 two\n"));
    for text in ["one", "two"] {
        sim.hear(&format!(
            "SAID {} alice@10.0.0.1:5555 {text}\n",
            sim.now().unix_ms
        ));
    }
    sim.shows(
        "|      !! the server closed the connection; what you type is sent
         |                after the reconnection
         |      -- back: you are alice@10.0.0.1:5555; with you are bob,
         |                carol
         |22:14    alice  one
         |         alice  two
         | alice in 10.0.0.9:9000 · 3 here · 2 in the clear
         |> draft█",
    );
}

#[test]
fn repeated_failures_are_shown_once() {
    let mut sim = Sim::in_a_room(76, 12);
    let count = |sim: &mut Sim| sim.messages().iter().filter(|row| row.starts_with("!!")).count();
    sim.lose_connection();
    for answer in [
        "220 mail.example ready\n",
        "220 mail.example ready\n",
        "SSH-2.0\n",
    ] {
        reconnect(&mut sim);
        sim.hear(answer);
    }
    assert_eq!(count(&mut sim), 2);
    reconnect(&mut sim);
    sim.hear("* away for a moment\n");
    assert_eq!(count(&mut sim), 3);
    reconnect(&mut sim);
    sim.join("alice@10.0.0.1:5555", 0);
    sim.keys("/clear\r");
    sim.lose_connection();
    reconnect(&mut sim);
    sim.hear("* away for a moment\n");
    assert_eq!(count(&mut sim), 2);
}

#[test]
fn enter_on_an_empty_line_retries_at_once() {
    let mut sim = Sim::in_a_room(64, 8);
    let retries = |sim: &mut Sim, keys| {
        sim.effects.clear();
        sim.keys(keys);
        sim.effects.contains(&Effect::RetryNow)
    };
    assert!(!retries(&mut sim, "\r"), "in the room");
    sim.lose_connection();
    let retry_at = Some(sim.now().monotonic + Duration::from_secs(20));
    sim.screen.set_link(Link::Lost { retry_at });
    assert!(retries(&mut sim, "\r"));
    assert!(
        !retries(&mut sim, "a draft\r"),
        "it is kept, and no more than that"
    );
    sim.screen.set_link(Link::Lost { retry_at: None });
    assert!(!retries(&mut sim, "\r"), "on its way already");
}

#[test]
fn history_already_on_the_screen_is_not_repeated() {
    let mut sim = Sim::in_a_room(64, 9);
    sim.hear("SAID 1700000000000 bob@10.0.0.2:6000 one\nSAID 1700000000000 bob@10.0.0.2:6000 one\n");
    sim.hear(&format!(
        "JOIN 1700000000001 dave@10.0.0.4:1 - -\nSAID 1700000000002 {ME} mine\n"
    ));
    sim.lose_connection();
    sim.keys("/clear\r");
    reconnect(&mut sim);
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!(
        "WELCOME alice@10.0.0.1:5555 {TOKEN} {TOKEN} 0\nHISTORY -\n"
    ));
    sim.hear(
        "SAID 1700000000000 bob@10.0.0.2:6000 one\nSAID 1700000000000 bob@10.0.0.2:6000 one\nSAID 1700000000000 bob@10.0.0.2:6000 one\n",
    );
    sim.hear(&format!(
        "JOIN 1700000000001 dave@10.0.0.4:1 - -\nSAID 1700000000002 {ME} mine\nSAID 1700000000003 {ME} lost echo\nLIVE\n"
    ));
    // The third is new, and so is what the server took of this client without its learning of it.
    assert_eq!(
        sim.messages(),
        [
            "-- back: you are alice@10.0.0.1:5555; nobody else is here",
            "22:13 bob one",
            "alice lost echo"
        ]
    );
    assert!(sim.drawn_as(Role::Own).contains(&"alice".to_owned()));
}

#[test]
fn private_messages_wait_offline_too() {
    let mut sim = Sim::in_a_room(64, 8);
    sim.lose_connection();
    sim.keys("/msg bob one\rtwo\r/q bob\rthree\r");
    sim.shows(
        "|                after the reconnection
         |      -- what you type goes to bob@10.0.0.2:6000 alone, until
         |                /query
         |      >    bob  one  waiting
         |         alice  two  waiting
         |      >    bob  three  waiting
         | alice           offline, retrying now  3 waiting  to bob alone
         |[bob] █",
    );
}

#[test]
fn a_message_to_an_unknown_user_does_not_wait() {
    let mut sim = Sim::in_a_room(76, 9);
    sim.lose_connection();
    sim.keys("/msg zoe again\r");
    assert_eq!(sim.failed_line(), "/msg zoe again");
    assert_eq!(
        sim.last_message(),
        "!! not sent to zoe: nobody here has that name"
    );
}

#[test]
fn leaving_with_unsent_messages_asks_first() {
    let mut sim = Sim::in_a_room(76, 6);
    sim.lose_connection();
    sim.keys("hello\r\x04");
    assert_eq!(
        sim.drawn()[5],
        "leave the room? 1 message is still unsent. y: yes  n: no █"
    );
    sim.keys("y");
    assert!(sim.session.outcome().is_some());
}

#[test]
fn many_waiting_lines_are_counted() {
    let mut sim = Sim::in_a_room(40, 10);
    sim.lose_connection();
    for number in 0..8 {
        sim.keys(&format!("line {number}\r"));
    }
    let messages = sim.messages();
    assert_eq!(
        messages[messages.len() - 2..],
        ["alice: line 2 waiting", "-- 5 more waiting"]
    );
}

#[test]
fn lines_beyond_the_limit_are_refused() {
    let mut sim = Sim::in_a_room(60, 10);
    sim.lose_connection();
    let long = "x".repeat(4000);
    for _ in 0..80 {
        sim.paste(&long);
        sim.keys("\r");
    }
    assert!(sim.failed_line().starts_with("xxx"));
    assert!(
        sim.drawn().join("").contains("too many messages are waiting"),
        "{:?}",
        sim.drawn()
    );
}

#[test]
fn the_status_line_counts_the_seconds_without_an_answer() {
    let mut sim = Sim::in_a_room(60, 3);
    sim.keys("hello?\r");
    sim.wait(9_000);
    assert!(!sim.drawn().join("\n").contains("no answer"));
    sim.wait(3_000);
    assert!(sim.drawn().join("\n").contains("no answer for 12 s"));
    sim.hear(&format!("SAID {TIME} {ME} hello?\n"));
    sim.wait(0);
    assert!(!sim.drawn().join("\n").contains("no answer"));
}

#[test]
fn joins_of_the_past_are_not_shown() {
    let mut sim = Sim::in_a_room(64, 8);
    sim.lose_connection();
    reconnect(&mut sim);
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!("WELCOME alice@10.0.0.1:5555 {TOKEN} {TOKEN} 0\n"));
    sim.hear(&format!(
        "HISTORY -\nJOIN {TIME} {ME} - -\nJOIN {TIME} dave@10.0.0.4:8000 - -\nLIVE\n"
    ));
    let joins: Vec<String> = sim
        .messages()
        .into_iter()
        .filter(|row| row.contains("joined"))
        .collect();
    assert_eq!(joins, [""; 0]);
}
