//! The encrypted channel: the handshake, and what is said over it.

use crate::sim::{PeerNo, Reading, Sim, limits, ms};
use chat_server::event::{Departure, Event, Refusal};
use chat_server::member::Stage;
use chat_server::room::Limits;

/// The last line of a peer whose handshake failed.
const FAILED: &str = "* disconnected: the handshake for an encrypted channel failed";

/// The last line of a client that does not encrypt.
pub(crate) const OUTDATED: &str =
    "* disconnected: this client does not encrypt, and this server requires that; use a newer chat-client";

fn refused(sim: &Sim) -> usize {
    let is_refused = |event: &&Event| {
        matches!(
            event,
            Event::Refuse {
                why: Refusal::Handshake,
                ..
            }
        )
    };
    sim.events.iter().filter(is_refused).count()
}

/// A peer whose handshake the server has answered.
fn begun(sim: &mut Sim, address: &str) -> PeerNo {
    let peer = sim.connect(address);
    sim.run(ms(0));
    sim.send(
        peer,
        "SEAL 1 AAECAwQFBgcICQoLDA0ODw RAj2ntWWua21YJQSicUCsYPzFBv22iU6icvXKgIzABs\n",
    );
    sim.run(ms(0));
    assert!(sim.news(peer)[1].starts_with("SEAL 1 "));
    peer
}

#[test]
fn users_on_encrypted_channels_and_plain_ones_talk() {
    let mut sim = Sim::new(limits());
    let plain = sim.plain("10.0.0.5:5001");
    let alice = sim.rich("10.0.0.7:5002", "alice");
    let bob = sim.rich("10.0.0.9:5003", "bob");
    sim.news(plain);
    sim.news(alice);
    sim.send(alice, "SAY 1 hello\n");
    sim.send(plain, "hi\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(plain),
        ["from 10.0.0.5:5001: hi", "from alice@10.0.0.7:5002: hello"]
    );
    for peer in [alice, bob] {
        let news = sim.news(peer);
        assert!(
            news.iter()
                .any(|line| line.ends_with("alice@10.0.0.7:5002 hello")),
            "{news:?}"
        );
        assert!(
            news.iter().any(|line| line.ends_with("10.0.0.5:5001 hi")),
            "{news:?}"
        );
    }
}

#[test]
fn what_follows_the_handshake_in_one_read_is_processed() {
    let mut sim = Sim::new(limits());
    let listener = sim.plain("10.0.0.5:5001");
    let alice = sim.connect("10.0.0.7:5002");
    sim.seal(alice, "HELLO 1 alice - -");
    // Not read before this is sent too.
    sim.send(alice, "SAY 1 at once\n");
    sim.run(ms(0));
    let news = sim.news(listener);
    assert_eq!(news.last().unwrap(), "from alice@10.0.0.7:5002: at once");
}

#[test]
fn nobody_is_told_of_a_handshake_that_does_not_end() {
    let mut sim = Sim::new(limits());
    let listener = sim.plain("10.0.0.5:5001");
    let peer = begun(&mut sim, "10.0.0.7:5002");
    sim.run(ms(9_900));
    assert!(!sim.is_closed(peer));
    sim.run(ms(200));
    assert_eq!(sim.news(peer), [FAILED]);
    assert!(sim.is_closed(peer));
    assert_eq!(refused(&sim), 1);
    assert_eq!(sim.news(listener), Vec::<String>::new());
}

/// A second of silence ends a line of a plain user. Here it must neither do that nor keep the server awake.
#[test]
fn half_a_message_of_a_handshake_waits_for_the_rest() {
    let mut sim = Sim::new(limits());
    let peer = begun(&mut sim, "10.0.0.7:5002");
    sim.send(peer, "SEAL 1 w-YVvoQoG_Dic");
    sim.run(ms(0));
    let turns = sim.turns;
    sim.run(ms(9_900));
    assert!(sim.turns - turns < 10, "{} turns", sim.turns - turns);
    assert!(!sim.is_closed(peer));
    sim.run(ms(200));
    assert_eq!(sim.news(peer), [FAILED]);
}

#[test]
fn a_line_that_is_not_of_the_handshake_ends_it_and_is_not_said() {
    let mut sim = Sim::new(limits());
    let listener = sim.plain("10.0.0.5:5001");
    let unanswered = [5004, 5005].map(|port| sim.connect(&format!("10.0.0.8:{port}")));
    sim.run(ms(0));
    // The second has a key that gives every secret the same result.
    let zeros = format!("SEAL 1 {} {}\n", "A".repeat(22), "A".repeat(43));
    for (peer, line) in unanswered.iter().zip(["SEAL 1 x y\n", &zeros]) {
        sim.send(*peer, line);
    }
    for line in ["hello\n", "HELLO 1 mallory - -\n", "SEAL 1 AAAA\n", "\n"] {
        let peer = begun(&mut sim, "10.0.0.7:5002");
        sim.send(peer, line);
        sim.run(ms(0));
        assert_eq!(sim.news(peer), [FAILED], "{line:?}");
        assert!(sim.is_closed(peer), "{line:?}");
    }
    for peer in unanswered {
        assert_eq!(sim.lines(peer).0.last(), Some(&FAILED));
    }
    assert_eq!(sim.news(listener), Vec::<String>::new());
}

#[test]
fn what_was_changed_on_the_way_ends_the_connection() {
    let mut sim = Sim::new(limits());
    let listener = sim.plain("10.0.0.5:5001");
    let alice = sim.rich("10.0.0.7:5002", "alice");
    sim.send(alice, "SAY 1 before\n");
    sim.inject(
        alice,
        &[0, 20, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
    );
    sim.send(alice, "SAY 2 after\n");
    sim.run(ms(0));
    assert_eq!(sim.departure("alice@10.0.0.7:5002"), Some(Departure::Altered));
    let news = sim.news(listener);
    assert!(news.contains(&"from alice@10.0.0.7:5002: before".to_owned()));
    assert!(!news.iter().any(|line| line.contains("after")));
    assert_eq!(
        sim.news(alice).last().unwrap(),
        "GOODBYE other disconnected: what you sent was changed on the way"
    );
}

#[test]
fn a_late_handshake_turns_a_plain_user_into_a_client() {
    let mut sim = Sim::new(limits());
    let listener = sim.plain("10.0.0.5:5001");
    let alice = sim.connect("10.0.0.7:5002");
    sim.run(ms(300));
    assert_eq!(sim.news(listener), ["10.0.0.7:5002 is online"]);
    sim.seal(alice, "HELLO 1 alice - -");
    sim.send(listener, "hello\n");
    sim.run(ms(0));
    sim.send(alice, "SAY 1 hi\n");
    sim.run(ms(0));
    assert_eq!(
        sim.news(listener),
        [
            "from 10.0.0.5:5001: hello",
            "10.0.0.7:5002 is now alice@10.0.0.7:5002",
            "from alice@10.0.0.7:5002: hi"
        ]
    );
}

#[test]
fn the_key_of_a_user_is_the_proven_one() {
    let mut sim = Sim::new(limits());
    let alice = sim.connect("10.0.0.7:5002");
    sim.seal(alice, "HELLO 1 alice 5000 -");
    sim.run(ms(0));
    let join = sim.news(alice).pop().unwrap();
    assert!(
        join.starts_with("JOIN ") && join.ends_with(&format!(" {}", sim.short_key(alice))),
        "{join}"
    );
    sim.send(alice, "WHOIS 10.0.0.7:5002\nWHOIS 10.0.0.8:1\n");
    sim.run(ms(0));
    let user = format!("USER alice@10.0.0.7:5002 10.0.0.7:5000 {}", sim.key(alice));
    assert_eq!(sim.news(alice), [user]);
}

#[test]
fn a_full_socket_loses_and_repeats_nothing() {
    let mut sim = Sim::new(limits());
    let alice = sim.rich("10.0.0.7:5002", "alice");
    let slow = sim.rich("10.0.0.9:5003", "slow");
    sim.peers[slow].write_max = 7;
    sim.peers[slow].capacity = 64;
    for number in 1..=50 {
        sim.send(alice, &format!("SAY {number} line {number}\n"));
        sim.run(ms(0));
    }
    let said: Vec<String> = sim.news(slow);
    let said: Vec<&str> = said
        .iter()
        .filter_map(|line| line.split_once(" line "))
        .map(|(_, n)| n)
        .collect();
    assert_eq!(said, (1..=50).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_user_that_quits_is_sent_everything_first() {
    let mut sim = Sim::new(limits());
    let alice = sim.rich("10.0.0.7:5002", "alice");
    sim.peers[alice].write_max = 5;
    sim.send(alice, "QUIT\n");
    sim.run(ms(0));
    assert_eq!(sim.news(alice).last().unwrap(), "GOODBYE quit goodbye");
    assert!(sim.is_closed(alice));
}

#[test]
fn a_slow_reader_is_disconnected_like_any_other() {
    let mut sim = Sim::new(limits());
    let alice = sim.rich("10.0.0.7:5002", "alice");
    let stuck = sim.rich("10.0.0.9:5003", "stuck");
    sim.peers[stuck].reading = Reading::Stopped;
    for number in 1..=400 {
        sim.send(alice, &format!("SAY {number} {}\n", "x".repeat(3000)));
        sim.run(ms(10));
    }
    sim.run(ms(5_000));
    assert!(
        matches!(sim.departure("stuck@10.0.0.9:5003"), Some(Departure::Slow(_))),
        "{:?}",
        sim.departure("stuck@10.0.0.9:5003"),
    );
}

#[test]
fn a_lost_connection_is_resumed_over_a_new_channel() {
    let mut sim = Sim::new(limits());
    let alice = sim.connect("10.0.0.7:5002");
    sim.seal(alice, "HELLO 1 alice - -");
    sim.run(ms(0));
    let welcome = sim.news(alice).remove(1);
    let token = welcome.split(' ').nth(2).unwrap().to_owned();
    sim.send(alice, "SAY 1 one\n");
    sim.run(ms(0));
    let again = same_key(
        &mut sim,
        alice,
        "10.0.0.7:5003",
        &format!("HELLO 1 alice - {token}"),
    );
    let welcome = sim.news(again).remove(1);
    assert!(
        welcome.starts_with("WELCOME alice@10.0.0.7:5003 ") && welcome.ends_with(" 1"),
        "{welcome}"
    );
    assert!(sim.news(alice).last().unwrap().starts_with("GOODBYE replaced "));
}

/// The token in the WELCOME of this peer.
fn token(sim: &Sim, peer: PeerNo) -> String {
    let lines = sim.lines(peer).0;
    let welcome = lines.iter().find(|line| line.starts_with("WELCOME "));
    welcome.unwrap().split(' ').nth(2).unwrap().to_owned()
}

/// A client with the key of this one says this first.
fn same_key(sim: &mut Sim, of: PeerNo, address: &str, first: &str) -> PeerNo {
    let peer = sim.connect(address);
    sim.take_key(peer, of);
    sim.seal(peer, first);
    sim.run(ms(0));
    peer
}

#[test]
fn no_two_users_have_one_key() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.5:5001");
    let alice = sim.rich("10.0.0.7:5002", "alice");
    sim.news(witness);
    let again = same_key(&mut sim, alice, "10.0.0.8:5003", "HELLO 1 alice - -");
    assert_eq!(
        sim.news(witness),
        ["alice@10.0.0.7:5002 is offline", "alice@10.0.0.8:5003 is online"]
    );
    assert_eq!(sim.departure("alice@10.0.0.7:5002"), Some(Departure::Replaced));
    assert!(sim.news(alice).last().unwrap().starts_with("GOODBYE replaced "));
    let welcome = sim.news(again).remove(1);
    assert!(
        welcome.ends_with(" 0"),
        "without the token its numbers begin anew: {welcome}"
    );
    // A probe is no user.
    same_key(&mut sim, alice, "10.0.0.9:5004", "PROBE 1 alice");
    assert_eq!(sim.news(witness), Vec::<String>::new());
}

#[test]
fn the_same_key_gets_its_held_nick_without_a_token() {
    let mut sim = Sim::new(limits());
    let alice = sim.rich("10.0.0.7:5002", "alice");
    sim.reset(alice);
    sim.run(ms(0));
    let thief = sim.rich("10.0.0.8:5003", "alice");
    assert!(
        sim.lines(thief)
            .0
            .iter()
            .any(|line| line.starts_with("ERROR nick-taken "))
    );
    let again = same_key(&mut sim, alice, "10.0.0.7:5004", "HELLO 1 alice - -");
    assert!(sim.news(again)[1].starts_with("WELCOME alice@10.0.0.7:5004 "));
}

#[test]
fn a_token_counts_only_with_the_key_it_was_given_to() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.5:5001");
    let alice = sim.rich("10.0.0.7:5002", "alice");
    sim.send(alice, "SAY 7 one\n");
    sim.run(ms(0));
    let token = token(&sim, alice);
    let hello = format!("HELLO 1 alice - {token} next=0");
    for address in ["10.0.0.8:5003", "10.0.0.8:5004"] {
        sim.news(witness);
        let thief = sim.connect(address);
        sim.seal(thief, &hello);
        sim.run(ms(0));
        assert_eq!(sim.news(witness), [format!("{address} is online")]);
        let news = sim.news(thief);
        assert!(news[1].starts_with(&format!("WELCOME {address} ")) && news[1].ends_with(" 0"));
        let history = news.iter().find(|line| line.starts_with("HISTORY ")).unwrap();
        assert!(history.ends_with(" -"), "{history}");
        // The second time the connection is gone, and its token remembered.
        sim.reset(alice);
        sim.run(ms(0));
    }
    let again = same_key(&mut sim, alice, "10.0.0.7:5005", &hello);
    let welcome = sim.news(again).remove(1);
    assert!(
        welcome.starts_with("WELCOME alice@") && welcome.ends_with(" 7"),
        "{welcome}"
    );
}

/// The client has given that connection up and made another one since.
#[test]
fn a_handshake_begun_earlier_takes_no_place() {
    let mut sim = Sim::new(limits());
    let late = sim.connect("10.0.0.7:5001");
    let (met, _) = sim.meet(late, None).unwrap();
    sim.run(ms(1000));
    let alice = same_key(&mut sim, late, "10.0.0.7:5002", "HELLO 1 alice - -");
    sim.prove(late, met, "HELLO 1 alice - -");
    sim.run(ms(0));
    assert!(sim.is_closed(late) && !sim.is_closed(alice));
    assert_eq!(sim.departure("alice@10.0.0.7:5002"), None);
}

/// A pause gives a handshake more time, but does not make it the newer one.
#[test]
fn a_pause_moves_no_handshake_past_another() {
    let mut sim = Sim::new(limits());
    let (talker, stopped) = (sim.plain("10.0.0.1:1001"), sim.plain("10.0.0.1:1002"));
    let late = sim.connect("10.0.0.7:5001");
    let (met, _) = sim.meet(late, None).unwrap();
    sim.run(ms(1000));
    let alice = same_key(&mut sim, late, "10.0.0.7:5002", "HELLO 1 alice - -");
    sim.peers[stopped].reading = Reading::Stopped;
    sim.send(talker, &format!("{}\n", "x".repeat(3999)).repeat(400));
    sim.run(ms(2000));
    assert!(sim.longest_hold > ms(0), "the room has paused");
    sim.prove(late, met, "HELLO 1 alice - -");
    sim.run(ms(0));
    assert!(sim.is_closed(late) && !sim.is_closed(alice));
    assert_eq!(sim.departure("alice@10.0.0.7:5002"), None);
}

#[test]
fn in_a_full_room_the_same_key_takes_its_own_place() {
    let mut sim = Sim::new(Limits {
        max_users: 1,
        ..limits()
    });
    let alice = sim.rich("10.0.0.7:5002", "alice");
    let stranger = sim.rich("10.0.0.8:5003", "bob");
    assert_eq!(sim.lines(stranger).0.last(), Some(&"too many users"));
    let again = same_key(&mut sim, alice, "10.0.0.7:5004", "HELLO 1 alice - -");
    assert!(sim.news(again)[1].starts_with("WELCOME alice@10.0.0.7:5004 "));
}

#[test]
fn a_client_that_does_not_encrypt_is_told_so_and_closed() {
    let mut sim = Sim::new(limits());
    let witness = sim.plain("10.0.0.5:5001");
    for (number, first) in ["HELLO 1 alice - - -", "HELLO 1 alice 5000 -", "PROBE 1 alice"]
        .into_iter()
        .enumerate()
    {
        let early = sim.connect(&format!("10.0.0.7:{}", number + 1));
        sim.inject(early, format!("{first}\nSAY 1 hi\n").as_bytes());
        sim.run(ms(0));
        assert_eq!(sim.news(early)[1..], [OUTDATED]);
        assert!(sim.is_closed(early));
        let late = sim.connect(&format!("10.0.0.8:{}", number + 1));
        sim.run(ms(250));
        sim.inject(late, format!("{first}\n").as_bytes());
        sim.run(ms(0));
        let name = format!("10.0.0.8:{}", number + 1);
        assert_eq!(sim.news(late)[2..], [OUTDATED]);
        assert_eq!(sim.departure(&name), Some(Departure::Outdated));
        assert_eq!(
            sim.news(witness),
            [format!("{name} is online"), format!("{name} is offline")]
        );
    }
    let outdated = |event: &&Event| {
        matches!(
            event,
            Event::Refuse {
                why: Refusal::Outdated,
                ..
            }
        )
    };
    assert_eq!(sim.events.iter().filter(outdated).count(), 3);
}

/// Messages of handshakes that the server has processed.
fn processed(sim: &Sim) -> usize {
    let members = sim.room.roster().iter_from(0).map(|(_, member)| member);
    let of_each = members.map(|member| match member.stage {
        Stage::Sealing(..) => 1,
        _ if member.key().is_some() => 2,
        _ => 0,
    });
    of_each.sum()
}

#[test]
fn a_crowd_that_joins_at_once_delays_nobody_who_talks() {
    const CROWD: usize = 200;
    let mut sim = Sim::new(limits());
    let talkers: Vec<_> = (0..10).map(|n| sim.plain(&format!("10.0.0.{n}:5001"))).collect();
    let crowd: Vec<_> = (0..CROWD)
        .map(|n| {
            let peer = sim.connect(&format!("10.1.{}.{}:5002", n / 200, n % 200));
            sim.send(peer, "HELLO 1 - - - -\n");
            peer
        })
        .collect();
    let (mut before, mut turns) = (0, 0);
    while processed(&sim) < 2 * CROWD {
        for &talker in &talkers {
            sim.news(talker);
        }
        sim.send(talkers[turns % 10], &format!("line {turns}\n"));
        sim.turn();
        let told = sim.news(talkers[(turns + 1) % 10]);
        assert!(
            told.iter().any(|line| line.ends_with(&format!(": line {turns}"))),
            "turn {turns}: {told:?}"
        );
        let after = processed(&sim);
        assert!(after - before <= 8, "{} in turn {turns}", after - before);
        (before, turns) = (after, turns + 1);
        assert!(turns < CROWD, "{after} of {} after {turns} turns", 2 * CROWD);
    }
    sim.run(ms(0));
    for peer in crowd {
        assert!(!sim.is_closed(peer));
        assert!(sim.news(peer).iter().any(|line| line.starts_with("WELCOME ")));
    }
}

#[test]
fn joins_of_a_crowd_are_told_together_and_within_100_ms() {
    const CROWD: usize = 100;
    let mut sim = Sim::new(limits());
    let reader = sim.plain("10.0.0.1:5001");
    for n in 0..CROWD {
        let peer = sim.connect(&format!("10.0.1.{n}:5002"));
        sim.send(peer, "HELLO 1 - - - -\n");
    }
    sim.news(reader);
    let (mut told, mut writes, mut since) = (0, 0, None);
    while told < CROWD {
        sim.turn();
        sim.advance(sim.now + ms(4));
        let users = sim
            .room
            .roster()
            .iter_from(0)
            .filter(|(_, member)| member.stage == Stage::Joined);
        let joined = users.count() - 1;
        let news = sim.news(reader).len();
        (told, writes) = (told + news, writes + usize::from(news > 0));
        since = since.filter(|_| news == 0).or((joined > told).then_some(sim.now));
        assert!(
            since.is_none_or(|since| sim.now - since <= ms(104)),
            "{joined} joined, {told} told"
        );
    }
    assert!(writes < 5, "{writes} writes for {CROWD} joins");
}

#[test]
fn whoever_waits_for_a_turn_is_neither_announced_nor_late() {
    let mut sim = Sim::new(limits());
    let plain = sim.plain("10.0.0.5:5001");
    let crowd: Vec<_> = (0..40)
        .map(|n| {
            let peer = sim.connect(&format!("10.0.1.{n}:5002"));
            sim.send(peer, "HELLO 1 - - - -\nSAY 1 last words\n");
            sim.half_close(peer);
            peer
        })
        .collect();
    // They are greeted, and what they answer is read.
    sim.turn();
    sim.turn();
    // Each turn takes long: more than a connection has that says nothing, and in all more than a handshake may take.
    for _ in 0..20 {
        sim.turn();
        sim.advance(sim.now + ms(900));
    }
    sim.run(ms(0));
    let told = sim.news(plain);
    let count = |end: &str| told.iter().filter(|line| line.ends_with(end)).count();
    assert_eq!(
        (count(" is online"), count("last words"), count(" is offline")),
        (40, 40, 40),
        "{told:?}"
    );
    for peer in crowd {
        let lines = sim.lines(peer).0;
        assert!(!lines.iter().any(|line| line.ends_with("is online")), "{lines:?}");
    }
}
