//! Who may pass whom.
//!
//! A later demand passes the earlier waiters only on what remains after their demands, on the limits it shares with
//! them, are set aside: resources from the units free now, rates by the refills that are known. So by what is known
//! now nobody is delayed by being passed. In steps, over the earlier waiters in order, with the sums of their demands:
//!
//! 1. `e`, the earliest instant at which this waiter's rates are there, if all before it go first;
//! 2. with the passing demand charged too, its rates must still be there at `e`;
//! 3. the resources that they and the passing demand ask for together must be free now.
//!
//! A joint demand that another set holds sets aside here too, but only the first for each such set: else one blocked
//! set would take all the room of its neighbours.

use smallvec::SmallVec;

use super::Set;
use crate::decision::Ready;
use crate::demand::Demand;
use crate::order::Order;
use crate::queue::{Entry, Party, Queue};
use crate::time::Time;

/// How many earlier waiters are looked at. Behind more than these nobody passes, which delays only the one that would.
const LOOK_BACK: usize = 256;

impl<W> Set<W> {
    /// When a newcomer may be granted besides those who wait.
    pub(super) fn passing(&mut self, now: Time, demand: &Demand, order: Order, group: Option<u64>) -> Ready {
        let Some(queue) = self.queue.take() else { return Ready::Now };
        let own_line = queue.lines().iter().find(|line| line.is_for(demand, group));
        let behind = own_line.is_some_and(|line| line.before(order).next().is_some());
        let ready = if behind { Ready::OnReturn } else { self.passing_in(&queue, now, demand, order) };
        self.queue = Some(queue);
        ready
    }

    /// The same for one that stands first in its line.
    pub(super) fn passing_in(&mut self, queue: &Queue<W>, now: Time, demand: &Demand, order: Order) -> Ready {
        let mut earlier: SmallVec<[(Order, u32); 32]> = SmallVec::new();
        for line in queue.lines().iter().filter(|line| line.shares(demand)) {
            // Behind a joint demand that another set holds, nobody of its line can go either.
            let held = line.first().is_some_and(|slot| self.held_elsewhere(queue.at(slot)).is_some());
            earlier.extend(line.before(order).take(if held { 1 } else { LOOK_BACK + 1 }));
        }
        if earlier.len() > LOOK_BACK {
            return Ready::OnReturn;
        }
        earlier.sort_unstable();
        let mut ahead: SmallVec<[u64; 6]> = SmallVec::from_elem(0, self.limits.len());
        let mut holders: SmallVec<[u64; 4]> = SmallVec::new();
        let mut ready = Ready::Now;
        for (_, slot) in earlier {
            let waiter = queue.at(slot);
            if let Some(holder) = self.held_elsewhere(waiter) {
                if holders.contains(&holder) {
                    continue;
                }
                holders.push(holder);
            }
            for part in waiter.demand.parts() {
                let sum = &mut ahead[usize::from(part.limit)];
                *sum = sum.saturating_add(part.units);
            }
            ready = ready.and(self.past(now, waiter, demand, &ahead));
            if ready == Ready::OnReturn {
                break;
            }
        }
        ready
    }

    /// When charging `demand` would not delay `waiter`, where `ahead` sums all demands up to and with the waiter's. An
    /// instant counts: where the waiter is held by something else, refills alone make room for both.
    fn past(&mut self, now: Time, waiter: &Entry<W>, demand: &Demand, ahead: &[u64]) -> Ready {
        // Its instant stands still, or runs ahead of the clock by what those before it take from an empty bucket.
        let (mut earliest, mut lead) = (now, 0);
        for part in waiter.demand.parts() {
            let limit = &mut self.limits[usize::from(part.limit)];
            let before = ahead[usize::from(part.limit)] - part.units;
            if let (false, Ready::At(then)) = (limit.is_resource(), limit.ready(now, part.units, before)) {
                earliest = earliest.max(then);
                lead = lead.max(limit.lead(part.units, before));
            }
        }
        let mut past = Ready::Now;
        for part in waiter.demand.parts() {
            let Some(units) = demand.units(part.limit) else { continue };
            let limit = &mut self.limits[usize::from(part.limit)];
            let before = (ahead[usize::from(part.limit)] - part.units).saturating_add(units);
            past = past.and(match limit.ready(now, part.units, before) {
                Ready::Now => Ready::Now,
                Ready::At(then) if then <= earliest => Ready::Now,
                Ready::At(then) if limit.lead(part.units, before) <= lead => Ready::At(then.minus_nanos(lead)),
                Ready::OnReturn | Ready::Never if units == 0 => Ready::Now,
                Ready::At(_) | Ready::OnReturn | Ready::Never => Ready::OnReturn,
            });
        }
        past
    }

    /// The other set that holds a joint demand.
    pub(super) fn held_elsewhere(&self, waiter: &Entry<W>) -> Option<u64> {
        match waiter.party.as_deref() {
            Some(Party::AllOf { held_by: Some(holder), .. }) if *holder != self.id => Some(*holder),
            _ => None,
        }
    }
}
