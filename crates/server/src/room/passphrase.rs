//! A new passphrase for the room.

use super::Room;
use super::acts::{Error, act, refuse, tell};
use crate::event::Refusal;
use crate::new_phrase::NewPhrase;
use crate::roster::Slot;
use crate::words;
use chat_noise::cpace::Phrase;
use chat_proto::now::Now;
use chat_proto::rich::ErrorCode;
use chat_proto::text::Text;

/// An operator asks for one. The end of the turn returns it, to be written into its file.
pub(super) fn ask(room: &mut Room, slot: Slot, by: &str) -> Result<(), Error> {
    let other = |text: &str| Err((ErrorCode::Other, text.to_owned()));
    if room.door.phrase.is_none() {
        return other(
            "this room has no passphrase: chat-server --new-passphrase --passphrase-file FILE makes one, and \
             --passphrase-file FILE starts the server with it",
        );
    }
    if room.new_phrase.is_some() {
        return other("not changed: a new passphrase is being set; try again if you want another one");
    }
    let mut random = [0; 2 * words::COUNT];
    for (byte, from) in random.iter_mut().zip((room.tokens)().0) {
        *byte = from;
    }
    room.new_phrase = Some(NewPhrase {
        slot,
        by: by.into(),
        words: words::phrase(random),
    });
    Ok(())
}

/// A new passphrase holds from here on if it was written into its file; else the one before does, for this reason. To be called
/// before the next turn.
pub fn renew(room: &mut Room, now: Now, new: &NewPhrase, written: Result<(), &str>) {
    if let Err(why) = written {
        let text = format!("not changed, the passphrase is the one before: {why}");
        return refuse(room, new.slot, &(ErrorCode::Other, text));
    }
    room.door.phrase = Phrase::new(&new.words);
    // Those who knew the one before may guess this one no faster than others.
    room.wrong_phrases.distrust();
    let begun: Vec<Slot> = room.handshakes.begun.keys().copied().collect();
    for slot in begun {
        // They began with the one before.
        room.turn_away(now, slot, Refusal::Passphrase);
    }
    let said = "has set a new passphrase: users who are in stay in, and need it to come back";
    act(room, &new.by, "passphrase new", said, &Text::new(""));
    tell(room, new.slot, &format!("the new passphrase is: {}", new.words));
}
