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

/// When the terminal's bell rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Bell {
    /// Never
    Off,
    /// When a message names you or is private
    #[default]
    Mention,
    /// When a message is private
    Private,
    /// At every message
    All,
}

/// Every choice that there is, as it is written.
pub(crate) fn words<T: ValueEnum>() -> Vec<String> {
    let choices = T::value_variants().iter().filter_map(T::to_possible_value);
    choices.map(|choice| choice.get_name().to_owned()).collect()
}

/// What a command does, which decides how it is read. Private, so that the compiler tells of one without a row.
#[derive(Clone, Copy, Debug)]
enum Verb {
    Msg,
    Reply,
    Query,
    Who,
    Whois,
    Nick,
    Me,
    Ignore,
    Unignore,
    Quiet,
    Bell,
    Verify,
    Search,
    Clear,
    Help,
    Quit,
}

/// What stands after a command, which decides how it is completed. Whether it may be left out, the usage says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    /// Nothing; what stands there all the same is passed over.
    None,
    /// A user.
    User,
    /// A user, and what is said to that one.
    UserThenText,
    /// A choice of [`Bell`].
    Bell,
    /// Words of the user's own.
    Text,
}

/// A command by its names, and how it is written.
#[derive(Debug)]
pub struct Entry {
    verb: Verb,
    /// Its name, without the slash.
    pub name: &'static str,
    /// Its other name, if it has one.
    pub alias: Option<&'static str>,
    /// What it takes.
    pub argument: Argument,
    /// How it is written; what may be left out stands in brackets.
    pub usage: &'static str,
    /// What it does; after that of [`Argument::Bell`], `/help` names the choices.
    pub about: &'static str,
    /// Whether it is there on the full screen only.
    pub screen_only: bool,
}

const fn everywhere(
    verb: Verb,
    name: &'static str,
    alias: Option<&'static str>,
    argument: Argument,
    usage: &'static str,
    about: &'static str,
) -> Entry {
    let screen_only = false;
    Entry {
        verb,
        name,
        alias,
        argument,
        usage,
        about,
        screen_only,
    }
}

const fn on_screen(
    verb: Verb,
    name: &'static str,
    alias: Option<&'static str>,
    argument: Argument,
    usage: &'static str,
    about: &'static str,
) -> Entry {
    let screen_only = true;
    Entry {
        verb,
        name,
        alias,
        argument,
        usage,
        about,
        screen_only,
    }
}

/// Every command: the one table that the program, its completion, `/help` and the manual page are made from. A test
/// compares the README with the manual page.
pub const COMMANDS: &[Entry] = &[
    everywhere(
        Verb::Msg,
        "msg",
        Some("m"),
        Argument::UserThenText,
        MSG_USAGE,
        "to one alone: a nick, an id (ip:port), or nick@id",
    ),
    everywhere(
        Verb::Reply,
        "reply",
        Some("r"),
        Argument::Text,
        "/reply TEXT",
        "to who last wrote to you alone",
    ),
    everywhere(
        Verb::Query,
        "query",
        Some("q"),
        Argument::User,
        "/query [WHO]",
        "what you type goes to WHO alone; /query ends that",
    ),
    everywhere(
        Verb::Who,
        "who",
        Some("names"),
        Argument::None,
        "/who",
        "who is here",
    ),
    on_screen(
        Verb::Whois,
        "whois",
        None,
        Argument::User,
        "/whois WHO",
        "what is known of somebody",
    ),
    everywhere(
        Verb::Nick,
        "nick",
        None,
        Argument::Text,
        NICK_USAGE,
        "take a nick",
    ),
    everywhere(Verb::Me, "me", None, Argument::Text, ME_USAGE, "say what you do"),
    on_screen(
        Verb::Ignore,
        "ignore",
        None,
        Argument::User,
        "/ignore [WHO]",
        "show nothing of WHO; or who is ignored",
    ),
    on_screen(
        Verb::Unignore,
        "unignore",
        None,
        Argument::User,
        "/unignore WHO",
        "show somebody again",
    ),
    on_screen(
        Verb::Quiet,
        "quiet",
        None,
        Argument::None,
        "/quiet",
        "fold joins and leaves into one line, or don't",
    ),
    on_screen(
        Verb::Bell,
        "bell",
        None,
        Argument::Bell,
        "/bell [WHEN]",
        "when to ring",
    ),
    everywhere(
        Verb::Verify,
        "verify",
        None,
        Argument::User,
        "/verify WHO",
        "a code to compare aloud: is nobody between you?",
    ),
    on_screen(
        Verb::Search,
        "search",
        None,
        Argument::Text,
        "/search [TEXT]",
        "scroll to where TEXT was said; then to before that",
    ),
    on_screen(
        Verb::Clear,
        "clear",
        None,
        Argument::None,
        "/clear",
        "an empty screen; PgUp shows what was there",
    ),
    everywhere(
        Verb::Help,
        "help",
        None,
        Argument::Text,
        "/help [keys]",
        "this, or what each key does",
    ),
    everywhere(Verb::Quit, "quit", Some("exit"), Argument::None, "/quit", "leave"),
];

/// What `/help` says of the commands, one line each, of 74 columns at most.
pub fn help(full_screen: bool) -> impl Iterator<Item = String> {
    let table = COMMANDS
        .iter()
        .filter(move |entry| full_screen || !entry.screen_only);
    let lines = table.map(|entry| {
        let alias = entry.alias.map_or(String::new(), |alias| format!(", /{alias}"));
        help_line(&format!("{}{alias}", entry.usage), &about(entry))
    });
    lines.chain([help_line("//TEXT", "a message that begins with a slash")])
}

fn about(entry: &Entry) -> String {
    match entry.argument {
        Argument::Bell => format!("{}: {}", entry.about, one_of(&words::<Bell>())),
        _ => entry.about.to_owned(),
    }
}

fn one_of(choices: &[String]) -> String {
    match choices {
        [others @ .., before, last] => [others, &[format!("{before} or {last}")]].concat().join(", "),
        _ => choices.concat(),
    }
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
        let rest = Some(rest.trim()).filter(|rest| !rest.is_empty());
        Self::of(entry.verb, rest, line).unwrap_or(Self::Incomplete(entry.usage))
    }

    /// A command and what stands after it, of this line. `None`: it lacks something.
    fn of(verb: Verb, rest: Option<&'a str>, line: &'a str) -> Option<Self> {
        Some(match verb {
            Verb::Msg => {
                let (who, text) = rest?.split_once(char::is_whitespace)?;
                Self::Msg(who, Text::new(text.trim_start()))
            }
            Verb::Reply => Self::Local(Local::Reply(Text::new(rest?))),
            Verb::Query => Self::Local(Local::Query(rest)),
            Verb::Who => Self::Who,
            Verb::Whois => Self::Local(Local::Whois(rest?)),
            Verb::Nick => Self::Nick(rest?),
            Verb::Me => Self::Say(rest.map(|_| Text::new(line))?),
            Verb::Ignore => Self::Local(Local::Ignore(rest)),
            Verb::Unignore => Self::Local(Local::Unignore(rest?)),
            Verb::Quiet => Self::Local(Local::Quiet),
            Verb::Bell => {
                let when = rest.map(|word| Bell::from_str(word, false)).transpose();
                Self::Local(Local::Bell(when.ok()?))
            }
            Verb::Verify => Self::Local(Local::Verify(rest?)),
            Verb::Search => Self::Local(Local::Search(rest)),
            Verb::Clear => Self::Local(Local::Clear),
            Verb::Help if rest == Some("keys") => Self::Local(Local::Keys),
            Verb::Help => Self::Help,
            Verb::Quit => Self::Quit,
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

/// The row of a command, by one of its names.
pub(crate) fn entry(name: &str) -> Option<&'static Entry> {
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
        let bell = help(true).find(|line| line.contains("/bell"));
        assert!(
            bell.unwrap()
                .ends_with(" when to ring: off, mention, private or all")
        );
    }

    #[test]
    fn every_command_takes_what_its_usage_says() {
        for entry in COMMANDS {
            let (command, usage) = entry.usage.split_once(' ').unwrap_or((entry.usage, ""));
            assert_eq!(command, format!("/{}", entry.name));
            let argument = match usage {
                "" => Argument::None,
                "WHO" | "[WHO]" => Argument::User,
                "WHO TEXT" => Argument::UserThenText,
                "[WHEN]" => Argument::Bell,
                _ => Argument::Text,
            };
            assert_eq!(entry.argument, argument, "{command}");
            let lacks_it = Command::parse(command) == Command::Incomplete(entry.usage);
            assert_eq!(
                lacks_it,
                !usage.is_empty() && !usage.starts_with('['),
                "{command}"
            );
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
