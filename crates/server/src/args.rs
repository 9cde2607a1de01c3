//! The command line.

use crate::rate::Rate;
use crate::room::Limits;
use chat_manual::{Document, Section};
use clap::{CommandFactory, Parser};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::num::{IntErrorKind, NonZeroU32, NonZeroUsize, ParseIntError};
use std::str::FromStr;
use std::time::Duration;

/// A chat room for everybody who can reach this machine.
///
/// Prints the address it listens at, and runs until a signal ends it. Logs joins, leaves and refusals on standard error,
/// but no messages.
#[derive(Debug, Parser)]
#[command(name = "chat-server", version, after_help = EXIT_STATUS)]
pub struct Args {
    /// The address to listen at: 0.0.0.0 for IPv4, :: for IPv6 and IPv4, 127.0.0.1 or ::1 for this machine alone.
    #[arg(default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED), value_parser = parse_address)]
    pub address: IpAddr,

    /// The TCP port, and the UDP port of the rendezvous; 0 takes a free one.
    #[arg(default_value_t = 9000)]
    pub port: u16,

    /// Users at most; one more is rejected with `too many users`.
    #[arg(long, value_name = "N", default_value = "1000", value_parser = parse_some::<NonZeroUsize>)]
    pub max_users: NonZeroUsize,

    /// Users at most from one address. Loopback addresses are exempt.
    #[arg(long, value_name = "N", default_value = "100", value_parser = parse_some::<NonZeroUsize>)]
    pub max_per_address: NonZeroUsize,

    /// Lines of history for a newcomer with chat-client.
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    pub history: usize,

    /// Lines a second that each user may send. Clients that send faster are throttled, and lose nothing. 0 means no limit.
    #[arg(long, value_name = "LINES", default_value_t = 50)]
    pub rate: u32,

    /// Lines that each user may send at once, above the rate.
    #[arg(long, value_name = "LINES", default_value_t = 200)]
    pub burst: u32,

    /// Ping a chat-client after this much silence; disconnect it after three times that.
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = parse_some::<NonZeroU32>)]
    pub ping_interval: NonZeroU32,

    /// Print the manual page or shell completions, and do nothing else.
    #[arg(long, value_name = "DOCUMENT")]
    pub generate: Option<Document>,
}

const EXIT_STATUS: &str = "\
Exit status:
  0  ended by SIGINT, SIGTERM or SIGHUP
  1  can't run, for example because the port is in use
  2  invalid command line";

impl Args {
    /// Writes a document about this program.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write_document(document: Document, to: &mut impl Write) -> io::Result<()> {
        let exit_status = Section {
            heading: "EXIT STATUS",
            lines: EXIT_STATUS.lines().skip(1).map(str::to_owned).collect(),
        };
        document.write(Self::command(), &[exit_status], to)
    }

    /// The limits of the room.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            max_users: self.max_users.get(),
            max_per_address: self.max_per_address.get(),
            history: self.history,
            rate: NonZeroU32::new(self.rate).map(|rate| Rate::new(rate, self.burst)),
            ping_interval: Duration::from_secs(self.ping_interval.get().into()),
        }
    }
}

fn parse_address(text: &str) -> Result<IpAddr, &'static str> {
    // The client accepts names and HOST:PORT, so people try those here too.
    text.parse()
        .map_err(|_| "expected an IP address, such as 0.0.0.0, ::, or 127.0.0.1, and the port after a space")
}

fn parse_some<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::Zero => "expected 1 or more".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(args: &[&str]) -> String {
        let error = Args::try_parse_from([&["chat-server"], args].concat()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    }

    #[test]
    fn a_name_or_a_port_as_the_address_is_an_error_with_an_example() {
        for words in [["localhost", "9000"].as_slice(), &["127.0.0.1:9000"], &["9000"]] {
            let complaint = complaint(words);
            assert!(complaint.contains("such as 0.0.0.0"), "{complaint}");
        }
    }

    #[test]
    fn limits_on_users_and_the_ping_interval_are_at_least_1() {
        for option in ["--max-users", "--max-per-address", "--ping-interval"] {
            let complaint = complaint(&[option, "0"]);
            assert!(complaint.contains("expected 1 or more"), "{complaint}");
        }
    }
}
