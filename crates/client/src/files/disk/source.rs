//! A file that is sent.

use super::error::Failure;
use super::hasher::{Hasher, Step};
use crate::files::message::{Hash, Reason, SIZE_MAX};
use crate::files::name::FileName;
use crate::files::request::{Answer, BLOCK};
use rustix::io::Errno;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Invariant: `at <= size`, and the hasher has hashed the bytes before `at`, unless it is behind.
pub(super) struct Source {
    path: PathBuf,
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
        let file = options
            .open(path)
            .map_err(|error| match Errno::from_io_error(&error) {
                // A socket, or a device that is not there.
                Some(Errno::NXIO) => irregular(),
                _ => Failure::reading(error),
            })?;
        let found = file.metadata().map_err(Failure::reading)?;
        if found.is_dir() {
            let hint = "it is a directory: make one file of it with tar, and send that";
            return Err(Failure::new(Reason::CannotRead, hint));
        }
        // Files of /proc have more bytes than their size says.
        let has_no_size =
            |file: &File| found.len() == 0 && file.read_at(&mut [0], 0).is_ok_and(|read| read > 0);
        if !found.is_file() || found.len() > SIZE_MAX || has_no_size(&file) {
            return Err(irregular());
        }
        let answer = Answer::Source {
            size: found.len(),
            modified: u64::try_from(found.mtime()).unwrap_or(0),
            name: FileName::new(path.file_name().unwrap_or_default().as_bytes()),
        };
        let source = Self {
            path: path.to_owned(),
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
            return Err(changed());
        }
        self.at = bytes;
        self.hasher = Hasher::new(bytes);
        Ok(())
    }

    pub(super) fn hash_on(&mut self) -> Result<Option<Answer>, Failure> {
        Ok(match self.hasher.step(&self.file).map_err(unread)? {
            Step::Done => Some(Answer::Hashed(self.hasher.hash())),
            Step::Told(bytes) => Some(Answer::Progress(bytes)),
            Step::Silent => None,
        })
    }

    pub(super) fn read(&mut self) -> Result<Vec<u8>, Failure> {
        let left = self.found.len() - self.at;
        let mut block = vec![0; usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK))];
        self.file.read_exact_at(&mut block, self.at).map_err(unread)?;
        self.hasher.add(&block);
        self.at += block.len() as u64;
        Ok(block)
    }

    /// The hash of the file, if it is as it was when it was opened, and still under its path: many programs save a file by
    /// replacing it.
    pub(super) fn end(&mut self) -> Result<Hash, Failure> {
        let identity = |of: &Metadata| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec());
        let there = std::fs::metadata(&self.path);
        let is_longer = self.file.read_at(&mut [0], self.at).map_err(Failure::reading)? > 0;
        if is_longer || !there.is_ok_and(|there| identity(&there) == identity(&self.found)) {
            return Err(changed());
        }
        Ok(self.hasher.hash())
    }
}

fn irregular() -> Failure {
    Failure::new(Reason::CannotRead, "it is not a regular file")
}

fn unread(error: io::Error) -> Failure {
    match error.kind() {
        // It became shorter.
        io::ErrorKind::UnexpectedEof => changed(),
        _ => Failure::reading(error),
    }
}

fn changed() -> Failure {
    Failure::new(Reason::Changed, Reason::Changed.to_string())
}
