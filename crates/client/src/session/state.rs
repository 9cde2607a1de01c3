//! What a session knows, and what all its parts do with it.

use super::event::{Event, RefusedMessage};
use super::legacy::connection::Legacy;
use super::outbox::{Outbox, Unsent};
use super::outcome::{Failures, Outcome};
use super::recipients::Recipients;
use super::stage::{Phase, Stage};
use crate::private::Private;
use crate::roster::Roster;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::id::UserId;
use chat_proto::line::LineDecoder;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use chat_proto::times::Times;
use chat_proto::who::Who;
use std::collections::VecDeque;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// Capacity that the queue of events keeps after a burst.
const EVENTS_KEPT: usize = 64;

/// What a session starts from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The nick to ask for.
    pub nick: Option<Nick>,
    /// Whether the session ends if that nick can't be had.
    pub insist_on_nick: bool,
    /// The sockets.
    pub endpoints: Endpoints,
    /// The user to whom alone everything goes that is said, as typed.
    pub to: Option<String>,
    /// Whether a person sees each error before typing on: then a lost connection is made again, and a `/query` that
    /// fails changes nothing.
    pub interactive: bool,
}

/// The addresses of a connection, and of the UDP socket beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
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
    pub(super) config: Config,
    pub(super) stage: Stage,
    /// For the rich dialect.
    pub(super) decoder: LineDecoder,
    pub(super) legacy: Legacy,
    /// The time that the server said last.
    pub(super) times: Times,
    pub(super) me: Option<Who>,
    /// The client has been in the room.
    pub(super) joined: bool,
    /// The number of the last message of this run, to everybody or to one.
    pub(super) seq: u64,
    pub(super) outbox: Outbox,
    /// The delivery of private messages.
    pub(super) private: Private,
    /// It was told of a connection, and of no loss of it.
    pub(super) private_has_server: bool,
    pub(super) recipients: Recipients,
    /// `NICK`s that were not answered.
    pub(super) pending_nicks: usize,
    /// The server owes the reason why the nick of `HELLO` can't be had, which was a wish only.
    pub(super) awaits_nick_reason: bool,
    /// How much was unfinished at the last look.
    pub(super) unfinished: usize,
    /// Takes this connection's place after a reconnection.
    pub(super) resume: Option<Token>,
    pub(super) failures: Failures,
    /// Messages that failed since the input ended.
    pub(super) failed_at_end: usize,
    pub(super) clocks: Clocks,
    pub(super) goodbye: Option<Text<'static>>,
    pub(super) outcome: Option<Outcome>,
    pub(super) bytes: Vec<u8>,
    pub(super) datagrams: VecDeque<Transmit>,
    pub(super) events: VecDeque<Event>,
}

/// Readings of the monotonic clock that timers are counted from.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// When the server last said anything.
    pub(super) heard: Duration,
    /// When it last let the client in.
    pub(super) welcomed: Duration,
    /// When it had last told who is here.
    pub(super) ready: Option<Duration>,
    /// When it was asked whether it is there; `None` since it said something.
    pub(super) pinged: Option<Duration>,
    /// When something under way was last done with since the input ended.
    pub(super) ending: Option<Duration>,
    /// When the session is over at the latest, since the user leaves.
    pub(super) leaving: Option<Duration>,
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
            legacy: Legacy::default(),
            times: Times::default(),
            me: None,
            joined: false,
            seq: 0,
            outbox: Outbox::default(),
            private,
            private_has_server: false,
            pending_nicks: 0,
            awaits_nick_reason: false,
            unfinished: 0,
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

    /// Whether the input has ended: the session is over when all that is under way was acknowledged.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.clocks.ending.is_some()
    }

    /// Messages to everybody and to one that were typed, and whose fate is not known.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.outbox.len()
    }

    /// The bytes that are to go to the server, and forgets them.
    #[must_use]
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The first datagram to send, which stays in the queue.
    pub fn first_datagram(&self) -> Option<&Transmit> {
        self.datagrams.front()
    }

    /// Datagrams to send.
    pub fn datagrams_waiting(&self) -> usize {
        self.datagrams.len()
    }

    /// Takes the next datagram to send.
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
        self.private.roster()
    }

    /// Whether the server is known and has told who is here.
    pub(super) fn is_ready(&self) -> bool {
        match self.stage {
            Stage::Greeting { .. } | Stage::Hello { .. } | Stage::Lost => false,
            Stage::Rich(phase) => phase > Phase::Roster,
            Stage::Legacy => true,
        }
    }

    pub(super) fn is_legacy(&self) -> bool {
        matches!(self.stage, Stage::Legacy)
    }

    /// Whether there was a room and will be one again: messages are kept until then.
    pub(super) fn is_away(&self) -> bool {
        self.joined && !self.is_ready() && self.outcome.is_none()
    }

    /// Whether the connection was lost and another one is to be made, see [`Session::connected`].
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.stage, Stage::Lost) && self.outcome.is_none()
    }

    /// Messages that the user typed and no server has confirmed, in the order typed.
    #[must_use]
    pub fn unsent(&self) -> Vec<Unsent<'_>> {
        self.outbox.unsent()
    }

    /// How many these are.
    #[must_use]
    pub fn unsent_count(&self) -> usize {
        self.outbox.unsent_count()
    }

    /// Whether there is room for more messages that wait to be sent.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// A user as it is shown, here or not.
    pub(super) fn who(&self, id: UserId) -> Who {
        self.roster()
            .get(id)
            .map_or(Who::from(id), |profile| profile.who.clone())
    }

    pub(super) fn users(&self) -> Vec<Who> {
        self.roster().users().map(|profile| profile.who.clone()).collect()
    }

    pub(super) fn fail(&mut self, why: String) {
        self.failures.requests += 1;
        self.error(why);
    }

    pub(super) fn error(&mut self, why: String) {
        self.events.push_back(Event::Error(None, Text::from(why)));
    }

    pub(super) fn warn(&mut self, what: String) {
        self.events.push_back(Event::Warning(Text::from(what)));
    }

    pub(super) fn refused(&mut self, text: Text<'static>, reason: Text<'_>) {
        self.failures.requests += 1;
        self.note_failed_message();
        let reason = reason.into_owned();
        self.events
            .push_back(Event::Refused(RefusedMessage { text, reason }));
    }

    /// Who has typed the last line may not see what becomes of it, and is told at the end.
    pub(super) fn note_failed_message(&mut self) {
        self.failed_at_end += usize::from(self.is_ending());
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(super) fn send_line(&mut self, line: &FromClient<'_>) {
        // Writing to memory does not fail.
        let _ = writeln!(self.bytes, "{line}");
    }

    /// The nick that the user asked for is the user's already.
    pub(super) fn notice_unchanged_nick(&mut self) {
        if let Some(me) = &self.me {
            let text = Text::from(format!("you are {me} already"));
            self.events.push_back(Event::Notice(text));
        }
    }
}
