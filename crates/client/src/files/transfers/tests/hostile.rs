//! Peers that say anything at any time.

use super::disk::FakeDisk;
use super::world::{Dice, key};
use crate::files::message::{FileId, FileMessage, Hash, Offer, Reason};
use crate::files::name::FileName;
use crate::files::request::{Handle, Request};
use crate::files::transfers::{CREDIT, Number, Output, State, Status, Transfers, Way, What};
use chat_proto::opaque::PublicKey;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROUNDS: usize = 3000;

struct Attacked {
    dice: Dice,
    now: Duration,
    transfers: Transfers,
    disk: FakeDisk,
    requests: VecDeque<(Handle, Request)>,
    accepted: BTreeSet<String>,
    finished: BTreeMap<(Way, Number), What>,
    /// Bytes that came in, and that are consumed.
    came: u64,
    consumed: u64,
}

impl Attacked {
    fn id(&mut self) -> FileId {
        FileId(u32::try_from(self.dice.below(6)).unwrap())
    }

    fn peer(&mut self) -> PublicKey {
        key(usize::try_from(self.dice.below(3)).unwrap())
    }

    fn offset(&mut self) -> u64 {
        let places = [
            0,
            1,
            10,
            500,
            65_536,
            200_000,
            300_000,
            300_001,
            1 << 40,
            i64::MAX as u64,
        ];
        places[usize::try_from(self.dice.below(places.len() as u64)).unwrap()]
    }

    fn hash(&mut self) -> Hash {
        [u8::try_from(self.dice.below(2)).unwrap(); 32]
    }

    fn reason(&mut self) -> Reason {
        [Reason::User, Reason::Forgotten, Reason::Changed, Reason::Other]
            [usize::try_from(self.dice.below(4)).unwrap()]
    }

    fn message(&mut self) -> FileMessage {
        let id = self.id();
        match self.dice.below(9) {
            0 | 1 => FileMessage::Offer(Offer {
                id,
                size: self.offset(),
                modified: self.dice.below(2),
                name: FileName::new(format!("file-{}", self.dice.below(4)).as_bytes()),
            }),
            2 => FileMessage::Accept(id, self.offset()),
            3 => FileMessage::Decline(id, self.reason()),
            4 => FileMessage::Cancel(id, self.reason()),
            5 => FileMessage::Prefix(id, self.offset(), self.hash()),
            6 => FileMessage::Done(id, self.hash()),
            7 => FileMessage::Kept(id),
            _ => FileMessage::Queued(id),
        }
    }

    fn round(&mut self) {
        let (now, peer, id) = (self.now, self.peer(), self.id());
        match self.dice.below(22) {
            0..7 => {
                let message = self.message();
                self.transfers.message(now, peer, message);
            }
            7..11 => {
                let offset = self.offset().saturating_sub(self.dice.below(3));
                let length = self.dice.below(2000);
                self.came += length;
                let bytes = vec![0; usize::try_from(length).unwrap()];
                self.transfers.piece(peer, id, offset, &bytes);
            }
            11 => {
                let message = self.message();
                self.transfers.undelivered(now, peer, message);
            }
            12 => _ = self.transfers.left(peer),
            13 | 14 => self.transfers.joined(peer),
            15 => {
                let path = if self.dice.percent(80) {
                    "source"
                } else {
                    "nothing"
                };
                let _ = self.transfers.offer(now, peer, Path::new(path));
            }
            16 => self.now += self.dice.millis(30_000),
            17 => self.transfers.timeout(now),
            18 | 19 => self.decide(),
            _ => {
                if let Some((piece, _)) = self.transfers.next_piece(&peer, 1113, u64::MAX) {
                    match self.dice.below(3) {
                        0 => self.transfers.lost(&piece),
                        _ => self.transfers.acknowledged(&piece),
                    }
                }
            }
        }
        self.carry_out();
    }

    /// The user accepts or ends something.
    fn decide(&mut self) {
        let all: Vec<Status> = self.transfers.list().collect();
        if all.is_empty() {
            return;
        }
        let one = &all[usize::try_from(self.dice.below(all.len() as u64)).unwrap()];
        if one.way == Way::Receiving && one.state == State::Offered && self.dice.percent(80) {
            self.accepted.insert(one.name.as_str().to_owned());
            self.transfers
                .accept(one.number, PathBuf::from("/d"), None)
                .unwrap();
        } else if self.dice.percent(10) {
            self.transfers.end(one.number, Reason::User).unwrap();
        }
    }

    fn carry_out(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.transfers.poll_output() {
            outputs += 1;
            match output {
                Output::Disk(handle, request) => {
                    if let Request::OpenPart(part) = &request {
                        assert!(self.accepted.contains(part.name.as_str()), "{part:?}");
                    }
                    self.requests.push_back((handle, request));
                }
                Output::Consumed(_, bytes) => self.consumed += bytes,
                Output::Event(event) => {
                    let before = self.finished.get(&(event.way, event.number));
                    assert_eq!(before, None, "{event:?}");
                    if matches!(event.what, What::Kept | What::Failed(..)) {
                        self.finished.insert((event.way, event.number), event.what);
                    }
                }
                Output::Message(..) => {}
            }
        }
        assert!(outputs < 300, "{outputs}");
        for _ in 0..self.dice.below(4) {
            let Some((handle, request)) = self.requests.pop_front() else {
                break;
            };
            // It would fill the test's memory, not the client's.
            if let Some(answer) = self.disk.carry_out(handle, request) {
                self.transfers.answer(handle, answer);
            }
        }
        for peer in 0..3 {
            assert!(self.transfers.held(&key(peer)) <= 2 * CREDIT);
        }
        let held: u64 = (0..3).map(|peer| self.transfers.held(&key(peer))).sum();
        assert!(self.consumed + held <= self.came);
        assert!(self.transfers.list().count() < 200);
    }
}

#[test]
fn any_message_at_any_time_is_survived() {
    for seed in 0..60 {
        let mut disk = FakeDisk::default();
        disk.sources
            .insert(PathBuf::from("source"), (vec![3; 300_000], 1));
        let mut attacked = Attacked {
            dice: Dice(seed),
            now: Duration::from_secs(1),
            transfers: Transfers::new(0),
            disk,
            requests: VecDeque::new(),
            accepted: BTreeSet::new(),
            finished: BTreeMap::new(),
            came: 0,
            consumed: 0,
        };
        for _ in 0..ROUNDS {
            attacked.round();
        }
        // When all is over, every byte is consumed.
        let numbers: Vec<Number> = attacked.transfers.list().map(|status| status.number).collect();
        for number in numbers {
            attacked.transfers.end(number, Reason::User).unwrap();
        }
        attacked.carry_out();
        while !attacked.requests.is_empty() {
            attacked.carry_out();
        }
        attacked.carry_out();
        assert_eq!(attacked.consumed, attacked.came, "{seed}");
    }
}
