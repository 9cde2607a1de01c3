//! The users that spoke last, and those that are ignored.

use chat_proto::id::UserId;
use chat_proto::nick::{Nick, NickKey};
use chat_proto::who::Who;

/// The most users that are remembered in each order.
const SPEAKERS_MAX: usize = 64;

/// The other users that matter for completion, and the ignored ones.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    /// The users that spoke, the last speaker first.
    speakers: Vec<UserId>,
    /// The users with private messages from or to this one, the latest first.
    correspondents: Vec<UserId>,
    /// Matched by nick and by id: after a reconnection the id is new, after a rename the nick.
    ignored: Vec<Who>,
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

    pub(super) fn ignore(&mut self, who: Who) {
        if !self.ignored.contains(&who) {
            self.ignored.push(who);
        }
    }

    /// Removes the ignored users with this nick or id, and returns them.
    pub(super) fn unignore(&mut self, typed: &str) -> Vec<Who> {
        let key = NickKey::of(typed.split('@').next().unwrap_or_default());
        let (meant, others) = std::mem::take(&mut self.ignored)
            .into_iter()
            .partition(|who| typed == who.id.to_string() || key_of(who).as_ref() == Some(&key));
        self.ignored = others;
        meant
    }

    pub(super) fn ignored(&self) -> &[Who] {
        &self.ignored
    }

    pub(super) fn is_ignored(&self, who: &Who) -> bool {
        !self.ignored.is_empty()
            && self
                .ignored
                .iter()
                .any(|other| other.id == who.id || who.nick.is_some() && key_of(other) == key_of(who))
    }
}

fn key_of(who: &Who) -> Option<NickKey> {
    who.nick.as_ref().map(Nick::key)
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
    fn an_ignored_user_stays_so_under_another_id_or_nick() {
        let mut contacts = Contacts::default();
        contacts.ignore(who("bob@10.0.0.6:40000"));
        for other in [
            "bob@10.0.0.6:40000",
            "BOB@10.0.0.9:1",
            "rob@10.0.0.6:40000",
            "10.0.0.6:40000",
        ] {
            assert!(contacts.is_ignored(&who(other)), "{other}");
        }
        for other in ["carol@10.0.0.7:1", "10.0.0.7:1"] {
            assert!(!contacts.is_ignored(&who(other)), "{other}");
        }
        assert_eq!(contacts.unignore("carol"), []);
        assert_eq!(contacts.unignore("Bob"), [who("bob@10.0.0.6:40000")]);
        assert!(!contacts.is_ignored(&who("bob@10.0.0.6:40000")));
    }

    #[test]
    fn ignoring_an_id_does_not_ignore_all_without_a_nick() {
        let mut contacts = Contacts::default();
        contacts.ignore(who("10.0.0.6:40000"));
        assert!(!contacts.is_ignored(&who("10.0.0.7:40000")));
        assert_eq!(contacts.unignore("10.0.0.6:40000").len(), 1);
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
