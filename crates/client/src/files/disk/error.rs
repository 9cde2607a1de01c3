//! Why a file can't be read or written.

use crate::files::message::Reason;
use std::io;

/// The reason for the peer, and words for the user.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(reason: Reason, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { reason, text }
    }

    pub(super) fn reading(error: impl Into<io::Error>) -> Self {
        Self::new(Reason::CannotRead, words(&error.into()))
    }

    pub(super) fn writing(error: impl Into<io::Error>) -> Self {
        let error = error.into();
        let reason = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reason::DiskFull,
            _ => Reason::CannotWrite,
        };
        Self::new(reason, words(&error))
    }
}

/// The error without its number.
fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}
