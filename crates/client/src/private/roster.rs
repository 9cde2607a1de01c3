//! Who is here, and whose key is whose, as far as private messages need to know.

use super::event::Warning;
use chat_proto::id::UserId;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::Profile;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// Users that are kept track of: 65,536 x about 200 bytes = 13 MB. Nothing private is exchanged with further ones.
const USERS_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Roster {
    users: BTreeMap<UserId, User>,
    /// The user that has each key.
    holders: BTreeMap<PublicKey, UserId>,
    /// Those who announced it too, where there are any: just those whose standing is [`Standing::Claims`].
    claimants: BTreeMap<PublicKey, BTreeSet<UserId>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) standing: Standing,
    /// Where datagrams for this user go, if the server said.
    pub(super) udp: Option<SocketAddr>,
    /// Known from an earlier connection to the server, and not yet named again on this one.
    is_stale: bool,
}

/// How a user may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// In the clear.
    Plain,
    /// Sealed for this key.
    Keyed(PublicKey),
    /// Not at all, as long as somebody else who came before has the same key.
    Claims(PublicKey),
    /// Not at all.
    Refused,
}

/// What a change of the roster means.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// This key has no user any more, who was this one; `true` if that is because it changed while the user was here.
    pub(super) gone: Option<(PublicKey, UserId, bool)>,
    pub(super) warning: Option<Warning>,
}

impl Roster {
    pub(super) fn get(&self, id: UserId) -> Option<&User> {
        self.users.get(&id)
    }

    /// The user that has a key.
    pub(super) fn holder(&self, key: &PublicKey) -> Option<UserId> {
        self.holders.get(key).copied()
    }

    /// Where datagrams for a user go.
    pub(super) fn address(&self, id: UserId) -> Option<SocketAddr> {
        self.users.get(&id)?.udp.or_else(|| id.private_address())
    }

    /// A user is here, or is here with something else than before. `own` is this client's key.
    pub(super) fn here(&mut self, profile: &Profile, own: &PublicKey) -> Change {
        let id = profile.who.id;
        let mut change = Change::default();
        if let Some(user) = self.users.get_mut(&id) {
            let same = user.standing.key() == profile.key && user.standing != Standing::Refused;
            if same || user.standing == Standing::Refused && !user.is_stale {
                user.udp = profile.udp;
                user.is_stale = false;
                return change;
            }
            let changed = !user.is_stale && user.standing.key().is_some();
            change = self.left(id);
            if changed {
                if let Some((_, _, key_changed)) = &mut change.gone {
                    *key_changed = true;
                }
                change.warning = Some(Warning::KeyChanged(id));
                self.insert(profile, Standing::Refused);
                return change;
            }
        }
        if self.users.len() >= USERS_MAX {
            return change;
        }
        let standing = match profile.key {
            None => Standing::Plain,
            Some(key) if key == *own => {
                change.warning = Some(Warning::UnusableKey(id));
                Standing::Refused
            }
            Some(key) => self.claim(id, key, &mut change),
        };
        self.insert(profile, standing);
        change
    }

    /// A user's datagrams go elsewhere from now on.
    pub(super) fn moved(&mut self, id: UserId, udp: SocketAddr) -> Option<&User> {
        let user = self.users.get_mut(&id)?;
        user.udp = Some(udp);
        Some(user)
    }

    /// A user left. Whoever else announced the same key has it now: a client that lost its connection and is
    /// back under another id, before the server noticed.
    pub(super) fn left(&mut self, id: UserId) -> Change {
        let mut change = Change::default();
        match self.users.remove(&id).map(|user| user.standing) {
            Some(Standing::Keyed(key)) => {
                self.holders.remove(&key);
                if !self.bequeath(key) {
                    change.gone = Some((key, id, false));
                }
            }
            Some(Standing::Claims(key)) => {
                self.take_claim(&key, |claimants| claimants.remove(&id));
            }
            Some(Standing::Plain | Standing::Refused) | None => {}
        }
        change
    }

    /// Gives a key that nobody has to one of those who announced it too: whether there was one.
    fn bequeath(&mut self, key: PublicKey) -> bool {
        let Some(heir) = self.take_claim(&key, BTreeSet::pop_first).flatten() else {
            return false;
        };
        if let Some(user) = self.users.get_mut(&heir) {
            user.standing = Standing::Keyed(key);
        }
        self.holders.insert(key, heir);
        true
    }

    /// Takes somebody out of those who announced a key too.
    fn take_claim<T>(&mut self, key: &PublicKey, take: impl FnOnce(&mut BTreeSet<UserId>) -> T) -> Option<T> {
        let claimants = self.claimants.get_mut(key)?;
        let taken = take(claimants);
        if claimants.is_empty() {
            self.claimants.remove(key);
        }
        Some(taken)
    }

    /// The connection to the server is a new one: nobody is known to be here until named again.
    pub(super) fn doubt_all(&mut self) {
        self.users.values_mut().for_each(|user| user.is_stale = true);
    }

    /// Those who were not named again.
    pub(super) fn stale(&self) -> Vec<UserId> {
        let stale = self.users.iter().filter(|(_, user)| user.is_stale);
        stale.map(|(id, _)| *id).collect()
    }

    fn insert(&mut self, profile: &Profile, standing: Standing) {
        let user = User {
            standing,
            udp: profile.udp,
            is_stale: false,
        };
        self.users.insert(profile.who.id, user);
    }

    /// Gives a key to a user, unless another who is here has it.
    fn claim(&mut self, id: UserId, key: PublicKey, change: &mut Change) -> Standing {
        if let Some(holder) = self.holder(&key).filter(|holder| *holder != id) {
            let is_stale = self.users.get(&holder).is_some_and(|holder| holder.is_stale);
            if !is_stale {
                change.warning = Some(Warning::KeyTaken(id, holder));
                self.claimants.entry(key).or_default().insert(id);
                return Standing::Claims(key);
            }
            self.users.remove(&holder);
        }
        self.holders.insert(key, id);
        Standing::Keyed(key)
    }
}

impl Standing {
    fn key(&self) -> Option<PublicKey> {
        match self {
            Self::Keyed(key) | Self::Claims(key) => Some(*key),
            Self::Plain | Self::Refused => None,
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
            key,
        }
    }

    fn standing(roster: &Roster, port: u16) -> Standing {
        roster.get(id(port)).unwrap().standing
    }

    #[test]
    fn a_reused_id_has_the_new_key_and_the_old_one_is_gone() {
        let mut roster = Roster::default();
        roster.here(&profile(1, Some(A)), &OWN);
        assert_eq!(roster.left(id(1)).gone, Some((A, id(1), false)));
        assert_eq!(roster.here(&profile(1, Some(B)), &OWN), Change::default());
        assert_eq!(standing(&roster, 1), Standing::Keyed(B));
        assert_eq!(roster.holder(&A), None);
    }

    #[test]
    fn a_key_that_changes_while_its_user_is_here_is_refused_until_the_user_leaves() {
        let mut roster = Roster::default();
        roster.here(&profile(1, Some(A)), &OWN);
        for other in [Some(B), None, Some(A)] {
            let change = roster.here(&profile(1, other), &OWN);
            let first = other == Some(B);
            assert_eq!(change.gone, first.then_some((A, id(1), true)));
            assert_eq!(change.warning, first.then_some(Warning::KeyChanged(id(1))));
            assert_eq!(standing(&roster, 1), Standing::Refused);
        }
        roster.left(id(1));
        roster.here(&profile(1, Some(B)), &OWN);
        assert_eq!(standing(&roster, 1), Standing::Keyed(B));
    }

    #[test]
    fn who_is_announced_anew_with_the_same_key_is_still_there_and_perhaps_elsewhere() {
        let mut roster = Roster::default();
        let before = profile(1, Some(A));
        let udp = Some(SocketAddr::from(([10, 0, 0, 9], 9)));
        roster.here(&before, &OWN);
        assert_eq!(roster.here(&before, &OWN), Change::default());
        assert_eq!(roster.here(&Profile { udp, ..before }, &OWN), Change::default());
        assert_eq!(standing(&roster, 1), Standing::Keyed(A));
        assert_eq!(roster.address(id(1)), udp);
        roster.here(&profile(2, None), &OWN);
        assert_eq!(roster.here(&profile(2, None), &OWN), Change::default());
        assert_eq!(standing(&roster, 2), Standing::Plain);
    }

    #[test]
    fn a_user_taken_for_a_plain_one_may_turn_out_to_have_a_key() {
        let mut roster = Roster::default();
        roster.here(&profile(1, None), &OWN);
        assert_eq!(roster.here(&profile(1, Some(A)), &OWN), Change::default());
        assert_eq!(standing(&roster, 1), Standing::Keyed(A));
    }

    #[test]
    fn a_key_belongs_to_who_had_it_first_and_is_inherited() {
        let mut roster = Roster::default();
        roster.here(&profile(1, Some(A)), &OWN);
        let change = roster.here(&profile(2, Some(A)), &OWN);
        assert_eq!(change.warning, Some(Warning::KeyTaken(id(2), id(1))));
        assert_eq!(standing(&roster, 2), Standing::Claims(A));
        assert_eq!(roster.left(id(1)), Change::default());
        assert_eq!(standing(&roster, 2), Standing::Keyed(A));
        assert_eq!(roster.holder(&A), Some(id(2)));
    }

    #[test]
    fn a_claim_ends_with_its_user() {
        let mut roster = Roster::default();
        for port in 1..5 {
            roster.here(&profile(port, Some(A)), &OWN);
        }
        roster.left(id(2));
        assert_eq!(roster.left(id(1)), Change::default());
        assert_eq!(standing(&roster, 3), Standing::Keyed(A));
        // Who announces another key now was not believed yet, and is.
        let change = roster.here(&profile(4, Some(B)), &OWN);
        assert_eq!(change.warning, Some(Warning::KeyChanged(id(4))));
        assert_eq!(roster.left(id(3)).gone, Some((A, id(3), false)));
        assert!(roster.claimants.is_empty());
    }

    #[test]
    fn sixty_thousand_who_claim_one_key_leave_in_no_time() {
        let mut roster = Roster::default();
        let user = |number: u32| Profile {
            who: UserId::from(SocketAddr::from((std::net::Ipv4Addr::from_bits(number), 1))).into(),
            udp: None,
            key: Some(if number.is_multiple_of(2) {
                A
            } else {
                key_of(number)
            }),
        };
        let users: Vec<Profile> = (0..60_000).map(user).collect();
        let began = std::time::Instant::now();
        for user in &users {
            roster.here(user, &OWN);
        }
        for user in &users {
            roster.left(user.who.id);
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
    fn after_a_reconnection_the_same_key_may_be_under_another_id_and_another_key_under_the_same() {
        let mut roster = Roster::default();
        roster.here(&profile(1, Some(A)), &OWN);
        roster.here(&profile(2, Some(B)), &OWN);
        roster.doubt_all();
        assert_eq!(roster.here(&profile(3, Some(A)), &OWN), Change::default());
        assert_eq!(
            roster.here(&profile(1, Some(Opaque([3; 32]))), &OWN),
            Change::default()
        );
        assert_eq!(roster.stale(), [id(2)]);
        assert_eq!(roster.holder(&A), Some(id(3)));
    }

    #[test]
    fn nobody_else_has_this_clients_own_key() {
        let mut roster = Roster::default();
        let change = roster.here(&profile(1, Some(OWN)), &OWN);
        assert_eq!(change.warning, Some(Warning::UnusableKey(id(1))));
        assert_eq!(standing(&roster, 1), Standing::Refused);
    }
}
