//! Outputs of the transfers, and the last messages about those that are over.

use super::event::{FileEvent, Output};
use crate::files::message::{FileId, FileMessage};
use crate::files::request::{Handle, Request};
use chat_proto::opaque::PublicKey;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Last words that are remembered, the newest; and those for one peer, which can't push out those for others.
const LAST_WORDS_MAX: usize = 256;
const LAST_WORDS_OF_PEER_MAX: usize = 32;
/// A message that was not delivered is sent again after this time, if it still holds.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Messages that wait for that, in all and for one peer. Further ones are forgotten.
const AGAIN_MAX: usize = 256;
const AGAIN_OF_PEER_MAX: usize = 32;

/// Outputs of all transfers, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    outputs: VecDeque<Output>,
    /// Peers that are away, of those with a transfer.
    away: BTreeSet<PublicKey>,
    last_words: VecDeque<LastWord>,
    again: Vec<(Duration, PublicKey, FileMessage)>,
    handles: u32,
}

/// How a transfer ended: [`FileMessage::Cancel`], [`FileMessage::Decline`] or [`FileMessage::Kept`].
#[derive(Debug)]
struct LastWord {
    peer: PublicKey,
    message: FileMessage,
    /// The peer was away.
    is_owed: bool,
}

impl Outbox {
    pub(super) fn next(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn new_handle(&mut self) -> Handle {
        self.handles = self.handles.wrapping_add(1);
        Handle(self.handles)
    }

    pub(super) fn ask(&mut self, handle: Handle, request: Request) {
        self.outputs.push_back(Output::Disk(handle, request));
    }

    pub(super) fn report(&mut self, event: FileEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn consumed(&mut self, peer: PublicKey, bytes: u64) {
        if bytes > 0 {
            self.outputs.push_back(Output::Consumed(peer, bytes));
        }
    }

    /// Tells a peer, unless it is away.
    pub(super) fn tell(&mut self, peer: PublicKey, message: FileMessage) {
        if !self.is_away(&peer) {
            self.outputs.push_back(Output::Message(peer, message));
        }
    }

    /// Tells a peer how a transfer ended, once it is here.
    pub(super) fn end(&mut self, peer: PublicKey, message: FileMessage) {
        let of_peer = self.last_words.iter().filter(|word| word.peer == peer).count();
        let is_full = self.last_words.len() >= LAST_WORDS_MAX;
        let mut words = self.last_words.iter();
        let oldest = words.position(|word| is_full || word.peer == peer);
        if let Some(oldest) = oldest.filter(|_| is_full || of_peer >= LAST_WORDS_OF_PEER_MAX) {
            self.last_words.remove(oldest);
        }
        let is_owed = self.is_away(&peer);
        self.last_words.push_back(LastWord {
            peer,
            message: message.clone(),
            is_owed,
        });
        self.tell(peer, message);
    }

    /// The last message about a file that this client sent, or received.
    pub(super) fn last_word(&self, peer: &PublicKey, id: FileId, was_sent: bool) -> Option<&FileMessage> {
        self.last_words
            .iter()
            .rev()
            .find(|word| {
                let by_sender = matches!(word.message, FileMessage::Cancel(..));
                word.peer == *peer && word.message.id() == id && by_sender == was_sent
            })
            .map(|word| &word.message)
    }

    pub(super) fn is_last_word(&self, peer: &PublicKey, message: &FileMessage) -> bool {
        let mut words = self.last_words.iter();
        words.any(|word| word.peer == *peer && word.message == *message)
    }

    pub(super) fn has_words(&self, peer: &PublicKey) -> bool {
        self.last_words.iter().any(|word| word.peer == *peer)
    }

    pub(super) fn is_away(&self, peer: &PublicKey) -> bool {
        self.away.contains(peer)
    }

    pub(super) fn left(&mut self, peer: PublicKey) {
        self.away.insert(peer);
    }

    pub(super) fn joined(&mut self, peer: &PublicKey) {
        self.away.remove(peer);
        for word in &mut self.last_words {
            if word.peer == *peer && std::mem::take(&mut word.is_owed) {
                let message = Output::Message(*peer, word.message.clone());
                self.outputs.push_back(message);
            }
        }
    }

    /// The peer may not have received this message.
    pub(super) fn undelivered(&mut self, now: Duration, peer: PublicKey, message: FileMessage) {
        if self.is_away(&peer) {
            for word in &mut self.last_words {
                word.is_owed |= word.peer == peer && word.message == message;
            }
            return;
        }
        let of_peer = self.again.iter().filter(|again| again.1 == peer).count();
        if self.again.len() < AGAIN_MAX && of_peer < AGAIN_OF_PEER_MAX {
            self.again.push((now + AGAIN_AFTER, peer, message));
        }
    }

    /// Messages that are to be sent again, if they still hold.
    pub(super) fn due(&mut self, now: Duration) -> Vec<(PublicKey, FileMessage)> {
        let due = self.again.extract_if(.., |again| again.0 <= now);
        due.map(|(_, peer, message)| (peer, message)).collect()
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.again.iter().map(|again| again.0).min()
    }
}
