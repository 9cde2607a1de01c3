//! Splits a stream of bytes into lines.

use std::io::BufRead;

/// What [`LineDecoder::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// The bytes of one line, without its line feed and the carriage return before it, if any.
    Whole(&'a [u8]),
    /// A line exceeds the limit. Returned once, as soon as it does; the rest of that line is skipped.
    TooLong,
}

/// Splits a stream of bytes into lines, however the network has split it.
///
/// It stores only a partial line, of less than `max` bytes, and nothing between lines.
#[derive(Debug)]
pub struct LineDecoder {
    /// Bytes in one line at most, its line feed included.
    max: usize,
    /// The partial line. `partial.len() < max`.
    partial: Vec<u8>,
    /// `partial` was returned as a whole line and is to be dropped.
    spent: bool,
    /// Inside a line over the limit: skip to its end.
    skipping: bool,
}

impl LineDecoder {
    /// A decoder for lines of at most `max` bytes, their line feed included.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            partial: Vec::new(),
            spent: false,
            skipping: false,
        }
    }

    /// Takes the next line off the front of `input`. `None` means that all of `input` is taken and more is needed; what
    /// remains in `input` is for the next call.
    pub fn next<'a, 'i: 'a>(&'a mut self, input: &mut &'i [u8]) -> Option<Line<'a>> {
        if self.spent {
            self.partial = Vec::new();
            self.spent = false;
        }
        loop {
            let Some(end) = line_feed(input) else {
                return self.keep(std::mem::take(input));
            };
            let (line, rest) = input.split_at(end);
            *input = rest.get(1..).unwrap_or_default();
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if self.partial.len() + line.len() >= self.max {
                self.partial = Vec::new();
                return Some(Line::TooLong);
            }
            if self.partial.is_empty() {
                return Some(Line::Whole(strip_cr(line)));
            }
            self.partial.extend_from_slice(line);
            self.spent = true;
            return Some(Line::Whole(strip_cr(&self.partial)));
        }
    }

    /// Stores the start of a partial line.
    fn keep(&mut self, begun: &[u8]) -> Option<Line<'static>> {
        if self.skipping {
            return None;
        }
        if self.partial.len() + begun.len() >= self.max {
            self.partial = Vec::new();
            self.skipping = true;
            return Some(Line::TooLong);
        }
        self.partial.extend_from_slice(begun);
        None
    }

    /// The bytes of the partial line.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        if self.spent { &[] } else { &self.partial }
    }

    /// Whether there is a partial line, possibly over the limit.
    #[must_use]
    pub fn in_a_line(&self) -> bool {
        self.skipping || !self.pending().is_empty()
    }

    /// Ends the partial line for a peer that sends no line feeds. Takes what is pending, but leaves an incomplete UTF-8
    /// character at its end.
    pub fn end_line(&mut self) -> Vec<u8> {
        self.skipping = false;
        let cut = whole_characters(self.pending());
        if std::mem::take(&mut self.spent) {
            self.partial = Vec::new();
        }
        let rest = self.partial.split_off(cut);
        std::mem::replace(&mut self.partial, rest)
    }

    /// Ends the partial line at the end of input: takes all that is pending.
    pub fn finish(&mut self) -> Vec<u8> {
        self.skipping = false;
        let pending = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.spent) {
            Vec::new()
        } else {
            pending
        }
    }
}

/// Where the first line feed stands.
fn line_feed(bytes: &[u8]) -> Option<usize> {
    // The standard library's fastest way to find a byte, several times as fast as a loop. Reading memory can't fail.
    let past = { bytes }.skip_until(b'\n').unwrap_or_default();
    let end = past.checked_sub(1)?;
    (bytes.get(end) == Some(&b'\n')).then_some(end)
}

/// CR LF ends a line as LF does; any other carriage return is part of the line.
fn strip_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// How many of these bytes come before an incomplete UTF-8 character at their end (Unicode 16.0, table 3-7).
#[must_use]
pub fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.get(bytes.len().saturating_sub(3)..).unwrap_or_default();
    for back in 1..=tail.len() {
        let start = tail.len() - back;
        if let Err(error) = std::str::from_utf8(tail.get(start..).unwrap_or_default())
            && error.valid_up_to() == 0
            && error.error_len().is_none()
        {
            return bytes.len() - back;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All lines of a stream that comes in these pieces.
    fn decode(max: usize, pieces: &[&[u8]]) -> Vec<Result<Vec<u8>, ()>> {
        let mut decoder = LineDecoder::new(max);
        let mut lines = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            loop {
                match decoder.next(&mut input) {
                    Some(Line::Whole(line)) => lines.push(Ok(line.to_vec())),
                    Some(Line::TooLong) => lines.push(Err(())),
                    None if input.is_empty() => break,
                    None => panic!("input was left, and no line came"),
                }
            }
        }
        lines
    }

    #[test]
    fn every_split_of_the_same_bytes_gives_the_same_lines() {
        let stream = "one\r\n\n two\rtwo \n123456789\n12345678\nж\n".as_bytes();
        let whole = decode(10, &[stream]);
        let expected: Vec<_> = ["one", "", " two\rtwo ", "123456789", "12345678", "ж"]
            .map(|line| Ok(line.as_bytes().to_vec()))
            .into();
        assert_eq!(whole, expected);
        for first in 0..=stream.len() {
            for second in first..=stream.len() {
                let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(decode(10, &pieces), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_line_over_the_limit_is_reported_once() {
        let stream = b"123456789\n1234567890\nok\n";
        let expected = vec![Ok(b"123456789".to_vec()), Err(()), Ok(b"ok".to_vec())];
        for cut in 0..stream.len() {
            assert_eq!(
                decode(10, &[&stream[..cut], &stream[cut..]]),
                expected,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn an_endless_line_is_reported_once_and_takes_no_memory() {
        let mut decoder = LineDecoder::new(4096);
        let mut said = 0;
        for _ in 0..1000 {
            let mut input: &[u8] = &[b'x'; 4096];
            while let Some(line) = decoder.next(&mut input) {
                assert_eq!(line, Line::TooLong);
                said += 1;
            }
            assert!(decoder.pending().is_empty());
            assert!(decoder.in_a_line());
        }
        assert_eq!(said, 1);
    }

    #[test]
    fn ending_a_line_never_cuts_a_character() {
        let mut decoder = LineDecoder::new(100);
        let mut input: &[u8] = &"a中".as_bytes()[..3];
        assert_eq!(decoder.next(&mut input), None);
        assert_eq!(decoder.end_line(), b"a");
        assert_eq!(decoder.pending(), &"中".as_bytes()[..2]);
        let mut input: &[u8] = &"中".as_bytes()[2..];
        assert_eq!(decoder.next(&mut input), None);
        assert_eq!(decoder.end_line(), "中".as_bytes());
        assert_eq!(decoder.finish(), b"");
    }

    #[test]
    fn at_the_end_of_input_part_of_a_character_is_taken() {
        let mut decoder = LineDecoder::new(100);
        let mut input: &[u8] = &"one\na中".as_bytes()[..6];
        assert_eq!(decoder.next(&mut input), Some(Line::Whole(b"one")));
        assert_eq!(decoder.next(&mut input), None);
        assert_eq!(decoder.finish(), &"a中".as_bytes()[..2]);
        assert!(!decoder.in_a_line());
    }

    #[test]
    fn a_returned_line_is_not_pending() {
        let mut decoder = LineDecoder::new(100);
        let mut input: &[u8] = b"on";
        assert_eq!(decoder.next(&mut input), None);
        let mut input: &[u8] = b"e\n";
        assert_eq!(decoder.next(&mut input), Some(Line::Whole(b"one")));
        assert!(!decoder.in_a_line());
        assert_eq!(decoder.end_line(), b"");
        assert_eq!(decoder.finish(), b"");
    }

    proptest! {
        #[test]
        fn whole_characters_leaves_only_an_incomplete_one(text in "\\PC*", cut in any::<prop::sample::Index>()) {
            let bytes = &text.as_bytes()[..cut.index(text.len() + 1)];
            let whole = whole_characters(bytes);
            prop_assert!(std::str::from_utf8(&bytes[..whole]).is_ok());
            prop_assert!(bytes.len() - whole < 4);
        }

        #[test]
        fn pieces_make_no_difference(stream in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
                                     size in 1usize..20) {
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            prop_assert_eq!(decode(16, &pieces), decode(16, &[&stream]));
        }
    }
}
