//! All connections, and how a user is found.

use crate::compact::Addr;
use crate::member::{Client, Member, Stage, Unsealed};
use crate::network::Network;
use chat_noise::rendezvous::Request;
use chat_proto::id::UserId;
use chat_proto::nick::{Nick, NickKey, Skeleton};
use chat_proto::opaque::{PublicKey, Token};
use chat_proto::who::Who;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// The number of a connection, from when it is accepted until it is closed.
pub type Slot = usize;

/// A token for the member in this slot: the slot, and twelve bytes of the secret.
#[must_use]
pub fn token_for(slot: Slot, secret: Token) -> Token {
    let mut token = secret;
    for (byte, digit) in token.0.iter_mut().zip(number(slot).to_be_bytes()) {
        *byte = digit;
    }
    token
}

/// A slot in four bytes. Each has a descriptor, and no system has more than 2 to the 31st of them.
fn number(slot: Slot) -> u32 {
    u32::try_from(slot).unwrap_or(u32::MAX)
}

/// Every connection, and indexes of those that stay.
///
/// Invariant: the indexes hold exactly the members with [`Member::is_staying`]. Queued members are counted apart.
#[derive(Debug, Default)]
pub struct Roster {
    slots: Vec<Option<Member>>,
    free: Vec<Slot>,
    /// Members that stay and have a place.
    staying: usize,
    /// Members that wait for a place.
    queued: usize,
    /// Members that stay and sent `HELLO`.
    rich: usize,
    /// Members that speak the plain dialect or have sent nothing yet, leaving ones included.
    plain: usize,
    /// In the order of their addresses. Sorted slots take 4 to 8 bytes for each user, where a hash table with the
    /// addresses takes 41.
    by_id: Vec<u32>,
    /// Users that have a key, in the order of their keys; no two have the same.
    by_key: Vec<u32>,
    /// The looks of all nicks, each with its only holder.
    by_look: HashMap<Skeleton, Slot>,
    /// How many have a place from each network.
    by_network: HashMap<Network, usize>,
}

impl Roster {
    /// How many stay and have a place.
    #[must_use]
    pub fn staying(&self) -> usize {
        self.staying
    }

    /// How many wait for a place.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// How many have left and are still connected.
    #[must_use]
    pub fn leaving(&self) -> usize {
        self.connections() - self.staying - self.queued
    }

    /// Whether there is any connection that a client could take the place of.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.rich > 0
    }

    /// Whether anybody reads the plain dialect.
    #[must_use]
    pub fn has_plain(&self) -> bool {
        self.plain > 0
    }

    /// How many connections there are, leaving ones included.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// How many have a place from the network of this address.
    #[must_use]
    pub fn staying_from(&self, address: IpAddr) -> usize {
        self.by_network
            .get(&Network::of(address))
            .copied()
            .unwrap_or_default()
    }

    /// One past the highest slot in use.
    #[must_use]
    pub fn end(&self) -> Slot {
        self.slots.len()
    }

    /// The member in a slot.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Member> {
        self.slots.get(slot)?.as_ref()
    }

    /// The member in a slot, to change.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Member> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// The member in a slot, to change, if it is not leaving.
    pub fn staying_mut(&mut self, slot: Slot) -> Option<&mut Member> {
        self.get_mut(slot).filter(|member| member.is_staying())
    }

    /// All members with their slots, from this slot on.
    pub fn iter_from(&self, from: Slot) -> impl Iterator<Item = (Slot, &Member)> {
        let slots = self.slots.get(from..).unwrap_or_default();
        slots
            .iter()
            .enumerate()
            .filter_map(move |(index, member)| Some((from + index, member.as_ref()?)))
    }

    /// All members, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Slot, &mut Member)> {
        self.slots
            .iter_mut()
            .enumerate()
            .filter_map(|(slot, member)| Some((slot, member.as_mut()?)))
    }

    /// Adds a member, and indexes it if it stays.
    pub fn add(&mut self, member: Member) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.plain += usize::from(member.client.is_none());
        if member.is_staying()
            && let Err(place) = self.place_of_id(member.address)
        {
            self.by_id.insert(place, number(slot));
        }
        match member.stage {
            Stage::Handshake(_) | Stage::Joined | Stage::Probing(_) => self.count(member.id()),
            Stage::Queued(_) => self.queued += 1,
            Stage::Sealing(..) | Stage::Leaving(_) => {}
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(member);
        }
        slot
    }

    /// Gives a queued member a place.
    pub fn admit(&mut self, slot: Slot) {
        let Some(member) = self.get_mut(slot) else { return };
        if let Stage::Queued(since) = member.stage {
            member.stage = Stage::Handshake(since);
            let id = member.id();
            self.queued -= 1;
            self.count(id);
        }
    }

    fn count(&mut self, id: UserId) {
        self.staying += 1;
        *self.by_network.entry(Network::of(id.address().ip())).or_default() += 1;
    }

    /// Removes a member that stays from the indexes. It keeps its slot until [`Roster::remove`], and is sent what it is
    /// owed until this time.
    pub fn detach(&mut self, slot: Slot, until: Duration) {
        self.unsort(slot);
        let Some(member) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        let stage = std::mem::replace(&mut member.stage, Stage::Leaving(until.into()));
        for look in member.nick().iter().flat_map(Nick::skeletons) {
            self.by_look.remove(&look);
        }
        self.rich -= usize::from(member.rich().is_some());
        if let Stage::Queued(_) | Stage::Sealing(Unsealed::Queued, _) = stage {
            self.queued -= 1;
            return;
        }
        self.staying -= 1;
        let network = Network::of(member.id().address().ip());
        if let Some(count) = self.by_network.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.by_network.remove(&network);
            }
        }
    }

    /// Removes a member from the sorted indexes.
    fn unsort(&mut self, slot: Slot) {
        let Some(member) = self.get(slot) else { return };
        let (address, key) = (member.address, member.rich().and(member.key()));
        if let Ok(place) = self.place_of_id(address) {
            self.by_id.remove(place);
        }
        if let Some(Ok(place)) = key.map(|key| self.place_of_key(key)) {
            self.by_key.remove(place);
        }
    }

    /// Where the slot of this address is in `by_id`, or belongs.
    fn place_of_id(&self, address: Addr) -> Result<usize, usize> {
        self.by_id
            .binary_search_by_key(&Some(address), |&slot| Some(self.numbered(slot)?.address))
    }

    /// Where the slot of this key is in `by_key`, or belongs.
    fn place_of_key(&self, key: PublicKey) -> Result<usize, usize> {
        self.by_key
            .binary_search_by_key(&Some(key), |&slot| self.numbered(slot)?.key())
    }

    fn numbered(&self, slot: u32) -> Option<&Member> {
        self.get(Slot::try_from(slot).ok()?)
    }

    /// Forgets a connection, which frees its slot.
    pub fn remove(&mut self, slot: Slot) {
        if let Some(member) = self.slots.get_mut(slot).and_then(Option::take) {
            self.plain -= usize::from(member.client.is_none());
            self.free.push(slot);
        }
    }

    /// The user with this nick.
    #[must_use]
    pub fn with_nick(&self, key: &NickKey) -> Option<Slot> {
        let slot = *self.by_look.get(&key.skeleton())?;
        (self.get(slot)?.nick()?.key() == *key).then_some(slot)
    }

    /// Another user, whose nick is this one or looks like it.
    #[must_use]
    pub fn with_look_of(&self, nick: &Nick, except: Slot) -> Option<Slot> {
        let mut holders = nick
            .skeletons()
            .filter_map(|look| self.by_look.get(&look).copied());
        holders.find(|&holder| holder != except)
    }

    /// The user with this id.
    #[must_use]
    pub fn with_id(&self, id: UserId) -> Option<Slot> {
        let place = self.place_of_id(id.address().into()).ok()?;
        Slot::try_from(*self.by_id.get(place)?).ok()
    }

    /// The user with this key.
    #[must_use]
    pub fn with_key(&self, key: &PublicKey) -> Option<Slot> {
        let place = self.place_of_key(*key).ok()?;
        Slot::try_from(*self.by_key.get(place)?).ok()
    }

    /// The connection whose token made this request, and the token. The request names its slot, so that no index is needed.
    #[must_use]
    pub fn with_rendezvous(&self, request: &Request<'_>) -> Option<(Slot, Token)> {
        let slot = Slot::try_from(u32::from_be_bytes(request.id)).ok()?;
        let member = self.get(slot).filter(|member| member.is_staying())?;
        let token = member.rendezvous()?;
        request.is_of(&token).then_some((slot, token))
    }

    /// The user with this id, this nick, or both.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Slot> {
        if let Ok(who) = name.parse::<Who>() {
            let slot = self.with_id(who.id)?;
            let same = who
                .nick
                .is_none_or(|nick| self.with_nick(&nick.key()) == Some(slot));
            return same.then_some(slot);
        }
        self.with_nick(&NickKey::of(name))
    }

    /// Gives a member a nick that looks like nobody else's.
    pub fn rename(&mut self, slot: Slot, nick: Nick) {
        let Some(member) = self.slots.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        for look in member.nick().iter().flat_map(Nick::skeletons) {
            self.by_look.remove(&look);
        }
        self.by_look.extend(nick.skeletons().map(|look| (look, slot)));
        let who = Who {
            nick: Some(nick),
            id: member.id(),
        };
        member.set_label(who.to_string());
    }

    /// Takes note that a member speaks the rich dialect. No other user has its key.
    pub(crate) fn upgrade(&mut self, slot: Slot, client: Client) {
        if let Some(member) = self.slots.get_mut(slot).and_then(Option::as_mut) {
            self.plain -= usize::from(member.client.is_none());
            member.client = Some(Box::new(client));
            if member.rich().is_some() {
                self.rich += 1;
                let place = member.key().map(|key| self.place_of_key(key));
                debug_assert!(!matches!(place, Some(Ok(_))), "two users have one key");
                if let Some(Err(place)) = place {
                    self.by_key.insert(place, number(slot));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{Probe, Rich};
    use crate::rate::Usage;
    use crate::secure::tests::secure_with;
    use chat_proto::opaque::Opaque;
    use std::net::SocketAddr;

    fn member(port: u16) -> Member {
        let address = SocketAddr::from(([10, 0, 0, 1], port));
        Member::new(address.into(), Duration::ZERO)
    }

    fn rich() -> Client {
        Client::Rich(Rich {
            udp: None,
            resume: Opaque([0; 16]),
            rendezvous: Opaque([1; 16]),
            progress: None,
            seq: 0,
            first: 0,
            has_answered: false,
            is_operator: false,
            away: None,
        })
    }

    fn probe() -> Client {
        Client::Probe(Probe {
            rendezvous: Opaque([2; 16]),
            usage: Usage::default(),
        })
    }

    /// Users with different keys come and go; slots are used again, and a probe or a user that has left has a key too.
    #[test]
    fn each_user_is_found_by_its_key_and_address_and_nobody_else() {
        let mut roster = Roster::default();
        let mut users: Vec<(Slot, u16, PublicKey)> = Vec::new();
        let mut random = 1_u32;
        for port in 1..600 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [first, byte, ..] = random.to_be_bytes();
            let action = first >> 5;
            let key = Opaque([byte; 32]);
            let mut newcomer = member(port);
            newcomer.secure = Some(Box::new(secure_with(key)));
            if let Some(slot) = roster.with_key(&key) {
                // The same client is back.
                roster.detach(slot, Duration::ZERO);
                users.retain(|user| user.2 != key);
                roster.remove(slot);
            }
            let slot = roster.add(newcomer);
            match action {
                0 => roster.upgrade(slot, probe()),
                1 => roster.detach(slot, Duration::ZERO),
                _ => {
                    roster.upgrade(slot, rich());
                    users.push((slot, port, key));
                }
            }
            if action > 4 {
                let (slot, port, key) = users.swap_remove(usize::from(byte) % users.len());
                roster.detach(slot, Duration::ZERO);
                assert_eq!(roster.with_key(&key), None);
                assert_eq!(roster.with_id(member(port).id()), None);
                roster.remove(slot);
            }
            for &(slot, port, key) in &users {
                assert_eq!(roster.with_key(&key), Some(slot));
                assert_eq!(roster.with_id(member(port).id()), Some(slot));
            }
            assert_eq!(roster.by_key.len(), users.len());
        }
    }

    #[test]
    #[should_panic(expected = "two users have one key")]
    fn no_two_users_have_one_key() {
        let mut roster = Roster::default();
        for port in [1, 2] {
            let mut member = member(port);
            member.secure = Some(Box::new(secure_with(Opaque([7; 32]))));
            let slot = roster.add(member);
            roster.upgrade(slot, rich());
        }
    }

    #[test]
    fn readers_of_the_plain_dialect_are_counted() {
        let mut roster = Roster::default();
        assert!(!roster.has_plain());
        let [client, doctor, person] = [1, 2, 3].map(|port| roster.add(member(port)));
        roster.upgrade(client, rich());
        roster.upgrade(doctor, probe());
        assert!(roster.has_plain());
        // A leaving user may still be owed earlier lines.
        roster.detach(person, Duration::from_secs(2));
        assert!(roster.has_plain());
        roster.remove(person);
        assert!(!roster.has_plain());
        let person = roster.add(member(3));
        assert!(roster.has_plain());
        for slot in [client, doctor] {
            roster.remove(slot);
        }
        assert!(roster.has_plain());
        roster.remove(person);
        assert!(!roster.has_plain());
    }
}
