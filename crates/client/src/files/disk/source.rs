//! A file that is sent.

use super::error::Failure;
use super::hasher::{Hasher, Step};
use crate::files::message::{Hash, Reason, SIZE_MAX};
use crate::files::name::FileName;
use crate::files::request::{Answer, BLOCK};
use std::fs::{File, Metadata, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Invariant: `at <= size`, and the hasher has hashed the bytes before `at`, unless it is behind.
pub(super) struct Source {
    file: File,
    found: Metadata,
    at: u64,
    hasher: Hasher,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<(Self, Answer), Failure> {
        let mut options = OpenOptions::new();
        // Opening a FIFO would wait for its writer.
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = options.open(path).map_err(Failure::reading)?;
        let found = file.metadata().map_err(Failure::reading)?;
        if found.is_dir() {
            let hint = "it is a directory: make one file of it with tar, and send that";
            return Err(Failure::new(Reason::CannotRead, hint));
        }
        if !found.is_file() || found.len() > SIZE_MAX {
            return Err(Failure::new(Reason::CannotRead, "it is not a regular file"));
        }
        let answer = Answer::Source {
            size: found.len(),
            modified: u64::try_from(found.mtime()).unwrap_or(0),
            name: FileName::new(path.file_name().unwrap_or_default().as_bytes()),
        };
        let source = Self {
            file,
            found,
            at: 0,
            hasher: Hasher::new(0),
        };
        Ok((source, answer))
    }

    pub(super) fn is_hashing(&self) -> bool {
        self.hasher.is_behind()
    }

    pub(super) fn skip(&mut self, bytes: u64) -> Result<(), Failure> {
        if bytes > self.found.len() {
            return Err(changed("it became shorter meanwhile"));
        }
        self.at = bytes;
        self.hasher = Hasher::new(bytes);
        Ok(())
    }

    pub(super) fn hash_on(&mut self) -> Result<Option<Answer>, Failure> {
        Ok(match self.hasher.step(&self.file)? {
            Step::Done => Some(Answer::Hashed(self.hasher.hash())),
            Step::Told(bytes) => Some(Answer::Progress(bytes)),
            Step::Silent => None,
        })
    }

    pub(super) fn read(&mut self) -> Result<Vec<u8>, Failure> {
        let left = self.found.len() - self.at;
        let mut block = vec![0; usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK))];
        self.file
            .read_exact_at(&mut block, self.at)
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::UnexpectedEof => changed("it became shorter meanwhile"),
                _ => Failure::reading(error),
            })?;
        self.hasher.add(&block);
        self.at += block.len() as u64;
        Ok(block)
    }

    /// The hash of the file, if it is as it was when it was opened.
    pub(super) fn end(&mut self) -> Result<Hash, Failure> {
        let now = self.file.metadata().map_err(Failure::reading)?;
        let times = |of: &Metadata| (of.mtime(), of.mtime_nsec());
        // A file such as those of /proc says nothing of its size.
        let is_longer = self.file.read_at(&mut [0], self.at).map_err(Failure::reading)? > 0;
        if now.len() != self.found.len() || times(&now) != times(&self.found) || is_longer {
            return Err(changed("it was changed meanwhile"));
        }
        Ok(self.hasher.hash())
    }
}

fn changed(text: &str) -> Failure {
    Failure::new(Reason::Changed, text)
}
