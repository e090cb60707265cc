//! Describing a limit set.

use std::sync::Arc;

use paceline_core::{Controller, CubicRate, Pacing, Quota};

use super::{LimitSet, Store};
use crate::adapt::Described;
use crate::backend::{Remote, RemoteSet};
use crate::clock::Clock;
use crate::error::Error;
use crate::local::Local;
use crate::plan::{Plan, Spec};
use crate::wait::{Hooks, Waiting};

/// Describes a limit set. Everything is checked by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "nothing is made until `build` is called"]
pub struct LimitSetBuilder {
    name: Arc<str>,
    limits: Vec<(Arc<str>, Spec)>,
    config: Vec<(Arc<str>, Arc<str>)>,
    clock: Clock,
    hooks: Hooks,
    described: Described,
    backend: Option<Arc<dyn Remote>>,
}

impl LimitSetBuilder {
    pub(super) fn new(name: Arc<str>) -> Self {
        let (limits, config, hooks) = (Vec::new(), Vec::new(), Hooks::default());
        let (clock, described) = (Clock::default(), Described::default());
        Self { name, limits, config, clock, hooks, described, backend: None }
    }

    /// A limit on calls, under the key `calls`: one unit a call, unless a demand names it.
    pub fn calls(self, quota: Quota) -> Self {
        self.calls_as("calls", quota)
    }

    /// A limit on calls under a key of its own.
    pub fn calls_as(self, key: impl Into<Arc<str>>, quota: Quota) -> Self {
        self.with(key, Spec::Calls(Arc::new(quota)))
    }

    /// A rate limit: charged only where a demand names it.
    pub fn rate(self, key: impl Into<Arc<str>>, quota: Quota) -> Self {
        self.with(key, Spec::Rate(Arc::new(quota)))
    }

    /// A resource limit: at most `capacity` units out at once; one unit a call, unless a demand names it.
    pub fn resource(self, key: impl Into<Arc<str>>, capacity: u64) -> Self {
        self.with(key, Spec::Resource(capacity))
    }

    /// A limit on calls in flight: the resource `concurrency`.
    pub fn concurrency(self, capacity: u64) -> Self {
        self.resource("concurrency", capacity)
    }

    /// Lets `controller` set how many may be in flight, from the verdicts that [`Permit::report`](crate::Permit::report)
    /// brings: the resource `concurrency`, which is made if it is missing. A [`concurrency`](Self::concurrency) that is
    /// stated as well is what the controller never exceeds.
    ///
    /// There is one state a set, shared by all who have a handle: a set is a quota group. Whatever shares a quota should
    /// share a set, and nothing else should.
    ///
    /// So it is for a set that lives [elsewhere](Self::backend), too: all its members' attempts count together, and one
    /// burst of refusals cuts once for all of them. [`Aimd`](crate::Aimd) without its latency guard is what can be shared:
    /// whoever makes the set begins, with what the controller was built with.
    pub fn adaptive(mut self, controller: impl Controller + Clone + Sync + 'static) -> Self {
        self.described.level(controller);
        self
    }

    /// Lets `controller` also limit the calls a second, for services whose rate is below one a round trip: the limit
    /// `adaptive_rate` on calls, beside whatever is stated, unlimited until the first refusal. Its state is the set's, as
    /// that of [`adaptive`](Self::adaptive); not for sets that live elsewhere.
    pub fn adaptive_rate(mut self, controller: CubicRate) -> Self {
        self.described.rate(controller);
        self
    }

    /// Lets `pacing` choose the burst, guard and anchor of the stated rate limit `key`, in place of its quota, from how
    /// calls end: for a service that does not say how it counts. It starts with a small burst, and at most four calls
    /// are in flight until the first answer. Where the set lives [elsewhere](Self::backend), each member learns for itself,
    /// and the most careful of those that are there counts for all. Tell it of each call's end by [`Permit::report`](crate::Permit::report)
    /// and, if the sender may be late, of its departure by [`Permit::sent`](crate::Permit::sent).
    ///
    /// ```
    /// use paceline::{LimitSet, Pacing, Quota};
    ///
    /// let quota = Quota::per_second(50);
    /// let api = LimitSet::builder("api").calls(quota).pacing("calls", Pacing::new(quota)?).build()?;
    /// assert_eq!(api.snapshot().limit("calls").unwrap().available, 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pacing(mut self, key: impl Into<Arc<str>>, pacing: Pacing) -> Self {
        self.described.pacing(key.into(), pacing);
        self
    }

    /// Finds limits that nobody stated: for each of `requests`, `tokens`, `input_tokens` and `output_tokens` that no limit
    /// of the set counts, two limits are added (`requests` and `requests/2`, and so on) that let everything pass until
    /// answers tell of one. What is told is then in force as if it had been stated, with [`pacing`](Self::pacing). Where no
    /// limit counts calls, at most four are in flight until an answer tells of a limit, or of none.
    ///
    /// It is the [layer](crate::tower::LimitLayer) (feature `tower`) that reads answers, by its dialect. Demands need name
    /// none of these limits; those on tokens count only what demands name, or what is settled. Not for sets that live
    /// elsewhere.
    pub fn find_limits(mut self) -> Self {
        self.described.finds();
        self
    }

    /// Labels the set, for whoever gets a permit of it from a pool: a region, an endpoint, the name of a key.
    pub fn config(mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.config.push((name.into(), value.into()));
        self
    }

    /// The clock it goes by (default: [`Clock::tokio`]).
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Calls `hook` whenever a demand begins to wait, in the caller that waits. A hook that panics harms nobody.
    pub fn on_wait(mut self, hook: impl Fn(&Waiting) + Send + Sync + 'static) -> Self {
        self.hooks.push(hook);
        self
    }

    /// Keeps the set's state elsewhere (default: in this process).
    pub fn backend(mut self, backend: impl Into<Arc<dyn Remote>>) -> Self {
        self.backend = Some(backend.into());
        self
    }

    /// Makes the set.
    ///
    /// # Errors
    ///
    /// Names the limit that cannot be kept, or the key that is given twice; of a set that lives elsewhere, the controller
    /// that cannot be shared, and what its backend says where that refuses it: it has that set with other limits, say.
    pub fn build(self) -> Result<LimitSet, Error> {
        let name = Arc::clone(&self.name);
        let set = self.template()?.make(name);
        if let Store::Remote(remote) = &set.0 {
            remote.check()?;
            remote.home()?;
        }
        Ok(set)
    }

    /// A description to make many sets from, all alike and independent, which share what never changes.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn template(self) -> Result<Template, Error> {
        let Self { name, mut limits, config, clock, hooks, mut described, backend } = self;
        if backend.is_some() {
            described.check_shared(&name)?;
        }
        described.settle_in(&name, &mut limits)?;
        if backend.is_none() {
            described.hold_back(&mut limits);
        }
        let plan = Plan::new(&name, limits, config, clock, hooks, described)?;
        Ok(Template { plan: Arc::new(plan), backend })
    }

    fn with(mut self, key: impl Into<Arc<str>>, spec: Spec) -> Self {
        self.limits.push((key.into(), spec));
        self
    }
}

/// A checked description of a limit set, to make many from: one a tenant, say.
///
/// ```
/// use paceline::{LimitSet, Quota};
///
/// let tenant = LimitSet::builder("tenant").calls(Quota::per_minute(60).burst(10)).concurrency(4).template()?;
/// let (a, b) = (tenant.make("a"), tenant.make("b"));
/// assert!(!a.is(&b));
/// assert_eq!(a.key("calls")?, b.key("calls")?, "key handles are the same for all of them");
/// # Ok::<(), paceline::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Template {
    pub(crate) plan: Arc<Plan>,
    backend: Option<Arc<dyn Remote>>,
}

impl Template {
    /// A new set of this description. One that lives elsewhere is opened by the first call on it.
    #[must_use]
    pub fn make(&self, name: impl Into<Arc<str>>) -> LimitSet {
        let (plan, name) = (Arc::clone(&self.plan), name.into());
        LimitSet(match &self.backend {
            None => Store::Local(Local::new(plan, name)),
            Some(backend) => Store::Remote(Arc::new(RemoteSet::new(plan, name, Arc::clone(backend)))),
        })
    }
}
