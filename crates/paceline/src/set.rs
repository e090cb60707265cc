//! Limits acquired together.

mod builder;
mod control;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::{Decision, Demand, Grant};

use crate::backend::RemoteSet;
use crate::error::Error;
use crate::joint::Joint;
use crate::key::{Amounts, Key};
use crate::local::Local;
use crate::permit::{Permit, lookup};
use crate::plan::Plan;
use crate::request::{Request, Terms};
use crate::wait::{Acquire, block_on_set, on_a_thread};

pub use builder::{LimitSetBuilder, Template};
pub use control::{LimitSnapshot, Snapshot};

/// Limits that are acquired together: rates (units per period) and resources (units at once).
///
/// Cloning gives another handle to the same limits. One set serves futures and threads at once.
///
/// ```
/// use paceline::{LimitSet, Quota};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), paceline::Error> {
/// let openai = LimitSet::builder("openai")
///     .calls(Quota::per_minute(500))
///     .rate("tokens", Quota::per_minute(200_000))
///     .concurrency(32)
///     .build()?;
///
/// let permit = openai.acquire([("tokens", 900)]).await?;     // one call, one slot, 900 tokens: all or nothing
/// // … the call …
/// permit.settle([("tokens", 641)])?;                          // what it really was
/// # Ok(()) }
/// ```
///
/// Acquire all that a call needs at once. A task that holds one permit while it waits for another can deadlock with
/// one that does the same the other way round, as with any lock; one set, or [`LimitSet::all`], cannot.
///
/// # Cost
///
/// Acquiring without waiting takes one uncontended lock, one look at the clock and a few multiplications a limit;
/// nothing is allocated for up to three limits.
#[derive(Clone)]
pub struct LimitSet(pub(crate) Store);

/// Where a set's state lives.
#[derive(Clone)]
pub(crate) enum Store {
    Local(Arc<Local>),
    Remote(Arc<RemoteSet>),
}

impl LimitSet {
    /// Describes a new set.
    pub fn builder(name: impl Into<Arc<str>>) -> LimitSetBuilder {
        LimitSetBuilder::new(name.into())
    }

    /// Acquires now or not at all.
    ///
    /// While others wait it can only have what remains after their demands are set aside.
    ///
    /// # Errors
    ///
    /// [`NotNow`](Error::NotNow) says when to come back; [`TooLarge`](Error::TooLarge), an unknown key and
    /// [`Closed`](Error::Closed) are for good.
    #[inline]
    pub fn try_acquire(&self, amounts: impl Amounts) -> Result<Permit<'_>, Error> {
        if let (Store::Local(local), Some(units)) = (&self.0, amounts.only(self)) {
            if let Some((at, mark)) = local.try_one(units) {
                return Ok(Permit::at_once(self, Grant { at, charged: Demand::charged(0, units, mark) }));
            }
            return self.try_later(units);
        }
        let mut demand = Demand::default();
        amounts.add_to(&mut demand, self)?;
        self.plan().complete(&mut demand);
        if let Store::Local(local) = &self.0 {
            if let Some(now) = local.try_alone(&mut demand) {
                return Ok(Permit::at_once(self, Grant { at: now, charged: demand }));
            }
        }
        self.try_complete(demand, &Terms::default())
    }

    /// A demand on a set of one limit that could not be had at once.
    #[cold]
    fn try_later(&self, units: u64) -> Result<Permit<'_>, Error> {
        self.try_complete([(0, units)].into_iter().collect(), &Terms::default())
    }

    /// Waits its turn. This is what most people want.
    ///
    /// # Errors
    ///
    /// A demand that can never be granted is an error at once; one that becomes so by a live change, or whose set is
    /// [closed](Self::close), ends with one.
    ///
    /// # Cancel safety
    ///
    /// As [`Acquire`]: dropping the future leaves nothing behind.
    #[inline]
    pub fn acquire(&self, amounts: impl Amounts) -> Acquire<'_> {
        Acquire::new(self, amounts.resolve(self), None)
    }

    /// Waits its turn on this thread; no runtime is needed. Not for use within async code.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self, amounts: impl Amounts) -> Result<Permit<'_>, Error> {
        self.block_with(amounts.resolve(self)?, &Terms::default())
    }

    /// A demand with terms of its own: a priority, a deadline.
    pub fn request(&self, amounts: impl Amounts) -> Request<'_> {
        Request::new(self, amounts.resolve(self))
    }

    /// Several sets of this process, to be acquired together.
    ///
    /// # Errors
    ///
    /// [`NotJoinable`](Error::NotJoinable) for no set at all, or one that lives elsewhere.
    pub fn all<'a>(sets: impl IntoIterator<Item = &'a LimitSet>) -> Result<Joint, Error> {
        Joint::new(sets)
    }

    /// A handle for a key, for the hot path.
    ///
    /// # Errors
    ///
    /// [`UnknownKey`](Error::UnknownKey) names the keys there are.
    pub fn key(&self, name: &str) -> Result<Key, Error> {
        self.plan().key(name).ok_or_else(|| Error::UnknownKey {
            set: Arc::clone(self.shared_name()),
            key: name.into(),
            known: self.plan().keys().to_vec(),
        })
    }

    /// The keys of its limits.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.plan().keys().iter().map(|key| &**key)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.shared_name()
    }

    /// What it was labelled with by [`LimitSetBuilder::config`].
    #[must_use]
    pub fn config(&self, name: &str) -> Option<&str> {
        lookup(&self.plan().config, name)
    }

    /// Whether both are handles to the same limits.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Store::Local(a), Store::Local(b)) => Arc::ptr_eq(a, b),
            (Store::Remote(a), Store::Remote(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        match &self.0 {
            Store::Local(local) => &local.name,
            Store::Remote(remote) => &remote.name,
        }
    }

    #[inline]
    pub(crate) fn plan(&self) -> &Plan {
        match &self.0 {
            Store::Local(local) => &local.plan,
            Store::Remote(remote) => &remote.plan,
        }
    }

    pub(crate) fn try_with(&self, mut demand: Demand, terms: &Terms) -> Result<Permit<'_>, Error> {
        self.plan().complete(&mut demand);
        self.try_complete(demand, terms)
    }

    /// The same for a demand to which nothing has to be added any more.
    fn try_complete(&self, mut demand: Demand, terms: &Terms) -> Result<Permit<'_>, Error> {
        let local = match &self.0 {
            Store::Local(local) => local,
            Store::Remote(remote) => return remote.try_acquire(self, demand, terms),
        };
        let (decision, now, arrival) = local.try_acquire(&mut demand, terms);
        match decision {
            Decision::Granted => Ok(Permit::local(self, Grant { at: now, charged: demand }, now, arrival)),
            Decision::Wait(wait) => Err(not_now(&local.name, wait)),
            Decision::Never(refusal) => Err(local.refused(refusal)),
        }
    }

    pub(crate) fn block_with(&self, mut demand: Demand, terms: &Terms) -> Result<Permit<'_>, Error> {
        match &self.0 {
            Store::Local(local) => {
                local.plan.complete(&mut demand);
                block_on_set(self, local, demand, terms)
            }
            Store::Remote(_) => {
                // What is free takes no thread.
                match self.try_with(demand.clone(), terms) {
                    // What cannot be had at once may be had by waiting, or the wait says why not.
                    Err(Error::NotNow { .. } | Error::Backend { .. }) => {}
                    decided => return decided,
                }
                on_a_thread(|| Acquire::new(self, Ok(demand), Some(Box::new(*terms))))
            }
        }
    }
}

impl fmt::Debug for LimitSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitSet")
            .field("name", &self.name())
            .field("keys", &self.plan().keys())
            .finish_non_exhaustive()
    }
}

pub(crate) fn not_now(set: &Arc<str>, wait: Duration) -> Error {
    Error::NotNow { set: Arc::clone(set), retry_after: (wait < Duration::MAX).then_some(wait) }
}
