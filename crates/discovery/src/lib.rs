//! How rooms are found on a LAN: DNS-SD (RFC 6763) over multicast DNS (RFC 6762).
#![warn(missing_docs)]

pub mod browser;
pub mod interfaces;
pub mod message;
pub mod responder;
pub mod sockets;
