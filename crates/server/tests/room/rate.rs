//! Clients that send too fast are throttled, and lose nothing.

use crate::sim::{Reading, Sim, limits, ms};
use chat_server::event::Departure;
use chat_server::member::End;
use chat_server::rate::Rate;
use chat_server::room::{Limits, input};
use std::num::NonZeroU32;
use std::time::Duration;

fn limited() -> Limits {
    Limits {
        rate: Some(Rate::new(NonZeroU32::new(50).unwrap(), 200)),
        ..limits()
    }
}

fn numbered(count: usize) -> String {
    (0..count).map(|number| format!("line {number}\n")).collect()
}

#[test]
fn a_thousand_lines_arrive_at_the_rate_and_in_order() {
    let mut sim = Sim::new(limited());
    let (flooder, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.news(witness);
    sim.send(flooder, &numbered(1000));
    sim.run(ms(0));
    let mut heard = sim.news(witness);
    assert_eq!(heard.len(), 200, "the burst");
    let start = sim.now;
    for second in 1..=16 {
        sim.run(start + Duration::from_secs(second) - sim.now);
        heard.extend(sim.news(witness));
        assert_eq!(heard.len(), 200 + 50 * usize::try_from(second).unwrap());
        sim.send(witness, "\n/nick\n");
        sim.run(ms(0));
        assert_eq!(
            sim.news(witness),
            ["* usage: /nick NAME"],
            "the others are not held up"
        );
    }
    sim.run(ms(10_000));
    assert_eq!(sim.news(witness), [""; 0]);
    let expected: Vec<_> = (0..1000)
        .map(|number| format!("from 10.0.0.1:1001: line {number}"))
        .collect();
    assert_eq!(heard, expected);
}

#[test]
fn the_input_of_a_flooder_is_processed_after_its_fin() {
    for ending in [Sim::close, Sim::half_close] {
        let mut sim = Sim::new(limited());
        let (flooder, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
        sim.news(witness);
        sim.send(flooder, &(numbered(500) + "unended"));
        sim.run(ms(10));
        ending(&mut sim, flooder);
        sim.run(ms(7000));
        let heard = sim.news(witness);
        assert_eq!(heard.len(), 502);
        assert_eq!(
            heard[499..],
            [
                "from 10.0.0.1:1001: line 499",
                "from 10.0.0.1:1001: unended",
                "10.0.0.1:1001 is offline"
            ]
        );
    }
}

/// Even if all of it is read in one turn.
#[test]
fn a_fin_waits_for_the_lines_before_it() {
    let mut sim = Sim::new(limited());
    let (flooder, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.news(witness);
    let (now, slot) = (sim.clock(), sim.peers[flooder].slot.unwrap());
    input::receive(&mut sim.room, now, slot, numbered(300).as_bytes());
    input::end(&mut sim.room, now, slot, End::Closed);
    sim.run(ms(0));
    let mut heard = sim.news(witness);
    assert_eq!(heard.len(), 200, "the burst");
    sim.run(ms(2000));
    heard.extend(sim.news(witness));
    assert_heard_and_gone(&heard, 300);
}

/// The lines that are sent before a reset; the last of them is partial.
fn assert_heard_and_gone(heard: &[String], lines: usize) {
    assert_eq!(heard.len(), lines + 1);
    let last = format!("from 10.0.0.1:1001: line {}", lines - 1);
    assert_eq!(heard[lines - 1..], [&*last, "10.0.0.1:1001 is offline"]);
}

#[test]
fn after_a_reset_one_more_burst_is_delivered() {
    for end in [End::Reset, End::TimedOut] {
        let mut sim = Sim::new(limited());
        let (flooder, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
        sim.news(witness);
        sim.send(flooder, &(numbered(500) + "unended"));
        sim.run(ms(10));
        sim.end(flooder, end);
        sim.run(ms(0));
        assert_heard_and_gone(&sim.news(witness), 400);
        assert!(sim.is_closed(flooder));
        sim.run(ms(7000));
        assert_eq!(sim.news(witness), [""; 0], "and that was all");
    }
}

/// Five minutes' worth of nothing.
#[test]
fn blank_lines_before_a_reset_hold_neither_nick_nor_place() {
    let mut sim = Sim::new(Limits {
        max_users: 2,
        ..limited()
    });
    let (flooder, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.send(flooder, &("/nick alice\n".to_owned() + &"\n".repeat(16_000)));
    sim.run(ms(1000));
    sim.news(witness);
    sim.reset(flooder);
    sim.run(ms(0));
    assert_eq!(sim.news(witness), ["alice@10.0.0.1:1001 is offline"]);
    let alice = sim.rich("10.0.0.3:1001", "alice");
    assert!(
        sim.lines(alice)
            .0
            .iter()
            .any(|line| line.starts_with("WELCOME alice@"))
    );
}

/// Everything that waits is within the burst, so all of it is processed, the partial line included.
#[test]
fn a_partial_line_within_the_last_burst_is_delivered() {
    let mut sim = Sim::new(limited());
    let (flooder, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.news(witness);
    sim.send(flooder, &(numbered(399) + "line 399"));
    sim.run(ms(10));
    sim.reset(flooder);
    sim.run(ms(0));
    assert_heard_and_gone(&sim.news(witness), 400);
}

/// A write notices first, and the system still holds input of the flooder.
#[test]
fn a_broken_flooder_leaves_when_its_rate_ends() {
    let mut sim = Sim::new(limited());
    let (flooder, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.news(witness);
    sim.reset_after_all(flooder);
    sim.send(flooder, &numbered(5000));
    sim.run(ms(0));
    assert_heard_and_gone(&sim.news(witness), 400);
    assert_eq!(sim.departure("10.0.0.1:1001"), Some(Departure::Reset));
}

#[test]
fn a_throttled_client_is_not_silent() {
    let mut sim = Sim::new(Limits {
        ping_interval: Duration::from_secs(1),
        ..limited()
    });
    let client = sim.rich("10.0.0.1:1001", "alice");
    let mut flood = String::new();
    for seq in 1..=1000 {
        flood += &format!("SAY {seq} hi\n");
    }
    sim.send(client, &flood);
    for _ in 0..170 {
        sim.run(ms(100));
        for line in sim.news(client) {
            if let Some(number) = line.strip_prefix("PING ") {
                sim.send(client, &format!("PONG {number}\n"));
            }
        }
    }
    assert_eq!(sim.departure("alice@10.0.0.1:1001"), None);
    let said = sim
        .lines(client)
        .0
        .into_iter()
        .filter(|line| line.starts_with("SAID"))
        .count();
    assert_eq!(said, 1000);
}

/// `/help` is six bytes, and its answer is forty times as long.
#[test]
fn a_flood_of_requests_takes_limited_memory() {
    for limits in [limits(), limited()] {
        let mut sim = Sim::new(limits);
        let flooder = sim.plain("10.0.0.1:1001");
        sim.peers[flooder].reading = Reading::Stopped;
        sim.send(flooder, &"/help\n".repeat(3000));
        sim.run(ms(120_000));
        assert!(
            sim.own_bytes(flooder) < 64 * 1024 + 300,
            "{}",
            sim.own_bytes(flooder)
        );
        let turns = sim.turns;
        sim.run(ms(120_000));
        assert_eq!(sim.turns, turns, "nothing is done while it does not read");
        sim.send(flooder, "and then\n");
        sim.half_close(flooder);
        sim.peers[flooder].reading = Reading::Freely;
        sim.run(ms(60_000));
        let (lines, _) = sim.lines(flooder);
        assert_eq!(
            lines.iter().filter(|line| **line == "* /quit  leave").count(),
            3000
        );
        assert_eq!(*lines.last().unwrap(), "from 10.0.0.1:1001: and then");
    }
}

/// However much it reads at once.
#[test]
fn lines_wait_until_their_sender_reads_its_answers() {
    let mut sim = Sim::new(limits());
    let (person, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.peers[person].reading = Reading::Stopped;
    sim.peers[person].capacity = 100;
    sim.send(person, &("/help\n".repeat(400) + "and then\n"));
    sim.run(ms(100));
    assert_eq!(sim.news(witness), [""; 0]);
    sim.peers[person].reading = Reading::Freely;
    sim.peers[person].capacity = 1_000_000;
    sim.run(ms(0));
    assert_eq!(sim.news(witness), ["from 10.0.0.1:1001: and then"]);
}

/// Its answers can't be sent any more, so there is room for more of them.
#[test]
fn the_lines_of_a_gone_peer_do_not_wait_for_it_to_read() {
    let mut sim = Sim::new(limits());
    let (person, witness) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.2:1001"));
    sim.peers[person].reading = Reading::Stopped;
    sim.send(person, &("/help\n".repeat(2000) + "and then\n"));
    sim.run(ms(100));
    sim.news(witness);
    sim.close(person);
    sim.run(ms(100));
    assert_eq!(
        sim.news(witness),
        ["from 10.0.0.1:1001: and then", "10.0.0.1:1001 is offline"]
    );
}
