//! Private messages: delivery, encryption, and paths between peers.
//!
//! A private message is shown exactly once and in order, or its sender is told that it was not, and
//! why. It goes directly if there is a direct path, and through the server if not. Only the two
//! peers can read it or write it.
//!
//! [`Private`] holds the conversations with all peers. It owns no socket and reads no clock: the
//! time, datagrams and lines go in; datagrams, lines and events come out. After each input, call
//! [`Private::poll_output`] until it returns `None`, and call [`Private::timeout`] at
//! [`Private::deadline`].
//!
//! A conversation belongs to the peer's public key. The id is a label: messages go only to the user
//! that has the key now, according to the roster. Datagrams that can't be decrypted are dropped
//! without an answer.
//!
//! Layers, from the wire inwards: `handshake` (keys and datagrams), `packet` (their content), `sender` and
//! `receiver` (the two halves of a conversation), `path`, `candidate` and `probe` (the peer's
//! addresses), `peer` (one conversation), and this file (all conversations). `plaintext` is for
//! peers without a key. For files: `flow` (their rate), `bulk` (what is under way), `pieces` (what the caller uses).

mod bulk;
mod candidate;
mod event;
mod flow;
mod from_server;
mod handshake;
mod packet;
mod path;
mod peer;
mod pieces;
mod plaintext;
mod probe;
mod questions;
pub mod random;
mod receiver;
mod rendezvous;
mod rto;
mod sender;
#[cfg(test)]
mod tests;
mod window;

pub use chat_noise::key::{KeyPair, verify_code};
pub use event::{Event, MessageId, Options, Output, Path, Received, Refusal, State, Why};
pub use packet::{BULK_MAX, DATAGRAM_MAX};
pub use random::Random;

use crate::roster::{KeyTrust, Roster};
use chat_noise::private::{Responder, index_of};
use chat_proto::TEXT_MAX;
use chat_proto::datagram::{ANSWER, BEGIN, MARK, REPLY, SEALED};
use chat_proto::id::{UserId, canonical};
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use handshake::{BeginningLimit, Identity, Opened, slot_of};
use packet::Packet;
use path::Source;
use peer::{Context, OfferLimit, Peer};
use plaintext::Plaintext;
use questions::{Question, Questions};
use rendezvous::Rendezvous;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes of a datagram that carries one message, apart from its text.
pub const OVERHEAD: usize = DATAGRAM_MAX - (packet::PARTS_MAX - packet::PART_HEAD_LEN);

/// Peers with a conversation at a time: 16,384 x about 1 KB = 16 MB. The numbers of those that sent
/// or received a message are kept until the program ends. See [`Private::make_room`].
const PEERS_MAX: usize = 16_384;

/// Users that are asked about because of one handshake whose sender is not known.
const CANDIDATES_MAX: usize = 4;

/// Bytes held back for order, for all peers together. One peer takes up to 77 KB.
const HELD_BYTES_MAX: usize = 4 << 20;

/// All private conversations of one client.
pub struct Private {
    identity: Identity,
    options: Options,
    random: Random,
    roster: Roster,
    contacts: BTreeMap<PublicKey, Contact>,
    /// The conversation of datagrams whose index begins so.
    slots: BTreeMap<u32, PublicKey>,
    /// When each contact has something to do; the same as `Contact::timer`.
    timers: BTreeSet<(Duration, PublicKey)>,
    /// The sum over all peers.
    held_bytes: usize,
    peers: usize,
    offer_limit: OfferLimit,
    /// Limits on handshakes, by datagram and by relay: a flood of one kind leaves the other open.
    direct_limit: BeginningLimit,
    relay_limit: BeginningLimit,
    /// Above all control numbers of conversations that were dropped, so none is used twice.
    control_floor: u64,
    plaintext: Plaintext,
    questions: Questions,
    rendezvous: Option<Rendezvous>,
    connection: Option<Connection>,
    own: Option<UserId>,
    /// Whether the roster has users of an earlier connection that may still be in the room.
    awaits_users: bool,
    next_message: MessageId,
    outputs: VecDeque<Output>,
    /// Pieces of files. They come after all other outputs.
    bulk: VecDeque<Output>,
    /// When the server may be given the next piece of a file: all peers together share half of what it accepts.
    relay_free: Duration,
    /// Bytes of pieces that each peer may have under way to this client.
    bulk_window: u64,
}

/// A connection to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This client's id, if the server announces it.
    pub own: Option<UserId>,
    /// The local address of the connection. If it differs from `own`, there is a router in between.
    pub local: SocketAddr,
    /// This host's UDP addresses in its own network, to be offered to peers behind the same router.
    pub addresses: Vec<SocketAddr>,
    /// The server speaks the rich dialect: it announces all users, and relays messages.
    pub is_rich: bool,
}

/// A user with a key: in the roster, or with a conversation in this run.
#[derive(Default)]
struct Contact {
    /// Whether its key is usable. Found out when first needed, because it takes 0.1 ms.
    is_usable: Option<bool>,
    peer: Option<Box<Peer>>,
    timer: Option<Duration>,
}

impl Private {
    /// A client without a connection and without conversations.
    pub fn new(keys: KeyPair, options: Options, mut random: Random) -> Self {
        Self {
            identity: Identity::new(keys, random::random(&mut random)),
            options,
            random,
            roster: Roster::default(),
            contacts: BTreeMap::new(),
            slots: BTreeMap::new(),
            timers: BTreeSet::new(),
            held_bytes: 0,
            peers: 0,
            offer_limit: OfferLimit::default(),
            direct_limit: BeginningLimit::default(),
            relay_limit: BeginningLimit::default(),
            control_floor: 0,
            plaintext: Plaintext::default(),
            questions: Questions::default(),
            rendezvous: None,
            connection: None,
            own: None,
            awaits_users: false,
            next_message: MessageId::FIRST,
            outputs: VecDeque::new(),
            bulk: VecDeque::new(),
            relay_free: Duration::ZERO,
            bulk_window: bulk::CREDIT_FIRST,
        }
    }

    /// This client's public key, for `HELLO`.
    pub fn public_key(&self) -> PublicKey {
        self.identity.keys.public()
    }

    /// An earlier run began a handshake at this time. All of this run are later, even if the clock was set back.
    pub fn begin_after(&mut self, unix_ms: u64) {
        self.identity.time = self.identity.time.max(unix_ms);
    }

    /// The time in the last handshake that was begun, by this run or an earlier one.
    pub fn handshake_time(&self) -> u64 {
        self.identity.time
    }

    /// The users that the server announced.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The [`verify_code`] to compare with a user. `None` if the user has no key.
    pub fn verify_code(&self, with: UserId) -> Option<String> {
        match self.roster.trust(with)? {
            KeyTrust::Trusted(key) => Some(verify_code(&self.public_key(), &key)),
            KeyTrust::NoKey | KeyTrust::Unasked | KeyTrust::Contested(_) | KeyTrust::Rejected => None,
        }
    }

    /// Bytes of messages in memory: unconfirmed ones, and those held back for order.
    pub fn footprint(&self) -> usize {
        let peers = self.contacts.values().filter_map(|contact| contact.peer.as_ref());
        self.held_bytes + peers.map(|peer| peer.sender.bytes()).sum::<usize>()
    }

    /// The next thing to send or to show.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.bulk.pop_front())
    }

    /// When [`Self::timeout`] is due, on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        let contact = self.timers.first().map(|(at, _)| *at);
        let rendezvous = self.rendezvous.as_ref().map(Rendezvous::deadline);
        let questions = self.questions.deadline();
        let deadlines = [contact, rendezvous, self.plaintext.deadline(), questions];
        deadlines.into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Now) {
        let due = self.timers.iter().take_while(|(at, _)| *at <= now.monotonic);
        for key in due.map(|(_, key)| *key).collect::<Vec<_>>() {
            self.flush(now, &key);
        }
        self.outputs.extend(self.plaintext.timeout(now.monotonic));
        self.questions.timeout(now.monotonic);
        self.ask_rendezvous(now.monotonic);
    }
}

/// From the user.
impl Private {
    /// Sends a message. [`Event::State`] reports its final state.
    ///
    /// # Errors
    /// Why the message is rejected. After [`Refusal::Busy`] there is room again after an event or a
    /// timeout.
    pub fn send(&mut self, now: Now, to: UserId, text: &Text<'_>) -> Result<MessageId, Refusal> {
        if text.as_str().len() > TEXT_MAX || text.has_too_many_rows() {
            return Err(Refusal::TooLong);
        }
        if self.own == Some(to) {
            return Err(Refusal::Yourself);
        }
        match self.trust(to).ok_or(Refusal::NotHere)? {
            KeyTrust::NoKey => self.send_unencrypted(now.monotonic, to, text),
            KeyTrust::Unasked => Err(Refusal::Unasked),
            KeyTrust::Trusted(key) => self.send_encrypted(now, key, |peer, id| {
                peer.send(now.monotonic, id, text.as_str());
            }),
            KeyTrust::Contested(_) => Err(Refusal::KeyTaken),
            KeyTrust::Rejected => Err(Refusal::BadKey),
        }
    }

    /// The user turns to somebody: the keys for a message are agreed on before it is written.
    pub fn turn_to(&mut self, now: Now, to: UserId) {
        if self.is_unasked(to) {
            self.ask(now, to).turns = true;
        }
        if let Some(KeyTrust::Trusted(key)) = self.trust(to)
            && self.ensure_peer(&key, now).is_ok()
        {
            self.with_peer(now, &key, Peer::turn_to);
        }
    }

    fn send_encrypted(
        &mut self,
        now: Now,
        key: PublicKey,
        queue: impl FnOnce(&mut Peer, MessageId),
    ) -> Result<MessageId, Refusal> {
        let id = self.next_message;
        let peer = self.ensure_peer(&key, now)?;
        if peer.sender.is_full() {
            return Err(Refusal::Busy);
        }
        queue(peer, id);
        self.next_message.0 += 1;
        self.flush(now, &key);
        Ok(id)
    }

    fn send_unencrypted(&mut self, now: Duration, to: UserId, text: &Text<'_>) -> Result<MessageId, Refusal> {
        if self.options.no_unencrypted {
            return Err(Refusal::OnlyUnencrypted);
        }
        self.outputs.extend(self.plaintext.timeout(now));
        if self.plaintext.is_full() {
            return Err(Refusal::Busy);
        }
        let id = self.next_message;
        self.next_message.0 += 1;
        let message = plaintext::Message {
            id,
            to,
            text: text.borrow().into_owned(),
        };
        let address = self.unencrypted_address(to);
        let sent = self.plaintext.send(now, message, address, self.has_relay());
        self.outputs.extend(sent);
        Ok(id)
    }

    /// The address for unencrypted texts to a user, which else go through the server. A server of ours announces one for
    /// programs that receive datagrams. A user at `nc` has none: any program may have the port after its own.
    pub fn unencrypted_address(&self, to: UserId) -> Option<SocketAddr> {
        match self.is_rich() {
            Some(false) => to.private_address(),
            _ => self.roster.address(to),
        }
    }

    /// Whether a user's peer has lately answered on a direct path, so that no server is needed.
    pub fn has_direct_path(&self, now: Now, to: UserId) -> bool {
        let key = match self.roster.trust(to) {
            Some(KeyTrust::Trusted(key)) => key,
            _ => return false,
        };
        let peer = self.contacts.get(&key).and_then(|contact| contact.peer.as_ref());
        peer.is_some_and(|peer| peer.paths.is_validated(now.monotonic))
    }

    /// How a user can be sent messages. A legacy server does not announce its users, so any id may
    /// be one.
    fn trust(&self, id: UserId) -> Option<KeyTrust> {
        let known = self.roster.trust(id);
        known.or_else(|| (self.is_rich() == Some(false)).then_some(KeyTrust::NoKey))
    }
}

/// Questions to the server about users.
impl Private {
    /// Whether the server has told only how this user's key begins.
    pub fn is_unasked(&self, id: UserId) -> bool {
        self.roster.trust(id) == Some(KeyTrust::Unasked)
    }

    /// Whether the server owes an answer.
    pub fn awaits_answer(&self) -> bool {
        self.questions.is_open()
    }

    /// Whether the server owes an answer about this user for too long.
    pub fn answer_is_late(&self, id: UserId) -> bool {
        self.questions.is_late(id)
    }

    /// The late answers are noted: who asks again waits again.
    pub fn forget_late_answers(&mut self) {
        self.questions.forget_late();
    }

    /// Asks the server for a user's key and address, unless it owes the answer.
    pub fn ask_about(&mut self, now: Now, id: UserId) {
        self.ask(now, id);
    }

    /// The same before the user of this client needs the answer, unless there are many questions.
    pub fn ask_early(&mut self, now: Now, id: UserId) {
        if self.questions.has_room() {
            self.ask(now, id);
        }
    }

    fn ask(&mut self, now: Now, id: UserId) -> &mut Question {
        let (is_new, question) = self.questions.ask(now.monotonic, id);
        if is_new {
            self.outputs.push_back(Output::Line(FromClient::Whois(id)));
        }
        question
    }

    /// A handshake came from a key that is not known: asks whose it is. `says`: the only user that it may be.
    fn ask_who_begins(
        &mut self,
        now: Now,
        source: Source,
        says: Option<UserId>,
        key: PublicKey,
        bytes: &[u8],
    ) {
        let candidates = self.roster.candidates(key);
        let meant = candidates.filter(|id| says.is_none_or(|says| says == *id));
        for id in meant.take(CANDIDATES_MAX).collect::<Vec<_>>() {
            self.ask(now, id).beginning = Some((source, bytes.to_vec()));
        }
    }
}

/// From the socket.
impl Private {
    /// A datagram arrived.
    pub fn datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        let from = canonical(from);
        if bytes.first() != Some(&MARK) {
            self.receive_unencrypted(from, bytes);
        } else if bytes.get(1) != Some(&REPLY) {
            self.receive(now, Source::Address(from), None, bytes);
        } else if let Some(rendezvous) = &mut self.rendezvous {
            let confirm = rendezvous.reply(now.monotonic, from, bytes);
            self.outputs.extend(confirm.map(Output::Line));
        }
    }

    /// The system reports a closed port at an address to which a datagram was sent (ICMP, by
    /// `IP_RECVERR`).
    pub fn port_unreachable(&mut self, now: Now, address: SocketAddr) {
        let address = canonical(address);
        // A report that comes too late has no effect.
        self.outputs.extend(self.plaintext.timeout(now.monotonic));
        let affected = self.contacts.iter_mut().filter_map(|(key, contact)| {
            let paths = &mut contact.peer.as_mut()?.paths;
            paths.unreachable(now.monotonic, address).then_some(*key)
        });
        for key in affected.collect::<Vec<_>>() {
            self.flush(now, &key);
        }
        let relayed = self
            .plaintext
            .unreachable(now.monotonic, address, self.has_relay());
        self.outputs.extend(relayed);
    }

    /// `says`: whose datagram it is, according to the server. Its keys tell that too, and only they count.
    fn receive(&mut self, now: Now, source: Source, says: Option<UserId>, bytes: &[u8]) -> Option<()> {
        match bytes.get(..2)? {
            _ if bytes.len() > DATAGRAM_MAX => None,
            [MARK, BEGIN] => self.receive_beginning(now, source, says, bytes),
            [MARK, ANSWER] => self.receive_answer(now, source, bytes),
            [MARK, SEALED] => self.receive_sealed(now, source, bytes),
            _ => None,
        }
    }

    /// A beginning counts if its key is in the roster; by relay, if it is that of the user named there.
    fn receive_beginning(
        &mut self,
        now: Now,
        source: Source,
        says: Option<UserId>,
        bytes: &[u8],
    ) -> Option<()> {
        let limit = match source {
            Source::Address(_) => &mut self.direct_limit,
            Source::Relay => &mut self.relay_limit,
        };
        if !limit.accept(now.monotonic) {
            return None;
        }
        self.begin(now, source, says, bytes)
    }

    fn begin(&mut self, now: Now, source: Source, says: Option<UserId>, bytes: &[u8]) -> Option<()> {
        let responder = Responder::read(&self.identity.keys, bytes, self.random.as_mut())?;
        let Some(holder) = self.roster.holder(&responder.peer) else {
            self.ask_who_begins(now, source, says, responder.peer, bytes);
            return None;
        };
        if says.is_some_and(|says| says != holder) {
            return None;
        }
        let key = responder.peer;
        self.ensure_peer(&key, now).ok()?;
        self.with_peer(now, &key, |peer, context| {
            peer.receive_beginning(context, source, responder, bytes);
        });
        Some(())
    }

    fn receive_answer(&mut self, now: Now, source: Source, bytes: &[u8]) -> Option<()> {
        let key = self.key_of(index_of(bytes)?)?;
        let peer = self.contacts.get_mut(&key)?.peer.as_mut()?;
        let is_other_run = peer.sessions.finish(now.monotonic, bytes)?;
        self.with_peer(now, &key, |peer, context| {
            if is_other_run {
                peer.restart(context);
            }
            peer.established(context, source, bytes.len());
        });
        Some(())
    }

    fn receive_sealed(&mut self, now: Now, source: Source, bytes: &[u8]) -> Option<()> {
        let index = index_of(bytes)?;
        let key = self.key_of(index)?;
        let peer = self.contacts.get_mut(&key)?.peer.as_mut()?;
        let Opened { packet, is_other_run } = peer.sessions.open(now.monotonic, index, bytes)?;
        self.with_peer(now, &key, |peer, context| {
            if is_other_run {
                peer.restart(context);
            }
            match packet.first() {
                Some(&packet::BULK) => _ = peer.receive_bulk(context, source, bytes.len(), packet),
                Some(&packet::BULK_ACK) => _ = peer.receive_bulk_ack(context, source, bytes.len(), &packet),
                _ => {
                    if let Some(packet) = Packet::parse(&packet) {
                        peer.receive(context, source, bytes.len(), packet);
                    }
                }
            }
        });
        Some(())
    }

    /// The key of the conversation to which an index belongs, while a user in the roster has it.
    fn key_of(&self, index: u32) -> Option<PublicKey> {
        let key = self.slots.get(&slot_of(index))?;
        self.roster.holder(key).map(|_| *key)
    }

    fn receive_unencrypted(&mut self, from: SocketAddr, bytes: &[u8]) -> Option<()> {
        let id = UserId::from_private_address(from).filter(|id| Some(*id) != self.own)?;
        if self.trust(id)? == KeyTrust::NoKey {
            self.show_unencrypted(id, plaintext::text_of(bytes)?, Path::Direct);
        }
        Some(())
    }

    fn show_unencrypted(&mut self, from: UserId, text: Text<'static>, path: Path) {
        if self.options.no_unencrypted {
            return;
        }
        self.outputs.push_back(Output::Event(Event::Received(Received {
            from,
            text,
            path,
            sealed: false,
            after_gap: false,
        })));
    }
}

/// Shared by all of the above.
impl Private {
    /// Lets a peer do what is due.
    fn flush(&mut self, now: Now, key: &PublicKey) {
        self.with_peer(now, key, |_, _| ());
    }

    /// Calls `act` with a peer, lets it do what is due, and sets its timer.
    fn with_peer(&mut self, now: Now, key: &PublicKey, act: impl FnOnce(&mut Peer, &mut Context<'_>)) {
        let deadline = self.run_peer(now, key, act);
        self.set_timer(key, deadline);
    }

    fn set_timer(&mut self, key: &PublicKey, at: Option<Duration>) {
        let Some(contact) = self.contacts.get_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut contact.timer, at);
        if before != at {
            before.map(|before| self.timers.remove(&(before, *key)));
            at.map(|at| self.timers.insert((at, *key)));
        }
    }

    /// Returns when the peer next has something to do. Does nothing but erase old keys if no user in
    /// the roster has its key.
    fn run_peer(
        &mut self,
        now: Now,
        key: &PublicKey,
        act: impl FnOnce(&mut Peer, &mut Context<'_>),
    ) -> Option<Duration> {
        let Some(user) = self.roster.holder(key) else {
            // The keys of a peer that has left are erased in time too.
            let sessions = &mut self.contacts.get_mut(key)?.peer.as_mut()?.sessions;
            sessions.expire(now.monotonic);
            return sessions.deadline(false);
        };
        let (has_server, has_relay) = (self.is_rich() == Some(true), self.has_relay());
        let peer = self.contacts.get_mut(key)?.peer.as_mut()?;
        let connection = self.connection.as_ref();
        let held_before = peer.receiver.held_bytes();
        let mut context = Context {
            now: now.monotonic,
            unix_ms: now.unix_ms,
            identity: &mut self.identity,
            key,
            random: &mut self.random,
            outputs: &mut self.outputs,
            bulk: &mut self.bulk,
            relay_free: &mut self.relay_free,
            bulk_window: self.bulk_window,
            user,
            rendezvous: self.rendezvous.as_mut(),
            has_server,
            has_relay,
            punch_first: connection.is_some_and(Connection::is_behind_router),
            punch_ttl: self.options.punch_ttl,
            local: connection.map_or(&[], |connection| connection.offers_to(user)),
            is_neighbour: connection.is_some_and(|connection| connection.shares_router(user)),
            offer_limit: &mut self.offer_limit,
            may_hold: self.held_bytes < HELD_BYTES_MAX,
        };
        act(peer, &mut context);
        peer.flush(&mut context);
        let deadline = peer.deadline(&context);
        self.held_bytes = self.held_bytes + peer.receiver.held_bytes() - held_before;
        deadline
    }

    /// The conversation with a user. It starts if there is none.
    fn ensure_peer(&mut self, key: &PublicKey, now: Now) -> Result<&mut Peer, Refusal> {
        if !self.is_usable(key) {
            return Err(Refusal::BadKey);
        }
        let now = now.monotonic;
        let holder = self.roster.holder(key);
        let has_peer = |contact: &Contact| contact.peer.is_some();
        if !self.contacts.get(key).is_some_and(has_peer) && !self.make_room() {
            return Err(Refusal::Full);
        }
        let slot = self.free_slot();
        let contact = self.contacts.entry(*key).or_default();
        if contact.peer.is_none() {
            self.peers += 1;
            self.slots.insert(slot, *key);
            let mut peer = Peer::new(now, slot, self.control_floor);
            if let Some(address) = holder.and_then(|holder| self.roster.address(holder)) {
                peer.announce(now, address);
            }
            contact.peer = Some(Box::new(peer));
        }
        contact.peer.as_deref_mut().ok_or(Refusal::Full)
    }

    /// Makes room for a conversation. It replaces the oldest one without a message, and if all have
    /// one, the oldest whose peer has left and was never written to. The latter loses its protection
    /// against replays, but strangers can't use up all conversations. Returns whether there is room.
    fn make_room(&mut self) -> bool {
        if self.peers < PEERS_MAX {
            return true;
        }
        let rank = |key: &PublicKey, peer: &Peer| {
            let is_dispensable =
                peer.is_silent() || !peer.sender.has_sent() && self.roster.holder(key).is_none();
            is_dispensable.then(|| (!peer.is_silent(), peer.since, *key))
        };
        let peers = self
            .contacts
            .iter()
            .filter_map(|(key, contact)| Some((key, contact.peer.as_ref()?)));
        let oldest = peers.filter_map(|(key, peer)| rank(key, peer)).min();
        oldest.map(|(_, _, key)| self.drop_peer(&key)).is_some()
    }

    /// Drops a conversation and, unless a user in the roster has its key, the contact.
    fn drop_peer(&mut self, key: &PublicKey) {
        self.set_timer(key, None);
        let Some(contact) = self.contacts.get_mut(key) else {
            return;
        };
        if let Some(peer) = contact.peer.take() {
            self.peers -= 1;
            self.slots.remove(&peer.sessions.slot());
            self.held_bytes -= peer.receiver.held_bytes();
            self.control_floor = self.control_floor.max(peer.next_control);
        }
        if self.roster.holder(key).is_none() {
            self.contacts.remove(key);
        }
    }

    /// 24 random bits that no conversation has.
    fn free_slot(&mut self) -> u32 {
        loop {
            let slot = slot_of(u32::from_be_bytes(random::random(&mut self.random)));
            if !self.slots.contains_key(&slot) {
                return slot;
            }
        }
    }

    fn is_usable(&mut self, key: &PublicKey) -> bool {
        let contact = self.contacts.get_mut(key);
        contact.is_some_and(|contact| {
            *contact
                .is_usable
                .get_or_insert_with(|| self.identity.keys.can_agree(key))
        })
    }

    /// Whether the server speaks the rich dialect. `None` without a connection.
    fn is_rich(&self) -> Option<bool> {
        self.connection.as_ref().map(|connection| connection.is_rich)
    }

    fn has_relay(&self) -> bool {
        self.is_rich() == Some(true) && !self.options.direct_only
    }

    fn ask_rendezvous(&mut self, now: Duration) {
        if let Some(rendezvous) = &mut self.rendezvous
            && let Some((to, bytes)) = rendezvous.request(now)
        {
            self.outputs.push_back(Output::Datagram { to, ttl: None, bytes });
        }
    }
}

impl Connection {
    fn is_behind_router(&self) -> bool {
        self.own.is_some_and(|own| own != UserId::from(self.local))
    }

    /// Whether a user is behind the same router. It can't be reached by the router's outside
    /// address, so the two exchange their addresses in the network inside.
    fn shares_router(&self, user: UserId) -> bool {
        let has_same_ip = |own: UserId| own.address().ip() == user.address().ip();
        self.own.is_some_and(has_same_ip) && self.is_behind_router()
    }

    /// The addresses to offer to a user. Nobody outside needs to know them.
    fn offers_to(&self, user: UserId) -> &[SocketAddr] {
        if self.shares_router(user) {
            &self.addresses
        } else {
            &[]
        }
    }
}
