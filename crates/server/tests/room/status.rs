//! The figures of the room, for whoever asks.

use crate::sim::{Reading, Sim, limits, ms};
use chat_noise::cpace::Phrase;
use chat_proto::opaque::{Opaque, Token};
use chat_proto::status::{Status, parse_answer, question};
use chat_server::door::Door;
use chat_server::room::{Limits, status};

const NONCE: Token = Opaque([7; 16]);

fn ask(sim: &mut Sim, source: &str) -> Option<Status> {
    let now = sim.clock();
    let answer = status::answer(&mut sim.room, now, source.parse().unwrap(), &question(&NONCE))?;
    assert!(answer.len() <= question(&NONCE).len());
    Some(parse_answer(&NONCE, &answer).unwrap())
}

#[test]
fn other_machines_learn_neither_traffic_nor_hidden_users() {
    for (door, users) in [
        (Door::default(), Some(1)),
        (
            Door {
                phrase: Phrase::new("a phrase"),
                ..Door::default()
            },
            None,
        ),
    ] {
        let is_open = users.is_some();
        let mut sim = Sim::behind(door, limits());
        if is_open {
            sim.plain("10.0.0.1:1");
        }
        let local = ask(&mut sim, "127.0.0.1:9").unwrap();
        assert_eq!(local.users, Some(u64::from(is_open)));
        assert!(local.traffic.is_some());
        let other = ask(&mut sim, "10.0.0.2:9").unwrap();
        assert_eq!((other.users, other.traffic), (users, None));
        assert_eq!((other.passphrase, other.sealed), (!is_open, !is_open));
        assert!(ask(&mut sim, "[::ffff:127.0.0.1]:9").unwrap().traffic.is_some());
    }
}

#[test]
fn a_flood_of_questions_from_other_machines_is_limited() {
    let mut sim = Sim::new(limits());
    sim.run(ms(5000));
    let answered = |sim: &mut Sim| {
        let sources = (0..100).map(|number| format!("10.0.{number}.1:9"));
        sources.filter(|source| ask(sim, source).is_some()).count()
    };
    assert_eq!(answered(&mut sim), 20);
    assert!(ask(&mut sim, "127.0.0.1:9").is_some());
    sim.run(ms(1000));
    assert_eq!(answered(&mut sim), 10);
}

#[test]
fn an_address_that_may_not_connect_gets_no_status() {
    let denied = ["10.0.0.0/8".parse().unwrap()];
    let mut sim = Sim::behind(Door::default().with_networks(&[], &denied), limits());
    assert!(ask(&mut sim, "10.0.0.1:9").is_none());
    assert!(ask(&mut sim, "192.0.2.1:9").is_some());
}

#[test]
fn a_question_takes_no_place_and_is_counted() {
    let mut sim = Sim::new(Limits {
        max_users: 1,
        ..limits()
    });
    let silent = sim.connect("10.0.0.1:1");
    sim.run(ms(60_000));
    for asked in 1..=3 {
        let status = ask(&mut sim, "127.0.0.1:9").unwrap();
        assert_eq!(
            (status.users, status.max_users, status.uptime),
            (Some(1), 1, sim.now.as_secs())
        );
        assert_eq!(status.traffic.unwrap().asked, asked);
    }
    sim.run(ms(0));
    assert!(!sim.is_closed(silent), "nobody is evicted for a question");
}

#[test]
fn bytes_refusals_and_slow_readers_are_counted() {
    let mut sim = Sim::new(Limits {
        max_users: 2,
        ..limits()
    });
    let (talker, slow) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.2:1"));
    sim.connect("10.0.0.3:1");
    sim.run(ms(0));
    sim.peers[slow].reading = Reading::Stopped;
    let before = ask(&mut sim, "127.0.0.1:9").unwrap().traffic.unwrap();
    assert_eq!((before.refused, before.slow), (1, 0));
    let line = format!("{}\n", "x".repeat(4000));
    for _ in 0..400 {
        sim.send(talker, &line);
        sim.run(ms(20));
    }
    let after = ask(&mut sim, "127.0.0.1:9").unwrap().traffic.unwrap();
    assert_eq!((after.refused, after.slow), (1, 1));
    let received = after.received - before.received;
    assert!((300 * 4001..=400 * 4001).contains(&received), "{received}");
    assert!(after.sent - before.sent > received, "{after:?}");
}
