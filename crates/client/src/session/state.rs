//! The state of a session, and what all its parts use.

use super::away::Away;
use super::deferred::Waiting;
use super::event::{Event, RefusedMessage};
use super::files::{FileOptions, Files};
use super::ignored::Ignored;
use super::legacy::connection::Legacy;
use super::login_nick::LoginNick;
use super::operators::Operators;
use super::outbox::{Outbox, Unsent};
use super::outcome::{Failures, Outcome};
use super::recipients::{Peer, Recipients};
use super::stage::{Phase, Stage};
use super::topic::Topics;
use super::trust::Trust;
use super::wish::Wish;
use crate::private::Private;
use crate::roster::Roster;
use chat_proto::SERVER_LINE_MAX;
use chat_proto::id::UserId;
use chat_proto::line::LineDecoder;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::{PublicKey, Token};
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use chat_proto::times::Times;
use chat_proto::who::Who;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// Capacity of the event queue after a burst.
const EVENTS_KEPT: usize = 64;

/// The settings of a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// The nick to ask for.
    pub nick: Option<Nick>,
    /// Whether the session ends if the server rejects that nick.
    pub insist_on_nick: bool,
    /// The addresses of the sockets.
    pub endpoints: Endpoints,
    /// The only recipient of all lines, as typed: `--to`.
    pub to: Option<String>,
    /// Whether to join a server that does not encrypt.
    pub clear: bool,
    /// Whether a person sees each error before the next line. Then a lost connection is made again, and a failed
    /// `/query` changes nothing.
    pub interactive: bool,
}

/// The addresses of a connection and its UDP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// The local address of the TCP connection, which an original server uses as the id.
    pub local: SocketAddr,
    /// The server's address, for TCP and for its rendezvous.
    pub server: SocketAddr,
    /// The port of the UDP socket, if there is one. Its family is that of `local`.
    pub udp_port: Option<u16>,
    /// The UDP socket's addresses in the local network, for peers behind the same router.
    pub addresses: Vec<SocketAddr>,
}

impl Endpoints {
    /// Without a connection.
    pub fn none() -> Self {
        let nowhere = SocketAddr::from(([0; 4], 0));
        Self {
            local: nowhere,
            server: nowhere,
            udp_port: None,
            addresses: Vec::new(),
        }
    }
}

/// A datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The peer's address.
    pub to: SocketAddr,
    /// The hop limit, if not the system's.
    pub ttl: Option<u8>,
    /// The payload.
    pub bytes: Vec<u8>,
}

/// A run of the client: one connection to a server after another.
pub struct Session {
    pub(super) config: Config,
    pub(super) stage: Stage,
    /// For the rich dialect.
    pub(super) decoder: LineDecoder,
    pub(super) legacy: Legacy,
    /// The last time that the server sent.
    pub(super) times: Times,
    pub(super) me: Option<Who>,
    /// The client has joined the room at least once.
    pub(super) joined: bool,
    /// The number of the last message of this run.
    pub(super) seq: u64,
    pub(super) outbox: Outbox,
    pub(super) private: Private,
    pub(super) files: Files,
    /// The server relays bytes of files.
    pub(super) carries_files: bool,
    /// `private` knows of a connection, and of no loss of it.
    pub(super) private_has_server: bool,
    pub(super) recipients: Recipients,
    pub(super) ignored: Ignored,
    pub(super) trust: Trust,
    /// Requests that wait for the key of a user.
    pub(super) deferred: Vec<Waiting>,
    pub(super) operators: Operators,
    /// The room has a passphrase.
    pub(super) has_phrase: bool,
    pub(super) topics: Topics,
    pub(super) away: Away,
    /// Users with keys that were here before the connection was lost, and have not come back. Emptied after a while.
    pub(super) absent: BTreeMap<PublicKey, Peer>,
    /// `NICK`s without an answer.
    pub(super) pending_nicks: usize,
    /// The reason follows why the server rejected the optional nick of `HELLO`.
    pub(super) awaits_nick_reason: bool,
    /// The nick of the settings is the login name.
    pub(super) login_nick: Option<LoginNick>,
    /// The nick of `HELLO`, if somebody else had it.
    pub(super) wish: Option<Wish>,
    /// What was unfinished at the last look.
    pub(super) unfinished: usize,
    /// The token to resume this connection.
    pub(super) resume: Option<Token>,
    /// The server's number of the next message to everybody, if it numbers them, and the token that came with it. With
    /// another token the number may be of an earlier run of the server.
    pub(super) next_said: Option<(Token, u64)>,
    pub(super) failures: Failures,
    /// Messages that failed after the end of the input.
    pub(super) failed_at_end: usize,
    pub(super) clocks: Clocks,
    pub(super) goodbye: Option<Text<'static>>,
    pub(super) outcome: Option<Outcome>,
    pub(super) bytes: Vec<u8>,
    pub(super) datagrams: VecDeque<Transmit>,
    pub(super) events: VecDeque<Event>,
}

/// Times on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    /// When the server last sent anything.
    pub(super) last_received: Duration,
    /// When its last `WELCOME` arrived.
    pub(super) welcomed: Duration,
    /// When its last user list was complete.
    pub(super) ready: Option<Duration>,
    /// A time on the server's clock, in milliseconds since the Unix epoch, and when it was told.
    pub(super) server: Option<(Duration, u64)>,
    /// Since when the server owes an answer, and has sent nothing.
    pub(super) awaited: Option<Duration>,
    /// When this client's address was found to be gone, if the server has sent nothing since.
    pub(super) address_gone: Option<Duration>,
    /// When it was pinged, if it has sent nothing since.
    pub(super) pinged: Option<Duration>,
    /// When the input ended, or when something was last finished after that.
    pub(super) ending: Option<Duration>,
    /// When the session ends at the latest, once the user leaves.
    pub(super) leaving: Option<Duration>,
}

impl Session {
    /// A session over a connection that was just made.
    pub fn new(config: Config, private: Private, now: Now) -> Self {
        Self {
            recipients: Recipients::new(config.to.clone()),
            ignored: Ignored::default(),
            trust: Trust::default(),
            deferred: Vec::new(),
            operators: Operators::default(),
            has_phrase: false,
            topics: Topics::default(),
            away: Away::default(),
            absent: BTreeMap::new(),
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
            files: Files::new(FileOptions::default()),
            carries_files: true,
            private_has_server: false,
            pending_nicks: 0,
            awaits_nick_reason: false,
            login_nick: None,
            wish: None,
            unfinished: 0,
            resume: None,
            next_said: None,
            failures: Failures::default(),
            failed_at_end: 0,
            clocks: Clocks {
                last_received: now.monotonic,
                ..Clocks::default()
            },
            goodbye: None,
            outcome: None,
            bytes: Vec::new(),
            datagrams: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// A session whose connection is still to be made, see [`Session::connected`].
    pub fn unconnected(config: Config, private: Private, now: Now) -> Self {
        Self {
            stage: Stage::Lost,
            ..Self::new(config, private, now)
        }
    }

    /// Whether the input has ended. The session ends when all messages have a result.
    pub fn is_ending(&self) -> bool {
        self.clocks.ending.is_some()
    }

    /// Messages without a result.
    pub fn under_way(&self) -> usize {
        self.outbox.len()
    }

    /// The time in the last private handshake that this client began, in milliseconds since 1970.
    pub fn handshake_time(&self) -> u64 {
        self.private.handshake_time()
    }

    /// Takes the bytes to send to the server.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// The datagrams to send, which stay in the queue.
    pub fn datagrams(&self) -> &VecDeque<Transmit> {
        &self.datagrams
    }

    /// Datagrams to send.
    pub fn datagrams_waiting(&self) -> usize {
        self.datagrams.len()
    }

    /// Takes the next datagram to send.
    pub fn next_datagram(&mut self) -> Option<Transmit> {
        self.datagrams.pop_front()
    }

    /// So many datagrams were sent.
    pub fn datagrams_sent(&mut self, count: usize) {
        self.datagrams.drain(..count.min(self.datagrams.len()));
    }

    /// Takes the next event to show.
    pub fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        if event.is_none() {
            // Give back what a burst took.
            self.events.shrink_to(EVENTS_KEPT);
        }
        event
    }

    /// How the session ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The encrypted channel of this connection has this handshake hash; `None` while there is no channel. Whether it took a
    /// passphrase.
    pub fn set_channel(&mut self, hash: Option<[u8; 32]>, has_phrase: bool) {
        self.operators.channel = hash;
        self.has_phrase = has_phrase;
    }

    /// Whether this user may run the room.
    pub fn is_operator(&self) -> bool {
        self.me.as_ref().is_some_and(|me| self.operators.has(me.id))
    }

    /// What failed so far.
    pub fn failures(&self) -> Failures {
        self.failures
    }

    /// The client itself, as everybody sees it, once known.
    pub fn me(&self) -> Option<&Who> {
        self.me.as_ref()
    }

    /// The users in the room.
    pub fn roster(&self) -> &Roster {
        self.private.roster()
    }

    /// Whether the server is known, and the user list complete.
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

    /// Whether the room is away for now: messages are kept.
    pub(super) fn is_away(&self) -> bool {
        self.joined && !self.is_ready() && self.outcome.is_none()
    }

    /// Whether the connection was lost and another one is to be made, see [`Session::connected`].
    pub fn is_lost(&self) -> bool {
        matches!(self.stage, Stage::Lost) && self.outcome.is_none()
    }

    /// Messages that the user typed and no server has confirmed, in the order typed.
    pub fn unsent(&self) -> Vec<Unsent<'_>> {
        self.outbox.unsent()
    }

    /// How many these are.
    pub fn unsent_count(&self) -> usize {
        self.outbox.unsent_count()
    }

    /// Whether the outbox takes more messages.
    pub fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// The name of a user, present or not.
    pub(super) fn who(&self, id: UserId) -> Who {
        self.roster()
            .get(id)
            .map_or(Who::from(id), |profile| profile.who.clone())
    }

    /// The time now on the server's clock, in milliseconds since the Unix epoch. Messages to everybody have its time, so
    /// private messages have it too. Until the server has told it: the time on this host's clock.
    pub(super) fn server_time(&self, now: Now) -> u64 {
        self.clocks.server.map_or(now.unix_ms, |(told, time)| {
            let since = now.monotonic.saturating_sub(told).as_millis();
            time.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
        })
    }

    /// The server tells the time: of this client's own join, or of another line.
    pub(super) fn learn_server_time(&mut self, time: u64, is_own_join: bool, now: Now) {
        // Lines arrive late, never early: the latest time is the best.
        // None is a minute late, unless the clock was set back.
        const LATE_MAX_MS: u64 = 60_000;
        let known = self.server_time(now);
        if is_own_join
            || self.clocks.server.is_none()
            || time > known
            || time.saturating_add(LATE_MAX_MS) < known
        {
            self.clocks.server = Some((now.monotonic, time));
        }
    }

    /// Whether a user is ignored. What it says and does is no event.
    pub fn is_ignored(&self, who: &Who) -> bool {
        self.ignored.is_ignored(who, self.roster())
    }

    pub(super) fn users(&self) -> Vec<Who> {
        self.roster().users().map(|profile| profile.who.clone()).collect()
    }

    pub(super) fn fail(&mut self, why: String) {
        self.failures.requests += 1;
        self.error(why);
    }

    pub(super) fn fail_file(&mut self, why: String) {
        self.failures.files += 1;
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

    /// After the end of the input, failures are counted for the last line.
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

    /// The nick of the settings is the login name, if there is one here: if it is taken, it gets a digit.
    pub fn number_nick(&mut self, login: Option<Nick>) {
        self.login_nick = login.map(LoginNick::new);
    }

    /// A nick that nobody asked for is taken. Answers whether another one is tried.
    pub(super) fn try_next_nick(&mut self) -> bool {
        let Some(nick) = self.login_nick.as_mut().and_then(LoginNick::next) else {
            return false;
        };
        self.awaits_nick_reason = true;
        self.send_line(&FromClient::Nick(nick.as_str()));
        true
    }

    /// The server gave a nick to this client.
    pub(super) fn nick_is_given(&mut self, nick: &Nick) {
        if std::mem::take(&mut self.awaits_nick_reason)
            && let Some(login) = &mut self.login_nick
        {
            let text = Text::from(login.given(nick));
            self.events.push_back(Event::Notice(text));
        }
    }

    /// The nick that the user asked for is the user's already.
    pub(super) fn notice_unchanged_nick(&mut self) {
        if let Some(me) = &self.me {
            let text = Text::from(format!("you are {me} already"));
            self.events.push_back(Event::Notice(text));
        }
    }
}
