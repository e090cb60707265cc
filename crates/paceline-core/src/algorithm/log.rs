//! Sliding window: a log of what was charged when. Exact.
//!
//! The window is half-open, `(now − period, now]`: a charge counts until one period after it. The log is coalesced to
//! at most [`ENTRIES`] entries that leave with their latest member, so a charge may count up to 1/1023 of a period too
//! long, never too short; a quota of at most [`ENTRIES`] units keeps every charge apart and is exact to the
//! nanosecond. An entry is 24 bytes, the whole log 24 KiB at most.

use std::collections::VecDeque;

use super::Bucket;
use crate::decision::Ready;
use crate::quota::{Algorithm, Quota};
use crate::time::Time;

/// The most entries a log keeps.
pub(crate) const ENTRIES: usize = 1_024;

#[derive(Clone, Debug)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    /// When the youngest entry was opened.
    opened: Time,
    /// The mark of the youngest entry that has left.
    left: u64,
    /// Units in the entries.
    used: u64,
    /// Units of permits that are out, where charges wait for completion.
    held: u64,
    latest: Time,
    amount: u64,
    period: u64,
    until_completion: bool,
    pace: Option<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    last: Time,
    units: u64,
    mark: u64,
}

impl Log {
    pub(crate) fn new(quota: &Quota, now: Time) -> Self {
        let pace = quota.pace().map(|units| {
            let bucket = Quota::new(quota.amount(), quota.period()).guard(quota.guard_pad());
            Bucket::new(&bucket.algorithm(Algorithm::TokenBucket).burst(units), now)
        });
        Self {
            entries: VecDeque::new(),
            opened: now,
            left: 0,
            used: 0,
            held: 0,
            latest: now,
            amount: quota.amount(),
            period: quota.guarded_nanos(),
            until_completion: quota.holds_until_completion(),
            pace,
        }
    }

    fn expire(&mut self, now: Time) -> Time {
        self.latest = self.latest.max(now);
        while let Some(front) = self.entries.front() {
            if self.latest.nanos_since(front.last) < self.period {
                break;
            }
            self.used -= front.units;
            self.left = front.mark;
            self.entries.pop_front();
        }
        self.latest
    }

    #[inline]
    pub(crate) fn ready(&mut self, now: Time, units: u64, ahead: u64) -> Ready {
        let ready = self.window_ready(now, units, ahead);
        match &mut self.pace {
            Some(pace) => ready.and(pace.ready(now, units, ahead)),
            None => ready,
        }
    }

    fn window_ready(&mut self, now: Time, units: u64, ahead: u64) -> Ready {
        let now = self.expire(now);
        if units > self.amount {
            return Ready::Never;
        }
        let asked = u128::from(units) + u128::from(ahead);
        let total = asked + u128::from(self.used) + u128::from(self.held);
        let mut excess = total.saturating_sub(u128::from(self.amount));
        if excess == 0 {
            return Ready::Now;
        }
        for entry in &self.entries {
            excess = excess.saturating_sub(u128::from(entry.units));
            if excess == 0 {
                return Ready::at(entry.last.plus_nanos(self.period), now);
            }
        }
        Ready::OnReturn
    }

    #[inline]
    pub(crate) fn charge(&mut self, now: Time, units: u64, mark: u64) {
        let now = self.expire(now);
        if let Some(pace) = &mut self.pace {
            pace.charge(now, units, mark);
        }
        if self.until_completion {
            self.held = self.held.saturating_add(units);
        } else {
            self.push(now, units, mark);
        }
    }

    fn push(&mut self, now: Time, units: u64, mark: u64) {
        let room = self.entries.len() < ENTRIES;
        let quantum = if self.amount <= ENTRIES as u64 { 0 } else { self.period.div_ceil(ENTRIES as u64 - 1) };
        self.used = self.used.saturating_add(units);
        match self.entries.back_mut() {
            Some(tail) if tail.last == now || !room || now.nanos_since(self.opened) < quantum => {
                tail.last = now.max(tail.last);
                tail.units = tail.units.saturating_add(units);
                tail.mark = mark;
            }
            _ => {
                self.opened = now;
                self.entries.push_back(Entry { last: now, units, mark });
            }
        }
    }

    /// Usage beyond the estimate counts from the admission, or from now where that has left the window.
    pub(crate) fn add(&mut self, now: Time, admitted: Time, extra: u64, mark: u64) {
        let now = self.expire(now);
        if self.until_completion {
            return self.charge(now, extra, mark);
        }
        if let Some(pace) = &mut self.pace {
            pace.charge(now, extra, mark);
        }
        let at = self.entries.partition_point(|e| e.last < admitted);
        match self.entries.get_mut(at) {
            Some(entry) if now.nanos_since(admitted) < self.period => {
                entry.units = entry.units.saturating_add(extra);
                self.used = self.used.saturating_add(extra);
            }
            _ => self.push(now, extra, mark),
        }
    }

    pub(crate) fn refund(&mut self, now: Time, mark: u64, units: u64) -> u64 {
        self.expire(now);
        if self.until_completion {
            let back = units.min(self.held);
            self.held -= back;
            return back;
        }
        let left = self.left;
        // Marks wrap, so they are compared by their distance from the last one that left.
        let at = self.entries.partition_point(|e| e.mark.wrapping_sub(left) < mark.wrapping_sub(left));
        let gone = mark.wrapping_sub(left) > u64::MAX / 2 || mark == left;
        match self.entries.get_mut(at) {
            Some(entry) if !gone => {
                let back = units.min(entry.units);
                entry.units -= back;
                self.used -= back;
                back
            }
            _ => 0,
        }
    }

    pub(crate) fn complete(&mut self, now: Time, units: u64, mark: u64) {
        if self.until_completion {
            let now = self.expire(now);
            self.held = self.held.saturating_sub(units);
            self.push(now, units, mark);
        }
    }

    pub(crate) fn awaits_completion(&self) -> bool {
        self.until_completion
    }

    pub(crate) fn used(&mut self, now: Time) -> u64 {
        self.expire(now);
        self.used.saturating_add(self.held)
    }

    /// Entries keep their instants, so a longer period cannot recall what has already left.
    pub(crate) fn requota(&mut self, now: Time, quota: &Quota) {
        self.expire(now);
        let fresh = Self::new(quota, now);
        self.amount = fresh.amount;
        self.period = fresh.period;
        self.pace = match (self.pace, fresh.pace) {
            (Some(mut old), Some(new)) => {
                let used = old.used(now);
                let mut pace = new;
                pace.charge(now, used, 0);
                Some(pace)
            }
            (_, new) => new,
        };
        if self.until_completion != fresh.until_completion {
            self.until_completion = fresh.until_completion;
            let held = std::mem::take(&mut self.held);
            let mark = self.entries.back().map_or(self.left, |e| e.mark);
            self.push(now, held, mark);
        }
    }

    /// What the service has counted and this log has not is entered so that it leaves when the service says.
    pub(crate) fn cap_available(&mut self, now: Time, available: u64, window_ends: Option<Time>, mark: u64) {
        let now = self.expire(now);
        let free = self.amount.saturating_sub(self.used(now));
        let missing = free.saturating_sub(available);
        if missing == 0 {
            return;
        }
        let at = window_ends.map_or(now, |end| end.minus_nanos(self.period).min(now));
        let place = self.entries.partition_point(|e| e.last < at);
        if place == self.entries.len() {
            return self.push(at, missing, mark);
        }
        self.used = self.used.saturating_add(missing);
        if self.entries[place].last == at || self.entries.len() >= ENTRIES {
            self.entries[place].units += missing;
        } else {
            let before = place.checked_sub(1).map_or(self.left, |i| self.entries[i].mark);
            self.entries.insert(place, Entry { last: at, units: missing, mark: before });
        }
    }

    pub(crate) fn lift_available(&mut self, now: Time, available: u64) {
        let now = self.expire(now);
        let free = self.amount.saturating_sub(self.used(now));
        let mut surplus = available.min(self.amount).saturating_sub(free);
        for entry in &mut self.entries {
            let back = surplus.min(entry.units);
            entry.units -= back;
            self.used -= back;
            surplus -= back;
        }
    }
}
