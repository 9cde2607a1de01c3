//! An hour's worth of joins, messages and leaves, as fast as possible.

use crate::harness::{Chance, Plain, Rich, Server, Wire, part_of};
use std::time::Duration;

/// Growth of memory that a test tolerates, for example by the allocator.
const SLACK: usize = 1 << 20;

enum User {
    Plain(Plain),
    Rich(Rich),
}

impl User {
    fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(user) => user,
            Self::Rich(user) => user,
        }
    }

    fn say(&mut self, text: &str) {
        match self {
            Self::Plain(user) => user.line(text),
            Self::Rich(user) => drop(user.say(text)),
        }
    }

    fn rename(&mut self, nick: &str) {
        match self {
            Self::Plain(user) => user.line(&format!("/nick {nick}")),
            Self::Rich(user) => user.line(&format!("NICK {nick}")),
        }
    }

    fn write_to(&mut self, id: &str, text: &str) {
        match self {
            Self::Plain(user) => user.line(&format!("/msg {id} {text}")),
            Self::Rich(user) => {
                user.line(&format!("WHISPER {id} {} {text}", 1_u64 << 63));
                user.line(&format!("RELAY {id} wQEAAQIDBAUGBwgJCgsMDQ4P"));
            }
        }
    }

    fn leave(self, chance: &mut Chance) {
        match (self, chance.in_range(0..3)) {
            (Self::Plain(mut user), 0) => {
                user.line("/quit");
                user.until_end();
            }
            (Self::Rich(mut user), 0) => {
                user.line("QUIT");
                user.until_end_without_answering();
            }
            (Self::Plain(user), 1) => user.close(),
            (Self::Rich(user), 1) => user.close(),
            (Self::Plain(user), _) => user.reset(),
            (Self::Rich(user), _) => user.reset(),
        }
    }
}

/// Lets this many users join, send lines of every kind, and leave. At most twenty are in the room at once.
fn churn(server: &Server, chance: &mut Chance, users: usize) {
    let mut here: Vec<User> = Vec::new();
    for number in 0..users {
        let wire = server.connect("churn");
        here.push(if chance.in_range(0..2) == 0 {
            User::Plain(Plain::join(wire))
        } else {
            let hello = format!("HELLO 1 nick{number} 40000 -");
            User::Rich(Rich::hello(wire, &hello))
        });
        for _ in 0..3 {
            let (user, other) = (pick(chance, here.len()), pick(chance, here.len()));
            let other = here[other].wire().id().to_owned();
            let user = &mut here[user];
            match chance.in_range(0..4) {
                0 => user.rename(&format!("name{}", chance.in_range(0..50))),
                1 => user.write_to(&other, "for you alone"),
                _ => user.say("something that people say to each other"),
            }
        }
        if here.len() > 20 {
            let leaving = here.swap_remove(pick(chance, here.len()));
            leaving.leave(chance);
        }
    }
    for user in here {
        user.leave(chance);
    }
}

fn pick(chance: &mut Chance, count: usize) -> usize {
    usize::try_from(chance.in_range(0..count.try_into().unwrap())).unwrap()
}

#[test]
fn an_hour_of_churn_leaks_nothing_in_server_and_client() {
    let server = Server::start(&["--rate", "1000000", "--burst", "1000000"]);
    let mut chance = Chance::new();
    let client = server.start_client("witness", &["--nick", "witness", "--recv-only"]);
    server.log().expect(" join witness@");
    let descriptors = (server.process.descriptors(), client.descriptors());
    let mut memory = Vec::new();
    let count = part_of(10_000);
    // First, fill the buffers that the server keeps: these lines fill the rings and the history. The first users
    // fill the list of sessions that can be resumed.
    let mut talker = server.plain("talker");
    for number in 0..600 {
        talker.line(&format!("{number} {}", "x".repeat(2000)));
    }
    talker.until(": 599 ");
    talker.close();
    for users in [1200, count, count] {
        churn(&server, &mut chance, users);
        let mut fence = server.plain("fence");
        fence.line(&format!("{users} have come and gone"));
        let said = format!("{}: {users} have come", fence.id());
        client.shows().expect(&said);
        fence.close();
        server.process.expect_descriptors(descriptors.0);
        memory.push((server.process.memory(), client.memory()));
    }
    println!("memory after each part, of the server and the client: {memory:?}");
    for part in memory.windows(2) {
        let (before, after) = (part[0], part[1]);
        assert!(after.0 <= before.0 + SLACK, "the server: {memory:?}");
        assert!(after.1 <= before.1 + SLACK, "the client: {memory:?}");
    }
    assert_eq!(client.descriptors(), descriptors.1);

    let mut alice = server.plain("alice");
    let before = (server.process.processor_time(), client.processor_time());
    assert_eq!(alice.next_line_within(Duration::from_secs(1)), None);
    let used = (
        server.process.processor_time() - before.0,
        client.processor_time() - before.1,
    );
    let rest = Duration::from_millis(20);
    assert!(used.0 <= rest && used.1 <= rest, "{used:?} of a quiet second");
    // Only alice and the witness are counted as users.
    let joined = format!(" join {} dialect=plain users=2", alice.id());
    server.log().expect(&joined);
    alice.sync("all is well");
}
