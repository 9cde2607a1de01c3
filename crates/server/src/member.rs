//! One connection apart from its socket, and the user behind it.

use crate::compact::{Addr, Timestamp};
use crate::inbox::Inbox;
use crate::network::Network;
use crate::outbox::{Origin, Outbox};
use crate::rate::{Rate, Usage};
use crate::resumption::{Former, Progress as Resumption};
use crate::secure::Secure;
use crate::transcript::{Dialect, Transcript};
use chat_proto::id::UserId;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::opaque::{PublicKey, Token};
use chat_proto::plain::ServerLine;
use chat_proto::rich::{ErrorCode, FromServer, Profile, Reason};
use chat_proto::text::Text;
use std::net::SocketAddr;
use std::time::Duration;

/// A connection that has sent nothing becomes a plain user after this long. By then `chat-client` has sent `HELLO`, and
/// a port scan is gone without being announced.
const HANDSHAKE: Duration = Duration::from_millis(250);

/// In a room for encrypted connections only, it is turned away after this long: nobody is announced, a person reads the
/// greeting, and a client may be far away.
const HANDSHAKE_SEALED: Duration = Duration::from_secs(2);

/// How long a handshake for an encrypted channel may take, whose two round trips may cross the world on a bad line.
const SEALING: Duration = Duration::from_secs(10);

/// In a full room, a user may be silent for this long after joining: a person at `nc` looks around before typing. To
/// hold 1,000 places silently then takes 100 new connections a second.
const SILENT_GRACE: Duration = Duration::from_secs(10);

/// With answers of this size queued for it, a connection's own lines wait: many a request is shorter than its answer. What
/// others send it does not count, or they could silence it.
const OWN_BYTES_PAUSE: usize = 64 * 1024;

/// What others may queue for a connection that does not read: a full relay window of every sender that a person talks
/// with at once, with much to spare.
const OWN_BYTES_MAX: usize = 256 * 1024;

/// The state of a connection. It passes through some of these in this order, and never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The room was full when it was accepted, at this time. It is rejected unless its `HELLO` resumes a connection, or
    /// a place becomes free.
    Queued(Timestamp),
    /// Accepted at this time, greeted, and not announced yet.
    Handshake(Timestamp),
    /// In a handshake for an encrypted channel, which has time from here on.
    Sealing(Unsealed, Timestamp),
    /// Announced: a user.
    Joined,
    /// Probes the server until this time, and is never announced.
    Probing(Timestamp),
    /// Not a user any more. What it is owed is still sent, until this time.
    Leaving(Timestamp),
}

/// What a connection was before its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealed {
    /// [`Stage::Handshake`].
    New,
    /// [`Stage::Queued`].
    Queued,
    /// [`Stage::Joined`]: the client's first line was late.
    Joined,
}

/// Why a connection delivers no more input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer sent a FIN.
    Closed,
    /// The peer sent an RST, or can't be written to.
    Reset,
    /// The network delivered nothing for too long.
    TimedOut,
}

/// A connection and the user behind it.
#[derive(Debug)]
pub struct Member {
    /// The peer's address, which is the user's id.
    pub(crate) address: Addr,
    /// The user as lines name it, so that no message formats it again. The nick is rarely wanted, so it is not kept
    /// beside this.
    label: Box<str>,
    /// What only `chat-client` has; boxed, because it takes most of the memory.
    pub(crate) client: Option<Box<Client>>,
    /// The state of the connection.
    pub stage: Stage,
    /// It was greeted without a place for it.
    pub(crate) was_queued: bool,
    /// The room takes encrypted connections only, and its greeting said so.
    pub(crate) must_seal: bool,
    /// The encrypted channel, once there is one.
    pub(crate) secure: Option<Box<Secure>>,
    /// What it has sent.
    pub inbox: Inbox,
    /// What it is owed.
    pub outbox: Outbox,
    /// What it has used of the rate.
    pub usage: Usage,
    /// For how long the room has paused while this reader was far behind, less what it has been forgiven.
    pub held_up: Timestamp,
    /// For how long of that it was sent nothing.
    pub stands_still: Timestamp,
    /// No more input comes.
    pub ended: Option<End>,
    /// The connection broke, as something else than reading showed: what can still be read is read first.
    pub broken: Option<End>,
    /// It has sent a line.
    has_spoken: bool,
    /// When the server sent a `PING` that nothing has followed yet.
    pub pinged: Option<Timestamp>,
    /// The writing half of the socket is shut down.
    pub shut: bool,
}

/// What a connection that speaks the rich dialect is for.
#[derive(Debug)]
pub(crate) enum Client {
    /// It sent `HELLO`.
    Rich(Rich),
    /// It sent `PROBE`.
    Probe(Probe),
}

/// What is known of a client that sent `HELLO`.
#[derive(Debug)]
pub struct Rich {
    /// The address for private messages.
    pub udp: Option<Addr>,
    /// The token that resumes this connection.
    pub resume: Token,
    /// The key of its rendezvous requests.
    pub rendezvous: Token,
    /// How far its rendezvous is, if it has sent a request.
    pub progress: Option<Box<Progress>>,
    /// The number of the last message accepted from it.
    pub seq: u64,
    /// The number of the first message that it may be sent.
    pub first: u64,
    /// It has sent a line after `HELLO`, so it has received the answer to that.
    pub has_answered: bool,
    /// It may run the room.
    pub is_operator: bool,
    /// It is away, and this is why. Boxed once more, because few users are.
    pub away: Option<Box<Text<'static>>>,
}

/// How far a client's rendezvous is.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests answered, against the rate.
    pub usage: Usage,
    /// The count of the last one.
    pub count: u64,
    /// The last nonce sent, and where to.
    pub offered: Option<(Token, SocketAddr)>,
}

/// What is known of a client that sent `PROBE`.
#[derive(Debug)]
pub struct Probe {
    /// The key of its rendezvous requests.
    pub rendezvous: Token,
    /// Requests answered, against the rate.
    pub usage: Usage,
}

impl Member {
    /// A connection accepted at this time, of which only the address is known.
    #[must_use]
    pub fn new(id: UserId, now: Duration) -> Self {
        let mut inbox = Inbox::default();
        inbox.received(now, &[]);
        Self {
            address: id.address().into(),
            label: id.to_string().into(),
            client: None,
            stage: Stage::Handshake(now.into()),
            was_queued: false,
            must_seal: false,
            secure: None,
            inbox,
            outbox: Outbox::closed(),
            usage: Usage::default(),
            held_up: Timestamp::ZERO,
            stands_still: Timestamp::ZERO,
            ended: None,
            broken: None,
            has_spoken: false,
            pinged: None,
            shut: false,
        }
    }

    /// The address the user is seen at.
    #[must_use]
    pub fn id(&self) -> UserId {
        SocketAddr::from(self.address).into()
    }

    /// The user's nick, if there is one.
    #[must_use]
    pub fn nick(&self) -> Option<Nick> {
        Nick::parse(self.nick_text()?).ok()
    }

    /// The same as text.
    pub(crate) fn nick_text(&self) -> Option<&str> {
        self.label.split_once('@').map(|(nick, _)| nick)
    }

    /// The user as lines name it.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn set_label(&mut self, label: String) {
        self.label = label.into();
    }

    /// What only a client that sent `HELLO` has.
    #[must_use]
    pub fn rich(&self) -> Option<&Rich> {
        match self.client.as_deref()? {
            Client::Rich(rich) => Some(rich),
            Client::Probe(_) => None,
        }
    }

    /// The key that it has proven to have.
    #[must_use]
    pub fn key(&self) -> Option<PublicKey> {
        self.secure.as_ref().map(|secure| secure.key)
    }

    /// Whether it may run the room.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        self.rich().is_some_and(|rich| rich.is_operator)
    }

    /// Why it is away, if it is.
    #[must_use]
    pub fn away(&self) -> Option<&Text<'static>> {
        self.rich()?.away.as_deref()
    }

    /// What is remembered of it when it leaves, if it is a client that may come back.
    pub(crate) fn resumable(&self) -> Option<Former> {
        let (rich, key) = (self.rich()?, self.key()?);
        let network = Network::of(self.id().address().ip());
        let (seq, first) = (rich.seq, rich.first);
        Some(Former::new(
            network,
            key,
            rich.resume,
            Resumption::Resumable { seq, first },
        ))
    }

    /// The token of its rendezvous requests, if it speaks the rich dialect.
    #[must_use]
    pub fn rendezvous(&self) -> Option<Token> {
        Some(match self.client.as_deref()? {
            Client::Rich(rich) => rich.rendezvous,
            Client::Probe(probe) => probe.rendezvous,
        })
    }

    /// The dialect of the connection, as far as is known.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        if self.client.is_some() {
            Dialect::Rich
        } else {
            Dialect::Plain
        }
    }

    /// How others reach this user privately.
    #[must_use]
    pub fn profile(&self) -> Profile<&str> {
        let rich = self.rich();
        let udp = match rich {
            Some(rich) => rich.udp.map(Into::into),
            None if self.inbox.is_unframed() => self.id().private_address(),
            None => None,
        };
        Profile {
            who: self.label(),
            udp,
            key: rich.and_then(|_| self.key()).map(Into::into),
        }
    }

    /// Whether it is a user, may become one, or takes the place of one.
    #[must_use]
    pub fn is_staying(&self) -> bool {
        !matches!(self.stage, Stage::Leaving(_))
    }

    /// Whether it is the first to go in a full room: it probes, or has long been here and never sent anything.
    #[must_use]
    pub fn is_evictable(&self, now: Duration) -> bool {
        let is_silent = self.client.is_none() && !self.has_spoken && self.inbox.partial().is_empty();
        match self.stage {
            Stage::Probing(_) => true,
            Stage::Joined => is_silent && self.inbox.last_received() + SILENT_GRACE <= now,
            Stage::Queued(_) | Stage::Handshake(_) | Stage::Sealing(..) | Stage::Leaving(_) => false,
        }
    }

    /// Whether the others were told that it is here.
    #[must_use]
    pub fn is_announced(&self) -> bool {
        matches!(self.stage, Stage::Joined | Stage::Sealing(Unsealed::Joined, _))
    }

    /// Whether something can be sent now, given the head of its ring.
    #[must_use]
    pub fn is_due(&self, head: u64) -> bool {
        self.outbox.is_due(head) || self.secure.as_ref().is_some_and(|secure| secure.is_unsent())
    }

    /// Whether it is neither announced nor rejected yet.
    #[must_use]
    pub fn in_handshake(&self) -> bool {
        matches!(self.stage, Stage::Handshake(_) | Stage::Queued(_))
    }

    /// When silence ends its line, which only plain users leave without a line feed: half a message of a handshake waits.
    pub(crate) fn silence_ends_line_at(&self) -> Option<Duration> {
        let is_plain = self.dialect() == Dialect::Plain && !matches!(self.stage, Stage::Sealing(..));
        self.inbox.silence_ends_line_at().filter(|_| is_plain)
    }

    /// When its stage ends if nothing is received: a silent connection becomes a plain user or is rejected.
    #[must_use]
    pub fn stage_ends_at(&self) -> Option<Duration> {
        match self.stage {
            Stage::Handshake(since) if self.must_seal => Some(since.get() + HANDSHAKE_SEALED),
            Stage::Queued(since) | Stage::Handshake(since) => Some(since.get() + HANDSHAKE),
            Stage::Sealing(_, since) => Some(since.get() + SEALING),
            Stage::Joined => None,
            Stage::Probing(until) | Stage::Leaving(until) => Some(until.get()),
        }
    }

    /// Takes note that input came.
    pub(crate) fn received(&mut self, now: Now, bytes: &[u8]) {
        self.inbox.received(now.monotonic, bytes);
        self.pinged = None;
    }

    /// Whether it has sent a line.
    #[must_use]
    pub fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    /// It sends a line. Returns whether that is the first one.
    pub(crate) fn speak(&mut self) -> bool {
        !std::mem::replace(&mut self.has_spoken, true)
    }

    /// Counts a line against the rate.
    pub(crate) fn count_line(&mut self, rate: Option<Rate>, now: Duration) {
        if let Some(rate) = rate {
            self.usage.count(rate, now);
        }
    }

    /// Whether the next line may be processed, as far as it depends on this connection alone.
    #[must_use]
    pub fn may_process(&self, rate: Option<Rate>, now: Duration) -> bool {
        self.is_staying() && self.is_answerable() && rate.is_none_or(|rate| self.usage.next_at(rate) <= now)
    }

    /// Whether to read from it, as far as it depends on this connection alone.
    #[must_use]
    pub fn may_read(&self, rate: Option<Rate>, now: Duration) -> bool {
        let processes = !self.inbox.is_waiting() && self.may_process(rate, now);
        self.ended.is_none() && (processes || !self.is_staying())
    }

    /// Whether to watch for its end although nothing is read from it: unprocessed input would keep its place and its
    /// nick.
    #[must_use]
    pub fn may_break(&self) -> bool {
        self.is_staying() && self.ended.is_none() && !self.outbox.is_gone()
    }

    /// Whether there is room for the answer to one more line.
    #[must_use]
    pub fn is_answerable(&self) -> bool {
        self.outbox.answer_bytes() < OWN_BYTES_PAUSE
    }

    /// Whether others may queue something for it.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.outbox.own_bytes() < OWN_BYTES_MAX
    }

    /// Ends what it is owed in the plain dialect, at the end of a line.
    pub(crate) fn end_plain(&mut self, transcript: &Transcript) {
        self.outbox
            .abort_with(transcript.ring(Dialect::Plain), Vec::new());
    }

    /// Nothing can be sent any more: drops everything owed.
    pub(crate) fn discard(&mut self) {
        self.outbox.discard();
        if let Some(secure) = &mut self.secure {
            secure.discard();
        }
    }

    /// Queues an answer to this user alone, after everything broadcast so far.
    pub(crate) fn put(&mut self, transcript: &Transcript, line: String) {
        self.put_from(Origin::Answer, transcript, line);
    }

    /// Queues a line that another user sends to this one alone.
    pub(crate) fn pass_on(&mut self, transcript: &Transcript, line: String) {
        self.put_from(Origin::Other, transcript, line);
    }

    fn put_from(&mut self, origin: Origin, transcript: &Transcript, mut line: String) {
        line.push('\n');
        let head = transcript.ring(self.dialect()).head();
        self.outbox.push_from(origin, head, line.into_bytes());
    }

    /// Queues bytes that are no line, for a telnet client, after everything broadcast so far.
    pub(crate) fn put_bytes(&mut self, transcript: &Transcript, bytes: Vec<u8>) {
        // Never queue an empty chunk: it would never drain.
        if !bytes.is_empty() {
            self.outbox.push(transcript.ring(self.dialect()).head(), bytes);
        }
    }

    /// Sends a rich client a line.
    pub(crate) fn tell(&mut self, transcript: &Transcript, line: &FromServer<'_, &str>) {
        self.put(transcript, line.to_string());
    }

    /// Sends the user something to read.
    pub(crate) fn notice(&mut self, transcript: &Transcript, text: impl Into<String>) {
        let text = Text::from(text.into());
        let line = self.format(&text, FromServer::Notice);
        self.put(transcript, line);
    }

    /// Sends the user an error about its request.
    pub(crate) fn refuse(&mut self, transcript: &Transcript, code: ErrorCode, seq: Option<u64>, text: &str) {
        let line = self.format(&Text::new(text), |text| FromServer::Error(code, seq, text));
        self.put(transcript, line);
    }

    /// The last line to the user.
    pub(crate) fn goodbye(&self, reason: Reason, text: &str) -> String {
        self.format(&Text::new(text), |text| FromServer::Goodbye(reason, text))
    }

    /// A line for the user to read, which programs can tell apart in the rich dialect only.
    fn format<'a>(
        &self,
        text: &'a Text<'_>,
        rich: impl FnOnce(Text<'a>) -> FromServer<'a, &'a str>,
    ) -> String {
        match self.dialect() {
            Dialect::Rich => rich(text.borrow()).to_string(),
            Dialect::Plain => ServerLine::<&str>::Notice(text.borrow()).to_string(),
        }
    }
}
