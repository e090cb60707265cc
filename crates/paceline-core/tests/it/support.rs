//! Short words for the tests.

use std::time::Duration;

use paceline_core::{
    Arrival, Decision, Demand, Events, Grant, Index, Limit, Order, Outcome, Party, Priority, Quota, Set, Ticket, Time,
    Waiter,
};

pub(crate) type Woken = Events<u64>;

pub(crate) const fn at(nanos: u64) -> Time {
    Time::from_nanos(nanos)
}

pub(crate) const fn secs(secs: u64) -> Time {
    Time::from_nanos(secs * 1_000_000_000)
}

pub(crate) const fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

pub(crate) fn demand<const N: usize>(parts: [(Index, u64); N]) -> Demand {
    parts.into_iter().collect()
}

/// A set with a clock of its own and arrivals that number themselves; each waiter's waker is its arrival number.
pub(crate) struct Bench {
    pub(crate) set: Set<u64>,
    pub(crate) now: Time,
    pub(crate) arrivals: u64,
    /// Whoever was woken, in order.
    pub(crate) woken: Vec<u64>,
    pub(crate) events: Woken,
}

impl Bench {
    pub(crate) fn new(limits: Vec<Limit>) -> Self {
        let set = Set::new(1, limits);
        Self { set, now: Time::ZERO, arrivals: 0, woken: Vec::new(), events: Events::default() }
    }

    pub(crate) fn rate(quota: Quota) -> Limit {
        Limit::rate(quota, Time::ZERO).expect("a good quota")
    }

    pub(crate) fn resource(capacity: u64) -> Limit {
        Limit::resource(capacity).expect("a good capacity")
    }

    pub(crate) fn order(&mut self, priority: Priority) -> Order {
        self.arrivals += 1;
        Order::new(Arrival { at: self.now, number: self.arrivals }, priority)
    }

    pub(crate) fn settle_events(&mut self) {
        self.woken.extend(self.events.woken.drain(..));
    }

    /// `try_acquire`; the grant is made up as its owner would.
    pub(crate) fn attempt<const N: usize>(&mut self, parts: [(Index, u64); N]) -> Result<Grant, Decision> {
        self.attempt_as(Priority::Normal, parts)
    }

    pub(crate) fn attempt_as<const N: usize>(
        &mut self,
        priority: Priority,
        parts: [(Index, u64); N],
    ) -> Result<Grant, Decision> {
        let order = self.order(priority);
        let mut demand = demand(parts);
        // The short way, every other time: it says yes just where the long one would with nobody waiting.
        // At the end of time, which is never reached, every wait is over.
        let short = self.arrivals % 2 == 0 && self.set.waiting() == 0 && self.now < Time::MAX;
        if short && self.set.try_alone(self.now, &mut demand) {
            return Ok(Grant { at: self.now, charged: demand });
        }
        let decision = self.set.try_acquire(self.now, &mut demand, order, &mut self.events);
        self.settle_events();
        assert!(!short || decision != Decision::Granted, "the short way found no room");
        match decision {
            Decision::Granted => Ok(Grant { at: self.now, charged: demand }),
            other => Err(other),
        }
    }

    /// Grants that have to succeed.
    pub(crate) fn take<const N: usize>(&mut self, parts: [(Index, u64); N]) -> Grant {
        self.attempt(parts).expect("there is room")
    }

    pub(crate) fn enqueue<const N: usize>(&mut self, parts: [(Index, u64); N]) -> Ticket {
        self.enqueue_as(Priority::Normal, parts)
    }

    pub(crate) fn enqueue_as<const N: usize>(&mut self, priority: Priority, parts: [(Index, u64); N]) -> Ticket {
        self.enqueue_with(priority, demand(parts), None, None)
    }

    pub(crate) fn enqueue_with(
        &mut self,
        priority: Priority,
        demand: Demand,
        deadline: Option<Time>,
        party: Option<Party>,
    ) -> Ticket {
        let order = self.order(priority);
        let waker = Some(self.arrivals);
        let waiter = Waiter { demand, order, deadline, party: party.map(Box::new), waker };
        let ticket = self.set.enqueue(self.now, waiter, &mut self.events);
        self.settle_events();
        ticket
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        self.set.cancel(self.now, ticket, &mut self.events);
        self.settle_events();
    }

    pub(crate) fn release(&mut self, grant: &Grant) {
        self.set.release(self.now, grant, &mut self.events);
        self.settle_events();
    }

    pub(crate) fn settle(&mut self, grant: &mut Grant, limit: Index, actual: u64) {
        self.set.settle(self.now, grant, limit, actual, &mut self.events);
        self.settle_events();
    }

    pub(crate) fn pump(&mut self) {
        self.set.pump(self.now, &mut self.events);
        self.settle_events();
    }

    /// Lets time pass, pumping whenever the set asks for it.
    pub(crate) fn run_to(&mut self, end: Time) {
        while let Some(next) = self.set.next().filter(|next| *next <= end) {
            assert!(next > self.now, "the set asks to be pumped in the past");
            self.now = next;
            self.pump();
        }
        self.now = end;
    }

    pub(crate) fn granted(&mut self, ticket: Ticket) -> Option<Grant> {
        match self.set.collect(ticket)? {
            Outcome::Granted(grant) => Some(grant),
            other => panic!("expected a grant, got {other:?}"),
        }
    }

    pub(crate) fn used(&mut self, limit: Index) -> u64 {
        self.set.view(self.now).limits[usize::from(limit)].used
    }

    pub(crate) fn available(&mut self, limit: Index) -> u64 {
        self.set.view(self.now).limits[usize::from(limit)].available
    }
}
