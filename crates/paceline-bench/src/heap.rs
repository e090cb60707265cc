//! The heap of this process, counted: bytes asked of the allocator, without its own overhead.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes that `make` leaves allocated, with what it made so that they still are.
pub(crate) fn growth<T>(make: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(HEAP);
    let made = make();
    let change = region.change();
    let grown = change.bytes_allocated.checked_sub(change.bytes_deallocated);
    (made, grown.expect("what makes something leaves no less than there was"))
}

/// Allocations that `call` makes.
pub(crate) fn allocations(call: impl FnOnce()) -> usize {
    let region = Region::new(HEAP);
    call();
    region.change().allocations
}
