//! Measures the programs, and draws the client's screen.
//!
//! - `chat-load`: many users in one thread. It checks that their messages arrive, and measures the cost to the server.
//! - `chat-reference`: a minimal chat server, as the baseline of the measurements.
//! - `chat-typist`: a user that types into the full screen while others send messages.
//! - `chat-picture`: draws the client's screen, for `scripts/picture`.
//!
//! `scripts/bench` runs the first three.

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
pub mod sealed;
pub mod svg;
pub mod tally;
pub mod terminal;
pub mod typist;
pub mod user;
