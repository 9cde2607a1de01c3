//! A server that lies about keys, and what the user says of them.

use super::private_messages::{alice, key_of};
use super::*;

/// What was said of users who may be somebody else.
fn doubts(events: &[Event]) -> Vec<String> {
    let doubt = |event: &Event| match event {
        Event::Doubt(doubt) => Some(format!("{}: {}", doubt.who, doubt.text)),
        _ => None,
    };
    events.iter().filter_map(doubt).collect()
}

/// Types a private message to bob. Answers with the doubts, the warnings, and whether it is sent. It may wait for keys.
fn message(sim: &mut Sim, line: &str) -> (Vec<String>, Vec<String>, bool) {
    sim.shown();
    sim.sent();
    while sim.session.next_datagram().is_some() {}
    sim.type_line(line);
    let events = sim.shown();
    let warning = |event: &Event| match event {
        Event::Warning(text) => Some(text.to_string()),
        _ => None,
    };
    let goes_out = sim.session.next_datagram().is_some() || !sim.sent().is_empty();
    let is_sent = events.iter().any(|event| matches!(event, Event::Private(_)));
    assert!(is_sent || !goes_out, "{events:?}");
    (
        doubts(&events),
        events.iter().filter_map(warning).collect(),
        is_sent,
    )
}

#[track_caller]
fn assert_refused(sim: &mut Sim, line: &str, reason: &str) {
    let failed = sim.session.failures().privates;
    let (doubts, _, is_sent) = message(sim, line);
    assert!(
        !is_sent && doubts.len() == 1 && doubts[0].contains(reason),
        "{doubts:?}"
    );
    assert_eq!(sim.session.failures().privates, failed + 1);
}

#[track_caller]
fn assert_sent(sim: &mut Sim, line: &str) {
    assert_eq!(message(sim, line), (vec![], vec![], true));
}

/// The server breaks the connection, and lists these users on the next one.
fn relist(sim: &mut Sim, users: &[&str]) {
    sim.session.config.interactive = true;
    sim.session.closed(sim.now());
    sim.session.connected(endpoints(5000), sim.now());
    sim.hear(&format!("* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\n"));
    for user in users {
        sim.hear(&format!("USER {user}\n"));
    }
    sim.hear("HISTORY -\nLIVE\n");
    // Users of the lost connection are awaited for as long.
    sim.wait(30_001);
}

const NO_KEY: &str = "this one has none";

#[test]
fn who_had_a_key_is_sent_nothing_in_the_clear() {
    for user in [
        // With the name, the address, both, or a name that looks like it.
        "bob@10.0.0.9:1 10.0.0.9:2 -",
        "ann@10.0.0.2:6000 10.0.0.9:2 -",
        "bob@10.0.0.2:6000 - -",
        "b\u{43E}b@10.0.0.9:1 - -",
    ] {
        for breaks in [true, false] {
            let mut sim = alice();
            if breaks {
                relist(&mut sim, &[user]);
            } else {
                sim.hear(&format!("LEAVE 1 bob@10.0.0.2:6000\nJOIN 2 {user}\n"));
            }
            let id = user.split([' ', '@']).nth(1).unwrap();
            assert_refused(&mut sim, &format!("/msg {id} psst"), NO_KEY);
            sim.type_line(&format!("/query {id}"));
            assert!(sim.errors().concat().contains(NO_KEY));
            sim.type_line("psst");
            assert!(sim.session.next_datagram().is_none() && sim.sent().is_empty());
            // A reply to what such a user wrote is refused too.
            let name = user.split(' ').next().unwrap();
            sim.hear(&format!("WHISPER {name} what is the password?\n"));
            assert_refused(&mut sim, "/reply psst", NO_KEY);
            sim.type_line(&format!("/verify {id} no"));
            assert_sent(&mut sim, &format!("/msg {id} psst"));
        }
    }
}

#[test]
fn a_renamed_user_does_not_get_what_its_name_stood_for() {
    let mut sim = alice();
    sim.hear("LEAVE 1 bob@10.0.0.2:6000\nNICK 1 carol@10.0.0.3:7000 bob\n");
    assert_refused(&mut sim, "/msg bob psst", NO_KEY);
    // Nor is a query of carol, who had no key all the time, a way around it.
    let mut sim = alice();
    sim.type_line("/query carol");
    assert_sent(&mut sim, "hi");
}

#[test]
fn keys_are_known_under_a_new_nick_too() {
    let mut sim = alice();
    sim.hear("NICK 1 bob@10.0.0.2:6000 rob\nLEAVE 1 rob@10.0.0.2:6000\n");
    sim.hear("JOIN 1 rob@10.0.0.8:8 - -\n");
    assert_refused(&mut sim, "/msg rob psst", NO_KEY);
    // Who takes the nick of a verified user is told of at once.
    let mut sim = alice();
    verified(&mut sim, "/verify bob yes");
    sim.hear("LEAVE 1 bob@10.0.0.2:6000\n");
    sim.shown();
    sim.hear("NICK 1 carol@10.0.0.3:7000 bob\n");
    assert_eq!(doubts(&sim.shown()).len(), 1);
}

#[test]
fn another_key_is_told_before_anything_is_sealed_for_it() {
    let mut sim = alice();
    assert_sent(&mut sim, "/msg bob hi");
    relist(
        &mut sim,
        &[&format!("bob@10.0.0.2:6000 10.0.0.2:6001 {}", key_of(3))],
    );
    let (doubts, warnings, is_sent) = message(&mut sim, "/msg bob psst");
    assert!(doubts.is_empty() && is_sent);
    assert!(
        warnings.concat().contains("is another one than before"),
        "{warnings:?}"
    );
    // Once.
    assert_sent(&mut sim, "/msg bob psst");
}

#[test]
fn a_server_that_invents_users_displaces_no_key() {
    let mut sim = alice();
    let mut lines = String::new();
    for number in 0..70_000 {
        let (high, low) = (number >> 8, number & 255);
        let _ = writeln!(lines, "JOIN 1 u{number}@10.9.{high}.{low}:9 - {}", key_of(3));
        let _ = writeln!(lines, "LEAVE 1 u{number}@10.9.{high}.{low}:9");
    }
    sim.hear(&lines);
    sim.hear("LEAVE 1 bob@10.0.0.2:6000\nJOIN 2 bob@10.0.0.9:1 10.0.0.9:2 -\n");
    assert_refused(&mut sim, "/msg bob psst", NO_KEY);
}

fn verified(sim: &mut Sim, line: &str) -> Verification {
    sim.shown();
    sim.type_line(line);
    match sim.shown().as_slice() {
        [Event::Verified(verification)] => verification.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_name_of_a_verified_user_leads_to_its_key_only() {
    for key in [key_of(3), "-".into()] {
        for user in ["bob@10.0.0.9:1", "ann@10.0.0.2:6000", "b\u{43E}b@10.0.0.9:1"] {
            let mut sim = alice();
            let added = verified(&mut sim, "/verify bob yes").added.unwrap();
            assert_eq!(
                (added.key.to_string(), added.nick),
                (key_of(2), Nick::parse("bob").ok())
            );
            sim.shown();
            sim.hear(&format!("LEAVE 1 bob@10.0.0.2:6000\nJOIN 2 {user} - {key}\n"));
            let said = doubts(&sim.shown());
            let id = user.split('@').nth(1).unwrap();
            assert!(
                said.len() == 1 && said[0].contains("you verified bob"),
                "{said:?}"
            );
            // Also if the server says it again.
            sim.hear(&format!("USER {user} - {key}\n"));
            assert!(doubts(&sim.shown()).is_empty());
            assert_refused(&mut sim, &format!("/msg {id} psst"), "you verified bob");
            sim.type_line(&format!("/query {id}"));
            assert!(sim.errors().concat().contains("you verified bob"));
            let answer = if key == "-" { "no" } else { "yes" };
            verified(&mut sim, &format!("/verify {id} {answer}"));
            assert_sent(&mut sim, &format!("/msg {id} psst"));
        }
    }
}

/// Otherwise the text would wait, and go to that key under its next nick.
#[test]
fn a_doubted_user_gets_nothing_that_is_typed_without_a_connection() {
    let mut sim = alice();
    sim.session.config.interactive = true;
    verified(&mut sim, "/verify bob yes");
    sim.hear(&format!(
        "LEAVE 1 bob@10.0.0.2:6000\nJOIN 2 bob@10.0.0.9:1 - {}\n",
        key_of(3)
    ));
    sim.session.closed(sim.now());
    assert_refused(&mut sim, "/msg bob@10.0.0.9:1 psst", "you verified bob");
}

#[test]
fn verified_keys_of_an_earlier_run_hold() {
    let of_bob = |secret: u8| Verified {
        key: key_of(secret).parse().unwrap(),
        nick: Nick::parse("bob").ok(),
    };
    let mut sim = Sim::new(config());
    sim.session.remember_verified(vec![of_bob(3)]);
    sim.hear(&format!(
        "* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\nUSER bob@10.0.0.2:6000 10.0.0.2:6001 {}\nHISTORY -\nLIVE\n",
        key_of(2)
    ));
    let events = sim.shown();
    assert!(matches!(events[0], Event::Welcome(_)), "{events:?}");
    assert_eq!(doubts(&events).len(), 1);
    assert_refused(&mut sim, "/msg bob psst", "you verified bob");
    // The verified one is known under each name.
    sim.hear(&format!("JOIN 1 rob@10.0.0.7:1 10.0.0.7:2 {}\n", key_of(3)));
    assert_sent(&mut sim, "/msg rob psst");
    sim.type_line("/who");
    let [Event::Users(users, _)] = &sim.shown()[..] else {
        panic!("no users");
    };
    let marks: Vec<_> = users.iter().map(|user| user.verified.clone()).collect();
    assert_eq!(marks, [None, None, Some("verified as bob".into())]);
    // Both may be right: bob has two machines.
    verified(&mut sim, "/verify bob yes");
    assert_sent(&mut sim, "/msg bob psst");
    assert_sent(&mut sim, "/msg rob psst");
    let removed = verified(&mut sim, "/verify bob no").removed;
    assert_eq!(removed.len(), 2);
}

#[test]
fn what_was_typed_for_a_user_waits_for_no_other() {
    let mut sim = alice();
    verified(&mut sim, "/verify bob yes");
    sim.type_line("/query bob");
    sim.hear("LEAVE 1 bob@10.0.0.2:6000\n");
    sim.hear(&format!("JOIN 2 bob@10.0.0.2:6000 10.0.0.2:6001 {}\n", key_of(3)));
    assert!(!message(&mut sim, "psst").2);
}

#[test]
fn only_a_user_with_a_key_can_be_verified() {
    let mut sim = alice();
    for line in [
        "/verify carol yes",
        "/verify nobody yes",
        "/verify bob no",
        "/verify alice yes",
    ] {
        sim.shown();
        sim.type_line(line);
        assert_eq!(sim.errors().len(), 1, "{line}");
    }
    assert_sent(&mut sim, "/msg carol hi");
}

#[test]
fn a_verified_key_under_the_name_of_another_user_is_told() {
    let mut sim = alice();
    sim.hear(&format!("JOIN 1 dave@10.0.0.4:1 10.0.0.4:2 {}\n", key_of(4)));
    verified(&mut sim, "/verify bob yes");
    sim.hear("LEAVE 1 bob@10.0.0.2:6000\nLEAVE 1 dave@10.0.0.4:1\n");
    sim.hear(&format!("JOIN 1 dave@10.0.0.9:1 10.0.0.9:2 {}\n", key_of(2)));
    let (_, warnings, _) = message(&mut sim, "/msg dave psst");
    assert!(
        warnings.concat().contains("is another one than before"),
        "{warnings:?}"
    );
    // Where both are verified, nothing is sent.
    let mut sim = alice();
    sim.hear(&format!("JOIN 1 dave@10.0.0.4:1 10.0.0.4:2 {}\n", key_of(4)));
    verified(&mut sim, "/verify bob yes");
    verified(&mut sim, "/verify dave yes");
    sim.hear("LEAVE 1 bob@10.0.0.2:6000\nLEAVE 1 dave@10.0.0.4:1\n");
    sim.hear(&format!("JOIN 1 dave@10.0.0.9:1 10.0.0.9:2 {}\n", key_of(2)));
    assert_refused(&mut sim, "/msg dave psst", "you verified dave");
}
