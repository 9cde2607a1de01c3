//! A user that is recognised again.

use crate::roster::Roster;
use chat_proto::id::UserId;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::Profile;
use chat_proto::who::Who;

/// A user, whatever becomes of its connection.
///
/// After a user has left, another may have its id or its nick. A key is different: only its owner can read what is
/// sealed for it. A user without a key is recognised for as long as it stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The user, under the last name known.
    pub(super) who: Who,
    key: Option<PublicKey>,
    /// A user without a key left: it can't be known again.
    is_gone: bool,
}

impl Peer {
    /// A user of an original server, which did not announce it.
    pub(super) fn unknown(id: UserId) -> Self {
        Self {
            who: Who::from(id),
            key: None,
            is_gone: false,
        }
    }

    pub(super) fn of(profile: &Profile) -> Self {
        Self {
            who: profile.who.clone(),
            key: profile.key,
            is_gone: false,
        }
    }

    /// A user left, perhaps this one.
    pub(super) fn left(&mut self, who: &Who) {
        self.is_gone |= self.key.is_none() && self.who.id == who.id;
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// The user, if it is here: under its id or, by its key, under a new one.
    pub(super) fn find<'r>(&self, roster: &'r Roster) -> Option<&'r Profile> {
        let Some(key) = self.key else {
            let profile = roster.get(self.who.id).filter(|_| !self.is_gone)?;
            return (profile.key.is_none() && profile.who == self.who).then_some(profile);
        };
        let under_its_id = roster.get(self.who.id).filter(|profile| profile.key == Some(key));
        under_its_id.or_else(|| roster.get(roster.holder(&key)?))
    }
}
