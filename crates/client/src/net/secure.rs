//! The encrypted channel to the server, between its socket and the [`Session`](crate::session::Session).
//!
//! Nothing of the session is written before the server has proven its key and the user's choice allows that key. In the
//! clear it is written only if the user said so.

use crate::private::Random;
use crate::session::Outcome;
use crate::session::greeting::{self, Greeting};
use chat_noise::cpace::Phrase;
use chat_noise::handshake::{Client, VERB};
use chat_noise::key::{KeyPair, fingerprint};
use chat_noise::record::{Channel, RECORD_MAX};
use chat_proto::now::Now;
use chat_proto::opaque::{Opaque, PublicKey, encode};
use chat_proto::text::Text;
use chat_proto::{PASSPHRASE, SERVER_LINE_MAX, TOO_MANY_GUESSES, WRONG_PASSPHRASE};

/// Bytes after a passphrase was tried that may be the server's verdict.
const VERDICT_MAX: usize = 128;

/// Which servers the client talks to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The key that the server must have. Without it, that of the first connection is required on later ones.
    pub key: Option<PublicKey>,
    /// The server's key must have this fingerprint, because its room announces that.
    pub announced: Option<Opaque<16>>,
    /// Also to servers without encryption, if neither a key nor a passphrase is required.
    pub clear: bool,
    /// The passphrase of the room, which the server must ask for.
    pub phrase: Option<Phrase>,
    /// The server must ask for a passphrase, because it did when its key was remembered.
    pub had_phrase: bool,
    /// To any server, for its key alone: nothing is said to one that asks for a passphrase, and none is tried.
    pub key_only: bool,
}

/// What a server has proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Its key.
    pub key: PublicKey,
    /// Whether it keeps that key for its next run.
    pub is_kept: bool,
    /// Whether it asks for a passphrase. Unless only the key was asked for, it knows the passphrase too.
    pub has_phrase: bool,
}

/// The channel of one connection after another.
pub struct Secure {
    key: KeyPair,
    random: Random,
    trust: Trust,
    state: State,
    /// The handshake hash of the channel that is up.
    hash: Option<[u8; 32]>,
    /// This server asks for a passphrase.
    has_phrase: bool,
    /// What the server has proven and is not told yet.
    proven: Option<Proven>,
    /// A passphrase was tried, and the server has said this since, which is no record yet.
    verdict: Option<Vec<u8>>,
    /// The server has accepted the passphrase, on this connection or an earlier one.
    is_accepted: bool,
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
    /// What the server has proven, once it has: with a passphrase, that it knows it too.
    pub proven: Option<Proven>,
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
            has_phrase: false,
            proven: None,
            verdict: None,
            is_accepted: false,
            waiting: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Another connection was made.
    pub fn connected(&mut self) {
        self.state = State::Greeting(Vec::new());
        self.hash = None;
        self.has_phrase = false;
        self.proven = None;
        self.verdict = None;
        self.waiting.clear();
        self.out.clear();
    }

    /// The connection was closed or broke. If the server has not accepted the passphrase by then, that is its answer: the
    /// next attempt would give another guess to whoever answers.
    #[must_use]
    pub fn closed(&mut self) -> Option<Outcome> {
        let is_refused = self.verdict.take().is_some() && !self.is_accepted;
        is_refused.then_some(Outcome::WrongPassphrase)
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

    /// Whether the room has a passphrase, which this server asks for.
    #[must_use]
    pub fn has_phrase(&self) -> bool {
        self.has_phrase
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
                self.await_verdict(bytes, &mut received);
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
        let must_ask = self.trust.phrase.is_some() || self.trust.had_phrase;
        let must_prove = self.trust.key.is_some() || self.trust.announced.is_some();
        self.trust.clear && !must_prove && !must_ask
    }

    /// The passphrase to try with a server that asks for one, or does not.
    fn phrase(&mut self) -> Result<Option<Phrase>, Outcome> {
        match (&self.trust.phrase, self.has_phrase) {
            (_, true) if self.trust.key_only => Ok(Some(any_phrase(&mut self.random))),
            (Some(phrase), true) => Ok(Some(phrase.clone())),
            (None, true) => Err(Outcome::PassphraseNeeded),
            (None, false) if !self.trust.had_phrase => Ok(None),
            (_, false) => Err(Outcome::NoPassphrase),
        }
    }

    /// A passphrase was tried. A record shows that the server accepts it, and knows it; what it says instead is in the clear.
    fn await_verdict(&mut self, bytes: &[u8], received: &mut Received) {
        let Some(said) = &mut self.verdict else {
            return;
        };
        if !received.bytes.is_empty() {
            self.is_accepted = true;
            self.verdict = None;
            received.proven = self.proven.take();
            return;
        }
        said.extend(bytes.iter().take(VERDICT_MAX.saturating_sub(said.len())));
        let is = |line: &str| {
            said.strip_prefix(line.as_bytes())
                .is_some_and(|rest| rest.starts_with(b"\n"))
        };
        if is(WRONG_PASSPHRASE) {
            received.refusal = Some(Outcome::WrongPassphrase);
        } else if is(TOO_MANY_GUESSES) {
            let reason = TOO_MANY_GUESSES.trim_start_matches("* ");
            received.refusal = Some(Outcome::Rejected(Text::new(reason)));
        }
        if received.refusal.is_some() {
            self.verdict = None;
        }
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
            Greeting::More => {}
            // The session ends. Nothing that follows is kept.
            Greeting::Full | Greeting::Rejected(_) => self.state = State::Refused,
            Greeting::Legacy if may_be_clear => self.become_clear(),
            Greeting::Legacy => {
                received.bytes.clear();
                received.refusal = Some(Outcome::Clear);
            }
            Greeting::Ours { length, .. } => {
                // The session gets the greeting alone. What follows it belongs to the handshake.
                let rest = begun.split_off(length);
                let line = begun.strip_suffix(b"\n").unwrap_or(begun);
                let line = line.to_vec();
                received.bytes.truncate(received.bytes.len() - rest.len());
                self.has_phrase = line.ends_with(PASSPHRASE.as_bytes());
                let phrase = match self.phrase() {
                    Ok(phrase) => phrase,
                    Err(refusal) => {
                        received.bytes.clear();
                        received.refusal = Some(refusal);
                        return;
                    }
                };
                let (client, line) = Client::begin(&line, &self.key, phrase.as_ref(), &mut self.random);
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
        let is_announced = |announced| announced == fingerprint(&met.server);
        if !self.trust.announced.is_none_or(is_announced) {
            received.refusal = Some(Outcome::OtherRoom(met.server));
            return;
        }
        self.trust.key = Some(met.server);
        self.proven = Some(Proven {
            key: met.server,
            is_kept: met.is_kept,
            has_phrase: self.has_phrase,
        });
        if !self.has_phrase || self.trust.key_only {
            received.proven = self.proven.take();
        }
        self.state = State::Met(met);
    }

    /// Ends the handshake, once the session has said its first line.
    fn finish(&mut self, now: Now) {
        let Some(end) = self.waiting.iter().position(|&byte| byte == b'\n') else {
            return;
        };
        match std::mem::replace(&mut self.state, State::Refused) {
            // The last line would be a guess.
            state @ State::Met(_) if self.has_phrase && self.trust.key_only => self.state = state,
            State::Met(met) => {
                let rest = self.waiting.split_off(end + 1);
                let first = String::from_utf8_lossy(self.waiting.get(..end).unwrap_or_default());
                let (line, established) = met.finish(&*first, now.monotonic);
                self.out.extend_from_slice(line.as_bytes());
                self.out.push(b'\n');
                self.hash = Some(established.hash);
                let mut channel = established.channel;
                seal(&mut channel, now, &rest, &mut self.out);
                self.state = State::Up(channel);
                self.waiting = Vec::new();
                self.verdict = self.has_phrase.then(Vec::new);
            }
            state => self.state = state,
        }
    }
}

/// A passphrase that nobody knows, to meet a server that asks for one.
fn any_phrase(random: &mut Random) -> Phrase {
    let mut bytes = [0; 16];
    random(&mut bytes);
    Phrase::new(&encode(&bytes)).expect("it is not empty")
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
        answer_of(secure, number, true)
    }

    /// The same of a server that keeps its key, or makes a new one for its next run.
    fn answer_of(secure: &mut Secure, number: u8, is_kept: bool) -> (Server, String) {
        let offer = Offer {
            greeting: GREETING.strip_suffix(b"\n").unwrap(),
            key: &key(number),
            is_kept,
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
        let proven = Proven {
            key: key(2).public(),
            is_kept: true,
            has_phrase: false,
        };
        assert_eq!(received.proven, Some(proven));
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
        secure.send(Now::default(), b"HELLO 1 - - -\n");
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
            ..Trust::default()
        };
        assert_eq!(refusal(wanted.clone(), 2).0, None);
        let (refused, out) = refusal(wanted, 5);
        assert_eq!(refused, Some(Outcome::OtherKey(key(5).public())));
        assert_eq!(out, b"");
    }

    #[test]
    fn a_key_of_one_run_replaces_no_other() {
        let mut secure = secure(Trust {
            key: Some(key(2).public()),
            ..Trust::default()
        });
        secure.receive(Now::default(), GREETING);
        secure.send(Now::default(), b"HELLO 1 - - - -\n");
        let (_, line) = answer_of(&mut secure, 5, false);
        let received = secure.receive(Now::default(), format!("{line}\n").as_bytes());
        assert_eq!(received.refusal, Some(Outcome::OtherKey(key(5).public())));
        assert_eq!((received.proven, secure.take_out()), (None, Vec::new()));
    }

    #[test]
    fn a_rejection_is_passed_on_and_nothing_after_it_is_kept() {
        for line in [b"too many users\n".as_slice(), b"* banned: for good\n"] {
            let mut secure = secure(Trust::default());
            assert_eq!(secure.receive(Now::default(), line).bytes, line);
            for _ in 0..100 {
                assert_eq!(secure.receive(Now::default(), &[b'x'; 4096]), Received::default());
            }
            assert!(matches!(secure.state, State::Refused));
        }
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
    fn a_chosen_room_has_the_key_that_it_announces() {
        let announced = |number, clear| Trust {
            announced: Some(fingerprint(&key(number).public())),
            clear,
            ..Trust::default()
        };
        up(announced(2, false));
        let (refused, said) = refusal(announced(2, false), 5);
        assert_eq!(refused, Some(Outcome::OtherRoom(key(5).public())));
        assert_eq!(said, b"");
        let mut secure = secure(announced(2, true));
        let received = secure.receive(Now::default(), b"hello\n");
        assert_eq!(received.refusal, Some(Outcome::Clear));
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
            clear: true,
            ..Trust::default()
        });
        lax.receive(Now::default(), b"10.0.0.5:1 is online\n");
        lax.send(Now::default(), b"hello\n");
        assert_eq!(lax.take_out(), b"hello\n");
    }

    #[test]
    fn a_silent_server_that_greets_late_is_encrypted_to() {
        let mut late = secure(Trust {
            clear: true,
            ..Trust::default()
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

    /// The greeting of a room with a passphrase.
    fn locked() -> String {
        format!("* chat version 1: you are here{PASSPHRASE}\n")
    }

    fn with(phrase: &str) -> Trust {
        Trust {
            phrase: Phrase::new(phrase),
            ..Trust::default()
        }
    }

    /// Meets a server that has this passphrase, and says `HELLO`.
    fn met(secure: &mut Secure, number: u8, phrase: &str) -> (Server, Received) {
        let (greeting, phrase) = (locked(), Phrase::new(phrase));
        assert_eq!(secure.receive(Now::default(), greeting.as_bytes()).refusal, None);
        let offer = Offer {
            greeting: greeting.trim_end().as_bytes(),
            key: &key(number),
            is_kept: true,
            phrase: phrase.as_ref(),
        };
        let line = secure.take_out();
        let line = line.strip_suffix(b"\n").unwrap();
        let (server, line) = Server::begin(&offer, line, &mut |bytes| bytes.fill(4)).unwrap();
        secure.send(Now::default(), b"HELLO 1 - - -\n");
        let received = secure.receive(Now::default(), format!("{line}\n").as_bytes());
        (server, received)
    }

    /// A channel to a server that has accepted the passphrase.
    fn accepted(secure: &mut Secure) -> Received {
        let (server, received) = met(secure, 2, "right");
        assert_eq!((received.proven, received.refusal), (None, None), "not yet");
        let line = secure.take_out();
        let (_, mut established) = server
            .finish(line.strip_suffix(b"\n").unwrap(), Now::default().monotonic)
            .unwrap();
        let mut wire = Vec::new();
        let sealer = &mut established.channel.sealer;
        sealer.seal(Now::default().monotonic, [b"WELCOME\n".as_slice()], &mut wire);
        secure.receive(Now::default(), &wire)
    }

    #[test]
    fn a_server_that_knows_the_passphrase_is_believed_at_its_first_record() {
        let mut secure = secure(with("right"));
        let received = accepted(&mut secure);
        assert_eq!(received.bytes, b"WELCOME\n");
        assert_eq!(
            received.proven,
            Some(Proven {
                key: key(2).public(),
                is_kept: true,
                has_phrase: true
            })
        );
        assert_eq!(secure.closed(), None);
    }

    #[test]
    fn without_a_passphrase_a_room_that_asks_for_one_is_told_nothing() {
        let mut secure = secure(Trust::default());
        let received = secure.receive(Now::default(), locked().as_bytes());
        assert_eq!(received.refusal, Some(Outcome::PassphraseNeeded));
        assert_eq!(received.bytes, b"");
        secure.send(Now::default(), b"HELLO 1 - - -\n");
        assert_eq!(secure.take_out(), b"");
    }

    #[test]
    fn a_greeting_without_the_clause_is_refused_where_there_is_a_passphrase() {
        let had = Trust {
            had_phrase: true,
            ..Trust::default()
        };
        let both = Trust {
            had_phrase: true,
            ..with("right")
        };
        for mut trust in [with("right"), had, both] {
            trust.clear = true;
            let mut secure = secure(trust);
            let received = secure.receive(Now::default(), GREETING);
            assert_eq!(received.refusal, Some(Outcome::NoPassphrase));
            assert_eq!(received.bytes, b"");
            secure.send(Now::default(), b"HELLO 1 - - -\n");
            assert_eq!(secure.take_out(), b"");
            // Nor in the clear.
            secure.connected();
            let received = secure.receive(Now::default(), b"10.0.0.5:1 is online\n");
            assert_eq!(received.refusal, Some(Outcome::Clear));
        }
    }

    #[test]
    fn a_refused_passphrase_is_known_by_the_verdict_or_the_end() {
        let refusal = |said: &str| {
            let mut secure = secure(with("wrong"));
            met(&mut secure, 2, "right");
            for byte in said.bytes() {
                let received = secure.receive(Now::default(), &[byte]);
                if received.refusal.is_some() {
                    return received.refusal;
                }
            }
            secure.closed()
        };
        let wrong = Some(Outcome::WrongPassphrase);
        assert_eq!(refusal(&format!("{WRONG_PASSPHRASE}\n")), wrong);
        assert_eq!(refusal(""), wrong);
        assert_eq!(refusal("* dis"), wrong);
        let later = refusal(&format!("{TOO_MANY_GUESSES}\n")).unwrap();
        assert!(matches!(later, Outcome::Rejected(_)), "{later:?}");
    }

    #[test]
    fn an_accepted_passphrase_is_used_again_for_the_same_key_only() {
        let mut secure = secure(with("right"));
        accepted(&mut secure);
        secure.connected();
        let (_, received) = met(&mut secure, 5, "right");
        assert_eq!(received.refusal, Some(Outcome::OtherKey(key(5).public())));
        assert_eq!(secure.take_out(), b"", "no guess for another key");
        secure.connected();
        let (_, received) = met(&mut secure, 2, "right");
        assert_eq!(received.refusal, None);
        // The connection broke once more, which says nothing about the passphrase.
        assert_eq!(secure.closed(), None);
        // But the server may say that it is another one now.
        secure.connected();
        met(&mut secure, 2, "new");
        let verdict = format!("{WRONG_PASSPHRASE}\n");
        let received = secure.receive(Now::default(), verdict.as_bytes());
        assert_eq!(received.refusal, Some(Outcome::WrongPassphrase));
    }

    #[test]
    fn asking_for_the_key_tries_no_passphrase() {
        let mut secure = secure(Trust {
            key_only: true,
            ..Trust::default()
        });
        let (_, received) = met(&mut secure, 2, "right");
        let proven = received.proven.unwrap();
        assert_eq!((proven.key, proven.has_phrase), (key(2).public(), true));
        secure.send(Now::default(), b"PROBE 1 -\n");
        assert_eq!(secure.take_out(), b"");
    }
}
