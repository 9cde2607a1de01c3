//! The truth by person: who wrote what, who had which address, and who was shown out. Nothing here comes from the code
//! under test, except the order in which the room accepted lines, which a recorder in the room receives at once.

use chat_proto::id::UserId;
use chat_proto::nick::Nick;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::{FromServer, Key};
use chat_proto::who::Who;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

pub(crate) type PersonNo = usize;

/// The number of a message.
pub(crate) type Word = usize;

/// A number of lines that the recorder had received.
pub(crate) type Position = usize;

/// How long a kick holds.
const KICK: Duration = Duration::from_secs(60);

/// How long a user who lost the connection may come back to a locked room.
const HELD: Duration = Duration::from_secs(45);

/// A message of a person.
pub(crate) struct Message {
    pub(crate) author: PersonNo,
    /// For whom it is: everybody, or somebody, or nobody who is there.
    pub(crate) aim: Aim,
    /// Where the room accepted it, if it did, and when.
    pub(crate) accepted: Option<(Position, Duration)>,
    /// The server started anew and did not know that it had accepted it before.
    pub(crate) is_repeated: bool,
    /// Who has said it: the author, and an insider who repeats it.
    pub(crate) voices: BTreeSet<PersonNo>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    Room,
    Private(Option<Meant>),
}

/// Whom the author means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meant {
    pub(crate) person: PersonNo,
    /// The key that the person had as the author saw it.
    pub(crate) key: Option<PublicKey>,
    /// As far as the author knows, neither name nor address ever had a key.
    pub(crate) may_be_clear: bool,
}

/// One connection of a person, and what it proves.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) person: PersonNo,
    /// `None` for a connection in the clear.
    pub(crate) key: Option<PublicKey>,
    /// Which of the room's passphrases, one after the other, it knows.
    pub(crate) phrase: usize,
}

/// A user in the room.
pub(crate) struct Stay {
    from: Position,
    until: Option<Duration>,
    pub(crate) owner: Owner,
    names: Vec<Option<Nick>>,
    /// Since when the users know its key.
    pub(crate) keyed_at: Option<Position>,
}

/// Somebody was shown out, or muted.
struct Removal {
    key: Option<PublicKey>,
    network: Option<IpAddr>,
    at: Position,
    until: Duration,
    who: String,
}

/// A room in which each user waits so long after a line.
struct Slow {
    pause: Duration,
    /// When each said something, by key, or by address.
    spoken: BTreeMap<(Option<PublicKey>, Option<UserId>), Duration>,
}

#[derive(Default)]
pub(crate) struct Truth {
    pub(crate) messages: Vec<Message>,
    pub(crate) position: Position,
    /// The nicks that each person asked for.
    nicks: Vec<BTreeSet<String>>,
    pub(crate) is_insider: Vec<bool>,
    operators: BTreeSet<PersonNo>,
    /// By address, the latest connection last.
    owners: BTreeMap<UserId, Vec<Owner>>,
    stays: BTreeMap<UserId, Vec<Stay>>,
    removals: Vec<Removal>,
    mutes: Vec<Removal>,
    /// Who may come back to the locked room.
    pub(crate) lock: Option<BTreeSet<PublicKey>>,
    slow: Option<Slow>,
    /// How often there was a new passphrase.
    phrase: usize,
    topics: BTreeSet<String>,
    /// Where the server last started anew.
    started: Position,
}

/// How a message is written, so that it is found wherever it goes.
pub(crate) fn mark(word: Word) -> String {
    format!("<{word:06}>")
}

/// The messages in these bytes.
pub(crate) fn words(bytes: &[u8]) -> Vec<Word> {
    let text = String::from_utf8_lossy(bytes);
    let number = |part: &str| {
        let (digits, _) = part.split_once('>')?;
        (digits.len() == 6).then(|| digits.parse().ok())?
    };
    text.split('<').skip(1).filter_map(number).collect()
}

// People and what they do.
impl Truth {
    pub(crate) fn add_person(&mut self, is_insider: bool) -> PersonNo {
        self.nicks.push(BTreeSet::new());
        self.is_insider.push(is_insider);
        self.nicks.len() - 1
    }

    pub(crate) fn asks_for(&mut self, person: PersonNo, nick: &str) {
        self.nicks[person].insert(nick.to_owned());
    }

    pub(crate) fn may_operate(&mut self, person: PersonNo) {
        self.operators.insert(person);
    }

    pub(crate) fn is_operator(&self, person: PersonNo) -> bool {
        self.operators.contains(&person)
    }

    /// Whether this was ever so of somebody with this name and address: without a connection, a list is of some time ago.
    pub(crate) fn was(&self, who: &Who, is: impl Fn(&Stay) -> bool) -> bool {
        let stays = self.stays.get(&who.id).into_iter().flatten();
        stays.filter(|stay| stay.names.contains(&who.nick)).any(is)
    }

    pub(crate) fn connects(&mut self, id: UserId, owner: Owner) {
        self.owners.entry(id).or_default().push(owner);
    }

    pub(crate) fn writes(&mut self, author: PersonNo, aim: Aim) -> Word {
        self.messages.push(Message {
            author,
            aim,
            accepted: None,
            is_repeated: false,
            voices: BTreeSet::from([author]),
        });
        self.messages.len() - 1
    }

    pub(crate) fn sets_topic(&mut self, text: &str) {
        self.topics.insert(text.to_owned());
    }

    /// The server starts anew, without a memory.
    pub(crate) fn starts(&mut self, now: Duration) {
        self.started = self.position;
        (self.lock, self.slow) = (None, None);
        self.mutes.clear();
        let ended = self.removals.iter_mut();
        ended.for_each(|removal| removal.until = removal.until.min(now));
        let stays = self.stays.values_mut().flatten();
        stays.for_each(|stay| _ = stay.until.get_or_insert(now));
    }

    /// The users who are in the room, and whose they are.
    pub(crate) fn here(&self) -> impl Iterator<Item = (UserId, &Stay)> {
        let stays = self
            .stays
            .iter()
            .filter_map(|(id, stays)| Some((*id, stays.last()?)));
        stays.filter(|(_, stay)| stay.until.is_none())
    }

    /// An insider repeats what is in this text.
    pub(crate) fn repeats(&mut self, person: PersonNo, text: &str) {
        for word in words(text.as_bytes()) {
            self.messages[word].voices.insert(person);
        }
    }
}

// What the room does.
impl Truth {
    /// The recorder received a line.
    pub(crate) fn record(&mut self, now: Duration, line: &str) {
        self.position += 1;
        match FromServer::parse(line) {
            Ok(FromServer::Said(_, who, text)) => self.accept(now, &who, text.as_str()),
            Ok(FromServer::Join(_, profile)) => {
                let owner = self.owner(&profile.who);
                self.may_come_in(&profile.who, owner);
                self.stays.entry(profile.who.id).or_default().push(Stay {
                    from: self.position,
                    until: None,
                    owner,
                    names: Vec::new(),
                    keyed_at: None,
                });
                self.announced(&profile.who, profile.key);
            }
            Ok(FromServer::Leave(_, who)) => {
                let stay = self.stays.get_mut(&who.id).unwrap().last_mut().unwrap();
                stay.until = Some(now);
            }
            Ok(FromServer::Topic(by, text)) => {
                let owner = self.owner(&by);
                let is_set = text.as_str().is_empty() || self.topics.contains(text.as_str());
                assert!(is_set && self.is_operator(owner.person), "{by} has set {text:?}");
            }
            Ok(FromServer::User(profile)) if self.stays.contains_key(&profile.who.id) => {
                self.announced(&profile.who, profile.key);
            }
            Ok(FromServer::Nick(_, who, nick)) => {
                let after = Who {
                    nick: Some(nick),
                    id: who.id,
                };
                self.owner(&after);
                self.announced(&after, None);
            }
            Ok(FromServer::Notice(text)) => self.act(now, text.as_str()),
            _ => {}
        }
    }

    /// Whose connection has this address now. The nick must be one that this person asked for.
    fn owner(&self, who: &Who) -> Owner {
        let owner = *self.owners[&who.id].last().unwrap();
        self.assert_asked(owner.person, who);
        owner
    }

    fn assert_asked(&self, person: PersonNo, who: &Who) {
        assert!(
            self.has_asked(person, who),
            "{who} is person {person}, who has not asked for that nick"
        );
    }

    fn has_asked(&self, person: PersonNo, who: &Who) -> bool {
        let asked = |nick: &Nick| self.nicks[person].contains(nick.as_str());
        who.nick.as_ref().is_none_or(asked)
    }

    fn announced(&mut self, who: &Who, key: Option<Key>) {
        let stay = self.stays.get_mut(&who.id).unwrap().last_mut().unwrap();
        stay.names.push(who.nick.clone());
        if let Some(key) = key {
            let own = stay.owner.key.filter(|own| key.may_be((*own).into()));
            let own = own.unwrap_or_else(|| panic!("{who} has not proven that key"));
            stay.keyed_at.get_or_insert(self.position);
            self.lock.as_mut().map(|lock| lock.insert(own));
        }
    }

    fn may_come_in(&self, who: &Who, owner: Owner) {
        assert_eq!(
            owner.phrase, self.phrase,
            "{who} comes in with another passphrase"
        );
        if let Some(lock) = &self.lock {
            let was_in = owner.key.is_some_and(|key| lock.contains(&key));
            let is_let_in = was_in || self.is_operator(owner.person);
            assert!(is_let_in, "{who} comes into the locked room");
        }
    }

    /// Whether an operator lets this user say something now. Then it counts as said.
    fn may_speak(&mut self, now: Duration, who: &Who) {
        let stay = self.stays[&who.id].last().unwrap();
        let (owner, key) = (stay.owner, stay.key());
        if self.is_operator(owner.person) {
            return;
        }
        let ip = who.id.address().ip();
        let mute = self
            .mutes
            .iter()
            .find(|mute| mute.until > now && mute.covers(key, ip));
        assert!(mute.is_none(), "{who} is muted");
        if let Some(Slow { pause, spoken }) = &mut self.slow {
            let id = Some(who.id).filter(|_| key.is_none());
            let before = spoken.insert((key, id), now);
            let is_early = before.is_some_and(|before| now < before + *pause);
            assert!(!is_early, "{who} is too fast for a slow room");
        }
    }

    fn accept(&mut self, now: Duration, who: &Who, text: &str) {
        let owner = self.owner(who);
        self.may_speak(now, who);
        let words = words(text.as_bytes());
        assert!(
            self.is_insider[owner.person] || words.len() == 1,
            "{who} has not written {text:?}"
        );
        for word in words {
            let message = &mut self.messages[word];
            assert!(
                message.voices.contains(&owner.person),
                "{who} has not written {text:?}"
            );
            if message.author == owner.person && !self.is_insider[owner.person] {
                assert_eq!(message.aim, Aim::Room, "{text:?} is said to everybody");
                message.is_repeated = message.accepted.is_some_and(|(at, _)| at <= self.started);
                assert!(
                    message.accepted.is_none() || message.is_repeated,
                    "{text:?} is said twice"
                );
                message.accepted = Some((self.position, now));
            }
        }
    }

    /// An operator did something.
    fn act(&mut self, now: Duration, text: &str) {
        let Some((by, rest)) = text
            .strip_prefix("operator ")
            .and_then(|text| text.split_once(' '))
        else {
            return;
        };
        let by: Who = by.parse().unwrap();
        let owner = self.owner(&by);
        assert!(self.is_operator(owner.person), "{by} is no operator");
        let name = |start| {
            rest.strip_prefix(start)
                .map(|who: &str| who.trim_end_matches(':'))
        };
        if let Some(who) = name("has shown out ") {
            self.remove(who, now + KICK, false);
        } else if let Some(who) = name("has banned ") {
            self.remove(who, Duration::MAX, true);
        } else if let Some(who) = name("has lifted the ban of ") {
            let lifted = self.removals.iter_mut().filter(|removal| removal.who == who);
            lifted.for_each(|removal| removal.until = removal.until.min(now));
        } else if let Some(rest) = rest.strip_prefix("has muted ") {
            let (who, lasting) = rest.split_once(' ').unwrap_or((rest, ""));
            let minutes = lasting.split(' ').nth(1).and_then(|number| number.parse().ok());
            let until = minutes.map_or(Duration::MAX, |minutes: u64| {
                now + Duration::from_secs(60 * minutes)
            });
            self.mute(who, until);
        } else if let Some(who) = name("has unmuted ") {
            self.mutes.retain(|mute| mute.who != who);
        } else if rest.starts_with("has locked ") {
            self.lock_room(now);
        } else if rest.starts_with("has unlocked ") {
            self.lock = None;
        } else if let Some(seconds) = name("has made the room slow: each user may say one line in ") {
            let seconds = seconds.trim_end_matches(" s").parse().unwrap();
            self.slow = Some(Slow {
                pause: Duration::from_secs(seconds),
                spoken: BTreeMap::new(),
            });
        } else if rest.starts_with("has ended the slow room") {
            self.slow = None;
        } else if rest.starts_with("has set a new passphrase") {
            self.phrase += 1;
        }
    }

    fn lock_room(&mut self, now: Duration) {
        let stays = self.stays.values().flatten();
        let may_return = |stay: &&Stay| stay.until.is_none_or(|until| now < until + HELD);
        self.lock = Some(stays.filter(may_return).filter_map(Stay::key).collect());
    }

    /// It replaces mutes of that user.
    fn mute(&mut self, name: &str, until: Duration) {
        let who: Who = name.parse().unwrap();
        let key = self.stays[&who.id].last().unwrap().key();
        let ip = who.id.address().ip();
        self.mutes.retain(|mute| {
            let is_same = mute.key == key && mute.covers(key, ip);
            mute.who != name && !is_same
        });
        self.mutes.push(Removal {
            key,
            network: Some(ip),
            at: self.position,
            until,
            who: name.to_owned(),
        });
    }

    fn remove(&mut self, name: &str, until: Duration, is_ban: bool) {
        let who: Who = name.parse().unwrap();
        let owner = self.owner(&who);
        assert!(!self.is_operator(owner.person), "an operator is shown out");
        let key = self.stays[&who.id].last().unwrap().key();
        if let Some((lock, key)) = self.lock.as_mut().zip(key) {
            lock.remove(&key);
        }
        // A ban spares the network of an operator.
        let ip = who.id.address().ip();
        let there = self.owners.iter().filter(|(id, _)| id.address().ip() == ip);
        let is_spared = there
            .flat_map(|(_, owners)| owners)
            .any(|owner| self.is_operator(owner.person));
        self.removals.push(Removal {
            key,
            network: (is_ban && !is_spared).then_some(ip),
            at: self.position,
            until,
            who: name.to_owned(),
        });
    }

    pub(crate) fn removals(&self) -> usize {
        self.removals.len()
    }
}

// Questions.
impl Truth {
    /// Whose address this was when the room had sent so much, and whether users knew its key by then.
    pub(crate) fn holder(&self, who: &Who, position: Position) -> Option<(Owner, bool)> {
        let stays = self.stays.get(&who.id)?.iter().rev();
        // What arrives at once may tell of two users, one after the other.
        let stay = stays
            .filter(|stay| stay.from <= position)
            .find(|stay| stay.names.contains(&who.nick))?;
        let is_keyed = stay.keyed_at.is_some_and(|at| at <= position);
        Some((stay.owner, is_keyed))
    }

    /// Whether the author of these knew of no key of whom they were for: a user at `nc`, who has one by now.
    pub(crate) fn may_be_clear(&self, words: &[Word]) -> bool {
        let mut aims = words.iter().map(|&word| &self.messages[word].aim);
        aims.all(|aim| matches!(aim, Aim::Private(Some(meant)) if meant.may_be_clear))
    }

    /// When the user with this address joined last.
    pub(crate) fn joined(&self, id: UserId) -> Position {
        self.stays[&id].last().unwrap().from
    }

    /// The person among these voices whose address this was.
    pub(crate) fn voice(&self, who: &Who, text: &str) -> PersonNo {
        let owners = self.owners.get(&who.id).map_or(&[][..], Vec::as_slice);
        let words = words(text.as_bytes());
        let has_said = |owner: &Owner| match words.is_empty() {
            true => self.is_insider[owner.person],
            false => words
                .iter()
                .all(|&word| self.messages[word].voices.contains(&owner.person)),
        };
        let is_author = |owner: &&Owner| has_said(owner) && self.has_asked(owner.person, who);
        // The insider ends what is repeated so.
        let is_repeated = text.ends_with(" again");
        let is_first = |owner: &&Owner| {
            !is_repeated
                && words
                    .iter()
                    .all(|&word| self.messages[word].author == owner.person)
        };
        // If the insider took the same address and nick later, what was said before is not the insider's.
        let authors = || owners.iter().rev().filter(is_author);
        let Some(author) = authors().find(is_first).or_else(|| authors().next()) else {
            panic!("{text:?} is shown as written by {who}");
        };
        author.person
    }

    /// A connection with this key, from this address, was sent these bytes.
    pub(crate) fn check_sent(&self, now: Duration, key: Option<PublicKey>, ip: IpAddr, bytes: &[u8]) {
        for word in words(bytes) {
            let Some((position, at)) = self.messages[word].accepted else {
                continue;
            };
            let broken = self.removals.iter().find(|removal| {
                let is_later = position > removal.at && at < removal.until && now < removal.until;
                is_later && removal.covers(key, ip)
            });
            if let Some(removal) = broken {
                panic!(
                    "{} was shown out, and is sent {} nevertheless",
                    removal.who,
                    mark(word)
                );
            }
        }
    }
}

impl Stay {
    /// Its key, if the users know that.
    pub(crate) fn key(&self) -> Option<PublicKey> {
        self.owner.key.filter(|_| self.keyed_at.is_some())
    }
}

impl Removal {
    fn covers(&self, key: Option<PublicKey>, ip: IpAddr) -> bool {
        key.is_some() && self.key == key || self.network == Some(ip)
    }
}
