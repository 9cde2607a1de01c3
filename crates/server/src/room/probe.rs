//! Connections that only look whether everything works (`chat-client --doctor`). Nobody hears of them.

use crate::connection::Stage;
use crate::event::{Departure, Event};
use crate::rate::{Rate, Usage};
use crate::room::Room;
use crate::roster::{Slot, token_for};
use crate::transcript::Dialect;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::rich::{FromClient, FromServer, Reason};
use std::num::NonZeroU32;
use std::time::Duration;

/// For how long a connection that is being probing may take a user's place.
pub const PROBE_TIME: Duration = Duration::from_secs(10);

/// Rendezvous requests a second that are answered, and how many at once: more than a user's, because they are how the
/// way is measured.
const PROBES_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
const PROBES_AT_ONCE: u32 = 64;

/// What is known of a connection that is being probing.
#[derive(Debug)]
pub struct Probe {
    /// What it asks the rendezvous with.
    pub rendezvous: Token,
    /// Requests answered, against the rate.
    usage: Usage,
}

impl Probe {
    /// One that begins.
    #[must_use]
    pub fn new(rendezvous: Token) -> Self {
        Self {
            rendezvous,
            usage: Usage::default(),
        }
    }

    /// Whether the rate lets one more request be answered, which is counted then.
    pub fn may_probe(&mut self, now: Now) -> bool {
        let rate = Rate::new(PROBES_PER_SECOND, PROBES_AT_ONCE);
        self.usage.may(rate, now.monotonic)
    }
}

impl Room {
    /// A connection only wants to know how it would fare here.
    pub(crate) fn take_probe(&mut self, now: Now, slot: Slot, nick: Option<&str>) {
        if !self.takes_a_place(now, slot, None) {
            return;
        }
        self.roster.seat(slot);
        let token = self.begin_probe(now, slot);
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let who = member.label().to_owned();
        self.tell(slot, &FromServer::Probed(now.unix_ms, &who, token));
        if let Some(Err((code, text))) = nick.map(|name| self.free_nick(slot, name)) {
            self.refuse(slot, code, None, &text);
        }
    }

    /// A connection that is being probing may ask for nothing that reaches others.
    pub(crate) fn take_probing(&mut self, now: Now, slot: Slot, line: &str) {
        match FromClient::parse(line) {
            Ok(FromClient::Ping(number)) => self.tell(slot, &FromServer::Pong(number)),
            Ok(FromClient::Quit) => self.leave(now, slot, Departure::Quit, Some((Reason::Quit, "goodbye"))),
            _ => {}
        }
    }

    /// Makes a connection one that only examines the way. If its word for that comes so late that it was announced, it is
    /// here no longer. The answer is what it asks the rendezvous with.
    fn begin_probe(&mut self, now: Now, slot: Slot) -> Token {
        let token = token_for(slot, (self.tokens)());
        let Some(member) = self.roster.get_mut(slot) else {
            return token;
        };
        let was_here = member.connection.stage == Stage::Here;
        if was_here {
            let plain = self.transcript.ring(Dialect::Plain);
            member.connection.outbox.cut_short(plain, Vec::new());
        }
        member.connection.stage = Stage::Probing((now.monotonic + PROBE_TIME).into());
        let (who, peer) = (member.label().into(), member.id().address());
        self.roster.start_probe(slot, Probe::new(token));
        if was_here {
            self.announce_leave(now, who, Departure::Probe);
        }
        self.events.push(Event::Probe { peer });
        token
    }
}
