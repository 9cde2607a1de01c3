//! Everything that was broadcast: a log in memory that every connection reads at its own pace.

use chat_proto::TEXT_MAX;
use chat_proto::now::Now;
use chat_proto::plain::{ServerLine, from};
use chat_proto::rich::{FromServer, Position, said};
use chat_proto::text::Text;
use chat_proto::times::Times;
use std::collections::VecDeque;
use std::fmt::{self, Display, Write};
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

/// Bytes in each ring. At ten lines of 100 bytes a second that is a quarter of an hour; a larger ring did not make a
/// flooded room faster.
pub const CAPACITY: usize = 1 << 20;

/// The largest history of a newcomer.
const HISTORY_BYTES_MAX: u64 = (CAPACITY / 4) as u64;

/// What a newcomer is sent of its history at once, to which the last line may add.
const PIECE_BYTES: u64 = 16 * 1024;

/// A join is held back for this long at most. Nobody notices, and a crowd joins in half the time.
const HELD_MAX: Duration = Duration::from_millis(100);

/// The two languages a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// For people at `nc`, scripts, and the lab's original programs.
    Plain,
    /// For `chat-client`.
    Rich,
}

/// An append-only log of bytes that keeps the last [`CAPACITY`], or another number of them.
///
/// Offsets are absolute: they count from the first byte ever appended and are never reused.
/// Invariant: `tail() <= head()`, `head() - tail() <= bytes.len()`.
#[derive(Debug)]
pub struct Ring {
    /// The byte at absolute offset `o` is at `o % bytes.len()`.
    bytes: Box<[u8]>,
    head: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self::new(CAPACITY)
    }
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity].into(),
            head: 0,
        }
    }

    /// The offset of the next byte.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The oldest offset that is still held.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.head.saturating_sub(self.bytes.len() as u64)
    }

    /// The bytes held from one offset up to another, in two slices because they may wrap around.
    #[must_use]
    pub fn between(&self, from: u64, to: u64) -> [&[u8]; 2] {
        let to = to.min(self.head);
        let from = from.max(self.tail()).min(to);
        let length = usize::try_from(to - from).unwrap_or(self.bytes.len());
        let start = self.place(from);
        let (before, after) = self.bytes.split_at(start);
        match after.get(..length) {
            Some(all) => [all, &[]],
            None => [after, before.get(..length - after.len()).unwrap_or_default()],
        }
    }

    /// Whether a line begins at this offset.
    #[must_use]
    pub fn begins_line(&self, offset: u64) -> bool {
        offset == 0 || matches!(self.between(offset - 1, offset), [b"\n", _])
    }

    /// The end of the line that `offset` is in, its line feed included; `offset` itself where a line begins.
    #[must_use]
    pub fn line_end(&self, offset: u64) -> u64 {
        if self.begins_line(offset) {
            return offset;
        }
        let slices = self.between(offset, self.head);
        let rest = slices.iter().flat_map(|slice| slice.iter());
        rest.zip(offset + 1..)
            .find(|&(&byte, _)| byte == b'\n')
            .map_or(self.head, |(_, end)| end)
    }

    /// The index of an absolute offset.
    fn place(&self, offset: u64) -> usize {
        usize::try_from(offset % self.bytes.len() as u64).unwrap_or_default()
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let start = self.place(self.head);
            let room = self.bytes.get_mut(start..).unwrap_or_default();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            if let Some(target) = room.get_mut(..now.len()) {
                target.copy_from_slice(now);
            }
            self.head += now.len() as u64;
            bytes = later;
        }
    }
}

/// Lines are formatted straight into the ring, where everybody reads them.
impl Write for Ring {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.append(text.as_bytes());
        Ok(())
    }
}

/// Where a message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Start {
    /// The offset of its first byte.
    offset: u64,
    /// The last time written before it.
    times: Times,
}

/// What a client is sent of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Where its messages are, for [`Transcript::piece`].
    pub messages: Range<u64>,
    /// The time before the first of them.
    pub before: Option<u64>,
    /// Which those are.
    pub position: Position,
}

/// The end of what is sent without delay: after it only joins follow.
#[derive(Clone, Copy, Debug)]
struct Held {
    plain: u64,
    rich: u64,
    /// When the first of these joins was appended.
    since: Duration,
}

/// A ring for each dialect, and the messages alone.
#[derive(Debug)]
pub struct Transcript {
    /// There is one while joins are held back.
    held: Option<Held>,
    plain: Ring,
    rich: Ring,
    /// The last time written to the rich ring.
    times: Times,
    /// The messages in the rich dialect, for the history: users who come and go must not push out what was said. A reader
    /// that is still sent its history is behind by that and by what was said since, which is less than the rich ring has
    /// of that time; so it loses nothing here before it is overtaken there.
    messages: Ring,
    /// The last time written to `messages`.
    message_times: Times,
    /// Where each of the last [`HISTORY_BYTES_MAX`] of `messages` begins.
    starts: VecDeque<Start>,
    /// How many messages there were.
    said: u64,
    history: usize,
}

impl Transcript {
    /// An empty transcript, of which newcomers see the last `history` messages.
    #[must_use]
    pub fn new(history: usize) -> Self {
        Self {
            held: None,
            plain: Ring::default(),
            rich: Ring::default(),
            times: Times::default(),
            messages: Ring::new(CAPACITY + 2 * CAPACITY / 4),
            message_times: Times::default(),
            starts: VecDeque::new(),
            said: 0,
            history,
        }
    }

    /// The ring that connections of this dialect read from.
    #[must_use]
    pub fn ring(&self, dialect: Dialect) -> &Ring {
        match dialect {
            Dialect::Plain => &self.plain,
            Dialect::Rich => &self.rich,
        }
    }

    /// What is before this offset is sent without delay.
    #[must_use]
    pub fn due(&self, dialect: Dialect) -> u64 {
        match (&self.held, dialect) {
            (None, _) => self.ring(dialect).head(),
            (Some(held), Dialect::Plain) => held.plain,
            (Some(held), Dialect::Rich) => held.rich,
        }
    }

    /// When what is held back is due.
    #[must_use]
    pub fn held_until(&self) -> Option<Duration> {
        self.held.map(|held| held.since + HELD_MAX)
    }

    /// Nothing is held back any more.
    pub fn release(&mut self) {
        self.held = None;
    }

    /// Appends an event like [`Transcript::append`] and holds it back, until something else is appended or it is released:
    /// in a crowd of newcomers everybody is told of many joins at once.
    pub fn append_held<W: Display>(&mut self, now: Now, plain: &ServerLine<'_, W>, rich: FromServer<'_, W>) {
        let held = self.held.unwrap_or(Held {
            plain: self.plain.head(),
            rich: self.rich.head(),
            since: now.monotonic,
        });
        self.append(Some(plain), rich);
        self.held = Some(held);
    }

    /// Appends an event to the ring of each dialect that has a line for it.
    pub fn append<W: Display>(&mut self, plain: Option<&ServerLine<'_, W>>, mut rich: FromServer<'_, W>) {
        self.release();
        self.times.shorten(&mut rich);
        // Writing to the ring can't fail.
        let _ = writeln!(self.rich, "{rich}");
        if let Some(plain) = plain {
            let _ = writeln!(self.plain, "{plain}");
        }
    }

    /// Appends a message, to the plain ring too if anybody reads that. Most lines are messages, so these are copied
    /// piece by piece: `core::fmt` would take most of the server's time.
    pub fn append_message(&mut self, now: Now, who: &str, text: &Text<'_>, has_plain: bool) {
        self.release();
        self.note_message(now, who, text);
        let time = self.times.shorten_time(now.unix_ms).map(|time| time.to_string());
        for piece in said(time.as_deref(), who, text) {
            self.rich.append(piece.as_bytes());
        }
        if !has_plain {
            return;
        }
        if text.action().is_some() {
            let _ = writeln!(self.plain, "{}", ServerLine::message(who, text));
        } else {
            for piece in from(who, &text.shown()) {
                self.plain.append(piece.as_bytes());
            }
        }
    }

    /// Takes note of a message for the history.
    fn note_message(&mut self, now: Now, who: &str, text: &Text<'_>) {
        self.said += 1;
        self.starts.push_back(Start {
            offset: self.messages.head,
            times: self.message_times,
        });
        let time = self.message_times.shorten_time(now.unix_ms);
        for piece in said(time.map(|time| time.to_string()).as_deref(), who, text) {
            self.messages.append(piece.as_bytes());
        }
        let oldest = self.messages.head.saturating_sub(HISTORY_BYTES_MAX);
        while self.starts.front().is_some_and(|start| start.offset < oldest) {
            self.starts.pop_front();
        }
    }

    /// The history of a client that has received all messages before number `next`: that one and what follows, or the
    /// first one that is left; or of a newcomer: the last few.
    pub fn history(&mut self, next: Option<u64>) -> History {
        self.history_after(next.map_or(self.newcomers_skip(), |next| self.before(next)), next)
    }

    /// The history of a newcomer that says that it has received all messages before number `next`.
    pub(crate) fn history_of_newcomer(&mut self, next: u64) -> History {
        self.history_after(self.newcomers_skip().max(self.before(next)), None)
    }

    /// How many of the messages that are left a newcomer is not sent.
    fn newcomers_skip(&self) -> usize {
        self.starts.len().saturating_sub(self.history)
    }

    /// The number of the first message that is left.
    fn first(&self) -> u64 {
        self.said - self.starts.len() as u64
    }

    /// How many of the messages that are left are before number `next`.
    fn before(&self, next: u64) -> usize {
        usize::try_from(next.saturating_sub(self.first())).unwrap_or(usize::MAX)
    }

    fn history_after(&mut self, skipped: usize, next: Option<u64>) -> History {
        let first = self.first();
        let index = skipped.min(self.starts.len());
        let number = first + index as u64;
        let to = self.messages.head;
        let start = self.starts.get(index);
        if start.is_some() && self.message_times != self.times {
            // The client will take the time of the last message for that of the last line.
            self.times = Times::default();
        }
        History {
            messages: start.map_or(to, |start| start.offset)..to,
            before: start.map_or(self.times, |start| start.times).last(),
            position: Position {
                next: number,
                missed: next.map(|next| number.saturating_sub(next)),
            },
        }
    }

    /// How many messages there were.
    #[must_use]
    pub(crate) fn said(&self) -> u64 {
        self.said
    }

    /// All messages that are left, as lines, and the time before the first of them.
    pub(crate) fn messages(&self) -> (Option<u64>, Vec<u8>) {
        let first = self.starts.front();
        let before = first.and_then(|start| start.times.last());
        let from = first.map_or(self.messages.head, |start| start.offset);
        (before, self.messages.between(from, self.messages.head).concat())
    }

    /// Adds the messages of an earlier run of the server, of which there were so many in all.
    pub(crate) fn restore(&mut self, said: u64, before: Option<u64>, lines: &[u8]) {
        let mut times = Times::default();
        times.restore(&mut FromServer::<&str>::History(before, None));
        for line in String::from_utf8_lossy(lines).split_terminator('\n') {
            let Ok(mut line) = FromServer::parse(line) else {
                continue;
            };
            let unix_ms = times.restore(&mut line).unwrap_or_default();
            if let FromServer::Said(_, who, text) = line
                && text.as_str().len() <= TEXT_MAX
            {
                let monotonic = Duration::ZERO;
                self.note_message(Now { monotonic, unix_ms }, &who.to_string(), &text);
            }
        }
        self.said = self.said.max(said);
    }

    /// The first lines of this part of the history, and the rest of it. Both are empty if it is lost, which happens only
    /// to a user that has left.
    #[must_use]
    pub fn piece(&self, part: &Range<u64>) -> (Rc<[u8]>, Range<u64>) {
        if part.start < self.messages.tail() {
            return (Rc::default(), part.end..part.end);
        }
        let end = self.messages.line_end((part.start + PIECE_BYTES).min(part.end));
        let lines = self.messages.between(part.start, end).concat();
        (lines.into(), end..part.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(ring: &Ring, from: u64, to: u64) -> Vec<u8> {
        ring.between(from, to).concat()
    }

    /// The history of a client, piece by piece.
    fn sent(transcript: &mut Transcript, next: Option<u64>) -> Vec<u8> {
        let mut part = transcript.history(next).messages;
        let mut sent = Vec::new();
        while !part.is_empty() {
            let (lines, rest) = transcript.piece(&part);
            assert!(!lines.is_empty() && lines.ends_with(b"\n") && lines.len() < 22_000);
            sent.extend_from_slice(&lines);
            part = rest;
        }
        sent
    }

    fn say(transcript: &mut Transcript, text: &str) {
        let now = Now {
            unix_ms: 7,
            ..Now::default()
        };
        transcript.append_message(now, "10.0.0.1:1", &Text::new(text), true);
    }

    #[test]
    fn a_message_reads_as_if_formatted() {
        let (mut fast, mut formatted) = (Transcript::new(2), Transcript::new(2));
        let blanks = "x".to_owned() + &" ".repeat(70);
        for (time, text) in [
            (7, "hi"),
            (7, ""),
            (u64::MAX, "你好: x"),
            (8, "/me waves"),
            (8, &blanks),
        ] {
            let (who, text) = ("alice@10.0.0.1:1", Text::new(text));
            let now = Now {
                unix_ms: time,
                ..Now::default()
            };
            fast.append_message(now, who, &text, true);
            let rich = FromServer::Said(Some(time), who, text.borrow());
            formatted.append(Some(&ServerLine::message(who, &text)), rich);
        }
        assert_eq!(fast.times, formatted.times);
        for dialect in [Dialect::Plain, Dialect::Rich] {
            let [one, other] =
                [&fast, &formatted].map(|transcript| read(transcript.ring(dialect), 0, u64::MAX));
            assert_eq!(one, other);
        }
    }

    #[test]
    fn each_dialect_has_its_own_ring() {
        let mut transcript = Transcript::new(10);
        say(&mut transcript, "hi");
        let plain = transcript.ring(Dialect::Plain);
        assert_eq!(read(plain, 0, plain.head()), b"from 10.0.0.1:1: hi\n");
        let rich = transcript.ring(Dialect::Rich);
        assert_eq!(read(rich, 0, rich.head()), b"SAID 7 10.0.0.1:1 hi\n");
    }

    #[test]
    fn joins_are_held_back_until_anything_else_follows() {
        let mut transcript = Transcript::new(2);
        let now = |ms| Now {
            monotonic: Duration::from_millis(ms),
            unix_ms: 7,
        };
        say(&mut transcript, "hi");
        let before = transcript.due(Dialect::Rich);
        for ms in [10, 20] {
            let join = FromServer::Leave(Some(7), "x");
            transcript.append_held(now(ms), &ServerLine::Online("x"), join);
            assert_eq!(transcript.due(Dialect::Rich), before);
            assert_eq!(transcript.held_until(), Some(Duration::from_millis(110)));
        }
        say(&mut transcript, "who is there?");
        for dialect in [Dialect::Plain, Dialect::Rich] {
            assert_eq!(transcript.due(dialect), transcript.ring(dialect).head());
        }
        assert_eq!(transcript.held_until(), None);
    }

    #[test]
    fn history_is_the_last_lines_within_a_limit() {
        let mut transcript = Transcript::new(2);
        assert_eq!(transcript.history(None).messages, 0..0);
        for text in ["one", "two", "three"] {
            say(&mut transcript, text);
        }
        let history = sent(&mut transcript, None);
        assert_eq!(history, b"SAID - 10.0.0.1:1 two\nSAID - 10.0.0.1:1 three\n");

        let mut transcript = Transcript::new(1000);
        for _ in 0..1000 {
            say(&mut transcript, &"x".repeat(4000));
        }
        let shown = sent(&mut transcript, None).len() as u64;
        assert!(
            shown <= HISTORY_BYTES_MAX && shown > HISTORY_BYTES_MAX - 5000,
            "{shown}"
        );

        // Lines of 1 KiB, which fill that part to the last byte.
        let mut transcript = Transcript::new(1000);
        for _ in 0..1000 {
            say(&mut transcript, &"x".repeat(1024 - "SAID - 10.0.0.1:1 \n".len()));
        }
        let shown = sent(&mut transcript, None).len() as u64;
        assert_eq!(shown, HISTORY_BYTES_MAX);
    }

    #[test]
    fn joins_and_leaves_push_nothing_out_of_the_history() {
        let mut transcript = Transcript::new(2);
        say(&mut transcript, "the exam is moved");
        for _ in 0..100_000 {
            transcript.append(None, FromServer::Leave(Some(8), "10.0.0.1:1"));
        }
        say(&mut transcript, "to noon");
        transcript.append(None, FromServer::Leave(Some(7), "10.0.0.1:1"));
        assert_eq!(
            sent(&mut transcript, None),
            b"SAID 7 10.0.0.1:1 the exam is moved\nSAID - 10.0.0.1:1 to noon\n"
        );
        assert_eq!(sent(&mut transcript, Some(1)), b"SAID - 10.0.0.1:1 to noon\n");
        let missed = transcript.history(Some(0)).position.missed;
        assert_eq!(missed, Some(0));
    }

    #[test]
    fn the_time_after_a_history_is_that_of_its_line() {
        for (last, shown) in [(7, "LEAVE - x\n"), (8, "LEAVE 8 x\n")] {
            let mut transcript = Transcript::new(2);
            say(&mut transcript, "hi");
            transcript.append(None, FromServer::Leave(Some(last), "x"));
            let (history, live) = (transcript.history(None), transcript.ring(Dialect::Rich).head());
            assert_eq!((history.before, history.messages.is_empty()), (None, false));
            transcript.append(None, FromServer::Leave(Some(last), "x"));
            let rich = transcript.ring(Dialect::Rich);
            assert_eq!(read(rich, live, rich.head()), shown.as_bytes());
        }
        let mut empty = Transcript::new(2);
        empty.append(None, FromServer::Leave(Some(8), "x"));
        assert_eq!(empty.history(None).before, Some(8));
    }

    #[test]
    fn a_lost_part_of_the_history_is_not_sent() {
        let mut transcript = Transcript::new(2);
        say(&mut transcript, "hi");
        let part = transcript.history(None).messages;
        for _ in 0..400 {
            say(&mut transcript, &"x".repeat(4000));
        }
        let (lines, rest) = transcript.piece(&part);
        assert!(lines.is_empty() && rest.is_empty());
    }

    #[test]
    fn a_client_gets_what_it_missed_and_hears_of_a_gap() {
        let mut transcript = Transcript::new(2);
        for number in 0..130 {
            say(&mut transcript, &number.to_string());
        }
        let mut from = |next: Option<u64>| {
            let position = transcript.history(next).position;
            let lines = String::from_utf8(sent(&mut transcript, next)).unwrap();
            let first = lines
                .split_once('\n')
                .and_then(|(line, _)| line.rsplit(' ').next()?.parse().ok());
            (first, position.next, position.missed)
        };
        assert_eq!(from(Some(3)), (Some(3), 3, Some(0)));
        assert_eq!(from(Some(130)), (None, 130, Some(0)));
        assert_eq!(from(Some(u64::MAX)), (None, 130, Some(0)));
        assert_eq!(from(None), (Some(128), 128, None));

        for _ in 0..100 {
            say(&mut transcript, &"x".repeat(4000));
        }
        let Position { next, missed } = transcript.history(Some(3)).position;
        assert_eq!(missed, Some(next - 3));
        assert!((130 + 30..230).contains(&next), "{next}");
    }

    #[test]
    fn remembered_line_starts_are_limited() {
        let mut transcript = Transcript::new(usize::MAX);
        let mut most = 0;
        for _ in 0..50_000 {
            say(&mut transcript, "x");
            most = most.max(transcript.starts.len());
        }
        let length = "SAID - 10.0.0.1:1 x\n".len() as u64;
        assert_eq!(most as u64, HISTORY_BYTES_MAX / length);
    }

    #[test]
    fn a_history_of_0_lines_is_empty() {
        let mut transcript = Transcript::new(0);
        say(&mut transcript, "hi");
        assert!(transcript.history(None).messages.is_empty());
    }

    proptest! {
        #[test]
        fn a_ring_holds_the_last_bytes_up_to_its_capacity(
            lines in prop::collection::vec(1usize..200_000, 1..20), from in any::<prop::sample::Index>()) {
            let mut ring = Ring::default();
            let mut all = Vec::new();
            for (number, length) in lines.iter().enumerate() {
                let line: Vec<u8> = (0..*length).map(|place| u8::try_from((place * 7 + number) % 251).unwrap()).collect();
                ring.append(&line);
                all.extend(line);
            }
            prop_assert_eq!(ring.head(), all.len() as u64);
            let tail = usize::try_from(ring.tail()).unwrap();
            prop_assert!(all.len() - tail <= CAPACITY);
            let from = tail + from.index(all.len() - tail);
            prop_assert_eq!(read(&ring, from as u64, ring.head()), &all[from..]);
            prop_assert!(read(&ring, 0, ring.head()) == all[tail..], "more than is held was given");
        }

        #[test]
        fn a_line_ends_after_its_line_feed(lines in prop::collection::vec("[a-z]{0,20}", 1..20), at in any::<prop::sample::Index>()) {
            let mut ring = Ring::default();
            for line in &lines {
                writeln!(ring, "{line}").unwrap();
            }
            let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
            let at = at.index(text.len());
            let expected = if at == 0 || text.as_bytes()[at - 1] == b'\n' { at } else { at + text[at..].find('\n').unwrap() + 1 };
            prop_assert_eq!(ring.line_end(at as u64), expected as u64);
        }
    }
}
