//! A segment: one datagram's worth of messages on their way to a peer.

use super::event::{MessageId, Path};
use super::packet::PARTS_MAX;
use std::time::Duration;

/// Messages share a segment only if they were sent within this time, because they expire together.
const TOGETHER: Duration = Duration::from_millis(100);

/// A part that is not in a segment yet.
#[derive(Debug)]
pub(super) struct QueuedPart {
    pub(super) owner: Owner,
    /// The message has other parts.
    pub(super) is_piece: bool,
    /// As it is encoded in a packet.
    pub(super) bytes: Vec<u8>,
}

/// The message to which a part belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) id: MessageId,
    /// When the message was queued.
    pub(super) since: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) parts: Vec<u8>,
    /// The owner of each part, in order. Never empty.
    pub(super) owners: Vec<Owner>,
    is_piece: bool,
    /// When it could first have been sent.
    pub(super) started: Duration,
    pub(super) direct: Copies,
    pub(super) relay: Copies,
    /// Considered lost because an earlier segment timed out; sent again when there is room.
    pub(super) lost: bool,
    /// The path by which it arrived, once the peer has acknowledged it.
    pub(super) received: Option<Path>,
}

/// The copies of a segment that were sent by one path.
#[derive(Debug, Default)]
pub(super) struct Copies {
    pub(super) sent: u32,
    pub(super) last: Duration,
    pub(super) due: Duration,
}

impl Segment {
    pub(super) fn new(number: u64, now: Duration) -> Self {
        Self {
            number,
            started: now,
            ..Self::default()
        }
    }

    /// Short messages share a segment. A piece of a long one has a segment to itself, so that it
    /// can be dropped alone.
    pub(super) fn has_room_for(&self, part: &QueuedPart) -> bool {
        let Some(first) = self.owners.first() else {
            return true;
        };
        let fits = self.parts.len() + part.bytes.len() <= PARTS_MAX;
        let is_recent = part.owner.since <= first.since + TOGETHER;
        fits && is_recent && !self.is_piece && !part.is_piece
    }

    pub(super) fn add(&mut self, part: &QueuedPart) {
        self.parts.extend_from_slice(&part.bytes);
        self.owners.push(part.owner);
        self.is_piece = part.is_piece;
    }

    /// When its newest message was queued.
    pub(super) fn since(&self) -> Duration {
        self.owners.last().map_or(self.started, |owner| owner.since)
    }

    pub(super) fn direct_due(&self) -> Duration {
        if self.direct.sent == 0 || self.lost {
            self.started
        } else {
            self.direct.due
        }
    }

    pub(super) fn relay_due(&self, relay_after: Duration) -> Duration {
        if self.relay.sent == 0 {
            self.started + relay_after
        } else {
            self.relay.due
        }
    }

    /// The path by which this segment arrived, given an ack that came by `path`. If a copy was
    /// relayed, only a direct answer to this very segment shows that it arrived directly.
    pub(super) fn received_by(&self, path: Path, is_answer: bool) -> Path {
        let is_direct_answer = is_answer && path == Path::Direct && self.direct.sent > 0;
        if is_direct_answer || self.relay.sent == 0 {
            Path::Direct
        } else {
            Path::Relayed
        }
    }
}

impl Copies {
    pub(super) fn count(&mut self, now: Duration, wait: Duration) {
        *self = Self {
            sent: self.sent + 1,
            last: now,
            due: now + wait,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(length: usize, since_ms: u64, is_piece: bool) -> QueuedPart {
        QueuedPart {
            owner: Owner {
                id: MessageId(0),
                since: Duration::from_millis(since_ms),
            },
            is_piece,
            bytes: vec![b'x'; length],
        }
    }

    fn share(first: &QueuedPart, second: &QueuedPart) -> bool {
        let mut segment = Segment::new(0, Duration::ZERO);
        assert!(segment.has_room_for(first), "the first always fits");
        segment.add(first);
        segment.has_room_for(second)
    }

    #[test]
    fn messages_share_a_segment_up_to_the_last_byte() {
        let rest = PARTS_MAX - 300;
        assert!(share(&part(300, 0, false), &part(rest, 0, false)));
        assert!(!share(&part(300, 0, false), &part(rest + 1, 0, false)));
    }

    #[test]
    fn messages_share_a_segment_if_sent_within_100_ms() {
        assert!(share(&part(1, 5000, false), &part(1, 5100, false)));
        assert!(!share(&part(1, 5000, false), &part(1, 5101, false)));
    }

    #[test]
    fn a_piece_of_a_long_message_has_its_own_segment() {
        for (first, second) in [(true, false), (false, true), (true, true)] {
            assert!(!share(&part(1, 0, first), &part(1, 0, second)));
        }
    }

    #[test]
    fn after_a_relayed_copy_only_a_direct_answer_counts_as_direct() {
        let received_by = |direct, relay, path, answered| {
            let mut segment = Segment::new(0, Duration::ZERO);
            (segment.direct.sent, segment.relay.sent) = (direct, relay);
            segment.received_by(path, answered)
        };
        assert_eq!(received_by(1, 1, Path::Direct, true), Path::Direct);
        assert_eq!(received_by(1, 1, Path::Direct, false), Path::Relayed);
        assert_eq!(received_by(1, 1, Path::Relayed, true), Path::Relayed);
        assert_eq!(received_by(0, 1, Path::Direct, true), Path::Relayed);
        assert_eq!(received_by(1, 0, Path::Relayed, false), Path::Direct);
    }
}
