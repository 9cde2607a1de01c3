//! The stages of a connection.

use chat_proto::now::Now;
use chat_proto::rich::ErrorCode;
use std::time::Duration;

/// How long a server may take to greet. A server that stays silent is an original one with an empty room.
pub(super) const GREETING_WAIT: Duration = Duration::from_secs(2);
/// How long a greeting may take that arrives bit by bit.
const GREETING_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long the server may take for its goodbye, or for the reason of a rejected nick.
pub(super) const LAST_WORD_WAIT: Duration = Duration::from_secs(1);

/// What is known of the server.
#[derive(Debug)]
pub(super) enum Stage {
    /// Only these bytes. More have to follow before `until`, and the whole greeting before `latest`.
    Greeting {
        received: Vec<u8>,
        until: Duration,
        latest: Duration,
    },
    /// The server is a `chat-server`. `WELCOME` has to follow, or the reason why it rejects the nick that the user
    /// requires.
    Hello { until: Duration },
    /// It let the client in, in the rich dialect.
    Rich(Phase),
    /// It is an original server.
    Legacy,
    /// The connection is lost, and another is to be made.
    Lost,
}

/// What the server sends in the rich dialect, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// The user list.
    Roster,
    /// Past events.
    History,
    /// Events as they happen.
    Live,
}

impl Stage {
    /// A connection was just made.
    pub(super) fn greeting(now: Now) -> Self {
        Self::Greeting {
            received: Vec::new(),
            until: now.monotonic + GREETING_WAIT,
            latest: now.monotonic + GREETING_WAIT_MAX,
        }
    }
}

pub(super) fn is_about_nick(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::BadNick | ErrorCode::NickTaken | ErrorCode::TooOften
    )
}
