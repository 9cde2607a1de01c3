//! The file that remembers the keys of servers, by what the user calls them.

use crate::address::Address;
use crate::net::secure::Proven;
use anyhow::{Context, Result, bail};
use chat_noise::key;
use chat_proto::opaque::{Opaque, PublicKey};
use chat_sys::files::{self, Lock};
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
        Some(Self::at(files::state_directory()?.join("known-servers")))
    }

    /// The file with this path.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The usual file, and what it has of a server, if anything.
    ///
    /// # Errors
    /// If it can't be read; names it.
    pub fn look_up(server: &Address) -> Result<(Option<Self>, Option<Known>)> {
        let file = Self::find();
        let known = file.as_ref().map(|file| file.recall(server)).transpose();
        Ok((file, known.context("can't read the keys of servers")?.flatten()))
    }

    /// What is remembered of a server, if anything.
    ///
    /// # Errors
    /// If the file can't be read, or its line for the server is damaged; a missing file is empty. Names the file.
    pub fn recall(&self, server: &Address) -> Result<Option<Known>> {
        let content = self.read()?;
        let Some(rest) = content.lines().find_map(|line| about(line, server)) else {
            return Ok(None);
        };
        // Not the same as none: then any key would do.
        let Some(known) = parse(rest) else {
            bail!(
                "{}: the line of {server} holds no key; --forget-server removes it",
                self.0.display()
            );
        };
        Ok(Some(known))
    }

    /// Whether the key with this fingerprint is remembered, of any server. Lines that can't be read have none.
    #[must_use]
    pub fn has(&self, fingerprint: Opaque<16>) -> bool {
        let content = self.read().unwrap_or_default();
        let keys = content
            .lines()
            .filter_map(|line| parse(line.splitn(3, ' ').nth(2)?));
        keys.into_iter()
            .any(|known| key::fingerprint(&known.key) == fingerprint)
    }

    /// A server that is not known has proven its key. It is remembered, if the server keeps it. Returns what the user is to
    /// know about it.
    pub fn meet(&self, server: &Address, proven: Proven) -> String {
        let Proven { key, has_phrase, .. } = proven;
        let remembered = if proven.is_kept {
            self.remember(server, Known { key, has_phrase })
        } else {
            Err(anyhow::anyhow!("it is of this run only"))
        };
        match remembered {
            Ok(()) => format!("first time here: the key of {server} is {key}, remembered from now on"),
            Err(error) => format!("the key of {server} is {key}, and can't be remembered: {error:#}"),
        }
    }

    /// Remembers a server.
    fn remember(&self, server: &Address, known: Known) -> Result<()> {
        let _lock = self.lock()?;
        let content = self.read()?;
        // Else both lines would be damaged, and the key of the other server forgotten.
        let end = if content.is_empty() || content.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let mark = if known.has_phrase { MARK } else { "" };
        let line = format!("{end}{} {}{mark}\n", name(server), known.key);
        files::append(&self.0, line.as_bytes()).with_context(|| self.0.display().to_string())
    }

    /// A known server has proven its key. If its room has a passphrase now, that is remembered: whoever cuts it off later is
    /// noticed. Returns what the user is to know about it.
    pub fn meet_again(&self, server: &Address, before: Known, proven: Proven) -> Option<String> {
        if !proven.has_phrase || before.has_phrase || proven.key != before.key {
            return None;
        }
        Some(match self.mark(server) {
            Ok(()) => {
                format!("the room of {server} has a passphrase now; the client requires it from now on")
            }
            Err(error) => {
                format!("the room of {server} has a passphrase now, which can't be remembered: {error:#}")
            }
        })
    }

    fn mark(&self, server: &Address) -> Result<()> {
        let _lock = self.lock()?;
        let content = self.read()?;
        let marked = |line: &str| match about(line, server).and_then(parse) {
            Some(Known {
                has_phrase: false, ..
            }) => format!("{line}{MARK}\n"),
            _ => format!("{line}\n"),
        };
        let content: String = content.lines().map(marked).collect();
        files::replace(&self.0, content.as_bytes()).with_context(|| self.0.display().to_string())
    }

    /// Forgets the key of a server. Whether there was one.
    ///
    /// # Errors
    /// If the file can't be read or written; names it.
    pub fn forget(&self, server: &Address) -> Result<bool> {
        let _lock = self.lock()?;
        let content = self.read()?;
        let (gone, kept): (Vec<&str>, Vec<&str>) = content
            .split_inclusive('\n')
            .partition(|line| about(line.trim_end(), server).is_some());
        if !gone.is_empty() {
            files::replace(&self.0, kept.concat().as_bytes())
                .with_context(|| self.0.display().to_string())?;
        }
        Ok(!gone.is_empty())
    }

    /// Another client may change the file at the same time.
    fn lock(&self) -> Result<Lock> {
        files::lock_beside(&self.0).with_context(|| self.0.display().to_string())
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
fn about<'a>(line: &'a str, server: &Address) -> Option<&'a str> {
    let rest = line.strip_prefix(&name(server))?;
    // The line may be cut behind the port.
    let is_whole = rest.is_empty() || rest.starts_with(' ');
    is_whole.then(|| rest.trim_start())
}

/// What is remembered, as a line says it behind the server.
fn parse(rest: &str) -> Option<Known> {
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

    /// A file of this test's own, in a directory that does not exist yet.
    fn scratch(name: &str) -> (PathBuf, KnownServers) {
        let directory = std::env::temp_dir().join(format!("chat-{name}-{}", std::process::id()));
        let known = KnownServers(directory.join("below").join("known-servers"));
        (directory, known)
    }

    #[test]
    fn a_damaged_line_is_not_taken_for_none() {
        let (directory, known) = scratch("damaged");
        let server = |text: &str| text.parse::<Address>().unwrap();
        let key = Opaque([1; 32]);
        let cut = &key.to_string()[..42];
        for line in [
            "lab 9000",
            "lab 9000 ",
            &format!("lab 9000 {cut}"),
            &format!("lab 9000 {key} note"),
            &format!("lab 9000 {key}other 9000 {key}"),
        ] {
            files::replace(&known.0, format!("{line}\n").as_bytes()).unwrap();
            let error = known.recall(&server("lab")).unwrap_err().to_string();
            assert!(error.contains("--forget-server"), "{line}: {error}");
            assert_eq!(known.recall(&server("other")).unwrap(), None, "{line}");
            assert_eq!(known.recall(&server("lab 900")).unwrap(), None, "{line}");
            assert!(known.forget(&server("lab")).unwrap());
            assert_eq!(known.recall(&server("lab")).unwrap(), None, "{line}");
        }
        fs::write(&known.0, [0xFF]).unwrap();
        assert!(known.recall(&server("lab")).is_err());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_line_without_an_end_keeps_its_key() {
        let (directory, known) = scratch("no-end");
        let server = |text: &str| text.parse::<Address>().unwrap();
        let is = |number: u8| Known {
            key: Opaque([number; 32]),
            has_phrase: false,
        };
        files::replace(&known.0, format!("lab 9000 {}", is(1).key).as_bytes()).unwrap();
        known.remember(&server("other"), is(2)).unwrap();
        assert_eq!(known.recall(&server("lab")).unwrap(), Some(is(1)));
        assert_eq!(known.recall(&server("other")).unwrap(), Some(is(2)));
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn only_a_key_that_the_server_keeps_is_remembered() {
        let (directory, known) = scratch("kept");
        let server = |text: &str| text.parse::<Address>().unwrap();
        let proven = |is_kept, has_phrase| Proven {
            key: Opaque([1; 32]),
            is_kept,
            has_phrase,
        };
        let told = known.meet(&server("lab"), proven(false, false));
        assert!(
            told.ends_with("can't be remembered: it is of this run only"),
            "{told}"
        );
        assert_eq!(known.recall(&server("lab")).unwrap(), None);
        for (name, has_phrase) in [("open", false), ("closed", true)] {
            let told = known.meet(&server(name), proven(true, has_phrase));
            assert!(told.starts_with("first time here: "), "{told}");
            let found = known.recall(&server(name)).unwrap().unwrap();
            assert_eq!((found.key, found.has_phrase), (Opaque([1; 32]), has_phrase));
        }
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn keys_are_remembered_and_forgotten() {
        let (directory, known) = scratch("known");
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
        let again = |number, has_phrase| {
            let key = Opaque([number; 32]);
            let proven = Proven {
                key,
                is_kept: true,
                has_phrase,
            };
            known.meet_again(&other, is(2, false), proven)
        };
        assert_eq!((again(2, false), again(3, true)), (None, None));
        assert_eq!(known.recall(&other).unwrap(), Some(is(2, false)));
        assert!(again(2, true).unwrap().contains("has a passphrase now; "));
        assert_eq!(known.recall(&other).unwrap(), Some(is(2, true)));
        assert_eq!(known.recall(&lab).unwrap(), Some(is(1, true)));
        assert!(known.forget(&lab).unwrap());
        assert_eq!(known.recall(&lab).unwrap(), None);
        assert_eq!(known.recall(&other).unwrap(), Some(is(2, true)));
        fs::remove_dir_all(directory).unwrap();
    }
}
