//! A user who says any line: on the channel of its client, on others that it makes, and in the clear.

use crate::sim::{PeerNo, Reading};
use crate::truth::PersonNo;
use crate::world::{Raw, Scheduled, World};
use chat_noise::key::KeyPair;
use chat_proto::opaque::encode;
use std::net::SocketAddr;
use std::time::Duration;

/// The simulated room has no more different handshakes.
const PEERS_MAX: usize = 250;

impl World {
    pub(crate) fn insider_acts(&mut self) {
        let Some(insider) = self.people.iter().rposition(|person| person.is_insider) else {
            return;
        };
        match self.rng.below(100) {
            0..55 => {
                let line = self.any_line(insider);
                self.say_sealed(insider, &line);
            }
            55..65 => self.come_in_the_clear(insider),
            65..75 => {
                let line = self.any_line(insider);
                self.say_raw(insider, &line);
            }
            75..91 => self.come_sealed(insider),
            91..95 => self.stop_reading(insider),
            _ => self.leave_raw(insider),
        }
    }

    /// A line that a client could say, or not.
    fn any_line(&mut self, insider: PersonNo) -> String {
        let number = 1000 + self.rng.below(1_000_000);
        let id = self.some_id();
        let nick = self.some_nick(insider);
        let token = self.rng.pick(&self.tokens).cloned().unwrap_or("-".into());
        let key = KeyPair::from_secret(self.some_secret()).public();
        let captured = self.rng.pick(&self.captured).cloned();
        let (_, to, bytes) = captured.unwrap_or((id, id, Vec::new()));
        let text = self.some_text(insider);
        match self.rng.below(17) {
            0 => format!("SAY {number} {text}"),
            1 => format!("RELAY {id} {}", encode(&bytes)),
            2 => format!("RELAY {} {}", self.receiver_of(to).unwrap_or(id), encode(&bytes)),
            3 => format!("WHISPER {id} {number} {text}"),
            4 => format!("NICK {nick}"),
            5 => format!("HELLO 1 {nick} 5000 {key} {token} next=0"),
            6 => format!("HELLO 1 {nick} 5000 {token} next=0"),
            7 => format!("ROOM kick {nick}"),
            8 => format!("ROOM ban {id}"),
            9 => format!("OP {token}"),
            10 => format!("CONFIRM {token}"),
            11 => format!("PUNCH {id}"),
            12 => format!("SAID 1 {nick}@{id} {text}"),
            13 => format!("from {nick}@{id}: {text}"),
            14 => format!("/msg {nick} {text}"),
            15 => format!("WHOIS {id}"),
            _ => format!("JOIN - {nick}@{id} - {key}"),
        }
    }

    /// The user to whom a datagram to this address was sent.
    fn receiver_of(&self, to: SocketAddr) -> Option<SocketAddr> {
        let mut clients = self.people.iter().filter_map(|person| person.client.as_ref());
        let client = clients.find(|client| self.network.seen_as(client.udp) == to)?;
        Some(self.links[client.link?].address)
    }

    fn some_text(&mut self, insider: PersonNo) -> String {
        let words = self.ledger.truth.messages.len();
        let text = match self.rng.below(3) {
            0 => "as if\u{2028}SAID 1 alice-liddell@10.0.0.10:1 somebody else said it".into(),
            1 => format!("/me {} again", crate::truth::mark(self.rng.below(words.max(1)))),
            _ => "from alice-liddell@10.0.0.10:20001: hello".to_owned(),
        };
        if words > 0 {
            self.ledger.truth.repeats(insider, &text);
            return text;
        }
        "hello".into()
    }

    fn some_id(&mut self) -> SocketAddr {
        let addresses: Vec<_> = self.links.iter().map(|link| link.address).collect();
        let recent = &addresses[addresses.len().saturating_sub(8)..];
        self.rng
            .pick(recent)
            .copied()
            .unwrap_or(([10, 0, 0, 1], 1).into())
    }

    /// A nick of anybody, or one that looks like it. The insider asks for it, whatever follows.
    fn some_nick(&mut self, insider: PersonNo) -> String {
        let nicks: Vec<_> = self.people[1..].iter().flat_map(|person| &person.nicks).collect();
        let nick: &String = self.rng.pick(&nicks).unwrap();
        let nick = match self.rng.below(6) {
            0 => nick.replace('l', "I"),
            1 => nick.to_uppercase(),
            _ => nick.clone(),
        };
        self.ledger.truth.asks_for(insider, &nick);
        nick
    }

    /// The insider's own key mostly, and keys that were never in the room.
    fn some_secret(&mut self) -> [u8; 32] {
        let own = self.people.last().unwrap().secret;
        [own, own, [77; 32], [78; 32]][self.rng.below(4)]
    }

    /// On the channel of its own client, beside what that says.
    fn say_sealed(&mut self, insider: PersonNo, line: &str) {
        let now = self.sim.clock();
        if let Some(client) = &mut self.people[insider].client
            && client.secure.is_up()
        {
            client.secure.send(now, format!("{line}\n").as_bytes());
            self.note(|| format!("the insider says {line}"));
            self.pump(insider);
        }
    }

    fn raw_of(&self, person: PersonNo) -> impl Iterator<Item = &Raw> {
        self.raw.iter().filter(move |raw| raw.person == person)
    }

    fn is_sealed_to(&self, peer: PeerNo) -> bool {
        self.sim.peers[peer].channel.is_some() && !self.sim.is_closed(peer)
    }

    /// For a while it reads nothing on some connections, so what is for it waits: in the system, and then in the server.
    pub(crate) fn stop_reading(&mut self, insider: PersonNo) {
        let client = self.people[insider].client.as_ref();
        let link = client
            .filter(|client| client.secure.is_up())
            .and_then(|client| client.link);
        let own = link
            .map(|link| &self.links[link])
            .filter(|link| !link.is_impostor);
        let others = self.raw_of(insider).map(|raw| raw.peer);
        let peers: Vec<_> = others
            .filter(|&peer| self.is_sealed_to(peer))
            .chain(own.map(|link| link.peer))
            .collect();
        for peer in peers {
            if self.rng.chance(500) {
                self.stop_reading_from(peer);
            }
        }
    }

    fn stop_reading_from(&mut self, number: PeerNo) {
        let peer = &mut self.sim.peers[number];
        if peer.unread() == 0 {
            peer.capacity = [50, 50, 64 * 1024][self.rng.below(3)];
        }
        peer.reading = Reading::Stopped;
        let at = self.sim.now + self.rng.ms(500, 3000);
        self.note(|| format!("peer {number} reads nothing until {at:?}"));
        self.schedule(at, Scheduled::Resume(number));
    }

    fn say_raw(&mut self, insider: PersonNo, line: &str) {
        // Not before the end of a handshake: what follows would be said in the clear.
        let ready = self
            .raw_of(insider)
            .filter(|raw| raw.key.is_none() || self.is_sealed_to(raw.peer));
        let peers: Vec<_> = ready.map(|raw| raw.peer).collect();
        if let Some(&peer) = self.rng.pick(&peers) {
            self.note(|| format!("peer {peer} says {line}"));
            let line = format!("{line}\n");
            match self.sim.peers[peer].channel.is_some() {
                true => self.sim.send(peer, &line),
                false => self.sim.inject(peer, line.as_bytes()),
            }
        }
    }

    fn leave_raw(&mut self, insider: PersonNo) {
        let peers: Vec<_> = self.raw_of(insider).map(|raw| raw.peer).collect();
        if let Some(&peer) = self.rng.pick(&peers)
            && !self.sim.is_closed(peer)
        {
            self.sim.close(peer);
        }
    }

    /// Another address of the insider, or one that somebody else had who is gone.
    fn new_address(&mut self, insider: PersonNo) -> SocketAddr {
        let id = self.some_id();
        if self.rng.chance(250) && self.sim.room.roster().with_id(id.into()).is_none() {
            return id;
        }
        let who = &mut self.people[insider];
        let local = SocketAddr::from((who.host, who.port()));
        match self.rng.chance(500) {
            true => self.network.seen_as(local),
            false => SocketAddr::from(([10, 0, 0, 66], local.port())),
        }
    }

    fn come_in_the_clear(&mut self, insider: PersonNo) {
        let address = self.new_address(insider);
        let peer = self.connect_raw(insider, address, None);
        self.note(|| format!("peer {peer} connects as {address}"));
        let nick = self.some_nick(insider);
        let first = match self.rng.below(3) {
            0 => self.any_line(insider),
            1 => format!("/nick {nick}"),
            _ => "hello".into(),
        };
        self.sim.run(Duration::ZERO);
        self.sim.inject(peer, format!("{first}\n").as_bytes());
    }

    /// With a key of its own, and a nick and a token of whomever. Some handshakes are not ended before a minute has passed.
    fn come_sealed(&mut self, insider: PersonNo) {
        if self.sim.peers.len() >= PEERS_MAX {
            return;
        }
        let address = self.new_address(insider);
        let secret = self.some_secret();
        let nick = self.some_nick(insider);
        let token = self.rng.pick(&self.tokens).cloned().unwrap_or("-".into());
        let first = format!("HELLO 1 {nick} 5000 {token} next=0");
        let peer = self.join_raw(insider, address, secret, &first);
        self.note(|| format!("peer {peer} comes as {address} with {first}"));
        if self.rng.chance(400) {
            self.sim.peers[peer].reading = Reading::Stopped;
            let at = self.sim.now + self.rng.ms(100, 9000);
            self.schedule(at, Scheduled::Resume(peer));
        }
    }
}
