//! Each algorithm as its documentation states it, kept as plain lists. Slow on purpose.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_core::Quota;

/// What a model must answer to be compared with the engine. All instants are nanoseconds.
pub(crate) trait Plain {
    /// The first instant from `now` on with room for `units`, if nothing else happens; none if that takes a return.
    fn earliest(&mut self, now: u64, units: u64) -> Option<u64>;
    fn charge(&mut self, now: u64, id: usize, units: u64);
    /// More than was asked for, charged to `id`, admitted at `admitted`.
    fn add(&mut self, now: u64, admitted: u64, id: usize, extra: u64);
    /// The least and the most that may come back of `units`.
    fn refundable(&mut self, now: u64, admitted: u64, id: usize, units: u64) -> (u64, u64);
    /// This much came back.
    fn refunded(&mut self, now: u64, id: usize, units: u64);
    fn complete(&mut self, _now: u64, _id: usize) {}
    fn requota(&mut self, now: u64, quota: &Quota);
    /// By how much the engine may be later than the model, in nanoseconds.
    fn slack(&self) -> u64 {
        0
    }
}

pub(crate) fn guarded(quota: &Quota) -> u64 {
    (quota.period() + quota.guard_pad()).as_nanos() as u64
}

/// The first of the instants from `now` to `now + horizon` for which `fits` holds, where it holds from then on.
fn bisect(now: u64, horizon: u64, fits: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (now, now + horizon);
    assert!(fits(high), "the horizon is too near");
    while low < high {
        let middle = low + (high - low) / 2;
        if fits(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

/// Sliding window: a list of (instant, who, units); a charge counts until one period after its instant.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) amount: u64,
    pub(crate) period: u64,
    pub(crate) list: Vec<(u64, usize, u64)>,
    /// Out, where charges are held until completion.
    held: Option<Vec<(usize, u64)>>,
    pace: Option<Drain>,
    slack: u64,
    /// What was charged before has left for good, though the period may have grown since.
    kept_from: u64,
}

impl Window {
    pub(crate) fn new(quota: &Quota) -> Self {
        Self {
            amount: quota.amount(),
            period: guarded(quota),
            list: Vec::new(),
            held: None,
            pace: None,
            slack: 0,
            kept_from: 0,
        }
    }

    pub(crate) fn until_completion(self) -> Self {
        Self { held: Some(Vec::new()), ..self }
    }

    pub(crate) fn paced(self, quota: &Quota, units: u64) -> Self {
        Self { pace: Some(Drain::bucket(quota, units)), ..self }
    }

    /// A log that has to join charges may let each leave up to 1/1023 of the period late.
    pub(crate) fn coalesced(self) -> Self {
        Self { slack: self.period.div_ceil(1_023), ..self }
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.iter().flatten().map(|(_, units)| units).sum()
    }

    pub(crate) fn counted(&self, t: u64) -> u64 {
        self.list.iter().filter(|(at, ..)| t < at + self.period).map(|(.., units)| units).sum::<u64>() + self.held()
    }

    fn forget_old(&mut self, now: u64) {
        let keep = self.period + self.slack;
        self.list.retain(|(at, _, units)| now < at + keep && *units > 0);
    }

    pub(crate) fn earliest_after(&self, now: u64, units: u64, ahead: u64) -> Option<u64> {
        let fits = |t: u64| self.counted(t) + units + ahead <= self.amount;
        let mut leave: Vec<u64> = self.list.iter().map(|(at, ..)| at + self.period).filter(|t| *t > now).collect();
        leave.push(now);
        leave.sort_unstable();
        leave.into_iter().find(|t| fits(*t))
    }
}

impl Plain for Window {
    fn earliest(&mut self, now: u64, units: u64) -> Option<u64> {
        self.forget_old(now);
        let window = self.earliest_after(now, units, 0)?;
        Some(match &mut self.pace {
            Some(pace) => window.max(pace.earliest(now, units)?),
            None => window,
        })
    }

    fn charge(&mut self, now: u64, id: usize, units: u64) {
        if let Some(pace) = &mut self.pace {
            pace.charge(now, id, units);
        }
        match &mut self.held {
            Some(held) => held.push((id, units)),
            None => self.list.push((now, id, units)),
        }
    }

    fn add(&mut self, now: u64, admitted: u64, id: usize, extra: u64) {
        if let Some(pace) = &mut self.pace {
            pace.charge(now, id, extra);
        }
        match &mut self.held {
            Some(held) => held.push((id, extra)),
            None if now < admitted + self.period && admitted >= self.kept_from => self.list.push((admitted, id, extra)),
            None => self.list.push((now, id, extra)),
        }
    }

    fn refundable(&mut self, now: u64, admitted: u64, id: usize, units: u64) -> (u64, u64) {
        if let Some(held) = &self.held {
            let own = held.iter().filter(|(who, _)| *who == id).map(|(_, units)| units).sum::<u64>();
            return (units.min(own), units.min(own));
        }
        let own = |from: u64| {
            let mine = self.list.iter().filter(|(at, who, _)| *who == id && *at == admitted && now < at + from);
            units.min(mine.map(|(.., units)| units).sum::<u64>())
        };
        (own(self.period), own(self.period + self.slack))
    }

    fn refunded(&mut self, _now: u64, id: usize, units: u64) {
        let mut left = units;
        let held = self.held.iter_mut().flatten().map(|(who, units)| (*who, units));
        for (who, units) in self.list.iter_mut().map(|(_, who, units)| (*who, units)).chain(held) {
            if who == id {
                let back = left.min(*units);
                *units -= back;
                left -= back;
            }
        }
    }

    fn complete(&mut self, now: u64, id: usize) {
        if let Some(held) = &mut self.held {
            let own = held.iter().filter(|(who, _)| *who == id).map(|(_, units)| units).sum();
            held.retain(|(who, _)| *who != id);
            self.list.push((now, id, own));
        }
    }

    fn requota(&mut self, now: u64, quota: &Quota) {
        self.kept_from = self.kept_from.max((now + 1).saturating_sub(self.period));
        let kept_from = self.kept_from;
        self.list.retain(|(at, ..)| *at >= kept_from);
        self.amount = quota.amount();
        self.period = guarded(quota);
        if self.slack > 0 {
            self.slack = self.period.div_ceil(1_023);
        }
        if let Some(pace) = &mut self.pace {
            let depth = pace.depth;
            pace.requota(now, quota);
            pace.depth = depth;
        }
    }

    fn slack(&self) -> u64 {
        self.slack + self.pace.as_ref().map_or(0, Plain::slack)
    }
}

/// Parts of a unit in which the buckets below count: all the periods that the histories use divide it.
const WHOLE: u128 = PERIODS[0] as u128 * PERIODS[1] as u128 * PERIODS[2] as u128;
pub(crate) const PERIODS: [u64; 3] = [7_919, 1_000_003, 60_000];

/// Token bucket and leaky bucket: a queue of what has been charged, drained from its front.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    queue: VecDeque<(usize, u128)>,
    at: u64,
    /// Parts drained in a nanosecond.
    speed: u128,
    pub(crate) depth: u64,
    leaky: bool,
    /// Whose exact refund a state of one word cannot tell any more: usage beyond the estimate, or a refund of what
    /// was charged after it.
    blurred: Vec<bool>,
    changes: u64,
}

impl Drain {
    pub(crate) fn bucket(quota: &Quota, depth: u64) -> Self {
        let mut drain =
            Self { queue: VecDeque::new(), at: 0, speed: 0, depth, leaky: false, blurred: Vec::new(), changes: 0 };
        drain.tune(quota);
        drain
    }

    pub(crate) fn leaky(quota: &Quota) -> Self {
        Self { leaky: true, ..Self::bucket(quota, 0) }
    }

    fn tune(&mut self, quota: &Quota) {
        assert_eq!(WHOLE % u128::from(guarded(quota)), 0, "choose the period from PERIODS");
        self.speed = u128::from(quota.amount()) * (WHOLE / u128::from(guarded(quota)));
    }

    fn drain(&mut self, now: u64) {
        let mut out = u128::from(now - self.at) * self.speed;
        self.at = now;
        while let Some((_, front)) = self.queue.front_mut() {
            if *front > out {
                *front -= out;
                return;
            }
            out -= *front;
            self.queue.pop_front();
        }
    }

    fn level(&self) -> u128 {
        self.queue.iter().map(|(_, parts)| parts).sum()
    }

    pub(crate) fn earliest_after(&mut self, now: u64, units: u64, ahead: u64) -> u64 {
        self.drain(now);
        let level = self.level() + u128::from(ahead) * WHOLE;
        let allowed = if self.leaky { 0 } else { u128::from(self.depth - units) * WHOLE };
        let speed = self.speed;
        let fits = |t: u64| level.saturating_sub(u128::from(t - now) * speed) <= allowed;
        if fits(now) { now } else { bisect(now, (level / speed) as u64 + 1, fits) }
    }
}

impl Plain for Drain {
    fn earliest(&mut self, now: u64, units: u64) -> Option<u64> {
        Some(self.earliest_after(now, units, 0))
    }

    fn charge(&mut self, now: u64, id: usize, units: u64) {
        self.drain(now);
        self.queue.push_back((id, u128::from(units) * WHOLE));
        self.blurred.resize(self.blurred.len().max(id + 1), false);
    }

    fn add(&mut self, now: u64, _admitted: u64, id: usize, extra: u64) {
        self.charge(now, id, extra);
        self.blurred[id] = true;
    }

    fn refundable(&mut self, now: u64, _admitted: u64, id: usize, units: u64) -> (u64, u64) {
        self.drain(now);
        let own: u128 = self.queue.iter().filter(|(who, _)| *who == id).map(|(_, parts)| parts).sum();
        // Where a change of period rounded the level up, the last unit may come back for the part of it that is there:
        // the level is still no lower than if it had never been asked for.
        let most = units.min(if self.changes == 0 { own / WHOLE } else { own.div_ceil(WHOLE) } as u64);
        let blurred = self.blurred.get(id).is_some_and(|blurred| *blurred);
        let exact = !blurred && self.changes == 0;
        (if exact { most } else { 0 }, most)
    }

    fn refunded(&mut self, now: u64, id: usize, units: u64) {
        self.drain(now);
        let mut left = u128::from(units) * WHOLE;
        for (who, parts) in self.queue.iter_mut().rev() {
            if *who == id {
                let back = left.min(*parts);
                *parts -= back;
                left -= back;
            }
        }
        assert!(left == 0 || (self.changes > 0 && left < WHOLE), "more came back than was there");
        // Whoever was charged before the last of it cannot tell it from what still stands.
        if units > 0 {
            let mut seen = false;
            for (who, _) in self.queue.iter().rev() {
                seen |= *who == id;
                if seen && *who != id {
                    self.blurred[*who] = true;
                }
            }
        }
    }

    fn requota(&mut self, now: u64, quota: &Quota) {
        self.drain(now);
        self.tune(quota);
        self.changes += 1;
        if !self.leaky {
            self.depth = quota.capacity();
        }
    }

    /// A change of period rounds the level up to the next part of a unit, of which the new period has as many as
    /// nanoseconds.
    fn slack(&self) -> u64 {
        (u128::from(self.changes) * WHOLE / u128::from(PERIODS[0])).div_ceil(self.speed) as u64
    }
}

/// GCRA in its own terms: a theoretical arrival time, in `1/amount` nanoseconds. Charges are final.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    theoretical: u128,
    amount: u128,
    period: u128,
    burst: u128,
}

impl Arrival {
    pub(crate) fn new(quota: &Quota, burst: u64) -> Self {
        Self { theoretical: 0, amount: quota.amount().into(), period: guarded(quota).into(), burst: burst.into() }
    }
}

impl Plain for Arrival {
    fn earliest(&mut self, now: u64, units: u64) -> Option<u64> {
        let tolerance = self.burst * self.period;
        let due = self.theoretical.max(u128::from(now) * self.amount) + u128::from(units) * self.period;
        // Conforms from (theoretical + units − burst) on.
        let from = due.saturating_sub(tolerance).div_ceil(self.amount);
        Some((from as u64).max(now))
    }

    fn charge(&mut self, now: u64, _id: usize, units: u64) {
        let arrival = u128::from(now) * self.amount;
        self.theoretical = self.theoretical.max(arrival) + u128::from(units) * self.period;
    }

    fn add(&mut self, now: u64, _admitted: u64, id: usize, extra: u64) {
        self.charge(now, id, extra);
    }

    fn refundable(&mut self, _now: u64, _admitted: u64, _id: usize, _units: u64) -> (u64, u64) {
        (0, u64::MAX)
    }

    fn refunded(&mut self, _now: u64, _id: usize, units: u64) {
        assert_eq!(units, 0, "this model is for histories without refunds");
    }

    fn requota(&mut self, _now: u64, _quota: &Quota) {
        unreachable!("this model is for one quota");
    }
}

/// Sliding counter by its defining formula: `⌊previous × overlap⌋ + current`, over a list of (instant, who, units).
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    amount: u64,
    period: u64,
    origin: u64,
    list: Vec<(u64, usize, u64)>,
}

impl Counter {
    pub(crate) fn new(quota: &Quota) -> Self {
        Self { amount: quota.amount(), period: guarded(quota), origin: 0, list: Vec::new() }
    }

    fn cell(&self, t: u64) -> u64 {
        (t - self.origin) / self.period
    }

    fn sum(&self, cell: Option<u64>) -> u128 {
        let inside = self.list.iter().filter(|(at, ..)| Some(self.cell(*at)) == cell);
        inside.map(|(.., units)| u128::from(*units)).sum()
    }

    /// The estimate at `t`, in whole units.
    fn estimate(&self, t: u64) -> u128 {
        let cell = self.cell(t);
        let overlap = u128::from(self.period - (t - self.origin) % self.period);
        self.sum(cell.checked_sub(1)) * overlap / u128::from(self.period) + self.sum(Some(cell))
    }
}

impl Plain for Counter {
    fn earliest(&mut self, now: u64, units: u64) -> Option<u64> {
        let far = now.saturating_sub(3 * self.period);
        self.list.retain(|(at, ..)| *at >= far);
        let fits = |t: u64| self.estimate(t) + u128::from(units) <= u128::from(self.amount);
        Some(if fits(now) { now } else { bisect(now, 3 * self.period, fits) })
    }

    fn charge(&mut self, now: u64, id: usize, units: u64) {
        self.list.push((now, id, units));
    }

    fn add(&mut self, now: u64, _admitted: u64, id: usize, extra: u64) {
        self.list.push((now, id, extra));
    }

    fn refundable(&mut self, now: u64, admitted: u64, id: usize, units: u64) -> (u64, u64) {
        if admitted < self.origin || self.cell(admitted) != self.cell(now) {
            return (0, 0);
        }
        let own: u64 = self.list.iter().filter(|(_, who, _)| *who == id).map(|(.., units)| units).sum();
        (units.min(own), units.min(own))
    }

    fn refunded(&mut self, _now: u64, id: usize, units: u64) {
        let mut left = units;
        for (_, _, units) in self.list.iter_mut().filter(|(_, who, _)| *who == id) {
            let back = left.min(*units);
            *units -= back;
            left -= back;
        }
    }

    fn requota(&mut self, now: u64, quota: &Quota) {
        self.amount = quota.amount();
        if guarded(quota) != self.period {
            // What stands charged stays: the estimate, in whole units, opens a new grid.
            let units = self.estimate(now) as u64;
            (self.period, self.origin) = (guarded(quota), now);
            self.list.retain(|(at, ..)| *at == now);
            let fresh: u64 = self.list.iter().map(|(.., units)| units).sum();
            self.list.push((now, usize::MAX, units - fresh));
        }
    }
}

/// Fixed window: a list of (window, who, units) on a grid of ends.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    amount: u64,
    period: u64,
    first_end: u64,
    /// Before each end, when nothing is granted.
    quiet: u64,
    list: Vec<(u64, usize, u64)>,
}

impl Fixed {
    pub(crate) fn new(quota: &Quota) -> Self {
        Self { amount: quota.amount(), period: guarded(quota), first_end: guarded(quota), quiet: 0, list: Vec::new() }
    }

    /// On the service's own grid: nothing within a guard of a reset.
    pub(crate) fn resets_in(quota: &Quota, left: Duration) -> Self {
        let first_end = (left + quota.guard_pad()).as_nanos() as u64;
        let (period, quiet) = (quota.period().as_nanos() as u64, 2 * quota.guard_pad().as_nanos() as u64);
        Self { amount: quota.amount(), period, first_end, quiet, list: Vec::new() }
    }

    fn place(t: u64, first_end: u64, period: u64) -> u64 {
        if t < first_end { 0 } else { 1 + (t - first_end) / period }
    }

    pub(crate) fn window(&self, t: u64) -> u64 {
        Self::place(t, self.first_end, self.period)
    }

    fn end(&self, window: u64) -> u64 {
        self.first_end + window * self.period
    }
}

impl Plain for Fixed {
    fn earliest(&mut self, now: u64, units: u64) -> Option<u64> {
        let window = self.window(now);
        let (first_end, period) = (self.first_end, self.period);
        self.list.retain(|it| Self::place(it.0, first_end, period) == window);
        let used: u64 = self.list.iter().filter(|it| self.window(it.0) == window).map(|it| it.2).sum();
        let open = self.end(window) - now > self.quiet;
        Some(if open && used + units <= self.amount { now } else { self.end(window) })
    }

    fn charge(&mut self, now: u64, id: usize, units: u64) {
        self.list.push((now, id, units));
    }

    fn add(&mut self, now: u64, _admitted: u64, id: usize, extra: u64) {
        self.list.push((now, id, extra));
    }

    fn refundable(&mut self, now: u64, admitted: u64, id: usize, units: u64) -> (u64, u64) {
        let window = self.window(now);
        if self.window(admitted) != window || !self.list.iter().any(|it| it.0 == admitted && it.1 == id) {
            return (0, 0);
        }
        let own: u64 = self.list.iter().filter(|it| it.1 == id && self.window(it.0) == window).map(|it| it.2).sum();
        (units.min(own), units.min(own))
    }

    fn refunded(&mut self, _now: u64, id: usize, units: u64) {
        let mut left = units;
        for (_, _, units) in self.list.iter_mut().filter(|it| it.1 == id) {
            let back = left.min(*units);
            *units -= back;
            left -= back;
        }
    }

    fn requota(&mut self, now: u64, quota: &Quota) {
        let window = self.window(now);
        self.amount = quota.amount();
        if guarded(quota) != self.period {
            // The running window keeps its count and ends one new period from now.
            let (first_end, period) = (self.first_end, self.period);
            self.list.retain(|it| Self::place(it.0, first_end, period) == window);
            (self.period, self.first_end) = (guarded(quota), now + guarded(quota));
        }
    }
}
