//! Private messages as the original sends them, and through the server where no datagram goes.
//!
//! The text travels in the clear, in one datagram, and nothing tells whether it arrived.

use super::event::{Direction, Event, Way};
use super::roster::{self, Unresolved};
use super::{Session, Stage, Transmit};
use chat_proto::id::{UserId, canonical};
use chat_proto::now::Now;
use chat_proto::rich::{FromClient, Profile};
use chat_proto::text::Text;
use chat_proto::who::Who;
use chat_proto::{LINE_MAX, TEXT_MAX};
use std::net::SocketAddr;

/// The longest datagram, in bytes: what passes every network that carries IPv6 (RFC 8200: 1,280 bytes, less
/// headers), so that none is lost for its size.
const DATAGRAM_MAX: usize = 1200;

/// The first byte of a sealed datagram. It stands in no valid UTF-8, so no text begins with it.
const SEALED: u8 = 0xC1;

/// A message that the server was asked to pass on.
#[derive(Debug)]
pub(super) struct Whisper {
    pub(super) peer: Who,
}

/// Where a message goes.
enum Target {
    Datagram(SocketAddr),
    Server,
}

impl Session {
    /// `/msg`: sends a private message to the user that was typed.
    pub(super) fn send_private(&mut self, typed: &str, text: &Text<'_>, now: Now) {
        if text.is_blank() {
            return;
        }
        match self.start_private(typed, text, now) {
            Ok(()) => {}
            Err(reason) => {
                self.failures.privates += 1;
                let typed = Text::new(typed);
                self.error(format!("not sent to {typed}: {reason}"));
            }
        }
    }

    fn start_private(&mut self, typed: &str, text: &Text<'_>, now: Now) -> Result<(), String> {
        if !self.is_ready() {
            return Err("not connected yet".into());
        }
        let profile = self.resolve(typed).map_err(|unresolved| unresolved.to_string())?;
        let target = self.target(&profile, text)?;
        let seq = self.next_seq();
        let peer = profile.who;
        let way = match target {
            Target::Datagram(to) => {
                let bytes = text.as_str().as_bytes().to_vec();
                self.datagrams.push_back(Transmit { to, bytes });
                Way::Datagram
            }
            Target::Server => {
                self.send_whisper(seq, &peer, text)?;
                Way::Server
            }
        };
        self.events.push_back(Event::Private {
            at: now.unix_ms,
            direction: Direction::Sent(seq),
            peer,
            text: text.clone().into_owned(),
            way,
        });
        Ok(())
    }

    /// Original servers do not tell who was here before, so there any id may be written to.
    fn resolve(&self, typed: &str) -> Result<Profile, Unresolved> {
        match self.roster.resolve(typed) {
            Err(Unresolved::NotHere(id)) if self.is_original() => Ok(roster::bare(id)),
            resolved => resolved.cloned(),
        }
    }

    fn target(&self, profile: &Profile, text: &Text<'_>) -> Result<Target, String> {
        let fits = text.as_str().len() <= DATAGRAM_MAX;
        if !self.is_original() {
            let datagram = profile
                .udp
                .filter(|&udp| fits && profile.key.is_none() && self.sends_to(udp));
            return Ok(datagram.map_or(Target::Server, Target::Datagram));
        }
        if !fits {
            return Err(format!(
                "too long: a private message takes {DATAGRAM_MAX} bytes here"
            ));
        }
        let by_rule = profile.who.id.private_address();
        let datagram = by_rule.filter(|&udp| self.sends_to(udp));
        datagram
            .map(Target::Datagram)
            .ok_or_else(|| "no datagram goes there".into())
    }

    /// Whether this client's UDP socket, if it has one, can send there.
    fn sends_to(&self, udp: SocketAddr) -> bool {
        self.config.udp_port.is_some() && udp.is_ipv4() == self.config.local.is_ipv4()
    }

    fn send_whisper(&mut self, seq: u64, peer: &Who, text: &Text<'_>) -> Result<(), String> {
        let line = FromClient::Whisper(peer.id, seq, text.borrow()).to_string();
        if line.len() >= LINE_MAX || text.as_str().len() > TEXT_MAX {
            return Err("too long".into());
        }
        self.send_line(&line);
        self.whispers.insert(seq, Whisper { peer: peer.clone() });
        Ok(())
    }

    /// The server passed a message on, or refuses to.
    pub(super) fn whisper_answered(&mut self, seq: u64, refusal: Option<Text<'_>>) -> bool {
        let Some(Whisper { peer }) = self.whispers.remove(&seq) else {
            return false;
        };
        self.events.push_back(match refusal {
            None => Event::Delivered { seq, peer },
            Some(reason) => {
                self.failures.privates += 1;
                let reason = reason.into_owned();
                Event::NotDelivered { seq, peer, reason }
            }
        });
        true
    }

    /// A datagram came from this address.
    ///
    /// A text is shown only if it came from exactly where one user sends from, who announced no key; with a
    /// key, anybody who can forge an address could write in the name of a user whose messages are
    /// sealed. All else is dropped in silence.
    pub fn datagram(&mut self, source: SocketAddr, bytes: &[u8], now: Now) {
        let text = trim_line_end(bytes);
        if text.first().is_none_or(|&byte| byte == SEALED) || text.len() > TEXT_MAX {
            return;
        }
        let Some(peer) = self.writer_behind(canonical(source)) else {
            return;
        };
        let text = Text::from_bytes(text).into_owned();
        if !text.is_blank() {
            self.received_private(peer, text, Way::Datagram, now);
        }
    }

    /// Who writes from there. An original server does not tell everybody's id, so there it is
    /// whoever the rule says.
    fn writer_behind(&self, source: SocketAddr) -> Option<Who> {
        match self.stage {
            Stage::Original => {
                let id = UserId::from_private_address(source)?;
                Some(
                    self.roster
                        .get(id)
                        .map_or(Who::from(id), |profile| profile.who.clone()),
                )
            }
            Stage::Rich(_) => {
                let profile = self.roster.behind(source)?;
                profile.key.is_none().then(|| profile.who.clone())
            }
            Stage::Greeting { .. } | Stage::Hello { .. } => None,
        }
    }

    /// Shows a private message.
    pub(super) fn received_private(&mut self, peer: Who, text: Text<'static>, way: Way, now: Now) {
        self.events.push_back(Event::Private {
            at: now.unix_ms,
            direction: Direction::Received,
            peer,
            text,
            way,
        });
    }
}

/// A text may come from `nc`, with the line feed that was typed.
fn trim_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}
