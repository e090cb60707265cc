//! Fixed window: one counter, emptied at each boundary.
//!
//! The boundaries form a grid from the instant the limit was made, or from the reset it was told. Across a boundary
//! two windows' amounts can come at once. The guard lengthens the grid. Where the grid is the service's own, nothing is
//! granted from one guard before a reset to one guard after it: which of its windows such a call would count in, nobody
//! can tell.

use crate::decision::Ready;
use crate::image::{Image as _, Words};
use crate::quota::Quota;
use crate::time::{Time, nanos};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    /// Since when `count` counts. Not always `end` less the period: either can change while the window runs.
    start: Time,
    end: Time,
    count: u64,
    latest: Time,
    amount: u64,
    period: u64,
    /// The stretch before `end` in which nothing is granted.
    quiet: u64,
}

impl Fixed {
    pub(crate) fn new(quota: &Quota, now: Time) -> Self {
        let (period, end, quiet) = match quota.first_reset() {
            Some(left) => {
                (nanos(quota.period()), now + left + quota.guard_pad(), nanos(quota.guard_pad()).saturating_mul(2))
            }
            None => (quota.guarded_nanos(), now.plus_nanos(quota.guarded_nanos()), 0),
        };
        Self { start: now, end, count: 0, latest: now, amount: quota.amount(), period, quiet }
    }

    /// With what of `past` may count in the window that runs: all that is younger than a period where nobody knows when
    /// that began.
    pub(crate) fn recalled(quota: &Quota, now: Time, past: &[(Time, u64)]) -> Self {
        let fresh = Self::new(quota, now);
        let began = if quota.first_reset().is_some() {
            fresh.end.minus_nanos(fresh.period.saturating_add(fresh.quiet))
        } else {
            now.plus_nanos(1).minus_nanos(fresh.period)
        };
        let counts = past.iter().filter(|(at, _)| *at >= began);
        Self { count: counts.fold(0, |count, (_, units)| count.saturating_add(*units)), ..fresh }
    }

    fn advance(&mut self, now: Time) {
        self.latest = self.latest.max(now);
        if self.latest >= self.end {
            let passed = self.latest.nanos_since(self.end) / self.period + 1;
            self.start = self.end.plus_nanos((passed - 1).saturating_mul(self.period));
            self.end = self.start.plus_nanos(self.period);
            self.count = 0;
        }
    }

    pub(crate) fn ready(&mut self, now: Time, units: u64, ahead: u64) -> Ready {
        self.advance(now);
        if units > self.amount {
            return Ready::Never;
        }
        let asked = u128::from(units) + u128::from(ahead);
        if asked > u128::from(self.amount) {
            Ready::OnReturn
        } else if u128::from(self.count) + asked <= u128::from(self.amount)
            && self.end.nanos_since(self.latest) > self.quiet
        {
            Ready::Now
        } else {
            Ready::at(self.end, self.latest)
        }
    }

    pub(crate) fn charge(&mut self, now: Time, units: u64) {
        self.advance(now);
        self.count = self.count.saturating_add(units);
    }

    /// Counts what was used in the window that runs.
    pub(crate) fn charge_past(&mut self, now: Time, past: &[(Time, u64)]) {
        self.advance(now);
        let counts = past.iter().filter(|(at, _)| *at >= self.start);
        self.count = counts.fold(self.count, |count, (_, units)| count.saturating_add(*units));
    }

    pub(crate) fn refund(&mut self, now: Time, admitted: Time, units: u64) -> u64 {
        self.advance(now);
        if admitted < self.start {
            return 0;
        }
        let back = units.min(self.count);
        self.count -= back;
        back
    }

    pub(crate) fn used(&mut self, now: Time) -> u64 {
        self.advance(now);
        self.count
    }

    pub(crate) fn free(&mut self, now: Time) -> u64 {
        self.amount.saturating_sub(self.used(now))
    }

    pub(crate) fn ceiling(&self) -> u64 {
        self.amount
    }

    pub(crate) fn requota(&mut self, now: Time, quota: &Quota) {
        self.advance(now);
        let period_changes = quota.guarded_nanos() != self.period || quota.first_reset().is_some();
        let Self { start, end, count, .. } = *self;
        *self = Self { start, count, ..Self::new(quota, self.latest) };
        if !period_changes {
            self.end = end;
        }
    }

    /// Another amount in the windows that run anyway.
    pub(crate) fn set_amount(&mut self, amount: u64) {
        self.amount = amount;
    }

    pub(crate) fn cap_available(&mut self, now: Time, available: u64, window_ends: Option<Time>) {
        self.advance(now);
        if let Some(end) = window_ends {
            self.end = end.max(self.latest.plus_nanos(1));
        }
        self.count = self.count.max(self.amount.saturating_sub(available));
    }

    pub(crate) fn lift_available(&mut self, now: Time, available: u64) {
        self.advance(now);
        self.count = self.count.min(self.amount.saturating_sub(available));
    }

    pub(crate) fn write(&self, out: &mut Vec<u64>) {
        out.extend([self.start.as_nanos(), self.end.as_nanos(), self.count, self.latest.as_nanos()]);
    }

    /// One of the same quota, with what was written.
    pub(crate) fn read(self, words: &mut Words<'_>) -> Option<Self> {
        let (start, end, count) = (Time::read(words)?, Time::read(words)?, words.word()?);
        Some(Self { start, end, count, latest: words.past()?, ..self })
    }
}
