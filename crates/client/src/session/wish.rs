//! A nick that the user wishes, and somebody else had when the client joined.

use chat_proto::nick::Nick;
use std::time::Duration;

/// How long after a rejection the client asks again, the first time and at most. The server may hold the nick for a
/// while, and does not say when that ends.
const WAIT: Duration = Duration::from_secs(15);
const WAIT_MAX: Duration = Duration::from_secs(240);

/// A nick that the user wishes and somebody else has.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) nick: Nick,
    /// When to ask for it, if then nobody has it.
    pub(super) ask_at: Option<Duration>,
    /// How long to wait after the next rejection.
    wait: Duration,
    /// The next answer about a nick is that to this wish.
    pub(super) is_asked: bool,
    /// The user has chosen another nick.
    pub(super) is_dropped: bool,
}

impl Wish {
    /// A wish whose nick was rejected at this time.
    pub(super) fn rejected(nick: Nick, now: Duration) -> Self {
        Self {
            nick,
            ask_at: Some(now + WAIT),
            wait: 2 * WAIT,
            is_asked: false,
            is_dropped: false,
        }
    }

    /// Somebody lost a nick that looks like this one.
    pub(super) fn freed(&mut self, now: Duration) {
        self.ask_at = Some(now);
        self.wait = WAIT;
    }

    /// The server rejected it once more.
    pub(super) fn rejected_again(&mut self, now: Duration) {
        self.is_asked = false;
        self.ask_at = Some(now + self.wait);
        self.wait = (2 * self.wait).min(WAIT_MAX);
    }
}
