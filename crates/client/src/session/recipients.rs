//! Whom typed lines are for: `--to`, `/query`, `/reply` and `/verify`.
//!
//! A recipient is a user, known again by its key or for as long as it stays. An address or a nick may be
//! somebody else's by the time the next line is typed.

use super::event::{Event, VerifyCode};
use super::peer::Peer;
use super::state::Session;
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_proto::who::Who;

/// The recipients that the user chose, and the one who wrote last.
#[derive(Debug)]
pub(super) struct Recipients {
    target: Target,
    /// The sender of the last private message.
    writer: Option<Peer>,
}

/// The recipient of lines that are no commands.
#[derive(Debug)]
enum Target {
    Everybody,
    /// `--to`, as typed, until the first line is sent.
    Named(String),
    User(Peer),
    /// Lines are refused: they were meant for a user whom `/query` did not find.
    NotFound,
}

impl Recipients {
    /// Lines go to everybody, or to this user alone.
    pub(super) fn new(to: Option<String>) -> Self {
        Self {
            target: to.map_or(Target::Everybody, Target::Named),
            writer: None,
        }
    }

    /// A private message came.
    pub(super) fn written_by(&mut self, peer: Peer) {
        self.writer = Some(peer);
    }

    pub(super) fn query(&self) -> Option<&Who> {
        match &self.target {
            Target::User(peer) => Some(&peer.who),
            Target::Everybody | Target::Named(_) | Target::NotFound => None,
        }
    }

    pub(super) fn peers_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        let target = match &mut self.target {
            Target::User(peer) => Some(peer),
            Target::Everybody | Target::Named(_) | Target::NotFound => None,
        };
        target.into_iter().chain(&mut self.writer)
    }
}

impl Session {
    /// The user to whom alone lines go that are no commands.
    #[must_use]
    pub fn query(&self) -> Option<&Who> {
        self.recipients.query()
    }

    /// Sends a line that is no command to its recipient.
    pub(super) fn say_where_it_goes(&mut self, text: &Text<'_>, now: Now) {
        match &self.recipients.target {
            Target::Everybody => self.say(text),
            Target::User(peer) => {
                let peer = peer.clone();
                if let Some(peer) = self.send_to(peer, text, now) {
                    self.recipients.target = Target::User(peer);
                }
            }
            Target::Named(typed) => {
                let typed = typed.clone();
                if let Some(peer) = self.send_private(&typed, text, now) {
                    self.recipients.target = Target::User(peer);
                }
            }
            Target::NotFound => {
                let reason = Text::new("the last /query failed; /query alone writes to everybody again");
                self.refused(text.clone().into_owned(), reason);
            }
        }
    }

    /// `/reply`: writes to the user who wrote last.
    pub(super) fn reply(&mut self, text: &Text<'_>, now: Now) {
        let Some(writer) = self.recipients.writer.clone() else {
            return self.fail("nobody has written to you privately yet".into());
        };
        if let Some(writer) = self.send_to(writer, text, now) {
            self.recipients.writer = Some(writer);
        }
    }

    /// `/query`: lines go to this user alone from now on, or to everybody again.
    pub(super) fn set_query(&mut self, typed: Option<&str>) {
        let target = match typed.map(|typed| (typed, self.resolve(typed))) {
            None => Target::Everybody,
            Some((_, Ok(id))) => Target::User(self.peer(id)),
            Some((typed, Err(reason))) => {
                // Whoever types ahead, as a script does, has not seen the error.
                if !self.config.interactive {
                    self.recipients.target = Target::NotFound;
                }
                return self.fail(format!("no query with {}: {reason}", Text::new(typed)));
            }
        };
        self.recipients.target = target;
        let who = self.recipients.query().cloned();
        self.events.push_back(Event::Query(who));
    }

    /// `/verify`: shows the code to compare.
    pub(super) fn verify(&mut self, typed: &str) {
        let code = self.resolve(typed).and_then(|id| {
            let code = self.private.verify_code(id).ok_or("that user has no key")?;
            Ok((self.who(id), code))
        });
        match code {
            Ok((who, code)) => self.events.push_back(Event::Code(VerifyCode { who, code })),
            Err(reason) => self.fail(format!("nothing to compare with {}: {reason}", Text::new(typed))),
        }
    }

    /// A user left: what was meant for it never goes to the next user of its address.
    pub(super) fn recipient_left(&mut self, who: &Who) {
        let is_query = self.query().is_some_and(|query| query.id == who.id);
        let drafts = self.outbox.drafts_mut().filter(|draft| !draft.awaits_peer);
        for peer in self
            .recipients
            .peers_mut()
            .chain(drafts.map(|draft| &mut draft.peer))
        {
            peer.left(who);
        }
        if is_query && self.config.to.is_none() {
            self.warn(format!(
                "{who} left: what you type is not sent; /query alone writes to everybody"
            ));
        }
    }

    /// A user takes another nick; the roster still has the old one.
    pub(super) fn recipient_renamed(&mut self, after: &Who) {
        for peer in self.recipients.peers_mut() {
            if peer
                .find(self.private.roster())
                .is_some_and(|profile| profile.who.id == after.id)
            {
                peer.who = after.clone();
            }
        }
    }
}
