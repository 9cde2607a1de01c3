//! How connections are listened to: when the lines of each are taken, and when silence or the end says something.

use crate::connection::{Connection, End};
use crate::event::Departure;
use crate::member::Member;
use crate::rate::Usage;
use crate::room::Room;
use crate::roster::Slot;
use crate::transcript::Dialect;
use chat_proto::now::Now;
use chat_proto::rich::{FromServer, Reason, may_begin_client};

impl Room {
    /// Bytes came.
    pub fn receive(&mut self, now: Now, slot: Slot, bytes: &[u8]) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        if !member.connection.is_staying() {
            return;
        }
        member.connection.inbox.heard(now.monotonic, bytes);
        member.connection.pinged = None;
        self.take_lines(now, slot, bytes);
        self.end_broken(now, slot);
        self.note_deadline(slot, now);
    }

    /// Nothing more comes. If the peer said so, all that came before is taken, at its rate, and the user may
    /// still read. If the connection was broken off, one more burst of it is taken at once, and the user leaves.
    pub fn end_input(&mut self, now: Now, slot: Slot, end: End) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let connection = &mut member.connection;
        let end = connection.broken.unwrap_or(end);
        connection.ended = Some(end);
        if end != End::Closed {
            connection.outbox.discard();
            connection.usage = Usage::default();
            self.take_waiting_lines(now, slot);
        }
        self.finish_input(now, slot);
        self.note_deadline(slot, now);
    }

    /// The connection was broken off, which something else than reading showed. What the system still holds of
    /// it can be read, and is until its rate forbids it: then it is over.
    pub fn break_off(&mut self, now: Now, slot: Slot, end: End) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        member.connection.broken = Some(end);
        self.end_output(slot);
        self.end_broken(now, slot);
    }

    fn end_broken(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let Connection {
            broken, ended, inbox, ..
        } = &member.connection;
        if let Some(end) = *broken
            && ended.is_none()
            && inbox.is_waiting()
        {
            self.end_input(now, slot, end);
        }
    }

    /// Does for one connection what is due at this time.
    pub(crate) fn tick_one(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let connection = &mut member.connection;
        if !connection.is_staying() {
            return;
        }
        let arrives = connection.arrives_at().is_some_and(|at| at <= now.monotonic);
        if arrives && !self.pressure.must_wait(&self.transcript) {
            self.arrive(now, slot);
        }
        self.take_waiting_lines(now, slot);
        self.end_silent_line(now, slot);
        self.end_probe(now, slot);
        self.finish_input(now, slot);
        self.check_pulse(now, slot);
    }

    /// Takes the lines in these bytes, as far as the rate and slow readers let it, and keeps the rest.
    fn take_lines(&mut self, now: Now, slot: Slot, mut bytes: &[u8]) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let mut inbox = std::mem::take(&mut member.connection.inbox);
        let mut takes = true;
        while takes && self.may_take(now, slot) {
            match inbox.next(&mut bytes) {
                Some(line) => self.take_line(now, slot, line),
                None => takes = false,
            }
        }
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        if member.connection.is_staying() {
            inbox.keep(bytes);
        }
        member.connection.inbox = inbox;
        self.arrive_if_plain(now, slot);
    }

    /// Takes lines that were read earlier and could not be taken then.
    fn take_waiting_lines(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        if member.connection.inbox.is_waiting() {
            let waiting = member.connection.inbox.take_waiting();
            self.take_lines(now, slot, &waiting);
            self.excuse_silence(now, slot);
        }
    }

    /// A client is not silent while it is the room that does not read.
    fn excuse_silence(&mut self, now: Now, slot: Slot) {
        if let Some(member) = self.roster.get_mut(slot) {
            member.connection.inbox.heard(now.monotonic, &[]);
            member.connection.pinged = None;
        }
    }

    /// Whether one more line of this member may be taken now.
    fn may_take(&self, now: Now, slot: Slot) -> bool {
        let within = |member: &Member| {
            let connection = &member.connection;
            connection.is_staying()
                && connection.is_answerable()
                && connection.is_within(self.limits.rate, now.monotonic)
        };
        !self.pressure.must_wait(&self.transcript) && self.roster.get(slot).is_some_and(within)
    }

    /// Announces a connection whose first bytes can't be the beginning of HELLO, or turns it away.
    fn arrive_if_plain(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let may_be_client = may_begin_client(member.connection.inbox.begun());
        if member.connection.arrives_at().is_some() && !may_be_client {
            self.arrive(now, slot);
        }
    }

    /// Who only examines the way gives the place back in the end.
    fn end_probe(&mut self, now: Now, slot: Slot) {
        let until = self
            .roster
            .get(slot)
            .and_then(|member| member.connection.probe_ends_at());
        if until.is_some_and(|until| until <= now.monotonic) {
            let farewell = "the time for a probe is over";
            self.leave(now, slot, Departure::Probe, Some((Reason::Other, farewell)));
        }
    }

    /// Takes what a plain connection has sent without a line feed, once it has been silent.
    fn end_silent_line(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let due = member
            .connection
            .inbox
            .silence_ends_line_at()
            .is_some_and(|at| at <= now.monotonic);
        // Where more waits than has been taken, nothing may be.
        if due && member.dialect() == Dialect::Plain && self.may_take(now, slot) {
            let line = self
                .roster
                .get_mut(slot)
                .map(|member| member.connection.inbox.end_line());
            self.take_last_line(now, slot, &line.unwrap_or_default());
        }
    }

    /// When all has been taken that came before the end, the user leaves. What a plain user had not
    /// ended is a message; a client ends its lines, so what it had not ended is not what it meant to say.
    fn finish_input(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get(slot) else {
            return;
        };
        let connection = &member.connection;
        let Some(end) = connection.ended else { return };
        if !connection.is_staying() {
            return;
        }
        let is_a_message = !connection.inbox.begun().is_empty() && member.dialect() == Dialect::Plain;
        // What the rate keeps of a connection that was broken off is lost with it, as is what was never read of it.
        let waits = end == End::Closed || self.pressure.must_wait(&self.transcript);
        if (connection.inbox.is_waiting() || is_a_message) && waits && !self.may_take(now, slot) {
            return;
        }
        if is_a_message {
            let line = self
                .roster
                .get_mut(slot)
                .map(|member| member.connection.inbox.finish());
            self.take_last_line(now, slot, &line.unwrap_or_default());
        }
        let why = match end {
            End::Closed => Departure::Closed,
            End::Reset => Departure::Reset,
            End::TimedOut => Departure::TimedOut,
        };
        self.leave(now, slot, why, None);
    }

    /// Asks a rich client that has been silent whether it is there, and gives it up in the end. One
    /// whose bytes the room itself leaves unread is not silent.
    fn check_pulse(&mut self, now: Now, slot: Slot) {
        let Some(member) = self.roster.get_mut(slot) else {
            return;
        };
        let rich = member.rich().is_some();
        let connection = &mut member.connection;
        if !rich || !connection.is_staying() {
            return;
        }
        let interval = self.limits.ping_interval;
        match connection.pinged {
            None if connection.inbox.last_heard() + interval <= now.monotonic => {
                connection.pinged = Some(now.monotonic.into());
                self.tell(slot, &FromServer::Ping(now.unix_ms));
            }
            Some(pinged) if pinged.get() + 2 * interval <= now.monotonic => {
                if connection.takes_input(self.limits.rate, now.monotonic) && !self.pressure.holds() {
                    let farewell = "nothing was heard from you for too long";
                    self.leave(now, slot, Departure::Silent, Some((Reason::Silent, farewell)));
                } else {
                    self.excuse_silence(now, slot);
                }
            }
            _ => {}
        }
    }
}
