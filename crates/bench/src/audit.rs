//! The results of the whole crowd.

use crate::dialect::{Dialect, Line};
use crate::histogram::Histogram;
use crate::message::Message;
use crate::record::Record;
use crate::tally::Tally;
use std::ops::Range;

/// The state that all readers share.
#[derive(Debug)]
pub struct Audit {
    /// The protocol of the server.
    pub dialect: Dialect,
    /// The length of each text.
    pub length: usize,
    /// Senders whose messages are timed.
    pub timed: Range<u16>,
    /// One in this many messages of the record is timed.
    pub timed_every: u32,
    /// The latency of timed messages, for each reader.
    pub latency: Histogram,
    /// How often a timed message reached a reader.
    pub arrivals: u64,
    /// When a reader first received a leave.
    pub first_left: Option<u64>,
    /// The bytes that all users receive.
    pub record: Record,
    /// Bytes of the record that users received, summed over all users.
    pub followed: u64,
    /// Messages that readers apart from the record received.
    pub read: u64,
}

impl Audit {
    /// An empty audit.
    #[must_use]
    pub fn new(dialect: Dialect, length: usize, timed: Range<u16>, timed_every: u32) -> Self {
        Self {
            dialect,
            length,
            timed,
            timed_every,
            latency: Histogram::default(),
            arrivals: 0,
            first_left: None,
            record: Record::default(),
            followed: 0,
            read: 0,
        }
    }

    /// The deliveries so far. For readers that follow the record, they are computed from the bytes received. That is exact
    /// if all lines have the same length, and close otherwise.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        let whole = u128::from(self.followed) * u128::from(self.record.tally.heard);
        let followed = whole.checked_div(self.record.head().into()).unwrap_or_default();
        self.read + u64::try_from(followed).unwrap_or(u64::MAX)
    }

    /// Appends a line to the record.
    pub(crate) fn put_on_record(&mut self, now: u64, line: &[u8], meaning: Line<'_>) {
        self.record.append(line);
        let Some(message) = self.message(now, meaning) else {
            return;
        };
        self.record.tally.hear(message);
        if let Some(Message { sender, number, at }) = message
            && self.timed.contains(&sender)
            && number.is_multiple_of(self.timed_every)
        {
            self.record.mark(at);
        }
    }

    /// Counts a line that one reader received apart from the record.
    pub(crate) fn read_alone(&mut self, now: u64, tally: &mut Tally, meaning: Line<'_>) {
        let Some(message) = self.message(now, meaning) else {
            return;
        };
        let before = tally.heard;
        tally.hear(message);
        tally.damaged += u64::from(matches!(meaning, Line::Unnamed(_)) && message.is_some());
        self.read += tally.heard - before;
        if let Some(message) = message
            && self.timed.contains(&message.sender)
        {
            self.time(now, message.at);
        }
    }

    /// The message of a line that should contain one, if it is undamaged.
    fn message(&mut self, now: u64, meaning: Line<'_>) -> Option<Option<Message>> {
        match meaning {
            Line::Said(text) | Line::Unnamed(text) => Some(Message::read(text, self.length)),
            Line::Strange => Some(None),
            Line::Left => {
                self.first_left.get_or_insert(now);
                None
            }
            _ => None,
        }
    }

    /// Counts a timed message that reaches a reader now.
    pub(crate) fn time(&mut self, now: u64, at: u64) {
        self.latency.record(now.saturating_sub(at));
        self.arrivals += 1;
    }

    /// The tally of a reader that has followed the record up to an offset.
    #[must_use]
    pub fn heard_up_to(&self, offset: u64) -> Tally {
        let rest = self.record.lines_from(offset);
        let messages = rest.filter_map(|line| match self.dialect.read(line) {
            Line::Said(text) => Message::read(text, self.length),
            _ => None,
        });
        self.record.tally.clone().without(messages)
    }
}
