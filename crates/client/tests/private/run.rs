//! Runs the simulation: processes events in the order of their times.

use crate::server::Conn;
use crate::simulation::{Client, SERVER, Scheduled, Simulation, victim};
use chat_client::private::{Connection, MessageId};
use chat_proto::id::UserId;
use chat_proto::opaque::Opaque;
use chat_proto::rich::{FromServer, Key};
use std::hash::Hasher;
use std::net::SocketAddr;
use std::time::Duration;

impl Simulation {
    /// Runs until nothing is left to do before `end`. Returns the hash of all that happened.
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
                self.process(what);
            }
            self.run_timers();
            self.send_pieces();
            self.ledger.check_settled(self.now);
        }
        self.now = end;
        self.ledger.check_settled(end);
        self.trace.finish()
    }

    fn run_timers(&mut self) {
        let now = self.now();
        for slot in 0..self.clients.len() {
            let client = &mut self.clients[slot];
            if client.is_alive && client.private.deadline().is_some_and(|at| at <= self.now) {
                client.private.timeout(now);
                client.private.forget_late_answers();
                let next = client.private.deadline();
                assert!(
                    next.is_none_or(|next| next > self.now),
                    "a timer is due again after it was handled"
                );
                self.drain(slot);
            }
        }
    }

    fn process(&mut self, what: Scheduled) {
        match what {
            Scheduled::Datagram(from, to, bytes) => self.arrive(from, to, &bytes),
            Scheduled::ToServer(conn, line) => {
                self.server.line(conn, &line);
                self.deliver_server_lines();
            }
            Scheduled::ToClient(conn, line) => self.receive_line(conn, &line),
            Scheduled::Gone(conn) => {
                self.server.leave(conn);
                self.deliver_server_lines();
            }
            Scheduled::Connect(slot) => self.connect(slot),
            Scheduled::Start(slot) => self.start(slot),
            Scheduled::ServerUp => self.server_starts(),
            Scheduled::Unreachable(host, address) => {
                let now = self.now();
                if let Some(slot) = self.slot_at(host) {
                    self.clients[slot].private.port_unreachable(now, address);
                    self.drain(slot);
                }
            }
            Scheduled::Unblock => self.network.blocked.clear(),
            Scheduled::Consume(slot, from, bytes) => {
                let now = self.now();
                if self.clients[slot].is_alive {
                    self.clients[slot].private.consumed(now, from, bytes);
                    self.drain(slot);
                }
            }
            Scheduled::Act => self.act(),
        }
    }

    /// The running client with this UDP socket.
    fn slot_at(&self, udp: SocketAddr) -> Option<usize> {
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
        if let Some(slot) = self.slot_at(host) {
            let client = &mut self.clients[slot];
            client.private.datagram(now, from, bytes);
            if from.ip() == victim(0).ip() {
                let key = client.private.public_key();
                self.ledger.seemingly_from_victim(key, from, bytes.len());
            }
            self.drain(slot);
        } else if !self
            .keyless
            .iter()
            .any(|keyless| keyless.has_port && keyless.id.private_address() == Some(to))
        {
            // The host reports a closed port. The report also passes the routers.
            let sender = self.network.enter(self.now, to, from);
            let at = self.now + self.rng.ms(1, 50);
            if let Some(sender) = sender {
                self.schedule(at, Scheduled::Unreachable(sender, to));
            }
        }
    }

    /// A client connects and sends HELLO.
    fn connect(&mut self, slot: usize) {
        if !self.clients[slot].is_alive || self.clients[slot].conn.is_some() {
            return;
        }
        if !self.is_server_up {
            let at = self.now + Duration::from_secs(1);
            self.schedule(at, Scheduled::Connect(slot));
            return;
        }
        let conn = self.connection();
        let client = &mut self.clients[slot];
        client.conn = Some(conn);
        let key = client.private.public_key();
        let seen = self.network.seen_as(client.tcp);
        let udp = SocketAddr::new(seen.ip(), client.udp.port());
        // The host resets an earlier connection from the same port.
        self.server.leave_id(seen.into());
        // In most cases it resumes the connection that the server has not missed yet.
        if self.rng.chance(700) {
            for ghost in self.server.with_key(key) {
                self.server.leave(ghost);
            }
        }
        self.server.join(conn, seen.into(), Some(udp), Some(key));
        self.deliver_server_lines();
    }

    /// A line from the server arrives at a client.
    fn receive_line(&mut self, conn: Conn, line: &str) {
        let now = self.now();
        let addresses = |client: &Client| vec![client.udp];
        let Some(slot) = self
            .clients
            .iter()
            .position(|client| client.is_alive && client.conn == Some(conn))
        else {
            return;
        };
        let client = &mut self.clients[slot];
        match FromServer::parse(line).unwrap() {
            FromServer::Welcome { who, rendezvous, .. } => {
                client.stale = client.view.keys().copied().collect();
                client.refused.clear();
                client.likely.clear();
                client.is_listed = false;
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
                self.drain(slot);
                let client = &mut self.clients[slot];
                client.announced(profile.who.id, profile.key);
                self.find_stale(slot);
            }
            FromServer::Live => {
                // Held messages from users that have left are still shown under their ids.
                client.private.roster_complete(now);
                client.is_listed = true;
                self.drain(slot);
                self.clients[slot].forget_stale();
            }
            FromServer::Leave(_, who) => {
                client.private.peer_left(now, who.id);
                self.drain(slot);
                let client = &mut self.clients[slot];
                client.view.remove(&who.id);
                client.refused.remove(&who.id);
                client.stale.remove(&who.id);
                client.likely.remove(&who.id);
                self.find_stale(slot);
            }
            FromServer::Address(_, who, udp) => client.private.peer_address(now, who.id, udp),
            FromServer::Relay(who, bytes) => client.private.relayed(now, &who, &bytes),
            FromServer::Punch(who, udp) => client.private.punch(now, who.id, udp),
            FromServer::Whisper(who, text) => client.private.whisper(now, &who, &text),
            FromServer::Whispered(seq) => client.private.whisper_answered(MessageId(seq), true),
            other => panic!("the model server sent {other:?}"),
        }
        self.drain(slot);
    }
}

impl Simulation {
    /// Users of the last connection may turn out to be here, or not.
    fn find_stale(&mut self, slot: usize) {
        if self.clients[slot].is_listed {
            let now = self.now();
            self.clients[slot].private.roster_changes(now);
            self.drain(slot);
            self.clients[slot].forget_stale();
        }
    }
}

impl Client {
    /// The server announces a user.
    fn announced(&mut self, id: UserId, key: Option<Key>) {
        let before = self.view.get(&id).copied().flatten();
        let was_stale = self.stale.remove(&id);
        if let (Some(before @ Key::Whole(_)), Some(key @ Key::Short(_))) = (before, key)
            && before.may_be(key)
            && !self.refused.contains(&id)
        {
            if was_stale {
                self.likely.insert(id);
            }
            return;
        }
        let is_open = matches!(before, Some(Key::Short(_))) || self.likely.contains(&id);
        let is_answer = is_open && before.map(Key::short) == key.map(Key::short);
        if !was_stale && before.is_some() && before != key && !is_answer {
            self.refused.insert(id);
        }
        self.likely.remove(&id);
        if let Some(Key::Whole(key)) = key {
            // Who only seemed to have it has not.
            for other in self.likely.clone() {
                if self.view[&other] == Some(Key::Whole(key)) {
                    self.view.insert(other, Some(Key::Short(Key::Whole(key).short())));
                    self.likely.remove(&other);
                }
            }
        }
        self.view.insert(id, key);
    }

    /// Users of the last connection are gone, unless a user whose key is not told yet may be one.
    fn forget_stale(&mut self) {
        let here = self
            .view
            .iter()
            .filter(|(id, _)| !self.stale.contains(id) && !self.refused.contains(id));
        let asked: Vec<Key> = here
            .filter_map(|(_, key)| key.filter(|key| key.whole().is_none()))
            .collect();
        let may_be = |key: Option<Key>| {
            key.is_some_and(|key| key.whole().is_some() && asked.iter().any(|asked| asked.may_be(key)))
        };
        let gone: Vec<UserId> = self
            .stale
            .iter()
            .copied()
            .filter(|id| !may_be(self.view[id]))
            .collect();
        for id in gone {
            self.stale.remove(&id);
            self.view.remove(&id);
        }
    }
}
