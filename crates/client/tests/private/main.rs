//! Private messages among several clients over faulty links and routers, in simulated time.
//!
//! `CHAT_SEED=n` runs one seed. `CHAT_SEEDS=n` runs n seeds instead of the default number.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod actions;
mod ledger;
mod network;
mod rng;
mod run;
mod server;
mod simulation;

use ledger::Ledger;
use simulation::Simulation;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Long enough after the last action that all messages are settled and shown.
const END: Duration = Duration::from_secs(70 + 40);

/// Prints how to repeat a seed if its test fails.
struct Replay(u64, &'static str);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self(seed, test) = self;
            eprintln!("to repeat it: CHAT_SEED={seed} cargo test -p chat-client --test private {test}");
        }
    }
}

/// The seeds that the environment selects, or the default number.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    match number("CHAT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CHAT_SEEDS").unwrap_or(default),
    }
}

/// Runs a seed to the end. Returns the hash of all that happened, and the ledger.
fn run(seed: u64, is_peaceful: bool) -> (u64, Ledger) {
    let mut simulation = Simulation::new(seed, is_peaceful);
    let trace = simulation.run(END);
    simulation.ledger.check_end();
    (trace, simulation.ledger)
}

/// Runs the seeds that the environment selects, on all processors.
fn for_each_seed(default: u64, test: &'static str, check: impl Fn(u64) + Sync) {
    let seeds = seeds(default);
    let next = AtomicU64::new(seeds.start);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let _replay = Replay(seed, test);
            check(seed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}

#[test]
fn the_promises_hold_under_faults_and_attacks() {
    let totals = Mutex::new((0, 0, 0, BTreeMap::new()));
    for_each_seed(1000, "promises", |seed| {
        let (_, ledger) = run(seed, false);
        let (shown, delivered, relayed, failed) = &mut *totals.lock().unwrap();
        *shown += ledger.shown;
        *delivered += ledger.delivered;
        *relayed += ledger.relayed;
        for (why, count) in &ledger.failed {
            *failed.entry(why.clone()).or_insert(0) += count;
        }
    });
    let (shown, delivered, relayed, failed) = totals.into_inner().unwrap();
    println!("{shown} shown; {delivered} delivered, {relayed} of them relayed; not delivered: {failed:?}");
    assert!(delivered > 0);
}

/// All messages arrive, although links lose up to a third of all datagrams and routers block
/// datagrams from outside.
#[test]
fn without_attacks_everything_is_delivered() {
    for_each_seed(200, "without_attacks", |seed| {
        let (_, ledger) = run(seed, true);
        assert_eq!(ledger.failed, BTreeMap::new());
    });
}

#[test]
fn a_seed_determines_the_run() {
    for seed in 0..20 {
        assert_eq!(run(seed, false).0, run(seed, false).0, "seed {seed}");
    }
    assert_ne!(run(1, false).0, run(2, false).0);
}
