//! Files: events of the private conversations and of the transfers.

use super::event::{Event, FileNews};
use super::files::FilesFrom;
use super::state::Session;
use crate::files::message::{FileId, FileMessage, Reason};
use crate::files::piece::Piece;
use crate::files::transfers::{FileEvent, Output, Way, What};
use crate::private::MessageId;
use crate::roster::KeyTrust;
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::Profile;
use chat_proto::who::Who;
use std::time::Duration;

/// How often to look whether a peer's client has said that it takes files.
const ASK_AGAIN: Duration = Duration::from_millis(100);

impl Session {
    /// Does what is due.
    pub(super) fn tick_files(&mut self, now: Now) {
        let files = &mut self.files;
        if files.transfers.deadline().is_some_and(|at| at <= now.monotonic) {
            files.transfers.timeout(now.monotonic);
        }
        files.measure(now.monotonic);
        files.forget_names();
        if self.clocks.ending.is_some() {
            files.note_quiet(now.monotonic);
        }
        if !files.asking.is_empty() {
            self.ask_able(now);
        }
    }

    /// The key of a user, who may have left just now.
    pub(super) fn file_key(&self, id: UserId, former: Option<&Profile>) -> Option<PublicKey> {
        // Another user may have the id by now.
        let former = former.filter(|former| former.who.id == id);
        if let Some(key) = former.and_then(|former| former.key?.whole()) {
            return Some(key);
        }
        match self.roster().trust(id)? {
            KeyTrust::Trusted(key) => Some(key),
            _ => None,
        }
    }

    /// A message about a file arrived.
    pub(super) fn file_message(&mut self, peer: PublicKey, who: Who, message: FileMessage, now: Now) {
        if let FileMessage::Offer(offer) = &message {
            let is_known = self.files.transfers.knows(&peer, offer.id);
            if !is_known && self.is_ignored(&who) {
                return;
            }
            let is_wanted = match self.files.options.from {
                FilesFrom::Ask => true,
                FilesFrom::Verified => self.trust.verified_with(&peer).is_some(),
                FilesFrom::Off => false,
            };
            if !is_known && !is_wanted {
                let refusal = FileMessage::Decline(offer.id, Reason::NotAccepted);
                return self.tell_file_peer(peer, refusal, now);
            }
            self.files.names.insert(peer, who);
        }
        self.files.transfers.message(now.monotonic, peer, message);
    }

    pub(super) fn file_piece(&mut self, peer: PublicKey, id: FileId, offset: u64, bytes: &[u8]) {
        self.files.transfers.piece(peer, id, offset, bytes);
    }

    pub(super) fn file_piece_settled(&mut self, piece: &Piece, has_arrived: bool) {
        if has_arrived {
            self.files.transfers.acknowledged(piece);
        } else {
            self.files.transfers.lost(piece);
        }
    }

    /// The result of a message, if it was about a file.
    pub(super) fn file_message_settled(&mut self, id: MessageId, is_delivered: bool, now: Now) -> bool {
        let Some((peer, message)) = self.files.messages.remove(&id) else {
            return false;
        };
        if !is_delivered {
            self.files.transfers.undelivered(now.monotonic, peer, message);
        }
        true
    }

    /// No user has this key any more.
    pub(super) fn file_peer_left(&mut self, peer: PublicKey) {
        if self.files.transfers.left(peer) {
            self.files.away.insert(peer);
        }
    }

    /// Passes on the outputs of the transfers. Whether the conversations have something to do.
    pub(super) fn drain_files(&mut self, now: Now) -> bool {
        let roster = self.private.roster();
        let back = self
            .files
            .away
            .iter()
            .filter(|peer| roster.holder(peer).is_some());
        for peer in back.copied().collect::<Vec<_>>() {
            self.files.away.remove(&peer);
            self.files.transfers.joined(peer);
        }
        let mut is_any = false;
        while let Some(output) = self.files.transfers.poll_output() {
            match output {
                Output::Disk(handle, request) => self.files.requests.push_back((handle, request)),
                Output::Event(event) => self.tell_of_file(event, now),
                Output::Message(peer, message) => {
                    is_any = true;
                    self.tell_file_peer(peer, message, now);
                }
                Output::Consumed(peer, bytes) => {
                    is_any = true;
                    if let Some(from) = self.roster().holder(&peer) {
                        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
                        self.private.consumed(now, from, bytes);
                    }
                }
            }
        }
        is_any
    }

    fn tell_file_peer(&mut self, peer: PublicKey, message: FileMessage, now: Now) {
        let to = self.roster().holder(&peer);
        match to.map(|to| self.private.send_file_message(now, to, &message)) {
            Some(Ok(id)) => {
                self.files.messages.insert(id, (peer, message));
            }
            Some(Err(_)) | None => self.files.transfers.undelivered(now.monotonic, peer, message),
        }
    }

    fn tell_of_file(&mut self, event: FileEvent, now: Now) {
        let FileEvent {
            number,
            way,
            peer,
            name,
            size,
            what,
        } = event;
        let present = self.roster().holder(&peer).map(|id| self.who(id));
        if let Some(who) = present {
            self.files.names.insert(peer, who);
        }
        if way == Way::Sending && matches!(what, What::Failed(..)) {
            self.failures.files += 1;
        }
        let Some(who) = self.files.names.get(&peer).cloned() else {
            return;
        };
        let is_over = matches!(what, What::Kept | What::Failed(..));
        if is_over {
            self.files.stuck.remove(&number);
            self.files.forget_name(&peer);
        }
        let is_offer = way == Way::Receiving && what == What::Offered;
        let rings = is_offer && self.files.rings(peer, now.monotonic);
        let is_kept = way == Way::Receiving && what == What::Kept;
        let directory = self.files.options.directory.as_ref().filter(|_| is_kept);
        let path = directory.map(|directory| directory.join(name.as_str()));
        self.events.push_back(Event::File(FileNews {
            at: self.server_time(now),
            rings,
            who,
            number: number.0,
            is_sent: way == Way::Sending,
            name,
            size,
            path,
            what,
        }));
    }

    /// Offers the files whose receivers have said that they take files.
    pub(super) fn ask_able(&mut self, now: Now) {
        for mut asking in std::mem::take(&mut self.files.asking) {
            let peer = asking.peer;
            let to = self.roster().holder(&peer);
            if to.is_some_and(|to| self.private.takes_files(now, to)) {
                if let Err(refusal) = self.files.transfers.offer(now.monotonic, peer, &asking.path) {
                    self.fail_file(format!("not sent: {refusal}"));
                }
            } else if to.is_none() || now.monotonic >= asking.until {
                let who = self.files.name_of(&peer);
                let reason = match to {
                    Some(_) => "no answer: its client can't receive files, or can't be reached",
                    None => "that user left",
                };
                self.fail_file(format!("not sent to {who}: {reason}"));
            } else {
                asking.next = now.monotonic + ASK_AGAIN;
                self.files.asking.push(asking);
            }
        }
    }
}
