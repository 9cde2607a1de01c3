//! What operators say that the room is about.

use super::Room;
use super::acts::{Error, log, tell};
use crate::roster::Slot;
use crate::topic::Topic;
use chat_proto::TOPIC_MAX;
use chat_proto::plain::ServerLine;
use chat_proto::rich::{ErrorCode, FromServer};
use chat_proto::text::Text;

/// An operator sets the topic, or removes it.
pub(super) fn set(room: &mut Room, by: &str, text: Option<&Text<'_>>) -> Result<(), Error> {
    if text.is_some_and(|text| text.as_str().chars().count() > TOPIC_MAX) {
        let text = format!("not done: a topic has at most {TOPIC_MAX} characters");
        return Err((ErrorCode::TooLong, text));
    }
    let text = text.filter(|text| !text.is_blank());
    let (words, what) = match text {
        Some(text) => (format!("operator {by} has set the topic: {text}"), "topic"),
        None => (format!("operator {by} has removed the topic"), "topic removed"),
    };
    let line = FromServer::Topic(by, text.map_or(Text::new(""), Text::borrow));
    let words = Text::from(words);
    room.transcript
        .append(Some(&ServerLine::Notice(words.borrow())), line);
    room.topic = text.map(|text| Topic {
        who: by.into(),
        text: text.clone().into_owned(),
    });
    log(room, by, what);
    Ok(())
}

/// Tells a plain user who asks.
pub(super) fn show(room: &mut Room, slot: Slot) {
    let topic = room.topic.as_ref().map(Topic::words);
    tell(room, slot, topic.as_deref().unwrap_or("there is no topic"));
}
