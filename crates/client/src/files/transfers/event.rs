//! Outputs of [`super::Transfers`].

use crate::files::message::{FileMessage, Reason};
use crate::files::name::FileName;
use crate::files::request::{Handle, Request};
use chat_proto::opaque::PublicKey;
use chat_proto::text::Text;
use std::fmt;

/// The user's number of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(pub u32);

/// The direction of a transfer, by its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The peer.
    Sending,
    /// This client.
    Receiving,
}

/// Something to do for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Tell a peer.
    Message(PublicKey, FileMessage),
    /// Ask the disk.
    Disk(Handle, Request),
    /// This many bytes of pieces from this peer are no longer held. Each byte that came in is counted here once.
    Consumed(PublicKey, u64),
    /// Tell the user.
    Event(FileEvent),
}

/// News of a transfer, for the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEvent {
    /// The transfer.
    pub number: Number,
    /// Its direction.
    pub way: Way,
    /// The peer.
    pub peer: PublicKey,
    /// The name that the sender gave it; of the receiver if it is kept there.
    pub name: FileName,
    /// In bytes.
    pub size: u64,
    /// What happened.
    pub what: What,
}

/// What happened to a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// It was offered.
    Offered,
    /// It begins, or goes on, at this byte.
    Begun(u64),
    /// The peer is away; it goes on when that returns.
    Paused,
    /// The sender was restarted; it goes on when that sends it again.
    Forgotten,
    /// It is on the receiver's disk. The last event.
    Kept,
    /// It is over: the peer's reason, or what happened here. The last event.
    Failed(Reason, Option<Text<'static>>),
}

/// A transfer, for a list or a status line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The transfer.
    pub number: Number,
    /// Its direction.
    pub way: Way,
    /// The peer.
    pub peer: PublicKey,
    /// The name that the sender gave it.
    pub name: FileName,
    /// In bytes.
    pub size: u64,
    /// What it does.
    pub state: State,
    /// Bytes that are acknowledged, written or hashed.
    pub bytes: u64,
}

/// What a transfer does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for an answer: from the peer if it is sent, from the user if it is received.
    Offered,
    /// It was accepted, and waits for others.
    Waiting,
    /// The disk looks at what is there already.
    Checking,
    /// Bytes are on their way.
    Moving,
    /// The peer is away.
    Paused,
    /// The sender was restarted, and has not sent it again.
    Forgotten,
}

impl State {
    /// The state in words, for the user.
    pub fn in_words(self, way: Way) -> &'static str {
        match (self, way) {
            (Self::Offered, Way::Sending) => "offered, not answered yet",
            (Self::Offered, Way::Receiving) => "offered to you: /accept or /decline",
            (Self::Waiting, _) => "waiting for other files",
            (Self::Checking, _) => "being checked",
            (Self::Moving, _) => "under way",
            (Self::Paused, _) => "paused: that user is not here",
            (Self::Forgotten, _) => "paused until that user sends it again",
        }
    }
}

/// Why a command can't be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such transfer.
    Unknown,
    /// It is not an offer that waits for this user.
    NotOffered,
    /// Too many offers wait for an answer of this peer.
    TooManyOfPeer,
    /// Too many offers wait for an answer.
    TooMany,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no transfer has that number",
            Self::NotOffered => "that is not an offer that waits for your answer",
            Self::TooManyOfPeer => "four offers wait for that user's answer; cancel one, or wait",
            Self::TooMany => "too many offers wait for an answer; cancel one, or wait",
        })
    }
}

impl std::error::Error for Refusal {}
