//! Events for a front end to show.

use super::legacy::decoder::SAFE_TEXT_MAX;
use super::outcome::{Ending, Outcome};
use crate::files::message::Reason;
use crate::files::name::FileName;
use crate::files::transfers::What;
use crate::files::words::bytes_in_words;
use crate::private::Path;
use chat_proto::nick::Nick;
use chat_proto::opaque::PublicKey;
use chat_proto::rich::ErrorCode;
use chat_proto::text::Text;
use chat_proto::who::Who;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Something for a front end to show. Every text in it is safe to show.
///
/// In the payloads, `at` is in milliseconds since the Unix epoch: by the server's clock where the server tells it, else
/// by ours. `history` marks messages from before the client joined. `own` marks what this client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client joined the room.
    Welcome(Welcome),
    /// The server is an original one, which knows no nicks and takes short texts only, see [`about_legacy`].
    Legacy {
        /// It has said nothing yet. So would a hanging server, or one of another protocol.
        silent: bool,
    },
    /// Messages between the last one received and the history that follows are missing: so many, or, if the server no
    /// longer knows this client, perhaps some. See [`about_missed`].
    Missed(Option<u64>),
    /// The history ends here.
    Live,
    /// A message to everybody.
    Said(GroupMessage),
    /// A user joined.
    Joined(Join),
    /// A user left.
    Left(Leave),
    /// A user left, and an original server does not say which.
    SomeoneLeft {
        /// When.
        at: u64,
    },
    /// A user took another nick.
    Renamed(Rename),
    /// A private message was received, or is being sent.
    Private(PrivateMessage),
    /// A private message was delivered, or, where nobody confirms it, sent.
    Delivered(Delivery),
    /// A private message was not delivered.
    NotDelivered(DeliveryFailure),
    /// A message was refused, or could not be sent at all.
    Refused(RefusedMessage),
    /// The answer to `/who`: all users by nick, those without one last; and whether their addresses are asked for.
    Users(Vec<Listed>, bool),
    /// A user is away, whom this one writes to privately; or this user is away, or back.
    Away(AwayNote),
    /// The answer to `/query`: lines that are no commands go to this user alone from now on, or to everybody.
    Query(Option<Who>),
    /// The answer to `/ignore` and `/unignore`.
    Ignoring(Ignoring),
    /// The answer to `/verify`.
    Code(VerifyCode),
    /// The answer to `/verify WHO yes` and `/verify WHO no`.
    Verified(Verification),
    /// A user may be somebody else than its name says, and nothing is sent there.
    Doubt(Doubt),
    /// A file was offered, or something became of it.
    File(FileNews),
    /// The answer to `/whois` or `/files`, in words.
    Answer(Text<'static>),
    /// The answer to `/help`: show [`crate::command::help`].
    Help,
    /// What the room is about.
    Topic(Topic),
    /// The server says this to the user.
    Notice(Text<'static>),
    /// A request failed. The code is there if the server sent the error.
    Error(Option<ErrorCode>, Text<'static>),
    /// Nothing failed, but the user should know this.
    Warning(Text<'static>),
    /// A line of an original server without a sender.
    Unattributed(Unattributed),
    /// The connection is lost, and another one is to be made. The events of the room start again then, from [`Event::Welcome`] on.
    Lost(Outcome),
    /// The session is over. This is the last event.
    Ended(Ending),
}

/// The room that the client joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The client itself, as everybody sees it.
    pub me: Who,
    /// All users, the client too, ordered by id.
    pub users: Vec<Who>,
    /// Those of them who read in the clear.
    pub clear: Vec<Who>,
}

/// A message to everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMessage {
    /// When.
    pub at: u64,
    /// The sender.
    pub who: Who,
    /// The message.
    pub text: Text<'static>,
    /// Before the client joined?
    pub history: bool,
    /// Sent by this client?
    pub own: bool,
}

/// A user joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// When.
    pub at: u64,
    /// The user.
    pub who: Who,
    /// The client itself?
    pub own: bool,
}

/// A user left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leave {
    /// When.
    pub at: u64,
    /// The user.
    pub who: Who,
}

/// A user took another nick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// When.
    pub at: u64,
    /// The user before.
    pub before: Who,
    /// The user from now on.
    pub after: Who,
    /// The client itself?
    pub own: bool,
}

/// A private message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateMessage {
    /// When.
    pub at: u64,
    /// Received or sent.
    pub direction: Direction,
    /// The other user.
    pub peer: Who,
    /// The message.
    pub text: Text<'static>,
    /// How it travels.
    pub transport: Transport,
    /// Messages of that user before it are missing. Their sender knows.
    pub after_gap: bool,
}

/// A private message that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The number from its [`Direction::Sent`].
    pub seq: u64,
    /// The other user.
    pub peer: Who,
    /// The message.
    pub text: Text<'static>,
    /// How it went.
    pub transport: Transport,
    /// The time from typing to the peer's confirmation; `None` for users without a key.
    pub after: Option<Duration>,
}

/// A private message that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// The number from its [`Direction::Sent`].
    pub seq: u64,
    /// The other user.
    pub peer: Who,
    /// The message.
    pub text: Text<'static>,
    /// Why.
    pub reason: Text<'static>,
}

/// A message that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedMessage {
    /// The message.
    pub text: Text<'static>,
    /// Why.
    pub reason: Text<'static>,
}

/// The users that are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignoring {
    /// What changed, or the list in words.
    pub note: Text<'static>,
    /// All of them.
    pub users: Vec<Who>,
}

/// What two users compare to find an impostor between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyCode {
    /// The other user.
    pub who: Who,
    /// The code that both should see.
    pub code: String,
}

/// What the user said of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// What follows from it.
    pub note: Text<'static>,
    /// The other user, if it is here.
    pub who: Option<Who>,
    /// The key is this user's.
    pub added: Option<Verified>,
    /// These keys are forgotten.
    pub removed: Vec<PublicKey>,
}

/// A user who may be somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The user.
    pub who: Who,
    /// What that means, and what to do.
    pub text: Text<'static>,
}

/// A key that the user verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The key.
    pub key: PublicKey,
    /// The nick that its user had.
    pub nick: Option<Nick>,
}

/// A file was offered, or something became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNews {
    /// When.
    pub at: u64,
    /// It is an offer, and the first one of this user for a while.
    pub rings: bool,
    /// The other user.
    pub who: Who,
    /// What the user calls the transfer.
    pub number: u32,
    /// Sent by this client?
    pub is_sent: bool,
    /// The name that the sender gave it; of the receiver if it is kept there.
    pub name: FileName,
    /// In bytes.
    pub size: u64,
    /// Where it is kept, if it is on this client's disk.
    pub path: Option<PathBuf>,
    /// What happened.
    pub what: What,
}

/// What the room is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// Who set or removed it, as it was called then, if that is known.
    pub who: Option<Who>,
    /// The topic. It is blank if there is none.
    pub text: Text<'static>,
    /// It was set just now.
    pub set: bool,
}

/// What a user says about being away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwayNote {
    /// The user.
    pub who: Who,
    /// What it says. It is blank if the user is back.
    pub text: Text<'static>,
    /// The client itself?
    pub own: bool,
}

/// A line of an original server whose sender is unknown: part of a message of several lines, perhaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unattributed {
    /// When.
    pub at: u64,
    /// The line.
    pub text: Text<'static>,
}

/// What a user should know of an original server, see [`Event::Legacy`].
pub fn about_legacy(silent: bool) -> String {
    let found = if silent {
        "the server says nothing: it may be no chat server (is the port right?), or an original one"
    } else {
        "this is an original server"
    };
    format!("{found}: no nicks, no history, and texts over {SAFE_TEXT_MAX} bytes of UTF-8 are at risk")
}

/// What a user should know of missing messages, see [`Event::Missed`].
pub fn about_missed(count: Option<u64>) -> String {
    match count {
        Some(1) => "1 line missed".into(),
        Some(count) => format!("{count} lines missed"),
        None => "lines may be missing here: the server no longer knows where you stopped".into(),
    }
}

/// What a user should know of the topic, see [`Event::Topic`].
pub fn about_topic(Topic { who, text, set }: &Topic) -> Text<'static> {
    Text::from(match who {
        Some(who) if *set && text.is_blank() => format!("operator {who} has removed the topic"),
        Some(who) if *set => format!("operator {who} has set the topic: {text}"),
        Some(who) if !text.is_blank() => format!("the topic is: {text} (set by {who})"),
        _ => "there is no topic".into(),
    })
}

/// What a user should know of somebody who is away, see [`Event::Away`].
pub fn about_away(note: &AwayNote, name: impl Fn(&Who) -> String) -> Text<'static> {
    let AwayNote { who, text, own } = note;
    Text::from(match own {
        true if text.is_blank() => "you are back".into(),
        true => format!("you are away, until /away: {text}"),
        false => format!("{} is away: {text}", name(who)),
    })
}

/// What a user should know of a file, see [`Event::File`].
pub fn about_file(news: &FileNews, name: impl Fn(&Who) -> String) -> Text<'static> {
    let FileNews {
        number, name: file, ..
    } = news;
    let (who, size) = (name(&news.who), bytes_in_words(news.size));
    let direction = if news.is_sent { "to" } else { "from" };
    Text::from(match (&news.what, news.is_sent) {
        (What::Offered, true) => format!("file {number}, {file} ({size}), is offered to {who}"),
        (What::Offered, false) => format!(
            "{who} offers you a file: {file} ({size}); /accept {number} receives it, /decline {number} does not"
        ),
        (What::Begun(0), _) => format!("file {number}, {file}, {direction} {who}: accepted"),
        (What::Begun(_), _) => format!("file {number}, {file}, {direction} {who}: goes on where it stopped"),
        (What::Forgotten, _) => {
            format!("file {number}, {file}, {direction} {who}: paused until that user sends it again")
        }
        (What::Paused, _) => {
            format!("file {number}, {file}, {direction} {who}: paused until that user is back")
        }
        (What::Kept, true) => format!("{who} has {file} ({size})"),
        (What::Kept, false) => {
            let path = news.path.as_ref();
            let path = path.map_or(String::new(), |path| format!(": {}", path.display()));
            format!("{file} ({size}) from {who} is complete{path}")
        }
        (What::Failed(Reason::User, None), true) => format!("{who} declined file {number}, {file}"),
        (What::Failed(Reason::User, None), false) => format!("{who} cancelled file {number}, {file}"),
        (What::Failed(Reason::User, Some(text)), _) => {
            format!("file {number}, {file}, {direction} {who}: {text}")
        }
        (What::Failed(reason, None), _) => {
            format!("file {number}, {file}, {direction} {who}: failed: {reason}")
        }
        (What::Failed(_, Some(text)), _) => {
            format!("file {number}, {file}, {direction} {who}: failed: {text}")
        }
    })
}

/// What a user should know after `/query`, see [`Event::Query`].
pub fn about_query(to: Option<&Who>) -> Text<'static> {
    Text::from(match to {
        Some(who) => format!("what you type goes to {who} alone, until /query"),
        None => "what you type goes to everybody".into(),
    })
}

/// Whether a private message was received or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To this client.
    Received,
    /// From this client, under this number, which its result names too.
    Sent(u64),
}

/// A user in the answer to `/who`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The user.
    pub who: Who,
    /// How it is sent private messages, as far as that is known; `None` for the client itself.
    pub transport: Option<Transport>,
    /// Whether it reads in the clear.
    pub clear: bool,
    /// Whether the user verified its key, in words.
    pub verified: Option<String>,
    /// Whether it may run the room.
    pub is_operator: bool,
    /// What it says about being away, if it is.
    pub away: Option<Text<'static>>,
}

impl Listed {
    /// The user by this name, with what is worth knowing at a glance.
    pub fn brief(&self, name: String) -> String {
        let away = self.away.is_some().then(|| "away".to_owned());
        let marks: Vec<String> = self.marks().into_iter().chain([away]).flatten().collect();
        match marks.is_empty() {
            false => format!("{name} ({})", marks.join(", ")),
            true => name,
        }
    }

    fn marks(&self) -> [Option<String>; 3] {
        let operator = self.is_operator.then(|| "operator".to_owned());
        let clear = self.clear.then(|| "in the clear".to_owned());
        [operator, self.verified.clone(), clear]
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = self.transport.map(|transport| transport.to_string());
        let transport = transport.filter(|marks| !marks.is_empty());
        let marks: Vec<String> = self.marks().into_iter().chain([transport]).flatten().collect();
        self.who.fmt(f)?;
        if !marks.is_empty() {
            write!(f, " ({})", marks.join("; "))?;
        }
        // What the user says is last, so it can't imitate a mark of another user.
        match &self.away {
            Some(text) => write!(f, ", away: {text}"),
            None => Ok(()),
        }
    }
}

/// How a private message travels. Displayed as the marks that the user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transport {
    /// The path, once it is known.
    pub path: Option<Path>,
    /// Sealed: only the two users could read or write it.
    pub sealed: bool,
}

impl Transport {
    /// The protection and the path, each named: `sealed, direct`.
    pub fn in_full(&self) -> String {
        let transport = self.to_string();
        match (self.sealed, transport.is_empty()) {
            (true, true) => "sealed".into(),
            (true, false) => format!("sealed, {transport}"),
            (false, _) => transport,
        }
    }
}

impl Delivery {
    /// Whether the peer confirmed it or, for users without a key, the server did.
    pub fn is_confirmed(&self) -> bool {
        self.after.is_some() || self.transport.path == Some(Path::Relayed)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.path, self.sealed) {
            (None, true) => "",
            (None, false) => "unencrypted",
            (Some(Path::Direct), true) => "direct",
            (Some(Path::Direct), false) => "direct, unencrypted",
            (Some(Path::Relayed), true) => "via the server",
            (Some(Path::Relayed), false) => "via the server, unencrypted",
        })
    }
}
