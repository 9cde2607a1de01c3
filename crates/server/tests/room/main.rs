//! Whole conversations with the room, in simulated time: one binary, a module for each topic.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper that panics has found something, as a test that does"
)]

mod away;
mod backpressure;
mod clock;
mod foreign;
mod handshake;
mod history;
mod leaving;
mod limits;
mod nicks;
mod operators;
mod passphrase;
mod private;
mod probe;
mod quota;
mod rate;
mod rendezvous;
mod restart;
mod resumption;
mod schedule;
mod secure;
mod silence;
mod sim;
mod status;
mod telnet;
mod text;
mod unframed;
mod user_list;
mod words;
