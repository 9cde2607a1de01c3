//! How connections end: by the user, by the peer, and by the server.

use crate::sim::{Reading, Sim, limits, ms};
use chat_server::event::Departure;
use chat_server::member::End;

#[test]
fn a_user_that_quits_receives_the_rest_and_a_goodbye() {
    let mut sim = Sim::new(limits());
    let (person, client) = (sim.plain("10.0.0.1:1"), sim.rich("10.0.0.2:1", "rick"));
    let witness = sim.plain("10.0.0.3:1");
    for peer in [person, client, witness] {
        sim.news(peer);
    }
    sim.send(person, "my last\n/quit\nunheard\n");
    sim.run(ms(0));
    assert_eq!(sim.news(person), ["from 10.0.0.1:1: my last", "* goodbye"]);
    sim.news(client);
    sim.send(client, "QUIT\nSAY 1 unheard\n");
    sim.run(ms(0));
    assert_eq!(sim.news(client), ["GOODBYE quit goodbye"]);
    assert_eq!(
        sim.news(witness),
        [
            "from 10.0.0.1:1: my last",
            "10.0.0.1:1 is offline",
            "rick@10.0.0.2:1 is offline"
        ]
    );
    assert!(sim.is_closed(person) && sim.is_closed(client));
}

/// `printf '/who\nhello\n' | nc` sends a FIN at once and waits for the answers.
#[test]
fn after_a_fin_the_due_answers_are_sent() {
    let mut sim = Sim::new(limits());
    let person = sim.connect("10.0.0.1:1");
    sim.peers[person].capacity = 7;
    sim.send(person, "/nick\n/help\nhello\n/msg 10.0.0.1:1 me\nlast");
    sim.half_close(person);
    sim.run(ms(10));
    let heard = sim.news(person);
    assert_eq!(heard[1], "10.0.0.1:1 is online");
    assert_eq!(heard[2], "* usage: /nick NAME");
    assert_eq!(
        heard[9..],
        [
            "from 10.0.0.1:1: hello",
            "private from 10.0.0.1:1: me",
            "* private to 10.0.0.1:1: me",
            "from 10.0.0.1:1: last"
        ]
    );
    assert!(sim.is_closed(person));
    assert_eq!(sim.departure("10.0.0.1:1"), Some(Departure::Closed));
}

#[test]
fn a_left_user_that_does_not_read_is_closed_after_2_s() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1");
    sim.peers[person].reading = Reading::Stopped;
    sim.peers[person].capacity = 10;
    sim.send(person, "/help\n/quit\n");
    sim.run(ms(1999));
    assert!(!sim.is_closed(person));
    sim.run(ms(1));
    assert!(sim.is_closed(person));
}

#[test]
fn a_user_leaves_once_whatever_follows() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.3:1");
    let person = sim.plain("10.0.0.1:1");
    sim.news(witness);
    sim.send(person, "/quit");
    sim.half_close(person);
    sim.run(ms(0));
    sim.reset(person);
    sim.run(ms(5000));
    assert_eq!(sim.news(witness), ["10.0.0.1:1 is offline"]);
}

#[test]
fn the_log_names_how_a_connection_ended() {
    let mut sim = Sim::new(limits());
    for (port, end, why) in [
        (1, End::Closed, Departure::Closed),
        (2, End::Reset, Departure::Reset),
        (3, End::TimedOut, Departure::TimedOut),
    ] {
        let peer = sim.plain(&format!("10.0.0.1:{port}"));
        sim.end(peer, end);
        sim.run(ms(0));
        assert_eq!(sim.departure(&format!("10.0.0.1:{port}")), Some(why));
        assert!(sim.is_closed(peer));
    }
    assert_eq!(sim.room.roster().connections(), 0);
}

/// The peer is gone, which a write notices first.
#[test]
fn input_before_a_failed_write_is_processed() {
    let mut sim = Sim::new(limits());
    let (person, witness) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.2:1"));
    sim.news(witness);
    sim.peers[person].gone = true;
    sim.send(witness, "anybody?\n");
    sim.run(ms(100));
    sim.send(person, "I am going\n");
    sim.half_close(person);
    sim.run(ms(100));
    assert_eq!(
        sim.news(witness),
        [
            "from 10.0.0.2:1: anybody?",
            "from 10.0.0.1:1: I am going",
            "10.0.0.1:1 is offline"
        ]
    );
}

#[test]
fn a_shutdown_is_announced_to_everybody() {
    let mut sim = Sim::new(limits());
    let (person, client) = (sim.plain("10.0.0.1:1"), sim.rich("10.0.0.2:1", "rick"));
    let slow = sim.plain("10.0.0.3:1");
    sim.peers[slow].reading = Reading::Slowly(100);
    sim.peers[slow].capacity = 10;
    sim.news(person);
    sim.news(client);
    sim.news(slow);
    sim.shut_down();
    assert!(!sim.room.accepts());
    sim.run(ms(0));
    assert_eq!(sim.news(person), ["* the server is shutting down"]);
    assert_eq!(sim.news(client), ["GOODBYE shutdown the server is shutting down"]);
    assert!(sim.is_closed(person) && sim.is_closed(client));
    assert!(!sim.room.is_over());
    sim.run(ms(600));
    assert_eq!(sim.news(slow), ["* the server is shutting down"]);
    assert!(sim.room.is_over());
}

#[test]
fn a_shutdown_waits_2_s_for_stopped_readers() {
    let mut sim = Sim::new(limits());
    let stopped = sim.plain("10.0.0.3:1");
    sim.peers[stopped].reading = Reading::Stopped;
    sim.peers[stopped].capacity = 1;
    sim.shut_down();
    sim.run(ms(1999));
    assert!(!sim.room.is_over());
    sim.run(ms(1));
    assert!(sim.room.is_over());
}

/// A slow reader that was just disconnected has longer, but not longer than the server.
#[test]
fn no_peer_delays_a_shutdown() {
    let mut sim = Sim::new(limits());
    let (talker, stopped) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.3:1"));
    sim.peers[stopped].reading = Reading::Stopped;
    sim.send(talker, &format!("{}\n", "x".repeat(4000)).repeat(400));
    sim.run_until(|sim| sim.departure("10.0.0.3:1").is_some());
    sim.shut_down();
    sim.run(ms(2000));
    assert!(sim.room.is_over());
}

#[test]
fn a_second_signal_ends_the_shutdown_at_once() {
    let mut sim = Sim::new(limits());
    let stopped = sim.plain("10.0.0.3:1");
    sim.peers[stopped].reading = Reading::Stopped;
    sim.peers[stopped].capacity = 1;
    sim.shut_down();
    sim.run(ms(100));
    sim.shut_down();
    sim.run(ms(0));
    assert!(sim.room.is_over());
}
