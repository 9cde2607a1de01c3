//! The encrypted channel to the server, between its socket and the [`Session`](crate::session::Session).
//!
//! Nothing of the session is written before the server has proven its key and the user's choice allows that key. In the
//! clear it is written only if the user said so.

use crate::private::Random;
use crate::session::Outcome;
use crate::session::greeting::{self, Greeting};
use chat_noise::handshake::{Client, VERB};
use chat_noise::key::KeyPair;
use chat_noise::record::{Channel, RECORD_MAX};
use chat_proto::SERVER_LINE_MAX;
use chat_proto::now::Now;
use chat_proto::opaque::PublicKey;

/// Which servers the client talks to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The key that the server must have. Without it, that of the first connection is required on later ones.
    pub key: Option<PublicKey>,
    /// Also to servers without encryption, if no key is required.
    pub clear: bool,
}

/// The channel of one connection after another.
pub struct Secure {
    key: KeyPair,
    random: Random,
    trust: Trust,
    state: State,
    /// The handshake hash of the channel that is up.
    hash: Option<[u8; 32]>,
    /// What the session has said before the channel was complete.
    waiting: Vec<u8>,
    /// To be written to the socket.
    out: Vec<u8>,
}

enum State {
    /// The first bytes of the server.
    Greeting(Vec<u8>),
    /// The server's answer is awaited. The bytes may be the start of it.
    Answer(Client, Vec<u8>),
    /// The server has proven its key, and the session has not said its first line yet.
    Met(chat_noise::handshake::Met),
    Up(Channel),
    /// Without encryption. A server that was silent may still greet.
    Clear {
        silent: bool,
    },
    Refused,
}

/// What came of bytes from the server.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// For the session.
    pub bytes: Vec<u8>,
    /// The server's key, once it is proven, and whether the server keeps it.
    pub key: Option<(PublicKey, bool)>,
    /// The connection can't be used any more.
    pub refusal: Option<Outcome>,
}

impl Secure {
    /// For connections to servers that are trusted so. `random` must be unpredictable.
    pub fn new(key: KeyPair, trust: Trust, random: Random) -> Self {
        Self {
            key,
            random,
            trust,
            state: State::Refused,
            hash: None,
            waiting: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Another connection was made.
    pub fn connected(&mut self) {
        self.state = State::Greeting(Vec::new());
        self.hash = None;
        self.waiting.clear();
        self.out.clear();
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// The handshake hash of the channel, once it is up: no other channel has it.
    #[must_use]
    pub fn hash(&self) -> Option<[u8; 32]> {
        self.hash
    }

    /// The session says this.
    pub fn send(&mut self, now: Now, bytes: &[u8]) {
        let may_be_clear = self.may_be_clear();
        match &mut self.state {
            State::Up(channel) => seal(channel, now, bytes, &mut self.out),
            State::Clear { .. } => self.out.extend_from_slice(bytes),
            State::Refused => {}
            // The session takes a silent server for an original one.
            State::Greeting(_) if may_be_clear && !bytes.is_empty() => {
                self.waiting.extend_from_slice(bytes);
                self.become_clear();
            }
            State::Greeting(_) | State::Answer(..) | State::Met(_) => {
                self.waiting.extend_from_slice(bytes);
                self.finish(now);
            }
        }
    }

    /// Takes what is to be written to the socket.
    pub fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Bytes of the server arrived, cut anywhere.
    pub fn receive(&mut self, now: Now, bytes: &[u8]) -> Received {
        let mut received = Received::default();
        if let State::Clear { silent: true } = self.state {
            self.state = State::Greeting(Vec::new());
        }
        match &mut self.state {
            State::Greeting(begun) => {
                begun.extend_from_slice(bytes);
                received.bytes = bytes.to_vec();
                self.greet(&mut received);
            }
            State::Answer(..) => self.read_answer(bytes, &mut received),
            State::Up(channel) => {
                let opened = channel.opener.open(bytes, RECORD_MAX, &mut received.bytes);
                received.refusal = opened.err().map(|_| Outcome::Altered);
            }
            State::Clear { .. } => received.bytes = bytes.to_vec(),
            State::Met(_) => received.refusal = Some(Outcome::Altered),
            State::Refused => {}
        }
        if received.refusal.is_some() {
            self.state = State::Refused;
        }
        self.finish(now);
        received
    }

    fn may_be_clear(&self) -> bool {
        self.trust.clear && self.trust.key.is_none()
    }

    fn become_clear(&mut self) {
        let silent = matches!(&self.state, State::Greeting(begun) if begun.is_empty());
        self.state = State::Clear { silent };
        self.out.append(&mut self.waiting);
    }

    /// Reads the first line, which shows the kind of server.
    fn greet(&mut self, received: &mut Received) {
        let may_be_clear = self.may_be_clear();
        let State::Greeting(begun) = &mut self.state else {
            return;
        };
        match greeting::read(begun) {
            Greeting::More | Greeting::Full | Greeting::Rejected(_) => {}
            Greeting::Legacy if may_be_clear => self.become_clear(),
            Greeting::Legacy => {
                received.bytes.clear();
                received.refusal = Some(Outcome::Clear);
            }
            Greeting::Ours { length, .. } => {
                // The session gets the greeting alone. What follows it belongs to the handshake.
                let rest = begun.split_off(length);
                let line = begun.strip_suffix(b"\n").unwrap_or(begun);
                received.bytes.truncate(received.bytes.len() - rest.len());
                let (client, line) = Client::begin(line, &self.key, None, &mut self.random);
                self.out.extend_from_slice(line.as_bytes());
                self.out.push(b'\n');
                self.state = State::Answer(client, Vec::new());
                self.read_answer(&rest, received);
            }
        }
    }

    /// Reads up to the server's answer. Lines of the room before it are for plain users.
    fn read_answer(&mut self, bytes: &[u8], received: &mut Received) {
        let State::Answer(_, begun) = &mut self.state else {
            return;
        };
        begun.extend_from_slice(bytes);
        while let Some(end) = begun.iter().position(|&byte| byte == b'\n') {
            let rest = begun.split_off(end + 1);
            let line = std::mem::replace(begun, rest);
            if line.starts_with(VERB.as_bytes()) {
                return self.meet(line.strip_suffix(b"\n").unwrap_or(&line), received);
            }
            // The reason why the server ends the connection.
            if line.starts_with(b"* ") || line.starts_with(greeting::FULL) {
                received.bytes.extend_from_slice(&line);
            }
        }
        if begun.len() > SERVER_LINE_MAX {
            received.refusal = Some(Outcome::Altered);
        }
    }

    fn meet(&mut self, line: &[u8], received: &mut Received) {
        let State::Answer(client, rest) = std::mem::replace(&mut self.state, State::Refused) else {
            return;
        };
        // The server says nothing before the client's second line.
        let met = match client.read(line) {
            Ok(met) if rest.is_empty() => met,
            _ => {
                received.refusal = Some(Outcome::Altered);
                return;
            }
        };
        if self.trust.key.is_some_and(|key| key != met.server) {
            received.refusal = Some(Outcome::OtherKey(met.server));
            return;
        }
        self.trust.key = Some(met.server);
        received.key = Some((met.server, met.is_kept));
        self.state = State::Met(met);
    }

    /// Ends the handshake, once the session has said its first line.
    fn finish(&mut self, now: Now) {
        let Some(end) = self.waiting.iter().position(|&byte| byte == b'\n') else {
            return;
        };
        match std::mem::replace(&mut self.state, State::Refused) {
            State::Met(met) => {
                let rest = self.waiting.split_off(end + 1);
                let first = String::from_utf8_lossy(self.waiting.get(..end).unwrap_or_default());
                let (line, established) = met.finish(&first, now.monotonic);
                self.out.extend_from_slice(line.as_bytes());
                self.out.push(b'\n');
                self.hash = Some(established.hash);
                let mut channel = established.channel;
                seal(&mut channel, now, &rest, &mut self.out);
                self.state = State::Up(channel);
                self.waiting = Vec::new();
            }
            state => self.state = state,
        }
    }
}

/// Encrypts all of it, a line's worth at a time: the server takes no longer records.
fn seal(channel: &mut Channel, now: Now, bytes: &[u8], out: &mut Vec<u8>) {
    for record in bytes.chunks(chat_proto::LINE_MAX) {
        channel.sealer.seal(now.monotonic, [record], out);
    }
}

impl std::fmt::Debug for Secure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secure")
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_noise::handshake::{Established, Offer, Server};

    const GREETING: &[u8] = b"* chat version 1: you are here\n";

    fn key(number: u8) -> KeyPair {
        KeyPair::from_secret([number; 32])
    }

    fn secure(trust: Trust) -> Secure {
        let mut secure = Secure::new(key(1), trust, Box::new(|bytes| bytes.fill(3)));
        secure.connected();
        secure
    }

    /// The server's answer to the client's first line.
    fn answer(secure: &mut Secure, number: u8) -> (Server, String) {
        let offer = Offer {
            greeting: GREETING.strip_suffix(b"\n").unwrap(),
            key: &key(number),
            is_kept: true,
            phrase: None,
        };
        let line = secure.take_out();
        let line = line.strip_suffix(b"\n").unwrap();
        Server::begin(&offer, line, &mut |bytes| bytes.fill(4)).unwrap()
    }

    /// A channel that stands, and the server's end of it.
    fn up(trust: Trust) -> (Secure, Established) {
        let mut secure = secure(trust);
        assert_eq!(secure.receive(Now::default(), GREETING).bytes, GREETING);
        secure.send(Now::default(), b"HELLO 1\nSAY 1 hi\n");
        let (server, line) = answer(&mut secure, 2);
        assert_eq!(secure.take_out(), b"");
        let received = secure.receive(Now::default(), format!("{line}\n").as_bytes());
        assert_eq!(received.key, Some((key(2).public(), true)));
        let out = secure.take_out();
        let end = out.iter().position(|&byte| byte == b'\n').unwrap();
        let (first, mut established) = server.finish(&out[..end], Now::default().monotonic).unwrap();
        assert_eq!(first, b"HELLO 1");
        let mut said = Vec::new();
        let opener = &mut established.channel.opener;
        opener.open(&out[end + 1..], RECORD_MAX, &mut said).unwrap();
        assert_eq!(said, b"SAY 1 hi\n");
        (secure, established)
    }

    fn refusal(trust: Trust, number: u8) -> (Option<Outcome>, Vec<u8>) {
        let mut secure = secure(trust);
        secure.receive(Now::default(), GREETING);
        secure.send(Now::default(), b"HELLO 1 - - - -\n");
        let (_, line) = answer(&mut secure, number);
        let refusal = secure
            .receive(Now::default(), format!("{line}\n").as_bytes())
            .refusal;
        secure.send(Now::default(), b"SAY 1 more\n");
        (refusal, secure.take_out())
    }

    #[test]
    fn what_both_sides_say_is_encrypted() {
        let (mut secure, mut server) = up(Trust::default());
        let mut wire = Vec::new();
        server
            .channel
            .sealer
            .seal(Now::default().monotonic, [b"WELCOME\n".as_slice()], &mut wire);
        let received = secure.receive(Now::default(), &wire);
        assert_eq!(
            (received.bytes.as_slice(), received.refusal),
            (b"WELCOME\n".as_slice(), None)
        );
        secure.send(Now::default(), &[b'x'; 10_000]);
        let mut said = Vec::new();
        let opener = &mut server.channel.opener;
        opener
            .open(&secure.take_out(), chat_proto::LINE_MAX, &mut said)
            .unwrap();
        assert_eq!(said, [b'x'; 10_000]);
    }

    #[test]
    fn another_key_is_told_nothing() {
        let wanted = Trust {
            key: Some(key(2).public()),
            clear: true,
        };
        assert_eq!(refusal(wanted.clone(), 2).0, None);
        let (refused, out) = refusal(wanted, 5);
        assert_eq!(refused, Some(Outcome::OtherKey(key(5).public())));
        assert_eq!(out, b"");
    }

    #[test]
    fn the_first_key_is_required_on_later_connections() {
        let (mut secure, _) = up(Trust::default());
        secure.connected();
        secure.receive(Now::default(), GREETING);
        let (_, line) = answer(&mut secure, 5);
        let received = secure.receive(Now::default(), format!("{line}\n").as_bytes());
        assert_eq!(received.refusal, Some(Outcome::OtherKey(key(5).public())));
        // Nor does it become a connection in the clear.
        secure.trust.clear = true;
        secure.connected();
        assert_eq!(
            secure.receive(Now::default(), b"hello\n").refusal,
            Some(Outcome::Clear)
        );
    }

    #[test]
    fn nothing_is_said_in_the_clear_unless_the_user_allows_it() {
        let mut strict = secure(Trust::default());
        strict.send(Now::default(), b"secret\n");
        let received = strict.receive(Now::default(), b"10.0.0.5:1 is online\n");
        assert_eq!(
            (received.bytes.len(), received.refusal),
            (0, Some(Outcome::Clear))
        );
        strict.send(Now::default(), b"secret\n");
        assert_eq!(strict.take_out(), b"");
        let mut lax = secure(Trust {
            key: None,
            clear: true,
        });
        lax.receive(Now::default(), b"10.0.0.5:1 is online\n");
        lax.send(Now::default(), b"hello\n");
        assert_eq!(lax.take_out(), b"hello\n");
    }

    #[test]
    fn a_silent_server_that_greets_late_is_encrypted_to() {
        let mut late = secure(Trust {
            key: None,
            clear: true,
        });
        late.send(Now::default(), b"hello\n");
        assert_eq!(late.take_out(), b"hello\n");
        assert_eq!(late.receive(Now::default(), GREETING).bytes, GREETING);
        assert!(late.take_out().starts_with(VERB.as_bytes()));
    }

    #[test]
    fn a_change_on_the_way_ends_the_connection() {
        let (mut secure, mut server) = up(Trust::default());
        let mut wire = Vec::new();
        server
            .channel
            .sealer
            .seal(Now::default().monotonic, [b"SAID\n".as_slice()], &mut wire);
        *wire.last_mut().unwrap() ^= 1;
        let received = secure.receive(Now::default(), &wire);
        assert_eq!(
            (received.bytes.len(), received.refusal),
            (0, Some(Outcome::Altered))
        );
        secure.send(Now::default(), b"SAY 2 hi\n");
        assert_eq!(secure.take_out(), b"");
    }

    #[test]
    fn any_answer_that_proves_nothing_is_refused() {
        for answer in ["SEAL 1 AAAA\n", "SEAL 1 \n"] {
            let mut secure = secure(Trust::default());
            secure.receive(Now::default(), GREETING);
            let received = secure.receive(Now::default(), answer.as_bytes());
            assert_eq!(received.refusal, Some(Outcome::Altered), "{answer:?}");
        }
        let mut secure = secure(Trust::default());
        secure.receive(Now::default(), GREETING);
        let received = secure.receive(Now::default(), &[b'x'; SERVER_LINE_MAX + 1]);
        assert_eq!(received.refusal, Some(Outcome::Altered));
    }

    #[test]
    fn lines_before_the_answer_are_not_taken_for_the_rooms() {
        let mut secure = secure(Trust::default());
        secure.receive(Now::default(), GREETING);
        let lines = b"10.0.0.5:1 is online\nfrom 10.0.0.5:1: hi\n* the server is shutting down\n";
        let received = secure.receive(Now::default(), lines);
        assert_eq!(received.bytes, b"* the server is shutting down\n");
        assert_eq!(received.refusal, None);
    }
}
