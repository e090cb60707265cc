//! One set in memory: core's engine under a lock, with permits by their ids.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use paceline::Time;
use paceline::backend::{Answer, Ask, BackendError, Change, Learnt, LimitSpec, PermitId, Report, Standing};
use paceline_core::{
    Arrival, ChangeError, Decision, Demand, Events, Grant, Index, Order, Outcome, Quota, Set, Ticket, Verdict, Waiter,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Line;

/// How long an asker is kept before it is told to ask again: what a hint that gets lost costs.
pub(super) const HINT: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Shelf {
    limits: Vec<(Arc<str>, LimitSpec)>,
    state: Mutex<State>,
    pub(super) changed: Notify,
    pub(super) line: Arc<Line>,
}

#[derive(Debug)]
pub(super) struct State {
    set: Set<()>,
    permits: HashMap<PermitId, Permit>,
    arrivals: u64,
    learnt: Learnt,
    /// The quotas that were stated, and how carefully members would have them counted.
    stated: BTreeMap<Index, Quota>,
    words: BTreeMap<(Index, u64), Quota>,
    members: u64,
}

#[derive(Debug)]
enum Permit {
    Waiting(Ticket),
    Held { grant: Grant, told: bool },
}

impl Shelf {
    pub(super) fn new(limits: &[(Arc<str>, LimitSpec)], line: Arc<Line>) -> Result<Self, BackendError> {
        let now = line.clock.now();
        let specs: Vec<LimitSpec> = limits.iter().map(|(_, spec)| *spec).collect();
        let made: Result<Vec<_>, _> = specs.iter().map(|spec| spec.make(now)).collect();
        let made = made.map_err(|error| BackendError { message: error.to_string(), retryable: false })?;
        let stated = made.iter().zip(0..).filter_map(|(limit, at)| Some((at, *limit.quota()?))).collect();
        let (set, learnt, words) = (Set::new(0, made), Learnt::new(&specs), BTreeMap::new());
        let mut state = State { set, permits: HashMap::new(), arrivals: 0, learnt, stated, words, members: 0 };
        state.resize(now);
        Ok(Self { limits: limits.to_vec(), state: Mutex::new(state), changed: Notify::new(), line })
    }

    pub(super) fn limits(&self) -> &[(Arc<str>, LimitSpec)] {
        &self.limits
    }

    pub(super) fn held(&self) -> usize {
        self.state.lock().held()
    }

    /// One step; what it gives room to is a reason for everybody to look again.
    pub(super) fn step<R>(&self, call: impl FnOnce(&mut State, Time) -> R) -> R {
        let result = self.look(call);
        self.changed.notify_waiters();
        result
    }

    /// The same for what gives no room.
    pub(super) fn look<R>(&self, call: impl FnOnce(&mut State, Time) -> R) -> R {
        call(&mut self.state.lock(), self.line.clock.now())
    }

    pub(super) fn ask(&self, ask: &Ask) -> Answer {
        self.state.lock().ask(self.line.clock.now(), ask)
    }
}

impl State {
    fn held(&self) -> usize {
        self.permits.values().filter(|permit| matches!(permit, Permit::Held { .. })).count()
    }

    /// One step of a wait: idempotent by the permit's id.
    fn ask(&mut self, now: Time, ask: &Ask) -> Answer {
        let mut events = Events::default();
        self.set.pump(now, &mut events);
        match self.permits.get(&ask.permit) {
            Some(Permit::Held { .. }) => Answer::Granted,
            Some(Permit::Waiting(ticket)) => {
                let ticket = *ticket;
                self.continue_waiting(now, ask.permit, ticket)
            }
            None => self.begin(now, ask, &mut events),
        }
    }

    fn begin(&mut self, now: Time, ask: &Ask, events: &mut Events<()>) -> Answer {
        self.arrivals += 1;
        let at = Time::from_nanos(now.as_nanos().saturating_sub(ask.waited.as_nanos() as u64));
        let order = Order::new(Arrival { at, number: self.arrivals }, ask.priority);
        let mut demand = ask.demand.clone();
        match self.set.try_acquire(now, &mut demand, order, events) {
            Decision::Granted => {
                let grant = Grant { at: now, charged: demand };
                self.permits.insert(ask.permit, Permit::Held { grant, told: false });
                Answer::Granted
            }
            Decision::Never(refusal) => Answer::Never(refusal),
            Decision::Wait(_) => {
                let outstanding = self.held() > 0;
                let at_best = self.set.at_best(now, &demand, outstanding);
                if ask.within.is_some_and(|within| matches!(at_best, Decision::Wait(wait) if wait > within)) {
                    return Answer::TooLate;
                }
                let waiter = Waiter { demand, order, deadline: None, party: None, waker: Some(()) };
                let ticket = self.set.enqueue(now, waiter, events);
                self.permits.insert(ask.permit, Permit::Waiting(ticket));
                self.continue_waiting(now, ask.permit, ticket)
            }
        }
    }

    fn continue_waiting(&mut self, now: Time, permit: PermitId, ticket: Ticket) -> Answer {
        match self.set.collect(ticket) {
            Some(Outcome::Granted(grant)) => {
                self.permits.insert(permit, Permit::Held { grant, told: false });
                Answer::Granted
            }
            Some(Outcome::Refused(refusal)) => {
                self.permits.remove(&permit);
                Answer::Never(refusal)
            }
            Some(Outcome::TimedOut) | None => Answer::Wait(self.set.next().map_or(HINT, |next| next.since(now))),
        }
    }

    /// The asker knows of its permit.
    pub(super) fn tell(&mut self, permit: PermitId) {
        if let Some(Permit::Held { told, .. }) = self.permits.get_mut(&permit) {
            *told = true;
        }
    }

    pub(super) fn give_back(&mut self, now: Time, permit: PermitId) {
        let mut events = Events::default();
        match self.permits.remove(&permit) {
            None => {}
            Some(Permit::Waiting(ticket)) => self.set.cancel(now, ticket, &mut events),
            Some(Permit::Held { grant, told: true }) => self.set.release(now, &grant, &mut events),
            Some(Permit::Held { grant, told: false }) => {
                self.set.undo(now, grant);
                self.set.pump(now, &mut events);
            }
        }
    }

    pub(super) fn settle(&mut self, now: Time, permit: PermitId, actual: &Demand) {
        let Some(Permit::Held { grant, .. }) = self.permits.get_mut(&permit) else { return };
        for part in actual.parts() {
            self.set.settle(now, grant, part.limit, part.units, &mut Events::default());
        }
    }

    pub(super) fn change(&mut self, now: Time, member: u64, change: Change) -> Result<(), ChangeError> {
        let (set, events) = (&mut self.set, &mut Events::default());
        match change {
            Change::Quota(limit, quota) => {
                self.stated.insert(limit, quota);
                self.count(now, limit)?;
            }
            Change::Capacity(limit, capacity) => {
                set.set_capacity(now, limit, self.learnt.restated(limit, capacity), events)?;
            }
            Change::Pace(limit, quota) => {
                self.words.insert((limit, member), quota);
                self.count(now, limit)?;
            }
            Change::Unlearn => {
                self.learnt.reset();
                self.resize(now);
            }
            Change::Sync(limit, state, permit) => {
                let grant = match permit.and_then(|permit| self.permits.get(&permit)) {
                    Some(Permit::Held { grant, .. }) => Some(grant),
                    _ => None,
                };
                set.sync(now, limit, &state, grant, events)?;
            }
            Change::Pause(pause) => {
                set.pause(now, pause, events);
            }
            Change::Resume => set.resume(now, events),
            Change::Reset => set.reset(now, events),
            Change::Close => set.close(events),
            _ => {}
        }
        Ok(())
    }

    /// An attempt ended: counted, learnt from and, where it was refused for a time, everybody paused.
    pub(super) fn report(&mut self, now: Time, permit: PermitId, report: &Report) {
        let began = match self.permits.get(&permit) {
            Some(Permit::Held { grant, .. }) => Some(grant.at),
            _ => None,
        };
        self.learnt.update(report, began, self.held() as u64, now);
        if let Verdict::RateLimited { retry_after: Some(pause) } = report.verdict {
            self.set.pause(now, pause, &mut Events::default());
        }
        self.resize(now);
    }

    fn resize(&mut self, now: Time) {
        if let Some((limit, capacity)) = self.learnt.capacity() {
            let sized = self.set.set_capacity(now, limit, capacity, &mut Events::default());
            sized.expect("a resource, and at least one");
        }
    }

    /// Puts in force what was stated, counted as carefully as anybody who is there would have it.
    fn count(&mut self, now: Time, limit: Index) -> Result<(), ChangeError> {
        let stated = self.stated.get(&limit).ok_or(ChangeError::NotARate)?;
        let words = self.words.iter().filter(|((of, _), _)| *of == limit).map(|(_, word)| *word);
        self.set.set_quota(now, limit, stated.counted_as(words), &mut Events::default())
    }

    pub(super) fn join(&mut self) -> u64 {
        self.members += 1;
        self.members
    }

    /// A member has no say any more.
    pub(super) fn leave(&mut self, now: Time, member: u64) {
        self.words.retain(|(_, of), _| *of != member);
        let limits: Vec<Index> = self.stated.keys().copied().collect();
        limits.into_iter().for_each(|limit| self.count(now, limit).expect("it was in force before"));
    }

    pub(super) fn standing(&mut self, now: Time) -> Standing {
        let (active, feedback) = (self.held() as u64, self.learnt.feedback());
        Standing { view: self.set.view(now), active, members: 1, feedback }
    }
}
