//! What the acts of operators have in common: whom they mean, and how they are told.

use super::Room;
use crate::event::Event;
use crate::member::Stage;
use crate::roster::Slot;
use chat_proto::plain::ServerLine;
use chat_proto::rich::{ErrorCode, FromServer};
use chat_proto::text::Text;

/// A request that can't be fulfilled: the error for programs and for people.
pub(super) type Error = (ErrorCode, String);

/// The user that an operator means, who must be no operator.
pub(super) fn target(room: &Room, name: &str) -> Result<Slot, Error> {
    let slot = room.roster.find(name);
    let member = slot.and_then(|slot| Some((slot, room.roster.get(slot)?)));
    match member.filter(|(_, member)| member.stage == Stage::Joined) {
        Some((_, member)) if member.is_operator() => {
            let text = format!("{} is an operator", member.label());
            Err((ErrorCode::Other, text))
        }
        Some((slot, _)) => Ok(slot),
        None => Err((ErrorCode::NoSuchUser, "no such user; /who lists the users".into())),
    }
}

/// Logs what an operator did, and says it in the room.
pub(super) fn act(room: &mut Room, by: &str, what: &str, said: &str, reason: &Text<'_>) {
    let reason = if reason.is_blank() {
        String::new()
    } else {
        format!(": {reason}")
    };
    say(room, &format!("operator {by} {said}{reason}"));
    log(room, by, what);
}

/// Logs what an operator did.
pub(super) fn log(room: &mut Room, by: &str, what: &str) {
    room.events.push(Event::Act {
        who: by.into(),
        what: what.into(),
    });
}

/// Says something in the room. `text` must not begin with a user's name: a line that does is that user's.
pub(super) fn say(room: &mut Room, text: &str) {
    let text = Text::new(text);
    room.transcript.append::<&str>(
        Some(&ServerLine::Notice(text.borrow())),
        FromServer::Notice(text.borrow()),
    );
}

pub(super) fn tell(room: &mut Room, slot: Slot, text: &str) {
    if let Some(member) = room.roster.get_mut(slot) {
        member.notice(&room.transcript, text);
    }
}

pub(super) fn refuse(room: &mut Room, slot: Slot, (code, text): &Error) {
    if let Some(member) = room.roster.get_mut(slot) {
        member.refuse(&room.transcript, *code, None, text);
    }
}
