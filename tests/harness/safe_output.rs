//! Which bytes a program may write. The rules stand here a second time, independent of the programs, so that the tests
//! do not repeat a mistake of theirs.

/// Combining marks that may stand on one character; more would cover other lines.
const MARKS_MAX: usize = 8;

/// The longest link, in bytes, that terminals take.
const LINK_MAX: usize = 2083;

/// What each frame begins with.
const FRAME_BEGIN: &[u8] = b"\x1b[?2026h";

/// LEFT-TO-RIGHT MARK.
const MARK: char = '\u{200E}';

/// What the text of each row follows.
const CLEAR_ROW: &str = "\x1b[K";

/// The terminal modes that the full screen sets and resets.
const MODES: [&str; 9] = [
    "?7", "?25", "?1000", "?1004", "?1006", "?1007", "?1049", "?2004", "?2026",
];

/// Asks the terminal for its background.
const ASK_BACKGROUND: &str = "\x1b]11;?\x1b\\";

/// Line mode, the log and what `nc` receives: lines of text, with tabs, and nothing else.
#[track_caller]
pub fn assert_lines_are_safe(what: &str, bytes: &[u8]) {
    let text = utf8(what, bytes);
    for line in text.lines() {
        if let Some(why) = unsafe_part(&line.replace('\t', " ")) {
            panic!("{what}: {why} in {line:?}");
        }
    }
}

/// The full screen: text, and the few escape sequences that draw it.
#[track_caller]
pub fn assert_screen_is_safe(what: &str, bytes: &[u8]) {
    let text = without_direction_marks(what, utf8(what, &whole_sequences(bytes)));
    let text = text.replace(ASK_BACKGROUND, "");
    let mut pieces = text.split('\x1b');
    let mut link = None;
    let check = |piece: &str| {
        for line in piece.split(['\r', '\n', '\x07']) {
            if let Some(why) = unsafe_part(line) {
                panic!("{what}: {why} in {line:?}");
            }
        }
    };
    check(pieces.next().unwrap_or_default());
    while let Some(piece) = pieces.next() {
        let rest = if let Some(title) = piece.strip_prefix("]2;") {
            check(title);
            let end = pieces.next().and_then(|end| end.strip_prefix('\\'));
            end.unwrap_or_else(|| panic!("{what}: a title without an end: {piece:?}"))
        } else if let Some(target) = piece.strip_prefix("]8;") {
            link = link_target(target).unwrap_or_else(|| panic!("{what}: an unsafe link: {piece:?}"));
            let end = pieces.next().and_then(|end| end.strip_prefix('\\'));
            end.unwrap_or_else(|| panic!("{what}: a link without an end: {piece:?}"))
        } else {
            after_sequence(piece)
                .unwrap_or_else(|| panic!("{what}: an unexpected escape sequence: {piece:?}"))
        };
        check(rest);
        if let Some(target) = link {
            assert!(shows(target, rest), "{what}: {rest:?} is a link to {target:?}");
        }
    }
}

/// The screen without the last sequence of each frame that has no end: it is still being written, or the next one came
/// before the terminal had taken it.
fn whole_sequences(screen: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let mut rest = screen;
    while let Some(begin) = position(rest, FRAME_BEGIN) {
        // The bytes before this beginning are a frame, or before the first one.
        let (before, frame) = rest.split_at(begin);
        whole.extend_from_slice(before);
        let length = position(&frame[1..], FRAME_BEGIN).map_or(frame.len(), |next| next + 1);
        let (frame, after) = frame.split_at(length);
        let is_whole = position(frame, b"\x1b[?2026l").is_some();
        whole.extend_from_slice(if is_whole {
            frame
        } else {
            without_last_sequence(frame)
        });
        rest = after;
    }
    whole.extend_from_slice(rest);
    whole
}

fn without_last_sequence(frame: &[u8]) -> &[u8] {
    let begin = |bytes: &[u8]| {
        bytes
            .iter()
            .rposition(|&byte| byte == b'\x1b')
            .unwrap_or_default()
    };
    let end = begin(frame);
    // A link and a title have two escapes.
    let link = begin(&frame[..end]);
    &frame[..if frame[link..].starts_with(b"\x1b]8;") || frame[link..].starts_with(b"\x1b]2;") {
        link
    } else {
        end
    }]
}

fn position(bytes: &[u8], sequence: &[u8]) -> Option<usize> {
    bytes.windows(sequence.len()).position(|bytes| bytes == sequence)
}

/// The screen without the marks that fix the direction of text. They are in rows with text from right to left only:
/// before all of it, and then either at the beginning of the row or directly before a sequence.
#[track_caller]
fn without_direction_marks(what: &str, screen: &str) -> String {
    let unmarked = |row: &str| {
        let Some(text) = row.find(runs_from_right_to_left) else {
            return row.to_owned();
        };
        let mark = row.find(MARK);
        assert!(
            mark.is_some_and(|mark| mark < text),
            "{what}: no mark before {row:?}"
        );
        let row = row.strip_prefix(MARK).unwrap_or(row);
        row.replace("\u{200E}\x1b", "\x1b")
    };
    let rows: Vec<String> = screen.split(CLEAR_ROW).map(unmarked).collect();
    rows.join(CLEAR_ROW)
}

/// Hebrew, Arabic and their neighbours.
fn runs_from_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8FF}' | '\u{FB1D}'..='\u{FDFF}' | '\u{FE70}'..='\u{FEFE}' | '\u{10800}'..='\u{10FFF}'
        | '\u{1E800}'..='\u{1EFFF}')
}

/// Where a link leads, after `OSC 8 ;`; `None` in it at the end of a link.
fn link_target(link: &str) -> Option<Option<&str>> {
    if link == ";" {
        return Some(None);
    }
    let (id, uri) = link.strip_prefix("id=")?.split_once(';')?;
    let (entry, place) = id.split_once('-')?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (scheme, host) = uri.split_once("://")?;
    let is_safe = is_number(entry)
        && is_number(place)
        && ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str())
        && !host.is_empty()
        && uri.bytes().all(|byte| matches!(byte, b'!'..=b'~'))
        && uri.len() <= LINK_MAX;
    is_safe.then_some(Some(uri))
}

/// Whether a text is a part of what it links to. `~` stands for what is cut off, `?` for what is wider than the screen.
fn shows(target: &str, text: &str) -> bool {
    let text = text.trim_end_matches('~');
    let plain = |c: char| if c.is_ascii() { c.to_string() } else { percent(c) };
    text == "?" || target.contains(&text.chars().map(plain).collect::<String>())
}

fn percent(c: char) -> String {
    c.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[track_caller]
fn utf8<'a>(what: &str, bytes: &'a [u8]) -> &'a str {
    let shown = |at: usize| {
        let part = &bytes[at.saturating_sub(40)..bytes.len().min(at + 40)];
        String::from_utf8_lossy(part).into_owned()
    };
    std::str::from_utf8(bytes)
        .unwrap_or_else(|error| panic!("{what}: {error}, near {:?}", shown(error.valid_up_to())))
}

/// The text after one of the sequences that draw the screen. The escape itself is already removed.
fn after_sequence(piece: &str) -> Option<&str> {
    let rest = piece.strip_prefix('[')?;
    let end = rest.find(|c: char| !matches!(c, '0'..='9' | ';' | '?'))?;
    let (parameters, rest) = rest.split_at(end);
    let known = match rest.chars().next()? {
        'H' | 'J' | 'K' | 'm' => !parameters.contains('?'),
        'h' | 'l' => MODES.contains(&parameters),
        'r' | 's' => parameters == "?1007",
        // The title is saved and restored.
        't' => ["22;2", "23;2"].contains(&parameters),
        _ => false,
    };
    known.then(|| &rest[1..])
}

/// Why a line is unsafe, if it is.
fn unsafe_part(line: &str) -> Option<String> {
    let mut before = None;
    let mut marks = 0;
    for c in line.chars() {
        let kind = match c {
            _ if c.is_control() => "a control character",
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => {
                "a change of text direction"
            }
            '\u{2028}' | '\u{2029}' => "a line separator",
            '\u{AD}' | '\u{200B}' | '\u{2060}'..='\u{2065}' | '\u{206A}'..='\u{206F}' | '\u{FEFF}' => {
                "an invisible character"
            }
            '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{2800}' => "a letter that looks blank",
            '\u{FFF0}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}' => {
                "an invisible tag or annotation"
            }
            '\u{180B}'..='\u{180F}' | '\u{FE00}'..='\u{FE0D}' => "a variation selector out of place",
            '\u{200C}' | '\u{200D}' if before.is_none_or(|c: char| c.is_ascii()) => "a joiner after ASCII",
            '\u{FE0E}' | '\u{FE0F}' if before.is_none_or(|c: char| c.is_ascii_alphabetic()) => {
                "a variation selector on a letter"
            }
            '\u{FFFE}' | '\u{FFFF}' | '\u{FDD0}'..='\u{FDEF}' | '\u{10FFFE}' | '\u{10FFFF}' => {
                "a noncharacter"
            }
            _ => "",
        };
        if !kind.is_empty() {
            return Some(format!("{kind} (U+{:04X})", u32::from(c)));
        }
        match c {
            '\u{300}'..='\u{36F}' | '\u{1AB0}'..='\u{1AFF}' | '\u{20D0}'..='\u{20FF}' => marks += 1,
            '\u{200C}' | '\u{200D}' => {}
            _ => marks = 0,
        }
        if marks > MARKS_MAX {
            return Some("too many combining marks".into());
        }
        before = Some(c);
    }
    None
}

#[test]
fn unsafe_characters_and_sequences_are_found() {
    for line in [
        "\x1b",
        "a\u{9b}",
        "\u{202E}",
        "a\u{200D}b",
        "\u{E0041}",
        &"\u{300}".repeat(9),
    ] {
        assert!(unsafe_part(line).is_some(), "{line:?}");
    }
    assert_eq!(
        unsafe_part("\u{65E5}\u{672C} e\u{301} \u{1F468}\u{200D}\u{1F469} \u{241B}[2J"),
        None
    );
    assert_eq!(after_sequence("[2;1Hx"), Some("x"));
    assert_eq!(after_sequence("[?1049lx"), Some("x"));
    assert_eq!(link_target("id=3-1;https://a/%C3"), Some(Some("https://a/%C3")));
    assert_eq!(link_target(";"), Some(None));
    let long = format!("id=3-1;http://{}", "a".repeat(LINK_MAX));
    for link in [
        "id=3-1;file:///etc/passwd",
        "id=3-1;http://",
        "id=3-1;http://a\u{e9}",
        "id=3-1;http://a\u{9c}",
        "id=3-1;http://a\x07",
        "id=3-1;http://a b",
        "id=3;http://a",
        "id=-;http://a",
        "id=3-1:x=y;http://a",
        ";http://a",
        "",
        &long,
    ] {
        assert_eq!(link_target(link), None, "{link:?}");
    }
    assert!(shows("http://a/%C3%A9", "a/\u{e9}") && shows("http://a/bc", "a/b~"));
    assert!(!shows("http://a/", "http://b/"));
    let row = |text: &str| format!("\x1b[2;1H\x1b[K{text}\x1b[0m");
    let unmarked = |text: &str| without_direction_marks("test", &row(text));
    assert_eq!(
        unmarked("22:14 \u{200E}\x1b[2;7H\u{5D0}"),
        row("22:14 \x1b[2;7H\u{5D0}")
    );
    assert_eq!(unmarked("\u{200E}\u{5D0}"), row("\u{5D0}"));
    // Those of others stay, and are found.
    for text in [
        "a\u{200E}",
        "\u{200E}a",
        "\u{200E}\u{200E}\u{5D0}",
        "\u{200E}\u{5D0}\u{200E}x",
        "\u{200E}\u{5D0}\u{200E}\u{200E}",
    ] {
        assert!(unmarked(text).contains(MARK), "{text:?}");
    }
    let whole = |screen: &str| String::from_utf8(whole_sequences(screen.as_bytes())).unwrap();
    let kept = "\x1b[?2026h\x1b[2Jab\x1b[?2026l\x07";
    assert_eq!(whole(&format!("\x1b[?1049h{kept}")), format!("\x1b[?1049h{kept}"));
    for cut in [
        "\x1b",
        "\x1b[2",
        "\x1b[0mab",
        "\x1b]8;;",
        "\x1b]8;id=1-1;http://a\x1b",
        "\x1b]8;;\x1b\\a",
    ] {
        let screen = format!("{kept}\x1b[?2026h\x1b[2J{cut}{kept}\x1b[?2026h\x1b[2J{cut}");
        let expected = format!("{kept}\x1b[?2026h\x1b[2J{kept}\x1b[?2026h\x1b[2J");
        assert_eq!(whole(&screen), expected, "{cut:?}");
    }
    for piece in ["[?1003h", "]0;t", "c", "[6n", "[?1048h", "[2", "["] {
        assert_eq!(after_sequence(piece), None, "{piece:?}");
    }
}
