//! Which addresses are asked, which are believed, and which are used.

use super::*;

fn at(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 50_001))
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The pings that are due, while there is a conversation that will not end soon.
fn pings(paths: &mut Paths, now: Duration) -> Vec<Ping> {
    let mut token = 0;
    let mut next = || {
        token += 1;
        u64::try_from(now.as_millis()).unwrap() * 100 + token
    };
    std::iter::from_fn(|| paths.poll(now, Some(s(1_000_000)), &mut next)).collect()
}

fn pinged(paths: &mut Paths, now: Duration) -> Vec<SocketAddr> {
    pings(paths, now).iter().map(|ping| ping.to).collect()
}

/// The peer was announced at 1, and is there.
fn proven(now: Duration) -> Paths {
    let mut paths = Paths::default();
    paths.announce(now, at(1), false);
    assert!(paths.acknowledged_from(now, at(1)));
    paths
}

/// Something comes from an address, which is asked and answers. Whether it is in use now.
fn turns_up(paths: &mut Paths, now: Duration, from: SocketAddr) -> bool {
    paths.heard(now, from, 1000, true);
    let ping = pings(paths, now).into_iter().find(|ping| ping.to == from);
    paths.pong(now, ping.unwrap().token)
}

#[test]
fn an_announced_address_is_asked_while_there_is_a_conversation_and_it_is_not_proven() {
    let mut paths = Paths::default();
    paths.announce(s(0), at(1), false);
    assert_eq!(pinged(&mut paths, s(0)), []);
    paths.announce(s(0), at(1), true);
    assert_eq!(pinged(&mut paths, s(0)), [at(1)]);
    let mut paths = proven(s(0));
    paths.announce(s(1), at(1), true);
    assert_eq!(pinged(&mut paths, s(1)), []);
}

#[test]
fn the_address_in_use_stays_in_use_when_another_is_announced_as_long_as_it_works() {
    let mut paths = proven(s(0));
    paths.announce(s(29), at(2), true);
    assert_eq!(paths.choose(s(29), false), Choice::Proven(at(1)));
    assert_eq!(pinged(&mut paths, s(29)), [at(1), at(2)], "each is due");
    let mut paths = proven(s(0));
    paths.announce(s(30), at(2), true);
    assert_eq!(paths.choose(s(30), false), Choice::Untried(at(2)));
    assert_eq!(pinged(&mut paths, s(30)), [at(2)]);
}

#[test]
fn what_was_announced_before_and_is_not_in_use_is_forgotten() {
    let mut paths = proven(s(0));
    assert!(turns_up(&mut paths, s(1), at(3)), "the peer moved");
    paths.announce(s(2), at(2), false);
    assert!(paths.find(at(1)).is_none());
    assert_eq!(paths.choose(s(2), false), Choice::Proven(at(3)));
}

#[test]
fn however_many_addresses_there_are_what_the_server_announces_is_one_of_them() {
    let mut paths = proven(s(0));
    paths.punch(s(0), at(2));
    paths.offered(s(0), &[at(11), at(12), at(13), at(14)]);
    paths.heard(s(0), at(21), 100, true);
    paths.heard(s(0), at(22), 100, true);
    assert_eq!(paths.candidates.len(), 8);
    paths.announce(s(1), at(3), true);
    assert!(paths.find(at(3)).is_some());
    assert_eq!(paths.candidates.len(), 8);
    assert_eq!(paths.choose(s(1), false), Choice::Proven(at(1)));
    // Nor do more of the other kinds make more of all.
    paths.punch(s(1), at(4));
    paths.offered(s(1), &[at(15), at(16), at(17), at(18), at(19)]);
    paths.heard(s(1), at(23), 100, true);
    assert_eq!(paths.candidates.len(), 8);
    assert_eq!(paths.choose(s(1), false), Choice::Proven(at(1)));
}

#[test]
fn four_segments_in_a_row_that_are_not_answered_make_an_address_dead() {
    let mut paths = proven(s(10));
    for _ in 0..10 {
        paths.missed(s(10), s(9));
        paths.missed(s(10), s(10));
    }
    assert_eq!(
        paths.choose(s(10), false),
        Choice::Proven(at(1)),
        "it has answered since"
    );
    for _ in 0..3 {
        paths.missed(s(12), s(11));
    }
    assert_eq!(paths.choose(s(12), false), Choice::Proven(at(1)));
    assert!(!paths.acknowledged_from(s(12), at(1)), "in use as it was");
    for _ in 0..4 {
        assert_eq!(paths.choose(s(12), false), Choice::Proven(at(1)), "in a row");
        paths.missed(s(14), s(13));
    }
    assert_eq!(paths.choose(s(14), false), Choice::Dead(Some(at(1))));
    assert_eq!(pinged(&mut paths, s(14)), [at(1)]);
}

#[test]
fn a_closed_port_means_nothing_while_routers_are_being_opened() {
    let mut paths = Paths::default();
    paths.punch(s(0), at(1));
    assert!(!paths.unreachable(s(0), at(1)));
    assert_eq!(paths.choose(s(0), false), Choice::Untried(at(1)));
    paths.announce(s(0), at(2), true);
    assert!(paths.unreachable(s(0), at(2)), "a challenge is no punch");
    assert!(!paths.unreachable(s(0), at(2)), "that is known");
    assert!(!paths.unreachable(s(0), at(3)), "nothing was sent there");
    assert_eq!(paths.choose(s(0), false), Choice::Untried(at(1)));
}

#[test]
fn an_address_that_merely_turned_up_gets_three_times_its_bytes_and_a_trusted_one_what_it_takes() {
    let mut paths = proven(s(0));
    paths.heard(s(1), at(2), 100, true);
    assert_eq!(pinged(&mut paths, s(1)), [at(1), at(2)]);
    let left = 3 * 100 - sealed_len(PING_LEN);
    assert!(!paths.may_answer(at(2), left + 1));
    assert!(paths.may_answer(at(2), left));
    assert!(!paths.may_answer(at(2), 1));
    paths.heard(s(1), at(2), 1, false);
    assert!(paths.may_answer(at(2), 3) && !paths.may_answer(at(2), 1));
    assert_eq!(
        pinged(&mut paths, s(2)),
        [at(1)],
        "there is nothing left for a ping"
    );
    assert!(!paths.may_answer(at(3), 0), "nothing came from there");
    assert!(paths.may_answer(at(1), 1_000_000));
    // Once it has answered it is as good as any.
    let mut paths = proven(s(0));
    assert!(turns_up(&mut paths, s(1), at(2)));
    assert!(paths.may_answer(at(2), 1_000_000));
}

#[test]
fn a_late_or_repeated_datagram_brings_up_no_address() {
    let mut paths = proven(s(0));
    paths.heard(s(1), at(2), 100, false);
    assert!(paths.find(at(2)).is_none());
    assert_eq!(pinged(&mut paths, s(1)), []);
}

#[test]
fn an_ack_proves_an_address_that_segments_go_to_and_no_other() {
    let mut paths = proven(s(0));
    paths.heard(s(1), at(2), 100, true);
    assert!(!paths.acknowledged_from(s(1), at(2)));
    assert!(!paths.acknowledged_from(s(1), at(3)));
    assert_eq!(paths.choose(s(1), false), Choice::Proven(at(1)));
    assert!(turns_up(&mut paths, s(2), at(4)));
    assert!(!paths.acknowledged_from(s(40), at(4)), "it is in use");
    assert_eq!(
        paths.choose(s(69), false),
        Choice::Proven(at(4)),
        "and proven anew for 30 s"
    );
    assert_eq!(paths.choose(s(70), false), Choice::Untried(at(4)));
}

#[test]
fn only_a_pong_to_the_latest_pings_counts() {
    let mut paths = Paths::default();
    paths.announce(s(0), at(1), true);
    let first = pings(&mut paths, s(0)).remove(0);
    let second = pings(&mut paths, s(1)).remove(0);
    assert_eq!(first.token, second.token, "an answer to either will do");
    paths.announce(s(2), at(1), true);
    let third = pings(&mut paths, s(2)).remove(0);
    assert!(!paths.pong(s(2), first.token) && !paths.is_proven(s(2)));
    assert!(paths.pong(s(2), third.token) && paths.is_proven(s(2)));
}

#[test]
fn an_address_in_use_is_asked_after_20_seconds_and_once_dead_each_minute_while_there_is_talk() {
    let mut paths = proven(s(0));
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
    let mut paths = proven(s(0));
    assert!(turns_up(&mut paths, s(1), at(2)));
    assert!(
        !paths.acknowledged_from(s(1), at(1)),
        "it works, and is not in use"
    );
    assert_eq!(paths.deadline(Some(s(1000))), Some(s(21)));
    assert_eq!(pinged(&mut paths, s(21)), [at(2)]);
}

#[test]
fn what_nobody_vouched_for_and_does_not_answer_is_forgotten() {
    let mut paths = proven(s(0));
    paths.heard(s(1), at(2), 1000, true);
    assert!(paths.find(at(2)).is_some());
    for ms in (1000..=3500).step_by(100) {
        pings(&mut paths, Duration::from_millis(ms));
    }
    assert!(paths.find(at(2)).is_none());
    assert!(paths.find(at(1)).is_some());
}

#[test]
fn an_offered_address_is_asked_once_and_not_when_it_is_proven() {
    let mut paths = Paths::default();
    paths.offered(s(0), &[at(1), at(2), at(3), at(4), at(5)]);
    let asked = pings(&mut paths, s(0));
    let to: Vec<SocketAddr> = asked.iter().map(|ping| ping.to).collect();
    assert_eq!(to, [at(1), at(2), at(3), at(4)]);
    paths.offered(s(0), &[at(1)]);
    assert_eq!(pinged(&mut paths, s(0)), [], "its probe goes on");
    assert!(paths.pong(s(0), asked[1].token));
    paths.offered(s(1), &[at(2)]);
    assert!(!pinged(&mut paths, s(1)).contains(&at(2)));
}

#[test]
fn from_behind_a_router_nothing_but_pings_goes_to_an_address_that_never_answered() {
    let mut paths = Paths::default();
    assert_eq!(paths.choose(s(0), true), Choice::Dead(None));
    paths.announce(s(0), at(1), false);
    assert_eq!(paths.choose(s(0), true), Choice::Opening);
    assert_eq!(paths.choose(s(0), false), Choice::Untried(at(1)));
    paths.open(s(0));
    let first = pings(&mut paths, s(0)).remove(0);
    assert!(first.is_primer && first.to == at(1));
    assert!(!pings(&mut paths, Duration::from_millis(200)).remove(0).is_primer);
    assert!(paths.pong(s(1), first.token));
    assert_eq!(paths.choose(s(30), true), Choice::Proven(at(1)));
    assert_eq!(
        paths.choose(s(31), true),
        Choice::Untried(at(1)),
        "it answered once"
    );
}

#[test]
fn another_address_that_works_takes_the_place_of_one_that_is_dead() {
    let mut paths = proven(s(0));
    assert!(turns_up(&mut paths, s(1), at(2)));
    assert!(paths.unreachable(s(2), at(2)));
    assert_eq!(paths.choose(s(2), false), Choice::Proven(at(1)));
    assert_eq!(paths.choose(s(30), false), Choice::Untried(at(1)));
    assert!(paths.acknowledged_from(s(31), at(1)), "in use again");
}
