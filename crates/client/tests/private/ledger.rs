//! What was sent, shown and reported, and whether that keeps the promises.

use chat_client::private::{MessageId, Path, Received, State, Why};
use chat_proto::opaque::PublicKey;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// A message is not given up before this.
const PATIENCE: Duration = Duration::from_secs(30);

/// It has to be settled by then: messages that were written within 100 ms are given up together.
const SETTLED_BY: Duration = Duration::from_millis(30_100);

#[derive(Default)]
pub(crate) struct Ledger {
    messages: Vec<Message>,
    by_text: BTreeMap<String, usize>,
    by_id: BTreeMap<(PublicKey, MessageId), usize>,
    /// The place in `messages` of the last one shown, of each sender to each receiver.
    last_shown: BTreeMap<(PublicKey, PublicKey), usize>,
    unsettled: BTreeSet<usize>,
    /// Keys whose client died: nobody will hear what became of its messages.
    dead: BTreeSet<PublicKey>,
    /// Bytes to and from addresses at which nobody is, by client.
    victims: BTreeMap<(PublicKey, SocketAddr), (usize, usize)>,
    pub(crate) shown: usize,
    pub(crate) delivered: usize,
    pub(crate) relayed: usize,
    pub(crate) failed: BTreeMap<String, usize>,
}

struct Message {
    from: PublicKey,
    to: PublicKey,
    text: String,
    at: Duration,
    shown: bool,
    state: Option<State>,
}

impl Ledger {
    pub(crate) fn sent(
        &mut self,
        now: Duration,
        id: MessageId,
        from: PublicKey,
        to: PublicKey,
        text: String,
    ) {
        let place = self.messages.len();
        assert!(self.by_text.insert(text.clone(), place).is_none());
        self.by_id.insert((from, id), place);
        self.unsettled.insert(place);
        self.messages.push(Message {
            from,
            to,
            text,
            at: now,
            shown: false,
            state: None,
        });
    }

    /// A client shows a message under a label that it takes for `label_key`.
    pub(crate) fn shown(&mut self, at: PublicKey, label_key: Option<PublicKey>, received: &Received) {
        let text = received.text.as_str();
        let short = &text[..text.len().min(20)];
        if !received.sealed {
            // Bare text can be forged and garbled on its way; but nobody who has a key is said to have written it.
            assert_eq!(
                label_key, None,
                "{short:?} is shown in the clear from one who has a key"
            );
            return;
        }
        let Some(&place) = self.by_text.get(text) else {
            panic!("{short:?} is shown and nobody wrote it");
        };
        let message = &mut self.messages[place];
        assert_eq!(message.to, at, "{short:?} is shown to somebody else");
        assert_eq!(
            Some(message.from),
            label_key,
            "{short:?} is shown in the name of another"
        );
        assert!(!message.shown, "{short:?} is shown twice");
        let overtaken = matches!(message.state, Some(State::NotDelivered(Why::Overtaken)));
        assert!(
            !overtaken,
            "{short:?} is shown after its sender was told that it will not be"
        );
        message.shown = true;
        self.shown += 1;
        let from = message.from;
        let last = self.last_shown.insert((from, at), place);
        assert!(last < Some(place), "{short:?} is shown after a later one");
        let first = last.map_or(0, |last| last + 1);
        let between = &self.messages[first..place];
        let missing = between.iter().any(|other| other.from == from && other.to == at);
        assert!(
            missing || !received.after_gap,
            "{short:?} is marked, and nothing is missing before it"
        );
    }

    pub(crate) fn state(&mut self, now: Duration, from: PublicKey, id: MessageId, state: State) {
        if let State::SentUnencrypted { .. } = state {
            return;
        }
        let Some(&place) = self.by_id.get(&(from, id)) else {
            return;
        };
        let message = &mut self.messages[place];
        let text = message.text.get(..20).unwrap_or(&message.text);
        assert_eq!(message.state, None, "{text:?} is settled again: {state:?}");
        message.state = Some(state);
        self.unsettled.remove(&place);
        match state {
            State::Delivered { path, after } => {
                assert!(message.shown, "{text:?} is reported delivered and was not shown");
                assert_eq!(after, now - message.at);
                self.delivered += 1;
                self.relayed += usize::from(path == Path::Relayed);
            }
            State::NotDelivered(why) => {
                if why == Why::NoAnswer {
                    assert!(now - message.at >= PATIENCE, "{text:?} is given up too soon");
                }
                assert!(
                    why != Why::Overtaken || !message.shown,
                    "{text:?} was shown all the same"
                );
                *self.failed.entry(format!("{why:?}")).or_default() += 1;
            }
            State::SentUnencrypted { .. } => unreachable!(),
        }
    }

    pub(crate) fn died(&mut self, key: PublicKey) {
        self.dead.insert(key);
        let messages = &self.messages;
        self.unsettled.retain(|place| messages[*place].from != key);
    }

    /// At any time: whatever was sent so long ago is settled.
    pub(crate) fn check_settled(&self, now: Duration) {
        if let Some(&place) = self.unsettled.first() {
            let message = &self.messages[place];
            let text = message.text.get(..20).unwrap_or(&message.text);
            assert!(
                now <= message.at + SETTLED_BY,
                "{text:?}, sent at {:?}, is not settled",
                message.at
            );
        }
    }

    pub(crate) fn sent_to_victim(&mut self, from: PublicKey, victim: SocketAddr, bytes: usize) {
        let (to, back) = self.victims.entry((from, victim)).or_default();
        *to += bytes;
        assert!(
            *to <= 3 * *back,
            "{to} bytes go to {victim}, from where only {back} seemed to come"
        );
    }

    pub(crate) fn seemingly_from_victim(&mut self, to: PublicKey, victim: SocketAddr, bytes: usize) {
        self.victims.entry((to, victim)).or_default().1 += bytes;
    }

    /// At the end: every message was shown once, or its sender was told; unless the sender itself is gone.
    pub(crate) fn check_end(&self) {
        assert!(self.unsettled.is_empty());
        for message in &self.messages {
            let told = matches!(message.state, Some(State::NotDelivered(_)));
            let fine = message.shown || told || self.dead.contains(&message.from);
            assert!(fine, "{:?} is lost, and nobody was told", message.text);
        }
    }
}
