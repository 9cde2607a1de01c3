//! The lab's original server: no nicks, no history, no line ends, short texts only.

pub(super) mod connection;
pub(super) mod decoder;
mod room;
