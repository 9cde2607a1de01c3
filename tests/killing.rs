//! SIGKILL at random moments.

use crate::harness::{
    Chance, Client, Journal, Plain, Server, Terminal, Wire, at_once, part_of, server_command,
};
use nix::sys::signal::Signal;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Runs of a test at the same time.
const LANES: usize = 10;

const BRIEF: Duration = Duration::from_millis(15);

/// Collects the lines that arrive in this time.
fn listen(user: &mut Plain, time: Duration, heard: &mut Vec<String>) {
    while let Some(Some(line)) = user.next_line_within(time) {
        heard.push(line);
    }
}

/// Checks that every user joined once and then left once, and that its messages came between the two, once and in order.
#[track_caller]
fn assert_orderly(heard: &[String]) {
    let mut said: HashMap<&str, Option<u32>> = HashMap::new();
    let mut gone = Vec::new();
    for line in heard {
        if let Some(who) = line.strip_suffix(" is online") {
            assert_eq!(said.insert(who, None), None, "{who} joined twice: {heard:#?}");
        } else if let Some(who) = line.strip_suffix(" is offline") {
            assert!(
                said.remove(who).is_some(),
                "{who} left without having joined: {heard:#?}"
            );
            gone.push(who);
        } else {
            let message = line.strip_prefix("from ").and_then(|line| line.split_once(": "));
            let (who, text) = message.unwrap_or_else(|| panic!("{line:?}"));
            let number: u32 = text.strip_prefix("number ").unwrap().parse().unwrap();
            let last = said
                .get_mut(who)
                .unwrap_or_else(|| panic!("{who} sends a message and is not in the room"));
            assert_eq!(number, last.map_or(0, |last| last + 1), "{who}: {heard:#?}");
            *last = Some(number);
        }
    }
    assert!(said.is_empty(), "these did not leave: {said:?}");
}

#[test]
fn killed_clients_leave_once_and_send_nothing_twice() {
    let server = Server::start(&[]);
    let mut chance = Chance::new();
    let mut watcher = server.plain("watcher");
    let mut heard = Vec::new();
    let mut here = Vec::new();
    for round in 0..part_of(200) {
        let mut client = server.start_client("doomed", &["--nick", &format!("doomed{round}")]);
        if chance.in_range(0..4) == 0 {
            client.wait_until_online(&format!("doomed{round}"));
        }
        for number in 0..chance.in_range(0..30) {
            client.line(&format!("number {number}"));
        }
        here.push(client);
        // Some clients live longer, so that several die together.
        if chance.in_range(0..3) > 0 {
            listen(&mut watcher, chance.up_to(BRIEF), &mut heard);
            for client in &mut here.drain(..) {
                client.signal(Signal::SIGKILL);
            }
        }
    }
    drop(here);
    // The server may still announce the last killed clients, and then removes them.
    let mut fence = server.plain("fence");
    let fence_id = fence.id().to_owned();
    let until_quiet = |heard: &Vec<String>| {
        let count = |what: &str| heard.iter().filter(|line| line.ends_with(what)).count();
        count(" is online") == count(" is offline") + 1
    };
    heard.extend(watcher.until(&format!("{fence_id} is online")));
    while !until_quiet(&heard) {
        heard.extend(watcher.until(" is offline"));
    }
    fence.line("number 0");
    fence.close();
    heard.extend(watcher.until(&format!("{fence_id} is offline")));
    assert_orderly(&heard);
    let joins = heard.iter().filter(|line| line.ends_with(" is online")).count();
    assert_eq!(server.log_so_far(" leave ").len(), joins);
    println!(
        "{} of {} were announced before they were killed",
        joins - 1,
        part_of(200)
    );
}

/// Starts a server on the address of an earlier one.
fn start_at(address: SocketAddr) -> Server {
    let mut command = server_command();
    Server::start_command(command.args([address.ip().to_string(), address.port().to_string()]))
}

/// Kills and restarts a server again and again, while one full screen stays.
fn kill_servers(lane: usize, rounds: usize, mut chance: Chance) {
    // An address of its own, so that no connection of another test can occupy the port.
    let mut server = Server::start_on(&format!("127.0.1.{}", 10 + lane), &[]);
    let address = server.address;
    let journal = Journal::new();
    // High enough for all lines of a round.
    let mut alice = Terminal::start("alice", address, &["--nick", "alice"], (100, 80), &journal);
    alice.expect("you are alice@");
    for round in 0..rounds {
        let mut bob = Client::start("bob", address, &["--nick", "bob"], &journal);
        bob.wait_until_online("bob");
        let mut carol = Plain::join(Wire::connect("carol", address, &journal));
        alice.keys(&format!("before {round} in lane {lane}\r"));
        alice.expect(&format!("alice  before {round} in"));
        bob.shows().expect(&format!(": before {round} in"));
        for number in 0..chance.in_range(0..20) {
            bob.line(&format!("number {number} of {round}"));
            carol.line(&format!("count {number} of {round}"));
        }
        carol.next_line_within(chance.up_to(BRIEF));
        server.process.signal(Signal::SIGKILL);
        server.process.wait();

        assert_eq!(bob.exit_code(), 1);
        bob.complains().expect("* the server closed the connection");
        assert_eq!(bob.complains().with("panicked"), [""; 0]);
        alice.expect("offline, retrying");
        alice.keys(&format!("meanwhile {round}\r"));
        alice.expect(&format!("meanwhile {round}  waiting"));
        server = start_at(address);
        alice.expect(&format!("alice  meanwhile {round}"));
        let mut dave = Plain::join(Wire::connect("dave", address, &journal));
        let heard = dave.sync("marker");
        assert!(!heard.iter().any(|line| line.contains("before")), "{heard:?}");
        alice.expect("marker");
        let rows = alice.rows();
        for text in ["before", "meanwhile"] {
            let text = format!("alice  {text} {round}");
            let count = rows.iter().filter(|row| row.contains(&text)).count();
            assert_eq!(count, 1, "{text}: {rows:#?}");
        }
        alice.keys("/clear\r");
        // Another line at once would be taken for the rest of a paste.
        alice.wait("an empty screen", |screen| {
            (!screen.contents().contains("marker")).then_some(())
        });
    }
    let log = server.log_so_far(" join alice@");
    assert_eq!(log.len(), usize::from(rounds > 0), "{log:?}");
    alice.keys("/quit\r");
    assert_eq!(alice.process.exit_code(), 0);
    alice.expect_restored();
}

#[test]
fn a_killed_server_is_reported_and_rejoined() {
    let mut chance = Chance::new();
    let rounds = part_of(200).div_ceil(LANES);
    let lanes = [(); LANES].map(|()| chance.split());
    at_once(lanes.into_iter().enumerate(), |(lane, chance)| {
        kill_servers(lane, rounds, chance);
    });
}

#[test]
fn a_signal_during_the_start_restores_the_terminal() {
    let server = Server::start(&[]);
    let mut chance = Chance::new();
    let signals = [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGUSR1,
        Signal::SIGALRM,
    ];
    let rounds = part_of(200).div_ceil(LANES);
    at_once([(); LANES].map(|()| chance.split()), |mut chance| {
        let mut watcher = server.plain("watcher");
        let mut heard = Vec::new();
        for _ in 0..rounds {
            let mut alice = Terminal::start("alice", server.address, &[], (80, 24), &server.journal);
            if chance.in_range(0..2) == 0 {
                alice.wait_until_drawing();
            } else {
                listen(&mut watcher, chance.up_to(BRIEF), &mut heard);
            }
            alice.process.signal(*chance.pick(&signals));
            alice.process.signal(Signal::SIGTERM);
            alice.process.wait();
            alice.expect_restored();
        }
    });
}

#[test]
fn a_user_who_is_not_back_after_a_restart_is_awaited() {
    let mut server = Server::start_on("127.0.1.30", &[]);
    let address = server.address;
    let journal = Journal::new();
    let start = |nick| Terminal::start(nick, address, &["--nick", nick], (100, 30), &journal);
    let (mut alice, bob) = (start("alice"), start("bob"));
    alice.expect("you are alice@");
    bob.expect("you are bob@");
    // The client has the whole key only of users to whom it has written, and waits for no others.
    alice.keys("/msg bob hello\r");
    bob.expect("alice  hello");
    bob.process.signal(Signal::SIGSTOP);
    server.process.signal(Signal::SIGKILL);
    server.process.wait();
    alice.expect("offline, retrying");
    let _server = start_at(address);
    alice.expect("back: you are alice@");
    alice.keys("/msg bob psst\r");
    alice.expect("psst  waiting");
    bob.process.signal(Signal::SIGCONT);
    bob.expect("alice  psst");
}
