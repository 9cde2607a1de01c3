//! People, their clients, the server, an impostor and the network between them.

use crate::ledger::{Ledger, Totals};
use crate::network::{Conditions, Network, Router};
use crate::rng::Rng;
use crate::sim::{PeerNo, Sim, limits, ms};
use crate::truth::{Owner, PersonNo, words};
use chat_client::net::secure::{Secure, Trust};
use chat_client::private::{Options, Private};
use chat_client::session::{Config, Endpoints, Session};
use chat_noise::cpace::Phrase;
use chat_noise::key::KeyPair;
use chat_noise::operator::Code;
use chat_proto::nick::Nick;
use chat_proto::opaque::{Opaque, PublicKey};
use chat_server::door::Door;
use chat_server::identity::Identity;
use chat_server::operators::Operators;
use chat_server::room::Room;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::Hasher;
use std::net::SocketAddr;
use std::time::Duration;

/// No actions after this time.
pub(crate) const LAST_ACT: Duration = Duration::from_secs(1075);

pub(crate) const SERVER: ([u8; 4], u16) = ([203, 0, 113, 1], 9000);

/// The person who records, and the one who runs the room.
const RECORDER: PersonNo = 0;
pub(crate) const OPERATOR: PersonNo = 1;

/// The byte of the server's key, of its next one, and of the impostor's.
const SERVER_KEY: u8 = 2;
const OTHER_KEY: u8 = 4;
const IMPOSTORS_KEY: u8 = 3;

const PHRASE: &str = "correct horse battery staple";

/// The last lines of a trace that a failure prints.
const LAST_LINES: usize = 60;

pub(crate) struct World {
    pub(crate) rng: Rng,
    /// The server, and the room's clock.
    pub(crate) sim: Sim,
    /// Another server with another key, to which connections may be led.
    pub(crate) impostor: Sim,
    pub(crate) network: Network,
    pub(crate) ledger: Ledger,
    pub(crate) people: Vec<Person>,
    pub(crate) links: Vec<Link>,
    /// Connections that an insider makes without a client.
    pub(crate) raw: Vec<Raw>,
    pub(crate) recorder: PeerNo,
    pub(crate) code: Code,
    /// Only encrypted connections may join, so nothing said may be in the clear.
    pub(crate) is_sealed: bool,
    has_phrase: bool,
    /// The room's passphrases, the latest last.
    pub(crate) phrases: Vec<String>,
    /// The byte that makes the server's key.
    pub(crate) server_key: u8,
    pub(crate) is_peaceful: bool,
    /// Datagrams that the attacker has seen.
    pub(crate) captured: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// Tokens to resume with, which the attacker has stolen somehow.
    pub(crate) tokens: Vec<String>,
    pub(crate) queue: BTreeMap<(Duration, u64), Scheduled>,
    next_event: u64,
    pub(crate) trace: DefaultHasher,
    last_lines: VecDeque<String>,
    is_traced: bool,
}

pub(crate) struct Person {
    pub(crate) host: [u8; 4],
    /// The names that it takes, one at a time.
    pub(crate) nicks: Vec<String>,
    pub(crate) secret: [u8; 32],
    /// The server's key, once it has met it or was told.
    pub(crate) known: Option<PublicKey>,
    pub(crate) is_insider: bool,
    pub(crate) client: Option<Client>,
    /// It has no client but `nc`, and this connection.
    pub(crate) is_plain: bool,
    pub(crate) plain: Option<Plain>,
    /// Which of the room's passphrases it knows.
    pub(crate) phrase: usize,
    pub(crate) next_port: u16,
}

/// A connection of a person at `nc`.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    pub(crate) peer: PeerNo,
    pub(crate) run: usize,
}

/// One run of the client program.
pub(crate) struct Client {
    pub(crate) run: usize,
    /// Which of the room's passphrases it was given.
    pub(crate) phrase: usize,
    pub(crate) session: Session,
    pub(crate) secure: Secure,
    /// The connection, while there is one.
    pub(crate) link: Option<usize>,
    /// Its UDP socket, on its host.
    pub(crate) udp: SocketAddr,
}

/// A connection of a client.
pub(crate) struct Link {
    pub(crate) person: PersonNo,
    pub(crate) key: PublicKey,
    /// As the server sees it.
    pub(crate) address: SocketAddr,
    pub(crate) is_impostor: bool,
    pub(crate) peer: PeerNo,
    pub(crate) up: Stream,
    pub(crate) down: Stream,
}

/// One direction of a connection.
#[derive(Default)]
pub(crate) struct Stream {
    /// When the last of it arrives. Bytes stay in order.
    pub(crate) at: Duration,
    /// The end of what was sent, to find words that are cut.
    pub(crate) tail: Vec<u8>,
    pub(crate) has_ended: bool,
    /// What the attacker does to the next bytes.
    pub(crate) spoil: Option<Spoil>,
    /// The other side's handshake is on its way. Before, an open room may speak in the clear.
    pub(crate) is_sealed: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Spoil {
    /// One bit is changed.
    Flip,
    /// They are lost, and all later ones arrive.
    Drop,
    /// They arrive twice.
    Twice,
    /// Others arrive before them.
    Insert(&'static str),
    /// They take that many seconds.
    Stall(u64),
    /// They are lost, and these arrive: another greeting.
    Replace(&'static str),
    /// The greeting loses the clause about the passphrase.
    NoPhrase,
}

/// A connection of an insider without a client.
pub(crate) struct Raw {
    pub(crate) person: PersonNo,
    pub(crate) peer: PeerNo,
    pub(crate) key: Option<PublicKey>,
    pub(crate) address: SocketAddr,
    /// How much it has received.
    heard: usize,
    /// It was on its channel by then. What came before was for a connection of which no key was known.
    is_proven: bool,
}

pub(crate) enum Scheduled {
    Start(PersonNo),
    Connect(PersonNo, usize),
    ToServer(usize, Vec<u8>),
    /// The bytes, what the room had said by then, and when they were sent.
    ToClient(usize, Vec<u8>, usize, Duration),
    UpEnd(usize),
    DownEnd(usize),
    Datagram(SocketAddr, SocketAddr, Vec<u8>),
    /// An insider reads on.
    Resume(PeerNo),
    /// A person types a line.
    Type(PersonNo, String),
    /// The server starts anew, perhaps with another key.
    Restart(bool),
    Act,
    Attack,
}

impl World {
    pub(crate) fn new(seed: u64, is_peaceful: bool) -> Self {
        let mut rng = Rng::new(seed);
        let (has_phrase, sealed_only) = [(true, false), (false, true), (false, false)][rng.below(3)];
        let conditions = Conditions {
            loss: [0, 10, 100][rng.below(3)],
            duplicate: [0, 50][rng.below(2)],
            corrupt: [0, 20][rng.below(2)],
            delay: (1, [2, 40, 300][rng.below(3)]),
        };
        let symmetric = (rng.chance(300), rng.chance(300));
        let code = Code::new(&mut |bytes| rng.fill(bytes));
        let [sim, impostor] = [(); 2].map(|()| Sim::new(limits()));
        let mut world = Self {
            rng,
            sim,
            impostor,
            network: Network {
                conditions,
                blocked: std::collections::BTreeSet::new(),
                routers: vec![Router::new(1, symmetric.0), Router::new(2, symmetric.1)],
            },
            ledger: Ledger::default(),
            people: Vec::new(),
            links: Vec::new(),
            raw: Vec::new(),
            recorder: 0,
            code,
            is_sealed: has_phrase || sealed_only,
            has_phrase,
            phrases: vec![PHRASE.to_owned()],
            server_key: SERVER_KEY,
            is_peaceful,
            captured: Vec::new(),
            tokens: Vec::new(),
            queue: BTreeMap::new(),
            next_event: 0,
            trace: DefaultHasher::new(),
            last_lines: VecDeque::new(),
            is_traced: std::env::var_os("CHAT_TRACE").is_some(),
        };
        world.sim.room = world.new_room(SERVER_KEY);
        world.impostor.room = world.new_room(IMPOSTORS_KEY);
        world.populate();
        world
    }

    /// The room of a server with this key.
    fn new_room(&mut self, key: u8) -> Room {
        let mut tokens = Rng::new(self.rng.next());
        let token = Box::new(move || {
            let mut token = [0; 16];
            tokens.fill(&mut token);
            Opaque(token)
        });
        let identity = Identity {
            key: KeyPair::from_secret([key; 32]),
            is_kept: true,
        };
        let phrase = self.phrases.last().filter(|_| self.has_phrase);
        let mut room = Room::new(limits(), token, identity).with_door(Door {
            phrase: phrase.and_then(|phrase| Phrase::new(phrase)),
            sealed_only: self.is_sealed && !self.has_phrase,
            ..Door::default()
        });
        if key != IMPOSTORS_KEY {
            room.set_operators(Operators::new(Some(self.code.clone()), HashSet::new()));
        }
        room
    }

    /// The server starts anew. What it knew of users is lost.
    pub(crate) fn restart(&mut self, has_other_key: bool) {
        if has_other_key {
            self.server_key = OTHER_KEY;
        }
        self.note(|| format!("the server starts anew, with another key: {has_other_key}"));
        let room = self.new_room(self.server_key);
        self.sim.restart(room);
        self.ledger.starts(self.sim.now);
        self.record();
    }

    /// The recorder joins, before all others.
    fn record(&mut self) {
        let recorder = &mut self.people[RECORDER];
        recorder.phrase = self.phrases.len() - 1;
        let address = ([127, 0, 0, 1], recorder.port()).into();
        let hello = "HELLO 1 recorder - -";
        self.recorder = self.join_raw(RECORDER, address, [9; 32], hello);
        self.sim.run(ms(0));
    }

    pub(crate) fn server_key(&self) -> PublicKey {
        KeyPair::from_secret([self.server_key; 32]).public()
    }

    /// A passphrase that this person knows.
    fn phrase_of(&self, person: PersonNo) -> Option<&String> {
        let phrase = self.phrases.get(self.people[person].phrase);
        phrase.filter(|_| self.has_phrase)
    }

    fn populate(&mut self) {
        let recorder = self.ledger.truth.add_person(true);
        self.ledger.truth.asks_for(recorder, "recorder");
        self.people.push(Person::new([127, 0, 0, 1], &["recorder"], true));
        self.record();
        let nicks: [&[&str]; 6] = [
            &["alice-liddell", "alice-pleasance"],
            &["bob-bobbington", "bob-bobbersworth"],
            &["carol-caroline", "carol-carolina"],
            &["dave-davidson", "dave-davidoff"],
            &["erin-erikson", "erin-ericsson"],
            &["mallory-malice", "mallory-malign"],
        ];
        let honest = 3 + self.rng.below(2);
        for (place, nicks) in nicks.into_iter().enumerate() {
            let (is_plain, is_insider) = (place == 4, place == 5);
            let is_here = match place {
                4 => !self.is_sealed && !self.is_peaceful && self.rng.chance(700),
                5 => !self.is_peaceful,
                _ => place < honest,
            };
            if !is_here {
                continue;
            }
            let person = self.ledger.truth.add_person(is_insider);
            let net = [[10, 0, 0], [192, 168, 1], [192, 168, 2]][self.rng.below(3)];
            // Nobody shares the operator's address.
            let net = if place == 0 { [10, 0, 0] } else { net };
            let host = [net[0], net[1], net[2], u8::try_from(10 + place).unwrap()];
            let mut new = Person::new(host, nicks, is_insider);
            new.is_plain = is_plain;
            self.rng.fill(&mut new.secret);
            // Others trust the first key.
            new.known = self
                .rng
                .chance(500)
                .then(|| KeyPair::from_secret([SERVER_KEY; 32]).public());
            new.next_port = 20_000 + 4000 * u16::try_from(place).unwrap();
            self.people.push(new);
            let at = self.sim.now + self.rng.ms(0, 1500);
            self.schedule(at, Scheduled::Start(person));
        }
        self.ledger.truth.may_operate(1);
        let now = self.sim.now;
        self.schedule(now + Duration::from_secs(2), Scheduled::Act);
        if !self.is_peaceful {
            self.schedule(now + Duration::from_secs(3), Scheduled::Attack);
            if self.rng.chance(300) {
                let (at, has_other_key) = (now + self.rng.ms(10_000, 60_000), self.rng.chance(400));
                self.schedule(at, Scheduled::Restart(has_other_key));
            }
        }
    }

    /// A connection of an insider, with this first line, through a handshake with this key.
    pub(crate) fn join_raw(
        &mut self,
        person: PersonNo,
        address: SocketAddr,
        secret: [u8; 32],
        first: &str,
    ) -> PeerNo {
        let key = KeyPair::from_secret(secret).public();
        let peer = self.connect_raw(person, address, Some(key));
        self.sim.peers[peer].secret = secret;
        if let Some(phrase) = self.phrase_of(person).cloned() {
            self.sim.prove_with(peer, first, Some(&phrase));
        } else {
            self.sim.seal(peer, first);
        }
        peer
    }

    pub(crate) fn connect_raw(
        &mut self,
        person: PersonNo,
        address: SocketAddr,
        key: Option<PublicKey>,
    ) -> PeerNo {
        let peer = self.sim.connect_from(address);
        let phrase = self.people[person].phrase;
        let owner = Owner { person, key, phrase };
        self.ledger.truth.connects(address.into(), owner);
        self.raw.push(Raw {
            person,
            peer,
            key,
            address,
            heard: 0,
            is_proven: false,
        });
        peer
    }

    /// Starts a person's client.
    pub(crate) fn start(&mut self, person: PersonNo) {
        if self.people[person].is_plain {
            return self.start_plain(person);
        }
        if self.people[person].client.is_some() {
            return;
        }
        if self.phrases.len() > 1 && self.rng.chance(700) {
            self.people[person].phrase = self.phrases.len() - 1;
        }
        let phrase = self.phrase_of(person).and_then(|phrase| Phrase::new(phrase));
        let (nick, insists) = (self.rng.below(2), self.rng.chance(200));
        let [mut one, mut other] = [Rng::new(self.rng.next()), Rng::new(self.rng.next())];
        let now = self.sim.clock();
        let who = &mut self.people[person];
        let nick = who.nicks[nick].clone();
        self.ledger.truth.asks_for(person, &nick);
        let udp = SocketAddr::from((who.host, who.port()));
        let config = Config {
            nick: Some(Nick::parse(&nick).unwrap()),
            insist_on_nick: insists,
            endpoints: Endpoints::none(),
            to: None,
            clear: false,
            interactive: true,
        };
        let private = Private::new(
            KeyPair::from_secret(who.secret),
            Options::default(),
            Box::new(move |bytes| one.fill(bytes)),
        );
        let trust = Trust {
            announced: None,
            key: who.known,
            clear: false,
            had_phrase: who.known.is_some() && phrase.is_some(),
            phrase,
            key_only: false,
        };
        let key = KeyPair::from_secret(who.secret);
        let run = self.ledger.begin_run(person, key.public());
        who.client = Some(Client {
            run,
            phrase: who.phrase,
            session: Session::unconnected(config, private, now),
            secure: Secure::new(key, trust, Box::new(move |bytes| other.fill(bytes))),
            link: None,
            udp,
        });
        self.schedule(now.monotonic, Scheduled::Connect(person, run));
    }

    pub(crate) fn schedule(&mut self, at: Duration, what: Scheduled) {
        self.next_event += 1;
        self.queue.insert((at, self.next_event), what);
    }

    /// Sends a datagram over the network.
    pub(crate) fn transmit(&mut self, from: SocketAddr, to: SocketAddr, ttl: Option<u8>, bytes: &[u8]) {
        let arrivals = self
            .network
            .send(self.sim.now, &mut self.rng, from, to, ttl, bytes);
        if arrivals.is_empty() && !self.is_peaceful {
            // It was not lost: the attacker has it.
            self.capture(from, to, bytes);
        }
        for arrival in arrivals {
            if self.captured.len() < 64 || self.rng.chance(100) {
                self.capture(arrival.from, arrival.to, &arrival.bytes);
            }
            let what = Scheduled::Datagram(arrival.from, arrival.to, arrival.bytes);
            self.schedule(arrival.at, what);
        }
    }

    fn capture(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let place = self.rng.below(64).min(self.captured.len());
        self.captured.truncate(64);
        self.captured.insert(place, (from, to, bytes.to_vec()));
    }

    /// Sends bytes of a connection in pieces, in one direction.
    pub(crate) fn stream(&mut self, link: usize, is_up: bool, mut bytes: Vec<u8>) {
        self.watch(link, is_up, &bytes);
        let (now, position) = (self.sim.now, self.ledger.truth.position);
        let stream = self.links[link].stream(is_up);
        let mut times = 1;
        match stream.spoil.take() {
            Some(Spoil::Flip) => {
                let place = self.rng.below(bytes.len());
                bytes[place] ^= 1 << self.rng.below(8);
            }
            Some(Spoil::Drop) => return,
            Some(Spoil::Twice) => times = 2,
            Some(Spoil::Insert(line)) => bytes.splice(..0, line.bytes()).for_each(drop),
            Some(Spoil::Stall(seconds)) => stream.at = now + Duration::from_secs(seconds),
            Some(Spoil::Replace(line)) => bytes = line.as_bytes().to_vec(),
            Some(Spoil::NoPhrase) => {
                let text = String::from_utf8_lossy(&bytes);
                bytes = text.replace(chat_proto::PASSPHRASE, "").into_bytes();
            }
            None => {}
        }
        for _ in 0..times {
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let longest = [rest.len(), rest.len(), 7, 300][self.rng.below(4)];
                let (piece, after) = rest.split_at(longest.min(rest.len()));
                rest = after;
                let at = now + self.rng.ms(1, 40);
                let stream = self.links[link].stream(is_up);
                stream.at = at.max(stream.at);
                let at = stream.at;
                let piece = piece.to_vec();
                self.schedule(
                    at,
                    match is_up {
                        true => Scheduled::ToServer(link, piece),
                        false => Scheduled::ToClient(link, piece, position, now),
                    },
                );
            }
        }
    }

    /// Nothing that anybody wrote may be read from these bytes, nor a name.
    fn watch(&mut self, link: usize, is_up: bool, bytes: &[u8]) {
        let link = &mut self.links[link];
        let may_be_clear = !is_up && !self.is_sealed;
        let (is_impostor, person) = (link.is_impostor, link.person);
        let stream = link.stream(is_up);
        stream.tail.extend_from_slice(bytes);
        if may_be_clear && !stream.is_sealed {
            let begin = stream.tail.windows(5).position(|part| part == b"SEAL ");
            let Some(begin) = begin else { return };
            stream.is_sealed = true;
            stream.tail.drain(..begin);
        }
        let words = words(&stream.tail);
        assert!(
            words.is_empty(),
            "{words:?} can be read on the wire of person {person}"
        );
        let text = String::from_utf8_lossy(&stream.tail);
        for nick in self.people.iter().flat_map(|person| &person.nicks) {
            assert!(
                !text.contains(nick.as_str()),
                "{nick} can be read on the wire of person {person}, impostor: {is_impostor}"
            );
        }
        let end = stream.tail.len().saturating_sub(32);
        stream.tail.drain(..end);
    }

    /// Takes what the servers have written since, and what the recorder has heard.
    pub(crate) fn collect(&mut self) {
        let now = self.sim.now;
        if let Some(words) = self.sim.new_phrase.take() {
            // Who runs the server reads it in its file.
            self.phrases.push(words);
            self.people[OPERATOR].phrase = self.phrases.len() - 1;
        }
        let recorder = &mut self.sim.peers[self.recorder];
        // Before its handshake ends, it keeps what that needs.
        if recorder.channel.is_some() {
            let lines = String::from_utf8(std::mem::take(&mut recorder.received)).unwrap();
            for line in lines.lines() {
                self.note(|| format!("recorder: {line}"));
                self.ledger.truth.record(now, line);
            }
        }
        for link in 0..self.links.len() {
            let Link {
                is_impostor, peer, ..
            } = self.links[link];
            if self.links[link].down.has_ended {
                continue;
            }
            let sim = if is_impostor {
                &mut self.impostor
            } else {
                &mut self.sim
            };
            let peer = &mut sim.peers[peer];
            let bytes = std::mem::take(&mut peer.received);
            let has_ended = (peer.shut || peer.closed_at.is_some()) && peer.unread() == 0;
            if !bytes.is_empty() {
                self.stream(link, false, bytes);
            }
            if has_ended {
                self.links[link].down.has_ended = true;
                let at = self.links[link].down.at.max(now);
                self.schedule(at, Scheduled::DownEnd(link));
            }
        }
        for raw in &mut self.raw {
            let heard = &self.sim.peers[raw.peer].received;
            let mut news = heard.get(raw.heard..).unwrap_or_default();
            let plain = self.people[raw.person].plain;
            if let Some(plain) = plain.filter(|plain| plain.peer == raw.peer) {
                let end = news.iter().rposition(|&byte| byte == b'\n');
                news = &news[..end.map_or(0, |end| end + 1)];
                self.ledger.hears(plain.run, raw.address.into(), news);
            }
            if !news.is_empty() && raw.peer != self.recorder {
                let key = raw.key.filter(|_| raw.is_proven);
                self.ledger.truth.check_sent(now, key, raw.address.ip(), news);
                self.ledger.heard_in_the_clear(raw.person, news);
            }
            // The recorder's lines are taken.
            raw.heard = heard.len().min(raw.heard + news.len());
            raw.is_proven = self.sim.peers[raw.peer].channel.is_some();
        }
    }

    /// The person whose client has this UDP socket.
    pub(crate) fn at(&self, udp: SocketAddr) -> Option<PersonNo> {
        let has = |person: &Person| person.client.as_ref().is_some_and(|client| client.udp == udp);
        self.people.iter().position(has)
    }

    /// Remembers a line for a failure.
    pub(crate) fn note(&mut self, what: impl FnOnce() -> String) {
        let line = format!("{:?} {:.300}", self.sim.now, what());
        if self.is_traced {
            eprintln!("{line}");
        }
        if self.last_lines.len() >= LAST_LINES {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line);
    }

    /// A person at `nc` connects. Its user is announced soon.
    fn start_plain(&mut self, person: PersonNo) {
        if self.people[person].plain.is_some() {
            return;
        }
        let who = &mut self.people[person];
        let address = self.network.seen_as(SocketAddr::from((who.host, who.port())));
        let peer = self.connect_raw(person, address, None);
        let run = self.ledger.begin_run(person, Opaque([0; 32]));
        self.note(|| format!("person {person} run {run} connects with nc as {address}, peer {peer}"));
        self.people[person].plain = Some(Plain { peer, run });
    }

    /// A person at `nc` whose connection has ended connects again later.
    pub(crate) fn leave_plain(&mut self, person: PersonNo) {
        if let Some(Plain { peer, run }) = self.people[person].plain
            && (self.sim.is_closed(peer) || self.sim.peers[peer].shut)
        {
            self.ledger.end_run(run);
            self.people[person].plain = None;
            let at = self.sim.now + self.rng.ms(0, 15_000);
            self.schedule(at, Scheduled::Start(person));
        }
    }

    /// Checks the end of a run.
    pub(crate) fn finish(mut self) -> (u64, Totals) {
        (1..self.people.len()).for_each(|person| self.leave_plain(person));
        self.ledger.check_end();
        self.ledger.totals.removed = self.ledger.truth.removals();
        (self.trace.finish(), std::mem::take(&mut self.ledger.totals))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.is_traced {
            self.last_lines.iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Person {
    fn new(host: [u8; 4], nicks: &[&str], is_insider: bool) -> Self {
        Self {
            host,
            nicks: nicks.iter().map(|&nick| nick.to_owned()).collect(),
            secret: [9; 32],
            known: None,
            is_insider,
            client: None,
            is_plain: false,
            plain: None,
            phrase: 0,
            next_port: 2,
        }
    }

    /// A port that it has not used yet.
    pub(crate) fn port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }
}

impl Link {
    pub(crate) fn stream(&mut self, is_up: bool) -> &mut Stream {
        match is_up {
            true => &mut self.up,
            false => &mut self.down,
        }
    }
}
