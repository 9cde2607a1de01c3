//! The first key in some bytes of a terminal.
//!
//! The sequences are those of xterm, which nearly all terminals send (XTerm Control Sequences, "PC-Style Function Keys"),
//! and where they differ those of rxvt, the Linux console and the kitty keyboard protocol. What is known to be no key is
//! skipped whole: clicks of the mouse, and answers to questions that another program asked.

use super::colour::Rgb;
use super::key::{Code, Key};

/// Asks the terminal for its background (OSC 11).
pub(super) const ASK_BACKGROUND: &str = "\x1b]11;?\x1b\\";

/// The longest control sequence, in bytes; real ones have a dozen.
const SEQUENCE_MAX: usize = 256;
/// The longest string of a terminal, in bytes. The longest real ones hold a clipboard.
const STRING_MAX: usize = 64 * 1024;

/// The first item of some bytes, and its length.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum First {
    Input(Key, usize),
    PasteBegin(usize),
    /// Whether the terminal has the focus now.
    Focus(bool, usize),
    /// The terminal says its background.
    Background(Rgb, usize),
    /// Bytes without a meaning.
    Skip(usize),
    /// An incomplete item.
    More,
}

impl First {
    fn of(key: Option<Key>, length: usize) -> Self {
        key.map_or(Self::Skip(length), |key| Self::Input(key, length))
    }

    /// With so many more bytes before it.
    fn after(self, before: usize) -> Self {
        match self {
            Self::Input(key, length) => Self::Input(key, length + before),
            Self::PasteBegin(length) => Self::PasteBegin(length + before),
            Self::Focus(focused, length) => Self::Focus(focused, length + before),
            Self::Background(colour, length) => Self::Background(colour, length + before),
            Self::Skip(length) => Self::Skip(length + before),
            Self::More => Self::More,
        }
    }
}

/// Decodes the first item. The result does not depend on the bytes after it.
pub(super) fn first(bytes: &[u8]) -> First {
    match bytes {
        [] => First::More,
        [0x1b, rest @ ..] => escape(rest).after(1),
        [0xc2, byte @ 0x80..=0x9f, rest @ ..] => c1(byte - 0x40, rest).after(2),
        [byte, ..] if *byte < 0x20 || *byte == 0x7f => First::Input(control(*byte), 1),
        _ => character(bytes),
    }
}

/// The key of a control character. Most keyboards send DEL for Backspace.
fn control(byte: u8) -> Key {
    match byte {
        b'\r' | b'\n' => Code::Enter.into(),
        b'\t' => Code::Tab.into(),
        0x08 | 0x7f => Code::Backspace.into(),
        0x1b => Code::Esc.into(),
        0 => Key::from(Code::Char(' ')).ctrl(),
        1..=26 => Key::from(Code::Char(char::from(byte + b'a' - 1))).ctrl(),
        _ => Key::from(Code::Char(char::from(byte.saturating_add(0x40)))).ctrl(),
    }
}

fn character(bytes: &[u8]) -> First {
    let head = bytes.get(..bytes.len().min(4)).unwrap_or_default();
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(error) => return error.error_len().map_or(First::More, First::Skip),
    };
    match valid.chars().next() {
        Some(character) => First::Input(Code::Char(character).into(), character.len_utf8()),
        None => First::Skip(1),
    }
}

/// Decodes the bytes after an Escape.
fn escape(bytes: &[u8]) -> First {
    match bytes {
        [] => First::More,
        [0x1b, 0x1b, ..] => First::Input(Code::Esc.into(), 0),
        // No answer begins with another byte: this is Alt-], and the user types on.
        [b']', other, ..] if !matches!(other, b'0'..=b'9' | b'l' | b'L' | b'I' | 0x07 | 0x1b) => {
            First::Skip(1)
        }
        [byte, rest @ ..] => introduced(*byte, rest).map_or_else(
            // Alt puts an Escape before the bytes of the key.
            || match first(bytes) {
                First::Input(key, length) => First::Input(key.alt(), length),
                other => other,
            },
            |first| first.after(1),
        ),
    }
}

/// Decodes the bytes after a C1 control, which some terminals send instead of an Escape and a letter.
fn c1(letter: u8, bytes: &[u8]) -> First {
    match introduced(letter, bytes) {
        // No paste: pasted text could contain the end mark in this form.
        Some(First::PasteBegin(length)) => First::Skip(length),
        Some(first) => first,
        None => First::Skip(0),
    }
}

/// Decodes the bytes after the letter that introduces a sequence or a string; `None` if this one does not.
fn introduced(letter: u8, bytes: &[u8]) -> Option<First> {
    match letter {
        b'[' => Some(sequence(bytes)),
        b'O' => Some(keypad(bytes)),
        b']' => Some(string(bytes)).map(|string| background(string, bytes)),
        b'P' | b'_' | b'^' | b'X' => Some(string(bytes)),
        _ => None,
    }
}

/// Decodes a string that a terminal sends as an answer (OSC, DCS, APC, PM, SOS): everything up to ST or BEL. A line end
/// ends it too, because no answer has one. So does another sequence.
fn string(bytes: &[u8]) -> First {
    let from = |start| bytes.get(start..).unwrap_or_default();
    let is_end = |&place: &usize| {
        matches!(
            from(place),
            [0x07 | 0x18 | 0x1a | 0x1b | b'\r' | b'\n', ..] | [0xc2, 0x9c, ..]
        )
    };
    let Some(end) = (0..bytes.len().min(STRING_MAX)).find(is_end) else {
        return limited(bytes, STRING_MAX);
    };
    match from(end) {
        [0x1b, b'\\', ..] | [0xc2, ..] => First::Skip(end + 2),
        [0x1b] => First::More,
        [0x1b, ..] => First::Skip(end),
        _ => First::Skip(end + 1),
    }
}

/// Whether a string is the answer to [`ASK_BACKGROUND`].
fn background(string: First, bytes: &[u8]) -> First {
    let First::Skip(length) = string else {
        return string;
    };
    let answer = bytes.get(..length).and_then(|answer| answer.strip_prefix(b"11;"));
    let text = answer.and_then(|answer| std::str::from_utf8(answer).ok());
    let colour = text.and_then(|text| Rgb::parse(text.trim_end_matches(['\x07', '\x1b', '\\', '\u{9c}'])));
    colour.map_or(string, |colour| First::Background(colour, length))
}

/// Waits for the rest, unless there are too many bytes already.
fn limited(bytes: &[u8], max: usize) -> First {
    if bytes.len() < max {
        First::More
    } else {
        First::Skip(max)
    }
}

/// Decodes the bytes after `Escape O`: modifiers of old terminals, and a final byte.
fn keypad(bytes: &[u8]) -> First {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let Some(&last) = bytes.get(digits) else {
        return limited(bytes, SEQUENCE_MAX);
    };
    let modifiers = bytes
        .get(..digits)
        .map_or(1, |digits| number(digits).unwrap_or(1));
    let key = match last {
        b'M' => Some(Code::Enter.into()),
        b'I' => Some(Code::Tab.into()),
        b'X' => Some(Code::Char('=').into()),
        // The keypad in its application mode.
        b'j'..=b'y' => Some(Code::Char(char::from(last - 0x40)).into()),
        b' '..=b'~' => letter(last),
        // Another key begins.
        _ => return First::Skip(digits),
    };
    First::of(key.and_then(|key| with_modifiers(key, modifiers)), digits + 1)
}

/// Decodes the bytes after `Escape [`: parameters and a final byte.
fn sequence(bytes: &[u8]) -> First {
    // The Linux console's function keys.
    match bytes {
        [b'['] => return First::More,
        [b'[', b'!'..=b'~', ..] => return First::Skip(2),
        _ => {}
    }
    let is_parameter = |byte: &u8| (0x20..=0x3f).contains(byte);
    if let Some(key) = rxvt_shift(bytes) {
        return key;
    }
    let mut bounded = bytes.iter().take(SEQUENCE_MAX);
    let Some(end) = bounded.position(|byte| !is_parameter(byte)) else {
        return limited(bytes, SEQUENCE_MAX);
    };
    let (parameters, rest) = bytes.split_at(end);
    let length = end + 1;
    match rest.first() {
        // Clicks of the mouse.
        Some(b'M') if parameters.is_empty() => mouse(rest, 3),
        Some(b't') if parameters.is_empty() => mouse(rest, 2),
        Some(b'T') if parameters.is_empty() => mouse(rest, 6),
        Some(b'M') if parameters.first() == Some(&b'<') => First::of(wheel(parameters), length),
        Some(last @ (b'I' | b'O')) if parameters.is_empty() => First::Focus(*last == b'I', length),
        Some(&last @ 0x40..=0x7e) if parameters.iter().all(|byte| matches!(byte, b'0'..=b';')) => {
            let parameters = Parameters::read(parameters);
            if last == b'~' && parameters.number == 200 {
                First::PasteBegin(length)
            } else {
                First::of(parameters.key(last), length)
            }
        }
        // A report of the terminal.
        Some(0x40..=0x7e) => First::Skip(length),
        // Another key begins.
        _ => First::Skip(end),
    }
}

/// Shift with a key in rxvt: `Escape [ 3 $`. Reports with a `$` have more than one parameter.
fn rxvt_shift(bytes: &[u8]) -> Option<First> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let parameter = bytes.get(..digits).and_then(number)?;
    let is_shift = bytes.get(digits) == Some(&b'$');
    is_shift.then(|| First::of(numbered(parameter).map(Key::shift), digits + 1))
}

/// Skips a final byte and so many characters, which may be of UTF-8.
fn mouse(bytes: &[u8], count: usize) -> First {
    let mut length = 1;
    for _ in 0..count {
        match bytes.get(length..).unwrap_or_default() {
            [] | [0xc2..=0xdf] => return First::More,
            [0xc2..=0xdf, 0x80..=0xbf, ..] => length += 2,
            _ => length += 1,
        }
    }
    First::Skip(length)
}

/// Decodes the parameters of a press of the mouse (SGR 1006), after a `<`. Only the wheel has a meaning.
fn wheel(parameters: &[u8]) -> Option<Key> {
    const MODIFIERS: u32 = 4 + 8 + 16;
    let button = parameters.get(1..)?.split(|&byte| byte == b';').next()?;
    match number(button)? & !MODIFIERS {
        64 => Some(Code::WheelUp.into()),
        65 => Some(Code::WheelDown.into()),
        _ => None,
    }
}

/// The parameters of a key: `number:shifted:base ; modifiers:event ; text`.
struct Parameters {
    number: u32,
    shifted: Option<u32>,
    modifiers: u32,
    /// The key was released.
    released: bool,
    /// The key of the base layout.
    base: Option<u32>,
    /// The third parameter.
    third: Option<u32>,
}

impl Parameters {
    fn read(bytes: &[u8]) -> Self {
        let mut fields = bytes
            .split(|&byte| byte == b';')
            .map(|field| field.split(|&byte| byte == b':').map(number));
        let mut code = fields.next().into_iter().flatten();
        let first = code.next().flatten().unwrap_or(1);
        let shifted = code.next().flatten();
        let base = code.next().flatten();
        let mut held = fields.next().into_iter().flatten();
        let modifiers = held.next().flatten().unwrap_or(1);
        let released = held.next().flatten() == Some(3);
        let third = fields.next().and_then(|mut text| text.next().flatten());
        Self {
            number: first,
            shifted,
            modifiers,
            released,
            base,
            third,
        }
    }

    fn key(&self, last: u8) -> Option<Key> {
        if self.released {
            return None;
        }
        let key = match (last, self.number) {
            // xterm's form of `code;modifiers u`.
            (b'~', 27) => return by_code_point(self.third?, None, self.modifiers),
            (b'u', code) => return self.kitty(code),
            (b'~', code) => numbered(code)?,
            (b'^', code) => numbered(code)?.ctrl(),
            (b'@', code) => numbered(code)?.ctrl().shift(),
            (b'Z', _) => Key::from(Code::Tab).shift(),
            _ => letter(last)?,
        };
        with_modifiers(key, self.modifiers)
    }

    /// Decodes a key of the kitty keyboard protocol.
    fn kitty(&self, code: u32) -> Option<Key> {
        let held = self.modifiers.saturating_sub(1) & (ALT | CTRL | SUPER | HYPER | META);
        let text = self.third.and_then(char::from_u32);
        match text.filter(|character| !character.is_control()) {
            // The text is there if the key writes one, also with AltGr or from an input method.
            Some(text) if held == 0 => Some(Code::Char(text).into()),
            // Ctrl-A is also Ctrl with that key of a Cyrillic keyboard.
            _ if held != 0 && code > 0x7f && self.base.is_some() => {
                by_code_point(self.base?, None, self.modifiers)
            }
            _ => by_code_point(code, self.shifted, self.modifiers),
        }
    }
}

/// A number, or the largest one instead of one that is too large; `None` if it is missing.
fn number(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| !digits.is_empty())?;
    Some(digits.parse().unwrap_or(u32::MAX))
}

fn letter(last: u8) -> Option<Key> {
    let code = match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        // Arrows with Ctrl or Shift in rxvt.
        b'a' => return Some(Key::from(Code::Up).ctrl()),
        b'b' => return Some(Key::from(Code::Down).ctrl()),
        b'c' => return Some(Key::from(Code::Right).ctrl()),
        b'd' => return Some(Key::from(Code::Left).ctrl()),
        _ => return None,
    };
    Some(code.into())
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
fn by_code_point(number: u32, shifted: Option<u32>, modifiers: u32) -> Option<Key> {
    let held = modifiers.saturating_sub(1);
    let character = char::from_u32(number)?;
    let key = match character {
        '\u{e000}'..='\u{f8ff}' => functional(number)?,
        '@'..='_' | 'a'..='z' if held & CTRL != 0 => {
            // As the key sends it to other programs: Ctrl-[ is Esc.
            let key = control(u8::try_from(number).ok()? & 0x1f);
            return with_modifiers(key, 1 + (held & !CTRL));
        }
        _ if character.is_control() => control(u8::try_from(number).ok()?),
        _ => Code::Char(with_shift(character, shifted, held)).into(),
    };
    with_modifiers(key, modifiers)
}

/// The character that a key writes with Shift or Caps Lock.
fn with_shift(character: char, shifted: Option<u32>, held: u32) -> char {
    if held & SHIFT != 0
        && let Some(shifted) = shifted.and_then(char::from_u32).filter(|c| !c.is_control())
    {
        return shifted;
    }
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) if held & (SHIFT | CAPS_LOCK) != 0 => upper,
        _ => character,
    }
}

/// The keys that kitty numbers with private-use code points: those of the keypad. Others have no meaning here.
fn functional(number: u32) -> Option<Key> {
    let code = match number {
        57399..=57408 => Code::Char(char::from_digit(number - 57399, 10)?),
        57409 => Code::Char('.'),
        57410 => Code::Char('/'),
        57411 => Code::Char('*'),
        57412 => Code::Char('-'),
        57413 => Code::Char('+'),
        57414 => Code::Enter,
        57415 => Code::Char('='),
        57416 => Code::Char(','),
        57417 => Code::Left,
        57418 => Code::Right,
        57419 => Code::Up,
        57420 => Code::Down,
        57421 => Code::PgUp,
        57422 => Code::PgDn,
        57423 => Code::Home,
        57424 => Code::End,
        57426 => Code::Delete,
        _ => return None,
    };
    Some(code.into())
}

const SHIFT: u32 = 1;
const ALT: u32 = 2;
const CTRL: u32 = 4;
const SUPER: u32 = 8;
const HYPER: u32 = 16;
const META: u32 = 32;
const CAPS_LOCK: u32 = 64;

/// Adds the modifiers: one more than the sum of the held ones. Nothing is bound to Super and Hyper.
fn with_modifiers(key: Key, modifiers: u32) -> Option<Key> {
    let held = modifiers.saturating_sub(1);
    (held & (SUPER | HYPER) == 0).then_some(Key {
        code: key.code,
        shift: key.shift || held & SHIFT != 0 && !matches!(key.code, Code::Char(_)),
        alt: key.alt || held & (ALT | META) != 0,
        ctrl: key.ctrl || held & CTRL != 0,
    })
}
