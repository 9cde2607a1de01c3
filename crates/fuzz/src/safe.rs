//! What is safe to display: a second implementation, so that a mistake of the first is found.

use unicode_normalization::char::is_combining_mark;

/// The most combining marks in a row, the limit of the text type.
const MARKS_MAX: usize = 8;

/// Panics unless a terminal shows this as one line of text.
pub(crate) fn assert_safe(text: &str) {
    if text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return;
    }
    let mut marks = 0;
    let mut last = None;
    for character in text.chars() {
        assert!(
            !character.is_control() || character == '\t',
            "a control character in {text:?}"
        );
        assert!(
            !reorders_or_hides(character),
            "U+{:04X} in {text:?}",
            u32::from(character)
        );
        if is_joiner(character) {
            let shapes = last.is_some_and(|last: char| !last.is_ascii() && !is_joiner(last));
            assert!(shapes, "a joiner without neighbours in {text:?}");
        } else if is_combining_mark(character) && !is_selector(character) {
            marks += 1;
            assert!(marks <= MARKS_MAX, "too many combining marks in {text:?}");
        } else if !is_selector(character) {
            marks = 0;
        }
        last = Some(character);
    }
}

/// Characters that change the text direction, end a line, or are invisible. Joiners and variation selectors are checked
/// elsewhere.
fn reorders_or_hides(character: char) -> bool {
    matches!(character,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        | '\u{2028}' | '\u{2029}' | '\u{00AD}' | '\u{034F}' | '\u{200B}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}'
        | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}'
        | '\u{180E}' | '\u{E0000}'..='\u{E0FFF}')
}

fn is_joiner(character: char) -> bool {
    matches!(character, '\u{200C}' | '\u{200D}')
}

fn is_selector(character: char) -> bool {
    matches!(character, '\u{FE0E}' | '\u{FE0F}')
}
