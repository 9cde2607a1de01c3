//! Why no room of the LAN is found, as far as this host can know.

use super::report::Report;
use crate::exit::Exit;
use crate::known_servers::KnownServers;
use crate::rooms::PATIENCE;
use crate::rooms::found::Found;
use crate::rooms::search::Search;
use anyhow::{Context, Result};
use chat_sys::clock::Clock;
use std::io::{self, ErrorKind, Write};

/// Rooms that the report names.
const ROOMS_SHOWN: usize = 3;

/// What a search met.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Where each room is, with its name.
    pub(super) rooms: Vec<String>,
    /// Why the port of multicast DNS can't be used.
    pub(super) refusal: Option<ErrorKind>,
    pub(super) links: Vec<Link>,
}

/// One family of one interface.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) interface: String,
    /// Why nothing can be sent.
    pub(super) failure: Option<ErrorKind>,
    /// The queries of this host came back to it.
    pub(super) has_returned: bool,
    /// Another host was heard.
    pub(super) has_neighbours: bool,
}

/// Looks for rooms, and prints the report. `port` is the one at which no server of this machine answers.
pub(super) fn run(port: u16) -> Result<Exit> {
    let clock = Clock::start();
    let mut search = Search::begin(clock.now().monotonic);
    search.run_until(PATIENCE, &clock)?;
    let known = KnownServers::find();
    let at = |found: Found| format!("{} at {}", found.room.name, found.address.joined());
    let facts = Facts {
        rooms: search
            .rooms()
            .into_iter()
            .map(|room| at(Found::new(room, known.as_ref())))
            .collect(),
        refusal: search.refusal().map(io::Error::kind),
        links: search
            .traffic()
            .map(|traffic| Link {
                interface: traffic.interface.clone(),
                failure: traffic.failure.as_ref().map(io::Error::kind),
                has_returned: traffic.has_returned,
                has_neighbours: traffic.has_neighbours,
            })
            .collect(),
    };
    let mut report = Report::new();
    report.no_local_server(port);
    describe(&facts, &mut report);
    let text = format!("{}{}\n", report.entries().concat(), conclusion(&facts));
    io::stdout()
        .write_all(text.as_bytes())
        .context("can't print the report")?;
    Ok(if facts.rooms.is_empty() {
        Exit::Error
    } else {
        Exit::Delivered
    })
}

pub(super) fn conclusion(facts: &Facts) -> &'static str {
    if facts.rooms.is_empty() {
        "No room found. To join a server whose address you know: `chat-client HOST PORT`"
    } else {
        "Rooms found. To choose one: `chat-client`"
    }
}

pub(super) fn describe(facts: &Facts, report: &mut Report) {
    let names = |wanted: &dyn Fn(&Link) -> bool| {
        let links = facts.links.iter().filter(|link| wanted(link));
        let mut names: Vec<&str> = links.map(|link| link.interface.as_str()).collect();
        names.dedup();
        names.join(", ")
    };
    let failure = facts.links.iter().find_map(|link| link.failure);
    let all = names(&|_| true);
    if all.is_empty() {
        report.no_interface();
    } else {
        report.interfaces(&all);
        let failing = names(&|link| link.failure.is_some());
        let shut = names(&|link| link.failure.is_none() && !link.has_returned && !link.has_neighbours);
        match (facts.refusal, failure) {
            (Some(kind), _) => report.multicast_refused(kind),
            (None, Some(kind)) => report.not_sent(&failing, kind),
            (None, None) if !shut.is_empty() => report.multicast_shut(&shut),
            (None, None) => report.multicast_works(),
        }
    }
    if facts.rooms.is_empty() {
        let is_alone = facts.links.iter().all(|link| !link.has_neighbours);
        report.no_rooms(PATIENCE, is_alone);
    } else {
        let shown = facts.rooms.iter().take(ROOMS_SHOWN).cloned();
        let more = facts.rooms.len().saturating_sub(ROOMS_SHOWN);
        let more = (more > 0).then(|| format!("{more} more"));
        report.rooms(&shown.chain(more).collect::<Vec<_>>().join(", "));
    }
}
