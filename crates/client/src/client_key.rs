//! The key by which others know this client, which it keeps over runs.

use crate::private::random;
use anyhow::{Context, Result, anyhow};
use chat_proto::opaque::Opaque;
use chat_sys::files::{self, OwnSecret};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A secret key, and why it is not the kept one.
pub struct ClientKey {
    /// The secret.
    pub secret: [u8; 32],
    /// What the user should know.
    pub warning: Option<String>,
    kept: Option<Kept>,
}

/// Bytes of the file of `time` that are read.
const TIME_MAX: u64 = 64;

/// What outlives this run.
struct Kept {
    /// No other run has the key meanwhile: the server would take both for one client.
    _lock: OwnSecret,
    /// The file of `time`.
    path: PathBuf,
    /// The time of the last private handshake that was begun with the key, in milliseconds since 1970.
    time: u64,
}

impl ClientKey {
    /// The kept key, which is made if it is missing. A key of this run alone if another run uses it, or it can't be kept.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn load() -> Result<Self> {
        Self::load_from(files::state_directory().as_deref())
    }

    fn load_from(directory: Option<&Path>) -> Result<Self> {
        let secret = random::secret()?;
        let fresh = |warning| Self {
            secret,
            warning,
            kept: None,
        };
        let Some(path) = directory.map(|directory| directory.join("client-key")) else {
            return Ok(fresh(None));
        };
        let about = |reason: anyhow::Error| {
            let path = path.display();
            format!("you have a new key in this run, by which nobody knows you: {path}: {reason:#}")
        };
        Ok(match OwnSecret::lock(&path, || Opaque(secret).to_string()) {
            // No directory can be there: the user wants nothing kept.
            Err(error) if error.kind() == ErrorKind::NotADirectory => fresh(None),
            Err(error) => fresh(Some(about(error.into()))),
            Ok(None) => fresh(Some(
                "another chat-client of yours is running: you have a new key in this run, by which nobody knows you".into(),
            )),
            Ok(Some(lock)) => match lock.read().map(|text| text.parse()) {
                Ok(Ok(Opaque(secret))) => {
                    let mut kept = Kept {
                        _lock: lock,
                        path: path.with_file_name("client-key-time"),
                        time: 0,
                    };
                    let warning = kept.load().err().map(|error| {
                        format!("if your clock was set back, peers may ignore this run: {error:#}")
                    });
                    Self {
                        secret,
                        warning,
                        kept: Some(kept),
                    }
                }
                Ok(Err(_)) => fresh(Some(about(anyhow!(
                    "this is no key; if you delete the file, the next run makes one"
                )))),
                Err(error) => fresh(Some(about(error.into()))),
            },
        })
    }

    /// The time of the last private handshake that an earlier run began with the key, or this one.
    #[must_use]
    pub fn last_time(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.time)
    }

    /// Keeps the time of a handshake for later runs, if the key is kept.
    ///
    /// # Errors
    /// If the file can't be written; names it. Said once for each time.
    pub fn keep_time(&mut self, time: u64) -> Result<()> {
        let Some(kept) = self.kept.as_mut().filter(|kept| kept.time < time) else {
            return Ok(());
        };
        kept.time = time;
        files::replace(&kept.path, format!("{time}\n").as_bytes())
            .with_context(|| kept.path.display().to_string())
    }
}

impl Kept {
    /// Reads `time`. Without a file it stays as it is.
    fn load(&mut self) -> Result<()> {
        let about = || self.path.display().to_string();
        let mut text = String::new();
        match File::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened.and_then(|file| file.take(TIME_MAX).read_to_string(&mut text)),
        }
        .with_context(about)?;
        self.time = text.trim_end().parse().with_context(about)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_key_is_kept_for_one_run_at_a_time() {
        let directory = std::env::temp_dir().join(format!("chat-client-key-{}", std::process::id()));
        let load = || ClientKey::load_from(Some(&directory)).unwrap();
        let first = load();
        assert_eq!(first.warning, None);
        let meanwhile = load();
        assert!(
            meanwhile
                .warning
                .unwrap()
                .contains("another chat-client of yours")
        );
        assert_ne!(meanwhile.secret, first.secret);
        let secret = first.secret;
        drop(first);
        assert_eq!(load().secret, secret);
        fs::write(directory.join("client-key"), "no key").unwrap();
        assert!(load().warning.unwrap().contains("client-key: this is no key"));
        assert_eq!(
            fs::read(directory.join("client-key")).unwrap(),
            b"no key",
            "it is not replaced"
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn the_time_of_a_handshake_is_kept_with_the_key() {
        let directory = std::env::temp_dir().join(format!("chat-client-time-{}", std::process::id()));
        let load = || ClientKey::load_from(Some(&directory)).unwrap();
        let mut first = load();
        assert_eq!(first.last_time(), 0);
        for time in [7, 9, 8, 0] {
            first.keep_time(time).unwrap();
        }
        // A second run has another key, and keeps no time.
        let mut meanwhile = load();
        meanwhile.keep_time(99).unwrap();
        assert_eq!(meanwhile.last_time(), 0);
        drop(first);
        assert_eq!(load().last_time(), 9);
        let file = directory.join("client-key-time");
        for damaged in [&b"nine"[..], b"", b"\xFF", &[b'9'; 4096]] {
            fs::write(&file, damaged).unwrap();
            let mut run = load();
            assert!(run.warning.as_ref().unwrap().contains("client-key-time: "));
            assert!(
                load().warning.unwrap().contains("another chat-client"),
                "the key is locked"
            );
            run.keep_time(10).unwrap();
            drop(run);
            assert_eq!(load().last_time(), 10);
        }
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn without_a_state_directory_nothing_is_kept_or_said() {
        for directory in [None, Some(Path::new("/dev/null/chat"))] {
            let key = ClientKey::load_from(directory).unwrap();
            assert_eq!(key.warning, None);
            assert_ne!(key.secret, ClientKey::load_from(directory).unwrap().secret);
        }
    }
}
