//! A short conversation through the real programs, and a picture of the screen on which one of them ends up.

use crate::svg::{self, Ground};
use crate::terminal::{Size, Terminal};
use anyhow::{Context, ensure};
use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The sizes of the terminal, in columns and rows.
const SIZES: [(u16, u16); 4] = [(120, 35), (80, 24), (40, 12), (20, 5)];

/// Plays a conversation through chat-server and chat-client, and draws the screen of one user as SVG, on terminals of four
/// sizes, dark and light. Takes up to three minutes, because the times on the screen are real.
#[derive(Debug, Parser)]
#[command(name = "chat-picture", version)]
pub struct Args {
    /// The server's program.
    #[arg(long, value_name = "FILE")]
    pub server: PathBuf,

    /// The client's program.
    #[arg(long, value_name = "FILE")]
    pub client: PathBuf,

    /// Where the pictures go, such as 80x24-dark.svg.
    pub directory: PathBuf,
}

/// Plays the conversation and draws the screen of alice.
///
/// # Errors
/// If a program can't be started, a line does not reach the screen, or a picture can't be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let server = Server::start(&args.server)?;
    let size = |(columns, rows)| Size { columns, rows };
    let widest = SIZES.map(size)[0];
    let mut alice = Terminal::start(&mut client(&args.client, "alice", server.address), widest)?;
    alice.wait_for("/help")?;
    alice.press("/clear\r")?;
    alice.settle()?;
    let cast = play(&mut alice, |nick| {
        Scripted::start(&args.client, nick, server.address)
    })?;
    for (ground, name) in [(Ground::Dark, "dark"), (Ground::Light, "light")] {
        alice.press(&ground.answer())?;
        for (columns, rows) in SIZES {
            alice.resize(size((columns, rows)))?;
            alice.settle()?;
            let file = args.directory.join(format!("{columns}x{rows}-{name}.svg"));
            std::fs::write(&file, svg::draw(alice.screen(), ground))
                .with_context(|| format!("can't write {}", file.display()))?;
        }
    }
    drop(cast);
    Ok(())
}

/// The conversation, in three minutes. The clients must stay until the picture is drawn.
fn play(
    alice: &mut Terminal,
    start: impl Fn(&str) -> anyhow::Result<Scripted>,
) -> anyhow::Result<Vec<Scripted>> {
    let mut join = |nick: &str| {
        let user = start(nick)?;
        alice.wait_for(nick)?;
        anyhow::Ok(user)
    };
    let (mut bob, mut carol, mut lei) = (join("bob")?, join("carol")?, join("李雷")?);
    let (mut dave, mut timebot) = (join("dave")?, join("timebot")?);
    let mut others = (1..=36)
        .map(|number| start(&format!("student{number}")))
        .collect::<anyhow::Result<Vec<_>>>()?;
    alice.wait_for("42 here")?;
    drop(others.remove(6));
    alice.wait_for("- student7")?;

    next_minute();
    dave.tell(alice, "is the printer in 204 still out of paper?")?;
    timebot.tell(alice, "good morning: the lab closes at six")?;
    bob.tell(alice, "morning all, the switch in rack 3 is back")?;
    lei.tell(alice, "大家好 👋")?;
    bob.tell(
        alice,
        "alice: can you look at port 7? see https://example.org/wiki/Rack_3/ports?id=7&view=full for the wiring list, \
         third table from the top",
    )?;
    alice.press("/msg bob the keys are under the mat\r")?;
    alice.wait_for("mat  ok")?;
    bob.tell(alice, "/msg alice got them")?;
    // dave leaves before it arrives.
    dave.signal(Signal::SIGSTOP)?;
    alice.press("/msg dave are you there?\r")?;
    alice.wait_for("sending")?;
    drop(dave);
    alice.wait_for("not delivered")?;
    carol.tell(alice, "/me looks")?;
    alice.press("on my way\r")?;
    alice.wait_for("alice  on my way")?;
    alice.press("carol: I can read :)")?;
    alice.wait_for("read :)")?;

    // From here on, the terminal does not have the focus.
    alice.press("\x1b[O")?;
    next_minute();
    carol.tell(alice, "can somebody tell alice that lab 2 starts at ten?")?;
    carol.tell(alice, "ha")?;
    carol.tell(alice, "/msg alice see you there")?;
    others.push(start("student37")?);
    alice.wait_for("student37")?;
    bob.tell(alice, "does anybody have the slides?")?;
    timebot.tell(alice, "the next break is in 20 minutes")?;
    carol.tell(alice, "I do, one moment")?;
    others.extend([bob, carol, lei, timebot]);
    Ok(others)
}

/// Waits until the clock shows another minute.
fn next_minute() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    std::thread::sleep(Duration::from_secs(60 - now.as_secs() % 60));
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

    /// Says a line, and waits until its last word is on a screen.
    fn tell(&mut self, screen: &mut Terminal, line: &str) -> anyhow::Result<()> {
        self.say(line)?;
        screen.wait_for(&format!(" {}", line.rsplit(' ').next().unwrap_or_default()))
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.0.id())?);
        kill(pid, signal).context("a client ended")
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
