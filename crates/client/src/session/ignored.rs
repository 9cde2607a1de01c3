//! The users whose messages are not shown, in both front ends.
//!
//! Each is a user, known again by its key or for as long as it stays, like those of `/query`.

use super::recipients::Peer;
use crate::roster::Roster;
use chat_proto::rich::{Key, Profile};
use chat_proto::who::Who;

#[derive(Debug, Default)]
pub(super) struct Ignored(Vec<Peer>);

impl Ignored {
    /// A user is here, perhaps an ignored one under a new id.
    pub(super) fn met(&mut self, profile: &Profile) {
        self.0.iter_mut().for_each(|peer| peer.met(profile));
    }

    /// Whether a key may be that of an ignored user.
    pub(super) fn may_have(&self, key: Key) -> bool {
        self.0.iter().any(|peer| peer.may_have(key))
    }

    /// A user is about to take another nick in the roster.
    pub(super) fn renamed(&mut self, after: &Who, roster: &Roster) {
        self.0.iter_mut().for_each(|peer| peer.renamed(after, roster));
    }

    /// A user left. Without a key it is not known again.
    pub(super) fn left(&mut self, who: &Who) {
        self.0.iter_mut().for_each(|peer| peer.left(who));
        self.0.retain(|peer| !peer.is_gone());
    }

    pub(super) fn add(&mut self, peer: Peer) {
        if !self.0.contains(&peer) {
            self.0.push(peer);
        }
    }

    pub(super) fn users(&self) -> Vec<Who> {
        self.0.iter().map(|peer| peer.who.clone()).collect()
    }

    pub(super) fn is_ignored(&self, who: &Who, roster: &Roster) -> bool {
        self.0.iter().any(|peer| peer.is(who, roster))
    }

    /// Removes the users that a person means, and returns them.
    pub(super) fn remove(&mut self, typed: &str) -> Vec<Who> {
        let meant = self.0.extract_if(.., |peer| peer.is_called(typed));
        meant.map(|peer| peer.who).collect()
    }
}
