//! The wall clock is set while people talk, for example after NTP starts.

use crate::sim::{Sim, limits, ms};
use chat_server::event::{Departure, Event};
use chat_server::rate::Rate;
use chat_server::room::Limits;
use std::num::NonZeroU32;
use std::time::Duration;

const DAY_MS: i64 = 86_400_000;

/// The times that the wall clock is set to: back and ahead, by moments and by centuries.
const SET_MS: [i64; 9] = [
    -1,
    1,
    -DAY_MS,
    DAY_MS,
    -3 * DAY_MS,
    36_500 * DAY_MS,
    i64::MIN,
    i64::MAX,
    0,
];

/// What two users receive, and the log, of a conversation that involves every timer of the room: handshakes, lines
/// that silence ends, the rate, pings, silent clients, and a stopped reader. The clock is set before
/// each step.
fn conversation(mut set: impl FnMut(&mut Sim, usize)) -> (Vec<String>, Vec<Event>) {
    let mut sim = Sim::new(Limits {
        rate: Some(Rate::new(NonZeroU32::new(10).unwrap(), 5)),
        ping_interval: Duration::from_secs(15),
        ..limits()
    });
    let mut heard = Vec::new();
    let witness = sim.connect("10.0.0.1:1");
    let steps: [fn(&mut Sim); 10] = [
        |sim| sim.run(ms(249)),
        |sim| sim.run(ms(1)),
        |sim| {
            sim.rich("10.0.0.2:1", "alice");
        },
        |sim| {
            sim.rich("10.0.0.3:1", "bob");
        },
        |sim| sim.send(0, "no line feed"),
        |sim| sim.run(ms(30)),
        |sim| (0..30).for_each(|number| sim.send(0, &format!("{number}\n"))),
        |sim| sim.run(Duration::from_secs(14)),
        |sim| sim.run(Duration::from_secs(20)),
        |sim| sim.run(Duration::from_secs(25)),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        set(&mut sim, number);
        step(&mut sim);
        let now = sim.now.as_millis();
        let mut note = |peer: usize, lines: Vec<String>| {
            let notes = lines
                .iter()
                .map(|line| format!("{now} {peer} {}", without_time(line)));
            heard.extend(notes);
        };
        note(witness, sim.news(witness));
        for peer in 1..sim.peers.len() {
            note(peer, sim.news(peer));
        }
    }
    (heard, sim.events)
}

/// A line without the time by the wall clock.
fn without_time(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    if let ["SAID" | "JOIN" | "LEAVE" | "NICK" | "PING", ..] = words[..] {
        words.remove(1);
    }
    words.join(" ")
}

#[test]
fn no_behaviour_depends_on_the_wall_clock() {
    let (heard, events) = conversation(|_, _| {});
    for first in 0..SET_MS.len() {
        let (heard_now, events_now) =
            conversation(|sim, step| sim.wall_set_ms = SET_MS[(first + step) % SET_MS.len()]);
        assert_eq!(heard_now, heard);
        assert_eq!(events_now, events);
    }
    let silent = events.iter().filter(|event| {
        matches!(
            event,
            Event::Leave {
                why: Departure::Silent,
                ..
            }
        )
    });
    assert_eq!(silent.count(), 2, "the conversation has come as far as that");
}

#[test]
fn history_keeps_order_and_times_when_the_clock_is_set() {
    let mut sim = Sim::new(limits());
    let person = sim.plain("10.0.0.1:1");
    let mut times = Vec::new();
    for (number, set) in SET_MS.into_iter().enumerate() {
        sim.wall_set_ms = set;
        sim.send(person, &format!("{number}\n"));
        sim.run(ms(0));
        times.push(sim.clock().unix_ms);
    }
    assert!(!times.is_sorted() && times.contains(&0), "{times:?}");
    let late = sim.connect("10.0.0.2:1");
    sim.run(ms(0));
    sim.send(late, "HELLO 1 late 5000 -\n");
    sim.run(ms(0));
    let news = sim.news(late);
    let said: Vec<_> = news
        .iter()
        .filter_map(|line| line.strip_prefix("SAID "))
        .collect();
    let expected: Vec<_> = times
        .iter()
        .enumerate()
        .map(|(number, time)| format!("{time} 10.0.0.1:1 {number}"))
        .collect();
    assert_eq!(said, expected);
    // Its own join is of the time of the last message.
    assert!(
        news.iter().any(|line| line.starts_with("JOIN - late@")),
        "{news:?}"
    );
}
