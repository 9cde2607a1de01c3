//! A short conversation through the real programs, and a picture of the screen on which one of them ends up.

use crate::svg::{self, Ground};
use crate::terminal::{Size, Terminal};
use anyhow::{Context, ensure};
use clap::Parser;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Plays a conversation through chat-server and chat-client, and prints the screen of one user as SVG.
///
/// The screen is the real one: times, ports, and the colours that follow from the ports change from run to run.
#[derive(Debug, Parser)]
#[command(name = "chat-picture", version)]
pub struct Args {
    /// The server's program.
    #[arg(long, value_name = "FILE")]
    pub server: PathBuf,

    /// The client's program.
    #[arg(long, value_name = "FILE")]
    pub client: PathBuf,

    /// Columns of the terminal.
    #[arg(long, value_name = "N", default_value_t = 80)]
    pub columns: u16,

    /// Rows of the terminal.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub rows: u16,

    /// The terminal's background.
    #[arg(long, value_enum, default_value = "dark")]
    pub ground: Ground,
}

/// Plays the conversation and draws the screen of alice.
///
/// # Errors
/// If a program can't be started, or a line does not reach the screen.
pub fn run(args: &Args) -> anyhow::Result<String> {
    let server = Server::start(&args.server)?;
    let size = Size {
        columns: args.columns,
        rows: args.rows,
    };
    let mut alice = Terminal::start(&mut client(&args.client, "alice", server.address), size)?;
    alice.wait_for("/help")?;

    let mut bob = Scripted::start(&args.client, "bob", server.address)?;
    alice.wait_for("bob@")?;
    bob.say("morning all, the switch in rack 3 is back")?;
    alice.wait_for("rack 3 is back")?;
    let mut lei = Scripted::start(&args.client, "李雷", server.address)?;
    alice.wait_for("李雷@")?;
    lei.say("大家好 👋")?;
    alice.wait_for("大家好")?;
    bob.say("alice: can you look at port 7? the wiring list says 12, and I trust neither of them")?;
    alice.wait_for("neither")?;

    alice.press("/msg bob the keys are under the mat\r")?;
    alice.wait_for("delivered")?;
    bob.say("/msg alice got them")?;
    alice.wait_for("got them")?;

    let mut carol = TcpStream::connect(server.address).context("can't reach the server")?;
    carol.write_all(b"/nick carol\nhello from nc\n")?;
    alice.wait_for("hello from nc")?;
    alice.press("/me looks\r")?;
    alice.wait_for("alice looks")?;
    alice.press("port 7 is")?;
    alice.wait_for("port 7 is")?;
    Ok(svg::draw(alice.screen(), args.ground))
}

fn client(program: &Path, nick: &str, server: SocketAddr) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--config", "/dev/null", "--nick", nick])
        .args([server.ip().to_string(), server.port().to_string()])
        .env("TZ", "UTC")
        .env("XDG_STATE_HOME", "/dev/null");
    command
}

/// A server of our own. Dropping it kills the program.
struct Server {
    program: Child,
    address: SocketAddr,
}

impl Server {
    fn start(program: &Path) -> anyhow::Result<Self> {
        let mut program = Command::new(program)
            .args(["127.0.0.1", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("can't start {}", program.display()))?;
        let mut line = String::new();
        let output = program.stdout.take().context("the server's output is a pipe")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim_end().strip_prefix("listening on ");
        let address = address
            .with_context(|| format!("the server says {line:?}"))?
            .parse()?;
        Ok(Self { program, address })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// A client in line mode that says what it is told to. Dropping it kills the program.
struct Scripted(Child);

impl Scripted {
    fn start(program: &Path, nick: &str, server: SocketAddr) -> anyhow::Result<Self> {
        let program = client(program, nick, server)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(program))
    }

    fn say(&mut self, line: &str) -> anyhow::Result<()> {
        ensure!(
            self.0.try_wait()?.is_none(),
            "a client ended before it said {line:?}"
        );
        let input = self.0.stdin.as_mut().context("the client's input is a pipe")?;
        writeln!(input, "{line}").context("the client reads no more lines")
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
