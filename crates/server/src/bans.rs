//! Users who were shown out, for a minute or for good.

use crate::network::Network;
use chat_proto::id::UserId;
use chat_proto::nick::NickKey;
use chat_proto::opaque::PublicKey;
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// Bans at most.
pub(crate) const BANS_MAX: usize = 4096;

/// For how long a kick holds.
const KICK: Duration = Duration::from_secs(60);

/// Kicks that hold at a time, at most.
const KICKS_MAX: usize = 256;

/// How long an operator has to say a ban again.
const CONFIRM: Duration = Duration::from_secs(60);

/// A user who may not come back.
#[derive(Clone, Debug)]
pub(crate) struct Ban {
    pub(crate) key: Option<PublicKey>,
    pub(crate) network: Option<Network>,
    /// As it was called.
    pub(crate) who: Box<str>,
    pub(crate) reason: Box<str>,
}

impl Ban {
    /// Whether it is about somebody with this key at this address.
    pub(crate) fn covers(&self, key: Option<PublicKey>, address: IpAddr) -> bool {
        self.key.is_some() && self.key == key || self.network.is_some_and(|network| network.contains(address))
    }

    fn is_called(&self, name: &str) -> bool {
        let nick = self.who.split_once('@').map(|(nick, _)| nick);
        *self.who == *name
            || nick == Some(name)
            || self.network.is_some_and(|network| network.to_string() == name)
    }
}

impl fmt::Display for Ban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.map(|_| "key".to_owned());
        let marks: Vec<String> = [key, self.network.map(|network| network.to_string())]
            .into_iter()
            .flatten()
            .collect();
        write!(f, "{} ({})", self.who, marks.join(", "))?;
        if !self.reason.is_empty() {
            write!(f, ": {}", self.reason)?;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Kick {
    key: Option<PublicKey>,
    network: Network,
    nick: Option<NickKey>,
    until: Duration,
}

/// All of them.
///
/// Memory: at most [`BANS_MAX`] times a line of a client, and [`KICKS_MAX`] kicks.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    list: Vec<Ban>,
    /// The latest last.
    kicks: VecDeque<Kick>,
    /// A ban of this user was asked for, and others share its address.
    asked: Option<(UserId, Duration)>,
}

impl Bans {
    /// All bans, numbered from 1.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Ban)> {
        (1..).zip(&self.list)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= BANS_MAX
    }

    pub(crate) fn add(&mut self, ban: Ban) {
        self.list.push(ban);
    }

    /// Lifts the ban of this number, or those with this name or address.
    pub(crate) fn lift(&mut self, which: &str) -> Vec<Ban> {
        let number: Option<usize> = which.parse().ok();
        let mut place = 0;
        let meant = |ban: &mut Ban| {
            place += 1;
            number.map_or_else(|| ban.is_called(which), |number| number == place)
        };
        self.list.extract_if(.., meant).collect()
    }

    /// Whether somebody with this key at this address is banned.
    pub(crate) fn has(&self, key: Option<PublicKey>, address: IpAddr) -> bool {
        self.list.iter().any(|ban| ban.covers(key, address))
    }

    /// Keeps a user out for a minute.
    pub(crate) fn kick(
        &mut self,
        now: Duration,
        key: Option<PublicKey>,
        address: IpAddr,
        nick: Option<NickKey>,
    ) {
        self.kicks.retain(|kick| kick.until > now);
        if self.kicks.len() >= KICKS_MAX {
            self.kicks.pop_front();
        }
        let (network, until) = (Network::of(address), now + KICK);
        self.kicks.push_back(Kick {
            key,
            network,
            nick,
            until,
        });
    }

    /// Whether somebody with this key, or with this nick at this address, was kicked within the last minute.
    pub(crate) fn is_kicked(
        &self,
        now: Duration,
        key: Option<PublicKey>,
        address: IpAddr,
        nick: Option<&NickKey>,
    ) -> bool {
        let network = Network::of(address);
        let mut kicks = self.kicks.iter().filter(|kick| kick.until > now);
        kicks.any(|kick| {
            let same_nick = nick.is_some() && kick.nick.as_ref() == nick && kick.network == network;
            key.is_some() && kick.key == key || same_nick
        })
    }

    /// Whether this user's ban is asked for the second time.
    pub(crate) fn confirms(&mut self, now: Duration, user: UserId) -> bool {
        let asked = self.asked.take();
        let confirms = asked.is_some_and(|(before, until)| before == user && until > now);
        if !confirms {
            self.asked = Some((user, now + CONFIRM));
        }
        confirms
    }
}
