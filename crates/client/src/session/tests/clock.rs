//! The wall clock is set while the client runs.

use super::private_messages::{alice, receipts};
use super::*;

/// The lines and events of a session that uses every timer: private messages are retransmitted, given up, or never
/// confirmed, and the server is pinged and given up.
fn session(mut set: impl FnMut(&mut Sim, usize)) -> (Vec<String>, Option<Outcome>) {
    let mut sim = alice();
    let mut all = Vec::new();
    let steps: [fn(&mut Sim); 6] = [
        |sim| sim.type_line("/msg bob are you there?"),
        |sim| sim.type_line("/msg carol and you?"),
        |sim| sim.wait(500),
        |sim| sim.wait(29_499),
        |sim| sim.wait(1000),
        |sim| sim.wait(40_000),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        set(&mut sim, number);
        step(&mut sim);
        let lines = sim.sent();
        let verbs = lines
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned());
        all.extend(verbs);
        all.extend(receipts(&sim.shown()));
    }
    (all, sim.session.outcome)
}

#[test]
fn no_timer_depends_on_the_wall_clock() {
    let set_ms = [-1, 1, -86_400_000, 86_400_000, i64::MIN, i64::MAX, 0];
    let (all, outcome) = session(|_, _| {});
    assert!(all.contains(&"and you? (direct, unencrypted)".into()), "{all:?}");
    assert!(
        all.iter()
            .any(|line| line.starts_with("are you there?: not confirmed")),
        "{all:?}"
    );
    assert_eq!(outcome, Some(Outcome::Silent));
    for first in 0..set_ms.len() {
        let now = session(|sim, step| sim.wall_set_ms = set_ms[(first + step) % set_ms.len()]);
        assert_eq!(now, (all.clone(), outcome.clone()));
    }
}
