//! A server whose lines a test writes itself.

use super::{DEADLINE, Journal, Wire};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

/// A token or key of the right length.
pub const TOKEN: &str = "AAECAwQFBgcICQoLDA0ODw";

/// Its greeting.
pub const GREETING: &str = "* chat version 1: you are here";

/// Its secret key.
pub const SECRET: [u8; 32] = [1; 32];

/// Only listens: each accepted connection is a [`Wire`] for the test to write to.
pub struct FakeServer {
    pub address: SocketAddr,
    pub journal: Journal,
    listener: TcpListener,
}

impl FakeServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            journal: Journal::new(),
            listener,
        }
    }

    /// The next client that connects.
    #[track_caller]
    pub fn accept(&self) -> Wire {
        let mut ready = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(DEADLINE).unwrap();
        if poll(&mut ready, limit) != Ok(1) {
            self.journal.fail("timed out waiting for a client");
        }
        let (stream, _) = self.listener.accept().unwrap();
        Wire::over("fake_server", stream, &self.journal)
    }

    /// The next client, after the lines of a regular server up to and including this stage.
    #[track_caller]
    pub fn accept_at(&self, stage: Stage) -> Wire {
        let mut client = self.accept();
        if stage >= Stage::Greeted {
            client.greet(GREETING, SECRET);
            client.expect("HELLO 1 ");
        }
        if stage >= Stage::Welcomed {
            client.line(&format!("WELCOME alice@{} {TOKEN} {TOKEN} 0", client.peer()));
        }
        if stage >= Stage::History {
            client.line("HISTORY -");
        }
        if stage >= Stage::Live {
            client.line("LIVE");
        }
        client
    }
}

/// How far the server of [`FakeServer::accept_at`] goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Connected,
    Greeted,
    Welcomed,
    History,
    Live,
}

impl Stage {
    pub const ALL: [Self; 5] = [
        Self::Connected,
        Self::Greeted,
        Self::Welcomed,
        Self::History,
        Self::Live,
    ];
}
