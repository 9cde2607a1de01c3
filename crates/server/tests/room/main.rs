//! Whole conversations with the room, in simulated time: one binary, a module for each topic.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that panics has found something, as a test that does"
)]

mod arriving;
mod clock;
mod closing;
mod history;
mod limits;
mod listing;
mod nicks;
mod pressure;
mod private;
mod probing;
mod rate;
mod rendezvous;
mod resume;
mod schedule;
mod silence;
mod sim;
mod text;
mod unframed;
