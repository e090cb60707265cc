//! A limit set whose state lives elsewhere.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paceline_core::{ChangeError, Demand, Index, LimitKind, LimitView, Quota, Refusal, View};
use parking_lot::Mutex;

use super::ids::Ids;
use super::learn::Paces;
use super::{Answer, Ask, BackendError, Change, Home, LimitSpec, Remote, RemotePermit, Sizing, Standing};
use crate::error::Error;
use crate::local::first;
use crate::permit::Permit;
use crate::plan::{Plan, Spec};
use crate::request::Terms;
use crate::set::{LimitSet, LimitSnapshot, Snapshot, not_now};

/// A set that lives elsewhere.
pub(crate) struct RemoteSet {
    pub(crate) plan: Arc<Plan>,
    pub(crate) name: Arc<str>,
    backend: Arc<dyn Remote>,
    home: OnceLock<Arc<dyn Home>>,
    ids: Ids,
    pub(super) paces: Mutex<Paces>,
}

impl RemoteSet {
    pub(crate) fn new(plan: Arc<Plan>, name: Arc<str>, backend: Arc<dyn Remote>) -> Self {
        let paces = Mutex::new(Paces::new(plan.described.make_paces()));
        Self { plan, name, backend, home: OnceLock::new(), ids: Ids::new(), paces }
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
        let sized = self.plan.described.sizing();
        self.plan.keys().iter().zip(self.plan.specs()).zip(0..).map(move |((key, spec), limit)| {
            let spec = match (spec, sized) {
                (Spec::Rate(quota) | Spec::Calls(quota), _) => LimitSpec::Rate(**quota),
                (Spec::Resource(_), Some((place, sizing))) if place == limit => LimitSpec::Adaptive(sizing),
                (Spec::Resource(capacity), _) => LimitSpec::Resource(*capacity),
            };
            (Arc::clone(key), spec)
        })
    }

    pub(super) fn ask(&self, demand: Demand, terms: &Terms) -> Ask {
        let waited = terms.arrival.map_or(Duration::ZERO, |arrival| self.plan.clock.now().since(arrival.at));
        Ask { permit: self.ids.next(), demand, priority: terms.priority, waited, within: terms.deadline }
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

    pub(super) fn refused(&self, refusal: Refusal) -> Error {
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
            LimitSpec::Resource(_) | LimitSpec::Adaptive(_) => Ok(()),
        })
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.try_snapshot().unwrap_or_else(|_| self.described())
    }

    pub(crate) fn try_snapshot(&self) -> Result<Snapshot, Error> {
        let standing = self.home()?.standing().map_err(|error| error.named(&self.name))?;
        let Standing { view, active, members, feedback } = standing;
        let limits = self.plan.keys().iter().zip(view.limits);
        let limits = limits.map(|(key, view)| LimitSnapshot { key: Arc::clone(key), view }).collect();
        let View { waiting, granted, paused, closed, .. } = view;
        let idle = Snapshot::idle(Arc::clone(&self.name), limits);
        Ok(Snapshot { waiting, granted, active, members, feedback, paused, closed, ..idle })
    }

    fn described(&self) -> Snapshot {
        let limits = self.specs().map(|(key, spec)| {
            let (kind, capacity) = match spec {
                LimitSpec::Rate(quota) => (LimitKind::Rate(quota), quota.capacity()),
                LimitSpec::Resource(capacity) | LimitSpec::Adaptive(Sizing { most: capacity, .. }) => {
                    (LimitKind::Resource, capacity)
                }
            };
            LimitSnapshot { key, view: LimitView { kind, capacity, used: 0, available: capacity, debt: 0 } }
        });
        Snapshot::idle(Arc::clone(&self.name), limits.collect())
    }
}
