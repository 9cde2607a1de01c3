//! A server without free descriptors.

use crate::harness::{Process, Server, part_of};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use std::time::{Duration, Instant};

/// Limits the descriptors of a running program.
fn limit(process: &Process, descriptors: usize) {
    let pid = Pid::from_raw(process.id().as_raw());
    let limit = Rlimit {
        current: Some(descriptors.try_into().unwrap()),
        maximum: Some(20_000),
    };
    prlimit(pid, Resource::Nofile, limit).unwrap();
}

#[test]
fn without_a_descriptor_a_newcomer_is_rejected_with_a_reason() {
    let server = Server::start(&[]);
    let mut alice = server.plain("alice");
    // The system assigns the lowest free number, so only the reserved descriptor is left.
    limit(&server.process, server.process.lowest_free_descriptor());
    for _ in 0..part_of(500) {
        let mut refused = server.connect("refused");
        assert_eq!(refused.until_end(), ["too many users"]);
    }
    alice.sync("there is nobody else");
    // The log counts the rest.
    server
        .log()
        .expect_count(part_of(500).min(10), "refuse 127.0.0.1:");
    alice.close();
    let mut bob = server.connect_when_there_is_room("bob");
    bob.line("in at last");
    bob.expect(": in at last");
}

#[test]
fn without_reserve_the_server_stops_accepting_and_stays_idle() {
    let server = Server::start(&[]);
    let (mut alice, mut bob) = (server.plain("alice"), server.plain("bob"));
    // Fewer than are open: three streams, the signals, two listening sockets, and the reserve, which no longer helps.
    // Not fewer than the server polls, or poll(2) fails with EINVAL.
    limit(&server.process, 6);
    let mut waits = server.connect("waits");
    server.log().expect(" pause accept: ");
    let (began, before) = (Instant::now(), server.process.processor_time());
    server.log().wait(|lines, _| {
        let pauses = lines.iter().filter(|line| line.contains(" pause accept: "));
        (pauses.count() >= 3).then_some(())
    });
    // About two seconds have passed. A spinning loop would have used all of them.
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "accept was tried without a pause"
    );
    let used = server.process.processor_time() - before;
    assert!(
        used <= Duration::from_millis(50),
        "{used:?} of processor time while accept is paused"
    );
    alice.sync("we are still here");
    bob.expect("we are still here");
    limit(&server.process, 1000);
    waits.expect("* chat version 1: ");
    alice.sync("all is well");
}
