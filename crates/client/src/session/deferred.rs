//! Requests that need the whole key of a user, while the server is asked for it.

use chat_proto::id::UserId;
use std::path::PathBuf;

/// A request of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deferred {
    /// `/verify WHO`
    Verify,
    /// `/verify WHO yes`
    Confirm,
    /// `/whois WHO`
    Whois,
    /// `/send WHO PATH`: the path
    Send(PathBuf),
}

/// A request, and about whom: as typed, and the user that this means. It fails if that user leaves: another one may have the
/// name then.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) what: Deferred,
    pub(super) typed: String,
    pub(super) id: UserId,
}
