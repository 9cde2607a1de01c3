//! Private messages among many clients, over links and routers that do everything wrong, in simulated time.
//!
//! `CHAT_SEED=n` runs one seed; `CHAT_SEEDS=n` runs so many instead of the usual number.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod actions;
mod ledger;
mod network;
mod rng;
mod server;
mod simulation;

use ledger::Ledger;
use simulation::Simulation;
use std::collections::BTreeMap;
use std::time::Duration;

/// Long enough after the last act that everything is settled, and what was held back is shown.
const END: Duration = Duration::from_secs(70 + 40);

/// Says how to run a seed of a test again, should it fail.
struct Replay(u64, &'static str);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, test) = self;
            eprintln!("to see it again: CHAT_SEED={seed} cargo test -p chat-client --test private {test}");
        }
    }
}

/// The seeds that the environment asks for, or so many.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("CHAT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CHAT_SEEDS").unwrap_or(usual),
    }
}

/// Runs a seed to the end, and gives the hash of all that happened.
fn run(seed: u64, is_peaceful: bool) -> (u64, Ledger) {
    let mut simulation = Simulation::new(seed, is_peaceful);
    let trace = simulation.run(END);
    simulation.ledger.check_end();
    (trace, simulation.ledger)
}

#[test]
fn the_promises_hold_whatever_happens() {
    let (mut shown, mut delivered, mut relayed) = (0, 0, 0);
    let mut failed = BTreeMap::new();
    for seed in seeds(1000) {
        let _replay = Replay(seed, "promises");
        let (_, ledger) = run(seed, false);
        shown += ledger.shown;
        delivered += ledger.delivered;
        relayed += ledger.relayed;
        for (why, count) in &ledger.failed {
            *failed.entry(why.clone()).or_insert(0) += count;
        }
    }
    println!("{shown} shown; {delivered} delivered, {relayed} of them relayed; not delivered: {failed:?}");
    assert!(delivered > 0);
}

/// Where the worst is that links lose a third of all datagrams and routers let nobody in, all gets through.
#[test]
fn among_friends_everything_is_delivered() {
    for seed in seeds(200) {
        let _replay = Replay(seed, "friends");
        let (_, ledger) = run(seed, true);
        assert_eq!(ledger.failed, BTreeMap::new());
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        assert_eq!(run(seed, false).0, run(seed, false).0, "seed {seed}");
    }
    assert_ne!(run(1, false).0, run(2, false).0);
}
