//! When a connection is announced, and under which name.

use crate::sim::{Reading, Sim, limits, ms};
use chat_server::event::Event;

#[test]
fn a_timely_hello_is_announced_once_with_its_nick() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let alice = sim.connect("10.0.0.2:1001");
    sim.run(ms(249));
    assert_eq!(sim.news(witness), [""; 0]);
    sim.send(alice, "HELLO 1 alice - -\n");
    sim.run(ms(1000));
    assert_eq!(sim.news(witness), ["alice@10.0.0.2:1001 is online"]);
}

#[test]
fn a_silent_connection_is_announced_after_250_ms() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let silent = sim.connect("10.0.0.2:1001");
    sim.run(ms(249));
    assert_eq!(sim.news(witness), [""; 0]);
    sim.run(ms(1));
    assert_eq!(sim.news(witness), ["10.0.0.2:1001 is online"]);
    assert_eq!(
        sim.news(silent),
        [
            "* chat version 1: you are 10.0.0.2:1001; /help says what you can do",
            "10.0.0.2:1001 is online"
        ]
    );
}

#[test]
fn a_connection_that_ends_in_the_handshake_is_not_announced() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let scans = ["10.0.0.2:1", "10.0.0.2:2"].map(|address| sim.connect(address));
    sim.run(ms(100));
    sim.close(scans[0]);
    sim.reset(scans[1]);
    sim.run(ms(10_000));
    assert_eq!(sim.news(witness), [""; 0]);
    assert!(sim.is_closed(scans[0]) && sim.is_closed(scans[1]));
}

#[test]
fn plain_bytes_end_the_handshake() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    for (number, first) in ["h", "SEAL!", "SEAl", "\u{7}", "Seal"].iter().enumerate() {
        let peer = sim.connect(&format!("10.0.0.2:{}", number + 1));
        sim.send(peer, first);
        sim.run(ms(0));
        let announced = format!("10.0.0.2:{} is online", number + 1);
        assert_eq!(sim.news(witness), [announced], "{first:?}");
        sim.run(ms(1000));
        sim.news(witness);
    }
    for (number, first) in ["S", "SE", "SEAL", "SEAL ", "SEAL 1 AA"].iter().enumerate() {
        let peer = sim.connect(&format!("10.0.0.3:{}", number + 1));
        sim.send(peer, first);
        sim.run(ms(0));
        assert_eq!(sim.news(witness), [""; 0], "{first:?}");
        sim.run(ms(1000));
        sim.news(witness);
    }
}

#[test]
fn a_handshake_may_arrive_byte_by_byte() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let alice = sim.connect("10.0.0.2:1001");
    sim.peers[alice].read_max = 1;
    sim.send(alice, "HELLO 1 alice - -\nSAY 1 hi\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(witness),
        ["alice@10.0.0.2:1001 is online", "from alice@10.0.0.2:1001: hi"]
    );
}

#[test]
fn a_plain_message_may_begin_with_hello() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.1:1001");
    let person = sim.connect("10.0.0.2:1001");
    sim.send(person, "HELLO everyone\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(witness),
        ["10.0.0.2:1001 is online", "from 10.0.0.2:1001: HELLO everyone"]
    );
    let other = sim.connect("10.0.0.3:1001");
    sim.send(other, "SEAL");
    sim.run(ms(999));
    assert_eq!(sim.news(witness), ["10.0.0.3:1001 is online"]);
    sim.run(ms(1));
    assert_eq!(sim.news(witness), ["from 10.0.0.3:1001: SEAL"]);
}

#[test]
fn a_late_hello_names_an_announced_user() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.1:1001"), sim.rich("10.0.0.1:1002", "rick"));
    sim.news(plain);
    let alice = sim.connect("10.0.0.2:1001");
    sim.run(ms(300));
    assert_eq!(sim.news(plain), ["10.0.0.2:1001 is online"]);
    sim.news(rich);
    sim.send(alice, "HELLO 1 alice 7 -\nSAY 1 hi\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(plain),
        [
            "10.0.0.2:1001 is now alice@10.0.0.2:1001",
            "from alice@10.0.0.2:1001: hi"
        ]
    );
    let key = sim.key(alice);
    assert_eq!(
        sim.news(rich),
        [
            &format!("USER alice@10.0.0.2:1001 10.0.0.2:7 {key}"),
            "NICK 1700001000550 10.0.0.2:1001 alice",
            "SAID - alice@10.0.0.2:1001 hi"
        ]
    );
    let logged: Vec<String> = sim.events.iter().map(Event::to_string).collect();
    assert!(
        logged.contains(&"nick 10.0.0.2:1001 now alice".into()),
        "{logged:?}"
    );
    let heard = sim.news(alice);
    assert_eq!(heard[1], "10.0.0.2:1001 is online");
    assert!(heard[2].starts_with("WELCOME alice@10.0.0.2:1001 "), "{heard:?}");
    let live = heard.iter().position(|line| line == "LIVE").unwrap();
    assert_eq!(heard.last().unwrap(), "SAID - alice@10.0.0.2:1001 hi");
    assert_eq!(heard.len() - live, 4, "USER, NICK and SAID after LIVE: {heard:?}");
}

#[test]
fn a_late_hello_ends_the_plain_stream_at_a_line_end() {
    let mut sim = Sim::new(limits());
    let talker = sim.plain("10.0.0.1:1001");
    let alice = sim.plain("10.0.0.2:1001");
    sim.peers[alice].write_max = 10;
    sim.peers[alice].capacity = 10;
    sim.peers[alice].reading = Reading::Stopped;
    sim.send(talker, "one two three four\nfive six seven eight\n");
    sim.run(ms(100));
    sim.send(alice, "HELLO 1 alice - -\n");
    sim.run(ms(100));
    sim.peers[alice].reading = Reading::Freely;
    sim.run(ms(100));
    let heard = sim.news(alice);
    assert_eq!(heard[0], "from 10.0.0.1:1001: one two three four");
    assert!(heard[1].starts_with("WELCOME "), "{heard:?}");
}

#[test]
fn only_the_first_line_may_be_hello() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1001");
    sim.send(person, "\nHELLO 1 alice - -\n");
    sim.run(ms(0));
    assert_eq!(sim.news(person), ["from 10.0.0.1:1001: HELLO 1 alice - -"]);
}

/// During a pause nobody's HELLO is read. Nobody joins without a name for that.
#[test]
fn a_hello_during_a_pause_is_in_time() {
    let mut sim = Sim::new(limits());
    let (talker, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.1:1002"));
    let stopped = sim.plain("10.0.0.1:1003");
    sim.peers[stopped].reading = Reading::Stopped;
    sim.send(talker, &format!("{}\n", "x".repeat(3999)).repeat(400));
    while sim.room.accepts() {
        sim.turn();
        if sim.peers[witness].received.len() > 1_000_000 && sim.peers.len() == 3 {
            sim.connect("10.0.0.2:1001");
            sim.turn();
        }
    }
    let alice = 3;
    assert!(sim.peers[alice].slot.is_some(), "in before the room waits");
    sim.send(alice, "HELLO 1 alice - -\n");
    sim.run(ms(2000));
    let arrivals: Vec<_> = sim
        .lines(witness)
        .0
        .into_iter()
        .filter(|line| line.contains("10.0.0.2:1001"))
        .collect();
    assert_eq!(arrivals, ["alice@10.0.0.2:1001 is online"]);
}
