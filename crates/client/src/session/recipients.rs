//! The recipients that the user chose: by `--to`, `/query`, and `/reply`.
//!
//! Each is a user, known again by its key or for as long as it stays. An address or a nick may be another user's by the
//! time the next line is typed.

use super::peer::Peer;
use crate::roster::Roster;
use chat_proto::who::Who;

#[derive(Debug)]
pub(super) struct Recipients {
    /// The recipient of lines that are no commands.
    pub(super) target: Target,
    /// The recipient of `/reply`: the sender of the last private message.
    pub(super) writer: Option<Peer>,
}

/// The recipient of lines that are no commands.
#[derive(Debug)]
pub(super) enum Target {
    Everybody,
    /// `--to`, as typed, until the first line is sent.
    Named(String),
    User(Peer),
    /// A script's `/query` found no user. Its lines are not for everybody.
    NotFound,
}

impl Recipients {
    /// Lines go to everybody, or to the user of `--to`.
    pub(super) fn new(to: Option<String>) -> Self {
        Self {
            target: to.map_or(Target::Everybody, Target::Named),
            writer: None,
        }
    }

    /// The user to whom alone lines go.
    pub(super) fn query(&self) -> Option<&Who> {
        match &self.target {
            Target::User(peer) => Some(&peer.who),
            Target::Everybody | Target::Named(_) | Target::NotFound => None,
        }
    }

    /// A user left the roster: lines never go to the next user of its address. Whether it was the one of `/query`.
    pub(super) fn left(&mut self, who: &Who, roster: &Roster) -> bool {
        self.peers().for_each(|peer| peer.left(who));
        match &self.target {
            // It may have joined on another connection before.
            Target::User(peer) => peer.who.id == who.id && peer.find(roster).is_none(),
            Target::Everybody | Target::Named(_) | Target::NotFound => false,
        }
    }

    /// A user is about to take another nick in the roster.
    pub(super) fn renamed(&mut self, after: &Who, roster: &Roster) {
        for peer in self.peers() {
            if peer
                .find(roster)
                .is_some_and(|profile| profile.who.id == after.id)
            {
                peer.who = after.clone();
            }
        }
    }

    fn peers(&mut self) -> impl Iterator<Item = &mut Peer> {
        let target = match &mut self.target {
            Target::User(peer) => Some(peer),
            Target::Everybody | Target::Named(_) | Target::NotFound => None,
        };
        target.into_iter().chain(&mut self.writer)
    }
}
