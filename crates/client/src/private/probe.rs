//! When pings are sent to find out whether an address reaches the peer.

use std::time::Duration;

/// Why an address is being probed, which is when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Both sides open their routers at about the same time: a primer, then a burst.
    Punch,
    /// An address that came up, or one that was dead.
    Challenge,
    /// The address in use, which has been silent; so that routers keep it open.
    Keepalive,
}

/// What goes out at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shot {
    /// A ping with a hop limit that takes it past this side's router and not to the other's. Once it has gone, what the
    /// other side sends is an answer to this router, and not something unasked that it would turn away.
    Primer,
    Ping,
}

/// A primer, and 200 ms later a burst that slows down.
const PUNCH_MS: [u64; 9] = [0, 200, 250, 300, 400, 600, 1000, 1800, 3400];

const CHALLENGE_MS: [u64; 3] = [0, 500, 1500];

const KEEPALIVE_MS: [u64; 4] = [0, 1000, 2000, 4000];

/// How long the answer to the last ping may take.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// One run of pings to one address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    purpose: Purpose,
    started: Duration,
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

    pub(super) fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(super) fn started(&self) -> Duration {
        self.started
    }

    /// When the next ping goes out; after the last, when the probe has failed.
    pub(super) fn due(&self) -> Duration {
        let times = self.times();
        let after = match (times.get(self.step), times.last()) {
            (Some(&ms), _) => Duration::from_millis(ms),
            (None, last) => Duration::from_millis(last.copied().unwrap_or(0)) + LAST_WAIT,
        };
        self.started + after
    }

    pub(super) fn has_failed(&self, now: Duration) -> bool {
        self.step >= self.times().len() && self.due() <= now
    }

    /// Takes the next step, if it is time. Steps that time has passed over are taken once, not in a burst.
    pub(super) fn fire(&mut self, now: Duration) -> Option<Shot> {
        if self.step >= self.times().len() || self.due() > now {
            return None;
        }
        let first = self.step == 0;
        let since = now.saturating_sub(self.started);
        self.step = self
            .times()
            .partition_point(|&ms| Duration::from_millis(ms) <= since);
        Some(if first && self.purpose == Purpose::Punch {
            Shot::Primer
        } else {
            Shot::Ping
        })
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

    /// The time and kind of every shot, and when the probe gives up, in ms.
    fn run(purpose: Purpose) -> (Vec<(u128, Shot)>, u128) {
        let start = Duration::from_secs(100);
        let mut probe = Probe::new(purpose, start);
        let mut shots = Vec::new();
        loop {
            let now = probe.due();
            if probe.has_failed(now) {
                return (shots, (now - start).as_millis());
            }
            shots.push(((now - start).as_millis(), probe.fire(now).unwrap()));
            assert_eq!(probe.fire(now), None, "two at once");
        }
    }

    #[test]
    fn punching_is_a_primer_and_then_a_burst_that_slows_down() {
        let (shots, end) = run(Purpose::Punch);
        assert_eq!(shots.first(), Some(&(0, Shot::Primer)));
        let pings: Vec<u128> = shots[1..].iter().map(|(ms, _)| ms - 200).collect();
        assert_eq!(pings, [0, 50, 100, 200, 400, 800, 1600, 3200]);
        assert!(shots[1..].iter().all(|(_, shot)| *shot == Shot::Ping));
        assert_eq!(end, 4400);
    }

    #[test]
    fn an_address_that_came_up_is_asked_three_times() {
        let (shots, end) = run(Purpose::Challenge);
        assert_eq!(shots, [(0, Shot::Ping), (500, Shot::Ping), (1500, Shot::Ping)]);
        assert_eq!(end, 2500);
    }

    #[test]
    fn a_late_timer_sends_one_ping_and_no_burst() {
        let mut probe = Probe::new(Purpose::Punch, Duration::ZERO);
        assert_eq!(probe.fire(Duration::from_millis(500)), Some(Shot::Primer));
        assert_eq!(probe.due(), Duration::from_millis(600));
    }
}
