//! The protocol between the server and its clients.
//!
//! No input or output, no clock, no sockets: bytes and values go in, bytes and values come out. Every
//! line and datagram is documented, with examples, in `PROTOCOL.md` beside this crate; a test reads
//! the examples from there.
#![warn(missing_docs)]

pub mod datagram;
pub mod id;
pub mod line;
pub mod nick;
pub mod now;
pub mod opaque;
pub mod order;
pub mod plain;
pub mod rich;
pub mod status;
pub mod text;
pub mod times;
pub mod who;

/// The protocol version that the greeting names and HELLO repeats.
pub const VERSION: u32 = 1;

/// The start of the greeting. The version, a colon and words for people follow.
pub const GREETING: &str = "* chat version ";

/// The end of the greeting of a room with a passphrase. The handshake needs it then.
pub const PASSPHRASE: &str = "; this room has a passphrase: use chat-client";

/// The end of the greeting of a room without a passphrase that takes encrypted connections only.
pub const SEALED_ONLY: &str = "; this room is encrypted: use chat-client";

/// The server's answer in the clear to a handshake with another passphrase than the room's, without its line feed.
pub const WRONG_PASSPHRASE: &str = "* this is not the passphrase of this room";

/// Its answer while it takes no passphrases from a network.
pub const TOO_MANY_GUESSES: &str = "* too many wrong passphrases from your address; try again in a minute";

/// The longest line a client may send, in bytes, its line feed included.
pub const LINE_MAX: usize = 4096;

/// The longest text of a message, in bytes after cleaning. It fits into a line of [`LINE_MAX`] with its other fields.
pub const TEXT_MAX: usize = 4000;

/// The longest topic of the room, in characters after cleaning.
pub const TOPIC_MAX: usize = 200;

/// The most characters of what a user says about being away.
pub const AWAY_MAX: usize = 100;

const _: () = {
    // The longest fields before a text: `WHISPER`, an id and a number of 20 digits.
    let framing = "WHISPER ".len() + id::ID_MAX + 1 + 20 + 1;
    assert!(framing + TEXT_MAX < LINE_MAX, "the line feed must fit too");
};

/// The longest line of the server, in bytes, its line feed included: a text after at most two names of [`who::WHO_MAX`]
/// bytes and a few words and numbers.
pub const SERVER_LINE_MAX: usize = LINE_MAX + 2 * who::WHO_MAX + 128;
