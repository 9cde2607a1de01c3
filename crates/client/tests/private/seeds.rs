//! Which seeds a simulation runs, on all processors.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Prints how to repeat a seed if its test fails.
struct Replay<'a>(u64, &'a str);

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self(seed, test) = self;
            eprintln!("to repeat it: CHAT_SEED={seed} {test}");
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

/// Runs the seeds that the environment selects, on all processors. `command` runs the test.
pub(crate) fn for_each_seed(default: u64, command: &str, check: impl Fn(u64) + Sync) {
    let seeds = seeds(default);
    let next = AtomicU64::new(seeds.start);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if !seeds.contains(&seed) {
                return;
            }
            let _replay = Replay(seed, command);
            check(seed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
}
