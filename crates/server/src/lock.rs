//! A room that lets nobody new in.

use chat_proto::opaque::PublicKey;
use std::collections::HashSet;

/// Who may come back to a locked room: who was in it.
///
/// Memory: 32 bytes for each of at most 2 x `--max-users`, as only those come in. After a restart with fewer,
/// those of before stay.
#[derive(Debug)]
pub(crate) struct Lock {
    keys: HashSet<PublicKey>,
}

impl Lock {
    /// Those with these keys.
    pub(crate) fn new(keys: HashSet<PublicKey>) -> Self {
        Self { keys }
    }

    /// Their keys.
    pub(crate) fn keys(&self) -> impl Iterator<Item = PublicKey> {
        self.keys.iter().copied()
    }

    /// Whether a client with this key was in the room.
    pub(crate) fn lets_in(&self, key: Option<PublicKey>) -> bool {
        key.is_some_and(|key| self.keys.contains(&key))
    }

    /// A user who is in the room has this key.
    pub(crate) fn add(&mut self, key: PublicKey) {
        self.keys.insert(key);
    }

    /// An operator has shown this user out.
    pub(crate) fn remove(&mut self, key: &PublicKey) {
        self.keys.remove(key);
    }
}
