//! Probes, which the room must never notice.

use crate::sim::{PeerNo, Sim, limits, ms};
use chat_noise::rendezvous::{REQUEST_LEN, REQUEST_MAX, Reply, request};
use chat_proto::opaque::{Opaque, Token};
use chat_proto::rich::FromServer;
use chat_server::event::{Departure, Event};
use chat_server::room::Limits;
use chat_server::room::PROBE_TIME;

const HOME: &str = "10.0.0.9:1001";

/// A connection that probes, and its token.
fn probing(sim: &mut Sim) -> (PeerNo, Token) {
    let peer = sim.connect(HOME);
    sim.run(ms(0));
    sim.send(peer, "PROBE 1 -\n");
    sim.run(ms(0));
    let news = sim.news(peer);
    match FromServer::parse(&news[1]) {
        Ok(FromServer::Probed(at, who, token)) => {
            assert_eq!(at, sim.clock().unix_ms);
            assert_eq!(who.to_string(), HOME);
            (peer, token)
        }
        _ => panic!("{news:?}"),
    }
}

/// The reply to this address for a request of this length.
pub(crate) fn ask(sim: &mut Sim, token: Token, from: &str, length: usize) -> Option<Vec<u8>> {
    sim.requests += 1;
    let mut request = request(&token, sim.requests, length.max(REQUEST_LEN));
    request.truncate(length);
    sim.room.rendezvous(sim.clock(), from.parse().unwrap(), &request)
}

#[test]
fn a_probe_and_the_room_do_not_notice_each_other() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.1:1001"), sim.rich("10.0.0.1:1002", "rick"));
    sim.news(plain);
    let (peer, token) = probing(&mut sim);
    sim.run(ms(1000));
    sim.send(plain, "hello\n/who\n/msg 10.0.0.9:1001 are you there?\n");
    sim.send(
        rich,
        "RELAY 10.0.0.9:1001 AAAA\nPUNCH 10.0.0.9:1001\nWHISPER 10.0.0.9:1001 1 psst\n",
    );
    let reply = ask(&mut sim, token, "10.0.0.9:1002", 64).unwrap();
    let nonce = Reply::parse(&token, &reply).unwrap().nonce;
    sim.send(
        peer,
        &format!("CONFIRM {nonce}\nSAY 1 boo\nNICK boo\nHELLO 1 boo - -\n/nick boo\nboo\n"),
    );
    sim.send(
        peer,
        "RELAY 10.0.0.1:1002 AAAA\nPUNCH 10.0.0.1:1002\nWHISPER 10.0.0.1:1002 1 boo\nPROBE 1 -\nPING 7\n",
    );
    sim.run(ms(1000));
    assert_eq!(sim.news(peer), ["PONG 7"]);
    assert_eq!(
        sim.news(plain),
        [
            "from 10.0.0.1:1001: hello",
            "* 2 users are here, of at most 10000:",
            "* 10.0.0.1:1001",
            "* rick@10.0.0.1:1002",
            "* no such user: 10.0.0.9:1001; /who lists the users",
        ]
    );
    sim.send(peer, "QUIT\n");
    sim.run(ms(1000));
    assert!(sim.is_closed(peer));
    let last = sim.rich("10.0.0.3:1", "last");
    assert_eq!(sim.news(plain), ["last@10.0.0.3:1 is online"]);
    assert!(!sim.lines(last).0.iter().any(|line| line.contains("10.0.0.9")));
    assert!(
        !sim.lines(rich)
            .0
            .iter()
            .any(|line| line.contains("10.0.0.9:") && line.starts_with(|c| c != 'E'))
    );
    let peer = HOME.parse().unwrap();
    assert!(
        sim.events.contains(&Event::Probe { peer }),
        "the operator is told"
    );
}

#[test]
fn a_probe_may_arrive_in_pieces() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let peer = sim.connect(HOME);
    sim.peers[peer].read_max = 1;
    sim.send(peer, "PROBE 1 -\n");
    sim.run(ms(0));
    assert!(sim.news(peer)[1].starts_with("PROBED "));
    sim.run(ms(1000));
    assert_eq!(sim.news(witness), [""; 0]);
}

#[test]
fn a_line_that_only_resembles_probe_is_a_message() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let person = sim.connect(HOME);
    sim.send(person, "PROBE everything\n");
    sim.run(ms(0));
    let said = ["10.0.0.9:1001 is online", "from 10.0.0.9:1001: PROBE everything"];
    assert_eq!(sim.news(witness), said);
    sim.send(person, "PROBE 1 -\n");
    sim.run(ms(0));
    assert_eq!(sim.news(witness), ["from 10.0.0.9:1001: PROBE 1 -"]);
}

/// Over a slow network, the user may be announced before its PROBE arrives.
#[test]
fn a_late_probe_makes_the_user_leave() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let peer = sim.connect(HOME);
    sim.run(ms(300));
    sim.send(peer, "PROBE 1 -\n");
    sim.run(ms(0));
    let heard = ["10.0.0.9:1001 is online", "10.0.0.9:1001 is offline"];
    assert_eq!(sim.news(witness), heard);
    assert_eq!(sim.departure(HOME), Some(Departure::Probe));
    sim.send(witness, "hello\n");
    sim.run(ms(0));
    let news = sim.news(peer);
    assert!(news[2].starts_with("PROBED "), "{news:?}");
    assert_eq!(news.len(), 3, "{news:?}");
    sim.news(witness);
    sim.run(PROBE_TIME);
    assert!(sim.is_closed(peer));
    assert_eq!(sim.news(witness), [""; 0], "it leaves once");
}

#[test]
fn a_probe_checks_a_nick_without_taking_it() {
    let mut sim = Sim::new(limits());
    sim.rich("10.0.0.1:1002", "rick");
    for (nick, refusal) in [
        (
            "Rick",
            Some("ERROR nick-taken - the nick Rick is taken by rick@10.0.0.1:1002"),
        ),
        ("server", Some("ERROR bad-nick - ")),
        ("free", None),
        ("free", None),
    ] {
        let peer = sim.connect(HOME);
        sim.send(peer, &format!("PROBE 1 {nick}\n"));
        sim.run(ms(0));
        let news = sim.news(peer);
        assert_eq!(news.get(2).is_some(), refusal.is_some(), "{news:?}");
        assert!(
            news.get(2).is_none_or(|line| line.starts_with(refusal.unwrap())),
            "{news:?}"
        );
        sim.close(peer);
        sim.run(ms(0));
    }
}

/// Nobody sees it take a place, so it may not take one for long.
#[test]
fn a_probe_takes_a_place_for_10_s() {
    let mut sim = Sim::new(Limits {
        max_users: 1,
        ..limits()
    });
    let (peer, token) = probing(&mut sim);
    assert_eq!(sim.room.roster().staying(), 1);
    sim.run(PROBE_TIME - ms(1));
    sim.send(peer, "PING 1\n");
    sim.run(ms(0));
    assert_eq!(sim.news(peer), ["PONG 1"]);
    sim.run(ms(1));
    assert_eq!(
        sim.news(peer),
        ["GOODBYE other disconnected: the probe took too long"]
    );
    assert!(sim.is_closed(peer));
    assert_eq!(
        ask(&mut sim, token, HOME, 64),
        None,
        "nor is its token good for anything"
    );
    let third = sim.connect("10.0.0.1:2");
    sim.run(ms(0));
    assert!(sim.news(third)[0].starts_with("* chat version 1: "));
}

#[test]
fn a_padded_request_of_a_probe_has_a_reply_of_its_length() {
    let mut sim = Sim::new(limits());
    let (_, token) = probing(&mut sim);
    let source = "10.0.0.9:1002";
    for (length, replied) in [(64, 60), (65, 65), (1200, 1200), (REQUEST_MAX, REQUEST_MAX)] {
        let reply = ask(&mut sim, token, source, length).unwrap();
        assert_eq!(reply.len(), replied);
        assert_eq!(
            Reply::parse(&token, &reply).unwrap().observed,
            source.parse().unwrap()
        );
    }
    for length in [0, 63, REQUEST_MAX + 1] {
        assert_eq!(ask(&mut sim, token, source, length), None, "{length} bytes");
    }
    assert_eq!(
        ask(&mut sim, Opaque([0; 16]), source, 1200),
        None,
        "without its token"
    );
}

/// A request with a forged source causes no more bytes than a bare reply.
#[test]
fn a_padded_request_from_elsewhere_gets_no_reply() {
    let mut sim = Sim::new(limits());
    let (_, token) = probing(&mut sim);
    for length in [65, 1200] {
        assert_eq!(ask(&mut sim, token, "10.0.0.66:1002", length), None);
    }
    let reply = ask(&mut sim, token, "10.0.0.66:1002", 64).unwrap();
    assert_eq!(reply.len(), 60);
}

#[test]
fn a_padded_request_of_a_user_gets_no_reply() {
    let mut sim = Sim::new(limits());
    let peer = sim.connect(HOME);
    sim.send(peer, "HELLO 1 - 1002 -\n");
    sim.run(ms(0));
    let welcome = sim.news(peer).swap_remove(1);
    let Ok(FromServer::Welcome { rendezvous, .. }) = FromServer::parse(&welcome) else {
        panic!("{welcome:?}");
    };
    assert_eq!(ask(&mut sim, rendezvous, "10.0.0.9:1002", 65), None);
    assert_eq!(ask(&mut sim, rendezvous, "10.0.0.9:1002", 64).unwrap().len(), 60);
}

#[test]
fn replies_to_a_probe_are_rate_limited() {
    let mut sim = Sim::new(limits());
    let (_, token) = probing(&mut sim);
    let answered = |sim: &mut Sim| (0..200).filter(|_| ask(sim, token, HOME, 1200).is_some()).count();
    assert_eq!(answered(&mut sim), 64);
    sim.run(ms(1000));
    assert_eq!(answered(&mut sim), 10);
}

/// If a client could reconnect, a full room greets newcomers without a place; a probe does not get one.
#[test]
fn a_full_room_rejects_a_probe() {
    let mut sim = Sim::new(Limits {
        max_users: 1,
        ..limits()
    });
    let rick = sim.rich("10.0.0.1:1002", "rick");
    let peer = sim.connect(HOME);
    sim.run(ms(0));
    sim.send(peer, "PROBE 1 -\n");
    sim.run(ms(0));
    let news = sim.news(peer);
    assert_eq!(news, ["* chat version 1: no place is free", "too many users"]);
    assert!(sim.is_closed(peer));

    let second = sim.connect(HOME);
    sim.run(ms(0));
    sim.close(rick);
    sim.run(ms(0));
    sim.send(second, "PROBE 1 -\n");
    sim.run(ms(0));
    assert!(sim.news(second)[1].starts_with("PROBED "), "a place became free");
    let third = sim.connect("10.0.0.3:1");
    sim.run(ms(0));
    assert!(
        sim.is_closed(second) && !sim.is_closed(third),
        "a user goes before it"
    );
}
