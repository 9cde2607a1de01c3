//! What the doctor found out, as data.

use crate::net::connect::Ports;
use crate::private::{DATAGRAM_MAX, OVERHEAD};
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::text::Text;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One thing that was found out. They come in the order of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The server's name, or its address as it was given, and what it stands for.
    Host {
        /// As given.
        host: Text<'static>,
        /// At least one.
        addresses: Vec<SocketAddr>,
    },
    /// The name stands for nothing.
    HostUnknown {
        /// As given.
        host: Text<'static>,
        /// What the system says.
        error: Text<'static>,
    },
    /// There is a connection.
    Connected {
        /// With this address.
        to: SocketAddr,
        /// After so long.
        after: Duration,
    },
    /// There is no connection with this address.
    NotConnected {
        /// Which.
        to: SocketAddr,
        /// Why.
        why: Failure,
        /// Another one is tried.
        goes_on: bool,
    },
    /// Who listens there.
    Server(Server),
    /// Whether there is a place in the room.
    Room(Place),
    /// `PING` and `PONG` over TCP.
    RoundTrip(Sample),
    /// Which ports this side got.
    Ports {
        /// How they relate.
        ports: Ports,
        /// The TCP port.
        tcp: u16,
        /// The UDP port.
        udp: Option<u16>,
    },
    /// Datagrams to the server and back.
    Datagrams(Datagrams),
    /// Where the world sees the datagrams come from.
    Outside(Outside),
    /// Which lengths pass.
    Length(Length),
    /// How the clocks differ.
    Clock(Clock),
    /// The connection went away in the middle, and what the server said of it.
    Lost(Option<Text<'static>>),
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody listens there.
    Refused,
    /// Nothing came for so long.
    Silent(Duration),
    /// What the system says.
    Other(Text<'static>),
}

/// Who listens there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A `chat-server`, which sees this side at that address.
    Ours {
        /// Its version of the protocol.
        version: u32,
        /// As the server sees the connection.
        seen: SocketAddr,
    },
    /// A `chat-server` that can't be probed.
    TooOld(u32),
    /// A `chat-server` that does not go on after the greeting.
    Stalled(u32),
    /// What it said began as our greeting does, and did not end.
    Unfinished,
    /// A server of the original lab.
    Original,
    /// Something else, and how it begins.
    Foreign(Text<'static>),
    /// It said nothing for so long.
    Mute(Duration),
    /// It closed the connection without a word.
    Closed,
}

/// Whether there is a place in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// There is.
    Free(Option<Nick>),
    /// There is, but not under the nick that was asked for.
    NickRefused(Text<'static>),
    /// The room is full.
    Full,
    /// The server says why there is none.
    TurnedAway(Text<'static>),
}

/// How long answers took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Questions.
    pub asked: usize,
    /// Answers.
    pub answered: usize,
    /// The shortest time.
    pub best: Duration,
    /// Half of the answers took no longer than this.
    pub median: Duration,
}

impl Sample {
    /// Of so many questions, those that were answered took so long.
    #[must_use]
    pub fn new(asked: usize, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let middle = times.len().saturating_sub(1) / 2;
        Self {
            asked,
            answered: times.len(),
            best: times.first().copied().unwrap_or_default(),
            median: times.get(middle).copied().unwrap_or_default(),
        }
    }

    /// How many in a hundred were not answered.
    #[must_use]
    pub fn lost_percent(&self) -> usize {
        (self.asked - self.answered) * 100 / self.asked.max(1)
    }
}

/// Datagrams to the server and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagrams {
    /// The server's UDP port.
    pub port: u16,
    /// Short ones.
    pub sample: Sample,
    /// The network says that nobody takes them.
    pub refused: bool,
    /// Answers came, but from this address.
    pub elsewhere: Option<SocketAddr>,
}

impl Datagrams {
    /// Whether they pass at all.
    #[must_use]
    pub fn pass(&self) -> bool {
        self.sample.answered > 0
    }
}

/// Where the world sees the datagrams come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Where they are sent from.
    pub local: SocketAddr,
    /// Where the server saw them come from; more than one if that changed. At least one.
    pub seen: Vec<SocketAddr>,
    /// Where the server sees the connection come from.
    pub connection: IpAddr,
}

/// Which lengths pass both ways, in bytes of payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    /// The greatest that came back.
    pub passed: Option<usize>,
    /// The least that did not, among those above.
    pub failed: Option<usize>,
    /// What the headers of IP and UDP take.
    pub headers: usize,
}

impl Length {
    /// Whether every private message passes.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.passed.is_some_and(|passed| passed >= DATAGRAM_MAX)
    }

    /// The longest text whose datagram passes, in bytes.
    #[must_use]
    pub fn text_max(&self) -> usize {
        self.passed.unwrap_or_default().saturating_sub(OVERHEAD)
    }
}

/// How the server's clock differs from the one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds that the server's is ahead.
    pub ahead_ms: i64,
    /// As much may be due to the way.
    pub within_ms: u64,
}

impl Clock {
    /// A difference that somebody could notice: people are shown minutes.
    const NOTICEABLE_MS: u64 = 2000;

    /// The server said this time, sometime between the question and its answer.
    #[must_use]
    pub fn between(asked: Now, at_ms: u64, answered: Now) -> Self {
        let trip = answered.monotonic.saturating_sub(asked.monotonic);
        let half = u64::try_from(trip.as_micros().div_ceil(2000)).unwrap_or(u64::MAX);
        // By the time here at the answer and the length of the trip: the wall clock may be set in between.
        let here = i128::from(answered.unix_ms) - i128::from(half);
        let ahead = i128::from(at_ms) - here;
        Self {
            ahead_ms: i64::try_from(ahead).unwrap_or(i64::MAX),
            // Either clock is read in whole milliseconds.
            within_ms: half.saturating_add(2),
        }
    }

    /// Whether the two can be told apart by more than the way explains.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.ahead_ms.unsigned_abs() > self.within_ms.saturating_add(Self::NOTICEABLE_MS)
    }
}

/// What it all amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Group messages.
    pub group: Group,
    /// Private messages.
    pub private: Private,
}

/// What becomes of group messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// They work.
    Work,
    /// There is a server, and no place there.
    NoPlace,
    /// A server was found and not asked.
    Unasked,
    /// There is no server to carry them.
    NoServer,
}

/// What becomes of private messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Private {
    /// All go directly.
    Direct,
    /// They go directly where the router maps all ways to the same port.
    Perhaps,
    /// Texts of up to so many bytes go directly.
    Short(usize),
    /// They go through the server.
    Relayed,
    /// It could not be found out.
    Unknown,
}

impl Verdict {
    /// Judges by all that was found.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let mut verdict = Self {
            group: Group::NoServer,
            private: Private::Unknown,
        };
        for finding in findings {
            verdict.take(finding);
        }
        verdict
    }

    fn take(&mut self, finding: &Finding) {
        match finding {
            Finding::Server(Server::Ours { .. }) => self.group = Group::Work,
            Finding::Server(Server::TooOld(_) | Server::Original) => self.group = Group::Unasked,
            Finding::Room(Place::NickRefused(_) | Place::Full | Place::TurnedAway(_)) => {
                self.group = Group::NoPlace;
            }
            Finding::Lost(_) => self.group = Group::NoServer,
            Finding::Datagrams(datagrams) if datagrams.pass() => self.private = Private::Direct,
            Finding::Datagrams(_) | Finding::Ports { udp: None, .. } => self.private = Private::Relayed,
            Finding::Outside(outside) if outside.seen.len() > 1 => self.private = Private::Relayed,
            Finding::Outside(outside) if !outside.keeps_port() => self.private = Private::Perhaps,
            Finding::Length(length) if length.passed.is_some() && !length.suffices() => {
                self.private = Private::Short(length.text_max());
            }
            _ => {}
        }
    }

    /// Whether nothing that messages need fails, nor was left open.
    #[must_use]
    pub fn is_good(self) -> bool {
        self.group == Group::Work && matches!(self.private, Private::Direct | Private::Perhaps)
    }
}

impl Outside {
    /// Whether a router stands in between that translates addresses.
    #[must_use]
    pub fn is_translated(&self) -> bool {
        self.seen.first() != Some(&self.local)
    }

    /// Whether the world sees the port from which datagrams are sent.
    #[must_use]
    pub fn keeps_port(&self) -> bool {
        self.seen.iter().all(|seen| seen.port() == self.local.port())
    }
}
