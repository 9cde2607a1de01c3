//! Messages to everybody, from being typed to being acknowledged.

use chat_proto::text::Text;
use std::collections::VecDeque;

/// The client's own messages: those that wait to be sent, and those that were sent and have not come
/// back. They come back in the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Message>,
    sent: VecDeque<Message>,
    /// What both queues hold.
    bytes: usize,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Its number; it grows from message to message.
    pub(super) seq: u64,
    /// What it says.
    pub(super) text: Text<'static>,
}

/// What a message costs besides its text: its framing on the wire and its place here.
const OVERHEAD: usize = 64;

impl Message {
    fn cost(&self) -> usize {
        self.text.as_str().len() + OVERHEAD
    }
}

impl Outbox {
    pub(super) fn push(&mut self, message: Message) {
        self.bytes += message.cost();
        self.waiting.push_back(message);
    }

    /// The next message to send, which counts as sent from now on.
    pub(super) fn send_next(&mut self) -> Option<&Message> {
        let message = self.waiting.pop_front()?;
        self.sent.push_back(message);
        self.sent.back()
    }

    /// The oldest message that was sent came back.
    pub(super) fn acknowledge(&mut self) -> Option<Message> {
        let message = self.sent.pop_front();
        self.account(message)
    }

    /// A message that was sent came back with this text, from a server that loses some and spoils
    /// long ones: the answer is those it must have lost. `None`: it is none of those that were
    /// sent.
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

    /// This message was refused.
    pub(super) fn refuse(&mut self, seq: u64) -> Option<Message> {
        let place = self.sent.iter().position(|message| message.seq == seq)?;
        let message = self.sent.remove(place);
        self.account(message)
    }

    /// The server took every message up to this number.
    pub(super) fn acknowledge_through(&mut self, seq: u64) {
        while self.sent.front().is_some_and(|message| message.seq <= seq) {
            self.acknowledge();
        }
    }

    fn account(&mut self, message: Option<Message>) -> Option<Message> {
        self.bytes -= message.as_ref().map_or(0, Message::cost);
        message
    }

    /// What was sent and has not come back is sent again, before what waits.
    pub(super) fn resend(&mut self) {
        self.sent.append(&mut self.waiting);
        std::mem::swap(&mut self.sent, &mut self.waiting);
    }

    /// All messages that are not acknowledged.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Message> {
        self.sent.iter().chain(&self.waiting)
    }

    /// Messages that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Messages that are not acknowledged, sent or not.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.sent.len()
    }

    /// What they cost in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(texts: &[&str]) -> Outbox {
        let mut outbox = Outbox::default();
        for (seq, text) in (1..).zip(texts) {
            let text = Text::new(text).into_owned();
            outbox.push(Message { seq, text });
            outbox.send_next();
        }
        outbox
    }

    fn texts(messages: Option<Vec<Message>>) -> Option<Vec<String>> {
        messages.map(|messages| messages.iter().map(|m| m.text.to_string()).collect())
    }

    #[test]
    fn what_is_acknowledged_refused_or_taken_is_gone() {
        let mut outbox = outbox(&["a", "b", "c", "d"]);
        assert_eq!(outbox.acknowledge().unwrap().seq, 1);
        assert_eq!(outbox.refuse(3).unwrap().text.as_str(), "c");
        assert_eq!(outbox.refuse(3), None);
        outbox.acknowledge_through(4);
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
        assert_eq!(outbox.acknowledge(), None);
    }

    #[test]
    fn an_echo_by_its_text_shows_what_was_lost_before_it() {
        let mut outbox = outbox(&["a", "b", "a", "long and spoiled", "z"]);
        assert_eq!(texts(outbox.acknowledge_text("x", 10)), None);
        assert_eq!(texts(outbox.acknowledge_text("b ", 10)), Some(vec!["a".into()]));
        assert_eq!(texts(outbox.acknowledge_text("a", 10)), Some(vec![]));
        assert_eq!(
            texts(outbox.acknowledge_text("long an\u{FFFD}", 10)),
            Some(vec![])
        );
        assert_eq!(texts(outbox.acknowledge_text("z", 10)), Some(vec![]));
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    }
}
