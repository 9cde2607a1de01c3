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
    /// `topic <text>`: says what the room is about. `topic -` is a room without a topic.
    Topic(Option<Text<'a>>),
}

/// The usage of `/kick`.
pub const KICK_USAGE: &str = "/kick WHO [REASON]";
/// The usage of `/ban`.
pub const BAN_USAGE: &str = "/ban WHO [REASON]";
/// The usage of `/unban`.
pub const UNBAN_USAGE: &str = "/unban WHICH";

/// What stands for no topic.
pub const NO_TOPIC: &str = "-";

/// The names of all orders.
pub const ORDERS: [&str; 7] = ["kick", "ban", "unban", "bans", "lock", "unlock", "topic"];

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
            "lock" => Self::Lock,
            "unlock" => Self::Unlock,
            "topic" => {
                Self::Topic(Some(Text::new(needed.map(|_| rest)?)).filter(|text| text.as_str() != NO_TOPIC))
            }
            _ => return None,
        })
    }
}

impl fmt::Display for Order<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, who, reason) = match self {
            Self::Kick(who, reason) => ("kick", who, Some(reason)),
            Self::Ban(who, reason) => ("ban", who, Some(reason)),
            Self::Unban(which) => ("unban", which, None),
            Self::Bans => return f.write_str("bans"),
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
