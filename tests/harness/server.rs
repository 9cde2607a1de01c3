//! The server under test.

use super::{Client, Feed, Journal, Plain, Process, Rich, Wire, chat_server};
use nix::sys::signal::Signal;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

/// A running `chat-server` on a port of its own.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
    pub journal: Journal,
}

impl Server {
    /// Starts a server on the IPv4 loopback with these options.
    #[track_caller]
    pub fn start(options: &[&str]) -> Self {
        Self::start_on("127.0.0.1", options)
    }

    #[track_caller]
    pub fn start_on(address: &str, options: &[&str]) -> Self {
        let mut command = Command::new(chat_server());
        command.args([address, "0"]).args(options);
        Self::start_command(&mut command)
    }

    #[track_caller]
    pub fn start_command(command: &mut Command) -> Self {
        let journal = Journal::new();
        let process = Process::start("server", &journal, command);
        Self::listening(process, journal)
    }

    /// Starts a server whose log goes where the caller says.
    #[track_caller]
    pub fn start_logging_to(log: Stdio, options: &[&str]) -> Self {
        let journal = Journal::new();
        let mut command = Command::new(chat_server());
        command.args(["127.0.0.1", "0"]).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let process = Process::start_as_set_up("server", &journal, &mut command);
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
        }
    }

    /// The server's log.
    pub fn log(&self) -> &Feed {
        &self.process.stderr
    }

    /// The lines of the log about this, once the server has ended and no more can come.
    #[track_caller]
    pub fn log_at_end(&mut self, about: &str) -> Vec<String> {
        self.stop();
        self.log().with(about)
    }

    /// Ends the server as a system manager would.
    #[track_caller]
    pub fn stop(&mut self) {
        self.process.signal(Signal::SIGTERM);
        assert_eq!(self.process.exit_code(), 0, "{}", self.journal);
    }

    /// A connection that has said nothing yet.
    #[track_caller]
    pub fn connect(&self, name: &str) -> Wire {
        Wire::connect(name, self.address, &self.journal)
    }

    /// A plain user who is in the room.
    #[track_caller]
    pub fn plain(&self, name: &str) -> Plain {
        Plain::join(self.connect(name))
    }

    /// A plain user who is in the room and has taken the name as a nick.
    #[track_caller]
    pub fn plain_named(&self, name: &str) -> Plain {
        let mut user = self.plain(name);
        user.line(&format!("/nick {name}"));
        let renamed = format!(" is now {name}@{}", user.id());
        user.expect(&renamed);
        user
    }

    /// A user of the rich dialect who is in the room under this nick.
    #[track_caller]
    pub fn rich(&self, nick: &str) -> Rich {
        Rich::join(self.connect(nick), nick)
    }

    /// A `chat-client` that is in the room under this nick.
    #[track_caller]
    pub fn client(&self, nick: &str) -> Client {
        let mut client = Client::start(nick, self.address, &["--nick", nick], &self.journal);
        client.wait_until_online(nick);
        client
    }

    /// A `chat-client` with these options, wherever it has got to.
    pub fn start_client(&self, name: &str, options: &[&str]) -> Client {
        Client::start(name, self.address, options, &self.journal)
    }
}
