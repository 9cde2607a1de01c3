//! Which addresses are probed, which are validated, and which are used.

use super::*;
use crate::private::packet::PING_LEN;
use crate::private::probe::PingKind;
use chat_noise::private::OVERHEAD;

fn at(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 50_001))
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The pings that are due, in a conversation that goes on.
fn pings(paths: &mut Paths, now: Duration) -> Vec<Ping> {
    let mut token = 0;
    let mut next = || {
        token += 1;
        u64::try_from(now.as_millis()).unwrap() * 100 + token
    };
    std::iter::from_fn(|| paths.poll(now, Some(s(1_000_000)), PING_LEN + OVERHEAD, &mut next)).collect()
}

fn pinged(paths: &mut Paths, now: Duration) -> Vec<SocketAddr> {
    pings(paths, now).iter().map(|ping| ping.to).collect()
}

/// Paths with one announced and validated address, at 1.
fn validated(now: Duration) -> Paths {
    let mut paths = Paths::default();
    paths.announce(now, at(1), false);
    assert!(paths.acknowledged_from(now, at(1)));
    paths
}

/// A datagram comes from an address, which answers the probe. Returns whether it is in use now.
fn peer_appears(paths: &mut Paths, now: Duration, from: SocketAddr) -> bool {
    paths.received(now, from, 1000, true);
    let ping = pings(paths, now).into_iter().find(|ping| ping.to == from);
    paths.pong(now, ping.unwrap().token)
}

#[test]
fn an_announced_address_is_probed_during_a_conversation() {
    let mut paths = Paths::default();
    paths.announce(s(0), at(1), false);
    assert_eq!(pinged(&mut paths, s(0)), []);
    paths.announce(s(0), at(1), true);
    assert_eq!(pinged(&mut paths, s(0)), [at(1)]);
    let mut paths = validated(s(0));
    paths.announce(s(1), at(1), true);
    assert_eq!(pinged(&mut paths, s(1)), []);
}

#[test]
fn an_announcement_does_not_replace_a_working_address() {
    let mut paths = validated(s(0));
    paths.announce(s(29), at(2), true);
    assert_eq!(paths.choose(s(29), false), Choice::Validated(at(1)));
    assert_eq!(pinged(&mut paths, s(29)), [at(1), at(2)], "both are due");
    let mut paths = validated(s(0));
    paths.announce(s(30), at(2), true);
    assert_eq!(paths.choose(s(30), false), Choice::Unvalidated(at(2)));
    assert_eq!(pinged(&mut paths, s(30)), [at(2)]);
}

#[test]
fn an_unused_address_is_removed_by_a_new_announcement() {
    let mut paths = validated(s(0));
    assert!(peer_appears(&mut paths, s(1), at(3)), "the peer moved");
    paths.announce(s(2), at(2), false);
    assert!(paths.find(at(1)).is_none());
    assert_eq!(paths.choose(s(2), false), Choice::Validated(at(3)));
}

#[test]
fn an_announced_address_always_finds_room() {
    let mut paths = validated(s(0));
    paths.punch(s(0), at(2));
    paths.offer(s(0), &[at(11), at(12), at(13), at(14)]);
    paths.received(s(0), at(21), 100, true);
    paths.received(s(0), at(22), 100, true);
    assert_eq!(paths.candidates.len(), 8);
    paths.announce(s(1), at(3), true);
    assert!(paths.find(at(3)).is_some());
    assert_eq!(paths.candidates.len(), 8);
    assert_eq!(paths.choose(s(1), false), Choice::Validated(at(1)));
    // More addresses of the other origins don't raise the total.
    paths.punch(s(1), at(4));
    paths.offer(s(1), &[at(15), at(16), at(17), at(18), at(19)]);
    paths.received(s(1), at(23), 100, true);
    assert_eq!(paths.candidates.len(), 8);
    assert_eq!(paths.choose(s(1), false), Choice::Validated(at(1)));
}

#[test]
fn four_consecutive_failures_mark_an_address_dead() {
    let mut paths = validated(s(10));
    for _ in 0..10 {
        paths.missed(s(10), s(9));
        paths.missed(s(10), s(10));
    }
    assert_eq!(
        paths.choose(s(10), false),
        Choice::Validated(at(1)),
        "it has answered since"
    );
    for _ in 0..3 {
        paths.missed(s(12), s(11));
    }
    assert_eq!(paths.choose(s(12), false), Choice::Validated(at(1)));
    assert!(!paths.acknowledged_from(s(12), at(1)), "in use as it was");
    for _ in 0..4 {
        assert_eq!(paths.choose(s(12), false), Choice::Validated(at(1)), "in a row");
        paths.missed(s(14), s(13));
    }
    assert_eq!(paths.choose(s(14), false), Choice::Dead(Some(at(1))));
    assert_eq!(pinged(&mut paths, s(14)), [at(1)]);
}

#[test]
fn a_closed_port_is_ignored_while_punching() {
    let mut paths = Paths::default();
    paths.punch(s(0), at(1));
    assert!(!paths.unreachable(s(0), at(1)));
    assert_eq!(paths.choose(s(0), false), Choice::Unvalidated(at(1)));
    paths.announce(s(0), at(2), true);
    assert!(paths.unreachable(s(0), at(2)), "this probe is no punch");
    assert!(!paths.unreachable(s(0), at(2)), "already known");
    assert!(!paths.unreachable(s(0), at(3)), "nothing was sent there");
    assert_eq!(paths.choose(s(0), false), Choice::Unvalidated(at(1)));
}

#[test]
fn an_observed_address_gets_three_times_its_bytes() {
    let mut paths = validated(s(0));
    paths.received(s(1), at(2), 100, true);
    assert_eq!(pinged(&mut paths, s(1)), [at(1), at(2)]);
    let left = 3 * 100 - (PING_LEN + OVERHEAD);
    assert!(!paths.may_answer(at(2), left + 1));
    assert!(paths.may_answer(at(2), left));
    assert!(!paths.may_answer(at(2), 1));
    paths.received(s(1), at(2), 1, false);
    assert!(paths.may_answer(at(2), 3) && !paths.may_answer(at(2), 1));
    assert_eq!(pinged(&mut paths, s(2)), [at(1)], "no bytes left for a ping");
    assert!(!paths.may_answer(at(3), 0), "nothing came from there");
    assert!(paths.may_answer(at(1), 1_000_000));
    // After an answer there is no limit.
    let mut paths = validated(s(0));
    assert!(peer_appears(&mut paths, s(1), at(2)));
    assert!(paths.may_answer(at(2), 1_000_000));
}

#[test]
fn a_late_or_repeated_datagram_adds_no_address() {
    let mut paths = validated(s(0));
    paths.received(s(1), at(2), 100, false);
    assert!(paths.find(at(2)).is_none());
    assert_eq!(pinged(&mut paths, s(1)), []);
}

#[test]
fn an_ack_validates_only_addresses_that_get_segments() {
    let mut paths = validated(s(0));
    paths.received(s(1), at(2), 100, true);
    assert!(!paths.acknowledged_from(s(1), at(2)));
    assert!(!paths.acknowledged_from(s(1), at(3)));
    assert_eq!(paths.choose(s(1), false), Choice::Validated(at(1)));
    assert!(peer_appears(&mut paths, s(2), at(4)));
    assert!(!paths.acknowledged_from(s(40), at(4)), "it is in use");
    assert_eq!(
        paths.choose(s(69), false),
        Choice::Validated(at(4)),
        "validated for another 30 s"
    );
    assert_eq!(paths.choose(s(70), false), Choice::Unvalidated(at(4)));
}

#[test]
fn only_a_pong_to_the_latest_probe_counts() {
    let mut paths = Paths::default();
    paths.announce(s(0), at(1), true);
    let first = pings(&mut paths, s(0)).remove(0);
    let second = pings(&mut paths, s(1)).remove(0);
    assert_eq!(first.token, second.token, "an answer to either will do");
    paths.announce(s(2), at(1), true);
    let third = pings(&mut paths, s(2)).remove(0);
    assert!(!paths.pong(s(2), first.token) && !paths.is_validated(s(2)));
    assert!(paths.pong(s(2), third.token) && paths.is_validated(s(2)));
}

#[test]
fn keepalive_after_20_seconds_and_reprobe_each_minute() {
    let mut paths = validated(s(0));
    assert_eq!(paths.deadline(Some(s(21))), Some(s(20)));
    assert_eq!(paths.deadline(Some(s(20))), None);
    assert_eq!(paths.deadline(None), None);
    let mut asked = Vec::new();
    while let Some(now) = paths.deadline(Some(s(200))).filter(|now| *now < s(200)) {
        asked.extend(pings(&mut paths, now).iter().map(|_| now.as_millis()));
    }
    let (kept, dead) = asked.split_at(4);
    assert_eq!(kept, [20_000, 21_000, 22_000, 24_000]);
    assert_eq!(dead[..3], [85_000, 85_500, 86_500]);
    assert_eq!(dead[3], 147_500);
}

#[test]
fn only_the_address_in_use_is_kept_open() {
    let mut paths = validated(s(0));
    assert!(peer_appears(&mut paths, s(1), at(2)));
    assert!(
        !paths.acknowledged_from(s(1), at(1)),
        "it works, but is not in use"
    );
    assert_eq!(paths.deadline(Some(s(1000))), Some(s(21)));
    assert_eq!(pinged(&mut paths, s(21)), [at(2)]);
}

#[test]
fn a_silent_observed_address_is_removed() {
    let mut paths = validated(s(0));
    paths.received(s(1), at(2), 1000, true);
    assert!(paths.find(at(2)).is_some());
    for ms in (1000..=3500).step_by(100) {
        pings(&mut paths, Duration::from_millis(ms));
    }
    assert!(paths.find(at(2)).is_none());
    assert!(paths.find(at(1)).is_some());
}

#[test]
fn an_offered_address_is_probed_once_and_not_if_validated() {
    let mut paths = Paths::default();
    paths.offer(s(0), &[at(1), at(2), at(3), at(4), at(5)]);
    let asked = pings(&mut paths, s(0));
    let to: Vec<SocketAddr> = asked.iter().map(|ping| ping.to).collect();
    assert_eq!(to, [at(1), at(2), at(3), at(4)]);
    paths.offer(s(0), &[at(1)]);
    assert_eq!(pinged(&mut paths, s(0)), [], "the probe is still running");
    assert!(paths.pong(s(0), asked[1].token));
    paths.offer(s(1), &[at(2)]);
    assert!(!pinged(&mut paths, s(1)).contains(&at(2)));
}

#[test]
fn behind_a_router_a_new_address_gets_only_pings() {
    let mut paths = Paths::default();
    assert_eq!(paths.choose(s(0), true), Choice::Dead(None));
    paths.announce(s(0), at(1), false);
    assert_eq!(paths.choose(s(0), true), Choice::Punching);
    assert_eq!(paths.choose(s(0), false), Choice::Unvalidated(at(1)));
    paths.punch_trusted(s(0));
    let first = pings(&mut paths, s(0)).remove(0);
    assert!(first.kind == PingKind::PunchProbe && first.to == at(1));
    let second = pings(&mut paths, Duration::from_millis(200)).remove(0);
    assert_eq!(second.kind, PingKind::Full);
    assert!(paths.pong(s(1), first.token));
    assert_eq!(paths.choose(s(30), true), Choice::Validated(at(1)));
    assert_eq!(
        paths.choose(s(31), true),
        Choice::Unvalidated(at(1)),
        "it answered once"
    );
}

#[test]
fn a_working_address_replaces_a_dead_one() {
    let mut paths = validated(s(0));
    assert!(peer_appears(&mut paths, s(1), at(2)));
    assert!(paths.unreachable(s(2), at(2)));
    assert_eq!(paths.choose(s(2), false), Choice::Validated(at(1)));
    assert_eq!(paths.choose(s(30), false), Choice::Unvalidated(at(1)));
    assert!(paths.acknowledged_from(s(31), at(1)), "in use again");
}

/// A peer that moved away could go on to have data sent to its old address, if forged acks were enough.
#[test]
fn acks_alone_keep_no_address_valid_for_ever() {
    let mut paths = validated(s(0));
    let mut pinged = Vec::new();
    for second in 1..200 {
        paths.acknowledged_from(s(second), at(1));
        let is_valid = matches!(paths.choose(s(second), false), Choice::Validated(_));
        // A ping is due 20 s after the last ack that counted, and fails after 5 s.
        assert_eq!(is_valid, second < 85, "{second}");
        pinged.extend(pings(&mut paths, s(second)).into_iter().map(|_| second));
    }
    assert_eq!(pinged.first(), Some(&79));
    // With a pong each time it is asked for one, it stays.
    let mut paths = validated(s(0));
    for second in 1..1000 {
        paths.acknowledged_from(s(second), at(1));
        for ping in pings(&mut paths, s(second)) {
            paths.pong(s(second), ping.token);
        }
        assert_eq!(paths.choose(s(second), false), Choice::Validated(at(1)));
    }
}
