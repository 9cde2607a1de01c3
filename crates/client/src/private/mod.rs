//! Private messages: delivery, sealing, paths.
//!
//! A private message arrives exactly once and in order, or its sender is told that it did not and why. It goes
//! directly when a direct path exists, and says so when it does not. Nobody but the two can read it or write in the
//! other's name.
//!
//! [`Private`] is all of it, for all peers. It owns no socket and reads no clock: the time, datagrams and lines go in;
//! datagrams, lines and events come out. After each input, take [`Private::poll_output`] until it is empty, and call
//! [`Private::timeout`] at [`Private::deadline`].
//!
//! A conversation belongs to the peer's public key; the id is a label, and only who the roster says has a key now is
//! written to or heard under it. What does not open is dropped without an answer or a trace.
//!
//! Layers, from the wire inwards: `seal` (datagrams), `packet` (what is in them), `sender` and `receiver`
//! (the two halves of a conversation; `segment` is what they exchange), `path` and `probe` (where the peer is),
//! `peer` (one conversation), and here all of them. `plaintext` is for peers without a key.

mod event;
mod from_server;
mod keys;
mod packet;
mod path;
mod peer;
mod plaintext;
mod probe;
mod receiver;
mod rendezvous;
mod roster;
mod rto;
mod seal;
mod segment;
mod sender;
#[cfg(test)]
mod tests;
mod window;

pub use event::{Event, MessageId, Options, Output, Path, Received, Refusal, State, Warning, Why};
pub use keys::{KeyPair, verify_code};

use chat_proto::TEXT_MAX;
use chat_proto::id::{UserId, canonical};
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;
use chat_proto::rendezvous::MARK;
use chat_proto::text::Text;
use keys::{KeyId, SessionKeys};
use packet::Packet;
use peer::{Context, Peer, Source};
use plaintext::Plaintext;
use rendezvous::Rendezvous;
use roster::{Roster, Standing};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// Bytes in a datagram at most.
pub const DATAGRAM_MAX: usize = seal::DATAGRAM_MAX;

/// Bytes of a datagram with one message that are not its text.
pub const OVERHEAD: usize = DATAGRAM_MAX - (packet::PARTS_MAX - packet::PART_HEAD_LEN);

/// Where random bytes come from: fills what it is given. They have to be good ones, from the system.
pub type Random = Box<dyn FnMut(&mut [u8])>;

/// Peers with whom messages were exchanged in one run. Their numbers are kept until it ends: 16,384 x about 1 KB = 16 MB.
const PEERS_MAX: usize = 16_384;

/// Bytes held back for order, for all peers together. One takes up to 77 KB.
const HELD_BYTES_MAX: usize = 4 << 20;

/// All private conversations of one client.
pub struct Private {
    keys: KeyPair,
    options: Options,
    random: Random,
    roster: Roster,
    contacts: BTreeMap<PublicKey, Contact>,
    /// Whose datagrams have this key id.
    key_ids: BTreeMap<KeyId, PublicKey>,
    /// When each contact has something to do; the same as `Contact::timer`.
    timers: BTreeSet<(Duration, PublicKey)>,
    /// The sum of what all peers hold back.
    held_bytes: usize,
    peers: usize,
    plaintext: Plaintext,
    rendezvous: Option<Rendezvous>,
    connection: Option<Connection>,
    own: Option<UserId>,
    next_message: MessageId,
    outputs: VecDeque<Output>,
}

/// What is known of a connection to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// This client's id, if the server says.
    pub own: Option<UserId>,
    /// The address of this end of the connection, as it is here. If it is not `own`, a router is in between.
    pub local: SocketAddr,
    /// The UDP addresses of this host in its own network, to be offered to peers behind the same router.
    pub addresses: Vec<SocketAddr>,
    /// The server speaks the rich dialect: it names everybody, relays, and passes messages on.
    pub is_rich: bool,
}

/// What is kept of somebody who has a key: in the roster, or written with in this run.
#[derive(Default)]
struct Contact {
    /// Made when first needed; the inner `None` stands for a key that can't be used.
    keys: Option<Option<SessionKeys>>,
    peer: Option<Box<Peer>>,
    timer: Option<Duration>,
}

impl Private {
    /// A client that has neither a connection nor a conversation.
    #[must_use]
    pub fn new(keys: KeyPair, options: Options, random: Random) -> Self {
        Self {
            keys,
            options,
            random,
            roster: Roster::default(),
            contacts: BTreeMap::new(),
            key_ids: BTreeMap::new(),
            timers: BTreeSet::new(),
            held_bytes: 0,
            peers: 0,
            plaintext: Plaintext::default(),
            rendezvous: None,
            connection: None,
            own: None,
            next_message: MessageId::FIRST,
            outputs: VecDeque::new(),
        }
    }

    /// This client's public key, for `HELLO`.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.keys.public()
    }

    /// The code that this client and a user compare, see [`verify_code`]; none without a key of theirs.
    #[must_use]
    pub fn verify_code(&self, with: UserId) -> Option<String> {
        match self.roster.get(with)?.standing {
            Standing::Keyed(key) => Some(verify_code(&self.keys.public(), &key)),
            Standing::Plain | Standing::Claims(_) | Standing::Refused => None,
        }
    }

    /// Bytes of messages that are held: those waiting to be sent and confirmed, and those held back for order.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let peers = self.contacts.values().filter_map(|contact| contact.peer.as_ref());
        self.held_bytes + peers.map(|peer| peer.waiting_bytes()).sum::<usize>()
    }

    /// The next thing to do or show.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::timeout`] is to be called, on the monotonic clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let contact = self.timers.first().map(|(at, _)| *at);
        let rendezvous = self.rendezvous.as_ref().map(Rendezvous::deadline);
        [contact, rendezvous, self.plaintext.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what has become due.
    pub fn timeout(&mut self, now: Now) {
        let now = now.monotonic;
        let due: Vec<PublicKey> = self
            .timers
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, key)| *key)
            .collect();
        for key in due {
            self.flush(now, &key);
        }
        self.plaintext.timeout(now, &mut self.outputs);
        self.ask_rendezvous(now);
    }
}

/// From the user.
impl Private {
    /// Sends a message. What becomes of it is told by [`Event::State`].
    ///
    /// # Errors
    /// Why it can't even be tried.
    pub fn send(&mut self, now: Now, to: UserId, text: &Text<'_>) -> Result<MessageId, Refusal> {
        let now = now.monotonic;
        if text.is_blank() {
            return Err(Refusal::Blank);
        }
        if text.as_str().len() > TEXT_MAX {
            return Err(Refusal::TooLong);
        }
        if self.own == Some(to) {
            return Err(Refusal::Yourself);
        }
        match self.standing(to).ok_or(Refusal::NotHere)? {
            Standing::Plain => self.send_unencrypted(now, to, text),
            Standing::Keyed(key) => self.send_sealed(now, key, text),
            Standing::Claims(_) => Err(Refusal::KeyTaken),
            Standing::Refused => Err(Refusal::BadKey),
        }
    }

    /// Whether there is room for another message to this user. If not, there is again after some event or timeout.
    #[must_use]
    pub fn can_send(&self, to: UserId) -> bool {
        match self.standing(to) {
            Some(Standing::Plain) => !self.plaintext.is_full(),
            Some(Standing::Keyed(key)) => {
                let peer = self.contacts.get(&key).and_then(|contact| contact.peer.as_ref());
                peer.is_none_or(|peer| !peer.is_full())
            }
            Some(Standing::Claims(_) | Standing::Refused) | None => true,
        }
    }

    fn send_sealed(&mut self, now: Duration, key: PublicKey, text: &Text<'_>) -> Result<MessageId, Refusal> {
        self.ensure_peer(&key, now)?;
        let id = self.next_message;
        let peer = self
            .contacts
            .get_mut(&key)
            .and_then(|contact| contact.peer.as_mut());
        let peer = peer.filter(|peer| !peer.is_full()).ok_or(Refusal::Busy)?;
        peer.send(now, id, text.as_str());
        self.next_message.0 += 1;
        self.flush(now, &key);
        Ok(id)
    }

    fn send_unencrypted(&mut self, now: Duration, to: UserId, text: &Text<'_>) -> Result<MessageId, Refusal> {
        if self.options.no_unencrypted {
            return Err(Refusal::OnlyUnencrypted);
        }
        self.plaintext.timeout(now, &mut self.outputs);
        if self.plaintext.is_full() {
            return Err(Refusal::Busy);
        }
        let id = self.next_message;
        self.next_message.0 += 1;
        let (address, can_whisper) = (self.unencrypted_address(to), self.can_whisper());
        self.plaintext
            .send(now, (id, to), address, text, can_whisper, &mut self.outputs);
        Ok(id)
    }

    /// How a user may be written to. The original server does not say who is here, so on one anybody may be.
    fn standing(&self, id: UserId) -> Option<Standing> {
        let is_original = self
            .connection
            .as_ref()
            .is_some_and(|connection| !connection.is_rich);
        let known = self.roster.get(id).map(|user| user.standing);
        known.or_else(|| is_original.then_some(Standing::Plain))
    }

    fn unencrypted_address(&self, id: UserId) -> Option<SocketAddr> {
        self.roster.address(id).or_else(|| id.private_address())
    }
}

/// From the socket.
impl Private {
    /// A datagram came.
    pub fn datagram(&mut self, now: Now, from: SocketAddr, bytes: &[u8]) {
        let from = canonical(from);
        if bytes.first() != Some(&MARK) {
            self.receive_unencrypted(from, bytes);
        } else if seal::key_id_of(bytes).is_some() {
            self.receive_sealed(now.monotonic, Source::Address(from), bytes);
        } else if let Some(rendezvous) = &mut self.rendezvous {
            let confirm = rendezvous.reply(now.monotonic, from, bytes);
            self.outputs.extend(confirm.map(Output::Line));
        }
    }

    /// The system says that no port is open at an address to which something was sent (ICMP, by `IP_RECVERR`).
    pub fn port_unreachable(&mut self, now: Now, address: SocketAddr) {
        let (now, address) = (now.monotonic, canonical(address));
        // What was told too late is not told at all.
        self.plaintext.timeout(now, &mut self.outputs);
        let struck = self.contacts.iter_mut().filter_map(|(key, contact)| {
            let peer = contact.peer.as_mut()?;
            peer.unreachable(now, address).then_some(*key)
        });
        for key in struck.collect::<Vec<_>>() {
            self.flush(now, &key);
        }
        let can_whisper = self.can_whisper();
        self.plaintext
            .unreachable(now, address, can_whisper, &mut self.outputs);
    }

    fn receive_sealed(&mut self, now: Duration, source: Source, bytes: &[u8]) -> Option<()> {
        let key = *self.key_ids.get(&seal::key_id_of(bytes)?)?;
        let keys = self.session_keys(&key)?;
        let packet = Packet::parse(&seal::open(&keys.incoming, bytes)?)?;
        self.ensure_peer(&key, now).ok()?;
        self.with_peer(now, &key, |peer, context| {
            peer.receive(context, source, bytes.len(), packet);
        });
        self.flush(now, &key);
        Some(())
    }

    fn receive_unencrypted(&mut self, from: SocketAddr, bytes: &[u8]) -> Option<()> {
        let id = UserId::from_private_address(from).filter(|id| Some(*id) != self.own)?;
        if self.options.no_unencrypted || self.standing(id)? != Standing::Plain {
            return None;
        }
        let text = plaintext::text_of(bytes)?;
        self.received_unencrypted(id, text, Path::Direct);
        Some(())
    }

    fn received_unencrypted(&mut self, from: UserId, text: Text<'static>, path: Path) {
        self.outputs.push_back(Output::Event(Event::Received(Received {
            from,
            text,
            path,
            sealed: false,
            after_gap: false,
        })));
    }
}

/// What all of the above is made of.
impl Private {
    /// Lets a peer do what is due, and notes when it next has something to do.
    fn flush(&mut self, now: Duration, key: &PublicKey) {
        let deadline = self.with_peer(now, key, |peer, context| {
            peer.flush(context);
            peer.deadline(context)
        });
        self.set_timer(key, deadline.flatten());
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

    /// Calls `act` with a peer that is here.
    fn with_peer<T>(
        &mut self,
        now: Duration,
        key: &PublicKey,
        act: impl FnOnce(&mut Peer, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let label = self.roster.holder(key)?;
        let peer = self.contacts.get_mut(key)?.peer.as_mut()?;
        let connection = self.connection.as_ref();
        let has_server = connection.is_some_and(|connection| connection.is_rich);
        let held_before = peer.held_bytes();
        let mut context = Context {
            now,
            random: &mut self.random,
            outputs: &mut self.outputs,
            label,
            has_server,
            has_relay: has_server && !self.options.direct_only,
            opens_first: connection.is_some_and(Connection::is_behind_router),
            punch_ttl: self.options.punch_ttl,
            local: connection.map_or(&[], |connection| connection.offers_to(label)),
            may_hold: self.held_bytes < HELD_BYTES_MAX,
        };
        let result = act(peer, &mut context);
        self.held_bytes = self.held_bytes + peer.held_bytes() - held_before;
        Some(result)
    }

    /// Begins a conversation, if there is none.
    fn ensure_peer(&mut self, key: &PublicKey, now: Duration) -> Result<(), Refusal> {
        let keys = self.session_keys(key).ok_or(Refusal::BadKey)?;
        let address = self
            .roster
            .holder(key)
            .and_then(|holder| self.roster.address(holder));
        let contact = self.contacts.entry(*key).or_default();
        if contact.peer.is_some() {
            return Ok(());
        }
        if self.peers >= PEERS_MAX {
            return Err(Refusal::Full);
        }
        self.peers += 1;
        let mut peer = Box::new(Peer::new(keys));
        if let Some(address) = address {
            peer.announce(now, address);
        }
        contact.peer = Some(peer);
        Ok(())
    }

    /// The keys shared with somebody. They take a tenth of a millisecond to make, so they are kept: what comes under
    /// a known key id and does not open costs no more than looking at it.
    fn session_keys(&mut self, key: &PublicKey) -> Option<SessionKeys> {
        let contact = self.contacts.get_mut(key)?;
        contact.keys.get_or_insert_with(|| self.keys.agree(key)).clone()
    }

    fn can_whisper(&self) -> bool {
        let is_rich = self
            .connection
            .as_ref()
            .is_some_and(|connection| connection.is_rich);
        is_rich && !self.options.direct_only
    }

    fn ask_rendezvous(&mut self, now: Duration) {
        let Some(rendezvous) = &mut self.rendezvous else {
            return;
        };
        if let Some((to, bytes)) = rendezvous.request(now, &mut self.random) {
            self.outputs.push_back(Output::Datagram { to, ttl: None, bytes });
        }
    }
}

impl Connection {
    fn is_behind_router(&self) -> bool {
        self.own.is_some_and(|own| own != UserId::from(self.local))
    }

    /// The addresses to offer to a user: those behind the same router can't reach each other by its outside address,
    /// and nobody else needs to know them.
    fn offers_to(&self, user: UserId) -> &[SocketAddr] {
        let same_router = self
            .own
            .is_some_and(|own| own.address().ip() == user.address().ip());
        if same_router && self.is_behind_router() {
            &self.addresses
        } else {
            &[]
        }
    }
}

fn random<const N: usize>(source: &mut Random) -> [u8; N] {
    let mut bytes = [0; N];
    source(&mut bytes);
    bytes
}
