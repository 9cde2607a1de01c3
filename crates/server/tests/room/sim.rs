//! A simulated network around a [`Room`], with turns like those of the server's loop.
//!
//! Time passes only when nothing else can happen, and then up to the room's own deadline. Each turn ends
//! with a check of the invariants, which panics if one does not hold.

use chat_noise::cpace::Phrase;
use chat_noise::handshake::{Client, Met};
use chat_noise::key::KeyPair;
use chat_noise::record::{Channel, RECORD_MAX};
use chat_proto::LINE_MAX;
use chat_proto::now::Now;
use chat_proto::opaque::Opaque;
use chat_proto::rich::FromClient;
use chat_server::door::Door;
use chat_server::event::{Departure, Event};
use chat_server::identity::Identity;
use chat_server::member::End;
use chat_server::quota::Quota;
use chat_server::room::output::{self, Effect};
use chat_server::room::{Limits, Room, input, passphrase};
use chat_server::roster::Slot;
use chat_server::server::{ACCEPTS_MAX, READ_MAX};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Lines for one connection alone at most: 256 KiB, to which others may add, and one line more.
const OWN_BYTES_MAX: usize = 256 * 1024 + chat_proto::SERVER_LINE_MAX;

/// How often a trickling reader reads.
const TRICKLE: Duration = Duration::from_millis(10);

/// The wall clock at the start of every simulation.
pub(crate) const EPOCH_MS: u64 = 1_700_000_000_000;

pub(crate) type PeerNo = usize;

/// How a peer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Everything, at once.
    Freely,
    /// This many bytes a second.
    Slowly(u64),
    /// Never.
    Stopped,
}

/// The far end of a connection, and both kernels' buffers.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) slot: Option<Slot>,
    /// Sent by the peer, not read by the server.
    up: Vec<u8>,
    up_end: Option<End>,
    /// What the bytes of `up` mean, piece by piece: how many they are, and what they say.
    meanings: VecDeque<(usize, Vec<u8>)>,
    /// Its secret key.
    pub(crate) secret: [u8; 32],
    /// Its handshake for an encrypted channel, until that is complete.
    sealing: Option<Sealing>,
    /// Its encrypted channel.
    pub(crate) channel: Option<Channel>,
    /// The handshake hash of that channel.
    pub(crate) hash: Option<[u8; 32]>,
    /// Everything that the server has read, in the clear, without the handshake.
    pub(crate) delivered: Vec<u8>,
    /// Written by the server, not read by the peer.
    down: Vec<u8>,
    /// `down.len() <= capacity`
    pub(crate) capacity: usize,
    /// The largest write that succeeds.
    pub(crate) write_max: usize,
    /// The largest read of the server.
    pub(crate) read_max: usize,
    pub(crate) reading: Reading,
    /// Nanobytes that a slow reader may still read.
    owed: u128,
    pub(crate) received: Vec<u8>,
    /// Whether to store what it receives.
    pub(crate) listens: bool,
    /// Writing to it fails.
    pub(crate) gone: bool,
    /// The server has shut its half down.
    pub(crate) shut: bool,
    pub(crate) closed_at: Option<Duration>,
    /// The server closed the connection at once.
    pub(crate) turned_away: bool,
    /// It answers PING.
    pub(crate) answers: bool,
    /// How much of its input it has searched for one.
    answered: usize,
    /// It closes when the server does.
    pub(crate) polite: bool,
    /// Lines that [`Sim::news`] has returned.
    mark: usize,
}

/// A handshake under way.
struct Sealing {
    /// `None` before the greeting.
    client: Option<Client>,
    /// What is said afterwards, the first line first.
    said: Vec<u8>,
    /// It sends a FIN afterwards.
    ends: bool,
}

impl Peer {
    fn new(address: SocketAddr, secret: [u8; 32]) -> Self {
        Self {
            address,
            slot: None,
            up: Vec::new(),
            up_end: None,
            meanings: VecDeque::new(),
            secret,
            sealing: None,
            channel: None,
            hash: None,
            delivered: Vec::new(),
            down: Vec::new(),
            capacity: 64 * 1024,
            write_max: usize::MAX,
            read_max: READ_MAX,
            reading: Reading::Freely,
            owed: 0,
            received: Vec::new(),
            listens: true,
            gone: false,
            shut: false,
            closed_at: None,
            turned_away: false,
            answers: false,
            answered: 0,
            polite: true,
            mark: 0,
        }
    }

    /// Bytes in flight to it.
    pub(crate) fn unread(&self) -> usize {
        self.down.len()
    }

    fn is_readable(&self) -> bool {
        !self.up.is_empty() || self.up_end.is_some()
    }

    fn is_writable(&self) -> bool {
        self.gone || self.down.len() < self.capacity
    }

    /// Says this, by a handshake that is under way, or by the channel, or in the clear.
    fn say(&mut self, now: Duration, bytes: &[u8]) {
        if let Some(sealing) = &mut self.sealing {
            sealing.said.extend_from_slice(bytes);
        } else if let Some(channel) = &mut self.channel {
            for said in bytes.chunks(LINE_MAX) {
                let before = self.up.len();
                channel.sealer.seal(now, [said], &mut self.up);
                self.meanings.push_back((self.up.len() - before, said.to_vec()));
            }
        } else {
            self.put(bytes, bytes);
        }
    }

    /// Sends these bytes, which mean this.
    fn put(&mut self, bytes: &[u8], meaning: &[u8]) {
        self.up.extend_from_slice(bytes);
        self.meanings.push_back((bytes.len(), meaning.to_vec()));
    }

    /// The server reads.
    fn take(&mut self) -> Vec<u8> {
        let bytes: Vec<u8> = self.up.drain(..self.up.len().min(self.read_max)).collect();
        let mut count = bytes.len();
        while let Some((length, meaning)) = self.meanings.front_mut()
            && count > 0
        {
            let taken = count.min(*length);
            let is_clear = *length == meaning.len();
            count -= taken;
            *length -= taken;
            if is_clear {
                self.delivered.extend(meaning.drain(..taken));
            }
            if *length == 0 {
                self.delivered.append(meaning);
                self.meanings.pop_front();
            }
        }
        bytes
    }

    /// Begins the handshake once the greeting has arrived.
    fn begin(&mut self) {
        let greeting = self
            .received
            .split(|&byte| byte == b'\n')
            .next()
            .unwrap_or_default();
        let is_whole = greeting.len() < self.received.len();
        let Some(sealing) = self
            .sealing
            .as_mut()
            .filter(|sealing| is_whole && sealing.client.is_none())
        else {
            return;
        };
        let byte = self.secret[8] ^ 0xFF;
        let key = KeyPair::from_secret(self.secret);
        let (client, line) = Client::begin(greeting, &key, None, &mut |bytes| bytes.fill(byte));
        sealing.client = Some(client);
        self.put(format!("{line}\n").as_bytes(), b"");
    }

    /// Ends the handshake once the server has answered. Its answer is the last line in the clear.
    fn finish(&mut self, now: Duration) {
        let begin = self.received.windows(7).position(|part| part == b"SEAL 1 ");
        let begin = begin.filter(|_| {
            self.sealing
                .as_ref()
                .is_some_and(|sealing| sealing.client.is_some())
        });
        let Some(begin) = begin else { return };
        let Some(length) = self.received[begin..].iter().position(|&byte| byte == b'\n') else {
            return;
        };
        let answer: Vec<u8> = self.received.drain(begin..).collect();
        let (line, sealed) = (&answer[..length], &answer[length + 1..]);
        let sealing = self.sealing.take().unwrap();
        let met = sealing.client.unwrap().read(line).unwrap();
        let end = sealing.said.iter().position(|&byte| byte == b'\n').unwrap();
        let (first, rest) = sealing.said.split_at(end + 1);
        let first_line = std::str::from_utf8(&first[..end]).unwrap();
        let (line, mut established) = met.finish(first_line, now);
        established
            .channel
            .opener
            .open(sealed, RECORD_MAX, &mut self.received)
            .unwrap();
        self.hash = Some(established.hash);
        self.channel = Some(established.channel);
        self.put(format!("{line}\n").as_bytes(), first);
        self.say(now, rest);
        if sealing.ends {
            self.up_end.get_or_insert(End::Closed);
        }
    }

    /// Answers the PINGs among the lines received.
    fn answer(&mut self, now: Duration) {
        let news = &self.received[self.answered..];
        let whole = news
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        let lines = std::str::from_utf8(&news[..whole]).unwrap().lines();
        let pings = lines.filter_map(|line| line.strip_prefix("PING "));
        let pongs: String = pings.map(|number| format!("PONG {number}\n")).collect();
        self.answered += whole;
        self.say(now, pongs.as_bytes());
    }

    /// The peer reads what it would in this time.
    fn drain(&mut self, now: Duration, passed: Duration) {
        if self.gone {
            self.down.clear();
        }
        let count = match self.reading {
            Reading::Freely => self.down.len(),
            Reading::Stopped => 0,
            Reading::Slowly(speed) => {
                let owed = self.owed + u128::from(speed) * passed.as_nanos();
                let count = usize::try_from(owed / 1_000_000_000)
                    .unwrap()
                    .min(self.down.len());
                self.owed = if self.down.len() == count {
                    0
                } else {
                    owed % 1_000_000_000
                };
                count
            }
        };
        let mut opened = Vec::new();
        let read = match &mut self.channel {
            Some(channel) => {
                channel
                    .opener
                    .open(&self.down[..count], RECORD_MAX, &mut opened)
                    .unwrap();
                &opened
            }
            None => &self.down[..count],
        };
        if self.listens {
            self.received.extend_from_slice(read);
        }
        let line_ends = self.answers && read.contains(&b'\n');
        self.down.drain(..count);
        if self.sealing.is_some() && self.reading != Reading::Stopped {
            self.begin();
            self.finish(now);
        }
        if line_ends {
            self.answer(now);
        }
        let done = self.shut || self.closed_at.is_some();
        if done && self.polite && self.down.is_empty() && self.reading != Reading::Stopped {
            self.up_end.get_or_insert(End::Closed);
        }
    }
}

/// A room and its peers.
pub(crate) struct Sim {
    pub(crate) room: Room,
    pub(crate) now: Duration,
    /// By how much the wall clock has been set, in milliseconds.
    pub(crate) wall_set_ms: i64,
    pub(crate) peers: Vec<Peer>,
    /// The peer in each slot.
    seats: Vec<Option<PeerNo>>,
    /// Peers that are not accepted yet.
    door: VecDeque<PeerNo>,
    pub(crate) events: Vec<Event>,
    /// The latest bans, as text.
    pub(crate) kept_bans: Option<String>,
    /// Why a new passphrase can't be written.
    pub(crate) phrase_error: Option<&'static str>,
    /// The latest new passphrase.
    pub(crate) new_phrase: Option<String>,
    /// Rendezvous requests so far.
    pub(crate) requests: u64,
    /// Turns in a row in which something was due and nothing happened.
    idle: usize,
    pub(crate) turns: usize,
    /// Turns that changed what the room keeps over a restart.
    pub(crate) changes: usize,
    held_since: Option<Duration>,
    /// The longest pause.
    pub(crate) longest_hold: Duration,
    ended: bool,
}

/// Limits that most tests never reach.
pub(crate) fn limits() -> Limits {
    Limits {
        max_users: 10_000,
        max_per_address: 10_000,
        history: 10,
        rate: None,
        quota: Quota::default(),
        ping_interval: Duration::from_secs(3600),
    }
}

/// Whether this begins with the first line of a client.
fn is_clients(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let is_whole = line.len() < bytes.len();
    let first = std::str::from_utf8(line)
        .ok()
        .and_then(|line| FromClient::parse(line).ok());
    is_whole && matches!(first, Some(FromClient::Hello(_) | FromClient::Probe(..)))
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Sim {
    pub(crate) fn new(limits: Limits) -> Self {
        Self::behind(Door::default(), limits)
    }

    /// A room with this door.
    pub(crate) fn behind(door: Door, limits: Limits) -> Self {
        let mut count = 0u128;
        let tokens = Box::new(move || {
            count += 1;
            Opaque(count.to_be_bytes())
        });
        Self {
            room: Room::new(limits, tokens, Identity::ephemeral([1; 32])).with_door(door),
            now: Duration::from_secs(1000),
            wall_set_ms: 0,
            peers: Vec::new(),
            seats: Vec::new(),
            door: VecDeque::new(),
            events: Vec::new(),
            kept_bans: None,
            phrase_error: None,
            new_phrase: None,
            requests: 0,
            idle: 0,
            turns: 0,
            changes: 0,
            held_since: None,
            longest_hold: Duration::ZERO,
            ended: false,
        }
    }

    /// Both clocks.
    pub(crate) fn clock(&self) -> Now {
        let unix_ms = EPOCH_MS + u64::try_from(self.now.as_millis()).unwrap();
        Now {
            monotonic: self.now,
            unix_ms: unix_ms.saturating_add_signed(self.wall_set_ms),
        }
    }

    // What peers do.

    /// A peer connects.
    pub(crate) fn connect(&mut self, address: &str) -> PeerNo {
        self.connect_from(address.parse().unwrap())
    }

    pub(crate) fn connect_from(&mut self, address: SocketAddr) -> PeerNo {
        let number = self.peers.len();
        let mut secret = [7; 32];
        secret[8..16].copy_from_slice(&number.to_le_bytes());
        self.peers.push(Peer::new(address, secret));
        self.door.push_back(number);
        number
    }

    /// A person at `nc`, announced, whose lines so far are skipped.
    pub(crate) fn plain(&mut self, address: &str) -> PeerNo {
        let peer = self.connect(address);
        self.run(ms(250));
        self.news(peer);
        peer
    }

    /// A `chat-client` that has received its WELCOME.
    pub(crate) fn rich(&mut self, address: &str, nick: &str) -> PeerNo {
        let peer = self.connect(address);
        self.run(ms(0));
        self.send(peer, &format!("HELLO 1 {nick} 5000 -\n"));
        self.run(ms(0));
        self.news(peer);
        peer
    }

    /// It makes its connection an encrypted one, with this as its first line. What it sends meanwhile follows.
    pub(crate) fn seal(&mut self, peer: PeerNo, first: &str) {
        self.seal_with(peer, format!("{first}\n").as_bytes());
    }

    fn seal_with(&mut self, peer: PeerNo, said: &[u8]) {
        self.peers[peer].sealing = Some(Sealing {
            client: None,
            said: said.to_vec(),
            ends: false,
        });
        self.peers[peer].begin();
    }

    /// It has the key of this one.
    pub(crate) fn take_key(&mut self, peer: PeerNo, of: PeerNo) {
        self.peers[peer].secret = self.peers[of].secret;
    }

    /// The same at once and with this passphrase, unless the server takes none now. Whether it does.
    pub(crate) fn prove_with(&mut self, peer: PeerNo, first: &str, phrase: Option<&str>) -> bool {
        let Some((met, _)) = self.meet(peer, phrase) else {
            return false;
        };
        self.prove(peer, met, first);
        true
    }

    /// It sends the first line of a handshake. The answer, if there is one.
    pub(crate) fn meet(&mut self, peer: PeerNo, phrase: Option<&str>) -> Option<(Met, String)> {
        self.run(ms(0));
        let greeting = self.lines(peer).0[0].to_owned();
        let mut random = |bytes: &mut [u8]| bytes.fill(u8::try_from(peer % 255).unwrap() + 1);
        let key = KeyPair::from_secret(self.peers[peer].secret);
        let phrase = phrase.and_then(Phrase::new);
        let (client, line) = Client::begin(greeting.as_bytes(), &key, phrase.as_ref(), &mut random);
        self.send(peer, &format!("{line}\n"));
        self.run(ms(0));
        let answer = self.news(peer).pop()?;
        let met = client.read(answer.as_bytes()).ok()?;
        Some((met, answer))
    }

    /// It sends the last line.
    pub(crate) fn prove(&mut self, peer: PeerNo, met: Met, first: &str) {
        let (line, established) = met.finish(first, self.now);
        self.send(peer, &format!("{line}\n"));
        self.peers[peer].channel = Some(established.channel);
    }

    /// It sends this. A first line of a client goes through a handshake, and so does what follows.
    pub(crate) fn send(&mut self, peer: PeerNo, text: &str) {
        self.send_bytes(peer, text.as_bytes());
    }

    pub(crate) fn send_bytes(&mut self, peer: PeerNo, bytes: &[u8]) {
        if self.peers[peer].meanings.is_empty() && self.peers[peer].delivered.is_empty() && is_clients(bytes)
        {
            self.seal_with(peer, bytes);
        } else {
            self.peers[peer].say(self.now, bytes);
        }
    }

    /// Bytes of its own arrive as they are.
    pub(crate) fn inject(&mut self, peer: PeerNo, bytes: &[u8]) {
        self.peers[peer].put(bytes, b"");
    }

    /// It sends a FIN, and reads on.
    pub(crate) fn half_close(&mut self, peer: PeerNo) {
        let peer = &mut self.peers[peer];
        match &mut peer.sealing {
            Some(sealing) => sealing.ends = true,
            None => _ = peer.up_end.get_or_insert(End::Closed),
        }
    }

    /// It closes; its earlier input can still be read.
    pub(crate) fn close(&mut self, peer: PeerNo) {
        self.peers[peer].sealing = None;
        self.half_close(peer);
        self.peers[peer].gone = true;
    }

    /// It resets the connection; its unread input is lost.
    pub(crate) fn reset(&mut self, peer: PeerNo) {
        self.end(peer, End::Reset);
    }

    /// It resets the connection; its earlier input can still be read.
    pub(crate) fn reset_after_all(&mut self, peer: PeerNo) {
        self.peers[peer].sealing = None;
        self.peers[peer].up_end = Some(End::Reset);
        self.peers[peer].gone = true;
    }

    pub(crate) fn end(&mut self, peer: PeerNo, end: End) {
        let peer = &mut self.peers[peer];
        peer.up.clear();
        peer.meanings.clear();
        peer.sealing = None;
        peer.up_end = Some(end);
        peer.gone = true;
    }

    // What the server does.

    /// Lets time pass, and everything happen that is due by its end.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        self.advance(self.now);
        loop {
            if self.is_ready() || self.room.deadline().is_some_and(|at| at <= self.now) {
                self.turn();
                continue;
            }
            if self.now == end {
                return;
            }
            let trickle = self.is_trickling().then(|| self.now + TRICKLE);
            let next = [Some(end), self.room.deadline(), trickle];
            self.advance(next.into_iter().flatten().min().unwrap());
        }
    }

    /// Lets time pass until this holds.
    pub(crate) fn run_until(&mut self, come: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if come(self) {
                return;
            }
            self.run(ms(10));
        }
        panic!("it does not hold after six seconds");
    }

    fn is_ready(&self) -> bool {
        let now = self.clock();
        let served = self.seats.iter().enumerate().any(|(slot, peer)| {
            peer.is_some_and(|peer| {
                let (interest, peer) = (output::interest(&self.room, now, slot), &self.peers[peer]);
                interest.read && peer.is_readable()
                    || interest.write && peer.is_writable()
                    || interest.end && peer.gone
            })
        });
        served || !self.door.is_empty() && self.room.accepts()
    }

    fn is_trickling(&self) -> bool {
        let slowly = |peer: &Peer| matches!(peer.reading, Reading::Slowly(_)) && !peer.down.is_empty();
        self.peers.iter().any(slowly)
    }

    /// Lets time pass in which the server does nothing.
    pub(crate) fn advance(&mut self, to: Duration) {
        let passed = to - self.now;
        self.now = to;
        if !passed.is_zero() {
            self.idle = 0;
        }
        for peer in &mut self.peers {
            peer.drain(self.now, passed);
        }
    }

    /// One turn of the server's loop.
    pub(crate) fn turn(&mut self) {
        let now = self.clock();
        let events = self.events.len();
        input::tick(&mut self.room, now);
        let mut acted = self.accept(now);
        for slot in 0..self.seats.len() {
            acted |= self.serve(now, slot);
        }
        output::begin_writes(&mut self.room, now);
        for slot in 0..self.room.roster().end() {
            acted |= self.write(now, slot);
        }
        let end = output::end_turn(&mut self.room, now);
        acted |= self.apply(&end.effects);
        self.events.extend(end.events);
        if let Some(new) = end.phrase {
            let written = self.phrase_error.map_or(Ok(()), Err);
            passphrase::renew(&mut self.room, now, &new, written);
            self.new_phrase = Some(new.words);
            acted = true;
        }
        self.kept_bans = end.bans.or(self.kept_bans.take());
        acted |= self.events.len() != events;
        self.turns += 1;
        self.changes += usize::from(end.is_changed);
        self.idle = if acted { 0 } else { self.idle + 1 };
        assert!(self.idle < 4, "turns without effect");
        self.look();
        for peer in &mut self.peers {
            peer.drain(self.now, Duration::ZERO);
        }
    }

    fn accept(&mut self, now: Now) -> bool {
        let mut accepted = false;
        for _ in 0..ACCEPTS_MAX {
            if !self.room.accepts() {
                return accepted;
            }
            let Some(number) = self.door.pop_front() else {
                return accepted;
            };
            accepted = true;
            let peer = &mut self.peers[number];
            let slot = match self.room.accept(now, peer.address) {
                Ok(slot) => slot,
                Err(line) => {
                    peer.received.extend(line);
                    peer.turned_away = true;
                    peer.closed_at = Some(self.now);
                    continue;
                }
            };
            peer.slot = Some(slot);
            if self.seats.len() <= slot {
                self.seats.resize(slot + 1, None);
            }
            assert_eq!(self.seats[slot], None, "two connections in one slot");
            self.seats[slot] = Some(number);
        }
        accepted
    }

    fn serve(&mut self, now: Now, slot: Slot) -> bool {
        let Some(number) = self.seats[slot] else {
            return false;
        };
        let peer = &mut self.peers[number];
        let interest = output::interest(&self.room, now, slot);
        if interest.end && peer.gone {
            self.room_loses(now, slot, number);
            return true;
        }
        if !interest.read || !peer.is_readable() {
            return false;
        }
        if peer.up.is_empty() {
            input::end(&mut self.room, now, slot, peer.up_end.unwrap());
            return true;
        }
        let bytes = peer.take();
        input::receive(&mut self.room, now, slot, &bytes);
        true
    }

    /// Reports a peer that can't be written to as the system would.
    fn room_loses(&mut self, now: Now, slot: Slot, number: PeerNo) {
        match self.peers[number].up_end {
            Some(end @ (End::Reset | End::TimedOut)) => input::break_off(&mut self.room, now, slot, end),
            _ => output::discard(&mut self.room, slot),
        }
    }

    fn write(&mut self, now: Now, slot: Slot) -> bool {
        let Some(Some(number)) = self.seats.get(slot) else {
            return false;
        };
        let number = *number;
        let peer = &mut self.peers[number];
        if !output::interest(&self.room, now, slot).write {
            return false;
        }
        let mut written = None;
        let result = output::deliver(&mut self.room, now, slot, |pieces, _| {
            if peer.gone {
                return Err(());
            }
            let space = (peer.capacity - peer.down.len()).min(peer.write_max);
            let mut count = 0;
            for piece in pieces {
                let taken = piece.len().min(space - count);
                peer.down.extend_from_slice(&piece[..taken]);
                count += taken;
            }
            *written.get_or_insert(0) += count;
            Ok(count)
        });
        if result.is_err() {
            self.room_loses(now, slot, number);
            return true;
        }
        if written.is_none() {
            // A user list may turn out to be empty when it is rendered; anything else that is due can be written.
            let interest = output::interest(&self.room, now, slot);
            let leaving = !self.room.roster().get(slot).unwrap().is_staying();
            assert!(
                !interest.write || leaving,
                "peer {number} is due, and there is nothing to write"
            );
        }
        written.is_some_and(|count| count > 0)
    }

    fn apply(&mut self, effects: &[Effect]) -> bool {
        for effect in effects {
            match *effect {
                Effect::Shut(slot) => {
                    let peer = &mut self.peers[self.seats[slot].unwrap()];
                    assert!(!peer.shut, "shut twice");
                    peer.shut = true;
                }
                Effect::Close(slot) => {
                    let peer = &mut self.peers[self.seats[slot].take().unwrap()];
                    peer.slot = None;
                    peer.closed_at = Some(self.now);
                }
            }
        }
        !effects.is_empty()
    }

    /// Checks what must hold at the end of every turn.
    fn look(&mut self) {
        let now = self.clock();
        for slot in 0..self.seats.len() {
            let Some(number) = self.seats[slot] else { continue };
            let interest = output::interest(&self.room, now, slot);
            let member = self.room.roster().get(slot).unwrap();
            let own = member.outbox.own_bytes();
            assert!(own <= OWN_BYTES_MAX, "{own} bytes wait for peer {number} alone");
            let staying = member.is_staying();
            assert!(
                !(interest.read && staying && member.inbox.is_waiting()),
                "more is read from peer {number} while something waits"
            );
            // If nothing is due, this changes nothing.
            let mut is_owed = false;
            if !interest.write {
                let _ = output::deliver(&mut self.room, now, slot, |_, _| {
                    is_owed = true;
                    Err(())
                });
            }
            assert!(!is_owed, "peer {number} is owed something that is not due");
        }
        if self.room.accepts() || self.ended {
            self.held_since = None;
        } else {
            let since = *self.held_since.get_or_insert(self.now);
            self.longest_hold = self.longest_hold.max(self.now - since);
        }
    }

    /// The server ends without a word, and starts with this room.
    #[allow(dead_code, reason = "the simulation of people uses it")]
    pub(crate) fn restart(&mut self, room: Room) {
        self.room = room;
        self.door.clear();
        self.seats.clear();
        for peer in &mut self.peers {
            peer.slot = None;
            peer.closed_at.get_or_insert(self.now);
        }
        self.held_since = None;
    }

    pub(crate) fn shut_down(&mut self) {
        self.ended = true;
        let now = self.clock();
        self.room.shut_down(now, "SIGTERM");
    }

    // What tests ask.

    /// The lines a peer has received since the last call. All of them are whole.
    pub(crate) fn news(&mut self, peer: PeerNo) -> Vec<String> {
        let mark = self.peers[peer].mark;
        let lines = self.lines(peer).0;
        let news = lines[mark..].iter().map(|&line| line.to_owned()).collect();
        self.peers[peer].mark = lines.len();
        news
    }

    /// All lines a peer has received, and the bytes after the last of them, which may end in the middle
    /// of a character.
    pub(crate) fn lines(&self, peer: PeerNo) -> (Vec<&str>, &[u8]) {
        let all = &self.peers[peer].received;
        let whole = all
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |end| end + 1);
        let (lines, rest) = all.split_at(whole);
        (std::str::from_utf8(lines).unwrap().lines().collect(), rest)
    }

    /// The beginning of a client's public key, as it is announced.
    pub(crate) fn short_key(&self, peer: PeerNo) -> String {
        self.key(peer)[..4].to_owned()
    }

    /// The public key of a client.
    pub(crate) fn key(&self, peer: PeerNo) -> String {
        let key = KeyPair::from_secret(self.peers[peer].secret);
        key.public().to_string()
    }

    pub(crate) fn is_closed(&self, peer: PeerNo) -> bool {
        self.peers[peer].closed_at.is_some()
    }

    /// Whether everything it has sent is read.
    pub(crate) fn is_heard(&self, peer: PeerNo) -> bool {
        self.peers[peer].up.is_empty() && self.peers[peer].sealing.is_none()
    }

    /// Whether everything sent either way is processed.
    pub(crate) fn is_at_rest(&self) -> bool {
        let now = self.clock();
        let here = self
            .seats
            .iter()
            .enumerate()
            .filter_map(|(slot, peer)| Some((slot, (*peer)?)));
        here.map(|(slot, peer)| (slot, &self.peers[peer]))
            .all(|(slot, peer)| {
                let inbox = &self.room.roster().get(slot).unwrap().inbox;
                let waiting = inbox.is_waiting() || !inbox.partial().is_empty();
                !waiting
                    && peer.up.is_empty()
                    && peer.down.is_empty()
                    && !output::interest(&self.room, now, slot).write
            })
    }

    /// Bytes queued for this peer alone.
    pub(crate) fn own_bytes(&self, peer: PeerNo) -> usize {
        let slot = self.peers[peer].slot.unwrap();
        self.room.roster().get(slot).unwrap().outbox.own_bytes()
    }

    /// Why this user left, if it did.
    pub(crate) fn departure(&self, name: &str) -> Option<Departure> {
        self.events.iter().find_map(|event| match event {
            Event::Leave { who, why, .. } if **who == *name => Some(*why),
            _ => None,
        })
    }
}
