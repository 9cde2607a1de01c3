//! Splits the stream of an original server, which has no line ends, into its lines.

use chat_proto::id::UserId;
use chat_proto::line::whole_characters;
use chat_proto::text::Text;
use chat_proto::{SERVER_LINE_MAX, now::Now};
use std::time::Duration;

/// The longest text, in bytes, that an original server handles safely. A longer one overwrites other users' data.
pub(in crate::session) const SAFE_TEXT_MAX: usize = 41;

/// Silence that ends a line. The server sends each line at once, so the rest of a cut line arrives sooner.
const QUIET: Duration = Duration::from_millis(30);

/// A line of the server.
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
    /// Any other line.
    Other(Text<'static>),
}

/// Splits the stream.
#[derive(Debug, Default)]
pub(in crate::session) struct Decoder {
    /// An incomplete line. At most [`SERVER_LINE_MAX`] bytes between calls.
    pending: Vec<u8>,
    /// When its last byte arrived.
    last: Duration,
}

impl Decoder {
    /// Takes bytes, and returns the lines that they complete.
    pub(in crate::session) fn decode(&mut self, bytes: &[u8], now: Now) -> Vec<LegacyLine> {
        self.pending.extend_from_slice(bytes);
        self.last = now.monotonic;
        let mut heard = self.drain(self.pending.len(), false);
        if self.pending.len() > SERVER_LINE_MAX {
            heard.extend(self.drain(self.pending.len(), true));
        }
        heard
    }

    /// When [`Decoder::tick`] is due.
    pub(in crate::session) fn deadline(&self) -> Option<Duration> {
        (!self.pending.is_empty()).then_some(self.last + QUIET)
    }

    /// After enough silence, returns the incomplete line, up to its last whole character.
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

    /// Returns the rest: the stream has ended.
    pub(in crate::session) fn finish(&mut self) -> Vec<LegacyLine> {
        self.drain(self.pending.len(), true)
    }

    /// Takes the lines out of the first `limit` bytes. The last of them may go on, unless `is_final`.
    fn drain(&mut self, limit: usize, is_final: bool) -> Vec<LegacyLine> {
        let mut heard = Vec::new();
        let mut done = 0;
        while let Some(rest) = self.pending.get(done..limit).filter(|rest| !rest.is_empty()) {
            let (said, length) = first(rest);
            let at_the_end = length == rest.len() && !rest.ends_with(b"\n");
            if at_the_end && !is_final && matches!(said, Some(LegacyLine::Said(..) | LegacyLine::Other(_))) {
                break;
            }
            heard.extend(said);
            done += length;
        }
        self.pending.drain(..done);
        heard
    }
}

/// The first line in these bytes, unless it is empty, and its length.
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
    // A line feed belongs to the line before it.
    let taken = text_end + usize::from(text_end == line_end && line_end < bytes.len());
    (heard, taken)
}

/// The start of a line.
enum Head {
    From(UserId),
    Notice(LegacyLine),
}

impl Head {
    /// Reads the start of a line, and its length.
    fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        if bytes.starts_with(b"a user left") {
            return Some((Self::Notice(LegacyLine::SomeoneLeft), b"a user left".len()));
        }
        if bytes.starts_with(b"too many users") {
            return Some((Self::Notice(LegacyLine::Full), b"too many users".len()));
        }
        Self::read_with_id(bytes)
    }

    /// The same, but only for starts that contain an id: a user's text hardly ever contains these.
    fn read_with_id(bytes: &[u8]) -> Option<(Self, usize)> {
        if let Some(rest) = bytes.strip_prefix(b"from ") {
            let (id, length) = id_at(rest)?;
            rest.get(length..)?.starts_with(b": ").then_some(())?;
            return Some((Self::From(id), b"from ".len() + length + b": ".len()));
        }
        let (id, length) = id_at(bytes)?;
        let rest = bytes.get(length..)?;
        let (line, end) = if rest.starts_with(b" is online") {
            (LegacyLine::Online(id), " is online".len())
        } else {
            rest.starts_with(b" is offline").then_some(())?;
            (LegacyLine::Offline(id), " is offline".len())
        };
        Some((Self::Notice(line), length + end))
    }
}

/// The id at the front, and its length. Original servers have IPv4 only.
fn id_at(bytes: &[u8]) -> Option<(UserId, usize)> {
    // Nearly all bytes of a text end here.
    bytes.first().filter(|byte| byte.is_ascii_digit())?;
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

/// The length of a text before the next line that is glued to it. After a space, it is a quotation.
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

/// The text without the zeros around it: original programs send buffers of fixed size.
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
    fn glued_lines_are_split_wherever_the_network_cut_them() {
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
    fn an_unterminated_text_is_shown_after_a_silence() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"from 10.0.0.1:1: hel", at(100)), []);
        assert_eq!(decoder.decode(b"lo", at(120)), []);
        assert_eq!(decoder.deadline(), Some(Duration::from_millis(150)));
        assert_eq!(decoder.tick(at(149)), []);
        assert_eq!(decoder.tick(at(150)), [said("10.0.0.1:1", "hello")]);
        assert_eq!(decoder.deadline(), None);
    }

    #[test]
    fn a_character_is_cut_only_if_its_end_never_arrives() {
        let mut decoder = Decoder::default();
        decoder.decode(b"from 10.0.0.1:1: a\xE4\xB8", at(0));
        assert_eq!(decoder.tick(at(30)), [said("10.0.0.1:1", "a")]);
        assert_eq!(decoder.tick(at(60)), [LegacyLine::Other(Text::new("\u{FFFD}"))]);
        assert_eq!(decoder.deadline(), None);
    }

    #[test]
    fn quoted_lines_are_not_split() {
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
    fn bytes_that_are_not_text_are_made_safe() {
        assert_eq!(
            heard(&[b"from 10.0.0.1:1: \xFF\x1B[2J\0\0\0"]),
            [said("10.0.0.1:1", "\u{FFFD}␛[2J")]
        );
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut decoder = Decoder::default();
        let mut shown = 0;
        for _ in 0..100 {
            shown += decoder.decode(&[b'x'; 4096], at(0)).len();
            assert!(decoder.pending.len() <= SERVER_LINE_MAX);
        }
        assert!(shown > 10);
    }
}
