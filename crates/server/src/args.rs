//! The command line.

use crate::network::Network;
use crate::quota::Quota;
use crate::rate::Rate;
use crate::room::Limits;
use chat_discovery::message::{LABEL_MAX, Label};
use chat_manual::{Document, Tip, exit, number, try_parse};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The default port.
const PORT: u16 = 9000;

/// Tips for options that people try and that do not exist.
const TIPS: [Tip; 2] = [
    (
        &["-p", "--port", "-P"],
        "the port needs no option: `chat-server 9000`, or behind the address: `chat-server 127.0.0.1 9000`",
    ),
    (
        &[
            "-l",
            "-b",
            "-a",
            "-H",
            "--listen",
            "--bind",
            "--address",
            "--host",
        ],
        "the address needs no option: `chat-server 127.0.0.1`, or with a port: `chat-server 127.0.0.1 9000`",
    ),
];

/// A chat room for everybody who can reach this machine.
///
/// Prints the address it listens at, and runs until a signal ends it. Logs joins, leaves and refusals on standard error,
/// but no messages.
#[derive(Debug, Parser)]
#[command(name = "chat-server", version, after_help = EXIT_STATUS)]
pub struct Args {
    /// The address to listen at: 0.0.0.0 for IPv4, :: for IPv6 and IPv4, localhost, 127.0.0.1 or ::1 for this machine
    /// alone. ADDRESS:PORT works too, and a port alone.
    #[arg(default_value = "0.0.0.0")]
    address: Place,

    /// The TCP port, and the UDP port of the rendezvous; 0 takes a free one [default: 9000]
    #[arg(value_parser = number::<u16>(0..=65535))]
    port: Option<u16>,

    /// Users at most; one more is rejected with `too many users`.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = number::<usize>(1..=COUNT_MAX))]
    pub max_users: usize,

    /// Users at most from one address, or from one /64 of IPv6. Twice as many may connect at once, and take a nick; then
    /// one a second. Loopback addresses are exempt.
    #[arg(long, value_name = "N", default_value = "100", value_parser = number::<usize>(1..=COUNT_MAX))]
    pub max_per_address: usize,

    /// Messages of the past for a newcomer with chat-client.
    #[arg(long, value_name = "LINES", default_value = "100", value_parser = number::<usize>(0..=COUNT_MAX))]
    pub history: usize,

    /// Lines a second that each user may send. Clients that send faster are throttled, and lose nothing. 0 means no limit, also
    /// on the bytes from one network.
    #[arg(long, value_name = "LINES", default_value = "50", value_parser = number::<u32>(0..=COUNT_MAX))]
    pub rate: u32,

    /// Lines that each user may send at once, above the rate.
    #[arg(long, value_name = "LINES", default_value = "200", value_parser = number::<u32>(0..=COUNT_MAX))]
    pub burst: u32,

    /// Ping a chat-client after this much silence; disconnect it after three times that.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = number::<u32>(1..=86_400))]
    pub ping_interval: u32,

    /// Keep the server's key in this file, which is made if it is missing; else in chat/server-key below $XDG_STATE_HOME or
    /// ~/.local/state. Clients remember the key, and refuse a server with another one.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,

    /// The users with these keys run the room: a file with one key a line. Others can prove the code that the server
    /// prints on a terminal, or leaves in a file.
    #[arg(long, value_name = "FILE")]
    pub operators: Option<PathBuf>,

    /// Keep the bans in this file, which is made if it is missing. Without it, they are in the file of --state, or hold until
    /// the server ends.
    #[arg(long, value_name = "FILE")]
    pub bans: Option<PathBuf>,

    /// Keep the room in this file, which is made if it is missing, so that it survives a restart: messages, topic, nicks,
    /// operators, bans and mutes. Each server needs a file of its own. Without it, the server keeps none of these.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Take connections from these networks only, such as 10.0.0.0/8,fd00::/8. An address alone is one too. May be given more
    /// than once.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub allow: Vec<Network>,

    /// Take no connections from these networks, also where --allow has them.
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub deny: Vec<Network>,

    /// Let in only users who know the passphrase in this file, which only you may read. Take encrypted connections only.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,

    /// Print a passphrase of six words, or write it to the new file that --passphrase-file names, and do nothing else.
    #[arg(long)]
    pub new_passphrase: bool,

    /// Take encrypted connections only: users of `nc` are turned away.
    #[arg(long)]
    pub sealed_only: bool,

    /// Ask clients to send files directly only, and none through this server. Else each may have 8 MiB at most. Files are
    /// sealed, so the server can't tell them from private messages: a client that does not comply is limited by --rate
    #[arg(long)]
    pub no_relayed_files: bool,

    /// The name under which clients on the LAN find the room; without it, the name of this machine. At most 63 bytes.
    #[arg(long, value_name = "NAME", value_parser = room_name)]
    pub name: Option<Label>,

    /// Do not announce the room on the LAN. A server that listens at a loopback address never does.
    #[arg(long)]
    pub no_announce: bool,

    /// Print the server's key, which people compare, and do nothing else.
    #[arg(long)]
    pub fingerprint: bool,

    /// Print the status of the server at ADDRESS and PORT, and do nothing else. ADDRESS may be a host name here, and is
    /// 127.0.0.1 if missing.
    #[arg(long)]
    pub status: bool,

    /// Print the status as a JSON object.
    #[arg(long, requires = "status")]
    pub json: bool,

    /// Print the manual page or shell completions, and do nothing else.
    #[arg(long, value_name = "DOCUMENT")]
    pub generate: Option<Document>,
}

/// The exit statuses, as `--help` lists them.
pub(crate) const EXIT_STATUS: &str = "\
Exit status:
  0  ended by SIGINT, SIGTERM or SIGHUP; with --status: the server answers, and is well
  1  can't run, for example because the port is in use, or could not write the state at the end; with --status: no answer, or the server shuts down
  2  invalid command line";

/// The largest of all other numbers.
const COUNT_MAX: u64 = 4_294_967_295;

impl Args {
    /// Reads the command line. Exits if it is wrong.
    #[must_use]
    pub fn load() -> Self {
        Self::parse_from(std::env::args_os()).unwrap_or_else(|error| exit(&error))
    }

    fn parse_from(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = try_parse(&mut command, words, &TIPS)?;
        let args = Self::from_arg_matches(&matches)?;
        if args.port.is_some() && args.address.port.is_some() {
            return Err(command.error(ErrorKind::ArgumentConflict, "port given twice"));
        }
        if !args.status && matches!(args.address.host, Host::Name(_)) {
            return Err(command.error(ErrorKind::ValueValidation, EXAMPLE));
        }
        Ok(args)
    }

    /// Where to listen.
    #[must_use]
    pub fn listen_at(&self) -> SocketAddr {
        let mut address = match self.address.host {
            Host::Address(address) => address,
            Host::Name(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        };
        address.set_port(self.address.port.or(self.port).unwrap_or(PORT));
        address
    }

    /// The host and the port to ask for a status. A server that listens at all addresses is asked at loopback.
    #[must_use]
    pub fn ask_at(&self) -> (String, u16) {
        let address = self.listen_at();
        let host = match &self.address.host {
            Host::Name(name) => name.clone(),
            Host::Address(_) => match address {
                _ if !address.ip().is_unspecified() => address.ip().to_string(),
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.to_string(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.to_string(),
            },
        };
        (host, address.port())
    }

    /// The limits of the room.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let rate = NonZeroU32::new(self.rate).map(|rate| Rate::new(rate, self.burst));
        let mut quota = Quota::for_users(self.max_per_address);
        quota.bytes = quota.bytes.filter(|_| rate.is_some());
        Limits {
            max_users: self.max_users,
            max_per_address: self.max_per_address,
            history: self.history,
            rate,
            quota,
            ping_interval: Duration::from_secs(self.ping_interval.into()),
        }
    }
}

fn room_name(name: &str) -> Result<Label, String> {
    Label::new(name).ok_or_else(|| {
        let bytes = name.len();
        format!("expected a name of at most {LABEL_MAX} bytes without control characters, such as `Lab 3`; this has {bytes}")
    })
}

/// What the first word may hold.
#[derive(Clone, Debug)]
struct Place {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Host {
    /// Its port counts for nothing.
    Address(SocketAddr),
    /// Only for `--status`: a server listens at its own addresses.
    Name(String),
}

const EXAMPLE: &str =
    "expected an address of this machine, such as 0.0.0.0, ::, 127.0.0.1 or localhost, or a port";

/// Every form that the client takes for a server.
impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            let port = Some(address.port());
            let host = Host::Address(address);
            return Ok(Self { host, port });
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (host, port) = match text.rsplit_once(':') {
            _ if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                ("0.0.0.0", Some(text))
            }
            Some((host, port)) if is_name(host) => (host, Some(port)),
            _ => (text, None),
        };
        let port = port.map(str::parse).transpose();
        let port = port.map_err(|_| "a port is a number from 0 to 65535")?;
        let host = match host {
            "localhost" => Host::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
            host => {
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let ip = match bare {
                    Some(bare) => bare.parse::<Ipv6Addr>().map(IpAddr::V6),
                    None => host.parse(),
                };
                match ip {
                    Ok(ip) => Host::Address(SocketAddr::from((ip, 0))),
                    Err(_) if is_name(host) => Host::Name(host.to_owned()),
                    Err(_) => return Err(EXAMPLE),
                }
            }
        };
        Ok(Self { host, port })
    }
}

/// Whether this may be the name of a host.
fn is_name(host: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && !host.starts_with('-') && host.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::parse_from([&["chat-server"], args].concat())
    }

    fn complaint(args: &[&str]) -> String {
        let error = parse(args).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn every_spelling_of_an_address_is_understood() {
        for (words, address) in [
            ([].as_slice(), "0.0.0.0:9000"),
            (&["9001"], "0.0.0.0:9001"),
            (&["0"], "0.0.0.0:0"),
            (&["localhost"], "127.0.0.1:9000"),
            (&["localhost", "0"], "127.0.0.1:0"),
            (&["localhost:0"], "127.0.0.1:0"),
            (&["127.0.0.1"], "127.0.0.1:9000"),
            (&["127.0.0.1", "9001"], "127.0.0.1:9001"),
            (&["127.0.0.1:9001"], "127.0.0.1:9001"),
            (&["::"], "[::]:9000"),
            (&["::1", "0"], "[::1]:0"),
            (&["[::1]"], "[::1]:9000"),
            (&["[::1]", "0"], "[::1]:0"),
            (&["[::1]:0"], "[::1]:0"),
            (&["[fe80::1%2]:9000"], "[fe80::1%2]:9000"),
        ] {
            assert_eq!(
                parse(words).unwrap().listen_at().to_string(),
                address,
                "{words:?}"
            );
        }
    }

    #[test]
    fn other_words_are_an_error_with_an_example() {
        for words in [
            ["example"].as_slice(),
            &["example:9000"],
            &["", "9000"],
            &["[127.0.0.1]"],
            &[":9000"],
        ] {
            let complaint = complaint(words);
            assert!(complaint.contains("such as 0.0.0.0"), "{complaint}");
        }
        for words in [["70000"].as_slice(), &["localhost:x"], &["localhost:"], &["-5"]] {
            let complaint = complaint(words);
            assert!(
                complaint.contains("a port is a number from 0 to 65535"),
                "{complaint}"
            );
        }
        for words in [["127.0.0.1:9000", "9000"], ["9000", "9000"]] {
            let complaint = complaint(&words);
            assert!(complaint.contains("port given twice"), "{complaint}");
        }
    }

    #[test]
    fn a_status_is_asked_for_at_a_host_and_a_port() {
        for (words, host, port) in [
            (&[][..], "127.0.0.1", 9000),
            (&["9001"], "127.0.0.1", 9001),
            (&["::", "9001"], "::1", 9001),
            (&["192.0.2.1:9001"], "192.0.2.1", 9001),
            (&["chat.example", "9001"], "chat.example", 9001),
            (&["chat.example:9001"], "chat.example", 9001),
            (&["lab-3", "--json"], "lab-3", 9000),
        ] {
            let args = parse(&[&["--status"], words].concat()).unwrap();
            assert_eq!(args.ask_at(), (host.to_owned(), port), "{words:?}");
        }
        assert!(complaint(&["--json"]).contains("--status"));
        for words in [["--status", "two words"], ["--status", "\u{1b}[2J"]] {
            complaint(&words);
        }
    }

    #[test]
    fn a_number_out_of_range_is_an_error_with_the_range() {
        for option in ["--max-users", "--max-per-address", "--ping-interval"] {
            let complaint = complaint(&[option, "0"]);
            assert!(complaint.contains("expected a number from 1 to"), "{complaint}");
        }
        for words in [
            ["--rate", "-5"],
            ["--burst", "4294967296"],
            ["--history", "many"],
            ["127.0.0.1", "65536"],
            ["127.0.0.1", "-5"],
        ] {
            let complaint = complaint(&words);
            assert!(complaint.contains("expected a number from 0 to"), "{complaint}");
        }
    }

    #[test]
    fn the_name_of_the_room_is_short_and_can_be_shown() {
        let name = |name: &str| parse(&["--name", name]).unwrap().name.unwrap().to_string();
        assert_eq!(name("Lab 3. 二楼"), "Lab 3. 二楼");
        assert_eq!(name(" e\u{301} "), "é");
        assert_eq!(name(&"x".repeat(63)).len(), 63);
        for name in ["", " ", "a\nb", "a\u{202E}b", &"x".repeat(64)] {
            let complaint = complaint(&["--name", name]);
            assert!(
                complaint.contains("expected a name of at most 63 bytes"),
                "{complaint}"
            );
        }
    }

    #[test]
    fn networks_are_listed_or_repeated() {
        let args = parse(&[
            "--allow",
            "10.1.2.3/8,fd00::/8",
            "--deny",
            "10.0.0.7",
            "--deny=::1",
        ])
        .unwrap();
        let shown = |networks: &[Network]| networks.iter().map(Network::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&args.allow), ["10.0.0.0/8", "fd00::/8"]);
        assert_eq!(shown(&args.deny), ["10.0.0.7", "::1"]);
        for words in [
            ["--allow", "lab.example"],
            ["--deny", "10.0.0.0/33"],
            ["--allow", "10.0.0.1,"],
        ] {
            let complaint = complaint(&words);
            assert!(
                complaint.contains("such as 192.168.1.7, 10.0.0.0/8"),
                "{complaint}"
            );
        }
    }

    #[test]
    fn options_for_the_address_and_the_port_get_a_tip() {
        assert!(complaint(&["-p", "9000"]).contains("tip: the port needs no option"));
        assert!(complaint(&["--bind=127.0.0.1"]).contains("tip: the address needs no option"));
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }
}
