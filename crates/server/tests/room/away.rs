//! Users who are away.

use crate::operators::{operator, run_room};
use crate::sim::ms;

const BOB: &str = "bob@10.0.0.9:5003";

#[test]
fn clients_and_newcomers_are_told_who_is_away() {
    let mut sim = run_room();
    let plain = sim.plain("10.0.0.5:5001");
    let alice = sim.rich("10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    sim.news(alice);
    sim.news(plain);
    sim.send(bob, "AWAY at \u{202e}lunch\nAWAY at lunch\n");
    sim.run(ms(0));
    assert_eq!(sim.news(alice), [format!("AWAY {BOB} at lunch")]);
    assert_eq!(sim.news(plain), [""; 0]);
    sim.send(plain, "/who\n");
    let carol = sim.connect("10.0.0.11:5004");
    sim.seal(carol, "HELLO 1 carol - -");
    sim.run(ms(0));
    assert!(sim.news(plain).contains(&format!("* away {BOB}")));
    let news = sim.news(carol);
    let place = |start: &str| news.iter().position(|line| line.starts_with(start)).unwrap();
    assert!(place("USERS ") < place(&format!("AWAY {BOB} at lunch")));
    assert!(place("AWAY ") < place("HISTORY "));

    sim.send(bob, "AWAY\nAWAY\n");
    sim.run(ms(0));
    assert_eq!(sim.news(alice).last().unwrap(), &format!("AWAY {BOB}"));
    sim.send(bob, "AWAY asleep\nQUIT\n");
    sim.run(ms(0));
    let dave = sim.connect("10.0.0.12:5005");
    sim.seal(dave, "HELLO 1 dave - -");
    sim.run(ms(0));
    assert!(!sim.news(dave).iter().any(|line| line.starts_with("AWAY")));
}

#[test]
fn a_long_text_and_that_of_a_muted_user_are_refused() {
    let mut sim = run_room();
    let alice = operator(&mut sim, "10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    sim.send(
        bob,
        &format!("AWAY {}\nAWAY {}\n", "é".repeat(101), "é".repeat(100)),
    );
    sim.run(ms(0));
    let news = sim.news(bob);
    assert_eq!(
        news[news.len() - 2..],
        [
            "ERROR too-long - not done: it may have 100 characters at most".to_owned(),
            format!("AWAY {BOB} {}", "é".repeat(100)),
        ]
    );
    sim.send(alice, "ROOM mute bob\n");
    sim.run(ms(0));
    sim.news(bob);
    sim.send(bob, "AWAY shouting\nAWAY\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(bob),
        [
            "ERROR muted - not done: an operator has muted you".to_owned(),
            format!("AWAY {BOB}"),
        ]
    );
}
