//! The file that remembers the keys of users that the user verified.

use crate::session::{VERIFIED_MAX, Verified};
use anyhow::{Context, Result};
use chat_proto::nick::Nick;
use chat_proto::opaque::PublicKey;
use chat_sys::files::{self, Lock};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

/// The file. A line of it is `KEY NICK`, or `KEY` for a user without a nick.
#[derive(Clone, Debug)]
pub struct VerifiedUsers(PathBuf);

/// Bytes of the file at most: twice what the keys take.
const FILE_MAX: usize = 2 * VERIFIED_MAX * (44 + 128);

impl VerifiedUsers {
    /// The path of the file, if a state directory or a home is known.
    #[must_use]
    pub fn find() -> Option<Self> {
        Some(Self(files::state_directory()?.join("verified")))
    }

    /// The keys, the first one first.
    ///
    /// # Errors
    /// If the file can't be read; a missing one is empty. Names the file.
    pub fn read(&self) -> Result<Vec<Verified>> {
        Ok(self.content()?.lines().filter_map(parse).collect())
    }

    /// Remembers a key, in place of what was said of it before.
    ///
    /// # Errors
    /// If the file can't be read or written; names it.
    pub fn add(&self, verified: &Verified) -> Result<()> {
        let _lock = self.lock()?;
        self.drop_lines(&[verified.key])?;
        let line = match &verified.nick {
            Some(nick) => format!("{} {nick}\n", verified.key),
            None => format!("{}\n", verified.key),
        };
        files::append(&self.0, line.as_bytes()).with_context(|| self.0.display().to_string())
    }

    /// Forgets keys.
    ///
    /// # Errors
    /// If the file can't be read or written; names it.
    pub fn remove(&self, keys: &[PublicKey]) -> Result<()> {
        let _lock = self.lock()?;
        self.drop_lines(keys)
    }

    /// Another client may change the file at the same time.
    fn lock(&self) -> Result<Lock> {
        files::lock_beside(&self.0).with_context(|| self.0.display().to_string())
    }

    fn drop_lines(&self, keys: &[PublicKey]) -> Result<()> {
        let content = self.content()?;
        let is_gone = |line: &&str| parse(line).is_some_and(|verified| keys.contains(&verified.key));
        let (gone, kept): (Vec<&str>, Vec<&str>) = content.split_inclusive('\n').partition(is_gone);
        if gone.is_empty() {
            return Ok(());
        }
        files::replace(&self.0, kept.concat().as_bytes()).with_context(|| self.0.display().to_string())
    }

    fn content(&self) -> Result<String> {
        let mut content = String::new();
        let read =
            File::open(&self.0).and_then(|file| file.take(FILE_MAX as u64 + 1).read_to_string(&mut content));
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            read => {
                read.with_context(|| self.0.display().to_string())?;
            }
        }
        // What is not read would be lost when the file is written.
        anyhow::ensure!(
            content.len() <= FILE_MAX,
            "{}: the file is too long",
            self.0.display()
        );
        Ok(content)
    }
}

fn parse(line: &str) -> Option<Verified> {
    let line = line.trim_end();
    let (key, nick) = match line.split_once(' ') {
        Some((key, nick)) => (key, Some(Nick::parse(nick).ok()?)),
        None => (line, None),
    };
    let key = key.parse().ok()?;
    Some(Verified { key, nick })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn verified_keys_are_remembered_and_forgotten() {
        let directory = std::env::temp_dir().join(format!("chat-verified-{}", std::process::id()));
        let file = VerifiedUsers(directory.join("below").join("verified"));
        let verified = |byte: u8, nick: &str| Verified {
            key: Opaque([byte; 32]),
            nick: Nick::parse(nick).ok(),
        };
        let (bob, nameless, rob) = (verified(1, "bob"), verified(2, ""), verified(1, "rob"));
        assert_eq!(file.read().unwrap(), []);
        file.remove(&[bob.key]).unwrap();
        file.add(&bob).unwrap();
        file.add(&nameless).unwrap();
        assert_eq!(file.read().unwrap(), [bob, nameless.clone()]);
        file.add(&rob).unwrap();
        assert_eq!(file.read().unwrap(), [nameless.clone(), rob.clone()]);
        assert_eq!(fs::metadata(&file.0).unwrap().mode() & 0o777, 0o600);
        file.remove(&[nameless.key]).unwrap();
        assert_eq!(file.read().unwrap(), std::slice::from_ref(&rob));
        // Lines that are not understood stay.
        files::append(&file.0, b"not a key\n").unwrap();
        file.remove(&[rob.key]).unwrap();
        assert_eq!(fs::read(&file.0).unwrap(), b"not a key\n");
        // A file that is too long is not cut.
        let long = vec![b'x'; FILE_MAX + 1];
        fs::write(&file.0, &long).unwrap();
        assert!(file.add(&rob).is_err() && file.read().is_err());
        assert_eq!(fs::read(&file.0).unwrap(), long);
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn clients_that_verify_at_once_lose_no_key() {
        let directory = std::env::temp_dir().join(format!("chat-verified-at-once-{}", std::process::id()));
        let file = VerifiedUsers(directory.join("verified"));
        std::thread::scope(|scope| {
            for byte in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    let (key, nick) = (Opaque([byte; 32]), None);
                    (0..20).for_each(|_| {
                        file.add(&Verified {
                            key,
                            nick: nick.clone(),
                        })
                        .unwrap()
                    });
                });
            }
        });
        assert_eq!(file.read().unwrap().len(), 4);
        fs::remove_dir_all(directory).unwrap();
    }
}
