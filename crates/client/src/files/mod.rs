//! Files from one user to another.
//!
//! Layers: `name` and `message` (what peers call files, and tell each other), `piece` (bytes under way), `request` (what the disk is asked for),
//! `transfers` (the state of all of them, pure), `disk` (the thread that owns the files), `listing` (names in a
//! directory, for completion).

pub mod disk;
pub mod listing;
pub mod message;
pub mod name;
pub mod piece;
pub mod request;
pub mod transfers;
pub(crate) mod words;
