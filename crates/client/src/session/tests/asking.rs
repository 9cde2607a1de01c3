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

/// A session that has written to bob, and whose next text for bob waits for the connection.
fn with_a_text_that_waits() -> Sim {
    let mut alice = alice();
    alice.type_line("/msg bob one");
    alice.hear(&bob_is());
    alice.session.closed(alice.now());
    alice.type_line("/msg bob two");
    alice
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
    let mut alice = with_a_text_that_waits();
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
    let mut alice = with_a_text_that_waits();
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
    assert_eq!(shown[1..], [Event::Answer(Text::from(text))]);
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
fn a_file_for_a_user_that_is_not_the_same_any_more_is_a_failure_of_a_file() {
    for (said, why) in [
        (format!("LEAVE 1 {BOB}\n"), "that user left"),
        (
            format!(
                "NICK 2 {BOB} rob\nNICK 3 zoe@10.0.0.9:1 bob\n{}",
                bob_is().replace("bob", "rob")
            ),
            "that name may mean somebody else now",
        ),
        (String::new(), "the session is over"),
    ] {
        let mut alice = alice();
        alice.type_line("/send bob /etc/passwd");
        if said.is_empty() {
            alice.session.end_input(alice.now());
            alice.session.closed(alice.now());
        }
        alice.hear(&said);
        assert_eq!(alice.errors(), [format!("not sent to bob: {why}")]);
        let failures = alice.session.failures();
        assert_eq!((failures.files, failures.requests), (1, 0));
    }
}

/// A client that has verified bob before, at the beginning of a connection.
fn with_bob_verified() -> Sim {
    let mut sim = Sim::new(config());
    let key = key_of(2).parse().unwrap();
    let nick = Some(Nick::parse("bob").unwrap());
    sim.session.remember_verified(vec![Verified { key, nick }]);
    sim.hear("* chat version 1: hi\n");
    sim
}

#[test]
fn the_keys_of_verified_and_ignored_users_are_asked_for_at_once() {
    let mut sim = with_bob_verified();
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

#[test]
fn questions_ahead_of_need_are_limited() {
    let mut sim = with_bob_verified();
    sim.hear(&listing(&format!("zoe@10.0.0.9:1 {}", short(&key_of(9)))));
    sim.sent();
    let join = |port| format!("JOIN 2 10.0.0.2:{port} - {}\n", short(&key_of(2)));
    sim.hear(&(1..5000).map(join).collect::<String>());
    assert_eq!(sim.sent().matches("WHOIS").count(), 4096);
    sim.type_line("/msg 10.0.0.2:4999 psst");
    assert_eq!(sim.sent(), "WHOIS 10.0.0.2:4999\n", "the user needs this answer");
}

/// A key that begins like bob's, which anybody can make.
fn forged() -> String {
    let mut key: Opaque<32> = key_of(2).parse().unwrap();
    key.0[31] ^= 1;
    key.to_string()
}

/// Alice has a conversation with bob.
fn alice_who_met_bob() -> Sim {
    let mut alice = alice();
    alice.type_line("/msg bob one");
    alice.hear(&bob_is());
    alice.datagrams_to("10.0.0.2:6001");
    alice.shown();
    alice.sent();
    alice
}

#[test]
fn a_stranger_in_the_place_of_a_user_that_is_not_back_gets_nothing() {
    let mut alice = alice_who_met_bob();
    again(&mut alice, &format!("{BOB} {}", short(&forged())));
    alice.hear(&format!("USER {BOB} 10.0.0.2:6001 {}\n", forged()));
    alice.shown();
    alice.sent();
    alice.datagrams_to("10.0.0.2:6001");
    for who in ["bob", BOB, "10.0.0.2:6000"] {
        alice.type_line(&format!("/msg {who} psst"));
        assert_nothing_goes_out(&mut alice);
        assert!(alice.errors()[0].contains("is not back yet"), "{who}");
    }
    // Who has the key is found.
    let id = "bob@10.0.0.8:8";
    alice.hear(&format!("JOIN 2 {id} - {}\n", short(&key_of(2))));
    alice.hear(&format!("USER {id} 10.0.0.8:9 {}\n", key_of(2)));
    alice.shown();
    alice.type_line(&format!("/msg {id} psst"));
    assert!(is_sent(&alice.shown()));
    assert!(!alice.datagrams_to("10.0.0.8:9").is_empty());
}

#[test]
fn a_text_for_a_user_that_may_be_back_is_for_its_key_alone() {
    let mut alice = alice_who_met_bob();
    let id = "bob@10.0.0.8:8";
    again(&mut alice, &format!("{id} {}", short(&forged())));
    alice.shown();
    assert!(alice.sent().contains("WHOIS 10.0.0.8:8\n"));
    alice.type_line("/msg bob psst");
    alice.hear(&format!("USER {id} 10.0.0.8:9 {}\n", forged()));
    assert!(!is_sent(&alice.shown()));
    assert!(alice.datagrams_to("10.0.0.8:9").is_empty());
}

#[test]
fn a_text_for_a_user_with_the_address_of_another_waits_for_its_own_key() {
    let mut alice = alice_who_met_bob();
    let (eve, id) = ("eve@10.0.0.2:6000", "bob@10.0.0.8:8");
    again(&mut alice, &format!("{eve} {}", short(&forged())));
    alice.shown();
    assert!(alice.sent().contains(WHOIS));
    alice.type_line("/msg eve about bob");
    assert_nothing_goes_out(&mut alice);
    alice.hear(&format!("JOIN 2 {id} - {}\n", short(&key_of(2))));
    alice.hear(&format!("USER {id} 10.0.0.8:9 {}\n", key_of(2)));
    assert!(!is_sent(&alice.shown()), "bob gets it");
    assert_eq!(alice.unsent(), [format!("{eve}: about bob")]);
    alice.hear(&format!("USER {eve} 10.0.0.2:6001 {}\n", forged()));
    let shown = alice.shown();
    let to_eve = |event: &Event| matches!(event, Event::Private(message) if message.peer.to_string() == eve);
    assert!(shown.iter().any(to_eve), "{shown:?}");
    assert!(!alice.datagrams_to("10.0.0.2:6001").is_empty());
}

#[test]
fn a_request_follows_no_name_to_another_user() {
    let mut alice = alice();
    alice.type_line("/verify bob yes");
    alice.session.request_whois("bob", alice.now());
    alice.sent();
    let swap = format!("NICK 2 {BOB} rob\nNICK 3 zoe@10.0.0.9:1 bob\n");
    alice.hear(&format!(
        "{swap}USER rob@10.0.0.2:6000 10.0.0.2:6001 {}\n",
        key_of(2)
    ));
    assert_eq!(alice.sent(), "", "nothing is asked about the other one");
    let errors = alice.errors();
    assert_eq!(errors, ["bob: that name may mean somebody else now"; 2]);
    alice.hear(&format!("USER bob@10.0.0.9:1 - {}\n", key_of(9)));
    assert!(alice.session.trust.verified.is_empty());
}

#[test]
fn a_text_follows_its_user_to_another_nick() {
    let mut alice = alice();
    alice.type_line("/msg bob psst");
    alice.hear(&format!("NICK 2 {BOB} rob\nNICK 3 zoe@10.0.0.9:1 bob\n"));
    assert_eq!(alice.unsent(), ["rob@10.0.0.2:6000: psst"]);
    alice.hear(&format!("USER bob@10.0.0.9:1 10.0.0.9:2 {}\n", key_of(9)));
    assert!(!is_sent(&alice.shown()) && alice.datagrams_to("10.0.0.9:2").is_empty());
    alice.hear(&format!("USER rob@10.0.0.2:6000 10.0.0.2:6001 {}\n", key_of(2)));
    assert!(is_sent(&alice.shown()));
    assert!(!alice.datagrams_to("10.0.0.2:6001").is_empty());
}

#[test]
fn who_was_chosen_before_its_key_was_told_is_chosen_again_after_a_loss() {
    const REASON: &str = "the connection was lost before the server told that user's key";
    let both = format!("{BOB} {} zoe@10.0.0.9:1 {}", short(&key_of(2)), short(&key_of(9)));
    let mut alice = alice();
    alice.type_line("/query bob");
    again(&mut alice, &both);
    alice.shown();
    alice.sent();
    alice.type_line("psst");
    assert_nothing_goes_out(&mut alice);
    assert_eq!(alice.errors(), [format!("not sent to {BOB}: {REASON}")]);
    alice.session.closed(alice.now());
    alice.shown();
    alice.type_line("/query zoe");
    assert_eq!(alice.errors(), [format!("can't query zoe: {REASON}")]);
    again(&mut alice, &both);
    alice.sent();
    alice.type_line("psst");
    assert_nothing_goes_out(&mut alice);
}

#[test]
fn an_ignored_user_stays_hidden_if_its_key_was_not_told_before_a_loss() {
    let mut alice = alice();
    alice.type_line("/ignore zoe");
    let (zoe, key) = ("zoe@10.0.0.9:1", key_of(9));
    again(&mut alice, &format!("{zoe} {}", short(&key)));
    alice.shown();
    assert!(alice.sent().contains("WHOIS 10.0.0.9:1\n"));
    alice.hear(&format!(
        "SAID 1 {zoe} one\nUSER {zoe} - {key}\nSAID 2 {zoe} two\n"
    ));
    // Now by its key.
    alice.hear(&format!(
        "LEAVE 3 {zoe}\nJOIN 4 zed@10.0.0.6:6 - {}\n",
        short(&key)
    ));
    alice.hear(&format!(
        "USER zed@10.0.0.6:6 - {key}\nSAID 5 zed@10.0.0.6:6 three\n"
    ));
    assert_eq!(alice.shown(), []);
    // Another user of an address is not hidden.
    alice.type_line("/ignore bob");
    let other = format!("{BOB} {}", short(&key_of(3)));
    again(&mut alice, &other);
    alice.shown();
    alice.hear(&format!("SAID 6 {BOB} four\n"));
    assert_eq!(alice.shown().len(), 1);
}

#[test]
fn a_user_is_called_verified_once_its_whole_key_is_told() {
    let mut alice = alice_who_met_bob();
    alice.type_line("/verify bob yes");
    again(&mut alice, &format!("{BOB} {}", short(&forged())));
    let mark = |sim: &mut Sim| {
        sim.shown();
        sim.type_line("/who");
        let [Event::Users(users, _)] = &sim.shown()[..] else {
            panic!("no users");
        };
        let bob = users.iter().find(|user| user.who.to_string() == BOB).unwrap();
        bob.verified.clone()
    };
    assert_eq!(mark(&mut alice), None);
    alice.hear(&bob_is());
    assert_eq!(mark(&mut alice), Some("verified".into()));
}

#[test]
fn the_address_of_a_verified_user_is_its_own_by_the_beginning_of_its_key() {
    let mut alice = Sim::new(config());
    let key = key_of(2).parse().unwrap();
    let nick = Some(Nick::parse("bob").unwrap());
    alice.session.remember_verified(vec![Verified { key, nick }]);
    alice.hear("* chat version 1: hi\n");
    // It left before the server answered.
    let zed = "zed@10.0.0.2:6000";
    alice.hear(&listing(&format!("{zed} {}", short(&key_of(2)))));
    alice.hear(&format!("LEAVE 1 {zed}\nJOIN 2 {zed} - {}\n", short(&key_of(3))));
    alice.type_line("/msg zed psst");
    alice.hear(&format!("USER {zed} 10.0.0.2:6001 {}\n", key_of(3)));
    alice.sent();
    assert_nothing_goes_out(&mut alice);
    let shown = alice.shown();
    assert!(
        shown.iter().any(|event| matches!(event, Event::Doubt(_))),
        "{shown:?}"
    );
    assert!(!is_sent(&shown));
}

#[test]
fn a_text_without_room_finds_a_user_who_returns_under_another_address() {
    let mut alice = alice_who_met_bob();
    let mut count = 0;
    while alice.unsent().is_empty() {
        count += 1;
        alice.type_line(&format!("/msg bob {count}"));
    }
    let last = format!("{BOB}: {count}");
    alice.shown();
    let id = "bob@10.0.0.8:8";
    again(&mut alice, &format!("{id} {}", short(&key_of(2))));
    assert_eq!(refused(&alice.shown()), []);
    assert_eq!(alice.unsent(), [last]);
    alice.hear(&format!("USER {id} 10.0.0.8:9 {}\n", key_of(2)));
    assert_eq!(refused(&alice.shown()), []);
}

#[test]
fn an_answer_about_another_user_or_a_second_one_sends_nothing_there() {
    let mut alice = alice();
    alice.type_line("/msg bob psst");
    alice.sent();
    alice.hear(&format!("USER zoe@10.0.0.9:1 10.0.0.9:2 {}\n", key_of(9)));
    // Nor an answer that says no more than before.
    alice.hear(&format!("USER {BOB} 10.0.0.2:6001 {}\n", short(&key_of(2))));
    assert_nothing_goes_out(&mut alice);
    assert!(alice.datagrams_to("10.0.0.9:2").is_empty());
    assert_eq!(alice.unsent(), [format!("{BOB}: psst")]);
    alice.hear(&bob_is());
    assert!(is_sent(&alice.shown()) && !alice.datagrams_to("10.0.0.2:6001").is_empty());
    alice.hear(&format!("USER {BOB} 10.0.0.2:6001 {}\n", forged()));
    let shown = alice.shown();
    let failed = |event: &Event| matches!(event, Event::NotDelivered(_));
    assert!(shown.iter().any(failed), "{shown:?}");
    alice.sent();
    alice.type_line("/msg bob again");
    assert_nothing_goes_out(&mut alice);
    assert!(!is_sent(&alice.shown()));
}
