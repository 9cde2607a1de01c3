//! What a person types, in every mode.

use chat_proto::plain::{ME_USAGE, MSG_USAGE, NICK_USAGE};
use chat_proto::text::Text;

/// What one typed line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A message to everybody: a line that is no command, `//...` for one that shall begin with a
    /// slash, and `/me ...`, which travels as it is written.
    Say(Text<'a>),
    /// `/msg WHO TEXT`: a private message. WHO is as typed: an id, `nick@id`, or a nick.
    Msg(&'a str, Text<'a>),
    /// `/who`: who is here?
    Who,
    /// `/nick NAME`: take a nick. The name is as typed.
    Nick(&'a str),
    /// `/help`: what can I type?
    Help,
    /// `/quit`: leave.
    Quit,
    /// A blank line, which asks for nothing.
    Nothing,
    /// A command that lacks something; how it is written.
    Incomplete(&'static str),
    /// No command: its name, without the slash, and the nearest one that is, if any is near.
    Unknown(&'a str, Option<&'static str>),
}

/// What `/help` shows, one line each.
pub const HELP: &[&str] = &[
    "/msg WHO TEXT  (/m)      a private message; WHO is a nick, an id (ip:port), or nick@id",
    "/who           (/names)  who is here",
    "/nick NAME               take a nick",
    "/me ACTION               say what you do",
    "/quit          (/exit)   leave",
    "//TEXT                   a message that begins with a slash",
];

/// Every name a command goes by.
const NAMES: [&str; 9] = ["msg", "m", "who", "names", "nick", "me", "help", "quit", "exit"];

/// A typing error is at most this many letters away from what was meant.
const TYPING_ERRORS: usize = 2;

impl<'a> Command<'a> {
    /// Reads a typed line, without its line feed. Every line asks for something, be it nothing.
    #[must_use]
    pub fn parse(line: &'a str) -> Self {
        let Some(command) = line.strip_prefix('/') else {
            return Self::text(line);
        };
        if command.starts_with('/') {
            return Self::Say(Text::new(command));
        }
        let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            "msg" | "m" => match rest.split_once(char::is_whitespace) {
                Some((who, text)) => Self::Msg(who, Text::new(text.trim_start())),
                None => Self::Incomplete(MSG_USAGE),
            },
            "who" | "names" => Self::Who,
            "nick" if rest.is_empty() => Self::Incomplete(NICK_USAGE),
            "nick" => Self::Nick(rest),
            "me" if rest.is_empty() => Self::Incomplete(ME_USAGE),
            "me" => Self::Say(Text::new(line)),
            "help" => Self::Help,
            "quit" | "exit" => Self::Quit,
            _ => Self::Unknown(name, nearest(name)),
        }
    }

    /// Reads a line as text and nothing else, whatever it begins with.
    #[must_use]
    pub fn text(line: &'a str) -> Self {
        let text = Text::new(line);
        if text.is_blank() {
            Self::Nothing
        } else {
            Self::Say(text)
        }
    }
}

/// The command that was probably meant.
fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.to_lowercase();
    // No name is longer than a few letters: what is much longer is near none, and costs time.
    if typed.is_empty() || typed.len() > 16 {
        return None;
    }
    let begun = NAMES.into_iter().filter(|name| name.starts_with(&typed));
    let near = NAMES
        .into_iter()
        .filter(|name| name.len() > 1)
        .map(|name| (distance(&typed, name), name))
        .filter(|&(distance, name)| distance <= TYPING_ERRORS && distance < name.len())
        .min()
        .map(|(_, name)| name);
    begun.min_by_key(|name| name.len()).or(near)
}

/// Levenshtein's distance: letters to add, take away or replace.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (1..=to.chars().count()).collect();
    for (before, ours) in from.chars().enumerate() {
        let (mut corner, mut left) = (before, before + 1);
        for (cell, theirs) in row.iter_mut().zip(to.chars()) {
            let above = *cell;
            left = (corner + usize::from(ours != theirs))
                .min(above + 1)
                .min(left + 1);
            corner = above;
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_else(|| from.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_what_they_look_like() {
        use Command::*;
        let cases = [
            ("hello", Say(Text::new("hello"))),
            ("  two  spaces ", Say(Text::new("  two  spaces "))),
            ("//etc/passwd", Say(Text::new("/etc/passwd"))),
            ("/me waves", Say(Text::new("/me waves"))),
            ("/me", Incomplete(ME_USAGE)),
            ("/msg bob hi there", Msg("bob", Text::new("hi there"))),
            ("/m 10.0.0.5:9\t hi", Msg("10.0.0.5:9", Text::new("hi"))),
            ("/msg bob ", Incomplete(MSG_USAGE)),
            ("/m", Incomplete(MSG_USAGE)),
            ("/who", Who),
            ("/names", Who),
            ("/nick  alice ", Nick("alice")),
            ("/nick", Incomplete(NICK_USAGE)),
            ("/help", Help),
            ("/quit", Quit),
            ("/exit now", Quit),
            ("", Nothing),
            (" \t ", Nothing),
        ];
        for (line, command) in cases {
            assert_eq!(Command::parse(line), command, "{line:?}");
        }
    }

    #[test]
    fn an_unknown_command_names_the_nearest_one() {
        let cases = [
            ("/quti", Some("quit")),
            ("/QUIT", Some("quit")),
            ("/mgs bob hi", Some("msg")),
            ("/nik", Some("nick")),
            ("/w", Some("who")),
            ("/ms", Some("msg")),
            ("/usr/bin/env", None),
            ("/", None),
            ("/xyzzy", None),
        ];
        for (line, near) in cases {
            let Command::Unknown(_, nearest) = Command::parse(line) else {
                panic!("{line:?} is a command");
            };
            assert_eq!(nearest, near, "{line:?}");
        }
    }

    #[test]
    fn as_text_a_command_is_a_message() {
        assert_eq!(Command::text("/quit"), Command::Say(Text::new("/quit")));
        assert_eq!(Command::text("//x"), Command::Say(Text::new("//x")));
        assert_eq!(Command::text("  "), Command::Nothing);
    }

    #[test]
    fn distance_counts_letters() {
        for (from, to, letters) in [
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), letters, "{from} {to}");
        }
    }
}
