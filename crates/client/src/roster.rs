//! The users in the room: their names, their addresses, and whether their keys can be trusted.

use chat_proto::id::{UserId, canonical};
use chat_proto::nick::{Nick, NickKey};
use chat_proto::opaque::PublicKey;
use chat_proto::rich::{Key, Profile, ShortKey};
use chat_proto::who::Who;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

/// Users that are kept, so that a hostile server can't fill the memory: 100,000 x about 400 bytes = 40 MB.
const USERS_MAX: usize = 100_000;

/// Keys that are trusted: each takes memory for private messages too.
const KEYS_MAX: usize = 65_536;

/// The users that the server announced.
#[derive(Debug, Default)]
pub struct Roster {
    users: BTreeMap<UserId, User>,
    /// The user that has each key.
    holders: BTreeMap<PublicKey, UserId>,
    /// Other users that announced a key which has a holder: exactly those with [`KeyTrust::Contested`].
    claimants: BTreeMap<PublicKey, BTreeSet<UserId>>,
}

#[derive(Debug)]
struct User {
    profile: Profile,
    nick: Option<NickKey>,
    trust: KeyTrust,
    seen: Seen,
}

/// What the server has said of a user on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing yet: the user is known from an earlier connection.
    Stale,
    /// The beginning of the key, with which the whole key of an earlier connection begins.
    Likely,
    /// All that is known.
    Confirmed,
}

/// Whether a user's key can be trusted, and so how the user is sent private messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTrust {
    /// The user has no key: unencrypted.
    NoKey,
    /// Not before the server has told the whole key.
    Unasked,
    /// Sealed for this key.
    Trusted(PublicKey),
    /// Not at all, as long as an earlier user has the same key.
    Contested(PublicKey),
    /// Not at all.
    Rejected,
}

/// What follows from a change of the roster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// This key lost its holder, which was this user; `true` if the key changed while the user was here.
    pub(crate) gone: Option<(PublicKey, UserId, bool)>,
    pub(crate) warning: Option<KeyWarning>,
}

/// A problem with a user's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyWarning {
    /// This user's key changed while it was connected, which no honest client and server do. Messages to and from
    /// it are blocked until it leaves.
    KeyChanged(UserId),
    /// This user announced a key that protects nothing. Messages to it are blocked.
    UnusableKey(UserId),
    /// The first user announced the key of the second. Messages to the first are blocked.
    KeyTaken(UserId, UserId),
}

// Reading.
impl Roster {
    /// The user with this id.
    pub fn get(&self, id: UserId) -> Option<&Profile> {
        self.users.get(&id).map(|user| &user.profile)
    }

    /// The user with this id, unless it was here on an earlier connection only.
    pub fn here(&self, id: UserId) -> Option<&Profile> {
        let user = self.users.get(&id).filter(|user| !user.is_stale());
        user.map(|user| &user.profile)
    }

    /// How the user with this id is sent private messages.
    pub fn trust(&self, id: UserId) -> Option<KeyTrust> {
        self.users.get(&id).map(|user| user.trust)
    }

    /// The user that has a key.
    pub fn holder(&self, key: &PublicKey) -> Option<UserId> {
        self.holders.get(key).copied()
    }

    /// The address for datagrams to a user, if the server announced one.
    pub fn address(&self, id: UserId) -> Option<SocketAddr> {
        self.get(id)?.udp
    }

    /// All users, ordered by id.
    pub fn users(&self) -> impl Iterator<Item = &Profile> {
        self.present().map(|user| &user.profile)
    }

    /// Users that the server announced on an earlier connection, and not on this one: those that are surely gone, and the
    /// others. The latter may be here under another id, with a key that is not told yet.
    pub(crate) fn stale(&self) -> (Vec<UserId>, Vec<UserId>) {
        let stale: Vec<&User> = self.users.values().filter(|user| user.is_stale()).collect();
        if stale.is_empty() {
            return Default::default();
        }
        let unasked = self.present().filter(|user| user.trust == KeyTrust::Unasked);
        let unasked: BTreeSet<ShortKey> = unasked
            .filter_map(|user| Some(user.profile.key?.short()))
            .collect();
        let is_gone = |user: &&User| {
            let key = user.trust.key().map(Key::Whole);
            key.is_none_or(|key| !unasked.contains(&key.short()))
        };
        let ids = |users: Vec<&User>| users.iter().map(|user| user.profile.who.id).collect();
        let (gone, others) = stale.into_iter().partition(is_gone);
        (ids(gone), ids(others))
    }

    /// How a user's key begins, if the server has told no more on this connection.
    pub(crate) fn unconfirmed(&self, id: UserId) -> Option<ShortKey> {
        let user = self.users.get(&id)?;
        let is_open = user.trust == KeyTrust::Unasked || user.seen == Seen::Likely;
        user.profile.key.filter(|_| is_open).map(Key::short)
    }

    /// Users of whose keys only the beginning is known, which is that of this key.
    pub(crate) fn candidates(&self, key: PublicKey) -> impl Iterator<Item = UserId> {
        let may_be = move |user: &&User| {
            user.trust == KeyTrust::Unasked && user.profile.key.is_some_and(|known| known.may_be(key.into()))
        };
        self.present().filter(may_be).map(|user| user.profile.who.id)
    }

    fn present(&self) -> impl Iterator<Item = &User> {
        self.users.values().filter(|user| !user.is_stale())
    }

    /// The user that a person means: by id, by `nick@id`, or by nick.
    ///
    /// # Errors
    /// Why the name does not name exactly one user.
    pub fn resolve(&self, typed: &str) -> Result<&Profile, Unresolved> {
        let Ok(who) = typed.parse::<Who>() else {
            return self.resolve_nick(typed);
        };
        let profile = self.get(who.id).ok_or(Unresolved::NotHere(who.id))?;
        // Another user may have the id by now.
        if who.nick.is_some() && who.nick.as_ref().map(Nick::key) != profile.who.nick.as_ref().map(Nick::key)
        {
            return Err(Unresolved::Renamed(profile.who.clone()));
        }
        Ok(profile)
    }

    fn resolve_nick(&self, typed: &str) -> Result<&Profile, Unresolved> {
        let key = NickKey::of(typed);
        let mut found = self.present().filter(|user| user.nick.as_ref() == Some(&key));
        let first = found.next().ok_or(Unresolved::Nobody)?;
        match found.next() {
            None => Ok(&first.profile),
            Some(second) => Err(Unresolved::Several(
                first.profile.who.clone(),
                second.profile.who.clone(),
            )),
        }
    }
}

// Changing.
impl Roster {
    /// The server announced a user, or something new about one. `own_key` is this client's.
    pub(crate) fn announce(&mut self, mut profile: Profile, own_key: &PublicKey) -> Change {
        let id = profile.who.id;
        let mut change = Change::default();
        if let Some(user) = self.users.get_mut(&id) {
            if user.trust == KeyTrust::Rejected && !user.is_stale() {
                *user = User::new(profile, user.trust);
                return change;
            }
            let known = user.trust.key().map(Key::Whole);
            let has_its_name = !user.is_stale() || user.profile.who == profile.who;
            if let (Some(known), Some(short @ Key::Short(_))) = (known, profile.key)
                && known.may_be(short)
                && has_its_name
            {
                // Only the holder of the known key can read texts sealed for it. A user of another name may have another
                // key, so a text for that user must not be sealed for the known one.
                let seen = match user.seen {
                    Seen::Stale => Seen::Likely,
                    seen => seen,
                };
                profile.key = Some(known);
                profile.udp = user.profile.udp;
                *user = User {
                    seen,
                    ..User::new(profile, user.trust)
                };
                return change;
            }
            let is_same = known == profile.key && user.trust != KeyTrust::Unasked;
            if is_same && user.trust != KeyTrust::Rejected {
                *user = User::new(profile, user.trust);
                return change;
            }
            let is_changed = !user.is_stale() && user.profile.key.is_some() && !user.is_answered_by(&profile);
            change = self.remove(id);
            if is_changed {
                if let Some((_, _, key_changed)) = &mut change.gone {
                    *key_changed = true;
                }
                change.warning = Some(KeyWarning::KeyChanged(id));
                self.users.insert(id, User::new(profile, KeyTrust::Rejected));
                return change;
            }
        }
        if self.users.len() >= USERS_MAX {
            return change;
        }
        let trust = match profile.key {
            None => KeyTrust::NoKey,
            Some(Key::Short(_)) => KeyTrust::Unasked,
            Some(Key::Whole(key)) if key == *own_key => {
                change.warning = Some(KeyWarning::UnusableKey(id));
                KeyTrust::Rejected
            }
            Some(Key::Whole(key)) => self.claim(id, key, &mut change),
        };
        self.users.insert(id, User::new(profile, trust));
        change
    }

    /// The server announced this client itself, which exchanges no private messages with itself.
    pub(crate) fn announce_self(&mut self, profile: Profile) -> Change {
        let change = self.remove(profile.who.id);
        self.users
            .insert(profile.who.id, User::new(profile, KeyTrust::NoKey));
        change
    }

    /// A user took another nick.
    pub(crate) fn rename(&mut self, id: UserId, nick: Nick) {
        if let Some(user) = self.users.get_mut(&id) {
            user.nick = Some(nick.key());
            user.profile.who.nick = Some(nick);
        }
    }

    /// A user has another UDP address.
    pub(crate) fn readdress(&mut self, id: UserId, udp: SocketAddr) {
        if let Some(user) = self.users.get_mut(&id) {
            user.profile.udp = Some(canonical(udp));
        }
    }

    /// A user left. The next user that announced the same key has it now: a client that lost its connection and
    /// returned under another id, before the server noticed.
    pub(crate) fn remove(&mut self, id: UserId) -> Change {
        let mut change = Change::default();
        match self.users.remove(&id).map(|user| user.trust) {
            Some(KeyTrust::Trusted(key)) => {
                self.holders.remove(&key);
                if !self.bequeath(key) {
                    change.gone = Some((key, id, false));
                }
            }
            Some(KeyTrust::Contested(key)) => {
                self.take_claim(&key, |claimants| claimants.remove(&id));
            }
            Some(KeyTrust::NoKey | KeyTrust::Unasked | KeyTrust::Rejected) | None => {}
        }
        change
    }

    /// The connection is a new one: the server announces all users again.
    pub(crate) fn mark_stale(&mut self) {
        self.users.values_mut().for_each(|user| user.seen = Seen::Stale);
    }

    /// Gives a key without holder to one of its claimants; `false` if there is none.
    fn bequeath(&mut self, key: PublicKey) -> bool {
        let Some(heir) = self.take_claim(&key, BTreeSet::pop_first).flatten() else {
            return false;
        };
        if let Some(user) = self.users.get_mut(&heir) {
            user.trust = KeyTrust::Trusted(key);
        }
        self.holders.insert(key, heir);
        true
    }

    fn take_claim<T>(&mut self, key: &PublicKey, take: impl FnOnce(&mut BTreeSet<UserId>) -> T) -> Option<T> {
        let claimants = self.claimants.get_mut(key)?;
        let taken = take(claimants);
        if claimants.is_empty() {
            self.claimants.remove(key);
        }
        Some(taken)
    }

    /// Gives a key to a user, unless another user has it.
    fn claim(&mut self, id: UserId, key: PublicKey, change: &mut Change) -> KeyTrust {
        let holder = self.holder(&key);
        match holder.and_then(|holder| self.users.get_mut(&holder).map(|user| (holder, user))) {
            Some((holder, user)) if user.seen == Seen::Confirmed => {
                change.warning = Some(KeyWarning::KeyTaken(id, holder));
                self.claimants.entry(key).or_default().insert(id);
                return KeyTrust::Contested(key);
            }
            // Its key only begins like this one.
            Some((_, user)) if user.seen == Seen::Likely => {
                user.trust = KeyTrust::Unasked;
                user.profile.key = Some(Key::Short(Key::Whole(key).short()));
                user.seen = Seen::Confirmed;
            }
            // The same user, on its earlier connection.
            Some((holder, _)) => {
                self.users.remove(&holder);
            }
            None if self.holders.len() >= KEYS_MAX => return KeyTrust::Rejected,
            None => {}
        }
        self.holders.insert(key, id);
        KeyTrust::Trusted(key)
    }
}

impl User {
    fn new(profile: Profile, trust: KeyTrust) -> Self {
        let nick = profile.who.nick.as_ref().map(Nick::key);
        Self {
            profile,
            nick,
            trust,
            seen: Seen::Confirmed,
        }
    }

    /// Whether the server has told the beginning of the key only, and this may be all of it.
    fn is_answered_by(&self, profile: &Profile) -> bool {
        let asks = self.trust == KeyTrust::Unasked || self.seen == Seen::Likely;
        let keys = self.profile.key.zip(profile.key);
        asks && keys.is_some_and(|(known, new)| known.short() == new.short())
    }

    fn is_stale(&self) -> bool {
        self.seen == Seen::Stale
    }
}

impl KeyTrust {
    fn key(self) -> Option<PublicKey> {
        match self {
            Self::Trusted(key) | Self::Contested(key) => Some(key),
            Self::NoKey | Self::Unasked | Self::Rejected => None,
        }
    }
}

/// Why a typed name names no user, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// Nobody has that nick.
    Nobody,
    /// Nobody has that id.
    NotHere(UserId),
    /// The id is there, under another name.
    Renamed(Who),
    /// Several have that nick; two of them.
    Several(Who, Who),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody here has that name"),
            Self::NotHere(_) => f.write_str("nobody here has that id"),
            Self::Renamed(who) => write!(f, "that id is {who} now"),
            Self::Several(first, second) => write!(f, "that may be {first} or {second}: write one of these"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chat_proto::opaque::Opaque;

    const OWN: PublicKey = Opaque([0; 32]);
    const A: PublicKey = Opaque([1; 32]);
    const B: PublicKey = Opaque([2; 32]);

    fn id(port: u16) -> UserId {
        UserId::from(SocketAddr::from(([10, 0, 0, 5], port)))
    }

    fn profile(port: u16, key: Option<PublicKey>) -> Profile {
        Profile {
            who: id(port).into(),
            udp: None,
            key: key.map(Key::Whole),
        }
    }

    fn trust(roster: &Roster, port: u16) -> KeyTrust {
        roster.trust(id(port)).unwrap()
    }

    #[test]
    fn a_reused_id_has_the_new_key_only() {
        let mut roster = Roster::default();
        roster.announce(profile(1, Some(A)), &OWN);
        assert_eq!(roster.remove(id(1)).gone, Some((A, id(1), false)));
        assert_eq!(roster.announce(profile(1, Some(B)), &OWN), Change::default());
        assert_eq!(trust(&roster, 1), KeyTrust::Trusted(B));
        assert_eq!(roster.holder(&A), None);
    }

    #[test]
    fn a_changed_key_is_rejected_until_its_user_leaves() {
        let mut roster = Roster::default();
        roster.announce(profile(1, Some(A)), &OWN);
        for other in [Some(B), None, Some(A)] {
            let change = roster.announce(profile(1, other), &OWN);
            let first = other == Some(B);
            assert_eq!(change.gone, first.then_some((A, id(1), true)));
            assert_eq!(change.warning, first.then_some(KeyWarning::KeyChanged(id(1))));
            assert_eq!(trust(&roster, 1), KeyTrust::Rejected);
        }
        roster.remove(id(1));
        roster.announce(profile(1, Some(B)), &OWN);
        assert_eq!(trust(&roster, 1), KeyTrust::Trusted(B));
    }

    #[test]
    fn a_repeated_announcement_changes_the_address_only() {
        let mut roster = Roster::default();
        let before = profile(1, Some(A));
        let udp = Some(SocketAddr::from(([10, 0, 0, 9], 9)));
        roster.announce(before.clone(), &OWN);
        assert_eq!(roster.announce(before.clone(), &OWN), Change::default());
        assert_eq!(
            roster.announce(Profile { udp, ..before }, &OWN),
            Change::default()
        );
        assert_eq!(trust(&roster, 1), KeyTrust::Trusted(A));
        assert_eq!(roster.address(id(1)), udp);
        roster.announce(profile(2, None), &OWN);
        assert_eq!(roster.announce(profile(2, None), &OWN), Change::default());
        assert_eq!(trust(&roster, 2), KeyTrust::NoKey);
    }

    #[test]
    fn a_user_without_key_may_announce_one() {
        let mut roster = Roster::default();
        roster.announce(profile(1, None), &OWN);
        assert_eq!(roster.announce(profile(1, Some(A)), &OWN), Change::default());
        assert_eq!(trust(&roster, 1), KeyTrust::Trusted(A));
    }

    #[test]
    fn a_key_belongs_to_its_first_user_and_is_inherited() {
        let mut roster = Roster::default();
        roster.announce(profile(1, Some(A)), &OWN);
        let change = roster.announce(profile(2, Some(A)), &OWN);
        assert_eq!(change.warning, Some(KeyWarning::KeyTaken(id(2), id(1))));
        assert_eq!(trust(&roster, 2), KeyTrust::Contested(A));
        assert_eq!(roster.remove(id(1)), Change::default());
        assert_eq!(trust(&roster, 2), KeyTrust::Trusted(A));
        assert_eq!(roster.holder(&A), Some(id(2)));
    }

    #[test]
    fn a_claim_ends_with_its_user() {
        let mut roster = Roster::default();
        for port in 1..5 {
            roster.announce(profile(port, Some(A)), &OWN);
        }
        roster.remove(id(2));
        assert_eq!(roster.remove(id(1)), Change::default());
        assert_eq!(trust(&roster, 3), KeyTrust::Trusted(A));
        // User 4 claimed the key of user 3 too. By announcing another one it gives up that claim.
        let change = roster.announce(profile(4, Some(B)), &OWN);
        assert_eq!(change.warning, Some(KeyWarning::KeyChanged(id(4))));
        assert_eq!(roster.remove(id(3)).gone, Some((A, id(3), false)));
        assert!(roster.claimants.is_empty());
    }

    #[test]
    fn sixty_thousand_claims_to_one_key_are_removed_fast() {
        let mut roster = Roster::default();
        let user = |number: u32| Profile {
            who: UserId::from(SocketAddr::from((std::net::Ipv4Addr::from_bits(number), 1))).into(),
            udp: None,
            key: Some(Key::Whole(if number.is_multiple_of(2) {
                A
            } else {
                key_of(number)
            })),
        };
        let users: Vec<Profile> = (0..60_000).map(user).collect();
        let began = std::time::Instant::now();
        for user in &users {
            roster.announce(user.clone(), &OWN);
        }
        for user in &users {
            roster.remove(user.who.id);
        }
        assert_eq!((roster.users.len(), roster.holders.len()), (0, 0));
        // To look through all of them for each takes minutes.
        assert!(began.elapsed() < std::time::Duration::from_secs(10));
    }

    fn key_of(number: u32) -> PublicKey {
        let mut key = [9; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        Opaque(key)
    }

    #[test]
    fn after_a_reconnection_ids_and_keys_may_be_paired_anew() {
        let mut roster = Roster::default();
        roster.announce(profile(1, Some(A)), &OWN);
        roster.announce(profile(2, Some(B)), &OWN);
        roster.mark_stale();
        assert_eq!(roster.announce(profile(3, Some(A)), &OWN), Change::default());
        assert_eq!(
            roster.announce(profile(1, Some(Opaque([3; 32]))), &OWN),
            Change::default()
        );
        assert_eq!(roster.stale(), (vec![id(2)], vec![]));
        assert_eq!(roster.holder(&A), Some(id(3)));
    }

    fn beginning(port: u16, key: PublicKey) -> Profile {
        Profile {
            key: Some(Key::Short(Key::Whole(key).short())),
            ..profile(port, None)
        }
    }

    #[test]
    fn a_key_goes_from_the_likely_user_to_the_one_that_has_it() {
        let mut roster = Roster::default();
        roster.announce(profile(1, Some(A)), &OWN);
        roster.mark_stale();
        roster.announce(beginning(1, A), &OWN);
        assert_eq!(trust(&roster, 1), KeyTrust::Trusted(A));
        let short = Key::Whole(A).short();
        assert_eq!(roster.unconfirmed(id(1)), Some(short));
        // It is back under another id, and the first user's key only begins like it.
        assert_eq!(roster.announce(profile(2, Some(A)), &OWN), Change::default());
        assert_eq!(
            (trust(&roster, 2), roster.holder(&A)),
            (KeyTrust::Trusted(A), Some(id(2)))
        );
        assert_eq!(trust(&roster, 1), KeyTrust::Unasked);
        assert_eq!(roster.get(id(1)).unwrap().key, Some(Key::Short(short)));
        let mut other = A;
        other.0[31] ^= 1;
        assert_eq!(roster.announce(profile(1, Some(other)), &OWN), Change::default());
        assert_eq!(trust(&roster, 1), KeyTrust::Trusted(other));
    }

    #[test]
    fn a_likely_user_has_the_name_and_keeps_the_address_of_before() {
        for (nick, expected) in [
            (Some("bob"), KeyTrust::Trusted(A)),
            (Some("eve"), KeyTrust::Unasked),
        ] {
            let who = |nick: Option<&str>| Who {
                nick: nick.map(|nick| Nick::parse(nick).unwrap()),
                id: id(1),
            };
            let mut roster = Roster::default();
            let udp = Some(SocketAddr::from(([10, 0, 0, 9], 9)));
            let before = Profile {
                who: who(Some("bob")),
                udp,
                key: Some(A.into()),
            };
            roster.announce(before, &OWN);
            roster.mark_stale();
            let now = Profile {
                who: who(nick),
                ..beginning(1, A)
            };
            roster.announce(now, &OWN);
            assert_eq!(trust(&roster, 1), expected);
            let kept = udp.filter(|_| expected != KeyTrust::Unasked);
            assert_eq!(roster.address(id(1)), kept);
        }
    }

    #[test]
    fn who_may_be_here_under_another_id_is_not_surely_gone() {
        let mut roster = Roster::default();
        roster.announce(profile(1, Some(A)), &OWN);
        roster.announce(profile(2, Some(B)), &OWN);
        roster.mark_stale();
        roster.announce(beginning(3, A), &OWN);
        assert_eq!(roster.stale(), (vec![id(2)], vec![id(1)]));
    }

    #[test]
    fn this_clients_own_key_is_rejected() {
        let mut roster = Roster::default();
        let change = roster.announce(profile(1, Some(OWN)), &OWN);
        assert_eq!(change.warning, Some(KeyWarning::UnusableKey(id(1))));
        assert_eq!(trust(&roster, 1), KeyTrust::Rejected);
    }

    fn named(who: &str, udp: Option<&str>) -> Profile {
        Profile {
            who: who.parse().unwrap(),
            udp: udp.map(|udp| udp.parse().unwrap()),
            key: None,
        }
    }

    fn roster() -> Roster {
        let mut roster = Roster::default();
        roster.announce(named("alice@10.0.0.5:50312", Some("10.0.0.5:50313")), &OWN);
        roster.announce(named("Bob@10.0.0.6:40000", None), &OWN);
        roster.announce(named("10.0.0.7:40000", Some("10.0.0.7:9")), &OWN);
        roster
    }

    fn found(roster: &Roster, typed: &str) -> Result<String, Unresolved> {
        roster.resolve(typed).map(|profile| profile.who.to_string())
    }

    #[test]
    fn a_user_is_found_by_id_nick_or_both() {
        let roster = roster();
        for typed in [
            "10.0.0.6:40000",
            "bob@10.0.0.6:40000",
            "BOB",
            "[::ffff:10.0.0.6]:40000",
        ] {
            assert_eq!(found(&roster, typed), Ok("Bob@10.0.0.6:40000".into()), "{typed}");
        }
    }

    #[test]
    fn absence_and_ambiguity_differ() {
        let mut roster = roster();
        assert_eq!(found(&roster, "carol"), Err(Unresolved::Nobody));
        let id = "10.0.0.9:1".parse().unwrap();
        assert_eq!(found(&roster, "10.0.0.9:1"), Err(Unresolved::NotHere(id)));
        assert!(matches!(
            found(&roster, "carol@10.0.0.6:40000"),
            Err(Unresolved::Renamed(_))
        ));
        roster.announce(named("ALICE@10.0.0.8:1", None), &OWN);
        assert!(matches!(found(&roster, "alice"), Err(Unresolved::Several(..))));
        assert_eq!(found(&roster, "alice@10.0.0.8:1"), Ok("ALICE@10.0.0.8:1".into()));
    }

    #[test]
    fn users_and_trusted_keys_have_limits() {
        let mut roster = Roster::default();
        for number in 0..=u32::try_from(USERS_MAX).unwrap() {
            let ip = std::net::Ipv4Addr::from_bits(number);
            let profile = Profile {
                who: UserId::from(SocketAddr::from((ip, 1))).into(),
                udp: None,
                key: Some(key_of(number).into()),
            };
            roster.announce(profile, &OWN);
        }
        assert_eq!(
            (roster.users().count(), roster.holders.len()),
            (USERS_MAX, KEYS_MAX)
        );
        let last = roster.users().last().unwrap().who.id;
        assert_eq!(roster.trust(last), Some(KeyTrust::Rejected));
    }
}
