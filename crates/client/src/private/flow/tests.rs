//! One flow over one queue, and what counts as lost.

use super::*;
use std::collections::BTreeSet;

/// The timer's resolution: the caller is not woken sooner.
const WAKE: Duration = Duration::from_millis(1);

const NOTHING: [u64; 0] = [];

#[derive(Clone, Copy)]
struct Link {
    /// In bits a second.
    rate: f64,
    round: Duration,
    queue: Duration,
    /// The probability.
    loss: f64,
}

/// What was seen in a run.
struct Seen {
    /// In MB a second.
    rate: f64,
    queue: Duration,
    longest: Duration,
}

/// A model of the link, and of a receiver.
struct Model {
    link: Link,
    flow: Flow<u64>,
    state: u64,
    now: Duration,
    /// When the link is free, what is in it, and the acks on their way back.
    free: Duration,
    forward: VecDeque<(Duration, u64)>,
    acks: VecDeque<(Duration, Vec<(u64, u64)>)>,
    received: BTreeSet<u64>,
    total: u64,
    unacked: u32,
    ack_at: Option<Duration>,
    wake: Option<Duration>,
    waits: Vec<Duration>,
}

impl Model {
    fn new(link: Link) -> Self {
        Self {
            link,
            flow: Flow::default(),
            state: 7,
            now: Duration::ZERO,
            free: Duration::ZERO,
            forward: VecDeque::new(),
            acks: VecDeque::new(),
            received: BTreeSet::new(),
            total: 0,
            unacked: 0,
            ack_at: None,
            wake: Some(Duration::ZERO),
            waits: Vec::new(),
        }
    }

    fn run(mut self, seconds: u64) -> Seen {
        while self.now < Duration::from_secs(seconds) {
            self.receive();
            self.acknowledge();
            self.send();
            let next = [
                self.forward.front().map(|packet| packet.0),
                self.acks.front().map(|ack| ack.0),
                self.ack_at,
                self.flow.deadline(),
                self.wake,
            ];
            let next = next.into_iter().flatten().min().unwrap();
            self.now = next.max(self.now + Duration::from_nanos(200));
        }
        let count = u32::try_from(self.waits.len()).unwrap();
        Seen {
            rate: (self.total * DATAGRAM) as f64 / seconds as f64 / 1e6,
            queue: self.waits.iter().sum::<Duration>() / count,
            longest: self.waits.iter().max().copied().unwrap(),
        }
    }

    /// Every 8th packet is acknowledged, or after 5 ms.
    fn receive(&mut self) {
        while let Some(number) = pop_due(&mut self.forward, self.now) {
            self.total += 1;
            self.received.insert(number);
            self.unacked += 1;
            self.ack_at.get_or_insert(self.now + Duration::from_millis(5));
            if self.unacked >= 8 {
                self.send_ack();
            }
        }
        if self.ack_at.is_some_and(|at| at <= self.now) {
            self.send_ack();
        }
        while self.received.len() > 3000 {
            self.received.pop_first();
        }
    }

    fn send_ack(&mut self) {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &number in self.received.iter().rev() {
            let count = ranges.len();
            match ranges.last_mut() {
                Some(range) if range.0 == number + 1 => range.0 = number,
                _ if count == 32 => break,
                _ => ranges.push((number, number)),
            }
        }
        self.acks.push_back((self.now + self.link.round / 2, ranges));
        (self.unacked, self.ack_at) = (0, None);
    }

    fn acknowledge(&mut self) {
        while let Some(ranges) = pop_due(&mut self.acks, self.now) {
            let acked = Acked {
                delay: Duration::ZERO,
                ranges: &ranges,
            };
            self.flow.acknowledged(self.now, &acked, |_| ());
        }
        self.flow.lose(self.now, |_| ());
    }

    fn send(&mut self) {
        for _ in 0..self.flow.room(self.now).min(32) {
            let number = self.flow.sent(self.now, DATAGRAM, 0);
            let wait = self.free.saturating_sub(self.now);
            self.waits.push(wait);
            if wait > self.link.queue {
                continue;
            }
            let time = Duration::from_secs_f64(DATAGRAM as f64 * 8.0 / self.link.rate);
            self.free = self.free.max(self.now) + time;
            if self.random() >= self.link.loss {
                self.forward.push_back((self.free + self.link.round / 2, number));
            }
        }
        let at = self.flow.may_send_at();
        self.wake = at.map(|at| at.max(self.now + WAKE));
    }

    fn random(&mut self) -> f64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The first one, if it is due.
fn pop_due<T>(queue: &mut VecDeque<(Duration, T)>, now: Duration) -> Option<T> {
    let is_due = queue.front().is_some_and(|(at, _)| *at <= now);
    is_due.then(|| queue.pop_front())?.map(|(_, what)| what)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn run(rate: f64, round: Duration, queue: Duration, loss: f64, seconds: u64) -> Seen {
    let link = Link {
        rate,
        round,
        queue,
        loss,
    };
    let seen = Model::new(link).run(seconds);
    let Seen { rate, queue, longest } = &seen;
    println!("{rate:.1} MB/s, queue {queue:?} on average, {longest:?} at most");
    seen
}

#[test]
fn a_gigabit_is_filled() {
    let seen = run(1e9, Duration::from_micros(500), ms(2), 0.0, 3);
    assert!(seen.rate > 110.0);
}

#[test]
fn a_slow_uplink_with_a_long_queue_is_filled_and_its_queue_is_not() {
    let seen = run(20e6, ms(20), ms(500), 0.0, 120);
    assert!(seen.rate > 2.35);
    assert!(seen.queue < ms(30));
    assert!(seen.longest < ms(120));
}

#[test]
fn a_long_path_is_filled() {
    let seen = run(100e6, ms(100), ms(50), 0.0, 30);
    assert!(seen.rate > 11.2);
}

#[test]
fn losses_by_chance_cost_little() {
    let seen = run(300e6, ms(3), ms(30), 0.001, 10);
    assert!(seen.rate > 20.0);
    let seen = run(100e6, ms(1), ms(30), 0.01, 10);
    assert!(seen.rate > 6.0);
}

fn acknowledge(flow: &mut Flow<u64>, now: Duration, ranges: &[(u64, u64)]) -> Vec<u64> {
    let acked = Acked {
        delay: Duration::ZERO,
        ranges,
    };
    let mut done = Vec::new();
    flow.acknowledged(now, &acked, |what| done.push(what));
    done
}

fn lose(flow: &mut Flow<u64>, now: Duration) -> Vec<u64> {
    let mut lost = Vec::new();
    flow.lose(now, |what| lost.push(what));
    lost
}

fn with_sent(count: u64) -> Flow<u64> {
    let mut flow = Flow::default();
    for what in 0..count {
        assert_eq!(flow.sent(ms(what), DATAGRAM, 100 + what), what);
    }
    flow
}

#[test]
fn each_packet_is_acknowledged_or_lost_once() {
    let mut flow = with_sent(8);
    assert_eq!(acknowledge(&mut flow, ms(20), &[(5, 6), (1, 1)]), [101, 105, 106]);
    assert_eq!(lose(&mut flow, ms(20)), [100, 102, 103, 104]);
    assert_eq!(acknowledge(&mut flow, ms(21), &[(0, 6)]), NOTHING);
    assert_eq!(acknowledge(&mut flow, ms(22), &[(0, 7)]), [107]);
    assert_eq!((flow.in_flight(), flow.deadline()), (0, None));
    assert_eq!(lose(&mut flow, ms(9999)), NOTHING);
}

#[test]
fn an_ack_of_what_was_never_sent_is_ignored() {
    let mut flow = with_sent(2);
    assert_eq!(acknowledge(&mut flow, ms(5), &[(0, 2)]), NOTHING);
    assert_eq!(acknowledge(&mut flow, ms(5), &[]), NOTHING);
    assert_eq!(flow.in_flight(), 2 * DATAGRAM);
}

/// A packet that counted as lost and arrives widens the limit.
#[test]
fn reordering_is_learned() {
    let mut flow = with_sent(10);
    acknowledge(&mut flow, ms(20), &[(1, 5)]);
    assert_eq!(lose(&mut flow, ms(20)), [100]);
    acknowledge(&mut flow, ms(21), &[(0, 5)]);
    assert_eq!(flow.reordering, 6);
    flow.sent(ms(22), DATAGRAM, 110);
    acknowledge(&mut flow, ms(23), &[(7, 9)]);
    assert_eq!(lose(&mut flow, ms(23)), NOTHING);
}

#[test]
fn silence_loses_two_packets_at_a_time_and_more_and_more_rarely() {
    let mut flow = with_sent(9);
    let mut times = Vec::new();
    while let Some(at) = flow.deadline() {
        assert_eq!(lose(&mut flow, at - GRANULARITY), NOTHING);
        let lost = lose(&mut flow, at);
        assert!((1..=2).contains(&lost.len()), "{lost:?}");
        assert!(flow.deadline().is_none_or(|next| next > at));
        times.push(at.as_millis());
    }
    assert_eq!(times, [367, 1085, 2521, 5393, 8393]);
    assert_eq!(flow.window.bytes, WINDOW_MIN);
}

/// Else the first packets of each path count as lost, for ever.
#[test]
fn a_round_trip_longer_than_assumed_is_learned_from_late_packets() {
    let mut flow = with_sent(2);
    let at = flow.deadline().unwrap();
    assert_eq!(lose(&mut flow, at), [100, 101]);
    assert_eq!(acknowledge(&mut flow, ms(2001), &[(0, 1)]), NOTHING);
    assert_eq!(flow.rtt.smoothed, Some(ms(2000)));
    flow.sent(ms(2001), DATAGRAM, 102);
    assert!(flow.deadline() > Some(ms(4000)));
}

/// The caller learns what became of them.
#[test]
fn after_long_silence_all_is_lost() {
    let mut flow = with_sent(30);
    let mut counts = Vec::new();
    let mut now = ms(0);
    while let Some(at) = flow.deadline() {
        now = at;
        counts.push(lose(&mut flow, now).len());
    }
    assert_eq!(counts, [2, 2, 2, 2, 2, 20]);
    assert!(now < ms(25_000));
    flow.sent(now, DATAGRAM, 0);
    let at = flow.deadline().unwrap();
    assert!(at < now + ms(12_000), "rarely, not never");
    assert_eq!(lose(&mut flow, at), [0]);
}

/// However late the caller is.
#[test]
fn nothing_is_due_again_after_it_was_handled() {
    let mut flow = with_sent(9);
    lose(&mut flow, ms(60_000));
    assert!(flow.deadline() > Some(ms(60_000)));
}

#[test]
fn a_window_that_is_not_used_does_not_grow() {
    let mut flow = with_sent(1);
    acknowledge(&mut flow, ms(10), &[(0, 0)]);
    assert_eq!(flow.window.bytes, WINDOW_FIRST);
}

#[test]
fn a_restart_loses_all_and_forgets_the_path() {
    let mut flow = with_sent(3);
    acknowledge(&mut flow, ms(10), &[(1, 1)]);
    let mut lost = Vec::new();
    flow.restart(true, |what| lost.push(what));
    assert_eq!(lost, [100, 102]);
    assert_eq!((flow.in_flight(), flow.next), (0, 3));
    assert_eq!(flow.rtt.smoothed, None);
    assert_eq!(flow.window_bytes(), RELAY_WINDOW);
}
