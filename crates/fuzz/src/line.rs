//! The line decoder: it returns the same lines for any chunks of the stream, and uses the memory of one line at most.

use crate::bytes::Bytes;
use chat_proto::line::{Line, LineDecoder, whole_characters};

/// One byte with the longest line, one with the size of chunks, then the stream.
pub(crate) fn target(input: &[u8]) {
    let mut input = Bytes(input);
    let max = 2 + input.below(80);
    let size = 1 + input.below(40);
    let stream = input.0;
    let expected = expected(max, stream);
    assert_eq!(decode(max, &[stream]), expected, "in one piece");
    let pieces: Vec<&[u8]> = stream.chunks(size).collect();
    assert_eq!(decode(max, &pieces), expected, "in pieces of {size}");
    let (before, after) = stream.split_at(size.min(stream.len()));
    assert_eq!(decode(max, &[before, after]), expected, "cut at {size}");
    end_by_silence(max, &pieces);
}

/// The result of decoding a stream: its lines, with `None` for each overlong one. Then the text pending at the end, and
/// whether an overlong line still continues.
type Said = (Vec<Option<Vec<u8>>>, Vec<u8>, bool);

/// A second implementation, byte by byte.
fn expected(max: usize, stream: &[u8]) -> Said {
    let (mut lines, mut line, mut skips) = (Vec::new(), Vec::new(), false);
    for &byte in stream {
        if byte != b'\n' {
            line.push(byte);
            if line.len() == max && !skips {
                lines.push(None);
                skips = true;
            }
            continue;
        }
        let mut line = std::mem::take(&mut line);
        if !std::mem::take(&mut skips) {
            line.pop_if(|last| *last == b'\r');
            lines.push(Some(line));
        }
    }
    (lines, if skips { Vec::new() } else { line }, skips)
}

fn decode(max: usize, pieces: &[&[u8]]) -> Said {
    let mut decoder = LineDecoder::new(max);
    let mut lines = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(line) = decoder.next(&mut input) {
            lines.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
            assert!(decoder.pending().len() < max);
        }
        assert!(input.is_empty(), "input was left, and no line came");
        assert!(decoder.pending().len() < max);
    }
    let skips = decoder.in_a_line() && decoder.pending().is_empty();
    (lines, decoder.finish(), skips)
}

/// If silence follows every chunk, only reported bytes are lost, and no character is cut.
fn end_by_silence(max: usize, pieces: &[&[u8]]) {
    let mut decoder = LineDecoder::new(max);
    for piece in pieces {
        let mut input = *piece;
        while decoder.next(&mut input).is_some() {}
        let pending = decoder.pending().to_vec();
        let cut = whole_characters(&pending);
        let line = decoder.end_line();
        let (whole, fragment) = pending.split_at(cut);
        assert_eq!((line.as_slice(), decoder.pending()), (whole, fragment));
        assert!(fragment.len() < 4, "more than a fragment of a character stays");
        if std::str::from_utf8(&pending).is_ok() {
            assert!(fragment.is_empty(), "a whole character stays");
        }
    }
}
