//! The client's session with an arbitrary server, network and user.
//!
//! Required:
//! - text shown is safe, and nothing is shown after the end;
//! - the client sends whole lines of the rich dialect, or texts to a legacy server;
//! - the loop is not woken without a reason;
//! - the input of the server takes the memory of one line and of the users that it names.

use crate::bytes::Bytes;
use crate::memory;
use crate::safe::assert_safe;
use chat_client::command::Command;
use chat_client::private::{KeyPair, Options, Private};
use chat_client::session::{
    Config, Delivery, DeliveryFailure, Doubt, Endpoints, Event, GroupMessage, Join, Leave, PrivateMessage,
    RefusedMessage, Rename, Session, Unattributed, Verification, VerifyCode, Welcome, about_away,
    about_topic,
};
use chat_proto::LINE_MAX;
use chat_proto::datagram::MARK;
use chat_proto::line::{Line, LineDecoder};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::encode;
use chat_proto::rich::FromClient;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest script, in steps.
const STEPS_MAX: usize = 300;

/// The most bytes to which a step may repeat a line.
const REPEATED_MAX: usize = 64 * 1024;

/// The most bytes by which a session may grow without users and typed input: a few lines of full length in vectors of
/// twice that size, and the state of a few conversations.
const GROWTH_MAX: usize = 256 * 1024;

/// The most that each user and each typed byte may add to that. One byte may be a whole message.
const GROWTH_PER_USER: usize = 4096;
const GROWTH_PER_BYTE: usize = 512;

/// The longest datagram that passes every network.
const DATAGRAM_MAX: usize = 1200;

/// The most ticks in a row without an event or a passing of time.
const IDLE_MAX: usize = 3;

const LINES: [&str; 46] = [
    "* chat version 1: you are {id}; /help says what you can do",
    "WELCOME {who} {token} {token} 0",
    "WELCOME {who} {token} {token} {n}",
    "USER {who} {udp} -",
    "USER {who} {udp} {key}",
    "USER {who} - {short}",
    "USERS {who} - {who} {short} {who} {short}",
    "HISTORY {n}",
    "LIVE",
    "SAID {n} {who} {p}",
    "JOIN - {who} - -",
    "JOIN 17 {who} {udp} {key}",
    "JOIN - {who} - {short}",
    "LEAVE - {who}",
    "NICK - {who} {p}",
    "NICK 17 {who} bob",
    "ADDRESS 17 {who} {udp}",
    "WHISPER {who} {p}",
    "WHISPERED {n}",
    "RELAY {who} {key}",
    "PUNCH {who} {udp}",
    "NOTICE {p}",
    "OPERATOR {who}",
    "TOPIC {who} {p}",
    "AWAY {who} {p}",
    "ERROR nick-taken - {p}",
    "ERROR bad-nick {n} {p}",
    "ERROR too-long {n} {p}",
    "ERROR no-such-user {n} {p}",
    "PING {n}",
    "PONG {n}",
    "GOODBYE quit {p}",
    "GOODBYE slow {p}",
    "* {p}",
    "too many users",
    "a user left",
    "{id} is online",
    "{id} is offline",
    "from {id}: {p}",
    "from {id}: hello{id} is online",
    "{who} is online",
    "from {who}: {p}",
    "private from {who}: {p}",
    "{p}",
    "{p}{p}{p}",
    "",
];

const TYPED: [&str; 15] = [
    "hello",
    "{p}",
    "a text of more than forty-one bytes, {p}",
    "/msg alice {p}",
    "/msg {id} {p}",
    "/msg {p}",
    "/nick bob",
    "/nick {p}",
    "/who",
    "/{p}",
    "/me {p}",
    "/quit",
    "/query {p}",
    "/reply {p}",
    "/verify bob",
];

const WHO: [&str; 8] = [
    "alice@10.0.0.5:50312",
    "10.0.0.5:50312",
    "bob@10.0.0.6:40000",
    "ALICE@10.0.0.7:1",
    "[::ffff:10.0.0.6]:40000",
    "[fe80::1]:9000",
    "李雷@[fe80::1]:65535",
    "127.0.0.1:2",
];

const ADDRESSES: [&str; 8] = [
    "10.0.0.5:50312",
    "10.0.0.5:50313",
    "10.0.0.6:40001",
    "10.0.0.6:40000",
    "[fe80::1]:9001",
    "127.0.0.1:2",
    "1.2.3.4:65535",
    "5.6.7.8:1",
];

const MILLISECONDS: [u64; 8] = [0, 1, 30, 50, 1000, 2000, 10_000, 31_000];

pub(crate) fn target(input: &[u8]) {
    let mut script = Bytes(input);
    let mut world = World::new(&mut script);
    for _ in 0..STEPS_MAX {
        if script.is_empty() || world.session.outcome().is_some() {
            break;
        }
        world.step(&mut script);
        world.hear();
    }
    world.end();
}

struct World {
    session: Session,
    /// The bytes in use at the start.
    before: usize,
    now: Now,
    /// Decodes the lines of the client.
    decoder: LineDecoder,
    dialect: Dialect,
    ended: bool,
    /// Bytes.
    typed: usize,
}

/// The client's dialect, once it is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Unknown,
    Original,
    Rich,
}

impl World {
    fn new(script: &mut Bytes<'_>) -> Self {
        let nick = script.one_of(&[None, Some("alice"), Some("Zoë")]);
        let insist_on_nick = script.byte() & 1 == 1;
        let endpoints = endpoints(script);
        let config = Config {
            clear: true,
            nick: nick.and_then(|nick| Nick::parse(nick).ok()),
            insist_on_nick,
            endpoints,
            to: script.one_of(&[None, Some("bob"), None]).map(str::to_owned),
            interactive: script.byte() & 1 == 1,
        };
        let now = Now {
            monotonic: Duration::from_secs(5),
            unix_ms: 1_700_000_000_000,
        };
        let options = Options {
            direct_only: script.byte() & 1 == 1,
            no_unencrypted: script.byte() & 1 == 1,
            ..Options::default()
        };
        let mut number = 0u8;
        let random = move |bytes: &mut [u8]| {
            number = number.wrapping_add(1);
            bytes.fill(number);
        };
        let private = Private::new(KeyPair::from_secret([7; 32]), options, Box::new(random));
        let session = Session::new(config, private, now);
        Self {
            session,
            before: memory::in_use(),
            now,
            decoder: LineDecoder::new(LINE_MAX),
            dialect: Dialect::Unknown,
            ended: false,
            typed: 0,
        }
    }

    fn step(&mut self, script: &mut Bytes<'_>) {
        let now = self.now;
        if self.session.is_lost() && script.byte() & 1 == 0 {
            self.dialect = Dialect::Unknown;
            return self.session.connected(endpoints(script), now);
        }
        match script.below(16) {
            0 => self.session.receive(script.bytes(), now),
            1..=6 => {
                let mut line = line(script, &LINES);
                line.push(b'\n');
                self.session.receive(&line, now);
            }
            7 => {
                // A legacy server sends no line feeds.
                let line = line(script, &LINES);
                self.session.receive(&line, now);
            }
            8 => {
                let mut line = line(script, &LINES);
                line.extend(script.one_of(&[&b"\n"[..], b""]));
                let times = script.one_of(&[5, 40, 300]).min(REPEATED_MAX / line.len().max(1));
                self.session.receive(&line.repeat(times), now);
            }
            9 | 10 => self.type_line(script),
            11 | 12 => self.wait(Duration::from_millis(script.one_of(&MILLISECONDS))),
            13 => {
                let source: SocketAddr = script.one_of(&ADDRESSES).parse().expect("an address");
                self.session.datagram(source, script.bytes(), now);
            }
            14 => match script.below(4) {
                0 => self.session.bad_line("it is too long"),
                1 => {
                    let to = script.one_of(&ADDRESSES).parse().expect("an address");
                    self.session.datagram_failed(to, now);
                }
                2 => self.session.end_input(now),
                _ => self.session.leave(now),
            },
            _ => {
                if script.byte() == 0xFF {
                    self.session.closed(now);
                }
            }
        }
    }

    /// Types a line, unless the session accepts no input at the moment.
    fn type_line(&mut self, script: &mut Bytes<'_>) {
        let typed = line(script, &TYPED);
        // The first word decides below what is done.
        if self.session.takes_input() && !typed.starts_with(b"HELLO ") {
            self.typed += typed.len();
            let typed = String::from_utf8_lossy(&typed);
            self.session.request(&Command::parse(&typed), self.now);
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now.monotonic + time;
        let mut idle = 0;
        while let Some(deadline) = self.session.deadline().filter(|&deadline| deadline <= until) {
            let before = self.now.monotonic;
            self.go_to(deadline.max(before));
            self.session.tick(self.now);
            let busy = self.hear() || self.now.monotonic > before;
            idle = if busy { 0 } else { idle + 1 };
            assert!(idle <= IDLE_MAX, "the loop is woken without a reason");
        }
        self.go_to(until);
    }

    fn go_to(&mut self, time: Duration) {
        let passed = u64::try_from((time - self.now.monotonic).as_millis()).unwrap_or_default();
        self.now.unix_ms += passed;
        self.now.monotonic = time;
    }

    /// Handles the output of the session. Returns whether there was any.
    fn hear(&mut self) -> bool {
        let mut any = false;
        while let Some(event) = self.session.next_event() {
            assert!(!self.ended, "an event after the end: {event:?}");
            self.ended = matches!(event, Event::Ended(_));
            texts(&event).iter().for_each(|text| assert_safe(text));
            any = true;
        }
        while let Some(transmit) = self.session.next_datagram() {
            any = true;
            assert!(transmit.bytes.len() <= DATAGRAM_MAX);
            if transmit.bytes.first() != Some(&MARK) {
                assert_safe(&String::from_utf8(transmit.bytes).expect("a text"));
            }
        }
        let bytes = self.session.take_bytes();
        self.sent(&bytes);
        any || !bytes.is_empty()
    }

    fn sent(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.dialect == Dialect::Unknown {
            self.dialect = if bytes.starts_with(b"HELLO ") {
                Dialect::Rich
            } else {
                Dialect::Original
            };
        }
        if self.dialect == Dialect::Original {
            let text = std::str::from_utf8(bytes).expect("a text");
            return assert_safe(text);
        }
        let mut input = bytes;
        while let Some(line) = self.decoder.next(&mut input) {
            let Line::Whole(line) = line else {
                panic!("a line that is too long was sent");
            };
            let line = std::str::from_utf8(line).expect("valid UTF-8");
            let said = FromClient::parse(line)
                .unwrap_or_else(|error| panic!("an invalid line: {line:?} ({error:?})"));
            assert_eq!(said.to_string(), line);
        }
        assert!(!self.decoder.in_a_line(), "half a line was sent");
    }

    fn end(mut self) {
        self.hear();
        let growth = memory::in_use().saturating_sub(self.before);
        let users = self.session.roster().users().count();
        let most = GROWTH_MAX + users * GROWTH_PER_USER + self.typed * GROWTH_PER_BYTE;
        assert!(growth <= most, "{growth} bytes are held for {users} users");
        if self.session.outcome().is_none() {
            self.session.closed(self.now);
            self.hear();
        }
        if self.session.is_lost() {
            self.session.leave(self.now);
            self.hear();
        }
        assert!(self.ended, "the end is not reported");
        assert!(self.session.outcome().is_some());
        assert_eq!(self.session.deadline(), None);
    }
}

fn endpoints(script: &mut Bytes<'_>) -> Endpoints {
    let local = script.one_of(&["10.0.0.5:50312", "[fe80::1]:9000", "[::ffff:10.0.0.6]:40000"]);
    Endpoints {
        local: local.parse().expect("an address"),
        server: "10.0.0.1:9000".parse().expect("an address"),
        udp_port: script.one_of(&[Some(50313), None]),
        addresses: vec!["192.168.0.5:50313".parse().expect("an address")],
    }
}

fn line(script: &mut Bytes<'_>, patterns: &[&str]) -> Vec<u8> {
    let pattern = script.one_of(patterns);
    script.line(pattern, |name, script| match name {
        "p" => script.bytes().to_vec(),
        "id" | "udp" => script.one_of(&ADDRESSES).into(),
        "who" => script.one_of(&WHO).into(),
        "n" => script.byte().to_string().into(),
        "key" => encode(&[script.byte(); 32]).into(),
        "short" => encode(&[script.byte(); 3]).into(),
        _ => encode(&[script.byte(); 16]).into(),
    })
}

/// Every text of an event that a front end may show.
fn texts(event: &Event) -> Vec<String> {
    match event {
        Event::Welcome(Welcome { me, users, .. }) => {
            users.iter().chain([me]).map(ToString::to_string).collect()
        }
        Event::Users(users, _) => users.iter().map(ToString::to_string).collect(),
        Event::Query(to) => to.iter().map(ToString::to_string).collect(),
        Event::Ignoring(ignoring) => vec![ignoring.note.to_string()],
        Event::Said(GroupMessage { who, text, .. }) => vec![who.to_string(), text.to_string()],
        Event::Joined(Join { who, .. }) | Event::Left(Leave { who, .. }) => vec![who.to_string()],
        Event::Renamed(Rename { before, after, .. }) => vec![before.to_string(), after.to_string()],
        Event::Private(PrivateMessage {
            peer,
            text,
            transport,
            ..
        }) => vec![peer.to_string(), text.to_string(), transport.to_string()],
        Event::Delivered(Delivery {
            peer,
            text,
            transport,
            ..
        }) => vec![peer.to_string(), text.to_string(), transport.to_string()],
        Event::NotDelivered(DeliveryFailure {
            peer, text, reason, ..
        }) => vec![peer.to_string(), text.to_string(), reason.to_string()],
        Event::Refused(RefusedMessage { text, reason }) => vec![text.to_string(), reason.to_string()],
        Event::Notice(text)
        | Event::Error(_, text)
        | Event::Warning(text)
        | Event::Answer(text)
        | Event::Unattributed(Unattributed { text, .. }) => {
            vec![text.to_string()]
        }
        Event::Verified(Verification { note, .. }) => vec![note.to_string()],
        Event::Doubt(Doubt { who, text }) => vec![who.to_string(), text.to_string()],
        Event::Code(VerifyCode { who, code }) => vec![who.to_string(), code.clone()],
        Event::File(news) => vec![news.who.to_string(), news.name.to_string()],
        Event::Away(away) => vec![about_away(away, ToString::to_string).to_string()],
        Event::Topic(topic) => vec![about_topic(topic).to_string()],
        Event::Lost(outcome) => vec![outcome.to_string()],
        Event::Ended(ending) => vec![ending.to_string()],
        Event::Legacy { .. } | Event::Missed(_) | Event::Live | Event::SomeoneLeft { .. } | Event::Help => {
            Vec::new()
        }
    }
}
