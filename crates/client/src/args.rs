//! The command line.

use crate::exit;
use chat_proto::nick::Nick;
use clap::Parser;
use std::time::Duration;

/// Join a chat room.
///
/// Lines that are typed are messages to everybody; /help lists the commands. Where input or output is no
/// terminal, each message is one line on the standard output, and all else is on the standard error.
#[derive(Clone, Debug, Parser)]
#[command(name = "chat-client", version, after_help = exit::HELP, max_term_width = 100)]
pub struct Args {
    /// The server: a name, an IPv4 address, or an IPv6 address
    #[arg(default_value = "127.0.0.1", value_parser = parse_host)]
    pub host: String,

    /// The server's TCP port
    #[arg(default_value_t = 9000, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// Take this nick, or leave with status 4 if it can't be had
    #[arg(long, value_parser = Nick::parse)]
    pub nick: Option<Nick>,

    /// Don't join: check the way to the server, and say what works and what to do about the rest. Takes
    /// 5 s at most, once the name is looked up. Nobody in the room is told, unless the way there and back
    /// takes over 250 ms
    #[arg(long, conflicts_with_all = JOINING)]
    pub doctor: bool,

    /// Line by line, even on a terminal
    #[arg(long)]
    pub plain: bool,

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

    /// How many lines the full screen can scroll back
    #[arg(long, value_name = "LINES", default_value_t = 10_000, value_parser = parse_lines)]
    pub scrollback: usize,

    /// Send every line to this user alone: a nick, an id (ip:port), or nick@id. Implies --no-commands;
    /// status 0 only when all of it was confirmed
    #[arg(long, value_name = "WHO", conflicts_with = "recv_only")]
    pub to: Option<String>,

    /// Never send private messages through the server: directly, or not at all
    #[arg(long)]
    pub direct_only: bool,

    /// Neither send nor take private messages in the clear
    #[arg(long)]
    pub no_plain_private: bool,

    /// Hops that the first datagram to a peer behind a router makes: past the own router, and not as
    /// far as the peer's
    #[arg(long, value_name = "HOPS", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    pub primer_ttl: u8,

    /// How long each of the server's addresses may take to answer
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    pub connect_timeout: Duration,
}

/// Options that mean something only to one who joins.
const JOINING: [&str; 11] = [
    "plain",
    "no_commands",
    "history",
    "recv_only",
    "send_only",
    "scrollback",
    "to",
    "direct_only",
    "no_plain_private",
    "primer_ttl",
    "connect_timeout",
];

/// An IPv6 address may stand in brackets, as it does before a port.
fn parse_host(text: &str) -> Result<String, &'static str> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    if bare.is_empty() || bare.contains(char::is_whitespace) {
        Err("expected a name or an address")
    } else {
        Ok(bare.to_owned())
    }
}

fn parse_lines(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(lines @ 1..=1_000_000) => Ok(lines),
        _ => Err("expected 1 to 1000000 lines"),
    }
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
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["chat-client"], args].concat())
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn without_arguments_it_is_the_server_of_this_machine() {
        let args = parse(&[]).unwrap();
        assert_eq!((args.host.as_str(), args.port), ("127.0.0.1", 9000));
        assert_eq!(args.connect_timeout, Duration::from_secs(5));
    }

    #[test]
    fn an_ipv6_address_may_stand_in_brackets() {
        for host in ["::1", "[::1]"] {
            assert_eq!(parse(&[host, "9001"]).unwrap().host, "::1");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_status_2() {
        for args in [
            ["", "9000"].as_slice(),
            &["host", "0"],
            &["host", "65536"],
            &["host", "9000", "more"],
            &["--nick", "a b"],
            &["--nick", "server"],
            &["--connect-timeout", "0"],
            &["--connect-timeout", "-1"],
            &["--connect-timeout", "inf"],
            &["--recv-only", "--send-only"],
            &["--doctor", "--plain"],
            &["--doctor", "--to", "bob"],
            &["--doctor", "--primer-ttl", "3"],
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
