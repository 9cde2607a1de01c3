//! The client under test, in line mode.

use super::{Feed, Journal, Process, client_command};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::process::Command;

/// A running `chat-client` whose standard streams are pipes.
pub struct Client {
    process: Process,
    id: Option<String>,
}

impl Client {
    pub fn start(name: &str, server: SocketAddr, options: &[&str], journal: &Journal) -> Self {
        let mut command = client_command();
        command
            .args([server.ip().to_string(), server.port().to_string()])
            .args(options);
        Self::start_command(name, &mut command, journal)
    }

    pub fn start_command(name: &str, command: &mut Command, journal: &Journal) -> Self {
        Self {
            process: Process::start(name, journal, command),
            id: None,
        }
    }

    /// Waits until the client shows its own join under this nick.
    #[track_caller]
    pub fn wait_until_online(&mut self, nick: &str) {
        let start = format!("{nick}@");
        let id = self.process.stdout.wait(|lines, _| {
            let said = |line: &String| {
                let who = line.strip_suffix(" is online")?;
                who.strip_prefix(&start).map(str::to_owned)
            };
            lines.iter().find_map(said)
        });
        if id.is_none() {
            self.process.stdout.expect(&format!("{start}... is online"));
        }
        self.id = id;
    }

    /// The user's id, after [`Self::wait_until_online`].
    pub fn id(&self) -> &str {
        self.id.as_deref().expect("wait_until_online comes first")
    }

    /// The standard output.
    pub fn shows(&self) -> &Feed {
        &self.process.stdout
    }

    /// Waits for this private message, sealed, by whichever path it came.
    pub fn expect_private(&self, from: &str, text: &str) {
        let line = self.shows().expect(&format!("): {text}"));
        assert!(
            line.starts_with(&format!("private from {from} (sealed, ")),
            "{line:?}"
        );
    }

    /// The standard error.
    pub fn complains(&self) -> &Feed {
        &self.process.stderr
    }

    /// Types a line.
    pub fn line(&mut self, text: &str) {
        self.process.write(format!("{text}\n"));
    }
}

impl Deref for Client {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Client {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
