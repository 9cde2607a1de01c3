//! The command line of the crowd.

use crate::dialect::Dialect;
use crate::message::{TEXT_MAX, TEXT_MIN};
use clap::{Parser, ValueEnum};
use std::net::IpAddr;

/// A crowd of chat users in one process, to find out what a server does to their messages and what that costs.
///
/// Prints one line of names and values: deliveries are single messages that reached single users; `cpu_us` is the
/// server's processor time for each; `lost`, `duplicated`, `reordered` and `damaged` should be 0.
#[derive(Debug, Parser)]
#[command(name = "chat-load", version)]
pub struct Args {
    /// What the crowd does.
    pub scenario: Scenario,

    /// The server's address.
    pub address: IpAddr,

    /// The server's port.
    pub port: u16,

    /// The server's process, on this machine.
    #[arg(long)]
    pub pid: u32,

    /// How the server is spoken to.
    #[arg(long, value_enum, default_value = "plain")]
    pub dialect: Dialect,

    /// Users.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub users: u16,

    /// How many of them say something.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub senders: u16,

    /// Messages a second, of all senders together, where the pace is set.
    #[arg(long, value_name = "MESSAGES", default_value_t = 200)]
    pub rate: u32,

    /// Bytes of each message, its line feed included.
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = size)]
    pub size: usize,

    /// Seconds that are measured.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub seconds: f64,
}

/// What the crowd does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Senders send as much as the server takes.
    Flat,
    /// One message at a time: the next is sent when everybody has got the last.
    Turns,
    /// So many messages a second.
    Paced,
    /// Everybody joins at once.
    Joins,
    /// Nobody says anything: what a connection takes of memory.
    Idle,
    /// As flat, beside one user who never reads.
    Deaf,
    /// The first sender sends as much as the server takes, the others so many messages a second; only those
    /// are timed.
    Flood,
}

fn size(text: &str) -> Result<usize, String> {
    let size: usize = text.parse().map_err(|_| "not a number")?;
    if (TEXT_MIN + 1..=TEXT_MAX + 1).contains(&size) {
        Ok(size)
    } else {
        Err(format!("between {} and {}", TEXT_MIN + 1, TEXT_MAX + 1))
    }
}
