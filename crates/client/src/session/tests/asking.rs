//! Users of whom the server has told only how their keys begin.

use super::private_messages::{carry, key_of};
use super::*;
use crate::private::Path;

const BOB: &str = "bob@10.0.0.2:6000";
const WHOIS: &str = "WHOIS 10.0.0.2:6000\n";

/// How a key begins.
fn short(key: &str) -> &str {
    &key[..4]
}

/// What the server answers about bob.
fn bob_is() -> String {
    format!("USER {BOB} 10.0.0.2:6001 {}\n", key_of(2))
}

/// The lines of a server that lists these users.
fn listing(users: &str) -> String {
    format!(
        "WELCOME {ME} {TOKEN} {TOKEN} 0\nUSERS {ME} {} {users}\nHISTORY -\nLIVE\n",
        short(&key_of(1))
    )
}

/// Alice in a room with bob and zoe, who have keys.
fn alice() -> Sim {
    let mut sim = Sim::new(Config {
        interactive: true,
        ..config()
    });
    sim.hear("* chat version 1: hi\n");
    let (bob, zoe) = (key_of(2), key_of(9));
    sim.hear(&listing(&format!(
        "{BOB} {} zoe@10.0.0.9:1 {}",
        short(&bob),
        short(&zoe)
    )));
    sim.shown();
    assert_eq!(sim.sent(), hello(), "nothing is asked without a reason");
    sim
}

/// Alice's connection is lost, and made again. These users are there then.
fn again(sim: &mut Sim, users: &str) {
    sim.session.closed(sim.now());
    sim.session.connected(endpoints(5000), sim.now());
    sim.hear("* chat version 1: hi\n");
    sim.hear(&listing(users));
}

fn refused(events: &[Event]) -> Vec<(String, String)> {
    let refused = events.iter().filter_map(|event| match event {
        Event::Refused(refused) => Some((refused.text.to_string(), refused.reason.to_string())),
        _ => None,
    });
    refused.collect()
}

fn is_sent(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Private(_)))
}

#[track_caller]
fn assert_nothing_goes_out(sim: &mut Sim) {
    assert_eq!(sim.sent(), "");
    assert!(sim.datagrams_to("10.0.0.2:6001").is_empty());
}

#[test]
fn the_first_text_waits_for_the_key() {
    let mut alice = alice();
    for line in ["/msg bob one", "to all", "/msg bob two"] {
        alice.type_line(line);
    }
    assert_eq!(alice.sent(), format!("{WHOIS}SAY 2 to all\n"), "one question");
    assert!(alice.datagrams_to("10.0.0.2:6001").is_empty());
    assert!(alice.session.has_room() && alice.session.takes_input());
    assert_eq!(
        alice.unsent(),
        ["{BOB}: one", "to all", "{BOB}: two"].map(|text| text.replace("{BOB}", BOB))
    );
    alice.hear(&bob_is());
    let sent: Vec<_> = alice
        .shown()
        .into_iter()
        .filter_map(|event| match event {
            Event::Private(message) => Some((message.text.to_string(), message.transport.sealed)),
            _ => None,
        })
        .collect();
    assert_eq!(sent, [("one".into(), true), ("two".into(), true)]);
    assert_eq!(alice.unsent(), ["to all"]);
    assert!(!alice.datagrams_to("10.0.0.2:6001").is_empty());
}

#[test]
fn the_receiver_asks_who_begins() {
    let mut alice = alice();
    alice.type_line("/msg bob psst");
    alice.hear(&bob_is());
    let endpoints = Endpoints {
        local: "10.0.0.2:6000".parse().unwrap(),
        udp_port: Some(6001),
        ..endpoints(1)
    };
    let mut bob = Sim::with(
        Config {
            endpoints,
            ..config()
        },
        private(2, Options::default()),
    );
    let (alices, bobs) = (key_of(1), key_of(2));
    bob.hear(&format!(
        "* chat version 1: hi\nWELCOME {BOB} {TOKEN} {TOKEN} 0\nUSERS {ME} {} {BOB} {}\nLIVE\n",
        short(&alices),
        short(&bobs)
    ));
    bob.sent();
    carry(&mut alice, &mut bob);
    assert_eq!(bob.sent(), "WHOIS 10.0.0.1:5000\n", "asked once");
    assert!(!is_sent(&bob.shown()));
    bob.hear(&format!("USER {ME} 10.0.0.1:5001 {alices}\n"));
    carry(&mut alice, &mut bob);
    let shown = bob.shown();
    let received = shown.iter().any(|event| {
        matches!(event, Event::Private(message)
        if message.text.as_str() == "psst" && message.transport.sealed
            && message.transport.path == Some(Path::Direct) && message.peer.to_string() == ME)
    });
    assert!(received, "{shown:?}");
}

#[test]
fn an_answer_with_another_key_or_none_gets_nothing() {
    for key in [key_of(3), "-".into()] {
        let mut alice = alice();
        alice.type_line("/msg bob psst");
        alice.sent();
        alice.hear(&format!("USER {BOB} 10.0.0.2:6001 {key}\n"));
        assert_nothing_goes_out(&mut alice);
        let events = alice.shown();
        assert!(!is_sent(&events));
        assert_eq!(refused(&events).len(), 1, "{events:?}");
        let warns = |event: &Event| matches!(event, Event::Warning(text) if text.as_str().contains("key of"));
        assert!(events.iter().any(warns), "{events:?}");
    }
}

#[test]
fn the_next_user_of_the_address_gets_nothing() {
    let mut alice = alice();
    alice.type_line("/msg bob psst");
    alice.sent();
    // Its key begins like that of bob.
    alice.hear(&format!("LEAVE 1 {BOB}\nJOIN 2 {BOB} - {}\n", short(&key_of(2))));
    let events = alice.shown();
    assert_eq!(
        refused(&events),
        [("psst".into(), format!("{BOB} is not here any more"))]
    );
    alice.hear(&bob_is());
    assert_nothing_goes_out(&mut alice);
    assert_eq!(alice.unsent(), [""; 0]);
}

#[test]
fn a_lost_connection_returns_the_text() {
    let mut alice = alice();
    alice.type_line("/msg bob before");
    alice.sent();
    alice.session.closed(alice.now());
    alice.shown();
    alice.type_line("/msg bob after");
    assert!(alice.errors()[0].contains("the connection was lost before the server told"));
    assert_eq!(alice.unsent(), [format!("{BOB}: before")]);
    again(&mut alice, &format!("{BOB} {}", short(&key_of(2))));
    let events = alice.shown();
    assert_eq!(refused(&events)[0].0, "before");
    alice.sent();
    alice.hear(&bob_is());
    assert_nothing_goes_out(&mut alice);
}

#[test]
fn a_known_user_is_asked_about_after_a_reconnection() {
    let mut alice = alice();
    alice.type_line("/msg bob one");
    alice.hear(&bob_is());
    alice.session.closed(alice.now());
    alice.type_line("/msg bob two");
    alice.shown();
    // Under another address; zoe was never written to.
    let (bob, zoe) = (key_of(2), key_of(9));
    again(
        &mut alice,
        &format!("bob@10.0.0.8:8 {} zoe@10.0.0.9:1 {}", short(&bob), short(&zoe)),
    );
    let sent = alice.sent();
    assert_eq!(sent.matches("WHOIS").count(), 1, "{sent}");
    assert!(sent.contains("WHOIS 10.0.0.8:8\n"));
    assert_eq!(alice.unsent(), [format!("{BOB}: two")]);
    alice.hear(&format!("USER bob@10.0.0.8:8 10.0.0.8:9 {bob}\n"));
    let shown = alice.shown();
    let failed = shown
        .iter()
        .any(|event| matches!(event, Event::NotDelivered(_) | Event::Refused(_)));
    assert!(is_sent(&shown) && !failed, "{shown:?}");
    assert_eq!(alice.unsent(), [""; 0]);
}

#[test]
fn a_stranger_whose_key_begins_the_same_is_another_user() {
    let mut alice = alice();
    alice.type_line("/msg bob one");
    alice.hear(&bob_is());
    alice.session.closed(alice.now());
    alice.type_line("/msg bob two");
    again(&mut alice, &format!("{BOB} {}", short(&key_of(2))));
    // The old key counts until the server says otherwise: nobody else can read what is sealed for it.
    let mut other: Opaque<32> = key_of(2).parse().unwrap();
    other.0[31] ^= 1;
    alice.sent();
    alice.shown();
    alice.hear(&format!("USER {BOB} 10.0.0.2:6001 {other}\n"));
    let trust = alice.session.roster().trust(BOB.parse::<Who>().unwrap().id);
    assert_eq!(trust, Some(crate::roster::KeyTrust::Trusted(other)));
    let shown = alice.shown();
    assert!(
        !shown.iter().any(|event| matches!(event, Event::Warning(_))),
        "{shown:?}"
    );
    assert!(!is_sent(&shown), "{shown:?}");
}

#[test]
fn a_server_that_never_answers_gets_no_text_and_keeps_nobody_waiting() {
    let mut alice = alice();
    alice.type_line("/msg bob psst");
    alice.type_line("/verify bob");
    alice.sent();
    for _ in 0..19 {
        alice.wait(1000);
        alice.hear("PONG 1\n");
    }
    assert_eq!(refused(&alice.shown()), []);
    alice.wait(1000);
    let events = alice.shown();
    assert_eq!(
        refused(&events),
        [(
            "psst".into(),
            format!("the server does not tell the key of {BOB}")
        )]
    );
    assert!(events.iter().any(
        |event| matches!(event, Event::Error(None, text) if text.as_str().contains("nothing to compare"))
    ));
    assert!(alice.datagrams_to("10.0.0.2:6001").is_empty());
    alice.sent();
    alice.type_line("/msg bob again");
    assert_eq!(alice.sent(), WHOIS);
}

#[test]
fn verify_and_whois_wait_for_the_key() {
    let mut alice = alice();
    alice.type_line("/verify bob");
    alice.session.request_whois("bob", alice.now());
    alice.session.end_input(alice.now());
    assert_eq!(alice.sent(), WHOIS);
    assert_eq!(alice.shown(), []);
    alice.hear(&bob_is());
    let shown = alice.shown();
    assert!(
        matches!(&shown[0], Event::Code(VerifyCode { code, .. }) if !code.is_empty()),
        "{shown:?}"
    );
    let text = format!("{BOB}: private messages are sealed (UDP 10.0.0.2:6001)");
    assert_eq!(shown[1..], [Event::Whois(Text::from(text))]);
    assert_eq!(alice.sent(), "QUIT\n");
}

#[test]
fn a_request_about_a_user_that_left_is_not_about_the_next_one() {
    let mut alice = alice();
    alice.type_line("/verify bob yes");
    alice.sent();
    alice.hear(&format!(
        "LEAVE 1 {BOB}\nJOIN 2 {BOB} - {}\n{}",
        short(&key_of(2)),
        bob_is()
    ));
    assert_eq!(alice.errors(), ["bob: that user left"]);
    assert!(alice.session.trust.verified.is_empty());
    alice.type_line("/verify zoe");
    again(&mut alice, &format!("zoe@10.0.0.9:1 {}", short(&key_of(9))));
    assert!(
        alice
            .errors()
            .contains(&"zoe: the connection was lost".to_owned())
    );
}

#[test]
fn the_keys_of_verified_and_ignored_users_are_asked_for_at_once() {
    let mut sim = Sim::new(config());
    let key = key_of(2).parse().unwrap();
    let nick = Some(Nick::parse("bob").unwrap());
    sim.session.remember_verified(vec![Verified { key, nick }]);
    sim.hear("* chat version 1: hi\n");
    let (bob, zoe) = (key_of(2), key_of(9));
    sim.hear(&listing(&format!(
        "{BOB} {} zoe@10.0.0.9:1 {}",
        short(&bob),
        short(&zoe)
    )));
    assert_eq!(sim.sent(), format!("{}{WHOIS}", hello()));
    sim.hear(&bob_is());
    // A user with that name whose key begins otherwise is doubted without an answer.
    sim.shown();
    sim.hear(&format!("JOIN 2 b\u{43E}b@10.0.0.7:1 - {}\n", short(&zoe)));
    assert!(sim.shown().iter().any(|event| matches!(event, Event::Doubt(_))));
    sim.type_line("/ignore zoe");
    assert_eq!(sim.sent(), "WHOIS 10.0.0.9:1\n");
    sim.hear(&format!("USER zoe@10.0.0.9:1 - {zoe}\nLEAVE 3 zoe@10.0.0.9:1\n"));
    sim.shown();
    sim.hear(&format!(
        "JOIN 4 zed@10.0.0.6:6 - {}\nSAID 5 zed@10.0.0.6:6 hello\n",
        short(&zoe)
    ));
    assert_eq!(sim.sent(), "WHOIS 10.0.0.6:6\n");
    assert_eq!(sim.shown(), [], "it is hidden before the answer");
}
