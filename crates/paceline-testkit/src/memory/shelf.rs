//! One set in memory: core's engine under a lock, with permits by their ids.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use paceline::Time;
use paceline::backend::{Answer, Ask, BackendError, BoxFuture, Change, Home, LimitSpec, PermitId, Standing};
use paceline_core::{
    Arrival, ChangeError, Decision, Demand, Events, Grant, Limit, Order, Outcome, Set, Ticket, Waiter,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Line;

/// How long an asker is kept before it is told to ask again: what a hint that gets lost costs.
const HINT: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Shelf {
    limits: Vec<(Arc<str>, LimitSpec)>,
    state: Mutex<State>,
    changed: Notify,
    line: Arc<Line>,
}

#[derive(Debug)]
struct State {
    set: Set<()>,
    permits: HashMap<PermitId, Permit>,
    arrivals: u64,
}

#[derive(Debug)]
enum Permit {
    Waiting(Ticket),
    Held { grant: Grant, told: bool },
}

impl Shelf {
    pub(super) fn new(limits: &[(Arc<str>, LimitSpec)], line: Arc<Line>) -> Result<Self, BackendError> {
        let now = line.clock.now();
        let make = |(_, spec): &(Arc<str>, LimitSpec)| match spec {
            LimitSpec::Rate(quota) => Limit::rate(*quota, now).map_err(ChangeError::from),
            LimitSpec::Resource(capacity) => Limit::resource(*capacity),
        };
        let made: Result<Vec<_>, _> = limits.iter().map(make).collect();
        let made = made.map_err(|error| BackendError { message: error.to_string(), retryable: false })?;
        let state = State { set: Set::new(0, made), permits: HashMap::new(), arrivals: 0 };
        Ok(Self { limits: limits.to_vec(), state: Mutex::new(state), changed: Notify::new(), line })
    }

    pub(super) fn limits(&self) -> &[(Arc<str>, LimitSpec)] {
        &self.limits
    }

    pub(super) fn held(&self) -> usize {
        self.state.lock().held()
    }

    /// One step; what it gives room to is a reason for everybody to look again.
    fn step<R>(&self, call: impl FnOnce(&mut State, Time) -> R) -> R {
        let result = call(&mut self.state.lock(), self.line.clock.now());
        self.changed.notify_waiters();
        result
    }

    fn ask(&self, ask: &Ask) -> Answer {
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
    fn tell(&mut self, permit: PermitId) {
        if let Some(Permit::Held { told, .. }) = self.permits.get_mut(&permit) {
            *told = true;
        }
    }

    fn give_back(&mut self, now: Time, permit: PermitId) {
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

    fn settle(&mut self, now: Time, permit: PermitId, actual: &Demand) {
        let Some(Permit::Held { grant, .. }) = self.permits.get_mut(&permit) else { return };
        for part in actual.parts() {
            self.set.settle(now, grant, part.limit, part.units, &mut Events::default());
        }
    }

    fn change(&mut self, now: Time, change: Change) -> Result<(), ChangeError> {
        let (set, events) = (&mut self.set, &mut Events::default());
        match change {
            Change::Quota(limit, quota) => set.set_quota(now, limit, quota, events)?,
            Change::Capacity(limit, capacity) => set.set_capacity(now, limit, capacity, events)?,
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
}

impl Home for Shelf {
    fn acquire<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, BackendError>> {
        Box::pin(async move {
            loop {
                self.line.reachable()?;
                let changed = self.changed.notified();
                let answer = self.ask(ask);
                if matches!(answer, Answer::Wait(wait) if wait >= HINT) {
                    // A change anywhere is a reason to look again, and so is that one may have been missed.
                    let _ = tokio::time::timeout(HINT, changed).await;
                    continue;
                }
                let answer = self.line.answered(answer)?;
                if answer == Answer::Granted {
                    self.state.lock().tell(ask.permit);
                }
                return Ok(answer);
            }
        })
    }

    fn try_acquire(&self, ask: &Ask) -> Result<Answer, BackendError> {
        self.line.reachable()?;
        let answer = self.ask(ask);
        match answer {
            Answer::Wait(_) => self.step(|state, now| state.give_back(now, ask.permit)),
            _ => self.state.lock().tell(ask.permit),
        }
        Ok(answer)
    }

    fn settle(&self, permit: PermitId, actual: Demand) {
        self.step(|state, now| state.settle(now, permit, &actual));
    }

    fn release(&self, permit: PermitId) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            self.line.reachable()?;
            self.forget(permit);
            self.line.answered(())
        })
    }

    fn forget(&self, permit: PermitId) {
        self.step(|state, now| state.give_back(now, permit));
    }

    fn change(&self, change: Change) -> Result<(), BackendError> {
        self.line.reachable()?;
        let changed = self.step(|state, now| state.change(now, change));
        changed.map_err(|error| BackendError { message: error.to_string(), retryable: false })
    }

    fn standing(&self) -> Result<Standing, BackendError> {
        self.line.reachable()?;
        let mut state = self.state.lock();
        let view = state.set.view(self.line.clock.now());
        Ok(Standing { view, active: state.held() as u64, members: 1 })
    }
}
