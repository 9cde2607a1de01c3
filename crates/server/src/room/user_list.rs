//! The user list, rendered in pieces: it may be too long to render before it can be sent.

use crate::member::Member;
use crate::roster::{Roster, Slot};
use crate::transcript::Dialect;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::rich::FromServer;
use chat_proto::who::WHO_MAX;
use std::collections::HashMap;
use std::fmt::Write;
use std::mem::take;
use std::rc::Rc;

/// Bytes in a piece, to which what is said of its last user may add.
const PIECE_BYTES: usize = 16 * 1024;

/// Bytes in a line of `USERS`, to which its last user may add.
const LINE_BYTES: usize = 4 * 1024;

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
        let mut lines = Lines::default();
        let mut next = None;
        for (slot, member) in roster.iter_from(from) {
            if lines.len() >= PIECE_BYTES {
                next = Some(slot);
                break;
            }
            if member.is_announced() {
                match dialect {
                    Dialect::Plain => lines.add_plain(member),
                    Dialect::Rich => lines.add_rich(member),
                }
            }
        }
        let lines = lines.finish().into_bytes().into();
        Self { lines, next }
    }
}

/// The lines of a piece.
#[derive(Default)]
struct Lines {
    done: String,
    /// A line of `USERS` without its end, or nothing.
    users: String,
    /// What follows that line: more about the users in it.
    more: String,
}

impl Lines {
    fn len(&self) -> usize {
        self.done.len() + self.users.len() + self.more.len()
    }

    /// Not after the name: that would be an action of the user.
    fn add_plain(&mut self, member: &Member) {
        let operator = if member.is_operator() { "operator " } else { "" };
        let away = if member.away().is_some() { "away " } else { "" };
        // Writing to a string can't fail.
        let _ = writeln!(self.done, "* {away}{operator}{}", member.label());
    }

    fn add_rich(&mut self, member: &Member) {
        if self.users.is_empty() {
            self.users.push_str("USERS");
        }
        let user = member.profile().brief();
        let _ = user.fmt_in_list(&mut self.users);
        if user.udp.is_some() {
            self.add_more(FromServer::User(user));
        }
        if member.is_operator() {
            self.add_more(FromServer::Operator(member.label()));
        }
        if let Some(text) = member.away() {
            self.add_more(FromServer::Away(member.label(), text.borrow()));
        }
        if self.users.len() >= LINE_BYTES {
            self.end_line();
        }
    }

    fn add_more(&mut self, line: FromServer<'_, &str>) {
        let _ = writeln!(self.more, "{line}");
    }

    fn end_line(&mut self) {
        if !self.users.is_empty() {
            self.done.push_str(&take(&mut self.users));
            self.done.push('\n');
            self.done.push_str(&take(&mut self.more));
        }
    }

    fn finish(mut self) -> String {
        self.end_line();
        self.done
    }
}

/// A line of `USERS` has room for its last user: a name, and the beginning of a key.
const _: () = assert!(LINE_BYTES + WHO_MAX + " ".len() * 2 + "abcd\n".len() <= SERVER_LINE_MAX);

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
