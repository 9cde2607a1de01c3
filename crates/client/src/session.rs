//! What the client knows, and what it does about it.
//!
//! Pure: bytes, requests and the time come in; bytes, datagrams and events go out. It owns no
//! socket and reads no clock. After every call take what is to go out, with
//! [`Session::take_bytes`], [`Session::next_datagram`] and [`Session::next_event`], and call
//! [`Session::tick`] at [`Session::deadline`].

mod arriving;
mod ask;
mod deferred;
mod ear;
mod event;
pub(crate) mod greeting;
mod lost;
mod original;
mod outbox;
mod outcome;
mod peer;
mod private;
mod recipients;
mod rich;
mod roster;
mod stage;

pub use event::{Direction, Event, Way, about_original, about_query};
pub use lost::Unsent;
pub use outcome::{Ending, Failures, Outcome};
pub use roster::{Roster, Unresolved};

use crate::command::Command;
use crate::private::Private;
use chat_proto::line::LineDecoder;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use chat_proto::times::Times;
use chat_proto::who::Who;
use chat_proto::{SERVER_LINE_MAX, TEXT_MAX};
use deferred::Deferred;
use ear::Ear;
use greeting::Greeting;
use outbox::{Message, Outbox};
use private::{Pending, Waiting};
use recipients::Recipients;
use stage::{GREETING_WAIT, Phase, Stage};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// How long our server may take to answer `HELLO`.
const WELCOME_WAIT: Duration = Duration::from_secs(10);
/// How long it may take to tell who is here: as long as 10 MB, which 100,000 users take, need at 1 Mbit/s, and half as
/// long again.
const ROSTER_WAIT: Duration = Duration::from_secs(120);
/// Silence after which the server is asked whether it is there, and that again until it counts as gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// How long the end of the input waits while nothing is acknowledged.
const PROGRESS_WAIT: Duration = Duration::from_secs(10);
/// How long the server may take to say goodbye, or why a nick can't be had.
const LAST_WORD_WAIT: Duration = Duration::from_secs(1);
/// Time between two messages to an original server, which loses messages that arrive together.
const PACE: Duration = Duration::from_millis(50);
/// What may be unacknowledged, in bytes, before no more input is taken: a second of 2 Mbit/s.
const UNACKNOWLEDGED_MAX: usize = 256 * 1024;
/// Private messages that may be unacknowledged before no more input is taken.
const PRIVATES_MAX: usize = 1024;

/// Events that there is a place for at any time.
const EVENTS_KEPT: usize = 64;

/// What a session starts from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The nick to ask for.
    pub nick: Option<Nick>,
    /// Whether the session ends if that nick can't be had.
    pub insist_on_nick: bool,
    /// The sockets.
    pub ends: Ends,
    /// The user to whom alone everything goes that is said, as typed.
    pub to: Option<String>,
    /// Whether a person sees each error before typing on: then a lost connection is made again, and a `/query` that
    /// fails changes nothing.
    pub interactive: bool,
}

/// The addresses of a connection, and of the UDP socket beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The TCP connection's own address, by which an original server knows the client.
    pub local: SocketAddr,
    /// The server's, which is also that of its rendezvous.
    pub server: SocketAddr,
    /// The port of the UDP socket, if there is one. Its addresses are of the same family as `local`.
    pub udp_port: Option<u16>,
    /// The UDP socket's addresses in the host's own networks, for peers behind the same router.
    pub addresses: Vec<SocketAddr>,
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The hop limit, if it is not to be the system's.
    pub ttl: Option<u8>,
    /// What.
    pub bytes: Vec<u8>,
}

/// One connection to one server, from the first byte to the end.
pub struct Session {
    config: Config,
    stage: Stage,
    /// For the rich dialect.
    decoder: LineDecoder,
    /// For an original server.
    ear: Ear,
    /// The server counts as an original one only because it said nothing, and was told nothing yet.
    may_yet_greet: bool,
    /// The time that the server said last.
    times: Times,
    me: Option<Who>,
    /// The client has been in the room.
    joined: bool,
    roster: Roster,
    /// The number of the last message of this run, to everybody or to one.
    seq: u64,
    outbox: Outbox,
    /// Private messages that wait for a connection, and for who is meant.
    deferred: Deferred,
    /// The delivery of private messages.
    private: Private,
    /// Private messages whose fate is not known, by number.
    privates: BTreeMap<u64, Pending>,
    /// It was told of a connection, and of no loss of it.
    private_has_server: bool,
    /// Private messages that found no room at once, in order; no input is taken while there are any.
    waiting_privates: VecDeque<Waiting>,
    recipients: Recipients,
    /// `NICK`s that were not answered.
    nicks_asked: usize,
    /// The server owes the reason why the nick of `HELLO` can't be had, which was a wish only.
    owes_nick_reason: bool,
    /// What was under way when that was last looked at.
    under_way: usize,
    /// Takes this connection's place after a reconnection.
    resume: Option<Token>,
    failures: Failures,
    /// Messages that failed since the input ended.
    failed_at_end: usize,
    clocks: Clocks,
    goodbye: Option<Text<'static>>,
    outcome: Option<Outcome>,
    bytes: Vec<u8>,
    datagrams: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

/// Readings of the monotonic clock that timers are counted from.
#[derive(Debug, Default)]
struct Clocks {
    /// When the server last said anything.
    heard: Duration,
    /// When it last let the client in.
    welcomed: Duration,
    /// When it had last told who is here.
    ready: Option<Duration>,
    /// When it was asked whether it is there; `None` since it said something.
    pinged: Option<Duration>,
    /// When the last message went to an original server.
    paced: Option<Duration>,
    /// Until when what is there in place of a lost original server may show that it is one, by saying who the client is.
    /// It is told nothing before.
    proof: Option<Duration>,
    /// When something under way was last done with since the input ended.
    ending: Option<Duration>,
    /// When the session is over at the latest, since the user leaves.
    leaving: Option<Duration>,
}

impl Session {
    /// A session over a connection that was just made.
    #[must_use]
    pub fn new(config: Config, private: Private, now: Now) -> Self {
        Self {
            recipients: Recipients::new(config.to.clone()),
            config,
            stage: Stage::greeting(now),
            decoder: LineDecoder::new(SERVER_LINE_MAX),
            ear: Ear::default(),
            times: Times::default(),
            may_yet_greet: false,
            me: None,
            joined: false,
            roster: Roster::default(),
            seq: 0,
            outbox: Outbox::default(),
            deferred: Deferred::default(),
            private,
            privates: BTreeMap::new(),
            private_has_server: false,
            waiting_privates: VecDeque::new(),
            nicks_asked: 0,
            owes_nick_reason: false,
            under_way: 0,
            resume: None,
            failures: Failures::default(),
            failed_at_end: 0,
            clocks: Clocks {
                heard: now.monotonic,
                ..Clocks::default()
            },
            goodbye: None,
            outcome: None,
            bytes: Vec::new(),
            datagrams: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Bytes came from the server, cut anywhere.
    pub fn receive(&mut self, bytes: &[u8], now: Now) {
        self.clocks.heard = now.monotonic;
        self.clocks.pinged = None;
        if std::mem::take(&mut self.may_yet_greet) && greeting::read(bytes) != Greeting::Original {
            self.stage = Stage::greeting(now);
        }
        match &mut self.stage {
            Stage::Greeting { heard, until, latest } => {
                heard.extend_from_slice(bytes);
                *until = (*latest).min(now.monotonic + GREETING_WAIT);
                self.read_greeting(now);
            }
            Stage::Hello { .. } | Stage::Rich(_) => self.read_lines(bytes, now),
            Stage::Original => {
                let heard = self.ear.hear(bytes, now);
                self.hear(heard, now);
            }
            Stage::Lost => return,
        }
        self.settle(now);
    }

    /// The server closed the connection, or it broke.
    pub fn closed(&mut self, now: Now) {
        if let Stage::Greeting { heard, .. } = &self.stage {
            if heard == greeting::FULL {
                return self.end(Outcome::Full);
            }
            if greeting::is_begun(heard) {
                return self.end(Outcome::Unfinished);
            }
            if !heard.is_empty() {
                self.become_original(now);
            }
        }
        let rest = self.ear.finish();
        self.hear(rest, now);
        if self.clocks.leaving.is_some() {
            self.end_left();
        } else {
            let reason = self.goodbye.take();
            self.end(Outcome::Closed(reason));
        }
        self.settle(now);
    }

    /// The user typed this.
    pub fn request(&mut self, command: &Command<'_>, now: Now) {
        match command {
            Command::Say(text) => self.say_where_it_goes(text, now),
            Command::Msg(who, text) => {
                self.send_private(who, text, now);
            }
            Command::Who => {
                let users = self.users();
                self.events.push_back(Event::Users(users));
            }
            Command::Nick(nick) => self.ask_nick(nick),
            Command::Help => self.events.push_back(Event::Help),
            Command::Quit => self.end_input(now),
            Command::Reply(text) => self.reply(text, now),
            Command::Query(who) => self.set_query(*who),
            Command::Verify(who) => self.verify(who),
            Command::OnScreen(_) => self.fail("that works on the full screen only".into()),
            Command::Nothing => {}
            Command::Incomplete(usage) => self.fail(format!("usage: {usage}")),
            Command::Unknown(name, nearest) => self.unknown(name, *nearest),
        }
        self.settle(now);
    }

    /// The user typed a line of more bytes than a message can have.
    pub fn line_too_long(&mut self) {
        self.fail(format!("not sent: too long, a message takes {TEXT_MAX} bytes"));
    }

    /// The user will type nothing more: leave when all that is under way was acknowledged.
    pub fn end_input(&mut self, now: Now) {
        self.clocks.ending.get_or_insert(now.monotonic);
        self.settle(now);
    }

    /// The user leaves, whatever is under way.
    pub fn leave(&mut self, now: Now) {
        if self.outcome.is_some() || self.clocks.leaving.is_some() {
            return;
        }
        match self.stage {
            Stage::Hello { .. } | Stage::Rich(_) => {
                self.send_line(&FromClient::Quit.to_string());
                self.clocks.leaving = Some(now.monotonic + LAST_WORD_WAIT);
            }
            Stage::Greeting { .. } | Stage::Original | Stage::Lost => self.end_left(),
        }
    }

    /// Whether the input has ended: the session is over when all that is under way was acknowledged.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.clocks.ending.is_some()
    }

    /// Messages to everybody and to one that were typed, and whose fate is not known.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.unsent_count() + self.waiting_privates.len() + self.privates.len()
    }

    /// When to call [`Session::tick`], at the latest, by the monotonic clock.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        if self.outcome.is_some() {
            return None;
        }
        if self.clocks.leaving.is_some() {
            return self.clocks.leaving;
        }
        let stage = match &self.stage {
            Stage::Greeting { until, .. } | Stage::Hello { until } => Some(*until),
            Stage::Rich(Phase::Roster) => Some(self.silence_deadline().min(self.roster_deadline())),
            Stage::Rich(_) => Some(self.silence_deadline()),
            Stage::Original => self.clocks.proof,
            Stage::Lost => None,
        };
        let progress = self.clocks.ending.map(|since| since + PROGRESS_WAIT);
        let progress = progress.filter(|_| self.is_ready() && self.owed() > 0);
        [
            stage,
            progress,
            self.ear.deadline(),
            self.pace_deadline(),
            self.deferred_deadline(),
            self.private_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Time went by.
    pub fn tick(&mut self, now: Now) {
        if self.outcome.is_some() {
            return;
        }
        if let Some(until) = self.clocks.leaving {
            if now.monotonic >= until {
                self.end_left();
            }
            return;
        }
        let heard = self.ear.quiet(now);
        self.hear(heard, now);
        self.private.timeout(now);
        match &self.stage {
            Stage::Greeting { until, .. } if now.monotonic >= *until => self.greeting_is_late(now),
            Stage::Hello { until } if now.monotonic >= *until => self.welcome_is_late(),
            Stage::Rich(Phase::Roster) if now.monotonic >= self.roster_deadline() => {
                self.end(Outcome::NoRoster);
            }
            Stage::Rich(_) if now.monotonic >= self.silence_deadline() => self.break_silence(now),
            Stage::Original if self.clocks.proof.is_some_and(|until| now.monotonic >= until) => {
                self.end(Outcome::Stranger);
            }
            _ => {}
        }
        self.settle(now);
    }

    /// Whether more input is taken now. While it is not, leave what is typed where it is.
    #[must_use]
    pub fn takes_input(&self) -> bool {
        let room = match self.stage {
            Stage::Original => self.outbox.waiting() == 0,
            _ => {
                self.waiting_privates.is_empty()
                    && self.outbox.bytes() < UNACKNOWLEDGED_MAX
                    && self.privates.len() < PRIVATES_MAX
            }
        };
        let open = self.outcome.is_none() && self.clocks.leaving.is_none() && self.clocks.ending.is_none();
        room && open && self.is_ready()
    }

    /// The bytes that are to go to the server, and forgets them.
    #[must_use]
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The next datagram to send.
    pub fn next_datagram(&mut self) -> Option<Transmit> {
        self.datagrams.pop_front()
    }

    /// The next thing to show.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() {
            // What a burst took is given back.
            self.events.shrink_to(EVENTS_KEPT);
        }
        event
    }

    /// How the session ended, if it did.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// What went wrong so far.
    #[must_use]
    pub fn failures(&self) -> Failures {
        self.failures
    }

    /// The client itself, as everybody sees it, once it knows.
    #[must_use]
    pub fn me(&self) -> Option<&Who> {
        self.me.as_ref()
    }

    /// Who is here.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether the server is known and has told who is here.
    fn is_ready(&self) -> bool {
        match self.stage {
            Stage::Greeting { .. } | Stage::Hello { .. } | Stage::Lost => false,
            Stage::Rich(phase) => phase > Phase::Roster,
            Stage::Original => true,
        }
    }

    fn is_original(&self) -> bool {
        matches!(self.stage, Stage::Original)
    }

    fn users(&self) -> Vec<Who> {
        self.roster.users().map(|profile| profile.who.clone()).collect()
    }
}

// What follows from all that came in.
impl Session {
    /// Does what can be done by now. Every input ends here.
    fn settle(&mut self, now: Now) {
        if self.outcome.is_some() || self.clocks.leaving.is_some() {
            return;
        }
        self.note_loss(now);
        self.send_messages(now);
        self.send_deferred(now);
        self.send_waiting(now);
        self.drain_private(now);
        self.note_progress(now);
        let Some(since) = self.clocks.ending.filter(|_| self.is_ready()) else {
            return;
        };
        // What becomes of a private message is told in the end; what the server owes an answer to may not be.
        let owed = self.owed();
        if self.nicks_asked == 0 && self.under_way() == 0 {
            self.leave(now);
        } else if owed > 0 && now.monotonic >= since + PROGRESS_WAIT {
            self.give_up(Outcome::Unacknowledged(owed));
        }
    }

    /// Answers that the server owes.
    fn owed(&self) -> usize {
        self.outbox.len() + self.nicks_asked
    }

    fn send_messages(&mut self, now: Now) {
        match self.stage {
            Stage::Rich(phase) if phase > Phase::Roster => {
                while let Some(Message { seq, text }) = self.outbox.send_next() {
                    let line = FromClient::Say(*seq, text.borrow());
                    write_line(&mut self.bytes, &line.to_string());
                }
            }
            Stage::Original if self.pace_deadline().is_some_and(|due| now.monotonic >= due) => {
                // Without a line feed: one read of that server's is one message.
                if let Some(Message { text, .. }) = self.outbox.send_next() {
                    self.bytes.extend_from_slice(text.as_str().as_bytes());
                    self.clocks.paced = Some(now.monotonic);
                    self.may_yet_greet = false;
                }
            }
            _ => {}
        }
    }

    /// The end of the input waits for as long as less and less is under way. What the server says beside that counts for
    /// nothing, or it could hold the client for ever.
    fn note_progress(&mut self, now: Now) {
        let steps = self.owed() + self.outbox.waiting() + self.privates.len() + self.waiting_privates.len();
        let before = std::mem::replace(&mut self.under_way, steps);
        if let Some(since) = self.clocks.ending.as_mut().filter(|_| steps < before) {
            *since = now.monotonic;
        }
    }

    fn roster_deadline(&self) -> Duration {
        self.clocks.welcomed + ROSTER_WAIT
    }

    fn silence_deadline(&self) -> Duration {
        self.clocks.pinged.unwrap_or(self.clocks.heard) + SILENCE_MAX
    }

    fn break_silence(&mut self, now: Now) {
        if self.clocks.pinged.is_some() {
            return self.end(Outcome::Silent);
        }
        self.clocks.pinged = Some(now.monotonic);
        self.send_line(&FromClient::Ping(now.unix_ms).to_string());
    }

    fn fail(&mut self, why: String) {
        self.failures.requests += 1;
        self.error(why);
    }

    fn error(&mut self, why: String) {
        self.events.push_back(Event::Error(None, Text::from(why)));
    }

    fn warn(&mut self, what: String) {
        self.events.push_back(Event::Warning(Text::from(what)));
    }

    fn refused(&mut self, text: Text<'static>, reason: Text<'_>) {
        self.failures.requests += 1;
        self.note_failed_message();
        let reason = reason.into_owned();
        self.events.push_back(Event::Refused { text, reason });
    }

    /// Who has typed the last line may not see what becomes of it, and is told at the end.
    fn note_failed_message(&mut self) {
        self.failed_at_end += usize::from(self.is_ending());
    }

    fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    fn send_line(&mut self, line: &str) {
        write_line(&mut self.bytes, line);
    }

    /// Leaves without waiting for the server's goodbye.
    fn give_up(&mut self, outcome: Outcome) {
        if !self.is_original() {
            self.send_line(&FromClient::Quit.to_string());
        }
        self.end(outcome);
    }

    /// The user left, and is told of what nobody may ever read.
    fn end_left(&mut self) {
        self.end(match self.under_way() {
            0 => Outcome::Left,
            count => Outcome::Unacknowledged(count),
        });
    }

    fn end(&mut self, outcome: Outcome) {
        if self.survives(&outcome) {
            // Whatever comes of a connection that is lost already is not lost again.
            if !self.is_lost() {
                self.lose(outcome);
            }
        } else if self.outcome.is_none() {
            let ending = Ending {
                outcome: outcome.clone(),
                unknown: self.under_way(),
                failed: self.failed_at_end,
            };
            self.events.push_back(Event::Ended(ending));
            self.outcome = Some(outcome);
        }
    }
}

fn write_line(bytes: &mut Vec<u8>, line: &str) {
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests;
