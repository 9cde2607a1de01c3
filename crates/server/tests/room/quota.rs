//! What all connections from one network share.

use crate::sim::{PeerNo, Reading, Sim, limits, ms};
use chat_server::event::{Event, Refusal};
use chat_server::quota::Quota;
use chat_server::rate::Rate;
use chat_server::room::Limits;
use std::num::NonZeroU32;
use std::time::Duration;

/// The limits of a server without options.
fn defaults() -> Limits {
    Limits {
        max_users: 1000,
        max_per_address: 100,
        rate: Some(Rate::new(NonZeroU32::new(50).unwrap(), 200)),
        quota: Quota::for_users(100),
        ..limits()
    }
}

/// Ten connections of one network that send lines of 4 KB as fast as they can.
fn flooders(sim: &mut Sim) -> Vec<PeerNo> {
    let flooders: Vec<_> = (1..=10)
        .map(|n| sim.plain(&format!("[2001:db8::{n}]:1")))
        .collect();
    let line = "x".repeat(4000) + "\n";
    for &flooder in &flooders {
        sim.peers[flooder].listens = false;
        sim.send(flooder, &line.repeat(500));
    }
    flooders
}

fn names(sim: &Sim, peer: PeerNo, text: &str) -> usize {
    let lines = sim.lines(peer).0;
    lines.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn ten_flooders_of_a_network_do_not_overrun_slow_readers() {
    let mut sim = Sim::new(defaults());
    let readers = [(1, 125_000), (2, 1_250_000)].map(|(host, speed)| {
        let plain = sim.plain(&format!("10.0.0.{host}:1"));
        let rich = sim.rich(&format!("10.0.0.{host}:2"), &format!("reader{host}"));
        for reader in [plain, rich] {
            sim.peers[reader].reading = Reading::Slowly(speed);
        }
        [plain, rich]
    });
    flooders(&mut sim);
    sim.run(Duration::from_secs(30));
    for reader in readers.into_iter().flatten() {
        assert!(!sim.is_closed(reader), "a reader is disconnected");
        // What is at once, and 30 times what is for a second; a line of it may still be in flight.
        let said = names(&sim, reader, "xxxx") * 4000;
        let allowed = 256 * 1024 + 30 * 50_000;
        assert!((allowed - 150_000..=allowed).contains(&said), "{said} bytes");
    }
    assert_eq!(sim.longest_hold, Duration::ZERO, "the room does not pause");
}

/// The loop has read the flood before the others say anything.
#[test]
fn a_flooder_does_not_silence_the_users_of_its_network() {
    let mut sim = Sim::new(defaults());
    let witness = sim.plain("10.0.0.1:1");
    flooders(&mut sim);
    let neighbours = [
        sim.plain("[2001:db8::a:1]:1"),
        sim.rich("[2001:db8::a:2]:1", "rich"),
        sim.plain("[2001:db8::a:3]:1"),
    ];
    sim.run(Duration::from_secs(10));
    for (number, text) in (1..).zip(["hello\n", "SAY 1 hello\n", "hello"]) {
        sim.send(neighbours[number - 1], text);
        sim.run(ms(1200));
        assert_eq!(names(&sim, witness, ": hello"), number);
    }
    let elsewhere = sim.plain("[2001:db8:0:1::1]:1");
    sim.send(elsewhere, "hello\n");
    sim.run(ms(0));
    assert_eq!(
        names(&sim, witness, ": hello"),
        4,
        "another network does not wait"
    );
}

#[test]
fn a_class_behind_one_address_joins_and_pastes_at_once() {
    let mut sim = Sim::new(defaults());
    let witness = sim.plain("10.0.0.1:1");
    for round in 0..2 {
        let class: Vec<_> = (1..=40)
            .map(|n| sim.connect(&format!("10.0.0.2:{}", round * 100 + n)))
            .collect();
        sim.run(ms(250));
        sim.news(witness);
        for &pupil in &class {
            sim.send(pupil, &format!("/nick p{round}n{pupil}\nhello\n"));
        }
        for &pupil in &class[..5] {
            sim.send(
                pupil,
                &("this is a line of what somebody pastes, of eighty bytes or so\n".repeat(100)),
            );
        }
        sim.run(ms(0));
        let heard = sim.news(witness);
        let count = |text: &str| heard.iter().filter(|line| line.contains(text)).count();
        assert_eq!(
            (count("is now"), count(": hello"), count("pastes")),
            (40, 40, 500)
        );
        for &pupil in &class {
            sim.reset(pupil);
        }
        sim.run(ms(0));
        sim.news(witness);
    }
}

#[test]
fn connections_in_a_loop_are_rejected_after_a_while() {
    let mut sim = Sim::new(defaults());
    let witness = sim.plain("10.0.0.1:1");
    let mut rejected = 0;
    for port in 1..=1000 {
        let peer = sim.connect(&format!("10.0.0.2:{port}"));
        sim.send(peer, "x\n");
        sim.half_close(peer);
        sim.run(ms(10));
        if sim.is_closed(peer) && names(&sim, peer, "you are") == 0 {
            let why = "* too many connections from your address in a short time; try again in a minute";
            assert_eq!(sim.lines(peer).0, [why]);
            rejected += 1;
        }
    }
    // Twice 100, and one a second for ten seconds.
    assert!((790..=791).contains(&rejected), "{rejected}");
    assert_eq!(
        names(&sim, witness, "0.2:"),
        3 * (1000 - rejected),
        "joins, says, leaves"
    );
    let often = |event: &&Event| {
        matches!(
            event,
            Event::Refuse {
                why: Refusal::Often,
                ..
            }
        )
    };
    assert_eq!(sim.events.iter().filter(often).count(), rejected);
    sim.rich("10.0.0.3:1", "elsewhere");
    assert_eq!(names(&sim, witness, "elsewhere@"), 1, "others still join");
    sim.run(ms(60_000));
    let again = sim.rich("10.0.0.2:1", "again");
    assert_eq!(names(&sim, again, "WELCOME again@"), 1);
}

/// A full room greets who may be resuming, although it has no place.
#[test]
fn one_network_does_not_hold_the_queue_of_a_full_room() {
    let mut sim = Sim::new(Limits {
        max_users: 2,
        quota: Quota::for_users(20),
        ..defaults()
    });
    let ghost = sim.rich("10.0.0.1:1", "alice");
    let bob = sim.plain("10.0.0.1:2");
    sim.send(bob, "\n");
    let welcome = sim.lines(ghost).0[1].to_owned();
    let token = welcome.split(' ').nth(2).unwrap();
    for port in 1..=200 {
        sim.connect(&format!("10.0.0.2:{port}"));
        sim.run(ms(10));
    }
    let alice = sim.connect("10.0.0.3:1");
    sim.run(ms(0));
    sim.take_key(alice, ghost);
    sim.send(alice, &format!("HELLO 1 alice - {token}\n"));
    sim.run(ms(0));
    assert_eq!(
        names(&sim, alice, "WELCOME alice@"),
        1,
        "{:?}",
        sim.lines(alice).0
    );
}

#[test]
fn nick_changes_in_a_loop_are_refused_after_a_while() {
    let mut sim = Sim::new(defaults());
    let witness = sim.plain("10.0.0.1:1");
    let changers: Vec<_> = (1..=10).map(|n| sim.plain(&format!("10.0.0.2:{n}"))).collect();
    sim.news(witness);
    for round in 0..100 {
        for &changer in &changers {
            sim.send(changer, &format!("/nick n{changer}r{round}\n"));
            sim.run(ms(10));
        }
    }
    let changes = names(&sim, witness, " is now ");
    assert!(
        (209..=210).contains(&changes),
        "{changes}: twice 100, and one a second"
    );
    let refusal =
        "* nick not changed: too many changes from your address in a short time; try again in a minute";
    assert_eq!(sim.news(changers[9]).last().map(String::as_str), Some(refusal));
    // The own nick again, one more after a second, and another network.
    let mut client = sim.rich("10.0.0.2:99", "client");
    sim.send(client, "NICK client\nNICK other\nNICK another\n");
    sim.run(ms(0));
    let news = sim.news(client);
    assert!(news[0].starts_with("NICK - client@"), "{news:?}");
    assert!(
        news[2].starts_with("ERROR too-often - nick not changed"),
        "{news:?}"
    );
    client = sim.rich("10.0.0.3:99", "third");
    sim.send(client, "NICK fourth\n");
    sim.run(ms(0));
    assert_eq!(
        names(&sim, client, "third@10.0.0.3:99 fourth"),
        1,
        "{:?}",
        sim.news(client)
    );
}

/// A request of five bytes for a list of all users, or of twenty that is passed on with two addresses.
#[test]
fn what_is_longer_than_its_request_counts_as_more() {
    let mut sim = Sim::new(Limits {
        rate: None,
        ..defaults()
    });
    let victim = sim.rich("10.0.0.1:1", "victim");
    let crowd: Vec<_> = (1..=90)
        .map(|n| sim.rich(&format!("10.0.0.2:{n}"), "-"))
        .collect();
    for &peer in &crowd {
        sim.send(peer, &"PUNCH 10.0.0.1:1\n".repeat(2000));
    }
    let before = sim.peers[victim].received.len();
    sim.run(ms(10_000));
    let received = sim.peers[victim].received.len() - before;
    assert!(
        received < 256 * 1024 + 10 * 50_000,
        "{received} bytes for the victim"
    );

    let lister = sim.plain("10.0.0.3:1");
    sim.send(lister, &"/who\n".repeat(10_000));
    let before = sim.peers[lister].received.len();
    sim.run(ms(10_000));
    let received = sim.peers[lister].received.len() - before;
    assert!(
        received < 2 * (256 * 1024 + 10 * 50_000),
        "{received} bytes of lists"
    );
}

#[test]
fn after_a_reset_what_the_quota_holds_back_is_lost() {
    let mut sim = Sim::new(defaults());
    let witness = sim.plain("10.0.0.1:1");
    let flooders = flooders(&mut sim);
    sim.run(ms(5000));
    for &flooder in &flooders {
        sim.reset(flooder);
    }
    let before = names(&sim, witness, "xxxx");
    sim.run(ms(0));
    assert!(names(&sim, witness, "xxxx") <= before + 1);
    assert_eq!(names(&sim, witness, "is offline"), 10);
}

#[test]
fn loopback_is_exempt_from_quotas() {
    let mut sim = Sim::new(Limits {
        rate: None,
        ..defaults()
    });
    let witness = sim.plain("127.0.0.1:1");
    for port in 1..=300 {
        let peer = sim.plain(&format!("127.0.0.2:{port}"));
        sim.send(peer, &format!("/nick n{port}\n{}\n", "x".repeat(4000)));
        sim.run(ms(0));
    }
    assert_eq!(names(&sim, witness, "is now"), 300);
    assert_eq!(names(&sim, witness, "xxxx"), 300);
}
