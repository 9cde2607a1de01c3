//! The rich dialect: what `chat-client` and the server send after the client's `HELLO`.
//!
//! A line is a verb and fields, each after one space. A text comes last and runs to the end of the line. `-` is a field
//! without a value. So that later versions can add to the protocol, unknown verbs are ignored, and so are further fields
//! of a line without a text.

use crate::id::{UserId, canonical};
use crate::nick::Nick;
use crate::opaque::{NotOpaque, Opaque, PublicKey, Token, decode, encode};
use crate::order::Order;
use crate::text::Text;
use crate::who::Who;
use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// A line from a client to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient<'a> {
    /// `HELLO <version> <nick> <udp-port> <resume> [insist] [next=<number>]`: the first line on the encrypted channel. From here
    /// on the connection speaks the rich dialect.
    Hello(Hello<'a>),
    /// `PROBE <version> <nick>`: the first line instead of `HELLO`. The client only checks
    /// whether it could join, and whether the nick is available. The room is not told.
    Probe(u32, Option<&'a str>),
    /// `SAY <seq> <text>`: a message to everybody. The sender receives it as `SAID` like everybody else, which is the
    /// acknowledgement. `seq` grows with each message of one run of the client, also across reconnections; the server
    /// ignores a number that it has accepted before.
    Say(u64, Text<'a>),
    /// `NICK <nick>`: take another nick. The answer is a `NICK` to everybody, or to the client alone if it has that nick
    /// already, or an `ERROR`.
    Nick(&'a str),
    /// `WHISPER <id> <seq> <text>`: an unencrypted message to one user, for users whom no datagram reaches. The answer is
    /// `WHISPERED` or `ERROR`.
    Whisper(UserId, u64, Text<'a>),
    /// `RELAY <id> <bytes>`: a sealed datagram for a user whom it does not reach directly. The server can't read it, and
    /// does not report whether it delivers it.
    Relay(UserId, Cow<'a, [u8]>),
    /// `PUNCH <id>`: a private conversation begins, so both sides are to open their routers.
    Punch(UserId),
    /// `WHOIS <id>`: how that user is reached privately. The answer is `USER`, if the user is here.
    Whois(UserId),
    /// `CONFIRM <nonce>`: the nonce of a rendezvous reply, which proves that the client receives datagrams at the address
    /// that the reply was sent to.
    Confirm(Token),
    /// `ROOM <order>`: what only operators may ask for.
    Room(Order<'a>),
    /// `OP <tag>`: the user has the operators' code. The answer is an `OPERATOR` to everybody, or `ERROR`.
    Op(Token),
    /// `AWAY <text>`: the user is away, and why. Without a text, the user is back.
    Away(Text<'a>),
    /// `PING <n>`: the answer is `PONG` with the same number.
    Ping(u64),
    /// `PONG <n>`: the answer to the server's `PING`.
    Pong(u64),
    /// `QUIT`: the user leaves.
    Quit,
}

/// The last field of a `HELLO` that insists.
const INSIST: &str = "insist";

/// The start of the last field of a `HELLO` that asks for the messages from a number on.
const NEXT: &str = "next=";

/// The last field of a `WELCOME` from a server that carries no files.
const NO_FILES: &str = "no-files";

/// The fields of [`FromClient::Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The version of the client. The lower version of both sides is used.
    pub version: u32,
    /// The nick it asks for. If it is not available, the answer has an `ERROR`, and the client stays unless it insists.
    pub nick: Option<&'a str>,
    /// The UDP port for private messages.
    pub udp_port: Option<u16>,
    /// The token of an earlier `WELCOME` of the same run, which replaces that connection: the server may not know that it
    /// is dead.
    pub resume: Option<Token>,
    /// Without the nick, the client does not join.
    pub insists: bool,
    /// The number of the first message that a client which resumes has not received, see [`Position`].
    pub next: Option<u64>,
}

/// Where the history of a client begins. The server numbers the messages to everybody from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The number of the next message.
    pub next: u64,
    /// The messages between the number that the client asked for and that one; `None` if it did not ask, or the server
    /// does not remember the client.
    pub missed: Option<u64>,
}

/// A line from the server to a client. `W` is a user, see [`crate::plain::ServerLine`].
///
/// Events in the room have a time, in milliseconds since 1970 by the server's clock. `None`, `-` on the wire, repeats the
/// time of the line before, see [`crate::times`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer<'a, W = Who> {
    /// `WELCOME <who> <resume> <rendezvous> <seq> [no-files]`: the answer to `HELLO`.
    Welcome {
        /// The client's own name.
        who: W,
        /// The token that resumes this connection in a later `HELLO`.
        resume: Token,
        /// The token for requests to the rendezvous.
        rendezvous: Token,
        /// The number of the last `SAY` accepted from this client; 0 if there was none.
        seq: u64,
        /// Clients may relay bytes of files.
        carries_files: bool,
    },
    /// `PROBED <unix-ms> <who> <rendezvous>`: the answer to `PROBE`: the time, the client's id, and the token for the
    /// rendezvous. If the nick is not available, `ERROR` follows.
    Probed(u64, W, Token),
    /// `USER <who> <udp> <key>`: how a user is reached privately: the answer to `WHOIS`, or something new.
    User(Profile<W>),
    /// `USERS <who> <key> [<who> <key> ...]`: some of the users who are here; several lines after `WELCOME`, in no order.
    Users(Vec<Profile<W>>),
    /// `HISTORY <unix-ms> [<next> <missed>]`: the end of the users; the history follows. The time is that of its first
    /// lines, if they say `-`.
    History(Option<u64>, Option<Position>),
    /// `LIVE`: the end of the history; live events follow.
    Live,
    /// `SAID <unix-ms> <who> <text>`: a message.
    Said(Option<u64>, W, Text<'a>),
    /// `JOIN <unix-ms> <who> <udp> <key>`: a user joined.
    Join(Option<u64>, Profile<W>),
    /// `LEAVE <unix-ms> <who>`: a user left.
    Leave(Option<u64>, W),
    /// `NICK <unix-ms> <who> <nick>`: a user took another nick; `who` is the name before.
    Nick(Option<u64>, W, Nick),
    /// `ADDRESS <unix-ms> <who> <udp>`: a user has another UDP address for private messages.
    Address(Option<u64>, W, SocketAddr),
    /// `WHISPER <who> <text>`: an unencrypted private message.
    Whisper(W, Text<'a>),
    /// `WHISPERED <seq>`: the server has passed that `WHISPER` on.
    Whispered(u64),
    /// `RELAY <who> <bytes>`: a sealed datagram from that user.
    Relay(W, Cow<'a, [u8]>),
    /// `PUNCH <who> <udp>`: a private conversation with this user begins, at this address.
    Punch(W, SocketAddr),
    /// `OPERATOR <who>`: that user may run the room, until it leaves.
    Operator(W),
    /// `TOPIC <who> <text>`: what the room is about, as that user said. Without a text there is no topic any more.
    Topic(W, Text<'a>),
    /// `AWAY <who> <text>`: a user is away, until it leaves. Without a text, it is back.
    Away(W, Text<'a>),
    /// `NOTICE <text>`: for the user to read.
    Notice(Text<'a>),
    /// `ERROR <code> <seq> <text>`: a request failed. `seq` names the `SAY` or `WHISPER` that it was.
    Error(ErrorCode, Option<u64>, Text<'a>),
    /// `PING <n>`: the client answers with `PONG` and the same number.
    Ping(u64),
    /// `PONG <n>`: the answer to the client's `PING`.
    Pong(u64),
    /// `GOODBYE <reason> <text>`: the last line before the server closes the connection.
    Goodbye(Reason, Text<'a>),
}

/// How others reach a user privately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile<W = Who> {
    /// The user.
    pub who: W,
    /// The user's UDP address, if it has one and this line says so.
    pub udp: Option<SocketAddr>,
    /// The user's key; a plain user has none.
    pub key: Option<Key>,
}

/// A user's key, as far as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Its beginning, which identifies nobody: anybody can make a key that begins so. [`FromClient::Whois`] asks for the
    /// rest.
    Short(ShortKey),
    /// All of it.
    Whole(PublicKey),
}

/// The first bytes of a key: four characters in a line.
pub type ShortKey = Opaque<3>;

impl Key {
    /// The first bytes.
    #[must_use]
    pub fn short(self) -> ShortKey {
        match self {
            Self::Short(short) => short,
            Self::Whole(Opaque([a, b, c, ..])) => Opaque([a, b, c]),
        }
    }

    /// The key, if all of it was told.
    #[must_use]
    pub fn whole(self) -> Option<PublicKey> {
        match self {
            Self::Short(_) => None,
            Self::Whole(key) => Some(key),
        }
    }

    /// Whether both may be the same key.
    #[must_use]
    pub fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one == other,
            _ => self.short() == other.short(),
        }
    }
}

impl From<PublicKey> for Key {
    fn from(key: PublicKey) -> Self {
        Self::Whole(key)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short(key) => key.fmt(f),
            Self::Whole(key) => key.fmt(f),
        }
    }
}

impl FromStr for Key {
    type Err = NotOpaque;

    fn from_str(text: &str) -> Result<Self, NotOpaque> {
        let short = text.parse().map(Self::Short);
        short.or_else(|_| text.parse().map(Self::Whole))
    }
}

impl<W> Profile<W> {
    /// What everybody is told of a user: of its key the beginning only, and no address but that of a user without a key.
    #[must_use]
    pub fn brief(self) -> Self {
        Self {
            udp: self.udp.filter(|_| self.key.is_none()),
            key: self.key.map(|key| Key::Short(key.short())),
            ..self
        }
    }
}

/// Declares an enum of words in a line.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every value there is.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)* })
            }
        }

        impl FromStr for $name {
            type Err = RichError;

            fn from_str(word: &str) -> Result<Self, RichError> {
                match word { $($word => Ok(Self::$variant),)* _ => Ok(Self::Other) }
            }
        }
    };
}

words! {
    /// The cause of an error, for programs; its text is for people.
    ErrorCode {
        /// The text or line exceeds its limit.
        TooLong = "too-long",
        /// The nick breaks a rule.
        BadNick = "bad-nick",
        /// Another user has that nick.
        NickTaken = "nick-taken",
        /// Too many such requests came from the client's network in a short time.
        TooOften = "too-often",
        /// There is no such user.
        NoSuchUser = "no-such-user",
        /// The other side does not read, or can't.
        Unreachable = "unreachable",
        /// Only operators may do that.
        NotOperator = "not-operator",
        /// The room is locked.
        Locked = "locked",
        /// An operator muted the user.
        Muted = "muted",
        /// The room is slow, and the user has just said something.
        Slow = "slow",
        /// The line is malformed.
        Malformed = "malformed",
        /// A code of a later version.
        Other = "other",
    }
}

words! {
    /// Why the server closes a connection.
    Reason {
        /// The user quit.
        Quit = "quit",
        /// The client read too slowly.
        Slow = "slow",
        /// Nothing was received for too long, not even the answer to a `PING`.
        Silent = "silent",
        /// The server shuts down.
        Shutdown = "shutdown",
        /// The same client has reconnected.
        Replaced = "replaced",
        /// The nick that the client insists on is not available.
        Nick = "nick",
        /// An operator showed the user out, less than a minute ago.
        Kicked = "kicked",
        /// An operator banned the user.
        Banned = "banned",
        /// The room is locked.
        Locked = "locked",
        /// A code of a later version.
        Other = "other",
    }
}

/// Why a line is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RichError {
    /// A verb of another version, to be ignored.
    UnknownVerb,
    /// A known verb with invalid fields.
    Malformed,
}

impl<'a> FromClient<'a> {
    /// Reads a line, without its line feed.
    ///
    /// # Errors
    /// See [`RichError`].
    pub fn parse(line: &'a str) -> Result<Self, RichError> {
        let (verb, mut fields) = Fields::of(line);
        Ok(match verb {
            "HELLO" => {
                let mut hello = Hello {
                    version: fields.value()?,
                    nick: fields.optional_token()?,
                    udp_port: fields.optional()?,
                    resume: fields.optional()?,
                    insists: false,
                    next: None,
                };
                while let Ok(word) = fields.token() {
                    hello.insists |= word == INSIST;
                    let next = word.strip_prefix(NEXT).and_then(|next| next.parse().ok());
                    hello.next = hello.next.or(next);
                }
                Self::Hello(hello)
            }
            "PROBE" => Self::Probe(fields.value()?, fields.optional_token()?),
            "SAY" => Self::Say(fields.value()?, fields.text()),
            "NICK" => Self::Nick(fields.token()?),
            "WHISPER" => Self::Whisper(fields.value()?, fields.value()?, fields.text()),
            "RELAY" => Self::Relay(fields.value()?, fields.bytes()?),
            "PUNCH" => Self::Punch(fields.value()?),
            "WHOIS" => Self::Whois(fields.value()?),
            "CONFIRM" => Self::Confirm(fields.value()?),
            "OP" => Self::Op(fields.value()?),
            "ROOM" => Self::Room(Order::parse(fields.token()?, fields.0).ok_or(RichError::Malformed)?),
            "AWAY" => Self::Away(fields.text()),
            "PING" => Self::Ping(fields.value()?),
            "PONG" => Self::Pong(fields.value()?),
            "QUIT" => Self::Quit,
            _ => return Err(RichError::UnknownVerb),
        })
    }
}

/// The start of a client's first line, which begins the handshake for the encrypted channel.
const FIRST_VERB: &[u8] = b"SEAL ";

/// Whether the first line of a connection may be that of a client, if it begins with these bytes.
#[must_use]
pub fn may_begin_client(begun: &[u8]) -> bool {
    FIRST_VERB.starts_with(begun) || begun.starts_with(FIRST_VERB)
}

impl<'a> FromServer<'a> {
    /// Reads a line, without its line feed.
    ///
    /// # Errors
    /// See [`RichError`].
    pub fn parse(line: &'a str) -> Result<Self, RichError> {
        let (verb, mut fields) = Fields::of(line);
        Ok(match verb {
            "WELCOME" => Self::Welcome {
                who: fields.value()?,
                resume: fields.value()?,
                rendezvous: fields.value()?,
                seq: fields.value()?,
                carries_files: !std::iter::from_fn(|| fields.token().ok()).any(|word| word == NO_FILES),
            },
            "PROBED" => Self::Probed(fields.value()?, fields.value()?, fields.value()?),
            "USER" => Self::User(fields.profile()?),
            "USERS" => Self::Users(fields.users()?),
            "HISTORY" => Self::History(fields.optional()?, fields.position()?),
            "LIVE" => Self::Live,
            "SAID" => Self::Said(fields.optional()?, fields.value()?, fields.text()),
            "JOIN" => Self::Join(fields.optional()?, fields.profile()?),
            "LEAVE" => Self::Leave(fields.optional()?, fields.value()?),
            "NICK" => {
                let (at, who) = (fields.optional()?, fields.value()?);
                Self::Nick(
                    at,
                    who,
                    Nick::parse(fields.token()?).map_err(|_| RichError::Malformed)?,
                )
            }
            "ADDRESS" => Self::Address(fields.optional()?, fields.value()?, fields.address()?),
            "WHISPER" => Self::Whisper(fields.value()?, fields.text()),
            "WHISPERED" => Self::Whispered(fields.value()?),
            "RELAY" => Self::Relay(fields.value()?, fields.bytes()?),
            "PUNCH" => Self::Punch(fields.value()?, fields.address()?),
            "OPERATOR" => Self::Operator(fields.value()?),
            "TOPIC" => Self::Topic(fields.value()?, fields.text()),
            "AWAY" => Self::Away(fields.value()?, fields.text()),
            "NOTICE" => Self::Notice(fields.text()),
            "ERROR" => Self::Error(fields.value()?, fields.optional()?, fields.text()),
            "PING" => Self::Ping(fields.value()?),
            "PONG" => Self::Pong(fields.value()?),
            "GOODBYE" => Self::Goodbye(fields.value()?, fields.text()),
            _ => return Err(RichError::UnknownVerb),
        })
    }
}

/// The pieces of a [`FromServer::Said`], line feed included, for a server too busy to format each message.
#[must_use]
pub fn said<'a>(at: Option<&'a str>, who: &'a str, text: &'a Text<'_>) -> [&'a str; 7] {
    ["SAID ", at.unwrap_or("-"), " ", who, " ", text.as_str(), "\n"]
}

impl<W> FromServer<'_, W> {
    /// The time of an event in the room.
    pub fn time_mut(&mut self) -> Option<&mut Option<u64>> {
        match self {
            Self::Said(at, ..)
            | Self::Join(at, ..)
            | Self::Leave(at, ..)
            | Self::Nick(at, ..)
            | Self::Address(at, ..) => Some(at),
            _ => None,
        }
    }
}

/// The rest of a line during parsing.
struct Fields<'a>(&'a str);

impl<'a> Fields<'a> {
    fn of(line: &'a str) -> (&'a str, Self) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        (verb, Self(rest))
    }

    fn token(&mut self) -> Result<&'a str, RichError> {
        let (token, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        if token.is_empty() {
            Err(RichError::Malformed)
        } else {
            Ok(token)
        }
    }

    fn optional_token(&mut self) -> Result<Option<&'a str>, RichError> {
        self.token().map(|token| (token != "-").then_some(token))
    }

    fn value<T: FromStr>(&mut self) -> Result<T, RichError> {
        self.token()?.parse().map_err(|_| RichError::Malformed)
    }

    fn optional<T: FromStr>(&mut self) -> Result<Option<T>, RichError> {
        self.optional_token()?
            .map(|token| token.parse().map_err(|_| RichError::Malformed))
            .transpose()
    }

    /// Earlier servers don't send it.
    fn position(&mut self) -> Result<Option<Position>, RichError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (next, missed) = (self.value()?, self.optional()?);
        Ok(Some(Position { next, missed }))
    }

    fn address(&mut self) -> Result<SocketAddr, RichError> {
        self.value().map(canonical)
    }

    fn profile(&mut self) -> Result<Profile, RichError> {
        let who = self.value()?;
        let udp: Option<SocketAddr> = self.optional()?;
        Ok(Profile {
            who,
            udp: udp.map(canonical),
            key: self.optional()?,
        })
    }

    fn users(&mut self) -> Result<Vec<Profile>, RichError> {
        let mut users = Vec::new();
        while users.is_empty() || !self.0.is_empty() {
            users.push(Profile {
                who: self.value()?,
                udp: None,
                key: self.optional()?,
            });
        }
        Ok(users)
    }

    fn bytes(&mut self) -> Result<Cow<'static, [u8]>, RichError> {
        decode(self.token()?)
            .map(Cow::Owned)
            .map_err(|_| RichError::Malformed)
    }

    fn text(&mut self) -> Text<'a> {
        Text::new(std::mem::take(&mut self.0))
    }
}

/// A value, or `-` for none.
struct OrDash<'a, T>(&'a Option<T>);

impl<T: fmt::Display> fmt::Display for OrDash<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl<W: fmt::Display> Profile<W> {
    /// Writes what `USERS` says of a user.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn fmt_in_list(&self, f: &mut impl fmt::Write) -> fmt::Result {
        write!(f, " {} {}", self.who, OrDash(&self.key))
    }
}

impl<W: fmt::Display> fmt::Display for Profile<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Piece by piece, because `write!` takes twice as long and a user list has thousands of these.
        self.who.fmt(f)?;
        f.write_str(" ")?;
        OrDash(&self.udp).fmt(f)?;
        f.write_str(" ")?;
        OrDash(&self.key).fmt(f)
    }
}

impl fmt::Display for FromClient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(hello) => {
                let Hello {
                    version,
                    nick,
                    udp_port,
                    resume,
                    insists,
                    next,
                } = hello;
                write!(f, "HELLO {version} {} {} ", OrDash(nick), OrDash(udp_port))?;
                OrDash(resume).fmt(f)?;
                if *insists {
                    write!(f, " {INSIST}")?;
                }
                next.map_or(Ok(()), |next| write!(f, " {NEXT}{next}"))
            }
            Self::Probe(version, nick) => write!(f, "PROBE {version} {}", OrDash(nick)),
            Self::Say(seq, text) => write!(f, "SAY {seq} {text}"),
            Self::Nick(nick) => write!(f, "NICK {nick}"),
            Self::Whisper(id, seq, text) => write!(f, "WHISPER {id} {seq} {text}"),
            Self::Relay(id, bytes) => write!(f, "RELAY {id} {}", encode(bytes)),
            Self::Punch(id) => write!(f, "PUNCH {id}"),
            Self::Whois(id) => write!(f, "WHOIS {id}"),
            Self::Confirm(nonce) => write!(f, "CONFIRM {nonce}"),
            Self::Room(order) => write!(f, "ROOM {order}"),
            Self::Op(tag) => write!(f, "OP {tag}"),
            Self::Away(text) if text.as_str().is_empty() => f.write_str("AWAY"),
            Self::Away(text) => write!(f, "AWAY {text}"),
            Self::Ping(n) => write!(f, "PING {n}"),
            Self::Pong(n) => write!(f, "PONG {n}"),
            Self::Quit => f.write_str("QUIT"),
        }
    }
}

impl<W: fmt::Display> fmt::Display for FromServer<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Welcome {
                who,
                resume,
                rendezvous,
                seq,
                carries_files,
            } => {
                write!(f, "WELCOME {who} {resume} {rendezvous} {seq}")?;
                if *carries_files {
                    Ok(())
                } else {
                    write!(f, " {NO_FILES}")
                }
            }
            Self::Probed(at, who, rendezvous) => write!(f, "PROBED {at} {who} {rendezvous}"),
            Self::User(profile) => {
                f.write_str("USER ")?;
                profile.fmt(f)
            }
            Self::Users(users) => {
                f.write_str("USERS")?;
                users.iter().try_for_each(|user| user.fmt_in_list(f))
            }
            Self::History(at, position) => {
                write!(f, "HISTORY {}", OrDash(at))?;
                position.map_or(Ok(()), |Position { next, missed }| {
                    write!(f, " {next} {}", OrDash(&missed))
                })
            }
            Self::Live => f.write_str("LIVE"),
            Self::Said(at, who, text) => write!(f, "SAID {} {who} {text}", OrDash(at)),
            Self::Join(at, profile) => write!(f, "JOIN {} {profile}", OrDash(at)),
            Self::Leave(at, who) => write!(f, "LEAVE {} {who}", OrDash(at)),
            Self::Nick(at, who, nick) => write!(f, "NICK {} {who} {nick}", OrDash(at)),
            Self::Address(at, who, udp) => write!(f, "ADDRESS {} {who} {udp}", OrDash(at)),
            Self::Whisper(who, text) => write!(f, "WHISPER {who} {text}"),
            Self::Whispered(seq) => write!(f, "WHISPERED {seq}"),
            Self::Relay(who, bytes) => write!(f, "RELAY {who} {}", encode(bytes)),
            Self::Punch(who, udp) => write!(f, "PUNCH {who} {udp}"),
            Self::Operator(who) => write!(f, "OPERATOR {who}"),
            Self::Topic(who, text) if text.as_str().is_empty() => write!(f, "TOPIC {who}"),
            Self::Topic(who, text) => write!(f, "TOPIC {who} {text}"),
            Self::Away(who, text) if text.as_str().is_empty() => write!(f, "AWAY {who}"),
            Self::Away(who, text) => write!(f, "AWAY {who} {text}"),
            Self::Notice(text) => write!(f, "NOTICE {text}"),
            Self::Error(code, seq, text) => write!(f, "ERROR {code} {} {text}", OrDash(seq)),
            Self::Ping(n) => write!(f, "PING {n}"),
            Self::Pong(n) => write!(f, "PONG {n}"),
            Self::Goodbye(reason, text) => write!(f, "GOODBYE {reason} {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opaque::Opaque;
    use proptest::prelude::*;
    use std::net::IpAddr;

    fn user_id() -> impl Strategy<Value = UserId> {
        (any::<IpAddr>(), 1u16..).prop_map(|(ip, port)| UserId::from(SocketAddr::new(ip, port)))
    }

    fn address() -> impl Strategy<Value = SocketAddr> {
        user_id().prop_map(UserId::address)
    }

    fn nick() -> impl Strategy<Value = Nick> {
        "[a-zа-я][a-z0-9_.'-]{0,20}".prop_filter_map("reserved", |text| Nick::parse(&text).ok())
    }

    fn who() -> impl Strategy<Value = Who> {
        (prop::option::of(nick()), user_id()).prop_map(|(nick, id)| Who { nick, id })
    }

    fn text() -> impl Strategy<Value = Text<'static>> {
        any::<String>().prop_map(Text::from)
    }

    fn token() -> impl Strategy<Value = Token> {
        any::<[u8; 16]>().prop_map(Opaque)
    }

    fn time() -> impl Strategy<Value = Option<u64>> {
        prop::option::of(any::<u64>())
    }

    fn profile() -> impl Strategy<Value = Profile> {
        (who(), prop::option::of(address()), prop::option::of(key())).prop_map(|(who, udp, key)| Profile {
            who,
            udp,
            key,
        })
    }

    fn key() -> impl Strategy<Value = Key> {
        prop_oneof![
            any::<[u8; 32]>().prop_map(|key| Key::Whole(Opaque(key))),
            any::<[u8; 3]>().prop_map(|key| Key::Short(Opaque(key))),
        ]
    }

    fn users() -> impl Strategy<Value = Vec<Profile>> {
        let user = (who(), prop::option::of(key()));
        let user = user.prop_map(|(who, key)| Profile { who, udp: None, key });
        prop::collection::vec(user, 1..5)
    }

    fn bytes() -> impl Strategy<Value = Cow<'static, [u8]>> {
        prop::collection::vec(any::<u8>(), 1..1200).prop_map(Cow::Owned)
    }

    fn from_server() -> impl Strategy<Value = FromServer<'static>> {
        prop_oneof![
            (who(), token(), token(), any::<u64>()).prop_map(|(who, resume, rendezvous, seq)| {
                FromServer::Welcome {
                    who,
                    resume,
                    rendezvous,
                    seq,
                    carries_files: seq % 2 == 0,
                }
            }),
            (any::<u64>(), who(), token()).prop_map(|(at, who, token)| FromServer::Probed(at, who, token)),
            profile().prop_map(FromServer::User),
            users().prop_map(FromServer::Users),
            (time(), prop::option::of((any::<u64>(), time()))).prop_map(|(at, position)| {
                FromServer::History(at, position.map(|(next, missed)| Position { next, missed }))
            }),
            Just(FromServer::Live),
            (time(), who(), text()).prop_map(|(at, who, text)| FromServer::Said(at, who, text)),
            (time(), profile()).prop_map(|(at, profile)| FromServer::Join(at, profile)),
            (time(), who()).prop_map(|(at, who)| FromServer::Leave(at, who)),
            (time(), who(), nick()).prop_map(|(at, who, nick)| FromServer::Nick(at, who, nick)),
            (time(), who(), address()).prop_map(|(at, who, udp)| FromServer::Address(at, who, udp)),
            (who(), text()).prop_map(|(who, text)| FromServer::Whisper(who, text)),
            any::<u64>().prop_map(FromServer::Whispered),
            (who(), bytes()).prop_map(|(who, bytes)| FromServer::Relay(who, bytes)),
            (who(), address()).prop_map(|(who, udp)| FromServer::Punch(who, udp)),
            who().prop_map(FromServer::Operator),
            (who(), text()).prop_map(|(who, text)| FromServer::Topic(who, text)),
            (who(), text()).prop_map(|(who, text)| FromServer::Away(who, text)),
            text().prop_map(FromServer::Notice),
            (
                prop::sample::select(ErrorCode::ALL),
                prop::option::of(any::<u64>()),
                text()
            )
                .prop_map(|(code, seq, text)| FromServer::Error(code, seq, text)),
            any::<u64>().prop_map(FromServer::Ping),
            any::<u64>().prop_map(FromServer::Pong),
            (prop::sample::select(Reason::ALL), text())
                .prop_map(|(reason, text)| FromServer::Goodbye(reason, text)),
        ]
    }

    proptest! {
        #[test]
        fn lines_of_the_server_round_trip(said in from_server()) {
            let line = said.to_string();
            prop_assert!(!line.contains(['\n', '\r']));
            prop_assert_eq!(FromServer::parse(&line), Ok(said));
        }

        #[test]
        fn lines_of_a_client_round_trip(id in user_id(), seq in any::<u64>(), text in text(), token in token(), bytes in bytes(),
                                          udp_port in prop::option::of(any::<u16>()), insists in any::<bool>()) {
            let hello = Hello { version: 1, nick: Some("alice"), udp_port, resume: Some(token), insists, next: insists.then_some(seq) };
            let lines = [
                FromClient::Hello(hello), FromClient::Probe(1, Some("alice")), FromClient::Say(seq, text.clone()), FromClient::Nick("bob"),
                FromClient::Whisper(id, seq, text), FromClient::Relay(id, bytes), FromClient::Punch(id), FromClient::Whois(id),
                FromClient::Confirm(token), FromClient::Op(token), FromClient::Away(Text::new("")), FromClient::Away(Text::new("at lunch")), FromClient::Room(Order::Kick("bob", Text::new("too loud"))), FromClient::Room(Order::Bans), FromClient::Room(Order::Lock), FromClient::Room(Order::NewPassphrase), FromClient::Room(Order::Mute("bob", None)), FromClient::Room(Order::Mute("bob", Some(7))), FromClient::Room(Order::Unmute("bob")), FromClient::Room(Order::Slow(Some(30))), FromClient::Room(Order::Slow(None)), FromClient::Room(Order::Unlock), FromClient::Room(Order::Topic(None)), FromClient::Room(Order::Topic(Some(Text::new("all about a")))), FromClient::Ping(seq), FromClient::Pong(seq), FromClient::Quit,
            ];
            for said in lines {
                let line = said.to_string();
                prop_assert!(!line.contains(['\n', '\r']));
                prop_assert_eq!(FromClient::parse(&line), Ok(said));
            }
        }

        #[test]
        fn no_line_panics(line in "([A-Z]{2,9} )?\\PC*") {
            let _ = FromServer::parse(&line);
            let _ = FromClient::parse(&line);
        }
    }

    #[test]
    fn a_later_version_can_add_verbs_and_fields() {
        assert_eq!(FromServer::parse("SPARKLE 1 2 3"), Err(RichError::UnknownVerb));
        assert_eq!(
            FromServer::parse("WHISPERED 7 later"),
            Ok(FromServer::Whispered(7))
        );
        let error = FromServer::parse("ERROR haunted - boo").unwrap();
        assert_eq!(error, FromServer::Error(ErrorCode::Other, None, Text::new("boo")));
    }

    #[test]
    fn an_invalid_field_is_malformed() {
        for line in [
            "SAY",
            "SAY x hi",
            "HELLO",
            "HELLO 1",
            "HELLO everyone",
            "HELLO 1 a b c",
            "PROBE",
            "PROBE 1",
            "PROBE everyone -",
            "RELAY 10.0.0.1:1",
            "RELAY 10.0.0.1:1 a b=",
            "NICK ",
        ] {
            assert_eq!(FromClient::parse(line), Err(RichError::Malformed), "{line:?}");
        }
    }

    #[test]
    fn the_longest_text_fits_in_a_line_with_its_other_fields() {
        let id: UserId = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap();
        assert_eq!(id.to_string().len(), crate::id::ID_MAX);
        let text = || Text::from("x".repeat(crate::TEXT_MAX));
        for line in [
            FromClient::Say(u64::MAX, text()),
            FromClient::Whisper(id, u64::MAX, text()),
        ] {
            assert!(line.to_string().len() < crate::LINE_MAX);
        }
    }
}
