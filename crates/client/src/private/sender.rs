//! The sending half of a conversation: queued messages, messages in flight, and retransmission.

use super::event::{MessageId, Path, State, Why};
use super::packet::{PART_HEAD_LEN, PARTS_MAX, Part};
use super::rto::Estimator;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Queued parts at most; beyond it, sending is refused. A message has at most four parts of 1.1 KB,
/// so a peer takes 260 x 1.1 KB = 290 KB here, and 64 x 1.2 KB in flight.
const QUEUE_MAX: usize = 256;

/// Segments in flight at most (RFC 8085, section 3.1.3, for low data volumes). Short messages share
/// a segment, so this does not limit messages: 1,117 bytes each at a round trip of 0.2 ms are 20 MB
/// a second.
const IN_FLIGHT_MAX: usize = 4;

/// Segments between the first unacknowledged one and the last that was sent: as many as the peer
/// holds back for order, and as its selective acks can name.
const SPAN_MAX: u64 = 64;

/// A message that is not confirmed within this time is reported as not delivered.
pub(super) const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a segment waits for an answer on a path without a measured round trip, before a copy is
/// relayed.
const RELAY_DELAY: Duration = Duration::from_millis(400);

/// The shortest such wait. The peer may be busy.
const RELAY_DELAY_MIN: Duration = Duration::from_millis(100);

/// The longest such wait. The peer waits 2 s for a missing segment, and then shows what follows.
const RELAY_DELAY_MAX: Duration = Duration::from_secs(1);

/// The shortest time between two relayed copies. The relay is a TCP connection and loses little.
const RELAY_WAIT_MIN: Duration = Duration::from_secs(1);

const RELAY_WAIT_MAX: Duration = Duration::from_secs(8);

/// Messages share a segment only if they were sent within this time, because they expire together.
const TOGETHER: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Sender {
    /// Parts that wait for room in flight.
    queue: VecDeque<QueuedPart>,
    /// Segments that were sent and are not settled, in the order of their numbers. A message waits
    /// here for its confirmation.
    in_flight: VecDeque<Segment>,
    /// The messages with parts in `queue` or `in_flight`.
    messages: BTreeMap<MessageId, Message>,
    /// The number of the next segment. It restarts only if the peer runs anew.
    next: u64,
    /// Segments allowed in flight: `1 <= window <= IN_FLIGHT_MAX`. A timeout sets it to 1; each
    /// acknowledgement adds 1.
    window: usize,
    direct: Estimator,
    relay: Estimator,
}

/// The paths by which segments can be sent now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Routes {
    pub(super) direct: bool,
    /// How long a segment waits before a copy is relayed; `None` without a relay.
    pub(super) relay_after: Option<Duration>,
}

/// A copy of a segment, to be sent now.
#[derive(Debug)]
pub(super) struct Transmission {
    pub(super) path: Path,
    pub(super) number: u64,
    pub(super) floor: u64,
    pub(super) parts: Vec<u8>,
    /// If this copy replaces one that timed out: when that one was sent.
    pub(super) timed_out: Option<Duration>,
}

/// What the peer acknowledges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ack {
    pub(super) cumulative: u64,
    pub(super) selective: u64,
    pub(super) passed: u64,
    /// The segment that this answers.
    pub(super) of: Option<u64>,
    /// The path by which it came: the one of the segment that it answers.
    pub(super) path: Path,
}

/// A message and its final state.
pub(super) type Settled = (MessageId, State);

#[derive(Debug)]
struct Message {
    /// Parts that the peer has not acknowledged as shown.
    parts_left: usize,
    path: Path,
}

/// A part that is not in a segment yet.
#[derive(Debug)]
struct QueuedPart {
    owner: Owner,
    /// The message has other parts.
    is_piece: bool,
    /// As it is encoded in a packet.
    bytes: Vec<u8>,
}

/// The message to which a part belongs.
#[derive(Clone, Copy, Debug)]
struct Owner {
    id: MessageId,
    /// When the message was queued.
    since: Duration,
}

/// One datagram's worth of messages.
#[derive(Debug, Default)]
struct Segment {
    number: u64,
    parts: Vec<u8>,
    /// The owner of each part, in order. Never empty.
    owners: Vec<Owner>,
    is_piece: bool,
    /// When it could first have been sent.
    started: Duration,
    direct: Copies,
    relay: Copies,
    /// Considered lost because an earlier segment timed out; sent again when there is room.
    lost: bool,
    /// The path by which it arrived, once the peer has acknowledged it.
    received: Option<Path>,
}

/// The copies of a segment that were sent by one path.
#[derive(Debug, Default)]
struct Copies {
    sent: u32,
    last: Duration,
    due: Duration,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            messages: BTreeMap::new(),
            next: 0,
            window: IN_FLIGHT_MAX,
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
        self.queue.is_empty() && self.in_flight.is_empty()
    }

    /// Whether a message was ever sent.
    pub(super) fn has_sent(&self) -> bool {
        self.next > 0 || !self.is_idle()
    }

    /// Bytes of messages that are not settled.
    pub(super) fn bytes(&self) -> usize {
        let sent = self.in_flight.iter().map(|segment| segment.parts.len());
        let queued = self.queue.iter().map(|part| part.bytes.len());
        sent.chain(queued).sum()
    }

    /// How long a segment waits for an answer before a copy is relayed: one and a half times as long
    /// as answers took so far.
    pub(super) fn relay_delay(&self, is_validated: bool) -> Duration {
        let max = if is_validated {
            RELAY_DELAY_MAX
        } else {
            RELAY_DELAY
        };
        let measured = self.direct.expected().map(|expected| expected * 3 / 2);
        measured.map_or(RELAY_DELAY, |delay| delay.clamp(RELAY_DELAY_MIN, max))
    }

    /// Queues a message.
    pub(super) fn push(&mut self, now: Duration, id: MessageId, text: &[u8]) {
        // An empty message has one empty piece.
        let count = text.len().div_ceil(PARTS_MAX - PART_HEAD_LEN).max(1);
        let empty = text.is_empty().then_some(text);
        let pieces = text.chunks(PARTS_MAX - PART_HEAD_LEN).chain(empty);
        let message = Message {
            parts_left: count,
            path: Path::Direct,
        };
        self.messages.insert(id, message);
        self.queue.extend(pieces.enumerate().map(|(place, piece)| {
            let part = Part {
                begins: place == 0,
                ends: place + 1 == count,
                is_file: false,
                text: piece,
            };
            QueuedPart {
                owner: Owner { id, since: now },
                is_piece: count > 1,
                bytes: part.to_bytes(),
            }
        }));
    }

    /// Queues a message about a file, which is never split.
    pub(super) fn push_file(&mut self, now: Duration, id: MessageId, message: &[u8]) {
        debug_assert!(message.len() <= PARTS_MAX - PART_HEAD_LEN);
        let part = Part {
            begins: true,
            ends: true,
            is_file: true,
            text: message,
        };
        let message = Message {
            parts_left: 1,
            path: Path::Direct,
        };
        self.messages.insert(id, message);
        self.queue.push_back(QueuedPart {
            owner: Owner { id, since: now },
            is_piece: false,
            bytes: part.to_bytes(),
        });
    }

    /// The next copy to send, if one is due. Called until it returns `None`. `jitter` gives a
    /// random byte.
    pub(super) fn transmit(
        &mut self,
        now: Duration,
        routes: Routes,
        jitter: impl FnOnce() -> u8,
    ) -> Option<Transmission> {
        self.fill(now);
        let floor = self.in_flight.front()?.number;
        let direct = routes.direct.then(|| self.next_direct(now)).flatten();
        let (path, place, timed_out) = match direct {
            Some((place, timed_out)) => (Path::Direct, place, timed_out),
            None => (Path::Relayed, self.next_relayed(now, routes.relay_after?)?, None),
        };
        let segment = self.in_flight.get_mut(place)?;
        match path {
            Path::Direct => {
                segment.lost = false;
                segment.direct.count(now, self.direct.wait(jitter()));
            }
            Path::Relayed => {
                let wait = self.relay.base().max(RELAY_WAIT_MIN) * (1 << segment.relay.sent.min(4));
                segment.relay.count(now, wait.min(RELAY_WAIT_MAX));
            }
        }
        Some(Transmission {
            path,
            number: segment.number,
            floor,
            parts: segment.parts.clone(),
            timed_out,
        })
    }

    /// When [`Self::transmit`] or [`Self::expire`] next has something to do.
    pub(super) fn deadline(&self, routes: Routes) -> Option<Duration> {
        let due = self.sendable().flat_map(|(_, segment)| {
            let direct = routes.direct.then(|| segment.direct_due());
            let relay = routes.relay_after.map(|after| segment.relay_due(after));
            [direct, relay]
        });
        let sent = self.in_flight.front().map(Segment::since);
        let oldest = sent.or_else(|| self.queue.front().map(|part| part.owner.since));
        let expiry = oldest.map(|since| since + DELIVERY_TIMEOUT);
        due.chain([expiry]).flatten().min()
    }

    /// Processes an acknowledgement. Returns the messages that it settles, in order; and, if a
    /// segment that was sent directly was received through the relay alone, when it was sent
    /// directly.
    pub(super) fn acknowledge(&mut self, now: Duration, ack: Ack) -> (Vec<Settled>, Option<Duration>) {
        let mut settled = Vec::new();
        if ack.cumulative > self.next || ack.passed > self.next {
            return (settled, None);
        }
        let (progress, overtaken) = self.mark_received(now, ack);
        if progress {
            self.window = (self.window + 1).min(IN_FLIGHT_MAX);
        }
        let end = ack.passed.max(ack.cumulative);
        let done = self.in_flight.partition_point(|segment| segment.number < end);
        for segment in self.in_flight.drain(..done).collect::<Vec<_>>() {
            match segment.received {
                Some(path) => self.deliver(now, &segment, path, &mut settled),
                None => self.fail(&segment.owners, Why::Overtaken, &mut settled),
            }
        }
        (settled, overtaken)
    }

    /// Gives up on messages that were not confirmed in time.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<Settled> {
        let is_old = |since: Duration| since + DELIVERY_TIMEOUT <= now;
        let sent = self.in_flight.partition_point(|segment| is_old(segment.since()));
        let queued = self.queue.partition_point(|part| is_old(part.owner.since));
        self.drop_first(sent, queued, Why::NoAnswer)
    }

    /// Gives up on all messages.
    pub(super) fn fail_all(&mut self, why: Why) -> Vec<Settled> {
        self.window = IN_FLIGHT_MAX;
        self.drop_first(self.in_flight.len(), self.queue.len(), why)
    }

    /// The peer runs anew, and knows of no segment. Queued messages stay, and those in flight fail: its
    /// earlier run may have shown them.
    pub(super) fn restart(&mut self) -> Vec<Settled> {
        let settled = self.drop_first(self.in_flight.len(), 0, Why::Left);
        self.window = IN_FLIGHT_MAX;
        self.next = 0;
        settled
    }

    /// The direct path leads to another address now: segments sent to the previous one are sent
    /// again.
    pub(super) fn path_changed(&mut self) {
        // Segments that were never sent are due in any case.
        for segment in &mut self.in_flight {
            segment.lost = true;
        }
    }

    /// Makes segments of queued parts while there is room.
    fn fill(&mut self, now: Duration) {
        while !self.queue.is_empty() && self.has_room() {
            let mut segment = Segment::new(self.next, now);
            while self.queue.front().is_some_and(|part| segment.has_room_for(part))
                && let Some(part) = self.queue.pop_front()
            {
                segment.add(&part);
            }
            self.next += 1;
            self.in_flight.push_back(segment);
        }
    }

    fn has_room(&self) -> bool {
        let unacknowledged = self.in_flight.iter().filter(|segment| segment.received.is_none());
        let first = self.in_flight.front().map_or(self.next, |first| first.number);
        unacknowledged.count() < self.window && self.next - first < SPAN_MAX
    }

    /// The segments that may be sent, and their places: the first unacknowledged ones that fit the
    /// window. If all are acknowledged and none is passed, the first one, so that the peer repeats
    /// how far it is.
    fn sendable(&self) -> impl Iterator<Item = (usize, &Segment)> {
        let all_received = self.in_flight.iter().all(|segment| segment.received.is_some());
        self.in_flight
            .iter()
            .enumerate()
            .filter(move |(_, segment)| all_received || segment.received.is_none())
            .take(if all_received { 1 } else { self.window })
    }

    /// The place of the next segment to send directly. If it timed out: also when it was last sent.
    fn next_direct(&mut self, now: Duration) -> Option<(usize, Option<Duration>)> {
        let is_due = |(_, segment): &(usize, &Segment)| segment.direct_due() <= now;
        let (place, segment) = self.sendable().find(is_due)?;
        if segment.direct.sent == 0 || segment.lost {
            return Some((place, None));
        }
        let last = segment.direct.last;
        self.direct.timed_out();
        self.window = 1;
        // Segments sent before it are probably lost too. They follow as acknowledgements make room.
        for segment in &mut self.in_flight {
            segment.lost |= segment.direct.last <= last;
        }
        let (place, _) = self.sendable().find(is_due)?;
        Some((place, Some(last)))
    }

    fn next_relayed(&self, now: Duration, after: Duration) -> Option<usize> {
        let mut sendable = self.sendable();
        Some(sendable.find(|(_, segment)| segment.relay_due(after) <= now)?.0)
    }

    /// Marks acknowledged segments. Returns whether there were new ones; and, if a segment that was
    /// sent directly was answered through the relay, when it was sent directly.
    fn mark_received(&mut self, now: Duration, ack: Ack) -> (bool, Option<Duration>) {
        let (mut progress, mut overtaken) = (false, None);
        let unacknowledged = self
            .in_flight
            .iter_mut()
            .filter(|segment| segment.received.is_none());
        for segment in unacknowledged.filter(|segment| ack.covers(segment.number)) {
            let is_answer = ack.of == Some(segment.number);
            segment.received = Some(segment.received_by(ack.path, is_answer));
            progress = true;
            if is_answer && ack.path == Path::Relayed && segment.direct.sent > 0 {
                overtaken = Some(segment.direct.last);
            }
            let (copies, estimator) = match ack.path {
                Path::Direct => (&segment.direct, &mut self.direct),
                Path::Relayed => (&segment.relay, &mut self.relay),
            };
            // Karn's rule: after several copies by one path, the answer does not tell which of them
            // was received.
            if is_answer && copies.sent == 1 {
                estimator.measure(now.saturating_sub(copies.last));
            }
        }
        (progress, overtaken)
    }

    fn deliver(&mut self, now: Duration, segment: &Segment, path: Path, settled: &mut Vec<Settled>) {
        for Owner { id, since } in &segment.owners {
            // A message that failed already is not in the map.
            let Some(message) = self.messages.get_mut(id) else {
                continue;
            };
            message.parts_left -= 1;
            message.path = message.path.max(path);
            if message.parts_left == 0 {
                let (path, after) = (message.path, now.saturating_sub(*since));
                self.messages.remove(id);
                settled.push((*id, State::Delivered { path, after }));
            }
        }
    }

    /// Gives up on the messages in the first segments in flight and on the first queued parts.
    fn drop_first(&mut self, sent: usize, queued: usize, why: Why) -> Vec<Settled> {
        let sent = self.in_flight.drain(..sent).flat_map(|segment| segment.owners);
        let queued = self.queue.drain(..queued).map(|part| part.owner);
        let owners: Vec<Owner> = sent.chain(queued).collect();
        let mut settled = Vec::new();
        self.fail(&owners, why, &mut settled);
        settled
    }

    /// Settles messages with a part that will never be acknowledged. Their queued parts are
    /// dropped: the peer shows whole messages only.
    fn fail(&mut self, owners: &[Owner], why: Why, settled: &mut Vec<Settled>) {
        for Owner { id, .. } in owners {
            if let Some(message) = self.messages.remove(id) {
                if message.parts_left > 1 {
                    self.queue.retain(|part| part.owner.id != *id);
                }
                settled.push((*id, State::NotDelivered(why)));
            }
        }
    }
}

impl Segment {
    fn new(number: u64, now: Duration) -> Self {
        Self {
            number,
            started: now,
            ..Self::default()
        }
    }

    /// Short messages share a segment. A piece of a long one has a segment to itself, so that it
    /// can be dropped alone.
    fn has_room_for(&self, part: &QueuedPart) -> bool {
        let Some(first) = self.owners.first() else {
            return true;
        };
        let fits = self.parts.len() + part.bytes.len() <= PARTS_MAX;
        let is_recent = part.owner.since <= first.since + TOGETHER;
        fits && is_recent && !self.is_piece && !part.is_piece
    }

    fn add(&mut self, part: &QueuedPart) {
        self.parts.extend_from_slice(&part.bytes);
        self.owners.push(part.owner);
        self.is_piece = part.is_piece;
    }

    /// When its newest message was queued.
    fn since(&self) -> Duration {
        self.owners.last().map_or(self.started, |owner| owner.since)
    }

    fn direct_due(&self) -> Duration {
        if self.direct.sent == 0 || self.lost {
            self.started
        } else {
            self.direct.due
        }
    }

    fn relay_due(&self, relay_after: Duration) -> Duration {
        if self.relay.sent == 0 {
            self.started + relay_after
        } else {
            self.relay.due
        }
    }

    /// The path by which this segment arrived, given an ack that came by `path`. If a copy was
    /// relayed, only a direct answer to this very segment shows that it arrived directly.
    fn received_by(&self, path: Path, is_answer: bool) -> Path {
        let is_direct_answer = is_answer && path == Path::Direct && self.direct.sent > 0;
        if is_direct_answer || self.relay.sent == 0 {
            Path::Direct
        } else {
            Path::Relayed
        }
    }
}

impl Copies {
    fn count(&mut self, now: Duration, wait: Duration) {
        *self = Self {
            sent: self.sent + 1,
            last: now,
            due: now + wait,
        };
    }
}

impl Ack {
    /// Whether it acknowledges this segment.
    fn covers(&self, number: u64) -> bool {
        match number.checked_sub(self.cumulative) {
            None => true,
            Some(ahead @ 1..=64) => self.selective >> (ahead - 1) & 1 == 1,
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests;
