//! How fast bulk packets are sent, and which of them are lost: RFC 9002 with a limit on delay.
//!
//! The window is NewReno's. If packets wait in a queue on the path for too long, the window shrinks until that queue is
//! empty, so that the conversation beside it stays fast.
//!
//! Through the relay the rate and the window are fixed: it is a chain of two TCP connections, and limits lines.

use std::collections::VecDeque;
use std::time::Duration;

/// Bytes of a datagram.
pub(super) const DATAGRAM: u64 = super::packet::DATAGRAM_MAX as u64;

/// The congestion window at first, and the smallest one.
const WINDOW_FIRST: u64 = 10 * DATAGRAM;
const WINDOW_MIN: u64 = 4 * DATAGRAM;

/// Packets that arrive after a missing one until it counts as lost (RFC 9002, 6.1.1); and the most to which
/// packets that arrive late raise it.
const REORDERING: u64 = 3;
const REORDERING_MAX: u64 = 64;

/// Packets before the first unacknowledged one that may still arrive late.
const GIVEN_UP_MAX: usize = 1024;

/// For how long a lost packet may arrive late, if round trips are short.
const LATE_AT_MOST: Duration = Duration::from_secs(4);

/// The clock's granularity (RFC 9002, 6.1.2).
const GRANULARITY: Duration = Duration::from_millis(1);

/// A queue longer than this, in time, shrinks the window.
const QUEUE_MAX: Duration = Duration::from_millis(30);

/// The same while the window doubles in a round trip.
const QUEUE_MAX_AT_START: Duration = Duration::from_millis(12);

/// It shrinks to this part at least, in thousandths, and to that at most.
const SHRUNK_MIN: u64 = 300;
const SHRUNK_MAX: u64 = 850;

/// A loss with a smaller queue than this is chance, not congestion.
const QUEUE_LOW: Duration = Duration::from_millis(5);

/// How long the smallest round trip counts.
const MIN_RTT_FOR: Duration = Duration::from_secs(10);

/// The probe timeout does not grow beyond this, or a lossy path would stand still.
const PROBE_MAX: Duration = Duration::from_secs(3);

/// The probe timeout doubles this often at most. After that many, all that is in flight is lost at once.
const BACKOFF_MAX: u32 = 5;

/// After so many probe timeouts the window is the smallest: persistent congestion (RFC 9002, 7.6).
const PERSISTENT: u32 = 3;

/// A path that is silent for so long may be dead. A peer may be busy for shorter.
const SILENT_AFTER: Duration = Duration::from_secs(1);

/// What waiting packets may catch up if the caller was late.
const BURST_FOR: Duration = Duration::from_millis(2);

/// Through the relay: half of what a server accepts in a second by default, and packets in flight at most.
pub(super) const RELAY_GAP: Duration = Duration::from_millis(40);
const RELAY_WINDOW: u64 = 24 * DATAGRAM;

/// How long the peer holds an ack back at most: directly, with some time for a busy host; and through the relay.
const DIRECT_DELAY: Duration = Duration::from_millis(25);
const RELAY_DELAY: Duration = Duration::from_millis(400);

/// The packets that are under way to one peer.
///
/// Invariants: `flight` has the numbers before `next` without a gap, and begins with one that is not acknowledged;
/// `bytes` is the sum of those that are not.
#[derive(Debug)]
pub(super) struct Flow<T> {
    flight: VecDeque<InFlight<T>>,
    bytes: u64,
    /// The number of the next packet. It never restarts.
    next: u64,
    largest: Option<u64>,
    rtt: Rtt,
    window: Window,
    is_relayed: bool,
    /// When the pace allows the next packet.
    paced: Duration,
    /// Lost packets, with when they were sent: one that arrives after all widens both limits.
    given_up: VecDeque<(u64, Duration)>,
    reordering: u64,
    /// The time limit of a loss, in eighths of a round trip.
    eighths: u32,
    probes: u32,
    /// When something was last acknowledged or lost. The probe timeout begins then at the earliest.
    moved: Duration,
    /// When something was last acknowledged, or first sent.
    answered: Duration,
}

/// What a peer acknowledges.
#[derive(Debug)]
pub(super) struct Acked<'a> {
    /// How long it held the ack back.
    pub(super) delay: Duration,
    /// The numbers that arrived, first and last, the highest first.
    pub(super) ranges: &'a [(u64, u64)],
}

#[derive(Debug)]
struct InFlight<T> {
    at: Duration,
    bytes: u64,
    /// `None` once it is acknowledged.
    what: Option<T>,
}

/// The round trip times of a path.
#[derive(Debug, Default)]
struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
    latest: Duration,
    /// The last ones.
    recent: [Duration; 4],
    count: usize,
    /// The smallest of this period of [`MIN_RTT_FOR`] and of the one before; and when this one began.
    least: [Duration; 2],
    since: Duration,
}

/// NewReno (RFC 9002, 7) with a limit on the delay that it adds.
#[derive(Debug)]
struct Window {
    bytes: u64,
    threshold: u64,
    /// Packets sent until then belong to a round trip that shrank the window already.
    shrunk: Option<Duration>,
}

impl<T> Default for Flow<T> {
    fn default() -> Self {
        Self {
            flight: VecDeque::new(),
            bytes: 0,
            next: 0,
            largest: None,
            rtt: Rtt::default(),
            window: Window::default(),
            is_relayed: false,
            paced: Duration::ZERO,
            given_up: VecDeque::new(),
            reordering: REORDERING,
            eighths: 9,
            probes: 0,
            moved: Duration::ZERO,
            answered: Duration::ZERO,
        }
    }
}

impl<T> Flow<T> {
    /// Another path is in use: measurements start anew, and all packets in flight are lost. The numbers continue.
    pub(super) fn restart(&mut self, is_relayed: bool, lost: impl FnMut(T)) {
        let before = std::mem::take(self);
        self.next = before.next;
        self.is_relayed = is_relayed;
        let flight = before.flight.into_iter().filter_map(|packet| packet.what);
        flight.for_each(lost);
    }

    /// Bytes that are neither acknowledged nor lost.
    pub(super) fn in_flight(&self) -> u64 {
        self.bytes
    }

    /// How many packets may be sent now.
    pub(super) fn room(&self, now: Duration) -> u64 {
        if self.paced > now {
            return 0;
        }
        let by_window = self.window_bytes().saturating_sub(self.bytes) / DATAGRAM;
        let since = now.saturating_sub(self.paced).min(self.burst_for());
        let by_pace = since.as_nanos() / self.gap(DATAGRAM).as_nanos().max(1) + 1;
        by_window.min(u64::try_from(by_pace).unwrap_or(u64::MAX))
    }

    /// When one more packet may be sent. `None`: not before an ack or a loss.
    pub(super) fn may_send_at(&self) -> Option<Duration> {
        (self.bytes + DATAGRAM <= self.window_bytes()).then_some(self.paced)
    }

    /// A packet is sent, in a datagram of so many bytes. Returns its number.
    pub(super) fn sent(&mut self, now: Duration, bytes: u64, what: T) -> u64 {
        let number = self.next;
        self.next += 1;
        if self.flight.is_empty() && self.probes == 0 {
            self.answered = now;
        }
        self.bytes += bytes;
        self.flight.push_back(InFlight {
            at: now,
            bytes,
            what: Some(what),
        });
        self.paced = self.paced.max(now.saturating_sub(self.burst_for())) + self.gap(bytes);
        number
    }

    /// Calls `done` for each packet that is acknowledged now and was not before. Returns whether there were any, or lost
    /// ones that have arrived after all.
    pub(super) fn acknowledged(&mut self, now: Duration, acked: &Acked<'_>, mut done: impl FnMut(T)) -> bool {
        let Some(&(_, largest)) = acked.ranges.first().filter(|(_, last)| *last < self.next) else {
            return false;
        };
        let base = self.base();
        let sent = self.sent_at(largest);
        let late = self.arrived_late(now, acked.ranges);
        if let Some(sent) = sent {
            let delay = acked.delay.min(self.ack_delay());
            self.rtt.sample(now, now.saturating_sub(sent), delay);
        }
        // A window that is not used does not grow.
        let is_full = self.bytes + 2 * DATAGRAM > self.window.bytes;
        let mut any = false;
        for &(first, last) in acked.ranges.iter().rev().filter(|(_, last)| *last >= base) {
            let places = place(first.saturating_sub(base))..place(last - base + 1);
            for packet in self.flight.range_mut(places) {
                let Some(what) = packet.what.take() else {
                    continue;
                };
                self.bytes -= packet.bytes;
                if is_full || self.window.is_starting() && self.bytes * 2 > self.window.bytes {
                    self.window.acknowledged(now, packet.bytes, packet.at, &self.rtt);
                }
                any = true;
                done(what);
            }
        }
        self.drop_acknowledged();
        if any {
            self.largest = self.largest.max(Some(largest));
            self.moved = now;
        }
        if any || late {
            self.probes = 0;
            self.answered = now;
        }
        any || late
    }

    /// Calls `lost` for each packet that counts as lost from now on. If nothing was acknowledged for very long, returns
    /// when the last one was sent.
    pub(super) fn lose(&mut self, now: Duration, mut lost: impl FnMut(T)) -> Option<Duration> {
        let limit = self.loss_limit();
        let mut any = false;
        while let Some(front) = self.flight.front() {
            let (number, sent) = (self.base(), front.at);
            let is_lost = self.largest.is_some_and(|largest| {
                number < largest && (number + self.reordering <= largest || sent + limit <= now)
            });
            if front.what.is_some() && !is_lost {
                break;
            }
            if front.what.is_some() {
                self.window.lost(now, sent, &self.rtt);
                any = true;
            }
            self.give_up_first(&mut lost);
        }
        if any {
            self.moved = now;
        } else if self.probe_at().is_some_and(|at| at <= now) {
            let last = self.flight.back().map(|packet| packet.at);
            self.probe(now, lost);
            return last.filter(|_| now >= self.answered + SILENT_AFTER);
        }
        None
    }

    /// When [`Self::lose`] may have something.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let first = self.flight.front()?;
        let overtaken = self.largest.is_some_and(|largest| self.base() < largest);
        let by_time = overtaken.then(|| first.at + self.loss_limit());
        by_time.into_iter().chain(self.probe_at()).min()
    }

    /// Nothing was acknowledged for long: two packets count as lost. In place of them, two may be sent. In the end all are
    /// lost, so that the caller learns the result.
    fn probe(&mut self, now: Duration, mut lost: impl FnMut(T)) {
        self.probes += 1;
        self.moved = now;
        let count = match self.probes > BACKOFF_MAX {
            true => self.flight.len(),
            false => 2,
        };
        for _ in 0..count {
            self.give_up_first(&mut lost);
        }
        self.drop_acknowledged();
        if self.probes == PERSISTENT {
            self.window.bytes = WINDOW_MIN;
            self.window.shrunk = Some(now);
        }
    }

    fn give_up_first(&mut self, lost: &mut impl FnMut(T)) {
        let number = self.base();
        let Some(packet) = self.flight.pop_front() else {
            return;
        };
        let Some(what) = packet.what else {
            return;
        };
        self.bytes -= packet.bytes;
        if self.given_up.len() >= GIVEN_UP_MAX {
            self.given_up.pop_front();
        }
        self.given_up.push_back((number, packet.at));
        lost(what);
    }

    fn drop_acknowledged(&mut self) {
        while self.flight.front().is_some_and(|packet| packet.what.is_none()) {
            self.flight.pop_front();
        }
    }

    /// Packets that counted as lost have arrived: the limits were too narrow (RFC 9002, 6.1.1 and 6.1.2). Returns whether
    /// there were any.
    fn arrived_late(&mut self, now: Duration, ranges: &[(u64, u64)]) -> bool {
        let horizon = now.saturating_sub((self.rtt.smoothed() * 4).max(LATE_AT_MOST));
        while self.given_up.front().is_some_and(|(_, at)| *at < horizon) {
            self.given_up.pop_front();
        }
        if self.given_up.is_empty() {
            return false;
        }
        let largest = self.largest.unwrap_or(0);
        let (mut late, mut gap) = (false, 0);
        self.given_up.retain(|&(number, _)| {
            let place = ranges.partition_point(|(first, _)| *first > number);
            let has_arrived = ranges.get(place).is_some_and(|(_, last)| number <= *last);
            if has_arrived {
                late = true;
                gap = gap.max(largest.saturating_sub(number));
            }
            !has_arrived
        });
        if late {
            self.reordering = self.reordering.max((gap + 1).min(REORDERING_MAX));
            self.eighths = (self.eighths + 1).min(16);
        }
        late
    }

    /// The number of the first packet in `flight`.
    fn base(&self) -> u64 {
        self.next - u64::try_from(self.flight.len()).unwrap_or(u64::MAX)
    }

    /// When a packet was sent that is not acknowledged, even if it counts as lost: the round trip may be longer than
    /// was known.
    fn sent_at(&self, number: u64) -> Option<Duration> {
        let Some(ahead) = number.checked_sub(self.base()) else {
            let lost = self.given_up.iter().rev().find(|(lost, _)| *lost == number);
            return lost.map(|(_, at)| *at);
        };
        let packet = self.flight.get(place(ahead))?;
        packet.what.as_ref().map(|_| packet.at)
    }

    fn window_bytes(&self) -> u64 {
        match self.is_relayed && self.probes < PERSISTENT {
            true => RELAY_WINDOW,
            false => self.window.bytes,
        }
    }

    /// The time for so many bytes: 1.25 windows go in a round trip. The first window goes at once.
    fn gap(&self, bytes: u64) -> Duration {
        if self.is_relayed {
            return RELAY_GAP;
        }
        if self.rtt.smoothed.is_none() {
            return Duration::ZERO;
        }
        let nanos = u64::try_from(self.rtt.smoothed().as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos.saturating_mul(bytes * 4) / (self.window.bytes * 5))
    }

    fn burst_for(&self) -> Duration {
        if self.is_relayed {
            Duration::ZERO
        } else {
            BURST_FOR
        }
    }

    fn ack_delay(&self) -> Duration {
        if self.is_relayed {
            RELAY_DELAY
        } else {
            DIRECT_DELAY
        }
    }

    fn loss_limit(&self) -> Duration {
        (self.rtt.smoothed().max(self.rtt.latest) * self.eighths / 8).max(GRANULARITY)
    }

    fn probe_at(&self) -> Option<Duration> {
        let last = self.flight.back()?;
        let timeout = self.rtt.probe_timeout() + self.ack_delay();
        let backoff = timeout * (1 << self.probes.min(BACKOFF_MAX));
        Some(last.at.max(self.moved) + backoff.min(PROBE_MAX.max(timeout)))
    }
}

impl Rtt {
    /// The round trip time before the first sample (RFC 9002, 6.2.2).
    const FIRST: Duration = Duration::from_millis(333);

    fn sample(&mut self, now: Duration, rtt: Duration, delay: Duration) {
        let is_first = self.smoothed.is_none();
        if is_first || now >= self.since + MIN_RTT_FOR {
            let before = if is_first { rtt } else { self.least[0] };
            self.least = [rtt, before];
            self.since = now;
        }
        self.least[0] = self.least[0].min(rtt);
        let least = self.least();
        let rtt = if rtt >= least + delay { rtt - delay } else { rtt };
        self.latest = rtt;
        if let Some(oldest) = self.recent.get_mut(self.count % 4) {
            *oldest = rtt;
        }
        self.count += 1;
        let Some(smoothed) = self.smoothed else {
            self.smoothed = Some(rtt);
            self.variation = rtt / 2;
            return;
        };
        self.variation = (self.variation * 3 + smoothed.abs_diff(rtt)) / 4;
        self.smoothed = Some((smoothed * 7 + rtt) / 8);
    }

    fn least(&self) -> Duration {
        self.least[0].min(self.least[1])
    }

    fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or(Self::FIRST)
    }

    /// How long packets wait in queues on the way.
    fn queue(&self) -> Duration {
        self.smoothed().saturating_sub(self.least())
    }

    /// How long each of the last few waited at least. This notices a queue sooner.
    fn recent_queue(&self) -> Duration {
        let recent = self.recent.iter().min().copied().unwrap_or_default();
        recent.saturating_sub(self.least())
    }

    fn probe_timeout(&self) -> Duration {
        self.smoothed() + (self.variation * 4).max(GRANULARITY)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            bytes: WINDOW_FIRST,
            threshold: u64::MAX,
            shrunk: None,
        }
    }
}

impl Window {
    /// It doubles in a round trip.
    fn is_starting(&self) -> bool {
        self.bytes < self.threshold
    }

    fn acknowledged(&mut self, now: Duration, bytes: u64, sent: Duration, rtt: &Rtt) {
        if self.is_of_shrunk(sent) {
            return;
        }
        let is_queue_long = rtt.queue() > QUEUE_MAX;
        if is_queue_long || self.is_starting() && rtt.recent_queue() > QUEUE_MAX_AT_START {
            let round = rtt.smoothed().max(rtt.latest).as_micros().max(1);
            let empty = u64::try_from(rtt.least().as_micros() * 1000 / round).unwrap_or(SHRUNK_MAX);
            self.shrink(now, empty.clamp(SHRUNK_MIN, SHRUNK_MAX));
        } else if self.is_starting() {
            self.bytes += bytes;
        } else {
            self.bytes += DATAGRAM * bytes / self.bytes;
        }
    }

    fn lost(&mut self, now: Duration, sent: Duration, rtt: &Rtt) {
        if !self.is_of_shrunk(sent) {
            self.shrink(now, if rtt.queue() < QUEUE_LOW { 800 } else { 500 });
        }
    }

    fn is_of_shrunk(&self, sent: Duration) -> bool {
        self.shrunk.is_some_and(|shrunk| sent <= shrunk)
    }

    fn shrink(&mut self, now: Duration, thousandths: u64) {
        self.bytes = (self.bytes * thousandths / 1000).max(WINDOW_MIN);
        self.threshold = self.bytes;
        self.shrunk = Some(now);
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
