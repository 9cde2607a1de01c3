//! Clients, a server and a network in simulated time, and somebody who means harm. All follows from the seed.

use crate::ledger::Ledger;
use crate::network::{Arrival, Network, Router, Weather};
use crate::rng::Rng;
use crate::server::{Conn, Server};
use chat_client::private::{Connection, Event, KeyPair, MessageId, Options, Output, Private};
use chat_proto::id::{UserId, canonical};
use chat_proto::now::Now;
use chat_proto::opaque::{Opaque, PublicKey};
use chat_proto::rich::FromServer;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::time::Duration;

pub(crate) struct Simulation {
    pub(crate) now: Duration,
    pub(crate) rng: Rng,
    pub(crate) network: Network,
    pub(crate) server: Server,
    pub(crate) is_server_up: bool,
    pub(crate) clients: Vec<Client>,
    pub(crate) plain: Vec<Plain>,
    pub(crate) ledger: Ledger,
    /// Nobody means harm, and nothing breaks but what the links do to datagrams.
    pub(crate) is_peaceful: bool,
    /// Datagrams that were seen on the wire.
    pub(crate) captured: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    events: BTreeMap<(Duration, u64), What>,
    next_event: u64,
    pub(crate) next_conn: Conn,
    next_text: usize,
    trace: DefaultHasher,
    /// Say what the clients do: `CHAT_TRACE=1`.
    is_told: bool,
}

/// A seat at which one client after another runs.
pub(crate) struct Client {
    pub(crate) private: Private,
    pub(crate) is_alive: bool,
    /// Where its sockets are, on its host.
    pub(crate) tcp: SocketAddr,
    pub(crate) udp: SocketAddr,
    pub(crate) options: Options,
    pub(crate) conn: Option<Conn>,
    /// When the last line in each direction arrives; lines don't overtake each other.
    last_line: (Duration, Duration),
    /// Whose key is whose, as far as this client was told.
    pub(crate) view: BTreeMap<UserId, Option<PublicKey>>,
    /// Users whose key changed while they were in view: nothing goes to them or comes from them.
    pub(crate) refused: BTreeSet<UserId>,
    /// Who was in view before the connection was lost, and was not named since.
    stale: BTreeSet<UserId>,
}

/// Somebody without a key.
pub(crate) struct Plain {
    pub(crate) id: UserId,
    pub(crate) conn: Conn,
    /// Something listens on the UDP port after the TCP port.
    pub(crate) has_port: bool,
}

pub(crate) enum What {
    Datagram(SocketAddr, SocketAddr, Vec<u8>),
    ToServer(Conn, String),
    ToClient(Conn, String),
    /// The server notices that a connection is gone.
    Gone(Conn),
    Connect(usize),
    Start(usize),
    ServerUp,
    Unreachable(SocketAddr, SocketAddr),
    Unblock,
    /// The next thing that somebody does.
    Act,
}

pub(crate) const SERVER: ([u8; 4], u16) = ([203, 0, 113, 1], 9000);

/// Datagrams from here are never the clients' own; nobody is there.
pub(crate) fn victim(n: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 7], 4000 + u16::try_from(n % 8).unwrap()))
}

impl Simulation {
    pub(crate) fn new(seed: u64, is_peaceful: bool) -> Self {
        let mut rng = Rng::new(seed);
        let slow = rng.below(120);
        let weather = Weather {
            loss: [0, 10, 100, 300][rng.below(4)],
            double: [0, 50][rng.below(2)],
            garble: [0, 20][rng.below(2)],
            delay: (slow / 2, slow / 2 + [1, 20, 400][rng.below(3)]),
        };
        let symmetric = (rng.chance(300), rng.chance(300));
        let network = Network {
            weather,
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
            plain: Vec::new(),
            ledger: Ledger::default(),
            is_peaceful,
            captured: Vec::new(),
            events: BTreeMap::new(),
            next_event: 0,
            next_conn: 0,
            next_text: 0,
            trace: DefaultHasher::new(),
            is_told: std::env::var_os("CHAT_TRACE").is_some(),
        };
        simulation.populate();
        simulation
    }

    fn populate(&mut self) {
        for seat in 0..2 + self.rng.below(3) {
            let net = [[10, 0, 0], [10, 0, 0], [192, 168, 1], [192, 168, 2]][self.rng.below(4)];
            let host = [net[0], net[1], net[2], u8::try_from(10 + seat).unwrap()];
            let port = 50_000 + u16::try_from(self.rng.below(1000) * 10).unwrap();
            let udp_port = if self.rng.chance(200) { 33_000 } else { port + 1 };
            let tcp = SocketAddr::from((host, port));
            let udp = SocketAddr::from((host, udp_port));
            let options = Options {
                direct_only: self.rng.chance(100) && !self.is_peaceful,
                no_unencrypted: self.rng.chance(100),
                ..Options::default()
            };
            let client = Client {
                private: self.new_private(options),
                is_alive: true,
                tcp,
                udp,
                options,
                conn: None,
                last_line: (Duration::ZERO, Duration::ZERO),
                view: BTreeMap::new(),
                refused: BTreeSet::new(),
                stale: BTreeSet::new(),
            };
            self.clients.push(client);
            let at = self.rng.ms(0, 2000);
            self.schedule(at, What::Connect(seat));
        }
        for n in 0..self.rng.below(3) {
            let id = UserId::from(SocketAddr::from((
                [10, 0, 0, 100 + u8::try_from(n).unwrap()],
                6000,
            )));
            let (conn, has_port) = (self.connection(), self.rng.chance(500));
            self.server.join(conn, id, None, None);
            self.plain.push(Plain { id, conn, has_port });
        }
        self.schedule(Duration::from_secs(3), What::Act);
    }

    pub(crate) fn new_private(&mut self, options: Options) -> Private {
        let mut secret = [0; 32];
        self.rng.fill(&mut secret);
        let mut rng = Rng::new(self.rng.next());
        Private::new(
            KeyPair::from_random(secret),
            options,
            Box::new(move |bytes| rng.fill(bytes)),
        )
    }

    pub(crate) fn connection(&mut self) -> Conn {
        self.next_conn += 1;
        self.next_conn
    }

    pub(crate) fn schedule(&mut self, at: Duration, what: What) {
        self.next_event += 1;
        self.events.insert((at, self.next_event), what);
    }

    /// Runs until nothing is left to do before `end`, and gives the hash of all that happened.
    pub(crate) fn run(&mut self, end: Duration) -> u64 {
        loop {
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let alive = self.clients.iter().filter(|client| client.is_alive);
            let timer = alive.filter_map(|client| client.private.deadline()).min();
            let Some(next) = [event, timer]
                .into_iter()
                .flatten()
                .min()
                .filter(|next| *next < end)
            else {
                break;
            };
            self.now = self.now.max(next);
            if event == Some(next) {
                let (_, what) = self.events.pop_first().unwrap();
                self.happen(what);
            }
            self.run_timers();
            self.ledger.check_settled(self.now);
        }
        self.now = end;
        self.ledger.check_settled(end);
        self.trace.finish()
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            monotonic: self.now,
            unix_ms: 0,
        }
    }

    fn run_timers(&mut self) {
        let now = self.now();
        for seat in 0..self.clients.len() {
            let client = &mut self.clients[seat];
            if client.is_alive && client.private.deadline().is_some_and(|at| at <= self.now) {
                client.private.timeout(now);
                let next = client.private.deadline();
                assert!(
                    next.is_none_or(|next| next > self.now),
                    "a timer that is due was seen to and is due again"
                );
                self.drain(seat);
            }
        }
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Datagram(from, to, bytes) => self.arrive(from, to, &bytes),
            What::ToServer(conn, line) => {
                self.server.line(conn, &line);
                self.deliver_what_the_server_said();
            }
            What::ToClient(conn, line) => self.hear(conn, &line),
            What::Gone(conn) => {
                self.server.leave(conn);
                self.deliver_what_the_server_said();
            }
            What::Connect(seat) => self.connect(seat),
            What::Start(seat) => self.start(seat),
            What::ServerUp => self.server_comes_up(),
            What::Unreachable(host, address) => {
                let now = self.now();
                if let Some(seat) = self.seat_at(host) {
                    self.clients[seat].private.port_unreachable(now, address);
                    self.drain(seat);
                }
            }
            What::Unblock => self.network.blocked.clear(),
            What::Act => self.act(),
        }
    }

    /// The living client whose UDP socket this is.
    fn seat_at(&self, udp: SocketAddr) -> Option<usize> {
        self.clients
            .iter()
            .position(|client| client.is_alive && client.udp == udp)
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if to == SocketAddr::from(SERVER) {
            let mut nonce = [0; 16];
            self.rng.fill(&mut nonce);
            if let Some(reply) = self.server.datagram(from, bytes, Opaque(nonce)) {
                self.transmit(SERVER.into(), from, None, &reply);
            }
            return;
        }
        let Some(host) = self.network.enter(self.now, from, to) else {
            return;
        };
        let now = self.now();
        if let Some(seat) = self.seat_at(host) {
            let client = &mut self.clients[seat];
            client.private.datagram(now, from, bytes);
            if from.ip() == victim(0).ip() {
                let key = client.private.public_key();
                self.ledger.seemingly_from_victim(key, from, bytes.len());
            }
            self.drain(seat);
        } else if !self
            .plain
            .iter()
            .any(|plain| plain.has_port && plain.id.private_address() == Some(to))
        {
            // The host is there, and says that the port is closed. That comes back through routers as well.
            let sender = self.network.enter(self.now, to, from);
            let at = self.now + self.rng.ms(1, 50);
            if let Some(sender) = sender {
                self.schedule(at, What::Unreachable(sender, to));
            }
        }
    }

    /// Puts a datagram on the wire.
    pub(crate) fn transmit(&mut self, from: SocketAddr, to: SocketAddr, ttl: Option<u8>, bytes: &[u8]) {
        for Arrival { at, from, to, bytes } in
            self.network.send(self.now, &mut self.rng, from, to, ttl, bytes)
        {
            if self.captured.len() < 64 || self.rng.chance(100) {
                let place = self.rng.below(64).min(self.captured.len());
                self.captured.truncate(64);
                self.captured.insert(place, (from, to, bytes.clone()));
            }
            self.schedule(at, What::Datagram(from, to, bytes));
        }
    }

    /// Does and checks what a client wants done.
    pub(crate) fn drain(&mut self, seat: usize) {
        while let Some(output) = self.clients[seat].private.poll_output() {
            (self.now, seat).hash(&mut self.trace);
            match &output {
                Output::Datagram { to, ttl, bytes } => (to, ttl, bytes).hash(&mut self.trace),
                Output::Line(line) => line.to_string().hash(&mut self.trace),
                Output::Event(event) => format!("{event:?}").hash(&mut self.trace),
            }
            if self.is_told {
                let (now, what) = (self.now, tell(&output));
                eprintln!("{now:?} client {seat}: {what}");
            }
            let client = &self.clients[seat];
            let key = client.private.public_key();
            match output {
                Output::Datagram { to, ttl, bytes } => {
                    assert!(bytes.len() <= 1200, "a datagram of {} bytes", bytes.len());
                    if to.ip() == victim(0).ip() {
                        self.ledger.sent_to_victim(key, to, bytes.len());
                    }
                    self.transmit(client.udp, to, ttl, &bytes);
                }
                Output::Line(line) => {
                    let line = line.to_string();
                    assert!(!client.options.direct_only || !line.starts_with("RELAY"));
                    self.line_to_server(seat, line);
                }
                Output::Event(Event::Received(received)) => {
                    let label_key = client.view.get(&received.from).copied().flatten();
                    assert!(received.sealed || !client.options.no_unencrypted);
                    self.ledger.shown(key, label_key, &received);
                }
                Output::Event(Event::State(id, state)) => self.ledger.state(self.now, key, id, state),
                Output::Event(Event::Warning(_)) => {}
            }
        }
        let footprint = self.clients[seat].private.footprint();
        assert!(
            footprint < 700_000 * self.clients.len(),
            "{footprint} bytes are held"
        );
    }

    fn line_to_server(&mut self, seat: usize, line: String) {
        let at = self.now + self.rng.ms(1, 40);
        let client = &mut self.clients[seat];
        if let Some(conn) = client.conn {
            let at = at.max(client.last_line.0);
            client.last_line.0 = at;
            self.schedule(at, What::ToServer(conn, line));
        }
    }

    pub(crate) fn deliver_what_the_server_said(&mut self) {
        for (conn, line) in std::mem::take(&mut self.server.said) {
            let Some(seat) = self.clients.iter().position(|client| client.conn == Some(conn)) else {
                continue;
            };
            let at = (self.now + self.rng.ms(1, 40)).max(self.clients[seat].last_line.1);
            self.clients[seat].last_line.1 = at;
            self.schedule(at, What::ToClient(conn, line));
        }
    }

    /// A client opens a connection and says HELLO.
    fn connect(&mut self, seat: usize) {
        if !self.clients[seat].is_alive || self.clients[seat].conn.is_some() {
            return;
        }
        if !self.is_server_up {
            let at = self.now + Duration::from_secs(1);
            self.schedule(at, What::Connect(seat));
            return;
        }
        let conn = self.connection();
        let client = &mut self.clients[seat];
        client.conn = Some(conn);
        let key = client.private.public_key();
        let seen = self.network.seen_as(client.tcp);
        let udp = SocketAddr::new(seen.ip(), client.udp.port());
        // The host resets what is left of a connection from the same port.
        self.server.leave_id(seen.into());
        // It proves that a connection the server has not missed yet was its own; mostly.
        if self.rng.chance(700) {
            for ghost in self.server.with_key(key) {
                self.server.leave(ghost);
            }
        }
        self.server.join(conn, seen.into(), Some(udp), Some(key));
        self.deliver_what_the_server_said();
    }

    /// A line of the server's arrives at a client.
    fn hear(&mut self, conn: Conn, line: &str) {
        let now = self.now();
        let addresses = |client: &Client| vec![client.udp];
        let Some(seat) = self
            .clients
            .iter()
            .position(|client| client.is_alive && client.conn == Some(conn))
        else {
            return;
        };
        let client = &mut self.clients[seat];
        match FromServer::parse(line).unwrap() {
            FromServer::Welcome { who, rendezvous, .. } => {
                client.stale = client.view.keys().copied().collect();
                client.refused.clear();
                let connection = Connection {
                    own: Some(who.id),
                    local: client.tcp,
                    addresses: addresses(client),
                    is_rich: true,
                };
                client.private.connected(now, connection);
                client.private.rendezvous(now, SERVER.into(), rendezvous);
            }
            FromServer::User(profile) | FromServer::Join(_, profile) => {
                client.private.peer_here(now, &profile);
                self.drain(seat);
                let client = &mut self.clients[seat];
                client.named(profile.who.id, profile.key);
            }
            FromServer::Live => {
                // What was held back for those who left while nobody was told is still shown under their names.
                client.private.roster_complete(now);
                self.drain(seat);
                let client = &mut self.clients[seat];
                for id in std::mem::take(&mut client.stale) {
                    client.view.remove(&id);
                }
            }
            FromServer::Leave(_, who) => {
                client.private.peer_left(now, who.id);
                self.drain(seat);
                let client = &mut self.clients[seat];
                client.view.remove(&who.id);
                client.refused.remove(&who.id);
            }
            FromServer::Address(_, who, udp) => client.private.peer_address(now, who.id, udp),
            FromServer::Relay(who, bytes) => client.private.relayed(now, &who, &bytes),
            FromServer::Punch(who, udp) => client.private.punch(now, &who, udp),
            FromServer::Whisper(who, text) => client.private.whisper(now, &who, &text),
            FromServer::Whispered(seq) => client.private.whisper_answered(MessageId(seq), true),
            other => panic!("{other:?} is not a line of the model"),
        }
        self.drain(seat);
    }

    /// A user writes to whoever this client takes `to` for.
    pub(crate) fn write(&mut self, seat: usize, to: UserId, length: usize) {
        let now = self.now();
        let client = &mut self.clients[seat];
        if !client.is_alive || !client.private.can_send(to) {
            return;
        }
        self.next_text += 1;
        let mut text = format!("message {} ", self.next_text);
        text.extend((text.len()..length).map(|i| char::from(b'a' + u8::try_from(i % 26).unwrap())));
        let text = text.trim_end().to_owned();
        let from = client.private.public_key();
        let sent = client.private.send(now, to, &chat_proto::text::Text::new(&text));
        assert!(
            sent.is_err() || !client.refused.contains(&to),
            "{text:?} goes to a key that changed"
        );
        if let (Some(Some(key)), Ok(id)) = (client.view.get(&to), sent) {
            self.ledger.sent(self.now, id, from, *key, text);
        }
        self.drain(seat);
    }

    pub(crate) fn canonical_udp(&self, seat: usize) -> SocketAddr {
        canonical(self.clients[seat].udp)
    }
}

/// A line about an output.
fn tell(output: &Output) -> String {
    let text = match output {
        Output::Datagram { to, ttl, bytes } => format!("{} bytes to {to}, ttl {ttl:?}", bytes.len()),
        other => format!("{other:?}"),
    };
    text.chars().take(150).collect()
}

impl Client {
    /// The server says that a user is here.
    fn named(&mut self, id: UserId, key: Option<PublicKey>) {
        let before = self.view.insert(id, key).flatten();
        let was_stale = self.stale.remove(&id);
        if !was_stale && before.is_some() && before != key {
            self.refused.insert(id);
        }
    }
}
