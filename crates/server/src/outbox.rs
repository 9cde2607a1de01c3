//! What one connection is owed: the ring from an offset on, with lines for it alone in between.

use crate::transcript::Ring;
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::{Deref, Range};
use std::rc::Rc;

/// Pieces in one write at most; the rest waits for the next turn.
const SLICES_MAX: usize = 16;

/// A connection's offset in its ring, and lines for it alone, spliced in between.
///
/// Memory: [`Outbox::own_bytes`], which callers check before they add lines. The ring costs nothing here.
/// Invariants: the splices' offsets never fall, and none lies before `cursor`.
#[derive(Debug)]
pub struct Outbox {
    /// The next byte of the ring to send.
    cursor: u64,
    /// Part of a line of the ring is sent. The ring may have lost the rest by the time that matters.
    mid_line: bool,
    /// Nothing of the ring from here on is owed, because the user has left or not joined. [`UNLIMITED`] while it is a user.
    until: u64,
    /// Boxed, because most connections have no lines of their own most of the time.
    own: Option<Box<Own>>,
    /// Nothing can be sent any more, so nothing is stored.
    gone: bool,
}

/// An offset that no ring reaches.
const UNLIMITED: u64 = u64::MAX;

/// Lines for one connection alone; never empty.
#[derive(Debug, Default)]
struct Own {
    splices: VecDeque<Splice>,
    bytes: usize,
    /// Those of `bytes` that other users sent. `of_others <= bytes`.
    of_others: usize,
}

/// Something for one connection alone, sent when the cursor reaches `at`.
#[derive(Debug)]
struct Splice {
    at: u64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Lines, of which `sent` bytes are sent. `sent <= bytes.len()`.
    Lines {
        bytes: Bytes,
        sent: usize,
        origin: Origin,
    },
    List(List),
}

/// What is rendered piece by piece, because it may be too long to be rendered before it can be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum List {
    /// The users from this slot on.
    Users(usize),
    /// The messages between these offsets.
    History(Range<u64>),
}

/// Why lines are queued for one connection alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The server answers the connection.
    Answer,
    /// Another user sent them.
    Other,
}

#[derive(Debug)]
enum Bytes {
    Own(Vec<u8>),
    /// The same lines for several connections.
    Shared(Rc<[u8]>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Outbox {
    /// An outbox that is owed nothing of the ring before [`Outbox::subscribe`].
    #[must_use]
    pub fn closed() -> Self {
        Self {
            cursor: 0,
            mid_line: false,
            until: 0,
            own: None,
            gone: false,
        }
    }

    /// From now on the ring is owed, from this offset on. Lines added so far come first.
    pub fn subscribe(&mut self, from: u64) {
        if self.gone {
            return;
        }
        self.cursor = from;
        self.until = UNLIMITED;
        let own = self.own.iter_mut();
        for splice in own.flat_map(|own| &mut own.splices) {
            splice.at = from;
        }
    }

    /// The ring is owed up to this offset and no further.
    pub fn truncate_at(&mut self, offset: u64) {
        self.until = self.until.min(offset).max(self.cursor);
    }

    /// The connection's offset in the ring; `None` if it is owed nothing of the ring.
    #[must_use]
    pub fn cursor(&self) -> Option<u64> {
        (self.cursor < self.until).then_some(self.cursor)
    }

    /// Whether the ring has lost the next byte. Then the connection is disconnected in the same turn.
    #[must_use]
    pub fn is_overtaken(&self, ring: &Ring) -> bool {
        self.cursor().is_some_and(|cursor| cursor < ring.tail())
    }

    /// Bytes queued for this connection alone.
    #[must_use]
    pub fn own_bytes(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.bytes)
    }

    /// Those of [`Outbox::own_bytes`] that answer the connection's own requests.
    #[must_use]
    pub fn answer_bytes(&self) -> usize {
        self.own.as_ref().map_or(0, |own| own.bytes - own.of_others)
    }

    fn splices(&self) -> impl Iterator<Item = &Splice> {
        self.own.iter().flat_map(|own| &own.splices)
    }

    /// Adds lines that come after what the ring held when its head was at `at`. They join the last lines unless part of
    /// those is sent, whose storage is freed only when all of them are.
    pub fn push(&mut self, at: u64, lines: Vec<u8>) {
        self.push_from(Origin::Answer, at, lines);
    }

    /// The same for lines of this origin.
    pub fn push_from(&mut self, from: Origin, at: u64, lines: Vec<u8>) {
        if self.gone {
            return;
        }
        let at = at.min(self.until).max(self.cursor);
        let own = self.own.get_or_insert_default();
        own.bytes += lines.len();
        if from == Origin::Other {
            own.of_others += lines.len();
        }
        if let Some(Splice {
            at: last,
            body:
                Body::Lines {
                    bytes: Bytes::Own(bytes),
                    sent: 0,
                    origin,
                },
        }) = own.splices.back_mut()
            && *last == at
            && *origin == from
        {
            bytes.extend(lines);
        } else {
            own.splices.push_back(Splice {
                at,
                body: Body::Lines {
                    bytes: Bytes::Own(lines),
                    sent: 0,
                    origin: from,
                },
            });
        }
    }

    /// Adds a list. One of the users at a time: whether it was added.
    pub fn push_list(&mut self, at: u64, list: List) -> bool {
        let is_users = |splice: &Splice| matches!(splice.body, Body::List(List::Users(_)));
        let is_second = matches!(list, List::Users(_)) && self.splices().any(is_users);
        if self.gone || is_second {
            return false;
        }
        self.own.get_or_insert_default().splices.push_back(Splice {
            at: at.max(self.cursor),
            body: Body::List(list),
        });
        true
    }

    /// The list of which a piece is the next to be sent.
    #[must_use]
    pub fn list_due(&self) -> Option<&List> {
        match self.splices().next() {
            Some(Splice {
                at,
                body: Body::List(list),
            }) if *at == self.cursor => Some(list),
            _ => None,
        }
    }

    /// Adds a piece of the list that is due, and the rest of it, if there is any.
    pub fn continue_list(&mut self, lines: Rc<[u8]>, rest: Option<List>) {
        let Some(own) = &mut self.own else { return };
        own.splices.pop_front();
        if let Some(rest) = rest {
            own.splices.push_front(Splice {
                at: self.cursor,
                body: Body::List(rest),
            });
        }
        if lines.is_empty() {
            // They have all left since. Never queue an empty chunk: it would never drain.
            return self.drop_if_empty();
        }
        own.bytes += lines.len();
        own.splices.push_front(Splice {
            at: self.cursor,
            body: Body::Lines {
                bytes: Bytes::Shared(lines),
                sent: 0,
                origin: Origin::Answer,
            },
        });
    }

    /// Whether anything is owed, if the head of the ring is here.
    #[must_use]
    pub fn is_due(&self, head: u64) -> bool {
        self.own.is_some() || self.cursor < self.end(head)
    }

    /// What to send next, as much as one write takes.
    #[must_use]
    pub fn output<'a>(&'a self, ring: &'a Ring) -> Slices<'a> {
        let mut slices = Slices::default();
        if self.is_overtaken(ring) {
            return slices;
        }
        let mut from = self.cursor;
        let end = self.end(ring.head());
        for splice in self.splices() {
            let [first, second] = ring.between(from, splice.at.min(end));
            from = from.max(splice.at.min(end));
            let Body::Lines { bytes, sent, .. } = &splice.body else {
                slices.push(first);
                slices.push(second);
                return slices;
            };
            let own = bytes.get(*sent..).unwrap_or_default();
            if !(slices.push(first) && slices.push(second) && slices.push(own)) {
                return slices;
            }
        }
        let [first, second] = ring.between(from, end);
        let _ = slices.push(first) && slices.push(second);
        slices
    }

    /// This many bytes of [`Outbox::output`] are sent.
    pub fn sent(&mut self, count: usize, ring: &Ring) {
        self.advance(count);
        self.mid_line = !ring.begins_line(self.cursor);
    }

    fn advance(&mut self, mut count: usize) {
        while count != 0 {
            let Some(own) = &mut self.own else {
                self.cursor += count as u64;
                return;
            };
            let Some(Splice { at, body }) = own.splices.front_mut() else {
                return;
            };
            let before = usize::try_from(*at - self.cursor).unwrap_or(usize::MAX);
            let of_ring = before.min(count);
            self.cursor += of_ring as u64;
            count -= of_ring;
            let Body::Lines { bytes, sent, origin } = body else {
                return;
            };
            let of_own = (bytes.len() - *sent).min(count);
            *sent += of_own;
            count -= of_own;
            own.bytes -= of_own;
            if *origin == Origin::Other {
                own.of_others -= of_own;
            }
            if *sent < bytes.len() {
                return;
            }
            own.splices.pop_front();
            self.drop_if_empty();
        }
    }

    fn drop_if_empty(&mut self) {
        self.own.take_if(|own| own.splices.is_empty());
    }

    /// Drops everything owed but the rest of a line that is partly sent, and adds these last lines. If the ring has lost
    /// that rest, nothing remains: the last lines would be read as part of it.
    pub fn abort_with(&mut self, ring: &Ring, farewell: Vec<u8>) {
        if self.gone {
            return;
        }
        let first = self.own.as_mut().and_then(|own| own.splices.pop_front());
        let mut rest = match first {
            Some(Splice {
                at,
                body: Body::Lines { bytes, sent, .. },
            }) if at == self.cursor && sent > 0 => bytes.get(sent..).unwrap_or_default().to_vec(),
            _ if !self.mid_line => Vec::new(),
            _ if self.is_overtaken(ring) => {
                *self = Self::closed();
                return;
            }
            _ => ring.between(self.cursor, ring.line_end(self.cursor)).concat(),
        };
        rest.extend(farewell);
        *self = Self::closed();
        self.push(0, rest);
    }

    /// Nothing can be sent any more: drops everything owed, and everything added from now on.
    pub fn discard(&mut self) {
        *self = Self {
            gone: true,
            ..Self::closed()
        };
    }

    /// Whether nothing can be sent any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    fn end(&self, head: u64) -> u64 {
        self.until.min(head)
    }
}

/// Pieces that one system call sends together.
#[derive(Debug)]
pub struct Slices<'a> {
    slices: [IoSlice<'a>; SLICES_MAX],
    count: usize,
}

impl Default for Slices<'_> {
    fn default() -> Self {
        Self {
            slices: [IoSlice::new(&[]); SLICES_MAX],
            count: 0,
        }
    }
}

impl<'a> Slices<'a> {
    /// Adds a piece, unless it is empty. Whether there was room for it.
    fn push(&mut self, piece: &'a [u8]) -> bool {
        if piece.is_empty() {
            return true;
        }
        let Some(place) = self.slices.get_mut(self.count) else {
            return false;
        };
        *place = IoSlice::new(piece);
        self.count += 1;
        true
    }

    /// The pieces, for the system call.
    #[must_use]
    pub fn as_io(&self) -> &[IoSlice<'a>] {
        self.slices.get(..self.count).unwrap_or_default()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write;

    /// An outbox that is owed the ring from its start.
    fn subscribed() -> Outbox {
        let mut outbox = Outbox::closed();
        outbox.subscribe(0);
        outbox
    }

    /// Sends all that is due, `step` bytes at a time.
    fn drain(outbox: &mut Outbox, ring: &Ring, step: usize) -> String {
        let mut sent = Vec::new();
        while outbox.is_due(ring.head()) {
            if outbox.list_due().is_some() {
                outbox.continue_list(Rc::from(*b"LIST\n"), None);
            }
            let piece: Vec<u8> = outbox
                .output(ring)
                .as_io()
                .iter()
                .flat_map(|slice| slice.to_vec())
                .take(step)
                .collect();
            assert!(
                !piece.is_empty(),
                "something is due, and there is nothing to send"
            );
            outbox.sent(piece.len(), ring);
            sent.extend(piece);
        }
        assert_eq!(outbox.own_bytes(), 0);
        String::from_utf8(sent).unwrap()
    }

    fn push(outbox: &mut Outbox, ring: &Ring, line: &str) {
        outbox.push(ring.head(), format!("{line}\n").into_bytes());
    }

    #[test]
    fn own_lines_are_sent_where_they_were_added() {
        for step in 1..40 {
            let mut ring = Ring::default();
            let mut outbox = subscribed();
            push(&mut outbox, &ring, "own1");
            writeln!(ring, "ring1").unwrap();
            push(&mut outbox, &ring, "own2");
            push(&mut outbox, &ring, "own3");
            assert!(outbox.push_list(ring.head(), List::Users(0)));
            assert!(
                !outbox.push_list(ring.head(), List::Users(0)),
                "a second list while one is being sent"
            );
            push(&mut outbox, &ring, "own4");
            writeln!(ring, "ring2").unwrap();
            assert_eq!(
                drain(&mut outbox, &ring, step),
                "own1\nring1\nown2\nown3\nLIST\nown4\nring2\n"
            );
        }
    }

    #[test]
    fn a_user_list_waits_for_what_was_added_before_it() {
        for step in 1..20 {
            let mut ring = Ring::default();
            let mut outbox = subscribed();
            writeln!(ring, "ring1").unwrap();
            assert!(outbox.push_list(ring.head(), List::Users(0)));
            assert_eq!(outbox.list_due(), None);
            writeln!(ring, "ring2").unwrap();
            assert_eq!(drain(&mut outbox, &ring, step), "ring1\nLIST\nring2\n");
        }
    }

    /// What is due, as one write takes it.
    fn pieces(outbox: &Outbox, ring: &Ring) -> Vec<usize> {
        let output = outbox.output(ring);
        output.as_io().iter().map(|slice| slice.len()).collect()
    }

    #[test]
    fn one_write_takes_all_that_is_due_in_up_to_16_pieces() {
        let mut ring = Ring::default();
        let mut outbox = subscribed();
        for _ in 0..7 {
            push(&mut outbox, &ring, "own");
            writeln!(ring, "ring").unwrap();
        }
        assert_eq!(pieces(&outbox, &ring), [4, 5].repeat(7));
        for _ in 0..7 {
            push(&mut outbox, &ring, "own");
            writeln!(ring, "ring").unwrap();
        }
        assert_eq!(pieces(&outbox, &ring), [4, 5].repeat(8));
    }

    #[test]
    fn one_write_wraps_around_the_ring() {
        let mut ring = Ring::default();
        let mut outbox = subscribed();
        write!(ring, "{}", "x".repeat(crate::transcript::CAPACITY - 11)).unwrap();
        writeln!(ring).unwrap();
        outbox.sent(crate::transcript::CAPACITY - 10, &ring);
        writeln!(ring, "a line of 20 bytes.").unwrap();
        assert_eq!(pieces(&outbox, &ring), [10, 10]);
        assert_eq!(drain(&mut outbox, &ring, 100), "a line of 20 bytes.\n");
    }

    #[test]
    fn sent_lines_are_freed_while_others_wait() {
        let ring = Ring::default();
        let mut outbox = subscribed();
        push(&mut outbox, &ring, "0123456");
        for _ in 0..1000 {
            push(&mut outbox, &ring, "0123456");
            outbox.sent(8, &ring);
        }
        assert_eq!(outbox.own_bytes(), 8);
        let stored = outbox.splices().map(|splice| match &splice.body {
            Body::Lines {
                bytes: Bytes::Own(bytes),
                ..
            } => bytes.capacity(),
            Body::Lines { .. } | Body::List(_) => 0,
        });
        assert!(stored.sum::<usize>() < 100);
    }

    #[test]
    fn without_own_lines_nothing_is_stored() {
        let mut ring = Ring::default();
        let mut outbox = subscribed();
        push(&mut outbox, &ring, "own");
        writeln!(ring, "ring").unwrap();
        assert_eq!(drain(&mut outbox, &ring, 100), "own\nring\n");
        assert!(outbox.own.is_none());
    }

    #[test]
    fn before_subscribing_only_own_lines_are_owed() {
        let mut ring = Ring::default();
        writeln!(ring, "before").unwrap();
        let mut outbox = Outbox::closed();
        push(&mut outbox, &ring, "greeting");
        outbox.subscribe(ring.head());
        writeln!(ring, "after").unwrap();
        assert_eq!(drain(&mut outbox, &ring, 100), "greeting\nafter\n");
    }

    #[test]
    fn a_leaving_user_receives_what_was_due_and_a_goodbye() {
        let mut ring = Ring::default();
        let mut outbox = subscribed();
        writeln!(ring, "due").unwrap();
        outbox.truncate_at(ring.head());
        push(&mut outbox, &ring, "bye");
        writeln!(ring, "not due").unwrap();
        assert_eq!(drain(&mut outbox, &ring, 3), "due\nbye\n");
        assert_eq!(outbox.cursor(), None);
    }

    #[test]
    fn a_slow_reader_receives_whole_lines() {
        let text = "half sent\nnever sent\n";
        for sent in 0..text.len() {
            let mut ring = Ring::default();
            let mut outbox = subscribed();
            ring.write_str(text).unwrap();
            outbox.sent(sent, &ring);
            outbox.abort_with(&ring, b"slow\n".to_vec());
            let received = text[..sent].to_owned() + &drain(&mut outbox, &ring, 100);
            let lines: Vec<_> = received.lines().collect();
            let whole = ["half sent", "never sent"];
            assert_eq!(
                lines[..lines.len() - 1],
                whole[..lines.len() - 1],
                "after {sent} bytes"
            );
            assert_eq!(lines.last(), Some(&"slow"));
        }
    }

    #[test]
    fn a_slow_reader_receives_the_rest_of_an_own_line() {
        let ring = Ring::default();
        let mut outbox = subscribed();
        push(&mut outbox, &ring, "answer");
        outbox.sent(3, &ring);
        outbox.abort_with(&ring, b"slow\n".to_vec());
        assert_eq!(drain(&mut outbox, &ring, 100), "wer\nslow\n");
    }

    #[test]
    fn a_slow_reader_receives_only_the_rest_of_a_partial_line() {
        let text = "answer\nring\nanother\nmore\n";
        for sent in 0..text.len() {
            let mut ring = Ring::default();
            let mut outbox = subscribed();
            push(&mut outbox, &ring, "answer");
            writeln!(ring, "ring").unwrap();
            push(&mut outbox, &ring, "another");
            writeln!(ring, "more").unwrap();
            outbox.sent(sent, &ring);
            outbox.abort_with(&ring, b"slow\n".to_vec());
            let (before, after) = text.split_at(sent);
            let begun = !before.is_empty() && !before.ends_with('\n');
            let rest = after.split_inclusive('\n').next().filter(|_| begun);
            let expected = rest.unwrap_or_default().to_owned() + "slow\n";
            assert_eq!(drain(&mut outbox, &ring, 100), expected, "after {sent} bytes");
        }
    }

    #[test]
    fn a_slow_reader_is_not_told_if_its_line_is_lost() {
        for (sent, tail, expected) in [(3, 3, "g\nslow\n"), (3, 4, ""), (5, 6, "slow\n")] {
            let mut ring = Ring::default();
            let mut outbox = subscribed();
            writeln!(ring, "ring").unwrap();
            outbox.sent(sent, &ring);
            writeln!(ring, "{}", "x".repeat(crate::transcript::CAPACITY + tail - 6)).unwrap();
            outbox.abort_with(&ring, b"slow\n".to_vec());
            assert_eq!(drain(&mut outbox, &ring, 100), expected);
        }
    }

    proptest! {
        #[test]
        fn partial_writes_deliver_everything_once_and_in_order(
            script in prop::collection::vec((any::<bool>(), 0usize..50), 1..60)) {
            let mut ring = Ring::default();
            let mut outbox = subscribed();
            let (mut expected, mut sent) = (String::new(), Vec::new());
            for (number, (own, takes)) in script.into_iter().enumerate() {
                let line = format!("{number} {}\n", if own { "own" } else { "ring" });
                if own { outbox.push(ring.head(), line.clone().into_bytes()) } else { ring.write_str(&line).unwrap() }
                expected += &line;
                let piece: Vec<u8> = outbox.output(&ring).as_io().iter().flat_map(|slice| slice.to_vec()).take(takes).collect();
                outbox.sent(piece.len(), &ring);
                sent.extend(piece);
            }
            let rest = drain(&mut outbox, &ring, 7);
            prop_assert_eq!(String::from_utf8(sent).unwrap() + &rest, expected);
        }
    }
}
