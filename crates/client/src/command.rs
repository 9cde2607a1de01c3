//! The commands that a user types, in line mode and on the full screen.
//!
//! To add one:
//! 1. Give [`Command`] a variant; if only the full screen shall have it, [`ScreenCommand`].
//! 2. Give [`COMMANDS`] a row: how it is written, what it does, how it is parsed.
//! 3. The compiler now asks for the effect: in `Session::request`, or for a [`ScreenCommand`] in `tui/commands.rs`.
//! 4. A test asks for a row in the table of commands in `crates/client/README.md`.

use chat_noise::operator::Code;
use chat_proto::order::{
    BAN_USAGE, KICK_USAGE, MUTE_USAGE, Order, PASSPHRASE_USAGE, SLOW_USAGE, UNBAN_USAGE, UNMUTE_USAGE,
};
use chat_proto::plain::{ME_USAGE, MSG_USAGE, NICK_USAGE};
use chat_proto::text::{ROW_END, Text};
use clap::ValueEnum;

/// A typed line. Names of users are as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// A message to the room, or to the recipient of `/query`: a line without a command, `//TEXT`, or `/me ACTION` as it
    /// was typed.
    Say(Text<'a>),
    /// `/msg WHO TEXT`. WHO is an id, `nick@id` or a nick.
    Msg(&'a str, Text<'a>),
    /// `/reply TEXT`
    Reply(Text<'a>),
    /// `/query [WHO]`
    Query(Option<&'a str>),
    /// `/ignore [WHO]`
    Ignore(Option<&'a str>),
    /// `/unignore WHO`
    Unignore(&'a str),
    /// `/verify WHO [ANSWER]`. The answer says whether the codes were the same.
    Verify(&'a str, Option<bool>),
    /// `/op CODE`
    Op(Code),
    /// What only operators may ask for: `/kick` and others.
    Order(Order<'a>),
    /// `/send WHO PATH`
    Send(&'a str, &'a str),
    /// `/files`
    Files,
    /// `/accept [N] [as NAME]`
    Accept(Option<u32>, Option<&'a str>),
    /// `/decline [N]`
    Decline(Option<u32>),
    /// `/cancel [N]`
    Cancel(Option<u32>),
    /// `/help files`
    HelpFiles,
    /// `/help op`
    HelpOperators,
    /// `/who [-a]`: with their addresses?
    Who(bool),
    /// `/away [TEXT]`
    Away(Option<Text<'a>>),
    /// `/topic`
    Topic,
    /// `/nick NAME`
    Nick(&'a str),
    /// `/help`
    Help,
    /// `/quit`
    Quit,
    /// A command of the full screen.
    OnScreen(ScreenCommand<'a>),
    /// A blank line: does nothing.
    Nothing,
    /// A command with a missing or wrong argument: its usage.
    Incomplete(&'static str),
    /// An unknown name, without its slash, and the most similar command.
    Unknown(&'a str, Option<&'static str>),
}

/// A command that the full screen runs itself, and line mode lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScreenCommand<'a> {
    /// `/whois WHO`
    Whois(&'a str),
    /// `/joins [WHICH]`
    Joins(Option<Joins>),
    /// `/bell [WHEN]`
    Bell(Option<Bell>),
    /// `/search [TEXT]`
    Search(Option<&'a str>),
    /// `/clear`
    Clear,
    /// `/help keys`
    Keys,
}

/// The usage of `/who`.
pub(crate) const WHO_USAGE: &str = "/who [-a]";

/// The usage of `/bell`.
pub(crate) const BELL_USAGE: &str = "/bell [WHEN]";

/// The usage of `/joins`.
pub(crate) const JOINS_USAGE: &str = "/joins [WHICH]";

/// The usage of `/verify`.
pub(crate) const VERIFY_USAGE: &str = "/verify WHO [ANSWER]";

/// The usage of `/accept`.
pub(crate) const ACCEPT_USAGE: &str = "/accept [N] [as NAME]";

/// The usage of `/decline`.
pub(crate) const DECLINE_USAGE: &str = "/decline [N]";

/// The usage of `/cancel`.
pub(crate) const CANCEL_USAGE: &str = "/cancel [N]";

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

/// Which joins and leaves the full screen shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Joins {
    /// Those that follow each other in one line
    #[default]
    Fold,
    /// Each in a line of its own
    All,
    /// None
    None,
}

/// The words for all values.
pub(crate) fn words_of<T: ValueEnum>() -> Vec<String> {
    let values = T::value_variants().iter().filter_map(T::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}

/// A row of [`COMMANDS`].
#[derive(Debug)]
pub struct Entry {
    /// `/NAME ARGUMENTS`, optional arguments in brackets.
    pub usage: &'static str,
    /// A second name, without the slash.
    pub alias: Option<&'static str>,
    /// The description in `/help`.
    pub about: &'static str,
    /// Whether line mode lacks it.
    pub screen_only: bool,
    /// Parses the typed line; `None` if an argument is missing or wrong.
    parse: for<'a> fn(Typed<'a>) -> Option<Command<'a>>,
}

/// A line that begins with the name of a command.
#[derive(Clone, Copy)]
struct Typed<'a> {
    line: &'a str,
    /// The arguments, if there are any.
    rest: Option<&'a str>,
}

/// The kind of a command's first argument, for completion.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    User,
    /// One of these words.
    Word(fn() -> Vec<String>),
    Other,
}

impl Entry {
    /// The name, without the slash.
    pub(crate) fn name(&self) -> &'static str {
        let (command, _) = self.usage.split_once(' ').unwrap_or((self.usage, ""));
        command.trim_start_matches('/')
    }

    /// The usage, with the second name.
    fn written(&self) -> String {
        let alias = self.alias.map_or(String::new(), |alias| format!(", /{alias}"));
        format!("{}{alias}", self.usage)
    }

    pub(crate) fn argument(&self) -> Argument {
        let mut words = self.usage.split([' ', '[', ']']);
        let first = words.find(|word| word.starts_with(char::is_uppercase));
        match (self.usage, first) {
            (BELL_USAGE, _) => Argument::Word(words_of::<Bell>),
            (JOINS_USAGE, _) => Argument::Word(words_of::<Joins>),
            (_, Some("WHO")) => Argument::User,
            _ => Argument::Other,
        }
    }
}

/// All commands. Parsing, completion, `/help` and the manual page are made from this table; a test compares it with the
/// client's guide.
pub const COMMANDS: &[Entry] = &[
    Entry {
        usage: MSG_USAGE,
        alias: Some("m"),
        about: "private message to a nick, an id (ip:port) or nick@id",
        screen_only: false,
        parse: |typed| {
            let (who, text) = typed.rest?.split_once(char::is_whitespace)?;
            Some(Command::Msg(who, Text::new(text.trim_start())))
        },
    },
    Entry {
        usage: "/reply TEXT",
        alias: Some("r"),
        about: "answer the last private message",
        screen_only: false,
        parse: |typed| Some(Command::Reply(Text::new(typed.rest?))),
    },
    Entry {
        usage: "/query [WHO]",
        alias: Some("q"),
        about: "send what you type to WHO alone; without WHO, to all",
        screen_only: false,
        parse: |typed| Some(Command::Query(typed.rest)),
    },
    Entry {
        usage: WHO_USAGE,
        alias: Some("names"),
        about: "list the users; -a: with their addresses",
        screen_only: false,
        parse: |typed| match typed.rest {
            None => Some(Command::Who(false)),
            Some("-a") => Some(Command::Who(true)),
            Some(_) => None,
        },
    },
    Entry {
        usage: "/away [TEXT]",
        alias: None,
        about: "tell who asks that you are away, and why; again: back",
        screen_only: false,
        parse: |typed| Some(Command::Away(typed.rest.map(Text::new))),
    },
    Entry {
        usage: "/topic [TEXT]",
        alias: None,
        about: "show the topic; operators: set it, or remove it with -",
        screen_only: false,
        parse: |typed| match typed.rest {
            Some(_) => order("topic", typed),
            None => Some(Command::Topic),
        },
    },
    Entry {
        usage: "/whois WHO",
        alias: None,
        about: "show what is known about a user",
        screen_only: true,
        parse: |typed| on_screen(ScreenCommand::Whois(typed.rest?)),
    },
    Entry {
        usage: NICK_USAGE,
        alias: None,
        about: "take a nick",
        screen_only: false,
        parse: |typed| Some(Command::Nick(typed.rest?)),
    },
    Entry {
        usage: ME_USAGE,
        alias: None,
        about: "say what you do",
        screen_only: false,
        parse: |typed| typed.rest.map(|_| Command::Say(Text::new(typed.line))),
    },
    Entry {
        usage: "/ignore [WHO]",
        alias: None,
        about: "hide what WHO says; without WHO, list the ignored users",
        screen_only: false,
        parse: |typed| Some(Command::Ignore(typed.rest)),
    },
    Entry {
        usage: "/unignore WHO",
        alias: None,
        about: "show again what WHO says",
        screen_only: false,
        parse: |typed| Some(Command::Unignore(typed.rest?)),
    },
    Entry {
        usage: JOINS_USAGE,
        alias: None,
        about: "show joins and leaves: fold, all or none",
        screen_only: true,
        parse: |typed| on_screen(ScreenCommand::Joins(word(typed)?)),
    },
    Entry {
        usage: BELL_USAGE,
        alias: None,
        about: "set when to ring: off, mention, private or all",
        screen_only: true,
        parse: |typed| on_screen(ScreenCommand::Bell(word(typed)?)),
    },
    Entry {
        usage: VERIFY_USAGE,
        alias: None,
        about: "show a code to compare; yes: it was the same",
        screen_only: false,
        parse: |typed| match typed.rest?.split_once(char::is_whitespace) {
            None => Some(Command::Verify(typed.rest?, None)),
            Some((who, answer)) => match answer.trim_start() {
                "yes" => Some(Command::Verify(who, Some(true))),
                "no" => Some(Command::Verify(who, Some(false))),
                _ => None,
            },
        },
    },
    Entry {
        usage: "/op CODE",
        alias: None,
        about: "run the room; CODE is where the server was started",
        screen_only: false,
        parse: |typed| Some(Command::Op(typed.rest?.parse().ok()?)),
    },
    Entry {
        usage: "/search [TEXT]",
        alias: None,
        about: "find the last message with TEXT; again, further back",
        screen_only: true,
        parse: |typed| on_screen(ScreenCommand::Search(typed.rest)),
    },
    Entry {
        usage: "/clear",
        alias: None,
        about: "empty the screen; PgUp still shows what was there",
        screen_only: true,
        parse: |_| on_screen(ScreenCommand::Clear),
    },
    Entry {
        usage: "/help [WHAT]",
        alias: None,
        about: "list the commands; WHAT: keys, files, op (operators)",
        screen_only: false,
        parse: |typed| match typed.rest {
            Some("keys") => on_screen(ScreenCommand::Keys),
            Some("files") => Some(Command::HelpFiles),
            Some("op") => Some(Command::HelpOperators),
            _ => Some(Command::Help),
        },
    },
    Entry {
        usage: "/quit",
        alias: Some("exit"),
        about: "leave the room",
        screen_only: false,
        parse: |_| Some(Command::Quit),
    },
];

/// The commands for files, which `/help files` lists.
pub const FILE_COMMANDS: &[Entry] = &[
    Entry {
        usage: "/send WHO PATH",
        alias: None,
        about: "offer a file to WHO, who may accept it",
        screen_only: false,
        parse: |typed| {
            let (who, path) = typed.rest?.split_once(char::is_whitespace)?;
            Some(Command::Send(who, path.trim_start()))
        },
    },
    Entry {
        usage: "/files",
        alias: None,
        about: "list the files that are offered, sent and received",
        screen_only: false,
        parse: |typed| typed.rest.is_none().then_some(Command::Files),
    },
    Entry {
        usage: ACCEPT_USAGE,
        alias: None,
        about: "receive file N that is offered to you",
        screen_only: false,
        parse: |typed| {
            let rest = typed.rest.unwrap_or_default();
            let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let (number, name) = match first.parse() {
                Ok(number) => (Some(number), after.trim_start()),
                Err(_) => (None, rest),
            };
            if name.is_empty() {
                return Some(Command::Accept(number, None));
            }
            let name = name.strip_prefix("as")?.strip_prefix(char::is_whitespace)?;
            Some(Command::Accept(number, Some(name.trim_start())))
        },
    },
    Entry {
        usage: DECLINE_USAGE,
        alias: None,
        about: "do not receive file N",
        screen_only: false,
        parse: |typed| Some(Command::Decline(file_number(typed)?)),
    },
    Entry {
        usage: CANCEL_USAGE,
        alias: None,
        about: "end the transfer of file N",
        screen_only: false,
        parse: |typed| Some(Command::Cancel(file_number(typed)?)),
    },
];

/// The number that was typed, if any; `None` for another word.
fn file_number(typed: Typed<'_>) -> Option<Option<u32>> {
    typed.rest.map(str::parse).transpose().ok()
}

/// The lines of `/help files`.
pub fn help_files() -> impl Iterator<Item = String> {
    let lines = FILE_COMMANDS.iter();
    lines.map(|entry| format!("{:<21} {}", entry.usage, entry.about))
}

/// The commands of operators, which `/help op` lists.
pub const OPERATOR_COMMANDS: &[Entry] = &[
    Entry {
        usage: KICK_USAGE,
        alias: None,
        about: "show WHO out; back in a minute at the earliest",
        screen_only: false,
        parse: |typed| order("kick", typed),
    },
    Entry {
        usage: BAN_USAGE,
        alias: None,
        about: "show WHO out for good, by key and address",
        screen_only: false,
        parse: |typed| order("ban", typed),
    },
    Entry {
        usage: UNBAN_USAGE,
        alias: None,
        about: "lift a ban, by its number or the name in it",
        screen_only: false,
        parse: |typed| order("unban", typed),
    },
    Entry {
        usage: "/bans",
        alias: None,
        about: "list the bans",
        screen_only: false,
        parse: |typed| order("bans", typed),
    },
    Entry {
        usage: MUTE_USAGE,
        alias: None,
        about: "let WHO read, and say nothing to the room",
        screen_only: false,
        parse: |typed| order("mute", typed),
    },
    Entry {
        usage: UNMUTE_USAGE,
        alias: None,
        about: "let WHO say something again",
        screen_only: false,
        parse: |typed| order("unmute", typed),
    },
    Entry {
        usage: SLOW_USAGE,
        alias: None,
        about: "one line of each user in SECONDS; off: as many as before",
        screen_only: false,
        parse: |typed| order("slow", typed),
    },
    Entry {
        usage: PASSPHRASE_USAGE,
        alias: None,
        about: "set a new passphrase for those who come in",
        screen_only: false,
        parse: |typed| order("passphrase", typed),
    },
    Entry {
        usage: "/lock",
        alias: None,
        about: "let nobody new in; who was in may come back",
        screen_only: false,
        parse: |typed| order("lock", typed),
    },
    Entry {
        usage: "/unlock",
        alias: None,
        about: "let everybody in again",
        screen_only: false,
        parse: |typed| order("unlock", typed),
    },
];

fn order<'a>(name: &str, typed: Typed<'a>) -> Option<Command<'a>> {
    Order::parse(name, typed.rest.unwrap_or_default()).map(Command::Order)
}

/// How a message begins with a slash.
const SLASH: (&str, &str) = ("//TEXT", "send TEXT with a slash before it");

/// The lines of `/help op`.
pub fn help_operators() -> impl Iterator<Item = String> {
    let lines = OPERATOR_COMMANDS.iter();
    lines.map(|entry| help_line(entry.usage, entry.about))
}

/// Every command.
fn all() -> impl Iterator<Item = &'static Entry> {
    COMMANDS.iter().chain(FILE_COMMANDS).chain(OPERATOR_COMMANDS)
}

/// The value that was typed, if any; `None` for another word.
fn word<T: ValueEnum>(typed: Typed<'_>) -> Option<Option<T>> {
    let value = typed.rest.map(|word| T::from_str(word, false));
    value.transpose().ok()
}

fn on_screen(command: ScreenCommand<'_>) -> Option<Command<'_>> {
    Some(Command::OnScreen(command))
}

/// The lines of `/help`, each at most 74 columns wide.
pub fn help(full_screen: bool) -> impl Iterator<Item = String> {
    let table = COMMANDS
        .iter()
        .filter(move |entry| full_screen || !entry.screen_only);
    let lines = table.map(|entry| help_line(&entry.written(), entry.about));
    lines.chain([help_line(SLASH.0, SLASH.1)])
}

/// Every command, with what it does.
pub fn manual() -> impl Iterator<Item = (String, String)> {
    let commands = all().map(|entry| (entry.written(), entry.about.to_owned()));
    commands.chain([(SLASH.0.to_owned(), SLASH.1.to_owned())])
}

fn help_line(written: &str, about: &str) -> String {
    format!("{written:<18} {about}")
}

/// How near a word must be to be suggested: one error in a short word, two in a long one.
fn is_near(typed: &str, name: &str) -> bool {
    let errors = if name.len() < 6 { 1 } else { 2 };
    distance(typed, name) <= errors
}

/// The word that was probably meant.
pub(crate) fn nearest_of<'a>(typed: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = words.into_iter().filter(|word| is_near(typed, word));
    near.min_by_key(|word| distance(typed, word))
}

impl<'a> Command<'a> {
    /// Parses a line without its line feed.
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
        (entry.parse)(Typed { line, rest }).unwrap_or(Self::Incomplete(entry.usage))
    }

    /// Takes a line as text, even one that begins with a slash.
    #[must_use]
    pub fn text(line: &'a str) -> Self {
        let text = Text::new(line);
        if text.as_str().replace(ROW_END, "").trim().is_empty() {
            Self::Nothing
        } else {
            Self::Say(text)
        }
    }
}

/// The row of a command, by its name or alias.
pub(crate) fn entry(name: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.name() == name || entry.alias == Some(name))
}

/// What other programs call a command.
const ELSEWHERE: [(&[&str], &str); 3] = [
    (&["dcc", "sendfile", "upload", "put", "share", "offer"], "send"),
    (&["get", "download", "receive"], "accept"),
    (&["reject", "refuse"], "decline"),
];

/// The most similar command.
fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.to_lowercase();
    let elsewhere = ELSEWHERE
        .iter()
        .find(|(names, _)| names.contains(&typed.as_str()));
    if let Some((_, name)) = elsewhere {
        return Some(name);
    }
    // A long word resembles no name, and comparing it would take long.
    if typed.is_empty() || typed.len() > 16 {
        return None;
    }
    let names = || {
        all()
            .flat_map(|entry| [Some(entry.name()), entry.alias])
            .flatten()
    };
    let begun = names().filter(|name| name.starts_with(&typed));
    // One letter is near every other one.
    let near = nearest_of(&typed, names().filter(|name| name.len() > 2));
    begun.min_by_key(|name| name.len()).or(near)
}

/// Typing errors between two words: letters to insert, delete or replace, or neighbours that changed places.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // The distances between the beginning of `from` so far and each beginning of `to`; and one and two letters earlier.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    let (mut earlier, mut last) = (Vec::new(), None);
    for (count, letter) in from.chars().enumerate() {
        let mut next = vec![count + 1];
        for (place, &theirs) in to.iter().enumerate() {
            let at = |row: &[usize], place: usize| row.get(place).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&row, place) + usize::from(letter != theirs);
            let mut least = replaced.min(at(&row, place + 1) + 1).min(at(&next, place) + 1);
            if let Some(before) = place.checked_sub(1)
                && last == Some(theirs)
                && to.get(before) == Some(&letter)
            {
                least = least.min(at(&earlier, before) + 1);
            }
            next.push(least);
        }
        earlier = std::mem::replace(&mut row, next);
        last = Some(letter);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_parse_as_commands_or_messages() {
        use super::ScreenCommand::*;
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
            ("/who", Who(false)),
            ("/names -a", Who(true)),
            ("/who bob", Incomplete(WHO_USAGE)),
            ("/away", Away(None)),
            ("/away at  lunch ", Away(Some(Text::new("at  lunch")))),
            ("/nick  alice ", Nick("alice")),
            ("/nick", Incomplete(NICK_USAGE)),
            ("/help", Help),
            ("/help keys", OnScreen(Keys)),
            ("/quit", Quit),
            ("/exit now", Quit),
            ("/r hi there", Reply(Text::new("hi there"))),
            ("/reply ", Incomplete("/reply TEXT")),
            ("/q bob", Query(Some("bob"))),
            ("/query", Query(None)),
            ("/whois bob", OnScreen(Whois("bob"))),
            ("/whois", Incomplete("/whois WHO")),
            ("/ignore bob", Ignore(Some("bob"))),
            ("/ignore", Ignore(None)),
            ("/unignore bob", Unignore("bob")),
            ("/unignore", Incomplete("/unignore WHO")),
            ("/joins", OnScreen(Joins(None))),
            ("/joins all", OnScreen(Joins(Some(super::Joins::All)))),
            ("/joins some", Incomplete(JOINS_USAGE)),
            ("/bell", OnScreen(Bell(None))),
            ("/bell off", OnScreen(Bell(Some(super::Bell::Off)))),
            ("/bell loud", Incomplete(BELL_USAGE)),
            ("/verify bob", Verify("bob", None)),
            ("/verify bob  yes", Verify("bob", Some(true))),
            ("/verify bob@10.0.0.5:9 no", Verify("bob@10.0.0.5:9", Some(false))),
            ("/verify bob perhaps", Incomplete(VERIFY_USAGE)),
            ("/op aeba-gbaf-aydq-qcik", Op("AEBAGBAFAYDQQCIK".parse().unwrap())),
            (
                "/kick bob too loud",
                Order(super::Order::Kick("bob", Text::new("too loud"))),
            ),
            ("/kick", Incomplete(KICK_USAGE)),
            ("/bans", Order(super::Order::Bans)),
            ("/mute bob", Order(super::Order::Mute("bob", None))),
            ("/mute bob 10", Order(super::Order::Mute("bob", Some(10)))),
            ("/mute bob 0", Incomplete(MUTE_USAGE)),
            ("/mute bob long", Incomplete(MUTE_USAGE)),
            ("/unmute bob", Order(super::Order::Unmute("bob"))),
            ("/passphrase new", Order(super::Order::NewPassphrase)),
            ("/passphrase", Incomplete(PASSPHRASE_USAGE)),
            ("/passphrase secret", Incomplete(PASSPHRASE_USAGE)),
            ("/slow 30", Order(super::Order::Slow(Some(30)))),
            ("/slow off", Order(super::Order::Slow(None))),
            ("/slow", Incomplete(SLOW_USAGE)),
            ("/slow 9999", Incomplete(SLOW_USAGE)),
            ("/help op", HelpOperators),
            ("/help files", HelpFiles),
            ("/send bob  a b.pdf", Send("bob", "a b.pdf")),
            ("/send bob", Incomplete("/send WHO PATH")),
            ("/files", Files),
            ("/accept", Accept(None, None)),
            ("/accept 3", Accept(Some(3), None)),
            ("/accept as a b.pdf", Accept(None, Some("a b.pdf"))),
            ("/accept 3 as x", Accept(Some(3), Some("x"))),
            ("/accept 3 x", Incomplete(ACCEPT_USAGE)),
            ("/accept 3 as", Incomplete(ACCEPT_USAGE)),
            ("/decline", Decline(None)),
            ("/decline 2", Decline(Some(2))),
            ("/decline it", Incomplete(DECLINE_USAGE)),
            ("/cancel 2", Cancel(Some(2))),
            ("/topic", Topic),
            ("/topic -", Order(super::Order::Topic(None))),
            ("/topic a  b", Order(super::Order::Topic(Some(Text::new("a  b"))))),
            ("/op aeba", Incomplete("/op CODE")),
            ("/search a b", OnScreen(Search(Some("a b")))),
            ("/search", OnScreen(Search(None))),
            ("/clear", OnScreen(Clear)),
            ("", Nothing),
            (" \t ", Nothing),
            ("\n\n ", Nothing),
            ("a\n/quit", Say(Text::new("a␊/quit"))),
            ("/msg bob a\nb", Msg("bob", Text::new("a␊b"))),
            ("/nick a\nb", Nick("a\nb")),
        ];
        for (line, command) in cases {
            assert_eq!(Command::parse(line), command, "{line:?}");
        }
    }

    #[test]
    fn help_fits_a_terminal() {
        for full_screen in [false, true] {
            assert!(help(full_screen).all(|line| line.len() <= 74));
            assert!(help(full_screen).count() <= 20);
        }
        assert!(!help(false).any(|line| line.contains("/bell")));
        let bell = help(true).find(|line| line.contains("/bell")).unwrap();
        assert!(words_of::<Bell>().iter().all(|choice| bell.contains(choice)));
    }

    #[test]
    fn commands_without_a_required_argument_show_their_usage() {
        for entry in COMMANDS {
            let (_, arguments) = entry.usage.split_once(' ').unwrap_or((entry.usage, ""));
            let is_required = !arguments.is_empty() && !arguments.starts_with('[');
            let line = format!("/{}", entry.name());
            let is_incomplete = Command::parse(&line) == Command::Incomplete(entry.usage);
            assert_eq!(is_incomplete, is_required, "{line}");
        }
    }

    #[test]
    fn an_unknown_command_suggests_a_similar_one() {
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
            ("/foo", None),
            ("/hi", None),
            ("/ping", None),
            ("/join", Some("joins")),
            ("/whp", Some("who")),
            ("/serach x", Some("search")),
            ("/ingore x", Some("ignore")),
            ("/unignor x", Some("unignore")),
            ("/dcc send bob x", Some("send")),
            ("/sendfile bob x", Some("send")),
            ("/upload", Some("send")),
            ("/file", Some("files")),
            ("/get", Some("accept")),
            ("/reject", Some("decline")),
        ];
        for (line, near) in cases {
            let Command::Unknown(_, nearest) = Command::parse(line) else {
                panic!("{line:?} is a command");
            };
            assert_eq!(nearest, near, "{line:?}");
        }
    }

    #[test]
    fn with_no_commands_a_command_is_a_message() {
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
