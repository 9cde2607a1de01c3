//! The operators' code, handed to whoever started the server: on a terminal, or in a file of that user alone.

use anyhow::{Context, Result};
use chat_noise::operator::Code;
use chat_sys::files::{self, Lock};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// How the names of these files begin.
const PREFIX: &str = "operator-code-";

/// The file with the code, which is removed when the server ends.
#[derive(Debug)]
pub struct Handout {
    /// Where it is.
    pub path: PathBuf,
    /// The open file, locked while the server lives.
    _lock: Lock,
}

impl Handout {
    /// Writes the code of the server at this address, and removes the files that killed servers left.
    ///
    /// # Errors
    /// If there is no place for it, or it can't be written.
    pub fn write(code: &Code, server: SocketAddr) -> Result<Self> {
        let directory = files::state_directory().context("neither XDG_STATE_HOME nor HOME is set")?;
        // Shells take brackets for a pattern.
        let address = server.to_string().replace(['[', ']'], "");
        let path = directory.join(format!("{PREFIX}{address}"));
        let lock = publish(&path, code).with_context(|| path.display().to_string())?;
        Ok(Self { path, _lock: lock })
    }
}

fn publish(path: &Path, code: &Code) -> io::Result<Lock> {
    // A server that begins at the same time must not find the file before it is locked.
    let _begins = files::lock_beside(path)?;
    remove_left(path);
    files::replace(path, format!("{}\n", code.reveal()).as_bytes())?;
    Flock::lock(File::open(path)?, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| error.into())
}

/// Removes the files beside this one that no living server has locked. What fails is tried again at the next start.
fn remove_left(path: &Path) {
    let entries = path.parent().and_then(|directory| fs::read_dir(directory).ok());
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_code = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_code || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else {
            continue;
        };
        if Flock::lock(file, FlockArg::LockExclusiveNonblock).is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

impl Drop for Handout {
    fn drop(&mut self) {
        // The code is of this run: a file that stays is of no use to anybody.
        let _ = fs::remove_file(&self.path);
    }
}
