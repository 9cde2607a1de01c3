//! Slow readers, and everybody else.

use crate::sim::{PeerNo, Reading, Sim, limits, ms};
use chat_server::event::Departure;
use std::time::Duration;

/// A flood of this many numbered lines of 4,000 bytes.
fn flood(from: usize, count: usize) -> String {
    (from..from + count)
        .map(|number| format!("{number:0>3999}\n"))
        .collect()
}

/// The numbers of the flood's lines that this peer has received. Every line is whole.
fn heard(sim: &Sim, peer: PeerNo) -> Vec<usize> {
    let numbers = sim.lines(peer).0.into_iter();
    let numbers = numbers.filter(|line| line.len() > 3900 && !line.starts_with("USERS "));
    numbers
        .map(|line| {
            let digits = line.rsplit(' ').next().unwrap();
            assert_eq!(digits.len(), 3999);
            digits.parse().unwrap()
        })
        .collect()
}

fn is_slow(departure: Option<Departure>) -> bool {
    matches!(departure, Some(Departure::Slow(_)))
}

/// The longest pause for readers that read nothing.
const STANDSTILL: Duration = Duration::from_millis(250);

#[test]
fn a_stopped_reader_is_disconnected_without_loss_to_others() {
    let mut sim = Sim::new(limits());
    let talker = sim.plain("10.0.0.1:1");
    let readers = [sim.plain("10.0.0.2:1"), sim.rich("10.0.0.3:1", "rick")];
    let stopped = [sim.plain("10.0.0.4:1"), sim.rich("10.0.0.5:1", "slow")];
    for peer in stopped {
        sim.peers[peer].reading = Reading::Stopped;
    }
    sim.send(talker, &flood(0, 1000));
    sim.run(ms(190));
    assert_eq!(sim.departure("10.0.0.4:1"), None, "there is some patience");
    let before = heard(&sim, talker).len();
    assert!((200..270).contains(&before), "and the talker waits: {before}");
    sim.run(ms(2000));
    for peer in [talker, readers[0], readers[1]] {
        assert_eq!(heard(&sim, peer), (0..1000).collect::<Vec<_>>());
    }
    assert!(sim.longest_hold <= STANDSTILL, "{:?}", sim.longest_hold);
    assert!(is_slow(sim.departure("10.0.0.4:1")) && is_slow(sim.departure("slow@10.0.0.5:1")));
    for (peer, last) in stopped.into_iter().zip([
        "* disconnected: you were reading too slowly",
        "GOODBYE slow disconnected: you were reading too slowly",
    ]) {
        sim.peers[peer].reading = Reading::Freely;
        sim.run(ms(100));
        let (lines, rest) = sim.lines(peer);
        assert!(rest.is_empty());
        assert!(lines.last().unwrap().starts_with(last), "{:?}", lines.last());
        assert_eq!(
            heard(&sim, peer),
            (0..heard(&sim, peer).len()).collect::<Vec<_>>()
        );
        assert!(sim.is_closed(peer));
    }
}

#[test]
fn a_disconnected_reader_that_never_reads_is_closed() {
    let mut sim = Sim::new(limits());
    let (talker, stopped) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    sim.peers[stopped].reading = Reading::Stopped;
    sim.send(talker, &flood(0, 500));
    sim.run(ms(7000));
    assert!(sim.is_closed(stopped));
    assert_eq!(sim.room.roster().connections(), 1);
}

#[test]
fn a_trickling_reader_is_disconnected() {
    let mut sim = Sim::new(limits());
    let talker = sim.plain("10.0.0.1:1");
    let slow = sim.plain("10.0.0.4:1");
    sim.peers[slow].reading = Reading::Slowly(20_000);
    sim.send(talker, &flood(0, 1500));
    sim.run(ms(2500));
    assert_eq!(heard(&sim, talker).len(), 1500);
    assert!(is_slow(sim.departure("10.0.0.4:1")));
    sim.run(ms(5000));
    let (lines, rest) = sim.lines(slow);
    assert!(
        rest.is_empty()
            && lines
                .last()
                .unwrap()
                .starts_with("* disconnected: you were reading too slowly")
    );
}

#[test]
fn several_slow_readers_pause_the_room_1_s_together() {
    let mut sim = Sim::new(limits());
    let talker = sim.plain("10.0.0.1:1");
    for (number, speed) in [1, 5_000, 10_000, 40_000, 50_000].into_iter().enumerate() {
        let slow = sim.plain(&format!("10.0.0.4:{}", number + 1));
        sim.peers[slow].reading = Reading::Slowly(speed);
    }
    let start = sim.now;
    sim.send(talker, &flood(0, 1000));
    sim.run_until(|sim| heard(sim, talker).len() == 1000);
    assert!(sim.now - start < ms(1500), "{:?}", sim.now - start);
}

#[test]
fn a_reader_that_catches_up_stays() {
    let mut sim = Sim::new(limits());
    let (talker, reader) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    for round in 0..5 {
        sim.peers[reader].reading = Reading::Stopped;
        sim.send(talker, &flood(300 * round, 300));
        sim.run(ms(150));
        sim.peers[reader].reading = Reading::Freely;
        sim.run(ms(100));
        assert_eq!(heard(&sim, reader).len(), 300 * (round + 1));
    }
    assert_eq!(sim.departure("10.0.0.4:1"), None);
    assert_eq!(heard(&sim, reader), (0..1500).collect::<Vec<_>>());
}

/// The room waits for a reader 1 s in all, and one more each minute.
#[test]
fn a_reader_that_stalls_again_and_again_is_disconnected() {
    let mut sim = Sim::new(limits());
    let (talker, reader) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    let mut rounds = 0;
    while sim.departure("10.0.0.4:1").is_none() && rounds < 20 {
        sim.peers[reader].reading = Reading::Stopped;
        sim.send(talker, &flood(300 * rounds, 300));
        sim.run(ms(150));
        sim.peers[reader].reading = Reading::Freely;
        sim.run(ms(350));
        rounds += 1;
    }
    assert!(is_slow(sim.departure("10.0.0.4:1")));
    assert!((6..=8).contains(&rounds), "{rounds}");
}

#[test]
fn a_reader_is_forgiven_within_a_minute() {
    let mut sim = Sim::new(limits());
    let (talker, reader) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    for round in 0..20 {
        sim.peers[reader].reading = Reading::Stopped;
        sim.send(talker, &flood(300 * round, 300));
        sim.run(ms(150));
        sim.peers[reader].reading = Reading::Freely;
        sim.run(ms(10_000));
    }
    assert_eq!(sim.departure("10.0.0.4:1"), None);
}

#[test]
fn a_reader_that_catches_up_by_half_stays() {
    let mut sim = Sim::new(limits());
    let (talker, reader) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    sim.peers[reader].reading = Reading::Stopped;
    // This much is never read, and stays between the reader and the broadcasts.
    sim.send(talker, &flood(0, 100));
    sim.run(ms(10));
    for round in 0..3 {
        sim.peers[reader].reading = Reading::Stopped;
        sim.send(talker, &flood(100 + 230 * round, 230));
        sim.run(ms(150));
        assert!(
            heard(&sim, talker).len() < 100 + 230 * (round + 1),
            "the room waits"
        );
        sim.peers[reader].reading = Reading::Slowly(2_000_000);
        sim.run(ms(460));
        assert_eq!(heard(&sim, talker).len(), 100 + 230 * (round + 1));
    }
    assert!(heard(&sim, reader).len() < heard(&sim, talker).len());
    assert_eq!(sim.departure("10.0.0.4:1"), None);
}

/// The room pauses for every slow reader, but at most a second until it has caught up.
#[test]
fn a_reader_that_never_catches_up_uses_its_patience_up() {
    let mut sim = Sim::new(limits());
    let (talker, reader) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    sim.peers[reader].reading = Reading::Slowly(150_000);
    sim.send(talker, &flood(0, 3000));
    let start = sim.now;
    while sim.departure("10.0.0.4:1").is_none() {
        sim.run(ms(10));
        assert!(
            sim.now - start < ms(1500),
            "{:?} {:?}",
            sim.now - start,
            heard(&sim, talker).len()
        );
    }
}

#[test]
fn chat_at_a_human_pace_causes_no_pause() {
    let mut sim = Sim::new(limits());
    let (talker, stopped) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    sim.peers[stopped].reading = Reading::Stopped;
    for _ in 0..200 {
        sim.send(talker, &flood(0, 1));
        sim.run(ms(100));
    }
    assert_eq!(sim.longest_hold, Duration::ZERO);
    sim.peers[stopped].reading = Reading::Freely;
    sim.run(ms(0));
    assert_eq!(heard(&sim, stopped).len(), 200);
}

#[test]
fn a_stopped_reader_costs_the_other_dialect_no_line() {
    for (address, nick) in [("10.0.0.4:1", None), ("slow@10.0.0.4:1", Some("slow"))] {
        let mut sim = Sim::new(limits());
        let talker = sim.rich("10.0.0.1:1", "talker");
        let readers = [sim.plain("10.0.0.2:1"), sim.rich("10.0.0.3:1", "rick")];
        let stopped = match nick {
            Some(nick) => sim.rich("10.0.0.4:1", nick),
            None => sim.plain("10.0.0.4:1"),
        };
        sim.peers[stopped].reading = Reading::Stopped;
        let flood: String = flood(0, 600)
            .lines()
            .zip(1..)
            .map(|(line, seq)| format!("SAY {seq} {line}\n"))
            .collect();
        sim.send(talker, &flood);
        sim.run(ms(2000));
        assert!(is_slow(sim.departure(address)));
        for reader in readers {
            assert_eq!(heard(&sim, reader), (0..600).collect::<Vec<_>>());
        }
    }
}

/// What can't be held back may overrun the reserve. An overrun reader is disconnected at a line end; the
/// others miss nothing.
#[test]
fn a_thousand_leaves_at_once_damage_no_line() {
    // Readers of one ring may be overrun although nobody reads the other. Each run ends inside of another line.
    for (offset, stops) in [(0, 0..2), (1, 0..1), (2, 1..2)] {
        let mut sim = Sim::new(limits());
        let talker = sim.plain("10.0.0.1:1");
        let readers = [sim.plain("10.0.0.2:1"), sim.rich("10.0.0.3:1", "rick")];
        let crowd: Vec<_> = (0..1000)
            .map(|number| {
                let peer = sim.connect(&format!("10.1.{}.{}:1", number / 250, number % 250));
                sim.send(peer, &format!("/nick {}{number}\n", "𐐀".repeat(28)));
                peer
            })
            .collect();
        sim.run(ms(0));
        for &peer in &crowd {
            sim.peers[peer].listens = false;
        }
        let stopped = [
            (sim.plain("10.0.0.4:1"), "10.0.0.4:1"),
            (sim.rich("10.0.0.5:1", "slow"), "slow@10.0.0.5:1"),
        ];
        let stopped = &stopped[stops];
        for &(peer, _) in stopped {
            sim.peers[peer].reading = Reading::Stopped;
            sim.peers[peer].capacity = 5000 + 1000 * offset;
        }
        // As far as the room goes without a pause.
        sim.send(talker, &flood(0, 238));
        sim.run(ms(10));
        assert_eq!(sim.longest_hold, Duration::ZERO);
        for &peer in &crowd {
            sim.close(peer);
        }
        sim.run(ms(0));
        for reader in readers {
            let left = sim
                .lines(reader)
                .0
                .into_iter()
                .filter(|line| line.contains("𐐀𐐀"))
                .filter(|line| line.ends_with(" is offline") || line.starts_with("LEAVE "));
            assert_eq!(left.count(), 1000);
            assert_eq!(heard(&sim, reader), (0..238).collect::<Vec<_>>());
        }
        for &(peer, name) in stopped {
            let Some(Departure::Slow(behind)) = sim.departure(name) else {
                panic!("{name} was overtaken");
            };
            let overtaken = 1 << 20..(1 << 20) + 100_000;
            assert!(overtaken.contains(&behind), "the log says by how much: {behind}");
            sim.peers[peer].reading = Reading::Freely;
            sim.run(ms(100));
            assert!(sim.is_closed(peer));
            // Every line is whole.
            let lines = sim.lines(peer).0;
            for line in lines.iter().filter(|line| !line.starts_with("USERS ")) {
                assert!(
                    line.len() < 300 || line.len() > 4000,
                    "{} bytes: {line:.80}",
                    line.len()
                );
                assert!(line.len() < 300 || line.ends_with(|digit: char| digit.is_ascii_digit()));
            }
            assert_eq!(
                heard(&sim, peer),
                (0..heard(&sim, peer).len()).collect::<Vec<_>>()
            );
        }
    }
}

/// Messages leave 64 KiB of the ring to the lines of leaving users. So many may leave in the very turn
/// that messages have filled the rest, and no reader is overrun.
#[test]
fn messages_leave_the_reserve_to_leaves() {
    let mut sim = Sim::new(limits());
    let reader = sim.plain("10.0.0.4:1");
    let talkers: Vec<_> = (0..100)
        .map(|port| sim.plain(&format!("10.0.1.1:{}", 1000 + port)))
        .collect();
    let nick = "𐐀".repeat(28);
    let line = format!("{nick}100@10.0.2.2:1000 is offline\n").len();
    let crowd: Vec<_> = (0..64 * 1024 / line)
        .map(|number| {
            let peer = sim.connect(&format!("10.0.2.2:{}", 1000 + number));
            sim.send(peer, &format!("HELLO 1 {nick}{} - -\n", 100 + number));
            peer
        })
        .collect();
    sim.run(ms(0));
    sim.peers[reader].reading = Reading::Stopped;
    sim.peers[reader].capacity = 1;
    sim.send(talkers[0], &flood(0, 10));
    sim.run(ms(0));
    for &talker in &talkers {
        sim.send(talker, &flood(0, 4));
        sim.peers[talker].listens = false;
    }
    for &peer in &crowd {
        sim.close(peer);
    }
    sim.run(ms(100));
    assert!(!sim.room.accepts(), "the ring is full, and the room waits");
    assert_eq!(sim.departure("10.0.0.4:1"), None);
    sim.peers[reader].reading = Reading::Freely;
    sim.peers[reader].capacity = 64 * 1024;
    sim.run(ms(100));
    assert_eq!(heard(&sim, reader).len(), 410);
    let left = sim
        .lines(reader)
        .0
        .into_iter()
        .filter(|line| line.ends_with(" is offline"));
    assert_eq!(left.count(), crowd.len());
}

/// During a pause the room does not notice that users leave, so the reserve remains for those who left
/// before. It has room for the lines of all of them when the pause ends.
#[test]
fn no_connection_ends_during_a_pause() {
    let mut sim = Sim::new(limits());
    let (talker, reader) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    let crowd: Vec<_> = (0..2500)
        .map(|number| sim.connect(&format!("10.0.2.2:{}", 1000 + number)))
        .collect();
    sim.run(ms(250));
    for &peer in &crowd {
        sim.peers[peer].listens = false;
    }
    sim.peers[reader].reading = Reading::Stopped;
    sim.send(talker, &flood(0, 300));
    sim.run(ms(100));
    assert!(!sim.room.accepts());
    for &peer in &crowd {
        sim.close(peer);
    }
    sim.run(ms(80));
    assert_eq!(
        sim.lines(talker)
            .0
            .into_iter()
            .filter(|line| line.ends_with(" is offline"))
            .count(),
        0
    );
    sim.peers[reader].reading = Reading::Freely;
    sim.run(ms(100));
    assert_eq!(sim.departure("10.0.0.4:1"), None);
    assert_eq!(heard(&sim, reader).len(), 300);
    assert_eq!(
        sim.lines(reader)
            .0
            .into_iter()
            .filter(|line| line.ends_with(" is offline"))
            .count(),
        crowd.len()
    );
}

/// Joins of silent connections can be held back.
#[test]
fn a_thousand_joins_at_once_overrun_no_reader() {
    let mut sim = Sim::new(limits());
    let (talker, reader) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.4:1"));
    sim.peers[reader].reading = Reading::Stopped;
    sim.peers[reader].capacity = 5000;
    sim.send(talker, &flood(0, 242));
    sim.run(ms(10));
    assert_eq!(sim.longest_hold, Duration::ZERO);
    for number in 0..5000 {
        let peer = sim.connect(&format!("10.1.{}.{}:1", number / 250, number % 250));
        sim.peers[peer].listens = false;
    }
    sim.run(ms(400));
    assert!(!sim.room.accepts());
    sim.peers[reader].reading = Reading::Freely;
    sim.run(ms(2000));
    assert_eq!(sim.departure("10.0.0.4:1"), None);
    assert_eq!(heard(&sim, reader).len(), 242);
    assert_eq!(
        sim.lines(reader)
            .0
            .into_iter()
            .filter(|line| line.starts_with("10.1."))
            .count(),
        5000
    );
}

/// A client is not silent while the room pauses for somebody else.
#[test]
fn a_pause_does_not_count_as_silence() {
    let mut sim = Sim::new(chat_server::room::Limits {
        ping_interval: ms(200),
        ..limits()
    });
    let talker = sim.plain("10.0.0.1:1");
    let client = sim.rich("10.0.0.3:1", "rick");
    let stopped = sim.plain("10.0.0.4:1");
    sim.peers[stopped].reading = Reading::Stopped;
    sim.send(talker, &flood(0, 400));
    for _ in 0..400 {
        sim.run(ms(10));
        for line in sim.news(client) {
            if let Some(number) = line.strip_prefix("PING ") {
                sim.send(client, &format!("PONG {number}\n"));
            }
        }
    }
    assert!(is_slow(sim.departure("10.0.0.4:1")));
    assert_eq!(sim.departure("rick@10.0.0.3:1"), None);
}

/// A message that came in two pieces is one, although the room read the second one late.
#[test]
fn a_pause_does_not_split_a_message() {
    let mut sim = Sim::new(limits());
    let (talker, person) = (sim.plain("10.0.0.1:1"), sim.plain("10.0.0.3:1"));
    let stopped = sim.plain("10.0.0.4:1");
    sim.peers[stopped].reading = Reading::Stopped;
    sim.send(talker, &flood(0, 230));
    sim.run(ms(0));
    sim.send(person, "to be ");
    sim.send(talker, &flood(230, 100));
    while sim.room.accepts() {
        sim.turn();
    }
    sim.send(person, "or not");
    sim.run(ms(2000));
    assert!(sim.lines(talker).0.contains(&"from 10.0.0.3:1: to be or not"));
}
