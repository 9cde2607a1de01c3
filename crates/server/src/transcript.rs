//! Everything that was broadcast: a log in memory that every connection reads at its own pace.

use chat_proto::now::Now;
use chat_proto::plain::{ServerLine, from};
use chat_proto::rich::{FromServer, said};
use chat_proto::text::Text;
use chat_proto::times::Times;
use std::collections::VecDeque;
use std::fmt::{self, Display, Write};

/// Bytes in each ring. At ten lines of 100 bytes a second that is a quarter of an hour; a larger ring did not make a
/// flooded room faster.
pub const CAPACITY: usize = 1 << 20;

/// The largest part of the ring that a newcomer's history may take, so that no newcomer starts as the slowest reader.
const HISTORY_BYTES_MAX: u64 = (CAPACITY / 4) as u64;

/// The two languages a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// For people at `nc`, scripts, and the lab's original programs.
    Plain,
    /// For `chat-client`.
    Rich,
}

/// An append-only log of bytes that keeps the last [`CAPACITY`].
///
/// Offsets are absolute: they count from the first byte ever appended and are never reused.
/// Invariant: `tail() <= head()`, `head() - tail() <= CAPACITY`.
#[derive(Debug)]
pub struct Ring {
    /// The byte at absolute offset `o` is at `o % CAPACITY`.
    bytes: Box<[u8]>,
    head: u64,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            bytes: vec![0; CAPACITY].into(),
            head: 0,
        }
    }
}

impl Ring {
    /// The offset of the next byte.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.head
    }

    /// The oldest offset that is still held.
    #[must_use]
    pub fn tail(&self) -> u64 {
        self.head.saturating_sub(CAPACITY as u64)
    }

    /// The bytes held from one offset up to another, in two slices because they may wrap around.
    #[must_use]
    pub fn between(&self, from: u64, to: u64) -> [&[u8]; 2] {
        let to = to.min(self.head);
        let from = from.max(self.tail()).min(to);
        let length = usize::try_from(to - from).unwrap_or(CAPACITY);
        let start = place(from);
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

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let start = place(self.head);
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

/// The index of an absolute offset.
fn place(offset: u64) -> usize {
    usize::try_from(offset % CAPACITY as u64).unwrap_or_default()
}

/// Where a line of the rich ring begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The offset of its first byte.
    pub offset: u64,
    /// The last time written before it.
    pub times: Times,
}

/// A ring for each dialect, and where the history of the rich one begins.
#[derive(Debug)]
pub struct Transcript {
    plain: Ring,
    rich: Ring,
    /// The last time written to the rich ring.
    times: Times,
    /// The last lines of the rich ring: at most `history`, and within [`HISTORY_BYTES_MAX`].
    starts: VecDeque<Start>,
    history: usize,
}

impl Transcript {
    /// An empty transcript, of which newcomers see the last `history` lines.
    #[must_use]
    pub fn new(history: usize) -> Self {
        Self {
            plain: Ring::default(),
            rich: Ring::default(),
            times: Times::default(),
            starts: VecDeque::new(),
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

    /// Appends an event to the ring of each dialect that has a line for it.
    pub fn append<W: Display>(&mut self, plain: Option<&ServerLine<'_, W>>, mut rich: FromServer<'_, W>) {
        let start = self.head();
        self.times.shorten(&mut rich);
        // Writing to the ring can't fail.
        let _ = writeln!(self.rich, "{rich}");
        self.note_line(start);
        if let Some(plain) = plain {
            let _ = writeln!(self.plain, "{plain}");
        }
    }

    /// Appends a message, to the plain ring too if anybody reads that. Most lines are messages, so these are copied
    /// piece by piece: `core::fmt` would take most of the server's time.
    pub fn append_message(&mut self, now: Now, who: &str, text: &Text<'_>, has_plain: bool) {
        let start = self.head();
        let time = self.times.shorten_time(now.unix_ms).map(|time| time.to_string());
        for piece in said(time.as_deref(), who, text) {
            self.rich.append(piece.as_bytes());
        }
        self.note_line(start);
        if has_plain {
            for piece in from(who, text) {
                self.plain.append(piece.as_bytes());
            }
        }
    }

    /// Takes note of a line of the rich ring, for the history.
    fn note_line(&mut self, start: Start) {
        if self.history > 0 {
            if self.starts.len() == self.history {
                self.starts.pop_front();
            }
            self.starts.push_back(start);
        }
        let oldest = self.rich.head.saturating_sub(HISTORY_BYTES_MAX);
        while self.starts.front().is_some_and(|start| start.offset < oldest) {
            self.starts.pop_front();
        }
    }

    /// Where the history for a newcomer begins.
    #[must_use]
    pub fn history_start(&self) -> Start {
        self.starts.front().copied().unwrap_or_else(|| self.head())
    }

    /// Where the next line of the rich ring begins.
    fn head(&self) -> Start {
        Start {
            offset: self.rich.head,
            times: self.times,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(ring: &Ring, from: u64, to: u64) -> Vec<u8> {
        ring.between(from, to).concat()
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
        for (time, text) in [(7, "hi"), (7, ""), (u64::MAX, "你好: x"), (8, "y")] {
            let (who, text) = ("alice@10.0.0.1:1", Text::new(text));
            let now = Now {
                unix_ms: time,
                ..Now::default()
            };
            fast.append_message(now, who, &text, true);
            let rich = FromServer::Said(Some(time), who, text.borrow());
            formatted.append(Some(&ServerLine::From(who, text.borrow())), rich);
            assert_eq!(fast.history_start(), formatted.history_start());
        }
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
    fn history_is_the_last_lines_within_a_limit() {
        let mut transcript = Transcript::new(2);
        assert_eq!(transcript.history_start().offset, 0);
        for text in ["one", "two", "three"] {
            say(&mut transcript, text);
        }
        let rich = transcript.ring(Dialect::Rich);
        let history = read(rich, transcript.history_start().offset, rich.head());
        assert_eq!(history, b"SAID - 10.0.0.1:1 two\nSAID - 10.0.0.1:1 three\n");

        let mut transcript = Transcript::new(1000);
        for _ in 0..1000 {
            say(&mut transcript, &"x".repeat(4000));
        }
        let shown = transcript.ring(Dialect::Rich).head() - transcript.history_start().offset;
        assert!(
            shown <= HISTORY_BYTES_MAX && shown > HISTORY_BYTES_MAX - 5000,
            "{shown}"
        );

        // Lines of 1 KiB, which fill that part to the last byte.
        let mut transcript = Transcript::new(1000);
        for _ in 0..1000 {
            say(&mut transcript, &"x".repeat(1024 - "SAID - 10.0.0.1:1 \n".len()));
        }
        let shown = transcript.ring(Dialect::Rich).head() - transcript.history_start().offset;
        assert_eq!(shown, HISTORY_BYTES_MAX);
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
        assert_eq!(
            transcript.history_start().offset,
            transcript.ring(Dialect::Rich).head()
        );
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
