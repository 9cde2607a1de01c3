//! Every message that waits: to be sent, or to be acknowledged.

use super::recipients::Peer;
use chat_proto::id::UserId;
use chat_proto::rich::{FromClient, Key};
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::collections::{BTreeMap, VecDeque};
use std::io::Write;

/// Bytes of unacknowledged messages at which no more input is taken: a second of 2 Mbit/s.
pub(super) const BYTES_MAX: usize = 256 * 1024;
/// Unacknowledged private messages at which no more input is taken.
const PRIVATES_MAX: usize = 1024;

/// The user's messages, from being typed to being acknowledged.
///
/// The server returns messages to everybody in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Message>,
    sent: VecDeque<Message>,
    /// Private messages that wait for a connection, for their user to return, for its key, or for room. In the order typed.
    drafts: VecDeque<Draft>,
    /// Private messages that were handed to their delivery and have no result yet, by their numbers.
    pub(super) privates: BTreeMap<u64, Pending>,
    /// What messages to everybody and drafts cost in memory, about.
    bytes: usize,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its number; it grows from message to message.
    pub(super) seq: u64,
    /// What it says.
    pub(super) text: Text<'static>,
    /// It was sent on a connection that is lost, where the user had this id.
    lost_as: Option<UserId>,
}

/// A private message that can't be sent yet.
#[derive(Debug)]
pub(super) struct Draft {
    /// Its number among all that was typed.
    pub(super) seq: u64,
    pub(super) peer: Peer,
    pub(super) text: Text<'static>,
    /// It was typed without a connection: its user may return later than this client.
    pub(super) awaits_peer: bool,
}

/// A private message whose result is not known.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) peer: Who,
    pub(super) text: Text<'static>,
}

/// A message that waits to be sent, or to be confirmed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsent<'a> {
    /// The user it is for, if it is private.
    pub to: Option<&'a Who>,
    /// The message.
    pub text: &'a Text<'static>,
}

/// What a message to everybody costs besides its text: its framing on the wire and its place here.
const OVERHEAD: usize = 64;
/// What a draft costs besides its text.
const DRAFT_OVERHEAD: usize = 256;

impl Message {
    pub(super) fn new(seq: u64, text: Text<'static>) -> Self {
        let lost_as = None;
        Self { seq, text, lost_as }
    }

    fn cost(&self) -> usize {
        self.text.as_str().len() + OVERHEAD
    }
}

impl Draft {
    fn cost(&self) -> usize {
        self.text.as_str().len() + DRAFT_OVERHEAD
    }
}

// Messages to everybody.
impl Outbox {
    pub(super) fn push(&mut self, message: Message) {
        self.bytes += message.cost();
        self.waiting.push_back(message);
    }

    /// Takes the next message to send. It counts as sent.
    pub(super) fn send_next(&mut self) -> Option<&Message> {
        let message = self.waiting.pop_front()?;
        self.sent.push_back(message);
        self.sent.back()
    }

    /// Writes the messages that wait, as lines of the rich dialect.
    pub(super) fn transmit(&mut self, bytes: &mut Vec<u8>) {
        while let Some(Message { seq, text, .. }) = self.send_next() {
            let line = FromClient::Say(*seq, text.borrow());
            // Writing to memory does not fail.
            let _ = writeln!(bytes, "{line}");
        }
    }

    /// The server returned the oldest message.
    pub(super) fn acknowledge(&mut self) -> Option<Message> {
        let message = self.sent.pop_front();
        self.account(message)
    }

    /// A server that loses messages, and damages long ones, returned this text. The result is what it lost before; `None`
    /// if the text is none of the user's.
    pub(super) fn acknowledge_text(&mut self, text: &str, spoiled_from: usize) -> Option<Vec<Message>> {
        let same = |message: &Message| message.text.as_str().trim() == text.trim();
        let spoiled = |message: &Message| message.text.as_str().len() >= spoiled_from;
        let place = self
            .sent
            .iter()
            .position(same)
            .or_else(|| self.sent.front().filter(|front| spoiled(front)).map(|_| 0))?;
        let lost = (0..place).filter_map(|_| self.acknowledge()).collect();
        self.acknowledge();
        Some(lost)
    }

    /// The server refused this message.
    pub(super) fn refuse(&mut self, seq: u64) -> Option<Message> {
        let place = self.sent.iter().position(|message| message.seq == seq)?;
        let message = self.sent.remove(place);
        self.account(message)
    }

    /// The connection is lost, on which the user had this id.
    pub(super) fn lost(&mut self, id: UserId) {
        for message in &mut self.sent {
            message.lost_as.get_or_insert(id);
        }
    }

    /// On lost connections, the server processed the messages up to this number. The others are sent again, before those
    /// that wait.
    pub(super) fn resume(&mut self, seq: u64) {
        let processed = self.sent.partition_point(|message| message.seq <= seq);
        for mut message in self.sent.drain(processed..).rev() {
            message.lost_as = None;
            self.waiting.push_front(message);
        }
    }

    /// The history shows that this was said.
    pub(super) fn was_said(&mut self, id: UserId, text: &Text<'_>) {
        let same = |message: &Message| message.lost_as == Some(id) && message.text == *text;
        if let Some(place) = self.sent.iter().position(same) {
            let message = self.sent.remove(place);
            self.account(message);
        }
    }

    /// Takes the messages that were processed on lost connections, except those that [`Self::was_said`] named.
    pub(super) fn take_processed(&mut self) -> Vec<Message> {
        let processed = self.sent.partition_point(|message| message.lost_as.is_some());
        (0..processed).filter_map(|_| self.acknowledge()).collect()
    }

    fn account(&mut self, message: Option<Message>) -> Option<Message> {
        self.bytes -= message.as_ref().map_or(0, Message::cost);
        message
    }

    /// Messages to everybody that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Messages to everybody that are not acknowledged, sent or not.
    pub(super) fn unacknowledged(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }
}

// Private messages.
impl Outbox {
    pub(super) fn add_draft(&mut self, draft: Draft) {
        self.bytes += draft.cost();
        self.drafts.push_back(draft);
    }

    pub(super) fn take_drafts(&mut self) -> VecDeque<Draft> {
        let drafts = std::mem::take(&mut self.drafts);
        self.bytes -= drafts.iter().map(Draft::cost).sum::<usize>();
        drafts
    }

    pub(super) fn drafts_mut(&mut self) -> impl Iterator<Item = &mut Draft> {
        self.drafts.iter_mut()
    }

    /// Whether a draft waits for this user.
    pub(super) fn has_draft_for(&self, peer: &Peer) -> bool {
        self.drafts.iter().any(|draft| draft.peer == *peer)
    }

    /// Whether a draft waits for a user who may have this key.
    pub(super) fn has_draft_with(&self, key: Key) -> bool {
        self.drafts.iter().any(|draft| draft.peer.may_have(key))
    }

    /// Whether drafts wait for users who may return.
    pub(super) fn awaits_peers(&self) -> bool {
        self.drafts.iter().any(|draft| draft.awaits_peer)
    }
}

// All of them.
impl Outbox {
    /// Messages to everybody that the server has not confirmed, and private ones that are still drafts, in the order
    /// typed.
    pub(super) fn unsent(&self) -> Vec<Unsent<'_>> {
        let messages = self.sent.iter().chain(&self.waiting);
        let to_all = messages.map(|message| (message.seq, None, &message.text));
        let drafts = self.drafts.iter();
        let to_one = drafts.map(|draft| (draft.seq, Some(&draft.peer.who), &draft.text));
        let mut unsent: Vec<_> = to_all.chain(to_one).collect();
        unsent.sort_by_key(|(seq, ..)| *seq);
        let unsent = unsent.into_iter();
        unsent.map(|(_, to, text)| Unsent { to, text }).collect()
    }

    pub(super) fn unsent_count(&self) -> usize {
        self.unacknowledged() + self.drafts.len()
    }

    /// Messages without a result.
    pub(super) fn len(&self) -> usize {
        self.unsent_count() + self.privates.len()
    }

    /// Whether one more message may be typed.
    pub(super) fn has_room(&self) -> bool {
        let awaits = |draft: &Draft| draft.awaits_peer || draft.peer.is_unasked();
        self.bytes < BYTES_MAX && self.drafts.iter().all(awaits)
    }

    /// Whether more input may be read. If not, drafts have to be sent, or results to arrive, first.
    pub(super) fn takes_input(&self) -> bool {
        self.has_room() && self.privates.len() < PRIVATES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(texts: &[&str]) -> Outbox {
        let mut outbox = Outbox::default();
        for (seq, text) in (1..).zip(texts) {
            let text = Text::new(text).into_owned();
            outbox.push(Message::new(seq, text));
            outbox.send_next();
        }
        outbox
    }

    fn texts(messages: Option<Vec<Message>>) -> Option<Vec<String>> {
        messages.map(|messages| messages.iter().map(|m| m.text.to_string()).collect())
    }

    #[test]
    fn acknowledged_and_refused_messages_are_removed() {
        let mut outbox = outbox(&["a", "b", "c", "d"]);
        assert_eq!(outbox.acknowledge().unwrap().seq, 1);
        assert_eq!(outbox.refuse(3).unwrap().text.as_str(), "c");
        assert_eq!(outbox.refuse(3), None);
        assert_eq!(outbox.acknowledge().unwrap().seq, 2);
        assert_eq!(outbox.acknowledge().unwrap().seq, 4);
        assert_eq!((outbox.len(), outbox.bytes), (0, 0));
        assert_eq!(outbox.acknowledge(), None);
    }

    #[test]
    fn a_returned_text_shows_which_messages_were_lost() {
        let mut outbox = outbox(&["a", "b", "a", "long and spoiled", "z"]);
        assert_eq!(texts(outbox.acknowledge_text("x", 10)), None);
        assert_eq!(texts(outbox.acknowledge_text("b ", 10)), Some(vec!["a".into()]));
        assert_eq!(texts(outbox.acknowledge_text("a", 10)), Some(vec![]));
        assert_eq!(
            texts(outbox.acknowledge_text("long an\u{FFFD}", 10)),
            Some(vec![])
        );
        assert_eq!(texts(outbox.acknowledge_text("z", 10)), Some(vec![]));
        assert_eq!((outbox.len(), outbox.bytes), (0, 0));
    }
}
