//! The room: who comes, who goes, and what is owed to whom.
//!
//! Pure: bytes and the time come in, and what is to be done is asked for. [`crate::room::input`] says when
//! what somebody sends is taken, [`crate::room::commands`] what lines mean, [`crate::room::backpressure`] what happens when somebody
//! reads too slowly.

mod backpressure;
mod commands;
mod input;
pub mod probe;
pub mod rendezvous;
mod user_list;

use crate::compact::Moment;
use crate::connection::{Connection, Stage};
use crate::event::{Departure, Event, Refusal};
use crate::member::Member;
use crate::outbox::{Outbox, Slices};
use crate::rate::Rate;
use crate::resumption::Departed;
use crate::room::backpressure::Pressure;
use crate::room::user_list::Listings;
use crate::roster::{Roster, Slot};
use crate::transcript::{Dialect, Ring, Transcript};
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::plain::ServerLine;
use chat_proto::rich::{FromServer, Reason};
use chat_proto::text::Text;
use std::net::SocketAddr;
use std::time::Duration;

/// For how long what is due is still sent to somebody who has left, or to everybody when the server ends.
pub const FLUSH: Duration = Duration::from_secs(2);

/// Connections of former users, and of people who were turned away, that may still be being told so.
/// One more is closed at once.
pub const LEAVING_MAX: usize = 64;

/// Connections that may wait beyond the limit on users, until they have said whether they come back to a place that is
/// theirs: for the time that a HELLO takes. Each needs a descriptor beside those of the users. One more is told at once
/// that there is no place, and a client that is told so while it comes back tries again.
pub const WAITING_MAX: usize = 16;

/// What the operator decides.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Users at most.
    pub max_users: usize,
    /// Users at most from one address; loopback addresses are exempt.
    pub max_per_address: usize,
    /// Lines of history that a newcomer is shown.
    pub history: usize,
    /// How fast each may send, if there is a limit.
    pub rate: Option<Rate>,
    /// After this much silence a rich client is asked whether it is there; after three times as much
    /// it is not.
    pub ping_interval: Duration,
}

/// What the loop is to do with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Tell the peer that nothing more is sent (shut down the writing half).
    Shut(Slot),
    /// Close it. The slot is free from here on.
    Close(Slot),
}

/// What the loop is to wait for on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest {
    /// Something may be read.
    pub read: bool,
    /// Something may be written.
    pub write: bool,
    /// It may have been broken off, which nobody else would find out: nothing is to be read or written.
    pub end: bool,
}

/// The whole state of the server, apart from its sockets.
pub struct Room {
    pub(crate) limits: Limits,
    pub(crate) roster: Roster,
    pub(crate) transcript: Transcript,
    pub(crate) pressure: Pressure,
    pub(crate) listings: Listings,
    /// Where secrets come from.
    pub(crate) tokens: Box<dyn FnMut() -> Token>,
    /// Message numbers of clients that may come back, oldest first.
    pub(crate) departed: Departed,
    pub(crate) events: Vec<Event>,
    effects: Vec<Effect>,
    /// Users who were announced and have not left.
    pub(crate) here: usize,
    /// Nothing is due before this time; an earlier one may be noted for no reason, a later one never.
    next_deadline: Option<Duration>,
    ending: bool,
}

impl Room {
    /// An empty room. `tokens` gives unpredictable tokens.
    #[must_use]
    pub fn new(limits: Limits, tokens: Box<dyn FnMut() -> Token>) -> Self {
        Self {
            limits,
            roster: Roster::default(),
            transcript: Transcript::new(limits.history),
            pressure: Pressure::default(),
            listings: Listings::default(),
            tokens,
            departed: Departed::default(),
            events: Vec::new(),
            effects: Vec::new(),
            here: 0,
            next_deadline: None,
            ending: false,
        }
    }

    /// Somebody connected. `None` if the connection is to be closed without a word.
    pub fn accept(&mut self, now: Now, peer: SocketAddr) -> Option<Slot> {
        let mut member = Member::new(peer.into(), Connection::new(now.monotonic));
        let id = member.id();
        if self.roster.with_id(id).is_some() {
            return self.turn_away(now, member, Refusal::Twice);
        }
        let mut words = format!("you are {id}; /help says what you can do");
        if let Some(why) = self.refusal(id, None) {
            if !self.roster.is_resumable() || self.roster.waiting() >= WAITING_MAX {
                return self.turn_away(now, member, why);
            }
            member.connection.stage = Stage::Waiting(now.monotonic.into());
            words = "no place is free".into();
        }
        let greeting = format!(
            "* chat/{} {words} {}\n",
            chat_proto::VERSION,
            chat_proto::EXTENSIONS
        );
        member.connection.outbox.say(0, greeting.into_bytes());
        let slot = self.roster.add(member);
        self.note_deadline(slot, now);
        Some(slot)
    }

    /// Why there is no place for this id, even in place of its ghost.
    pub(crate) fn refusal(&self, id: UserId, ghost: Option<Slot>) -> Option<Refusal> {
        let Limits {
            max_users,
            max_per_address,
            ..
        } = self.limits;
        let address = id.address().ip();
        let ghost = ghost.and_then(|ghost| self.roster.get(ghost));
        let freed = usize::from(ghost.is_some());
        let freed_there = usize::from(ghost.is_some_and(|ghost| ghost.id().address().ip() == address));
        // A ghost is one of those who stay, so nothing is taken from less than one.
        let staying = self.roster.staying().saturating_sub(freed);
        let staying_there = self.roster.staying_from(address).saturating_sub(freed_there);
        if staying >= max_users {
            Some(Refusal::Full(max_users))
        } else if !address.is_loopback() && staying_there >= max_per_address {
            Some(Refusal::Address(max_per_address))
        } else {
            None
        }
    }

    /// Says why somebody can't come in, if there is a place to say it from.
    fn turn_away(&mut self, now: Now, mut member: Member, why: Refusal) -> Option<Slot> {
        self.events.push(Event::Refuse {
            peer: member.id().address(),
            why,
        });
        if self.roster.leaving() >= LEAVING_MAX {
            return None;
        }
        member.connection.outbox.say(0, refusing(why));
        member.connection.stage = Stage::Leaving((now.monotonic + FLUSH).into());
        let slot = self.roster.add(member);
        self.note_deadline(slot, now);
        Some(slot)
    }

    /// Says the same to somebody who has waited for a place.
    pub(crate) fn turn_out(&mut self, now: Now, slot: Slot, why: Refusal) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        member.connection.outbox.say(0, refusing(why));
        let peer = member.id().address();
        self.events.push(Event::Refuse { peer, why });
        self.roster.unlist(slot, now.monotonic + FLUSH);
        self.note_deadline(slot, now);
    }

    /// A connection that has not said HELLO is a plain user now, if there is a place for it: whether it stays.
    pub(crate) fn arrive(&mut self, now: Now, slot: Slot) -> bool {
        let Some(member) = self.roster.get(slot) else {
            return false;
        };
        match member.connection.stage {
            Stage::Arriving(_) => self.announce(now, slot),
            Stage::Waiting(_) => {
                if let Some(why) = self.refusal(member.id(), None) {
                    self.turn_out(now, slot, why);
                    return false;
                }
                self.roster.seat(slot);
                self.announce(now, slot);
            }
            Stage::Here | Stage::Probing(_) => {}
            Stage::Leaving(_) => return false,
        }
        true
    }

    /// Nothing more can be sent. What was received is still taken, at its rate.
    pub fn end_output(&mut self, slot: Slot) {
        self.relieve(slot, |outbox, _| outbox.discard());
    }

    /// Does what is due at this time.
    pub fn tick(&mut self, now: Now) {
        if self.next_deadline.is_none_or(|deadline| now.monotonic < deadline) {
            return;
        }
        self.next_deadline = None;
        for slot in 0..self.roster.end() {
            self.tick_one(now, slot);
            self.note_deadline(slot, now);
        }
    }

    /// When [`Room::tick`] is to be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        [self.next_deadline, self.pressure.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Everything is to be looked at again: what was waited for may have come.
    pub(crate) fn expire_deadline(&mut self) {
        self.next_deadline = Some(Duration::ZERO);
    }

    pub(crate) fn note_deadline(&mut self, slot: Slot, now: Now) {
        let deadline = self
            .roster
            .get(slot)
            .and_then(|member| self.deadline_of(member, now));
        if let Some(deadline) = deadline {
            self.next_deadline = Some(self.next_deadline.map_or(deadline, |next| next.min(deadline)));
        }
    }

    /// When something is due for this member, as far as time alone decides.
    fn deadline_of(&self, member: &Member, now: Now) -> Option<Duration> {
        let connection = &member.connection;
        if let Stage::Leaving(until) = connection.stage {
            return Some(until.get());
        }
        if self.pressure.holds() {
            // The end of the hold sets the deadlines anew.
            return None;
        }
        let rate_allows = self
            .limits
            .rate
            .map_or(Duration::ZERO, |rate| connection.usage.next_at(rate));
        // A line whose answer has no place waits for the peer to read, which Room::sent will see.
        let takes_lines = connection.is_answerable();
        let rate =
            (takes_lines && (connection.has_input() || rate_allows > now.monotonic)).then_some(rate_allows);
        let line = match member.dialect() {
            Dialect::Plain if takes_lines => connection
                .inbox
                .silence_ends_line_at()
                .map(|at| at.max(rate_allows)),
            Dialect::Plain | Dialect::Rich => None,
        };
        let pulse = member.rich().map(|_| match connection.pinged {
            Some(pinged) => pinged.get() + 2 * self.limits.ping_interval,
            None => connection.inbox.last_heard() + self.limits.ping_interval,
        });
        let probing = connection.probe_ends_at();
        [connection.arrives_at(), probing, rate, line, pulse]
            .into_iter()
            .flatten()
            .min()
    }

    /// Makes a connection a user: from here on it is owed what is said, beginning with its own arrival.
    pub(crate) fn announce(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        member.connection.stage = Stage::Here;
        let rich = member.rich().is_some();
        if !rich {
            member
                .connection
                .outbox
                .follow(self.transcript.ring(Dialect::Plain).head());
        }
        let who: Box<str> = member.label().into();
        let join = FromServer::Join(Some(now.unix_ms), member.profile());
        self.transcript
            .append(Some(&ServerLine::Online(member.label())), join);
        self.here += 1;
        self.events.push(Event::Join {
            who,
            rich,
            users: self.here,
        });
    }

    /// Ends a user's stay: nobody is told of somebody who was never announced. What is due is still
    /// sent, unless there is nobody to read it.
    pub(crate) fn leave(&mut self, now: Now, slot: Slot, why: Departure, farewell: Option<(Reason, &str)>) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        if !member.connection.is_staying() {
            return;
        }
        let was_here = member.connection.stage == Stage::Here;
        let who: Box<str> = member.label().into();
        let head = self.transcript.ring(member.dialect()).head();
        member.connection.outbox.stop_at(head);
        self.remember(slot);
        if let Some((reason, text)) = farewell {
            self.say_goodbye(slot, reason, text);
        }
        self.roster.unlist(slot, now.monotonic + FLUSH);
        if was_here {
            self.announce_leave(now, who, why);
        }
        self.note_deadline(slot, now);
    }

    /// Says to everybody that a user who was announced is here no longer.
    pub(crate) fn announce_leave(&mut self, now: Now, who: Box<str>, why: Departure) {
        let line = ServerLine::Offline(&*who);
        self.transcript
            .append(Some(&line), FromServer::Leave(Some(now.unix_ms), &*who));
        self.here -= 1;
        self.events.push(Event::Leave {
            who,
            why,
            users: self.here,
        });
    }

    /// Keeps the message number of a client that may come back.
    fn remember(&mut self, slot: Slot) {
        let Some(rich) = self.roster.get(slot).and_then(|member| member.rich()) else {
            return;
        };
        self.departed.leave(rich.resume, rich.seq);
    }

    /// The server ends: everybody is told, and nobody is let in or listened to any more. Asked for again,
    /// it ends at once.
    pub fn shut_down(&mut self, now: Now, signal: &'static str) {
        const TEXT: &str = "the server is shutting down";
        let again = std::mem::replace(&mut self.ending, true);
        let until = now.monotonic + if again { Duration::ZERO } else { FLUSH };
        self.events.push(Event::Stop {
            signal,
            users: self.here,
        });
        let goodbye = FromServer::Goodbye(Reason::Shutdown, Text::new(TEXT));
        self.transcript
            .append::<&str>(Some(&ServerLine::Notice(Text::new(TEXT))), goodbye);
        for slot in 0..self.roster.end() {
            let Some(member) = self.roster.get_mut(slot) else {
                continue;
            };
            if let Stage::Leaving(earlier) = &mut member.connection.stage {
                *earlier = Moment::from(until).min(*earlier);
                continue;
            }
            let head = self.transcript.ring(member.dialect()).head();
            member.connection.outbox.stop_at(head);
            self.roster.unlist(slot, until);
        }
        self.expire_deadline();
    }

    /// Whether the server has ended and nobody is left to be told.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ending && self.roster.connections() == 0
    }

    /// Whether newcomers are to be let in now.
    #[must_use]
    pub fn accepts(&self) -> bool {
        !self.ending && !self.pressure.holds()
    }

    /// What to wait for on a connection: a function of the state, computed anew each turn.
    #[must_use]
    pub fn interest(&self, now: Now, slot: Slot) -> Interest {
        let Some(member) = self.roster.get(slot) else {
            return Interest {
                read: false,
                write: false,
                end: false,
            };
        };
        let connection = &member.connection;
        let head = self.transcript.ring(member.dialect()).head();
        let listened_to = !connection.is_staying() || !self.pressure.holds();
        let read = listened_to && connection.takes_input(self.limits.rate, now.monotonic);
        Interest {
            read,
            write: connection.outbox.is_due(head),
            end: listened_to && !read && connection.may_be_broken(),
        }
    }

    /// What is to be written to a connection now, in one system call.
    pub fn output(&mut self, slot: Slot) -> Slices<'_> {
        self.continue_listing(slot);
        match self.roster.get(slot) {
            Some(member) => member
                .connection
                .outbox
                .output(self.transcript.ring(member.dialect())),
            None => Slices::default(),
        }
    }

    /// So many bytes of [`Room::output`] were written.
    pub fn sent(&mut self, slot: Slot, count: usize) {
        self.relieve(slot, |outbox, ring| outbox.sent(count, ring));
    }

    /// Takes something off an outbox. If that makes room for answers, lines that waited for it are due.
    fn relieve(&mut self, slot: Slot, take_off: impl FnOnce(&mut Outbox, &Ring)) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let waited = !member.connection.is_answerable();
        let ring = self.transcript.ring(member.dialect());
        take_off(&mut member.connection.outbox, ring);
        if waited && member.connection.is_answerable() {
            self.expire_deadline();
        }
    }

    /// Closes connections of those who have left and been told all that was due, or can't be. To be
    /// called after the writes of a turn, before [`Room::take_effects`].
    pub(crate) fn reap(&mut self, now: Now) {
        let leaving = self.roster.leaving();
        if leaving == 0 {
            return;
        }
        let waits_for_fin = self.ending || leaving <= LEAVING_MAX;
        let Self {
            roster,
            transcript,
            effects,
            ..
        } = self;
        for (slot, member) in roster.iter_mut() {
            let dialect = member.dialect();
            let connection = &mut member.connection;
            let Stage::Leaving(until) = connection.stage else {
                continue;
            };
            let ring = transcript.ring(dialect);
            let lost = connection.outbox.is_overtaken(ring);
            let told = !connection.outbox.is_due(ring.head());
            if until.get() <= now.monotonic || lost || told && (connection.ended.is_some() || !waits_for_fin)
            {
                effects.push(Effect::Close(slot));
            } else if told && !connection.shut {
                connection.shut = true;
                effects.push(Effect::Shut(slot));
            }
        }
        for effect in &self.effects {
            if let Effect::Close(slot) = *effect {
                self.roster.remove(slot);
            }
        }
    }

    /// What is to be done with sockets.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// What is to be logged.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Everybody there is a connection to.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// One past the highest slot in use.
    #[must_use]
    pub fn slots(&self) -> Slot {
        self.roster.end()
    }
}

/// What somebody is told who can't come in.
fn refusing(why: Refusal) -> Vec<u8> {
    let line: ServerLine<'_, &str> = match why {
        Refusal::Address(_) => ServerLine::Notice(Text::new("too many users from your address")),
        Refusal::Twice => ServerLine::Notice(Text::new("your address and port are here already")),
        Refusal::Full(_) | Refusal::Descriptors => ServerLine::TooManyUsers,
    };
    format!("{line}\n").into_bytes()
}
