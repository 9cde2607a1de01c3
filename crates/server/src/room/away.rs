//! Users who say that they are away.

use super::Room;
use super::acts::Error;
use crate::bans::Bans;
use crate::member::{Client, Member};
use crate::roster::Slot;
use chat_proto::AWAY_MAX;
use chat_proto::now::Now;
use chat_proto::rich::{ErrorCode, FromServer};
use chat_proto::text::Text;

/// A user is away, or back if the text is blank. The clients are told, unless they know.
pub(super) fn set(room: &mut Room, now: Now, slot: Slot, text: &Text<'_>) {
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    let text = Some(text).filter(|text| !text.is_blank());
    let refused = text.and_then(|text| check(&room.bans, now, member, text).err());
    if let Some((code, why)) = refused {
        return member.refuse(&room.transcript, code, None, &why);
    }
    if member.away() == text {
        return;
    }
    let line = text.map_or(Text::new(""), Text::borrow);
    room.transcript
        .append(None, FromServer::Away(member.label(), line));
    if let Some(Client::Rich(rich)) = member.client.as_deref_mut() {
        rich.away = text.map(|text| Box::new(text.clone().into_owned()));
    }
}

/// Whether the user may say this. Everybody may read it, so a mute holds here too.
fn check(bans: &Bans, now: Now, member: &Member, text: &Text<'_>) -> Result<(), Error> {
    if text.as_str().chars().count() > AWAY_MAX {
        let text = format!("not done: it may have {AWAY_MAX} characters at most");
        return Err((ErrorCode::TooLong, text));
    }
    let is_muted = bans.mute(now.monotonic, member.key(), member.id().address().ip());
    match is_muted.filter(|_| !member.is_operator()) {
        Some(_) => Err((ErrorCode::Muted, "not done: an operator has muted you".into())),
        None => Ok(()),
    }
}
