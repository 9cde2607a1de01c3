//! A hostile server.

use crate::harness::{
    Chance, Client, FakeServer, Feed, GREETING, Process, SECRET, Stage, Terminal, Wire, at_once, part_of,
};
use data_encoding::BASE64URL_NOPAD;
use std::os::unix::process::ExitStatusExt;

/// A server that never greets is joined too.
const OPTIONS: [&str; 4] = ["--nick", "alice", "--history", "--clear"];

/// The memory that a client may use for its scrollback: 10,000 lines of 1 KiB.
const SCROLLBACK: usize = 12 << 20;
const SLACK: usize = 8 << 20;

fn in_lines(fake_server: &FakeServer) -> Client {
    Client::start("alice", fake_server.address, &OPTIONS, &fake_server.journal)
}

fn on_screen(fake_server: &FakeServer) -> Terminal {
    Terminal::start(
        "alice",
        fake_server.address,
        &["--nick", "alice", "--clear"],
        (80, 24),
        &fake_server.journal,
    )
}

/// A client in line mode and one with the full screen, each with its connection to the server at this stage.
fn both_at(fake_server: &FakeServer, stage: Stage) -> (Client, Wire, Terminal, Wire) {
    let client = in_lines(fake_server);
    let to_client = fake_server.accept_at(stage);
    let screen = on_screen(fake_server);
    let to_screen = fake_server.accept_at(stage);
    (client, to_client, screen, to_screen)
}

/// Checks that a client in line mode ends with an error that gives the reason.
#[track_caller]
fn assert_ends_clearly(client: &mut Client, stage: Stage) {
    assert_eq!(client.exit_code(), 1, "{stage:?}");
    let said = client.complains().lines();
    // A reset may come before the connection is complete, or before the session begins.
    let clear = |line: &String| {
        let ways = ["the server ", "can't reach ", "the connection was closed at once"];
        ways.iter().any(|way| line.contains(way))
    };
    assert!(said.iter().any(clear), "{stage:?}: {said:?}");
    assert!(!said.join("\n").contains("panicked"), "{stage:?}: {said:?}");
}

/// Checks that a full screen ends, or tries to reconnect until it is told to leave, and restores its terminal.
#[track_caller]
fn assert_ends_whole(screen: &mut Terminal, stage: Stage) {
    if stage >= Stage::Welcomed {
        screen.expect("offline, retrying");
        screen.keys("\x15/quit\r");
        assert_eq!(screen.process.exit_code(), 0, "{stage:?}");
    } else {
        assert_eq!(screen.process.exit_code(), 1, "{stage:?}");
        screen.expect("chat-client: ");
    }
    screen.expect_restored();
}

/// The growth of a program's memory.
fn growth(process: &Process, before: usize) -> usize {
    process.memory().saturating_sub(before)
}

#[test]
fn a_close_in_any_stage_is_reported_and_restores_the_terminal() {
    at_once(Stage::ALL, |stage| {
        for resets in [false, true] {
            let end = |wire: Wire| if resets { wire.reset() } else { drop(wire) };
            let fake_server = FakeServer::start();
            let mut client = in_lines(&fake_server);
            end(fake_server.accept_at(stage));
            assert_ends_clearly(&mut client, stage);
            let mut screen = on_screen(&fake_server);
            end(fake_server.accept_at(stage));
            assert_ends_whole(&mut screen, stage);
        }
    });
}

/// Checks that a program reads on, and that a line half as long again as this limit does not make it grow beyond it.
#[track_caller]
fn assert_bounded(process: &Process, wire: &mut Wire, limit: usize) {
    let piece = vec![b'x'; 1 << 20];
    let before = process.memory();
    for _ in 0..part_of(15 * (limit >> 20)) {
        assert!(wire.send_bulk(&piece), "it does not read on");
    }
    let used = growth(process, before);
    assert!(used < limit, "{used} bytes");
}

#[test]
fn an_endless_line_takes_no_memory_in_any_stage() {
    at_once(Stage::ALL, |stage| {
        let fake_server = FakeServer::start();
        let mut client = in_lines(&fake_server);
        let mut wire = fake_server.accept_at(stage);
        assert_bounded(&client, &mut wire, SLACK);
        drop(wire);
        assert_ends_clearly(&mut client, stage);

        let mut screen = on_screen(&fake_server);
        let mut wire = fake_server.accept_at(stage);
        // Without a greeting, this could be a legacy server, so the session begins, and shows it.
        let (limit, stage) = match stage {
            Stage::Connected => (SLACK + SCROLLBACK, Stage::Greeted),
            stage => (SLACK, stage),
        };
        assert_bounded(&screen.process, &mut wire, limit);
        drop(wire);
        assert_ends_whole(&mut screen, stage);
    });
}

#[test]
fn garbage_in_any_stage_causes_no_panic() {
    let mut chance = Chance::new();
    let words = [
        "WELCOME",
        "USER",
        "HISTORY",
        "LIVE",
        "SAID",
        "JOIN",
        "LEAVE",
        "NICK",
        "ADDRESS",
        "WHISPER",
        "WHISPERED",
        "RELAY",
        "PUNCH",
        "NOTICE",
        "ERROR",
        "PING",
        "PONG",
        "GOODBYE",
        "alice@10.0.0.1:1",
        "10.0.0.1:1",
        "-",
        "1",
        "18446744073709551615",
        "0",
        "AAECAwQFBgcICQoLDA0ODw",
        "mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk",
        "hello",
        "\u{202E}",
        "other",
        "[::1]:1",
        "255.255.255.255:65535",
        "0.0.0.0:0",
    ];
    for stage in Stage::ALL {
        let fake_server = FakeServer::start();
        let (mut client, mut to_client, mut screen, mut to_screen) = both_at(&fake_server, stage);
        for wire in [&mut to_client, &mut to_screen] {
            for _ in 0..part_of(2000) {
                let line: Vec<&str> = (0..chance.in_range(1..7)).map(|_| *chance.pick(&words)).collect();
                let mut bytes = line.join(" ").into_bytes();
                if chance.in_range(0..4) == 0 {
                    bytes.extend(chance.bytes(40));
                }
                bytes.push(b'\n');
                // The client may have disconnected.
                if !wire.send_bulk(&bytes) {
                    break;
                }
            }
        }
        drop((to_client, to_screen));
        let code = client.exit_code();
        assert!(code <= 7, "{stage:?}: {code}");
        assert_eq!(client.complains().with("panicked"), [""; 0], "{stage:?}");
        screen.process.signal(nix::sys::signal::Signal::SIGTERM);
        screen.process.wait();
        screen.expect_restored();
        assert!(
            !screen.rows().join("\n").contains("panicked"),
            "{:#?}",
            screen.rows()
        );
    }
}

/// The lines that name these users.
fn roster(users: std::ops::Range<u32>) -> Vec<u8> {
    let user = |number: u32| {
        let ip = std::net::Ipv4Addr::from_bits(0x0A00_0000 + number);
        let mut key = [9; 32];
        key[..4].copy_from_slice(&number.to_le_bytes());
        let key = BASE64URL_NOPAD.encode(&key);
        format!("USER nick{number}@{ip}:1 {ip}:2 {key}\n")
    };
    users.flat_map(|number| user(number).into_bytes()).collect()
}

#[test]
fn an_endless_user_list_takes_bounded_memory() {
    const MOST: usize = 160 << 20;
    let fake_server = FakeServer::start();
    let client = in_lines(&fake_server);
    let mut wire = fake_server.accept_at(Stage::Welcomed);
    let mut number = 0;
    let mut fence = |wire: &mut Wire| {
        number += 1;
        wire.line(&format!("PING {number}"));
        wire.expect(&format!("PONG {number}"));
    };
    assert!(wire.send_bulk(&roster(0..100_000)));
    fence(&mut wire);
    let full = client.memory();
    assert!(full < MOST, "{full} bytes for 100,000 users");
    assert!(wire.send_bulk(&roster(100_000..150_000)));
    fence(&mut wire);
    let used = growth(&client, full);
    assert!(used < SLACK, "{used} bytes for users beyond the limit");
    wire.line("HISTORY -\nLIVE\nSAID 1 10.0.0.1:1 hello");
    client.shows().expect_line("from 10.0.0.1:1: hello");
    client.complains().expect(" and 99979 more");
}

#[test]
fn endless_history_and_private_messages_take_bounded_memory() {
    let count = part_of(400_000);
    let fake_server = FakeServer::start();
    let (client, mut to_client, screen, mut to_screen) = both_at(&fake_server, Stage::History);
    let before = (client.memory(), screen.process.memory());
    let text = "x".repeat(200);
    let user = "USER 10.0.0.1:1 10.0.0.1:2 mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk\n";
    for wire in [&mut to_client, &mut to_screen] {
        assert!(wire.send_bulk(user.as_bytes()));
        for line in [
            format!("SAID 1 10.0.0.1:1 {text}\n"),
            format!("WHISPER 10.0.0.1:1 {text}\n"),
            format!("RELAY 10.0.0.1:1 {}\n", "wQEA".repeat(100)),
            "PUNCH 10.0.0.1:1 127.0.0.1:9\n".into(),
        ] {
            assert!(wire.send_bulk(line.repeat(count).as_bytes()));
        }
        wire.line("LIVE\nSAID 1 10.0.0.1:1 the end");
    }
    // A client in line mode prints everything while its output is read.
    client.shows().expect_line("from 10.0.0.1:1: the end");
    screen.expect("10.0.0.1:1  the end");
    let used = (growth(&client, before.0), growth(&screen.process, before.1));
    assert!(used.0 < SLACK && used.1 < SLACK + SCROLLBACK, "{used:?} bytes");
    assert_eq!(client.shows().with("private from ").len(), count);
}

#[test]
fn a_server_that_ignores_answers_is_not_read() {
    let fake_server = FakeServer::start();
    let client = in_lines(&fake_server);
    let mut wire = fake_server.accept_at(Stage::Live);
    wire.limit_send_time();
    let before = client.memory();
    let pings = "PING 12345678901234567890\n".repeat(4000);
    let mut sent = 0;
    while sent < 64 << 20 && wire.send_bulk(pings.as_bytes()) {
        sent += pings.len();
    }
    assert!(sent < 64 << 20, "the client read everything");
    let used = growth(&client, before);
    assert!(
        used < SLACK,
        "{used} bytes for answers that the server does not read"
    );
}

#[test]
fn the_user_can_leave_a_slow_or_silent_server() {
    at_once(Stage::ALL, |stage| {
        let fake_server = FakeServer::start();
        let (mut client, mut to_client, mut screen, mut to_screen) = both_at(&fake_server, stage);
        screen.wait_until_drawing();
        for wire in [&mut to_client, &mut to_screen] {
            for byte in b"* chat version 1: hello ...." {
                wire.send([*byte]);
            }
        }
        for process in [&mut *client, &mut screen.process] {
            process.signal(nix::sys::signal::Signal::SIGTERM);
        }
        for process in [&mut *client, &mut screen.process] {
            let status = process.wait();
            // Before the client handles signals, there is nothing to clean up, and the signal kills it.
            let early = stage == Stage::Connected && status.signal() == Some(15);
            assert!(early || status.code() == Some(143), "{stage:?}: {status}");
        }
        screen.expect_restored();
    });
}

/// Waits for a warning about this user.
#[track_caller]
fn expect_warning(feed: &Feed, about: &str) {
    feed.expect_all(&["* ", about]);
}

#[test]
fn changed_names_and_keys_are_not_believed() {
    const KEYS: [&str; 2] = [
        "mZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk",
        "nZ-oRcQ8yzc0wv7nqyMbMKrM4bDYAzZcWPZ1vWfvYyk",
    ];
    let fake_server = FakeServer::start();
    let mut client = in_lines(&fake_server);
    let mut wire = fake_server.accept();
    let own_key = wire.greet(GREETING, SECRET);
    wire.expect("HELLO 1 ");
    let me = format!("alice@{}", wire.peer());
    let token = "AAECAwQFBgcICQoLDA0ODw";
    wire.line(&format!("WELCOME {me} {token} {token} 0"));
    for user in [
        format!("bob@10.0.0.2:1 10.0.0.2:2 {}", KEYS[0]),
        format!("mallory@10.0.0.3:1 10.0.0.3:2 {own_key}"),
        format!("carol@10.0.0.4:1 10.0.0.4:2 {}", KEYS[0]),
    ] {
        wire.line(&format!("USER {user}"));
    }
    wire.line("HISTORY -\nLIVE");
    client.complains().expect("you are alice@");
    // A new key for a user in the room; two keys that belong to others, one of them to the client itself.
    wire.line(&format!("USER bob@10.0.0.2:1 10.0.0.2:2 {}", KEYS[1]));
    expect_warning(client.complains(), "the key of bob@10.0.0.2:1 changed");
    expect_warning(client.complains(), "mallory@10.0.0.3:1 announced a key");
    expect_warning(
        client.complains(),
        "carol@10.0.0.4:1 announced the key of bob@10.0.0.2:1",
    );
    // Lines about the client itself: another id, another key, a leave, a new nick.
    wire.line(&format!("WELCOME eve@10.0.0.9:9 {token} {token} 7"));
    wire.line(&format!("USER {me} 10.0.0.9:9 {}", KEYS[1]));
    wire.line(&format!("LEAVE 1 {me}"));
    wire.line(&format!("NICK 1 {me} eve"));
    for who in ["bob", "mallory"] {
        client.line(&format!("/msg {who} a secret"));
        client
            .complains()
            .expect_all(&[&format!("not sent to {who}@"), "key can't be trusted"]);
    }
    client.line("hello");
    wire.expect("SAY 1 hello");
    wire.line(&format!("SAID 1 eve@{} hello", wire.peer()));
    client.end_input();
    wire.expect("QUIT");
    drop(wire);
    assert_eq!(client.exit_code(), 5);
}
