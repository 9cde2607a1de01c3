//! Decodes the bytes of a terminal into keys and pastes.
//!
//! The bytes may be cut anywhere. An incomplete sequence is kept until its rest arrives or a timeout passes. The
//! sequences are those of xterm, which nearly all terminals send (XTerm Control Sequences, "PC-Style Function Keys"),
//! and where they differ those of rxvt and the Linux console.

use super::key::{Code, Key};
use chat_proto::now::Now;
use std::time::Duration;

/// The timeout of a sequence; afterwards a lone Escape is the key Esc. It exceeds the jitter of a remote shell, and is too
/// short to notice.
const SEQUENCE_WAIT: Duration = Duration::from_millis(50);
/// The timeout of a paste without an end.
const PASTE_WAIT: Duration = Duration::from_secs(2);
/// The longest sequence that is kept, in bytes; real ones have a dozen.
const SEQUENCE_MAX: usize = 64;
/// The longest paste, in bytes: far more than a message. The rest is discarded.
const PASTE_MAX: usize = 1024 * 1024;

const PASTE_END: &[u8] = b"\x1b[201~";

/// A key or a paste.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    Key(Key),
    /// The text may have several lines.
    Paste(String),
}

/// Decodes the bytes of a terminal.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// An incomplete sequence, or during a paste the possible beginning of its end.
    pending: Vec<u8>,
    /// The paste so far. `pasted.len() <= PASTE_MAX`.
    pasted: Option<Vec<u8>>,
    /// The time of the last byte.
    last: Duration,
}

/// The first item of some bytes, and its length.
enum First {
    Input(Key, usize),
    PasteBegin(usize),
    /// Bytes without a meaning.
    Skip(usize),
    /// An incomplete item.
    More,
}

impl Decoder {
    /// Adds bytes, and returns the complete items.
    pub(super) fn feed(&mut self, bytes: &[u8], now: Now) -> Vec<Input> {
        self.last = now.monotonic;
        self.pending.extend_from_slice(bytes);
        self.drain(true)
    }

    /// The time to call [`Decoder::time_out`].
    pub(super) fn deadline(&self) -> Option<Duration> {
        if self.pasted.is_some() {
            Some(self.last + PASTE_WAIT)
        } else {
            (!self.pending.is_empty()).then_some(self.last + SEQUENCE_WAIT)
        }
    }

    /// Returns incomplete items after their timeout.
    pub(super) fn time_out(&mut self, now: Now) -> Vec<Input> {
        if self.deadline().is_none_or(|deadline| now.monotonic < deadline) {
            return Vec::new();
        }
        self.drain(false)
    }

    fn drain(&mut self, more_may_come: bool) -> Vec<Input> {
        let pending = std::mem::take(&mut self.pending);
        let mut rest = pending.as_slice();
        let mut inputs = Vec::new();
        while !rest.is_empty() || self.pasted.is_some() {
            let step = if self.pasted.is_some() {
                self.paste(rest, more_may_come, &mut inputs)
            } else {
                self.key(rest, more_may_come, &mut inputs)
            };
            let Some(length) = step else {
                break;
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        self.pending = rest.to_vec();
        inputs
    }

    /// Decodes one key and returns its length; `None` if it is incomplete.
    fn key(&mut self, bytes: &[u8], more_may_come: bool, inputs: &mut Vec<Input>) -> Option<usize> {
        match first(bytes, more_may_come) {
            First::Input(key, length) => {
                inputs.push(Input::Key(key));
                Some(length)
            }
            First::PasteBegin(length) => {
                self.pasted = Some(Vec::new());
                Some(length)
            }
            First::Skip(length) => Some(length),
            First::More => None,
        }
    }

    /// Decodes pasted bytes and returns their length; `None` until the end of the paste.
    fn paste(&mut self, bytes: &[u8], more_may_come: bool, inputs: &mut Vec<Input>) -> Option<usize> {
        let end = bytes
            .windows(PASTE_END.len())
            .position(|window| window == PASTE_END);
        // The last bytes may be the beginning of the end.
        let text = match end {
            Some(end) => end,
            None if more_may_come => bytes.len().saturating_sub(PASTE_END.len() - 1),
            None => bytes.len(),
        };
        let pasted = self.pasted.get_or_insert_default();
        let room = PASTE_MAX - pasted.len();
        pasted.extend_from_slice(bytes.get(..text.min(room)).unwrap_or_default());
        if end.is_none() && more_may_come {
            return (text > 0).then_some(text);
        }
        let pasted = self.pasted.take().unwrap_or_default();
        inputs.push(Input::Paste(String::from_utf8_lossy(&pasted).into_owned()));
        Some(text + end.map_or(0, |_| PASTE_END.len()))
    }
}

fn first(bytes: &[u8], more_may_come: bool) -> First {
    match bytes {
        [] => First::More,
        [0x1b, rest @ ..] => match escape(rest, more_may_come) {
            First::Input(key, length) => First::Input(key, length + 1),
            First::PasteBegin(length) => First::PasteBegin(length + 1),
            First::Skip(length) => First::Skip(length + 1),
            First::More if more_may_come && bytes.len() < SEQUENCE_MAX => First::More,
            First::More => First::Input(Code::Esc.into(), 1),
        },
        [byte, ..] if *byte < 0x20 || *byte == 0x7f => First::Input(control(*byte), 1),
        _ => character(bytes, more_may_come),
    }
}

/// The key of a control character. Most keyboards send DEL for Backspace.
fn control(byte: u8) -> Key {
    match byte {
        b'\r' | b'\n' => Code::Enter.into(),
        b'\t' => Code::Tab.into(),
        0x08 | 0x7f => Code::Backspace.into(),
        0 => Key::from(Code::Char(' ')).ctrl(),
        1..=26 => Key::from(Code::Char(char::from(byte + b'a' - 1))).ctrl(),
        _ => Key::from(Code::Char(char::from(byte + 0x40))).ctrl(),
    }
}

fn character(bytes: &[u8], more_may_come: bool) -> First {
    let head = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(error) => match error.error_len() {
            None if more_may_come => return First::More,
            None => return First::Skip(head.len()),
            Some(length) => return First::Skip(length),
        },
    };
    match valid.chars().next() {
        // Terminals send no C1 controls for keys.
        Some(character) if character.is_control() => First::Skip(character.len_utf8()),
        Some(character) => First::Input(Code::Char(character).into(), character.len_utf8()),
        None => First::Skip(1),
    }
}

/// Decodes the bytes after an Escape.
fn escape(bytes: &[u8], more_may_come: bool) -> First {
    match bytes {
        [] => First::More,
        // The Linux console's function keys.
        [b'[', b'[', _, ..] => First::Skip(3),
        [b'[', b'['] => First::More,
        [b'[', rest @ ..] => sequence(rest),
        [b'O', last, ..] => letter(*last, 1).map_or(First::Skip(2), |key| First::Input(key, 2)),
        [b'O'] if more_may_come => First::More,
        // Alt puts an Escape before the bytes of the key.
        _ => match first(bytes, more_may_come) {
            First::Input(key, length) => First::Input(key.alt(), length),
            other => other,
        },
    }
}

/// Decodes the bytes after `Escape [`: parameters and a final byte.
fn sequence(bytes: &[u8]) -> First {
    let Some(end) = bytes.iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        return First::More;
    };
    let Some((&last, parameters)) = bytes.get(..=end).and_then(<[u8]>::split_last) else {
        return First::More;
    };
    let length = end + 2;
    if !parameters
        .iter()
        .all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':'))
    {
        // An unrequested report of the terminal.
        return First::Skip(length);
    }
    let mut numbers = parameters
        .split(|&byte| byte == b';')
        .map(|number| std::str::from_utf8(number).ok()?.split(':').next()?.parse().ok());
    let number: u32 = numbers.next().flatten().unwrap_or(1);
    let modifiers = numbers.next().flatten().unwrap_or(1);
    let key = match last {
        b'~' if number == 200 => return First::PasteBegin(length),
        b'~' => numbered(number).map(|key| with_modifiers(key, modifiers)),
        b'^' => numbered(number).map(Key::ctrl),
        b'$' => numbered(number).map(Key::shift),
        b'Z' => Some(Key::from(Code::Tab).shift()),
        b'u' => by_code_point(number).map(|key| with_modifiers(key, modifiers)),
        _ => letter(last, modifiers),
    };
    key.map_or(First::Skip(length), |key| First::Input(key, length))
}

fn letter(last: u8, modifiers: u32) -> Option<Key> {
    let code = match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'M' => Code::Enter,
        // Arrows with Ctrl in rxvt.
        b'a' => return Some(Key::from(Code::Up).ctrl()),
        b'b' => return Some(Key::from(Code::Down).ctrl()),
        b'c' => return Some(Key::from(Code::Right).ctrl()),
        b'd' => return Some(Key::from(Code::Left).ctrl()),
        _ => return None,
    };
    Some(with_modifiers(code.into(), modifiers))
}

fn numbered(number: u32) -> Option<Key> {
    let code = match number {
        1 | 7 => Code::Home,
        3 => Code::Delete,
        4 | 8 => Code::End,
        5 => Code::PgUp,
        6 => Code::PgDn,
        _ => return None,
    };
    Some(code.into())
}

/// The key of a terminal that sends the code point of its character.
fn by_code_point(number: u32) -> Option<Key> {
    match char::from_u32(number)? {
        '\u{1b}' => Some(Code::Esc.into()),
        character if character.is_control() => u8::try_from(number).ok().map(control),
        character => Some(Code::Char(character).into()),
    }
}

/// Adds the modifiers: one more than the sum of 1 for Shift, 2 for Alt, 4 for Ctrl.
fn with_modifiers(key: Key, modifiers: u32) -> Key {
    let modifiers = modifiers.saturating_sub(1);
    Key {
        shift: modifiers & 1 != 0 && !matches!(key.code, Code::Char(_)),
        alt: modifiers & 2 != 0,
        ctrl: modifiers & 4 != 0,
        ..key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Now {
        Now {
            monotonic: Duration::from_millis(ms),
            unix_ms: 0,
        }
    }

    /// The keys and pastes of these bytes, by name.
    fn decode(pieces: &[&[u8]]) -> Vec<String> {
        let mut decoder = Decoder::default();
        let mut inputs: Vec<Input> = pieces
            .iter()
            .flat_map(|piece| decoder.feed(piece, at(0)))
            .collect();
        inputs.extend(decoder.time_out(at(5_000)));
        assert_eq!(decoder.deadline(), None);
        inputs
            .into_iter()
            .map(|input| match input {
                Input::Key(key) => key.to_string(),
                Input::Paste(text) => format!("paste {text:?}"),
            })
            .collect()
    }

    #[test]
    fn keys_of_many_terminals_are_decoded() {
        let cases: [(&[u8], &str); 42] = [
            (b"a", "A"),
            ("ж".as_bytes(), "Ж"),
            ("李".as_bytes(), "李"),
            (b"\r", "Enter"),
            (b"\n", "Enter"),
            (b"\t", "Tab"),
            (b"\x1b[Z", "Shift-Tab"),
            (b"\x7f", "Backspace"),
            (b"\x08", "Backspace"),
            (b"\x1b\x7f", "Alt-Backspace"),
            (b"\x01", "Ctrl-A"),
            (b"\x1a", "Ctrl-Z"),
            (b"\x1f", "Ctrl-_"),
            (b"\0", "Ctrl- "),
            (b"\x1b", "Esc"),
            (b"\x1bb", "Alt-B"),
            (b"\x1b[A", "Up"),
            (b"\x1bOA", "Up"),
            (b"\x1b[1;5C", "Ctrl-Right"),
            (b"\x1b[1;3D", "Alt-Left"),
            (b"\x1b\x1b[D", "Alt-Left"),
            (b"\x1bOc", "Ctrl-Right"),
            (b"\x1b[H", "Home"),
            (b"\x1b[1~", "Home"),
            (b"\x1b[7~", "Home"),
            (b"\x1bOF", "End"),
            (b"\x1b[4~", "End"),
            (b"\x1b[3~", "Delete"),
            (b"\x1b[3;5~", "Ctrl-Delete"),
            (b"\x1b[5~", "PgUp"),
            (b"\x1b[6~", "PgDn"),
            (b"\x1b[1;5H", "Ctrl-Home"),
            (b"\x1b[7^", "Ctrl-Home"),
            (b"\x1b[1;5F", "Ctrl-End"),
            (b"\x1bOM", "Enter"),
            (b"\x1b[97;5u", "Ctrl-A"),
            (b"\x1b[27u", "Esc"),
            (b"\x1b[13;2u", "Shift-Enter"),
            (b"\x1b[127;3u", "Alt-Backspace"),
            (b"\x1b[9;2u", "Shift-Tab"),
            (b"\x1b[65;2u", "A"),
            (b"\x1b\r", "Alt-Enter"),
        ];
        for (bytes, name) in cases {
            assert_eq!(decode(&[bytes]), [name], "{bytes:?}");
        }
    }

    #[test]
    fn bytes_without_a_meaning_are_skipped() {
        for bytes in [
            b"\x1b[[A".as_slice(),
            b"\x1b[15~",
            b"\x1b[?1;2c",
            b"\x1b[I",
            b"\xff",
            b"\xc2\x9b",
            b"\xe4\xb8",
        ] {
            assert_eq!(decode(&[bytes, b"x"]), ["X"], "{bytes:?}");
        }
    }

    #[test]
    fn the_cuts_between_reads_do_not_matter() {
        let stream = "a\x1b[1;5C李\x1bf\x1b[200~one\ntwo\x1b[31m\x1b[201~\x1b[A\x03".as_bytes();
        let whole = [
            "A",
            "Ctrl-Right",
            "李",
            "Alt-F",
            "paste \"one\\ntwo\\u{1b}[31m\"",
            "Up",
            "Ctrl-C",
        ];
        for cut in 0..=stream.len() {
            assert_eq!(decode(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(decode(&bytes), whole);
    }

    #[test]
    fn a_lone_escape_is_a_key_after_its_timeout() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b", at(0)), []);
        assert_eq!(decoder.deadline(), Some(SEQUENCE_WAIT));
        assert_eq!(decoder.time_out(at(49)), []);
        assert_eq!(decoder.time_out(at(50)), [Input::Key(Code::Esc.into())]);
    }

    #[test]
    fn a_paste_ends_by_timeout_and_its_memory_is_bounded() {
        assert_eq!(decode(&[b"\x1b[200~lost"]), ["paste \"lost\""]);
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~", at(0));
        for _ in 0..40 {
            assert_eq!(decoder.feed(&[b'x'; 65_536], at(0)), []);
        }
        let [Input::Paste(text)] = &decoder.feed(PASTE_END, at(0))[..] else {
            panic!("no paste");
        };
        assert_eq!(text.len(), PASTE_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_are_done_with(
            pieces in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0x1b), Just(b'['), Just(b'O'), Just(b'~'), any::<u8>()], 0..20), 0..8))
        {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let _ = decode(&pieces);
        }
    }
}
