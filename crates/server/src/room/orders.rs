//! What operators do.

use super::acts::{Error, Target, act, refuse, say, target, tell};
use super::{Room, locking, mutes, passphrase, topic};
use crate::bans::{Ban, Kind};
use crate::event::{Departure, Event, Refusal};
use crate::member::{Client, Member, Stage};
use crate::network::Network;
use crate::operators::Refused;
use crate::roster::Slot;
use chat_proto::nick::NickKey;
use chat_proto::now::Now;
use chat_proto::opaque::Token;
use chat_proto::order::Order;
use chat_proto::rich::{ErrorCode, FromServer};
use chat_proto::text::Text;
use jiff::Timestamp;

/// Bytes of a reason, at most.
const REASON_MAX: usize = 400;

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
            room.events.push(Event::Refuse {
                peer,
                why: Refusal::Code,
            });
            let text = "wrong code: the right one is where the server was started";
            (ErrorCode::NotOperator, text.into())
        }
        Err(Refused::Wait(wait)) => {
            room.events.push(Event::Refuse {
                peer,
                why: Refusal::Guesses,
            });
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

/// Whether a client that has said `HELLO` may not come in; then it leaves. `is_in` says that it was in the room until now.
pub(super) fn shuts_out(room: &mut Room, now: Now, slot: Slot, nick: Option<&str>, is_in: bool) -> bool {
    let Some(member) = room.roster.get(slot).filter(|member| !member.is_operator()) else {
        return false;
    };
    let (key, peer) = (member.key(), member.id().address());
    let nick = nick.map(NickKey::of);
    let is_kicked = room.bans.is_kicked(now.monotonic, key, peer.ip(), nick.as_ref());
    let (refusal, departure) = if room.bans.has(key, peer.ip()) {
        (Refusal::Banned, Departure::Banned)
    } else if is_kicked {
        (Refusal::Kicked, Departure::Kicked)
    } else if !is_in && locking::keeps_out(room, slot) {
        (Refusal::Locked, Departure::Locked)
    } else {
        if let Some((lock, key)) = room.lock.as_mut().zip(key) {
            lock.add(key);
        }
        return false;
    };
    if !member.is_announced() {
        room.events.push(Event::Refuse { peer, why: refusal });
    }
    room.leave(now, slot, departure);
    true
}

/// A user asks for something that only operators may do.
pub(super) fn carry_out(room: &mut Room, now: Now, slot: Slot, order: &Order<'_>) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    let done = if let Order::Kick(_, reason) | Order::Ban(_, reason) = order
        && reason.as_str().len() > REASON_MAX
    {
        let text = format!("not done: a reason has at most {REASON_MAX} bytes");
        Err((ErrorCode::TooLong, text))
    } else if member.is_operator() {
        let by = member.label().to_owned();
        match order {
            Order::Kick(who, reason) => kick(room, now, &by, who, reason),
            Order::Ban(who, reason) => ban(room, now, &by, who, reason),
            Order::Unban(which) => unban(room, &by, which),
            Order::Bans => {
                room.bans.prune(now.monotonic);
                list_bans(room, now, slot);
                Ok(())
            }
            Order::Mute(who, minutes) => mutes::mute(room, now, &by, who, *minutes),
            Order::Unmute(who) => mutes::unmute(room, now, &by, who),
            Order::Slow(seconds) => mutes::slow(room, &by, *seconds),
            Order::NewPassphrase => passphrase::ask(room, slot, &by),
            Order::Lock => locking::lock(room, now, &by),
            Order::Unlock => locking::unlock(room, &by),
            Order::Topic(text) => topic::set(room, &by, text.as_ref()),
        }
    } else {
        let text = "only operators may do that; /op CODE makes you one";
        Err((ErrorCode::NotOperator, text.into()))
    };
    if let Err(error) = done {
        refuse(room, slot, &error);
    }
}

fn kick(room: &mut Room, now: Now, by: &str, who: &str, reason: &Text<'_>) -> Result<(), Error> {
    let Target {
        slot,
        id,
        key,
        nick,
        who,
    } = target(room, who)?;
    room.bans.kick(now.monotonic, key, id.address().ip(), nick);
    act(
        room,
        by,
        &format!("kick {who}"),
        &format!("has shown out {who}"),
        reason,
    );
    room.leave(now, slot, Departure::Kicked);
    Ok(())
}

fn ban(room: &mut Room, now: Now, by: &str, who: &str, reason: &Text<'_>) -> Result<(), Error> {
    let other = |text: String| Err((ErrorCode::Other, text));
    let Target { id, key, who, .. } = target(room, who)?;
    let address = id.address().ip();
    let network = Network::of(address);
    let there = |member: &&Member| member.is_staying() && Network::of(member.id().address().ip()) == network;
    let members = || room.roster.iter_from(0).map(|(_, member)| member).filter(there);
    // An operator who shares the address could not come back.
    let is_spared = address.is_loopback() || members().any(Member::is_operator);
    if is_spared && key.is_none() {
        return other(format!(
            "not banned: {who} has no key, and its address is this machine's or an operator's; /kick shows it out"
        ));
    }
    if room.bans.is_full() {
        return other("not banned: there are too many bans; /unban lifts one".into());
    }
    let others = members().filter(|member| member.id() != id).count();
    if !is_spared && others > 0 && !room.bans.confirms(now.monotonic, id, false) {
        return other(format!(
            "not banned yet: {others} more from {network} would be shown out too; say it again within a minute to ban all"
        ));
    }
    let ban = Ban {
        kind: Kind::Ban,
        key,
        network: (!is_spared).then_some(network),
        who: who.as_str().into(),
        note: note(now, by, reason).into(),
    };
    let banned = |(slot, member): (Slot, &Member)| {
        let is_meant = member.is_staying() && !member.is_operator();
        (is_meant && ban.covers(member.key(), member.id().address().ip())).then_some(slot)
    };
    let slots: Vec<Slot> = room.roster.iter_from(0).filter_map(banned).collect();
    act(
        room,
        by,
        &format!("ban {ban}"),
        &format!("has banned {who}"),
        reason,
    );
    room.bans.add(ban);
    for slot in slots {
        room.leave(now, slot, Departure::Banned);
    }
    Ok(())
}

/// Why, by whom and when.
fn note(now: Now, by: &str, reason: &Text<'_>) -> String {
    let at = i64::try_from(now.unix_ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let at = at.map(|at| format!(" at {at:.0}")).unwrap_or_default();
    if reason.is_blank() {
        format!("by {by}{at}")
    } else {
        format!("{reason}, by {by}{at}")
    }
}

fn unban(room: &mut Room, by: &str, which: &str) -> Result<(), Error> {
    let lifted = room.bans.lift(which);
    if lifted.is_empty() {
        return Err((ErrorCode::Other, "there is no such ban; /bans lists them".into()));
    }
    for ban in lifted {
        let name = ban.name();
        let what = format!("unban {name}");
        act(
            room,
            by,
            &what,
            &format!("has lifted the ban of {name}"),
            &Text::new(""),
        );
    }
    Ok(())
}

/// The latest bans, as many as one answer should have.
fn list_bans(room: &mut Room, now: Now, slot: Slot) {
    const LISTED_MAX: usize = 100;
    let lines: Vec<String> = room
        .bans
        .iter()
        .map(|(number, ban)| match ban.kind {
            Kind::Ban => format!("{number}. {ban}"),
            Kind::Mute(until) => format!("{number}. {ban}, muted {}", mutes::lasting(now, until)),
        })
        .collect();
    let heading = match lines.len() {
        0 => "nobody is banned or muted".to_owned(),
        count => format!("{count} banned or muted:"),
    };
    tell(room, slot, &heading);
    let skipped = lines.len().saturating_sub(LISTED_MAX);
    lines.iter().skip(skipped).for_each(|line| tell(room, slot, line));
}
