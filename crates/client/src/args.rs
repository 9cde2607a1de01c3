//! The command line.

use crate::address::{Address, AddressError};
use crate::command::{self, Bell};
use crate::exit;
use crate::settings::{Colours, Lines, Timestamps};
use crate::tui::keys;
use chat_manual::{Document, Section};
use chat_proto::nick::Nick;
use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueHint};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

/// Above the options that the settings file can hold as well.
const SETTINGS: &str = "Settings, each also a key of the settings file";

/// Join a chat room.
///
/// Lines that are typed are messages to everybody; /help lists the commands. Where input or output is no
/// terminal, each message is one line on the standard output, and all else is on the standard error.
#[derive(Clone, Debug, Parser)]
#[command(name = "chat-client", version, after_help = exit::HELP, max_term_width = 100)]
pub struct Args {
    /// The server: a name, an IPv4 address, or an IPv6 address; HOST:PORT is understood too [default: 127.0.0.1]
    #[arg(value_parser = parse_address, value_hint = ValueHint::Hostname)]
    pub host: Option<Address>,

    /// The server's TCP port [default: 9000]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// Take this nick, or leave with status 4 if it can't be had
    #[arg(long, help_heading = SETTINGS, value_parser = Nick::parse, value_hint = ValueHint::Other)]
    pub nick: Option<Nick>,

    /// When to ring: never, when somebody names you or writes to you alone, only then, or at each message
    #[arg(long, help_heading = SETTINGS, value_name = "WHEN")]
    pub bell: Option<Bell>,

    /// Colours of the full screen; auto goes by NO_COLOR, TERM and COLORTERM
    #[arg(long, help_heading = SETTINGS, alias = "colors", value_name = "WHICH")]
    pub colours: Option<Colours>,

    /// The time before each line of the full screen
    #[arg(long, help_heading = SETTINGS, value_name = "HOW")]
    pub timestamps: Option<Timestamps>,

    /// Fold joins and leaves into one line, to begin with
    #[arg(long, help_heading = SETTINGS, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub quiet: Option<bool>,

    /// How many lines the full screen can scroll back [default: 10000]
    #[arg(long, help_heading = SETTINGS, value_name = "LINES")]
    pub scrollback: Option<Lines>,

    /// Without HOST, join the server that was joined last, which is kept in a file for that
    #[arg(long, help_heading = SETTINGS, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub last_server: Option<bool>,

    /// The settings file, in place of $XDG_CONFIG_HOME/chat/config.toml or ~/.config/chat/config.toml
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,

    /// Print the settings that are in force, with where each comes from, and do nothing else
    #[arg(long)]
    pub print_config: bool,

    /// Print a document about this program, and do nothing else
    #[arg(long, value_name = "DOCUMENT")]
    pub generate: Option<Document>,

    /// Don't join: check the way to the server, and say what works and what to do about the rest. Takes
    /// 5 s at most, once the name is looked up. Nobody in the room is told, unless the way there and back
    /// takes over 250 ms
    #[arg(long, conflicts_with_all = JOINING)]
    pub doctor: bool,

    /// Line by line, even on a terminal
    #[arg(long)]
    pub line_mode: bool,

    /// Line by line, and each thing that happens as one JSON object, for programs
    #[arg(long)]
    pub json: bool,

    /// Send every line as a message, even one that begins with a slash
    #[arg(long)]
    pub no_commands: bool,

    /// Print what was said before you came, each line after its time
    #[arg(long)]
    pub history: bool,

    /// Only print: don't read the standard input, stay until the server goes
    #[arg(long, conflicts_with = "send_only")]
    pub recv_only: bool,

    /// Only send: print no messages
    #[arg(long)]
    pub send_only: bool,

    /// Send every line to this user alone: a nick, an id (ip:port), or nick@id. Implies --no-commands;
    /// status 0 only when all of it was confirmed
    #[arg(
        long,
        value_name = "WHO",
        conflicts_with = "recv_only",
        value_parser = NonEmptyStringValueParser::new(),
        value_hint = ValueHint::Other
    )]
    pub to: Option<String>,

    /// Never send private messages through the server: directly, or not at all
    #[arg(long, help_heading = SETTINGS, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub direct_only: Option<bool>,

    /// Neither send nor take private messages in the clear
    #[arg(long, help_heading = SETTINGS, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub no_unencrypted: Option<bool>,

    /// Hops that the first datagram to a peer behind a router makes: past the own router, and not as
    /// far as the peer's
    #[arg(long, value_name = "HOPS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    pub punch_ttl: u8,

    /// How long each of the server's addresses may take to answer
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub connect_timeout: Duration,
}

/// Options that mean something only to one who joins.
const JOINING: [&str; 16] = [
    "line_mode",
    "json",
    "no_commands",
    "history",
    "recv_only",
    "send_only",
    "bell",
    "colours",
    "timestamps",
    "quiet",
    "scrollback",
    "to",
    "direct_only",
    "no_unencrypted",
    "punch_ttl",
    "connect_timeout",
];

impl Args {
    /// The command line, once it is known to make sense as a whole; ends the program if it does not.
    #[must_use]
    pub fn of_this_program() -> Self {
        Self::checked(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn checked(words: impl IntoIterator<Item: Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let args = Self::try_parse_from(words)?;
        if args.port.is_some() && args.host.as_ref().is_some_and(|host| host.port.is_some()) {
            let error = Self::command().error(ErrorKind::ArgumentConflict, "the port is there twice");
            return Err(error);
        }
        Ok(args)
    }

    /// Writes a document about this program.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_document(document: Document, to: &mut impl Write) -> io::Result<()> {
        let section = |heading, lines| Section { heading, lines };
        let sections = [
            section("COMMANDS", command::help(true).collect()),
            section("KEYS", keys::help().collect()),
            section(
                "EXIT STATUS",
                exit::HELP.lines().skip(1).map(str::to_owned).collect(),
            ),
        ];
        document.write(Self::command(), &sections, to)
    }

    /// The server, if one was named.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        let Address { host, port } = self.host.clone()?;
        Some(Address {
            host,
            port: port.or(self.port),
        })
    }
}

fn parse_address(text: &str) -> Result<Address, AddressError> {
    text.parse()
}

fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| "expected a number of seconds")?;
    if duration < Duration::from_millis(1) || duration > Duration::from_secs(86_400) {
        Err("expected 0.001 to 86400 seconds")
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::checked([&["chat-client"], args].concat())
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn without_arguments_no_server_is_named() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.address(), None);
        assert_eq!(args.connect_timeout, Duration::from_secs(5));
    }

    #[test]
    fn a_server_is_named_in_one_word_or_in_two() {
        for words in [["::1", "9001"].as_slice(), &["[::1]", "9001"], &["[::1]:9001"]] {
            let address = parse(words).unwrap().address().unwrap();
            assert_eq!((address.host.as_str(), address.port()), ("::1", 9001));
        }
        let address = parse(&["example"]).unwrap().address().unwrap();
        assert_eq!((address.host.as_str(), address.port()), ("example", 9000));
    }

    #[test]
    fn what_the_settings_file_says_can_be_said_otherwise() {
        let quiet = |args: &[&str]| parse(args).unwrap().quiet;
        assert_eq!(quiet(&[]), None);
        assert_eq!(quiet(&["--quiet", "example"]), Some(true));
        assert_eq!(quiet(&["--quiet=false"]), Some(false));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_status_2() {
        for args in [
            ["", "9000"].as_slice(),
            &["host", "0"],
            &["host", "65536"],
            &["host", "9000", "more"],
            &["host:9000", "9000"],
            &["--bell", "loud"],
            &["--colours", "17"],
            &["--timestamps", "never"],
            &["--nick", "a b"],
            &["--nick", "server"],
            &["--connect-timeout", "0"],
            &["--connect-timeout", "-1"],
            &["--connect-timeout", "inf"],
            &["--recv-only", "--send-only"],
            &["--to", ""],
            &["--doctor", "--line-mode"],
            &["--doctor", "--to", "bob"],
            &["--doctor", "--punch-ttl", "3"],
            &["--scrollback", "0"],
            &["--scrollback", "1000001"],
        ] {
            assert_eq!(parse(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn every_exit_status_is_documented() {
        let help = Args::command().render_help().to_string();
        assert!(
            help.contains("5    a private message was not delivered"),
            "{help}"
        );
    }
}
