//! The chat client: what is pure of it for tests and for other front ends, and the loop that carries it out.
#![warn(missing_docs)]

pub mod args;
pub mod client;
pub mod command;
pub mod connect;
pub mod exit;
pub mod link;
pub mod plain;
pub mod session;
pub mod signals;
pub mod sink;
