//! Runs the world: what is due happens in the order of its time.

use crate::hostile::Course;
use crate::sim::{PeerNo, Sim};
use crate::truth::{Owner, PersonNo};
use crate::world::{LAST_ACT, Link, SERVER, Scheduled, Stream, World};
use chat_client::session::Endpoints;
use chat_noise::key::KeyPair;
use chat_proto::id::canonical;
use std::net::SocketAddr;
use std::time::Duration;

/// A run takes some 10,000.
const STEPS_MAX: usize = 200_000;

impl World {
    pub(crate) fn live(&mut self, calm: Duration) {
        let end = LAST_ACT + calm;
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < STEPS_MAX, "something is due again and again");
            let event = self.queue.first_key_value().map(|((at, _), _)| *at);
            let clients = self.people.iter().filter_map(|person| person.client.as_ref());
            let timer = clients.filter_map(|client| client.session.deadline()).min();
            let rooms = [self.sim.room.deadline(), self.impostor.room.deadline()];
            let next = [event, timer].into_iter().chain(rooms).flatten().min();
            let Some(next) = next.map(|next| next.max(self.sim.now)).filter(|next| *next < end) else {
                return;
            };
            self.pass(next);
            if event.is_some_and(|at| at <= next) {
                let (_, what) = self.queue.pop_first().unwrap();
                self.process(what);
                self.pass(next);
            }
            self.run_timers();
        }
    }

    /// Lets time pass, and the servers do what is due.
    fn pass(&mut self, to: Duration) {
        for sim in [&mut self.sim, &mut self.impostor] {
            sim.run(to - sim.now);
        }
        self.collect();
    }

    fn run_timers(&mut self) {
        let now = self.sim.clock();
        for person in 0..self.people.len() {
            let Some(client) = &mut self.people[person].client else {
                continue;
            };
            if client.session.deadline().is_some_and(|at| at <= now.monotonic) {
                client.session.tick(now);
                self.pump(person);
            }
        }
    }

    /// The server at the other end of a link, and the peer that the link is there.
    fn server_of(&mut self, link: usize) -> (&mut Sim, PeerNo) {
        let link = &self.links[link];
        let sim = if link.is_impostor {
            &mut self.impostor
        } else {
            &mut self.sim
        };
        (sim, link.peer)
    }

    fn process(&mut self, what: Scheduled) {
        match what {
            Scheduled::Start(person) => self.start(person),
            Scheduled::Connect(person, run) => self.connect(person, run),
            Scheduled::ToServer(link, bytes) => {
                let (sim, peer) = self.server_of(link);
                sim.inject(peer, &bytes);
            }
            Scheduled::ToClient(link, bytes, position, sent) => self.arrive(link, &bytes, position, sent),
            Scheduled::UpEnd(link) => {
                let (sim, peer) = self.server_of(link);
                sim.close(peer);
            }
            Scheduled::DownEnd(link) => self.connection_ends(link),
            Scheduled::Datagram(from, to, bytes) => self.datagram(from, to, &bytes),
            Scheduled::Resume(peer) => self.sim.peers[peer].reading = crate::sim::Reading::Freely,
            Scheduled::Type(person, line) => self.type_line(person, &line),
            Scheduled::Restart(has_other_key) => self.restart(has_other_key),
            Scheduled::Act => self.act(),
            Scheduled::Attack => self.attack(),
        }
    }

    /// A client connects, to whom the network leads it.
    fn connect(&mut self, person: PersonNo, run: usize) {
        let now = self.sim.clock();
        let key = self.server_key();
        let is_stale = self.people[person].known.is_some_and(|known| known != key);
        if is_stale && self.rng.chance(400) {
            return self.accept_key(person);
        }
        let course = self.course(person);
        let who = &mut self.people[person];
        let local = SocketAddr::from((who.host, who.port()));
        let key = KeyPair::from_secret(who.secret).public();
        let Some(client) = who
            .client
            .as_mut()
            .filter(|client| client.run == run && client.link.is_none())
        else {
            return;
        };
        let address = self.network.seen_as(local);
        let endpoints = Endpoints {
            local,
            server: SERVER.into(),
            udp_port: Some(client.udp.port()),
            addresses: vec![client.udp],
        };
        client.session.connected(endpoints, now);
        client.secure.connected();
        client.link = Some(self.links.len());
        let is_impostor = course == Course::Impostor;
        let peer = match is_impostor {
            true => self.impostor.connect_from(address),
            false => {
                let (key, phrase) = (Some(key), client.phrase);
                let owner = Owner { person, key, phrase };
                self.ledger.truth.connects(address.into(), owner);
                self.sim.connect_from(address)
            }
        };
        let spoil = match course {
            Course::Spoiled(spoil) => Some(spoil),
            Course::Straight | Course::Impostor => None,
        };
        let sim = if is_impostor {
            &mut self.impostor
        } else {
            &mut self.sim
        };
        sim.peers[peer].polite = false;
        sim.peers[peer].write_max = [usize::MAX, usize::MAX, 50][self.rng.below(3)];
        self.note(|| format!("person {person} run {run} connects as {address}, {course:?}"));
        self.links.push(Link {
            person,
            key,
            address,
            is_impostor,
            peer,
            up: Stream::default(),
            down: Stream {
                spoil,
                ..Stream::default()
            },
        });
        self.pump(person);
    }

    /// The operator has told this person the server's new key, which it accepts in another run.
    fn accept_key(&mut self, person: PersonNo) {
        self.people[person].known = Some(self.server_key());
        self.stop(person);
    }

    /// Bytes of a server arrive at a client.
    fn arrive(&mut self, link: usize, bytes: &[u8], position: usize, sent: Duration) {
        let Link {
            person,
            key,
            address,
            is_impostor,
            ..
        } = self.links[link];
        let now = self.sim.clock();
        let who = &mut self.people[person];
        let Some(client) = who.client.as_mut().filter(|client| client.link == Some(link)) else {
            return;
        };
        let key = Some(key).filter(|_| client.secure.is_up());
        let received = client.secure.receive(now, bytes);
        if let Some(proven) = received.proven {
            assert!(
                !is_impostor || who.known.is_none(),
                "person {person} takes an impostor for the server"
            );
            assert!(
                who.known.is_none_or(|known| known == proven.key),
                "person {person} takes another key for the server's"
            );
            who.known.get_or_insert(proven.key);
        }
        let run = &mut self.ledger.runs[client.run];
        run.position = position;
        self.ledger
            .truth
            .check_sent(sent, key, address.ip(), &received.bytes);
        let text = String::from_utf8_lossy(&received.bytes);
        for line in text.lines().filter(|line| line.starts_with("WELCOME ")) {
            self.tokens.extend(line.split(' ').nth(2).map(str::to_owned));
        }
        if !received.bytes.is_empty() {
            client.session.receive(&received.bytes, now);
        }
        if let Some(refusal) = received.refusal {
            client.session.refuse_server(refusal, now);
        }
        self.pump(person);
    }

    /// A client learns that its connection is closed.
    fn connection_ends(&mut self, link: usize) {
        let now = self.sim.clock();
        let person = self.links[link].person;
        let client = self.people[person].client.as_mut();
        let Some(client) = client.filter(|client| client.link == Some(link)) else {
            return;
        };
        match client.secure.closed() {
            Some(refusal) => client.session.refuse_server(refusal, now),
            None => client.session.closed(now),
        }
        self.pump(person);
        self.hang_up(person);
    }

    fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = self.sim.clock();
        if to == SocketAddr::from(SERVER) {
            if let Some(reply) = self.sim.room.rendezvous(now, canonical(from), bytes) {
                self.transmit(SERVER.into(), from, None, &reply);
            }
            return;
        }
        let Some(host) = self.network.enter(self.sim.now, from, to) else {
            return;
        };
        if let Some(person) = self.at(host)
            && let Some(client) = &mut self.people[person].client
        {
            client.session.datagram(from, bytes, now);
            self.pump(person);
        }
    }
}
