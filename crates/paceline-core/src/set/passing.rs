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
            earlier.extend(line.before(order).take(LOOK_BACK + 1));
        }
        if earlier.len() > LOOK_BACK {
            return Ready::OnReturn;
        }
        earlier.sort_unstable();
        let mut ahead: SmallVec<[u64; 6]> = SmallVec::from_elem(0, self.limits.len());
        let mut holders: SmallVec<[u64; 4]> = SmallVec::new();
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
            if self.delays(now, waiter, demand, &ahead) {
                return Ready::OnReturn;
            }
        }
        Ready::Now
    }

    /// Whether charging `demand` now would delay `waiter`, where `ahead` sums all demands up to and with the waiter's.
    fn delays(&mut self, now: Time, waiter: &Entry<W>, demand: &Demand, ahead: &[u64]) -> bool {
        let mut earliest = now;
        for part in waiter.demand.parts() {
            let limit = &mut self.limits[usize::from(part.limit)];
            let before = ahead[usize::from(part.limit)] - part.units;
            if let (false, Ready::At(then)) = (limit.is_resource(), limit.ready(now, part.units, before)) {
                earliest = earliest.max(then);
            }
        }
        waiter.demand.parts().iter().any(|part| {
            let Some(units) = demand.units(part.limit) else { return false };
            let limit = &mut self.limits[usize::from(part.limit)];
            let before = (ahead[usize::from(part.limit)] - part.units).saturating_add(units);
            match limit.ready(now, part.units, before) {
                Ready::Now => false,
                Ready::At(then) => then > earliest,
                Ready::OnReturn | Ready::Never => units > 0,
            }
        })
    }

    fn held_elsewhere(&self, waiter: &Entry<W>) -> Option<u64> {
        match waiter.party.as_deref() {
            Some(Party::AllOf { held_by: Some(holder), .. }) if *holder != self.id => Some(*holder),
            _ => None,
        }
    }
}
