//! The handshake that makes a connection an encrypted one.

use super::Room;
use crate::event::{Departure, Event, Refusal};
use crate::member::{Stage, Unsealed};
use crate::roster::Slot;
use crate::secure::Secure;
use chat_noise::handshake::{Failure, Offer, Server, VERB};
use chat_proto::now::Now;
use chat_proto::opaque::{PublicKey, Token};

/// Whether the next line of a connection, which begins so, may be processed in this turn: a message of a handshake costs much
/// more than a line, and waits for its turn.
pub(super) fn admits(room: &mut Room, slot: Slot, head: impl FnOnce(usize) -> Vec<u8>) -> bool {
    let Some(member) = room.roster.get(slot) else {
        return true;
    };
    let seals = matches!(member.stage, Stage::Sealing(..));
    let is_handshake = seals || !member.has_spoken() && head(VERB.len()).starts_with(VERB.as_bytes());
    !is_handshake || room.handshakes.queue.admit(slot, seals)
}

/// A client's first line begins a handshake. From here on, only the handshake is written to the connection.
pub(super) fn begin(room: &mut Room, now: Now, slot: Slot, line: &[u8]) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    let greeting = room.greeting(member);
    let identity = &room.handshakes.identity;
    let offer = Offer {
        greeting: greeting.as_bytes(),
        key: &identity.key,
        is_kept: identity.is_kept,
        phrase: room.door.phrase.as_ref(),
    };
    let begun = Server::begin(&offer, line, &mut random(&mut room.tokens));
    let Ok((server, mut answer)) = begun else {
        return reject(room, now, slot);
    };
    let Some(member) = room.roster.get_mut(slot) else {
        return;
    };
    if member.stage == Stage::Joined {
        member.end_plain(&room.transcript);
    }
    let before = match member.stage {
        Stage::Joined => Unsealed::Joined,
        Stage::Queued(_) => Unsealed::Queued,
        _ => Unsealed::New,
    };
    member.stage = Stage::Sealing(before, now.monotonic.into());
    answer.push('\n');
    member.outbox.push(0, answer.into_bytes());
    let begun = (now.monotonic.into(), Box::new(server));
    room.handshakes.begun.insert(slot, begun);
}

/// Its second line ends it, and holds its first one of the rich dialect, which is returned with the key that it has proven.
pub(super) fn finish(room: &mut Room, now: Now, slot: Slot, line: &[u8]) -> Option<(Vec<u8>, PublicKey)> {
    let address = room.roster.get(slot)?.id().address().ip();
    let Some((begun, server)) = room.handshakes.begun.remove(&slot) else {
        reject(room, now, slot);
        return None;
    };
    let has_phrase = room.door.phrase.is_some();
    let waits = has_phrase && room.wrong_phrases.wait(now.monotonic, address).is_some();
    let trusted = |peer| room.wrong_phrases.trusts(now.monotonic, peer);
    let (first, established) = match server.finish(line, now.monotonic) {
        Ok(finished) if !waits || trusted(&finished.1.peer) => finished,
        // A right passphrase gets the answer of a wrong one, so nothing is learnt from it. This also holds for whoever began
        // many handshakes at once.
        Ok(_) | Err(Failure::Unproven) if waits => {
            room.turn_away(now, slot, Refusal::Guesses);
            return None;
        }
        Err(Failure::Unproven) if has_phrase => {
            room.wrong_phrases.count(now.monotonic, address);
            room.turn_away(now, slot, Refusal::Passphrase);
            return None;
        }
        _ => {
            reject(room, now, slot);
            return None;
        }
    };
    if has_phrase {
        room.wrong_phrases.trust(now.monotonic, address, established.peer);
    }
    let member = room.roster.get_mut(slot)?;
    let Stage::Sealing(before, _) = member.stage else {
        return None;
    };
    member.stage = match before {
        Unsealed::Joined => Stage::Joined,
        Unsealed::Queued => Stage::Queued(now.monotonic.into()),
        Unsealed::New => Stage::Handshake(now.monotonic.into()),
    };
    let mut secure = Secure::new(established.peer, established.channel, begun);
    secure.operator_tag = room.operators.expected(&established.hash);
    member.secure = Some(Box::new(secure));
    Some((first, established.peer))
}

/// Closes a connection whose handshake failed or took too long.
pub(super) fn reject(room: &mut Room, now: Now, slot: Slot) {
    close(room, now, slot, Refusal::Handshake, Departure::Handshake);
}

/// Closes the connection of a client that says its first line in the clear, as clients before the encrypted channel did.
pub(super) fn reject_outdated(room: &mut Room, now: Now, slot: Slot) {
    close(room, now, slot, Refusal::Outdated, Departure::Outdated);
}

fn close(room: &mut Room, now: Now, slot: Slot, refusal: Refusal, departure: Departure) {
    let Some(member) = room.roster.get(slot) else {
        return;
    };
    if !member.is_announced() {
        let (peer, why) = (member.id().address(), refusal);
        room.events.push(Event::Refuse { peer, why });
    }
    room.leave(now, slot, departure);
}

/// The room's randomness, 16 bytes at a time.
fn random(tokens: &mut Box<dyn FnMut() -> Token>) -> impl FnMut(&mut [u8]) {
    move |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(16) {
            let token = tokens();
            chunk.copy_from_slice(token.0.get(..chunk.len()).unwrap_or_default());
        }
    }
}
