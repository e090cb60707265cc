//! What is kept here while the store is away.

mod used;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use paceline_core::{Decision, Demand, Events, Grant, Index, Order, Outcome, Set, Ticket, Time, Waiter};

pub(super) use used::Used;

/// Since the store is away.
#[derive(Debug)]
pub(super) struct Away {
    /// What this client keeps alone; none where nothing was ever heard of the set.
    pub(super) share: Option<Share>,
    /// What was used meanwhile of each limit that is a rate.
    pub(super) used: Vec<Used>,
    /// It is back, and the next batch tells what was done meanwhile.
    pub(super) over: bool,
}

/// A permit that the store was not asked for.
#[derive(Debug)]
pub(super) struct Alone {
    pub(super) demand: Demand,
    /// What it was charged here.
    pub(super) kept: Grant,
    pub(super) since: Instant,
    pub(super) told: bool,
}

/// This client's share of the set, and those who wait for some of it.
#[derive(Debug)]
pub(super) struct Share {
    set: Set<u128>,
    tickets: HashMap<u128, Ticket>,
    events: Events<u128>,
}

/// What becomes of a demand.
#[derive(Debug)]
pub(super) enum Kept {
    Granted(Grant),
    /// In the queue here, for so long at least.
    Waits(Duration),
    /// More than the share ever has, or closed.
    Never,
}

impl Share {
    pub(super) fn new(set: Set<u128>) -> Self {
        Self { set, tickets: HashMap::new(), events: Events::default() }
    }

    pub(super) fn try_now(&mut self, now: Time, mut demand: Demand, order: Order) -> Kept {
        match self.set.try_acquire(now, &mut demand, order, &mut self.events) {
            Decision::Granted => Kept::Granted(Grant { at: now, charged: demand }),
            Decision::Wait(wait) => Kept::Waits(wait),
            Decision::Never(_) => Kept::Never,
        }
    }

    pub(super) fn ask(&mut self, now: Time, permit: u128, demand: Demand, order: Order) -> Kept {
        let kept = self.try_now(now, demand.clone(), order);
        if matches!(kept, Kept::Waits(_)) {
            let waiter = Waiter { demand, order, deadline: None, party: None, waker: Some(permit) };
            let ticket = self.set.enqueue(now, waiter, &mut self.events);
            self.tickets.insert(permit, ticket);
        }
        kept
    }

    pub(super) fn cancel(&mut self, now: Time, permit: u128) {
        if let Some(ticket) = self.tickets.remove(&permit) {
            self.set.cancel(now, ticket, &mut self.events);
        }
    }

    /// Nobody waits here any more.
    pub(super) fn cancel_all(&mut self, now: Time) {
        for (_, ticket) in self.tickets.drain() {
            self.set.cancel(now, ticket, &mut self.events);
        }
        self.events = Events::default();
    }

    pub(super) fn release(&mut self, now: Time, grant: &Grant) {
        self.set.release(now, grant, &mut self.events);
    }

    pub(super) fn undo(&mut self, now: Time, grant: Grant) {
        self.set.undo(now, grant);
        self.set.pump(now, &mut self.events);
    }

    pub(super) fn settle(&mut self, now: Time, grant: &mut Grant, limit: Index, actual: u64) {
        self.set.settle(now, grant, limit, actual, &mut self.events);
    }

    pub(super) fn pause(&mut self, now: Time, pause: Duration) {
        self.set.pause(now, pause, &mut self.events);
    }

    pub(super) fn resume(&mut self, now: Time) {
        self.set.resume(now, &mut self.events);
    }

    pub(super) fn close(&mut self) {
        self.set.close(&mut self.events);
    }

    pub(super) fn is_closed(&mut self, now: Time) -> bool {
        self.set.view(now).closed
    }

    /// Those whose waits have ended by what was done last, or by time, in order.
    pub(super) fn granted(&mut self, now: Time) -> Vec<(u128, Grant)> {
        self.set.pump(now, &mut self.events);
        let woken = std::mem::take(&mut self.events).woken;
        let ended = woken.into_iter().filter_map(|permit| {
            let ticket = self.tickets.remove(&permit)?;
            match self.set.collect(ticket)? {
                Outcome::Granted(grant) => Some((permit, grant)),
                Outcome::Refused(_) | Outcome::TimedOut => None,
            }
        });
        ended.collect()
    }

    /// When time alone grants something.
    pub(super) fn next(&self) -> Option<Time> {
        self.set.next()
    }
}
