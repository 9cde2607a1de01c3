//! Who can read what is said to the room.

use super::stage::Stage;
use super::state::Session;
use chat_proto::rich::Profile;
use chat_proto::who::Who;

impl Session {
    /// What protects the room, in the words of the status line. `None` without a connection.
    pub fn protection(&self) -> Option<String> {
        match (&self.stage, self.clear_users().count()) {
            // The rich dialect is spoken over an encrypted connection only.
            (Stage::Rich(_), 0) if self.has_phrase => Some("sealed, passphrase".into()),
            (Stage::Rich(_), 0) => Some("sealed".into()),
            (Stage::Rich(_), count) => Some(format!("{count} in the clear")),
            (Stage::Legacy, _) => Some("in the clear".into()),
            (Stage::Greeting { .. } | Stage::Hello { .. } | Stage::Lost, _) => None,
        }
    }

    /// The users who read in the clear, ordered by id.
    pub(super) fn clear_users(&self) -> impl Iterator<Item = &Who> {
        let users = self.roster().users();
        let clear = users.filter(|profile| self.reads_in_the_clear(profile));
        clear.map(|profile| &profile.who)
    }

    /// Whether a user's connection is not encrypted. Every client that encrypts has proven a key.
    pub(super) fn reads_in_the_clear(&self, profile: &Profile) -> bool {
        let is_me = self.me().is_some_and(|me| me.id == profile.who.id);
        profile.key.is_none() && !is_me
    }
}
