//! Limits on users.

use crate::sim::{Reading, Sim, limits, ms};
use chat_server::door::Door;
use chat_server::event::{Departure, Event, Refusal};
use chat_server::room::{LEAVING_MAX, Limits};

#[test]
fn a_full_room_rejects_and_a_leave_frees_a_place() {
    let mut sim = Sim::new(Limits {
        max_users: 2,
        ..limits()
    });
    let (alice, _bob) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.2:1"));
    let third = sim.connect("10.0.0.3:1");
    sim.run(ms(0));
    assert_eq!(sim.news(third), ["too many users"]);
    assert!(sim.is_closed(third));
    let full = Event::Refuse {
        peer: "10.0.0.3:1".parse().unwrap(),
        why: Refusal::Full(2),
    };
    assert!(sim.events.contains(&full));

    // The place of a left user is free, although its connection may linger.
    sim.peers[alice].polite = false;
    sim.send(alice, "/quit\n");
    sim.run(ms(0));
    assert!(!sim.is_closed(alice));
    let fourth = sim.connect("10.0.0.4:1");
    sim.run(ms(0));
    assert!(sim.news(fourth)[0].starts_with("* chat version 1: you are"));
}

#[test]
fn unannounced_connections_count_against_the_limit() {
    let mut sim = Sim::new(Limits {
        max_users: 1,
        ..limits()
    });
    sim.connect("10.0.0.1:1");
    let second = sim.connect("10.0.0.2:1");
    sim.run(ms(0));
    assert_eq!(sim.news(second), ["too many users"]);
}

#[test]
fn the_address_limit_exempts_loopback() {
    let mut sim = Sim::new(Limits {
        max_per_address: 2,
        ..limits()
    });
    for port in 1..=5 {
        sim.connect(&format!("127.0.0.1:{port}"));
        sim.connect(&format!("[::1]:{port}"));
        sim.connect(&format!("127.8.8.8:{port}"));
    }
    sim.run(ms(0));
    assert_eq!(sim.room.roster().staying(), 15);
    let [first, _, third] =
        ["10.0.0.1:1", "[::ffff:10.0.0.1]:2", "10.0.0.1:3"].map(|address| sim.connect(address));
    sim.run(ms(0));
    assert_eq!(sim.news(third), ["* too many users from your address"]);
    sim.reset(first);
    sim.run(ms(0));
    let again = sim.connect("10.0.0.1:4");
    sim.run(ms(0));
    assert!(sim.news(again)[0].starts_with("* chat version 1: you are"));
}

#[test]
fn the_address_limit_counts_a_prefix_of_64_bits() {
    let mut sim = Sim::new(Limits {
        max_per_address: 2,
        ..limits()
    });
    for address in ["[2001:db8::1]:1", "[2001:db8::ffff:2]:1"] {
        let peer = sim.connect(address);
        sim.send(peer, "\n");
    }
    let [third, neighbour] = ["[2001:db8::3]:1", "[2001:db8:0:1::1]:1"].map(|address| sim.connect(address));
    sim.run(ms(0));
    assert_eq!(sim.news(third), ["* too many users from your address"]);
    assert!(sim.news(neighbour)[0].starts_with("* chat version 1: you are"));
}

#[test]
fn a_newcomer_to_a_full_room_replaces_the_longest_silent() {
    let mut sim = Sim::new(Limits {
        max_users: 4,
        ..limits()
    });
    let alice = sim.rich("10.0.0.1:1", "alice");
    let speaker = sim.plain("10.0.0.2:1");
    sim.send(speaker, "\n");
    let silent = [1, 2].map(|port| sim.plain(&format!("10.0.0.3:{port}")));
    let early = sim.connect("10.0.0.4:9");
    sim.run(ms(1000));
    assert_eq!(sim.lines(early).0.last(), Some(&"too many users"));
    sim.run(ms(10_000));
    sim.news(alice);
    for evicted in silent {
        sim.news(evicted);
    }
    for (port, evicted) in (1..).zip(silent) {
        let newcomer = sim.rich(&format!("10.0.0.4:{port}"), &format!("new{port}"));
        assert!(sim.is_closed(evicted));
        assert!(!sim.is_closed(newcomer));
        let who = format!("10.0.0.3:{port}");
        assert_eq!(sim.departure(&who), Some(Departure::Evicted));
        let farewell = "* disconnected: the room is full, and you have sent nothing";
        assert_eq!(sim.lines(evicted).0.last(), Some(&farewell));
    }
    // All others have sent something.
    let last = sim.connect("10.0.0.5:1");
    sim.run(ms(1000));
    assert_eq!(sim.lines(last).0.last(), Some(&"too many users"));
    assert!(!sim.is_closed(speaker) && !sim.is_closed(alice));
}

#[test]
fn probes_and_silent_neighbours_make_room_too() {
    let mut sim = Sim::new(Limits {
        max_users: 2,
        max_per_address: 1,
        ..limits()
    });
    let probe = sim.connect("10.0.0.1:1");
    sim.send(probe, "PROBE 1 -\n");
    let silent = sim.plain("10.0.0.2:1");
    sim.run(ms(9750));
    let probe = {
        assert!(sim.is_closed(probe));
        let probe = sim.connect("10.0.0.1:1");
        sim.send(probe, "PROBE 1 -\n");
        sim.run(ms(0));
        probe
    };
    sim.run(ms(250));
    let neighbour = sim.connect("10.0.0.2:2");
    sim.run(ms(0));
    assert!(sim.is_closed(silent) && !sim.is_closed(probe));
    sim.send(neighbour, "\n");
    sim.connect("10.0.0.3:1");
    sim.run(ms(0));
    assert!(sim.is_closed(probe) && !sim.is_closed(neighbour));
}

#[test]
fn an_address_and_port_that_is_connected_is_rejected() {
    let mut sim = Sim::new(limits());
    sim.plain("10.0.0.1:1");
    let second = sim.connect("[::ffff:10.0.0.1]:1");
    sim.run(ms(0));
    assert_eq!(
        sim.news(second),
        ["* a user with your address and port is here already"]
    );
}

#[test]
fn few_rejected_connections_linger() {
    let mut sim = Sim::new(Limits {
        max_users: 1,
        ..limits()
    });
    sim.plain("10.0.0.1:1");
    let crowd: Vec<_> = (1..=200)
        .map(|port| sim.connect(&format!("10.0.0.2:{port}")))
        .collect();
    for &peer in &crowd {
        sim.peers[peer].polite = false;
        sim.peers[peer].reading = Reading::Stopped;
    }
    sim.run(ms(0));
    let lingering = crowd.iter().filter(|&&peer| !sim.is_closed(peer)).count();
    assert_eq!(lingering, LEAVING_MAX);
    for &peer in crowd.iter().filter(|&&peer| sim.is_closed(peer)) {
        assert_eq!(
            sim.lines(peer).0,
            ["too many users"],
            "closed at once, and told why"
        );
    }
    sim.run(ms(2000));
    assert!(crowd.iter().all(|&peer| sim.is_closed(peer)), "for two seconds");
    assert_eq!(sim.room.roster().connections(), 1);
}

#[test]
fn an_address_that_is_denied_gets_one_line_and_no_place() {
    let networks = |text: &str| vec![text.parse().unwrap()];
    let door = Door::default().with_networks(&networks("10.0.0.0/8"), &networks("10.0.0.66"));
    let mut sim = Sim::behind(door, limits());
    let plain = sim.plain("10.0.0.5:5001");
    for address in [
        "10.0.0.66:5002",
        "192.168.0.1:5002",
        "127.0.0.1:5002",
        "[2001:db8::1]:5002",
    ] {
        let peer = sim.connect(address);
        sim.run(ms(0));
        let line = "* not let in: your address may not connect here";
        assert_eq!(sim.news(peer), [line], "{address}");
        assert!(sim.is_closed(peer));
    }
    assert_eq!(sim.room.roster().connections(), 1);
    let is_denied = |event: &&Event| {
        matches!(
            event,
            Event::Refuse {
                why: Refusal::Denied,
                ..
            }
        )
    };
    assert_eq!(sim.events.iter().filter(is_denied).count(), 4);
    sim.news(plain);
    sim.plain("[::ffff:10.0.0.7]:5003");
    assert_eq!(sim.news(plain), ["10.0.0.7:5003 is online"]);
}
