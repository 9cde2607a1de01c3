//! Output: what to poll a socket for, what to write to it, and when to close it.

use super::{LEAVING_MAX, Room, snapshot, status};
use crate::compact::Timestamp;
use crate::event::Event;
use crate::member::{Member, Stage};
use crate::new_phrase::NewPhrase;
use crate::outbox::List;
use crate::roster::Slot;
use chat_proto::now::Now;
use std::io::IoSlice;

/// What the loop is to do with a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Shut the writing half down.
    Shut(Slot),
    /// Close it. From here on the slot is free.
    Close(Slot),
}

/// What the loop is to poll a socket for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Readable.
    pub read: bool,
    /// Writable.
    pub write: bool,
    /// The end of the connection, which is neither read nor written and would not show it otherwise.
    pub end: bool,
}

/// What a turn leads to.
#[derive(Debug)]
pub struct TurnEnd {
    /// For the sockets.
    pub effects: Vec<Effect>,
    /// For the log.
    pub events: Vec<Event>,
    /// The bans as text, if they have changed.
    pub bans: Option<String>,
    /// Whether [`super::snapshot::take`] would differ from before this turn.
    pub is_changed: bool,
    /// A passphrase to write into its file, and then to pass to [`super::passphrase::renew`].
    pub phrase: Option<NewPhrase>,
}

/// What to poll a socket for: a function of the state, computed anew each turn.
#[must_use]
pub fn interest(room: &Room, now: Now, slot: Slot) -> Interest {
    let Some(member) = room.roster.get(slot) else {
        return Interest::default();
    };
    let due = room.transcript.due(member.dialect());
    let reads = !member.is_staying() || !room.backpressure.pauses_reads();
    let read = reads && member.may_read(room.limits.rate, now.monotonic);
    Interest {
        read,
        write: member.is_due(due),
        end: reads && !read && member.may_break(),
    }
}

/// To be called before the writes of a turn: releases joins that need not be held back longer, and disconnects the readers
/// whose next bytes the ring has lost. From here to the end of the turn everybody is sent the same user list: a user whose
/// connection turns out to be broken leaves after it.
pub fn begin_writes(room: &mut Room, now: Now) {
    room.user_list.clear();
    let expired = room
        .transcript
        .held_until()
        .is_some_and(|until| until <= now.monotonic);
    if expired || room.handshakes.queue.is_empty() {
        room.transcript.release();
    }
    // Each departure adds a line, which may overrun the next reader.
    while let Some((slot, behind)) = room.backpressure.overrun(&room.roster, &room.transcript) {
        room.disconnect_slow(now, slot, behind);
    }
}

/// Passes what a connection is owed to `send`, if anything, as pieces for one system call, and whether another call follows
/// at once. `send` returns how many bytes it has sent.
///
/// # Errors
/// Those of `send`.
pub fn deliver<E>(
    room: &mut Room,
    now: Now,
    slot: Slot,
    mut send: impl FnMut(&[IoSlice<'_>], bool) -> Result<usize, E>,
) -> Result<(), E> {
    let Some(mut member) = room.roster.get_mut(slot) else {
        return Ok(());
    };
    let dialect = member.dialect();
    if !member.is_due(room.transcript.due(dialect)) {
        return Ok(());
    }
    let is_unsent = member.secure.as_ref().is_some_and(|secure| secure.is_unsent());
    if let Some(list) = member.outbox.list_due().filter(|_| !is_unsent).cloned() {
        let (lines, rest) = match list {
            List::Users(from) => {
                let piece = room.user_list.piece(&room.roster, dialect, from);
                (piece.lines, piece.next.map(List::Users))
            }
            List::History(part) => {
                let (lines, rest) = room.transcript.piece(&part);
                (
                    lines,
                    Some(rest).filter(|rest| !rest.is_empty()).map(List::History),
                )
            }
        };
        member = match room.roster.get_mut(slot) {
            Some(member) => member,
            None => return Ok(()),
        };
        member.outbox.continue_list(lines, rest);
    }
    let total = &mut room.traffic.sent;
    let mut send = |pieces: &[IoSlice<'_>], more| send(pieces, more).inspect(|&count| *total += count as u64);
    let output = member.outbox.output(room.transcript.ring(dialect));
    let (count, sent) = match member.secure.as_deref_mut() {
        _ if output.is_empty() && !is_unsent => return Ok(()),
        None => {
            let sent = send(output.as_io(), false);
            (*sent.as_ref().unwrap_or(&0), sent)
        }
        Some(secure) => {
            let pieces = output.as_io().iter().map(|piece| &**piece);
            secure.send(now, pieces, &mut room.scratch, |bytes, more| {
                send(&[IoSlice::new(bytes)], more)
            })
        }
    };
    if sent.as_ref().is_ok_and(|&sent| sent > 0) {
        member.stands_still = Timestamp::ZERO;
    }
    let ring = room.transcript.ring(dialect);
    if makes_room(member, |member| member.outbox.sent(count, ring)) {
        room.expire_deadline();
    }
    sent.map(|_| ())
}

/// Nothing can be sent to this peer any more. Input received earlier is still processed at its rate.
pub fn discard(room: &mut Room, slot: Slot) {
    if let Some(member) = room.roster.get_mut(slot)
        && makes_room(member, Member::discard)
    {
        room.expire_deadline();
    }
}

/// Takes something off an outbox. Whether lines can now be processed that waited for room for their answers.
fn makes_room(member: &mut Member, take_off: impl FnOnce(&mut Member)) -> bool {
    let waited = !member.is_answerable();
    take_off(member);
    waited && member.is_answerable()
}

/// To be called after the writes of a turn: reviews the back-pressure, and closes connections that are done.
pub fn end_turn(room: &mut Room, now: Now) -> TurnEnd {
    room.user_list.clear();
    room.handshakes.queue.end_turn();
    let review = room.backpressure.review(now, &mut room.roster, &room.transcript);
    if review.resumes {
        resume_reads(room, now);
    }
    for (slot, behind) in review.slow {
        room.disconnect_slow(now, slot, behind);
    }
    TurnEnd {
        effects: close_finished(room, now),
        is_changed: snapshot::is_changed(room),
        events: status::take_events(room),
        bans: room.bans.take_changes(),
        phrase: take_phrase(room),
    }
}

/// The new passphrase that a turn asked for, if there is somebody to tell it to.
fn take_phrase(room: &mut Room) -> Option<NewPhrase> {
    let new = room.new_phrase.take()?;
    let operator = room.roster.get(new.slot)?;
    (operator.stage == Stage::Joined).then_some(new)
}

/// The bans that a turn changed could not be kept, for this reason: tells the operators. The bans hold all the same.
pub fn bans_not_kept(room: &mut Room, why: &str) {
    let text = format!("the bans hold until the server ends, but they can't be kept: {why}");
    for (_, member) in room.roster.iter_mut() {
        if member.is_operator() && member.stage == Stage::Joined {
            member.notice(&room.transcript, text.as_str());
        }
    }
}

/// Nobody was silent or late while the room read nothing: these times start again.
fn resume_reads(room: &mut Room, now: Now) {
    for (_, member) in room.roster.iter_mut() {
        member.received(now, &[]);
        if let Stage::Handshake(since) | Stage::Queued(since) | Stage::Sealing(_, since) = &mut member.stage {
            *since = now.monotonic.into();
        }
    }
    room.expire_deadline();
}

/// Closes connections of users that have left and were sent all that was due, or can't be.
fn close_finished(room: &mut Room, now: Now) -> Vec<Effect> {
    let mut effects = Vec::new();
    let leaving = room.roster.leaving();
    if leaving == 0 {
        return effects;
    }
    let waits_for_fin = room.shuts_down || leaving <= LEAVING_MAX;
    for (slot, member) in room.roster.iter_mut() {
        let Stage::Leaving(until) = member.stage else {
            continue;
        };
        let ring = room.transcript.ring(member.dialect());
        let is_lost = member.outbox.is_overtaken(ring);
        let is_sent = !member.is_due(ring.head());
        let is_done = is_sent && (member.ended.is_some() || !waits_for_fin);
        if until.get() <= now.monotonic || is_lost || is_done {
            effects.push(Effect::Close(slot));
        } else if is_sent && !member.shut {
            member.shut = true;
            effects.push(Effect::Shut(slot));
        }
    }
    for effect in &effects {
        if let Effect::Close(slot) = *effect {
            room.roster.remove(slot);
        }
    }
    effects
}
