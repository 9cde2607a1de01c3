//! What a session knows of its connection to an original server.

use super::decoder::Decoder;
use std::time::Duration;

#[derive(Debug, Default)]
pub(in crate::session) struct Legacy {
    pub(super) decoder: Decoder,
    /// The server counts as an original one only because it was silent, and nothing was sent to it yet.
    pub(super) may_yet_greet: bool,
    /// The user is asked whether this is a server at all. Nothing is sent to it before.
    pub(in crate::session) doubted: bool,
    /// After a reconnection, until when the server may identify itself by announcing this client. Nothing is sent to
    /// it before.
    pub(super) proof: Option<Duration>,
    /// When the last message was sent.
    pub(super) paced: Option<Duration>,
}
