//! All files that are offered, sent and received; pure.
//!
//! Messages, pieces of files, answers of the disk and the time go in; messages, requests for the disk and events come
//! out. A peer is its key. After each input, call [`Transfers::poll_output`] until it returns `None`, send what
//! [`Transfers::next_piece`] has, and call [`Transfers::timeout`] at [`Transfers::deadline`].
//!
//! - A file is sent in blocks. The disk reads them ahead, and they are kept until all their bytes are acknowledged. The
//!   receiver writes in order, so the length of the part says which bytes it has.
//! - A sender begins anew at each `Accept`, with a new opening of its source. Results of earlier pieces are ignored then. A
//!   receiver drops no bytes that it may have acknowledged, unless it accepts again.
//! - A peer that leaves pauses its transfers. When it is back, its sender offers again, under the same number. A receiver that
//!   had accepted accepts again by itself, without waiting for the offer. So it is enough if one side has noticed.
//! - The result of a transfer is remembered for a while, and sent again to a peer that was away.

mod event;
mod incoming;
mod limits;
mod outbox;
mod outgoing;
mod progress;
mod receiving;
mod sending;
#[cfg(test)]
mod tests;

pub use event::{FileEvent, Number, Output, Refusal, State, Status, Way, What};
pub use receiving::CREDIT;

use super::message::{FileId, FileMessage, Reason};
use super::name::FileName;
use super::piece::Piece;
use super::request::{Answer, Handle};
use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use incoming::Incomings;
use outbox::Outbox;
use outgoing::Outgoings;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All transfers of one client.
#[derive(Debug)]
pub struct Transfers {
    outgoings: Outgoings,
    incomings: Incomings,
    out: Outbox,
    numbers: u32,
}

impl Transfers {
    /// None yet. `first_id` is random: numbers of files must not be those of an earlier run.
    #[must_use]
    pub fn new(first_id: u32) -> Self {
        Self {
            outgoings: Outgoings::new(first_id),
            incomings: Incomings::default(),
            out: Outbox::default(),
            numbers: 0,
        }
    }

    /// Offers a file, once the disk has looked at it.
    ///
    /// # Errors
    /// If too many offers wait.
    pub fn offer(&mut self, now: Duration, peer: PublicKey, path: &Path) -> Result<Number, Refusal> {
        let number = Number(self.numbers + 1);
        self.outgoings.offer(now, number, peer, path, &mut self.out)?;
        self.numbers += 1;
        Ok(number)
    }

    /// Receives a file that is offered, into a directory, under its own name or another one.
    ///
    /// # Errors
    /// If there is no such offer.
    pub fn accept(
        &mut self,
        number: Number,
        directory: PathBuf,
        name: Option<FileName>,
    ) -> Result<(), Refusal> {
        self.incomings.accept(number, directory, name, &mut self.out)?;
        self.advance();
        Ok(())
    }

    /// Ends a transfer in any state: cancels what is sent, declines what is received.
    ///
    /// # Errors
    /// If there is no such transfer.
    pub fn end(&mut self, number: Number, reason: Reason) -> Result<(), Refusal> {
        let by_user = |word| (reason == Reason::User).then(|| Text::new(word));
        let is_known = self
            .outgoings
            .end(number, reason, by_user("cancelled"), &mut self.out)
            || self
                .incomings
                .end(number, reason, by_user("declined"), &mut self.out);
        self.advance();
        if is_known { Ok(()) } else { Err(Refusal::Unknown) }
    }

    /// A peer said something.
    pub fn message(&mut self, now: Duration, peer: PublicKey, message: FileMessage) {
        use FileMessage::{Accept, Cancel, Decline, Done, Kept, Offer, Prefix, Queued};
        let id = message.id();
        let out = &mut self.out;
        match message {
            Offer(offer) => {
                let number = Number(self.numbers + 1);
                if self.incomings.offered(now, number, peer, offer, out) {
                    self.numbers += 1;
                }
            }
            Accept(..) | Queued(_) | Decline(..) | Kept(_) => {
                let is_known = self.outgoings.message(&peer, &message, out);
                if !is_known && matches!(message, Accept(..) | Queued(_)) {
                    let word = out.last_word(&peer, id, true).cloned();
                    out.tell(peer, word.unwrap_or(Cancel(id, Reason::Forgotten)));
                }
            }
            Prefix(..) | Done(..) | Cancel(..) => {
                let is_known = self.incomings.message(&peer, &message, out);
                if !is_known && !matches!(message, Cancel(..)) {
                    let word = out.last_word(&peer, id, false).cloned();
                    out.tell(peer, word.unwrap_or(Decline(id, Reason::Forgotten)));
                }
            }
        }
        self.advance();
    }

    /// A message of [`Output::Message`] was not delivered, or could not be sent, although the peer is here. It is sent again a
    /// second later, if it still holds.
    pub fn undelivered(&mut self, now: Duration, peer: PublicKey, message: FileMessage) {
        self.out.undelivered(now, peer, message);
    }

    /// Bytes of a file arrived from a peer.
    pub fn piece(&mut self, peer: PublicKey, id: FileId, offset: u64, bytes: &[u8]) {
        self.incomings.piece(peer, id, offset, bytes, &mut self.out);
        self.advance();
    }

    /// Bytes of a peer's files in memory: up to [`CREDIT`], or twice that if it breaks the rules.
    #[must_use]
    pub fn held(&self, peer: &PublicKey) -> u64 {
        self.incomings.held(peer)
    }

    /// The next bytes for a peer, at most `max`, of a file that is no larger than `size_max`.
    pub fn next_piece(&mut self, peer: &PublicKey, max: usize, size_max: u64) -> Option<(Piece, &[u8])> {
        self.outgoings.advance(&mut self.out);
        self.outgoings.next_piece(peer, max, size_max)
    }

    /// A piece has arrived.
    pub fn acknowledged(&mut self, piece: &Piece) {
        self.outgoings.settled(piece, true);
        self.advance();
    }

    /// A piece is lost, and will be sent again.
    pub fn lost(&mut self, piece: &Piece) {
        self.outgoings.settled(piece, false);
    }

    /// The disk has answered.
    pub fn answer(&mut self, handle: Handle, answer: Answer) {
        if let Some(answer) = self.outgoings.answer(handle, answer, &mut self.out) {
            self.incomings.answer(handle, answer, &mut self.out);
        }
        self.advance();
    }

    /// A peer is away: messages and pieces under way to and from it are lost. At the end of the program all peers count as
    /// away, so all bytes that have arrived are written. Returns whether anything waits for the peer.
    pub fn left(&mut self, peer: PublicKey) -> bool {
        if !(self.outgoings.has(&peer) || self.incomings.has(&peer) || self.out.has_words(&peer)) {
            return false;
        }
        self.out.left(peer);
        self.outgoings.left(&peer, &mut self.out);
        self.incomings.left(&peer, &mut self.out);
        self.advance();
        true
    }

    /// Whether a peer has offered this file before, and it is not over.
    pub fn knows(&self, peer: &PublicKey, id: FileId) -> bool {
        self.incomings.knows(peer, id)
    }

    /// A peer is here, or here again.
    pub fn joined(&mut self, peer: PublicKey) {
        self.out.joined(&peer);
        self.outgoings.joined(&peer, &mut self.out);
        self.incomings.joined(&peer);
        self.advance();
    }

    /// When to call [`Self::timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let offers = self
            .outgoings
            .deadline()
            .into_iter()
            .chain(self.incomings.deadline());
        offers.chain(self.out.deadline()).min()
    }

    /// The deadline has passed.
    pub fn timeout(&mut self, now: Duration) {
        self.outgoings.expire(now, &mut self.out);
        self.incomings.expire(now, &mut self.out);
        for (peer, message) in self.out.due(now) {
            if self.outgoings.holds(&peer, &message)
                || self.incomings.holds(&peer, &message)
                || self.out.is_last_word(&peer, &message)
            {
                self.out.tell(peer, message);
            }
        }
        self.advance();
    }

    /// Something to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.next()
    }

    /// All transfers that are not over: those that are sent, then those that are received.
    pub fn list(&self) -> impl Iterator<Item = Status> {
        self.outgoings.list().chain(self.incomings.list())
    }

    fn advance(&mut self) {
        self.outgoings.advance(&mut self.out);
        self.incomings.advance(&mut self.out);
    }
}
