//! Hashing bytes that are on the disk already, a piece at a time.

use crate::files::message::Hash;
use ring::digest::{Context, SHA256};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes that are hashed at once.
const PIECE: usize = 1 << 20;
/// Bytes between two reports of progress.
const TOLD_EVERY: u64 = 32 << 20;

/// Hashes the first bytes of a file, and then bytes that are added.
pub(super) struct Hasher {
    context: Context,
    hashed: u64,
    /// Up to this byte, those of the file.
    until: u64,
}

/// How far it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Done,
    Told(u64),
    Silent,
}

impl Hasher {
    pub(super) fn new(until: u64) -> Self {
        Self {
            context: Context::new(&SHA256),
            hashed: 0,
            until,
        }
    }

    pub(super) fn is_behind(&self) -> bool {
        self.hashed < self.until
    }

    /// Reads and hashes the next piece.
    pub(super) fn step(&mut self, file: &File) -> io::Result<Step> {
        let length = usize::try_from(self.until - self.hashed).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = vec![0; length];
        file.read_exact_at(&mut piece, self.hashed)?;
        self.context.update(&piece);
        let before = self.hashed;
        self.hashed += length as u64;
        Ok(if !self.is_behind() {
            Step::Done
        } else if before / TOLD_EVERY != self.hashed / TOLD_EVERY {
            Step::Told(self.hashed)
        } else {
            Step::Silent
        })
    }

    /// Bytes behind those of the file.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.hashed += bytes.len() as u64;
        self.until = self.hashed;
    }

    pub(super) fn hash(&self) -> Hash {
        let mut hash = Hash::default();
        hash.copy_from_slice(self.context.clone().finish().as_ref());
        hash
    }
}
