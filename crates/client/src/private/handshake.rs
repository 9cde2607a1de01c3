//! The keys of a conversation: handshakes with the peer, and the sessions that come of them.
//!
//! A session encrypts for two minutes; then the side that began it begins another one, if it is in use. After three
//! minutes its keys are erased. So what is stolen later opens nothing that was recorded before.
//!
//! The peer's key in the roster is the only one that counts here. What a beginning of the peer says may be a replay, so
//! neither its keys nor its run are used before a datagram under these keys has opened. The answer to an own beginning is
//! fresh, because only the peer can make it.
//!
//! If both sides begin at once, the beginning of the smaller key stands: its side does not answer, and the other one
//! gives its own up.

use chat_noise::Random;
use chat_noise::key::KeyPair;
use chat_noise::private::{Initiator, Introduction, Responder, Run, Session};
use chat_proto::opaque::PublicKey;
use std::time::Duration;

/// The pauses after each copy of a beginning. After the last one it is given up. If text waits, another one follows.
const PAUSES_MS: [u64; 5] = [250, 500, 1000, 2000, 2000];

/// A session in use is replaced after this time.
const RENEWED_AFTER: Duration = Duration::from_secs(120);

/// The keys of a session are erased after this time.
const ERASED_AFTER: Duration = Duration::from_secs(180);

/// If nothing of the peer has opened for so long while text waits, it may have lost its keys.
const SILENT_AFTER: Duration = Duration::from_secs(5);

/// Sessions at most. Further ones replace the oldest.
const SESSIONS_MAX: usize = 4;

/// Beginnings of others that are read in a second, by datagram and by relay each. Reading one takes up to 0.3 ms.
const BEGINNINGS_MAX: u32 = 20;

/// Who this client is.
pub(super) struct Identity {
    pub(super) keys: KeyPair,
    /// Random, in each run of the program.
    pub(super) run: Run,
    /// The time in the last beginning, of this run or an earlier one with the key. Each beginning has a later one: peers
    /// ignore others, whatever the clock says.
    pub(super) time: u64,
}

/// The keys of a conversation.
#[derive(Default)]
pub(super) struct Sessions {
    /// The newest is the last.
    sessions: Vec<Live>,
    begun: Option<Box<Begun>>,
    /// When a handshake was last begun here.
    last_begun: Option<Duration>,
    /// The time in the peer's last beginning that counted. Only later ones count.
    last_time: Option<u64>,
    /// The run of the peer, as proven.
    run: Option<Run>,
    /// Since when nothing that this side sent was answered.
    unanswered: Option<Duration>,
    /// What the indices of this conversation begin with, and the number of the next one.
    slot: u32,
    next: u8,
}

struct Live {
    session: Session,
    since: Duration,
    /// When it last encrypted or decrypted.
    used: Duration,
    /// This side began it.
    is_own: bool,
    run: Run,
    /// The peer is known to have these keys, and to be here.
    is_proven: bool,
    /// The peer's beginning and the answer to it, until a datagram has opened.
    answered: Option<Box<(Vec<u8>, Vec<u8>)>>,
}

/// A handshake that this side began and the peer has not answered.
struct Begun {
    initiator: Initiator,
    datagram: Vec<u8>,
    sent: usize,
    due: Duration,
}

/// A decrypted datagram, or an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) packet: Vec<u8>,
    /// The peer runs anew: nothing of its earlier run counts any more.
    pub(super) is_other_run: bool,
}

/// The limit on beginnings that are read, of one kind.
#[derive(Debug, Default)]
pub(super) struct BeginningLimit {
    since: Duration,
    read: u32,
}

impl Identity {
    pub(super) fn new(keys: KeyPair, run: Run) -> Self {
        Self { keys, run, time: 0 }
    }

    fn introduce(&mut self, unix_ms: u64) -> Introduction {
        self.time = unix_ms.max(self.time.saturating_add(1));
        Introduction {
            run: self.run,
            time: self.time,
        }
    }
}

/// The place of a conversation in an index.
pub(super) fn slot_of(index: u32) -> u32 {
    index >> 8
}

impl Sessions {
    /// All indices of this conversation begin with the 24 bits of `slot`.
    pub(super) fn new(slot: u32) -> Self {
        Self {
            slot,
            ..Self::default()
        }
    }

    /// Whether no keys are in memory.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    /// The peer has left. If it comes back it may have lost its keys, so these encrypt only after one of its datagrams has
    /// opened.
    pub(super) fn leave(&mut self) {
        for live in &mut self.sessions {
            live.is_proven = false;
        }
        self.begun = None;
        self.unanswered = None;
    }

    /// Erases keys that are too old.
    pub(super) fn expire(&mut self, now: Duration) {
        self.sessions.retain(|live| !live.is_over(now));
    }

    pub(super) fn can_seal(&self, now: Duration) -> bool {
        self.current(now).is_some()
    }

    /// Encrypts a packet. `None` without a session. `asks`: the peer acknowledges it.
    pub(super) fn seal(&mut self, now: Duration, packet: &[u8], asks: bool) -> Option<Vec<u8>> {
        self.seal_written(now, asks, packet.len(), |datagram| {
            datagram.extend_from_slice(packet);
        })
    }

    /// The same for a packet of `length` bytes that `write` appends.
    pub(super) fn seal_written(
        &mut self,
        now: Duration,
        asks: bool,
        length: usize,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Vec<u8>> {
        let place = self.current(now)?;
        let live = self.sessions.get_mut(place)?;
        live.used = now;
        if asks {
            self.unanswered.get_or_insert(now);
        }
        Some(live.session.seal_written(length, write))
    }

    /// Decrypts a datagram.
    pub(super) fn open(&mut self, now: Duration, index: u32, datagram: &[u8]) -> Option<Opened> {
        let mut sessions = self.sessions.iter_mut();
        let live = sessions.find(|live| live.session.index() == index && !live.is_over(now))?;
        let packet = live.session.open(datagram)?;
        live.used = now;
        self.unanswered = None;
        live.is_proven = true;
        live.answered = None;
        let run = live.run;
        Some(Opened {
            packet,
            is_other_run: self.proves(run),
        })
    }

    /// Begins a handshake, unless one is under way.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        unix_ms: u64,
        own: &mut Identity,
        peer: &PublicKey,
        random: Random<'_>,
    ) {
        if self.begun.is_some() {
            return;
        }
        self.last_begun = Some(now);
        let (index, introduction) = (self.next_index(), own.introduce(unix_ms));
        let begun = Initiator::begin(&own.keys, peer, index, introduction, random);
        self.begun = begun.map(|(initiator, datagram)| {
            Box::new(Begun {
                initiator,
                datagram,
                sent: 0,
                due: now,
            })
        });
    }

    /// Whether it is time to begin a handshake.
    pub(super) fn should_begin(&self, now: Duration, text_waits: bool) -> bool {
        let Some(live) = self.current(now).and_then(|place| self.sessions.get(place)) else {
            return text_waits;
        };
        let is_silent = self.unanswered.is_some_and(|since| since + SILENT_AFTER <= now);
        // Once for each use: what is not used needs no keys.
        let is_untried = self.last_begun.is_none_or(|at| at < live.used);
        text_waits && is_silent || live.is_own && live.used >= live.since + RENEWED_AFTER && is_untried
    }

    /// The beginning, if a copy of it is due; and whether it is the first.
    pub(super) fn poll(&mut self, now: Duration) -> Option<(Vec<u8>, bool)> {
        let begun = self.begun.as_mut().filter(|begun| begun.due <= now)?;
        let Some(pause) = PAUSES_MS.get(begun.sent) else {
            self.begun = None;
            return None;
        };
        begun.sent += 1;
        begun.due = now + Duration::from_millis(*pause);
        Some((begun.datagram.clone(), begun.sent == 1))
    }

    /// The beginning, to be sent out of turn.
    pub(super) fn beginning(&self) -> Option<Vec<u8>> {
        self.begun.as_ref().map(|begun| begun.datagram.clone())
    }

    /// When something is due.
    pub(super) fn deadline(&self, text_waits: bool) -> Option<Duration> {
        let erased = self.sessions.iter().map(|live| live.since + ERASED_AFTER).min();
        let next = match &self.begun {
            Some(begun) => Some(begun.due),
            None => self
                .unanswered
                .filter(|_| text_waits)
                .map(|since| since + SILENT_AFTER),
        };
        [erased, next].into_iter().flatten().min()
    }

    /// The peer has begun a handshake, in this datagram. Returns the answer.
    pub(super) fn answer(
        &mut self,
        now: Duration,
        own: &Identity,
        responder: Responder,
        datagram: &[u8],
    ) -> Option<Vec<u8>> {
        let mut answered = self.sessions.iter().filter_map(|live| live.answered.as_deref());
        if let Some((_, answer)) = answered.find(|(beginning, _)| beginning == datagram) {
            // The answer was lost.
            return Some(answer.clone());
        }
        let Introduction { run, time } = responder.introduction;
        if self.last_time.is_some_and(|last| time <= last) {
            return None;
        }
        if let Some(begun) = &self.begun
            && own.keys.public() < responder.peer
        {
            // The peer answers this one instead, which may not have reached it yet.
            return Some(begun.datagram.clone());
        }
        let index = self.next_index();
        let (answer, session) = responder.finish(index, own.run)?;
        self.last_time = Some(time);
        self.begun = None;
        // Another one that nothing has proven is out of date, or a replay.
        self.sessions.retain(|live| live.answered.is_none());
        self.add(Live {
            session,
            since: now,
            used: now,
            is_own: false,
            run,
            is_proven: false,
            answered: Some(Box::new((datagram.to_vec(), answer.clone()))),
        });
        Some(answer)
    }

    /// The peer answers. Returns whether it runs anew.
    pub(super) fn finish(&mut self, now: Duration, datagram: &[u8]) -> Option<bool> {
        let (run, session) = self.begun.as_mut()?.initiator.finish(datagram)?;
        self.begun = None;
        self.unanswered = None;
        self.add(Live {
            session,
            since: now,
            used: now,
            is_own: true,
            run,
            is_proven: true,
            answered: None,
        });
        Some(self.proves(run))
    }

    fn add(&mut self, live: Live) {
        if self.sessions.len() >= SESSIONS_MAX {
            self.sessions.remove(0);
        }
        self.sessions.push(live);
    }

    /// The peer is in this run. Returns whether it was in another one before.
    fn proves(&mut self, run: Run) -> bool {
        let is_other = self.run.replace(run).is_some_and(|before| before != run);
        if is_other {
            self.sessions.retain(|live| live.run == run);
        }
        is_other
    }

    /// The place of the session that encrypts: the newest that the peer is known to have.
    fn current(&self, now: Duration) -> Option<usize> {
        let is_usable = |live: &Live| live.is_proven && !live.is_over(now);
        self.sessions.iter().rposition(is_usable)
    }

    /// An index that no session of this conversation has.
    fn next_index(&mut self) -> u32 {
        self.next = self.next.wrapping_add(1);
        self.slot << 8 | u32::from(self.next)
    }
}

impl Live {
    fn is_over(&self, now: Duration) -> bool {
        self.since + ERASED_AFTER <= now
    }
}

impl BeginningLimit {
    /// Whether another one may be read.
    pub(super) fn accept(&mut self, now: Duration) -> bool {
        if now >= self.since + Duration::from_secs(1) {
            *self = Self { since: now, read: 0 };
        }
        self.read += 1;
        self.read <= BEGINNINGS_MAX
    }
}
