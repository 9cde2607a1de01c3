//! Probes: when pings are sent to find out whether the peer answers at an address.

use std::time::Duration;

/// Why an address is probed. Each purpose has its own schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Both sides open their routers at about the same time: a punch probe, then a burst.
    Punch,
    /// To validate a new address, or one that was dead.
    Challenge,
    /// To keep the address in use open in routers, after silence.
    Keepalive,
}

/// How far a ping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PingKind {
    /// Past this side's router, but not to the other one, by its hop limit. After it, this router
    /// takes the other side's datagrams for answers and lets them in.
    PunchProbe,
    /// To the peer.
    Full,
}

/// When each ping is sent, in ms, and last when the probe fails. The punch probe is followed by a
/// burst that slows down.
const PUNCH_MS: [u64; 10] = [0, 200, 250, 300, 400, 600, 1000, 1800, 3400, 4400];

const CHALLENGE_MS: [u64; 4] = [0, 500, 1500, 2500];

const KEEPALIVE_MS: [u64; 5] = [0, 1000, 2000, 4000, 5000];

/// A series of pings to one address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    pub(super) purpose: Purpose,
    pub(super) started: Duration,
    step: usize,
}

impl Probe {
    pub(super) fn new(purpose: Purpose, now: Duration) -> Self {
        Self {
            purpose,
            started: now,
            step: 0,
        }
    }

    /// When the next ping is due; after the last one, when the probe fails.
    pub(super) fn due(&self) -> Duration {
        let times = self.times();
        let ms = times.get(self.step).or(times.last()).copied().unwrap_or(0);
        self.started + Duration::from_millis(ms)
    }

    pub(super) fn has_failed(&self, now: Duration) -> bool {
        self.is_over() && self.due() <= now
    }

    /// The next ping, if one is due. Several overdue pings are sent as one, not in a burst.
    pub(super) fn fire(&mut self, now: Duration) -> Option<PingKind> {
        if self.is_over() || self.due() > now {
            return None;
        }
        let is_first = self.step == 0;
        let since = now.saturating_sub(self.started);
        let times = self.times();
        let step = times.partition_point(|&ms| Duration::from_millis(ms) <= since);
        self.step = step.min(times.len() - 1);
        Some(if is_first && self.purpose == Purpose::Punch {
            PingKind::PunchProbe
        } else {
            PingKind::Full
        })
    }

    /// Whether all pings have been sent.
    fn is_over(&self) -> bool {
        self.step + 1 >= self.times().len()
    }

    fn times(&self) -> &'static [u64] {
        match self.purpose {
            Purpose::Punch => &PUNCH_MS,
            Purpose::Challenge => &CHALLENGE_MS,
            Purpose::Keepalive => &KEEPALIVE_MS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time and kind of every ping, and when the probe fails, in ms.
    fn run(purpose: Purpose) -> (Vec<(u128, PingKind)>, u128) {
        let start = Duration::from_secs(100);
        let mut probe = Probe::new(purpose, start);
        let mut sent = Vec::new();
        loop {
            let now = probe.due();
            if probe.has_failed(now) {
                return (sent, (now - start).as_millis());
            }
            sent.push(((now - start).as_millis(), probe.fire(now).unwrap()));
            assert_eq!(probe.fire(now), None, "two at once");
        }
    }

    #[test]
    fn punching_is_a_punch_probe_and_a_slowing_burst() {
        let (sent, end) = run(Purpose::Punch);
        assert_eq!(sent.first(), Some(&(0, PingKind::PunchProbe)));
        let pings: Vec<u128> = sent[1..].iter().map(|(ms, _)| ms - 200).collect();
        assert_eq!(pings, [0, 50, 100, 200, 400, 800, 1600, 3200]);
        assert!(sent[1..].iter().all(|(_, kind)| *kind == PingKind::Full));
        assert_eq!(end, 4400);
    }

    #[test]
    fn a_new_address_is_pinged_three_times() {
        let (sent, end) = run(Purpose::Challenge);
        assert_eq!(
            sent,
            [(0, PingKind::Full), (500, PingKind::Full), (1500, PingKind::Full)]
        );
        assert_eq!(end, 2500);
    }

    #[test]
    fn a_late_timer_sends_one_ping_and_no_burst() {
        let mut probe = Probe::new(Purpose::Punch, Duration::ZERO);
        assert_eq!(probe.fire(Duration::from_millis(500)), Some(PingKind::PunchProbe));
        assert_eq!(probe.due(), Duration::from_millis(600));
    }
}
