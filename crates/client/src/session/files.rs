//! The files that are offered, sent and received, and the user's options for them.

use crate::files::message::FileMessage;
use crate::files::request::{Handle, Request};
use crate::files::transfers::{Number, State, Status, Transfers, Way};
use crate::files::words::{bytes_in_words, seconds_in_words};
use crate::private::MessageId;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::Key;
use chat_proto::who::Who;
use clap::ValueEnum;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a file that is too large for the server waits for a direct path.
pub(super) const PATH_WAIT: Duration = Duration::from_secs(30);

/// An offer does not ring if another one of the same peer did so before in this time.
const RING_PAUSE: Duration = Duration::from_secs(60);

/// Names of peers without a file that are kept.
const NAMES_MAX: usize = 128;

/// The time over which a rate is measured.
const RATE_OVER: Duration = Duration::from_secs(1);

/// Whose files may be offered to this user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FilesFrom {
    /// Everybody's: you are asked each time
    #[default]
    Ask,
    /// Those of users whose key you verified: you are asked each time
    Verified,
    /// Nobody's
    Off,
}

/// The user's options.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// Where received files are kept; `None` if there is no such directory.
    pub directory: Option<PathBuf>,
    /// Whose files are offered.
    pub from: FilesFrom,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// Random, so that numbers of files are not those of an earlier run.
    pub first_id: u32,
}

/// All files that are offered, sent and received.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) options: FileOptions,
    pub(super) transfers: Transfers,
    /// Messages of which the result is not known.
    pub(super) messages: BTreeMap<MessageId, (PublicKey, FileMessage)>,
    /// For the disk.
    pub(super) requests: VecDeque<(Handle, Request)>,
    /// Peers with transfers that are away.
    pub(super) away: BTreeSet<PublicKey>,
    /// The last name of each peer with a transfer.
    pub(super) names: BTreeMap<PublicKey, Who>,
    /// When an offer of each peer last rang.
    rung: BTreeMap<PublicKey, Duration>,
    rates: BTreeMap<Number, Rate>,
    /// Since when a file waits for a direct path.
    pub(super) stuck: BTreeMap<Number, Duration>,
    pub(super) asking: Vec<Asking>,
}

/// A file that is offered once the peer's client has said that it takes files: an older one would drop the offer, and
/// all that is said after it.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) peer: PublicKey,
    pub(super) path: PathBuf,
    pub(super) until: Duration,
    pub(super) next: Duration,
}

/// How fast a transfer is.
#[derive(Clone, Copy, Debug)]
struct Rate {
    since: Duration,
    bytes: u64,
    /// Bytes a second, in the last second that is over.
    last: Option<u64>,
}

impl Files {
    pub(super) fn new(options: FileOptions) -> Self {
        Self {
            transfers: Transfers::new(options.first_id),
            options,
            messages: BTreeMap::new(),
            requests: VecDeque::new(),
            away: BTreeSet::new(),
            names: BTreeMap::new(),
            rung: BTreeMap::new(),
            rates: BTreeMap::new(),
            stuck: BTreeMap::new(),
            asking: Vec::new(),
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let rates = self.rates.values().map(|rate| rate.since + RATE_OVER);
        let stuck = self.stuck.values().map(|since| *since + PATH_WAIT);
        let asking = self.asking.iter().map(|asking| asking.next);
        rates
            .chain(stuck)
            .chain(asking)
            .chain(self.transfers.deadline())
            .min()
    }

    /// The transfer that is meant: the one with this number, else the only one that fits.
    pub(super) fn meant(
        &self,
        number: Option<u32>,
        usage: &str,
        fits: impl Fn(&Status) -> bool,
    ) -> Result<Number, String> {
        let mut fitting = self.transfers.list().filter(|status| fits(status));
        let Some(number) = number else {
            return match (fitting.next(), fitting.next()) {
                (None, _) => Err("there is no such file; /files lists all".into()),
                (Some(status), None) => Ok(status.number),
                (Some(_), Some(_)) => Err(format!("there are several: {usage}; /files lists all")),
            };
        };
        if let Some(status) = fitting.find(|status| status.number.0 == number) {
            return Ok(status.number);
        }
        let listed = self.transfers.list().find(|status| status.number.0 == number);
        Err(match listed.map(|status| status.way) {
            Some(Way::Sending) => format!("file {number} is one that you send"),
            Some(Way::Receiving) => format!("file {number} is accepted already"),
            None => format!("no file has the number {number}; /files lists all"),
        })
    }

    /// A name that a person types, or a path: `~` is the home directory.
    pub(super) fn path(&self, typed: &str) -> PathBuf {
        let path = Path::new(typed);
        match (path.strip_prefix("~"), &self.options.home) {
            (Ok(rest), Some(home)) => home.join(rest),
            _ => path.to_owned(),
        }
    }

    /// Whether an offer of this peer may ring.
    pub(super) fn rings(&mut self, peer: PublicKey, now: Duration) -> bool {
        self.rung.retain(|_, at| now < *at + RING_PAUSE);
        let rings = !self.rung.contains_key(&peer);
        self.rung.entry(peer).or_insert(now);
        rings
    }

    /// Measures the rates of what moves.
    pub(super) fn measure(&mut self, now: Duration) {
        let moving = |status: &Status| status.state == State::Moving;
        let transfers: Vec<Status> = self.transfers.list().filter(moving).collect();
        self.rates
            .retain(|number, _| transfers.iter().any(|status| status.number == *number));
        self.stuck
            .retain(|number, _| transfers.iter().any(|status| status.number == *number));
        for Status { number, bytes, .. } in transfers {
            let rate = self.rates.entry(number).or_insert(Rate {
                since: now,
                bytes,
                last: None,
            });
            let passed = now.saturating_sub(rate.since).as_millis();
            if passed >= RATE_OVER.as_millis() {
                let more = u128::from(bytes.saturating_sub(rate.bytes)) * 1000 / passed;
                *rate = Rate {
                    since: now,
                    bytes,
                    last: u64::try_from(more).ok(),
                };
            }
        }
    }

    /// A transfer, as in `report.pdf 42 % 11 MB/s 8 s`.
    pub(super) fn in_words(&self, status: &Status) -> String {
        let Status {
            name, size, bytes, ..
        } = status;
        let percent = u128::from(*bytes) * 100 / u128::from(*size).max(1);
        let rate = self.rates.get(&status.number).and_then(|rate| rate.last);
        match (status.state, rate) {
            (State::Moving, Some(rate @ 1..)) => {
                let left = seconds_in_words(size.saturating_sub(*bytes).div_ceil(rate));
                format!("{name} {percent} % {}/s {left}", bytes_in_words(rate))
            }
            (State::Moving, _) => format!("{name} {percent} %"),
            (state, _) => format!(
                "{name} ({}): {}",
                bytes_in_words(*size),
                state.in_words(status.way)
            ),
        }
    }

    /// Whether a key may be that of a peer with a file.
    pub(super) fn may_have(&self, key: Key) -> bool {
        self.transfers.list().any(|status| key.may_be(status.peer.into()))
    }

    /// What the user calls a peer.
    pub(super) fn name_of(&self, peer: &PublicKey) -> String {
        let name = self.names.get(peer);
        name.map_or_else(|| "a user who left".into(), Who::to_string)
    }

    /// Forgets names when there are many, apart from those of peers with a file.
    pub(super) fn forget_names(&mut self) {
        if self.names.len() > NAMES_MAX {
            let listed = self.transfers.list().map(|status| status.peer);
            let asked = self.asking.iter().map(|asking| asking.peer);
            let peers: BTreeSet<PublicKey> = listed.chain(asked).collect();
            self.names.retain(|peer, _| peers.contains(peer));
        }
    }
}
