//! A connection that was lost, and the one that takes its place.
//!
//! The token of the last `WELCOME` gives the client its nick back, and the number in the next one tells which
//! messages the server took: those are not sent again, and the others are, in order.

use super::ear::Ear;
use super::outcome::Outcome;
use super::{Ends, Event, LineDecoder, Message, SERVER_LINE_MAX, Session, Stage};
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_proto::times::Times;
use chat_proto::who::Who;

/// A message that waits to be sent, or to be confirmed by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsent<'a> {
    /// The one user for whom it is, if it is not for everybody.
    pub to: Option<&'a Who>,
    /// What it says.
    pub text: &'a Text<'static>,
}

impl Session {
    /// Whether the connection was lost and another one shall be made, see [`Session::connected`].
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.stage, Stage::Lost) && self.outcome.is_none()
    }

    /// Another connection was made in place of the lost one.
    pub fn connected(&mut self, ends: Ends, now: Now) {
        self.config.ends = ends;
        // The nick may be another by now, and one that can't be had any more is no reason to leave.
        let nick = self.me.take().and_then(|me| me.nick);
        self.config.nick = nick.or_else(|| self.config.nick.take());
        self.config.insist_on_nick = false;
        self.clocks.heard = now.monotonic;
        self.stage = Stage::greeting(now);
    }

    /// Whether this end of a connection is not the end of the session.
    pub(super) fn survives(&self, outcome: &Outcome) -> bool {
        let by_the_server = !matches!(
            outcome,
            Outcome::Left | Outcome::Unacknowledged(_) | Outcome::NickRefused(_)
        );
        let stays = self.clocks.ending.is_none() && self.clocks.leaving.is_none();
        self.config.interactive && self.joined && by_the_server && stays
    }

    pub(super) fn lose(&mut self, outcome: Outcome) {
        let was_original = self.is_original();
        self.stage = Stage::Lost;
        self.decoder = LineDecoder::new(SERVER_LINE_MAX);
        self.ear = Ear::default();
        self.may_yet_greet = false;
        self.times = Times::default();
        self.clocks.pinged = None;
        self.clocks.paced = None;
        self.clocks.proof = None;
        self.nicks_asked = 0;
        self.goodbye = None;
        self.bytes.clear();
        self.datagrams.clear();
        if was_original {
            self.give_up_sent();
        }
        self.events.push_back(Event::Lost(outcome));
    }

    /// An original server does not say what it took, and a message that is sent again may be there twice.
    fn give_up_sent(&mut self) {
        while let Some(Message { text, .. }) = self.outbox.acknowledge() {
            self.refused(
                text,
                Text::new("the connection was lost, and it may not have arrived"),
            );
        }
    }

    /// What the user typed and no server has confirmed, in that order: what was said to everybody, and private messages
    /// that wait for a connection.
    #[must_use]
    pub fn unsent(&self) -> Vec<Unsent<'_>> {
        let to_all = self.outbox.iter().map(|message| {
            let Message { seq, text } = message;
            (*seq, Unsent { to: None, text })
        });
        let to_one = self.deferred.iter().map(|(seq, to, text)| {
            let to = Some(to);
            (seq, Unsent { to, text })
        });
        let mut unsent: Vec<_> = to_all.chain(to_one).collect();
        unsent.sort_by_key(|(seq, _)| *seq);
        unsent.into_iter().map(|(_, unsent)| unsent).collect()
    }

    /// How many these are.
    #[must_use]
    pub fn unsent_count(&self) -> usize {
        self.outbox.len() + self.deferred.len()
    }

    /// Whether there is room for more messages that wait to be sent.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.outbox.bytes() + self.deferred.bytes() < super::UNACKNOWLEDGED_MAX
            && self.waiting_privates.is_empty()
    }
}
