//! Private messages: what connects their delivery to the rest of the session.

use super::event::{Direction, Event, Way};
use super::peer::Peer;
use super::{Session, Stage, Transmit};
use crate::private::{Event as Told, MessageId, Output, Received, Refusal, State, Warning};
use chat_proto::id::UserId;
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::net::SocketAddr;
use std::time::Duration;

/// A private message whose fate is not known.
#[derive(Debug)]
pub(super) struct Pending {
    peer: Who,
    text: Text<'static>,
}

/// A private message that found no room at once.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) peer: Peer,
    text: Text<'static>,
}

impl Session {
    /// `/msg`: sends a private message to the user that was typed. Answers with that user.
    pub(super) fn send_private(&mut self, typed: &str, text: &Text<'_>, now: Now) -> Option<Peer> {
        if text.is_blank() {
            return None;
        }
        match self.resolve(typed) {
            Ok(to) => self.send_to(self.peer(to), text, now),
            Err(reason) => {
                self.not_sent(Text::new(typed), &reason);
                None
            }
        }
    }

    /// The code that this client and a user compare aloud; none without a key of theirs.
    #[must_use]
    pub fn verify_code(&self, with: UserId) -> Option<String> {
        self.private.verify_code(with)
    }

    /// Sends a message to a user as soon as there is room for it. Answers with the user as it is now.
    pub(super) fn send_to(&mut self, peer: Peer, text: &Text<'_>, now: Now) -> Option<Peer> {
        if self.is_away() {
            self.defer(peer.clone(), text);
            return Some(peer);
        }
        let Some(to) = self.locate(&peer) else {
            self.not_sent(Text::from(peer.who.to_string()), "that user is not here any more");
            return None;
        };
        let peer = self.peer(to);
        if self.waiting_privates.is_empty() {
            match self.private.send(now, to, text) {
                Ok(id) => {
                    self.private_is_sent(to, id, text, now);
                    return Some(peer);
                }
                Err(Refusal::Busy) => {}
                Err(refusal) => {
                    self.not_sent(Text::from(peer.who.to_string()), &refusal.to_string());
                    return Some(peer);
                }
            }
        }
        self.waiting_privates.push_back(Waiting {
            peer: peer.clone(),
            text: text.clone().into_owned(),
        });
        Some(peer)
    }

    /// Where a user is now. An original server does not tell of users who were here before.
    fn locate(&self, peer: &Peer) -> Option<UserId> {
        let found = peer.find(&self.roster).map(|profile| profile.who.id);
        found.or_else(|| (self.is_original() && !peer.is_gone()).then_some(peer.who.id))
    }

    /// Sends what had to wait, as far as there is room now.
    pub(super) fn send_waiting(&mut self, now: Now) {
        while let Some(waiting) = self.waiting_privates.front() {
            let to = self.locate(&waiting.peer);
            if to.is_some_and(|to| !self.private.can_send(to)) {
                return;
            }
            let Some(Waiting { peer, text }) = self.waiting_privates.pop_front() else {
                return;
            };
            let rest = std::mem::take(&mut self.waiting_privates);
            self.send_to(peer, &text, now);
            self.waiting_privates.extend(rest);
        }
    }

    fn private_is_sent(&mut self, to: UserId, id: MessageId, text: &Text<'_>, now: Now) {
        let peer = self.who(to);
        let pending = Pending {
            peer: peer.clone(),
            text: text.clone().into_owned(),
        };
        self.privates.insert(id.0, pending);
        self.events.push_back(Event::Private {
            at: now.unix_ms,
            direction: Direction::Sent(id.0),
            peer,
            text: text.clone().into_owned(),
            way: Way {
                path: None,
                sealed: self.roster.get(to).is_some_and(|profile| profile.key.is_some()),
            },
            after_gap: false,
        });
    }

    pub(super) fn not_sent(&mut self, to: Text<'_>, reason: &str) {
        self.failures.privates += 1;
        self.note_failed_message();
        self.error(format!("not sent to {to}: {reason}"));
    }

    /// Who is meant. Original servers do not tell who was here before, so there any id may be written to.
    pub(super) fn resolve(&self, typed: &str) -> Result<UserId, String> {
        use super::roster::Unresolved;
        // Who was here when the connection was lost can still be meant.
        if !self.is_ready() && !self.is_away() {
            return Err("not connected yet".into());
        }
        match self.roster.resolve(typed) {
            Err(Unresolved::NotHere(id)) if self.is_original() => Ok(id),
            resolved => resolved
                .map(|profile| profile.who.id)
                .map_err(|unresolved| unresolved.to_string()),
        }
    }

    pub(super) fn peer(&self, id: UserId) -> Peer {
        Peer::new(self.who(id), &self.roster)
    }

    /// A user as one is shown, here or not.
    pub(super) fn who(&self, id: UserId) -> Who {
        self.roster
            .get(id)
            .map_or(Who::from(id), |profile| profile.who.clone())
    }

    /// A datagram came from this address.
    pub fn datagram(&mut self, source: SocketAddr, bytes: &[u8], now: Now) {
        if matches!(self.stage, Stage::Rich(_) | Stage::Original | Stage::Lost) {
            self.private.datagram(now, source, bytes);
            self.settle(now);
        }
    }

    /// A datagram did not arrive: the system could not send it, or was told that nobody takes it there.
    pub fn datagram_failed(&mut self, to: SocketAddr, now: Now) {
        self.private.port_unreachable(now, to);
        self.settle(now);
    }

    /// Tells the delivery that the connection is gone, if it does not know yet.
    pub(super) fn note_loss(&mut self, now: Now) {
        if self.is_lost() && std::mem::take(&mut self.private_has_server) {
            self.private.connection_lost(now);
        }
    }

    /// Carries out what the delivery of private messages wants done.
    pub(super) fn drain_private(&mut self, now: Now) {
        while let Some(output) = self.private.poll_output() {
            match output {
                Output::Datagram { to, ttl, bytes } if self.sends_to(to) => {
                    self.datagrams.push_back(Transmit { to, ttl, bytes });
                }
                Output::Datagram { to, .. } => self.private.port_unreachable(now, to),
                Output::Line(line) if matches!(self.stage, Stage::Rich(_)) => {
                    self.send_line(&line.to_string())
                }
                // Meant for a connection that is gone.
                Output::Line(_) => {}
                Output::Event(Told::Received(received)) => self.received(received, now),
                Output::Event(Told::State(id, state)) => self.state_changed(id, state),
                Output::Event(Told::Warning(warning)) => self.warn_of(warning),
            }
        }
    }

    /// Whether this client's UDP socket, if it has one, can send there.
    fn sends_to(&self, to: SocketAddr) -> bool {
        self.config.ends.udp_port.is_some() && to.is_ipv4() == self.config.ends.local.is_ipv4()
    }

    fn received(&mut self, received: Received, now: Now) {
        let Received {
            from,
            text,
            path,
            sealed,
            after_gap,
        } = received;
        self.recipients.written_by(self.peer(from));
        self.events.push_back(Event::Private {
            at: now.unix_ms,
            direction: Direction::Received,
            peer: self.who(from),
            text,
            way: Way {
                path: Some(path),
                sealed,
            },
            after_gap,
        });
    }

    /// A private message met its fate; each has one.
    fn state_changed(&mut self, id: MessageId, state: State) {
        let seq = id.0;
        let Some(Pending { peer, text }) = self.privates.remove(&seq) else {
            return;
        };
        let delivered = |peer, text, path, after: Option<Duration>| Event::Delivered {
            seq,
            peer,
            text,
            way: Way {
                path: Some(path),
                sealed: after.is_some(),
            },
            after,
        };
        let event = match state {
            State::Delivered { path, after } => delivered(peer, text, path, Some(after)),
            State::SentUnencrypted { path } => delivered(peer, text, path, None),
            State::NotDelivered(why) => {
                self.failures.privates += 1;
                self.note_failed_message();
                Event::NotDelivered {
                    seq,
                    peer,
                    text,
                    reason: Text::from(why.to_string()),
                }
            }
        };
        self.events.push_back(event);
    }

    /// When there is something to do about private messages.
    pub(super) fn private_deadline(&self) -> Option<Duration> {
        self.private.deadline()
    }

    fn warn_of(&mut self, warning: Warning) {
        self.warn(match warning {
            Warning::KeyChanged(id) => format!(
                "the key of {} changed while connected: no private message goes to it or is taken from it",
                self.who(id)
            ),
            Warning::UnusableKey(id) => {
                format!(
                    "{} announced a key that keeps nothing secret: nothing is sent to it",
                    self.who(id)
                )
            }
            Warning::KeyTaken(id, holder) => format!(
                "{} announced the key of {}: nothing is sent to the former",
                self.who(id),
                self.who(holder)
            ),
        });
    }
}
