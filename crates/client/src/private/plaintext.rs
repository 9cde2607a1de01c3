//! Messages to and from users who have no key: the original programs, and plain terminals.
//!
//! They go as bare text, as in the original: in one datagram, or in several if they are long. Nobody confirms them. Where the peer's host answers
//! that no such port is open, the server passes the text on instead, in the clear. That answer comes at once or never, so
//! a datagram counts as sent when nothing was heard against it for a moment: a message has one fate, not two.

use super::event::{Event, MessageId, Output, Path, State, Why};
use super::seal::DATAGRAM_MAX;
use super::sender::PATIENCE;
use chat_proto::TEXT_MAX;
use chat_proto::id::UserId;
use chat_proto::line::whole_characters;
use chat_proto::rich::FromClient;
use chat_proto::text::Text;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// For how long a datagram is remembered, so that the text can go another way if its port turns out to be closed. What
/// became of it is told after that.
const MEMORY: Duration = Duration::from_millis(500);

/// Messages that are remembered, and so may be sent in that time: 64 x 4 KB = 260 KB.
const RECENT_MAX: usize = 64;

/// Messages that the server was asked to pass on and has not answered for, when there is no room for another. With
/// those whose ports turn out to be closed they are fewer than twice as many.
const WHISPERS_MAX: usize = 64;

/// How long a port counts as closed after its host said so.
const CLOSED: Duration = Duration::from_secs(60);

/// Closed ports that are remembered: 256 x 48 bytes.
const CLOSED_MAX: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Plaintext {
    /// Those whose fate is not told yet, the first first.
    recent: VecDeque<Sent>,
    closed: BTreeMap<SocketAddr, Duration>,
    /// Those that the server has not answered for, the first first, and since when.
    whispers: VecDeque<(MessageId, Duration)>,
}

#[derive(Debug)]
struct Sent {
    id: MessageId,
    user: UserId,
    to: SocketAddr,
    text: Text<'static>,
    at: Duration,
}

impl Plaintext {
    /// Whether there is no memory for another message just now.
    pub(super) fn is_full(&self) -> bool {
        self.recent.len() >= RECENT_MAX || self.whispers.len() >= WHISPERS_MAX
    }

    /// When [`Self::timeout`] is to be called.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let sent = self.recent.front().map(|sent| sent.at + MEMORY);
        let answered = self.whispers.front().map(|(_, since)| *since + PATIENCE);
        [sent, answered].into_iter().flatten().min()
    }

    /// Those that nothing was heard against are sent, as far as anybody will ever know. What the server was asked to pass on
    /// and has not answered for is not.
    pub(super) fn timeout(&mut self, now: Duration, outputs: &mut VecDeque<Output>) {
        while self.recent.front().is_some_and(|sent| sent.at + MEMORY <= now) {
            let sent = self.recent.pop_front();
            outputs.extend(sent.map(|sent| state(sent.id, State::SentUnencrypted { path: Path::Direct })));
        }
        while let Some(&(id, since)) = self.whispers.front()
            && since + PATIENCE <= now
        {
            self.whispers.pop_front();
            outputs.push_back(state(id, State::NotDelivered(Why::NoAnswer)));
        }
    }

    /// Sends a message to `to`, or through the server if there is no such address or its port is closed.
    pub(super) fn send(
        &mut self,
        now: Duration,
        (id, user): (MessageId, UserId),
        to: Option<SocketAddr>,
        text: &Text<'_>,
        can_whisper: bool,
        outputs: &mut VecDeque<Output>,
    ) {
        self.closed.retain(|_, since| now < *since + CLOSED);
        let text = text.borrow().into_owned();
        let Some(to) = to.filter(|to| !self.closed.contains_key(to)) else {
            self.whisper(now, (id, user), text, can_whisper, outputs);
            return;
        };
        for piece in pieces(text.as_str()) {
            let bytes = piece.to_vec();
            outputs.push_back(Output::Datagram { to, ttl: None, bytes });
        }
        self.recent.push_back(Sent {
            id,
            user,
            to,
            text,
            at: now,
        });
    }

    /// No port is open at that address: what was sent there a moment ago goes through the server.
    pub(super) fn unreachable(
        &mut self,
        now: Duration,
        address: SocketAddr,
        can_whisper: bool,
        outputs: &mut VecDeque<Output>,
    ) {
        let (lost, others): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.recent)
            .into_iter()
            .partition(|sent| sent.to == address);
        self.recent = others;
        if !lost.is_empty() && self.closed.len() < CLOSED_MAX {
            self.closed.insert(address, now);
        }
        for Sent { id, user, text, .. } in lost {
            self.whisper(now, (id, user), text, can_whisper, outputs);
        }
    }

    /// The server answered for a message: it was passed on, or can't be.
    pub(super) fn answered(&mut self, id: MessageId, passed_on: bool, outputs: &mut VecDeque<Output>) {
        let asked = self.whispers.iter().position(|(asked, _)| *asked == id);
        if asked.and_then(|place| self.whispers.remove(place)).is_some() {
            outputs.push_back(state(
                id,
                if passed_on {
                    State::SentUnencrypted { path: Path::Relayed }
                } else {
                    State::NotDelivered(Why::Unreachable)
                },
            ));
        }
    }

    /// The server will not answer any more.
    pub(super) fn connection_lost(&mut self, outputs: &mut VecDeque<Output>) {
        let lost = std::mem::take(&mut self.whispers).into_iter();
        outputs.extend(lost.map(|(id, _)| state(id, State::NotDelivered(Why::ConnectionLost))));
    }

    fn whisper(
        &mut self,
        now: Duration,
        (id, user): (MessageId, UserId),
        text: Text<'static>,
        can_whisper: bool,
        outputs: &mut VecDeque<Output>,
    ) {
        if !can_whisper {
            outputs.push_back(state(id, State::NotDelivered(Why::Unreachable)));
            return;
        }
        self.whispers.push_back((id, now));
        outputs.push_back(Output::Line(FromClient::Whisper(user, id.0, text)));
    }
}

fn state(id: MessageId, state: State) -> Output {
    Output::Event(Event::State(id, state))
}

/// A text in pieces that fit a datagram, never cut within a character. Whoever gets them shows them as several messages.
fn pieces(text: &str) -> impl Iterator<Item = &[u8]> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let end = rest.len().min(DATAGRAM_MAX);
        let end = whole_characters(rest.get(..end)?);
        let (piece, after) = rest.split_at_checked(end)?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The text of a raw datagram, if there is any to see.
pub(super) fn text_of(datagram: &[u8]) -> Option<Text<'static>> {
    let datagram = datagram.trim_ascii_end();
    let datagram = datagram
        .get(..TEXT_MAX)
        .map_or(datagram, |cut| cut.get(..whole_characters(cut)).unwrap_or(cut));
    let text = Text::from_bytes(datagram).into_owned();
    (!text.is_blank()).then_some(text)
}
