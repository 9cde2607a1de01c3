//! Two users who send each other files, while they are killed and their paths change.

use super::figures::Figures;
use super::network;
use super::user::{Line, User, field};
use crate::harness::{Chance, Journal};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// In so many files, there is one kill and one change of a path.
pub const ROUND: usize = 10;

/// A client that is not optimised is slower.
const SIZE_MAX: u64 = if cfg!(debug_assertions) {
    5_000_000
} else {
    50_000_000
};
/// Where sizes change something: a packet, a block, what goes through the server.
const EDGES: [u64; 7] = [0, 1, 1113, 1114, 65_536, 8 << 20, (8 << 20) + 1];
/// The size of files that are to go through the server, which is slow.
const RELAYED_MAX: u64 = 150_000;
/// Files of which none moves or ends for so long are stuck.
const STUCK_AFTER: Duration = Duration::from_secs(90);
/// A receiver whose router was restarted may hear nothing of the server for half a minute. Every ten seconds its sender is
/// told so.
const REFUSALS_MAX: usize = 6;
/// What a break may cost.
const AGAIN_MAX: u64 = 4 << 20;
/// Of a client.
const MEMORY_MAX: usize = 64 << 20;

struct File {
    name: String,
    size: u64,
    from: usize,
    /// When its sender was last asked to send it; and whether it was offered since.
    asked: Instant,
    is_offered: bool,
    /// How often the sender was told that this was not possible.
    refusals: usize,
    /// Its sender knows that it is kept.
    is_kept: bool,
    /// Bytes on the receiver's disk at a blow, after which it has not gone on.
    broken_at: Option<u64>,
    was_broken: bool,
}

/// What happens in the middle of a flight.
#[derive(Clone, Copy, Debug)]
enum Blow {
    /// The sender of the largest file is killed, or the receiver. The server is not told of the end if it is silent.
    Kill { is_sender: bool, is_silent: bool },
    /// The router of one side maps to another port.
    Remap,
    /// Only the relay works, until all small files are kept, or for so long.
    Cut(Option<Duration>),
    /// The line of one side is down for so long.
    Down(Duration),
}

impl Blow {
    fn name(self) -> &'static str {
        match self {
            Self::Kill { is_silent: false, .. } => "kill",
            Self::Kill { is_silent: true, .. } => "kill and silence",
            Self::Remap => "other port",
            Self::Cut(None) => "only relay",
            Self::Cut(Some(_)) => "only relay for a while",
            Self::Down(_) => "line down",
        }
    }
}

/// The end of a blow.
struct Mend {
    at: Option<Instant>,
    mend: fn(&str),
    host: &'static str,
}

pub struct Pair<'a> {
    name: &'static str,
    users: [User; 2],
    lines: Receiver<Line>,
    sender: Sender<Line>,
    journal: Journal,
    chance: Chance,
    files: Vec<File>,
    kills: usize,
    pub figures: Figures,
    /// Another pair has failed.
    is_over: &'a AtomicBool,
}

impl<'a> Pair<'a> {
    pub fn new(
        name: &'static str,
        mut users: [User; 2],
        journal: &Journal,
        chance: Chance,
        is_over: &'a AtomicBool,
    ) -> Self {
        let (sender, lines) = channel();
        for (number, user) in users.iter_mut().enumerate() {
            user.follow(number, &sender);
        }
        Self {
            name,
            users,
            lines,
            sender,
            journal: journal.clone(),
            chance,
            files: Vec::new(),
            kills: 0,
            figures: Figures::default(),
            is_over,
        }
    }

    /// Sends [`ROUND`] files, in at least two flights.
    pub fn round(&mut self) {
        let mut flights = Vec::new();
        let mut left = ROUND;
        while left > 0 {
            let count = self.number(1..5).min(left);
            flights.push((count, None));
            left -= count;
        }
        let kill = self.number(0..flights.len());
        let change = (kill + self.number(1..flights.len())) % flights.len();
        flights[kill].1 = Some(Blow::Kill {
            is_sender: self.kills.is_multiple_of(2),
            is_silent: !(self.kills / 2).is_multiple_of(2),
        });
        self.kills += 1;
        flights[change].1 = Some(match self.number(0..4) {
            0 => Blow::Remap,
            1 => Blow::Cut(None),
            2 => Blow::Cut(Some(self.chance.up_to(Duration::from_secs(6)))),
            _ => Blow::Down(self.chance.up_to(Duration::from_secs(3))),
        });
        for (count, blow) in flights {
            self.flight(count, blow);
        }
    }

    fn number(&mut self, range: std::ops::Range<usize>) -> usize {
        self.chance
            .in_range(range.start as u64..range.end as u64)
            .try_into()
            .unwrap()
    }

    /// Sends a few files at once, each in either direction, and checks them.
    fn flight(&mut self, count: usize, blow: Option<Blow>) {
        self.journal.note(self.name, format!("{count} files, {blow:?}"));
        let size_max = if matches!(blow, Some(Blow::Cut(None))) {
            RELAYED_MAX
        } else {
            SIZE_MAX
        };
        self.files = (0..count).map(|_| self.make(size_max)).collect();
        let sent_before = self.sent();
        (0..count).for_each(|at| self.send(at));
        let struck = blow.map(|blow| {
            let largest = (0..count).max_by_key(|&at| self.files[at].size).unwrap();
            let size = self.files[largest].size;
            // Not too near the end, or it would be over before.
            let moment = self.chance.in_range(0..size * 9 / 10 + 1);
            self.await_files(None, |pair| {
                pair.files[largest].is_kept || pair.arrived(largest) > moment
            });
            let at = Instant::now();
            (at, self.strike(blow, self.files[largest].from))
        });
        let (struck, mend) = struck.unzip();
        self.await_files(mend.flatten(), |pair| pair.files.iter().all(|file| file.is_kept));
        let size = self.files.iter().map(|file| file.size).sum();
        let sent = self.sent() - sent_before;
        self.figures
            .note_flight(size, sent, struck.map(|at| at.elapsed()));
        self.check();
    }

    /// Does what the clients ask for until `is_reached`, and ends a blow in time.
    fn await_files(&mut self, mut mend: Option<Mend>, is_reached: impl Fn(&Self) -> bool) {
        let mut moved = (Instant::now(), 0);
        while !is_reached(self) {
            assert!(!self.is_over.load(Ordering::Relaxed), "the other pair has failed");
            match self.lines.recv_timeout(Duration::from_millis(2)) {
                Ok(line) => {
                    self.heed(line);
                    moved.0 = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!(),
            }
            mend = mend.filter(|mend| !mend.is_due());
            let bytes = (0..self.files.len()).map(|at| self.arrived(at)).sum::<u64>();
            if bytes != moved.1 {
                moved = (Instant::now(), bytes);
            } else if moved.0.elapsed() > STUCK_AFTER {
                self.fail("is stuck");
            }
        }
    }

    fn fail(&mut self, what: &str) -> ! {
        for user in &mut self.users {
            user.client.line("/files");
        }
        for user in &self.users {
            user.client.shows().expect("\"kind\":\"notice\"");
        }
        self.journal.fail(&format!("the {} pair {what}", self.name))
    }

    fn make(&mut self, size_max: u64) -> File {
        self.figures.files += 1;
        let size = match self.number(0..8) {
            0 => (*self.chance.pick(&EDGES)).min(size_max),
            _ => self.chance.in_range(0..size_max + 1),
        };
        self.figures.bytes += size;
        let name = format!("{}-{}.bin", self.name, self.figures.files);
        let from = self.number(0..2);
        let bytes = self.chance.bytes(size.try_into().unwrap());
        fs::write(self.users[from].source(&name), bytes).unwrap();
        File {
            name,
            size,
            from,
            asked: Instant::now(),
            is_offered: false,
            refusals: 0,
            is_kept: false,
            broken_at: None,
            was_broken: false,
        }
    }

    fn send(&mut self, at: usize) {
        let File {
            name,
            from,
            asked,
            is_offered,
            ..
        } = &mut self.files[at];
        (*asked, *is_offered) = (Instant::now(), false);
        let who = self.users[1 - *from].who.clone();
        let sender = &mut self.users[*from];
        let path = sender.source(name);
        sender.client.line(&format!("/send {who} {}", path.display()));
    }

    /// A sender is told that its receiver does not answer: of files that were not offered, the one that it was asked to
    /// send first.
    fn send_again(&mut self, user: usize) {
        self.figures.refusals += 1;
        let is_meant = |file: &File| file.from == user && !file.is_kept && !file.is_offered;
        let meant = (0..self.files.len()).filter(|&at| is_meant(&self.files[at]));
        let Some(at) = meant.min_by_key(|&at| self.files[at].asked) else {
            self.fail("complains of a file that is offered");
        };
        self.files[at].refusals += 1;
        if self.files[at].refusals > REFUSALS_MAX {
            self.fail("reaches nobody");
        }
        self.send(at);
    }

    /// Does what a line of a client asks for.
    fn heed(&mut self, Line { user, run, text }: Line) {
        if run != self.users[user].run {
            return;
        }
        let Some(text) = text else {
            self.fail("has lost a client");
        };
        let kind = field(&text, "kind").unwrap();
        match kind.as_str() {
            "error" if text.contains("no answer: its client") => return self.send_again(user),
            "error" | "file-failed" => self.fail("has failed"),
            _ => {}
        }
        // A receiver may say that a file is kept after its sender, and then it is none of this flight.
        let name = field(&text, "name").unwrap_or_default();
        let Some(file) = self.files.iter_mut().find(|file| file.name == name) else {
            return;
        };
        match (kind.as_str(), file.from == user) {
            ("file-offer", false) => {
                let number = field(&text, "number").unwrap();
                self.users[user].client.line(&format!("/accept {number}"));
            }
            ("file-offer", true) => file.is_offered = true,
            ("file-progress", true) => {
                let bytes: u64 = field(&text, "bytes").unwrap().parse().unwrap();
                let again = file.broken_at.take().map(|before| before.saturating_sub(bytes));
                // One that was kept, as its killed sender does not know, goes from its beginning.
                let is_whole = self.users[1 - user].inbox().join(&name).exists();
                let again = again.filter(|_| !is_whole);
                if again.is_some_and(|again| again > AGAIN_MAX) {
                    self.fail("sends too much twice");
                }
                self.figures.again.extend(again);
            }
            ("file-kept", true) => file.is_kept = true,
            _ => {}
        }
    }

    /// What is to be undone, and when.
    fn strike(&mut self, blow: Blow, from: usize) -> Option<Mend> {
        self.journal.note(self.name, format!("{blow:?}"));
        *self.figures.blows.entry(blow.name()).or_default() += 1;
        for at in 0..self.files.len() {
            let arrived = self.arrived(at);
            let file = &mut self.files[at];
            file.was_broken = !file.is_kept;
            file.broken_at = file.was_broken.then_some(arrived);
        }
        let side = self.number(0..2);
        let host = self.users[side].host;
        let (after, mend): (_, fn(&str)) = match blow {
            Blow::Kill { is_sender, is_silent } => {
                self.kill(if is_sender { from } else { 1 - from }, is_silent);
                return None;
            }
            Blow::Remap => {
                let port = self.chance.in_range(41_000..49_000).try_into().unwrap();
                self.users[side].map_to(port);
                return None;
            }
            Blow::Cut(after) => {
                network::cut_off(host);
                (after, network::join_again)
            }
            Blow::Down(after) => {
                network::take_down(host);
                (Some(after), network::bring_up)
            }
        };
        let at = after.map(|after| Instant::now() + after);
        Some(Mend { at, mend, host })
    }

    fn kill(&mut self, user: usize, is_silent: bool) {
        self.users[user].restart(is_silent, &self.journal);
        self.users[user].follow(user, &self.sender);
        for at in 0..self.files.len() {
            if self.files[at].from == user && !self.files[at].is_kept {
                self.send(at);
            }
        }
    }

    /// Bytes of a file on the receiver's disk.
    fn arrived(&self, at: usize) -> u64 {
        let File {
            name,
            size,
            from,
            is_kept,
            ..
        } = &self.files[at];
        if *is_kept {
            return *size;
        }
        let start = format!(".{name}.");
        let mut parts = self.users[1 - from].received().into_iter();
        let part = parts.find(|(name, _)| name.starts_with(&start));
        part.map_or(0, |(_, size)| size)
    }

    /// Bytes that have left both hosts.
    fn sent(&self) -> u64 {
        self.users.iter().map(|user| network::sent_by(user.host)).sum()
    }

    /// All of a flight is where it should be, and nothing else. Removes it.
    fn check(&mut self) {
        for file in std::mem::take(&mut self.files) {
            let source = self.users[file.from].source(&file.name);
            let bytes = fs::read(&source).unwrap();
            let inbox = self.users[1 - file.from].inbox();
            // A killed client does not know that it had sent a file already, or kept it.
            let double = inbox.join(file.name.replace(".bin", " (2).bin"));
            let has_double = file.was_broken && double.exists();
            self.figures.doubles += usize::from(has_double);
            for path in [Some(inbox.join(&file.name)), has_double.then_some(double)]
                .into_iter()
                .flatten()
            {
                let kept = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                assert!(kept == bytes, "{} differs", path.display());
                fs::remove_file(path).unwrap();
            }
            fs::remove_file(source).unwrap();
        }
        for user in &self.users {
            let left = user.received();
            if !left.is_empty() {
                self.journal.fail(&format!("{} has {left:?} too", user.name));
            }
            self.figures.memory = self.figures.memory.max(user.client.memory());
        }
    }

    pub fn end(mut self) -> Figures {
        for user in &mut self.users {
            user.client.line("/quit");
            assert_eq!(user.client.exit_code(), 0);
            assert_eq!(user.client.complains().lines(), [""; 0]);
        }
        assert!(self.figures.memory <= MEMORY_MAX, "{} bytes", self.figures.memory);
        self.figures
    }
}

impl Mend {
    /// Ends the blow if it is time.
    fn is_due(&self) -> bool {
        self.at.is_some_and(|at| at <= Instant::now())
    }
}

impl Drop for Mend {
    fn drop(&mut self) {
        (self.mend)(self.host);
    }
}
