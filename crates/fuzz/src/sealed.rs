//! Sealed messages among three honest clients, on a network that can do anything with datagrams except break the seal.
//!
//! Required:
//! - each message shown was sent to this client by the sender that it names; messages are shown once and in order;
//! - each gap is announced;
//! - a delivered message was shown, and an overtaken one was not;
//! - each piece of a file arrives once at most, from the sender that it names, and is reported once; one that is reported as
//!   acknowledged arrived;
//! - no text is on the wire unencrypted, and no datagram is too long;
//! - idle clients are not woken, and memory is bounded.

use crate::bytes::Bytes;
use chat_client::files::message::FileId;
use chat_client::files::piece::Piece;
use chat_client::files::request::Handle;
use chat_client::private::{
    BULK_MAX, Connection, Event, KeyPair, MessageId, Options, Output, Private, Received, State, Why,
};
use chat_proto::datagram::{MARK, SEALED};
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::{FromClient, Profile};
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::net::SocketAddr;
use std::time::Duration;

const CLIENTS: usize = 3;

/// The longest script, in steps.
const STEPS_MAX: usize = 200;

/// The most datagrams in the network; further ones are lost.
const IN_FLIGHT_MAX: usize = 200;

/// The longest datagram.
const DATAGRAM_MAX: usize = 1200;

/// The most bytes of messages that a client may hold: its unsent messages, and 64 segments of each peer.
const HELD_MAX: usize = 1 << 20;

/// The most calls in a row without an event or a passing of time.
const IDLE_MAX: usize = 4;

const MILLISECONDS: [u64; 8] = [0, 1, 25, 100, 500, 2100, 10_000, 31_000];

pub(crate) fn target(input: &[u8]) {
    let mut script = Bytes(input);
    let mut world = World::new(&mut script);
    for _ in 0..STEPS_MAX {
        if script.is_empty() {
            break;
        }
        world.step(&mut script);
        world.carry();
    }
    world.end();
}

struct World {
    now: Now,
    clients: Vec<Client>,
    flying: Vec<Flying>,
    sent: Vec<Message>,
    pieces: Vec<PieceSent>,
}

struct Client {
    private: Private,
    id: UserId,
    key: PublicKey,
    /// For each sender, how many of its messages to this client were shown or skipped.
    shown: [usize; CLIENTS],
}

/// A datagram in transit.
#[derive(Clone)]
struct Flying {
    /// `None` if the server relays it.
    to: Option<SocketAddr>,
    from: usize,
    /// The user to whom the server relays it.
    by_relay_to: usize,
    bytes: Vec<u8>,
}

/// A message that a user wrote.
struct Message {
    from: usize,
    to: usize,
    id: MessageId,
    text: String,
    was_shown: bool,
    fate: Option<State>,
}

/// A piece of a file that was sent once; its place is its offset.
struct PieceSent {
    from: usize,
    to: usize,
    length: usize,
    has_arrived: bool,
    is_settled: bool,
}

impl World {
    fn new(script: &mut Bytes<'_>) -> Self {
        let flags = script.byte();
        let options = Options {
            direct_only: flags & 1 == 1,
            no_unencrypted: flags & 2 == 2,
            ..Options::default()
        };
        let now = Now {
            monotonic: Duration::from_secs(5),
            unix_ms: 1_700_000_000_000,
        };
        let clients = (0..CLIENTS).map(|number| Client::new(number, options)).collect();
        let mut world = Self {
            now,
            clients,
            flying: Vec::new(),
            sent: Vec::new(),
            pieces: Vec::new(),
        };
        world.introduce();
        world.carry();
        world
    }

    fn introduce(&mut self) {
        let profiles: Vec<Profile> = self.clients.iter().map(Client::profile).collect();
        for client in &mut self.clients {
            let connection = Connection {
                own: Some(client.id),
                local: client.id.address(),
                addresses: Vec::new(),
                is_rich: true,
            };
            client.private.connected(self.now, connection);
            for profile in &profiles {
                client.private.peer_here(self.now, profile);
            }
            client.private.roster_complete(self.now);
        }
    }

    fn step(&mut self, script: &mut Bytes<'_>) {
        match script.below(13) {
            0 | 1 => self.write(script),
            2..=5 => {
                let which = script.byte();
                if let Some(flying) = self.take(which) {
                    self.arrive(&flying);
                }
            }
            6 => {
                // The datagram arrives twice.
                let which = script.byte();
                if let Some(flying) = self.choose(which) {
                    self.arrive(&flying);
                }
            }
            7 => drop(self.take(script.byte())),
            8 => self.tamper(script),
            9 => self.forge(script),
            10 => self.wait(Duration::from_millis(script.one_of(&MILLISECONDS))),
            11 => self.send_pieces(script),
            _ => self.server(script),
        }
    }

    fn write(&mut self, script: &mut Bytes<'_>) {
        let (from, to) = (script.below(CLIENTS), script.below(CLIENTS));
        let repeat = script.one_of(&[1, 1, 4, 16]);
        let body = String::from_utf8_lossy(script.bytes()).repeat(repeat);
        // All texts differ, and each begins with a marker that would be seen on the wire.
        let text = format!("message {} {body}", self.sent.len());
        let text = Text::new(&text);
        let receiver = self.client(to).id;
        let now = self.now;
        if let Ok(id) = self.client(from).private.send(now, receiver, &text) {
            assert_ne!(from, to);
            self.sent.push(Message {
                from,
                to,
                id,
                text: text.to_string(),
                was_shown: false,
                fate: None,
            });
        }
    }

    /// Sends as many pieces as there is room for, each once.
    fn send_pieces(&mut self, script: &mut Bytes<'_>) {
        let (from, to) = (script.below(CLIENTS), script.below(CLIENTS));
        let length = script.one_of(&[9, 600, BULK_MAX]);
        let (now, receiver) = (self.now, self.client(to).id);
        for _ in 0..self.client(from).private.bulk_room(now, receiver) {
            let offset = self.pieces.len();
            self.pieces.push(PieceSent {
                from,
                to,
                length,
                has_arrived: false,
                is_settled: false,
            });
            let (offset, bytes) = (offset.try_into().unwrap_or(0), content(length));
            let piece = Piece {
                id: FileId(1),
                offset,
                length,
                handle: Handle(0),
            };
            let client = self.client(from);
            let sent = client.private.send_bulk(now, receiver, piece, &bytes);
            assert!(sent, "there was room");
        }
    }

    fn piece_arrived(&mut self, to: usize, from: UserId, offset: u64, bytes: &[u8]) {
        let now = self.now;
        self.client(to).private.consumed(now, from, bytes.len());
        let from = self.clients.iter().position(|client| client.id == from);
        let piece = usize::try_from(offset)
            .ok()
            .and_then(|place| self.pieces.get_mut(place));
        let piece = piece.expect("a piece that was sent");
        assert_eq!((Some(piece.from), piece.to), (from, to));
        assert_eq!(bytes, content(piece.length));
        assert!(!piece.has_arrived, "a piece arrived twice");
        piece.has_arrived = true;
    }

    fn settle_piece(&mut self, from: usize, piece: Piece) -> &PieceSent {
        let place = usize::try_from(piece.offset).expect("a place");
        let sent = self.pieces.get_mut(place).expect("a piece that was sent");
        assert_eq!((sent.from, sent.length), (from, piece.length));
        assert!(!sent.is_settled, "a piece is reported twice");
        sent.is_settled = true;
        sent
    }

    fn choose(&self, which: u8) -> Option<Flying> {
        let place = usize::from(which) % self.flying.len().max(1);
        self.flying.get(place).cloned()
    }

    fn take(&mut self, which: u8) -> Option<Flying> {
        let place = usize::from(which) % self.flying.len().max(1);
        (place < self.flying.len()).then(|| self.flying.remove(place))
    }

    /// Delivers a datagram to the client at its address.
    fn arrive(&mut self, flying: &Flying) {
        let source = self.client(flying.from).udp();
        self.arrive_from(flying, source);
    }

    fn arrive_from(&mut self, flying: &Flying, source: SocketAddr) {
        let now = self.now;
        let who = Who::from(self.client(flying.from).id);
        match flying.to {
            None => self
                .client(flying.by_relay_to)
                .private
                .relayed(now, &who, &flying.bytes),
            Some(to) => {
                if let Some(client) = self.clients.iter_mut().find(|client| client.udp() == to) {
                    client.private.datagram(now, source, &flying.bytes);
                }
            }
        }
    }

    /// Delivers a sealed datagram changed, cut, extended, to another client, or from another address.
    fn tamper(&mut self, script: &mut Bytes<'_>) {
        let Some(mut flying) = self.choose(script.byte()) else {
            return;
        };
        let mut source = self.client(flying.from).udp();
        match script.below(5) {
            0 => {
                let place = usize::from(script.byte()) % flying.bytes.len();
                let bits = script.byte();
                if let Some(byte) = flying.bytes.get_mut(place) {
                    *byte ^= bits;
                }
            }
            1 => flying
                .bytes
                .truncate(usize::from(script.byte()) % flying.bytes.len()),
            2 => flying.bytes.extend(script.bytes()),
            3 => {
                let other = script.below(CLIENTS);
                flying.by_relay_to = other;
                flying.to = flying.to.map(|_| self.client(other).udp());
            }
            _ => source = SocketAddr::from(([10, 0, 0, 99], u16::from(script.byte()) + 1)),
        }
        self.arrive_from(&flying, source);
    }

    /// Delivers bytes of an attacker without a key. They begin like a real datagram, or are random.
    fn forge(&mut self, script: &mut Bytes<'_>) {
        let mut flying = self.choose(script.byte()).unwrap_or(Flying {
            to: Some(self.client(0).udp()),
            from: 1,
            by_relay_to: 0,
            bytes: vec![MARK, SEALED],
        });
        flying.bytes.truncate(script.one_of(&[0, 2, 10, 34]));
        flying.bytes.extend(script.bytes());
        self.arrive(&flying);
    }

    /// Delivers an event of the server or the network.
    fn server(&mut self, script: &mut Bytes<'_>) {
        let (who, about, now) = (script.below(CLIENTS), script.below(CLIENTS), self.now);
        let profile = self.client(about).profile();
        let elsewhere = SocketAddr::from(([10, 0, 0, 99], u16::from(script.byte()) + 1));
        let client = self.client(who);
        match script.below(6) {
            0 => client.private.punch(now, profile.who.id, elsewhere),
            1 => client.private.peer_address(now, profile.who.id, elsewhere),
            2 => client.private.port_unreachable(now, elsewhere),
            3 => client
                .private
                .port_unreachable(now, profile.udp.unwrap_or(elsewhere)),
            4 => client.private.peer_here(now, &profile),
            _ => client.private.connection_lost(now),
        }
        if script.byte() & 3 == 3 {
            self.introduce();
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now.monotonic + time;
        for number in 0..CLIENTS {
            let _ = self.collect(number);
        }
        let mut idle = 0;
        while let Some(at) = self.deadline().filter(|&at| at <= until) {
            let before = self.now.monotonic;
            self.now.monotonic = at.max(before);
            let now = self.now;
            self.clients
                .iter_mut()
                .for_each(|client| client.private.timeout(now));
            let busy = self.carry() || self.now.monotonic > before;
            idle = if busy { 0 } else { idle + 1 };
            assert!(idle <= IDLE_MAX, "a client is woken without a reason");
        }
        self.now.monotonic = until;
    }

    fn deadline(&self) -> Option<Duration> {
        let deadlines = self.clients.iter().filter_map(|client| client.private.deadline());
        deadlines.min()
    }

    /// Handles the output of all clients. Returns whether there was any.
    fn carry(&mut self) -> bool {
        (0..CLIENTS).fold(false, |any, number| self.collect(number) | any)
    }

    fn collect(&mut self, number: usize) -> bool {
        let mut any = false;
        while let Some(output) = self.client(number).private.poll_output() {
            any = true;
            match output {
                Output::Datagram { to, bytes, .. } => self.fly(number, Some(to), number, bytes),
                Output::Line(FromClient::Relay(id, bytes)) => {
                    if let Some(to) = self.clients.iter().position(|client| client.id == id) {
                        self.fly(number, None, to, bytes.into_owned());
                    }
                }
                Output::Line(_) => {}
                Output::Event(Event::Received(received)) => self.shown(number, &received),
                Output::Event(Event::State(id, state)) => self.settled(number, id, state),
                Output::Event(Event::Warning(warning)) => {
                    panic!("a warning about honest clients: {warning:?}")
                }
                Output::Event(Event::Gone(_)) => {}
                Output::Event(Event::File { .. }) => panic!("nobody sends messages about files"),
                Output::Event(Event::Bulk {
                    from, offset, bytes, ..
                }) => self.piece_arrived(number, from, offset, &bytes),
                Output::Event(Event::BulkAcked { piece, .. }) => {
                    let sent = self.settle_piece(number, piece);
                    assert!(sent.has_arrived, "acknowledged, but it did not arrive");
                }
                Output::Event(Event::BulkLost { piece, .. }) => _ = self.settle_piece(number, piece),
            }
        }
        let held = self.client(number).private.footprint();
        assert!(held <= HELD_MAX, "{held} bytes are held");
        any
    }

    fn fly(&mut self, from: usize, to: Option<SocketAddr>, by_relay_to: usize, bytes: Vec<u8>) {
        assert!(bytes.len() <= DATAGRAM_MAX, "{} bytes in a datagram", bytes.len());
        assert_eq!(bytes.first(), Some(&MARK), "an unencrypted datagram");
        let is_clear = bytes.windows(8).any(|part| part == b"message ");
        assert!(!is_clear, "a text is on the wire unencrypted");
        if self.flying.len() < IN_FLIGHT_MAX {
            self.flying.push(Flying {
                to,
                from,
                by_relay_to,
                bytes,
            });
        }
    }

    fn shown(&mut self, to: usize, received: &Received) {
        assert!(received.sealed, "shown without a seal: {received:?}");
        let from = self.clients.iter().position(|client| client.id == received.from);
        let from = from.expect("somebody who is here");
        let past = self
            .clients
            .get(to)
            .and_then(|client| client.shown.get(from))
            .copied();
        let past = past.unwrap_or_default();
        let ours = |message: &&mut Message| (message.from, message.to) == (from, to);
        let mut rest = self.sent.iter_mut().filter(ours).enumerate().skip(past);
        let mut is_lost = false;
        let found = rest.find(|(_, message)| {
            let is_it = message.text == received.text.as_str();
            // A message given up before its first transmission leaves no gap, but its sender was told.
            is_lost |= !is_it && !matches!(message.fate, Some(State::NotDelivered(_)));
            is_it
        });
        let Some((place, message)) = found else {
            panic!("never sent, or shown before: {received:?}");
        };
        assert!(!is_lost || received.after_gap, "a gap was not announced");
        message.was_shown = true;
        let is_overtaken = matches!(message.fate, Some(State::NotDelivered(Why::Overtaken)));
        assert!(!is_overtaken, "shown after it was overtaken: {received:?}");
        if let Some(shown) = self.client(to).shown.get_mut(from) {
            *shown = place + 1;
        }
    }

    fn settled(&mut self, from: usize, id: MessageId, state: State) {
        let message = self
            .sent
            .iter_mut()
            .find(|message| (message.from, message.id) == (from, id));
        let Some(message) = message else {
            panic!("the state of a message that was never sent");
        };
        assert_eq!(message.fate, None, "a second final state: {state:?}");
        match state {
            State::Delivered { .. } => assert!(message.was_shown, "delivered but not shown"),
            State::NotDelivered(Why::Overtaken) => {
                assert!(!message.was_shown, "shown but reported as overtaken")
            }
            State::SentUnencrypted { .. } => panic!("sent unencrypted"),
            State::NotDelivered(_) => {}
        }
        message.fate = Some(state);
    }

    /// Checks that each message has a final state.
    fn end(mut self) {
        self.carry();
        for _ in 0..4 {
            self.wait(Duration::from_secs(31));
        }
        for message in &self.sent {
            assert!(
                message.fate.is_some(),
                "message {:?} has no final state",
                message.id
            );
        }
        assert!(
            self.pieces.iter().all(|piece| piece.is_settled),
            "a piece is not reported"
        );
        for client in &self.clients {
            assert_eq!(client.private.footprint(), 0);
        }
    }

    fn client(&mut self, number: usize) -> &mut Client {
        self.clients.get_mut(number).expect("a client")
    }
}

impl Client {
    fn new(number: usize, options: Options) -> Self {
        let seed = u8::try_from(number).unwrap_or_default() + 1;
        let keys = KeyPair::from_secret([seed; 32]);
        let key = keys.public();
        let mut count = u64::from(seed) << 32;
        // The seal only requires that no nonce repeats.
        let random = move |bytes: &mut [u8]| {
            count += 1;
            for (place, byte) in (0u32..).zip(bytes) {
                *byte = count.rotate_left(8 * (place % 8)).to_le_bytes()[0];
            }
        };
        let id = UserId::from(SocketAddr::from(([10, 0, 0, seed], 50312)));
        Self {
            private: Private::new(keys, options, Box::new(random)),
            id,
            key,
            shown: [0; CLIENTS],
        }
    }

    fn udp(&self) -> SocketAddr {
        self.id.private_address().expect("a port after the first")
    }

    fn profile(&self) -> Profile {
        Profile {
            who: Who::from(self.id),
            udp: Some(self.udp()),
            key: Some(self.key.into()),
        }
    }
}

/// The bytes of a piece. They begin like a text, which would be seen on the wire.
fn content(length: usize) -> Vec<u8> {
    b"message ".iter().copied().cycle().take(length).collect()
}
