//! Permits that are charged before somebody here asks for them, so that one can be had without waiting for the store.
//!
//! They are of the demands that were made last, asked for in blocks and as tries, which take no place in the queue and pass
//! nobody. There is one where nobody waits: whoever begins to, in whatever process, has all of it given back. A permit
//! lies here for a while at most, reckoned from before it was charged, and goes back as if it had never been.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use paceline::Priority;
use paceline::backend::{Answer, Ask, BackendError};
use paceline_core::{Decision, Demand, Grant};
use paceline_replica::{Asked, Key, Member, Op, Patience};

use super::batch::Todo;
use super::own::Permit;
use super::state::State;
use crate::error::Error;
use crate::options::Options;

/// How many demands are told from one another.
const SHAPES: usize = 4;

#[derive(Debug)]
pub(super) struct Stock {
    most: usize,
    hold: Duration,
    /// The latest demand first.
    shelves: Vec<Shelf>,
    /// How many there have been.
    made: u64,
}

/// Permits of one demand.
#[derive(Debug)]
struct Shelf {
    number: u64,
    demand: Demand,
    /// The oldest first, each with an instant before it was charged.
    ready: VecDeque<(Grant, Instant)>,
    /// How many are being asked for.
    coming: usize,
    /// How many it is to have: fewer where they are not used in time, more where there were too few.
    wanted: usize,
    /// Somebody found none since the last came.
    missed: bool,
}

impl Stock {
    pub(super) fn new(options: &Options) -> Self {
        Self { most: options.prefetch, hold: options.hold, shelves: Vec::new(), made: 0 }
    }

    /// A permit that is young enough.
    fn take(&mut self, demand: &Demand, now: Instant) -> Option<Grant> {
        let hold = self.hold;
        let shelf = self.shelves.iter_mut().find(|shelf| shelf.demand == *demand)?;
        let at = shelf.ready.iter().position(|(_, since)| *since + hold > now)?;
        shelf.ready.remove(at).map(|(grant, _)| grant)
    }

    /// Puts the shelf of a demand before the others; whether there was one.
    fn know(&mut self, demand: &Demand) -> bool {
        let at = self.shelves.iter().position(|shelf| shelf.demand == *demand);
        let shelf = at.map(|at| self.shelves.remove(at));
        let shelf = shelf.unwrap_or_else(|| {
            self.made += 1;
            Shelf::new(self.made, demand.clone(), self.most)
        });
        self.shelves.insert(0, shelf);
        let mut place = 0;
        self.shelves.retain(|shelf| {
            place += 1;
            place <= SHAPES || shelf.len() > 0
        });
        at.is_some()
    }

    /// How many more of a demand to ask for now, and for which shelf.
    fn order(&mut self, demand: &Demand, missed: bool) -> (usize, u64) {
        self.know(demand);
        let room = self.most.saturating_sub(self.shelves.iter().map(Shelf::len).sum());
        let Some(shelf) = self.shelves.first_mut() else { return (0, 0) };
        let have = shelf.len();
        if missed && !std::mem::replace(&mut shelf.missed, true) {
            shelf.wanted = (2 * shelf.wanted).min(self.most);
        }
        let missing = if 2 * have <= shelf.wanted { (shelf.wanted - have).min(room) } else { 0 };
        shelf.coming += missing;
        (missing, shelf.number)
    }

    fn shelf(&mut self, number: u64) -> Option<&mut Shelf> {
        self.shelves.iter_mut().find(|shelf| shelf.number == number)
    }

    /// One more, asked for at once and without a place in the queue; none where somebody waits.
    pub(super) fn ask(&mut self, member: Member, number: u64, is_waited_for: bool) -> Option<Op> {
        let shelf = self.shelf(number)?;
        if is_waited_for {
            shelf.coming = shelf.coming.saturating_sub(1);
            return None;
        }
        let demand = shelf.demand.clone();
        let key = Key { member, permit: rand::random() };
        let (priority, waited, patience) = (Priority::Normal, Duration::ZERO, Patience::None);
        Some(Op::Ask(Asked { key, demand, priority, waited, patience }))
    }

    /// One was granted or refused, after `since`. What there is no place for comes back.
    pub(super) fn came(&mut self, number: u64, grant: Option<Grant>, since: Instant) -> Option<Grant> {
        let Some(shelf) = self.shelf(number) else { return grant };
        shelf.coming = shelf.coming.saturating_sub(1);
        shelf.missed = false;
        match grant {
            Some(grant) => shelf.ready.push_back((grant, since)),
            // What there was room for is enough, until that is used.
            None => shelf.wanted = (shelf.wanted - 1).max(1),
        }
        None
    }

    /// Forgets all of it: it was lost with the lease.
    pub(super) fn lose(&mut self) {
        self.shelves.clear();
    }

    /// When the next is to go back.
    pub(super) fn next(&self) -> Option<Instant> {
        let oldest = self.shelves.iter().filter_map(|shelf| shelf.ready.front());
        oldest.map(|(_, since)| *since + self.hold).min()
    }

    /// What has lain here too long.
    fn stale(&mut self, now: Instant) -> Vec<Grant> {
        let mut stale = Vec::new();
        for shelf in &mut self.shelves {
            let before = stale.len();
            while shelf.ready.front().is_some_and(|(_, since)| *since + self.hold <= now) {
                stale.extend(shelf.ready.pop_front().map(|(grant, _)| grant));
            }
            if stale.len() > before {
                shelf.wanted = shelf.wanted.div_ceil(2);
            }
        }
        stale
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shelves.iter().all(|shelf| shelf.ready.is_empty())
    }

    pub(super) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.shelves.iter().flat_map(|shelf| &shelf.ready).map(|(grant, _)| grant)
    }

    pub(super) fn all(&mut self) -> Vec<Grant> {
        self.shelves.iter_mut().flat_map(|shelf| shelf.ready.drain(..)).map(|(grant, _)| grant).collect()
    }
}

impl Shelf {
    fn new(number: u64, demand: Demand, wanted: usize) -> Self {
        Self { number, demand, ready: VecDeque::new(), coming: 0, wanted, missed: false }
    }

    fn len(&self) -> usize {
        self.ready.len() + self.coming
    }
}

impl State {
    pub(crate) fn try_now(&mut self, ask: &Ask, now: Instant) -> Result<Answer, BackendError> {
        self.is_kept()?;
        if self.stock.most == 0 {
            return Err(Error::NotAhead { set: self.name.to_string() }.into());
        }
        if let Some(answer) = self.try_alone(ask, now) {
            return Ok(answer);
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|trouble| trouble.lasts(now, self.response)) {
            return Err(trouble.error.clone());
        }
        if self.take(ask, now, true) {
            return Ok(Answer::Granted);
        }
        let outlook = self.seen.as_mut().map(|seen| {
            let now = seen.now(now);
            seen.replica.outlook(now, &ask.demand)
        });
        if let Some(Decision::Never(refusal)) = outlook {
            return Ok(Answer::Never(refusal));
        }
        self.restock(&ask.demand, true);
        // What has room is there after a round trip.
        Ok(Answer::Wait(match outlook {
            Some(Decision::Wait(wait)) => wait,
            _ => Duration::from_millis(1),
        }))
    }

    /// Serves a demand that would wait, unless others do.
    pub(super) fn serve(&mut self, ask: &Ask, now: Instant) -> bool {
        !self.stock.is_empty()
            && self.grace.is_none()
            && !self.is_waited_for()
            && !self.waits()
            && self.take(ask, now, false)
    }

    /// A demand that would wait is made: there may be more like it.
    pub(super) fn foresee(&mut self, demand: &Demand) {
        // One alone would save nobody a round trip.
        if self.stock.most > 1 && self.stock.know(demand) {
            self.restock(demand, true);
        }
    }

    fn take(&mut self, ask: &Ask, now: Instant, told: bool) -> bool {
        let Some(grant) = self.stock.take(&ask.demand, now) else { return false };
        self.permits.insert(ask.permit.0, Permit::held(grant, told));
        self.restock(&ask.demand, false);
        true
    }

    fn restock(&mut self, demand: &Demand, missed: bool) {
        // After an outage the store is asked for what this client's share has room for, and no more.
        if self.is_waited_for() || self.grace.is_some() {
            return;
        }
        let (missing, shelf) = self.stock.order(demand, missed);
        for _ in 0..missing {
            self.later(Todo::Stock(shelf));
        }
    }

    /// Whether anybody waits, in whatever process, as far as it is known here.
    pub(super) fn is_waited_for(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.replica.waiting() > 0)
    }

    /// Gives back what nobody took in time, or all of it to those who wait.
    pub(super) fn clear_stock(&mut self, now: Instant) {
        let back = if self.is_waited_for() { self.stock.all() } else { self.stock.stale(now) };
        for grant in back {
            self.later(Todo::Undo(grant));
        }
    }
}
