//! A segment: one datagram's worth of messages on their way to a peer.

use super::event::{MessageId, Path};
use super::packet::{PART_HEAD_LEN, PARTS_MAX, Part};
use std::time::Duration;

/// Messages that share a segment were written within this time: they are given up together.
const TOGETHER: Duration = Duration::from_millis(100);

/// A part that is in no segment yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) owner: Owner,
    pub(super) begins: bool,
    pub(super) ends: bool,
    pub(super) text: Vec<u8>,
}

/// Whose a part is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) id: MessageId,
    /// When the message was to be sent.
    pub(super) since: Duration,
    /// The message has other parts.
    pub(super) is_piece: bool,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) parts: Vec<u8>,
    /// Whose parts, in order. Never empty.
    pub(super) owners: Vec<Owner>,
    /// When it could first have been sent.
    pub(super) started: Duration,
    pub(super) direct: Copies,
    pub(super) relay: Copies,
    /// Given up on this copy because an earlier one timed out; to be sent again when there is room.
    pub(super) lost: bool,
    /// By which path it came, once the peer has said that it did.
    pub(super) came: Option<Path>,
}

/// What was sent of a segment by one path.
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
            parts: Vec::new(),
            owners: Vec::new(),
            started: now,
            direct: Copies::default(),
            relay: Copies::default(),
            lost: false,
            came: None,
        }
    }

    /// Short messages share a segment; a piece of a long one is alone in its, so that it can be refused alone.
    pub(super) fn has_room_for(&self, part: &Waiting) -> bool {
        let Some(first) = self.owners.first() else {
            return true;
        };
        let fits = self.parts.len() + PART_HEAD_LEN + part.text.len() <= PARTS_MAX;
        let is_of_its_time = part.owner.since <= first.since + TOGETHER;
        fits && is_of_its_time && !first.is_piece && !part.owner.is_piece
    }

    pub(super) fn add(&mut self, waiting: &Waiting) {
        let &Waiting {
            begins,
            ends,
            ref text,
            owner,
        } = waiting;
        Part { begins, ends, text }.write(&mut self.parts);
        self.owners.push(owner);
    }

    /// Since when its last message waits.
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

    /// By which path this came, seeing that an ack came by `path`, and whether that ack answers this very segment.
    /// Where a copy went through the server, only an answer that came directly shows that it went directly too.
    pub(super) fn came_by(&self, path: Path, answered: bool) -> Path {
        let answered_directly = answered && path == Path::Direct && self.direct.sent > 0;
        if answered_directly || self.relay.sent == 0 {
            Path::Direct
        } else {
            Path::Relayed
        }
    }
}

impl Copies {
    pub(super) fn count(&mut self, now: Duration, wait: Duration) {
        self.sent += 1;
        self.last = now;
        self.due = now + wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(length: usize, since_ms: u64, is_piece: bool) -> Waiting {
        Waiting {
            owner: Owner {
                id: MessageId(0),
                since: Duration::from_millis(since_ms),
                is_piece,
            },
            begins: true,
            ends: true,
            text: vec![b'x'; length],
        }
    }

    fn share(first: &Waiting, second: &Waiting) -> bool {
        let mut segment = Segment::new(0, Duration::ZERO);
        assert!(segment.has_room_for(first), "the first always fits");
        segment.add(first);
        segment.has_room_for(second)
    }

    #[test]
    fn messages_share_a_segment_up_to_its_last_byte() {
        let rest = PARTS_MAX - 2 * PART_HEAD_LEN - 300;
        assert!(share(&waiting(300, 0, false), &waiting(rest, 0, false)));
        assert!(!share(&waiting(300, 0, false), &waiting(rest + 1, 0, false)));
    }

    #[test]
    fn messages_that_share_a_segment_were_written_within_100_ms() {
        assert!(share(&waiting(1, 5000, false), &waiting(1, 5100, false)));
        assert!(!share(&waiting(1, 5000, false), &waiting(1, 5101, false)));
    }

    #[test]
    fn a_piece_of_a_long_text_is_alone_in_its_segment() {
        for (first, second) in [(true, false), (false, true), (true, true)] {
            assert!(!share(&waiting(1, 0, first), &waiting(1, 0, second)));
        }
    }

    #[test]
    fn where_a_copy_went_through_the_server_only_a_direct_answer_shows_that_it_came_directly() {
        let came_by = |direct, relay, path, answered| {
            let mut segment = Segment::new(0, Duration::ZERO);
            (segment.direct.sent, segment.relay.sent) = (direct, relay);
            segment.came_by(path, answered)
        };
        assert_eq!(came_by(1, 1, Path::Direct, true), Path::Direct);
        assert_eq!(came_by(1, 1, Path::Direct, false), Path::Relayed);
        assert_eq!(came_by(1, 1, Path::Relayed, true), Path::Relayed);
        assert_eq!(came_by(0, 1, Path::Direct, true), Path::Relayed);
        assert_eq!(came_by(1, 0, Path::Relayed, false), Path::Direct);
    }
}
