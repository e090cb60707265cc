//! A token bucket, exact: the level is in unit-nanoseconds, so that no refill is ever rounded.

use std::time::Duration;

/// Full at the start, refilled evenly at `amount / period`.
#[derive(Debug)]
pub(super) struct Bucket {
    amount: u64,
    period: u128,
    size: u64,
    level: u128,
    at: Duration,
}

impl Bucket {
    pub(super) fn new(size: u64, amount: u64, period: Duration) -> Self {
        let period = period.as_nanos();
        Bucket { amount, period, size, level: u128::from(size).saturating_mul(period), at: Duration::ZERO }
    }

    pub(super) fn advance(&mut self, now: Duration) {
        let elapsed = now.saturating_sub(self.at).as_nanos();
        self.at = now;
        self.level = self.level.saturating_add(elapsed.saturating_mul(u128::from(self.amount))).min(self.full());
    }

    fn full(&self) -> u128 {
        u128::from(self.size).saturating_mul(self.period)
    }

    /// Takes what is there, at most `units`.
    pub(super) fn drain(&mut self, units: u64) {
        self.level = self.level.saturating_sub(u128::from(units).saturating_mul(self.period));
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn remaining(&self) -> u64 {
        u64::try_from(self.level / self.period).unwrap_or(u64::MAX)
    }

    /// Until it holds `units`.
    pub(super) fn until_holds(&self, units: u64) -> Duration {
        let missing = u128::from(units).saturating_mul(self.period).saturating_sub(self.level);
        let nanos = missing.div_ceil(u128::from(self.amount));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
