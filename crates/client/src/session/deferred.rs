//! Private messages that were typed while there was no connection.
//!
//! They are kept for who was meant, not for who has that address or name later: when a server is back, everybody comes
//! back under another address, some sooner and some later.

use super::Session;
use super::event::Event;
use super::peer::Peer;
use crate::private::Refusal;
use chat_proto::TEXT_MAX;
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::collections::VecDeque;
use std::time::Duration;

/// How long after the connection is back the other side may take to come back too: as long as a message may be under way
/// before it counts as not delivered. It covers the longest pause between two tries of a client.
const PEER_WAIT: Duration = Duration::from_secs(30);

/// What such a message costs in memory besides its text, about.
const OVERHEAD: usize = 256;

/// The messages, in the order in which they were typed.
#[derive(Debug, Default)]
pub(super) struct Deferred {
    messages: VecDeque<Message>,
    bytes: usize,
}

#[derive(Debug)]
struct Message {
    /// Its number among all that was typed.
    seq: u64,
    peer: Peer,
    text: Text<'static>,
}

impl Deferred {
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// What they cost in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Each with its number and whom it is for.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Who, &Text<'static>)> {
        let messages = self.messages.iter();
        messages.map(|message| (message.seq, &message.peer.who, &message.text))
    }

    fn push(&mut self, message: Message) {
        self.bytes += message.text.as_str().len() + OVERHEAD;
        self.messages.push_back(message);
    }

    fn take(&mut self) -> VecDeque<Message> {
        self.bytes = 0;
        std::mem::take(&mut self.messages)
    }
}

impl Session {
    /// Whether there was a room and will be one again: what is typed now is kept for then.
    pub(super) fn is_away(&self) -> bool {
        self.joined && !self.is_ready() && self.outcome.is_none()
    }

    /// Keeps a message, if there is any use in that.
    pub(super) fn defer(&mut self, peer: Peer, text: &Text<'_>) {
        let refusal = if text.as_str().len() > TEXT_MAX {
            Some(Refusal::TooLong)
        } else if self.me.as_ref().is_some_and(|me| me.id == peer.who.id) {
            Some(Refusal::Yourself)
        } else {
            None
        };
        if let Some(refusal) = refusal {
            return self.not_sent(Text::from(peer.who.to_string()), &refusal.to_string());
        }
        let message = Message {
            seq: self.next_seq(),
            peer,
            text: text.clone().into_owned(),
        };
        self.deferred.push(message);
    }

    /// Sends what was kept to those who are back, and gives up on those who do not come.
    pub(super) fn send_deferred(&mut self, now: Now) {
        let Some(deadline) = self.deferred_deadline() else {
            return;
        };
        for message in self.deferred.take() {
            match message.peer.find(&self.roster) {
                Some(_) => {
                    self.send_to(message.peer, &message.text, now);
                }
                None if now.monotonic < deadline => self.deferred.push(message),
                None => self.give_up_deferred(message),
            }
        }
    }

    fn give_up_deferred(&mut self, message: Message) {
        self.failures.privates += 1;
        self.note_failed_message();
        let reason = format!("{} is not here any more", message.peer.who);
        self.events.push_back(Event::Refused {
            text: message.text,
            reason: Text::from(reason),
        });
    }

    /// When those count as gone for whom something is kept.
    pub(super) fn deferred_deadline(&self) -> Option<Duration> {
        let since = self
            .clocks
            .ready
            .filter(|_| self.is_ready() && self.deferred.len() > 0);
        since.map(|since| since + PEER_WAIT)
    }
}
