//! Two clients. A test carries each datagram and line between them.

mod bulk;
mod delivery;
mod handshakes;
mod hostile;
mod paths;
mod plaintext;
mod users;

use super::*;
use chat_noise::private::BEGIN_LEN;
use chat_proto::opaque::Opaque;
use chat_proto::rich::{FromClient, Key, Profile};

const ALICE: usize = 0;
const BOB: usize = 1;

/// Alice and Bob on one network, and the time.
struct Pair {
    clients: [Private; 2],
    now: Duration,
    /// Events that the test has not read yet.
    events: [Vec<Event>; 2],
}

/// A datagram or line that a client sends.
#[derive(Clone, Debug, PartialEq)]
enum Sent {
    Datagram(SocketAddr, Option<u8>, Vec<u8>),
    Relay(Vec<u8>),
    Punch,
    Other(FromClient<'static>),
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn id(who: usize) -> UserId {
    UserId::from(SocketAddr::from(([10, 0, 0, [5, 6][who]], 50_000)))
}

fn udp(who: usize) -> SocketAddr {
    id(who).private_address().unwrap()
}

/// Reproducible bytes, random enough for tests.
fn random_bytes(seed: u8) -> Random {
    let mut count = u64::from(seed) << 32;
    Box::new(move |bytes| {
        for byte in bytes {
            count = count
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = count.to_be_bytes()[0];
        }
    })
}

fn client(seed: u8, options: Options) -> Private {
    Private::new(KeyPair::from_secret([seed; 32]), options, random_bytes(seed))
}

fn connection(who: usize) -> Connection {
    Connection {
        own: Some(id(who)),
        local: id(who).address(),
        addresses: Vec::new(),
        is_rich: true,
    }
}

fn profile(who: usize, client: &Private) -> Profile {
    Profile {
        who: id(who).into(),
        udp: Some(udp(who)),
        key: Some(client.public_key().into()),
    }
}

impl Private {
    /// Whether there is room for another message to this user.
    fn can_send(&self, to: UserId) -> bool {
        match self.trust(to).unwrap() {
            KeyTrust::Trusted(key) => {
                let peer = self.contacts[&key].peer.as_ref();
                peer.is_none_or(|peer| !peer.sender.is_full())
            }
            _ => !self.plaintext.is_full(),
        }
    }
}

impl Pair {
    /// Two connected clients that know each other and have keys.
    fn new() -> Self {
        Self::with_options(Options::default())
    }

    fn with_options(options: Options) -> Self {
        let mut pair = Self::strangers(options);
        pair.acquaint();
        pair
    }

    /// Alice and Bob have never written to each other.
    fn strangers(options: Options) -> Self {
        let clients = [client(1, options), client(2, options)];
        let mut pair = Self {
            clients,
            now: ms(1000),
            events: [Vec::new(), Vec::new()],
        };
        let now = pair.now();
        for who in [ALICE, BOB] {
            pair.clients[who].connected(now, connection(who));
            let other = profile(1 - who, &pair.clients[1 - who]);
            pair.clients[who].peer_here(now, &other);
            pair.clients[who].roster_complete(now);
            assert!(pair.take(who).is_empty());
        }
        pair
    }

    /// They agree on keys, without a datagram. Alice begins.
    fn acquaint(&mut self) {
        let now = self.now();
        let [alice, bob] = [ALICE, BOB].map(|who| self.clients[who].public_key());
        self.clients[ALICE].ensure_peer(&bob, now).unwrap();
        self.clients[BOB].ensure_peer(&alice, now).unwrap();
        let begun = self.begin(ALICE);
        let now = now.monotonic;
        let responder = Responder::read(&self.clients[BOB].identity.keys, &begun, &mut *random_bytes(77));
        let client = &mut self.clients[BOB];
        let sessions = &mut client
            .contacts
            .get_mut(&alice)
            .unwrap()
            .peer
            .as_mut()
            .unwrap()
            .sessions;
        let answer = sessions.answer(now, &client.identity, responder.unwrap(), &begun);
        self.sessions(ALICE).finish(now, &answer.unwrap()).unwrap();
        let proof = self.sessions(ALICE).seal(now, b"", false).unwrap();
        let index = index_of(&proof).unwrap();
        self.sessions(BOB).open(now, index, &proof).unwrap();
        let now = self.now();
        self.clients[ALICE].flush(now, &bob);
        self.clients[BOB].flush(now, &alice);
    }

    /// One of them begins a handshake. Returns the datagram.
    fn begin(&mut self, who: usize) -> Vec<u8> {
        let (now, other) = (self.now(), self.clients[1 - who].public_key());
        let client = &mut self.clients[who];
        let sessions = &mut client
            .contacts
            .get_mut(&other)
            .unwrap()
            .peer
            .as_mut()
            .unwrap()
            .sessions;
        sessions.begin(
            now.monotonic,
            now.unix_ms,
            &mut client.identity,
            &other,
            client.random.as_mut(),
        );
        sessions.poll(now.monotonic).unwrap().0
    }

    /// The keys that one of them has with the other.
    fn sessions(&mut self, who: usize) -> &mut handshake::Sessions {
        let other = self.clients[1 - who].public_key();
        let contact = self.clients[who].contacts.get_mut(&other).unwrap();
        &mut contact.peer.as_mut().unwrap().sessions
    }

    fn now(&self) -> Now {
        Now {
            monotonic: self.now,
            unix_ms: u64::try_from(self.now.as_millis()).unwrap(),
        }
    }

    fn say(&mut self, from: usize, text: &str) -> MessageId {
        let now = self.now();
        self.clients[from]
            .send(now, id(1 - from), &Text::new(text))
            .unwrap()
    }

    /// All that a client sends. Its events are kept for later.
    fn take(&mut self, who: usize) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(output) = self.clients[who].poll_output() {
            match output {
                Output::Datagram { to, ttl, bytes } => sent.push(Sent::Datagram(to, ttl, bytes)),
                Output::Line(FromClient::Relay(to, bytes)) => {
                    assert_eq!(to, id(1 - who));
                    sent.push(Sent::Relay(bytes.into_owned()));
                }
                Output::Line(FromClient::Punch(_)) => sent.push(Sent::Punch),
                Output::Line(line) => sent.push(Sent::Other(line)),
                Output::Event(Event::Gone(_)) => {}
                Output::Event(event) => self.events[who].push(event),
            }
        }
        sent
    }

    /// The datagrams among them.
    fn take_datagrams(&mut self, who: usize) -> Vec<Vec<u8>> {
        let sent = self.take(who).into_iter();
        sent.filter_map(|sent| match sent {
            Sent::Datagram(_, _, bytes) => Some(bytes),
            _ => None,
        })
        .collect()
    }

    fn take_relayed(&mut self, who: usize) -> Vec<Vec<u8>> {
        let sent = self.take(who).into_iter();
        sent.filter_map(|sent| match sent {
            Sent::Relay(bytes) => Some(bytes),
            _ => None,
        })
        .collect()
    }

    /// A datagram from the other client arrives at `who`.
    fn arrive(&mut self, who: usize, bytes: &[u8]) {
        self.arrive_from(who, udp(1 - who), bytes);
    }

    fn arrive_from(&mut self, who: usize, from: SocketAddr, bytes: &[u8]) {
        let now = self.now();
        self.clients[who].datagram(now, from, bytes);
    }

    fn arrive_relayed(&mut self, who: usize, bytes: &[u8]) {
        let now = self.now();
        self.clients[who].relayed(now, &id(1 - who).into(), bytes);
    }

    /// Time passes, and timers run when they are due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.clients.iter().filter_map(Private::deadline).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            let now = self.now();
            for client in &mut self.clients {
                client.timeout(now);
            }
        }
        self.now = end;
    }

    /// Datagrams and relayed bytes are exchanged, at once and without loss, until there are none.
    fn settle(&mut self) {
        for _ in 0..100 {
            let mut quiet = true;
            for who in [ALICE, BOB] {
                for sent in self.take(who) {
                    match sent {
                        Sent::Datagram(to, None, bytes) if to == udp(1 - who) => self.arrive(1 - who, &bytes),
                        Sent::Relay(bytes) => self.arrive_relayed(1 - who, &bytes),
                        _ => continue,
                    }
                    quiet = false;
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the clients never stop sending");
    }

    /// Time passes in steps, and everything arrives.
    fn live(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.settle();
            self.pass(ms(10));
        }
        self.settle();
    }

    fn events(&mut self, who: usize) -> Vec<Event> {
        let sent = self.take(who);
        assert!(sent.is_empty(), "{sent:?}");
        std::mem::take(&mut self.events[who])
    }

    /// The texts shown since the last call.
    fn shown(&mut self, who: usize) -> Vec<String> {
        let events = std::mem::take(&mut self.events[who]);
        let (shown, rest) = events
            .into_iter()
            .partition(|event| matches!(event, Event::Received(_)));
        self.events[who] = rest;
        let texts = shown.into_iter().filter_map(|event| match event {
            Event::Received(received) => Some(received.text.as_str().to_owned()),
            _ => None,
        });
        texts.collect()
    }

    /// The final states reported since the last call.
    fn states(&mut self, who: usize) -> Vec<(MessageId, State)> {
        let events = std::mem::take(&mut self.events[who]);
        let (states, rest) = events
            .into_iter()
            .partition(|event| matches!(event, Event::State(..)));
        self.events[who] = rest;
        let states = states.into_iter().filter_map(|event: Event| match event {
            Event::State(id, state) => Some((id, state)),
            _ => None,
        });
        states.collect()
    }
}
