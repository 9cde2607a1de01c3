//! The plain dialect: for `nc`, telnet, scripts, and the lab's original programs.

use crate::order::ORDERS;
use crate::text::Text;
use crate::who::Who;
use std::fmt;

/// A line from the server to plain users.
///
/// `W` is a user: a [`Who`] where lines are parsed, and anything that displays as one where they are written, so that the
/// server need not format an address for each message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerLine<'a, W = Who> {
    /// `<who> is online`: a user joined. To everybody, the user too.
    Online(W),
    /// `<who> is offline`: a user left. To everybody.
    Offline(W),
    /// `from <who>: <text>`: a message. To everybody, its sender too.
    From(W, Text<'a>),
    /// `* <who> <text>`: a user does something, see [`Text::action`]. To everybody, the user too.
    Action(W, Text<'a>),
    /// `<who> is now <who>`: a user took another nick. To everybody.
    IsNow(W, W),
    /// `private from <who>: <text>`: an unencrypted message to this user only.
    PrivateFrom(W, Text<'a>),
    /// `too many users`: the room is full. The server closes the connection after it.
    TooManyUsers,
    /// `* <text>`: a notice to this user only: the greeting, an answer, an error, or the shutdown.
    Notice(Text<'a>),
}

impl<W: fmt::Display> fmt::Display for ServerLine<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Online(who) => write!(f, "{who} is online"),
            Self::Offline(who) => write!(f, "{who} is offline"),
            Self::From(who, text) => write!(f, "from {who}: {}", text.shown()),
            Self::Action(who, text) => write!(f, "* {who} {}", text.shown()),
            Self::IsNow(before, after) => write!(f, "{before} is now {after}"),
            Self::PrivateFrom(who, text) => write!(f, "private from {who}: {}", text.shown()),
            Self::TooManyUsers => f.write_str("too many users"),
            Self::Notice(text) => write!(f, "* {}", text.shown()),
        }
    }
}

impl<'a, W> ServerLine<'a, W> {
    /// The line of a message: a [`ServerLine::From`] or an [`ServerLine::Action`].
    #[must_use]
    pub fn message(who: W, text: &'a Text<'_>) -> Self {
        match text.action() {
            Some(action) => Self::Action(who, action),
            None => Self::From(who, text.borrow()),
        }
    }
}

/// The pieces of a message that is no action and is shown as `text`, line feed included, for a server too busy to format
/// each message.
#[must_use]
pub fn from<'a>(who: &'a str, text: &'a str) -> [&'a str; 5] {
    ["from ", who, ": ", text, "\n"]
}

impl<'a> ServerLine<'a> {
    /// Reads a line, without its line feed; `None` if it is none of the above.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        if let Some(text) = line.strip_prefix("* ") {
            return Some(does(text).unwrap_or_else(|| Self::Notice(Text::new(text))));
        }
        if line == "too many users" {
            return Some(Self::TooManyUsers);
        }
        if let Some((who, text)) = line.strip_prefix("from ").and_then(said) {
            return Some(Self::From(who, text));
        }
        if let Some((who, text)) = line.strip_prefix("private from ").and_then(said) {
            return Some(Self::PrivateFrom(who, text));
        }
        let (who, what) = line.split_once(' ')?;
        let who = who.parse().ok()?;
        match what {
            "is online" => Some(Self::Online(who)),
            "is offline" => Some(Self::Offline(who)),
            _ => Some(Self::IsNow(who, what.strip_prefix("is now ")?.parse().ok()?)),
        }
    }
}

/// `<who>: <text>`. No user's name holds a space, so the first `: ` ends it, whatever the text holds.
fn said(line: &str) -> Option<(Who, Text<'_>)> {
    let (who, text) = line.split_once(": ")?;
    Some((who.parse().ok()?, Text::new(text)))
}

/// `<who> <text>`. A notice may begin with a user's name, but does not continue after it.
fn does(line: &str) -> Option<ServerLine<'_>> {
    let (who, text) = line.split_once(' ')?;
    let text = Text::new(text);
    let who = who.parse().ok().filter(|_| !text.is_blank())?;
    Some(ServerLine::Action(who, text))
}

/// The request in one line of a plain user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A message to everybody: any line that does not begin with `/`. `//...` sends one that does.
    Say(Text<'a>),
    /// `/nick NAME`: take a nick.
    Nick(&'a str),
    /// `/who`: list the users.
    Who,
    /// `/msg WHO TEXT`: a message to one user.
    Msg(&'a str, Text<'a>),
    /// `/topic`: show the topic.
    Topic,
    /// `/help`: list the commands.
    Help,
    /// `/quit`: leave.
    Quit,
    /// A blank line, which is ignored.
    Nothing,
    /// A command that lacks an argument; its usage.
    Incomplete(&'static str),
    /// A command that only operators may use, which no plain user is.
    Operators(&'a str),
    /// Any other `/command`: an error, so that a typing error is never broadcast.
    Unknown(&'a str),
}

/// The usage of `/nick`.
pub const NICK_USAGE: &str = "/nick NAME";
/// The usage of `/msg`.
pub const MSG_USAGE: &str = "/msg WHO TEXT";
/// The usage of `/me`.
pub const ME_USAGE: &str = "/me ACTION";

impl<'a> Request<'a> {
    /// Reads a line, without its line feed.
    #[must_use]
    pub fn parse(line: &'a str) -> Self {
        let Some(command) = line.strip_prefix('/') else {
            let text = Text::new(line);
            return if text.is_blank() {
                Self::Nothing
            } else {
                Self::Say(text)
            };
        };
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match name {
            _ if name.starts_with('/') => Self::Say(Text::new(command)),
            "me" if rest.is_empty() => Self::Incomplete(ME_USAGE),
            // An action is sent as it is typed, see `Text::action`.
            "me" => Self::Say(Text::new(line)),
            "nick" if rest.is_empty() => Self::Incomplete(NICK_USAGE),
            "nick" => Self::Nick(rest),
            "msg" => match rest.split_once(' ') {
                Some((who, text)) => Self::Msg(who, Text::new(text.trim_start())),
                None => Self::Incomplete(MSG_USAGE),
            },
            "who" => Self::Who,
            "topic" if rest.is_empty() => Self::Topic,
            "help" => Self::Help,
            "quit" => Self::Quit,
            _ if ORDERS.contains(&name) => Self::Operators(name),
            _ => Self::Unknown(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alice() -> Who {
        "alice@10.0.0.5:50312".parse().unwrap()
    }

    #[test]
    fn every_line_round_trips() {
        let bob: Who = "[fe80::1]:9000".parse().unwrap();
        let lines = [
            ServerLine::Online(alice()),
            ServerLine::Offline(bob.clone()),
            ServerLine::From(bob.clone(), Text::new("hi: from me: x is online")),
            ServerLine::Action(bob.clone(), Text::new("waves: * x")),
            ServerLine::IsNow(bob, alice()),
            ServerLine::PrivateFrom(alice(), Text::new("")),
            ServerLine::TooManyUsers,
            ServerLine::Notice(Text::new("chat version 1: hello")),
        ];
        for line in lines {
            assert_eq!(ServerLine::parse(&line.to_string()), Some(line));
        }
    }

    #[test]
    fn other_lines_are_none() {
        for line in [
            "",
            "hello",
            "a user left",
            "10.0.0.5:1 is online now",
            "from bob: hi",
            "x is now y",
            "too many users!",
            "*",
        ] {
            assert_eq!(ServerLine::parse(line), None, "{line:?}");
        }
    }

    #[test]
    fn requests_are_parsed() {
        use Request::*;
        let cases = [
            ("hello", Say(Text::new("hello"))),
            (" hello ", Say(Text::new(" hello "))),
            ("//quit", Say(Text::new("/quit"))),
            ("///", Say(Text::new("//"))),
            ("/me waves", Say(Text::new("/me waves"))),
            ("/me ", Incomplete(ME_USAGE)),
            ("/nick  alice ", Nick("alice")),
            ("/nick", Incomplete(NICK_USAGE)),
            ("/msg bob  hi there", Msg("bob", Text::new("hi there"))),
            ("/msg bob", Incomplete(MSG_USAGE)),
            ("/msg bob  ", Incomplete(MSG_USAGE)),
            ("/msg", Incomplete(MSG_USAGE)),
            ("/who", Who),
            ("/help", Help),
            ("/quit", Quit),
            ("", Nothing),
            (" \t", Nothing),
            ("/kick bob", Operators("kick")),
            ("/", Unknown("")),
            ("/quti now", Unknown("quti")),
            ("/Quit", Unknown("Quit")),
        ];
        for (line, request) in cases {
            assert_eq!(Request::parse(line), request, "{line:?}");
        }
    }

    #[test]
    fn a_message_is_said_or_done() {
        let line = |text: &str| ServerLine::message(alice(), &Text::new(text)).to_string();
        assert_eq!(line("/me waves"), "* alice@10.0.0.5:50312 waves");
        assert_eq!(line("/me "), "from alice@10.0.0.5:50312: /me ");
        assert_eq!(line(" /me waves"), "from alice@10.0.0.5:50312:  /me waves");
    }

    #[test]
    fn a_notice_that_is_a_name_is_no_action() {
        for text in ["alice@10.0.0.5:50312", "[fd00::5]:9000", "10.0.0.5:1 "] {
            let line = format!("* {text}");
            assert_eq!(
                ServerLine::parse(&line),
                Some(ServerLine::Notice(Text::new(text)))
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_can_forge_a_line(bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..100),
            "(\n|\r|: |from |private |10.0.0.1:1 is online|\\* |x)*".prop_map(String::into_bytes)]) {
            let text = Text::from_bytes(&bytes);
            let said = ServerLine::From(alice(), text).to_string();
            prop_assert!(!said.contains(['\n', '\r']));
            let Some(ServerLine::From(who, heard)) = ServerLine::parse(&said) else {
                panic!("{said:?} reads as another line");
            };
            prop_assert_eq!(who, alice());
            let sent = Text::from_bytes(&bytes);
            prop_assert_eq!(heard.as_str(), sent.shown());
        }

        #[test]
        fn no_line_panics(line in any::<String>()) {
            let _ = ServerLine::parse(&line);
            let _ = Request::parse(&line);
        }
    }
}
