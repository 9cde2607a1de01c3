//! The room with several connections that behave arbitrarily, in simulated time.
//!
//! An input is a script: connections from addresses, bytes to send and to read, closes, resets, and time that passes. Two
//! observers read everything from the start. Every other connection must receive a part of what they receive. See
//! [`receiver`] for the requirements on each line, and [`world`] for those on the room.

mod receiver;
mod sealing;
mod world;

use crate::bytes::Bytes;
use chat_noise::rendezvous;
use chat_proto::opaque::encode;
use chat_server::quota::Quota;
use chat_server::rate::Rate;
use chat_server::room::Limits;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;
use world::{EVERYTHING, World};

/// The longest script, in steps. Longer ones find nothing that two short ones would not.
const STEPS_MAX: usize = 300;

/// The most bytes that repetitions in a script may send, so that it ends soon: a little more than a ring holds.
const REPEATED_MAX: usize = 5 << 18;

/// Patterns of lines. `{p}` stands for bytes of the script, `{id}` for the id of a user, `{n}` for a growing number.
const LINES: [&str; 33] = [
    "HELLO 1 - - -",
    "HELLO 1 alice 9001 -",
    "HELLO 1 {p} 9001 -",
    "HELLO 1 alice - {resume}",
    "HELLO 1 - 50313 {resume}",
    "SAY {n} hello",
    "SAY {n} {p}",
    "SAY {p}",
    "NICK alice",
    "NICK {p}",
    "WHISPER {id} {n} {p}",
    "RELAY {id} {key}",
    "RELAY {id} {p}",
    "PUNCH {id}",
    "WHOIS {id}",
    "CONFIRM {nonce}",
    "CONFIRM {key}",
    "PING {n}",
    "PONG {n}",
    "QUIT",
    "{p}",
    "hello {p}",
    "/nick alice",
    "/nick {p}",
    "/who",
    "/msg {id} {p}",
    "/msg alice {p}",
    "/msg {p}",
    "/help",
    "/quit",
    "PROBE 1 alice",
    "//{p}",
    "/{p}",
];

/// The addresses of connections. Some are the same address in another notation.
const ADDRESSES: [&str; 12] = [
    "10.0.0.5:50312",
    "10.0.0.5:50313",
    "10.0.0.5:50314",
    "[::ffff:10.0.0.5]:50312",
    "10.0.0.6:1",
    "10.0.0.6:65535",
    "[fe80::1%3]:9000",
    "[fe80::1]:9000",
    "[1111:2222:3333:4444:5555:6666:7777:8888]:65535",
    "127.0.0.1:40000",
    "127.0.0.1:40001",
    "[::1]:40000",
];

const MILLISECONDS: [u64; 12] = [0, 1, 29, 30, 31, 249, 250, 999, 1000, 2000, 5000, 45_000];

const WINDOWS: [usize; 8] = [EVERYTHING, 0, 1, 7, 60, 1000, 4096, 100_000];

pub(crate) fn target(input: &[u8]) {
    let mut script = Bytes(input);
    let limits = limits(&mut script);
    let is_observed = script.one_of(&[true, true, true, false]);
    let mut world = World::new(limits, is_observed);
    let mut writer = Writer::default();
    for _ in 0..STEPS_MAX {
        if script.is_empty() {
            break;
        }
        let step = script.byte();
        writer.step(step, &mut script, &mut world);
        // Simultaneous input of several connections arrives in one turn of the loop.
        if step & 0x80 == 0 {
            world.run();
        }
    }
    world.end();
}

fn limits(script: &mut Bytes<'_>) -> Limits {
    let rate = |per_second, burst| NonZeroU32::new(per_second).map(|rate| Rate::new(rate, burst));
    Limits {
        max_users: script.one_of(&[6, 3, 12]),
        max_per_address: script.one_of(&[8, 2]),
        history: script.one_of(&[10, 0, 1, 100]),
        rate: script.one_of(&[rate(0, 0), rate(50, 200), rate(1000, 3)]),
        quota: Quota::default(),
        ping_interval: Duration::from_secs(script.one_of(&[15, 1])),
    }
}

/// The state of a running script.
#[derive(Default)]
struct Writer {
    number: u64,
    repeated: usize,
}

impl Writer {
    fn step(&mut self, step: u8, script: &mut Bytes<'_>, world: &mut World) {
        if world.people() == 0 || step & 0x0F == 0 {
            return world.connect(address(script));
        }
        let who = script.below(world.people());
        match step & 0x0F {
            1 => world.send(who, script.bytes()),
            2..=5 => {
                let mut line = self.line(script, world);
                line.push(b'\n');
                world.send(who, &line);
            }
            6 => {
                let line = self.line(script, world);
                let cut = script.below(line.len() + 1);
                world.send(who, line.get(..cut).unwrap_or_default());
            }
            7 => {
                let mut line = script.bytes().repeat(script.one_of(&[1, 15, 25]));
                line.push(b'\n');
                let most = REPEATED_MAX.saturating_sub(self.repeated) / line.len();
                let times = script.one_of(&[1, 20, 100, 300]).min(most);
                self.repeated += times * line.len();
                world.send(who, &line.repeat(times));
            }
            8 => world.send(who, b"\n"),
            9 => world.close(who),
            10 => world.break_off(who),
            11 => world.open(who, script.one_of(&WINDOWS)),
            12 | 13 => world.wait(Duration::from_millis(script.one_of(&MILLISECONDS))),
            14 => ask_rendezvous(who, script, world),
            _ if script.byte() == 0xFF => world.shut_down(),
            _ => {}
        }
    }

    fn line(&mut self, script: &mut Bytes<'_>, world: &World) -> Vec<u8> {
        let pattern = script.one_of(&LINES);
        script.line(pattern, |name, script| match name {
            "p" => script.bytes().to_vec(),
            "id" => address(script).to_string().into(),
            "n" => self.number().to_string().into(),
            "key" => encode(&[script.byte(); 32]).into(),
            "resume" => world.resume_token(script.byte()).into(),
            _ => world.nonce(script.byte()).into(),
        })
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

fn address(script: &mut Bytes<'_>) -> SocketAddr {
    script.one_of(&ADDRESSES).parse().expect("an address")
}

/// A datagram that is a request, almost a request, or random.
fn ask_rendezvous(who: usize, script: &mut Bytes<'_>, world: &mut World) {
    let source = address(script);
    let token = world.rendezvous_token(who);
    let count = script.byte().into();
    let request = |length| rendezvous::request(&token, count, length);
    let bytes = match script.below(4) {
        0 => script.bytes().to_vec(),
        1 => [&request(rendezvous::REQUEST_LEN), script.bytes()].concat(),
        2 => request(rendezvous::REQUEST_LEN + usize::from(script.byte())),
        _ => request(rendezvous::REQUEST_LEN),
    };
    world.datagram(source, &bytes);
}
