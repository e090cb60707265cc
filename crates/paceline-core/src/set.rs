//! Limits that are acquired together, and the demands that wait for them: the engine, without a lock or a clock.
//!
//! Every call passes the instant in and every answer is data. Whoever owns a set guards it with one lock, and after
//! each call wakes the wakers that the call handed out. Three rules make the whole:
//!
//! * a demand is charged on all its limits at one instant or on none ([`Set::try_acquire`]);
//! * whatever gives room is followed by [`pump`](Set::pump), which grants all that can be granted, in order;
//! * [`Set::next`] says when to pump again if nothing happens before.

mod change;
mod image;
mod joint;
mod passing;
mod pump;
mod share;

use std::time::Duration;

use smallvec::SmallVec;

use crate::decision::{Decision, Ready, Refusal};
use crate::demand::{Demand, Grant, Index, Part};
use crate::limit::Limit;
use crate::order::Order;
use crate::queue::{Outcome, Queue, Ticket, Waiter};
use crate::time::Time;

/// Limits that are acquired together. `W` is what its owner wakes waiters by.
#[derive(Debug)]
pub struct Set<W> {
    id: u64,
    limits: Box<[Limit]>,
    /// When the gate opens.
    gate: Time,
    closed: bool,
    granted: u64,
    /// Made by the first that has to wait.
    queue: Option<Box<Queue<W>>>,
}

/// What a call leads to: to be acted on once the set's lock is released.
#[derive(Debug)]
pub struct Events<W> {
    /// To be woken: decided.
    pub woken: SmallVec<[W; 2]>,
    /// Joint demands that this set would grant, for somebody with all the locks to try.
    pub joint: SmallVec<[Ticket; 1]>,
}

impl<W> Default for Events<W> {
    fn default() -> Self {
        Self { woken: SmallVec::new(), joint: SmallVec::new() }
    }
}

impl<W> Set<W> {
    /// A set of `limits`; a demand names them by their index. `id` tells sets of one process apart.
    #[must_use]
    pub fn new(id: u64, limits: impl Into<Box<[Limit]>>) -> Self {
        Self { id, limits: limits.into(), gate: Time::ZERO, closed: false, granted: 0, queue: None }
    }

    /// Charges all of `demand` now, or nothing.
    ///
    /// Nobody who waits is delayed by it: while others wait, only what remains after their demands are set aside can be
    /// had: resources that are free now, rates by the refills that are known.
    #[inline]
    pub fn try_acquire(&mut self, now: Time, demand: &mut Demand, order: Order, events: &mut Events<W>) -> Decision {
        let decision = self.check(now, demand, order, None, events);
        if decision == Decision::Granted {
            self.charge(now, demand);
            // It may have put off somebody less urgent, whom others can pass now on the limits it left alone.
            if self.waiting() > 0 {
                self.pump(now, events);
            }
        }
        decision
    }

    /// The short way where nobody waits, who would have to be passed or could be woken: charges all of `demand` now and
    /// says so. If it says no, [`try_acquire`](Self::try_acquire) knows why.
    #[inline]
    pub fn try_alone(&mut self, now: Time, demand: &mut Demand) -> bool {
        let room = self.is_idle(now)
            && match demand.parts_mut() {
                [only] => self.limits[usize::from(only.limit)].take(now, only),
                parts => self.take(now, parts),
            };
        self.granted += u64::from(room);
        room
    }

    /// The same for `units` of a set of one limit, which needs no memory: the mark of its charge, for
    /// [`Demand::charged`].
    #[inline]
    pub fn try_one(&mut self, now: Time, units: u64) -> Option<u64> {
        let idle = self.is_idle(now);
        let [only] = &mut *self.limits else { return None };
        let mut part = Part { limit: 0, units, mark: 0 };
        if !idle || !only.take(now, &mut part) {
            return None;
        }
        self.granted += 1;
        Some(part.mark)
    }

    /// Nobody waits, who would have to be passed or could be woken, and nothing stands in the way but the limits.
    #[inline]
    fn is_idle(&self, now: Time) -> bool {
        !self.closed && now >= self.gate && self.queue.as_ref().is_none_or(|queue| queue.waiting() == 0)
    }

    /// Charges all of them, or none. What can take a charge back as if it had never been is charged as it is asked; the
    /// others are charged once all have room.
    #[inline(never)]
    fn take(&mut self, now: Time, parts: &mut [Part]) -> bool {
        let limits = &mut self.limits;
        let mut asked = false;
        let short = parts.iter_mut().position(|part| {
            let limit = &mut limits[usize::from(part.limit)];
            if limit.can_undo() {
                return !limit.take(now, part);
            }
            asked = true;
            limit.ready(now, part.units, 0) != Ready::Now
        });
        if let Some(short) = short {
            parts[..short].iter_mut().for_each(|part| limits[usize::from(part.limit)].undo(part));
            return false;
        }
        if asked {
            for part in parts {
                let limit = &mut limits[usize::from(part.limit)];
                if !limit.can_undo() {
                    limit.charge(now, now, part);
                }
            }
        }
        true
    }

    /// What [`try_acquire`](Self::try_acquire) would answer, charging nothing.
    #[inline]
    pub fn check(
        &mut self,
        now: Time,
        demand: &Demand,
        order: Order,
        group: Option<u64>,
        events: &mut Events<W>,
    ) -> Decision {
        if self.waiting() > 0 {
            self.pump(now, events);
        }
        let ready = self.room(now, demand);
        match ready {
            Ready::Never => self.never(demand),
            _ if self.closed => Decision::Never(Refusal::Closed),
            _ if now < self.gate => wait(now, Ready::At(self.gate).and(ready)),
            Ready::Now if self.waiting() > 0 => wait(now, self.passing(now, demand, order, group)),
            _ => wait(now, ready),
        }
    }

    /// When all of `demand` has room, whoever else waits.
    #[inline]
    pub(crate) fn room(&mut self, now: Time, demand: &Demand) -> Ready {
        let limits = &mut self.limits;
        let parts = demand.parts().iter();
        parts.fold(Ready::Now, |ready, part| ready.and(limits[usize::from(part.limit)].ready(now, part.units, 0)))
    }

    /// The limit that `demand` waits for the longest, if it has to wait.
    pub fn binding(&mut self, now: Time, demand: &Demand) -> Option<Index> {
        let limits = &mut self.limits;
        let rank = |ready| match ready {
            Ready::Now => None,
            Ready::At(then) => Some((0, then)),
            Ready::OnReturn => Some((1, Time::MAX)),
            Ready::Never => Some((2, Time::MAX)),
        };
        let ranked = demand.parts().iter().filter_map(|part| {
            let ready = limits[usize::from(part.limit)].ready(now, part.units, 0);
            Some((rank(ready)?, part.limit))
        });
        ranked.max().map(|(_, limit)| limit)
    }

    /// Charges `demand`, room or not.
    #[inline]
    pub fn charge(&mut self, now: Time, demand: &mut Demand) {
        self.charge_since(now, now, demand);
    }

    /// Charges `demand`, which could have been granted since `since`.
    #[inline]
    fn charge_since(&mut self, now: Time, since: Time, demand: &mut Demand) {
        for part in demand.parts_mut() {
            self.limits[usize::from(part.limit)].charge(now, since, part);
        }
        self.granted += 1;
    }

    /// The earliest that `demand` could be granted, were every outstanding permit refunded and returned now: a deadline
    /// before that cannot be met. `outstanding` says whether there is any.
    pub fn at_best(&mut self, now: Time, demand: &Demand, outstanding: bool) -> Decision {
        let ready = match self.room(now, demand) {
            Ready::At(_) | Ready::OnReturn if outstanding => Ready::Now,
            ready => ready,
        };
        match ready {
            Ready::Never => self.never(demand),
            ready => wait(now, Ready::at(self.gate, now).and(ready)),
        }
    }

    /// Lets a demand wait. Call [`try_acquire`](Self::try_acquire) first, under the same lock.
    pub fn enqueue(&mut self, now: Time, waiter: Waiter<W>, events: &mut Events<W>) -> Ticket {
        let ticket = self.queue.get_or_insert_with(|| Box::new(Queue::new())).push(waiter);
        if self.closed {
            // Somebody who waits in several sets learns of it here.
            self.decide(ticket, Err(Some(Refusal::Closed)), events);
        }
        self.pump(now, events);
        ticket
    }

    /// The outcome of a wait, once; none while it lasts or where it was collected before.
    pub fn collect(&mut self, ticket: Ticket) -> Option<Outcome> {
        self.queue.as_mut()?.collect(ticket)
    }

    /// Whether a wait still lasts.
    #[must_use]
    pub fn is_waiting(&self, ticket: Ticket) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.is_waiting(ticket))
    }

    /// Replaces the waker of a wait that lasts.
    pub fn set_waker(&mut self, ticket: Ticket, waker: W) {
        if let Some(entry) = self.queue.as_mut().and_then(|queue| queue.get(ticket)) {
            entry.set_waker(waker);
        }
    }

    /// The waker of a wait that lasts.
    #[must_use]
    pub fn waker(&self, ticket: Ticket) -> Option<&W> {
        self.queue.as_ref()?.entry(ticket)?.waker()
    }

    /// The wakers of all that wait.
    pub fn wakers(&self) -> impl Iterator<Item = &W> {
        let waiters = self.queue.iter().flat_map(|queue| queue.waiters());
        waiters.filter_map(|(_, entry)| entry.waker())
    }

    /// Ends a wait from outside; a grant that was not collected goes back.
    pub fn cancel(&mut self, now: Time, ticket: Ticket, events: &mut Events<W>) {
        let Some(queue) = &mut self.queue else { return };
        queue.forget(ticket);
        if let Some(Outcome::Granted(grant)) = queue.collect(ticket) {
            self.undo(now, grant);
        }
        self.pump(now, events);
    }

    /// Gives a permit's resources back.
    #[inline]
    pub fn release(&mut self, now: Time, grant: &Grant, events: &mut Events<W>) {
        for part in grant.charged.parts() {
            self.limits[usize::from(part.limit)].release(now, part);
        }
        if self.waiting() > 0 {
            self.pump(now, events);
        }
    }

    /// Takes `units` of a resource back, from permits that were counted by [`Returns`](crate::Returns).
    #[inline]
    pub fn take_back(&mut self, resource: Index, units: u64) {
        self.limits[usize::from(resource)].take_back(units);
    }

    /// Takes a grant back as if it had never been, as far as the algorithms can.
    pub fn undo(&mut self, now: Time, mut grant: Grant) {
        for part in grant.charged.parts_mut() {
            let limit = &mut self.limits[usize::from(part.limit)];
            limit.settle(now, grant.at, part, 0);
            limit.release(now, part);
        }
        // A set that was read back from an image may have been told fewer.
        self.granted = self.granted.saturating_sub(1);
    }

    /// When to [`pump`](Self::pump) again if nothing happens before.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.queue.as_ref().filter(|queue| queue.waiting() > 0)?.next
    }

    /// Demands granted so far.
    #[must_use]
    pub fn granted(&self) -> u64 {
        self.granted
    }

    /// How many wait.
    #[inline]
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.waiting())
    }

    fn never(&self, demand: &Demand) -> Decision {
        Decision::Never(self.too_large(demand).unwrap_or(Refusal::Closed))
    }

    /// Why `demand` can never be granted, if a limit is too small for it.
    pub(crate) fn too_large(&self, demand: &Demand) -> Option<Refusal> {
        demand.parts().iter().find_map(|part| {
            let capacity = self.limits[usize::from(part.limit)].capacity();
            (part.units > capacity).then_some(Refusal::TooLarge { limit: part.limit, asked: part.units, capacity })
        })
    }
}

fn wait(now: Time, ready: Ready) -> Decision {
    match ready {
        Ready::Now => Decision::Granted,
        Ready::At(then) => Decision::Wait(then.since(now)),
        Ready::OnReturn | Ready::Never => Decision::Wait(Duration::MAX),
    }
}
