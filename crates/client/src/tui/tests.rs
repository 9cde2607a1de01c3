//! Expected screens, drawn in the source, and the bytes that the server receives.
//!
//! Each test types into a real [`Session`], which receives the lines of a server.

mod commands;
mod hostile;
mod lines;
mod lost;
mod pasting;
mod rooms;
mod scrolling;
mod sizes;
mod typing;
mod unread;

use super::decoder::{Decoder, Input};
use super::keys;
use super::link::Link;
use super::screen::{Effect, Screen, Size};
use super::style::{Frame, Role, Row, Span};
use crate::args::Args;
use crate::private::{KeyPair, Options, Private};
use crate::session::{Config, Endpoints, Outcome, Session};
use crate::settings::Settings;
use chat_proto::now::Now;
use chat_proto::who::Who;
use clap::Parser;
use jiff::tz::TimeZone;
use std::time::Duration;
use unicode_width::UnicodeWidthStr;

const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAA";
const ME: &str = "alice@10.0.0.1:5000";
/// 2023-11-14, 22:13:20 UTC.
const TIME: u64 = 1_700_000_000_000;

/// A screen, its session, and their clock.
struct Sim {
    screen: Screen,
    session: Session,
    decoder: Decoder,
    ms: u64,
    effects: Vec<Effect>,
}

impl Sim {
    fn new(columns: usize, rows: usize) -> Self {
        Self::with(&[], columns, rows)
    }

    /// With these options on the command line.
    fn with(options: &[&str], columns: usize, rows: usize) -> Self {
        let config = Config {
            clear: true,
            nick: None,
            insist_on_nick: false,
            endpoints: endpoints(5000),
            to: None,
            interactive: true,
        };
        let random = Box::new(|bytes: &mut [u8]| bytes.fill(7));
        let private = Private::new(keys(1), Options::default(), random);
        let size = Size { columns, rows };
        let mut sim = Self {
            screen: Screen::new(&settings(options), TimeZone::UTC, size),
            session: Session::new(config, private, Now::default()),
            decoder: Decoder::default(),
            ms: 0,
            effects: Vec::new(),
        };
        sim.wait(0);
        sim
    }

    /// In a room with bob and carol, with an empty screen.
    fn in_a_room(columns: usize, rows: usize) -> Self {
        let mut sim = Self::new(columns, rows);
        sim.join(ME, 0);
        sim.keys("/clear\r");
        sim.sent();
        sim
    }

    fn join(&mut self, me: &str, seq: u64) {
        self.hear("* chat version 1: welcome\n");
        self.hear(&format!("WELCOME {me} {TOKEN} {TOKEN} {seq}\n"));
        self.hear("USER bob@10.0.0.2:6000 10.0.0.2:6001 -\nUSER carol@10.0.0.3:7000 10.0.0.3:7001 -\nHISTORY -\nLIVE\n");
    }

    fn now(&self) -> Now {
        Now {
            monotonic: Duration::from_millis(self.ms),
            unix_ms: TIME + self.ms,
        }
    }

    /// Receives bytes from the server.
    fn hear(&mut self, bytes: &str) {
        self.session.receive(bytes.as_bytes(), self.now());
        self.pass_on();
    }

    /// Receives a message, a minute after the one before.
    fn say(&mut self, who: &str, text: &str) {
        self.ms += 60_000;
        let at = TIME + self.ms;
        self.hear(&format!("SAID {at} {who} {text}\n"));
    }

    /// Presses keys, one after the other.
    fn keys(&mut self, bytes: &str) {
        for byte in bytes.bytes() {
            self.read(&[byte]);
        }
        self.pause(150);
    }

    /// Receives bytes from the terminal in one read, and nothing afterwards.
    fn burst(&mut self, bytes: &str) {
        self.read(bytes.as_bytes());
        self.pause(150);
    }

    fn read(&mut self, bytes: &[u8]) {
        let inputs = self.decoder.feed(bytes, self.now());
        if let Some(focused) = self.decoder.take_focus() {
            self.screen.set_focused(focused);
        }
        self.handle(inputs);
    }

    /// Receives nothing from the terminal for so long; the clock of the session stands still.
    fn pause(&mut self, ms: u64) {
        let now = self.now();
        let later = Now {
            monotonic: now.monotonic + Duration::from_millis(ms),
            ..now
        };
        let inputs = self.decoder.time_out(later);
        self.handle(inputs);
    }

    fn handle(&mut self, inputs: Vec<Input>) {
        let now = self.now();
        self.screen.handle(inputs, &mut self.session, now);
        self.pass_on();
    }

    fn paste(&mut self, text: &str) {
        self.handle(vec![Input::Paste(text.into())]);
    }

    fn pass_on(&mut self) {
        while let Some(event) = self.session.next_event() {
            self.screen.show(&event);
        }
        self.effects.extend(self.screen.take_effects());
    }

    fn wait(&mut self, ms: u64) {
        self.ms += ms;
        self.session.tick(self.now());
        self.pass_on();
        self.screen.tick(&self.session, self.now());
    }

    fn lose_connection(&mut self) {
        self.session.closed(self.now());
        self.pass_on();
    }

    /// The bytes sent to the server since the last call.
    fn sent(&mut self) -> String {
        String::from_utf8(self.session.take_bytes()).unwrap()
    }

    /// The datagrams to other users since the last call: address and text.
    fn datagrams(&mut self) -> Vec<String> {
        let datagrams = std::iter::from_fn(|| self.session.next_datagram());
        // Not those to the server's rendezvous.
        datagrams
            .filter(|datagram| datagram.to.port() != 9000)
            .map(|datagram| format!("{} {}", datagram.to, String::from_utf8_lossy(&datagram.bytes)))
            .collect()
    }

    fn frame(&mut self) -> Frame {
        let now = self.now();
        let frame = self.screen.frame(&self.session, now);
        let Size { columns, rows } = self.screen.size;
        assert_eq!(frame.rows.len(), if columns == 0 { 0 } else { rows });
        for row in &frame.rows {
            assert!(row.width() <= columns, "wider than {columns}: {row:?}");
        }
        if let Some((column, row)) = frame.cursor {
            assert!(column < columns && row < rows, "the cursor is at {column}, {row}");
        }
        frame
    }

    /// The screen as text; `█` is the cursor.
    fn drawn(&mut self) -> Vec<String> {
        let frame = self.frame();
        let mut rows: Vec<String> = frame.rows.iter().map(text_of).collect();
        if let Some((column, row)) = frame.cursor {
            rows[row] = with_cursor(&rows[row], column);
        }
        rows.iter().map(|row| row.trim_end().to_owned()).collect()
    }

    /// Compares the screen with a drawing, whose rows begin after a `|`.
    #[track_caller]
    fn shows(&mut self, drawing: &str) {
        let expected: Vec<String> = drawing
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix('|'))
            .map(|row| row.trim_end().to_owned())
            .collect();
        let drawn = self.drawn();
        assert!(
            drawn == expected,
            "expected:\n{}\n\nshown:\n{}\n",
            boxed(&expected),
            boxed(&drawn)
        );
    }

    /// The rows above the status line, without blank ones, and with one blank for several.
    fn messages(&mut self) -> Vec<String> {
        let mut rows = self.drawn();
        rows.truncate(rows.len().saturating_sub(2));
        rows.retain(|row| !row.is_empty());
        let words = |row: String| row.split_whitespace().collect::<Vec<_>>().join(" ");
        rows.into_iter().map(words).collect()
    }

    /// The status line above an input of one row, with one blank for several.
    fn status(&mut self) -> String {
        let rows = self.drawn();
        let status = rows.iter().rev().nth(1).map_or("", String::as_str);
        status.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn last_message(&mut self) -> String {
        self.messages().pop().unwrap_or_default()
    }

    fn line(&self) -> &str {
        self.screen.input.text()
    }

    /// The line that failed, which Up brings back.
    fn failed_line(&mut self) -> String {
        assert_eq!(self.line(), "", "a failed line is cleared");
        self.keys("\x1b[A");
        self.line().to_owned()
    }

    /// The texts of the spans with this role.
    fn drawn_as(&mut self, role: Role) -> Vec<String> {
        let frame = self.frame();
        let spans = frame.rows.iter().flat_map(|row| &row.0);
        spans
            .filter(|span| span.role == role)
            .map(|span| span.as_str().to_owned())
            .collect()
    }
}

/// The settings with these options and no settings file.
fn settings(options: &[&str]) -> Settings {
    let words = ["chat-client", "10.0.0.9", "--scrollback=1000"];
    Args::try_parse_from(words.iter().chain(options))
        .unwrap()
        .settings
}

/// The key pair of a user by number; alice is the first.
fn keys(number: u8) -> KeyPair {
    KeyPair::from_secret([number; 32])
}

/// The endpoints of a connection from this port.
fn endpoints(port: u16) -> Endpoints {
    Endpoints {
        local: ([10, 0, 0, 1], port).into(),
        server: "10.0.0.9:9000".parse().unwrap(),
        udp_port: Some(port + 1),
        addresses: Vec::new(),
    }
}

fn text_of(row: &Row) -> String {
    row.0.iter().map(Span::as_str).collect()
}

fn with_cursor(row: &str, column: usize) -> String {
    use unicode_segmentation::UnicodeSegmentation;
    let mut drawn = String::new();
    let mut at = 0;
    let mut put = false;
    for grapheme in row.graphemes(true) {
        if at == column && !put {
            drawn.push('█');
            put = true;
        }
        drawn.push_str(grapheme);
        at += grapheme.width();
    }
    if !put {
        drawn.push_str(&" ".repeat(column.saturating_sub(at)));
        drawn.push('█');
    }
    drawn
}

fn boxed(rows: &[String]) -> String {
    rows.iter()
        .map(|row| format!("    |{row}"))
        .collect::<Vec<_>>()
        .join("\n")
}
