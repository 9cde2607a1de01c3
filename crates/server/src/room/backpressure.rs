//! What happens when somebody reads too slowly.
//!
//! The transcript is a ring. Before it would overwrite what a reader has not got, the room waits:
//! nobody is listened to until that reader has read on. The wait is everybody's who is far behind: who still
//! needs one after a second in all, without having caught up in between, is let go; nobody else is missing a line.

use crate::compact::Moment;
use crate::connection::Stage;
use crate::event::Departure;
use crate::outbox::Outbox;
use crate::room::Room;
use crate::room::commands::goodbye;
use crate::roster::Slot;
use crate::transcript::{CAPACITY, Dialect, Ring, Transcript};
use chat_proto::SERVER_LINE_MAX;
use chat_proto::now::Now;
use chat_proto::rich::Reason;
use std::time::Duration;

/// For how long the room waits while a reader does not catch up, whoever it waits for: or each of many could
/// claim as long for itself, one after the other.
const PATIENCE: Duration = Duration::from_secs(1);

/// A reader that is no further behind than this has caught up.
const CAUGHT_UP: u64 = (CAPACITY / 2) as u64;

/// Room in the ring that messages leave for what can't be held back: some hundreds of people leaving
/// at once, whose notices are about 100 bytes each.
const RESERVE: u64 = 64 * 1024 + SERVER_LINE_MAX as u64;

/// While the room waits, it looks at least this often whether its patience has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// For how long a slow reader can still take in why it was let go.
const FAREWELL: Duration = Duration::from_secs(5);

/// Whether the room waits, and for whom.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    /// The oldest offset that a reader of each ring stands at. It may have moved on since it was
    /// looked up; it has not moved back.
    plain_floor: u64,
    rich_floor: u64,
    /// The room waits since it last was looked at, at this time.
    holding: Option<Duration>,
}

impl Pressure {
    /// A reader begins at this offset, which may be behind all others.
    pub(crate) fn reader_at(&mut self, dialect: Dialect, offset: u64) {
        let floor = match dialect {
            Dialect::Plain => &mut self.plain_floor,
            Dialect::Rich => &mut self.rich_floor,
        };
        *floor = offset.min(*floor);
    }

    /// Whether nobody is listened to at present.
    pub(crate) fn holds(&self) -> bool {
        self.holding.is_some()
    }

    /// When the room is to look again whether it still has to wait.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.holding.map(|looked| looked + LOOK_AGAIN)
    }

    /// Whether one more message could overwrite what somebody has not got.
    pub(crate) fn must_wait(&self, transcript: &Transcript) -> bool {
        let full = |dialect, floor| blocks(transcript.ring(dialect), floor);
        self.holds() || full(Dialect::Plain, self.plain_floor) || full(Dialect::Rich, self.rich_floor)
    }
}

/// Whether a reader at this offset keeps the ring from taking one more message.
fn blocks(ring: &Ring, cursor: u64) -> bool {
    ring.head() + RESERVE > cursor + CAPACITY as u64
}

impl Room {
    /// To be called before the writes of a turn: lets go of those whose next bytes are no longer held, which
    /// happens only when more people leave at once than the reserve has room for. Whoever is sent
    /// the list of those who are here from here on is sent the same: who is found to be gone by a write is said to have left
    /// after it.
    pub fn settle(&mut self, now: Now) {
        self.listings.clear();
        // Each departure adds a line, which may overtake the next reader.
        while let Some((slot, behind)) = self.overtaken() {
            self.let_go(now, slot, behind);
        }
    }

    fn overtaken(&self) -> Option<(Slot, u64)> {
        // Nobody can be overtaken while the floors, which only ever lie too low, are held.
        let held = |dialect, floor| self.transcript.ring(dialect).tail() <= floor;
        if held(Dialect::Plain, self.pressure.plain_floor) && held(Dialect::Rich, self.pressure.rich_floor) {
            return None;
        }
        self.roster.iter_from(0).find_map(|(slot, member)| {
            let ring = self.transcript.ring(member.dialect());
            let outbox = &member.connection.outbox;
            let cursor = outbox.cursor()?;
            let lost = member.connection.is_staying() && outbox.is_overtaken(ring);
            lost.then(|| (slot, ring.head() - cursor))
        })
    }

    /// To be called after the writes of a turn: sees how far everybody has got, waits or ceases to wait
    /// for readers, and closes what is done with.
    pub fn review(&mut self, now: Now) {
        self.listings.clear();
        let held_before = self.pressure.holding;
        let waited = held_before.map_or(Duration::ZERO, |since| now.monotonic.saturating_sub(since));
        let (mut plain_floor, mut rich_floor) = (
            self.transcript.ring(Dialect::Plain).head(),
            self.transcript.ring(Dialect::Rich).head(),
        );
        let mut blocking = 0;
        let mut impatient = Vec::new();
        for (slot, member) in self.roster.iter_mut() {
            let Some(cursor) = member.connection.outbox.cursor() else {
                continue;
            };
            if !member.connection.is_staying() {
                continue;
            }
            let dialect = member.dialect();
            let floor = match dialect {
                Dialect::Plain => &mut plain_floor,
                Dialect::Rich => &mut rich_floor,
            };
            *floor = cursor.min(*floor);
            let ring = self.transcript.ring(dialect);
            let behind = ring.head() - cursor;
            if behind <= CAUGHT_UP {
                member.connection.held_up = Moment::ZERO;
                continue;
            }
            let held_up = member.connection.held_up.get() + waited;
            member.connection.held_up = held_up.into();
            if blocks(ring, cursor) {
                blocking += 1;
                if held_up >= PATIENCE {
                    impatient.push((slot, behind));
                }
            }
        }
        self.pressure.plain_floor = plain_floor;
        self.pressure.rich_floor = rich_floor;
        self.hold(now, blocking);
        for (slot, behind) in impatient {
            self.let_go(now, slot, behind);
        }
        self.reap(now);
    }

    /// Begins, continues or ends the waiting.
    fn hold(&mut self, now: Now, blocking: usize) {
        let held = self.pressure.holds();
        self.pressure.holding = (blocking > 0).then_some(now.monotonic);
        if held && blocking == 0 {
            self.listen_again(now);
        }
    }

    /// Nobody was listened to, and so nobody was silent, late or finished: their times begin again.
    fn listen_again(&mut self, now: Now) {
        for (_, member) in self.roster.iter_mut() {
            let connection = &mut member.connection;
            connection.inbox.heard(now.monotonic, &[]);
            connection.pinged = None;
            if let Stage::Arriving(since) | Stage::Waiting(since) = &mut connection.stage {
                *since = now.monotonic.into();
            }
        }
        self.expire_deadline();
    }

    /// Lets go of a slow reader, and leaves word where it will find it if it reads on.
    fn let_go(&mut self, now: Now, slot: Slot, behind: u64) {
        const TEXT: &str = "you read too slowly and were let go so that the room need not wait";
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let dialect = member.dialect();
        let farewell = goodbye(Some(dialect), Reason::Slow, TEXT) + "\n";
        let mut outbox = std::mem::take(&mut member.connection.outbox);
        outbox.cut_short(self.transcript.ring(dialect), farewell.into_bytes());
        self.leave(now, slot, Departure::Slow(behind), None);
        self.linger(now, slot, outbox);
    }

    fn linger(&mut self, now: Now, slot: Slot, outbox: Outbox) {
        if let Some(member) = self.roster.get_mut(slot) {
            member.connection.stage = Stage::Leaving((now.monotonic + FAREWELL).into());
            member.connection.outbox = outbox;
        }
    }
}
