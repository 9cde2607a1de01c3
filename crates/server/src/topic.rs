//! What the room is about.

use chat_proto::rich::FromServer;
use chat_proto::text::Text;

/// The topic.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    /// Who set it, as it was called then.
    pub(crate) who: Box<str>,
    pub(crate) text: Text<'static>,
}

impl Topic {
    /// The line that tells a client.
    pub(crate) fn line(&self) -> FromServer<'_, &str> {
        FromServer::Topic(&self.who, self.text.borrow())
    }

    /// The same for plain users.
    pub(crate) fn words(&self) -> String {
        format!("the topic is: {} (set by {})", self.text, self.who)
    }
}
