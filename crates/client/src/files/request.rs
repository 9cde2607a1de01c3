//! Requests to the disk, and its answers.

use super::message::{Hash, Reason};
use super::name::FileName;
use chat_proto::text::Text;
use std::path::PathBuf;

/// Bytes that are read or written at once.
pub const BLOCK: usize = 64 * 1024;

/// A source or a part, from its opening to its end. Each opening gets a new one, so no answer is taken for a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub u32);

/// The disk carries out requests in order. It hashes bytes that are on the disk already beside other requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Open a file that is to be sent: [`Answer::Source`].
    Open(PathBuf),
    /// Hash the first bytes of the source, and read on behind them: [`Answer::Progress`], then [`Answer::Hashed`].
    Skip(u64),
    /// Read the next block of the source: [`Answer::Block`].
    Read,
    /// Check that the source was read to its end and did not change: [`Answer::End`].
    End,
    /// Open or create the part of a file: [`Answer::Progress`], then [`Answer::Part`].
    OpenPart(Part),
    /// Empty the part. No answer.
    Restart,
    /// Append to the part: [`Answer::Written`].
    Write(Vec<u8>),
    /// Check size and hash of the part, and give it a name: [`Answer::Kept`]. A name that is taken gets a number.
    Finish(Hash, FileName),
    /// Close the source or the part; a part with content stays. No answer; unknown handles are ignored.
    Close,
    /// Close the part and remove it. No answer.
    Discard,
    /// Remove a part that is not open. No answer.
    RemovePart(Part),
}

/// A file that arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it will be.
    pub directory: PathBuf,
    /// The name that was offered.
    pub name: FileName,
    /// In bytes.
    pub size: u64,
    /// When it was last changed, in seconds since 1970.
    pub modified: u64,
}

/// An answer of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The source is open.
    Source {
        /// In bytes.
        size: u64,
        /// When it was last changed, in seconds since 1970.
        modified: u64,
        /// The last part of its path.
        name: FileName,
    },
    /// So many bytes are hashed, of those that are on the disk already.
    Progress(u64),
    /// The hash of the bytes that were skipped.
    Hashed(Hash),
    /// The next bytes of the source: [`BLOCK`], or fewer up to its size.
    Block(Vec<u8>),
    /// The source is read to its end, and did not change since it was opened; its hash.
    End(Hash),
    /// The part has so many bytes, with this hash.
    Part(u64, Hash),
    /// So many bytes more are written.
    Written(u64),
    /// The file is on the disk, under this name.
    Kept(FileName),
    /// It failed, and the handle is closed: the reason for the peer, and words for the user.
    Failed(Reason, Text<'static>),
}
