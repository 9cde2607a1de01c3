//! Private messages through whole sessions.

use super::*;
use crate::private::Path;

const BOB: &str = "bob@10.0.0.2:6000";

pub(super) fn key_of(secret: u8) -> String {
    private(secret, Options::default()).public_key().to_string()
}

/// Alice in a room with bob, who has a key, and carol, who uses `nc`.
pub(super) fn alice() -> Sim {
    alice_with(Options::default())
}

pub(super) fn alice_with(options: Options) -> Sim {
    let mut sim = Sim::with(config(), private(1, options));
    sim.hear(&format!(
        "* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\nUSER {ME} 10.0.0.1:5001 {}\n",
        key_of(1)
    ));
    sim.hear(&format!(
        "USER {BOB} 10.0.0.2:6001 {}\nUSER carol@10.0.0.3:7000 10.0.0.3:7001 -\nHISTORY -\nLIVE\n",
        key_of(2)
    ));
    sim.quiet();
    sim
}

/// Bob in the same room.
pub(super) fn bob() -> Sim {
    bob_with(Options::default())
}

pub(super) fn bob_with(options: Options) -> Sim {
    let endpoints = Endpoints {
        local: "10.0.0.2:6000".parse().unwrap(),
        udp_port: Some(6001),
        ..endpoints(1)
    };
    let mut sim = Sim::with(
        Config {
            endpoints,
            ..config()
        },
        private(2, options),
    );
    sim.hear(&format!(
        "* chat version 1: hi\nWELCOME {BOB} {TOKEN} {TOKEN} 0\nUSER {ME} 10.0.0.1:5001 {}\nLIVE\n",
        key_of(1)
    ));
    sim.quiet();
    sim
}

impl Sim {
    /// Discards all output so far.
    fn quiet(&mut self) {
        self.sent();
        self.shown();
        while self.session.next_datagram().is_some() {}
    }

    /// The number of the one WHISPER to carol.
    fn whispered(&mut self) -> u64 {
        let line = self.sent();
        let asked = line.strip_prefix("WHISPER 10.0.0.3:7000 ").unwrap();
        asked.split_once(' ').unwrap().0.parse().unwrap()
    }

    pub(super) fn datagrams_to(&mut self, to: &str) -> Vec<Vec<u8>> {
        let to: SocketAddr = to.parse().unwrap();
        let all = std::iter::from_fn(|| self.session.next_datagram());
        all.filter(|transmit| transmit.to == to)
            .map(|transmit| transmit.bytes)
            .collect()
    }
}

/// Carries datagrams between the two until none is left.
pub(super) fn carry(alice: &mut Sim, bob: &mut Sim) {
    for _ in 0..10 {
        for bytes in alice.datagrams_to("10.0.0.2:6001") {
            bob.datagram("10.0.0.1:5001", &bytes);
        }
        for bytes in bob.datagrams_to("10.0.0.1:5001") {
            alice.datagram("10.0.0.2:6001", &bytes);
        }
    }
}

fn texts(events: &[Event]) -> Vec<String> {
    let private = |event: &Event| match event {
        Event::Private(PrivateMessage {
            direction: Direction::Received,
            text,
            transport,
            ..
        }) => Some(format!("{text} ({transport})")),
        _ => None,
    };
    events.iter().filter_map(private).collect()
}

/// The results of sent messages.
pub(super) fn receipts(events: &[Event]) -> Vec<String> {
    let receipt = |event: &Event| match event {
        Event::Delivered(Delivery { text, transport, .. }) => Some(format!("{text} ({transport})")),
        Event::NotDelivered(DeliveryFailure { text, reason, .. }) => Some(format!("{text}: {reason}")),
        _ => None,
    };
    events.iter().filter_map(receipt).collect()
}

#[test]
fn between_keys_messages_are_sealed_and_confirmed() {
    let (mut alice, mut bob) = (alice(), bob());
    alice.type_line("/msg BOB  hi there");
    carry(&mut alice, &mut bob);
    assert_eq!(texts(&bob.shown()), ["hi there (direct)"]);
    let shown = alice.shown();
    let [
        Event::Private(PrivateMessage {
            direction: Direction::Sent(first),
            ..
        }),
        Event::Delivered(Delivery {
            seq,
            transport,
            after,
            ..
        }),
    ] = &shown[..]
    else {
        panic!("{shown:?}");
    };
    assert_eq!(first, seq);
    assert_eq!(
        *transport,
        Transport {
            path: Some(Path::Direct),
            sealed: true
        }
    );
    assert!(after.is_some());
    bob.type_line("/reply and you");
    carry(&mut alice, &mut bob);
    assert_eq!(texts(&alice.shown()), ["and you (direct)"]);
}

#[test]
fn neither_server_nor_network_sees_a_sealed_text() {
    let mut alice = alice();
    alice.type_line("/msg bob attack at dawn");
    alice.wait(5000);
    let lines = alice.sent();
    assert!(lines.contains("RELAY 10.0.0.2:6000 "), "{lines}");
    assert!(!lines.contains("dawn"));
    for bytes in alice.datagrams_to("10.0.0.2:6001") {
        assert!(!bytes.windows(4).any(|window| window == b"dawn"));
    }
}

#[test]
fn leaving_waits_for_the_results_of_private_messages() {
    let mut sim = alice();
    sim.type_line("/msg bob hi");
    sim.session.end_input(sim.now());
    sim.wait(15_000);
    assert_eq!(sim.outcome(), None, "its fate is not known");
    sim.wait(25_000);
    assert_eq!(sim.session.failures().privates, 1);
    let shown = sim.shown();
    assert!(
        shown.iter().any(|event| matches!(event, Event::NotDelivered(_))),
        "{shown:?}"
    );
    assert!(sim.sent().ends_with("QUIT\n"));
}

#[test]
fn messages_to_a_user_who_leaves_fail() {
    let mut sim = alice();
    sim.type_line("/msg bob hi");
    sim.hear(&format!("LEAVE 1 {BOB}\n"));
    let shown = sim.shown();
    let told = shown.iter().find_map(|event| match event {
        Event::NotDelivered(DeliveryFailure { peer, reason, .. }) => Some(format!("{peer}: {reason}")),
        _ => None,
    });
    assert_eq!(told.as_deref(), Some("bob@10.0.0.2:6000: the user left"));
}

#[test]
fn messages_to_a_user_without_key_are_marked_unencrypted() {
    let mut sim = alice();
    sim.type_line("/msg carol hi");
    assert_eq!(sim.datagrams_to("10.0.0.3:7001"), [b"hi".to_vec()]);
    assert_eq!(receipts(&sim.shown()), [""; 0]);
    sim.session.end_input(sim.now());
    assert_eq!(sim.sent(), "", "news of a closed port may yet come");
    sim.wait(600);
    assert_eq!(receipts(&sim.shown()), ["hi (direct, unencrypted)"]);
    assert_eq!(sim.sent(), "QUIT\n");
}

#[test]
fn after_a_closed_port_the_server_relays_the_message() {
    let mut sim = alice();
    sim.type_line("/msg carol hi");
    let closed = "10.0.0.3:7001".parse().unwrap();
    sim.session.datagram_failed(closed, sim.now());
    let seq = sim.whispered();
    // The server may be slow.
    sim.wait(2000);
    sim.hear(&format!("WHISPERED {seq}\n"));
    sim.wait(2000);
    assert_eq!(receipts(&sim.shown()), ["hi (via the server, unencrypted)"]);
    sim.type_line("/msg carol again");
    let seq = sim.whispered();
    sim.hear(&format!("ERROR unreachable {seq} does not read\n"));
    assert!(
        sim.shown()
            .iter()
            .any(|event| matches!(event, Event::NotDelivered(_)))
    );
}

#[test]
fn a_relayed_message_is_shown_in_its_place() {
    let mut alice = alice();
    alice.hear(&format!(
        "SAID 1 {BOB} one\nWHISPER carol@10.0.0.3:7000 two\nSAID 1 {BOB} three\n"
    ));
    let shown = alice.shown();
    let order = shown.iter().map(|event| match event {
        Event::Said(GroupMessage { text, .. }) | Event::Private(PrivateMessage { text, .. }) => {
            text.to_string()
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(order.collect::<Vec<_>>(), ["one", "two", "three"]);
}

#[test]
fn without_a_udp_socket_the_server_relays_messages() {
    let mut sim = Sim::new(Config {
        endpoints: Endpoints {
            udp_port: None,
            ..endpoints(5000)
        },
        ..config()
    });
    sim.hear(&format!("* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\n"));
    sim.hear(&format!(
        "USER {BOB} 10.0.0.2:6001 {}\nUSER carol@10.0.0.3:7000 10.0.0.3:7001 -\nLIVE\n",
        key_of(2)
    ));
    sim.quiet();
    sim.type_line("/msg carol hi");
    let seq = sim.whispered();
    sim.wait(2000);
    sim.hear(&format!("WHISPERED {seq}\n"));
    sim.wait(2000);
    assert_eq!(receipts(&sim.shown()), ["hi (via the server, unencrypted)"]);
    sim.type_line("/msg bob hi");
    sim.wait(1000);
    assert!(sim.sent().contains("RELAY 10.0.0.2:6000 "));
    assert_eq!(sim.session.next_datagram(), None);
}

#[test]
fn an_unencrypted_text_needs_a_keyless_sender_and_its_port() {
    let mut sim = alice();
    sim.datagram("10.0.0.3:7001", b"from nc\xFF\r\n");
    assert_eq!(texts(&sim.shown()), ["from nc\u{FFFD} (direct, unencrypted)"]);
    for (source, bytes) in [
        ("10.0.0.2:6001", &b"from who has a key"[..]),
        ("10.0.0.3:7002", b"another port"),
        ("10.0.0.9:7001", b"another address"),
        ("10.0.0.3:7001", b"\xC1\x01sealed"),
        ("10.0.0.3:7001", b""),
        ("10.0.0.3:7001", b" \n"),
    ] {
        sim.datagram(source, bytes);
    }
    assert_eq!(sim.shown(), []);
    assert_eq!(sim.session.next_datagram(), None, "nothing is answered");
}

#[test]
fn a_relayed_message_has_the_name_of_its_moment() {
    let (mut sim, mut bob) = (alice(), bob());
    bob.type_line("/query alice");
    carry(&mut sim, &mut bob);
    bob.type_line("/msg alice sealed");
    bob.wait(2000);
    let sent = bob.sent();
    let relay = sent
        .lines()
        .find_map(|line| line.strip_prefix("RELAY 10.0.0.1:5000 "));
    sim.hear(&format!(
        "SAID 1 carol@10.0.0.3:7000 before\nWHISPER carol@10.0.0.3:7000 between\nNICK 2 carol@10.0.0.3:7000 dave\n\
         RELAY {BOB} {}\nSAID 3 dave@10.0.0.3:7000 after\n",
        relay.unwrap()
    ));
    let shown: Vec<String> = sim
        .shown()
        .into_iter()
        .filter_map(|event| match event {
            Event::Said(GroupMessage { who, text, .. }) => Some(format!("{who}: {text}")),
            Event::Private(PrivateMessage { peer, text, .. }) => Some(format!("{peer}: {text}")),
            _ => None,
        })
        .collect();
    let expected = [
        "carol@10.0.0.3:7000: before",
        "carol@10.0.0.3:7000: between",
        "bob@10.0.0.2:6000: sealed",
        "dave@10.0.0.3:7000: after",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn without_unencrypted_messages_none_is_sent_or_shown() {
    let options = Options {
        no_unencrypted: true,
        ..Options::default()
    };
    let mut sim = Sim::with(config(), private(1, options));
    sim.hear(&format!(
        "* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\nUSER carol@10.0.0.3:7000 10.0.0.3:7001 -\nLIVE\n"
    ));
    sim.quiet();
    sim.datagram("10.0.0.3:7001", b"hi");
    sim.hear("WHISPER carol@10.0.0.3:7000 hi\n");
    assert_eq!(sim.shown(), []);
    sim.type_line("/msg carol hi");
    assert_eq!(
        sim.errors(),
        ["not sent to carol@10.0.0.3:7000: that user has no key, and unencrypted messages are disabled"]
    );
    assert_eq!(sim.session.failures().privates, 1);
}

#[test]
fn on_an_original_server_the_port_rule_holds() {
    let mut sim = Sim::in_an_original_room();
    sim.type_line("/msg 10.0.0.7:40 hi");
    assert_eq!(sim.datagrams_to("10.0.0.7:41"), [b"hi".to_vec()]);
    sim.shown();
    sim.datagram("10.0.0.7:41", b"hello");
    assert_eq!(texts(&sim.shown()), ["hello (direct, unencrypted)"]);
    assert_eq!(sim.sent(), "");
}

#[test]
fn datagrams_before_the_user_list_are_ignored() {
    let mut sim = Sim::new(config());
    sim.datagram("10.0.0.2:6001", b"hi");
    sim.hear("* chat version 1: hi\n");
    sim.datagram("10.0.0.2:6001", b"hi");
    assert_eq!(sim.shown(), []);
}

#[test]
fn a_query_keeps_lines_private() {
    let mut sim = alice();
    sim.type_line("/query bob");
    sim.type_line("for bob");
    assert!(!sim.sent().contains("SAY"));
    assert_eq!(sim.datagrams_to("10.0.0.2:6001").len(), 1);
    sim.type_line("/query");
    sim.type_line("for all");
    assert!(sim.sent().contains("SAY 1 for all\n"));
}

#[test]
fn a_query_with_a_user_who_left_sends_nothing() {
    let mut sim = alice();
    sim.type_line("/query bob");
    sim.hear(&format!("LEAVE 1 {BOB}\n"));
    sim.quiet();
    sim.type_line("secret");
    assert_eq!(sim.sent(), "");
    assert_eq!(
        sim.errors(),
        [format!("not sent to {BOB}: that user is not here any more")]
    );
}

/// Users after bob: with his address, with his nick, with both.
const TAKE_OVERS: [&str; 3] = ["zoe@10.0.0.2:6000", "bob@10.0.0.9:1", BOB];

/// Bob leaves, and this user joins, without a key.
fn replace_bob(sim: &mut Sim, user: &str) {
    sim.hear(&format!("LEAVE 1 {BOB}\nJOIN 2 {user} 10.0.0.2:6001 -\n"));
    sim.quiet();
}

#[test]
fn a_query_never_goes_to_the_next_user_of_the_address() {
    for user in TAKE_OVERS {
        let mut sim = alice();
        sim.type_line("/query bob");
        replace_bob(&mut sim, user);
        sim.type_line("secret");
        assert_eq!(
            (sim.sent(), sim.session.next_datagram()),
            (String::new(), None),
            "{user}"
        );
        let error = format!("not sent to {BOB}: that user is not here any more");
        assert_eq!(sim.errors(), [error]);
        assert_eq!(sim.session.failures().privates, 1);
        // Bob is back.
        sim.hear(&format!("JOIN 3 {}\n", bob_again()));
        sim.quiet();
        sim.type_line("for bob");
        assert_eq!(
            sim.session.query().map(Who::to_string).as_deref(),
            Some("bob@10.0.0.2:6666")
        );
        assert_eq!(sim.datagrams_to("10.0.0.2:6001").len(), 1);
    }
}

#[test]
fn a_query_of_a_user_without_key_ends_with_its_stay() {
    let carol = "carol@10.0.0.3:7000";
    let mut sim = alice();
    sim.type_line("/query carol");
    sim.hear(&format!("LEAVE 1 {carol}\nJOIN 2 {carol} 10.0.0.3:7001 -\n"));
    let told = format!("{carol} left: what you type is not sent; /query alone writes to everybody");
    assert_eq!(sim.errors(), [told]);
    sim.type_line("secret");
    assert_eq!((sim.sent(), sim.session.next_datagram()), (String::new(), None));
    sim.type_line("/query carol");
    sim.type_line("hi again");
    assert_eq!(sim.datagrams_to("10.0.0.3:7001"), [b"hi again".to_vec()]);
}

#[test]
fn a_query_follows_a_user_to_another_nick() {
    let mut sim = alice();
    sim.type_line("/query carol");
    sim.hear("NICK 1 carol@10.0.0.3:7000 cara\n");
    sim.type_line("hi");
    assert_eq!(sim.datagrams_to("10.0.0.3:7001"), [b"hi".to_vec()]);
}

#[test]
fn a_reply_never_goes_to_the_next_user_of_the_address() {
    for user in TAKE_OVERS {
        let (mut alice, mut bob) = (alice(), bob());
        bob.type_line("/msg alice hi");
        carry(&mut alice, &mut bob);
        replace_bob(&mut alice, user);
        alice.type_line("/reply secret");
        assert_eq!(
            (alice.sent(), alice.session.next_datagram()),
            (String::new(), None)
        );
        assert_eq!(alice.session.failures().privates, 1, "{user}");
    }
    let mut sim = alice();
    sim.datagram("10.0.0.3:7001", b"hi");
    sim.hear("LEAVE 1 carol@10.0.0.3:7000\nJOIN 2 carol@10.0.0.3:7000 10.0.0.3:7001 -\n");
    sim.type_line("/reply secret");
    assert_eq!((sim.sent(), sim.session.next_datagram()), (String::new(), None));
}

#[test]
fn every_line_goes_to_the_same_user_of_the_option_to() {
    let mut sim = Sim::in_a_room_with(Config {
        to: Some("bob".into()),
        ..config()
    });
    sim.type_line("one");
    assert_eq!(sim.datagrams_to("10.0.0.2:6001"), [b"one".to_vec()]);
    sim.hear(&format!("LEAVE 1 {BOB}\nJOIN 2 bob@10.0.0.9:1 10.0.0.9:2 -\n"));
    sim.quiet();
    sim.type_line("two");
    assert_eq!((sim.sent(), sim.session.next_datagram()), (String::new(), None));
    assert_eq!(sim.session.failures().privates, 1);
}

#[test]
fn lines_after_a_failed_query_go_to_nobody() {
    for interactive in [false, true] {
        let mut sim = alice();
        sim.session.config.interactive = interactive;
        sim.type_line("/query nobody");
        sim.type_line("secret");
        assert_eq!((sim.sent(), sim.session.failures().requests), (String::new(), 2));
        sim.type_line("/query");
        sim.type_line("to all");
        assert_eq!(sim.sent(), "SAY 1 to all\n");
    }
}

#[test]
fn a_waiting_message_never_goes_to_the_next_user() {
    let mut sim = alice();
    for number in 0..600 {
        sim.type_line(&format!("/msg bob {number}"));
    }
    sim.quiet();
    sim.hear(&format!("LEAVE 1 {BOB}\nJOIN 2 {BOB} 10.0.0.2:6001 -\n"));
    assert_eq!((sim.sent(), sim.session.next_datagram()), (String::new(), None));
    sim.wait(1000);
    assert_eq!(sim.session.failures().privates, 600);
    assert!(sim.datagrams_to("10.0.0.2:6001").is_empty());
}

#[test]
fn a_waiting_message_follows_a_user_without_key_to_another_nick() {
    let mut sim = alice();
    for number in 0..65 {
        sim.type_line(&format!("/msg carol {number}"));
    }
    assert!(!sim.session.takes_input(), "the last one waits");
    sim.hear("NICK 1 carol@10.0.0.3:7000 caz\n");
    sim.quiet();
    sim.wait(500);
    assert_eq!(sim.datagrams_to("10.0.0.3:7001"), [b"64"]);
}

#[test]
fn with_the_option_to_every_line_is_private() {
    let mut sim = Sim::in_a_room_with(Config {
        to: Some("bob".into()),
        ..config()
    });
    sim.session.request(&Command::text("/etc/passwd"), sim.now());
    assert_eq!(sim.datagrams_to("10.0.0.2:6001").len(), 1);
    assert_eq!(sim.sent().matches("SAY").count(), 0);
}

#[test]
fn both_users_see_the_same_code() {
    let (mut alice, mut bob) = (alice(), bob());
    alice.type_line("/verify bob");
    bob.type_line("/verify alice");
    let code = |sim: &mut Sim| {
        sim.shown().into_iter().find_map(|event| match event {
            Event::Code(VerifyCode { code, .. }) => Some(code),
            _ => None,
        })
    };
    let ours = code(&mut alice);
    assert!(ours.is_some());
    assert_eq!(ours, code(&mut bob));
    alice.type_line("/verify carol");
    assert_eq!(
        alice.errors(),
        ["nothing to compare with carol: that user has no key"]
    );
}

#[test]
fn messages_beyond_the_room_wait_and_none_is_lost() {
    let (mut alice, mut bob) = (alice(), bob());
    for number in 0..600 {
        alice.type_line(&format!("/msg bob {number}"));
    }
    assert!(!alice.session.takes_input(), "no input is taken while some wait");
    let mut heard = Vec::new();
    for _ in 0..2000 {
        carry(&mut alice, &mut bob);
        heard.extend(texts(&bob.shown()));
        if heard.len() >= 600 {
            break;
        }
        alice.shown();
        alice.wait(5);
        bob.wait(5);
    }
    let expected: Vec<String> = (0..600).map(|number| format!("{number} (direct)")).collect();
    assert_eq!(heard, expected);
    assert!(alice.session.takes_input());
    assert_eq!(alice.session.failures().privates, 0);
}

/// Alice, who typed these lines after her connection was lost.
fn away(lines: &[&str]) -> Sim {
    let mut alice = alice();
    alice.session.config.interactive = true;
    alice.session.closed(alice.now());
    alice.shown();
    for line in lines {
        alice.type_line(line);
    }
    alice
}

/// She is back with another port. The server announces these users.
fn back(alice: &mut Sim, users: &[String]) {
    let now = alice.now();
    alice.session.connected(endpoints(5555), now);
    alice.hear("* chat version 1: hi\n");
    alice.hear(&format!("WELCOME alice@10.0.0.1:5555 {TOKEN} {TOKEN} 0\n"));
    for user in users {
        alice.hear(&format!("USER {user}\n"));
    }
    alice.hear("HISTORY -\nLIVE\n");
}

/// Bob after his return, with the same key.
fn bob_again() -> String {
    format!("bob@10.0.0.2:6666 10.0.0.2:6001 {}", key_of(2))
}

#[test]
fn messages_typed_offline_go_to_the_same_user() {
    let mut alice = away(&["/msg bob one", "to all", "/msg BOB two"]);
    assert_eq!(
        alice.unsent(),
        [&format!("{BOB}: one"), "to all", &format!("{BOB}: two")]
    );
    assert_eq!(alice.shown(), []);
    back(&mut alice, &[bob_again()]);
    assert_eq!(alice.unsent(), ["to all"]);

    let mut bob = bob();
    bob.hear(&format!(
        "JOIN 1 alice@10.0.0.1:5555 10.0.0.1:5556 {}\n",
        key_of(1)
    ));
    for _ in 0..2 {
        for bytes in alice.datagrams_to("10.0.0.2:6001") {
            bob.datagram("10.0.0.1:5556", &bytes);
        }
        for bytes in bob.datagrams_to("10.0.0.1:5556") {
            alice.datagram("10.0.0.2:6001", &bytes);
        }
    }
    assert_eq!(texts(&bob.shown()), ["one (direct)", "two (direct)"]);
}

#[test]
fn a_kept_message_waits_for_its_user_alone() {
    let mut alice = away(&["/msg bob psst"]);
    // Another user has bob's nick and address.
    let other = format!("{BOB} 10.0.0.2:6001 {}", key_of(3));
    back(&mut alice, &[other]);
    alice.wait(20_000);
    assert_eq!(alice.unsent(), [format!("{BOB}: psst")]);
    alice.shown();
    alice.hear(&format!("JOIN 1 {}\n", bob_again()));
    let shown = alice.shown();
    let sent = shown.iter().find_map(|event| match event {
        Event::Private(PrivateMessage { peer, text, .. }) => Some((peer.to_string(), text.to_string())),
        _ => None,
    });
    assert_eq!(
        sent,
        Some(("bob@10.0.0.2:6666".into(), "psst".into())),
        "{shown:?}"
    );
}

#[test]
fn a_kept_message_fails_if_its_user_does_not_return() {
    let mut alice = away(&["/msg bob psst"]);
    back(&mut alice, &[]);
    alice.wait(29_999);
    assert_eq!(alice.unsent().len(), 1);
    alice.shown();
    alice.wait(1);
    let refused = Event::Refused(RefusedMessage {
        text: Text::new("psst"),
        reason: Text::from(format!("{BOB} is not here any more")),
    });
    assert_eq!(alice.shown(), [refused]);
    assert_eq!(alice.unsent(), [""; 0]);
    alice.hear(&format!("JOIN 1 {}\n", bob_again()));
    assert!(alice.datagrams_to("10.0.0.2:6001").is_empty());
}

#[test]
fn leaving_waits_for_users_who_may_return() {
    let mut alice = away(&["/msg bob psst"]);
    back(&mut alice, &[]);
    alice.session.end_input(alice.now());
    alice.sent();
    alice.wait(29_999);
    assert_eq!(alice.sent(), "");
    assert_eq!(alice.outcome(), None);
    alice.wait(1);
    assert!(alice.sent().ends_with("QUIT\n"));
    alice.hear("GOODBYE quit bye\n");
    let ending = Ending {
        outcome: Outcome::Left,
        unknown: 0,
        failed: 1,
    };
    assert_eq!(alice.shown().last(), Some(&Event::Ended(ending)));
}

#[test]
fn another_loss_restarts_the_wait() {
    let mut alice = away(&["/msg bob psst"]);
    back(&mut alice, &[]);
    alice.wait(20_000);
    alice.session.closed(alice.now());
    alice.wait(60_000);
    back(&mut alice, &[]);
    alice.wait(29_000);
    assert_eq!(alice.unsent().len(), 1);
}

#[test]
fn a_message_that_can_never_be_sent_is_not_kept() {
    let long = format!("/msg bob {}", "x".repeat(TEXT_MAX + 1));
    let mut alice = away(&[&long, "/msg alice hi", "/msg nobody hi"]);
    assert_eq!(alice.unsent(), [""; 0]);
    let errors = alice.shown();
    assert!(
        errors.len() == 3 && errors.iter().all(|event| matches!(event, Event::Error(..))),
        "{errors:?}"
    );
}

#[test]
fn kept_messages_have_a_limit() {
    let mut alice = away(&[]);
    for _ in 0..BYTES_MAX {
        if !alice.session.has_room() {
            break;
        }
        alice.type_line("/msg bob x");
    }
    assert!(!alice.session.has_room());
    assert!(alice.session.unsent_count() < BYTES_MAX / 100);
}

#[test]
fn leaving_reports_the_kept_messages() {
    let mut alice = away(&["/msg bob one", "to all"]);
    alice.session.leave(alice.now());
    assert_eq!(alice.session.outcome(), Some(&Outcome::Unacknowledged(2)));
}

#[test]
fn a_proven_conversation_goes_on_without_the_server() {
    let connect = |endpoints: Endpoints, secret, own: &str, other: String| {
        let config = Config {
            endpoints,
            interactive: true,
            ..config()
        };
        let mut sim = Sim::with(config, private(secret, Options::default()));
        sim.hear(&format!(
            "* chat version 1: hi\nWELCOME {own} {TOKEN} {TOKEN} 0\nUSER {other}\nHISTORY -\nLIVE\n"
        ));
        sim.quiet();
        sim
    };
    let bobs = Endpoints {
        local: "10.0.0.2:6000".parse().unwrap(),
        udp_port: Some(6001),
        ..endpoints(1)
    };
    let mut alice = connect(
        endpoints(5000),
        1,
        ME,
        format!("{BOB} 10.0.0.2:6001 {}", key_of(2)),
    );
    let mut bob = connect(bobs, 2, BOB, format!("{ME} 10.0.0.1:5001 {}", key_of(1)));
    // Nothing is proven yet: the message is kept.
    alice.session.closed(alice.now());
    alice.type_line("/msg bob kept");
    assert_eq!(alice.unsent(), [format!("{BOB}: kept")]);
    let mut alice = connect(
        endpoints(5000),
        1,
        ME,
        format!("{BOB} 10.0.0.2:6001 {}", key_of(2)),
    );
    alice.type_line("/msg bob proof");
    carry(&mut alice, &mut bob);
    bob.type_line("/msg alice proof");
    carry(&mut alice, &mut bob);
    for sim in [&mut alice, &mut bob] {
        sim.session.closed(sim.now());
        sim.quiet();
        assert!(sim.session.is_lost());
    }
    alice.type_line("/msg bob are you there?");
    assert_eq!(alice.unsent(), [""; 0]);
    carry(&mut alice, &mut bob);
    assert_eq!(texts(&bob.shown()), ["are you there? (direct)"]);
    assert_eq!(receipts(&alice.shown()), ["are you there? (direct)"]);
    // It also goes on while a new connection is set up.
    reconnect(&mut alice);
    bob.type_line("/msg alice yes");
    carry(&mut alice, &mut bob);
    assert_eq!(texts(&alice.shown()), ["yes (direct)"]);
}

#[test]
fn an_unconfirmed_message_is_a_failure_unless_the_server_confirms() {
    let mut alice = alice();
    alice.type_line("/msg carol hi");
    alice.wait(500);
    assert_eq!(receipts(&alice.shown()), ["hi (direct, unencrypted)"]);
    assert_eq!(alice.session.failures().privates, 1);
    alice.type_line("/msg carol hi again");
    let now = alice.now();
    alice
        .session
        .datagram_failed("10.0.0.3:7001".parse().unwrap(), now);
    let number = alice.whispered();
    alice.hear(&format!("WHISPERED {number}\n"));
    assert_eq!(
        receipts(&alice.shown()),
        ["hi again (via the server, unencrypted)"]
    );
    assert_eq!(alice.session.failures().privates, 1);
}

#[test]
fn private_messages_have_the_time_of_the_server() {
    const DAY: u64 = 86_400_000;
    let (mut alice, mut bob) = (alice(), bob());
    let mut exchange = |alice: &mut Sim, text: &str| {
        alice.type_line(&format!("/msg bob to {text}"));
        carry(alice, &mut bob);
        bob.type_line(&format!("/msg alice from {text}"));
        carry(alice, &mut bob);
        let at = |event: &Event| match event {
            Event::Private(message) => Some(message.at),
            _ => None,
        };
        let times: Vec<u64> = alice.shown().iter().filter_map(at).collect();
        assert_eq!(times.len(), 2);
        times
    };
    let own = alice.now().unix_ms;
    assert_eq!(
        exchange(&mut alice, "unknown"),
        [own; 2],
        "the server has not told its time"
    );
    let server = own + DAY;
    alice.hear(&format!("JOIN {server} {ME} - -\n"));
    assert_eq!(exchange(&mut alice, "joined"), [server; 2]);
    alice.wait(1000);
    assert_eq!(exchange(&mut alice, "later"), [server + 1000; 2]);
    // A line that arrived late does not set the clock back; a later time sets it forward.
    alice.hear(&format!("SAID {server} carol@10.0.0.3:7000 late\n"));
    assert_eq!(exchange(&mut alice, "late"), [server + 1000; 2]);
    alice.hear(&format!("SAID {} carol@10.0.0.3:7000 ahead\n", server + 5000));
    assert_eq!(exchange(&mut alice, "ahead"), [server + 5000; 2]);
    // The server's clock was set back.
    let set_back = server - 3_600_000;
    alice.hear(&format!("SAID {set_back} carol@10.0.0.3:7000 set back\n"));
    assert_eq!(exchange(&mut alice, "set back"), [set_back; 2]);
    // The server's clock is behind after a new join.
    alice.hear(&format!("JOIN {own} {ME} - -\n"));
    assert_eq!(exchange(&mut alice, "behind"), [own; 2]);
}

#[test]
fn a_user_from_before_the_loss_is_awaited() {
    for typed in ["bob", BOB, "10.0.0.2:6000"] {
        let mut alice = away(&[]);
        back(&mut alice, &[]);
        alice.wait(5000);
        alice.quiet();
        alice.type_line(&format!("/msg {typed} psst"));
        assert_eq!(alice.shown(), []);
        assert_eq!(alice.unsent(), [format!("{BOB}: psst")]);
        alice.hear(&format!("JOIN 1 {}\n", bob_again()));
        assert_eq!(alice.unsent(), [""; 0]);
        assert!(!alice.datagrams_to("10.0.0.2:6001").is_empty());
        // Bob is back: if he leaves now, nothing waits for him.
        alice.hear("LEAVE 1 bob@10.0.0.2:6666\n");
        alice.type_line("/msg bob again");
        assert_eq!(alice.unsent(), [""; 0]);
    }
}

#[test]
fn a_user_is_awaited_while_the_user_list_arrives() {
    let mut alice = away(&[]);
    alice.session.connected(endpoints(5555), alice.now());
    alice.hear(&format!(
        "* chat version 1: hi\nWELCOME alice@10.0.0.1:5555 {TOKEN} {TOKEN} 0\n"
    ));
    alice.type_line("/msg bob psst");
    assert_eq!(alice.unsent(), [format!("{BOB}: psst")]);
}

/// Whoever types a name means the user who was last seen under it.
#[test]
fn the_name_of_a_stranger_who_left_does_not_mean_an_awaited_user() {
    for (stranger, typed) in [("bob@10.0.0.6:6666", "bob"), ("10.0.0.2:6000", "10.0.0.2:6000")] {
        let mut alice = away(&[]);
        back(&mut alice, &[format!("{stranger} - {}", key_of(3))]);
        alice.hear(&format!("LEAVE 1 {stranger}\n"));
        alice.quiet();
        alice.type_line(&format!("/msg {typed} psst"));
        assert_eq!(alice.unsent(), [""; 0]);
        assert_eq!(alice.errors().len(), 1);
    }
}

#[test]
fn a_stranger_with_the_nick_of_an_awaited_user_gets_nothing() {
    let mut alice = away(&[]);
    let stranger = format!("bob@10.0.0.6:6666 - {}", key_of(3));
    back(&mut alice, &[stranger]);
    alice.quiet();
    alice.type_line("/msg bob psst");
    let told = format!("not sent to bob: that may be {BOB} or bob@10.0.0.6:6666: write one of these");
    assert_eq!(alice.errors(), [told]);
    alice.type_line(&format!("/msg {BOB} psst"));
    assert_eq!(alice.unsent(), [format!("{BOB}: psst")]);
    // Nor does one with the address.
    let mut alice = away(&[]);
    back(&mut alice, &[format!("{BOB} - {}", key_of(3))]);
    for typed in ["bob", BOB, "10.0.0.2:6000"] {
        alice.quiet();
        alice.type_line(&format!("/msg {typed} psst"));
        let told =
            format!("not sent to {typed}: that user is not back yet, and another one has the address now");
        assert_eq!(alice.errors(), [told]);
    }
    alice.wait(30_000);
    alice.type_line("/msg bob psst");
    let told = alice.errors().concat();
    assert!(told.contains("is another one than before"), "{told}");
}

#[test]
fn a_nick_of_two_awaited_users_means_neither() {
    for stranger in ["bob@10.0.0.1:6666", "bob@10.0.0.6:6666"] {
        let mut alice = away(&[]);
        back(&mut alice, &[format!("{stranger} - {}", key_of(3))]);
        alice.session.closed(alice.now());
        back(&mut alice, &[]);
        alice.quiet();
        alice.type_line("/msg bob psst");
        let told = alice.errors().concat();
        assert!(told.contains("write one of these"), "{told}");
        for typed in [BOB, stranger] {
            alice.type_line(&format!("/msg {typed} psst"));
        }
        let unsent = [BOB, stranger].map(|who| format!("{who}: psst"));
        assert_eq!(alice.unsent(), unsent);
    }
}

#[test]
fn an_awaited_user_is_given_up_with_the_text() {
    let mut alice = away(&[]);
    back(&mut alice, &[]);
    alice.type_line("/msg bob psst");
    alice.quiet();
    alice.wait(30_000);
    let refused = Event::Refused(RefusedMessage {
        text: Text::new("psst"),
        reason: Text::from(format!("{BOB} is not here any more")),
    });
    assert_eq!(alice.shown(), [refused]);
    alice.type_line("/msg bob psst");
    assert_eq!(alice.errors(), ["not sent to bob: nobody here has that name"]);
}
