//! What the server and the clients say to each other.
//!
//! No input or output, no clock, no sockets: bytes and values go in, bytes and values come out. Every
//! line and datagram is documented, with examples, in `PROTOCOL.md` beside this crate; a test reads
//! the examples from there.
#![warn(missing_docs)]

pub mod id;
pub mod line;
pub mod nick;
pub mod now;
pub mod opaque;
pub mod plain;
pub mod rendezvous;
pub mod rich;
pub mod text;
pub mod times;
pub mod who;

/// The protocol version that the greeting names and HELLO repeats.
pub const VERSION: u32 = 1;

/// What the greeting ends with: the verbs beyond those of the version that the server knows as a first line. Said to a server
/// that does not, such a line would be a message to everybody.
pub const EXTENSIONS: &str = "[PROBE]";

/// The longest line a client may send, in bytes, its line feed included.
pub const LINE_MAX: usize = 4096;

/// The longest text that one message carries, in bytes, after it was made safe to show. Whatever it is sent in, the line has no
/// more than [`LINE_MAX`].
pub const TEXT_MAX: usize = 4000;

/// The longest framing before a text that a client may write: `WHISPER`, an id and a number of 20 digits.
const FRAMING_MAX: usize = "WHISPER ".len() + id::ID_MAX + 1 + 20 + 1;
const _: () = assert!(FRAMING_MAX + TEXT_MAX < LINE_MAX, "the line feed is to fit too");

/// The longest line the server sends, in bytes, its line feed included: a text and whatever stands
/// before it, which is at most two names of [`who::WHO_MAX`] bytes and a few words and numbers.
pub const SERVER_LINE_MAX: usize = LINE_MAX + 2 * who::WHO_MAX + 128;
