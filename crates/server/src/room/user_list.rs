//! The user list, rendered in pieces: it may be too long to render before it can be sent.

use crate::member::Member;
use crate::roster::{Roster, Slot};
use crate::transcript::Dialect;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::rich::FromServer;
use std::collections::HashMap;
use std::fmt::Write;
use std::rc::Rc;

/// Bytes in a piece, to which its last line may add.
const PIECE_BYTES: usize = 16 * 1024;

/// The pieces rendered in this turn. All newcomers of a turn share them, so that a class that joins at once does not
/// render each of its members for each other.
///
/// Memory: a piece lives until every connection that shares it has sent it, and counts as lines of each.
#[derive(Debug, Default)]
pub(super) struct UserList {
    pieces: HashMap<(Dialect, Slot), Piece>,
}

/// A part of the list, in one dialect.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// Its lines.
    pub(super) lines: Rc<[u8]>,
    /// The slot from which the next piece continues, if there is one.
    pub(super) next: Option<Slot>,
}

impl UserList {
    /// Forgets the pieces, because the users may change.
    pub(super) fn clear(&mut self) {
        // Frees the memory too. Most turns render nothing.
        if !self.pieces.is_empty() {
            self.pieces = HashMap::new();
        }
    }

    /// The piece that begins at this slot.
    pub(super) fn piece(&mut self, roster: &Roster, dialect: Dialect, from: Slot) -> Piece {
        let pieces = self.pieces.entry((dialect, from));
        pieces
            .or_insert_with(|| Piece::render(roster, dialect, from))
            .clone()
    }
}

impl Piece {
    fn render(roster: &Roster, dialect: Dialect, from: Slot) -> Self {
        let mut lines = String::with_capacity(PIECE_BYTES + SERVER_LINE_MAX);
        let mut next = None;
        for (slot, member) in roster.iter_from(from) {
            if lines.len() >= PIECE_BYTES {
                next = Some(slot);
                break;
            }
            if member.is_announced() {
                write(&mut lines, dialect, member);
            }
        }
        let lines = lines.as_bytes().into();
        Self { lines, next }
    }
}

/// Adds the lines about one user.
fn write(lines: &mut String, dialect: Dialect, member: &Member) {
    let who = member.label();
    // Writing to a string can't fail.
    let _ = match dialect {
        // Not after the name: that would be an action of the user.
        Dialect::Plain => {
            let operator = if member.is_operator() { "operator " } else { "" };
            let away = if member.away().is_some() { "away " } else { "" };
            writeln!(lines, "* {away}{operator}{who}")
        }
        Dialect::Rich => writeln!(lines, "{}", FromServer::User(member.profile())),
    };
    if dialect == Dialect::Rich && member.is_operator() {
        let _ = writeln!(lines, "{}", FromServer::Operator(who));
    }
    if let Some(text) = member.away().filter(|_| dialect == Dialect::Rich) {
        let _ = writeln!(lines, "{}", FromServer::Away(who, text.borrow()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::Stage;
    use std::net::SocketAddr;
    use std::time::Duration;

    #[test]
    fn connections_share_the_pieces_of_a_turn() {
        let mut roster = Roster::default();
        let mut member = Member::new(SocketAddr::from(([10, 0, 0, 1], 1)).into(), Duration::ZERO);
        member.stage = Stage::Joined;
        roster.add(member);
        let mut list = UserList::default();
        let shared = [1, 2, 3].map(|_| list.piece(&roster, Dialect::Plain, 0));
        assert_eq!(&*shared[0].lines, b"* 10.0.0.1:1\n");
        assert_eq!(list.pieces.len(), 1);
        assert_eq!(Rc::strong_count(&shared[0].lines), 1 + shared.len());
        list.clear();
        assert_eq!(Rc::strong_count(&shared[0].lines), shared.len());
    }
}
