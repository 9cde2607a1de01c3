//! The user list.

use crate::sim::{PeerNo, Reading, Sim, limits, ms};
use chat_server::event::Event;

fn crowd(sim: &mut Sim, count: usize) -> Vec<PeerNo> {
    let crowd = (0..count)
        .map(|number| sim.connect(&format!("10.1.{}.{}:1001", number / 250, number % 250 + 1)))
        .collect();
    sim.run(ms(300));
    crowd
}

#[test]
fn thousands_of_users_are_listed_in_pieces_in_order() {
    let mut sim = Sim::new(limits());
    let asker = sim.plain("10.0.0.1:1001");
    crowd(&mut sim, 3000);
    sim.news(asker);
    sim.peers[asker].capacity = 1000;
    sim.send(asker, "/who\n/nick\nmeanwhile\n");
    let mut most = 0;
    for _ in 0..2000 {
        sim.run(ms(1));
        most = most.max(sim.own_bytes(asker));
    }
    let news = sim.news(asker);
    assert_eq!(news[0], "* 3001 users are here, of at most 10000:");
    assert_eq!(news[1], "* 10.0.0.1:1001");
    assert_eq!(news[3001], "* 10.1.11.250:1001");
    assert_eq!(
        news[3002..],
        ["* usage: /nick NAME", "from 10.0.0.1:1001: meanwhile"]
    );
    assert!(most < 20_000, "{most} bytes were written out at once");
}

#[test]
fn one_user_list_is_sent_at_a_time() {
    let mut sim = Sim::new(limits());
    let asker = sim.plain("10.0.0.1:1001");
    crowd(&mut sim, 1000);
    sim.news(asker);
    sim.peers[asker].reading = Reading::Stopped;
    sim.peers[asker].capacity = 100;
    sim.send(asker, &"/who\n".repeat(100));
    sim.run(ms(100));
    sim.peers[asker].reading = Reading::Freely;
    sim.peers[asker].capacity = 100_000;
    sim.run(ms(100));
    let news = sim.news(asker);
    assert_eq!(news.iter().filter(|line| line.contains("are here")).count(), 100);
    assert_eq!(news.iter().filter(|line| *line == "* 10.1.3.250:1001").count(), 1);
    sim.send(asker, "/who\n");
    sim.run(ms(100));
    assert_eq!(sim.news(asker).len(), 1002);
}

#[test]
fn everybody_leaves_while_the_list_is_sent() {
    let mut sim = Sim::new(limits());
    let asker = sim.plain("10.0.0.1:1001");
    let crowd = crowd(&mut sim, 1500);
    sim.news(asker);
    sim.peers[asker].reading = Reading::Stopped;
    sim.peers[asker].capacity = 100;
    sim.send(asker, "/who\n");
    sim.run(ms(0));
    sim.half_close(asker);
    sim.run(ms(0));
    for peer in crowd {
        sim.close(peer);
    }
    sim.run(ms(1000));
    sim.peers[asker].reading = Reading::Freely;
    sim.run(ms(100));
    let news = sim.news(asker);
    assert!(news.len() > 500 && news.len() < 1400, "{} lines", news.len());
    assert!(sim.is_closed(asker), "and then it is over");
}

#[test]
fn a_left_user_is_not_counted() {
    let mut sim = Sim::new(limits());
    let asker = sim.plain("10.0.0.1:1001");
    let (person, _) = (sim.plain("10.0.0.2:1001"), sim.rich("10.0.0.3:1001", "rick"));
    sim.send(person, "/quit\n");
    sim.run(ms(0));
    sim.news(asker);
    sim.send(asker, "/who\n");
    sim.run(ms(0));
    let here = [
        "* 2 users are here, of at most 10000:",
        "* 10.0.0.1:1001",
        "* rick@10.0.0.3:1001",
    ];
    assert_eq!(sim.news(asker), here);
    let logged = sim.events.iter().filter_map(|event| match event {
        Event::Join { users, .. } | Event::Leave { users, .. } => Some(*users),
        _ => None,
    });
    assert_eq!(logged.collect::<Vec<_>>(), [1, 2, 3, 2]);
}

/// A user that asks for the list and quits at once may be owed an empty list.
#[test]
fn the_last_user_asks_for_the_list_and_quits() {
    let mut sim = Sim::new(limits());
    let asker = sim.plain("10.0.0.1:1001");
    sim.peers[asker].reading = Reading::Stopped;
    sim.peers[asker].capacity = 10;
    sim.send(asker, "/who\n");
    sim.run(ms(0));
    sim.half_close(asker);
    sim.run(ms(10));
    sim.peers[asker].reading = Reading::Freely;
    sim.run(ms(10));
    assert_eq!(sim.news(asker), ["* 1 user is here, of at most 10000:"]);
    assert!(sim.is_closed(asker));
}
