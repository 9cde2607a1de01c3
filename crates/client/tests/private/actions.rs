//! Random actions: of users, of failures, and of an attacker.

use crate::pieces::{Transfer, content};
use crate::simulation::{LAST_ACT, Scheduled, Simulation, victim};
use chat_client::files::message::{FileId, FileMessage};
use chat_client::files::piece::Piece;
use chat_client::files::request::Handle;
use chat_client::private::{BULK_MAX, Path};
use chat_proto::id::UserId;
use chat_proto::opaque::{Opaque, PublicKey};
use chat_proto::rich::Key;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Pieces of a file at most. Through the relay that takes 4 seconds.
const PIECES_MAX: usize = 100;

/// The same if all must arrive before the end, though a third of all datagrams may be lost.
const PIECES_MAX_IN_PEACE: usize = 40;

/// Between two pieces through the server.
const RELAY_GAP: Duration = Duration::from_millis(40);

impl Simulation {
    pub(crate) fn act(&mut self) {
        let slot = self.rng.below(self.clients.len());
        // In a long run failures are rare, or no keys would live long enough.
        let is_long = self.last_act > LAST_ACT;
        let is_calm = self.is_peaceful || is_long && self.rng.chance(900);
        let kinds = if is_calm { 65 } else { 100 };
        match self.rng.below(kinds) {
            0..5 => self.send_file_message(slot),
            5..9 => self.send_file(slot),
            9..55 => self.send_one(slot),
            55..60 => self.send_many(slot),
            60..65 => self.keyless_sends(),
            65..70 => self.crash(slot),
            70..75 => self.lose_connection(slot),
            75..77 => self.server_stops(),
            77..82 => self.block(slot),
            82..86 => self.network.forget(self.clients[slot].udp),
            86..88 => self.move_socket(slot),
            88..90 => self.forge_unreachable(slot),
            90..92 => self.lie(slot),
            _ => self.attack(),
        }
        let pause = [100, 1500][self.rng.below(2)] * if is_long { 2 } else { 1 };
        let next = self.now + self.rng.ms(1, pause);
        if next < self.last_act {
            self.schedule(next, Scheduled::Act);
        } else {
            self.network.blocked.clear();
        }
    }

    fn send_one(&mut self, slot: usize) {
        let ids: Vec<UserId> = self.clients[slot].view.keys().copied().collect();
        if let Some(&to) = self.rng.pick(&ids) {
            let length = [0, 0, 0, 0, 300, 1100, 1300, 4000][self.rng.below(8)];
            self.write(slot, to, length);
        }
    }

    /// A client tells another something about a file. It counts as a message.
    fn send_file_message(&mut self, slot: usize) {
        let (now, number) = (self.now(), self.next_file());
        let ids: Vec<UserId> = self.clients[slot].view.keys().copied().collect();
        let Some(&to) = self.rng.pick(&ids).filter(|_| self.clients[slot].is_alive) else {
            return;
        };
        let message = FileMessage::Kept(number);
        let client = &mut self.clients[slot];
        let from = client.private.public_key();
        let sent = client.private.send_file_message(now, to, &message);
        let key = client.view.get(&to).and_then(|key| (*key)?.whole());
        if let (Some(key), Ok(id)) = (key, sent) {
            self.ledger.sent(self.now, id, from, key, format!("{message:?}"));
        }
        self.drain(slot);
    }

    /// A client begins to send a file.
    fn send_file(&mut self, slot: usize) {
        let client = &self.clients[slot];
        let keys: Vec<PublicKey> = client.view.values().filter_map(|key| (*key)?.whole()).collect();
        let busy = client
            .transfers
            .iter()
            .filter(|transfer| !transfer.rest.is_empty());
        if !client.is_alive || busy.count() >= 2 {
            return;
        }
        let from = client.private.public_key();
        let others: Vec<PublicKey> = keys.into_iter().filter(|key| *key != from).collect();
        let Some(&to) = self.rng.pick(&others) else {
            return;
        };
        let id = self.next_file();
        let mut offset = 0;
        let mut rest = VecDeque::new();
        let most = if self.is_peaceful {
            PIECES_MAX_IN_PEACE
        } else {
            PIECES_MAX
        };
        for _ in 0..1 + self.rng.below(most) {
            let length = [BULK_MAX, BULK_MAX, BULK_MAX, 1 + self.rng.below(BULK_MAX)][self.rng.below(4)];
            rest.push_back(Piece {
                id,
                offset,
                length,
                handle: Handle(0),
            });
            offset += u64::try_from(length).unwrap();
        }
        self.pieces.begun(from, to, id, &rest);
        self.clients[slot].transfers.push(Transfer { to, rest });
    }

    fn next_file(&mut self) -> FileId {
        self.next_text += 1;
        FileId(self.next_text.try_into().unwrap())
    }

    /// All clients send the pieces for which there is room.
    pub(crate) fn send_pieces(&mut self) {
        if !self.is_peaceful && self.now > self.last_act {
            // What is in flight has a result in the end.
            return;
        }
        for slot in 0..self.clients.len() {
            for place in 0..self.clients[slot].transfers.len() {
                self.send_pieces_of(slot, place);
            }
        }
    }

    fn send_pieces_of(&mut self, slot: usize, place: usize) {
        let now = self.now();
        let client = &mut self.clients[slot];
        let transfer = &mut client.transfers[place];
        let (key, from) = (transfer.to, client.private.public_key());
        let to = client.view.iter().find(|(_, other)| **other == Some(key.into()));
        let Some(to) = to.map(|(id, _)| *id).filter(|_| client.is_alive) else {
            return;
        };
        if transfer.rest.is_empty() {
            return;
        }
        let room = client.private.bulk_room(now, to);
        for _ in 0..room {
            let Some(piece) = transfer.rest.pop_front() else {
                break;
            };
            // It can be acknowledged by nobody before.
            let is_relayed = client.private.bulk_path(now, to) == Some(Path::Relayed);
            if is_relayed {
                // Whatever number of peers there are, half of what a server accepts is left for lines.
                let before = client.piece_relayed.replace(self.now);
                assert!(before.is_none_or(|before| self.now >= before + RELAY_GAP));
            }
            self.pieces.sent(from, piece, is_relayed);
            let sent = client.private.send_bulk(now, to, piece, &content(piece));
            assert!(sent, "there was room for {piece:?}");
        }
        self.drain(slot);
    }

    fn send_many(&mut self, slot: usize) {
        let ids: Vec<UserId> = self.clients[slot].view.keys().copied().collect();
        if let Some(&to) = self.rng.pick(&ids) {
            for _ in 0..self.rng.below(20) {
                let length = [0, 0, 100, 3000][self.rng.below(4)];
                self.write(slot, to, length);
            }
        }
    }

    /// A user without a key sends a message, like the original programs.
    fn keyless_sends(&mut self) {
        let Some(keyless) = self.rng.pick(&self.keyless) else {
            return;
        };
        let (id, has_port) = (keyless.id, keyless.has_port);
        let slot = self.rng.below(self.clients.len());
        let to = self.canonical_udp(slot);
        let text = format!("keyless {}", self.now.as_micros());
        if let Some(from) = id.private_address().filter(|_| has_port) {
            self.transmit(from, to, None, text.as_bytes());
        }
    }

    /// A client crashes, and another starts on the same ports, with the same key or another.
    fn crash(&mut self, slot: usize) {
        if self.clients[slot].is_alive {
            let key = self.clients[slot].private.public_key();
            self.clients[slot].is_alive = false;
            self.ledger.crashed(key);
            self.pieces.crashed(key);
            self.clients[slot].transfers.clear();
            self.drop_connection(slot);
            let at = self.now + self.rng.ms(0, 8000);
            self.schedule(at, Scheduled::Start(slot));
        }
    }

    pub(crate) fn start(&mut self, slot: usize) {
        let options = self.clients[slot].options;
        if self.rng.chance(500) {
            self.clients[slot].secret = self.secret();
        }
        let private = self.new_private(self.clients[slot].secret, options);
        let client = &mut self.clients[slot];
        client.private = private;
        client.piece_relayed = None;
        client.is_alive = true;
        client.view.clear();
        self.schedule(self.now, Scheduled::Connect(slot));
    }

    /// A connection breaks. The server notices later, and the client reconnects from another port.
    fn lose_connection(&mut self, slot: usize) {
        let now = self.now();
        if self.clients[slot].is_alive && self.clients[slot].conn.is_some() {
            self.drop_connection(slot);
            let client = &mut self.clients[slot];
            client.tcp.set_port(client.tcp.port() + 2);
            client.private.connection_lost(now);
            self.drain(slot);
            let at = self.now + self.rng.ms(200, 5000);
            self.schedule(at, Scheduled::Connect(slot));
        }
    }

    fn drop_connection(&mut self, slot: usize) {
        if let Some(conn) = self.clients[slot].conn.take() {
            let at = self.now + self.rng.ms(1, 3000);
            self.schedule(at, Scheduled::Gone(conn));
        }
    }

    fn server_stops(&mut self) {
        let now = self.now();
        if !self.is_server_up {
            return;
        }
        self.is_server_up = false;
        self.server = crate::server::Server::default();
        for slot in 0..self.clients.len() {
            if self.clients[slot].is_alive && self.clients[slot].conn.take().is_some() {
                self.clients[slot].private.connection_lost(now);
                self.drain(slot);
                let at = self.now + self.rng.ms(500, 2500);
                self.schedule(at, Scheduled::Connect(slot));
            }
        }
        let at = self.now + self.rng.ms(100, 10_000);
        self.schedule(at, Scheduled::ServerUp);
    }

    pub(crate) fn server_starts(&mut self) {
        self.is_server_up = true;
        for place in 0..self.keyless.len() {
            let (conn, id) = (self.connection(), self.keyless[place].id);
            self.keyless[place].conn = conn;
            self.server.join(conn, id, id.private_address(), None);
        }
        self.deliver_server_lines();
    }

    fn block(&mut self, slot: usize) {
        let other = self.rng.below(self.clients.len());
        let one = self.network.seen_as(self.clients[slot].udp).ip();
        let other = self.network.seen_as(self.clients[other].udp).ip();
        self.network.block(one, other, true);
        let at = self.now + self.rng.ms(500, 20_000);
        self.schedule(at, Scheduled::Unblock);
    }

    /// A client gets another UDP address and keeps its connection.
    fn move_socket(&mut self, slot: usize) {
        let port = 20_000 + u16::try_from(self.rng.below(9000)).unwrap();
        self.clients[slot].udp.set_port(port);
    }

    /// An attacker on the connection announces a wrong key for a user, or the user's key for
    /// another one.
    fn lie(&mut self, slot: usize) {
        let client = &self.clients[slot];
        let known: Vec<_> = client
            .view
            .iter()
            .filter_map(|(id, key)| Some((*id, (*key)?)))
            .collect();
        let (Some(conn), Some(&(id, key))) = (client.conn, self.rng.pick(&known)) else {
            return;
        };
        let nobody = UserId::from(SocketAddr::from(([10, 0, 0, 250], 4000)));
        let mut other = [0; 32];
        self.rng.fill(&mut other);
        if self.rng.chance(300) {
            // It begins like the right one.
            let Opaque([a, b, c]) = key.short();
            [other[0], other[1], other[2]] = [a, b, c];
        }
        match self.rng.below(4) {
            0 | 1 => self.server.claim(conn, id, Key::Whole(Opaque(other))),
            2 => self.server.claim(conn, nobody, key),
            _ => self.server.claim(conn, nobody, Key::Short(key.short())),
        }
        self.deliver_server_lines();
    }

    fn forge_unreachable(&mut self, slot: usize) {
        let other = self.rng.below(self.clients.len());
        let address = self.network.seen_as(self.clients[other].udp);
        self.schedule(self.now, Scheduled::Unreachable(self.clients[slot].udp, address));
    }

    fn attack(&mut self) {
        let Some((from, to, mut bytes)) = self.rng.pick(&self.captured).cloned() else {
            return;
        };
        let some_victim = victim(self.rng.below(8));
        let some_client = {
            let slot = self.rng.below(self.clients.len());
            self.network.seen_as(self.clients[slot].udp)
        };
        let (from, to) = match self.rng.below(8) {
            0 => (from, to),
            1 | 2 => (some_victim, to),
            3 => (to, from),
            4 => (from, some_client),
            5 => {
                let place = self.rng.below(bytes.len());
                bytes[place] ^= 1 << self.rng.below(8);
                (some_victim, to)
            }
            6 => {
                self.rng.fill(&mut bytes);
                (some_victim, some_client)
            }
            // From a user with a key, or from an unused address.
            _ => {
                bytes = b"forged".to_vec();
                ([some_victim, from][self.rng.below(2)], to)
            }
        };
        for _ in 0..1 + self.rng.below(3) {
            let at = self.now + self.rng.ms(0, 30);
            self.schedule(at, Scheduled::Datagram(from, to, bytes.clone()));
        }
        self.forge_relay(&bytes);
    }

    /// A server that lies relays what was sent before, under any name.
    fn forge_relay(&mut self, bytes: &[u8]) {
        let slot = self.rng.below(self.clients.len());
        let ids: Vec<UserId> = self.clients[slot].view.keys().copied().collect();
        if let (Some(conn), Some(&from)) = (self.clients[slot].conn, self.rng.pick(&ids)) {
            self.server.claim_relay(conn, from, bytes);
            self.deliver_server_lines();
        }
    }
}
