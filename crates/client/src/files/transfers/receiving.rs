//! The bytes of one file that is received: put in order, and held until they are on the disk.

use crate::files::message::Hash;
use crate::files::request::BLOCK;
use std::collections::BTreeMap;

/// Bytes that a peer may have in this client's memory, for all its files together.
pub const CREDIT: u64 = 2 << 20;
/// What a piece takes in memory apart from its bytes.
const PIECE_OVERHEAD: u64 = 100;
/// Memory for pieces that arrived early. [`CREDIT`] in pieces of any sensible size is far below it.
const EARLY_MAX: u64 = 2 * CREDIT;

/// Invariant: `written <= ordered <= size`; `block` ends at `ordered`; what is in `early` ends behind it.
#[derive(Debug)]
pub(super) struct Receiving {
    size: u64,
    /// Bytes on the disk when it was accepted.
    pub(super) start: u64,
    /// The part must have this hash, and the sender is asked for it; until then nothing is written.
    unproven: Option<Hash>,
    /// On the disk.
    written: u64,
    /// One past the last byte without a gap.
    ordered: u64,
    /// In order, and not yet with the disk.
    block: Vec<u8>,
    /// By offset.
    early: BTreeMap<u64, Vec<u8>>,
    /// Memory of `early`.
    early_cost: u64,
    /// Bytes that came in and are not consumed: those in `block` and `early`, and with the disk.
    retained: u64,
    /// The hash of the whole file, once the sender has told it.
    hash: Option<Hash>,
    is_finishing: bool,
}

/// The peer broke the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Receiving {
    pub(super) fn new(size: u64, start: u64, hash: Hash) -> Self {
        Self {
            size,
            start,
            unproven: (start > 0).then_some(hash),
            written: start,
            ordered: start,
            block: Vec::new(),
            early: BTreeMap::new(),
            early_cost: 0,
            retained: 0,
            hash: None,
            is_finishing: false,
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn retained(&self) -> u64 {
        self.retained
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.is_finishing
    }

    /// Nothing has come yet.
    pub(super) fn is_untouched(&self) -> bool {
        self.ordered == self.start && self.early.is_empty() && self.hash.is_none()
    }

    /// The sender's hash of the first bytes. `None` if it was not asked for, else whether it is the part's.
    pub(super) fn prove(&mut self, offset: u64, hash: &Hash) -> Option<bool> {
        let own = self.unproven.filter(|_| offset == self.start)?;
        if own == *hash {
            self.unproven = None;
            self.put_in_order();
        }
        Some(own == *hash)
    }

    /// Bytes that arrived. How many of them are not held.
    pub(super) fn piece(&mut self, offset: u64, bytes: &[u8]) -> Result<u64, Broken> {
        let length = bytes.len() as u64;
        let end = offset
            .checked_add(length)
            .filter(|&end| end <= self.size)
            .ok_or(Broken)?;
        let held = self.early.get(&offset).map_or(0, Vec::len);
        if end <= self.ordered || held >= bytes.len() {
            return Ok(length);
        }
        let before = self.retained;
        self.retained += length;
        if offset <= self.ordered && self.unproven.is_none() {
            self.append(offset, bytes);
            self.put_in_order();
        } else {
            self.early_cost += length + PIECE_OVERHEAD;
            if let Some(shorter) = self.early.insert(offset, bytes.to_vec()) {
                self.release(&shorter);
            }
            if self.early_cost > EARLY_MAX {
                return Err(Broken);
            }
        }
        Ok(before + length - self.retained)
    }

    fn append(&mut self, offset: u64, bytes: &[u8]) {
        let known = usize::try_from(self.ordered.saturating_sub(offset)).unwrap_or(usize::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        self.retained -= (bytes.len() - new.len()) as u64;
        self.ordered += new.len() as u64;
        self.block.extend_from_slice(new);
    }

    fn put_in_order(&mut self) {
        while let Some(piece) = self.early.first_entry()
            && *piece.key() <= self.ordered
        {
            let (offset, bytes) = piece.remove_entry();
            self.early_cost -= bytes.len() as u64 + PIECE_OVERHEAD;
            self.append(offset, &bytes);
        }
    }

    fn release(&mut self, piece: &[u8]) {
        self.early_cost -= piece.len() as u64 + PIECE_OVERHEAD;
        self.retained -= piece.len() as u64;
    }

    /// The next bytes for the disk: whole blocks and the file's last one, or with `whatever` all that are in order.
    pub(super) fn take_block(&mut self, whatever: bool) -> Option<Vec<u8>> {
        let is_ready = self.block.len() >= BLOCK || self.ordered == self.size || whatever;
        (is_ready && !self.block.is_empty()).then(|| std::mem::take(&mut self.block))
    }

    /// The disk has written so many bytes more.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.written += bytes;
        self.retained -= bytes;
    }

    /// The sender's hash of the whole file.
    pub(super) fn done(&mut self, hash: Hash) -> Result<(), Broken> {
        let known = *self.hash.get_or_insert(hash);
        if known == hash { Ok(()) } else { Err(Broken) }
    }

    /// All is in order, and handed to the disk: the hash to finish with, once.
    pub(super) fn finish(&mut self) -> Option<Hash> {
        let is_whole = self.unproven.is_none() && self.ordered == self.size && self.block.is_empty();
        let hash = self.hash.filter(|_| is_whole && !self.is_finishing)?;
        self.is_finishing = true;
        Some(hash)
    }
}
