//! Datagrams that must not be answered.

use crate::harness::{Chance, DEADLINE, Rich, Server, part_of};
use chat_noise::rendezvous::{self, REPLY_LEN, REQUEST_LEN, Reply};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// The request by which a client learns its public address.
fn request(token: &str, count: u64) -> Vec<u8> {
    rendezvous::request(&token.parse().unwrap(), count, REQUEST_LEN)
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

/// Many datagrams; none is a request that the server must answer.
fn garbage(chance: &mut Chance, count: usize, valid: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for _ in 0..count {
        // Lengths: empty, one byte, close to that of a request, the longest datagram.
        let length = *chance.pick(&[0, 1, 2, 17, 18, 33, 63, 64, 65, 1200, 1201, 9000, 65_507]);
        let mut bytes = chance.bytes(length);
        match chance.in_range(0..4) {
            // Our magic bytes and the number of any kind come first.
            0 => {
                let kind = u8::try_from(chance.in_range(0..6)).unwrap();
                bytes
                    .iter_mut()
                    .zip([0xC1, kind])
                    .for_each(|(byte, is)| *byte = is);
            }
            // A request with a random token.
            1 => {
                bytes = valid.to_vec();
                bytes[2..18].copy_from_slice(&chance.bytes(16));
            }
            // A request that is too short, too long, or of another kind.
            2 => {
                bytes = valid.to_vec();
                match chance.in_range(0..3) {
                    0 => bytes.truncate(usize::try_from(chance.in_range(0..64)).unwrap()),
                    1 => bytes.extend(chance.bytes(1)),
                    _ => bytes[1] = *chance.pick(&[0, 1, 3, 4, 0xC1, 0xFF]),
                }
            }
            _ => {}
        }
        all.push(bytes);
    }
    all
}

/// Sends the datagrams in small groups, so that none is lost. After each group, `fence` waits until it was read.
fn send_all(socket: &UdpSocket, to: SocketAddr, all: &[Vec<u8>], mut fence: impl FnMut()) {
    for few in all.chunks(16) {
        for bytes in few {
            socket.send_to(bytes, to).unwrap();
        }
        fence();
    }
}

/// Waits until the system holds no datagram for this address: the server lets junk pile up for a moment.
fn wait_until_read(address: SocketAddr) {
    let own = format!(":{:04X} ", address.port());
    let until = Instant::now() + DEADLINE;
    let is_read = || {
        let table = std::fs::read_to_string("/proc/net/udp").unwrap();
        // Sockets that other tests open and close between two reads of the table can hide this one for a moment.
        let Some(line) = table.lines().find(|line| line.contains(&own)) else {
            return false;
        };
        // Local address, remote address, state, then the bytes in both queues.
        line.split_whitespace().nth(4).unwrap().ends_with(":00000000")
    };
    while !is_read() {
        assert!(Instant::now() < until, "the datagrams are never read");
        std::thread::yield_now();
    }
}

#[test]
fn the_server_answers_only_datagrams_with_a_valid_token() {
    let server = Server::start(&[]);
    let mut chance = Chance::new();
    let mut alice = server.rich("alice");
    let gone = server.rich("gone");
    let replayed = request(&gone.rendezvous, 1);
    gone.close();
    alice.expect("LEAVE ");
    let socket = socket();
    let valid = request(&alice.rendezvous, 7);
    // The count differs from that of the valid request, so an answer would be recognised.
    let mut all = garbage(&mut chance, part_of(5000), &request(&alice.rendezvous, 1));
    all.push(replayed.clone());
    all.push(request(&alice.resume, 2));
    let mut number = 0;
    send_all(&socket, server.address, &all, || {
        number += 1;
        alice.sync(&format!("still here {number}"));
        wait_until_read(server.address);
    });
    socket.send_to(&replayed, server.address).unwrap();
    // The first answer is to this request, so nothing before it was answered. A flood gets only a few answers.
    let mut buffer = [0; 65_536];
    socket.send_to(&valid, server.address).unwrap();
    let (length, from) = socket.recv_from(&mut buffer).unwrap();
    assert_eq!((length, from), (REPLY_LEN, server.address));
    let count = |token: &str, reply: &[u8]| {
        let reply = Reply::parse(&token.parse().unwrap(), reply)?;
        Some(reply.count)
    };
    let answered = count(&alice.rendezvous, &buffer[..length]);
    assert_eq!(answered, Some(7), "this answers something else");
    // What was sent before is of no use to whoever saw it.
    for old in 0..=7 {
        let from_elsewhere = request(&alice.rendezvous, old);
        socket.send_to(&from_elsewhere, server.address).unwrap();
    }
    for new in 8..108 {
        let request = request(&alice.rendezvous, new);
        socket.send_to(&request, server.address).unwrap();
    }
    alice.sync("all is well");
    let mut bob = server.rich("bob");
    bob.sync("with me too");
    socket
        .send_to(&request(&bob.rendezvous, 9), server.address)
        .unwrap();
    let mut answers = 0;
    loop {
        let (length, _) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(length, REPLY_LEN);
        if count(&bob.rendezvous, &buffer[..length]) == Some(9) {
            break;
        }
        let answered = count(&alice.rendezvous, &buffer[..length]);
        assert!(answered > Some(7), "an old request is answered");
        answers += 1;
    }
    assert!((1..=30).contains(&answers), "{answers} answers to a flood");
}

/// The UDP address of a client, as the server tells whoever asks.
fn private_address(watcher: &mut Rich, nick: &str) -> SocketAddr {
    let line = watcher.expect(&format!(" {nick}@"));
    let (_, id) = line.split(' ').nth(2).unwrap().split_once('@').unwrap();
    watcher.line(&format!("WHOIS {id}"));
    let line = watcher.expect(&format!("USER {nick}@{id} "));
    line.split(' ').nth(2).unwrap().parse().unwrap()
}

#[test]
fn the_client_answers_no_datagram_of_a_stranger() {
    let server = Server::start(&[]);
    let mut chance = Chance::new();
    let mut watcher = server.rich("watcher");
    let mut alice = server.client("alice");
    let address = private_address(&mut watcher, "alice");
    let mut bob = server.client("bob");
    let socket = socket();
    let all = garbage(&mut chance, part_of(5000), &request(&watcher.rendezvous, 7));
    let before = alice.memory();
    let mut number = 0;
    send_all(&socket, address, &all, || {
        // A later message over the same socket shows that the group was read.
        number += 1;
        bob.line(&format!("/msg alice number {number}"));
        alice.expect_private(&format!("bob@{}", bob.id()), &format!("number {number}"));
    });
    socket.set_nonblocking(true).unwrap();
    let answer = socket.recv_from(&mut [0; 65_536]);
    assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    let used = alice.memory().saturating_sub(before);
    assert!(used < 4 << 20, "{used} bytes for invalid datagrams");
    assert_eq!(alice.shows().with("private from ").len(), number);
    bob.end_input();
    assert_eq!(bob.exit_code(), 0, "everything was confirmed");
    alice.end_input();
    assert_eq!(alice.exit_code(), 0);
}

#[test]
fn a_replayed_datagram_is_neither_shown_nor_answered() {
    let server = Server::start(&[]);
    let mut watcher = server.rich("watcher");
    // A user whose UDP port belongs to this test, so that datagrams of the real client can be replayed.
    let thief = socket();
    let port = thief.local_addr().unwrap().port();
    let mallory = Rich::hello(server.connect("mallory"), &format!("HELLO 1 mallory {port} -"));
    watcher.expect(" mallory@");
    let mut alice = server.client("alice");
    let address = private_address(&mut watcher, "alice");
    alice.line("/msg mallory for you alone");
    let mut buffer = [0; 2000];
    let (length, from) = thief.recv_from(&mut buffer).unwrap();
    assert_eq!(from, address);
    let stranger = socket();
    for _ in 0..part_of(1000) {
        stranger.send_to(&buffer[..length], address).unwrap();
        thief.send_to(&buffer[..length], address).unwrap();
    }
    let mut bob = server.client("bob");
    bob.line("/msg alice a word");
    alice.shows().expect("a word");
    stranger.set_nonblocking(true).unwrap();
    let answer = stranger.recv_from(&mut buffer);
    assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::WouldBlock));
    assert_eq!(alice.shows().with("private from ").len(), 1);
    drop(mallory);
}
