//! What the acts of operators have in common: whom they mean, and how they are told.

use super::Room;
use crate::event::Event;
use crate::member::Stage;
use crate::roster::Slot;
use chat_proto::id::UserId;
use chat_proto::nick::{Nick, NickKey};
use chat_proto::opaque::PublicKey;
use chat_proto::plain::ServerLine;
use chat_proto::rich::{ErrorCode, FromServer};
use chat_proto::text::Text;

/// A request that can't be fulfilled: the error for programs and for people.
pub(super) type Error = (ErrorCode, String);

/// A user that an operator acts on, as it was then.
pub(super) struct Target {
    pub(super) slot: Slot,
    pub(super) id: UserId,
    pub(super) key: Option<PublicKey>,
    pub(super) nick: Option<NickKey>,
    pub(super) who: String,
}

/// The user that an operator means, who must be no operator.
pub(super) fn target(room: &Room, name: &str) -> Result<Target, Error> {
    let slot = room.roster.find(name);
    let member = slot.and_then(|slot| Some((slot, room.roster.get(slot)?)));
    match member.filter(|(_, member)| member.stage == Stage::Joined) {
        Some((_, member)) if member.is_operator() => {
            let text = format!("{} is an operator", member.label());
            Err((ErrorCode::Other, text))
        }
        Some((slot, member)) => Ok(Target {
            slot,
            id: member.id(),
            key: member.key(),
            nick: member.nick().as_ref().map(Nick::key),
            who: member.label().to_owned(),
        }),
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
