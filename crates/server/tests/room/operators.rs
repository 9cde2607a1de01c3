//! Who runs the room.

use crate::sim::{PeerNo, Sim, limits, ms};
use chat_noise::key::KeyPair;
use chat_noise::operator::Code;
use chat_server::event::{Event, Refusal};
use chat_server::operators::Operators;
use chat_server::room::output;
use std::collections::HashSet;

fn code() -> Code {
    "aeba-gbaf-aydq-qcik".parse().unwrap()
}

/// A room in which this code makes operators.
pub(crate) fn run_room() -> Sim {
    let mut sim = Sim::new(limits());
    sim.room
        .set_operators(Operators::new(Some(code()), HashSet::new()));
    sim
}

/// It proves this code.
fn prove(sim: &mut Sim, peer: PeerNo, code: &Code) {
    let tag = code.tag(&sim.peers[peer].hash.unwrap());
    sim.send(peer, &format!("OP {tag}\n"));
    sim.run(ms(0));
}

/// A client that runs the room.
pub(crate) fn operator(sim: &mut Sim, address: &str, nick: &str) -> PeerNo {
    let peer = sim.rich(address, nick);
    prove(sim, peer, &code());
    let news = sim.news(peer);
    assert!(news[0].starts_with("OPERATOR "), "{news:?}");
    peer
}

#[test]
fn the_code_makes_an_operator_and_everybody_is_told() {
    let mut sim = run_room();
    let plain = sim.plain("10.0.0.5:5001");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let said = "operator alice@10.0.0.7:5002 runs the room from now on";
    assert_eq!(sim.news(plain).last().unwrap(), &format!("* {said}"));
    let news = sim.news(bob);
    assert_eq!(
        news[news.len() - 2..],
        [
            "OPERATOR alice@10.0.0.7:5002".to_owned(),
            format!("NOTICE {said}")
        ]
    );
    // Who joins later finds it in the list, and who asks at nc too.
    let carol = sim.connect("10.0.0.11:5004");
    sim.seal(carol, "HELLO 1 carol - -");
    sim.run(ms(0));
    assert!(
        sim.news(carol)
            .contains(&"OPERATOR alice@10.0.0.7:5002".to_owned())
    );
    sim.news(plain);
    sim.send(plain, "/who\n");
    sim.run(ms(0));
    assert!(
        sim.news(plain)
            .contains(&"* operator alice@10.0.0.7:5002".to_owned())
    );
    let acts = sim
        .events
        .iter()
        .filter(|event| matches!(event, Event::Act { what, .. } if **what == *"op"));
    assert_eq!(acts.count(), 1);
    prove(&mut sim, alice, &code());
    assert_eq!(
        sim.news(alice).last().unwrap(),
        "NOTICE you are an operator already"
    );
}

#[test]
fn the_tag_of_another_channel_proves_nothing() {
    let mut sim = run_room();
    let alice = sim.rich("10.0.0.7:5002", "alice");
    let mallory = sim.rich("10.0.0.9:5003", "mallory");
    let tag = code().tag(&sim.peers[alice].hash.unwrap());
    sim.send(mallory, &format!("OP {tag}\n"));
    sim.run(ms(0));
    let news = sim.news(mallory);
    assert_eq!(
        news,
        ["ERROR not-operator - wrong code: the right one is where the server was started"]
    );
    let plain = sim.plain("10.0.0.5:5001");
    sim.send(plain, &format!("OP {tag}\n"));
    sim.run(ms(0));
    assert_eq!(sim.news(plain), [format!("from 10.0.0.5:5001: OP {tag}")]);
}

#[test]
fn wrong_codes_make_their_network_wait_and_nobody_else() {
    let mut sim = run_room();
    let alice = sim.rich("10.0.0.7:5002", "alice");
    let mallory = sim.rich("10.0.0.9:5003", "mallory");
    let wrong: Code = "aaaa-aaaa-aaaa-aaaa".parse().unwrap();
    for _ in 0..5 {
        prove(&mut sim, mallory, &wrong);
    }
    assert!(
        sim.news(mallory)
            .iter()
            .all(|line| line.starts_with("ERROR not-operator"))
    );
    // Not even the right one is tried, also not on another connection of the network.
    let again = sim.rich("10.0.0.9:5004", "again");
    for peer in [mallory, again] {
        prove(&mut sim, peer, &code());
        let news = sim.news(peer);
        assert!(news.last().unwrap().starts_with("ERROR too-often"), "{news:?}");
    }
    let refused = |why| {
        let is_it = |event: &&Event| matches!(event, Event::Refuse { why: of, .. } if *of == why);
        sim.events.iter().filter(is_it).count()
    };
    assert_eq!((refused(Refusal::Code), refused(Refusal::Guesses)), (5, 2));
    prove(&mut sim, alice, &code());
    assert!(sim.news(alice).iter().any(|line| line.starts_with("OPERATOR ")));
    sim.run(ms(2_000));
    prove(&mut sim, again, &code());
    assert!(sim.news(again).iter().any(|line| line.starts_with("OPERATOR ")));
}

#[test]
fn an_operator_and_loopback_wait_for_nobody() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.9:5002", "alice");
    let wrong: Code = "aaaa-aaaa-aaaa-aaaa".parse().unwrap();
    for (address, error) in [("10.0.0.9:5003", "too-often"), ("127.0.0.1:5003", "not-operator")] {
        let mallory = sim.rich(address, "mallory");
        for _ in 0..10 {
            prove(&mut sim, mallory, &wrong);
        }
        let news = sim.news(mallory);
        let error = format!("ERROR {error} ");
        assert!(news.last().unwrap().starts_with(&error), "{news:?}");
        sim.news(alice);
        prove(&mut sim, alice, &code());
        assert_eq!(sim.news(alice), ["NOTICE you are an operator already"]);
        sim.send(mallory, "QUIT\n");
        sim.run(ms(0));
    }
    operator(&mut sim, "127.0.0.1:5004", "bob");
}

#[test]
fn a_named_key_is_an_operators_and_stays_one_after_reconnecting() {
    let mut sim = Sim::new(limits());
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let first = sim.connect("10.0.0.7:5001");
    let key = KeyPair::from_secret(sim.peers[first].secret).public();
    sim.room.set_operators(Operators::new(None, HashSet::from([key])));
    sim.close(first);
    for address in ["10.0.0.7:5002", "10.0.0.7:5003"] {
        let alice = sim.connect(address);
        sim.take_key(alice, first);
        sim.seal(alice, "HELLO 1 alice - -");
        sim.run(ms(0));
        let news = sim.news(bob);
        assert!(news.contains(&format!("OPERATOR alice@{address}")), "{news:?}");
        sim.send(alice, "QUIT\n");
        sim.run(ms(0));
    }
    prove(&mut sim, bob, &code());
    assert_eq!(
        sim.news(bob).last().unwrap(),
        "ERROR not-operator - this server has no code for operators"
    );
}

#[test]
fn a_kick_shows_out_and_holds_a_minute() {
    let mut sim = run_room();
    let plain = sim.plain("10.0.0.5:5001");
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    // It begins before the kick, with the same key, and ends after it.
    let waiting = sim.connect("10.0.0.10:5004");
    sim.take_key(waiting, bob);
    sim.run(ms(0));
    sim.news(plain);
    sim.send(alice, "ROOM kick bob too loud\nSAY 1 after\n");
    sim.run(ms(0));
    let said = "operator alice@10.0.0.7:5002 has shown out bob@10.0.0.9:5003: too loud";
    assert_eq!(
        sim.news(plain)[..2],
        [format!("* {said}"), "bob@10.0.0.9:5003 is offline".into()]
    );
    let news = sim.news(bob);
    assert!(news.last().unwrap().starts_with("GOODBYE kicked "), "{news:?}");
    assert!(news.contains(&format!("NOTICE {said}")) && !news.iter().any(|line| line.ends_with("after")));
    sim.seal(waiting, "HELLO 1 other - -");
    sim.run(ms(0));
    assert!(
        sim.news(waiting)
            .last()
            .unwrap()
            .contains("an operator has shown you out")
    );
    // Another key, with the nick from that address; and the nick at nc.
    let again = sim.connect("10.0.0.9:5005");
    sim.seal(again, "HELLO 1 Bob - -");
    sim.run(ms(0));
    assert!(
        sim.news(again)
            .last()
            .unwrap()
            .contains("an operator has shown you out")
    );
    let nc = sim.plain("10.0.0.9:5006");
    sim.send(nc, "/nick bob\n");
    sim.run(ms(0));
    assert!(sim.news(nc).last().unwrap().starts_with("* the nick bob is held"));
    sim.run(ms(60_000));
    let back = sim.connect("10.0.0.9:5007");
    sim.take_key(back, bob);
    sim.seal(back, "HELLO 1 bob - -");
    sim.run(ms(0));
    assert!(sim.news(back)[1].starts_with("WELCOME bob@"));
}

/// How the note of a ban of just now ends.
fn banned_at(sim: &Sim) -> String {
    let text = sim.kept_bans.as_deref().unwrap().trim_end();
    let (_, at) = text.rsplit_once(" at ").unwrap();
    assert!(
        at.ends_with('Z') && at.len() == "2026-11-27T06:25:00Z".len(),
        "{at}"
    );
    format!(" at {at}")
}

#[test]
fn bans_are_kept_and_operators_hear_if_they_are_not() {
    let mut sim = run_room();
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    assert_eq!(sim.kept_bans, None);
    sim.send(alice, "ROOM ban bob rude\n");
    sim.run(ms(0));
    let key = KeyPair::from_secret(sim.peers[bob].secret).public();
    let at = banned_at(&sim);
    let line = format!("{key} 10.0.0.9 # bob@10.0.0.9:5003: rude, by alice@10.0.0.7:5002{at}\n");
    assert_eq!(sim.kept_bans.take(), Some(line));
    let carol = sim.rich("10.0.0.11:5004", "carol");
    sim.news(carol);
    sim.news(alice);
    output::bans_not_kept(&mut sim.room, "the disk is full");
    sim.run(ms(0));
    let warning = "NOTICE the bans hold until the server ends, but they can't be kept: the disk is full";
    assert_eq!(
        (sim.news(alice), sim.news(carol)),
        (vec![warning.to_owned()], vec![])
    );
    sim.send(alice, "ROOM unban bob\n");
    sim.run(ms(0));
    assert_eq!(sim.kept_bans.as_deref(), Some(""));
}

#[test]
fn a_ban_is_of_key_and_network_after_it_was_said_how_many_share_it() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let bob = sim.rich("[2001:db8::9]:5003", "bob");
    let carol = sim.plain("[2001:db8::10]:5004");
    sim.news(alice);
    sim.send(alice, "ROOM ban bob\n");
    sim.run(ms(0));
    let news = sim.news(alice);
    assert!(
        news[0].starts_with("ERROR other - not banned yet: 1 more from 2001:db8::/64"),
        "{news:?}"
    );
    // A handshake that began before the ban.
    let waiting = sim.connect("[2001:db8::11]:5005");
    sim.run(ms(0));
    sim.send(alice, "ROOM ban bob rude\n");
    sim.run(ms(0));
    assert!(
        sim.news(bob)
            .last()
            .unwrap()
            .starts_with("GOODBYE banned banned: ")
    );
    assert!(sim.news(carol).last().unwrap().starts_with("* banned: "));
    assert!(sim.is_closed(waiting));
    let again = sim.connect("[2001:db8::99]:5006");
    sim.run(ms(0));
    assert!(sim.news(again)[0].starts_with("* banned: "));
    let elsewhere = sim.connect("10.0.0.11:5007");
    sim.take_key(elsewhere, bob);
    sim.seal(elsewhere, "HELLO 1 other - -");
    sim.run(ms(0));
    assert!(sim.news(elsewhere).last().unwrap().contains("banned: "));
    sim.news(alice);
    let (who, at) = ("bob@[2001:db8::9]:5003", banned_at(&sim));
    sim.send(alice, "ROOM bans\nROOM unban bob\nROOM bans\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(alice),
        [
            "NOTICE 1 banned or muted:".to_owned(),
            format!("NOTICE 1. {who} (key, 2001:db8::/64): rude, by alice@10.0.0.7:5002{at}"),
            format!("NOTICE operator alice@10.0.0.7:5002 has lifted the ban of {who}"),
            "NOTICE nobody is banned or muted".to_owned(),
        ]
    );
    sim.rich("[2001:db8::9]:5008", "bob");
}

#[test]
fn loopback_and_the_network_of_an_operator_are_not_banned() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    sim.rich("127.0.0.1:5003", "bob");
    let dave = sim.plain("127.0.0.1:5004");
    sim.rich("10.0.0.7:5005", "carol");
    sim.news(alice);
    sim.send(
        alice,
        "ROOM ban 127.0.0.1:5004\nROOM ban bob\nROOM ban carol\nROOM kick alice\nROOM bans\n",
    );
    sim.run(ms(0));
    let (news, at) = (sim.news(alice), banned_at(&sim));
    assert!(
        news.iter()
            .any(|line| line.starts_with("ERROR other - not banned: 127.0.0.1:5004 has no key")),
        "{news:?}"
    );
    assert!(
        news.contains(&format!(
            "NOTICE 1. bob@127.0.0.1:5003 (key): by alice@10.0.0.7:5002{at}"
        )),
        "{news:?}"
    );
    assert!(
        news.contains(&format!(
            "NOTICE 2. carol@10.0.0.7:5005 (key): by alice@10.0.0.7:5002{at}"
        )),
        "{news:?}"
    );
    assert!(
        news.contains(&"ERROR other - alice@10.0.0.7:5002 is an operator".to_owned()),
        "{news:?}"
    );
    assert!(!sim.is_closed(dave));
}

#[test]
fn an_operator_sets_the_topic_and_newcomers_are_told() {
    let mut sim = run_room();
    let plain = sim.plain("10.0.0.5:5001");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let who = "alice@10.0.0.7:5002";
    sim.send(plain, "/topic\n");
    sim.run(ms(0));
    assert_eq!(sim.news(plain).last().unwrap(), "* there is no topic");
    sim.news(bob);
    sim.send(alice, "ROOM topic  keys\tand \u{202e}locks \n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(plain),
        [format!("* operator {who} has set the topic: keys\tand locks")]
    );
    assert_eq!(sim.news(bob), [format!("TOPIC {who} keys\tand locks")]);
    let carol = sim.connect("10.0.0.11:5004");
    sim.seal(carol, "HELLO 1 carol - -");
    let dave = sim.plain("10.0.0.12:5005");
    sim.run(ms(0));
    let news = sim.news(carol);
    let place = |start: &str| news.iter().position(|line| line.starts_with(start)).unwrap();
    assert_eq!(
        news[place("HISTORY ") - 1],
        format!("TOPIC {who} keys\tand locks")
    );
    let joined = format!("* the topic is: keys\tand locks (set by {who})");
    assert!(
        sim.lines(dave).0.contains(&joined.as_str()),
        "{:?}",
        sim.lines(dave)
    );
    sim.send(plain, "/topic\n/topic mine\n");
    sim.send(bob, "ROOM topic mine\n");
    sim.run(ms(0));
    let news = sim.news(plain);
    assert_eq!(
        news[news.len() - 2..],
        [
            joined,
            "* only operators may /topic, and they need chat-client".into()
        ]
    );
    assert!(sim.news(bob).last().unwrap().starts_with("ERROR not-operator "));
    sim.news(alice);
    sim.send(alice, &format!("ROOM topic {}\nROOM topic -\n", "é".repeat(201)));
    sim.run(ms(0));
    assert_eq!(
        sim.news(alice),
        [
            "ERROR too-long - not done: a topic has at most 200 characters".to_owned(),
            format!("TOPIC {who}")
        ]
    );
    let acts = sim.events.iter().filter_map(|event| match event {
        Event::Act { what, .. } => Some(&**what),
        _ => None,
    });
    assert_eq!(acts.collect::<Vec<_>>(), ["op", "topic", "topic removed"]);
}

#[test]
fn a_locked_room_takes_back_who_was_in_and_nobody_else() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let [bob, carol, dave] = [("9:5003", "bob"), ("10:5004", "carol"), ("11:5005", "dave")]
        .map(|(end, nick)| sim.rich(&format!("10.0.0.{end}"), nick));
    let plain = sim.plain("10.0.0.5:5001");
    // Its handshake begins before.
    let early = sim.connect("10.0.0.20:5001");
    sim.run(ms(0));
    sim.reset(dave);
    sim.run(ms(0));
    sim.send(alice, "ROOM lock\nROOM lock\nROOM kick carol\n");
    sim.run(ms(0));
    let news = sim.news(alice);
    assert!(
        news.contains(&"ERROR other - the room is locked already".to_owned()),
        "{news:?}"
    );
    let said = "* operator alice@10.0.0.7:5002 has locked the room: nobody new comes in".to_owned();
    assert!(sim.news(plain).contains(&said));
    sim.seal(early, "HELLO 1 early - -");
    sim.run(ms(61_000));
    let mut come = |address: &str, key: Option<PeerNo>| {
        let peer = sim.connect(address);
        if let Some(key) = key {
            sim.take_key(peer, key);
        }
        sim.seal(peer, "HELLO 1 - - -");
        sim.run(ms(0));
        sim.news(peer)[1].split(' ').take(2).collect::<Vec<_>>().join(" ")
    };
    let locked = "GOODBYE locked";
    assert_eq!(come("10.0.0.21:5001", None), locked);
    assert_eq!(come("10.0.0.10:5006", Some(carol)), locked, "she was shown out");
    assert!(
        come("10.0.0.11:5006", Some(dave)).starts_with("WELCOME"),
        "its connection broke"
    );
    assert!(
        come("10.0.0.9:5006", Some(bob)).starts_with("WELCOME"),
        "in the place of the other"
    );
    assert!(come("10.0.0.9:5007", Some(bob)).starts_with("WELCOME"));
    let nc = sim.connect("10.0.0.22:5001");
    sim.run(ms(300));
    assert!(sim.news(early)[1].starts_with(locked));
    let words = "* not joined: the room is locked, so nobody new comes in; ask an operator to unlock it";
    assert_eq!(sim.news(nc)[1], words);
    let prober = sim.connect("10.0.0.23:5001");
    sim.seal(prober, "PROBE 1 bob");
    sim.run(ms(0));
    assert!(sim.news(prober)[2].starts_with("ERROR locked - the room is locked"));
    let why = |event: &&Event| {
        matches!(
            event,
            Event::Refuse {
                why: Refusal::Locked,
                ..
            }
        )
    };
    assert_eq!(sim.events.iter().filter(why).count(), 4);
    sim.send(alice, "ROOM unlock\nROOM unlock\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(alice).last().unwrap(),
        "ERROR other - the room is not locked"
    );
    sim.rich("10.0.0.24:5001", "erin");
    assert!(sim.room.roster().find("erin").is_some());
}

#[test]
fn who_is_in_a_locked_room_may_begin_to_encrypt_and_come_back() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    // Its first line is late, so it was announced as a plain user.
    let bob = sim.connect("10.0.0.9:5003");
    sim.run(ms(300));
    sim.send(alice, "ROOM lock\n");
    sim.run(ms(0));
    sim.seal(bob, "HELLO 1 bob - -");
    sim.run(ms(0));
    sim.send(bob, "QUIT\n");
    sim.run(ms(0));
    let again = sim.connect("10.0.0.9:5004");
    sim.take_key(again, bob);
    sim.seal(again, "HELLO 1 bob - -");
    sim.run(ms(0));
    assert!(sim.news(again)[1].starts_with("WELCOME bob@"));
}

#[test]
fn a_muted_user_reads_and_says_nothing_to_the_room() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let plain = sim.plain("10.0.0.5:5001");
    sim.send(alice, "ROOM mute bob 10\nROOM mute alice\n");
    sim.run(ms(0));
    let said = "operator alice@10.0.0.7:5002 has muted bob@10.0.0.9:5003 for 10 minutes";
    assert_eq!(sim.news(plain).last().unwrap(), &format!("* {said}"));
    let news = sim.news(alice);
    assert_eq!(
        news[news.len() - 2..],
        [
            format!("NOTICE {said}"),
            "ERROR other - alice@10.0.0.7:5002 is an operator".into()
        ]
    );
    sim.news(bob);
    let refused = |seq| {
        format!(
            "ERROR muted {seq} not sent: an operator has muted you for 10 minutes; private messages still work"
        )
    };
    sim.send(
        bob,
        "SAY 1 hi\nSAY 2 /me waves\nWHISPER 10.0.0.5:5001 3 psst\nNICK rob\nSAY 4 me again\n",
    );
    sim.send(plain, "hello\n");
    sim.run(ms(0));
    let news = sim.news(bob);
    for line in [refused(1), refused(2), refused(4), "WHISPERED 3".into()] {
        assert!(news.contains(&line), "{line}: {news:?}");
    }
    assert!(news.iter().any(|line| line.ends_with("10.0.0.5:5001 hello")));
    let news = sim.news(plain);
    assert!(
        !news
            .iter()
            .any(|line| line.contains("hi") || line.contains("waves")),
        "{news:?}"
    );
    // With the same key from elsewhere, and with another one from there.
    sim.close(bob);
    sim.run(ms(0));
    let elsewhere = sim.connect("10.0.0.10:5004");
    sim.take_key(elsewhere, bob);
    sim.seal(elsewhere, "HELLO 1 robert - -");
    let other = sim.rich("10.0.0.9:5005", "other");
    let nc = sim.plain("10.0.0.9:5006");
    sim.run(ms(0));
    sim.news(elsewhere);
    for peer in [elsewhere, other] {
        sim.send(peer, "SAY 1 hi\n");
        sim.run(ms(0));
        assert_eq!(sim.news(peer).last().unwrap(), &refused(1));
    }
    sim.send(nc, "hi\n/me waves\n");
    sim.run(ms(0));
    let words = "* not sent: an operator has muted you for 10 minutes; private messages still work";
    let news = sim.news(nc);
    assert_eq!(news[news.len() - 2..], [words, words]);
    // One more minute, and it is over.
    sim.run(ms(9 * 60_000 + 1000));
    sim.send(elsewhere, "SAY 2 hi\n");
    sim.run(ms(0));
    assert!(sim.news(elsewhere).last().unwrap().contains("for 1 minute;"));
    sim.run(ms(59_000));
    sim.send(elsewhere, "SAY 2 hi\n");
    sim.run(ms(0));
    assert!(
        sim.news(plain)
            .contains(&"from robert@10.0.0.10:5004: hi".to_owned())
    );
}

#[test]
fn a_mute_of_more_than_one_is_asked_for_twice_and_lifted_by_any_name() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let carol = sim.plain("10.0.0.9:5004");
    sim.rich("127.0.0.1:5005", "erin");
    sim.plain("127.0.0.1:5006");
    sim.news(alice);
    sim.send(
        alice,
        "ROOM ban bob\nROOM mute bob\nROOM mute bob\nROOM mute bob\n",
    );
    sim.run(ms(0));
    let news = sim.news(alice);
    assert!(
        news[1].starts_with("ERROR other - not muted yet: 1 more from 10.0.0.9"),
        "{news:?}"
    );
    sim.send(carol, "hi\n");
    sim.run(ms(0));
    assert!(
        sim.news(carol)
            .last()
            .unwrap()
            .contains("muted you until an operator lifts that;")
    );
    sim.send(bob, "NICK rob\n");
    sim.run(ms(0));
    sim.news(alice);
    sim.send(
        alice,
        "ROOM bans\nROOM unban 1\nROOM unmute rob\nROOM unmute bob\nROOM mute erin\nROOM mute 127.0.0.1:5006\n",
    );
    sim.run(ms(0));
    let by = "NOTICE operator alice@10.0.0.7:5002";
    assert_eq!(
        sim.news(alice),
        [
            "NOTICE 1 banned or muted:".to_owned(),
            "NOTICE 1. bob@10.0.0.9:5003 (key, 10.0.0.9), muted until an operator lifts that".into(),
            "ERROR other - there is no such ban; /bans lists them".into(),
            format!("{by} has unmuted bob@10.0.0.9:5003"),
            "ERROR other - nobody of that name is muted; /bans lists the muted".into(),
            format!("{by} has muted erin@127.0.0.1:5005"),
            "ERROR other - not muted: 127.0.0.1:5006 has no key, and its address is this machine's; /kick shows it out".into(),
        ]
    );
    sim.send(bob, "SAY 1 hi\n");
    sim.run(ms(0));
    assert!(sim.news(carol).last().unwrap().ends_with(": hi"));
    let acts = sim.events.iter().filter_map(|event| match event {
        Event::Act { what, .. } => Some(&**what),
        _ => None,
    });
    let acts: Vec<&str> = acts.collect();
    assert_eq!(
        acts,
        [
            "op",
            "mute bob@10.0.0.9:5003",
            "unmute bob@10.0.0.9:5003",
            "mute erin@127.0.0.1:5005"
        ]
    );
}

#[test]
fn an_unmute_leaves_the_mutes_of_others_in_the_network() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let eve = sim.rich("10.0.0.9:5004", "eve");
    let orders = "ROOM mute eve\nROOM mute eve\nROOM unmute bob\nROOM mute bob 10\nROOM mute bob 10\nROOM unmute bob\n";
    sim.news(alice);
    sim.send(alice, orders);
    sim.run(ms(0));
    let by = "NOTICE operator alice@10.0.0.7:5002";
    let shares = "ERROR other - bob@10.0.0.9:5003 shares a network with eve@10.0.0.9:5004, who is muted; /unmute eve@10.0.0.9:5004 lifts that for both";
    let news = sim.news(alice);
    assert_eq!(news[1], format!("{by} has muted eve@10.0.0.9:5004"));
    assert_eq!(news[2], shares);
    assert_eq!(
        news[4],
        format!("{by} has muted bob@10.0.0.9:5003 for 10 minutes")
    );
    assert_eq!(
        news[5..],
        [format!("{by} has unmuted bob@10.0.0.9:5003"), shares.into()]
    );
    sim.send(alice, "ROOM unmute eve\n");
    sim.send(bob, "SAY 1 hi\n");
    sim.send(eve, "SAY 1 ho\n");
    sim.run(ms(0));
    let news = sim.news(alice);
    assert_eq!(news[0], format!("{by} has unmuted eve@10.0.0.9:5004"));
    assert!(news[1].ends_with(" hi") && news[2].ends_with(" ho"), "{news:?}");
}

#[test]
fn a_refused_message_is_tried_again_by_a_client_that_was_not_told() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    sim.send(bob, "SAY 1 first\n");
    sim.run(ms(0));
    sim.send(alice, "ROOM mute bob\n");
    sim.run(ms(0));
    sim.send(bob, "SAY 2 second\n");
    sim.run(ms(0));
    let resume = sim
        .lines(bob)
        .0
        .iter()
        .find(|line| line.starts_with("WELCOME "))
        .unwrap()
        .split(' ')
        .nth(2)
        .unwrap()
        .to_owned();
    sim.reset(bob);
    sim.run(ms(0));
    let again = sim.connect("10.0.0.9:5004");
    sim.take_key(again, bob);
    sim.seal(again, &format!("HELLO 1 bob - {resume}"));
    sim.run(ms(0));
    let welcome = sim.news(again)[1].clone();
    assert!(
        welcome.starts_with("WELCOME bob@") && welcome.ends_with(" 1"),
        "{welcome}"
    );
}

#[test]
fn a_slow_room_takes_one_line_of_each_user_in_a_while() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let plain = sim.plain("10.0.0.5:5001");
    sim.send(alice, "ROOM slow off\nROOM slow 30\nSAY 1 a\nSAY 2 b\n");
    sim.run(ms(0));
    let news = sim.news(alice);
    assert!(news.contains(&"ERROR other - the room is not slow".to_owned()));
    assert!(news.last().unwrap().ends_with(" b"), "operators may");
    sim.news(bob);
    sim.send(bob, "SAY 1 one\nSAY 2 two\n");
    sim.send(plain, "three\nfour\n");
    sim.run(ms(0));
    let news = sim.news(plain);
    assert!(
        news.contains(
            &"* operator alice@10.0.0.7:5002 has made the room slow: each user may say one line in 30 s"
                .to_owned()
        )
    );
    assert_eq!(
        news.last().unwrap(),
        "* not sent: the room is slow, one line in 30 s; you may go on in 31 s"
    );
    let refused =
        "ERROR slow 2 not sent: the room is slow, one line in 30 s; you may go on in 31 s".to_owned();
    assert!(sim.news(bob).contains(&refused));
    sim.run(ms(29_000));
    // The key counts, not the connection.
    let again = sim.connect("10.0.0.9:5004");
    sim.take_key(again, bob);
    sim.seal(again, "HELLO 1 bob - -");
    sim.run(ms(0));
    sim.send(again, "SAY 3 three\n");
    sim.run(ms(0));
    assert!(sim.news(again).last().unwrap().contains("you may go on in 2 s"));
    sim.run(ms(1000));
    sim.send(again, "SAY 3 three\nSAY 4 four\n");
    sim.run(ms(0));
    let news = sim.news(again);
    assert!(
        news.iter().any(|line| line.ends_with(" three")) && news.last().unwrap().starts_with("ERROR slow 4")
    );
    sim.send(alice, "ROOM slow off\n");
    sim.run(ms(0));
    sim.send(again, "SAY 5 five\nSAY 6 six\n");
    sim.run(ms(0));
    assert!(sim.news(plain).last().unwrap().ends_with(" six"));
}

#[test]
fn others_are_told_that_only_operators_may() {
    let mut sim = run_room();
    let bob = sim.rich("10.0.0.9:5003", "bob");
    let plain = sim.plain("10.0.0.5:5001");
    sim.news(bob);
    sim.send(bob, "ROOM kick 10.0.0.5:5001\n");
    sim.send(plain, "/kick bob\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(bob),
        ["ERROR not-operator - only operators may do that; /op CODE makes you one"]
    );
    assert_eq!(
        sim.news(plain),
        ["* only operators may /kick, and they need chat-client"]
    );
}
