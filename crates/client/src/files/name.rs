//! Names under which received files are kept.

use chat_proto::text::Text;
use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Bytes of a name at most. Linux allows 255; the name of a part adds up to 50, and a number a few.
pub const NAME_MAX: usize = 200;

/// Bytes of an extension at most, its dot included. A longer one does not count as an extension.
const EXTENSION_MAX: usize = 16;

/// The name of a file if cleaning left none.
const NAMELESS: &str = "file";

/// Names that Windows takes for devices, with any extension.
const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];

/// A name that can't leave its directory, hide, or imitate another kind of file. At most [`NAME_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileName(Text<'static>);

impl FileName {
    /// Cleans a name from a peer or from a path. Cleaning is idempotent.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let text = Text::from_bytes(bytes);
        let base = text.as_str().rsplit(['/', '\\']).next().unwrap_or_default();
        let base: String = base.nfc().map(plain).collect();
        let mut name = Text::from(base).into_owned().as_str().to_owned();
        // Blanks could push the extension out of sight.
        let mut before = '_';
        name.retain(|character| std::mem::replace(&mut before, character) != ' ' || character != ' ');
        loop {
            let before = name.len();
            name = trimmed(&shortened(trimmed(&name), NAME_MAX)).to_owned();
            // To a program, a dash begins an option.
            if is_device(&name) || name.starts_with('-') {
                name.insert(0, '_');
            }
            if name.len() == before {
                break;
            }
        }
        if name.is_empty() {
            name.push_str(NAMELESS);
        }
        Self(Text::from(name))
    }

    /// The name with a number before its extension: `report (2).pdf`.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Self {
        let (stem, extension) = split(self.as_str());
        let number = format!(" ({number})");
        let stem = cut(stem, NAME_MAX - number.len() - extension.len());
        Self(Text::from(format!("{}{number}{extension}", stem.trim_end())))
    }

    /// The name, for the file system.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name, for a screen.
    #[must_use]
    pub fn text(&self) -> &Text<'static> {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Tabs and unusual blanks become spaces, and what Windows forbids becomes `_`.
fn plain(character: char) -> char {
    match character {
        _ if character.is_whitespace() => ' ',
        ':' | '<' | '>' | '"' | '|' | '?' | '*' => '_',
        _ => character,
    }
}

/// Without leading characters that hide a file, and without trailing ones that Windows removes.
fn trimmed(name: &str) -> &str {
    name.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' '])
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let numbered = stem
        .as_bytes()
        .split_last_chunk::<1>()
        .is_some_and(|(port, digit)| {
            digit[0].is_ascii_digit()
                && (port.eq_ignore_ascii_case(b"COM") || port.eq_ignore_ascii_case(b"LPT"))
        });
    numbered || DEVICES.iter().any(|device| stem.eq_ignore_ascii_case(device))
}

/// The name up to `max` bytes; its extension stays.
fn shortened(name: &str, max: usize) -> String {
    let (stem, extension) = split(name);
    format!("{}{extension}", cut(stem, max.saturating_sub(extension.len())))
}

/// The name before its extension, and that with its dot. `tar.gz` counts as one.
fn split(name: &str) -> (&str, &str) {
    let place = |name: &str| {
        name.rfind('.')
            .filter(|&dot| dot > 0 && name.len() - dot <= EXTENSION_MAX)
    };
    let Some(dot) = place(name) else {
        return (name, "");
    };
    let (stem, extension) = name.split_at(dot);
    match place(stem) {
        Some(inner) if stem.get(inner..) == Some(".tar") => name.split_at(inner),
        _ => (stem, extension),
    }
}

/// The beginning of a text, up to `max` bytes, cut between characters.
fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_in_their_directory_and_do_not_hide() {
        let long = "x".repeat(300);
        for (given, name) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("..", "file"),
            (".", "file"),
            ("/", "file"),
            ("", "file"),
            (" . .bashrc", "bashrc"),
            ("C:\\Windows\\win.ini", "win.ini"),
            ("a:stream", "a_stream"),
            ("con", "_con"),
            ("NUL.txt", "_NUL.txt"),
            ("com7", "_com7"),
            ("company", "company"),
            ("trailing. . ", "trailing"),
            ("a\nb\u{1b}[31m", "a\u{240A}b\u{241B}[31m"),
            ("exe.\u{202E}fdp", "exe.fdp"),
            ("e\u{301}", "\u{e9}"),
            ("\u{3000}wide", "wide"),
            ("報告書.txt", "報告書.txt"),
            ("holiday.jpg                    .exe", "holiday.jpg .exe"),
            ("a \u{200b} \u{3000}\tb", "a b"),
            ("-rf", "_-rf"),
            ("./-x", "_-x"),
            ("conin$.txt", "_conin$.txt"),
            (&format!("{long}.tar.gz"), &format!("{}.tar.gz", "x".repeat(193))),
            (&long, &"x".repeat(200)),
        ] {
            assert_eq!(FileName::new(given.as_bytes()).as_str(), name, "{given:?}");
        }
        assert_eq!(FileName::new(b"a\xff").as_str(), "a\u{FFFD}");
    }

    #[test]
    fn a_number_comes_before_the_extension() {
        for (name, numbered) in [
            ("a.pdf", "a (2).pdf"),
            ("a", "a (2)"),
            ("b.tar.gz", "b (2).tar.gz"),
        ] {
            assert_eq!(FileName::new(name.as_bytes()).numbered(2).as_str(), numbered);
        }
        let long = FileName::new("é".repeat(150).as_bytes()).numbered(17);
        assert!(long.as_str().ends_with(" (17)") && long.as_str().len() <= NAME_MAX);
    }

    proptest! {
        #[test]
        fn any_bytes_become_a_name_that_is_clean(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let name = FileName::new(bytes);
                let text = name.as_str();
                prop_assert!(!text.is_empty() && text.len() <= NAME_MAX);
                let unsafe_ones = ['/', '\\', ':', '\0', '\n', '\u{1b}'];
                prop_assert!(!text.contains(unsafe_ones));
                prop_assert!(!text.starts_with(['.', ' ', '-']) && !text.ends_with(['.', ' ']));
                prop_assert!(!text.contains("  "));
                prop_assert_eq!(&FileName::new(text.as_bytes()), &name);
                let numbered = name.numbered(12);
                prop_assert!(numbered.as_str().len() <= NAME_MAX);
                prop_assert_eq!(&FileName::new(numbered.as_str().as_bytes()), &numbered);
            }
        }
    }
}
