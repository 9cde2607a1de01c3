//! Rooms of the LAN: looking for them, and `--rooms`, which prints them.

pub mod found;
pub mod search;

use crate::exit::Exit;
use crate::known_servers::KnownServers;
use crate::line::json;
use anyhow::{Context, Result};
use chat_sys::clock::Clock;
use found::Found;
use search::Search;
use std::io::{self, Write};
use std::time::Duration;

/// By when every room has answered that can be found.
pub const PATIENCE: Duration = Duration::from_millis(1500);

/// `--rooms`: prints the rooms of the LAN, one a line.
///
/// # Errors
/// If the system can't wait, or the list can't be printed.
pub fn run(is_json: bool) -> Result<Exit> {
    let clock = Clock::start();
    let mut search = Search::begin(clock.now().monotonic);
    search.run_until(PATIENCE, &clock)?;
    let known = KnownServers::find();
    let mut rooms: Vec<_> = search
        .rooms()
        .into_iter()
        .map(|room| Found::new(room, known.as_ref()))
        .collect();
    rooms.sort_by(|one, other| {
        (&one.room.name, &one.room.addresses).cmp(&(&other.room.name, &other.room.addresses))
    });
    let mut out = Vec::new();
    for found in &rooms {
        if is_json {
            json::room(found, clock.now().unix_ms, &mut out);
        } else {
            writeln!(out, "{found}")?;
        }
    }
    io::stdout().write_all(&out).context("can't print the rooms")?;
    if search.is_full() {
        let _ = writeln!(
            io::stderr(),
            "chat-client: the list is full: there may be more rooms"
        );
    }
    if rooms.is_empty() {
        let seconds = PATIENCE.as_secs_f64();
        // The exit status says it too.
        let _ = writeln!(
            io::stderr(),
            "chat-client: no room answered within {seconds} s; to find out why, run `chat-client --doctor`"
        );
        return Ok(Exit::Error);
    }
    Ok(Exit::Delivered)
}
