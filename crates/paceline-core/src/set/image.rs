//! A set as words, with those who wait. Sets that take part in joint or pooled waits have no image: what those wait for
//! lies elsewhere.

use super::Set;
use crate::demand::{Demand, Grant, Index};
use crate::image::{Image, Words};
use crate::limit::Limit;
use crate::order::Order;
use crate::queue::{Queue, Ticket, Waiter};
use crate::time::Time;

impl<W> Set<W> {
    /// Those who wait and what they are woken by, in no particular order.
    pub fn waiters(&self) -> impl Iterator<Item = (Ticket, &W)> {
        let waiters = self.queue.iter().flat_map(|queue| queue.waiters());
        waiters.filter_map(|(ticket, entry)| Some((ticket, entry.waker()?)))
    }

    /// What the first in order of those who wait is woken by.
    #[must_use]
    pub fn first(&self) -> Option<&W> {
        let queue = self.queue.as_ref()?;
        let first = queue.heads().into_iter().next()?;
        queue.entry(first)?.waker()
    }

    /// Whether a demand names only limits that this set has.
    #[must_use]
    pub fn has_all_of(&self, demand: &Demand) -> bool {
        demand.parts().iter().all(|part| usize::from(part.limit) < self.limits.len())
    }

    /// What stands for permits whose owner is gone, of which only the sums are known: to be [released](Self::release).
    pub fn grant_of(&self, now: Time, sums: impl IntoIterator<Item = (Index, u64)>) -> Grant {
        let mut charged: Demand = sums.into_iter().collect();
        for part in charged.parts_mut() {
            part.mark = self.limits.get(usize::from(part.limit)).map_or(0, Limit::latest_mark);
        }
        Grant { at: now, charged }
    }
}

impl<W: Image> Image for Set<W> {
    fn write(&self, out: &mut Vec<u64>) {
        self.gate.write(out);
        self.closed.write(out);
        self.granted.write(out);
        out.push(self.limits.len() as u64);
        self.limits.iter().for_each(|limit| limit.write(out));
        out.push(self.waiting() as u64);
        for (_, entry) in self.queue.iter().flat_map(|queue| queue.waiters()) {
            entry.order.write(out);
            entry.deadline.write(out);
            entry.demand.write(out);
            // Of the waiters that an image can hold, none is without.
            entry.waker().iter().for_each(|waker| waker.write(out));
        }
        self.next().write(out);
    }

    fn read(words: &mut Words<'_>) -> Option<Self> {
        let (gate, closed) = (Time::read(words)?, bool::read(words)?);
        let granted = words.word().filter(|granted| *granted <= i64::MAX as u64)?;
        let limits = (0..words.count()?).map(|_| Limit::read(words)).collect::<Option<Vec<_>>>()?;
        let mut set = Self { gate, closed, granted, ..Self::new(0, limits) };
        let waiting = words.count()?;
        let mut queue = Queue::new();
        for _ in 0..waiting {
            let (order, deadline) = (Order::read(words)?, Time::read(words)?);
            let demand = Demand::read(words).filter(|demand| set.has_all_of(demand))?;
            let (deadline, waker) = (Some(deadline), Some(W::read(words)?));
            queue.push(Waiter { demand, order, deadline, party: None, waker });
        }
        queue.next = Option::read(words)?;
        set.queue = (waiting > 0).then(|| Box::new(queue));
        Some(set)
    }
}
