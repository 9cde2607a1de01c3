//! What the server is asked about users: it announces only how each key begins.
//!
//! A question is asked once. Until the answer comes, the last of each kind of input that needs it is held back.

use super::path::Source;
use chat_proto::id::UserId;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest wait for an answer. A server that is here answers within a round trip.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// Questions without an answer, above which only the user of this client causes more: 4,096 lines of 50 bytes.
const EARLY_MAX: usize = 4096;

/// The questions without an answer, at most one for each user in the roster.
#[derive(Debug, Default)]
pub(super) struct Questions(BTreeMap<UserId, Question>);

/// A question about one user, and what waits for its answer.
#[derive(Debug)]
pub(super) struct Question {
    until: Duration,
    is_late: bool,
    /// The user of this client turned to that user.
    pub(super) turns: bool,
    pub(super) punch: Option<SocketAddr>,
    pub(super) beginning: Option<(Source, Vec<u8>)>,
}

impl Questions {
    /// The question about a user, and whether it is a new one.
    pub(super) fn ask(&mut self, now: Duration, id: UserId) -> (bool, &mut Question) {
        let is_new = !self.0.contains_key(&id);
        let question = self.0.entry(id).or_insert_with(|| Question {
            until: now + ANSWER_WAIT,
            is_late: false,
            turns: false,
            punch: None,
            beginning: None,
        });
        (is_new, question)
    }

    /// Whether there is room for questions whose answers the user of this client does not wait for.
    pub(super) fn has_room(&self) -> bool {
        self.0.len() < EARLY_MAX
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.values().any(|question| !question.is_late)
    }

    /// Whether the server owes the answer about this user for too long.
    pub(super) fn is_late(&self, id: UserId) -> bool {
        self.0.get(&id).is_some_and(|question| question.is_late)
    }

    pub(super) fn take(&mut self, id: UserId) -> Option<Question> {
        self.0.remove(&id)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let open = self.0.values().filter(|question| !question.is_late);
        open.map(|question| question.until).min()
    }

    pub(super) fn timeout(&mut self, now: Duration) {
        for question in self.0.values_mut() {
            question.is_late |= question.until <= now;
        }
    }

    pub(super) fn forget_late(&mut self) {
        self.0.retain(|_, question| !question.is_late);
    }
}
