//! The server under test.

use super::{
    Client, DEADLINE, Feed, Journal, Plain, Process, Rich, SERVER_STATE, Wire, chat_server, server_command,
};
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

/// A running `chat-server` on a port of its own.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
    pub journal: Journal,
    /// The ids of connections made only to be logged.
    fences: Mutex<Vec<String>>,
}

impl Server {
    /// Starts a server on the IPv4 loopback with these options.
    #[track_caller]
    pub fn start(options: &[&str]) -> Self {
        Self::start_on("127.0.0.1", options)
    }

    #[track_caller]
    pub fn start_on(address: &str, options: &[&str]) -> Self {
        let mut command = server_command();
        command.args([address, "0"]).args(options);
        Self::start_command(&mut command)
    }

    #[track_caller]
    pub fn start_command(command: &mut Command) -> Self {
        let journal = Journal::new();
        let process = Process::start("server", &journal, command);
        Self::listening(process, journal)
    }

    /// Starts a server that logs to `log`.
    #[track_caller]
    pub fn start_logging_to(log: Stdio, options: &[&str]) -> Self {
        let journal = Journal::new();
        let mut command = server_command();
        command.args(["127.0.0.1", "0"]).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let process = Process::start_as_set_up("server", &journal, &mut command);
        Self::listening(process, journal)
    }

    /// Starts a server with these sockets, as a service manager does, and without its log.
    #[track_caller]
    pub fn start_with_sockets(listener: OwnedFd, rendezvous: OwnedFd, options: &[&str]) -> Self {
        let journal = Journal::new();
        let mut command = with_sockets(Stdio::from(listener), Some(Stdio::from(rendezvous)));
        let process = Process::start_as_set_up("server", &journal, command.args(options));
        Self::listening(process, journal)
    }

    #[track_caller]
    fn listening(process: Process, journal: Journal) -> Self {
        let line = process.stdout.expect("listening on ");
        let address = line
            .strip_prefix("listening on ")
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            journal.fail(&format!("no address in {line:?}"))
        };
        Self {
            process,
            address,
            journal,
            fences: Mutex::default(),
        }
    }

    /// The server's log.
    pub fn log(&self) -> &Feed {
        &self.process.stderr
    }

    /// The lines of the log that contain this text, up to now. The log is in order, so the line of a new connection comes
    /// after everything that has happened.
    #[track_caller]
    pub fn log_so_far(&self, about: &str) -> Vec<String> {
        let mut fence = self.connect("fence");
        // The blank line marks a plain user at once.
        fence.send("\n");
        self.log().expect(fence.id());
        let mut fences = self.fences.lock().unwrap();
        fences.push(fence.id().to_owned());
        let mut lines = self.log().with(about);
        lines.retain(|line| !fences.iter().any(|id| line.contains(id)));
        lines
    }

    /// Ends the server with SIGTERM. It waits a moment for users that are still connected.
    #[track_caller]
    pub fn stop(&mut self) {
        self.process.signal(Signal::SIGTERM);
        assert_eq!(self.process.exit_code(), 0, "{}", self.journal);
    }

    /// A connection that has sent nothing yet.
    #[track_caller]
    pub fn connect(&self, name: &str) -> Wire {
        Wire::connect(name, self.address, &self.journal)
    }

    /// Like [`Self::connect`], for a full room that may not have noticed a leave yet: tries until it gets a greeting.
    #[track_caller]
    pub fn connect_when_there_is_room(&self, name: &str) -> Wire {
        let until = Instant::now() + DEADLINE;
        loop {
            let mut wire = self.connect(name);
            if wire
                .next_line()
                .is_some_and(|line| line.starts_with("* chat version 1: "))
            {
                return wire;
            }
            if Instant::now() >= until {
                self.journal.fail(&format!("{name} finds no place"));
            }
        }
    }

    /// A plain user in the room.
    #[track_caller]
    pub fn plain(&self, name: &str) -> Plain {
        Plain::join(self.connect(name))
    }

    /// A plain user in the room, with its name as its nick.
    #[track_caller]
    pub fn plain_named(&self, name: &str) -> Plain {
        let mut user = self.plain(name);
        user.line(&format!("/nick {name}"));
        let renamed = format!(" is now {name}@{}", user.id());
        user.expect(&renamed);
        user
    }

    /// A rich user in the room under this nick.
    #[track_caller]
    pub fn rich(&self, nick: &str) -> Rich {
        Rich::join(self.connect(nick), nick)
    }

    /// A `chat-client` in the room under this nick.
    #[track_caller]
    pub fn client(&self, nick: &str) -> Client {
        let mut client = Client::start(nick, self.address, &["--nick", nick], &self.journal);
        client.wait_until_online(nick);
        client
    }

    /// A `chat-client` with these options, which may not have joined yet.
    pub fn start_client(&self, name: &str, options: &[&str]) -> Client {
        Client::start(name, self.address, options, &self.journal)
    }
}

/// The command of a server to which a service manager passes one socket, or two and no log.
pub fn with_sockets(first: Stdio, second: Option<Stdio>) -> Command {
    let mut shell = Command::new("sh");
    let (count, second_is) = if second.is_some() {
        (2, "4<&2 2>/dev/null")
    } else {
        (1, "")
    };
    let script =
        format!("exec 3<&0 {second_is} </dev/null; LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" \"$@\"");
    shell.args(["-c", &script]).arg(chat_server());
    shell.env("XDG_STATE_HOME", SERVER_STATE);
    shell.stdin(first).stdout(Stdio::piped());
    shell.stderr(second.unwrap_or_else(Stdio::piped));
    shell
}
