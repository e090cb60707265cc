//! A process that dies after so many writes, for tests.

use std::sync::atomic::{AtomicU64, Ordering};

/// Writes that are left; by default without end.
#[derive(Debug)]
pub(super) struct Budget(AtomicU64);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Budget {
    pub(super) fn set(&self, writes: u64) {
        self.0.store(writes, Ordering::SeqCst);
    }

    /// Whether it lives to do one more.
    pub(super) fn spend(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    pub(super) fn left(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
