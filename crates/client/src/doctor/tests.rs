//! Reports of simulated networks and servers.

use super::check::{BUDGET, Check, Effect};
use super::lan::{self, Facts, Link};
use super::measurement::Sockets;
use super::report::Report;
use crate::known_servers::Known;
use crate::net::connect::Ports;
use crate::net::secure::Proven;
use chat_noise::rendezvous::{REQUEST_LEN, Request};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::Opaque;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

const SERVER: &str = "192.0.2.7:9000";
const HOME: &str = "192.168.1.10:40100";
const GREETING: &str = "* chat version 1: you are 198.51.100.2:40100; /help says what you can do\n";
const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAA";
/// 2023-11-14, 22:13:20 UTC.
const TIME: u64 = 1_700_000_000_000;

/// How the server, and the network on the way to it, behave.
struct Scenario {
    addresses: Vec<(&'static str, Reach)>,
    nick: Option<&'static str>,
    /// One way.
    delay: Duration,
    /// The first bytes of the server.
    greeting: &'static str,
    closes_after_greeting: bool,
    answers_probe: bool,
    refusal: Option<&'static str>,
    /// What the server proves after its greeting, and what was remembered of it.
    proves: Option<(Proven, Option<Known>)>,
    /// More lines of the server after that.
    more: Option<&'static str>,
    clock_ahead_ms: i64,
    ports: Ports,
    udp: Udp,
    /// Whether the datagram with this number is lost.
    loses: fn(usize) -> bool,
    /// The longest packet that passes.
    mtu: usize,
    /// The address from which the server sees the datagram with this number come.
    outside: fn(usize) -> &'static str,
    /// The address from which the server sees the connection come.
    seen: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Reach {
    Listens,
    Refuses,
    Silent,
}

#[derive(Clone, Copy, PartialEq)]
enum Udp {
    Answers,
    Silent,
    Refuses,
    /// The network truncates answers to so many bytes.
    CutTo(usize),
    From(&'static str),
    Garbage,
}

enum Input {
    Connected,
    Refused,
    Bytes(Vec<u8>),
    Closed,
    Datagram(&'static str, Vec<u8>),
    DatagramRefused,
}

/// Everything works, behind a router that keeps the port.
fn healthy() -> Scenario {
    Scenario {
        addresses: vec![(SERVER, Reach::Listens)],
        nick: None,
        delay: Duration::from_millis(5),
        greeting: GREETING,
        closes_after_greeting: false,
        answers_probe: true,
        refusal: None,
        proves: None,
        more: None,
        clock_ahead_ms: 0,
        ports: Ports::Paired,
        udp: Udp::Answers,
        loses: |_| false,
        mtu: 1500,
        outside: |_| "198.51.100.2:40101",
        seen: "198.51.100.2:40100",
    }
}

struct Sim {
    scenario: Scenario,
    check: Check,
    now: Duration,
    /// By the time of arrival, then in the order of sending.
    coming: BTreeMap<(Duration, usize), Input>,
    sent: usize,
    /// All lines that the server received.
    said: String,
    datagrams: Vec<usize>,
}

impl Sim {
    fn new(scenario: Scenario) -> Self {
        let addresses = Ok(scenario
            .addresses
            .iter()
            .map(|(to, _)| to.parse().unwrap())
            .collect());
        Self::of(scenario, addresses)
    }

    fn of(scenario: Scenario, addresses: Result<Vec<SocketAddr>, String>) -> Self {
        let nick = scenario.nick.map(|nick| Nick::parse(nick).unwrap());
        let start = Now {
            monotonic: Duration::from_secs(100),
            unix_ms: TIME,
        };
        Self {
            scenario,
            check: Check::new(start, "chat.example", addresses, nick),
            now: start.monotonic,
            coming: BTreeMap::new(),
            sent: 0,
            said: String::new(),
            datagrams: Vec::new(),
        }
    }

    fn clock(&self) -> Now {
        let since = self.now - Duration::from_secs(100);
        Now {
            monotonic: self.now,
            unix_ms: TIME + u64::try_from(since.as_millis()).unwrap(),
        }
    }

    /// Runs the check to its end; returns the report.
    fn report(&mut self) -> String {
        while !self.check.is_done() {
            while let Some(effect) = self.check.next_effect() {
                self.carry_out(effect);
            }
            let due = self.check.deadline();
            let next = self.coming.first_entry().filter(|entry| entry.key().0 <= due);
            match next.map(|entry| entry.remove_entry()) {
                Some(((at, _), input)) => {
                    self.now = at;
                    self.deliver(input);
                }
                None => self.now = due,
            }
            self.check.tick(self.clock());
            assert!(
                self.now <= Duration::from_secs(100) + BUDGET,
                "the check exceeds its budget"
            );
        }
        let lines = self.check.report().entries().concat();
        let longest = lines
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or_default();
        assert!(longest <= 120, "{longest} columns:\n{lines}");
        lines + &self.check.report().conclusion() + "\n"
    }

    fn is_good(&self) -> bool {
        self.check.report().is_good()
    }

    fn later(&mut self, trips: u32, input: Input) {
        self.sent += 1;
        let at = self.now + trips * self.scenario.delay;
        self.coming.insert((at, self.sent), input);
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Connect(to) => {
                let reach = self
                    .scenario
                    .addresses
                    .iter()
                    .find(|(address, _)| address.parse() == Ok(to));
                match reach.unwrap().1 {
                    Reach::Listens => self.later(2, Input::Connected),
                    Reach::Refuses => self.later(2, Input::Refused),
                    Reach::Silent => {}
                }
            }
            Effect::Send(line) => {
                self.answer_line(line.trim_end());
                self.said += &line;
            }
            Effect::SendDatagram(bytes) => self.answer_datagram(&bytes),
        }
    }

    fn deliver(&mut self, input: Input) {
        let now = self.clock();
        match input {
            Input::Connected => {
                self.check.connected(now, self.sockets());
                if !self.scenario.greeting.is_empty() {
                    self.later(1, Input::Bytes(self.scenario.greeting.into()));
                }
                if self.scenario.closes_after_greeting {
                    self.later(2, Input::Closed);
                }
            }
            Input::Refused => self
                .check
                .not_connected(now, &ErrorKind::ConnectionRefused.into()),
            Input::Bytes(bytes) => {
                self.check.receive(now, &bytes);
                if let Some((proven, known)) = self.scenario.proves.take() {
                    self.check.proven(proven, known);
                }
            }
            Input::Closed => self.check.closed(None),
            Input::Datagram(from, bytes) => self.check.receive_datagram(now, from.parse().unwrap(), &bytes),
            Input::DatagramRefused => self.check.datagram_refused(),
        }
    }

    fn sockets(&self) -> Sockets {
        let local: SocketAddr = HOME.parse().unwrap();
        let udp_port = match self.scenario.ports {
            Ports::Paired => Some(local.port() + 1),
            Ports::Apart => Some(50_000),
            Ports::NoUdp => None,
        };
        Sockets {
            local,
            server: SERVER.parse().unwrap(),
            udp_port,
            ports: self.scenario.ports,
        }
    }

    fn answer_line(&mut self, line: &str) {
        if line.starts_with("PROBE ") && self.scenario.answers_probe {
            let there = self.clock().unix_ms + u64::try_from(self.scenario.delay.as_millis()).unwrap();
            let time = there.saturating_add_signed(self.scenario.clock_ahead_ms);
            let mut answer = format!("PROBED {time} {} {TOKEN}\n", self.scenario.seen);
            for line in [self.scenario.refusal, self.scenario.more].into_iter().flatten() {
                answer += line;
            }
            self.later(2, Input::Bytes(answer.into()));
        } else if let Some(number) = line.strip_prefix("PING ") {
            self.later(2, Input::Bytes(format!("PONG {number}\n").into()));
        }
    }

    fn answer_datagram(&mut self, bytes: &[u8]) {
        let number = self.datagrams.len();
        self.datagrams.push(bytes.len());
        if (self.scenario.loses)(number) || bytes.len() + 28 > self.scenario.mtu {
            return;
        }
        let source: SocketAddr = (self.scenario.outside)(number).parse().unwrap();
        let seen: SocketAddr = self.scenario.seen.parse().unwrap();
        if bytes.len() > REQUEST_LEN && source.ip() != seen.ip() {
            return;
        }
        let request = Request::parse(bytes).unwrap();
        let token = TOKEN.parse().unwrap();
        assert!(request.is_of(&token));
        let reply = request.reply(&token, source, Opaque([9; 16]));
        match self.scenario.udp {
            Udp::Answers => self.later(2, Input::Datagram(SERVER, reply)),
            Udp::CutTo(length) => {
                let cut = reply.get(..length).unwrap_or(&reply).to_vec();
                self.later(2, Input::Datagram(SERVER, cut));
            }
            Udp::From(elsewhere) => self.later(2, Input::Datagram(elsewhere, reply)),
            Udp::Refuses => self.later(2, Input::DatagramRefused),
            Udp::Garbage => self.later(2, Input::Datagram(SERVER, vec![0xC1; bytes.len()])),
            Udp::Silent => {}
        }
    }
}

/// Asserts that only these lines differ from the report of [`healthy`].
fn assert_shows(scenario: Scenario, is_good: bool, expected: &[&str]) {
    let usual = Sim::new(healthy()).report();
    let mut sim = Sim::new(scenario);
    let report = sim.report();
    let unusual: Vec<&str> = report
        .lines()
        .filter(|line| !usual.lines().any(|usual| usual == *line))
        .collect();
    assert_eq!(unusual, expected, "\n{report}");
    assert_eq!(sim.is_good(), is_good, "\n{report}");
}

#[test]
fn a_healthy_network_reports_ok_on_every_line() {
    let mut sim = Sim::new(healthy());
    assert_eq!(
        sim.report(),
        "\
ok name     chat.example is 192.0.2.7
ok TCP      192.0.2.7:9000 answers after 10 ms
ok server   chat version 1, which sees you at 198.51.100.2:40100
ok clock    the server's agrees with yours (within 7 ms)
ok room     you can join
ok TCP RTT  5 of 5 pings answered: best 10 ms, median 10 ms
ok ports    TCP 40100 and UDP 40101, adjacent as intended
ok UDP      10 of 10 datagrams answered: best 10 ms, median 10 ms
ok NAT      198.51.100.2:40101: a router translates 192.168.1.10, and keeps the port
ok path MTU 1500 bytes pass both ways; private messages need 1228
Group messages work. Private messages go directly.
"
    );
    assert!(sim.is_good());
    assert_eq!(sim.said, "PROBE 1 -\nPING 1\nPING 2\nPING 3\nPING 4\nPING 5\n");
    assert!(
        sim.now < Duration::from_millis(100_700),
        "the check waits too long: {:?}",
        sim.now
    );
    assert!(
        sim.datagrams.len() <= 12,
        "the check sends too much: {:?}",
        sim.datagrams
    );
}

#[test]
fn a_host_without_an_address_is_reported() {
    let mut sim = Sim::of(healthy(), Err("Name or service not known".to_owned()));
    assert_eq!(
        sim.report(),
        "\
!! name     chat.example has no address: Name or service not known
            -> check the spelling, or give the server's address instead of its name
Nothing works without a server.
"
    );
    assert!(!sim.is_good());
}

#[test]
fn addresses_are_tried_in_order() {
    let addresses = vec![
        ("[2001:db8::7]:9000", Reach::Silent),
        ("192.0.2.6:9000", Reach::Refuses),
        (SERVER, Reach::Listens),
    ];
    assert_shows(
        Scenario {
            addresses,
            ..healthy()
        },
        true,
        &[
            "ok name     chat.example is 2001:db8::7, 192.0.2.6, 192.0.2.7",
            "-- TCP      no answer from [2001:db8::7]:9000 within 1.5 s",
            "            -> trying the next address, as chat-client does",
            "-- TCP      nobody listens at 192.0.2.6:9000",
            "            -> trying the next address, as chat-client does",
        ],
    );
}

#[test]
fn an_unreachable_server_is_reported() {
    let report = |reach| {
        let addresses = vec![(SERVER, reach)];
        Sim::new(Scenario {
            addresses,
            ..healthy()
        })
        .report()
    };
    assert_eq!(
        report(Reach::Refuses),
        "\
ok name     chat.example is 192.0.2.7
!! TCP      nobody listens at 192.0.2.7:9000
            -> start a server there with `chat-server 0.0.0.0 9000`, or check the port
Nothing works without a server.
"
    );
    assert_eq!(
        report(Reach::Silent),
        "\
ok name     chat.example is 192.0.2.7
!! TCP      no answer from 192.0.2.7:9000 within 1.5 s
            -> check the address; if it is right, allow TCP to port 9000 in the firewalls
Nothing works without a server.
"
    );
}

#[test]
fn many_dead_addresses_take_no_longer_than_the_budget() {
    let addresses = (1..=10)
        .map(|n| {
            (
                &*Box::leak(format!("192.0.2.{n}:9000").into_boxed_str()),
                Reach::Silent,
            )
        })
        .collect();
    let mut sim = Sim::new(Scenario {
        addresses,
        ..healthy()
    });
    let report = sim.report();
    assert_eq!(sim.now, Duration::from_secs(100) + BUDGET);
    assert_eq!(report.matches("no answer from").count(), 4, "{report}");
    assert!(
        report.contains("!! TCP      no answer from 192.0.2.4:9000 within 0.5 s"),
        "{report}"
    );
}

#[test]
fn a_rejection_by_the_server_is_reported() {
    let full = |greeting, closes_after_greeting| Scenario {
        greeting,
        closes_after_greeting,
        ..healthy()
    };
    let expected = [
        "!! room     is full",
        "            -> wait until somebody leaves, or restart the server with a higher --max-users",
        "You can't join like this.",
    ];
    assert_shows(full("too many users\n", false), false, &expected);
    assert_shows(full("too many users", true), false, &expected);
    // If the client might resume, the server rejects it only after a greeting.
    let greeted = full("* chat version 1: no place is free\ntoo many users\n", true);
    assert_shows(greeted, false, &expected);
    assert_shows(
        full("* too many users from your address\n", true),
        false,
        &[
            "!! room     rejects you: too many users from your address",
            "            -> the server's --max-per-address limits users per address; all behind one router share one address",
            "You can't join like this.",
        ],
    );
    assert_shows(
        full("* OK IMAP4rev1 ready\r\n", false),
        false,
        &[
            "!! room     rejects you: OK IMAP4rev1 ready",
            "            -> if that is not from a chat server, check the port; else try again",
            "You can't join like this.",
        ],
    );
}

#[test]
fn a_nick_is_checked_on_request() {
    let scenario = Scenario {
        nick: Some("alice"),
        ..healthy()
    };
    assert_shows(scenario, true, &["ok room     you can join as alice"]);
    let scenario = Scenario {
        nick: Some("alice"),
        refusal: Some("ERROR nick-taken - the nick alice is taken by alice@10.0.0.1:1\n"),
        ..healthy()
    };
    assert_shows(
        scenario,
        false,
        &[
            "!! room     the nick alice is taken by alice@10.0.0.1:1",
            "            -> choose another one with --nick",
            "You can't join like this.",
        ],
    );
}

#[test]
fn a_legacy_server_is_sent_nothing() {
    let mut sim = Sim::new(Scenario {
        greeting: "198.51.100.2:40100 is online",
        ..healthy()
    });
    assert_eq!(
        sim.report(),
        "\
ok name     chat.example is 192.0.2.7
ok TCP      192.0.2.7:9000 answers after 10 ms
-- server   the lab's original, which announces every connection, this one too
            -> it answers no datagrams, so UDP, path MTU and clock can't be checked: join and see
Group messages should work; for the rest, join and see.
"
    );
    assert!(!sim.is_good());
    assert_eq!((sim.said.as_str(), sim.datagrams.len()), ("", 0));
}

#[test]
fn another_kind_of_server_is_named() {
    for (greeting, closes_after_greeting, fact) in [
        (
            "SSH-2.0-OpenSSH_9.6\r\n",
            false,
            "an SSH server says \"SSH-2.0-OpenSSH_9.6\"",
        ),
        (
            "HTTP/1.1 408 Request Timeout\r\n\r\n",
            true,
            "a web server says \"HTTP/1.1 408 Request Timeout\"",
        ),
        (
            "220 mail.example ESMTP\r\n",
            false,
            "a mail or FTP server says \"220 mail.example ESMTP\"",
        ),
        ("\u{1b}[2J", false, "no chat server: says \"␛[2J\""),
        (
            "* half a notice",
            true,
            "no chat server: says \"* half a notice\"",
        ),
        (
            "* chat version 1: you are 10.0",
            false,
            "began the greeting of a chat server and did not finish it",
        ),
        ("", false, "sent nothing within 1.5 s"),
        ("", true, "closed the connection without a word"),
    ] {
        let mut sim = Sim::new(Scenario {
            greeting,
            closes_after_greeting,
            ..healthy()
        });
        let report = sim.report();
        assert!(report.contains(&format!("!! server   {fact}\n")), "{report}");
        assert!(report.ends_with("Nothing works without a server.\n"), "{report}");
        assert!(!sim.is_good());
        assert_eq!(sim.said, "");
    }
}

#[test]
fn silence_may_be_a_server_that_hangs() {
    let scenario = Scenario {
        greeting: "",
        ..healthy()
    };
    let report = Sim::new(scenario).report();
    assert!(
        report.contains("check the port; if it is right, the server hangs\n"),
        "{report}"
    );
}

#[test]
fn a_server_that_only_greets_is_reported() {
    let scenario = Scenario {
        answers_probe: false,
        ..healthy()
    };
    assert_shows(
        scenario,
        false,
        &[
            "!! server   chat version 1, which greets and then does not answer",
            "            -> the server may be overloaded, or a firewall drops what you send",
            "Nothing works without a server.",
        ],
    );
}

#[test]
fn a_connection_lost_meanwhile_is_reported() {
    let scenario = Scenario {
        more: Some("GOODBYE shutdown the server is shutting\u{1b} down\n"),
        ..healthy()
    };
    let report = Sim::new(scenario).report();
    assert!(
        report.contains("!! lost     the server closed the connection: the server is shutting␛ down\n"),
        "{report}"
    );
    assert!(report.ends_with("Nothing works without a server.\n"), "{report}");
    let scenario = Scenario {
        more: Some("GOODBYE other\n"),
        ..healthy()
    };
    let report = Sim::new(scenario).report();
    assert!(
        report.contains("!! lost     the connection broke during the checks\n"),
        "{report}"
    );
}

#[test]
fn unexpected_lines_are_ignored() {
    let scenario = Scenario {
        more: Some(
            "SPARKLE 1 2\nPONG 99\nPONG\nPROBED 1 10.0.0.1:1 AAAAAAAAAAAAAAAAAAAAAA\n\u{1b}[2J\nWELCOME\n\n",
        ),
        ..healthy()
    };
    assert_shows(scenario, true, &[]);
}

#[test]
fn unanswered_and_rejected_datagrams_are_reported() {
    for udp in [Udp::Silent, Udp::Garbage] {
        assert_shows(
            Scenario { udp, ..healthy() },
            false,
            &[
                "!! UDP      none of 10 datagrams was answered",
                "            -> allow UDP to port 9000 of the server, and its answers, in the firewalls",
                "Group messages work. Private messages go through the server only.",
            ],
        );
    }
    assert_shows(
        Scenario {
            udp: Udp::Refuses,
            ..healthy()
        },
        false,
        &[
            "!! UDP      nobody receives datagrams at port 9000",
            "            -> the server could not open that port (its log says `no rendezvous`), or a firewall rejects them",
            "Group messages work. Private messages go through the server only.",
        ],
    );
}

#[test]
fn answers_from_another_address_are_reported() {
    assert_shows(
        Scenario {
            udp: Udp::From("192.0.2.8:9000"),
            ..healthy()
        },
        false,
        &[
            "!! UDP      answers come from 192.0.2.8, not from the server's address",
            "            -> the server has several addresses: start it with this one instead of 0.0.0.0 or ::",
            "Group messages work. Private messages go through the server only.",
        ],
    );
}

#[test]
fn loss_above_20_percent_is_reported() {
    assert_shows(
        Scenario {
            loses: |n| n % 5 == 3,
            ..healthy()
        },
        true,
        &["ok UDP      8 of 10 datagrams answered: best 10 ms, median 10 ms"],
    );
    assert_shows(
        Scenario {
            loses: |n| n % 2 == 0,
            ..healthy()
        },
        true,
        &[
            "-- UDP      50 % lost: 5 of 10 datagrams answered: best 10 ms, median 10 ms",
            "            -> messages are retransmitted, so some take longer; check the cable or the Wi-Fi",
        ],
    );
}

#[test]
fn address_translation_is_reported() {
    assert_shows(
        Scenario {
            outside: |_| "192.168.1.10:40101",
            seen: "192.168.1.10:40100",
            ..healthy()
        },
        true,
        &[
            "ok server   chat version 1, which sees you at 192.168.1.10:40100",
            "ok NAT      192.168.1.10:40101, the same as here: no router translates",
        ],
    );
    assert_shows(
        Scenario {
            outside: |_| "198.51.100.2:61001",
            ..healthy()
        },
        true,
        &[
            "-- NAT      198.51.100.2:61001: a router translates 192.168.1.10:40101, and changes the port",
            "            -> if each peer gets another port, which one server can't show, messages may go through the server",
            "Group messages work. Private messages go directly or, if a router prevents that, through the server.",
        ],
    );
    assert_shows(
        Scenario {
            outside: |n| {
                if n < 5 {
                    "198.51.100.2:61001"
                } else {
                    "198.51.100.2:61002"
                }
            },
            ..healthy()
        },
        false,
        &[
            "!! NAT      198.51.100.2:61001, then 198.51.100.2:61002: the router changes the port for each datagram",
            "            -> no peer can answer there, so private messages go through the server; see the router's NAT settings",
            "Group messages work. Private messages go through the server only.",
        ],
    );
}

/// The server answers long datagrams only at the address of the TCP connection.
#[test]
fn different_routes_of_tcp_and_udp_are_reported() {
    assert_shows(
        Scenario {
            outside: |_| "203.0.113.9:40101",
            ..healthy()
        },
        true,
        &[
            "-- NAT      203.0.113.9:40101, while TCP comes from 198.51.100.2",
            "            -> there are two routes: if private messages do not go directly, check the router or the VPN",
            "-- path MTU no long datagram was answered",
            "            -> private messages need 1228 bytes: where those don't pass, they go through the server",
        ],
    );
}

#[test]
fn a_small_path_mtu_is_reported() {
    assert_shows(
        Scenario {
            mtu: 1280,
            ..healthy()
        },
        true,
        &["ok path MTU 1280 bytes pass both ways, 1400 don't; private messages need 1228"],
    );
    assert_shows(
        Scenario {
            mtu: 1100,
            ..healthy()
        },
        false,
        &[
            "!! path MTU 1028 bytes pass both ways, 1228 don't; private messages need 1228",
            "            -> texts over 934 bytes go through the server; find the VPN or tunnel that lowers the MTU",
            "Group messages work. Private messages of up to 934 bytes go directly, longer ones through the server.",
        ],
    );
}

#[test]
fn a_truncated_answer_does_not_count_as_passed() {
    assert_shows(
        Scenario {
            udp: Udp::CutTo(1300),
            ..healthy()
        },
        true,
        &["ok path MTU 1280 bytes pass both ways, 1400 don't; private messages need 1228"],
    );
}

#[test]
fn clocks_that_differ_are_reported() {
    assert_shows(
        Scenario {
            clock_ahead_ms: 3_600_000,
            ..healthy()
        },
        true,
        &[
            "!! clock    the server's is 1 h 0 min ahead of yours (give or take 7 ms)",
            "            -> messages carry the server's time; set the wrong clock, preferably by NTP",
        ],
    );
    assert_shows(
        Scenario {
            clock_ahead_ms: -300,
            ..healthy()
        },
        true,
        &["ok clock    the server's is 300 ms behind yours (give or take 7 ms)"],
    );
}

#[test]
fn ports_that_are_not_adjacent_are_reported() {
    assert_shows(
        Scenario {
            ports: Ports::Apart,
            outside: |_| "198.51.100.2:50000",
            ..healthy()
        },
        true,
        &[
            "-- ports    TCP 40100 and UDP 50000, not adjacent",
            "            -> no pair was free: users of the lab's original client can't write to you privately; all others can",
            "ok NAT      198.51.100.2:50000: a router translates 192.168.1.10, and keeps the port",
        ],
    );
    assert_shows(
        Scenario {
            ports: Ports::NoUdp,
            ..healthy()
        },
        false,
        &[
            "!! ports    TCP 40100, and no UDP port can be opened",
            "            -> private messages go through the server only; find out why this host can't open a UDP socket",
            "Group messages work. Private messages go through the server only.",
        ],
    );
}

/// Such as over a satellite.
#[test]
fn a_slow_connection_is_measured_while_time_is_left() {
    let mut sim = Sim::new(Scenario {
        delay: Duration::from_millis(350),
        ..healthy()
    });
    let report = sim.report();
    assert!(
        report.contains("ok UDP      10 of 10 datagrams answered: best 700 ms"),
        "{report}"
    );
    assert!(
        report.contains("-- TCP RTT  2 of 3 pings answered: best 700 ms, median 700 ms; no time was left"),
        "{report}"
    );
    assert!(report.contains("ok path MTU 1500 bytes"), "{report}");
    assert!(sim.is_good(), "{report}");
}

#[test]
fn the_report_says_whether_the_key_is_known() {
    let known = |number, has_phrase| {
        Some(Known {
            key: Opaque([number; 32]),
            has_phrase,
        })
    };
    let key = Opaque([1; 32]).to_string();
    for (has_phrase, known, line, goes_on) in [
        (false, None, "-- key      KEY, which you don't know yet", true),
        (
            false,
            known(1, false),
            "ok key      KEY, the one that you know",
            true,
        ),
        (
            false,
            known(2, false),
            "!! key      KEY, which is not the one that you know",
            false,
        ),
        (
            false,
            known(1, true),
            "asks for no passphrase, although it did before",
            false,
        ),
        (
            true,
            known(1, false),
            "has a passphrase, which is not tried here",
            false,
        ),
        (
            true,
            known(2, true),
            "!! key      KEY, which is not the one that you know",
            false,
        ),
    ] {
        let proven = Proven {
            key: Opaque([1; 32]),
            is_kept: true,
            has_phrase,
        };
        let mut sim = Sim::new(Scenario {
            greeting: if has_phrase {
                "* chat version 1: you are 198.51.100.2:40100; this room has a passphrase: use chat-client\n"
            } else {
                GREETING
            },
            proves: Some((proven, known)),
            ..healthy()
        });
        let report = sim.report();
        // Rows are cut at the width of the report.
        let line = line.replace("KEY", &key);
        let begun: String = line.chars().take(60).collect();
        assert!(report.contains(&begun), "{line}\n{report}");
        assert_eq!(report.contains("TCP RTT"), goes_on, "{report}");
    }
}

/// The report about a LAN with these links.
fn lan_report(refusal: Option<ErrorKind>, links: Vec<Link>, rooms: &[&str]) -> String {
    let facts = Facts {
        rooms: rooms.iter().map(|&room| room.to_owned()).collect(),
        refusal,
        links,
    };
    let mut report = Report::new();
    lan::describe(&facts, &mut report);
    report.entries().concat() + lan::conclusion(&facts)
}

/// A link on which this host hears itself.
fn open_link(interface: &str) -> Link {
    Link {
        interface: interface.into(),
        has_returned: true,
        ..Link::default()
    }
}

#[test]
fn rooms_of_the_lan_are_named() {
    let links = vec![open_link("eth0"), open_link("eth0"), open_link("wlan0")];
    let rooms = ["Lab 3 at 192.0.2.7:9000", "b", "c", "d", "e"];
    assert_eq!(
        lan_report(None, links, &rooms),
        "\
ok LAN      looked on eth0, wlan0
ok mDNS     UDP port 5353 is open here
ok rooms    Lab 3 at 192.0.2.7:9000, b, c, 2 more
Rooms found. To choose one: `chat-client`"
    );
}

#[test]
fn why_no_room_is_found_is_said_as_far_as_it_can_be_known() {
    let alone = "-- rooms    none within 1.5 s, and nothing from other hosts\n";
    let failing = |kind| Link {
        failure: Some(kind),
        ..open_link("eth0")
    };
    let shut = || Link {
        has_returned: false,
        ..open_link("eth0")
    };
    let heard = || Link {
        has_neighbours: true,
        ..shut()
    };
    for (refusal, links, facts) in [
        (
            None,
            vec![],
            [
                "!! LAN      no network interface with multicast is up",
                "-> connect",
                alone,
            ],
        ),
        (
            None,
            vec![open_link("eth0")],
            [
                "ok mDNS     UDP port 5353 is open here",
                "-> the Wi-Fi access point",
                alone,
            ],
        ),
        (
            None,
            vec![heard()],
            [
                "ok mDNS     UDP port 5353 is open here",
                "--no-announce",
                "1.5 s, but packets from other hosts",
            ],
        ),
        (
            None,
            vec![open_link("wlan0"), shut()],
            [
                "!! mDNS     nothing comes in at UDP port 5353 on eth0, not even this host's own queries",
                "-> allow UDP to port 5353 in this host's firewall",
                alone,
            ],
        ),
        (
            Some(ErrorKind::AddrInUse),
            vec![shut()],
            [
                "!! mDNS     another program does not share UDP port 5353",
                "-> `ss -lunp sport = 5353` names it",
                alone,
            ],
        ),
        (
            Some(ErrorKind::PermissionDenied),
            vec![shut()],
            [
                "!! mDNS     can't open UDP port 5353: permission denied",
                "-> check what forbids it",
                alone,
            ],
        ),
        (
            None,
            vec![failing(ErrorKind::NetworkUnreachable)],
            [
                "!! mDNS     can't send on eth0: network unreachable",
                "-> check the addresses",
                alone,
            ],
        ),
        (
            None,
            vec![failing(ErrorKind::PermissionDenied)],
            [
                "!! mDNS     can't send on eth0: permission denied",
                "-> allow UDP from port 5353",
                alone,
            ],
        ),
    ] {
        let report = lan_report(refusal, links, &[]);
        for fact in facts {
            assert!(report.contains(fact), "no {fact:?} in\n{report}");
        }
        assert!(report.ends_with("To join a server whose address you know: `chat-client HOST PORT`"));
    }
}
