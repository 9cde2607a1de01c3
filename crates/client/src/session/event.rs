//! What a front end is told.

use super::legacy::decoder::SAFE_TEXT_MAX;
use super::outcome::{Ending, Outcome};
use crate::private::Path;
use chat_proto::rich::ErrorCode;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::fmt;
use std::time::Duration;

/// Something for a front end to show. Every text in it is safe to show.
///
/// `at` is in milliseconds since the Unix epoch: by the server's clock where the server tells it, else
/// by ours. `history` marks what happened before the client came. `own` marks what this client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client is in the room.
    Welcome {
        /// The client itself, as everybody sees it.
        me: Who,
        /// Everybody who is here, the client too, ordered by id.
        users: Vec<Who>,
    },
    /// The server is an original one, which knows no nicks and takes short texts only: say what [`about_original`] says.
    Original {
        /// It counts as one only because it has said nothing yet. So would something that is no chat server, or hangs.
        silent: bool,
    },
    /// History ends here: what follows happens now.
    Live,
    /// A message to everybody.
    Said {
        /// When.
        at: u64,
        /// Whose.
        who: Who,
        /// What.
        text: Text<'static>,
        /// Before the client came?
        history: bool,
        /// The client's own, come back?
        own: bool,
    },
    /// Someone came.
    Joined {
        /// When.
        at: u64,
        /// Who.
        who: Who,
        /// Before the client came?
        history: bool,
        /// The client itself?
        own: bool,
    },
    /// Someone left.
    Left {
        /// When.
        at: u64,
        /// Who.
        who: Who,
        /// Before the client came?
        history: bool,
    },
    /// Someone left, and the server, an original one, does not say who.
    SomeoneLeft {
        /// When.
        at: u64,
    },
    /// Someone took another nick.
    Renamed {
        /// When.
        at: u64,
        /// The user as before.
        before: Who,
        /// The user from now on.
        after: Who,
        /// Before the client came?
        history: bool,
        /// The client itself?
        own: bool,
    },
    /// A private message came, or is on its way.
    Private {
        /// When.
        at: u64,
        /// Which of the two.
        direction: Direction,
        /// The other side.
        peer: Who,
        /// What.
        text: Text<'static>,
        /// How it travels.
        way: Way,
        /// One or more messages of that user's before it are missing; the user was told so.
        after_gap: bool,
    },
    /// A private message of the client's was delivered, or, where nobody confirms that, sent.
    Delivered {
        /// The number from its [`Direction::Sent`].
        seq: u64,
        /// The other side.
        peer: Who,
        /// What.
        text: Text<'static>,
        /// How it went.
        way: Way,
        /// How long it took to send and be confirmed; `None` if nobody confirms it.
        after: Option<Duration>,
    },
    /// A private message of the client's was not delivered.
    NotDelivered {
        /// The number from its [`Direction::Sent`].
        seq: u64,
        /// The other side.
        peer: Who,
        /// What.
        text: Text<'static>,
        /// Why.
        reason: Text<'static>,
    },
    /// A message was refused, or could not be sent at all.
    Refused {
        /// The message.
        text: Text<'static>,
        /// Why.
        reason: Text<'static>,
    },
    /// The answer to `/who`: everybody who is here, ordered by id.
    Users(Vec<Who>),
    /// The answer to `/query`: lines that are no commands go to this user alone from now on, or to everybody.
    Query(Option<Who>),
    /// The answer to `/verify`: what the two users compare.
    Code {
        /// The other user.
        who: Who,
        /// What both should see.
        code: String,
    },
    /// The answer to `/help`: show [`crate::command::help`].
    Help,
    /// The server says this to the user.
    Notice(Text<'static>),
    /// What was asked for can't be done. The code is there if it was the server that said so.
    Error(Option<ErrorCode>, Text<'static>),
    /// Nothing failed, but the user should know this.
    Warning(Text<'static>),
    /// A line of an original server that is none of those it is known to say; part of a message of
    /// several lines, perhaps. Whose it is can't be known.
    Unattributed {
        /// When.
        at: u64,
        /// What.
        text: Text<'static>,
    },
    /// The connection is lost, why, and another is to be made. What the client is to be told of the room comes
    /// again then, from [`Event::Welcome`] on.
    Lost(Outcome),
    /// The session is over; nothing comes after this.
    Ended(Ending),
}

/// What a user should know of an original server, see [`Event::Original`].
#[must_use]
pub fn about_original(silent: bool) -> String {
    let found = if silent {
        "the server says nothing, so it is taken for an original one"
    } else {
        "this is an original server"
    };
    format!("{found}: no nicks, no history, and texts over {SAFE_TEXT_MAX} bytes of UTF-8 are at risk")
}

/// What a user should know after `/query`, see [`Event::Query`].
#[must_use]
pub fn about_query(to: Option<&Who>) -> Text<'static> {
    Text::from(match to {
        Some(who) => format!("what you type goes to {who} alone, until /query"),
        None => "what you type goes to everybody".into(),
    })
}

/// Whether a private message comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To this client.
    Received,
    /// From this client, under this number, by which its fate is told.
    Sent(u64),
}

/// How a private message travels. Shown as the marks that tell the user what that is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// By which path, once that is known.
    pub path: Option<Path>,
    /// Nobody else could read it, and nobody else wrote it.
    pub sealed: bool,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path {
            Some(Path::Direct) => "direct",
            Some(Path::Relayed) => "via the server",
            None => "",
        };
        let clear = if self.sealed { "" } else { "unencrypted" };
        let comma = if path.is_empty() || clear.is_empty() {
            ""
        } else {
            ", "
        };
        write!(f, "{path}{comma}{clear}")
    }
}
