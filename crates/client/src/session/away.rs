//! Users who are away.

use chat_proto::id::UserId;
use chat_proto::text::Text;
use std::collections::BTreeMap;

/// What users in the room say about being away.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// The texts of the others, and whether this user was told each.
    others: BTreeMap<UserId, (Text<'static>, bool)>,
    /// The text of this user, who stays away after a reconnection.
    pub(super) own: Option<Text<'static>>,
}

impl Away {
    /// What a user says who is away.
    pub(super) fn of(&self, id: UserId) -> Option<&Text<'static>> {
        self.others.get(&id).map(|(text, _)| text)
    }

    /// Another user is away, or back.
    pub(super) fn set(&mut self, id: UserId, text: Option<Text<'static>>) {
        match text {
            Some(text) => self.others.insert(id, (text, false)),
            None => self.others.remove(&id),
        };
    }

    /// What this user has to be told who writes to another one: each text once.
    pub(super) fn news_of(&mut self, id: UserId) -> Option<Text<'static>> {
        let (text, is_told) = self.others.get_mut(&id)?;
        (!std::mem::replace(is_told, true)).then(|| text.clone())
    }

    /// The server announces the others anew.
    pub(super) fn forget_users(&mut self) {
        self.others.clear();
    }
}
