//! How fast the server is, and how fast it could be.
//!
//! `chat-load` is a crowd of users in one thread, which finds out what a server did to their messages and what
//! that cost. `chat-typist` is one person before a full screen, while others talk. `chat-reference` is the least that a chat server can do, to measure ours by. `scripts/bench`
//! puts them together. `chat-picture` draws the client's screen, for `scripts/picture`.

pub mod args;
pub mod audit;
pub mod crowd;
pub mod dialect;
pub mod histogram;
pub mod line;
pub mod message;
pub mod picture;
pub mod process;
pub mod reader;
pub mod record;
pub mod reference;
pub mod report;
pub mod scenario;
pub mod svg;
pub mod tally;
pub mod terminal;
pub mod typist;
pub mod user;
