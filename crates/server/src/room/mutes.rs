//! Who may say something to the room.

use super::Room;
use super::acts::{Error, Target, act, target};
use crate::bans::{Ban, Bans, Kind};
use crate::member::Member;
use crate::network::Network;
use crate::slow::{Slow, Speaker};
use chat_proto::now::Now;
use chat_proto::rich::ErrorCode;
use chat_proto::text::Text;
use std::time::Duration;

/// Mutes a user, by key and network as a ban does.
pub(super) fn mute(
    room: &mut Room,
    now: Now,
    by: &str,
    who: &str,
    minutes: Option<u32>,
) -> Result<(), Error> {
    let other = |text: String| Err((ErrorCode::Other, text));
    let Target { id, key, who, .. } = target(room, who)?;
    let address = id.address().ip();
    if address.is_loopback() && key.is_none() {
        return other(format!(
            "not muted: {who} has no key, and its address is this machine's; /kick shows it out"
        ));
    }
    room.bans.prune(now.monotonic);
    if room.bans.is_full() {
        return other("not muted: there are too many bans and mutes; /unban and /unmute lift one".into());
    }
    let network = Some(Network::of(address)).filter(|_| !address.is_loopback());
    let shares = |member: &Member| {
        let there = network.is_some_and(|network| network.contains(member.id().address().ip()));
        there && member.is_staying() && !member.is_operator() && member.id() != id
    };
    let members = room.roster.iter_from(0);
    let others = members.filter(|(_, member)| shares(member)).count();
    if let Some(network) = network.filter(|_| others > 0)
        && !room.bans.confirms(now.monotonic, id, true)
    {
        return other(format!(
            "not muted yet: {others} more from {network} would be muted too; say it again within a minute to mute all"
        ));
    }
    let time = minutes.map(|minutes| Duration::from_secs(60 * u64::from(minutes)));
    let until = time.map(|time| now.monotonic + time);
    let lasting = time.map_or(String::new(), |_| format!(" {}", lasting(now, until)));
    // It replaces the one before.
    room.bans.unmute(&who, Some((key, address)));
    room.bans.add(Ban {
        kind: Kind::Mute(until),
        key,
        network,
        who: who.as_str().into(),
        note: "".into(),
    });
    let (what, said) = (
        format!("mute {who}{lasting}"),
        format!("has muted {who}{lasting}"),
    );
    act(room, by, &what, &said, &Text::new(""));
    Ok(())
}

/// Lifts the mutes of a user, who may be gone or have another nick.
pub(super) fn unmute(room: &mut Room, now: Now, by: &str, which: &str) -> Result<(), Error> {
    let slot = room.roster.find(which);
    let member = slot.and_then(|slot| room.roster.get(slot));
    let user = member.map(|member| (member.key(), member.id().address().ip()));
    let lifted = room.bans.unmute(which, user);
    // A mute of somebody else in the same network stays.
    let other = user.and_then(|(key, address)| room.bans.mutes(now.monotonic, key, address).next());
    let other = other.zip(member).map(|((mute, _), member)| {
        let (who, other) = (member.label(), mute.name());
        format!("{who} shares a network with {other}, who is muted; /unmute {other} lifts that for both")
    });
    let nobody = || "nobody of that name is muted; /bans lists the muted".into();
    let error = other.or_else(|| lifted.is_empty().then(nobody));
    for mute in lifted {
        let (what, said) = (
            format!("unmute {}", mute.who),
            format!("has unmuted {}", mute.who),
        );
        act(room, by, &what, &said, &Text::new(""));
    }
    error.map_or(Ok(()), |text| Err((ErrorCode::Other, text)))
}

/// Makes the room slow, or not.
pub(super) fn slow(room: &mut Room, by: &str, seconds: Option<u32>) -> Result<(), Error> {
    let interval = seconds.map(|seconds| Duration::from_secs(seconds.into()));
    if interval.is_none() && room.slow.interval().is_none() {
        return Err((ErrorCode::Other, "the room is not slow".into()));
    }
    room.slow = Slow::new(interval);
    let (what, said) = match seconds {
        Some(seconds) => (
            format!("slow {seconds}"),
            format!("has made the room slow: each user may say one line in {seconds} s"),
        ),
        None => ("slow off".into(), "has ended the slow room".into()),
    };
    act(room, by, &what, &said, &Text::new(""));
    Ok(())
}

/// For how long a mute lasts, in words.
pub(super) fn lasting(now: Now, until: Option<Duration>) -> String {
    let Some(until) = until else {
        return "until an operator lifts that".into();
    };
    match until.saturating_sub(now.monotonic).as_secs().div_ceil(60) {
        0 | 1 => "for 1 minute".into(),
        minutes => format!("for {minutes} minutes"),
    }
}

/// Whether this user may say a line to the room now; then it counts as said.
pub(super) fn admit(bans: &Bans, slow: &mut Slow, now: Now, member: &Member) -> Result<(), Error> {
    if member.is_operator() {
        return Ok(());
    }
    let (key, id) = (member.key(), member.id());
    if let Some(until) = bans.mute(now.monotonic, key, id.address().ip()) {
        let text = format!(
            "not sent: an operator has muted you {}; private messages still work",
            lasting(now, until)
        );
        return Err((ErrorCode::Muted, text));
    }
    let Some(interval) = slow.interval() else {
        return Ok(());
    };
    let speaker = key.map_or(Speaker::Id(id), Speaker::Key);
    if let Some(wait) = slow.wait(now.monotonic, speaker) {
        let (each, seconds) = (interval.as_secs(), wait.as_secs() + 1);
        let text = format!("not sent: the room is slow, one line in {each} s; you may go on in {seconds} s");
        return Err((ErrorCode::Slow, text));
    }
    slow.spoke(now.monotonic, speaker);
    Ok(())
}
