//! The list of those who are here: too long to be written out before there is somewhere to put it.

use crate::connection::Stage;
use crate::room::Room;
use crate::roster::Slot;
use crate::transcript::Dialect;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::rich::FromServer;
use std::fmt::Write;

/// Bytes of the list of users that are written out at a time.
const LISTING_BYTES: usize = 16 * 1024;

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

    /// Writes out the next piece of a list of users that is due.
    pub(crate) fn continue_listing(&mut self, slot: Slot) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let Some(from) = member.connection.outbox.listing_due() else {
            return;
        };
        let mut lines = String::with_capacity(LISTING_BYTES + SERVER_LINE_MAX);
        let mut next = None;
        for (place, other) in self.roster.iter_from(from) {
            if lines.len() >= LISTING_BYTES {
                next = Some(place);
                break;
            }
            if other.connection.stage == Stage::Here {
                let _ = match member.dialect() {
                    Dialect::Plain => writeln!(lines, "* {}", other.label()),
                    Dialect::Rich => writeln!(lines, "{}", FromServer::User(other.profile())),
                };
            }
        }
        if let Some(member) = self.roster.get_mut(slot) {
            member
                .connection
                .outbox
                .continue_listing(lines.into_bytes(), next);
        }
    }
}
