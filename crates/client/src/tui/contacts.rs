//! The users that spoke last.

use chat_proto::id::UserId;
use chat_proto::who::Who;

/// The most users that are remembered in each order.
const SPEAKERS_MAX: usize = 64;

/// The other users that matter for completion.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    /// The users that spoke, the last speaker first.
    speakers: Vec<UserId>,
    /// The users with private messages from or to this one, the latest first.
    correspondents: Vec<UserId>,
}

impl Contacts {
    /// A user sent a message to everybody.
    pub(super) fn spoke(&mut self, id: UserId) {
        to_front(&mut self.speakers, id);
    }

    /// A private message was received from a user, or sent to it.
    pub(super) fn corresponded(&mut self, peer: &Who) {
        to_front(&mut self.correspondents, peer.id);
    }

    /// The rank among the speakers; the last speaker is 0.
    pub(super) fn rank(&self, id: UserId) -> usize {
        rank(&self.speakers, id)
    }

    /// The rank among the correspondents, if the user is one.
    pub(super) fn correspondent_rank(&self, id: UserId) -> Option<usize> {
        self.correspondents.iter().position(|&other| other == id)
    }
}

fn rank(ids: &[UserId], id: UserId) -> usize {
    ids.iter().position(|&other| other == id).unwrap_or(usize::MAX)
}

fn to_front(ids: &mut Vec<UserId>, id: UserId) {
    if ids.first() != Some(&id) {
        ids.retain(|&other| other != id);
        ids.insert(0, id);
        ids.truncate(SPEAKERS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(text: &str) -> Who {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_speaker_comes_first() {
        let mut contacts = Contacts::default();
        let id = |port: u16| who(&format!("10.0.0.1:{port}")).id;
        for port in [1, 2, 1] {
            contacts.spoke(id(port));
        }
        assert!(contacts.rank(id(1)) < contacts.rank(id(2)) && contacts.rank(id(2)) < contacts.rank(id(3)));
        for port in 1..1000 {
            contacts.spoke(id(port));
        }
        assert_eq!(contacts.speakers.len(), SPEAKERS_MAX);
    }
}
