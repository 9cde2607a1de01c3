//! Clients, a server, a network and an attacker in simulated time. The seed determines the whole
//! run.

use crate::ledger::Ledger;
use crate::network::{Arrival, Conditions, Network, Router};
use crate::pieces::{Pieces, Transfer};
use crate::rng::Rng;
use crate::server::{Conn, Server};
use chat_client::files::message::FileMessage;
use chat_client::files::piece::Piece;
use chat_client::files::request::Handle;
use chat_client::private::{Event, KeyPair, Options, Output, Path, Private, Received, Refusal};
use chat_noise::private::index_of;
use chat_proto::datagram::{BEGIN, MARK, SEALED};
use chat_proto::id::{UserId, canonical};
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::{FromClient, Key};
use chat_proto::text::Text;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::net::SocketAddr;
use std::time::Duration;

/// No actions after this time.
pub(crate) const LAST_ACT: Duration = Duration::from_secs(70);

/// The same in a run so long that keys are renewed twice.
const LAST_ACT_OF_LONG: Duration = Duration::from_secs(280);

/// One seed of so many has a long run.
const LONG_ONE_OF: u64 = 15;

/// When the actions of this seed end.
fn last_act(seed: u64) -> Duration {
    match seed.is_multiple_of(LONG_ONE_OF) {
        true => LAST_ACT_OF_LONG,
        false => LAST_ACT,
    }
}

pub(crate) struct Simulation {
    pub(crate) now: Duration,
    pub(crate) rng: Rng,
    pub(crate) network: Network,
    pub(crate) server: Server,
    pub(crate) is_server_up: bool,
    pub(crate) clients: Vec<Client>,
    pub(crate) keyless: Vec<Keyless>,
    pub(crate) ledger: Ledger,
    pub(crate) pieces: Pieces,
    /// There is no attacker, and nothing fails except the links.
    pub(crate) is_peaceful: bool,
    pub(crate) last_act: Duration,
    /// Datagrams that the attacker has seen.
    pub(crate) captured: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    pub(crate) events: BTreeMap<(Duration, u64), Scheduled>,
    next_event: u64,
    pub(crate) next_conn: Conn,
    pub(crate) next_text: usize,
    pub(crate) trace: DefaultHasher,
    /// Print what the clients do: `CHAT_TRACE=1`.
    is_traced: bool,
}

/// A slot in which one client after another runs.
pub(crate) struct Client {
    pub(crate) private: Private,
    /// Of its key.
    pub(crate) secret: [u8; 32],
    pub(crate) is_alive: bool,
    /// The addresses of its sockets, on its host.
    pub(crate) tcp: SocketAddr,
    pub(crate) udp: SocketAddr,
    pub(crate) options: Options,
    pub(crate) conn: Option<Conn>,
    /// When the last line in each direction arrives. Lines stay in order.
    last_line: (Duration, Duration),
    /// The users' keys, as announced to this client.
    pub(crate) view: BTreeMap<UserId, Option<Key>>,
    /// Users whose key changed while they were in view. Messages to and from them are blocked.
    pub(crate) refused: BTreeSet<UserId>,
    /// Users in view before the connection was lost, and not announced since.
    pub(crate) stale: BTreeSet<UserId>,
    /// Files that it sends.
    pub(crate) transfers: Vec<Transfer>,
    /// When it last gave the server a piece.
    pub(crate) piece_relayed: Option<Duration>,
    /// Users announced since with the beginning of a key that they had before.
    pub(crate) likely: BTreeSet<UserId>,
    /// The user list of this connection is complete.
    pub(crate) is_listed: bool,
}

/// A user without a key.
pub(crate) struct Keyless {
    pub(crate) id: UserId,
    pub(crate) conn: Conn,
    /// The UDP port after its TCP port is open.
    pub(crate) has_port: bool,
}

pub(crate) enum Scheduled {
    Datagram(SocketAddr, SocketAddr, Vec<u8>),
    ToServer(Conn, String),
    ToClient(Conn, String),
    /// The server notices that a connection is closed.
    Gone(Conn),
    Connect(usize),
    Start(usize),
    ServerUp,
    Unreachable(SocketAddr, SocketAddr),
    Unblock,
    /// A client has done with bytes of a file from this user.
    Consume(usize, UserId, usize),
    /// The next random action.
    Act,
}

pub(crate) const SERVER: ([u8; 4], u16) = ([203, 0, 113, 1], 9000);

/// An unused address. Datagrams from it are forged.
pub(crate) fn victim(n: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 4000 + u16::try_from(n % 8).unwrap()))
}

impl Simulation {
    pub(crate) fn new(seed: u64, is_peaceful: bool) -> Self {
        let mut rng = Rng::new(seed);
        let slow = rng.below(120);
        let conditions = Conditions {
            loss: [0, 10, 100, 300][rng.below(4)],
            duplicate: [0, 50][rng.below(2)],
            corrupt: [0, 20][rng.below(2)],
            delay: (slow / 2, slow / 2 + [1, 20, 400][rng.below(3)]),
        };
        let symmetric = (rng.chance(300), rng.chance(300));
        let network = Network {
            conditions,
            blocked: BTreeSet::new(),
            routers: vec![Router::new(1, symmetric.0), Router::new(2, symmetric.1)],
        };
        let mut simulation = Self {
            now: Duration::ZERO,
            rng,
            network,
            server: Server::default(),
            is_server_up: true,
            clients: Vec::new(),
            keyless: Vec::new(),
            ledger: Ledger::default(),
            pieces: Pieces::default(),
            is_peaceful,
            last_act: last_act(seed),
            captured: Vec::new(),
            events: BTreeMap::new(),
            next_event: 0,
            next_conn: 0,
            next_text: 0,
            trace: DefaultHasher::new(),
            is_traced: std::env::var_os("CHAT_TRACE").is_some(),
        };
        simulation.populate();
        simulation
    }

    fn populate(&mut self) {
        for slot in 0..2 + self.rng.below(3) {
            let net = [[10, 0, 0], [10, 0, 0], [192, 168, 1], [192, 168, 2]][self.rng.below(4)];
            let host = [net[0], net[1], net[2], u8::try_from(10 + slot).unwrap()];
            let port = 50_000 + u16::try_from(self.rng.below(1000) * 10).unwrap();
            let udp_port = if self.rng.chance(200) { 33_000 } else { port + 1 };
            let tcp = SocketAddr::from((host, port));
            let udp = SocketAddr::from((host, udp_port));
            let options = Options {
                direct_only: self.rng.chance(100) && !self.is_peaceful,
                no_unencrypted: self.rng.chance(100),
                ..Options::default()
            };
            let secret = self.secret();
            let client = Client {
                private: self.new_private(secret, options),
                secret,
                is_alive: true,
                tcp,
                udp,
                options,
                conn: None,
                last_line: (Duration::ZERO, Duration::ZERO),
                view: BTreeMap::new(),
                refused: BTreeSet::new(),
                stale: BTreeSet::new(),
                transfers: Vec::new(),
                piece_relayed: None,
                likely: BTreeSet::new(),
                is_listed: false,
            };
            self.clients.push(client);
            let at = self.rng.ms(0, 2000);
            self.schedule(at, Scheduled::Connect(slot));
        }
        for n in 0..self.rng.below(3) {
            let id = UserId::from(SocketAddr::from((
                [10, 0, 0, 100 + u8::try_from(n).unwrap()],
                6000,
            )));
            let (conn, has_port) = (self.connection(), self.rng.chance(500));
            self.server.join(conn, id, id.private_address(), None);
            self.keyless.push(Keyless { id, conn, has_port });
        }
        self.schedule(Duration::from_secs(3), Scheduled::Act);
    }

    pub(crate) fn secret(&mut self) -> [u8; 32] {
        let mut secret = [0; 32];
        self.rng.fill(&mut secret);
        secret
    }

    pub(crate) fn new_private(&mut self, secret: [u8; 32], options: Options) -> Private {
        let mut rng = Rng::new(self.rng.next());
        Private::new(
            KeyPair::from_secret(secret),
            options,
            Box::new(move |bytes| rng.fill(bytes)),
        )
    }

    pub(crate) fn connection(&mut self) -> Conn {
        self.next_conn += 1;
        self.next_conn
    }

    pub(crate) fn schedule(&mut self, at: Duration, what: Scheduled) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), what);
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: self.now,
            unix_ms: u64::try_from(self.now.as_millis()).unwrap(),
        }
    }

    /// Sends a datagram over the network.
    pub(crate) fn transmit(&mut self, from: SocketAddr, to: SocketAddr, ttl: Option<u8>, bytes: &[u8]) {
        for Arrival { at, from, to, bytes } in
            self.network.send(self.now, &mut self.rng, from, to, ttl, bytes)
        {
            if self.captured.len() < 64 || self.rng.chance(100) {
                let place = self.rng.below(64).min(self.captured.len());
                self.captured.truncate(64);
                self.captured.insert(place, (from, to, bytes.clone()));
            }
            self.schedule(at, Scheduled::Datagram(from, to, bytes));
        }
    }

    /// Carries out and checks a client's outputs.
    pub(crate) fn drain(&mut self, slot: usize) {
        while let Some(output) = self.clients[slot].private.poll_output() {
            (self.now, slot).hash(&mut self.trace);
            match &output {
                Output::Datagram { to, ttl, bytes } => (to, ttl, bytes).hash(&mut self.trace),
                Output::Line(line) => line.to_string().hash(&mut self.trace),
                Output::Event(event) => format!("{event:?}").hash(&mut self.trace),
            }
            if self.is_traced {
                let (now, what) = (self.now, describe(&output));
                eprintln!("{now:?} client {slot}: {what}");
            }
            let (key, udp) = (self.clients[slot].private.public_key(), self.clients[slot].udp);
            match output {
                Output::Datagram { to, ttl, bytes } => {
                    assert!(bytes.len() <= 1200, "a datagram of {} bytes", bytes.len());
                    self.check_secrecy(key, &bytes);
                    if to.ip() == victim(0).ip() {
                        self.ledger.sent_to_victim(key, to, bytes.len());
                    }
                    self.transmit(udp, to, ttl, &bytes);
                }
                Output::Line(line) => {
                    if let FromClient::Relay(_, bytes) = &line {
                        self.check_secrecy(key, bytes);
                    }
                    let client = &self.clients[slot];
                    let line = line.to_string();
                    assert!(!client.options.direct_only || !line.starts_with("RELAY"));
                    self.line_to_server(slot, line);
                }
                Output::Event(Event::Received(received)) => {
                    let client = &self.clients[slot];
                    let label_key = client.view.get(&received.from).copied().flatten();
                    assert!(received.sealed || !client.options.no_unencrypted);
                    self.ledger.shown(key, label_key, &received);
                }
                Output::Event(Event::State(id, state)) => self.ledger.state(self.now, key, id, state),
                Output::Event(Event::Warning(_) | Event::Gone(_)) => {}
                Output::Event(Event::File { from, message, path }) => {
                    self.file_message_shown(slot, from, &message, path);
                }
                Output::Event(Event::Bulk {
                    from,
                    id,
                    offset,
                    bytes,
                }) => {
                    let length = bytes.len();
                    let handle = Handle(0);
                    let piece = Piece {
                        id,
                        offset,
                        length,
                        handle,
                    };
                    self.piece_received(slot, from, piece, &bytes);
                }
                Output::Event(Event::BulkAcked { piece, .. }) => self.pieces.acked(key, piece),
                Output::Event(Event::BulkLost { piece, .. }) => self.piece_lost(slot, piece),
            }
        }
        let footprint = self.clients[slot].private.footprint();
        assert!(
            footprint < 700_000 * self.clients.len(),
            "{footprint} bytes in memory"
        );
    }

    fn file_message_shown(&mut self, slot: usize, from: UserId, message: &FileMessage, path: Path) {
        let client = &self.clients[slot];
        let label_key = client.view.get(&from).copied().flatten();
        let received = Received {
            from,
            text: Text::from(format!("{message:?}")),
            path,
            sealed: true,
            after_gap: false,
        };
        self.ledger
            .shown(client.private.public_key(), label_key, &received);
    }

    fn piece_received(&mut self, slot: usize, from: UserId, piece: Piece, bytes: &[u8]) {
        let client = &self.clients[slot];
        let label_key = client.view.get(&from).and_then(|key| (*key)?.whole());
        let at = client.private.public_key();
        self.pieces.received(at, label_key, piece, bytes);
        let slow = [0, 0, 20, 3000][self.rng.below(4)];
        let at = self.now + self.rng.ms(0, slow);
        self.schedule(at, Scheduled::Consume(slot, from, bytes.len()));
    }

    fn piece_lost(&mut self, slot: usize, piece: Piece) {
        let client = &mut self.clients[slot];
        let to = self.pieces.lost(client.private.public_key(), piece);
        let same = |transfer: &&mut Transfer| transfer.to == to;
        let transfer = client.transfers.iter_mut().rev().find(same);
        transfer.unwrap().rest.push_back(piece);
    }

    /// No text is sent in the clear, under old keys, nor with the beginning of a handshake: that can be replayed.
    fn check_secrecy(&mut self, by: PublicKey, bytes: &[u8]) {
        if bytes.first() != Some(&MARK) {
            return;
        }
        let is_clear = bytes
            .windows(8)
            .any(|part| part == b"message " || part.starts_with(b"piece "));
        assert!(!is_clear, "a text is sent in the clear");
        assert!(
            bytes[1] != BEGIN || bytes.len() == 118,
            "a beginning carries more"
        );
        if bytes[1] == SEALED {
            self.ledger.sealed(self.now, by, index_of(bytes).unwrap());
        }
    }

    fn line_to_server(&mut self, slot: usize, line: String) {
        let at = self.now + self.rng.ms(1, 40);
        let client = &mut self.clients[slot];
        if let Some(conn) = client.conn {
            let at = at.max(client.last_line.0);
            client.last_line.0 = at;
            self.schedule(at, Scheduled::ToServer(conn, line));
        }
    }

    pub(crate) fn deliver_server_lines(&mut self) {
        for (conn, line) in std::mem::take(&mut self.server.outbox) {
            let Some(slot) = self.clients.iter().position(|client| client.conn == Some(conn)) else {
                continue;
            };
            let at = (self.now + self.rng.ms(1, 40)).max(self.clients[slot].last_line.1);
            self.clients[slot].last_line.1 = at;
            self.schedule(at, Scheduled::ToClient(conn, line));
        }
    }

    /// A client sends a message to `to`. The ledger notes the key that it has in this client's
    /// view.
    pub(crate) fn write(&mut self, slot: usize, to: UserId, length: usize) {
        let now = self.now();
        let client = &mut self.clients[slot];
        if !client.is_alive {
            return;
        }
        self.next_text += 1;
        let mut text = format!("message {} ", self.next_text);
        text.extend((text.len()..length).map(|i| char::from(b'a' + u8::try_from(i % 26).unwrap())));
        let text = text.trim_end().to_owned();
        let from = client.private.public_key();
        let sent = client.private.send(now, to, &Text::new(&text));
        assert!(
            sent.is_err() || !client.refused.contains(&to),
            "{text:?} is sent to a user whose key changed"
        );
        if sent == Err(Refusal::Unasked) {
            client.private.ask_about(now, to);
        }
        let key = client.view.get(&to).copied().flatten().and_then(Key::whole);
        if let (Some(key), Ok(id)) = (key, sent) {
            self.ledger.sent(self.now, id, from, key, text);
        }
        self.drain(slot);
    }

    pub(crate) fn canonical_udp(&self, slot: usize) -> SocketAddr {
        canonical(self.clients[slot].udp)
    }
}

/// An output in one line.
fn describe(output: &Output) -> String {
    let text = match output {
        Output::Datagram { to, ttl, bytes } => format!("{} bytes to {to}, ttl {ttl:?}", bytes.len()),
        other => format!("{other:?}"),
    };
    text.chars().take(150).collect()
}
