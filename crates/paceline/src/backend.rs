//! The seam behind which a set's state can live in another process or on another machine.
//!
//! A set lives in one backend, whose one atomic step (a lock, a script) grants a demand on all its limits or on none.
//! The backend owns the clock: what crosses the seam are waits from now, never instants. Every permit has an id that
//! its asker chose, so that an answer that was lost can be asked for again without charging twice, and a reservation
//! keeps its place in the queue under that id. What is out is the backend's to keep alive (a lease, a lock that the
//! kernel drops), and comes back by itself when its holder dies.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use paceline_core::{
    Algorithm, ChangeError, Demand, Index, LimitKind, LimitView, Quota, Refusal, ServerState, Time, View,
};
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
    /// What it asks for, by the index of the limit in the set's description.
    pub demand: Demand,
    /// How urgent it is.
    pub priority: paceline_core::Priority,
    /// How long ago it first arrived: its place is that of one that came then.
    pub waited: Duration,
    /// How long it would wait from now on. The asker keeps that too; a backend that knows better can say so sooner.
    pub within: Option<Duration>,
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
    /// Not to be granted [within](Ask::within) the time it would wait.
    TooLate,
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
    /// The service's word, and the permit of the call whose answer carried it, if it is known.
    Sync(Index, ServerState, Option<PermitId>),
    /// Nothing used.
    Reset,
    /// No more grants.
    Close,
}

/// A set as its backend sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its limits, and who waits.
    pub view: View,
    /// Permits that are out, of all its members.
    pub active: u64,
    /// Who shares it: processes, or clients.
    pub members: usize,
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
        self.named(set.shared_name())
    }

    pub(crate) fn named(self, set: &Arc<str>) -> Error {
        let Self { message, retryable } = self;
        Error::Backend { set: Arc::clone(set), message, retryable }
    }
}

/// Where limit sets can live other than in this process.
pub trait Remote: fmt::Debug + Send + Sync + 'static {
    /// How it can count rates.
    fn algorithms(&self) -> &[Algorithm];

    /// Gets to know a set: its keys, and a limit for each. A set of that name with other limits is an error that says
    /// what differs. Does no round trip: what only one can tell, the first call on the set tells.
    fn open(&self, set: &Arc<str>, limits: &[(Arc<str>, LimitSpec)]) -> Result<Arc<dyn Home>, BackendError>;
}

/// Where one set lives. Limits are named by their index in its description.
///
/// All futures are safe to drop: whoever drops one calls [`forget`](Self::forget).
pub trait Home: fmt::Debug + Send + Sync + 'static {
    /// Grants a demand on all its limits or on none, or keeps its place. Whether it answers [`Answer::Wait`] or waits
    /// itself is its own matter.
    fn acquire<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answer, BackendError>>;

    /// The same at once and keeping no place; across a network, from what this process holds in advance.
    fn try_acquire(&self, ask: &Ask) -> Result<Answer, BackendError>;

    /// Corrects what a permit was charged: never blocks, never fails; where it gets lost, the estimate stands.
    fn settle(&self, permit: PermitId, actual: Demand);

    /// Gives a permit back and says whether that arrived.
    fn release(&self, permit: PermitId) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Gives a permit or a place back: never blocks, never fails; where it gets lost, it comes back with its holder's
    /// end. A grant that was never answered is taken back as if it had not been.
    fn forget(&self, permit: PermitId);

    /// Whether a permit that is out was given to somebody else, because its holder was taken for dead.
    fn is_lost(&self, permit: PermitId) -> bool {
        let _ = permit;
        false
    }

    /// Changes the set while it is in use: it is in force, or on its way there.
    fn change(&self, change: Change) -> Result<(), BackendError>;

    /// How the set stands, as far as that can be told at once.
    fn standing(&self) -> Result<Standing, BackendError>;
}

/// A set that lives elsewhere.
pub(crate) struct RemoteSet {
    pub(crate) plan: Arc<Plan>,
    pub(crate) name: Arc<str>,
    backend: Arc<dyn Remote>,
    home: OnceLock<Arc<dyn Home>>,
}

impl RemoteSet {
    pub(crate) fn new(plan: Arc<Plan>, name: Arc<str>, backend: Arc<dyn Remote>) -> Self {
        Self { plan, name, backend, home: OnceLock::new() }
    }

    /// Where it lives; opened by the first that needs it.
    pub(crate) fn home(&self) -> Result<&Arc<dyn Home>, Error> {
        if let Some(home) = self.home.get() {
            return Ok(home);
        }
        let limits: Vec<_> = self.specs().collect();
        let opened = self.backend.open(&self.name, &limits).map_err(|error| error.named(&self.name))?;
        Ok(self.home.get_or_init(|| opened))
    }

    fn specs(&self) -> impl Iterator<Item = (Arc<str>, LimitSpec)> + '_ {
        self.plan.keys().iter().zip(self.plan.specs()).map(|(key, spec)| match spec {
            Spec::Rate(quota) | Spec::Calls(quota) => (Arc::clone(key), LimitSpec::Rate(**quota)),
            Spec::Resource(capacity) => (Arc::clone(key), LimitSpec::Resource(*capacity)),
        })
    }

    fn ask(&self, demand: Demand, terms: &Terms) -> Ask {
        let waited = terms.arrival.map_or(Duration::ZERO, |arrival| self.plan.clock.now().since(arrival.at));
        let permit = PermitId(rand::random());
        Ask { permit, demand, priority: terms.priority, waited, within: terms.deadline }
    }

    pub(crate) fn try_acquire<'a>(
        &self,
        set: &'a LimitSet,
        demand: Demand,
        terms: &Terms,
    ) -> Result<Permit<'a>, Error> {
        let home = self.home()?;
        let ask = self.ask(demand, terms);
        match home.try_acquire(&ask).map_err(|error| error.of(set))? {
            Answer::Granted => {
                let now = self.plan.clock.now();
                Ok(Permit::remote(set, RemotePermit::new(home, ask.permit, ask.demand, now), now, first(now)))
            }
            Answer::Wait(wait) => Err(not_now(&self.name, wait)),
            Answer::TooLate => Err(not_now(&self.name, Duration::MAX)),
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

    /// What would be wrong with a change of one limit anywhere.
    pub(crate) fn change(&self, change: Change) -> Result<(), Error> {
        let wrong = match change {
            Change::Quota(limit, quota) if self.is_rate(limit) => {
                quota.validate().err().map(|error| (limit, ChangeError::from(error)))
            }
            Change::Quota(limit, _) | Change::Sync(limit, ..) if !self.is_rate(limit) => {
                Some((limit, ChangeError::NotARate))
            }
            Change::Capacity(limit, _) if self.is_rate(limit) => Some((limit, ChangeError::NotAResource)),
            Change::Capacity(limit, 0) => Some((limit, ChangeError::ZeroCapacity)),
            _ => None,
        };
        if let Some((limit, wrong)) = wrong {
            return Err(Error::limit(&self.name, &self.plan.keys()[usize::from(limit)], wrong));
        }
        if let Change::Quota(_, quota) = change {
            self.supports(&quota)?;
        }
        self.home()?.change(change).map_err(|error| error.named(&self.name))
    }

    fn is_rate(&self, limit: Index) -> bool {
        !matches!(self.plan.specs()[usize::from(limit)], Spec::Resource(_))
    }

    /// Whether the backend can count as a quota wants it.
    fn supports(&self, quota: &Quota) -> Result<(), Error> {
        let algorithms = self.backend.algorithms();
        if algorithms.contains(&quota.kind()) {
            return Ok(());
        }
        let message = format!("it cannot count by {:?}; it can by {algorithms:?}", quota.kind());
        Err(BackendError { message, retryable: false }.named(&self.name))
    }

    /// Whether the backend can keep all its limits.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.specs().try_for_each(|(_, spec)| match spec {
            LimitSpec::Rate(quota) => self.supports(&quota),
            LimitSpec::Resource(_) => Ok(()),
        })
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        match self.home().and_then(|home| home.standing().map_err(|error| error.named(&self.name))) {
            Ok(Standing { view, active, .. }) => {
                let limits = self.plan.keys().iter().zip(view.limits);
                let limits = limits.map(|(key, view)| LimitSnapshot { key: Arc::clone(key), view }).collect();
                let View { waiting, granted, paused, closed, .. } = view;
                Snapshot { waiting, granted, active, paused, closed, ..Snapshot::idle(Arc::clone(&self.name), limits) }
            }
            Err(_) => self.described(),
        }
    }

    fn described(&self) -> Snapshot {
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
    home: Arc<dyn Home>,
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
    fn new(home: &Arc<dyn Home>, id: PermitId, demand: Demand, admitted: Time) -> Self {
        Self { id, home: Arc::clone(home), charged: Mutex::new(demand), admitted, done: false }
    }

    pub(crate) fn id(&self) -> PermitId {
        self.id
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.home.is_lost(self.id)
    }

    pub(crate) fn settle(&self, actual: Demand) {
        let mut charged = self.charged.lock();
        let unnamed = charged.parts().iter().filter(|part| actual.units(part.limit).is_none());
        let merged = unnamed.chain(actual.parts()).map(|part| (part.limit, part.units)).collect();
        *charged = merged;
        self.home.settle(self.id, actual);
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
        let released = self.home.release(self.id).await;
        self.done = true;
        released
    }

    /// Gives it back without a word.
    pub(crate) fn forget(&mut self) {
        if !std::mem::replace(&mut self.done, true) {
            self.home.forget(self.id);
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
                Some(deadline) => {
                    timed(remote)?;
                    let late = |_| Err(Error::DeadlineExceeded { set: Arc::clone(&remote.name), deadline });
                    tokio::time::timeout(deadline, wait).await.unwrap_or_else(late)
                }
            }
        }))
    }

    async fn wait(set: &'a LimitSet, remote: &RemoteSet, demand: Demand, terms: &Terms) -> Result<Permit<'a>, Error> {
        let home = remote.home()?;
        let asked = remote.plan.clock.now();
        let mut ask = remote.ask(demand, terms);
        let waited = ask.waited;
        // Made before the answer is known, so that a lost answer or a dropped wait is given back too.
        let mut permit = RemotePermit::new(home, ask.permit, ask.demand.clone(), asked);
        loop {
            match home.acquire(&ask).await.map_err(|error| error.of(set))? {
                Answer::Granted => {
                    permit.admitted = remote.plan.clock.now();
                    return Ok(Permit::remote(set, permit, asked, terms.arrived(asked)));
                }
                Answer::Wait(wait) => {
                    timed(remote)?;
                    tokio::time::sleep(wait).await;
                }
                Answer::Never(refusal) => return Err(remote.refused(refusal)),
                Answer::TooLate => {
                    let deadline = terms.deadline.unwrap_or_default();
                    return Err(Error::DeadlineExceeded { set: Arc::clone(&remote.name), deadline });
                }
            }
            let since = remote.plan.clock.now().since(asked);
            ask.waited = waited + since;
            ask.within = terms.deadline.map(|deadline| deadline.saturating_sub(since));
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Permit<'a>, Error>> {
        self.0.as_mut().poll(context)
    }
}

/// Whether there is somebody to keep the time.
fn timed(remote: &RemoteSet) -> Result<(), Error> {
    let runtime = tokio::runtime::Handle::try_current();
    runtime.map(|_| ()).map_err(|_| Error::NoRuntime { set: Arc::clone(&remote.name) })
}
