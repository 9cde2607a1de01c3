//! The chat client as a library, for the program and for tests.
#![warn(missing_docs)]

pub mod address;
pub mod args;
pub mod client;
pub mod client_key;
pub mod command;
mod direction;
pub mod doctor;
pub mod exit;
pub mod files;
pub mod fingerprint;
mod format;
pub mod known_servers;
pub mod line;
mod log;
pub mod manual;
pub mod net;
pub mod passphrase;
pub mod paths;
pub mod private;
pub mod rooms;
pub mod roster;
pub mod session;
pub mod settings;
pub mod tui;
pub mod verified_users;
pub mod zone;
