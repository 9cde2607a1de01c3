//! What a room keeps over a restart, and a room that begins with it.

use super::Room;
use crate::bans::{Ban, Kind};
use crate::event::Event;
use crate::lock::Lock;
use crate::slow::Slow;
use crate::state::State;
use chat_proto::nick::Nick;
use chat_proto::now::Now;
use chat_proto::order::MUTE_MINUTES_MAX;
use std::time::Duration;

/// What is to be kept of the room now.
#[must_use]
pub fn take(room: &Room, now: Now) -> State {
    let (before, messages) = room.transcript.messages();
    let mut state = State {
        is_final: room.shuts_down,
        said: room.transcript.said(),
        lost_from: room.lost_from,
        before,
        messages,
        topic: room.topic.clone(),
        slow: room.slow.interval(),
        lock: room.lock.as_ref().map(|lock| lock.keys().collect()),
        operators: room.operators.proven().collect(),
        clients: room.resumption.clients().copied().collect(),
        ..State::default()
    };
    for (_, ban) in room
        .bans
        .iter()
        .filter(|(_, ban)| !ban.kind.is_over(now.monotonic))
    {
        match ban.kind {
            Kind::Ban => state.bans.push(ban.clone()),
            Kind::Mute(until) => state
                .mutes
                .push((until.map(|until| unix_ms(now, until)), ban.clone())),
        }
    }
    for (key, network, nick) in room.holds.nicks(now.monotonic) {
        state.nicks.push((key, network, nick.as_str().into()));
    }
    // These clients will find their connections gone.
    let members = room.roster.iter_from(0).map(|(_, member)| member);
    for member in members.filter(|member| member.is_staying()) {
        let Some(client) = member.resumable() else {
            continue;
        };
        state.clients.push(client);
        if let Some(nick) = member.nick_text() {
            state.nicks.push((client.key, client.network, nick.into()));
        }
    }
    state
}

/// The room begins with what an earlier run of the server has kept.
pub fn restore(room: &mut Room, now: Now, state: State) {
    room.transcript.restore(state.said, state.before, &state.messages);
    let lost_from = (!state.is_final).then(|| room.transcript.said());
    room.lost_from = lost_from.or(state.lost_from);
    let mut clients = state.clients;
    for client in &mut clients {
        client.lost_from = [client.lost_from, lost_from].into_iter().flatten().min();
    }
    room.resumption.restore(&clients);
    for (key, network, nick) in state.nicks {
        if let Ok(nick) = Nick::parse(&nick)
            && room.holds.find(now.monotonic, &nick).is_none()
        {
            room.holds.add(now.monotonic, network, key, nick);
        }
    }
    let mutes = state.mutes.into_iter().map(|(until, ban)| Ban {
        kind: Kind::Mute(until.map(|until| monotonic(now, until))),
        ..ban
    });
    room.bans.restore(state.bans.into_iter().chain(mutes));
    room.operators.restore(state.operators);
    room.topic = state.topic;
    room.slow = Slow::new(state.slow);
    room.lock = state.lock.map(|keys| Lock::new(keys.into_iter().collect()));
    room.said = room.transcript.said();
}

/// Whether a turn has changed what is kept.
pub(super) fn is_changed(room: &mut Room) -> bool {
    let before = std::mem::replace(&mut room.said, room.transcript.said());
    let matters = |event: &Event| {
        use Event::{Act, Join, Leave, Nick, Stop};
        matches!(
            event,
            Join { .. } | Leave { .. } | Nick { .. } | Act { .. } | Stop { .. }
        )
    };
    before != room.said || room.events.iter().any(matters)
}

/// A time on the room's clock, by the wall clock: the next run has another clock.
fn unix_ms(now: Now, at: Duration) -> u64 {
    let left = at.saturating_sub(now.monotonic).as_millis();
    now.unix_ms
        .saturating_add(u64::try_from(left).unwrap_or(u64::MAX))
}

/// The other way round. The wall clock may have been set, so a mute is never longer than one can be.
fn monotonic(now: Now, unix_ms: u64) -> Duration {
    const LONGEST: Duration = Duration::from_secs(60 * MUTE_MINUTES_MAX as u64);
    let left = Duration::from_millis(unix_ms.saturating_sub(now.unix_ms));
    now.monotonic + left.min(LONGEST)
}
