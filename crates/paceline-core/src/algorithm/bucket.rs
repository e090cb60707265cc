//! Token bucket, GCRA and leaky bucket: one word that drains.
//!
//! The word is the *level*, what was charged and has not drained yet, in unit-nanoseconds: a unit weighs one period,
//! and every nanosecond drains `amount`. So nothing is ever rounded, and a decision multiplies and compares but never
//! divides. A token bucket and GCRA are the same thing seen from two sides (tokens left; theoretical arrival time);
//! a leaky bucket differs in one point only: a demand may enter only when the level is zero.

use crate::decision::Ready;
use crate::image::{Image as _, Words};
use crate::quota::{Algorithm, Quota};
use crate::time::Time;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    level: u128,
    at: Time,
    amount: u64,
    period: u64,
    /// Units it holds; [`PACED`] marks a leaky bucket.
    depth: u64,
}

/// A depth of nothing: only an empty bucket takes a demand.
const PACED: u64 = 0;

impl Bucket {
    pub(crate) fn new(quota: &Quota, now: Time) -> Self {
        let depth = match quota.kind() {
            Algorithm::LeakyBucket => PACED,
            _ => quota.capacity(),
        };
        Self { level: 0, at: now, amount: quota.amount(), period: quota.guarded_nanos(), depth }
    }

    #[inline]
    fn weight(&self, units: u64) -> u128 {
        u128::from(units) * u128::from(self.period)
    }

    #[inline]
    fn level_at(&self, now: Time) -> u128 {
        let passed = now.nanos_since(self.at);
        self.level.saturating_sub(u128::from(passed) * u128::from(self.amount))
    }

    #[inline]
    fn drain(&mut self, now: Time) {
        self.level = self.level_at(now);
        self.at = self.at.max(now);
    }

    /// The highest level at which `units` fit, if they ever do.
    #[inline]
    fn allowed(&self, units: u64) -> Option<u128> {
        match self.depth.checked_sub(units) {
            Some(free) => Some(self.weight(free)),
            None => (self.depth == PACED && units <= self.amount).then_some(0),
        }
    }

    /// Charges `units` if there is room.
    #[inline]
    pub(crate) fn take(&mut self, now: Time, units: u64) -> bool {
        let Some(allowed) = self.allowed(units) else { return false };
        let level = self.level_at(now);
        if level > allowed {
            return false;
        }
        self.level = level + self.weight(units);
        self.at = self.at.max(now);
        true
    }

    /// Takes back what was [taken](Self::take) last, at the same instant: since then nothing has drained.
    pub(crate) fn undo(&mut self, units: u64) {
        self.level -= self.weight(units);
    }

    pub(crate) fn ready(&self, now: Time, units: u64, ahead: u64) -> Ready {
        let Some(allowed) = self.allowed(units) else { return Ready::Never };
        let level = self.level_at(now).saturating_add(self.weight(ahead));
        if level <= allowed {
            return Ready::Now;
        }
        let wait = (level - allowed).div_ceil(u128::from(self.amount));
        Ready::at(self.at.max(now).plus_nanos(u64::try_from(wait).unwrap_or(u64::MAX)), now)
    }

    pub(crate) fn lead(&self, units: u64, ahead: u64) -> u64 {
        let free = if self.depth == PACED { 0 } else { self.depth.saturating_sub(units) };
        let over = self.weight(ahead.saturating_sub(free));
        u64::try_from(over.div_ceil(u128::from(self.amount))).unwrap_or(u64::MAX)
    }

    /// Charges as of `since`, when whoever waited could have been granted, so that a timer that came late costs nothing:
    /// else a bucket that was empty in between would never make up for it. At most one unit's interval is made up for.
    /// The guarantee stands: in a half-open window of one period, charges as of their instants sum to less than
    /// amount + burst; shifting each by less than the interval of one unit adds less than one unit, and units are whole.
    #[inline]
    pub(crate) fn charge(&mut self, now: Time, since: Time, units: u64) {
        let late = now.nanos_since(since);
        self.drain(if late == 0 { now } else { now.minus_nanos(late.min(self.period / self.amount)) });
        self.level = self.level.saturating_add(self.weight(units));
    }

    /// First in, first out: what was charged since lies above the charge, so what is left of it is at most the level
    /// without that. Giving back more would let the drained part be used twice.
    pub(crate) fn refund(&mut self, now: Time, units: u64, since: u64) -> u64 {
        self.drain(now);
        let undrained = self.level.saturating_sub(self.weight(since)) / u128::from(self.period);
        let back = units.min(u64::try_from(undrained).unwrap_or(u64::MAX));
        self.level -= self.weight(back);
        back
    }

    /// First in, first out: what a full bucket would have drained since is gone, and of the rest, all may still be there. A
    /// bucket is not more than full by it.
    pub(crate) fn charge_past(&mut self, now: Time, past: &[(Time, u64)]) {
        self.drain(now);
        let full = self.weight(self.ceiling());
        let gone = full.div_ceil(u128::from(self.amount));
        let left = past.iter().filter(|(at, _)| u128::from(now.nanos_since(*at)) < gone);
        let level = left.fold(self.level, |level, (_, units)| level.saturating_add(self.weight(*units)));
        self.level = level.min(full.max(self.level));
    }

    pub(crate) fn used(&mut self, now: Time) -> u64 {
        self.drain(now);
        u64::try_from(self.level.div_ceil(u128::from(self.period))).unwrap_or(u64::MAX)
    }

    pub(crate) fn free(&mut self, now: Time) -> u64 {
        let used = self.used(now);
        match self.depth {
            PACED if used == 0 => self.amount,
            depth => depth.saturating_sub(used),
        }
    }

    pub(crate) fn ceiling(&self) -> u64 {
        if self.depth == PACED { self.amount } else { self.depth }
    }

    pub(crate) fn requota(&mut self, now: Time, quota: &Quota) {
        self.drain(now);
        let level = self.level;
        let old_period = u128::from(self.period);
        *self = Self::new(quota, self.at);
        // Whole units and the rest apart, so that the product fits; the rest is rounded up, to the safe side.
        let period = u128::from(self.period);
        let (units, rest) = (level / old_period, ((level % old_period) * period).div_ceil(old_period));
        self.level = units.saturating_mul(period).saturating_add(rest);
    }

    pub(crate) fn cap_available(&mut self, now: Time, available: u64) {
        self.drain(now);
        let floor = self.weight(self.depth.max(1).saturating_sub(available));
        self.level = self.level.max(floor);
    }

    pub(crate) fn lift_available(&mut self, now: Time, available: u64) {
        self.drain(now);
        let ceiling = self.weight(self.depth.max(1).saturating_sub(available));
        self.level = self.level.min(ceiling);
    }

    pub(crate) fn write(&self, out: &mut Vec<u64>) {
        self.level.write(out);
        self.at.write(out);
    }

    /// One of the same quota, with what was written.
    pub(crate) fn read(self, words: &mut Words<'_>) -> Option<Self> {
        Some(Self { level: u128::read(words)?, at: words.past()?, ..self })
    }
}
