//! File descriptors: enough of them from the start, and one in reserve.

use crate::room::{LEAVING_MAX, WAITING_MAX};
use anyhow::{Context, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::fs::File;

/// Descriptors that are no connections: the standard streams, the terminal of the log, the listener, the rendezvous,
/// the signals, the reserve, and some that the process was born with.
const OTHERS: usize = 24;

/// Descriptors beside those of the users.
const BESIDE: usize = LEAVING_MAX + WAITING_MAX + OTHERS;

/// Raises the limit on open descriptors to what so many users need.
///
/// # Errors
/// If the system's hard limit is lower and can't be raised; the message says how many users would fit.
pub fn provide_for(max_users: usize) -> anyhow::Result<()> {
    let needed = u64::try_from(max_users.saturating_add(BESIDE))?;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("can't read the limit on descriptors")?;
    if soft >= needed {
        return Ok(());
    }
    if setrlimit(Resource::RLIMIT_NOFILE, needed, hard.max(needed)).is_ok() {
        return Ok(());
    }
    let fit = hard.saturating_sub(u64::try_from(BESIDE)?);
    if fit == 0 {
        bail!("{max_users} users need {needed} descriptors, and the system allows {hard} (see ulimit -Hn)");
    }
    bail!(
        "{max_users} users need {needed} descriptors, and the system allows {hard} (see ulimit -Hn): \
         --max-users {fit} would fit"
    );
}

/// One descriptor kept back, so that when there is no other left a newcomer can still be let in, told
/// why not, and sent away. Otherwise the listener would stay ready, and the loop would spin.
#[derive(Debug, Default)]
pub struct Spare(Option<File>);

impl Spare {
    /// Takes the reserve, or takes it again. Without a free descriptor there is none.
    #[must_use]
    pub fn take() -> Self {
        Self(File::open("/dev/null").ok())
    }

    /// Gives the descriptor up; whether there was one.
    pub fn release(&mut self) -> bool {
        self.0.take().is_some()
    }
}
