//! One instance of a run, in its slot.

use std::sync::Arc;

use futures_util::FutureExt;
use paceline::{Attempt, Verdict};

use super::run::Common;
use super::{BatchFlow, Ended, Shop};
use crate::context::Context;
use crate::event::{Event, Watch};
use crate::failure::{Cause, Failure, Result};

/// One instance, as the batch hands it on.
pub(super) struct Instance<P> {
    pub(super) index: u64,
    pub(super) params: Arc<P>,
}

impl<P> Clone for Instance<P> {
    fn clone(&self) -> Self {
        Self { index: self.index, params: Arc::clone(&self.params) }
    }
}

/// What an instance is run with.
pub(super) struct Each<'a, 'n, S, P> {
    pub(super) flow: &'a BatchFlow<'n, S, P>,
    pub(super) shop: &'a Shop,
    pub(super) watch: Option<&'a Watch<'a>>,
    pub(super) shared: &'a S,
    pub(super) common: Arc<Common>,
}

impl<S, P> Clone for Each<'_, '_, S, P> {
    fn clone(&self) -> Self {
        let Self { flow, shop, watch, shared, common } = self;
        Self { flow, shop, watch: *watch, shared, common: Arc::clone(common) }
    }
}

impl<S: Sync, P: Send + Sync> Each<'_, '_, S, P> {
    /// Goes through the graph once, in a slot.
    pub(super) async fn run(self, instance: Instance<P>, attempt: Attempt) -> Result<Ended, Failure> {
        let Self { flow, shop, watch, shared, common } = &self;
        let Instance { index, params } = &instance;
        let (slot, _running) = (shop.take(|| flow.flow.open()), flow.counts.begin());
        let cx = Context::of_run(*shared, &**params, *index, *watch);
        cx.tell(Event::InstanceStarted { instance: *index, attempt: attempt.number() });
        let result = flow.flow.walk(&slot, cx, &common.warnings).boxed().await;
        if let Err(failure) = &result {
            if failure.is_rate_limit() {
                flow.counts.rate_limit_hits.add(1);
            }
            attempt.report(verdict(failure));
        }
        result
    }
}

/// What an instance's failure says to the flow's controller, and to its retries.
fn verdict(failure: &Failure) -> Verdict {
    match &failure.cause {
        Cause::RateLimited(hit) => hit.verdict(),
        Cause::Panicked(_) => Verdict::Permanent,
        Cause::NotAdmitted(error) if !error.is_retryable() => Verdict::Permanent,
        _ => Verdict::Transient,
    }
}
