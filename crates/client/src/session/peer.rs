//! The one user whom what is typed is for, whatever becomes of that user's connection.

use super::Roster;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::Profile;
use chat_proto::who::Who;

/// A user who was chosen, and is to be known again.
///
/// An id may be somebody else's after its user left, and so may a nick. A key is not: who announces it can alone read
/// what is sealed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The user, under the last name known.
    pub who: Who,
    key: Option<PublicKey>,
}

impl Peer {
    /// This user, as it is now.
    #[must_use]
    pub fn new(who: Who, roster: &Roster) -> Self {
        let key = roster.get(who.id).and_then(|profile| profile.key);
        Self { who, key }
    }

    /// The user, if it is here: under its id or, by its key, under a new one.
    #[must_use]
    pub fn find<'r>(&self, roster: &'r Roster) -> Option<&'r Profile> {
        let Some(key) = self.key else {
            let profile = roster.get(self.who.id)?;
            return (profile.key.is_none() && profile.who == self.who).then_some(profile);
        };
        let is_it = |profile: &&Profile| profile.key == Some(key);
        let under_its_id = roster.get(self.who.id).filter(is_it);
        under_its_id.or_else(|| roster.users().find(is_it))
    }
}
