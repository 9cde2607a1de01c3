//! Input of one connection that is not processed yet.

use crate::compact::Timestamp;
use crate::telnet::Telnet;
use chat_proto::LINE_MAX;
use chat_proto::line::{Line, LineDecoder, whole_characters};
use chat_proto::rich::may_begin_client;
use std::time::Duration;

/// After this much silence, what a plain connection has sent without a line feed is a message, until the connection has
/// sent line feeds: the lab's original client never does, and sends each message at once. Its fastest messages are 2 to
/// 62 ms apart, and the pieces of a long one less than 0.1 ms.
const UNFRAMED_SILENCE: Duration = Duration::from_millis(30);

/// The same for a connection that does send line feeds or single keys, and for input that is likely to continue: part of
/// a character, part of a handshake, and a line over the limit.
const FRAMED_SILENCE: Duration = Duration::from_secs(1);

/// Turns the bytes of one connection into lines.
///
/// Memory: less than [`LINE_MAX`] bytes of a partial line, and in `waiting` at most what one read returned, because
/// nothing is read while something waits. Between lines there is neither.
#[derive(Debug, Default)]
pub struct Inbox {
    rest: Option<Box<Rest>>,
    /// For a plain connection.
    pub(crate) telnet: Telnet,
    framing: Framing,
    /// The first line is complete.
    has_line: bool,
    /// See [`Inbox::is_unframed`].
    unframed: bool,
    last_byte: Timestamp,
}

/// How a peer ends its lines, as far as it has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Framing {
    /// Its lines have begun with one character at a time, as Windows' telnet sends each key.
    #[default]
    Keys,
    /// A line has begun with several characters at once, which may be all of it.
    Texts,
    /// A read has ended in a line feed.
    Lines,
}

/// Input that is not processed yet.
#[derive(Debug)]
struct Rest {
    /// Holds the partial line.
    decoder: LineDecoder,
    /// Bytes that the rate limit or back-pressure holds back.
    waiting: Box<[u8]>,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            decoder: LineDecoder::new(LINE_MAX),
            waiting: Box::default(),
        }
    }
}

impl Inbox {
    /// Whether bytes wait to be processed. While they do, no more may be read.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| !rest.waiting.is_empty())
    }

    /// Takes note that these bytes were received.
    pub fn received(&mut self, now: Duration, bytes: &[u8]) {
        self.last_byte = now.into();
        let begins = !self.rest.as_ref().is_some_and(|rest| rest.decoder.in_a_line());
        if bytes.ends_with(b"\n") {
            self.framing = Framing::Lines;
        } else if self.framing == Framing::Keys
            && begins
            && !self.telnet.negotiates()
            && has_several_characters(bytes)
        {
            self.framing = Framing::Texts;
        }
        self.unframed &= !bytes.contains(&b'\n');
    }

    /// Whether the peer is a program that sends texts without line feeds, like the lab's original client: silence ended its
    /// first line, a whole text, and no line feed has followed. Keys that come one by one are those of a telnet client.
    #[must_use]
    pub fn is_unframed(&self) -> bool {
        self.unframed
    }

    /// When bytes were last received.
    #[must_use]
    pub fn last_received(&self) -> Duration {
        self.last_byte.get()
    }

    /// The partial line. The first one tells the dialects apart.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        self.rest.as_ref().map_or(&[], |rest| rest.decoder.pending())
    }

    /// The partial line and these bytes, as far as `max`.
    #[must_use]
    pub fn head(&self, bytes: &[u8], max: usize) -> Vec<u8> {
        self.partial().iter().chain(bytes).take(max).copied().collect()
    }

    /// Takes the bytes that wait, for the caller to pass to [`Inbox::next`].
    pub fn take_waiting(&mut self) -> Box<[u8]> {
        self.rest
            .as_mut()
            .map(|rest| std::mem::take(&mut rest.waiting))
            .unwrap_or_default()
    }

    /// Stores what the caller may not process yet. To be called after the last [`Inbox::next`].
    pub fn keep(&mut self, waiting: &[u8]) {
        debug_assert!(!self.is_waiting(), "something waits already");
        if !waiting.is_empty() {
            self.rest.get_or_insert_default().waiting = waiting.into();
        }
        self.forget_if_empty();
    }

    fn forget_if_empty(&mut self) {
        self.rest
            .take_if(|rest| !rest.decoder.in_a_line() && rest.waiting.is_empty());
    }

    /// The next line in these bytes, see [`LineDecoder::next`].
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<Line<'a>> {
        let line = self.rest.get_or_insert_default().decoder.next(input);
        self.has_line |= line.is_some();
        line
    }

    /// When silence ends the partial line, if this is a plain connection.
    #[must_use]
    pub fn silence_ends_line_at(&self) -> Option<Duration> {
        let decoder = &self.rest.as_ref()?.decoder;
        if !decoder.in_a_line() {
            return None;
        }
        let pending = decoder.pending();
        let whole = whole_characters(pending);
        let only_a_fragment = whole == 0 && !pending.is_empty();
        // Nothing of a line over the limit is pending. No program that leaves out line feeds writes that much, and
        // after a short pause the rest would be rejected again, or become a message.
        let was_refused = pending.is_empty();
        // Part of a HELLO may hold the client's secrets, so a short pause must not make it a message. The same
        // holds for its first letters: if they became a message, the rest would become one too.
        let of_a_client = !self.has_line && may_begin_client(pending);
        let is_text = self.framing == Framing::Texts;
        let may_go_on = !is_text || was_refused || whole < pending.len() || of_a_client;
        let silence = if may_go_on {
            FRAMED_SILENCE
        } else {
            UNFRAMED_SILENCE
        };
        (!only_a_fragment).then(|| self.last_byte.get() + silence)
    }

    /// Ends the partial line, because of silence.
    pub fn end_line(&mut self) -> Vec<u8> {
        let is_first = !self.has_line;
        let line = self.end(LineDecoder::end_line);
        let is_text = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        let is_whole = self.framing == Framing::Texts && str::from_utf8(&line).is_ok_and(is_text);
        self.unframed |= is_first && is_whole;
        line
    }

    /// Ends the partial line, because no more input comes.
    pub fn finish(&mut self) -> Vec<u8> {
        self.end(LineDecoder::finish)
    }

    fn end(&mut self, end: fn(&mut LineDecoder) -> Vec<u8>) -> Vec<u8> {
        let Some(rest) = &mut self.rest else {
            return Vec::new();
        };
        let line = end(&mut rest.decoder);
        self.has_line |= !line.is_empty();
        self.forget_if_empty();
        line
    }
}

fn has_several_characters(bytes: &[u8]) -> bool {
    match str::from_utf8(bytes) {
        Ok(text) => text.chars().nth(1).is_some(),
        Err(_) => bytes.len() > 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_stored_between_lines() {
        let mut inbox = Inbox::default();
        after(&mut inbox, 100, b"hel");
        inbox.keep(b"");
        assert!(inbox.rest.is_some());
        after(&mut inbox, 110, b"lo\n");
        inbox.keep(b"");
        assert!(inbox.rest.is_none());
        after(&mut inbox, 120, b"hello");
        assert_eq!(inbox.end_line(), b"hello");
        assert!(inbox.rest.is_none());
    }

    fn after(inbox: &mut Inbox, at_ms: u64, bytes: &[u8]) -> Option<u64> {
        inbox.received(Duration::from_millis(at_ms), bytes);
        let mut input = bytes;
        while inbox.next(&mut input).is_some() {}
        inbox
            .silence_ends_line_at()
            .map(|at| u64::try_from(at.as_millis()).unwrap())
    }

    #[test]
    fn without_line_feeds_30_ms_of_silence_end_a_line() {
        let mut inbox = Inbox::default();
        assert_eq!(after(&mut inbox, 100, b"hel"), Some(130));
        assert_eq!(after(&mut inbox, 110, b"lo"), Some(140));
        assert_eq!(inbox.end_line(), b"hello");
        assert_eq!(inbox.silence_ends_line_at(), None);
    }

    #[test]
    fn after_a_line_feed_1_s_of_silence_ends_a_line() {
        let mut inbox = Inbox::default();
        assert_eq!(after(&mut inbox, 100, b"hello\n"), None);
        assert_eq!(after(&mut inbox, 200, b"wor"), Some(1200));
    }

    #[test]
    fn keys_that_come_one_by_one_wait_1_s() {
        let mut inbox = Inbox::default();
        assert_eq!(after(&mut inbox, 100, b"h"), Some(1100));
        // Keys that the network has put together.
        assert_eq!(after(&mut inbox, 300, "\u{e9}l".as_bytes()), Some(1300));
        assert_eq!(inbox.end_line(), "h\u{e9}l".as_bytes());
        assert_eq!(after(&mut inbox, 2000, "\u{4e2d}".as_bytes()), Some(3000));
        assert_eq!(inbox.end_line(), "\u{4e2d}".as_bytes());
        // A whole text: this is no typist, so its short texts need not wait either.
        assert_eq!(after(&mut inbox, 4000, b"ok"), Some(4030));
        assert_eq!(inbox.end_line(), b"ok");
        assert_eq!(after(&mut inbox, 5000, b"y"), Some(5030));
    }

    #[test]
    fn a_text_without_line_feed_as_the_first_line_is_unframed() {
        let inputs: [(&[&[u8]], bool); 8] = [
            (&[b"hello"], true),
            (&[b"hello", b"again"], true),
            (&[b"hello", b"again\nand"], false),
            (&[b"hello\n", b"again"], false),
            (&[b"hello\nagain"], false),
            (&[b"h", b"ello"], false),
            (&[b"hello\r"], false),
            (&[b"\xFF\xFB\x1F"], false),
        ];
        for (pieces, is_unframed) in inputs {
            let mut inbox = Inbox::default();
            for piece in pieces {
                after(&mut inbox, 100, piece);
                inbox.end_line();
            }
            assert_eq!(inbox.is_unframed(), is_unframed, "{pieces:?}");
        }
        let mut inbox = Inbox::default();
        after(&mut inbox, 100, b"last words");
        inbox.finish();
        assert!(!inbox.is_unframed(), "no silence ended it");
    }

    #[test]
    fn part_of_a_character_is_never_cut() {
        let mut inbox = Inbox::default();
        assert_eq!(after(&mut inbox, 100, b"a\xE4\xB8"), Some(1100));
        assert_eq!(inbox.end_line(), b"a");
        assert_eq!(
            inbox.silence_ends_line_at(),
            None,
            "a fragment alone would wake the room for nothing"
        );
        assert_eq!(after(&mut inbox, 2000, b"\xAD"), Some(2030));
        assert_eq!(inbox.end_line(), "中".as_bytes());
    }

    #[test]
    fn part_of_a_handshake_waits_1_s() {
        let line = b"SEAL 1 BQUFBQ";
        for end in 1..=line.len() {
            let begun = &line[..end];
            assert_eq!(after(&mut Inbox::default(), 100, begun), Some(1100), "{begun:?}");
        }
        assert_eq!(after(&mut Inbox::default(), 100, b"SEAT"), Some(130));
        // A connection whose first line was something else is not that of a client.
        let mut inbox = Inbox::default();
        after(&mut inbox, 100, b"hi");
        assert_eq!(inbox.end_line(), b"hi");
        assert_eq!(after(&mut inbox, 200, b"SEAL 1"), Some(230));
    }

    #[test]
    fn silence_of_1_s_ends_an_endless_line() {
        let mut inbox = Inbox::default();
        assert_eq!(after(&mut inbox, 100, &[b'x'; 5000]), Some(1100));
        assert_eq!(after(&mut inbox, 1000, &[b'x'; 5000]), Some(2000));
        assert_eq!(inbox.end_line(), b"");
        assert_eq!(after(&mut inbox, 2000, b"short"), Some(2030));
        assert_eq!(inbox.end_line(), b"short");
    }
}
