//! What operators ask of the room.

use crate::text::Text;
use std::fmt;

/// An order, as the rich dialect writes it behind `ROOM`, and as people type it behind a slash. Users are named by nick, id
/// or `nick@id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order<'a> {
    /// `kick <who> [<reason>]`: shows a user out, for a minute.
    Kick(&'a str, Text<'a>),
    /// `ban <who> [<reason>]`: shows a user out, and keeps it out.
    Ban(&'a str, Text<'a>),
    /// `unban <ban>`: lifts a ban, by its number, or the name or address in it.
    Unban(&'a str),
    /// `bans`: lists the bans.
    Bans,
    /// `lock`: lets nobody new in.
    Lock,
    /// `unlock`: lets everybody in again.
    Unlock,
    /// `mute <who> [<minutes>]`: lets a user read, and say nothing to the room.
    Mute(&'a str, Option<u32>),
    /// `unmute <who>`: lets it say something again.
    Unmute(&'a str),
    /// `slow <seconds>`: each user says at most one line in that time. `slow off` is a room without that.
    Slow(Option<u32>),
    /// `passphrase new`: sets a new passphrase, which this operator alone is told.
    NewPassphrase,
    /// `topic <text>`: says what the room is about. `topic -` is a room without a topic.
    Topic(Option<Text<'a>>),
}

/// The usage of `/kick`.
pub const KICK_USAGE: &str = "/kick WHO [REASON]";
/// The usage of `/ban`.
pub const BAN_USAGE: &str = "/ban WHO [REASON]";
/// The usage of `/unban`.
pub const UNBAN_USAGE: &str = "/unban WHICH";

/// The usage of `/mute`.
pub const MUTE_USAGE: &str = "/mute WHO [MINUTES]";
/// The usage of `/unmute`.
pub const UNMUTE_USAGE: &str = "/unmute WHO";
/// The usage of `/slow`.
pub const SLOW_USAGE: &str = "/slow SECONDS";

/// The usage of `/passphrase`.
pub const PASSPHRASE_USAGE: &str = "/passphrase new";

/// The longest mute that ends by itself, in minutes: a week.
pub const MUTE_MINUTES_MAX: u32 = 7 * 24 * 60;

/// The slowest room, in seconds between two lines of one user.
pub const SLOW_SECONDS_MAX: u32 = 3600;

/// What stands for a room that is not slow.
const OFF: &str = "off";

/// What `passphrase` needs, so that nobody sets one by mistake.
const NEW: &str = "new";

/// What stands for no topic.
pub const NO_TOPIC: &str = "-";

/// The names of all orders.
pub const ORDERS: [&str; 11] = [
    "kick",
    "ban",
    "unban",
    "bans",
    "mute",
    "unmute",
    "slow",
    "lock",
    "unlock",
    "passphrase",
    "topic",
];

impl<'a> Order<'a> {
    /// Reads an order by its name and what follows it; `None` if there is none of that name or an argument is missing.
    #[must_use]
    pub fn parse(name: &str, rest: &'a str) -> Option<Self> {
        let rest = rest.trim();
        let (who, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let reason = Text::new(reason.trim_start());
        let needed = (!who.is_empty()).then_some(who);
        Some(match name {
            "kick" => Self::Kick(needed?, reason),
            "ban" => Self::Ban(needed?, reason),
            "unban" => Self::Unban(needed?),
            "bans" => Self::Bans,
            "mute" if reason.is_blank() => Self::Mute(needed?, None),
            "mute" => Self::Mute(needed?, Some(number(reason.as_str(), MUTE_MINUTES_MAX)?)),
            "unmute" => Self::Unmute(needed?),
            "slow" if rest == OFF => Self::Slow(None),
            "slow" => Self::Slow(Some(number(rest, SLOW_SECONDS_MAX)?)),
            "passphrase" if rest == NEW => Self::NewPassphrase,
            "lock" => Self::Lock,
            "unlock" => Self::Unlock,
            "topic" => {
                Self::Topic(Some(Text::new(needed.map(|_| rest)?)).filter(|text| text.as_str() != NO_TOPIC))
            }
            _ => return None,
        })
    }
}

/// A number from 1 to `max`.
fn number(typed: &str, max: u32) -> Option<u32> {
    typed.parse().ok().filter(|number| (1..=max).contains(number))
}

impl fmt::Display for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, who, reason) = match self {
            Self::Kick(who, reason) => ("kick", who, Some(reason)),
            Self::Ban(who, reason) => ("ban", who, Some(reason)),
            Self::Unban(which) => ("unban", which, None),
            Self::Bans => return f.write_str("bans"),
            Self::Mute(who, Some(minutes)) => return write!(f, "mute {who} {minutes}"),
            Self::Mute(who, None) => ("mute", who, None),
            Self::Unmute(who) => ("unmute", who, None),
            Self::Slow(Some(seconds)) => return write!(f, "slow {seconds}"),
            Self::Slow(None) => return write!(f, "slow {OFF}"),
            Self::NewPassphrase => return write!(f, "passphrase {NEW}"),
            Self::Lock => return f.write_str("lock"),
            Self::Unlock => return f.write_str("unlock"),
            Self::Topic(Some(text)) => return write!(f, "topic {text}"),
            Self::Topic(None) => return write!(f, "topic {NO_TOPIC}"),
        };
        write!(f, "{name} {who}")?;
        match reason.filter(|reason| !reason.is_blank()) {
            Some(reason) => write!(f, " {reason}"),
            None => Ok(()),
        }
    }
}
