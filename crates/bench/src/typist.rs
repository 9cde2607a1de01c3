//! The time from a key to its echo in the full screen of `chat-client`, while others send messages.
//!
//! One thread with one `poll(2)` loop serves the client's pseudo-terminal, with a terminal emulator, and the connection of
//! a user that sends the messages of all others.

use crate::histogram::Histogram;
use crate::process::Process;
use crate::report::Report;
use crate::terminal::{PATIENCE, Size, Terminal};
use anyhow::{Context, bail, ensure};
use clap::Parser;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

const SIZE: Size = Size {
    columns: 100,
    rows: 30,
};

/// The interval between chunks of messages, shorter than a frame of the screen.
const TICK: Duration = Duration::from_millis(5);
/// The pause between the echo of a key and the next key: a quick typist.
const BETWEEN_KEYS: Duration = Duration::from_millis(50);
/// The keys typed before the line is cleared.
const KEYS_IN_LINE: u16 = 60;
/// The text of the messages, after a number. All lines differ, so every row changes.
const TEXT: &str = " the quick brown fox jumps over the lazy dog and back again";

/// Types into `chat-client` on a terminal while others send messages, and measures when each key shows.
///
/// Prints one line of names and values. `paint_ms` is the time from the start of the program until it has joined, `echo` the
/// time from a key to its echo. Processor time and memory are those of the client.
#[derive(Debug, Parser)]
#[command(name = "chat-typist", version)]
pub struct Args {
    /// The server's address.
    pub address: IpAddr,

    /// The server's port.
    pub port: u16,

    /// The program of the client.
    #[arg(long)]
    pub client: PathBuf,

    /// Lines a second that others send.
    #[arg(long, value_name = "LINES", default_value_t = 10_000)]
    pub rate: u32,

    /// Lines that others send at once before that.
    #[arg(long, value_name = "LINES", default_value_t = 0)]
    pub burst: u32,

    /// Seconds to measure.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub seconds: f64,
}

/// Runs the measurement.
///
/// # Errors
/// If the server or the client fails, or a key does not show at all.
pub fn run(args: &Args) -> anyhow::Result<Report> {
    let talker = Talker::join(SocketAddr::new(args.address, args.port))?;
    let started = Instant::now();
    let mut typist = Typist::start(args, talker)?;
    typist.wait("the room", |typist| typist.terminal.shows("you are "))?;
    let painted = started.elapsed();
    typist.wait("the last of the welcome", |typist| typist.terminal.shows("/help"))?;
    typist.measure(args, painted)
}

/// The plain user that sends the messages of all others.
struct Talker {
    socket: TcpStream,
    pending: Vec<u8>,
    said: u64,
}

impl Talker {
    fn join(server: SocketAddr) -> anyhow::Result<Self> {
        let mut socket = TcpStream::connect(server).context("can't reach the server")?;
        socket.set_nodelay(true)?;
        // A line marks it as a plain user, and its echo shows that it has joined.
        socket.write_all(b"hello\n")?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            pending: Vec::new(),
            said: 0,
        })
    }

    fn say(&mut self, lines: u64) {
        for number in self.said..self.said + lines {
            self.pending
                .extend_from_slice(format!("{number:08}{TEXT}\n").as_bytes());
        }
        self.said += lines;
    }

    fn interest(&self) -> PollFlags {
        let mut interest = PollFlags::POLLIN;
        interest.set(PollFlags::POLLOUT, !self.pending.is_empty());
        interest
    }

    /// Sends queued bytes, and discards the input.
    fn turn(&mut self) -> anyhow::Result<()> {
        match self.socket.write(&self.pending) {
            Ok(length) => drop(self.pending.drain(..length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("lost the connection to the server"),
        }
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("lost the connection to the server"),
            }
        }
    }
}

struct Typist {
    terminal: Terminal,
    talker: Talker,
}

impl Typist {
    fn start(args: &Args, talker: Talker) -> anyhow::Result<Self> {
        let mut client = Command::new(&args.client);
        client
            .args(["--config", "/dev/null", "--nick", "typist"])
            .args([args.address.to_string(), args.port.to_string()])
            .env("XDG_STATE_HOME", "/dev/null");
        let terminal = Terminal::start(&mut client, SIZE)?;
        Ok(Self { terminal, talker })
    }

    fn measure(mut self, args: &Args, painted: Duration) -> anyhow::Result<Report> {
        let process = Process::find(self.terminal.pid())?;
        let (cpu, drawn, said, began) = (
            process.cpu()?,
            self.terminal.drawn(),
            self.talker.said,
            Instant::now(),
        );
        self.talker.say(args.burst.into());
        let mut echo = Histogram::default();
        let mut keys = 0;
        while began.elapsed().as_secs_f64() < args.seconds {
            keys = self.clear_full_line(keys)?;
            keys += 1;
            let pressed = Instant::now();
            self.terminal.press("x")?;
            self.talk_until(args, began, "the echo of a key", |typist, _| {
                typist.has_typed(keys)
            })?;
            echo.record(nanoseconds(pressed.elapsed()));
            let next = Instant::now() + BETWEEN_KEYS;
            self.talk_until(args, began, "the next key", |_, now| now >= next)?;
        }
        let took = nanoseconds(began.elapsed());
        let cpu = process.cpu()? - cpu;
        let memory = process.memory()?;

        let mut report = Report::default();
        report.add_ms("paint_ms", nanoseconds(painted));
        report.add("keys", echo.count());
        report.add_ms("echo_p50_ms", echo.permille(500));
        report.add_ms("echo_p99_ms", echo.permille(990));
        report.add_ms("echo_max_ms", echo.max());
        report.add_ratio("lines_per_s", (self.talker.said - said) * 1_000_000_000, took);
        report.add_ratio("client_cpu", cpu, took);
        report.add_ratio(
            "drawn_kb_per_s",
            (self.terminal.drawn() - drawn) * 1_000_000,
            took,
        );
        report.add("peak_kb", memory.peak);
        report.add("own_kb", memory.own);
        Ok(report)
    }

    fn clear_full_line(&mut self, keys: u16) -> anyhow::Result<u16> {
        if keys < KEYS_IN_LINE {
            return Ok(keys);
        }
        self.terminal.press("\x15")?;
        self.wait("an empty line", |typist| typist.has_typed(0))?;
        Ok(0)
    }

    /// Whether this many characters are after the prompt.
    fn has_typed(&self, keys: u16) -> bool {
        self.terminal.screen().cursor_position() == (SIZE.rows - 1, 2 + keys)
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while !done(self) {
            ensure!(
                Instant::now() < until,
                "timed out waiting for the screen to show {what}"
            );
            self.turn()?;
        }
        Ok(())
    }

    /// Sends the messages of others at their rate until a condition holds.
    fn talk_until(
        &mut self,
        args: &Args,
        began: Instant,
        what: &str,
        done: impl Fn(&Self, Instant) -> bool,
    ) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let now = Instant::now();
            if done(self, now) {
                return Ok(());
            }
            ensure!(now < until, "timed out waiting for {what}");
            let due = nanoseconds(now - began) * u64::from(args.rate) / 1_000_000_000 + u64::from(args.burst);
            self.talker.say(due.saturating_sub(self.talker.said));
            self.turn()?;
        }
    }

    /// Waits briefly for input, and handles it.
    fn turn(&mut self) -> anyhow::Result<()> {
        let mut ready = [
            PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.talker.socket.as_fd(), self.talker.interest()),
        ];
        poll(
            &mut ready,
            PollTimeout::try_from(TICK).unwrap_or(PollTimeout::ZERO),
        )?;
        let [drawn, heard] = ready.map(|ready| ready.any().unwrap_or(false));
        if drawn {
            self.terminal.read()?;
        }
        if heard {
            self.talker.turn()?;
        }
        Ok(())
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
