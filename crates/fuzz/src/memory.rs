//! How much memory is in use.

use cap::Cap;
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Bytes that are in use.
pub(crate) fn in_use() -> usize {
    ALLOCATOR.allocated()
}
