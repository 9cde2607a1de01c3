//! One press of a key, and what it is called.

use std::fmt;

/// A key, whatever held down with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// One that writes a character.
    Char(char),
    /// Enter or Return.
    Enter,
    /// Tab.
    Tab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Escape.
    Escape,
    /// The arrow to the left.
    Left,
    /// The arrow to the right.
    Right,
    /// The arrow upwards.
    Up,
    /// The arrow downwards.
    Down,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
}

/// A key with what was held down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// Which.
    pub(super) code: Code,
    /// With Ctrl?
    pub(super) ctrl: bool,
    /// With Alt, which some keyboards call Meta or Option?
    pub(super) alt: bool,
    /// With Shift? Never told of a character, where it shows in the character.
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
    /// The key with Ctrl held down.
    #[must_use]
    pub(super) fn ctrl(self) -> Self {
        Self { ctrl: true, ..self }
    }

    /// The key with Alt held down.
    #[must_use]
    pub(super) fn alt(self) -> Self {
        Self { alt: true, ..self }
    }

    /// The key with Shift held down.
    #[must_use]
    pub(super) fn shift(self) -> Self {
        Self { shift: true, ..self }
    }

    /// The character that this key writes, if it writes one.
    #[must_use]
    pub(super) fn character(self) -> Option<char> {
        match self.code {
            Code::Char(character) if !self.ctrl && !self.alt => Some(character),
            _ => None,
        }
    }
}

/// The name by which the table of keys has it: `Ctrl-A`, `Alt-Left`, `PgUp`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (held, name) in [(self.ctrl, "Ctrl-"), (self.alt, "Alt-"), (self.shift, "Shift-")] {
            if held {
                f.write_str(name)?;
            }
        }
        f.write_str(match self.code {
            Code::Char(character) => return write!(f, "{}", character.to_uppercase()),
            Code::Enter => "Enter",
            Code::Tab => "Tab",
            Code::Backspace => "Backspace",
            Code::Delete => "Delete",
            Code::Escape => "Esc",
            Code::Left => "Left",
            Code::Right => "Right",
            Code::Up => "Up",
            Code::Down => "Down",
            Code::Home => "Home",
            Code::End => "End",
            Code::PageUp => "PgUp",
            Code::PageDown => "PgDn",
        })
    }
}
