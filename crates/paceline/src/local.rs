//! A limit set of this process: core's engine behind one lock, with a clock and somebody to wake.
//!
//! Every call takes the lock once, reads the clock under it (so that instants and decisions have one order), asks core,
//! lets the lock go and only then wakes whoever was decided.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use paceline_core::{Arrival, Decision, Demand, Events, Grant, Limit, Order, Outcome, Returns, Set, Ticket, Time};
use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use crate::adapt::Learning;
use crate::joint::JointWait;
use crate::plan::Plan;
use crate::request::Terms;
use crate::wait::{Keeper, Wake};

#[derive(Debug)]
pub(crate) struct Local {
    guarded: Mutex<Guarded>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) name: Arc<str>,
    pub(crate) id: u64,
    /// Permits that came back without the lock.
    returns: Returns,
    /// Whether each permit has to come back to the lock, for a limit that asks when; once true, always.
    in_person: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) set: Set<Wake>,
    /// Made by the first that has to wait.
    pub(crate) keeper: Option<Box<Keeper>>,
    /// Permits that came back to the lock.
    finished: u64,
    /// Those of the others that were taken into the set.
    taken: u64,
    /// Made with the set where it is adaptive, else by the first verdict.
    pub(crate) learning: Option<Box<Learning>>,
}

/// What a call leaves to be done without the lock.
#[derive(Default)]
pub(crate) struct After {
    pub(crate) events: Events<Wake>,
    joints: SmallVec<[Arc<JointWait>; 1]>,
}

impl Local {
    pub(crate) fn new(plan: Arc<Plan>, name: Arc<str>) -> Arc<Self> {
        static SETS: AtomicU64 = AtomicU64::new(1);
        let id = SETS.fetch_add(1, Ordering::Relaxed);
        let set = Set::new(id, plan.limits(plan.clock.now()));
        let learning = plan.described.make();
        let guarded = Mutex::new(Guarded { set, keeper: None, finished: 0, taken: 0, learning });
        let (returns, in_person) = (Returns::new(), AtomicBool::new(false));
        let local = Arc::new(Self { guarded, plan, name, id, returns, in_person });
        local.note_completion(&local.lock().set);
        if let Some(clock) = local.plan.clock.manual() {
            clock.drives(&local);
        }
        local
    }

    /// One step under the lock; afterwards whoever it decided is woken.
    pub(crate) fn step<R>(&self, call: impl FnOnce(&mut Guarded, Time, &mut Events<Wake>) -> R) -> R {
        let mut after = After::default();
        let mut guard = self.lock();
        let now = self.plan.clock.now();
        let result = call(&mut guard, now, &mut after.events);
        if guard.keeper.is_some() {
            after.prepare(&mut guard);
            self.rest(&mut guard);
        }
        drop(guard);
        after.act();
        result
    }

    /// The lock itself, with all that came back taken in.
    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Guarded> {
        let mut guard = self.guarded.lock();
        self.take_in(&mut guard);
        guard
    }

    #[inline]
    fn take_in(&self, guard: &mut Guarded) {
        let count = self.returns.count();
        if let (Some(resource), true) = (self.plan.resource(), count != guard.taken) {
            guard.set.take_back(resource, count - guard.taken);
            guard.taken = count;
        }
    }

    /// To be called before a demand is let wait: from here on every return comes to the lock.
    pub(crate) fn listen(&self, guard: &mut Guarded) {
        if !std::mem::replace(&mut guard.keeper().listening, true) {
            self.returns.listen();
            self.take_in(guard);
        }
    }

    /// Where nobody waits any more, permits need not come to the lock.
    fn rest(&self, guard: &mut Guarded) {
        if guard.set.waiting() == 0 && std::mem::take(&mut guard.keeper().listening) {
            self.returns.ignore();
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.plan.clock.now()
    }

    /// Looks whether a limit of the set asks when permits come back: another quota can make it so.
    pub(crate) fn note_completion(&self, set: &Set<Wake>) {
        if set.limits().iter().any(Limit::awaits_completion) {
            self.in_person.store(true, Ordering::Relaxed);
        }
    }

    /// Charges units of a set of one limit now if nobody waits and there is room: the instant, and the charge's mark.
    ///
    /// Always inlined, as it is short: what comes and goes in registers is written once, where the permit is wanted.
    #[inline(always)]
    pub(crate) fn try_one(&self, units: u64) -> Option<(Time, u64)> {
        let mut guard = self.lock();
        let now = self.plan.clock.read();
        match guard.set.try_one(now, units) {
            Some(mark) => Some((now, mark)),
            None => no_room(guard),
        }
    }

    /// Charges `demand` now if nobody waits and there is room.
    pub(crate) fn try_alone(&self, demand: &mut Demand) -> Option<Time> {
        let mut guard = self.lock();
        let now = self.plan.clock.read();
        guard.set.try_alone(now, demand).then_some(now)
    }

    pub(crate) fn try_acquire(&self, demand: &mut Demand, terms: &Terms) -> (Decision, Time, Arrival) {
        self.step(|guard, now, events| {
            let arrival = terms.arrived(now);
            let decision = guard.set.try_acquire(now, demand, Order::new(arrival, terms.priority), events);
            (decision, now, arrival)
        })
    }

    /// A permit came back.
    #[inline]
    pub(crate) fn release(&self, grant: &Grant) {
        if self.in_person.load(Ordering::Relaxed) || !self.plan.is_counted(&grant.charged) {
            self.release_in_person(grant);
        } else if self.returns.give() {
            self.tick();
        }
    }

    #[cold]
    fn release_in_person(&self, grant: &Grant) {
        self.step(|guard, now, events| {
            guard.finished += 1;
            guard.set.release(now, grant, events);
        });
    }

    /// A grant that nobody will use.
    pub(crate) fn give_back(&self, ticket: Ticket) {
        self.step(|guard, now, events| guard.set.cancel(now, ticket, events));
    }

    /// A grant that came to nothing.
    pub(crate) fn undo(&self, grant: Grant) {
        self.step(|guard, now, events| {
            guard.set.undo(now, grant);
            guard.set.pump(now, events);
        });
    }

    /// Permits that are out.
    pub(crate) fn active(&self, guard: &Guarded) -> u64 {
        guard.set.granted().saturating_sub(guard.finished + self.returns.count())
    }

    /// Looks whether time alone has decided something.
    #[cold]
    pub(crate) fn tick(&self) {
        self.step(|guard, now, events| guard.set.pump(now, events));
    }
}

impl Guarded {
    /// The outcome of a wait, counted.
    pub(crate) fn collect(&mut self, ticket: Ticket, since: Time) -> Option<Outcome> {
        let outcome = self.set.collect(ticket)?;
        if let Outcome::Granted(grant) = &outcome {
            let keeper = self.keeper();
            keeper.waits += 1;
            keeper.waited = keeper.waited.saturating_add(grant.at.since(since));
        }
        Some(outcome)
    }

    pub(crate) fn keeper(&mut self) -> &mut Keeper {
        self.keeper.get_or_insert_with(Box::default)
    }
}

impl After {
    /// Takes what a call under this guard leaves; to be called before the guard is let go.
    pub(crate) fn prepare(&mut self, guard: &mut Guarded) {
        for ticket in self.events.joint.drain(..) {
            if let Some(Wake::Joint(wait)) = guard.set.waker(ticket) {
                self.joints.push(Arc::clone(wait));
            }
        }
        let Guarded { set, keeper: Some(keeper), .. } = guard else { return };
        if let Some(next) = set.next() {
            let told = keeper.rearm(next, |leader| set.waker(leader).cloned());
            self.events.woken.extend(told);
        }
    }

    /// The same for the events of a guard that is one of several.
    pub(crate) fn take(&mut self, guard: &mut Guarded, events: Events<Wake>) {
        self.events.woken.extend(events.woken);
        self.events.joint = events.joint;
        if guard.keeper.is_some() {
            self.prepare(guard);
        }
    }

    pub(crate) fn act(mut self) {
        loop {
            self.events.woken.drain(..).for_each(Wake::wake);
            let Some(wait) = self.joints.pop() else { return };
            wait.attempt(&mut self);
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if let Some(keeper) = &mut self.guarded.get_mut().keeper {
            keeper.retire();
        }
    }
}

/// Out of line, so that the way of those who find room has no branches.
#[cold]
fn no_room<T>(guard: MutexGuard<'_, Guarded>) -> Option<T> {
    drop(guard);
    None
}

/// The next arrival number of this process.
pub(crate) fn arrive(at: Time) -> Arrival {
    static ARRIVALS: AtomicU64 = AtomicU64::new(1);
    Arrival { at, number: ARRIVALS.fetch_add(1, Ordering::Relaxed) }
}

/// The arrival of a demand that found nobody waiting: before all others of that instant.
pub(crate) const fn first(at: Time) -> Arrival {
    Arrival { at, number: 0 }
}
