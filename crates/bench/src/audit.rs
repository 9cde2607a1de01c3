//! What the crowd as a whole finds out.

use crate::dialect::{Dialect, Line};
use crate::histogram::Histogram;
use crate::message::Message;
use crate::record::Record;
use crate::tally::Tally;
use std::ops::Range;

/// What readers compare with and add to.
#[derive(Debug)]
pub struct Audit {
    /// How the server is spoken to.
    pub dialect: Dialect,
    /// The length of each text.
    pub length: usize,
    /// Senders whose messages are timed.
    pub timed: Range<u16>,
    /// Of what comes by way of the record, one message in so many is timed.
    pub timed_every: u32,
    /// How long timed messages took to each reader.
    pub latency: Histogram,
    /// How often a timed message reached a reader.
    pub arrivals: u64,
    /// When a reader was first told that somebody left.
    pub first_left: Option<u64>,
    /// What everybody is sent alike.
    pub record: Record,
    /// Bytes of the record that users got, each user's counted.
    pub followed: u64,
    /// Messages that were read by those who do not follow the record.
    pub read: u64,
}

impl Audit {
    /// An audit of nothing yet.
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

    /// How often one message reached one user, so far. Of those who follow the record it is known by the bytes
    /// they got, which is exact when all lines are equally long, and nearly so otherwise.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        let whole = u128::from(self.followed) * u128::from(self.record.tally.heard);
        let followed = whole.checked_div(self.record.head().into()).unwrap_or_default();
        self.read + u64::try_from(followed).unwrap_or(u64::MAX)
    }

    /// Takes a line that everybody will get onto the record.
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

    /// Takes a line that one reader got.
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

    /// The message in a line that should hold one, undamaged if it is one.
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

    /// A timed message that was sent at one time reached a reader now.
    pub(crate) fn time(&mut self, now: u64, at: u64) {
        self.latency.record(now.saturating_sub(at));
        self.arrivals += 1;
    }

    /// What somebody has heard who has followed the record up to an offset.
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
