//! Who is here, and how they are reached.

use chat_proto::id::UserId;
use chat_proto::nick::{Nick, NickKey};
use chat_proto::rich::Profile;
use chat_proto::who::Who;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::net::SocketAddr;

/// Users that are kept, far more than one room holds, so that a hostile server can't fill the
/// memory: 100,000 profiles of at most a few hundred bytes.
const USERS_MAX: usize = 100_000;

/// The users that the server told of.
#[derive(Debug, Default)]
pub struct Roster {
    users: BTreeMap<UserId, User>,
    /// Whose UDP address this is; almost always one user's.
    by_udp: HashMap<SocketAddr, BTreeSet<UserId>>,
}

#[derive(Debug)]
struct User {
    profile: Profile,
    key: Option<NickKey>,
}

impl Roster {
    /// Takes a user in, or takes over what is new about one.
    pub(super) fn insert(&mut self, profile: Profile) {
        let id = profile.who.id;
        if self.users.len() >= USERS_MAX && !self.users.contains_key(&id) {
            return;
        }
        self.remove(id);
        if let Some(udp) = profile.udp {
            self.by_udp.entry(udp).or_default().insert(id);
        }
        let key = profile.who.nick.as_ref().map(Nick::key);
        self.users.insert(id, User { profile, key });
    }

    /// Takes a user in of whom only the id is known, unless more is known already.
    pub(super) fn insert_bare(&mut self, id: UserId) {
        if !self.users.contains_key(&id) {
            self.insert(bare(id));
        }
    }

    /// Lets a user go.
    pub(super) fn remove(&mut self, id: UserId) {
        let Some(user) = self.users.remove(&id) else {
            return;
        };
        let Some(udp) = user.profile.udp else {
            return;
        };
        if let Some(ids) = self.by_udp.get_mut(&udp) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_udp.remove(&udp);
            }
        }
    }

    /// Lets everybody go.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives a user another nick.
    pub(super) fn rename(&mut self, id: UserId, nick: Nick) {
        if let Some(user) = self.users.get_mut(&id) {
            user.key = Some(nick.key());
            user.profile.who.nick = Some(nick);
        }
    }

    /// Gives a user another UDP address.
    pub(super) fn readdress(&mut self, id: UserId, udp: SocketAddr) {
        if let Some(profile) = self.get(id).cloned() {
            self.insert(Profile {
                udp: Some(udp),
                ..profile
            });
        }
    }

    /// The user with this id.
    #[must_use]
    pub fn get(&self, id: UserId) -> Option<&Profile> {
        self.users.get(&id).map(|user| &user.profile)
    }

    /// How many are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Everybody who is here, ordered by id.
    pub fn users(&self) -> impl Iterator<Item = &Profile> {
        self.users.values().map(|user| &user.profile)
    }

    /// The one user whose datagrams come from this address: the one who announced it, or, if nobody did,
    /// the one who announced none and whose it is by the port-pair rule. Nobody, if several announced it.
    #[must_use]
    pub fn behind(&self, source: SocketAddr) -> Option<&Profile> {
        let Some(announced_by) = self.by_udp.get(&source) else {
            return self
                .get(UserId::from_private_address(source)?)
                .filter(|profile| profile.udp.is_none());
        };
        let id = announced_by.first().filter(|_| announced_by.len() == 1)?;
        self.get(*id)
    }

    /// The user that a person means: by id, by `nick@id`, or by nick.
    ///
    /// # Errors
    /// Why it is nobody, or not clearly one.
    pub fn resolve(&self, typed: &str) -> Result<&Profile, Unresolved> {
        let Ok(who) = typed.parse::<Who>() else {
            return self.resolve_nick(typed);
        };
        let profile = self.get(who.id).ok_or(Unresolved::NotHere(who.id))?;
        // The id may be somebody else's by now.
        if who.nick.is_some() && who.nick.as_ref().map(Nick::key) != profile.who.nick.as_ref().map(Nick::key)
        {
            return Err(Unresolved::Renamed(profile.who.clone()));
        }
        Ok(profile)
    }

    fn resolve_nick(&self, typed: &str) -> Result<&Profile, Unresolved> {
        let key = NickKey::of(typed);
        let mut found = self.users.values().filter(|user| user.key.as_ref() == Some(&key));
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

/// All that is known of a user of whom only the id is known.
pub(super) fn bare(id: UserId) -> Profile {
    Profile {
        who: Who::from(id),
        udp: None,
        key: None,
    }
}

/// Why what was typed is nobody, or not clearly one.
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
            Self::Several(first, second) => write!(f, "that may be {first} or {second}: write which"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(who: &str, udp: Option<&str>) -> Profile {
        Profile {
            who: who.parse().unwrap(),
            udp: udp.map(|udp| udp.parse().unwrap()),
            key: None,
        }
    }

    fn roster() -> Roster {
        let mut roster = Roster::default();
        roster.insert(profile("alice@10.0.0.5:50312", Some("10.0.0.5:50313")));
        roster.insert(profile("Bob@10.0.0.6:40000", None));
        roster.insert(profile("10.0.0.7:40000", Some("10.0.0.7:9")));
        roster
    }

    fn found(roster: &Roster, typed: &str) -> Result<String, Unresolved> {
        roster.resolve(typed).map(|profile| profile.who.to_string())
    }

    #[test]
    fn sixty_thousand_behind_one_address_leave_in_no_time() {
        let mut roster = Roster::default();
        let user = |number: u32| Profile {
            who: UserId::from(SocketAddr::from((std::net::Ipv4Addr::from_bits(number), 1))).into(),
            udp: Some(([10, 0, 0, 5], 50313).into()),
            key: None,
        };
        let users: Vec<Profile> = (1..=60_000).map(user).collect();
        let began = std::time::Instant::now();
        // Told of twice, each is let go once in between.
        for user in users.iter().chain(&users) {
            roster.insert(user.clone());
        }
        assert_eq!(roster.len(), users.len());
        for user in &users {
            roster.remove(user.who.id);
        }
        assert_eq!((roster.len(), roster.by_udp.len()), (0, 0));
        // To look through all of them for each takes minutes.
        assert!(began.elapsed() < std::time::Duration::from_secs(10));
    }

    #[test]
    fn a_user_is_found_by_id_by_both_and_by_nick_in_any_case() {
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
    fn absence_and_ambiguity_are_told_apart() {
        let mut roster = roster();
        assert_eq!(found(&roster, "carol"), Err(Unresolved::Nobody));
        let id = "10.0.0.9:1".parse().unwrap();
        assert_eq!(found(&roster, "10.0.0.9:1"), Err(Unresolved::NotHere(id)));
        assert!(matches!(
            found(&roster, "carol@10.0.0.6:40000"),
            Err(Unresolved::Renamed(_))
        ));
        roster.insert(profile("ALICE@10.0.0.8:1", None));
        assert!(matches!(found(&roster, "alice"), Err(Unresolved::Several(..))));
        assert_eq!(found(&roster, "alice@10.0.0.8:1"), Ok("ALICE@10.0.0.8:1".into()));
    }

    #[test]
    fn a_datagram_is_from_who_announced_the_address_or_has_it_by_the_rule() {
        let mut roster = roster();
        let behind = |roster: &Roster, source: &str| {
            let profile = roster.behind(source.parse().unwrap());
            profile.map(|profile| profile.who.id.to_string())
        };
        assert_eq!(
            behind(&roster, "10.0.0.5:50313").as_deref(),
            Some("10.0.0.5:50312")
        );
        assert_eq!(
            behind(&roster, "10.0.0.6:40001").as_deref(),
            Some("10.0.0.6:40000")
        );
        assert_eq!(behind(&roster, "10.0.0.7:9").as_deref(), Some("10.0.0.7:40000"));
        // Who announced another address does not send from the one by the rule.
        assert_eq!(behind(&roster, "10.0.0.7:40001"), None);
        assert_eq!(behind(&roster, "10.0.0.5:50312"), None);

        roster.insert(profile("10.0.0.5:777", Some("10.0.0.5:50313")));
        assert_eq!(behind(&roster, "10.0.0.5:50313"), None, "two announced it");
        roster.remove("10.0.0.5:777".parse().unwrap());
        assert_eq!(
            behind(&roster, "10.0.0.5:50313").as_deref(),
            Some("10.0.0.5:50312")
        );
        roster.readdress("10.0.0.5:50312".parse().unwrap(), "1.2.3.4:5".parse().unwrap());
        assert_eq!(behind(&roster, "10.0.0.5:50313"), None);
        assert_eq!(behind(&roster, "1.2.3.4:5").as_deref(), Some("10.0.0.5:50312"));
    }

    #[test]
    fn the_roster_takes_no_more_than_its_limit() {
        let mut roster = Roster::default();
        for number in 0..=u32::try_from(USERS_MAX).unwrap() {
            let ip = std::net::Ipv4Addr::from_bits(number);
            roster.insert_bare(UserId::from(SocketAddr::from((ip, 1))));
        }
        assert_eq!(roster.len(), USERS_MAX);
    }
}
