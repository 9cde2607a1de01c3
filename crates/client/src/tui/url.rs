//! The URLs in a line, which become links of the terminal (OSC 8). A wrapped URL is one link, and opens as a whole.

use std::ffi::OsStr;
use std::ops::Range;
use unicode_width::UnicodeWidthChar;

/// The longest URI that terminals accept as a link, in bytes (VTE and iTerm2).
const URI_MAX: usize = 2083;

/// The schemes: those that only open a page.
const SCHEMES: [&str; 2] = ["https", "http"];

/// The terminals, by the first word of `TERM`, that show links or ignore them, and other strings that they do not know. Others may print them as text. GNU screen
/// is left out for this reason: it prints what follows the first 768 bytes.
const TERMINALS: [&str; 16] = [
    "alacritty",
    "contour",
    "foot",
    "ghostty",
    "gnome",
    "iTerm2",
    "kitty",
    "konsole",
    "mintty",
    "mlterm",
    "rxvt",
    "st",
    "tmux",
    "vte",
    "wezterm",
    "xterm",
];

/// The sequence that ends a link.
pub(super) const CLOSING: &str = "\x1b]8;;\x1b\\";

/// What a span links to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// The serial of the entry, and the place in its line. They make the rows of a wrapped URL one link.
    entry: u64,
    place: usize,
    /// Printable ASCII only. `uri.len() <= URI_MAX`
    uri: String,
}

impl Url {
    /// The URL that is shown as this; `None` if it is too long for a link.
    pub(super) fn new(entry: u64, place: usize, shown: &str) -> Option<Self> {
        let uri = encoded(shown);
        (uri.len() <= URI_MAX).then_some(Self { entry, place, uri })
    }

    /// The sequence that begins the link.
    pub(super) fn opening(&self) -> String {
        format!("\x1b]8;id={}-{};{}\x1b\\", self.entry, self.place, self.uri)
    }
}

/// Whether a terminal may receive links and other strings.
pub(super) fn are_strings_known(term: Option<&OsStr>) -> bool {
    let term = term.and_then(OsStr::to_str).unwrap_or_default();
    let family = term.split(['-', '.']).next().unwrap_or_default();
    TERMINALS.contains(&family)
}

/// The places of the URLs in a text, in bytes.
pub(super) fn urls(text: &str) -> Vec<Range<usize>> {
    const SEPARATOR: &str = "://";
    let mut found: Vec<Range<usize>> = Vec::new();
    for (colon, _) in text.match_indices(SEPARATOR) {
        let (before, rest) = text.split_at(colon);
        let begun = found.last().map_or(0, |last| last.end);
        let Some(start) = scheme(before).filter(|&start| start >= begun) else {
            continue;
        };
        let length = length(rest.get(SEPARATOR.len()..).unwrap_or_default());
        if length > 0 {
            found.push(start..colon + SEPARATOR.len() + length);
        }
    }
    found
}

/// Where the scheme begins with which a text ends, if it does.
fn scheme(text: &str) -> Option<usize> {
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let starts = SCHEMES.iter().map(|scheme| text.len().checked_sub(scheme.len()));
    starts.flatten().find(|&start| {
        let (before, word) = text.split_at_checked(start).unwrap_or_default();
        SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) && !before.ends_with(is_of_scheme)
    })
}

/// The length of a URL after its scheme, in bytes; 0 if there is no host. Punctuation at its end, and a bracket without
/// its other half, belong to the text around it.
fn length(rest: &str) -> usize {
    let mut open = Vec::new();
    let mut end = rest.len();
    for (place, character) in rest.char_indices() {
        let is_part = match character {
            '(' | '[' => {
                open.push((place, character));
                true
            }
            ')' => open.pop_if(|(_, bracket)| *bracket == '(').is_some(),
            ']' => open.pop_if(|(_, bracket)| *bracket == '[').is_some(),
            other => is_of_url(other),
        };
        if !is_part {
            end = place;
            break;
        }
    }
    let end = open.first().map_or(end, |&(place, _)| place);
    let url = rest.get(..end).unwrap_or_default();
    let url = url.trim_end_matches(['.', ',', ':', ';', '!', '?', '\'', '*']);
    let has_host = url.starts_with(|first: char| first == '[' || first.is_alphanumeric());
    if has_host { url.len() } else { 0 }
}

/// The characters of RFC 3986, and the letters and digits of all scripts with their marks.
fn is_of_url(character: char) -> bool {
    match character {
        _ if character.is_alphanumeric() => true,
        '-' | '.' | '_' | '~' | ':' | '/' | '?' | '#' | '@' | '!' | '$' | '&' | '\'' | '*' | '+' | ','
        | ';' | '=' | '%' => true,
        _ => !character.is_ascii() && character.width() == Some(0),
    }
}

/// The URI of a URL as people write it (RFC 3987): ASCII, everything else as `%` and two digits.
fn encoded(url: &str) -> String {
    let mut uri = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'!'..=b'~' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The linked parts of a text, and where they lead.
    fn links(text: &str) -> Vec<(String, String)> {
        let shown = urls(text).into_iter().map(|place| &text[place]);
        let link = |shown: &str| Some((shown.to_owned(), Url::new(7, 1, shown)?.uri));
        shown.filter_map(link).collect()
    }

    /// The only link of a text, which shows what it leads to.
    #[track_caller]
    fn the_link(text: &str) -> String {
        let links = links(text);
        assert_eq!(links.len(), 1, "{text}: {links:?}");
        assert_eq!(links[0].0, links[0].1, "{text}");
        links[0].0.clone()
    }

    #[test]
    fn a_url_ends_where_the_text_around_it_begins() {
        for (text, url) in [
            ("see http://example.com", "http://example.com"),
            (
                "HTTPS://Example.com:8080/a?b=c&d#e ok",
                "HTTPS://Example.com:8080/a?b=c&d#e",
            ),
            ("(https://example.com/a), or", "https://example.com/a"),
            ("https://example.com/a_(b).", "https://example.com/a_(b)"),
            ("[https://example.com/a]: it", "https://example.com/a"),
            ("http://[::1]:9000/x!", "http://[::1]:9000/x"),
            ("https://example.com/(a", "https://example.com/"),
            ("https://example.com/[a)]", "https://example.com/"),
            ("<https://example.com/>", "https://example.com/"),
            ("\"https://example.com/?\"", "https://example.com/"),
            ("is it https://example.com/?!", "https://example.com/"),
            ("看https://example.com/，你好", "https://example.com/"),
            ("http://user:pass@example.com;", "http://user:pass@example.com"),
            ("a`https://example.com/x`b", "https://example.com/x"),
        ] {
            assert_eq!(the_link(text), url);
        }
        for text in [
            "http://",
            "http:///x",
            "http://.",
            "http://[",
            "xhttp://example.com",
            "ftp://example.com",
            "file:///etc/passwd",
            "javascript://example.com/%0aalert(1)",
            "://example.com",
            "http:/example.com",
            "view-source+http://example.com",
        ] {
            assert_eq!(links(text), [], "{text}");
        }
        let both = links("http://a.example/,http://b.example/ (http://c.example)http://d.example");
        assert_eq!(both.len(), 3, "{both:?}");
    }

    #[test]
    fn a_uri_is_printable_ascii_of_bounded_length() {
        let one = |text: &str, uri: &str| {
            assert_eq!(links(text), [(text.to_owned(), uri.to_owned())]);
        };
        one("https://de.example/Köln", "https://de.example/K%C3%B6ln");
        one("https://de.example/Ko\u{308}ln", "https://de.example/Ko%CC%88ln");
        one("http://例え.example/%41", "http://%E4%BE%8B%E3%81%88.example/%41");
        for tricks in ["\x1b\\\x1b]8;;\x07", "\u{9c}", "\n", " ", "\u{3000}"] {
            assert_eq!(
                the_link(&format!("http://a.example/x{tricks}b")),
                "http://a.example/x"
            );
        }
        let long = |length: usize| format!("http://a.example/{}", "x".repeat(length - 17));
        assert_eq!(the_link(&long(URI_MAX)).len(), URI_MAX);
        for text in [
            long(URI_MAX + 1),
            long(20_000),
            format!("http://a.example/{}", "你".repeat(300)),
        ] {
            assert_eq!(links(&text), []);
        }
    }

    #[test]
    fn only_known_terminals_receive_links() {
        let known = |term: &str| are_strings_known(Some(OsStr::new(term)));
        for term in [
            "xterm-256color",
            "xterm",
            "xterm-kitty",
            "tmux-256color",
            "foot",
            "st-256color",
            "iTerm2.app",
            "rxvt-unicode-256color",
        ] {
            assert!(known(term), "{term}");
        }
        for term in [
            "",
            "linux",
            "linux-16color",
            "dumb",
            "vt100",
            "vt220",
            "ansi",
            "screen",
            "screen-256color",
            "screen.xterm-256color",
            "eterm-color",
            "cons25",
            "sun",
            "xtermite",
        ] {
            assert!(!known(term), "{term}");
        }
        assert!(!are_strings_known(None));
    }

    proptest! {
        #[test]
        fn any_text_gives_safe_links(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "http://", "https://", "a.example", "/", "(", ")", "[", "]", ".", ",", " ", "你", "\u{301}", "é", "%", "\x1b",
                "👩\u{200D}💻", "\u{200D}", "x"]), 0..40))
        {
            let mut end = 0;
            for place in urls(&pieces.concat()) {
                prop_assert!(place.start >= end && place.end > place.start);
                end = place.end;
            }
            for (_, uri) in links(&pieces.concat()) {
                prop_assert!(uri.bytes().all(|byte| byte.is_ascii_graphic()), "{}", uri);
            }
        }
    }
}
