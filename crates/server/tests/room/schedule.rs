//! Random schedules: every promise holds at every step, whatever people, networks and time do.
//!
//! Two witnesses, one for each dialect, read everything from the start. What any other peer receives
//! is compared with what they received.

use crate::sim::{PeerNo, Reading, Sim, ms};
use chat_noise::key::KeyPair;
use chat_proto::id::UserId;
use chat_proto::nick::{Nick, NickKey};
use chat_proto::plain::ServerLine;
use chat_proto::rich::FromServer;
use chat_proto::times::Times;
use chat_proto::who::Who;
use chat_server::event::{Departure, Event, Refusal};
use chat_server::member::End;
use chat_server::quota::Quota;
use chat_server::rate::Rate;
use chat_server::room::Limits;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

/// Seeds in every run of the tests. `CHAT_SEEDS=200000` runs more, `CHAT_SEED=7` only that one.
const SEEDS: u64 = 600;

/// The witnesses, which leave last.
const PLAIN: PeerNo = 0;
const RICH: PeerNo = 1;

const NICKS: [&str; 6] = ["ann", "bob", "Ann", "李雷", "O'Brien", "zoë"];

#[test]
fn every_schedule_keeps_every_promise() {
    let number = |name| std::env::var(name).ok().map(|text: String| text.parse().unwrap());
    let seeds = match number("CHAT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("CHAT_SEEDS").unwrap_or(SEEDS),
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seen = Mutex::new(HashSet::new());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (mine, seen) = (seeds.clone().skip(thread).step_by(threads), &seen);
            scope.spawn(move || {
                for seed in mine {
                    let sights = schedule(seed).sights();
                    seen.lock().unwrap().extend(sights);
                }
            });
        }
    });
    if seeds.end - seeds.start >= SEEDS {
        let seen = seen.into_inner().unwrap();
        assert_eq!(
            seen,
            HashSet::from(SIGHTS),
            "some events never happened in any schedule"
        );
    }
}

/// What must happen in some schedule.
const SIGHTS: [&str; 11] = [
    "address", "closed", "full", "held", "jumped", "quit", "replaced", "reset", "silent", "slow", "timeout",
];

#[test]
fn the_same_seed_is_the_same_schedule() {
    for seed in 0..20 {
        assert_eq!(schedule(seed).trace(), schedule(seed).trace());
    }
}

/// Prints how to repeat a failure.
struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed) = self;
            eprintln!(
                "to see it again: CHAT_SEED={seed} cargo test -p chat-server --test room every_schedule"
            );
        }
    }
}

/// Plays the schedule of a seed to its end.
fn schedule(seed: u64) -> Play {
    let _replay = Replay(seed);
    let mut play = Play::new(seed);
    let steps = play.dice.below(80) + 10;
    for _ in 0..steps {
        play.act();
        play.pass_time();
    }
    play.come_to_rest();
    if play.dice.one_in(3) {
        play.shut_down();
    } else {
        play.everybody_leaves();
    }
    play.check();
    play.the_room_is_empty();
    play
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    fn one_in(&mut self, limit: u64) -> bool {
        self.below(limit) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Ends lines.
    Plain,
    /// Ends none.
    Unframed,
    /// Says HELLO at once.
    Rich,
    /// Says HELLO after it was announced.
    Late,
}

/// A message of a peer, and its place in what the peer sent.
struct Utterance {
    place: Range<usize>,
    text: String,
}

/// A peer that plays a part.
struct Actor {
    kind: Kind,
    said_hello: bool,
    /// Bytes sent.
    sent: usize,
    utterances: Vec<Utterance>,
    /// The rest of a partial line.
    rest: Option<String>,
    /// It has quit, at this place in what it sent.
    quit_at: Option<usize>,
    /// It has ended the connection.
    ended: bool,
    /// It has always read everything.
    reads: bool,
    /// The number of its next message, and its last message, which the client that resumes it repeats.
    seq: u64,
    last: Option<(u64, String)>,
    /// It began by repeating this message, which may have been accepted before.
    repeated: Option<String>,
    /// Another peer has resumed it, so it sends no more.
    resumed: bool,
}

struct Play {
    sim: Sim,
    dice: Dice,
    limits: Limits,
    actors: Vec<Actor>,
    /// Numbers texts and nicks, so that each is used once.
    count: u64,
    /// Messages fill the ring.
    heavy: bool,
    /// The server was stopped for a while, so it may mistake an unread answer for silence.
    jumped: bool,
    shut: bool,
    nicks: HashSet<String>,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let heavy = dice.one_in(32);
        let rates = [(5, 1), (50, 200), (100, 10)];
        let limits = Limits {
            max_users: if dice.one_in(4) { 5 } else { 1000 },
            max_per_address: if dice.one_in(4) { 4 } else { 1000 },
            history: dice.pick(&[0, 1, 5, 100]),
            rate: (!heavy && dice.one_in(2)).then(|| {
                let (rate, burst) = dice.pick(&rates);
                Rate::new(NonZeroU32::new(rate).unwrap(), burst)
            }),
            quota: Quota {
                bytes: (!heavy && dice.one_in(4)).then(|| Rate::new(NonZeroU32::new(5000).unwrap(), 2000)),
                ..Quota::default()
            },
            ping_interval: Duration::from_secs(dice.pick(&[1, 15, 100])),
        };
        let mut play = Self {
            sim: Sim::new(limits),
            dice,
            limits,
            actors: Vec::new(),
            count: 0,
            heavy,
            jumped: false,
            shut: false,
            nicks: HashSet::new(),
        };
        let witness = play.enter(Kind::Plain, "10.9.0.1:1");
        // A silent one would be the first to go in a full room.
        play.send(witness, "\n");
        play.sim.run(ms(250));
        play.enter(Kind::Rich, "10.9.0.2:1");
        play.sim.peers[RICH].answers = true;
        // The rate may hold the second line of its handshake back.
        play.sim.run(ms(1000));
        play
    }

    fn enter(&mut self, kind: Kind, address: &str) -> PeerNo {
        let peer = self.sim.connect(address);
        self.actors.push(Actor {
            kind,
            said_hello: false,
            sent: 0,
            utterances: Vec::new(),
            rest: None,
            quit_at: None,
            ended: false,
            reads: true,
            seq: 1,
            last: None,
            repeated: None,
            resumed: false,
        });
        if kind == Kind::Rich {
            self.hello(peer, None);
        }
        peer
    }

    fn hello(&mut self, peer: PeerNo, token: Option<&str>) {
        let nick = if self.dice.one_in(4) {
            "-".to_owned()
        } else {
            self.nick()
        };
        self.send(peer, &format!("HELLO 1 {nick} 5000 {}\n", token.unwrap_or("-")));
        self.actors[peer].said_hello = true;
        self.sim.peers[peer].answers = !self.dice.one_in(8);
    }

    fn nick(&mut self) -> String {
        self.count += 1;
        let nick = if self.dice.one_in(2) {
            self.dice.pick(&NICKS).to_owned()
        } else {
            format!("n{}", self.count)
        };
        self.nicks.insert(nick.clone());
        nick
    }

    fn send(&mut self, peer: PeerNo, text: &str) {
        self.actors[peer].sent += text.len();
        self.sim.send(peer, text);
    }

    // What happens.

    fn act(&mut self) {
        if self.actors.len() < 4 || self.dice.one_in(5) {
            return self.somebody_comes();
        }
        let peer = 2 + self.dice.index(self.actors.len() - 2);
        match self.dice.below(12) {
            0..5 => self.speak(peer),
            5 | 6 => self.ask(peer),
            7 if self.heavy => self.flood(peer),
            7 => self.chatter(peer),
            8 | 9 => self.change_socket(peer),
            _ => self.end(peer),
        }
    }

    fn pass_time(&mut self) {
        let long = self.limits.ping_interval + ms(1);
        let time = match self.dice.below(12) {
            0..5 => ms(0),
            5 => ms(1),
            6 => ms(29),
            7 => ms(30),
            8 => ms(self.dice.below(300)),
            9 => ms(self.dice.below(2000)),
            10 => ms(250),
            _ if self.dice.one_in(4) => long,
            _ => ms(1000),
        };
        if self.dice.one_in(40) {
            self.jumped = true;
            let until = self.sim.now + Duration::from_secs(self.dice.below(100));
            self.sim.advance(until);
        }
        self.sim.run(time);
    }

    fn somebody_comes(&mut self) {
        self.count += 1;
        let address = if self.dice.one_in(3) {
            format!("[fe80::{}]:{}", self.dice.below(3), 1000 + self.count)
        } else {
            format!("10.0.0.{}:{}", self.dice.below(3), 1000 + self.count)
        };
        let ghost = 2 + self.dice.index(self.actors.len());
        if self.dice.one_in(4) && self.actors.get(ghost).is_some_and(|ghost| !ghost.resumed) {
            return self.resume(ghost, &address);
        }
        let kind = self.dice.pick(&[
            Kind::Plain,
            Kind::Plain,
            Kind::Unframed,
            Kind::Rich,
            Kind::Rich,
            Kind::Late,
        ]);
        let peer = self.enter(kind, &address);
        if self.dice.one_in(8) {
            // A port scan.
            self.sim.run(ms(10));
            self.end(peer);
        }
    }

    fn resume(&mut self, ghost: PeerNo, address: &str) {
        let lines = self.sim.lines(ghost).0;
        let Some(welcome) = lines.iter().find(|line| line.starts_with("WELCOME ")) else {
            return;
        };
        let token = welcome.split(' ').nth(2).unwrap().to_owned();
        let peer = self.enter(Kind::Late, address);
        self.sim.take_key(peer, ghost);
        self.hello(peer, Some(&token));
        self.actors[ghost].resumed = true;
        self.actors[peer].seq = self.actors[ghost].seq;
        if let Some((seq, text)) = self.actors[ghost].last.clone() {
            self.say(peer, seq, &text);
            self.actors[peer].repeated = Some(text);
        }
    }

    fn say(&mut self, peer: PeerNo, seq: u64, text: &str) {
        let start = self.actors[peer].sent;
        self.send(peer, &format!("SAY {seq} {text}\n"));
        let place = start..self.actors[peer].sent;
        let text = text.to_owned();
        self.actors[peer].utterances.push(Utterance { place, text });
    }

    /// A new text.
    fn text(&mut self, peer: PeerNo, length: usize) -> String {
        self.count += 1;
        format!("m{peer}.{}.{:.<length$}", self.count, "")
    }

    fn can_speak(&self, peer: PeerNo) -> bool {
        let actor = &self.actors[peer];
        !actor.ended
            && !actor.resumed
            && actor.quit_at.is_none()
            && (actor.kind != Kind::Late || actor.said_hello)
    }

    fn speak(&mut self, peer: PeerNo) {
        if self.actors[peer].kind == Kind::Late && !self.actors[peer].said_hello && !self.actors[peer].ended {
            self.sim.run(ms(250));
            return self.hello(peer, None);
        }
        if self.can_speak(peer) {
            let length = self.dice.index(40);
            self.message(peer, length);
        }
    }

    fn message(&mut self, peer: PeerNo, length: usize) {
        if let Some(rest) = self.actors[peer].rest.take() {
            self.send(peer, &rest);
        }
        let text = self.text(peer, length);
        let actor = &mut self.actors[peer];
        if actor.said_hello {
            let seq = actor.seq;
            actor.seq += 1;
            actor.last = Some((seq, text.clone()));
            self.say(peer, seq, &text);
            if self.dice.one_in(6) {
                let again = self.dice.below(seq) + 1;
                self.send(peer, &format!("SAY {again} taken before\n"));
            }
            return;
        }
        let place = actor.sent..actor.sent + text.len();
        let line = text.clone() + if actor.kind == Kind::Unframed { "" } else { "\n" };
        actor.utterances.push(Utterance { place, text });
        if line.ends_with('\n') && self.dice.one_in(4) {
            let cut = self.dice.index(line.len() - 1) + 1;
            self.send(peer, &line[..cut]);
            self.actors[peer].rest = Some(line[cut..].to_owned());
        } else {
            self.send(peer, &line);
        }
    }

    /// Many short lines at once.
    fn chatter(&mut self, peer: PeerNo) {
        if self.can_speak(peer) && self.actors[peer].kind != Kind::Unframed {
            for _ in 0..self.dice.below(60) {
                self.message(peer, 0);
            }
        }
    }

    /// Enough to fill the ring.
    fn flood(&mut self, peer: PeerNo) {
        if self.can_speak(peer) && self.actors[peer].kind != Kind::Unframed {
            for _ in 0..self.dice.below(350) {
                self.message(peer, 3900);
            }
        }
    }

    /// A line with or without an answer.
    fn ask(&mut self, peer: PeerNo) {
        if !self.can_speak(peer) || self.actors[peer].kind == Kind::Unframed {
            return;
        }
        if let Some(rest) = self.actors[peer].rest.take() {
            self.send(peer, &rest);
        }
        let to = self.dice.index(self.actors.len());
        let to = UserId::from(self.sim.peers[to].address);
        let nick = self.nick();
        let line = if self.actors[peer].said_hello {
            match self.dice.below(10) {
                0 => format!("NICK {nick}"),
                1 => format!("WHISPER {to} 1 hush"),
                2 => format!("RELAY {to} AAAA"),
                3 => format!("PUNCH {to}"),
                4 => "PING 7".into(),
                5 => "SAY x".into(),
                6 => "SPARKLE".into(),
                7 if self.sim.is_heard(peer) => "x".repeat(5000),
                8 => format!("WHOIS {to}"),
                _ => String::new(),
            }
        } else {
            match self.dice.below(9) {
                0 | 1 => format!("/nick {nick}"),
                2 => format!("/msg {to} hush"),
                3 => "/who".into(),
                4 => "/help\n/nick".into(),
                5 => "/quti".into(),
                6 => "/help\n".repeat(self.dice.index(60)),
                7 if self.sim.is_heard(peer) => "x".repeat(5000),
                _ => String::new(),
            }
        };
        self.send(peer, &(line + "\n"));
    }

    fn change_socket(&mut self, peer: PeerNo) {
        let choices = [10, 100, 5000, 64 * 1024];
        match self.dice.below(6) {
            0 => self.sim.peers[peer].write_max = self.dice.pick(&choices),
            1 => {
                let least = self.sim.peers[peer].unread().max(1);
                self.sim.peers[peer].capacity = self.dice.pick(&choices).max(least);
            }
            2 => self.sim.peers[peer].reading = Reading::Freely,
            3 => {
                let speed = self.dice.pick(&[100, 10_000, 1_000_000]);
                self.sim.peers[peer].reading = Reading::Slowly(speed);
                self.actors[peer].reads = false;
            }
            _ => {
                self.sim.peers[peer].reading = Reading::Stopped;
                self.actors[peer].reads = false;
            }
        }
    }

    fn end(&mut self, peer: PeerNo) {
        let way = self.dice.below(6);
        self.end_by(peer, way);
    }

    fn end_by(&mut self, peer: PeerNo, way: u64) {
        let (sent, actor) = (self.actors[peer].sent, &mut self.actors[peer]);
        if actor.ended {
            return;
        }
        let can_quit = actor.rest.is_none() && actor.kind != Kind::Unframed && actor.quit_at.is_none();
        if way == 0 && can_quit && (actor.kind != Kind::Late || actor.said_hello) {
            actor.quit_at = Some(sent);
            let line = if actor.said_hello { "QUIT\n" } else { "/quit\n" };
            return self.send(peer, line);
        }
        actor.ended = true;
        actor.reads &= way == 1;
        match way {
            1 => self.sim.half_close(peer),
            2 => self.sim.close(peer),
            3 => self.sim.end(peer, End::TimedOut),
            4 => self.sim.reset_after_all(peer),
            _ => self.sim.reset(peer),
        }
    }

    // How it ends.

    /// Everybody reads, and everything sent is processed.
    fn come_to_rest(&mut self) {
        for peer in &mut self.sim.peers {
            peer.reading = Reading::Freely;
        }
        self.wait_until(Sim::is_at_rest);
    }

    fn wait_until(&mut self, come: fn(&Sim) -> bool) {
        self.sim.run(ms(2000));
        for _ in 0..400 {
            if come(&self.sim) {
                return;
            }
            self.sim.run(ms(1000));
        }
        panic!("the room does not come to rest");
    }

    fn everybody_leaves(&mut self) {
        for peer in 2..self.actors.len() {
            let way = self.dice.pick(&[1, 2, 4]);
            self.end_by(peer, way);
            if self.actors[peer].quit_at.is_some() {
                self.sim.half_close(peer);
            }
        }
        self.wait_until(|sim| sim.room.roster().connections() == 2);
    }

    fn shut_down(&mut self) {
        self.shut = true;
        self.sim.shut_down();
        self.sim.run(Duration::from_secs(2));
        assert!(self.sim.room.is_over());
    }

    fn the_room_is_empty(&mut self) {
        let play = self;
        for witness in [PLAIN, RICH] {
            play.sim.close(witness);
        }
        play.sim.run(Duration::from_secs(10));
        let roster = play.sim.room.roster();
        assert_eq!((roster.connections(), roster.staying()), (0, 0));
        for peer in &play.sim.peers {
            let id = UserId::from(peer.address);
            assert_eq!(
                (roster.with_id(id), roster.staying_from(id.address().ip())),
                (None, 0)
            );
            assert_eq!(roster.with_key(&KeyPair::from_secret(peer.secret).public()), None);
        }
        for nick in &play.nicks {
            assert_eq!(roster.with_nick(&NickKey::of(nick)), None, "{nick}");
        }
        let turns = play.sim.turns;
        play.sim.run(Duration::from_secs(100_000));
        assert!(play.sim.turns <= turns + 1, "nothing is due in an empty room");
    }

    /// What happened, in the words of the log.
    fn sights(&self) -> Vec<&'static str> {
        let log: String = self
            .sim
            .events
            .iter()
            .map(|event| format!("{event} \n"))
            .collect();
        let flags = [
            ("held", !self.sim.longest_hold.is_zero()),
            ("jumped", self.jumped),
        ];
        let logged = SIGHTS
            .into_iter()
            .filter(|sight| log.contains(&format!("reason={sight} ")));
        logged
            .chain(
                flags
                    .into_iter()
                    .filter_map(|(sight, seen)| seen.then_some(sight)),
            )
            .collect()
    }

    /// A digest of what happened and what everybody received.
    fn trace(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for peer in &self.sim.peers {
            peer.received.hash(&mut hasher);
        }
        format!("{:?}", self.sim.events).hash(&mut hasher);
        (self.sim.now, self.sim.turns).hash(&mut hasher);
        hasher.finish()
    }

    // What must be true then.

    fn check(&self) {
        assert!(
            self.sim.longest_hold <= ms(1050) || self.jumped,
            "{:?}",
            self.sim.longest_hold
        );
        let plain = broadcasts(&self.sim.lines(PLAIN).0);
        let rich = broadcasts(&self.sim.lines(RICH).0);
        let story = self.follow(plain.iter().map(|line| plain_deed(line)).collect());
        let told_rich = rich.iter().map(|line| rich_deed(line)).collect::<Vec<_>>();
        let come = told_rich
            .iter()
            .position(|deed| *deed == Deed::Comes(who_came(&rich, "10.9.0.2:1")))
            .unwrap();
        let same = story
            .deeds
            .iter()
            .position(|deed| *deed == told_rich[come])
            .unwrap();
        assert_eq!(
            story.deeds[same..],
            told_rich[come..],
            "the dialects tell the same story"
        );
        for peer in 2..self.actors.len() {
            self.check_stream(peer, &plain, &rich);
            self.check_said(peer, &story);
            self.check_departure(peer);
        }
    }

    /// Checks the order of events: only users send and leave, under their latest names.
    fn follow(&self, deeds: Vec<Deed>) -> Story {
        let mut here: HashMap<UserId, Who> = HashMap::new();
        let mut story = Story::default();
        // Users whose messages silence does not split.
        let clients = self
            .actors
            .iter()
            .zip(&self.sim.peers)
            .filter(|(actor, _)| actor.said_hello);
        let clients: HashSet<_> = clients.map(|(_, peer)| UserId::from(peer.address)).collect();
        for deed in &deeds {
            match deed {
                Deed::Comes(who) => {
                    assert_eq!(here.insert(who.id, who.clone()), None);
                    assert!(story.announced.insert(who.id), "{who} joined twice");
                }
                Deed::Leaves(who) => assert_eq!(here.remove(&who.id).as_ref(), Some(who)),
                Deed::Says(who, text) => {
                    assert_eq!(here.get(&who.id), Some(who));
                    story.said.entry(who.id).or_default().push_str(text);
                    let again = !story.texts.insert(text.clone());
                    assert!(!again || !clients.contains(&who.id), "{text} was broadcast twice");
                }
                Deed::IsNow(who, nick) => {
                    let after = Who {
                        nick: Some(nick.clone()),
                        id: who.id,
                    };
                    assert_eq!(here.insert(who.id, after).as_ref(), Some(who));
                }
            }
        }
        if !self.shut {
            let witnesses = [PLAIN, RICH].map(|peer| UserId::from(self.sim.peers[peer].address));
            here.retain(|id, _| !witnesses.contains(id));
            assert_eq!(here, HashMap::new(), "every user has left, and was announced to");
        }
        let joins = self
            .sim
            .events
            .iter()
            .filter(|event| matches!(event, Event::Join { .. }))
            .count();
        assert_eq!(joins, story.announced.len());
        story.deeds = deeds;
        story
    }

    fn departure(&self, peer: PeerNo) -> Option<Departure> {
        let id = UserId::from(self.sim.peers[peer].address);
        self.sim.events.iter().find_map(|event| match event {
            Event::Leave { who, why, .. } if who.parse::<Who>().unwrap().id == id => Some(*why),
            _ => None,
        })
    }

    /// Checks that a peer received whole lines only, and the same broadcasts as the witnesses:
    /// from its own join on, without a gap.
    fn check_stream(&self, peer: PeerNo, plain: &[String], rich: &[String]) {
        let (lines, rest) = self.sim.lines(peer);
        let reads = self.actors[peer].reads;
        assert!(
            rest.is_empty() || !reads || self.actors[peer].ended,
            "peer {peer} was left with {rest:02x?}"
        );
        let welcome = lines
            .iter()
            .position(|line| line.starts_with("WELCOME "))
            .unwrap_or(lines.len());
        let (before, after) = lines.split_at(welcome);
        // Broadcasts are compared with what the witnesses received.
        for line in before.iter().filter(|line| is_own(line)) {
            assert!(ServerLine::parse(line).is_some(), "peer {peer} was sent {line:?}");
        }
        for line in after.iter().filter(|line| is_own(line)) {
            assert!(FromServer::parse(line).is_ok(), "peer {peer} was sent {line:?}");
        }
        let id = UserId::from(self.sim.peers[peer].address).to_string();
        let live = after.iter().position(|line| *line == "LIVE");
        let past = broadcasts(after.get(..live.unwrap_or(after.len())).unwrap_or_default());
        let (before, mut after) = (broadcasts(before), broadcasts(after));
        let after = after.split_off(past.len());
        if let Some(first) = before.first() {
            assert!(
                first.ends_with(&format!("{id} is online")),
                "peer {peer} began with {first:?}"
            );
        }
        let is_last = !self.shut && reads && self.departure(peer).is_some();
        for (heard, all) in [(&before[..], plain), (&after[..], rich)] {
            let Some(first) = heard.first() else { continue };
            let starts = (0..all.len()).filter(|&start| all[start] == *first);
            let fits = |&start: &usize| all[start..].starts_with(heard);
            let start = starts.clone().find(fits);
            let Some(start) = start else {
                let start = starts
                    .clone()
                    .next()
                    .expect("the first line is one that was said");
                let wrong = heard.iter().zip(&all[start..]).find(|(one, other)| one != other);
                panic!("peer {peer} received a broken stream: {wrong:.150?}");
            };
            // A late handshake ends the plain lines.
            let ends_plain = std::ptr::eq(all, plain) && self.actors[peer].said_hello;
            if is_last && !ends_plain {
                let next = all.get(start + heard.len()).map_or("", String::as_str);
                let leaves =
                    next.contains(&id) && (next.ends_with(" is offline") || next.starts_with("LEAVE "));
                assert!(leaves, "peer {peer} missed {next:.150?}");
            }
        }
        self.check_history(peer, &past, &after, rich);
    }

    /// Checks that the history is the last messages before what came live.
    fn check_history(&self, peer: PeerNo, past: &[String], live: &[String], all: &[String]) {
        let shown = past.len();
        assert!(shown <= self.limits.history, "{shown} lines of history");
        let came = live
            .first()
            .and_then(|first| all.iter().position(|line| line == first));
        let Some(came) = came.filter(|_| shown > 0) else {
            return;
        };
        let said: Vec<&String> = all[..came]
            .iter()
            .filter(|line| line.starts_with("SAID "))
            .collect();
        assert!(
            said.ends_with(&past.iter().collect::<Vec<_>>()),
            "peer {peer} has another history: {past:.150?}"
        );
    }

    /// Checks that every message a peer is known to have sent was broadcast once, in order.
    fn check_said(&self, peer: PeerNo, story: &Story) {
        let actor = &self.actors[peer];
        let id = UserId::from(self.sim.peers[peer].address);
        let said = story.said.get(&id).map_or("", String::as_str);
        // The answers to PING are not part of the script.
        let delivered = self.sim.peers[peer]
            .delivered
            .split_inclusive(|&byte| byte == b'\n');
        let delivered: usize = delivered
            .filter(|line| !line.starts_with(b"PONG "))
            .map(<[u8]>::len)
            .sum();
        let delivered = actor.quit_at.unwrap_or(delivered).min(delivered);
        let mut expected = String::new();
        for Utterance { place, text } in &actor.utterances {
            let whole = place.end <= delivered;
            let repeats = actor.repeated.as_ref() == Some(text);
            let by_ghost = repeats && !said.starts_with(text.as_str());
            if !actor.said_hello {
                expected += &text[..text.len().min(delivered.saturating_sub(place.start))];
            } else if whole && !by_ghost {
                expected += text;
            }
            let taken = story.announced.contains(&id) && self.takes_all(peer);
            let lost = repeats && whole && taken && !story.texts.contains(text);
            assert!(!lost, "peer {peer} repeated {text}, and neither was broadcast");
        }
        assert!(
            expected.starts_with(said),
            "peer {peer} said {expected:.300}, and was heard to say {said:.300}"
        );
        if story.announced.contains(&id) && self.takes_all(peer) {
            let left = self.departure(peer);
            let lost = &expected[said.len()..];
            assert_eq!(
                lost, "",
                "peer {peer}, {:?}, {left:?}, was not heard to the end",
                actor.kind
            );
        }
        if !expected.is_empty() && !story.announced.contains(&id) {
            let refused = ["too many users", "* too many users from your address"];
            let lines = self.sim.lines(peer).0;
            // A queued peer that resets can't be told that it is rejected.
            let waited = actor.ended && lines == ["* chat version 1: no place is free"];
            // The quota, a pause or a stop of the server held the second line of its handshake back when the connection ended.
            let held = self.limits.quota.bytes.is_some() || self.jumped || !self.sim.longest_hold.is_zero();
            let cut = held && actor.ended && actor.said_hello && lines.len() <= 1;
            // The server was stopped in the middle of the handshake, which then took too long.
            let refused_late = self.jumped && {
                let (peer, why) = (self.sim.peers[peer].address, Refusal::Handshake);
                self.sim.events.contains(&Event::Refuse { peer, why })
            };
            let told =
                waited || refused_late || cut || lines.last().is_none_or(|line| refused.contains(line));
            assert!(
                told,
                "peer {peer} sent a message and was never announced: {lines:?}"
            );
        }
    }

    /// Whether everything this peer sent must have been processed.
    fn takes_all(&self, peer: PeerNo) -> bool {
        let rated = self.limits.rate.is_some() || self.limits.quota.bytes.is_some();
        let cut = |why| match why {
            Departure::Slow(_)
            | Departure::Silent
            | Departure::Replaced
            | Departure::Handshake
            | Departure::Evicted => true,
            // Of the input that the rate held back, one more burst was processed, as far as the quota allows.
            Departure::Reset | Departure::TimedOut => rated,
            Departure::Quit
            | Departure::Closed
            | Departure::Probe
            | Departure::Nick
            | Departure::Foreign
            | Departure::Kicked
            | Departure::Banned
            | Departure::Outdated
            | Departure::Locked
            | Departure::Altered => false,
        };
        !self.departure(peer).is_some_and(cut)
    }

    fn check_departure(&self, peer: PeerNo) {
        let actor = &self.actors[peer];
        let Some(why) = self.departure(peer) else { return };
        let answers = self.sim.peers[peer].answers || !actor.said_hello;
        match why {
            Departure::Slow(_) => assert!(!actor.reads, "peer {peer} kept up and was let go as slow"),
            Departure::Silent => assert!(
                !answers || !actor.reads || self.jumped,
                "peer {peer} was not silent"
            ),
            Departure::Replaced => assert!(actor.resumed),
            Departure::Quit => assert!(actor.quit_at.is_some()),
            // It did not read the server's answer in time.
            Departure::Handshake => assert!(!actor.reads || self.jumped),
            Departure::Probe
            | Departure::Nick
            | Departure::Foreign
            | Departure::Kicked
            | Departure::Banned
            | Departure::Outdated
            | Departure::Locked
            | Departure::Altered => {
                panic!("peer {peer} did not ask for {why:?}")
            }
            Departure::Evicted => {}
            Departure::Closed | Departure::Reset | Departure::TimedOut => {
                assert!(
                    actor.ended || actor.quit_at.is_some(),
                    "peer {peer} was taken to have ended"
                );
            }
        }
    }
}

/// What the witnesses received, in either dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Deed {
    Comes(Who),
    Leaves(Who),
    Says(Who, String),
    IsNow(Who, Nick),
}

#[derive(Default)]
struct Story {
    deeds: Vec<Deed>,
    announced: HashSet<UserId>,
    /// The messages of each user, joined: silence may have split them elsewhere than the sender did.
    said: HashMap<UserId, String>,
    texts: HashSet<String>,
}

fn plain_deed(line: &str) -> Deed {
    match ServerLine::parse(line) {
        Some(ServerLine::Online(who)) => Deed::Comes(who),
        Some(ServerLine::Offline(who)) => Deed::Leaves(who),
        Some(ServerLine::From(who, text)) => Deed::Says(who, text.as_str().into()),
        Some(ServerLine::Action(who, text)) => Deed::Says(who, format!("/me {text}")),
        Some(ServerLine::IsNow(who, after)) => {
            assert_eq!(who.id, after.id);
            Deed::IsNow(who, after.nick.unwrap())
        }
        _ => panic!("{line:?} was said to everybody"),
    }
}

fn rich_deed(line: &str) -> Deed {
    match FromServer::parse(line) {
        Ok(FromServer::Join(_, profile)) => Deed::Comes(profile.who),
        Ok(FromServer::Leave(_, who)) => Deed::Leaves(who),
        Ok(FromServer::Said(_, who, text)) => Deed::Says(who, text.as_str().into()),
        Ok(FromServer::Nick(_, who, nick)) => Deed::IsNow(who, nick),
        _ => panic!("{line:?} was said to everybody"),
    }
}

/// The name under which this address joined, by the rich story.
fn who_came(rich: &[String], address: &str) -> Who {
    let comes = |line: &String| match rich_deed(line) {
        Deed::Comes(who) => (who.id.to_string() == address).then_some(who),
        _ => None,
    };
    rich.iter().find_map(comes).unwrap()
}

/// The broadcast lines, each with its time.
fn broadcasts(lines: &[&str]) -> Vec<String> {
    let mut times = Times::default();
    let mut told = Vec::new();
    for line in lines {
        let mut said = FromServer::parse(line);
        let time = said.as_mut().ok().and_then(|said| times.restore(said));
        if is_own(line) {
            continue;
        }
        told.push(said.map_or_else(
            |_| (*line).to_owned(),
            |said| {
                assert!(time.is_some(), "no time was sent for this: {line:?}");
                said.to_string()
            },
        ));
    }
    told
}

fn is_own(line: &str) -> bool {
    const VERBS: [&str; 16] = [
        "*",
        "WELCOME",
        "USER",
        "USERS",
        "HISTORY",
        "LIVE",
        "WHISPER",
        "WHISPERED",
        "RELAY",
        "PUNCH",
        "NOTICE",
        "ERROR",
        "PING",
        "PONG",
        "GOODBYE",
        "private",
    ];
    let changes_nothing = || matches!(FromServer::parse(line), Ok(FromServer::Nick(_, who, nick)) if who.nick.as_ref() == Some(&nick));
    VERBS.contains(&line.split(' ').next().unwrap_or_default())
        || line == "too many users"
        || changes_nothing()
}
