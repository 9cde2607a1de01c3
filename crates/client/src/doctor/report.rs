//! Findings as lines for people: one each, and what to do where something is wrong.

use super::findings::{
    Clock, Datagrams, Failure, Finding, Group, Length, Outside, Place, Private, Sample, Server, Verdict,
};
use super::measurement::PINGS;
use crate::net::connect::Ports;
use crate::private::DATAGRAM_MAX;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::time::Duration;

/// Losing more than this often shows in how long messages take.
const LOSS_NOTICED_PERCENT: usize = 20;

/// Addresses of a host that are named.
const ADDRESSES_SHOWN: usize = 3;

/// One finding, worded.
#[derive(Debug)]
pub(super) struct Entry {
    mark: Mark,
    title: &'static str,
    fact: String,
    /// What to do about it.
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum Mark {
    Good,
    Bad,
    /// Not found out, or of no weight.
    Open,
}

impl Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "ok",
            Self::Bad => "!!",
            Self::Open => "--",
        })
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mark, title, fact, ..
        } = self;
        writeln!(f, "{mark} {title:<9}{fact}")?;
        self.advice
            .iter()
            .try_for_each(|advice| writeln!(f, "   {:<9}-> {advice}", ""))
    }
}

fn good(title: &'static str, fact: impl Into<String>) -> Entry {
    entry(Mark::Good, title, fact.into(), None)
}

fn bad(title: &'static str, fact: impl Into<String>, advice: impl Into<String>) -> Entry {
    entry(Mark::Bad, title, fact.into(), Some(advice.into()))
}

fn open(title: &'static str, fact: impl Into<String>, advice: impl Into<String>) -> Entry {
    entry(Mark::Open, title, fact.into(), Some(advice.into()))
}

fn entry(mark: Mark, title: &'static str, fact: String, advice: Option<String>) -> Entry {
    Entry {
        mark,
        title,
        fact,
        advice,
    }
}

/// Words one finding.
pub(super) fn word(finding: &Finding) -> Entry {
    match finding {
        Finding::Host { host, addresses } => good("name", host_line(host.as_str(), addresses)),
        Finding::HostUnknown { host, error } => bad(
            "name",
            format!("{host} has no address: {error}"),
            "check how it is spelled, or give the server's address instead of its name",
        ),
        Finding::Connected { to, after } => good("TCP", format!("{to} answers after {}", Ms(*after))),
        Finding::NotConnected { to, why, goes_on } => not_connected(*to, why, *goes_on),
        Finding::Server(server) => word_server(server),
        Finding::Room(place) => word_place(place),
        Finding::RoundTrip(sample) => word_round_trip(sample),
        Finding::Ports { ports, tcp, udp } => word_ports(*ports, *tcp, *udp),
        Finding::Datagrams(datagrams) => word_datagrams(datagrams),
        Finding::Outside(outside) => word_outside(outside),
        Finding::Length(length) => word_length(length),
        Finding::Clock(clock) => word_clock(clock),
        Finding::Lost(why) => bad(
            "lost",
            match why {
                Some(why) => format!("the server closed the connection: {why}"),
                None => "the connection was closed in the middle".to_owned(),
            },
            "try again; if it happens again, the server's log or whoever watches connections between knows why",
        ),
    }
}

/// What it all amounts to, in a sentence or two.
pub(super) fn conclusion(verdict: Verdict) -> String {
    let group = match verdict.group {
        Group::Work => "Group messages work.",
        Group::NoPlace => return "You can't get in like this.".to_owned(),
        Group::NoServer => return "Nothing works without a server.".to_owned(),
        Group::Unasked => "Group messages should work; for the rest, join and see.",
    };
    let private = match verdict.private {
        _ if verdict.group == Group::Unasked => return group.to_owned(),
        Private::Direct => "Private messages go directly.".to_owned(),
        Private::Perhaps => {
            "Private messages go directly or, where a router is in the way, through the server.".to_owned()
        }
        Private::Short(0) | Private::Relayed => "Private messages go through the server only.".to_owned(),
        Private::Short(bytes) => {
            format!("Private messages of up to {bytes} bytes go directly, longer ones through the server.")
        }
        Private::Unknown => "What becomes of private messages could not be found out.".to_owned(),
    };
    format!("{group} {private}")
}

fn host_line(host: &str, addresses: &[SocketAddr]) -> String {
    let names: Vec<String> = addresses
        .iter()
        .take(ADDRESSES_SHOWN)
        .map(|address| address.ip().to_string())
        .collect();
    let more = match addresses.len().saturating_sub(ADDRESSES_SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match names.as_slice() {
        [name] if *name == host => format!("{host} is an address: nothing to look up"),
        _ => format!("{host} is {}{more}", names.join(", ")),
    }
}

fn not_connected(to: SocketAddr, why: &Failure, goes_on: bool) -> Entry {
    let (fact, advice) = match why {
        Failure::Refused => {
            let anywhere = if to.is_ipv4() { "0.0.0.0" } else { "::" };
            let start = format!(
                "start a server there with `chat-server {anywhere} {}`, or check the port",
                to.port()
            );
            (format!("nobody listens at {to}"), start)
        }
        Failure::Silent(after) => (
            format!("no answer from {to} within {} s", after.as_secs_f32()),
            format!(
                "check the address; if it is right, let TCP to port {} through the firewalls",
                to.port()
            ),
        ),
        Failure::Other(error) => (
            format!("{to} can't be reached: {error}"),
            "check the address, and this host's own network".to_owned(),
        ),
    };
    if goes_on {
        open("TCP", fact, "the next address is tried, as by chat-client")
    } else {
        bad("TCP", fact, advice)
    }
}

fn word_server(server: &Server) -> Entry {
    let who = "server";
    match server {
        Server::Ours { version, seen } => good(who, format!("chat/{version}, which sees you at {seen}")),
        Server::TooOld(version) => open(
            who,
            format!("chat/{version}, too old to be probed: UDP, path MTU and clock are not checked"),
            "have it updated, or join and see",
        ),
        Server::Stalled(version) => bad(
            who,
            format!("chat/{version}, which greets and then does not answer"),
            "it may be overloaded; or something between lets no bytes through from here",
        ),
        Server::Unfinished => bad(
            who,
            "begins to greet as a chat server, and does not end",
            "the way there may be very slow, or loses much; or the server was stopped just then: try again",
        ),
        Server::Original => open(
            who,
            "one of the original lab, which tells everybody of each connection: of this one too",
            "it answers no datagrams, so UDP, path MTU and clock can't be checked; join and see",
        ),
        Server::Foreign(said) => bad(
            who,
            format!("{} says {:?}", guess(said.as_str()), said.as_str()),
            "check the port",
        ),
        Server::Mute(after) => bad(
            who,
            format!("nothing was said within {} s", after.as_secs_f32()),
            "a chat server speaks first, a web server does not: check the port; if it is right, the server is stuck",
        ),
        Server::Closed => bad(
            who,
            "closed the connection without a word",
            "see the server's log; or something between accepts connections and can't pass them on",
        ),
    }
}

/// What a stranger seems to be.
fn guess(said: &str) -> &'static str {
    match said {
        _ if said.starts_with("SSH-") => "an ssh server",
        _ if said.starts_with("HTTP/") => "a web server",
        _ if said.starts_with("220") => "a mail or FTP server",
        _ => "no chat server:",
    }
}

fn word_place(place: &Place) -> Entry {
    match place {
        Place::Free(None) => good("room", "has a place for you"),
        Place::Free(Some(nick)) => good("room", format!("has a place for you, as {nick}")),
        Place::NickRefused(why) => bad("room", why.as_str(), "take another one with --nick"),
        Place::Full => bad(
            "room",
            "is full",
            "wait until somebody leaves, or have the server started with a greater --max-users",
        ),
        Place::TurnedAway(why) => {
            let advice = if why.as_str().contains("too many") {
                "the server's --max-per-address bounds how many come from one address, as all behind one router do"
            } else {
                "if that is no word of a chat server, check the port; else try again"
            };
            bad("room", format!("turned away: {why}"), advice)
        }
    }
}

fn word_round_trip(sample: &Sample) -> Entry {
    let title = "TCP trip";
    if sample.answered == 0 {
        return bad(
            title,
            "the server does not answer a PING",
            "it may be overloaded: see how busy its machine is",
        );
    }
    let fact = format!(
        "{} of {} pings answered: {}",
        sample.answered,
        sample.asked,
        timing(sample)
    );
    if sample.answered < PINGS {
        let fact = format!("{fact}; then there was no time left for more");
        return open(
            title,
            fact,
            "the way is slow: what is said shows late, and is not lost",
        );
    }
    good(title, fact)
}

fn timing(sample: &Sample) -> String {
    format!("at best {}, median {}", Ms(sample.best), Ms(sample.median))
}

fn word_ports(ports: Ports, tcp: u16, udp: Option<u16>) -> Entry {
    match (ports, udp) {
        (Ports::Paired, Some(udp)) => good(
            "ports",
            format!("TCP {tcp} and UDP {udp}, neighbours as they should be"),
        ),
        (Ports::Apart, Some(udp)) => open(
            "ports",
            format!("TCP {tcp} and UDP {udp}, which are no neighbours"),
            "no pair was free: users of the original programs can't write to you privately; all others can",
        ),
        _ => bad(
            "ports",
            format!("TCP {tcp}, and no UDP port can be had"),
            "private messages go through the server only; see what keeps this host from opening a UDP socket",
        ),
    }
}

fn word_datagrams(datagrams: &Datagrams) -> Entry {
    let Datagrams {
        port,
        sample,
        refused,
        elsewhere,
    } = datagrams;
    let Sample { asked, answered, .. } = sample;
    if datagrams.pass() {
        let fact = format!("{answered} of {asked} datagrams answered: {}", timing(sample));
        if sample.lost_percent() > LOSS_NOTICED_PERCENT {
            return open(
                "UDP",
                format!("{} % lost: {fact}", sample.lost_percent()),
                "messages are repeated until they arrive, so some take longer; look at the line, or at the wifi",
            );
        }
        return good("UDP", fact);
    }
    match elsewhere {
        Some(from) => bad(
            "UDP",
            format!("answers come from {}, not from the server's address", from.ip()),
            "the server has several addresses: have it started with this one instead of 0.0.0.0 or ::",
        ),
        None if *refused => bad(
            "UDP",
            format!("nobody takes datagrams at port {port}"),
            "the server could not have that port (its log says `no rendezvous`), or a firewall refuses them",
        ),
        None => bad(
            "UDP",
            format!("none of {asked} datagrams was answered"),
            format!("let UDP to port {port} of the server, and its answers, through the firewalls"),
        ),
    }
}

fn word_outside(outside: &Outside) -> Entry {
    let Outside {
        local,
        seen,
        connection,
    } = outside;
    let title = "outside";
    let Some(first) = seen.first() else {
        return open(title, "not known", "no datagram was answered");
    };
    if let [_, second, ..] = seen.as_slice() {
        return bad(
            title,
            format!("{first}, then {second}: the router changes it at every turn"),
            "nobody can answer there, so private messages go through the server; see the router's NAT settings",
        );
    }
    if first.ip() != *connection {
        return open(
            title,
            format!("{first}, while TCP comes from {connection}"),
            "two ways out: private messages may go directly; see the router or VPN if they don't",
        );
    }
    if !outside.is_translated() {
        return good(title, format!("{first}, the same as here: no router translates"));
    }
    if outside.keeps_port() {
        return good(
            title,
            format!("{first}: a router translates {}, and keeps the port", local.ip()),
        );
    }
    open(
        title,
        format!("{first}: a router translates {local}, and changes the port"),
        "if it is another port for everybody, which one server can't show, messages may go through the server",
    )
}

fn word_length(length: &Length) -> Entry {
    let Length {
        passed,
        failed,
        headers,
    } = length;
    let title = "path MTU";
    let needed = DATAGRAM_MAX + headers;
    let longer = failed.map_or(String::new(), |failed| format!(", {} don't", failed + headers));
    match passed {
        None => open(
            title,
            "no long datagram was answered",
            format!("private messages need {needed} bytes: they go through the server where they don't pass"),
        ),
        Some(passed) if length.suffices() => {
            let packet = passed + headers;
            good(
                title,
                format!("{packet} bytes pass both ways{longer}; private messages need {needed}"),
            )
        }
        Some(passed) => bad(
            title,
            format!(
                "{} bytes pass both ways{longer}; private messages need {needed}",
                passed + headers
            ),
            format!(
                "texts of over {} bytes go through the server; find the VPN or tunnel that makes packets smaller",
                length.text_max()
            ),
        ),
    }
}

fn word_clock(clock: &Clock) -> Entry {
    let Clock { ahead_ms, within_ms } = clock;
    if ahead_ms.unsigned_abs() <= *within_ms {
        return good(
            "clock",
            format!("the server's agrees with yours (within {within_ms} ms)"),
        );
    }
    let amount = Lasting(ahead_ms.unsigned_abs());
    let way = if *ahead_ms > 0 { "ahead of" } else { "behind" };
    let fact = format!("the server's is {amount} {way} yours (give or take {within_ms} ms)");
    if clock.differs() {
        return bad(
            "clock",
            fact,
            "the times of messages are the server's; set whichever clock is wrong, for good by NTP",
        );
    }
    good("clock", fact)
}

/// A short time, in milliseconds.
struct Ms(Duration);

impl Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_secs_f64() * 1000.0;
        match ms {
            ..1.0 => write!(f, "{ms:.2} ms"),
            ..10.0 => write!(f, "{ms:.1} ms"),
            _ => write!(f, "{ms:.0} ms"),
        }
    }
}

/// A time in milliseconds that may be long, to two units.
struct Lasting(u64);

impl Display for Lasting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        match seconds {
            0 => write!(f, "{} ms", self.0),
            1..60 => write!(f, "{}.{} s", seconds, self.0 % 1000 / 100),
            60..3600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            3600..86_400 => write!(f, "{} h {} min", seconds / 3600, seconds % 3600 / 60),
            _ => write!(f, "{} days {} h", seconds / 86_400, seconds % 86_400 / 3600),
        }
    }
}
