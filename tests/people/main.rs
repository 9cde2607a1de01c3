//! The real room and the real sessions, over a hostile network, with a user who may send any line. In simulated time.
//!
//! What each person wrote, and for whom, is kept by person, and not by nick, address or key. Everything that anybody is
//! shown is compared with that. All random bytes come from the seed, so a seed determines the whole run.
//!
//! `CHAT_SEED=n` runs one seed and prints what happens, with `CHAT_TRACE=1`. `CHAT_SEEDS=n` runs n seeds instead of the
//! default number.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod carry;
mod hostile;
mod insider;
mod ledger;
#[allow(dead_code, reason = "the simulation of private messages uses the rest")]
#[path = "../../crates/client/tests/private/network.rs"]
mod network;
mod people;
mod plain;
#[path = "../../crates/client/tests/private/rng.rs"]
mod rng;
mod run;
#[path = "../../crates/client/tests/private/seeds.rs"]
mod seeds;
#[allow(dead_code, reason = "the room's own tests use the rest")]
#[path = "../../crates/server/tests/room/sim.rs"]
mod sim;
mod truth;
mod world;

use ledger::Totals;
use std::sync::Mutex;
use std::time::Duration;
use world::World;

/// After the last action, so long that all messages have arrived or failed.
const CALM: Duration = Duration::from_secs(100);

const REPEAT: &str = "cargo test -p chat-tests --test people";

/// Runs a seed to the end. Returns the hash of all that was shown, and what happened.
fn run(seed: u64, is_peaceful: bool) -> (u64, Totals) {
    let mut world = World::new(seed, is_peaceful);
    world.live(CALM);
    world.finish()
}

fn total(default: u64, test: &str, is_peaceful: bool) -> Totals {
    let totals = Mutex::new(Totals::default());
    seeds::for_each_seed(default, &format!("{REPEAT} {test}"), |seed| {
        let (_, ledger) = run(seed, is_peaceful);
        totals.lock().unwrap().add(&ledger);
    });
    let totals = totals.into_inner().unwrap();
    println!("{totals:?}");
    totals
}

#[test]
fn nobody_is_shown_or_told_what_was_not_meant() {
    let totals = total(20, "nobody", false);
    let seen = [totals.delivered, totals.removed, totals.verified, totals.doubts];
    assert!(std::env::var_os("CHAT_SEED").is_some() || !seen.contains(&0));
}

#[test]
fn without_attacks_everything_arrives() {
    let totals = total(5, "without", true);
    assert_eq!((totals.failed, totals.missed), (0, 0));
}

#[test]
fn a_seed_determines_the_run() {
    let [one, again, other] = [1, 1, 2].map(|seed| run(seed, false).0);
    assert_eq!(one, again);
    assert_ne!(one, other);
}
