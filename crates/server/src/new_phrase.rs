//! A new passphrase, between the order of an operator and the time from which it holds.

use crate::roster::Slot;
use std::fmt;

/// It holds once it is in its file, so that it survives a restart.
pub struct NewPhrase {
    /// The operator's connection.
    pub(crate) slot: Slot,
    /// The operator.
    pub(crate) by: Box<str>,
    /// What its users are to write.
    pub words: String,
}

/// Shows nothing of it.
impl fmt::Debug for NewPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPhrase")
    }
}
