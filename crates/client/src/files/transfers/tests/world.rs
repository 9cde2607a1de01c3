//! Two clients in simulated time, each with a pretended disk, and what is between them.

use super::disk::FakeDisk;
use crate::files::message::{FileId, FileMessage};
use crate::files::piece::Piece;
use crate::files::request::{Handle, Request};
use crate::files::transfers::{CREDIT, FileEvent, Output, Transfers, What};
use chat_proto::opaque::{Opaque, PublicKey};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// Numbers from a seed (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn millis(&mut self, limit: u64) -> Duration {
        Duration::from_micros(self.below(limit * 1000))
    }
}

pub(super) fn key(side: usize) -> PublicKey {
    Opaque([u8::try_from(side).unwrap() + 1; 32])
}

pub(super) fn noise(length: usize) -> Vec<u8> {
    (0..length)
        .map(|place| u8::try_from(place * 31 % 251).unwrap())
        .collect()
}

/// Bytes of a datagram for a piece.
const PIECE: usize = 1113;
/// Pieces under way at most.
const WINDOW: usize = 200;

pub(super) struct Side {
    pub(super) transfers: Transfers,
    pub(super) disk: FakeDisk,
    /// How often the program was started.
    pub(super) run: u64,
    pub(super) events: Vec<(u64, FileEvent)>,
    disk_free: Duration,
    message_free: Duration,
    /// The peer is here, as this side sees it.
    is_joined: bool,
    flight: BTreeMap<u64, Piece>,
    packets: u64,
    /// Taken for lost: an ack may come after all.
    given_up: BTreeMap<u64, usize>,
    /// Bytes of acknowledged pieces, and bytes that the peer does not hold any more.
    acked: u64,
    pub(super) consumed_by_peer: u64,
    /// Bytes of pieces that reached the peer.
    pub(super) delivered: u64,
    /// One past the last byte that was ever sent, of any file.
    pub(super) furthest: u64,
}

enum Happening {
    Disk(Handle, Request),
    /// In this run of its sender.
    Message(u64, FileMessage),
    Undelivered(FileMessage),
    Piece(u64, FileId, u64, Vec<u8>),
    Acked(u64),
    Lost(u64),
    Joined,
}

/// What the network does, in percent.
#[derive(Clone, Copy)]
pub(super) struct Troubles {
    pub(super) loss: u64,
    pub(super) copies: u64,
    pub(super) lost_messages: u64,
}

pub(super) struct World {
    pub(super) now: Duration,
    pub(super) dice: Dice,
    pub(super) sides: [Side; 2],
    pub(super) troubles: Troubles,
    /// By time and order: whose it is, in which run of it, over which path.
    queue: BTreeMap<(Duration, u64), (usize, u64, u64, Happening)>,
    order: u64,
    /// Changes with each break: what was on its way before is lost.
    path: u64,
}

impl World {
    pub(super) fn new(seed: u64, troubles: Troubles) -> Self {
        let mut dice = Dice(seed);
        let sides = [0, 1].map(|_| Side {
            transfers: Transfers::new(u32::try_from(dice.below(1 << 32)).unwrap()),
            disk: FakeDisk::default(),
            run: 0,
            events: Vec::new(),
            disk_free: Duration::ZERO,
            message_free: Duration::ZERO,
            is_joined: true,
            flight: BTreeMap::new(),
            packets: 0,
            given_up: BTreeMap::new(),
            acked: 0,
            consumed_by_peer: 0,
            delivered: 0,
            furthest: 0,
        });
        Self {
            now: Duration::ZERO,
            dice,
            sides,
            troubles,
            queue: BTreeMap::new(),
            order: 0,
            path: 0,
        }
    }

    fn trace(&self, side: usize, what: &dyn std::fmt::Debug) {
        if std::env::var_os("CHAT_FILES_SEEDS").is_some() {
            println!("{:?} {side} {what:?}", self.now);
        }
    }

    fn plan(&mut self, at: Duration, side: usize, happening: Happening) {
        self.order += 1;
        let item = (side, self.sides[side].run, self.path, happening);
        self.queue.insert((at, self.order), item);
    }

    pub(super) fn offer(&mut self, side: usize, path: &str) {
        if !self.sides[side].is_joined {
            // There is nobody of that name.
            return;
        }
        let _ = self.sides[side]
            .transfers
            .offer(self.now, key(1 - side), Path::new(path));
        self.settle();
    }

    /// The path breaks: what is on its way is lost, and only its sender may notice.
    pub(super) fn break_path(&mut self) {
        self.path += 1;
        for side in &mut self.sides {
            for piece in std::mem::take(&mut side.flight).into_values() {
                side.transfers.lost(&piece);
            }
        }
        self.settle();
    }

    /// One side takes the peer for gone, for a while.
    pub(super) fn leave(&mut self, side: usize, time: Duration) {
        self.trace(side, &"leaves");
        self.break_path();
        self.sides[side].flight.clear();
        self.sides[side].is_joined = false;
        self.sides[side].transfers.left(key(1 - side));
        self.plan(self.now + time, side, Happening::Joined);
        self.settle();
    }

    /// A program is killed and started again; its peer notices.
    pub(super) fn restart(&mut self, side: usize) {
        self.trace(side, &"is restarted");
        self.path += 1;
        let first = u32::try_from(self.dice.below(1 << 32)).unwrap();
        let killed = &mut self.sides[side];
        killed.run += 1;
        killed.disk.kill();
        killed.transfers = Transfers::new(first);
        killed.is_joined = true;
        killed.flight.clear();
        let peer = 1 - side;
        self.sides[peer].is_joined = false;
        self.sides[peer].transfers.left(key(side));
        let time = self.dice.millis(3000);
        self.plan(self.now + time, peer, Happening::Joined);
        self.settle();
        // A new conversation counts anew.
        for side in &mut self.sides {
            side.flight.clear();
            side.given_up.clear();
            (side.acked, side.consumed_by_peer, side.delivered) = (0, 0, 0);
        }
    }

    /// Carries out outputs, and sends pieces.
    pub(super) fn settle(&mut self) {
        for side in [0, 1] {
            while let Some(output) = self.sides[side].transfers.poll_output() {
                self.output(side, output);
            }
            self.send_pieces(side);
        }
    }

    fn output(&mut self, side: usize, output: Output) {
        match output {
            Output::Message(peer, message) => {
                assert_eq!(peer, key(1 - side));
                assert!(self.sides[side].is_joined, "{message:?} to a peer that is away");
                self.trace(side, &message);
                let message = FileMessage::parse(&message.to_bytes()).unwrap();
                let is_lost = self.dice.percent(self.troubles.lost_messages);
                if is_lost || self.dice.percent(self.troubles.lost_messages) {
                    let at = self.now + Duration::from_secs(30);
                    self.plan(at, side, Happening::Undelivered(message.clone()));
                }
                if !is_lost {
                    let at = self.sides[side].message_free.max(self.now + self.dice.millis(20));
                    self.sides[side].message_free = at;
                    let run = self.sides[side].run;
                    self.plan(at, 1 - side, Happening::Message(run, message));
                }
            }
            Output::Disk(handle, request) => {
                let at = self.sides[side].disk_free.max(self.now) + self.dice.millis(2);
                self.sides[side].disk_free = at;
                self.plan(at, side, Happening::Disk(handle, request));
            }
            Output::Consumed(_, bytes) => self.sides[1 - side].consumed_by_peer += bytes,
            Output::Event(event) => {
                let run = self.sides[side].run;
                self.trace(side, &event);
                self.sides[side].events.push((run, event));
            }
        }
    }

    fn send_pieces(&mut self, from: usize) {
        let to = 1 - from;
        while self.sides[from].is_joined && self.sides[from].flight.len() < WINDOW {
            let side = &mut self.sides[from];
            let under_way: u64 = side.flight.values().map(|piece| piece.length as u64).sum();
            let room = (side.consumed_by_peer + CREDIT).saturating_sub(side.acked + under_way);
            let max = PIECE.min(usize::try_from(room).unwrap());
            let Some((piece, bytes)) = side.transfers.next_piece(&key(to), max, u64::MAX) else {
                break;
            };
            let bytes = bytes.to_vec();
            if room > 2 * PIECE as u64 && self.dice.percent(self.troubles.copies) {
                self.send_piece(from, piece, bytes.clone());
            }
            self.send_piece(from, piece, bytes);
        }
        // Outputs of reading ahead.
        while let Some(output) = self.sides[from].transfers.poll_output() {
            self.output(from, output);
        }
    }

    fn send_piece(&mut self, from: usize, piece: Piece, bytes: Vec<u8>) {
        let side = &mut self.sides[from];
        side.packets += 1;
        let number = side.packets;
        side.flight.insert(number, piece);
        side.furthest = side.furthest.max(piece.offset + piece.length as u64);
        let arrival = self.now + self.dice.millis(30);
        if self.dice.percent(self.troubles.loss) {
            self.plan(arrival + Duration::from_millis(50), from, Happening::Lost(number));
            return;
        }
        if self.dice.percent(self.troubles.loss) {
            // The ack comes too late.
            let at = arrival + self.dice.millis(30);
            self.plan(at, from, Happening::Lost(number));
        }
        self.plan(
            arrival,
            1 - from,
            Happening::Piece(number, piece.id, piece.offset, bytes),
        );
    }

    /// The next thing happens. `false` if nothing does before that time.
    pub(super) fn step(&mut self, until: Duration) -> bool {
        let timers = [0, 1].map(|side| (self.sides[side].transfers.deadline(), side));
        let timer = timers.iter().filter_map(|&(at, side)| Some((at?, side))).min();
        let next = self.queue.first_key_value().map(|(&(at, _), _)| at);
        let at = timer.map(|(at, _)| at).into_iter().chain(next).min();
        let Some(at) = at.filter(|&at| at <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(at);
        if next == Some(at) {
            let (_, (side, run, path, happening)) = self.queue.pop_first().unwrap();
            if self.sides[side].run == run {
                self.happen(side, path, happening);
            }
        } else if let Some((_, side)) = timer {
            self.sides[side].transfers.timeout(self.now);
        }
        self.settle();
        true
    }

    fn happen(&mut self, side: usize, path: u64, happening: Happening) {
        let (peer, is_current) = (key(1 - side), path == self.path);
        let (now, peer_run) = (self.now, self.sides[1 - side].run);
        let here = &mut self.sides[side];
        match happening {
            Happening::Disk(handle, request) => {
                if let Some(answer) = here.disk.carry_out(handle, request) {
                    here.transfers.answer(handle, answer);
                }
            }
            Happening::Message(run, message) if run == peer_run => {
                if here.is_joined {
                    here.transfers.message(now, peer, message);
                } else {
                    let at = now + Duration::from_secs(30);
                    self.plan(at, 1 - side, Happening::Undelivered(message));
                }
            }
            Happening::Message(..) => {}
            Happening::Undelivered(message) => here.transfers.undelivered(now, peer, message),
            Happening::Piece(number, id, offset, bytes) if is_current && here.is_joined => {
                here.transfers.piece(peer, id, offset, &bytes);
                self.sides[1 - side].delivered += bytes.len() as u64;
                let here = &self.sides[side];
                assert!(here.transfers.held(&peer) <= 2 * CREDIT);
                let at = now + self.dice.millis(30);
                self.plan(at, 1 - side, Happening::Acked(number));
            }
            // What is sent to a side that takes this one for gone is lost.
            Happening::Piece(number, ..) => {
                self.plan(now + Duration::from_millis(50), 1 - side, Happening::Lost(number));
            }
            Happening::Acked(number) => {
                if let Some(piece) = here.flight.remove(&number) {
                    here.acked += piece.length as u64;
                    here.transfers.acknowledged(&piece);
                } else if let Some(bytes) = here.given_up.remove(&number) {
                    here.acked += bytes as u64;
                }
            }
            Happening::Lost(number) => {
                if let Some(piece) = here.flight.remove(&number) {
                    here.given_up.insert(number, piece.length);
                    here.transfers.lost(&piece);
                }
            }
            Happening::Joined => {
                self.trace(side, &"joins");
                let here = &mut self.sides[side];
                here.is_joined = true;
                here.transfers.joined(peer);
            }
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// All events about files of this name, of one side.
    pub(super) fn events_of(&self, side: usize, name: &str) -> Vec<&What> {
        let events = self.sides[side].events.iter();
        events
            .filter(|(_, event)| event.name.as_str() == name)
            .map(|(_, event)| &event.what)
            .collect()
    }
}
