//! The seam behind which a set's state can live in another process or on another machine.
//!
//! A set lives in one backend, whose one atomic step (a lock, a script) grants a demand on all its limits or on none.
//! The backend owns the clock: what crosses the seam are waits from now, never instants. Every permit has an id that
//! its asker chose, so that an answer that was lost can be asked for again without charging twice, and a reservation
//! keeps its place in the queue under that id. What is out is a lease, kept alive by [`renew`](Remote::renew).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use paceline_core::{Demand, Index, LimitKind, LimitView, Quota, Refusal, ServerState, Time};
use parking_lot::Mutex;

use crate::error::Error;
use crate::local::first;
use crate::permit::Permit;
use crate::plan::{Plan, Spec};
use crate::request::Terms;
use crate::set::{LimitSet, LimitSnapshot, Snapshot, not_now};

/// What a backend's calls return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A permit's name, chosen at random by whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitId(pub u128);

/// A limit as a backend is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitSpec {
    /// Units per period.
    Rate(Quota),
    /// Units at once.
    Resource(u64),
}

/// A demand as a backend sees it. Asking again with the same id continues the same wait.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The permit to be.
    pub permit: PermitId,
    /// The set it asks of.
    pub set: Arc<str>,
    /// What it asks for, by the index of the limit in the set's description.
    pub demand: Demand,
    /// How urgent it is.
    pub priority: paceline_core::Priority,
    /// How long it has been waiting.
    pub waited: Duration,
}

/// A backend's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Charged, on all limits.
    Granted,
    /// Charged on none; the place in the queue is kept for whoever asks again after this long.
    Wait(Duration),
    /// Never to be granted.
    Never(Refusal),
}

/// A live change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Another quota.
    Quota(Index, Quota),
    /// Another capacity.
    Capacity(Index, u64),
    /// A closed gate.
    Pause(Duration),
    /// An open gate.
    Resume,
    /// The service's word.
    Sync(Index, ServerState),
    /// Nothing used.
    Reset,
    /// No more grants.
    Close,
}

/// Why a backend did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BackendError {
    /// What happened, with the values it was about.
    pub message: String,
    /// Whether asking again can help.
    pub retryable: bool,
}

impl BackendError {
    pub(crate) fn of(self, set: &LimitSet) -> Error {
        let Self { message, retryable } = self;
        Error::Backend { set: Arc::clone(set.shared_name()), message, retryable }
    }
}

/// Where limit sets can live other than in this process.
///
/// The limits of a set are told once, by [`open`](Self::open); everything after names them by index. All futures are
/// safe to drop: whoever drops one calls [`forget`](Self::forget).
pub trait Remote: fmt::Debug + Send + Sync + 'static {
    /// Gets to know a set: its keys, and a limit for each. Called before anything else is asked of it. A set of that
    /// name with other limits is an error that says what differs.
    fn open<'a>(
        &'a self,
        set: &'a Arc<str>,
        limits: &'a [(Arc<str>, LimitSpec)],
    ) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Grants a demand on all its limits or on none, or keeps its place.
    fn acquire<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, BackendError>>;

    /// The same at once and without asking anybody: from what this process holds in advance.
    fn try_acquire(&self, ask: &Ask) -> Answer;

    /// Corrects what a permit was charged.
    fn settle<'a>(&'a self, permit: PermitId, actual: Demand) -> BoxFuture<'a, Result<(), BackendError>>;

    /// Gives a permit back and says whether that arrived.
    fn release(&self, permit: PermitId) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Lets somebody else give a permit or a place back: never blocks, never fails; if it gets lost, the lease expires.
    fn forget(&self, permit: PermitId);

    /// The same for a correction.
    fn settle_later(&self, permit: PermitId, actual: Demand);

    /// Keeps leases alive; the permits that are lost.
    fn renew<'a>(&'a self, permits: &'a [PermitId]) -> BoxFuture<'a, Result<Vec<PermitId>, BackendError>>;

    /// Changes a set while it is in use.
    fn change<'a>(&'a self, set: &'a Arc<str>, change: Change) -> BoxFuture<'a, Result<(), BackendError>>;
}

/// A set that lives elsewhere.
pub(crate) struct RemoteSet {
    pub(crate) plan: Arc<Plan>,
    pub(crate) name: Arc<str>,
    backend: Arc<dyn Remote>,
    opened: tokio::sync::OnceCell<()>,
}

impl RemoteSet {
    pub(crate) fn new(plan: Arc<Plan>, name: Arc<str>, backend: Arc<dyn Remote>) -> Self {
        Self { plan, name, backend, opened: tokio::sync::OnceCell::new() }
    }

    async fn open(&self) -> Result<(), BackendError> {
        let limits: Vec<_> = self.specs().collect();
        self.opened.get_or_try_init(|| self.backend.open(&self.name, &limits)).await.copied()
    }

    fn specs(&self) -> impl Iterator<Item = (Arc<str>, LimitSpec)> + '_ {
        self.plan.keys().iter().zip(self.plan.specs()).map(|(key, spec)| match spec {
            Spec::Rate(quota) | Spec::Calls(quota) => (Arc::clone(key), LimitSpec::Rate(**quota)),
            Spec::Resource(capacity) => (Arc::clone(key), LimitSpec::Resource(*capacity)),
        })
    }

    fn ask(&self, demand: Demand, priority: paceline_core::Priority) -> Ask {
        let permit = PermitId(rand::random());
        Ask { permit, set: Arc::clone(&self.name), demand, priority, waited: Duration::ZERO }
    }

    pub(crate) fn try_acquire<'a>(&self, set: &'a LimitSet, demand: Demand) -> Result<Permit<'a>, Error> {
        let ask = self.ask(demand, paceline_core::Priority::default());
        match self.backend.try_acquire(&ask) {
            Answer::Granted => {
                let now = self.plan.clock.now();
                Ok(Permit::remote(set, RemotePermit::new(self, ask, now), now, first(now)))
            }
            Answer::Wait(wait) => Err(not_now(&self.name, wait)),
            Answer::Never(refusal) => Err(self.refused(refusal)),
        }
    }

    fn refused(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Closed => Error::Closed { set: Arc::clone(&self.name) },
            Refusal::TooLarge { limit, asked, capacity } => {
                let key = Arc::clone(&self.plan.keys()[usize::from(limit)]);
                Error::TooLarge { set: Arc::clone(&self.name), key, asked, capacity }
            }
        }
    }

    pub(crate) fn described(&self) -> Snapshot {
        let limits = self.specs().map(|(key, spec)| {
            let (kind, capacity) = match spec {
                LimitSpec::Rate(quota) => (LimitKind::Rate(quota), quota.capacity()),
                LimitSpec::Resource(capacity) => (LimitKind::Resource, capacity),
            };
            LimitSnapshot { key, view: LimitView { kind, capacity, used: 0, available: capacity, debt: 0 } }
        });
        Snapshot::idle(Arc::clone(&self.name), limits.collect())
    }
}

/// A permit that lives elsewhere.
pub(crate) struct RemotePermit {
    id: PermitId,
    backend: Arc<dyn Remote>,
    charged: Mutex<Demand>,
    admitted: Time,
    done: bool,
}

impl fmt::Debug for RemotePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemotePermit").field("id", &self.id).finish_non_exhaustive()
    }
}

impl RemotePermit {
    fn new(set: &RemoteSet, ask: Ask, admitted: Time) -> Self {
        let backend = Arc::clone(&set.backend);
        Self { id: ask.permit, backend, charged: Mutex::new(ask.demand), admitted, done: false }
    }

    pub(crate) fn settle(&self, actual: Demand) {
        let mut charged = self.charged.lock();
        let unnamed = charged.parts().iter().filter(|part| actual.units(part.limit).is_none());
        let merged = unnamed.chain(actual.parts()).map(|part| (part.limit, part.units)).collect();
        *charged = merged;
        self.backend.settle_later(self.id, actual);
    }

    /// None of anything that it was charged.
    pub(crate) fn nothing(&self) -> Demand {
        self.charged.lock().parts().iter().map(|part| (part.limit, 0)).collect()
    }

    pub(crate) fn charged(&self, limit: Index) -> u64 {
        self.charged.lock().units(limit).unwrap_or(0)
    }

    pub(crate) fn admitted_at(&self) -> Time {
        self.admitted
    }

    pub(crate) async fn release(mut self) -> Result<(), BackendError> {
        let released = self.backend.release(self.id).await;
        self.done = true;
        released
    }

    /// Gives it back without a word.
    pub(crate) fn forget(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.backend.forget(self.id);
        }
    }
}

impl Drop for RemotePermit {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Waits for a permit that lives elsewhere.
pub(crate) struct RemoteAcquire<'a>(BoxFuture<'a, Result<Permit<'a>, Error>>);

impl<'a> RemoteAcquire<'a> {
    pub(crate) fn new(set: &'a LimitSet, remote: &'a Arc<RemoteSet>, demand: Demand, terms: &Terms) -> Self {
        let terms = *terms;
        Self(Box::pin(async move {
            let wait = Self::wait(set, remote, demand, &terms);
            match terms.deadline {
                None => wait.await,
                Some(deadline) => tokio::time::timeout(deadline, wait)
                    .await
                    .unwrap_or_else(|_| Err(Error::DeadlineExceeded { set: Arc::clone(&remote.name), deadline })),
            }
        }))
    }

    async fn wait(set: &'a LimitSet, remote: &RemoteSet, demand: Demand, terms: &Terms) -> Result<Permit<'a>, Error> {
        remote.open().await.map_err(|error| error.of(set))?;
        let asked = remote.plan.clock.now();
        let ask = remote.ask(demand, terms.priority);
        // Made before the answer is known, so that a lost answer or a dropped wait is given back too.
        let mut permit = RemotePermit::new(remote, ask.clone(), asked);
        let mut ask = ask;
        loop {
            match remote.backend.acquire(&ask).await.map_err(|error| error.of(set))? {
                Answer::Granted => {
                    permit.admitted = remote.plan.clock.now();
                    return Ok(Permit::remote(set, permit, asked, terms.arrived(asked)));
                }
                Answer::Wait(wait) => tokio::time::sleep(wait).await,
                Answer::Never(refusal) => return Err(remote.refused(refusal)),
            }
            ask.waited = remote.plan.clock.now().since(asked);
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Permit<'a>, Error>> {
        self.0.as_mut().poll(context)
    }
}
