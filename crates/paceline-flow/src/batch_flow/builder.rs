//! Describing a batch flow.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use paceline::{Aimd, Controller, LimitSet, Pipeline, Quota, Retry, Template};

use super::control::Control;
use super::stats::Counts;
use super::{BatchFlow, Label, OnOutcome, Outcome, Post, Prep, Report, Shop};
use crate::action::Action;
use crate::error::Error;
use crate::event::Event;
use crate::failure::Result;
use crate::flow::Flow;
use crate::presets::{FlowPreset, Level};

/// Describes a batch flow. Everything is checked by [`build`](Self::build).
///
/// | what | default | |
/// |---|---|---|
/// | [`max_concurrent_flows`](Self::max_concurrent_flows) | 5 | instances at once, and so slots |
/// | [`adaptive`](Self::adaptive) | not | instances at once as learnt from how they end |
/// | [`max_flows_per_minute`](Self::max_flows_per_minute) | any | instances started in any minute |
/// | [`prep`](Self::prep) | none | what yields the parameters |
/// | [`post`](Self::post) | none | what folds the outcomes |
/// | [`retry`](Self::retry) | one attempt | when an instance is begun again |
/// | [`deadline`](Self::deadline) | none | when a run is ended |
/// | [`fail_fast`](Self::fail_fast) | never | how many may fail |
#[must_use = "nothing is made until `build` is called"]
pub struct BatchFlowBuilder<'n, S, P> {
    name: Arc<str>,
    flow: Flow<'n, S, P>,
    level: Level,
    per_minute: Option<u64>,
    retry: Option<Retry>,
    deadline: Option<Duration>,
    fail_fast: Option<u8>,
    prep: Option<Prep<'n, S, P>>,
    post: Option<Post<'n, S>>,
    on_outcome: Option<OnOutcome<'n, S>>,
    label: Option<Label<'n, P>>,
}

impl<'n, S: Sync, P: Send + Sync> BatchFlowBuilder<'n, S, P> {
    pub(super) fn new(flow: Flow<'n, S, P>) -> Self {
        Self {
            name: "flow".into(),
            flow,
            level: Level::Fixed(5),
            per_minute: None,
            retry: None,
            deadline: None,
            fail_fast: None,
            prep: None,
            post: None,
            on_outcome: None,
            label: None,
        }
    }

    /// Its name, in messages and as that of its limit set (default: `flow`).
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// At most so many instances at once.
    pub fn max_concurrent_flows(mut self, instances: u64) -> Self {
        self.level = Level::Fixed(instances);
        self
    }

    /// As many instances at once as `controller` learns: one that completes is a success, and one that ends with a rate
    /// limit that a node [hands on](crate::Limits::propagate_rate_limit) cuts. Other failures say nothing.
    pub fn adaptive(mut self, controller: Aimd) -> Self {
        self.level = Level::Adaptive(controller);
        self
    }

    /// At most so many instances start in any minute.
    pub fn max_flows_per_minute(mut self, instances: u64) -> Self {
        self.per_minute = Some(instances);
        self
    }

    /// The figures of a [preset](crate::presets).
    pub fn preset(mut self, preset: &FlowPreset) -> Self {
        self.level = preset.level();
        self.per_minute = preset.max_flows_per_minute;
        self
    }

    /// Begins an instance again that has failed, from its start, as another attempt under the flow's limits (default:
    /// one attempt). What its nodes wrote to the shared state stays, so they have to stand being repeated. An instance
    /// that panicked is not begun again.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Ends a run when it has lasted so long: what is under way then is cancelled.
    pub fn deadline(mut self, longest: Duration) -> Self {
        self.deadline = Some(longest);
        self
    }

    /// Begins nothing more when more than so many percent of the instances that ended have failed, judged over at least
    /// a hundred; with 0, when one has.
    pub fn fail_fast(mut self, percent: u8) -> Self {
        self.fail_fast = Some(percent);
        self
    }

    /// What yields the parameters of the instances, from the shared state.
    pub fn prep(mut self, prep: impl Fn(&S) -> Result<Vec<P>> + Send + Sync + 'n) -> Self {
        self.prep = Some(Prep::Now(Box::new(prep)));
        self
    }

    /// The same where that has to be waited for: `|shared| Box::pin(async move { … })`.
    pub fn prep_async<F>(mut self, prep: F) -> Self
    where
        F: for<'s> Fn(&'s S) -> BoxFuture<'s, Result<Vec<P>>> + Send + Sync + 'n,
    {
        self.prep = Some(Prep::Later(Box::new(prep)));
        self
    }

    /// What folds the outcomes into the shared state at the end of a run, and names the action of the whole.
    pub fn post(mut self, post: impl Fn(&S, &Report) -> Result<Action> + Send + Sync + 'n) -> Self {
        self.post = Some(Post::Now(Box::new(post)));
        self
    }

    /// The same where that has to wait for something.
    pub fn post_async<F>(mut self, post: F) -> Self
    where
        F: for<'s> Fn(&'s S, &'s Report) -> BoxFuture<'s, Result<Action>> + Send + Sync + 'n,
    {
        self.post = Some(Post::Later(Box::new(post)));
        self
    }

    /// Calls `told` with what became of each instance, as they end: the report keeps only those that did not complete.
    /// One that panics harms nobody.
    pub fn on_outcome(mut self, told: impl Fn(&S, &Outcome) + Send + Sync + 'n) -> Self {
        self.on_outcome = Some(Box::new(told));
        self
    }

    /// Calls `told` for each [`Event`], where it happens: it should be quick. One that panics harms nobody.
    pub fn on_event(mut self, told: impl Fn(&Event<'_>) + Send + Sync + 'n) -> Self {
        self.flow = self.flow.on_event(told);
        self
    }

    /// What an instance is called in outcomes and reports, by its parameters.
    pub fn label(mut self, label: impl Fn(&P) -> String + Send + Sync + 'n) -> Self {
        self.label = Some(Box::new(label));
        self
    }

    /// Makes the batch flow.
    ///
    /// # Errors
    ///
    /// [`Error::FlowLimits`] names the first value that is out of its range.
    pub fn build(self) -> Result<BatchFlow<'n, S, P>, Error> {
        let Self { name, flow, level, per_minute, retry, deadline, fail_fast, prep, post, on_outcome, label } = self;
        let mut limits = LimitSet::builder(Arc::clone(&name));
        let slots = match &level {
            Level::Fixed(instances) => *instances,
            Level::Adaptive(controller) => controller.most(),
        };
        limits = match level {
            Level::Fixed(instances) => limits.concurrency(instances),
            Level::Adaptive(controller) => limits.adaptive(controller),
        };
        if let Some(instances) = per_minute {
            limits = limits.calls(Quota::per_minute(instances));
        }
        let limits = limits.template().map_err(Error::FlowLimits)?;
        if let Some(percent) = fail_fast.filter(|percent| *percent > 100) {
            return Err(parameter("fail_fast", percent, "a percentage, 0 to 100"));
        }
        if deadline.is_some_and(|deadline| deadline.is_zero()) {
            return Err(parameter("deadline", "0s", "above zero, or left out"));
        }
        let shop = shop(&name, &limits, retry.as_ref()).map_err(Error::FlowLimits)?;
        let (control, counts) = (Arc::<Control>::default(), Counts::default());
        Ok(BatchFlow {
            name,
            flow,
            limits,
            slots,
            per_minute,
            retry,
            deadline,
            fail_fast,
            prep,
            post,
            on_outcome,
            label,
            shop,
            control,
            counts,
        })
    }
}

impl<S, P> BatchFlow<'_, S, P> {
    /// Another shop, for another place where it is nested.
    pub(crate) fn open_shop(&self) -> Shop {
        shop(&self.name, &self.limits, self.retry.as_ref()).expect("one was made when the batch flow was built")
    }
}

fn shop(name: &Arc<str>, limits: &Template, retry: Option<&Retry>) -> Result<Shop, paceline::Error> {
    let limits = limits.make(Arc::clone(name));
    let pipeline = match retry {
        Some(retry) => Pipeline::over(&limits).retry(retry.clone()).build()?,
        None => Pipeline::from(&limits),
    };
    Ok(Shop::new(limits, pipeline))
}

fn parameter(parameter: &'static str, value: impl ToString, range: &str) -> Error {
    Error::FlowLimits(paceline::Error::Parameter { parameter, value: value.to_string(), range: range.into() })
}
