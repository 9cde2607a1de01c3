//! The figures of the room, for the log and for whoever asks.

use super::Room;
use crate::event::{Departure, Event};
use crate::rate::Rate;
use chat_proto::id::canonical;
use chat_proto::now::Now;
use chat_proto::status::{self, Status};
use std::net::SocketAddr;
use std::num::NonZeroU32;

/// Questions of other machines answered in a second, and at once. They all share this, because a source is easily forged.
const INQUIRIES: (NonZeroU32, u32) = (NonZeroU32::MIN.saturating_add(9), 20);

/// All figures.
#[must_use]
pub fn of(room: &Room, now: Now) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime: now.monotonic.as_secs(),
        users: Some(room.users as u64),
        max_users: room.limits.max_users as u64,
        closing: room.shuts_down,
        locked: room.lock.is_some(),
        passphrase: room.door.phrase.is_some(),
        sealed: room.door.is_sealed(),
        traffic: Some(room.traffic),
    }
}

/// The answer to a datagram that asks for the status, if it gets one. Other machines are not told the traffic, nor the users
/// of a room that is closed to them: it would show when people are there, and when they talk.
pub fn answer(room: &mut Room, now: Now, source: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
    let nonce = status::parse_question(datagram)?;
    let is_local = canonical(source).ip().is_loopback();
    let (per_second, burst) = INQUIRIES;
    let rate = Rate::new(per_second, burst);
    if !room.door.admits(source.ip()) || !is_local && !room.inquiries.try_count(rate, now.monotonic) {
        return None;
    }
    room.traffic.asked += 1;
    let mut status = of(room, now);
    status.traffic = status.traffic.filter(|_| is_local);
    status.users = status
        .users
        .filter(|_| is_local || !status.locked && !status.passphrase);
    status::answer(&nonce, &status)
}

/// What has happened in a turn, which is counted here.
pub(super) fn take_events(room: &mut Room) -> Vec<Event> {
    for event in &room.events {
        match event {
            Event::Refuse { .. } => room.traffic.refused += 1,
            Event::Leave {
                why: Departure::Slow(_),
                ..
            } => room.traffic.slow += 1,
            _ => {}
        }
    }
    std::mem::take(&mut room.events)
}
