//! What people do, what breaks, and what an attacker tries.

use crate::simulation::{Simulation, What, victim};
use chat_proto::id::UserId;
use chat_proto::opaque::Opaque;
use std::net::SocketAddr;
use std::time::Duration;

/// After this nothing new is done.
pub(crate) const LAST_ACT: Duration = Duration::from_secs(70);

impl Simulation {
    pub(crate) fn act(&mut self) {
        let seat = self.rng.below(self.clients.len());
        let kinds = if self.is_peaceful { 65 } else { 100 };
        match self.rng.below(kinds) {
            0..55 => self.talk(seat),
            55..60 => self.talk_much(seat),
            60..65 => self.plain_talks(),
            65..70 => self.die(seat),
            70..75 => self.lose_connection(seat),
            75..77 => self.server_goes_down(),
            77..82 => self.block(seat),
            82..86 => self.network.forget(self.clients[seat].udp),
            86..88 => self.move_socket(seat),
            88..90 => self.forge_unreachable(seat),
            90..92 => self.lie(seat),
            _ => self.attack(),
        }
        let pause = [100, 1500][self.rng.below(2)];
        let next = self.now + self.rng.ms(1, pause);
        if next < LAST_ACT {
            self.schedule(next, What::Act);
        } else {
            self.network.blocked.clear();
        }
    }

    fn talk(&mut self, seat: usize) {
        let ids: Vec<UserId> = self.clients[seat].view.keys().copied().collect();
        if let Some(&to) = self.rng.pick(&ids) {
            let length = [0, 0, 0, 0, 300, 1100, 1300, 4000][self.rng.below(8)];
            self.write(seat, to, length);
        }
    }

    fn talk_much(&mut self, seat: usize) {
        let ids: Vec<UserId> = self.clients[seat].view.keys().copied().collect();
        if let Some(&to) = self.rng.pick(&ids) {
            for _ in 0..self.rng.below(20) {
                let length = [0, 0, 100, 3000][self.rng.below(4)];
                self.write(seat, to, length);
            }
        }
    }

    /// Somebody without a key writes, as the original programs do.
    fn plain_talks(&mut self) {
        let Some(plain) = self.rng.pick(&self.plain) else {
            return;
        };
        let (id, has_port) = (plain.id, plain.has_port);
        let seat = self.rng.below(self.clients.len());
        let to = self.canonical_udp(seat);
        let text = format!("plain {}", self.now.as_micros());
        if let Some(from) = id.private_address().filter(|_| has_port) {
            self.transmit(from, to, None, text.as_bytes());
        }
    }

    /// A client ends without a word, and another begins on the same ports, with another key.
    fn die(&mut self, seat: usize) {
        if self.clients[seat].is_alive {
            let key = self.clients[seat].private.public_key();
            self.clients[seat].is_alive = false;
            self.ledger.died(key);
            self.drop_connection(seat);
            let at = self.now + self.rng.ms(0, 8000);
            self.schedule(at, What::Start(seat));
        }
    }

    pub(crate) fn start(&mut self, seat: usize) {
        let options = self.clients[seat].options;
        let private = self.new_private(options);
        let client = &mut self.clients[seat];
        client.private = private;
        client.is_alive = true;
        client.view.clear();
        self.schedule(self.now, What::Connect(seat));
    }

    /// A connection breaks; the server notices at some time, and the client tries again, from another port.
    fn lose_connection(&mut self, seat: usize) {
        let now = self.now();
        if self.clients[seat].is_alive && self.clients[seat].conn.is_some() {
            self.drop_connection(seat);
            let client = &mut self.clients[seat];
            client.tcp.set_port(client.tcp.port() + 2);
            client.private.connection_lost(now);
            self.drain(seat);
            let at = self.now + self.rng.ms(200, 5000);
            self.schedule(at, What::Connect(seat));
        }
    }

    fn drop_connection(&mut self, seat: usize) {
        if let Some(conn) = self.clients[seat].conn.take() {
            let at = self.now + self.rng.ms(1, 3000);
            self.schedule(at, What::Gone(conn));
        }
    }

    fn server_goes_down(&mut self) {
        let now = self.now();
        if !self.is_server_up {
            return;
        }
        self.is_server_up = false;
        self.server = crate::server::Server::default();
        for seat in 0..self.clients.len() {
            if self.clients[seat].is_alive && self.clients[seat].conn.take().is_some() {
                self.clients[seat].private.connection_lost(now);
                self.drain(seat);
                let at = self.now + self.rng.ms(500, 2500);
                self.schedule(at, What::Connect(seat));
            }
        }
        let at = self.now + self.rng.ms(100, 10_000);
        self.schedule(at, What::ServerUp);
    }

    pub(crate) fn server_comes_up(&mut self) {
        self.is_server_up = true;
        for place in 0..self.plain.len() {
            let (conn, id) = (self.connection(), self.plain[place].id);
            self.plain[place].conn = conn;
            self.server.join(conn, id, None, None);
        }
        self.deliver_what_the_server_said();
    }

    fn block(&mut self, seat: usize) {
        let other = self.rng.below(self.clients.len());
        let one = self.network.seen_as(self.clients[seat].udp).ip();
        let other = self.network.seen_as(self.clients[other].udp).ip();
        self.network.block(one, other, true);
        let at = self.now + self.rng.ms(500, 20_000);
        self.schedule(at, What::Unblock);
    }

    /// A laptop gets another address, and keeps its connection as far as the server can tell.
    fn move_socket(&mut self, seat: usize) {
        let port = 20_000 + u16::try_from(self.rng.below(9000)).unwrap();
        self.clients[seat].udp.set_port(port);
    }

    /// The server, or somebody on the way to it, says that a user has another key, or that another has that user's.
    fn lie(&mut self, seat: usize) {
        let client = &self.clients[seat];
        let known: Vec<_> = client
            .view
            .iter()
            .filter_map(|(id, key)| Some((*id, (*key)?)))
            .collect();
        let (Some(conn), Some(&(id, key))) = (client.conn, self.rng.pick(&known)) else {
            return;
        };
        if self.rng.chance(500) {
            let mut other = [0; 32];
            self.rng.fill(&mut other);
            self.server.claim(conn, id, Opaque(other));
        } else {
            let nobody = UserId::from(SocketAddr::from(([10, 0, 0, 250], 4000)));
            self.server.claim(conn, nobody, key);
        }
        self.deliver_what_the_server_said();
    }

    fn forge_unreachable(&mut self, seat: usize) {
        let other = self.rng.below(self.clients.len());
        let address = self.network.seen_as(self.clients[other].udp);
        self.schedule(self.now, What::Unreachable(self.clients[seat].udp, address));
    }

    fn attack(&mut self) {
        let Some((from, to, mut bytes)) = self.rng.pick(&self.captured).cloned() else {
            return;
        };
        let some_victim = victim(self.rng.below(8));
        let some_client = {
            let seat = self.rng.below(self.clients.len());
            self.network.seen_as(self.clients[seat].udp)
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
            // In the name of one who has a key, or of nobody.
            _ => {
                bytes = b"forged".to_vec();
                ([some_victim, from][self.rng.below(2)], to)
            }
        };
        for _ in 0..1 + self.rng.below(3) {
            let at = self.now + self.rng.ms(0, 30);
            self.schedule(at, What::Datagram(from, to, bytes.clone()));
        }
    }
}
