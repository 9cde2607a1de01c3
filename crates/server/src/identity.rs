//! The server's key, which proves to clients that it is the server that they know; and the handshakes that it proves it in.

use crate::compact::Timestamp;
use crate::handshake_queue::HandshakeQueue;
use crate::roster::Slot;
use anyhow::{Context, Result, bail};
use chat_noise::handshake::Server;
use chat_noise::key::KeyPair;
use chat_proto::opaque::{Opaque, PublicKey};
use chat_sys::files;
use std::collections::HashMap;
use std::path::Path;

/// The server's key, and where it is kept.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The key.
    pub key: KeyPair,
    /// Whether it is kept for the next run.
    pub is_kept: bool,
}

impl Identity {
    /// A key for this run alone.
    #[must_use]
    pub fn ephemeral(secret: [u8; 32]) -> Self {
        Self {
            key: KeyPair::from_secret(secret),
            is_kept: false,
        }
    }

    /// The key in this file, which is made if it is missing; else that in the usual file. Without a usual one, or if it
    /// can't be written, a key for this run, and the reason.
    ///
    /// # Errors
    /// If the file was named and has no key, or the system has no randomness.
    pub fn load(named: Option<&Path>) -> Result<(Self, Option<anyhow::Error>)> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).context("the system has no randomness")?;
        if let Some(path) = named {
            return Ok((Self::kept(path, secret)?, None));
        }
        let usual = match files::state_directory() {
            Some(directory) => Self::kept(&directory.join("server-key"), secret),
            None => Err(anyhow::anyhow!("neither XDG_STATE_HOME nor HOME is set")),
        };
        Ok(match usual {
            Ok(kept) => (kept, None),
            Err(error) => (Self::ephemeral(secret), Some(error)),
        })
    }

    fn kept(path: &Path, secret: [u8; 32]) -> Result<Self> {
        let about = || format!("key file {}", path.display());
        let text = files::keep_secret(path, || Opaque(secret).to_string()).with_context(about)?;
        let Ok(Opaque(secret)) = text.parse::<Opaque<32>>() else {
            bail!("{} does not hold a key", about());
        };
        Ok(Self {
            key: KeyPair::from_secret(secret),
            is_kept: true,
        })
    }

    /// What clients compare.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.key.public()
    }
}

/// The handshakes that wait for the client's second line.
pub(crate) struct Handshakes {
    pub(crate) identity: Identity,
    /// With the time of the first line, which no pause of the room changes. Boxed, because the map keeps its room after many
    /// at once.
    pub(crate) begun: HashMap<Slot, (Timestamp, Box<Server>)>,
    pub(crate) queue: HandshakeQueue,
}

impl Handshakes {
    pub(crate) fn new(identity: Identity) -> Self {
        Self {
            identity,
            begun: HashMap::new(),
            queue: HandshakeQueue::default(),
        }
    }

    /// Forgets the handshake of a connection.
    pub(crate) fn forget(&mut self, slot: Slot) {
        self.begun.remove(&slot);
        self.queue.forget(slot);
    }
}
