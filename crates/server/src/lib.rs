//! The chat server: a pure room, and one `poll(2)` loop around it.
//!
//! [`room`] and the modules it is made of hold all state and touch no socket and no clock. [`server`] carries out what
//! the room decides.

pub mod announcer;
pub mod args;
mod ban_file;
mod bans;
pub mod compact;
pub mod door;
pub mod event;
mod foreign;
mod guesses;
pub mod handout;
mod handshake_queue;
mod holds;
pub mod identity;
pub mod inbox;
pub mod inquiry;
mod listen_fds;
mod lock;
pub mod log;
pub mod manual;
pub mod member;
pub mod network;
pub mod new_phrase;
pub mod operators;
pub mod outbox;
pub mod quota;
pub mod rate;
mod repeats;
mod resumption;
pub mod room;
pub mod roster;
pub mod secure;
pub mod server;
pub mod service_manager;
mod slow;
pub mod sockets;
pub mod state;
mod state_file;
mod telnet;
mod topic;
pub mod transcript;
pub mod words;
