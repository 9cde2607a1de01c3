//! The handshake of an encrypted connection: the client's channel and the server's handshake, on a network that cuts and changes what
//! passes.
//!
//! Required:
//! - nothing of what the session says is in the clear, unless the user allows it and the server offers nothing else;
//! - the server gets to know a client only by the very lines that this client wrote, and both then have the same channel;
//! - the server has the key, and the passphrase, that the client requires;
//! - what either side gets on the channel is a beginning of what the other said there;
//! - a connection that was refused stays silent; one that nothing changed comes about;
//! - what the server sends takes the memory of a few lines.

use crate::bytes::Bytes;
use crate::memory;
use chat_client::net::secure::{Received, Secure, Trust};
use chat_noise::cpace::Phrase;
use chat_noise::handshake::{Established, Offer, Server, VERB};
use chat_noise::key::KeyPair;
use chat_noise::record::RECORD_MAX;
use chat_proto::line::{Line, LineDecoder};
use chat_proto::now::Now;
use chat_proto::{LINE_MAX, PASSPHRASE, SEALED_ONLY, SERVER_LINE_MAX, WRONG_PASSPHRASE};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The longest script, in steps.
const STEPS_MAX: usize = 100;

const GREETINGS: [&str; 4] = [
    "* chat version 1: you are 10.0.0.5:50312; /help says what you can do",
    "* chat version 1: no place is free",
    "too many users",
    "10.0.0.5:50312 is online",
];

/// Lines of the room, and what may be taken for the handshake.
const LINES: [&str; 8] = [
    "from 10.0.0.5:50312: hello",
    "* the server is shutting down",
    "* this is not the passphrase of this room",
    "SEAL 1 {p}",
    "SEAL 1 AAECAwQFBgcICQoLDA0ODw AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "SEAL 2 {p}",
    "{p}",
    "{p}{p}{p}",
];

/// How often the network repeats such a line.
const REPEATED: [usize; 4] = [1, 1, 3, 200];

/// What nobody on the path may read.
const SECRET: &[u8] = b"marzipan";

const FIRST: &str = "HELLO 1 marzipan - -";
const LATER: &[u8] = b"SAY 1 marzipan\n";
const ANSWER: &[u8] = b"WELCOME marzipan\n";

/// The most bytes by which a client grows: an incomplete line, a record, and what it has to write.
const GROWTH_MAX: usize = 2 * (SERVER_LINE_MAX + RECORD_MAX) + 16 * 1024;

pub(crate) fn target(input: &[u8]) {
    let mut script = Bytes(input);
    let mut world = World::new(input, &mut script);
    for _ in 0..STEPS_MAX {
        if script.is_empty() {
            break;
        }
        world.step(&mut script);
    }
    world.end();
}

struct World {
    client: Secure,
    client_key: KeyPair,
    /// What the client requires.
    trust: Trust,
    /// The bytes in use by the client at the start.
    before: usize,
    is_refused: bool,
    /// Part of the server's first line arrived; all of it did.
    is_greeting: bool,
    is_greeted: bool,
    /// What the session has said.
    said: Vec<u8>,
    /// What the session got on the channel.
    heard: Vec<u8>,
    server: Peer,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    /// The network has changed something.
    is_changed: bool,
}

/// The server's side.
struct Peer {
    key: KeyPair,
    phrase: Option<Phrase>,
    greeting: String,
    random: Random,
    lines: LineDecoder,
    stage: Stage,
    /// What it said on the channel, and what it got there, the client's first line included.
    said: Vec<u8>,
    heard: Vec<u8>,
}

enum Stage {
    Greeted,
    Answered(Box<Server>),
    Up(Box<Established>),
    Closed,
}

/// Bytes that are different for each input and for each side: a search can't learn any.
#[derive(Clone)]
struct Random(DefaultHasher);

impl Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0.write_u8(1);
            [*byte, ..] = self.0.finish().to_le_bytes();
        }
    }

    fn key(&mut self) -> KeyPair {
        let mut secret = [0; 32];
        self.fill(&mut secret);
        KeyPair::from_secret(secret)
    }
}

impl World {
    fn new(input: &[u8], script: &mut Bytes<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let mut random = Random(hasher);
        let (client_key, key, other) = (random.key(), random.key(), random.key());
        let flags = script.byte();
        let is = |bit: u8| flags >> bit & 1 == 1;
        let phrase = |bit, text| is(bit).then(|| Phrase::new(text)).flatten();
        let trust = Trust {
            announced: None,
            key: is(0).then(|| if is(1) { other.public() } else { key.public() }),
            clear: is(2),
            phrase: phrase(3, if is(4) { "another" } else { "the phrase" }),
            had_phrase: is(5),
            key_only: is(6),
        };
        let server = Peer::new(key, phrase(7, "the phrase"), random.clone(), script);
        let mut to_client = server.greeting.clone().into_bytes();
        to_client.push(b'\n');
        random.key();
        let client = Secure::new(
            client_key.clone(),
            trust.clone(),
            Box::new(move |bytes| random.fill(bytes)),
        );
        let mut world = Self {
            client,
            client_key,
            trust,
            before: 0,
            is_refused: false,
            is_greeting: false,
            is_greeted: false,
            said: Vec::new(),
            heard: Vec::new(),
            server,
            to_client,
            to_server: Vec::new(),
            is_changed: false,
        };
        world.client.connected();
        world.before = memory::in_use();
        world
    }

    fn step(&mut self, script: &mut Bytes<'_>) {
        match script.below(8) {
            0 => self.carry_to_client(usize::MAX),
            1 => self.carry_to_client(1 + usize::from(script.byte())),
            2 => self.carry_to_server(usize::MAX),
            3 => self.carry_to_server(1 + usize::from(script.byte())),
            4 => self.say(),
            5 => self.server.answer(&mut self.to_client),
            6 => self.is_changed |= change(&mut self.to_client, script),
            _ => self.is_changed |= change(&mut self.to_server, script),
        }
    }

    /// The session says something, but nothing amid the first line of the server.
    fn say(&mut self) {
        if self.is_greeting {
            return;
        }
        let more = if self.said.is_empty() {
            [FIRST.as_bytes(), b"\n"].concat()
        } else {
            LATER.to_vec()
        };
        self.client.send(Now::default(), &more);
        self.said.extend(more);
        self.take_out();
    }

    fn take_out(&mut self) {
        let out = self.client.take_out();
        assert!(
            !self.is_refused || out.is_empty(),
            "a refused server is told something"
        );
        let must_ask = self.trust.phrase.is_some() || self.trust.had_phrase;
        let may_be_clear = self.trust.clear && self.trust.key.is_none() && !must_ask;
        if out.windows(SECRET.len()).any(|bytes| bytes == SECRET) {
            assert!(may_be_clear, "said in the clear");
            // A server that was silent may still greet. Then the session begins anew.
            self.said.clear();
        }
        self.to_server.extend(out);
    }

    fn carry_to_client(&mut self, count: usize) {
        let count = count.min(self.to_client.len());
        let bytes: Vec<u8> = self.to_client.drain(..count).collect();
        if bytes.is_empty() {
            return;
        }
        if !self.is_greeted {
            self.is_greeted = bytes.contains(&b'\n');
            self.is_greeting = !self.is_greeted;
        }
        let (was_up, was_refused) = (self.client.is_up(), self.is_refused);
        let received = self.client.receive(Now::default(), &bytes);
        assert!(!was_refused || received == Received::default());
        if was_up {
            self.heard.extend(received.bytes);
        }
        if let Some(proven) = received.proven {
            assert_eq!(proven.key, self.server.key.public());
            let wanted = self.trust.key.is_none_or(|key| key == proven.key);
            assert!(wanted, "another key is accepted");
        }
        // What came with the bytes that refuse the server may be answered still.
        self.take_out();
        self.is_refused |= received.refusal.is_some();
        assert!(
            self.server.said.starts_with(&self.heard),
            "the server said something else"
        );
    }

    fn carry_to_server(&mut self, count: usize) {
        let count = count.min(self.to_server.len());
        let bytes: Vec<u8> = self.to_server.drain(..count).collect();
        self.server.receive(&bytes, &mut self.to_client);
        let Stage::Up(established) = &self.server.stage else {
            return;
        };
        assert_eq!(established.peer, self.client_key.public());
        assert!(self.is_refused || self.client.hash() == Some(established.hash));
        assert!(self.is_wanted(), "a server that the client does not want");
        assert!(
            self.said.starts_with(&self.server.heard),
            "the client said something else"
        );
    }

    /// Whether the client may talk to this server.
    fn is_wanted(&self) -> bool {
        let trust = &self.trust;
        let has_phrase = self.server.phrase.is_some();
        let key = trust.key.is_none_or(|key| key == self.server.key.public());
        let asks = has_phrase || !trust.had_phrase;
        key && asks && trust.phrase == self.server.phrase && !(trust.key_only && has_phrase)
    }

    fn assert_bounded(&self) {
        let grown = memory::in_use().saturating_sub(self.before);
        let rest = [
            &self.said,
            &self.heard,
            &self.to_client,
            &self.to_server,
            &self.server.said,
            &self.server.heard,
        ];
        let rest: usize = rest.iter().map(|bytes| bytes.capacity()).sum();
        // What the session says before the channel is up waits.
        let grown = grown.saturating_sub(rest + 2 * self.said.len());
        assert!(grown <= GROWTH_MAX, "grown by {grown} bytes");
    }

    fn end(mut self) {
        self.assert_bounded();
        self.carry_to_client(usize::MAX);
        if self.said.is_empty() {
            self.say();
        }
        for _ in 0..4 {
            self.carry_to_server(usize::MAX);
            self.server.answer(&mut self.to_client);
            self.carry_to_client(usize::MAX);
        }
        self.assert_bounded();
        let is_ours = self.server.greeting.starts_with(chat_proto::GREETING);
        if !self.is_changed && is_ours && self.is_wanted() {
            assert!(self.client.is_up(), "no channel");
            assert_eq!(self.server.heard, self.said);
            assert_eq!(self.heard, self.server.said);
        }
    }
}

impl Peer {
    fn new(key: KeyPair, phrase: Option<Phrase>, random: Random, script: &mut Bytes<'_>) -> Self {
        let mut greeting = script.one_of(&GREETINGS).to_owned();
        if greeting.starts_with(chat_proto::GREETING) {
            greeting += match (&phrase, script.below(2)) {
                (Some(_), _) => PASSPHRASE,
                (None, 0) => "",
                (None, _) => SEALED_ONLY,
            };
        }
        Self {
            key,
            phrase,
            greeting,
            random,
            lines: LineDecoder::new(LINE_MAX),
            stage: Stage::Greeted,
            said: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Reads lines as the room does, which takes those of another kind for a plain user's.
    fn receive(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        loop {
            match &mut self.stage {
                Stage::Closed => return,
                Stage::Up(established) => {
                    let opener = &mut established.channel.opener;
                    if opener.open(bytes, LINE_MAX, &mut self.heard).is_err() {
                        self.stage = Stage::Closed;
                    }
                    return;
                }
                Stage::Greeted | Stage::Answered(_) => {}
            }
            let line = match self.lines.next(&mut bytes) {
                Some(Line::Whole(line)) => line.to_vec(),
                Some(Line::TooLong) => Vec::new(),
                None => return,
            };
            if line.starts_with(VERB.as_bytes()) {
                self.shake_hands(&line, out);
            }
        }
    }

    fn shake_hands(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let stage = std::mem::replace(&mut self.stage, Stage::Closed);
        if let Stage::Answered(server) = stage {
            match server.finish(line, Now::default().monotonic) {
                Ok((first, established)) => {
                    self.heard.extend(first);
                    self.heard.push(b'\n');
                    self.stage = Stage::Up(Box::new(established));
                }
                Err(_) => out.extend(format!("{WRONG_PASSPHRASE}\n").bytes()),
            }
            return;
        }
        let offer = Offer {
            greeting: self.greeting.as_bytes(),
            key: &self.key,
            is_kept: true,
            phrase: self.phrase.as_ref(),
        };
        let random = &mut self.random;
        if let Ok((server, answer)) = Server::begin(&offer, line, &mut |bytes| random.fill(bytes)) {
            out.extend(format!("{answer}\n").bytes());
            self.stage = Stage::Answered(Box::new(server));
        }
    }

    /// Says something, if a channel is up.
    fn answer(&mut self, out: &mut Vec<u8>) {
        if let Stage::Up(established) = &mut self.stage {
            let sealer = &mut established.channel.sealer;
            sealer.seal(Now::default().monotonic, [ANSWER], out);
            self.said.extend_from_slice(ANSWER);
        }
    }
}

/// Whether the network changed anything.
fn change(bytes: &mut Vec<u8>, script: &mut Bytes<'_>) -> bool {
    let before = bytes.clone();
    let place = usize::from(script.byte()) % (bytes.len() + 1);
    match script.below(3) {
        0 => {
            let bit = script.below(8);
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1 << bit;
            }
        }
        1 => {
            let end = (place + usize::from(script.byte())).min(bytes.len());
            bytes.drain(place..end);
        }
        _ => {
            let pattern = script.one_of(&LINES);
            let mut line = script.line(pattern, |_, script| script.bytes().to_vec());
            line.push(b'\n');
            let times = script.one_of(&REPEATED);
            bytes.splice(place..place, line.repeat(times));
        }
    }
    *bytes != before
}
