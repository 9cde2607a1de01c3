//! Files that are offered to this client, and that it receives.

use super::event::{FileEvent, Number, Refusal, State, Status, Way, What};
use super::limits::{
    BEGINNINGS_MAX, IN_VAIN_MAX, IN_VAIN_OF_PEER_MAX, OFFER_FOR, OFFERS_MAX, OFFERS_OF_PEER_MAX,
};
use super::outbox::Outbox;
use super::progress::{self, Progress, Transfer, Turns};
use super::receiving::{Broken, CREDIT, Receiving};
use crate::files::message::{FileId, FileMessage, Offer, Reason};
use crate::files::name::FileName;
use crate::files::request::{Answer, Handle, Part, Request};
use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug)]
struct Incoming {
    peer: PublicKey,
    /// The last one of it: its sender may offer it again.
    offer: Offer,
    /// Where it is to be kept, once the user has accepted it.
    place: Option<Place>,
    /// How often it was offered again and its part was opened, since its sender was away.
    openings: u32,
    /// Since its part was opened.
    progress: Progress,
    /// Bytes that were written before the last pause.
    reached: u64,
    stage: Stage,
}

#[derive(Debug)]
struct Place {
    directory: PathBuf,
    name: FileName,
}

impl Place {
    fn part(&self, offer: &Offer) -> Part {
        Part {
            directory: self.directory.clone(),
            name: offer.name.clone(),
            size: offer.size,
            modified: offer.modified,
        }
    }
}

#[derive(Debug)]
enum Stage {
    /// The user is to answer until then.
    Offered(Duration),
    /// It was accepted, and waits for its turn; its sender knows that.
    Waiting {
        is_told: bool,
    },
    /// The disk opens the part, and has hashed so many of its bytes.
    Opening(Handle, u64),
    Receiving(Handle, Box<Receiving>),
    /// It was accepted, and its sender is away.
    Paused,
    /// It was accepted, and its sender was restarted.
    Forgotten,
}

impl Stage {
    fn handle(&self) -> Option<Handle> {
        match *self {
            Self::Opening(handle, _) | Self::Receiving(handle, _) => Some(handle),
            Self::Offered(_) | Self::Waiting { .. } | Self::Paused | Self::Forgotten => None,
        }
    }
}

impl Incoming {
    fn report(&self, number: Number, name: FileName, what: What, out: &mut Outbox) {
        out.report(FileEvent {
            number,
            way: Way::Receiving,
            peer: self.peer,
            name,
            size: self.offer.size,
            what,
        });
    }

    /// The part is closed with all bytes that are in order, or removed.
    fn enter(&mut self, stage: Stage, is_unwanted: bool, out: &mut Outbox) {
        let before = std::mem::replace(&mut self.stage, stage);
        let handle = before.handle();
        if let Stage::Receiving(handle, mut receiving) = before {
            if let Some(block) = receiving.take_block(true).filter(|_| !is_unwanted) {
                out.ask(handle, Request::Write(block));
            }
            out.consumed(self.peer, receiving.retained());
            self.reached = receiving.written();
        }
        if let Some(handle) = handle {
            let request = if is_unwanted {
                Request::Discard
            } else {
                Request::Close
            };
            out.ask(handle, request);
        }
    }

    /// Writes blocks that are ready; asks for the name when all bytes are there.
    fn write(&mut self, out: &mut Outbox) {
        let (Stage::Receiving(handle, receiving), Some(place)) = (&mut self.stage, &self.place) else {
            return;
        };
        if let Some(block) = receiving.take_block(false) {
            out.ask(*handle, Request::Write(block));
        }
        if let Some(hash) = receiving.finish() {
            out.ask(*handle, Request::Finish(hash, place.name.clone()));
        }
    }

    fn is_finishing(&self) -> bool {
        matches!(&self.stage, Stage::Receiving(_, receiving) if receiving.is_finishing())
    }

    /// The sender offers the same file as before.
    fn is_same(&self, offer: &Offer) -> bool {
        let Offer {
            id: _,
            size,
            modified,
            name,
        } = &self.offer;
        (size, modified, name) == (&offer.size, &offer.modified, &offer.name)
    }
}

impl Transfer for Incoming {
    fn offered_until(&self) -> Option<Duration> {
        match self.stage {
            Stage::Offered(until) => Some(until),
            _ => None,
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting { .. })
    }

    fn is_open(&self) -> bool {
        self.stage.handle().is_some()
    }

    fn bytes(&self) -> u64 {
        match &self.stage {
            Stage::Offered(_) => 0,
            &Stage::Opening(_, hashed) => hashed,
            Stage::Receiving(_, receiving) => receiving.written(),
            Stage::Waiting { .. } | Stage::Paused | Stage::Forgotten => self.reached,
        }
    }

    fn progress(&self) -> &Progress {
        &self.progress
    }

    fn progress_mut(&mut self) -> &mut Progress {
        &mut self.progress
    }
}

/// A part that failed for this reason is of no use: a later offer can't continue it, or nobody wants it.
fn is_unwanted(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::User | Reason::Changed | Reason::Damaged | Reason::Broken
    )
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Incomings {
    table: BTreeMap<Number, Incoming>,
    /// Offers that were not accepted, open or over: until when they count, and whose they are.
    in_vain: VecDeque<(Duration, PublicKey)>,
}

impl Incomings {
    fn find(&mut self, peer: &PublicKey, id: FileId) -> Option<(Number, &mut Incoming)> {
        let is_it = |file: &Incoming| file.peer == *peer && file.offer.id == id;
        let mut files = self.table.iter_mut();
        files
            .find(|(_, file)| is_it(file))
            .map(|(&number, file)| (number, file))
    }

    pub(super) fn knows(&self, peer: &PublicKey, id: FileId) -> bool {
        let mut files = self.table.values();
        files.any(|file| file.peer == *peer && file.offer.id == id)
    }

    /// An offer; `number` is for a new one. Whether it was used.
    pub(super) fn offered(
        &mut self,
        now: Duration,
        number: Number,
        peer: PublicKey,
        offer: Offer,
        out: &mut Outbox,
    ) -> bool {
        if let Some(word) = out.last_word(&peer, offer.id, false).cloned() {
            out.tell(peer, word);
            return false;
        }
        if let Some((number, file)) = self.find(&peer, offer.id)
            && !file.is_same(&offer)
        {
            self.end(number, Reason::Broken, None, out);
            return false;
        }
        let mut known = self.table.iter().filter(|(_, file)| {
            file.peer == peer && file.is_same(&offer) && (file.offer.id == offer.id || !file.is_finishing())
        });
        if let Some((&number, _)) = known.next() {
            self.offered_again(number, offer, out);
            return false;
        }
        let open = self.table.values().filter(|file| file.place.is_none());
        if open.clone().filter(|file| file.peer == peer).count() >= OFFERS_OF_PEER_MAX
            || open.count() >= OFFERS_MAX
            || self.is_tiresome(now, &peer)
        {
            out.tell(peer, FileMessage::Decline(offer.id, Reason::TooMany));
            return false;
        }
        if self.in_vain.len() >= IN_VAIN_MAX {
            self.in_vain.pop_front();
        }
        self.in_vain.push_back((now + OFFER_FOR, peer));
        let name = offer.name.clone();
        let stage = Stage::Offered(now + OFFER_FOR);
        let file = Incoming {
            peer,
            offer,
            place: None,
            openings: 0,
            progress: Progress::default(),
            reached: 0,
            stage,
        };
        file.report(number, name, What::Offered, out);
        self.table.insert(number, file);
        true
    }

    /// The sender was away, or was restarted, and offers the same file again.
    fn offered_again(&mut self, number: Number, offer: Offer, out: &mut Outbox) {
        let Some(file) = self.table.get_mut(&number) else {
            return;
        };
        // Each time is an offer and an opening.
        if file.openings > 2 * BEGINNINGS_MAX {
            self.end(number, Reason::Broken, None, out);
            return;
        }
        let id = std::mem::replace(&mut file.offer, offer).id;
        if id != file.offer.id {
            // A sender that was restarted does not know this number.
            out.end(file.peer, FileMessage::Decline(id, Reason::Twice));
        }
        if file.place.is_some() && !file.is_finishing() {
            file.openings += 1;
            file.enter(Stage::Waiting { is_told: false }, false, out);
        }
    }

    /// Whether a peer offered much lately that nobody wanted.
    fn is_tiresome(&mut self, now: Duration, peer: &PublicKey) -> bool {
        while self.in_vain.front().is_some_and(|(until, _)| *until <= now) {
            self.in_vain.pop_front();
        }
        let of_peer = self.in_vain.iter().filter(|(_, other)| other == peer);
        of_peer.count() >= IN_VAIN_OF_PEER_MAX
    }

    /// The user wants it: there, and under this name.
    pub(super) fn accept(
        &mut self,
        number: Number,
        directory: PathBuf,
        name: Option<FileName>,
        out: &mut Outbox,
    ) -> Result<(), Refusal> {
        let file = self.table.get_mut(&number).ok_or(Refusal::Unknown)?;
        if file.place.is_some() {
            return Err(Refusal::NotOffered);
        }
        let mut in_vain = self.in_vain.iter();
        if let Some(place) = in_vain.position(|(_, peer)| *peer == file.peer) {
            self.in_vain.remove(place);
        }
        let name = name.unwrap_or_else(|| file.offer.name.clone());
        file.place = Some(Place { directory, name });
        file.stage = if out.is_away(&file.peer) {
            file.report(number, file.offer.name.clone(), What::Paused, out);
            Stage::Paused
        } else {
            Stage::Waiting { is_told: false }
        };
        Ok(())
    }

    /// Ends a transfer, unless its name is being made: then it is too late. `false` if there is none.
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
        if !file.is_finishing() {
            self.fail(number, reason, text, out);
        }
        true
    }

    fn fail(&mut self, number: Number, reason: Reason, text: Option<Text<'static>>, out: &mut Outbox) {
        if let Some((peer, id)) = self.close(number, What::Failed(reason, text), out) {
            out.end(peer, FileMessage::Decline(id, reason));
        }
    }

    /// Forgets a transfer that failed.
    fn close(&mut self, number: Number, what: What, out: &mut Outbox) -> Option<(PublicKey, FileId)> {
        let mut file = self.table.remove(&number)?;
        let is_unwanted = matches!(what, What::Failed(reason, _) if is_unwanted(reason));
        if let Some(place) = &file.place
            && (is_unwanted && file.openings > 0 && file.stage.handle().is_none())
        {
            // Its part was left for later.
            let handle = out.new_handle();
            out.ask(handle, Request::RemovePart(place.part(&file.offer)));
        }
        file.enter(Stage::Paused, is_unwanted, out);
        file.report(number, file.offer.name.clone(), what, out);
        Some((file.peer, file.offer.id))
    }

    /// A message about a file that this client receives. `false` if there is none.
    pub(super) fn message(&mut self, peer: &PublicKey, message: &FileMessage, out: &mut Outbox) -> bool {
        let Some((number, file)) = self.find(peer, message.id()) else {
            return false;
        };
        if file.is_finishing() {
            return true;
        }
        let is_accepted = file.place.is_some();
        match (message, &mut file.stage) {
            (FileMessage::Cancel(_, Reason::Forgotten), Stage::Forgotten) => {}
            (FileMessage::Cancel(_, Reason::Forgotten), _) if is_accepted => {
                file.enter(Stage::Forgotten, false, out);
                file.report(number, file.offer.name.clone(), What::Forgotten, out);
            }
            (FileMessage::Cancel(_, reason), _) => {
                self.close(number, What::Failed(*reason, None), out);
            }
            (FileMessage::Prefix(_, offset, hash), Stage::Receiving(handle, receiving)) => {
                match receiving.prove(*offset, hash) {
                    None => {}
                    Some(true) => {
                        file.report(number, file.offer.name.clone(), What::Begun(*offset), out);
                        file.write(out);
                    }
                    Some(false) => {
                        out.ask(*handle, Request::Restart);
                        out.consumed(file.peer, receiving.retained());
                        **receiving = Receiving::new(file.offer.size, 0, *hash);
                        out.tell(file.peer, FileMessage::Accept(file.offer.id, 0));
                        file.report(number, file.offer.name.clone(), What::Begun(0), out);
                    }
                }
            }
            (FileMessage::Done(_, hash), Stage::Receiving(_, receiving)) => match receiving.done(*hash) {
                Ok(()) => file.write(out),
                Err(Broken) => {
                    self.end(number, Reason::Broken, None, out);
                }
            },
            _ => {}
        }
        true
    }

    /// Bytes of a file arrived. Those that are not held are consumed at once. A peer that keeps to its credit may exceed it by
    /// pieces that it takes for lost by mistake, but not by a second credit.
    pub(super) fn piece(&mut self, peer: PublicKey, id: FileId, offset: u64, bytes: &[u8], out: &mut Outbox) {
        let length = bytes.len() as u64;
        let held = self.held(&peer);
        let Some((number, file)) = self.find(&peer, id) else {
            return out.consumed(peer, length);
        };
        let Stage::Receiving(_, receiving) = &mut file.stage else {
            return out.consumed(peer, length);
        };
        let before = receiving.retained();
        match receiving.piece(offset, bytes) {
            Ok(consumed) if held + length - consumed <= 2 * CREDIT => {
                out.consumed(peer, consumed);
                file.write(out);
            }
            result => {
                // Bytes that are held count as consumed at the end.
                let consumed = result.unwrap_or(before + length - receiving.retained());
                out.consumed(peer, consumed);
                self.end(number, Reason::Broken, None, out);
            }
        }
    }

    /// Bytes of a peer in memory.
    pub(super) fn held(&self, peer: &PublicKey) -> u64 {
        let files = self.table.values().filter(|file| file.peer == *peer);
        files
            .map(|file| match &file.stage {
                Stage::Receiving(_, receiving) => receiving.retained(),
                _ => 0,
            })
            .sum()
    }

    /// An answer of the disk.
    pub(super) fn answer(&mut self, handle: Handle, answer: Answer, out: &mut Outbox) {
        let is_it = |file: &Incoming| file.stage.handle() == Some(handle);
        let Some((&number, file)) = self.table.iter_mut().find(|(_, file)| is_it(file)) else {
            return;
        };
        match (&mut file.stage, answer) {
            (_, Answer::Failed(reason, text)) => {
                self.fail(number, reason, Some(text), out);
            }
            (Stage::Opening(_, hashed), Answer::Progress(bytes)) => *hashed = bytes,
            (Stage::Opening(..), Answer::Part(length, hash)) if length <= file.offer.size => {
                let receiving = Receiving::new(file.offer.size, length, hash);
                file.stage = Stage::Receiving(handle, Box::new(receiving));
                out.tell(file.peer, FileMessage::Accept(file.offer.id, length));
                if length == 0 {
                    file.report(number, file.offer.name.clone(), What::Begun(0), out);
                }
            }
            (Stage::Receiving(_, receiving), Answer::Written(bytes)) => {
                receiving.wrote(bytes);
                out.consumed(file.peer, bytes);
            }
            (Stage::Receiving(_, receiving), Answer::Kept(name)) if receiving.is_finishing() => {
                out.consumed(file.peer, receiving.retained());
                file.report(number, name, What::Kept, out);
                out.end(file.peer, FileMessage::Kept(file.offer.id));
                self.table.remove(&number);
            }
            _ => {}
        }
    }

    pub(super) fn has(&self, peer: &PublicKey) -> bool {
        self.table.values().any(|file| file.peer == *peer)
    }

    pub(super) fn left(&mut self, peer: &PublicKey, out: &mut Outbox) {
        for (&number, file) in self.table.iter_mut().filter(|(_, file)| file.peer == *peer) {
            let goes_on = file.place.is_none() || file.is_finishing();
            if !goes_on && !matches!(file.stage, Stage::Paused) {
                file.enter(Stage::Paused, false, out);
                file.report(number, file.offer.name.clone(), What::Paused, out);
            }
        }
    }

    /// The sender may not have noticed that it was away, and not offer again.
    pub(super) fn joined(&mut self, peer: &PublicKey) {
        for file in self.table.values_mut().filter(|file| file.peer == *peer) {
            file.openings = file.openings.min(1);
            if matches!(file.stage, Stage::Paused) {
                file.stage = Stage::Waiting { is_told: false };
            }
        }
    }

    /// Opens parts that have their turn, and tells the senders of others that they are to wait.
    pub(super) fn advance(&mut self, out: &mut Outbox) {
        let mut turns = Turns::new(&self.table);
        for file in self.table.values_mut() {
            let (Stage::Waiting { is_told }, Some(place)) = (&mut file.stage, &file.place) else {
                continue;
            };
            if turns.take() {
                file.progress = Progress::default();
                let handle = out.new_handle();
                out.ask(handle, Request::OpenPart(place.part(&file.offer)));
                file.openings += 1;
                file.stage = Stage::Opening(handle, 0);
            } else if !std::mem::replace(is_told, true) {
                out.tell(file.peer, FileMessage::Queued(file.offer.id));
            }
        }
    }

    /// This message to the peer still holds.
    pub(super) fn holds(&self, peer: &PublicKey, message: &FileMessage) -> bool {
        let mut files = self.table.values();
        if let FileMessage::Decline(id, reason) = message {
            let is_known = files.any(|file| file.peer == *peer && file.offer.id == *id);
            return !is_known && matches!(reason, Reason::Forgotten | Reason::TooMany);
        }
        files.any(|file| {
            file.peer == *peer
                && file.offer.id == message.id()
                && match (message, &file.stage) {
                    (FileMessage::Queued(_), Stage::Waiting { .. }) => true,
                    (FileMessage::Accept(_, offset), Stage::Receiving(_, receiving)) => {
                        receiving.start == *offset && receiving.is_untouched()
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
                Stage::Offered(_) => State::Offered,
                Stage::Waiting { .. } => State::Waiting,
                Stage::Opening(..) => State::Checking,
                Stage::Receiving(..) => State::Moving,
                Stage::Paused => State::Paused,
                Stage::Forgotten => State::Forgotten,
            };
            Status {
                number,
                way: Way::Receiving,
                peer: file.peer,
                name: file.offer.name.clone(),
                size: file.offer.size,
                state,
                bytes: file.bytes(),
            }
        })
    }
}
