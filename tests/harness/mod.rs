//! Starts the real programs, sends them input, and waits for their output.
//!
//! Nothing sleeps to let something happen. Every wait is for an event, with a deadline that only a failing test reaches.
//! To show that something does *not* arrive, a test waits for a later event.

mod client;
mod crowd;
mod fake_server;
mod hostile_texts;
mod journal;
mod legacy;
mod plain;
mod process;
mod programs;
mod resources;
mod rich;
mod safe_output;
mod server;
mod storm;
mod terminal;
mod wire;

pub use client::Client;
pub use crowd::Crowd;
pub use fake_server::{FakeServer, GREETING, SECRET, Stage};
pub use hostile_texts::HOSTILE_TEXTS;
pub use journal::Journal;
pub use legacy::{LegacyClient, LegacyServer};
pub use plain::Plain;
pub use process::{Feed, Process, reached_by};
pub use programs::{
    SERVER_STATE, chat_client, chat_server, client_command, in_a_new_network, server_command,
    with_environment,
};
pub use rich::Rich;
pub use safe_output::{assert_lines_are_safe, assert_screen_is_safe};
pub use server::{Server, with_sockets};
pub use storm::{Chance, part_of};
pub use terminal::{Terminal, pseudo_terminal};
pub use wire::{End, Wire};

use std::thread;
use std::time::Duration;

/// The deadline of every wait. Only a failing test waits that long, so it allows for slow machines.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Checks all of these at once, because a check waits more than it computes.
pub fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(|| check(case));
        }
    });
}

/// Whether this machine has an IPv6 loopback. Containers often have none.
pub fn has_ipv6() -> bool {
    let bound = std::net::TcpListener::bind("[::1]:0");
    if bound.is_err() {
        eprintln!("skipped: this machine has no IPv6");
    }
    bound.is_ok()
}

/// Raises the limit on descriptors for this process and its children. Returns whether it is enough.
pub fn can_open(descriptors: u64) -> bool {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    if hard < descriptors {
        eprintln!("skipped: this machine allows only {hard} descriptors");
    }
    hard >= descriptors
}
