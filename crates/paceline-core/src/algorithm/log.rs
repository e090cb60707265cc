//! Sliding window: a log of what was charged when. Exact.
//!
//! The window is half-open, `(now − period, now]`: a charge counts until one period after it. The log is coalesced to
//! at most [`ENTRIES`] entries that leave with their latest member, so a charge may count up to 1/1023 of a period too
//! long, never too short; a quota of at most [`ENTRIES`] units keeps every charge apart and is exact to the
//! nanosecond. An entry is 16 bytes, the whole log 16 KiB at most.

use std::collections::VecDeque;

use super::Bucket;
use crate::decision::Ready;
use crate::demand::Part;
use crate::image::{Image as _, Words};
use crate::quota::{Algorithm, Quota};
use crate::time::Time;

/// The most entries a log keeps.
pub(crate) const ENTRIES: usize = 1_024;

#[derive(Clone, Debug)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    /// When the youngest entry was opened.
    opened: Time,
    /// The first instant that has not left the window: what was charged before it cannot be corrected any more.
    kept_from: Time,
    /// Units in the entries.
    used: u64,
    /// Units of permits that are out, where charges wait for completion.
    held: u64,
    latest: Time,
    amount: u64,
    period: u64,
    until_completion: bool,
    /// Charges up to this mark were made before charges were held; none where they always were.
    held_after: Option<u64>,
    pace: Option<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    last: Time,
    units: u64,
}

impl Log {
    pub(crate) fn new(quota: &Quota, now: Time) -> Self {
        Self {
            entries: VecDeque::new(),
            opened: now,
            kept_from: Time::ZERO,
            used: 0,
            held: 0,
            latest: now,
            amount: quota.amount(),
            period: quota.guarded_nanos(),
            until_completion: quota.holds_until_completion(),
            held_after: None,
            pace: Self::pace(quota).map(|bucket| Bucket::new(&bucket, now)),
        }
    }

    /// A log that takes over with `used` units at `now`. What was charged up to `mark` can neither be refunded nor
    /// completed in it.
    pub(crate) fn starting(quota: &Quota, now: Time, used: u64, mark: u64) -> Self {
        let fresh = Self::new(quota, now);
        let mut log = Self { kept_from: now.plus_nanos(1), held_after: Some(mark), ..fresh };
        log.push(now, used);
        log
    }

    fn pace(quota: &Quota) -> Option<Quota> {
        let bucket = Quota::new(quota.amount(), quota.period()).guard(quota.guard_pad());
        quota.pace().map(|units| bucket.algorithm(Algorithm::TokenBucket).burst(units))
    }

    fn holds(&self, mark: u64) -> bool {
        let held = |after: u64| (1..=u64::MAX / 2).contains(&mark.wrapping_sub(after));
        self.until_completion && self.held_after.is_none_or(held)
    }

    fn expire(&mut self, now: Time) -> Time {
        self.latest = self.latest.max(now);
        while let Some(front) = self.entries.front() {
            if self.latest.nanos_since(front.last) < self.period {
                break;
            }
            self.used -= front.units;
            self.entries.pop_front();
        }
        self.kept_from = self.kept_from.max(self.latest.plus_nanos(1).minus_nanos(self.period));
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

    pub(crate) fn lead(&self, units: u64, ahead: u64) -> u64 {
        self.pace.as_ref().map_or(0, |pace| pace.lead(units, ahead))
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

    /// Charges what was over long before now, whatever the window holds units by.
    pub(crate) fn recall(&mut self, at: Time, units: u64) {
        let at = self.expire(at);
        if let Some(pace) = &mut self.pace {
            pace.charge(at, at, units);
        }
        self.push(at, units);
    }

    /// Enters what was over before now where it lies.
    pub(crate) fn charge_past(&mut self, now: Time, past: &[(Time, u64)]) {
        self.expire(now);
        if let Some(pace) = &mut self.pace {
            pace.charge_past(now, past);
        }
        for (at, units) in past {
            if *at >= self.kept_from {
                self.enter(*at, *units);
            }
        }
    }

    #[inline]
    pub(crate) fn charge(&mut self, now: Time, since: Time, units: u64) {
        let now = self.expire(now);
        if let Some(pace) = &mut self.pace {
            pace.charge(now, since, units);
        }
        if self.until_completion {
            self.held = self.held.saturating_add(units);
        } else {
            self.push(now, units);
        }
    }

    fn push(&mut self, now: Time, units: u64) {
        // The sum of the entries has to be `used` to the unit, or the rest would never leave.
        let units = units.min(u64::MAX - self.used);
        if units == 0 {
            return;
        }
        let room = self.has_room();
        let quantum = if self.amount <= ENTRIES as u64 { 0 } else { self.quantum() };
        self.used += units;
        match self.entries.back_mut() {
            Some(tail) if tail.last == now || !room || now.nanos_since(self.opened) < quantum => {
                tail.last = now.max(tail.last);
                tail.units += units;
            }
            _ => {
                self.opened = now;
                self.entries.push_back(Entry { last: now, units });
            }
        }
    }

    /// How long an entry stays open where entries are few for the amount.
    fn quantum(&self) -> u64 {
        self.period.div_ceil(ENTRIES as u64 - 1)
    }

    /// Whether there is room for an entry; makes some where refunds or a change of quota left more entries than the
    /// charges need: drops the empty ones, and only if that is not enough joins those that lie within one quantum.
    fn has_room(&mut self) -> bool {
        if self.entries.len() < ENTRIES {
            return true;
        }
        self.entries.retain(|entry| entry.units > 0);
        if self.entries.len() < ENTRIES {
            return true;
        }
        let quantum = self.quantum();
        let mut joined = VecDeque::<Entry>::with_capacity(ENTRIES);
        let mut first = Time::ZERO;
        for entry in self.entries.drain(..) {
            match joined.back_mut() {
                Some(tail) if entry.last.nanos_since(first) < quantum => {
                    *tail = Entry { last: entry.last, units: tail.units + entry.units };
                }
                _ => {
                    first = entry.last;
                    joined.push_back(entry);
                }
            }
        }
        self.entries = joined;
        self.entries.len() < ENTRIES
    }

    /// Usage beyond the estimate counts from the admission, or from now where that has left the window.
    pub(crate) fn add(&mut self, now: Time, part: &Part, admitted: Time, extra: u64) {
        let now = self.expire(now);
        if let Some(pace) = &mut self.pace {
            pace.charge(now, now, extra);
        }
        if self.holds(part.mark) {
            self.held = self.held.saturating_add(extra);
        } else if admitted < self.kept_from {
            self.push(now, extra);
        } else {
            self.enter(admitted, extra);
        }
    }

    /// Enters units at an instant that may lie before the youngest entry.
    fn enter(&mut self, at: Time, units: u64) {
        let units = units.min(u64::MAX - self.used);
        let place = self.entries.partition_point(|entry| entry.last < at);
        if place == self.entries.len() {
            return self.push(at, units);
        }
        let quantum = if self.amount <= ENTRIES as u64 { 1 } else { self.quantum() };
        let joins = self.entries[place].last.nanos_since(at) < quantum || self.entries.len() >= ENTRIES;
        if joins {
            self.entries[place].units += units;
        } else {
            self.entries.insert(place, Entry { last: at, units });
        }
        self.used += units;
    }

    pub(crate) fn refund(&mut self, now: Time, mark: u64, admitted: Time, units: u64) -> u64 {
        self.expire(now);
        if self.holds(mark) {
            let back = units.min(self.held);
            self.held -= back;
            return back;
        }
        if admitted < self.kept_from {
            return 0;
        }
        // Entries leave with their latest member, so a charge lies in the first that is not older than it.
        let at = self.entries.partition_point(|entry| entry.last < admitted);
        let Some(entry) = self.entries.get_mut(at) else { return 0 };
        let back = units.min(entry.units);
        entry.units -= back;
        self.used -= back;
        back
    }

    pub(crate) fn complete(&mut self, now: Time, part: &Part) {
        if self.holds(part.mark) {
            let now = self.expire(now);
            self.held = self.held.saturating_sub(part.units);
            self.push(now, part.units);
        }
    }

    pub(crate) fn take_up(&mut self, now: Time, part: &Part) {
        if self.holds(part.mark) {
            self.expire(now);
            self.held = self.held.saturating_add(part.units);
        }
    }

    pub(crate) fn awaits_completion(&self) -> bool {
        self.until_completion
    }

    pub(crate) fn used(&mut self, now: Time) -> u64 {
        self.expire(now);
        self.used.saturating_add(self.held)
    }

    pub(crate) fn free(&mut self, now: Time) -> u64 {
        let free = self.amount.saturating_sub(self.used(now));
        self.pace.as_mut().map_or(free, |pace| free.min(pace.free(now)))
    }

    pub(crate) fn ceiling(&self) -> u64 {
        self.amount
    }

    /// Entries keep their instants, so a longer period cannot recall what has already left.
    pub(crate) fn requota(&mut self, now: Time, quota: &Quota, mark: u64) {
        self.expire(now);
        let fresh = Self::new(quota, now);
        self.amount = fresh.amount;
        self.period = fresh.period;
        self.pace = match (self.pace, Self::pace(quota)) {
            (Some(mut pace), Some(bucket)) => {
                pace.requota(now, &bucket);
                Some(pace)
            }
            _ => fresh.pace,
        };
        if self.until_completion != fresh.until_completion {
            self.until_completion = fresh.until_completion;
            self.held_after = Some(mark);
            let held = std::mem::take(&mut self.held);
            self.push(now, held);
        }
    }

    /// What the service has counted and this log has not is entered so that it leaves when the service says.
    pub(crate) fn cap_available(&mut self, now: Time, available: u64, window_ends: Option<Time>) {
        let now = self.expire(now);
        let free = self.amount.saturating_sub(self.used(now));
        let missing = free.saturating_sub(available);
        if missing > 0 {
            self.enter(window_ends.map_or(now, |end| end.minus_nanos(self.period).min(now)), missing);
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

    pub(crate) fn write(&self, out: &mut Vec<u64>) {
        let [opened, kept_from, latest] = [self.opened, self.kept_from, self.latest].map(Time::as_nanos);
        out.extend([opened, kept_from, latest, self.held]);
        self.held_after.write(out);
        self.pace.iter().for_each(|pace| pace.write(out));
        out.push(self.entries.len() as u64);
        self.entries.iter().for_each(|entry| out.extend([entry.last.as_nanos(), entry.units]));
    }

    /// One of the same quota, with what was written.
    pub(crate) fn read(self, words: &mut Words<'_>) -> Option<Self> {
        let (opened, kept_from, latest, held) = (words.past()?, words.past()?, words.past()?, words.word()?);
        let held_after = Option::read(words)?;
        let pace = match self.pace {
            Some(pace) => Some(pace.read(words)?),
            None => None,
        };
        let count = words.count().filter(|count| *count <= ENTRIES)?;
        let mut entries = VecDeque::<Entry>::with_capacity(count);
        let mut used = 0_u64;
        for _ in 0..count {
            let entry = Entry { last: words.past()?, units: words.word()? };
            if entries.back().is_some_and(|before| before.last > entry.last) {
                return None;
            }
            used = used.checked_add(entry.units)?;
            entries.push_back(entry);
        }
        Some(Self { entries, opened, kept_from, used, held, latest, held_after, pace, ..self })
    }
}
