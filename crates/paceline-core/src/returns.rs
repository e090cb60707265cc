//! Permits that came back without the lock of their set.
//!
//! Most permits return one unit, or nothing at all, to a set in which nobody waits. Such a return is counted here, by one
//! atomic addition, and whoever next holds the lock takes the count into the set. A set in which somebody waits
//! *listens*: a return then says so, and whoever gave it takes the lock itself. Both lie in one word, so each return
//! comes either before the listening, and is in the count it finds, or after it, and is told.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

/// How many permits came back, and whether somebody wants to know at once.
#[derive(Debug)]
pub struct Returns(AtomicU64);

const LISTENING: u64 = 1;
const ONE: u64 = 2;

impl Returns {
    /// None so far, and nobody listens.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "one is made for a set, never by default")]
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts one more; true if somebody listens.
    #[inline]
    #[must_use = "whoever listens has to be told"]
    pub fn give(&self) -> bool {
        self.0.fetch_add(ONE, Ordering::AcqRel) & LISTENING != 0
    }

    /// How many there were so far.
    #[inline]
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire) / ONE
    }

    /// Every return that [`count`](Self::count) does not tell from here on is told to whoever gives it.
    pub fn listen(&self) {
        self.0.fetch_or(LISTENING, Ordering::AcqRel);
    }

    /// Nobody has to be told any more.
    pub fn ignore(&self) {
        self.0.fetch_and(!LISTENING, Ordering::AcqRel);
    }
}
