//! Names for permits.

use std::sync::atomic::{AtomicU64, Ordering};

use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::PermitId;

/// Names that nobody else has: a random half that is this handle's own, and one that never repeats in 2⁶⁴.
///
/// Both are the system's randomness and not the thread's, which a forked child has again; and it is asked once, since the
/// thread's own asks the system every few thousand names.
#[derive(Debug)]
pub(super) struct Ids {
    half: u64,
    next: AtomicU64,
}

/// 2⁶⁴ by the golden ratio, made odd: steps of it meet every word and spread evenly over all bits (Knuth, TAOCP 3, 6.4).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Ids {
    pub(super) fn new() -> Self {
        let random = || OsRng.try_next_u64().unwrap_or_else(|_| rand::random());
        Self { half: random(), next: AtomicU64::new(random()) }
    }

    #[inline]
    pub(super) fn next(&self) -> PermitId {
        PermitId(u128::from(self.half) << 64 | u128::from(self.next.fetch_add(STEP, Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_permits_have_one_name() {
        let handles = [Ids::new(), Ids::new()];
        let names: HashSet<_> = (0..20_000).map(|at| handles[at % 2].next()).collect();
        assert_eq!(names.len(), 20_000);
    }
}
