//! Input: when the lines of a connection are processed, and what silence and the end of input mean.

use super::{Room, commands, handshake, output};
use crate::event::{Departure, Event, Refusal};
use crate::foreign::{self, Verdict};
use crate::inbox::Inbox;
use crate::member::{End, Member, Stage};
use crate::quota::LINE_MIN;
use crate::rate::Usage;
use crate::roster::Slot;
use crate::telnet::Received;
use crate::transcript::Dialect;
use chat_proto::LINE_MAX;
use chat_proto::line::Line;
use chat_proto::now::Now;
use chat_proto::rich::{FromServer, may_begin_client};
use std::time::Duration;

/// Bytes were received.
pub fn receive(room: &mut Room, now: Now, slot: Slot, bytes: &[u8]) {
    room.traffic.received += bytes.len() as u64;
    let Some(member) = room.roster.staying_mut(slot) else {
        return;
    };
    if member.secure.is_some() {
        member.received(now, bytes);
        open(room, now, slot, bytes);
    } else {
        let Received { text, answers } = match member.dialect() {
            // What follows the handshake is encrypted.
            Dialect::Plain if !matches!(member.stage, Stage::Sealing(..)) => {
                member.inbox.telnet.receive(bytes)
            }
            _ => bytes.into(),
        };
        let was_unframed = member.inbox.is_unframed();
        member.received(now, &text);
        member.put_bytes(&room.transcript, answers);
        if was_unframed && !member.inbox.is_unframed() {
            room.announce_profile(slot);
        }
        process(room, now, slot, &text);
    }
    end_if_broken(room, now, slot);
    room.note_deadline(slot, now);
}

/// Decrypts bytes, and processes them. What was said before a change on the way still counts.
fn open(room: &mut Room, now: Now, slot: Slot, bytes: &[u8]) {
    let member = room.roster.get_mut(slot);
    let Some(secure) = member.and_then(|member| member.secure.as_deref_mut()) else {
        return;
    };
    let mut opened = Vec::new();
    let intact = secure.open(bytes, &mut opened);
    process(room, now, slot, &opened);
    if intact.is_err() {
        room.leave(now, slot, Departure::Altered);
    }
}

/// No more input comes. After a FIN, all earlier input is processed at its rate, and the user may still read. After a
/// reset, one more burst of it is processed at once, and the user leaves.
pub fn end(room: &mut Room, now: Now, slot: Slot, end: End) {
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    let end = member.broken.unwrap_or(end);
    member.ended = Some(end);
    if end != End::Closed {
        member.discard();
        member.usage = Usage::default();
        process_waiting(room, now, slot);
    }
    finish(room, now, slot);
    room.note_deadline(slot, now);
}

/// The connection broke, and a write or the poll has reported it. What the system still holds of its input is read until
/// the rate forbids it; then its input ends.
pub fn break_off(room: &mut Room, now: Now, slot: Slot, end: End) {
    if let Some(member) = room.roster.get_mut(slot) {
        member.broken = Some(end);
        output::discard(room, slot);
        end_if_broken(room, now, slot);
    }
}

/// Does what is due by now.
pub fn tick(room: &mut Room, now: Now) {
    serve_handshakes(room, now);
    if room.next_deadline.is_none_or(|deadline| now.monotonic < deadline) {
        return;
    }
    room.next_deadline = None;
    for slot in least_served_first(room) {
        tick_member(room, now, slot);
        room.note_deadline(slot, now);
    }
}

/// Processes messages of handshakes that wait, as many as a turn may have.
fn serve_handshakes(room: &mut Room, now: Now) {
    while !room.backpressure.blocks(&room.transcript)
        && let Some(slot) = room.handshakes.queue.next()
    {
        // Before its time limits: it was not late.
        process_waiting(room, now, slot);
        tick_member(room, now, slot);
        room.note_deadline(slot, now);
    }
}

/// Every slot; users who have sent nothing lately come first, and then those whose turn was longest ago. So a flooder
/// delays the other users of its network, who share its quota, by one line of each connection.
fn least_served_first(room: &Room) -> Vec<Slot> {
    let members = room.roster.iter_from(0);
    let mut slots: Vec<_> = members.map(|(slot, member)| (member.usage, slot)).collect();
    slots.sort_unstable();
    slots.into_iter().map(|(_, slot)| slot).collect()
}

fn tick_member(room: &mut Room, now: Now, slot: Slot) {
    if room.handshakes.queue.has(slot) {
        return;
    }
    let Some(member) = room.roster.staying_mut(slot) else {
        return;
    };
    if let Stage::Sealing(..) = member.stage
        && has_passed(member.stage_ends_at(), now)
    {
        process_waiting(room, now, slot);
        let member = room.roster.get(slot);
        if member.is_some_and(|member| matches!(member.stage, Stage::Sealing(..))) {
            handshake::reject(room, now, slot);
        }
        return;
    }
    let handshake_ends = member.in_handshake() && has_passed(member.stage_ends_at(), now);
    if handshake_ends && !room.backpressure.blocks(&room.transcript) {
        room.join_plain(now, slot);
    }
    process_waiting(room, now, slot);
    end_silent_line(room, now, slot);
    end_probe(room, now, slot);
    finish(room, now, slot);
    check_pulse(room, now, slot);
}

/// Processes the lines in these bytes, as far as the rate and back-pressure allow, and stores the rest.
fn process(room: &mut Room, now: Now, slot: Slot, mut bytes: &[u8]) {
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    let mut verdict = Verdict::Chat;
    if !member.has_spoken() {
        verdict = foreign::judge(&member.inbox.head(bytes, foreign::HEAD_MAX));
    }
    if verdict == Verdict::Foreign {
        return reject_foreign(room, now, slot);
    }
    let was_secure = member.secure.is_some();
    let mut inbox = std::mem::take(&mut member.inbox);
    while may_process(room, now, slot) {
        if !bytes.is_empty() && !handshake::admits(room, slot, |max| inbox.head(bytes, max)) {
            break;
        }
        let Some(line) = inbox.next(&mut bytes) else { break };
        process_line(room, now, slot, line);
        if let Some(member) = room.roster.get_mut(slot)
            && member.secure.is_some() != was_secure
        {
            // That line ended the handshake: what follows is encrypted.
            member.inbox = inbox;
            return open(room, now, slot, bytes);
        }
    }
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    if member.is_staying() {
        inbox.keep(bytes);
    }
    member.inbox = inbox;
    // The first bytes of a client begin a HELLO.
    if member.in_handshake() && verdict == Verdict::Chat && !may_begin_client(member.inbox.partial()) {
        room.join_plain(now, slot);
    }
}

/// Disconnects what speaks another protocol. Nothing of it becomes a message.
fn reject_foreign(room: &mut Room, now: Now, slot: Slot) {
    if let Some(member) = room
        .roster
        .get(slot)
        .filter(|member| member.stage != Stage::Joined)
    {
        let (peer, why) = (member.id().address(), Refusal::Foreign);
        room.events.push(Event::Refuse { peer, why });
    }
    room.leave(now, slot, Departure::Foreign);
}

/// Processes bytes that were received earlier.
fn process_waiting(room: &mut Room, now: Now, slot: Slot) {
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    if member.inbox.is_waiting() {
        let waiting = member.inbox.take_waiting();
        process(room, now, slot, &waiting);
        // A client is not silent while the room does not read from it.
        if let Some(member) = room.roster.get_mut(slot) {
            member.received(now, &[]);
        }
    }
}

/// Whether one more line of this member may be processed now.
fn may_process(room: &Room, now: Now, slot: Slot) -> bool {
    let within_rate = |member: &Member| {
        let network_allows = room.bytes.next_at(member.id().address().ip());
        member.may_process(room.limits.rate, now.monotonic) && network_allows <= now.monotonic
    };
    let has_turn = !room.backpressure.blocks(&room.transcript) && !room.handshakes.queue.has(slot);
    has_turn && room.roster.get(slot).is_some_and(within_rate)
}

fn has_passed(deadline: Option<Duration>, now: Now) -> bool {
    deadline.is_some_and(|at| at <= now.monotonic)
}

/// Ends the input of a broken connection when the rate holds it back.
fn end_if_broken(room: &mut Room, now: Now, slot: Slot) {
    if let Some(member) = room.roster.get(slot)
        && let Some(broken) = member.broken
        && member.ended.is_none()
        && member.inbox.is_waiting()
    {
        end(room, now, slot, broken);
    }
}

/// A probe gives its place back after some time.
fn end_probe(room: &mut Room, now: Now, slot: Slot) {
    if let Some(member) = room.roster.get(slot)
        && matches!(member.stage, Stage::Probing(_))
        && has_passed(member.stage_ends_at(), now)
    {
        room.leave(now, slot, Departure::Probe);
    }
}

/// Processes what a plain connection has sent without a line feed, once it has been silent.
fn end_silent_line(room: &mut Room, now: Now, slot: Slot) {
    let member = room.roster.get(slot);
    let was_unframed = member.is_some_and(|member| member.inbox.is_unframed());
    let is_due = member.is_some_and(|member| has_passed(member.silence_ends_line_at(), now));
    if is_due && may_process(room, now, slot) {
        process_partial(room, now, slot, Inbox::end_line);
        let member = room.roster.get(slot);
        if !was_unframed && member.is_some_and(|member| member.inbox.is_unframed()) {
            room.announce_profile(slot);
        }
    }
}

/// After the end of input, the user leaves once everything is processed. A partial line is a message of a plain user;
/// a client ends its lines, so its partial line is not what it meant to send.
fn finish(room: &mut Room, now: Now, slot: Slot) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    let Some(end) = member.ended.filter(|_| member.is_staying()) else {
        return;
    };
    let is_message = !member.inbox.partial().is_empty() && member.dialect() == Dialect::Plain;
    // After a reset, input that the rate holds back is lost.
    let waits = end == End::Closed || room.backpressure.blocks(&room.transcript);
    if (member.inbox.is_waiting() || is_message) && waits && !may_process(room, now, slot) {
        return;
    }
    if is_message {
        process_partial(room, now, slot, Inbox::finish);
    }
    let why = match end {
        End::Closed => Departure::Closed,
        End::Reset => Departure::Reset,
        End::TimedOut => Departure::TimedOut,
    };
    room.leave(now, slot, why);
}

/// Processes a line that silence or the end of input has ended.
fn process_partial(room: &mut Room, now: Now, slot: Slot, end: fn(&mut Inbox) -> Vec<u8>) {
    let member = room.roster.get_mut(slot);
    let line = member.map(|member| end(&mut member.inbox)).unwrap_or_default();
    // The line feed or NUL after it may still come.
    let line = line.strip_suffix(b"\r").unwrap_or(&line);
    if !line.is_empty() {
        process_line(room, now, slot, Line::Whole(line));
    }
}

/// Processes a line, and counts it against the quota of its network: the line, or what everybody is sent because of it.
fn process_line(room: &mut Room, now: Now, slot: Slot, line: Line<'_>) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    let address = member.id().address().ip();
    let length = match line {
        Line::Whole(bytes) => bytes.len(),
        Line::TooLong => LINE_MAX,
    };
    let head = |room: &Room| room.transcript.ring(Dialect::Rich).head();
    let before = head(room);
    commands::process(room, now, slot, line);
    let broadcast = usize::try_from(head(room) - before).unwrap_or(usize::MAX);
    let count = length.max(broadcast).max(LINE_MIN);
    room.bytes.count(now.monotonic, address, count);
}

/// Pings a silent rich client, and disconnects it if nothing follows although the room reads.
fn check_pulse(room: &mut Room, now: Now, slot: Slot) {
    let Some(member) = room.roster.staying_mut(slot) else {
        return;
    };
    if member.rich().is_none() {
        return;
    }
    let interval = room.limits.ping_interval;
    match member.pinged {
        None if member.inbox.last_received() + interval <= now.monotonic => {
            member.pinged = Some(now.monotonic.into());
            member.tell(&room.transcript, &FromServer::Ping(now.unix_ms));
        }
        Some(pinged) if pinged.get() + 2 * interval <= now.monotonic => {
            if member.may_read(room.limits.rate, now.monotonic) && !room.backpressure.pauses_reads() {
                room.leave(now, slot, Departure::Silent);
            } else {
                member.received(now, &[]);
            }
        }
        _ => {}
    }
}
