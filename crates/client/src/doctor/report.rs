//! The report: one line for each check, the advice where something fails, and the conclusion.

use super::greeting::Judgement;
use crate::net::connect::Ports;
use crate::private::{DATAGRAM_MAX, OVERHEAD};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Losing more datagrams than this makes messages noticeably late.
const LOSS_NOTICED_PERCENT: usize = 20;

/// Addresses of a host that the report names.
const ADDRESSES_SHOWN: usize = 3;

/// A difference between the clocks that people notice: messages show minutes.
const CLOCK_NOTICED_MS: u64 = 2000;

/// What the checks found so far.
#[derive(Debug)]
pub(super) struct Report {
    /// Each begins with `ok`, `!!` where something fails, or `--` where it is unknown or matters
    /// little.
    entries: Vec<String>,
    group: Group,
    private: Private,
}

/// What happens to group messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Work,
    /// The server does not let the client in.
    Rejected,
    /// The server can't be probed.
    Unprobed,
    NoServer,
}

/// What happens to private messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Private {
    Direct,
    /// They go directly if the router uses one port for all peers.
    Perhaps,
    /// Texts of up to so many bytes go directly.
    Short(usize),
    Relayed,
    Unknown,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            group: Group::NoServer,
            private: Private::Unknown,
        }
    }

    /// The entries in the order of the checks.
    pub(super) fn entries(&self) -> &[String] {
        &self.entries
    }

    /// Whether everything that messages need works.
    pub(super) fn is_good(&self) -> bool {
        self.group == Group::Work && matches!(self.private, Private::Direct | Private::Perhaps)
    }

    /// The last line: what works, in a sentence or two.
    pub(super) fn conclusion(&self) -> String {
        let private = match (self.group, self.private) {
            (Group::Rejected, _) => return "You can't join like this.".to_owned(),
            (Group::NoServer, _) => return "Nothing works without a server.".to_owned(),
            (Group::Unprobed, _) => {
                return "Group messages should work; for the rest, join and see.".to_owned();
            }
            (Group::Work, Private::Direct) => "go directly.",
            (Group::Work, Private::Perhaps) => {
                "go directly or, if a router prevents that, through the server."
            }
            (Group::Work, Private::Short(0) | Private::Relayed) => "go through the server only.",
            (Group::Work, Private::Short(bytes)) => {
                &format!("of up to {bytes} bytes go directly, longer ones through the server.")
            }
            (Group::Work, Private::Unknown) => "could not be checked.",
        };
        format!("Group messages work. Private messages {private}")
    }

    pub(super) fn resolved(&mut self, host: &str, addresses: &[SocketAddr]) {
        let shown = addresses.iter().take(ADDRESSES_SHOWN);
        let shown = shown
            .map(|address| address.ip().to_string())
            .collect::<Vec<_>>()
            .join(", ");
        let more = addresses.len().saturating_sub(ADDRESSES_SHOWN);
        let host = Text::new(host);
        self.ok(
            "name",
            match more {
                0 if shown == host.as_str() => format!("{host} is an address: nothing to look up"),
                0 => format!("{host} is {shown}"),
                more => format!("{host} is {shown} and {more} more"),
            },
        );
    }

    pub(super) fn unresolved(&mut self, host: &str, error: &str) {
        self.bad(
            "name",
            format!("{} has no address: {}", Text::new(host), Text::new(error)),
            "check the spelling, or give the server's address instead of its name",
        );
    }

    pub(super) fn connected(&mut self, to: SocketAddr, after: Duration) {
        self.ok("TCP", format!("{to} answers after {}", lasting(after)));
    }

    /// `error` is none if the address did not answer in time; `goes_on` says that another address
    /// is tried.
    pub(super) fn not_connected(
        &mut self,
        to: SocketAddr,
        after: Duration,
        error: Option<&io::Error>,
        goes_on: bool,
    ) {
        let port = to.port();
        let (fact, advice) = match error {
            None => (
                format!("no answer from {to} within {} s", after.as_secs_f32()),
                format!("check the address; if it is right, allow TCP to port {port} in the firewalls"),
            ),
            Some(error) if error.kind() == ErrorKind::ConnectionRefused => {
                let any = if to.is_ipv4() { "0.0.0.0" } else { "::" };
                (
                    format!("nobody listens at {to}"),
                    format!("start a server there with `chat-server {any} {port}`, or check the port"),
                )
            }
            Some(error) => (
                format!("can't reach {to}: {error}"),
                "check the address, and this host's network connection".to_owned(),
            ),
        };
        if goes_on {
            self.open("TCP", fact, "trying the next address, as chat-client does");
        } else {
            self.bad("TCP", fact, advice);
        }
    }

    pub(super) fn closed_without_greeting(&mut self) {
        self.bad(
            "server",
            "closed the connection without a word",
            "see the server's log; or a proxy accepts connections that it can't forward",
        );
    }

    /// The greeting shows that there is nothing to probe.
    pub(super) fn not_probed(&mut self, judgement: &Judgement, waited: Duration) {
        match judgement {
            Judgement::Full => self.rejected(
                "is full",
                "wait until somebody leaves, or restart the server with a higher --max-users",
            ),
            Judgement::Rejected(why) if why.as_str().contains("too many") => self.rejected(
                format!("rejects you: {why}"),
                "the server's --max-per-address limits users per address; all behind one router share one address",
            ),
            Judgement::Rejected(why) if why.as_str().starts_with("not let in") => self.rejected(
                format!("rejects you: {why}"),
                "connect from another network, or ask who runs the server: --allow and --deny say who may connect",
            ),
            Judgement::Rejected(why) => self.rejected(
                format!("rejects you: {why}"),
                "if that is not from a chat server, check the port; else try again",
            ),
            Judgement::Legacy => {
                self.group = Group::Unprobed;
                self.open(
                    "server",
                    "the lab's original, which announces every connection, this one too",
                    "it answers no datagrams, so UDP, path MTU and clock can't be checked: join and see",
                );
            }
            Judgement::Unfinished => self.bad(
                "server",
                "began the greeting of a chat server and did not finish it",
                "the connection may be slow or lossy, or the server stopped just then: try again",
            ),
            Judgement::Foreign(said) => self.bad(
                "server",
                format!("{} says {:?}", guess(said.as_str()), said.as_str()),
                "check the port",
            ),
            Judgement::More | Judgement::Quiet | Judgement::Ours { .. } => self.bad(
                "server",
                format!("sent nothing within {} s", waited.as_secs_f32()),
                "a chat server speaks first, a web server does not: check the port; if it is right, the server hangs",
            ),
        }
    }

    pub(super) fn answered(&mut self, version: u32, seen: SocketAddr) {
        self.group = Group::Work;
        self.ok(
            "server",
            format!("chat version {version}, which sees you at {seen}"),
        );
    }

    /// The server asks for a passphrase before it answers anything.
    pub(super) fn greeted(&mut self, version: u32) {
        self.ok("server", format!("chat version {version}"));
    }

    pub(super) fn passphrase(&mut self) {
        self.group = Group::Unprobed;
        self.open(
            "room",
            "has a passphrase, which is not tried here",
            "without it UDP, path MTU and clock can't be checked: join and see",
        );
    }

    pub(super) fn no_passphrase(&mut self) {
        self.rejected(
            "asks for no passphrase, although it did before",
            "somebody may be in between; if it has none any more, --forget-server drops what is known",
        );
    }

    pub(super) fn known_key(&mut self, key: PublicKey) {
        self.ok("key", format!("{key}, the one that you know"));
    }

    pub(super) fn local_key(&mut self, key: PublicKey) {
        self.ok("key", format!("{key}, on this machine, so it is not remembered"));
    }

    pub(super) fn new_key(&mut self, key: PublicKey) {
        self.open(
            "key",
            format!("{key}, which you don't know yet"),
            "compare it with what `chat-server --fingerprint` prints on the server",
        );
    }

    pub(super) fn other_key(&mut self, key: PublicKey) {
        self.group = Group::Rejected;
        self.bad(
            "key",
            format!("{key}, which is not the one that you know"),
            "somebody may be in between; if the server was set up anew, --forget-server drops the known key",
        );
    }

    pub(super) fn unanswered(&mut self, version: u32) {
        self.bad(
            "server",
            format!("chat version {version}, which greets and then does not answer"),
            "the server may be overloaded, or a firewall drops what you send",
        );
    }

    pub(super) fn lost(&mut self, why: Option<Text<'_>>) {
        self.group = Group::NoServer;
        self.bad(
            "lost",
            match why {
                Some(why) => format!("the server closed the connection: {why}"),
                None => "the connection broke during the checks".to_owned(),
            },
            "try again; if it happens again, see the server's log, or check the firewalls between",
        );
    }

    pub(super) fn accepted(&mut self, nick: Option<&Nick>) {
        match nick {
            None => self.ok("room", "you can join"),
            Some(nick) => self.ok("room", format!("you can join as {nick}")),
        }
    }

    pub(super) fn nick_refused(&mut self, why: &Text<'_>) {
        self.rejected(why, "choose another one with --nick");
    }

    pub(super) fn locked(&mut self, why: &Text<'_>) {
        self.rejected(why, "ask an operator to unlock it, or try again later");
    }

    fn rejected(&mut self, fact: impl Display, advice: &str) {
        self.group = Group::Rejected;
        self.bad("room", fact, advice);
    }

    /// `all` is the number of pings if there is time.
    pub(super) fn pings(&mut self, times: &[Duration], all: usize) {
        let answered = times.len();
        if answered == 0 {
            return self.bad(
                "TCP RTT",
                "no ping was answered",
                "the server may be overloaded: check the load of its machine",
            );
        }
        let asked = all.min(answered + 1);
        let fact = format!("{answered} of {asked} pings answered: {}", timing(times));
        if answered < all {
            let fact = format!("{fact}; no time was left for more");
            return self.open(
                "TCP RTT",
                fact,
                "the connection is slow: messages arrive late, but none is lost",
            );
        }
        self.ok("TCP RTT", fact);
    }

    pub(super) fn ports(&mut self, ports: Ports, tcp: u16, udp: Option<u16>) {
        match (ports, udp) {
            (Ports::Paired, Some(udp)) => {
                self.ok("ports", format!("TCP {tcp} and UDP {udp}, adjacent as intended"));
            }
            (Ports::Apart, Some(udp)) => self.open(
                "ports",
                format!("TCP {tcp} and UDP {udp}, not adjacent"),
                "no pair was free: users of the lab's original client can't write to you privately; all others can",
            ),
            _ => {
                self.private = Private::Relayed;
                self.bad(
                    "ports",
                    format!("TCP {tcp}, and no UDP port can be opened"),
                    "private messages go through the server only; find out why this host can't open a UDP socket",
                );
            }
        }
    }

    pub(super) fn datagrams_pass(&mut self, times: &[Duration], sent: usize) {
        self.private = Private::Direct;
        let fact = format!("{} of {sent} datagrams answered: {}", times.len(), timing(times));
        let lost_percent = (sent - times.len()) * 100 / sent.max(1);
        if lost_percent > LOSS_NOTICED_PERCENT {
            self.open(
                "UDP",
                format!("{lost_percent} % lost: {fact}"),
                "messages are retransmitted, so some take longer; check the cable or the Wi-Fi",
            );
        } else {
            self.ok("UDP", fact);
        }
    }

    /// `elsewhere` sent answers although it is not the server's address.
    pub(super) fn datagrams_fail(
        &mut self,
        port: u16,
        sent: usize,
        refused: bool,
        elsewhere: Option<SocketAddr>,
    ) {
        self.private = Private::Relayed;
        match elsewhere {
            Some(from) => self.bad(
                "UDP",
                format!("answers come from {}, not from the server's address", from.ip()),
                "the server has several addresses: start it with this one instead of 0.0.0.0 or ::",
            ),
            None if refused => self.bad(
                "UDP",
                format!("nobody receives datagrams at port {port}"),
                "the server could not open that port (its log says `no rendezvous`), or a firewall rejects them",
            ),
            None => self.bad(
                "UDP",
                format!("none of {sent} datagrams was answered"),
                format!("allow UDP to port {port} of the server, and its answers, in the firewalls"),
            ),
        }
    }

    /// `local` sent datagrams, which the server saw come from `seen`, and TCP from `connection`.
    pub(super) fn translation(&mut self, local: SocketAddr, seen: &[SocketAddr], connection: IpAddr) {
        let keeps_port = seen.iter().all(|seen| seen.port() == local.port());
        if !keeps_port {
            self.private = Private::Perhaps;
        }
        match seen {
            [] => {}
            [first, second, ..] => {
                self.private = Private::Relayed;
                self.bad(
                    "NAT",
                    format!("{first}, then {second}: the router changes the port for each datagram"),
                    "no peer can answer there, so private messages go through the server; see the router's NAT settings",
                );
            }
            [only] if only.ip() != connection => self.open(
                "NAT",
                format!("{only}, while TCP comes from {connection}"),
                "there are two routes: if private messages do not go directly, check the router or the VPN",
            ),
            [only] if *only == local => {
                self.ok("NAT", format!("{only}, the same as here: no router translates"));
            }
            [only] if keeps_port => {
                let fact = format!("{only}: a router translates {}, and keeps the port", local.ip());
                self.ok("NAT", fact);
            }
            [only] => self.open(
                "NAT",
                format!("{only}: a router translates {local}, and changes the port"),
                "if each peer gets another port, which one server can't show, messages may go through the server",
            ),
        }
    }

    /// The longest payload that passed, the shortest longer one that failed, and the length of the
    /// headers.
    pub(super) fn path_mtu(&mut self, passed: Option<usize>, failed: Option<usize>, headers: usize) {
        let needed = DATAGRAM_MAX + headers;
        let Some(passed) = passed else {
            return self.open(
                "path MTU",
                "no long datagram was answered",
                format!(
                    "private messages need {needed} bytes: where those don't pass, they go through the server"
                ),
            );
        };
        let failed = failed.map_or(String::new(), |failed| format!(", {} don't", failed + headers));
        let fact = format!(
            "{} bytes pass both ways{failed}; private messages need {needed}",
            passed + headers
        );
        if passed >= DATAGRAM_MAX {
            return self.ok("path MTU", fact);
        }
        let text_max = passed.saturating_sub(OVERHEAD);
        self.private = Private::Short(text_max);
        self.bad(
            "path MTU",
            fact,
            format!("texts over {text_max} bytes go through the server; find the VPN or tunnel that lowers the MTU"),
        );
    }

    /// The server's clock showed `server_ms` during a round trip that has just ended.
    pub(super) fn clock(&mut self, server_ms: u64, trip: Duration, now: Now) {
        let half = u64::try_from(trip.as_micros().div_ceil(2000)).unwrap_or(u64::MAX);
        // Both clocks are read in whole milliseconds.
        let within = half.saturating_add(2);
        // Not by the wall clock at the start of the trip: it may have been set since.
        let here = now.unix_ms.saturating_sub(half);
        let difference = server_ms.abs_diff(here);
        if difference <= within {
            let fact = format!("the server's agrees with yours (within {within} ms)");
            return self.ok("clock", fact);
        }
        let way = if server_ms > here { "ahead of" } else { "behind" };
        let amount = lasting(Duration::from_millis(difference));
        let fact = format!("the server's is {amount} {way} yours (give or take {within} ms)");
        if difference > within.saturating_add(CLOCK_NOTICED_MS) {
            let advice = "messages carry the server's time; set the wrong clock, preferably by NTP";
            return self.bad("clock", fact, advice);
        }
        self.ok("clock", fact);
    }

    pub(super) fn no_local_server(&mut self, port: u16) {
        self.open(
            "server",
            format!("no server answers on this machine at port {port}; looking for rooms on the LAN"),
            "to check a server, name it: `chat-client --doctor HOST PORT`",
        );
    }

    pub(super) fn no_interface(&mut self) {
        self.bad(
            "LAN",
            "no network interface with multicast is up",
            "connect this host to the LAN; VPNs, containers and WSL2 are networks of their own",
        );
    }

    pub(super) fn interfaces(&mut self, names: &str) {
        self.ok("LAN", format!("looked on {}", Text::new(names)));
    }

    /// The port of multicast DNS can't be opened.
    pub(super) fn multicast_refused(&mut self, kind: ErrorKind) {
        match kind {
            ErrorKind::AddrInUse => self.bad(
                "mDNS",
                "another program does not share UDP port 5353",
                "`ss -lunp sport = 5353` names it; avahi shares the port unless disallow-other-stacks is set",
            ),
            kind => self.bad(
                "mDNS",
                format!("can't open UDP port 5353: {kind}"),
                "check what forbids it: a sandbox, a container or a security policy",
            ),
        }
    }

    pub(super) fn not_sent(&mut self, names: &str, kind: ErrorKind) {
        let advice = match kind {
            ErrorKind::PermissionDenied => "allow UDP from port 5353 in this host's firewall",
            _ => "check the addresses of the interface, and its route",
        };
        self.bad(
            "mDNS",
            format!("can't send on {}: {kind}", Text::new(names)),
            advice,
        );
    }

    /// Nothing comes in, not even what this host sends to everybody.
    pub(super) fn multicast_shut(&mut self, names: &str) {
        let fact = format!(
            "nothing comes in at UDP port 5353 on {}, not even this host's own queries",
            Text::new(names)
        );
        self.bad("mDNS", fact, "allow UDP to port 5353 in this host's firewall");
    }

    pub(super) fn multicast_works(&mut self) {
        self.ok("mDNS", "UDP port 5353 is open here");
    }

    /// `is_alone` says that no other host was heard.
    pub(super) fn no_rooms(&mut self, waited: Duration, is_alone: bool) {
        let waited = waited.as_secs_f32();
        if is_alone {
            self.open(
                "rooms",
                format!("none within {waited} s, and nothing from other hosts"),
                "the Wi-Fi access point may isolate its clients, or the server is in another network",
            );
        } else {
            self.open(
                "rooms",
                format!("none within {waited} s, but packets from other hosts"),
                "the server may run with --no-announce or in another network, or its firewall may block UDP port 5353",
            );
        }
    }

    pub(super) fn rooms(&mut self, names: &str) {
        self.ok("rooms", Text::new(names));
    }

    fn ok(&mut self, title: &str, fact: impl Display) {
        self.entries.push(format!("ok {title:<9}{fact}\n"));
    }

    fn bad(&mut self, title: &str, fact: impl Display, advice: impl Display) {
        self.entries
            .push(format!("!! {title:<9}{fact}\n            -> {advice}\n"));
    }

    fn open(&mut self, title: &str, fact: impl Display, advice: impl Display) {
        self.entries
            .push(format!("-- {title:<9}{fact}\n            -> {advice}\n"));
    }
}

/// What kind of server a foreign greeting suggests.
fn guess(said: &str) -> &'static str {
    match said {
        _ if said.starts_with("SSH-") => "an SSH server",
        _ if said.starts_with("HTTP/") => "a web server",
        _ if said.starts_with("220") => "a mail or FTP server",
        _ => "no chat server:",
    }
}

fn timing(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |place: usize| lasting(times.get(place).copied().unwrap_or_default());
    format!("best {}, median {}", at(0), at(times.len().saturating_sub(1) / 2))
}

/// A time in units that suit its length.
fn lasting(time: Duration) -> String {
    let (ms, seconds) = (time.as_secs_f64() * 1000.0, time.as_secs());
    match seconds {
        0 if ms < 1.0 => format!("{ms:.2} ms"),
        0 if ms < 10.0 => format!("{ms:.1} ms"),
        0 => format!("{ms:.0} ms"),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
