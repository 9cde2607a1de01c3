//! What the user prefers: as the command line says, else the settings file, else as it is for everybody.
//!
//! Each setting is an option of the command line and a key of the file, by the same name and with the same values.

mod file;

mod words;

use crate::paths::{LastServer, Source};
pub(crate) use file::line_at;
pub use file::{File, FileError};

use crate::address::Address;
use crate::args::Args;
use crate::command::Bell;
use chat_proto::nick::Nick;
use clap::ValueEnum;
use std::fmt;
use toml::Spanned;

/// Lines that the full screen can scroll back to, unless the user says otherwise.
const SCROLLBACK: usize = 10_000;

/// The settings that are in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server to join.
    pub server: Setting<Address>,
    /// The nick to take.
    pub nick: Setting<Option<Nick>>,
    /// When the terminal rings.
    pub bell: Setting<Bell>,
    /// How many colours the full screen draws with.
    pub colours: Setting<Colours>,
    /// How the full screen tells the time of a line.
    pub timestamps: Setting<Timestamps>,
    /// Joins and leaves are folded, to begin with.
    pub quiet: Setting<bool>,
    /// How many lines the full screen can scroll back to.
    pub scrollback: Setting<Lines>,
    /// Never send private messages through the server.
    pub direct_only: Setting<bool>,
    /// Neither send nor take private messages in the clear.
    pub no_unencrypted: Setting<bool>,
    /// Join the server that was joined last, unless another is named.
    pub last_server: Setting<bool>,
    /// The settings file, as far as there is a place for one, and whether it is there.
    source: Source,
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting<T> {
    /// What is in force.
    pub value: T,
    /// By whose word.
    pub origin: Origin,
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The server that was joined last.
    LastServer,
    /// This line of the settings file.
    File(usize),
    /// The command line.
    CommandLine,
}

/// How many colours to draw with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colours {
    /// As many as the environment says the terminal has; see <https://no-color.org>.
    #[default]
    Auto,
    /// No colour: what matters is bold or reversed.
    None,
    /// The sixteen of every terminal.
    #[value(name = "16")]
    Sixteen,
    /// The palette of xterm.
    #[value(name = "256")]
    Many,
}

/// How the time of a line is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Timestamps {
    /// Not at all.
    Off,
    /// Such as 22:14.
    #[default]
    Minutes,
    /// Such as 22:14:05.
    Seconds,
}

/// So many lines, of which there are some, and not more than a memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines(usize);

impl Lines {
    /// How many.
    #[must_use]
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<i64> for Lines {
    type Error = &'static str;

    fn try_from(lines: i64) -> Result<Self, &'static str> {
        match usize::try_from(lines) {
            Ok(lines @ 1..=1_000_000) => Ok(Self(lines)),
            _ => Err("expected 1 to 1000000 lines"),
        }
    }
}

impl std::str::FromStr for Lines {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let lines: i64 = text.parse().map_err(|_| "expected a number of lines")?;
        Self::try_from(lines)
    }
}

impl Settings {
    /// The settings by the command line, the settings file and the system: what a program does first.
    ///
    /// # Errors
    /// If the settings file can't be read or holds what it can't hold; names the file and the line.
    pub fn load(args: &Args) -> anyhow::Result<Self> {
        let source = Source::find(args.config.as_deref());
        let text = source.read()?;
        let file = File::parse(&text).map_err(|error| source.explain(&error))?;
        let last = || LastServer::find().and_then(|last| last.read());
        Ok(Self::resolve(args, file, &text, source, last))
    }

    /// What is in force. `text` is what `file` was read from.
    #[must_use]
    pub fn resolve(
        args: &Args,
        file: File,
        text: &str,
        source: Source,
        last: impl FnOnce() -> Option<Address>,
    ) -> Self {
        let choose = Chooser { text };
        let last_server = choose.value(args.last_server, file.last_server, false);
        let named = choose.value(args.address(), file.server, Address::local());
        let server = prefer_last(named, &last_server, last);
        let nick = choose.value(args.nick.clone().map(Some), file.nick.map(unwrap_nick), None);
        Self {
            server,
            nick,
            bell: choose.value(args.bell, file.bell, Bell::default()),
            colours: choose.value(args.colours, file.colours, Colours::default()),
            timestamps: choose.value(args.timestamps, file.timestamps, Timestamps::default()),
            quiet: choose.value(args.quiet, file.quiet, false),
            scrollback: choose.value(args.scrollback, file.scrollback, Lines(SCROLLBACK)),
            direct_only: choose.value(args.direct_only, file.direct_only, false),
            no_unencrypted: choose.value(args.no_unencrypted, file.no_unencrypted, false),
            last_server,
            source,
        }
    }

    /// Whether the user typed the nick just now: then it is that one or none.
    #[must_use]
    pub fn insists_on_nick(&self) -> bool {
        self.nick.value.is_some() && self.nick.origin == Origin::CommandLine
    }

    /// Each key, its value in TOML, and where that comes from.
    fn rows(&self) -> [(&'static str, String, Origin); 10] {
        let nick = self.nick.value.as_ref();
        [
            row("server", &self.server, |server| quote(&server.to_string())),
            (
                "nick",
                nick.map_or(String::new(), |nick| quote(nick.as_str())),
                self.nick.origin,
            ),
            row("bell", &self.bell, word),
            row("colours", &self.colours, word),
            row("timestamps", &self.timestamps, word),
            row("quiet", &self.quiet, bool::to_string),
            row("scrollback", &self.scrollback, |lines| lines.0.to_string()),
            row("direct-only", &self.direct_only, bool::to_string),
            row("no-unencrypted", &self.no_unencrypted, bool::to_string),
            row("last-server", &self.last_server, bool::to_string),
        ]
    }
}

/// The server that was joined last, if there is one and the user wants it: before this machine, and before what the
/// settings file names if it is wanted on the command line.
fn prefer_last(
    named: Setting<Address>,
    wanted: &Setting<bool>,
    last: impl FnOnce() -> Option<Address>,
) -> Setting<Address> {
    let yields = match named.origin {
        Origin::Default => true,
        Origin::File(_) => wanted.origin == Origin::CommandLine,
        Origin::CommandLine | Origin::LastServer => false,
    };
    match (wanted.value && yields).then(last).flatten() {
        Some(value) => Setting {
            value,
            origin: Origin::LastServer,
        },
        None => named,
    }
}

fn unwrap_nick(nick: Spanned<file::NickKey>) -> Spanned<Option<Nick>> {
    let span = nick.span();
    Spanned::new(span, Some(nick.into_inner().0))
}

/// What `--print-config` prints: a settings file that says what is in force, with where it comes from.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.source)?;
        let rows = self.rows();
        let written = rows.each_ref().map(|(key, value, _)| match value.as_str() {
            "" => format!("# no {key}"),
            value => format!("{key} = {value}"),
        });
        let width = written.iter().map(|row| row.chars().count()).max().unwrap_or(0);
        for (written, (key, _, origin)) in written.iter().zip(&rows) {
            write!(f, "{written:<width$}  # ")?;
            match origin {
                Origin::Default => writeln!(f, "default")?,
                Origin::LastServer => writeln!(f, "the server that was joined last")?,
                Origin::File(line) => writeln!(f, "settings file, line {line}")?,
                Origin::CommandLine if *key == "server" => writeln!(f, "command line, HOST and PORT")?,
                Origin::CommandLine => writeln!(f, "command line, --{key}")?,
            }
        }
        Ok(())
    }
}

fn row<T>(
    key: &'static str,
    setting: &Setting<T>,
    write: impl Fn(&T) -> String,
) -> (&'static str, String, Origin) {
    (key, write(&setting.value), setting.origin)
}

fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn word<T: ValueEnum>(value: &T) -> String {
    let value = value.to_possible_value();
    value.map_or(String::new(), |value| quote(value.get_name()))
}

/// Decides between what was said where.
struct Chooser<'a> {
    /// The settings file.
    text: &'a str,
}

impl Chooser<'_> {
    fn value<T>(&self, flag: Option<T>, file: Option<Spanned<T>>, default: T) -> Setting<T> {
        let nobody = Setting {
            value: default,
            origin: Origin::Default,
        };
        self.said(flag, file).unwrap_or(nobody)
    }

    fn said<T>(&self, flag: Option<T>, file: Option<Spanned<T>>) -> Option<Setting<T>> {
        match (flag, file) {
            (Some(value), _) => Some(Setting {
                value,
                origin: Origin::CommandLine,
            }),
            (None, Some(spanned)) => {
                let origin = Origin::File(line_at(self.text.as_bytes(), spanned.span().start));
                let value = spanned.into_inner();
                Some(Setting { value, origin })
            }
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests;
