//! Back-pressure: which readers are too slow, and when the room pauses for them.
//!
//! The transcript is a ring. Before it overwrites what a reader has not been sent, the room pauses: it reads from nobody
//! until that reader has caught up. A pause counts against every reader that is far behind. A reader that has used up
//! the room's patience is disconnected; nobody else loses a line. Catching up gives the patience back slowly.

use crate::compact::Timestamp;
use crate::roster::{Roster, Slot};
use crate::transcript::{CAPACITY, Dialect, Ring, Transcript};
use chat_proto::SERVER_LINE_MAX;
use chat_proto::now::Now;
use std::time::Duration;

/// For how long in all the room pauses while a reader does not catch up, whichever reader blocks it. Counted for each
/// reader alone, many of them could pause the room one after the other.
const PATIENCE: Duration = Duration::from_secs(1);

/// A reader that blocks the room and is sent nothing at all for this long is gone or stopped, and the room waits no
/// longer for it. With a review each 50 ms, the pause takes 0.25 s at most. A link that loses one packet is silent for
/// one retransmission, 200 ms on Linux at least, but only after the socket's buffer was full.
const STANDSTILL: Duration = Duration::from_millis(200);

/// The room's patience returns after this many times the time it was used: a second in 64 s. So a reader that stalls
/// again and again makes the room wait for 1.6 % of the time.
const RECOVERY: u32 = 64;

/// A reader at most this far behind has caught up.
const CAUGHT_UP: u64 = (CAPACITY / 2) as u64;

/// Room in the ring that messages leave for lines that can't be held back: some hundreds of users leaving at once, whose
/// lines are about 100 bytes each.
const RESERVE: u64 = 64 * 1024 + SERVER_LINE_MAX as u64;

/// A pause is reviewed at least this often.
const REVIEW_INTERVAL: Duration = Duration::from_millis(50);

/// A reader that is too slow, and how many bytes it is behind.
pub(super) type SlowReader = (Slot, u64);

/// Whether the room pauses, and how far the slowest readers are.
#[derive(Debug, Default)]
pub(super) struct Backpressure {
    /// The lowest offset of a reader of each ring. The reader may have moved on since the last review, but never back.
    plain_floor: u64,
    rich_floor: u64,
    /// When the current pause was last reviewed.
    paused: Option<Duration>,
    /// When anything was last reviewed.
    reviewed: Duration,
}

/// The result of a review.
pub(super) struct Review {
    /// Readers to disconnect.
    pub(super) slow: Vec<SlowReader>,
    /// A pause is over.
    pub(super) resumes: bool,
}

impl Backpressure {
    /// Whether the room reads from nobody at present.
    pub(super) fn pauses_reads(&self) -> bool {
        self.paused.is_some()
    }

    /// When the current pause is to be reviewed.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.paused.map(|reviewed| reviewed + REVIEW_INTERVAL)
    }

    /// Whether one more message could overwrite what a reader has not been sent.
    pub(super) fn blocks(&self, transcript: &Transcript) -> bool {
        let full = |dialect, floor| is_full(transcript.ring(dialect), floor);
        self.pauses_reads() || full(Dialect::Plain, self.plain_floor) || full(Dialect::Rich, self.rich_floor)
    }

    /// A reader whose next byte the ring has lost. That happens only when more users leave at once than the reserve has
    /// room for.
    pub(super) fn overrun(&self, roster: &Roster, transcript: &Transcript) -> Option<SlowReader> {
        // The floors may be too low, but never too high.
        let held = |dialect, floor| transcript.ring(dialect).tail() <= floor;
        if held(Dialect::Plain, self.plain_floor) && held(Dialect::Rich, self.rich_floor) {
            return None;
        }
        roster.iter_from(0).find_map(|(slot, member)| {
            let ring = transcript.ring(member.dialect());
            let cursor = member.outbox.cursor()?;
            let lost = member.is_staying() && member.outbox.is_overtaken(ring);
            lost.then(|| (slot, ring.head() - cursor))
        })
    }

    /// After the writes of a turn: looks how far every reader is, and begins, continues or ends a pause.
    pub(super) fn review(&mut self, now: Now, roster: &mut Roster, transcript: &Transcript) -> Review {
        let since_review = |reviewed| now.monotonic.saturating_sub(reviewed);
        let waited = self.paused.map_or(Duration::ZERO, since_review);
        let recovered = since_review(std::mem::replace(&mut self.reviewed, now.monotonic)) / RECOVERY;
        self.plain_floor = transcript.ring(Dialect::Plain).head();
        self.rich_floor = transcript.ring(Dialect::Rich).head();
        let mut is_blocked = false;
        let mut slow = Vec::new();
        for (slot, member) in roster.iter_mut() {
            let Some(cursor) = member.outbox.cursor().filter(|_| member.is_staying()) else {
                continue;
            };
            self.add_reader(member.dialect(), cursor);
            let ring = transcript.ring(member.dialect());
            let behind = ring.head() - cursor;
            if behind <= CAUGHT_UP {
                member.held_up = member.held_up.get().saturating_sub(recovered).into();
                member.stands_still = Timestamp::ZERO;
                continue;
            }
            let held_up = member.held_up.get() + waited;
            let stands_still = member.stands_still.get() + waited;
            member.held_up = held_up.into();
            member.stands_still = stands_still.into();
            if is_full(ring, cursor) {
                is_blocked = true;
                if held_up >= PATIENCE || stands_still >= STANDSTILL {
                    slow.push((slot, behind));
                }
            }
        }
        let paused_before = self.pauses_reads();
        self.paused = is_blocked.then_some(now.monotonic);
        Review {
            slow,
            resumes: paused_before && !is_blocked,
        }
    }

    /// A reader is at this offset, which may be behind all others.
    fn add_reader(&mut self, dialect: Dialect, offset: u64) {
        let floor = match dialect {
            Dialect::Plain => &mut self.plain_floor,
            Dialect::Rich => &mut self.rich_floor,
        };
        *floor = offset.min(*floor);
    }
}

/// Whether a reader at this offset keeps the ring from taking one more message.
fn is_full(ring: &Ring, cursor: u64) -> bool {
    ring.head() + RESERVE > cursor + CAPACITY as u64
}
