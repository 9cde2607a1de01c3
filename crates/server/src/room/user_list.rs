//! The list of those who are here: too long to be written out before there is somewhere to put it.

use crate::connection::Stage;
use crate::room::Room;
use crate::roster::{Roster, Slot};
use crate::transcript::Dialect;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::rich::FromServer;
use std::collections::HashMap;
use std::fmt::Write;
use std::rc::Rc;

/// Bytes of the list of users that are written out at a time.
const LISTING_BYTES: usize = 16 * 1024;

/// The pieces that were written out in this turn: those who come in one turn are sent the same ones, or a class
/// that starts at once would have each of its members written out for each other.
///
/// Memory: a piece lives for as long as somebody has not sent it, to whom it counts as lines of its own.
#[derive(Debug, Default)]
pub(crate) struct Listings {
    pieces: HashMap<(Dialect, Slot), Piece>,
}

/// A part of the list, as everybody who speaks that dialect is told it.
#[derive(Debug)]
struct Piece {
    lines: Rc<[u8]>,
    /// The slot from which the next piece goes on, if there is one.
    next: Option<Slot>,
}

impl Listings {
    /// What is written out from here on may be different.
    pub(crate) fn clear(&mut self) {
        // Most turns list nobody, and then nothing is kept.
        if !self.pieces.is_empty() {
            self.pieces = HashMap::new();
        }
    }
}

impl Room {
    /// Begins the list of those who are here.
    pub(crate) fn list(&mut self, slot: Slot) {
        let here = self.here;
        let users = if here == 1 { "user is" } else { "users are" };
        self.notices(
            slot,
            &[format!(
                "{here} {users} here, of at most {}:",
                self.limits.max_users
            )],
        );
        if let Some(member) = self.roster.get_mut(slot) {
            let head = self.transcript.ring(member.dialect()).head();
            member.connection.outbox.list(head);
        }
    }

    /// Puts the next piece of a list of users where it is due.
    pub(crate) fn continue_listing(&mut self, slot: Slot) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let Some(from) = member.connection.outbox.listing_due() else {
            return;
        };
        let dialect = member.dialect();
        let roster = &self.roster;
        let piece = self
            .listings
            .pieces
            .entry((dialect, from))
            .or_insert_with(|| Piece::of(roster, dialect, from));
        let (lines, next) = (Rc::clone(&piece.lines), piece.next);
        if let Some(member) = self.roster.get_mut(slot) {
            member.connection.outbox.continue_listing(lines, next);
        }
    }
}

impl Piece {
    fn of(roster: &Roster, dialect: Dialect, from: Slot) -> Self {
        let mut lines = String::with_capacity(LISTING_BYTES + SERVER_LINE_MAX);
        let mut next = None;
        for (place, member) in roster.iter_from(from) {
            if lines.len() >= LISTING_BYTES {
                next = Some(place);
                break;
            }
            if member.connection.stage == Stage::Here {
                // Writing to a string can't fail.
                let _ = match dialect {
                    Dialect::Plain => writeln!(lines, "* {}", member.label()),
                    Dialect::Rich => writeln!(lines, "{}", FromServer::User(member.profile())),
                };
            }
        }
        let lines = lines.as_bytes().into();
        Self { lines, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::Limits;
    use chat_proto::now::Now;
    use chat_proto::opaque::Opaque;
    use std::net::SocketAddr;
    use std::time::Duration;

    fn now() -> Now {
        Now {
            monotonic: Duration::from_secs(1),
            unix_ms: 1,
        }
    }

    fn room() -> Room {
        let limits = Limits {
            max_users: 100,
            max_per_address: 100,
            history: 0,
            rate: None,
            ping_interval: Duration::from_secs(15),
        };
        Room::new(limits, Box::new(|| Opaque([7; 16])))
    }

    fn join(room: &mut Room, port: u16) -> Slot {
        let slot = room
            .accept(now(), SocketAddr::from(([10, 0, 0, 1], port)))
            .unwrap();
        room.receive(now(), slot, b"HELLO 1 - - - -\n");
        // The greeting and the welcome; the list is next.
        let first = room.output(slot).as_io().iter().map(|piece| piece.len()).sum();
        room.sent(slot, first);
        slot
    }

    #[test]
    fn those_who_come_in_one_turn_share_what_was_written_out() {
        let mut room = room();
        let slots = [1, 2, 3].map(|port| join(&mut room, port));
        room.settle(now());
        for slot in slots {
            room.output(slot);
        }
        let pieces: Vec<_> = room.listings.pieces.values().collect();
        assert_eq!(pieces.len(), 1);
        assert_eq!(Rc::strong_count(&pieces[0].lines), 1 + slots.len());
        room.review(now());
        assert!(room.listings.pieces.is_empty());
    }
}
