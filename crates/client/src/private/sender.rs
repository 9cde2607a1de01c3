//! The sending half of a conversation: what waits, what is on its way, and when it is sent again.

use super::event::{MessageId, Path, State, Why};
use super::packet::{PART_HEAD_LEN, PARTS_MAX};
use super::rto::Estimator;
use super::segment::{Owner, Segment, Waiting};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Parts that wait behind those on their way, at most; whoever has more to say has to wait. A message is at most
/// four parts of 1.1 KB, so a peer takes 260 x 1.1 KB = 290 KB here, and 64 x 1.2 KB in flight.
const QUEUE_MAX: usize = 256;

/// Segments on their way and not known to have come (RFC 8085, section 3.1.3, for little traffic). After a timeout
/// it is 1, and each acknowledgement adds 1. Short messages share a segment, so this is no limit
/// on messages: at 1,117 bytes each and a round trip of 0.2 ms it is 20 MB a second.
const IN_FLIGHT_MAX: usize = 4;

/// Segments between the first that is not settled and the last that was sent: what the peer holds back for
/// order, and what its selective acks can name.
const SPAN_MAX: u64 = 64;

/// A message is on its way for this long at most. Then its sender is told that it may not have arrived.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Whatever the timeout, a path is given no longer than this: the peer waits for a missing segment for 2 s, and then goes
/// on without it.
const PROVEN_PATIENCE_MAX: Duration = Duration::from_secs(1);

/// The shortest time between two copies through the relay, which is a TCP connection and loses little.
const RELAY_WAIT_MIN: Duration = Duration::from_secs(1);

const RELAY_WAIT_MAX: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(super) struct Sender {
    queue: VecDeque<Waiting>,
    /// In the order of their numbers; none is settled.
    flight: VecDeque<Segment>,
    /// The messages in `queue` and `flight` that are of more than one part.
    long: BTreeMap<MessageId, Long>,
    /// The number of the next segment. It never starts again while the keys live.
    next: u64,
    /// Segments allowed in flight: 1 <= allowed <= IN_FLIGHT_MAX.
    allowed: usize,
    direct: Estimator,
    relay: Estimator,
}

#[derive(Debug)]
struct Long {
    /// Parts that the peer has not yet passed.
    left: usize,
    path: Path,
}

/// By which paths segments can be sent just now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routes {
    pub(super) direct: bool,
    /// How long a segment waits before a copy of it goes through the relay, if there is one.
    pub(super) relay_after: Option<Duration>,
}

/// One copy of a segment that is to be sent now.
#[derive(Debug)]
pub(super) struct Transmission {
    pub(super) path: Path,
    pub(super) number: u64,
    pub(super) floor: u64,
    pub(super) parts: Vec<u8>,
    /// When the copy that this one replaces was sent, if nothing came back for it in time.
    pub(super) timed_out: Option<Duration>,
}

/// What the peer says it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ack {
    pub(super) cumulative: u64,
    pub(super) selective: u64,
    pub(super) passed: u64,
    /// The segment that this answers.
    pub(super) of: Option<u64>,
    /// The path by which it came; an answer takes that of what it answers.
    pub(super) path: Path,
}

/// A message whose fate is settled.
pub(super) type Settled = (MessageId, State);

impl Default for Sender {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            flight: VecDeque::new(),
            long: BTreeMap::new(),
            next: 0,
            allowed: IN_FLIGHT_MAX,
            direct: Estimator::default(),
            relay: Estimator::default(),
        }
    }
}

impl Sender {
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE_MAX
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.flight.is_empty()
    }

    /// Bytes of messages that are held until they are settled.
    pub(super) fn bytes(&self) -> usize {
        let flying: usize = self.flight.iter().map(|segment| segment.parts.len()).sum();
        flying + self.queue.iter().map(|part| part.text.len()).sum::<usize>()
    }

    /// How long a path that is known to work is given: three timeouts, without doublings.
    pub(super) fn direct_patience(&self) -> Duration {
        (self.direct.base() * 3).min(PROVEN_PATIENCE_MAX)
    }

    /// Takes a message that is to be sent.
    pub(super) fn push(&mut self, now: Duration, id: MessageId, text: &[u8]) {
        let pieces = text.chunks(PARTS_MAX - PART_HEAD_LEN);
        let count = pieces.len();
        let is_piece = count > 1;
        if is_piece {
            let path = Path::Direct;
            self.long.insert(id, Long { left: count, path });
        }
        self.queue
            .extend(pieces.enumerate().map(|(place, piece)| Waiting {
                owner: Owner {
                    id,
                    since: now,
                    is_piece,
                },
                begins: place == 0,
                ends: place + 1 == count,
                text: piece.to_vec(),
            }));
    }

    /// The next copy to send, if any is due. To be asked until there is none. `jitter` gives a random byte.
    pub(super) fn transmit(
        &mut self,
        now: Duration,
        routes: Routes,
        jitter: impl FnOnce() -> u8,
    ) -> Option<Transmission> {
        self.fill(now);
        let floor = self.flight.front()?.number;
        if routes.direct
            && let Some((place, timed_out)) = self.due_directly(now)
        {
            let wait = self.direct.wait(jitter());
            let segment = self.flight.get_mut(place)?;
            segment.lost = false;
            segment.direct.count(now, wait);
            return Some(Transmission::of(segment, Path::Direct, floor, timed_out));
        }
        let relay_after = routes.relay_after?;
        let wait = self.relay.base().max(RELAY_WAIT_MIN);
        let place = self
            .open()
            .find(|&(_, open)| open.relay_due(relay_after) <= now)?
            .0;
        let segment = self.flight.get_mut(place)?;
        segment
            .relay
            .count(now, (wait * (1 << segment.relay.sent.min(4))).min(RELAY_WAIT_MAX));
        Some(Transmission::of(segment, Path::Relayed, floor, None))
    }

    /// When [`Self::transmit`] or [`Self::expire`] next has something to do.
    pub(super) fn deadline(&self, routes: Routes) -> Option<Duration> {
        let direct = self.open().filter(|_| routes.direct);
        let direct = direct.map(|(_, segment)| segment.direct_due()).min();
        let relay = routes
            .relay_after
            .and_then(|after| self.open().map(|(_, segment)| segment.relay_due(after)).min());
        let expiry = self.oldest().map(|since| since + PATIENCE);
        [direct, relay, expiry].into_iter().flatten().min()
    }

    /// Takes in what the peer says has come. Gives the messages that are settled by it, in order; and, if a segment
    /// that was sent directly turns out to have come by the relay alone, when it was sent directly.
    pub(super) fn acknowledge(&mut self, now: Duration, ack: Ack) -> (Vec<Settled>, Option<Duration>) {
        let mut settled = Vec::new();
        if ack.cumulative > self.next || ack.passed > self.next {
            return (settled, None);
        }
        let (progress, overtaken) = self.mark_those_that_came(now, ack);
        if progress {
            self.allowed = (self.allowed + 1).min(IN_FLIGHT_MAX);
        }
        let end = ack.passed.max(ack.cumulative);
        let done = self.flight.partition_point(|segment| segment.number < end);
        let done: Vec<Segment> = self.flight.drain(..done).collect();
        for segment in done {
            match segment.came {
                Some(path) => self.deliver(now, &segment, path, &mut settled),
                None => self.fail(&segment.owners, Why::Overtaken, &mut settled),
            }
        }
        (settled, overtaken)
    }

    /// Settles what has been on its way for too long.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<Settled> {
        let mut settled = Vec::new();
        let old = |since: Duration| since + PATIENCE <= now;
        let flying = self.flight.partition_point(|segment| old(segment.since()));
        for segment in self.flight.drain(..flying).collect::<Vec<_>>() {
            self.fail(&segment.owners, Why::NoAnswer, &mut settled);
        }
        let waiting = self.queue.partition_point(|part| old(part.owner.since));
        for part in self.queue.drain(..waiting).collect::<Vec<_>>() {
            self.fail(&[part.owner], Why::NoAnswer, &mut settled);
        }
        settled
    }

    /// Settles everything: it will not be sent.
    pub(super) fn fail_all(&mut self, why: Why) -> Vec<Settled> {
        let mut settled = Vec::new();
        for segment in std::mem::take(&mut self.flight) {
            self.fail(&segment.owners, why, &mut settled);
        }
        for part in std::mem::take(&mut self.queue) {
            self.fail(&[part.owner], why, &mut settled);
        }
        self.long.clear();
        self.allowed = IN_FLIGHT_MAX;
        settled
    }

    /// The direct path leads elsewhere now: what was sent by the old one is to be sent again.
    pub(super) fn path_changed(&mut self) {
        // Those that were not sent yet are due in any case.
        for segment in &mut self.flight {
            segment.lost = true;
        }
    }

    /// Makes segments of what waits, as far as there is room.
    fn fill(&mut self, now: Duration) {
        while !self.queue.is_empty() && self.has_room() {
            let mut segment = Segment::new(self.next, now);
            while let Some(part) = self.queue.pop_front() {
                if !segment.has_room_for(&part) {
                    self.queue.push_front(part);
                    break;
                }
                segment.add(&part);
            }
            self.next += 1;
            self.flight.push_back(segment);
        }
    }

    fn has_room(&self) -> bool {
        let unanswered = self
            .flight
            .iter()
            .filter(|segment| segment.came.is_none())
            .count();
        let first = self.flight.front().map_or(self.next, |first| first.number);
        unanswered < self.allowed && self.next - first < SPAN_MAX
    }

    /// The segments that may be sent, and their places: the first that have not come, as many as are allowed. If all
    /// have come and none is passed, then the first, so that the peer says again how far it is.
    fn open(&self) -> impl Iterator<Item = (usize, &Segment)> {
        let all_came = self.flight.iter().all(|segment| segment.came.is_some());
        self.flight
            .iter()
            .enumerate()
            .filter(move |(_, segment)| all_came || segment.came.is_none())
            .take(if all_came { 1 } else { self.allowed })
    }

    /// The place of a segment to send directly, and, if that is because nothing came back for it in time,
    /// when it was last sent.
    fn due_directly(&mut self, now: Duration) -> Option<(usize, Option<Duration>)> {
        let (place, segment) = self.open().find(|(_, segment)| segment.direct_due() <= now)?;
        if segment.direct.sent == 0 || segment.lost {
            return Some((place, None));
        }
        let last = segment.direct.last;
        self.direct.timed_out();
        self.allowed = 1;
        // What was sent before that is lost too, in all likelihood, and follows as acknowledgements make room.
        for segment in &mut self.flight {
            segment.lost |= segment.direct.last <= last;
        }
        let (place, _) = self.open().find(|(_, segment)| segment.direct_due() <= now)?;
        Some((place, Some(last)))
    }

    fn mark_those_that_came(&mut self, now: Duration, ack: Ack) -> (bool, Option<Duration>) {
        let (mut progress, mut overtaken) = (false, None);
        for segment in self.flight.iter_mut().filter(|segment| segment.came.is_none()) {
            if !ack.names(segment.number) {
                continue;
            }
            let answered = ack.of == Some(segment.number);
            segment.came = Some(segment.came_by(ack.path, answered));
            progress = true;
            if answered && ack.path == Path::Relayed && segment.direct.sent > 0 {
                overtaken = Some(segment.direct.last);
            }
            // Karn's rule: of what was sent more than once nobody knows which copy is answered.
            if answered && segment.direct.sent + segment.relay.sent == 1 {
                match ack.path {
                    Path::Direct => self.direct.measure(now.saturating_sub(segment.direct.last)),
                    Path::Relayed => self.relay.measure(now.saturating_sub(segment.relay.last)),
                }
            }
        }
        (progress, overtaken)
    }

    fn deliver(&mut self, now: Duration, segment: &Segment, path: Path, settled: &mut Vec<Settled>) {
        for owner in &segment.owners {
            let mut path = path;
            if owner.is_piece {
                let Some(long) = self.long.get_mut(&owner.id) else {
                    continue;
                };
                long.left -= 1;
                long.path = long.path.max(path);
                if long.left > 0 {
                    continue;
                }
                path = long.path;
                self.long.remove(&owner.id);
            }
            let after = now.saturating_sub(owner.since);
            settled.push((owner.id, State::Delivered { path, after }));
        }
    }

    /// Settles messages of which some part will never be acknowledged. What else there is of them on its way is
    /// of no use to the peer, which shows whole messages only; what still waits is not sent.
    fn fail(&mut self, owners: &[Owner], why: Why, settled: &mut Vec<Settled>) {
        for &Owner { id, is_piece, .. } in owners {
            if is_piece {
                if self.long.remove(&id).is_none() {
                    continue;
                }
                self.queue.retain(|part| part.owner.id != id);
            }
            settled.push((id, State::NotDelivered(why)));
        }
    }

    /// Since when the oldest message waits.
    fn oldest(&self) -> Option<Duration> {
        let flying = self.flight.front().map(Segment::since);
        flying.or_else(|| self.queue.front().map(|part| part.owner.since))
    }
}

impl Transmission {
    fn of(segment: &Segment, path: Path, floor: u64, timed_out: Option<Duration>) -> Self {
        Self {
            path,
            number: segment.number,
            floor,
            parts: segment.parts.clone(),
            timed_out,
        }
    }
}

impl Ack {
    /// Whether it says that this segment has come.
    fn names(&self, number: u64) -> bool {
        match number.checked_sub(self.cumulative) {
            None => true,
            Some(0) => false,
            Some(ahead @ 1..=64) => self.selective >> (ahead - 1) & 1 == 1,
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
