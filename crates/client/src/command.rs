//! What a person types, in every mode.

use chat_proto::plain::{ME_USAGE, MSG_USAGE, NICK_USAGE};
use chat_proto::text::Text;
use clap::ValueEnum;

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
    /// `/help`: what can I type? `/help keys`, on the full screen: and which keys are there?
    Help,
    /// `/quit`: leave.
    Quit,
    /// Something that the full screen does by itself, and line mode does not.
    Local(Local<'a>),
    /// A blank line, which asks for nothing.
    Nothing,
    /// A command that lacks something; how it is written.
    Incomplete(&'static str),
    /// No command: its name, without the slash, and the nearest one that is, if any is near.
    Unknown(&'a str, Option<&'static str>),
}

/// What the full screen does by itself. Names are as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local<'a> {
    /// `/reply TEXT`: a private message to who last wrote one.
    Reply(Text<'a>),
    /// `/query WHO`: what is typed goes to this user, until `/query` alone.
    Query(Option<&'a str>),
    /// `/whois WHO`: what is known of a user.
    Whois(&'a str),
    /// `/ignore WHO`: show nothing of a user; alone: who is ignored?
    Ignore(Option<&'a str>),
    /// `/unignore WHO`: show a user again.
    Unignore(&'a str),
    /// `/quiet`: fold joins and leaves, or don't.
    Quiet,
    /// `/bell WHEN`: when to ring; alone: when does it?
    Bell(Option<Bell>),
    /// `/verify WHO`: a code that two users compare.
    Verify(&'a str),
    /// `/search TEXT`: where was that said? Alone: and before that?
    Search(Option<&'a str>),
    /// `/clear`: an empty screen.
    Clear,
    /// `/help keys`: what does each key do?
    Keys,
}

/// When the terminal rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bell {
    /// Never.
    Off,
    /// When the user is named, or written to privately.
    #[default]
    Mention,
    /// When the user is written to privately.
    Private,
    /// At every message.
    All,
}

/// A command by its names, and how it is written.
#[derive(Debug)]
pub struct Entry {
    /// Its name, without the slash.
    pub name: &'static str,
    /// Its other name, if it has one.
    pub alias: Option<&'static str>,
    /// How it is written; what may be left out stands in brackets.
    pub usage: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Whether it is there on the full screen only.
    pub screen_only: bool,
}

const fn everywhere(
    name: &'static str,
    alias: Option<&'static str>,
    usage: &'static str,
    about: &'static str,
) -> Entry {
    let screen_only = false;
    Entry {
        name,
        alias,
        usage,
        about,
        screen_only,
    }
}

const fn on_screen(
    name: &'static str,
    alias: Option<&'static str>,
    usage: &'static str,
    about: &'static str,
) -> Entry {
    let screen_only = true;
    Entry {
        name,
        alias,
        usage,
        about,
        screen_only,
    }
}

/// Every command: the one table that the program, its completion, `/help` and the README are made from.
pub const COMMANDS: &[Entry] = &[
    everywhere(
        "msg",
        Some("m"),
        MSG_USAGE,
        "to one alone: a nick, an id (ip:port), or nick@id",
    ),
    everywhere(
        "reply",
        Some("r"),
        "/reply TEXT",
        "to who last wrote to you alone",
    ),
    everywhere(
        "query",
        Some("q"),
        "/query [WHO]",
        "what you type goes to WHO alone; /query ends that",
    ),
    everywhere("who", Some("names"), "/who", "who is here"),
    on_screen("whois", None, "/whois WHO", "what is known of somebody"),
    everywhere("nick", None, NICK_USAGE, "take a nick"),
    everywhere("me", None, ME_USAGE, "say what you do"),
    on_screen(
        "ignore",
        None,
        "/ignore [WHO]",
        "show nothing of WHO; or who is ignored",
    ),
    on_screen("unignore", None, "/unignore WHO", "show somebody again"),
    on_screen(
        "quiet",
        None,
        "/quiet",
        "fold joins and leaves into one line, or don't",
    ),
    on_screen("bell", None, "/bell [WHEN]", BELL_ABOUT),
    everywhere(
        "verify",
        None,
        "/verify WHO",
        "a code to compare aloud: is nobody between you?",
    ),
    on_screen(
        "search",
        None,
        "/search [TEXT]",
        "scroll to where TEXT was said; then to before that",
    ),
    on_screen(
        "clear",
        None,
        "/clear",
        "an empty screen; PgUp shows what was there",
    ),
    everywhere("help", None, "/help [keys]", "this, or what each key does"),
    everywhere("quit", Some("exit"), "/quit", "leave"),
];

const BELL_ABOUT: &str = "when to ring: off, mention, private or all";

/// What `/help` says of the commands, one line each, of 74 columns at most.
pub fn help(full_screen: bool) -> impl Iterator<Item = String> {
    let table = COMMANDS
        .iter()
        .filter(move |entry| full_screen || !entry.screen_only);
    let lines = table.map(|entry| {
        let alias = entry.alias.map_or(String::new(), |alias| format!(", /{alias}"));
        help_line(&format!("{}{alias}", entry.usage), entry.about)
    });
    lines.chain([help_line("//TEXT", "a message that begins with a slash")])
}

fn help_line(written: &str, about: &str) -> String {
    format!("{written:<18} {about}")
}

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
        let Some(entry) = entry(name) else {
            return Self::Unknown(name, nearest(name));
        };
        let command = match Some(rest.trim()).filter(|rest| !rest.is_empty()) {
            Some(rest) => Self::with(entry, rest, line),
            None => Self::alone(entry),
        };
        command.unwrap_or(Self::Incomplete(entry.usage))
    }

    /// A command with something after it.
    fn with(entry: &Entry, rest: &'a str, line: &'a str) -> Option<Self> {
        Some(match entry.name {
            "msg" => {
                let (who, text) = rest.split_once(char::is_whitespace)?;
                Self::Msg(who, Text::new(text.trim_start()))
            }
            "nick" => Self::Nick(rest),
            "me" => Self::Say(Text::new(line)),
            "reply" => Self::Local(Local::Reply(Text::new(rest))),
            "query" => Self::Local(Local::Query(Some(rest))),
            "whois" => Self::Local(Local::Whois(rest)),
            "ignore" => Self::Local(Local::Ignore(Some(rest))),
            "unignore" => Self::Local(Local::Unignore(rest)),
            "bell" => Self::Local(Local::Bell(Some(Bell::from_str(rest, false).ok()?))),
            "verify" => Self::Local(Local::Verify(rest)),
            "search" => Self::Local(Local::Search(Some(rest))),
            "help" if rest == "keys" => Self::Local(Local::Keys),
            _ => return Self::alone(entry),
        })
    }

    /// A command with nothing after it, where that means something.
    fn alone(entry: &Entry) -> Option<Self> {
        Some(match entry.name {
            "who" => Self::Who,
            "help" => Self::Help,
            "quit" => Self::Quit,
            "query" => Self::Local(Local::Query(None)),
            "ignore" => Self::Local(Local::Ignore(None)),
            "quiet" => Self::Local(Local::Quiet),
            "bell" => Self::Local(Local::Bell(None)),
            "search" => Self::Local(Local::Search(None)),
            "clear" => Self::Local(Local::Clear),
            _ => return None,
        })
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

fn entry(name: &str) -> Option<&'static Entry> {
    COMMANDS
        .iter()
        .find(|entry| entry.name == name || entry.alias == Some(name))
}

/// The command that was probably meant.
fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.to_lowercase();
    // No name is longer than a few letters: what is much longer is near none, and costs time.
    if typed.is_empty() || typed.len() > 16 {
        return None;
    }
    let names = || {
        COMMANDS
            .iter()
            .flat_map(|entry| [Some(entry.name), entry.alias])
            .flatten()
    };
    let begun = names().filter(|name| name.starts_with(&typed));
    let near = names()
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
        use super::Local::*;
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
            ("/help keys", Local(Keys)),
            ("/quit", Quit),
            ("/exit now", Quit),
            ("/r hi there", Local(Reply(Text::new("hi there")))),
            ("/reply ", Incomplete("/reply TEXT")),
            ("/q bob", Local(Query(Some("bob")))),
            ("/query", Local(Query(None))),
            ("/whois bob", Local(Whois("bob"))),
            ("/whois", Incomplete("/whois WHO")),
            ("/ignore bob", Local(Ignore(Some("bob")))),
            ("/ignore", Local(Ignore(None))),
            ("/unignore bob", Local(Unignore("bob"))),
            ("/unignore", Incomplete("/unignore WHO")),
            ("/quiet", Local(Quiet)),
            ("/bell", Local(Bell(None))),
            ("/bell off", Local(Bell(Some(super::Bell::Off)))),
            ("/bell loud", Incomplete("/bell [WHEN]")),
            ("/verify bob", Local(Verify("bob"))),
            ("/search a b", Local(Search(Some("a b")))),
            ("/search", Local(Search(None))),
            ("/clear", Local(Clear)),
            ("", Nothing),
            (" \t ", Nothing),
        ];
        for (line, command) in cases {
            assert_eq!(Command::parse(line), command, "{line:?}");
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        for full_screen in [false, true] {
            assert!(help(full_screen).all(|line| line.len() <= 74));
            assert!(help(full_screen).count() <= 18);
        }
        assert!(!help(false).any(|line| line.contains("/bell")));
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
