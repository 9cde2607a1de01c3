//! Who runs the room, and what the user becomes an operator with.

use chat_proto::id::UserId;
use std::collections::BTreeSet;

/// Operators that are kept: a hostile server can't fill the memory.
const USERS_MAX: usize = 1024;

/// The operators, and what the code for them is proven with.
#[derive(Debug, Default)]
pub(super) struct Operators {
    users: BTreeSet<UserId>,
    /// The handshake hash of the encrypted channel, if there is one.
    pub(super) channel: Option<[u8; 32]>,
}

impl Operators {
    /// The server says that this user is one.
    pub(super) fn add(&mut self, id: UserId) {
        if self.users.len() < USERS_MAX {
            self.users.insert(id);
        }
    }

    /// A user left.
    pub(super) fn left(&mut self, id: UserId) {
        self.users.remove(&id);
    }

    pub(super) fn has(&self, id: UserId) -> bool {
        self.users.contains(&id)
    }

    /// The server announces them anew.
    pub(super) fn forget_users(&mut self) {
        self.users.clear();
    }
}
