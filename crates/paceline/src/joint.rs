//! Several sets acquired together.
//!
//! All their locks are taken in one order, so the decision is one instant on all of them and two joint demands cannot
//! deadlock. While a joint demand waits it stands in every set's queue; the set that was not ready when all were last
//! asked decides when they are asked again.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};

use paceline_core::{Arrival, Decision, Demand, Events, Grant, Order, Outcome, Party, Priority, Ticket, Time, Waiter};
use parking_lot::{Mutex, MutexGuard};
use tracing::Span;

use crate::error::Error;
use crate::key::Amounts;
use crate::local::{After, Guarded, Local, arrive};
use crate::permit::Permit;
use crate::set::{LimitSet, Store, not_now};
use crate::telemetry;
use crate::wait::{Waiting, Wake, ensure_driver, on_a_thread};

/// Several limit sets of this process, acquired together: [`LimitSet::all`].
///
/// An amount is charged on every set that has its key; a key that none has is an error.
///
/// ```
/// use paceline::{LimitSet, Quota};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paceline::Error> {
/// let node = LimitSet::builder("node").concurrency(5).build()?;
/// let global = LimitSet::builder("global").calls(Quota::per_minute(60)).concurrency(20).build()?;
/// let permit = LimitSet::all([&node, &global])?.acquire(()).await?;
/// assert_eq!(node.snapshot().active, 1);
/// assert_eq!(global.snapshot().active, 1);
/// # drop(permit); Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Joint {
    sets: Arc<[LimitSet]>,
    group: u64,
}

/// A permit of several sets at once. Dropping it gives back what it holds in each.
#[derive(Debug)]
#[must_use = "a permit that is dropped at once limits nothing"]
pub struct JointPermit {
    permits: Vec<Permit<'static>>,
}

impl Joint {
    pub(crate) fn new<'a>(sets: impl IntoIterator<Item = &'a LimitSet>) -> Result<Self, Error> {
        let mut sets: Vec<LimitSet> = sets.into_iter().cloned().collect();
        if sets.is_empty() {
            return Err(Error::NotJoinable { why: "there are none" });
        }
        if sets.iter().any(|set| matches!(set.0, Store::Remote(_))) {
            return Err(Error::NotJoinable { why: "one of them does not live in this process" });
        }
        sets.sort_by_key(|set| local(set).id);
        sets.dedup_by_key(|set| local(set).id);
        // Whoever joins the same sets stands in the same line, however often they are joined.
        let mut ids = DefaultHasher::new();
        sets.iter().for_each(|set| local(set).id.hash(&mut ids));
        Ok(Self { sets: sets.into(), group: ids.finish() })
    }

    /// Acquires all of them now, or none.
    ///
    /// # Errors
    ///
    /// As [`LimitSet::try_acquire`], naming the set that is in the way.
    pub fn try_acquire(&self, amounts: impl Amounts) -> Result<JointPermit, Error> {
        let mut demands = self.resolve(&amounts)?;
        match self.ask(&mut demands, None)? {
            Asked::Granted(grants) => Ok(self.permit(grants)),
            Asked::Blocked(error) => Err(error),
            Asked::Waiting(..) => unreachable!("nobody was to be woken"),
        }
    }

    /// Waits for all of them.
    ///
    /// # Errors
    ///
    /// As [`LimitSet::acquire`]: a demand that one of them can never grant ends with an error.
    ///
    /// # Cancel safety
    ///
    /// As [`JointAcquire`].
    pub fn acquire(&self, amounts: impl Amounts) -> JointAcquire {
        JointAcquire::new(self, self.resolve(&amounts))
    }

    /// Waits for all of them on this thread.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self, amounts: impl Amounts) -> Result<JointPermit, Error> {
        let mut demands = self.resolve(&amounts)?;
        match self.ask(&mut demands, None)? {
            Asked::Granted(grants) => Ok(self.permit(grants)),
            _ => on_a_thread(|| JointAcquire::new(self, Ok(demands))),
        }
    }

    fn resolve(&self, amounts: &impl Amounts) -> Result<Vec<Demand>, Error> {
        let mut unknown: Vec<(usize, usize, Error)> = Vec::new();
        let mut demands = Vec::with_capacity(self.sets.len());
        for set in self.sets.iter() {
            let mut demand = amounts.resolve_known(set, &mut |at, error| match unknown
                .iter_mut()
                .find(|(known, ..)| *known == at)
            {
                Some((_, misses, _)) => *misses += 1,
                None => unknown.push((at, 1, error)),
            });
            set.plan().complete(&mut demand);
            demands.push(demand);
        }
        let nowhere = unknown.into_iter().find(|(_, misses, _)| *misses == self.sets.len());
        nowhere.map_or(Ok(demands), |(.., error)| Err(error))
    }

    /// Asks all sets at one instant; where they are not all ready and somebody is to be woken, lets the demand wait.
    fn ask(&self, demands: &mut [Demand], waker: Option<&Waker>) -> Result<Asked, Error> {
        let locals: Vec<&Arc<Local>> = self.sets.iter().map(local).collect();
        let mut arrival = arrive(Time::ZERO);
        let mut after = After::default();
        let asked = with_all(&locals, &mut after, |members| {
            let mut blocked = None;
            for ((member, demand), set) in members.iter_mut().zip(&*demands).zip(&locals) {
                arrival.at = member.now;
                let order = Order::new(arrival, Priority::Normal);
                let Member { guard, now, events } = member;
                match guard.set.check(*now, demand, order, Some(self.group), events) {
                    Decision::Granted => {}
                    Decision::Never(refusal) => return Err(set.refused(refusal)),
                    Decision::Wait(wait) => {
                        blocked.get_or_insert_with(|| {
                            (Arc::clone(set), not_now(&set.name, wait), set.waiting(guard, *now, demand, wait))
                        });
                    }
                }
            }
            let Some((holder, error, waiting)) = blocked else {
                let grants = members.iter_mut().zip(demands).map(|(member, demand)| {
                    member.guard.set.charge(member.now, demand);
                    let arrival = Arrival { at: member.now, ..arrival };
                    Granted { grant: Grant { at: member.now, charged: demand.clone() }, since: member.now, arrival }
                });
                return Ok(Asked::Granted(grants.collect()));
            };
            let Some(waker) = waker else { return Ok(Asked::Blocked(error)) };
            let wait = Arc::new(JointWait { places: OnceLock::new(), waker: Mutex::new(waker.clone()) });
            let mut places = Vec::with_capacity(members.len());
            for ((member, demand), set) in members.iter_mut().zip(demands).zip(&locals) {
                arrival.at = member.now;
                let Member { guard, now, events } = member;
                set.listen(guard);
                let waiter = Waiter {
                    demand: demand.clone(),
                    order: Order::new(arrival, Priority::Normal),
                    deadline: None,
                    party: Some(Box::new(Party::AllOf { group: self.group, held_by: Some(holder.id) })),
                    waker: Some(Wake::Joint(Arc::clone(&wait))),
                };
                let ticket = guard.set.enqueue(*now, waiter, events);
                places.push(Place { local: Arc::clone(set), ticket, arrival });
            }
            wait.places.set(places).expect("a wait is placed once");
            Ok(Asked::Waiting(wait, holder, waiting))
        });
        after.act();
        if let Ok(Asked::Waiting(_, holder, waiting)) = &asked {
            holder.plan.hooks.call(waiting);
        }
        asked
    }

    fn permit(&self, grants: Vec<Granted>) -> JointPermit {
        let permits = self.sets.iter().zip(grants).map(|(set, granted)| {
            let Granted { grant, since, arrival } = granted;
            Permit::local(set, grant, since, arrival).into_owned()
        });
        JointPermit { permits: permits.collect() }
    }
}

/// One set's part of a joint grant.
struct Granted {
    grant: Grant,
    since: Time,
    arrival: Arrival,
}

enum Asked {
    Granted(Vec<Granted>),
    Blocked(Error),
    /// In every queue; told is the first set that was not ready.
    Waiting(Arc<JointWait>, Arc<Local>, Waiting),
}

impl JointPermit {
    /// The permit of each set.
    pub fn permits(&self) -> &[Permit<'static>] {
        &self.permits
    }

    /// Corrects what was charged, on every set that has the key.
    ///
    /// # Errors
    ///
    /// A key that no set has; nothing is corrected then.
    pub fn settle(&self, actual: impl Amounts) -> Result<(), Error> {
        let mut misses = Vec::<(usize, usize, Error)>::new();
        for permit in &self.permits {
            let _ = actual.resolve_known(permit.set(), &mut |at, error| match misses
                .iter_mut()
                .find(|(known, ..)| *known == at)
            {
                Some((_, count, _)) => *count += 1,
                None => misses.push((at, 1, error)),
            });
        }
        if let Some((.., error)) = misses.into_iter().find(|(_, count, _)| *count == self.permits.len()) {
            return Err(error);
        }
        self.permits.iter().try_for_each(|permit| permit.settle_known(&actual))
    }
}

/// A joint demand that waits, as its sets know it.
#[derive(Debug)]
pub(crate) struct JointWait {
    places: OnceLock<Vec<Place>>,
    waker: Mutex<Waker>,
}

/// Its place in one set's queue.
#[derive(Debug)]
struct Place {
    local: Arc<Local>,
    ticket: Ticket,
    arrival: Arrival,
}

impl JointWait {
    pub(crate) fn wake(&self) {
        // Not under its lock: a waker may poll at once.
        let waker = self.waker.lock().clone();
        waker.wake();
    }

    /// Asks all sets once more: grants on all of them, or notes who holds it.
    pub(crate) fn attempt(&self, after: &mut After) {
        let Some(places) = self.places.get() else { return };
        let locals: Vec<&Arc<Local>> = places.iter().map(|place| &place.local).collect();
        with_all(&locals, after, |members| {
            let mut each = members.iter_mut().zip(places);
            let holder = each.find_map(|(member, place)| {
                (!member.guard.set.joint_ready(member.now, place.ticket)).then_some(place.local.id)
            });
            for (Member { guard, now, events }, place) in members.iter_mut().zip(places) {
                match holder {
                    None => guard.set.grant_joint(*now, place.ticket, events),
                    Some(holder) => guard.set.hold_joint(place.ticket, holder),
                }
                guard.set.pump(*now, events);
            }
        });
    }

    /// What became of it: none while it lasts. All sets are looked at under all their locks, since a grant between two
    /// looks would be seen in half of them.
    fn collect(&self) -> Option<Result<Vec<Granted>, Error>> {
        let places = self.places.get()?;
        let mut guards: Vec<_> = places.iter().map(|place| place.local.lock()).collect();
        let mut grants = Vec::with_capacity(places.len());
        for (guard, Place { local, ticket, arrival }) in guards.iter_mut().zip(places) {
            match guard.collect(*ticket, arrival.at) {
                Some(Outcome::Granted(grant)) => grants.push(Granted { grant, since: arrival.at, arrival: *arrival }),
                Some(Outcome::Refused(refusal)) => return Some(Err(local.refused(refusal))),
                Some(Outcome::TimedOut) | None => {}
            }
        }
        (!grants.is_empty()).then_some(Ok(grants))
    }
}

/// One set, locked.
struct Member<'a> {
    guard: MutexGuard<'a, Guarded>,
    now: Time,
    events: Events<Wake>,
}

/// One step under the locks of several sets; what it leaves to be done is added to `after`.
fn with_all<R>(locals: &[&Arc<Local>], after: &mut After, call: impl FnOnce(&mut [Member<'_>]) -> R) -> R {
    // All locks first, the clocks only then: nobody is decided at an instant before the last lock was had.
    let guards: Vec<_> = locals.iter().map(|local| local.lock()).collect();
    let members = guards.into_iter().zip(locals);
    let members = members.map(|(guard, local)| Member { guard, now: local.now(), events: Events::default() });
    let mut members: Vec<_> = members.collect();
    let result = call(&mut members);
    for Member { mut guard, events, .. } in members {
        after.take(&mut guard, events);
    }
    result
}

/// Waits for several sets. Made by [`Joint::acquire`].
///
/// # Cancel safety
///
/// Dropping it takes the demand out of every queue; if it was granted in the meantime, the grant goes back.
#[must_use = "futures do nothing unless polled"]
pub struct JointAcquire {
    joint: Joint,
    state: State,
    span: Span,
}

enum State {
    Asking(Result<Vec<Demand>, Error>),
    Waiting(Arc<JointWait>),
    Done,
}

impl JointAcquire {
    fn new(joint: &Joint, demands: Result<Vec<Demand>, Error>) -> Self {
        Self { joint: joint.clone(), state: State::Asking(demands), span: Span::none() }
    }

    fn look(&mut self, context: &Context<'_>, wait: &Arc<JointWait>) -> Poll<Result<JointPermit, Error>> {
        let replaced = std::mem::replace(&mut *wait.waker.lock(), context.waker().clone());
        drop(replaced);
        match wait.collect() {
            Some(Ok(grants)) => {
                self.state = State::Done;
                let permit = self.joint.permit(grants);
                telemetry::granted(
                    &self.span,
                    permit.permits.iter().map(|part| (part.set().shared_name(), part.waited())),
                );
                Poll::Ready(Ok(permit))
            }
            Some(Err(refused)) => {
                self.leave();
                Poll::Ready(Err(refused))
            }
            None => {
                let places = wait.places.get().into_iter().flatten();
                places.map(|place| &place.local).try_for_each(ensure_driver)?;
                Poll::Pending
            }
        }
    }
}

impl JointAcquire {
    /// Takes it out of every queue.
    fn leave(&mut self) {
        if let State::Waiting(wait) = std::mem::replace(&mut self.state, State::Done) {
            for place in wait.places.get().into_iter().flatten() {
                place.local.give_back(place.ticket);
            }
        }
    }
}

impl Future for JointAcquire {
    type Output = Result<JointPermit, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        match std::mem::replace(&mut this.state, State::Done) {
            State::Asking(demands) => match this.joint.ask(&mut demands?, Some(context.waker()))? {
                Asked::Granted(grants) => Poll::Ready(Ok(this.joint.permit(grants))),
                Asked::Blocked(error) => Poll::Ready(Err(error)),
                Asked::Waiting(wait, _, waiting) => {
                    this.state = State::Waiting(Arc::clone(&wait));
                    this.span = telemetry::wait(&waiting);
                    this.look(context, &wait)
                }
            },
            State::Waiting(wait) => {
                this.state = State::Waiting(Arc::clone(&wait));
                this.look(context, &wait)
            }
            State::Done => panic!("polled after it was done"),
        }
    }
}

impl Drop for JointAcquire {
    fn drop(&mut self) {
        self.leave();
    }
}

fn local(set: &LimitSet) -> &Arc<Local> {
    match &set.0 {
        Store::Local(local) => local,
        Store::Remote(_) => unreachable!("refused when the joint was built"),
    }
}
