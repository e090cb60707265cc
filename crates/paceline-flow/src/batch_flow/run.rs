//! One run of a batch flow: instances in, outcomes out.

use std::collections::HashMap;
use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{Stream, StreamExt};
use paceline::{Batch, BatchHandle, BatchItem, CallError};
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use super::control::Registered;
use super::each::{Each, Instance};
use super::input::{Input, Rest};
use super::{BatchFlow, Ended, Ending, Outcome, Post, Report, Shop, Warning};
use crate::action::Action;
use crate::event::{Event, Watch};
use crate::failure::{Cause, Failure, Result};
use crate::panics::{guarded, guarded_now};

/// A run under way.
pub(crate) struct Run<'a, 'n, S, P> {
    flow: &'a BatchFlow<'n, S, P>,
    shared: &'a S,
    watch: Option<&'a Watch<'a>>,
    common: Arc<Common>,
    instances: Pin<Box<dyn Stream<Item = BatchItem<Ended, Failure>> + Send + 'a>>,
    /// The indices of what was left in the input when it was ended.
    left: Option<std::ops::Range<u64>>,
    rest: Arc<dyn Rest + 'a>,
    began: Instant,
    /// Not begun until it is polled: before that there may be no runtime.
    longest: Option<Duration>,
    deadline: Option<Pin<Box<Sleep>>>,
    handle: BatchHandle,
    _registered: Registered,
}

/// What all instances of a run share.
#[derive(Default)]
pub(super) struct Common {
    pub(super) warnings: Mutex<Vec<Warning>>,
    /// Of the instances in progress.
    labels: Mutex<HashMap<u64, String>>,
}

impl<'a, 'n: 'a, S: Sync, P: Send + Sync> Run<'a, 'n, S, P> {
    pub(crate) fn new<I>(
        flow: &'a BatchFlow<'n, S, P>,
        shop: &'a Shop,
        watch: Option<&'a Watch<'a>>,
        shared: &'a S,
        params: I,
    ) -> Self
    where
        I: IntoIterator<Item = P, IntoIter: Send + 'a>,
    {
        let common = Arc::<Common>::default();
        let input = Arc::new(Input::new(params.into_iter()));
        let (source, labels) = (Arc::clone(&input), Arc::clone(&common));
        let items = std::iter::from_fn(move || {
            let (index, params) = source.take()?;
            if let Some(label) = &flow.label {
                let label = guarded_now(|| label(&params)).ok();
                labels.labels.lock().extend(label.map(|label| (index, label)));
            }
            Some(Instance { index, params: Arc::new(params) })
        });
        let mut batch = Batch::over(&shop.pipeline);
        if let Some(percent) = flow.fail_fast {
            batch = batch.fail_fast(percent);
        }
        let handle = batch.handle();
        let each = Each { flow, shop, watch, shared, common: Arc::clone(&common) };
        let call = move |instance, attempt| each.clone().run(instance, attempt);
        let instances = batch.stream(items, call).expect("its rules were checked when the batch flow was built");
        Self {
            flow,
            shared,
            watch,
            common,
            instances: Box::pin(instances),
            left: None,
            rest: input,
            began: Instant::now(),
            longest: flow.deadline,
            deadline: None,
            _registered: flow.control.begin(handle.clone()),
            handle,
        }
    }

    /// What became of the next instance that ends.
    pub(crate) async fn next(&mut self) -> Option<Outcome> {
        if self.left.is_none() {
            if let Some(item) = self.next_item().await {
                return Some(self.outcome(item));
            }
            self.left = Some(self.rest.left());
        }
        let instance = self.left.as_mut()?.next()?;
        // Nothing is waited for from here on, however many there are.
        tokio::task::coop::consume_budget().await;
        let ending = Ending::Cancelled { begun: false };
        Some(self.ended(Outcome { instance, label: None, ending, attempts: 0, waited: Duration::ZERO }))
    }

    async fn next_item(&mut self) -> Option<BatchItem<Ended, Failure>> {
        if let Some(longest) = self.longest.take() {
            self.deadline = Some(Box::pin(tokio::time::sleep(longest)));
        }
        if let Some(deadline) = &mut self.deadline {
            tokio::select! {
                biased;
                item = self.instances.next() => return item,
                () = deadline => self.handle.abort(),
            }
            self.deadline = None;
        }
        self.instances.next().await
    }

    fn outcome(&self, item: BatchItem<Ended, Failure>) -> Outcome {
        let BatchItem { index: instance, outcome, .. } = item;
        let (attempts, waited) = (outcome.attempts, outcome.waited);
        let failed = |cause| Ending::Failed(Failure::new(&self.flow.name, None, cause));
        let ending = match outcome.result {
            Ok(Ended { node, action }) => Ending::Completed { node, action },
            Err(CallError::Failed(failure)) if failure.is_rate_limit() => Ending::RateLimited(failure),
            Err(CallError::Failed(failure)) => Ending::Failed(failure),
            Err(CallError::Stopped) => Ending::Cancelled { begun: attempts > 0 },
            Err(CallError::NotAdmitted(error)) => failed(Cause::NotAdmitted(error)),
            Err(CallError::Panicked(message)) => failed(Cause::Panicked(message)),
            Err(CallError::Rejected(_)) => failed(Cause::Rejected),
        };
        let label = self.common.labels.lock().remove(&instance);
        self.ended(Outcome { instance, label, ending, attempts, waited })
    }

    fn ended(&self, outcome: Outcome) -> Outcome {
        self.flow.counts.ended(&outcome.ending);
        if let Some(told) = &self.flow.on_outcome {
            if guarded_now(|| told(self.shared, &outcome)).is_err() {
                tracing::warn!(instance = outcome.instance, "whoever is told of a flow's outcomes panicked");
            }
        }
        if let Some(watch) = self.watch {
            watch.tell(&Event::InstanceEnded { outcome: &outcome });
        }
        outcome
    }

    /// Runs to the end: what became of all, and what post makes of that.
    pub(crate) async fn report(mut self) -> (Report, Result<Action>) {
        let mut report = Report::default();
        while let Some(outcome) = self.next().await {
            report.count(outcome);
        }
        report.warnings = std::mem::take(&mut *self.common.warnings.lock());
        report.took = self.began.elapsed();
        let posted = match &self.flow.post {
            None => Ok(Action::DEFAULT),
            Some(Post::Now(post)) => guarded(|| ready(post(self.shared, &report))).await.map_err(Cause::into_error),
            Some(Post::Later(post)) => guarded(|| post(self.shared, &report)).await.map_err(Cause::into_error),
        };
        (report, posted)
    }
}

/// Why a nested batch flow that has no post has failed, from what became of its instances: a rate limit that was handed
/// on goes on.
pub(crate) fn first_failure(report: &mut Report) -> Cause {
    let limited = report.failures.iter().position(|outcome| matches!(outcome.ending, Ending::RateLimited(_)));
    if let Some(at) = limited {
        if let Ending::RateLimited(Failure { cause, .. }) = report.failures.swap_remove(at).ending {
            return cause;
        }
    }
    let (bad, all) = (report.instances() - report.completed, report.instances());
    let text = format!("{bad} of {all} instances did not complete");
    let first = report.failures.iter().find_map(|outcome| Some((outcome.instance, outcome.failure()?)));
    Cause::Error(match first {
        Some((instance, failure)) => format!("{text}; the first, instance {instance}: {failure}").into(),
        None => text.into(),
    })
}
