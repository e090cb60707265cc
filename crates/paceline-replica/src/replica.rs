//! A set as one process sees it: core's engine, brought to its state by replaying what everybody did to it.
//!
//! Every member has such a replica and applies the same operations at the same instants in the same order, so all come to
//! the same state, and each decision is core's own. Beside the set there are a row for each member, with what it holds,
//! and the outcomes of waits that their owners have not yet claimed.

#[cfg(test)]
mod claims;
mod held;
mod image;
#[cfg(test)]
mod images;
mod learn;
#[cfg(test)]
mod looks;
mod outcomes;
mod row;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use paceline::backend::{Learnt, LimitSpec};
use paceline_core::{
    Arrival, ChangeError, Decision, Events, Grant, Index, Order, Outcome, Quota, Refusal, Set, Ticket, Time, Waiter,
};

use crate::limits::Limits;
use crate::member::Member;
use crate::op::{Asked, Key, Op, Patience};
use row::Row;

/// A set as one member sees it.
#[derive(Debug)]
pub struct Replica {
    set: Set<Key>,
    now: Time,
    /// How many have ever queued.
    arrivals: u64,
    rows: BTreeMap<Member, Row>,
    tickets: HashMap<u128, Ticket>,
    unclaimed: BTreeMap<u128, (Member, Verdict)>,
    /// Grants that were taken back from owners who took no note of them; one who did all the same claims them yet.
    passed: BTreeMap<u128, (Member, Grant)>,
    decided: Vec<Key>,
    learnt: Learnt,
    /// The quotas that were stated for limits of which a member would have them counted otherwise.
    stated: BTreeMap<Index, Quota>,
}

/// What became of a wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Charged.
    Granted(Grant),
    /// Never to be granted.
    Refused(Refusal),
    /// Its time ran out.
    TooLate,
}

/// What an operation came to.
#[derive(Debug)]
pub enum Effect {
    /// Nothing to tell.
    Nothing,
    /// Charged.
    Granted(Grant),
    /// Never to be granted.
    Never(Refusal),
    /// Not to be granted while it would wait.
    TooLate,
    /// Refused for now.
    Wait(Duration),
    /// In the queue.
    Queued,
    /// What stands charged.
    Settled(Grant),
    /// A change that makes no sense here.
    Refused(ChangeError),
}

impl Replica {
    /// A set of these limits, of which nothing is used, at `now`.
    ///
    /// # Errors
    ///
    /// That a limit makes no sense.
    pub fn of(limits: &Limits, now: Time) -> Result<Self, ChangeError> {
        let specs: Vec<LimitSpec> = limits.iter().map(|(_, spec)| *spec).collect();
        let limits = specs.iter().map(|spec| spec.make(now)).collect::<Result<Vec<_>, _>>()?;
        let mut replica = Self { learnt: Learnt::new(&specs), ..Self::new(Set::new(0, limits), now) };
        replica.resize(now, &mut Events::default());
        Ok(replica)
    }

    fn new(set: Set<Key>, now: Time) -> Self {
        let (rows, unclaimed, passed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (decided, learnt, stated) = (Vec::new(), Learnt::new(&[]), BTreeMap::new());
        Self { set, now, arrivals: 0, rows, tickets: HashMap::new(), unclaimed, passed, decided, learnt, stated }
    }

    /// Whether it can be applied at all: it names only what there is. Nothing else is trusted of what is read.
    #[must_use]
    pub fn can_apply(&self, now: Time, op: &Op) -> bool {
        let limits = self.set.limits().len();
        now >= self.now
            && op.limit().is_none_or(|limit| usize::from(limit) < limits)
            && op.demands().all(|demand| self.set.has_all_of(demand))
    }

    /// Does what `op` says. Everything it leads to follows from it and the state.
    pub fn apply(&mut self, now: Time, op: &Op) -> Effect {
        self.now = now;
        let mut events = Events::default();
        let effect = self.act(now, op, &mut events);
        if !events.woken.is_empty() {
            self.collect(events);
        }
        effect
    }

    fn collect(&mut self, events: Events<Key>) {
        for key in events.woken {
            let Some(ticket) = self.tickets.remove(&key.permit) else { continue };
            let Some(outcome) = self.set.collect(ticket) else { continue };
            let verdict = match outcome {
                Outcome::Granted(grant) => {
                    self.give(key.member, &grant.charged);
                    Verdict::Granted(grant)
                }
                Outcome::Refused(refusal) => Verdict::Refused(refusal),
                Outcome::TimedOut => Verdict::TooLate,
            };
            self.unclaimed.insert(key.permit, (key.member, verdict));
            self.decided.push(key);
        }
    }

    fn act(&mut self, now: Time, op: &Op, events: &mut Events<Key>) -> Effect {
        match op {
            Op::Ask(asked) => return self.ask(now, asked, events),
            Op::Pump => self.set.pump(now, events),
            Op::Cancel(permit) => {
                self.passed.remove(permit);
                if let Some(ticket) = self.tickets.remove(permit) {
                    self.set.cancel(now, ticket, events);
                }
            }
            Op::Claim(permits) => permits.iter().for_each(|permit| self.claim(now, *permit, events)),
            Op::Release(member, grant) => {
                self.take(*member, &grant.charged);
                self.set.release(now, grant, events);
            }
            Op::End(member, grant, actual) => {
                if let Effect::Settled(grant) = self.settle(now, *member, grant.clone(), actual, events) {
                    self.take(*member, &grant.charged);
                    self.set.release(now, &grant, events);
                }
            }
            Op::Hold(member, grants) => self.hold(now, *member, grants, events),
            Op::Took(member, grants) => grants.iter().for_each(|grant| self.take_up(now, *member, grant)),
            Op::Used(limit, past) => {
                return changed(self.set.charge_past(now, *limit, past.iter().copied(), events));
            }
            Op::Undo(member, grant) => {
                self.take(*member, &grant.charged);
                self.set.undo(now, grant.clone());
                self.set.pump(now, events);
            }
            Op::Settle(member, grant, actual) => return self.settle(now, *member, grant.clone(), actual, events),
            Op::Clear(member) => self.clear(now, *member, events),
            Op::PassBy(member) => self.pass_by(now, *member, events),
            Op::Quota(limit, quota) => return changed(self.state(now, *limit, *quota, events)),
            Op::Capacity(limit, capacity) => return changed(self.restate(now, *limit, *capacity, events)),
            Op::Sync(limit, state, grant) => {
                return changed(self.set.sync(now, *limit, state, grant.as_ref(), events));
            }
            Op::Pause(pause) => {
                self.set.pause(now, *pause, events);
            }
            Op::Resume => self.set.resume(now, events),
            Op::Reset => self.set.reset(now, events),
            Op::Close => self.set.close(events),
            Op::Report(began, report) => self.report(now, *began, report, events),
            Op::Pace(member, limit, quota) => return changed(self.pace(now, *member, *limit, *quota, events)),
            Op::Unlearn => {
                self.learnt.reset();
                self.resize(now, events);
            }
        }
        Effect::Nothing
    }

    fn ask(&mut self, now: Time, asked: &Asked, events: &mut Events<Key>) -> Effect {
        let Asked { key, demand, priority, waited, patience } = asked;
        self.passed.remove(&key.permit);
        if self.waiting() == 0 {
            let mut charged = demand.clone();
            if self.set.try_alone(now, &mut charged) {
                self.give(key.member, &charged);
                return Effect::Granted(Grant { at: now, charged });
            }
        } else if self.tickets.contains_key(&key.permit) {
            return Effect::Queued;
        }
        let at = Time::from_nanos(now.as_nanos().saturating_sub(nanos(*waited)));
        // Counted once it queues: a refusal is no state.
        let number = self.arrivals.wrapping_add(1);
        let order = Order::new(Arrival { at, number }, *priority);
        let mut demand = demand.clone();
        let wait = match self.set.try_acquire(now, &mut demand, order, events) {
            Decision::Granted => {
                self.give(key.member, &demand);
                return Effect::Granted(Grant { at: now, charged: demand });
            }
            Decision::Never(refusal) => return Effect::Never(refusal),
            Decision::Wait(wait) => wait,
        };
        let deadline = match patience {
            Patience::None => return Effect::Wait(wait),
            Patience::Endless => None,
            Patience::Within(within) => {
                let outstanding = self.rows.values().any(|row| row.active > 0);
                let at_best = self.set.at_best(now, &demand, outstanding);
                if matches!(at_best, Decision::Wait(wait) if wait > *within) {
                    return Effect::TooLate;
                }
                Some(now + *within)
            }
        };
        let waiter = Waiter { demand, order, deadline, party: None, waker: Some(*key) };
        self.arrivals = number;
        let ticket = self.set.enqueue(now, waiter, events);
        self.tickets.insert(key.permit, ticket);
        Effect::Queued
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn changed(result: Result<(), ChangeError>) -> Effect {
    result.map_or_else(Effect::Refused, |()| Effect::Nothing)
}
