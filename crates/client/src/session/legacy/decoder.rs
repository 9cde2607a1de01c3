//! Takes apart what an original server says: no line feeds, several utterances at once, or half a one.

use chat_proto::id::UserId;
use chat_proto::line::whole_characters;
use chat_proto::text::Text;
use chat_proto::{SERVER_LINE_MAX, now::Now};
use std::time::Duration;

/// The longest text, in bytes, that an original server handles without harm: with the next byte it
/// begins to overwrite the data of other users.
pub(in crate::session) const SAFE_TEXT_MAX: usize = 41;

/// Silence that ends an utterance. The server sends each in one piece, so that what was cut on the way comes
/// together sooner.
const QUIET: Duration = Duration::from_millis(30);

/// One thing that the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::session) enum LegacyLine {
    /// `<id> is online`
    Online(UserId),
    /// `<id> is offline`
    Offline(UserId),
    /// `a user left`
    SomeoneLeft,
    /// `too many users`
    Full,
    /// `from <id>: <text>`
    Said(UserId, Text<'static>),
    /// None of these.
    Other(Text<'static>),
}

/// Takes the stream of an original server apart.
#[derive(Debug, Default)]
pub(in crate::session) struct Decoder {
    /// An utterance that has begun. At most [`SERVER_LINE_MAX`] bytes between calls.
    pending: Vec<u8>,
    /// When the last byte of it came.
    last: Duration,
}

impl Decoder {
    /// Takes bytes in, and answers with what is complete.
    pub(in crate::session) fn decode(&mut self, bytes: &[u8], now: Now) -> Vec<LegacyLine> {
        self.pending.extend_from_slice(bytes);
        self.last = now.monotonic;
        let mut heard = self.drain(self.pending.len(), false);
        if self.pending.len() > SERVER_LINE_MAX {
            heard.extend(self.drain(self.pending.len(), true));
        }
        heard
    }

    /// When to call [`Decoder::tick`].
    pub(in crate::session) fn deadline(&self) -> Option<Duration> {
        (!self.pending.is_empty()).then_some(self.last + QUIET)
    }

    /// Answers with what has begun and was silent for long enough to be complete, but never
    /// with a part of a character whose other part may still come.
    pub(in crate::session) fn tick(&mut self, now: Now) -> Vec<LegacyLine> {
        if self.deadline().is_none_or(|deadline| now.monotonic < deadline) {
            return Vec::new();
        }
        self.last = now.monotonic;
        match whole_characters(&self.pending) {
            0 => self.finish(),
            whole => self.drain(whole, true),
        }
    }

    /// Answers with all that is left: nothing more will come.
    pub(in crate::session) fn finish(&mut self) -> Vec<LegacyLine> {
        self.drain(self.pending.len(), true)
    }

    /// Takes utterances off the front of the first `limit` bytes. The last one of them may go on,
    /// unless all is said.
    fn drain(&mut self, limit: usize, all_is_said: bool) -> Vec<LegacyLine> {
        let mut heard = Vec::new();
        let mut done = 0;
        while let Some(rest) = self.pending.get(done..limit).filter(|rest| !rest.is_empty()) {
            let (said, length) = first(rest);
            let at_the_end = length == rest.len() && !rest.ends_with(b"\n");
            if at_the_end && !all_is_said && matches!(said, Some(LegacyLine::Said(..) | LegacyLine::Other(_)))
            {
                break;
            }
            heard.extend(said);
            done += length;
        }
        self.pending.drain(..done);
        heard
    }
}

/// The first utterance in some bytes, if there is one before the line feed, and how many bytes it takes.
fn first(bytes: &[u8]) -> (Option<LegacyLine>, usize) {
    let line_end = bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(bytes.len());
    let line = bytes.get(..line_end).unwrap_or_default();
    let (head, text_start) = match Head::read(line) {
        Some((head, length)) => (Some(head), length),
        None => (None, 0),
    };
    let text_end = match head {
        Some(Head::From(_)) | None => text_start + text_length(line.get(text_start..).unwrap_or_default()),
        Some(Head::Notice(_)) => text_start,
    };
    let text = shown(line.get(text_start..text_end).unwrap_or_default());
    let heard = match head {
        Some(Head::From(id)) => Some(LegacyLine::Said(id, text)),
        Some(Head::Notice(notice)) => Some(notice),
        None => (!text.is_blank()).then_some(LegacyLine::Other(text)),
    };
    // The line feed belongs to the utterance before it.
    let taken = text_end + usize::from(text_end == line_end && line_end < bytes.len());
    (heard, taken)
}

/// What an utterance begins with.
enum Head {
    From(UserId),
    Notice(LegacyLine),
}

impl Head {
    /// Reads what stands at the front, and how many bytes it takes.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        if bytes.starts_with(b"a user left") {
            return Some((Self::Notice(LegacyLine::SomeoneLeft), b"a user left".len()));
        }
        if bytes.starts_with(b"too many users") {
            return Some((Self::Notice(LegacyLine::Full), b"too many users".len()));
        }
        Self::read_with_id(bytes)
    }

    /// The same, of those that hold an id and so are hardly ever part of what somebody writes.
    fn read_with_id(bytes: &[u8]) -> Option<(Self, usize)> {
        if let Some(rest) = bytes.strip_prefix(b"from ") {
            let (id, length) = id_at(rest)?;
            rest.get(length..)?.starts_with(b": ").then_some(())?;
            return Some((Self::From(id), b"from ".len() + length + b": ".len()));
        }
        let (id, length) = id_at(bytes)?;
        let rest = bytes.get(length..)?;
        if rest.starts_with(b" is online") {
            Some((Self::Notice(LegacyLine::Online(id)), length + b" is online".len()))
        } else if rest.starts_with(b" is offline") {
            Some((
                Self::Notice(LegacyLine::Offline(id)),
                length + b" is offline".len(),
            ))
        } else {
            None
        }
    }
}

/// The id at the front, and how many bytes it takes. Original servers have IPv4 only.
fn id_at(bytes: &[u8]) -> Option<(UserId, usize)> {
    let part_of_one = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b':');
    let longest = "255.255.255.255:65535".len();
    let length = bytes
        .iter()
        .take(longest + 1)
        .take_while(|&byte| part_of_one(byte))
        .count();
    // The colon of `from <id>: ` is part of no id.
    let run = bytes.get(..length)?;
    let run = run.strip_suffix(b":").unwrap_or(run);
    let id = std::str::from_utf8(run).ok()?.parse().ok()?;
    Some((id, run.len()))
}

/// How far a text goes before another utterance is glued to it. After a space it would not be glued
/// but quoted.
fn text_length(text: &[u8]) -> usize {
    let mut place = 1;
    while let Some(rest) = text.get(place..).filter(|rest| !rest.is_empty()) {
        let quoted = text.get(place - 1) == Some(&b' ');
        match Head::read_with_id(rest) {
            Some(_) if !quoted => return place,
            Some((_, length)) => place += length,
            None => place += 1,
        }
    }
    text.len()
}

/// Original programs write texts from buffers of fixed size, and what is left of those may come
/// along as zeros.
fn shown(text: &[u8]) -> Text<'static> {
    let end = text
        .iter()
        .rposition(|&byte| !matches!(byte, 0 | b'\r'))
        .map_or(0, |last| last + 1);
    let begin = text.iter().position(|&byte| byte != 0).unwrap_or(0);
    Text::from_bytes(text.get(begin..end).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now {
            monotonic: Duration::from_millis(ms),
            unix_ms: 0,
        }
    }

    fn id(text: &str) -> UserId {
        text.parse().unwrap()
    }

    fn said(from: &str, text: &str) -> LegacyLine {
        LegacyLine::Said(id(from), Text::new(text).into_owned())
    }

    fn heard(pieces: &[&[u8]]) -> Vec<LegacyLine> {
        let mut decoder = Decoder::default();
        let mut heard: Vec<LegacyLine> = pieces
            .iter()
            .flat_map(|piece| decoder.decode(piece, at(0)))
            .collect();
        heard.extend(decoder.tick(at(30)));
        assert_eq!(decoder.deadline(), None);
        heard
    }

    #[test]
    fn glued_utterances_come_apart_wherever_the_network_cut_them() {
        let stream = b"10.0.0.1:1 is online10.0.0.2:2 is onlinefrom 10.0.0.1:1: hi: you\
            from 10.0.0.2:2: \xC3\xA9510.0.0.3:3 is offlinea user leftfrom 10.0.0.1:1: a\nb\n";
        let expected = vec![
            LegacyLine::Online(id("10.0.0.1:1")),
            LegacyLine::Online(id("10.0.0.2:2")),
            said("10.0.0.1:1", "hi: you"),
            said("10.0.0.2:2", "é5"),
            LegacyLine::Offline(id("10.0.0.3:3")),
            LegacyLine::SomeoneLeft,
            said("10.0.0.1:1", "a"),
            LegacyLine::Other(Text::new("b")),
        ];
        for cut in 0..=stream.len() {
            assert_eq!(heard(&[&stream[..cut], &stream[cut..]]), expected, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(heard(&bytes), expected);
    }

    #[test]
    fn a_text_is_shown_when_it_stays_unterminated() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"from 10.0.0.1:1: hel", at(100)), []);
        assert_eq!(decoder.decode(b"lo", at(120)), []);
        assert_eq!(decoder.deadline(), Some(Duration::from_millis(150)));
        assert_eq!(decoder.tick(at(149)), []);
        assert_eq!(decoder.tick(at(150)), [said("10.0.0.1:1", "hello")]);
        assert_eq!(decoder.deadline(), None);
    }

    #[test]
    fn a_character_is_not_cut_unless_its_end_never_comes() {
        let mut decoder = Decoder::default();
        decoder.decode(b"from 10.0.0.1:1: a\xE4\xB8", at(0));
        assert_eq!(decoder.tick(at(30)), [said("10.0.0.1:1", "a")]);
        assert_eq!(decoder.tick(at(60)), [LegacyLine::Other(Text::new("\u{FFFD}"))]);
        assert_eq!(decoder.deadline(), None);
    }

    #[test]
    fn what_is_quoted_is_not_taken_apart() {
        for text in [
            "see: from 10.0.0.1:1: hi",
            "a 10.0.0.1:1 is online",
            "panama user left",
        ] {
            let stream = format!("from 10.0.0.2:2: {text}");
            assert_eq!(heard(&[stream.as_bytes()]), [said("10.0.0.2:2", text)]);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_made_safe() {
        assert_eq!(
            heard(&[b"from 10.0.0.1:1: \xFF\x1B[2J\0\0\0"]),
            [said("10.0.0.1:1", "\u{FFFD}␛[2J")]
        );
    }

    #[test]
    fn an_endless_utterance_takes_no_memory() {
        let mut decoder = Decoder::default();
        let mut shown = 0;
        for _ in 0..100 {
            shown += decoder.decode(&[b'x'; 4096], at(0)).len();
            assert!(decoder.pending.len() <= SERVER_LINE_MAX);
        }
        assert!(shown > 10);
    }
}
