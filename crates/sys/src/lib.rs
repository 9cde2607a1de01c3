//! What the server and the client both ask of the system.
#![warn(missing_docs)]

pub mod clock;
pub mod files;
pub mod signals;
pub mod udp_errors;
pub mod udp_segments;
pub mod writer;

use std::io::{self, ErrorKind};

/// Whether a read or write that failed is to be repeated once `poll(2)` reports the descriptor ready. Every other error
/// is final, also `EIO` from a terminal that hung up.
#[must_use]
pub fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn a_terminal_that_hung_up_is_a_final_error() {
        let is_transient = |error: Errno| is_transient(&error.into());
        assert!(is_transient(Errno::EAGAIN) && is_transient(Errno::EINTR));
        assert!(!is_transient(Errno::EIO) && !is_transient(Errno::ECONNRESET));
    }
}
