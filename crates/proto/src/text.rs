//! Text that is safe to show: the only type that a screen accepts from the network.

use std::borrow::Cow;
use std::fmt;
use unicode_normalization::char::is_combining_mark;

/// Combining marks that may follow one character; more would cover the lines above and below.
const MARKS_MAX: usize = 8;

/// The most columns of blanks in a row where people read a text; a tab counts as [`TAB_STOP`]. With more, a text could fill the rest of a terminal's
/// line with nothing and continue on the next one like a line of its own.
pub const BLANKS_MAX: usize = 32;

/// The distance of a terminal's tab stops, in columns.
pub const TAB_STOP: usize = 8;

/// What ends a row within a message: the picture of a line feed, which is all that can get into a text.
pub const ROW_END: char = '\u{240A}';

/// The most rows of a message.
pub const ROWS_MAX: usize = 50;

/// What an action begins with.
const ACTION: &str = "/me";

/// One line of valid UTF-8 that a terminal shows as text, without side effects.
///
/// It is made from any bytes:
/// - invalid UTF-8 is replaced,
/// - control characters become their pictures (`ESC` becomes `␛`),
/// - line and paragraph separators and odd blanks become spaces; tabs stay,
/// - invisible characters are removed: bidirectional overrides, zero-width characters, tags. Joiners and variation
///   selectors stay where scripts and emoji need them.
///
/// Cleaning is idempotent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// Cleans a string. Borrows it if it is clean.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self::from(Cow::Borrowed(text))
    }

    /// Cleans bytes; invalid UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        Self::from(String::from_utf8_lossy(bytes))
    }

    /// The text as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has only white space.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.0.trim().is_empty()
    }

    /// What the user does, if the text is an action: `waves` of `/me waves`.
    #[must_use]
    pub fn action(&self) -> Option<Text<'_>> {
        let action = self
            .0
            .strip_prefix(ACTION)?
            .strip_prefix([' ', '\t'])
            .map(Text::new);
        action.filter(|action| !action.is_blank())
    }

    /// The text as people read it: without blanks beyond [`BLANKS_MAX`] columns in a row.
    #[must_use]
    pub fn shown(&self) -> Cow<'_, str> {
        let text = self.as_str();
        if text.len() > BLANKS_MAX / TAB_STOP && has_long_blanks(text) {
            Cow::Owned(shorten_blanks(text))
        } else {
            Cow::Borrowed(text)
        }
    }

    /// Whether it has more than [`ROWS_MAX`] rows.
    #[must_use]
    pub fn has_too_many_rows(&self) -> bool {
        self.0.len() > ROWS_MAX && self.0.matches(ROW_END).count() >= ROWS_MAX
    }

    /// The same text with storage of its own.
    #[must_use]
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }

    /// The same text, borrowed from this one.
    #[must_use]
    pub fn borrow(&self) -> Text<'_> {
        Text(Cow::Borrowed(&self.0))
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match clean(&text) {
            Some(cleaned) => Self(Cow::Owned(cleaned)),
            None => Self(text),
        }
    }
}

impl From<String> for Text<'static> {
    fn from(text: String) -> Self {
        Self::from(Cow::Owned(text))
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What cleaning does with a character.
enum Fate {
    Keep,
    Remove,
    Become(char),
}

/// The cleaned text, or `None` if the text is clean.
fn clean(text: &str) -> Option<String> {
    if is_harmless_ascii(text) {
        return None;
    }
    let mut cleaned = String::with_capacity(text.len() + 8);
    let mut before = Before::default();
    for character in text.chars() {
        match before.fate(character) {
            Fate::Keep => before.push(&mut cleaned, character),
            Fate::Remove => {}
            Fate::Become(other) => before.push(&mut cleaned, other),
        }
    }
    (cleaned != text).then_some(cleaned)
}

/// Whether there is nothing to clean, as in most lines. The bytes of a chunk are compared at once (SIMD), which a loop
/// that may end at each byte would prevent.
fn is_harmless_ascii(text: &str) -> bool {
    let is_harmless = |chunk: &[u8]| {
        chunk
            .iter()
            .fold(true, |all, byte| all & matches!(byte, b'\t' | b' '..=b'~'))
    };
    text.as_bytes().chunks(32).all(is_harmless)
}

/// What comes before the current character.
#[derive(Default)]
struct Before {
    last: Option<char>,
    marks: usize,
}

impl Before {
    fn push(&mut self, cleaned: &mut String, character: char) {
        cleaned.push(character);
        if is_combining_mark(character) {
            self.marks += 1;
        } else if !is_joiner(character) {
            // Marks can't combine with a joiner, so the marks after it add to those before.
            self.marks = 0;
        }
        self.last = Some(character);
    }

    fn fate(&self, character: char) -> Fate {
        match character {
            '\t' | ' '..='~' => Fate::Keep,
            '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{2800}' => Fate::Become(' '),
            '\0'..='\u{1F}' => Fate::Become(picture(character)),
            '\u{7F}' => Fate::Become('\u{2421}'),
            '\u{80}'..='\u{9F}' => Fate::Become(char::REPLACEMENT_CHARACTER),
            '\u{200C}' | '\u{200D}' if self.takes_joiner() => Fate::Keep,
            '\u{FE0E}' | '\u{FE0F}' if self.takes_selector() => Fate::Keep,
            _ if is_invisible(character) => Fate::Remove,
            _ if is_noncharacter(character) => Fate::Become(char::REPLACEMENT_CHARACTER),
            _ if is_combining_mark(character) && self.marks >= MARKS_MAX => Fate::Remove,
            _ => Fate::Keep,
        }
    }

    /// Joiners shape letters of non-Latin scripts and join emoji. Between ASCII letters they would only make words differ
    /// that look the same.
    fn takes_joiner(&self) -> bool {
        self.last.is_some_and(|last| !last.is_ascii() && !is_joiner(last))
    }

    /// A selector chooses the text or the emoji form of the character before it. Digits, `#` and `*` have such forms too
    /// (keycaps).
    fn takes_selector(&self) -> bool {
        self.last.is_some_and(|last| {
            matches!(last, '0'..='9' | '#' | '*')
                || !last.is_ascii() && !is_joiner(last) && !matches!(last, '\u{FE0E}' | '\u{FE0F}')
        })
    }
}

fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200C}' | '\u{200D}')
}

/// The picture of a C0 control (Unicode block Control Pictures, U+2400).
fn picture(control: char) -> char {
    char::from_u32(0x2400 + u32::from(control)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Whether a run of blanks may be too long. Most texts have none, and no other character has the bytes of a blank.
fn has_long_blanks(text: &str) -> bool {
    let mut columns = 0;
    text.bytes().any(|byte| {
        columns = match byte {
            b'\t' => columns + TAB_STOP,
            b' ' | 0x80.. => columns + 1,
            _ => 0,
        };
        columns > BLANKS_MAX
    })
}

fn shorten_blanks(text: &str) -> String {
    let mut columns = 0;
    let mut keep = |character: char| {
        match character {
            // Invisible between blanks, so the run goes on.
            '\u{200C}' | '\u{200D}' | '\u{FE0E}' | '\u{FE0F}' if columns > 0 => {}
            '\u{3000}' => columns += 2,
            // At most so many, wherever it stands.
            '\t' => columns += TAB_STOP,
            _ if is_blank(character) => columns += 1,
            _ => columns = 0,
        }
        columns <= BLANKS_MAX
    };
    text.chars().filter(|&character| keep(character)).collect()
}

/// White space, and a character of music that has no shape either.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || character == '\u{1D159}'
}

/// Characters that are invisible and change how others are shown: Unicode's `Default_Ignorable_Code_Point`
/// (DerivedCoreProperties.txt, version 16), and the invisible format controls outside it.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{13430}'..='\u{1343F}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Code points that are never characters (The Unicode Standard, section 23.7).
fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cleaned(text: &str) -> String {
        Text::new(text).as_str().to_owned()
    }

    #[test]
    fn text_of_every_script_is_unchanged() {
        for text in [
            "plain, with <angle> & \"marks\" ~",
            "Ünïcödé 你好，世界 Привет שלום مرحبا नमस्ते สวัสดี",
            "می\u{200C}خواهم",
            "क्\u{200D}ष",
            "👩\u{200D}💻 ❤\u{FE0F} 👨\u{200D}👩\u{200D}👧 1\u{FE0F}\u{20E3} 🇩🇪 👍🏽",
            "ở Nguyễn e\u{301}",
        ] {
            assert_eq!(cleaned(text), text);
            assert!(matches!(Text::new(text).0, Cow::Borrowed(_)), "{text} was copied");
        }
    }

    #[test]
    fn control_characters_become_pictures() {
        assert_eq!(cleaned("\x1b]0;title\x07\x1b[2J"), "␛]0;title␇␛[2J");
        assert_eq!(cleaned("a\rb\nc\0d\x7fe"), "a␍b␊c␀d␡e");
        assert_eq!(cleaned("\u{9b}31m \u{90}"), "\u{FFFD}31m \u{FFFD}");
    }

    #[test]
    fn a_line_feed_ends_a_row() {
        let rows = |count: usize| Text::from(vec!["x"; count].join("\n"));
        assert_eq!(rows(2).as_str(), "x␊x");
        assert!(!rows(ROWS_MAX).has_too_many_rows() && rows(ROWS_MAX + 1).has_too_many_rows());
    }

    #[test]
    fn separators_and_odd_blanks_become_spaces() {
        assert_eq!(cleaned("a\u{2028}b\u{2029}c\u{85}d\u{2800}e"), "a b c d e");
    }

    #[test]
    fn tabs_stay() {
        assert_eq!(cleaned("\ta\tb\t"), "\ta\tb\t");
        assert_eq!(cleaned("\tü\t\x07"), "\tü\t␇");
    }

    #[test]
    fn invisible_characters_are_removed() {
        assert_eq!(
            cleaned("\u{202E}evil\u{202C} \u{2066}x\u{2069} a\u{200B}d\u{FEFF}m\u{AD}in"),
            "evil x admin"
        );
        assert_eq!(cleaned("ad\u{200D}min\u{200C} \u{200D}"), "admin ");
        assert_eq!(cleaned("\u{E0041}\u{E0042}x\u{3164}y\u{FFA0}"), "xy");
        assert_eq!(
            cleaned("中\u{200D}\u{200D}\u{200D}中\u{FE0F}\u{FE0F}"),
            "中\u{200D}中\u{FE0F}"
        );
        assert_eq!(cleaned("a\u{FE0F}b"), "ab");
    }

    #[test]
    fn the_marks_of_a_character_are_limited() {
        let tower = format!("z{}", "\u{335}".repeat(100));
        assert_eq!(cleaned(&tower), format!("z{}", "\u{335}".repeat(MARKS_MAX)));
        let joined = format!("z{}", "\u{335}\u{335}\u{335}\u{200D}".repeat(100));
        let marks = cleaned(&joined).chars().filter(|&c| c == '\u{335}').count();
        assert_eq!(marks, MARKS_MAX);
    }

    #[test]
    fn noncharacters_are_replaced() {
        assert_eq!(
            cleaned("a\u{FFFE}b\u{10FFFF}c\u{FDD0}\u{FDEF}d"),
            "a\u{FFFD}b\u{FFFD}c\u{FFFD}\u{FFFD}d"
        );
        assert_eq!(cleaned("\u{FDCF}\u{FDF0}\u{FFFC}"), "\u{FDCF}\u{FDF0}\u{FFFC}");
    }

    #[test]
    fn invalid_utf8_is_replaced() {
        assert_eq!(Text::from_bytes(b"a\xFFb\xE4\xB8").as_str(), "a\u{FFFD}b\u{FFFD}");
        assert_eq!(Text::from_bytes(b"\xC0\x9B[m").as_str(), "\u{FFFD}\u{FFFD}[m");
    }

    #[test]
    fn blanks_are_limited_where_people_read() {
        let shown = |text: &str| Text::new(text).shown().into_owned();
        let most = " ".repeat(BLANKS_MAX);
        for kept in [
            most.clone(),
            format!("a{most}b {most}c").replace("b ", "b"),
            "你好".repeat(40),
        ] {
            assert_eq!(shown(&kept), kept);
        }
        assert_eq!(
            shown(&format!("hm{}from x", " ".repeat(60))),
            format!("hm{most}from x")
        );
        assert_eq!(shown("\t\t\t\tx"), "\t\t\t\tx");
        assert_eq!(shown(&format!("{}x", "\t".repeat(60))), "\t\t\t\tx");
        assert_eq!(shown("a \t\t\t\tx"), "a \t\t\tx");
        assert_eq!(
            shown(&format!("{}x", "\u{3000}".repeat(60))),
            format!("{}x", "\u{3000}".repeat(16))
        );
        for blank in [
            "\u{A0}",
            "\u{2003}",
            "\u{202F}",
            "\u{205F}",
            "\u{1680}",
            "\u{1D159}",
            "\u{2800}",
        ] {
            let columns = shown(&format!("a{}b", blank.repeat(60))).chars().count();
            assert_eq!(columns, BLANKS_MAX + 2, "{blank:?}");
        }
        let joined = shown(&"\u{3000}\u{200D}".repeat(60));
        assert_eq!(joined.matches('\u{3000}').count(), BLANKS_MAX / 2);
    }

    #[test]
    fn an_action_says_what_the_user_does() {
        let action = |text: &str| Text::new(text).action().map(Text::into_owned);
        assert_eq!(action("/me waves"), Some(Text::new("waves")));
        assert_eq!(action("/me\twaves"), Some(Text::new("waves")));
        for text in ["/me", "/me ", "/me   ", "/mew", "x /me waves", " /me waves"] {
            assert_eq!(action(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_an_unsafe_text(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = Text::from_bytes(&bytes);
            prop_assert!(!text.as_str().chars().any(|c| c.is_control() && c != '\t'));
            prop_assert!(text.as_str().len() <= 3 * bytes.len());
        }

        #[test]
        fn cleaning_is_idempotent(text in any::<String>()) {
            let once = cleaned(&text);
            let unsafe_to_show = |c: char| c.is_control() && c != '\t' || ('\u{202A}'..='\u{202E}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
            prop_assert!(!once.chars().any(unsafe_to_show));
            prop_assert_eq!(cleaned(&once), once);
        }

        #[test]
        fn cleaning_tricky_characters_is_idempotent(parts in prop::collection::vec(prop::sample::select(vec![
            "a", "中", "\u{200D}", "\u{200C}", "\u{FE0F}", "\u{FE0E}", "\u{335}", "\u{1B}", "\u{202E}", "1", "\u{20E3}", "👩", " "]), 0..40)) {
            let once = cleaned(&parts.concat());
            prop_assert_eq!(cleaned(&once), once);
        }
    }
}
