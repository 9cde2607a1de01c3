//! Who may come in.

use anyhow::{Context, Result};
use chat_noise::cpace::Phrase;
use chat_proto::{PASSPHRASE, SEALED_ONLY};
use chat_sys::files;
use std::path::Path;

/// What a connection needs to join.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// The passphrase of the room.
    pub phrase: Option<Phrase>,
    /// Only encrypted connections, also without a passphrase.
    pub sealed_only: bool,
}

impl Door {
    /// With the passphrase in this file, if there is one.
    ///
    /// # Errors
    /// If the file with the passphrase can't be read, or others may read it, or it is empty. Names the file.
    pub fn load(file: Option<&Path>, sealed_only: bool) -> Result<Self> {
        Ok(Self {
            phrase: file.map(read).transpose()?,
            sealed_only,
        })
    }

    /// Whether plain users are turned away.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.sealed_only || self.phrase.is_some()
    }

    /// The end of the greeting then.
    #[must_use]
    pub fn clause(&self) -> &'static str {
        match self.phrase {
            Some(_) => PASSPHRASE,
            None => SEALED_ONLY,
        }
    }
}

fn read(path: &Path) -> Result<Phrase> {
    let about = || format!("passphrase file {}", path.display());
    let text = files::read_secret(path).with_context(about)?;
    Phrase::new(&text).with_context(|| format!("{} is empty", about()))
}
