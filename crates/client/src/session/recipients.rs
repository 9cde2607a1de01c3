//! The recipients that the user chose: by `--to`, `/query`, and `/reply`.
//!
//! Each is a user, known again by its key or for as long as it stays. An address or a nick may be another user's by the
//! time the next line is typed.

use crate::roster::Roster;
use chat_proto::id::UserId;
use chat_proto::nick::{Nick, NickKey};
use chat_proto::opaque::PublicKey;
use chat_proto::rich::{Key, Profile};
use chat_proto::who::Who;

#[derive(Debug)]
pub(super) struct Recipients {
    /// The recipient of lines that are no commands.
    pub(super) target: Target,
    /// The recipient of `/reply`: the sender of the last private message.
    pub(super) writer: Option<Peer>,
}

/// The recipient of lines that are no commands.
#[derive(Debug)]
pub(super) enum Target {
    Everybody,
    /// `--to`, as typed, until the first line is sent.
    Named(String),
    User(Peer),
    /// The last `/query` found no user. The lines after it are not for everybody.
    NotFound,
}

impl Recipients {
    /// Lines go to everybody, or to the user of `--to`.
    pub(super) fn new(to: Option<String>) -> Self {
        Self {
            target: to.map_or(Target::Everybody, Target::Named),
            writer: None,
        }
    }

    /// The user who alone receives the lines that are no commands.
    pub(super) fn query(&self) -> Option<&Who> {
        match &self.target {
            Target::User(peer) => Some(&peer.who),
            Target::Everybody | Target::Named(_) | Target::NotFound => None,
        }
    }

    /// A user left the roster: lines never go to the next user of its address. Whether it was the one of `/query`.
    pub(super) fn left(&mut self, who: &Who, roster: &Roster) -> bool {
        self.peers().for_each(|peer| peer.left(who));
        match &self.target {
            // It may have joined on another connection before.
            Target::User(peer) => peer.who.id == who.id && peer.find(roster).is_none(),
            Target::Everybody | Target::Named(_) | Target::NotFound => false,
        }
    }

    /// A user is here, or its whole key is known now.
    pub(super) fn met(&mut self, profile: &Profile) {
        self.peers().for_each(|peer| peer.learn(profile));
    }

    /// The connection is another one.
    pub(super) fn lost(&mut self) {
        self.peers().for_each(Peer::lost);
    }

    /// Whether a key may be that of one of them.
    pub(super) fn may_have(&self, key: Key) -> bool {
        let target = match &self.target {
            Target::User(peer) => Some(peer),
            Target::Everybody | Target::Named(_) | Target::NotFound => None,
        };
        target
            .into_iter()
            .chain(&self.writer)
            .any(|peer| peer.may_have(key))
    }

    /// A user is about to take another nick in the roster.
    pub(super) fn renamed(&mut self, after: &Who, roster: &Roster) {
        self.peers().for_each(|peer| peer.renamed(after, roster));
    }

    fn peers(&mut self) -> impl Iterator<Item = &mut Peer> {
        let target = match &mut self.target {
            Target::User(peer) => Some(peer),
            Target::Everybody | Target::Named(_) | Target::NotFound => None,
        };
        target.into_iter().chain(&mut self.writer)
    }
}

/// A user, whatever becomes of its connection.
///
/// After a user has left, another may have its id or its nick. A key is different: only its owner can read what is
/// sealed for it. A user without a key, or of whose key only the beginning is known, is recognised for as long as it
/// stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The user, under the last name known.
    pub(super) who: Who,
    key: Option<Key>,
    /// A user without a known key left, or the connection was lost: it can't be recognised again.
    is_gone: bool,
    /// The latter.
    is_lost: bool,
}

impl Peer {
    /// A user of an original server, which did not announce it.
    pub(super) fn unknown(id: UserId) -> Self {
        Self {
            who: Who::from(id),
            key: None,
            is_gone: false,
            is_lost: false,
        }
    }

    pub(super) fn of(profile: &Profile) -> Self {
        Self {
            who: profile.who.clone(),
            key: profile.key,
            is_gone: false,
            is_lost: false,
        }
    }

    /// Its name and key, without the address for private messages.
    pub(super) fn profile(&self) -> Profile {
        Profile {
            who: self.who.clone(),
            udp: None,
            key: self.key,
        }
    }

    /// A user left, perhaps this one.
    pub(super) fn left(&mut self, who: &Who) {
        self.is_gone |= self.key().is_none() && self.who.id == who.id;
    }

    /// The connection is another one. Anybody can make a key that begins like the one of a user.
    pub(super) fn lost(&mut self) {
        self.is_lost |= self.is_unasked() && !self.is_gone;
        self.is_gone |= self.is_lost;
    }

    /// Whether only the beginning of its key is known.
    pub(super) fn is_unasked(&self) -> bool {
        matches!(self.key, Some(Key::Short(_)))
    }

    /// Whether a key may be its own.
    pub(super) fn may_have(&self, key: Key) -> bool {
        !self.is_gone && self.key.is_some_and(|own| own.may_be(key))
    }

    /// The whole key of a user is known, perhaps of this one.
    pub(super) fn learn(&mut self, profile: &Profile) {
        if self.is_unasked()
            && self.who.id == profile.who.id
            && profile.key.is_some_and(|key| self.may_have(key))
        {
            self.key = profile.key;
        }
    }

    /// A user is about to take another nick in the roster, perhaps this one.
    pub(super) fn renamed(&mut self, after: &Who, roster: &Roster) {
        let found = self.find(roster);
        if found.is_some_and(|profile| profile.who.id == after.id) {
            self.who = after.clone();
        }
    }

    /// The whole key, if it is known.
    pub(super) fn key(&self) -> Option<PublicKey> {
        self.key.and_then(Key::whole)
    }

    /// Whether a person means this user: by its id, by `nick@id`, or by its nick.
    pub(super) fn is_called(&self, typed: &str) -> bool {
        let nick = self.who.nick.as_ref().map(Nick::key);
        match typed.parse::<Who>() {
            Ok(Who {
                nick: Some(named),
                id,
            }) => id == self.who.id && nick == Some(named.key()),
            Ok(Who { nick: None, id }) => id == self.who.id,
            Err(_) => nick == Some(NickKey::of(typed)),
        }
    }

    /// Whether both are one user, under whatever ids.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.who.id == other.who.id || self.key().is_some() && self.key() == other.key()
    }

    /// A user is here, perhaps this one under a new id.
    pub(super) fn met(&mut self, profile: &Profile) {
        self.learn(profile);
        if self.key().is_some() && self.key == profile.key {
            self.who = profile.who.clone();
        }
    }

    /// Whether this user has or had that name. By its id it is known only while no other user has that.
    pub(super) fn is(&self, who: &Who, roster: &Roster) -> bool {
        match roster.get(who.id) {
            Some(profile) if profile.key.is_some() || self.key.is_some() => {
                let has_key = profile.key.is_some_and(|key| self.may_have(key));
                has_key && (!self.is_unasked() || self.who.id == who.id)
            }
            _ => self.who.id == who.id && !self.is_gone,
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.is_lost
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// The user, if it is here: under its id or, by its key, under a new one.
    pub(super) fn find<'r>(&self, roster: &'r Roster) -> Option<&'r Profile> {
        let Some(key) = self.key() else {
            let profile = roster.here(self.who.id).filter(|_| !self.is_gone)?;
            let has_key = match profile.key {
                Some(key) => self.may_have(key),
                None => self.key.is_none(),
            };
            return (has_key && profile.who == self.who).then_some(profile);
        };
        let under_its_id = roster.here(self.who.id).filter(|profile| profile.key == self.key);
        under_its_id.or_else(|| roster.here(roster.holder(&key)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;

    const KEY: PublicKey = Opaque([1; 32]);
    const BOB: &str = "bob@10.0.0.2:1";

    /// A user of whom the server has told how the key begins.
    fn user(who: &str) -> Profile {
        Profile {
            who: who.parse().unwrap(),
            udp: None,
            key: Some(Key::Short(Key::Whole(KEY).short())),
        }
    }

    fn roster(users: &[&str]) -> Roster {
        let mut roster = Roster::default();
        for who in users {
            roster.announce(user(who), &Opaque([0; 32]));
        }
        roster
    }

    #[test]
    fn by_the_beginning_of_its_key_a_user_is_known_nowhere_else() {
        let bob = Peer::of(&user(BOB));
        let eve = "eve@10.0.0.3:1";
        let both = roster(&[BOB, eve]);
        assert!(bob.is(&bob.who, &both));
        assert!(!bob.is(&eve.parse().unwrap(), &both));
        assert!(bob.find(&both).is_some());
        assert_eq!(bob.find(&roster(&["eve@10.0.0.2:1"])), None, "under another name");
    }

    #[test]
    fn a_user_that_left_before_a_loss_is_not_lost() {
        let mut bob = Peer::of(&user(BOB));
        bob.left(&user(BOB).who);
        bob.lost();
        assert!(bob.is_gone() && !bob.is_lost());
    }

    #[test]
    fn the_keys_of_chosen_users_matter() {
        let bob = || Peer::of(&user(BOB));
        let mut chosen = Recipients::new(None);
        assert!(!chosen.may_have(KEY.into()));
        chosen.writer = Some(bob());
        assert!(chosen.may_have(KEY.into()));
        chosen.writer = None;
        chosen.target = Target::User(bob());
        assert!(chosen.may_have(KEY.into()));
    }
}
