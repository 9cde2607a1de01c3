//! Whom the user means by a name: the keys that users had before, and those that the user verified.
//!
//! The server hands out names, addresses and keys. So a user who had a key is sent nothing in the clear afterwards, and
//! the name of a user that was verified leads to the verified key only, until the user of this client says otherwise.

use super::event::Verified;
use chat_proto::id::UserId;
use chat_proto::nick::{Nick, Skeleton};
use chat_proto::opaque::PublicKey;
use chat_proto::rich::{Key, Profile, ShortKey};
use chat_proto::who::Who;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Addresses, and looks of nicks, whose keys are remembered: 65,536 x about 300 bytes = 20 MB. A server that invents more
/// displaces none of them.
const KEYS_MAX: usize = 65_536;

/// Keys that are verified at a time.
pub const VERIFIED_MAX: usize = 1024;

/// Warnings that are remembered, so that each is given once.
const WARNED_MAX: usize = 1024;

/// What the client knows of keys.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// The key of the user with each address. The first one stays until the user of this client accepts another.
    ids: BTreeMap<UserId, Key>,
    /// The same for each look of a nick.
    looks: HashMap<Skeleton, Key>,
    pub(super) verified: Vec<Verified>,
    /// Users that the client has warned of.
    warned: BTreeSet<(UserId, Option<ShortKey>)>,
}

/// What speaks against a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// Its name or address was of a user with another key, who was not verified.
    Changed,
    /// The same, and it has no key.
    Bare,
    /// Its name or address is of a user that was verified, and its key is not.
    Posing(Option<Nick>),
}

impl Trust {
    /// Whether to warn of this user, which is done once.
    pub(super) fn warns_of(&mut self, profile: &Profile) -> bool {
        if self.warned.len() >= WARNED_MAX {
            self.warned.clear();
        }
        matches!(self.standing(profile), Standing::Posing(_))
            && self.warned.insert((profile.who.id, profile.key.map(Key::short)))
    }

    /// Remembers the key of a user.
    pub(super) fn note(&mut self, profile: &Profile) {
        let Some(key) = profile.key else {
            return;
        };
        for look in looks(&profile.who) {
            if self.looks.len() < KEYS_MAX {
                learn(self.looks.entry(look).or_insert(key), key);
            }
        }
        if self.ids.len() < KEYS_MAX {
            learn(self.ids.entry(profile.who.id).or_insert(key), key);
        }
    }

    /// From now on, this user is meant by its name and address.
    pub(super) fn accept(&mut self, profile: &Profile) {
        looks(&profile.who).for_each(|look| {
            self.looks.remove(&look);
        });
        self.ids.remove(&profile.who.id);
        self.note(profile);
    }

    pub(super) fn verified_with(&self, key: &PublicKey) -> Option<&Verified> {
        self.verified.iter().find(|verified| verified.key == *key)
    }

    /// The keys that users with this name or address had.
    pub(super) fn former(&self, who: &Who) -> Vec<Key> {
        let by_look = looks(who).filter_map(|look| self.looks.get(&look).copied());
        by_look.chain(self.ids.get(&who.id).copied()).collect()
    }

    pub(super) fn standing(&self, profile: &Profile) -> Standing {
        let nick = profile.who.nick.as_ref();
        let of_nick = || {
            let all = self.verified.iter();
            all.filter(|verified| is_alike(verified.nick.as_ref(), nick))
        };
        if let Some(first) = of_nick().next() {
            return match of_nick().any(|verified| may_have(profile, verified.key.into())) {
                true => Standing::Good,
                false => Standing::Posing(first.nick.clone()),
            };
        }
        let mut former = self.former(&profile.who);
        former.retain(|key| !may_have(profile, *key));
        let may_be_former = |verified: &&Verified| former.iter().any(|key| key.may_be(verified.key.into()));
        let verified = self.verified.iter().find(may_be_former);
        let is_verified = |key: Key| key.whole().is_some_and(|key| self.verified_with(&key).is_some());
        match (verified, profile.key) {
            _ if former.is_empty() => Standing::Good,
            // The user knows both.
            (_, Some(key)) if is_verified(key) => Standing::Changed,
            (Some(verified), _) => Standing::Posing(verified.nick.clone()),
            (None, Some(_)) => Standing::Changed,
            (None, None) => Standing::Bare,
        }
    }
}

/// As far as is known.
fn may_have(profile: &Profile, key: Key) -> bool {
    profile.key.is_some_and(|own| own.may_be(key))
}

/// The rest of a known key is told.
fn learn(known: &mut Key, key: Key) {
    if known.may_be(key) && known.whole().is_none() {
        *known = key;
    }
}

fn looks(who: &Who) -> impl Iterator<Item = Skeleton> {
    who.nick.iter().flat_map(Nick::skeletons)
}

pub(super) fn is_alike(one: Option<&Nick>, other: Option<&Nick>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one.looks_like(other))
}
