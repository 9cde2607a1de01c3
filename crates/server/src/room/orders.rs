//! What operators do.

use super::Room;
use crate::event::Event;
use crate::member::{Client, Stage};
use crate::operators::Refused;
use crate::roster::Slot;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::plain::ServerLine;
use chat_proto::rich::{ErrorCode, FromServer};
use chat_proto::text::Text;

/// A request that can't be fulfilled: the error for programs and for people.
type Error = (ErrorCode, String);

/// A user says that it has the operators' code.
pub(super) fn prove(room: &mut Room, now: Now, slot: Slot, tag: Token) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    let already = member.is_operator();
    let who: Box<str> = member.label().into();
    let peer = member.id().address();
    let proven = match member.secure.as_deref() {
        Some(secure) => {
            let (key, expected) = (secure.key, secure.operator_tag);
            room.operators
                .prove(now.monotonic, peer.ip(), key, expected.as_ref(), &tag)
        }
        None => Err(Refused::NoCode),
    };
    let error = match proven {
        Ok(()) if already => return tell(room, slot, "you are an operator already"),
        Ok(()) => {
            appoint(room, slot);
            say(room, &format!("operator {who} runs the room from now on"));
            let what = "op".into();
            return room.events.push(Event::Act { who, what });
        }
        Err(Refused::NoCode) => (
            ErrorCode::NotOperator,
            "this server has no code for operators".into(),
        ),
        Err(Refused::Wrong) => {
            room.events.push(Event::WrongCode { peer });
            let text = "wrong code: the right one is where the server was started";
            (ErrorCode::NotOperator, text.into())
        }
        Err(Refused::Wait(wait)) => {
            let seconds = wait.as_secs() + 1;
            let text = format!("not tried: too many wrong codes from your address; try again in {seconds} s");
            (ErrorCode::TooOften, text)
        }
    };
    refuse(room, slot, &error);
}

/// A client that joins is an operator, if its key is one's.
pub(super) fn recognise(room: &mut Room, slot: Slot) {
    let key = room.roster.get(slot).and_then(|member| member.secure.as_deref());
    if key.is_some_and(|secure| room.operators.has(&secure.key)) {
        appoint(room, slot);
    }
}

/// Makes a user an operator, and tells the clients if the user was announced.
fn appoint(room: &mut Room, slot: Slot) {
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    if let Some(Client::Rich(rich)) = member.client.as_deref_mut() {
        rich.is_operator = true;
    }
    if member.stage == Stage::Joined {
        announce(room, slot);
    }
}

/// Tells the clients that a user is an operator, if it is one.
pub(super) fn announce(room: &mut Room, slot: Slot) {
    if let Some(member) = room.roster.get(slot).filter(|member| member.is_operator()) {
        room.transcript.append(None, FromServer::Operator(member.label()));
    }
}

/// Says something in the room. `text` must not begin with a user's name: a line that does is that user's.
fn say(room: &mut Room, text: &str) {
    let text = Text::new(text);
    room.transcript.append::<&str>(
        Some(&ServerLine::Notice(text.borrow())),
        FromServer::Notice(text.borrow()),
    );
}

fn tell(room: &mut Room, slot: Slot, text: &str) {
    if let Some(member) = room.roster.get_mut(slot) {
        member.notice(&room.transcript, text);
    }
}

fn refuse(room: &mut Room, slot: Slot, (code, text): &Error) {
    if let Some(member) = room.roster.get_mut(slot) {
        member.refuse(&room.transcript, *code, None, text);
    }
}
