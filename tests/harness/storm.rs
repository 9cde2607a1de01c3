//! The size of a storm, and its random choices.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The percentage of the full storm, unless `CHAT_STORM` gives another.
const USUAL: usize = 10;

/// Scales a count: to a tenth in the usual run, not at all in `scripts/storm`.
pub fn part_of(full: usize) -> usize {
    let percent = std::env::var("CHAT_STORM").map_or(USUAL, |percent| percent.parse().unwrap());
    (full * percent / 100).max(1)
}

/// Random numbers; the same seed gives the same numbers (SplitMix64).
pub struct Chance(u64);

impl Chance {
    /// Seeded by `CHAT_SEED`, or by the time. A failing test prints the seed.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let seed = std::env::var("CHAT_SEED").map_or_else(
            |_| u64::try_from(now % u128::from(u64::MAX)).unwrap(),
            |seed| seed.parse().unwrap(),
        );
        println!("to repeat these choices: CHAT_SEED={seed}");
        Self(seed)
    }

    /// An independent generator.
    pub fn split(&mut self) -> Self {
        Self(self.next())
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn in_range(&mut self, range: Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    pub fn up_to(&mut self, time: Duration) -> Duration {
        Duration::from_micros(self.in_range(0..u64::try_from(time.as_micros()).unwrap() + 1))
    }

    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let number = self.in_range(0..all.len().try_into().unwrap());
        &all[usize::try_from(number).unwrap()]
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        for word in bytes.chunks_mut(8) {
            word.copy_from_slice(&self.next().to_le_bytes()[..word.len()]);
        }
        bytes
    }
}
