//! How far a session has come.

use chat_proto::now::Now;
use chat_proto::rich::ErrorCode;
use std::time::Duration;

/// How long a server may take to greet. One that is silent for longer is an original one, with nobody there.
pub(super) const GREETING_WAIT: Duration = Duration::from_secs(2);
/// How long it may take if it says something all the while, and that is still no whole greeting.
const GREETING_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long the server may take for its goodbye, or for the reason why a nick can't be had.
pub(super) const LAST_WORD_WAIT: Duration = Duration::from_secs(1);

/// How far the two sides have come to know each other.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing is known of the server but what it said so far. It has until `until` to say more, and until `latest` to
    /// say all of it.
    Greeting {
        heard: Vec<u8>,
        until: Duration,
        latest: Duration,
    },
    /// It is one of ours, and was told `HELLO`. Or it answered without the nick that the user insists
    /// on, and is yet to say why.
    Hello { until: Duration },
    /// The rich dialect is spoken.
    Rich(Phase),
    /// It is an original server.
    Legacy,
    /// The connection is gone, and another is to be made.
    Lost,
}

/// What the server is telling in the rich dialect. They come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// Who is here.
    Roster,
    /// What happened before.
    History,
    /// What happens.
    Live,
}

impl Stage {
    /// A connection was just made.
    pub(super) fn greeting(now: Now) -> Self {
        Self::Greeting {
            heard: Vec::new(),
            until: now.monotonic + GREETING_WAIT,
            latest: now.monotonic + GREETING_WAIT_MAX,
        }
    }
}

pub(super) fn is_about_nick(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::BadNick | ErrorCode::NickTaken)
}
