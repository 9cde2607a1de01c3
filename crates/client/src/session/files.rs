//! The files that are offered, sent and received, and the user's options for them.

use crate::files::message::FileMessage;
use crate::files::name::FileName;
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

/// How long a file that is too large for the server waits for a direct path. After one died, another is tried within a
/// minute.
pub(super) const PATH_WAIT: Duration = Duration::from_secs(75);

/// An offer does not ring if another one of the same peer did so before in this time.
const RING_PAUSE: Duration = Duration::from_secs(60);

/// After the end of the input, the client waits this long for files that do not move.
const END_WAIT: Duration = Duration::from_secs(60);

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
    /// The directory for `~`.
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
    /// The peer that was sent a piece last: others come first.
    pub(super) served: Option<PublicKey>,
    /// Since when a file waits for a direct path.
    pub(super) stuck: BTreeMap<Number, Duration>,
    pub(super) asking: Vec<Asking>,
    /// At the end of the input: the awaited files and their bytes, and since when none has moved.
    quiet: Option<(usize, u64, Duration)>,
    /// The end of the input waits for no file any more.
    is_given_up: bool,
}

/// A file that moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    /// The other user.
    pub who: Who,
    /// Its name.
    pub name: FileName,
    /// How far it is, as in `42 % 11 MB/s 8 s`.
    pub progress: String,
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
            served: None,
            stuck: BTreeMap::new(),
            asking: Vec::new(),
            quiet: None,
            is_given_up: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let rates = self.rates.values().map(|rate| rate.since + RATE_OVER);
        let stuck = self.stuck.values().map(|since| *since + PATH_WAIT);
        let asking = self.asking.iter().map(|asking| asking.next);
        let quiet = self.quiet.filter(|_| !self.is_given_up);
        rates
            .chain(quiet.map(|(_, _, since)| since + END_WAIT))
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
                (Some(_), Some(_)) => Err(format!("which one? usage: {usage}; /files lists the numbers")),
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
        let name = &status.name;
        match status.state {
            State::Moving => format!("{name} {}", self.progress(status)),
            state => format!(
                "{name} ({}): {}",
                bytes_in_words(status.size),
                state.in_words(status.way)
            ),
        }
    }

    /// How far a transfer is, as in `42 % 11 MB/s 8 s`.
    pub(super) fn progress(&self, status: &Status) -> String {
        let &Status { size, bytes, .. } = status;
        let percent = u128::from(bytes) * 100 / u128::from(size).max(1);
        match self.rates.get(&status.number).and_then(|rate| rate.last) {
            Some(rate @ 1..) => {
                let left = seconds_in_words(size.saturating_sub(bytes).div_ceil(rate));
                format!("{percent} % {}/s {left}", bytes_in_words(rate))
            }
            _ => format!("{percent} %"),
        }
    }

    /// The files for which the end of the input waits: those that this user sends, and those that it has accepted.
    pub(super) fn awaited(&self) -> impl Iterator<Item = Status> {
        let is_awaited = |status: &Status| status.way == Way::Sending || status.state != State::Offered;
        self.transfers.list().filter(is_awaited)
    }

    /// Whether the end of the input waits for a file.
    pub(super) fn hold_the_end(&self) -> bool {
        !self.is_given_up && (!self.asking.is_empty() || self.awaited().next().is_some())
    }

    /// The input has ended: no file is awaited for ever. An offer has its own limit; a disk may take long at the end.
    pub(super) fn note_quiet(&mut self, now: Duration) {
        let is_patient = |status: Status| match status.state {
            State::Offered | State::Waiting => true,
            State::Moving => status.bytes == status.size,
            State::Checking | State::Paused | State::Forgotten => false,
        };
        if !self.asking.is_empty() || self.awaited().any(is_patient) {
            self.quiet = None;
            return;
        }
        let bytes = self.awaited().map(|status| status.bytes);
        let moved = (self.awaited().count(), bytes.fold(0, u64::wrapping_add));
        match self.quiet {
            Some((count, bytes, since)) if (count, bytes) == moved => {
                self.is_given_up = now >= since + END_WAIT;
            }
            _ => self.quiet = Some((moved.0, moved.1, now)),
        }
    }

    /// Whether a key may be that of a peer with a file.
    pub(super) fn may_have(&self, key: Key) -> bool {
        self.transfers.list().any(|status| key.may_be(status.peer.into()))
    }

    /// A peer's name for the user.
    pub(super) fn name_of(&self, peer: &PublicKey) -> String {
        let name = self.names.get(peer);
        name.map_or_else(|| "a user who left".into(), Who::to_string)
    }

    /// Forgets the name of a peer without a file.
    pub(super) fn forget_name(&mut self, peer: &PublicKey) {
        let is_asked = self.asking.iter().any(|asking| asking.peer == *peer);
        if !is_asked && !self.transfers.list().any(|status| status.peer == *peer) {
            self.names.remove(peer);
        }
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
