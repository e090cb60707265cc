//! Sliding counter: two counters instead of a log. Approximate.
//!
//! The units of the last whole period count by the share of it that the window still overlaps, as if they had come
//! evenly, in whole units (rounded down, or the last unit of each period could never be used). Where they came late, the
//! window holds more than the estimate: with `prev` units at the very end of the last period, a window that ends a share
//! `f` into this one holds up to `amount + ⌈f·prev⌉`, so never more than twice the amount.

use crate::decision::Ready;
use crate::image::Words;
use crate::quota::Quota;
use crate::time::Time;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Counter {
    start: Time,
    previous: u64,
    current: u64,
    latest: Time,
    amount: u64,
    period: u64,
}

impl Counter {
    pub(crate) fn new(quota: &Quota, now: Time) -> Self {
        let (amount, period) = (quota.amount(), quota.guarded_nanos());
        Self { start: now, previous: 0, current: 0, latest: now, amount, period }
    }

    /// Moves to the period that holds `now`; gives the nanoseconds into it.
    fn advance(&mut self, now: Time) -> u64 {
        self.latest = self.latest.max(now);
        let passed = self.latest.nanos_since(self.start) / self.period;
        if passed > 0 {
            self.previous = if passed == 1 { self.current } else { 0 };
            self.current = 0;
            self.start = self.start.plus_nanos(passed.saturating_mul(self.period));
        }
        self.latest.nanos_since(self.start)
    }

    /// The first nanosecond of a period in which `asked` fits beside `current`, where `previous` were charged in the
    /// period before; none if that is not in this period.
    fn first_fit(&self, previous: u64, current: u64, asked: u128) -> Option<u64> {
        let room = u128::from(self.amount).checked_sub(u128::from(current) + asked)?;
        if previous == 0 {
            return Some(0);
        }
        // The longest overlap at which fewer than room + 1 of the previous units count.
        let overlap = ((room + 1).saturating_mul(u128::from(self.period)) - 1) / u128::from(previous);
        let into = u128::from(self.period).saturating_sub(overlap);
        u64::try_from(into).ok().filter(|into| *into < self.period)
    }

    pub(crate) fn ready(&mut self, now: Time, units: u64, ahead: u64) -> Ready {
        let into = self.advance(now);
        if units > self.amount {
            return Ready::Never;
        }
        let asked = u128::from(units) + u128::from(ahead);
        if asked > u128::from(self.amount) {
            return Ready::OnReturn;
        }
        let (mut previous, mut current, mut start) = (self.previous, self.current, self.start);
        loop {
            match self.first_fit(previous, current, asked) {
                Some(fit) if start == self.start && fit <= into => return Ready::Now,
                Some(fit) => return Ready::at(start.plus_nanos(fit), self.latest),
                None => {
                    (previous, current) = (current, 0);
                    start = start.plus_nanos(self.period);
                }
            }
        }
    }

    pub(crate) fn charge(&mut self, now: Time, units: u64) {
        self.advance(now);
        self.current = self.current.saturating_add(units);
    }

    /// Counts what was used in this period and the last in the period where it was.
    pub(crate) fn charge_past(&mut self, now: Time, past: &[(Time, u64)]) {
        self.advance(now);
        for (at, units) in past {
            if *at >= self.start {
                self.current = self.current.saturating_add(*units);
            } else if self.start.nanos_since(*at) <= self.period {
                self.previous = self.previous.saturating_add(*units);
            }
        }
    }

    pub(crate) fn refund(&mut self, now: Time, admitted: Time, units: u64) -> u64 {
        self.advance(now);
        if admitted < self.start {
            return 0;
        }
        let back = units.min(self.current);
        self.current -= back;
        back
    }

    pub(crate) fn used(&mut self, now: Time) -> u64 {
        let into = self.advance(now);
        let overlap = u128::from(self.period - into.min(self.period));
        let weighted = u128::from(self.previous) * overlap / u128::from(self.period);
        u64::try_from(weighted).unwrap_or(u64::MAX).saturating_add(self.current)
    }

    pub(crate) fn free(&mut self, now: Time) -> u64 {
        self.amount.saturating_sub(self.used(now))
    }

    pub(crate) fn ceiling(&self) -> u64 {
        self.amount
    }

    pub(crate) fn requota(&mut self, now: Time, quota: &Quota) {
        let used = self.used(now);
        if quota.guarded_nanos() == self.period {
            self.amount = quota.amount();
        } else {
            *self = Self::new(quota, self.latest);
            self.current = used;
        }
    }

    pub(crate) fn cap_available(&mut self, now: Time, available: u64) {
        let free = self.amount.saturating_sub(self.used(now));
        self.current = self.current.saturating_add(free.saturating_sub(available));
    }

    pub(crate) fn lift_available(&mut self, now: Time, available: u64) {
        let used = self.used(now);
        let surplus = used.saturating_sub(self.amount.saturating_sub(available));
        let back = surplus.min(self.current);
        self.current -= back;
        if surplus > back {
            self.previous = 0;
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u64>) {
        out.extend([self.start.as_nanos(), self.previous, self.current, self.latest.as_nanos()]);
    }

    /// One of the same quota, with what was written.
    pub(crate) fn read(self, words: &mut Words<'_>) -> Option<Self> {
        let (start, previous, current) = (words.past()?, words.word()?, words.word()?);
        Some(Self { start, previous, current, latest: words.past()?, ..self })
    }
}
