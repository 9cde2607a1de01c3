//! The command line.

use crate::address::Address;
use crate::exit;
use crate::paths::LastServer;
use crate::settings::{File, Settings};
use chat_manual::{Document, Tip, exit, number, try_parse};
use chat_proto::nick::Nick;
use chat_proto::opaque::{Opaque, PublicKey};
use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, ValueHint};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Tips for options that people try and that do not exist.
const TIPS: [Tip; 3] = [
    (
        &["-n", "-u", "--name", "--nickname", "--user", "--username"],
        "a similar option is `--nick`",
    ),
    (
        &["-p", "-P", "--port"],
        "the port needs no option: `chat-client HOST 9000`, or `chat-client 9000` for this machine",
    ),
    (
        &["-H", "-s", "--host", "--server", "--address"],
        "the server needs no option: `chat-client HOST 9000`",
    ),
];

/// Join a chat room.
///
/// Each line you type is a message to everybody; /help lists the commands. Where standard input or
/// output is not a terminal, messages go to standard output, one per line, and everything else goes
/// to standard error.
#[derive(Clone, Debug, Parser)]
#[command(name = "chat-client", version, after_help = exit::HELP, max_term_width = 100)]
pub struct Args {
    /// TCP port of the server [default: 9000]
    #[arg(index = 2, value_parser = number::<u16>(1..=65535))]
    port: Option<u16>,

    /// Settings file to read instead of $XDG_CONFIG_HOME/chat/config.toml or
    /// ~/.config/chat/config.toml
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// Print each setting and where it comes from, and exit
    #[arg(long)]
    pub print_config: bool,

    /// Print the manual page or completions for a shell, and exit
    #[arg(long, value_name = "DOCUMENT")]
    pub generate: Option<Document>,

    /// Check the connection without joining: print what works, and how to repair the rest. Takes at
    /// most 5 s after the name lookup. The room does not notice, unless the round trip takes over
    /// 250 ms. Without HOST, and without a server on this machine, check why no room of the LAN is found
    #[arg(long)]
    pub doctor: bool,

    /// Print the rooms of the LAN, one a line, and exit: HOST, PORT, marks, name
    #[arg(long)]
    pub rooms: bool,

    /// Use line mode, even on a terminal
    #[arg(long)]
    pub line_mode: bool,

    /// Use line mode, and print each event as a JSON object, for programs. With --rooms, print each room as one
    #[arg(long)]
    pub json: bool,

    /// Send every line as a message, even one that begins with a slash
    #[arg(long)]
    pub no_commands: bool,

    /// Print earlier messages of the room too, each with its time, and its date if not today
    #[arg(long)]
    pub history: bool,

    /// Only receive: ignore standard input, and stay until the server closes the connection
    #[arg(long, conflicts_with = "send_only")]
    pub recv_only: bool,

    /// Only send: print no messages
    #[arg(long)]
    pub send_only: bool,

    /// Send every line privately to WHO: a nick, an id (ip:port), or nick@id. Implies
    /// --no-commands; exit status 0 means that every line was confirmed
    #[arg(
        long,
        value_name = "WHO",
        conflicts_with = "recv_only",
        value_parser = NonEmptyStringValueParser::new(),
        value_hint = ValueHint::Other
    )]
    pub to: Option<String>,

    /// Send this file to WHO of --to, and leave once WHO has kept it. Reads no input and prints no messages; exit status 0
    /// means that WHO has the whole file, 5 that it does not
    #[arg(
        long,
        value_name = "PATH",
        requires = "to",
        conflicts_with = "history",
        value_hint = ValueHint::FilePath
    )]
    pub file: Option<PathBuf>,

    /// Join only if the server has this key, which `chat-server --fingerprint` prints
    // One key in 64 begins with a hyphen.
    #[arg(long, value_name = "KEY", value_parser = parse_key, allow_hyphen_values = true)]
    pub server_key: Option<PublicKey>,

    /// What the room announces of its key, if the user chose it from a list.
    #[arg(skip)]
    pub announced: Option<Opaque<16>>,

    /// Join with the passphrase in this file, which only you may read, and only a room that has one.
    /// Without this option, the client asks for it on a terminal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "clear")]
    pub passphrase_file: Option<PathBuf>,

    /// Print the server's key, and exit
    #[arg(long)]
    pub fingerprint: bool,

    /// Forget the server's key, and exit: the next connection takes the key that the server has then
    #[arg(long)]
    pub forget_server: bool,

    /// Join a server that does not encrypt, too. Everybody on the way can read and change what is said
    #[arg(long)]
    pub clear: bool,

    /// TTL of punch probes to a peer: they must leave your router, and expire before the peer's
    #[arg(long, value_name = "HOPS", default_value_t = 2, value_parser = number::<u8>(1..=255))]
    pub punch_ttl: u8,

    /// Time to wait for each of the server's addresses
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub connect_timeout: Duration,

    /// The options that are settings too, HOST among them.
    #[command(flatten)]
    pub settings: Settings,
}

impl Args {
    /// Reads the command line and the settings file. Exits if the command line is wrong.
    ///
    /// # Errors
    /// If the settings file can't be read or is invalid; names the file and the line.
    pub fn load() -> anyhow::Result<Self> {
        let words: Vec<OsString> = std::env::args_os().collect();
        let parse = |file: &File| {
            let last_server = || LastServer::find()?.read();
            Self::parse_with(file, &words, last_server).unwrap_or_else(|error| exit(&error))
        };
        let args = parse(&File::default());
        if args.generate.is_some() {
            return Ok(args);
        }
        let mut args = parse(&File::load(args.config.as_deref())?);
        args.settings.set_login(login_name());
        Ok(args)
    }

    /// Parses a command line. The settings file supplies options that `words` lack, and
    /// `last_server` the server if the settings ask for it.
    ///
    /// # Errors
    /// If the command line is wrong.
    pub fn parse_with(
        file: &File,
        words: impl IntoIterator<Item: Into<OsString> + Clone>,
        last_server: impl FnOnce() -> Option<Address>,
    ) -> Result<Self, clap::Error> {
        let mut command = file.as_defaults(Self::command().mut_args(conflicts));
        let matches = try_parse(&mut command, words, &TIPS)?;
        let mut args = Self::from_arg_matches(&matches)?;
        if let Some(port) = args.port
            && args.settings.server.port.replace(port).is_some()
        {
            return Err(command.error(ErrorKind::ArgumentConflict, "port given twice"));
        }
        args.settings.complete(&matches, file, last_server);
        Ok(args)
    }
}

/// The login name, as POSIX sets it, if it is a valid nick.
fn login_name() -> Option<Nick> {
    let names = ["LOGNAME", "USER"].into_iter();
    let mut nicks = names.filter_map(|name| Nick::parse(&std::env::var(name).ok()?).ok());
    nicks.next()
}

/// Options that concern the conversation make no sense with `--doctor`, and those that concern one server none with
/// `--rooms` either.
fn conflicts(arg: clap::Arg) -> clap::Arg {
    match arg.get_id().as_str() {
        "config" | "print_config" | "generate" => arg,
        "rooms" | "json" => arg.conflicts_with("doctor"),
        "doctor" | "server" | "port" | "nick" | "last_server" => arg.conflicts_with("rooms"),
        _ => arg.conflicts_with_all(["doctor", "rooms"]),
    }
}

fn parse_key(text: &str) -> Result<PublicKey, &'static str> {
    text.parse()
        .map_err(|_| "a key has 43 letters, digits, `-` and `_`; `chat-server --fingerprint` prints it")
}

fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    let range = Duration::from_millis(1)..=Duration::from_secs(86_400);
    let duration = Duration::try_from_secs_f64(seconds).ok();
    duration
        .filter(|duration| range.contains(duration))
        .ok_or("expected 0.001 to 86400 seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::parse_with(&File::default(), [&["chat-client"], args].concat(), || None)
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().mut_args(conflicts).debug_assert();
    }

    #[test]
    fn without_arguments_the_defaults_count() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.settings.server.joined(), "127.0.0.1:9000");
        assert_eq!(args.connect_timeout, Duration::from_secs(5));
    }

    #[test]
    fn host_and_port_are_one_word_or_two() {
        for words in [["::1", "9001"].as_slice(), &["[::1]", "9001"], &["[::1]:9001"]] {
            let address = parse(words).unwrap().settings.server;
            assert_eq!((address.host.as_str(), address.port()), ("::1", 9001));
        }
        let address = parse(&["example"]).unwrap().settings.server;
        assert_eq!((address.host.as_str(), address.port()), ("example", 9000));
        let address = parse(&["9001"]).unwrap().settings.server;
        assert_eq!((address.host.as_str(), address.port()), ("127.0.0.1", 9001));
    }

    #[test]
    fn a_switch_takes_a_value_after_an_equals_sign() {
        let direct_only = |args: &[&str]| parse(args).unwrap().settings.direct_only;
        assert!(!direct_only(&[]));
        assert!(direct_only(&["--direct-only", "example"]));
        assert!(!direct_only(&["--direct-only=false"]));
    }

    #[test]
    fn a_wrong_command_line_has_exit_status_2() {
        for args in [
            ["", "9000"].as_slice(),
            &["host", "0"],
            &["host", "65536"],
            &["host", "9000", "more"],
            &["host:9000", "9000"],
            &["9000", "9001"],
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
            &["--file", "a.txt"],
            &["--to", "bob", "--file", ""],
            &["--to", "bob", "--file", "a.txt", "--history"],
            &["--to", "bob", "--file", "a.txt", "--recv-only"],
            &["--scrollback", "0"],
            &["--scrollback", "1000001"],
        ] {
            assert_eq!(parse(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        for (words, advice) in [
            (["--name", "x"].as_slice(), "`--nick`"),
            (&["--user=x"], "`--nick`"),
            (&["-p", "9000"], "`chat-client HOST 9000`"),
            (&["--port=9000"], "`chat-client HOST 9000`"),
            (&["--host", "x"], "`chat-client HOST 9000`"),
            (&["-5"], "a port is a number from 1 to 65535"),
            (&["host", "-5"], "expected a number from 1 to 65535"),
            (&["host", "nine"], "expected a number from 1 to 65535"),
            (&["--scrollback", "-5"], "expected a number from 1 to 1000000"),
            (&["--punch-ttl", "256"], "expected a number from 1 to 255"),
            (&["--connect-timeout", "-1"], "expected 0.001 to 86400 seconds"),
            (&["alice@host"], "`--nick NICK`"),
            (&["--bell", "loud"], "off, mention, private, all"),
            (&["--nic", "x"], "'--nick'"),
        ] {
            let error = parse(words).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(advice), "{words:?}: {error}");
        }
    }

    #[test]
    fn the_doctor_refuses_options_of_a_conversation() {
        for option in [
            ["--line-mode"].as_slice(),
            &["--to", "bob"],
            &["--to", "bob", "--file", "a.txt"],
            &["--punch-ttl", "3"],
            &["--bell", "off"],
            &["--scrollback", "7"],
        ] {
            let error = parse(&[&["--doctor"], option].concat()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{option:?}");
        }
        for option in [["host", "9000"], ["--nick", "bob"], ["--config", "file"]] {
            assert!(
                parse(&[&["--doctor"], &option[..]].concat()).is_ok(),
                "{option:?}"
            );
        }
    }

    #[test]
    fn a_list_of_rooms_has_no_options_of_one_server() {
        for option in [
            ["host"].as_slice(),
            &["--doctor"],
            &["--nick", "bob"],
            &["--history"],
            &["--fingerprint"],
        ] {
            let error = parse(&[&["--rooms"], option].concat()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{option:?}");
        }
        assert!(parse(&["--rooms", "--json"]).is_ok());
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
