//! Messages sent, shown and reported, checked against the promises.

use chat_client::private::{MessageId, Path, Received, State, Why};
use chat_proto::opaque::PublicKey;
use chat_proto::rich::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// A message does not fail for lack of an answer before this time.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A client encrypts under the same keys for less than this time.
const KEYS_LAST: Duration = Duration::from_secs(180);

/// Keys in use are renewed after this time.
const RENEWED_AFTER: Duration = Duration::from_secs(120);

/// A message must be settled by then. Messages sent within 100 ms expire together.
const SETTLED_BY: Duration = Duration::from_millis(30_100);

#[derive(Default)]
pub(crate) struct Ledger {
    messages: Vec<Message>,
    by_text: BTreeMap<String, usize>,
    by_id: BTreeMap<(PublicKey, MessageId), usize>,
    /// The place in `messages` of the last message shown, for each sender and receiver.
    last_shown: BTreeMap<(PublicKey, PublicKey), usize>,
    /// The same of texts. Messages about files have no mark of a gap.
    last_text: BTreeMap<(PublicKey, PublicKey), usize>,
    unsettled: BTreeSet<usize>,
    /// Bytes to and from unused addresses, by client.
    victims: BTreeMap<(PublicKey, SocketAddr), (usize, usize)>,
    /// When each client first encrypted for an index. The last 8 bits of that count the handshakes of a conversation.
    keys: BTreeMap<(PublicKey, u32), Duration>,
    pub(crate) renewed: usize,
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
    /// Its sender crashed, so nobody reports it.
    is_abandoned: bool,
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
            is_abandoned: false,
        });
    }

    /// A client shows a message from a user that has `label_key` in its view.
    pub(crate) fn shown(&mut self, at: PublicKey, label_key: Option<Key>, received: &Received) {
        let text = received.text.as_str();
        let short = &text[..text.len().min(20)];
        if !received.sealed {
            // Unencrypted text can be forged, but is never shown under the name of a user with a
            // key.
            assert_eq!(
                label_key, None,
                "{short:?} is shown unencrypted from a user with a key"
            );
            return;
        }
        let Some(&place) = self.by_text.get(text) else {
            panic!("{short:?} is shown but was not sent");
        };
        let message = &mut self.messages[place];
        assert_eq!(message.to, at, "{short:?} is shown to another user");
        assert_eq!(
            Some(Key::Whole(message.from)),
            label_key,
            "{short:?} is shown under another name"
        );
        assert!(!message.shown, "{short:?} is shown twice");
        let overtaken = matches!(message.state, Some(State::NotDelivered(Why::Overtaken)));
        assert!(
            !overtaken,
            "{short:?} is shown after its sender was told that it won't be"
        );
        message.shown = true;
        self.shown += 1;
        let from = message.from;
        let last = self.last_shown.insert((from, at), place);
        assert!(last < Some(place), "{short:?} is shown after a later one");
        let last = self.last_text.get(&(from, at));
        let first = last.map_or(0, |last| last + 1);
        let between = &self.messages[first..place];
        let missing = between
            .iter()
            .any(|other| other.from == from && other.to == at && !other.shown);
        if text.starts_with("message ") {
            self.last_text.insert((from, at), place);
        }
        assert!(
            missing || !received.after_gap,
            "{short:?} is marked, but no message before it is missing"
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
                assert!(
                    message.shown,
                    "{text:?} is reported as delivered but was not shown"
                );
                assert_eq!(after, now - message.at);
                self.delivered += 1;
                self.relayed += usize::from(path == Path::Relayed);
            }
            State::NotDelivered(why) => {
                if why == Why::NoAnswer {
                    assert!(now - message.at >= DELIVERY_TIMEOUT, "{text:?} failed too soon");
                }
                assert!(
                    why != Why::Overtaken || !message.shown,
                    "{text:?} was shown nevertheless"
                );
                *self.failed.entry(format!("{why:?}")).or_default() += 1;
            }
            State::SentUnencrypted { .. } => unreachable!(),
        }
    }

    pub(crate) fn crashed(&mut self, key: PublicKey) {
        // The next run may have the same key, and counts from the beginning.
        self.by_id.retain(|(from, _), _| *from != key);
        let lost = self.messages.iter_mut().filter(|message| message.from == key);
        lost.for_each(|message| message.is_abandoned = true);
        let messages = &self.messages;
        self.unsettled.retain(|place| messages[*place].from != key);
    }

    /// Checks at any time that old messages are settled.
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
            "{to} bytes go to {victim}, but only {back} came from there"
        );
    }

    /// A client encrypts for this index of its peer.
    pub(crate) fn sealed(&mut self, now: Duration, by: PublicKey, index: u32) {
        if let Some(first) = self.keys.get(&(by, index)) {
            let age = now - *first;
            assert!(age < KEYS_LAST, "keys encrypt after {age:?}");
            return;
        }
        let conversation = (by, index & !0xFF)..=(by, index | 0xFF);
        let mut ages = self.keys.range(conversation).map(|(_, first)| now - *first);
        self.renewed += usize::from(ages.any(|age| (RENEWED_AFTER..KEYS_LAST).contains(&age)));
        self.keys.insert((by, index), now);
    }

    pub(crate) fn seemingly_from_victim(&mut self, to: PublicKey, victim: SocketAddr, bytes: usize) {
        self.victims.entry((to, victim)).or_default().1 += bytes;
    }

    /// Checks at the end that every message was shown, or its sender was told, or the sender
    /// crashed.
    pub(crate) fn check_end(&self) {
        assert!(self.unsettled.is_empty());
        for message in &self.messages {
            let failed = matches!(message.state, Some(State::NotDelivered(_)));
            let is_accounted = message.shown || failed || message.is_abandoned;
            assert!(is_accounted, "{:?} is lost without a report", message.text);
        }
    }
}
