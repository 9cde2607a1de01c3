//! The bulk channel of a peer: bytes of files, beside the conversation.
//!
//! It carries pieces, each in a packet of its own. It retransmits nothing: the caller learns which pieces were
//! acknowledged and which were lost. A piece is acknowledged only after the peer's caller has received it.
//!
//! **Credit.** A receiver holds a limited number of bytes for its caller, until the caller has consumed them. Each ack
//! tells how many more there is room for, beyond the packets that it acknowledges. A packet without room is dropped
//! and not acknowledged, so the limit holds against any peer.

use super::flow::{Acked, DATAGRAM, Flow};
use super::packet::{BulkAck, RANGES_MAX};
use super::path::Source;
use crate::files::piece::Piece;
use std::time::Duration;

/// Bytes that a peer may send before the first ack tells its credit: the smallest default of a socket's buffer holds
/// that.
pub(super) const CREDIT_FIRST: u64 = 64 * 1024;

/// More credit than this is not used, so that a peer can't make this client keep much in flight.
const CREDIT_MAX: u64 = 4 << 20;

/// Packets after which an ack is sent, and how long one is held back at most.
const ACK_EVERY: u32 = 8;
const ACK_DELAY: Duration = Duration::from_millis(5);

/// The same for packets that were relayed. An ack is a line to the server.
const RELAYED_ACK_DELAY: Duration = Duration::from_millis(250);

/// Ranges of received numbers that are remembered.
const RANGES_KEPT: usize = 4 * RANGES_MAX;

/// Without credit, the peer is asked for it in these intervals: an ack that gave some may be lost.
const ASK_FIRST: Duration = Duration::from_millis(200);
const ASK_MAX: Duration = Duration::from_secs(5);

/// The caller is woken for the next piece not sooner than this, for several pieces if the flow is fast.
const WAKE_MIN: Duration = Duration::from_millis(1);

/// An older client drops the question whether it knows these packets, and a datagram may be lost: so it is asked again.
const ASK_ABLE_AFTER: Duration = Duration::from_millis(500);

/// Pieces that may be sent in one turn.
const TURN_MAX: u64 = 32;

/// Both directions.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) outgoing: Outgoing,
    pub(super) incoming: Incoming,
    /// The peer's client knows these packets.
    pub(super) is_able: bool,
    /// When it was asked for that, and how long after that it may be again.
    asked_able: Option<(Duration, Duration)>,
}

/// The pieces that this side sends.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// A piece without bytes asks for credit.
    flow: Flow<Piece>,
    /// How packets go now.
    way: Option<Source>,
    credit: u64,
    /// One past the number of the newest ack.
    acks_end: u64,
    /// The caller waits for the pace until then.
    wake: Option<Duration>,
    /// The caller waits for credit.
    is_starved: bool,
    asked: Duration,
    ask_pause: Duration,
}

/// The pieces that arrive.
///
/// Invariants: `ranges` are disjoint and not adjacent, the highest first, all above `floor`; `held` is at most the
/// window that the caller has set.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    ranges: Vec<(u64, u64)>,
    /// Packets before this one are dropped, because it was forgotten which of them arrived.
    floor: u64,
    /// When the highest one arrived.
    largest_at: Duration,
    /// Packets since the last ack.
    unacked: u32,
    ack_at: Option<Duration>,
    /// When the last ack was sent.
    acked: Option<Duration>,
    /// How the last one came.
    from: Option<Source>,
    /// Bytes that the caller has not consumed.
    held: u64,
    /// Bytes for which the peer knows that there is room.
    told: u64,
}

impl Channel {
    /// Whether to ask if the peer's client knows these packets.
    pub(super) fn should_ask_able(&mut self, now: Duration) -> bool {
        let pause = match self.asked_able {
            Some((at, pause)) if now < at + pause => return false,
            // A question of an earlier try does not count.
            Some((at, pause)) if now < at + 4 * pause => 2 * pause,
            _ => ASK_ABLE_AFTER,
        };
        let should = !self.is_able && self.outgoing.way.is_some();
        if should {
            self.asked_able = Some((now, pause));
        }
        should
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let deadlines = [self.outgoing.deadline(), self.incoming.ack_at];
        deadlines.into_iter().flatten().min()
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self {
            flow: Flow::default(),
            way: None,
            credit: CREDIT_FIRST,
            acks_end: 0,
            wake: None,
            is_starved: false,
            asked: Duration::ZERO,
            ask_pause: ASK_FIRST,
        }
    }
}

impl Outgoing {
    /// Packets go this way from now on. If it is another one, all that is in flight is lost.
    pub(super) fn take_way(&mut self, way: Option<Source>, lost: &mut Vec<Piece>) {
        if self.way == way {
            return;
        }
        self.way = way;
        self.wake = None;
        let is_relayed = matches!(way, Some(Source::Relay));
        self.flow.restart(is_relayed, |piece| note(piece, lost));
    }

    pub(super) fn way(&self) -> Option<Source> {
        self.way
    }

    /// Whether anything is neither acknowledged nor lost.
    pub(super) fn is_busy(&self) -> bool {
        self.flow.in_flight() > 0
    }

    /// How many pieces may be sent now. If none, and that changes with time, the caller is woken then. `relay_free`: when the
    /// server may be given the next piece, for whomever.
    pub(super) fn room(&mut self, now: Duration, relay_free: Duration) -> usize {
        let free = match self.way {
            None => return 0,
            Some(Source::Relay) => relay_free,
            Some(Source::Address(_)) => Duration::ZERO,
        };
        let by_credit = self.room_by_credit();
        self.is_starved = by_credit == 0;
        let by_flow = if free > now { 0 } else { self.flow.room(now) };
        let room = by_flow.min(by_credit).min(TURN_MAX);
        let next = self.next_room(now).map(|at| at.max(free));
        self.wake = next.filter(|_| room == 0);
        usize::try_from(room).unwrap_or(0)
    }

    /// When time alone makes room for the next piece.
    fn next_room(&self, now: Duration) -> Option<Duration> {
        let at = self.flow.may_send_at().filter(|_| self.room_by_credit() > 0)?;
        Some(if at > now { at.max(now + WAKE_MIN) } else { now })
    }

    fn room_by_credit(&self) -> u64 {
        self.credit.saturating_sub(self.flow.in_flight()) / DATAGRAM
    }

    /// A piece is sent, in a datagram of so many bytes. Returns the packet's number. The caller may have more, for which it
    /// is woken.
    pub(super) fn sent(&mut self, now: Duration, piece: Piece, bytes: usize) -> u64 {
        let number = self.flow.sent(now, length(bytes), piece);
        self.wake = self.next_room(now);
        number
    }

    /// Whether the caller was asked to wait for credit for long enough to ask for it.
    pub(super) fn should_ask(&mut self, now: Duration) -> bool {
        if self.ask_at().is_none_or(|at| at > now) {
            return false;
        }
        self.is_starved = false;
        self.asked = now;
        self.ask_pause = (self.ask_pause * 2).min(ASK_MAX);
        true
    }

    fn ask_at(&self) -> Option<Duration> {
        let is_due = self.is_starved && self.way.is_some() && !self.is_busy();
        is_due.then(|| self.asked + self.ask_pause)
    }

    /// Appends the pieces that are acknowledged now. Returns whether the peer has received something that was in
    /// flight on this way.
    pub(super) fn acknowledged(&mut self, now: Duration, ack: &BulkAck, done: &mut Vec<Piece>) -> bool {
        let acked = Acked {
            delay: Duration::from_micros(ack.delay.into()),
            ranges: &ack.ranges,
        };
        let any = self.flow.acknowledged(now, &acked, |piece| note(piece, done));
        if ack.number >= self.acks_end {
            self.acks_end = ack.number + 1;
            self.credit = u64::from(ack.credit).min(CREDIT_MAX);
            self.asked = now;
            if self.room_by_credit() > 0 {
                self.is_starved = false;
                self.ask_pause = ASK_FIRST;
            }
        }
        any
    }

    /// Appends the pieces that are lost by now. If an address does not answer, returns when something was last sent there.
    pub(super) fn lose(&mut self, now: Duration, lost: &mut Vec<Piece>) -> Option<Duration> {
        let silent = self.flow.lose(now, |piece| note(piece, lost));
        if self.wake.is_some_and(|at| at <= now) {
            self.wake = None;
        }
        silent.filter(|_| matches!(self.way, Some(Source::Address(_))))
    }

    fn deadline(&self) -> Option<Duration> {
        let deadlines = [self.flow.deadline(), self.wake, self.ask_at()];
        deadlines.into_iter().flatten().min()
    }
}

impl Incoming {
    /// A packet arrived with so many bytes of a file. Returns whether they are for the caller: they are new, and there
    /// is room for them in the window.
    pub(super) fn receive(
        &mut self,
        now: Duration,
        from: Source,
        number: u64,
        bytes: usize,
        window: u64,
    ) -> bool {
        self.from = Some(from);
        let bytes = length(bytes);
        let has_room = self.held + bytes <= window;
        let is_new = has_room && self.mark(now, number);
        if is_new {
            self.held += bytes;
            self.told = self.told.saturating_sub(bytes);
        }
        self.unacked += 1;
        // A packet without bytes asks for credit; one without room comes from a peer that does not know it.
        let is_urgent = bytes == 0 || !has_room || self.unacked >= ACK_EVERY;
        let delay = match from {
            _ if is_urgent => Duration::ZERO,
            Source::Address(_) => ACK_DELAY,
            Source::Relay => RELAYED_ACK_DELAY,
        };
        let at = self.ack_at.map_or(now + delay, |at| at.min(now + delay));
        self.ack_at = Some(at);
        is_new && bytes > 0
    }

    /// The caller has done with so many bytes.
    pub(super) fn consumed(&mut self, now: Duration, bytes: u64, window: u64) {
        self.held = self.held.saturating_sub(bytes);
        let room = window.saturating_sub(self.held);
        // The peer may wait for it.
        if self.from.is_some() && self.told < window / 2 && room >= self.told + window / 4 {
            self.ack_at = Some(now);
        }
    }

    /// The peer has left. The caller drops what it holds.
    pub(super) fn leave(&mut self) {
        // All that is still under way is lost.
        if let Some(&(first, _)) = self.ranges.first() {
            self.floor = self.floor.max(first);
            self.ranges.truncate(1);
            self.ranges.shrink_to_fit();
        }
        self.held = 0;
        self.ack_at = None;
        self.from = None;
    }

    /// The ack, if it is due, and how it goes.
    pub(super) fn ack(&mut self, now: Duration, number: u64, window: u64) -> Option<(Source, BulkAck)> {
        self.ack_at.filter(|at| *at <= now)?;
        self.ack_at = None;
        let from = self.from?;
        // A peer must not use up this client's lines, whatever it asks for.
        let next = self.acked.map(|acked| acked + RELAYED_ACK_DELAY);
        if let Some(next) = next.filter(|next| from == Source::Relay && *next > now) {
            self.ack_at = Some(next);
            return None;
        }
        self.unacked = 0;
        self.acked = Some(now);
        self.told = window.saturating_sub(self.held);
        // Without room for the first packet there is nothing to acknowledge; the peer sends it again in time.
        self.ranges.first()?;
        let delay = now.saturating_sub(self.largest_at).as_micros();
        let ack = BulkAck {
            number,
            credit: u32::try_from(self.told).unwrap_or(u32::MAX),
            delay: u32::try_from(delay).unwrap_or(u32::MAX),
            ranges: self.ranges.iter().take(RANGES_MAX).copied().collect(),
        };
        Some((from, ack))
    }

    /// Notes that a packet arrived. Returns whether it is new.
    fn mark(&mut self, now: Duration, number: u64) -> bool {
        if number < self.floor {
            return false;
        }
        let place = self.ranges.partition_point(|(first, _)| *first > number);
        if self.ranges.get(place).is_some_and(|(_, last)| number <= *last) {
            return false;
        }
        if place == 0 {
            self.largest_at = now;
        }
        self.insert(place, number);
        true
    }

    /// `place` is that of the first range below the number.
    fn insert(&mut self, place: usize, number: u64) {
        let joins_below = self.ranges.get(place).is_some_and(|(_, last)| last + 1 == number);
        let above = place.checked_sub(1);
        let above = above.filter(|&above| {
            self.ranges
                .get(above)
                .is_some_and(|(first, _)| *first == number + 1)
        });
        match (above, joins_below) {
            (Some(above), true) => {
                let (first, _) = self.ranges.remove(place);
                self.ranges
                    .get_mut(above)
                    .into_iter()
                    .for_each(|range| range.0 = first);
            }
            (Some(above), false) => self
                .ranges
                .get_mut(above)
                .into_iter()
                .for_each(|range| range.0 = number),
            (None, true) => self
                .ranges
                .get_mut(place)
                .into_iter()
                .for_each(|range| range.1 = number),
            (None, false) => self.ranges.insert(place, (number, number)),
        }
        if self.ranges.len() > RANGES_KEPT
            && let Some((_, last)) = self.ranges.pop()
        {
            self.floor = last + 1;
        }
    }
}

/// A piece without bytes is none of the caller's.
fn note(piece: Piece, pieces: &mut Vec<Piece>) {
    if piece.length > 0 {
        pieces.push(piece);
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
