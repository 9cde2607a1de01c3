//! The memory in use.

use cap::Cap;
use std::alloc::System;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// The bytes in use.
pub(crate) fn in_use() -> usize {
    ALLOCATOR.allocated()
}
