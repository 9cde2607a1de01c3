//! Bytes of a file in one datagram.

use super::message::FileId;
use super::request::Handle;

/// Bytes of a file that were sent. Acknowledged or lost, it comes back as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    /// The file, by the number of the side that sends it.
    pub id: FileId,
    /// Where in the file.
    pub offset: u64,
    /// How many.
    pub length: usize,
    /// The opening of the source that it was read from. Results of pieces of an earlier opening are ignored.
    pub handle: Handle,
}

impl Piece {
    /// No bytes of no file.
    pub(crate) const NONE: Self = Self {
        id: FileId(0),
        offset: 0,
        length: 0,
        handle: Handle(0),
    };
}
