//! One press of a key, and its name.

use std::fmt;

/// A key without modifiers. The names of the variants are the names of the keys, as `/help keys` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// A key that writes a character.
    Char(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Esc,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PgUp,
    PgDn,
    WheelUp,
    WheelDown,
}

/// A press of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) code: Code,
    pub(super) ctrl: bool,
    /// Meta or Option on some keyboards.
    pub(super) alt: bool,
    /// Never set with a character: there the character itself shows it.
    pub(super) shift: bool,
}

impl From<Code> for Key {
    fn from(code: Code) -> Self {
        Self {
            code,
            ctrl: false,
            alt: false,
            shift: false,
        }
    }
}

impl Key {
    pub(super) fn ctrl(self) -> Self {
        Self { ctrl: true, ..self }
    }

    pub(super) fn alt(self) -> Self {
        Self { alt: true, ..self }
    }

    pub(super) fn shift(self) -> Self {
        Self { shift: true, ..self }
    }

    /// The character that this press writes, if any.
    pub(super) fn character(self) -> Option<char> {
        match self.code {
            Code::Char(character) if !self.ctrl && !self.alt => Some(character),
            _ => None,
        }
    }
}

/// The name in the table of keys: `Ctrl-A`, `Alt-Left`, `PgUp`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [(self.ctrl, "Ctrl-"), (self.alt, "Alt-"), (self.shift, "Shift-")] {
            if held {
                f.write_str(name)?;
            }
        }
        match self.code {
            Code::Char(character) => write!(f, "{}", character.to_uppercase()),
            named => write!(f, "{named:?}"),
        }
    }
}
