//! Users who were shown out, for a minute or for good, and users who were muted.

use crate::network::Network;
use anyhow::{anyhow, bail};
use chat_proto::id::UserId;
use chat_proto::nick::NickKey;
use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// Bans and mutes at most.
pub(crate) const BANS_MAX: usize = 4096;

/// For how long a kick holds.
const KICK: Duration = Duration::from_secs(60);

/// Kicks that hold at a time, at most.
const KICKS_MAX: usize = 256;

/// How long an operator has to say a ban again.
const CONFIRM: Duration = Duration::from_secs(60);

/// What a user may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Come back.
    Ban,
    /// Say anything to the room, until this time if there is one.
    Mute(Option<Duration>),
}

impl Kind {
    fn is_mute(self) -> bool {
        matches!(self, Self::Mute(_))
    }

    pub(crate) fn is_over(self, now: Duration) -> bool {
        matches!(self, Self::Mute(Some(until)) if until <= now)
    }
}

/// A user who may not come back, or not speak.
#[derive(Clone, Debug)]
pub(crate) struct Ban {
    pub(crate) kind: Kind,
    pub(crate) key: Option<PublicKey>,
    pub(crate) network: Option<Network>,
    /// As it was called, if that is known.
    pub(crate) who: Box<str>,
    /// Why, by whom and when.
    pub(crate) note: Box<str>,
}

impl Ban {
    /// Whether it is about somebody with this key at this address.
    pub(crate) fn covers(&self, key: Option<PublicKey>, address: IpAddr) -> bool {
        self.key.is_some() && self.key == key
            || !address.is_loopback() && self.network.is_some_and(|network| network.contains(address))
    }

    /// What to call it.
    pub(crate) fn name(&self) -> String {
        match (&*self.who, self.key, self.network) {
            ("", _, Some(network)) => network.to_string(),
            ("", Some(key), _) => key.to_string(),
            (who, ..) => who.to_owned(),
        }
    }

    /// Its line in a file.
    pub(crate) fn to_line(&self) -> String {
        let key = self.key.map(|key| key.to_string());
        let network = self.network.map(|network| network.to_string());
        let who = Some(&self.who).filter(|who| !who.is_empty());
        let who = who.map(|who| format!("{who}: "));
        let note = format!("# {}{}", who.unwrap_or_default(), self.note);
        let words = [key, network, Some(note)].into_iter().flatten();
        words.collect::<Vec<_>>().join(" ").trim_end().to_owned() + "\n"
    }

    fn is_called(&self, name: &str) -> bool {
        let nick = self.who.split_once('@').map(|(nick, _)| nick);
        let is_key = self.key.is_some_and(|key| key.to_string() == name);
        is_key
            || *self.who == *name
            || nick == Some(name)
            || self.network.is_some_and(|network| network.to_string() == name)
    }
}

/// A ban as a line of a file: what is banned, and what people want to know of it behind a `#`.
impl FromStr for Ban {
    type Err = &'static str;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let (marks, note) = line.split_once('#').unwrap_or((line, ""));
        let (mut key, mut network) = (None, None);
        for mark in marks.split_whitespace() {
            let before = if let Ok(named) = mark.parse::<PublicKey>() {
                key.replace(named)
                    .map(|_| "a ban has one key; write one line for each")
            } else if let Ok(named) = mark.parse::<Network>() {
                network
                    .replace(named)
                    .map(|_| "a ban has one network; write one line for each")
            } else {
                Some(
                    "expected a key of 43 characters, an address or a network such as 10.0.0.0/8, and a note behind a #",
                )
            };
            before.map_or(Ok(()), Err)?;
        }
        if key.is_none() && network.is_none() {
            return Err("expected a key or a network before the #");
        }
        if network.is_some_and(Network::is_loopback) {
            return Err("loopback addresses can't be banned");
        }
        let note = Text::new(note.trim());
        // Without a note, the blank behind the name is gone.
        let alone = || Some((note.as_str().strip_suffix(':')?, ""));
        let (who, note) = match note.as_str().split_once(": ").or_else(alone) {
            Some((who, rest)) if !who.contains(' ') => (who, rest),
            _ => ("", note.as_str()),
        };
        Ok(Self {
            kind: Kind::Ban,
            key,
            network,
            who: who.into(),
            note: note.into(),
        })
    }
}

impl fmt::Display for Ban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.map(|_| "key".to_owned());
        let network = self.network.map(|network| network.to_string());
        let marks: Vec<String> = [key, network].into_iter().flatten().collect();
        write!(f, "{} ({})", self.name(), marks.join(", "))?;
        if !self.note.is_empty() {
            write!(f, ": {}", self.note)?;
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
    /// What people wrote into the file, a line each.
    comments: String,
    /// The list is another one than in the file.
    is_changed: bool,
    /// How many of them are mutes.
    mutes: usize,
    /// The latest last.
    kicks: VecDeque<Kick>,
    /// A ban of this user was asked for, and others share its address.
    asked: Option<(UserId, bool, Duration)>,
}

impl Bans {
    /// The bans in a file: one a line. Lines that begin with `#` are comments.
    ///
    /// # Errors
    /// If a line is no ban, or there are too many. Names the line.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut bans = Self::default();
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.starts_with('#') {
                bans.comments.push_str(line);
                bans.comments.push('\n');
            } else if !line.is_empty() {
                let ban = line.parse().map_err(|error| anyhow!("line {number}: {error}"))?;
                if bans.is_full() {
                    bail!("line {number}: more than {BANS_MAX} bans");
                }
                bans.list.push(ban);
            }
        }
        Ok(bans)
    }

    /// What the file has to hold, if that has changed.
    pub(crate) fn take_changes(&mut self) -> Option<String> {
        let is_changed = std::mem::take(&mut self.is_changed);
        // Mutes end with the server.
        let bans = || self.list.iter().filter(|ban| !ban.kind.is_mute());
        let lines = || bans().map(Ban::to_line);
        is_changed.then(|| self.comments.clone() + &lines().collect::<String>())
    }

    /// All bans, numbered from 1.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Ban)> {
        (1..).zip(&self.list)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= BANS_MAX
    }

    pub(crate) fn add(&mut self, ban: Ban) {
        self.mutes += usize::from(ban.kind.is_mute());
        self.is_changed |= !ban.kind.is_mute();
        self.list.push(ban);
    }

    /// Adds what an earlier run of the server has kept, as far as there is room.
    pub(crate) fn restore(&mut self, bans: impl IntoIterator<Item = Ban>) {
        for ban in bans {
            if self.is_full() {
                return;
            }
            self.mutes += usize::from(ban.kind.is_mute());
            self.list.push(ban);
        }
    }

    /// Removes the mutes that are over.
    pub(crate) fn prune(&mut self, now: Duration) {
        self.list.retain(|ban| !ban.kind.is_over(now));
        self.mutes = self.list.iter().filter(|ban| ban.kind.is_mute()).count();
    }

    /// Lifts the ban of this number, or those with this name or address.
    pub(crate) fn lift(&mut self, which: &str) -> Vec<Ban> {
        let number: Option<usize> = which.parse().ok();
        let mut place = 0;
        let meant = |ban: &mut Ban| {
            place += 1;
            let is_it = number.map_or_else(|| ban.is_called(which), |number| number == place);
            is_it && ban.kind == Kind::Ban
        };
        let lifted: Vec<Ban> = self.list.extract_if(.., meant).collect();
        self.is_changed |= !lifted.is_empty();
        lifted
    }

    /// Lifts the mutes of this name or address, and those of this user if it is here; not those of others in its network.
    pub(crate) fn unmute(&mut self, which: &str, user: Option<(Option<PublicKey>, IpAddr)>) -> Vec<Ban> {
        let meant = |ban: &mut Ban| {
            let is_own = user.is_some_and(|(key, address)| ban.key == key && ban.covers(key, address));
            ban.kind.is_mute() && (is_own || ban.is_called(which))
        };
        let lifted: Vec<Ban> = self.list.extract_if(.., meant).collect();
        self.mutes -= lifted.len();
        lifted
    }

    /// Until when somebody with this key at this address is muted, if it is.
    pub(crate) fn mute(
        &self,
        now: Duration,
        key: Option<PublicKey>,
        address: IpAddr,
    ) -> Option<Option<Duration>> {
        if self.mutes == 0 {
            return None;
        }
        let mutes = self.mutes(now, key, address).map(|(_, until)| until);
        mutes.max_by_key(|until| until.unwrap_or(Duration::MAX))
    }

    /// The mutes of somebody with this key at this address, and until when they hold.
    pub(crate) fn mutes(
        &self,
        now: Duration,
        key: Option<PublicKey>,
        address: IpAddr,
    ) -> impl Iterator<Item = (&Ban, Option<Duration>)> {
        self.list.iter().filter_map(move |ban| match ban.kind {
            Kind::Mute(until) if !ban.kind.is_over(now) && ban.covers(key, address) => Some((ban, until)),
            _ => None,
        })
    }

    /// Whether somebody with this key at this address is banned.
    pub(crate) fn has(&self, key: Option<PublicKey>, address: IpAddr) -> bool {
        let mut bans = self.list.iter().filter(|ban| ban.kind == Kind::Ban);
        bans.any(|ban| ban.covers(key, address))
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

    /// Whether this user's ban, or mute, is asked for the second time.
    pub(crate) fn confirms(&mut self, now: Duration, user: UserId, mute: bool) -> bool {
        let asked = self.asked.take();
        let confirms =
            asked.is_some_and(|(before, kind, until)| (before, kind) == (user, mute) && until > now);
        if !confirms {
            self.asked = Some((user, mute, now + CONFIRM));
        }
        confirms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk";

    #[test]
    fn a_file_of_bans_is_written_as_it_was_read() {
        let text = format!(
            "# Ask dave before you lift one.\n\
             {KEY} 10.0.0.9 # bob@10.0.0.9:5003: rude, by alice@10.0.0.7:5002 at 2026-11-27T06:25:00Z\n\
             {KEY} # eve@127.0.0.1:5004: by alice@10.0.0.7:5002 at 2026-11-27T06:25:00Z\n\
             10.0.0.0/24 # the lab next door: they flood\n\
             2001:db8::/32 #\n"
        );
        let mut bans = Bans::parse(&text).unwrap();
        assert_eq!(bans.take_changes(), None);
        let shown: Vec<String> = bans.iter().map(|(_, ban)| ban.to_string()).collect();
        assert_eq!(
            shown,
            [
                "bob@10.0.0.9:5003 (key, 10.0.0.9): rude, by alice@10.0.0.7:5002 at 2026-11-27T06:25:00Z",
                "eve@127.0.0.1:5004 (key): by alice@10.0.0.7:5002 at 2026-11-27T06:25:00Z",
                "10.0.0.0/24 (10.0.0.0/24): the lab next door: they flood",
                "2001:db8::/32 (2001:db8::/32)",
            ]
        );
        bans.add("10.9.9.9".parse().unwrap());
        assert_eq!(bans.take_changes(), Some(text.clone() + "10.9.9.9 #\n"));
        assert_eq!(bans.take_changes(), None);
        assert_eq!(bans.lift("10.9.9.9").len(), 1);
        assert_eq!(bans.take_changes(), Some(text));
        assert_eq!(bans.lift("nobody").len(), 0);
        assert_eq!(bans.take_changes(), None);
    }

    #[test]
    fn mutes_are_not_in_the_file() {
        let mut bans = Bans::parse("10.0.0.9 #\n").unwrap();
        let mut mute: Ban = "10.0.0.10 # bob@10.0.0.10:1: loud".parse().unwrap();
        mute.kind = Kind::Mute(None);
        bans.add(mute);
        assert_eq!(bans.take_changes(), None);
        let address = "10.0.0.10".parse().unwrap();
        assert_eq!(bans.mute(Duration::ZERO, None, address), Some(None));
        assert!(!bans.has(None, address));
        bans.add("10.0.0.11".parse().unwrap());
        assert_eq!(bans.take_changes(), Some("10.0.0.9 #\n10.0.0.11 #\n".into()));
        assert_eq!((bans.lift("bob").len(), bans.unmute("bob", None).len()), (0, 1));
        assert_eq!(bans.mute(Duration::ZERO, None, address), None);
    }

    #[test]
    fn a_ban_without_a_note_keeps_the_name_in_it() {
        for line in [
            "10.0.0.9 # bob@10.0.0.9:5003:\n",
            "10.0.0.9 # bob@[2001:db8::7]:5003:\n",
        ] {
            let ban: Ban = line.parse().unwrap();
            assert!(ban.is_called("bob"), "{ban:?}");
            assert_eq!(ban.to_line(), line);
        }
    }

    #[test]
    fn a_bad_line_is_named() {
        let two = format!("{KEY} {}", KEY.replace('m', "n"));
        for (line, complaint) in [
            (
                "bob",
                "line 3: expected a key of 43 characters, an address or a network",
            ),
            ("10.0.0.0/33", "line 3: expected a key of 43"),
            ("10.0.0.1, 10.0.0.2", "line 3: expected a key of 43"),
            ("10.0.0.1 10.0.0.2", "line 3: a ban has one network"),
            (two.as_str(), "line 3: a ban has one key"),
            ("127.0.0.1 # me", "line 3: loopback addresses can't be banned"),
            ("::1", "line 3: loopback addresses can't be banned"),
            ("127.0.0.0/8", "line 3: loopback addresses can't be banned"),
        ] {
            let error = Bans::parse(&format!("# ours\n10.0.0.7\n{line}\n")).unwrap_err();
            assert!(error.to_string().starts_with(complaint), "{line}: {error}");
        }
        assert!(Bans::parse(&"10.0.0.7\n".repeat(BANS_MAX)).is_ok());
        assert!(Bans::parse(&"10.0.0.7\n".repeat(BANS_MAX + 1)).is_err());
    }

    #[test]
    fn a_ban_of_everything_spares_loopback() {
        let bans = Bans::parse("0.0.0.0/0\n::/0\n").unwrap();
        for (address, is_banned) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("10.0.0.1", true),
            ("2001:db8::1", true),
        ] {
            assert_eq!(bans.has(None, address.parse().unwrap()), is_banned, "{address}");
        }
    }
}
