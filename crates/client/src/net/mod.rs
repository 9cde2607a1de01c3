//! The sockets: connecting to a server, carrying bytes and datagrams, and connecting again.

pub mod connect;
mod interfaces;
mod race;
pub mod reconnect;
pub mod secure;
pub mod transport;
