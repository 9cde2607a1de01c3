//! Random bytes, from whatever source the caller provides.

/// Fills a buffer with random bytes. They must be unpredictable: the system's generator, outside of
/// tests.
pub type Random = Box<dyn FnMut(&mut [u8])>;

pub(super) fn random<const N: usize>(source: &mut Random) -> [u8; N] {
    let mut bytes = [0; N];
    source(&mut bytes);
    bytes
}
