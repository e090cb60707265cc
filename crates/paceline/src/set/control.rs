//! Watching a set and changing it while it is in use.

use std::sync::Arc;
use std::time::Duration;

use paceline_core::{ChangeError, Grant, LimitView, Quota, ServerState};

use super::{LimitSet, Store};
use crate::adapt::{Feedback, Verdicts};
use crate::backend::Change;
use crate::error::Error;
use crate::key::Named;
use crate::local::Local;
use crate::plan::Spec;

/// A set as it stands: every figure a monitor would want.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The set.
    pub name: Arc<str>,
    /// Its limits.
    pub limits: Vec<LimitSnapshot>,
    /// Demands that wait.
    pub waiting: usize,
    /// Demands granted since it was made.
    pub granted: u64,
    /// Permits that are out.
    pub active: u64,
    /// Who shares it: one for a set of this process, else the processes or clients that its backend counts.
    pub members: usize,
    /// Of those granted, how many had to wait.
    pub waits: u64,
    /// How long those waited together.
    pub waited: Duration,
    /// What it has learnt from how attempts ended.
    pub feedback: Feedback,
    /// How long the gate stays closed, if it is.
    pub paused: Option<Duration>,
    /// Whether the set was closed.
    pub closed: bool,
}

impl Snapshot {
    pub(crate) fn idle(name: Arc<str>, limits: Vec<LimitSnapshot>) -> Self {
        let (waiting, granted, active, waits, waited) = (0, 0, 0, 0, Duration::ZERO);
        let feedback = Feedback::default();
        let (members, paused, closed) = (1, None, false);
        Self { name, limits, waiting, granted, active, members, waits, waited, feedback, paused, closed }
    }

    /// The limit of that key.
    #[must_use]
    pub fn limit(&self, key: &str) -> Option<&LimitView> {
        self.limits.iter().find(|limit| &*limit.key == key).map(|limit| &limit.view)
    }
}

/// One limit as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LimitSnapshot {
    /// Its key.
    pub key: Arc<str>,
    /// Its figures.
    pub view: LimitView,
}

impl LimitSet {
    /// The set as it stands. Of a set that lives elsewhere: what its backend can tell at once, of all who share it, without
    /// what is only known of this process; where it cannot tell, the limits as they were described and nothing used.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        match &self.0 {
            Store::Local(local) => local.snapshot(),
            Store::Remote(remote) => remote.snapshot(),
        }
    }

    /// The same, or why its backend cannot tell: one that is away, say, or that has heard nothing of the set yet.
    ///
    /// # Errors
    ///
    /// Only where the set lives elsewhere, and that fails.
    pub fn try_snapshot(&self) -> Result<Snapshot, Error> {
        match &self.0 {
            Store::Local(local) => Ok(local.snapshot()),
            Store::Remote(remote) => remote.try_snapshot(),
        }
    }

    /// Puts another quota in force on a rate limit. What stands charged stays; waiting demands are looked at anew, and
    /// one that can no longer be granted ends with an error. Lengthening a period cannot recall what has already left
    /// the window. Where [pacing](crate::LimitSetBuilder::pacing) chooses how that limit counts, it does so for this quota
    /// from now on.
    ///
    /// # Errors
    ///
    /// An unknown key, a resource, or a quota that cannot be kept; nothing has changed then.
    pub fn set_quota(&self, key: impl Named, quota: Quota) -> Result<(), Error> {
        let index = key.index(self)?;
        if let Store::Remote(remote) = &self.0 {
            return remote.requote(index, quota);
        }
        let local = self.local("changing a quota")?;
        let changed = local.step(|guard, now, events| {
            let learning = guard.learning.as_mut();
            let quota = learning.map_or(Ok(quota), |learning| learning.requoted(index, quota))?;
            let changed = guard.set.set_quota(now, index, quota, events);
            local.note_completion(&guard.set);
            changed
        });
        changed.map_err(|source| self.limit_error(index, source))
    }

    /// Puts another capacity in force on a resource limit. Units out above it are a debt that returning permits pay. Where
    /// a controller sizes that limit, it is the most that the controller can give.
    ///
    /// # Errors
    ///
    /// An unknown key, a rate, or a capacity of zero; nothing has changed then.
    pub fn set_capacity(&self, key: impl Named, capacity: u64) -> Result<(), Error> {
        let index = key.index(self)?;
        if let Store::Remote(remote) = &self.0 {
            return remote.change(Change::Capacity(index, capacity));
        }
        let local = self.local("changing a capacity")?;
        let changed = local.step(|guard, now, events| {
            let learning = guard.learning.as_mut();
            let capacity = learning.map_or(capacity, |learning| learning.restated(index, capacity));
            guard.set.set_capacity(now, index, capacity, events)
        });
        changed.map_err(|source| self.limit_error(index, source))
    }

    /// Grants nothing for `pause` (Retry-After, say); a longer pause that already runs stays.
    ///
    /// # Errors
    ///
    /// Only where the set lives elsewhere, and that fails.
    pub fn pause_for(&self, pause: Duration) -> Result<(), Error> {
        match &self.0 {
            Store::Remote(remote) => return remote.change(Change::Pause(pause)),
            Store::Local(local) => local.step(|guard, now, events| guard.set.pause(now, pause, events)),
        };
        Ok(())
    }

    /// Ends a pause.
    ///
    /// # Errors
    ///
    /// Only where the set lives elsewhere, and that fails.
    pub fn resume(&self) -> Result<(), Error> {
        match &self.0 {
            Store::Remote(remote) => return remote.change(Change::Resume),
            Store::Local(local) => local.step(|guard, now, events| guard.set.resume(now, events)),
        };
        Ok(())
    }

    /// Takes the service's word on one limit, counted as read just now. Where the permit of the call that it answered is
    /// at hand, [`Permit::sync`](crate::Permit::sync) knows more.
    ///
    /// # Errors
    ///
    /// An unknown key, a resource, or a failing backend.
    pub fn sync(&self, key: impl Named, state: ServerState) -> Result<(), Error> {
        self.sync_with(key, state, None)
    }

    /// Charges a rate what was spent on it before this set was made, by a process that was killed, say: units and how long
    /// ago each were, in any order. The limit then stands as if it had been there when they were, so that no window over
    /// the restart holds more than the quota. Costs a sort and a charge each.
    ///
    /// Before the first demand: what is known of the past cannot be put below what was charged since.
    ///
    /// ```
    /// use paceline::{LimitSet, Quota};
    /// use std::time::Duration;
    ///
    /// let set = LimitSet::builder("api").calls(Quota::per_minute(3)).build()?;
    /// set.recall("calls", [(Duration::from_secs(70), 3), (Duration::from_secs(20), 2)])?;
    /// assert_eq!(set.snapshot().limit("calls").unwrap().available, 1);
    /// # Ok::<(), paceline::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An unknown key, a resource, a limit that was charged already, or a set that lives elsewhere; nothing has changed
    /// then.
    pub fn recall(&self, key: impl Named, past: impl IntoIterator<Item = (Duration, u64)>) -> Result<(), Error> {
        let index = key.index(self)?;
        let recalled = self.local("recalling")?.step(|guard, now, events| guard.set.recall(now, index, past, events));
        recalled.map_err(|source| self.limit_error(index, source))
    }

    /// Forgets all that the rates were charged: full again. What is out of a resource stays out.
    ///
    /// # Errors
    ///
    /// Only where the set lives elsewhere, and that fails.
    pub fn reset(&self) -> Result<(), Error> {
        match &self.0 {
            Store::Remote(remote) => return remote.change(Change::Reset),
            Store::Local(local) => local.step(|guard, now, events| guard.set.reset(now, events)),
        };
        Ok(())
    }

    /// Ends all waiting with [`Error::Closed`] and refuses whatever comes. Permits that are out stay good.
    ///
    /// # Errors
    ///
    /// Only where the set lives elsewhere, and that fails.
    pub fn close(&self) -> Result<(), Error> {
        match &self.0 {
            Store::Remote(remote) => return remote.change(Change::Close),
            Store::Local(local) => local.step(|guard, _, events| guard.set.close(events)),
        }
        Ok(())
    }

    /// Makes this set, live, what `other` is: the same keys, with the other's quotas and capacities, and its controllers
    /// anew.
    pub(crate) fn become_like(&self, other: &Self) -> Result<(), Error> {
        let differs = |why: String| Error::Incompatible { set: Arc::clone(self.shared_name()), why };
        if self.plan().keys() != other.plan().keys() {
            let names = |set: &Self| set.keys().collect::<Vec<_>>().join(", ");
            return Err(differs(format!("it has the limits {}, the other {}", names(self), names(other))));
        }
        let specs = || self.plan().keys().iter().zip(self.plan().specs()).zip(other.plan().specs());
        for ((key, ours), theirs) in specs() {
            if std::mem::discriminant(ours) != std::mem::discriminant(theirs) {
                return Err(differs(format!("`{key}` is of another sort there")));
            }
        }
        if !self.plan().described.is_like(&other.plan().described) {
            return Err(differs("only one of them has that controller".into()));
        }
        let local = self.local("becoming another set")?;
        let controllers = other.plan().described.make();
        if controllers.is_some() {
            // The old ones would take what follows for their ceilings.
            local.step(|guard, _, _| guard.learning = None);
        }
        for ((key, _), theirs) in specs() {
            match theirs {
                Spec::Rate(quota) | Spec::Calls(quota) => self.set_quota(&**key, **quota)?,
                Spec::Resource(capacity) => self.set_capacity(&**key, *capacity)?,
            }
        }
        if controllers.is_some() {
            local.step(|guard, _, _| guard.learning = controllers);
        }
        Ok(())
    }

    pub(crate) fn sync_with(&self, key: impl Named, state: ServerState, grant: Option<&Grant>) -> Result<(), Error> {
        let index = key.index(self)?;
        if let Store::Remote(remote) = &self.0 {
            remote.heard(index, state.remaining);
            return remote.change(Change::Sync(index, state, None));
        }
        let local = self.local("taking the service's word")?;
        let taken = local.step(|guard, now, events| {
            if let Some(learning) = &mut guard.learning {
                learning.heard(index, state.remaining);
            }
            guard.set.sync(now, index, &state, grant, events)
        });
        taken.map_err(|source| self.limit_error(index, source))
    }

    pub(crate) fn local(&self, what: &'static str) -> Result<&Arc<Local>, Error> {
        match &self.0 {
            Store::Local(local) => Ok(local),
            Store::Remote(_) => Err(Error::LocalOnly { set: Arc::clone(self.shared_name()), what }),
        }
    }

    fn limit_error(&self, index: u16, source: ChangeError) -> Error {
        Error::limit(self.shared_name(), &self.plan().keys()[usize::from(index)], source)
    }
}

impl Local {
    /// Whether a set made anew from its description would be no different.
    pub(crate) fn is_as_new(&self) -> bool {
        let snapshot = self.snapshot();
        let mut limits = snapshot.limits.iter().zip(self.plan.specs());
        let untouched = limits.all(|(limit, spec)| limit.view.used == 0 && spec.describes(&limit.view));
        let learnt = !self.plan.described.is_empty() && snapshot.feedback.verdicts != Verdicts::default();
        let idle = snapshot.active == 0 && snapshot.waiting == 0 && !learnt;
        untouched && idle && snapshot.paused.is_none() && !snapshot.closed
    }

    fn snapshot(&self) -> Snapshot {
        let mut guard = self.lock();
        let view = guard.set.view(self.now());
        let limits = self.plan.keys().iter().zip(view.limits);
        Snapshot {
            name: Arc::clone(&self.name),
            limits: limits.map(|(key, view)| LimitSnapshot { key: Arc::clone(key), view }).collect(),
            waiting: view.waiting,
            granted: view.granted,
            active: self.active(&guard),
            members: 1,
            waits: guard.keeper.as_ref().map_or(0, |keeper| keeper.waits),
            waited: guard.keeper.as_ref().map_or(Duration::ZERO, |keeper| keeper.waited),
            feedback: guard.learning.as_ref().map_or_else(Feedback::default, |learning| learning.feedback()),
            paused: view.paused,
            closed: view.closed,
        }
    }
}
