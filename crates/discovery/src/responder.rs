//! The responder: claims a name for a room, announces it, and answers who asks. Pure: packets and times in, packets and
//! deadlines out.
//!
//! Each link has a state of its own, because a name that is free on one may be taken on another. The names are the same on
//! all: after a conflict on one link, all probe again.

use crate::message::{About, Data, Kind, Label, Message, Name, PORT, Question, Record, Txt};
use crate::sockets::{Link, Received};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Probes, and how far they are apart (RFC 6762, section 8.1).
const PROBES: u32 = 3;
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// How long the loser of a tie waits (section 8.2).
const TIE_WAIT: Duration = Duration::from_secs(1);

/// After this many conflicts within [`CONFLICTS_WITHIN`], tries are [`CONFLICTS_WAIT`] apart (section 8.1).
const CONFLICTS_MAX: usize = 15;
const CONFLICTS_WITHIN: Duration = Duration::from_secs(10);
const CONFLICTS_WAIT: Duration = Duration::from_secs(5);

/// Announcements, and how far they are apart (section 8.3).
const ANNOUNCEMENTS: u32 = 2;
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);

/// A record is multicast at most this often, or to defend a name (section 6).
const RECORD_EVERY: Duration = Duration::from_secs(1);
const DEFENCE_EVERY: Duration = Duration::from_millis(250);

/// When several hosts may answer, in milliseconds: each at a time of its own (section 6), or after more known answers
/// have come (section 7.2).
const SHARED_DELAY: [u64; 2] = [20, 120];
const TRUNCATED_DELAY: [u64; 2] = [400, 500];

/// Seconds for which records hold: those with a host's address or name, the others, and those in a plain DNS response
/// (sections 10 and 6.7).
const HOST_TTL: u32 = 120;
const OTHER_TTL: u32 = 4500;
const LEGACY_TTL: u32 = 10;

/// Unicast answers to one address in a second, and addresses that get any.
const ANSWERS_MAX: u32 = 10;
const ASKERS_MAX: usize = 256;

/// Delayed answers on one link; with more, they are merged.
const PENDING_MAX: usize = 16;

/// Addresses that this machine has or had, which conflict with nothing.
const OWN_MAX: usize = 256;

/// Where a link's records stand: these first, then its addresses.
const SERVICES: Set = 1 << 0;
const POINTER: Set = 1 << 1;
const SERVICE: Set = 1 << 2;
const TEXT: Set = 1 << 3;
const NEGATIVE: Set = 1 << 4;
const ADDRESSES: Set = !(SERVICES | POINTER | SERVICE | TEXT | NEGATIVE);

/// Some of a link's records: a bit for each.
type Set = u32;

/// What is announced.
#[derive(Clone, Debug)]
pub struct Room {
    /// What people choose.
    pub name: Label,
    /// A host name of the room's own. The name of the machine belongs to other programs.
    pub host: Label,
    /// Where it listens.
    pub port: u16,
    /// What else there is to know.
    pub about: About,
}

/// A packet to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Where.
    pub link: Link,
    /// To one host, or to the group.
    pub to: Option<SocketAddr>,
    /// Its bytes.
    pub packet: Vec<u8>,
}

/// Announces one room on all links.
#[derive(Debug)]
pub struct Responder {
    room: Room,
    /// What is added to the room's name and its host's, from 2 on.
    numbers: [u32; 2],
    links: BTreeMap<Link, State>,
    own: BTreeSet<IpAddr>,
    /// When, of late; once there were too many, until a name holds.
    conflicts: Vec<Duration>,
    askers: (Duration, HashMap<IpAddr, u32>),
    outgoing: Vec<Outgoing>,
    random: u64,
}

/// One link.
#[derive(Debug)]
struct State {
    addresses: Vec<IpAddr>,
    stage: Stage,
    records: Vec<Record>,
    /// When each record was multicast last.
    sent: Vec<Option<Duration>>,
    pending: Vec<Pending>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// So many probes were sent; the next step is due then.
    Probing(u32, Duration),
    /// So many announcements were sent; the next is due then.
    Announcing(u32, Duration),
    /// Only answers.
    Established,
}

/// Answers that are not sent yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    at: Duration,
    /// When they were asked for: what was multicast since is settled.
    since: Duration,
    records: Set,
    every: Duration,
    /// Who may still send known answers.
    asker: Option<SocketAddr>,
}

impl Responder {
    /// A responder without links. The seed decides the random delays.
    #[must_use]
    pub fn new(room: Room, seed: u64) -> Self {
        Self {
            room,
            numbers: [1; 2],
            links: BTreeMap::new(),
            own: BTreeSet::new(),
            conflicts: Vec::new(),
            askers: Default::default(),
            outgoing: Vec::new(),
            random: seed,
        }
    }

    /// The name that it claims now.
    #[must_use]
    pub fn name(&self) -> Label {
        let [number, _] = self.numbers;
        numbered(&self.room.name, number, |name, number| {
            format!("{name} ({number})")
        })
    }

    fn host(&self) -> Label {
        let [_, number] = self.numbers;
        numbered(&self.room.host, number, |name, number| format!("{name}-{number}"))
    }

    /// The links on which the room was announced.
    pub fn announced(&self) -> impl Iterator<Item = Link> {
        let links = self.links.iter().filter(|(_, state)| state.is_announced());
        links.map(|(&link, _)| link)
    }

    /// The links and their addresses now. New ones are probed. One that has another address is announced again, unless it
    /// kept none, because then it may be another network (section 8.4).
    pub fn set_links(&mut self, now: Duration, links: impl IntoIterator<Item = (Link, Vec<IpAddr>)>) {
        let mut before = std::mem::take(&mut self.links);
        for (link, addresses) in links {
            if self.own.len() > OWN_MAX {
                self.own.clear();
            }
            self.own.extend(&addresses);
            let state = match before.remove(&link) {
                Some(known) if known.addresses == addresses => known,
                known => {
                    let is_updated = known.is_some_and(|known| {
                        known.is_announced() && known.addresses.iter().any(|ip| addresses.contains(ip))
                    });
                    let mut state = self.probe(now, addresses);
                    if is_updated {
                        state.stage = Stage::Announcing(0, now);
                    }
                    state
                }
            };
            self.links.insert(link, state);
        }
    }

    /// A link that is about to be probed.
    fn probe(&mut self, now: Duration, addresses: Vec<IpAddr>) -> State {
        let records = self.records(&addresses);
        State {
            addresses,
            stage: Stage::Probing(0, now + self.up_to([0, 250])),
            sent: vec![None; records.len()],
            records,
            pending: Vec::new(),
        }
    }

    /// The records of a link, in the order of the sets.
    fn records(&self, addresses: &[IpAddr]) -> Vec<Record> {
        let (room, host) = (Name::Room(self.name()), Name::Host(self.host()));
        let record = |name: &Name, ttl, data| Record {
            name: name.clone(),
            ttl,
            is_unique: matches!(name, Name::Room(_) | Name::Host(_)),
            data,
        };
        let service = Data::Srv {
            port: self.room.port,
            host: self.host(),
        };
        let has = |is_v6: bool| addresses.iter().any(|ip| ip.is_ipv6() == is_v6);
        let mut records = vec![
            record(&Name::Services, OTHER_TTL, Data::Ptr(Name::Rooms)),
            record(&Name::Rooms, OTHER_TTL, Data::Ptr(room.clone())),
            record(&room, HOST_TTL, service),
            record(&room, OTHER_TTL, Data::Txt(Txt::new(&self.room.about))),
            record(
                &host,
                HOST_TTL,
                Data::Nsec {
                    a: has(false),
                    aaaa: has(true),
                },
            ),
        ];
        records.extend(addresses.iter().map(|ip| match *ip {
            IpAddr::V4(ip) => record(&host, HOST_TTL, Data::A(ip)),
            IpAddr::V6(ip) => record(&host, HOST_TTL, Data::Aaaa(ip)),
        }));
        records
    }

    /// When [`Self::turn`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if !self.outgoing.is_empty() {
            return Some(Duration::ZERO);
        }
        self.links.values().filter_map(State::deadline).min()
    }

    /// What is to be sent now.
    pub fn turn(&mut self, now: Duration) -> Vec<Outgoing> {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        for (&link, state) in &mut self.links {
            let messages = [state.step(now), state.answer(now)];
            let packets = messages.into_iter().flatten().map(|message| message.build());
            outgoing.extend(packets.map(|packet| Outgoing {
                link,
                to: None,
                packet,
            }));
            if state.stage == Stage::Established {
                self.conflicts.clear();
            }
        }
        outgoing
    }

    /// Withdraws the room, wherever it was announced. All but the type of service, which other rooms share.
    pub fn goodbye(&mut self) -> Vec<Outgoing> {
        let links = std::mem::take(&mut self.links);
        let announced = links.iter().filter(|(_, state)| state.is_announced());
        announced
            .map(|(&link, state)| withdrawal(link, state, !SERVICES))
            .collect()
    }

    /// Takes a packet in.
    pub fn receive(&mut self, now: Duration, received: &Received<'_>) {
        match Message::parse(received.bytes) {
            Some(message) if !message.is_response => {
                self.query(now, received.link, received.source, &message)
            }
            // A response from another port was not sent by a responder (section 11).
            Some(message) if received.source.port() == PORT => self.response(now, received.link, &message),
            _ => {}
        }
    }

    /// What others announce: perhaps our name, or our records in a way that would end them.
    fn response(&mut self, now: Duration, link: Link, message: &Message) {
        let wait = self.up_to(SHARED_DELAY);
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        let names = names(&state.records);
        let mut lost = [false; 2];
        let mut expiring = 0;
        for record in message.records() {
            let same = state
                .records
                .iter()
                .position(|own| own.name == record.name && own.data == record.data);
            if let Some(place) = same {
                let is_short = state
                    .records
                    .get(place)
                    .is_some_and(|own| record.ttl < own.ttl / 2);
                expiring |= if is_short { 1 << place } else { 0 };
            } else if record.ttl > 0 && !is_of(&self.own, &record.data) {
                for (lost, name) in lost.iter_mut().zip(names) {
                    *lost |= name == Some(&record.name);
                }
            }
        }
        if lost != [false; 2] {
            return self.lose(now, link, lost);
        }
        // Another server of this host said goodbye to the addresses that both have (section 6.6).
        if expiring != 0 && state.is_announced() {
            state.defer(Pending {
                at: now + wait,
                since: now,
                records: expiring,
                every: RECORD_EVERY,
                asker: None,
            });
        }
    }

    /// The name of the room, or of its host, is another's too (section 9). Who already announced it asks again, and only
    /// who is told so while probing takes another name.
    fn lose(&mut self, now: Duration, link: Link, lost: [bool; 2]) {
        let wait = self.up_to([0, 250]);
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        if !matches!(state.stage, Stage::Probing(..)) {
            state.stage = Stage::Probing(0, now + wait);
            state.pending.clear();
            return;
        }
        if self.conflicts.len() < CONFLICTS_MAX {
            self.conflicts.retain(|&at| at + CONFLICTS_WITHIN > now);
            self.conflicts.push(now);
        }
        let is_often = self.conflicts.len() >= CONFLICTS_MAX;
        let wait = if is_often { CONFLICTS_WAIT } else { Duration::ZERO };
        let renamed = SERVICE | TEXT | POINTER;
        let elsewhere = self
            .links
            .iter()
            .filter(|&(&other, state)| other != link && state.is_announced());
        self.outgoing
            .extend(elsewhere.map(|(&link, state)| withdrawal(link, state, renamed)));
        for (number, lost) in self.numbers.iter_mut().zip(lost) {
            *number = number.saturating_add(lost.into());
        }
        for (link, state) in std::mem::take(&mut self.links) {
            let state = self.probe(now + wait, state.addresses);
            self.links.insert(link, state);
        }
    }

    /// Questions, and the probes of others.
    fn query(&mut self, now: Duration, link: Link, source: SocketAddr, message: &Message) {
        let (shared, truncated) = (self.up_to(SHARED_DELAY), self.up_to(TRUNCATED_DELAY));
        let Some(state) = self.links.get_mut(&link) else {
            return;
        };
        if let Stage::Probing(..) = state.stage {
            if loses_tie(&state.records, &self.own, message) {
                state.stage = Stage::Probing(0, now + TIE_WAIT);
            }
            return;
        }
        let known = state.known(message);
        if message.questions.is_empty() {
            return state.suppress(source, known, message.is_truncated.then_some(now + truncated));
        }
        let is_probe = !message.authorities.is_empty();
        let is_legacy = source.port() != PORT;
        let (mut multicast, mut unicast) = (0, 0);
        for question in &message.questions {
            let asked = state.asked(question) & !known;
            // Who shares the port may not get a unicast answer, so that a name is always defended by multicast.
            let is_unicast = is_legacy || question.wants_unicast && !is_probe;
            let fresh = if is_legacy { Set::MAX } else { state.fresh(now) };
            unicast |= if is_unicast { asked & fresh } else { 0 };
            multicast |= if is_unicast { asked & !fresh } else { asked };
        }
        if multicast != 0 {
            let wait = match multicast & (SERVICES | POINTER) {
                _ if message.is_truncated => truncated,
                0 => Duration::ZERO,
                _ => shared,
            };
            state.defer(Pending {
                at: now + wait,
                since: now,
                records: multicast,
                every: if is_probe { DEFENCE_EVERY } else { RECORD_EVERY },
                asker: Some(source).filter(|_| message.is_truncated),
            });
        }
        if unicast != 0 {
            let mut answer = state.message(unicast, additional(unicast));
            if is_legacy {
                answer.make_legacy(message);
            }
            if self.admit(now, source.ip()) {
                self.outgoing.push(Outgoing {
                    link,
                    to: Some(source),
                    packet: answer.build(),
                });
            }
        }
    }

    /// Whether this address gets one more unicast answer now.
    fn admit(&mut self, now: Duration, asker: IpAddr) -> bool {
        let (begun, askers) = &mut self.askers;
        if *begun + Duration::from_secs(1) <= now {
            *begun = now;
            askers.clear();
        }
        if askers.len() >= ASKERS_MAX && !askers.contains_key(&asker) {
            return false;
        }
        let answers = askers.entry(asker).or_default();
        *answers += 1;
        *answers <= ANSWERS_MAX
    }

    /// A random time between two numbers of milliseconds (splitmix64).
    fn up_to(&mut self, [least, most]: [u64; 2]) -> Duration {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Duration::from_millis(least + (mixed ^ (mixed >> 31)) % (most - least + 1))
    }
}

impl State {
    fn is_announced(&self) -> bool {
        match self.stage {
            Stage::Probing(..) => false,
            Stage::Announcing(sent, _) => sent > 0,
            Stage::Established => true,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let next = match self.stage {
            Stage::Probing(_, at) | Stage::Announcing(_, at) => Some(at),
            Stage::Established => None,
        };
        self.pending.iter().map(|pending| pending.at).chain(next).min()
    }

    /// The next probe or announcement.
    fn step(&mut self, now: Duration) -> Option<Message> {
        if let Stage::Probing(PROBES, at) = self.stage {
            self.stage = Stage::Announcing(0, at);
        }
        match self.stage {
            Stage::Probing(sent, at) if at <= now => {
                self.stage = Stage::Probing(sent + 1, now + PROBE_EVERY);
                Some(self.probe())
            }
            Stage::Announcing(sent, at) if at <= now => {
                let is_last = sent + 1 == ANNOUNCEMENTS;
                let next = Stage::Announcing(sent + 1, now + ANNOUNCE_EVERY);
                self.stage = if is_last { Stage::Established } else { next };
                Some(self.multicast(now, Set::MAX & !NEGATIVE, NEGATIVE))
            }
            _ => None,
        }
    }

    /// Asks for both names, and says what they would be.
    fn probe(&self) -> Message {
        let question = |name: &Name| Question {
            name: name.clone(),
            kind: Kind::ANY,
            wants_unicast: true,
        };
        Message {
            questions: names(&self.records).into_iter().flatten().map(question).collect(),
            authorities: self.select(SERVICE | TEXT | ADDRESSES).map(unflushed).collect(),
            ..Message::default()
        }
    }

    /// The answers that are due, in one packet. What was multicast too lately waits on.
    fn answer(&mut self, now: Duration) -> Option<Message> {
        let (mut answers, mut extras) = (0, 0);
        for mut pending in std::mem::take(&mut self.pending) {
            if pending.at > now {
                self.pending.push(pending);
                continue;
            }
            let unsettled = self.places(|sent| sent.is_none_or(|at| at < pending.since));
            let ready = self.places(|sent| sent.is_none_or(|at| at + pending.every <= now));
            let wanted = (pending.records | additional(pending.records)) & unsettled;
            answers |= pending.records & unsettled & ready;
            extras |= wanted & ready;
            pending.records = wanted & !ready;
            let waits = self
                .sent
                .iter()
                .enumerate()
                .filter(|(place, _)| pending.records >> place & 1 == 1);
            if let Some(last) = waits.filter_map(|(_, sent)| *sent).min() {
                pending.at = last + pending.every;
                pending.asker = None;
                self.defer(pending);
            }
        }
        (answers | extras != 0).then(|| self.multicast(now, answers, extras))
    }

    /// The message with these records, which count as multicast now.
    fn multicast(&mut self, now: Duration, answers: Set, extras: Set) -> Message {
        for (place, sent) in self.sent.iter_mut().enumerate() {
            if (answers | extras) >> place & 1 == 1 {
                *sent = Some(now);
            }
        }
        let mut message = self.message(answers, extras);
        if message.answers.is_empty() {
            message.answers = std::mem::take(&mut message.additionals);
        }
        message
    }

    /// A response with these records.
    fn message(&self, answers: Set, extras: Set) -> Message {
        Message {
            is_response: true,
            answers: self.select(answers).cloned().collect(),
            additionals: self.select(extras & !answers).cloned().collect(),
            ..Message::default()
        }
    }

    fn select(&self, set: Set) -> impl Iterator<Item = &Record> {
        let records = self.records.iter().enumerate();
        records
            .filter(move |(place, _)| set >> place & 1 == 1)
            .map(|(_, record)| record)
    }

    /// The records whose last time satisfies a condition.
    fn places(&self, condition: impl Fn(Option<Duration>) -> bool) -> Set {
        let places = self.sent.iter().enumerate().filter(|(_, sent)| condition(**sent));
        places.fold(0, |set, (place, _)| set | 1 << place)
    }

    /// The records that were multicast within a quarter of their time.
    fn fresh(&self, now: Duration) -> Set {
        let is_fresh = |(record, sent): (&Record, &Option<Duration>)| {
            sent.is_some_and(|at| at + Duration::from_secs(record.ttl.into()) / 4 > now)
        };
        let fresh = self.records.iter().zip(&self.sent).map(is_fresh).enumerate();
        fresh.fold(0, |set, (place, fresh)| set | Set::from(fresh) << place)
    }

    /// The records that a question asks for.
    fn asked(&self, question: &Question) -> Set {
        let is_asked =
            |record: &Record| record.name == question.name && question.kind.asks_for(record.data.kind());
        let asked = self.records.iter().map(is_asked).enumerate();
        let asked = asked.fold(0, |set, (place, asked)| set | Set::from(asked) << place);
        let is_address =
            names(&self.records)[1] == Some(&question.name) && [Kind::A, Kind::AAAA].contains(&question.kind);
        match asked {
            0 if is_address => NEGATIVE,
            asked if question.kind == Kind::ANY => asked & !NEGATIVE,
            asked => asked,
        }
    }

    /// The records that a query already has, with at least half of their time.
    fn known(&self, message: &Message) -> Set {
        let is_known = |own: &Record| {
            let same = message
                .answers
                .iter()
                .find(|record| record.name == own.name && record.data == own.data);
            same.is_some_and(|record| record.ttl >= own.ttl / 2)
        };
        let known = self.records.iter().map(is_known).enumerate();
        known.fold(0, |set, (place, known)| set | Set::from(known) << place)
    }

    /// More known answers for the truncated query of this host.
    fn suppress(&mut self, source: SocketAddr, known: Set, more_until: Option<Duration>) {
        for pending in self
            .pending
            .iter_mut()
            .filter(|pending| pending.asker == Some(source))
        {
            pending.records &= !known;
            pending.at = more_until.unwrap_or(pending.at);
        }
    }

    /// With too many answers, merges two so that neither is late, nor held by who sends known answers.
    fn defer(&mut self, pending: Pending) {
        let is_full = self.pending.len() >= PENDING_MAX;
        match self.pending.last_mut().filter(|_| is_full) {
            Some(last) => {
                *last = Pending {
                    at: last.at.min(pending.at),
                    since: last.since.max(pending.since),
                    records: last.records | pending.records,
                    every: last.every.min(pending.every),
                    asker: None,
                }
            }
            None => self.pending.push(pending),
        }
    }
}

impl Message {
    /// As a plain DNS response to a query from any port (section 6.7).
    fn make_legacy(&mut self, query: &Self) {
        self.id = query.id;
        self.questions = query.questions.clone();
        for question in &mut self.questions {
            question.wants_unicast = false;
        }
        for record in self.answers.iter_mut().chain(&mut self.additionals) {
            record.ttl = record.ttl.min(LEGACY_TTL);
            record.is_unique = false;
        }
    }
}

/// What whoever asked for these will want to know next (RFC 6763, section 12).
fn additional(records: Set) -> Set {
    let mut more = 0;
    if records & POINTER != 0 {
        more |= SERVICE | TEXT;
    }
    if (records | more) & SERVICE != 0 {
        more |= ADDRESSES;
    }
    if (records | more) & ADDRESSES != 0 {
        more |= NEGATIVE;
    }
    more
}

/// The names of the room and of its host, which nobody else may have.
fn names(records: &[Record]) -> [Option<&Name>; 2] {
    [SERVICE, NEGATIVE].map(|set| Some(&records.get(set.trailing_zeros() as usize)?.name))
}

/// Whether the data conflict with nothing: an address of this machine, which another server of it may announce under the
/// same host name, and which a bridge carries from one link to another; or the absence of records.
fn is_of(own: &BTreeSet<IpAddr>, data: &Data) -> bool {
    match *data {
        Data::A(ip) => own.contains(&ip.into()),
        Data::Aaaa(ip) => own.contains(&ip.into()),
        Data::Nsec { .. } => true,
        _ => false,
    }
}

/// Whether another host that probes for the same name has the greater records (section 8.2).
fn loses_tie(records: &[Record], own: &BTreeSet<IpAddr>, message: &Message) -> bool {
    names(records).into_iter().flatten().any(|name| {
        let theirs = message.authorities.iter().filter(|record| record.name == *name);
        let theirs: Vec<&Data> = theirs.map(|record| &record.data).collect();
        if theirs.iter().all(|data| is_of(own, data)) {
            return false;
        }
        let ours = records
            .iter()
            .filter(|record| record.name == *name)
            .map(|record| &record.data);
        let mut ours: Vec<_> = ours.filter_map(Data::rank).collect();
        let Some(mut theirs) = theirs.into_iter().map(Data::rank).collect::<Option<Vec<_>>>() else {
            return true;
        };
        ours.sort();
        theirs.sort();
        ours < theirs
    })
}

/// Says that these records of a link no longer hold.
fn withdrawal(link: Link, state: &State, records: Set) -> Outgoing {
    let mut message = state.message(records, 0);
    for record in &mut message.answers {
        record.ttl = 0;
    }
    Outgoing {
        link,
        to: None,
        packet: message.build(),
    }
}

/// As proposed in a probe, where the flush bit has no meaning.
fn unflushed(record: &Record) -> Record {
    Record {
        is_unique: false,
        ..record.clone()
    }
}

/// A name with a number from 2 on, shortened as far as it must be.
fn numbered(name: &Label, number: u32, format: impl Fn(&str, u32) -> String) -> Label {
    let mut stem = name.as_str().to_owned();
    while number > 1 && !stem.is_empty() {
        if let Some(label) = Label::new(&format(stem.trim_end(), number)) {
            return label;
        }
        stem.pop();
    }
    name.clone()
}

#[cfg(test)]
mod tests;
