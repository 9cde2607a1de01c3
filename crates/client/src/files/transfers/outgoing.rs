//! Files that this client offers and sends.

use super::event::{FileEvent, Number, Refusal, State, Status, Way, What};
use super::limits::{BEGINNINGS_MAX, OFFER_FOR, OFFERS_MAX, OFFERS_OF_PEER_MAX};
use super::outbox::Outbox;
use super::progress::{self, Progress, Transfer, Turns};
use super::sending::{Sending, Wanted};
use crate::files::message::{FileId, FileMessage, Hash, Offer, Reason};
use crate::files::name::FileName;
use crate::files::piece::Piece;
use crate::files::request::{Answer, Handle, Request};
use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug)]
struct Outgoing {
    peer: PublicKey,
    id: FileId,
    path: PathBuf,
    /// As it was offered; before that, only the name is known.
    offer: Option<Offer>,
    name: FileName,
    /// Without an answer, it is over then.
    until: Duration,
    is_accepted: bool,
    /// Since the last offer.
    accepts: u32,
    /// Bytes that were acknowledged before the last pause.
    reached: u64,
    /// Since its source was opened.
    progress: Progress,
    /// The hash of the whole file, once the receiver was told of it: from now on it may keep the file.
    done: Option<Hash>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The disk looks at the source, which is offered then.
    Checking(Handle),
    Offered,
    /// The receiver wants it, after others.
    Queued,
    /// It was accepted from this byte on, and waits for its turn.
    Waiting(u64),
    /// The disk opens the source.
    Opening(Handle, u64),
    /// The disk has hashed so many of the bytes that the receiver has.
    Hashing(Handle, u64, u64),
    Sending(Handle, Sending),
    /// All has arrived, and the source is closed: the receiver is to keep it.
    Sent,
    /// The peer is away.
    Paused,
}

impl Stage {
    fn handle(&self) -> Option<Handle> {
        match *self {
            Self::Checking(handle)
            | Self::Opening(handle, _)
            | Self::Hashing(handle, ..)
            | Self::Sending(handle, _) => Some(handle),
            Self::Offered | Self::Queued | Self::Waiting(_) | Self::Sent | Self::Paused => None,
        }
    }
}

impl Outgoing {
    fn size(&self) -> u64 {
        self.offer.as_ref().map_or(0, |offer| offer.size)
    }

    fn report(&self, number: Number, what: What, out: &mut Outbox) {
        out.report(FileEvent {
            number,
            way: Way::Sending,
            peer: self.peer,
            name: self.name.clone(),
            size: self.size(),
            what,
        });
    }

    /// The source is closed, if it is open.
    fn enter(&mut self, stage: Stage, out: &mut Outbox) {
        if let Some(handle) = self.stage.handle() {
            out.ask(handle, Request::Close);
        }
        if matches!(self.stage, Stage::Sending(..) | Stage::Sent) {
            self.reached = self.bytes();
        }
        self.stage = stage;
    }

    fn check(&mut self, out: &mut Outbox) {
        let handle = out.new_handle();
        out.ask(handle, Request::Open(self.path.clone()));
        self.stage = Stage::Checking(handle);
    }
}

impl Transfer for Outgoing {
    fn offered_until(&self) -> Option<Duration> {
        (!self.is_accepted).then_some(self.until)
    }

    fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }

    fn is_open(&self) -> bool {
        matches!(
            self.stage,
            Stage::Opening(..) | Stage::Hashing(..) | Stage::Sending(..)
        )
    }

    fn bytes(&self) -> u64 {
        match &self.stage {
            Stage::Checking(_) | Stage::Opening(..) | Stage::Offered => 0,
            Stage::Queued | Stage::Paused => self.reached,
            &Stage::Waiting(offset) => offset,
            &Stage::Hashing(_, _, hashed) => hashed,
            Stage::Sending(_, sending) => sending.acked(),
            Stage::Sent => self.size(),
        }
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn progress_mut(&mut self) -> &mut Progress {
        &mut self.progress
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Outgoings {
    table: BTreeMap<Number, Outgoing>,
    next_id: u32,
    /// The file that the last piece was from: others come first.
    last: Number,
}

impl Outgoings {
    /// Numbers of files begin there, so that those of an earlier run differ.
    pub(super) fn new(first_id: u32) -> Self {
        Self {
            table: BTreeMap::new(),
            next_id: first_id,
            last: Number(0),
        }
    }

    pub(super) fn offer(
        &mut self,
        now: Duration,
        number: Number,
        peer: PublicKey,
        path: &Path,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        let open = self.table.values().filter(|file| !file.is_accepted);
        if open.clone().filter(|file| file.peer == peer).count() >= OFFERS_OF_PEER_MAX {
            return Err(Refusal::TooManyOfPeer);
        }
        if open.count() >= OFFERS_MAX {
            return Err(Refusal::TooMany);
        }
        let base = path.file_name().unwrap_or_default();
        let mut file = Outgoing {
            peer,
            id: FileId(self.next_id),
            path: path.to_owned(),
            offer: None,
            name: FileName::new(base.as_bytes()),
            until: now + OFFER_FOR,
            is_accepted: false,
            accepts: 0,
            reached: 0,
            progress: Progress::default(),
            done: None,
            stage: Stage::Paused,
        };
        self.next_id = self.next_id.wrapping_add(1);
        if !out.is_away(&peer) {
            file.check(out);
        }
        self.table.insert(number, file);
        Ok(())
    }

    /// Ends a transfer. `false` if there is none.
    pub(super) fn end(
        &mut self,
        number: Number,
        reason: Reason,
        text: Option<Text<'static>>,
        out: &mut Outbox,
    ) -> bool {
        let Some(file) = self.table.get(&number) else {
            return false;
        };
        let is_known = file.offer.is_some();
        if let Some((peer, id)) = self.close(number, What::Failed(reason, text), out)
            && is_known
        {
            out.end(peer, FileMessage::Cancel(id, reason));
        }
        true
    }

    /// Forgets a transfer that is over.
    fn close(&mut self, number: Number, what: What, out: &mut Outbox) -> Option<(PublicKey, FileId)> {
        let mut file = self.table.remove(&number)?;
        file.enter(Stage::Paused, out);
        file.report(number, what, out);
        Some((file.peer, file.id))
    }

    /// A message about a file that this client sends. `false` if there is none.
    pub(super) fn message(&mut self, peer: &PublicKey, message: &FileMessage, out: &mut Outbox) -> bool {
        let id = message.id();
        let found = self
            .table
            .iter_mut()
            .find(|(_, file)| file.peer == *peer && file.id == id);
        let Some((&number, file)) = found else {
            return false;
        };
        match *message {
            // It is offered again first, and accepted again.
            FileMessage::Accept(..) | FileMessage::Queued(_)
                if matches!(file.stage, Stage::Checking(_) | Stage::Paused) => {}
            FileMessage::Queued(_) => {
                file.is_accepted = true;
                file.enter(Stage::Queued, out);
            }
            FileMessage::Accept(_, offset) => {
                file.accepts += 1;
                if offset > file.size() || file.accepts > BEGINNINGS_MAX {
                    self.end(number, Reason::Broken, None, out);
                    return true;
                }
                file.is_accepted = true;
                file.enter(Stage::Waiting(offset), out);
            }
            FileMessage::Decline(_, reason) => {
                self.close(number, What::Failed(reason, None), out);
            }
            FileMessage::Kept(_) if file.done.is_some() => {
                self.close(number, What::Kept, out);
            }
            FileMessage::Kept(_) => {
                self.end(number, Reason::Broken, None, out);
            }
            _ => {}
        }
        true
    }

    /// An answer of the disk. Returns it if no file that is sent has this handle.
    pub(super) fn answer(&mut self, handle: Handle, answer: Answer, out: &mut Outbox) -> Option<Answer> {
        let is_it = |file: &Outgoing| file.stage.handle() == Some(handle);
        let Some((&number, file)) = self.table.iter_mut().find(|(_, file)| is_it(file)) else {
            return Some(answer);
        };
        match (&mut file.stage, answer) {
            (_, Answer::Failed(reason, text)) => {
                // The disk has closed it.
                file.stage = Stage::Paused;
                self.end(number, reason, Some(text), out);
            }
            (Stage::Checking(_), Answer::Source { size, modified, name }) => {
                let offer = Offer {
                    id: file.id,
                    size,
                    modified,
                    name,
                };
                if file.offer.as_ref().is_some_and(|before| *before != offer) {
                    self.end(number, Reason::Changed, None, out);
                    return None;
                }
                file.enter(Stage::Offered, out);
                if file.offer.is_none() {
                    file.offer = Some(offer.clone());
                    file.report(number, What::Offered, out);
                }
                out.tell(file.peer, FileMessage::Offer(offer));
            }
            (&mut Stage::Opening(_, offset), Answer::Source { size, modified, .. }) => {
                let is_same = |offer: &Offer| (offer.size, offer.modified) == (size, modified);
                if !file.offer.as_ref().is_some_and(is_same) {
                    self.end(number, Reason::Changed, None, out);
                } else if offset == 0 {
                    file.stage = Stage::Sending(handle, Sending::new(size, 0, None));
                    file.report(number, What::Begun(0), out);
                } else {
                    file.stage = Stage::Hashing(handle, offset, 0);
                    out.ask(handle, Request::Skip(offset));
                }
            }
            (Stage::Hashing(_, _, hashed), Answer::Progress(bytes)) => *hashed = bytes,
            (&mut Stage::Hashing(_, offset, _), Answer::Hashed(hash)) => {
                let sending = Sending::new(file.size(), offset, Some((offset, hash)));
                file.stage = Stage::Sending(handle, sending);
                file.report(number, What::Begun(offset), out);
                out.tell(file.peer, FileMessage::Prefix(file.id, offset, hash));
            }
            (Stage::Sending(_, sending), Answer::Block(bytes)) => sending.add(bytes),
            (Stage::Sending(_, sending), Answer::End(hash)) => {
                sending.is_end_told = true;
                file.done = Some(hash);
                out.tell(file.peer, FileMessage::Done(file.id, hash));
            }
            _ => {}
        }
        None
    }

    pub(super) fn has(&self, peer: &PublicKey) -> bool {
        self.table.values().any(|file| file.peer == *peer)
    }

    pub(super) fn left(&mut self, peer: &PublicKey, out: &mut Outbox) {
        for (&number, file) in self.table.iter_mut().filter(|(_, file)| file.peer == *peer) {
            if !matches!(file.stage, Stage::Paused) {
                file.enter(Stage::Paused, out);
                file.report(number, What::Paused, out);
            }
        }
    }

    pub(super) fn joined(&mut self, peer: &PublicKey, out: &mut Outbox) {
        for file in self.table.values_mut().filter(|file| file.peer == *peer) {
            if matches!(file.stage, Stage::Paused) {
                file.accepts = 0;
                file.check(out);
            }
        }
    }

    /// Opens the sources whose turn it is, and reads ahead.
    pub(super) fn advance(&mut self, out: &mut Outbox) {
        let mut turns = Turns::new(&self.table);
        for file in self.table.values_mut() {
            match &mut file.stage {
                &mut Stage::Waiting(offset) if turns.take() => {
                    file.progress = Progress::default();
                    let handle = out.new_handle();
                    out.ask(handle, Request::Open(file.path.clone()));
                    file.stage = Stage::Opening(handle, offset);
                }
                Stage::Sending(_, sending) if sending.is_over() => {
                    file.enter(Stage::Sent, out);
                }
                Stage::Sending(handle, sending) => {
                    while let Some(wanted) = sending.wanted() {
                        let request = match wanted {
                            Wanted::Read => Request::Read,
                            Wanted::End => Request::End,
                        };
                        out.ask(*handle, request);
                    }
                }
                _ => {}
            }
        }
    }

    /// The next piece for a peer, of at most `max` bytes. Its files take turns.
    pub(super) fn next_piece(
        &mut self,
        peer: &PublicKey,
        max: usize,
        size_max: u64,
    ) -> Option<(Piece, &[u8])> {
        let (before, after): (Vec<_>, Vec<_>) = self
            .table
            .iter_mut()
            .filter(|(_, file)| file.peer == *peer && file.size() <= size_max)
            .partition(|(number, _)| **number <= self.last);
        for (&number, file) in after.into_iter().chain(before) {
            let id = file.id;
            if let Stage::Sending(handle, sending) = &mut file.stage
                && let Some((offset, bytes)) = sending.next(max)
            {
                self.last = number;
                let (length, handle) = (bytes.len(), *handle);
                return Some((
                    Piece {
                        id,
                        offset,
                        length,
                        handle,
                    },
                    bytes,
                ));
            }
        }
        None
    }

    /// A piece was acknowledged or lost.
    pub(super) fn settled(&mut self, piece: &Piece, has_arrived: bool) {
        for file in self.table.values_mut() {
            if let Stage::Sending(handle, sending) = &mut file.stage
                && *handle == piece.handle
            {
                if has_arrived {
                    sending.acknowledged(piece.offset, piece.length);
                } else {
                    sending.lost(piece.offset, piece.length);
                }
            }
        }
    }

    /// This message to the peer still holds.
    pub(super) fn holds(&self, peer: &PublicKey, message: &FileMessage) -> bool {
        let mut files = self.table.values();
        if let FileMessage::Cancel(id, Reason::Forgotten) = message {
            return !files.any(|file| file.peer == *peer && file.id == *id);
        }
        files.any(|file| {
            file.peer == *peer
                && match (message, &file.stage) {
                    (FileMessage::Offer(offer), Stage::Offered) => file.offer.as_ref() == Some(offer),
                    (FileMessage::Prefix(id, offset, hash), Stage::Sending(_, sending)) => {
                        file.id == *id && sending.prefix == Some((*offset, *hash))
                    }
                    (FileMessage::Done(id, hash), Stage::Sending(..) | Stage::Sent) => {
                        file.id == *id && file.done == Some(*hash)
                    }
                    _ => false,
                }
        })
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        progress::deadline(&self.table)
    }

    pub(super) fn expire(&mut self, now: Duration, out: &mut Outbox) {
        for number in progress::expired(&mut self.table, now) {
            self.end(number, Reason::Expired, None, out);
        }
    }

    pub(super) fn list(&self) -> impl Iterator<Item = Status> {
        self.table.iter().map(|(&number, file)| {
            let state = match &file.stage {
                Stage::Checking(_) | Stage::Opening(..) | Stage::Hashing(..) => State::Checking,
                Stage::Offered => State::Offered,
                Stage::Queued | Stage::Waiting(_) => State::Waiting,
                Stage::Sending(..) | Stage::Sent => State::Moving,
                Stage::Paused => State::Paused,
            };
            Status {
                number,
                way: Way::Sending,
                peer: file.peer,
                name: file.name.clone(),
                size: file.size(),
                state,
                bytes: file.bytes(),
            }
        })
    }
}
