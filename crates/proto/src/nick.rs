//! Nicks: the names that users take.

use crate::text::is_invisible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The widest nick, in terminal columns.
pub const NICK_COLUMNS_MAX: usize = 32;

/// The longest nick, in bytes: 32 columns of letters at up to 4 bytes each. Marks take no column, so
/// without this limit a nick of one column could be of any length.
pub const NICK_BYTES_MAX: usize = 128;

/// Marks that may follow one letter. The orthographies that stack most (Vietnamese, Hebrew with
/// cantillation) need four.
const MARKS_MAX: usize = 4;

/// The characters of a nick, in words.
const CHARACTERS: &str = "letters, digits, _ and, after the first, - . '";

/// Words that could be mistaken for the program itself.
const RESERVED: [&str; 3] = ["server", "system", "you"];

/// A valid nick. It exists only if it is valid, so no later check repeats it.
///
/// Letters, marks and digits of any script and `-`, `_`, `.`, `'`; the first is a letter, a digit or `_`, at least
/// one is a letter; at most [`NICK_COLUMNS_MAX`] columns. It is stored in Unicode's normal form C, so
/// that equal-looking nicks are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nick(Box<str>);

/// The comparison form of a nick: two nicks with the same key are the same name.
///
/// Upper and lower case, and the compatibility forms of a character (full-width letters, ligatures),
/// make no difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NickKey(Box<str>);

/// The look of a nick: nicks with a skeleton in common look alike, so only one of them can be in the room.
///
/// Unicode Technical Standard 39, section 4, without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Skeleton(Box<str>);

impl Nick {
    /// Reads a nick.
    ///
    /// # Errors
    /// The rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, NickError> {
        // Limits the normalization. The letters that shrink most by it are Greek ones with three marks, of 8 bytes for a
        // column: 32 of those have exactly this length.
        if text.len() > 2 * NICK_BYTES_MAX {
            return Err(NickError::TooLong);
        }
        let nick: String = text.chars().map(as_mark).nfc().collect();
        check_characters(&nick)?;
        if nick.len() > NICK_BYTES_MAX || nick.width() > NICK_COLUMNS_MAX {
            return Err(NickError::TooLong);
        }
        let key = key_of(&nick);
        if !key.chars().any(char::is_alphabetic) {
            return Err(NickError::LooksLikeAnId);
        }
        if RESERVED.contains(&key.as_str()) {
            return Err(NickError::Reserved);
        }
        Ok(Self(nick.into()))
    }

    /// The nick as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nick as it is compared.
    #[must_use]
    pub fn key(&self) -> NickKey {
        NickKey(key_of(&self.0).into())
    }

    /// The looks of the nick: that of its key, and, if they are others, those of the nick as it is written, with and
    /// without compatibility forms. Only there is a capital I like an l, and a capital Greek nu like an N; and only in its
    /// own form is a lunate sigma like a c, and a long s like an f.
    pub fn skeletons(&self) -> impl Iterator<Item = Skeleton> + use<> {
        let plain: String = self.0.nfkc().collect();
        let mut looks = vec![self.key().skeleton()];
        for written in [&plain, &*self.0].map(Skeleton::of) {
            if !looks.contains(&written) {
                looks.push(written);
            }
        }
        looks.into_iter()
    }

    /// Whether the nicks share a skeleton.
    #[must_use]
    pub fn looks_like(&self, other: &Self) -> bool {
        self.skeletons()
            .any(|look| other.skeletons().any(|own| own == look))
    }

    /// Checks that the nick does not look like a reserved word or an address. For servers only: a client also shows the
    /// users of a server that does not check this.
    ///
    /// # Errors
    /// The rule that the nick breaks.
    pub fn check_look(&self) -> Result<(), NickError> {
        let mut skeletons = self.skeletons();
        let is_reserved = |skeleton: &Skeleton| RESERVED.iter().any(|word| *skeleton == Skeleton::of(word));
        match skeletons.find(|skeleton| is_reserved(skeleton) || skeleton.is_id()) {
            Some(skeleton) if skeleton.is_id() => Err(NickError::LooksLikeAnId),
            Some(_) => Err(NickError::Reserved),
            None => Ok(()),
        }
    }
}

impl NickKey {
    /// The key of any text, to look up what a person typed even if it is no valid nick.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(key_of(text).into())
    }

    /// The look of all nicks with this key.
    #[must_use]
    pub fn skeleton(&self) -> Skeleton {
        Skeleton::of(&self.0)
    }
}

impl Skeleton {
    /// Twice, because a skeleton in lower case may have a skeleton of its own: that of M is m, and that of m is rn.
    fn of(text: &str) -> Self {
        let lower = |text: &str| -> String {
            let letters = skeleton(text).map(plain_letter);
            letters.flat_map(char::to_lowercase).collect()
        };
        let mut base = None;
        let is_seen = |&character: &char| {
            if is_combining_mark(character) {
                // The dot on an i does not show beside its own.
                return character != '\u{307}' || !matches!(base, Some('i' | 'j'));
            }
            base = Some(character);
            true
        };
        let seen: String = lower(&lower(text)).chars().filter(is_seen).collect();
        // The table has rn for m, and lacks this.
        Self(seen.replace("vv", "w").into())
    }

    /// Whether it is that of an IP address, with or without a port. The skeleton of 0 is o, that of 1 is l.
    fn is_id(&self) -> bool {
        let digits = self.0.replace('o', "0").replace('l', "1");
        digits.parse::<IpAddr>().is_ok() || digits.parse::<SocketAddr>().is_ok()
    }
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The comparison form: by way of the upper case, because only so do letters with several lower forms (the two sigmas,
/// the sharp s) meet; and to that from the lower case, because a letter may have two upper ones (the sharp s again). All
/// that in parts: the Greek iota below a vowel is a mark in lower case and a letter in upper, and changes places with
/// the other marks otherwise. Once before compatibility forms are taken apart, which makes marks of some letters, and
/// once after (The Unicode Standard, section 3.13, D146, on caseless matching).
fn key_of(text: &str) -> String {
    let without_case = |character: char| {
        character
            .to_lowercase()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase)
    };
    text.chars()
        .map(as_mark)
        .nfd()
        .flat_map(without_case)
        .nfkd()
        .flat_map(without_case)
        .nfkc()
        .collect()
}

/// The two half-width signs that make a Japanese syllable voiced are letters in Unicode, but their compatibility forms
/// are marks, which may change places with other marks. Here they are marks from the start.
fn as_mark(character: char) -> char {
    match character {
        '\u{FF9E}' => '\u{3099}',
        '\u{FF9F}' => '\u{309A}',
        other => other,
    }
}

/// The letter that a character shows in another style, where Unicode's table of confusable characters lacks it: small
/// capitals, and white letters in black circles and squares.
fn plain_letter(character: char) -> char {
    const A: u8 = b'a';
    let place = |first: char| u8::try_from(u32::from(character) - u32::from(first)).unwrap_or(0);
    match character {
        'ᴀ' => 'a',
        'ʙ' => 'b',
        'ᴅ' => 'd',
        'ᴇ' => 'e',
        'ꜰ' => 'f',
        'ɢ' => 'g',
        'ʜ' => 'h',
        'ᴊ' => 'j',
        'ĸ' => 'k',
        'ʟ' => 'l',
        'ʍ' => 'm',
        'ɴ' => 'n',
        'ᴘ' => 'p',
        'ꞯ' => 'q',
        'ʀ' => 'r',
        'ᴛ' => 't',
        '\u{1F150}'..='\u{1F169}' => char::from(A + place('\u{1F150}')),
        '\u{1F170}'..='\u{1F189}' => char::from(A + place('\u{1F170}')),
        other => other,
    }
}

fn check_characters(nick: &str) -> Result<(), NickError> {
    let mut marks = 0;
    for (place, character) in nick.char_indices() {
        if is_invisible(character) {
            return Err(NickError::Character(character));
        }
        if is_combining_mark(character) {
            marks += 1;
            if place == 0 || marks > MARKS_MAX {
                return Err(NickError::Character(character));
            }
            continue;
        }
        marks = 0;
        let inner = place > 0 && matches!(character, '-' | '.' | '\'');
        if !(inner || character == '_' || is_seen(character)) {
            return Err(NickError::Character(character));
        }
    }
    if nick.is_empty() {
        Err(NickError::Empty)
    } else {
        Ok(())
    }
}

/// A letter or digit that takes a column of its own. The vowels of Korean that stand alone take none, and a terminal
/// may show nothing of them; in a syllable they are part of one character.
fn is_seen(character: char) -> bool {
    character.is_alphanumeric() && character.width() != Some(0)
}

/// Why a text is no valid nick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NickError {
    /// It is empty.
    Empty,
    /// More than [`NICK_COLUMNS_MAX`] columns or [`NICK_BYTES_MAX`] bytes.
    TooLong,
    /// This character is not allowed there.
    Character(char),
    /// It has no letter, or is an IP address.
    LooksLikeAnId,
    /// It is a reserved word.
    Reserved,
}

impl fmt::Display for NickError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a nick needs at least one letter"),
            Self::TooLong => write!(f, "a nick takes at most {NICK_COLUMNS_MAX} columns"),
            Self::Character(' ') => f.write_str("a nick has no spaces"),
            Self::Character(c) if c.is_ascii_graphic() => {
                write!(f, "a nick can't have {c} there: it consists of {CHARACTERS}")
            }
            Self::Character(c) => {
                let number = u32::from(*c);
                write!(
                    f,
                    "a nick can't have U+{number:04X} there: it consists of {CHARACTERS}"
                )
            }
            Self::LooksLikeAnId => f.write_str("a nick needs a letter and must not look like an address"),
            Self::Reserved => f.write_str("that nick is reserved"),
        }
    }
}

impl std::error::Error for NickError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Text;
    use proptest::prelude::*;

    #[test]
    fn names_of_every_script_are_valid() {
        for name in [
            "alice",
            "O'Brien",
            "jean-luc",
            "r2.d2",
            "_x",
            "李雷",
            "Жанна",
            "प्रिया",
            "محمد",
            "สมชาย",
            "Nguyễn",
            "이순신",
            "\u{110B}\u{1175}몽룡",
            "3com",
        ] {
            let composed: String = name.nfc().collect();
            assert_eq!(Nick::parse(name).unwrap().as_str(), composed);
        }
    }

    #[test]
    fn each_rule_has_its_error() {
        use NickError::*;
        let cases = [
            ("", Empty),
            ("a b", Character(' ')),
            ("a@b", Character('@')),
            ("a:b", Character(':')),
            ("/quit", Character('/')),
            ("-rf", Character('-')),
            ("a\u{200D}b", Character('\u{200D}')),
            ("a\u{202E}b", Character('\u{202E}')),
            ("\u{301}a", Character('\u{301}')),
            ("\u{3164}", Character('\u{3164}')),
            ("ad\u{34F}min", Character('\u{34F}')),
            ("ad\u{FE0F}min", Character('\u{FE0F}')),
            ("admin\u{E0100}", Character('\u{E0100}')),
            ("admin\u{1161}", Character('\u{1161}')),
            ("a\u{1B}[31m", Character('\u{1B}')),
            ("😀", Character('😀')),
            ("10.0.0.5", LooksLikeAnId),
            ("１０.0.0.5", LooksLikeAnId),
            ("9000", LooksLikeAnId),
            ("_", LooksLikeAnId),
            ("server", Reserved),
            ("SYSTEM", Reserved),
            ("Ｙou", Reserved),
        ];
        for (text, error) in cases {
            assert_eq!(Nick::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(Nick::parse(&"x".repeat(33)), Err(TooLong));
        assert_eq!(Nick::parse(&"李".repeat(17)), Err(TooLong));
        assert!(Nick::parse(&"李".repeat(16)).is_ok());
        let stacked = |marks| format!("z{}", "\u{335}".repeat(marks));
        assert!(Nick::parse(&stacked(4)).is_ok());
        assert_eq!(Nick::parse(&stacked(5)), Err(Character('\u{335}')));
    }

    #[test]
    fn the_longest_nick_has_128_bytes_in_any_form() {
        let longest = "𐐨".repeat(32);
        assert_eq!(longest.len(), NICK_BYTES_MAX);
        assert!(Nick::parse(&longest).is_ok());
        let marked = "z\u{335}\u{335}\u{335}\u{335}".repeat(15);
        assert!(marked.width() < NICK_COLUMNS_MAX && marked.len() > NICK_BYTES_MAX);
        assert_eq!(Nick::parse(&marked), Err(NickError::TooLong));
        let apart: String = "ᾧ".repeat(32).nfd().collect();
        assert_eq!(apart.len(), 2 * NICK_BYTES_MAX);
        assert!(Nick::parse(&apart).is_ok());
    }

    #[test]
    fn each_error_says_what_to_do() {
        for (error, words) in [
            (NickError::Empty, "a nick needs at least one letter"),
            (NickError::TooLong, "a nick takes at most 32 columns"),
            (NickError::Character(' '), "a nick has no spaces"),
            (
                NickError::Character('@'),
                "a nick can't have @ there: it consists of letters, digits, _ and, after the first, - . '",
            ),
            (
                NickError::Character('\u{202E}'),
                "a nick can't have U+202E there: it consists of letters, digits, _ and, after the first, - . '",
            ),
            (
                NickError::LooksLikeAnId,
                "a nick needs a letter and must not look like an address",
            ),
            (NickError::Reserved, "that nick is reserved"),
        ] {
            assert_eq!(error.to_string(), words);
        }
    }

    #[test]
    fn case_and_compatibility_forms_are_equal() {
        for (one, other) in [
            ("Alice", "aLICE"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
            ("straße", "STRASSE"),
            ("STRAẞE", "straße"),
            ("\u{389}\u{301}\u{345}", "\u{3AE}\u{301}\u{345}"),
            ("ａｌｉｃｅ", "alice"),
            ("é", "e\u{301}"),
        ] {
            assert_eq!(
                Nick::parse(one).unwrap().key(),
                Nick::parse(other).unwrap().key(),
                "{one}"
            );
        }
        assert_ne!(
            Nick::parse("alice").unwrap().key(),
            Nick::parse("alise").unwrap().key()
        );
    }

    proptest! {
        #[test]
        fn a_nick_round_trips_and_is_safe_in_a_line(text in "\\PC{0,40}") {
            if let Ok(nick) = Nick::parse(&text) {
                prop_assert_eq!(Nick::parse(nick.as_str()), Ok(nick.clone()));
                prop_assert!(!nick.as_str().contains([' ', '@', ':', '/', '<', '>']));
                prop_assert!(nick.as_str().len() <= NICK_BYTES_MAX);
                let shown = Text::new(nick.as_str());
                prop_assert_eq!(shown.as_str(), nick.as_str());
                prop_assert_eq!(nick.key(), NickKey::of(nick.as_str()));
            }
        }
    }

    #[test]
    fn half_width_signs_equal_their_marks() {
        let nick = Nick::parse("\u{FF76}\u{FF9E}\u{FF8A}\u{FF9F}").unwrap();
        assert_eq!(nick.key(), NickKey::of("ガパ"));
        assert_eq!(nick.key(), NickKey::of("\u{FF76}\u{FF9E}\u{FF8A}\u{FF9F}"));
        assert_eq!(Nick::parse("\u{FF9E}"), Err(NickError::Character('\u{3099}')));
    }

    fn skeletons(nick: &str) -> Vec<Skeleton> {
        Nick::parse(nick).unwrap().skeletons().collect()
    }

    fn look_alike(one: &str, other: &str) -> bool {
        Nick::parse(one).unwrap().looks_like(&Nick::parse(other).unwrap())
    }

    #[test]
    fn nicks_that_look_alike_share_a_skeleton() {
        for (nick, others) in [
            (
                "prof",
                "\u{440}rof pr\u{43E}f \u{3C1}rof \u{1D18}rof pro\u{192} \u{1D18}\u{280}\u{1D0F}\u{A730} \u{1F17F}rof pr0f PR0F pro\u{17F}",
            ),
            (
                "carol",
                "\u{3F2}arol \u{3F9}AROL \u{ABAF}arol \u{441}\u{430}rol car\u{3BF}l Caro1 CAROI CΑR0L",
            ),
            ("mark", "rnark MARK ma\u{433}k \u{28D}ark"),
            ("bob1", "bobl bobI b0b1 BOB1 \u{412}ob1 \u{432}ob1"),
            ("nick", "\u{39D}ick N\u{131}ck n\u{69}\u{307}ck N\u{130}CK"),
            ("tom", "\u{422}om \u{442}om torn"),
            ("O'Brien", "o\u{2BC}brien \u{39F}\u{2B9}Brien"),
            ("Lan", "Ian 1an"),
            ("will", "vvill VVILL \u{475}vill"),
        ] {
            for other in others.split(' ') {
                assert!(look_alike(nick, other), "{nick} {other}");
                assert_ne!(nick, other);
            }
        }
        let unassigned = Nick::parse("\u{AB6F}arol");
        assert_eq!(unassigned, Err(NickError::Character('\u{AB6F}')));
    }

    #[test]
    fn other_nicks_share_no_skeleton() {
        for (one, other) in [
            ("alice", "alise"),
            ("Ella", "Elia"),
            ("José", "Jose"),
            ("dan", "clan"),
        ] {
            assert!(!look_alike(one, other), "{one} {other}");
        }
        let mut all: Vec<Skeleton> = Vec::new();
        for name in ["lab", "student", "PC", "İzmir", "Host-", "机"] {
            all.extend((1..=400).flat_map(|number| skeletons(&format!("{name}{number}"))));
        }
        let count = all.len();
        let distinct: std::collections::HashSet<Skeleton> = all.into_iter().collect();
        assert_eq!(distinct.len(), count);
    }

    #[test]
    fn no_nick_looks_like_a_reserved_word_or_an_id() {
        for (nick, error) in [
            ("y0u", NickError::Reserved),
            ("s\u{443}stem", NickError::Reserved),
            ("systern", NickError::Reserved),
            ("se\u{433}ver", NickError::Reserved),
            ("l0.0.0.5", NickError::LooksLikeAnId),
            ("IO.0.0.5\u{2D0}9000", NickError::LooksLikeAnId),
        ] {
            assert_eq!(Nick::parse(nick).unwrap().check_look(), Err(error), "{nick}");
        }
        for nick in ["yours", "servers", "lo", "ll.0", "O.1"] {
            assert_eq!(Nick::parse(nick).unwrap().check_look(), Ok(()), "{nick}");
        }
    }
}
