//! The waiting order as a data structure: no clock, no lock, no limits.
//!
//! Waiters with the same set of limits form a *line*; within a line nobody passes anybody. All lines share one
//! [`Order`], so their heads can be compared. Joint demands keep lines of their own, a line a group, since what holds
//! them may lie outside this set. What a head may do is decided in [`set`](crate::Set); this only keeps places.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use slab::Slab;
use smallvec::SmallVec;

use crate::claim::Claim;
use crate::decision::Refusal;
use crate::demand::{Demand, Grant, Index};
use crate::order::Order;
use crate::time::Time;

/// A place in a queue, for its owner to ask after. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    slot: u32,
    order: Order,
}

/// A demand about to wait.
#[derive(Debug)]
pub struct Waiter<W> {
    /// What it asks for.
    pub demand: Demand,
    /// Its place.
    pub order: Order,
    /// When it gives up, if ever.
    pub deadline: Option<Time>,
    /// How other sets take part, if they do.
    pub party: Option<Box<Party>>,
    /// Handed back when it is decided.
    pub waker: Option<W>,
}

/// How other sets take part in a wait.
#[derive(Clone, Debug)]
pub enum Party {
    /// It waits in several sets and any one of them may grant it.
    AnyOf {
        /// Taken before it is charged.
        claim: Arc<Claim>,
        /// This set's number among them.
        member: u32,
    },
    /// It needs several sets at once, which only somebody who holds all their locks can decide.
    AllOf {
        /// Which sets together.
        group: u64,
        /// The set that was not ready when all were last asked.
        held_by: Option<u64>,
    },
}

/// How a wait ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Granted and charged.
    Granted(Grant),
    /// Never to be granted.
    Refused(Refusal),
    /// Not granted in time.
    TimedOut,
}

#[derive(Debug)]
pub(crate) struct Entry<W> {
    pub(crate) demand: Demand,
    pub(crate) order: Order,
    pub(crate) deadline: Time,
    pub(crate) party: Option<Box<Party>>,
    state: State<W>,
}

#[derive(Debug)]
enum State<W> {
    Waiting(Option<W>),
    Granted(Time),
    Refused(Box<Refusal>),
    TimedOut,
}

impl<W> Entry<W> {
    fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// The waker of a wait that lasts.
    pub(crate) fn waker(&self) -> Option<&W> {
        match &self.state {
            State::Waiting(waker) => waker.as_ref(),
            _ => None,
        }
    }

    pub(crate) fn set_waker(&mut self, new: W) {
        if let State::Waiting(waker) = &mut self.state {
            *waker = Some(new);
        }
    }
}

type Shape = SmallVec<[Index; 6]>;

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) shape: Shape,
    pub(crate) group: Option<u64>,
    places: BTreeMap<Order, u32>,
}

#[derive(Debug)]
pub(crate) struct Queue<W> {
    entries: Slab<Entry<W>>,
    lines: Vec<Line>,
    deadlines: BTreeSet<(Time, Order, u32)>,
    waiting: usize,
    /// When the set has to look again, if nothing happens before.
    pub(crate) next: Option<Time>,
}

impl Ticket {
    pub(crate) fn slot(self) -> u32 {
        self.slot
    }
}

impl Party {
    fn group(&self) -> Option<u64> {
        match self {
            Self::AnyOf { .. } => None,
            Self::AllOf { group, .. } => Some(*group),
        }
    }
}

impl Line {
    pub(crate) fn is_for(&self, demand: &Demand, group: Option<u64>) -> bool {
        self.group == group && self.shape.iter().copied().eq(demand.parts().iter().map(|p| p.limit))
    }

    pub(crate) fn shares(&self, demand: &Demand) -> bool {
        self.shape.iter().any(|limit| demand.units(*limit).is_some())
    }

    pub(crate) fn first(&self) -> Option<u32> {
        self.places.first_key_value().map(|(_, slot)| *slot)
    }

    /// Those of this line that stand before `order`, in order.
    pub(crate) fn before(&self, order: Order) -> impl Iterator<Item = (Order, u32)> + '_ {
        self.places.range(..order).map(|(order, slot)| (*order, *slot))
    }
}

impl<W> Queue<W> {
    pub(crate) fn new() -> Self {
        Self { entries: Slab::new(), lines: Vec::new(), deadlines: BTreeSet::new(), waiting: 0, next: None }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(crate) fn push(&mut self, waiter: Waiter<W>) -> Ticket {
        let Waiter { demand, mut order, deadline, party, waker } = waiter;
        let deadline = deadline.unwrap_or(Time::MAX);
        let group = party.as_deref().and_then(Party::group);
        let line = self.lines.iter().position(|line| line.is_for(&demand, group));
        let line = line.unwrap_or_else(|| {
            let shape = demand.parts().iter().map(|p| p.limit).collect();
            self.lines.push(Line { shape, group, places: BTreeMap::new() });
            self.lines.len() - 1
        });
        while self.lines[line].places.contains_key(&order) {
            order = order.next();
        }
        let entry = Entry { demand, order, deadline, party, state: State::Waiting(waker) };
        let slot = u32::try_from(self.entries.insert(entry)).expect("fewer than 2^32 waiters");
        self.lines[line].places.insert(order, slot);
        if deadline < Time::MAX {
            self.deadlines.insert((deadline, order, slot));
        }
        self.waiting += 1;
        Ticket { slot, order }
    }

    /// The head of each line, first arrived first.
    pub(crate) fn heads(&self) -> SmallVec<[Ticket; 4]> {
        let heads = self.lines.iter().filter_map(|line| line.places.first_key_value());
        let mut heads: SmallVec<[_; 4]> = heads.map(|(order, slot)| Ticket { slot: *slot, order: *order }).collect();
        heads.sort_unstable_by_key(|ticket| ticket.order);
        heads
    }

    pub(crate) fn waiters(&self) -> impl Iterator<Item = (Ticket, &Entry<W>)> {
        let waiting = self.entries.iter().filter(|(_, entry)| entry.is_waiting());
        waiting.map(|(slot, entry)| (Ticket { slot: slot as u32, order: entry.order }, entry))
    }

    pub(crate) fn at(&self, slot: u32) -> &Entry<W> {
        &self.entries[slot as usize]
    }

    pub(crate) fn get(&mut self, ticket: Ticket) -> Option<&mut Entry<W>> {
        self.entries.get_mut(ticket.slot as usize).filter(|entry| entry.order == ticket.order)
    }

    pub(crate) fn entry(&self, ticket: Ticket) -> Option<&Entry<W>> {
        self.entries.get(ticket.slot as usize).filter(|entry| entry.order == ticket.order)
    }

    pub(crate) fn is_waiting(&self, ticket: Ticket) -> bool {
        self.entry(ticket).is_some_and(Entry::is_waiting)
    }

    pub(crate) fn first_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(time, ..)| *time)
    }

    /// Somebody whose deadline has come.
    pub(crate) fn overdue(&self, now: Time) -> Option<Ticket> {
        let (deadline, order, slot) = *self.deadlines.first()?;
        (deadline <= now).then_some(Ticket { slot, order })
    }

    /// Ends a wait; its owner still has to collect it.
    pub(crate) fn decide(&mut self, ticket: Ticket, outcome: Result<Time, Option<Refusal>>) -> Option<W> {
        self.unlink(ticket);
        let entry = self.get(ticket)?;
        let decided = match outcome {
            Ok(at) => State::Granted(at),
            Err(Some(refusal)) => State::Refused(Box::new(refusal)),
            Err(None) => State::TimedOut,
        };
        match std::mem::replace(&mut entry.state, decided) {
            State::Waiting(waker) => waker,
            _ => None,
        }
    }

    /// Takes a decided wait out.
    pub(crate) fn collect(&mut self, ticket: Ticket) -> Option<Outcome> {
        if self.is_waiting(ticket) {
            return None;
        }
        self.get(ticket)?;
        let entry = self.entries.remove(ticket.slot as usize);
        Some(match entry.state {
            State::Granted(at) => Outcome::Granted(Grant { at, charged: entry.demand }),
            State::Refused(refusal) => Outcome::Refused(*refusal),
            State::TimedOut | State::Waiting(_) => Outcome::TimedOut,
        })
    }

    /// Forgets a wait that is not decided.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        if self.is_waiting(ticket) {
            self.unlink(ticket);
            self.entries.remove(ticket.slot as usize);
        }
    }

    fn unlink(&mut self, ticket: Ticket) {
        if !self.is_waiting(ticket) {
            return;
        }
        let entry = &self.entries[ticket.slot as usize];
        let group = entry.party.as_deref().and_then(Party::group);
        if let Some(at) = self.lines.iter().position(|line| line.is_for(&entry.demand, group)) {
            self.lines[at].places.remove(&ticket.order);
            if self.lines[at].places.is_empty() {
                self.lines.swap_remove(at);
            }
        }
        if entry.deadline < Time::MAX {
            self.deadlines.remove(&(entry.deadline, ticket.order, ticket.slot));
        }
        self.waiting -= 1;
    }
}
