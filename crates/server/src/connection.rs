//! One connection, apart from its socket.

use crate::compact::Moment;
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::rate::{Rate, Usage};
use std::time::Duration;

/// A connection that has not said what it is is taken for a plain one after this long. By then
/// `chat-client` has said HELLO, and a port scan is gone, so that nobody hears of it.
const ARRIVAL: Duration = Duration::from_millis(250);

/// What a connection may have waiting for it alone before its own lines are left where they are: many a
/// question is shorter than its answer.
const OWN_BYTES_PAUSE: usize = 64 * 1024;

/// What others may put before a connection that does not read. It takes a full relay window
/// of every sender that a person talks with at once, and a lot of patience.
const OWN_BYTES_MAX: usize = 256 * 1024;

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Accepted then, greeted, and not announced yet.
    Arriving(Moment),
    /// The same, but there was no place: it is turned away as soon as it shows that it does not take the place of
    /// its own ghost.
    Waiting(Moment),
    /// Announced: a user.
    Here,
    /// Only looks whether everything works, and is let go at this time. Nobody hears of it.
    Probing(Moment),
    /// No longer a user. What is due is still sent, until this time.
    Leaving(Moment),
}

/// Why nothing more comes from a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer said so (FIN).
    Closed,
    /// The peer broke it off (RST), or is not there to be written to.
    Reset,
    /// The network carried nothing for too long.
    TimedOut,
}

/// The state of one connection.
#[derive(Debug)]
pub struct Connection {
    /// Where it is in its life.
    pub stage: Stage,
    /// What it has sent.
    pub inbox: Inbox,
    /// What it is owed.
    pub outbox: Outbox,
    /// What it has used of the rate.
    pub usage: Usage,
    /// For how long the room has waited, for it or for others, since it last kept up.
    pub held_up: Moment,
    /// Nothing more comes.
    pub ended: Option<End>,
    /// It was broken off, as something else than reading showed: what can still be read is read first.
    pub broken: Option<End>,
    /// It has sent a line.
    pub has_spoken: bool,
    /// When the last `PING` was sent that nothing has followed yet.
    pub pinged: Option<Moment>,
    /// The socket was told that nothing more is sent.
    pub shut: bool,
}

impl Connection {
    /// A connection accepted at this time.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        let mut inbox = Inbox::default();
        inbox.heard(now, &[]);
        Self {
            stage: Stage::Arriving(now.into()),
            inbox,
            outbox: Outbox::closed(),
            usage: Usage::default(),
            held_up: Moment::ZERO,
            ended: None,
            broken: None,
            has_spoken: false,
            pinged: None,
            shut: false,
        }
    }

    /// Whether it is a user, may become one, or takes the place of one.
    #[must_use]
    pub fn is_staying(&self) -> bool {
        !matches!(self.stage, Stage::Leaving(_))
    }

    /// When a connection that stays silent is to be announced as a plain user, or turned away.
    #[must_use]
    pub fn arrives_at(&self) -> Option<Duration> {
        match self.stage {
            Stage::Arriving(since) | Stage::Waiting(since) => Some(since.get() + ARRIVAL),
            Stage::Here | Stage::Probing(_) | Stage::Leaving(_) => None,
        }
    }

    /// When a connection that is being probing is to be let go.
    #[must_use]
    pub fn probe_ends_at(&self) -> Option<Duration> {
        match self.stage {
            Stage::Probing(until) => Some(until.get()),
            Stage::Arriving(_) | Stage::Waiting(_) | Stage::Here | Stage::Leaving(_) => None,
        }
    }

    /// Whether bytes have come that the room has not taken.
    #[must_use]
    pub fn has_input(&self) -> bool {
        self.is_staying() && (self.inbox.is_waiting() || self.ended.is_some())
    }

    /// Whether its rate lets the next line be taken.
    #[must_use]
    pub fn is_within(&self, rate: Option<Rate>, now: Duration) -> bool {
        rate.is_none_or(|rate| self.usage.next_at(rate) <= now)
    }

    /// Whether more is to be read from it, as far as it depends on this connection alone.
    #[must_use]
    pub fn takes_input(&self, rate: Option<Rate>, now: Duration) -> bool {
        if self.is_staying() {
            self.ended.is_none()
                && !self.inbox.is_waiting()
                && self.is_answerable()
                && self.is_within(rate, now)
        } else {
            self.ended.is_none()
        }
    }

    /// Whether it is to be found out that it was broken off, though nothing is read from it: what was read and may
    /// not be taken yet would keep its place and its nick.
    #[must_use]
    pub fn may_be_broken(&self) -> bool {
        self.is_staying() && self.ended.is_none() && !self.outbox.is_gone()
    }

    /// Whether there is room for the answer to one more line.
    #[must_use]
    pub fn is_answerable(&self) -> bool {
        self.outbox.own_bytes() < OWN_BYTES_PAUSE
    }

    /// Whether others may put something before it.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.outbox.own_bytes() < OWN_BYTES_MAX
    }
}
