//! The file that keeps the bans, so that they survive a restart.

use crate::bans::Bans;
use anyhow::{Context, Result};
use chat_sys::files;
use std::io;
use std::path::{Path, PathBuf};

/// Where the bans are kept.
#[derive(Debug)]
pub(crate) struct BanFile {
    path: PathBuf,
}

impl BanFile {
    /// The bans in this file, which is made if it is missing: a file that can't be written shows at the start.
    ///
    /// # Errors
    /// If it can't be read or made, or others may write it, or it has a line that is no ban.
    pub(crate) fn open(path: &Path) -> Result<(Self, Bans)> {
        let about = || format!("bans file {}", path.display());
        let bans = match files::read_rules(path) {
            Ok(text) => Bans::parse(&text).with_context(about)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files::replace(path, b"").with_context(about)?;
                Bans::default()
            }
            Err(error) => return Err(error).with_context(about),
        };
        // A link stays one.
        let path = path.canonicalize().with_context(about)?;
        Ok((Self { path }, bans))
    }

    /// Keeps the bans instead of those in it.
    ///
    /// # Errors
    /// If it can't be written. It then has what it had.
    pub(crate) fn write(&self, bans: &str) -> Result<()> {
        let about = || format!("bans file {}", self.path.display());
        files::replace(&self.path, bans.as_bytes()).with_context(about)
    }
}
