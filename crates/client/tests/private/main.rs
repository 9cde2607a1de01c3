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

use simulation::Simulation;
use std::time::Duration;

/// Long enough after the last act that everything is settled, and what was held back is shown.
const END: Duration = Duration::from_secs(70 + 40);

/// Seeds that every run of the suite tries.
const SEEDS: u64 = 1000;

/// Says how to run a seed again, should it fail.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!("to see it again: CHAT_SEED={seed} cargo test -p chat-client --test private promises");
        }
    }
}

fn run(seed: u64) -> (u64, Simulation) {
    let replay = Replay(seed);
    let mut simulation = Simulation::new(seed);
    let trace = simulation.run(END);
    simulation.ledger.check_end();
    std::mem::forget(replay);
    (trace, simulation)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn the_promises_hold_whatever_happens() {
    let seeds = match number("CHAT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CHAT_SEEDS").unwrap_or(SEEDS),
    };
    let (mut shown, mut delivered, mut relayed) = (0, 0, 0);
    let mut failed = std::collections::BTreeMap::new();
    for seed in seeds {
        let (_, simulation) = run(seed);
        let ledger = &simulation.ledger;
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

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        assert_eq!(run(seed).0, run(seed).0, "seed {seed}");
    }
    assert_ne!(run(1).0, run(2).0);
}
