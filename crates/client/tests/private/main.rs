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
mod pieces;
mod rng;
mod run;
mod seeds;
mod server;
mod simulation;

use ledger::Ledger;
use pieces::Pieces;
use seeds::for_each_seed;
use simulation::Simulation;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

/// Long enough after the last action that all messages are settled and shown.
const CALM: Duration = Duration::from_secs(40);

const REPEAT: &str = "cargo test -p chat-client --test private";

/// Runs a seed to the end. Returns the hash of all that happened, the ledger, and what became of files.
fn run(seed: u64, is_peaceful: bool) -> (u64, Ledger, Pieces) {
    let mut simulation = Simulation::new(seed, is_peaceful);
    let trace = simulation.run(simulation.last_act + CALM);
    simulation.ledger.check_end();
    simulation.pieces.check_end(is_peaceful);
    (trace, simulation.ledger, simulation.pieces)
}

#[test]
fn the_promises_hold_under_faults_and_attacks() {
    let totals = Mutex::new((0, 0, 0, 0, BTreeMap::new(), [0; 3]));
    for_each_seed(150, &format!("{REPEAT} promises"), |seed| {
        let (_, ledger, pieces) = run(seed, false);
        let (shown, delivered, relayed, renewed, failed, of_files) = &mut *totals.lock().unwrap();
        let [acked, lost, slow] = of_files;
        *acked += pieces.acked;
        *lost += pieces.lost;
        *slow += pieces.relayed;
        *shown += ledger.shown;
        *delivered += ledger.delivered;
        *relayed += ledger.relayed;
        *renewed += ledger.renewed;
        for (why, count) in &ledger.failed {
            *failed.entry(why.clone()).or_insert(0) += count;
        }
    });
    let (shown, delivered, relayed, renewed, failed, [acked, lost, slow]) = totals.into_inner().unwrap();
    println!("{shown} shown; {delivered} delivered, {relayed} of them relayed; not delivered: {failed:?}");
    println!("{renewed} keys were renewed in use");
    println!("pieces of files: {acked} acknowledged, {lost} lost; {slow} were relayed");
    assert!(delivered > 0 && acked > 0);
    assert!(renewed > 0 || std::env::var_os("CHAT_SEED").is_some());
}

/// All messages arrive, although links lose up to a third of all datagrams and routers block
/// datagrams from outside.
#[test]
fn without_attacks_everything_is_delivered() {
    for_each_seed(50, &format!("{REPEAT} without_attacks"), |seed| {
        let (_, ledger, _) = run(seed, true);
        assert_eq!(ledger.failed, BTreeMap::new());
    });
}

#[test]
fn a_seed_determines_the_run() {
    for seed in 0..5 {
        assert_eq!(run(seed, false).0, run(seed, false).0, "seed {seed}");
    }
    assert_ne!(run(1, false).0, run(2, false).0);
}
