//! Messages to and from users without a key: the original programs, and plain terminals.
//!
//! They are sent as bare text, like the original's: in one datagram, or in several if they are
//! long. Nobody confirms them. If the peer's host reports that the port is closed, the server
//! relays the text instead, unencrypted. Such a report comes at once or never, so a datagram counts
//! as sent after a short time without one. Thus each message goes one way only.

use super::event::{Event, MessageId, Output, Path, State, Why};
use super::packet::DATAGRAM_MAX;
use super::sender::DELIVERY_TIMEOUT;
use chat_proto::TEXT_MAX;
use chat_proto::id::UserId;
use chat_proto::line::whole_characters;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How long a report of a closed port can still make a message go through the server. After it, the
/// message is reported as sent.
const SENT_AFTER: Duration = Duration::from_millis(500);

/// Pending messages at most, after which sending is refused: 64 x 4 KB = 260 KB.
const PENDING_MAX: usize = 64;

/// How long a port counts as closed after such a report.
const CLOSED: Duration = Duration::from_secs(60);

/// Closed ports that are remembered: 256 x 48 bytes.
const CLOSED_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Plaintext {
    /// Messages whose final state is not known, in the order of sending.
    pending: Vec<Pending>,
    closed: BTreeMap<SocketAddr, Duration>,
}

/// A message to be sent unencrypted.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: MessageId,
    pub(super) to: UserId,
    pub(super) text: Text<'static>,
}

#[derive(Debug)]
struct Pending {
    message: Message,
    via: Via,
    since: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    Address(SocketAddr),
    /// The server was asked to relay it, and has not answered.
    Server,
}

impl Plaintext {
    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_MAX
    }

    /// When [`Self::timeout`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.pending.iter().map(Pending::deadline).min()
    }

    /// Reports direct messages as sent, and relayed ones without the server's answer as not
    /// delivered.
    pub(super) fn timeout(&mut self, now: Duration) -> Vec<Output> {
        let due = self.pending.extract_if(.., |pending| pending.deadline() <= now);
        due.map(|pending| match pending.via {
            Via::Address(_) => pending
                .message
                .becomes(State::SentUnencrypted { path: Path::Direct }),
            Via::Server => pending.message.becomes(State::NotDelivered(Why::NoAnswer)),
        })
        .collect()
    }

    /// Sends a message to `address`, or through the server if there is none or its port is closed.
    pub(super) fn send(
        &mut self,
        now: Duration,
        message: Message,
        address: Option<SocketAddr>,
        can_whisper: bool,
    ) -> Vec<Output> {
        self.closed.retain(|_, since| now < *since + CLOSED);
        let Some(to) = address.filter(|to| !self.closed.contains_key(to)) else {
            return vec![self.whisper(now, message, can_whisper)];
        };
        let pieces = pieces(message.text.as_str()).map(<[u8]>::to_vec);
        let datagrams = pieces.map(|bytes| Output::Datagram { to, ttl: None, bytes });
        let outputs = datagrams.collect();
        self.add(now, message, Via::Address(to));
        outputs
    }

    /// The port at this address is closed: messages just sent there go through the server.
    pub(super) fn unreachable(
        &mut self,
        now: Duration,
        address: SocketAddr,
        can_whisper: bool,
    ) -> Vec<Output> {
        let lost = self.take(Via::Address(address));
        if !lost.is_empty() && self.closed.len() < CLOSED_MAX {
            self.closed.insert(address, now);
        }
        let lost = lost.into_iter();
        lost.map(|message| self.whisper(now, message, can_whisper))
            .collect()
    }

    /// The server answered: it relayed the message, or can't.
    pub(super) fn answered(&mut self, id: MessageId, is_relayed: bool) -> Option<Output> {
        let is_answered = |pending: &Pending| pending.message.id == id && pending.via == Via::Server;
        let place = self.pending.iter().position(is_answered)?;
        Some(self.pending.remove(place).message.becomes(if is_relayed {
            State::SentUnencrypted { path: Path::Relayed }
        } else {
            State::NotDelivered(Why::Unreachable)
        }))
    }

    /// The server will not answer any more.
    pub(super) fn connection_lost(&mut self) -> Vec<Output> {
        let lost = self.take(Via::Server).into_iter();
        lost.map(|message| message.becomes(State::NotDelivered(Why::ConnectionLost)))
            .collect()
    }

    fn add(&mut self, since: Duration, message: Message, via: Via) {
        self.pending.push(Pending { message, via, since });
    }

    fn take(&mut self, via: Via) -> Vec<Message> {
        let taken = self.pending.extract_if(.., |pending| pending.via == via);
        taken.map(|pending| pending.message).collect()
    }

    /// Asks the server to relay a message.
    fn whisper(&mut self, now: Duration, message: Message, can_whisper: bool) -> Output {
        if !can_whisper {
            return message.becomes(State::NotDelivered(Why::Unreachable));
        }
        let line = FromClient::Whisper(message.to, message.id.0, message.text.clone());
        self.add(now, message, Via::Server);
        Output::Line(line)
    }
}

impl Pending {
    fn deadline(&self) -> Duration {
        self.since
            + match self.via {
                Via::Address(_) => SENT_AFTER,
                Via::Server => DELIVERY_TIMEOUT,
            }
    }
}

impl Message {
    fn becomes(&self, state: State) -> Output {
        Output::Event(Event::State(self.id, state))
    }
}

/// A text in pieces that fit a datagram, cut between characters. The receiver shows them as
/// separate messages. An empty text is a line feed: a receiver may take an empty datagram for the end.
fn pieces(text: &str) -> impl Iterator<Item = &[u8]> {
    let mut rest = if text.is_empty() { b"\n" } else { text.as_bytes() };
    std::iter::from_fn(move || {
        let piece = prefix(rest, DATAGRAM_MAX);
        rest = rest.get(piece.len()..)?;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The text of an unencrypted datagram, unless it is blank.
pub(super) fn text_of(datagram: &[u8]) -> Option<Text<'static>> {
    let text = Text::from_bytes(prefix(datagram.trim_ascii_end(), TEXT_MAX)).into_owned();
    (!text.is_blank()).then_some(text)
}

/// The beginning of a text, up to `max` bytes, cut between characters.
fn prefix(text: &[u8], max: usize) -> &[u8] {
    let Some(cut) = text.get(..max) else {
        return text;
    };
    cut.get(..whole_characters(cut)).unwrap_or(cut)
}
