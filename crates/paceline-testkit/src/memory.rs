//! A backend that keeps its sets in memory, and can be told to fail.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use paceline::backend::{Answer, Ask, BackendError, BoxFuture, Change, LimitSpec, PermitId, Remote};
use paceline::{Clock, Time};
use paceline_core::{
    Arrival, ChangeError, Decision, Demand, Events, Grant, Limit, Order, Outcome, Set, Ticket, Waiter,
};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Sets in memory, behind the seam. Cloning gives another handle, as another process would have.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    sets: Mutex<HashMap<Arc<str>, Shelf>>,
    /// Which set a permit is of.
    homes: Mutex<HashMap<PermitId, Arc<str>>>,
    changed: Notify,
    arrivals: AtomicU64,
    clock: Clock,
    away: AtomicBool,
    lossy: AtomicBool,
}

#[derive(Debug)]
struct Shelf {
    limits: Vec<(Arc<str>, LimitSpec)>,
    set: Set<()>,
    permits: HashMap<PermitId, Permit>,
}

#[derive(Debug)]
enum Permit {
    Waiting(Ticket),
    Held(Grant),
}

/// How long an asker is kept before it is told to ask again: what a hint that gets lost costs.
const HINT: Duration = Duration::from_millis(250);

impl Memory {
    /// Fails every call from now on, or no more.
    pub fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
    }

    /// Does what it is asked and loses the next answer.
    pub fn lose_next_answer(&self) {
        self.0.lossy.store(true, Ordering::SeqCst);
    }

    /// Permits that are out, of all sets.
    #[must_use]
    pub fn held(&self) -> usize {
        let sets = self.0.sets.lock();
        sets.values()
            .flat_map(|shelf| shelf.permits.values())
            .filter(|permit| matches!(permit, Permit::Held(_)))
            .count()
    }

    /// Units that stand charged on a limit.
    #[must_use]
    pub fn used(&self, set: &str, limit: usize) -> u64 {
        let mut sets = self.0.sets.lock();
        sets.get_mut(set).map_or(0, |shelf| shelf.set.view(self.0.clock.now()).limits[limit].used)
    }

    fn reachable(&self) -> Result<(), BackendError> {
        if self.0.away.load(Ordering::SeqCst) {
            return Err(BackendError { message: "it is away".into(), retryable: true });
        }
        Ok(())
    }

    fn answered<T>(&self, answer: T) -> Result<T, BackendError> {
        if self.0.lossy.swap(false, Ordering::SeqCst) {
            return Err(BackendError { message: "the answer was lost".into(), retryable: true });
        }
        Ok(answer)
    }

    fn with<R>(&self, set: &str, call: impl FnOnce(&mut Shelf, Time) -> R) -> Result<R, BackendError> {
        let mut sets = self.0.sets.lock();
        let shelf = sets.get_mut(set);
        let shelf =
            shelf.ok_or_else(|| BackendError { message: format!("no set `{set}` is open"), retryable: false })?;
        Ok(call(shelf, self.0.clock.now()))
    }

    fn with_permit<R>(&self, permit: PermitId, call: impl FnOnce(&mut Shelf, Time) -> R) -> Option<R> {
        let home = self.0.homes.lock().get(&permit).cloned()?;
        let result = self.with(&home, call).ok();
        self.0.changed.notify_waiters();
        result
    }

    /// One step of a wait: idempotent by the permit's id.
    fn ask(&self, ask: &Ask) -> Result<Answer, BackendError> {
        self.0.homes.lock().insert(ask.permit, Arc::clone(&ask.set));
        self.with(&ask.set, |shelf, now| shelf.ask(now, ask, &self.0.arrivals))
    }

    fn give_back(&self, permit: PermitId) -> bool {
        let known = self.with_permit(permit, |shelf, now| shelf.give_back(now, permit));
        self.0.homes.lock().remove(&permit);
        known.unwrap_or(false)
    }

    fn correct(&self, permit: PermitId, actual: &Demand) -> bool {
        let known = self.with_permit(permit, |shelf, now| {
            let Some(Permit::Held(grant)) = shelf.permits.get_mut(&permit) else { return false };
            for part in actual.parts() {
                shelf.set.settle(now, grant, part.limit, part.units, &mut Events::default());
            }
            true
        });
        known.unwrap_or(false)
    }
}

impl Shelf {
    fn ask(&mut self, now: Time, ask: &Ask, arrivals: &AtomicU64) -> Answer {
        let mut events = Events::default();
        self.set.pump(now, &mut events);
        match self.permits.get(&ask.permit) {
            Some(Permit::Held(_)) => Answer::Granted,
            Some(Permit::Waiting(ticket)) => {
                let ticket = *ticket;
                self.continue_waiting(now, ask.permit, ticket)
            }
            None => {
                let mut demand = ask.demand.clone();
                let number = arrivals.fetch_add(1, Ordering::Relaxed);
                let order = Order::new(Arrival { at: now, number }, ask.priority);
                match self.set.try_acquire(now, &mut demand, order, &mut events) {
                    Decision::Granted => {
                        self.permits.insert(ask.permit, Permit::Held(Grant { at: now, charged: demand }));
                        Answer::Granted
                    }
                    Decision::Never(refusal) => Answer::Never(refusal),
                    Decision::Wait(_) => {
                        let waiter = Waiter { demand, order, deadline: None, party: None, waker: Some(()) };
                        let ticket = self.set.enqueue(now, waiter, &mut events);
                        self.permits.insert(ask.permit, Permit::Waiting(ticket));
                        self.until_next(now)
                    }
                }
            }
        }
    }

    fn continue_waiting(&mut self, now: Time, permit: PermitId, ticket: Ticket) -> Answer {
        match self.set.collect(ticket) {
            None => self.until_next(now),
            Some(Outcome::Granted(grant)) => {
                self.permits.insert(permit, Permit::Held(grant));
                Answer::Granted
            }
            Some(Outcome::Refused(refusal)) => {
                self.permits.remove(&permit);
                Answer::Never(refusal)
            }
            Some(Outcome::TimedOut) => self.until_next(now),
        }
    }

    fn until_next(&self, now: Time) -> Answer {
        Answer::Wait(self.set.next().map_or(HINT, |next| next.since(now)))
    }

    fn give_back(&mut self, now: Time, permit: PermitId) -> bool {
        let mut events = Events::default();
        match self.permits.remove(&permit) {
            None => return false,
            Some(Permit::Waiting(ticket)) => self.set.cancel(now, ticket, &mut events),
            Some(Permit::Held(grant)) => self.set.release(now, &grant, &mut events),
        }
        true
    }

    fn change(&mut self, now: Time, change: Change) -> Result<(), ChangeError> {
        let (set, events) = (&mut self.set, &mut Events::default());
        match change {
            Change::Quota(limit, quota) => set.set_quota(now, limit, quota, events)?,
            Change::Capacity(limit, capacity) => set.set_capacity(now, limit, capacity, events)?,
            Change::Sync(limit, state) => set.sync(now, limit, &state, None, events)?,
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

impl Remote for Memory {
    fn open<'a>(
        &'a self,
        set: &'a Arc<str>,
        limits: &'a [(Arc<str>, LimitSpec)],
    ) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            self.reachable()?;
            let mut sets = self.0.sets.lock();
            if let Some(shelf) = sets.get(set) {
                let message = format!("`{set}` is open with other limits: {:?}, not {limits:?}", shelf.limits);
                return if shelf.limits == limits { Ok(()) } else { Err(BackendError { message, retryable: false }) };
            }
            let now = self.0.clock.now();
            let make = |(_, spec): &(Arc<str>, LimitSpec)| match spec {
                LimitSpec::Rate(quota) => Limit::rate(*quota, now).map_err(ChangeError::from),
                LimitSpec::Resource(capacity) => Limit::resource(*capacity),
            };
            let made: Result<Vec<_>, _> = limits.iter().map(make).collect();
            let made = made.map_err(|error| BackendError { message: error.to_string(), retryable: false })?;
            let shelf = Shelf { limits: limits.to_vec(), set: Set::new(0, made), permits: HashMap::new() };
            sets.insert(Arc::clone(set), shelf);
            Ok(())
        })
    }

    fn acquire<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, BackendError>> {
        Box::pin(async move {
            loop {
                self.reachable()?;
                let changed = self.0.changed.notified();
                let answer = self.ask(ask)?;
                let Answer::Wait(wait) = answer else { return self.answered(answer) };
                // A change anywhere is a reason to look again; time alone is the asker's to keep.
                if wait < HINT || tokio::time::timeout(HINT, changed).await.is_err() {
                    return self.answered(answer);
                }
            }
        })
    }

    fn try_acquire(&self, ask: &Ask) -> Answer {
        let answer = self.ask(ask).unwrap_or(Answer::Wait(Duration::MAX));
        if matches!(answer, Answer::Wait(_)) {
            self.give_back(ask.permit);
        }
        answer
    }

    fn settle<'a>(&'a self, permit: PermitId, actual: Demand) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            self.reachable()?;
            self.correct(permit, &actual);
            self.answered(())
        })
    }

    fn release(&self, permit: PermitId) -> BoxFuture<'_, Result<(), BackendError>> {
        Box::pin(async move {
            self.reachable()?;
            self.give_back(permit);
            self.answered(())
        })
    }

    fn forget(&self, permit: PermitId) {
        self.give_back(permit);
    }

    fn settle_later(&self, permit: PermitId, actual: Demand) {
        self.correct(permit, &actual);
    }

    fn renew<'a>(&'a self, permits: &'a [PermitId]) -> BoxFuture<'a, Result<Vec<PermitId>, BackendError>> {
        Box::pin(async move {
            self.reachable()?;
            let homes = self.0.homes.lock();
            Ok(permits.iter().copied().filter(|permit| !homes.contains_key(permit)).collect())
        })
    }

    fn change<'a>(&'a self, set: &'a Arc<str>, change: Change) -> BoxFuture<'a, Result<(), BackendError>> {
        Box::pin(async move {
            self.reachable()?;
            let changed = self.with(set, |shelf, now| shelf.change(now, change))?;
            self.0.changed.notify_waiters();
            changed.map_err(|error| BackendError { message: error.to_string(), retryable: false })
        })
    }
}
