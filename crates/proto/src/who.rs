//! The names of users on the wire and on the screen.

use crate::id::{ID_MAX, NotAnId, UserId};
use crate::nick::{NICK_BYTES_MAX, Nick};
use std::fmt;
use std::str::FromStr;

/// The longest text of a [`Who`], in bytes: a nick, `@`, and an id.
pub const WHO_MAX: usize = NICK_BYTES_MAX + 1 + ID_MAX;

/// A user as lines name one: `nick@ip:port`, or the bare id of a user who took no nick.
///
/// The id is always there, so that no nick can impersonate another user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// The name the user took, if any.
    pub nick: Option<Nick>,
    /// The address the server sees the user at.
    pub id: UserId,
}

impl From<UserId> for Who {
    fn from(id: UserId) -> Self {
        Self { nick: None, id }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(nick) = &self.nick {
            write!(f, "{nick}@")?;
        }
        self.id.fmt(f)
    }
}

impl FromStr for Who {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        match text.split_once('@') {
            Some((nick, id)) => Ok(Self {
                nick: Some(Nick::parse(nick).map_err(|_| NotAnId)?),
                id: id.parse()?,
            }),
            None => Ok(Self::from(text.parse::<UserId>()?)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_round_trips() {
        for text in [
            "10.0.0.5:50312",
            "[::1]:9",
            "alice@10.0.0.5:50312",
            "李雷@[fe80::1]:9000",
        ] {
            assert_eq!(text.parse::<Who>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn neither_half_may_be_missing_or_invalid() {
        for text in [
            "alice",
            "alice@",
            "@10.0.0.5:1",
            "system@10.0.0.5:1",
            "a@b@10.0.0.5:1",
            "alice@10.0.0.5",
        ] {
            assert_eq!(text.parse::<Who>(), Err(NotAnId), "{text:?}");
        }
    }

    #[test]
    fn no_user_exceeds_the_limit() {
        let nick = Nick::parse(&"ё".repeat(32)).unwrap();
        let id = "[1111:2222:3333:4444:5555:6666:7777:8888]:65535".parse().unwrap();
        let who = Who { nick: Some(nick), id };
        assert!(who.to_string().len() <= WHO_MAX);
    }
}
