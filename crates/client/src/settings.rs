//! The settings: options that the settings file can hold too.
//!
//! To add a setting, add a field to [`Settings`], and use it. The field is at once an option, a key of
//! the settings file, and a line of `--print-config`. Its doc comment is the help; its attributes give
//! the default and the check. In the file a `bool` is `true` or `false`, a `usize` is an integer, and
//! every other type is a string, which is parsed as the option is.
//! The tests fail until they have an example of the new setting, and until the table of options in
//! `crates/client/README.md` has a row for it.

use crate::address::Address;
use crate::command::{Bell, Joins, nearest_of};
use crate::paths::ConfigPath;
use crate::session::FilesFrom;
use anyhow::anyhow;
use chat_manual::number;
use chat_proto::nick::{Nick, NickError};
use chat_proto::text::Text;
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, Id, ValueEnum, ValueHint};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use toml::{Spanned, Value};

/// The settings, each from the command line, else from the settings file, else its default.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Settings (each is also a key of the settings file)")]
pub struct Settings {
    /// Server: a host name, an IPv4 address or an IPv6 address; HOST:PORT works too. A port alone
    /// means this machine. Without HOST, a terminal lists the rooms of the LAN if no server runs on this machine
    #[arg(index = 1, help_heading = None, value_name = "HOST", default_value = "127.0.0.1", value_hint = ValueHint::Hostname)]
    pub server: Address,

    /// Join as NICK, or exit with status 4 if the server refuses it; '' joins without a nick. The
    /// full screen's default is the login name, with a digit if it is taken
    #[arg(long, value_parser = NickChoice::parse, value_hint = ValueHint::Other)]
    pub nick: Option<NickChoice>,

    /// When to ring the terminal's bell
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub bell: Bell,

    /// Words that count as a mention of you, such as 'rack3 exam'
    #[arg(long, value_name = "WORDS", default_value = "", value_hint = ValueHint::Other)]
    pub highlight: String,

    /// Notify of mentions and private messages while the terminal has no focus: `terminal`, `off`, or a
    /// command that is run with the nick and the text as further arguments
    #[arg(long, value_name = "HOW", default_value = "terminal", value_parser = Notify::parse, value_hint = ValueHint::Other)]
    pub notify: Notify,

    /// Scroll with the mouse wheel; text is then selected with Shift and the mouse
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    pub mouse: bool,

    /// Colours of the full screen
    #[arg(long, alias = "colors", value_name = "WHICH", value_enum, default_value_t)]
    pub colours: Colours,

    /// Time before each line of the full screen
    #[arg(long, value_name = "PRECISION", value_enum, default_value_t)]
    pub timestamps: Timestamps,

    /// Joins and leaves on the full screen
    #[arg(long, value_name = "WHICH", value_enum, default_value_t)]
    pub joins: Joins,

    /// Lines that the full screen keeps to scroll back
    #[arg(long, value_name = "LINES", default_value = "10000", value_parser = number::<usize>(1..=1_000_000))]
    pub scrollback: usize,

    /// Never relay private messages through the server: send them directly or not at all
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    pub direct_only: bool,

    /// Neither send nor accept unencrypted private messages
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    pub no_unencrypted: bool,

    /// Remember the server; without HOST, join the remembered one
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true")]
    pub last_server: bool,

    /// Append the conversation to FILE, private messages too; as JSON lines if its name ends in .json or
    /// .jsonl
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub log: Option<PathBuf>,

    /// Keep received files in DIR [default: ~/Downloads]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub files_dir: Option<PathBuf>,

    /// Whose files may be offered to you
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t)]
    pub files: FilesFrom,

    /// What `--print-config` prints.
    #[arg(skip)]
    pub report: Report,
}

/// A nick, or none at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NickChoice(Option<Nick>);

impl NickChoice {
    fn parse(text: &str) -> Result<Self, NickError> {
        match text {
            "" => Ok(Self(None)),
            nick => Nick::parse(nick).map(|nick| Self(Some(nick))),
        }
    }
}

/// How to notify the desktop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notify {
    /// Not at all.
    Off,
    /// By the terminal, if it is known to.
    Terminal,
    /// By this command: the program and its first arguments.
    Command(Vec<String>),
}

impl Notify {
    #[expect(clippy::unnecessary_wraps, reason = "clap asks for a result")]
    fn parse(text: &str) -> Result<Self, Infallible> {
        Ok(match text.trim() {
            "" | "off" => Self::Off,
            "terminal" => Self::Terminal,
            command => Self::Command(command.split_whitespace().map(str::to_owned).collect()),
        })
    }
}

/// How many colours the full screen uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colours {
    /// As many as NO_COLOR, TERM and COLORTERM allow
    #[default]
    Auto,
    /// None: bold and reverse video instead
    None,
    /// The 16 colours of every terminal
    #[value(name = "16")]
    Sixteen,
    /// The palette of xterm
    #[value(name = "256")]
    Palette,
}

/// How precise the time before a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Timestamps {
    /// No time
    Off,
    /// Such as 22:14
    #[default]
    Minutes,
    /// Such as 22:14:05
    Seconds,
}

/// Where a setting's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Default,
    /// The server that was joined last.
    LastServer,
    /// This line of the settings file.
    File(usize),
    CommandLine,
}

impl Settings {
    /// Whether the command line names a nick: then the client joins with that one or not at all.
    #[must_use]
    pub fn insists_on_nick(&self) -> bool {
        self.nick().is_some() && self.report.origin("nick") == Origin::CommandLine
    }

    /// The nick of the command line or the settings file.
    #[must_use]
    pub fn nick(&self) -> Option<Nick> {
        self.nick.as_ref().and_then(|choice| choice.0.clone())
    }

    /// The login name, if neither names a nick or rules it out. For the full screen only: a script that
    /// joins without a nick is to stay without one.
    #[must_use]
    pub fn login_nick(&self) -> Option<Nick> {
        self.report.login.clone().filter(|_| self.nick.is_none())
    }

    /// Whether nothing names a server: neither the command line nor the settings file, nor the last run.
    #[must_use]
    pub fn names_no_server(&self) -> bool {
        self.report.origin("server") == Origin::Default
    }

    /// Sets the login name.
    pub(crate) fn set_login(&mut self, login: Option<Nick>) {
        self.report.login = login;
    }

    /// Completes settings that were parsed from `matches`, whose defaults are from `file`: fills in
    /// the last server if the settings ask for it, and the report.
    pub(crate) fn complete(
        &mut self,
        matches: &ArgMatches,
        file: &File,
        last: impl FnOnce() -> Option<Address>,
    ) {
        self.report = Report::new(matches, file);
        let last_server_wins = match self.report.origin("server") {
            Origin::Default => true,
            Origin::File(_) => self.report.origin("last-server") == Origin::CommandLine,
            Origin::CommandLine | Origin::LastServer => false,
        };
        let last = (self.last_server && last_server_wins).then(last).flatten();
        if let Some(row) = self.report.rows.iter_mut().find(|row| row.key == "server") {
            if let Some(last) = last {
                self.server = last;
                row.origin = Origin::LastServer;
            }
            row.value = Some(self.server.to_string().into());
        }
    }
}

/// A settings file whose keys and values are valid.
#[derive(Clone, Debug, Default)]
pub struct File {
    path: ConfigPath,
    /// The value of each option, as it would be typed, and its line.
    values: BTreeMap<Id, (String, usize)>,
}

/// What is wrong with a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The wrong line; the first one is 1.
    pub line: usize,
    /// The reason, on one line.
    pub reason: Text<'static>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl File {
    /// Reads the named file, else the usual one.
    ///
    /// # Errors
    /// If it can't be read or is invalid; names the file and the line.
    pub fn load(named: Option<&Path>) -> anyhow::Result<Self> {
        let path = ConfigPath::find(named);
        let file = Self::parse(&path.read()?).map_err(|error| anyhow!("{path}, {error}"))?;
        Ok(Self { path, ..file })
    }

    /// Reads a file's content.
    ///
    /// # Errors
    /// The first line that is not TOML, or else the first with an unknown key or an invalid value.
    pub fn parse(content: &[u8]) -> Result<Self, FileError> {
        let line_at = |byte| 1 + content.iter().take(byte).filter(|&&byte| byte == b'\n').count();
        let error_at = |byte, reason: String| FileError {
            line: line_at(byte),
            reason: reason.into(),
        };
        let text = str::from_utf8(content)
            .map_err(|error| error_at(error.valid_up_to(), "this is not UTF-8".to_owned()))?;
        let table: BTreeMap<Spanned<String>, Value> = toml::from_str(text).map_err(|error| {
            let reason: Vec<_> = error.message().lines().collect();
            error_at(error.span().map_or(0, |span| span.start), reason.join("; "))
        })?;
        let mut rows: Vec<_> = table
            .iter()
            .map(|(key, value)| (key.span().start, key, value))
            .collect();
        rows.sort_by_key(|(start, ..)| *start);
        let mut file = Self::default();
        for (start, key, value) in rows {
            let (id, text) = check(key.get_ref(), value).map_err(|reason| error_at(start, reason))?;
            if file.values.insert(id, (text, line_at(start))).is_some() {
                return Err(error_at(start, format!("duplicate key `{}`", key.get_ref())));
            }
        }
        Ok(file)
    }

    /// Makes the file's values the defaults of the command line.
    pub(crate) fn as_defaults(&self, command: Command) -> Command {
        command.mut_args(|arg| match self.values.get(arg.get_id()) {
            Some((text, _)) => arg.default_value(text.clone()),
            None => arg,
        })
    }
}

/// Finds the option that a key names, and the text of its value.
fn check(key: &str, value: &Value) -> Result<(Id, String), String> {
    let command = command();
    let is_named =
        |arg: &&Arg| key_of(arg) == key || arg.get_all_aliases().is_some_and(|keys| keys.contains(&key));
    let Some(arg) = command.get_arguments().find(is_named).cloned() else {
        if let Some(near) = nearest_of(key, command.get_arguments().map(key_of)) {
            return Err(format!("unknown key `{key}`: the nearest is `{near}`"));
        }
        let keys = join(command.get_arguments().map(|arg| format!("`{}`", key_of(arg))));
        return Err(format!("unknown key `{key}`, expected one of {keys}"));
    };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let unexpected = || {
        let found = value.type_str();
        format!("{key}: expected {}, found {found} {value}", expected(&arg))
    };
    if !to_toml(&arg, &text).same_type(value) {
        return Err(unexpected());
    }
    let typed = match arg.get_long() {
        Some(long) => vec![format!("--{long}={text}")],
        None => vec!["--".to_owned(), text.clone()],
    };
    match command.no_binary_name(true).try_get_matches_from(typed) {
        Ok(_) => Ok((arg.get_id().clone(), text)),
        Err(error) => Err(error
            .source()
            .map_or_else(unexpected, |reason| format!("{key}: {reason}"))),
    }
}

/// What the settings file may hold for an option.
fn expected(arg: &Arg) -> String {
    let choices = arg.get_possible_values();
    if choices.is_empty() {
        return to_toml(arg, "").type_str().to_owned();
    }
    let choices = choices
        .iter()
        .map(|choice| to_toml(arg, choice.get_name()).to_string());
    format!("one of {}", join(choices))
}

/// The settings alone, as a command line.
fn command() -> Command {
    Settings::augment_args(Command::new("settings"))
}

fn key_of(arg: &Arg) -> &str {
    arg.get_long().unwrap_or(arg.get_id().as_str())
}

/// The value of an option as the settings file has it.
fn to_toml(arg: &Arg, text: &str) -> Value {
    let value = arg.get_value_parser().type_id();
    if value == TypeId::of::<bool>() {
        Value::Boolean(text == "true")
    } else if value == TypeId::of::<usize>() {
        Value::Integer(text.parse().unwrap_or_default())
    } else {
        Value::String(text.to_owned())
    }
}

fn join(words: impl Iterator<Item = String>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// Each setting with its origin: prints as a settings file of the same meaning.
#[derive(Clone, Debug, Default)]
pub struct Report {
    path: ConfigPath,
    rows: Vec<Row>,
    /// The login name, if it is a valid nick.
    login: Option<Nick>,
}

#[derive(Clone, Debug)]
struct Row {
    key: String,
    /// None only where the default is no value.
    value: Option<Value>,
    origin: Origin,
}

impl Report {
    fn new(matches: &ArgMatches, file: &File) -> Self {
        let row = |arg: &Arg| {
            let id = arg.get_id();
            let text = matches.get_raw(id.as_str()).and_then(|mut texts| texts.next());
            Row {
                key: key_of(arg).to_owned(),
                value: text.map(|text| to_toml(arg, &text.to_string_lossy())),
                origin: match (matches.value_source(id.as_str()), file.values.get(id)) {
                    (Some(ValueSource::CommandLine), _) => Origin::CommandLine,
                    (_, Some((_, line))) => Origin::File(*line),
                    (_, None) => Origin::Default,
                },
            }
        };
        Self {
            path: file.path.clone(),
            rows: command().get_arguments().map(row).collect(),
            login: None,
        }
    }

    fn origin(&self, key: &str) -> Origin {
        let row = self.rows.iter().find(|row| row.key == key);
        row.map_or(Origin::Default, |row| row.origin)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.path)?;
        let written = |Row { key, value, .. }: &Row| match value {
            None => format!("# no {key}"),
            Some(value) => format!("{key} = {value}"),
        };
        let widths = self.rows.iter().map(|row| written(row).chars().count());
        let width = widths.max().unwrap_or_default();
        for row in &self.rows {
            write!(f, "{:<width$}  # ", written(row))?;
            match row.origin {
                Origin::Default if row.key == "nick" && self.login.is_some() => {
                    let login = self.login.iter().map(Nick::as_str).collect::<String>();
                    writeln!(f, "default; on the full screen the login name, {login}")?;
                }
                Origin::Default => writeln!(f, "default")?,
                Origin::LastServer => writeln!(f, "last server")?,
                Origin::File(line) => writeln!(f, "settings file, line {line}")?,
                Origin::CommandLine if row.key == "server" => writeln!(f, "command line, HOST and PORT")?,
                Origin::CommandLine => writeln!(f, "command line, --{}", row.key)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
