//! Random bytes, from whatever source the caller provides.

use anyhow::{Context, Result};

/// Fills a buffer with random bytes. They must be unpredictable: the system's generator, outside of
/// tests.
pub type Random = Box<dyn FnMut(&mut [u8])>;

/// Random bytes of the system.
///
/// # Panics
/// If the system has no randomness, which [`secret`] finds out first.
pub fn system(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the system had randomness before");
}

/// A secret key from the system.
///
/// # Errors
/// If the system has no randomness.
pub fn secret() -> Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("the system has no randomness")?;
    Ok(secret)
}

pub(super) fn random<const N: usize>(source: &mut Random) -> [u8; N] {
    let mut bytes = [0; N];
    source(&mut bytes);
    bytes
}
