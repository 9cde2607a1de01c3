//! The receiving side of one user.

use crate::audit::Audit;
use crate::dialect::{Dialect, Line};
use crate::line::split_line;
use crate::tally::Tally;

/// The receiving side of one user.
#[derive(Debug, Default)]
pub struct Reader {
    stage: Stage,
    /// The incomplete line.
    partial: Vec<u8>,
    /// The joins received, including its own.
    pub joins: u64,
}

#[derive(Debug)]
enum Stage {
    /// No messages are sent yet. The flag says whether the history has ended.
    Arriving { live: bool },
    /// It receives the bytes of the record, and is at this position.
    Follows(Place),
    /// It receives different bytes, so every line is parsed.
    Alone(Tally),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Arriving { live: false }
    }
}

/// A position in the record.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    offset: u64,
    /// The number of the next mark.
    mark: u64,
    /// Bytes that arrived without being opened, and are not on the record yet.
    unopened: u64,
}

impl Reader {
    /// Begins the phase of messages.
    pub fn start(&mut self, dialect: Dialect) {
        self.stage = if dialect.is_common() {
            Stage::Follows(Place::default())
        } else {
            Stage::Alone(Tally::default())
        };
    }

    /// Receives bytes. Answers go to `replies`.
    pub fn receive(&mut self, now: u64, mut bytes: &[u8], audit: &mut Audit, replies: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if !self.partial.is_empty() {
                let mut line = std::mem::take(&mut self.partial);
                let Some((end, rest)) = split_line(bytes) else {
                    line.extend_from_slice(bytes);
                    self.partial = line;
                    return;
                };
                line.extend_from_slice(end);
                self.take_line(now, &line, audit, replies);
                line.clear();
                self.partial = line;
                bytes = rest;
            } else if self.follow(now, &mut bytes, audit) {
                // The bytes to parse are in `partial` now, or still in `bytes`.
            } else if let Some((line, rest)) = split_line(bytes) {
                self.take_line(now, line, audit, replies);
                bytes = rest;
            } else {
                self.partial.extend_from_slice(bytes);
                return;
            }
        }
    }

    /// Bytes arrived which are not opened. They are taken to be those of the record.
    pub fn skip(&mut self, now: u64, count: usize, audit: &mut Audit) {
        if let Stage::Follows(place) = &mut self.stage {
            place.unopened += count as u64;
            let length = place.unopened.min(audit.record.head() - place.offset);
            place.unopened -= length;
            place.advance(now, length, audit);
        }
    }

    /// Whether more has arrived than is on the record.
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        matches!(&self.stage, Stage::Follows(place) if place.unopened > 0)
    }

    /// Skips the bytes that are equal to the record. Returns whether there were any.
    fn follow(&mut self, now: u64, bytes: &mut &[u8], audit: &mut Audit) -> bool {
        let Stage::Follows(place) = &mut self.stage else {
            return false;
        };
        let held = audit.record.from(place.offset).unwrap_or_default();
        let length = held.len().min(bytes.len());
        let Some((same, rest)) = bytes.split_at_checked(length).filter(|_| length > 0) else {
            return false;
        };
        if held.get(..length) == Some(same) {
            *bytes = rest;
            place.advance(now, length as u64, audit);
            return true;
        }
        // Go back to the beginning of the line that differs, and parse from there.
        let equal = same
            .iter()
            .zip(held)
            .take_while(|(here, there)| here == there)
            .count();
        let whole = same.get(..equal).unwrap_or_default();
        if let Some(end) = whole.iter().rposition(|&byte| byte == b'\n') {
            place.advance(now, end as u64 + 1, audit);
            *bytes = bytes.get(end + 1..).unwrap_or_default();
            return true;
        }
        let begun = audit.record.begun(place.offset).unwrap_or_default();
        if begun.is_empty() {
            return false;
        }
        self.partial.extend_from_slice(begun);
        place.offset -= begun.len() as u64;
        audit.followed -= begun.len() as u64;
        true
    }

    /// Handles one line.
    fn take_line(&mut self, now: u64, line: &[u8], audit: &mut Audit, replies: &mut Vec<u8>) {
        let meaning = audit.dialect.read(line);
        if let Line::Ping(ping) = meaning {
            audit.dialect.pong(ping, replies);
        }
        match &mut self.stage {
            Stage::Arriving { live } => match meaning {
                Line::Live => *live = true,
                Line::Joined if *live || audit.dialect != Dialect::Rich => self.joins += 1,
                _ => {}
            },
            Stage::Alone(tally) => audit.read_alone(now, tally, meaning),
            Stage::Follows(place) => {
                let is_own = matches!(meaning, Line::Own | Line::Ping(_) | Line::Greeting | Line::Live);
                let held = audit.record.from(place.offset);
                let next = held.map(split_line);
                let length = line.len() as u64 + 1;
                if is_own {
                } else if let Some(Some((same, _))) = next
                    && same == line
                {
                    place.advance(now, length, audit);
                } else if held.is_some_and(<[u8]>::is_empty) {
                    audit.put_on_record(now, line, meaning);
                    place.advance(now, length, audit);
                } else {
                    // The tally up to here is that of the record. From here on, the reader counts for itself.
                    let mut tally = audit.heard_up_to(place.offset);
                    audit.read_alone(now, &mut tally, meaning);
                    self.stage = Stage::Alone(tally);
                }
            }
        }
    }

    /// Whether it receives joins.
    #[must_use]
    pub fn is_here(&self, dialect: Dialect) -> bool {
        match self.stage {
            Stage::Arriving { live } if dialect == Dialect::Rich => live,
            Stage::Arriving { .. } => self.joins > 0,
            Stage::Follows(_) | Stage::Alone(_) => true,
        }
    }

    /// The tally of this reader.
    #[must_use]
    pub fn tally(&self, audit: &Audit) -> Tally {
        match &self.stage {
            Stage::Arriving { .. } => Tally::default(),
            Stage::Follows(place) if place.offset == audit.record.head() => audit.record.tally.clone(),
            Stage::Follows(place) => audit.heard_up_to(place.offset),
            Stage::Alone(tally) => tally.clone(),
        }
    }

    /// Whether it seems to have received all messages. This is a quick estimate.
    #[must_use]
    pub fn is_level(&self, audit: &Audit, missing: impl FnOnce(&Tally) -> u64) -> bool {
        match &self.stage {
            Stage::Arriving { .. } => true,
            Stage::Follows(place) => {
                !self.is_ahead() && place.offset == audit.record.head() && missing(&audit.record.tally) == 0
            }
            Stage::Alone(tally) => missing(tally) == 0,
        }
    }

    /// One more than the highest message number of a sender that this reader, or the one furthest ahead, has received.
    #[must_use]
    pub fn next(&self, sender: usize, audit: &Audit) -> u32 {
        match &self.stage {
            Stage::Alone(tally) => tally.next(sender),
            _ => audit.record.tally.next(sender),
        }
    }
}

impl Place {
    fn advance(&mut self, now: u64, count: u64, audit: &mut Audit) {
        self.offset += count;
        audit.followed += count;
        while let Some((number, mark)) = audit.record.mark_from(self.mark)
            && mark.end <= self.offset
        {
            self.mark = number + 1;
            audit.time(now, mark.at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;

    const LENGTH: usize = 40;

    fn said(sender: u16, number: u32) -> String {
        let mut text = Vec::new();
        let at = u64::from(number) * 1000;
        Message { sender, number, at }.write(LENGTH, &mut text);
        format!("from 10.0.0.{sender}:9: {}\n", String::from_utf8(text).unwrap())
    }

    /// The results of a reader for a stream in chunks of every size, after another reader has received `ahead`.
    fn found(ahead: &str, stream: &str, sent: [u32; 2]) -> [u64; 5] {
        let results = (1..stream.len() + 1).step_by(7).map(|size| {
            let mut audit = Audit::new(Dialect::Plain, LENGTH, 0..10, 1);
            let mut leader = Reader::default();
            leader.start(Dialect::Plain);
            leader.receive(1_000_000, ahead.as_bytes(), &mut audit, &mut Vec::new());
            let before = audit.deliveries();
            let mut reader = Reader::default();
            reader.start(Dialect::Plain);
            for piece in stream.as_bytes().chunks(size) {
                reader.receive(2_000_000, piece, &mut audit, &mut Vec::new());
            }
            let tally = reader.tally(&audit);
            let missing = tally.missing(&sent);
            assert_eq!(
                reader.is_level(&audit, |tally| tally.missing(&sent)),
                missing == 0
            );
            // This is not exact if the record has lines that are not messages.
            assert!(
                (audit.deliveries() - before).abs_diff(tally.heard) <= 1,
                "in pieces of {size}"
            );
            [
                tally.heard,
                missing,
                tally.duplicated,
                tally.reordered,
                tally.damaged,
            ]
        });
        let results: Vec<_> = results.collect();
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
        results[0]
    }

    fn all() -> Vec<String> {
        vec![said(0, 0), said(1, 0), said(0, 1), said(1, 1), said(0, 2)]
    }

    /// A reader finds the same faults whether it is the first or follows another.
    fn found_everywhere(stream: &str) -> [u64; 5] {
        let first = found("", stream, [3, 2]);
        assert_eq!(found(&all().concat(), stream, [3, 2]), first);
        assert_eq!(found(&all()[..2].concat(), stream, [3, 2]), first);
        first
    }

    #[test]
    fn a_complete_stream_has_no_faults() {
        assert_eq!(found_everywhere(&all().concat()), [5, 0, 0, 0, 0]);
    }

    #[test]
    fn a_lost_message_is_found_at_any_place() {
        for place in 0..5 {
            let mut lines = all();
            lines.remove(place);
            assert_eq!(found_everywhere(&lines.concat()), [4, 1, 0, 0, 0], "{place}");
        }
    }

    #[test]
    fn a_duplicate_is_counted() {
        for place in 0..5 {
            let mut lines = all();
            lines.insert(place, lines[place].clone());
            assert_eq!(found_everywhere(&lines.concat()), [5, 0, 1, 0, 0], "{place}");
        }
    }

    #[test]
    fn a_reordered_message_is_counted() {
        let mut lines = all();
        lines.swap(0, 2);
        assert_eq!(found_everywhere(&lines.concat()), [5, 0, 0, 1, 0]);
    }

    #[test]
    fn a_changed_byte_damages_and_loses_one_message() {
        let lines = all();
        let text = lines[2].find('~').unwrap();
        for place in [0, text - 2, text, text + 30, lines[2].len() - 2] {
            let mut changed = lines.clone();
            let byte = if &lines[2][place..=place] == "!" { "?" } else { "!" };
            changed[2].replace_range(place..=place, byte);
            assert_eq!(found_everywhere(&changed.concat()), [4, 1, 0, 0, 1], "{place}");
        }
    }

    #[test]
    fn two_joined_messages_are_damaged() {
        let mut lines = all();
        lines[1].pop();
        assert_eq!(found_everywhere(&lines.concat()), [3, 2, 0, 0, 1]);
    }

    #[test]
    fn lines_for_one_user_alone_are_not_faults() {
        for place in 0..6 {
            let mut lines = all();
            lines.insert(place, "* by the way\n".into());
            assert_eq!(found_everywhere(&lines.concat()), [5, 0, 0, 0, 0], "{place}");
        }
    }

    #[test]
    fn deliveries_to_every_reader_are_timed() {
        let mut audit = Audit::new(Dialect::Plain, LENGTH, 0..1, 2);
        for now in [10_000, 20_000] {
            let mut reader = Reader::default();
            reader.start(Dialect::Plain);
            reader.receive(now, all().concat().as_bytes(), &mut audit, &mut Vec::new());
        }
        // Every second message of sender 0: those sent at 0 and at 2,000.
        assert_eq!((audit.latency.count(), audit.latency.max()), (4, 20_000));
    }
}
