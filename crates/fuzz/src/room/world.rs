//! The room, and a simulation of the loop, the kernel and the network around it.
//!
//! Required of the room:
//! - the loop is not woken without a reason;
//! - readers receive whole lines, and nothing after the announced end of their connection;
//! - the memory for a connection that does not read is bounded;
//! - the room ends when it is told to.

use super::receiver::Receiver;
use super::sealing::{Line, is_clients};
use chat_noise::rendezvous::Reply;
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::opaque::{Opaque, Token};
use chat_server::event::Event;
use chat_server::identity::Identity;
use chat_server::member::End;
use chat_server::room::output::{self, Effect};
use chat_server::room::{FLUSH, LEAVING_MAX, Limits, QUEUED_MAX, Room, input};
use chat_server::roster::Slot;
use chat_server::server::READ_MAX;
use chat_server::transcript::CAPACITY;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

/// A receive window that never closes.
pub(super) const EVERYTHING: usize = usize::MAX;

/// The most connections in a script.
const PEOPLE_MAX: usize = 40;

/// The most turns in a row without an event. One may be needed to find that a deadline no longer matters, and one more
/// while the room begins to wait for a slow reader.
const IDLE_TURNS_MAX: usize = 4;

/// The most bytes queued for one connection: the whole ring, the lines that others may queue for a slow reader, and the
/// longest answers to the input of one turn.
const OWED_MAX: usize = CAPACITY + (256 + 64) * 1024 + 2 * 1024 * 1024;

pub(super) struct World {
    room: Room,
    limits: Limits,
    now: Now,
    /// The connection of each slot.
    slots: Vec<Option<usize>>,
    /// The observers come first.
    people: Vec<Person>,
    observers: usize,
    /// Connections that are not accepted yet.
    arriving: VecDeque<SocketAddr>,
    datagrams: VecDeque<(SocketAddr, Vec<u8>)>,
    nonces: Vec<Token>,
    /// The number of users, as logged.
    users: usize,
    /// The loop neither reads nor accepts: it only sends queued lines.
    only_sends: bool,
    ends: bool,
}

/// The far end of a connection, and its socket buffers.
#[derive(Default)]
struct Person {
    slot: Option<Slot>,
    receiver: Receiver,
    line: Line,
    /// It has said something.
    has_spoken: bool,
    /// Bytes sent that the server has not read.
    sent: VecDeque<u8>,
    end: Option<End>,
    end_was_told: bool,
    /// Bytes that still fit in the receive buffer.
    window: usize,
    /// Whether it has always read everything.
    reads: bool,
    /// Whether the room has announced the end.
    shut: bool,
    heard: usize,
}

/// The first lines of the two observers, one of each dialect.
const OBSERVERS: [&[u8]; 2] = [b"\n", b"HELLO 1 - - -\n"];

impl World {
    /// A room, with or without observers. With observers, nobody is alone in the room.
    pub(super) fn new(limits: Limits, is_observed: bool) -> Self {
        let mut tokens = 0u128;
        let token = move || {
            tokens += 1;
            Opaque(tokens.to_be_bytes())
        };
        let mut world = Self {
            room: Room::new(limits, Box::new(token), Identity::ephemeral([1; 32])),
            limits,
            now: Now {
                monotonic: Duration::from_secs(5),
                unix_ms: 1_700_000_000_000,
            },
            slots: Vec::new(),
            people: Vec::new(),
            observers: if is_observed { OBSERVERS.len() } else { 0 },
            arriving: VecDeque::new(),
            datagrams: VecDeque::new(),
            nonces: Vec::new(),
            users: 0,
            only_sends: false,
            ends: false,
        };
        for (person, line) in OBSERVERS.into_iter().enumerate().take(world.observers) {
            let port = u16::try_from(person).unwrap_or_default() + 1;
            world.connect(SocketAddr::from(([127, 0, 0, 1], port)));
            world.run();
            world.send_as(person, line);
            world.run();
        }
        world
    }

    /// The number of connections, without observers.
    pub(super) fn people(&self) -> usize {
        self.people.len() - self.observers
    }

    pub(super) fn connect(&mut self, from: SocketAddr) {
        if self.people.len() + self.arriving.len() < PEOPLE_MAX {
            self.arriving.push_back(from);
        }
    }

    pub(super) fn send(&mut self, who: usize, bytes: &[u8]) {
        self.send_as(who + self.observers, bytes);
    }

    fn send_as(&mut self, person: usize, bytes: &[u8]) {
        let secret = secret_of(person, self.observers);
        if let Some(person) = self.people.get_mut(person)
            && person.end.is_none()
        {
            person.say(self.now.monotonic, secret, bytes);
        }
    }

    pub(super) fn close(&mut self, who: usize) {
        let person = self.people.get_mut(who + self.observers).expect("a person");
        person.end.get_or_insert(End::Closed);
    }

    /// Unread bytes are lost, as in TCP.
    pub(super) fn break_off(&mut self, who: usize) {
        let person = self.people.get_mut(who + self.observers).expect("a person");
        if !person.end_was_told {
            person.end = Some(End::Reset);
        }
        person.reads = false;
        person.sent.clear();
    }

    /// Lets this connection read this many more bytes.
    pub(super) fn open(&mut self, who: usize, window: usize) {
        let person = self.people.get_mut(who + self.observers).expect("a person");
        person.window = window;
        person.reads &= window == EVERYTHING;
    }

    pub(super) fn datagram(&mut self, source: SocketAddr, bytes: &[u8]) {
        self.datagrams.push_back((source, bytes.to_vec()));
    }

    pub(super) fn shut_down(&mut self) {
        self.ends = true;
        self.room.shut_down(self.now, "SIGTERM");
    }

    pub(super) fn resume_token(&self, which: u8) -> String {
        let tokens: Vec<Token> = self
            .people
            .iter()
            .skip(self.observers)
            .filter_map(|person| person.receiver.resume)
            .collect();
        choose(&tokens, which)
    }

    pub(super) fn nonce(&self, which: u8) -> String {
        choose(&self.nonces, which)
    }

    pub(super) fn rendezvous_token(&self, who: usize) -> Token {
        let person = self.people.get(who + self.observers);
        person
            .and_then(|person| person.receiver.rendezvous)
            .unwrap_or(Opaque([0xEE; 16]))
    }

    /// Lets time pass, and wakes the loop for each deadline.
    pub(super) fn wait(&mut self, time: Duration) {
        self.run();
        let until = self.now.monotonic + time;
        while let Some(deadline) = self.room.deadline().filter(|&deadline| deadline <= until) {
            self.go_to(deadline);
            self.run();
        }
        self.go_to(until);
        self.run();
    }

    /// The next wake-up. The loop waits in whole milliseconds, and wakes a little late.
    fn go_to(&mut self, time: Duration) {
        let time = time.max(self.now.monotonic);
        let passed = u64::try_from((time - self.now.monotonic).as_millis()).unwrap_or_default();
        self.now.unix_ms += passed;
        self.now.monotonic = time;
    }

    /// Runs the loop until it would sleep.
    pub(super) fn run(&mut self) {
        let mut idle = 0;
        while self.is_awake() {
            idle = if self.turn() { 0 } else { idle + 1 };
            assert!(idle <= IDLE_TURNS_MAX, "the loop is woken without a reason");
        }
    }

    /// Whether `poll` would return at once.
    fn is_awake(&self) -> bool {
        let due = self.room.deadline().is_some_and(|at| at <= self.now.monotonic);
        let knocks = !self.arriving.is_empty() && self.room.accepts() && !self.only_sends;
        let ready = |person: &Person| {
            person.slot.is_some_and(|slot| {
                let interest = output::interest(&self.room, self.now, slot);
                interest.read && person.has_news() && !self.only_sends
                    || interest.end && person.is_broken() && !self.only_sends
                    || interest.write && (person.window > 0 || person.is_broken())
            })
        };
        due || knocks || !self.datagrams.is_empty() || self.people.iter().any(ready)
    }

    /// Runs one turn of the loop. Returns whether anything happened.
    fn turn(&mut self) -> bool {
        input::tick(&mut self.room, self.now);
        let mut busy = self.serve_datagrams();
        if !self.only_sends {
            busy |= self.accept();
            for slot in 0..self.slots.len() {
                busy |= self.read(slot);
            }
        }
        output::begin_writes(&mut self.room, self.now);
        for slot in 0..self.room.roster().end() {
            busy |= self.write(slot);
        }
        let end = output::end_turn(&mut self.room, self.now);
        busy |= self.apply(&end.effects);
        self.count_users(&end.events);
        self.answer_pings();
        let most = self.limits.max_users + LEAVING_MAX + QUEUED_MAX;
        assert!(
            self.room.roster().end() <= most + 1,
            "{} slots",
            self.room.roster().end()
        );
        busy
    }

    fn accept(&mut self) -> bool {
        let mut any = false;
        while self.room.accepts()
            && let Some(from) = self.arriving.pop_front()
        {
            any = true;
            let Ok(slot) = self.room.accept(self.now, from) else {
                continue;
            };
            if self.slots.len() <= slot {
                self.slots.resize(slot + 1, None);
            }
            let place = self.slots.get_mut(slot).expect("a slot");
            assert_eq!(*place, None, "a slot was assigned twice");
            *place = Some(self.people.len());
            self.people.push(Person {
                slot: Some(slot),
                window: EVERYTHING,
                reads: true,
                ..Person::default()
            });
        }
        any
    }

    fn serve_datagrams(&mut self) -> bool {
        let Some((source, bytes)) = self.datagrams.pop_front() else {
            return false;
        };
        if let Some(reply) = self.room.rendezvous(self.now, source, &bytes) {
            assert!(reply.len() <= bytes.len(), "a reply is longer than its request");
            let mut tokens = self.people.iter().filter_map(|person| person.receiver.rendezvous);
            let reply = tokens.find_map(|token| Reply::parse(&token, &reply));
            let reply = reply.expect("a reply, made with somebody's token");
            assert_eq!(reply.observed, UserId::from(source).address());
            self.nonces.push(reply.nonce);
        }
        true
    }

    fn behind(&mut self, slot: Slot) -> Option<&mut Person> {
        let person = (*self.slots.get(slot)?)?;
        self.people.get_mut(person)
    }

    fn read(&mut self, slot: Slot) -> bool {
        let (room, now) = (&mut self.room, self.now);
        let person = self.slots.get(slot).copied().flatten();
        let Some(person) = person.and_then(|person| self.people.get_mut(person)) else {
            return false;
        };
        if person.is_broken() && output::interest(room, now, slot).end {
            input::break_off(room, now, slot, End::Reset);
            return true;
        }
        if !person.has_news() || !output::interest(room, now, slot).read {
            return false;
        }
        if person.sent.is_empty() {
            person.end_was_told = true;
            input::end(room, now, slot, person.end.unwrap_or(End::Closed));
        } else {
            let count = person.sent.len().min(READ_MAX);
            let bytes: Vec<u8> = person.sent.drain(..count).collect();
            input::receive(room, now, slot, &bytes);
        }
        true
    }

    fn write(&mut self, slot: Slot) -> bool {
        if !output::interest(&self.room, self.now, slot).write {
            return false;
        }
        let Some(person) = self.slots.get(slot).copied().flatten() else {
            return false;
        };
        let person = self.people.get_mut(person).expect("a person");
        if person.is_broken() {
            input::break_off(&mut self.room, self.now, slot, End::Reset);
            return true;
        }
        let (mut count, now) = (0, self.now.monotonic);
        let delivered = output::deliver(&mut self.room, self.now, slot, |pieces, _| {
            for piece in pieces {
                let takes = piece.len().min(person.window - count.min(person.window));
                person.line.receive(
                    now,
                    piece.get(..takes).unwrap_or_default(),
                    &mut person.receiver,
                    &mut person.sent,
                );
                count += takes;
            }
            Ok::<_, Infallible>(count)
        });
        let Ok(()) = delivered;
        assert!(count == 0 || !person.shut, "bytes after the announced end");
        if person.window != EVERYTHING {
            person.window -= count;
        }
        person.heard += count;
        count > 0
    }

    fn apply(&mut self, effects: &[Effect]) -> bool {
        for effect in effects {
            match *effect {
                Effect::Shut(slot) => {
                    let person = self.behind(slot).expect("somebody to be told");
                    assert!(
                        !std::mem::replace(&mut person.shut, true),
                        "the end is announced twice"
                    );
                }
                Effect::Close(slot) => {
                    let person = self.behind(slot).expect("somebody to be closed");
                    person.slot = None;
                    assert!(
                        !person.reads || person.receiver.is_between_lines(),
                        "closed in the middle of a line"
                    );
                    if let Some(place) = self.slots.get_mut(slot) {
                        *place = None;
                    }
                }
            }
        }
        let observers = self.people.iter().take(self.observers);
        let are_here = observers.into_iter().all(|person| person.slot.is_some());
        assert!(are_here || self.ends, "an observer was disconnected");
        !effects.is_empty()
    }

    /// Checks the number of users that the log states.
    fn count_users(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Join { users, .. } => {
                    self.users += 1;
                    assert_eq!(*users, self.users);
                }
                Event::Leave { users, .. } => {
                    self.users -= 1;
                    assert_eq!(*users, self.users);
                }
                _ => {}
            }
            assert!(self.users <= self.limits.max_users);
        }
    }

    fn answer_pings(&mut self) {
        for observer in self.people.iter_mut().take(self.observers) {
            for number in std::mem::take(&mut observer.receiver.pings) {
                let pong = format!("PONG {number}\n");
                observer
                    .line
                    .say(self.now.monotonic, pong.as_bytes(), &mut observer.sent);
            }
        }
    }

    /// Lets everybody read the queued lines, ends the room, and compares what all received.
    pub(super) fn end(mut self) {
        self.run();
        self.only_sends = true;
        let before: Vec<usize> = self.people.iter().map(|person| person.heard).collect();
        for person in &mut self.people {
            person.window = EVERYTHING;
        }
        self.run();
        for (person, before) in self.people.iter().zip(before) {
            assert!(
                person.heard - before <= OWED_MAX,
                "{} bytes were kept",
                person.heard - before
            );
        }
        self.only_sends = false;
        self.shut_down();
        self.run();
        self.wait(FLUSH);
        assert!(self.room.is_over(), "the room does not end");
        for person in &self.people {
            assert!(person.slot.is_none());
            self.assert_heard(&person.receiver);
        }
    }

    /// Checks that all broadcasts arrived at every connection in the same order and without a gap.
    fn assert_heard(&self, receiver: &Receiver) {
        let [plain, rich] = self.people.get(..self.observers).unwrap_or_default() else {
            return;
        };
        for (heard, all) in [
            (&receiver.plain, &plain.receiver.plain),
            (&receiver.rich, &rich.receiver.rich),
        ] {
            let is_part = heard.is_empty() || all.windows(heard.len()).any(|part| part == heard);
            assert!(
                is_part,
                "somebody heard what others did not, or in another order, or with a gap"
            );
        }
    }
}

impl Person {
    /// Says this. A first line of a client goes through a handshake, and so does what follows.
    fn say(&mut self, now: Duration, secret: [u8; 32], bytes: &[u8]) {
        if !std::mem::replace(&mut self.has_spoken, true) && is_clients(bytes) {
            let greeting = self.receiver.greeting.trim_ascii_end();
            self.line = Line::begin(secret, greeting, bytes, &mut self.sent);
        } else {
            self.line.say(now, bytes, &mut self.sent);
        }
    }

    fn has_news(&self) -> bool {
        !self.sent.is_empty() || self.end.is_some() && !self.end_was_told
    }

    fn is_broken(&self) -> bool {
        self.end == Some(End::Reset)
    }
}

/// The secret key of a connection. Some connections have the same, but not that of an observer.
fn secret_of(person: usize, observers: usize) -> [u8; 32] {
    let number = if person < observers {
        person
    } else {
        100 + person % 6
    };
    [u8::try_from(number).unwrap_or_default() << 3; 32]
}

fn choose(tokens: &[Token], which: u8) -> String {
    let place = usize::from(which) % tokens.len().max(1);
    tokens
        .get(place)
        .map_or_else(|| "-".to_owned(), ToString::to_string)
}
