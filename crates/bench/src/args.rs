//! The command line of `chat-load`.

use crate::dialect::Dialect;
use crate::message::{TEXT_MAX, TEXT_MIN};
use clap::{Parser, ValueEnum};
use std::net::IpAddr;

/// Measures a chat server with many users in one process.
///
/// Prints one line of names and values. A delivery is one message that reached one user. `cpu_us` is the processor time of
/// the server for each delivery. `lost`, `duplicated`, `reordered` and `damaged` should be 0.
#[derive(Debug, Parser)]
#[command(name = "chat-load", version)]
pub struct Args {
    /// What the crowd does.
    pub scenario: Scenario,

    /// The server's address.
    pub address: IpAddr,

    /// The server's port.
    pub port: u16,

    /// The process id of the server, on this machine.
    #[arg(long)]
    pub pid: u32,

    /// The protocol of the server.
    #[arg(long, value_enum, default_value = "plain")]
    pub dialect: Dialect,

    /// The server is from before the encrypted channel: speak its rich dialect in the clear
    #[arg(long)]
    pub clear: bool,

    /// The number of users.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub users: u16,

    /// How many of them send messages.
    #[arg(long, value_name = "N", default_value_t = 4)]
    pub senders: u16,

    /// Messages a second of all senders together, in the scenarios with a set pace.
    #[arg(long, value_name = "MESSAGES", default_value_t = 200)]
    pub rate: u32,

    /// Bytes of each message, including its line feed.
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = size)]
    pub size: usize,

    /// Seconds to measure.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub seconds: f64,
}

/// What the crowd does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Senders send as fast as the server reads.
    Flat,
    /// One message at a time: the next is sent when everybody has received the last.
    Turns,
    /// A set number of messages a second.
    Paced,
    /// Everybody joins at once.
    Joins,
    /// Nobody sends anything: measures the memory of a connection.
    Idle,
    /// Like flat, with one user that never reads.
    Deaf,
    /// The first sender sends as fast as the server reads, the others a set number of messages a second. Only the
    /// latter are timed.
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
