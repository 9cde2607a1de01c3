//! The file that remembers the keys of servers, by what the user calls them.

use crate::address::Address;
use anyhow::{Context, Result};
use chat_proto::opaque::PublicKey;
use chat_sys::files;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Behind the key of a room that had a passphrase.
const MARK: &str = " passphrase";

/// What is remembered of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its key.
    pub key: PublicKey,
    /// Its room has a passphrase.
    pub has_phrase: bool,
}

/// The file. A line of it is `HOST PORT KEY`, and `passphrase` if the room has one; the first one for a server holds.
#[derive(Clone, Debug)]
pub struct KnownServers(PathBuf);

impl KnownServers {
    /// The path of the file, if a state directory or a home is known.
    #[must_use]
    pub fn find() -> Option<Self> {
        Some(Self(files::state_directory()?.join("known-servers")))
    }

    /// What is remembered of a server, if anything.
    ///
    /// # Errors
    /// If the file can't be read; a missing one is empty. Names the file.
    pub fn recall(&self, server: &Address) -> Result<Option<Known>> {
        let content = self.read()?;
        Ok(content.lines().find_map(|line| known_in(line, server)))
    }

    /// Remembers a server.
    ///
    /// # Errors
    /// If the file can't be written; names it.
    pub fn remember(&self, server: &Address, known: Known) -> Result<()> {
        let mark = if known.has_phrase { MARK } else { "" };
        let line = format!("{} {}{mark}\n", name(server), known.key);
        files::append(&self.0, line.as_bytes()).with_context(|| self.0.display().to_string())
    }

    /// Forgets the key of a server. Whether there was one.
    ///
    /// # Errors
    /// If the file can't be read or written; names it.
    pub fn forget(&self, server: &Address) -> Result<bool> {
        let content = self.read()?;
        let (gone, kept): (Vec<&str>, Vec<&str>) = content
            .split_inclusive('\n')
            .partition(|line| known_in(line.trim_end(), server).is_some());
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
}

/// A server as the file names it. Names of hosts have no case.
fn name(server: &Address) -> String {
    server.to_string().to_ascii_lowercase()
}

/// What this line says, if it is about this server.
fn known_in(line: &str, server: &Address) -> Option<Known> {
    let rest = line.strip_prefix(&name(server))?.strip_prefix(' ')?;
    let unmarked = rest.strip_suffix(MARK);
    let key = unmarked.unwrap_or(rest).parse().ok()?;
    Some(Known {
        key,
        has_phrase: unmarked.is_some(),
    })
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
        let is = |number: u8, has_phrase| Known {
            key: Opaque([number; 32]),
            has_phrase,
        };
        assert_eq!(known.recall(&lab).unwrap(), None);
        assert!(!known.forget(&lab).unwrap());
        known.remember(&lab, is(1, true)).unwrap();
        known.remember(&other, is(2, false)).unwrap();
        known.remember(&lab, is(3, false)).unwrap();
        assert_eq!(known.recall(&server("lab.EXAMPLE")).unwrap(), Some(is(1, true)));
        assert_eq!(known.recall(&other).unwrap(), Some(is(2, false)));
        assert!(known.forget(&lab).unwrap());
        assert_eq!(known.recall(&lab).unwrap(), None);
        assert_eq!(known.recall(&other).unwrap(), Some(is(2, false)));
        fs::remove_dir_all(directory).unwrap();
    }
}
