//! Sessions in simulated time, against servers whose lines are written out.

use super::outbox::BYTES_MAX;
use super::*;
use crate::command::Command;
use crate::private::{KeyPair, Options, Private};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::{Opaque, Token};
use chat_proto::text::Text;
use chat_proto::who::Who;
use chat_proto::{SERVER_LINE_MAX, TEXT_MAX};
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

mod asking;
mod away;
mod clock;
mod dripping;
mod files;
mod ignoring;
mod private_messages;
mod topic;
mod trust;

/// A session and its clock.
struct Sim {
    session: Session,
    ms: u64,
    /// By how much the wall clock was set, in milliseconds.
    wall_set_ms: i64,
}

const ME: &str = "alice@10.0.0.1:5000";
const TOKEN: Token = Opaque([0; 16]);

fn config() -> Config {
    Config {
        clear: true,
        nick: Some(Nick::parse("alice").unwrap()),
        insist_on_nick: false,
        endpoints: endpoints(5000),
        to: None,
        interactive: false,
    }
}

/// A connection from this port, with the UDP port after it.
fn endpoints(port: u16) -> Endpoints {
    Endpoints {
        local: format!("10.0.0.1:{port}").parse().unwrap(),
        server: "10.0.0.254:9000".parse().unwrap(),
        udp_port: Some(port + 1),
        addresses: Vec::new(),
    }
}

/// The private messages of a user whose key is made from this number.
fn private(secret: u8, options: Options) -> Private {
    let mut next = secret;
    let random = move |bytes: &mut [u8]| {
        bytes.fill_with(|| {
            next = next.wrapping_mul(5).wrapping_add(1);
            next
        });
    };
    Private::new(KeyPair::from_secret([secret; 32]), options, Box::new(random))
}

/// The client's HELLO.
fn hello() -> String {
    "HELLO 1 alice 5001 -\n".to_owned()
}

impl Sim {
    fn new(config: Config) -> Self {
        Self::with(config, private(1, Options::default()))
    }

    fn with(config: Config, private: Private) -> Self {
        let session = Session::new(config, private, Now::default());
        Self {
            session,
            ms: 0,
            wall_set_ms: 0,
        }
    }

    /// A session in a room with bob, who has a UDP address, and carol, who has none.
    fn in_a_room() -> Self {
        Self::in_a_room_with(config())
    }

    fn in_a_room_with(config: Config) -> Self {
        let mut sim = Self::new(config);
        sim.hear("* chat version 1: welcome\n");
        sim.hear(&format!("WELCOME {ME} {TOKEN} {TOKEN} 0\n"));
        sim.hear("USER bob@10.0.0.2:6000 10.0.0.2:6001 -\nUSER carol@10.0.0.3:7000 10.0.0.3:7001 -\nHISTORY -\nLIVE\n");
        sim.sent();
        sim.shown();
        sim
    }

    fn in_an_original_room() -> Self {
        let mut sim = Self::new(config());
        sim.hear("10.0.0.1:5000 is online");
        sim.shown();
        sim
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_millis(self.ms),
            unix_ms: (1_000_000 + self.ms).saturating_add_signed(self.wall_set_ms),
        }
    }

    fn hear(&mut self, bytes: &str) {
        self.session.receive(bytes.as_bytes(), self.now());
    }

    fn type_line(&mut self, line: &str) {
        self.session.request(&Command::parse(line), self.now());
    }

    fn datagram(&mut self, source: &str, bytes: &[u8]) {
        self.session.datagram(source.parse().unwrap(), bytes, self.now());
    }

    /// Unsent messages, private ones with their recipient.
    fn unsent(&self) -> Vec<String> {
        let unsent = self.session.unsent().into_iter();
        let unsent: Vec<String> = unsent
            .map(|Unsent { to, text }| to.map_or(text.to_string(), |to| format!("{to}: {text}")))
            .collect();
        assert_eq!(unsent.len(), self.session.unsent_count());
        unsent
    }

    /// Lets time pass, with every timer in it.
    fn wait(&mut self, ms: u64) {
        let until = self.ms + ms;
        while let Some(deadline) = self.session.deadline() {
            // Like the loop: whole milliseconds, never too short.
            let deadline = u64::try_from(deadline.as_nanos().div_ceil(1_000_000)).unwrap();
            if deadline > until {
                break;
            }
            assert!(self.ms <= deadline || self.ms < until, "a timer that never stops");
            self.ms = self.ms.max(deadline);
            self.session.tick(self.now());
            let next = self.session.deadline();
            assert!(
                next.is_none_or(|next| next > self.now().monotonic),
                "a timer that does not stop: {next:?} at {} private {:?}",
                self.ms,
                self.session.private.deadline()
            );
        }
        self.ms = until;
        self.session.tick(self.now());
    }

    fn sent(&mut self) -> String {
        String::from_utf8(self.session.take_bytes()).unwrap()
    }

    fn shown(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.next_event()).collect()
    }

    fn errors(&mut self) -> Vec<String> {
        let texts = self.shown().into_iter().filter_map(|event| match event {
            Event::Error(_, text) | Event::Warning(text) => Some(text.to_string()),
            _ => None,
        });
        texts.collect()
    }

    fn outcome(&self) -> Option<&Outcome> {
        self.session.outcome()
    }
}

fn text(text: &str) -> Text<'static> {
    Text::new(text).into_owned()
}

fn said(who: &str, what: &str, at: u64, own: bool) -> Event {
    Event::Said(GroupMessage {
        at,
        who: who.parse().unwrap(),
        text: text(what),
        history: false,
        own,
    })
}

#[test]
fn nothing_is_sent_before_the_greeting_is_complete() {
    let mut sim = Sim::new(config());
    for byte in "* chat version 1: welcome".chars() {
        sim.hear(&byte.to_string());
        assert_eq!(sim.sent(), "");
    }
    sim.hear("\n");
    assert_eq!(sim.sent(), hello());
}

#[test]
fn lines_in_one_piece_with_the_greeting_are_read() {
    let mut sim = Sim::new(config());
    let mut stream = "* chat version 1: welcome\n".to_owned();
    // Before HELLO, the server took the client for a plain user.
    stream.push_str("10.0.0.1:5000 is online\nfrom 10.0.0.2:6000: WELCOME\n* LIVE\n");
    let _ = write!(
        stream,
        "WELCOME {ME} {TOKEN} {TOKEN} 0\nUSER bob@10.0.0.2:6000 - -\n"
    );
    stream.push_str("HISTORY - 0 -\nJOIN 4 bob@10.0.0.2:6000 - -\nSAID 5 bob@10.0.0.2:6000 before\nLEAVE 6 bob@10.0.0.2:6000\nNICK 6 bob@10.0.0.2:6000 rob\nLIVE\n");
    sim.hear(&stream);
    let bob: Who = "bob@10.0.0.2:6000".parse().unwrap();
    let me: Who = ME.parse().unwrap();
    let expected = vec![
        Event::Welcome(Welcome {
            me: me.clone(),
            users: vec![me, bob.clone()],
            clear: vec![bob.clone()],
        }),
        Event::Said(GroupMessage {
            at: 5,
            who: bob.clone(),
            text: text("before"),
            history: true,
            own: false,
        }),
        Event::Live,
    ];
    assert_eq!(sim.shown(), expected);
    assert!(
        sim.session.roster().get(bob.id).is_some(),
        "history changed the roster"
    );
}

#[test]
fn a_line_without_a_time_has_the_last_time_of_its_connection() {
    fn times(sim: &mut Sim) -> Vec<u64> {
        let events = sim.shown().into_iter();
        let time = |event| match event {
            Event::Said(GroupMessage { at, .. }) | Event::Left(Leave { at, .. }) => Some(at),
            _ => None,
        };
        events.filter_map(time).collect()
    }
    let mut sim = in_a_room_that_may_be_lost();
    sim.hear("SAID - bob@10.0.0.2:6000 whenever\n");
    assert_eq!(times(&mut sim), [sim.now().unix_ms]);

    sim.session.closed(sim.now());
    reconnect(&mut sim);
    sim.hear(&format!(
        "* chat version 1: welcome\nWELCOME alice@10.0.0.1:5555 {TOKEN} {TOKEN} 0\nHISTORY 5\n\
         SAID - bob@10.0.0.2:6000 one\nADDRESS 6 bob@10.0.0.2:6000 1.1.1.1:1\nLIVE\nSAID - bob@10.0.0.2:6000 two\n\
         SAID 4 bob@10.0.0.2:6000 three\nSAID x bob@10.0.0.2:6000 nothing\nLEAVE - bob@10.0.0.2:6000\n"
    ));
    assert_eq!(times(&mut sim), [5, 6, 4, 4]);

    sim.session.closed(sim.now());
    reconnect(&mut sim);
    sim.hear(&format!(
        "* chat version 1: welcome\nWELCOME alice@10.0.0.1:5555 {TOKEN} {TOKEN} 0\nLIVE\n\
         SAID - alice@10.0.0.1:5555 again\n"
    ));
    assert_eq!(times(&mut sim), [sim.now().unix_ms]);
}

#[test]
fn a_stream_reads_the_same_however_it_is_cut() {
    let stream = format!(
        "* chat version 1: hi\nWELCOME {ME} {TOKEN} {TOKEN} 0\nHISTORY -\nLIVE\nSAID 7 {ME} \u{4e2d}\r\nPING 3\nLEAVE 8 {ME}\n"
    );
    let all = |cut: usize| {
        let mut sim = Sim::new(config());
        sim.session.receive(&stream.as_bytes()[..cut], Now::default());
        sim.session.receive(&stream.as_bytes()[cut..], Now::default());
        (sim.shown(), sim.sent())
    };
    for cut in 1..stream.len() {
        assert_eq!(all(cut), all(0), "cut at {cut}");
    }
}

#[test]
fn every_kind_of_server_can_report_a_full_room() {
    for greeting in ["too many users\n", "* too many users from your address\n"] {
        let mut sim = Sim::new(config());
        sim.hear(greeting);
        assert_eq!(sim.outcome(), Some(&Outcome::Full), "{greeting}");
        assert_eq!(sim.sent(), "");
    }
    let mut sim = Sim::new(config());
    sim.hear("too many");
    sim.hear(" users");
    sim.session.closed(sim.now());
    assert_eq!(sim.outcome(), Some(&Outcome::Full));
}

#[test]
fn a_rejection_after_hello_gives_its_reason() {
    let refused = |line: &str| {
        let mut sim = Sim::new(config());
        sim.hear("* chat version 1: no place is free\n");
        sim.hear(line);
        sim.session.closed(sim.now());
        sim.outcome().cloned()
    };
    assert_eq!(refused("too many users\n"), Some(Outcome::Full));
    let reason = text("too many users from your address");
    assert_eq!(
        refused("* too many users from your address\n"),
        Some(Outcome::Closed(Some(reason)))
    );
}

#[test]
fn a_rejection_instead_of_a_greeting_gives_its_reason() {
    let mut sim = Sim::new(config());
    sim.hear("* a user with your address and port is here already\n");
    let reason = text("a user with your address and port is here already");
    assert_eq!(sim.outcome(), Some(&Outcome::Rejected(reason)));
    assert_eq!(sim.sent(), "");
}

#[test]
fn an_incomplete_greeting_is_never_an_original_server() {
    for greeting in [
        "*",
        "* chat version 1: you are 10.0.0.1:5; /help says wh",
        "too many us",
    ] {
        let mut sim = Sim::new(config());
        sim.hear(greeting);
        sim.wait(2000);
        assert_eq!(sim.sent(), "");
        assert_eq!(sim.outcome(), Some(&Outcome::Unfinished));
        let mut sim = Sim::new(config());
        sim.hear(greeting);
        sim.session.closed(sim.now());
        assert_eq!(sim.outcome(), Some(&Outcome::Unfinished), "{greeting:?}");
    }
}

#[test]
fn a_silent_server_is_an_original_one_until_it_greets() {
    let mut sim = Sim::new(config());
    sim.wait(1999);
    assert_eq!(sim.shown(), []);
    sim.wait(1);
    assert_eq!(sim.shown(), [Event::Legacy { silent: true }]);
    assert_eq!(sim.sent(), "");
    sim.hear("* chat version 1: sorry, busy\n");
    assert_eq!(sim.sent(), hello());
}

#[test]
fn nothing_is_sent_to_an_original_server_unasked() {
    let mut sim = Sim::new(config());
    sim.hear("10.0.0.1:5000 is online10.0.0.2:6000 is online");
    let joined = |who: &str, own| {
        Event::Joined(Join {
            at: 1_000_000,
            who: who.parse().unwrap(),
            own,
        })
    };
    assert_eq!(
        sim.shown(),
        [
            Event::Legacy { silent: false },
            joined("10.0.0.1:5000", true),
            joined("10.0.0.2:6000", false)
        ]
    );
    sim.wait(3_600_000);
    sim.type_line("/who");
    sim.type_line("/nick bob");
    sim.type_line("/help");
    sim.session.leave(sim.now());
    assert_eq!(sim.sent(), "");
    assert_eq!(sim.outcome(), Some(&Outcome::Left));
}

#[test]
fn an_original_server_gets_one_message_at_a_time() {
    let mut sim = Sim::in_an_original_room();
    sim.type_line("one");
    sim.type_line("two");
    assert_eq!(sim.sent(), "one");
    assert!(!sim.session.takes_input());
    sim.wait(49);
    assert_eq!(sim.sent(), "");
    sim.wait(1);
    assert_eq!(sim.sent(), "two");
    assert!(sim.session.takes_input());
}

#[test]
fn over_41_bytes_an_original_server_costs_a_warning() {
    let mut sim = Sim::in_an_original_room();
    sim.type_line(&"x".repeat(41));
    sim.wait(50);
    assert_eq!(sim.errors(), [""; 0]);
    sim.type_line(&format!("{}é", "x".repeat(40)));
    sim.wait(50);
    assert_eq!(sim.sent().len(), 41 + 42);
    assert_eq!(
        sim.errors(),
        ["42 bytes: an original server takes 41, and may lose or damage the rest"]
    );
    assert_eq!(sim.session.failures(), Failures::default());
}

#[test]
fn a_message_that_an_original_server_lost_is_reported() {
    let mut sim = Sim::in_an_original_room();
    sim.type_line("one");
    sim.wait(50);
    sim.type_line("two");
    sim.session.end_input(sim.now());
    sim.hear("from 10.0.0.1:5000: two");
    sim.wait(30);
    let refused = Event::Refused(RefusedMessage {
        text: text("one"),
        reason: text("the server lost it"),
    });
    assert!(sim.shown().contains(&refused));
    assert_eq!(sim.outcome(), Some(&Outcome::Left));
    assert_eq!(sim.session.failures().requests, 1);
}

#[test]
fn the_user_leaves_once_the_last_message_is_acknowledged() {
    let mut sim = Sim::in_a_room();
    sim.type_line("one");
    sim.type_line("//two");
    sim.session.end_input(sim.now());
    assert_eq!(sim.sent(), "SAY 1 one\nSAY 2 /two\n");
    sim.hear(&format!("SAID 9 bob@10.0.0.2:6000 one\nSAID 10 {ME} one\n"));
    assert_eq!(sim.sent(), "");
    assert_eq!(
        sim.shown(),
        [
            said("bob@10.0.0.2:6000", "one", 9, false),
            said(ME, "one", 10, true)
        ]
    );
    sim.hear(&format!("SAID 11 {ME} /two\n"));
    assert_eq!(sim.sent(), "QUIT\n");
    assert_eq!(sim.outcome(), None);
    sim.hear("GOODBYE quit goodbye\n");
    assert_eq!(sim.outcome(), Some(&Outcome::Left));
    assert_eq!(sim.session.failures(), Failures::default());
}

#[test]
fn a_refused_message_is_reported_and_not_awaited() {
    let mut sim = Sim::in_a_room();
    sim.type_line("one");
    sim.type_line("two");
    sim.hear("ERROR too-long 1 that is too long\n");
    let refused = Event::Refused(RefusedMessage {
        text: text("one"),
        reason: text("that is too long"),
    });
    assert_eq!(sim.shown(), [refused]);
    sim.session.end_input(sim.now());
    sim.sent();
    sim.hear(&format!("SAID 11 {ME} two\n"));
    assert_eq!(sim.sent(), "QUIT\n");
    assert_eq!(sim.session.failures().requests, 1);
}

#[test]
fn the_end_of_input_waits_ten_seconds_after_progress() {
    let mut sim = Sim::in_a_room();
    for line in ["one", "two", "/msg carol hi"] {
        sim.type_line(line);
    }
    sim.session.end_input(sim.now());
    sim.wait(9_000);
    sim.hear(&format!("SAID 11 {ME} one\n"));
    sim.wait(9_999);
    assert_eq!(sim.outcome(), None);
    sim.wait(1);
    assert_eq!(sim.outcome(), Some(&Outcome::Unacknowledged(1)));
    assert!(sim.sent().ends_with("QUIT\n"));
}

#[test]
fn a_missing_goodbye_is_awaited_for_a_second() {
    let mut sim = Sim::in_a_room();
    sim.type_line("/quit");
    assert_eq!(sim.sent(), "QUIT\n");
    sim.wait(999);
    assert_eq!(sim.outcome(), None);
    sim.wait(1);
    assert_eq!(sim.outcome(), Some(&Outcome::Left));
}

#[test]
fn a_closing_server_can_give_its_reason() {
    let mut sim = Sim::in_a_room();
    sim.hear("GOODBYE shutdown back at noon\n");
    sim.session.closed(sim.now());
    assert_eq!(sim.outcome(), Some(&Outcome::Closed(Some(text("back at noon")))));
    for silence in ["", "GOODBYE other\n", "GOODBYE other \n"] {
        let mut sim = Sim::in_a_room();
        sim.hear(silence);
        sim.session.closed(sim.now());
        assert_eq!(sim.outcome(), Some(&Outcome::Closed(None)), "{silence:?}");
        assert_eq!(sim.shown(), [Event::Ended(Outcome::Closed(None).into())]);
    }
}

#[test]
fn input_is_read_as_fast_as_it_is_acknowledged() {
    let mut sim = Sim::new(config());
    assert!(!sim.session.takes_input());
    sim = Sim::in_a_room();
    let line = "x".repeat(4000);
    let mut lines = 0;
    while sim.session.takes_input() {
        sim.type_line(&line);
        lines += 1;
    }
    assert!(sim.sent().len() < BYTES_MAX + 8192);
    for _ in 0..lines / 2 {
        sim.hear(&format!("SAID 11 {ME} {line}\n"));
    }
    assert!(sim.session.takes_input());
}

#[test]
fn a_text_over_the_limit_is_not_sent() {
    let mut sim = Sim::in_a_room();
    sim.type_line(&"x".repeat(TEXT_MAX));
    sim.type_line(&"x".repeat(TEXT_MAX + 1));
    sim.type_line("next");
    let sent = sim.sent();
    assert_eq!(sent.lines().count(), 2);
    assert!(sent.ends_with("\nSAY 2 next\n"));
    assert!(sent.lines().all(|line| line.len() < chat_proto::LINE_MAX));
    assert_eq!(sim.session.failures().requests, 1);
}

#[test]
fn a_silent_server_is_pinged_and_then_given_up() {
    let mut sim = Sim::in_a_room();
    sim.hear("PING 77\n");
    assert_eq!(sim.sent(), "PONG 77\n");
    sim.wait(30_000);
    assert!(sim.sent().starts_with("PING "));
    sim.hear("PONG 1\n");
    sim.wait(59_999);
    assert!(sim.sent().starts_with("PING "));
    assert_eq!(sim.outcome(), None);
    sim.wait(1);
    assert_eq!(sim.outcome(), Some(&Outcome::Silent));
}

#[test]
fn an_unacknowledged_message_pings_after_10_s_and_gives_up_after_20() {
    let mut sim = Sim::in_a_room();
    sim.type_line("hello?");
    sim.wait(9_999);
    assert_eq!(sim.sent(), "SAY 1 hello?\n");
    assert_eq!(sim.session.unanswered_since(), None);
    sim.wait(1);
    assert!(sim.sent().starts_with("PING "));
    assert_eq!(
        sim.session.unanswered_since(),
        Some(sim.now().monotonic - Duration::from_secs(10))
    );
    // Whatever the server sends, the connection works.
    sim.hear("SAID 1 bob@10.0.0.2:6000 hi\n");
    assert_eq!(sim.session.unanswered_since(), None);
    sim.wait(19_999);
    assert_eq!(sim.outcome(), None);
    sim.wait(1);
    assert_eq!(sim.outcome(), Some(&Outcome::Silent));
}

#[test]
fn a_lost_address_pings_at_once_and_gives_up_after_10_s() {
    let mut sim = Sim::in_a_room();
    sim.sent();
    for _ in 0..2 {
        let now = sim.now();
        sim.session.address_gone(now);
        sim.wait(0);
        assert!(sim.sent().starts_with("PING "));
        sim.hear("PONG 1\n");
    }
    let now = sim.now();
    sim.session.address_gone(now);
    sim.wait(9_999);
    assert_eq!(sim.outcome(), None);
    sim.wait(1);
    assert_eq!(sim.outcome(), Some(&Outcome::Silent));
}

#[test]
fn a_server_that_does_not_answer_hello_is_given_up() {
    let mut sim = Sim::new(config());
    sim.hear("* chat version 1: hi\n");
    sim.wait(10_000);
    assert_eq!(sim.outcome(), Some(&Outcome::Silent));
}

#[test]
fn a_rejected_required_nick_ends_the_session() {
    let config = Config {
        insist_on_nick: true,
        ..config()
    };
    let welcome = format!("WELCOME 10.0.0.1:5000 {TOKEN} {TOKEN} 0\nHISTORY -\nLIVE\n");
    let error = "ERROR nick-taken - bob has it\n";
    let goodbye = "GOODBYE nick you are not here without that nick\n";
    for answer in [
        format!("{error}{goodbye}"),
        format!("{welcome}{error}"),
        format!("{error}{welcome}"),
    ] {
        let mut sim = Sim::new(config.clone());
        sim.hear("* chat version 1: hi\n");
        assert!(sim.sent().ends_with(" - insist\n"));
        sim.hear(&answer);
        assert_eq!(sim.outcome(), Some(&Outcome::NickRefused(text("bob has it"))));
        assert!(sim.sent().ends_with("QUIT\n"));
    }
    let mut sim = Sim::new(config);
    sim.hear(&format!("* chat version 1: hi\n{welcome}"));
    assert!(!sim.session.takes_input());
    sim.wait(1000);
    assert!(matches!(sim.outcome(), Some(Outcome::NickRefused(_))));
}

/// In a room without the wished nick, which bob has under this name.
fn in_a_room_without_the_nick(holder: &str) -> Sim {
    let mut sim = Sim::new(config());
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!(
        "WELCOME 10.0.0.1:5000 {TOKEN} {TOKEN} 0\n{holder}HISTORY -\nLIVE\n"
    ));
    sim.hear("ERROR nick-taken - alice is taken\n");
    assert_eq!(sim.errors(), ["alice is taken"]);
    sim.sent();
    sim
}

const HOLDER: &str = "USER ALICE@10.0.0.2:6000 - -\n";
const NEWS: &str = "the nick alice is free, and yours now";

#[test]
fn a_wished_nick_is_taken_when_it_becomes_free() {
    for freed in [
        "LEAVE - ALICE@10.0.0.2:6000\n",
        "NICK - ALICE@10.0.0.2:6000 alan\n",
    ] {
        let mut sim = in_a_room_without_the_nick(HOLDER);
        sim.hear("LEAVE - carol@10.0.0.3:7000\nJOIN - dave@10.0.0.4:1 - -\n");
        sim.wait(14_000);
        assert_eq!(sim.sent(), "");
        sim.hear(freed);
        assert_eq!(sim.sent(), "NICK alice\n");
        sim.hear("LEAVE - 10.0.0.9:1\nNICK - dave@10.0.0.4:1 eve\n");
        assert_eq!(sim.sent(), "");
        sim.shown();
        sim.hear("NICK - 10.0.0.1:5000 alice\n");
        let notices = sim
            .shown()
            .into_iter()
            .filter(|event| *event == Event::Notice(text(NEWS)));
        assert_eq!(notices.count(), 1);
        sim.hear("JOIN - ALICE@10.0.0.2:6001 - -\nLEAVE - ALICE@10.0.0.2:6001\n");
        assert_eq!(sim.sent(), "", "once");
        assert_eq!(sim.session.failures(), Failures::default());
    }
}

#[test]
fn a_held_nick_is_asked_for_again_ever_more_rarely() {
    let mut sim = in_a_room_without_the_nick("");
    let mut waits = Vec::new();
    for _ in 0..7 {
        let begin = sim.ms;
        while sim.sent() != "NICK alice\n" {
            sim.hear("PONG 1\n");
            sim.wait(1000);
        }
        waits.push((sim.ms - begin) / 1000);
        sim.hear("ERROR nick-taken - the nick alice is held\n");
    }
    assert_eq!(waits, [15, 30, 60, 120, 240, 240, 240]);
    assert_eq!(sim.errors(), [""; 0], "nobody asked");
    assert_eq!(sim.session.failures(), Failures::default());
}

#[test]
fn a_wished_nick_is_forgotten_when_the_user_chooses_another() {
    let mut sim = in_a_room_without_the_nick(HOLDER);
    sim.type_line("/nick al");
    sim.hear("NICK - 10.0.0.1:5000 al\n");
    sim.sent();
    sim.hear("LEAVE - ALICE@10.0.0.2:6000\n");
    sim.wait(20_000);
    assert!(!sim.sent().contains("NICK"));
    // The wish is asked for already when the user chooses: the answers come in this order.
    let mut sim = in_a_room_without_the_nick(HOLDER);
    sim.hear("LEAVE - ALICE@10.0.0.2:6000\n");
    sim.type_line("/nick al");
    assert_eq!(sim.sent(), "NICK alice\nNICK al\n");
    sim.session.end_input(sim.now());
    sim.hear("ERROR nick-taken - the nick alice is held\n");
    assert_eq!(sim.sent(), "", "the answer to the user is awaited");
    sim.hear("NICK - 10.0.0.1:5000 al\n");
    assert_eq!(sim.sent(), "QUIT\n");
    assert_eq!(sim.session.failures(), Failures::default());
}

#[test]
fn a_taken_login_name_gets_a_digit() {
    let mut sim = Sim::new(config());
    sim.session.number_nick(config().nick);
    let me = "10.0.0.1:5000";
    let taken = "ERROR nick-taken - somebody has it\n";
    sim.hear(&format!(
        "* chat version 1: hi\nWELCOME {me} {TOKEN} {TOKEN} 0\n{taken}HISTORY -\nLIVE\n"
    ));
    assert!(sim.sent().ends_with("\nNICK alice2\n"));
    sim.shown();
    sim.hear(taken);
    assert_eq!((sim.shown(), sim.sent()), (vec![], "NICK alice3\n".into()));
    sim.hear(&format!("NICK 1 {me} alice3\n"));
    let said = "your login name alice is taken, so you are alice3; /nick NAME takes another";
    let events = sim.shown();
    assert!(events.contains(&Event::Notice(text(said))), "{events:?}");
    // A nick that the user asks for is another matter.
    sim.type_line("/nick bob");
    sim.hear(taken);
    assert_eq!(sim.sent(), "NICK bob\n");

    // The tries are bounded.
    let mut sim = Sim::new(config());
    sim.session.number_nick(config().nick);
    sim.hear(&format!(
        "* chat version 1: hi\nWELCOME {me} {TOKEN} {TOKEN} 0\nHISTORY -\nLIVE\n"
    ));
    sim.sent();
    sim.hear(&taken.repeat(9));
    assert!(sim.sent().ends_with("NICK alice8\nNICK alice9\n"));
    let error = Event::Error(
        Some(chat_proto::rich::ErrorCode::NickTaken),
        text("somebody has it"),
    );
    assert_eq!(sim.shown().last(), Some(&error));
}

#[test]
fn a_rejected_optional_nick_costs_an_error() {
    let mut sim = Sim::new(config());
    sim.hear(&format!(
        "* chat version 1: hi\nWELCOME 10.0.0.1:5000 {TOKEN} {TOKEN} 0\n"
    ));
    sim.hear("HISTORY -\nLIVE\nERROR nick-taken - bob has it\n");
    assert_eq!(sim.errors(), ["bob has it"]);
    assert!(sim.session.takes_input());
    assert_eq!(sim.session.failures(), Failures::default(), "it was a wish");
    sim.type_line("/nick bob");
    sim.hear("ERROR nick-taken - bob has it\n");
    assert_eq!(sim.session.failures().nicks, 1);
}

#[test]
fn a_new_nick_counts_when_the_server_announces_it() {
    let mut sim = Sim::in_a_room();
    sim.type_line("/nick alice");
    sim.type_line("/nick a b");
    assert_eq!(sim.sent(), "");
    assert_eq!(sim.errors(), ["a nick has no spaces"]);
    sim.type_line("/nick Zoë");
    sim.session.end_input(sim.now());
    assert_eq!(sim.sent(), "NICK Zoë\n");
    sim.hear(&format!("NICK 12 {ME} Zoë\n"));
    assert_eq!(sim.session.me().unwrap().to_string(), "Zoë@10.0.0.1:5000");
    assert!(matches!(
        sim.shown()[..],
        [Event::Renamed(Rename { own: true, .. })]
    ));
    assert_eq!(sim.sent(), "QUIT\n");
}

#[test]
fn a_repeated_nick_request_gets_two_answers() {
    let mut sim = Sim::in_a_room();
    sim.type_line("/nick al");
    sim.type_line("/nick al");
    sim.session.end_input(sim.now());
    assert_eq!(sim.sent(), "NICK al\nNICK al\n");
    sim.hear(&format!("NICK 1 {ME} al\n"));
    assert_eq!(sim.sent(), "", "one is not answered");
    sim.shown();
    sim.hear("NICK 1 al@10.0.0.1:5000 al\n");
    sim.hear("NICK 1 bob@10.0.0.2:6000 bob\n");
    let notice = Event::Notice(text("you are al@10.0.0.1:5000 already"));
    assert_eq!((sim.shown(), sim.sent()), (vec![notice], "QUIT\n".into()));
}

/// The answer to `/who`.
fn listed(sim: &mut Sim) -> Vec<String> {
    sim.shown();
    sim.type_line("/who");
    match sim.shown().as_slice() {
        [Event::Users(users, _)] => users.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_roster_follows_the_server() {
    let mut sim = Sim::in_a_room();
    sim.hear("JOIN 1 dave@10.0.0.4:1 10.0.0.4:9 -\nLEAVE 2 bob@10.0.0.2:6000\n");
    sim.hear("NICK 3 carol@10.0.0.3:7000 Eve\nADDRESS 4 Eve@10.0.0.3:7000 9.9.9.9:9\n");
    let users = [
        "alice@10.0.0.1:5000",
        "dave@10.0.0.4:1 (in the clear; direct, unencrypted)",
        "Eve@10.0.0.3:7000 (in the clear; direct, unencrypted)",
    ];
    assert_eq!(listed(&mut sim), users);
    let eve = sim.session.roster().resolve("eve").unwrap();
    assert_eq!(eve.udp, Some("9.9.9.9:9".parse().unwrap()));
}

#[test]
fn an_ambiguous_recipient_is_an_error() {
    let mut sim = Sim::in_a_room();
    sim.hear("JOIN 1 Carol@10.0.0.9:1 - -\n");
    sim.shown();
    for line in [
        "/m nobody hi",
        "/m 10.9.9.9:9 hi",
        "/m bob@10.0.0.3:7000 hi",
        "/m carol hi",
    ] {
        sim.type_line(line);
    }
    let expected = [
        "not sent to nobody: nobody here has that name",
        "not sent to 10.9.9.9:9: nobody here has that id",
        "not sent to bob@10.0.0.3:7000: that id is carol@10.0.0.3:7000 now",
        "not sent to carol: that may be carol@10.0.0.3:7000 or Carol@10.0.0.9:1: write one of these",
    ];
    assert_eq!(sim.errors(), expected);
    assert_eq!(sim.sent(), "");
    assert_eq!(sim.session.failures().privates, 4);
}

#[test]
fn a_mistyped_command_is_not_broadcast() {
    let mut sim = Sim::in_a_room();
    sim.type_line("/quti");
    sim.type_line("/msg bob");
    sim.type_line("/etc/passwd");
    assert_eq!(sim.sent(), "");
    let expected = [
        "no command /quti: the nearest is /quit; // begins a message with a slash",
        "usage: /msg WHO TEXT",
        "no command /etc/passwd: /help lists all; // begins a message with a slash",
    ];
    assert_eq!(sim.errors(), expected);
    assert_eq!(sim.session.failures().requests, 3);
}

#[test]
fn a_hostile_server_is_survived() {
    let mut sim = Sim::in_a_room();
    let max = u64::MAX;
    for line in [
        "",
        " ",
        "SAID",
        "SAID x y z",
        "HISTORY",
        "HISTORY -",
        "HISTORY 18446744073709551615",
        "LIVE",
        "WHISPERED 999",
        "ERROR too-long 999 what",
        "ERROR nick-taken - none asked",
        "NICK 1 9.9.9.9:9 ghost",
        "LEAVE 1 9.9.9.9:9",
        "ADDRESS 1 9.9.9.9:9 1.1.1.1:1",
        "GOODBYE haunted \u{1b}[2J",
        "UNKNOWN verb of a later version",
        "RELAY 9.9.9.9:9 !!!",
        "PUNCH bob@10.0.0.2:6000 1.1.1.1:1",
    ] {
        sim.hear(&format!("{line}\n"));
    }
    sim.hear(&format!(
        "SAID {max} {ME} not mine\nWELCOME {ME} {TOKEN} {TOKEN} {max}\n"
    ));
    sim.session.receive(b"\xFF\xFE\0\n", sim.now());
    sim.type_line("still here");
    assert_eq!(sim.sent(), "SAY 1 still here\n");
    assert_eq!(sim.outcome(), None);
    for event in sim.shown() {
        assert!(!format!("{event:?}").contains('\u{1b}'));
    }
}

#[test]
fn an_endless_line_takes_bounded_memory() {
    let mut sim = Sim::in_a_room();
    for _ in 0..1000 {
        sim.session.receive(&[b'x'; 4096], sim.now());
    }
    assert!(sim.session.decoder.pending().len() <= SERVER_LINE_MAX);
    assert_eq!(sim.errors(), ["ignored a line of the server: it is too long"]);
    sim.hear("\nPING 1\n");
    assert_eq!(sim.sent(), "PONG 1\n");
}

#[test]
fn random_bytes_are_survived_by_every_dialect() {
    // A linear congruential generator (Knuth's MMIX constants): the same bytes each time.
    let mut state = 1_u64;
    let mut byte = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let [.., random] = (state >> 20).to_be_bytes();
        if random < 60 {
            b"\n :.@/01from is online"[usize::from(random) % 22]
        } else {
            random
        }
    };
    for sim in [
        Sim::new as fn(Config) -> Sim,
        |_| Sim::in_a_room(),
        |_| Sim::in_an_original_room(),
    ] {
        let mut sim = sim(config());
        for _ in 0..2000 {
            let bytes: Vec<u8> = (0..50).map(|_| byte()).collect();
            sim.session.receive(&bytes, sim.now());
            sim.datagram("10.0.0.2:6001", &bytes);
            sim.wait(17);
            sim.shown();
        }
    }
}

fn in_a_room_that_may_be_lost() -> Sim {
    let mut sim = Sim::new(Config {
        interactive: true,
        ..config()
    });
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!("WELCOME {ME} {TOKEN} {TOKEN} 0\nHISTORY -\nLIVE\n"));
    sim.sent();
    sim.shown();
    sim
}

fn reconnect(sim: &mut Sim) {
    let now = sim.now();
    sim.session.connected(endpoints(5555), now);
}

#[test]
fn a_reconnection_neither_loses_nor_repeats_messages() {
    let mut sim = in_a_room_that_may_be_lost();
    for line in ["one", "two", "three"] {
        sim.type_line(line);
    }
    assert_eq!(sim.sent(), "SAY 1 one\nSAY 2 two\nSAY 3 three\n");
    sim.hear(&format!("SAID 1 {ME} one\n"));
    sim.session.closed(sim.now());
    assert!(sim.session.is_lost() && sim.session.outcome().is_none());
    sim.type_line("four");
    sim.type_line("/nick carol");
    assert_eq!(sim.unsent(), ["two", "three", "four"]);
    assert_eq!(sim.sent(), "");

    reconnect(&mut sim);
    sim.hear("* chat version 1: welcome\n");
    assert_eq!(sim.sent(), format!("HELLO 1 alice 5556 {TOKEN}\n"));
    // The server has the second message; only its return was lost.
    sim.hear(&format!(
        "WELCOME alice@10.0.0.1:5555 {TOKEN} {TOKEN} 2\nHISTORY -\nLIVE\n"
    ));
    assert_eq!(sim.sent(), "SAY 3 three\nSAY 4 four\n");
    sim.hear("SAID 1 alice@10.0.0.1:5555 three\nSAID 1 alice@10.0.0.1:5555 four\n");
    assert_eq!(sim.unsent(), [""; 0]);
}

#[test]
fn lines_refused_while_the_connection_was_lost_are_reported() {
    for (history, refused) in [
        (
            "HISTORY - 1 0\nSAID 1 {ME} two\nSAID 1 {ME} three\n",
            &["one", "three"][..],
        ),
        (
            "HISTORY - 1 0\nSAID 1 bob@10.0.0.2:6000 one\n",
            &["one", "three", "two", "three"],
        ),
        // Nobody knows what was said.
        ("HISTORY - 7 6\n", &[]),
        ("HISTORY -\n", &[]),
        ("", &[]),
    ] {
        let mut sim = in_a_room_that_may_be_lost();
        for line in ["one", "three", "two", "three", "four"] {
            sim.type_line(line);
        }
        sim.session.closed(sim.now());
        // The first connection in its place is lost too.
        reconnect(&mut sim);
        sim.hear("* chat version 1: welcome\n");
        sim.session.closed(sim.now());
        reconnect(&mut sim);
        let history = history.replace("{ME}", ME);
        sim.shown();
        sim.hear(&format!(
            "* chat version 1: welcome\nWELCOME alice@10.0.0.1:5557 {TOKEN} {TOKEN} 4\n{history}LIVE\n"
        ));
        let reported = sim.shown().into_iter().filter_map(|event| match event {
            Event::Refused(refused) => Some(refused.text.to_string()),
            _ => None,
        });
        assert_eq!(reported.collect::<Vec<_>>(), refused, "{history}");
        assert!(sim.sent().ends_with("SAY 5 four\n"));
        assert_eq!(sim.unsent(), ["four"]);
    }
}

#[test]
fn a_reconnection_continues_where_the_client_stopped() {
    let missed = |sim: &mut Sim| {
        let events = sim.shown().into_iter();
        let missed = events.filter_map(|event| match event {
            Event::Missed(count) => Some(count),
            _ => None,
        });
        missed.collect::<Vec<_>>()
    };
    let mut sim = in_a_room_that_may_be_lost();
    sim.hear("HISTORY - 9 -\n");
    let cases = [
        (
            "HISTORY - 40 -\nSAID 1 bob@10.0.0.2:6000 a\nLIVE\nSAID 1 bob@10.0.0.2:6000 b\n",
            "",
            vec![],
        ),
        ("HISTORY - 42 0\nLIVE\n", " next=42", vec![]),
        (
            "HISTORY - 73 31\nSAID 1 bob@10.0.0.2:6000 c\n",
            " next=42",
            vec![Some(31)],
        ),
        ("HISTORY - 0 -\nLIVE\n", " next=74", vec![None]),
        ("HISTORY -\nLIVE\n", " next=0", vec![None]),
        ("HISTORY -\nLIVE\n", "", vec![]),
    ];
    for (heard, asked, expected) in cases {
        sim.session.closed(sim.now());
        reconnect(&mut sim);
        sim.hear("* chat version 1: welcome\n");
        assert!(sim.sent().ends_with(&format!(" {TOKEN}{asked}\n")), "{heard}");
        sim.shown();
        sim.hear(&format!("WELCOME {ME} {TOKEN} {TOKEN} 0\n{heard}"));
        assert_eq!(missed(&mut sim), expected, "{heard}");
    }
}

/// The server has restarted, and is lost again before it has told its numbers.
#[test]
fn numbers_are_sent_only_with_the_token_they_came_with() {
    let mut sim = in_a_room_that_may_be_lost();
    let other = Opaque([1; 16]);
    for (asks, heard) in [
        (
            false,
            format!("WELCOME {ME} {TOKEN} {TOKEN} 0\nHISTORY - 9 -\nLIVE\n"),
        ),
        (true, format!("WELCOME {ME} {other} {TOKEN} 0\n")),
        (
            false,
            format!("WELCOME {ME} {other} {TOKEN} 0\nHISTORY - 3 -\nLIVE\n"),
        ),
    ] {
        sim.session.closed(sim.now());
        reconnect(&mut sim);
        sim.hear("* chat version 1: welcome\n");
        assert_eq!(sim.sent().contains(" next=9"), asks);
        sim.shown();
        sim.hear(&heard);
    }
    assert!(sim.shown().contains(&Event::Missed(None)));
}

#[test]
fn nothing_is_sent_to_another_server_on_the_port() {
    type Answer = fn(&mut Sim);
    let answers: [(Answer, Outcome); 3] = [
        (|sim| sim.wait(2000), Outcome::Stranger),
        (|sim| sim.hear("220 mail.example ready\n"), Outcome::Stranger),
        (
            |sim| {
                sim.hear("* chat version 1: he");
                sim.session.closed(sim.now());
            },
            Outcome::Unfinished,
        ),
    ];
    for (answer, outcome) in answers {
        let mut sim = in_a_room_that_may_be_lost();
        sim.session.closed(sim.now());
        sim.type_line("for the room");
        sim.shown();
        reconnect(&mut sim);
        answer(&mut sim);
        assert_eq!(sim.sent(), "");
        assert_eq!(sim.shown(), [Event::Lost(outcome)]);
        assert_eq!(sim.unsent(), ["for the room"]);
        // The server is back, and gets them.
        reconnect(&mut sim);
        sim.hear(&format!(
            "* chat version 1: welcome\nWELCOME {ME} {TOKEN} {TOKEN} 0\nHISTORY -\nLIVE\n"
        ));
        assert!(sim.sent().ends_with("\nSAY 1 for the room\n"));
    }
}

#[test]
fn after_an_original_server_only_another_one_gets_messages() {
    let away = || {
        let mut sim = Sim::new(Config {
            interactive: true,
            ..config()
        });
        sim.hear("10.0.0.1:5000 is online");
        sim.session.closed(sim.now());
        sim.type_line("for the room");
        sim.shown();
        reconnect(&mut sim);
        sim
    };
    for said in ["", "SSH-2.0-OpenSSH_9.9\r\n", "from 10.0.0.9:9: hi"] {
        let mut sim = away();
        if !said.is_empty() {
            sim.hear(said);
        }
        sim.wait(1999);
        assert_eq!(sim.shown(), [], "{said:?}");
        sim.wait(1);
        assert_eq!(sim.shown(), [Event::Lost(Outcome::Stranger)], "{said:?}");
        assert_eq!(
            (sim.sent(), sim.unsent()),
            (String::new(), vec!["for the room".into()])
        );
    }
    let mut sim = away();
    sim.hear("10.0.0.1:5555 is on");
    assert_eq!(sim.sent(), "");
    sim.hear("line");
    sim.wait(1);
    assert_eq!(sim.sent(), "for the room");
    assert_eq!(sim.shown()[0], Event::Legacy { silent: false });
    sim.wait(10_000);
    assert!(!sim.session.is_lost());
}

#[test]
fn a_reconnection_asks_for_the_nick_but_does_not_require_it() {
    let mut sim = Sim::new(Config {
        interactive: true,
        insist_on_nick: true,
        ..config()
    });
    sim.hear("* chat version 1: welcome\n");
    sim.hear(&format!(
        "WELCOME {ME} {TOKEN} {TOKEN} 0\nHISTORY -\nLIVE\nNICK 1 {ME} zoe\n"
    ));
    sim.session.closed(sim.now());
    reconnect(&mut sim);
    sim.sent();
    sim.hear("* chat version 1: welcome\n");
    assert_eq!(sim.sent(), format!("HELLO 1 zoe 5556 {TOKEN}\n"));
    sim.hear(&format!(
        "ERROR nick-taken - taken\nWELCOME 10.0.0.1:5555 {TOKEN} {TOKEN} 0\nHISTORY -\nLIVE\n"
    ));
    assert_eq!(sim.session.outcome(), None);
}

#[test]
fn a_session_that_never_joined_does_not_reconnect() {
    for reconnect in [true, false] {
        let mut sim = Sim::new(Config {
            interactive: reconnect,
            ..config()
        });
        sim.session.closed(sim.now());
        assert_eq!(sim.session.outcome(), Some(&Outcome::Closed(None)));
    }
    let mut sim = Sim::in_a_room();
    sim.session.closed(sim.now());
    assert_eq!(sim.session.outcome(), Some(&Outcome::Closed(None)));
}

#[test]
fn leaving_reports_the_messages_that_wait() {
    let mut sim = in_a_room_that_may_be_lost();
    sim.session.closed(sim.now());
    sim.type_line("hello");
    sim.session.leave(sim.now());
    assert_eq!(sim.session.outcome(), Some(&Outcome::Unacknowledged(1)));
    // Another program has the port, and does not greet.
    let mut sim = in_a_room_that_may_be_lost();
    sim.session.closed(sim.now());
    sim.type_line("hello");
    reconnect(&mut sim);
    sim.session.leave(sim.now());
    assert_eq!(sim.session.outcome(), Some(&Outcome::Unacknowledged(1)));
    // Only the end is awaited.
    let mut sim = in_a_room_that_may_be_lost();
    sim.session.closed(sim.now());
    sim.type_line("hello");
    reconnect(&mut sim);
    sim.session.end_input(sim.now());
    sim.shown();
    sim.wait(2000);
    let ending = Ending {
        outcome: Outcome::Stranger,
        unknown: 1,
        failed: 0,
    };
    assert_eq!(sim.shown(), [Event::Ended(ending)]);
}

#[test]
fn leaving_at_once_reports_unacknowledged_messages() {
    for echoes in 0..=2 {
        let mut sim = Sim::in_a_room();
        sim.type_line("one");
        sim.type_line("two");
        sim.session.leave(sim.now());
        assert!(sim.sent().ends_with("SAY 1 one\nSAY 2 two\nQUIT\n"));
        for text in ["one", "two"].iter().take(echoes) {
            sim.hear(&format!("SAID 1 {ME} {text}\n"));
        }
        sim.hear("GOODBYE quit bye\n");
        let outcome = match 2 - echoes {
            0 => Outcome::Left,
            lost => Outcome::Unacknowledged(lost),
        };
        assert_eq!(sim.outcome(), Some(&outcome));
    }
}

#[test]
fn nothing_is_sent_twice_to_an_original_server() {
    let mut sim = Sim::new(Config {
        interactive: true,
        ..config()
    });
    sim.hear("10.0.0.1:5000 is online");
    sim.type_line("one");
    sim.wait(1);
    sim.type_line("two");
    assert_eq!(sim.sent(), "one");
    sim.session.closed(sim.now());
    reconnect(&mut sim);
    sim.hear("10.0.0.1:5555 is online");
    sim.wait(200);
    assert_eq!(sim.sent(), "two");
}
