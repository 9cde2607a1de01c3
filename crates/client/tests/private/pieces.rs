//! Files beside the messages: who sends which pieces, and what becomes of each.

use chat_client::files::message::FileId;
use chat_client::files::piece::Piece;
use chat_proto::opaque::PublicKey;
use std::collections::{BTreeMap, VecDeque};

/// A file that a client sends.
pub(crate) struct Transfer {
    pub(crate) to: PublicKey,
    /// Pieces that were not sent yet, or lost.
    pub(crate) rest: VecDeque<Piece>,
}

/// What is known of all pieces.
#[derive(Default)]
pub(crate) struct Pieces {
    files: BTreeMap<FileId, File>,
    pub(crate) acked: usize,
    pub(crate) lost: usize,
    pub(crate) relayed: usize,
}

struct File {
    from: PublicKey,
    to: PublicKey,
    pieces: BTreeMap<u64, Fate>,
    /// Its sender crashed, so nobody reports the rest.
    is_abandoned: bool,
}

/// How often a piece was sent, and what became of that.
#[derive(Debug, Default)]
struct Fate {
    sent: usize,
    received: usize,
    acked: usize,
    lost: usize,
}

impl Pieces {
    fn fate(&mut self, from: PublicKey, piece: Piece) -> &mut Fate {
        let file = self.files.get_mut(&piece.id).expect("a file that was sent");
        assert_eq!(file.from, from);
        file.pieces.get_mut(&piece.offset).expect("a piece of it")
    }

    /// Pieces come from their sender to their receiver, whole, and not more often than they were sent.
    pub(crate) fn received(
        &mut self,
        at: PublicKey,
        label_key: Option<PublicKey>,
        piece: Piece,
        bytes: &[u8],
    ) {
        assert_eq!(bytes, content(piece), "{piece:?} is damaged");
        let file = self.files.get(&piece.id).expect("a file that was sent");
        assert_eq!(file.to, at, "{piece:?} came to another user");
        assert_eq!(label_key, Some(file.from), "{piece:?} came under another name");
        let fate = self.fate(file.from, piece);
        fate.received += 1;
        assert!(fate.received <= fate.sent, "{piece:?} came twice: {fate:?}");
    }

    pub(crate) fn acked(&mut self, from: PublicKey, piece: Piece) {
        let fate = self.fate(from, piece);
        fate.acked += 1;
        assert!(fate.received > 0, "{piece:?} is acknowledged and did not arrive");
        assert!(fate.acked + fate.lost <= fate.sent, "{piece:?}: {fate:?}");
        self.acked += 1;
    }

    /// Returns the file's receiver.
    pub(crate) fn lost(&mut self, from: PublicKey, piece: Piece) -> PublicKey {
        let fate = self.fate(from, piece);
        fate.lost += 1;
        assert!(fate.acked + fate.lost <= fate.sent, "{piece:?}: {fate:?}");
        self.lost += 1;
        self.files[&piece.id].to
    }

    /// A client begins to send a file.
    pub(crate) fn begun(&mut self, from: PublicKey, to: PublicKey, id: FileId, pieces: &VecDeque<Piece>) {
        let pieces = pieces.iter().map(|piece| (piece.offset, Fate::default()));
        let file = File {
            from,
            to,
            pieces: pieces.collect(),
            is_abandoned: false,
        };
        self.files.insert(id, file);
    }

    pub(crate) fn sent(&mut self, from: PublicKey, piece: Piece, is_relayed: bool) {
        self.fate(from, piece).sent += 1;
        self.relayed += usize::from(is_relayed);
    }

    pub(crate) fn crashed(&mut self, key: PublicKey) {
        let lost = self.files.values_mut().filter(|file| file.from == key);
        lost.for_each(|file| file.is_abandoned = true);
    }

    /// Checks at the end that each transmission has a result; `is_peaceful`: that all pieces arrived.
    pub(crate) fn check_end(&self, is_peaceful: bool) {
        for (id, file) in &self.files {
            for (offset, fate) in &file.pieces {
                let has_result = fate.acked + fate.lost == fate.sent;
                assert!(has_result || file.is_abandoned, "{id:?} at {offset}: {fate:?}");
                assert!(fate.acked > 0 || !is_peaceful, "{id:?} at {offset}: {fate:?}");
            }
        }
    }
}

/// The bytes of a piece, which say what it is.
pub(crate) fn content(piece: Piece) -> Vec<u8> {
    let Piece {
        id, offset, length, ..
    } = piece;
    let text = format!("piece {} {offset} ", id.0);
    text.into_bytes().into_iter().cycle().take(length).collect()
}
