//! The seam behind which a set's state can live in another process or on another machine.
//!
//! A set lives in one backend, whose one atomic step (a lock, a script) grants a demand on all its limits or on none.
//! The backend owns the clock: what crosses the seam are waits from now, never instants. Every permit has an id that
//! its asker chose, so that an answer that was lost can be asked for again without charging twice, and a reservation
//! keeps its place in the queue under that id. What is out is the backend's to keep alive (a lease, a lock that the
//! kernel drops), and comes back by itself when its holder dies.

mod acquire;
mod ids;
mod learn;
mod learnt;
mod permit;
mod set;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::{
    AimdBuilder, Algorithm, ChangeError, Demand, Index, Limit, Quota, Refusal, ServerState, Time, Verdict, View,
};

use crate::adapt::Feedback;
use crate::error::Error;
use crate::set::LimitSet;

pub(crate) use acquire::RemoteAcquire;
pub use learnt::Learnt;
pub(crate) use permit::RemotePermit;
pub(crate) use set::RemoteSet;

/// What a backend's calls return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A permit's name, chosen at random by whoever asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PermitId(pub u128);

/// A limit as a backend is told of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LimitSpec {
    /// Units per period.
    Rate(Quota),
    /// Units at once.
    Resource(u64),
    /// Units at once, sized from how attempts end: at most one of a set.
    Adaptive(Sizing),
}

/// How a resource is sized: [`Learnt`] does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizing {
    /// The capacity that was stated, which is never exceeded.
    pub most: u64,
    /// How many may be out until the first answer, if that is held back.
    pub first: Option<u64>,
    /// The controller, if there is one: one with a latency guard cannot be shared, and is none.
    pub by: Option<AimdBuilder>,
}

impl LimitSpec {
    /// The limit, with nothing used and not yet sized.
    ///
    /// # Errors
    ///
    /// A quota that cannot be kept, or no capacity.
    pub fn make(&self, now: Time) -> Result<Limit, ChangeError> {
        match self {
            Self::Rate(quota) => Ok(Limit::rate(*quota, now)?),
            Self::Resource(capacity) | Self::Adaptive(Sizing { most: capacity, .. }) => Limit::resource(*capacity),
        }
    }

    /// Whether both describe the same limit. When a window is reset is told as of now, so that is no difference.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let timeless = |spec: &Self| match *spec {
            Self::Rate(quota) if quota.first_reset().is_some() => Self::Rate(quota.resets_in(Duration::ZERO)),
            other => other,
        };
        timeless(self) == timeless(other)
    }
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
    /// Nothing learnt.
    Unlearn,
    /// How carefully this member would have a quota counted. Of all members that are there the most careful counts
    /// ([`Quota::counted_as`]); until one says something, and once none is left that did, the quota as it was stated.
    Pace(Index, Quota),
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// So.
    pub verdict: Verdict,
    /// How long it took; to the first byte where the answer streams.
    pub duration: Duration,
    /// Whether the member's pacing has dealt with the refusal: it says nothing of how many may be in flight.
    pub explained: bool,
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
    /// What it has learnt: [`Learnt::feedback`].
    pub feedback: Feedback,
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

    /// Says how the attempt that a permit was for has ended: never blocks, never fails; where it gets lost, nothing is
    /// learnt from it. A refusal that names a wait closes the gate in the same step, for everybody.
    fn report(&self, permit: PermitId, report: Report);

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
