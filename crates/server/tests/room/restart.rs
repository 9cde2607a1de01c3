//! A room that ends, and another one that begins with what it has kept.

use crate::sim::{PeerNo, Sim, limits, ms};
use chat_noise::operator::Code;
use chat_proto::opaque::Opaque;
use chat_server::identity::Identity;
use chat_server::operators::Operators;
use chat_server::room::{Limits, Room, snapshot};
use chat_server::state::State;
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Duration;

/// A client that connects again after each restart.
struct Client {
    peer: PeerNo,
    address: String,
    nick: &'static str,
    token: String,
    /// The number of the next message.
    next: u64,
    /// The numbers that the last WELCOME and the last HISTORY told.
    seq: u64,
    missed: String,
    /// All messages that it has received, without the times.
    said: Vec<String>,
}

impl Client {
    fn join(sim: &mut Sim, address: &str, nick: &'static str) -> Self {
        let peer = sim.connect(address);
        sim.run(ms(0));
        sim.send(peer, &format!("HELLO 1 {nick} 5000 -\n"));
        sim.run(ms(0));
        let mut client = Self {
            peer,
            address: address.into(),
            nick,
            token: String::new(),
            next: 0,
            seq: 0,
            missed: String::new(),
            said: Vec::new(),
        };
        client.read(sim);
        client
    }

    /// Connects again, from another port.
    fn come_back(&mut self, sim: &mut Sim) {
        let (host, port) = self.address.rsplit_once(':').unwrap();
        self.address = format!("{host}:{}", port.parse::<u16>().unwrap() + 1);
        let before = std::mem::replace(&mut self.peer, sim.connect(&self.address));
        sim.take_key(self.peer, before);
        let (nick, token, next) = (self.nick, &self.token, self.next);
        sim.send(self.peer, &format!("HELLO 1 {nick} 5000 {token} next={next}\n"));
        sim.run(ms(0));
        self.read(sim);
    }

    /// Takes note of what it has received, and returns that.
    fn read(&mut self, sim: &mut Sim) -> Vec<String> {
        let news = sim.news(self.peer);
        for line in &news {
            let words: Vec<&str> = line.split(' ').collect();
            match words[0] {
                "WELCOME" => {
                    self.token = words[2].into();
                    self.seq = words[4].parse().unwrap();
                }
                "HISTORY" => {
                    self.next = words[2].parse().unwrap();
                    self.missed = words[3].into();
                }
                "SAID" => {
                    self.next += 1;
                    self.said.push(words[2..].join(" "));
                }
                _ => {}
            }
        }
        news
    }

    fn say(&self, sim: &mut Sim, lines: &str) {
        sim.send(self.peer, lines);
        sim.run(ms(0));
    }
}

/// What is kept of the room now.
fn kept(sim: &Sim) -> Vec<u8> {
    snapshot::take(&sim.room, sim.clock()).to_bytes()
}

/// Another server begins with these bytes.
fn restart(sim: &mut Sim, bytes: &[u8], limits: Limits) {
    let mut count = u128::from(sim.now.subsec_nanos()) << 64;
    let tokens = Box::new(move || {
        count += 1;
        Opaque((count + (1 << 100)).to_be_bytes())
    });
    let mut room = Room::new(limits, tokens, Identity::ephemeral([1; 32]));
    snapshot::restore(&mut room, sim.clock(), State::parse(bytes).unwrap());
    sim.restart(room);
    sim.run(Duration::from_nanos(1));
}

/// The server ends in order, and another one begins.
fn stop_and_start(sim: &mut Sim) {
    sim.shut_down();
    let bytes = kept(sim);
    restart(sim, &bytes, limits());
}

#[test]
fn clients_come_back_to_their_nicks_numbers_and_messages() {
    let mut sim = Sim::new(limits());
    let mut alice = Client::join(&mut sim, "10.0.0.1:1001", "alice");
    let mut bob = Client::join(&mut sim, "10.0.0.2:1001", "bob");
    alice.say(&mut sim, "SAY 41 one\nSAY 42 two\n");
    bob.read(&mut sim);
    assert_eq!(bob.said, ["alice@10.0.0.1:1001 one", "alice@10.0.0.1:1001 two"]);
    stop_and_start(&mut sim);
    let thief = Client::join(&mut sim, "10.0.0.3:1001", "bob");
    let news = sim.lines(thief.peer).0.join("\n");
    assert!(
        news.contains("ERROR nick-taken - the nick bob is held for 45 s"),
        "{news}"
    );
    assert_eq!(thief.said, bob.said, "a newcomer is sent the history");
    alice.come_back(&mut sim);
    assert_eq!((alice.seq, alice.missed.as_str()), (42, "0"));
    alice.say(&mut sim, "SAY 42 two\nSAY 43 three\n");
    bob.come_back(&mut sim);
    assert_eq!((bob.seq, bob.missed.as_str()), (0, "0"));
    let all = [
        "alice@10.0.0.1:1001 one",
        "alice@10.0.0.1:1001 two",
        "alice@10.0.0.1:1002 three",
    ];
    assert_eq!(bob.said, all);
    alice.read(&mut sim);
    assert_eq!(alice.said, all);
    assert!(sim.room.roster().find("bob").is_some());
}

#[test]
fn after_a_kill_no_message_arrives_twice_and_the_gap_is_told() {
    let mut sim = Sim::new(limits());
    let mut alice = Client::join(&mut sim, "10.0.0.1:1001", "alice");
    let mut bob = Client::join(&mut sim, "10.0.0.2:1001", "bob");
    alice.say(&mut sim, "SAY 1 kept\n");
    let bytes = kept(&sim);
    alice.say(&mut sim, "SAY 2 lost\nSAY 3 lost too\n");
    alice.read(&mut sim);
    bob.read(&mut sim);
    restart(&mut sim, &bytes, limits());
    alice.come_back(&mut sim);
    assert_eq!((alice.seq, alice.missed.as_str()), (1, "-"));
    // They have the numbers of those that are lost.
    alice.say(&mut sim, "SAY 4 new\nSAY 5 newer\n");
    // A second kill, while bob is away.
    let bytes = kept(&sim);
    restart(&mut sim, &bytes, limits());
    bob.come_back(&mut sim);
    assert_eq!(bob.missed, "-");
    let texts: Vec<&str> = bob
        .said
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(texts, ["kept", "lost", "lost too", "new", "newer"]);
    // From here on it is known again.
    bob.come_back(&mut sim);
    assert_eq!((bob.missed.as_str(), bob.said.len()), ("0", 5));
}

#[test]
fn resuming_shows_nothing_from_before_the_user_joined() {
    for history in [0, 1] {
        let limits = Limits { history, ..limits() };
        let mut sim = Sim::new(limits);
        let alice = Client::join(&mut sim, "10.0.0.1:1001", "alice");
        alice.say(&mut sim, "SAY 1 one\nSAY 2 two\n");
        let mut bob = Client::join(&mut sim, "10.0.0.2:1001", "bob");
        assert_eq!(bob.said.len(), history);
        alice.say(&mut sim, "SAY 3 three\n");
        // It says that it has received nothing.
        let all = |sim: &mut Sim, bob: &mut Client| {
            (bob.next, bob.said) = (0, Vec::new());
            bob.come_back(sim);
            let texts = bob.said.iter().map(|line| line.rsplit(' ').next().unwrap());
            texts.map(str::to_owned).collect::<Vec<_>>()
        };
        let expected = &["two", "three"][1 - history..];
        assert_eq!(all(&mut sim, &mut bob), expected);
        assert_eq!(all(&mut sim, &mut bob), expected, "once more");
        sim.shut_down();
        let bytes = kept(&sim);
        restart(&mut sim, &bytes, limits);
        assert_eq!(all(&mut sim, &mut bob), expected, "after a restart");
        let bytes = kept(&sim);
        restart(&mut sim, &bytes, limits);
        assert_eq!(all(&mut sim, &mut bob), expected, "after a kill");
    }
}

#[test]
fn what_operators_did_outlasts_a_restart() {
    let mut sim = Sim::new(limits());
    let operators = |sim: &mut Sim, keys: HashSet<_>| sim.room.set_operators(Operators::new(None, keys));
    let mut alice = Client::join(&mut sim, "10.0.0.1:1001", "alice");
    let key = sim.key(alice.peer).parse().unwrap();
    operators(&mut sim, [key].into());
    alice.come_back(&mut sim);
    let mut bob = Client::join(&mut sim, "10.0.0.2:1001", "bob");
    let mut carol = Client::join(&mut sim, "10.0.0.3:1001", "carol");
    let _mallory = Client::join(&mut sim, "10.0.0.4:1001", "mallory");
    let _dave = Client::join(&mut sim, "10.0.0.5:1001", "dave");
    alice.say(
        &mut sim,
        "ROOM topic meeting at 3\nROOM mute bob 10\nROOM mute dave\nROOM slow 30\nROOM ban mallory rude\nROOM lock\n",
    );
    sim.run(Duration::from_secs(300));
    stop_and_start(&mut sim);
    operators(&mut sim, [key].into());
    alice.come_back(&mut sim);
    alice.say(&mut sim, "ROOM unmute dave\n");
    assert!(
        sim.news(alice.peer)
            .iter()
            .any(|line| line.ends_with("has unmuted dave@10.0.0.5:1001"))
    );
    bob.come_back(&mut sim);
    let news = sim.lines(bob.peer).0.join("\n");
    assert!(
        news.contains("\nTOPIC alice@10.0.0.1:1002 meeting at 3\n"),
        "{news}"
    );
    bob.say(&mut sim, "SAY 1 let me\n");
    let news = bob.read(&mut sim);
    assert!(news[0].contains("has muted you for 5 minutes"), "{news:?}");
    carol.come_back(&mut sim);
    carol.say(&mut sim, "SAY 1 one\nSAY 2 two\n");
    let news = carol.read(&mut sim);
    assert!(
        news.iter().any(|line| line.starts_with("ERROR slow 2 ")),
        "{news:?}"
    );
    let eve = Client::join(&mut sim, "10.0.0.9:1001", "eve");
    assert!(
        sim.lines(eve.peer)
            .0
            .iter()
            .any(|line| line.starts_with("GOODBYE locked "))
    );
    alice.say(&mut sim, "ROOM unlock\n");
    let mallory = sim.connect("10.0.0.4:2000");
    sim.run(ms(0));
    assert!(sim.news(mallory)[0].contains("banned"));
}

#[test]
fn who_proved_the_code_stays_an_operator() {
    let mut sim = Sim::new(limits());
    let code = || Code::new(&mut |bytes| bytes.fill(7));
    sim.room
        .set_operators(Operators::new(Some(code()), HashSet::new()));
    let mut alice = Client::join(&mut sim, "10.0.0.1:1001", "alice");
    let tag = code().tag(&sim.peers[alice.peer].hash.unwrap());
    alice.say(&mut sim, &format!("OP {tag}\n"));
    stop_and_start(&mut sim);
    alice.come_back(&mut sim);
    let news = sim.lines(alice.peer).0.join("\n");
    assert!(news.contains("OPERATOR alice@10.0.0.1:1002"), "{news}");
}

/// A room with a user who runs it.
fn with_an_operator() -> (Sim, Client) {
    let mut sim = Sim::new(limits());
    let mut alice = Client::join(&mut sim, "10.0.0.1:1001", "alice");
    let key = sim.key(alice.peer).parse().unwrap();
    sim.room.set_operators(Operators::new(None, [key].into()));
    alice.come_back(&mut sim);
    (sim, alice)
}

#[test]
fn a_mute_ends_by_the_wall_clock() {
    let (mut sim, alice) = with_an_operator();
    let mut bob = Client::join(&mut sim, "10.0.0.2:1001", "bob");
    alice.say(&mut sim, "ROOM mute bob 10\n");
    sim.shut_down();
    let bytes = kept(&sim);
    sim.wall_set_ms += 11 * 60 * 1000;
    restart(&mut sim, &bytes, limits());
    bob.come_back(&mut sim);
    bob.say(&mut sim, "SAY 1 at last\n");
    assert!(bob.read(&mut sim)[0].ends_with("at last"));
}

#[test]
fn a_smaller_room_keeps_what_it_has_room_for() {
    let mut sim = Sim::new(limits());
    let clients: Vec<Client> = (1..50)
        .map(|host| Client::join(&mut sim, &format!("10.0.0.{host}:1001"), "alice"))
        .collect();
    clients[0].say(&mut sim, "SAY 1 hello\n");
    sim.shut_down();
    let bytes = kept(&sim);
    let small = Limits {
        max_users: 2,
        history: 0,
        ..limits()
    };
    restart(&mut sim, &bytes, small);
    let newcomer = Client::join(&mut sim, "10.0.0.1:2000", "zoe");
    assert_eq!((newcomer.next, newcomer.said.len()), (1, 0));
}

#[test]
fn only_what_is_kept_is_a_change() {
    let (mut sim, alice) = with_an_operator();
    let changes = |sim: &mut Sim, lines: &str| {
        let before = std::mem::take(&mut sim.changes);
        alice.say(sim, lines);
        std::mem::replace(&mut sim.changes, before)
    };
    for line in [
        "SAY 1 hello",
        "NICK carol",
        "ROOM topic tea",
        "ROOM slow 30",
        "ROOM lock",
        "ROOM unlock",
    ] {
        assert_eq!(changes(&mut sim, &format!("{line}\n")), 1, "{line}");
    }
    for line in [
        "PING 7",
        "AWAY at lunch",
        "SAY 1 again",
        "NICK carol",
        "ROOM bans",
        "WHISPER 10.0.0.9:1 3 psst",
    ] {
        assert_eq!(changes(&mut sim, &format!("{line}\n")), 0, "{line}");
    }
    assert!(sim.changes > 0, "a join is one");
    sim.changes = 0;
    sim.run(Duration::from_secs(3600));
    assert_eq!(sim.changes, 0, "an idle room");
}

/// Steps of a room: who speaks, leaves, comes back, or takes another nick, or the server restarts.
#[derive(Clone, Copy, Debug)]
enum Step {
    Say(usize),
    Drop(usize),
    Return(usize),
    Save,
    Stop,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..4usize).prop_map(Step::Say),
        1 => (0..4usize).prop_map(Step::Drop),
        2 => (0..4usize).prop_map(Step::Return),
        1 => Just(Step::Save),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Clients that resend what is not acknowledged, over any restarts: each line arrives at each client at most once and in
    /// order, and all of them arrive if the server is never killed.
    #[test]
    fn lines_arrive_once_over_restarts(steps in prop::collection::vec(step(), 1..40)) {
        let mut sim = Sim::new(limits());
        let nicks = ["alice", "bob", "carol", "dave"];
        let mut clients: Vec<Client> = (1..).zip(nicks)
            .map(|(host, nick)| Client::join(&mut sim, &format!("10.0.0.{host}:1001"), nick))
            .collect();
        let mut here = [true; 4];
        let mut said = Vec::new();
        let mut saved = kept(&sim);
        let mut is_killed = false;
        for (seq, step) in (1..).zip(steps) {
            match step {
                Step::Say(who) if here[who] => {
                    clients[who].say(&mut sim, &format!("SAY {seq} {seq}\n"));
                    said.push(seq.to_string());
                    // It is acknowledged: it is not said again.
                    clients[who].read(&mut sim);
                }
                Step::Drop(who) => {
                    clients[who].read(&mut sim);
                    sim.reset(clients[who].peer);
                    sim.run(ms(0));
                    here[who] = false;
                }
                Step::Return(who) => {
                    clients[who].read(&mut sim);
                    clients[who].come_back(&mut sim);
                    here[who] = true;
                }
                Step::Save => saved = kept(&sim),
                Step::Stop | Step::Kill => {
                    clients.iter_mut().for_each(|client| _ = client.read(&mut sim));
                    if matches!(step, Step::Stop) {
                        sim.shut_down();
                        saved = kept(&sim);
                    }
                    is_killed |= matches!(step, Step::Kill);
                    restart(&mut sim, &saved, limits());
                    saved = kept(&sim);
                    here = [false; 4];
                }
                Step::Say(_) => {}
            }
        }
        for client in &mut clients {
            client.read(&mut sim);
            client.come_back(&mut sim);
            let said_to: Vec<&str> = client.said.iter().map(|line| line.rsplit_once(' ').unwrap().1).collect();
            if is_killed {
                let mut all = said.iter();
                for text in &said_to {
                    prop_assert!(all.any(|said| said == text), "{}: {:?} of {:?}", client.nick, said_to, said);
                }
            } else {
                prop_assert_eq!(said_to, said.clone(), "{}", client.nick);
                prop_assert_eq!(client.missed.as_str(), "0");
            }
        }
    }
}
