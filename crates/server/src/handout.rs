//! The operators' code, handed to whoever started the server: on a terminal, or in a file of that user alone.

use anyhow::{Context, Result};
use chat_noise::operator::Code;
use chat_sys::files;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The file with the code, which is removed when the server ends.
#[derive(Debug)]
pub struct Handout {
    /// Where it is.
    pub path: PathBuf,
}

impl Handout {
    /// Writes the code of the server at this address. Its file replaces the one that a killed server left there.
    ///
    /// # Errors
    /// If there is no place for it, or it can't be written.
    pub fn write(code: &Code, server: SocketAddr) -> Result<Self> {
        let directory = files::state_directory().context("neither XDG_STATE_HOME nor HOME is set")?;
        // Shells take brackets for a pattern.
        let address = server.to_string().replace(['[', ']'], "");
        let path = directory.join(format!("operator-code-{address}"));
        let content = format!("{}\n", code.reveal());
        files::replace(&path, content.as_bytes()).with_context(|| path.display().to_string())?;
        Ok(Self { path })
    }
}

impl Drop for Handout {
    fn drop(&mut self) {
        // The code is of this run: a file that stays is of no use to anybody.
        let _ = fs::remove_file(&self.path);
    }
}
