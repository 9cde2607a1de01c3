//! What each run of a client was shown and told, compared with the truth.

use crate::truth::{Aim, Meant, PersonNo, Position, Truth, Word, mark, words};
use chat_client::session::{Direction, Event, Listed, PrivateMessage, Verification};
use chat_proto::id::UserId;
use chat_proto::nick::{Nick, NickKey};
use chat_proto::opaque::PublicKey;
use chat_proto::plain::ServerLine;
use chat_proto::who::Who;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Who records the order of things, and to whom nobody writes.
const RECORDER: PersonNo = 0;

/// One run of a client.
pub(crate) struct Run {
    pub(crate) person: PersonNo,
    pub(crate) key: PublicKey,
    /// What it has received of the room.
    pub(crate) position: Position,
    /// Where it joined first.
    joined: Option<Position>,
    is_over: bool,
    /// It was told that earlier lines may be missing.
    excused: Position,
    view: BTreeMap<UserId, Seen>,
    /// Users that were there before the connection was lost, and have not left since. The latest is the last.
    absent: Vec<Seen>,
    /// Names and addresses of users that had keys.
    keyed: BTreeSet<String>,
    pub(crate) verified: Vec<(Nick, Meant)>,
    /// The nick of the last `/verify WHO no`.
    unverifies: Option<String>,
    query: Aim,
    writer: Option<Meant>,
    /// Private messages under way, by number.
    under_way: BTreeMap<u64, Word>,
    shown: BTreeMap<(Word, PersonNo), usize>,
    /// Words for everybody that it was told have failed.
    refused: BTreeSet<Word>,
    wrote: Vec<Word>,
    /// The code to compare that it was shown last.
    pub(crate) code: Option<String>,
}

/// A user in the list, as shown.
struct Seen {
    who: Who,
    meant: Meant,
}

/// What happened, over all.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) shown: usize,
    pub(crate) delivered: usize,
    pub(crate) failed: usize,
    pub(crate) doubts: usize,
    pub(crate) missed: usize,
    pub(crate) lost: usize,
    pub(crate) ended: usize,
    pub(crate) removed: usize,
    pub(crate) verified: usize,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.shown += other.shown;
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.doubts += other.doubts;
        self.missed += other.missed;
        self.lost += other.lost;
        self.ended += other.ended;
        self.removed += other.removed;
        self.verified += other.verified;
    }
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) truth: Truth,
    pub(crate) runs: Vec<Run>,
    pub(crate) totals: Totals,
}

impl Ledger {
    pub(crate) fn begin_run(&mut self, person: PersonNo, key: PublicKey) -> usize {
        self.runs.push(Run {
            person,
            key,
            position: 0,
            joined: None,
            is_over: false,
            excused: 0,
            view: BTreeMap::new(),
            absent: Vec::new(),
            keyed: BTreeSet::new(),
            verified: Vec::new(),
            unverifies: None,
            query: Aim::Room,
            writer: None,
            under_way: BTreeMap::new(),
            shown: BTreeMap::new(),
            refused: BTreeSet::new(),
            wrote: Vec::new(),
            code: None,
        });
        self.runs.len() - 1
    }

    /// The client stops without a word.
    pub(crate) fn end_run(&mut self, run: usize) {
        self.runs[run].is_over = true;
    }

    /// A run writes a line that is no command, or `/msg` to what it types, or `/reply`.
    pub(crate) fn aim(&self, run: usize, command: &str) -> Aim {
        let run = &self.runs[run];
        let mut parts = command.split(' ');
        match parts.next() {
            Some("/msg") => Aim::Private(run.meant(parts.next().unwrap())),
            Some("/reply") => Aim::Private(run.writer.clone()),
            _ => run.query.clone(),
        }
    }

    pub(crate) fn writes(&mut self, run: usize, aim: Aim) -> Word {
        let word = self.truth.writes(self.runs[run].person, aim);
        self.runs[run].wrote.push(word);
        word
    }

    /// It types `/query`: the answer follows.
    pub(crate) fn queries(&mut self, run: usize, typed: Option<&str>) {
        let aim = typed.map_or(Aim::Room, |typed| Aim::Private(self.runs[run].meant(typed)));
        self.runs[run].query = aim;
    }

    /// The codes were the same: from now on this nick means the person of the other run, with its key.
    pub(crate) fn verifies(&mut self, run: usize, nick: &str, other: usize) {
        let nick = Nick::parse(nick).unwrap();
        let other = &self.runs[other];
        let meant = Meant {
            person: other.person,
            key: Some(other.key),
            may_be_clear: false,
        };
        let run = &mut self.runs[run];
        run.verified.retain(|(other, _)| *other != nick);
        run.verified.push((nick, meant));
        self.totals.verified += 1;
    }

    /// It types `/verify WHO no`: the name means whoever has it.
    pub(crate) fn unverifies(&mut self, run: usize, nick: &str) {
        self.runs[run].unverifies = Some(nick.to_owned());
    }

    /// The server starts anew: what it said before may be missing everywhere.
    pub(crate) fn starts(&mut self, now: Duration) {
        self.truth.starts(now);
        let position = self.truth.position;
        self.runs.iter_mut().for_each(|run| run.excused = position);
    }

    /// A person at `nc` reads these lines on a connection from this address.
    pub(crate) fn hears(&mut self, run: usize, id: UserId, lines: &[u8]) {
        for line in String::from_utf8_lossy(lines).lines() {
            self.reads(run, id, line);
        }
    }

    fn reads(&mut self, number: usize, id: UserId, line: &str) {
        let (truth, run) = (&self.truth, &mut self.runs[number]);
        let (who, text, is_private) = match ServerLine::parse(line) {
            Some(ServerLine::From(who, text) | ServerLine::Action(who, text)) => (who, text, false),
            Some(ServerLine::PrivateFrom(who, text)) => (who, text, true),
            Some(ServerLine::Online(who)) if who.id == id => {
                run.joined.get_or_insert(truth.joined(id));
                return;
            }
            _ => return,
        };
        let author = truth.voice(&who, text.as_str());
        for word in words(line.as_bytes()) {
            self.totals.shown += 1;
            let times = run.shown.entry((word, author)).or_default();
            *times += 1;
            let message = &truth.messages[word];
            let is_right = truth.is_insider[author] || *times == 1 || message.is_repeated;
            assert!(is_right, "{text:?} is shown twice to run {number}");
            if is_private && !truth.is_insider[author] {
                let is_meant =
                    matches!(&message.aim, Aim::Private(Some(meant)) if meant.person == run.person);
                assert!(is_meant, "{text:?} is for somebody else");
            }
        }
    }

    /// The names of others that a run sees.
    pub(crate) fn names(&self, run: usize) -> Vec<Who> {
        let run = &self.runs[run];
        let others = run.view.values().chain(&run.absent);
        let others = others.filter(|seen| seen.meant.person != run.person && seen.meant.person != RECORDER);
        others.map(|seen| seen.who.clone()).collect()
    }

    /// A run is shown an event.
    pub(crate) fn shown(&mut self, number: usize, event: &Event) {
        let run = &mut self.runs[number];
        let truth = &self.truth;
        match event {
            Event::Welcome(welcome) => {
                run.absent.extend(std::mem::take(&mut run.view).into_values());
                for who in &welcome.users {
                    run.see(truth, who);
                }
                run.joined.get_or_insert(truth.joined(welcome.me.id));
            }
            Event::Joined(join) => run.see(truth, &join.who),
            Event::Left(leave) => {
                let Who { nick, id } = &leave.who;
                run.view.remove(id);
                run.absent
                    .retain(|seen| seen.who.id != *id && (nick.is_none() || seen.who.nick != *nick));
            }
            Event::Renamed(rename) => {
                run.view.remove(&rename.before.id);
                run.see(truth, &rename.after);
            }
            Event::Said(message) => {
                let text = message.text.as_str();
                let author = truth.voice(&message.who, text);
                for word in words(text.as_bytes()) {
                    let (position, _) = truth.messages[word].accepted.unwrap_or_default();
                    let times = run.shown.entry((word, author)).or_default();
                    *times += 1;
                    let is_excused = position <= run.excused || truth.messages[word].is_repeated;
                    let is_first = *times == 1 || is_excused || truth.is_insider[author];
                    assert!(is_first, "{text:?} is shown twice to run {number}");
                    self.totals.shown += 1;
                }
            }
            Event::Private(message) => self.private(number, message),
            Event::Delivered(delivery) => {
                let word = run.under_way.remove(&delivery.seq).unwrap();
                if delivery.after.is_some() {
                    self.totals.delivered += 1;
                    let author = run.person;
                    let is_shown = |run: &&Run| run.shown.contains_key(&(word, author));
                    let shown = self.runs.iter().filter(is_shown).count();
                    // The insider also says to the room what it wrote to one person.
                    let is_right = shown == 1 || self.truth.is_insider[author];
                    assert!(is_right, "{} is delivered, and shown {shown} times", mark(word));
                }
            }
            Event::NotDelivered(failure) => {
                run.under_way.remove(&failure.seq).unwrap();
                self.totals.failed += 1;
            }
            Event::Refused(message) => {
                for word in words(message.text.as_str().as_bytes()) {
                    run.refused.insert(word);
                    self.totals.failed += 1;
                }
            }
            Event::Users(users, _) => users.iter().for_each(|user| run.listed(truth, user)),
            Event::Verified(verification) => run.forgets(verification),
            Event::Code(code) => run.code = Some(code.code.clone()),
            Event::Doubt(_) => self.totals.doubts += 1,
            Event::Missed(_) => {
                self.totals.missed += 1;
                run.excused = truth.position;
            }
            Event::Lost(_) => self.totals.lost += 1,
            Event::Ended(_) => {
                self.totals.ended += 1;
                run.is_over = true;
            }
            _ => {}
        }
    }

    fn private(&mut self, number: usize, message: &PrivateMessage) {
        let truth = &self.truth;
        let text = message.text.as_str();
        let words = words(text.as_bytes());
        let run = &mut self.runs[number];
        if let Direction::Sent(seq) = message.direction {
            assert!(run.under_way.insert(seq, words[0]).is_none());
            return;
        }
        let author = truth.voice(&message.peer, text);
        let is_keyed = truth.holder(&message.peer, run.position);
        let is_keyed = is_keyed.is_some_and(|(owner, is_keyed)| owner.person == author && is_keyed);
        assert!(
            message.transport.sealed || !is_keyed || truth.is_insider[author] || truth.may_be_clear(&words),
            "{text:?} came in the clear, and is shown as written by {}",
            message.peer
        );
        run.writer = run.seen(&message.peer.to_string());
        for word in words {
            *run.shown.entry((word, author)).or_default() += 1;
            if truth.is_insider[author] {
                continue;
            }
            assert_eq!(run.shown[&(word, author)], 1, "{text:?} is shown twice");
            let Aim::Private(Some(meant)) = &truth.messages[word].aim else {
                panic!("{text:?} is for nobody here");
            };
            assert_eq!(meant.person, run.person, "{text:?} is for somebody else");
            assert!(
                meant.key.is_none_or(|key| key == run.key),
                "{text:?} is for another key"
            );
        }
        self.totals.shown += 1;
    }

    /// A datagram in the clear has this message.
    pub(crate) fn may_be_in_the_clear(&self, word: Word) {
        let message = &self.truth.messages[word];
        let may_be = match &message.aim {
            Aim::Private(Some(meant)) => meant.may_be_clear,
            Aim::Private(None) | Aim::Room => false,
        };
        assert!(may_be, "{} goes in the clear", mark(word));
    }

    /// A connection in the clear received this.
    pub(crate) fn heard_in_the_clear(&self, person: PersonNo, bytes: &[u8]) {
        for word in words(bytes) {
            if let Aim::Private(meant) = &self.truth.messages[word].aim {
                let is_meant = meant
                    .as_ref()
                    .is_some_and(|meant| meant.person == person && meant.may_be_clear);
                let mut voices = self.truth.messages[word].voices.iter();
                let repeats = voices.any(|&voice| voice == person || self.truth.is_insider[voice]);
                assert!(
                    is_meant || repeats,
                    "{} is in the clear for {person}: {meant:?}",
                    mark(word)
                );
            }
        }
    }

    /// Everything has come to rest.
    pub(crate) fn check_end(&self) {
        for (number, run) in self.runs.iter().enumerate() {
            let Some(joined) = run.joined.filter(|_| !run.is_over) else {
                continue;
            };
            if self.truth.is_insider[run.person] {
                continue;
            }
            assert_eq!(
                run.under_way.len(),
                0,
                "run {number} was not told what became of its messages"
            );
            for (word, message) in self.truth.messages.iter().enumerate() {
                let Some((position, _)) = message.accepted else {
                    let is_told = message.aim != Aim::Room || run.refused.contains(&word);
                    assert!(
                        is_told || !run.wrote.contains(&word),
                        "run {number} was not told that {} was not said",
                        mark(word)
                    );
                    continue;
                };
                if position > joined && position > run.excused {
                    let shown = run.shown.get(&(word, message.author));
                    let is_shown = shown == Some(&1) || shown.is_some() && message.is_repeated;
                    assert!(is_shown, "{} is shown to run {number}: {shown:?}", mark(word));
                }
            }
        }
    }
}

impl Run {
    fn see(&mut self, truth: &Truth, who: &Who) {
        let Some((owner, is_keyed)) = truth.holder(who, self.position) else {
            panic!("{who} is shown, and nobody with that name was here");
        };
        let names = [who.id.to_string()]
            .into_iter()
            .chain(who.nick.as_ref().map(Nick::to_string));
        let had_key = names.clone().any(|name| self.keyed.contains(&name));
        if is_keyed && owner.person != self.person {
            self.keyed.extend(names);
        }
        let meant = Meant {
            person: owner.person,
            key: owner.key.filter(|_| is_keyed),
            may_be_clear: !is_keyed && !had_key,
        };
        let who = who.clone();
        self.view.insert(who.id, Seen { who, meant });
    }

    fn seen(&self, typed: &str) -> Option<Meant> {
        let look = NickKey::of(typed);
        let is_called = |seen: &&Seen| {
            let nick = seen.who.nick.as_ref().map(Nick::key);
            nick.as_ref() == Some(&look) || seen.who.to_string() == typed || seen.who.id.to_string() == typed
        };
        let seen = self.view.values().find(is_called);
        // A user who is here under another name is not meant by an old one, once the client has its whole key.
        let is_here = |seen: &&Seen| {
            let key = seen.meant.key;
            key.is_some() && self.view.values().any(|other| other.meant.key == key)
        };
        let absent = || self.absent.iter().rev().filter(is_called);
        let seen = seen.or_else(|| absent().find(|seen| !is_here(seen)));
        let seen = seen.or_else(|| absent().next());
        seen.map(|seen| seen.meant.clone())
    }

    /// Whom a typed name means.
    fn meant(&self, typed: &str) -> Option<Meant> {
        let nick = typed.split('@').next().unwrap();
        let look = NickKey::of(nick);
        let verified = self.verified.iter().find(|(other, _)| other.key() == look);
        match verified {
            Some((_, meant)) => Some(meant.clone()),
            None => self.seen(typed),
        }
    }

    /// The keys that it forgets are those behind the nick that it typed, and whoever has that name now is meant.
    fn forgets(&mut self, verification: &Verification) {
        let Some(typed) = self.unverifies.take().filter(|_| verification.added.is_none()) else {
            return;
        };
        let seen = self.seen(&typed).and_then(|meant| meant.key);
        for key in &verification.removed {
            let nicks = self.verified.iter().filter(|(_, meant)| meant.key == Some(*key));
            let is_meant = nicks
                .map(|(nick, _)| nick.key())
                .any(|nick| nick == NickKey::of(&typed));
            assert!(is_meant || seen == Some(*key), "{typed} is not that key");
        }
        self.verified
            .retain(|(_, meant)| !meant.key.is_some_and(|key| verification.removed.contains(&key)));
        if let Some(who) = &verification.who {
            self.keyed.remove(&who.id.to_string());
            self.keyed.retain(|name| NickKey::of(name) != NickKey::of(&typed));
            if let Some(seen) = self.view.get_mut(&who.id) {
                seen.meant.may_be_clear = seen.meant.key.is_none();
            }
        }
    }

    /// The marks in the list of users.
    fn listed(&self, truth: &Truth, user: &Listed) {
        let Some((owner, _)) = truth.holder(&user.who, self.position) else {
            return;
        };
        let who = &user.who;
        assert!(
            !user.is_operator || truth.was(who, |stay| truth.is_operator(stay.owner.person)),
            "{who} is no operator"
        );
        assert!(
            user.clear || owner.person == self.person || truth.was(who, |stay| stay.keyed_at.is_some()),
            "{who} reads in the clear"
        );
        let is_verified = truth.was(who, |stay| {
            let mut keys = self.verified.iter().map(|(_, meant)| meant.key);
            keys.any(|key| key == stay.owner.key)
        });
        assert!(user.verified.is_none() || is_verified, "{who} is not verified");
    }
}
