//! The chat server: a pure room, and one `poll(2)` loop around it.
//!
//! [`room`] and what it is made of hold all state and touch no socket and no clock; [`server`] carries out what it
//! decides.

pub mod address;
pub mod args;
pub mod connection;
mod departed;
pub mod descriptors;
pub mod event;
pub mod probe;
pub mod inbox;
pub mod listener;
mod listening;
mod listing;
pub mod log;
pub mod member;
pub mod moment;
pub mod outbox;
mod pressure;
pub mod rate;
pub mod rendezvous;
pub mod room;
pub mod roster;
pub mod server;
mod talk;
pub mod transcript;
