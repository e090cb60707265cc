//! A strict sliding window: the plain list of what entered it.

use std::collections::VecDeque;
use std::time::Duration;

/// The units that entered in `(t − period, t]`, one entry a charge, at its exact instant.
#[derive(Debug)]
pub(super) struct Window {
    period: Duration,
    entries: VecDeque<Entry>,
    /// Units ever entered; with it the sum is a subtraction.
    entered: u128,
    /// Units that have left again.
    left: u128,
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    /// All units entered up to and with this entry: finding when enough have left is a search, not a walk over what
    /// may be a hundred thousand refusals.
    upto: u128,
}

impl Window {
    pub(super) fn new(period: Duration) -> Self {
        Window { period, entries: VecDeque::new(), entered: 0, left: 0 }
    }

    /// Forgets what has left the window that ends at `now`.
    pub(super) fn advance(&mut self, now: Duration) {
        while let Some(entry) = self.entries.front() {
            // Half-open: a charge exactly one period old has left.
            if entry.at.saturating_add(self.period) > now {
                break;
            }
            self.left = entry.upto;
            self.entries.pop_front();
        }
    }

    pub(super) fn enter(&mut self, now: Duration, units: u64) {
        if units > 0 {
            self.entered += u128::from(units);
            self.entries.push_back(Entry { at: now, upto: self.entered });
        }
    }

    pub(super) fn used(&self) -> u128 {
        self.entered - self.left
    }

    /// Until nothing is used, if nothing else enters.
    pub(super) fn until_empty(&self, now: Duration) -> Duration {
        self.entries.back().map_or(Duration::ZERO, |last| last.at.saturating_add(self.period).saturating_sub(now))
    }

    /// Until at most `units` are used, if nothing else enters.
    pub(super) fn until_used_at_most(&self, units: u64, now: Duration) -> Duration {
        let to_leave = self.entered.saturating_sub(u128::from(units));
        if to_leave <= self.left {
            return Duration::ZERO;
        }
        let last_to_leave = self.entries.partition_point(|entry| entry.upto < to_leave);
        self.entries[last_to_leave].at.saturating_add(self.period).saturating_sub(now)
    }
}
