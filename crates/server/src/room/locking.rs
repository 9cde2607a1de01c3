//! A room that operators lock.

use super::Room;
use super::acts::{Error, act};
use crate::lock::Lock;
use crate::member::Member;
use crate::roster::Slot;
use chat_proto::now::Now;
use chat_proto::rich::ErrorCode;
use chat_proto::text::Text;

/// Lets nobody new in.
pub(super) fn lock(room: &mut Room, now: Now, by: &str) -> Result<(), Error> {
    if room.lock.is_some() {
        return Err((ErrorCode::Other, "the room is locked already".into()));
    }
    let members = room.roster.iter_from(0).map(|(_, member)| member);
    let here = members.filter(|member| member.is_announced());
    let keys = here.filter_map(Member::key).chain(room.holds.keys(now.monotonic));
    room.lock = Some(Lock::new(keys.collect()));
    let said = "has locked the room: nobody new comes in";
    act(room, by, "lock", said, &Text::new(""));
    Ok(())
}

/// Lets everybody in again.
pub(super) fn unlock(room: &mut Room, by: &str) -> Result<(), Error> {
    if room.lock.take().is_none() {
        return Err((ErrorCode::Other, "the room is not locked".into()));
    }
    act(room, by, "unlock", "has unlocked the room", &Text::new(""));
    Ok(())
}

/// Whether the room is locked for this connection, unless it is one that is in the room.
pub(super) fn keeps_out(room: &Room, slot: Slot) -> bool {
    let Some((lock, member)) = room.lock.as_ref().zip(room.roster.get(slot)) else {
        return false;
    };
    let key = member.key();
    !lock.lets_in(key) && !key.is_some_and(|key| room.operators.has(&key))
}
