//! The file that remembers the keys of servers, by what the user calls them.

use crate::address::Address;
use anyhow::{Context, Result};
use chat_proto::opaque::PublicKey;
use chat_sys::files;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// The file. A line of it is `HOST PORT KEY`; the first one for a server holds.
#[derive(Clone, Debug)]
pub struct KnownServers(PathBuf);

impl KnownServers {
    /// The path of the file, if a state directory or a home is known.
    #[must_use]
    pub fn find() -> Option<Self> {
        Some(Self(files::state_directory()?.join("known-servers")))
    }

    /// The key of a server, if it is remembered.
    ///
    /// # Errors
    /// If the file can't be read; a missing one is empty. Names the file.
    pub fn key(&self, server: &Address) -> Result<Option<PublicKey>> {
        let content = self.read()?;
        let keys = content.lines().filter_map(|line| key_in(line, server));
        Ok(keys.into_iter().next())
    }

    /// Remembers the key of a server.
    ///
    /// # Errors
    /// If the file can't be written; names it.
    pub fn remember(&self, server: &Address, key: PublicKey) -> Result<()> {
        self.append(&format!("{} {key}\n", name(server)))
            .with_context(|| self.0.display().to_string())
    }

    /// Forgets the key of a server. Whether there was one.
    ///
    /// # Errors
    /// If the file can't be read or written; names it.
    pub fn forget(&self, server: &Address) -> Result<bool> {
        let content = self.read()?;
        let (gone, kept): (Vec<&str>, Vec<&str>) = content
            .split_inclusive('\n')
            .partition(|line| key_in(line.trim_end(), server).is_some());
        if !gone.is_empty() {
            files::replace(&self.0, kept.concat().as_bytes())
                .with_context(|| self.0.display().to_string())?;
        }
        Ok(!gone.is_empty())
    }

    fn read(&self) -> Result<String> {
        match fs::read_to_string(&self.0) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(String::new())
            }
            read => read.with_context(|| self.0.display().to_string()),
        }
    }

    /// Adds a line in one write, so that clients that start at once lose none.
    fn append(&self, line: &str) -> io::Result<()> {
        if let Some(directory) = self.0.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.0)?;
        file.write_all(line.as_bytes())
    }
}

/// A server as the file names it. Names of hosts have no case.
fn name(server: &Address) -> String {
    server.to_string().to_ascii_lowercase()
}

/// The key in this line, if it is about this server.
fn key_in(line: &str, server: &Address) -> Option<PublicKey> {
    let key = line.strip_prefix(&name(server))?.strip_prefix(' ')?;
    key.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;

    #[test]
    fn keys_are_remembered_and_forgotten() {
        let directory = std::env::temp_dir().join(format!("chat-known-{}", std::process::id()));
        let known = KnownServers(directory.join("below").join("known-servers"));
        let server = |text: &str| text.parse::<Address>().unwrap();
        let (lab, other) = (server("Lab.example 9000"), server("lab.example 9001"));
        assert_eq!(known.key(&lab).unwrap(), None);
        assert!(!known.forget(&lab).unwrap());
        known.remember(&lab, Opaque([1; 32])).unwrap();
        known.remember(&other, Opaque([2; 32])).unwrap();
        known.remember(&lab, Opaque([3; 32])).unwrap();
        assert_eq!(known.key(&server("lab.EXAMPLE")).unwrap(), Some(Opaque([1; 32])));
        assert_eq!(known.key(&other).unwrap(), Some(Opaque([2; 32])));
        assert!(known.forget(&lab).unwrap());
        assert_eq!(known.key(&lab).unwrap(), None);
        assert_eq!(known.key(&other).unwrap(), Some(Opaque([2; 32])));
        fs::remove_dir_all(directory).unwrap();
    }
}
