//! One demand waiting in several sets, to be granted by one of them.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, Ordering};

/// A demand that several sets may try to grant: whoever takes the claim first may charge it, and nobody else.
#[derive(Debug)]
pub struct Claim(AtomicU32);

const OPEN: u32 = 0;
const CANCELLED: u32 = u32::MAX;

impl Claim {
    /// A claim that nobody has taken.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a claim is made for one wait, never by default")]
    pub fn new() -> Self {
        Self(AtomicU32::new(OPEN))
    }

    /// Takes it for `member`; false if another was first or the demand was cancelled.
    #[must_use]
    pub fn take(&self, member: u32) -> bool {
        self.set(member + 1).is_ok()
    }

    /// Withdraws the demand; the member that was quicker, if one was.
    pub fn cancel(&self) -> Option<u32> {
        match self.set(CANCELLED) {
            Ok(()) | Err(CANCELLED) => None,
            Err(taken) => Some(taken - 1),
        }
    }

    /// Whether nobody has taken it yet, and it was not withdrawn.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire) == OPEN
    }

    /// The member that took it.
    #[must_use]
    pub fn taken_by(&self) -> Option<u32> {
        match self.0.load(Ordering::Acquire) {
            OPEN | CANCELLED => None,
            taken => Some(taken - 1),
        }
    }

    fn set(&self, value: u32) -> Result<(), u32> {
        self.0.compare_exchange(OPEN, value, Ordering::AcqRel, Ordering::Acquire).map(|_| ())
    }
}
