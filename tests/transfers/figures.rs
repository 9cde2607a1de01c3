//! What is counted in the storm.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

#[derive(Default)]
pub struct Figures {
    pub files: usize,
    pub bytes: u64,
    /// Files that a killed client sent or received once more, because it did not know that it had.
    pub doubles: usize,
    /// How often a sender was told that its receiver can't be reached, and sent again.
    pub refusals: usize,
    /// Kills and changes of paths.
    pub blows: BTreeMap<&'static str, usize>,
    /// What each kill and change cost: bytes that the receiver had and got again.
    pub again: Vec<u64>,
    /// By how many bytes more left both hosts than without a blow, in each flight with one.
    pub extra: Vec<u64>,
    /// Milliseconds from each blow to the end of its flight.
    pub after: Vec<u64>,
    /// Bytes of files that were sent without a blow, and bytes that left both hosts for them.
    pub smooth: [u64; 2],
    /// Bytes of memory that a client used at most.
    pub memory: usize,
}

impl Figures {
    /// A flight of so many bytes is over, for which so many have left both hosts; and so long after a blow, if there was
    /// one.
    pub fn note_flight(&mut self, size: u64, sent: u64, after: Option<Duration>) {
        let Some(after) = after else {
            self.smooth[0] += size;
            self.smooth[1] += sent;
            return;
        };
        self.after.push(after.as_millis().try_into().unwrap());
        let [smooth_size, smooth_sent] = self.smooth.map(u128::from);
        if let Some(usual) = (u128::from(size) * smooth_sent).checked_div(smooth_size) {
            self.extra.push(sent.saturating_sub(usual.try_into().unwrap()));
        }
    }

    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.doubles += other.doubles;
        self.refusals += other.refusals;
        for (what, count) in other.blows {
            *self.blows.entry(what).or_default() += count;
        }
        self.again.extend(other.again);
        self.extra.extend(other.extra);
        self.after.extend(other.after);
        self.memory = self.memory.max(other.memory);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files, {} MB, {} of them once more, all kept, {} refused at first; {:?}; after them sent twice {} KiB, left the hosts {} KiB more, \
             took {} ms; memory {} KiB",
            self.files,
            self.bytes / 1_000_000,
            self.doubles,
            self.refusals,
            self.blows,
            Spread(&self.again, 1024),
            Spread(&self.extra, 1024),
            Spread(&self.after, 1),
            self.memory / 1024
        )
    }
}

/// The median and the most of these, in a unit.
struct Spread<'a>(&'a [u64], u64);

impl fmt::Display for Spread<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = self.0.to_vec();
        all.sort_unstable();
        let [median, most] =
            [all.get(all.len() / 2), all.last()].map(|value| value.map_or(0, |value| value / self.1));
        write!(f, "{median}, at most {most}")
    }
}
