//! What the room is about.

use super::event::Topic;
use chat_proto::text::Text;
use chat_proto::who::Who;

/// What the server says of it.
#[derive(Debug, Default)]
pub(super) struct Topics {
    /// Who set the topic, and the topic.
    current: Option<(Who, Text<'static>)>,
    /// The same, as told on joining.
    listed: Option<(Who, Text<'static>)>,
}

impl Topics {
    /// The server tells the topic while the client joins.
    pub(super) fn list(&mut self, who: Who, text: Text<'_>) {
        self.listed = Some((who, text.into_owned())).filter(|(_, text)| !text.is_blank());
    }

    /// The client has joined. After a reconnection, the topic may be the same: then there is no news.
    pub(super) fn settle(&mut self) -> Option<Topic> {
        let listed = self.listed.take();
        let is_news = self.current != listed;
        self.current = listed;
        is_news.then(|| self.current())
    }

    /// An operator has set the topic, or removed it.
    pub(super) fn set(&mut self, who: Who, text: Text<'_>) -> Topic {
        let text = text.into_owned();
        self.current = Some((who.clone(), text.clone())).filter(|_| !text.is_blank());
        let (who, set) = (Some(who), true);
        Topic { who, text, set }
    }

    /// The topic.
    pub(super) fn current(&self) -> Topic {
        let (who, text) = self.current.clone().unzip();
        let text = text.unwrap_or(Text::new(""));
        Topic {
            who,
            text,
            set: false,
        }
    }
}
