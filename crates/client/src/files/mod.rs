//! Files from one user to another.
//!
//! Layers: `name`, `message` (between the peers), `piece` (bytes in one datagram), `request` (to the disk), `transfers` (the
//! state of all transfers, pure), `disk` (the thread that owns the files), `listing` (names in a directory, for completion).

pub mod disk;
pub mod listing;
pub mod message;
pub mod name;
pub mod piece;
pub mod request;
pub mod transfers;
pub(crate) mod words;
