//! What the server passes from one user to another.

use crate::sim::{Reading, Sim, limits, ms};
use chat_proto::opaque::encode;

#[test]
fn a_whisper_goes_to_one_user_in_its_dialect() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.1:1001"), sim.rich("10.0.0.2:1001", "rick"));
    let other = sim.plain("10.0.0.3:1001");
    for peer in [plain, rich, other] {
        sim.news(peer);
    }
    sim.send(plain, "/msg rick over here\n/msg RICK@10.0.0.2:1001 and here\n");
    sim.send(rich, "WHISPER 10.0.0.1:1001 7 hush\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(rich),
        [
            "WHISPER 10.0.0.1:1001 over here",
            "WHISPER 10.0.0.1:1001 and here",
            "WHISPERED 7"
        ]
    );
    assert_eq!(
        sim.news(plain),
        [
            "* private to rick@10.0.0.2:1001: over here",
            "* private to rick@10.0.0.2:1001: and here",
            "private from rick@10.0.0.2:1001: hush"
        ]
    );
    assert_eq!(sim.news(other), [""; 0]);
}

#[test]
fn a_whisper_to_nobody_is_an_error() {
    let mut sim = Sim::new(limits());
    let (plain, rich) = (sim.plain("10.0.0.1:1001"), sim.rich("10.0.0.2:1001", "rick"));
    sim.news(plain);
    sim.send(plain, "/msg bob hi\n/msg alice@10.0.0.2:1001 hi\n/msg rick\n");
    sim.send(rich, "WHISPER 10.9.9.9:1 7 hush\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(plain),
        [
            "* no such user: bob; /who lists the users",
            "* no such user: alice@10.0.0.2:1001; /who lists the users",
            "* usage: /msg WHO TEXT",
        ]
    );
    assert_eq!(
        sim.news(rich),
        ["ERROR no-such-user 7 no such user: 10.9.9.9:1; /who lists the users"]
    );
}

/// A connection that is not announced may be a port scan, or a client that is about to send HELLO and could
/// not read a plain line.
#[test]
fn an_unannounced_connection_receives_no_whisper() {
    let mut sim = Sim::new(limits());
    let rich = sim.rich("10.0.0.2:1001", "rick");
    let arriving = sim.connect("10.0.0.3:1001");
    sim.run(ms(0));
    sim.news(arriving);
    sim.send(rich, "WHISPER 10.0.0.3:1001 7 hush\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(rich),
        ["ERROR no-such-user 7 no such user: 10.0.0.3:1001; /who lists the users"]
    );
    assert_eq!(sim.news(arriving), [""; 0]);
}

#[test]
fn whispers_to_a_stopped_reader_are_limited_with_an_error() {
    let mut sim = Sim::new(limits());
    let (sender, target) = (
        sim.rich("10.0.0.1:1001", "alice"),
        sim.rich("10.0.0.2:1001", "bob"),
    );
    sim.news(sender);
    sim.peers[target].reading = Reading::Stopped;
    sim.peers[target].capacity = 1000;
    for seq in 1..=300 {
        sim.send(
            sender,
            &format!("WHISPER 10.0.0.2:1001 {seq} {}\n", "x".repeat(4000)),
        );
    }
    sim.run(ms(1000));
    let news = sim.news(sender);
    assert_eq!(news.len(), 300, "each is answered");
    let passed = news.iter().filter(|line| line.starts_with("WHISPERED")).count();
    assert!((60..75).contains(&passed), "{passed}");
    assert_eq!(
        news[299],
        "ERROR unreachable 300 not sent: bob@10.0.0.2:1001 does not read its messages"
    );
    sim.peers[target].reading = Reading::Freely;
    sim.run(ms(1000));
    assert_eq!(
        sim.news(target).len(),
        passed,
        "all that was said to be passed on was"
    );
    sim.send(sender, "WHISPER 10.0.0.2:1001 301 again\n");
    sim.run(ms(0));
    assert_eq!(sim.news(target), ["WHISPER alice@10.0.0.1:1001 again"]);
}

#[test]
fn relays_are_passed_on_unread_and_limited() {
    let mut sim = Sim::new(limits());
    let (sender, target) = (
        sim.rich("10.0.0.1:1001", "alice"),
        sim.rich("10.0.0.2:1001", "bob"),
    );
    let plain = sim.plain("10.0.0.3:1001");
    sim.news(sender);
    sim.news(target);
    let sealed = encode(&[0xA5; 1200]);
    sim.send(
        sender,
        &format!("RELAY 10.0.0.2:1001 {sealed}\nRELAY 10.0.0.3:1001 {sealed}\nRELAY 10.9.9.9:1 {sealed}\n"),
    );
    sim.run(ms(0));
    assert_eq!(sim.news(target), [format!("RELAY alice@10.0.0.1:1001 {sealed}")]);
    assert_eq!(sim.news(plain), [""; 0]);
    sim.peers[target].reading = Reading::Stopped;
    sim.send(sender, &format!("RELAY 10.0.0.2:1001 {sealed}\n").repeat(2000));
    sim.run(ms(1000));
    assert_eq!(sim.news(sender), [""; 0], "what becomes of a relay is not said");
    assert!(sim.own_bytes(target) < 256 * 1024 + 2000);
}

#[test]
fn both_sides_receive_the_punch_address() {
    let mut sim = Sim::new(limits());
    let (alice, bob) = (
        sim.rich("10.0.0.1:1001", "alice"),
        sim.rich("10.0.0.2:1001", "bob"),
    );
    sim.news(alice);
    sim.send(alice, "PUNCH 10.0.0.2:1001\nPUNCH 10.9.9.9:1\n");
    sim.run(ms(0));
    assert_eq!(sim.news(alice), ["PUNCH bob@10.0.0.2:1001 10.0.0.2:5000"]);
    assert_eq!(sim.news(bob), ["PUNCH alice@10.0.0.1:1001 10.0.0.1:5000"]);
    sim.peers[bob].reading = Reading::Stopped;
    sim.peers[bob].capacity = 100;
    sim.send(alice, &"PUNCH 10.0.0.2:1001\n".repeat(20_000));
    sim.run(ms(1000));
    assert!(sim.own_bytes(bob) < 256 * 1024 + 100);
}

/// Others can't make a user wait by writing to it.
#[test]
fn private_messages_do_not_delay_their_recipient() {
    let mut sim = Sim::new(limits());
    let (victim, client) = (sim.plain("10.0.0.1:1001"), sim.rich("10.0.0.2:1001", "bob"));
    let attacker = sim.rich("10.0.0.3:1001", "eve");
    for (peer, id, line) in [
        (victim, "10.0.0.1:1001", "help\n"),
        (client, "10.0.0.2:1001", "SAY 1 help\n"),
    ] {
        sim.peers[peer].reading = Reading::Stopped;
        sim.peers[peer].capacity = 1000;
        let private = |seq: usize| format!("WHISPER {id} {seq} {}\n", "x".repeat(3900));
        let sealed = format!("RELAY {id} {}\n", encode(&[0xA5; 1200]));
        sim.send(attacker, &(0..40).map(private).collect::<String>());
        sim.send(attacker, &sealed.repeat(60));
        sim.run(ms(100));
        assert!(sim.own_bytes(peer) > 128 * 1024);
        sim.news(attacker);
        sim.send(peer, line);
        sim.run(ms(0));
        assert!(sim.news(attacker)[0].ends_with(" help"), "it is heard at once");
    }
}
